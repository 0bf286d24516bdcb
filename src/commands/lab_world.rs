//! `countersign lab join` and its like: a plan carried out in a simulated world, told as a story.

use clap::{
    Args,
    builder::{PossibleValue, PossibleValuesParser},
};

use super::outcome::{Failure, Report};
use crate::lab::world::{self, End, FAULTS, Outcome, Scenario, Settings};

/// What a plan is tried with.
#[derive(Debug, Args)]
pub(super) struct WorldArguments {
    /// Set something amiss on the way; may be repeated.
    #[arg(long, value_name = "NAME", value_parser = fault_names())]
    fault: Vec<String>,
    /// Where the random numbers begin: the same seed tells the same story.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print the outcome and the story as JSON.
    #[arg(long)]
    json: bool,
}

fn fault_names() -> PossibleValuesParser {
    PossibleValuesParser::new(
        FAULTS
            .iter()
            .map(|(name, _, what)| PossibleValue::new(*name).help(*what)),
    )
}

/// Plays a scenario; exit code 1 when a resolver saw a bogus answer, or the end is not one that may be.
pub(super) fn play(scenario: Scenario, arguments: &WorldArguments) -> Result<Report, Failure> {
    let faults = arguments.fault.iter().filter_map(|name| world::by_name(name));
    let outcome = world::play(&Settings {
        scenario,
        faults: faults.collect(),
        seed: arguments.seed,
    });
    let report = if arguments.json {
        Report::json(&outcome)
    } else {
        Report::of(print(&outcome))
    };
    Ok(report.negative(!outcome.sound()))
}

fn print(outcome: &Outcome) -> String {
    let mut out = String::new();
    for line in &outcome.story {
        let what = line.what.replace('\n', "\n             ");
        out.push_str(&format!("{}  {what}\n", world::clock(line.at)));
    }
    let steps = format!("{} of {} steps", outcome.steps_done, outcome.steps);
    let end = match &outcome.end {
        End::Reached => format!("The goal is reached, after {steps}."),
        End::Stopped { why } => {
            format!("It stopped after {steps}, and nobody is hurt where it stands: {why}")
        }
        End::NoPlan { why } => format!("There is no plan: {why}"),
    };
    let restarts = match outcome.restarts {
        0 => String::new(),
        times => format!(" Our server was killed {times} times."),
    };
    out.push_str(&format!(
        "\n{end}\nIt took {}.{restarts} Resolvers asked {} questions and validated {} answers; {} were bogus, {} \
         unanswered.\n",
        world::clock(outcome.seconds),
        outcome.asked,
        outcome.validated,
        outcome.bogus,
        outcome.unanswered
    ));
    let amiss = [
        ("The first failure:", &outcome.failure),
        ("The safety checker says of what was served:", &outcome.checker),
        ("The end is not what the plan promised:", &outcome.amiss),
    ];
    for (what, story) in amiss {
        if let Some(story) = story {
            out.push_str(&format!("\n{what}\n  {}\n", story.replace('\n', "\n  ")));
        }
    }
    out
}
