//! What people do with keys: make, list, import, withdraw; and the DS records to hand to the parent.
//!
//! Each works with or without a journal: a new user makes keys before there is any state, and then the timing
//! fields in the key files carry what the register would. Whatever is added here is served at the next reload.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    CustodyError, Note, absolute,
    decide::{avoid, first_state, tags_in_sight, with_free_tag},
    register_of,
};
use crate::{
    clock::UnixTime,
    disk::{Disk, System},
    dnssec::{
        algorithm::{DigestType, SigningAlgorithm},
        key::{Dnskey, PrivateKey, SEP, ZONE},
        keyfile::{
            KeyFile, KeyFileError,
            folder::{self, Contents, Existing, Folder},
            timing::{Claim, Timing},
        },
        keyset::{KeyState, Role, Work},
        register::{Event, Journal, OwnState, Register, Source, What},
    },
    wire::{Name, NameRef},
};

/// Where a zone's keys are.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The zone.
    pub apex: &'a Name,
    /// Its key folder.
    pub folder: &'a Path,
    /// The register, where there is a state folder.
    pub journal: Option<&'a dyn Journal>,
}

/// A key to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Its algorithm.
    pub algorithm: SigningAlgorithm,
    /// What it is for.
    pub role: Role,
}

/// A key that is in the folder now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// The key.
    pub dnskey: Dnskey,
    /// Its files, without their endings.
    pub path: PathBuf,
    /// The state in which it begins.
    pub state: Claim,
    /// Whether it was there before.
    pub was_there: bool,
    /// Why it will not sign, when it will not.
    pub note: Option<Note>,
}

/// A key for a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// The key.
    pub dnskey: Dnskey,
    /// What it is for.
    pub role: Role,
    /// Whether it is ours.
    pub own: bool,
    /// Where a provider's key was seen.
    pub sources: Vec<Source>,
    /// The state in words.
    pub state: String,
    /// Since when, as far as is known.
    pub since: Option<UnixTime>,
    /// Whether it is in the DNSKEY RRset.
    pub published: bool,
    /// Whether it signs here.
    pub signs: bool,
    /// Whether its files are in the folder.
    pub in_folder: bool,
}

/// A key that was withdrawn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Withdrawn {
    /// The key.
    pub dnskey: Dnskey,
    /// Whether it was ours.
    pub own: bool,
    /// The sources that still show it: it stays out until each has been without it.
    pub still_in: Vec<Source>,
}

/// Why something that a person asked for was not done. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Keys, files or register.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// No key of that tag that could be meant.
    #[error("{apex} has no key {tag} for this; its keys are {known}")]
    NoSuchKey {
        /// The zone.
        apex: Name,
        /// The tag.
        tag: u16,
        /// The tags that could be meant.
        known: String,
    },
    /// Two keys share the tag.
    #[error("several keys of {apex} have the tag {tag}:\n{keys}")]
    Ambiguous {
        /// The zone.
        apex: Name,
        /// The tag.
        tag: u16,
        /// The keys, one a line.
        keys: String,
    },
    /// Our key is not lost.
    #[error(
        "key {tag} is ours and both its halves are in {folder}, so it is not lost; a key that works goes by a plan"
    )]
    NotLost {
        /// Its tag.
        tag: u16,
        /// The key folder.
        folder: PathBuf,
    },
    /// A key that was given up is not taken back.
    #[error("key {tag} was given up and cannot come back; make a new one: keys generate {apex}")]
    GivenUp {
        /// Its tag.
        tag: u16,
        /// The zone.
        apex: Name,
    },
    /// A key with the REVOKE flag.
    #[error("key {tag} has the REVOKE flag and cannot be used")]
    Revoked {
        /// Its tag.
        tag: u16,
    },
}

impl From<KeyFileError> for CommandError {
    fn from(error: KeyFileError) -> Self {
        Self::Custody(error.into())
    }
}

impl From<crate::dnssec::register::JournalError> for CommandError {
    fn from(error: crate::dnssec::register::JournalError) -> Self {
        Self::Custody(Arc::new(error).into())
    }
}

/// How much of a key is in the folder.
enum Halves {
    One,
    Both,
}

/// Register and folder of a zone, as a command sees them.
pub(super) struct View {
    pub(super) register: Register,
    contents: Contents,
    pub(super) file_tags: Vec<u16>,
}

impl View {
    /// Reads both. While the register is new, what the files claim stands for it.
    pub(super) fn of(place: Place<'_>, now: UnixTime) -> Result<Self, CommandError> {
        let apex = place.apex.as_ref();
        let mut register = register_of(place.journal, apex).map_err(CustodyError::from)?;
        let folder = Folder::list(place.folder)?;
        let contents = folder.read(apex);
        if register.is_new() {
            for stored in &contents.keys {
                let key = stored.file.dnskey.clone();
                let state = stored.file.timing.claim(now);
                let at = stored.file.timing.since(state).unwrap_or(now);
                let what = What::Imported { key, state };
                register.apply(&Event { at, what });
            }
        }
        Ok(Self {
            register,
            contents,
            file_tags: folder.tags(apex),
        })
    }

    pub(super) fn in_folder(&self, key: &Dnskey) -> bool {
        self.contents.keys.iter().any(|stored| stored.file.dnskey == *key)
    }

    /// Under which name files of the key are in the folder. An interrupted import leaves one half.
    fn stem_of(&self, apex: NameRef<'_>, key: &Dnskey) -> Option<(String, Halves)> {
        let mut whole = self.contents.keys.iter();
        if let Some(stored) = whole.find(|stored| stored.file.dnskey == *key) {
            return Some((stored.file.stem(), Halves::Both));
        }
        let mut private = self.contents.private_alone.iter();
        if let Some(stored) = private.find_map(|half| half.with_public(apex, key)) {
            return Some((stored.file.stem(), Halves::One));
        }
        let mut public = self.contents.public_alone.iter();
        let (_, path) = public.find(|(known, _)| known == key)?;
        Some((path.file_stem()?.to_str()?.to_owned(), Halves::One))
    }

    pub(super) fn without_errors(mut self) -> Result<Self, CommandError> {
        match self.contents.errors.pop() {
            Some(error) => Err(error.into()),
            None => Ok(self),
        }
    }
}

pub(super) fn append(place: Place<'_>, whats: Vec<What>, now: UnixTime) -> Result<(), CommandError> {
    let Some(journal) = place.journal else {
        return Ok(());
    };
    let events = whats.into_iter().map(|what| Event { at: now, what }).collect();
    Ok(journal.append(&[(place.apex.clone(), events)])?)
}

/// Makes keys. They sign only when no other key does their work (the notes say so).
///
/// # Errors
/// When the folder or the register cannot be used. Then nothing that anybody has seen is there.
pub fn generate(place: Place<'_>, wanted: &[Wanted], now: UnixTime) -> Result<Vec<Stored>, CommandError> {
    generate_on(&System, place, wanted, now)
}

/// [`generate`] with the key folder on any disk.
pub(crate) fn generate_on(
    disk: &dyn Disk,
    place: Place<'_>,
    wanted: &[Wanted],
    now: UnixTime,
) -> Result<Vec<Stored>, CommandError> {
    let view = View::of(place, now)?.without_errors()?;
    let mut taken = tags_in_sight(&view.register, &view.file_tags);
    let mut files = Vec::new();
    let mut stored = Vec::new();
    let mut making = Vec::new();
    for wanted in wanted {
        let flags = if wanted.role == Role::Zsk {
            ZONE
        } else {
            ZONE | SEP
        };
        let (dnskey, private) = with_free_tag(wanted.algorithm, flags, &taken, &mut PrivateKey::generate)
            .map_err(CustodyError::from)?;
        avoid(&mut taken, &dnskey);
        let (state, note) = first_state(&view.register, &dnskey, Claim::Active);
        let timing = Timing::default().saying(state, now);
        let file = KeyFile::new(place.apex.clone(), dnskey.clone(), private, timing);
        stored.push(Stored {
            path: place.folder.join(file.stem()),
            dnskey: dnskey.clone(),
            state,
            was_there: false,
            note,
        });
        making.push(What::Making { key: dnskey, state });
        files.push(file);
    }
    append(place, making, now)?;
    folder::write(disk, place.folder, &files, Existing::Refuse)?;
    let made = stored.iter().map(|key| What::Made {
        key: key.dnskey.clone(),
    });
    let path = absolute(place.folder);
    let folder = (view.register.folder.as_ref() != Some(&path)).then_some(What::Folder { path });
    append(place, made.chain(folder).collect(), now)?;
    Ok(stored)
}

/// Takes key pairs that were made elsewhere; `files` name either half. All of them or none.
///
/// # Errors
/// When a file cannot be used, is a key of another zone, or was given up before.
pub fn import(place: Place<'_>, files: &[PathBuf], now: UnixTime) -> Result<Vec<Stored>, CommandError> {
    import_on(&System, place, files, now)
}

/// [`import`] with the key folder on any disk.
pub(crate) fn import_on(
    disk: &dyn Disk,
    place: Place<'_>,
    files: &[PathBuf],
    now: UnixTime,
) -> Result<Vec<Stored>, CommandError> {
    let view = View::of(place, now)?.without_errors()?;
    // What the files in the folder claim is not yet in the register.
    let recorded = register_of(place.journal, place.apex.as_ref()).map_err(CustodyError::from)?;
    let (mut write, mut complete, mut settle) = (Vec::new(), Vec::new(), Vec::new());
    let mut whats = Vec::new();
    let mut stored: Vec<Stored> = Vec::new();
    for path in files {
        let mut file = folder::read_named(path, place.apex.as_ref())?.file;
        let (key, tag) = (file.dnskey.clone(), file.dnskey.key_tag());
        if stored.iter().any(|stored| stored.dnskey == key) {
            continue;
        }
        if key.is_revoked() {
            return Err(CommandError::Revoked { tag });
        }
        let known = recorded.own.get(&key).map(|own| &own.state);
        if known.is_some_and(OwnState::is_tombstone) {
            let apex = place.apex.clone();
            return Err(CommandError::GivenUp { tag, apex });
        }
        let claim = file.timing.claim(now);
        let (state, note) = match known {
            Some(OwnState::Is(state)) => (*state, None),
            _ if view.in_folder(&key) && recorded.is_new() => (claim, None),
            _ => first_state(&view.register, &key, claim),
        };
        let there = view.stem_of(place.apex.as_ref(), &key);
        let was_there = matches!(there, Some((_, Halves::Both)));
        file.found_as = there.as_ref().map(|(stem, _)| stem.clone());
        if file.timing.claim(now) != state || file.timing.has_plans(now) {
            file.timing = file.timing.saying(state, now);
        }
        match there {
            None => write.push(file.clone()),
            Some((_, Halves::One)) => complete.push(file.clone()),
            Some((stem, Halves::Both)) => settle.push(stem),
        }
        if !matches!(known, Some(OwnState::Is(_))) {
            whats.push(What::Imported {
                key: key.clone(),
                state,
            });
        }
        stored.push(Stored {
            dnskey: key,
            path: place.folder.join(file.stem()),
            state,
            was_there,
            note,
        });
    }
    folder::write(disk, place.folder, &write, Existing::Refuse)?;
    folder::write(disk, place.folder, &complete, Existing::Replace)?;
    folder::settle(disk, place.folder, &settle)?;
    let path = absolute(place.folder);
    if recorded.folder.as_ref() != Some(&path) {
        whats.push(What::Folder { path });
    }
    append(place, whats, now)?;
    Ok(stored)
}

/// All keys of the zone that are known: ours first, then the other providers'; what is published before what is
/// not; KSKs first.
///
/// # Errors
/// When the folder or the register cannot be read. Single files that cannot be used are in the second part.
pub fn list(place: Place<'_>, now: UnixTime) -> Result<(Vec<Listed>, Vec<KeyFileError>), CommandError> {
    let view = View::of(place, now)?;
    let register = &view.register;
    let work = Work::of(register.own_at_work(), |key| key);
    let ours = register.own.iter().map(|(key, own)| Listed {
        dnskey: key.clone(),
        role: match key.is_sep() {
            true if work.data.contains(&key) => Role::Csk,
            true => Role::Ksk,
            false => Role::Zsk,
        },
        own: true,
        sources: Vec::new(),
        state: match &own.state {
            OwnState::Making(_) => "being made".into(),
            OwnState::Abandoned => "abandoned".into(),
            OwnState::Is(state) => state.to_string(),
            OwnState::Lost { reason } => format!("lost ({reason})"),
        },
        since: Some(own.since),
        published: own.state.in_set().is_some(),
        signs: own.state.at_work().is_some_and(KeyState::signs),
        in_folder: view.in_folder(key),
    });
    // Only in the folder: the next reload takes them.
    let unknown = view
        .contents
        .keys
        .iter()
        .filter(|stored| !register.own.contains_key(&stored.file.dnskey));
    let unknown = unknown.map(|stored| Listed {
        dnskey: stored.file.dnskey.clone(),
        role: if stored.file.dnskey.is_sep() {
            Role::Ksk
        } else {
            Role::Zsk
        },
        own: true,
        sources: Vec::new(),
        state: "new".into(),
        since: None,
        published: false,
        signs: false,
        in_folder: true,
    });
    let withheld: BTreeSet<&Dnskey> = register.foreign_withheld().map(|(key, ..)| key).collect();
    let theirs = register.foreign.iter().filter(|(key, _)| !register.is_own(key));
    let theirs = theirs.map(|(key, foreign)| Listed {
        dnskey: key.clone(),
        role: if key.is_sep() { Role::Ksk } else { Role::Zsk },
        own: false,
        sources: foreign.ever_shown_by.iter().cloned().collect(),
        state: match foreign.in_set() {
            Some(_) if withheld.contains(key) => "withheld".into(),
            Some(state) => state.to_string(),
            None => "withdrawn".into(),
        },
        since: Some(foreign.first_seen),
        published: foreign.in_set().is_some() && !withheld.contains(key),
        signs: false,
        in_folder: false,
    });
    let mut listed: Vec<Listed> = ours.chain(unknown).chain(theirs).collect();
    listed.sort_by_key(|key| (!key.own, !key.published, key.role, key.dnskey.key_tag()));
    Ok((listed, view.contents.errors))
}

/// The DS rdata of our KSKs and CSKs: published, or about to be.
///
/// # Errors
/// When the folder or the register cannot be read, or a key file cannot be used.
pub fn own_ds(
    place: Place<'_>,
    digest_type: DigestType,
    now: UnixTime,
) -> Result<Vec<Box<[u8]>>, CommandError> {
    let view = View::of(place, now)?.without_errors()?;
    let wanted = view
        .register
        .own_in_set()
        .filter(|(_, state)| *state != KeyState::Retired);
    let wanted = wanted.filter(|(key, _)| key.is_sep());
    Ok(wanted
        .map(|(key, _)| key.ds(place.apex.as_ref(), digest_type))
        .collect())
}

/// The DS rdata of every provider's KSK and CSK that is published, ours among them.
pub fn union_ds(apex: NameRef<'_>, register: &Register, digest_type: DigestType) -> Vec<Box<[u8]>> {
    let ours = register
        .own_in_set()
        .filter(|(_, state)| *state != KeyState::Retired);
    let theirs = register.foreign_in_set().map(|(key, _, state)| (key, state));
    let mut keys: Vec<&Dnskey> = ours.chain(theirs).map(|(key, _)| key).collect();
    keys.sort_unstable();
    let entry = keys.into_iter().filter(|key| key.is_sep());
    entry.map(|key| key.ds(apex, digest_type)).collect()
}

/// The one key of `candidates` with `tag`.
fn only(apex: NameRef<'_>, tag: u16, candidates: Vec<&Dnskey>) -> Result<Dnskey, CommandError> {
    let meant: Vec<&&Dnskey> = candidates.iter().filter(|key| key.key_tag() == tag).collect();
    match meant[..] {
        [key] => Ok((**key).clone()),
        [] => {
            let tags: Vec<String> = candidates.iter().map(|key| key.key_tag().to_string()).collect();
            Err(CommandError::NoSuchKey {
                apex: apex.to_owned(),
                tag,
                known: if tags.is_empty() {
                    "none".into()
                } else {
                    tags.join(", ")
                },
            })
        }
        _ => {
            let keys: Vec<String> = meant.iter().map(|key| key.to_string()).collect();
            Err(CommandError::Ambiguous {
                apex: apex.to_owned(),
                tag,
                keys: keys.join("\n"),
            })
        }
    }
}

/// The servers of other providers that show a key with this tag.
///
/// # Errors
/// When the register cannot be read.
pub fn shown_by_servers(apex: &Name, tag: u16, journal: &dyn Journal) -> Result<Vec<Source>, CommandError> {
    let register = register_of(Some(journal), apex.as_ref()).map_err(CustodyError::from)?;
    let meant = register.foreign.iter().filter(|(key, _)| key.key_tag() == tag);
    let sources = meant.flat_map(|(_, foreign)| &foreign.shown_by);
    let servers = sources.filter(|source| matches!(source, Source::Server { .. }));
    Ok(servers.cloned().collect())
}

/// Withdraws another provider's key, or buries a lost one of ours. `folder` is the key folder, where it is
/// known; otherwise the one in which the register last saw it.
///
/// # Errors
/// When no key or more than one has that tag, or our key is not lost.
pub fn withdraw(
    apex: &Name,
    tag: u16,
    reason: &str,
    folder: Option<&Path>,
    journal: &dyn Journal,
    now: UnixTime,
) -> Result<Withdrawn, CommandError> {
    let register = register_of(Some(journal), apex.as_ref()).map_err(CustodyError::from)?;
    let ours = register
        .own
        .iter()
        .filter(|(_, own)| matches!(own.state, OwnState::Is(_)) && !own.state.is_tombstone());
    let theirs = register.foreign_in_set().chain(register.foreign_withheld());
    let theirs = theirs.map(|(key, ..)| key);
    let candidates = ours.map(|(key, _)| key).chain(theirs).collect();
    let key = only(apex.as_ref(), tag, candidates)?;
    let own = register.is_own(&key);
    let reason = reason.to_owned();
    let mut still_in = Vec::new();
    let what = if own {
        if let Some(folder) = folder.or(register.folder.as_deref())
            && Folder::list(folder)?
                .read(apex.as_ref())
                .keys
                .iter()
                .any(|stored| stored.file.dnskey == key)
        {
            let folder = folder.into();
            return Err(CommandError::NotLost { tag, folder });
        }
        What::Lost {
            key: key.clone(),
            reason,
        }
    } else {
        still_in.extend(register.foreign[&key].shown_by.iter().cloned());
        What::Withdrawn {
            key: key.clone(),
            reason,
        }
    };
    journal.append(&[(apex.clone(), vec![Event { at: now, what }])])?;
    Ok(Withdrawn {
        dnskey: key,
        own,
        still_in,
    })
}

/// Lets a provider's key that a person withdrew in again.
///
/// # Errors
/// When no withdrawn key or more than one has that tag.
pub fn readmit(apex: &Name, tag: u16, journal: &dyn Journal, now: UnixTime) -> Result<Dnskey, CommandError> {
    let register = register_of(Some(journal), apex.as_ref()).map_err(CustodyError::from)?;
    let withdrawn = register
        .foreign
        .iter()
        .filter(|(_, foreign)| foreign.in_set().is_none());
    let key = only(apex.as_ref(), tag, withdrawn.map(|(key, _)| key).collect())?;
    let what = What::Readmitted { key: key.clone() };
    journal.append(&[(apex.clone(), vec![Event { at: now, what }])])?;
    Ok(key)
}
