//! What caches may hold while a plan goes on: every value that was served, and what ended it.

use std::collections::BTreeSet;

use super::{
    super::safety::{NsSet, ProviderId, Seconds, Slot, Value},
    Lag, Since, Situation,
};

/// The state before the plan, with everything in it that caches may still hold.
const PAST: usize = 0;
/// The state in which the plan starts.
const START: usize = 1;

/// A value that is or was served.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub value: Value,
    /// What replaced it.
    ended: Option<Since>,
}

impl Version {
    /// What replaced it.
    pub fn ended(&self) -> Option<Since> {
        self.ended
    }
}

/// Until when a value can be held by some cache: from a moment on, this long.
#[derive(Clone, Debug)]
pub(super) struct Hold {
    pub since: Since,
    pub seconds: Seconds,
    /// The lags among them.
    pub lags: Vec<Lag>,
    /// How the seconds come together, in words.
    pub sum: String,
}

/// Every value of the plan so far, in order.
#[derive(Clone, Debug)]
pub(super) struct History {
    versions: Vec<Version>,
    /// Who is asked in each state: in the past, at the start of the plan, after its first step, and so on.
    asked: Vec<BTreeSet<ProviderId>>,
    margin: Seconds,
}

impl History {
    pub fn new(situation: &Situation) -> Self {
        let past = situation.past.iter().map(|past| Version {
            value: past.value.clone(),
            ended: Some(Since::Time(past.until)),
        });
        let now = situation.serves.iter().map(|value| Version {
            value: value.clone(),
            ended: None,
        });
        let mut history = Self {
            versions: past.chain(now).collect(),
            asked: Vec::new(),
            margin: situation.margin,
        };
        history.asked = vec![history.asked_by(|_| true), history.asked_now()];
        history
    }

    /// The values of `changes` are served from this step on.
    pub fn step(&mut self, step: usize, changes: &[Value]) {
        for value in changes {
            let slot = value.slot();
            for version in &mut self.versions {
                if version.ended.is_none() && version.value.slot() == slot {
                    version.ended = Some(Since::Step(step));
                }
            }
            self.versions.push(Version {
                value: value.clone(),
                ended: None,
            });
        }
        let asked = self.asked_now();
        self.asked.push(asked);
    }

    /// What is served in a slot.
    pub fn now(&self, slot: &Slot) -> Option<&Value> {
        let current = self
            .versions
            .iter()
            .rev()
            .filter(|version| version.ended.is_none());
        current
            .map(|version| &version.value)
            .find(|value| value.slot() == *slot)
    }

    /// Everything that is served.
    pub fn all_now(&self) -> impl Iterator<Item = &Value> {
        let current = self.versions.iter().filter(|version| version.ended.is_none());
        current.map(|version| &version.value)
    }

    /// Every value that was ever served.
    pub fn versions(&self) -> impl Iterator<Item = &Version> {
        self.versions.iter()
    }

    /// The providers that resolvers are led to by what is served.
    pub fn asked_now(&self) -> BTreeSet<ProviderId> {
        self.asked_by(|version| version.ended.is_none())
    }

    /// The same with other values in their slots.
    pub fn asked_with(&self, changes: &[Value]) -> BTreeSet<ProviderId> {
        let mut after = self.clone();
        after.step(self.asked.len() - START - 1, changes);
        after.asked_now()
    }

    fn asked_by(&self, counts: impl Fn(&Version) -> bool) -> BTreeSet<ProviderId> {
        let mut asked = BTreeSet::new();
        loop {
            let known = asked.len();
            for version in self.versions.iter().filter(|version| counts(version)) {
                match &version.value {
                    Value::ParentNs(ns) => asked.extend(&ns.members),
                    Value::ChildNs(provider, ns) if asked.contains(provider) => asked.extend(&ns.members),
                    _ => {}
                }
            }
            if asked.len() == known {
                return asked;
            }
        }
    }

    /// When the last caches may lose a value; nothing when it can still be got, or was never in any.
    pub fn holds(&self, version: &Version, situation: &Situation) -> Vec<Hold> {
        let Some(ttl) = version.value.ttl() else {
            return Vec::new();
        };
        let slot = version.value.slot();
        let ended = |since| Hold {
            since,
            seconds: ttl + situation.lag(&slot) + self.margin,
            lags: vec![Lag::of(&slot), Lag::Margin],
            sum: sum(ttl, situation.lag(&slot), self.margin),
        };
        let Some(provider) = provider(&slot) else {
            return version.ended.map(ended).into_iter().collect();
        };
        let last = match version.ended {
            Some(Since::Step(step)) => START + step,
            Some(Since::Time(_)) => PAST,
            None => self.asked.len() - 1,
        };
        let asked = |state: usize| {
            self.asked
                .get(state)
                .is_some_and(|asked| asked.contains(&provider))
        };
        if asked(last) {
            return version.ended.map(ended).into_iter().collect();
        }
        if !(PAST..=last).any(asked) {
            return Vec::new();
        }
        // It went on to be served where nobody is sent any more: the last one came by an NS RRset that was held.
        let sent = self.naming(provider, situation).into_iter();
        sent.map(|held| Hold {
            since: held.since,
            seconds: held.seconds + ttl + self.margin,
            lags: [held.lags, vec![Lag::Margin]].concat(),
            sum: format!("{}, and then {}", held.sum, sum(ttl, 0, self.margin)),
        })
        .collect()
    }

    /// When the last caches lose the NS RRsets that name a provider and are no longer served.
    pub fn naming(&self, provider: ProviderId, situation: &Situation) -> Vec<Hold> {
        let versions = self.versions.iter();
        let names = versions.filter_map(|version| match &version.value {
            Value::ParentNs(ns) | Value::ChildNs(_, ns) if ns.members.contains(&provider) => {
                Some((version, ns))
            }
            _ => None,
        });
        names
            .filter_map(|(version, ns): (_, &NsSet)| {
                let lag = situation.lag(&version.value.slot());
                Some(Hold {
                    since: version.ended?,
                    seconds: ns.ttl + lag + self.margin,
                    lags: vec![Lag::of(&version.value.slot()), Lag::Margin],
                    sum: format!("the NS RRset {}", sum(ns.ttl, lag, self.margin)),
                })
            })
            .collect()
    }
}

fn provider(slot: &Slot) -> Option<ProviderId> {
    match slot {
        Slot::Ds | Slot::ParentNs => None,
        Slot::Keys(provider)
        | Slot::Data(provider, _)
        | Slot::ChildNs(provider)
        | Slot::Serving(provider)
        | Slot::Cds(provider)
        | Slot::Csync(provider) => Some(*provider),
    }
}

fn sum(ttl: Seconds, lag: Seconds, margin: Seconds) -> String {
    let mut parts = format!("{ttl} s");
    if lag > 0 {
        parts += &format!(" + {lag} s until its last server has changed");
    }
    if margin > 0 {
        parts += &format!(" + {margin} s margin");
    }
    parts
}
