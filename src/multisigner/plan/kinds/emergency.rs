//! A key of ours that somebody else may have is replaced. What is given up is the operator's choice:
//!
//! | policy | bogus answers | whoever has the key can forge |
//! |---|---|---|
//! | availability | none | for as long as an ordinary roll takes |
//! | standby | none | until the caches have lost the key; no wait before the switch |
//! | security | until caches have lost what they hold: the largest TTL of DNSKEY and data (and DS) | until they have lost DNSKEY and DS |
//!
//! No policy is faster than the DS RRset and the DNSKEY RRsets that caches hold: with them what the key signed validates.

use super::{
    super::{
        super::safety::{KeyId, KeySet},
        Emergency, Kind, Plan, Situation, Unplannable,
        draft::US,
    },
    csk, ksk,
    roll::Roll,
    zsk,
};
use crate::dnssec::{keyfile::timing::Claim, keyset::Role};

pub(super) fn plan(
    situation: &Situation,
    old: KeyId,
    new: KeyId,
    policy: Emergency,
) -> Result<Plan, Unplannable> {
    let kind = Kind::Emergency { old, new, policy };
    let known = situation
        .key(old)
        .ok_or(Unplannable::UnknownKey { place: old.place() })?;
    let role = known.role;
    if policy == Emergency::Security {
        return at_once(situation, old, new, role, kind);
    }
    if policy == Emergency::Standby {
        is_standby(situation, old, new, role)?;
    }
    match role {
        Role::Zsk => zsk::plan(situation, old, new, &kind),
        Role::Ksk => ksk::plan(situation, old, new, &kind),
        Role::Csk => csk::plan(situation, old, new, &kind),
    }
}

/// A ZSK stands by when it is published everywhere, a KSK when the DS RRset points to it, a CSK when both hold.
fn is_standby(situation: &Situation, old: KeyId, new: KeyId, role: Role) -> Result<(), Unplannable> {
    let roll = Roll::new(situation, old, new, role)?;
    let key = roll.new_label.clone();
    // What the plan `standby` makes is a ZSK.
    let next_time = match role {
        Role::Zsk => "plan `standby`",
        Role::Ksk => "`countersign keys generate --role ksk`, and its DS at the parent",
        Role::Csk => "`countersign keys generate --role csk`, and its DS at the parent",
    };
    let lacks = |lacking: &str| Unplannable::NoStandby {
        key: key.clone(),
        lacking: lacking.to_owned(),
        next_time,
    };
    if role != Role::Zsk && !roll.draft.anchors()?.contains(new) {
        return Err(lacks("the DS RRset"));
    }
    if role != Role::Ksk {
        for provider in roll.draft.others().into_iter().chain([US]) {
            if !roll.draft.keys(provider)?.keys.contains(new) {
                return Err(lacks(situation.name(provider)));
            }
        }
    }
    Ok(())
}

/// Everything at once, and nothing waits.
fn at_once(
    situation: &Situation,
    old: KeyId,
    new: KeyId,
    role: Role,
    kind: Kind,
) -> Result<Plan, Unplannable> {
    let mut roll = Roll::new(situation, old, new, role)?;
    roll.draft.at_once();
    roll.make();
    if role != Role::Zsk {
        let (was, replaced) = (roll.draft.anchors()?, KeySet::from([old]));
        let wanted = was.without(replaced).union(KeySet::from([new]));
        let what = format!(
            "the DS RRset points to {} instead of {}",
            roll.new_label, roll.old_label
        );
        let back = roll.no_way_back();
        roll.draft.point_ds_to(wanted, &what, &back)?;
    }
    roll.publish(if role == Role::Ksk {
        Claim::Active
    } else {
        Claim::Published
    })?;
    if role != Role::Ksk {
        roll.switch()?;
    }
    roll.withdraw()?;
    let back = roll.no_way_back();
    roll.give(&back)?;
    roll.draft.finish(kind)
}
