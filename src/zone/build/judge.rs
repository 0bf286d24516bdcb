//! The checks of a load: what each name is, what hides it, and what no zone may have.

use std::ops::Range;

use super::{MAX_FINDINGS, ZoneBuilder};
use crate::{
    wire::{NameRef, RrType},
    zone::{
        rules::{self, TypeAt},
        shard::NodeFlags,
    },
};

impl ZoneBuilder {
    /// Makes the empty non-terminals (RFC 4592 §2.2.2) and finds each node's parent.
    pub(super) fn link_parents(&mut self) {
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

    pub(super) fn flag_nodes(&mut self) {
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

    /// A name is hidden when an ancestor is a cut or has a DNAME.
    pub(super) fn flag_occluded(&mut self) {
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

    pub(super) fn check_apex(&mut self) {
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
    pub(super) fn check_referrals(&mut self) {
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
}
