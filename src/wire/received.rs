//! Messages from other servers: read whole, names in rdata expanded, nothing borrowed.
//!
//! Ours and not a library's, for what comes in by a transfer must be read by the same table of types that serves it
//! again (RFC 3597 §4): a parser that refuses a record it finds odd would lose it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    Class, Name, RrType, Ttl,
    message::{HEADER, Opcode, Rcode, expand_name},
    types::{self, RdataError},
};

/// One record of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// The owner, letter case as sent.
    pub owner: Name,
    /// The type.
    pub rtype: RrType,
    /// The class.
    pub class: Class,
    /// The TTL.
    pub ttl: Ttl,
    /// The rdata, names in it written out.
    pub rdata: Box<[u8]>,
}

impl Record {
    /// The address in an A or AAAA record.
    pub fn address(&self) -> Option<IpAddr> {
        match self.rtype {
            RrType::A => <[u8; 4]>::try_from(&*self.rdata)
                .ok()
                .map(|octets| Ipv4Addr::from(octets).into()),
            RrType::AAAA => <[u8; 16]>::try_from(&*self.rdata)
                .ok()
                .map(|octets| Ipv6Addr::from(octets).into()),
            _ => None,
        }
    }
}

/// The OPT record's fixed part (RFC 6891 §6.1.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReceivedEdns {
    /// The largest datagram that the sender takes.
    pub udp_payload: u16,
    /// The sender's version.
    pub version: u8,
    /// DO.
    pub dnssec_ok: bool,
}

/// A message as received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received {
    /// Its number.
    pub id: u16,
    /// QR.
    pub is_response: bool,
    /// What it is about.
    pub opcode: Opcode,
    /// AA.
    pub authoritative: bool,
    /// TC.
    pub truncated: bool,
    /// AD.
    pub authenticated: bool,
    /// The code, its upper bits from OPT included.
    pub rcode: Rcode,
    /// The question; a transfer's later messages have none.
    pub question: Option<(Name, RrType, Class)>,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authorities: Vec<Record>,
    /// The additional section without OPT and TSIG.
    pub additionals: Vec<Record>,
    /// OPT.
    pub edns: Option<ReceivedEdns>,
    /// The TSIG record, and where in the message it begins.
    pub tsig: Option<(usize, Record)>,
}

/// Why octets are no message.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    /// It ends too early.
    #[error("the message ends too early")]
    Short,
    /// A name cannot be read.
    #[error("a name in the message cannot be read")]
    Name(#[from] super::name::NameError),
    /// The rdata of a record is not what its type has.
    #[error("the rdata of {owner} {rtype} cannot be read")]
    Rdata {
        /// The owner.
        owner: Name,
        /// The type.
        rtype: RrType,
        /// Why.
        #[source]
        source: RdataError,
    },
    /// Octets are left over, or a record is where it must not be.
    #[error("the message holds {0}")]
    Odd(&'static str),
}

impl Received {
    /// Reads a whole message.
    ///
    /// # Errors
    /// When anything in it cannot be read.
    pub fn read(message: &[u8]) -> Result<Self, Malformed> {
        let header = message.first_chunk::<HEADER>().ok_or(Malformed::Short)?;
        let count = |section: usize| u16::from_be_bytes([header[4 + 2 * section], header[5 + 2 * section]]);
        let mut received = Self {
            id: u16::from_be_bytes([header[0], header[1]]),
            is_response: header[2] & 0x80 != 0,
            opcode: Opcode(header[2] >> 3 & 0x0f),
            authoritative: header[2] & 0x04 != 0,
            truncated: header[2] & 0x02 != 0,
            authenticated: header[3] & 0x20 != 0,
            rcode: Rcode(u16::from(header[3] & 0x0f)),
            question: None,
            answers: Vec::new(),
            authorities: Vec::new(),
            additionals: Vec::new(),
            edns: None,
            tsig: None,
        };
        let mut at = HEADER;
        for number in 0..count(0) {
            if number > 0 {
                return Err(Malformed::Odd("more than one question"));
            }
            let (name, end) = expand_name(message, at)?;
            let fixed = message.get(end..end + 4).ok_or(Malformed::Short)?;
            received.question = Some((
                name,
                RrType(u16::from_be_bytes([fixed[0], fixed[1]])),
                Class(u16::from_be_bytes([fixed[2], fixed[3]])),
            ));
            at = end + 4;
        }
        for section in 1..=3 {
            for _ in 0..count(section) {
                if received.tsig.is_some() {
                    return Err(Malformed::Odd("a record behind TSIG"));
                }
                let begin = at;
                let (record, end) = Record::read(message, at)?;
                at = end;
                match section {
                    1 | 2 if record.rtype == RrType::TSIG => {
                        return Err(Malformed::Odd("TSIG outside its additional section"));
                    }
                    1 => received.answers.push(record),
                    2 => received.authorities.push(record),
                    _ => received.take_additional(record, begin)?,
                }
            }
        }
        if at == message.len() {
            Ok(received)
        } else {
            Err(Malformed::Odd("octets behind its end"))
        }
    }

    fn take_additional(&mut self, record: Record, begin: usize) -> Result<(), Malformed> {
        match record.rtype {
            RrType::OPT if self.edns.is_some() => return Err(Malformed::Odd("two OPT records")),
            RrType::OPT => {
                let fields = record.raw_ttl();
                self.rcode.0 |= u16::from(fields[0]) << 4;
                self.edns = Some(ReceivedEdns {
                    udp_payload: record.class.0,
                    version: fields[1],
                    dnssec_ok: fields[2] & 0x80 != 0,
                });
            }
            RrType::TSIG => self.tsig = Some((begin, record)),
            _ => self.additionals.push(record),
        }
        Ok(())
    }
}

impl Record {
    /// Reads the record that begins at `start` of a message; gives it and where it ends.
    fn read(message: &[u8], start: usize) -> Result<(Self, usize), Malformed> {
        let (owner, at) = expand_name(message, start)?;
        let fixed = message.get(at..at + 10).ok_or(Malformed::Short)?;
        let rtype = RrType(u16::from_be_bytes([fixed[0], fixed[1]]));
        let class = Class(u16::from_be_bytes([fixed[2], fixed[3]]));
        let ttl = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
        let end = at + 10 + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        if end > message.len() {
            return Err(Malformed::Short);
        }
        // OPT's TTL is no TTL, so it is kept as the first octets of what stands for its rdata.
        // Only who holds the key can read TSIG, so it stays as it is.
        let rdata = match rtype {
            RrType::OPT => ttl.to_be_bytes().into(),
            RrType::TSIG => message[at + 10..end].into(),
            _ => expand_rdata(rtype, message, at + 10..end).map_err(|source| Malformed::Rdata {
                owner: owner.clone(),
                rtype,
                source,
            })?,
        };
        let record = Self {
            owner,
            rtype,
            class,
            ttl: Ttl::new(ttl),
            rdata,
        };
        Ok((record, end))
    }

    fn raw_ttl(&self) -> [u8; 4] {
        self.rdata.first_chunk().copied().unwrap_or_default()
    }
}

/// Rdata with the names in it written out, well formed for its type. Names may be compressed in any type that is
/// known here: RFC 3597 §4 asks receivers to bear that in several that must not be sent so.
fn expand_rdata(
    rtype: RrType,
    message: &[u8],
    range: std::ops::Range<usize>,
) -> Result<Box<[u8]>, RdataError> {
    let raw = &message[range.clone()];
    let Some(row) = rtype.row() else {
        return Ok(raw.into());
    };
    let mut out: Vec<u8> = Vec::with_capacity(raw.len() + 64);
    let mut at = range.start;
    for field in row.fields_with_names() {
        if let types::Field::Name(_) = field {
            let wrong = RdataError {
                at: at - range.start,
                expected: "a name",
            };
            let (name, end) = expand_name(message, at).map_err(|_| wrong.clone())?;
            if end > range.end {
                return Err(wrong);
            }
            out.extend_from_slice(name.as_wire());
            at = end;
        } else {
            // A field may look back at those in front of it, so it is checked where it will stand.
            let done = out.len();
            out.extend_from_slice(&message[at..range.end]);
            let end = types::check_field(*field, &out, done)?;
            out.truncate(end);
            at += end - done;
        }
    }
    out.extend_from_slice(&message[at..range.end]);
    types::validate_rdata(rtype, &out)?;
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An answer to `a. MX` with the exchange compressed against the question, and OPT with DO.
    const MX: &[u8] = b"\x12\x34\x84\x00\x00\x01\x00\x01\x00\x00\x00\x01\x01a\x00\x00\x0f\x00\x01\
        \xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x06\x00\x0a\x01m\xc0\x0c\
        \x00\x00\x29\x04\xd0\x01\x00\x80\x00\x00\x00";

    #[test]
    fn names_in_rdata_are_written_out() {
        let received = Received::read(MX).unwrap();
        assert_eq!(received.question.as_ref().unwrap().0.to_string(), "a.");
        assert_eq!(&*received.answers[0].rdata, b"\x00\x0a\x01m\x01a\x00");
        assert_eq!(received.answers[0].ttl, Ttl::new(60));
        assert!(received.authoritative && !received.truncated);
        // The upper bits of the code come from OPT (RFC 6891 §6.1.3).
        assert_eq!(received.rcode, Rcode(16));
        assert!(received.edns.unwrap().dnssec_ok);
    }

    #[test]
    fn what_is_cut_or_longer_is_refused() {
        for length in 0..MX.len() {
            assert!(Received::read(&MX[..length]).is_err(), "{length}");
        }
        assert!(Received::read(&[MX, b"\0"].concat()).is_err());
    }

    #[test]
    fn a_name_may_not_leave_its_rdata() {
        let mut message = MX.to_vec();
        // The rdata ends within the exchange's pointer.
        message[30] = 5;
        message.remove(36);
        assert!(Received::read(&message).is_err());
    }

    /// RFC 8945 §5.1: it is the last record of the additional section.
    #[test]
    fn tsig_stands_last_or_nowhere() {
        let tsig = b"\x00\x00\xfa\x00\xff\x00\x00\x00\x00\x00\x02\xab\xcd";
        let mut message = [MX, tsig].concat();
        message[11] = 2;
        let (start, record) = Received::read(&message).unwrap().tsig.unwrap();
        assert_eq!((start, &*record.rdata), (MX.len(), &b"\xab\xcd"[..]));
        let mut behind = [&message, &tsig[..]].concat();
        behind[11] = 3;
        assert_eq!(
            Received::read(&behind),
            Err(Malformed::Odd("a record behind TSIG"))
        );
        let answer_only = [&[0; 7][..], &[1, 0, 0, 0, 0], tsig].concat();
        assert!(matches!(Received::read(&answer_only), Err(Malformed::Odd(_))));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Received::read(&octets);
        }

        #[test]
        fn spoiled_octets_are_read_or_refused(at in 0..MX.len(), value: u8) {
            let mut message = MX.to_vec();
            message[at] = value;
            let _ = Received::read(&message);
        }
    }
}
