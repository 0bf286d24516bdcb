//! A run: a plan, and how far it has come, read from its journal.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    super::{
        plan::{Action, Actor, Kind, Lag, Plan, PlanKey, Since, Times},
        safety::{KeyId, ProviderId, Seconds, Slot, Terms, Value},
    },
    gate,
    measured::History,
    raised::Raised,
    view::View,
};
use crate::{
    clock::UnixTime,
    dnssec::{algorithm::Algorithm, key::Dnskey},
};

/// What is journaled of a run, with its time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: UnixTime,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What can happen in a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A person, or this server itself, adopted a plan. Always the first entry.
    Adopted {
        /// The plan.
        plan: Box<Plan>,
        /// Why it may run though the checker calls it unsafe, in the person's words.
        force: Option<String>,
    },
    /// A key that the plan makes is this one.
    Made {
        /// Its place in the plan.
        key: KeyId,
        /// The key.
        dnskey: Dnskey,
    },
    /// A step is about to be done; after a crash it is done again.
    Begun {
        /// Its place in the plan.
        step: usize,
    },
    /// A person says that they did their part of a step.
    Reported {
        /// Its place in the plan.
        step: usize,
    },
    /// Every server showed what the step leads to, at this time.
    Seen {
        /// Its place in the plan.
        step: usize,
    },
    /// A slot is served with a larger TTL than any before: what waits for it waits longer. Smaller ones shorten nothing.
    TtlSeen {
        /// Where.
        slot: Slot,
        /// The TTL.
        ttl: Seconds,
    },
    /// A time that no look shows is larger, says a person, than any that was reckoned with: what waits for it waits longer.
    /// Smaller ones shorten nothing.
    Raised {
        /// Which.
        lag: Lag,
        /// How long it is.
        seconds: Seconds,
    },
    /// Somebody else has done their step before it was begun here, and the checker agrees.
    Early {
        /// Its place in the plan.
        step: usize,
        /// From when on it may have been served.
        since: UnixTime,
    },
    /// Some server shows what nobody planned.
    Surprise {
        /// The value.
        value: Value,
        /// Keys in it that the plan did not know; they get the ids behind the plan's.
        strangers: Vec<PlanKey>,
        /// From when on it may have been served.
        since: UnixTime,
        /// What it is, in words.
        why: String,
    },
    /// After a surprise, every server shows this one value of a slot.
    Settled {
        /// The value.
        value: Value,
    },
    /// What nobody planned let resolvers find something bogus, as the checker tells it. Nothing can change that any more.
    Harm {
        /// The story.
        story: String,
    },
    /// Nothing more is begun until a person says so.
    Paused {
        /// Why: a person's words, or what surprised us.
        why: String,
    },
    /// A person lets it go on.
    Resumed,
    /// It is given up; what comes after is another run.
    Aborted {
        /// The reason.
        why: String,
        /// A person wants nothing of it taken back: what it led to stays.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        as_it_is: bool,
    },
    /// Another time is right than the one that was reckoned with.
    ClockSet {
        /// What was reckoned with.
        from: UnixTime,
        /// What is right.
        to: UnixTime,
        /// Nobody said so: it is not known what of the time in between has passed, so none of it counts.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unwatched: bool,
    },
    /// The last step was seen.
    Finished,
}

/// How far a run has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stage {
    /// It goes on by itself.
    Running,
    /// It waits for a person's word.
    Paused {
        /// Why.
        why: String,
    },
    /// It is over.
    Over(Outcome),
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Its goal is reached.
    Reached,
    /// It was given up.
    Aborted,
}

/// Why a run was given up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GivenUp {
    /// The reason, in a person's words.
    pub why: String,
    /// Nothing of it was to be taken back.
    pub as_it_is: bool,
}

/// A plan that is being carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// The plan, with the keys that have been made, and those that came as a surprise.
    pub plan: Plan,
    /// Why it may run though the checker calls it unsafe.
    pub force: Option<String>,
    /// How far it has come.
    pub stage: Stage,
    /// The steps that were seen, in order.
    pub done: Vec<Times>,
    /// When the step after these was begun.
    pub begun: Option<UnixTime>,
    /// What surprised us, and nobody has looked at yet: nothing is taken away.
    pub alarm: Option<String>,
    /// The last story of what resolvers could find bogus because of what nobody planned, and when it was told.
    pub harm: Option<(UnixTime, String)>,
    /// Why it was given up, where it was.
    pub given_up: Option<GivenUp>,
    /// The last span of time that does not count, for nobody knows what of it has passed.
    pub unwatched: Option<(UnixTime, UnixTime)>,
    /// The lags that were raised since the plan began, the last time of each.
    pub raised: BTreeMap<Lag, Raised>,
    /// From when on something was served that nobody planned, and that has not been judged yet.
    pub(super) untold: Option<UnixTime>,
    /// The step that was begun had been done before, by others.
    pub(super) was_early: bool,
    /// A person says that they did their part of the step that was begun.
    pub(super) reported: bool,
    /// The step that was begun was acted upon by this process.
    pub(super) acted: bool,
    /// When each slot was last seen as it should be, by this process.
    pub(super) looked: BTreeMap<Slot, UnixTime>,
    pub(super) history: History,
    /// What the plan is held to: what the checker found safe of it at the start.
    pub(super) terms: Vec<Terms>,
    pub(super) surprises: usize,
    /// An earlier run of the journal took this server out of the delegation, and none has brought it back.
    was_out: bool,
    /// Other providers' keys that a plan of the journal was to withdraw because they are gone, and that was given up: when.
    left_in: BTreeMap<Dnskey, UnixTime>,
    /// The time of the last entry: what comes after is not before it.
    pub(super) last: UnixTime,
}

/// What is to be done now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// Journal this, and come again.
    Journal(Event),
    /// Do the step's action, which was journaled as begun; doing it again changes nothing. Then say so by
    /// [`Run::acted`].
    Act {
        /// The step.
        step: usize,
    },
    /// Nothing until then.
    Wait {
        /// The step that is waited for.
        step: usize,
        /// Until when.
        until: UnixTime,
    },
    /// Something has to be seen: what the step that was begun leads to, or what must be so before it is begun.
    Watch {
        /// The step.
        step: usize,
        /// Who does not show it, in words.
        lacking: String,
    },
    /// Nothing until a person decides.
    Halted {
        /// Why.
        why: String,
    },
    /// It is over.
    Over(Outcome),
}

/// Why a journal is none, or an event cannot follow.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum JournalFault {
    /// It does not begin with a plan.
    #[error("the journal does not begin with a plan")]
    NoPlan,
    /// A plan is carried out already.
    #[error("another plan is being carried out")]
    Busy,
    /// It is over.
    #[error("the plan is over")]
    Over,
    /// The step is not the one that is next.
    #[error("step {step} is not the one that comes next")]
    OutOfOrder {
        /// Its place.
        step: usize,
    },
    /// It is paused.
    #[error("the plan is paused: {why}")]
    Paused {
        /// Why.
        why: String,
    },
    /// It is not paused.
    #[error("the plan is not paused")]
    NotPaused,
    /// A key that the plan does not have, or that is another one already.
    #[error("key {place} of the plan is not to be made")]
    Key {
        /// Its place.
        place: usize,
    },
    /// More keys or providers than can be judged.
    #[error("{0}")]
    TooMany(String),
}

impl Run {
    /// The last run of a journal, none when nothing was ever adopted.
    ///
    /// # Errors
    /// When the entries cannot have been written in this order.
    pub fn read<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Result<Option<Self>, JournalFault> {
        let mut run: Option<Self> = None;
        for entry in entries {
            match (&mut run, &entry.event) {
                (Some(run), Event::Adopted { .. }) if !matches!(run.stage, Stage::Over(_)) => {
                    return Err(JournalFault::Busy);
                }
                (_, Event::Adopted { plan, force }) => {
                    let next = Self::adopt((**plan).clone(), force.clone(), entry.at)?;
                    run = Some(next.after(run.as_ref()));
                }
                (None, _) => return Err(JournalFault::NoPlan),
                (Some(run), _) => run.apply(entry)?,
            }
        }
        Ok(run)
    }

    /// A plan at its start.
    ///
    /// # Errors
    /// When it has more keys or providers than can be judged.
    pub fn adopt(plan: Plan, force: Option<String>, at: UnixTime) -> Result<Self, JournalFault> {
        let terms =
            gate::terms(&plan, force.is_some()).map_err(|error| JournalFault::TooMany(error.to_string()))?;
        Ok(Self {
            history: History::of(&plan),
            plan,
            force,
            stage: Stage::Running,
            done: Vec::new(),
            begun: None,
            alarm: None,
            harm: None,
            given_up: None,
            unwatched: None,
            raised: BTreeMap::new(),
            untold: None,
            was_early: false,
            reported: false,
            acted: false,
            looked: BTreeMap::new(),
            terms,
            surprises: 0,
            was_out: false,
            left_in: BTreeMap::new(),
            last: at,
        })
    }

    /// The run that follows another one of the same zone.
    pub fn after(mut self, before: Option<&Self>) -> Self {
        self.was_out = before.is_some_and(Self::is_out);
        self.left_in = before.map(|before| before.left_in.clone()).unwrap_or_default();
        for key in self.follows() {
            self.left_in.remove(&key);
        }
        self
    }

    /// When the last plan was given up that was to withdraw this key of another provider's, and none was begun since. A person
    /// does not want that by itself.
    pub fn was_left_in(&self, key: &Dnskey) -> Option<UnixTime> {
        self.left_in.get(key).copied()
    }

    /// The keys of another provider that this plan withdraws because they are gone there.
    pub fn follows(&self) -> Vec<Dnskey> {
        let Kind::Follow { gone, .. } = &self.plan.kind else {
            return Vec::new();
        };
        let known = gone.iter().filter_map(|(key, _)| self.plan.situation.key(*key));
        known.filter_map(|key| key.dnskey.clone()).collect()
    }

    /// Whether a plan took this server out of the delegation, and none has brought it back since: that others do not have
    /// our keys any more is what it was for.
    pub fn is_out(&self) -> bool {
        match (&self.stage, &self.plan.kind) {
            (Stage::Over(Outcome::Reached), Kind::Leave { provider }) if *provider == ProviderId::FIRST => {
                true
            }
            (Stage::Over(Outcome::Reached), Kind::Join { provider }) if *provider == ProviderId::FIRST => {
                false
            }
            _ => self.was_out,
        }
    }

    /// The run after one more entry.
    ///
    /// # Errors
    /// When it cannot follow what was before. Then nothing is changed.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), JournalFault> {
        self.may(&entry.event)?;
        if let Event::ClockSet { from, to, unwatched } = entry.event {
            self.move_times(&|time| moved(time, from, to));
            self.last = to;
            if unwatched {
                self.unwatched = Some((from, to));
            }
            return Ok(());
        }
        let at = entry.at.max(self.last);
        self.last = at;
        match &entry.event {
            Event::Adopted { plan, force } => {
                *self = Self::adopt((**plan).clone(), force.clone(), at)?.after(Some(self));
            }
            Event::Made { key, dnskey } => self.plan.made(*key, dnskey.clone()),
            Event::Begun { step } => {
                self.was_early = self.is_early(*step);
                self.begin_step(*step, at);
                self.untold = None;
                // Whoever said that nothing is on its way has said that all is as it was.
                let before = step.checked_sub(1).and_then(|before| self.plan.steps.get(before));
                let was_asked = before.is_some_and(|before| matches!(before.action, Action::HandedIn { .. }));
                (self.reported, self.acted) = (self.reported && was_asked, false);
            }
            Event::Reported { .. } => self.reported = true,
            Event::Seen { step } => self.see_step(*step, at),
            Event::TtlSeen { slot, ttl } => {
                self.history.raise(slot, *ttl);
                // It may have been as large ever since.
                self.untold = Some(self.plan.situation.at);
            }
            Event::Raised { lag, seconds } => self.raise(*lag, *seconds, at),
            Event::Early { step, since } => {
                self.history.come_early(&self.plan, *step, *since, at);
            }
            Event::Surprise {
                value,
                strangers,
                since,
                why,
            } => {
                self.plan.situation.keys.extend(strangers.iter().cloned());
                self.history
                    .stray(&self.plan, self.done.len(), why, value, *since, at);
                self.surprises += 1;
                let untold = self.untold.unwrap_or(UnixTime(u64::MAX));
                self.untold = Some(self.history.since(&value.slot()).unwrap_or(at).min(untold));
                if self.history.carries(&value.slot()) {
                    self.alarm = Some(why.clone());
                }
            }
            Event::Settled { value } => self.history.settled(&self.plan, self.done.len(), value, at),
            Event::Harm { story } => {
                self.harm = Some((at, story.clone()));
                self.untold = None;
            }
            Event::Paused { why } => self.stage = Stage::Paused { why: why.clone() },
            Event::Resumed => {
                self.stage = Stage::Running;
                self.alarm = None;
            }
            // Above.
            Event::ClockSet { .. } => {}
            Event::Aborted { why, as_it_is } => {
                self.stage = Stage::Over(Outcome::Aborted);
                let left_in = self.follows().into_iter().map(|key| (key, at));
                self.left_in.extend(left_in.collect::<Vec<_>>());
                self.given_up = Some(GivenUp {
                    why: why.clone(),
                    as_it_is: *as_it_is,
                });
            }
            Event::Finished => self.stage = Stage::Over(Outcome::Reached),
        }
        Ok(())
    }

    /// Whether an event can follow.
    ///
    /// # Errors
    /// When it cannot.
    pub fn may(&self, event: &Event) -> Result<(), JournalFault> {
        let next = self.done.len();
        match (&self.stage, event) {
            (Stage::Over(_), Event::Adopted { .. }) => return Ok(()),
            (Stage::Over(_), _) => return Err(JournalFault::Over),
            (_, Event::Adopted { .. }) => return Err(JournalFault::Busy),
            (Stage::Paused { why }, Event::Begun { .. } | Event::Paused { .. }) => {
                return Err(JournalFault::Paused { why: why.clone() });
            }
            (Stage::Running, Event::Resumed) => return Err(JournalFault::NotPaused),
            _ => {}
        }
        match event {
            Event::Made { key, dnskey } => {
                let known = self.plan.situation.keys.get(key.place());
                let fits =
                    known.is_some_and(|known| known.dnskey.as_ref().is_none_or(|known| known == dnskey));
                let place = key.place();
                if fits {
                    Ok(())
                } else {
                    Err(JournalFault::Key { place })
                }
            }
            Event::Begun { step }
                if *step != next || *step >= self.plan.steps.len() || self.begun.is_some() =>
            {
                Err(JournalFault::OutOfOrder { step: *step })
            }
            Event::Seen { step } | Event::Reported { step } if *step != next || self.begun.is_none() => {
                Err(JournalFault::OutOfOrder { step: *step })
            }
            Event::Early { step, .. } if *step < next || *step >= self.plan.steps.len() => {
                Err(JournalFault::OutOfOrder { step: *step })
            }
            Event::Finished if next != self.plan.steps.len() => Err(JournalFault::OutOfOrder { step: next }),
            _ => Ok(()),
        }
    }

    /// What tells this run that `to` is right where `from` was reckoned with; nothing where the run has come as far
    /// already. So nothing is told twice, whatever was interrupted.
    pub fn clock_set(&self, from: UnixTime, to: UnixTime, unwatched: bool) -> Option<Event> {
        // What was journaled is no later than this run takes it for.
        let from = from.max(self.last);
        let event = Event::ClockSet { from, to, unwatched };
        (from != to && self.may(&event).is_ok()).then_some(event)
    }

    pub(super) fn begin_step(&mut self, step: usize, at: UnixTime) {
        let read = self.plan.read_by_parent(step);
        let step = &self.plan.steps[step];
        self.history.begin(&step.what, &step.changes, at);
        self.history.begin(&step.what, read.as_slice(), at);
        self.begun = Some(at);
    }

    pub(super) fn see_step(&mut self, step: usize, at: UnixTime) {
        let step = &self.plan.steps[step];
        self.history.see(&step.what, &step.changes, at);
        let begun = self.begun.take().unwrap_or(at);
        self.done.push(Times { begun, seen: at });
    }

    /// Whether somebody has done a step, or one after it, before it was begun here.
    pub fn is_early(&self, step: usize) -> bool {
        self.history.is_early(&self.plan, step)
    }

    /// The action of the step that was begun is done. Not journaled: after a crash it is done again.
    pub fn acted(&mut self) {
        self.acted = true;
    }

    /// Keeps when each slot was last seen as it should be, so that a surprise is no older than the last look. Not
    /// journaled: after a crash a surprise counts from the last change that was.
    pub fn looked(&mut self, view: &View) {
        for (slot, sights) in &view.slots {
            let Some(course) = self.history.courses.get(slot) else {
                continue;
            };
            let expected = [course.coming(), course.expected()];
            let Some(oldest) = sights.iter().map(|sight| sight.at).min() else {
                continue;
            };
            if expected
                .iter()
                .flatten()
                .any(|value| view.shows(value, UnixTime(0)))
            {
                let place = self.looked.entry(slot.clone()).or_default();
                *place = oldest.max(*place);
            }
        }
    }
}

/// Where a time stands when a person has set the clock: no wait may look longer than it was. When it was behind, all
/// that was reckoned with it was earlier than it looked; when it was ahead, what it took for past is now at the most.
fn moved(time: UnixTime, from: UnixTime, to: UnixTime) -> UnixTime {
    if to > from {
        time.plus(to.since(from))
    } else {
        time.min(to)
    }
}

impl Run {
    fn move_times(&mut self, moved: &impl Fn(UnixTime) -> UnixTime) {
        let situation = &mut self.plan.situation;
        situation.at = moved(situation.at);
        for past in &mut situation.past {
            past.until = moved(past.until);
        }
        for first in &mut situation.first_seen {
            first.at = moved(first.at);
        }
        for wait in self.plan.steps.iter_mut().flat_map(|step| &mut step.waits) {
            if let Since::Time(time) = &mut wait.since {
                *time = moved(*time);
            }
        }
        for times in &mut self.done {
            *times = Times {
                begun: moved(times.begun),
                seen: moved(times.seen),
            };
        }
        self.begun = self.begun.map(moved);
        self.untold = self.untold.map(moved);
        for raised in self.raised.values_mut() {
            raised.at = moved(raised.at);
        }
        if let Some((told, _)) = &mut self.harm {
            *told = moved(*told);
        }
        for left_in in self.left_in.values_mut() {
            *left_in = moved(*left_in);
        }
        for looked in self.looked.values_mut() {
            *looked = moved(*looked);
        }
        self.history.move_times(moved);
    }

    /// The keys of a provider that another one is to have now, as far as the plan says anything about it.
    pub fn given(&self, provider: ProviderId, owner: ProviderId) -> Option<Vec<Dnskey>> {
        let course = self.history.courses.get(&Slot::Keys(provider))?;
        let Some(Value::Keys(_, rrset)) = course.coming().or_else(|| course.expected()) else {
            return None;
        };
        let situation = &self.plan.situation;
        let owned = rrset.keys.iter().filter_map(|key| situation.key(key));
        let owned = owned.filter(|key| key.owner == Some(owner));
        Some(owned.filter_map(|key| key.dnskey.clone()).collect())
    }

    /// Whether this is a way back that is paused, and has done nothing yet: nothing of it is there to be taken back.
    pub fn is_a_way_back_not_taken(&self) -> bool {
        let is_back = matches!(self.plan.kind, Kind::Retreat { .. });
        let is_paused = matches!(self.stage, Stage::Paused { .. });
        is_back && is_paused && self.done.is_empty() && !self.acted
    }

    /// What a step leads to: what was planned, with what nobody planned and is carried on.
    pub fn changes(&self, step: usize) -> Vec<Value> {
        let step = self.plan.steps.get(step);
        let changes = step.map_or(&[] as &[Value], |step| &step.changes);
        changes.iter().map(|value| self.history.adjusted(value)).collect()
    }

    /// What the person of a step pastes, so that nothing that came meanwhile is lost; nothing where nobody has to.
    pub fn paste(&self, step: usize) -> Vec<String> {
        let Some(Actor::Person { paste, .. }) = self.plan.steps.get(step).map(|step| &step.by) else {
            return Vec::new();
        };
        let adjusted = self.plan.pasted(step, &self.changes(step));
        adjusted.unwrap_or_else(|| paste.clone())
    }
}

impl Run {
    /// The algorithms between which this run leads, where it changes the algorithm or takes such a change back: on its way one
    /// provider signs with both while another signs with one.
    pub fn algorithms(&self) -> BTreeSet<Algorithm> {
        let mut kind = &self.plan.kind;
        while let Kind::Retreat { from } = kind {
            kind = from;
        }
        let Kind::Algorithm { old, new } = kind else {
            return BTreeSet::new();
        };
        let keys = old.iter().chain(new);
        let keys = keys.filter_map(|key| self.plan.situation.key(*key));
        keys.map(|key| key.algorithm).collect()
    }
}
