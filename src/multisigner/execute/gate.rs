//! The safety checker in front of every step: the measured history, and this step now.
//!
//! Judged is what can be held from now on. What resolvers could find before, because another provider lost a key or a
//! TTL was larger than anybody knew, no step of ours can change: it is journaled as a story, once, and a step is refused
//! for as long as caches can hold anything of it.

use super::{
    super::{
        plan::{Plan, Step},
        safety::{
            Counterexample, Invariant, Terms, Timeline, TooMany, Validator, Value, Verdict, check,
            first_violation, is_safe, least_delay_from_then, quiet_from,
        },
    },
    items::{items, same},
    measured::Course,
    run::{Entry, Event, Run},
};
use crate::clock::UnixTime;

/// What the checker says of a step.
pub(super) enum Gate {
    /// It hurts nobody.
    Open,
    /// It hurts nobody from then on.
    Later(UnixTime),
    /// It hurts somebody whenever it is done.
    Shut(String),
}

/// What a plan is held to: for each kind of validator the invariants that hold for it at the start, or will when caches
/// have lost what was served before. A plan that a person forced is held to what holds when all goes as planned; what
/// does not was known when it was adopted.
pub(super) fn terms(plan: &Plan, forced: bool) -> Result<Vec<Terms>, TooMany> {
    let before = plan.timeline(&[])?;
    let planned = forced
        .then(|| plan.timeline(&plan.earliest().steps))
        .transpose()?;
    let margin = plan.situation.margin;
    let all = Terms::all(margin);
    let holds = |terms: &Terms| {
        let Some(quiet) = quiet_from(&before, terms) else {
            return false;
        };
        let planned = planned.as_ref();
        planned.is_none_or(|planned| is_safe(&planned.judged_from(quiet), terms))
    };
    if holds(&all) {
        return Ok(vec![all]);
    }
    let one = |validators: Vec<Validator>, invariant| Terms {
        margin,
        validators,
        invariants: [invariant].into(),
    };
    let chains = Invariant::CHAINS.iter().filter_map(|invariant| {
        let kinds = Validator::kinds().into_iter();
        let kinds: Vec<Validator> = kinds
            .filter(|kind| holds(&one(vec![kind.clone()], *invariant)))
            .collect();
        (!kinds.is_empty()).then(|| one(kinds, *invariant))
    });
    let others = Invariant::ALL
        .iter()
        .filter(|invariant| !Invariant::CHAINS.contains(invariant));
    let others = others.map(|invariant| one(Vec::new(), *invariant)).filter(holds);
    let terms: Vec<Terms> = chains.chain(others).collect();
    // That nobody is led to insecurity says nothing of a chain that holds.
    let is_chain = |terms: &&Terms| terms.invariants.contains(&Invariant::Caches);
    let nothing_holds = !terms.iter().any(|terms| is_chain(&terms));
    // Who forces nothing is not let through because all is wrong already.
    Ok(if nothing_holds && !forced {
        vec![all]
    } else {
        terms
    })
}

impl Run {
    /// Whether a step takes nothing away: whatever it changes has at least what it had. One more signer of data is no
    /// addition: it must be in every DNSKEY RRset that is held.
    pub(super) fn only_adds(&self, step: &Step) -> bool {
        let adds = |value: &Value| {
            let course = self.history.courses.get(&value.slot());
            let before = course.and_then(Course::expected);
            let before = before.as_ref().map(items).unwrap_or_default();
            let after = items(&self.history.adjusted(value));
            match value {
                Value::Data(..) => after == before,
                _ => after.is_superset(&before),
            }
        };
        !step.withdraws && step.changes.iter().all(adds)
    }

    /// The story of what resolvers could find bogus until now because of what nobody planned, where it is not told yet.
    pub(super) fn harm(&self, now: UnixTime) -> Option<Event> {
        let untold = self.untold?;
        let told = self.harm.as_ref().map(|(at, _)| *at);
        let timeline = self.history.timeline(&self.plan, None).ok()?;
        let timeline = timeline.judged_from(untold.max(told.unwrap_or(untold)));
        self.terms.iter().find_map(|terms| {
            let terms = &Terms {
                invariants: terms
                    .invariants
                    .intersection(&Invariant::CHAINS.into())
                    .copied()
                    .collect(),
                ..terms.clone()
            };
            let at = first_violation(&timeline, terms)?;
            let mut found = (at <= now && Some(at) > told)
                .then(|| earliest(&timeline, terms))
                .flatten()?;
            // No plan of ours was too early: what came in between did it.
            let cause = found.wait.take().map(|wait| format!("{}:\n", wait.before.what));
            let story = format!("{}{found}", cause.unwrap_or_default());
            Some(Event::Harm { story })
        })
    }

    /// Whether all is well with a step that somebody has done before it was begun here, and the rest of the plan after it.
    ///
    /// Judged without the margin: who is ahead has waited too, since their own sight of what both wait for, and may have
    /// had it before us. What is left between our looks must be covered by the margin.
    pub(super) fn allows_early(&self, step: usize, since: UnixTime, now: UnixTime) -> bool {
        let mut run = self.clone();
        let (at, event) = (now, Event::Early { step, since });
        if run.apply(&Entry { at, event }).is_err() {
            return false;
        }
        for place in run.done.len()..run.plan.steps.len() {
            let at = match run.is_early(place) || run.begun.is_some() {
                true => run.last,
                false => run.plan.due(place, &run.done).max(run.last),
            };
            if run.begun.is_none() {
                run.begin_step(place, at);
            }
            run.see_step(place, at);
            run.last = at;
        }
        let Ok(timeline) = run.history.timeline(&run.plan, None) else {
            return false;
        };
        let timeline = timeline.judged_from(since);
        let without_margin = |terms: &Terms| Terms {
            margin: 0,
            ..terms.clone()
        };
        self.terms
            .iter()
            .all(|terms| is_safe(&timeline, &without_margin(terms)))
    }

    /// What the checker says of the measured history from now on, with a step now where it is not begun yet.
    pub(super) fn gate(&self, step: Option<&Step>, adds: bool, now: UnixTime) -> Gate {
        // What the parent may do as soon as it can read it counts as done with it.
        let read = step.and_then(|_| self.plan.read_by_parent(self.done.len()));
        if let Some(lost) = read
            .as_ref()
            .filter(|read| !same(&self.history.adjusted(read), read))
        {
            let slot = self.slot_in_words(&lost.slot());
            let read = match lost {
                Value::ParentNs(_) => "CSYNC",
                _ => "CDS",
            };
            return Gate::Shut(format!(
                "{slot} has changed in a way that nobody planned, and the {read} of this plan would have the parent undo it; `countersign abort` gives the plan up, then plan anew"
            ));
        }
        let changes: Vec<Value> = step.map_or_else(Vec::new, |step| {
            step.changes.iter().cloned().chain(read).collect()
        });
        let then = step.map(|step| (now, step.what.as_str(), changes.as_slice()));
        let timeline = match self.history.timeline(&self.plan, then) {
            Ok(timeline) => timeline.judged_from(now),
            Err(error) => return Gate::Shut(error.to_string()),
        };
        let last = timeline.steps.len().saturating_sub(1);
        let mut later = None;
        for terms in &self.terms {
            if is_safe(&timeline, terms) {
                continue;
            }
            let before = match self.history.timeline(&self.plan, None) {
                Ok(before) => before.judged_from(now),
                Err(error) => return Gate::Shut(error.to_string()),
            };
            let terms = blamed(terms, adds, &before, &timeline);
            if is_safe(&timeline, &terms) {
                continue;
            }
            let delay = step.and_then(|_| least_delay_from_then(&timeline, last, &terms));
            match delay.filter(|by| *by > 0) {
                Some(by) => later = later.max(Some(UnixTime(now.0.saturating_add(by)))),
                None => return Gate::Shut(story(&timeline, &terms)),
            }
        }
        later.map_or(Gate::Open, Gate::Later)
    }
}

/// The terms without what is violated anyway. That does not forbid to add: so it is mended. Nor does it forbid another step,
/// where it does not last longer with it than without: that another provider's data have another TTL now is no matter of a
/// key. Chains are left out for what only adds: whatever takes something away while some do not hold could hide
/// behind them.
fn blamed(terms: &Terms, adds: bool, before: &Timeline, with: &Timeline) -> Terms {
    let is_blamed = |invariant: &Invariant| {
        let alone = Terms {
            invariants: [*invariant].into(),
            ..terms.clone()
        };
        let until = |timeline| quiet_from(timeline, &alone).map_or(u64::MAX, |quiet| quiet.0);
        is_safe(before, &alone)
            || !adds && (Invariant::CHAINS.contains(invariant) || until(with) > until(before))
    };
    Terms {
        invariants: terms.invariants.iter().copied().filter(is_blamed).collect(),
        ..terms.clone()
    }
}

/// What is wrong, told for the first invariant that does not hold: the more is asked, the longer it takes to tell.
fn earliest(timeline: &Timeline, terms: &Terms) -> Option<Box<Counterexample>> {
    let alone = terms.invariants.iter().map(|invariant| Terms {
        invariants: [*invariant].into(),
        ..terms.clone()
    });
    let broken = alone.into_iter().find(|terms| !is_safe(timeline, terms));
    match check(timeline, broken.as_ref().unwrap_or(terms)) {
        Verdict::Unsafe(found) => Some(found),
        Verdict::Safe => None,
    }
}

fn story(timeline: &Timeline, terms: &Terms) -> String {
    earliest(timeline, terms).map_or_else(
        || "the checker agrees now; look again".to_owned(),
        |found| found.to_string(),
    )
}
