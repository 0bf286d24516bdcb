//! The journal of runs: each entry with the hash of all before it, so that one that was cut or altered is recognised.
//!
//! ```text
//! stored entry = version 1 | SHA-256(hash before | zone | number | JSON) | JSON          head = number of entries | last hash
//! ```
//!
//! The head is written with the entries, in the same transaction: it tells when the last ones are missing.

use ring::digest;

use super::{Entry, JournalFault, Run};
use crate::wire::{Name, NameRef};

/// Where the entries of runs are kept. The lower layer `store` implements it.
pub trait RunJournal: Send + Sync {
    /// All entries of the zone, oldest first, as they were written.
    ///
    /// # Errors
    /// When they cannot be read, or were cut or altered.
    fn run_entries(&self, zone: NameRef<'_>) -> Result<Vec<Entry>, RunJournalError>;

    /// Appends entries, all or none. When this returns they are on disk.
    ///
    /// # Errors
    /// When they cannot be written, or it is not known whether they were: [`RunJournal::run_entries`] tells.
    fn append_run(&self, zone: &Name, entries: &[Entry]) -> Result<(), RunJournalError>;
}

/// Why a journal of runs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunJournalError {
    /// It is not what was written.
    #[error(
        "the journal of the plans of {zone} was cut or altered: {why}. What is served goes on, and nothing is changed by plans until the state folder is brought back from a backup, or the journal is given up: countersign abort {zone} --forget-journal REASON"
    )]
    Spoiled {
        /// The zone.
        zone: Name,
        /// What is wrong.
        why: String,
    },
    /// The store failed.
    #[error("the journal of plans cannot be read or written")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The last run of a zone; none when there never was any.
///
/// # Errors
/// When the journal cannot be read, was cut or altered, or cannot have been written in this order.
pub fn last_run(journal: &dyn RunJournal, zone: NameRef<'_>) -> Result<Option<Run>, RunJournalError> {
    let entries = journal.run_entries(zone)?;
    Run::read(&entries).map_err(|fault: JournalFault| RunJournalError::Spoiled {
        zone: zone.to_owned(),
        why: fault.to_string(),
    })
}

/// The first octet of a stored entry: which encoding follows.
const VERSION: u8 = 1;
/// The octets of a hash.
const HASH: usize = 32;

/// How far a journal goes, and the hash of all of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// The number of entries.
    pub count: u64,
    hash: [u8; HASH],
}

/// Why a stored entry is not the one that belongs there.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Written by a later version of this program, or spoiled.
    #[error("entry {number} has format {found:?}, this program knows format {VERSION}")]
    Version {
        /// Its place.
        number: u64,
        /// Its format.
        found: Option<u8>,
    },
    /// Its hash is another one.
    #[error("entry {number} is not what was written, or one before it is missing")]
    Hash {
        /// Its place.
        number: u64,
    },
    /// Not what format 1 is.
    #[error("entry {number} cannot be read: {source}")]
    Form {
        /// Its place.
        number: u64,
        /// Why.
        source: serde_json::Error,
    },
    /// The head says something else.
    #[error("{found} of {expected} entries are there")]
    Cut {
        /// How many there are.
        found: u64,
        /// How many were written.
        expected: u64,
    },
    /// The head itself.
    #[error("its end cannot be told")]
    Head,
}

impl Head {
    /// The hash over the next entry.
    fn after(&self, zone: NameRef<'_>, json: &[u8]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.hash);
        context.update(zone.to_lower().as_ref().as_wire());
        context.update(&self.count.to_be_bytes());
        context.update(json);
        let mut hash = [0; HASH];
        hash.copy_from_slice(context.finish().as_ref());
        let count = self.count + 1;
        Self { count, hash }
    }

    /// The stored form of the next entry; the head goes on to it.
    pub fn encode(&mut self, zone: NameRef<'_>, entry: &Entry) -> Vec<u8> {
        let json = serde_json::to_vec(entry).expect("an entry is plain data with text for keys");
        *self = self.after(zone, &json);
        [&[VERSION], &self.hash[..], &json].concat()
    }

    /// Reads the stored form of the next entry; the head goes on to it.
    ///
    /// # Errors
    /// When it is not the one that was written there.
    pub fn decode(&mut self, zone: NameRef<'_>, octets: &[u8]) -> Result<Entry, DecodeError> {
        let number = self.count;
        let Some((&VERSION, rest)) = octets.split_first() else {
            let found = octets.first().copied();
            return Err(DecodeError::Version { number, found });
        };
        let (hash, json) = rest.split_at_checked(HASH).ok_or(DecodeError::Hash { number })?;
        let after = self.after(zone, json);
        if after.hash != hash {
            return Err(DecodeError::Hash { number });
        }
        let entry = serde_json::from_slice(json).map_err(|source| DecodeError::Form { number, source })?;
        *self = after;
        Ok(entry)
    }

    /// The stored form of the head.
    pub fn to_octets(self) -> Vec<u8> {
        [&self.count.to_be_bytes()[..], &self.hash].concat()
    }

    /// Whether this, after all entries were read, is what was written.
    ///
    /// # Errors
    /// When entries are missing, or there are more.
    pub fn agrees(&self, written: Option<&[u8]>) -> Result<(), DecodeError> {
        let expected = match written {
            None => Self::default(),
            Some(octets) => {
                let (count, hash) = octets.split_first_chunk::<8>().ok_or(DecodeError::Head)?;
                Self {
                    count: u64::from_be_bytes(*count),
                    hash: hash.try_into().map_err(|_| DecodeError::Head)?,
                }
            }
        };
        match (expected.count == self.count, expected == *self) {
            (_, true) => Ok(()),
            (true, false) => Err(DecodeError::Head),
            (false, _) => Err(DecodeError::Cut {
                found: self.count,
                expected: expected.count,
            }),
        }
    }
}
