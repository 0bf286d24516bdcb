//! APL's items (RFC 3123 §5): `[!]FAMILY:ADDRESS/PREFIX`, any number of them.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use super::{
    Lexer, TextError, decimal,
    read::{ipv4, ipv6},
};

pub(super) fn read(lexer: &mut Lexer<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    while let Some(token) = lexer.token()? {
        let item = Some(token.text)
            .filter(|_| !token.is_quoted())
            .and_then(Item::parse);
        let item = item.ok_or_else(|| {
            TextError::unexpected("a prefix such as 1:192.0.2.0/24 or !2:2001:db8::/32", &token)
        })?;
        item.push(out);
    }
    Ok(())
}

struct Item {
    family: u8,
    prefix: u8,
    negated: bool,
    /// An IPv4 address fills the first four octets.
    address: [u8; 16],
}

impl Item {
    fn parse(text: &[u8]) -> Option<Self> {
        let (negated, text) = match text.strip_prefix(b"!") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (family, rest) = text.split_at(text.iter().position(|octet| *octet == b':')?);
        let slash = rest.iter().position(|octet| *octet == b'/')?;
        let mut address = [0; 16];
        let most = match decimal(family, 2)? {
            1 => {
                address[..4].copy_from_slice(&ipv4(&rest[1..slash])?);
                32
            }
            2 => {
                address = ipv6(&rest[1..slash])?;
                128
            }
            _ => return None,
        };
        let prefix = decimal(&rest[slash + 1..], most)? as u8;
        let family = if most == 32 { 1 } else { 2 };
        Some(Self {
            family,
            prefix,
            negated,
            address,
        })
    }

    /// The address goes without its trailing zero octets (RFC 3123 §4).
    fn push(&self, out: &mut Vec<u8>) {
        let length = self
            .address
            .iter()
            .rposition(|octet| *octet != 0)
            .map_or(0, |last| last + 1);
        let sign = if self.negated { 0x80 } else { 0 };
        out.extend_from_slice(&[0, self.family, self.prefix, sign | length as u8]);
        out.extend_from_slice(&self.address[..length]);
    }
}

/// Prints items that have been checked.
pub(super) fn print(mut rdata: &[u8], out: &mut dyn fmt::Write) -> fmt::Result {
    let mut blank = "";
    while let [_, family, prefix, sign_and_length, rest @ ..] = rdata {
        let (octets, rest) = rest.split_at(usize::from(sign_and_length & 0x7f));
        let sign = if sign_and_length & 0x80 == 0 { "" } else { "!" };
        let mut address = [0; 16];
        address[..octets.len()].copy_from_slice(octets);
        write!(out, "{blank}{sign}{family}:")?;
        match family {
            1 => write!(
                out,
                "{}",
                Ipv4Addr::new(address[0], address[1], address[2], address[3])
            )?,
            _ => write!(out, "{}", Ipv6Addr::from(address))?,
        }
        write!(out, "/{prefix}")?;
        blank = " ";
        rdata = rest;
    }
    Ok(())
}
