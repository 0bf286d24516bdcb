//! Hashed denial (RFC 5155) with the values of RFC 9276: no further iterations, no salt, no opt-out. The records
//! are narrow: one that matches a hash ends at the next hash, one that covers a hash reaches from the hash before
//! to the hash after (RFC 7129 appendix B), so they say nothing about other names.

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use super::type_bitmap;
use crate::wire::{LowerName, NameRef, RrType, name::MAX_NAME};

/// A hash of a name: 160 bits, in the order of NSEC3's chain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Hash(pub [u8; 20]);

/// Hash algorithm 1 (SHA-1), iterations, salt (RFC 5155 §3.1). The default is what RFC 9276 §3.1 asks for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Parameters {
    /// Hashing again so many times: 0.
    pub iterations: u16,
    /// Salt: none.
    pub salt: Vec<u8>,
}

impl Parameters {
    /// Hashes a lower-cased name (RFC 5155 §5).
    pub fn hash(&self, name: NameRef<'_>) -> Hash {
        let mut hash = self.round(name.as_wire());
        for _ in 0..self.iterations {
            hash = self.round(&hash);
        }
        Hash(hash)
    }

    fn round(&self, octets: &[u8]) -> [u8; 20] {
        let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        context.update(octets);
        context.update(&self.salt);
        let mut hash = [0; 20];
        hash.copy_from_slice(context.finish().as_ref());
        hash
    }

    /// The rdata of NSEC3PARAM at the apex; its flags are 0 (RFC 5155 §4.1.2).
    pub fn nsec3param_rdata(&self) -> Vec<u8> {
        let mut rdata = vec![1, 0];
        rdata.extend_from_slice(&self.iterations.to_be_bytes());
        rdata.push(self.salt.len() as u8);
        rdata.extend_from_slice(&self.salt);
        rdata
    }

    /// The rdata of an NSEC3 (RFC 5155 §3.2), without opt-out.
    pub fn rdata(&self, next: Hash, types: impl IntoIterator<Item = RrType>) -> Vec<u8> {
        let mut rdata = self.nsec3param_rdata();
        rdata.push(20);
        rdata.extend_from_slice(&next.0);
        type_bitmap(types, &mut rdata);
        rdata
    }
}

impl Hash {
    /// The hash after this one; after the last comes the first.
    #[must_use]
    pub fn next(self) -> Self {
        let mut octets = self.0;
        for octet in octets.iter_mut().rev() {
            *octet = octet.wrapping_add(1);
            if *octet != 0 {
                break;
            }
        }
        Self(octets)
    }

    /// The hash before this one; before the first comes the last.
    #[must_use]
    pub fn previous(self) -> Self {
        let mut octets = self.0;
        for octet in octets.iter_mut().rev() {
            *octet = octet.wrapping_sub(1);
            if *octet != 0xff {
                break;
            }
        }
        Self(octets)
    }

    /// The owner of the NSEC3 with this hash: base32hex in lower case, below the apex (RFC 5155 §3.3).
    /// `None` when the zone's name leaves no room for it.
    pub fn owner(self, apex: NameRef<'_>) -> Option<LowerName> {
        const LENGTH: usize = 32;
        if apex.len() + 1 + LENGTH > MAX_NAME {
            return None;
        }
        let mut buffer = [0; MAX_NAME];
        buffer[0] = LENGTH as u8;
        data_encoding::BASE32HEX_NOPAD.encode_mut(&self.0, &mut buffer[1..=LENGTH]);
        buffer[1..=LENGTH].make_ascii_lowercase();
        buffer[1 + LENGTH..1 + LENGTH + apex.len()].copy_from_slice(apex.as_wire());
        Some(LowerName::from_trusted(&buffer[..1 + LENGTH + apex.len()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Name;

    #[test]
    fn the_hashes_of_rfc_5155_appendix_a() {
        let parameters = Parameters {
            iterations: 12,
            salt: vec![0xaa, 0xbb, 0xcc, 0xdd],
        };
        let apex: Name = "example.".parse().unwrap();
        for (name, hash) in [
            ("example.", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
            ("a.example.", "35mthgpgcu1qg68fab165klnsnk3dpvl"),
            ("ai.example.", "gjeqe526plbf1g8mklp59enfd789njgi"),
            ("ns1.example.", "2t7b4g4vsa5smi47k61mv5bv1a22bojr"),
            ("ns2.example.", "q04jkcevqvmu85r014c7dkba38o0ji5r"),
            ("w.example.", "k8udemvp1j2f7eg6jebps17vp3n8i58h"),
            ("*.w.example.", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"),
            ("x.w.example.", "b4um86eghhds6nea196smvmlo4ors995"),
            ("y.w.example.", "ji6neoaepv8b5o6k4ev33abha8ht9fgc"),
            ("x.y.w.example.", "2vptu5timamqttgl4luu9kg21e0aor3s"),
            ("xx.example.", "t644ebqk9bibcna874givr6joj62mlhv"),
            ("c.x.w.example.", "0va5bpr2ou0vk0lbqeeljri88laipsfh"),
            ("*.x.w.example.", "92pqneegtaue7pjatc3l3qnk738c6v5m"),
            (
                "2t7b4g4vsa5smi47k61mv5bv1a22bojr.example.",
                "kohar7mbb8dc2ce8a9qvl8hon4k53uhi",
            ),
        ] {
            let name: Name = name.parse().unwrap();
            let owner = parameters.hash(name.as_ref()).owner(apex.as_ref()).unwrap();
            assert_eq!(owner.as_ref().to_string(), format!("{hash}.example."), "{name}");
        }
    }

    #[test]
    fn the_hash_of_rfc_9824_4_and_the_next() {
        let apex: Name = "example.com.".parse().unwrap();
        let name: Name = "a.example.com.".parse().unwrap();
        let hash = Parameters::default().hash(name.as_ref());
        let text = |hash: Hash| {
            hash.owner(apex.as_ref())
                .unwrap()
                .as_ref()
                .to_string()
                .to_uppercase()
        };
        assert_eq!(text(hash), "H64KFA4P1ACER2EBPS9QSDK6DNP8B3JQ.EXAMPLE.COM.");
        assert_eq!(text(hash.next()), "H64KFA4P1ACER2EBPS9QSDK6DNP8B3JR.EXAMPLE.COM.");
        assert_eq!(hash.next().previous(), hash);
        assert_eq!(Hash([0xff; 20]).next(), Hash([0; 20]));
        assert_eq!(Hash([0; 20]).previous(), Hash([0xff; 20]));
    }
}
