//! SvcParams (RFC 9460 §2.1, appendix A): `key`, `key=value` or `key="value"`, in any order; in the wire
//! ascending by key. Two levels of escapes: the character string's, and within a list those of its commas.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use super::{
    Lexer, TextError, TextFault, Token, decimal, print,
    read::{ipv4, ipv6, push_decoded, push_unescaped},
};
use crate::wire::types::{
    Field, check_field,
    service::{ALPN, DOHPATH, ECH, IPV4HINT, IPV6HINT, MANDATORY, NO_DEFAULT_ALPN, OHTTP, PORT, parameter},
    u16_at,
};

/// Keys by name. What is printed for `dohpath` and `ohttp` is their number: BIND 9.18 knows no names for them.
const KEYS: &[(&str, u16)] = &[
    ("mandatory", MANDATORY),
    ("alpn", ALPN),
    ("no-default-alpn", NO_DEFAULT_ALPN),
    ("port", PORT),
    ("ipv4hint", IPV4HINT),
    ("ech", ECH),
    ("ipv6hint", IPV6HINT),
    ("dohpath", DOHPATH),
    ("ohttp", OHTTP),
];
/// The largest key that is printed by its name.
const LARGEST_PRINTED_NAME: u16 = IPV6HINT;

pub(super) fn read(lexer: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let start = out.len();
    lexer.skip_blanks()?;
    let at = lexer.position();
    let mut parameters: Vec<(u16, Vec<u8>)> = Vec::new();
    while let Some(token) = lexer.parameter()? {
        let (key, value) = parse_parameter(&token)?;
        if parameters.iter().any(|(other, _)| *other == key) {
            return Err(TextError::unexpected("every key only once", &token));
        }
        parameters.push((key, value));
    }
    parameters.sort_unstable_by_key(|(key, _)| *key);
    for (key, value) in &parameters {
        out.extend_from_slice(&key.to_be_bytes());
        let length = u16::try_from(value.len()).map_err(|_| TextError::new(at, TextFault::TooLong))?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(value);
    }
    check_field(Field::ServiceParameters, out, start)
        .map(drop)
        .map_err(|reason| {
            let found = match key_at(out, start, reason.at) {
                Some(key) => format!("something else at {}", KeyName(key)),
                None => "none".into(),
            };
            TextError::unexpected_text(reason.expected, found, at)
        })
}

/// The key of the parameter in which the octet at `wrong` is.
fn key_at(out: &[u8], start: usize, wrong: usize) -> Option<u16> {
    let mut at = start;
    while let Some((key, value)) = parameter(out, at) {
        if wrong <= value.end {
            return Some(key);
        }
        at = value.end;
    }
    None
}

fn parse_key(text: &[u8]) -> Option<u16> {
    named_key(text).or_else(|| numbered_key(text))
}

fn named_key(text: &[u8]) -> Option<u16> {
    let named = |(name, _): &&(&str, u16)| name.as_bytes().eq_ignore_ascii_case(text);
    KEYS.iter().find(named).map(|(_, key)| *key)
}

fn numbered_key(text: &[u8]) -> Option<u16> {
    let (front, digits) = text.split_at_checked(3)?;
    // No leading zeros (RFC 9460 §2.1): one key has one name.
    if !front.eq_ignore_ascii_case(b"key") || (digits.len() > 1 && digits[0] == b'0') {
        return None;
    }
    decimal(digits, u16::MAX.into()).map(|key| key as u16)
}

fn parse_parameter(token: &Token<'_>) -> Result<(u16, Vec<u8>), TextError> {
    let expected = "a service parameter such as alpn=h2 or key65000";
    let (name, value) = match token.text.iter().position(|octet| *octet == b'=') {
        Some(at) => (&token.text[..at], Some(&token.text[at + 1..])),
        None => (token.text, None),
    };
    let key = parse_key(name).filter(|_| !token.is_quoted());
    let key = key.ok_or_else(|| TextError::unexpected(expected, token))?;
    let text = value.unwrap_or_default();
    let text = text
        .strip_prefix(b"\"")
        .and_then(|text| text.strip_suffix(b"\""))
        .unwrap_or(text);
    let mut octets = Vec::new();
    push_unescaped(&Token { text, ..*token }, &mut octets)?;
    // Behind a key's number stands the value as the wire has it, also of a key with a name (RFC 9460 §2.1).
    let named = named_key(name);
    let expected = match named.unwrap_or(u16::MAX) {
        MANDATORY => "mandatory= and a list of keys",
        ALPN => "alpn= and a list of protocols of at most 255 octets",
        PORT => "port= and a number up to 65535",
        IPV4HINT => "ipv4hint= and a list of IPv4 addresses",
        ECH => "ech= and base64",
        IPV6HINT => "ipv6hint= and a list of IPv6 addresses",
        _ => return Ok((key, octets)),
    };
    let mut wire = Vec::new();
    let parsed = match key {
        MANDATORY => parse_mandatory(&octets, &mut wire),
        ALPN => parse_alpn(&octets, &mut wire),
        PORT => {
            decimal(&octets, u16::MAX.into()).map(|port| wire.extend_from_slice(&(port as u16).to_be_bytes()))
        }
        IPV4HINT => parse_list(&octets, |item| {
            ipv4(item).map(|address| wire.extend_from_slice(&address))
        }),
        IPV6HINT => parse_list(&octets, |item| {
            ipv6(item).map(|address| wire.extend_from_slice(&address))
        }),
        _ => push_decoded(&data_encoding::BASE64, &octets, &mut wire),
    };
    match parsed {
        Some(()) => Ok((key, wire)),
        None => Err(TextError::unexpected(expected, token)),
    }
}

/// A list whose items have no commas of their own.
fn parse_list(text: &[u8], item: impl FnMut(&[u8]) -> Option<()>) -> Option<()> {
    text.split(|octet| *octet == b',').try_for_each(item)
}

/// In the wire the keys ascend (RFC 9460 §8).
fn parse_mandatory(text: &[u8], wire: &mut Vec<u8>) -> Option<()> {
    let mut keys = Vec::new();
    parse_list(text, |item| {
        keys.push(parse_key(item)?);
        Some(())
    })?;
    keys.sort_unstable();
    wire.extend(keys.iter().flat_map(|key| key.to_be_bytes()));
    Some(())
}

/// Items may hold commas and backslashes, escaped once more (RFC 9460 appendix A.1).
fn parse_alpn(text: &[u8], wire: &mut Vec<u8>) -> Option<()> {
    let mut length_at = wire.len();
    wire.push(0);
    let mut octets = text.iter();
    while let Some(&octet) = octets.next() {
        match octet {
            b',' => {
                wire[length_at] = u8::try_from(wire.len() - length_at - 1).ok()?;
                length_at = wire.len();
                wire.push(0);
            }
            b'\\' => wire.push(*octets.next()?),
            _ => wire.push(octet),
        }
    }
    wire[length_at] = u8::try_from(wire.len() - length_at - 1).ok()?;
    Some(())
}

struct KeyName(u16);

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match KEYS.iter().find(|(_, key)| *key == self.0) {
            Some((name, key)) if *key <= LARGEST_PRINTED_NAME => f.write_str(name),
            _ => write!(f, "key{}", self.0),
        }
    }
}

/// Prints SvcParams that have been checked.
pub(super) fn print(rdata: &[u8], mut at: usize, out: &mut dyn fmt::Write) -> fmt::Result {
    while let Some((key, value)) = parameter(rdata, at) {
        at = value.end;
        let value = &rdata[value];
        write!(out, " {}", KeyName(key))?;
        match key {
            MANDATORY => print_list(value.chunks_exact(2).map(|key| KeyName(u16_at(key, 0))), out)?,
            ALPN => print_alpn(value, out)?,
            PORT => write!(out, "={}", u16_at(value, 0))?,
            IPV4HINT => {
                let addresses = value.as_chunks::<4>().0;
                print_list(addresses.iter().map(|octets| Ipv4Addr::from(*octets)), out)?;
            }
            ECH => {
                out.write_char('=')?;
                data_encoding::BASE64.encode_write(value, &mut &mut *out)?;
            }
            IPV6HINT => {
                let addresses = value.as_chunks::<16>().0;
                print_list(addresses.iter().map(|octets| Ipv6Addr::from(*octets)), out)?;
            }
            _ if value.is_empty() => {}
            _ => {
                out.write_char('=')?;
                print::print_character_string(value, out)?;
            }
        }
    }
    Ok(())
}

fn print_list(items: impl Iterator<Item = impl fmt::Display>, out: &mut dyn fmt::Write) -> fmt::Result {
    let mut front = '=';
    for item in items {
        write!(out, "{front}{item}")?;
        front = ',';
    }
    Ok(())
}

fn print_alpn(mut value: &[u8], out: &mut dyn fmt::Write) -> fmt::Result {
    let mut list = Vec::with_capacity(value.len());
    while let Some((length, rest)) = value.split_first() {
        let (item, rest) = rest.split_at(usize::from(*length));
        if !list.is_empty() {
            list.push(b',');
        }
        for &octet in item {
            if matches!(octet, b',' | b'\\') {
                list.push(b'\\');
            }
            list.push(octet);
        }
        value = rest;
    }
    out.write_char('=')?;
    print::print_character_string(&list, out)
}
