//! Records in, a [`Zone`] out, with the checks of a load.
//!
//! Checked: SOA and NS at the apex (RFC 1035 §5.2), CNAME and DNAME exclusivity (RFC 2181 §10.1, RFC 6672 §2.4),
//! one TTL an RRset (RFC 2181 §5.2: the lowest), data below cuts, names out of zone. DNSSEC records of another
//! signer are dropped and counted: this server signs itself.

use std::{collections::HashSet, fmt, ops::Range, sync::Arc};

use ahash::RandomState;
use hashbrown::HashTable;

use super::{
    Entry, Place,
    rules::{self, Import, TypeAt},
    shard::{NewNode, NodeFlags, ShardDraft, Totals, shard_count, shard_of},
    snapshot::Zone,
};
use crate::wire::{Name, NameRef, RrType, Ttl, types};

/// How many findings are kept; the rest are counted. A person mends the first ones first.
pub const MAX_FINDINGS: usize = 100;

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
    children: u32,
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
    uneven: HashSet<(Box<[u8]>, u16)>,
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
            uneven: HashSet::new(),
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

    /// Whether a record, whose owner is known to be in the zone, is none of its content.
    fn is_dropped(&mut self, entry: &Entry<'_>) -> bool {
        let at_apex = entry.owner.len() == self.apex.as_wire().len();
        match rules::import(entry.rtype, at_apex) {
            Import::Content => return false,
            Import::Parents => {
                let apex = &self.apex;
                self.findings.warn(Some(entry.at), || {
                    format!(
                        "{apex} has a DS at its own apex; it belongs to the parent zone, and is left out here"
                    )
                });
            }
            Import::OtherSigner => {
                self.dropped += 1;
                if entry.rtype == RrType::DNSKEY && self.dropped_dnskeys.len() < MAX_FINDINGS {
                    self.dropped_dnskeys.push(entry.rdata.into());
                }
            }
        }
        true
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
                    children: 0,
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
            self.nodes[parent as usize].children += 1;
            if is_wildcard {
                self.nodes[parent as usize].flags.0 |= NodeFlags::WILDCARD_CHILD;
            }
            node += 1;
        }
    }

    fn flag_nodes(&mut self) {
        let mut types = Vec::new();
        let mut at = 0;
        while at < self.records.len() {
            let node = self.records[at].node;
            let end = at
                + self.records[at..]
                    .iter()
                    .take_while(|record| record.node == node)
                    .count();
            self.types_of(at..end, &mut types);
            self.flag_node(node, at..end, &types);
            at = end;
        }
    }

    fn flag_node(&mut self, node: u32, records: Range<usize>, types: &[TypeAt]) {
        let (flags, faults) = rules::judge(NameRef::from_trusted(self.name(node)), self.apex.as_ref(), types);
        self.nodes[node as usize].flags.0 |= flags.0;
        for fault in faults {
            let of_type = self.records[records.clone()]
                .iter()
                .find(|record| record.rtype == fault.rtype.0);
            let at = of_type.map(|record| record.at);
            self.findings.add(fault.severity, at, || fault.what);
        }
    }

    /// The types of a name's records, which are sorted by type, and whether those of one type differ.
    fn types_of(&self, records: Range<usize>, types: &mut Vec<TypeAt>) {
        types.clear();
        let mut first = None;
        for record in &self.records[records] {
            let rtype = RrType(record.rtype);
            match (types.last_mut(), first) {
                (Some((last, differ)), Some(first)) if *last == rtype => {
                    *differ = *differ || self.rdata_of(record) != first;
                }
                _ => {
                    types.push((rtype, false));
                    first = Some(self.rdata_of(record));
                }
            }
        }
    }

    fn rdata_of(&self, record: &RawRecord) -> &[u8] {
        &self.rdata[record.rdata as usize..record.rdata as usize + usize::from(record.length)]
    }

    /// A name is hidden when an ancestor is a cut or has a DNAME.
    fn flag_occluded(&mut self) {
        const HIDES: u8 = NodeFlags::HIDES | NodeFlags::OCCLUDED;
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
        let end = self.records.partition_point(|record| record.node == 0);
        let mut types = Vec::new();
        self.types_of(0..end, &mut types);
        for fault in rules::judge_apex(self.apex.as_ref(), &types) {
            let mut of_type = self.records[..end]
                .iter()
                .filter(|record| record.rtype == fault.rtype.0);
            let at = of_type.nth(1).map(|second| second.at);
            self.findings.add(fault.severity, at, || fault.what);
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
        let count = shard_count(self.nodes.len());
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
        let mut apex_shard = self
            .reserve(&starts, |node| node == 0, 1)
            .pop()
            .expect("one was asked for");
        self.place(0, starts[0]..starts[1], &mut apex_shard);
        let mut drafts = self.reserve(&starts, |node| node != 0, count);
        // In the order of the file, so that what is read lies in a row; the ends of the shards are few enough to
        // stay in the cache.
        for node in 1..self.nodes.len() {
            let draft = &mut drafts[shard_of(self.nodes[node].hash, count)];
            self.place(node as u32, starts[node]..starts[node + 1], draft);
        }
        let apex_shard = Arc::new(apex_shard.finish());
        let shards: Box<[_]> = drafts.into_iter().map(|draft| Arc::new(draft.finish())).collect();
        Zone {
            apex: self.apex.clone(),
            apex_labels: self.apex_labels,
            hasher: self.hasher.clone(),
            totals: shards.iter().fold(apex_shard.totals, |totals: Totals, shard| {
                totals.and(shard.totals)
            }),
            apex_shard,
            shards,
            uneven: Arc::new(std::mem::take(&mut self.uneven)),
            chain: Arc::default(),
        }
    }

    /// Empty shards with room for what will be placed in them.
    fn reserve(&self, starts: &[usize], take: impl Fn(usize) -> bool, count: usize) -> Vec<ShardDraft> {
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
            .map(|(nodes, rrsets, octets)| ShardDraft::new(nodes, rrsets, octets))
            .collect()
    }

    fn place(&mut self, node: u32, records: Range<usize>, draft: &mut ShardDraft) {
        let raw = &self.nodes[node as usize];
        draft.begin(NewNode {
            name: self.name(node),
            hash: raw.hash,
            flags: raw.flags,
            children: raw.children,
        });
        let mut at = records.start;
        while at < records.end {
            let rtype = self.records[at].rtype;
            let end = at
                + self.records[at..records.end]
                    .iter()
                    .take_while(|r| r.rtype == rtype)
                    .count();
            self.rrset(draft, at, end);
            at = end;
        }
    }

    /// Stores one RRset: canonical order, no duplicates, the lowest TTL.
    fn rrset(&mut self, draft: &mut ShardDraft, start: usize, end: usize) {
        let first = self.records[start];
        let rtype = RrType(first.rtype);
        let before = draft.octets();
        let mut count = 1;
        if end - start == 1 {
            draft.begin_rrset(first.rtype, first.ttl);
            draft.rdata(self.rdata_of(&first));
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
            draft.begin_rrset(first.rtype, self.lowest_ttl(start..end));
            for (_, record) in &records {
                draft.rdata(self.rdata_of(record));
            }
        }
        let owner = NameRef::from_trusted(self.name(first.node));
        if let Some(what) = rules::too_large(owner, rtype, draft.octets() - before, count) {
            self.findings.error(Some(first.at), || what);
        }
    }

    /// The TTL of an RRset: the lowest of its records, with a warning where they differ.
    fn lowest_ttl(&mut self, records: Range<usize>) -> u32 {
        let first = self.records[records.start];
        let records = &self.records[records];
        let Some(other) = records.iter().find(|record| record.ttl != first.ttl) else {
            return first.ttl;
        };
        let ttl = records.iter().map(|record| record.ttl).min().unwrap_or(first.ttl);
        let (owner, rtype) = (NameRef::from_trusted(self.name(first.node)), RrType(first.rtype));
        let (at, key) = (other.at, (owner.as_wire().into(), first.rtype));
        let what = format!(
            "{owner} {rtype} has records with different TTLs; all are served with the lowest, {ttl} (RFC 2181 §5.2)"
        );
        self.uneven.insert(key);
        self.findings.warn(Some(at), || what);
        ttl
    }
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
