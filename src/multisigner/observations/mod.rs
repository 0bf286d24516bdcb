//! What every server showed, and from when to when: so that a TTL that was lowered counts for as long as caches may hold
//! what they got with it, over restarts too.
//!
//! ```text
//! look at every server ─┐                       ┌─► TTLs that count: a plan's waits, `status`
//! what is served here ──┴─► log of a zone ─► store
//! ```
//!
//! | what comes | becomes |
//! |---|---|
//! | the same as before from the same source | the same entry, last seen later |
//! | something else | a new entry; the one before ended then |
//! | nothing, for the source cannot be reached | nothing: neither seen nor gone |
//!
//! An entry is dropped when no wait of a plan can come upon it any more, and the oldest ones of a source are merged when
//! there are more than the configuration wants: the TTL of what is merged is the largest, for as long as any counted.

mod log;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use log::{Change, Log};

use super::safety::Seconds;
use crate::{
    clock::UnixTime,
    wire::{Name, NameRef},
};

/// The largest TTL that anybody keeps anything for (RFC 8767 §4), in seconds.
pub const LARGEST_TTL: Seconds = 604_800;

/// Who shows something.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// This server.
    Ours,
    /// Another provider, by its name.
    Provider(String),
    /// The parent.
    Parent,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours => f.write_str("this server"),
            Self::Provider(name) => f.write_str(name),
            Self::Parent => f.write_str("the parent"),
        }
    }
}

/// What kind of answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The DS RRset, or the proof that there is none.
    Ds,
    /// The DNSKEY RRset.
    Dnskey,
    /// The NS RRset of the apex or, at the parent, of the delegation.
    Ns,
    /// The SOA record.
    Soa,
    /// A proof that something is not there.
    Denial,
    /// The CDS RRset, or none.
    Cds,
    /// The CSYNC record, or none.
    Csync,
    /// Whatever has the largest TTL in the content.
    Data,
    /// Proofs that something is not in the content.
    NoData,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ds => "DS",
            Self::Dnskey => "DNSKEY",
            Self::Ns => "NS",
            Self::Soa => "SOA",
            Self::Denial => "denials",
            Self::Cds => "CDS",
            Self::Csync => "CSYNC",
            Self::Data => "data",
            Self::NoData => "absence",
        })
    }
}

/// Something that was seen at one source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Whose source.
    pub party: Party,
    /// Which server, and by what way it was asked.
    pub source: String,
    /// What kind of answer.
    pub class: Class,
    /// A digest of its records.
    pub value: String,
    /// Its TTL.
    pub ttl: Seconds,
    /// When it was asked: it may have been shown since then.
    pub asked: UnixTime,
    /// When the answer had come: what was shown before may have been shown until then.
    pub came: UnixTime,
}

/// What a source showed for a time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Observation {
    /// Whose source.
    pub party: Party,
    /// Which server, and by what way it was asked.
    pub source: String,
    /// What kind of answer.
    pub class: Class,
    /// A digest of its records.
    pub value: String,
    /// Its TTL, in seconds; the largest of those that were merged.
    pub ttl: Seconds,
    /// When it was first seen.
    pub first: UnixTime,
    /// When it was last seen.
    pub last: UnixTime,
    /// When the source showed something else; nothing as long as it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<UnixTime>,
    /// How many older ones are merged into it.
    #[serde(default)]
    pub merged: u64,
}

/// A TTL with which caches may still hold something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counted {
    /// Whose answers.
    pub party: Party,
    /// What kind of answer.
    pub class: Class,
    /// The TTL.
    pub ttl: Seconds,
    /// When it was first seen.
    pub since: UnixTime,
    /// When the last source gave up giving it; nothing while one gives it, as far as is known.
    pub ended: Option<UnixTime>,
}

/// Since when something is as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Whose answers.
    pub party: Party,
    /// What kind of answer.
    pub class: Class,
    /// When the last of its sources was first seen to show what it shows; the TTL is left aside. Nobody saw what was
    /// before where that was the first look of all.
    pub since: UnixTime,
}

/// How much is kept of a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// The most entries. What every source shows at present is kept beyond that.
    pub entries: usize,
    /// How long after its TTL something may be held or still be served: the largest propagation and the margin.
    pub beyond_ttl: Seconds,
}

/// Why what was seen cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum ObservationError {
    /// An entry is not what this program writes.
    #[error(
        "what was seen of {zone} earlier cannot be read (entry {number}: {why}); run the version of this program that wrote it, or bring the state folder back from a backup"
    )]
    Spoiled {
        /// The zone.
        zone: Name,
        /// Which of its entries.
        number: u64,
        /// Why.
        why: String,
    },
    /// The store failed.
    #[error("what was seen of the servers cannot be read or kept")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Where logs are kept. The lower layer `store` implements it.
pub trait ObservationStore: Send + Sync {
    /// The log of a zone.
    ///
    /// # Errors
    /// When it cannot be read.
    fn observations(&self, zone: NameRef<'_>) -> Result<Log, ObservationError>;

    /// Keeps changes of logs, all or none. When this returns they are on disk.
    ///
    /// # Errors
    /// When they cannot be written, or it is not known whether they were.
    fn keep_observations(&self, changes: &[(Name, Vec<Change>)]) -> Result<(), ObservationError>;
}

/// The first octet of a stored entry: which encoding follows.
const VERSION: u8 = 1;

impl Observation {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).expect("an observation is plain data with text for keys");
        [&[VERSION], &json[..]].concat()
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// Why it is none, in words.
    pub fn decode(octets: &[u8]) -> Result<Self, String> {
        match octets.split_first() {
            Some((&VERSION, json)) => serde_json::from_slice(json).map_err(|error| error.to_string()),
            Some((found, _)) => Err(format!(
                "it has format {found}, this program knows format {VERSION}"
            )),
            None => Err("it is empty".to_owned()),
        }
    }
}
