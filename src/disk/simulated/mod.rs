//! A simulated disk: processes die on it, its power fails, it is full, it has errors.
//!
//! What is written is seen at once, in a real folder, and outlives the process; a loss of power takes of what was not
//! synced whatever POSIX lets it take. Each name in a folder shows any file that bore it since the last sync of the
//! folder, by itself. A file that was not synced has all its octets, or some, or zeros in the place of sectors. The
//! store's file shows, sector by sector, any octets that stood there since its last sync, as a disk that writes from
//! its cache in any order would leave it, and any length that it had.

mod dice;
mod sectors;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use redb::StorageBackend;

pub(crate) use self::dice::Dice;
use self::{
    dice::Fate,
    sectors::{SECTOR, Sectors},
};
use super::{Disk, System, Unsynced};

/// How a process ends that does not end by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Death {
    /// `kill -9`: what was written stays.
    Killed,
    /// The power fails: what was not synced may be gone.
    PowerLoss,
}

/// What a name in a folder leads to.
#[derive(Clone, Debug)]
enum Node {
    /// The number of a file.
    File(usize),
    Folder,
}

/// All that a name led to since the folder was last synced, newest last. Never empty.
type Versions = Vec<Option<Node>>;

#[derive(Debug)]
struct Written {
    octets: Vec<u8>,
    mode: u32,
    synced: bool,
}

#[derive(Debug)]
struct State {
    root: PathBuf,
    dice: Dice,
    /// Which process is alive.
    run: u64,
    /// After how many more operations it dies, and of what.
    fuse: Option<(u64, Death)>,
    dead: Option<Death>,
    /// After how many more operations one fails, and how.
    fault: Option<(u64, io::ErrorKind)>,
    full: bool,
    folders: BTreeMap<PathBuf, BTreeMap<OsString, Versions>>,
    files: Vec<Written>,
    store: Sectors,
}

/// The disk.
#[derive(Debug)]
pub(crate) struct SimulatedDisk {
    folder: tempfile::TempDir,
    state: Arc<Mutex<State>>,
}

/// A folder in memory where there is one, so that a busy disk does not slow the tests down.
pub(crate) fn memory_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

impl SimulatedDisk {
    pub(crate) fn new(seed: u64) -> Self {
        let folder = memory_folder();
        let state = State {
            root: folder.path().to_owned(),
            dice: Dice(seed),
            run: 0,
            fuse: None,
            dead: None,
            fault: None,
            full: false,
            folders: BTreeMap::from([(folder.path().to_owned(), BTreeMap::new())]),
            files: Vec::new(),
            store: Sectors::default(),
        };
        let state = Arc::new(Mutex::new(state));
        Self { folder, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder above all others on this disk.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The process that runs on it.
    pub(crate) fn process(&self) -> Process {
        let run = self.state().run;
        let state = Arc::clone(&self.state);
        Process { state, run }
    }

    /// Lets the process die in so many operations.
    pub(crate) fn strike(&self, operations: u64, death: Death) {
        self.state().fuse = Some((operations, death));
    }

    /// Takes back what `strike` and `fail` announced and did not come.
    pub(crate) fn spare(&self) {
        let mut state = self.state();
        state.fuse = None;
        state.fault = None;
    }

    /// What the process died of, if it is dead.
    pub(crate) fn death(&self) -> Option<Death> {
        self.state().dead
    }

    /// Lets one operation fail, in so many.
    pub(crate) fn fail(&self, operations: u64, how: io::ErrorKind) {
        self.state().fault = Some((operations, how));
    }

    /// Makes it slow: nothing is done on it as long as this is held.
    pub(crate) fn hold(&self) -> impl Sized + '_ {
        self.state()
    }

    /// Whether there is no more room.
    pub(crate) fn fill(&self, full: bool) {
        self.state().full = full;
    }

    /// Whether something is announced that has not come.
    pub(crate) fn awaits(&self) -> bool {
        let state = self.state();
        state.fuse.is_some() || state.fault.is_some()
    }

    /// Ends the process, if it is not dead yet, and starts another, on what is left.
    pub(crate) fn restart(&self, death: Death) -> Process {
        {
            let mut state = self.state();
            state.fuse = None;
            state.fault = None;
            if state.dead.take().unwrap_or(death) == Death::PowerLoss {
                state.lose();
            }
            state.run += 1;
        }
        self.process()
    }

    /// Waits until everything is on disk, as `sync` does.
    pub(crate) fn sync_all(&self) {
        let mut state = self.state();
        state.store.sync();
        state.files.iter_mut().for_each(|file| file.synced = true);
        for versions in state.folders.values_mut().flat_map(BTreeMap::values_mut) {
            versions.drain(..versions.len() - 1);
        }
    }

    /// Copies a file there as a person does, who syncs nothing.
    pub(crate) fn copy(&self, path: &Path, mode: u32, octets: &[u8]) {
        let mut state = self.state();
        if state.newest(path).is_some() {
            fs::remove_file(path).unwrap();
            state.names(path, None).unwrap();
        }
        System.create(path, mode, octets).unwrap();
        state.add(path, mode, octets).unwrap();
    }
}

impl State {
    fn names(&mut self, path: &Path, node: Option<Node>) -> io::Result<()> {
        let folder = path.parent().ok_or(io::ErrorKind::NotFound)?;
        let name = path.file_name().ok_or(io::ErrorKind::NotFound)?;
        let names = self.folders.get_mut(folder).ok_or(io::ErrorKind::NotFound)?;
        let versions = names.entry(name.to_owned()).or_insert_with(|| vec![None]);
        versions.push(node);
        Ok(())
    }

    fn newest(&self, path: &Path) -> Option<Node> {
        let names = self.folders.get(path.parent()?)?;
        names.get(path.file_name()?)?.last()?.clone()
    }

    fn add(&mut self, path: &Path, mode: u32, octets: &[u8]) -> io::Result<()> {
        let number = self.files.len();
        self.files.push(Written {
            octets: octets.to_vec(),
            mode,
            synced: false,
        });
        self.names(path, Some(Node::File(number)))
    }

    /// The power is gone: decides what is left, and puts it into the real folder.
    fn lose(&mut self) {
        self.store.lose(&mut self.dice);
        let fate = Fate::any(&mut self.dice);
        for (folder, mut names) in std::mem::take(&mut self.folders) {
            // Folders come before what is in them.
            let lost = folder != self.root && self.newest(&folder).is_none();
            if lost {
                continue;
            }
            for versions in names.values_mut() {
                let picked = fate.pick(versions.len(), &mut self.dice);
                *versions = vec![versions[picked].clone()];
            }
            self.folders.insert(folder, names);
        }
        for file in self.files.iter_mut().filter(|file| !file.synced) {
            tear(&mut file.octets, &mut self.dice);
            file.synced = true;
        }
        self.rebuild();
    }

    fn rebuild(&self) {
        for entry in fs::read_dir(&self.root).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
        }
        for (folder, names) in &self.folders {
            for (name, versions) in names {
                let path = folder.join(name);
                match versions.last().expect("never empty") {
                    Some(Node::Folder) => System.create_folder(&path).unwrap(),
                    Some(Node::File(number)) => {
                        let file = &self.files[*number];
                        System.create(&path, file.mode, &file.octets).unwrap();
                    }
                    None => {}
                }
            }
        }
    }
}

/// What is left of a file that was not synced.
fn tear(octets: &mut Vec<u8>, dice: &mut Dice) {
    match dice.below(4) {
        0 => {}
        1 => octets.clear(),
        2 => octets.truncate(dice.below(octets.len() + 1)),
        _ => {
            for sector in octets.chunks_mut(SECTOR) {
                if dice.one_in(2) {
                    sector.fill(0);
                }
            }
        }
    }
}

/// A process on the disk. Once it is dead, nothing that it does has an effect.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    state: Arc<Mutex<State>>,
    run: u64,
}

impl Process {
    /// The file of its store.
    pub(crate) fn store_file(&self) -> StoreFile {
        StoreFile(self.clone())
    }

    /// As [`super::drop_cache`] for that file.
    pub(crate) fn drop_cache(&self) {
        let _ = self.alive(|state| state.store.drop_cache());
    }

    /// One operation that changes something. It is done, and may be the last: then it was in flight.
    fn act<T>(&self, operation: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.run != self.run || state.dead.is_some() {
            return Err(io::Error::other("the process is dead"));
        }
        if let Some((left, how)) = state.fault {
            state.fault = left.checked_sub(1).map(|left| (left, how));
            if left == 0 {
                return Err(how.into());
            }
        }
        let done = operation(&mut state);
        if let Some((left, death)) = state.fuse {
            state.fuse = left.checked_sub(1).map(|left| (left, death));
            if left == 0 {
                state.dead = Some(death);
                return Err(io::Error::other("the process dies"));
            }
        }
        done
    }

    fn look<T>(&self, look: impl FnOnce(&State) -> io::Result<T>) -> io::Result<T> {
        self.alive(|state| look(state))?
    }

    /// Does something with the disk that is no operation; nothing when the process is dead.
    fn alive<T>(&self, work: impl FnOnce(&mut State) -> T) -> io::Result<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.run != self.run || state.dead.is_some() {
            return Err(io::Error::other("the process is dead"));
        }
        Ok(work(&mut state))
    }
}

impl Disk for Process {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.act(|state| {
            if state.full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            System.create_folder(path)?;
            state.names(path, Some(Node::Folder))?;
            state.folders.insert(path.to_owned(), BTreeMap::new());
            Ok(())
        })
    }

    fn create(&self, path: &Path, mode: u32, octets: &[u8]) -> io::Result<Unsynced> {
        self.act(|state| {
            // A full disk still has room for a name, and for a part.
            let part = if state.full {
                octets.len() / 2
            } else {
                octets.len()
            };
            let created = System.create(path, mode, &octets[..part])?;
            state.add(path, mode, &octets[..part])?;
            if state.full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Ok(created)
        })
    }

    fn sync(&self, _folder: &Path, files: &[Unsynced]) -> io::Result<()> {
        self.act(|state| {
            for file in files {
                match state.newest(&file.path) {
                    Some(Node::File(number)) => state.files[number].synced = true,
                    other => panic!("{} is no file: {other:?}", file.path.display()),
                }
            }
            Ok(())
        })
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.act(|state| {
            // What lies above the disk is not simulated.
            let Some(names) = state.folders.get_mut(folder) else {
                return File::open(folder).map(drop);
            };
            for versions in names.values_mut() {
                versions.drain(..versions.len() - 1);
            }
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.act(|state| {
            System.rename(from, to)?;
            let node = state.newest(from);
            state.names(to, node)?;
            state.names(from, None)
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.act(|state| {
            System.remove(path)?;
            state.names(path, None)
        })
    }
}

/// The file of a process's store, for redb.
#[derive(Debug)]
pub(crate) struct StoreFile(Process);

impl StorageBackend for StoreFile {
    fn len(&self) -> io::Result<u64> {
        self.0.look(|state| Ok(state.store.octets.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.look(|state| {
            let octets = state
                .store
                .octets
                .get(offset as usize..offset as usize + out.len());
            out.copy_from_slice(octets.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.act(|state| {
            state.store.set_len(len as usize);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        let synced = self.0.act(|state| {
            state.store.sync();
            Ok(())
        });
        if synced.is_err() {
            let _ = self.0.alive(|state| state.store.fail_to_sync());
        }
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.act(|state| {
            let full = state.full;
            state.store.write(offset as usize, data, full)
        })
    }
}
