//! The world under test: every plan with every fault, random histories, and plans that are spoilt, which must be seen.

mod controls;
mod histories;
mod pasted;
mod table;

use super::{
    FAULTS, Fault, Outcome, Scenario, Settings, play, play::run, random::Random, scenario::Draw, story::clock,
};

/// All that is known of a run that went wrong, the seed among it.
fn told(outcome: &Outcome) -> String {
    let lines: Vec<String> = outcome
        .story
        .iter()
        .map(|line| format!("{} {}", clock(line.at), line.what))
        .collect();
    let stories = [&outcome.failure, &outcome.checker, &outcome.amiss];
    let stories: Vec<&str> = stories.into_iter().flatten().map(String::as_str).collect();
    format!(
        "{} {:?}, seed {}: {:?} after {} of {} steps\n{}\n{}",
        outcome.scenario,
        outcome.faults,
        outcome.seed,
        outcome.end,
        outcome.steps_done,
        outcome.steps,
        stories.join("\n"),
        lines.join("\n")
    )
}

#[test]
fn the_same_seed_tells_the_same_story() {
    for (_, scenario) in Scenario::ALL {
        let settings = Settings {
            scenario,
            faults: vec![Fault::Restart, Fault::TtlGrows],
            seed: 7,
        };
        let (once, again) = (play(&settings), play(&settings));
        assert_eq!(once.story, again.story);
        assert_eq!(once.asked, again.asked);
    }
}

#[test]
fn every_fault_has_a_name_of_its_own_in_lower_case_words() {
    let mut names: Vec<&str> = FAULTS.iter().map(|(name, ..)| *name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), FAULTS.len());
    for name in names {
        let words: Vec<&str> = name.split('-').collect();
        let lower = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
        assert!(words.len() >= 2 && words.iter().all(lower), "{name}");
    }
}
