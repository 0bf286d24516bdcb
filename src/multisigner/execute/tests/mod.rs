//! The executor against a small world of values: two providers with two servers each, and a parent, in simulated time.
//! TTLs 30 (DS), 20 (DNSKEY) and 50 (data), propagation 3, margin 5.

mod back;
mod clock;
mod csync;
mod early;
mod ends;
mod harm;
mod in_step;
mod raised;
mod rules;
mod surprises;

use std::collections::BTreeMap;

use super::*;
use crate::{
    clock::UnixTime,
    dnssec::{
        algorithm::{Algorithm, SigningAlgorithm},
        key::{Dnskey, SEP, SigningKey, ZONE},
        keyfile::timing::Claim,
        keyset::Role,
    },
    multisigner::{
        plan::{
            Action, Actor, Hand, Kind, Lag, Member, Parent, ParentHand, Plan, PlanKey, Since, Situation,
            Step, Wait,
        },
        safety::{
            Cds, Class, Content, DsRecord, DsSet, KeyId, KeyRrset, KeySet, NsSet, ProviderId, SignedData,
            Slot, Value,
        },
    },
};

pub(crate) const START: u64 = 1_000;
const TTL_DS: u64 = 30;
const TTL_KEYS: u64 = 20;
const TTL_DATA: u64 = 50;
const LAG: u64 = 3;
const MARGIN: u64 = 5;
/// How long after a DNSKEY RRset was seen everywhere no cache holds the one before.
const FORGET_KEYS: u64 = LAG + TTL_KEYS + MARGIN;
/// The same for data.
const FORGET_DATA: u64 = LAG + TTL_DATA + MARGIN;

const KSK: usize = 0;
const OLD: usize = 1;
const NEW: usize = 2;
const THEIR_KSK: usize = 3;
const THEIR_ZSK: usize = 4;

fn key(place: usize) -> KeyId {
    KeyId::at(place).unwrap()
}

fn provider(place: usize) -> ProviderId {
    ProviderId::at(place).unwrap()
}

fn set(places: &[usize]) -> KeySet {
    places.iter().map(|place| key(*place)).collect()
}

fn keys(at: usize, published: &[usize]) -> Value {
    let rrset = KeyRrset {
        keys: set(published),
        signers: set(&[[KSK, THEIR_KSK][at]]),
        ttl: TTL_KEYS,
    };
    Value::Keys(provider(at), rrset)
}

fn data(at: usize, signer: usize) -> Value {
    let data = SignedData {
        signers: set(&[signer]),
        ttl: TTL_DATA,
        content: Content::Version(1),
    };
    Value::Data(provider(at), Class::Positive, data)
}

fn dnskey(flags: u16) -> Dnskey {
    let made = SigningKey::generate(SigningAlgorithm::Ed25519, flags).unwrap();
    made.dnskey().clone()
}

fn plan_key(flags: u16, owner: usize) -> PlanKey {
    PlanKey {
        dnskey: Some(dnskey(flags)),
        algorithm: Algorithm::ED25519,
        role: if flags & SEP == 0 { Role::Zsk } else { Role::Ksk },
        owner: Some(provider(owner)),
    }
}

fn situation() -> Situation {
    let ds = DsSet {
        records: [KSK, THEIR_KSK]
            .map(|place| DsRecord {
                key: key(place),
                digest_type: 2,
            })
            .into(),
        ttl: TTL_DS,
        from_cds: false,
    };
    let both = NsSet {
        members: [provider(0), provider(1)].into(),
        ttl: 40,
        from_csync: false,
    };
    let new = PlanKey {
        dnskey: None,
        ..plan_key(ZONE, 0)
    };
    Situation {
        zone: "example.".parse().unwrap(),
        at: UnixTime(START),
        keys: vec![
            plan_key(ZONE | SEP, 0),
            plan_key(ZONE, 0),
            new,
            plan_key(ZONE | SEP, 1),
            plan_key(ZONE, 1),
        ],
        members: vec![
            Member::new("us", Hand::Ours, LAG),
            Member::new("them", Hand::Api, LAG),
        ],
        parent: Parent {
            hand: ParentHand::Person,
            reads_csync: false,
            propagation: LAG,
        },
        serves: vec![
            Value::Ds(ds),
            Value::ParentNs(both.clone()),
            Value::ChildNs(provider(0), both.clone()),
            Value::ChildNs(provider(1), both),
            keys(0, &[KSK, OLD, THEIR_KSK, THEIR_ZSK]),
            keys(1, &[KSK, OLD, THEIR_KSK, THEIR_ZSK]),
            data(0, OLD),
            data(1, THEIR_ZSK),
        ],
        past: Vec::new(),
        first_seen: Vec::new(),
        margin: MARGIN,
    }
}

fn step(what: &str, action: Action, changes: Vec<Value>) -> Step {
    Step {
        what: what.to_owned(),
        action,
        by: Actor::We,
        changes,
        waits: Vec::new(),
        withdraws: false,
        back: String::new(),
    }
}

fn turn(changes: &[(usize, Claim)]) -> Action {
    Action::Turn {
        keys: changes
            .iter()
            .map(|(place, claim)| (key(*place), *claim))
            .collect(),
    }
}

fn after(since: usize, seconds: u64, lags: &[Lag], mut step: Step) -> Step {
    step.waits.push(Wait {
        since: Since::Step(since),
        seconds,
        why: "caches".to_owned(),
        lags: Some(lags.to_vec()),
    });
    step.withdraws = true;
    step
}

const ALL: [usize; 5] = [KSK, OLD, NEW, THEIR_KSK, THEIR_ZSK];
const AFTER: [usize; 4] = [KSK, NEW, THEIR_KSK, THEIR_ZSK];

/// A pre-publish ZSK roll (RFC 6781 §4.1.1.1) with two providers.
pub(crate) fn roll() -> Plan {
    let give = |published: &[usize]| {
        let provider = provider(1);
        let mut given = step(
            "they have our keys",
            Action::Give { provider },
            vec![keys(1, published)],
        );
        given.by = Actor::Api { provider };
        given
    };
    let steps = vec![
        step(
            "the new ZSK is made",
            Action::Make { keys: vec![key(NEW)] },
            Vec::new(),
        ),
        step(
            "the new ZSK is published",
            turn(&[(NEW, Claim::Published)]),
            vec![keys(0, &ALL)],
        ),
        give(&ALL),
        after(
            2,
            FORGET_KEYS,
            &[Lag::Provider(provider(1)), Lag::Margin],
            step(
                "the new ZSK signs",
                turn(&[(NEW, Claim::Active), (OLD, Claim::Retired)]),
                vec![data(0, NEW)],
            ),
        ),
        after(
            3,
            FORGET_DATA,
            &[Lag::Provider(provider(0)), Lag::Margin],
            step(
                "the old ZSK goes",
                turn(&[(OLD, Claim::Gone)]),
                vec![keys(0, &AFTER)],
            ),
        ),
        after(4, 0, &[], give(&AFTER)),
    ];
    Plan {
        kind: Kind::RollZsk {
            old: key(OLD),
            new: key(NEW),
        },
        situation: situation(),
        steps,
    }
}

/// The world: what is served, by each of two servers a slot.
struct World {
    run: Run,
    entries: Vec<Entry>,
    now: u64,
    sane: bool,
    served: BTreeMap<Slot, [Shown; 2]>,
    strangers: Vec<(KeyId, PlanKey)>,
    /// What was done when.
    story: Vec<(u64, usize)>,
    /// Whether what a step changes is served at once.
    obedient: bool,
    /// Whether the parent does that too.
    parent_follows: bool,
}

impl World {
    fn of(plan: Plan) -> Self {
        Self::forced(plan, None)
    }

    fn forced(plan: Plan, force: Option<&str>) -> Self {
        let served = plan.situation.serves.iter();
        let served = served.map(|value| {
            let shown = Shown::Value(value.clone());
            (value.slot(), [shown.clone(), shown])
        });
        let served = served.collect();
        let event = Event::Adopted {
            plan: Box::new(plan),
            force: force.map(str::to_owned),
        };
        let at = UnixTime(START);
        let entries = vec![Entry { at, event }];
        Self {
            run: Run::read(&entries).unwrap().unwrap(),
            entries,
            now: START,
            sane: true,
            served,
            strangers: Vec::new(),
            story: Vec::new(),
            obedient: true,
            parent_follows: true,
        }
    }

    fn view(&self) -> View {
        let sight = |(number, shown): (usize, &Shown)| Sight {
            server: format!("server {number}"),
            at: UnixTime(self.now),
            shown: shown.clone(),
        };
        let sights = |shown: &[Shown; 2]| shown.iter().enumerate().map(sight).collect();
        let slots = self
            .served
            .iter()
            .map(|(slot, shown)| (slot.clone(), sights(shown)));
        View {
            slots: slots.collect(),
            strangers: self.strangers.clone(),
        }
    }

    fn show(&mut self, value: &Value) {
        let shown = Shown::Value(value.clone());
        self.served.insert(value.slot(), [shown.clone(), shown]);
    }

    fn show_at(&mut self, server: usize, value: &Value) {
        self.served.get_mut(&value.slot()).unwrap()[server] = Shown::Value(value.clone());
    }

    fn journal(&mut self, event: Event) {
        let at = UnixTime(self.now);
        let entry = Entry { at, event };
        self.run.apply(&entry).unwrap();
        // What is written is what is read.
        let text = serde_json::to_vec(&entry).unwrap();
        self.entries.push(serde_json::from_slice(&text).unwrap());
    }

    fn next(&self) -> Next {
        self.run.next(&self.view(), UnixTime(self.now), self.sane)
    }

    /// Does what is to be done now, until there is nothing.
    fn settle(&mut self) -> Next {
        for _ in 0..100 {
            match self.next() {
                Next::Journal(event) => self.journal(event),
                Next::Act { step } => self.act(step),
                other => {
                    let view = self.view();
                    self.run.looked(&view);
                    return other;
                }
            }
        }
        panic!("it does not come to rest: {:?}", self.next());
    }

    fn act(&mut self, step: usize) {
        self.story.push((self.now, step));
        let step = self.run.plan.steps[step].clone();
        if let Action::Make { keys } = &step.action {
            for key in keys {
                if self.run.plan.situation.keys[key.place()].dnskey.is_none() {
                    let (key, dnskey) = (*key, dnskey(ZONE));
                    self.journal(Event::Made { key, dnskey });
                }
            }
        }
        if self.obedient {
            let of_parent = |value: &Value| matches!(value.slot(), Slot::Ds | Slot::ParentNs);
            let is_done = |value: &&Value| self.parent_follows || !of_parent(value);
            for value in step.changes.iter().filter(is_done).cloned().collect::<Vec<_>>() {
                self.show(&value);
            }
        }
        self.run.acted();
    }

    /// A restart: only the journal is left.
    fn restart(&mut self) {
        self.run = Run::read(&self.entries).unwrap().unwrap();
    }

    /// Goes on until the next step is one that this holds for.
    fn go_on_until(&mut self, holds: impl Fn(&Step) -> bool) {
        for _ in 0..1_000 {
            if holds(&self.run.plan.steps[self.run.done.len()]) && self.run.begun.is_none() {
                return;
            }
            match self.next() {
                Next::Journal(event) => self.journal(event),
                Next::Act { step } => self.act(step),
                _ => self.now += 1,
            }
        }
        panic!("{:?}", self.next());
    }

    fn gives_up(&mut self) {
        let back = self.run.way_back(Some(&self.view()), UnixTime(self.now)).unwrap();
        self.journal(Event::Aborted {
            why: "a test".to_owned(),
            as_it_is: false,
        });
        self.journal(Event::Adopted {
            plan: Box::new(back),
            force: None,
        });
    }

    /// Goes on until the next step is begun, and not acted upon.
    fn begin_next(&mut self) {
        while self.run.begun.is_none() {
            match self.next() {
                Next::Journal(event) => self.journal(event),
                _ => self.now += 1,
            }
        }
    }

    /// Second by second until it rests otherwise than by waiting.
    fn run_until(&mut self, end: u64) -> Next {
        loop {
            let rest = self.settle();
            let goes_on = matches!(rest, Next::Wait { .. } | Next::Watch { .. });
            if self.now >= end || !goes_on {
                return rest;
            }
            self.now += 1;
        }
    }
}
