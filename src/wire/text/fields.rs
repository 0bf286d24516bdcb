//! Rdata as fields: each field of a record a string of its own, as APIs over JSON carry it (`["10", "mx.example."]`),
//! along the same table of record types as master files.
//!
//! | field | as a string |
//! |---|---|
//! | a name | with or without its last dot, absolute either way; escapes as in master files |
//! | a character string | its text as it is: no quotes, no escapes |
//! | several character strings (TXT) | one string or more; what is longer than 255 octets is cut into pieces of 255 |
//! | what stands to the end (keys, digests, parameters) | one string, or several |
//! | any other | as master files write it |

use super::{
    Lexer, TextError, TextFault, expect_end,
    lexer::Position,
    print::print_field,
    read::{read_field, read_rdata},
};
use crate::wire::{
    name::NameRef,
    types::{Field, RrType, check_field, validate_rdata},
};

/// The longest character string (RFC 1035 §3.3).
const LONGEST_STRING: usize = 255;

/// A field that is not what its type has.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("field {field}: {fault}")]
pub struct FieldError {
    /// Which, from 1; one more than there are when something is missing.
    pub field: usize,
    /// What is wrong.
    pub fault: Box<TextFault>,
}

/// Reads the rdata of a `rtype` record from its fields into `out`, which is cleared first. A lone string where the
/// type has several fields is cut at single blanks, so that an empty field in it is one.
///
/// # Errors
/// Which field is wrong, and what was expected there.
pub fn read_fields<S: AsRef<str>>(rtype: RrType, fields: &[S], out: &mut Vec<u8>) -> Result<(), FieldError> {
    out.clear();
    let given: Vec<&str> = fields.iter().map(AsRef::as_ref).collect();
    let row = rtype.row().map_or(&[][..], |row| row.fields);
    if row.is_empty() || given.first() == Some(&"\\#") {
        let text = given.join(" ");
        let whole = plain(&text, 1).and_then(|()| {
            read_rdata(rtype, &mut Lexer::new(text.as_bytes()), None, out).map_err(|error| of(1, error))
        });
        return whole;
    }
    let mut source = Fields {
        given: match given[..] {
            [one] if row.len() > 1 => one.splitn(row.len(), ' ').collect(),
            _ => given,
        },
        next: 0,
    };
    for field in row {
        source.read(*field, out)?;
    }
    if source.next < source.given.len() {
        let found = format!("`{}`", source.given[source.next]);
        return Err(unexpected(source.next + 1, "the end of the record", found));
    }
    if out.len() > usize::from(u16::MAX) {
        let fault = Box::new(TextFault::TooLong);
        return Err(FieldError { field: 1, fault });
    }
    Ok(())
}

struct Fields<'a> {
    given: Vec<&'a str>,
    next: usize,
}

impl<'a> Fields<'a> {
    fn read(&mut self, field: Field, out: &mut Vec<u8>) -> Result<(), FieldError> {
        match field {
            Field::Text => {
                let text = self.take("a character string")?;
                if text.len() > LONGEST_STRING {
                    let found = format!("{} octets", text.len());
                    return Err(unexpected(self.next, "a string of at most 255 octets", found));
                }
                push_string(text.as_bytes(), out);
            }
            Field::Texts => {
                push_strings(self.take("a character string")?, out);
                while self.next < self.given.len() {
                    push_strings(self.take("a character string")?, out);
                }
            }
            Field::LongText => out.extend_from_slice(self.take("a string")?.as_bytes()),
            _ if stands_to_the_end(field) => {
                let first = self.next + 1;
                let text = self.given.get(self.next..).unwrap_or_default().join(" ");
                self.next = self.given.len();
                plain(&text, first)?;
                read_one(field, &text, out).map_err(|error| of(first, error))?;
            }
            _ => {
                let word = word(self.take("a field")?);
                read_one(field, &word, out).map_err(|error| of(self.next, error))?;
            }
        }
        Ok(())
    }

    fn take(&mut self, expected: &'static str) -> Result<&'a str, FieldError> {
        let text = self.given.get(self.next);
        self.next += 1;
        text.copied()
            .ok_or_else(|| unexpected(self.next, expected, "the end of the record".into()))
    }
}

/// Fields of which several strings may be one, and the other way round.
fn stands_to_the_end(field: Field) -> bool {
    matches!(
        field,
        Field::Hex
            | Field::Digest
            | Field::Fingerprint
            | Field::ZoneDigest
            | Field::Base64
            | Field::SomeTypes
            | Field::AnyTypes
            | Field::Location
            | Field::AddressPrefixes
            | Field::GatewayAndKey
            | Field::HostIdentity
            | Field::ServiceParameters
    )
}

fn read_one(field: Field, text: &str, out: &mut Vec<u8>) -> Result<(), TextError> {
    let mut lexer = Lexer::new(text.as_bytes());
    read_field(field, &mut lexer, Some(NameRef::ROOT), out)?;
    expect_end(&mut lexer)
}

fn push_string(octets: &[u8], out: &mut Vec<u8>) {
    out.push(octets.len() as u8);
    out.extend_from_slice(octets);
}

fn push_strings(text: &str, out: &mut Vec<u8>) {
    if text.is_empty() {
        out.push(0);
    }
    text.as_bytes()
        .chunks(LONGEST_STRING)
        .for_each(|piece| push_string(piece, out));
}

/// A field as one word of a master file: what would end a word there is escaped, and `@` is a label like any other.
fn word(text: &str) -> String {
    if text == "@" {
        return "\\@".into();
    }
    let mut word = String::with_capacity(text.len());
    let mut escaped = false;
    for character in text.chars() {
        match character {
            ';' | '(' | ')' | '"' | ' ' | '\t' | '\r' | '\n' if !escaped => {
                word.push_str(&format!("\\{:03}", u32::from(character)));
            }
            _ => word.push(character),
        }
        escaped = character == '\\' && !escaped;
    }
    word
}

/// Refuses what a master file would take for a comment, a parenthesis or the end of a line: it would be lost.
fn plain(text: &str, field: usize) -> Result<(), FieldError> {
    let (mut quoted, mut escaped) = (false, false);
    for character in text.chars() {
        match character {
            _ if escaped => {}
            '"' => quoted = !quoted,
            ';' | '(' | ')' if !quoted => {
                return Err(unexpected(
                    field,
                    "no comment and no parenthesis",
                    format!("`{character}`"),
                ));
            }
            '\n' => return Err(unexpected(field, "one line", "the end of the line".into())),
            _ => {}
        }
        escaped = character == '\\' && !escaped;
    }
    Ok(())
}

#[cold]
fn unexpected(field: usize, expected: &'static str, found: String) -> FieldError {
    of(
        field,
        TextError::unexpected_text(expected, found, Position::default()),
    )
}

#[cold]
fn of(field: usize, error: TextError) -> FieldError {
    let fault = error.fault;
    FieldError { field, fault }
}

/// The fields of a `rtype` record's rdata as strings, which [`read_fields`] reads again. `None` when a character
/// string in it is no UTF-8, which JSON cannot carry, or the rdata is not of its type.
pub fn print_fields(rtype: RrType, rdata: &[u8]) -> Option<Vec<String>> {
    validate_rdata(rtype, rdata).ok()?;
    let row = rtype.row().filter(|row| !row.fields.is_empty());
    let Some(row) = row else {
        let hex = data_encoding::HEXUPPER.encode(rdata);
        return Some(vec!["\\#".into(), rdata.len().to_string(), hex]);
    };
    let mut fields = Vec::with_capacity(row.fields.len());
    let mut at = 0;
    for field in row.fields {
        let end = check_field(*field, rdata, at).ok()?;
        match field {
            Field::Text => fields.push(String::from_utf8(rdata[at + 1..end].into()).ok()?),
            Field::LongText => fields.push(String::from_utf8(rdata[at..end].into()).ok()?),
            Field::Texts => print_strings(&rdata[at..end], &mut fields)?,
            _ => {
                let mut text = String::new();
                print_field(*field, rdata, at, end, &mut text).ok()?;
                let text = text.trim_start();
                // No types and no parameters are no text.
                if !text.is_empty() {
                    fields.push(text.into());
                }
            }
        }
        at = end;
    }
    Some(fields)
}

/// Strings of 255 octets go on in the next one, as in a long text that was cut.
fn print_strings(mut octets: &[u8], fields: &mut Vec<String>) -> Option<()> {
    let mut whole = Vec::new();
    while let Some((length, rest)) = octets.split_first() {
        let (text, rest) = rest.split_at(usize::from(*length));
        whole.extend_from_slice(text);
        let goes_on = text.len() == LONGEST_STRING && rest.first().is_some_and(|next| *next > 0);
        if !goes_on {
            fields.push(String::from_utf8(std::mem::take(&mut whole)).ok()?);
        }
        octets = rest;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{
        text::{print_rdata, read_rdata},
        types::sample,
    };

    /// What NS1's users may create, by its reference of record types, as far as it is DNS.
    const NS1_TYPES: &[&str] = &[
        "A",
        "AAAA",
        "AFSDB",
        "CAA",
        "CDNSKEY",
        "CDS",
        "CERT",
        "CNAME",
        "CSYNC",
        "DHCID",
        "DNAME",
        "DS",
        "HINFO",
        "HTTPS",
        "MX",
        "NAPTR",
        "PTR",
        "RP",
        "SMIMEA",
        "SPF",
        "SRV",
        "SVCB",
        "TLSA",
        "TXT",
        "OPENPGPKEY",
        "SSHFP",
        "APL",
        "IPSECKEY",
        "URI",
        "NS",
        "SOA",
        "DNSKEY",
    ];

    fn read(mnemonic: &str, fields: &[&str]) -> Result<Vec<u8>, String> {
        let mut out = b"left from before".to_vec();
        read_fields(RrType::from_text(mnemonic).unwrap(), fields, &mut out)
            .map(|()| out)
            .map_err(|error| error.to_string())
    }

    /// The same rdata from a master file.
    fn from_master(mnemonic: &str, text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut lexer = Lexer::new(text.as_bytes());
        read_rdata(RrType::from_text(mnemonic).unwrap(), &mut lexer, None, &mut out).unwrap();
        out
    }

    #[test]
    fn fields_are_what_the_master_file_says() {
        let rows: &[(&str, &[&str], &str)] = &[
            ("A", &["192.0.2.1"], "192.0.2.1"),
            ("MX", &["10", "mx.example."], "10 mx.example."),
            ("MX", &["10", "mx.example"], "10 mx.example."),
            ("MX", &["10 mx.example."], "10 mx.example."),
            (
                "CAA",
                &["0", "issue", "ca.test; a=\"b\""],
                "0 issue \"ca.test; a=\\\"b\\\"\"",
            ),
            ("CAA", &["0 issue ca.test; x=1"], "0 issue \"ca.test; x=1\""),
            ("TXT", &["v=spf1 -all; \"\\"], "\"v=spf1 -all; \\\"\\\\\""),
            ("TXT", &["a", "", "b c"], "a \"\" \"b c\""),
            (
                "DS",
                &["1", "13", "4", &"ab".repeat(48)],
                &format!("1 13 4 {}", "AB".repeat(48)),
            ),
            (
                "NAPTR",
                &["100 10 S SIP+D2U  _sip._udp.example."],
                "100 10 S SIP+D2U \"\" _sip._udp.example.",
            ),
            (
                "NAPTR",
                &["1", "2", "u", "E2U+sip", "!^.*$!sip:a@b;c!", "."],
                "1 2 u E2U+sip \"!^.*$!sip:a@b;c!\" .",
            ),
            (
                "HTTPS",
                &["1", ".", "alpn=h2,h3 port=443"],
                "1 . alpn=h2,h3 port=443",
            ),
            (
                "HTTPS",
                &["1", ".", "alpn=\"h2,h3\"", "port=443"],
                "1 . alpn=h2,h3 port=443",
            ),
            ("SVCB", &["0", "a.example"], "0 a.example."),
            ("CNAME", &["a\\.b.c;d(e"], "a\\.b.c\\;d\\(e."),
            ("CNAME", &["@"], "\\@."),
            ("CSYNC", &["66", "3", "A", "NS"], "66 3 A NS"),
            ("CSYNC", &["66", "3"], "66 3"),
            ("TYPE65280", &["\\#", "2", "0102"], "\\# 2 0102"),
        ];
        for (mnemonic, fields, master) in rows {
            let found =
                read(mnemonic, fields).unwrap_or_else(|error| panic!("{mnemonic} {fields:?}: {error}"));
            assert_eq!(found, from_master(mnemonic, master), "{mnemonic} {fields:?}");
        }
    }

    #[test]
    fn long_text_is_cut_into_strings() {
        let long = "x".repeat(300);
        let rdata = read("TXT", &[&long]).unwrap();
        assert_eq!((rdata[0], rdata[256], rdata.len()), (255, 45, 302));
        assert_eq!(print_fields(RrType::TXT, &rdata), Some(vec![long]));
        // A cut that is not at 255 was meant.
        let two = read("TXT", &["a", "b"]).unwrap();
        assert_eq!(two, b"\x01a\x01b");
        assert_eq!(print_fields(RrType::TXT, b"\x01\xff"), None);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_field() {
        let rows: &[(&str, &[&str], &str)] = &[
            ("A", &[], "field 1: expected a field, found the end of the record"),
            ("A", &["::1"], "field 1: expected an IPv4 address, found `::1`"),
            (
                "A",
                &["192.0.2.1", "x"],
                "field 2: expected the end of the record, found `x`",
            ),
            (
                "MX",
                &["10", "a..b"],
                "field 2: expected a name, found `a..b`: a label is empty; write a dot only between labels and at the end",
            ),
            (
                "MX",
                &["10", ""],
                "field 2: expected a name, found the end of the record",
            ),
            (
                "MX",
                &["1 0", "a"],
                "field 1: expected a number up to 65535, found `1\\0320`",
            ),
            (
                "DS",
                &["1", "13", "2", "ab;cd"],
                "field 4: expected no comment and no parenthesis, found `;`",
            ),
            (
                "DS",
                &["1", "13", "2"],
                "field 4: expected hexadecimal digits, found the end of the record",
            ),
            (
                "HINFO",
                &["a"],
                "field 2: expected a character string, found the end of the record",
            ),
        ];
        for (mnemonic, fields, message) in rows {
            assert_eq!(
                read(mnemonic, fields).unwrap_err(),
                *message,
                "{mnemonic} {fields:?}"
            );
        }
        let error = read("HINFO", &[&"x".repeat(256), ""]).unwrap_err();
        assert_eq!(
            error,
            "field 1: expected a string of at most 255 octets, found 256 octets"
        );
    }

    fn any_type() -> impl Strategy<Value = RrType> {
        prop::sample::select(NS1_TYPES).prop_map(|mnemonic| RrType::from_text(mnemonic).unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]

        #[test]
        fn wire_to_fields_to_wire(rtype in any_type(), dice in prop::collection::vec(any::<u8>(), 0..400)) {
            let rdata = sample::rdata(rtype, &dice);
            if let Some(fields) = print_fields(rtype, &rdata) {
                let mut again = Vec::new();
                prop_assert_eq!(read_fields(rtype, &fields, &mut again), Ok(()), "{} {:?}", rtype, fields);
                prop_assert_eq!(&again, &rdata, "{} {:?}", rtype, fields);
                // And without the last dot of whatever ends in one.
                let dotless: Vec<&str> = fields
                    .iter()
                    .map(|field| field.strip_suffix('.').filter(|text| !text.is_empty()).unwrap_or(field))
                    .collect();
                if matches!(rtype, RrType::MX | RrType::NS | RrType::SRV) && !dotless.iter().any(|text| text.ends_with('\\')) {
                    prop_assert_eq!(read_fields(rtype, &dotless, &mut again), Ok(()));
                    prop_assert_eq!(&again, &rdata);
                }
            } else {
                let mut text = String::new();
                print_rdata(rtype, &rdata, &mut text).unwrap();
                prop_assert!(text.contains('\\'), "only octets that are no UTF-8 cannot be fields: {}", text);
            }
        }

        #[test]
        fn any_text_comes_back_whole(texts in prop::collection::vec(".{0,300}", 1..4)) {
            let mut rdata = Vec::new();
            read_fields(RrType::TXT, &texts, &mut rdata).unwrap();
            prop_assert_eq!(validate_rdata(RrType::TXT, &rdata), Ok(()));
            let fields = print_fields(RrType::TXT, &rdata).unwrap();
            prop_assert_eq!(fields.concat(), texts.concat());
            let mut again = Vec::new();
            read_fields(RrType::TXT, &fields, &mut again).unwrap();
            prop_assert_eq!(again, rdata);
        }

        /// Whatever an API sends is rdata of its type, or an error.
        #[test]
        fn any_fields_are_rdata_or_an_error(
            rtype in any_type(),
            fields in prop::collection::vec(prop_oneof![
                prop::sample::select(&["", "1", "0 ", " ", "a.", "\"", "\\", "\\#", "=", ",", "(", ";", "\n", "AQID", "::1", "alpn=h2", "key9=\"", "\u{e9}"][..]).prop_map(str::to_owned),
                ".{0,6}",
            ], 0..8),
        ) {
            let mut rdata = Vec::new();
            if read_fields(rtype, &fields, &mut rdata).is_ok() {
                prop_assert_eq!(validate_rdata(rtype, &rdata), Ok(()), "{} {:?}", rtype, fields);
            }
        }
    }
}
