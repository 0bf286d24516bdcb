//! When each value can be in some cache: the windows of the model.
//!
//! A value can be fetched while some server gives it and some resolver would ask that server's provider, and held
//! for its TTL and the margin after. Which providers are asked depends on the NS RRsets that are held, which come
//! from the parent and from the providers that are asked: the least such assignment, found by going through time
//! once. A resolver that trusts only the child's NS RRset therefore stays at a provider that still names itself.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    intervals::{EVER, Intervals},
    model::{Class, DsSet, KeyRrset, NsSet, ProviderId, Seconds, SignedData, Slot, Timeline, Value, Version},
};

/// A value in caches.
#[derive(Clone, Debug)]
pub(super) struct Item<'a, T> {
    pub value: &'a T,
    /// Who gives it; the parent when there is none.
    pub provider: Option<ProviderId>,
    /// Its class, of signed data.
    pub class: Option<&'a Class>,
    /// When it can be fetched.
    pub fetched: Intervals,
    /// When it can be held.
    pub held: Intervals,
    /// How long after it was fetched.
    pub hold: Seconds,
    /// The step that replaced it.
    pub replaced_by: Option<usize>,
}

#[cfg(test)]
thread_local! {
    static JUDGED_HERE: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// How often this thread was at work for the checker.
#[cfg(test)]
pub(crate) fn judged_here() -> usize {
    JUDGED_HERE.get()
}

/// All windows of a timeline.
#[derive(Debug)]
pub(super) struct Windows<'a> {
    pub ds: Vec<Item<'a, DsSet>>,
    pub keys: Vec<Item<'a, KeyRrset>>,
    pub data: Vec<Item<'a, SignedData>>,
    pub ns: Vec<Item<'a, NsSet>>,
    /// When each provider is asked and answers.
    pub reach: BTreeMap<ProviderId, Intervals>,
    /// When each provider surely answers: not while some of its servers may already, or still, be down.
    pub answers: BTreeMap<ProviderId, Intervals>,
}

impl<'a> Windows<'a> {
    /// The windows of `timeline` for caches that hold everything `margin` longer than its TTL.
    pub fn of(timeline: &'a Timeline, margin: Seconds) -> Self {
        #[cfg(test)]
        JUDGED_HERE.set(JUDGED_HERE.get() + 1);
        let slots = timeline.versions();
        let up = serving(timeline, &slots, true);
        let down = serving(timeline, &slots, false);
        let reach = reach(&slots, &up, margin);
        let mut windows = Self {
            ds: Vec::new(),
            keys: Vec::new(),
            data: Vec::new(),
            ns: Vec::new(),
            reach,
            answers: down
                .into_iter()
                .map(|(provider, down)| (provider, Intervals::span(0, EVER).without(&down)))
                .collect(),
        };
        for (slot, versions) in &slots {
            for version in versions {
                windows.add(slot, version, margin);
            }
        }
        windows
    }

    fn add(&mut self, slot: &Slot, version: &Version<'a>, margin: Seconds) {
        let served = Intervals::span(version.from, version.until);
        let of_provider = |provider| self.reach.get(&provider).map(|reach| served.intersection(reach));
        match (version.value, slot) {
            (Value::Ds(ds), _) => {
                self.ds
                    .extend(item(ds, ds.ttl, None, Some(served), version, margin));
            }
            (Value::ParentNs(ns), _) => {
                self.ns
                    .extend(item(ns, ns.ttl, None, Some(served), version, margin));
            }
            (Value::ChildNs(provider, ns), _) => {
                let fetched = of_provider(*provider);
                self.ns
                    .extend(item(ns, ns.ttl, Some(*provider), fetched, version, margin));
            }
            (Value::Keys(provider, keys), _) => {
                let fetched = of_provider(*provider);
                self.keys
                    .extend(item(keys, keys.ttl, Some(*provider), fetched, version, margin));
            }
            (Value::Data(provider, class, data), _) => {
                let fetched = of_provider(*provider);
                let found = item(data, data.ttl, Some(*provider), fetched, version, margin);
                self.data.extend(found.map(|item| Item {
                    class: Some(class),
                    ..item
                }));
            }
            (Value::Serving(..) | Value::Cds(..) | Value::Csync(..), _) => {}
        }
    }
}

/// The item, unless nobody can fetch it.
fn item<'a, T>(
    value: &'a T,
    ttl: Seconds,
    provider: Option<ProviderId>,
    fetched: Option<Intervals>,
    version: &Version<'_>,
    margin: Seconds,
) -> Option<Item<'a, T>> {
    let fetched = fetched?;
    fetched.first()?;
    let hold = ttl.saturating_add(margin);
    Some(Item {
        value,
        provider,
        class: None,
        held: fetched.held_for(hold),
        fetched,
        hold,
        replaced_by: version.replaced_by,
    })
}

/// When some server of each provider may answer, or be silent.
fn serving(
    timeline: &Timeline,
    slots: &BTreeMap<Slot, Vec<Version<'_>>>,
    answers: bool,
) -> BTreeMap<ProviderId, Intervals> {
    let when = |provider| {
        let versions = slots.get(&Slot::Serving(provider)).into_iter().flatten();
        versions
            .filter(|version| matches!(version.value, Value::Serving(_, serves) if *serves == answers))
            .fold(Intervals::default(), |all, version| {
                all.union(&Intervals::span(version.from, version.until))
            })
    };
    timeline
        .provider_ids()
        .map(|provider| (provider, when(provider)))
        .collect()
}

/// An NS RRset on its way through time.
struct NsSource<'a> {
    set: &'a NsSet,
    provider: Option<ProviderId>,
    served: Intervals,
    hold: Seconds,
    last_fetch: Option<u64>,
}

impl NsSource<'_> {
    fn can_be_fetched(&self, time: u64, asked: &[ProviderId]) -> bool {
        self.served.has(time) && self.provider.is_none_or(|provider| asked.contains(&provider))
    }

    fn held_until(&self) -> Option<u64> {
        self.last_fetch.map(|fetch| fetch.saturating_add(self.hold))
    }
}

fn ns_sources<'a>(slots: &BTreeMap<Slot, Vec<Version<'a>>>, margin: Seconds) -> Vec<NsSource<'a>> {
    let versions = slots.values().flatten();
    versions
        .filter_map(|version| {
            let (provider, set) = match version.value {
                Value::ParentNs(set) => (None, set),
                Value::ChildNs(provider, set) => (Some(*provider), set),
                _ => return None,
            };
            Some(NsSource {
                set,
                provider,
                served: Intervals::span(version.from, version.until),
                hold: set.ttl.saturating_add(margin),
                last_fetch: None,
            })
        })
        .collect()
}

/// When each provider is asked by some resolver, and answers.
///
/// Time is cut where a value begins or ends to be served, and where the last copy of an NS RRset that nobody can
/// fetch any more runs out; between two cuts nothing changes, so that a resolver which stays for ever costs nothing.
fn reach(
    slots: &BTreeMap<Slot, Vec<Version<'_>>>,
    up: &BTreeMap<ProviderId, Intervals>,
    margin: Seconds,
) -> BTreeMap<ProviderId, Intervals> {
    let mut sources = ns_sources(slots, margin);
    let cuts: BTreeSet<u64> = sources
        .iter()
        .map(|source| &source.served)
        .chain(up.values())
        .flat_map(Intervals::edges)
        .collect();
    let mut reach: BTreeMap<ProviderId, Intervals> = BTreeMap::new();
    let mut time = 0;
    loop {
        let asked = asked_at(time, &sources, up);
        let runs_out = sources
            .iter()
            .filter(|source| !source.can_be_fetched(time, &asked))
            .filter_map(|source| source.held_until()?.checked_add(1))
            .filter(|end| *end > time);
        let next = runs_out
            .chain(cuts.range(time.saturating_add(1)..).next().copied())
            .min();
        let last = next.map_or(EVER, |next| next - 1);
        for source in &mut sources {
            if source.can_be_fetched(time, &asked) {
                source.last_fetch = Some(last);
            }
        }
        for provider in asked {
            reach.entry(provider).or_default().push(time, last);
        }
        match next {
            Some(next) => time = next,
            None => return reach,
        }
    }
}

/// The providers that are asked at this moment, and answer.
fn asked_at(time: u64, sources: &[NsSource<'_>], up: &BTreeMap<ProviderId, Intervals>) -> Vec<ProviderId> {
    let mut asked: Vec<ProviderId> = Vec::new();
    loop {
        let known = asked.len();
        for source in sources {
            let held = source.held_until().is_some_and(|end| end >= time);
            if !held && !source.can_be_fetched(time, &asked) {
                continue;
            }
            for member in &source.set.members {
                let answers = up.get(member).is_some_and(|up| up.has(time));
                if answers && !asked.contains(member) {
                    asked.push(*member);
                }
            }
        }
        if asked.len() == known {
            return asked;
        }
    }
}
