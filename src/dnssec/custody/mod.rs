//! Custody of a zone's keys: register, key folder and files of external keys, made into a key set.
//!
//! ```text
//! events ──► register ─┐
//! key folder ──────────┼─► decide ─► "making" ─► key files ─► other events ─► key set
//! external keys ───────┘   (values)  (journal)   (one sync)    (journal)
//! ```
//!
//! `decide` is values in, values out. [`open`] does the reading and the writing around it, for any number of
//! zones at once, so that a thousand small zones cost a few syncs. A crash between any two steps is resumed at
//! the next start: a key is published only when its files are on disk and the journal says so.

mod commands;
mod decide;
mod steps;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use self::commands::{
    CommandError, Listed, Place, Stored, Wanted, Withdrawn, generate, import, list, own_ds, readmit,
    shown_by_servers, union_ds, withdraw,
};
#[cfg(test)]
pub(crate) use self::commands::{generate_on, import_on};
use self::decide::{Decision, Input, decide};
#[cfg(test)]
pub(crate) use self::steps::make_held_on;
pub use self::steps::{IfShown, StepError, ask_for, have_taken, make_held, turn, withdraw_by_plan};
use super::{
    algorithm::{Algorithm, SigningAlgorithm},
    external::{self, ExternalError},
    key::{Dnskey, KeyError, PrivateKey},
    keyfile::{
        KeyFile, KeyFileError,
        folder::{self, Existing, Folder},
        timing::Claim,
    },
    keyset::{KeySet, KeySetError, Publishing, Role},
    register::{Event, Evidence, Journal, JournalError, Register, Source, Trust},
};
use crate::{
    clock::UnixTime,
    disk::{Disk, System},
    wire::{Name, NameRef, Ttl},
};

/// What a person decided about a zone's keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Make a KSK and a ZSK for a zone that the state never saw and for which the folder holds nothing.
    pub make_keys: bool,
    /// The algorithm of keys that are made.
    pub algorithm: SigningAlgorithm,
    /// How the sets are published.
    pub publishing: Publishing,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            make_keys: true,
            algorithm: SigningAlgorithm::EcdsaP256Sha256,
            publishing: Publishing::default(),
        }
    }
}

/// A zone whose keys are to be opened.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The zone.
    pub apex: &'a Name,
    /// Its key folder.
    pub folder: &'a Path,
    /// Its files of external keys.
    pub external: &'a [PathBuf],
    /// The other providers that the configuration gives it. What others showed is forgotten.
    pub providers: &'a [String],
    /// What was seen at them since the last opening.
    pub observed: &'a [Observation],
    /// What a person decided.
    pub policy: &'a Policy,
    /// The set in use, whose id goes on when nothing changed that matters to signatures.
    pub previous: Option<&'a KeySet>,
}

/// What one source of a provider shows at one time, believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Observation {
    /// Where. Not a file.
    pub source: Source,
    /// By what.
    pub evidence: Evidence,
    /// All keys that it shows, ours among them.
    pub keys: Vec<Dnskey>,
    /// The TTL of the DNSKEY RRset, from an authoritative answer alone.
    pub ttl: Option<Ttl>,
    /// Why the provider is believed, where that is new.
    pub trust: Option<Trust>,
}

/// A zone's keys, ready for use.
#[derive(Debug)]
pub struct Opened {
    /// The set.
    pub keyset: Arc<KeySet>,
    /// What the set was made from.
    pub register: Register,
    /// What this opening added to the register: what changed.
    pub events: Vec<Event>,
    /// What a person should know; what stands is said again each time.
    pub notes: Vec<Note>,
}

/// A zone whose keys cannot be used as they are. What was in use goes on.
#[derive(Debug)]
pub struct Refused {
    /// Every problem at once.
    pub errors: Vec<CustodyError>,
    /// What a person should know besides.
    pub notes: Vec<Note>,
}

/// How much a note matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// For the log.
    Info,
    /// Somebody should look at it.
    Warning,
    /// Something asked for does not hold.
    Alarm,
}

/// Something a person should know about a zone's keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// A key in a file of external keys is or was ours; it is skipped.
    Ours {
        /// Its tag.
        tag: u16,
        /// The file.
        source: Source,
    },
    /// RRSIG records in a file of external keys were passed over.
    Signatures {
        /// The file.
        source: Source,
        /// How many.
        count: usize,
    },
    /// No source shows the key any more; it stays published.
    Kept {
        /// Its tag.
        tag: u16,
        /// Where it was.
        sources: Vec<Source>,
        /// Since when no source shows it.
        since: UnixTime,
    },
    /// A person withdrew the key, and sources still show it.
    Barred {
        /// Its tag.
        tag: u16,
        /// The sources that have not been without it since.
        sources: Vec<Source>,
        /// The person's reason.
        reason: String,
    },
    /// A file of external keys cannot be used; what is known from it goes on.
    ExternalIgnored {
        /// The error with its causes.
        error: String,
    },
    /// A key of a provider that is not published, for none of ours of its algorithm is.
    Withheld {
        /// Its tag.
        tag: u16,
        /// Where it is.
        sources: Vec<Source>,
        /// Its algorithm.
        algorithm: Algorithm,
    },
    /// A key that a provider shows is not merged.
    Refused {
        /// Its tag.
        tag: u16,
        /// Where it is shown.
        source: Source,
        /// Why not.
        reason: String,
    },
    /// A key of ours will not sign, because another does that work.
    NotSigning {
        /// Its tag.
        tag: u16,
        /// What it is for.
        role: Role,
        /// The key that does the work.
        covered_by: u16,
    },
    /// A key of an algorithm that the zone lacks is not even published.
    HeldBack {
        /// Its tag.
        tag: u16,
        /// Its algorithm.
        algorithm: Algorithm,
    },
    /// A key that was given up lies in the folder; it is not used.
    GivenUp {
        /// Its tag.
        tag: u16,
        /// Why it was given up.
        reason: String,
    },
    /// A key pair in the folder has the REVOKE flag; it is not used.
    Revoked {
        /// Its tag.
        tag: u16,
    },
    /// A private half whose public half is not known; it is not used.
    PrivateAlone {
        /// The file.
        path: PathBuf,
    },
    /// The files of a key were completed after an interrupted write.
    Completed {
        /// Its tag.
        tag: u16,
    },
    /// A key whose making was interrupted before its files were there.
    Abandoned {
        /// Its tag.
        tag: u16,
    },
    /// Times that lay ahead in a key's files are taken out: a date switches nothing here.
    Schedule {
        /// Its tag.
        tag: u16,
    },
    /// What is new about the keys could not be written, so the zone is served as it was.
    NothingNew {
        /// The error with its causes.
        error: String,
    },
    /// The state of keys could not be written into their files.
    NotWritten {
        /// The error with its causes.
        error: String,
    },
    /// A key of ours shares its tag with another key: validators may try only so many.
    TagShared {
        /// The tag.
        tag: u16,
    },
}

impl Note {
    /// How much it matters.
    pub fn level(&self) -> Level {
        match self {
            Self::Ours { .. }
            | Self::Signatures { .. }
            | Self::Completed { .. }
            | Self::Abandoned { .. }
            | Self::Schedule { .. } => Level::Info,
            Self::NotSigning { .. }
            | Self::HeldBack { .. }
            | Self::Withheld { .. }
            | Self::Kept { .. }
            | Self::GivenUp { .. }
            | Self::Revoked { .. }
            | Self::PrivateAlone { .. }
            | Self::NotWritten { .. }
            | Self::TagShared { .. } => Level::Warning,
            Self::Barred { .. }
            | Self::ExternalIgnored { .. }
            | Self::Refused { .. }
            | Self::NothingNew { .. } => Level::Alarm,
        }
    }
}

fn joined(sources: &[Source]) -> String {
    sources
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours { tag, source } => write!(f, "key {tag} in {source} is ours; it is skipped there"),
            Self::Signatures { source, count } => {
                write!(f, "{count} RRSIG records in {source} are passed over")
            }
            Self::Kept { tag, sources, since } => write!(
                f,
                "key {tag} is no longer in {} since {since}; it stays published until the plan `follow` withdraws it, or `keys withdraw`",
                joined(sources)
            ),
            Self::Barred { tag, sources, reason } => write!(
                f,
                "key {tag} was withdrawn ({reason}) and stays out, though it is still in {}; take it out there, or let it in again by `keys readmit`",
                joined(sources)
            ),
            Self::ExternalIgnored { error } => {
                write!(f, "{error}; the keys that are known from this file go on")
            }
            Self::Withheld {
                tag,
                sources,
                algorithm,
            } => write!(
                f,
                "key {tag} of {} is not published, for no key of ours of {algorithm} is: they come and go together, by a plan",
                joined(sources)
            ),
            Self::Refused { tag, source, reason } => {
                write!(f, "key {tag} of {source} is not merged: {reason}")
            }
            Self::NotSigning {
                tag,
                role,
                covered_by,
            } => write!(
                f,
                "{role} {tag} is published and does not sign, for key {covered_by} does that work; to switch, roll the key"
            ),
            Self::HeldBack { tag, algorithm } => write!(
                f,
                "key {tag} is not published: the zone has no keys of {algorithm}, and a first one needs a plan to change the algorithm"
            ),
            Self::GivenUp { tag, reason } => write!(
                f,
                "key {tag} in the key folder was given up ({reason}) and is not used; move its files away"
            ),
            Self::Revoked { tag } => {
                write!(
                    f,
                    "key {tag} in the key folder has the REVOKE flag and is not used"
                )
            }
            Self::PrivateAlone { path } => write!(
                f,
                "{} has no public half beside it and is not used",
                path.display()
            ),
            Self::Completed { tag } => {
                write!(f, "the files of key {tag} are completed after an interruption")
            }
            Self::Abandoned { tag } => {
                write!(
                    f,
                    "the making of key {tag} was interrupted; it is given up, nobody has seen it"
                )
            }
            Self::Schedule { tag } => write!(
                f,
                "the times ahead in the files of key {tag} are taken out: dates switch nothing here"
            ),
            Self::NothingNew { error } => write!(
                f,
                "what is new about the keys cannot be kept, so they are served as they were: {error}; make it good, then reload"
            ),
            Self::NotWritten { error } => {
                write!(
                    f,
                    "the state of the keys cannot be written into their files: {error}"
                )
            }
            Self::TagShared { tag } => {
                write!(f, "our key {tag} shares its tag with another key; roll ours")
            }
        }
    }
}

/// Why a zone's keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CustodyError {
    /// A key file.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The key folder, which several zones may share.
    #[error(transparent)]
    Folder(Arc<KeyFileError>),
    /// The register holds a key that the folder lacks.
    #[error(
        "the register holds key {tag} as {state}, but {folder} does not have its private half; put the file back, or bury the key: keys withdraw {apex} {tag} --force REASON"
    )]
    Missing {
        /// Its tag.
        tag: u16,
        /// Its state.
        state: Claim,
        /// The key folder.
        folder: PathBuf,
        /// The zone.
        apex: Name,
    },
    /// There are no keys, and none shall be made.
    #[error("{folder} holds no keys for {apex}; make some: keys generate {apex} --keys {folder}")]
    NoKeys {
        /// The zone.
        apex: Name,
        /// The key folder.
        folder: PathBuf,
    },
    /// The keys make no key set.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
    /// A file of external keys.
    #[error(transparent)]
    External(#[from] ExternalError),
    /// The register.
    #[error(transparent)]
    Journal(#[from] Arc<JournalError>),
    /// A key could not be made.
    #[error("cannot make a key")]
    Make(#[from] KeyError),
}

/// An error and its causes in one line, for notes that outlive the error.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// A zone on its way through [`open`].
enum Course {
    Decided(Box<Decision>),
    Refused(Refused),
}

/// Opens the keys of all `requests`: reads, decides, makes keys where the policy says so, and records what
/// happened. The results are in the order of the requests; one zone's trouble is no other's.
pub fn open(requests: &[Request<'_>], journal: &dyn Journal, now: UnixTime) -> Vec<Result<Opened, Refused>> {
    open_on(&System, requests, journal, now)
}

/// [`open`] with key folders on any disk.
pub(crate) fn open_on(
    disk: &dyn Disk,
    requests: &[Request<'_>],
    journal: &dyn Journal,
    now: UnixTime,
) -> Vec<Result<Opened, Refused>> {
    let mut folders = HashMap::new();
    let mut zones: Vec<Course> = requests
        .iter()
        .map(|request| {
            let folder = folders
                .entry(request.folder)
                .or_insert_with(|| Folder::list(request.folder).map_err(Arc::new));
            prepare(request, folder, journal, now)
        })
        .collect();
    record(requests, &mut zones, journal, |decision| &decision.before);
    write_keys(disk, requests, &mut zones);
    record(requests, &mut zones, journal, |decision| &decision.after);
    write_states(disk, requests, &mut zones);
    zones.into_iter().map(finish).collect()
}

/// What [`open`] would say, with nothing written, made or recorded.
pub fn examine(
    requests: &[Request<'_>],
    journal: &dyn Journal,
    now: UnixTime,
) -> Vec<Result<Vec<Note>, Refused>> {
    let mut folders = HashMap::new();
    let examined = requests.iter().map(|request| {
        let folder = folders
            .entry(request.folder)
            .or_insert_with(|| Folder::list(request.folder).map_err(Arc::new));
        match prepare(request, folder, journal, now) {
            Course::Decided(decision) => Ok(decision.notes),
            Course::Refused(refused) => Err(refused),
        }
    });
    examined.collect()
}

fn prepare(
    request: &Request<'_>,
    folder: &Result<Folder, Arc<KeyFileError>>,
    journal: &dyn Journal,
    now: UnixTime,
) -> Course {
    let refused = |error| {
        Course::Refused(Refused {
            errors: vec![error],
            notes: Vec::new(),
        })
    };
    let folder = match folder {
        Ok(folder) => folder,
        Err(error) => return refused(CustodyError::Folder(Arc::clone(error))),
    };
    let apex = request.apex.as_ref();
    let events = match journal.events(apex) {
        Ok(events) => events,
        Err(error) => return refused(Arc::new(error).into()),
    };
    let external = request.external.iter().map(|path| {
        let path = absolute(path);
        let found = external::read(&path, apex);
        (Source::File(path), found)
    });
    let input = Input {
        apex,
        folder: absolute(request.folder),
        register: Register::of(&events),
        file_tags: folder.tags(apex),
        contents: folder.read(apex),
        external: external.collect(),
        providers: request.providers,
        observed: request.observed,
        policy: request.policy,
        previous: request.previous,
        now,
    };
    match decide(input, &mut PrivateKey::generate) {
        Ok(decision) => Course::Decided(Box::new(decision)),
        Err(refused) => Course::Refused(refused),
    }
}

/// Appends what `select` picks of every zone's decision, all zones at once.
fn record(
    requests: &[Request<'_>],
    zones: &mut [Course],
    journal: &dyn Journal,
    select: impl Fn(&Decision) -> &Vec<Event>,
) {
    let mut batch = Vec::new();
    let mut concerned = Vec::new();
    for (at, (request, zone)) in requests.iter().zip(zones.iter()).enumerate() {
        if let Course::Decided(decision) = zone
            && !select(decision).is_empty()
        {
            batch.push((request.apex.clone(), select(decision).clone()));
            concerned.push(at);
        }
    }
    if batch.is_empty() {
        return;
    }
    if let Err(error) = journal.append(&batch) {
        let error = Arc::new(error);
        for at in concerned {
            refuse(&mut zones[at], Arc::clone(&error).into());
        }
    }
}

/// What was decided cannot be written. At a start the zone is served as its register stands.
fn refuse(zone: &mut Course, error: CustodyError) {
    let mut notes = match zone {
        Course::Decided(decision) => std::mem::take(&mut decision.notes),
        Course::Refused(refused) => std::mem::take(&mut refused.notes),
    };
    if let Course::Decided(decision) = zone
        && decision.stand()
    {
        let error = with_causes(&error);
        notes.push(Note::NothingNew { error });
        decision.notes = notes;
        return;
    }
    *zone = Course::Refused(Refused {
        errors: vec![error],
        notes,
    });
}

/// Writes new and completed key files, and makes sure of those that were found: one batch a folder, and zone by zone
/// where the batch fails, so that one zone's trouble is not the others'.
fn write_keys(disk: &dyn Disk, requests: &[Request<'_>], zones: &mut [Course]) {
    let stages: [Stage; 3] = [
        |disk, folder, files| folder::write(disk, folder, &files.make, Existing::Refuse),
        |disk, folder, files| folder::write(disk, folder, &files.complete, Existing::Replace),
        |disk, folder, files| folder::settle(disk, folder, &files.settle),
    ];
    for folder in folders_of(requests) {
        let mut concerned = Vec::new();
        for (at, (request, zone)) in requests.iter().zip(zones.iter()).enumerate() {
            if request.folder == folder
                && let Course::Decided(decision) = zone
                && decision.touches_files()
            {
                concerned.push(at);
                for stem in &decision.discard {
                    folder::discard_leftovers(disk, folder, stem);
                }
            }
        }
        for stage in stages {
            let mut batch = Files::default();
            concerned.iter().for_each(|at| batch.add(&zones[*at]));
            if stage(disk, folder, &batch).is_ok() {
                continue;
            }
            for at in &concerned {
                let mut of_zone = Files::default();
                of_zone.add(&zones[*at]);
                if let Err(error) = stage(disk, folder, &of_zone) {
                    refuse(&mut zones[*at], error.into());
                }
            }
        }
    }
}

/// One thing after the other is done with the files of a folder.
type Stage = fn(&dyn Disk, &Path, &Files) -> Result<(), KeyFileError>;

/// What is to be done in a key folder.
#[derive(Default)]
struct Files {
    make: Vec<KeyFile>,
    complete: Vec<KeyFile>,
    settle: Vec<String>,
}

impl Files {
    fn add(&mut self, zone: &Course) {
        if let Course::Decided(decision) = zone {
            self.make.extend(decision.make.iter().cloned());
            self.complete.extend(decision.complete.iter().cloned());
            self.settle.extend(decision.settle.iter().cloned());
        }
    }
}

/// Writes states into timing fields where they say something else. A failure is a note: the register knows.
fn write_states(disk: &dyn Disk, requests: &[Request<'_>], zones: &mut [Course]) {
    for folder in folders_of(requests) {
        let mut files: Vec<KeyFile> = Vec::new();
        let mut concerned = Vec::new();
        for (at, (request, zone)) in requests.iter().zip(zones.iter()).enumerate() {
            if request.folder == folder
                && let Course::Decided(decision) = zone
                && !decision.rewrite.is_empty()
            {
                files.extend(decision.rewrite.iter().cloned());
                concerned.push(at);
            }
        }
        if let Err(error) = folder::write(disk, folder, &files, Existing::Replace) {
            let error = with_causes(&error);
            for at in concerned {
                if let Course::Decided(decision) = &mut zones[at] {
                    decision.notes.push(Note::NotWritten { error: error.clone() });
                }
            }
        }
    }
}

fn folders_of<'a>(requests: &[Request<'a>]) -> Vec<&'a Path> {
    let mut folders: Vec<&Path> = requests.iter().map(|request| request.folder).collect();
    folders.sort_unstable();
    folders.dedup();
    folders
}

fn finish(zone: Course) -> Result<Opened, Refused> {
    match zone {
        Course::Refused(refused) => Err(refused),
        Course::Decided(decision) => {
            let Decision {
                before,
                after,
                keyset,
                register,
                notes,
                ..
            } = *decision;
            Ok(Opened {
                keyset: Arc::new(keyset),
                register,
                events: before.into_iter().chain(after).collect(),
                notes,
            })
        }
    }
}

/// The path from the root, so that the same file has one name whatever the current folder is.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.into())
}

/// The register of a zone as the journal has it.
fn register_of(journal: Option<&dyn Journal>, apex: NameRef<'_>) -> Result<Register, Arc<JournalError>> {
    match journal {
        Some(journal) => Ok(Register::of(&journal.events(apex)?)),
        None => Ok(Register::default()),
    }
}
