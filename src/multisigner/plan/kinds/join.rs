//! A provider that signs already comes into the delegation (RFC 8901 §5, and the draft about its automation).
//!
//! ```text
//! every key of each at the others ─► (CDS) ─► DS of all KSKs ─Tkey, Tds─► NS at the newcomer, at the others, at the parent
//! ```
//!
//! DS before NS: with NS first, every resolver that asks the newcomer finds a DNSKEY RRset that no DS points to.

use std::collections::BTreeSet;

use super::super::{
    super::safety::{KeyRrset, KeySet, ProviderId, Value},
    Action, Actor, Kind, Plan, Situation, Unplannable,
    draft::{Draft, Move, US},
};

pub(super) fn plan(situation: &Situation, provider: ProviderId) -> Result<Plan, Unplannable> {
    situation.hand(provider)?;
    let mut draft = Draft::new(situation);
    let name = situation.name(provider).to_owned();
    let before = draft.asked();
    if before.contains(&provider) {
        return Err(Unplannable::AlreadyIn { provider: name });
    }
    draft.parent_ns()?;
    let all: BTreeSet<ProviderId> = before.iter().copied().chain([provider]).collect();
    for member in &all {
        draft.data(*member)?;
        draft.child_ns(*member)?;
    }
    exchange(&mut draft, &all)?;
    point_ds(&mut draft, &all, &name)?;
    let back =
        format!("the NS RRset names {name} no more; as nothing else was taken away, this is safe at once");
    draft.point_child_ns_to(provider, &all, &back)?;
    for member in &before {
        draft.point_child_ns_to(*member, &all, &back)?;
    }
    draft.point_parent_ns_to(&all, &back)?;
    draft.finish(Kind::Join { provider })
}

/// Every provider has the keys of all others in its DNSKEY RRset.
fn exchange(draft: &mut Draft<'_>, all: &BTreeSet<ProviderId>) -> Result<(), Unplannable> {
    let back = "the keys go out again at once, as long as no NS RRset names the newcomer";
    let situation = draft.situation;
    for member in all {
        for other in all.iter().filter(|other| *other != member) {
            let theirs = draft.keys(*other)?.keys;
            let theirs = draft.owned_by(*other, theirs);
            let now = draft.keys(*member)?;
            let what = format!(
                "{} publishes the keys of {}",
                situation.name(*member),
                situation.name(*other)
            );
            if *other == US {
                draft.give(*member, theirs, &what, back)?;
                continue;
            }
            let (action, by) = if *member == US {
                (Action::Await, Actor::We)
            } else {
                theirs_by_hand(situation, *member, theirs, now, &what)
            };
            let keys = KeyRrset {
                keys: now.keys.union(theirs),
                ..now
            };
            draft.step(Move {
                what,
                action,
                by,
                changes: vec![Value::Keys(*member, keys)],
                back: back.to_owned(),
            });
        }
    }
    Ok(())
}

/// What another provider does with a third one's keys.
pub(super) fn theirs_by_hand(
    situation: &Situation,
    member: ProviderId,
    keys: KeySet,
    now: KeyRrset,
    what: &str,
) -> (Action, Actor) {
    let action = Action::Theirs {
        provider: member,
        what: what.to_owned(),
    };
    let by = Actor::Person {
        place: format!("at {}", situation.name(member)),
        paste: super::super::paste::dnskeys(situation, keys, now.ttl),
    };
    (action, by)
}

/// The DS RRset points to every key that signs a DNSKEY RRset. A zone without DS stays without.
fn point_ds(draft: &mut Draft<'_>, all: &BTreeSet<ProviderId>, name: &str) -> Result<(), Unplannable> {
    let now = draft.anchors()?;
    if now.is_empty() {
        return Ok(());
    }
    let mut wanted = now;
    for member in all {
        wanted = wanted.union(draft.keys(*member)?.signers);
    }
    let added = draft.situation.labels(wanted.without(now));
    let what = format!("the DS RRset points to {added} too");
    let back = format!("the DS records of before come back at once, as long as no NS RRset names {name}");
    draft.point_ds_to(wanted, &what, &back)
}
