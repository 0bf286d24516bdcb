//! The one table of record types: a row a type, its fields in order. Reading text, printing text, canonical
//! form (RFC 4034 §6.2, RFC 6840 §5.1) and name compression all read this table.

use std::fmt;

/// A record type's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RrType(pub u16);

macro_rules! rr_types {
    ($($name:ident = $number:literal,)*) => {
        impl RrType {
            $(#[doc = concat!("The type ", stringify!($name), ".")] pub const $name: Self = Self($number);)*
        }
        const MNEMONICS: &[(&str, u16)] = &[$((stringify!($name), $number),)*];
    };
}

rr_types! {
    A = 1, NS = 2, CNAME = 5, SOA = 6, PTR = 12, HINFO = 13, MX = 15, TXT = 16, RP = 17, AFSDB = 18,
    AAAA = 28, LOC = 29, SRV = 33, NAPTR = 35, KX = 36, CERT = 37, DNAME = 39, OPT = 41, APL = 42, DS = 43,
    SSHFP = 44, IPSECKEY = 45, RRSIG = 46, NSEC = 47, DNSKEY = 48, DHCID = 49, NSEC3 = 50, NSEC3PARAM = 51,
    TLSA = 52, SMIMEA = 53, HIP = 55, CDS = 59, CDNSKEY = 60, OPENPGPKEY = 61, CSYNC = 62, ZONEMD = 63,
    SVCB = 64, HTTPS = 65, SPF = 99, EUI48 = 108, EUI64 = 109, NXNAME = 128, TKEY = 249, TSIG = 250,
    IXFR = 251, AXFR = 252, MAILB = 253, MAILA = 254, ANY = 255, URI = 256, CAA = 257,
}

impl RrType {
    /// Reads a mnemonic or `TYPEnnn` (RFC 3597 §5), in either letter case.
    pub fn from_text(text: &str) -> Option<Self> {
        if let Some((_, number)) = MNEMONICS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            return Some(Self(*number));
        }
        let (prefix, digits) = text.split_at_checked(4)?;
        (prefix.eq_ignore_ascii_case("TYPE") && digits.bytes().all(|b| b.is_ascii_digit()))
            .then(|| digits.parse().ok().map(Self))?
    }
}

impl fmt::Display for RrType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match MNEMONICS.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => f.pad(name),
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
}
/// STUB
#[derive(Clone, Debug)]
pub struct NameField {
    #[allow(missing_docs)]
    pub range: std::ops::Range<usize>,
    #[allow(missing_docs)]
    pub compressible: bool,
    #[allow(missing_docs)]
    pub lowercased: bool,
}
/// STUB
pub fn names_in_rdata(rtype: RrType, rdata: &[u8]) -> impl Iterator<Item = NameField> + use<> {
    let mut v = Vec::new();
    let at = match rtype {
        RrType::NS | RrType::CNAME | RrType::PTR | RrType::SOA | RrType::DNAME => Some(0),
        RrType::MX => Some(2),
        _ => None,
    };
    if let Some(at) = at
        && let Ok((n, rest)) = super::NameRef::split_from(&rdata[at..])
    {
        v.push(NameField {
            range: at..at + n.len(),
            compressible: rtype != RrType::DNAME,
            lowercased: true,
        });
        if rtype == RrType::SOA
            && let Ok((m, _)) = super::NameRef::split_from(rest)
        {
            v.push(NameField {
                range: n.len()..n.len() + m.len(),
                compressible: true,
                lowercased: true,
            });
        }
    }
    v.into_iter()
}
/// STUB
pub fn canonical_rdata(rtype: RrType, rdata: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(rdata);
    for f in names_in_rdata(rtype, rdata) {
        out[start + f.range.start..start + f.range.end].make_ascii_lowercase();
    }
}
