//! A time that no look shows, such as the propagation of a provider, is raised while a plan goes on.

use super::{
    super::{plan::Lag, safety::Seconds},
    run::{Event, Run, Stage},
};
use crate::clock::UnixTime;

/// That a plan reckons with a larger time than it was made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Raised {
    /// Since when.
    pub at: UnixTime,
    /// What it was made with.
    pub from: Seconds,
    /// What it reckons with now.
    pub to: Seconds,
}

impl Run {
    /// That a person says this of a lag, where that is news: it is larger than what the run reckons with.
    pub fn lag_given(&self, lag: Lag, seconds: Seconds) -> Option<Event> {
        let is_open = !matches!(self.stage, Stage::Over(_));
        (is_open && seconds > self.plan.situation.reckoned(lag)).then_some(Event::Raised { lag, seconds })
    }

    pub(super) fn raise(&mut self, lag: Lag, seconds: Seconds, at: UnixTime) {
        let before = self.plan.situation.reckoned(lag);
        if seconds <= before {
            return;
        }
        let next = self.done.len() + usize::from(self.begun.is_some());
        self.plan.raise(lag, seconds, next);
        match lag {
            Lag::Margin => self.terms.iter_mut().for_each(|terms| terms.margin = seconds),
            // It may have been as large ever since. More caution says nothing of what was.
            Lag::Provider(_) | Lag::Parent => self.untold = Some(self.plan.situation.at),
        }
        let from = self.raised.get(&lag).map_or(before, |raised| raised.from);
        self.raised.insert(
            lag,
            Raised {
                at,
                from,
                to: seconds,
            },
        );
    }

    /// What was raised, in words.
    pub fn raised_in_words(&self) -> Vec<String> {
        let raised = self.raised.iter().map(|(lag, raised)| {
            let Raised { at, from, to } = raised;
            let what = self.plan.situation.lag_in_words(*lag);
            format!("{what} counts as {to} s since {at}, where the plan was made with {from} s")
        });
        raised.collect()
    }
}
