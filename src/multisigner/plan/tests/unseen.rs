//! What a plan starts from and nobody saw the state before of: what it could break waits.

use super::*;

fn join() -> Kind {
    Kind::Join {
        provider: provider("B"),
    }
}

/// All that a join needs but the NS RRsets, the last of it seen for the first time so long ago.
fn pasted(slot: Slot, ago: u64) -> Zone {
    let mut zone = Zone::two();
    zone.set(&[
        zone.parent_ns("A"),
        zone.child_ns("A", "A"),
        zone.child_ns("B", "A"),
    ]);
    let first = zone.situation.first_seen_at(&slot, UnixTime(START - ago));
    zone.situation.first_seen.extend(first);
    zone
}

/// How long after its beginning each step of a plan is due.
fn due(plan: &Plan) -> Vec<(String, u64)> {
    let times = plan.earliest().steps.into_iter();
    let after = times.map(|times| times.begun.0 - START);
    let what = plan.steps.iter().map(|step| step.what.clone());
    what.zip(after).collect()
}

/// The DS records are pasted, the parent shows them, and the join is begun at once: caches may hold the DS RRset without the
/// newcomer's for its TTL and the lag.
#[test]
fn what_was_pasted_a_moment_ago_is_waited_for() {
    let first = |slot: Slot, ago| due(&pasted(slot, ago).plan(&join()))[0].1;
    let keys = Slot::Keys(provider("B"));
    for (slot, held) in [(Slot::Ds, 3 + 1), (keys, 2 + 1), (Slot::ParentNs, 4 + 1 + 5)] {
        assert_eq!(first(slot.clone(), 0), held + 1, "{slot:?}");
        assert_eq!(first(slot.clone(), held), 1, "{slot:?}");
        assert_eq!(first(slot.clone(), held + 1), 0, "{slot:?}");
    }
    let plan = pasted(Slot::Ds, 0).plan(&join());
    assert_unharmed(&plan);
    let why = &plan.steps[0].waits[0].why;
    assert!(
        why.contains("the DS RRset at the parent was first seen then"),
        "{why}"
    );
}

/// What adds keys of an algorithm that is there, and DS records of them, breaks nothing; only then it is waited, once.
#[test]
fn what_only_adds_does_not_wait() {
    let mut zone = Zone::one();
    let first = zone.situation.first_seen_at(&Slot::ParentNs, UnixTime(START));
    zone.situation.first_seen.extend(first);
    let plan = zone.plan(&join());
    let steps = due(&plan);
    let is_ns = |what: &str| what.contains("NS RRset");
    let (before, after): (Vec<_>, Vec<_>) = steps.into_iter().partition(|(what, _)| !is_ns(what));
    assert!(before.iter().all(|(_, due)| *due <= 4), "{before:?}");
    assert!(before.len() >= 3 && after[0].1 == 11, "{after:?}");
    let unseen = gate::of_unseen(&zone.situation);
    let waits = plan.steps.iter().flat_map(|step| &step.waits);
    let is_for_it = |wait: &&Wait| unseen.iter().any(|unseen| unseen.why == wait.why);
    assert_eq!(waits.filter(is_for_it).count(), 1);
}

/// A key that somebody else may have is taken away at once, whatever that breaks.
#[test]
fn who_waits_for_nothing_does_not_wait_for_that() {
    let mut zone = Zone::two();
    let first = zone.situation.first_seen_at(&Slot::Ds, UnixTime(START));
    zone.situation.first_seen.extend(first);
    let kind = |policy| Kind::Emergency {
        old: key("ZA"),
        new: key("ZA2"),
        policy,
    };
    let last = |policy| zone.plan(&kind(policy)).least_duration();
    assert_eq!(last(Emergency::Security), 0);
    assert!(last(Emergency::Availability) >= 5);
}
