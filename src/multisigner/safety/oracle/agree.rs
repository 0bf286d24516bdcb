//! The checker and the brute force say the same of every random history.

use std::collections::BTreeMap;

use super::super::{
    DigestRule, Invariant, Mode, Support, Terms, Timeline, Validator, Verdict, check, least_delay,
};
use super::{
    history::{self, Random},
    resolvers::{Seen, watch},
};

/// How many histories an ordinary run judges; `COUNTERSIGN_HISTORIES` says otherwise.
const ORDINARY: u64 = 2_000;

fn histories() -> u64 {
    let histories = std::env::var("COUNTERSIGN_HISTORIES").ok();
    histories.map_or(ORDINARY, |count| count.parse().unwrap())
}

const INVARIANTS: [Invariant; 4] = [
    Invariant::Secure,
    Invariant::Resolver,
    Invariant::Caches,
    Invariant::Available,
];

fn validator(random: &mut Random) -> Validator {
    let mode = random.pick(&[Mode::Lenient, Mode::Lenient, Mode::StrictDs, Mode::StrictDnskey]);
    let digests = random.pick(&[
        DigestRule::Any,
        DigestRule::Any,
        DigestRule::HighestOnly,
        DigestRule::IgnoreSha1,
    ]);
    let support = if random.one_in(8) {
        Support::Only([8, 13].into())
    } else {
        Support::All
    };
    Validator {
        mode,
        digests,
        support,
    }
}

fn terms(validator: &Validator, margin: u64, invariants: &[Invariant]) -> Terms {
    Terms {
        margin,
        validators: vec![validator.clone()],
        invariants: invariants.iter().copied().collect(),
    }
}

/// What both say of one invariant; the stories when they differ.
fn compare(
    timeline: &Timeline,
    terms: &Terms,
    invariant: Invariant,
    seen: &BTreeMap<Invariant, Seen>,
) -> Result<Option<u64>, String> {
    let verdict = check(timeline, terms);
    let (checker, story) = match &verdict {
        Verdict::Safe => (None, "safe".to_owned()),
        Verdict::Unsafe(found) => (Some(found.at.0), found.to_string()),
    };
    let brute = seen.get(&invariant);
    if checker == brute.map(|seen| seen.tick) {
        return Ok(checker);
    }
    let brute = brute.map_or("safe", |seen| &seen.story);
    Err(format!(
        "{invariant}, margin {}, for {}\nthe checker says:\n{story}\nthe resolvers saw:\n{brute}\n{:#?}",
        terms.margin, terms.validators[0], timeline.steps
    ))
}

#[test]
fn the_checker_says_what_the_resolvers_see() {
    let mut counts: BTreeMap<(Invariant, bool), u64> = BTreeMap::new();
    let mut behind_caches_only = 0;
    let histories = histories();
    for seed in 0..histories {
        let mut random = Random(seed);
        let (timeline, margin) = history::random(&mut random);
        let validator = validator(&mut random);
        let seen = watch(&timeline, &validator, margin);
        for invariant in INVARIANTS {
            let terms = terms(&validator, margin, &[invariant]);
            let at = compare(&timeline, &terms, invariant, &seen)
                .unwrap_or_else(|stories| panic!("seed {seed}: {stories}"));
            *counts.entry((invariant, at.is_some())).or_default() += 1;
        }
        if seen.contains_key(&Invariant::Caches) && !seen.contains_key(&Invariant::Resolver) {
            behind_caches_only += 1;
        }
    }
    println!("{counts:?}, {behind_caches_only} behind caches only");
    // Agreement means something when both verdicts are common.
    for invariant in INVARIANTS {
        for violated in [false, true] {
            let count = counts.get(&(invariant, violated)).copied().unwrap_or(0);
            assert!(
                count > histories / 60,
                "{invariant}, violated {violated}: {count}"
            );
        }
    }
    assert!(behind_caches_only > histories / 60, "{behind_caches_only}");
}

#[test]
fn the_least_wait_is_enough_and_one_tick_less_is_not() {
    let mut moved = 0;
    for seed in 0..histories() / 10 {
        let mut random = Random(1_000_000 + seed);
        let (timeline, margin) = history::random(&mut random);
        let validator = validator(&mut random);
        let invariants = [Invariant::Resolver, Invariant::Caches];
        let terms = terms(&validator, margin, &invariants);
        let first = |timeline: &Timeline| {
            let seen = watch(timeline, &validator, margin);
            let ticks = invariants.iter().filter_map(|invariant| seen.get(invariant));
            ticks.map(|seen| seen.tick).min()
        };
        let Verdict::Unsafe(found) = check(&timeline, &terms) else {
            continue;
        };
        let Some(wait) = &found.wait else { continue };
        let step = wait.before.step;
        let at = timeline.steps[step].at.0;
        let bad = |by: u64| first(&timeline.delayed(step, by)).is_some_and(|tick| tick <= at + by);
        match least_delay(&timeline, step, &terms) {
            None => assert!(bad(60), "seed {seed}: no wait is said to be enough\n{found}"),
            Some(least) => {
                assert!(!bad(least), "seed {seed}: {least} is not enough\n{found}");
                assert!(
                    bad(least - 1),
                    "seed {seed}: {least} is more than enough\n{found}"
                );
                moved += 1;
            }
        }
    }
    assert!(moved > histories() / 100, "{moved}");
}
