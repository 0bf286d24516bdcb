//! The checker against known waits and known violations, with small numbers: TTLs 3 (DS), 2 (DNSKEY), 5 (data) and
//! 4 (NS), a lag of 1 for every change, the margin at 0. A wait is strict, so the least one is lag + TTL + 1.

mod others;
mod violations;
mod waits;

use std::collections::BTreeSet;

use super::*;
use crate::{clock::UnixTime, dnssec::algorithm::Algorithm};

pub(super) const START: u64 = 1_000;
const TTL_DS: u64 = 3;
const TTL_KEY: u64 = 2;
const TTL_DATA: u64 = 5;
const TTL_NS: u64 = 4;
const LAG: u64 = 1;

/// Providers A and B, and the keys of all stories: KSK `K`, ZSK `Z`, CSK `C`; `2` the next ones, `e` of Ed25519.
struct Zone {
    timeline: Timeline,
    a: ProviderId,
    b: ProviderId,
    labels: Vec<&'static str>,
}

pub(super) const LABELS: [&str; 16] = [
    "KA", "ZA", "KB", "ZB", "KA2", "ZA2", "KB2", "ZB2", "CA", "CA2", "KAe", "ZAe", "KBe", "ZBe", "KB8", "ZB8",
];

/// A timeline with all those keys, and with A and B.
pub(super) fn keyring() -> Timeline {
    let mut timeline = Timeline::new(UnixTime(START));
    for label in LABELS {
        let algorithm = match label.as_bytes()[2..] {
            [b'e'] => Algorithm::ED25519,
            [b'8'] => Algorithm::RSASHA256,
            _ => Algorithm::ECDSAP256SHA256,
        };
        timeline.add_key(label, algorithm, KeyUse::ZoneKey).unwrap();
    }
    for label in ["A", "B"] {
        timeline.add_provider(label).unwrap();
    }
    timeline
}

impl Zone {
    fn empty() -> Self {
        Self {
            timeline: keyring(),
            a: ProviderId(0),
            b: ProviderId(1),
            labels: LABELS.to_vec(),
        }
    }

    /// Two signers in steady state.
    fn two() -> Self {
        let mut zone = Self::empty();
        let values = [
            zone.ds("KA KB"),
            zone.keys("A", "KA ZA ZB", "KA"),
            zone.keys("B", "KB ZA ZB", "KB"),
            zone.data("A", "ZA"),
            zone.data("B", "ZB"),
            zone.parent_ns("A B"),
            zone.child_ns("A", "A B"),
            zone.child_ns("B", "A B"),
        ];
        zone.timeline.initial.extend(values);
        zone
    }

    /// A alone; B serves the zone, and nobody asks it.
    fn one() -> Self {
        let mut zone = Self::two();
        let values = [
            zone.ds("KA"),
            zone.keys("A", "KA ZA", "KA"),
            zone.keys("B", "KB ZB", "KB"),
            zone.parent_ns("A"),
            zone.child_ns("A", "A"),
        ];
        zone.timeline.initial.extend(values);
        zone
    }

    /// Two signers, of which A has a CSK.
    fn with_csk() -> Self {
        let mut zone = Self::two();
        let values = [
            zone.ds("CA KB"),
            zone.keys("A", "CA ZB", "CA"),
            zone.keys("B", "KB CA ZB", "KB"),
            zone.data("A", "CA"),
        ];
        zone.timeline.initial.extend(values);
        zone
    }

    fn key(&self, label: &str) -> KeyId {
        let place = self.labels.iter().position(|known| *known == label);
        KeyId(place.unwrap_or_else(|| panic!("no key {label}")) as u8)
    }

    fn set(&self, labels: &str) -> KeySet {
        labels.split_whitespace().map(|label| self.key(label)).collect()
    }

    fn provider(&self, label: &str) -> ProviderId {
        if label == "A" { self.a } else { self.b }
    }

    fn ds(&self, labels: &str) -> Value {
        let records = self
            .set(labels)
            .iter()
            .map(|key| DsRecord { key, digest_type: 2 });
        Value::Ds(DsSet {
            records: records.collect(),
            ttl: TTL_DS,
            from_cds: false,
        })
    }

    fn keys(&self, provider: &str, keys: &str, signers: &str) -> Value {
        let rrset = KeyRrset {
            keys: self.set(keys),
            signers: self.set(signers),
            ttl: TTL_KEY,
        };
        Value::Keys(self.provider(provider), rrset)
    }

    fn data(&self, provider: &str, signers: &str) -> Value {
        let data = SignedData {
            signers: self.set(signers),
            ttl: TTL_DATA,
            content: Content::Version(1),
        };
        Value::Data(self.provider(provider), Class::Positive, data)
    }

    fn ns(&self, members: &str) -> NsSet {
        NsSet {
            members: members
                .split_whitespace()
                .map(|label| self.provider(label))
                .collect(),
            ttl: TTL_NS,
            from_csync: false,
        }
    }

    fn parent_ns(&self, members: &str) -> Value {
        Value::ParentNs(self.ns(members))
    }

    fn child_ns(&self, provider: &str, members: &str) -> Value {
        Value::ChildNs(self.provider(provider), self.ns(members))
    }

    /// All NS RRsets name these.
    fn ns_everywhere(&self, members: &str) -> Vec<Value> {
        vec![
            self.parent_ns(members),
            self.child_ns("A", members),
            self.child_ns("B", members),
        ]
    }

    /// A step this long after the start; each of its changes takes the lag.
    fn step(&mut self, at: u64, what: &str, values: Vec<Value>) {
        let changes = values
            .into_iter()
            .map(|value| Change { value, lag: LAG })
            .collect();
        self.timeline.add_step(UnixTime(START + at), what, changes);
    }

    /// A provider stops at once.
    fn stop(&mut self, at: u64, provider: &str) {
        let value = Value::Serving(self.provider(provider), false);
        let what = format!("{provider} stops");
        self.timeline
            .add_step(UnixTime(START + at), &what, vec![Change { value, lag: 0 }]);
    }
}

/// The same course with these TTLs of DS, DNSKEY and data.
fn with_ttls(mut zone: Zone, [ds_ttl, key_ttl, data_ttl]: [u64; 3]) -> Zone {
    let steps = zone.timeline.steps.iter_mut().flat_map(|step| &mut step.changes);
    let values = steps.map(|change| &mut change.value);
    for value in zone.timeline.initial.iter_mut().chain(values) {
        match value {
            Value::Ds(ds) => ds.ttl = ds_ttl,
            Value::Keys(_, keys) => keys.ttl = key_ttl,
            Value::Data(_, _, data) => data.ttl = data_ttl,
            _ => {}
        }
    }
    zone
}

fn terms(modes: &[Mode], invariants: &[Invariant]) -> Terms {
    Terms {
        margin: 0,
        validators: modes
            .iter()
            .map(|mode| Validator::new(*mode, DigestRule::Any))
            .collect(),
        invariants: invariants.iter().copied().collect(),
    }
}

/// What holds for a chain, for every kind of validator.
fn chains() -> Terms {
    Terms {
        invariants: BTreeSet::from([Invariant::Secure, Invariant::Resolver, Invariant::Caches]),
        ..Terms::all(0)
    }
}

fn with_margin(margin: u64) -> Terms {
    Terms { margin, ..chains() }
}

fn counterexample(zone: &Zone, terms: &Terms) -> Counterexample {
    match check(&zone.timeline, terms) {
        Verdict::Safe => panic!("this is unsafe, and is said to be safe"),
        Verdict::Unsafe(found) => *found,
    }
}

#[track_caller]
fn assert_safe(zone: &Zone, terms: &Terms) {
    if let Verdict::Unsafe(found) = check(&zone.timeline, terms) {
        panic!("this is safe, and is said not to be:\n{found}");
    }
}

fn holds(zone: &Zone, invariant: Invariant) -> bool {
    check(&zone.timeline, &terms(&[Mode::Lenient], &[invariant])) == Verdict::Safe
}

/// The least wait with which the course is safe. All longer ones are; with all shorter ones the story names it.
#[track_caller]
fn least(course: impl Fn(u64) -> Zone, terms: &Terms) -> u64 {
    const LONGEST: u64 = 40;
    let verdicts: Vec<Verdict> = (0..LONGEST)
        .map(|wait| check(&course(wait).timeline, terms))
        .collect();
    let least = verdicts
        .iter()
        .position(|verdict| *verdict == Verdict::Safe)
        .unwrap_or_else(|| panic!("no wait is enough: {:?}", verdicts.last()));
    for (wait, verdict) in verdicts.iter().enumerate() {
        match verdict {
            Verdict::Safe => assert!(wait >= least),
            Verdict::Unsafe(found) => {
                assert!(wait < least, "unsafe again with {wait}:\n{found}");
                let short = found.wait.as_ref().expect("a step came too early");
                assert_eq!(
                    (short.waited, short.enough),
                    (wait as u64, Some(least as u64)),
                    "{found}"
                );
            }
        }
    }
    least as u64
}
