//! One table a direction, and the round trips over every row of the table of record types.

use proptest::prelude::*;

use super::{lexer::Lexer, *};
use crate::wire::{
    Name, RrType,
    types::{TABLE, sample, validate_rdata},
};

fn read(rtype: RrType, text: &[u8]) -> Result<Vec<u8>, TextError> {
    let origin: Name = "example.".parse().unwrap();
    let mut rdata = b"left from before".to_vec();
    read_rdata(rtype, &mut Lexer::new(text), Some(origin.as_ref()), &mut rdata).map(|()| rdata)
}

fn print(rtype: RrType, rdata: &[u8]) -> String {
    let mut text = String::new();
    print_rdata(rtype, rdata, &mut text).unwrap();
    text
}

#[test]
fn text_is_read_and_printed_again() {
    let rows = include_str!("../../../tests/data/rdata.txt");
    let mut seen = Vec::new();
    for row in rows
        .lines()
        .filter(|row| !row.starts_with('#') && !row.is_empty())
    {
        let (input, expected) = row.split_once(" => ").unwrap_or((row, ""));
        let (mnemonic, text) = input.split_once(' ').unwrap_or((input, ""));
        let rtype = RrType::from_text(mnemonic).unwrap();
        let found = read(rtype, text.as_bytes());
        if expected == "error" {
            assert!(found.is_err(), "{row}");
            continue;
        }
        let expected = if expected.is_empty() { text } else { expected };
        let rdata = found.unwrap_or_else(|error| panic!("{row}: {error}"));
        assert_eq!(print(rtype, &rdata), expected, "{row}");
        assert_eq!(validate_rdata(rtype, &rdata), Ok(()), "{row}");
        assert_eq!(read(rtype, expected.as_bytes()), Ok(rdata), "{row}");
        seen.push(rtype);
    }
    for row in TABLE.iter().filter(|row| !row.fields.is_empty()) {
        assert!(
            seen.contains(&row.rtype),
            "tests/data/rdata.txt has no {}",
            row.mnemonic
        );
    }
}

/// The wire form of what is easily got wrong.
#[test]
fn text_has_the_octets_of_the_rfcs() {
    let rows: &[(&str, &str, &[u8])] = &[
        ("SOA", "a b 1 1h 1m 1w 1d", b"\x01a\x07example\0\x01b\x07example\0\0\0\0\x01\0\0\x0e\x10\0\0\0\x3c\0\x09\x3a\x80\0\x01\x51\x80"),
        ("TXT", r#"a\"b "c d" \032\200 """#, b"\x03a\"b\x03c d\x02\x20\xc8\0"),
        ("HINFO", "\"\" x", b"\0\x01x"),
        ("LOC", "42 21 54 N 71 06 18 W -24m 30m", b"\0\x33\x16\x13\x89\x17\x2d\xd0\x70\xbe\x15\xf0\0\x98\x8d\x20"),
        ("LOC", "90 S 180 E 42849672.95 0 0.01 90000000", b"\0\x00\x10\x99\x6c\xb0\x27\x00\xa6\x9f\xb2\x00\xff\xff\xff\xff"),
        ("APL", "1:192.168.32.0/21 !1:192.168.38.0/28", b"\0\x01\x15\x03\xc0\xa8\x20\0\x01\x1c\x83\xc0\xa8\x26"),
        ("NSEC", "Host A MX RRSIG NSEC TYPE1234", b"\x04Host\x07example\0\0\x06\x40\x01\0\0\0\x03\x04\x1b\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x20"),
        ("CDS", "0 0 0 00", b"\0\0\0\0\0"),
        ("CDNSKEY", "0 3 0 AA==", b"\0\0\x03\0\0"),
        ("EUI48", "00-00-5E-00-53-2a", b"\0\0\x5e\0\x53\x2a"),
        ("NID", "10 0014:4fff:ff20:ee64", b"\0\x0a\0\x14\x4f\xff\xff\x20\xee\x64"),
        ("CAA", "128 issue \"ca.example; a=\\\"b\\\"\"", b"\x80\x05issueca.example; a=\"b\""),
        ("RRSIG", "A 13 1 60 19691231235959 20380119031408 1 @ AQID", b"\0\x01\x0d\x01\0\0\0\x3c\xff\xff\xff\xff\x80\0\0\0\0\x01\x07example\0\x01\x02\x03"),
        // RFC 9460 appendix D.2, figures 2, 4, 7, 8, 9 and 10.
        ("SVCB", "0 foo.example.com.", b"\0\0\x03foo\x07example\x03com\0"),
        ("SVCB", "16 foo.example.com. port=53", b"\0\x10\x03foo\x07example\x03com\0\0\x03\0\x02\0\x35"),
        ("SVCB", "1 foo.example.com. key667=\"hello\\210qoo\"", b"\0\x01\x03foo\x07example\x03com\0\x02\x9b\0\x09hello\xd2qoo"),
        ("SVCB", "16 foo.example.org. ( alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1 )", b"\0\x10\x03foo\x07example\x03org\0\0\0\0\x04\0\x01\0\x04\0\x01\0\x09\x02h2\x05h3-19\0\x04\0\x04\xc0\0\x02\x01"),
        ("SVCB", r#"16 foo.example.org. alpn="f\\\\oo\\,bar,h2""#, b"\0\x10\x03foo\x07example\x03org\0\0\x01\0\x0c\x08f\\oo,bar\x02h2"),
        ("SVCB", r"16 foo.example.org. alpn=f\\\092oo\092,bar,h2", b"\0\x10\x03foo\x07example\x03org\0\0\x01\0\x0c\x08f\\oo,bar\x02h2"),
    ];
    for (mnemonic, text, wire) in rows {
        let rtype = RrType::from_text(mnemonic).unwrap();
        assert_eq!(
            read(rtype, text.as_bytes()).as_deref(),
            Ok(*wire),
            "{mnemonic} {text}: expected {wire:02x?}"
        );
    }
}

#[test]
fn what_is_wrong_is_said_where_it_stands() {
    let rows = [
        (
            "A",
            "192.0.2.256",
            1,
            "expected an IPv4 address, found `192.0.2.256`",
        ),
        (
            "A",
            "192.0.2.01",
            1,
            "expected an IPv4 address, found `192.0.2.01`",
        ),
        (
            "A",
            "",
            1,
            "expected an IPv4 address, found the end of the record",
        ),
        (
            "A",
            "192.0.2.1 x",
            11,
            "expected the end of the record, found `x`",
        ),
        (
            "A",
            "\"192.0.2.1\"",
            1,
            "expected an IPv4 address, found `\"192.0.2.1\"`",
        ),
        ("AAAA", "1::2::3", 1, "expected an IPv6 address, found `1::2::3`"),
        ("MX", "65536 a", 1, "expected a number up to 65535, found `65536`"),
        (
            "MX",
            "10 a..b",
            4,
            "expected a name, found `a..b`: a label is empty; write a dot only between labels and at the end",
        ),
        (
            "TXT",
            "\"a\\256\"",
            1,
            "expected a character or three digits up to 255 behind a backslash, found `\"a\\256\"`",
        ),
        (
            "TXT",
            "\"a",
            1,
            "expected a closing quote on the same line, found the end of the line",
        ),
        (
            "TXT",
            "( a",
            1,
            "expected a closing parenthesis for this one, found the end of the file",
        ),
        (
            "DS",
            "1 13 2 00",
            8,
            "expected the 32 octets of a SHA-256 digest, found 1 octets",
        ),
        (
            "DS",
            "1 13 2 0",
            8,
            "expected an even number of hexadecimal digits, found `0`",
        ),
        (
            "DNSKEY",
            "257 3 13 AQI",
            10,
            "expected whole base64, with its padding, found `AQI`",
        ),
        (
            "DNSKEY",
            "257 3 FOO AQID",
            7,
            "expected a DNSSEC algorithm, found `FOO`",
        ),
        ("NSEC", "a A FOO", 5, "expected a record type, found `FOO`"),
        (
            "NSEC",
            "a",
            2,
            "expected a record type, found the end of the record",
        ),
        ("LOC", "91 N 1 E 0", 1, "expected degrees up to 90, found `91`"),
        (
            "LOC",
            "90 0 0.001 N 1 E 0",
            1,
            "expected degrees up to 90, found `90`",
        ),
        ("LOC", "1 60 N 1 E 0", 3, "expected minutes, N or S, found `60`"),
        ("LOC", "1 1 1 1 E 0", 7, "expected N or S, found `1`"),
        (
            "APL",
            "1:10.0.0.0/33",
            1,
            "expected a prefix such as 1:192.0.2.0/24 or !2:2001:db8::/32, found `1:10.0.0.0/33`",
        ),
        (
            "IPSECKEY",
            "10 4 1 . AQID",
            7,
            "expected a gateway type from 0 to 3, found 4",
        ),
        (
            "SVCB",
            "1 . port=1 port=2",
            12,
            "expected every key only once, found `port=2`",
        ),
        (
            "SVCB",
            "1 . mandatory=port",
            5,
            "expected mandatory keys that are all present, found something else at mandatory",
        ),
        (
            "SVCB",
            "1 . no-default-alpn",
            5,
            "expected alpn, for there is no-default-alpn, found something else at no-default-alpn",
        ),
        (
            "SVCB",
            "1 . key01",
            5,
            "expected a service parameter such as alpn=h2 or key65000, found `key01`",
        ),
        (
            "SVCB",
            "1 . alpn=",
            5,
            "expected one protocol identifier or more, none empty, found something else at alpn",
        ),
        (
            "SVCB",
            "1 . dohpath=/q",
            5,
            "expected a relative URI template with the variable dns, found something else at key7",
        ),
        (
            "A",
            "\\# 3 0A0000",
            1,
            "not the rdata of a A record: octet 0 of the rdata: expected the four octets of an IPv4 address",
        ),
        (
            "A",
            "\\# 4 0A0000",
            4,
            "expected the length 3 of the rdata that follows, found `4`",
        ),
        (
            "TYPE65280",
            "x",
            1,
            "expected \\# and the rdata in hexadecimal, found `x`",
        ),
        (
            "SOA",
            "a b 1 1h 1x 1w 1d",
            10,
            "expected seconds, or a time such as 1h30m, found `1x`",
        ),
        (
            "RRSIG",
            "A 13 1 60 20301301000000 1 1 @ AQID",
            11,
            "expected a time as YYYYMMDDHHmmSS, or seconds since 1970, found `20301301000000`",
        ),
        (
            "CAA",
            "0 is-sue x",
            3,
            "expected a tag of letters and digits such as issue, found `is-sue`",
        ),
    ];
    for (mnemonic, text, column, message) in rows {
        let rtype = RrType::from_text(mnemonic).unwrap();
        let error = read(rtype, text.as_bytes()).expect_err(text);
        assert_eq!(error.to_string(), message, "{mnemonic} {text}");
        assert_eq!(
            (error.at.line, error.at.column),
            (1, column),
            "{mnemonic} {text}: {error}"
        );
    }
    let long = "a".repeat(256);
    let error = read(RrType::TXT, long.as_bytes()).unwrap_err().to_string();
    assert!(
        error.starts_with("expected a string of at most 255 octets (write several), found `aaa"),
        "{error}"
    );
    let error = read(RrType::TXT, "a ".repeat(40_000).as_bytes()).unwrap_err();
    assert_eq!(*error.fault, TextFault::TooLong);
}

#[test]
fn periods_have_units() {
    let rows = [
        ("0", Some(0)),
        ("4294967295", Some(u32::MAX)),
        ("4294967296", None),
        ("1h30m", Some(5_400)),
        ("1W2D3H4M5S", Some(788_645)),
        ("1h1h", Some(7_200)),
        ("1h30", None),
        ("h", None),
        ("", None),
        ("-1", None),
        ("8000w", None),
        ("99999999999w", None),
    ];
    for (text, seconds) in rows {
        assert_eq!(read_period(text.as_bytes()), seconds, "{text}");
    }
}

#[test]
fn rdata_that_is_not_of_its_type_is_printed_as_octets() {
    assert_eq!(print(RrType::A, b"\x01\x02"), "\\# 2 0102");
    assert_eq!(print(RrType(65_280), b""), "\\# 0");
    assert_eq!(print(RrType::OPT, b"\x01"), "\\# 1 01");
}

fn any_type() -> impl Strategy<Value = RrType> {
    prop_oneof![
        20 => (0..TABLE.len()).prop_map(|row| TABLE[row].rtype).prop_filter("data", |rtype| !rtype.is_meta()),
        1 => Just(RrType(65_280)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn wire_to_text_to_wire(rtype in any_type(), dice in prop::collection::vec(any::<u8>(), 0..400)) {
        let rdata = sample::rdata(rtype, &dice);
        prop_assert_eq!(validate_rdata(rtype, &rdata), Ok(()));
        let text = print(rtype, &rdata);
        prop_assert!(text.bytes().all(|octet| matches!(octet, 0x20..=0x7e)), "{}", text);
        prop_assert!(rtype.row().is_none() || !text.starts_with("\\#"), "{}", text);
        prop_assert_eq!(read(rtype, text.as_bytes()), Ok(rdata.clone()), "{} {}", rtype, text);
        let generic = print(RrType(65_280), &rdata);
        prop_assert_eq!(read(rtype, generic.as_bytes()), Ok(rdata.clone()), "{} {}", rtype, generic);
    }

    /// What is valid is never more than what can be written: text and wire accept the same.
    #[test]
    fn octets_that_are_valid_can_be_written(rtype in any_type(), mut dice in prop::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), octet in any::<u8>()) {
        let mut rdata = sample::rdata(rtype, &dice);
        if !rdata.is_empty() {
            let index = at.index(rdata.len());
            rdata[index] = octet;
        }
        if validate_rdata(rtype, &rdata).is_ok() {
            prop_assert_eq!(read(rtype, print(rtype, &rdata).as_bytes()), Ok(rdata.clone()), "{} {}", rtype, print(rtype, &rdata));
        }
        dice.truncate(40);
        print(rtype, &dice);
    }

    #[test]
    fn ipv6_is_read_as_std_reads_it(parts in prop::collection::vec(prop::sample::select(&[":", ":", "::", "0", "1", "db8", "ffff", "12345", "192.0.2.1", "g", "."][..]), 0..18)) {
        let text = parts.concat();
        let expected = text.parse().ok().map(|address: std::net::Ipv6Addr| address.octets());
        prop_assert_eq!(read::ipv6(text.as_bytes()), expected, "{}", text);
    }

    #[test]
    fn ipv6_that_std_prints_is_read(octets in any::<[u8; 16]>(), mask in any::<u16>()) {
        let address = std::net::Ipv6Addr::from_bits(u128::from_be_bytes(octets) & (0..16).fold(0, |bits, index| bits << 8 | if mask >> index & 1 == 1 { 255 } else { 0 }));
        prop_assert_eq!(read::ipv6(address.to_string().as_bytes()), Some(address.octets()));
    }

    #[test]
    fn any_text_is_rdata_or_an_error(
        rtype in any_type(),
        text in prop::collection::vec(prop_oneof![
            prop::sample::select(&["1", "0 ", " ", "a.", "\"", "\\", "\\# ", "=", ",", "(", ")", "\n", "AQID", "::1", "alpn", "key9", "N ", "E ", "m", "-", "\u{e9}"][..]).prop_map(|text| text.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 1..3),
        ], 0..20).prop_map(|parts| parts.concat())
    ) {
        if let Ok(rdata) = read(rtype, &text) {
            prop_assert_eq!(validate_rdata(rtype, &rdata), Ok(()), "{}", String::from_utf8_lossy(&text));
            prop_assert_eq!(read(rtype, print(rtype, &rdata).as_bytes()), Ok(rdata.clone()));
        }
    }
}
