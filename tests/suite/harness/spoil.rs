//! Answers that are spoiled on their way, for tests that must notice.

use std::{collections::BTreeSet, fs, net::SocketAddr, path::Path};

use countersign::wire::RrType;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};

use super::{
    message::{Message, Record},
    proxy::{self, Proxy},
};

type Change = Box<dyn Fn(&mut Message) + Send + Sync>;

/// What is done to each answer.
pub struct Spoiler(Change);

impl Spoiler {
    fn new(change: impl Fn(&mut Message) + Send + Sync + 'static) -> Self {
        Self(Box::new(change))
    }

    /// The answer is read and written again, and means the same.
    pub fn nothing() -> Self {
        Self::new(|_| ())
    }

    /// A bit of each signature, but for that of the key set.
    pub fn flipped_bit() -> Self {
        Self::new(|message| {
            for record in message.answer.iter_mut().chain(&mut message.authority) {
                if record.rtype == RrType::RRSIG && record.covered() != RrType::DNSKEY {
                    *record.rdata.last_mut().unwrap() ^= 1;
                }
            }
        })
    }

    /// NSEC records and their signatures go.
    pub fn dropped_nsec() -> Self {
        Self::new(|message| {
            message.authority.retain(|record| {
                record.rtype != RrType::NSEC
                    && !(record.rtype == RrType::RRSIG && record.covered() == RrType::NSEC)
            });
        })
    }

    /// NSEC records at the name asked say that the type asked is there, and are signed again by the zone's own
    /// key (ECDSAP256SHA256) from the folder `keys`: only the meaning is wrong.
    pub fn wrong_bitmap(keys: &Path) -> Self {
        let key = Zsk::find(keys);
        Self::new(move |message| {
            let (name, rtype, _) = message.questions[0].clone();
            let Some(at) = message
                .authority
                .iter()
                .position(|record| record.rtype == RrType::NSEC && record.owner.lower() == name.lower())
            else {
                return;
            };
            let nsec = &mut message.authority[at];
            let mut types = nsec.bitmap();
            types.insert(rtype.0);
            let next = nsec.names()[0].0.clone();
            nsec.rdata = [next, bitmaps(&types)].concat();
            let nsec = nsec.clone();
            let signature = message.authority.iter_mut().find(|record| {
                record.rtype == RrType::RRSIG
                    && record.covered() == RrType::NSEC
                    && record.owner.lower() == name.lower()
            });
            key.sign_again(&nsec, signature.expect("an NSEC has a signature"));
        })
    }
}

/// Type bitmaps (RFC 4034 section 4.1.2).
fn bitmaps(types: &BTreeSet<u16>) -> Vec<u8> {
    let mut octets = Vec::new();
    for window in types.iter().map(|rtype| rtype >> 8).collect::<BTreeSet<_>>() {
        let mut bits = [0_u8; 32];
        for rtype in types.iter().filter(|rtype| **rtype >> 8 == window) {
            bits[usize::from(rtype & 0xff) / 8] |= 0x80 >> (rtype % 8);
        }
        let length = bits.iter().rposition(|octet| *octet != 0).unwrap() + 1;
        octets.extend_from_slice(&[window as u8, length as u8]);
        octets.extend_from_slice(&bits[..length]);
    }
    octets
}

/// A zone-signing key of the server under test, read from its key folder.
struct Zsk(EcdsaKeyPair);

impl Zsk {
    fn find(keys: &Path) -> Self {
        let decode = |text: &str| {
            data_encoding::BASE64
                .decode(text.split_whitespace().collect::<String>().as_bytes())
                .unwrap()
        };
        for entry in fs::read_dir(keys).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap_or_default();
            let Some((_, public)) = text.split_once(" 256 3 13 ") else {
                continue;
            };
            let private = fs::read_to_string(path.with_extension("private")).unwrap();
            let line = private
                .lines()
                .find_map(|line| line.strip_prefix("PrivateKey: "))
                .unwrap();
            let point = [vec![4], decode(public.lines().next().unwrap())].concat();
            let pair = EcdsaKeyPair::from_private_key_and_public_key(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                &decode(line),
                &point,
                &SystemRandom::new(),
            );
            return Self(pair.unwrap());
        }
        panic!("{} holds no zone-signing key", keys.display());
    }

    /// RFC 4034 section 3.1.8.1.
    fn sign_again(&self, record: &Record, signature: &mut Record) {
        let signer = signature.names()[0].clone();
        let fixed = 18 + signer.0.len();
        let mut message = signature.rdata[..18].to_vec();
        message.extend_from_slice(&signer.lower().0);
        message.extend_from_slice(&record.owner.lower().0);
        message.extend_from_slice(&record.rtype.0.to_be_bytes());
        message.extend_from_slice(&record.class.to_be_bytes());
        message.extend_from_slice(&signature.rdata[4..8]);
        message.extend_from_slice(&(record.rdata.len() as u16).to_be_bytes());
        message.extend_from_slice(&record.rdata);
        let signed = self.0.sign(&SystemRandom::new(), &message).unwrap();
        signature.rdata.truncate(fixed);
        signature.rdata.extend_from_slice(signed.as_ref());
    }
}

/// Starts a proxy in front of `server`, over UDP and TCP.
pub fn spoil(server: SocketAddr, spoiler: Spoiler) -> Proxy {
    proxy::through(move |query, transport| {
        let mut message = Message::read(&transport.exchange(server, query)?).ok()?;
        (spoiler.0)(&mut message);
        Some(message.to_bytes())
    })
}
