//! Algorithms and digest types: their numbers, names and sizes (RFC 9904; RFC 6605, 8080, 5702, 4509).
//!
//! | number | name | we sign | we make keys | public key, octets | signature, octets |
//! |---|---|---|---|---|---|
//! | 8 | RSASHA256 | 2048, 3072, 4096 bits | no: ring makes no RSA keys | RFC 3110 | modulus |
//! | 13 | ECDSAP256SHA256 | yes | yes | 64 | 64 |
//! | 14 | ECDSAP384SHA384 | yes | yes | 96 | 96 |
//! | 15 | ED25519 | yes | yes | 32 | 64 |
//!
//! Every other algorithm is known by name only, for messages and for keys of other providers.

use std::{fmt, str::FromStr};

use ring::{agreement, rand::SystemRandom};

use crate::wire::text::{algorithm_name, algorithm_number};

/// A DNSSEC algorithm's number, whether we can sign with it or not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Algorithm(pub u8);

/// In front of a point that is written whole (SEC 1 §2.3.3); DNSKEY leaves it out (RFC 6605 §4).
const UNCOMPRESSED: u8 = 4;
/// The smallest RSA modulus that a foreign key may have, in bits (RFC 5702 §2.1 allows 512; validators ask more).
const SMALLEST_RSA: usize = 1024;
/// The largest RSA modulus that validators take, in bits (RFC 5702 §2.1).
const LARGEST_RSA: usize = 4096;

impl Algorithm {
    /// RSA with SHA-256.
    pub const RSASHA256: Self = Self(8);
    /// RSA with SHA-512.
    pub const RSASHA512: Self = Self(10);
    /// ECDSA on P-256 with SHA-256.
    pub const ECDSAP256SHA256: Self = Self(13);
    /// ECDSA on P-384 with SHA-384.
    pub const ECDSAP384SHA384: Self = Self(14);
    /// Ed25519.
    pub const ED25519: Self = Self(15);
    /// Ed448, which ring does not have.
    pub const ED448: Self = Self(16);

    /// Whether signing with it is forbidden: SHA-1, MD5, DSA and GOST (RFC 9904 §3, RFC 9905, RFC 9906).
    pub fn is_banned(self) -> bool {
        matches!(self.0, 1 | 3 | 5 | 6 | 7 | 12)
    }

    /// What is wrong with the form of a public key of this algorithm; `None` when nothing is, or when the
    /// algorithm's form is not known here.
    pub fn public_key_fault(self, key: &[u8]) -> Option<String> {
        let expected = match self {
            Self::RSASHA256 | Self::RSASHA512 => return rsa_fault(key),
            Self::ECDSAP256SHA256 => 64,
            Self::ECDSAP384SHA384 => 96,
            Self::ED25519 => 32,
            Self::ED448 => 57,
            _ => return None,
        };
        if key.len() != expected {
            return Some(format!(
                "a public key of {self} has {expected} octets, this one has {}",
                key.len()
            ));
        }
        // One such key, and delv refuses the whole RRset with everything that it signs.
        self.is_off_its_curve(key)
            .then(|| format!("it is no public key of {self}: not a point on its curve"))
    }

    /// An exchange of keys with it, whose outcome nobody wants, is ring's way to look at a point.
    fn is_off_its_curve(self, key: &[u8]) -> bool {
        let curve = match self {
            Self::ECDSAP256SHA256 => &agreement::ECDH_P256,
            Self::ECDSAP384SHA384 => &agreement::ECDH_P384,
            _ => return false,
        };
        let Ok(ours) = agreement::EphemeralPrivateKey::generate(curve, &SystemRandom::new()) else {
            return false;
        };
        let point = agreement::UnparsedPublicKey::new(curve, [&[UNCOMPRESSED], key].concat());
        agreement::agree_ephemeral(ours, &point, |_| ()).is_err()
    }

    /// Reads a mnemonic in either letter case, or a number.
    pub fn from_text(text: &str) -> Option<Self> {
        match algorithm_number(text.as_bytes()) {
            Some(number) => Some(Self(number)),
            None => text
                .bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| text.parse().ok().map(Self))?,
        }
    }
}

fn rsa_fault(key: &[u8]) -> Option<String> {
    let Some((exponent, modulus)) = split_rsa(key) else {
        return Some("the RSA public key is not an exponent and a modulus (RFC 3110 §2)".into());
    };
    let leading = modulus.first().map_or(0, |octet| octet.leading_zeros() as usize);
    let bits = modulus.len() * 8 - leading;
    if exponent.is_empty() || modulus.first() == Some(&0) || !(SMALLEST_RSA..=LARGEST_RSA).contains(&bits) {
        return Some(format!(
            "an RSA modulus has {SMALLEST_RSA} to {LARGEST_RSA} bits, this one has {bits}"
        ));
    }
    None
}

/// Exponent and modulus of an RSA public key (RFC 3110 §2). `None` when it is cut short.
pub(crate) fn split_rsa(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match key {
        [0, high, low, rest @ ..] => (usize::from(*high) << 8 | usize::from(*low), rest),
        [length, rest @ ..] => (usize::from(*length), rest),
        [] => return None,
    };
    let (exponent, modulus) = rest.split_at_checked(length)?;
    (!modulus.is_empty()).then_some((exponent, modulus))
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match algorithm_name(self.0) {
            Some(name) => f.pad(name),
            None => f.pad(&format!("ALG{}", self.0)),
        }
    }
}

impl fmt::Debug for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An algorithm that we sign with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SigningAlgorithm {
    /// RSA with SHA-256 (RFC 5702); keys are imported, never made.
    RsaSha256,
    /// ECDSA on P-256 with SHA-256 (RFC 6605).
    EcdsaP256Sha256,
    /// ECDSA on P-384 with SHA-384 (RFC 6605).
    EcdsaP384Sha384,
    /// Ed25519 (RFC 8080).
    Ed25519,
}

/// An algorithm that we do not sign with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{0} is not an algorithm we sign with; use ECDSAP256SHA256, ECDSAP384SHA384, ED25519, or an imported key of RSASHA256"
)]
pub struct Unsupported(pub Algorithm);

impl SigningAlgorithm {
    /// Its number.
    pub fn number(self) -> Algorithm {
        match self {
            Self::RsaSha256 => Algorithm::RSASHA256,
            Self::EcdsaP256Sha256 => Algorithm::ECDSAP256SHA256,
            Self::EcdsaP384Sha384 => Algorithm::ECDSAP384SHA384,
            Self::Ed25519 => Algorithm::ED25519,
        }
    }

    /// Whether we make keys of it.
    pub fn makes_keys(self) -> bool {
        self != Self::RsaSha256
    }
}

impl TryFrom<Algorithm> for SigningAlgorithm {
    type Error = Unsupported;

    fn try_from(algorithm: Algorithm) -> Result<Self, Unsupported> {
        match algorithm {
            Algorithm::RSASHA256 => Ok(Self::RsaSha256),
            Algorithm::ECDSAP256SHA256 => Ok(Self::EcdsaP256Sha256),
            Algorithm::ECDSAP384SHA384 => Ok(Self::EcdsaP384Sha384),
            Algorithm::ED25519 => Ok(Self::Ed25519),
            other => Err(Unsupported(other)),
        }
    }
}

impl FromStr for SigningAlgorithm {
    type Err = String;

    /// Reads a mnemonic or a number, as `--algorithm` and the configuration write it.
    fn from_str(text: &str) -> Result<Self, String> {
        let algorithm =
            Algorithm::from_text(text).ok_or_else(|| format!("{text:?} is not the name of an algorithm"))?;
        Self::try_from(algorithm).map_err(|unsupported| unsupported.to_string())
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

/// A digest of a key for DS and CDS. SHA-1 (1) may not be made for a delegation (RFC 9905), so it is not here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum DigestType {
    /// 2 (RFC 4509): what every validator knows, and our default for every key, so that no provider's key is
    /// passed over by a validator that looks only at the highest digest type.
    #[default]
    Sha256,
    /// 4 (RFC 6605).
    Sha384,
}

impl DigestType {
    /// Its number.
    pub fn number(self) -> u8 {
        match self {
            Self::Sha256 => 2,
            Self::Sha384 => 4,
        }
    }

    pub(crate) fn hash(self) -> &'static ring::digest::Algorithm {
        match self {
            Self::Sha256 => &ring::digest::SHA256,
            Self::Sha384 => &ring::digest::SHA384,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_go_both_ways() {
        // IANA's names, which are printed where BIND has another.
        for (number, name) in [
            (0, "DELETE"),
            (1, "RSAMD5"),
            (2, "DH"),
            (3, "DSA"),
            (5, "RSASHA1"),
            (6, "DSA-NSEC3-SHA1"),
            (7, "RSASHA1-NSEC3-SHA1"),
            (8, "RSASHA256"),
            (10, "RSASHA512"),
            (12, "ECC-GOST"),
            (13, "ECDSAP256SHA256"),
            (14, "ECDSAP384SHA384"),
            (15, "ED25519"),
            (16, "ED448"),
            (17, "SM2SM3"),
            (23, "ECC-GOST12"),
            (252, "INDIRECT"),
            (253, "PRIVATEDNS"),
            (254, "PRIVATEOID"),
        ] {
            assert_eq!(Algorithm(number).to_string(), name);
            assert_eq!(
                Algorithm::from_text(&name.to_lowercase()),
                Some(Algorithm(number))
            );
        }
        assert_eq!(Algorithm(99).to_string(), "ALG99");
        assert_eq!(Algorithm::from_text("13"), Some(Algorithm::ECDSAP256SHA256));
        assert_eq!(Algorithm::from_text("256"), None);
        assert_eq!(Algorithm::from_text(""), None);
        let refused = "RSASHA1".parse::<SigningAlgorithm>().unwrap_err();
        assert!(refused.starts_with("RSASHA1 is not"), "{refused}");
    }

    #[test]
    fn a_public_key_of_the_wrong_form_is_named() {
        // The points of RFC 6605 §6, each with a bit turned over besides.
        for (algorithm, key) in [
            (
                Algorithm::ECDSAP256SHA256,
                "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
            ),
            (
                Algorithm::ECDSAP384SHA384,
                "xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX45NBwY8rp65F6Glur\
                 8I/mlVNgF6W/qTI37m40",
            ),
        ] {
            let mut key = data_encoding::BASE64.decode(key.as_bytes()).unwrap();
            assert_eq!(algorithm.public_key_fault(&key), None, "{algorithm}");
            key[3] ^= 1;
            let fault = algorithm.public_key_fault(&key).unwrap();
            assert!(fault.ends_with("not a point on its curve"), "{fault}");
        }
        assert!(Algorithm::ECDSAP256SHA256.public_key_fault(&[1; 63]).is_some());
        assert!(Algorithm::ED25519.public_key_fault(&[]).is_some());
        let rsa = |bits: usize| [&[3, 1, 0, 1][..], &vec![0x80; bits / 8]].concat();
        assert_eq!(Algorithm::RSASHA256.public_key_fault(&rsa(2048)), None);
        assert!(Algorithm::RSASHA256.public_key_fault(&rsa(512)).is_some());
        assert!(Algorithm::RSASHA256.public_key_fault(&rsa(8192)).is_some());
        assert!(Algorithm::RSASHA256.public_key_fault(&[9, 1, 0, 1]).is_some());
        // An exponent of three octets of length form.
        let long = [&[0, 0, 3, 1, 0, 1][..], &[0x80; 256]].concat();
        assert_eq!(Algorithm::RSASHA256.public_key_fault(&long), None);
    }
}
