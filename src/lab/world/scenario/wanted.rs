//! What is to be planned in a world, with the keys that it takes.

use super::{
    super::{
        chain::Keys,
        view::{key_id, provider_id},
    },
    Draw, NEW_ALGORITHM, OLD_ALGORITHM, Ring, Scenario,
};
use crate::{
    dnssec::keyset::Role,
    multisigner::{
        plan::{Emergency, Kind as PlanKind},
        safety::KeyId,
    },
};

/// The plan, and what is there for it from the start.
pub(super) struct Wanted {
    /// Keys of ours that are published and sign nothing.
    pub published: Keys,
    /// Keys of ours that the DS RRset points to besides.
    pub in_ds: Keys,
    /// None: it follows by itself, when there is something to follow.
    pub plan: Option<PlanKind>,
}

/// Our key with this role, which is replaced, and the one that replaces it.
fn roll(ring: &mut Ring, own: &[usize], role: Role, made: bool) -> (KeyId, KeyId) {
    let old = own.iter().copied().find(|key| ring.keys[*key].role == role);
    let new = ring.add(0, role, OLD_ALGORITHM, made);
    (key_id(old.unwrap_or(own[0])), key_id(new))
}

pub(super) fn wanted(draw: &Draw, ring: &mut Ring, own: &[Vec<usize>], who: usize) -> Wanted {
    let provider = provider_id(who);
    let plan = match draw.scenario {
        Scenario::Join => PlanKind::Join { provider },
        Scenario::Leave => PlanKind::Leave { provider },
        Scenario::RollZsk => {
            let (old, new) = roll(ring, &own[0], Role::Zsk, false);
            PlanKind::RollZsk { old, new }
        }
        Scenario::RollKsk => {
            let (old, new) = roll(ring, &own[0], Role::Ksk, false);
            PlanKind::RollKsk { old, new }
        }
        Scenario::RollCsk => {
            let (old, new) = roll(ring, &own[0], Role::Csk, false);
            PlanKind::RollCsk { old, new }
        }
        Scenario::Algorithm => algorithm(ring, own),
        Scenario::Standby => {
            let new = ring.add(0, Role::Zsk, OLD_ALGORITHM, false);
            PlanKind::Standby { new: key_id(new) }
        }
        Scenario::Follow | Scenario::FollowKsk => {
            return Wanted {
                published: 0,
                in_ds: 0,
                plan: None,
            };
        }
        Scenario::Emergency
        | Scenario::EmergencyStandby
        | Scenario::EmergencySecurity
        | Scenario::EmergencyKsk
        | Scenario::EmergencyKskStandby
        | Scenario::EmergencyKskSecurity => return emergency(draw, ring, &own[0]),
    };
    Wanted {
        published: 0,
        in_ds: 0,
        plan: Some(plan),
    }
}

fn algorithm(ring: &mut Ring, own: &[Vec<usize>]) -> PlanKind {
    let old: Vec<usize> = own.iter().flatten().copied().collect();
    let new = old.iter().map(|key| {
        let (owner, role) = (ring.keys[*key].owner, ring.keys[*key].role);
        // Another provider makes its keys itself.
        ring.add(owner, role, NEW_ALGORITHM, owner != 0)
    });
    let new: Vec<usize> = new.collect();
    PlanKind::Algorithm {
        old: old.into_iter().map(key_id).collect(),
        new: new.into_iter().map(key_id).collect(),
    }
}

/// A ZSK or CSK stands by when it is published, a KSK or CSK when the DS RRset points to it.
fn emergency(draw: &Draw, ring: &mut Ring, own: &[usize]) -> Wanted {
    let (policy, of_ksk) = draw
        .scenario
        .emergency()
        .unwrap_or((Emergency::Availability, false));
    let signing = if of_ksk { own[0] } else { own[own.len() - 1] };
    let role = ring.keys[signing].role;
    let stands_by = policy == Emergency::Standby;
    let (old, new) = roll(ring, own, role, stands_by);
    let where_it_is = |there: bool| if stands_by && there { 1 << new.place() } else { 0 };
    Wanted {
        published: where_it_is(role != Role::Ksk),
        in_ds: where_it_is(role != Role::Zsk),
        plan: Some(PlanKind::Emergency { old, new, policy }),
    }
}
