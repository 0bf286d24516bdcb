//! Where the signatures of an RRset are kept: one pointer an RRset, swapped whole, read without a lock.
//!
//! What is kept says itself by whom it was made and how long it is valid, so that a switch of keys voids every slot
//! at once without touching one. Only what cannot be derived is kept: of an RRSIG the two times and the signature;
//! the rest follows from the RRset, the key and the zone. A million names have millions of them.

use arc_swap::{ArcSwapAny, Guard};

use crate::{clock::UnixTime, wire::Ttl};

/// How signatures are shared by a slot and those who read it.
pub type Kept<T> = triomphe::Arc<T>;

/// Octets of a signature that is kept in place: those of ECDSA on P-256 and of Ed25519.
const INLINE: usize = 64;

/// The signatures of an RRset, by every key whose work it is.
#[derive(Debug)]
pub struct Signed(Layout);

/// One key, as nearly everywhere, and a short signature; or anything else. Apart as a whole, since anything that is
/// aligned to eight octets beside the signature would bring the common case into the next class of sizes.
#[derive(Debug)]
enum Layout {
    One(Head, [u8; INLINE]),
    Many(Box<Many>),
}

#[derive(Debug)]
struct Many {
    head: Head,
    signatures: Box<[Box<[u8]>]>,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    issuer: u32,
    inception: u32,
    expiration: u32,
}

impl Signed {
    /// Signatures by the keys of a signer, in their order, valid between two times. `issuer` changes with the keys
    /// that sign, the published key set, and the way of denial.
    pub fn new(issuer: u32, inception: UnixTime, expiration: UnixTime, signatures: Vec<Box<[u8]>>) -> Self {
        let head = Head {
            issuer,
            inception: inception.to_serial(),
            expiration: expiration.to_serial(),
        };
        let one = match &signatures[..] {
            [one] => <[u8; INLINE]>::try_from(&**one).ok(),
            _ => None,
        };
        Self(match one {
            Some(one) => Layout::One(head, one),
            None => Layout::Many(Box::new(Many {
                head,
                signatures: signatures.into(),
            })),
        })
    }

    fn head(&self) -> &Head {
        match &self.0 {
            Layout::One(head, _) => head,
            Layout::Many(many) => &many.head,
        }
    }

    /// The same under another issuer's number.
    #[must_use]
    pub fn issued_by(mut self, issuer: u32) -> Self {
        match &mut self.0 {
            Layout::One(head, _) => head.issuer = issuer,
            Layout::Many(many) => many.head.issuer = issuer,
        }
        self
    }

    /// Not valid before.
    pub fn inception(&self) -> UnixTime {
        UnixTime(self.head().inception.into())
    }

    /// Not valid after.
    pub fn expiration(&self) -> UnixTime {
        UnixTime(self.head().expiration.into())
    }

    /// How many keys signed.
    #[expect(clippy::len_without_is_empty, reason = "an RRset is signed by some key")]
    pub fn len(&self) -> usize {
        match &self.0 {
            Layout::One(..) => 1,
            Layout::Many(many) => many.signatures.len(),
        }
    }

    /// What the key at this place of its signer's order made.
    pub fn signature(&self, key: usize) -> &[u8] {
        match &self.0 {
            Layout::One(_, one) => one,
            Layout::Many(many) => many.signatures.get(key).map_or(&[], |signature| &**signature),
        }
    }

    /// Whether it may be served at `now` by `issuer`, for an RRset with `ttl`: so long does the validity left
    /// exceed the TTL that a resolver's copy stays valid (RFC 6781 §4.4.2).
    pub fn is_good(&self, issuer: u32, ttl: Ttl, now: UnixTime) -> bool {
        self.head().issuer == issuer && self.inception() <= now && now <= self.good_until(ttl)
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
    rdata: Rdata,
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

/// Octets of an rdata that is kept in place: an NSEC whose next name has no more than about 38.
const INLINE_RDATA: usize = 46;

/// The rdata of one record, in place where it is short.
#[derive(Debug)]
enum Rdata {
    Short(u8, [u8; INLINE_RDATA]),
    Long(Box<[u8]>),
}

impl SignedDenial {
    /// The rdata and its signatures.
    pub fn new(rdata: &[u8], signed: Signed) -> Self {
        let mut short = [0; INLINE_RDATA];
        let rdata = match short.get_mut(..rdata.len()) {
            Some(place) => {
                place.copy_from_slice(rdata);
                Rdata::Short(rdata.len() as u8, short)
            }
            None => Rdata::Long(rdata.into()),
        };
        Self { rdata, signed }
    }

    /// The rdata of the one record.
    pub fn rdata(&self) -> &[u8] {
        match &self.rdata {
            Rdata::Short(length, octets) => &octets[..usize::from(*length)],
            Rdata::Long(octets) => octets,
        }
    }
}

/// Holds the newest of something, or nothing.
#[derive(Debug)]
pub struct Slot<T>(ArcSwapAny<Option<Kept<T>>>);

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(ArcSwapAny::new(None))
    }
}

impl<T> Slot<T> {
    /// What is there.
    pub fn load(&self) -> Guard<Option<Kept<T>>> {
        self.0.load()
    }

    /// What is there, to keep.
    pub fn load_full(&self) -> Option<Kept<T>> {
        self.0.load_full()
    }

    /// Puts a newer one there. Two that sign at once both succeed; one of them stays.
    pub fn store(&self, newer: Kept<T>) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What an allocator gives in steps of 16 octets after a head of 8: a pointer's count, and these. One octet more
    /// costs 16 for each RRset, and for each name.
    #[test]
    fn signatures_of_one_key_fill_their_size_class() {
        let with_count = |octets| size_of::<usize>() + octets;
        assert!(with_count(size_of::<Signed>()) <= 88, "{}", size_of::<Signed>());
        assert!(
            with_count(size_of::<SignedDenial>()) <= 136,
            "{}",
            size_of::<SignedDenial>()
        );
        assert_eq!(size_of::<Slot<Signed>>(), size_of::<usize>());
    }

    #[test]
    fn signatures_and_rdata_of_any_length_are_kept() {
        let (inception, expiration) = (UnixTime(1_800_000_000), UnixTime(1_801_000_000));
        for lengths in [&[64][..], &[96], &[256, 64], &[64, 64]] {
            let signatures: Vec<Box<[u8]>> = lengths
                .iter()
                .map(|&length| (0..length).map(|octet| octet as u8).collect())
                .collect();
            let signed = Signed::new(7, inception, expiration, signatures.clone()).issued_by(8);
            assert_eq!(signed.len(), lengths.len());
            for (key, signature) in signatures.iter().enumerate() {
                assert_eq!(signed.signature(key), &**signature);
            }
            assert_eq!((signed.inception(), signed.expiration()), (inception, expiration));
            assert!(
                signed.is_good(8, Ttl::new(60), inception) && !signed.is_good(7, Ttl::new(60), inception)
            );
            for length in [0, 1, INLINE_RDATA, INLINE_RDATA + 1, 300] {
                let rdata: Vec<u8> = (0..length).map(|octet| octet as u8).collect();
                let signed = Signed::new(7, inception, expiration, signatures.clone());
                let denial = SignedDenial::new(&rdata, signed);
                assert_eq!(denial.rdata(), rdata);
                assert_eq!(denial.signed.signature(0), &*signatures[0]);
            }
        }
    }
}
