//! Which waits a step needs: each new value must form chains with every value that caches may still hold.
//!
//! | new value | must fit what may be held of | because |
//! |---|---|---|
//! | data | DNSKEY of every provider | a key in it must have signed the data |
//! | DNSKEY | data of every provider, DS | the same, and DS must point to a key that signs it |
//! | DS | DNSKEY of every provider | the same |
//! | NS, naming a provider more | all three, for all that this one serves, or served until now | it is asked from now on |
//! | a provider stops | NS | nobody may still be sent to it |
//! | DS, by a parent that reads CDS | CDS | it must find the same everywhere |
//! | NS, by a parent that reads CSYNC | CSYNC, and the providers' own NS | the same |
//! | a provider's own NS | CSYNC | the parent would take what is on its way |
//!
//! With two algorithms each of them must be complete, as strict validators ask ([`Link::Strict`]). The safety checker
//! judges the outcome; it shares nothing with this.

mod parent;

use std::collections::BTreeSet;

use super::{
    super::safety::{DsSet, KeyRrset, KeySet, ProviderId, SignedData, Slot, Value},
    FirstSeen, Lag, Since, Situation, Wait,
    history::{History, Hold, Version},
};

/// What a chain must be complete for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Link {
    /// Any one algorithm.
    Any,
    /// Each algorithm of the DS and the DNSKEY RRset.
    Strict,
}

/// The waits before a step that serves `changes`.
pub(super) fn waits(situation: &Situation, history: &History, link: Link, changes: &[Value]) -> Vec<Wait> {
    let gate = Gate {
        situation,
        history,
        link,
    };
    let asked = history.asked_now();
    let newly: BTreeSet<ProviderId> = history.asked_with(changes).difference(&asked).copied().collect();
    let of_new = history
        .all_now()
        .filter(|value| provider_of(value).is_some_and(|provider| newly.contains(&provider)));
    let met = changes.iter().filter(|value| {
        provider_of(value).is_none_or(|provider| asked.contains(&provider) || newly.contains(&provider))
    });
    let mut waits = Vec::new();
    for value in met.chain(of_new) {
        gate.value(value, &mut waits);
    }
    for provider in &newly {
        gate.slow_servers(*provider, &mut waits);
    }
    for value in changes {
        gate.stop(value, &mut waits);
        gate.parent(value, &mut waits);
    }
    binding(waits)
}

/// The waits for what nobody saw: it may fit nothing that a plan leads to.
pub(super) fn of_unseen(situation: &Situation) -> Vec<Wait> {
    let first_seen = situation.first_seen.iter();
    first_seen.map(|first| unseen(situation, first)).collect()
}

/// One of these waits.
pub(super) fn unseen(situation: &Situation, first: &FirstSeen) -> Wait {
    let of_slot = [Lag::of(&first.slot), Lag::Margin];
    let then: &[Lag] = match first.slot {
        Slot::ParentNs | Slot::ChildNs(_) => &[Lag::Margin],
        _ => &[],
    };
    Wait {
        since: Since::Time(first.at),
        seconds: first.held,
        why: format!(
            "{} was first seen then as it is; what it was before nobody saw, and a cache may hold it, or what it led to \
             ({} s)",
            situation.slot_in_words(&first.slot),
            first.held
        ),
        lags: Some([&of_slot, then].concat()),
    }
}

/// How long after CDS that is past was shown last a parent that had read it may come with what it asked for.
pub(super) fn until_the_parent_has_followed(situation: &Situation, history: &History) -> Vec<Wait> {
    let past = history.versions().filter_map(|version| {
        let Value::Cds(provider, Some(_)) = &version.value else {
            return None;
        };
        let (child, parent) = (situation.lag(&version.value.slot()), situation.parent.propagation);
        Some(Wait {
            since: version.ended()?,
            seconds: child.saturating_add(parent),
            why: format!(
                "the parent may have read the CDS of before at {} until {child} s from then, and take {parent} s to follow it",
                situation.name(*provider)
            ),
            lags: Some(vec![Lag::of(&version.value.slot()), Lag::Parent]),
        })
    });
    binding(past.collect())
}

struct Gate<'a> {
    situation: &'a Situation,
    history: &'a History,
    link: Link,
}

impl Gate<'_> {
    /// What `value` does not fit, and until when that may be held.
    fn value(&self, value: &Value, waits: &mut Vec<Wait>) {
        for version in self.history.versions() {
            let Some(held) = self.misfit(value, &version.value) else {
                continue;
            };
            self.hold(version, &held, waits);
        }
    }

    fn hold(&self, version: &Version, held: &str, waits: &mut Vec<Wait>) {
        for hold in self.history.holds(version, self.situation) {
            waits.push(wait(hold, held));
        }
    }

    /// A provider that nobody asked until now has nothing of before in any cache, but a slow server of it may still give
    /// it.
    fn slow_servers(&self, provider: ProviderId, waits: &mut Vec<Wait>) {
        for version in self.history.versions() {
            let Some(since) = version
                .ended()
                .filter(|_| provider_of(&version.value) == Some(provider))
            else {
                continue;
            };
            let misfits = |other: &Version| self.misfit(&version.value, &other.value).is_some();
            if self.history.versions().any(misfits) {
                let seconds = self.situation.lag(&version.value.slot());
                let name = self.situation.name(provider);
                let why = format!("a server of {name} may still give what it gave before ({seconds} s)");
                let lags = Some(vec![Lag::of(&version.value.slot())]);
                waits.push(Wait {
                    since,
                    seconds,
                    why,
                    lags,
                });
            }
        }
    }

    /// A provider stops only when no NS RRset that names it is held.
    fn stop(&self, value: &Value, waits: &mut Vec<Wait>) {
        if let Value::Serving(provider, false) = value {
            let held = format!("an NS RRset that names {}", self.situation.name(*provider));
            let holds = self.history.naming(*provider, self.situation).into_iter();
            waits.extend(holds.map(|hold| wait(hold, &held)));
        }
    }

    /// Why a new value and one that is held form no chain: what is held, in words.
    fn misfit(&self, new: &Value, held: &Value) -> Option<String> {
        match (new, held) {
            (Value::Data(_, _, data), Value::Keys(provider, keys)) => {
                (!self.keys_and_data(keys, data)).then(|| self.keys_without(*provider, keys, data.signers))
            }
            (Value::Keys(_, keys), Value::Data(provider, _, data)) => {
                (!self.keys_and_data(keys, data)).then(|| {
                    let signers = self.labels(data.signers);
                    format!("data of {} signed by {signers}", self.situation.name(*provider))
                })
            }
            (Value::Keys(_, keys), Value::Ds(ds)) => {
                (!self.ds_and_keys(ds, keys)).then(|| self.ds_without(ds, keys.signers))
            }
            (Value::Ds(ds), Value::Keys(provider, keys)) => (!self.ds_and_keys(ds, keys)).then(|| {
                let signers = self.labels(keys.signers);
                format!(
                    "the DNSKEY RRset of {} signed by {signers}",
                    self.situation.name(*provider)
                )
            }),
            (Value::Ds(ds), Value::Data(provider, _, data)) => (!self.ds_and_data(ds, data)).then(|| {
                let signers = self.labels(data.signers);
                format!(
                    "data of {} signed by {signers} alone",
                    self.situation.name(*provider)
                )
            }),
            (Value::Data(_, _, data), Value::Ds(ds)) => {
                (!self.ds_and_data(ds, data)).then(|| self.ds_without(ds, data.signers))
            }
            _ => None,
        }
    }

    fn keys_and_data(&self, keys: &KeyRrset, data: &SignedData) -> bool {
        let signed = keys.keys.intersection(data.signers);
        !signed.is_empty() && self.complete(keys.keys, signed)
    }

    /// A DS RRset that is empty asks for nothing.
    fn ds_and_keys(&self, ds: &DsSet, keys: &KeyRrset) -> bool {
        let anchors = points_to(ds);
        let entries = anchors.intersection(keys.signers).intersection(keys.keys);
        anchors.is_empty()
            || !entries.is_empty()
                && self.complete(anchors, entries)
                && self.complete(keys.keys, keys.signers)
    }

    fn ds_and_data(&self, ds: &DsSet, data: &SignedData) -> bool {
        self.complete(points_to(ds), data.signers)
    }

    /// Whether `had` has every algorithm of `demanded`.
    fn complete(&self, demanded: KeySet, had: KeySet) -> bool {
        let algorithms = |keys: KeySet| -> BTreeSet<_> {
            let keys = keys.iter().filter_map(|key| self.situation.key(key));
            keys.map(|key| key.algorithm).collect()
        };
        self.link == Link::Any || algorithms(demanded).is_subset(&algorithms(had))
    }

    fn keys_without(&self, provider: ProviderId, keys: &KeyRrset, signers: KeySet) -> String {
        let name = self.situation.name(provider);
        let lacking = signers.without(keys.keys);
        if lacking.is_empty() {
            return format!(
                "the DNSKEY RRset of {name} with {}",
                self.labels(keys.keys.without(signers))
            );
        }
        format!("the DNSKEY RRset of {name} without {}", self.labels(lacking))
    }

    fn ds_without(&self, ds: &DsSet, signers: KeySet) -> String {
        let lacking = signers.without(points_to(ds));
        if lacking.is_empty() {
            return format!(
                "the DS RRset with {}",
                self.labels(points_to(ds).without(signers))
            );
        }
        format!("the DS RRset without {}", self.labels(lacking))
    }

    fn labels(&self, keys: KeySet) -> String {
        self.situation.labels(keys)
    }
}

/// Whether every chain that can be made of what is served now is complete for every algorithm.
pub(super) fn starts_strict(situation: &Situation, history: &History) -> Link {
    let gate = Gate {
        situation,
        history,
        link: Link::Strict,
    };
    let asked = history.asked_now();
    let met = |value: &&Value| provider_of(value).is_none_or(|provider| asked.contains(&provider));
    let values: Vec<&Value> = history.all_now().filter(met).collect();
    let fits = values
        .iter()
        .all(|a| values.iter().all(|b| gate.misfit(a, b).is_none()));
    if fits { Link::Strict } else { Link::Any }
}

/// The keys that a DS RRset points to.
pub(super) fn points_to(ds: &DsSet) -> KeySet {
    ds.records.iter().map(|record| record.key).collect()
}

fn provider_of(value: &Value) -> Option<ProviderId> {
    match value.slot() {
        Slot::Ds | Slot::ParentNs => None,
        Slot::Keys(provider)
        | Slot::Data(provider, _)
        | Slot::ChildNs(provider)
        | Slot::Serving(provider)
        | Slot::Cds(provider)
        | Slot::Csync(provider) => Some(provider),
    }
}

fn wait(hold: Hold, held: &str) -> Wait {
    Wait {
        since: hold.since,
        seconds: hold.seconds,
        why: format!("a cache may hold {held} ({})", hold.sum),
        lags: Some(hold.lags),
    }
}

/// Those of the waits that no other one makes idle.
pub(super) fn binding(waits: Vec<Wait>) -> Vec<Wait> {
    let mut binding: Vec<Wait> = Vec::new();
    for mut wait in waits {
        if let Some(other) = binding.iter_mut().find(|other| covers(other, &wait)) {
            other.stand_for(&wait);
            continue;
        }
        let idle: Vec<Wait> = binding.extract_if(.., |other| covers(&wait, other)).collect();
        idle.iter().for_each(|idle| wait.stand_for(idle));
        binding.push(wait);
    }
    binding
}

/// Whether `longer` never ends before `shorter`.
fn covers(longer: &Wait, shorter: &Wait) -> bool {
    match (longer.since, shorter.since) {
        (Since::Step(a), Since::Step(b)) => a >= b && longer.seconds >= shorter.seconds,
        (Since::Step(_), Since::Time(_)) => longer.seconds >= shorter.seconds,
        (Since::Time(_), Since::Step(_)) => false,
        (Since::Time(a), Since::Time(b)) => {
            a.0.saturating_add(longer.seconds) >= b.0.saturating_add(shorter.seconds)
        }
    }
}
