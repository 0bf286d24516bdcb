//! Negative controls: the same worlds with plans that are spoilt. What must be seen is seen.
//!
//! `follow` has none: a provider that rolls as it should has waited for all caches before a key of its is gone.

use super::*;
use crate::multisigner::plan::Plan;

/// The scenarios whose waits matter here, and how many of their steps are bogus to somebody without their waits.
const WAITING: [(Scenario, usize); 7] = [
    (Scenario::Join, 1),
    (Scenario::Leave, 1),
    (Scenario::RollZsk, 2),
    (Scenario::RollKsk, 2),
    (Scenario::RollCsk, 2),
    (Scenario::Algorithm, 3),
    (Scenario::Emergency, 2),
];

/// How many worlds are tried before a wait counts as one that nobody misses.
const WORLDS: u64 = 60;

/// No plan has more steps.
const MOST_STEPS: usize = 24;

/// Whether resolvers see something bogus.
fn is_bogus(scenario: Scenario, seed: u64, spoil: impl Fn(&mut Plan) -> bool) -> bool {
    let draw = Draw {
        scenario,
        faults: Vec::new(),
        seed,
        wild: true,
        resolvers: 8,
        story: false,
    };
    run(&draw, &spoil, false).bogus > 0
}

#[test]
fn without_waits_answers_are_bogus() {
    let no_waits = |plan: &mut Plan| {
        plan.steps.iter_mut().for_each(|step| step.waits.clear());
        true
    };
    let mut all = 0;
    for (scenario, _) in WAITING {
        let bogus = (0..10).filter(|seed| is_bogus(scenario, *seed, no_waits));
        all += bogus.count();
    }
    assert!(all > 35, "{all} of 70 are bogus");
}

#[test]
fn without_the_waits_of_one_step_answers_are_bogus() {
    for (scenario, least) in WAITING {
        let missed = |place: usize| {
            let spoil = move |plan: &mut Plan| {
                let step = plan.steps.get_mut(place).filter(|step| !step.waits.is_empty());
                step.map(|step| step.waits.clear()).is_some()
            };
            (0..WORLDS).any(|seed| is_bogus(scenario, seed, spoil))
        };
        let seen = (0..MOST_STEPS).filter(|place| missed(*place)).take(least).count();
        assert_eq!(seen, least, "{}", scenario.name());
    }
}
