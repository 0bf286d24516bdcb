//! What the steps that are left do about the DS RRset, and a parent that does not follow CDS or CSYNC.

use std::{fmt, time::Duration};

use super::{
    super::{
        plan::{Actor, Step},
        safety::{DsSet, KeyId, Value},
    },
    run::{Run, Stage},
};
use crate::{clock::UnixTime, dnssec::key::Dnskey, wire::RrType};

/// After how long a parent that has not followed is one that may never do: registries that read CDS do it once a day, or
/// more often.
const DAILY: u64 = 86_400;

/// What a plan does about the DS of a key that has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DsAhead {
    /// The parent is asked for it by CDS.
    ByCds,
    /// A person is given its records.
    ByPerson,
    /// The key goes.
    Goes,
}

/// For people.
impl fmt::Display for DsAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByCds => "the plan that is carried out asks for it by CDS",
            Self::ByPerson => {
                "it is part of the plan that is carried out, and `countersign status` shows it when its time has come"
            }
            Self::Goes => "the plan that is carried out takes the key away again",
        })
    }
}

/// A parent that was asked by CDS or CSYNC, and has not done it for long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unfollowed {
    /// What it was asked by.
    pub asked_by: RrType,
    /// Since when every server of every provider shows what it is asked for.
    pub since: UnixTime,
    /// The DS or NS records that it should have, one a line in master format.
    pub records: Vec<String>,
}

fn ds_of(step: &Step) -> Option<&DsSet> {
    step.changes.iter().find_map(|value| match value {
        Value::Ds(ds) => Some(ds),
        _ => None,
    })
}

/// What the parent is asked by in a step that is its own.
fn asked_by(step: &Step) -> Option<RrType> {
    let asked_by = step.changes.iter().find_map(|value| match value {
        Value::Ds(ds) if ds.from_cds => Some(RrType::CDS),
        Value::ParentNs(ns) if ns.from_csync => Some(RrType::CSYNC),
        _ => None,
    });
    asked_by.filter(|_| step.by == Actor::Parent)
}

impl fmt::Display for Unfollowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the parent has not followed the {asked_by} that every server shows since {}; if it does not read {asked_by}, or not any \
             more, hand in exactly these records at the registrar, and the plan goes on when all of the parent's servers show them: {}",
            self.since,
            self.records.join("; "),
            asked_by = self.asked_by,
        )
    }
}

impl Run {
    /// What the plan does about the DS of each key that it knows, where it does anything.
    pub fn ds_ahead(&self) -> Vec<(Dnskey, DsAhead)> {
        let known = self.plan.situation.keys.iter().enumerate();
        let ahead = known.filter_map(|(place, key)| {
            let id = KeyId::at(place).ok()?;
            let wants =
                |step: &&Step| ds_of(step).is_some_and(|ds| ds.records.iter().any(|record| record.key == id));
            let ahead = match self.left().find(wants).map(|step| &step.by) {
                Some(Actor::Parent) => DsAhead::ByCds,
                Some(_) => DsAhead::ByPerson,
                None if self.goes(id) => DsAhead::Goes,
                None => return None,
            };
            Some((key.dnskey.clone()?, ahead))
        });
        ahead.collect()
    }

    fn left(&self) -> impl DoubleEndedIterator<Item = &Step> {
        self.plan.steps.iter().skip(self.done.len())
    }

    /// Whether a key is in a DNSKEY RRset that it is not in when all steps are done.
    fn goes(&self, key: KeyId) -> bool {
        let has = |value: &Value| matches!(value, Value::Keys(_, rrset) if rrset.keys.contains(key));
        self.history.courses.iter().any(|(slot, course)| {
            let last = self
                .left()
                .flat_map(|step| &step.changes)
                .rfind(|value| value.slot() == *slot);
            course.expected().is_some_and(|now| has(&now)) && last.is_some_and(|last| !has(last))
        })
    }

    /// Whether the parent should have followed by now. It is allowed a day, or twice the time that it is known to take.
    pub fn unfollowed(&self, now: UnixTime) -> Option<Unfollowed> {
        let (since, place) = (self.begun?, self.done.len());
        let step = self.plan.steps.get(place)?;
        let asked_by = asked_by(step)?;
        let allowed = DAILY.max(self.plan.situation.parent.propagation.saturating_mul(2));
        let is_late = now.since(since) > Duration::from_secs(allowed);
        if !is_late || matches!(self.stage, Stage::Over(_)) {
            return None;
        }
        let records = self.plan.pasted(place, &self.changes(place))?;
        Some(Unfollowed {
            asked_by,
            since,
            records,
        })
    }
}
