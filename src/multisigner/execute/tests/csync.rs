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

/// How far the asking had come when the plan was given up.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Asked {
    /// CSYNC of us was begun.
    ByUs,
    /// CSYNC of them was begun.
    ByAll,
    /// The parent was waited for.
    Awaited,
}

/// The plan is given up when this many servers show what the last step leads to.
fn given_up(asked: Asked, shown: usize) -> World {
    let mut world = leave();
    let of = |at: usize| {
        move |step: &Step| {
            step.changes
                .iter()
                .any(|value| value.slot() == Slot::Csync(provider(at)))
        }
    };
    match asked {
        Asked::ByUs => world.go_on_until(of(0)),
        Asked::ByAll => world.go_on_until(of(1)),
        Asked::Awaited => world.go_on_until(is_of_parent_ns),
    }
    world.begin_next();
    world.obedient = false;
    world.settle();
    world.obedient = true;
    let step = world.run.plan.steps[world.run.done.len()].clone();
    for server in 0..shown {
        step.changes.iter().for_each(|value| world.show_at(server, value));
    }
    world.gives_up();
    world
}

/// Goes back for so long, with a person who does what is asked for at once.
fn goes_back(world: &mut World, seconds: u64) -> Next {
    for _ in 0..seconds {
        if let Next::Watch { step, lacking } = world.settle()
            && lacking.contains("countersign done")
        {
            world.journal(Event::Reported { step });
        }
        world.now += 1;
    }
    world.settle()
}

fn assert_calm(world: &World) {
    let loud = |entry: &&Entry| matches!(entry.event, Event::Surprise { .. } | Event::Paused { .. });
    assert_eq!(world.entries.iter().find(loud), None);
}

/// Whether anybody has read it, and whether all servers show it, nobody knows: neither is a surprise.
#[test]
fn a_parent_that_does_nothing_is_no_surprise_when_the_plan_is_given_up() {
    for asked in [Asked::ByUs, Asked::ByAll, Asked::Awaited] {
        for shown in 0..2 {
            if (asked, shown) == (Asked::Awaited, 1) {
                continue;
            }
            let mut world = given_up(asked, shown);
            let handed_in = world.run.plan.steps.iter().find_map(|step| match &step.action {
                Action::HandedIn { values } => Some(values.clone()),
                _ => None,
            });
            // What one server of theirs shows comes to the other.
            if let (Some(values), 1) = (handed_in, shown) {
                let rest = goes_back(&mut world, 100);
                assert!(matches!(rest, Next::Watch { .. }), "{rest:?}");
                values.iter().for_each(|value| world.show(value));
            }
            assert_eq!(
                goes_back(&mut world, 500),
                Next::Over(Outcome::Reached),
                "{asked:?}"
            );
            assert_calm(&world);
        }
    }
}

/// It comes with what it has read before, one server after the other, and then with what was: until then nothing counts as
/// taken back.
#[test]
fn a_parent_that_had_read_and_comes_late_is_waited_for() {
    for asked in [Asked::ByAll, Asked::Awaited] {
        let mut world = given_up(asked, 0);
        let place = world.run.plan.steps.iter().position(is_of_parent_ns).unwrap();
        goes_back(&mut world, 2);
        world.show_at(1, &parent_ns(&[0]));
        goes_back(&mut world, 2);
        world.show(&parent_ns(&[0]));
        let rest = goes_back(&mut world, 500);
        assert!(
            matches!(rest, Next::Watch { step, .. } if step == place),
            "{rest:?}"
        );
        world.show(&parent_ns(&[0, 1]));
        assert_eq!(
            goes_back(&mut world, 500),
            Next::Over(Outcome::Reached),
            "{asked:?}"
        );
        assert_calm(&world);
    }
}
