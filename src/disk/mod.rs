//! Writing so that a loss of power takes nothing: the few system calls that this needs, behind a trait, so that a test
//! can put a disk there which loses and tears whatever was not synced (`simulated`).
//!
//! No more is counted on than what POSIX says:
//!
//! | what | is on disk after |
//! |---|---|
//! | the octets of a file | a sync of the file |
//! | that a file has a name, or another one | a sync of the folder |
//! | that there is a folder | a sync of the folder above it |

use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

#[cfg(test)]
pub(crate) mod simulated;

/// Folders that are made are for their owner alone: they hold private keys and the register of keys.
const FOLDER_MODE: u32 = 0o700;
/// From this many files on, one sync of the whole file system is cheaper than one a file.
pub const SYNC_ALL_FROM: usize = 16;

/// A file of which it is not known whether its octets are on disk.
#[derive(Debug)]
pub struct Unsynced {
    /// Where it stands.
    pub path: PathBuf,
    /// It, open since before it was written to: so a failure to write it back is told.
    pub file: File,
}

impl Unsynced {
    /// A file that somebody else wrote.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn found(path: PathBuf) -> io::Result<Self> {
        let file = File::open(&path)?;
        Ok(Self { path, file })
    }
}

/// The system calls. What they do is seen at once, by every process; what outlives a loss of power is another matter.
pub trait Disk: fmt::Debug + Sync {
    /// Makes one folder, mode 0700.
    ///
    /// # Errors
    /// When it cannot be made; also when it is there.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Makes a file with these octets and exactly this mode.
    ///
    /// # Errors
    /// When it cannot be made or written; also when it is there. A part of it may be left.
    fn create(&self, path: &Path, mode: u32, octets: &[u8]) -> io::Result<Unsynced>;

    /// Waits until the octets of all `files` are on disk; they lie in `folder`.
    ///
    /// # Errors
    /// When that is not known.
    fn sync(&self, folder: &Path, files: &[Unsynced]) -> io::Result<()>;

    /// Waits until the names in `folder` are on disk.
    ///
    /// # Errors
    /// When that is not known.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Gives a file another name in the same folder, in the place of whatever had it.
    ///
    /// # Errors
    /// When it keeps its name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a file away.
    ///
    /// # Errors
    /// When it is still there, or never was.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The disk of this machine.
#[derive(Debug)]
pub struct System;

impl Disk for System {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(FOLDER_MODE).create(path)
    }

    fn create(&self, path: &Path, mode: u32, octets: &[u8]) -> io::Result<Unsynced> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)?;
        // The process's umask may have taken bits of the mode away.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(octets)?;
        let path = path.to_owned();
        Ok(Unsynced { path, file })
    }

    fn sync(&self, folder: &Path, files: &[Unsynced]) -> io::Result<()> {
        if files.len() < SYNC_ALL_FROM {
            return files.iter().try_for_each(|written| written.file.sync_all());
        }
        sync_file_system(&File::open(folder)?)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

#[expect(
    unsafe_code,
    reason = "syncfs has no safe wrapper, and a thousand zones' keys need one sync"
)]
fn sync_file_system(folder: &File) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    // SAFETY: syncfs takes a descriptor by value and touches no memory of ours; `folder` is open.
    match unsafe { libc::syncfs(folder.as_raw_fd()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Lets go of what the system holds of a file in memory, so that what is read is what is on the disk. After a failed
/// sync these may differ: pages pass for written that never were. The system may refuse, without saying so.
///
/// # Errors
/// When what was written cannot be brought to the disk first.
#[expect(unsafe_code, reason = "posix_fadvise has no safe wrapper")]
pub fn drop_cache(file: &File) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    file.sync_data()?;
    // SAFETY: posix_fadvise takes numbers and touches no memory of ours; `file` is open.
    match unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Makes the folder, and those above it that are missing. When this returns they are on disk.
///
/// # Errors
/// When one cannot be made, or it is not known whether it is on disk.
pub fn make_folder(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !is_there(folder)).collect();
    for folder in missing.iter().rev() {
        match disk.create_folder(folder) {
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            made => made?,
        }
        disk.sync_folder(parent(folder))?;
    }
    if missing.is_empty() {
        // Whoever made it may have died before this: a process before us, too.
        match disk.sync_folder(parent(path)) {
            // Made by somebody who may look into the folder above, which we may not.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            other => other?,
        }
    }
    Ok(())
}

fn is_there(folder: &Path) -> bool {
    // Of a relative path the last ancestor is empty: the current folder.
    folder.as_os_str().is_empty() || folder.is_dir()
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        Some(_) => Path::new("."),
        // The root of the file system has nothing above it.
        None => path,
    }
}
