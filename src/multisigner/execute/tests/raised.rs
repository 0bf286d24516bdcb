//! What a person says amid a plan of times that no look shows.

use super::*;

/// By how much each is raised.
const MORE: u64 = 100;

fn theirs() -> Lag {
    Lag::Provider(provider(1))
}

/// When a step was done.
fn done(world: &World, step: usize) -> u64 {
    let mut story = world.story.iter();
    story.find(|(_, done)| *done == step).map(|(at, _)| *at).unwrap()
}

/// A run in which the keys are given, raised then.
fn raised(lag: Lag, to: u64) -> World {
    let mut world = World::of(roll());
    world.settle();
    world.now += 10;
    world.journal(world.run.lag_given(lag, to).unwrap());
    world
}

#[test]
fn a_propagation_that_is_raised_makes_the_waits_longer_that_it_is_part_of() {
    let mut world = raised(theirs(), LAG + MORE);
    assert_eq!(world.run_until(START + 2_000), Next::Over(Outcome::Reached));
    assert_eq!(done(&world, 3), START + FORGET_KEYS + MORE + 1);
    // What we signed ourselves is as far away as it was.
    assert_eq!(done(&world, 4), done(&world, 3) + FORGET_DATA + 1);
}

#[test]
fn a_margin_that_is_raised_makes_every_wait_longer() {
    let mut world = raised(Lag::Margin, MARGIN + 10);
    assert_eq!(world.run_until(START + 2_000), Next::Over(Outcome::Reached));
    assert_eq!(done(&world, 3), START + FORGET_KEYS + 10 + 1);
    assert_eq!(done(&world, 4), done(&world, 3) + FORGET_DATA + 10 + 1);
    assert_eq!(world.run.harm, None, "more caution says nothing of what was");
}

/// What was changed before the plan began had run out in caches by the times of then, and nobody knows any more what it was.
#[test]
fn what_counted_as_forgotten_when_the_plan_began_is_waited_for() {
    let mut world = raised(Lag::Parent, LAG + MORE);
    let until = UnixTime(START + MORE + 1);
    assert_eq!(world.settle(), Next::Wait { step: 3, until });
    let why = world.run.plan.steps[3].waits.last().unwrap().why.clone();
    assert!(
        why.contains("what the DS RRset at the parent was before the plan began"),
        "{why}"
    );
    // What comes after it comes later.
    let later = world.run.plan.steps.iter().skip(4).flat_map(|step| &step.waits);
    assert!(later.into_iter().all(|wait| !wait.why.contains("forgotten")));
    // A way back knows it too.
    let now = world.run.situation_now(UnixTime(world.now));
    assert!(
        now.first_seen
            .iter()
            .any(|first| first.slot == Slot::Ds && first.held == MORE)
    );
}

#[test]
fn what_is_not_larger_is_no_news_and_what_is_lowered_again_stays() {
    let world = raised(theirs(), LAG + MORE);
    for seconds in [0, LAG, LAG + MORE] {
        assert_eq!(world.run.lag_given(theirs(), seconds), None);
    }
    let mut world = World::of(roll());
    assert_eq!(world.run_until(START + 2_000), Next::Over(Outcome::Reached));
    assert_eq!(world.run.lag_given(theirs(), LAG + MORE), None, "it is over");
}

#[test]
fn it_outlives_a_restart_and_is_told() {
    let mut world = raised(theirs(), LAG + 10);
    world.now += 1;
    world.journal(world.run.lag_given(theirs(), LAG + MORE).unwrap());
    let before = world.run.clone();
    world.restart();
    assert_eq!(world.run.plan, before.plan);
    assert_eq!(
        world.run.raised_in_words(),
        [format!(
            "the propagation of them counts as {} s since {}, where the plan was made with {LAG} s",
            LAG + MORE,
            UnixTime(START + 11)
        )]
    );
    let why = &world.run.plan.steps[3].waits[0].why;
    assert!(
        why.contains("10 s more since the propagation of them was raised"),
        "{why}"
    );
    assert_eq!(world.run_until(START + 2_000), Next::Over(Outcome::Reached));
    assert_eq!(done(&world, 3), START + FORGET_KEYS + MORE + 1);
}

/// A plan that was journaled before waits told what they are made of: any of it may be in them.
#[test]
fn a_wait_of_which_nobody_knows_what_it_is_made_of_gets_longer_by_all() {
    let mut world = World::of(roll());
    for wait in world.run.plan.steps.iter_mut().flat_map(|step| &mut step.waits) {
        let mut json = serde_json::to_value(&*wait).unwrap();
        json.as_object_mut().unwrap().remove("lags").unwrap();
        *wait = serde_json::from_value(json).unwrap();
    }
    world.settle();
    world.journal(world.run.lag_given(Lag::Parent, LAG + MORE).unwrap());
    world.journal(world.run.lag_given(Lag::Margin, MARGIN + MORE).unwrap());
    assert_eq!(world.run_until(START + 2_000), Next::Over(Outcome::Reached));
    assert_eq!(done(&world, 3), START + FORGET_KEYS + 3 * MORE + 1);
}

/// The old key went on to be missed where nobody sees it: by the time of now the switch came too early. Nothing is taken
/// away before no cache can hold anything of that.
#[test]
fn what_came_too_early_by_what_is_known_now_is_told_and_waited_out() {
    let mut world = World::of(roll());
    world.run_until(START + FORGET_KEYS + 1);
    let switched = done(&world, 3);
    world.journal(world.run.lag_given(theirs(), LAG + MORE).unwrap());
    let Next::Wait { step: 4, .. } = world.settle() else {
        panic!("{:?}", world.next())
    };
    let (_, harm) = world.run.harm.clone().unwrap();
    assert!(
        harm.contains("no key that signs the data is in the DNSKEY RRset"),
        "{harm}"
    );
    assert_eq!(world.run_until(START + 2_000), Next::Over(Outcome::Reached));
    assert!(done(&world, 4) > switched + FORGET_DATA + 1, "{:?}", world.story);
}
