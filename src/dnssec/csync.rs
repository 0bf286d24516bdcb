//! CSYNC (RFC 7477): one record at the apex that has the parent take the zone's NS RRset, at once.
//!
//! ```text
//! SOA serial 0 | flags 1: immediate | NS, and A and AAAA where a name server's name lies in the zone
//! ```
//!
//! Without the flag "soaminimum" the serial says nothing (§2.1.1.1). So every provider can publish the same record,
//! whatever its SOA says.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::wire::RrType;

/// Whether CSYNC is published.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Csyncing {
    /// Never.
    #[default]
    Off,
    /// While a plan asks for it.
    Rollover,
}

/// A CSYNC record that a parent may follow without a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Csync {
    /// Whether it is to take the addresses of name servers in the zone too.
    pub addresses: bool,
}

/// The SOA serial, and the flag "immediate" alone.
const HEAD: [u8; 6] = [0, 0, 0, 0, 0, 1];
/// Where the flags begin: the serial before them does not count.
const FLAGS: usize = 4;
/// Types as a bitmap (RFC 4034 §4.1.2): NS.
const NS: &[u8] = &[0, 1, 0x20];
/// A, NS and AAAA.
const NS_AND_ADDRESSES: &[u8] = &[0, 4, 0x60, 0, 0, 0x08];

impl Csync {
    /// The types that the parent is to take, in the order of the bitmap.
    pub fn types(self) -> &'static [RrType] {
        if self.addresses {
            &[RrType::A, RrType::NS, RrType::AAAA]
        } else {
            &[RrType::NS]
        }
    }

    /// The rdata.
    pub fn rdata(self) -> Vec<u8> {
        let types = if self.addresses { NS_AND_ADDRESSES } else { NS };
        [&HEAD, types].concat()
    }

    /// Reads rdata.
    ///
    /// # Errors
    /// What is wrong with it, where a parent would take something else, or only when a person agrees, or never.
    pub fn from_rdata(rdata: &[u8]) -> Result<Self, &'static str> {
        let (flags, types) = match rdata {
            [_, _, _, _, high, low, types @ ..] => (u16::from_be_bytes([*high, *low]), types),
            _ => return Err("cannot be read"),
        };
        if HEAD[FLAGS..] != flags.to_be_bytes() {
            return Err("has other flags than \"immediate\" alone");
        }
        match types {
            NS => Ok(Self { addresses: false }),
            NS_AND_ADDRESSES => Ok(Self { addresses: true }),
            _ => Err("names other types than NS, or NS with A and AAAA"),
        }
    }
}

impl fmt::Display for Csync {
    /// The rdata in master format.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0 1")?;
        self.types().iter().try_for_each(|rtype| write!(f, " {rtype}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::text::fields::read_fields;

    #[test]
    fn its_text_is_its_rdata() {
        for (addresses, text) in [(false, "0 1 NS"), (true, "0 1 A NS AAAA")] {
            let csync = Csync { addresses };
            assert_eq!(csync.to_string(), text);
            let mut rdata = Vec::new();
            let fields: Vec<&str> = text.split(' ').collect();
            read_fields(RrType::CSYNC, &fields, &mut rdata).unwrap();
            assert_eq!(csync.rdata(), rdata);
            assert_eq!(Csync::from_rdata(&rdata), Ok(csync));
        }
    }

    /// RFC 7477 §2.1.1.1: the serial counts only with the flag "soaminimum".
    #[test]
    fn what_no_parent_follows_at_once_is_told() {
        for (text, why) in [
            ("2026112600 1 NS", None),
            ("0 0 NS", Some("flags")),
            ("0 3 NS", Some("flags")),
            ("0 1", Some("types")),
            ("0 1 A NS", Some("types")),
            ("0 1 NS MX", Some("types")),
        ] {
            let mut rdata = Vec::new();
            let fields: Vec<&str> = text.split(' ').collect();
            read_fields(RrType::CSYNC, &fields, &mut rdata).unwrap();
            let told = Csync::from_rdata(&rdata).err();
            assert_eq!(told.is_some(), why.is_some(), "{text}: {told:?}");
            assert!(
                told.unwrap_or_default().contains(why.unwrap_or_default()),
                "{text}: {told:?}"
            );
        }
        assert!(Csync::from_rdata(&[0; 5]).is_err());
    }
}
