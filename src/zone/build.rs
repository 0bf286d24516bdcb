//! Records in, a [`Zone`] out, with the checks of a load.
//!
//! Checked: SOA and NS at the apex (RFC 1035 §5.2), CNAME and DNAME exclusivity (RFC 2181 §10.1, RFC 6672 §2.4),
//! one TTL an RRset (RFC 2181 §5.2: the lowest), data below cuts, names out of zone. DNSSEC records of another
//! signer are dropped and counted: this server signs itself.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, OnceLock},
};

use ahash::RandomState;
use hashbrown::HashTable;

use super::{
    Entry, Place, is_of_a_signer,
    slot::Slot,
    snapshot::{Node, NodeFlags, Shard, StoredRrset, Zone, shard_of},
};
use crate::wire::{Name, NameRef, RrType, Ttl, types};

/// How many findings are kept; the rest are counted. A person mends the first ones first.
pub const MAX_FINDINGS: usize = 100;
/// About how many names a shard holds: a change rebuilds that many.
const NAMES_A_SHARD: usize = 1_024;
/// The most shards a zone has.
const MAX_SHARDS: usize = 16_384;

/// The most octets of an RRset: what a message of 65,535 holds besides its header, the question, OPT, and two
/// signatures of the longest kind.
const LARGEST_RRSET: usize = 65_535 - 12 - 259 - 64 - 2 * (12 + 18 + 255 + 512);

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// The zone cannot be served.
    Error,
    /// The zone is served; this stands in `status`.
    Warning,
}

/// Something that a load found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where, when it is at one place.
    pub at: Option<Place>,
    /// What it is, and what to do.
    pub what: String,
}

/// A zone that could not be made of its records.
#[derive(Debug, thiserror::Error)]
#[error("{}", .findings.iter().find(|f| f.severity == Severity::Error).map_or("", |f| &f.what))]
pub struct LoadError {
    /// All findings, errors and warnings.
    pub findings: Vec<Finding>,
}

/// A zone as built.
#[derive(Debug)]
pub struct Built {
    /// The zone.
    pub zone: Zone,
    /// Warnings.
    pub findings: Vec<Finding>,
    /// The rdata of apex DNSKEY records that were dropped: keys that should come from a source of keys.
    pub dropped_dnskeys: Vec<Box<[u8]>>,
    /// How many DNSSEC records were dropped, those keys included.
    pub dropped: usize,
}

#[derive(Debug)]
struct RawNode {
    hash: u64,
    name: u32,
    parent: u32,
    name_length: u8,
    flags: NodeFlags,
}

#[derive(Clone, Copy, Debug)]
struct RawRecord {
    node: u32,
    ttl: u32,
    rdata: u32,
    length: u16,
    rtype: u16,
    at: Place,
}

/// Takes the records of one zone.
pub struct ZoneBuilder {
    apex: Name,
    apex_labels: usize,
    hasher: RandomState,
    index: HashTable<u32>,
    nodes: Vec<RawNode>,
    names: Vec<u8>,
    records: Vec<RawRecord>,
    rdata: Vec<u8>,
    last: Option<(u32, usize)>,
    findings: Findings,
    dropped: usize,
    dropped_dnskeys: Vec<Box<[u8]>>,
    ttl_limit: Ttl,
    lowered_ttls: usize,
}

impl fmt::Debug for ZoneBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ZoneBuilder {{ {}: {} records }}",
            self.apex,
            self.records.len()
        )
    }
}

#[derive(Default)]
struct Findings {
    kept: Vec<Finding>,
    more: usize,
    errors: usize,
}

impl Findings {
    fn add(&mut self, severity: Severity, at: Option<Place>, what: impl FnOnce() -> String) {
        if severity == Severity::Error {
            self.errors += 1;
        }
        // An error is never crowded out by warnings: it takes the place of the last of them.
        if self.kept.len() >= MAX_FINDINGS {
            self.more += 1;
            let room = self
                .kept
                .iter()
                .rposition(|finding| finding.severity == Severity::Warning);
            match room {
                Some(room) if severity == Severity::Error => drop(self.kept.remove(room)),
                _ => return,
            }
        }
        self.kept.push(Finding {
            severity,
            at,
            what: what(),
        });
    }

    fn error(&mut self, at: Option<Place>, what: impl FnOnce() -> String) {
        self.add(Severity::Error, at, what);
    }

    fn warn(&mut self, at: Option<Place>, what: impl FnOnce() -> String) {
        self.add(Severity::Warning, at, what);
    }

    fn take(mut self) -> Vec<Finding> {
        self.kept.sort_by_key(|finding| finding.at);
        if self.more > 0 {
            let what = format!("and {} more findings", self.more);
            self.kept.push(Finding {
                severity: Severity::Warning,
                at: None,
                what,
            });
        }
        self.kept
    }
}

impl ZoneBuilder {
    /// Starts a zone. TTLs above `ttl_limit` are lowered to it, with a warning: a signature must outlive what
    /// caches keep.
    pub fn new(apex: NameRef<'_>, ttl_limit: Ttl) -> Self {
        let mut builder = Self {
            apex: apex.to_lowercase(),
            apex_labels: apex.label_count(),
            hasher: RandomState::new(),
            index: HashTable::new(),
            nodes: Vec::new(),
            names: Vec::new(),
            records: Vec::new(),
            rdata: Vec::new(),
            last: None,
            findings: Findings::default(),
            dropped: 0,
            dropped_dnskeys: Vec::new(),
            ttl_limit,
            lowered_ttls: 0,
        };
        let apex = builder.apex.clone();
        builder.node_of(apex.as_wire());
        builder
    }

    /// Takes one record.
    pub fn add(&mut self, entry: &Entry<'_>) {
        let same = self
            .last
            .filter(|&(node, length)| length == entry.owner.len() && self.is_named(node, entry.owner));
        if same.is_none() && !entry.owner.is_at_or_below(self.apex.as_ref()) {
            let (owner, apex) = (entry.owner, &self.apex);
            self.findings.warn(Some(entry.at), || {
                format!("{owner} is not in the zone {apex}; the record is left out")
            });
            return;
        }
        // A name that has nothing but what is dropped does not exist: no node is made for it.
        if self.is_dropped(entry) {
            return;
        }
        let node = same.map_or_else(
            || {
                let lower = entry.owner.to_lower();
                self.node_of(lower.as_ref().as_wire())
            },
            |(node, _)| node,
        );
        self.last = Some((node, entry.owner.len()));
        let ttl = if entry.ttl > self.ttl_limit {
            self.lowered_ttls += 1;
            self.ttl_limit
        } else {
            entry.ttl
        };
        let Ok(rdata) = u32::try_from(self.rdata.len()) else {
            self.findings
                .error(Some(entry.at), || "the zone has more than 4 GiB of rdata".into());
            return;
        };
        self.rdata.extend_from_slice(entry.rdata);
        self.records.push(RawRecord {
            node,
            ttl: ttl.seconds(),
            rdata,
            length: entry.rdata.len() as u16,
            rtype: entry.rtype.0,
            at: entry.at,
        });
    }

    /// Records of another signer: signatures and denials anywhere, key sets and digests at the apex. A DS at the
    /// apex is the parent's (RFC 4035 §2.4). The owner is known to be in the zone.
    fn is_dropped(&mut self, entry: &Entry<'_>) -> bool {
        let at_apex = entry.owner.len() == self.apex.as_wire().len();
        if at_apex && entry.rtype == RrType::DS {
            let apex = &self.apex;
            self.findings.warn(Some(entry.at), || {
                format!(
                    "{apex} has a DS at its own apex; it belongs to the parent zone, and is left out here"
                )
            });
            return true;
        }
        let drop = is_of_a_signer(entry.rtype, at_apex);
        if drop {
            self.dropped += 1;
            if entry.rtype == RrType::DNSKEY && self.dropped_dnskeys.len() < MAX_FINDINGS {
                self.dropped_dnskeys.push(entry.rdata.into());
            }
        }
        drop
    }

    fn is_named(&self, node: u32, name: NameRef<'_>) -> bool {
        self.name(node).eq_ignore_ascii_case(name.as_wire())
    }

    fn name(&self, node: u32) -> &[u8] {
        let node = &self.nodes[node as usize];
        &self.names[node.name as usize..node.name as usize + usize::from(node.name_length)]
    }

    fn node_of(&mut self, name: &[u8]) -> u32 {
        let hash = self.hasher.hash_one(name);
        let Self {
            index, nodes, names, ..
        } = self;
        let found = index.entry(
            hash,
            |&node| {
                let node = &nodes[node as usize];
                &names[node.name as usize..node.name as usize + usize::from(node.name_length)] == name
            },
            |&node| nodes[node as usize].hash,
        );
        match found {
            hashbrown::hash_table::Entry::Occupied(entry) => *entry.get(),
            hashbrown::hash_table::Entry::Vacant(entry) => {
                let node = nodes.len() as u32;
                entry.insert(node);
                nodes.push(RawNode {
                    hash,
                    name: names.len() as u32,
                    parent: 0,
                    name_length: name.len() as u8,
                    flags: NodeFlags::default(),
                });
                names.extend_from_slice(name);
                node
            }
        }
    }

    /// Makes the zone.
    ///
    /// # Errors
    /// When something is wrong that no zone may have; says all that was found.
    pub fn finish(mut self) -> Result<Built, LoadError> {
        self.link_parents();
        // Stable, and nearly sorted already: files keep the records of a name together.
        self.records.sort_by_key(|record| (record.node, record.rtype));
        self.flag_nodes();
        self.flag_occluded();
        self.check_apex();
        self.check_referrals();
        if self.lowered_ttls > 0 {
            let (count, limit) = (self.lowered_ttls, self.ttl_limit);
            self.findings.warn(None, || {
                format!("{count} records have a TTL above {limit} s and are served with that: signatures must outlive what caches keep")
            });
        }
        let zone = self.assemble();
        if self.findings.errors > 0 {
            return Err(LoadError {
                findings: self.findings.take(),
            });
        }
        Ok(Built {
            zone,
            findings: self.findings.take(),
            dropped_dnskeys: self.dropped_dnskeys,
            dropped: self.dropped,
        })
    }

    /// Makes the empty non-terminals (RFC 4592 §2.2.2) and finds each node's parent.
    fn link_parents(&mut self) {
        let mut node = 1;
        while node < self.nodes.len() {
            let length = usize::from(self.name(node as u32)[0]);
            let parent = self.name(node as u32)[1 + length..].to_vec();
            let is_wildcard = self.name(node as u32).starts_with(&[1, b'*']);
            let parent = self.node_of(&parent);
            self.nodes[node].parent = parent;
            if is_wildcard {
                self.nodes[parent as usize].flags.0 |= NodeFlags::WILDCARD_CHILD;
            }
            node += 1;
        }
    }

    fn flag_nodes(&mut self) {
        let mut at = 0;
        while at < self.records.len() {
            let node = self.records[at].node;
            let end = at
                + self.records[at..]
                    .iter()
                    .take_while(|record| record.node == node)
                    .count();
            self.flag_node(node, at, end);
            at = end;
        }
    }

    fn flag_node(&mut self, node: u32, start: usize, end: usize) {
        let records = &self.records[start..end];
        let owner = || NameRef::from_trusted(self.name(node)).to_string();
        let of = |rtype: RrType| records.iter().filter(move |record| record.rtype == rtype.0);
        let is_wildcard = self.name(node).starts_with(&[1, b'*']);
        let mut flags = 0;
        let mut findings = Vec::new();
        if let Some(cname) = of(RrType::CNAME).next() {
            flags |= NodeFlags::CNAME;
            if records.iter().any(|record| record.rtype != RrType::CNAME.0) {
                findings.push((
                    Severity::Error,
                    cname.at,
                    format!(
                        "{} has a CNAME and other data; a CNAME must be alone at its name (RFC 2181 §10.1)",
                        owner()
                    ),
                ));
            } else if self.differ(of(RrType::CNAME)) {
                findings.push((
                    Severity::Error,
                    cname.at,
                    format!("{} has more than one CNAME; keep one (RFC 2181 §10.1)", owner()),
                ));
            }
        }
        if let Some(dname) = of(RrType::DNAME).next() {
            if is_wildcard {
                findings.push((
                    Severity::Warning,
                    dname.at,
                    format!(
                        "{} is a wildcard with a DNAME, which redirects nothing (RFC 4592 §4.4)",
                        owner()
                    ),
                ));
            } else {
                flags |= NodeFlags::DNAME;
            }
            if self.differ(of(RrType::DNAME)) {
                findings.push((
                    Severity::Error,
                    dname.at,
                    format!("{} has more than one DNAME; keep one (RFC 6672 §2.4)", owner()),
                ));
            }
        }
        if node != 0
            && let Some(ns) = of(RrType::NS).next()
        {
            flags |= NodeFlags::CUT;
            if is_wildcard {
                findings.push((Severity::Error, ns.at, format!(
                    "{} is a wildcard with NS, which means nothing (RFC 4592 §4.2); delegate names one by one", owner())));
            }
        }
        if node != 0
            && let Some(soa) = of(RrType::SOA).next()
        {
            findings.push((
                Severity::Error,
                soa.at,
                format!(
                    "{} has a SOA and is not the zone's name {}; is the origin right?",
                    owner(),
                    self.apex
                ),
            ));
        }
        if flags & NodeFlags::CUT != 0 {
            let beside = records.iter().find(|record| {
                !matches!(
                    RrType(record.rtype),
                    RrType::NS | RrType::DS | RrType::A | RrType::AAAA
                )
            });
            if let Some(beside) = beside {
                findings.push((
                    Severity::Warning,
                    beside.at,
                    format!(
                        "{} {} is at a zone cut and belongs to the child; it is not served",
                        owner(),
                        RrType(beside.rtype)
                    ),
                ));
            }
        }
        self.nodes[node as usize].flags.0 |= flags;
        for (severity, at, what) in findings {
            self.findings.add(severity, Some(at), || what);
        }
    }

    fn differ<'r>(&'r self, mut records: impl Iterator<Item = &'r RawRecord>) -> bool {
        let first = records.next();
        records.any(|record| first.is_some_and(|first| self.rdata_of(first) != self.rdata_of(record)))
    }

    fn rdata_of(&self, record: &RawRecord) -> &[u8] {
        &self.rdata[record.rdata as usize..record.rdata as usize + usize::from(record.length)]
    }

    /// A name is hidden when an ancestor is a cut or has a DNAME.
    fn flag_occluded(&mut self) {
        const HIDES: u8 = NodeFlags::CUT | NodeFlags::DNAME | NodeFlags::OCCLUDED;
        let mut known = vec![false; self.nodes.len()];
        known[0] = true;
        let mut path = Vec::new();
        for node in 1..self.nodes.len() as u32 {
            let mut at = node;
            while !known[at as usize] {
                path.push(at);
                at = self.nodes[at as usize].parent;
            }
            while let Some(below) = path.pop() {
                let parent = self.nodes[below as usize].parent;
                if self.nodes[parent as usize].flags.0 & HIDES != 0 {
                    self.nodes[below as usize].flags.0 |= NodeFlags::OCCLUDED;
                }
                known[below as usize] = true;
            }
        }
    }

    fn check_apex(&mut self) {
        let apex: Vec<RawRecord> = self
            .records
            .iter()
            .take_while(|record| record.node == 0)
            .copied()
            .collect();
        let soas: Vec<_> = apex
            .iter()
            .filter(|record| record.rtype == RrType::SOA.0)
            .collect();
        let name = self.apex.clone();
        match soas[..] {
            [] => self
                .findings
                .error(None, || format!("{name} has no SOA; a zone begins with one")),
            [_] => {}
            [_, second, ..] if self.differ(soas.iter().copied()) => {
                self.findings.error(Some(second.at), || {
                    format!("{name} has more than one SOA; keep one")
                });
            }
            _ => {}
        }
        if !apex.iter().any(|record| record.rtype == RrType::NS.0) {
            self.findings
                .error(None, || format!("{name} has no NS records; name its servers"));
        }
    }

    /// Data below cuts, and cuts that nobody can reach.
    fn check_referrals(&mut self) {
        let mut findings = Vec::new();
        for record in &self.records {
            let flags = self.nodes[record.node as usize].flags.0;
            let rtype = RrType(record.rtype);
            let owner = || NameRef::from_trusted(self.name(record.node)).to_string();
            if flags & NodeFlags::OCCLUDED != 0 {
                if findings.len() <= MAX_FINDINGS && !matches!(rtype, RrType::A | RrType::AAAA) {
                    let what = format!(
                        "{} {rtype} is below a zone cut or a DNAME and is never an answer",
                        owner()
                    );
                    findings.push((record.at, what));
                }
            } else if flags & NodeFlags::CUT != 0
                && rtype == RrType::NS
                && findings.len() <= MAX_FINDINGS
                && let Ok(target) = NameRef::from_wire(self.rdata_of(record))
                && target.is_at_or_below(NameRef::from_trusted(self.name(record.node)))
                && !self.has_address(target)
            {
                let what = format!(
                    "{} NS {target} needs an address here (glue), and there is none",
                    owner()
                );
                findings.push((record.at, what));
            }
        }
        for (at, what) in findings {
            self.findings.warn(Some(at), || what);
        }
    }

    fn has_address(&self, name: NameRef<'_>) -> bool {
        let lower = name.to_lower();
        let name = lower.as_ref().as_wire();
        let Some(&node) = self
            .index
            .find(self.hasher.hash_one(name), |&node| self.name(node) == name)
        else {
            return false;
        };
        let from = self.records.partition_point(|record| record.node < node);
        self.records[from..]
            .iter()
            .take_while(|record| record.node == node)
            .any(|record| matches!(RrType(record.rtype), RrType::A | RrType::AAAA))
    }

    fn assemble(&mut self) -> Zone {
        let count = (self.nodes.len() / NAMES_A_SHARD)
            .next_power_of_two()
            .min(MAX_SHARDS);
        let mut starts = Vec::with_capacity(self.nodes.len() + 1);
        let mut at = 0;
        for node in 0..self.nodes.len() as u32 {
            starts.push(at);
            at += self.records[at..]
                .iter()
                .take_while(|record| record.node == node)
                .count();
        }
        starts.push(at);
        let mut totals = Totals::default();
        let mut apex_shard = self
            .reserve(&starts, |node| node == 0, 1)
            .pop()
            .expect("one was asked for");
        self.place(0, starts[0]..starts[1], &mut apex_shard, &mut totals);
        let mut drafts = self.reserve(&starts, |node| node != 0, count);
        // In the order of the file, so that what is read lies in a row; the ends of the shards are few enough to
        // stay in the cache.
        for node in 1..self.nodes.len() {
            let draft = &mut drafts[shard_of(self.nodes[node].hash, count)];
            self.place(node as u32, starts[node]..starts[node + 1], draft, &mut totals);
        }
        let shards: Box<[Arc<Shard>]> = drafts.into_iter().map(|draft| Arc::new(draft.finish())).collect();
        let max_labels = (0..self.nodes.len() as u32)
            .map(|node| NameRef::from_trusted(self.name(node)).label_count())
            .max()
            .unwrap_or_default();
        Zone {
            apex: self.apex.clone(),
            apex_labels: self.apex_labels,
            hasher: self.hasher.clone(),
            apex_shard: Arc::new(apex_shard.finish()),
            shards,
            max_labels,
            largest_ttl: Ttl::new(totals.largest_ttl),
            node_count: self.nodes.len(),
            record_count: totals.records,
            chain: OnceLock::new(),
        }
    }

    /// Empty shards with room for what will be placed in them.
    fn reserve(&self, starts: &[usize], take: impl Fn(usize) -> bool, count: usize) -> Vec<Draft> {
        let mut room = vec![(0, 0, 0); count];
        for (node, raw) in self.nodes.iter().enumerate().filter(|(node, _)| take(*node)) {
            let (nodes, rrsets, octets) = &mut room[shard_of(raw.hash, count)];
            *nodes += 1;
            *octets += usize::from(raw.name_length);
            let mut last = None;
            for record in &self.records[starts[node]..starts[node + 1]] {
                *octets += 2 + usize::from(record.length);
                *rrsets += usize::from(last != Some(record.rtype));
                last = Some(record.rtype);
            }
        }
        room.into_iter()
            .map(|(nodes, rrsets, octets)| Draft::new(nodes, rrsets, octets))
            .collect()
    }

    fn place(&mut self, node: u32, records: Range<usize>, draft: &mut Draft, totals: &mut Totals) {
        let (name, rrsets) = (draft.shard.octets.len() as u32, draft.shard.rrsets.len() as u32);
        draft.shard.octets.extend_from_slice(self.name(node));
        let mut at = records.start;
        while at < records.end {
            let rtype = self.records[at].rtype;
            let end = at
                + self.records[at..records.end]
                    .iter()
                    .take_while(|r| r.rtype == rtype)
                    .count();
            self.rrset(&mut draft.shard, at, end, totals);
            at = end;
        }
        let raw = &self.nodes[node as usize];
        draft.hashes.push(raw.hash);
        draft.shard.nodes.push(Node {
            name,
            rrsets,
            rrset_count: (draft.shard.rrsets.len() as u32 - rrsets) as u16,
            name_length: raw.name_length,
            flags: raw.flags,
            denial: Slot::default(),
        });
    }

    /// Stores one RRset: canonical order, no duplicates, the lowest TTL.
    fn rrset(&mut self, shard: &mut Shard, start: usize, end: usize, totals: &mut Totals) {
        let first = self.records[start];
        let rtype = RrType(first.rtype);
        let mut ttl = first.ttl;
        let stored_start = shard.octets.len() as u32;
        let mut count = 1;
        if end - start == 1 {
            store_rdata(shard, self.rdata_of(&first));
        } else {
            let mut records: Vec<(Vec<u8>, RawRecord)> = self.records[start..end]
                .iter()
                .map(|record| {
                    let mut canonical = Vec::with_capacity(usize::from(record.length));
                    types::canonical_rdata(rtype, self.rdata_of(record), &mut canonical);
                    (canonical, *record)
                })
                .collect();
            records.sort_by(|a, b| a.0.cmp(&b.0));
            records.dedup_by(|a, b| a.0 == b.0);
            count = records.len();
            if let Some((_, other)) = records.iter().find(|(_, record)| record.ttl != ttl) {
                ttl = self.records[start..end]
                    .iter()
                    .map(|record| record.ttl)
                    .min()
                    .unwrap_or(ttl);
                let owner = NameRef::from_trusted(self.name(first.node)).to_string();
                self.findings.warn(Some(other.at), || {
                    format!("{owner} {rtype} has records with different TTLs; all are served with the lowest, {ttl} (RFC 2181 §5.2)")
                });
            }
            for (_, record) in &records {
                store_rdata(shard, self.rdata_of(record));
            }
        }
        totals.records += count;
        totals.largest_ttl = totals.largest_ttl.max(ttl);
        // Owner pointer, type, class and TTL take ten octets a record; the rdata's own lengths are counted.
        if shard.octets.len() - stored_start as usize + 10 * count > LARGEST_RRSET {
            let owner = NameRef::from_trusted(self.name(first.node)).to_string();
            self.findings.error(Some(first.at), || {
                format!("{owner} {rtype} is too large for any message with its signatures; make it smaller (at most {LARGEST_RRSET} octets)")
            });
        }
        shard.rrsets.push(StoredRrset {
            rtype: first.rtype,
            count: count as u16,
            ttl,
            start: stored_start,
            end: shard.octets.len() as u32,
            slot: Slot::default(),
        });
    }
}

/// A shard that is being filled; its index is made last, while all of it is in the cache.
struct Draft {
    shard: Shard,
    hashes: Vec<u64>,
}

impl Draft {
    fn new(nodes: usize, rrsets: usize, octets: usize) -> Self {
        let shard = Shard {
            index: HashTable::with_capacity(nodes),
            nodes: Vec::with_capacity(nodes),
            rrsets: Vec::with_capacity(rrsets),
            octets: Vec::with_capacity(octets),
        };
        Self {
            shard,
            hashes: Vec::with_capacity(nodes),
        }
    }

    fn finish(self) -> Shard {
        let Self { mut shard, hashes } = self;
        for (node, &hash) in hashes.iter().enumerate() {
            shard
                .index
                .insert_unique(hash, node as u32, |&other| hashes[other as usize]);
        }
        shard
    }
}

#[derive(Default)]
struct Totals {
    records: usize,
    largest_ttl: u32,
}

fn store_rdata(shard: &mut Shard, rdata: &[u8]) {
    shard
        .octets
        .extend_from_slice(&(rdata.len() as u16).to_be_bytes());
    shard.octets.extend_from_slice(rdata);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{Lookup, SearchName};

    fn name(text: &str) -> Name {
        Name::parse(
            text.as_bytes(),
            Some("example.".parse::<Name>().unwrap().as_ref()),
        )
        .unwrap()
    }

    /// A zone of lines `owner TTL type rdata`; rdata is a name, or octets of text.
    fn build(lines: &[&str]) -> Result<Built, LoadError> {
        let mut builder = ZoneBuilder::new(name("example.").as_ref(), Ttl::new(604_800));
        for (number, line) in lines.iter().enumerate() {
            let mut words = line.splitn(4, ' ');
            let mut word = || words.next().unwrap_or_default();
            let (owner, ttl, rtype, rdata) = (name(word()), word().parse().unwrap(), word(), word());
            let rtype = RrType::from_text(rtype).unwrap();
            let rdata = match rtype {
                RrType::NS | RrType::CNAME | RrType::DNAME => name(rdata).as_wire().to_vec(),
                RrType::SOA => [
                    name("ns").as_wire(),
                    name("mail").as_wire(),
                    &[0, 0, 0, 7],
                    &[0; 12],
                    &[0, 0, 0, 60],
                ]
                .concat(),
                _ => rdata.as_bytes().to_vec(),
            };
            let at = Place {
                file: 0,
                line: number as u32 + 1,
                column: 1,
            };
            builder.add(&Entry {
                owner: owner.as_ref(),
                rtype,
                ttl: Ttl::new(ttl),
                rdata: &rdata,
                at,
            });
        }
        builder.finish()
    }

    fn found(lines: &[&str]) -> Vec<String> {
        let zone = [&["@ 300 SOA -", "@ 300 NS ns", "ns 300 A addr"][..], lines].concat();
        let findings = match build(&zone) {
            Ok(built) => built.findings,
            Err(error) => error.findings,
        };
        findings
            .iter()
            .map(|f| format!("{:?} {}: {}", f.severity, f.at.unwrap_or_default().line, f.what))
            .collect()
    }

    #[test]
    fn a_clean_zone_has_no_findings() {
        assert_eq!(
            found(&[
                "sub 300 NS ns.sub",
                "ns.sub 300 A addr",
                "sub 300 DS digest",
                "a 300 CNAME ns"
            ]),
            [""; 0]
        );
    }

    #[test]
    fn each_fault_is_found_where_it_stands() {
        for (lines, expected) in [
            (
                &["a 300 CNAME ns", "a 300 A addr"][..],
                "Error 4: a.example. has a CNAME and other data",
            ),
            (
                &["a 300 CNAME ns", "a 300 CNAME ns2"],
                "Error 4: a.example. has more than one CNAME",
            ),
            (
                &["a 300 DNAME ns", "a 300 DNAME ns2"],
                "Error 4: a.example. has more than one DNAME",
            ),
            (&["*.a 300 NS ns"], "Error 4: *.a.example. is a wildcard with NS"),
            (
                &["a 300 SOA -"],
                "Error 4: a.example. has a SOA and is not the zone's name",
            ),
            (
                &["other.test. 300 A addr"],
                "Warning 4: other.test. is not in the zone example.",
            ),
            (
                &["a 300 A x", "a 200 A y"],
                "Warning 5: a.example. A has records with different TTLs; all are served with the lowest, 200",
            ),
            (
                &["a 300 NS ns", "x.a 300 TXT x"],
                "Warning 5: x.a.example. TXT is below a zone cut",
            ),
            (
                &["a 300 DNAME ns", "x.a 300 TXT x"],
                "Warning 5: x.a.example. TXT is below a zone cut or a DNAME",
            ),
            (
                &["a 300 NS ns.a"],
                "Warning 4: a.example. NS ns.a.example. needs an address here",
            ),
            (
                &["a 300 NS ns", "a 300 TXT x"],
                "Warning 5: a.example. TXT is at a zone cut",
            ),
            (
                &["a 9999999 A x"],
                "Warning 0: 1 records have a TTL above 604800 s",
            ),
        ] {
            let found = found(lines);
            assert!(
                found.len() == 1 && found[0].starts_with(expected),
                "{lines:?}: {found:?}"
            );
        }
        let findings = build(&["a 300 A x"]).unwrap_err().findings;
        assert!(
            findings[0].what.contains("no SOA") && findings[1].what.contains("no NS"),
            "{findings:?}"
        );
    }

    #[test]
    fn an_error_is_not_crowded_out_by_warnings() {
        let mut lines: Vec<String> = (0..2 * MAX_FINDINGS)
            .map(|n| format!("n{n}.test. 1 A x"))
            .collect();
        lines.push("a 300 SOA -".into());
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let found = found(&lines);
        assert!(found.iter().any(|f| f.starts_with("Error")), "{found:?}");
        assert!(found.len() <= MAX_FINDINGS + 1);
    }

    #[test]
    fn records_of_another_signer_are_dropped_and_counted() {
        let built = build(&[
            "@ 300 SOA -",
            "@ 300 NS ns",
            "ns 300 A x",
            "@ 300 DNSKEY key",
            "@ 300 CDS x",
            "@ 300 ZONEMD x",
            "ns 300 RRSIG x",
            "ns 300 NSEC x",
            "below 300 DNSKEY kept",
        ])
        .unwrap();
        assert_eq!((built.dropped, built.zone.record_count()), (5, 4));
        assert_eq!(built.dropped_dnskeys, [b"key"[..].into()]);
    }

    /// An NSEC3's owner is no name of the zone (RFC 5155 §7.2.8), and neither is one that has only signatures: as
    /// empty nodes they would be answered with proofs that no validator takes.
    #[test]
    fn names_that_own_only_what_is_dropped_do_not_exist() {
        let built = build(&[
            "@ 300 SOA -",
            "@ 300 NS ns",
            "*.w 300 TXT wild",
            "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom 300 NSEC3 x",
            "gone.w 300 RRSIG x",
            "@ 300 DS x",
        ])
        .unwrap();
        assert_eq!(
            (built.zone.node_count(), built.dropped),
            (3, 2),
            "the apex, w and *.w"
        );
        assert!(built.zone.apex_node().rrset(RrType::DS).is_none());
        let gone = SearchName::new(name("gone.w").as_ref());
        assert!(matches!(built.zone.lookup(&gone), Lookup::Wildcard { .. }));
    }

    #[test]
    fn an_rrset_that_no_message_holds_is_an_error() {
        let records = |count: usize| -> Vec<String> {
            let mut lines = vec!["@ 300 SOA -".to_owned(), "@ 300 NS ns".to_owned()];
            lines.extend((0..count).map(|n| format!("big 300 TXT {n:0200}")));
            lines
        };
        let result = |count| {
            let lines = records(count);
            build(&lines.iter().map(String::as_str).collect::<Vec<_>>())
        };
        assert!(result(290).is_ok());
        let refused = result(310).unwrap_err();
        assert!(
            refused.findings[0].what.contains("big.example. TXT is too large"),
            "{refused:?}"
        );
    }

    #[test]
    fn an_rrset_has_canonical_order_no_duplicates_and_the_lowest_ttl() {
        let built = build(&[
            "@ 300 SOA -",
            "@ 300 NS ns",
            "a 300 TXT b",
            "a 200 TXT a",
            "a 300 TXT b",
        ])
        .unwrap();
        let set = built
            .zone
            .node(name("a").as_ref())
            .unwrap()
            .rrset(RrType::TXT)
            .unwrap();
        assert_eq!(set.rdatas().collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(
            (
                set.ttl().seconds(),
                built.zone.serial(),
                built.zone.negative_ttl().seconds()
            ),
            (200, 7, 60)
        );
    }

    /// RFC 4592 §2.2.1, with what it says of each name.
    #[test]
    fn wildcards_of_rfc_4592() {
        let built = build(&[
            "@ 300 SOA -",
            "@ 300 NS ns",
            "* 3600 TXT wild",
            "* 3600 MX host1",
            "sub.* 3600 TXT not-wild",
            "host1 3600 A x",
            "_ssh._tcp.host1 3600 SRV x",
            "_ssh._tcp.host2 3600 SRV x",
            "subdel 3600 NS ns",
        ])
        .unwrap();
        let what = |text: &str| match built.zone.lookup(&SearchName::new(name(text).as_ref())) {
            Lookup::Exact(node) if node.is_empty() => "empty".into(),
            Lookup::Exact(node) => format!("exact {}", node.name()),
            Lookup::Delegation(cut) => format!("cut {}", cut.name()),
            Lookup::Redirected(node) => format!("dname {}", node.name()),
            Lookup::Wildcard { source, .. } => format!("wild {}", source.name()),
            Lookup::NameError { closest_encloser } => format!("none {}", closest_encloser.name()),
        };
        for (asked, expected) in [
            ("host3", "wild *.example."),
            ("foo.bar", "wild *.example."),
            ("host1", "exact host1.example."),
            ("sub.*", "exact sub.*.example."),
            ("_telnet._tcp.host1", "none _tcp.host1.example."),
            ("host.subdel", "cut subdel.example."),
            ("ghost.*", "none *.example."),
            ("_tcp.host2", "empty"),
            ("@", "exact example."),
        ] {
            assert_eq!(what(asked), expected, "{asked}");
        }
    }

    #[test]
    fn what_hides_a_name_is_the_highest_cut_or_dname() {
        let built = build(&[
            "@ 300 SOA -",
            "@ 300 NS ns",
            "cut 300 NS x.y.cut",
            "x.y.cut 300 A a",
            "y.cut 300 NS z",
            "d 300 DNAME ns",
            "deep.d 300 NS z",
            "x.deep.d 300 A a",
        ])
        .unwrap();
        let what = |text: &str| match built.zone.lookup(&SearchName::new(name(text).as_ref())) {
            Lookup::Delegation(cut) => format!("cut {}", cut.name()),
            Lookup::Redirected(node) => format!("dname {}", node.name()),
            other => format!("{other:?}"),
        };
        for (asked, expected) in [
            ("cut", "cut cut.example."),
            ("x.y.cut", "cut cut.example."),
            ("y.cut", "cut cut.example."),
            ("not.here.y.cut", "cut cut.example."),
            ("deep.d", "dname d.example."),
            ("a.b.x.deep.d", "dname d.example."),
            ("other.d", "dname d.example."),
        ] {
            assert_eq!(what(asked), expected, "{asked}");
        }
    }

    #[test]
    fn the_chain_is_in_canonical_order_without_hidden_and_empty_names() {
        let owners = [
            "\\001.z",
            "*.z",
            "\\200.z",
            "a",
            "Z.a",
            "yljkjljk.a",
            "zabc.a",
            "z",
            "\\000",
            "\\000\\000",
            "\\001",
            "-",
        ];
        let mut lines: Vec<String> = owners.iter().map(|owner| format!("{owner} 300 A x")).collect();
        lines.extend(
            [
                "@ 300 SOA -",
                "@ 300 NS ns",
                "cut 300 NS ns",
                "x.cut 300 A x",
                "x.empty 300 A x",
            ]
            .map(String::from),
        );
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let zone = build(&lines).unwrap().zone;
        let chain: Vec<Name> = zone
            .chain()
            .iter()
            .map(|&id| zone.by_id(id).name().to_owned())
            .collect();
        let mut sorted = chain.clone();
        sorted.sort();
        assert_eq!(chain, sorted);
        assert_eq!(
            chain.len(),
            owners.len() + 3,
            "the apex, the cut and x.empty besides: {chain:?}"
        );
        assert_eq!(chain[0], name("@"));
    }
}
