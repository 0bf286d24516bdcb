//! Records that were checked are put where they are served from.

use std::{ops::Range, sync::Arc};

use super::{RawRecord, ZoneBuilder};
use crate::{
    wire::{NameRef, RrType, types},
    zone::{
        rules,
        shard::{NewNode, ShardDraft, Totals, shard_count, shard_of},
        snapshot::Zone,
    },
};

impl ZoneBuilder {
    pub(super) fn assemble(&mut self) -> Zone {
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
