//! The measured history of a run: what each slot served from when to when, as it was seen, and not as it was planned.
//!
//! What nobody planned is a stray: a value that some server shows and that neither the plan nor an earlier stray
//! explains. From the last look at which all was well until every server shows one value again, both the old and the
//! new one count as served. What differs is carried on: a key that the other provider added stays in what is expected
//! of its DNSKEY RRset in all later steps. What the plan itself still needs is never given up in that way: it has to
//! come back before anything is taken away.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{
        plan::{Action, Past, Plan, Step},
        safety::{Change, Seconds, Slot, Timeline, TooMany, Value},
    },
    items::{Item, items, made_of, raise_ttl, same},
};
use crate::clock::UnixTime;

/// A change that took place.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Measured {
    at: UnixTime,
    what: String,
    value: Value,
    /// When every server showed it. Until then the old value counts as served, too.
    settled: Option<UnixTime>,
}

/// A value that nobody planned, and that not every server shows, or not yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Stray {
    pub value: Value,
    /// What was expected before.
    old: Option<Value>,
    /// From when on it may have been served.
    pub since: UnixTime,
    /// When it was found.
    pub noted: UnixTime,
    /// Its changes in the list of all.
    places: Vec<usize>,
}

/// A value that some server may show, and not every one yet.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Coming {
    value: Value,
    /// Its changes in the list of all.
    places: Vec<usize>,
    /// The step that leads to it, where it came before that was begun.
    early: Option<usize>,
    /// What came just before, and may still be shown here and there.
    passed: Vec<Value>,
}

/// One slot.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Course {
    /// What the plan has it serve.
    planned: Option<Value>,
    /// What the step that was begun has it serve, or one that somebody has done early.
    coming: Option<Coming>,
    /// What it served before the last change, and when that change was seen.
    before: Option<(Value, UnixTime)>,
    /// What it may serve instead until a step changes it: what was changed before the plan began was not seen everywhere.
    pub unsettled: Vec<Value>,
    added: BTreeSet<Item>,
    removed: BTreeSet<Item>,
    pub stray: Option<Stray>,
    /// The largest TTL that it was seen with.
    largest_ttl: Seconds,
    /// When the last change of it began.
    last_change: UnixTime,
}

impl Course {
    /// A value of the plan with what nobody planned.
    pub fn adjusted(&self, value: &Value) -> Value {
        if self.added.is_empty() && self.removed.is_empty() {
            return value.clone();
        }
        let mut all = items(value);
        all.extend(self.added.iter().copied());
        all.retain(|item| !self.removed.contains(item));
        made_of(value, &all)
    }

    /// What is expected, once everything that was begun is seen: the plan's value with what nobody planned.
    pub fn expected(&self) -> Option<Value> {
        self.planned.as_ref().map(|value| self.adjusted(value))
    }

    /// What the step that was begun leads to, or one that somebody has done early.
    pub fn coming(&self) -> Option<Value> {
        self.coming.as_ref().map(|coming| self.adjusted(&coming.value))
    }

    /// What a step leads to here: its value, with what nobody planned. Where somebody is ahead of the step already, what
    /// they have done: there is no way back to its own.
    fn led_to(&self, value: &Value) -> Value {
        let ahead = self.coming.as_ref().filter(|coming| coming.early.is_some());
        self.adjusted(ahead.map_or(value, |ahead| &ahead.value))
    }

    /// Whether a server may show this now without a word about it.
    pub fn explains(&self, shown: &Value, now: UnixTime, lag: Seconds) -> bool {
        let unchanged = self.added.is_empty() && self.removed.is_empty();
        if unchanged && self.planned.as_ref().is_some_and(|planned| same(planned, shown)) {
            return true;
        }
        let lasts = |(_, seen): &&(Value, UnixTime)| now.since(*seen).as_secs() <= lag;
        let old = self.before.iter().filter(lasts);
        let plain = self.stray.is_some() || self.coming.is_some();
        let planned = self.planned.as_ref().filter(|_| plain);
        let known = [self.expected(), self.coming()];
        known
            .iter()
            .flatten()
            .chain(planned)
            .chain(old.map(|(value, _)| value))
            .chain(
                self.coming
                    .iter()
                    .flat_map(|coming| coming.passed.iter().chain([&coming.value])),
            )
            .chain(&self.unsettled)
            .chain(
                self.stray
                    .iter()
                    .flat_map(|stray| stray.old.iter().chain([&stray.value])),
            )
            .any(|value| same(value, shown))
    }

    /// The largest TTL with which caches may have got it.
    pub fn largest_ttl(&self) -> Seconds {
        let planned = self.planned.as_ref().and_then(Value::ttl).unwrap_or(0);
        let coming = self.coming.as_ref();
        let coming = coming.and_then(|coming| coming.value.ttl()).unwrap_or(0);
        self.largest_ttl.max(planned).max(coming)
    }

    /// Carries on what a stray value has more or less than what is planned. `needed`: what must come back.
    fn differ(&mut self, shown: &Value, needed: impl Fn(&Item) -> bool) {
        let shown = items(shown);
        let planned = self.planned.as_ref().map(items).unwrap_or_default();
        let coming = self.coming.as_ref().map(|coming| items(&coming.value));
        let coming = coming.unwrap_or_else(|| planned.clone());
        let more = |item: &&Item| !planned.contains(item) && !coming.contains(item);
        self.added = shown.iter().filter(more).copied().collect();
        let less = planned.intersection(&coming).filter(|item| !shown.contains(item));
        self.removed = less.filter(|item| !needed(item)).copied().collect();
    }
}

/// All slots.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct History {
    pub courses: BTreeMap<Slot, Course>,
    changes: Vec<Measured>,
}

impl History {
    /// What a plan starts from.
    pub fn of(plan: &Plan) -> Self {
        let situation = &plan.situation;
        let handed_in = plan.steps.iter().flat_map(|step| match &step.action {
            Action::HandedIn { values } => &values[..],
            _ => &[],
        });
        let handed_in: BTreeSet<Slot> = handed_in.map(Value::slot).collect();
        let is_late = |slot: &Slot| match slot {
            // The parent follows in its own time, or not at all.
            Slot::Ds => true,
            Slot::ParentNs if situation.parent.reads_csync => true,
            slot => handed_in.contains(slot),
        };
        let course = |value: &Value| Course {
            planned: Some(value.clone()),
            last_change: situation.at,
            unsettled: if is_late(&value.slot()) {
                situation.unsettled(&value.slot()).cloned().collect()
            } else {
                Vec::new()
            },
            ..Course::default()
        };
        let serves = situation.serves.iter();
        Self {
            courses: serves.map(|value| (value.slot(), course(value))).collect(),
            changes: Vec::new(),
        }
    }

    fn change(&mut self, at: UnixTime, what: &str, value: Value, settled: Option<UnixTime>) -> usize {
        let what = what.to_owned();
        self.changes.push(Measured {
            at,
            what,
            value,
            settled,
        });
        self.changes.len() - 1
    }

    fn settle(&mut self, places: &[usize], at: UnixTime) {
        for place in places {
            if let Some(change) = self.changes.get_mut(*place) {
                change.settled.get_or_insert(at);
            }
        }
    }

    /// A step is begun.
    pub fn begin(&mut self, what: &str, values: &[Value], at: UnixTime) {
        for value in values {
            let course = self.courses.entry(value.slot()).or_default();
            // The parent may have begun before, when it could read what it was to do, and others by themselves.
            if let Some(coming) = &mut course.coming {
                if same(&coming.value, value) {
                    coming.value = value.clone();
                    coming.early = None;
                    continue;
                }
                if coming.early.is_some() {
                    continue;
                }
            }
            let adjusted = course.adjusted(value);
            course.last_change = at;
            let place = self.change(at, what, adjusted, None);
            if let Some(course) = self.courses.get_mut(&value.slot()) {
                course.coming = Some(Coming {
                    value: value.clone(),
                    places: vec![place],
                    early: None,
                    passed: Vec::new(),
                });
            }
        }
    }

    /// Somebody has done what a later step leads to.
    pub fn come_early(&mut self, plan: &Plan, step: usize, since: UnixTime, noted: UnixTime) {
        let Step { what, changes, .. } = &plan.steps[step];
        for value in changes {
            let course = self.courses.entry(value.slot()).or_default();
            let since = since.max(course.last_change).min(noted);
            course.last_change = since;
            let adjusted = course.adjusted(value);
            let before = course.coming.take();
            let (mut places, mut passed) = before.map_or_else(Default::default, |before| {
                let passed = [before.passed, vec![before.value]].concat();
                (before.places, passed)
            });
            passed.retain(|passed| !same(passed, value));
            places.push(self.change(since, what, adjusted, None));
            if let Some(course) = self.courses.get_mut(&value.slot()) {
                course.coming = Some(Coming {
                    value: value.clone(),
                    places,
                    early: Some(step),
                    passed,
                });
            }
        }
    }

    /// Whether all that a step leads to, or what comes after it in the same places, has come before it was begun.
    pub fn is_early(&self, plan: &Plan, step: usize) -> bool {
        let changes = plan.steps.get(step).map_or(&[] as &[Value], |step| &step.changes);
        let early = |value: &Value| {
            let course = self.courses.get(&value.slot());
            let coming = course.and_then(|course| course.coming.as_ref());
            coming.is_some_and(|coming| coming.early.is_some_and(|ahead| ahead >= step))
        };
        !changes.is_empty() && changes.iter().all(early)
    }

    /// The step that was begun is seen everywhere.
    pub fn see(&mut self, what: &str, values: &[Value], at: UnixTime) {
        for value in values {
            let Some(mut course) = self.courses.remove(&value.slot()) else {
                continue;
            };
            // Somebody is ahead already: what they did is seen with its own step.
            if course
                .coming
                .as_ref()
                .is_some_and(|coming| coming.early.is_some())
            {
                self.courses.insert(value.slot(), course);
                continue;
            }
            let mut places = course
                .coming
                .take()
                .map(|coming| coming.places)
                .unwrap_or_default();
            if let Some(stray) = course.stray.take() {
                // What came in between is over with this.
                places.extend(stray.places);
            }
            // A stray that came after the step began stands behind it in the list; now the step's value is the last.
            let again = self
                .changes
                .iter()
                .rev()
                .find(|change| change.value.slot() == value.slot());
            let adjusted = course.adjusted(value);
            let again = again
                .filter(|change| !same(&change.value, &adjusted))
                .map(|change| change.at);
            if let Some(since) = again {
                places.push(self.change(since, what, adjusted, None));
            }
            self.settle(&places, at);
            let old = course.expected();
            course.before = old.map(|old| (old, at));
            course.planned = Some(value.clone());
            course.unsettled.clear();
            self.courses.insert(value.slot(), course);
        }
    }

    /// Some server shows what nobody planned.
    pub fn stray(
        &mut self,
        plan: &Plan,
        left: usize,
        why: &str,
        value: &Value,
        since: UnixTime,
        noted: UnixTime,
    ) {
        let slot = value.slot();
        let mut course = self.courses.remove(&slot).unwrap_or_default();
        let since = since.max(course.last_change).min(noted);
        let old = course.expected();
        course.differ(value, |item| needed(plan, left, &slot, item));
        let place = self.change(since, why, value.clone(), None);
        let mut places = course.stray.take().map(|stray| stray.places).unwrap_or_default();
        places.push(place);
        course.last_change = since;
        course.stray = Some(Stray {
            value: value.clone(),
            old,
            since,
            noted,
            places,
        });
        self.courses.insert(slot, course);
    }

    /// From when on the stray value of a slot may have been served.
    pub fn since(&self, slot: &Slot) -> Option<UnixTime> {
        Some(self.courses.get(slot)?.stray.as_ref()?.since)
    }

    /// What was begun in a slot never came, and nobody asks for it any more.
    pub fn never_came(&mut self, slot: &Slot, at: UnixTime) {
        let Some(course) = self.courses.get_mut(slot) else {
            return;
        };
        let (Some(coming), Some(stays)) = (course.coming.take(), course.expected()) else {
            return;
        };
        for place in coming.places {
            if let Some(change) = self.changes.get_mut(place) {
                change.value = stays.clone();
                change.settled = Some(at);
            }
        }
    }

    /// Whether the stray value of a slot is carried on, and not only waited out.
    pub fn carries(&self, slot: &Slot) -> bool {
        let course = self.courses.get(slot);
        course.is_some_and(|course| !course.added.is_empty() || !course.removed.is_empty())
    }

    /// Every server shows one value of the slot again.
    pub fn settled(&mut self, plan: &Plan, left: usize, value: &Value, at: UnixTime) {
        let slot = value.slot();
        let Some(mut course) = self.courses.remove(&slot) else {
            return;
        };
        if let Some(stray) = course.stray.take() {
            let mut places = stray.places;
            if !same(&stray.value, value) {
                let what = "the value before is seen everywhere again";
                places.push(self.change(stray.since, what, value.clone(), None));
            }
            self.settle(&places, at);
            course.before = Some((stray.value, at));
            course.differ(value, |item| needed(plan, left, &slot, item));
        }
        self.courses.insert(slot, course);
    }

    /// Every time that is known is another one.
    pub fn move_times(&mut self, moved: &impl Fn(UnixTime) -> UnixTime) {
        for change in &mut self.changes {
            change.at = moved(change.at);
            change.settled = change.settled.map(moved);
        }
        for course in self.courses.values_mut() {
            course.last_change = moved(course.last_change);
            if let Some((_, seen)) = &mut course.before {
                *seen = moved(*seen);
            }
            if let Some(stray) = &mut course.stray {
                (stray.since, stray.noted) = (moved(stray.since), moved(stray.noted));
            }
        }
    }

    /// A slot is seen with a larger TTL.
    pub fn raise(&mut self, slot: &Slot, ttl: Seconds) {
        let course = self.courses.entry(slot.clone()).or_default();
        course.largest_ttl = course.largest_ttl.max(ttl);
    }

    /// The history as the safety checker takes it, and one more step at its end.
    ///
    /// # Errors
    /// When there are more keys or providers than a timeline holds.
    pub fn timeline(
        &self,
        plan: &Plan,
        then: Option<(UnixTime, &str, &[Value])>,
    ) -> Result<Timeline, TooMany> {
        let mut timeline = plan.timeline(&[])?;
        let lag = |slot: &Slot| plan.situation.lag(slot);
        for change in &self.changes {
            let took = change
                .settled
                .map_or(Seconds::MAX, |settled| settled.since(change.at).as_secs());
            let lag = took.saturating_add(lag(&change.value.slot()));
            let value = change.value.clone();
            timeline.add_step(change.at, &change.what, vec![Change { value, lag }]);
        }
        if let Some((at, what, values)) = then {
            let changes = values.iter().map(|value| Change {
                value: self.adjusted(value),
                lag: lag(&value.slot()),
            });
            let changes = changes.collect();
            timeline.add_step(at, what, changes);
        }
        let steps = timeline.steps.iter_mut().flat_map(|step| &mut step.changes);
        let values = timeline
            .initial
            .iter_mut()
            .chain(steps.map(|change| &mut change.value));
        for value in values {
            if let Some(course) = self.courses.get(&value.slot()) {
                raise_ttl(value, course.largest_ttl);
            }
        }
        Ok(timeline)
    }

    /// The last value of every slot, and those before it with the times until which they were given. What is not
    /// settled may be given until now.
    pub fn course_of_all(&self, plan: &Plan, now: UnixTime) -> (Vec<Value>, Vec<Past>) {
        let mut current: BTreeMap<Slot, Value> = BTreeMap::new();
        for value in &plan.situation.serves {
            current.insert(value.slot(), value.clone());
        }
        let mut past = Vec::new();
        for change in &self.changes {
            let value = change.value.clone();
            if let Some(before) = current.insert(value.slot(), value) {
                let until = change.settled.unwrap_or(now);
                past.push(Past { value: before, until });
            }
        }
        // What came in between takes nothing of what is on its way: keys that a set was to get are there for all that is known.
        for course in self.courses.values() {
            let coming = course.coming.as_ref().map(|coming| &coming.value);
            if let (Some(Value::Keys(provider, then)), Some(Value::Keys(_, before))) =
                (coming, &course.planned)
                && let Some(Value::Keys(_, now)) = current.get_mut(&Slot::Keys(*provider))
            {
                now.keys = now.keys.union(then.keys.without(before.keys));
            }
        }
        let raise = |value: &mut Value| {
            if let Some(course) = self.courses.get(&value.slot()) {
                raise_ttl(value, course.largest_ttl);
            }
        };
        let mut serves: Vec<Value> = current.into_values().collect();
        // CSYNC that is to go is there for all that anybody knows, until it was seen that it is not.
        for value in serves
            .iter_mut()
            .filter(|value| matches!(value, Value::Csync(_, None)))
        {
            let course = self.courses.get(&value.slot());
            let leaving = course.filter(|course| course.coming.is_some());
            if let Some(there) = leaving.and_then(Course::expected) {
                *value = there;
            }
        }
        serves.iter_mut().for_each(raise);
        past.iter_mut().for_each(|past| raise(&mut past.value));
        past.sort_by_key(|past| past.until);
        (serves, past)
    }

    /// What a planned value comes to: with what nobody planned, and where somebody is ahead of it, what they have done.
    pub fn adjusted(&self, value: &Value) -> Value {
        let course = self.courses.get(&value.slot());
        course.map_or_else(|| value.clone(), |course| course.led_to(value))
    }
}

/// Whether an item that was lost has to come back. A key of ours has, until the step that takes it away is done: what is
/// signed with it is held longer than the key. Other items have when the plan needs them to the end. Another provider's
/// keys are its own matter.
fn needed(plan: &Plan, left: usize, slot: &Slot, item: &Item) -> bool {
    let foreign = |key| {
        let owner = plan.situation.key(key).and_then(|key| key.owner);
        owner.is_none_or(|owner| owner.place() != 0)
    };
    match item {
        Item::Key(key) | Item::Signer(key) | Item::Wanted(key) if foreign(*key) => return false,
        Item::Record(record) if foreign(record.key) => return false,
        Item::Key(_) => return true,
        _ => {}
    }
    let last = plan
        .steps
        .iter()
        .skip(left)
        .flat_map(|step| &step.changes)
        .rfind(|value| value.slot() == *slot);
    // What no later step touches is needed as it is.
    last.is_none_or(|value| items(value).contains(item))
}
