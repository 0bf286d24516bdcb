//! A violation told as a story: who fetched what from whom when, which link fails, which wait was too short, and
//! the least that is enough.

mod names;
mod wait;

use std::{collections::BTreeSet, fmt};

use super::{
    check::{Invariant, Terms, Violation, earliest},
    model::{Seconds, Slot, Timeline},
    validator::Validator,
    window::{Item, Windows},
};
use crate::clock::UnixTime;
use names::Names;
pub use wait::{least_delay, least_delay_from_then, quiet_from};

/// Something that a cache holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetch {
    /// What it is.
    pub what: String,
    /// Who gave it.
    pub from: String,
    /// When, at the latest.
    pub at: UnixTime,
    /// How long a cache may hold it: its TTL and the margin.
    pub kept_until: UnixTime,
}

/// Who is hurt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reaches {
    /// Ordinary resolvers.
    Everybody,
    /// Validators behind caches that do not validate, and caches that validate again what they hold.
    ValidatorsBehindCaches,
}

/// A step, by its place in the timeline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Its place.
    pub step: usize,
    /// What it is.
    pub what: String,
    /// When.
    pub at: UnixTime,
}

/// The wait before a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShortWait {
    /// The step that the wait follows: it ended what caches still hold.
    pub after: Option<Mark>,
    /// The step that came too early.
    pub before: Mark,
    /// How long was waited.
    pub waited: Seconds,
    /// The least wait that is enough; none when no wait is.
    pub enough: Option<Seconds>,
}

/// How a timeline is unsafe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counterexample {
    /// The start of the timeline: the story counts from it.
    pub start: UnixTime,
    /// When.
    pub at: UnixTime,
    /// The invariant that does not hold.
    pub invariant: Invariant,
    /// The kind of validator that is hurt; none when it is not a matter of validation.
    pub validator: Option<Validator>,
    /// Who is hurt.
    pub reaches: Reaches,
    /// What is held, and where it is from.
    pub fetches: Vec<Fetch>,
    /// The link that fails, or what else is wrong.
    pub why: String,
    /// The wait that was too short; none when it was so from the start.
    pub wait: Option<ShortWait>,
}

/// Tells a violation.
pub(super) fn tell(
    timeline: &Timeline,
    windows: &Windows<'_>,
    terms: &Terms,
    violation: &Violation<'_>,
) -> Counterexample {
    let at = violation.at;
    let names = Names(timeline);
    let mut fetches = Vec::new();
    let mut ended = BTreeSet::new();
    if let Some(ns) = violation.ns {
        fetches.push(names.fetch(ns, at, names.ns(ns.value)));
        ended.extend(ended_by(timeline, windows, ns, at));
    }
    if let Some(ds) = violation.ds {
        fetches.push(names.fetch(ds, at, names.ds(ds.value)));
        ended.extend(ended_by(timeline, windows, ds, at));
    }
    if let Some(keys) = violation.keys {
        fetches.push(names.fetch(keys, at, names.key_rrset(keys.value)));
        ended.extend(ended_by(timeline, windows, keys, at));
    }
    for data in &violation.data {
        fetches.push(names.fetch(data, at, names.data(data.class, data.value)));
        ended.extend(ended_by(timeline, windows, data, at));
    }
    Counterexample {
        start: timeline.start,
        at: UnixTime(at),
        invariant: violation.invariant,
        validator: violation.validator.cloned(),
        reaches: reaches(timeline, windows, terms, violation),
        fetches,
        why: names.why(&violation.why),
        wait: wait::short_wait(timeline, terms, violation, &ended),
    }
}

fn reaches(timeline: &Timeline, windows: &Windows<'_>, terms: &Terms, violation: &Violation<'_>) -> Reaches {
    if violation.invariant != Invariant::Caches {
        return Reaches::Everybody;
    }
    let ordinary = Terms {
        invariants: BTreeSet::from([Invariant::Resolver]),
        ..terms.clone()
    };
    match earliest(timeline, windows, &ordinary) {
        Some(other) if other.at == violation.at => Reaches::Everybody,
        _ => Reaches::ValidatorsBehindCaches,
    }
}

/// The step after which `item` can no longer be fetched, when that is so right after `at`.
fn ended_by<T>(timeline: &Timeline, windows: &Windows<'_>, item: &Item<'_, T>, at: u64) -> Option<usize> {
    let past = |step: &usize| timeline.steps.get(*step).is_some_and(|step| step.at.0 <= at);
    if let Some(step) = item.replaced_by.filter(past) {
        return Some(step);
    }
    let provider = item.provider?;
    if windows
        .reach
        .get(&provider)
        .is_some_and(|reach| reach.has(at.saturating_add(1)))
    {
        return None;
    }
    timeline.steps.iter().rposition(|step| {
        step.at.0 <= at
            && step.changes.iter().any(|change| match change.value.slot() {
                Slot::Serving(stopped) => stopped == provider,
                Slot::ParentNs | Slot::ChildNs(_) => true,
                _ => false,
            })
    })
}

impl fmt::Display for Counterexample {
    /// Times are seconds after the start of the timeline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = |time: UnixTime| i128::from(time.0) - i128::from(self.start.0);
        write!(
            f,
            "{} does not hold at {:+} s ({})",
            self.invariant,
            offset(self.at),
            self.at
        )?;
        if let Some(validator) = &self.validator {
            write!(f, " for a validator that is {validator}")?;
        }
        writeln!(f, ":")?;
        for fetch in &self.fetches {
            writeln!(
                f,
                "  {:+} s: {}, fetched from {}, held until {:+} s",
                offset(fetch.at),
                fetch.what,
                fetch.from,
                offset(fetch.kept_until)
            )?;
        }
        writeln!(f, "Together: {}.", self.why)?;
        if let Some(wait) = &self.wait {
            wait.tell(f, offset)?;
        }
        f.write_str(match self.reaches {
            Reaches::Everybody => "It hits ordinary resolvers.",
            Reaches::ValidatorsBehindCaches => "It hits validators behind caches only.",
        })
    }
}

impl ShortWait {
    fn tell(&self, f: &mut fmt::Formatter<'_>, offset: impl Fn(UnixTime) -> i128) -> fmt::Result {
        write!(
            f,
            "The wait before \"{}\" ({:+} s)",
            self.before.what,
            offset(self.before.at)
        )?;
        match &self.after {
            Some(after) => write!(f, " after \"{}\" ({:+} s)", after.what, offset(after.at))?,
            None => f.write_str(" from the start")?,
        }
        match self.enough {
            Some(enough) => writeln!(
                f,
                " was too short: {} s; the least that is enough is {enough} s.",
                self.waited
            ),
            None => writeln!(
                f,
                " was {} s; no wait is enough, something else must come first.",
                self.waited
            ),
        }
    }
}
