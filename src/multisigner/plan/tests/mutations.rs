//! Every wait of every plan a second shorter, and every two neighbouring steps swapped, against the table in
//! `docs/safety.md`. A row that is not unsafe has its reason here.
//!
//! `COUNTERSIGN_GOLDEN=write` writes the table instead of comparing it.

mod reasons;

use std::fmt::Write as _;

use super::*;
use crate::multisigner::{
    plan::golden,
    safety::{Counterexample, Terms, Validator, Verdict, check},
};

/// Where the table stands in the page.
const BEGIN: &str = "<!-- made by multisigner::plan::tests::mutations: begin -->\n";
const END: &str = "<!-- end -->\n";

/// Every plan, by its name.
fn plans() -> Vec<(&'static str, Plan)> {
    let mut standby = Zone::two();
    standby.set(&[
        standby.keys("A", "KA KB ZA ZA2 ZB", "KA"),
        standby.keys("B", "KA KB ZA ZA2 ZB", "KB"),
    ]);
    let emergency = |policy| Kind::Emergency {
        old: key("ZA"),
        new: key("ZA2"),
        policy,
    };
    let b = provider("B");
    let seen = UnixTime(START);
    let roll_back = Zone::with_csk().plan(&roll("csk"));
    let [mut joined, mut left] = [Zone::one(), Zone::two()];
    for zone in [&mut joined, &mut left] {
        super::csync::read_by_the_parent(zone);
    }
    vec![
        ("join", Zone::one().plan(&Kind::Join { provider: b })),
        ("leave", Zone::two().plan(&Kind::Leave { provider: b })),
        ("join by CSYNC", joined.plan(&Kind::Join { provider: b })),
        ("leave by CSYNC", left.plan(&Kind::Leave { provider: b })),
        ("roll-zsk", Zone::two().plan(&roll("zsk"))),
        ("roll-ksk", Zone::two().plan(&roll("ksk"))),
        ("roll-csk", Zone::with_csk().plan(&roll("csk"))),
        ("algorithm", Zone::two().plan(&super::algorithm())),
        (
            "emergency availability",
            Zone::two().plan(&emergency(Emergency::Availability)),
        ),
        ("emergency standby", standby.plan(&emergency(Emergency::Standby))),
        ("standby", Zone::two().plan(&Kind::Standby { new: key("ZA2") })),
        (
            "follow, a ZSK",
            followed("ZB", "ZB2").plan(&Kind::Follow {
                provider: b,
                gone: vec![(key("ZB"), seen)],
            }),
        ),
        (
            "follow, a KSK",
            followed("KB", "KB2").plan(&Kind::Follow {
                provider: b,
                gone: vec![(key("KB"), seen)],
            }),
        ),
        ("back from roll-csk", super::retreat::back(&roll_back, 4).unwrap()),
    ]
}

/// B has rolled from one key to another, and ours has both.
pub(super) fn followed(old: &str, new: &str) -> Zone {
    let mut zone = Zone::two();
    let swap = |labels: &str| labels.replace(old, new);
    zone.set(&[
        zone.ds("KA KB KB2"),
        zone.keys("A", &format!("KA KB ZA ZB {new}"), "KA"),
        zone.keys("B", &swap("KA KB ZA ZB"), &swap("KB")),
        zone.data("B", &swap("ZB")),
    ]);
    zone
}

/// What comes of a mutation.
#[derive(PartialEq, Eq)]
enum Outcome {
    Unsafe(Box<Counterexample>),
    Safe,
}

/// A row: the plan, what was done to it, what comes of it.
struct Row {
    plan: &'static str,
    mutation: String,
    outcome: Outcome,
    free: &'static str,
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, plan) in plans() {
        assert_unharmed(&plan);
        for step in 0..plan.steps.len() {
            for wait in 0..plan.steps[step].waits.len() {
                rows.push(shortened(name, &plan, step, wait));
            }
        }
        for step in 1..plan.steps.len() {
            rows.push(swapped(name, &plan, step));
        }
    }
    rows
}

fn shortened(name: &'static str, plan: &Plan, step: usize, wait: usize) -> Row {
    let mut short = plan.clone();
    let shortened = &mut short.steps[step].waits[wait];
    let since = match shortened.since {
        Since::Step(since) => format!("step {}", since + 1),
        Since::Time(_) => "it was last seen".to_owned(),
    };
    let seconds = shortened.seconds;
    // A wait is strict: one of no seconds still keeps two steps out of one second.
    let before = seconds.checked_sub(1);
    let mutation = format!(
        "{}. {}: the wait of {seconds} s since {since} is {}",
        step + 1,
        plan.steps[step].what,
        if before.is_some() {
            "a second shorter"
        } else {
            "left out"
        }
    );
    match before {
        Some(before) => shortened.seconds = before,
        None => drop(short.steps[step].waits.remove(wait)),
    }
    Row {
        plan: name,
        mutation,
        outcome: outcome(plan, &short),
        free: "free",
    }
}

fn swapped(name: &'static str, plan: &Plan, later: usize) -> Row {
    let earlier = later - 1;
    let mut swapped = plan.clone();
    swapped.steps.swap(earlier, later);
    for (place, step) in swapped.steps.iter_mut().enumerate() {
        for wait in &mut step.waits {
            wait.since = match wait.since {
                Since::Step(since) if since == earlier => Since::Step(later),
                Since::Step(since) if since == later => Since::Step(earlier),
                other => other,
            };
        }
        // A wait for what comes later cannot be kept.
        step.waits
            .retain(|wait| !matches!(wait.since, Since::Step(since) if since >= place));
    }
    Row {
        plan: name,
        mutation: format!(
            "{}. {}: before {}. {}",
            later + 1,
            plan.steps[later].what,
            later,
            plan.steps[earlier].what
        ),
        outcome: outcome(plan, &swapped),
        free: "commutes",
    }
}

/// The checker's word, for the kinds of validator that nothing hurts before the plan.
fn outcome(plan: &Plan, mutated: &Plan) -> Outcome {
    let course = mutated.timeline(&mutated.earliest().steps).unwrap();
    let before = plan.timeline(&[]).unwrap();
    let terms = |validators| Terms {
        validators,
        ..Terms::all(plan.situation.margin)
    };
    let unhurt = |validator: &Validator| check(&before, &terms(vec![validator.clone()])) == Verdict::Safe;
    match check(
        &course,
        &terms(Validator::kinds().into_iter().filter(unhurt).collect()),
    ) {
        Verdict::Safe => Outcome::Safe,
        Verdict::Unsafe(found) => Outcome::Unsafe(found),
    }
}

fn table(rows: &[Row]) -> String {
    let mut table = String::new();
    let mut plan = "";
    for row in rows {
        if row.plan != plan {
            plan = row.plan;
            let _ = writeln!(
                table,
                "\n### {plan}\n\n| what is done to it | outcome | why |\n|---|---|---|"
            );
        }
        let (outcome, why) = match &row.outcome {
            Outcome::Unsafe(found) => {
                let hurts = found
                    .validator
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                (format!("unsafe: {}", found.invariant), hurts)
            }
            Outcome::Safe => {
                let reason = reasons::reason(row.plan, &row.mutation);
                let reason = reason.unwrap_or_else(|| panic!("no reason for {}: {}", row.plan, row.mutation));
                (row.free.to_owned(), reason.to_owned())
            }
        };
        let _ = writeln!(table, "| {} | {outcome} | {why} |", row.mutation);
    }
    table
}

#[test]
fn every_mutation_is_in_the_table() {
    let rows = rows();
    let table = table(&rows);
    golden::compare(&table, BEGIN, END);
}

#[test]
fn every_reason_is_needed() {
    let rows = rows();
    for (plan, mutation, reason) in reasons::all() {
        let safe = |row: &&Row| {
            row.plan == plan && row.mutation.starts_with(mutation) && row.outcome == Outcome::Safe
        };
        assert_eq!(
            rows.iter().filter(safe).count(),
            1,
            "{plan}: {mutation}: {reason}"
        );
    }
}

/// A plan without any of its waits is unsafe; but a standby key does nothing yet, and a provider that rolls well leaves
/// nothing in caches that its old ZSK signed.
#[test]
fn no_plan_holds_without_its_waits() {
    for (name, plan) in plans() {
        let mut hasty = plan.clone();
        for step in &mut hasty.steps {
            step.waits.clear();
        }
        let safe = outcome(&plan, &hasty) == Outcome::Safe;
        assert_eq!(safe, ["standby", "follow, a ZSK"].contains(&name), "{name}");
    }
}
