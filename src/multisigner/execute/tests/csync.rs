//! The parent is asked by CSYNC: it does not follow, or the plan is given up.

use super::*;
use crate::multisigner::plan;

/// They leave, below a parent that reads CSYNC.
fn leave() -> World {
    let mut situation = situation();
    situation.parent.reads_csync = true;
    situation.members[1].shows_csync = true;
    for (member, name) in situation.members.iter_mut().zip(["ns1.example.", "ns2.example."]) {
        member.servers = vec![name.parse().unwrap()];
    }
    let none = [0, 1].map(|at| Value::Csync(provider(at), None));
    situation.serves.extend(none);
    let kind = Kind::Leave {
        provider: provider(1),
    };
    let mut world = World::of(plan::build(&kind, &situation).unwrap());
    world.parent_follows = false;
    world
}

fn parent_ns(members: &[usize]) -> Value {
    Value::ParentNs(NsSet {
        members: members.iter().map(|at| provider(*at)).collect(),
        ttl: 40,
        from_csync: false,
    })
}

fn is_of_parent_ns(step: &Step) -> bool {
    step.changes.iter().any(|value| value.slot() == Slot::ParentNs)
}

/// Nobody hears of it as long as the parent may be about to follow.
#[test]
fn a_parent_that_does_not_follow_is_told_of_after_a_day() {
    let mut world = leave();
    world.go_on_until(is_of_parent_ns);
    assert_eq!(
        world.run.unfollowed(UnixTime(world.now + 1_000_000)),
        None,
        "not asked yet"
    );
    world.begin_next();
    let since = world.run.begun.unwrap();
    let after = |run: &Run, seconds| run.unfollowed(UnixTime(since.0 + seconds));
    assert_eq!(after(&world.run, 86_400), None);
    let told = after(&world.run, 86_401).unwrap();
    assert_eq!(told.records, ["example. 40 IN NS ns1.example."]);
    let words = told.to_string();
    assert!(
        words.contains("the CSYNC that") && words.contains("registrar"),
        "{words}"
    );
    // A person did it: it is seen like anything else.
    world.show(&parent_ns(&[0]));
    world.settle();
    assert_eq!(after(&world.run, 1_000_000), None);
}
