//! A plan and its run as people are told of them.

use super::{
    super::{
        protocol::{PlanReply, PlanStatus, PlanStep, Refusal},
        server::Server,
    },
    Known, clock, lock,
};
use crate::{
    multisigner::{
        execute::{GivenUp, Outcome, Run, Stage},
        plan::{Action, Actor, Kind, Plan, Report, Since},
        safety::{Invariant, ProviderId, Terms, Value, Verdict, check},
    },
    wire::Name,
};

/// A plan that is not carried out yet; `remarks`: what else is to be said.
pub(super) fn planned(plan: &Plan, remarks: Vec<String>) -> Result<PlanReply, Refusal> {
    let mut report = Report::new(plan).map_err(|error| Refusal {
        error: error.to_string(),
        advice: None,
    })?;
    report.remarks.extend(remarks);
    let mut text = report.to_string();
    let amiss = amiss_already(plan);
    if let Some(why) = &amiss {
        text.push_str(&format!("\n{why}\n"));
    }
    Ok(PlanReply {
        zone: plan.situation.zone.to_string(),
        text,
        safe: report.safe && amiss.is_none(),
        plan: serde_json::to_value(&report).ok(),
        adopted: false,
        run: None,
    })
}

/// Why nothing can be said of a plan: every kind of validator may find answers bogus as things are, by what caches may
/// still hold or by what is served. A plan that begins there is held to nothing.
pub(super) fn amiss_already(plan: &Plan) -> Option<String> {
    let judgements = plan.judge().ok()?;
    if judgements.iter().any(|judgement| judgement.starts_safe) {
        return None;
    }
    let before = plan.timeline(&[]).ok()?;
    let terms = Terms {
        invariants: Invariant::CHAINS.into(),
        ..Terms::all(plan.situation.margin)
    };
    match check(&before, &terms) {
        Verdict::Safe => None,
        Verdict::Unsafe(story) => Some(format!(
            "Resolvers may find answers bogus as things are, before any step; when something was changed lately, wait until no cache holds what was before:\n{story}"
        )),
    }
}

/// The run of a zone after a person's word.
pub(super) fn told(server: &Server, zone: &Name) -> PlanReply {
    let run = server.plans.status(zone);
    let text = run
        .as_ref()
        .map_or_else(|| "no plan is carried out\n".to_owned(), ToString::to_string);
    PlanReply {
        zone: zone.to_string(),
        text,
        safe: true,
        plan: None,
        adopted: false,
        run,
    }
}

/// What a run that was given up as it is leaves behind.
pub(super) fn stays(run: &Run) -> String {
    let zone = &run.plan.situation.zone;
    let begun = run.done.len() + usize::from(run.begun.is_some());
    let led_to = run.plan.steps.iter().enumerate();
    let led_to = led_to.filter(|(place, _)| *place < begun || run.is_early(*place));
    let mut text = String::new();
    for (place, step) in led_to {
        let comes = if place < run.done.len() {
            ""
        } else {
            " (not seen everywhere: it may come yet)"
        };
        text.push_str(&format!("  {}. {}{comes}\n", place + 1, step.what));
    }
    if text.is_empty() {
        return "\nNothing of it was begun, so there is nothing to take back.\n".to_owned();
    }
    let asks = |value: &Value| matches!(value, Value::Cds(_, Some(_)));
    let asks = run.situation_now(run.plan.situation.at).serves.iter().any(asks);
    let parent = if asks {
        "CDS asks the parent for what it asked for, which may come at any time until another plan changes it.\n"
    } else {
        ""
    };
    format!(
        "\nNothing is taken back. What these steps led to stays until another plan changes it:\n{text}{parent}\
         What caches may hold of it counts in the next plan, which can be begun now: countersign plan NAME {zone}\n"
    )
}

/// What becomes of another provider's keys when the plan is given up that was to withdraw them.
pub(super) fn not_followed(run: &Run) -> Option<String> {
    let Kind::Follow { provider, gone } = &run.plan.kind else {
        return None;
    };
    let situation = &run.plan.situation;
    let keys = situation.labels(gone.iter().map(|(key, _)| *key).collect());
    Some(format!(
        "\nThat {keys} is gone at {0} is followed by itself no more. When it is to go here too: countersign apply follow {1} \
         --provider {0}\n",
        situation.name(*provider),
        situation.zone
    ))
}

/// Why a run was given up, for as long as no other plan follows.
fn given_up(run: &Run) -> Option<String> {
    let GivenUp { why, as_it_is } = run.given_up.as_ref()?;
    let stays = if *as_it_is {
        "; as it is: nothing of it was taken back, and what it led to stays until another plan changes it"
    } else {
        ""
    };
    Some(format!("{why}{stays}"))
}

/// What a step waits for, in words.
pub(super) fn waits_for(run: &Run, step: usize) -> String {
    let Some(step) = run.plan.steps.get(step) else {
        return String::new();
    };
    let time = |since: &Since| match since {
        Since::Step(step) => run.done.get(*step).map(|times| times.seen),
        Since::Time(time) => Some(*time),
    };
    let last = step
        .waits
        .iter()
        .max_by_key(|wait| time(&wait.since).map(|from| from.0.saturating_add(wait.seconds)));
    let why = last.map_or_else(
        || "the safety checker says that something may still be held".to_owned(),
        |wait| wait.why.clone(),
    );
    format!("before \"{}\": {why}", step.what)
}

/// What is to be seen, in words.
pub(super) fn watches(run: &Run, step: usize, lacking: &str) -> String {
    let what = run.plan.steps.get(step).map_or("", |step| step.what.as_str());
    match run.begun {
        Some(_) => format!("\"{what}\" is begun, and not seen everywhere: {lacking}"),
        None => format!("before \"{what}\": {lacking}"),
    }
}

/// What a person has to say so that a step comes true which the exchange of keys does, where `exchange_keys` is off.
pub(super) fn by_exchange(plan: &Plan, step: usize, exchange_keys: bool) -> Option<String> {
    let step = plan.steps.get(step).filter(|_| !exchange_keys)?;
    let takes = |value: &Value| matches!(value, Value::Keys(ProviderId::FIRST, _));
    let is_exchanged = step.action == Action::Await && step.changes.iter().any(takes);
    is_exchanged.then(|| {
        format!(
            "with `exchange_keys = false` nobody takes the keys of others by himself: say `countersign peer pull {}`",
            plan.situation.zone
        )
    })
}

/// The same, of all steps.
pub(super) fn by_exchanges(plan: &Plan, exchange_keys: bool) -> Vec<String> {
    let steps = plan.steps.iter().enumerate();
    let said = steps.filter_map(|(place, step)| {
        let what = by_exchange(plan, place, exchange_keys)?;
        Some(format!("Step {}, \"{}\": {what}.", place + 1, step.what))
    });
    said.collect()
}

impl super::Plans {
    /// What is shown of a zone's last plan.
    pub(in super::super) fn status(&self, zone: &Name) -> Option<PlanStatus> {
        let known = lock(&self.known);
        let known = known.get(zone)?;
        match (&known.run, &known.fault) {
            (Some(run), _) => Some(of_run(run, known)),
            (None, Some(fault)) => Some(PlanStatus {
                goal: "unknown".to_owned(),
                state: "spoiled".to_owned(),
                why: Some(fault.clone()),
                ..PlanStatus::default()
            }),
            (None, None) => None,
        }
    }
}

fn of_run(run: &Run, known: &Known) -> PlanStatus {
    let over = matches!(run.stage, Stage::Over(_));
    let rests = known.rests.as_ref().filter(|_| !over);
    let next = run.done.len();
    let steps = run.plan.steps.iter().enumerate().map(|(number, step)| {
        let (place, paste) = match &step.by {
            Actor::Person { place, .. } if number >= next => (Some(place.clone()), run.paste(number)),
            _ => (None, Vec::new()),
        };
        PlanStep {
            number: number + 1,
            what: step.what.clone(),
            begun: match run.done.get(number) {
                Some(times) => Some(times.begun),
                None => run.begun.filter(|_| number == next),
            },
            seen: run.done.get(number).map(|times| times.seen),
            place,
            paste,
            back: step.back.clone(),
        }
    });
    PlanStatus {
        goal: run.plan.goal(),
        state: match &run.stage {
            Stage::Running if rests.is_some_and(|rest| rest.halted) => "halted",
            Stage::Running => "running",
            Stage::Paused { .. } => "paused",
            Stage::Over(Outcome::Reached) => "reached",
            Stage::Over(Outcome::Aborted) => "given up",
        }
        .to_owned(),
        why: match &run.stage {
            Stage::Paused { why } => Some(why.clone()),
            Stage::Over(Outcome::Aborted) => given_up(run),
            _ => rests.map(|rest| rest.why.clone()),
        },
        until: rests.and_then(|rest| rest.until),
        since: rests.map(|rest| rest.at),
        alarm: run.alarm.clone(),
        harm: run.harm.clone(),
        uncounted: run
            .unwatched
            .filter(|_| !over)
            .map(|(from, to)| clock::in_words(from, to, true)),
        raised: match over {
            true => Vec::new(),
            false => run.raised_in_words(),
        },
        forced: run.force.clone(),
        parent_told: known.told.clone(),
        steps: steps.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::UnixTime,
        multisigner::{
            plan::{Hand, Member, Situation, Step},
            safety::{KeyRrset, KeySet},
        },
    };

    /// The step would be waited for, for ever, without a word.
    #[test]
    fn what_no_exchange_brings_a_person_has_to_pull() {
        let awaited = |place| {
            let keys = KeyRrset {
                keys: KeySet::default(),
                signers: KeySet::default(),
                ttl: 3600,
            };
            Step {
                what: "this server publishes the keys of B".to_owned(),
                action: Action::Await,
                by: Actor::We,
                changes: vec![Value::Keys(ProviderId::at(place).unwrap(), keys)],
                waits: Vec::new(),
                withdraws: false,
                back: String::new(),
            }
        };
        let plan = Plan {
            kind: Kind::Join {
                provider: ProviderId::at(1).unwrap(),
            },
            situation: Situation::bare(
                "example.".parse().unwrap(),
                UnixTime(1_000),
                vec![
                    Member::new("this server", Hand::Ours, 0),
                    Member::new("B", Hand::Api, 0),
                ],
            ),
            steps: vec![awaited(1), awaited(0)],
        };
        let said = by_exchanges(&plan, false);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].starts_with("Step 2,") && said[0].contains("countersign peer pull example."),
            "{said:?}"
        );
        assert_eq!(by_exchanges(&plan, true), [""; 0]);
    }
}
