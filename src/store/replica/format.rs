//! How a copy of a zone is written: frames, each with its length and a checksum, and the records in them. Pure.
//!
//! ```text
//! file    "cszone" version kind id(16) frame…              kind: 1 base, 2 log; a log has the id of its base
//! frame   length(4) checksum(16) payload                   over id, the frame's number from 0, and the payload
//! base    head, records…, end
//! head    1 origin(2+n)
//! records 2 record…
//! end     3 serial(4) records(8) left out(8)
//! log     a delta each
//! delta   4 from(4) to(4) count(4) removed… added…
//! record  owner(1+n) type(2) ttl(4) rdata(2+n)
//! ```
//! Numbers are big-endian; a length stands in front of what has one.

use ring::digest;

use crate::{
    client::transfer::Delta,
    wire::{Class, NameRef, RrType, Serial, Ttl, received::Record, types::validate_rdata},
    zone::{Entry, Place},
};

/// What a file begins with.
const MAGIC: &[u8; 6] = b"cszone";
/// The version of the format that is written, and the only one that is read.
pub(super) const VERSION: u8 = 1;
/// Octets in front of the first frame.
pub(super) const PREAMBLE: usize = MAGIC.len() + 2 + 16;
/// Octets in front of a frame's payload.
pub(super) const FRAME_HEAD: usize = 4 + CHECKSUM;
/// Octets of a checksum: it guards against accidents.
const CHECKSUM: usize = 16;
/// About how many octets of records a frame of a base holds.
pub(super) const RECORDS_A_FRAME: usize = 64 * 1_024;
/// The largest frame that is read. A transfer holds at most 64 MiB of changes; names written out make more of them.
pub(super) const LARGEST_FRAME: usize = 512 << 20;

/// What a base is known by; its log has the same.
pub(super) type Id = [u8; 16];

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Base = 1,
    Log = 2,
}

/// Why octets are no copy.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FormatError {
    /// It is another file.
    #[error("it does not begin as a copy of a zone does")]
    NotOurs,
    /// A later version of this program wrote it.
    #[error("it has format {0}, this program knows format {VERSION}")]
    Version(u8),
    /// It ends within something.
    #[error("it ends too early")]
    Short,
    /// A checksum does not match.
    #[error("the checksum of its frame {0} does not match")]
    Checksum(u64),
    /// A frame is not what should stand there.
    #[error("its frame {0} cannot be read")]
    Frame(u64),
    /// The numbers at its end are not those of its records.
    #[error("it says that it holds {said} records, and holds {found}")]
    Count {
        /// In the end frame.
        said: u64,
        /// Those that were read.
        found: u64,
    },
}

/// The octets in front of the frames.
pub(super) fn preamble(kind: Kind, id: Id) -> Vec<u8> {
    [&MAGIC[..], &[VERSION, kind as u8], &id].concat()
}

/// Reads them.
pub(super) fn read_preamble(octets: &[u8], kind: Kind) -> Result<Id, FormatError> {
    let rest = octets.strip_prefix(MAGIC).ok_or(FormatError::NotOurs)?;
    let (&[version, of], id) = rest.split_first_chunk::<2>().ok_or(FormatError::Short)?;
    if version != VERSION {
        return Err(FormatError::Version(version));
    }
    if of != kind as u8 {
        return Err(FormatError::NotOurs);
    }
    id.first_chunk().copied().ok_or(FormatError::Short)
}

/// A frame around a payload.
pub(super) fn frame(id: Id, number: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(FRAME_HEAD + payload.len());
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    out.extend_from_slice(&checksum(id, number, payload));
    out.extend_from_slice(payload);
    out
}

/// The length of the payload behind the head of a frame.
pub(super) fn payload_length(head: &[u8; FRAME_HEAD]) -> usize {
    u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize
}

/// Whether a payload belongs to the head in front of it.
pub(super) fn is_whole(id: Id, number: u64, head: &[u8; FRAME_HEAD], payload: &[u8]) -> bool {
    head[4..] == checksum(id, number, payload)
}

fn checksum(id: Id, number: u64, payload: &[u8]) -> [u8; CHECKSUM] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&id);
    context.update(&number.to_be_bytes());
    context.update(payload);
    let digest = context.finish();
    *digest.as_ref().first_chunk().expect("a SHA-256 digest is longer")
}

/// The payload of the first frame of a base.
pub(super) fn head(origin: &str) -> Vec<u8> {
    let length = (origin.len() as u16).to_be_bytes();
    [&[1][..], &length, origin.as_bytes()].concat()
}

/// What the last frame of a base says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct End {
    pub(super) serial: Serial,
    pub(super) records: u64,
    pub(super) left_out: u64,
}

pub(super) fn end(end: End) -> Vec<u8> {
    [
        &[3][..],
        &end.serial.0.to_be_bytes(),
        &end.records.to_be_bytes(),
        &end.left_out.to_be_bytes(),
    ]
    .concat()
}

/// What begins a frame of records; [`push_record`] follows.
pub(super) const RECORDS: u8 = 2;

pub(super) fn push_record(owner: NameRef<'_>, rtype: RrType, ttl: Ttl, rdata: &[u8], out: &mut Vec<u8>) {
    out.push(owner.len() as u8);
    out.extend_from_slice(owner.as_wire());
    out.extend_from_slice(&rtype.0.to_be_bytes());
    out.extend_from_slice(&ttl.seconds().to_be_bytes());
    out.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
    out.extend_from_slice(rdata);
}

pub(super) fn delta(delta: &Delta) -> Vec<u8> {
    let mut out = vec![4];
    out.extend_from_slice(&delta.from.0.to_be_bytes());
    out.extend_from_slice(&delta.to.0.to_be_bytes());
    out.extend_from_slice(&(delta.removed.len() as u32).to_be_bytes());
    for record in delta.removed.iter().chain(&delta.added) {
        push_record(
            record.owner.as_ref(),
            record.rtype,
            record.ttl,
            &record.rdata,
            &mut out,
        );
    }
    out
}

/// A frame of a base, read.
pub(super) enum BaseFrame<'a> {
    Head(&'a str),
    Records(Entries<'a>),
    End(End),
}

/// Reads a payload of a base. `None`: it is none.
pub(super) fn read_base(payload: &[u8]) -> Option<BaseFrame<'_>> {
    let mut rest = Rest(payload.get(1..)?);
    match payload[0] {
        1 => {
            let length = rest.u16()?.into();
            let origin = std::str::from_utf8(rest.take(length)?).ok()?;
            rest.is_empty().then_some(BaseFrame::Head(origin))
        }
        RECORDS => Some(BaseFrame::Records(Entries(rest))),
        3 => {
            let end = End {
                serial: Serial(rest.u32()?),
                records: rest.u64()?,
                left_out: rest.u64()?,
            };
            rest.is_empty().then_some(BaseFrame::End(end))
        }
        _ => None,
    }
}

/// Reads a payload of a log. `None`: it is none.
pub(super) fn read_delta(payload: &[u8]) -> Option<Delta> {
    let mut rest = Rest(payload.strip_prefix(&[4])?);
    let (from, to, count) = (Serial(rest.u32()?), Serial(rest.u32()?), rest.u32()? as usize);
    let mut records = Vec::new();
    for entry in Entries(rest) {
        let entry = entry?;
        records.push(Record {
            owner: entry.owner.to_owned(),
            rtype: entry.rtype,
            class: Class::IN,
            ttl: entry.ttl,
            rdata: entry.rdata.into(),
        });
    }
    let added = (count <= records.len()).then(|| records.split_off(count))?;
    Some(Delta {
        from,
        to,
        removed: records,
        added,
    })
}

/// The records of a frame, one after the other; `None` for what is none, and nothing behind it.
pub(super) struct Entries<'a>(Rest<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = Option<Entry<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let entry = self.0.entry();
        if entry.is_none() {
            self.0 = Rest(&[]);
        }
        Some(entry)
    }
}

/// Octets that are still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn entry(&mut self) -> Option<Entry<'a>> {
        let [length] = self.array()?;
        let owner = NameRef::from_wire(self.take(length.into())?).ok()?;
        let (rtype, ttl) = (RrType(self.u16()?), Ttl::new(self.u32()?));
        let length = self.u16()?.into();
        let rdata = self.take(length)?;
        validate_rdata(rtype, rdata).ok()?;
        Some(Entry {
            owner,
            rtype,
            ttl,
            rdata,
            at: Place::default(),
        })
    }
}
