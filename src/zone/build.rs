//! Records in, a [`Zone`] out, with the checks of a load.
//!
//! Checked: SOA and NS at the apex (RFC 1035 §5.2), CNAME and DNAME exclusivity (RFC 2181 §10.1, RFC 6672 §2.4),
//! one TTL an RRset (RFC 2181 §5.2: the lowest), data below cuts, names out of zone. DNSSEC records of another
//! signer are dropped and counted: this server signs itself.

mod assemble;
mod findings;
mod judge;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, fmt};

use ahash::RandomState;
use hashbrown::HashTable;

use self::findings::Findings;
pub use self::findings::{Finding, LoadError, MAX_FINDINGS, Severity};
use super::{
    Entry, Place,
    rules::{self, Import},
    shard::NodeFlags,
    snapshot::Zone,
};
use crate::wire::{Name, NameRef, RrType, Ttl};

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

    fn rdata_of(&self, record: &RawRecord) -> &[u8] {
        &self.rdata[record.rdata as usize..record.rdata as usize + usize::from(record.length)]
    }
}
