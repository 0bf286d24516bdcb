//! What a plan starts from was changed a moment before: nobody here knows what was there, and caches hold it still.

use super::{
    super::{engine::Deed, play::run_from, scenario},
    *,
};
use crate::multisigner::plan::{Plan, Since};

/// How many worlds are played.
const WORLDS: u64 = 60;

/// A person has pasted all that a join asks for, and has it planned when the parent shows it.
fn join(seed: u64, spoil: impl Fn(&mut Plan) -> bool) -> super::super::Outcome {
    let draw = Draw {
        scenario: Scenario::Join,
        faults: Vec::new(),
        seed,
        wild: true,
        resolvers: 12,
        story: true,
    };
    let mut begun = scenario::begin(&draw);
    let world = &mut begun.world;
    let members = world.parent.ns.members;
    let newcomer = (0..world.providers.len()).find(|party| members & 1 << party == 0);
    let newcomer = newcomer.expect("somebody joins");
    let mut ds = world.parent.ds;
    ds.by_digest[1] |= world.providers[newcomer].key_signers(&world.keys);
    let keys = world.owned_by(0);
    world.later(0, Deed::Ds { ds });
    for provider in 1..world.providers.len() {
        world.later(0, Deed::Given { provider, keys });
    }
    run_from(begun, &draw, &spoil, true)
}

#[test]
fn what_was_pasted_a_moment_ago_is_waited_for() {
    let mut reached = 0;
    for seed in 0..WORLDS {
        let outcome = join(seed, |_| false);
        assert!(outcome.sound(), "{}", told(&outcome));
        reached += u64::from(outcome.end == super::super::End::Reached);
    }
    assert!(reached * 2 > WORLDS, "{reached} of {WORLDS} are reached");
}

/// The control: a plan that takes for eternal what it finds hurts resolvers.
#[test]
fn without_that_wait_answers_are_bogus() {
    let taken_for_eternal = |plan: &mut Plan| {
        let mut spoilt = false;
        for step in &mut plan.steps {
            let count = step.waits.len();
            step.waits.retain(|wait| matches!(wait.since, Since::Step(_)));
            spoilt |= step.waits.len() < count;
        }
        spoilt
    };
    let bogus = (0..WORLDS).filter(|seed| join(*seed, taken_for_eternal).bogus > 0);
    let bogus = bogus.count();
    assert!(bogus > 2, "{bogus} of {WORLDS} are bogus");
}
