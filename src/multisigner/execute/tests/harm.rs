//! What nobody planned has let resolvers find something bogus. It is told once, and what is to be done is judged from then
//! on: nothing is taken away while caches hold anything of it, and everything afterwards.

use super::*;
use crate::multisigner::plan;

/// What they have when all keys of ours are gone there.
const LOST: [usize; 2] = [THEIR_KSK, THEIR_ZSK];

fn harms(world: &World) -> Vec<&str> {
    let entries = world.entries.iter();
    let harms = entries.filter_map(|entry| match &entry.event {
        Event::Harm { story } => Some(story.as_str()),
        _ => None,
    });
    harms.collect()
}

fn when(world: &World, step: usize) -> u64 {
    world.story.iter().find(|(_, done)| *done == step).unwrap().0
}

/// Both of their servers lose all keys of ours at a time, and have them again ten seconds later.
fn lose(world: &mut World, at: u64, given: &[usize]) -> u64 {
    world.run_until(at - 1);
    world.now = at;
    world.show(&keys(1, &LOST));
    world.run_until(at + 10);
    world.show(&keys(1, given));
    world.settle();
    at + 10
}

#[test]
fn a_loss_before_the_switch_is_told_once_and_waited_out() {
    let mut world = World::of(roll());
    let back = lose(&mut world, START + 20, &ALL);
    assert_eq!(world.run_until(START + 500), Next::Over(Outcome::Reached));
    let [story] = harms(&world)[..] else {
        panic!("{:?}", harms(&world))
    };
    assert!(
        story.contains("lacks") && story.contains("does not hold") && !story.contains("The wait before"),
        "{story}"
    );
    assert_eq!(when(&world, 3), back + FORGET_KEYS + 1);
    let restarted = Run::read(&world.entries).unwrap().unwrap();
    assert_eq!(restarted.harm.map(|(_, told)| told), Some(story.to_owned()));
}

#[test]
fn a_loss_after_the_switch_holds_back_what_goes() {
    let mut world = World::of(roll());
    let switch = START + FORGET_KEYS + 1;
    // When the old ZSK may go but for this.
    let gone = switch + FORGET_DATA + 1;
    let back = lose(&mut world, gone - 15, &ALL);
    assert_eq!(world.run_until(START + 500), Next::Over(Outcome::Reached));
    assert_eq!(harms(&world).len(), 1);
    assert_eq!(when(&world, 4), back + FORGET_KEYS + 1);
}

#[test]
fn what_is_lost_for_good_holds_everything_back() {
    let mut world = World::of(roll());
    world.run_until(START + 20);
    world.show(&keys(1, &LOST));
    let rest = world.run_until(START + 500);
    assert!(matches!(rest, Next::Watch { step: 3, .. }), "{rest:?}");
    assert_eq!(harms(&world).len(), 1);
}

#[test]
fn a_second_loss_is_a_second_story() {
    let mut world = World::of(roll());
    lose(&mut world, START + 5, &ALL);
    let back = lose(&mut world, START + 30, &ALL);
    assert_eq!(world.run_until(START + 500), Next::Over(Outcome::Reached));
    assert_eq!(harms(&world).len(), 2);
    assert_eq!(when(&world, 3), back + FORGET_KEYS + 1);
}

#[test]
fn a_loss_that_nobody_could_notice_is_no_story() {
    // What is lost is the new key alone, which signs nothing yet.
    let mut world = World::of(roll());
    world.run_until(START + 20);
    world.show(&keys(1, &[KSK, OLD, THEIR_KSK, THEIR_ZSK]));
    world.run_until(START + 30);
    world.show(&keys(1, &ALL));
    assert_eq!(world.run_until(START + 500), Next::Over(Outcome::Reached));
    assert_eq!(harms(&world), Vec::<&str>::new());
}

/// Both providers are to have the same TTLs (I5); that theirs grew is no reason to keep a key of ours.
#[test]
fn what_is_violated_anyway_and_has_nothing_to_do_with_a_step_holds_nothing_back() {
    let mut world = World::of(roll());
    world.run_until(START + 5);
    let mut grown = data(1, THEIR_ZSK);
    super::super::items::raise_ttl(&mut grown, 2 * TTL_DATA);
    world.show(&grown);
    assert_eq!(world.run_until(START + 500), Next::Over(Outcome::Reached));
    assert_eq!(harms(&world), Vec::<&str>::new(), "nothing is bogus");
}

/// What is planned anew at a time after a run was given up.
fn anew(world: &World, at: u64) -> Plan {
    let mut situation = world.run.situation_now(UnixTime(at));
    for key in &mut situation.keys {
        key.dnskey.get_or_insert_with(|| dnskey(ZONE));
    }
    let kind = Kind::RollZsk {
        old: key(OLD),
        new: key(NEW),
    };
    plan::build(&kind, &situation).unwrap()
}

#[test]
fn after_a_loss_a_plan_is_given_up_and_planned_anew() {
    let mut world = World::of(roll());
    let back = lose(&mut world, START + 20, &ALL);
    world.journal(Event::Aborted {
        why: "no".to_owned(),
        as_it_is: false,
    });
    // As soon as no cache holds anything of the loss, it is a plan like any other.
    let forgotten = back + FORGET_KEYS + 1;
    let starts_safe = |at| {
        let plan = anew(&world, at);
        let mut judged = plan.judge().unwrap().into_iter();
        judged.all(|judged| judged.starts_safe && judged.harm().is_none())
    };
    assert!(!starts_safe(forgotten - 1) && starts_safe(forgotten));
    // Before, whoever forces it is held to everything all the same, and waits.
    for (at, force) in [(forgotten, None), (back + 1, None), (back + 1, Some("now"))] {
        let plan = anew(&world, at);
        let switch = plan.steps.iter().position(|step| {
            let signs = |value: &Value| matches!(value, Value::Data(..));
            step.changes.iter().any(signs)
        });
        // Its own waits aside: what holds it back is the gate.
        let mut plan = plan;
        plan.steps.iter_mut().for_each(|step| step.waits.clear());
        let mut again = World::forced(plan, force);
        again.now = at;
        assert_eq!(again.run_until(at + 500), Next::Over(Outcome::Reached));
        let switched = when(&again, switch.unwrap());
        assert_eq!(switched, forgotten, "planned at {at}, {force:?}");
    }
}

/// A plan that is begun while a key is lost: whatever its waits are, nothing switches before it is back and forgotten.
#[test]
fn a_plan_that_begins_in_the_midst_of_a_loss_is_held_to_everything() {
    let mut plan = roll();
    plan.steps.iter_mut().for_each(|step| step.waits.clear());
    let lost = keys(1, &LOST);
    plan.situation.serves.retain(|value| value.slot() != lost.slot());
    plan.situation.serves.push(lost);
    let mut world = World::of(plan);
    world.run_until(START + 500);
    // The plan itself gives the keys back.
    let switched = when(&world, 3);
    assert_eq!(switched, START + FORGET_KEYS + 1, "{:?}", world.story);
}
