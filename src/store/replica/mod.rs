//! The durable copy of a zone whose content comes from elsewhere: it is served at a start, at once and without the
//! place it came from.
//!
//! ```text
//! NAME.base    a whole version of the zone, written aside and renamed: it is there in full or not at all
//! NAME.log     what changed since, appended and synced version by version; a torn end is dropped
//! NAME.new     a whole version that is coming in
//! ```
//! A log names the base that it continues, so one that a new base left behind is known for what it is. When the copy
//! was last known to be current is the time of the base's last change, as other servers keep it.

mod format;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read, Write},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use ring::{
    digest,
    rand::{SecureRandom as _, SystemRandom},
};

pub use format::FormatError;
use format::{BaseFrame, End, FRAME_HEAD, Id, Kind, LARGEST_FRAME, PREAMBLE, RECORDS, RECORDS_A_FRAME};

use crate::{
    client::transfer::Delta,
    clock::UnixTime,
    disk::{self, System},
    wire::{Name, NameRef, RrType, Serial, Ttl},
    zone::Entry,
};

/// The folder in the state folder.
pub const FOLDER: &str = "zones";
/// The longest name of a file that is made of a zone's name as it is; longer ones are named by a digest.
const LONGEST_FILE_NAME: usize = 200;
/// A log below this many octets is not worth a new base.
const LEAST_LOG: u64 = 1 << 20;

/// Why a copy cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// The disk, or its rights.
    #[error("cannot {what} {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The copy is not one.
    #[error("{path} is spoiled; the zone is to be fetched anew")]
    Spoiled {
        /// The file.
        path: PathBuf,
        /// In what.
        #[source]
        source: FormatError,
    },
    /// The copy is not at the version that the changes change.
    #[error("there is no copy of {apex} with serial {from} that changes could continue")]
    Gap {
        /// The zone.
        apex: Name,
        /// Where the changes begin.
        from: Serial,
    },
}

/// What a copy says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// Where it came from, in a word of whoever wrote it.
    pub origin: String,
    /// The version in the base.
    pub serial: Serial,
    /// Records in the base that other signers made; they are in it.
    pub left_out: u64,
    /// When it was last known to be current.
    pub current_at: UnixTime,
}

/// How a log was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogRead {
    /// Versions that were taken.
    pub deltas: u64,
    /// Octets at its end that were not: a write that was cut short, or spoiled.
    pub dropped: u64,
}

/// The copy of one zone. One process has it at a time, as it has the store beside it.
#[derive(Debug)]
pub struct Replica {
    apex: Name,
    base: PathBuf,
    log: PathBuf,
    new: PathBuf,
    folder: PathBuf,
    at_hand: Option<AtHand>,
}

/// The base, and where its log ends.
#[derive(Clone, Copy, Debug)]
struct AtHand {
    id: Id,
    /// The version that base and log lead to.
    serial: Serial,
    base_octets: u64,
    log_octets: u64,
    log_frames: u64,
    /// Whether the names of both are known to be on disk: whoever wrote them may have died before.
    named: bool,
}

impl Replica {
    /// The copy of the zone at `apex` in a server's state folder, which may hold none yet.
    pub fn new(state: &Path, apex: &Name) -> Self {
        let folder = state.join(FOLDER);
        let name = file_name(apex.as_ref());
        let path = |ending| folder.join(format!("{name}.{ending}"));
        Self {
            apex: apex.clone(),
            base: path("base"),
            log: path("log"),
            new: path("new"),
            folder,
            at_hand: None,
        }
    }

    /// Reads the base; its records go to `sink` and count only when this gives them a head. `None`: there is no copy.
    ///
    /// # Errors
    /// When it is spoiled, or cannot be read.
    pub fn read_base(&mut self, sink: &mut dyn FnMut(&Entry<'_>)) -> Result<Option<Head>, ReplicaError> {
        self.at_hand = None;
        let file = match File::open(&self.base) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed("open", &self.base))?,
        };
        let metadata = file.metadata().map_err(failed("read", &self.base))?;
        let current_at = metadata.modified().map_err(failed("read", &self.base))?;
        let mut frames = Frames::begin(file, Kind::Base, &self.base)?;
        let spoiled = |source| ReplicaError::Spoiled {
            path: self.base.clone(),
            source,
        };
        let (mut origin, mut records) = (None, 0);
        let end = loop {
            let number = frames.number;
            let payload = frames.next()?.ok_or_else(|| spoiled(FormatError::Short))?;
            let bad = || spoiled(FormatError::Frame(number));
            match format::read_base(payload).ok_or_else(bad)? {
                BaseFrame::Head(text) if number == 0 => origin = Some(text.to_owned()),
                BaseFrame::Records(entries) if number > 0 => {
                    for entry in entries {
                        sink(&entry.ok_or_else(bad)?);
                        records += 1;
                    }
                }
                BaseFrame::End(end) if number > 0 => break end,
                _ => return Err(bad()),
            }
        };
        if end.records != records {
            let (said, found) = (end.records, records);
            return Err(spoiled(FormatError::Count { said, found }));
        }
        self.at_hand = Some(AtHand {
            id: frames.id,
            serial: end.serial,
            base_octets: metadata.len(),
            log_octets: 0,
            log_frames: 0,
            named: false,
        });
        Ok(Some(Head {
            origin: origin.unwrap_or_default(),
            serial: end.serial,
            left_out: end.left_out,
            current_at: unix_time(current_at),
        }))
    }

    /// Reads what changed since the base, which must have been read. `apply` says whether it can take a change; at
    /// the first that it cannot, and where the log is torn, reading ends and the rest is dropped at the next write.
    ///
    /// # Errors
    /// When it cannot be read. That it is torn or of another base is none.
    pub fn read_log(&mut self, apply: &mut dyn FnMut(Delta) -> bool) -> Result<LogRead, ReplicaError> {
        let mut read = LogRead::default();
        let Some(at_hand) = &mut self.at_hand else {
            return Ok(read);
        };
        let file = match File::open(&self.log) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(read),
            opened => opened.map_err(failed("open", &self.log))?,
        };
        let length = file.metadata().map_err(failed("read", &self.log))?.len();
        let mut frames = match Frames::begin(file, Kind::Log, &self.log) {
            Ok(frames) if frames.id == at_hand.id => frames,
            // It continues a base that is gone, or was not yet begun when the machine stopped.
            Ok(_) | Err(ReplicaError::Spoiled { .. }) => return Ok(read),
            Err(error) => return Err(error),
        };
        at_hand.log_octets = PREAMBLE as u64;
        loop {
            match frames.next() {
                Ok(Some(payload)) => {
                    let Some(delta) = format::read_delta(payload) else {
                        break;
                    };
                    let (octets, to) = ((FRAME_HEAD + payload.len()) as u64, delta.to);
                    if delta.from != at_hand.serial || !apply(delta) {
                        break;
                    }
                    at_hand.serial = to;
                    at_hand.log_octets += octets;
                    at_hand.log_frames += 1;
                    read.deltas += 1;
                }
                Ok(None) | Err(ReplicaError::Spoiled { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        read.dropped = length.saturating_sub(at_hand.log_octets);
        Ok(read)
    }

    /// Begins a whole version, aside of the copy at hand; `origin` is a word for where it comes from. What was begun
    /// before and not finished is dropped.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn begin(&self, origin: &str) -> Result<NewBase, ReplicaError> {
        disk::make_folder(&System, &self.folder).map_err(failed("make", &self.folder))?;
        let mut id = Id::default();
        SystemRandom::new()
            .fill(&mut id)
            .map_err(|_| failed("make an id for", &self.new)(io::Error::other("no random numbers")))?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&self.new)
            .map_err(failed("make", &self.new))?;
        let mut new = NewBase {
            file,
            path: self.new.clone(),
            id,
            frames: 0,
            octets: 0,
            payload: Vec::new(),
            records: 0,
            left_out: 0,
            failed: None,
            is_whole: false,
        };
        new.write(&format::preamble(Kind::Base, id));
        new.frame(&format::head(origin));
        Ok(new)
    }

    /// Makes a whole version the copy. When this returns, it survives a loss of power.
    ///
    /// # Errors
    /// When it could not be written, then or before; the copy at hand stays.
    pub fn finish(&mut self, new: NewBase, serial: Serial, now: UnixTime) -> Result<(), ReplicaError> {
        let at_hand = new.finish(serial, now)?;
        fs::rename(&self.new, &self.base).map_err(failed("rename", &self.new))?;
        self.at_hand = Some(at_hand);
        self.sync_folder()?;
        // It says itself that it belongs to another base; gone is gone, all the same.
        let _ = fs::remove_file(&self.log);
        Ok(())
    }

    /// Continues the copy with changes. When this returns, they survive a loss of power.
    ///
    /// # Errors
    /// When there is no copy at hand, or they could not be written; the copy then ends where it did.
    pub fn append(&mut self, deltas: &[Delta]) -> Result<(), ReplicaError> {
        let Some(first) = deltas.first() else {
            return Ok(());
        };
        let gap = |from| ReplicaError::Gap {
            apex: self.apex.clone(),
            from,
        };
        let mut at_hand = self.at_hand.ok_or_else(|| gap(first.from))?;
        let start = at_hand.log_octets;
        let mut octets = Vec::new();
        if start == 0 {
            octets = format::preamble(Kind::Log, at_hand.id);
        }
        for delta in deltas {
            if delta.from != at_hand.serial {
                return Err(gap(delta.from));
            }
            at_hand.serial = delta.to;
            octets.extend(format::frame(
                at_hand.id,
                at_hand.log_frames,
                &format::delta(delta),
            ));
            at_hand.log_frames += 1;
        }
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.log)
            .map_err(failed("open", &self.log))?;
        // Behind its good end may stand what was torn, or all of a log of another base.
        let written = file
            .set_len(start)
            .and_then(|()| file.write_all_at(&octets, start))
            .and_then(|()| file.sync_data());
        written.map_err(failed("write", &self.log))?;
        if !at_hand.named {
            self.sync_folder()?;
            at_hand.named = true;
        }
        at_hand.log_octets += octets.len() as u64;
        self.at_hand = Some(at_hand);
        Ok(())
    }

    /// Whether changes have become more than what they change, so that a new base is worth it.
    pub fn is_long(&self) -> bool {
        self.at_hand
            .is_some_and(|at_hand| at_hand.log_octets > LEAST_LOG.max(at_hand.base_octets))
    }

    /// Notes that the copy is current. Not synced: who reads an older time after a loss of power asks sooner.
    ///
    /// # Errors
    /// When the file's time cannot be set.
    pub fn note_current(&self, now: UnixTime) -> Result<(), ReplicaError> {
        let file = File::options().append(true).open(&self.base);
        file.and_then(|file| file.set_modified(system_time(now)))
            .map_err(failed("set the time of", &self.base))
    }

    fn sync_folder(&self) -> Result<(), ReplicaError> {
        let folder = File::open(&self.folder);
        folder
            .and_then(|folder| folder.sync_all())
            .map_err(failed("sync", &self.folder))
    }
}

fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> ReplicaError + use<'a> {
    move |source| ReplicaError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}

/// A whole version that is being written. An error is kept until the end, for it comes from a callback's midst.
#[derive(Debug)]
pub struct NewBase {
    file: File,
    path: PathBuf,
    id: Id,
    frames: u64,
    octets: u64,
    payload: Vec<u8>,
    records: u64,
    left_out: u64,
    failed: Option<io::Error>,
    is_whole: bool,
}

impl Drop for NewBase {
    /// What will not become the copy is no use to anybody.
    fn drop(&mut self) {
        if !self.is_whole {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl NewBase {
    /// Takes the next record.
    pub fn push(&mut self, owner: NameRef<'_>, rtype: RrType, ttl: Ttl, rdata: &[u8]) {
        if self.payload.is_empty() {
            self.payload.push(RECORDS);
        }
        format::push_record(owner, rtype, ttl, rdata, &mut self.payload);
        self.records += 1;
        if self.payload.len() >= RECORDS_A_FRAME {
            self.flush();
        }
    }

    /// Says how many of the records other signers made.
    pub fn set_left_out(&mut self, records: u64) {
        self.left_out = records;
    }

    /// Reads back what was pushed.
    ///
    /// # Errors
    /// When it could not be written, or not be read.
    pub fn read_back(&mut self, sink: &mut dyn FnMut(&Entry<'_>)) -> Result<(), ReplicaError> {
        self.flush();
        if let Some(error) = self.failed.take() {
            return Err(failed("write", &self.path)(error));
        }
        let file = File::open(&self.path).map_err(failed("open", &self.path))?;
        let mut frames = Frames::begin(file, Kind::Base, &self.path)?;
        while let Some(payload) = frames.next()? {
            if let Some(BaseFrame::Records(entries)) = format::read_base(payload) {
                entries.flatten().for_each(|entry| sink(&entry));
            }
        }
        Ok(())
    }

    fn flush(&mut self) {
        let payload = std::mem::take(&mut self.payload);
        if !payload.is_empty() {
            self.frame(&payload);
        }
        self.payload = payload;
        self.payload.clear();
    }

    fn frame(&mut self, payload: &[u8]) {
        let frame = format::frame(self.id, self.frames, payload);
        self.write(&frame);
        self.frames += 1;
    }

    fn write(&mut self, octets: &[u8]) {
        if self.failed.is_none() {
            self.failed = self.file.write_all(octets).err();
            self.octets += octets.len() as u64;
        }
    }

    fn finish(mut self, serial: Serial, now: UnixTime) -> Result<AtHand, ReplicaError> {
        self.flush();
        let end = End {
            serial,
            records: self.records,
            left_out: self.left_out,
        };
        self.frame(&format::end(end));
        let written = match self.failed.take() {
            Some(error) => Err(error),
            None => self
                .file
                .set_modified(system_time(now))
                .and_then(|()| self.file.sync_all()),
        };
        written.map_err(failed("write", &self.path))?;
        self.is_whole = true;
        Ok(AtHand {
            id: self.id,
            serial,
            base_octets: self.octets,
            log_octets: 0,
            log_frames: 0,
            named: false,
        })
    }
}

/// The frames of a file, one after the other.
struct Frames {
    file: BufReader<File>,
    path: PathBuf,
    id: Id,
    /// Of the next one.
    number: u64,
    payload: Vec<u8>,
}

impl Frames {
    fn begin(file: File, kind: Kind, path: &Path) -> Result<Self, ReplicaError> {
        let mut file = BufReader::with_capacity(RECORDS_A_FRAME, file);
        let mut preamble = Vec::with_capacity(PREAMBLE);
        let read = (&mut file).take(PREAMBLE as u64).read_to_end(&mut preamble);
        read.map_err(failed("read", path))?;
        let id = format::read_preamble(&preamble, kind).map_err(|source| ReplicaError::Spoiled {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            file,
            path: path.to_owned(),
            id,
            number: 0,
            payload: Vec::new(),
        })
    }

    fn spoiled(&self, source: FormatError) -> ReplicaError {
        ReplicaError::Spoiled {
            path: self.path.clone(),
            source,
        }
    }

    /// The payload of the next frame; `None` at the end of the file.
    fn next(&mut self) -> Result<Option<&[u8]>, ReplicaError> {
        let mut head = Vec::with_capacity(FRAME_HEAD);
        self.read(FRAME_HEAD as u64, &mut head)?;
        if head.is_empty() {
            return Ok(None);
        }
        let Ok(head) = <[u8; FRAME_HEAD]>::try_from(head) else {
            return Err(self.spoiled(FormatError::Short));
        };
        let length = format::payload_length(&head);
        if length > LARGEST_FRAME {
            return Err(self.spoiled(FormatError::Frame(self.number)));
        }
        // Grows as octets come: a length that is spoiled must not take memory.
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        self.read(length as u64, &mut payload)?;
        self.payload = payload;
        if self.payload.len() < length {
            return Err(self.spoiled(FormatError::Short));
        }
        if !format::is_whole(self.id, self.number, &head, &self.payload) {
            return Err(self.spoiled(FormatError::Checksum(self.number)));
        }
        self.number += 1;
        Ok(Some(&self.payload))
    }

    fn read(&mut self, most: u64, into: &mut Vec<u8>) -> Result<(), ReplicaError> {
        let read = (&mut self.file).take(most).read_to_end(into);
        read.map(drop).map_err(failed("read", &self.path))
    }
}

/// The zone's name as that of a file: letters, digits and hyphens as they are, other octets as `%XX`.
fn file_name(apex: NameRef<'_>) -> String {
    let lower = apex.to_lowercase();
    let mut name = String::new();
    for label in lower.as_ref().labels() {
        for &octet in label {
            match octet {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(octet.into()),
                _ => name.push_str(&format!("%{octet:02x}")),
            }
        }
        name.push('.');
    }
    if name.is_empty() {
        return "%root".to_owned();
    }
    if name.len() > LONGEST_FILE_NAME {
        let digest = digest::digest(&digest::SHA256, lower.as_wire());
        let digest = data_encoding::HEXLOWER.encode(digest.as_ref());
        return format!("{}%{digest}", &name[..64]);
    }
    name.pop();
    name
}

fn system_time(time: UnixTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(time.0)
}

fn unix_time(time: SystemTime) -> UnixTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    UnixTime(since.unwrap_or_default().as_secs())
}
