//! A plan in the making: what each slot holds so far, so that a step states only what it changes.

use std::collections::BTreeSet;

use super::{
    super::safety::{
        Class, DsRecord, DsSet, KeyId, KeyRrset, KeySet, NsSet, ProviderId, SignedData, Slot, Value,
    },
    Action, Actor, Kind, Plan, Situation, Step, Unplannable, Wait,
    gate::{self, Link, points_to, starts_strict},
    history::History,
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
    /// Whether some step waits already for what nobody saw.
    waits_for_unseen: bool,
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
            waits_for_unseen: false,
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
        self.add(step, more, &[]);
    }

    /// Adds a step after which somebody else may serve `then` at any time: what has to pass before that has to pass
    /// before the step.
    pub fn step_towards(&mut self, step: Move, then: &Value) {
        self.add(step, Vec::new(), std::slice::from_ref(then));
    }

    fn add(&mut self, step: Move, more: Vec<Wait>, then: &[Value]) {
        let idle = |value: &Value| self.history.now(&value.slot()) == Some(value);
        if !step.changes.is_empty() && step.changes.iter().all(idle) {
            return;
        }
        let mut waits = more;
        if self.waits {
            for changes in [&step.changes[..], then] {
                waits.extend(gate::waits(self.situation, &self.history, self.link, changes));
            }
        }
        let mut served = step.changes.iter().chain(then);
        let withdraws = !waits.is_empty() || served.any(|value| self.takes_away(value));
        let mut served = step.changes.iter().chain(then);
        // Those that come after it come later.
        if self.waits && !self.waits_for_unseen && !served.all(|value| self.suits_all(value)) {
            waits.extend(gate::of_unseen(self.situation));
            self.waits_for_unseen = true;
        }
        let waits = gate::binding(waits);
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

    /// Adds a step in which nobody does anything: a parent that had read the CDS of before would have followed it by now, and
    /// has the DS RRset that it had.
    pub fn see_that_ds_stays(&mut self, what: &str, back: &str) -> Result<(), Unplannable> {
        // Whatever CDS says by now, it is not this that it follows.
        let ds = DsSet {
            from_cds: false,
            ..self.ds()?
        };
        let waits = self.until_the_parent_has_followed();
        self.history.step(self.steps.len(), &[]);
        self.steps.push(Step {
            what: what.to_owned(),
            action: Action::Await,
            by: Actor::Parent,
            changes: vec![Value::Ds(ds)],
            waits,
            withdraws: false,
            back: back.to_owned(),
        });
        Ok(())
    }

    /// The waits after which the parent has done what it read in CDS that is past.
    pub fn until_the_parent_has_followed(&self) -> Vec<Wait> {
        gate::until_the_parent_has_followed(self.situation, &self.history)
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
            (Value::Csync(_, now), Value::Csync(_, then)) => now.is_some() && then.is_none(),
            _ => false,
        }
    }

    /// Whether a value fits whatever was served before, wherever the one does that it replaces: a DNSKEY RRset with keys
    /// more, of algorithms that it has, and a DS RRset likewise. What CDS or CSYNC lead to is judged beside them.
    fn suits_all(&self, value: &Value) -> bool {
        let algorithm = |key: KeyId| self.situation.key(key).map(|key| key.algorithm);
        let has_kinds = match (self.history.now(&value.slot()), value) {
            (Some(Value::Keys(_, now)), Value::Keys(_, then)) => {
                let kinds = |set: &KeyRrset| -> BTreeSet<_> { set.keys.iter().map(algorithm).collect() };
                kinds(then).is_subset(&kinds(now))
            }
            (Some(Value::Ds(now)), Value::Ds(then)) => {
                let kind = |record: &DsRecord| (algorithm(record.key), record.digest_type);
                let kinds = |ds: &DsSet| -> BTreeSet<_> { ds.records.iter().map(kind).collect() };
                kinds(then).is_subset(&kinds(now))
            }
            (_, value) => return matches!(value, Value::Cds(..) | Value::Csync(..)),
        };
        has_kinds && !self.takes_away(value)
    }

    /// The plan.
    pub fn finish(mut self, kind: Kind) -> Result<Plan, Unplannable> {
        if self.steps.is_empty() {
            return Err(Unplannable::NothingToDo);
        }
        self.take_back_cds()?;
        self.take_back_csync()?;
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
}
