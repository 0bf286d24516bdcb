//! Asking for the memory of many names at once.
//!
//! To find a name is to wait for memory: a shard's head, its index, the node, its name, its RRsets and their signatures
//! lie in lines of their own, and each is known only when the one before it has come. Here every name of a batch takes
//! its first step before any takes its second, so that the waits of a step pass together. Nothing is found for good:
//! an answer is made as if nobody had looked ahead.

use std::hint::black_box;

use super::{
    shard::{Node, Shard, shard_of},
    snapshot::Zone,
};
use crate::wire::NameRef;

/// How many names take their steps together: more do not fit beside one another in what a core has under way.
const TOGETHER: usize = 16;

/// Names that are about to be looked up.
#[derive(Default)]
pub struct Ahead<'z> {
    names: [Option<Sought<'z>>; TOGETHER],
    count: usize,
}

#[derive(Clone, Copy)]
struct Sought<'z> {
    shard: &'z Shard,
    hash: u64,
    node: Option<&'z Node>,
}

impl<'z> Ahead<'z> {
    /// Begins with a name, lower-cased. One that is not in the zone at all is looked for in vain.
    pub fn add(&mut self, zone: &'z Zone, name: NameRef<'_>) {
        // The apex is always near.
        if name.len() == zone.apex().len() {
            return;
        }
        let hash = zone.hasher.hash_one(name.as_wire());
        let shard = &*zone.shards[shard_of(hash, zone.shards.len())];
        self.names[self.count] = Some(Sought {
            shard,
            hash,
            node: None,
        });
        self.count += 1;
        if self.count == TOGETHER {
            self.bring();
        }
    }

    /// Has the memory of the names so far brought near.
    pub fn bring(&mut self) {
        let names = &mut self.names[..std::mem::take(&mut self.count)];
        for name in names.iter_mut().flatten() {
            name.node = name.shard.candidate(name.hash);
        }
        let nodes = || {
            names
                .iter()
                .flatten()
                .filter_map(|name| Some((name.shard, name.node?)))
        };
        for (shard, node) in nodes() {
            black_box(shard.octets.get(node.name as usize).copied());
            black_box(shard.rrsets.get(node.rrsets as usize).map(|set| set.start));
        }
        for set in nodes().filter_map(|(shard, node)| shard.rrsets.get(node.rrsets as usize)) {
            black_box(set.slot.load().as_ref().map(|signed| signed.expiration()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        wire::{Name, RrType, Ttl},
        zone::{Entry, Place, SearchName, ZoneBuilder},
    };

    #[test]
    fn names_that_are_there_are_come_to_and_others_pass() {
        let apex: Name = "example.".parse().unwrap();
        let mut builder = ZoneBuilder::new(apex.as_ref(), Ttl::new(3_600));
        let mut add = |owner: &Name, rtype, rdata: &[u8]| {
            builder.add(&Entry {
                owner: owner.as_ref(),
                rtype,
                ttl: Ttl::new(60),
                rdata,
                at: Place::default(),
            });
        };
        add(&apex, RrType::SOA, &[&[0, 0][..], &[0; 20]].concat());
        add(&apex, RrType::NS, b"\x02ns\x07example\0");
        let names: Vec<Name> = (0..1_000)
            .map(|n| format!("h{n}.example.").parse().unwrap())
            .collect();
        for name in &names {
            add(name, RrType::A, &[192, 0, 2, 1]);
        }
        let zone = builder.finish().unwrap().zone;
        let mut ahead = Ahead::default();
        for some in names.chunks(TOGETHER - 1) {
            ahead.add(&zone, apex.as_ref());
            for name in some {
                ahead.add(&zone, SearchName::new(name.as_ref()).name());
            }
            assert_eq!(ahead.count, some.len(), "the apex is not looked for");
            ahead.bring();
            assert_eq!(ahead.count, 0);
            // Rarely two hashes look alike in the seven bits that an index keeps of them, so not all of them.
            let there = ahead.names[..some.len()]
                .iter()
                .zip(some)
                .filter(|(sought, name)| {
                    let node = sought.unwrap().node.unwrap();
                    let shard = sought.unwrap().shard;
                    shard.octets[node.name as usize..].starts_with(name.as_wire())
                });
            assert!(there.count() * 2 > some.len());
        }
        for number in 0..TOGETHER {
            let name: Name = format!("n{number}.example.").parse().unwrap();
            ahead.add(&zone, name.as_ref());
        }
        assert_eq!(ahead.count, 0, "as many as go together have gone");
        let found = ahead.names.iter().filter(|name| name.unwrap().node.is_some());
        assert!(found.count() < TOGETHER / 2);
    }
}
