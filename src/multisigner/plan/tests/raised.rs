//! A lag that is raised while a plan goes on: no step is due earlier than it would be in a plan that was made with it.

use super::{
    random::{situations, some_way_back, story},
    *,
};
use crate::multisigner::safety::oracle::history::Random;

/// Whether every step of `raised` is due no earlier than in a plan that was made with the larger lag.
fn assert_no_earlier(raised: &Plan, made: &Plan, seed: u64) {
    let whats = |plan: &Plan| -> Vec<String> { plan.steps.iter().map(|step| step.what.clone()).collect() };
    assert_eq!(whats(raised), whats(made), "seed {seed}");
    let due = raised.earliest().steps.into_iter().zip(made.earliest().steps);
    for (place, (raised_at, made_at)) in due.enumerate() {
        assert!(
            raised_at.begun >= made_at.begun,
            "seed {seed}, step {place}: {raised_at:?} and not {made_at:?}:\n{:#?}\n{:#?}",
            raised.steps[place],
            made.steps[place]
        );
    }
}

fn raise_all(plan: &mut Plan, random: &mut Random) {
    let lags: Vec<Lag> = plan.situation.lags().collect();
    for lag in lags {
        let to = plan.situation.reckoned(lag) + random.below(9);
        plan.raise(lag, to, 0);
    }
}

#[test]
fn no_step_is_due_earlier_than_in_a_plan_that_was_made_with_the_larger_lags() {
    let (mut compared, mut backs) = (0, 0);
    for seed in 0..situations() {
        let mut random = Random(seed);
        let (zone, kind) = story(&mut random);
        let Ok(plan) = build(&kind, &zone.situation) else {
            continue;
        };
        let mut raised = plan.clone();
        raise_all(&mut raised, &mut random);
        // What it knows of the state before is a matter of the raise itself.
        let larger = Situation {
            first_seen: zone.situation.first_seen.clone(),
            ..raised.situation.clone()
        };
        let made = build(&kind, &larger).unwrap();
        assert_no_earlier(&raised, &made, seed);
        compared += 1;
        let (done, now) = some_way_back(&plan, &mut random);
        let Ok(mut back) = plan.retreat(&done, &now) else {
            continue;
        };
        raise_all(&mut back, &mut random);
        let larger = Situation {
            first_seen: now.first_seen.clone(),
            ..back.situation.clone()
        };
        assert_no_earlier(&back, &plan.retreat(&done, &larger).unwrap(), seed);
        backs += 1;
    }
    assert!(
        compared > situations() / 2 && backs > situations() / 4,
        "{compared}, {backs}"
    );
}

#[test]
fn a_wait_says_why_it_is_longer_and_one_that_waits_for_others_is_not() {
    let mut plan = Zone::two().plan(&Kind::RollZsk {
        old: key("ZA"),
        new: key("ZA2"),
    });
    let before = plan.clone();
    let lag = Lag::Provider(provider("B"));
    plan.raise(lag, plan.situation.reckoned(lag) + 100, 0);
    let waits =
        |plan: &Plan| -> Vec<Wait> { plan.steps.iter().flat_map(|step| step.waits.clone()).collect() };
    let (raised, before) = (waits(&plan), waits(&before));
    let told = |wait: &&Wait| {
        wait.why
            .contains("100 s more since the propagation of B was raised")
    };
    assert!(raised.iter().any(|wait| told(&wait)), "{raised:#?}");
    for wait in &before {
        let now = raised
            .iter()
            .find(|now| now.since == wait.since && now.why.starts_with(&wait.why));
        let now = now.unwrap_or_else(|| panic!("{wait:#?}\n{raised:#?}"));
        assert_eq!(now.seconds - wait.seconds, if told(&now) { 100 } else { 0 });
    }
    let ours = |wait: &&Wait| wait.why.contains("data of A");
    assert!(raised.iter().filter(ours).all(|wait| !told(&wait)), "{raised:#?}");
}
