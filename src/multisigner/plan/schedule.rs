//! When each step of a plan is due at the earliest, and the timeline that the safety checker judges.

use super::{
    super::safety::{Change, DsSet, KeySet, KeyUse, NsSet, Seconds, Timeline, TooMany, Value},
    Past, Plan, Since,
};
use crate::clock::UnixTime;

/// When a step was begun and when it was seen at every server, as planned or as measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Times {
    /// When it was begun: from then on some server may give the new values.
    pub begun: UnixTime,
    /// When every server that is seen from here gave them.
    pub seen: UnixTime,
}

/// The earliest times of a plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Planned {
    /// One entry a step.
    pub steps: Vec<Times>,
}

impl Plan {
    /// When a step is due at the earliest, the steps before it having been begun and seen at these times.
    pub fn due(&self, step: usize, before: &[Times]) -> UnixTime {
        let start = self.situation.at;
        let after_the_last = before.last().map_or(start, |last| last.seen);
        let waits = self.steps.get(step).into_iter().flat_map(|step| &step.waits);
        waits
            .map(|wait| {
                let from = match wait.since {
                    Since::Step(since) => before.get(since).map_or(after_the_last, |times| times.seen),
                    Since::Time(time) => time,
                };
                // The last second of what is held still counts.
                UnixTime(from.0.saturating_add(wait.seconds).saturating_add(1))
            })
            .fold(after_the_last.max(start), UnixTime::max)
    }

    /// The earliest times of all steps: each is seen as soon as it is begun.
    pub fn earliest(&self) -> Planned {
        let mut steps: Vec<Times> = Vec::with_capacity(self.steps.len());
        for step in 0..self.steps.len() {
            let begun = self.due(step, &steps);
            steps.push(Times { begun, seen: begun });
        }
        Planned { steps }
    }

    /// How long it takes at the least.
    pub fn least_duration(&self) -> Seconds {
        let last = self
            .earliest()
            .steps
            .last()
            .map_or(self.situation.at, |last| last.seen);
        last.0.saturating_sub(self.situation.at.0)
    }

    /// What the parent may do as soon as this step is begun, because of the CDS or CSYNC that is published with it.
    pub fn read_by_parent(&self, step: usize) -> Option<Value> {
        self.read_in_cds(step).or_else(|| self.read_in_csync(step))
    }

    fn read_in_csync(&self, step: usize) -> Option<Value> {
        let mut later = self.steps.get(step..)?.iter().flat_map(|step| &step.changes);
        let published = |value: &Value| matches!(value, Value::Csync(_, Some(_)));
        self.steps[step].changes.iter().find(|value| published(value))?;
        let ns = later.find_map(|value| match value {
            Value::ParentNs(ns) if ns.from_csync => Some(ns),
            _ => None,
        })?;
        Some(Value::ParentNs(NsSet {
            from_csync: false,
            ..ns.clone()
        }))
    }

    pub(super) fn read_in_cds(&self, step: usize) -> Option<Value> {
        let published = self
            .steps
            .get(step)?
            .changes
            .iter()
            .find_map(|value| match value {
                Value::Cds(_, Some(cds)) => Some(cds.wanted),
                _ => None,
            })?;
        let later = self.steps.iter().skip(step).flat_map(|step| &step.changes);
        let ds = later.into_iter().find_map(|value| match value {
            Value::Ds(ds) if ds.from_cds => Some(ds),
            _ => None,
        })?;
        let asked_for: KeySet = ds.records.iter().map(|record| record.key).collect();
        // Whether the parent finds the same everywhere is a matter of the step that is its own.
        let read = DsSet {
            from_cds: false,
            ..ds.clone()
        };
        (asked_for == published).then_some(Value::Ds(read))
    }

    /// The course of what is served with the steps at these times; steps without times are left out. What was served
    /// before the plan began is part of it, and judged is what happens from then on.
    ///
    /// # Errors
    /// When there are more keys or providers than a timeline holds.
    pub fn timeline(&self, times: &[Times]) -> Result<Timeline, TooMany> {
        let situation = &self.situation;
        let mut timeline = Timeline::new(situation.at);
        for place in 0..situation.keys.len() {
            let key = super::KeyId::at(place)?;
            let usable = situation.keys[place]
                .dnskey
                .as_ref()
                .is_none_or(|key| key.is_zone_key() && !key.is_revoked());
            let usage = if usable { KeyUse::ZoneKey } else { KeyUse::None };
            timeline.add_key(&situation.label(key), situation.keys[place].algorithm, usage)?;
        }
        for member in &situation.members {
            timeline.add_provider(&member.name)?;
        }
        for value in &situation.serves {
            let slot = value.slot();
            let past: Vec<&Past> = situation
                .past
                .iter()
                .filter(|past| past.value.slot() == slot)
                .collect();
            let first = past.first().map_or(value, |past| &past.value);
            timeline.initial.retain(|known| known.slot() != slot);
            timeline.initial.push(first.clone());
            let next = past.iter().skip(1).map(|past| &past.value).chain([value]);
            for (past, value) in past.iter().zip(next) {
                let change = Change {
                    value: value.clone(),
                    lag: situation.lag(&slot),
                };
                timeline.add_step(past.until, "what was changed before", vec![change]);
            }
        }
        for (step, times) in self.steps.iter().zip(times) {
            let took = times.seen.0.saturating_sub(times.begun.0);
            let changes = step.changes.iter().map(|value| Change {
                value: value.clone(),
                lag: took.saturating_add(situation.lag(&value.slot())),
            });
            let changes: Vec<Change> = changes.collect();
            if !changes.is_empty() {
                timeline.add_step(times.begun, &step.what, changes);
            }
        }
        Ok(timeline)
    }
}
