//! The content of zones, and where it comes from when that is not a file.
//!
//! ```text
//! sources      which zone is due, the background task, what a person says
//! ├─ schedule    refresh, retry, expire
//! ├─ notices     NOTIFY: who may tell us that a zone has changed
//! └─ fetch       asks the servers or the provider, and takes what comes
//!    ├─ incoming    records in, content out: whole, or as changes to what we have
//!    ├─ judge       whether it may replace what is served
//!    └─ copies      it is durable before it is served
//! ```

mod copies;
mod fetch;
mod incoming;
pub mod judge;
mod notices;
pub mod schedule;
mod sources;
#[cfg(test)]
mod tests;

use crate::{
    config::ContentSource,
    dnssec::{
        key::Dnskey,
        sign::{LONGEST_VALIDITY, Validity},
    },
    wire::{NameRef, RrType, Ttl},
    zone::Zone,
};

pub use copies::{Copies, FromCopy};
pub use sources::{Sources, accept, keep};

/// A zone's content, ready to be served with keys.
#[derive(Debug)]
pub struct Content {
    /// The zone, without key sets of ours.
    pub zone: Zone,
    /// Equal for equal records, whatever their order; of meaning in this process only.
    pub fingerprint: u64,
    /// DNSKEY records of the apex that are left out.
    pub left_out_keys: Vec<Dnskey>,
    /// What else is known of content that did not come from a file.
    pub fetched: Option<Fetched>,
}

/// What is known of content that was fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetched {
    /// The word of [`origin_of`] for where it came from.
    pub origin: String,
    /// Records that other signers made, in the last whole version.
    pub left_out: u64,
    /// Whether it says its own digest (RFC 8976).
    pub digest: Digest,
    /// What was found when its last whole version was taken.
    pub findings: Vec<String>,
}

/// What the digests of content say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Digest {
    /// It has none.
    Absent,
    /// One matches.
    Verified,
    /// It has only such that are not known here.
    Unsupported,
    /// It was read from our own copy, which was checked when it was taken.
    Kept,
}

/// A word for where content comes from: changes are made only to what came from there.
pub fn origin_of(source: &ContentSource) -> Option<String> {
    match source {
        ContentSource::File { .. } => None,
        ContentSource::Axfr { .. } => Some("axfr".to_owned()),
        ContentSource::Ns1 { provider, .. } => Some(format!("ns1 {provider}")),
    }
}

/// The largest TTL that a zone's signatures can carry; `validity` is what the person set, if anything.
pub fn ttl_limit(validity: Option<std::time::Duration>) -> Ttl {
    Validity::ttl_limit(validity.unwrap_or(LONGEST_VALIDITY))
}

/// What a record adds to a fingerprint. Owners are hashed in lower case: a change may write them in another.
pub fn fingerprint_of(
    hasher: &ahash::RandomState,
    owner: NameRef<'_>,
    rtype: RrType,
    ttl: Ttl,
    rdata: &[u8],
) -> u64 {
    let owner = owner.to_lower();
    hasher.hash_one((owner.as_ref().as_wire(), rtype, ttl, rdata))
}
