//! Where the signatures of an RRset are kept: one pointer an RRset, swapped whole, read without a lock.
//!
//! What is kept says itself by whom it was made and how long it is valid, so that a switch of keys voids every slot
//! at once without touching one. Only what cannot be derived is kept: of an RRSIG the two times and the signature;
//! the rest follows from the RRset, the key and the zone. A million names have millions of them.

use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};

use crate::{clock::UnixTime, wire::Ttl};

/// Octets of a signature that is kept in place: those of ECDSA on P-256 and of Ed25519.
const INLINE: usize = 64;

/// The signatures of an RRset, by every key whose work it is.
#[derive(Debug)]
pub struct Signed {
    issuer: u32,
    inception: u32,
    expiration: u32,
    signatures: Signatures,
}

/// One key, as nearly everywhere, and a short signature; or anything else.
#[derive(Debug)]
enum Signatures {
    One([u8; INLINE]),
    Many(Box<[Box<[u8]>]>),
}

impl Signed {
    /// Signatures by the keys of a signer, in their order, valid between two times. `issuer` changes with the keys
    /// that sign, the published key set, and the way of denial.
    pub fn new(
        issuer: u32,
        inception: UnixTime,
        expiration: UnixTime,
        mut signatures: Vec<Box<[u8]>>,
    ) -> Self {
        let one = match &signatures[..] {
            [one] => <[u8; INLINE]>::try_from(&**one).ok(),
            _ => None,
        };
        Self {
            issuer,
            inception: inception.to_serial(),
            expiration: expiration.to_serial(),
            signatures: match one {
                Some(one) => Signatures::One(one),
                None => Signatures::Many(std::mem::take(&mut signatures).into()),
            },
        }
    }

    /// The same under another issuer's number.
    #[must_use]
    pub fn issued_by(self, issuer: u32) -> Self {
        Self { issuer, ..self }
    }

    /// Not valid before.
    pub fn inception(&self) -> UnixTime {
        UnixTime(self.inception.into())
    }

    /// Not valid after.
    pub fn expiration(&self) -> UnixTime {
        UnixTime(self.expiration.into())
    }

    /// How many keys signed.
    #[expect(clippy::len_without_is_empty, reason = "an RRset is signed by some key")]
    pub fn len(&self) -> usize {
        match &self.signatures {
            Signatures::One(_) => 1,
            Signatures::Many(many) => many.len(),
        }
    }

    /// What the key at this place of its signer's order made.
    pub fn signature(&self, key: usize) -> &[u8] {
        match &self.signatures {
            Signatures::One(one) => one,
            Signatures::Many(many) => many.get(key).map_or(&[], |signature| &**signature),
        }
    }

    /// Whether it may be served at `now` by `issuer`, for an RRset with `ttl`: so long does the validity left
    /// exceed the TTL that a resolver's copy stays valid (RFC 6781 §4.4.2).
    pub fn is_good(&self, issuer: u32, ttl: Ttl, now: UnixTime) -> bool {
        self.issuer == issuer && self.inception() <= now && now <= self.good_until(ttl)
    }

    /// The last moment at which it may be served.
    pub fn good_until(&self, ttl: Ttl) -> UnixTime {
        UnixTime(self.expiration().0.saturating_sub(u64::from(ttl.seconds()) + 1))
    }

    /// From here on, with a third of the validity left, it is made anew when there is time.
    pub fn refresh_at(&self) -> UnixTime {
        let valid = self.expiration().0.saturating_sub(self.inception().0);
        UnixTime(self.expiration().0 - valid / 3)
    }
}

/// Signatures together with the rdata they cover: an NSEC or NSEC3, which no zone holds.
#[derive(Debug)]
pub struct SignedDenial {
    /// The rdata of the one record.
    pub rdata: Box<[u8]>,
    /// Its signatures.
    pub signed: Signed,
}

/// An exact NSEC that is kept beside a zone's own way of denial. It names the name behind its owner, so it holds in
/// one chain alone.
#[derive(Debug)]
pub struct SignedRange {
    /// The chain that it is a link of (see [`super::Zone::sorted_chain`]).
    pub chain: u32,
    /// The NSEC.
    pub denial: SignedDenial,
}

/// Holds the newest of something, or nothing.
#[derive(Debug)]
pub struct Slot<T>(ArcSwapOption<T>);

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(ArcSwapOption::empty())
    }
}

impl<T> Slot<T> {
    /// What is there.
    pub fn load(&self) -> Guard<Option<Arc<T>>> {
        self.0.load()
    }

    /// What is there, to keep.
    pub fn load_full(&self) -> Option<Arc<T>> {
        self.0.load_full()
    }

    /// Puts a newer one there. Two that sign at once both succeed; one of them stays.
    pub fn store(&self, newer: Arc<T>) {
        self.0.store(Some(newer));
    }

    /// Lets go of what is there.
    pub(super) fn clear(&self) {
        self.0.store(None);
    }

    /// Takes over what another slot holds: the same RRset in the zone that was served before.
    pub fn copy_from(&self, other: &Self) {
        self.0.store(other.0.load_full());
    }
}
