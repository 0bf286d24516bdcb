//! Rdata from wire to text, as BIND and ldns print it and read it.

use std::{
    fmt::{self, Write},
    net::{Ipv4Addr, Ipv6Addr},
};

use super::{location, mnemonic, prefix, service};
use crate::{
    clock::UnixTime,
    wire::{
        name::NameRef,
        types::{Field, HostIdentity, RrType, check_field, gateway_end, u16_at, u32_at, validate_rdata},
    },
};

/// Types whose names BIND 9.18 or ldns 1.8 do not know in a bitmap (ldns reads TYPE0 without a word).
const YOUNG_TYPES: [RrType; 4] = [RrType::DSYNC, RrType::NXNAME, RrType::RESINFO, RrType::WALLET];

/// Prints the rdata of a `rtype` record, without line breaks. Rdata that its type does not have, and that of
/// types without a row, is printed as `\#` (RFC 3597 §5).
///
/// # Errors
/// Those of `out`.
pub fn print_rdata(rtype: RrType, rdata: &[u8], out: &mut dyn Write) -> fmt::Result {
    let row = rtype.row().filter(|row| !row.fields.is_empty());
    let Some(row) = row.filter(|_| validate_rdata(rtype, rdata).is_ok()) else {
        return print_generic(rdata, out);
    };
    let mut at = 0;
    for (index, field) in row.fields.iter().enumerate() {
        let Ok(end) = check_field(*field, rdata, at) else {
            return Ok(());
        };
        // SvcParams bring a blank each; no types are no text.
        let is_joined = *field == Field::ServiceParameters || (*field == Field::AnyTypes && at == end);
        if index > 0 && !is_joined {
            out.write_char(' ')?;
        }
        print_field(*field, rdata, at, end, out)?;
        at = end;
    }
    Ok(())
}

fn print_generic(rdata: &[u8], out: &mut dyn Write) -> fmt::Result {
    write!(out, "\\# {}", rdata.len())?;
    if !rdata.is_empty() {
        out.write_char(' ')?;
    }
    hexadecimal(rdata, out)
}

/// Prints the field that stands at `at..end` of checked rdata.
pub(super) fn print_field(
    field: Field,
    rdata: &[u8],
    at: usize,
    end: usize,
    out: &mut dyn Write,
) -> fmt::Result {
    let octets = &rdata[at..end];
    match field {
        Field::U8 | Field::Algorithm | Field::DigestType | Field::NotifyScheme => {
            write!(out, "{}", octets[0])
        }
        Field::U16 => write!(out, "{}", u16_at(octets, 0)),
        Field::U32 | Field::Period => write!(out, "{}", u32_at(octets, 0)),
        Field::Time => out.write_str(&UnixTime(u32_at(octets, 0).into()).to_dnssec()),
        Field::Type => print_type(RrType(u16_at(octets, 0)), out),
        Field::CertificateType => {
            let number = u16_at(octets, 0);
            match mnemonic::name(mnemonic::CERTIFICATE_TYPES, number) {
                Some(name) => out.write_str(name),
                None => write!(out, "{number}"),
            }
        }
        Field::Name(_) => write!(out, "{}", NameRef::from_trusted(octets)),
        Field::Ipv4 => print_ipv4(octets, out),
        Field::Ipv6 => print_ipv6(octets, out),
        Field::Locator64 => {
            let group = |index: usize| u16_at(octets, 2 * index);
            let (a, b, c, d) = (group(0), group(1), group(2), group(3));
            write!(out, "{a:04x}:{b:04x}:{c:04x}:{d:04x}")
        }
        Field::Eui48 | Field::Eui64 => print_eui(octets, out),
        Field::Text => print_character_string(&octets[1..], out),
        Field::Texts => print_texts(octets, out),
        Field::LongText => print_character_string(octets, out),
        Field::Tag => octets[1..]
            .iter()
            .try_for_each(|octet| out.write_char(*octet as char)),
        Field::Hex | Field::Digest | Field::Fingerprint | Field::ZoneDigest => hexadecimal(octets, out),
        Field::Base64 => data_encoding::BASE64.encode_write(octets, &mut &mut *out),
        Field::Salt if octets.len() == 1 => out.write_char('-'),
        Field::Salt => hexadecimal(&octets[1..], out),
        Field::HashedOwner => data_encoding::BASE32HEX_NOPAD.encode_write(&octets[1..], &mut &mut *out),
        Field::SomeTypes | Field::AnyTypes => print_types(octets, out),
        Field::Location => location::print(octets, out),
        Field::AddressPrefixes => prefix::print(octets, out),
        Field::GatewayAndKey => print_gateway_and_key(rdata, at, out),
        Field::HostIdentity => print_host_identity(rdata, out),
        Field::ServiceParameters => service::print(rdata, at, out),
    }
}

/// A character string in quotes; octets that are not printable ASCII as `\DDD`.
///
/// # Errors
/// Those of `out`.
pub fn print_character_string(octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    out.write_char('"')?;
    for &octet in octets {
        match octet {
            b'"' | b'\\' => {
                out.write_char('\\')?;
                out.write_char(octet as char)?;
            }
            0x20..=0x7e => out.write_char(octet as char)?,
            _ => write!(out, "\\{octet:03}")?,
        }
    }
    out.write_char('"')
}

fn print_texts(mut octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    let mut blank = "";
    while let Some((length, rest)) = octets.split_first() {
        let (text, rest) = rest.split_at(usize::from(*length));
        out.write_str(blank)?;
        print_character_string(text, out)?;
        blank = " ";
        octets = rest;
    }
    Ok(())
}

fn hexadecimal(octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    data_encoding::HEXUPPER.encode_write(octets, &mut &mut *out)
}

fn print_ipv4(octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    write!(
        out,
        "{}",
        Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3])
    )
}

fn print_ipv6(octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    let mut address = [0; 16];
    address.copy_from_slice(octets);
    write!(out, "{}", Ipv6Addr::from(address))
}

fn print_eui(octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    let mut hyphen = "";
    for octet in octets {
        write!(out, "{hyphen}{octet:02x}")?;
        hyphen = "-";
    }
    Ok(())
}

fn print_type(rtype: RrType, out: &mut dyn Write) -> fmt::Result {
    if YOUNG_TYPES.contains(&rtype) {
        write!(out, "TYPE{}", rtype.0)
    } else {
        write!(out, "{rtype}")
    }
}

fn print_types(mut octets: &[u8], out: &mut dyn Write) -> fmt::Result {
    let mut blank = "";
    while let [window, length, rest @ ..] = octets {
        let (bits, rest) = rest.split_at(usize::from(*length));
        for low in 0..bits.len() * 8 {
            if bits[low / 8] & (0x80 >> (low % 8)) != 0 {
                let rtype = RrType(u16::from(*window) << 8 | low as u16);
                out.write_str(blank)?;
                print_type(rtype, out)?;
                blank = " ";
            }
        }
        octets = rest;
    }
    Ok(())
}

fn print_gateway_and_key(rdata: &[u8], at: usize, out: &mut dyn Write) -> fmt::Result {
    let end = gateway_end(rdata, at).unwrap_or(at);
    let gateway = &rdata[at..end];
    match rdata[1] {
        1 => print_ipv4(gateway, out)?,
        2 => print_ipv6(gateway, out)?,
        3 => write!(out, "{}", NameRef::from_trusted(gateway))?,
        _ => out.write_char('.')?,
    }
    if end < rdata.len() {
        out.write_char(' ')?;
    }
    data_encoding::BASE64.encode_write(&rdata[end..], &mut &mut *out)
}

fn print_host_identity(rdata: &[u8], out: &mut dyn Write) -> fmt::Result {
    let Ok(identity) = HostIdentity::parse(rdata) else {
        return Ok(());
    };
    write!(out, "{} ", identity.algorithm)?;
    hexadecimal(identity.tag, out)?;
    out.write_char(' ')?;
    data_encoding::BASE64.encode_write(identity.key, &mut &mut *out)?;
    let mut rest = &rdata[identity.servers_at..];
    while let Ok((server, behind)) = NameRef::split_from(rest) {
        write!(out, " {server}")?;
        rest = behind;
    }
    Ok(())
}
