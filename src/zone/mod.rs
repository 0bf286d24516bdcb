//! Master files, the immutable zone, lookup.

mod ahead;
pub mod build;
pub mod change;
pub mod compare;
pub mod master;
pub mod parts;
mod rules;
mod shard;
pub mod slot;
pub mod snapshot;
pub mod zonemd;

pub use ahead::Ahead;
pub use build::{Finding, LoadError, Severity, ZoneBuilder};
pub use change::{Change, ChangeError, Changed};
pub use snapshot::{Chain, Cursor, Lookup, NodeId, NodeView, RrsetView, SearchName, Zone};

use crate::wire::{NameRef, RrType, Ttl};

/// One record as some source of zone content gives it; the class is always IN.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The absolute owner, letter case as written.
    pub owner: NameRef<'a>,
    /// The type.
    pub rtype: RrType,
    /// The TTL.
    pub ttl: Ttl,
    /// The rdata in wire form, names in it uncompressed and with their case kept.
    pub rdata: &'a [u8],
    /// Where it stands, for messages.
    pub at: Place,
}

/// A place in a source of zone content. The name of `file` is kept by whoever reads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Place {
    /// Index into [`master::Read::files`]; 0 is the file that was named, others were included.
    pub file: u16,
    /// Line, from 1.
    pub line: u32,
    /// Column in octets, from 1.
    pub column: u16,
}

/// Whether a record is the work of whoever signs a zone, and so nothing that another signer takes over: signatures and
/// denials anywhere, key sets and digests at the apex.
pub fn is_of_a_signer(rtype: RrType, at_apex: bool) -> bool {
    match rtype {
        RrType::RRSIG | RrType::NSEC | RrType::NSEC3 | RrType::NSEC3PARAM => true,
        RrType::DNSKEY | RrType::CDS | RrType::CDNSKEY | RrType::CSYNC | RrType::ZONEMD => at_apex,
        _ => false,
    }
}
