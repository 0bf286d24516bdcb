//! Every plan with every fault, against the table in `docs/safety.md`: what reaches its goal there has to reach it, and
//! what stops says why.
//!
//! `COUNTERSIGN_GOLDEN=write` writes the table instead of comparing it.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{super::End, *};
use crate::multisigner::plan::golden;

/// Where the table stands in the page.
const BEGIN: &str = "<!-- made by lab::world::tests::table: begin -->\n";
const END: &str = "<!-- end of every plan with every fault -->\n";

/// Each plan is played with each fault so many times: a fault comes at another moment each time.
const SEEDS: u64 = 3;

/// What came of a plan.
struct Row {
    name: &'static str,
    /// The faults with which it stopped, in some seed.
    stops: BTreeSet<&'static str>,
    /// The faults with which answers were bogus and nobody could prevent it.
    excused: BTreeSet<&'static str>,
}

/// What a plan is called that is undisturbed.
const UNDISTURBED: &str = "no fault";

fn row(name: &'static str, scenario: Scenario) -> Row {
    let mut row = Row {
        name,
        stops: BTreeSet::new(),
        excused: BTreeSet::new(),
    };
    let faults = FAULTS.iter().map(|(name, fault, _)| (*name, vec![*fault]));
    for (fault, faults) in [(UNDISTURBED, Vec::new())].into_iter().chain(faults) {
        for seed in 1..=SEEDS {
            let faults = faults.clone();
            let outcome = play(&Settings {
                scenario,
                faults,
                seed,
            });
            assert!(outcome.sound(), "{}", told(&outcome));
            assert_eq!(outcome.asked, outcome.validated + outcome.excused);
            assert!(outcome.asked > 100, "{}", told(&outcome));
            match &outcome.end {
                End::Reached => {}
                End::Stopped { why } | End::NoPlan { why } => {
                    assert!(why.len() > 10, "{}", told(&outcome));
                    row.stops.insert(fault);
                }
            }
            if outcome.excused > 0 {
                row.excused.insert(fault);
            }
        }
    }
    assert!(!row.stops.contains(UNDISTURBED), "{name} stops by itself");
    row
}

fn rows() -> Vec<Row> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let parts = (0..threads).map(|part| {
            scope.spawn(move || {
                let mine = Scenario::ALL.iter().skip(part).step_by(threads);
                mine.map(|(name, scenario)| row(name, *scenario))
                    .collect::<Vec<_>>()
            })
        });
        let parts: Vec<_> = parts.collect();
        let mut rows: Vec<Row> = parts.into_iter().flat_map(|part| part.join().unwrap()).collect();
        let place = |row: &Row| Scenario::ALL.iter().position(|(name, _)| *name == row.name);
        rows.sort_by_key(place);
        rows
    })
}

fn table(rows: &[Row]) -> String {
    let list = |faults: &BTreeSet<&str>| match faults.len() {
        count if count == FAULTS.len() + 1 => "whatever happens".to_owned(),
        _ => faults.iter().copied().collect::<Vec<_>>().join(", "),
    };
    let mut table = "| plan | stops with, and says why | some answers are bogus with, and nobody could prevent it |\n|---|---|---|\n".to_owned();
    for row in rows {
        let _ = writeln!(
            table,
            "| {} | {} | {} |",
            row.name,
            list(&row.stops),
            list(&row.excused)
        );
    }
    table
}

#[test]
fn every_plan_with_every_fault_hurts_nobody() {
    let table = table(&rows());
    golden::compare(&table, BEGIN, END);
}
