//! The way back of a run that is given up: what it starts from, and what the parent may do yet.
//!
//! | given up when | the parent | the way back |
//! |---|---|---|
//! | CDS asks at every provider, or is about to at the last | may have read it, and come with it at any time | CDS asks for what was before, until that is seen after the time that the parent takes |
//! | CDS asks at some | finds that providers differ (RFC 9975 §3) | CDS goes; nothing else does before it is seen, after that time, that nothing came |
//! | a person was told | has what was handed in, or has it on its way | a person takes it back, and says so |
//!
//! What a person or another provider was asked for last, and what not every server shows, is seen everywhere before it is taken
//! back, or a person says that it was never handed in: a server that has not got it yet shows the same as one that has lost it.

use super::{
    super::{
        plan::{Actor, NoWayBack, Plan, Situation, Step, Times},
        safety::{Slot, Value},
    },
    run::Run,
    view::View,
};
use crate::clock::UnixTime;

/// Whether a step asks the parent by CDS.
fn asks(step: &Step) -> bool {
    let is_cds = |value: &Value| matches!(value, Value::Cds(_, Some(_)));
    step.changes.iter().any(is_cds)
}

impl Run {
    /// The plan that takes back what was done. `view`: what is seen now, where it is.
    ///
    /// # Errors
    /// Why there is none, and what to do instead.
    pub fn way_back(&self, view: Option<&View>, now: UnixTime) -> Result<Plan, NoWayBack> {
        let follows = self.parent_follows_at();
        let asked_by_some = match (follows, view) {
            (None, Some(view)) => self.as_the_parent_left_it(view),
            _ => None,
        };
        let run = asked_by_some.as_ref().unwrap_or(self);
        let mut begun = run.times_so_far();
        if follows == Some(begun.len()) {
            // All that the parent waits for is there, or may be: it has begun.
            let at = now.max(run.last);
            begun.push(Times { begun: at, seen: at });
        }
        let back = run.plan.retreat(&begun, &run.situation_now(now))?;
        Ok(match self.on_its_way(view) {
            Some((asked, values)) => back.once_it_came(asked, values),
            None => back,
        })
    }

    /// The last step that was begun, and what of it not every server is seen to have.
    fn on_its_way(&self, view: Option<&View>) -> Option<(&Step, Vec<Value>)> {
        let begun = self.begun?;
        let step = self.plan.steps.get(self.done.len())?;
        let is_there = |value: &Value| view.is_some_and(|view| view.shows(value, begun));
        let changes = step.changes.iter().map(|value| self.history.adjusted(value));
        let late: Vec<Value> = changes.filter(|value| !is_there(value)).collect();
        (!late.is_empty()).then_some((step, late))
    }

    /// The step by which the parent follows, where every provider asks it, or is about to: the last one's CDS may be there
    /// for the parent before it is seen here.
    fn parent_follows_at(&self) -> Option<usize> {
        self.coming_ds()?;
        let next = self.done.len();
        let is_begun = self.begun.is_some() && self.plan.steps.get(next).is_some_and(asks);
        let place = next + usize::from(is_begun);
        let step = self.plan.steps.get(place)?;
        let is_of_ds = step.changes.iter().any(|value| value.slot() == Slot::Ds);
        (step.by == Actor::Parent && is_of_ds).then_some(place)
    }

    fn coming_ds(&self) -> Option<Value> {
        self.history.courses.get(&Slot::Ds)?.coming()
    }

    /// The run as it is where some providers ask the parent by CDS, and no server of it has followed. None where all ask, or
    /// where what comes is a person's.
    fn as_the_parent_left_it(&self, view: &View) -> Option<Self> {
        self.coming_ds()?;
        let step = self.plan.steps.get(self.done.len())?;
        let before = self.history.courses.get(&Slot::Ds)?.expected()?;
        if !asks(step) || !view.shows(&before, self.last) {
            return None;
        }
        let mut run = self.clone();
        run.history.never_came(&Slot::Ds, self.last);
        Some(run)
    }

    /// What is served now, and what was served before, as it was measured: what a way back starts from.
    pub fn situation_now(&self, at: UnixTime) -> Situation {
        let mut situation = self.plan.situation.clone();
        let at = at.max(self.last);
        let (serves, past) = self.history.course_of_all(&self.plan, at);
        situation.serves = serves;
        situation.past.extend(past);
        situation.at = at;
        situation
    }

    /// The times of the steps that were begun, or that others have done before; what is not seen yet counts as seen when
    /// it was begun.
    pub fn times_so_far(&self) -> Vec<Times> {
        let begun = self.begun.map(|begun| Times { begun, seen: begun });
        let begun: Vec<Times> = self.done.iter().copied().chain(begun).collect();
        let early = (begun.len()..).take_while(|step| self.is_early(*step));
        let early = early.map(|_| Times {
            begun: self.last,
            seen: self.last,
        });
        begun.iter().copied().chain(early).collect()
    }
}
