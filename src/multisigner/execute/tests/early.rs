//! Others who are ahead of our plan: two that change the algorithm in step, each by a plan of its own.

use super::*;
use crate::multisigner::plan::build;

/// Ours and theirs of the other algorithm, behind the keys of the other tests.
const NEW_OF_OURS: [usize; 2] = [5, 6];
const NEW_OF_THEIRS: [usize; 2] = [7, 8];

/// Another algorithm for everybody; they come first in each step.
pub(super) fn change() -> Plan {
    let mut situation = situation();
    for place in [KSK, OLD, THEIR_KSK, THEIR_ZSK] {
        let flags = if place == KSK || place == THEIR_KSK {
            ZONE | SEP
        } else {
            ZONE
        };
        situation.keys[place] = PlanKey {
            // The order is that of the old keys.
            dnskey: Some(Dnskey::new(flags, Algorithm::ED25519, &[9 - place as u8; 32])),
            ..plan_key(flags, usize::from(place >= THEIR_KSK))
        };
    }
    for place in [NEW_OF_OURS, NEW_OF_THEIRS].concat() {
        let flags = if place % 2 == 1 { ZONE | SEP } else { ZONE };
        let new = Dnskey::new(flags, Algorithm::ECDSAP256SHA256, &[place as u8; 64]);
        situation.keys.push(PlanKey {
            dnskey: Some(new),
            algorithm: Algorithm::ECDSAP256SHA256,
            ..plan_key(flags, usize::from(place >= NEW_OF_THEIRS[0]))
        });
    }
    let ids = |places: &[usize]| places.iter().map(|place| key(*place)).collect();
    let kind = Kind::Algorithm {
        old: ids(&[KSK, OLD, THEIR_KSK, THEIR_ZSK]),
        new: ids(&[NEW_OF_OURS, NEW_OF_THEIRS].concat()),
    };
    build(&kind, &situation).unwrap()
}

/// The steps that others do, and that wait for caches longer than the step before.
fn waiting_steps_of_others(plan: &Plan) -> Vec<usize> {
    let times = plan.earliest().steps;
    let waits = |place: &usize| times[*place].begun > times[*place - 1].seen;
    let of_others = |place: &usize| !matches!(plan.steps[*place].by, Actor::We);
    (1..plan.steps.len()).filter(waits).filter(of_others).collect()
}

/// Goes on until this step alone is waited for; until when.
fn until_waits_for(world: &mut World, wanted: usize) -> u64 {
    for _ in 0..1_000 {
        match world.settle() {
            Next::Wait { step, until } if step == wanted => return until.0,
            Next::Wait { .. } | Next::Watch { .. } => world.now += 1,
            other => panic!("{other:?}"),
        }
    }
    panic!("step {wanted} is never waited for");
}

/// Everybody looks each second until then.
fn look_until(world: &mut World, time: u64) {
    while world.now < time {
        world.now += 1;
        world.settle();
    }
}

fn surprises(world: &World) -> usize {
    let surprise = |entry: &&Entry| matches!(entry.event, Event::Surprise { .. });
    world.entries.iter().filter(surprise).count()
}

#[test]
fn what_others_do_a_little_before_its_turn_counts_as_planned() {
    let steps = waiting_steps_of_others(&change());
    assert!(steps.len() >= 4, "{steps:?}");
    for step in steps {
        let mut world = World::of(change());
        let due = until_waits_for(&mut world, step);
        // Within the margin, with what is not known between two looks and between their servers.
        look_until(&mut world, due - (MARGIN - LAG - 1));
        for value in world.run.changes(step) {
            world.show_at(1, &value);
        }
        world.settle();
        assert!(
            matches!(world.entries.last().unwrap().event, Event::Begun { step: begun } if begun == step),
            "{:?}",
            world.entries.last()
        );
        // The process that goes on is another one.
        world.restart();
        for value in world.run.changes(step) {
            world.show(&value);
        }
        assert_eq!(world.run_until(START + 1_000), Next::Over(Outcome::Reached));
        assert_eq!(surprises(&world), 0);
        assert!(
            world.story.iter().all(|(_, done)| *done != step),
            "nobody is asked for it again"
        );
    }
}

#[test]
fn what_others_do_too_early_is_a_surprise() {
    for step in waiting_steps_of_others(&change()) {
        let mut world = World::of(change());
        let due = until_waits_for(&mut world, step);
        assert!(due > world.now + MARGIN + 1, "there is time to be too early");
        let value = &world.run.changes(step)[0];
        world.show(value);
        world.settle();
        assert!(surprises(&world) == 1, "step {step}: {:?}", world.entries.last());
    }
}

/// A person at the registrar may have written two steps, of which our looks saw the second alone.
#[test]
fn of_two_steps_of_others_the_first_may_have_been_missed() {
    let plan = change();
    let is_ds = |place: &usize| matches!(plan.steps[*place].action, Action::Ds { .. });
    let [both, new] = (0..plan.steps.len()).filter(is_ds).collect::<Vec<_>>()[..] else {
        panic!("two steps change the DS RRset")
    };
    let mut world = World::of(plan);
    let due = until_waits_for(&mut world, both);
    look_until(&mut world, due - 1);
    let before = world.run.situation_now(UnixTime(world.now));
    let before = before.value(&Slot::Ds).unwrap().clone();
    let last = world.run.changes(new)[0].clone();
    world.show_at(1, &last);
    world.settle();
    // One of the parent's servers still has what was before, and nothing is taken away.
    assert!(matches!(world.settle(), Next::Watch { .. }), "{:?}", world.next());
    assert_eq!(world.run.changes(new)[0], last);
    assert_eq!(world.run.changes(both)[0], last, "nobody is asked to go back");
    world.show_at(0, &before);
    world.now += 1;
    world.settle();
    world.show(&last);
    assert_eq!(world.run_until(START + 1_000), Next::Over(Outcome::Reached));
    assert_eq!(surprises(&world), 0);
}

/// With a wrong clock it is not known how early it is.
#[test]
fn with_a_wrong_clock_nobody_is_ahead() {
    let step = waiting_steps_of_others(&change())[0];
    let mut world = World::of(change());
    let due = until_waits_for(&mut world, step);
    look_until(&mut world, due - 1);
    let entries = world.entries.len();
    world.sane = false;
    for value in world.run.changes(step) {
        world.show(&value);
    }
    world.settle();
    assert_eq!(world.entries.len(), entries, "{:?}", world.entries.last());
    world.sane = true;
    world.settle();
    assert!(matches!(world.entries[entries].event, Event::Early { .. }));
}

/// What was done early is taken back with what was done before it.
#[test]
fn a_way_back_knows_what_others_have_done() {
    let step = waiting_steps_of_others(&change())[0];
    let mut world = World::of(change());
    let due = until_waits_for(&mut world, step);
    look_until(&mut world, due - 1);
    world.journal(Event::Paused {
        why: "dinner".to_owned(),
    });
    for value in world.run.changes(step) {
        world.show(&value);
    }
    world.settle();
    assert!(matches!(world.entries.last().unwrap().event, Event::Early { step: early, .. } if early == step));
    assert_eq!((world.run.done.len(), world.run.begun), (step, None));
    let now = world.run.situation_now(UnixTime(world.now));
    let back = world.run.plan.retreat(&world.run.times_so_far(), &now).unwrap();
    let taken_back = format!("taken back: {}", world.run.plan.steps[step].what);
    assert_eq!(back.steps[0].what, taken_back);
}
