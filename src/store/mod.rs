//! The embedded store: one redb file in the state folder, crash-safe, and held by one process at a time.
//!
//! It knows nothing of what it keeps: the layers above say that in traits, such as
//! [`Journal`].
//!
//! | table | key | value |
//! |---|---|---|
//! | `events` | apex in lower-cased wire form, number from 0 | [`Event::encode`] |
//! | `runs` | apex, number from 0 | an entry of the journal of plans, chained to the one before |
//! | `observations` | apex, number from 0 | what one server showed from when to when |
//! | `run-heads` | apex | where that journal ends |
//! | `meta` | `format` | 1 |
//! | `meta` | `last-good-time` | the last wall time that was taken for sane, Unix seconds |
//! | `meta` | `uptime-at`, `uptime-of`, `uptime` | such a time, a machine, and for how many seconds it ran then |
//!
//! Content of zones lies beside it, in files of its own ([`replica`]): a zone is read at a start, once, and whole.

mod fault;
mod file;
#[cfg(test)]
pub(crate) mod full_disk;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod observation_histories;
#[cfg(test)]
mod run_histories;
#[cfg(test)]
mod spoiled;

use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use fault::{Failure, guarded};
use redb::{
    Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, TableDefinition, TableError,
    backends::FileBackend,
};

#[cfg(test)]
use crate::disk::simulated::Process;
use crate::{
    disk::{self, Disk as _, System},
    dnssec::register::{Event, Journal, JournalError},
    wire::{Name, NameRef},
};

pub mod clock;
mod observations;
pub mod replica;
mod runs;

const EVENTS: TableDefinition<'_, (&[u8], u64), &[u8]> = TableDefinition::new("events");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FORMAT: u64 = 1;
/// The file in the state folder.
pub const FILE_NAME: &str = "countersign.redb";

/// Why the store cannot be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds it.
    #[error("another server holds {path}; stop it, or give this one a --state of its own")]
    Held {
        /// The store's file.
        path: PathBuf,
    },
    /// There is none.
    #[error("there is no state in {folder}; name the server's state folder with --state")]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder or the file cannot be made or opened.
    #[error("cannot open {path}; the state folder must be writable for this user")]
    Open {
        /// Folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file was written by a later version of this program.
    #[error("{path} has format {found}, this program knows format {FORMAT}; run the version that wrote it")]
    Format {
        /// The store's file.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
    /// The file is not what was written.
    #[error(
        "{path} is spoiled: {why}. Stop the server and bring the state folder back from a backup; without one move the file away, and what the key folder tells is made again (see \"What is where\" in docs/operations.md for what is forgotten then)"
    )]
    Spoiled {
        /// The store's file.
        path: PathBuf,
        /// What redb found.
        why: String,
    },
    /// This program failed while it held the file; nothing says that the file is not what was written.
    #[error(
        "a fault of this program in its work with {path}: {why}. What is served goes on, and this was not done; the file itself was not found wrong, so leave it where it is. Start the server again when it suits, and report this with the log"
    )]
    Fault {
        /// The store's file.
        path: PathBuf,
        /// What failed, and where.
        why: String,
    },
    /// The disk failed, or is full.
    #[error("{path} cannot be read or written")]
    Database {
        /// The store's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<redb::Error>,
    },
    /// The disk could not keep what was written.
    #[error(
        "the disk failed to keep what was written to {path}, and what is in it now is not known; see to the disk, then start the server again"
    )]
    Stopped {
        /// The store's file.
        path: PathBuf,
    },
    /// A stored event cannot be read.
    #[error("{path}: event {number} of {apex} cannot be read")]
    Event {
        /// The store's file.
        path: PathBuf,
        /// The zone.
        apex: Name,
        /// Which of its events.
        number: u64,
        /// Why.
        #[source]
        source: crate::dnssec::register::DecodeError,
    },
}

/// What to do where there is no state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Absent {
    /// Make it: the server does.
    Create,
    /// Say so: client commands never create a state folder.
    Refuse,
}

/// Where the store's file lies.
#[derive(Debug)]
enum Medium {
    /// On the disk of this machine.
    File,
    /// On a simulated one.
    #[cfg(test)]
    Simulated(Process),
}

/// The open store. The file is locked for as long as this lives, but for the moment in which it is opened again.
///
/// After a failure, such as a full disk, the next use opens it again; only after a failed sync it stays shut.
#[derive(Debug)]
pub struct Store {
    medium: Medium,
    path: PathBuf,
    /// `None` after a failure.
    database: RwLock<Option<Database>>,
    sync_failed: Arc<AtomicBool>,
}

impl Store {
    /// Opens the store in `folder`. What is made gets mode 0700 (folder) and 0600 (file).
    ///
    /// # Errors
    /// When another process holds it, when there is none and none shall be made, or when it cannot be used.
    pub fn open(folder: &Path, absent: Absent) -> Result<Self, StoreError> {
        let path = folder.join(FILE_NAME);
        if absent == Absent::Refuse && !path.exists() {
            return Err(StoreError::Missing {
                folder: folder.into(),
            });
        }
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Open { path, source }
        };
        disk::make_folder(&System, folder).map_err(failed(folder))?;
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed(&path))?;
        // Whoever made it may have died before this.
        System.sync_folder(folder).map_err(failed(folder))?;
        Self::open_on(Medium::File, path)
    }

    /// A store on a simulated disk.
    #[cfg(test)]
    pub(crate) fn simulated(process: &Process) -> Result<Self, StoreError> {
        Self::open_on(Medium::Simulated(process.clone()), FILE_NAME.into())
    }

    fn open_on(medium: Medium, path: PathBuf) -> Result<Self, StoreError> {
        let store = Self {
            medium,
            path,
            database: RwLock::new(None),
            sync_failed: Arc::default(),
        };
        store.open_again()?;
        Ok(store)
    }

    /// Opens the database where it is not open.
    fn open_again(&self) -> Result<(), StoreError> {
        if self.sync_failed.load(Ordering::Acquire) {
            let path = self.path.clone();
            return Err(StoreError::Stopped { path });
        }
        let mut place = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if place.is_some() {
            return Ok(());
        }
        let opened = || match &self.medium {
            Medium::File => file::open(|| self.file(), &self.sync_failed),
            #[cfg(test)]
            Medium::Simulated(process) => {
                process.drop_cache();
                file::open(|| Ok(process.store_file()), &self.sync_failed)
            }
        };
        let opened = guarded(|| opened().map_err(redb::Error::from));
        let database = opened.map_err(|failure| match failure {
            Failure::Redb(redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch) => {
                StoreError::Held {
                    path: self.path.clone(),
                }
            }
            other => self.failed(other),
        })?;
        match guarded(|| check_format(&database)).map_err(|failure| self.failed(failure))? {
            FORMAT => *place = Some(database),
            found => {
                let path = self.path.clone();
                return Err(StoreError::Format { path, found });
            }
        }
        Ok(())
    }

    fn file(&self) -> Result<FileBackend, DatabaseError> {
        // Never made here: an empty store in the place of one that somebody took away would have lost every key.
        let file = OpenOptions::new().read(true).write(true).open(&self.path);
        let file = file.and_then(|file| {
            // A process before us may have met a failed sync.
            disk::drop_cache(&file)?;
            Ok(file)
        });
        FileBackend::new(file.map_err(redb::StorageError::from)?)
    }

    /// Does `work` with the database. After a failure it is put aside, for redb does nothing more with it.
    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        self.open_again_if_shut()?;
        let done = {
            let held = self.database.read().unwrap_or_else(PoisonError::into_inner);
            match &*held {
                Some(database) => guarded(|| work(database)),
                // Another thread met a failure in between.
                None => Err(redb::Error::PreviousIo.into()),
            }
        };
        done.map_err(|failure| {
            self.database
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            self.failed(failure)
        })
    }

    fn open_again_if_shut(&self) -> Result<(), StoreError> {
        let is_open = self
            .database
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some();
        if is_open { Ok(()) } else { self.open_again() }
    }

    /// The store's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The zones that have events, in the order of their wire form.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn zones(&self) -> Result<Vec<Name>, StoreError> {
        self.with(|database| {
            let events = database.begin_read()?.open_table(EVENTS)?;
            let mut zones: Vec<Name> = Vec::new();
            for entry in events.iter()? {
                let (key, _) = entry?;
                let Ok(apex) = Name::from_wire(key.value().0) else {
                    continue;
                };
                if zones.last() != Some(&apex) {
                    zones.push(apex);
                }
            }
            Ok(zones)
        })
    }

    fn failed(&self, failure: Failure) -> StoreError {
        let path = self.path.clone();
        match failure {
            Failure::Ours(why) => StoreError::Fault { path, why },
            Failure::Redb(redb::Error::Corrupted(why)) => StoreError::Spoiled { path, why },
            Failure::Redb(redb::Error::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                StoreError::Spoiled {
                    path,
                    why: error.to_string(),
                }
            }
            Failure::Redb(source) => StoreError::Database {
                path,
                source: Box::new(source),
            },
        }
    }

    fn read_events(&self, apex: NameRef<'_>) -> Result<Vec<Event>, StoreError> {
        let lower = apex.to_lower();
        let wire = lower.as_ref().as_wire();
        let stored = self.with(|database| {
            let events = database.begin_read()?.open_table(EVENTS)?;
            let range = events.range((wire, 0)..=(wire, u64::MAX))?;
            let octets = range.map(|entry| Ok(entry?.1.value().to_vec()));
            octets.collect::<Result<Vec<_>, redb::Error>>()
        })?;
        (0..)
            .zip(stored)
            .map(|(number, octets)| {
                Event::decode(&octets).map_err(|source| StoreError::Event {
                    path: self.path.clone(),
                    apex: apex.to_owned(),
                    number,
                    source,
                })
            })
            .collect()
    }
}

/// The format of what is stored. Makes the tables where there are none.
fn check_format(database: &Database) -> Result<u64, redb::Error> {
    // A store that is made already is only read: nothing is written to open it on a full disk.
    let stored = match database.begin_read()?.open_table(META) {
        Ok(meta) => meta.get("format")?.map(|value| value.value()),
        Err(TableError::TableDoesNotExist(_)) => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(format) = stored {
        return Ok(format);
    }
    let transaction = database.begin_write()?;
    transaction.open_table(EVENTS)?;
    transaction.open_table(META)?.insert("format", FORMAT)?;
    transaction.commit()?;
    Ok(FORMAT)
}

fn write_events(database: &Database, batch: &[(Name, Vec<Event>)]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(EVENTS)?;
        for (apex, events) in batch {
            let lower = apex.as_ref().to_lower();
            let wire = lower.as_ref().as_wire();
            let first = {
                let last = table
                    .range((wire, 0)..=(wire, u64::MAX))?
                    .next_back()
                    .transpose()?;
                last.map_or(0, |(key, _)| key.value().1 + 1)
            };
            for (number, event) in (first..).zip(events) {
                table.insert((wire, number), event.encode().as_slice())?;
            }
        }
    }
    Ok(transaction.commit()?)
}

impl Journal for Store {
    fn events(&self, apex: NameRef<'_>) -> Result<Vec<Event>, JournalError> {
        self.read_events(apex)
            .map_err(|error| JournalError(Box::new(error)))
    }

    fn append(&self, batch: &[(Name, Vec<Event>)]) -> Result<(), JournalError> {
        self.with(|database| write_events(database, batch))
            .map_err(|error| JournalError(Box::new(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::UnixTime,
        dnssec::{custody, register::What},
    };
    use std::{fs, os::unix::fs::PermissionsExt as _};

    fn opened(at: u64) -> Event {
        Event {
            at: UnixTime(at),
            what: What::Opened,
        }
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn events_outlive_the_process_each_zone_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let store = Store::open(&state, Absent::Create).unwrap();
        store
            .append(&[
                (name("Example."), vec![opened(1), opened(2)]),
                (name("a.example."), vec![opened(3)]),
                (name("."), vec![opened(4)]),
            ])
            .unwrap();
        store.append(&[(name("example."), vec![opened(5)])]).unwrap();
        assert_eq!(store.last_good_time().unwrap(), None);
        store.keep_good_time(UnixTime(77)).unwrap();
        drop(store);
        let store = Store::open(&state, Absent::Refuse).unwrap();
        let events = |apex: &str| store.events(name(apex).as_ref()).unwrap();
        assert_eq!(events("EXAMPLE."), [opened(1), opened(2), opened(5)]);
        assert_eq!(events("a.example."), [opened(3)]);
        assert_eq!(events("."), [opened(4)]);
        assert_eq!(events("b.example."), []);
        assert_eq!(store.last_good_time().unwrap(), Some(UnixTime(77).into()));
        assert_eq!(store.zones().unwrap().len(), 3);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(store.path())), (0o700, 0o600));
    }

    #[test]
    fn a_second_opener_is_told_who_stands_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Store::open(folder.path(), Absent::Create).unwrap();
        let error = Store::open(folder.path(), Absent::Create).unwrap_err();
        assert!(matches!(error, StoreError::Held { .. }), "{error:?}");
        assert!(error.to_string().starts_with("another server holds "), "{error}");
    }

    /// Names the state folder to this test when it runs as the second process.
    const SECOND: &str = "COUNTERSIGN_TEST_STATE";

    #[test]
    fn a_second_process_is_told_too() {
        if let Some(state) = std::env::var_os(SECOND) {
            let error = Store::open(Path::new(&state), Absent::Refuse).unwrap_err();
            assert!(matches!(error, StoreError::Held { .. }), "{error:?}");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let first = Store::open(folder.path(), Absent::Create).unwrap();
        let second = || {
            std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "store::tests::a_second_process_is_told_too"])
                .env(SECOND, folder.path())
                .output()
                .unwrap()
        };
        let output = second();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
        drop(first);
        assert!(!second().status.success(), "nobody holds it any more");
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Store::open(&folder.path().join("none"), Absent::Refuse).unwrap_err();
        assert!(matches!(error, StoreError::Missing { .. }), "{error:?}");
        assert!(!folder.path().join("none").exists());

        // A read-only folder cannot be tried as root; a file in the folder's place fails alike.
        let occupied = folder.path().join("file");
        fs::write(&occupied, b"").unwrap();
        let error = Store::open(&occupied, Absent::Create).unwrap_err();
        assert!(matches!(error, StoreError::Open { .. }), "{error:?}");

        let spoiled = folder.path().join("spoiled");
        fs::create_dir(&spoiled).unwrap();
        fs::write(spoiled.join(FILE_NAME), vec![7; 5000]).unwrap();
        let error = Store::open(&spoiled, Absent::Create).unwrap_err();
        assert!(matches!(error, StoreError::Spoiled { .. }), "{error:?}");
    }

    #[test]
    fn a_later_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Absent::Create).unwrap();
        let later = store.with(|database| {
            let transaction = database.begin_write()?;
            transaction.open_table(META)?.insert("format", FORMAT + 1)?;
            Ok(transaction.commit()?)
        });
        later.unwrap();
        drop(store);
        let error = Store::open(folder.path(), Absent::Create).unwrap_err();
        assert!(matches!(error, StoreError::Format { found: 2, .. }), "{error:?}");
    }

    #[test]
    fn a_thousand_zones_are_opened_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let (state, keys) = (dir.path().join("state"), dir.path().join("keys"));
        let zones: Vec<Name> = (0..1_000).map(|n| name(&format!("zone{n}.example."))).collect();
        let policy = custody::Policy::default();
        let open = |now| {
            let store = Store::open(&state, Absent::Create).unwrap();
            let requests: Vec<custody::Request<'_>> = zones
                .iter()
                .map(|apex| custody::Request {
                    apex,
                    folder: &keys,
                    external: &[],
                    providers: &[],
                    observed: &[],
                    policy: &policy,
                    previous: None,
                })
                .collect();
            let opened = custody::open(&requests, &store, UnixTime(now));
            let keys = opened
                .into_iter()
                .map(|opened| opened.unwrap().keyset.published().to_vec());
            keys.collect::<Vec<_>>()
        };
        let first = open(1_800_000_000);
        assert!(first.iter().all(|keys| keys.len() == 2));
        assert_eq!(open(1_800_000_100), first);
    }
}
