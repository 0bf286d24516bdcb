//! Which NSEC or NSEC3 stands for a name of the zone: owners, next names and true bitmaps.
//!
//! A bitmap lists exactly the types that this server answers at the name. A bit for a type that only the other
//! provider has would make our own NODATA bogus.

use super::served::Content;
use crate::{
    dnssec::denial::{Denial, compact, nsec_rdata},
    wire::{LowerName, RrType},
    zone::{NodeView, SearchName},
};

impl Content {
    /// The types of a name as its NSEC or NSEC3 lists them. At a cut only what is the parent's (RFC 4034 §4.1.2).
    pub(super) fn types_at(&self, node: NodeView<'_>) -> Vec<RrType> {
        let mut types: Vec<RrType> = node
            .rrsets()
            .map(|set| set.rtype())
            .filter(|rtype| !node.is_cut() || matches!(*rtype, RrType::NS | RrType::DS))
            .collect();
        if self.denial != Denial::Nsec3 {
            types.extend([RrType::RRSIG, RrType::NSEC]);
        } else if node.has_signed_data() {
            types.push(RrType::RRSIG);
        }
        types.sort_unstable();
        types
    }

    /// The owner, type and rdata of the record that matches a name of the zone in a way of denial: the zone's own, or
    /// an exact chain beside the compact one.
    pub(super) fn matching_denial(&self, way: Denial, node: NodeView<'_>) -> (LowerName, RrType, Vec<u8>) {
        let types = self.types_at(node);
        let apex = self.zone.apex();
        match way {
            Denial::Compact => {
                let next = if node.is_cut() {
                    compact::next_beside(node.name(), apex)
                } else {
                    compact::next_name(node.name(), apex)
                };
                (
                    node.name().to_lower(),
                    RrType::NSEC,
                    nsec_rdata(next.as_ref(), types),
                )
            }
            Denial::Nsec => {
                let chain = self.zone.chain();
                let next = match chain.position(&self.zone, &SearchName::new(node.name())) {
                    Ok(at) => chain[(at + 1) % chain.len()],
                    Err(after) => chain[after % chain.len()],
                };
                let rdata = nsec_rdata(self.zone.by_id(next).name(), types);
                (node.name().to_lower(), RrType::NSEC, rdata)
            }
            Denial::Nsec3 => {
                let hash = self.nsec3.hash(node.name());
                (
                    self.nsec3_owner(hash),
                    RrType::NSEC3,
                    self.nsec3.rdata(hash.next(), types),
                )
            }
        }
    }

    /// The name whose NSEC covers `name` in an exact chain: the last one before it.
    pub(super) fn covering(&self, name: &SearchName) -> NodeView<'_> {
        let chain = self.zone.chain();
        let at = match chain.position(&self.zone, name) {
            Ok(at) => at,
            // The apex comes before every other name of the zone.
            Err(after) => after.saturating_sub(1),
        };
        self.zone.by_id(chain[at])
    }
}
