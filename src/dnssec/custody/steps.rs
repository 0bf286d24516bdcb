//! What a plan does with keys: makes them, turns them, takes another provider's out. Each may be done again after a
//! crash, and then changes nothing; what follows is served when the zone's keys are opened anew.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    CommandError, CustodyError, Place, Wanted, absolute,
    commands::{View, append},
    decide::{tags_in_sight, with_free_tag},
    register_of,
};
use crate::{
    clock::UnixTime,
    disk::{Disk, System},
    dnssec::{
        algorithm::Algorithm,
        csync::Csync,
        key::{Dnskey, PrivateKey, SEP, ZONE},
        keyfile::{
            KeyFile,
            folder::{self, Existing},
            timing::{Claim, Timing},
        },
        keyset::{KeyState, Role, Work},
        register::{OwnState, Register, Source, What},
    },
};

/// Why a step of a plan cannot be done with the keys as they are. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Keys, files or register.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// Not a key of ours that can pass into another state.
    #[error("key {tag} is not a key of ours that can be made {wanted}: it is {found}")]
    CannotTurn {
        /// Its tag.
        tag: u16,
        /// The state that it should pass into.
        wanted: Claim,
        /// Where it stands.
        found: String,
    },
    /// A key without its files.
    #[error("key {tag} should be {wanted}, and its files are not in the key folder; put them back")]
    NoFiles {
        /// Its tag.
        tag: u16,
        /// The state that it should pass into.
        wanted: Claim,
    },
    /// Nothing would sign.
    #[error("without key {tag} nothing would sign {what}")]
    NothingSigns {
        /// The key that would stop to sign.
        tag: u16,
        /// What.
        what: &'static str,
    },
    /// A DS RRset that would lead to no signature of ours.
    #[error(
        "CDS for {asked} would leave the parent without a DS for any key of ours that signs the DNSKEY RRset"
    )]
    LeavesUsOut {
        /// The keys that were to be asked for, by their tags.
        asked: String,
    },
    /// A key that must not get a DS.
    #[error("CDS cannot ask for key {tag}: {why}")]
    NoEntry {
        /// Its tag.
        tag: u16,
        /// Why not.
        why: &'static str,
    },
    /// An algorithm is in the DNSKEY RRset with all that is signed by it, or not at all.
    #[error(
        "keys of {algorithm} would be in the DNSKEY RRset while others of it sign unpublished: an algorithm comes and goes as a whole"
    )]
    AlgorithmInPart {
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// Who demands every algorithm of the DNSKEY RRset would find no signature.
    #[error(
        "keys of {algorithm} would be in the DNSKEY RRset, and nothing would sign {what} with {algorithm}"
    )]
    NothingSignsWith {
        /// The algorithm.
        algorithm: Algorithm,
        /// What.
        what: &'static str,
    },
    /// A key that is not gone.
    #[error("key {tag} is not gone: {} shows it again, so it stays published here", names(.shown_by))]
    NotGone {
        /// Its tag.
        tag: u16,
        /// Who shows it.
        shown_by: BTreeSet<Source>,
    },
    /// A key of ours, where another provider's is meant.
    #[error("key {tag} is ours, and not to be taken out as another provider's")]
    Ours {
        /// Its tag.
        tag: u16,
    },
}

fn names(sources: &BTreeSet<Source>) -> String {
    let names: Vec<String> = sources.iter().map(Source::to_string).collect();
    names.join(", ")
}

/// What becomes of another provider's key that is to be withdrawn while some source shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IfShown {
    /// It stays: it was to be gone.
    Stays,
    /// It goes, and stays out until every source has been without it: nobody is to be sent to who signs with it.
    Goes,
}

impl From<Arc<super::JournalError>> for StepError {
    fn from(error: Arc<super::JournalError>) -> Self {
        Self::Command(CustodyError::from(error).into())
    }
}

/// Makes a key that nobody sees yet. `known`: keys that were made before and belong to something; another one that
/// waits in the register, as a crash leaves it, is taken instead of a new one.
///
/// # Errors
/// When the folder or the register cannot be used.
pub fn make_held(
    place: Place<'_>,
    wanted: Wanted,
    known: &[Dnskey],
    now: UnixTime,
) -> Result<Dnskey, StepError> {
    make_held_on(&System, place, wanted, known, now)
}

/// [`make_held`] with the key folder on any disk.
pub(crate) fn make_held_on(
    disk: &dyn Disk,
    place: Place<'_>,
    wanted: Wanted,
    known: &[Dnskey],
    now: UnixTime,
) -> Result<Dnskey, StepError> {
    let view = View::of(place, now)?.without_errors()?;
    let flags = if wanted.role == Role::Zsk {
        ZONE
    } else {
        ZONE | SEP
    };
    let waits = view.register.own.iter().find(|(key, own)| {
        own.state == OwnState::Is(Claim::Held)
            && key.flags() == flags
            && key.algorithm() == wanted.algorithm.number()
            && view.in_folder(key)
            && !known.contains(key)
    });
    if let Some((key, _)) = waits {
        return Ok(key.clone());
    }
    let taken = tags_in_sight(&view.register, &view.file_tags);
    let (dnskey, private) = with_free_tag(wanted.algorithm, flags, &taken, &mut PrivateKey::generate)
        .map_err(|error| CommandError::from(CustodyError::from(error)))?;
    let timing = Timing::default().saying(Claim::Held, now);
    let file = KeyFile::new(place.apex.clone(), dnskey.clone(), private, timing);
    let (key, state) = (dnskey.clone(), Claim::Held);
    append(place, vec![What::Making { key, state }], now)?;
    folder::write(disk, place.folder, &[file], Existing::Refuse).map_err(CommandError::from)?;
    let path = absolute(place.folder);
    let folder = (view.register.folder.as_ref() != Some(&path)).then_some(What::Folder { path });
    let key = dnskey.clone();
    append(
        place,
        [What::Made { key }].into_iter().chain(folder).collect(),
        now,
    )?;
    Ok(dnskey)
}

/// Keys of ours pass into other states, all at one moment.
///
/// # Errors
/// When one of them cannot, or nothing would sign.
pub fn turn(place: Place<'_>, keys: &[(Dnskey, Claim)], now: UnixTime) -> Result<(), StepError> {
    let view = View::of(place, now)?;
    let mut whats = Vec::new();
    for (key, wanted) in keys {
        let tag = key.key_tag();
        let wanted = *wanted;
        match view.register.own.get(key).map(|own| &own.state) {
            Some(OwnState::Is(state)) if *state == wanted => continue,
            Some(OwnState::Is(state)) if may_become(*state, wanted) => {}
            state => {
                let found = state.map_or("not in the register".to_owned(), in_words);
                return Err(StepError::CannotTurn { tag, wanted, found });
            }
        }
        if wanted != Claim::Gone && !view.in_folder(key) {
            return Err(StepError::NoFiles { tag, wanted });
        }
        let (key, state) = (key.clone(), wanted);
        whats.push(What::Turned { key, state });
    }
    if whats.is_empty() {
        return Ok(());
    }
    all_is_signed(&view.register, keys)?;
    Ok(append(place, whats, now)?)
}

fn in_words(state: &OwnState) -> String {
    match state {
        OwnState::Making(_) => "being made".to_owned(),
        OwnState::Abandoned => "abandoned".to_owned(),
        OwnState::Is(state) => state.to_string(),
        OwnState::Lost { reason } => format!("lost ({reason})"),
    }
}

/// What was given up does not come back, what is published is not hidden without a plan's end, and a key signs unpublished
/// only before it is published and after it was active.
fn may_become(state: Claim, wanted: Claim) -> bool {
    match (state, wanted) {
        (Claim::Gone, _) | (_, Claim::Held) => false,
        (_, Claim::PreActive) => state == Claim::Held,
        (_, Claim::PostActive) => state == Claim::Active,
        (Claim::PreActive | Claim::PostActive, _) => matches!(wanted, Claim::Active | Claim::Gone),
        _ => true,
    }
}

/// Whether after the turn some key signs the DNSKEY RRset, and every algorithm that was touched is in the DNSKEY RRset
/// with signatures by it over everything, or not at all (RFC 4035 §2.2).
fn all_is_signed(register: &Register, keys: &[(Dnskey, Claim)]) -> Result<(), StepError> {
    let turned = |key: &Dnskey| {
        keys.iter()
            .find(|(turned, _)| turned == key)
            .map(|(_, claim)| *claim)
    };
    let after: Vec<(&Dnskey, KeyState)> = register
        .own
        .iter()
        .filter_map(|(key, own)| {
            let state = turned(key).map_or_else(|| own.state.at_work(), Claim::state);
            Some((key, state?))
        })
        .collect();
    let work = Work::of(after.iter().copied(), |key| key);
    let stops = |key: &&(Dnskey, Claim)| !key.1.state().is_some_and(KeyState::signs);
    let tag = keys.iter().find(stops).map_or(0, |(key, _)| key.key_tag());
    if work.dnskey.is_empty() {
        let what = "the DNSKEY RRset";
        return Err(StepError::NothingSigns { tag, what });
    }
    let touched: BTreeSet<Algorithm> = keys.iter().map(|(key, _)| key.algorithm()).collect();
    for algorithm in touched {
        let of_it = || after.iter().filter(|(key, _)| key.algorithm() == algorithm);
        if of_it().all(|(_, state)| state.is_unpublished()) {
            continue;
        }
        if of_it().any(|(_, state)| state.is_unpublished()) {
            return Err(StepError::AlgorithmInPart { algorithm });
        }
        let by_it = |signers: &[&Dnskey]| signers.iter().any(|key| key.algorithm() == algorithm);
        for (what, signers) in [("the DNSKEY RRset", &work.dnskey), ("the data", &work.data)] {
            if !by_it(signers) {
                return Err(StepError::NothingSignsWith { algorithm, what });
            }
        }
    }
    Ok(())
}

/// CDS and CDNSKEY ask the parent for exactly these keys from now on; none: both go. What was asked for before may
/// still be asked for, though the key is gone: its DS goes last.
///
/// # Errors
/// When a DS RRset of these would lead to no signature of ours, or one of them must not have a DS.
pub fn ask_for(place: Place<'_>, keys: &BTreeSet<Dnskey>, now: UnixTime) -> Result<(), StepError> {
    let register = register_of(place.journal, place.apex.as_ref())?;
    if register.asks_for == *keys {
        return Ok(());
    }
    for key in keys.difference(&register.asks_for) {
        let tag = key.key_tag();
        let why = match register.own.get(key).map(|own| &own.state) {
            _ if !key.is_zone_key() => "it is no key of a zone",
            _ if key.is_revoked() => "it is revoked",
            Some(state) if state.in_set().is_none() => "it is ours, and not published",
            _ => continue,
        };
        return Err(StepError::NoEntry { tag, why });
    }
    let leads_to_us = |key: &Dnskey| {
        let own = register.own.get(key);
        key.is_sep() && own.is_some_and(|own| own.state.in_set() == Some(KeyState::Active))
    };
    if !keys.is_empty() && !keys.iter().any(leads_to_us) {
        let tags: Vec<String> = keys.iter().map(|key| key.key_tag().to_string()).collect();
        let asked = tags.join(", ");
        return Err(StepError::LeavesUsOut { asked });
    }
    let keys = keys.clone();
    Ok(append(place, vec![What::Asked { keys }], now)?)
}

/// Our CSYNC is this one from now on; none: it goes.
///
/// # Errors
/// When the register cannot be used.
pub fn have_taken(place: Place<'_>, csync: Option<Csync>, now: UnixTime) -> Result<(), StepError> {
    if register_of(place.journal, place.apex.as_ref())?.csync == csync {
        return Ok(());
    }
    Ok(append(place, vec![What::Csync { shown: csync }], now)?)
}

/// Takes keys of another provider out of our set, as a plan says.
///
/// # Errors
/// When one of them is ours, or is shown and would stay, or the register cannot be used.
pub fn withdraw_by_plan(
    place: Place<'_>,
    keys: &[Dnskey],
    if_shown: IfShown,
    reason: &str,
    now: UnixTime,
) -> Result<(), StepError> {
    let register = register_of(place.journal, place.apex.as_ref())?;
    if let Some(ours) = keys.iter().find(|key| register.is_own(key)) {
        return Err(StepError::Ours { tag: ours.key_tag() });
    }
    let published = |key: &&Dnskey| {
        register
            .foreign
            .get(*key)
            .is_some_and(|key| key.in_set().is_some())
    };
    let is_shown = |key: &&Dnskey| register.foreign[*key].in_set() == Some(KeyState::Seen);
    let mut there = keys.iter().filter(published);
    if if_shown == IfShown::Stays
        && let Some(key) = there.find(is_shown)
    {
        return Err(StepError::NotGone {
            tag: key.key_tag(),
            shown_by: register.foreign[key].shown_by.clone(),
        });
    }
    let whats: Vec<What> = keys
        .iter()
        .filter(published)
        .map(|key| What::Withdrawn {
            key: key.clone(),
            reason: reason.to_owned(),
        })
        .collect();
    if whats.is_empty() {
        return Ok(());
    }
    Ok(append(place, whats, now)?)
}
