//! The SvcParams of SVCB and HTTPS in wire form (RFC 9460 §2.2, §7, §8; RFC 9461 §5; RFC 9540 §4).

use std::ops::Range;

use super::layout::{RdataError, u16_at};

/// Keys that must be present for a client to use the record (RFC 9460 §8).
pub(crate) const MANDATORY: u16 = 0;
/// Protocol identifiers (RFC 9460 §7.1).
pub(crate) const ALPN: u16 = 1;
/// The scheme's default protocol is not supported (RFC 9460 §7.1).
pub(crate) const NO_DEFAULT_ALPN: u16 = 2;
/// The port (RFC 9460 §7.2).
pub(crate) const PORT: u16 = 3;
/// IPv4 addresses to try early (RFC 9460 §7.3).
pub(crate) const IPV4HINT: u16 = 4;
/// An ECHConfigList.
pub(crate) const ECH: u16 = 5;
/// IPv6 addresses to try early (RFC 9460 §7.3).
pub(crate) const IPV6HINT: u16 = 6;
/// The URI template of DNS over HTTPS (RFC 9461 §5).
pub(crate) const DOHPATH: u16 = 7;
/// Oblivious HTTP (RFC 9540 §4).
pub(crate) const OHTTP: u16 = 8;

/// Splits one parameter off the octets that begin at `at`: its key, and where its value stands.
pub(crate) fn parameter(rdata: &[u8], at: usize) -> Option<(u16, Range<usize>)> {
    let start = at.checked_add(4).filter(|start| *start <= rdata.len())?;
    let end = start + usize::from(u16_at(rdata, at + 2));
    (end <= rdata.len()).then(|| (u16_at(rdata, at), start..end))
}

/// The keys from `at` on, as far as they are whole.
fn keys(rdata: &[u8], mut at: usize) -> impl Iterator<Item = u16> + '_ {
    std::iter::from_fn(move || {
        let (key, value) = parameter(rdata, at)?;
        at = value.end;
        Some(key)
    })
}

/// Checks the SvcParams that begin at `start` and reach to the end: ascending keys, none twice, values as their
/// keys have them, and the rules that join keys.
pub(crate) fn parameters_end(rdata: &[u8], start: usize) -> Result<usize, RdataError> {
    let fail = |at, expected| Err(RdataError { at, expected });
    let (mut at, mut last) = (start, None);
    while at < rdata.len() {
        let Some((key, value)) = parameter(rdata, at) else {
            return fail(at, "a whole service parameter");
        };
        if last.is_some_and(|last| key <= last) {
            return fail(at, "a key above the one before");
        }
        if let Some(expected) = value_problem(key, &rdata[value.clone()]) {
            return fail(value.start, expected);
        }
        let listed = rdata[value.clone()].chunks_exact(2).map(|key| u16_at(key, 0));
        if key == MANDATORY && missing(listed, keys(rdata, start)) {
            return fail(value.start, "mandatory keys that are all present");
        }
        if key == NO_DEFAULT_ALPN && last != Some(ALPN) {
            return fail(at, "alpn, for there is no-default-alpn");
        }
        last = Some(key);
        at = value.end;
    }
    Ok(at.max(start))
}

/// Whether some of `listed` is not in `present`; both ascend, so one walk is enough.
fn missing(listed: impl Iterator<Item = u16>, mut present: impl Iterator<Item = u16>) -> bool {
    listed.into_iter().any(|key| !present.any(|other| other == key))
}

/// What is expected of a key's value, when `value` is not that.
fn value_problem(key: u16, value: &[u8]) -> Option<&'static str> {
    let (good, expected) = match key {
        MANDATORY => (
            mandatory_is_good(value),
            "ascending mandatory keys, none of them mandatory itself",
        ),
        ALPN => (alpn_is_good(value), "one protocol identifier or more, none empty"),
        NO_DEFAULT_ALPN | OHTTP => (value.is_empty(), "no value"),
        PORT => (value.len() == 2, "the two octets of a port"),
        IPV4HINT => (addresses_are_good(value, 4), "one IPv4 address or more"),
        ECH => (!value.is_empty(), "an ECHConfigList"),
        IPV6HINT => (addresses_are_good(value, 16), "one IPv6 address or more"),
        DOHPATH => (
            dohpath_is_good(value),
            "a relative URI template with the variable dns",
        ),
        _ => (true, ""),
    };
    (!good).then_some(expected)
}

fn mandatory_is_good(value: &[u8]) -> bool {
    let mut last = MANDATORY;
    !value.is_empty()
        && value.len().is_multiple_of(2)
        && value.chunks_exact(2).all(|key| {
            let key = u16_at(key, 0);
            let ascends = key > last;
            last = key;
            ascends
        })
}

fn alpn_is_good(mut value: &[u8]) -> bool {
    if value.is_empty() {
        return false;
    }
    while let Some((length, rest)) = value.split_first() {
        match rest.split_at_checked(usize::from(*length)) {
            Some((_, rest)) if *length > 0 => value = rest,
            _ => return false,
        }
    }
    true
}

fn addresses_are_good(value: &[u8], octets: usize) -> bool {
    !value.is_empty() && value.len().is_multiple_of(octets)
}

/// RFC 9461 §5: UTF-8, relative, with an expression that has the variable `dns`.
fn dohpath_is_good(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else {
        return false;
    };
    let expressions = text.split('{').skip(1).filter_map(|part| part.split_once('}'));
    let mut variables = expressions.flat_map(|(inside, _)| {
        inside
            .trim_start_matches(['+', '#', '.', '/', ';', '?', '&'])
            .split(',')
            .map(|variable| variable.trim_end_matches('*'))
    });
    text.starts_with('/') && variables.any(|variable| variable == "dns")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_follow_rfc_9460() {
        let good: &[&[u8]] = &[
            b"",
            b"\0\0\0\x02\0\x03\0\x03\0\x02\x01\xbb",
            b"\0\x01\0\x03\x02h2\0\x02\0\0",
            b"\0\x04\0\x08\x01\x02\x03\x04\x05\x06\x07\x08",
            b"\0\x07\0\x08/q{?dns}",
            b"\0\x08\0\0",
            b"\xff\xff\0\0",
        ];
        for octets in good {
            assert_eq!(parameters_end(octets, 0), Ok(octets.len()), "{octets:02x?}");
        }
        let wrong: &[(&[u8], usize)] = &[
            (b"\0\x03\0", 0),
            (b"\0\x03\0\x02\x01", 0),
            (b"\0\x09\0\0\0\x09\0\0", 4),
            (b"\0\x0a\0\0\0\x09\0\0", 4),
            (b"\0\0\0\0", 4),
            (b"\0\0\0\x02\0\0", 4),
            (b"\0\0\0\x02\0\x03", 4),
            (b"\0\0\0\x04\0\x03\0\x03\0\x03\0\x02\x01\xbb", 4),
            (b"\0\x01\0\0", 4),
            (b"\0\x01\0\x01\0", 4),
            (b"\0\x01\0\x02\x02h", 4),
            (b"\0\x02\0\0", 0),
            (b"\0\x04\0\x05\x01\x02\x03\x04\x05", 4),
            (b"\0\x05\0\0", 4),
            (b"\0\x06\0\0", 4),
            (b"\0\x07\0\x02/q", 4),
            (b"\0\x07\0\x07q{?dns}", 4),
            (b"\0\x08\0\x01x", 4),
        ];
        for (octets, at) in wrong {
            let found = parameters_end(octets, 0).expect_err(&format!("{octets:02x?}"));
            assert_eq!(found.at, *at, "{octets:02x?}: {found}");
        }
    }
}
