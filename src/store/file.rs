//! The store's file, as it is given to redb.
//!
//! redb gives up a file for good at the first failure; opened again it goes on where it was, on a full disk, too. Only
//! after a failed sync is it not known what the file holds, for the system may take pages for written that never were.
//! So that failure is remembered.

use std::{
    io,
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::{BackendError, Builder, Database, DatabaseError, StorageBackend, StorageError};

/// redb's page cache. A register is a few kilobytes a zone and is read at a start and at a reload.
const CACHE_BYTES: usize = 16 * 1024 * 1024;
/// The file begins with these octets once it has been made; they are written last.
const MAGIC_BYTES: usize = 9;
/// What redb may have written before that lies within the first sector.
const SECTOR_BYTES: usize = 512;
/// redb makes a file of less than a tenth of this. One that is larger was not left behind by that.
const LARGEST_UNFINISHED: u64 = 1024 * 1024;

type Range = (Bound<u64>, Bound<u64>);
const WHOLE: Range = (Bound::Unbounded, Bound::Unbounded);

/// A file that remembers a failed sync.
#[derive(Debug)]
struct Watched<B> {
    inner: B,
    sync_failed: Arc<AtomicBool>,
}

impl<B: StorageBackend> StorageBackend for Watched<B> {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let synced = self.inner.sync_data();
        if synced.is_err() {
            self.sync_failed.store(true, Ordering::Release);
        }
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}

/// Opens the database in the file that `file` gives, or makes one where it is empty. `sync_failed` is set when a
/// sync fails.
///
/// # Errors
/// When another process holds it, it is spoiled, or the disk fails.
pub(super) fn open<B: StorageBackend>(
    file: impl Fn() -> Result<B, DatabaseError>,
    sync_failed: &Arc<AtomicBool>,
) -> Result<Database, DatabaseError> {
    let open = || {
        let watched = Watched {
            inner: file()?,
            sync_failed: Arc::clone(sync_failed),
        };
        Builder::new()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(watched)
    };
    match open() {
        Err(DatabaseError::Storage(StorageError::Io(error)))
            if error.kind() == io::ErrorKind::InvalidData =>
        {
            match empty_unfinished(&file()?) {
                Ok(true) => open(),
                Ok(false) => Err(StorageError::Io(error).into()),
                Err(failed) => Err(StorageError::Io(failed).into()),
            }
        }
        opened => opened,
    }
}

/// Empties a file that a process began to make and did not finish: nothing was ever kept in it, and redb would
/// refuse it for ever. Gives whether it did.
fn empty_unfinished(file: &impl StorageBackend) -> io::Result<bool> {
    match file.try_lock_range(WHOLE.0, WHOLE.1) {
        // A backend without locks has one user.
        Ok(true) | Err(BackendError::Unsupported) => {}
        // Somebody is at it.
        Ok(false) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    let emptied = is_unfinished(file)?;
    if emptied {
        file.set_len(0)?;
        file.sync_data()?;
    }
    file.close()?;
    Ok(emptied)
}

fn is_unfinished(file: &impl StorageBackend) -> io::Result<bool> {
    let len = file.len()?;
    if len == 0 || len > LARGEST_UNFINISHED {
        return Ok(false);
    }
    let mut octets = vec![0; len as usize];
    file.read(0, &mut octets)?;
    let is_blank = |octets: &[u8]| octets.iter().all(|octet| *octet == 0);
    let magic = &octets[..octets.len().min(MAGIC_BYTES)];
    let rest = &octets[octets.len().min(SECTOR_BYTES)..];
    Ok(is_blank(magic) && is_blank(rest))
}
