//! `countersign lab join` and its like: a plan carried out in a simulated world, told as a story.

use clap::{
    Args,
    builder::{PossibleValue, PossibleValuesParser},
};

use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};

use super::{
    lab::Story,
    outcome::{Failure, Report},
};
use crate::lab::{
    real_time,
    world::{self, End, FAULTS, Outcome, Scenario, Settings},
};

/// What a plan is tried with.
#[derive(Debug, Args)]
pub(super) struct WorldArguments {
    /// Set something amiss on the way; may be repeated.
    #[arg(long, value_name = "NAME", value_parser = fault_names(), conflicts_with = "real_time")]
    fault: Vec<String>,
    /// Where the random numbers begin: the same seed tells the same story.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "real_time")]
    seed: u64,
    /// Over sockets and in real time, with TTLs of seconds, before two real unbounds; takes half a minute. For join, leave,
    /// roll-zsk, roll-ksk, roll-csk, and for emergency, in which the key goes at once, and answers are bogus for that.
    #[arg(long)]
    real_time: bool,
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
    if arguments.real_time {
        return play_in_real_time(scenario, arguments);
    }
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

fn play_in_real_time(scenario: Scenario, arguments: &WorldArguments) -> Result<Report, Failure> {
    if !real_time::SCENARIOS.contains(&scenario) {
        let played: Vec<&str> = real_time::SCENARIOS.iter().map(|known| known.name()).collect();
        let what = format!("{} is not played in real time", scenario.name());
        return Err(Failure::usage(what).advice(format!(
            "leave --real-time out, or name one of {}",
            played.join(", ")
        )));
    }
    let folder = tempfile::Builder::new().prefix("countersign-lab-").tempdir()?;
    let runtime = Runtime::new().map_err(|error| Failure::from(error).context("cannot start threads"))?;
    let mut story = Story::new();
    let played = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut tell = |told| story.tell(&told);
        tokio::select! {
            played = real_time::play(folder.path(), scenario, &mut tell) => {
                played.map(Some).map_err(Failure::from)
            }
            _ = terminate.recv() => Ok(None),
            _ = interrupt.recv() => Ok(None),
        }
    });
    runtime.shutdown_background();
    let Some(outcome) = played? else {
        return Ok(Report::default().negative(true));
    };
    let report = if arguments.json {
        Report::json(&outcome)
    } else {
        Report::of(print_real_time(&outcome))
    };
    Ok(report.negative(!outcome.sound()))
}

fn print_real_time(outcome: &real_time::Outcome) -> String {
    let (steps, seen) = outcome.steps;
    let end = match &outcome.why {
        _ if outcome.reached => format!("The goal is reached, after {steps} steps"),
        Some(why) => format!("The goal is not reached, {seen} of {steps} steps are done: {why}"),
        None => format!("The goal is not reached, {seen} of {steps} steps are done"),
    };
    let mut out = format!("\n{end}, in {} s.\n", outcome.seconds);
    for resolved in &outcome.resolvers {
        out.push_str(&format!(
            "unbound with {}: {} names asked for, {} not validated\n",
            resolved.resolver, resolved.asked, resolved.bogus
        ));
        if let Some(first) = &resolved.first_bogus {
            out.push_str(&format!("  the first: {first}\n"));
        }
    }
    out
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
    let excused = match outcome.excused {
        0 => String::new(),
        count => format!(
            " {count} more were bogus because of what nobody here could prevent: keys that the other provider lost, or a \
             key that was replaced at once."
        ),
    };
    out.push_str(&format!(
        "\n{end}\nIt took {}.{restarts} Resolvers asked {} questions and validated {} answers; {} were bogus, {} \
         unanswered.{excused}\n",
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
