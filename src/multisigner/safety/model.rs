//! What the checker is told: which values the parent and each provider serve, from when to when.
//!
//! A slot (the parent's DS, a provider's DNSKEY RRset, …) has one value at a time. From a change on and for its lag,
//! some servers still give the old value and some the new one.

use std::collections::{BTreeMap, BTreeSet};

use super::intervals::EVER;
use crate::{clock::UnixTime, dnssec::algorithm::Algorithm};

pub use crate::dnssec::csync::Csync;

/// Whole seconds.
pub type Seconds = u64;

/// A key of the timeline: its place in [`Timeline::keys`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub struct KeyId(pub(super) u8);

/// A provider of the timeline: its place in [`Timeline::providers`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub struct ProviderId(pub(super) u8);

/// What a DNSKEY record may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum KeyUse {
    /// A zone key that is not revoked.
    ZoneKey,
    /// REVOKE is set (RFC 5011) or the Zone Key flag is clear (RFC 4034 §2.1.1): no validator uses it.
    None,
}

/// A DNSKEY. Who holds two keys with one tag names them apart: identity is the place in the list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// How stories call it.
    pub label: String,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// Whether validators may use it.
    pub usage: KeyUse,
}

/// The most keys in a timeline: a set of them is one word.
pub(super) const MOST_KEYS: usize = 64;

/// The most providers in a timeline.
const MOST_PROVIDERS: usize = 64;

/// More keys or providers than a timeline holds.
#[derive(Debug, thiserror::Error)]
#[error("a timeline holds at most 64 {0}; leave out those that no step touches and no RRset has")]
pub struct TooMany(&'static str);

/// A set of keys.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, serde::Serialize, serde::Deserialize,
)]
pub struct KeySet(u64);

impl KeyId {
    /// Its place in the list of keys.
    pub fn place(self) -> usize {
        usize::from(self.0)
    }

    /// The key at a place of the list.
    ///
    /// # Errors
    /// [`TooMany`] for a place that no timeline has.
    pub fn at(place: usize) -> Result<Self, TooMany> {
        if place < MOST_KEYS {
            Ok(Self(place as u8))
        } else {
            Err(TooMany("keys"))
        }
    }
}

impl ProviderId {
    /// The first provider.
    pub const FIRST: Self = Self(0);

    /// Its place in the list of providers.
    pub fn place(self) -> usize {
        usize::from(self.0)
    }

    /// The provider at a place of the list.
    ///
    /// # Errors
    /// [`TooMany`] for a place that no timeline has.
    pub fn at(place: usize) -> Result<Self, TooMany> {
        if place < MOST_PROVIDERS {
            Ok(Self(place as u8))
        } else {
            Err(TooMany("providers"))
        }
    }
}

impl KeySet {
    /// Whether `key` is in it.
    pub fn contains(self, key: KeyId) -> bool {
        self.0 & (1 << key.0) != 0
    }

    /// Those that are in both.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that are in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are in this and not in the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The keys, in the order of the timeline.
    pub fn iter(self) -> impl Iterator<Item = KeyId> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let key = left.trailing_zeros();
            left = left.checked_sub(1)? & left;
            Some(KeyId(key as u8))
        })
    }
}

impl FromIterator<KeyId> for KeySet {
    fn from_iter<I: IntoIterator<Item = KeyId>>(keys: I) -> Self {
        Self(keys.into_iter().fold(0, |set, key| set | 1 << key.0))
    }
}

impl<const N: usize> From<[KeyId; N]> for KeySet {
    fn from(keys: [KeyId; N]) -> Self {
        keys.into_iter().collect()
    }
}

/// One DS record, whose digest is right.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize, serde::Deserialize)]
pub struct DsRecord {
    /// The key it points to.
    pub key: KeyId,
    /// Its digest type: 1 SHA-1, 2 SHA-256, 4 SHA-384.
    pub digest_type: u8,
}

/// The DS RRset at the parent. Empty: the delegation is insecure.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct DsSet {
    /// Its records.
    pub records: BTreeSet<DsRecord>,
    /// Its TTL; of the proof that there is none, when it is empty.
    pub ttl: Seconds,
    /// Whether the parent makes this change because of the CDS RRsets it reads (I3).
    pub from_cds: bool,
}

/// An NS RRset: the providers whose servers it names.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct NsSet {
    /// Those providers.
    pub members: BTreeSet<ProviderId>,
    /// Its TTL.
    pub ttl: Seconds,
    /// Whether the parent makes this change because of the CSYNC records it reads (I3); never in a provider's own.
    /// Plans of before CSYNC was known do not say.
    #[serde(default)]
    pub from_csync: bool,
}

/// A provider's DNSKEY RRset.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct KeyRrset {
    /// The keys in it.
    pub keys: KeySet,
    /// The keys that sign it.
    pub signers: KeySet,
    /// Its TTL.
    pub ttl: Seconds,
}

/// A kind of data whose signatures change together at a provider.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub enum Class {
    /// RRsets that are in the zone.
    Positive,
    /// Proofs that something is not there (NSEC, NSEC3), and the SOA beside them.
    Negative,
    /// RRsets made from wildcards.
    Wildcard,
    /// The NS RRset at the apex.
    Ns,
    /// The SOA record.
    Soa,
    /// CDS and CDNSKEY.
    Cds,
    /// One question, by its name and type.
    Question(String),
}

/// What the data of a class say, as far as providers must agree about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum Content {
    /// RRsets of the zone, in this version of the content.
    Version(u64),
    /// A proof that there is no such data.
    Absent,
    /// May differ between providers (SOA serials, the form of denial).
    Own,
}

/// Signed data of one class at a provider.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct SignedData {
    /// The keys that sign each RRset.
    pub signers: KeySet,
    /// The largest TTL of the class.
    pub ttl: Seconds,
    /// What it says.
    pub content: Content,
}

/// A provider's CDS and CDNSKEY RRsets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Cds {
    /// The keys that the DS RRset is to point to.
    pub wanted: KeySet,
    /// The keys that sign it.
    pub signers: KeySet,
}

/// A place that has one value at a time.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub enum Slot {
    /// The DS RRset at the parent.
    Ds,
    /// The NS RRset at the parent.
    ParentNs,
    /// A provider's DNSKEY RRset.
    Keys(ProviderId),
    /// A provider's signed data of one class.
    Data(ProviderId, Class),
    /// A provider's own NS RRset.
    ChildNs(ProviderId),
    /// Whether a provider answers.
    Serving(ProviderId),
    /// A provider's CDS.
    Cds(ProviderId),
    /// A provider's CSYNC.
    Csync(ProviderId),
}

/// A value together with its slot.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum Value {
    /// The DS RRset at the parent.
    Ds(DsSet),
    /// The NS RRset at the parent.
    ParentNs(NsSet),
    /// A provider's DNSKEY RRset.
    Keys(ProviderId, KeyRrset),
    /// A provider's signed data of one class.
    Data(ProviderId, Class, SignedData),
    /// A provider's own NS RRset.
    ChildNs(ProviderId, NsSet),
    /// Whether a provider answers.
    Serving(ProviderId, bool),
    /// A provider's CDS, if it publishes any.
    Cds(ProviderId, Option<Cds>),
    /// A provider's CSYNC, if it publishes any.
    Csync(ProviderId, Option<Csync>),
}

impl Value {
    /// Where it belongs.
    pub fn slot(&self) -> Slot {
        match self {
            Self::Ds(_) => Slot::Ds,
            Self::ParentNs(_) => Slot::ParentNs,
            Self::Keys(provider, _) => Slot::Keys(*provider),
            Self::Data(provider, class, _) => Slot::Data(*provider, class.clone()),
            Self::ChildNs(provider, _) => Slot::ChildNs(*provider),
            Self::Serving(provider, _) => Slot::Serving(*provider),
            Self::Cds(provider, _) => Slot::Cds(*provider),
            Self::Csync(provider, _) => Slot::Csync(*provider),
        }
    }

    /// Its TTL, where it has one.
    pub fn ttl(&self) -> Option<Seconds> {
        match self {
            Self::Ds(ds) => Some(ds.ttl),
            Self::ParentNs(ns) | Self::ChildNs(_, ns) => Some(ns.ttl),
            Self::Keys(_, keys) => Some(keys.ttl),
            Self::Data(_, _, data) => Some(data.ttl),
            Self::Serving(..) | Self::Cds(..) | Self::Csync(..) => None,
        }
    }
}

/// A slot gets a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The value.
    pub value: Value,
    /// How long after the step the old value may still be served, that second included.
    pub lag: Seconds,
}

/// What is done at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// From when on the new values may be served.
    pub at: UnixTime,
    /// What it is, in words for the story.
    pub what: String,
    /// What it changes.
    pub changes: Vec<Change>,
}

/// A course of changes, planned or measured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timeline {
    /// Nothing is judged before; what is served then has been served long enough to be in any cache.
    pub start: UnixTime,
    /// The keys.
    pub keys: Vec<Key>,
    /// What stories call the providers.
    pub providers: Vec<String>,
    /// What is served at the start.
    pub initial: Vec<Value>,
    /// What changes, in order of time.
    pub steps: Vec<Step>,
    /// Announced changes of content: from when to when providers may differ (I4, I5).
    pub content_windows: Vec<(UnixTime, UnixTime)>,
}

/// One value of a slot, and when some server may give it: from `from` to `until`, both included.
#[derive(Clone, Debug)]
pub(super) struct Version<'a> {
    pub value: &'a Value,
    pub from: u64,
    pub until: u64,
    /// The step that replaced it.
    pub replaced_by: Option<usize>,
}

impl Timeline {
    /// A timeline without keys, providers and steps.
    pub fn new(start: UnixTime) -> Self {
        Self {
            start,
            keys: Vec::new(),
            providers: Vec::new(),
            initial: Vec::new(),
            steps: Vec::new(),
            content_windows: Vec::new(),
        }
    }

    /// Adds a key.
    ///
    /// # Errors
    /// [`TooMany`] when there are 64.
    pub fn add_key(&mut self, label: &str, algorithm: Algorithm, usage: KeyUse) -> Result<KeyId, TooMany> {
        if self.keys.len() >= MOST_KEYS {
            return Err(TooMany("keys"));
        }
        self.keys.push(Key {
            label: label.to_owned(),
            algorithm,
            usage,
        });
        Ok(KeyId((self.keys.len() - 1) as u8))
    }

    /// Adds a provider, which answers until a value says otherwise.
    ///
    /// # Errors
    /// [`TooMany`] when there are 64.
    pub fn add_provider(&mut self, label: &str) -> Result<ProviderId, TooMany> {
        if self.providers.len() >= MOST_PROVIDERS {
            return Err(TooMany("providers"));
        }
        self.providers.push(label.to_owned());
        let provider = ProviderId((self.providers.len() - 1) as u8);
        self.initial.push(Value::Serving(provider, true));
        Ok(provider)
    }

    /// Adds a step after all that are not later.
    pub fn add_step(&mut self, at: UnixTime, what: &str, changes: Vec<Change>) {
        let place = self.steps.partition_point(|step| step.at <= at);
        let what = what.to_owned();
        self.steps.insert(place, Step { at, what, changes });
    }

    /// The same with this step, and all after it, later.
    #[must_use]
    pub fn delayed(&self, step: usize, by: Seconds) -> Self {
        let mut later = self.clone();
        for step in later.steps.iter_mut().skip(step) {
            step.at = UnixTime(step.at.0.saturating_add(by));
        }
        later
    }

    /// The same, judged from this moment on, where that is later.
    #[must_use]
    pub fn judged_from(&self, from: UnixTime) -> Self {
        let mut later = self.clone();
        later.start = later.start.max(from);
        later
    }

    pub(super) fn key(&self, key: KeyId) -> Option<&Key> {
        self.keys.get(usize::from(key.0))
    }

    /// All providers.
    pub fn provider_ids(&self) -> impl Iterator<Item = ProviderId> + use<> {
        (0..self.providers.len() as u8).map(ProviderId)
    }

    /// Every slot's values in order of time.
    pub(super) fn versions(&self) -> BTreeMap<Slot, Vec<Version<'_>>> {
        let mut slots: BTreeMap<Slot, Vec<Version<'_>>> = BTreeMap::new();
        let first = |value| Version {
            value,
            from: 0,
            until: EVER,
            replaced_by: None,
        };
        for value in &self.initial {
            slots.insert(value.slot(), vec![first(value)]);
        }
        for (number, step) in self.steps.iter().enumerate() {
            for change in &step.changes {
                let versions = slots.entry(change.value.slot()).or_default();
                if let Some(old) = versions.last_mut() {
                    old.until = step.at.0.saturating_add(change.lag);
                    old.replaced_by = Some(number);
                }
                versions.push(Version {
                    from: step.at.0,
                    ..first(&change.value)
                });
            }
        }
        slots
    }
}
