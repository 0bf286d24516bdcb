//! Resolvers, tick by tick.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use super::super::{DsSet, Invariant, KeyRrset, ProviderId, SignedData, Slot, Timeline, Validator, Value};
use super::validate::{Judge, Opinion};

/// The number of a value among all of the timeline.
type Number = usize;

/// DS and DNSKEY, and data after them.
type Link = (Number, Number, Option<Number>);

/// A value in a cache: which, fetched when, dropped after which tick.
type Entry = (Number, u64, u64);

/// What was seen to go wrong, at its first tick.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::multisigner) struct Seen {
    pub tick: u64,
    pub story: String,
}

/// All resolvers of one run.
pub(super) struct Resolvers<'a> {
    timeline: &'a Timeline,
    validator: &'a Validator,
    margin: u64,
    values: Vec<&'a Value>,
    slots: Vec<Slot>,
    /// The providers that are asked at this tick, and answer.
    asked: BTreeSet<ProviderId>,
    /// What iterating resolvers hold: one NS RRset each.
    delegations: BTreeSet<(Number, u64)>,
    ds: BTreeSet<Entry>,
    keys: BTreeSet<Entry>,
    data: BTreeSet<Entry>,
    /// What the validating cache remembers: DNSKEY, and the DS that it was validated with.
    validated: BTreeSet<(Number, Number, u64, u64)>,
    seen: BTreeMap<Invariant, Seen>,
    /// What was judged before: the same question comes up at every tick.
    opinions: RefCell<BTreeMap<Link, Opinion>>,
}

/// The first tick at which each invariant is seen not to hold, and how.
pub(in crate::multisigner) fn watch(
    timeline: &Timeline,
    validator: &Validator,
    margin: u64,
) -> BTreeMap<Invariant, Seen> {
    let initial = timeline.initial.iter();
    let changed = timeline
        .steps
        .iter()
        .flat_map(|step| step.changes.iter().map(|change| &change.value));
    let values: Vec<&Value> = initial.chain(changed).collect();
    let longest = values.iter().map(|value| ttl(value)).max().unwrap_or(0) + margin;
    let last = timeline.steps.last().map_or(timeline.start, |step| step.at);
    let mut resolvers = Resolvers {
        timeline,
        validator,
        margin,
        slots: values.iter().map(|value| value.slot()).collect(),
        values,
        asked: BTreeSet::new(),
        delegations: BTreeSet::new(),
        ds: BTreeSet::new(),
        keys: BTreeSet::new(),
        data: BTreeSet::new(),
        validated: BTreeSet::new(),
        seen: BTreeMap::new(),
        opinions: RefCell::default(),
    };
    for tick in timeline.start.0 - 2 * longest - 2..=last.0 + 2 * longest + 4 {
        resolvers.live(tick);
    }
    resolvers.seen
}

fn ttl(value: &Value) -> u64 {
    match value {
        Value::Ds(DsSet { ttl, .. })
        | Value::Keys(_, KeyRrset { ttl, .. })
        | Value::Data(_, _, SignedData { ttl, .. }) => *ttl,
        Value::ParentNs(ns) | Value::ChildNs(_, ns) => ns.ttl,
        Value::Serving(..) | Value::Cds(..) | Value::Csync(..) => 0,
    }
}

impl Resolvers<'_> {
    /// The values that some server gives at this tick: the steps are played from the start.
    fn given(&self, tick: u64) -> Vec<Number> {
        let mut on: Vec<(Number, Option<u64>)> = Vec::new();
        let slot = |number: Number| &self.slots[number];
        let mut number = 0;
        for _ in &self.timeline.initial {
            on.retain(|(old, _)| slot(*old) != slot(number));
            on.push((number, None));
            number += 1;
        }
        for step in &self.timeline.steps {
            for change in &step.changes {
                if step.at.0 <= tick {
                    for (old, until) in &mut on {
                        if until.is_none() && slot(*old) == slot(number) {
                            *until = Some(step.at.0 + change.lag);
                        }
                    }
                    on.push((number, None));
                }
                number += 1;
            }
        }
        on.retain(|(_, until)| until.is_none_or(|until| tick <= until));
        on.into_iter().map(|(number, _)| number).collect()
    }

    fn dies(&self, number: Number, tick: u64) -> u64 {
        tick + ttl(self.values[number]) + self.margin
    }

    fn live(&mut self, tick: u64) {
        let given = self.given(tick);
        self.delegations.retain(|(_, dies)| *dies >= tick);
        self.ds.retain(|(_, _, dies)| *dies >= tick);
        self.keys.retain(|(_, _, dies)| *dies >= tick);
        self.data.retain(|(_, _, dies)| *dies >= tick);
        self.validated.retain(|(_, _, _, dies)| *dies >= tick);
        self.iterate(tick, &given);
        let fresh = self.ask(&given);
        for number in &fresh {
            let entry = (*number, tick, self.dies(*number, tick));
            match self.values[*number] {
                Value::Ds(_) => self.ds.insert(entry),
                Value::Keys(..) => self.keys.insert(entry),
                Value::Data(..) => self.data.insert(entry),
                _ => false,
            };
        }
        if tick < self.timeline.start.0 {
            self.remember(tick, &fresh);
            return;
        }
        self.behind_caches(tick);
        self.validating_cache(tick, &fresh);
        self.downgrades(tick);
        self.dead_ends(tick, &given);
    }

    /// Every resolver asks the parent, or a provider that it knows of, until there is no new thing to hold.
    fn iterate(&mut self, tick: u64, given: &[Number]) {
        loop {
            self.asked = self.who_is_asked(given);
            let mut more: Vec<(Number, u64)> = Vec::new();
            for number in given {
                match self.values[*number] {
                    Value::ParentNs(_) => more.push((*number, self.dies(*number, tick))),
                    Value::ChildNs(provider, _) if self.asked.contains(provider) => {
                        more.push((*number, self.dies(*number, tick)));
                    }
                    _ => {}
                }
            }
            let before = self.delegations.len();
            self.delegations.extend(more);
            if self.delegations.len() == before {
                return;
            }
        }
    }

    /// The providers that an NS RRset in some resolver names, and of which a server answers.
    fn who_is_asked(&self, given: &[Number]) -> BTreeSet<ProviderId> {
        let answering = given.iter().filter_map(|number| match self.values[*number] {
            Value::Serving(provider, true) => Some(*provider),
            _ => None,
        });
        let named = |provider: &ProviderId| {
            self.delegations
                .iter()
                .any(|(number, _)| match self.values[*number] {
                    Value::ParentNs(ns) | Value::ChildNs(_, ns) => ns.members.contains(provider),
                    _ => false,
                })
        };
        answering.filter(named).collect()
    }

    /// What can be had at this tick.
    fn ask(&self, given: &[Number]) -> Vec<Number> {
        let had = |number: &&Number| match self.values[**number] {
            Value::Ds(_) => true,
            Value::Keys(provider, _) | Value::Data(provider, ..) => self.asked.contains(provider),
            _ => false,
        };
        given.iter().filter(had).copied().collect()
    }

    fn note(&mut self, invariant: Invariant, tick: u64, parts: &[Entry], wrong: &str) {
        if self.seen.contains_key(&invariant) {
            return;
        }
        let start = self.timeline.start.0 as i64;
        let mut story = format!("{invariant} at {:+}: {wrong}", tick as i64 - start);
        for (number, fetched, _) in parts {
            let line = format!(
                "\n  fetched at {:+}: {:?}",
                *fetched as i64 - start,
                self.values[*number]
            );
            story.push_str(&line);
        }
        self.seen.insert(invariant, Seen { tick, story });
    }

    fn judge(&self) -> Judge<'_> {
        Judge {
            timeline: self.timeline,
            validator: self.validator,
        }
    }

    fn opinion(&self, ds: Number, keys: Number, data: Option<Number>) -> Opinion {
        let judge = || match (
            self.values[ds],
            self.values[keys],
            data.map(|data| self.values[data]),
        ) {
            (Value::Ds(ds), Value::Keys(_, keys), None) => self.judge().keys(ds, keys),
            (Value::Ds(ds), Value::Keys(_, keys), Some(Value::Data(_, _, data))) => {
                self.judge().data(ds, keys, data)
            }
            other => panic!("not a chain: {other:?}"),
        };
        *self
            .opinions
            .borrow_mut()
            .entry((ds, keys, data))
            .or_insert_with(judge)
    }

    fn key_opinion(&self, ds: Number, keys: Number) -> Opinion {
        self.opinion(ds, keys, None)
    }

    fn data_opinion(&self, ds: Number, keys: Number, data: Number) -> Opinion {
        self.opinion(ds, keys, Some(data))
    }

    /// A validator that gets DS, DNSKEY and data each from the cache that serves it worst.
    fn behind_caches(&mut self, tick: u64) {
        if self.seen.contains_key(&Invariant::Caches) {
            return;
        }
        // Entries of one value differ only in their age, which no validator asks for.
        let by_value = |entries: &BTreeSet<Entry>| -> BTreeMap<Number, Entry> {
            entries.iter().map(|entry| (entry.0, *entry)).collect()
        };
        let (all_ds, all_keys, all_data) = (by_value(&self.ds), by_value(&self.keys), by_value(&self.data));
        for ds in all_ds.values() {
            for keys in all_keys.values() {
                match self.key_opinion(ds.0, keys.0) {
                    Opinion::Insecure => {}
                    Opinion::Bogus => {
                        return self.note(Invariant::Caches, tick, &[*ds, *keys], "DNSKEY is bogus");
                    }
                    Opinion::Secure => {
                        let bogus = |data: &&Entry| self.data_opinion(ds.0, keys.0, data.0) == Opinion::Bogus;
                        if let Some(data) = all_data.values().find(bogus) {
                            let parts = [*ds, *keys, *data];
                            return self.note(Invariant::Caches, tick, &parts, "data are bogus");
                        }
                    }
                }
            }
        }
    }

    /// The validating cache takes each DNSKEY RRset of this tick; tells the first that is bogus.
    fn remember(&mut self, tick: u64, fresh: &[Number]) -> Option<[Entry; 2]> {
        let mut bogus = None;
        for keys in fresh {
            if !matches!(self.values[*keys], Value::Keys(..)) {
                continue;
            }
            let dies = self.dies(*keys, tick);
            for ds in self.ds.clone() {
                match self.key_opinion(ds.0, *keys) {
                    Opinion::Insecure => {}
                    Opinion::Bogus => bogus = Some([ds, (*keys, tick, dies)]),
                    Opinion::Secure => {
                        self.validated.insert((*keys, ds.0, tick, dies));
                    }
                }
            }
        }
        bogus
    }

    fn validating_cache(&mut self, tick: u64, fresh: &[Number]) {
        if let Some(parts) = self.remember(tick, fresh) {
            self.note(Invariant::Resolver, tick, &parts, "DNSKEY is bogus");
        }
        for data in fresh {
            if !matches!(self.values[*data], Value::Data(..)) {
                continue;
            }
            let bogus = self
                .validated
                .iter()
                .find(|(keys, ds, ..)| self.data_opinion(*ds, *keys, *data) == Opinion::Bogus);
            if let Some((keys, _, fetched, dies)) = bogus.copied() {
                let parts = [(keys, fetched, dies), (*data, tick, tick)];
                self.note(Invariant::Resolver, tick, &parts, "data are bogus");
            }
        }
    }

    fn downgrades(&mut self, tick: u64) {
        let nothing = |number: Number| match self.values[number] {
            Value::Ds(ds) => {
                let anything = KeyRrset {
                    keys: [].into(),
                    signers: [].into(),
                    ttl: 0,
                };
                self.judge().keys(ds, &anything) == Opinion::Insecure
            }
            _ => false,
        };
        let first = (0..self.timeline.initial.len()).rfind(|number| self.values[*number].slot() == Slot::Ds);
        if first.is_none_or(nothing) {
            return;
        }
        if let Some(ds) = self.ds.iter().find(|entry| nothing(entry.0)).copied() {
            self.note(Invariant::Secure, tick, &[ds], "insecure");
        }
    }

    fn dead_ends(&mut self, tick: u64, given: &[Number]) {
        let silent = |provider: &ProviderId| {
            given
                .iter()
                .any(|number| *self.values[*number] == Value::Serving(*provider, false))
        };
        let dead_end = |entry: &&(Number, u64)| match self.values[entry.0] {
            Value::ParentNs(ns) | Value::ChildNs(_, ns) => {
                let answering = ns.members.iter().filter(|provider| !silent(provider)).count();
                answering < ns.members.len().clamp(1, 2)
            }
            _ => false,
        };
        if let Some((number, dies)) = self.delegations.iter().find(dead_end).copied() {
            let parts = [(number, tick, dies)];
            self.note(Invariant::Available, tick, &parts, "too few answer");
        }
    }
}
