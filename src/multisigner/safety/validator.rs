//! What a validator makes of a DS RRset, a DNSKEY RRset and signed data, whichever cache each came from.

use std::{collections::BTreeSet, fmt};

use super::model::{DsRecord, DsSet, KeyId, KeyRrset, KeySet, KeyUse, SignedData, Timeline};
use crate::dnssec::algorithm::Algorithm;

/// Which algorithms a chain must be complete for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mode {
    /// Any one (RFC 6840 §5.11).
    Lenient,
    /// Each that the DS RRset names (unbound's `harden-algo-downgrade`).
    StrictDs,
    /// Any one from the DS, and signatures by each that the DNSKEY RRset has (RFC 4035 §2.2 taken as a rule for
    /// validators).
    StrictDnskey,
}

/// Which DS records a validator looks at, of those whose digest and algorithm it knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DigestRule {
    /// All.
    Any,
    /// Those of the highest digest type in the RRset.
    HighestOnly,
    /// None with SHA-1 where there is another (RFC 4509 §3).
    IgnoreSha1,
}

/// The algorithms a validator knows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Support {
    /// All that the timeline has.
    All,
    /// Only these.
    Only(BTreeSet<u8>),
}

impl Support {
    fn has(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::All => true,
            Self::Only(known) => known.contains(&algorithm.0),
        }
    }
}

/// A kind of validator.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Validator {
    /// Which algorithms must be complete.
    pub mode: Mode,
    /// Which DS records count.
    pub digests: DigestRule,
    /// Which algorithms it knows.
    pub support: Support,
}

/// The digest types that validators know: SHA-1, SHA-256, SHA-384.
const KNOWN_DIGESTS: [u8; 3] = [1, 2, 4];

/// The link of a chain that fails.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// No key that signs the DNSKEY RRset has a usable DS record; with an algorithm, none of that algorithm.
    NoDsForSigner(Option<u8>),
    /// The DNSKEY RRset has an algorithm whose keys do not sign it.
    KeysNotSignedBy(u8),
    /// No key that signs the data is in the DNSKEY RRset; with an algorithm, none of that algorithm.
    NoKeyForData(Option<u8>),
}

/// What a validator sees in a DS RRset.
pub(super) enum Anchored {
    /// Nothing it can use: the zone is insecure to it.
    Insecure,
    /// The keys that it takes as entry points.
    By(KeySet),
}

impl Validator {
    /// The nine kinds that know every algorithm: each mode with each digest rule.
    pub fn kinds() -> Vec<Self> {
        [Mode::Lenient, Mode::StrictDs, Mode::StrictDnskey]
            .into_iter()
            .flat_map(|mode| {
                [DigestRule::Any, DigestRule::HighestOnly, DigestRule::IgnoreSha1]
                    .into_iter()
                    .map(move |digests| Self::new(mode, digests))
            })
            .collect()
    }

    /// One that knows every algorithm.
    pub fn new(mode: Mode, digests: DigestRule) -> Self {
        Self {
            mode,
            digests,
            support: Support::All,
        }
    }

    /// What this DS RRset is worth to it.
    pub(super) fn anchor(&self, timeline: &Timeline, ds: &DsSet) -> Anchored {
        let known: Vec<&DsRecord> = ds
            .records
            .iter()
            .filter(|record| KNOWN_DIGESTS.contains(&record.digest_type))
            .filter(|record| {
                timeline
                    .key(record.key)
                    .is_some_and(|key| self.support.has(key.algorithm))
            })
            .collect();
        let Some(highest) = known.iter().map(|record| record.digest_type).max() else {
            return Anchored::Insecure;
        };
        let counts = |digest_type| match self.digests {
            DigestRule::Any => true,
            DigestRule::HighestOnly => digest_type == highest,
            DigestRule::IgnoreSha1 => digest_type != 1 || highest == 1,
        };
        let chosen = known.iter().filter(|record| counts(record.digest_type));
        Anchored::By(chosen.map(|record| record.key).collect())
    }

    /// Whether the DNSKEY RRset follows from these entry points.
    pub(super) fn key_link(
        &self,
        timeline: &Timeline,
        anchors: KeySet,
        keys: &KeyRrset,
    ) -> Result<(), Fault> {
        let signers = self.usable(timeline, keys.signers.intersection(keys.keys));
        let entries = algorithms(timeline, signers.intersection(anchors));
        if entries.is_empty() {
            return Err(Fault::NoDsForSigner(None));
        }
        match self.mode {
            Mode::Lenient => Ok(()),
            Mode::StrictDs => first_missing(&algorithms(timeline, anchors), &entries)
                .map_or(Ok(()), |missing| Err(Fault::NoDsForSigner(Some(missing)))),
            Mode::StrictDnskey => first_missing(
                &algorithms(timeline, self.usable(timeline, keys.keys)),
                &algorithms(timeline, signers),
            )
            .map_or(Ok(()), |missing| Err(Fault::KeysNotSignedBy(missing))),
        }
    }

    /// Whether the data follow from the DNSKEY RRset, which followed from these entry points.
    pub(super) fn data_link(
        &self,
        timeline: &Timeline,
        anchors: KeySet,
        keys: &KeyRrset,
        data: &SignedData,
    ) -> Result<(), Fault> {
        let published = self.usable(timeline, keys.keys);
        let signed = algorithms(timeline, published.intersection(data.signers));
        if signed.is_empty() {
            return Err(Fault::NoKeyForData(None));
        }
        let demanded = match self.mode {
            Mode::Lenient => return Ok(()),
            Mode::StrictDs => algorithms(timeline, anchors),
            Mode::StrictDnskey => algorithms(timeline, published),
        };
        first_missing(&demanded, &signed).map_or(Ok(()), |missing| Err(Fault::NoKeyForData(Some(missing))))
    }

    fn usable(&self, timeline: &Timeline, keys: KeySet) -> KeySet {
        let may = |key: &KeyId| {
            timeline
                .key(*key)
                .is_some_and(|key| key.usage == KeyUse::ZoneKey && self.support.has(key.algorithm))
        };
        keys.iter().filter(may).collect()
    }
}

impl fmt::Display for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.mode {
            Mode::Lenient => "lenient",
            Mode::StrictDs => "strict-DS",
            Mode::StrictDnskey => "strict-DNSKEY",
        })?;
        f.write_str(match self.digests {
            DigestRule::Any => "",
            DigestRule::HighestOnly => ", highest digest only",
            DigestRule::IgnoreSha1 => ", SHA-1 ignored beside others",
        })?;
        if let Support::Only(known) = &self.support {
            write!(f, ", algorithms {known:?} only")?;
        }
        Ok(())
    }
}

fn algorithms(timeline: &Timeline, keys: KeySet) -> BTreeSet<u8> {
    let keys = keys.iter().filter_map(|key| timeline.key(key));
    keys.map(|key| key.algorithm.0).collect()
}

fn first_missing(demanded: &BTreeSet<u8>, had: &BTreeSet<u8>) -> Option<u8> {
    demanded.difference(had).next().copied()
}
