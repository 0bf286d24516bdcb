//! LOC (RFC 1876 §3): degrees, altitude and precisions in text; thousandths of seconds, centimetres and
//! one-digit powers of ten in the wire.

use std::fmt;

use super::{Lexer, TextError, Token, decimal, need_word};
use crate::wire::types::u32_at;

/// The equator and the prime meridian in the wire.
const MIDDLE: u32 = 1 << 31;
/// Zero altitude is this many centimetres above the wire's zero.
const ALTITUDE_BASE: i64 = 10_000_000;
/// A thousandth of a second is the unit of angles.
const MINUTE: u32 = 60_000;
const DEGREE: u32 = 60 * MINUTE;
/// The largest size or precision, in centimetres.
const LARGEST_SIZE: u64 = 9_000_000_000;
/// Size, horizontal and vertical precision when left out: 1 m, 10 km, 10 m.
const DEFAULT_SIZES: [u8; 3] = [0x12, 0x16, 0x13];

pub(super) fn read(lexer: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let latitude = read_angle(lexer, 90, [b'N', b'S'])?;
    let longitude = read_angle(lexer, 180, [b'E', b'W'])?;
    let altitude = read_altitude(lexer)?;
    let mut sizes = DEFAULT_SIZES;
    for size in &mut sizes {
        match lexer.token()? {
            Some(token) => *size = parse_size(&token)?,
            None => break,
        }
    }
    out.push(0);
    out.extend_from_slice(&sizes);
    for value in [latitude, longitude, altitude] {
        out.extend_from_slice(&value.to_be_bytes());
    }
    Ok(())
}

/// `DEGREES [MINUTES [SECONDS]] LETTER`.
fn read_angle(lexer: &mut Lexer<'_>, most: u32, [plus, minus]: [u8; 2]) -> Result<u32, TextError> {
    let expected_degrees = if most == 90 {
        "degrees up to 90"
    } else {
        "degrees up to 180"
    };
    let degrees = need_word(lexer, expected_degrees)?;
    let wrong = || TextError::unexpected(expected_degrees, &degrees);
    let mut angle = decimal(degrees.text, most.into()).ok_or_else(wrong)? as u32 * DEGREE;
    let expected = match plus {
        b'N' => ["minutes, N or S", "seconds, N or S", "N or S"],
        _ => ["minutes, E or W", "seconds, E or W", "E or W"],
    };
    for (part, expected) in expected.into_iter().enumerate() {
        let token = need_word(lexer, expected)?;
        if let [letter] = token.text
            && [plus, minus].contains(&letter.to_ascii_uppercase())
        {
            if angle > most * DEGREE {
                return Err(wrong());
            }
            let is_plus = letter.to_ascii_uppercase() == plus;
            return Ok(if is_plus { MIDDLE + angle } else { MIDDLE - angle });
        }
        let value = match part {
            0 => decimal(token.text, 59).map(|minutes| minutes as u32 * MINUTE),
            1 => fixed_point(token.text, 3)
                .filter(|thousandths| *thousandths < MINUTE.into())
                .map(|thousandths| thousandths as u32),
            _ => None,
        };
        angle += value.ok_or_else(|| TextError::unexpected(expected, &token))?;
    }
    // The third round either returns or finds no number that fits.
    Err(wrong())
}

fn read_altitude(lexer: &mut Lexer<'_>) -> Result<u32, TextError> {
    let expected = "an altitude in metres from -100000.00 to 42849672.95";
    let token = need_word(lexer, expected)?;
    let (negative, text) = match token.text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, token.text),
    };
    metres(text)
        .and_then(|centimetres| i64::try_from(centimetres).ok())
        .map(|centimetres| if negative { -centimetres } else { centimetres })
        .and_then(|centimetres| u32::try_from(centimetres + ALTITUDE_BASE).ok())
        .ok_or_else(|| TextError::unexpected(expected, &token))
}

/// Metres to one digit and a power of ten, in centimetres; what does not fit is cut off (RFC 1876 appendix A).
fn parse_size(token: &Token<'_>) -> Result<u8, TextError> {
    let expected = "a size or precision in metres, from 0 to 90000000.00";
    let mut value = metres(token.text)
        .filter(|centimetres| *centimetres <= LARGEST_SIZE && !token.is_quoted())
        .ok_or_else(|| TextError::unexpected(expected, token))?;
    let mut power = 0;
    while value >= 10 {
        value /= 10;
        power += 1;
    }
    Ok((value as u8) << 4 | power)
}

/// Centimetres.
fn metres(text: &[u8]) -> Option<u64> {
    let text = text
        .strip_suffix(b"m")
        .or_else(|| text.strip_suffix(b"M"))
        .unwrap_or(text);
    fixed_point(text, 2)
}

/// A decimal number with at most `places` places, times 10 to the power of `places`.
fn fixed_point(text: &[u8], places: usize) -> Option<u64> {
    const LARGEST: u64 = 10_000_000_000;
    let (whole, fraction) = match text.iter().position(|octet| *octet == b'.') {
        Some(dot) => (&text[..dot], Some(&text[dot + 1..])),
        None => (text, None),
    };
    let mut value = decimal(whole, LARGEST)? * 10_u64.pow(places as u32);
    if let Some(fraction) = fraction {
        if fraction.len() > places {
            return None;
        }
        value += decimal(fraction, LARGEST)? * 10_u64.pow((places - fraction.len()) as u32);
    }
    Some(value)
}

/// Prints 16 octets that have been checked.
pub(super) fn print(rdata: &[u8], out: &mut dyn fmt::Write) -> fmt::Result {
    print_angle(u32_at(rdata, 4), ['N', 'S'], out)?;
    out.write_char(' ')?;
    print_angle(u32_at(rdata, 8), ['E', 'W'], out)?;
    let altitude = i64::from(u32_at(rdata, 12)) - ALTITUDE_BASE;
    let sign = if altitude < 0 { "-" } else { "" };
    let altitude = altitude.unsigned_abs();
    write!(out, " {sign}{}.{:02}m", altitude / 100, altitude % 100)?;
    for size in &rdata[1..4] {
        let centimetres = u64::from(size >> 4) * 10_u64.pow(u32::from(size & 15));
        write!(out, " {}", centimetres / 100)?;
        if centimetres % 100 != 0 {
            write!(out, ".{:02}", centimetres % 100)?;
        }
        out.write_char('m')?;
    }
    Ok(())
}

fn print_angle(value: u32, [plus, minus]: [char; 2], out: &mut dyn fmt::Write) -> fmt::Result {
    let letter = if value >= MIDDLE { plus } else { minus };
    let angle = value.abs_diff(MIDDLE);
    let (degrees, minutes, thousandths) = (angle / DEGREE, angle % DEGREE / MINUTE, angle % MINUTE);
    let (seconds, fraction) = (thousandths / 1_000, thousandths % 1_000);
    write!(out, "{degrees} {minutes:02} {seconds:02}.{fraction:03} {letter}")
}
