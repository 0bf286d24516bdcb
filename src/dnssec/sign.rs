//! Making RRSIG records (RFC 4034 §3): the octets that are signed, the validity, and who signs.

use std::{sync::Arc, time::Duration};

use super::{
    key::{SignError, SigningKey},
    keyset::KeySet,
};
use crate::{
    clock::UnixTime,
    wire::{LowerName, Name, NameRef, RrType, Ttl, types},
    zone::slot::Signed,
};

/// A signature is dated back this much, for validators whose clocks are behind.
pub const INCEPTION_OFFSET: Duration = Duration::from_secs(3_600);
/// The shortest validity.
pub const LEAST_VALIDITY: Duration = Duration::from_secs(14 * DAY);
/// The longest validity.
pub const LONGEST_VALIDITY: Duration = Duration::from_secs(365 * DAY);
const DAY: u64 = 86_400;

/// How long signatures are valid, and when they are made anew.
///
/// At any moment the validity left of what is served exceeds its TTL, so that what a resolver holds stays valid
/// (RFC 6781 §4.4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    lifetime: Duration,
    spread: Duration,
}

/// The times of one signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Not valid before.
    pub inception: UnixTime,
    /// Not valid after.
    pub expiration: UnixTime,
}

impl Validity {
    /// The validity for a zone with this largest TTL: `max(14 d, 3 × TTL + 1 d)`, at most a year.
    pub fn for_largest_ttl(ttl: Ttl) -> Self {
        let lifetime =
            Duration::from_secs(3 * u64::from(ttl.seconds()) + DAY).clamp(LEAST_VALIDITY, LONGEST_VALIDITY);
        Self::new(lifetime, ttl)
    }

    /// A chosen validity; TTLs above [`Validity::ttl_limit`] must be lowered to that.
    pub fn new(lifetime: Duration, largest_ttl: Ttl) -> Self {
        // The refresh must come while more than the TTL is left: (lifetime − spread) / 3 > TTL.
        let room = lifetime
            .as_secs()
            .saturating_sub(3 * u64::from(largest_ttl.seconds()));
        let spread = Duration::from_secs(room.saturating_sub(60).min(lifetime.as_secs() / 4));
        Self { lifetime, spread }
    }

    /// The largest TTL that signatures of this lifetime can carry.
    pub fn ttl_limit(lifetime: Duration) -> Ttl {
        Ttl::new(
            u32::try_from(lifetime.as_secs().saturating_sub(DAY.min(lifetime.as_secs() / 4)) / 3)
                .unwrap_or(u32::MAX >> 1),
        )
    }

    /// Expiration less inception's offset.
    pub fn lifetime(self) -> Duration {
        self.lifetime
    }

    /// The times of a signature made `now`; `seed` spreads the expirations of RRsets, so
    /// that what was signed together is not signed anew together.
    pub fn window(self, now: UnixTime, seed: u64) -> Window {
        let early = seed % self.spread.as_secs().max(1);
        Window {
            inception: now.minus(INCEPTION_OFFSET),
            expiration: UnixTime(now.0 + self.lifetime.as_secs() - early),
        }
    }
}

/// An RRset to sign. The rdata must be in canonical order, without duplicates.
#[derive(Clone, Copy, Debug)]
pub struct ToSign<'a, R> {
    /// The owner: the wildcard's own name for a signature that covers its expansions.
    pub owner: &'a LowerName,
    /// The type.
    pub rtype: RrType,
    /// The Original TTL.
    pub ttl: Ttl,
    /// The rdata.
    pub rdatas: R,
}

/// The fields of an RRSIG in front of the signer's name (RFC 4034 §3.1).
const FIXED: usize = 18;

/// What an RRSIG says of the RRset it covers.
#[derive(Clone, Copy, Debug)]
pub struct Covered {
    /// Type Covered.
    pub rtype: RrType,
    /// Labels, without the root and a leftmost `*`.
    pub labels: u8,
    /// Original TTL.
    pub ttl: Ttl,
}

/// Appends the rdata of an RRSIG as far as it is signed itself: everything but the signature.
fn push_unsigned(covered: Covered, window: Window, key: &SigningKey, apex: NameRef<'_>, out: &mut Vec<u8>) {
    let mut fixed = [0; FIXED];
    fixed[..2].copy_from_slice(&covered.rtype.0.to_be_bytes());
    fixed[2] = key.algorithm().number().0;
    fixed[3] = covered.labels;
    fixed[4..8].copy_from_slice(&covered.ttl.seconds().to_be_bytes());
    fixed[8..12].copy_from_slice(&window.expiration.to_serial().to_be_bytes());
    fixed[12..16].copy_from_slice(&window.inception.to_serial().to_be_bytes());
    fixed[16..].copy_from_slice(&key.key_tag().to_be_bytes());
    out.extend_from_slice(&fixed);
    out.extend_from_slice(apex.as_wire());
}

/// Signs an RRset with one key, and gives the signature alone. `apex` must be lower-cased.
///
/// # Errors
/// When the key cannot sign.
pub fn signature<'r, R>(
    key: &SigningKey,
    apex: NameRef<'_>,
    set: &ToSign<'_, R>,
    window: Window,
) -> Result<Box<[u8]>, SignError>
where
    R: IntoIterator<Item = &'r [u8]> + Clone,
{
    let owner = set.owner.as_ref();
    let mut message = Vec::with_capacity(512);
    push_unsigned(set.covered(), window, key, apex, &mut message);
    for rdata in set.rdatas.clone() {
        message.extend_from_slice(owner.as_wire());
        message.extend_from_slice(&set.rtype.0.to_be_bytes());
        message.extend_from_slice(&1_u16.to_be_bytes());
        message.extend_from_slice(&set.ttl.seconds().to_be_bytes());
        let length_at = message.len();
        message.extend_from_slice(&[0, 0]);
        types::canonical_rdata(set.rtype, rdata, &mut message);
        let length = (message.len() - length_at - 2) as u16;
        message[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
    }
    let mut signature = Vec::with_capacity(64);
    key.sign(&message, &mut signature)?;
    Ok(signature.into())
}

impl<R> ToSign<'_, R> {
    fn covered(&self) -> Covered {
        Covered {
            rtype: self.rtype,
            labels: self.owner.as_ref().rrsig_labels(),
            ttl: self.ttl,
        }
    }
}

/// Signs what a zone serves: which keys, which validity.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The zone's name, lower-cased.
    pub apex: Name,
    /// The keys.
    pub keys: Arc<KeySet>,
    /// The validity.
    pub validity: Validity,
    /// Stands in what this signer makes; see [`Signed::new`].
    pub issuer: u32,
}

impl Signer {
    /// The keys whose work an RRset of this type is.
    fn keys_for(&self, rtype: RrType) -> &[Arc<SigningKey>] {
        match rtype {
            RrType::DNSKEY => self.keys.key_signers(),
            RrType::CDS | RrType::CDNSKEY => self.keys.cds_signers(),
            _ => self.keys.data_signers(),
        }
    }

    /// Signs an RRset with every key whose work it is.
    ///
    /// # Errors
    /// When a key cannot sign.
    pub fn sign<'r, R>(&self, set: &ToSign<'_, R>, now: UnixTime) -> Result<Signed, SignError>
    where
        R: IntoIterator<Item = &'r [u8]> + Clone,
    {
        let window = self.validity.window(now, seed(set.owner.as_ref(), set.rtype));
        let keys = self.keys_for(set.rtype);
        let signatures = keys
            .iter()
            .map(|key| signature(key, self.apex.as_ref(), set, window));
        let signatures = signatures.collect::<Result<_, _>>()?;
        Ok(Signed::new(
            self.issuer,
            window.inception,
            window.expiration,
            signatures,
        ))
    }

    /// Appends the rdata of the RRSIG that the key at this place of its order made.
    pub fn push_rrsig(&self, covered: Covered, signed: &Signed, key: usize, out: &mut Vec<u8>) {
        let Some(by) = self.keys_for(covered.rtype).get(key) else {
            return;
        };
        let window = Window {
            inception: signed.inception(),
            expiration: signed.expiration(),
        };
        push_unsigned(covered, window, by, self.apex.as_ref(), out);
        out.extend_from_slice(signed.signature(key));
    }
}

/// Spreads expirations: FNV-1a of the owner and type, the same in every process, so a restart signs alike.
fn seed(owner: NameRef<'_>, rtype: RrType) -> u64 {
    let octets = owner
        .as_wire()
        .iter()
        .chain(&rtype.0.to_be_bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &octet| {
            (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
        });
    octets >> 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validity_left_exceeds_the_ttl_until_it_is_made_anew() {
        let now = UnixTime(1_800_000_000);
        for ttl in [
            0,
            60,
            3_600,
            86_400,
            604_800,
            2_592_000,
            Validity::ttl_limit(LONGEST_VALIDITY).seconds(),
        ] {
            let validity = Validity::for_largest_ttl(Ttl::new(ttl));
            for seed in [0, 1, 77_777, 86_399, 1 << 40, u64::MAX] {
                let window = validity.window(now, seed);
                let signed = Signed::new(1, window.inception, window.expiration, Vec::new());
                let left = window.expiration.0 - signed.refresh_at().0;
                assert!(left > u64::from(ttl), "TTL {ttl}: {left} s left at the refresh");
                assert!(
                    signed.refresh_at() < signed.good_until(Ttl::new(ttl)),
                    "TTL {ttl}: refreshed only after it was good"
                );
                assert!(window.expiration.0 - signed.good_until(Ttl::new(ttl)).0 > u64::from(ttl));
                assert_eq!(window.inception.0, now.0 - 3_600);
            }
        }
    }

    #[test]
    fn expirations_are_spread() {
        let validity = Validity::for_largest_ttl(Ttl::new(3_600));
        let expirations: std::collections::HashSet<_> = (0..1_000)
            .map(|n| {
                let owner: Name = format!("n{n}.example.").parse().unwrap();
                validity
                    .window(UnixTime(1_800_000_000), seed(owner.as_ref(), RrType::A))
                    .expiration
            })
            .collect();
        assert!(
            expirations.len() > 900,
            "only {} different expirations of 1,000",
            expirations.len()
        );
    }
}
