//! The zone that comes of a plan: the shards of its names are written anew, all others are shared. Signatures of
//! what stays the same go with it; a denial that no longer holds stays behind.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use super::{
    ChangeError, Records,
    names::{Plan, Planned},
};
use crate::{
    wire::NameRef,
    zone::{
        shard::{
            MAX_SHARDS, NAMES_A_SHARD, NewNode, NodeFlags, Shard, ShardDraft, StoredRrset, Totals,
            shard_count, shard_of,
        },
        snapshot::{APEX_SHARD, Chain, NodeId, SearchName, Zone},
    },
};

/// A zone grows so many times beyond what its shards are meant for before it gets more of them.
const CROWDED: usize = 4;

/// The number of a node that is no longer there.
const GONE: u32 = u32::MAX;

/// What of a plan lies in one shard.
#[derive(Default)]
struct InShard<'p> {
    /// By the node's number now.
    known: BTreeMap<u32, (&'p [u8], &'p Planned)>,
    new: Vec<(&'p [u8], &'p Planned)>,
}

/// A shard written anew, and what became of the numbers of its nodes.
struct Anew {
    shard: Shard,
    moved: Vec<u32>,
}

/// Makes the zone.
///
/// # Errors
/// When a shard would hold more than can be numbered.
pub(super) fn rebuild(plan: &Plan<'_>) -> Result<Zone, ChangeError> {
    let zone = plan.zone;
    let mut by_shard = BTreeMap::<u32, InShard<'_>>::new();
    for (name, planned) in &plan.names {
        match planned.old {
            Some(id) => {
                let known = &mut by_shard.entry(id.shard).or_default().known;
                known.insert(id.node, (name, planned));
            }
            None if planned.exists => {
                let shard = shard_of(zone.hasher.hash_one(&**name), zone.shards.len()) as u32;
                by_shard.entry(shard).or_default().new.push((name, planned));
            }
            None => {}
        }
    }
    let mut anew = BTreeMap::new();
    for (number, mut changes) in by_shard {
        changes.new.sort_unstable_by_key(|(name, _)| *name);
        let written = write_shard(zone, shard_at(zone, number), &changes)?;
        anew.insert(number, written);
    }
    let chain = zone.chain.get().map(|old| relink(plan, old, &mut anew));
    let changed = put_together(zone, anew, chain);
    let shards = changed.shards.len();
    let is_crowded = changed.totals.nodes > CROWDED * NAMES_A_SHARD * shards && shards < MAX_SHARDS;
    Ok(if is_crowded { spread(&changed) } else { changed })
}

fn shard_at(zone: &Zone, number: u32) -> &Shard {
    if number == APEX_SHARD {
        &zone.apex_shard
    } else {
        &zone.shards[number as usize]
    }
}

fn write_shard(zone: &Zone, old: &Shard, changes: &InShard<'_>) -> Result<Anew, ChangeError> {
    let mut draft = ShardDraft::as_large_as(old);
    let mut moved = vec![GONE; old.nodes.len()];
    for node in 0..old.nodes.len() as u32 {
        let number = draft.len() as u32;
        match changes.known.get(&node) {
            Some((_, planned)) if !planned.exists => continue,
            Some((name, planned)) => write_name(zone, name, planned, &mut draft),
            None => draft.copy_node(old, node, zone.hasher.hash_one(old.name(node))),
        }
        moved[node as usize] = number;
    }
    for (name, planned) in &changes.new {
        write_name(zone, name, planned, &mut draft);
    }
    if u32::try_from(draft.octets()).is_err() {
        let what = "the zone would have more than 4 GiB of rdata".to_owned();
        return Err(ChangeError::Unfit { what });
    }
    Ok(Anew {
        shard: draft.finish(),
        moved,
    })
}

fn write_name(zone: &Zone, name: &[u8], planned: &Planned, draft: &mut ShardDraft) {
    draft.begin(NewNode {
        name,
        hash: zone.hasher.hash_one(name),
        flags: planned.flags,
        children: planned.children,
    });
    let old = planned.old.map(|id| (shard_at(zone, id.shard), id.node));
    let stay = old
        .iter()
        .flat_map(|(shard, node)| shard.rrsets_of(*node))
        .filter(|set| !planned.sets.contains_key(&set.rtype));
    let mut stay = stay.peekable();
    let mut same_types = true;
    for (&rtype, records) in &planned.sets {
        while let Some(set) = stay.next_if(|set| set.rtype < rtype) {
            copy(old, set, draft);
        }
        let before =
            old.and_then(|(shard, node)| shard.rrsets_of(node).iter().find(|set| set.rtype == rtype));
        same_types &= before.is_some() != records.is_empty();
        match (before, old) {
            (Some(before), Some((shard, _))) if is_same(shard, before, records) => {
                draft.copy_rrset(shard, before);
            }
            _ => write_records(rtype, records, draft),
        }
    }
    for set in stay {
        copy(old, set, draft);
    }
    // What its NSEC or NSEC3 says: its types, and of a cut only those that are the parent's.
    const SPEAKS: u8 = NodeFlags::HIDES | NodeFlags::OCCLUDED;
    if let Some((shard, number)) = old {
        let node = &shard.nodes[number as usize];
        if same_types && (node.flags.0 ^ planned.flags.0) & SPEAKS == 0 {
            draft.copy_denial(shard, number);
        }
    }
}

fn copy(old: Option<(&Shard, u32)>, set: &StoredRrset, draft: &mut ShardDraft) {
    if let Some((shard, _)) = old {
        draft.copy_rrset(shard, set);
    }
}

fn write_records(rtype: u16, records: &Records, draft: &mut ShardDraft) {
    let Some(first) = records.values().next() else {
        return;
    };
    draft.begin_rrset(rtype, first.ttl);
    for held in records.values() {
        draft.rdata(&held.rdata);
    }
}

/// Whether an RRset came out as it went in, so that its signatures hold.
fn is_same(shard: &Shard, set: &StoredRrset, records: &Records) -> bool {
    let mut rest = shard.rdata_octets(set);
    usize::from(set.count) == records.len()
        && records.values().all(|held| {
            let length = held.rdata.len();
            let same = held.ttl == set.ttl
                && rest.get(..2) == Some(&(length as u16).to_be_bytes()[..])
                && rest.get(2..2 + length) == Some(&*held.rdata);
            rest = rest.get(2 + length..).unwrap_or_default();
            same
        })
}

/// A name that joins an exact chain.
struct Joins {
    /// In front of what stands there now.
    at: usize,
    key: u128,
    id: NodeId,
}

/// The chain of a zone brought up to date with a plan. A name in front of one that joins or leaves has a new next
/// name, so what is kept of its denial is dropped, in a shard of its own: the old zone may still be served, and
/// would put its own back.
fn relink(plan: &Plan<'_>, old: &Chain, anew: &mut BTreeMap<u32, Anew>) -> Chain {
    let (joins, leaves) = joins_and_leaves(plan, old, anew);
    let stayed = |anew: &Anew| (0..).zip(&anew.moved).all(|(number, moved)| *moved == number);
    if joins.is_empty() && leaves.is_empty() && anew.values().all(stayed) {
        return old.clone();
    }
    let (mut joins, mut leaves) = (joins.into_iter().peekable(), leaves.into_iter().peekable());
    let mut chain = Vec::with_capacity(old.len() + joins.len());
    let mut keys = Vec::with_capacity(old.len() + joins.len());
    let mut renewed = Vec::new();
    let moved: BTreeMap<u32, &[u32]> = anew.iter().map(|(&shard, anew)| (shard, &*anew.moved)).collect();
    let mut moved_of = vec![None; plan.zone.shards.len()];
    for (shard, moved) in moved.range(..APEX_SHARD) {
        moved_of[*shard as usize] = Some(*moved);
    }
    for (at, &id) in old.iter().enumerate() {
        while let Some(joining) = joins.next_if(|joining| joining.at == at) {
            renewed.extend(chain.last());
            chain.push(joining.id);
            keys.push(joining.key);
        }
        if leaves.next_if_eq(&at).is_some() {
            renewed.extend(chain.last());
            continue;
        }
        let moved = moved_of.get(id.shard as usize).copied().flatten();
        chain.push(moved.map_or(id, |moved| NodeId {
            node: moved[id.node as usize],
            ..id
        }));
        keys.push(old.keys[at]);
    }
    for joining in joins {
        renewed.extend(chain.last());
        chain.push(joining.id);
        keys.push(joining.key);
    }
    for id in renewed {
        forget_denial(plan.zone, id, anew);
    }
    Chain {
        id: old.id,
        names: chain.into(),
        keys: keys.into(),
    }
}

/// The names that join the chain, in its order, and the places of those that leave it.
fn joins_and_leaves(plan: &Plan<'_>, old: &Chain, anew: &BTreeMap<u32, Anew>) -> (Vec<Joins>, Vec<usize>) {
    let zone = plan.zone;
    let place = |name: NameRef<'_>| old.position(zone, &SearchName::new(name));
    let (mut joining, mut leaves) = (Vec::new(), Vec::new());
    for (name, planned) in &plan.names {
        let before = planned.old.is_some_and(|id| zone.by_id(id).owns_nsec());
        let name = NameRef::from_trusted(name);
        match (before, planned.owns_nsec()) {
            (false, true) => joining.push(name),
            (true, false) => leaves.extend(place(name).ok()),
            _ => {}
        }
    }
    joining.sort_unstable_by(|a, b| a.canonical_cmp(*b));
    leaves.sort_unstable();
    let joins = joining.into_iter().filter_map(|name| {
        let hash = zone.hasher.hash_one(name.as_wire());
        let shard = shard_of(hash, zone.shards.len()) as u32;
        let node = anew.get(&shard)?.shard.find(hash, name.as_wire())?;
        let at = place(name).unwrap_or_else(|at| at);
        Some(Joins {
            at,
            key: zone.sort_key(&SearchName::new(name)),
            id: NodeId { shard, node },
        })
    });
    (joins.collect(), leaves)
}

fn forget_denial(zone: &Zone, id: NodeId, anew: &mut BTreeMap<u32, Anew>) {
    let anew = anew.entry(id.shard).or_insert_with(|| {
        let old = shard_at(zone, id.shard);
        let mut draft = ShardDraft::as_large_as(old);
        for node in 0..old.nodes.len() as u32 {
            draft.copy_node(old, node, zone.hasher.hash_one(old.name(node)));
        }
        Anew {
            shard: draft.finish(),
            moved: Vec::new(),
        }
    });
    anew.shard.forget_denial(id.node);
}

fn put_together(zone: &Zone, anew: BTreeMap<u32, Anew>, chain: Option<Chain>) -> Zone {
    let mut shards = zone.shards.clone();
    let mut apex_shard = Arc::clone(&zone.apex_shard);
    for (number, anew) in anew {
        if number == APEX_SHARD {
            apex_shard = Arc::new(anew.shard);
        } else {
            shards[number as usize] = Arc::new(anew.shard);
        }
    }
    let totals = shards.iter().fold(apex_shard.totals, |totals: Totals, shard| {
        totals.and(shard.totals)
    });
    Zone {
        apex: zone.apex.clone(),
        apex_labels: zone.apex_labels,
        hasher: zone.hasher.clone(),
        apex_shard,
        shards,
        totals,
        uneven: Arc::clone(&zone.uneven),
        chain: Arc::new(chain.map_or_else(OnceLock::new, OnceLock::from)),
    }
}

/// The same zone in as many shards as it would be built with now. Rare: it has grown by a factor since the last
/// time.
fn spread(zone: &Zone) -> Zone {
    let count = shard_count(zone.totals.nodes);
    let mut drafts: Vec<ShardDraft> = (0..count).map(|_| ShardDraft::default()).collect();
    for shard in &zone.shards {
        for node in 0..shard.nodes.len() as u32 {
            let hash = zone.hasher.hash_one(shard.name(node));
            drafts[shard_of(hash, count)].copy_node(shard, node, hash);
        }
    }
    Zone {
        apex: zone.apex.clone(),
        apex_labels: zone.apex_labels,
        hasher: zone.hasher.clone(),
        apex_shard: Arc::clone(&zone.apex_shard),
        shards: drafts.into_iter().map(|draft| Arc::new(draft.finish())).collect(),
        totals: zone.totals,
        uneven: Arc::clone(&zone.uneven),
        // The numbers of all nodes are others now.
        chain: Arc::default(),
    }
}
