//! The times that no look shows and a person gives: how long a change takes to servers that cannot be seen from here, and
//! the margin. A plan is made with those of its start. One that is raised while it goes on counts at once, for what is to
//! come and for what was: it may have been as large ever since. One that is lowered counts for the next plan.

use serde::{Deserialize, Serialize};

use super::{
    super::safety::{ProviderId, Seconds, Slot},
    Emergency, FirstSeen, Kind, Plan, Situation, Wait, gate,
};

/// One of these times.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lag {
    /// A provider's `propagation`.
    Provider(ProviderId),
    /// The zone's `parent_propagation`.
    Parent,
    /// The zone's `safety_margin`.
    Margin,
}

impl Lag {
    /// That of a slot.
    pub fn of(slot: &Slot) -> Self {
        match slot {
            Slot::Ds | Slot::ParentNs => Self::Parent,
            Slot::Keys(provider)
            | Slot::Data(provider, _)
            | Slot::ChildNs(provider)
            | Slot::Serving(provider)
            | Slot::Cds(provider)
            | Slot::Csync(provider) => Self::Provider(*provider),
        }
    }

    /// How often it is in what caches may hold of a slot, or of what the slot led to.
    fn in_what_is_held(self, slot: &Slot) -> Seconds {
        match self {
            Self::Margin if matches!(slot, Slot::ParentNs | Slot::ChildNs(_)) => 2,
            Self::Margin => 1,
            lag => Seconds::from(lag == Self::of(slot)),
        }
    }

    /// How often it is in a wait of which nobody knows what it is made of, at the most: the margin of an NS RRset, and that
    /// of what it led to.
    fn at_the_most(self) -> Seconds {
        match self {
            Self::Margin => 2,
            Self::Provider(_) | Self::Parent => 1,
        }
    }
}

impl Wait {
    /// Takes over what another wait is made of, which this one makes idle: it may be the longer one when a lag is raised.
    pub(super) fn stand_for(&mut self, idle: &Self) {
        let (Some(lags), Some(of_idle)) = (&mut self.lags, &idle.lags) else {
            self.lags = None;
            return;
        };
        let count = |lags: &[Lag], lag: Lag| lags.iter().filter(|known| **known == lag).count();
        for lag in of_idle {
            if count(lags, *lag) < count(of_idle, *lag) {
                lags.push(*lag);
            }
        }
    }

    /// How much longer it is when a lag is `more` seconds larger.
    fn growth(&self, lag: Lag, more: Seconds) -> Seconds {
        let times = match &self.lags {
            Some(lags) => lags.iter().filter(|known| **known == lag).count() as Seconds,
            None => lag.at_the_most(),
        };
        more.saturating_mul(times)
    }
}

impl Situation {
    /// The lags that are reckoned with.
    pub fn lags(&self) -> impl Iterator<Item = Lag> {
        let providers = (0..self.members.len()).filter_map(|place| ProviderId::at(place).ok());
        providers.map(Lag::Provider).chain([Lag::Parent, Lag::Margin])
    }

    /// What is reckoned with.
    pub fn reckoned(&self, lag: Lag) -> Seconds {
        match lag {
            Lag::Provider(provider) => self.member(provider).map_or(0, |member| member.propagation),
            Lag::Parent => self.parent.propagation,
            Lag::Margin => self.margin,
        }
    }

    /// How long the old value of a slot may still be served after it was changed.
    pub fn lag(&self, slot: &Slot) -> Seconds {
        self.reckoned(Lag::of(slot))
    }

    /// What people call it.
    pub fn lag_in_words(&self, lag: Lag) -> String {
        match lag {
            Lag::Provider(provider) => format!("the propagation of {}", self.name(provider)),
            Lag::Parent => "the propagation of the parent".to_owned(),
            Lag::Margin => "the margin".to_owned(),
        }
    }

    fn reckon_with(&mut self, lag: Lag, seconds: Seconds) {
        match lag {
            Lag::Provider(provider) => {
                if let Some(member) = self.members.get_mut(provider.place()) {
                    member.propagation = seconds;
                }
            }
            Lag::Parent => self.parent.propagation = seconds,
            Lag::Margin => self.margin = seconds,
        }
    }

    /// What had run out in caches when the plan began, by the lags of then, may not have: what a slot was before that nobody
    /// knows any more. Returns what is new of this.
    fn forget_later(&mut self, lag: Lag, more: Seconds) -> Vec<FirstSeen> {
        let mut new = Vec::new();
        for value in &self.serves {
            let slot = value.slot();
            let longer = more.saturating_mul(lag.in_what_is_held(&slot));
            if longer == 0 {
                continue;
            }
            match self.first_seen.iter_mut().find(|first| first.slot == slot) {
                Some(first) => first.held = first.held.saturating_add(longer),
                None => new.push(FirstSeen {
                    slot,
                    at: self.at,
                    held: longer,
                }),
            }
        }
        self.first_seen.extend(new.iter().cloned());
        new
    }
}

impl Plan {
    /// Reckons with a larger lag from the step `next` on.
    pub(in super::super) fn raise(&mut self, lag: Lag, seconds: Seconds, next: usize) {
        let more = seconds.saturating_sub(self.situation.reckoned(lag));
        if more == 0 {
            return;
        }
        self.situation.reckon_with(lag, seconds);
        let raised = self.situation.lag_in_words(lag);
        let new = self.situation.forget_later(lag, more);
        let to_come = self.steps.iter_mut().skip(next);
        for wait in to_come.flat_map(|step| &mut step.waits) {
            let growth = wait.growth(lag, more);
            if growth > 0 {
                wait.seconds = wait.seconds.saturating_add(growth);
                wait.why += &format!(", and {growth} s more since {raised} was raised");
            }
        }
        // Who puts security first waits for nothing.
        let at_once = matches!(
            self.kind,
            Kind::Emergency {
                policy: Emergency::Security,
                ..
            }
        );
        let mut to_come = self.steps.iter_mut().skip(next);
        // Those that come after it come later.
        let first = to_come.find(|step| !step.changes.is_empty() && !at_once);
        if let Some(step) = first {
            let forgotten = new.iter().map(|first| Wait {
                why: format!(
                    "what {} was before the plan began counted as forgotten, and a cache may hold it since {raised} was \
                     raised ({} s)",
                    self.situation.slot_in_words(&first.slot),
                    first.held
                ),
                ..gate::unseen(&self.situation, first)
            });
            let waits = step.waits.drain(..).chain(forgotten);
            step.waits = gate::binding(waits.collect());
        }
    }
}
