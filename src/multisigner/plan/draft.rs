//! A plan in the making: what each slot holds so far, so that a step states only what it changes.

use std::collections::BTreeSet;

use super::{
    super::safety::{
        Cds, Class, Content, DsRecord, DsSet, KeyId, KeyRrset, KeySet, NsSet, ProviderId, SignedData, Slot,
        Value,
    },
    Action, Actor, Hand, Kind, ParentHand, Plan, Since, Situation, Step, Unplannable, Wait,
    gate::{self, Link, points_to, starts_strict},
    history::History,
    paste,
};

/// This server.
pub(super) const US: ProviderId = ProviderId::FIRST;

/// A plan in the making.
pub(super) struct Draft<'a> {
    pub situation: &'a Situation,
    history: History,
    link: Link,
    steps: Vec<Step>,
    /// Whether steps wait for caches.
    waits: bool,
}

/// A step, but for what follows from it.
pub(super) struct Move {
    pub what: String,
    pub action: Action,
    pub by: Actor,
    pub changes: Vec<Value>,
    pub back: String,
}

impl<'a> Draft<'a> {
    pub fn new(situation: &'a Situation) -> Self {
        let history = History::new(situation);
        let link = starts_strict(situation, &history);
        Self {
            situation,
            link,
            history,
            steps: Vec::new(),
            waits: true,
        }
    }

    /// From here on nothing waits for caches.
    pub fn at_once(&mut self) {
        self.waits = false;
    }

    /// How many steps there are.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// Everything that is served.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.history.all_now()
    }

    /// What is served in a slot.
    pub fn value(&self, slot: &Slot) -> Option<&Value> {
        self.history.now(slot)
    }

    /// Adds a step, unless everything is as it would make it.
    pub fn step(&mut self, step: Move) {
        self.step_after(step, Vec::new());
    }

    /// Adds a step with waits beside those that follow from the values.
    pub fn step_after(&mut self, step: Move, more: Vec<Wait>) {
        let idle = |value: &Value| self.history.now(&value.slot()) == Some(value);
        if !step.changes.is_empty() && step.changes.iter().all(idle) {
            return;
        }
        let mut waits = more;
        if self.waits {
            waits.extend(gate::waits(
                self.situation,
                &self.history,
                self.link,
                &step.changes,
            ));
        }
        let waits = gate::binding(waits);
        let withdraws = !waits.is_empty() || step.changes.iter().any(|value| self.takes_away(value));
        self.history.step(self.steps.len(), &step.changes);
        self.steps.push(Step {
            what: step.what,
            action: step.action,
            by: step.by,
            changes: step.changes,
            waits,
            withdraws,
            back: step.back,
        });
    }

    /// Adds a step that only waits for what would have to pass before `changes`.
    pub fn await_what_is_needed_for(&mut self, what: String, changes: &[Value], back: String) {
        let waits = gate::waits(self.situation, &self.history, self.link, changes);
        self.history.step(self.steps.len(), &[]);
        self.steps.push(Step {
            what,
            action: Action::Await,
            by: Actor::We,
            changes: Vec::new(),
            waits,
            withdraws: false,
            back,
        });
    }

    /// Whether something of the slot's value now is missing in `value`, or somebody more is asked.
    fn takes_away(&self, value: &Value) -> bool {
        let Some(now) = self.history.now(&value.slot()) else {
            return false;
        };
        match (now, value) {
            (Value::Keys(_, now), Value::Keys(_, then)) => {
                !now.keys.without(then.keys).is_empty() || !now.signers.without(then.signers).is_empty()
            }
            (Value::Data(_, _, now), Value::Data(_, _, then)) => {
                !now.signers.without(then.signers).is_empty()
            }
            (Value::Ds(now), Value::Ds(then)) => !now.records.is_subset(&then.records),
            (Value::ParentNs(now), Value::ParentNs(then))
            | (Value::ChildNs(_, now), Value::ChildNs(_, then)) => now.members != then.members,
            (Value::Serving(_, now), Value::Serving(_, then)) => *now && !*then,
            (Value::Cds(_, now), Value::Cds(_, then)) => now.is_some() && then.is_none(),
            _ => false,
        }
    }

    /// The plan.
    pub fn finish(self, kind: Kind) -> Result<Plan, Unplannable> {
        if self.steps.is_empty() {
            return Err(Unplannable::NothingToDo);
        }
        Ok(Plan {
            kind,
            situation: self.situation.clone(),
            steps: self.steps,
        })
    }

    // What is served so far.

    /// The providers that are asked, others than this server.
    pub fn others(&self) -> Vec<ProviderId> {
        let asked = self.history.asked_now();
        asked.into_iter().filter(|provider| *provider != US).collect()
    }

    /// The providers that are asked.
    pub fn asked(&self) -> BTreeSet<ProviderId> {
        self.history.asked_now()
    }

    /// A provider's DNSKEY RRset.
    pub fn keys(&self, provider: ProviderId) -> Result<KeyRrset, Unplannable> {
        match self.history.now(&Slot::Keys(provider)) {
            Some(Value::Keys(_, keys)) => Ok(*keys),
            _ => Err(self.not_observed(&format!("the DNSKEY RRset of {}", self.situation.name(provider)))),
        }
    }

    /// A provider's signed data, by class.
    pub fn data(&self, provider: ProviderId) -> Result<Vec<(Class, SignedData)>, Unplannable> {
        let found: Vec<(Class, SignedData)> = self
            .history
            .all_now()
            .filter_map(|value| match value {
                Value::Data(of, class, data) if *of == provider => Some((class.clone(), *data)),
                _ => None,
            })
            .collect();
        if found.is_empty() {
            return Err(self.not_observed(&format!("signed data of {}", self.situation.name(provider))));
        }
        Ok(found)
    }

    /// The DS RRset.
    pub fn ds(&self) -> Result<DsSet, Unplannable> {
        match self.history.now(&Slot::Ds) {
            Some(Value::Ds(ds)) => Ok(ds.clone()),
            _ => Err(self.not_observed("the DS RRset at the parent")),
        }
    }

    /// The keys that the DS RRset points to.
    pub fn anchors(&self) -> Result<KeySet, Unplannable> {
        Ok(points_to(&self.ds()?))
    }

    /// The parent's NS RRset.
    pub fn parent_ns(&self) -> Result<NsSet, Unplannable> {
        match self.history.now(&Slot::ParentNs) {
            Some(Value::ParentNs(ns)) => Ok(ns.clone()),
            _ => Err(self.not_observed("the NS RRset at the parent")),
        }
    }

    /// A provider's own NS RRset.
    pub fn child_ns(&self, provider: ProviderId) -> Result<NsSet, Unplannable> {
        match self.history.now(&Slot::ChildNs(provider)) {
            Some(Value::ChildNs(_, ns)) => Ok(ns.clone()),
            _ => Err(self.not_observed(&format!("the NS RRset of {}", self.situation.name(provider)))),
        }
    }

    fn not_observed(&self, what: &str) -> Unplannable {
        Unplannable::NotObserved {
            what: what.to_owned(),
        }
    }

    /// The keys of a provider among `keys`.
    pub fn owned_by(&self, provider: ProviderId, keys: KeySet) -> KeySet {
        let owned = |key: &KeyId| {
            let key = self.situation.key(*key);
            key.is_some_and(|key| key.owner == Some(provider))
        };
        keys.iter().filter(owned).collect()
    }

    // Steps that several plans have.

    /// A provider is given exactly these keys of ours.
    pub fn give(
        &mut self,
        provider: ProviderId,
        ours: KeySet,
        what: &str,
        back: &str,
    ) -> Result<(), Unplannable> {
        let now = self.keys(provider)?;
        let keys = now.keys.without(self.owned_by(US, now.keys)).union(ours);
        let by = match self.situation.hand(provider)? {
            Hand::Ours => Actor::We,
            Hand::Api => Actor::Api { provider },
            Hand::Person => Actor::Person {
                place: format!("at {}", self.situation.name(provider)),
                paste: paste::dnskeys(self.situation, ours, now.ttl),
            },
        };
        self.step(Move {
            what: what.to_owned(),
            action: Action::Give { provider },
            by,
            changes: vec![Value::Keys(provider, KeyRrset { keys, ..now })],
            back: back.to_owned(),
        });
        Ok(())
    }

    /// The DS RRset points to exactly these keys: by CDS where that can work, by a person otherwise.
    pub fn point_ds_to(&mut self, wanted: KeySet, what: &str, back: &str) -> Result<(), Unplannable> {
        let now = self.ds()?;
        if points_to(&now) == wanted {
            return Ok(());
        }
        let from_cds = self.can_use_cds(&now)?;
        let digests = digest_types(&now);
        let records = wanted
            .iter()
            .flat_map(|key| digests.iter().map(move |digest_type| (key, *digest_type)));
        let ds = DsSet {
            records: records
                .map(|(key, digest_type)| DsRecord { key, digest_type })
                .collect(),
            ttl: now.ttl,
            from_cds,
        };
        if from_cds {
            self.publish_cds(wanted, &ds, back)?;
        }
        let by = if from_cds {
            Actor::Parent
        } else {
            Actor::Person {
                place: "at the registrar".to_owned(),
                paste: paste::ds(self.situation, &ds),
            }
        };
        self.step(Move {
            what: what.to_owned(),
            action: Action::Ds {
                wanted: wanted.iter().collect(),
            },
            by,
            changes: vec![Value::Ds(ds)],
            back: back.to_owned(),
        });
        Ok(())
    }

    /// A parent that reads CDS takes what every provider of the delegation shows alike, signed by a key that the DS
    /// RRset points to (RFC 7344 §4.1, RFC 9975 §3). Like all data they validate with every provider's DNSKEY RRset.
    fn can_use_cds(&self, ds: &DsSet) -> Result<bool, Unplannable> {
        let asked = self.asked();
        let anchors = points_to(ds);
        if self.situation.parent.hand != ParentHand::Cds || anchors.is_empty() {
            return Ok(false);
        }
        for provider in &asked {
            let shows = self
                .situation
                .member(*provider)
                .is_some_and(|member| member.shows_cds);
            let signers = self.keys(*provider)?.signers;
            let mut everywhere = true;
            for other in &asked {
                everywhere &= signers.without(self.keys(*other)?.keys).is_empty();
            }
            if !shows || signers.intersection(anchors).is_empty() || !everywhere {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A parent may read CDS as soon as it is there: what has to pass before the DS RRset changes has to pass before.
    fn publish_cds(&mut self, wanted: KeySet, ds: &DsSet, back: &str) -> Result<(), Unplannable> {
        let ds = Value::Ds(ds.clone());
        let takes_away = self.takes_away(&ds);
        let mut waits = if self.waits {
            gate::waits(self.situation, &self.history, self.link, &[ds])
        } else {
            Vec::new()
        };
        let read_before = |step: &Step| {
            let by_parent = |value: &Value| matches!(value, Value::Ds(ds) if ds.from_cds);
            step.changes.iter().any(by_parent)
        };
        if let Some(last) = self.steps.iter().rposition(read_before) {
            waits.push(Wait {
                since: Since::Step(last),
                seconds: 0,
                why: "the parent has to have read the CDS of before".to_owned(),
            });
        }
        for provider in self.asked() {
            let keys = self.keys(provider)?;
            let cds = Cds {
                wanted,
                signers: keys.signers,
            };
            let data = SignedData {
                signers: keys.signers,
                ttl: keys.ttl,
                content: Content::Own,
            };
            let changes = vec![
                Value::Cds(provider, Some(cds)),
                Value::Data(provider, Class::Cds, data),
            ];
            let name = self.situation.name(provider);
            let labels = self.situation.labels(wanted);
            let what = format!("CDS and CDNSKEY of {name} ask for {labels}");
            let (action, by) = if provider == US {
                let wanted = wanted.iter().collect();
                (Action::Cds { wanted }, Actor::We)
            } else {
                let by = Actor::Person {
                    place: format!("at {name}"),
                    paste: paste::cds(self.situation, wanted, keys.ttl),
                };
                let what = what.clone();
                (Action::Theirs { provider, what }, by)
            };
            let before = self.steps.len();
            let step = Move {
                what,
                action,
                by,
                changes,
                back: back.to_owned(),
            };
            self.step_after(step, waits.clone());
            for step in self.steps.iter_mut().skip(before) {
                step.withdraws |= takes_away;
            }
        }
        Ok(())
    }

    /// A provider's own NS RRset names exactly these.
    pub fn point_child_ns_to(
        &mut self,
        provider: ProviderId,
        members: &BTreeSet<ProviderId>,
        back: &str,
    ) -> Result<(), Unplannable> {
        let now = self.child_ns(provider)?;
        let name = self.situation.name(provider);
        let by = match self.situation.hand(provider)? {
            Hand::Ours => Actor::We,
            Hand::Api => Actor::Api { provider },
            Hand::Person => Actor::Person {
                place: format!("at {name}"),
                paste: paste::ns(self.situation, members, now.ttl),
            },
        };
        self.step(Move {
            what: format!("the NS RRset of {name} names {}", self.situation.names(members)),
            action: Action::ChildNs {
                provider,
                members: members.iter().copied().collect(),
            },
            by,
            changes: vec![Value::ChildNs(
                provider,
                NsSet {
                    members: members.clone(),
                    ..now
                },
            )],
            back: back.to_owned(),
        });
        Ok(())
    }

    /// The parent's NS RRset names exactly these. A person does it: nothing here publishes CSYNC.
    pub fn point_parent_ns_to(
        &mut self,
        members: &BTreeSet<ProviderId>,
        back: &str,
    ) -> Result<(), Unplannable> {
        let now = self.parent_ns()?;
        self.step(Move {
            what: format!(
                "the NS RRset of the parent names {}",
                self.situation.names(members)
            ),
            action: Action::ParentNs {
                members: members.iter().copied().collect(),
            },
            by: Actor::Person {
                place: "at the registrar".to_owned(),
                paste: paste::ns(self.situation, members, now.ttl),
            },
            changes: vec![Value::ParentNs(NsSet {
                members: members.clone(),
                ..now
            })],
            back: back.to_owned(),
        });
        Ok(())
    }
}

/// The digest types of a new DS RRset: those of the old one, SHA-256 among them and SHA-1 not (RFC 9905). All keys get
/// the same, or a validator that looks only at the highest type would pass some over.
fn digest_types(ds: &DsSet) -> BTreeSet<u8> {
    const SHA256: u8 = 2;
    const SHA384: u8 = 4;
    let known = ds.records.iter().map(|record| record.digest_type);
    known
        .filter(|digest_type| *digest_type == SHA384)
        .chain([SHA256])
        .collect()
}
