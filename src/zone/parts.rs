//! The parts that a zone is stored in, for those who look at all of it again and again: two versions of a zone
//! share the parts that a change did not touch, so what was found in one of them holds for both.

use std::sync::{Arc, Weak};

use super::{
    shard::Shard,
    snapshot::{NodeView, Zone},
};

/// Some of a zone's names.
#[derive(Clone, Copy, Debug)]
pub struct Part<'z>(&'z Arc<Shard>);

/// What a part is known again by, in this version of the zone or another. It does not keep the part's content.
#[derive(Clone, Debug, Default)]
pub struct PartMark(Weak<Shard>);

impl Zone {
    /// How many parts there are: that of the apex, and the others.
    pub fn part_count(&self) -> usize {
        1 + self.shards.len()
    }

    /// A part by its number; the apex's is the first.
    pub fn part(&self, number: usize) -> Option<Part<'_>> {
        match number.checked_sub(1) {
            None => Some(Part(&self.apex_shard)),
            Some(shard) => self.shards.get(shard).map(Part),
        }
    }
}

impl<'z> Part<'z> {
    /// One of its names by number; `None` past the last.
    pub fn node(self, number: usize) -> Option<NodeView<'z>> {
        (number < self.0.nodes.len()).then_some(NodeView {
            shard: self.0,
            node: number as u32,
        })
    }

    /// What it is known again by.
    pub fn mark(self) -> PartMark {
        PartMark(Arc::downgrade(self.0))
    }
}

impl PartMark {
    /// Whether it is this part's. The default is no part's.
    pub fn is_of(&self, part: Part<'_>) -> bool {
        std::ptr::eq(self.0.as_ptr(), Arc::as_ptr(part.0))
    }
}
