//! Validation as a resolver does it (RFC 4035 §5): the keys of a zone, an answer and a time go in, a verdict comes
//! out. Whose keys and whose answer is the caller's choice, so that one provider's answers can be judged with the
//! DNSKEY RRset of another (RFC 8901 §2.1).
//!
//! | file | holds |
//! |---|---|
//! | `chain` | the DNSKEY RRset against the parent's DS (RFC 4035 §5.2) |
//! | `answer` | the walk through an answer: aliases, data, denial, referral |
//! | `rrset` | one RRset against its signatures (RFC 4035 §5.3) |
//! | `denial`, `nsec`, `nsec3` | what is proved not to be there (RFC 4035 §5.4, RFC 5155 §8, RFC 9824) |
//! | `reason` | why not, as sentences |
//!
//! It is not the judge of our own signatures in tests: there it is judged itself, by the validators of others.

mod answer;
mod chain;
mod denial;
mod nsec;
mod nsec3;
pub mod reason;
mod rrset;

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, time::Duration};

pub use answer::validate;
pub use chain::{Chained, Ds, DsError, Insist, keys_by_ds};
pub use reason::{Bogus, Insecure};
pub use rrset::{SignedBy, original_ttl, signed_by};

use super::{
    algorithm::Algorithm,
    denial::{Denial, nsec3::Parameters},
    key::{self, Dnskey},
};
use crate::{
    clock::UnixTime,
    wire::{Name, RrType, Ttl},
};

/// What a resolver makes of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Authentic.
    Secure(Proof),
    /// To be taken without a guarantee.
    Insecure(Insecure),
    /// To be refused.
    Bogus(Bogus),
}

/// What an authentic answer shows, and by what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    /// What it shows.
    pub shows: Shown,
    /// Whether a wildcard took part.
    pub wildcard: bool,
    /// How it denies, where it does.
    pub denial: Option<SeenDenial>,
    /// Tag and algorithm of the keys whose signatures were relied on.
    pub signers: BTreeSet<(u16, Algorithm)>,
    /// The RRset whose signature ends first, counted from the end of its TTL.
    pub first_to_end: Option<Ending>,
}

/// What an authentic answer shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shown {
    /// The data that was asked for.
    Data,
    /// An alias that leads out of the zone, round in circles, or to where the resolver has to ask again.
    Alias,
    /// That there is no such data.
    NoData,
    /// That there is no such name.
    NoName,
    /// A delegation with a DS.
    Delegation,
}

/// A way of denial as an answer shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeenDenial {
    /// The way.
    pub way: Denial,
    /// NSEC3's parameters.
    pub parameters: Option<Parameters>,
}

/// An RRset whose signature ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ending {
    /// Its owner.
    pub owner: Name,
    /// Its type.
    pub rtype: RrType,
    /// Its TTL.
    pub ttl: Ttl,
    /// When its signature ends.
    pub expiration: UnixTime,
}

impl Ending {
    /// The last moment at which a cache may take it and still hold it no longer than the signature lasts.
    pub fn last_moment(&self) -> UnixTime {
        self.expiration
            .minus(Duration::from_secs(self.ttl.seconds().into()))
    }
}

/// The keys that a resolver holds for a zone.
#[derive(Clone, Debug)]
pub struct ZoneKeys {
    apex: Name,
    keys: Vec<(u16, Dnskey)>,
    /// Algorithms of which every RRset must have a good signature; none: one signature is enough.
    demanded: Vec<Algorithm>,
    cryptography: Cryptography,
}

/// What verifies signatures.
#[derive(Clone, Copy, Debug)]
struct Cryptography {
    knows: fn(Algorithm) -> bool,
    verify: fn(&Dnskey, &[u8], &[u8]) -> bool,
}

/// Whether signatures of an algorithm can be verified here.
pub fn is_known(algorithm: Algorithm) -> bool {
    matches!(
        algorithm,
        Algorithm::RSASHA256
            | Algorithm::RSASHA512
            | Algorithm::ECDSAP256SHA256
            | Algorithm::ECDSAP384SHA384
            | Algorithm::ED25519
    )
}

impl ZoneKeys {
    /// Takes keys as they are, for a DNSKEY RRset that is trusted already. Those without the ZONE flag or of another
    /// protocol than 3 are left out (RFC 4034 §2.1).
    pub fn new(apex: Name, keys: impl IntoIterator<Item = Dnskey>) -> Self {
        let keys = keys
            .into_iter()
            .filter(|key| key.is_zone_key() && key.protocol() == 3)
            .map(|key| (key.key_tag(), key))
            .collect();
        Self {
            apex,
            keys,
            demanded: Vec::new(),
            cryptography: Cryptography {
                knows: is_known,
                verify: key::verify,
            },
        }
    }

    /// The same keys for a validator that wants a good signature of each of these algorithms.
    #[must_use]
    pub fn demanding(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.demanded = algorithms.into_iter().collect();
        self
    }

    /// The zone.
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// The keys.
    pub fn keys(&self) -> impl Iterator<Item = &Dnskey> {
        self.keys.iter().map(|(_, key)| key)
    }

    fn named(&self, tag: u16, algorithm: Algorithm) -> impl Iterator<Item = &Dnskey> {
        self.keys
            .iter()
            .filter(move |(own, key)| *own == tag && key.algorithm() == algorithm)
            .map(|(_, key)| key)
    }
}
