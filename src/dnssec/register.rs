//! The key register of a zone: a log of what happened to its keys, and the state that follows from it.
//!
//! Nothing else is stored about keys. A key is named by all of its rdata, never by its tag. Our own keys stay in
//! the register for ever, so that a key we gave up cannot come back by way of another provider.
//!
//! ```text
//! ours:     making ─► held ─► published ─► active ─► retired ─► gone        any of them ─► lost (a person)
//!             └─► abandoned    └─► pre-active ─► active ─► post-active ─► gone   (a plan to change the algorithm)
//! theirs:   seen ◄─► kept ─► withdrawn (a person), while a source shows it: barred, until each has been without it
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use super::{algorithm::Algorithm, csync::Csync, key::Dnskey, keyfile::timing::Claim, keyset::KeyState};
use crate::{
    clock::UnixTime,
    wire::{Name, NameRef, Ttl},
};

/// Where another provider's key was seen.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A file of external keys, by its absolute path.
    File(PathBuf),
    /// The API of a provider, by the name that the configuration gives it.
    Api(String),
    /// A name server of a provider.
    Server {
        /// The provider.
        provider: String,
        /// Where it was asked.
        address: SocketAddr,
    },
}

impl Source {
    /// The provider that it belongs to; a file belongs to none.
    pub fn provider(&self) -> Option<&str> {
        match self {
            Self::File(_) => None,
            Self::Api(provider) | Self::Server { provider, .. } => Some(provider),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Api(provider) => write!(f, "{provider}'s API"),
            Self::Server { provider, address } if address.port() == 53 => {
                write!(f, "{provider} at {}", address.ip())
            }
            Self::Server { provider, address } => write!(f, "{provider} at {address}"),
        }
    }
}

/// What a sight of a key rests on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// A person put it into a file, at this line. It proves nothing about publication.
    Line(u32),
    /// The API of a provider that is trusted said so: enough for adding, no proof of publication.
    Api,
    /// It was in an authoritative answer that this key signed.
    Answer {
        /// The tag of the key that vouches for the set.
        anchor: u16,
    },
}

/// Why what a provider shows is believed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// The parent has a DS for this key of it.
    Chain {
        /// The key's tag.
        tag: u16,
    },
    /// The configuration pins this key of it.
    Pinned {
        /// The key's tag.
        tag: u16,
    },
    /// This key of it was believed before.
    Known {
        /// The key's tag.
        tag: u16,
    },
    /// A person said that its API is to be believed.
    Person,
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain { tag } => write!(f, "the parent's DS for key {tag}"),
            Self::Pinned { tag } => write!(f, "key {tag}, which is pinned"),
            Self::Known { tag } => write!(f, "key {tag}, which is known"),
            Self::Person => f.write_str("a person's word"),
        }
    }
}

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// When, by the wall clock that was taken for sane.
    pub at: UnixTime,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What can happen to a zone's keys.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum What {
    /// Our key is about to be written; it shall begin in `state`. A crash may come before the files are there.
    Making {
        /// The key.
        key: Dnskey,
        /// Its first state.
        state: Claim,
    },
    /// Its files are on disk.
    Made {
        /// The key.
        key: Dnskey,
    },
    /// Its files never came to be; nobody has seen it.
    Abandoned {
        /// The key.
        key: Dnskey,
    },
    /// A key pair that was made elsewhere is now ours.
    Imported {
        /// The key.
        key: Dnskey,
        /// Its first state.
        state: Claim,
    },
    /// Our key passed into another state.
    Turned {
        /// The key.
        key: Dnskey,
        /// The new state.
        state: Claim,
    },
    /// A person buried our key: its private half is lost or destroyed.
    Lost {
        /// The key.
        key: Dnskey,
        /// The person's reason.
        reason: String,
    },
    /// A source shows another provider's key.
    Seen {
        /// The key.
        key: Dnskey,
        /// Where.
        source: Source,
        /// By what.
        evidence: Evidence,
    },
    /// A source that showed the key does not any more.
    Unseen {
        /// The key.
        key: Dnskey,
        /// Where.
        source: Source,
    },
    /// A person withdrew another provider's key.
    Withdrawn {
        /// The key.
        key: Dnskey,
        /// The person's reason.
        reason: String,
    },
    /// A person let a withdrawn key in again.
    Readmitted {
        /// The key.
        key: Dnskey,
    },
    /// What a provider shows is believed from now on.
    Trusted {
        /// The provider.
        provider: String,
        /// Why.
        by: Trust,
    },
    /// The smallest TTL of the DNSKEY RRset in a provider's authoritative answers.
    TtlSeen {
        /// The provider.
        provider: String,
        /// Seconds.
        ttl: Ttl,
    },
    /// CDS and CDNSKEY ask the parent for a DS RRset of exactly these keys from now on; none: they ask for nothing.
    Asked {
        /// The keys, whoever's they are.
        keys: BTreeSet<Dnskey>,
    },
    /// CSYNC has the parent take the zone's NS RRset from now on; none: there is none.
    Csync {
        /// The record.
        shown: Option<Csync>,
    },
    /// The zone was served for the first time.
    Opened,
    /// The zone's key files lie here.
    Folder {
        /// An absolute path.
        path: PathBuf,
    },
}

impl fmt::Display for What {
    /// For people: what `reload` says has changed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Making { key, .. } => write!(f, "key {} is being made", key.key_tag()),
            Self::Made { key } => write!(f, "key {} ({}) was made", key.key_tag(), key.algorithm()),
            Self::Abandoned { key } => write!(f, "key {} was never finished; it is given up", key.key_tag()),
            Self::Imported { key, state } => {
                write!(
                    f,
                    "key {} ({}) is ours now: {state}",
                    key.key_tag(),
                    key.algorithm()
                )
            }
            Self::Turned { key, state } => write!(f, "key {} is {state}", key.key_tag()),
            Self::Lost { key, reason } => write!(f, "our key {} is buried: {reason}", key.key_tag()),
            Self::Seen { key, source, .. } => write!(f, "key {} is seen in {source}", key.key_tag()),
            Self::Unseen { key, source } => write!(f, "key {} is no longer in {source}", key.key_tag()),
            Self::Withdrawn { key, reason } => write!(f, "key {} is withdrawn: {reason}", key.key_tag()),
            Self::Readmitted { key } => write!(f, "key {} is let in again", key.key_tag()),
            Self::Trusted { provider, by } => write!(f, "{provider} is trusted: {by}"),
            Self::TtlSeen { provider, ttl } => write!(f, "{provider} serves the DNSKEY RRset with TTL {ttl}"),
            Self::Asked { keys } if keys.is_empty() => f.write_str("CDS and CDNSKEY are taken back"),
            Self::Asked { keys } => {
                let tags: Vec<String> = keys.iter().map(|key| key.key_tag().to_string()).collect();
                write!(f, "CDS and CDNSKEY ask for keys {}", tags.join(", "))
            }
            Self::Csync { shown: None } => f.write_str("CSYNC is taken back"),
            Self::Csync { shown: Some(csync) } => write!(f, "CSYNC has the parent take NS: {csync}"),
            Self::Opened => f.write_str("the zone is served for the first time"),
            Self::Folder { path } => write!(f, "the key files lie in {}", path.display()),
        }
    }
}

/// Where our key stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OwnState {
    /// About to be written, to begin in this state.
    Making(Claim),
    /// Never came to be.
    Abandoned,
    /// In one of the states that key files can tell.
    Is(Claim),
    /// Buried by a person.
    Lost {
        /// The person's reason.
        reason: String,
    },
}

impl OwnState {
    /// The state in the DNSKEY RRset, when it is in it.
    pub fn in_set(&self) -> Option<KeyState> {
        self.at_work().filter(|state| !state.is_unpublished())
    }

    /// The state in the key set, in which keys are that sign unpublished too.
    pub fn at_work(&self) -> Option<KeyState> {
        match self {
            Self::Is(claim) => claim.state(),
            _ => None,
        }
    }

    /// Whether the key is given up for good.
    pub fn is_tombstone(&self) -> bool {
        matches!(self, Self::Is(Claim::Gone) | Self::Lost { .. })
    }
}

/// One of our keys, present or past.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnKey {
    /// Where it stands.
    pub state: OwnState,
    /// Since when.
    pub since: UnixTime,
    /// How it last went out of the DNSKEY RRset.
    left: Option<Left>,
    /// Whether it ever signed without being there.
    signed_unpublished: bool,
}

/// How a key of ours went out of the DNSKEY RRset.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Left {
    at: UnixTime,
    /// Its algorithm went as a whole, and is signed with until no cache needs it: not by a loss.
    by_plan: bool,
}

/// A person's withdrawal that sources still contradict.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Barred {
    /// Since when.
    pub since: UnixTime,
    /// The person's reason.
    pub reason: String,
    /// The sources that have not been without it since.
    pub waiting_for: BTreeSet<Source>,
    /// Those that have been.
    been_without: BTreeSet<Source>,
}

/// Another provider's key.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ForeignKey {
    /// The sources that show it.
    pub shown_by: BTreeSet<Source>,
    /// The sources that ever showed it.
    pub ever_shown_by: BTreeSet<Source>,
    /// When it was first seen.
    pub first_seen: UnixTime,
    /// When the last source lost it; of meaning while none shows it.
    pub last_unseen: UnixTime,
    /// A withdrawal in force.
    pub barred: Option<Barred>,
    withdrawn: bool,
}

impl ForeignKey {
    /// The state in the key set, when it is in it.
    pub fn in_set(&self) -> Option<KeyState> {
        if self.barred.is_some() || self.withdrawn {
            None
        } else if self.shown_by.is_empty() {
            Some(KeyState::Kept)
        } else {
            Some(KeyState::Seen)
        }
    }
}

/// What follows from a zone's events.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Register {
    /// Whether the zone was ever served.
    pub opened: bool,
    /// Where its key files lie, as far as is known.
    pub folder: Option<PathBuf>,
    /// Our keys, present and past.
    pub own: BTreeMap<Dnskey, OwnKey>,
    /// The other providers' keys, present and past.
    pub foreign: BTreeMap<Dnskey, ForeignKey>,
    /// The providers whose word is believed, and why.
    pub trusted: BTreeMap<String, Trust>,
    /// The smallest TTL of the DNSKEY RRset in each provider's authoritative answers, when last seen.
    pub ttls: BTreeMap<String, Ttl>,
    /// The keys that CDS and CDNSKEY ask the parent for; none: they are not there.
    pub asks_for: BTreeSet<Dnskey>,
    /// The CSYNC record that is published.
    pub csync: Option<Csync>,
}

impl Register {
    /// The state after `events`.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut register = Self::default();
        for event in events {
            register.apply(event);
        }
        register
    }

    /// The state after one more event. Any event is taken in any state: the log is what happened.
    pub fn apply(&mut self, event: &Event) {
        let at = event.at;
        let mut own = |key: &Dnskey, state: OwnState| own_is(&mut self.own, key, state, at);
        match &event.what {
            What::Making { key, state } => own(key, OwnState::Making(*state)),
            What::Made { key } => {
                let state = match self.own.get(key).map(|own| &own.state) {
                    Some(OwnState::Making(state)) => *state,
                    Some(_) => return,
                    None => Claim::Held,
                };
                own_is(&mut self.own, key, OwnState::Is(state), at);
            }
            What::Abandoned { key } => own(key, OwnState::Abandoned),
            What::Imported { key, state } | What::Turned { key, state } => own(key, OwnState::Is(*state)),
            What::Lost { key, reason } => own(
                key,
                OwnState::Lost {
                    reason: reason.clone(),
                },
            ),
            What::Seen { key, source, .. } => self.seen(key, source, at),
            What::Unseen { key, source } => self.unseen(key, source, at),
            What::Withdrawn { key, reason } => self.withdrawn(key, reason, at),
            What::Readmitted { key } => {
                let foreign = self.foreign.entry(key.clone()).or_default();
                foreign.barred = None;
                foreign.withdrawn = false;
            }
            What::Trusted { provider, by } => {
                self.trusted.insert(provider.clone(), by.clone());
            }
            What::TtlSeen { provider, ttl } => {
                self.ttls.insert(provider.clone(), *ttl);
            }
            What::Asked { keys } => self.asks_for = keys.clone(),
            What::Csync { shown } => self.csync = *shown,
            What::Opened => self.opened = true,
            What::Folder { path } => self.folder = Some(path.clone()),
        }
    }

    fn seen(&mut self, key: &Dnskey, source: &Source, at: UnixTime) {
        let foreign = self.foreign.entry(key.clone()).or_insert_with(|| ForeignKey {
            first_seen: at,
            ..ForeignKey::default()
        });
        foreign.first_seen = foreign.first_seen.min(at);
        foreign.shown_by.insert(source.clone());
        foreign.ever_shown_by.insert(source.clone());
        match &mut foreign.barred {
            // A file that was merely given another name must not lift a withdrawal.
            Some(barred) if !barred.been_without.contains(source) => {
                barred.waiting_for.insert(source.clone());
            }
            Some(_) => {}
            None => foreign.withdrawn = false,
        }
    }

    fn unseen(&mut self, key: &Dnskey, source: &Source, at: UnixTime) {
        let foreign = self.foreign.entry(key.clone()).or_default();
        foreign.shown_by.remove(source);
        foreign.last_unseen = foreign.last_unseen.max(at);
        if let Some(barred) = &mut foreign.barred {
            barred.waiting_for.remove(source);
            barred.been_without.insert(source.clone());
            if barred.waiting_for.is_empty() {
                foreign.barred = None;
                // Another source may show it anew already; then that counts.
                foreign.withdrawn = foreign.shown_by.is_empty();
            }
        }
    }

    fn withdrawn(&mut self, key: &Dnskey, reason: &str, at: UnixTime) {
        let foreign = self.foreign.entry(key.clone()).or_default();
        foreign.withdrawn = true;
        foreign.barred = (!foreign.shown_by.is_empty()).then(|| Barred {
            since: at,
            reason: reason.to_owned(),
            waiting_for: foreign.shown_by.clone(),
            been_without: BTreeSet::new(),
        });
    }

    /// Whether the register has never held a key of ours that came to be, and the zone was never served.
    pub fn is_new(&self) -> bool {
        let came_to_be = |own: &OwnKey| !matches!(own.state, OwnState::Making(_) | OwnState::Abandoned);
        !self.opened && !self.own.values().any(came_to_be)
    }

    /// Our keys in the DNSKEY RRset.
    pub fn own_in_set(&self) -> impl Iterator<Item = (&Dnskey, KeyState)> {
        self.own
            .iter()
            .filter_map(|(key, own)| Some((key, own.state.in_set()?)))
    }

    /// Our keys in the key set: those in the DNSKEY RRset, and those that sign unpublished.
    pub fn own_at_work(&self) -> impl Iterator<Item = (&Dnskey, KeyState)> {
        self.own
            .iter()
            .filter_map(|(key, own)| Some((key, own.state.at_work()?)))
    }

    /// The other providers' keys in the DNSKEY RRset. A key that is or was ours is never among them.
    pub fn foreign_in_set(&self) -> impl Iterator<Item = (&Dnskey, &ForeignKey, KeyState)> {
        let withheld = self.withheld_algorithms();
        self.foreign_known()
            .filter(move |(key, ..)| !withheld.contains(&key.algorithm()))
    }

    /// The other providers' keys that would be in the DNSKEY RRset, were it not for their algorithm.
    pub fn foreign_withheld(&self) -> impl Iterator<Item = (&Dnskey, &ForeignKey, KeyState)> {
        let withheld = self.withheld_algorithms();
        self.foreign_known()
            .filter(move |(key, ..)| withheld.contains(&key.algorithm()))
    }

    fn foreign_known(&self) -> impl Iterator<Item = (&Dnskey, &ForeignKey, KeyState)> {
        let theirs = self.foreign.iter().filter(|(key, _)| !self.is_own(key));
        theirs.filter_map(|(key, foreign)| Some((key, foreign, foreign.in_set()?)))
    }

    /// The algorithms that are kept out of the DNSKEY RRset: none of our keys of them is published, for they are not yet,
    /// or a plan took them out. Who demands signatures of every algorithm that the RRset names would find none of ours
    /// to verify; so the other providers' keys come and go with ours. They do not go with ours that were lost: what the
    /// other providers sign is verified with them.
    fn withheld_algorithms(&self) -> BTreeSet<Algorithm> {
        let mut all: BTreeSet<Algorithm> = self.own.keys().map(Dnskey::algorithm).collect();
        all.retain(|algorithm| {
            let of_it = || {
                let all = self.own.iter();
                all.filter(|(key, _)| key.algorithm() == *algorithm)
                    .map(|(_, own)| own)
            };
            if of_it().any(|own| own.state.in_set().is_some()) {
                return false;
            }
            match of_it().filter_map(|own| own.left).max() {
                Some(last) => last.by_plan,
                None => of_it().any(|own| own.signed_unpublished || own.state == OwnState::Is(Claim::Held)),
            }
        });
        all
    }

    /// Whether a key is ours, or was.
    pub fn is_own(&self, key: &Dnskey) -> bool {
        let own = self.own.get(key);
        own.is_some_and(|own| own.state != OwnState::Abandoned)
    }

    /// The algorithms of our keys in the DNSKEY RRset.
    pub fn algorithms(&self) -> BTreeSet<Algorithm> {
        self.own_in_set().map(|(key, _)| key.algorithm()).collect()
    }

    /// The algorithms of our keys that sign, are published or wait: those of which other providers may have keys.
    pub fn known_algorithms(&self) -> BTreeSet<Algorithm> {
        let is_there = |own: &OwnKey| matches!(&own.state, OwnState::Is(claim) if *claim != Claim::Gone);
        let there = self.own.iter().filter(|(_, own)| is_there(own));
        there.map(|(key, _)| key.algorithm()).collect()
    }
}

fn own_is(all: &mut BTreeMap<Dnskey, OwnKey>, key: &Dnskey, state: OwnState, since: UnixTime) {
    let before = all.get(key);
    let unpublished = state.at_work().is_some_and(KeyState::is_unpublished);
    let leaves = state.in_set().is_none() && before.is_some_and(|own| own.state.in_set().is_some());
    let left = leaves.then_some(Left {
        at: since,
        by_plan: unpublished,
    });
    let own = OwnKey {
        left: left.or(before.and_then(|own| own.left)),
        signed_unpublished: unpublished || before.is_some_and(|own| own.signed_unpublished),
        state,
        since,
    };
    all.insert(key.clone(), own);
}

/// Durable storage of events could not do its work.
#[derive(Debug, thiserror::Error)]
#[error("the key register cannot be read or written")]
pub struct JournalError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Where events are kept. The lower layer `store` implements it.
pub trait Journal: Send + Sync {
    /// All events of the zone, oldest first.
    ///
    /// # Errors
    /// When they cannot be read.
    fn events(&self, apex: NameRef<'_>) -> Result<Vec<Event>, JournalError>;

    /// Appends events of any number of zones, all or none. When this returns they are on disk.
    ///
    /// # Errors
    /// When they cannot be written, or it is not known whether they were: [`Journal::events`] tells, once it can be
    /// asked.
    fn append(&self, batch: &[(Name, Vec<Event>)]) -> Result<(), JournalError>;
}

/// The first octet of a stored event: which encoding follows.
const VERSION: u8 = 1;
/// The same encoding, with a state that programs before this format do not know: a key that signs unpublished. They say
/// so, and touch nothing.
const VERSION_2: u8 = 2;
/// The same, with CSYNC.
const VERSION_3: u8 = 3;

/// A stored event that this program cannot read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Written by a later version of this program, or spoiled.
    #[error("a stored event has format {0:?}, this program knows formats {VERSION} to {VERSION_3}")]
    Version(Option<u8>),
    /// Not what its format is.
    #[error("a stored event cannot be read")]
    Form(#[from] serde_json::Error),
}

impl Event {
    /// The stored form: a version octet, then JSON.
    pub fn encode(&self) -> Vec<u8> {
        let mut octets = vec![self.version()];
        serde_json::to_writer(&mut octets, self).expect("an event is plain data with text for keys");
        octets
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// When it is of another version, or spoiled.
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        match octets {
            [VERSION | VERSION_2 | VERSION_3, json @ ..] => Ok(serde_json::from_slice(json)?),
            other => Err(DecodeError::Version(other.first().copied())),
        }
    }

    /// The oldest format that has all that this event says.
    fn version(&self) -> u8 {
        match self.what {
            What::Making { state, .. } | What::Imported { state, .. } | What::Turned { state, .. }
                if state.is_unpublished_signer() =>
            {
                VERSION_2
            }
            What::Csync { .. } => VERSION_3,
            _ => VERSION,
        }
    }
}

/// A journal in memory, for tests and for commands without a state folder.
#[derive(Debug, Default)]
pub struct MemoryJournal(std::sync::Mutex<BTreeMap<Name, Vec<Event>>>);

impl Journal for MemoryJournal {
    fn events(&self, apex: NameRef<'_>) -> Result<Vec<Event>, JournalError> {
        let zones = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(zones.get(&apex.to_owned()).cloned().unwrap_or_default())
    }

    fn append(&self, batch: &[(Name, Vec<Event>)]) -> Result<(), JournalError> {
        let mut zones = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (apex, events) in batch {
            zones
                .entry(apex.clone())
                .or_default()
                .extend(events.iter().cloned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(number: u8) -> Dnskey {
        Dnskey::new(257, Algorithm::ED25519, &[number; 32])
    }

    fn file(name: &str) -> Source {
        Source::File(name.into())
    }

    fn seen(number: u8, source: &str) -> What {
        What::Seen {
            key: key(number),
            source: file(source),
            evidence: Evidence::Line(1),
        }
    }

    fn unseen(number: u8, source: &str) -> What {
        What::Unseen {
            key: key(number),
            source: file(source),
        }
    }

    fn withdrawn(number: u8) -> What {
        What::Withdrawn {
            key: key(number),
            reason: "rolled".into(),
        }
    }

    fn after(events: &[What]) -> Register {
        let events: Vec<Event> = (1..)
            .zip(events)
            .map(|(at, what)| Event {
                at: UnixTime(at),
                what: what.clone(),
            })
            .collect();
        Register::of(&events)
    }

    fn state(events: &[What]) -> Option<KeyState> {
        after(events).foreign[&key(1)].in_set()
    }

    #[test]
    fn a_vanished_key_is_kept_until_a_person_withdraws_it() {
        assert_eq!(state(&[seen(1, "a")]), Some(KeyState::Seen));
        assert_eq!(state(&[seen(1, "a"), unseen(1, "a")]), Some(KeyState::Kept));
        assert_eq!(
            state(&[seen(1, "a"), seen(1, "b"), unseen(1, "a")]),
            Some(KeyState::Seen)
        );
        assert_eq!(state(&[seen(1, "a"), unseen(1, "a"), withdrawn(1)]), None);
        // It was gone everywhere, so a later sight is news.
        let back = [seen(1, "a"), unseen(1, "a"), withdrawn(1), seen(1, "a")];
        assert_eq!(state(&back), Some(KeyState::Seen));
    }

    #[test]
    fn a_withdrawn_key_stays_out_until_every_source_was_without_it() {
        let mut events = vec![seen(1, "a"), seen(1, "b"), withdrawn(1)];
        let barred = after(&events).foreign[&key(1)].barred.clone().unwrap();
        assert_eq!(barred.waiting_for, BTreeSet::from([file("a"), file("b")]));
        events.push(unseen(1, "a"));
        assert_eq!(state(&events), None);
        events.push(seen(1, "a"));
        assert_eq!(state(&events), None, "b still shows it");
        events.push(unseen(1, "b"));
        assert_eq!(
            state(&events),
            Some(KeyState::Seen),
            "a was without it and shows it anew"
        );
        // The same file under another name.
        let renamed = [seen(1, "a"), withdrawn(1), seen(1, "b"), unseen(1, "a")];
        assert_eq!(state(&renamed), None);
        let readmitted = [seen(1, "a"), withdrawn(1), What::Readmitted { key: key(1) }];
        assert_eq!(state(&readmitted), Some(KeyState::Seen));
    }

    #[test]
    fn our_keys_are_never_taken_for_a_providers() {
        let imported = What::Imported {
            key: key(1),
            state: Claim::Active,
        };
        let gone = What::Turned {
            key: key(1),
            state: Claim::Gone,
        };
        let register = after(&[imported, seen(1, "a"), gone]);
        assert_eq!(register.own_in_set().count(), 0);
        assert_eq!(register.foreign_in_set().count(), 0);
        assert!(register.own[&key(1)].state.is_tombstone());
        assert!(!register.is_new());
    }

    #[test]
    fn a_key_being_made_begins_when_its_files_are_there() {
        let making = What::Making {
            key: key(1),
            state: Claim::Active,
        };
        let register = after(std::slice::from_ref(&making));
        assert_eq!(register.own_in_set().count(), 0);
        assert!(register.is_new());
        let made = after(&[making.clone(), What::Made { key: key(1) }]);
        assert_eq!(made.own[&key(1)].state, OwnState::Is(Claim::Active));
        let given_up = after(&[making, What::Abandoned { key: key(1) }]);
        assert!(given_up.is_new() && !given_up.is_own(&key(1)));
    }

    #[test]
    fn events_of_format_1_are_still_read() {
        let sample = include_str!("../../tests/data/register/events-v1.jsonl");
        let events: Vec<Event> = sample
            .lines()
            .map(|line| Event::decode(&[&[1], line.as_bytes()].concat()).unwrap())
            .collect();
        // One of each kind, and what they come to.
        assert_eq!(events.len(), 20);
        let register = Register::of(&events);
        assert!(register.opened);
        assert_eq!(register.own.len(), 4);
        assert_eq!(register.foreign.len(), 1);
        assert_eq!(register.asks_for.len(), 1);
        for (event, line) in events.iter().zip(sample.lines()) {
            assert_eq!(String::from_utf8_lossy(&event.encode()[1..]), line);
        }
        assert!(matches!(
            Event::decode(&[4, b'{']),
            Err(DecodeError::Version(Some(4)))
        ));
        assert!(matches!(Event::decode(&[]), Err(DecodeError::Version(None))));
        assert!(matches!(Event::decode(&[1, b'{']), Err(DecodeError::Form(_))));
    }

    /// A program that knows format 1 alone says that it is too old, and not that the store is spoiled.
    #[test]
    fn events_of_format_2_say_that_a_key_signs_unpublished() {
        let sample = include_str!("../../tests/data/register/events-v2.jsonl");
        for (line, state) in sample.lines().zip([Claim::PreActive, Claim::PostActive]) {
            let octets = [&[2], line.as_bytes()].concat();
            let event = Event::decode(&octets).unwrap();
            assert!(matches!(event.what, What::Turned { state: found, .. } if found == state));
            assert_eq!(event.encode(), octets);
        }
        assert_eq!(sample.lines().count(), 2);
    }

    #[test]
    fn events_of_format_3_say_what_csync_has_the_parent_take() {
        let sample = include_str!("../../tests/data/register/events-v3.jsonl");
        let events: Vec<Event> = sample
            .lines()
            .map(|line| {
                let octets = [&[3], line.as_bytes()].concat();
                let event = Event::decode(&octets).unwrap();
                assert_eq!(event.encode(), octets);
                event
            })
            .collect();
        assert_eq!(events.len(), 2);
        assert_eq!(Register::of(&events[..1]).csync, Some(Csync { addresses: true }));
        assert_eq!(Register::of(&events).csync, None);
    }

    /// Another provider's keys of an algorithm are published exactly while ours are: who demands every algorithm that a
    /// DNSKEY RRset names must find it in all answers.
    #[test]
    fn keys_of_others_come_and_go_with_ours_of_their_algorithm() {
        let (old, new) = (Dnskey::new(257, Algorithm::ECDSAP256SHA256, &[9; 64]), key(2));
        let old_of_theirs = Dnskey::new(257, Algorithm::ECDSAP256SHA256, &[8; 64]);
        let imported = |key: &Dnskey, state| What::Imported {
            key: key.clone(),
            state,
        };
        let turned = |key: &Dnskey, state| What::Turned {
            key: key.clone(),
            state,
        };
        let shown = What::Seen {
            key: old_of_theirs.clone(),
            source: file("a"),
            evidence: Evidence::Line(1),
        };
        let mut events = vec![
            imported(&old, Claim::Active),
            shown,
            imported(&new, Claim::Held),
            seen(1, "a"),
        ];
        let sets = |events: &[What]| {
            let register = after(events);
            let own: Vec<Dnskey> = register.own_in_set().map(|(key, _)| key.clone()).collect();
            let foreign: Vec<Dnskey> = register.foreign_in_set().map(|(key, ..)| key.clone()).collect();
            assert_eq!(
                register.foreign_in_set().count() + register.foreign_withheld().count(),
                2
            );
            (own, foreign)
        };
        let before = (vec![old.clone()], vec![old_of_theirs.clone()]);
        assert_eq!(sets(&events), before, "a key that waits keeps theirs waiting too");
        events.push(turned(&new, Claim::PreActive));
        assert_eq!(sets(&events), before);
        assert_eq!(after(&events).own_at_work().count(), 2);
        events.push(turned(&new, Claim::Active));
        assert_eq!(sets(&events).1.len(), 2);
        events.push(turned(&old, Claim::PostActive));
        assert_eq!(sets(&events), (vec![new.clone()], vec![key(1)]));
        assert_eq!(after(&events).known_algorithms().len(), 2);
        events.push(turned(&old, Claim::Gone));
        assert_eq!(
            sets(&events).1,
            [key(1)],
            "some source may show the old one for longer"
        );
        // A change that was taken back.
        let back = [&events[..5], &[turned(&new, Claim::Gone)]].concat();
        assert_eq!(sets(&back).1, before.1);
        // A buried key, and a new one that waits, take nothing of theirs out.
        let buried = What::Lost {
            key: old.clone(),
            reason: "the disk died".into(),
        };
        let spare = Dnskey::new(257, Algorithm::ECDSAP256SHA256, &[7; 64]);
        let buried = [&events[..4], &[imported(&spare, Claim::Held), buried]].concat();
        assert_eq!(sets(&buried).1, [old_of_theirs]);
    }

    /// The DNSKEY RRset verifies what the others sign, whatever becomes of ours.
    #[test]
    fn keys_of_others_stay_when_ours_of_their_algorithm_are_lost() {
        let (old, new, next) = (
            Dnskey::new(257, Algorithm::ECDSAP256SHA256, &[9; 64]),
            key(2),
            key(3),
        );
        let old_of_theirs = Dnskey::new(257, Algorithm::ECDSAP256SHA256, &[8; 64]);
        let turned = |key: &Dnskey, state| What::Turned {
            key: key.clone(),
            state,
        };
        let lost = |key: &Dnskey| What::Lost {
            key: key.clone(),
            reason: "the disk died".into(),
        };
        let shown = What::Seen {
            key: old_of_theirs.clone(),
            source: file("a"),
            evidence: Evidence::Line(1),
        };
        let theirs = |events: &[&[What]]| -> Vec<Dnskey> {
            let register = after(&events.concat());
            register.foreign_in_set().map(|(key, ..)| key.clone()).collect()
        };
        let mut changed = vec![turned(&old, Claim::Active), shown, seen(1, "a")];
        changed.push(turned(&new, Claim::PreActive));
        let only_old = [old_of_theirs.clone()];
        assert_eq!(theirs(&[&changed, &[lost(&new)]]), only_old, "ours never came");
        changed.push(turned(&new, Claim::Active));
        changed.push(turned(&old, Claim::PostActive));
        // One that was lost on its way out went out by the plan all the same.
        assert_eq!(theirs(&[&changed, &[lost(&old)]]), [key(1)]);
        changed.push(turned(&old, Claim::Gone));
        changed.push(lost(&new));
        assert_eq!(
            theirs(&[&changed]),
            [key(1)],
            "the new one stays, the old one stays out"
        );
        // Another plan takes its algorithm out in the end, whatever was lost before, and a third one brings it back.
        let again = [turned(&next, Claim::Held), turned(&next, Claim::PreActive)];
        assert_eq!(theirs(&[&changed, &again]), [key(1)], "it was there before");
        let out = [turned(&next, Claim::Active), turned(&next, Claim::PostActive)];
        assert_eq!(theirs(&[&changed, &again, &out]), []);
        let back = [
            turned(&key(4), Claim::PreActive),
            turned(&key(4), Claim::Active),
            lost(&key(4)),
        ];
        assert_eq!(theirs(&[&changed, &again, &out, &back[..1]]), []);
        assert_eq!(theirs(&[&changed, &again, &out, &back]), [key(1)]);
    }

    fn any_what() -> impl Strategy<Value = What> {
        let claim = prop::sample::select(super::super::keyfile::timing::CLAIMS.to_vec());
        (0..4u8, 0..9u8, claim, prop::sample::select(vec!["a", "b", "c"])).prop_map(
            |(number, kind, state, source)| {
                let key = key(number);
                let source = file(source);
                match kind {
                    0 => What::Making { key, state },
                    1 => What::Made { key },
                    2 => What::Imported { key, state },
                    3 => What::Turned { key, state },
                    4 => What::Lost {
                        key,
                        reason: "disk \"died\"\n".into(),
                    },
                    5 => What::Unseen { key, source },
                    6 => What::Withdrawn {
                        key,
                        reason: "rolled".into(),
                    },
                    7 => What::Readmitted { key },
                    _ => What::Seen {
                        key,
                        source,
                        evidence: Evidence::Line(7),
                    },
                }
            },
        )
    }

    fn key_of(what: &What) -> &Dnskey {
        match what {
            What::Making { key, .. }
            | What::Made { key }
            | What::Abandoned { key }
            | What::Imported { key, .. }
            | What::Turned { key, .. }
            | What::Lost { key, .. }
            | What::Seen { key, .. }
            | What::Unseen { key, .. }
            | What::Withdrawn { key, .. }
            | What::Readmitted { key } => key,
            What::Opened
            | What::Folder { .. }
            | What::Trusted { .. }
            | What::TtlSeen { .. }
            | What::Asked { .. }
            | What::Csync { .. } => {
                unreachable!("not generated")
            }
        }
    }

    proptest! {
        #[test]
        fn events_of_different_keys_commute(
            events in prop::collection::vec((0..9_999u64, any_what()), 0..30),
        ) {
            let mut events: Vec<Event> = events
                .into_iter()
                .map(|(at, what)| Event { at: UnixTime(at), what })
                .collect();
            let register = Register::of(&events);
            events.sort_by(|a, b| key_of(&a.what).cmp(key_of(&b.what)));
            prop_assert_eq!(register, Register::of(&events));
        }

        #[test]
        fn sights_at_different_sources_commute(
            sights in prop::collection::vec((any::<bool>(), 0..3usize, 0..9_999u64), 0..30),
        ) {
            let mut sights: Vec<(usize, Event)> = sights
                .into_iter()
                .map(|(there, source, at)| {
                    let name = ["a", "b", "c"][source];
                    let what = if there { seen(1, name) } else { unseen(1, name) };
                    (source, Event { at: UnixTime(at), what })
                })
                .collect();
            let states = |sights: &[(usize, Event)]| {
                let register = Register::of(sights.iter().map(|(_, event)| event));
                register.foreign.get(&key(1)).map(|foreign| (foreign.in_set(), foreign.shown_by.clone()))
            };
            let before = states(&sights);
            sights.sort_by_key(|(source, _)| *source);
            prop_assert_eq!(before, states(&sights));
        }

        #[test]
        fn what_is_stored_is_read_again(at in any::<u64>(), what in any_what()) {
            let event = Event { at: UnixTime(at), what };
            prop_assert_eq!(Event::decode(&event.encode()).unwrap(), event);
        }

        #[test]
        fn any_octets_are_an_event_or_an_error(octets in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Event::decode(&octets);
            let _ = Event::decode(&[&[VERSION], &octets[..]].concat());
        }
    }
}
