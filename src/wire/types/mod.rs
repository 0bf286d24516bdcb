//! The one table of record types: a row a type, its fields in order. Reading text, printing text, canonical
//! form (RFC 4034 §6.2, RFC 6840 §5.1) and name compression (RFC 3597 §4) all read this table.
//!
//! To add a type, add a row; the round trips of `wire::text` run over every row.

mod layout;
pub mod sample;
pub(crate) mod service;

use std::fmt;

pub(crate) use layout::{HostIdentity, check_field, gateway_end, u16_at, u32_at};
pub use layout::{NameField, NamesInRdata, RdataError, canonical_rdata, names_in_rdata, validate_rdata};

use Field::*;
use NameRule::*;

/// A record type's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RrType(pub u16);

/// One field of a type's rdata. Those that say "to the end" stand last in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// One octet, decimal in text.
    U8,
    /// Two octets, decimal in text.
    U16,
    /// Four octets, decimal in text.
    U32,
    /// Four octets of seconds; in text also `1h30m` (BIND's units).
    Period,
    /// Four octets, `YYYYMMDDHHmmSS` in text (RFC 4034 §3.2).
    Time,
    /// A record type (RFC 4034 §3.2).
    Type,
    /// A DNSSEC algorithm: in text a number or its mnemonic (RFC 4034 appendix A.1).
    Algorithm,
    /// A DS digest type: in text a number or, as BIND reads, `SHA-256`.
    DigestType,
    /// A DSYNC scheme: in text a number or `NOTIFY` (RFC 9859 §2.1).
    NotifyScheme,
    /// A certificate type: in text a number or its mnemonic (RFC 4398 §2.1).
    CertificateType,
    /// A name.
    Name(NameRule),
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// Eight octets as four groups of hexadecimal digits (RFC 6742 §2.1.2).
    Locator64,
    /// Six octets, `00-00-5e-00-53-2a` in text (RFC 7043).
    Eui48,
    /// Eight octets in that form (RFC 7043).
    Eui64,
    /// A character string: a length octet and up to 255 octets (RFC 1035 §3.3).
    Text,
    /// One character string or more, to the end.
    Texts,
    /// Octets to the end, in text one quoted string (CAA's value, URI's target).
    LongText,
    /// CAA's tag: a length octet and 1 to 255 letters and digits (RFC 8659 §4.1).
    Tag,
    /// At least one octet to the end, hexadecimal in text.
    Hex,
    /// DS's digest: as [`Field::Hex`], with the length that the digest type in front of it has.
    Digest,
    /// SSHFP's fingerprint: as [`Field::Hex`], with the length that the hash in front of it has.
    Fingerprint,
    /// ZONEMD's digest: at least 12 octets, and the length that its hash algorithm has (RFC 8976 §2.2.4).
    ZoneDigest,
    /// At least one octet to the end, base64 in text.
    Base64,
    /// NSEC3's salt: a length octet and octets; hexadecimal, or `-` when empty (RFC 5155 §3.3).
    Salt,
    /// NSEC3's next hashed owner: a length octet and octets, base32hex without padding (RFC 5155 §3.3).
    HashedOwner,
    /// A type bitmap to the end that has at least one type (RFC 4034 §4.1.2).
    SomeTypes,
    /// A type bitmap to the end that may be empty.
    AnyTypes,
    /// All of LOC: version, size, precisions, latitude, longitude, altitude (RFC 1876 §2).
    Location,
    /// APL's items, to the end (RFC 3123).
    AddressPrefixes,
    /// IPSECKEY's gateway and key, to the end; the gateway's type is the second octet (RFC 4025 §2.3).
    GatewayAndKey,
    /// All of HIP (RFC 8005 §5): the lengths stand in front of everything.
    HostIdentity,
    /// SvcParams, to the end (RFC 9460 §2.2).
    ServiceParameters,
}

/// What may be done to a name in rdata.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameRule {
    /// A type of RFC 1035: may be compressed (RFC 3597 §4); canonical form is lower case.
    Compressible,
    /// Never compressed; canonical form is lower case (RFC 4034 §6.2).
    Lowered,
    /// Never compressed, and its letter case counts (RFC 3597 §7, RFC 6840 §5.1).
    Kept,
}

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    /// The type.
    pub rtype: RrType,
    /// Its mnemonic.
    pub mnemonic: &'static str,
    /// Its fields in order; empty for types that no zone holds (OPT, TSIG, ANY and their like).
    pub fields: &'static [Field],
    /// How many of the fields must be walked to have met every name.
    names_end: u8,
}

impl Row {
    const fn new(mnemonic: &'static str, number: u16, fields: &'static [Field]) -> Self {
        let (mut at, mut names_end) = (0, 0);
        while at < fields.len() {
            if matches!(fields[at], Name(_) | GatewayAndKey | HostIdentity) {
                names_end = at as u8 + 1;
            }
            at += 1;
        }
        Self {
            rtype: RrType(number),
            mnemonic,
            fields,
            names_end,
        }
    }
}

impl Row {
    /// The fields up to the last that may hold a name.
    pub(crate) fn fields_with_names(&self) -> &'static [Field] {
        &self.fields[..usize::from(self.names_end)]
    }
}

macro_rules! record_types {
    ($($name:ident = $number:literal: $fields:expr,)*) => {
        impl RrType {
            $(#[doc = concat!("The type ", stringify!($name), ".")] pub const $name: Self = Self($number);)*
        }

        /// Every type with a name, in the order of the numbers.
        pub static TABLE: &[Row] = &[$(Row::new(stringify!($name), $number, &$fields),)*];
    };
}

// The obsolete types are here for their names: those of RFC 1035 and RFC 4034 §6.2 are lower-cased by every
// validator, so we must know them when they come as TYPEnnn.
record_types! {
    A = 1: [Ipv4],                                                              // RFC 1035 §3.4.1
    NS = 2: [Name(Compressible)],                                               // RFC 1035 §3.3.11
    MD = 3: [Name(Compressible)],                                               // RFC 1035 §3.3.4
    MF = 4: [Name(Compressible)],                                               // RFC 1035 §3.3.5
    CNAME = 5: [Name(Compressible)],                                            // RFC 1035 §3.3.1
    SOA = 6: [Name(Compressible), Name(Compressible), U32, Period, Period, Period, Period], // RFC 1035 §3.3.13
    MB = 7: [Name(Compressible)],                                               // RFC 1035 §3.3.3
    MG = 8: [Name(Compressible)],                                               // RFC 1035 §3.3.6
    MR = 9: [Name(Compressible)],                                               // RFC 1035 §3.3.8
    PTR = 12: [Name(Compressible)],                                             // RFC 1035 §3.3.12
    HINFO = 13: [Text, Text],                                                   // RFC 1035 §3.3.2
    MINFO = 14: [Name(Compressible), Name(Compressible)],                       // RFC 1035 §3.3.7
    MX = 15: [U16, Name(Compressible)],                                         // RFC 1035 §3.3.9
    TXT = 16: [Texts],                                                          // RFC 1035 §3.3.14
    RP = 17: [Name(Lowered), Name(Lowered)],                                    // RFC 1183 §2.2
    AFSDB = 18: [U16, Name(Lowered)],                                           // RFC 1183 §1
    RT = 21: [U16, Name(Lowered)],                                              // RFC 1183 §3.3
    PX = 26: [U16, Name(Lowered), Name(Lowered)],                               // RFC 2163 §4
    AAAA = 28: [Ipv6],                                                          // RFC 3596 §2.2
    LOC = 29: [Location],                                                       // RFC 1876
    SRV = 33: [U16, U16, U16, Name(Lowered)],                                   // RFC 2782
    NAPTR = 35: [U16, U16, Text, Text, Text, Name(Lowered)],                    // RFC 3403 §4.1
    KX = 36: [U16, Name(Lowered)],                                              // RFC 2230 §3.1
    CERT = 37: [CertificateType, U16, Algorithm, Base64],                       // RFC 4398 §2
    DNAME = 39: [Name(Lowered)],                                                // RFC 6672 §2.1
    OPT = 41: [],
    APL = 42: [AddressPrefixes],                                                // RFC 3123 §4
    DS = 43: [U16, Algorithm, DigestType, Digest],                              // RFC 4034 §5
    SSHFP = 44: [U8, U8, Fingerprint],                                          // RFC 4255 §3, RFC 6594
    IPSECKEY = 45: [U8, U8, U8, GatewayAndKey],                                 // RFC 4025 §2
    RRSIG = 46: [Type, Algorithm, U8, U32, Time, Time, U16, Name(Lowered), Base64], // RFC 4034 §3
    NSEC = 47: [Name(Kept), SomeTypes],                                         // RFC 4034 §4
    DNSKEY = 48: [U16, U8, Algorithm, Base64],                                  // RFC 4034 §2
    DHCID = 49: [Base64],                                                       // RFC 4701 §3.1
    NSEC3 = 50: [U8, U8, U16, Salt, HashedOwner, AnyTypes],                     // RFC 5155 §3
    NSEC3PARAM = 51: [U8, U8, U16, Salt],                                       // RFC 5155 §4
    TLSA = 52: [U8, U8, U8, Hex],                                               // RFC 6698 §2
    SMIMEA = 53: [U8, U8, U8, Hex],                                             // RFC 8162 §2
    HIP = 55: [HostIdentity],                                                   // RFC 8005 §5
    CDS = 59: [U16, Algorithm, DigestType, Digest],                             // RFC 7344 §3.1
    CDNSKEY = 60: [U16, U8, Algorithm, Base64],                                 // RFC 7344 §3.2
    OPENPGPKEY = 61: [Base64],                                                  // RFC 7929 §2
    CSYNC = 62: [U32, U16, AnyTypes],                                           // RFC 7477 §2.1
    ZONEMD = 63: [U32, U8, U8, ZoneDigest],                                     // RFC 8976 §2
    SVCB = 64: [U16, Name(Kept), ServiceParameters],                            // RFC 9460 §2
    HTTPS = 65: [U16, Name(Kept), ServiceParameters],                           // RFC 9460 §9
    DSYNC = 66: [Type, NotifyScheme, U16, Name(Kept)],                          // RFC 9859 §2.1
    SPF = 99: [Texts],                                                          // RFC 7208 §14.1
    NID = 104: [U16, Locator64],                                                // RFC 6742 §2.1
    L32 = 105: [U16, Ipv4],                                                     // RFC 6742 §2.2
    L64 = 106: [U16, Locator64],                                                // RFC 6742 §2.3
    LP = 107: [U16, Name(Kept)],                                                // RFC 6742 §2.4
    EUI48 = 108: [Eui48],                                                       // RFC 7043 §3
    EUI64 = 109: [Eui64],                                                       // RFC 7043 §4
    NXNAME = 128: [],
    TKEY = 249: [],
    TSIG = 250: [],
    IXFR = 251: [],
    AXFR = 252: [],
    MAILB = 253: [],
    MAILA = 254: [],
    ANY = 255: [],
    URI = 256: [U16, U16, LongText],                                            // RFC 7553 §4
    CAA = 257: [U8, Tag, LongText],                                             // RFC 8659 §4
    RESINFO = 261: [Texts],                                                     // RFC 9606 §3
    WALLET = 262: [Texts],                                                      // as TXT, says its registration
}

/// Types that we know by name only, for other programs print them in bitmaps: their records are written with `\#`.
const NAMES_ONLY: &[(&str, u16)] = &[
    ("NULL", 10),
    ("WKS", 11),
    ("X25", 19),
    ("ISDN", 20),
    ("NSAP", 22),
    ("NSAP-PTR", 23),
    ("SIG", 24),
    ("KEY", 25),
    ("GPOS", 27),
    ("NXT", 30),
    ("EID", 31),
    ("NIMLOC", 32),
    ("ATMA", 34),
    ("A6", 38),
    ("SINK", 40),
    ("NINFO", 56),
    ("RKEY", 57),
    ("TALINK", 58),
    ("HHIT", 67),
    ("BRID", 68),
    ("UINFO", 100),
    ("UID", 101),
    ("GID", 102),
    ("UNSPEC", 103),
    ("AVC", 258),
    ("DOA", 259),
    ("AMTRELAY", 260),
    ("TA", 32_768),
    ("DLV", 32_769),
];

/// One more than the largest number in the table.
const NUMBERS: usize = 263;
/// Slots of the hash table of mnemonics: a power of two, about a third full.
const NAME_SLOTS: usize = 256;
/// Row numbers by type number, plus one; zero where there is none.
static BY_NUMBER: [u8; NUMBERS] = by_number();
/// Where a mnemonic is, plus one, by its hash, with linear probing: in the table, and behind that in `NAMES_ONLY`.
static BY_NAME: [u8; NAME_SLOTS] = by_name();

const fn by_number() -> [u8; NUMBERS] {
    let mut index = [0; NUMBERS];
    let mut row = 0;
    while row < TABLE.len() {
        index[TABLE[row].rtype.0 as usize] = row as u8 + 1;
        row += 1;
    }
    index
}

const fn by_name() -> [u8; NAME_SLOTS] {
    let mut index = [0; NAME_SLOTS];
    let mut number = 0;
    while number < TABLE.len() + NAMES_ONLY.len() {
        let mut slot = slot_of(packed(mnemonic_at(number).0.as_bytes()));
        while index[slot] != 0 {
            slot = (slot + 1) % NAME_SLOTS;
        }
        index[slot] = number as u8 + 1;
        number += 1;
    }
    index
}

const fn mnemonic_at(number: usize) -> (&'static str, u16) {
    if number < TABLE.len() {
        (TABLE[number].mnemonic, TABLE[number].rtype.0)
    } else {
        NAMES_ONLY[number - TABLE.len()]
    }
}

/// Up to 16 octets as one upper-cased number.
const fn packed(text: &[u8]) -> u128 {
    let (mut at, mut key) = (0, 0);
    while at < text.len() {
        key = key << 8 | text[at].to_ascii_uppercase() as u128;
        at += 1;
    }
    key
}

const fn slot_of(key: u128) -> usize {
    let folded = (key as u64 ^ (key >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (folded >> 56) as usize
}

impl RrType {
    /// Its row, when the table has one.
    pub fn row(self) -> Option<&'static Row> {
        match BY_NUMBER.get(usize::from(self.0)) {
            None | Some(0) => None,
            Some(row) => Some(&TABLE[usize::from(*row) - 1]),
        }
    }

    /// Whether zones hold no records of it: type 0, OPT, and the meta and question types (RFC 6895 §3.1).
    pub const fn is_meta(self) -> bool {
        matches!(self.0, 0 | 41 | 128..=255)
    }

    /// Reads a mnemonic or `TYPEnnn` (RFC 3597 §5), in either letter case.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::from_octets(text.as_bytes())
    }

    /// As [`RrType::from_text`], of octets that may be no text at all.
    pub fn from_octets(text: &[u8]) -> Option<Self> {
        if text.len() > 16 {
            return None;
        }
        let key = packed(text);
        let mut slot = slot_of(key);
        while BY_NAME[slot] != 0 {
            let (mnemonic, number) = mnemonic_at(usize::from(BY_NAME[slot]) - 1);
            if mnemonic.as_bytes().eq_ignore_ascii_case(text) {
                return Some(Self(number));
            }
            slot = (slot + 1) % NAME_SLOTS;
        }
        numbered(text, b"TYPE").map(Self)
    }
}

/// The number behind `prefix`, as in `TYPE65280` and `CLASS1` (RFC 3597 §5).
fn numbered(text: &[u8], prefix: &[u8; 4]) -> Option<u16> {
    let (front, digits) = text.split_at_checked(prefix.len())?;
    if !front.eq_ignore_ascii_case(prefix) || digits.is_empty() || digits.len() > 5 {
        return None;
    }
    let mut number = 0_u32;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number * 10 + u32::from(digit - b'0');
    }
    u16::try_from(number).ok()
}

impl fmt::Display for RrType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some(row) => f.pad(row.mnemonic),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

impl fmt::Debug for RrType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A class's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Class(pub u16);

impl Class {
    /// The Internet.
    pub const IN: Self = Self(1);
    /// Chaosnet, nowadays for `version.bind` and its like.
    pub const CH: Self = Self(3);
    /// Any class (a question only).
    pub const ANY: Self = Self(255);

    /// Reads `IN`, `CH`, `CS`, `HS` or `CLASSnnn` (RFC 3597 §5), in either letter case. `ANY` is left out: where
    /// a class may stand a type may too, and it is one.
    pub fn from_octets(text: &[u8]) -> Option<Self> {
        if let [first, second] = text {
            return match [first.to_ascii_uppercase(), second.to_ascii_uppercase()] {
                [b'I', b'N'] => Some(Self::IN),
                [b'C', b'S'] => Some(Self(2)),
                [b'C', b'H'] => Some(Self::CH),
                [b'H', b'S'] => Some(Self(4)),
                _ => None,
            };
        }
        let rest = text.strip_prefix(b"C").or_else(|| text.strip_prefix(b"c"))?;
        numbered(rest, b"LASS").map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_number_and_by_name() {
        for row in TABLE {
            assert_eq!(row.rtype.row().map(|row| row.mnemonic), Some(row.mnemonic));
            assert_eq!(RrType::from_text(row.mnemonic), Some(row.rtype));
            assert_eq!(
                RrType::from_text(&row.mnemonic.to_ascii_lowercase()),
                Some(row.rtype)
            );
            assert_eq!(
                RrType::from_text(&format!("type{}", row.rtype.0)),
                Some(row.rtype)
            );
            assert_eq!(row.rtype.to_string(), row.mnemonic);
            assert_eq!(
                row.fields.is_empty(),
                row.rtype.is_meta(),
                "{}: a data type has fields",
                row.mnemonic
            );
        }
    }

    #[test]
    fn types_without_a_row_are_numbered() {
        assert_eq!(RrType::from_text("TYPE65280"), Some(RrType(65_280)));
        assert_eq!(RrType(65_280).to_string(), "TYPE65280");
        for (mnemonic, number) in NAMES_ONLY {
            assert_eq!(RrType::from_text(mnemonic), Some(RrType(*number)));
            assert_eq!(RrType(*number).to_string(), format!("TYPE{number}"));
        }
        assert_eq!(format!("{:>6}", RrType::A), "     A");
        for text in [
            "",
            "B",
            "TYPE",
            "TYPE65536",
            "TYPE-1",
            "TYPE1x",
            "NSEC3PARAMX",
            "A\u{20ac}",
            "\0A",
        ] {
            assert_eq!(RrType::from_text(text), None, "{text:?}");
        }
    }

    #[test]
    fn classes_are_read() {
        assert_eq!(Class::from_octets(b"in"), Some(Class::IN));
        assert_eq!(Class::from_octets(b"Ch"), Some(Class::CH));
        assert_eq!(Class::from_octets(b"class1"), Some(Class::IN));
        assert_eq!(Class::from_octets(b"CLASS65536"), None);
        assert_eq!(Class::from_octets(b"A"), None);
        assert_eq!(Class::from_octets(b""), None);
    }
}
