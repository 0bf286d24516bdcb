//! Well-formed rdata made of any octets: for property tests and fuzzing, which thus run over every row of the
//! table and reach past the checks.

use super::{Field, RrType, service};

/// Octets to decide with; zeros when they have run out.
struct Dice<'a>(&'a [u8]);

impl Dice<'_> {
    fn octet(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn octets(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.octet()).collect()
    }

    /// A number below `bound`, which is at most 256.
    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.octet()) % bound
    }
}

/// Rdata that [`super::validate_rdata`] takes, chosen by `dice`. Types without a row get octets.
pub fn rdata(rtype: RrType, dice: &[u8]) -> Vec<u8> {
    let mut dice = Dice(dice);
    let mut out = Vec::new();
    match rtype.row() {
        Some(row) => {
            for field in row.fields {
                push(*field, &mut dice, &mut out);
            }
        }
        None => out = dice.octets(dice.0.len().min(300)),
    }
    out
}

fn push(field: Field, dice: &mut Dice<'_>, out: &mut Vec<u8>) {
    match field {
        Field::U8 | Field::Algorithm | Field::NotifyScheme => out.push(dice.octet()),
        Field::DigestType => out.push([0, 1, 2, 3, 4, 200][dice.below(6)]),
        Field::CertificateType => out.extend([0, [1, 3, 8, 9, 100, 253][dice.below(6)]]),
        Field::U16 | Field::Type => out.extend(dice.octets(2)),
        Field::U32 | Field::Period | Field::Time | Field::Ipv4 => out.extend(dice.octets(4)),
        Field::Eui48 => out.extend(dice.octets(6)),
        Field::Locator64 | Field::Eui64 => out.extend(dice.octets(8)),
        Field::Ipv6 => push_ipv6(dice, out),
        Field::Name(_) => push_name(dice, out),
        Field::Text => push_text(dice, 0, out),
        Field::Texts => (0..=dice.below(4)).for_each(|_| push_text(dice, 0, out)),
        Field::LongText => {
            let length = dice.below(100) * 3;
            out.extend(dice.octets(length));
        }
        Field::Tag => {
            let length = 1 + dice.below(15);
            out.push(length as u8);
            out.extend((0..length).map(|_| b"abcdefghijklmnopqrstuvwxyz0123456789AZ"[dice.below(38)]));
        }
        Field::Hex | Field::Base64 => {
            let length = 1 + dice.below(100);
            out.extend(dice.octets(length));
        }
        Field::Digest => {
            let length = match out.last() {
                Some(1) => 20,
                Some(2) => 32,
                Some(4) => 48,
                _ => 1 + dice.below(60),
            };
            out.extend(dice.octets(length));
        }
        Field::Fingerprint => {
            let length = match out.last() {
                Some(1) => 20,
                Some(2) => 32,
                _ => 1 + dice.below(60),
            };
            out.extend(dice.octets(length));
        }
        Field::ZoneDigest => {
            let length = match out[5] {
                1 => 48,
                2 => 64,
                _ => 12 + dice.below(60),
            };
            out.extend(dice.octets(length));
        }
        Field::Salt => {
            let length = dice.below(12);
            out.push(length as u8);
            out.extend(dice.octets(length));
        }
        Field::HashedOwner => {
            let is_odd = out[0] != 1 && dice.below(4) == 0;
            let length = if is_odd { 1 + dice.below(39) } else { 20 };
            out.push(length as u8);
            out.extend(dice.octets(length));
        }
        Field::SomeTypes => push_types(1 + dice.below(8), dice, out),
        Field::AnyTypes => push_types(dice.below(8), dice, out),
        Field::Location => push_location(dice, out),
        Field::AddressPrefixes => (0..dice.below(5)).for_each(|_| push_prefix(dice, out)),
        Field::GatewayAndKey => push_gateway_and_key(dice, out),
        Field::HostIdentity => push_host_identity(dice, out),
        Field::ServiceParameters => push_parameters(dice, out),
    }
}

/// With runs of zeros, which text abbreviates.
fn push_ipv6(dice: &mut Dice<'_>, out: &mut Vec<u8>) {
    let mask = dice.octet();
    out.extend((0..16).map(|index| {
        if mask & (1 << (index / 2)) == 0 {
            0
        } else {
            dice.octet()
        }
    }));
}

fn push_name(dice: &mut Dice<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    for _ in 0..dice.below(6) {
        let length = 1 + if dice.below(16) == 0 { 62 } else { dice.below(12) };
        if out.len() - start + length + 2 > 255 {
            break;
        }
        out.push(length as u8);
        // Mostly letters, of both cases; now and then whatever comes.
        let is_plain = dice.below(4) > 0;
        for _ in 0..length {
            let octet = dice.octet();
            out.push(if is_plain {
                b"abcXYZ-019_*"[usize::from(octet) % 12]
            } else {
                octet
            });
        }
    }
    out.push(0);
}

fn push_text(dice: &mut Dice<'_>, least: usize, out: &mut Vec<u8>) {
    let length = if dice.below(16) == 0 {
        255
    } else {
        least + dice.below(40)
    };
    out.push(length as u8);
    out.extend(dice.octets(length));
}

fn push_types(count: usize, dice: &mut Dice<'_>, out: &mut Vec<u8>) {
    let mut types: Vec<u16> = (0..count)
        .map(|_| match dice.octet() {
            octet @ 0..=199 => u16::from(octet),
            octet => u16::from_be_bytes([octet, dice.octet()]),
        })
        .collect();
    types.sort_unstable();
    for window in types.chunk_by(|a, b| a >> 8 == b >> 8) {
        let mut bits = [0_u8; 32];
        for rtype in window {
            bits[usize::from(rtype & 255) / 8] |= 0x80 >> (rtype % 8);
        }
        let length = usize::from(window[window.len() - 1] & 255) / 8 + 1;
        out.extend([(window[0] >> 8) as u8, length as u8]);
        out.extend(&bits[..length]);
    }
}

fn push_location(dice: &mut Dice<'_>, out: &mut Vec<u8>) {
    out.push(0);
    for _ in 0..3 {
        let (digit, power) = (dice.below(10), dice.below(10));
        out.push(if digit == 0 { 0 } else { (digit << 4 | power) as u8 });
    }
    for degrees in [90_u32, 180] {
        let span = degrees * 3_600_000;
        let random = dice
            .octets(4)
            .into_iter()
            .fold(0, |value: u32, octet| value << 8 | u32::from(octet));
        out.extend(((1 << 31) - span + random % (2 * span + 1)).to_be_bytes());
    }
    out.extend(dice.octets(4));
}

fn push_prefix(dice: &mut Dice<'_>, out: &mut Vec<u8>) {
    let (family, octets) = [(1, 4), (2, 16)][dice.below(2)];
    let mut address = dice.octets(octets);
    address.truncate(dice.below(octets + 1));
    while address.last() == Some(&0) {
        address.pop();
    }
    let negation = (dice.below(2) as u8) << 7;
    out.extend([
        0,
        family,
        dice.below(octets * 8 + 1) as u8,
        negation | address.len() as u8,
    ]);
    out.extend(address);
}

fn push_gateway_and_key(dice: &mut Dice<'_>, out: &mut Vec<u8>) {
    out[1] %= 4;
    match out[1] {
        0 => {}
        1 => out.extend(dice.octets(4)),
        2 => push_ipv6(dice, out),
        _ => push_name(dice, out),
    }
    let least = usize::from(out[2] != 0);
    let length = least + dice.below(60);
    out.extend(dice.octets(length));
}

fn push_host_identity(dice: &mut Dice<'_>, out: &mut Vec<u8>) {
    let (tag, key) = (1 + dice.below(20), 1 + dice.below(100));
    out.extend([tag as u8, dice.octet(), 0, key as u8]);
    out.extend(dice.octets(tag + key));
    (0..dice.below(3)).for_each(|_| push_name(dice, out));
}

fn push_parameters(dice: &mut Dice<'_>, out: &mut Vec<u8>) {
    let chosen = [dice.octet(), dice.octet()];
    let has = |key: u16| chosen[usize::from(key / 8)] & (1 << (key % 8)) != 0;
    let last = 9 + u16::from(dice.octet()) * 7;
    let keys: Vec<u16> = (1..=8)
        .filter(|key| has(*key) && (*key != service::NO_DEFAULT_ALPN || has(service::ALPN)))
        .chain(has(9).then_some(last))
        .collect();
    if has(10) && !keys.is_empty() {
        let value: Vec<u8> = keys.iter().take(2).flat_map(|key| key.to_be_bytes()).collect();
        push_parameter(service::MANDATORY, &value, out);
    }
    for key in keys {
        let mut value = Vec::new();
        match key {
            service::ALPN => (0..=dice.below(3)).for_each(|_| push_text(dice, 1, &mut value)),
            service::NO_DEFAULT_ALPN | service::OHTTP => {}
            service::PORT => value = dice.octets(2),
            service::IPV4HINT => value = dice.octets(4 + 4 * dice.0.len().min(2)),
            service::IPV6HINT => (0..=dice.below(3)).for_each(|_| push_ipv6(dice, &mut value)),
            service::DOHPATH => value = b"/dns-query{?dns}".to_vec(),
            service::ECH => value = dice.octets(1 + dice.0.len().min(40)),
            _ => value = dice.octets(dice.0.len().min(30)),
        }
        push_parameter(key, &value, out);
    }
}

fn push_parameter(key: u16, value: &[u8], out: &mut Vec<u8>) {
    out.extend(key.to_be_bytes());
    out.extend((value.len() as u16).to_be_bytes());
    out.extend(value);
}
