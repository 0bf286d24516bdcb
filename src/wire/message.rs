//! Messages (RFC 1035 §4): the question as it came, and the writer of responses.
//!
//! The reader borrows and never allocates. The writer compresses names, counts records, and takes back an
//! RRset that does not fit, so that no response ever holds a part of one (RFC 2181 §9).

use super::{
    Class, NameRef, RrType, Ttl,
    edns::{Edns, OptReply},
    name::{MAX_LABEL, MAX_NAME, NameError},
    types,
};

/// Octets of a message's header.
pub const HEADER: usize = 12;
/// Compression pointers of one name: as many as it may have labels, each of which may stand elsewhere.
const MAX_POINTERS: usize = 127;
/// The largest message there is, on TCP.
pub const MAX_MESSAGE: usize = 65_535;

/// A response code, the extended ones (RFC 6891 §6.1.3) included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rcode(pub u16);

impl Rcode {
    /// No error.
    pub const NOERROR: Self = Self(0);
    /// The query cannot be read.
    pub const FORMERR: Self = Self(1);
    /// The server cannot answer now.
    pub const SERVFAIL: Self = Self(2);
    /// The name does not exist.
    pub const NXDOMAIN: Self = Self(3);
    /// The operation is not built.
    pub const NOTIMP: Self = Self(4);
    /// The server will not.
    pub const REFUSED: Self = Self(5);
    /// A name that should not exist does: here, a DNAME substitution that is too long (RFC 6672 §2.2).
    pub const YXDOMAIN: Self = Self(6);
    /// Not authorised: a TSIG key that is not known here (RFC 8945 §5.2.1).
    pub const NOTAUTH: Self = Self(9);
    /// The EDNS version is not known (RFC 6891 §6.1.3).
    pub const BADVERS: Self = Self(16);
}

impl std::fmt::Display for Rcode {
    /// Its mnemonic; `RCODE11` where it has none.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mnemonic = match self.0 {
            0 => "NOERROR",
            1 => "FORMERR",
            2 => "SERVFAIL",
            3 => "NXDOMAIN",
            4 => "NOTIMP",
            5 => "REFUSED",
            6 => "YXDOMAIN",
            7 => "YXRRSET",
            8 => "NXRRSET",
            9 => "NOTAUTH",
            10 => "NOTZONE",
            16 => "BADVERS",
            23 => "BADCOOKIE",
            other => return write!(f, "RCODE{other}"),
        };
        f.pad(mnemonic)
    }
}

/// What the message asks the server to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opcode(pub u8);

impl Opcode {
    /// A standard query.
    pub const QUERY: Self = Self(0);
    /// A zone has changed (RFC 1996).
    pub const NOTIFY: Self = Self(4);
    /// Dynamic update (RFC 2136).
    pub const UPDATE: Self = Self(5);
}

/// The one question of a query.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The name, letter case as asked.
    pub name: NameRef<'a>,
    /// The type.
    pub rtype: RrType,
    /// The class.
    pub class: Class,
}

/// A packet that must be answered, as far as it could be read.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    header: &'a [u8],
    /// The question, where there is exactly one that can be read.
    pub question: Option<Question<'a>>,
    /// The OPT record, where there is one that can be read.
    pub edns: Option<Edns>,
    /// The code to answer with when the packet cannot be answered in earnest.
    pub fault: Option<Rcode>,
}

impl<'a> Query<'a> {
    /// Reads a packet. `None`: it must not be answered, for it is a response or shorter than a header.
    pub fn read(packet: &'a [u8]) -> Option<Self> {
        let header = packet.get(..HEADER)?;
        if header[2] & 0x80 != 0 {
            return None;
        }
        let mut query = Self {
            header,
            question: None,
            edns: None,
            fault: None,
        };
        query.fault = query.read_body(packet).err();
        Some(query)
    }

    /// The first question of a packet that nobody has read yet, if there is one.
    pub fn question_of(packet: &'a [u8]) -> Option<Question<'a>> {
        Question::split_from(&mut packet.get(HEADER..)?)
    }

    /// What is asked of the server.
    pub fn opcode(&self) -> Opcode {
        Opcode(self.header[2] >> 3 & 0x0f)
    }

    fn count(&self, section: usize) -> u16 {
        u16::from_be_bytes([self.header[4 + 2 * section], self.header[5 + 2 * section]])
    }

    fn read_body(&mut self, packet: &'a [u8]) -> Result<(), Rcode> {
        let mut rest = &packet[HEADER..];
        let mut question = None;
        for _ in 0..self.count(0) {
            question = Some(Question::split_from(&mut rest).ok_or(Rcode::FORMERR)?);
        }
        // Two questions have no one answer (RFC 9619); none has none. An OPT is answered with one all the same, so
        // the rest is read.
        let one = self.count(0) == 1;
        self.question = question.filter(|_| one);
        let ordinary = u32::from(self.count(1)) + u32::from(self.count(2));
        let all = ordinary + u32::from(self.count(3));
        let mut signed = false;
        for index in 0..all {
            let record = Record::split_from(&mut rest).ok_or(Rcode::FORMERR)?;
            if index >= ordinary {
                signed |= self.read_additional(&record)?;
            } else if record.rtype == RrType::OPT {
                // Its place is the additional section (RFC 6891 §6.1.1).
                return Err(Rcode::FORMERR);
            }
        }
        if !rest.is_empty() || !one {
            return Err(Rcode::FORMERR);
        }
        // No TSIG key is known here (RFC 8945 §5.2.1).
        if signed { Err(Rcode::NOTAUTH) } else { Ok(()) }
    }

    fn read_additional(&mut self, record: &Record<'_>) -> Result<bool, Rcode> {
        if record.rtype == RrType::OPT {
            if !record.owner_is_root || self.edns.is_some() {
                return Err(Rcode::FORMERR);
            }
            self.edns = Some(Edns::read(record.class, record.ttl, record.rdata)?);
        }
        Ok(record.rtype == RrType::TSIG)
    }
}

impl<'a> Question<'a> {
    fn split_from(rest: &mut &'a [u8]) -> Option<Self> {
        let (name, after) = NameRef::split_from(rest).ok()?;
        let (fixed, after) = after.split_first_chunk::<4>()?;
        *rest = after;
        Some(Self {
            name,
            rtype: RrType(u16::from_be_bytes([fixed[0], fixed[1]])),
            class: Class(u16::from_be_bytes([fixed[2], fixed[3]])),
        })
    }
}

/// A record of a query, of which only the OPT matters here.
struct Record<'a> {
    owner_is_root: bool,
    rtype: RrType,
    class: u16,
    ttl: u32,
    rdata: &'a [u8],
}

impl<'a> Record<'a> {
    fn split_from(rest: &mut &'a [u8]) -> Option<Self> {
        let owner_is_root = rest.first() == Some(&0);
        let after_owner = skip_name(rest)?;
        let (fixed, after) = after_owner.split_at_checked(10)?;
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let (rdata, after) = after.split_at_checked(length)?;
        *rest = after;
        Some(Self {
            owner_is_root,
            rtype: RrType(u16::from_be_bytes([fixed[0], fixed[1]])),
            class: u16::from_be_bytes([fixed[2], fixed[3]]),
            ttl: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            rdata,
        })
    }
}

/// Steps over a name that may end in a compression pointer, without following it.
fn skip_name(octets: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    while at < MAX_NAME {
        match *octets.get(at)? {
            0 => return octets.get(at + 1..),
            length if length & 0xc0 == 0xc0 => return octets.get(at + 2..),
            length if usize::from(length) <= MAX_LABEL => at += 1 + usize::from(length),
            _ => return None,
        }
    }
    None
}

/// Reads a name that may be compressed, at `start` of a message (RFC 1035 §4.1.4); gives it and where it ends.
///
/// # Errors
/// When it leaves the message, is too long, has more pointers than a name can have labels, or one that does not point
/// backwards.
pub fn expand_name(message: &[u8], start: usize) -> Result<(super::Name, usize), NameError> {
    let mut buffer = Vec::with_capacity(64);
    let (mut at, mut end, mut floor) = (start, None, start);
    let mut pointers = 0;
    loop {
        let length = *message.get(at).ok_or(NameError::Truncated)?;
        if length & 0xc0 == 0xc0 {
            let low = *message.get(at + 1).ok_or(NameError::Truncated)?;
            let target = usize::from(u16::from_be_bytes([length & 0x3f, low]));
            end.get_or_insert(at + 2);
            // Each pointer goes further back than all before it, so this ends; but a message has room for thousands
            // that lead to one another, and for thousands of names that begin there.
            pointers += 1;
            if target >= floor || pointers > MAX_POINTERS {
                return Err(NameError::BadPointer);
            }
            (at, floor) = (target, target);
            continue;
        }
        let length = usize::from(length);
        if length > MAX_LABEL {
            return Err(NameError::BadPointer);
        }
        buffer.extend_from_slice(message.get(at..at + 1 + length).ok_or(NameError::Truncated)?);
        if buffer.len() > MAX_NAME {
            return Err(NameError::LongName);
        }
        at += 1 + length;
        if length == 0 {
            return Ok((super::Name::from_wire(&buffer)?, end.unwrap_or(at)));
        }
    }
}

/// A section that records are added to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Section {
    /// What was asked for.
    Answer = 1,
    /// Who is responsible, and proofs.
    Authority = 2,
    /// What helps.
    Additional = 3,
}

/// The owner of records that are appended.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    /// The question's own name: a pointer to it.
    Question,
    /// A name, compressed against what is in the message.
    Name(NameRef<'a>),
}

/// The RRset did not fit and was taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

/// Where the owner of an answer that is at the question's name points.
const QUESTION_POINTER: u16 = 0xc000 | HEADER as u16;
/// How many positions of names are remembered for compression; a name beyond is written out.
const REMEMBERED: usize = 48;

/// Writes one response.
#[derive(Debug)]
pub struct Response<'o> {
    out: &'o mut Vec<u8>,
    limit: usize,
    counts: [u16; 4],
    /// Offsets of names already in the message, each the start of a label.
    known: [u16; REMEMBERED],
    known_count: usize,
    question_end: usize,
}

impl<'o> Response<'o> {
    /// Starts a response to `query` in `out`, which it clears: header, and the question as it was asked.
    /// `limit` is the most octets it may have, those of the OPT that will follow included; `opt` are those.
    pub fn start(query: &Query<'_>, out: &'o mut Vec<u8>, limit: usize, opt: usize) -> Self {
        out.clear();
        out.extend_from_slice(&query.header[..2]);
        // QR, the opcode and RD as asked; AA, TC, RA, AD and CD stay clear.
        out.extend_from_slice(&[0x80 | query.header[2] & 0x79, 0]);
        out.extend_from_slice(&[0; 8]);
        let mut response = Self {
            out,
            limit: limit.saturating_sub(opt),
            counts: [0; 4],
            known: [0; REMEMBERED],
            known_count: 0,
            question_end: HEADER,
        };
        if let Some(question) = query.question {
            response.out.extend_from_slice(question.name.as_wire());
            response.out.extend_from_slice(&question.rtype.0.to_be_bytes());
            response.out.extend_from_slice(&question.class.0.to_be_bytes());
            response.counts[0] = 1;
            response.question_end = response.out.len();
            response.remember(HEADER, question.name.as_wire());
        }
        response
    }

    /// Sets AA.
    pub fn set_authoritative(&mut self) {
        self.out[2] |= 0x04;
    }

    /// Clears AA: at the first owner the server is not authoritative (RFC 1035 §4.1.1).
    pub fn clear_authoritative(&mut self) {
        self.out[2] &= !0x04;
    }

    /// Whether the question is at `owner`, so that what was rendered for that name fits.
    pub fn is_question(&self, owner: NameRef<'_>) -> bool {
        self.question_end == HEADER + owner.len() + 4
            && self.out[HEADER..HEADER + owner.len()].eq_ignore_ascii_case(owner.as_wire())
    }

    /// Records so far in a section.
    pub fn count(&self, section: Section) -> u16 {
        self.counts[section as usize]
    }

    /// Octets so far.
    #[expect(clippy::len_without_is_empty, reason = "there is always a header")]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Appends records that were rendered before, as they are: their owners point at the question.
    ///
    /// # Errors
    /// When they do not fit; then none is there.
    pub fn append_rendered(&mut self, section: Section, records: &[u8], count: u16) -> Result<(), Full> {
        self.expect_order(section);
        if self.out.len() + records.len() > self.limit {
            return Err(Full);
        }
        self.out.extend_from_slice(records);
        self.counts[section as usize] += count;
        Ok(())
    }

    /// Appends records that were rendered before for every question at or below `apex`: at each of `patches` goes
    /// a pointer to the apex within the question's name, which must be at or below it.
    ///
    /// # Errors
    /// When they do not fit; then none is there.
    pub fn append_patched(
        &mut self,
        section: Section,
        records: &[u8],
        count: u16,
        patches: impl Iterator<Item = usize>,
        apex: NameRef<'_>,
    ) -> Result<(), Full> {
        let start = self.out.len();
        self.append_rendered(section, records, count)?;
        // The question's type and class are the four octets behind its name.
        let pointer = (0xc000 | (self.question_end - 4 - apex.len()) as u16).to_be_bytes();
        for at in patches {
            self.out[start + at..start + at + 2].copy_from_slice(&pointer);
        }
        Ok(())
    }

    /// Appends one RRset: an owner, a type, a TTL and the rdata of each record.
    ///
    /// # Errors
    /// When it does not fit; then no record of it is there.
    pub fn append<'r>(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        rtype: RrType,
        ttl: Ttl,
        rdatas: impl IntoIterator<Item = &'r [u8]>,
    ) -> Result<(), Full> {
        let mut rdatas = rdatas.into_iter();
        self.append_each(section, owner, rtype, ttl, |response| {
            let rdata = rdatas.next()?;
            let mut copied = 0;
            for name in types::names_in_rdata(rtype, rdata).filter(|name| name.compressible) {
                response.out.extend_from_slice(&rdata[copied..name.range.start]);
                response.append_name(&rdata[name.range.clone()]);
                copied = name.range.end;
            }
            response.out.extend_from_slice(&rdata[copied..]);
            Some(())
        })
    }

    /// Appends `count` records whose rdata `write` writes, given its number; no name in it is compressed.
    ///
    /// # Errors
    /// When they do not fit; then none is there.
    pub fn append_written(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        (rtype, ttl): (RrType, Ttl),
        count: usize,
        mut write: impl FnMut(usize, &mut Vec<u8>),
    ) -> Result<(), Full> {
        let mut numbers = 0..count;
        self.append_each(section, owner, rtype, ttl, |response| {
            write(numbers.next()?, response.out);
            Some(())
        })
    }

    /// Appends records until `rdata` writes no more.
    fn append_each(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        rtype: RrType,
        ttl: Ttl,
        mut rdata: impl FnMut(&mut Self) -> Option<()>,
    ) -> Result<(), Full> {
        self.expect_order(section);
        let (start, known) = (self.out.len(), self.known_count);
        let mut count = 0;
        loop {
            let (record, known_before) = (self.out.len(), self.known_count);
            match owner {
                Owner::Question => self.out.extend_from_slice(&QUESTION_POINTER.to_be_bytes()),
                Owner::Name(name) => self.append_name(name.as_wire()),
            }
            let mut fixed = [0; 10];
            fixed[..2].copy_from_slice(&rtype.0.to_be_bytes());
            fixed[2..4].copy_from_slice(&Class::IN.0.to_be_bytes());
            fixed[4..8].copy_from_slice(&ttl.seconds().to_be_bytes());
            self.out.extend_from_slice(&fixed);
            let rdata_at = self.out.len();
            if rdata(self).is_none() {
                self.out.truncate(record);
                self.known_count = known_before;
                break;
            }
            let length = (self.out.len() - rdata_at) as u16;
            self.out[rdata_at - 2..rdata_at].copy_from_slice(&length.to_be_bytes());
            count += 1;
            if self.out.len() > self.limit {
                self.out.truncate(start);
                self.known_count = known;
                return Err(Full);
            }
        }
        self.counts[section as usize] += count;
        Ok(())
    }

    /// Sections are written one after the other: a record behind the next section's first would be counted here
    /// and stand there.
    fn expect_order(&self, section: Section) {
        debug_assert!(
            self.counts[section as usize + 1..]
                .iter()
                .all(|&count| count == 0),
            "a record for {section:?} behind a later section"
        );
    }

    /// Writes a name, its longest known suffix as a pointer.
    fn append_name(&mut self, name: &[u8]) {
        let start = self.out.len();
        let mut at = 0;
        let mut pointer = None;
        while name[at] != 0 {
            pointer = self.find(&name[at..]);
            if pointer.is_some() {
                break;
            }
            at += 1 + usize::from(name[at]);
        }
        self.out.extend_from_slice(&name[..at]);
        match pointer {
            Some(offset) => self.out.extend_from_slice(&(0xc000 | offset).to_be_bytes()),
            None => self.out.push(0),
        }
        let mut label = 0;
        while label < at {
            self.remember_offset(start + label);
            label += 1 + usize::from(name[label]);
        }
    }

    fn remember(&mut self, start: usize, name: &[u8]) {
        let mut at = 0;
        while name[at] != 0 {
            self.remember_offset(start + at);
            at += 1 + usize::from(name[at]);
        }
    }

    fn remember_offset(&mut self, offset: usize) {
        if self.known_count < REMEMBERED && offset < 0x4000 {
            self.known[self.known_count] = offset as u16;
            self.known_count += 1;
        }
    }

    fn find(&self, name: &[u8]) -> Option<u16> {
        self.known[..self.known_count]
            .iter()
            .copied()
            .find(|&offset| self.is_at(name, usize::from(offset)))
    }

    /// Whether the name in the message at `offset` is `name`, letter case apart.
    fn is_at(&self, name: &[u8], mut offset: usize) -> bool {
        let mut at = 0;
        loop {
            let length = self.out[offset];
            if length & 0xc0 == 0xc0 {
                offset = usize::from(u16::from_be_bytes([length & 0x3f, self.out[offset + 1]]));
                continue;
            }
            let whole = 1 + usize::from(length);
            if name[at] != length
                || !self.out[offset..offset + whole].eq_ignore_ascii_case(&name[at..at + whole])
            {
                return false;
            }
            if length == 0 {
                return true;
            }
            at += whole;
            offset += whole;
        }
    }

    /// Whether a record of this owner and type is there, in any section: a proof is told once.
    pub fn holds(&self, owner: NameRef<'_>, rtype: RrType) -> bool {
        let mut at = self.question_end;
        while at < self.out.len() {
            let start = at;
            // A name ends with a zero octet or with a pointer.
            while !matches!(self.out[at], 0 | 0xc0..) {
                at += 1 + usize::from(self.out[at]);
            }
            at += if self.out[at] == 0 { 1 } else { 2 };
            if self.out[at..at + 2] == rtype.0.to_be_bytes() && self.is_at(owner.as_wire(), start) {
                return true;
            }
            at += 10 + usize::from(u16::from_be_bytes([self.out[at + 8], self.out[at + 9]]));
        }
        false
    }

    /// Takes back everything behind the question.
    pub fn empty(&mut self) {
        self.out.truncate(self.question_end);
        self.counts = [self.counts[0], 0, 0, 0];
        self.clear_authoritative();
    }

    /// Takes back everything behind the question, sets TC: what must be there does not fit.
    pub fn truncate(&mut self) {
        self.out.truncate(self.question_end);
        self.counts = [self.counts[0], 0, 0, 0];
        self.out[2] |= 0x02;
    }

    /// Ends the message: the code, the OPT record when there is to be one, and the counts.
    pub fn finish(self, rcode: Rcode, opt: Option<&OptReply<'_>>) {
        let Self { out, mut counts, .. } = self;
        if let Some(opt) = opt {
            opt.write(rcode, out);
            counts[3] += 1;
        }
        out[3] = out[3] & 0xf0 | (rcode.0 & 0x0f) as u8;
        for (section, count) in counts.iter().enumerate() {
            out[4 + 2 * section..6 + 2 * section].copy_from_slice(&count.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Name;
    use proptest::prelude::*;

    fn question(name: &str, rtype: u16) -> Vec<u8> {
        let mut packet = vec![0x12, 0x34, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        packet.extend_from_slice(name.parse::<Name>().unwrap().as_wire());
        packet.extend_from_slice(&rtype.to_be_bytes());
        packet.extend_from_slice(&[0, 1]);
        packet
    }

    fn with_additional(mut packet: Vec<u8>, records: &[&[u8]]) -> Vec<u8> {
        packet[11] = records.len() as u8;
        records.iter().for_each(|record| packet.extend_from_slice(record));
        packet
    }

    const OPT_DO: &[u8] = &[0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 0];

    #[test]
    fn packets_that_must_not_be_answered() {
        assert!(Query::read(&[0; 11]).is_none());
        let mut response = question("example.", 1);
        response[2] |= 0x80;
        assert!(Query::read(&response).is_none());
    }

    #[test]
    fn faults_and_what_is_read_all_the_same() {
        let fault = |packet: &[u8]| Query::read(packet).unwrap().fault;
        assert_eq!(fault(&question("example.", 1)), None);
        let mut two = question("example.", 1);
        two[5] = 2;
        assert_eq!(fault(&two), Some(Rcode::FORMERR), "two questions (RFC 9619)");
        let mut trailing = question("example.", 1);
        trailing.push(0);
        assert_eq!(
            fault(&trailing),
            Some(Rcode::FORMERR),
            "octets behind the message"
        );
        let opt = with_additional(question("example.", 1), &[OPT_DO]);
        let query = Query::read(&opt).unwrap();
        assert_eq!(query.fault, None);
        let edns = query.edns.unwrap();
        assert!(edns.dnssec_ok && !edns.compact_ok && edns.udp_payload == 4_096 && edns.version == 0);
        assert_eq!(
            fault(&with_additional(question("example.", 1), &[OPT_DO, OPT_DO])),
            Some(Rcode::FORMERR)
        );
        let named = [1, b'a', 0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(
            fault(&with_additional(question("example.", 1), &[&named])),
            Some(Rcode::FORMERR)
        );
        let cut_option = [0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 3, 0, 3, 0];
        assert_eq!(
            fault(&with_additional(question("example.", 1), &[&cut_option])),
            Some(Rcode::FORMERR)
        );
        let small = [0, 0, 41, 0, 1, 0, 0, 0, 0, 0, 4, 0, 3, 0, 0];
        let packet = with_additional(question("example.", 1), &[&small]);
        let edns = Query::read(&packet).unwrap().edns.unwrap();
        assert!(edns.udp_payload == 512 && edns.wants_nsid);
        let mut none = with_additional(question("example.", 1)[..12].to_vec(), &[OPT_DO]);
        none[5] = 0;
        let query = Query::read(&none).unwrap();
        assert_eq!(query.fault, Some(Rcode::FORMERR));
        assert!(
            query.edns.is_some(),
            "an OPT is answered with one, whatever else is wrong"
        );
        let mut misplaced = with_additional(question("example.", 1), &[OPT_DO]);
        misplaced[11] = 0;
        misplaced[7] = 1;
        assert_eq!(
            fault(&misplaced),
            Some(Rcode::FORMERR),
            "an OPT in the answer section"
        );
        let tsig = [0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0];
        assert_eq!(
            fault(&with_additional(question("example.", 1), &[&tsig])),
            Some(Rcode::NOTAUTH)
        );
    }

    #[test]
    fn names_are_compressed_and_read_back_by_hickory() {
        let packet = question("WWW.example.", 15);
        let query = Query::read(&packet).unwrap();
        let mut out = Vec::new();
        let mut response = Response::start(&query, &mut out, 512, 0);
        response.set_authoritative();
        let owner: Name = "www.example.".parse().unwrap();
        let mail: Name = "mail.www.example.".parse().unwrap();
        let mx: Vec<u8> = [&[0, 10], mail.as_wire()].concat();
        response
            .append(
                Section::Answer,
                Owner::Name(owner.as_ref()),
                RrType::MX,
                Ttl::new(60),
                [&mx[..]],
            )
            .unwrap();
        response
            .append(
                Section::Additional,
                Owner::Name(mail.as_ref()),
                RrType::A,
                Ttl::new(60),
                [&[192, 0, 2, 1][..]],
            )
            .unwrap();
        response.finish(Rcode::NOERROR, None);
        // The question's letter case is kept; the owner and the exchange point at it.
        assert_eq!(&out[13..16], b"WWW");
        assert_eq!(out.len(), packet.len() + (2 + 10 + 2 + 5 + 2) + (2 + 10 + 4));
        let message = hickory_proto::op::Message::from_vec(&out).unwrap();
        assert_eq!(
            message.answers[0].to_string().to_lowercase(),
            "www.example. 60 in mx 10 mail.www.example."
        );
        assert_eq!(
            message.additionals[0].to_string().to_lowercase(),
            "mail.www.example. 60 in a 192.0.2.1"
        );
        assert!(message.metadata.authoritative && message.metadata.recursion_desired);
    }

    #[test]
    fn an_rrset_is_there_whole_or_not_at_all() {
        let packet = question("a.example.", 1);
        let query = Query::read(&packet).unwrap();
        let owner: Name = "a.example.".parse().unwrap();
        let addresses: Vec<[u8; 4]> = (0..40).map(|n| [192, 0, 2, n]).collect();
        let mut out = Vec::new();
        let mut response = Response::start(&query, &mut out, 512, 11);
        let rdatas = addresses.iter().map(|address| &address[..]);
        assert_eq!(
            response.append(
                Section::Answer,
                Owner::Name(owner.as_ref()),
                RrType::A,
                Ttl::new(1),
                rdatas
            ),
            Err(Full)
        );
        assert_eq!(response.count(Section::Answer), 0);
        response.truncate();
        response.finish(Rcode::NOERROR, None);
        assert_eq!(out.len(), packet.len());
        assert_eq!(out[2] & 0x02, 0x02);
    }

    #[test]
    fn compressed_names_are_expanded_and_loops_refused() {
        let message = [1, b'a', 0, 1, b'b', 0xc0, 0, 0xc0, 3, 0xc0, 9];
        assert_eq!(expand_name(&message, 3).unwrap(), ("b.a.".parse().unwrap(), 7));
        assert_eq!(expand_name(&message, 7).unwrap(), ("b.a.".parse().unwrap(), 9));
        assert_eq!(expand_name(&message, 9), Err(NameError::BadPointer));
        assert_eq!(expand_name(&message, 11), Err(NameError::Truncated));
        // The root, and pointers that each lead to the one in front.
        let mut chain = vec![0, 0xc0, 0];
        for _ in 1..MAX_POINTERS {
            let last = chain.len() - 2;
            chain.extend_from_slice(&[0xc0 | (last >> 8) as u8, last as u8]);
        }
        let last = chain.len() - 2;
        assert_eq!(expand_name(&chain, last), Ok((Name::root(), last + 2)));
        chain.extend_from_slice(&[0xc0 | (last >> 8) as u8, last as u8]);
        assert_eq!(expand_name(&chain, last + 2), Err(NameError::BadPointer));
    }

    proptest! {
        #[test]
        fn any_packet_is_read_without_panic(packet in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(query) = Query::read(&packet) {
                let mut out = Vec::new();
                Response::start(&query, &mut out, 512, 0).finish(Rcode::SERVFAIL, None);
                prop_assert!(out.len() >= HEADER);
            }
            let _ = expand_name(&packet, HEADER);
        }
    }
}
