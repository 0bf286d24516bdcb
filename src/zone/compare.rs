//! In what two versions of a zone's content differ: RRset by RRset, rdata in canonical form (RFC 4034 §6.2), so that
//! letter case in names counts only where it counts for signatures.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::snapshot::{NodeView, RrsetView, Zone};
use crate::wire::{Name, RrType, Ttl, received::Record, text::print_rdata, types::canonical_rdata};

/// How many differences are kept; the rest are counted.
pub const MAX_DIFFERENCES: usize = 1_000;

/// An RRset that differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The owner, lower-cased.
    pub owner: Name,
    /// The type.
    pub rtype: RrType,
    /// How.
    pub kind: Kind,
}

/// In what an RRset differs. `left` and `right` are the two in the order in which they were given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only the left one has it.
    OnlyLeft,
    /// Only the right one has it.
    OnlyRight,
    /// The records differ; of the TTL nothing is said.
    Rdata {
        /// Those that only the left one has, in canonical form.
        left: Vec<Box<[u8]>>,
        /// Those that only the right one has.
        right: Vec<Box<[u8]>>,
    },
    /// The records are the same, with another TTL.
    Ttl {
        /// On the left.
        left: Ttl,
        /// On the right.
        right: Ttl,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, rtype, kind } = self;
        write!(f, "{owner} {rtype}: ")?;
        match kind {
            Kind::OnlyLeft => f.write_str("only the first has it"),
            Kind::OnlyRight => f.write_str("only the second has it"),
            Kind::Ttl { left, right } => write!(f, "TTL {left} and {right}"),
            Kind::Rdata { left, right } => {
                for (sign, records) in [("-", left), ("+", right)] {
                    for (number, rdata) in records.iter().enumerate() {
                        let space = if number > 0 || sign == "+" && !left.is_empty() {
                            ", "
                        } else {
                            ""
                        };
                        write!(f, "{space}{sign} ")?;
                        print_rdata(*rtype, rdata, f)?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// All differences between two versions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Differences {
    /// The first of them, by owner and type.
    pub kept: Vec<Difference>,
    /// RRsets that only the left one has.
    pub only_left: usize,
    /// RRsets that only the right one has.
    pub only_right: usize,
    /// RRsets that both have, with other records or another TTL.
    pub changed: usize,
}

impl Differences {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.only_left + self.only_right + self.changed == 0
    }

    fn add(&mut self, owner: impl FnOnce() -> Name, rtype: RrType, kind: Kind) {
        match kind {
            Kind::OnlyLeft => self.only_left += 1,
            Kind::OnlyRight => self.only_right += 1,
            Kind::Rdata { .. } | Kind::Ttl { .. } => self.changed += 1,
        }
        if self.kept.len() < MAX_DIFFERENCES {
            let owner = owner();
            self.kept.push(Difference { owner, rtype, kind });
        }
    }

    fn in_order(mut self) -> Self {
        self.kept
            .sort_by(|a, b| a.owner.cmp(&b.owner).then(a.rtype.cmp(&b.rtype)));
        self
    }
}

/// Compares two zones. What they share in memory, as a zone and one that came of it by a change do, is not looked at.
pub fn zones(left: &Zone, right: &Zone) -> Differences {
    let mut found = Differences::default();
    for node in left.nodes_not_shared_with(right) {
        let other = right.node(node.name());
        for set in node.rrsets() {
            let kind = match other.and_then(|other| other.rrset(set.rtype())) {
                None => Some(Kind::OnlyLeft),
                Some(other) => differ(set, other),
            };
            if let Some(kind) = kind {
                found.add(|| node.name().to_owned(), set.rtype(), kind);
            }
        }
    }
    for node in right.nodes_not_shared_with(left) {
        let other = left.node(node.name());
        let is_new = |set: &RrsetView<'_>| {
            other
                .and_then(|other: NodeView<'_>| other.rrset(set.rtype()))
                .is_none()
        };
        for set in node.rrsets().filter(is_new) {
            found.add(|| node.name().to_owned(), set.rtype(), Kind::OnlyRight);
        }
    }
    found.in_order()
}

fn differ(left: RrsetView<'_>, right: RrsetView<'_>) -> Option<Kind> {
    let same = left.octets() == right.octets();
    if same && left.ttl() == right.ttl() {
        return None;
    }
    let set = |set: RrsetView<'_>| Set {
        ttl: set.ttl(),
        records: set.rdatas().map(|rdata| canonical(set.rtype(), rdata)).collect(),
    };
    set(left).differ(&set(right))
}

/// Compares records from two sources, such as answers of two servers. Those of one RRset count with the lowest TTL.
pub fn records<'r>(
    left: impl IntoIterator<Item = &'r Record>,
    right: impl IntoIterator<Item = &'r Record>,
) -> Differences {
    let (left, right) = (sets(left), sets(right));
    let mut found = Differences::default();
    for ((owner, rtype), set) in &left {
        let kind = match right.get(&(owner.clone(), *rtype)) {
            None => Some(Kind::OnlyLeft),
            Some(other) => set.differ(other),
        };
        if let Some(kind) = kind {
            found.add(|| owner.clone(), *rtype, kind);
        }
    }
    for (owner, rtype) in right.keys().filter(|key| !left.contains_key(*key)) {
        found.add(|| owner.clone(), *rtype, Kind::OnlyRight);
    }
    found.in_order()
}

struct Set {
    ttl: Ttl,
    records: BTreeSet<Box<[u8]>>,
}

impl Set {
    fn differ(&self, other: &Self) -> Option<Kind> {
        if self.records != other.records {
            return Some(Kind::Rdata {
                left: self.records.difference(&other.records).cloned().collect(),
                right: other.records.difference(&self.records).cloned().collect(),
            });
        }
        (self.ttl != other.ttl).then_some(Kind::Ttl {
            left: self.ttl,
            right: other.ttl,
        })
    }
}

fn sets<'r>(records: impl IntoIterator<Item = &'r Record>) -> BTreeMap<(Name, RrType), Set> {
    let mut sets = BTreeMap::new();
    for record in records {
        let key = (record.owner.as_ref().to_lowercase(), record.rtype);
        let set = sets.entry(key).or_insert_with(|| Set {
            ttl: record.ttl,
            records: BTreeSet::new(),
        });
        set.ttl = set.ttl.min(record.ttl);
        set.records.insert(canonical(record.rtype, &record.rdata));
    }
    sets
}

fn canonical(rtype: RrType, rdata: &[u8]) -> Box<[u8]> {
    let mut canonical = Vec::with_capacity(rdata.len());
    canonical_rdata(rtype, rdata, &mut canonical);
    canonical.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        wire::Class,
        zone::{
            ZoneBuilder,
            master::{Source, read},
        },
    };

    const BASE: &str = "@ 300 SOA ns mail 1 1 1 1 1\n@ 300 NS ns\nns 300 A 192.0.2.1\n";

    fn each(text: &str, mut take: impl FnMut(crate::zone::Entry<'_>)) {
        let apex: Name = "example.".parse().unwrap();
        let text = format!("{BASE}{text}");
        let source = Source::Text {
            name: "test",
            octets: text.as_bytes(),
        };
        let read = read(&source, apex.as_ref(), &mut |entry| take(entry));
        assert!(read.errors.is_empty(), "{:?}", read.errors);
    }

    fn zone(text: &str) -> Zone {
        let apex: Name = "example.".parse().unwrap();
        let mut builder = ZoneBuilder::new(apex.as_ref(), Ttl::MAX);
        each(text, |entry| builder.add(&entry));
        builder.finish().unwrap().zone
    }

    fn list(text: &str) -> Vec<Record> {
        let mut records = Vec::new();
        each(text, |entry| {
            records.push(Record {
                owner: entry.owner.to_owned(),
                rtype: entry.rtype,
                class: Class::IN,
                ttl: entry.ttl,
                rdata: entry.rdata.into(),
            });
        });
        records
    }

    #[test]
    fn zones_and_records_are_compared_alike() {
        let left = "a 300 A 192.0.2.1\na 300 A 192.0.2.2\nB 300 MX 1 A\nonly-here 300 TXT x\nc 300 TXT c\n";
        let right = "a 300 A 192.0.2.2\na 300 A 192.0.2.3\nb 300 MX 1 a\nc 60 TXT c\nc 60 AAAA 2001:db8::1\n";
        let expected = [
            "a.example. A: - 192.0.2.1, + 192.0.2.3",
            "c.example. TXT: TTL 300 and 60",
            "c.example. AAAA: only the second has it",
            "only-here.example. TXT: only the first has it",
        ];
        for found in [
            zones(&zone(left), &zone(right)),
            records(&list(left), &list(right)),
        ] {
            let lines: Vec<String> = found.kept.iter().map(ToString::to_string).collect();
            assert_eq!(lines, expected);
            assert_eq!((found.only_left, found.only_right, found.changed), (1, 1, 2));
        }
    }

    #[test]
    fn what_is_the_same_has_no_differences() {
        let (a, b) = (
            "a 300 A 192.0.2.1\na 300 A 192.0.2.2\n",
            "A 300 A 192.0.2.2\na 300 A 192.0.2.1\n",
        );
        assert!(zones(&zone(a), &zone(b)).is_empty());
        assert!(records(&list(a), &list(b)).is_empty());
    }

    #[test]
    fn many_differences_are_counted() {
        let many: String = (0..2 * MAX_DIFFERENCES)
            .map(|n| format!("n{n} 300 TXT x\n"))
            .collect();
        let found = zones(&zone(""), &zone(&many));
        assert_eq!(
            (found.kept.len(), found.only_right),
            (MAX_DIFFERENCES, 2 * MAX_DIFFERENCES)
        );
    }
}
