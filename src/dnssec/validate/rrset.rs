//! RRsets of a message with their signatures, and whether one of these is good (RFC 4035 §5.3).

use std::collections::HashMap;

use super::{
    ZoneKeys,
    reason::{BadSignature, Bogus, SignatureFault},
};
use crate::{
    clock::UnixTime,
    dnssec::{algorithm::Algorithm, key::Dnskey},
    wire::{Class, Name, NameRef, RrType, Ttl, received::Record, types},
};

/// Signatures tried for one RRset, over all keys that share a tag. A set in the middle of a roll has four; more is
/// an attack on validators (CVE-2023-50387).
const MOST_TRIED: usize = 16;
/// The fields of an RRSIG in front of the signer's name (RFC 4034 §3.1).
const FIXED: usize = 18;

/// Records of one owner and type, with their signatures.
#[derive(Debug)]
pub(super) struct Rrset<'m> {
    pub owner: &'m Name,
    pub rtype: RrType,
    /// The smallest TTL among the records.
    pub ttl: Ttl,
    /// As received, in the order received.
    pub rdatas: Vec<&'m [u8]>,
    pub signatures: Vec<Rrsig<'m>>,
}

/// One RRSIG.
#[derive(Debug)]
pub(super) struct Rrsig<'m> {
    fixed: &'m [u8; FIXED],
    pub signer: NameRef<'m>,
    signature: &'m [u8],
}

/// A signature that is good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Good {
    pub tag: u16,
    pub algorithm: Algorithm,
    pub labels: u8,
    pub expiration: UnixTime,
    pub original_ttl: Ttl,
}

/// Who signs an RRset.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SignedBy {
    /// The largest TTL with which caches may have got it, as far as this answer tells: that of its records, or the original
    /// TTL of a good signature. Whoever answers from a cache shows what is left of that (RFC 4034 §3.1.4).
    pub ttl: Ttl,
    /// The keys by which a signature is good.
    pub keys: Vec<Dnskey>,
    /// The tags of signatures by none of them.
    pub others: Vec<u16>,
}

/// Who, of these keys of the zone at `apex`, signs the RRset of that owner and type in a section; none when it has no
/// such RRset.
pub fn signed_by(
    section: &[Record],
    owner: Option<&Name>,
    rtype: RrType,
    apex: &Name,
    keys: &[Dnskey],
    now: UnixTime,
) -> Option<SignedBy> {
    let mut sets = rrsets(section).into_iter();
    let set = sets.find(|set| set.rtype == rtype && owner.is_none_or(|owner| owner == set.owner))?;
    let signature = |key: &Dnskey| {
        let alone = ZoneKeys::new(apex.clone(), [key.clone()]);
        set.verify(&alone, now).ok()
    };
    let named = |key: &&Dnskey| {
        let mut signatures = set.signatures.iter();
        signatures
            .any(|signature| signature.tag() == key.key_tag() && signature.algorithm() == key.algorithm())
    };
    let signed = keys
        .iter()
        .filter(named)
        .filter_map(|key| Some((key.clone(), signature(key)?.original_ttl)));
    let (good, original): (Vec<Dnskey>, Vec<Ttl>) = signed.unzip();
    let by_none = |tag: &u16| good.iter().all(|key| key.key_tag() != *tag);
    Some(SignedBy {
        ttl: original.into_iter().fold(set.ttl, Ttl::max),
        others: set.signatures.iter().map(Rrsig::tag).filter(by_none).collect(),
        keys: good,
    })
}

/// The largest original TTL among the signatures over the RRset of that owner and type in a section, good or not; none where
/// it has no such RRset, or no signature.
pub fn original_ttl(section: &[Record], owner: Option<&Name>, rtype: RrType) -> Option<Ttl> {
    let sets = rrsets(section);
    let mut of_type = sets.iter().filter(|set| set.rtype == rtype);
    let set = of_type.find(|set| owner.is_none_or(|owner| owner == set.owner))?;
    set.signatures.iter().map(Rrsig::original_ttl).max()
}

/// The RRsets of a section in the order in which they begin. Records of other classes are passed over, and
/// signatures without an RRset too.
pub(super) fn rrsets(section: &[Record]) -> Vec<Rrset<'_>> {
    let mut sets: Vec<Rrset<'_>> = Vec::new();
    let mut places: HashMap<(&Name, RrType), usize> = HashMap::new();
    let records = || section.iter().filter(|record| record.class == Class::IN);
    for record in records().filter(|record| record.rtype != RrType::RRSIG) {
        let place = *places.entry((&record.owner, record.rtype)).or_insert(sets.len());
        if place == sets.len() {
            sets.push(Rrset {
                owner: &record.owner,
                rtype: record.rtype,
                ttl: record.ttl,
                rdatas: Vec::new(),
                signatures: Vec::new(),
            });
        }
        let set = &mut sets[place];
        set.ttl = set.ttl.min(record.ttl);
        set.rdatas.push(&record.rdata);
    }
    for record in records().filter(|record| record.rtype == RrType::RRSIG) {
        if let Some(signature) = Rrsig::read(&record.rdata)
            && let Some(place) = places.get(&(&record.owner, signature.covers()))
        {
            sets[*place].signatures.push(signature);
        }
    }
    sets
}

impl<'m> Rrsig<'m> {
    fn read(rdata: &'m [u8]) -> Option<Self> {
        let (fixed, rest) = rdata.split_first_chunk()?;
        let (signer, signature) = NameRef::split_from(rest).ok()?;
        Some(Self {
            fixed,
            signer,
            signature,
        })
    }

    fn covers(&self) -> RrType {
        RrType(u16::from_be_bytes([self.fixed[0], self.fixed[1]]))
    }

    pub fn algorithm(&self) -> Algorithm {
        Algorithm(self.fixed[2])
    }

    fn labels(&self) -> u8 {
        self.fixed[3]
    }

    fn u32_at(&self, at: usize) -> u32 {
        let octets = [
            self.fixed[at],
            self.fixed[at + 1],
            self.fixed[at + 2],
            self.fixed[at + 3],
        ];
        u32::from_be_bytes(octets)
    }

    pub fn tag(&self) -> u16 {
        u16::from_be_bytes([self.fixed[16], self.fixed[17]])
    }

    fn original_ttl(&self) -> Ttl {
        Ttl::new(self.u32_at(4))
    }

    /// The expiration as the time nearest to `now` that has these 32 bits (RFC 4034 §3.1.5, RFC 1982).
    fn expiration(&self, now: UnixTime) -> UnixTime {
        nearest(self.u32_at(8), now)
    }

    fn inception(&self, now: UnixTime) -> UnixTime {
        nearest(self.u32_at(12), now)
    }

    /// Whether the times allow it at `now` (RFC 4035 §5.3.1).
    fn time_fault(&self, now: UnixTime) -> Option<SignatureFault> {
        let (inception, expiration) = (self.u32_at(12), self.u32_at(8));
        if (expiration.wrapping_sub(inception) as i32) < 0 {
            Some(SignatureFault::Backwards)
        } else if (expiration.wrapping_sub(now.to_serial()) as i32) < 0 {
            Some(SignatureFault::Expired(self.expiration(now)))
        } else if (now.to_serial().wrapping_sub(inception) as i32) < 0 {
            Some(SignatureFault::Early(self.inception(now)))
        } else {
            None
        }
    }
}

fn nearest(serial: u32, now: UnixTime) -> UnixTime {
    let distance = i64::from(serial.wrapping_sub(now.to_serial()) as i32);
    UnixTime(now.0.saturating_add_signed(distance))
}

impl Rrset<'_> {
    /// The best good signature: one whose owner is no wildcard before one whose owner is, and of those the one that
    /// lasts longest.
    pub fn verify(&self, keys: &ZoneKeys, now: UnixTime) -> Result<Good, Bogus> {
        let (owner, rtype) = (|| self.owner.clone(), self.rtype);
        if self.signatures.is_empty() {
            return Err(Bogus::Unsigned {
                owner: owner(),
                rtype,
            });
        }
        let records = self.canonical_records();
        let mut tries = MOST_TRIED;
        let (mut good, mut faults) = (Vec::<Good>::new(), Vec::new());
        for signature in &self.signatures {
            match self.try_one(signature, &records, keys, now, &mut tries) {
                Ok(one) => good.push(one),
                Err(fault) => faults.push(BadSignature {
                    tag: signature.tag(),
                    algorithm: signature.algorithm(),
                    fault,
                }),
            }
        }
        if let Some(&algorithm) = keys
            .demanded
            .iter()
            .find(|algorithm| !good.is_empty() && good.iter().all(|one| one.algorithm != **algorithm))
        {
            return Err(Bogus::AlgorithmMissing {
                owner: owner(),
                rtype,
                algorithm,
            });
        }
        let best = good.into_iter().max_by_key(|one| (one.labels, one.expiration));
        best.ok_or_else(|| Bogus::Signatures {
            owner: owner(),
            rtype,
            faults,
        })
    }

    fn try_one(
        &self,
        signature: &Rrsig<'_>,
        records: &[Vec<u8>],
        keys: &ZoneKeys,
        now: UnixTime,
        tries: &mut usize,
    ) -> Result<Good, SignatureFault> {
        if signature.signer != keys.apex.as_ref() {
            return Err(SignatureFault::Signer(signature.signer.to_owned()));
        }
        if signature.labels() > self.owner.as_ref().rrsig_labels() {
            return Err(SignatureFault::Labels);
        }
        if !(keys.cryptography.knows)(signature.algorithm()) {
            return Err(SignatureFault::UnknownAlgorithm);
        }
        let named: Vec<&Dnskey> = keys.named(signature.tag(), signature.algorithm()).collect();
        if named.is_empty() {
            return Err(SignatureFault::KeyMissing);
        }
        if named.iter().all(|key| key.is_revoked()) {
            return Err(SignatureFault::KeyRevoked);
        }
        if let Some(fault) = signature.time_fault(now) {
            return Err(fault);
        }
        let message = self.signed_octets(signature, records);
        for key in named.into_iter().filter(|key| !key.is_revoked()) {
            *tries = tries.checked_sub(1).ok_or(SignatureFault::Untried)?;
            if (keys.cryptography.verify)(key, &message, signature.signature) {
                return Ok(Good {
                    tag: signature.tag(),
                    algorithm: signature.algorithm(),
                    labels: signature.labels(),
                    expiration: signature.expiration(now),
                    original_ttl: signature.original_ttl(),
                });
            }
        }
        Err(SignatureFault::Wrong)
    }

    /// The rdata in canonical form and order, each once (RFC 4034 §6.2, §6.3).
    fn canonical_records(&self) -> Vec<Vec<u8>> {
        let canonical = |rdata: &&[u8]| {
            let mut out = Vec::with_capacity(rdata.len());
            types::canonical_rdata(self.rtype, rdata, &mut out);
            out
        };
        let mut records: Vec<Vec<u8>> = self.rdatas.iter().map(canonical).collect();
        records.sort_unstable();
        records.dedup();
        records
    }

    /// What was signed (RFC 4034 §3.1.8.1, RFC 4035 §5.3.2).
    fn signed_octets(&self, signature: &Rrsig<'_>, records: &[Vec<u8>]) -> Vec<u8> {
        let owner = signed_owner(self.owner.as_ref(), signature.labels());
        let mut message = signature.fixed.to_vec();
        message.extend_from_slice(signature.signer.to_lower().as_ref().as_wire());
        for rdata in records {
            message.extend_from_slice(owner.as_wire());
            message.extend_from_slice(&self.rtype.0.to_be_bytes());
            message.extend_from_slice(&Class::IN.0.to_be_bytes());
            message.extend_from_slice(&signature.fixed[4..8]);
            message.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
            message.extend_from_slice(rdata);
        }
        message
    }

    /// Whether all its signatures say that they are of a zone below `apex`.
    pub fn is_of_a_child(&self, apex: NameRef<'_>) -> bool {
        !self.signatures.is_empty() && self.signatures.iter().all(|one| one.signer.is_below(apex))
    }
}

/// The owner as it was signed: lower-cased, and the wildcard where the signature has fewer labels (RFC 4035 §5.3.2).
fn signed_owner(owner: NameRef<'_>, labels: u8) -> Name {
    let owner = owner.to_lowercase();
    if labels >= owner.as_ref().rrsig_labels() {
        return owner;
    }
    // The owner has more labels than that, so a label of one octet fits in front.
    let wildcard = owner.as_ref().suffix(usize::from(labels));
    wildcard
        .and_then(|encloser| encloser.prepend(b"*").ok())
        .unwrap_or(owner)
}
