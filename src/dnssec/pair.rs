//! Key pairs as the library holds them that signs: *ring*, or AWS-LC with the feature `aws-lc-rs`.
//!
//! | | ring | aws-lc-rs |
//! |---|---|---|
//! | ECDSA, Ed25519 | yes | yes; used where the feature is on |
//! | RSA from a key file's numbers | yes | no, ring signs |
//!
//! Only signing changes hands: keys are made, and signatures verified, by ring whichever signs, so what AWS-LC signs has
//! been verified by another library before it is served (`answer::served`).

use ring::{rand::SystemRandom, rsa, signature::RSA_PKCS1_SHA256};

use super::algorithm::SigningAlgorithm;

/// A library that signs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backend {
    /// The default.
    Ring,
    /// AWS-LC: assembly for more processors, and a C compiler needed to build it.
    #[cfg(feature = "aws-lc-rs")]
    AwsLc,
}

impl Backend {
    /// Those that this program was built with; the last one signs.
    pub const ALL: &[Self] = &[
        Self::Ring,
        #[cfg(feature = "aws-lc-rs")]
        Self::AwsLc,
    ];

    /// The one that signs.
    pub const CHOSEN: Self = Self::ALL[Self::ALL.len() - 1];

    /// Its crate's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLc => "aws-lc-rs",
        }
    }
}

/// Both halves of a key.
pub(super) enum Pair {
    Rsa(Box<rsa::KeyPair>),
    Ecdsa(Box<ring::signature::EcdsaKeyPair>),
    Ed25519(Box<ring::signature::Ed25519KeyPair>),
    #[cfg(feature = "aws-lc-rs")]
    AwsEcdsa(Box<aws_lc_rs::signature::EcdsaKeyPair>),
    #[cfg(feature = "aws-lc-rs")]
    AwsEd25519(Box<aws_lc_rs::signature::Ed25519KeyPair>),
}

/// The library made no signature.
pub(super) struct NotSigned;

impl Pair {
    /// A key of ECDSA or Ed25519 from its public half, as DNSKEY carries it, and its scalar or seed.
    ///
    /// # Errors
    /// Why the two are no pair, in the library's words.
    pub(super) fn new(
        backend: Backend,
        algorithm: SigningAlgorithm,
        public: &[u8],
        private: &[u8],
    ) -> Result<Self, String> {
        match backend {
            Backend::Ring => of_ring(algorithm, public, private),
            #[cfg(feature = "aws-lc-rs")]
            Backend::AwsLc => of_aws_lc(algorithm, public, private),
        }
    }

    /// Signs `message` and appends the signature as RRSIG carries it.
    pub(super) fn sign(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), NotSigned> {
        match self {
            Self::Ecdsa(pair) => {
                let made = pair.sign(&SystemRandom::new(), message).map_err(|_| NotSigned)?;
                out.extend_from_slice(made.as_ref());
            }
            Self::Ed25519(pair) => out.extend_from_slice(pair.sign(message).as_ref()),
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsEcdsa(pair) => {
                let random = aws_lc_rs::rand::SystemRandom::new();
                let made = pair.sign(&random, message).map_err(|_| NotSigned)?;
                out.extend_from_slice(made.as_ref());
            }
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsEd25519(pair) => {
                out.extend_from_slice(pair.try_sign(message).map_err(|_| NotSigned)?.as_ref());
            }
            Self::Rsa(pair) => {
                let start = out.len();
                out.resize(start + pair.public().modulus_len(), 0);
                let random = SystemRandom::new();
                if pair
                    .sign(&RSA_PKCS1_SHA256, &random, message, &mut out[start..])
                    .is_err()
                {
                    out.truncate(start);
                    return Err(NotSigned);
                }
            }
        }
        Ok(())
    }
}

/// DNSKEY carries the point without the octet that says "uncompressed" (RFC 6605 §4).
fn point(public: &[u8]) -> Vec<u8> {
    [&[4], public].concat()
}

fn of_ring(algorithm: SigningAlgorithm, public: &[u8], private: &[u8]) -> Result<Pair, String> {
    use ring::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    };
    let ecdsa = |algorithm| {
        let random = SystemRandom::new();
        EcdsaKeyPair::from_private_key_and_public_key(algorithm, private, &point(public), &random)
            .map(|pair| Pair::Ecdsa(Box::new(pair)))
    };
    match algorithm {
        SigningAlgorithm::EcdsaP256Sha256 => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
        SigningAlgorithm::EcdsaP384Sha384 => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
        SigningAlgorithm::Ed25519 => Ed25519KeyPair::from_seed_and_public_key(private, public)
            .map(|pair| Pair::Ed25519(Box::new(pair))),
        SigningAlgorithm::RsaSha256 => return Err(OTHER_ALGORITHM.to_owned()),
    }
    .map_err(|why| why.to_string())
}

#[cfg(feature = "aws-lc-rs")]
fn of_aws_lc(algorithm: SigningAlgorithm, public: &[u8], private: &[u8]) -> Result<Pair, String> {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    };
    let ecdsa = |algorithm| {
        EcdsaKeyPair::from_private_key_and_public_key(algorithm, private, &point(public))
            .map(|pair| Pair::AwsEcdsa(Box::new(pair)))
    };
    match algorithm {
        SigningAlgorithm::EcdsaP256Sha256 => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
        SigningAlgorithm::EcdsaP384Sha384 => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
        SigningAlgorithm::Ed25519 => Ed25519KeyPair::from_seed_and_public_key(private, public)
            .map(|pair| Pair::AwsEd25519(Box::new(pair))),
        SigningAlgorithm::RsaSha256 => return Err(OTHER_ALGORITHM.to_owned()),
    }
    .map_err(|why| why.to_string())
}

/// What is wrong where the two halves are of different kinds.
pub(super) const OTHER_ALGORITHM: &str = "the private half is of another algorithm";
