//! How large the answer to a question for DNSKEY becomes, and how much signatures add to every other answer.

use super::{
    super::safety::{Class, KeyId, KeyRrset, ProviderId, Value},
    Plan, PlanKey,
};
use crate::dnssec::algorithm::Algorithm;

/// The header of a message.
const HEADER: usize = 12;
/// An OPT record without options.
const OPT: usize = 11;
/// A pointer to the owner, type, class, TTL and length of a record.
const RECORD: usize = 12;
/// What an RRSIG has before the signer's name.
const RRSIG: usize = 18;
/// What a DNSKEY has before the public key.
const DNSKEY: usize = 4;

/// The largest DNSKEY answer of a plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Largest {
    /// Its size.
    pub octets: usize,
    /// Whose it is.
    pub provider: ProviderId,
    /// After which step; none when it is so from the start.
    pub step: Option<usize>,
}

impl Plan {
    /// The largest DNSKEY answer that it leads to, with all keys and their signatures, and an OPT record; none when no
    /// DNSKEY RRset is known. A key that is still to be made counts with the size that its algorithm has; an RSA key
    /// as one of 2048 bits.
    pub fn largest_dnskey(&self) -> Option<Largest> {
        let at_the_start = self.situation.serves.iter().map(|value| (None, value));
        let steps = self.steps.iter().enumerate();
        let later =
            steps.flat_map(|(place, step)| step.changes.iter().map(move |value| (Some(place), value)));
        at_the_start
            .chain(later)
            .filter_map(|(step, value)| match value {
                Value::Keys(provider, rrset) => Some(Largest {
                    octets: self.dnskey_octets(rrset),
                    provider: *provider,
                    step,
                }),
                _ => None,
            })
            .reduce(|largest, next| {
                if next.octets > largest.octets {
                    next
                } else {
                    largest
                }
            })
    }

    /// The octets of all signatures over one RRset of ours: now, and at the most on the way.
    pub fn signature_octets(&self) -> Option<(usize, usize)> {
        let octets = |value: &Value| match value {
            Value::Data(ProviderId::FIRST, Class::Positive, data) => {
                let name = self.situation.zone.as_ref().as_wire().len();
                let signers = data.signers.iter().filter_map(|key| self.situation.key(key));
                Some(
                    signers
                        .map(|key| RECORD + RRSIG + name + signature_octets(key))
                        .sum(),
                )
            }
            _ => None,
        };
        let now: usize = self.situation.serves.iter().find_map(octets)?;
        let later = self
            .steps
            .iter()
            .flat_map(|step| &step.changes)
            .filter_map(octets);
        Some((now, later.max().unwrap_or(now).max(now)))
    }

    fn dnskey_octets(&self, rrset: &KeyRrset) -> usize {
        let name = self.situation.zone.as_ref().as_wire().len();
        let of = |key: KeyId| self.situation.key(key);
        let keys = rrset.keys.iter().filter_map(of);
        let keys: usize = keys.map(|key| RECORD + DNSKEY + key_octets(key)).sum();
        let signers = rrset.signers.iter().filter_map(of);
        let signatures: usize = signers
            .map(|key| RECORD + RRSIG + name + signature_octets(key))
            .sum();
        HEADER + name + 4 + keys + signatures + OPT
    }
}

fn key_octets(key: &PlanKey) -> usize {
    if let Some(dnskey) = &key.dnskey {
        return dnskey.public_key().len();
    }
    match key.algorithm {
        Algorithm::ECDSAP256SHA256 => 64,
        Algorithm::ECDSAP384SHA384 => 96,
        Algorithm::ED25519 => 32,
        Algorithm::ED448 => 57,
        _ => 260,
    }
}

fn signature_octets(key: &PlanKey) -> usize {
    match key.algorithm {
        Algorithm::ECDSAP256SHA256 | Algorithm::ED25519 => 64,
        Algorithm::ECDSAP384SHA384 => 96,
        Algorithm::ED448 => 114,
        // RSA: the modulus. The usual exponent takes three octets and one for its length (RFC 3110 §2).
        _ => key_octets(key).saturating_sub(4),
    }
}
