//! A provider goes out of the delegation, and its keys after it.
//!
//! ```text
//! NS without it, at itself and the others, then at the parent ─Tns─► it stops ─┬─ + Tkey ──► its DS goes
//!                                                                              └─ + Tdata ─► its keys go
//! ```
//!
//! The draft about automation lets the keys go when it stops: what was fetched from it last is still held then, and
//! hits validators behind caches. A resolver that trusts the child's NS RRset stays at a provider that names itself, so
//! its own NS RRset changes too.

use std::collections::BTreeSet;

use super::{
    super::{
        super::safety::{KeyRrset, KeySet, ProviderId, Value},
        Action, Actor, Kind, Plan, Situation, Unplannable, Wait,
        draft::{Draft, Move, US},
    },
    join::theirs_by_hand,
};

pub(super) fn plan(situation: &Situation, provider: ProviderId) -> Result<Plan, Unplannable> {
    situation.hand(provider)?;
    let mut draft = Draft::new(situation);
    let name = situation.name(provider).to_owned();
    draft.parent_ns()?;
    let before = draft.asked();
    if !before.contains(&provider) {
        return Err(Unplannable::NotIn { provider: name });
    }
    let rest: BTreeSet<ProviderId> = before
        .iter()
        .copied()
        .filter(|other| *other != provider)
        .collect();
    if rest.is_empty() {
        return Err(Unplannable::LastProvider { provider: name });
    }
    for member in &before {
        draft.data(*member)?;
    }
    let its_keys = draft.keys(provider)?;
    let gone = draft.owned_by(provider, its_keys.keys.union(its_keys.signers));
    let back = format!("the NS RRset names {name} again at once: its keys and its DS are still everywhere");
    for member in [provider].iter().chain(&rest) {
        draft.point_child_ns_to(*member, &rest, &back)?;
    }
    draft.point_parent_ns_to(&rest, &back)?;
    stop(&mut draft, provider);
    let back = format!("not at all: let {name} join again");
    let wanted = draft.anchors()?.without(gone);
    let what = format!("the DS RRset points to no key of {name} any more");
    draft.point_ds_to(wanted, &what, &back)?;
    for member in &rest {
        take_out(&mut draft, *member, provider, gone, &back)?;
    }
    draft.finish(Kind::Leave { provider })
}

fn stop(draft: &mut Draft<'_>, provider: ProviderId) {
    let name = draft.situation.name(provider);
    // It goes on answering, for caches may lead to it still; what counts is that nothing new is fetched from it.
    let place = if provider == US {
        let zone = &draft.situation.zone;
        format!(
            "who says `countersign done {zone}`: remove nothing, and keep the zone configured until the plan is over"
        )
    } else {
        format!("at {name}")
    };
    let by = Actor::Person {
        place,
        paste: Vec::new(),
    };
    let step = Move {
        what: format!("{name} stops answering for the zone"),
        action: Action::Stop { provider },
        by,
        changes: vec![Value::Serving(provider, false)],
        back: format!("not by itself: let {name} join again"),
    };
    draft.step(step);
}

/// A provider that stays publishes no key any more of the one that went.
fn take_out(
    draft: &mut Draft<'_>,
    member: ProviderId,
    owner: ProviderId,
    gone: KeySet,
    back: &str,
) -> Result<(), Unplannable> {
    take_out_after(draft, member, owner, gone, back, Vec::new())
}

/// The same, with waits beside those that follow from the values.
pub(super) fn take_out_after(
    draft: &mut Draft<'_>,
    member: ProviderId,
    owner: ProviderId,
    gone: KeySet,
    back: &str,
    waits: Vec<Wait>,
) -> Result<(), Unplannable> {
    let now = draft.keys(member)?;
    let going = now.keys.intersection(gone);
    if going.is_empty() {
        return Ok(());
    }
    let situation = draft.situation;
    let name = situation.name(member);
    let what = format!("{name} publishes {} no more", situation.labels(going));
    if owner == US {
        let left = draft.owned_by(US, now.keys).without(gone);
        return draft.give(member, left, &what, back);
    }
    let left = now.keys.without(gone);
    let (action, by) = if member == US {
        let keys = going.iter().collect();
        (Action::Withdraw { keys }, Actor::We)
    } else {
        theirs_by_hand(situation, member, draft.owned_by(owner, left), now, &what)
    };
    let step = Move {
        what,
        action,
        by,
        changes: vec![Value::Keys(member, KeyRrset { keys: left, ..now })],
        back: back.to_owned(),
    };
    draft.step_after(step, waits);
    Ok(())
}
