//! Keys: the public half as DNSKEY shows it (RFC 4034 §2), and the private half that signs.
//!
//! What is wiped and what is not: [`PrivateKey`] and every buffer of ours that holds private octets is wiped
//! when it is dropped. ring's key objects are not: a [`SigningKey`] keeps its scalar (or the RSA primes) in
//! memory for as long as it lives and leaves them there when it is freed, and the PKCS#8 document in which ring
//! hands over a new ECDSA key leaves a copy on the stack. So the server turns core dumps off, and nothing here
//! prints private octets.

use std::{fmt, sync::Arc};

use ring::{
    digest,
    rand::{SecureRandom, SystemRandom},
    rsa,
    signature::{
        self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
    },
};
use zeroize::Zeroizing;

use super::{
    algorithm::{Algorithm, DigestType, SigningAlgorithm, Unsupported, split_rsa},
    pair::{Backend, NotSigned, OTHER_ALGORITHM, Pair},
};
use crate::wire::NameRef;

/// This key is a zone's (RFC 4034 §2.1.1).
pub const ZONE: u16 = 0x0100;
/// This key is revoked (RFC 5011 §3); we never set it, and treat a foreign key that has it as gone.
pub const REVOKE: u16 = 0x0080;
/// Secure entry point: a hint that the parent's DS may point here (RFC 4034 §2.1.1).
pub const SEP: u16 = 0x0001;

/// The one source of random octets of this process; ring asks the kernel each time and keeps no state.
fn random() -> SystemRandom {
    SystemRandom::new()
}

/// A public key as its DNSKEY rdata. Two keys are the same only when all of their rdata is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dnskey(Arc<[u8]>);

/// Why octets or text are not a DNSKEY.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnskeyError {
    /// Fewer than five octets of rdata, so no public key.
    #[error("a DNSKEY has flags, protocol, algorithm and a public key; this one is cut short")]
    Short,
    /// Presentation form that cannot be read.
    #[error("{0:?} is not FLAGS PROTOCOL ALGORITHM KEY, the key in base64")]
    Text(String),
}

impl Dnskey {
    /// Takes rdata.
    ///
    /// # Errors
    /// [`DnskeyError::Short`] when there is no public key in it.
    pub fn from_rdata(rdata: &[u8]) -> Result<Self, DnskeyError> {
        if rdata.len() < 5 {
            return Err(DnskeyError::Short);
        }
        Ok(Self(rdata.into()))
    }

    /// Puts the fields together; the protocol is 3 (RFC 4034 §2.1.2).
    pub fn new(flags: u16, algorithm: Algorithm, public_key: &[u8]) -> Self {
        let mut rdata = Vec::with_capacity(4 + public_key.len());
        rdata.extend_from_slice(&flags.to_be_bytes());
        rdata.extend_from_slice(&[3, algorithm.0]);
        rdata.extend_from_slice(public_key);
        Self(rdata.into())
    }

    /// Reads `FLAGS PROTOCOL ALGORITHM KEY`, the algorithm by number or name, the key in base64 that spaces
    /// may divide (RFC 4034 §2.2).
    ///
    /// # Errors
    /// [`DnskeyError::Text`] with the text.
    pub fn from_text(text: &str) -> Result<Self, DnskeyError> {
        Self::read_text(text).ok_or_else(|| DnskeyError::Text(text.into()))
    }

    fn read_text(text: &str) -> Option<Self> {
        let mut fields = text.split_ascii_whitespace();
        let flags: u16 = fields.next()?.parse().ok()?;
        let protocol: u8 = fields.next()?.parse().ok()?;
        let algorithm = Algorithm::from_text(fields.next()?)?;
        let base64: String = fields.collect();
        let key = data_encoding::BASE64.decode(base64.as_bytes()).ok()?;
        let mut rdata = flags.to_be_bytes().to_vec();
        rdata.extend_from_slice(&[protocol, algorithm.0]);
        rdata.extend_from_slice(&key);
        Self::from_rdata(&rdata).ok()
    }

    /// The rdata.
    pub fn rdata(&self) -> &[u8] {
        &self.0
    }

    /// The flags field.
    pub fn flags(&self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    /// The protocol field, which must be 3.
    pub fn protocol(&self) -> u8 {
        self.0[2]
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        Algorithm(self.0[3])
    }

    /// The public key field.
    pub fn public_key(&self) -> &[u8] {
        &self.0[4..]
    }

    /// Whether the flags say that it is a zone's key.
    pub fn is_zone_key(&self) -> bool {
        self.flags() & ZONE != 0
    }

    /// Whether it is a secure entry point.
    pub fn is_sep(&self) -> bool {
        self.flags() & SEP != 0
    }

    /// Whether it is revoked.
    pub fn is_revoked(&self) -> bool {
        self.flags() & REVOKE != 0
    }

    /// The key tag (RFC 4034 appendix B), which many keys may share.
    pub fn key_tag(&self) -> u16 {
        key_tag(&self.0)
    }

    /// The tag that it would have with REVOKE set. A carry makes it differ from the tag plus 128 now and then.
    pub fn revoked_tag(&self) -> u16 {
        let mut revoked = self.0.to_vec();
        revoked[1] |= REVOKE as u8;
        key_tag(&revoked)
    }

    /// The rdata of the DS, or CDS, that points to it at `owner` (RFC 4034 §5.1).
    pub fn ds(&self, owner: NameRef<'_>, digest_type: DigestType) -> Box<[u8]> {
        let mut context = digest::Context::new(digest_type.hash());
        context.update(owner.to_lower().as_ref().as_wire());
        context.update(&self.0);
        let mut rdata = self.key_tag().to_be_bytes().to_vec();
        rdata.extend_from_slice(&[self.algorithm().0, digest_type.number()]);
        rdata.extend_from_slice(context.finish().as_ref());
        rdata.into()
    }
}

/// The presentation form of DS or CDS rdata: `55648 13 2 B4C8…` (RFC 4034 §5.3).
pub fn ds_text(rdata: &[u8]) -> String {
    match rdata {
        [high, low, algorithm, digest_type, digest @ ..] => format!(
            "{} {algorithm} {digest_type} {}",
            u16::from_be_bytes([*high, *low]),
            data_encoding::HEXUPPER.encode(digest)
        ),
        _ => String::new(),
    }
}

impl fmt::Display for Dnskey {
    /// The presentation form: `257 3 13 GojIhhXU…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} {}",
            self.flags(),
            self.protocol(),
            self.algorithm().0,
            data_encoding::BASE64.encode_display(self.public_key())
        )
    }
}

impl fmt::Debug for Dnskey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DNSKEY {} ({self})", self.key_tag())
    }
}

impl serde::Serialize for Dnskey {
    /// As its presentation form.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Dnskey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::from_text(&text).map_err(serde::de::Error::custom)
    }
}

fn key_tag(rdata: &[u8]) -> u16 {
    // Algorithm 1 counts otherwise (RFC 4034 appendix B.1).
    if rdata[3] == 1 {
        return match rdata {
            [.., high, low, _] => u16::from_be_bytes([*high, *low]),
            _ => 0,
        };
    }
    let sum: u32 = rdata
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)))
        .sum();
    (sum.wrapping_add(sum >> 16) & 0xffff) as u16
}

/// The parts of an RSA private key as key files name them, each a big-endian number.
#[derive(Clone)]
pub struct RsaParts {
    /// Modulus.
    pub n: Zeroizing<Vec<u8>>,
    /// PublicExponent.
    pub e: Zeroizing<Vec<u8>>,
    /// PrivateExponent.
    pub d: Zeroizing<Vec<u8>>,
    /// Prime1.
    pub p: Zeroizing<Vec<u8>>,
    /// Prime2.
    pub q: Zeroizing<Vec<u8>>,
    /// Exponent1: d mod (p − 1).
    pub dp: Zeroizing<Vec<u8>>,
    /// Exponent2: d mod (q − 1).
    pub dq: Zeroizing<Vec<u8>>,
    /// Coefficient: the inverse of q mod p.
    pub qinv: Zeroizing<Vec<u8>>,
}

/// A private half as key files carry it; wiped when dropped.
#[derive(Clone)]
pub enum PrivateKey {
    /// RSASHA256.
    Rsa(Box<RsaParts>),
    /// A scalar (ECDSA) or a seed (Ed25519), of the algorithm's full length.
    Octets(Zeroizing<Vec<u8>>),
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(not shown)")
    }
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Of an algorithm we do not sign with.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// Keys of this algorithm are imported, never made here.
    #[error("we make no keys of {0}; make one with dnssec-keygen and import it")]
    Unmakeable(SigningAlgorithm),
    /// The halves do not belong together, or one is not a key at all.
    #[error("key {tag}: the private half is not that of this public key, or is not one we can use ({why})")]
    Rejected {
        /// Its tag.
        tag: u16,
        /// What the library says.
        why: String,
    },
    /// The machine gave no random octets.
    #[error("the system gave no random octets")]
    NoRandom,
}

/// A signature could not be made: no random octets, or an RSA key whose parts do not fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("key {tag} made no signature")]
pub struct SignError {
    /// Its tag.
    pub tag: u16,
}

/// A key that signs: both halves.
pub struct SigningKey {
    dnskey: Dnskey,
    algorithm: SigningAlgorithm,
    tag: u16,
    pair: Pair,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.dnskey)
    }
}

impl SigningKey {
    /// Puts the halves together.
    ///
    /// # Errors
    /// When the algorithm is not one of ours, or the halves do not belong together.
    pub fn new(dnskey: Dnskey, private: &PrivateKey) -> Result<Self, KeyError> {
        Self::signed_by(Backend::CHOSEN, dnskey, private)
    }

    /// The same with a library of choice, to compare them.
    ///
    /// # Errors
    /// As [`SigningKey::new`].
    pub fn signed_by(backend: Backend, dnskey: Dnskey, private: &PrivateKey) -> Result<Self, KeyError> {
        let algorithm = SigningAlgorithm::try_from(dnskey.algorithm())?;
        let tag = dnskey.key_tag();
        let rejected = |why: &dyn fmt::Display| KeyError::Rejected {
            tag,
            why: why.to_string(),
        };
        let pair = match (algorithm, private) {
            (SigningAlgorithm::RsaSha256, PrivateKey::Rsa(parts)) => rsa_pair(&dnskey, parts),
            (_, PrivateKey::Octets(octets)) => Pair::new(backend, algorithm, dnskey.public_key(), octets),
            _ => Err(OTHER_ALGORITHM.to_owned()),
        };
        let pair = pair.map_err(|why| rejected(&why))?;
        let key = Self {
            dnskey,
            algorithm,
            tag,
            pair,
        };
        if algorithm == SigningAlgorithm::RsaSha256 {
            // ring finds out only when it signs whether the RSA parts fit together.
            key.sign(b"", &mut Vec::new())
                .map_err(|_| rejected(&"the RSA parts do not fit together"))?;
        }
        Ok(key)
    }

    /// A new key, for tests and tools that need no file.
    ///
    /// # Errors
    /// As [`PrivateKey::generate`].
    pub fn generate(algorithm: SigningAlgorithm, flags: u16) -> Result<Self, KeyError> {
        let (dnskey, private) = PrivateKey::generate(algorithm, flags)?;
        Self::new(dnskey, &private)
    }

    /// The public half.
    pub fn dnskey(&self) -> &Dnskey {
        &self.dnskey
    }

    /// The algorithm.
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// The key tag, computed once.
    pub fn key_tag(&self) -> u16 {
        self.tag
    }

    /// Signs `message` and appends the signature as RRSIG carries it: r|s for ECDSA (RFC 6605 §4). ECDSA's
    /// differs each time, for its nonces are random; the others are determined by key and message.
    ///
    /// # Errors
    /// [`SignError`]; `out` is as before.
    pub fn sign(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), SignError> {
        self.pair
            .sign(message, out)
            .map_err(|NotSigned| SignError { tag: self.tag })
    }
}

fn rsa_pair(dnskey: &Dnskey, parts: &RsaParts) -> Result<Pair, String> {
    if split_rsa(dnskey.public_key()) != Some((&parts.e[..], &parts.n[..])) {
        return Err("modulus and exponent are not those of the public half".into());
    }
    let components = rsa::KeyPairComponents {
        public_key: rsa::PublicKeyComponents {
            n: &parts.n[..],
            e: &parts.e[..],
        },
        d: &parts.d[..],
        p: &parts.p[..],
        q: &parts.q[..],
        dP: &parts.dp[..],
        dQ: &parts.dq[..],
        qInv: &parts.qinv[..],
    };
    rsa::KeyPair::from_components(&components)
        .map(|pair| Pair::Rsa(Box::new(pair)))
        .map_err(|why| format!("{why}; RSA keys of 2048, 3072 and 4096 bits can be used"))
}

impl PrivateKey {
    /// A new key pair with `flags`.
    ///
    /// # Errors
    /// [`KeyError::Unmakeable`] for RSA, [`KeyError::NoRandom`] when the system gives no random octets.
    pub fn generate(algorithm: SigningAlgorithm, flags: u16) -> Result<(Dnskey, Self), KeyError> {
        let (public, private) = match algorithm {
            SigningAlgorithm::RsaSha256 => return Err(KeyError::Unmakeable(algorithm)),
            SigningAlgorithm::EcdsaP256Sha256 => generate_ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING, 32)?,
            SigningAlgorithm::EcdsaP384Sha384 => generate_ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING, 48)?,
            SigningAlgorithm::Ed25519 => {
                let mut seed = Zeroizing::new(vec![0; 32]);
                random().fill(&mut seed).map_err(|_| KeyError::NoRandom)?;
                let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| KeyError::NoRandom)?;
                (pair.public_key().as_ref().to_vec(), seed)
            }
        };
        Ok((
            Dnskey::new(flags, algorithm.number(), &public),
            Self::Octets(private),
        ))
    }
}

/// Public point and private scalar of a new ECDSA key. ring makes it as PKCS#8 whose inner `ECPrivateKey`
/// (RFC 5915 §3) begins with the version, 1, and then the scalar.
fn generate_ecdsa(
    algorithm: &'static EcdsaSigningAlgorithm,
    length: u8,
) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), KeyError> {
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random()).map_err(|_| KeyError::NoRandom)?;
    let document = document.as_ref();
    let head = [0x02, 0x01, 0x01, 0x04, length];
    let at = document
        .windows(head.len())
        .position(|window| window == head)
        .expect("ring's PKCS#8 holds an ECPrivateKey of version 1")
        + head.len();
    let scalar = Zeroizing::new(document[at..at + usize::from(length)].to_vec());
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, document, &random()).map_err(|_| KeyError::NoRandom)?;
    Ok((pair.public_key().as_ref()[1..].to_vec(), scalar))
}

/// Whether `signature` over `message` was made by `dnskey`'s private half. `false` also for algorithms that
/// are not known here.
pub fn verify(dnskey: &Dnskey, message: &[u8], signature: &[u8]) -> bool {
    let key = dnskey.public_key();
    let point = |algorithm: &'static signature::EcdsaVerificationAlgorithm| {
        signature::UnparsedPublicKey::new(algorithm, [&[4], key].concat()).verify(message, signature)
    };
    let rsa = |parameters| match split_rsa(key) {
        Some((e, n)) => rsa::PublicKeyComponents { n, e }.verify(parameters, message, signature),
        None => Err(ring::error::Unspecified),
    };
    // Other providers' RSA keys may be as short as 1024 bits; ours may not.
    match dnskey.algorithm() {
        Algorithm::RSASHA256 => rsa(&signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY),
        Algorithm::RSASHA512 => rsa(&signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY),
        Algorithm::ECDSAP256SHA256 => point(&signature::ECDSA_P256_SHA256_FIXED),
        Algorithm::ECDSAP384SHA384 => point(&signature::ECDSA_P384_SHA384_FIXED),
        Algorithm::ED25519 => {
            signature::UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signature)
        }
        _ => Err(ring::error::Unspecified),
    }
    .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Name;
    use data_encoding::{BASE64, HEXLOWER};

    fn octets(base64: &str) -> PrivateKey {
        PrivateKey::Octets(Zeroizing::new(BASE64.decode(base64.as_bytes()).unwrap()))
    }

    fn hex(octets: &[u8]) -> String {
        HEXLOWER.encode(octets)
    }

    /// RRSIG rdata without the signature, then one record: what is signed (RFC 4034 §3.1.8.1).
    fn message(
        key: &Dnskey,
        labels: u8,
        times: (u32, u32),
        signer: &str,
        owner: &str,
        rtype: u16,
        rdata: &[u8],
    ) -> Vec<u8> {
        let wire = |name: &str| name.parse::<Name>().unwrap().as_wire().to_vec();
        let ttl = 3600u32.to_be_bytes();
        let mut message = rtype.to_be_bytes().to_vec();
        message.extend([key.algorithm().0, labels]);
        message.extend(ttl);
        message.extend(times.0.to_be_bytes());
        message.extend(times.1.to_be_bytes());
        message.extend(key.key_tag().to_be_bytes());
        message.extend(wire(signer));
        message.extend(wire(owner));
        message.extend(rtype.to_be_bytes());
        message.extend(1u16.to_be_bytes());
        message.extend(ttl);
        message.extend((rdata.len() as u16).to_be_bytes());
        message.extend(rdata);
        message
    }

    struct Vector {
        section: &'static str,
        dnskey: &'static str,
        tag: u16,
        private: &'static str,
        ds: (DigestType, &'static str),
        signature: &'static str,
    }

    const P256: Vector = Vector {
        section: "RFC 6605 §6.1",
        dnskey: "257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
        tag: 55648,
        private: "GU6SnQ/Ou+xC5RumuIUIuJZteXT2z0O/ok1s38Et6mQ=",
        ds: (
            DigestType::Sha256,
            "b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17",
        ),
        signature: "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==",
    };
    const P384: Vector = Vector {
        section: "RFC 6605 §6.2",
        dnskey: "257 3 14 xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX45NBwY8rp65F6Glur8I/mlVNgF6W/qTI37m40",
        tag: 10771,
        private: "WURgWHCcYIYUPWgeLmiPY2DJJk02vgrmTfitxgqcL4vwW7BOrbawVmVe0d9V94SR",
        ds: (
            DigestType::Sha384,
            "72d7b62976ce06438e9c0bf319013cf801f09ecc84b8d7e9495f27e305c6a9b0563a9b5f4d288405c3008a946df983d6",
        ),
        signature: "/L5hDKIvGDyI1fcARX3z65qrmPsVz73QD1Mr5CEqOiLP95hxQouuroGCeZOvzFaxsT8Glr74hbavRKayJNuydCuzWTSSPdz7wnqXL5bdcJzusdnI0RSMROxxwGipWcJm",
    };
    // The RRSIGs in the RFC's text were made with Labels=3; these are those of erratum 4935.
    const ED25519: [Vector; 2] = [
        Vector {
            section: "RFC 8080 §6.1, first",
            dnskey: "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
            tag: 3613,
            private: "ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjI=",
            ds: (
                DigestType::Sha256,
                "3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b",
            ),
            signature: "oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==",
        },
        Vector {
            section: "RFC 8080 §6.1, second",
            dnskey: "257 3 15 zPnZ/QwEe7S8C5SPz2OfS5RR40ATk2/rYnE9xHIEijs=",
            tag: 35217,
            private: "DSSF3o0s0f+ElWzj9E/Osxw8hLpk55chkmx0LYN5WiY=",
            ds: (
                DigestType::Sha256,
                "401781b934e392de492ec77ae2e15d70f6575a1c0bc59c5275c04ebe80c6614c",
            ),
            signature: "zXQ0bkYgQTEFyfLyi9QoiY6D8ZdYo4wyUhVioYZXFdT410QPRITQSqJSnzQoSm5poJ7gD7AQR0O7KuI5k2pcBg==",
        },
    ];

    fn check_halves(vector: &Vector, owner: &str) -> SigningKey {
        let key = Dnskey::from_text(vector.dnskey).unwrap();
        assert_eq!(key.to_string(), vector.dnskey, "{}", vector.section);
        assert_eq!(key.key_tag(), vector.tag, "{}", vector.section);
        let ds = key.ds(owner.parse::<Name>().unwrap().as_ref(), vector.ds.0);
        assert_eq!(hex(&ds[4..]), vector.ds.1, "{}", vector.section);
        SigningKey::new(key, &octets(vector.private)).unwrap()
    }

    #[test]
    fn ecdsa_as_rfc_6605_6() {
        for (vector, times) in [
            (&P256, (1_284_026_679, 1_281_607_479)),
            (&P384, (1_284_027_625, 1_281_608_425)),
        ] {
            let key = check_halves(vector, "example.net.");
            let message = message(
                key.dnskey(),
                3,
                times,
                "example.net.",
                "www.example.net.",
                1,
                &[192, 0, 2, 1],
            );
            let printed = BASE64.decode(vector.signature.as_bytes()).unwrap();
            assert!(verify(key.dnskey(), &message, &printed), "{}", vector.section);
            let mut ours = b"before".to_vec();
            key.sign(&message, &mut ours).unwrap();
            let ours = ours.strip_prefix(b"before").unwrap();
            assert_eq!(ours.len(), printed.len());
            assert!(verify(key.dnskey(), &message, ours), "{}", vector.section);
            let mut spoiled = ours.to_vec();
            spoiled[9] ^= 1;
            assert!(!verify(key.dnskey(), &message, &spoiled));
        }
    }

    #[test]
    fn ed25519_as_rfc_8080_6_byte_for_byte() {
        for vector in &ED25519 {
            let key = check_halves(vector, "example.com.");
            let mut mx = vec![0, 10];
            mx.extend(b"\x04mail\x07example\x03com\x00");
            let times = (1_440_021_600, 1_438_207_200);
            let message = message(key.dnskey(), 2, times, "example.com.", "example.com.", 15, &mx);
            let mut signature = Vec::new();
            key.sign(&message, &mut signature).unwrap();
            assert_eq!(BASE64.encode(&signature), vector.signature, "{}", vector.section);
        }
    }

    #[test]
    fn tags_and_digests_as_rfc_4034_5_4_and_4509_2_3() {
        let key = Dnskey::from_text(
            "256 3 5 AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==",
        )
        .unwrap();
        assert_eq!(key.key_tag(), 60485);
        let ds = key.ds(
            "DSKEY.example.com.".parse::<Name>().unwrap().as_ref(),
            DigestType::Sha256,
        );
        assert_eq!(
            hex(&ds),
            "ec450502d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a"
        );
    }

    #[test]
    fn the_revoked_tag_is_recomputed() {
        let key = |tail: [u8; 2]| Dnskey::new(257, Algorithm::ED25519, &tail);
        assert_eq!(key([0, 0]).revoked_tag(), key([0, 0]).key_tag() + 128);
        // A sum that carries over 65,535: 65436 becomes 29, not 28.
        let carried = (0..=u16::MAX)
            .map(|tail| key(tail.to_be_bytes()))
            .find(|key| key.key_tag() == 65436)
            .unwrap();
        assert_eq!(carried.revoked_tag(), 29);
    }

    /// Whichever library signs, the other sides of the fence agree: the same octets for Ed25519, and signatures that
    /// verify for ECDSA; and each refuses halves of two keys.
    #[test]
    fn every_library_signs_alike() {
        assert!(Backend::ALL.contains(&Backend::CHOSEN));
        assert_eq!(Backend::ALL.len(), 1 + usize::from(cfg!(feature = "aws-lc-rs")));
        for algorithm in [
            SigningAlgorithm::EcdsaP256Sha256,
            SigningAlgorithm::EcdsaP384Sha384,
            SigningAlgorithm::Ed25519,
        ] {
            let (dnskey, private) = PrivateKey::generate(algorithm, ZONE).unwrap();
            let (other, _) = PrivateKey::generate(algorithm, ZONE).unwrap();
            let mut made = Vec::new();
            for &backend in Backend::ALL {
                let key = SigningKey::signed_by(backend, dnskey.clone(), &private).unwrap();
                let mut signature = Vec::new();
                key.sign(b"message", &mut signature).unwrap();
                assert!(verify(&dnskey, b"message", &signature), "{backend:?} {algorithm}");
                assert!(
                    !verify(&dnskey, b"massage", &signature),
                    "{backend:?} {algorithm}"
                );
                let refused = SigningKey::signed_by(backend, other.clone(), &private);
                assert!(
                    matches!(refused, Err(KeyError::Rejected { .. })),
                    "{backend:?} {algorithm}"
                );
                made.push(signature);
            }
            if algorithm == SigningAlgorithm::Ed25519 {
                made.dedup();
                assert_eq!(made.len(), 1, "Ed25519 is determined by key and message");
            }
        }
    }

    #[test]
    fn made_keys_sign_and_halves_of_two_keys_do_not() {
        for algorithm in [
            SigningAlgorithm::EcdsaP256Sha256,
            SigningAlgorithm::EcdsaP384Sha384,
            SigningAlgorithm::Ed25519,
        ] {
            let (dnskey, private) = PrivateKey::generate(algorithm, ZONE | SEP).unwrap();
            assert_eq!(dnskey.algorithm().public_key_fault(dnskey.public_key()), None);
            let key = SigningKey::new(dnskey.clone(), &private).unwrap();
            let mut signature = Vec::new();
            key.sign(b"message", &mut signature).unwrap();
            assert!(verify(&dnskey, b"message", &signature));
            assert!(!verify(&dnskey, b"massage", &signature));
            let (other, _) = PrivateKey::generate(algorithm, ZONE).unwrap();
            let error = SigningKey::new(other, &private).unwrap_err();
            assert!(matches!(error, KeyError::Rejected { .. }), "{error}");
        }
        let error = PrivateKey::generate(SigningAlgorithm::RsaSha256, ZONE).unwrap_err();
        assert!(matches!(error, KeyError::Unmakeable(_)));
    }

    #[test]
    fn nothing_prints_private_octets() {
        let private = octets(P256.private);
        let key = SigningKey::new(Dnskey::from_text(P256.dnskey).unwrap(), &private).unwrap();
        assert_eq!(format!("{private:?}"), "PrivateKey(not shown)");
        assert_eq!(
            format!("{key:?}"),
            format!("SigningKey(DNSKEY 55648 ({}))", P256.dnskey)
        );
    }
}
