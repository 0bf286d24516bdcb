//! I0, I1 and I1': chains from DS over DNSKEY to data.

use super::{
    super::{
        model::{KeyRrset, KeySet, SignedData, Timeline},
        validator::{Anchored, Validator},
        window::{Item, Windows},
    },
    Earliest, Invariant, Violation, Why,
};

/// I0. A zone that was insecure to this validator at the start may stay so.
pub(super) fn secure<'w>(
    timeline: &'w Timeline,
    windows: &'w Windows<'w>,
    validator: &'w Validator,
    found: &mut Earliest<'w>,
) {
    let insecure = |ds| matches!(validator.anchor(timeline, ds), Anchored::Insecure);
    let before = windows.ds.first();
    if before.is_none_or(|ds| !ds.fetched.has(0) || insecure(ds.value)) {
        return;
    }
    for ds in windows.ds.iter().filter(|ds| insecure(ds.value)) {
        if let Some(at) = ds.held.first_since(timeline.start.0) {
            found.offer(Violation {
                validator: Some(validator),
                ds: Some(ds),
                ..Violation::new(at, Invariant::Secure, Why::Insecure)
            });
        }
    }
}

/// I1: every DS, DNSKEY and data RRset that can be held at one moment.
pub(super) fn caches<'w>(
    timeline: &'w Timeline,
    windows: &'w Windows<'w>,
    validator: &'w Validator,
    found: &mut Earliest<'w>,
) {
    for ds in &windows.ds {
        let Anchored::By(anchors) = validator.anchor(timeline, ds.value) else {
            continue;
        };
        for keys in &windows.keys {
            let together = ds.held.intersection(&keys.held);
            let Some(at) = together.first_since(timeline.start.0) else {
                continue;
            };
            let chain = |at, why| Violation {
                validator: Some(validator),
                ds: Some(ds),
                keys: Some(keys),
                ..Violation::new(at, Invariant::Caches, why)
            };
            if let Err(fault) = validator.key_link(timeline, anchors, keys.value) {
                found.offer(chain(at, Why::Link(fault)));
                continue;
            }
            for data in unfit(timeline, windows, validator, anchors, keys) {
                let all = together.intersection(&data.0.held);
                if let Some(at) = all.first_since(timeline.start.0) {
                    found.offer(Violation {
                        data: vec![data.0],
                        ..chain(at, data.1)
                    });
                }
            }
        }
    }
}

/// I1': a DNSKEY RRset is validated when it is fetched, against a DS RRset that is held; data when they are
/// fetched, against a DNSKEY RRset that was validated and is held.
pub(super) fn resolver<'w>(
    timeline: &'w Timeline,
    windows: &'w Windows<'w>,
    validator: &'w Validator,
    found: &mut Earliest<'w>,
) {
    for ds in &windows.ds {
        let Anchored::By(anchors) = validator.anchor(timeline, ds.value) else {
            continue;
        };
        for keys in &windows.keys {
            let validated = ds.held.intersection(&keys.fetched);
            let chain = |at, why| Violation {
                validator: Some(validator),
                ds: Some(ds),
                keys: Some(keys),
                ..Violation::new(at, Invariant::Resolver, why)
            };
            if let Err(fault) = validator.key_link(timeline, anchors, keys.value) {
                if let Some(at) = validated.first_since(timeline.start.0) {
                    found.offer(chain(at, Why::Link(fault)));
                }
                continue;
            }
            let remembered = validated.held_for(keys.hold);
            for data in unfit(timeline, windows, validator, anchors, keys) {
                let all = remembered.intersection(&data.0.fetched);
                if let Some(at) = all.first_since(timeline.start.0) {
                    found.offer(Violation {
                        data: vec![data.0],
                        ..chain(at, data.1)
                    });
                }
            }
        }
    }
}

/// The data that do not follow from this DNSKEY RRset.
fn unfit<'w>(
    timeline: &'w Timeline,
    windows: &'w Windows<'w>,
    validator: &'w Validator,
    anchors: KeySet,
    keys: &'w Item<'w, KeyRrset>,
) -> impl Iterator<Item = (&'w Item<'w, SignedData>, Why)> {
    windows.data.iter().filter_map(move |data| {
        let fault = validator
            .data_link(timeline, anchors, keys.value, data.value)
            .err()?;
        Some((data, Why::Link(fault)))
    })
}
