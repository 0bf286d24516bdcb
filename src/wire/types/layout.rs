//! Walking wire rdata along its row: where the names are, and whether the octets are well formed.
//!
//! Nothing here allocates but the buffer that the caller gives: the engine walks rdata for every answer.

use std::ops::Range;

use super::{Field, NameRule, RrType};
use crate::wire::name::NameRef;

/// A name within rdata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameField {
    /// Its octets within the rdata.
    pub range: Range<usize>,
    /// Whether a response may compress it (RFC 3597 §4: the types of RFC 1035 only).
    pub compressible: bool,
    /// Whether canonical form has it in lower case (RFC 4034 §6.2 as amended by RFC 6840 §5.1: not NSEC's).
    pub lowercased: bool,
}

/// Rdata that is not what its type has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("octet {at} of the rdata: expected {expected}")]
pub struct RdataError {
    /// Where, from 0.
    pub at: usize,
    /// What should be there.
    pub expected: &'static str,
}

/// The names in rdata, from left to right. Ends early at rdata that is malformed.
pub fn names_in_rdata(rtype: RrType, rdata: &[u8]) -> NamesInRdata<'_> {
    let fields = rtype
        .row()
        .map_or(&[][..], |row| &row.fields[..usize::from(row.names_end)]);
    NamesInRdata {
        fields,
        rdata,
        at: 0,
        servers_at: None,
    }
}

/// What [`names_in_rdata`] gives.
#[derive(Clone, Debug)]
pub struct NamesInRdata<'a> {
    fields: &'static [Field],
    rdata: &'a [u8],
    at: usize,
    /// Where HIP's next rendezvous server begins, once its fixed part has been walked.
    servers_at: Option<usize>,
}

impl Iterator for NamesInRdata<'_> {
    type Item = NameField;

    #[inline]
    fn next(&mut self) -> Option<NameField> {
        while let Some((field, rest)) = self.fields.split_first() {
            let (start, rule) = match field {
                Field::Name(rule) => (self.at, *rule),
                Field::GatewayAndKey if self.rdata.get(1) == Some(&GATEWAY_NAME) => (self.at, NameRule::Kept),
                Field::HostIdentity => return self.next_server(),
                _ => {
                    self.at = check_field(*field, self.rdata, self.at).ok()?;
                    self.fields = rest;
                    continue;
                }
            };
            self.fields = rest;
            return self.name_at(start, rule);
        }
        None
    }
}

impl NamesInRdata<'_> {
    fn name_at(&mut self, start: usize, rule: NameRule) -> Option<NameField> {
        let (name, _) = NameRef::split_from(self.rdata.get(start..)?).ok()?;
        self.at = start + name.len();
        Some(NameField {
            range: start..self.at,
            compressible: rule == NameRule::Compressible,
            lowercased: rule != NameRule::Kept,
        })
    }

    fn next_server(&mut self) -> Option<NameField> {
        let start = match self.servers_at {
            Some(at) => at,
            None => HostIdentity::parse(self.rdata).ok()?.servers_at,
        };
        let field = self.name_at(start, NameRule::Kept)?;
        self.servers_at = Some(self.at);
        Some(field)
    }
}

/// Appends the canonical form of rdata: the names that RFC 4034 §6.2 lists in lower case, all else as it is.
/// NSEC's next name keeps its case, and HINFO, which that list has by mistake, has no names (RFC 6840 §5.1).
pub fn canonical_rdata(rtype: RrType, rdata: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(rdata);
    for name in names_in_rdata(rtype, rdata).filter(|name| name.lowercased) {
        out[start + name.range.start..start + name.range.end].make_ascii_lowercase();
    }
}

/// Whether rdata in wire form is one that its type may have. Names must be uncompressed. Types without a row
/// are opaque (RFC 3597 §3).
///
/// # Errors
/// The first octet that is wrong, and what should be there.
pub fn validate_rdata(rtype: RrType, rdata: &[u8]) -> Result<(), RdataError> {
    if rdata.len() > usize::from(u16::MAX) {
        return fail(usize::from(u16::MAX), "at most 65,535 octets");
    }
    let Some(row) = rtype.row() else { return Ok(()) };
    let mut at = 0;
    for field in row.fields {
        at = check_field(*field, rdata, at)?;
    }
    if at == rdata.len() {
        Ok(())
    } else {
        fail(at, "the end")
    }
}

fn fail<T>(at: usize, expected: &'static str) -> Result<T, RdataError> {
    Err(RdataError { at, expected })
}

/// Checks the field that begins at `at`; gives where it ends.
pub(crate) fn check_field(field: Field, rdata: &[u8], at: usize) -> Result<usize, RdataError> {
    let rest = rdata.get(at..).unwrap_or_default();
    match field {
        Field::U8 | Field::Algorithm | Field::DigestType | Field::NotifyScheme => {
            fixed(rdata, at, 1, "one octet")
        }
        Field::U16 | Field::Type | Field::CertificateType => fixed(rdata, at, 2, "two octets"),
        Field::U32 | Field::Period | Field::Time => fixed(rdata, at, 4, "four octets"),
        Field::Ipv4 => fixed(rdata, at, 4, "the four octets of an IPv4 address"),
        Field::Ipv6 => fixed(rdata, at, 16, "the 16 octets of an IPv6 address"),
        Field::Locator64 | Field::Eui64 => fixed(rdata, at, 8, "eight octets"),
        Field::Eui48 => fixed(rdata, at, 6, "six octets"),
        Field::Name(_) => name_end(rdata, at),
        Field::Text => counted(rdata, at, 0, "a character string"),
        Field::Texts => texts_end(rdata, at),
        Field::LongText => Ok(rdata.len().max(at)),
        Field::Tag => tag_end(rdata, at),
        Field::Hex | Field::Base64 if rest.is_empty() => fail(at, "at least one octet"),
        Field::Hex | Field::Base64 => Ok(rdata.len()),
        Field::Digest => digest_end(rdata, at),
        Field::Fingerprint => fingerprint_end(rdata, at),
        Field::ZoneDigest => zone_digest_end(rdata, at),
        Field::Salt => counted(rdata, at, 0, "a length octet and a salt"),
        Field::HashedOwner => hashed_owner_end(rdata, at),
        Field::SomeTypes if rest.is_empty() => fail(at, "a bitmap with at least one type"),
        Field::SomeTypes | Field::AnyTypes => bitmap_end(rdata, at),
        Field::Location => location_end(rdata, at),
        Field::AddressPrefixes => prefixes_end(rdata, at),
        Field::GatewayAndKey => gateway_and_key_end(rdata, at),
        Field::HostIdentity => {
            let mut end = HostIdentity::parse(rdata)?.servers_at;
            while end < rdata.len() {
                end = name_end(rdata, end)?;
            }
            Ok(end)
        }
        Field::ServiceParameters => super::service::parameters_end(rdata, at),
    }
}

fn fixed(rdata: &[u8], at: usize, octets: usize, expected: &'static str) -> Result<usize, RdataError> {
    let end = at + octets;
    if end <= rdata.len() {
        Ok(end)
    } else {
        fail(at, expected)
    }
}

fn counted(rdata: &[u8], at: usize, least: usize, expected: &'static str) -> Result<usize, RdataError> {
    match rdata.get(at) {
        Some(length) if usize::from(*length) >= least => fixed(rdata, at + 1, usize::from(*length), expected),
        _ => fail(at, expected),
    }
}

fn name_end(rdata: &[u8], at: usize) -> Result<usize, RdataError> {
    match NameRef::split_from(rdata.get(at..).unwrap_or_default()) {
        Ok((name, _)) => Ok(at + name.len()),
        Err(_) => fail(at, "a whole, uncompressed name"),
    }
}

fn texts_end(rdata: &[u8], mut at: usize) -> Result<usize, RdataError> {
    loop {
        at = counted(rdata, at, 0, "a character string")?;
        if at >= rdata.len() {
            return Ok(at);
        }
    }
}

fn tag_end(rdata: &[u8], at: usize) -> Result<usize, RdataError> {
    let expected = "a tag of letters and digits";
    let end = counted(rdata, at, 1, expected)?;
    match rdata[at + 1..end]
        .iter()
        .position(|octet| !octet.is_ascii_alphanumeric())
    {
        Some(wrong) => fail(at + 1 + wrong, expected),
        None => Ok(end),
    }
}

/// DS and CDS: the digest type is the octet in front. RFC 8078 §4 deletes with digest type 0 and one octet.
fn digest_end(rdata: &[u8], at: usize) -> Result<usize, RdataError> {
    match octet_before(rdata, at) {
        Some(1) => exactly(rdata, at, 20, "the 20 octets of a SHA-1 digest"),
        Some(2) => exactly(rdata, at, 32, "the 32 octets of a SHA-256 digest"),
        Some(4) => exactly(rdata, at, 48, "the 48 octets of a SHA-384 digest"),
        _ => at_least(rdata, at, 1, "a digest"),
    }
}

fn fingerprint_end(rdata: &[u8], at: usize) -> Result<usize, RdataError> {
    match octet_before(rdata, at) {
        Some(1) => exactly(rdata, at, 20, "the 20 octets of a SHA-1 fingerprint"),
        Some(2) => exactly(rdata, at, 32, "the 32 octets of a SHA-256 fingerprint"),
        _ => at_least(rdata, at, 1, "a fingerprint"),
    }
}

fn zone_digest_end(rdata: &[u8], at: usize) -> Result<usize, RdataError> {
    // What a hash algorithm's number means with another scheme is that scheme's business (RFC 8976 appendix A.3).
    match rdata.get(at.saturating_sub(2)..at) {
        Some([1, 1]) => exactly(rdata, at, 48, "the 48 octets of a SHA-384 digest"),
        Some([1, 2]) => exactly(rdata, at, 64, "the 64 octets of a SHA-512 digest"),
        _ => at_least(rdata, at, 12, "a digest of at least 12 octets"),
    }
}

fn octet_before(rdata: &[u8], at: usize) -> Option<u8> {
    rdata.get(at.checked_sub(1)?).copied()
}

fn exactly(rdata: &[u8], at: usize, octets: usize, expected: &'static str) -> Result<usize, RdataError> {
    if rdata.len() == at + octets {
        Ok(rdata.len())
    } else {
        fail(at, expected)
    }
}

fn at_least(rdata: &[u8], at: usize, octets: usize, expected: &'static str) -> Result<usize, RdataError> {
    if rdata.len() >= at + octets {
        Ok(rdata.len())
    } else {
        fail(at, expected)
    }
}

/// Hash algorithm 1, the octet in front of all, is SHA-1 (RFC 5155 §11). The hash is a label of an owner too, so
/// that in base32hex it has at most 63 octets.
fn hashed_owner_end(rdata: &[u8], at: usize) -> Result<usize, RdataError> {
    match (rdata[0], rdata.get(at)) {
        (1, Some(length)) if *length != 20 => fail(at, "20 and the octets of a SHA-1 hash"),
        (_, Some(40..)) => fail(at, "a hash of at most 39 octets"),
        _ => counted(rdata, at, 1, "a length octet and a hash"),
    }
}

/// Windows in ascending order, each 1 to 32 octets long, its last octet not zero (RFC 4034 §4.1.2).
fn bitmap_end(rdata: &[u8], mut at: usize) -> Result<usize, RdataError> {
    let mut last_window = None;
    while at < rdata.len() {
        if last_window.is_some_and(|last| rdata[at] <= last) {
            return fail(at, "a window above the one before");
        }
        last_window = Some(rdata[at]);
        let length = match rdata.get(at + 1) {
            Some(length @ 1..=32) => usize::from(*length),
            _ => return fail(at + 1, "a window of 1 to 32 octets"),
        };
        let end = fixed(rdata, at + 2, length, "all octets of the window")?;
        if rdata[end - 1] == 0 {
            return fail(end - 1, "no zero octet at a window's end");
        }
        at = end;
    }
    Ok(at)
}

/// RFC 1876 §2: version 0, two nibbles up to 9 a size, angles in thousandths of a second around 2^31.
fn location_end(rdata: &[u8], at: usize) -> Result<usize, RdataError> {
    let end = fixed(rdata, at, 16, "the 16 octets of a location")?;
    if rdata[at] != 0 {
        return fail(at, "version 0");
    }
    for (offset, size) in rdata[at + 1..at + 4].iter().enumerate() {
        if size >> 4 > 9 || size & 15 > 9 || (size >> 4 == 0 && size & 15 != 0) {
            return fail(
                at + 1 + offset,
                "a size: two digits, the first not zero but in 0e0",
            );
        }
    }
    for (offset, degrees, expected) in [(4, 90, "a latitude"), (8, 180, "a longitude")] {
        let value = u32_at(rdata, at + offset);
        if value.abs_diff(1 << 31) > degrees * 3_600_000 {
            return fail(at + offset, expected);
        }
    }
    Ok(end)
}

pub(crate) fn u16_at(octets: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([octets[at], octets[at + 1]])
}

pub(crate) fn u32_at(octets: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]])
}

/// RFC 3123 §4: family, prefix length, negation and length, then an address without its trailing zero octets.
fn prefixes_end(rdata: &[u8], mut at: usize) -> Result<usize, RdataError> {
    while at < rdata.len() {
        let head = fixed(rdata, at, 4, "a family, a prefix length and a length")?;
        let octets = match u16_at(rdata, at) {
            1 => 4,
            2 => 16,
            _ => return fail(at, "address family 1 (IPv4) or 2 (IPv6)"),
        };
        if usize::from(rdata[at + 2]) > octets * 8 {
            return fail(at + 2, "a prefix length that the family has");
        }
        let length = usize::from(rdata[at + 3] & 0x7f);
        if length > octets {
            return fail(at + 3, "a length that the family has");
        }
        at = fixed(rdata, head, length, "all octets of the address")?;
        if length > 0 && rdata[at - 1] == 0 {
            return fail(at - 1, "no zero octet at an address's end");
        }
    }
    Ok(at)
}

/// The gateway type that is a name (RFC 4025 §2.3).
pub(crate) const GATEWAY_NAME: u8 = 3;

/// Where IPSECKEY's gateway ends, which begins at `at` and whose type is the second octet.
pub(crate) fn gateway_end(rdata: &[u8], at: usize) -> Result<usize, RdataError> {
    match rdata.get(1) {
        Some(0) => Ok(at),
        Some(1) => fixed(rdata, at, 4, "the four octets of an IPv4 address"),
        Some(2) => fixed(rdata, at, 16, "the 16 octets of an IPv6 address"),
        Some(&GATEWAY_NAME) => name_end(rdata, at),
        _ => fail(1, "a gateway type from 0 to 3"),
    }
}

/// Algorithm 0 means that there is no key (RFC 4025 §2.4). BIND wants one even then, so one is let through.
fn gateway_and_key_end(rdata: &[u8], at: usize) -> Result<usize, RdataError> {
    let end = gateway_end(rdata, at)?;
    if rdata.len() > end || rdata.get(2) == Some(&0) {
        Ok(rdata.len())
    } else {
        fail(end, "a public key")
    }
}

/// HIP's fixed part (RFC 8005 §5).
pub(crate) struct HostIdentity<'a> {
    pub algorithm: u8,
    pub tag: &'a [u8],
    pub key: &'a [u8],
    /// Where the rendezvous servers' names begin.
    pub servers_at: usize,
}

impl<'a> HostIdentity<'a> {
    pub(crate) fn parse(rdata: &'a [u8]) -> Result<Self, RdataError> {
        let head = fixed(rdata, 0, 4, "the lengths of tag and key, and the algorithm")?;
        let (tag_length, key_length) = (usize::from(rdata[0]), usize::from(u16_at(rdata, 2)));
        if tag_length == 0 {
            return fail(0, "a tag");
        }
        if key_length == 0 {
            return fail(2, "a key");
        }
        let tag_end = fixed(rdata, head, tag_length, "all octets of the tag")?;
        let servers_at = fixed(rdata, tag_end, key_length, "all octets of the key")?;
        Ok(Self {
            algorithm: rdata[1],
            tag: &rdata[head..tag_end],
            key: &rdata[tag_end..servers_at],
            servers_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::TABLE, *};

    fn names(rtype: RrType, rdata: &[u8]) -> Vec<(Range<usize>, bool, bool)> {
        names_in_rdata(rtype, rdata)
            .map(|name| (name.range, name.compressible, name.lowercased))
            .collect()
    }

    /// The whole of RFC 3597 §4 and RFC 4034 §6.2: which types' names may be compressed and lower-cased.
    #[test]
    fn the_rules_for_names_are_those_of_the_rfcs() {
        let types = |wanted: fn(NameRule) -> bool| -> Vec<&str> {
            TABLE
                .iter()
                .filter(|row| {
                    row.fields
                        .iter()
                        .any(|field| matches!(field, Field::Name(rule) if wanted(*rule)))
                })
                .map(|row| row.mnemonic)
                .collect()
        };
        assert_eq!(
            types(|rule| rule == NameRule::Compressible),
            [
                "NS", "MD", "MF", "CNAME", "SOA", "MB", "MG", "MR", "PTR", "MINFO", "MX"
            ]
        );
        assert_eq!(
            types(|rule| rule == NameRule::Lowered),
            ["RP", "AFSDB", "RT", "PX", "SRV", "NAPTR", "KX", "DNAME", "RRSIG"]
        );
        assert_eq!(
            types(|rule| rule == NameRule::Kept),
            ["NSEC", "SVCB", "HTTPS", "DSYNC", "LP"]
        );
    }

    #[test]
    fn names_are_found_where_they_are() {
        assert_eq!(names(RrType::A, &[192, 0, 2, 1]), []);
        assert_eq!(names(RrType::NS, b"\x01A\0"), [(0..3, true, true)]);
        assert_eq!(names(RrType::MX, b"\0\x0a\x01A\0"), [(2..5, true, true)]);
        assert_eq!(
            names(RrType::SOA, b"\x01A\0\x01B\x01C\0\0\0\0\x01"),
            [(0..3, true, true), (3..8, true, true)]
        );
        assert_eq!(
            names(RrType::NAPTR, b"\0\x01\0\x02\x01u\x02ab\0\x01A\0"),
            [(10..13, false, true)]
        );
        assert_eq!(names(RrType::NSEC, b"\x01A\0\0\x01\x40"), [(0..3, false, false)]);
        assert_eq!(
            names(RrType::IPSECKEY, b"\x0a\x03\x02\x01A\0k"),
            [(3..6, false, false)]
        );
        assert_eq!(names(RrType::IPSECKEY, b"\x0a\x01\x02\x01A\0\0k"), []);
        assert_eq!(
            names(RrType::HIP, b"\x01\x02\0\x01tk\x01A\0\x01B\0"),
            [(6..9, false, false), (9..12, false, false)]
        );
        // Cut short: what is whole is given, the rest is not.
        assert_eq!(names(RrType::SOA, b"\x01A\0\x05B"), [(0..3, true, true)]);
        assert_eq!(names(RrType::MX, b"\0"), []);
    }

    #[test]
    fn canonical_form_lowers_names_and_nothing_else() {
        let canonical = |rtype, rdata: &[u8]| {
            let mut out = b"FRONT".to_vec();
            canonical_rdata(rtype, rdata, &mut out);
            out.split_off(5)
        };
        assert_eq!(canonical(RrType::MX, b"AA\x01A\x01B\0"), b"AA\x01a\x01b\0");
        assert_eq!(
            canonical(RrType::NSEC, b"\x01A\0\0\x01\x40"),
            b"\x01A\0\0\x01\x40"
        );
        assert_eq!(canonical(RrType::HINFO, b"\x03CPU\x02OS"), b"\x03CPU\x02OS");
        assert_eq!(canonical(RrType::TXT, b"\x01A"), b"\x01A");
        assert_eq!(canonical(RrType::SVCB, b"\0\x01\x01A\0"), b"\0\x01\x01A\0");
        let signed = b"\0\x01\x0d\x02\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x01\x01A\0SIG";
        assert_eq!(canonical(RrType::RRSIG, signed)[18..], *b"\x01a\0SIG");
        assert_eq!(canonical(RrType(65_280), b"\x01A\0"), b"\x01A\0");
    }

    #[test]
    fn malformed_rdata_is_refused() {
        let wrong: &[(RrType, &[u8], usize)] = &[
            (RrType::A, b"\x01\x02\x03", 0),
            (RrType::A, b"\x01\x02\x03\x04\x05", 4),
            (RrType::NS, b"\xc0\x0c", 0),
            (RrType::NS, b"\x01A\0\0", 3),
            (RrType::TXT, b"", 0),
            (RrType::TXT, b"\x02a", 1),
            (RrType::CAA, b"\0\0", 1),
            (RrType::CAA, b"\0\x01-", 2),
            (RrType::DS, b"\0\x01\x0d\x02short", 4),
            (RrType::CDS, b"\0\0\0\0", 4),
            (RrType::NSEC, b"\0", 1),
            (RrType::NSEC, b"\0\0\x00", 2),
            (RrType::NSEC, b"\0\0\x02\x40\0", 4),
            (RrType::NSEC, b"\0\x01\x01\x40\0\x01\x40", 4),
            (RrType::NSEC, b"\0\0\x21", 2),
            (RrType::NSEC3, b"\x01\0\0\0\0\0", 5),
            (RrType::APL, b"\0\x03\0\0", 0),
            (RrType::APL, b"\0\x01\x21\0", 2),
            (RrType::APL, b"\0\x01\x08\x02\x0a\0", 5),
            (RrType::IPSECKEY, b"\0\x04\x01k", 1),
            (RrType::IPSECKEY, b"\0\0\x01", 3),
            (RrType::HIP, b"\0\x02\0\x01k", 0),
            (RrType::ZONEMD, b"\0\0\0\x01\x01\x01short", 6),
            (RrType::LOC, &[0; 15], 0),
            (RrType::LOC, b"\x01\x12\x16\x13\x80\0\0\0\x80\0\0\0\0\0\0\0", 0),
            (RrType::LOC, b"\0\xa2\x16\x13\x80\0\0\0\x80\0\0\0\0\0\0\0", 1),
            (RrType::LOC, b"\0\x12\x16\x13\0\0\0\0\x80\0\0\0\0\0\0\0", 4),
        ];
        for (rtype, rdata, at) in wrong {
            let found = validate_rdata(*rtype, rdata).expect_err(&format!("{rtype} {rdata:02x?}"));
            assert_eq!(found.at, *at, "{rtype} {rdata:02x?}: {found}");
        }
        assert_eq!(validate_rdata(RrType::APL, b""), Ok(()));
        assert_eq!(validate_rdata(RrType::CDS, b"\0\0\0\0\0"), Ok(()));
        assert_eq!(validate_rdata(RrType(65_280), b""), Ok(()));
    }

    proptest! {
        #[test]
        fn any_octets_are_valid_or_an_error(
            row in 0..TABLE.len(), rdata in prop::collection::vec(any::<u8>(), 0..80)
        ) {
            let rtype = TABLE[row].rtype;
            let valid = validate_rdata(rtype, &rdata);
            let mut last_end = 0;
            for name in names_in_rdata(rtype, &rdata) {
                prop_assert!(name.range.start >= last_end && name.range.end <= rdata.len());
                prop_assert!(NameRef::from_wire(&rdata[name.range.clone()]).is_ok());
                last_end = name.range.end;
            }
            if let Err(error) = valid {
                prop_assert!(error.at <= rdata.len().max(2));
            }
            let mut canonical = Vec::new();
            canonical_rdata(rtype, &rdata, &mut canonical);
            prop_assert!(canonical.eq_ignore_ascii_case(&rdata));
        }
    }
}
