//! The TSIG record (RFC 8945 §4.2), and what its MAC is made of (§4.3).

use ring::hmac;

use super::{FUDGE, TsigError, TsigFault, TsigKey};
use crate::{
    clock::UnixTime,
    wire::{Class, Name, NameRef, RrType, message::HEADER, received::Record},
};

/// The fields of a TSIG record's rdata.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fields {
    pub algorithm: Name,
    /// 48 bits of it are sent.
    pub signed: UnixTime,
    pub fudge: u16,
    pub mac: Vec<u8>,
    pub original_id: u16,
    pub fault: TsigFault,
    pub other: Vec<u8>,
}

impl Fields {
    /// What stands in the record.
    pub fn read(record: &Record) -> Result<Self, TsigError> {
        let malformed = |why| TsigError::Malformed(why);
        if record.class != Class::ANY || record.ttl.seconds() != 0 {
            return Err(malformed("its class is ANY and its TTL zero"));
        }
        let (algorithm, rest) =
            NameRef::split_from(&record.rdata).map_err(|_| malformed("the algorithm is no name"))?;
        let short = || malformed("it ends too early");
        let (time, rest) = rest.split_first_chunk::<6>().ok_or_else(short)?;
        let (fudge, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
        let (mac, rest) = split_counted(rest).ok_or_else(short)?;
        let (original_id, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
        let (fault, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
        let (other, rest) = split_counted(rest).ok_or_else(short)?;
        if !rest.is_empty() {
            return Err(malformed("octets behind its end"));
        }
        Ok(Self {
            algorithm: algorithm.to_owned(),
            signed: time_of(*time),
            fudge: u16::from_be_bytes(*fudge),
            mac: mac.to_vec(),
            original_id: u16::from_be_bytes(*original_id),
            fault: TsigFault(u16::from_be_bytes(*fault)),
            other: other.to_vec(),
        })
    }

    /// Fields of a record that says nothing is wrong; its MAC is still to be made.
    pub fn fresh(key: &TsigKey, message: &[u8], now: UnixTime) -> Self {
        Self {
            algorithm: NameRef::from_trusted(&key.algorithm.wire()).to_owned(),
            signed: now,
            fudge: FUDGE,
            mac: Vec::new(),
            original_id: u16::from_be_bytes([message[0], message[1]]),
            fault: TsigFault::NONE,
            other: Vec::new(),
        }
    }

    /// Appends the record to a message, and counts it there.
    pub fn append(&self, key_name: &Name, message: &mut Vec<u8>) {
        message.extend_from_slice(key_name.as_wire());
        message.extend_from_slice(&RrType::TSIG.0.to_be_bytes());
        message.extend_from_slice(&Class::ANY.0.to_be_bytes());
        message.extend_from_slice(&[0; 4]);
        let length = self.algorithm.as_wire().len() + 16 + self.mac.len() + self.other.len();
        message.extend_from_slice(&(length as u16).to_be_bytes());
        message.extend_from_slice(self.algorithm.as_wire());
        message.extend_from_slice(&octets_of(self.signed));
        message.extend_from_slice(&self.fudge.to_be_bytes());
        append_counted(&self.mac, message);
        message.extend_from_slice(&self.original_id.to_be_bytes());
        message.extend_from_slice(&self.fault.0.to_be_bytes());
        append_counted(&self.other, message);
        let count = u16::from_be_bytes([message[10], message[11]]) + 1;
        message[10..12].copy_from_slice(&count.to_be_bytes());
    }

    /// What time the other side has, when it says so (§5.2.3).
    pub fn clock(&self) -> Option<UnixTime> {
        (self.fault == TsigFault::BADTIME)
            .then(|| self.other.first_chunk::<6>().copied().map(time_of))
            .flatten()
    }

    /// Whether it was signed within its fudge of `now` (§5.2.3).
    pub fn check_time(&self, now: UnixTime) -> Result<(), TsigError> {
        if self.signed.0.abs_diff(now.0) <= u64::from(self.fudge) {
            return Ok(());
        }
        Err(TsigError::Time {
            signed: self.signed,
            now,
            fudge: self.fudge,
        })
    }

    /// Whether the MAC is the one that `digest` gives (§5.2.2). It takes as long for a wrong one.
    pub fn check_mac(&self, key: &TsigKey, digest: Digest) -> Result<(), TsigError> {
        let most = key.algorithm.mac_length();
        let least = (most / 2).max(10);
        let length = self.mac.len();
        if length < least || length > most {
            return Err(TsigError::Length {
                length,
                algorithm: key.algorithm,
                least,
                most,
            });
        }
        let whole = digest.mac();
        let differ = whole
            .as_ref()
            .iter()
            .zip(&self.mac)
            .fold(0, |all, (a, b)| all | a ^ b);
        if std::hint::black_box(differ) == 0 {
            Ok(())
        } else {
            Err(TsigError::Wrong {
                key: key.name.clone(),
            })
        }
    }
}

/// What a MAC is made of, put in piece by piece.
#[derive(Clone)]
pub(super) struct Digest(hmac::Context);

impl Digest {
    /// With nothing in it: a request's.
    pub fn of_request(key: &TsigKey) -> Self {
        Self(hmac::Context::with_key(&key.key))
    }

    /// With the MAC in front of it in the exchange (§4.3.1, §5.3.1).
    pub fn behind(key: &TsigKey, mac: &[u8]) -> Self {
        let mut digest = Self::of_request(key);
        digest.0.update(&(mac.len() as u16).to_be_bytes());
        digest.0.update(mac);
        digest
    }

    /// A message that has no TSIG record.
    pub fn unsigned_message(&mut self, message: &[u8]) {
        self.0.update(message);
    }

    /// A message without the TSIG record that begins at `start`, with the id that it had at its sender (§4.3.2).
    pub fn signed_message(&mut self, message: &[u8], start: usize, fields: &Fields) {
        let count = u16::from_be_bytes([message[10], message[11]]).saturating_sub(1);
        self.0.update(&fields.original_id.to_be_bytes());
        self.0.update(&message[2..10]);
        self.0.update(&count.to_be_bytes());
        self.0.update(&message[HEADER..start]);
    }

    /// All of the record but the MAC itself (§4.3.3).
    pub fn variables(&mut self, key_name: &Name, fields: &Fields) {
        self.0.update(key_name.as_ref().to_lowercase().as_wire());
        self.0.update(&Class::ANY.0.to_be_bytes());
        self.0.update(&[0; 4]);
        self.0.update(fields.algorithm.as_ref().to_lowercase().as_wire());
        self.timers(fields);
        self.0.update(&fields.fault.0.to_be_bytes());
        self.0.update(&(fields.other.len() as u16).to_be_bytes());
        self.0.update(&fields.other);
    }

    /// The times alone, in the later messages of an exchange (§5.3.1).
    pub fn timers(&mut self, fields: &Fields) {
        self.0.update(&octets_of(fields.signed));
        self.0.update(&fields.fudge.to_be_bytes());
    }

    /// The MAC.
    pub fn mac(self) -> hmac::Tag {
        self.0.sign()
    }
}

fn split_counted(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = octets.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

fn append_counted(octets: &[u8], message: &mut Vec<u8>) {
    message.extend_from_slice(&(octets.len() as u16).to_be_bytes());
    message.extend_from_slice(octets);
}

fn time_of(octets: [u8; 6]) -> UnixTime {
    UnixTime(octets.iter().fold(0, |time, &octet| time << 8 | u64::from(octet)))
}

/// The low 48 bits of a time.
pub(super) fn octets_of(time: UnixTime) -> [u8; 6] {
    let [_, _, octets @ ..] = time.0.to_be_bytes();
    octets
}
