//! I0, I1 and I1': chains from DS over DNSKEY to data.

use super::{
    super::{
        intervals::Intervals,
        model::{KeyRrset, SignedData, Timeline},
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
    let pairs = Pairs {
        timeline,
        windows,
        validator,
        invariant: Invariant::Caches,
        keys_met: |keys| &keys.held,
        data_with: |together, _| together.clone(),
        data_met: |data| &data.held,
    };
    pairs.judge(found);
}

/// I1': a DNSKEY RRset is validated when it is fetched, against a DS RRset that is held; data when they are
/// fetched, against a DNSKEY RRset that was validated and is held.
///
/// What is remembered is the DNSKEY RRset with what the DS RRset demanded of it then, as unbound does it: to a
/// strict-DS validator the algorithms of a DS RRset can outlive the DS RRset itself.
pub(super) fn resolver<'w>(
    timeline: &'w Timeline,
    windows: &'w Windows<'w>,
    validator: &'w Validator,
    found: &mut Earliest<'w>,
) {
    let pairs = Pairs {
        timeline,
        windows,
        validator,
        invariant: Invariant::Resolver,
        keys_met: |keys| &keys.fetched,
        data_with: |validated, keys| validated.held_for(keys.hold),
        data_met: |data| &data.fetched,
    };
    pairs.judge(found);
}

/// Which moments of each item meet which of the others.
struct Pairs<'w> {
    timeline: &'w Timeline,
    windows: &'w Windows<'w>,
    validator: &'w Validator,
    invariant: Invariant,
    /// When a DNSKEY RRset meets a held DS RRset.
    keys_met: fn(&'w Item<'w, KeyRrset>) -> &'w Intervals,
    /// When both, from the moments that they met, meet data.
    data_with: fn(&Intervals, &Item<'_, KeyRrset>) -> Intervals,
    /// When data meet both.
    data_met: fn(&'w Item<'w, SignedData>) -> &'w Intervals,
}

impl<'w> Pairs<'w> {
    /// Links are judged only where a failure would be the earliest yet.
    fn judge(&self, found: &mut Earliest<'w>) {
        let start = self.timeline.start.0;
        for ds in &self.windows.ds {
            let Anchored::By(anchors) = self.validator.anchor(self.timeline, ds.value) else {
                continue;
            };
            for keys in &self.windows.keys {
                let met = ds.held.intersection((self.keys_met)(keys));
                let chain = |at, fault| Violation {
                    validator: Some(self.validator),
                    ds: Some(ds),
                    keys: Some(keys),
                    ..Violation::new(at, self.invariant, Why::Link(fault))
                };
                if let Err(fault) = self.validator.key_link(self.timeline, anchors, keys.value) {
                    if let Some(at) = met.first_since(start) {
                        found.offer(chain(at, fault));
                    }
                    continue;
                }
                let with = (self.data_with)(&met, keys);
                for data in &self.windows.data {
                    let all = with.intersection((self.data_met)(data));
                    let Some(at) = all
                        .first_since(start)
                        .filter(|at| found.wants(*at, self.invariant))
                    else {
                        continue;
                    };
                    let link = self
                        .validator
                        .data_link(self.timeline, anchors, keys.value, data.value);
                    if let Err(fault) = link {
                        found.offer(Violation {
                            data: vec![data],
                            ..chain(at, fault)
                        });
                    }
                }
            }
        }
    }
}
