//! Rdata from tokens to wire.

use super::{
    Lexer, TextError, TextFault, Token, decimal, expect_end, location, mnemonic, need, need_word, prefix,
    service,
};
use crate::{
    clock::UnixTime,
    wire::{
        name::{MAX_NAME, NameError, NameRef, parse_into, unescape},
        types::{Field, RrType, validate_rdata},
    },
};

/// Reads the rdata of a `rtype` record up to the end of the record into `out`, which is cleared first. Relative
/// names are completed by `origin`. `\#` (RFC 3597 §5) is taken for any type, and must be what the type has when
/// it is known. Names are uncompressed, their case kept.
///
/// # Errors
/// What stands where, and what was expected there. The lexer is somewhere within the record.
pub fn read_rdata(
    rtype: RrType,
    lexer: &mut Lexer<'_>,
    origin: Option<NameRef<'_>>,
    out: &mut Vec<u8>,
) -> Result<(), TextError> {
    out.clear();
    let row = rtype.row().filter(|row| !row.fields.is_empty());
    match row {
        Some(row) if !lexer.is_at_generic()? => {
            for field in row.fields {
                read_field(*field, lexer, origin, out)?;
            }
        }
        _ => read_generic(rtype, lexer, out)?,
    }
    expect_end(lexer)?;
    if out.len() > usize::from(u16::MAX) {
        return Err(TextError::new(lexer.position(), TextFault::TooLong));
    }
    Ok(())
}

/// `\# LENGTH HEX…`.
fn read_generic(rtype: RrType, lexer: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let sign = need(lexer, "\\# and the rdata in hexadecimal")?;
    if sign.is_quoted() || sign.text != b"\\#" {
        return Err(TextError::unexpected("\\# and the rdata in hexadecimal", &sign));
    }
    let expected = "the length of the rdata, up to 65535";
    let length_token = need_word(lexer, expected)?;
    let length = decimal(length_token.text, u64::from(u16::MAX))
        .ok_or_else(|| TextError::unexpected(expected, &length_token))? as usize;
    read_hex(lexer, out)?;
    if out.len() != length {
        let expected = format!("the length {} of the rdata that follows", out.len());
        return Err(TextError::unexpected(expected, &length_token));
    }
    validate_rdata(rtype, out)
        .map_err(|reason| TextError::new(sign.at, TextFault::Malformed { rtype, reason }))
}

pub(super) fn read_field(
    field: Field,
    lexer: &mut Lexer<'_>,
    origin: Option<NameRef<'_>>,
    out: &mut Vec<u8>,
) -> Result<(), TextError> {
    match field {
        Field::U8 => out.push(read_u8(lexer)?),
        Field::U16 => {
            let value = number(lexer, u64::from(u16::MAX), "a number up to 65535")?;
            out.extend_from_slice(&(value as u16).to_be_bytes());
        }
        Field::U32 => {
            let value = number(lexer, u64::from(u32::MAX), "a number up to 4294967295")?;
            out.extend_from_slice(&(value as u32).to_be_bytes());
        }
        Field::Period => read_period_field(lexer, out)?,
        Field::Time => read_time(lexer, out)?,
        Field::Type => read_type(lexer, out)?,
        Field::Algorithm => {
            let expected = "a DNSSEC algorithm";
            out.push(named(lexer, mnemonic::ALGORITHMS, u8::MAX.into(), expected)? as u8);
        }
        Field::DigestType => {
            let expected = "a digest type";
            out.push(named(lexer, mnemonic::DIGEST_TYPES, u8::MAX.into(), expected)? as u8);
        }
        Field::NotifyScheme => {
            let expected = "a scheme: NOTIFY or a number up to 255";
            out.push(named(lexer, mnemonic::NOTIFY_SCHEMES, u8::MAX.into(), expected)? as u8);
        }
        Field::CertificateType => {
            let expected = "a certificate type";
            let value = named(lexer, mnemonic::CERTIFICATE_TYPES, u16::MAX, expected)?;
            out.extend_from_slice(&value.to_be_bytes());
        }
        Field::Name(_) => read_name(lexer, origin, out)?,
        Field::Ipv4 => read_ipv4(lexer, out)?,
        Field::Ipv6 => read_ipv6(lexer, out)?,
        Field::Locator64 => read_locator(lexer, out)?,
        Field::Eui48 => read_eui(lexer, 6, "six octets such as 00-00-5e-00-53-2a", out)?,
        Field::Eui64 => read_eui(lexer, 8, "eight octets such as 00-00-5e-ef-10-00-00-2a", out)?,
        Field::Text => {
            let token = need(lexer, "a character string")?;
            push_text(&token, out)?;
        }
        Field::Texts => read_texts(lexer, out)?,
        Field::LongText => {
            let token = need(lexer, "a quoted string")?;
            push_unescaped(&token, out)?;
        }
        Field::Tag => read_tag(lexer, out)?,
        Field::Hex => read_some_hex(lexer, out)?,
        Field::Digest | Field::Fingerprint | Field::ZoneDigest => read_digest(field, lexer, out)?,
        Field::Base64 => read_base64(lexer, out)?,
        Field::Salt => read_salt(lexer, out)?,
        Field::HashedOwner => read_hashed_owner(lexer, out)?,
        Field::SomeTypes => read_types(lexer, true, out)?,
        Field::AnyTypes => read_types(lexer, false, out)?,
        Field::Location => location::read(lexer, out)?,
        Field::AddressPrefixes => prefix::read(lexer, out)?,
        Field::GatewayAndKey => read_gateway_and_key(lexer, origin, out)?,
        Field::HostIdentity => read_host_identity(lexer, origin, out)?,
        Field::ServiceParameters => service::read(lexer, out)?,
    }
    Ok(())
}

fn number(lexer: &mut Lexer<'_>, largest: u64, expected: &'static str) -> Result<u64, TextError> {
    let token = need_word(lexer, expected)?;
    decimal(token.text, largest).ok_or_else(|| TextError::unexpected(expected, &token))
}

fn read_u8(lexer: &mut Lexer<'_>) -> Result<u8, TextError> {
    number(lexer, u64::from(u8::MAX), "a number up to 255").map(|value| value as u8)
}

/// A number up to `largest`, or a mnemonic for one.
fn named(
    lexer: &mut Lexer<'_>,
    names: mnemonic::Names,
    largest: u16,
    expected: &'static str,
) -> Result<u16, TextError> {
    let token = need_word(lexer, expected)?;
    decimal(token.text, largest.into())
        .map(|value| value as u16)
        .or_else(|| mnemonic::number(names, token.text))
        .ok_or_else(|| TextError::unexpected(expected, &token))
}

/// Seconds, or numbers with the units w, d, h, m and s as in `1h30m`. `None` for other text and for more than
/// 2^32 − 1 seconds.
pub fn read_period(text: &[u8]) -> Option<u32> {
    if let Some(seconds) = decimal(text, u32::MAX.into()) {
        return Some(seconds as u32);
    }
    let (mut total, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let digits = rest.iter().take_while(|octet| octet.is_ascii_digit()).count();
        let unit = match rest.get(digits)?.to_ascii_lowercase() {
            b'w' => 604_800,
            b'd' => 86_400,
            b'h' => 3_600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        total += decimal(&rest[..digits], u32::MAX.into())? * unit;
        rest = &rest[digits + 1..];
        if total > u32::MAX.into() {
            return None;
        }
    }
    (!text.is_empty()).then_some(total as u32)
}

fn read_period_field(lexer: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let expected = "seconds, or a time such as 1h30m";
    let token = need_word(lexer, expected)?;
    let seconds = read_period(token.text).ok_or_else(|| TextError::unexpected(expected, &token))?;
    out.extend_from_slice(&seconds.to_be_bytes());
    Ok(())
}

/// `YYYYMMDDHHmmSS`, or seconds since 1970; both modulo 2^32 (RFC 4034 §3.1.5).
fn read_time(lexer: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let expected = "a time as YYYYMMDDHHmmSS, or seconds since 1970";
    let token = need_word(lexer, expected)?;
    let serial = match token.text.len() {
        14 => dated(token.text),
        _ => decimal(token.text, u32::MAX.into()).map(|seconds| seconds as u32),
    };
    let serial = serial.ok_or_else(|| TextError::unexpected(expected, &token))?;
    out.extend_from_slice(&serial.to_be_bytes());
    Ok(())
}

/// BIND prints a serial that lies far ahead as a date before 1970: it is read as what it is 400 years later,
/// when the calendar is the same again.
fn dated(text: &[u8]) -> Option<u32> {
    const SECONDS_OF_400_YEARS: u64 = 146_097 * 86_400;
    let text = std::str::from_utf8(text).ok()?;
    let (year, rest) = text.split_at_checked(4)?;
    match decimal(year.as_bytes(), 9_999)? {
        year @ ..1970 => {
            let later = UnixTime::from_dnssec(&format!("{:04}{rest}", year + 400))?;
            Some(later.0.wrapping_sub(SECONDS_OF_400_YEARS) as u32)
        }
        _ => UnixTime::from_dnssec(text).map(UnixTime::to_serial),
    }
}

fn read_type(lexer: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let token = need_word(lexer, "a record type")?;
    let rtype =
        RrType::from_octets(token.text).ok_or_else(|| TextError::unexpected("a record type", &token))?;
    out.extend_from_slice(&rtype.0.to_be_bytes());
    Ok(())
}

fn read_name(lexer: &mut Lexer<'_>, origin: Option<NameRef<'_>>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let token = need_word(lexer, "a name")?;
    push_name(&token, origin, out)
}

fn push_name(token: &Token<'_>, origin: Option<NameRef<'_>>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let mut buffer = [0; MAX_NAME];
    let length =
        parse_into(token.text, origin, &mut buffer).map_err(|reason| TextError::name(token, reason))?;
    out.extend_from_slice(&buffer[..length]);
    Ok(())
}

fn read_ipv4(lexer: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let expected = "an IPv4 address";
    let token = need_word(lexer, expected)?;
    let address = ipv4(token.text).ok_or_else(|| TextError::unexpected(expected, &token))?;
    out.extend_from_slice(&address);
    Ok(())
}

/// Four decimal numbers up to 255 without leading zeros, which some read as octal.
pub(super) fn ipv4(text: &[u8]) -> Option<[u8; 4]> {
    let mut address = [0; 4];
    let mut at = 0;
    for (index, octet) in address.iter_mut().enumerate() {
        if index > 0 {
            (text.get(at) == Some(&b'.')).then_some(())?;
            at += 1;
        }
        let first = at;
        let mut value = 0_u32;
        while let Some(digit @ b'0'..=b'9') = text.get(at) {
            value = value * 10 + u32::from(digit - b'0');
            at += 1;
            if at - first > 3 {
                return None;
            }
        }
        if at == first || (at - first > 1 && text[first] == b'0') {
            return None;
        }
        *octet = u8::try_from(value).ok()?;
    }
    (at == text.len()).then_some(address)
}

fn read_ipv6(lexer: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let expected = "an IPv6 address";
    let token = need_word(lexer, expected)?;
    let address = ipv6(token.text).ok_or_else(|| TextError::unexpected(expected, &token))?;
    out.extend_from_slice(&address);
    Ok(())
}

/// RFC 4291 §2.2, by hand: it is half the work of reading an AAAA record, and std's takes three times as long.
pub(super) fn ipv6(text: &[u8]) -> Option<[u8; 16]> {
    let (mut groups, mut count, mut gap, mut at) = ([0_u16; 8], 0, None, 0);
    if text.starts_with(b"::") {
        (gap, at) = (Some(0), 2);
    }
    while at < text.len() {
        let start = at;
        let mut value = 0;
        while let Some(digit) = text.get(at).and_then(|digit| nibble(*digit)) {
            if at - start == 4 {
                return None;
            }
            value = value << 4 | u16::from(digit);
            at += 1;
        }
        if text.get(at) == Some(&b'.') && count <= 6 {
            let [a, b, c, d] = ipv4(&text[start..])?;
            groups[count] = u16::from_be_bytes([a, b]);
            groups[count + 1] = u16::from_be_bytes([c, d]);
            count += 2;
            break;
        }
        if at == start || count == 8 {
            return None;
        }
        groups[count] = value;
        count += 1;
        match text[at..] {
            [] => {}
            [b':', b':', ..] if gap.is_none() => {
                gap = Some(count);
                at += 2;
            }
            [b':', next, ..] if next != b':' => at += 1,
            _ => return None,
        }
    }
    match gap {
        None if count == 8 => {}
        // The gap stands for one group at least; what is behind it moves to the end.
        Some(gap) if count < 8 => groups[gap..].rotate_right(8 - count),
        _ => return None,
    }
    let mut address = [0; 16];
    for (octets, group) in address.chunks_exact_mut(2).zip(groups) {
        octets.copy_from_slice(&group.to_be_bytes());
    }
    Some(address)
}

fn read_locator(lexer: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let expected = "four groups of hexadecimal digits such as 2001:db8:1:2";
    let token = need_word(lexer, expected)?;
    let wrong = || TextError::unexpected(expected, &token);
    let mut count = 0;
    for group in token.text.split(|octet| *octet == b':') {
        if !(1..=4).contains(&group.len()) {
            return Err(wrong());
        }
        let mut value = 0_u16;
        for digit in group {
            value = value << 4 | u16::from(nibble(*digit).ok_or_else(wrong)?);
        }
        out.extend_from_slice(&value.to_be_bytes());
        count += 1;
    }
    if count == 4 { Ok(()) } else { Err(wrong()) }
}

fn read_eui(
    lexer: &mut Lexer<'_>,
    octets: usize,
    expected: &'static str,
    out: &mut Vec<u8>,
) -> Result<(), TextError> {
    let token = need_word(lexer, expected)?;
    let wrong = || TextError::unexpected(expected, &token);
    if token.text.len() != octets * 3 - 1 {
        return Err(wrong());
    }
    for pair in token.text.chunks(3) {
        if pair.get(2).is_some_and(|octet| *octet != b'-') {
            return Err(wrong());
        }
        let (high, low) = (
            nibble(pair[0]).ok_or_else(wrong)?,
            nibble(pair[1]).ok_or_else(wrong)?,
        );
        out.push(high << 4 | low);
    }
    Ok(())
}

/// A character string: a length octet and at most 255 octets.
fn push_text(token: &Token<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let length_at = out.len();
    out.push(0);
    push_unescaped(token, out)?;
    let length = u8::try_from(out.len() - length_at - 1)
        .map_err(|_| TextError::unexpected("a string of at most 255 octets (write several)", token))?;
    out[length_at] = length;
    Ok(())
}

/// A token's octets, its escapes resolved.
pub(super) fn push_unescaped(token: &Token<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    if !token.text.contains(&b'\\') {
        out.extend_from_slice(token.text);
        return Ok(());
    }
    let mut rest = token.text;
    while let Some((&octet, behind)) = rest.split_first() {
        rest = behind;
        if octet == b'\\' {
            let (octet, used) = unescape(rest).map_err(|_: NameError| {
                TextError::unexpected("a character or three digits up to 255 behind a backslash", token)
            })?;
            out.push(octet);
            rest = &rest[used..];
        } else {
            out.push(octet);
        }
    }
    Ok(())
}

fn read_texts(lexer: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let mut token = need(lexer, "a character string")?;
    loop {
        push_text(&token, out)?;
        match lexer.token()? {
            Some(next) => token = next,
            None => return Ok(()),
        }
    }
}

fn read_tag(lexer: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let expected = "a tag of letters and digits such as issue";
    let token = need_word(lexer, expected)?;
    let good = (1..=255).contains(&token.text.len()) && token.text.iter().all(u8::is_ascii_alphanumeric);
    if !good {
        return Err(TextError::unexpected(expected, &token));
    }
    out.push(token.text.len() as u8);
    out.extend_from_slice(token.text);
    Ok(())
}

pub(super) fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Hexadecimal digits to the end of the record; blanks may stand anywhere between them.
fn read_hex(lexer: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let expected = "hexadecimal digits, two an octet";
    let mut half = None;
    let mut last: Option<Token<'_>> = None;
    while let Some(token) = lexer.token()? {
        last = Some(token);
        for digit in token.text {
            let value = nibble(*digit).filter(|_| !token.is_quoted());
            let value = value.ok_or_else(|| TextError::unexpected(expected, &token))?;
            half = match half {
                None => Some(value << 4),
                Some(high) => {
                    out.push(high | value);
                    None
                }
            };
        }
    }
    match (half, last) {
        (Some(_), Some(token)) => Err(TextError::unexpected(
            "an even number of hexadecimal digits",
            &token,
        )),
        _ => Ok(()),
    }
}

fn read_some_hex(lexer: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let start = out.len();
    read_hex(lexer, out)?;
    if out.len() == start {
        return Err(TextError::missing("hexadecimal digits", lexer));
    }
    Ok(())
}

/// A digest whose length hangs on what stands in front of it.
fn read_digest(field: Field, lexer: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let start = out.len();
    lexer.skip_blanks()?;
    let at = lexer.position();
    read_some_hex(lexer, out)?;
    if let Err(reason) = crate::wire::types::check_field(field, out, start) {
        let found = format!("{} octets", out.len() - start);
        return Err(TextError::unexpected_text(reason.expected, found, at));
    }
    Ok(())
}

fn read_base64(lexer: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let expected = "base64";
    let first = need_word(lexer, expected)?;
    let mut joined = Vec::new();
    let mut digits = first.text;
    while let Some(next) = lexer.token()? {
        if next.is_quoted() {
            return Err(TextError::unexpected(expected, &next));
        }
        if joined.is_empty() {
            joined.extend_from_slice(first.text);
        }
        joined.extend_from_slice(next.text);
    }
    if !joined.is_empty() {
        digits = &joined;
    }
    push_decoded(&data_encoding::BASE64, digits, out)
        .ok_or_else(|| TextError::unexpected("whole base64, with its padding", &first))
}

/// Decodes `digits` to the end of `out`; `None` when they are not of that encoding.
pub(super) fn push_decoded(
    encoding: &data_encoding::Encoding,
    digits: &[u8],
    out: &mut Vec<u8>,
) -> Option<()> {
    let start = out.len();
    let room = encoding.decode_len(digits.len()).ok()?;
    out.resize(start + room, 0);
    let length = encoding.decode_mut(digits, &mut out[start..]).ok()?;
    out.truncate(start + length);
    Some(())
}

fn read_salt(lexer: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let expected = "a salt of up to 255 octets in hexadecimal, or -";
    let token = need_word(lexer, expected)?;
    let start = out.len();
    out.push(0);
    if token.text == b"-" {
        return Ok(());
    }
    let length = push_decoded(&data_encoding::HEXLOWER_PERMISSIVE, token.text, out)
        .and_then(|()| u8::try_from(out.len() - start - 1).ok())
        .ok_or_else(|| TextError::unexpected(expected, &token))?;
    out[start] = length;
    Ok(())
}

fn read_hashed_owner(lexer: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let expected = "a hash in base32hex: 20 octets of SHA-1, or up to 39 of another algorithm";
    let token = need_word(lexer, expected)?;
    let start = out.len();
    out.push(0);
    let upper = token.text.to_ascii_uppercase();
    let length = push_decoded(&data_encoding::BASE32HEX_NOPAD, &upper, out)
        .and_then(|()| u8::try_from(out.len() - start - 1).ok())
        .ok_or_else(|| TextError::unexpected(expected, &token))?;
    out[start] = length;
    if crate::wire::types::check_field(Field::HashedOwner, out, start).is_err() {
        return Err(TextError::unexpected(expected, &token));
    }
    Ok(())
}

/// Types to the end of the record, as windows (RFC 4034 §4.1.2).
fn read_types(lexer: &mut Lexer<'_>, some: bool, out: &mut Vec<u8>) -> Result<(), TextError> {
    let mut types = Vec::new();
    while let Some(token) = lexer.token()? {
        match RrType::from_octets(token.text) {
            Some(rtype) if !token.is_quoted() => types.push(rtype.0),
            _ => return Err(TextError::unexpected("a record type", &token)),
        }
    }
    if some && types.is_empty() {
        return Err(TextError::missing("a record type", lexer));
    }
    types.sort_unstable();
    for window in types.chunk_by(|a, b| a >> 8 == b >> 8) {
        let last = window[window.len() - 1] as u8;
        out.extend_from_slice(&[(window[0] >> 8) as u8, last / 8 + 1]);
        let bits_at = out.len();
        out.resize(bits_at + usize::from(last / 8) + 1, 0);
        for rtype in window {
            let low = *rtype as u8;
            out[bits_at + usize::from(low / 8)] |= 0x80 >> (low % 8);
        }
    }
    Ok(())
}

/// IPSECKEY behind its three numbers (RFC 4025 §3.1). Algorithm 0 goes without a key.
fn read_gateway_and_key(
    lexer: &mut Lexer<'_>,
    origin: Option<NameRef<'_>>,
    out: &mut Vec<u8>,
) -> Result<(), TextError> {
    match out[1] {
        0 => {
            let token = need_word(lexer, "a dot, for there is no gateway")?;
            if token.text != b"." {
                return Err(TextError::unexpected("a dot, for there is no gateway", &token));
            }
        }
        1 => read_ipv4(lexer, out)?,
        2 => read_ipv6(lexer, out)?,
        3 => read_name(lexer, origin, out)?,
        other => {
            let expected = "a gateway type from 0 to 3";
            return Err(TextError::unexpected_text(
                expected,
                other.to_string(),
                lexer.position(),
            ));
        }
    }
    lexer.skip_blanks()?;
    if out[2] == 0 && lexer.is_at_end_of_record() {
        return Ok(());
    }
    read_base64(lexer, out)
}

/// HIP (RFC 8005 §6): algorithm, tag, key, servers; in the wire the lengths of tag and key stand in front.
fn read_host_identity(
    lexer: &mut Lexer<'_>,
    origin: Option<NameRef<'_>>,
    out: &mut Vec<u8>,
) -> Result<(), TextError> {
    let algorithm = read_u8(lexer)?;
    let expected = "a host identity tag of up to 255 octets in hexadecimal";
    let token = need_word(lexer, expected)?;
    out.extend_from_slice(&[0, algorithm, 0, 0]);
    let tag_length = push_decoded(&data_encoding::HEXLOWER_PERMISSIVE, token.text, out)
        .and_then(|()| u8::try_from(out.len() - 4).ok())
        .filter(|length| *length > 0)
        .ok_or_else(|| TextError::unexpected(expected, &token))?;
    out[0] = tag_length;
    let expected = "a public key in base64, without blanks";
    let token = need_word(lexer, expected)?;
    let key_at = out.len();
    let key_length = push_decoded(&data_encoding::BASE64, token.text, out)
        .and_then(|()| u16::try_from(out.len() - key_at).ok())
        .filter(|length| *length > 0)
        .ok_or_else(|| TextError::unexpected(expected, &token))?;
    out[2..4].copy_from_slice(&key_length.to_be_bytes());
    while let Some(token) = lexer.token()? {
        if token.is_quoted() {
            return Err(TextError::unexpected("a name", &token));
        }
        push_name(&token, origin, out)?;
    }
    Ok(())
}
