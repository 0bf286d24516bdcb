//! From the parent's DS to the zone's keys (RFC 4035 §5.2).

use std::{fmt, str::FromStr};

use super::{
    Ending, Insecure, ZoneKeys, is_known,
    reason::{Bogus, BrokenLink, LinkFault},
    rrset::{Good, Rrset, rrsets},
};
use crate::{
    clock::UnixTime,
    dnssec::{
        algorithm::{Algorithm, DigestType},
        key::{Dnskey, ds_text},
    },
    wire::{
        Name, NameRef, RrType,
        received::Received,
        text::{TextError, lexer::Lexer, read_rdata},
    },
};

/// A DS record: which key of the zone the parent vouches for (RFC 4034 §5).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ds(Box<[u8]>);

/// Why something is no DS.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DsError {
    /// Fewer octets than a DS has.
    #[error("a DS has a key tag, an algorithm, a digest type and a digest; this one is cut short")]
    Short,
    /// Text that cannot be read.
    #[error("write a DS as TAG ALGORITHM DIGEST-TYPE DIGEST, such as '55648 13 2 B4C8…'")]
    Text(#[source] TextError),
}

impl Ds {
    /// Takes rdata.
    ///
    /// # Errors
    /// [`DsError::Short`] when there is no digest in it.
    pub fn from_rdata(rdata: &[u8]) -> Result<Self, DsError> {
        if rdata.len() < 5 {
            return Err(DsError::Short);
        }
        Ok(Self(rdata.into()))
    }

    /// The one that points to `key` at `owner`.
    pub fn of(key: &Dnskey, owner: NameRef<'_>, digest_type: DigestType) -> Self {
        Self(key.ds(owner, digest_type))
    }

    /// The rdata.
    pub fn rdata(&self) -> &[u8] {
        &self.0
    }

    /// The tag of the key.
    pub fn tag(&self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    /// The algorithm of the key.
    pub fn algorithm(&self) -> Algorithm {
        Algorithm(self.0[2])
    }

    /// The digest type's number.
    pub fn digest_type(&self) -> u8 {
        self.0[3]
    }

    /// The digest type, where digests of it are made here. SHA-1 is not (RFC 9905).
    pub fn known_digest_type(&self) -> Option<DigestType> {
        [DigestType::Sha256, DigestType::Sha384]
            .into_iter()
            .find(|known| known.number() == self.digest_type())
    }

    /// Whether it is the digest of this key at `owner`.
    pub fn points_to(&self, key: &Dnskey, owner: NameRef<'_>) -> bool {
        self.known_digest_type()
            .is_some_and(|digest_type| key.ds(owner, digest_type) == self.0)
    }

    fn names(&self, key: &Dnskey) -> bool {
        key.algorithm() == self.algorithm() && key.key_tag() == self.tag()
    }
}

impl FromStr for Ds {
    type Err = DsError;

    fn from_str(text: &str) -> Result<Self, DsError> {
        let mut rdata = Vec::new();
        let mut lexer = Lexer::new(text.as_bytes());
        read_rdata(RrType::DS, &mut lexer, None, &mut rdata).map_err(DsError::Text)?;
        Self::from_rdata(&rdata)
    }
}

impl fmt::Display for Ds {
    /// The presentation form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&ds_text(&self.0))
    }
}

impl fmt::Debug for Ds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DS {self}")
    }
}

/// What a validator insists on where several algorithms or digests are in play.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Insist {
    /// Any path will do (RFC 6840 §5.11).
    #[default]
    AnyPath,
    /// Every algorithm of the DS RRset must lead to a signature, of keys and of data, and only the DS of the highest
    /// digest type count: the strictest that is in use (unbound with `harden-algo-downgrade`).
    EveryAlgorithm,
}

/// Where the DS RRset leads.
#[derive(Clone, Debug)]
pub enum Chained {
    /// To these keys: all of the RRset that one of them signed.
    Keys {
        /// The keys.
        keys: ZoneKeys,
        /// When that signature ends.
        ending: Ending,
    },
    /// Nowhere, and the zone counts as unsigned.
    Insecure(Insecure),
}

/// Finds the keys that the DS RRset vouches for in an answer to the DNSKEY question.
///
/// # Errors
/// Why a resolver would refuse everything in the zone.
pub fn keys_by_ds(
    apex: &Name,
    ds: &[Ds],
    answer: &Received,
    now: UnixTime,
    insist: Insist,
) -> Result<Chained, Bogus> {
    let usable = usable(ds, insist);
    if usable.is_empty() && !ds.is_empty() {
        return Ok(Chained::Insecure(Insecure::NoKnownDs));
    }
    let sets = rrsets(&answer.answers);
    let set = sets
        .iter()
        .find(|set| set.rtype == RrType::DNSKEY && set.owner == apex)
        .ok_or(Bogus::NoKeys)?;
    let keys: Vec<Dnskey> = set
        .rdatas
        .iter()
        .filter_map(|rdata| Dnskey::from_rdata(rdata).ok())
        .collect();
    let links: Vec<(&Ds, Result<Good, LinkFault>)> = usable
        .iter()
        .map(|ds| (*ds, link(apex, ds, set, &keys, now)))
        .collect();
    let best = links
        .iter()
        .filter_map(|(_, link)| link.as_ref().ok())
        .max_by_key(|good| good.expiration);
    let Some(best) = best else {
        return Err(Bogus::Chain(broken(&links)));
    };
    let keys = ZoneKeys::new(apex.clone(), keys);
    let ending = Ending {
        owner: apex.clone(),
        rtype: RrType::DNSKEY,
        ttl: set.ttl,
        expiration: best.expiration,
    };
    if insist == Insist::AnyPath {
        return Ok(Chained::Keys { keys, ending });
    }
    let mut algorithms: Vec<Algorithm> = usable.iter().map(|ds| ds.algorithm()).collect();
    algorithms.sort_unstable();
    algorithms.dedup();
    let leads = |algorithm: &Algorithm| {
        links
            .iter()
            .any(|(ds, link)| ds.algorithm() == *algorithm && link.is_ok())
    };
    match algorithms.iter().find(|algorithm| !leads(algorithm)) {
        Some(algorithm) => Err(Bogus::ChainOf(*algorithm)),
        None => Ok(Chained::Keys {
            keys: keys.demanding(algorithms),
            ending,
        }),
    }
}

/// The DS records that a validator looks at: of algorithms and digests that are known, and where it insists, of the
/// highest digest type among them.
fn usable(ds: &[Ds], insist: Insist) -> Vec<&Ds> {
    let mut usable: Vec<&Ds> = ds
        .iter()
        .filter(|ds| is_known(ds.algorithm()) && ds.known_digest_type().is_some())
        .collect();
    if insist == Insist::EveryAlgorithm {
        let highest = usable.iter().map(|ds| ds.digest_type()).max();
        usable.retain(|ds| Some(ds.digest_type()) == highest);
    }
    usable
}

/// Whether this DS leads to a key that signed the set.
fn link(apex: &Name, ds: &Ds, set: &Rrset<'_>, keys: &[Dnskey], now: UnixTime) -> Result<Good, LinkFault> {
    let named: Vec<&Dnskey> = keys.iter().filter(|key| ds.names(key)).collect();
    if named.is_empty() {
        return Err(LinkFault::KeyMissing);
    }
    let key = named
        .into_iter()
        .find(|key| ds.points_to(key, apex.as_ref()))
        .ok_or(LinkFault::Digest)?;
    if !key.is_zone_key() || key.protocol() != 3 || key.is_revoked() {
        return Err(LinkFault::Unfit);
    }
    let alone = ZoneKeys::new(apex.clone(), [key.clone()]);
    match set.verify(&alone, now) {
        Ok(good) => Ok(good),
        Err(Bogus::Signatures { faults, .. }) => {
            let own = faults
                .into_iter()
                .find(|bad| bad.tag == ds.tag() && bad.algorithm == ds.algorithm());
            Err(own.map_or(LinkFault::NoSignature, |bad| LinkFault::Signature(bad.fault)))
        }
        Err(_) => Err(LinkFault::NoSignature),
    }
}

fn broken(links: &[(&Ds, Result<Good, LinkFault>)]) -> Vec<BrokenLink> {
    links
        .iter()
        .filter_map(|(ds, link)| {
            let fault = link.as_ref().err()?.clone();
            Some(BrokenLink {
                tag: ds.tag(),
                algorithm: ds.algorithm(),
                fault,
            })
        })
        .collect()
}
