//! Denial of existence: what the three ways have in common, and the type bitmap.
//!
//! | way | proof of "no such name" | signed | RFC |
//! |---|---|---|---|
//! | [`Denial::Compact`] | one NSEC at the name, with NXNAME | when asked | 9824 |
//! | [`Denial::Nsec`] | the NSEC before the name, and before its wildcard | ahead | 4034, 4035 |
//! | [`Denial::Nsec3`] | an NSEC3 at the closest encloser, and narrow ones around two hashes | when asked | 5155, 9276 |

pub mod compact;
pub mod nsec3;

use crate::wire::{NameRef, RrType};

/// How a zone denies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Denial {
    /// Compact denial of existence (RFC 9824), as NS1 does.
    #[default]
    Compact,
    /// An exact chain of NSEC (RFC 4034 §4).
    Nsec,
    /// Hashed, narrow: each covers one hash alone (RFC 5155, RFC 7129 appendix B).
    Nsec3,
}

/// Appends a type bitmap (RFC 4034 §4.1.2). `types` must ascend.
pub fn type_bitmap(types: impl IntoIterator<Item = RrType>, out: &mut Vec<u8>) {
    let mut window = None;
    for RrType(rtype) in types {
        let (block, bit) = ((rtype >> 8) as u8, usize::from(rtype & 0xff));
        let start = match window {
            Some((same, start)) if same == block => start,
            _ => {
                let start = out.len();
                out.extend_from_slice(&[block, 0]);
                window = Some((block, start));
                start
            }
        };
        let octet = bit / 8;
        if usize::from(out[start + 1]) <= octet {
            out.resize(start + 2 + octet + 1, 0);
            out[start + 1] = octet as u8 + 1;
        }
        out[start + 2 + octet] |= 0x80 >> (bit % 8);
    }
}

/// A type bitmap as received (RFC 4034 §4.1.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TypeBitmap<'a>(pub &'a [u8]);

impl TypeBitmap<'_> {
    /// Whether the type's bit is set. Octets that are no bitmap have no bits.
    pub fn contains(self, RrType(rtype): RrType) -> bool {
        let (block, bit) = ((rtype >> 8) as u8, usize::from(rtype & 0xff));
        let mut rest = self.0;
        while let [window, length, behind @ ..] = rest {
            let Some((bits, next)) = behind.split_at_checked(usize::from(*length)) else {
                return false;
            };
            if *window == block {
                return bits
                    .get(bit / 8)
                    .is_some_and(|octet| octet & (0x80 >> (bit % 8)) != 0);
            }
            rest = next;
        }
        false
    }
}

/// The rdata of an NSEC: the next name, lower-cased already, and the types (RFC 4034 §4.1).
pub fn nsec_rdata(next: NameRef<'_>, types: impl IntoIterator<Item = RrType>) -> Vec<u8> {
    let mut rdata = Vec::with_capacity(next.len() + 24);
    rdata.extend_from_slice(next.as_wire());
    type_bitmap(types, &mut rdata);
    rdata
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bitmap_of_rfc_4034_4_3() {
        let mut bitmap = Vec::new();
        type_bitmap(
            [RrType::A, RrType::MX, RrType::RRSIG, RrType::NSEC, RrType(1234)],
            &mut bitmap,
        );
        let mut expected = vec![0x00, 0x06, 0x40, 0x01, 0x00, 0x00, 0x00, 0x03, 0x04, 0x1b];
        expected.extend([0; 26]);
        expected.push(0x20);
        assert_eq!(bitmap, expected);
        let read = TypeBitmap(&bitmap);
        let set: Vec<_> = (0..=u16::MAX)
            .map(RrType)
            .filter(|rtype| read.contains(*rtype))
            .collect();
        assert_eq!(
            set,
            [RrType::A, RrType::MX, RrType::RRSIG, RrType::NSEC, RrType(1234)]
        );
        // Cut anywhere, it has fewer bits, and nothing else happens.
        for end in 0..bitmap.len() {
            assert!(!TypeBitmap(&bitmap[..end]).contains(RrType(1234)));
        }
    }

    #[test]
    fn the_bitmap_of_rfc_9824_3_1() {
        let mut bitmap = Vec::new();
        type_bitmap([RrType::RRSIG, RrType::NSEC, RrType::NXNAME], &mut bitmap);
        assert_eq!(
            bitmap,
            [0, 0x11, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80]
        );
    }

    #[test]
    fn no_types_is_no_bitmap() {
        let mut bitmap = Vec::new();
        type_bitmap([], &mut bitmap);
        assert!(bitmap.is_empty());
    }
}
