//! Where the names of a zone are stored: shards by the hash of the name, each an index, nodes, RRsets and octets.
//! A shard is filled as a [`ShardDraft`] and never changes afterwards, but for the slots in it.

use std::{fmt, sync::OnceLock};

use hashbrown::HashTable;

use super::slot::{Kept, Signed, SignedDenial, SignedRange, Slot};
use crate::wire::NameRef;

/// About how many names a shard holds: a change rebuilds that many. Tests have small zones and many shards.
pub(super) const NAMES_A_SHARD: usize = if cfg!(test) { 4 } else { 1_024 };
/// The most shards a zone has.
pub(super) const MAX_SHARDS: usize = 16_384;

/// How many shards a zone of so many names is built with: a power of two.
pub(super) fn shard_count(names: usize) -> usize {
    (names / NAMES_A_SHARD).next_power_of_two().min(MAX_SHARDS)
}

/// Which of `count` shards (a power of two) holds a hash. The index uses the low and the top bits.
pub(super) fn shard_of(hash: u64, count: usize) -> usize {
    (hash >> 32) as usize & (count - 1)
}

/// What a lookup must know of a node without reading its RRsets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NodeFlags(pub(super) u8);

impl NodeFlags {
    /// NS below the apex: a zone cut.
    pub(super) const CUT: u8 = 1;
    /// A DNAME: names below are redirected.
    pub(super) const DNAME: u8 = 2;
    /// Below a cut or a DNAME: glue, or hidden.
    pub(super) const OCCLUDED: u8 = 4;
    /// The node has a child `*`.
    pub(super) const WILDCARD_CHILD: u8 = 8;
    /// A CNAME.
    pub(super) const CNAME: u8 = 16;
    /// What makes the names below a node occluded.
    pub(super) const HIDES: u8 = Self::CUT | Self::DNAME;

    pub(super) fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: u32,
    pub(super) rrsets: u32,
    pub(super) rrset_count: u16,
    pub(super) name_length: u8,
    pub(super) flags: NodeFlags,
    /// How many names are one label below: without data and children a name does not exist.
    pub(super) children: u32,
    /// The signed NSEC or NSEC3 that matches this name.
    pub(super) denial: Slot<SignedDenial>,
}

#[derive(Debug)]
pub(super) struct StoredRrset {
    pub(super) rtype: u16,
    pub(super) count: u16,
    pub(super) ttl: u32,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) slot: Slot<Signed>,
}

/// What a zone adds up over its shards.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Totals {
    pub(super) nodes: usize,
    pub(super) records: usize,
    pub(super) largest_ttl: u32,
    pub(super) max_labels: usize,
}

impl Totals {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            nodes: self.nodes + other.nodes,
            records: self.records + other.records,
            largest_ttl: self.largest_ttl.max(other.largest_ttl),
            max_labels: self.max_labels.max(other.max_labels),
        }
    }
}

#[derive(Default)]
pub(super) struct Shard {
    index: HashTable<u32>,
    pub(super) nodes: Vec<Node>,
    pub(super) rrsets: Vec<StoredRrset>,
    pub(super) octets: Vec<u8>,
    pub(super) totals: Totals,
    /// Exact NSECs beside the zone's own way of denial, a slot a node: most zones never need one, and then it takes
    /// no room.
    ranges: OnceLock<Box<[Slot<SignedRange>]>>,
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard")
            .field("nodes", &self.nodes.len())
            .finish_non_exhaustive()
    }
}

impl Shard {
    pub(super) fn find(&self, hash: u64, name: &[u8]) -> Option<u32> {
        self.index.find(hash, |&node| self.name(node) == name).copied()
    }

    /// The first node whose hash looks like this one: the right one nearly always, if there is any.
    pub(super) fn candidate(&self, hash: u64) -> Option<&Node> {
        let node = *self.index.find(hash, |_| true)?;
        self.nodes.get(node as usize)
    }

    pub(super) fn name(&self, node: u32) -> &[u8] {
        let node = &self.nodes[node as usize];
        &self.octets[node.name as usize..node.name as usize + usize::from(node.name_length)]
    }

    pub(super) fn rrsets_of(&self, node: u32) -> &[StoredRrset] {
        let node = &self.nodes[node as usize];
        &self.rrsets[node.rrsets as usize..node.rrsets as usize + usize::from(node.rrset_count)]
    }

    /// The slot of a node's exact NSEC; `None` where the shard has none yet.
    pub(super) fn range(&self, node: u32) -> Option<&Slot<SignedRange>> {
        self.ranges.get()?.get(node as usize)
    }

    /// The slots of exact NSECs, made when the first of them is to be kept.
    pub(super) fn ranges(&self) -> &[Slot<SignedRange>] {
        self.ranges
            .get_or_init(|| self.nodes.iter().map(|_| Slot::default()).collect())
    }

    /// Lets go of what denies at a node by its place in a chain.
    pub(super) fn forget_denial(&self, node: u32) {
        self.nodes[node as usize].denial.clear();
        if let Some(range) = self.range(node) {
            range.clear();
        }
    }

    /// The octets of an RRset's rdata, each with its length in front.
    pub(super) fn rdata_octets(&self, set: &StoredRrset) -> &[u8] {
        &self.octets[set.start as usize..set.end as usize]
    }
}

/// A name about to be stored.
#[derive(Clone, Copy)]
pub(super) struct NewNode<'a> {
    pub(super) name: &'a [u8],
    pub(super) hash: u64,
    pub(super) flags: NodeFlags,
    pub(super) children: u32,
}

/// A shard that is being filled, node by node: [`ShardDraft::begin`], its RRsets by ascending type,
/// [`ShardDraft::end`]. The index is made last, while all of it is in the cache.
#[derive(Default)]
pub(super) struct ShardDraft {
    shard: Shard,
    hashes: Vec<u64>,
    /// Exact NSECs that another shard keeps, by the numbers of the nodes here.
    ranges: Vec<(usize, Kept<SignedRange>)>,
}

impl ShardDraft {
    pub(super) fn new(nodes: usize, rrsets: usize, octets: usize) -> Self {
        let shard = Shard {
            index: HashTable::with_capacity(nodes),
            nodes: Vec::with_capacity(nodes),
            rrsets: Vec::with_capacity(rrsets),
            octets: Vec::with_capacity(octets),
            totals: Totals::default(),
            ranges: OnceLock::new(),
        };
        Self {
            shard,
            hashes: Vec::with_capacity(nodes),
            ranges: Vec::new(),
        }
    }

    /// With the room that `old` takes.
    pub(super) fn as_large_as(old: &Shard) -> Self {
        Self::new(
            old.nodes.len() + 1,
            old.rrsets.len() + 8,
            old.octets.len() + 1_024,
        )
    }

    pub(super) fn begin(&mut self, node: NewNode<'_>) {
        self.hashes.push(node.hash);
        let shard = &mut self.shard;
        let labels = NameRef::from_trusted(node.name).label_count();
        shard.totals.max_labels = shard.totals.max_labels.max(labels);
        shard.nodes.push(Node {
            name: shard.octets.len() as u32,
            rrsets: shard.rrsets.len() as u32,
            rrset_count: 0,
            name_length: node.name.len() as u8,
            flags: node.flags,
            children: node.children,
            denial: Slot::default(),
        });
        shard.octets.extend_from_slice(node.name);
    }

    /// Begins an RRset; [`ShardDraft::rdata`] follows for each of its records.
    pub(super) fn begin_rrset(&mut self, rtype: u16, ttl: u32) {
        let shard = &mut self.shard;
        let at = shard.octets.len() as u32;
        shard.rrsets.push(StoredRrset {
            rtype,
            count: 0,
            ttl,
            start: at,
            end: at,
            slot: Slot::default(),
        });
        shard.totals.largest_ttl = shard.totals.largest_ttl.max(ttl);
        if let Some(node) = shard.nodes.last_mut() {
            node.rrset_count += 1;
        }
    }

    /// The next record of the RRset that was begun last, in canonical order.
    pub(super) fn rdata(&mut self, rdata: &[u8]) {
        let shard = &mut self.shard;
        let length = (rdata.len() as u16).to_be_bytes();
        shard.octets.extend_from_slice(&length);
        shard.octets.extend_from_slice(rdata);
        if let Some(set) = shard.rrsets.last_mut() {
            set.count += 1;
            set.end = shard.octets.len() as u32;
        }
        shard.totals.records += 1;
    }

    /// An RRset as another shard has it, with its signatures.
    pub(super) fn copy_rrset(&mut self, from: &Shard, set: &StoredRrset) {
        self.begin_rrset(set.rtype, set.ttl);
        let shard = &mut self.shard;
        shard.octets.extend_from_slice(from.rdata_octets(set));
        if let Some(new) = shard.rrsets.last_mut() {
            new.count = set.count;
            new.end = shard.octets.len() as u32;
            new.slot.copy_from(&set.slot);
        }
        shard.totals.records += usize::from(set.count);
    }

    /// A name as another shard has it, with all its signatures.
    pub(super) fn copy_node(&mut self, from: &Shard, node: u32, hash: u64) {
        let old = &from.nodes[node as usize];
        self.begin(NewNode {
            name: from.name(node),
            hash,
            flags: old.flags,
            children: old.children,
        });
        for set in from.rrsets_of(node) {
            self.copy_rrset(from, set);
        }
        self.copy_denial(from, node);
    }

    /// What another shard keeps of the denials of the name that was begun last.
    pub(super) fn copy_denial(&mut self, from: &Shard, node: u32) {
        let number = self.shard.nodes.len().saturating_sub(1);
        if let Some(new) = self.shard.nodes.last_mut() {
            new.denial.copy_from(&from.nodes[node as usize].denial);
        }
        if let Some(kept) = from.range(node).and_then(Slot::load_full) {
            self.ranges.push((number, kept));
        }
    }

    /// How many names it holds by now.
    pub(super) fn len(&self) -> usize {
        self.shard.nodes.len()
    }

    /// Octets stored so far; what is stored is found by numbers of four octets.
    pub(super) fn octets(&self) -> usize {
        self.shard.octets.len()
    }

    pub(super) fn finish(self) -> Shard {
        let Self {
            mut shard,
            hashes,
            ranges,
        } = self;
        for (node, &hash) in hashes.iter().enumerate() {
            shard
                .index
                .insert_unique(hash, node as u32, |&other| hashes[other as usize]);
        }
        shard.totals.nodes = shard.nodes.len();
        for (node, kept) in ranges {
            shard.ranges()[node].store(kept);
        }
        shard
    }
}
