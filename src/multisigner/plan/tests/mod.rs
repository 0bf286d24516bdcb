//! Plans with small numbers, as the checker's own tests: TTLs 3 (DS), 2 (DNSKEY), 5 (data) and 4 (NS), a lag of 1 for
//! every change, the margin at 0.

mod cds;
mod csync;
mod mutations;
mod own_ns;
mod raised;
mod random;
mod report;
mod retreat;
mod unplannable;
mod unseen;
mod waits;

use std::collections::BTreeSet;

use super::{
    super::safety::{
        Class, Content, DsRecord, DsSet, KeyId, KeyRrset, KeySet, NsSet, ProviderId, Seconds, SignedData,
        Slot, Value,
    },
    *,
};
use crate::dnssec::{algorithm::Algorithm, key::Dnskey, keyfile::timing::Claim, keyset::Role};

const START: u64 = 1_000;

/// The times of a story.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    pub ds: Seconds,
    pub keys: Seconds,
    pub data: Seconds,
    pub ns: Seconds,
    pub lag: Seconds,
    pub margin: Seconds,
}

/// Those of the facts.
pub(super) const SMALL: Numbers = Numbers {
    ds: 3,
    keys: 2,
    data: 5,
    ns: 4,
    lag: 1,
    margin: 0,
};

/// Every key of the stories: `K` KSK, `Z` ZSK, `C` CSK; of A, B or C; `2` the next ones; `e` of Ed25519.
const LABELS: [&str; 20] = [
    "KA", "ZA", "KB", "ZB", "KC", "ZC", "KA2", "ZA2", "KB2", "ZB2", "CA", "CA2", "KAe", "ZAe", "KBe", "ZBe",
    "KCe", "ZCe", "CB", "CB2",
];

/// A zone in the making: what a plan starts from.
#[derive(Clone)]
pub(super) struct Zone {
    pub situation: Situation,
    pub numbers: Numbers,
}

impl Zone {
    /// These providers, this server first, without anything served.
    pub fn empty(members: &[(&str, Hand)], numbers: Numbers) -> Self {
        let keys = LABELS.iter().enumerate().map(|(place, label)| {
            let (role, flags) = match label.as_bytes()[0] {
                b'K' => (Role::Ksk, 257),
                b'C' => (Role::Csk, 257),
                _ => (Role::Zsk, 256),
            };
            let (algorithm, size) = match label.as_bytes().get(2) {
                Some(b'e') => (Algorithm::ED25519, 32),
                _ => (Algorithm::ECDSAP256SHA256, 64),
            };
            let owner = usize::from(label.as_bytes()[1] - b'A');
            PlanKey {
                dnskey: Some(Dnskey::new(flags, algorithm, &vec![place as u8 + 1; size])),
                algorithm,
                role,
                owner: ProviderId::at(owner).ok(),
            }
        });
        let member = |(name, hand): &(&str, Hand)| Member::new(name, *hand, numbers.lag);
        Self {
            situation: Situation {
                zone: "example.com.".parse().unwrap(),
                at: UnixTime(START),
                keys: keys.collect(),
                members: members.iter().map(member).collect(),
                parent: Parent {
                    hand: ParentHand::Person,
                    reads_csync: false,
                    propagation: numbers.lag,
                },
                serves: Vec::new(),
                past: Vec::new(),
                first_seen: Vec::new(),
                margin: numbers.margin,
            },
            numbers,
        }
    }

    /// A, which is this server, and B, whose API takes keys: two signers in steady state.
    pub fn two() -> Self {
        Self::two_with(SMALL)
    }

    pub fn two_with(numbers: Numbers) -> Self {
        let mut zone = Self::empty(&[("A", Hand::Ours), ("B", Hand::Api)], numbers);
        zone.set(&[
            zone.ds("KA KB"),
            zone.keys("A", "KA KB ZA ZB", "KA"),
            zone.keys("B", "KA KB ZA ZB", "KB"),
            zone.data("A", "ZA"),
            zone.data("B", "ZB"),
            zone.parent_ns("A B"),
            zone.child_ns("A", "A B"),
            zone.child_ns("B", "A B"),
        ]);
        zone
    }

    /// A alone; B serves the zone, and nobody asks it.
    pub fn one() -> Self {
        Self::one_with(SMALL)
    }

    pub fn one_with(numbers: Numbers) -> Self {
        let mut zone = Self::two_with(numbers);
        zone.set(&[
            zone.ds("KA"),
            zone.keys("A", "KA ZA", "KA"),
            zone.keys("B", "KB ZB", "KB"),
            zone.parent_ns("A"),
            zone.child_ns("A", "A"),
            zone.child_ns("B", "B"),
        ]);
        zone
    }

    /// Two signers, of which A has a CSK.
    pub fn with_csk() -> Self {
        let mut zone = Self::two();
        zone.set(&[
            zone.ds("CA KB"),
            zone.keys("A", "CA KB ZB", "CA"),
            zone.keys("B", "KB CA ZB", "KB"),
            zone.data("A", "CA"),
        ]);
        zone
    }

    /// These values are served instead of those in their slots.
    pub fn set(&mut self, values: &[Value]) {
        for value in values {
            self.situation.serves.retain(|known| known.slot() != value.slot());
            self.situation.serves.push(value.clone());
        }
    }

    pub fn ds(&self, labels: &str) -> Value {
        let records = keys(labels).iter().map(|key| DsRecord { key, digest_type: 2 });
        Value::Ds(DsSet {
            records: records.collect(),
            ttl: self.numbers.ds,
            from_cds: false,
        })
    }

    pub fn keys(&self, at: &str, in_it: &str, signers: &str) -> Value {
        let rrset = KeyRrset {
            keys: keys(in_it),
            signers: keys(signers),
            ttl: self.numbers.keys,
        };
        Value::Keys(provider(at), rrset)
    }

    pub fn data(&self, at: &str, signers: &str) -> Value {
        let data = SignedData {
            signers: keys(signers),
            ttl: self.numbers.data,
            content: Content::Version(1),
        };
        Value::Data(provider(at), Class::Positive, data)
    }

    pub fn ns(&self, members: &str) -> NsSet {
        NsSet {
            members: members.split_whitespace().map(provider).collect::<BTreeSet<_>>(),
            ttl: self.numbers.ns,
            from_csync: false,
        }
    }

    pub fn parent_ns(&self, members: &str) -> Value {
        Value::ParentNs(self.ns(members))
    }

    pub fn child_ns(&self, at: &str, members: &str) -> Value {
        Value::ChildNs(provider(at), self.ns(members))
    }

    pub fn plan(&self, kind: &Kind) -> Plan {
        build(kind, &self.situation).unwrap_or_else(|error| panic!("{kind:?}: {error}"))
    }
}

pub(super) fn key(label: &str) -> KeyId {
    let place = LABELS.iter().position(|known| *known == label);
    KeyId::at(place.unwrap_or_else(|| panic!("no key {label}"))).unwrap()
}

pub(super) fn keys(labels: &str) -> KeySet {
    labels.split_whitespace().map(key).collect()
}

pub(super) fn provider(label: &str) -> ProviderId {
    ProviderId::at(usize::from(label.as_bytes()[0] - b'A')).unwrap()
}

/// A roll of A's key.
pub(super) fn roll(kind: &str) -> Kind {
    match kind {
        "zsk" => Kind::RollZsk {
            old: key("ZA"),
            new: key("ZA2"),
        },
        "ksk" => Kind::RollKsk {
            old: key("KA"),
            new: key("KA2"),
        },
        _ => Kind::RollCsk {
            old: key("CA"),
            new: key("CA2"),
        },
    }
}

/// Everything goes over to Ed25519.
pub(super) fn algorithm() -> Kind {
    let list = |labels: &str| keys(labels).iter().collect();
    Kind::Algorithm {
        old: list("KA ZA KB ZB"),
        new: list("KAe ZAe KBe ZBe"),
    }
}

/// What a plan serves in the end.
pub(super) fn end(plan: &Plan) -> Vec<Value> {
    let mut serves = plan.situation.serves.clone();
    for value in plan.steps.iter().flat_map(|step| &step.changes) {
        serves.retain(|known| known.slot() != value.slot());
        serves.push(value.clone());
    }
    serves
}

#[track_caller]
pub(super) fn assert_unharmed(plan: &Plan) {
    for judgement in plan.judge().unwrap() {
        if !judgement.starts_safe {
            panic!("{:?}", judgement.verdict);
        }
    }
    if let Some(harm) = plan.harm().unwrap() {
        panic!("{harm}\n{:#?}", plan.steps);
    }
}
