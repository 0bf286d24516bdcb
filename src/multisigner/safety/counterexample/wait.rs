//! Which wait was too short, and the least that is enough, found by moving the step that it precedes.

use std::collections::BTreeSet;

use super::super::{
    check::{Terms, Violation, first_violation, is_safe},
    model::{Seconds, Timeline, Value},
};
use super::{Mark, ShortWait};
use crate::clock::UnixTime;

/// No wait is longer, ten years in seconds: a server that never shows what it was given lags for ever, and no delay is
/// enough.
const LONGEST: Seconds = 315_360_000;

/// How much later this step, and all after it, must be for nothing to be violated up to and at it; none when no
/// delay is enough. Zero when nothing is.
pub fn least_delay(timeline: &Timeline, step: usize, terms: &Terms) -> Option<Seconds> {
    let at = timeline.steps.get(step)?.at.0;
    let most = longest(timeline, terms.margin);
    least(most, |by| {
        first_violation(&timeline.delayed(step, by), terms)
            .is_none_or(|violation| violation.0 > at.saturating_add(by))
    })
}

/// The same where nothing before the step is a matter of it: what was violated before is over when it is done.
pub fn least_delay_from_then(timeline: &Timeline, step: usize, terms: &Terms) -> Option<Seconds> {
    let at = timeline.steps.get(step)?.at.0;
    let most = longest(timeline, terms.margin);
    least(most, |by| {
        let then = UnixTime(at.saturating_add(by));
        first_violation(&timeline.delayed(step, by).judged_from(then), terms)
            .is_none_or(|violation| violation > then)
    })
}

/// From when on nothing is violated, when nothing is changed any more; none when that never comes.
pub fn quiet_from(timeline: &Timeline, terms: &Terms) -> Option<UnixTime> {
    let from = |by: Seconds| UnixTime(timeline.start.0.saturating_add(by));
    let most = longest(timeline, terms.margin).min(LONGEST);
    let quiet = |by| is_safe(&timeline.judged_from(from(by)), terms);
    // Most that is not quiet at once never is: what is served for good is looked at first.
    (quiet(0) || quiet(most)).then(|| least(most, quiet))?.map(from)
}

/// The least number of seconds that is enough, where all that are more are enough too.
fn least(most: Seconds, enough: impl Fn(Seconds) -> bool) -> Option<Seconds> {
    if enough(0) {
        return Some(0);
    }
    let most = most.min(LONGEST);
    let mut short = 0;
    let mut long = 1;
    while !enough(long) {
        if long > most {
            return None;
        }
        short = long;
        long = long.saturating_mul(2);
    }
    while long - short > 1 {
        let middle = short + (long - short) / 2;
        if enough(middle) {
            long = middle;
        } else {
            short = middle;
        }
    }
    Some(long)
}

/// A wait after which nothing old is left anywhere: NS RRsets may hand a resolver on from provider to provider.
fn longest(timeline: &Timeline, margin: Seconds) -> Seconds {
    let changes = timeline.steps.iter().flat_map(|step| &step.changes);
    let lag = changes.clone().map(|change| change.lag).max().unwrap_or(0);
    let values = timeline.initial.iter().chain(changes.map(|change| &change.value));
    let ttl = values.map(|value| match value {
        Value::Ds(ds) => ds.ttl,
        Value::ParentNs(ns) | Value::ChildNs(_, ns) => ns.ttl,
        Value::Keys(_, keys) => keys.ttl,
        Value::Data(_, _, data) => data.ttl,
        Value::Serving(..) | Value::Cds(..) | Value::Csync(..) => 0,
    });
    let hold = ttl.max().unwrap_or(0).saturating_add(margin);
    let hands = timeline.providers.len() as u64 + 2;
    hold.saturating_add(lag).saturating_mul(hands).saturating_add(1)
}

/// Violations begin at steps. Of the steps at that moment the last one that helps when it is moved came too early.
pub(super) fn short_wait(
    timeline: &Timeline,
    terms: &Terms,
    violation: &Violation<'_>,
    ended: &BTreeSet<usize>,
) -> Option<ShortWait> {
    let same = Terms {
        invariants: BTreeSet::from([violation.invariant]),
        ..terms.clone()
    };
    let now = |step: usize| {
        timeline
            .steps
            .get(step)
            .is_some_and(|step| step.at.0 == violation.at)
    };
    let early: Vec<usize> = (0..timeline.steps.len())
        .rev()
        .filter(|step| now(*step))
        .collect();
    // A wait that mends this invariant alone is the second choice: another one asks for longer.
    let (step, delay) = [terms, &same]
        .into_iter()
        .flat_map(|terms| {
            early
                .iter()
                .map(move |step| (*step, least_delay(timeline, *step, terms)))
        })
        .find(|(_, delay)| delay.is_some())
        .or_else(|| early.first().map(|step| (*step, None)))?;
    let mark = |step: usize| {
        let marked = timeline.steps.get(step)?;
        Some(Mark {
            step,
            what: marked.what.clone(),
            at: marked.at,
        })
    };
    let after = ended.range(..step).next_back().and_then(|step| mark(*step));
    let before = mark(step)?;
    let since = after.as_ref().map_or(timeline.start, |after| after.at);
    let waited = before.at.since(since).as_secs();
    Some(ShortWait {
        after,
        before,
        waited,
        enough: delay.map(|delay| waited.saturating_add(delay)),
    })
}
