//! DNS messages as a test wants them: built by hand, so that they may be wrong, and read without trust in the
//! code under test. Names in rdata are expanded, so that two servers' rdata can be compared.

use std::{collections::BTreeSet, fmt};

use countersign::wire::RrType;

pub const NOERROR: u16 = 0;
pub const FORMERR: u16 = 1;
pub const SERVFAIL: u16 = 2;
pub const NXDOMAIN: u16 = 3;
pub const NOTIMP: u16 = 4;
pub const REFUSED: u16 = 5;
pub const YXDOMAIN: u16 = 6;
pub const BADVERS: u16 = 16;

pub const QR: u16 = 0x8000;
pub const AA: u16 = 0x0400;
pub const TC: u16 = 0x0200;
pub const RD: u16 = 0x0100;
pub const RA: u16 = 0x0080;
pub const Z: u16 = 0x0040;
pub const AD: u16 = 0x0020;
pub const CD: u16 = 0x0010;
/// Flags of the OPT record: DNSSEC OK (RFC 3225) and compact answers OK (RFC 9824 section 5.1).
pub const DO: u16 = 0x8000;
pub const CO: u16 = 0x4000;

/// An absolute name in wire form, its letter case kept. Two names that differ in case only are not equal:
/// compare [`Name::lower`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(pub Vec<u8>);

impl Name {
    /// Reads presentation form; a relative name is taken as absolute.
    pub fn parse(text: &str) -> Self {
        let mut wire = Vec::new();
        let mut label = Vec::new();
        let mut octets = text.bytes();
        let mut end_label = |label: &mut Vec<u8>| {
            if !label.is_empty() {
                assert!(label.len() < 64, "label too long in {text}");
                wire.push(label.len() as u8);
                wire.append(label);
            }
        };
        while let Some(octet) = octets.next() {
            match octet {
                b'.' => end_label(&mut label),
                b'\\' => {
                    let first = octets.next().expect("something follows a backslash");
                    label.push(if first.is_ascii_digit() {
                        let digits = [first, octets.next().unwrap(), octets.next().unwrap()];
                        std::str::from_utf8(&digits).unwrap().parse().unwrap()
                    } else {
                        first
                    });
                }
                other => label.push(other),
            }
        }
        end_label(&mut label);
        wire.push(0);
        Self(wire)
    }

    pub fn from_labels(labels: &[&[u8]]) -> Option<Self> {
        let mut wire = Vec::new();
        for label in labels {
            if label.is_empty() || label.len() > 63 {
                return None;
            }
            wire.push(label.len() as u8);
            wire.extend_from_slice(label);
        }
        wire.push(0);
        (wire.len() <= 255).then_some(Self(wire))
    }

    pub fn labels(&self) -> Vec<&[u8]> {
        let mut rest = &self.0[..];
        let mut labels = Vec::new();
        while rest[0] != 0 {
            let (label, after) = rest[1..].split_at(usize::from(rest[0]));
            labels.push(label);
            rest = after;
        }
        labels
    }

    pub fn lower(&self) -> Self {
        // A length octet is below 64, so it is not a letter.
        Self(self.0.to_ascii_lowercase())
    }

    /// The name without its first label; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        (self.0[0] != 0).then(|| Self(self.0[usize::from(self.0[0]) + 1..].to_vec()))
    }

    pub fn prepend(&self, label: &[u8]) -> Option<Self> {
        let mut labels = vec![label];
        labels.extend(self.labels());
        Self::from_labels(&labels)
    }

    pub fn is_at_or_below(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.lower(), other.lower());
        let (mine, theirs) = (mine.labels(), theirs.labels());
        mine.ends_with(&theirs)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == [0] {
            return f.write_str(".");
        }
        for label in self.labels() {
            for octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                        write!(f, "\\{}", char::from(*octet))?;
                    }
                    0x21..=0x7e => write!(f, "{}", char::from(*octet))?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A question, with everything around it that a client may set.
#[derive(Clone, Debug)]
pub struct Query {
    pub name: Name,
    pub rtype: RrType,
    pub class: u16,
    pub flags: u16,
    pub opt: Option<Opt>,
}

/// The OPT record (RFC 6891).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opt {
    pub size: u16,
    pub version: u8,
    pub flags: u16,
    pub options: Vec<(u16, Vec<u8>)>,
}

impl Query {
    /// A question without EDNS: `plain("www.example.", "A")`.
    pub fn plain(name: &str, rtype: &str) -> Self {
        Self::new(Name::parse(name), rtype_of(rtype))
    }

    /// The same with EDNS and DO.
    pub fn signed(name: &str, rtype: &str) -> Self {
        Self::plain(name, rtype).with_do()
    }

    pub fn new(name: Name, rtype: RrType) -> Self {
        Self {
            name,
            rtype,
            class: 1,
            flags: 0,
            opt: None,
        }
    }

    #[must_use]
    pub fn with_do(self) -> Self {
        self.with_opt(1232, DO)
    }

    #[must_use]
    pub fn with_opt(mut self, size: u16, flags: u16) -> Self {
        self.opt = Some(Opt {
            size,
            version: 0,
            flags,
            options: Vec::new(),
        });
        self
    }

    #[must_use]
    pub fn with_flags(mut self, flags: u16) -> Self {
        self.flags |= flags;
        self
    }

    pub fn to_bytes(&self, id: u16) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        for field in [id, self.flags, 1, 0, 0, u16::from(self.opt.is_some())] {
            bytes.extend_from_slice(&field.to_be_bytes());
        }
        bytes.extend_from_slice(&self.name.0);
        bytes.extend_from_slice(&self.rtype.0.to_be_bytes());
        bytes.extend_from_slice(&self.class.to_be_bytes());
        if let Some(opt) = &self.opt {
            opt.append_to(&mut bytes);
        }
        bytes
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.rtype)
    }
}

impl Opt {
    pub fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&[0, 0, 41]);
        bytes.extend_from_slice(&self.size.to_be_bytes());
        bytes.extend_from_slice(&[0, self.version]);
        bytes.extend_from_slice(&self.flags.to_be_bytes());
        let length: usize = self.options.iter().map(|(_, data)| 4 + data.len()).sum();
        bytes.extend_from_slice(&(length as u16).to_be_bytes());
        for (code, data) in &self.options {
            bytes.extend_from_slice(&code.to_be_bytes());
            bytes.extend_from_slice(&(data.len() as u16).to_be_bytes());
            bytes.extend_from_slice(data);
        }
    }
}

/// `A`, `MX`, `TYPE65280`.
pub fn rtype_of(text: &str) -> RrType {
    RrType::from_text(text).unwrap_or_else(|| panic!("no type is called {text}"))
}

/// One record; names in its rdata are expanded, their case is kept.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record {
    pub owner: Name,
    pub rtype: RrType,
    pub class: u16,
    pub ttl: u32,
    pub rdata: Vec<u8>,
    /// Where the rdata starts in the message.
    pub at: usize,
}

/// How rdata is laid out, as far as names go.
enum Field {
    Octets(usize),
    CharacterString,
    Name,
}

/// The types in whose rdata a server may compress names (RFC 3597 section 4), and those with names besides.
fn layout(rtype: RrType) -> &'static [Field] {
    use Field::{CharacterString, Name, Octets};
    match rtype.0 {
        2 | 5 | 12 | 39 => &[Name],
        6 | 17 => &[Name, Name],
        15 | 18 | 36 | 64 | 65 => &[Octets(2), Name],
        33 => &[Octets(6), Name],
        35 => &[Octets(4), CharacterString, CharacterString, CharacterString, Name],
        46 => &[Octets(18), Name],
        47 => &[Name],
        _ => &[],
    }
}

impl Record {
    /// The names in the rdata, in order.
    pub fn names(&self) -> Vec<Name> {
        let mut names = Vec::new();
        let mut at = 0;
        for field in layout(self.rtype) {
            match field {
                Field::Octets(count) => at += count,
                Field::CharacterString => at += 1 + usize::from(self.rdata[at]),
                Field::Name => {
                    let (name, after) = read_name(&self.rdata, at).expect("rdata was read before");
                    names.push(name);
                    at = after;
                }
            }
        }
        names
    }

    /// Owner and names in rdata in lower case: what does not depend on who wrote it.
    pub fn folded(&self) -> Self {
        let mut rdata = Vec::with_capacity(self.rdata.len());
        let mut at = 0;
        for field in layout(self.rtype) {
            let end = match field {
                Field::Octets(count) => at + count,
                Field::CharacterString => at + 1 + usize::from(self.rdata[at]),
                Field::Name => {
                    let (name, after) = read_name(&self.rdata, at).expect("rdata was read before");
                    rdata.extend_from_slice(&name.lower().0);
                    at = after;
                    continue;
                }
            };
            rdata.extend_from_slice(&self.rdata[at..end]);
            at = end;
        }
        rdata.extend_from_slice(&self.rdata[at..]);
        Self {
            owner: self.owner.lower(),
            rdata,
            at: 0,
            ..self.clone()
        }
    }

    /// The types in the bitmap of an NSEC or NSEC3 record (RFC 4034 section 4.1.2).
    pub fn bitmap(&self) -> BTreeSet<u16> {
        let mut rest = match self.rtype {
            RrType::NSEC => &self.rdata[self.names()[0].0.len()..],
            RrType::NSEC3 => {
                let salt = usize::from(self.rdata[4]);
                let hash = usize::from(self.rdata[5 + salt]);
                &self.rdata[6 + salt + hash..]
            }
            other => panic!("{other} has no bitmap"),
        };
        let mut types = BTreeSet::new();
        while let [window, length, after @ ..] = rest {
            let (bits, after) = after.split_at(usize::from(*length));
            for (index, octet) in bits.iter().enumerate() {
                for bit in 0..8 {
                    if octet & (0x80 >> bit) != 0 {
                        types.insert(u16::from(*window) << 8 | (index as u16 * 8 + bit));
                    }
                }
            }
            rest = after;
        }
        types
    }

    /// The type that an RRSIG covers.
    pub fn covered(&self) -> RrType {
        assert_eq!(self.rtype, RrType::RRSIG);
        RrType(u16::from_be_bytes([self.rdata[0], self.rdata[1]]))
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.owner, self.ttl, self.rtype)?;
        if matches!(self.rtype, RrType::NSEC | RrType::NSEC3) {
            if self.rtype == RrType::NSEC {
                write!(f, " {}", self.names()[0])?;
            }
            return self
                .bitmap()
                .iter()
                .try_for_each(|bit| write!(f, " {}", RrType(*bit)));
        }
        for name in self.names() {
            write!(f, " {name}")?;
        }
        f.write_str(" ")?;
        self.rdata
            .iter()
            .take(24)
            .try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A whole message. The OPT record stands apart.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: u16,
    pub flags: u16,
    /// The whole code, its upper bits from OPT.
    pub rcode: u16,
    pub questions: Vec<(Name, RrType, u16)>,
    pub answer: Vec<Record>,
    pub authority: Vec<Record>,
    pub additional: Vec<Record>,
    pub opt: Option<Opt>,
    pub bytes: Vec<u8>,
}

impl Message {
    /// Reads a message to its last octet; says what is wrong with it otherwise.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() < 12 {
            return Err(format!("{} octets are no message", bytes.len()));
        }
        let field = |index: usize| u16::from_be_bytes([bytes[index], bytes[index + 1]]);
        let mut at = 12;
        let mut questions = Vec::new();
        for _ in 0..field(4) {
            let (name, after) = read_name(bytes, at)?;
            let tail = bytes.get(after..after + 4).ok_or("question cut short")?;
            let rtype = RrType(u16::from_be_bytes([tail[0], tail[1]]));
            questions.push((name, rtype, u16::from_be_bytes([tail[2], tail[3]])));
            at = after + 4;
        }
        let mut sections: [Vec<Record>; 3] = Default::default();
        let mut opt = None;
        for (section, count) in sections.iter_mut().zip([field(6), field(8), field(10)]) {
            for _ in 0..count {
                let (record, after) = read_record(bytes, at)?;
                at = after;
                if record.rtype != RrType::OPT {
                    section.push(record);
                } else if opt.replace(read_opt(&record)?).is_some() {
                    return Err("two OPT records".into());
                }
            }
        }
        if at != bytes.len() {
            return Err(format!("{} octets after the last record", bytes.len() - at));
        }
        let [answer, authority, mut additional] = sections;
        let mut rcode = field(2) & 0xf;
        if let Some((upper, _)) = &opt {
            rcode |= u16::from(*upper) << 4;
        }
        additional.retain(|record| record.rtype != RrType::OPT);
        let opt = opt.map(|(_, opt)| opt);
        Ok(Self {
            id: field(0),
            flags: field(2) & 0xfff0,
            rcode,
            questions,
            answer,
            authority,
            additional,
            opt,
            bytes: bytes.to_vec(),
        })
    }

    /// Writes it again, without compression.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let additional = self.additional.len() + usize::from(self.opt.is_some());
        let counts = [
            self.questions.len(),
            self.answer.len(),
            self.authority.len(),
            additional,
        ];
        for field in [self.id, self.flags | self.rcode & 0xf] {
            bytes.extend_from_slice(&field.to_be_bytes());
        }
        for count in counts {
            bytes.extend_from_slice(&(count as u16).to_be_bytes());
        }
        for (name, rtype, class) in &self.questions {
            bytes.extend_from_slice(&name.0);
            bytes.extend_from_slice(&rtype.0.to_be_bytes());
            bytes.extend_from_slice(&class.to_be_bytes());
        }
        for record in self.all() {
            bytes.extend_from_slice(&record.owner.0);
            bytes.extend_from_slice(&record.rtype.0.to_be_bytes());
            bytes.extend_from_slice(&record.class.to_be_bytes());
            bytes.extend_from_slice(&record.ttl.to_be_bytes());
            bytes.extend_from_slice(&(record.rdata.len() as u16).to_be_bytes());
            bytes.extend_from_slice(&record.rdata);
        }
        if let Some(opt) = &self.opt {
            opt.append_to(&mut bytes);
        }
        bytes
    }

    pub fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    pub fn opcode(&self) -> u16 {
        self.flags >> 11 & 0xf
    }

    pub fn all(&self) -> impl Iterator<Item = &Record> {
        self.answer.iter().chain(&self.authority).chain(&self.additional)
    }
}

impl fmt::Display for Message {
    /// Close to what dig prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ";; rcode {} id {} flags", self.rcode, self.id)?;
        for (flag, name) in [
            (QR, "qr"),
            (AA, "aa"),
            (TC, "tc"),
            (RD, "rd"),
            (RA, "ra"),
            (AD, "ad"),
            (CD, "cd"),
        ] {
            if self.has(flag) {
                write!(f, " {name}")?;
            }
        }
        writeln!(f, ", {} octets", self.bytes.len())?;
        for (name, rtype, class) in &self.questions {
            writeln!(f, ";{name} CLASS{class} {rtype}")?;
        }
        for (title, section) in [
            ("answer", &self.answer),
            ("authority", &self.authority),
            ("additional", &self.additional),
        ] {
            if !section.is_empty() {
                writeln!(f, ";; {title}")?;
            }
            section.iter().try_for_each(|record| writeln!(f, "{record}"))?;
        }
        Ok(())
    }
}

fn read_opt(record: &Record) -> Result<(u8, Opt), String> {
    if record.owner.0 != [0] {
        return Err("OPT not at the root".into());
    }
    let mut options = Vec::new();
    let mut rest = &record.rdata[..];
    while let [a, b, c, d, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        let data = after.get(..length).ok_or("option cut short")?;
        options.push((u16::from_be_bytes([*a, *b]), data.to_vec()));
        rest = &after[length..];
    }
    let [extended, version, high, low] = record.ttl.to_be_bytes();
    let flags = u16::from_be_bytes([high, low]);
    Ok((
        extended,
        Opt {
            size: record.class,
            version,
            flags,
            options,
        },
    ))
}

/// Reads a name at `at`, compressed or not; returns it and the offset after it.
pub fn read_name(bytes: &[u8], mut at: usize) -> Result<(Name, usize), String> {
    let mut wire = Vec::new();
    let mut after = None;
    loop {
        let length = *bytes.get(at).ok_or("name cut short")?;
        match length {
            0 => {
                wire.push(0);
                return Ok((Name(wire), after.unwrap_or(at + 1)));
            }
            1..=63 => {
                let end = at + 1 + usize::from(length);
                wire.extend_from_slice(bytes.get(at..end).ok_or("label cut short")?);
                if wire.len() > 254 {
                    return Err("name too long".into());
                }
                at = end;
            }
            192..=255 => {
                let low = *bytes.get(at + 1).ok_or("pointer cut short")?;
                let target = usize::from(length & 0x3f) << 8 | usize::from(low);
                if target >= at {
                    return Err(format!("pointer at {at} goes forward to {target}"));
                }
                after.get_or_insert(at + 2);
                at = target;
            }
            _ => return Err(format!("label type {length:#x}")),
        }
    }
}

fn read_record(bytes: &[u8], at: usize) -> Result<(Record, usize), String> {
    let (owner, at) = read_name(bytes, at)?;
    let fixed = bytes.get(at..at + 10).ok_or("record cut short")?;
    let rtype = RrType(u16::from_be_bytes([fixed[0], fixed[1]]));
    let class = u16::from_be_bytes([fixed[2], fixed[3]]);
    let ttl = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
    let start = at + 10;
    let end = start + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
    if end > bytes.len() {
        return Err("rdata cut short".into());
    }
    let mut rdata = Vec::new();
    let mut at = start;
    // Empty rdata stands in UPDATE and in unknown types only; it holds no names.
    for field in if start == end { &[] } else { layout(rtype) } {
        let next = match field {
            Field::Octets(count) => at + count,
            Field::CharacterString => at + 1 + usize::from(*bytes.get(at).ok_or("rdata cut short")?),
            Field::Name => {
                let (name, after) = read_name(bytes, at)?;
                rdata.extend_from_slice(&name.0);
                at = after;
                continue;
            }
        };
        rdata.extend_from_slice(bytes.get(at..next).ok_or("rdata cut short")?);
        at = next;
    }
    if at > end {
        return Err(format!("{owner} {rtype}: rdata is longer than it says"));
    }
    rdata.extend_from_slice(&bytes[at..end]);
    Ok((
        Record {
            owner,
            rtype,
            class,
            ttl,
            rdata,
            at: start,
        },
        end,
    ))
}
