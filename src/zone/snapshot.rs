//! The immutable zone: nodes in shards by the hash of their name.
//!
//! ```text
//! Zone ── apex shard (one node, replaced when keys change)
//!      └─ shards[hash] ── index: hash → node number      an exact name costs one probe
//!                      ├─ nodes:  name, flags, RRsets
//!                      ├─ rrsets: type, TTL, rdata, the slot of their signatures
//!                      └─ octets: names and rdata, once each, in wire form
//! ```
//! A change rebuilds the shards it touches and shares the others. Owner names are lower-cased; rdata keeps the
//! letter case it was given, and its records stand in canonical order (RFC 4034 §6.3) without duplicates.

use std::{
    collections::HashSet,
    fmt,
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use ahash::RandomState;

use super::{
    shard::{NewNode, Node, NodeFlags, Shard, ShardDraft, StoredRrset, Totals, shard_of},
    slot::{Signed, SignedDenial, SignedRange, Slot},
};
use crate::wire::{LowerName, Name, NameRef, RrType, Soa, Ttl, types};

/// The zone's names, by number: which shard, and which node in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeId {
    pub(super) shard: u32,
    pub(super) node: u32,
}

/// Where a round through a zone's nodes has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cursor {
    /// 0: the apex comes next; otherwise one more than the shard at hand.
    shard: usize,
    node: usize,
}

/// The shard number that stands for the apex's own shard.
pub(super) const APEX_SHARD: u32 = u32::MAX;

/// An immutable zone.
#[derive(Debug)]
pub struct Zone {
    pub(super) apex: Name,
    pub(super) apex_labels: usize,
    pub(super) hasher: RandomState,
    pub(super) apex_shard: Arc<Shard>,
    pub(super) shards: Box<[Arc<Shard>]>,
    pub(super) totals: Totals,
    /// RRsets whose records came with different TTLs, by lower-cased owner and type. Nearly always none.
    pub(super) uneven: Arc<HashSet<(Box<[u8]>, u16)>>,
    /// Sorted when first asked for, and then for every zone that differs in its apex alone: a change is told to the
    /// zone as it came, and must find the chain that the zone as it is served got meanwhile.
    pub(super) chain: Arc<OnceLock<Chain>>,
}

/// Every node that owns an NSEC in an exact chain, in canonical order.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Unique in the process. A change that lets go of every NSEC whose next name it changes keeps it.
    pub(super) id: u32,
    pub(super) names: Arc<[NodeId]>,
    /// What sorts each of them, in one piece of memory: a search looks at names only where two are equal.
    pub(super) keys: Arc<[u128]>,
}

impl Deref for Chain {
    type Target = [NodeId];

    fn deref(&self) -> &[NodeId] {
        &self.names
    }
}

impl Chain {
    /// A chain that was sorted anew: what was kept under another says nothing about it.
    fn new(keys: Arc<[u128]>, names: Arc<[NodeId]>) -> Self {
        static NEXT_ID: AtomicU32 = AtomicU32::new(1);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self { id, names, keys }
    }

    /// Its number, which stands in each [`SignedRange`].
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Where a name stands in the chain of `zone`, or would.
    ///
    /// # Errors
    /// Its place, if it were there.
    pub fn position(&self, zone: &Zone, name: &SearchName) -> Result<usize, usize> {
        let key = zone.sort_key(name);
        let from = self.keys.partition_point(|&other| other < key);
        if self.keys.get(from) != Some(&key) {
            return Err(from);
        }
        let to = from + self.keys[from..].partition_point(|&other| other == key);
        self.names[from..to]
            .binary_search_by(|&id| zone.by_id(id).name().canonical_cmp(name.name()))
            .map(|at| from + at)
            .map_err(|at| from + at)
    }
}

/// A name to look up: lower-cased, with its labels found, once a question.
#[derive(Clone, Copy)]
pub struct SearchName {
    name: LowerName,
    starts: [u8; 128],
    labels: usize,
}

impl SearchName {
    /// Prepares `name`.
    pub fn new(name: NameRef<'_>) -> Self {
        let name = name.to_lower();
        let (mut starts, mut labels, mut at) = ([0; 128], 0, 0);
        let octets = name.as_ref().as_wire();
        while octets[at] != 0 {
            starts[labels] = at as u8;
            labels += 1;
            at += 1 + usize::from(octets[at]);
        }
        starts[labels] = at as u8;
        Self { name, starts, labels }
    }

    /// The lower-cased name.
    pub fn name(&self) -> NameRef<'_> {
        self.name.as_ref()
    }

    /// The lower-cased name, on the stack.
    pub fn lower(&self) -> &LowerName {
        &self.name
    }

    /// How many labels it has, the root's not counted.
    pub fn label_count(&self) -> usize {
        self.labels
    }

    /// Its last `labels` labels, which it must have.
    pub fn suffix(&self, labels: usize) -> NameRef<'_> {
        let start = usize::from(self.starts[self.labels - labels]);
        NameRef::from_trusted(&self.name.as_ref().as_wire()[start..])
    }
}

/// What a zone has at a name (RFC 1034 §4.3.2, RFC 4592, RFC 6672).
#[derive(Clone, Copy, Debug)]
pub enum Lookup<'z> {
    /// The name exists, and is ours: it has RRsets, or only names below it do (an empty non-terminal).
    Exact(NodeView<'z>),
    /// The name is this zone cut or below it.
    Delegation(NodeView<'z>),
    /// The name is below the owner of a DNAME.
    Redirected(NodeView<'z>),
    /// The name does not exist and this wildcard stands in for it.
    Wildcard {
        /// The node `*` below the closest encloser.
        source: NodeView<'z>,
        /// The longest existing ancestor.
        closest_encloser: NodeView<'z>,
    },
    /// The name does not exist.
    NameError {
        /// The longest existing ancestor.
        closest_encloser: NodeView<'z>,
    },
}

impl Zone {
    /// The zone's name, lower-cased.
    pub fn apex(&self) -> NameRef<'_> {
        self.apex.as_ref()
    }

    /// How many names, empty non-terminals included.
    pub fn node_count(&self) -> usize {
        self.totals.nodes
    }

    /// How many names are in memory for the sake of this zone alone; what a change did not touch is shared.
    pub fn names_not_shared(&self) -> usize {
        let own = self.shards.iter().filter(|shard| Arc::strong_count(shard) == 1);
        own.map(|shard| shard.nodes.len()).sum()
    }

    /// How many records.
    pub fn record_count(&self) -> usize {
        self.totals.records
    }

    /// The largest TTL of any RRset.
    pub fn largest_ttl(&self) -> Ttl {
        Ttl::new(self.totals.largest_ttl)
    }

    /// The apex.
    pub fn apex_node(&self) -> NodeView<'_> {
        NodeView {
            shard: &self.apex_shard,
            node: 0,
        }
    }

    /// The SOA RRset. A zone without one is not built.
    pub fn soa(&self) -> RrsetView<'_> {
        self.apex_node()
            .rrset(RrType::SOA)
            .expect("the builder refuses a zone without a SOA")
    }

    /// The SOA's serial.
    pub fn serial(&self) -> u32 {
        self.soa_number(0)
    }

    /// TTL of negative answers, and of NSEC and NSEC3: the lesser of the SOA's own TTL and its MINIMUM
    /// (RFC 2308 §3, RFC 9077).
    pub fn negative_ttl(&self) -> Ttl {
        self.soa().ttl().min(Ttl::new(self.soa_number(4)))
    }

    /// The numbers of the SOA.
    pub fn soa_numbers(&self) -> Soa {
        let rdata = self.soa().rdatas().next().unwrap_or_default();
        Soa::from_rdata(rdata).expect("the rdata of a zone is well formed")
    }

    fn soa_number(&self, index: usize) -> u32 {
        let rdata = self.soa().rdatas().next().unwrap_or_default();
        let numbers = rdata.len().saturating_sub(20) + 4 * index;
        rdata
            .get(numbers..numbers + 4)
            .map_or(0, |n| u32::from_be_bytes([n[0], n[1], n[2], n[3]]))
    }

    fn find(&self, name: &[u8]) -> Option<NodeView<'_>> {
        if name.len() == self.apex.as_wire().len() {
            return Some(self.apex_node());
        }
        let hash = self.hasher.hash_one(name);
        let shard = &*self.shards[shard_of(hash, self.shards.len())];
        shard.find(hash, name).map(|node| NodeView { shard, node })
    }

    /// The number of the node of this very name, which is at or below the apex, lower-cased.
    pub(super) fn id_of(&self, name: &[u8]) -> Option<NodeId> {
        if name.len() == self.apex.as_wire().len() {
            return Some(NodeId {
                shard: APEX_SHARD,
                node: 0,
            });
        }
        let hash = self.hasher.hash_one(name);
        let shard = shard_of(hash, self.shards.len());
        let node = self.shards[shard].find(hash, name)?;
        Some(NodeId {
            shard: shard as u32,
            node,
        })
    }

    /// The node of this very name, occluded ones included. The name must be at or below the apex, lower-cased.
    pub fn node(&self, name: NameRef<'_>) -> Option<NodeView<'_>> {
        self.find(name.as_wire())
    }

    /// What the zone has at `name`, which must be at or below the apex.
    pub fn lookup(&self, name: &SearchName) -> Lookup<'_> {
        let exact = if name.labels <= self.totals.max_labels {
            self.find(name.name().as_wire())
        } else {
            None
        };
        if let Some(node) = exact {
            let flags = node.flags();
            if !flags.has(NodeFlags::OCCLUDED | NodeFlags::CUT) {
                return Lookup::Exact(node);
            }
            return self.occluded(name, name.labels, node);
        }
        let mut labels = (name.labels - 1).min(self.totals.max_labels);
        let closest_encloser = loop {
            if let Some(node) = self.find(name.suffix(labels).as_wire()) {
                break node;
            }
            // The apex is always found, so this ends there.
            labels -= 1;
        };
        let flags = closest_encloser.flags();
        if flags.has(NodeFlags::OCCLUDED | NodeFlags::CUT) {
            return self.occluded(name, labels, closest_encloser);
        }
        if flags.has(NodeFlags::DNAME) {
            return Lookup::Redirected(closest_encloser);
        }
        if flags.has(NodeFlags::WILDCARD_CHILD)
            && let Some(source) = self.wildcard_below(closest_encloser)
        {
            return Lookup::Wildcard {
                source,
                closest_encloser,
            };
        }
        Lookup::NameError { closest_encloser }
    }

    /// `*` below a node.
    pub fn wildcard_below(&self, node: NodeView<'_>) -> Option<NodeView<'_>> {
        let name = node.name().as_wire();
        let mut buffer = [0; 257];
        buffer[..2].copy_from_slice(&[1, b'*']);
        buffer[2..2 + name.len()].copy_from_slice(name);
        self.find(&buffer[..2 + name.len()])
    }

    /// Walks up from a node at or below a cut, or below a DNAME, to what hides it.
    fn occluded<'z>(&'z self, name: &SearchName, labels: usize, found: NodeView<'z>) -> Lookup<'z> {
        let (mut labels, mut node) = (labels, found);
        while node.flags().has(NodeFlags::OCCLUDED) {
            labels -= 1;
            node = self
                .find(name.suffix(labels).as_wire())
                .expect("every name between the apex and a node is a node");
        }
        if node.flags().has(NodeFlags::CUT) {
            Lookup::Delegation(node)
        } else {
            Lookup::Redirected(node)
        }
    }

    /// Every node, the apex first, the others in no order.
    pub fn nodes(&self) -> impl Iterator<Item = NodeView<'_>> {
        let rest = self
            .shards
            .iter()
            .flat_map(|shard| (0..shard.nodes.len() as u32).map(move |node| NodeView { shard, node }));
        std::iter::once(self.apex_node()).chain(rest)
    }

    /// The apex, and every node that lies elsewhere than in `other`: what a change did not touch is left out.
    pub fn nodes_not_shared_with<'z>(&'z self, other: &Zone) -> impl Iterator<Item = NodeView<'z>> {
        let same_count = self.shards.len() == other.shards.len();
        let rest = self
            .shards
            .iter()
            .enumerate()
            .filter(move |(number, shard)| !same_count || !Arc::ptr_eq(shard, &other.shards[*number]))
            .flat_map(|(_, shard)| (0..shard.nodes.len() as u32).map(move |node| NodeView { shard, node }));
        std::iter::once(self.apex_node()).chain(rest)
    }

    /// The next node of a round through all of them, for which `cursor` begins as its default; `None` past the
    /// last.
    pub fn next_node(&self, cursor: &mut Cursor) -> Option<NodeView<'_>> {
        let Some(shard) = cursor.shard.checked_sub(1) else {
            cursor.shard = 1;
            return Some(self.apex_node());
        };
        let mut shard = shard;
        while let Some(nodes) = self.shards.get(shard) {
            if cursor.node < nodes.nodes.len() {
                let node = NodeView {
                    shard: nodes,
                    node: cursor.node as u32,
                };
                cursor.node += 1;
                return Some(node);
            }
            shard += 1;
            *cursor = Cursor {
                shard: shard + 1,
                node: 0,
            };
        }
        None
    }

    /// A node by its number.
    pub fn by_id(&self, id: NodeId) -> NodeView<'_> {
        let shard = if id.shard == APEX_SHARD {
            &self.apex_shard
        } else {
            &self.shards[id.shard as usize]
        };
        NodeView { shard, node: id.node }
    }

    fn ids(&self) -> impl Iterator<Item = NodeId> + '_ {
        let rest = self.shards.iter().enumerate().flat_map(|(shard, nodes)| {
            (0..nodes.nodes.len() as u32).map(move |node| NodeId {
                shard: shard as u32,
                node,
            })
        });
        std::iter::once(NodeId {
            shard: APEX_SHARD,
            node: 0,
        })
        .chain(rest)
    }

    /// The names that own an NSEC in an exact chain: those with data of ours and the cuts, in canonical order,
    /// the apex first (RFC 4034 §4.1.1, RFC 4035 §2.3). Sorted when first asked for.
    pub fn chain(&self) -> &Chain {
        self.chain.get_or_init(|| {
            let mut sorted: Vec<(u128, NodeId)> = self
                .ids()
                .filter(|&id| self.by_id(id).owns_nsec())
                .map(|id| (self.sort_key(&SearchName::new(self.by_id(id).name())), id))
                .collect();
            sorted.sort_unstable_by(|&(a, left), &(b, right)| {
                a.cmp(&b)
                    .then_with(|| self.by_id(left).name().canonical_cmp(self.by_id(right).name()))
            });
            let keys = sorted.iter().map(|&(key, _)| key).collect();
            Chain::new(keys, sorted.into_iter().map(|(_, id)| id).collect())
        })
    }

    /// The same where it is sorted already: to sort a large zone takes a second, which no question may wait for.
    pub fn sorted_chain(&self) -> Option<&Chain> {
        self.chain.get()
    }

    /// The first 16 octets of a key that sorts as names do: labels from the right, each ended by a zero octet;
    /// octets 0 and 1 within labels are written as two, so that no label holds the end mark. Where two are equal
    /// the names themselves decide.
    pub(super) fn sort_key(&self, name: &SearchName) -> u128 {
        let mut key = [0; 16];
        let mut at = 0;
        for labels in self.apex_labels + 1..=name.labels {
            for &octet in name.suffix(labels).labels().next().unwrap_or_default() {
                if at >= key.len() {
                    return u128::from_be_bytes(key);
                }
                key[at] = octet;
                at += 1;
                if octet <= 1 {
                    key[at - 1] = 1;
                    if at < key.len() {
                        key[at] = octet + 1;
                    }
                    at += 1;
                }
            }
            at += 1;
        }
        u128::from_be_bytes(key)
    }

    /// The same zone with RRsets added to the apex, where those of the same type are replaced: the key sets and
    /// NSEC3PARAM of a signer. Shares everything else.
    #[must_use]
    pub fn with_apex_rrsets<'r>(
        &self,
        added: impl IntoIterator<Item = (RrType, Ttl, Vec<&'r [u8]>)>,
    ) -> Self {
        let added: Vec<_> = added.into_iter().collect();
        let mut sets: Vec<(RrType, Ttl, Vec<&[u8]>)> = self
            .apex_node()
            .rrsets()
            .filter(|set| !added.iter().any(|(rtype, ..)| *rtype == set.rtype()))
            .map(|set| (set.rtype(), set.ttl(), set.rdatas().collect()))
            .collect();
        sets.extend(added);
        sets.sort_by_key(|(rtype, ..)| *rtype);
        let mut draft = ShardDraft::as_large_as(&self.apex_shard);
        let before = &self.apex_shard.nodes[0];
        draft.begin(NewNode {
            name: self.apex.as_wire(),
            hash: 0,
            flags: before.flags,
            children: before.children,
        });
        for (rtype, ttl, rdatas) in &sets {
            draft.begin_rrset(rtype.0, ttl.seconds());
            for rdata in rdatas {
                draft.rdata(rdata);
            }
        }
        let apex_shard = Arc::new(draft.finish());
        Self {
            apex: self.apex.clone(),
            apex_labels: self.apex_labels,
            hasher: self.hasher.clone(),
            totals: Totals {
                nodes: self.totals.nodes,
                records: self.totals.records - self.apex_shard.totals.records + apex_shard.totals.records,
                ..self.totals.and(apex_shard.totals)
            },
            apex_shard,
            shards: self.shards.clone(),
            uneven: Arc::clone(&self.uneven),
            // The apex stays the apex, so the chain's order stays.
            chain: Arc::clone(&self.chain),
        }
    }
}

/// One name of a zone.
#[derive(Clone, Copy)]
pub struct NodeView<'z> {
    pub(super) shard: &'z Shard,
    pub(super) node: u32,
}

impl fmt::Debug for NodeView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {}", self.name())
    }
}

impl<'z> NodeView<'z> {
    fn stored(self) -> &'z Node {
        &self.shard.nodes[self.node as usize]
    }

    pub(super) fn flags(self) -> NodeFlags {
        self.stored().flags
    }

    /// How many names are one label below.
    pub(super) fn children(self) -> u32 {
        self.stored().children
    }

    /// The owner, lower-cased.
    pub fn name(self) -> NameRef<'z> {
        NameRef::from_trusted(self.shard.name(self.node))
    }

    /// Whether it is a zone cut.
    pub fn is_cut(self) -> bool {
        self.flags().has(NodeFlags::CUT)
    }

    /// Whether it is below a cut or a DNAME.
    pub fn is_occluded(self) -> bool {
        self.flags().has(NodeFlags::OCCLUDED)
    }

    /// Whether it has a CNAME.
    pub fn has_cname(self) -> bool {
        self.flags().has(NodeFlags::CNAME)
    }

    /// Whether it is an empty non-terminal.
    pub fn is_empty(self) -> bool {
        self.stored().rrset_count == 0
    }

    /// Whether an exact chain has an NSEC here: it has data of ours, or is a cut.
    pub fn owns_nsec(self) -> bool {
        !self.is_empty() && !self.is_occluded()
    }

    /// Whether it has signed RRsets: at a cut, only a DS is signed.
    pub fn has_signed_data(self) -> bool {
        if self.is_cut() {
            self.rrset(RrType::DS).is_some()
        } else {
            !self.is_empty()
        }
    }

    /// The RRsets, by ascending type.
    pub fn rrsets(self) -> impl ExactSizeIterator<Item = RrsetView<'z>> {
        let sets = self.shard.rrsets_of(self.node).iter();
        sets.map(move |stored| RrsetView {
            shard: self.shard,
            stored,
        })
    }

    /// The RRset of a type.
    pub fn rrset(self, rtype: RrType) -> Option<RrsetView<'z>> {
        self.rrsets().find(|set| set.stored.rtype == rtype.0)
    }

    /// The slot of the signed NSEC or NSEC3 that matches this name.
    pub fn denial(self) -> &'z Slot<SignedDenial> {
        &self.stored().denial
    }

    /// The slot of the exact NSEC that is kept beside the zone's own way; `None` where none was kept around here.
    pub fn range(self) -> Option<&'z Slot<SignedRange>> {
        self.shard.range(self.node)
    }

    /// The same, made when need be.
    pub fn range_to_keep(self) -> &'z Slot<SignedRange> {
        &self.shard.ranges()[self.node as usize]
    }
}

/// One RRset of a zone.
#[derive(Clone, Copy)]
pub struct RrsetView<'z> {
    shard: &'z Shard,
    stored: &'z StoredRrset,
}

impl fmt::Debug for RrsetView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} × {}", self.ttl(), self.rtype(), self.len())
    }
}

impl<'z> RrsetView<'z> {
    /// The type.
    pub fn rtype(self) -> RrType {
        RrType(self.stored.rtype)
    }

    /// The TTL of all its records.
    pub fn ttl(self) -> Ttl {
        Ttl::new(self.stored.ttl)
    }

    /// How many records; at least one.
    #[expect(clippy::len_without_is_empty, reason = "an RRset is never empty")]
    pub fn len(self) -> usize {
        usize::from(self.stored.count)
    }

    /// The rdata of its records, in canonical order.
    pub fn rdatas(self) -> Rdatas<'z> {
        Rdatas { rest: self.octets() }
    }

    /// The octets of all its rdata with their lengths: equal exactly when the records are, letter case included.
    pub fn octets(self) -> &'z [u8] {
        self.shard.rdata_octets(self.stored)
    }

    /// The slot of its signatures.
    pub fn slot(self) -> &'z Slot<Signed> {
        &self.stored.slot
    }

    /// The name in the rdata of a type that has one in front (CNAME, DNAME, NS, PTR) or behind a number (MX).
    pub fn first_target(self) -> Option<NameRef<'z>> {
        let rdata = self.rdatas().next()?;
        let name = types::names_in_rdata(self.rtype(), rdata).next()?;
        Some(NameRef::from_trusted(&rdata[name.range]))
    }
}

/// The rdata of an RRset's records.
#[derive(Clone, Debug)]
pub struct Rdatas<'z> {
    rest: &'z [u8],
}

impl<'z> Iterator for Rdatas<'z> {
    type Item = &'z [u8];

    fn next(&mut self) -> Option<&'z [u8]> {
        let (length, rest) = self.rest.split_first_chunk::<2>()?;
        let (rdata, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
        self.rest = rest;
        Some(rdata)
    }
}
