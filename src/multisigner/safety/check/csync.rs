//! I3 for CSYNC. The record says of no NS RRset which one is meant: the parent takes what is there when it comes, and it
//! may come at any moment while some server shows the record.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{
        intervals::Intervals,
        model::{Csync, NsSet, ProviderId, Slot, Step, Timeline, Value, Version},
    },
    Earliest, Invariant, Violation, Why,
};

type Slots<'a> = BTreeMap<Slot, Vec<Version<'a>>>;

pub(super) fn csync<'w>(timeline: &'w Timeline, found: &mut Earliest<'w>) {
    let changes = timeline.steps.iter().flat_map(|step| &step.changes);
    let mut values = timeline.initial.iter().chain(changes.map(|change| &change.value));
    let is_of_csync = |value: &Value| match value {
        Value::ParentNs(ns) => ns.from_csync,
        Value::Csync(_, csync) => csync.is_some(),
        _ => false,
    };
    if !values.any(is_of_csync) {
        return;
    }
    let slots = timeline.versions();
    one_ns_rrset_while_it_is_shown(timeline, &slots, found);
    all_show_what_the_parent_takes(timeline, &slots, found);
}

fn versions<'s, 'a>(slots: &'s Slots<'a>, slot: &Slot) -> &'s [Version<'a>] {
    slots.get(slot).map_or(&[], Vec::as_slice)
}

fn served(version: &Version<'_>) -> Intervals {
    Intervals::span(version.from, version.until)
}

fn one_ns_rrset_while_it_is_shown<'w>(timeline: &'w Timeline, slots: &Slots<'_>, found: &mut Earliest<'w>) {
    let mut asked: BTreeMap<ProviderId, Intervals> = BTreeMap::new();
    for version in versions(slots, &Slot::ParentNs) {
        let Value::ParentNs(ns) = version.value else {
            continue;
        };
        for member in &ns.members {
            let so_far = asked.entry(*member).or_default();
            *so_far = so_far.union(&served(version));
        }
    }
    let mut shown = Intervals::default();
    let mut sets: Vec<(ProviderId, &BTreeSet<ProviderId>, Intervals)> = Vec::new();
    for (provider, asked) in &asked {
        for version in versions(slots, &Slot::Csync(*provider)) {
            if matches!(version.value, Value::Csync(_, Some(_))) {
                shown = shown.union(&served(version).intersection(asked));
            }
        }
        for version in versions(slots, &Slot::ChildNs(*provider)) {
            if let Value::ChildNs(_, ns) = version.value {
                sets.push((*provider, &ns.members, served(version).intersection(asked)));
            }
        }
    }
    for (place, (_, members, served)) in sets.iter().enumerate() {
        let served = served.intersection(&shown);
        for (provider, _, theirs) in sets[place + 1..]
            .iter()
            .filter(|(_, others, _)| others != members)
        {
            let Some(at) = served.intersection(theirs).first_since(timeline.start.0) else {
                continue;
            };
            let fault = "can be found, and NS RRsets differ";
            found.offer(Violation::new(at, Invariant::Csync, Why::Csync(*provider, fault)));
        }
    }
}

fn all_show_what_the_parent_takes<'w>(timeline: &'w Timeline, slots: &Slots<'_>, found: &mut Earliest<'w>) {
    for step in &timeline.steps {
        let at = step.at.0;
        let Some(taken) = parent_takes(step).filter(|_| at >= timeline.start.0) else {
            continue;
        };
        let now = |slot: Slot| {
            let versions = versions(slots, &slot).iter();
            versions
                .filter(|version| version.from <= at && at <= version.until)
                .map(|version| version.value)
                .collect::<Vec<&Value>>()
        };
        // Who comes in by this step, or has come because the parent read sooner, is not among those that it asked.
        let asked: BTreeSet<ProviderId> = now(Slot::ParentNs)
            .into_iter()
            .filter_map(|value| match value {
                Value::ParentNs(ns) if ns.members != taken.members => Some(ns.members.iter().copied()),
                _ => None,
            })
            .flatten()
            .collect();
        let mut all: Option<Csync> = None;
        for provider in asked {
            let fault = fault(&now(Slot::Csync(provider)), &mut all).or_else(|| {
                let other = |value: &&Value| match value {
                    Value::ChildNs(_, ns) => ns.members != taken.members,
                    _ => true,
                };
                let differs = now(Slot::ChildNs(provider)).iter().any(other);
                differs.then_some("is beside another NS RRset than the parent takes")
            });
            if let Some(fault) = fault {
                found.offer(Violation::new(at, Invariant::Csync, Why::Csync(provider, fault)));
            }
        }
    }
}

fn parent_takes(step: &Step) -> Option<&NsSet> {
    step.changes.iter().find_map(|change| match &change.value {
        Value::ParentNs(ns) if ns.from_csync => Some(ns),
        _ => None,
    })
}

/// What is wrong with a provider's CSYNC, beside the one of the others (RFC 9975 §3).
fn fault(shown: &[&Value], all: &mut Option<Csync>) -> Option<&'static str> {
    if shown.is_empty() {
        return Some("publishes none");
    }
    shown.iter().find_map(|value| {
        let Value::Csync(_, Some(csync)) = value else {
            return Some("publishes none");
        };
        (*all.get_or_insert(*csync) != *csync).then_some("has other types than elsewhere")
    })
}
