//! I2 to I5: delegation, CDS, denial, content.

use std::collections::BTreeSet;

use super::{
    super::{
        intervals::{EVER, Intervals},
        model::{Cds, Content, DsSet, KeySet, ProviderId, SignedData, Slot, Step, Timeline, Value, Version},
        window::{Item, Windows},
    },
    Earliest, Invariant, Violation, Why,
};

/// I2. An NS RRset that names one provider depends on it; one that names more must outlive any of them.
pub(super) fn available<'w>(timeline: &'w Timeline, windows: &'w Windows<'w>, found: &mut Earliest<'w>) {
    let never = Intervals::default();
    for ns in &windows.ns {
        let members = &ns.value.members;
        let answers = |without: Option<ProviderId>| {
            let left = members.iter().filter(|member| Some(**member) != without);
            left.fold(Intervals::default(), |all, member| {
                all.union(windows.answers.get(member).unwrap_or(&never))
            })
        };
        let mut offer = |answered: &Intervals, why| {
            if let Some(at) = ns.held.without(answered).first_since(timeline.start.0) {
                found.offer(Violation {
                    ns: Some(ns),
                    ..Violation::new(at, Invariant::Available, why)
                });
            }
        };
        offer(&answers(None), Why::NobodyAnswers);
        if members.len() > 1 {
            for member in members {
                offer(&answers(Some(*member)), Why::OneLeft(*member));
            }
        }
    }
}

/// I3, at each step that the parent takes because of CDS.
pub(super) fn cds<'w>(timeline: &'w Timeline, windows: &'w Windows<'w>, found: &mut Earliest<'w>) {
    let slots = timeline.versions();
    let served = |slot: Slot, at: u64| -> Vec<&Value> {
        let versions = slots.get(&slot).map_or(&[] as &[Version<'_>], Vec::as_slice);
        let now = versions
            .iter()
            .filter(|version| version.from <= at && at <= version.until);
        now.map(|version| version.value).collect()
    };
    for (number, step) in timeline.steps.iter().enumerate() {
        let at = step.at.0;
        let Some(ds) = parent_follows(step).filter(|_| at >= timeline.start.0) else {
            continue;
        };
        let wanted: KeySet = ds.records.iter().map(|record| record.key).collect();
        let trusted = windows
            .ds
            .iter()
            .find(|old| old.replaced_by == Some(number))
            .map(|old| old.value.records.iter().map(|record| record.key).collect());
        let asked: BTreeSet<ProviderId> = served(Slot::ParentNs, at)
            .into_iter()
            .filter_map(|value| match value {
                Value::ParentNs(ns) => Some(ns.members.iter().copied()),
                _ => None,
            })
            .flatten()
            .collect();
        for provider in asked {
            let shown = served(Slot::Cds(provider), at);
            let keys: Vec<KeySet> = served(Slot::Keys(provider), at)
                .into_iter()
                .filter_map(|value| match value {
                    Value::Keys(_, keys) => Some(keys.keys),
                    _ => None,
                })
                .collect();
            let fault = shown.is_empty().then_some("publishes none").or_else(|| {
                shown
                    .iter()
                    .find_map(|value| cds_fault(value, wanted, trusted, &keys))
            });
            if let Some(fault) = fault {
                found.offer(Violation::new(at, Invariant::Cds, Why::Cds(provider, fault)));
            }
        }
    }
}

fn parent_follows(step: &Step) -> Option<&DsSet> {
    step.changes.iter().find_map(|change| match &change.value {
        Value::Ds(ds) if ds.from_cds => Some(ds),
        _ => None,
    })
}

/// What is wrong with a provider's CDS. A parent without DS has nothing to validate it with (RFC 9615 is another
/// way).
fn cds_fault(
    value: &Value,
    wanted: KeySet,
    trusted: Option<KeySet>,
    published: &[KeySet],
) -> Option<&'static str> {
    let Value::Cds(
        _,
        Some(Cds {
            wanted: shown,
            signers,
        }),
    ) = value
    else {
        return Some("publishes none");
    };
    if *shown != wanted {
        return Some("is not what the parent takes");
    }
    let trusted = trusted.filter(|trusted| !trusted.is_empty())?;
    let signed = |keys: &KeySet| !trusted.intersection(*signers).intersection(*keys).is_empty();
    (!published.iter().all(signed)).then_some("is not signed by a key of the DS RRset before")
}

fn announced(timeline: &Timeline) -> Intervals {
    timeline
        .content_windows
        .iter()
        .fold(Intervals::default(), |all, (from, to)| {
            all.union(&Intervals::span(from.0, to.0))
        })
}

/// I4.
pub(super) fn denial<'w>(timeline: &'w Timeline, windows: &'w Windows<'w>, found: &mut Earliest<'w>) {
    let settled = Intervals::span(timeline.start.0, EVER).without(&announced(timeline));
    for (data, proof) in pairs(windows) {
        if !matches!(data.value.content, Content::Version(_)) || proof.value.content != Content::Absent {
            continue;
        }
        let answered = data.fetched.held_for(proof.hold);
        if let Some(at) = answered.intersection(&proof.held).intersection(&settled).first() {
            found.offer(Violation {
                data: vec![data, proof],
                ..Violation::new(at, Invariant::Denial, Why::Denied)
            });
        }
    }
}

/// I5.
pub(super) fn content<'w>(timeline: &'w Timeline, windows: &'w Windows<'w>, found: &mut Earliest<'w>) {
    let settled = Intervals::span(timeline.start.0, EVER).without(&announced(timeline));
    for (a, b) in pairs(windows) {
        let (Content::Version(ours), Content::Version(theirs)) = (a.value.content, b.value.content) else {
            continue;
        };
        if ours == theirs && a.value.ttl == b.value.ttl {
            continue;
        }
        if let Some(at) = a.fetched.intersection(&b.fetched).intersection(&settled).first() {
            found.offer(Violation {
                data: vec![a, b],
                ..Violation::new(at, Invariant::Content, Why::Differs)
            });
        }
    }
}

/// Data of one class at two providers, each way round.
fn pairs<'w>(
    windows: &'w Windows<'w>,
) -> impl Iterator<Item = (&'w Item<'w, SignedData>, &'w Item<'w, SignedData>)> {
    windows.data.iter().flat_map(move |a| {
        let others = windows
            .data
            .iter()
            .filter(move |b| b.class == a.class && b.provider != a.provider);
        others.map(move |b| (a, b))
    })
}
