//! What a SOA says to secondaries (RFC 1035 §3.3.13), and the order of serials (RFC 1982).

use std::{fmt, time::Duration};

use super::NameRef;

/// A zone's version. Serials have an order in which the largest is followed by zero, so `<` is not there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Serial(pub u32);

impl Serial {
    /// Whether this version came after `other` (RFC 1982 §3.2). Of two that are exactly 2^31 apart neither did.
    pub const fn is_newer_than(self, other: Self) -> bool {
        let ahead = self.0.wrapping_sub(other.0);
        ahead != 0 && ahead < 1 << 31
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The numbers of a SOA record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Soa {
    /// The version.
    pub serial: Serial,
    /// How long a secondary waits until it asks whether there is a newer one.
    pub refresh: Duration,
    /// How long it waits when that failed.
    pub retry: Duration,
    /// How long it serves the zone when it cannot ask.
    pub expire: Duration,
    /// The largest TTL of a denial (RFC 2308 §4).
    pub minimum: Duration,
}

impl Soa {
    /// Reads them from uncompressed rdata. `None`: it is not that of a SOA.
    pub fn from_rdata(rdata: &[u8]) -> Option<Self> {
        let (_, rest) = NameRef::split_from(rdata).ok()?;
        let (_, rest) = NameRef::split_from(rest).ok()?;
        let numbers: &[u8; 20] = rest.try_into().ok()?;
        let number =
            |at: usize| u32::from_be_bytes([numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]]);
        let period = |at| Duration::from_secs(number(at).into());
        Some(Self {
            serial: Serial(number(0)),
            refresh: period(4),
            retry: period(8),
            expire: period(12),
            minimum: period(16),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1982 §5.2, and the edges of 32 bits.
    #[test]
    fn serials_go_round() {
        for (newer, older) in [
            (1, 0),
            (44, 0),
            (100, 44),
            (0, u32::MAX),
            (5, u32::MAX - 5),
            (0x7fff_ffff, 0),
            (0, 0x8000_0001),
        ] {
            assert!(Serial(newer).is_newer_than(Serial(older)), "{newer} {older}");
            assert!(!Serial(older).is_newer_than(Serial(newer)), "{older} {newer}");
        }
        assert!(!Serial(7).is_newer_than(Serial(7)));
        // Opposite each other: not defined, so never newer.
        assert!(!Serial(0).is_newer_than(Serial(1 << 31)));
        assert!(!Serial(1 << 31).is_newer_than(Serial(0)));
    }

    #[test]
    fn numbers_stand_behind_two_names() {
        let rdata = b"\x02ns\0\x01h\x01x\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05";
        let soa = Soa::from_rdata(rdata).unwrap();
        assert_eq!(soa.serial, Serial(1));
        assert_eq!(
            [soa.refresh, soa.retry, soa.expire, soa.minimum],
            [2, 3, 4, 5].map(Duration::from_secs)
        );
        assert_eq!(Soa::from_rdata(&rdata[..rdata.len() - 1]), None);
        assert_eq!(Soa::from_rdata(b"\0"), None);
    }
}
