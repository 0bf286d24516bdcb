//! What to do next. Pure: the same run, view and time give the same answer.
//!
//! | a step that | begins when it is due and |
//! |---|---|
//! | only adds | the checker finds nothing wrong that was right before |
//! | takes something away, or switches | the clock is right, nothing surprised us, every server shows what the steps before led to, and the checker agrees with the measured history |
//!
//! Somebody else may be ahead, such as one who carries out a plan of their own for the same change: their step counts as
//! planned when the checker agrees, and is begun at once when its turn comes.
//!
//! With a wrong clock nothing counts as seen, for waits run from there; so at most one more step is begun, which only
//! adds.

use super::{
    super::{
        plan::{Action, Actor, Kind, Step},
        safety::{Class, ProviderId, Slot, Value},
    },
    gate::Gate,
    items::{items, same},
    run::{Event, Next, Run, Stage},
    view::{Shown, View},
};
use crate::clock::{UnixTime, guard::TOLERANCE};

/// The most surprises that a run goes along with: somebody who changes things all the time has no plan of ours.
const MOST_SURPRISES: usize = 50;
/// How old a look may be that something is taken away on, in seconds.
const FRESH: u64 = 900;
/// The largest TTL that anybody keeps anything for (RFC 8767 §4), in seconds.
const LARGEST_TTL: u64 = 604_800;

const WRONG_CLOCK: &str = "the clock cannot be trusted, so nothing is withdrawn or switched; set it, or if it is right: countersign accept clock";

impl Run {
    /// What to do now.
    pub fn next(&self, view: &View, now: UnixTime, clock_is_sane: bool) -> Next {
        if let Stage::Over(outcome) = self.stage {
            return Next::Over(outcome);
        }
        // Journaled by a clock that was ahead, of which nobody has told the run.
        if clock_is_sane
            && self.last.since(now) > TOLERANCE
            && let Some(event) = self.clock_set(now, now, false)
        {
            return Next::Journal(event);
        }
        let now = now.max(self.last);
        // What is over is over at a time that is known, or later.
        let told =
            |event: &Event| clock_is_sane || !matches!(event, Event::Settled { .. } | Event::Early { .. });
        match self.observed(view, now).filter(told) {
            Some(_) if self.surprises >= MOST_SURPRISES => {
                let why = "things change all the time that nobody planned; abort this plan, and plan anew when it is quiet";
                return Next::Halted { why: why.to_owned() };
            }
            Some(event) => return Next::Journal(event),
            None => {}
        }
        if let Some(harm) = self.harm(now) {
            return Next::Journal(harm);
        }
        let place = self.done.len();
        let Some(step) = self.plan.steps.get(place) else {
            return Next::Journal(Event::Finished);
        };
        match self.begun {
            Some(begun) => self.watch(place, step, begun, view, now, clock_is_sane),
            None => self.begin(place, step, view, now, clock_is_sane),
        }
    }

    /// A step that was begun: is it done, and seen?
    fn watch(
        &self,
        place: usize,
        step: &Step,
        begun: UnixTime,
        view: &View,
        now: UnixTime,
        sane: bool,
    ) -> Next {
        let acts = matches!(step.by, Actor::We | Actor::Api { .. });
        let mut lacking = None;
        if self.acted || !acts {
            lacking = self.lacking(step, begun, view);
            if lacking.is_none() && sane {
                return Next::Journal(Event::Seen { step: place });
            }
            // Waits run from here: a time that may lie in the past would shorten them.
            if lacking.is_none() {
                let lacking = WRONG_CLOCK.to_owned();
                return Next::Watch { step: place, lacking };
            }
        }
        if let Stage::Paused { why } = &self.stage {
            return Next::Halted { why: why.clone() };
        }
        if let Some(lacking) = lacking.filter(|_| self.acted || self.was_early) {
            return Next::Watch { step: place, lacking };
        }
        if !self.only_adds(step) {
            // After a crash, what was right when it was begun may be wrong now.
            if let Some(held_up) = self.held_up(place, sane) {
                return held_up;
            }
            if let Gate::Shut(why) = self.gate(None, false, now) {
                return Next::Halted { why };
            }
        }
        Next::Act { step: place }
    }

    /// What is not there yet of a step that was acted upon.
    fn lacking(&self, step: &Step, begun: UnixTime, view: &View) -> Option<String> {
        if let Action::Make { keys } = &step.action {
            let to_be_made = |key: &&_| {
                self.plan
                    .situation
                    .key(**key)
                    .is_none_or(|key| key.dnskey.is_none())
            };
            if keys.iter().any(|key| to_be_made(&key)) {
                return Some("the key is not made yet".to_owned());
            }
        }
        if matches!(step.action, Action::HandedIn { .. }) {
            return self.may_still_come(begun, view);
        }
        let by_person = matches!(step.by, Actor::Person { .. });
        let no_sight = step.changes.is_empty() && (by_person || matches!(step.by, Actor::Provider { .. }));
        // On the way back a sight alone is no evidence: what a registrar was given before, and has still on its way, shows
        // nowhere either.
        let on_the_way_back = by_person && matches!(self.plan.kind, Kind::Retreat { .. });
        // This server goes on answering, so nothing is seen of it.
        let we_stop = matches!(
            step.action,
            Action::Stop {
                provider: ProviderId::FIRST
            }
        );
        let by_word = no_sight || on_the_way_back || by_person && we_stop;
        if by_word && step.action != Action::Await && !self.reported {
            let zone = &self.plan.situation.zone;
            return Some(format!(
                "nobody has said that it is done; whoever did it says so: countersign done {zone}"
            ));
        }
        // Whether somebody has stopped for good, a person may say.
        let said = |value: &&Value| self.reported && matches!(value, Value::Serving(_, false));
        let values = step.changes.iter();
        let values = values.filter(|value| !said(value) && self.is_shown(&value.slot()));
        let values = values.map(|value| self.history.adjusted(value));
        values
            .filter_map(|value| Some((view.lacking(&value, begun)?, value)))
            .map(|(lacking, value)| format!("{}: {lacking}", self.slot_in_words(&value.slot())))
            .next()
    }

    /// What others were asked for, where the step is to see it come before it is taken back; with what came in between.
    fn handed_in(&self) -> Vec<Value> {
        let step = self.plan.steps.get(self.done.len());
        let values = match step.map(|step| &step.action) {
            Some(Action::HandedIn { values }) => &values[..],
            _ => &[],
        };
        values.iter().map(|value| self.history.adjusted(value)).collect()
    }

    /// Why what was handed in may still come somewhere.
    fn may_still_come(&self, begun: UnixTime, view: &View) -> Option<String> {
        let lacking = self.handed_in().iter().find_map(|value| {
            let lacking = view.lacking(value, begun)?;
            Some(format!("{}: {lacking}", self.slot_in_words(&value.slot())))
        })?;
        if self.has_begun_to_come(view).is_some() {
            return Some(lacking);
        }
        (!self.reported).then(|| {
            let zone = &self.plan.situation.zone;
            format!("{lacking}; where it was never handed in, or was taken back before it was published, say so: countersign done {zone}")
        })
    }

    /// Whether the next word of a person would say that something which was handed in cannot come: that needs a look first.
    pub fn is_asked_whether_it_comes(&self) -> bool {
        !self.handed_in().is_empty()
    }

    /// Who shows what was handed in, where somebody does. A word that it cannot come would be believed when the first server
    /// has lost it again and the last one has not got it yet.
    pub fn has_begun_to_come(&self, view: &View) -> Option<String> {
        self.handed_in().iter().find_map(|value| {
            let server = view.who_shows(value)?;
            Some(format!(
                "{}: {server} shows it",
                self.slot_in_words(&value.slot())
            ))
        })
    }

    /// Why a step that takes something away cannot be done whatever is seen.
    fn held_up(&self, place: usize, sane: bool) -> Option<Next> {
        if !sane {
            let lacking = WRONG_CLOCK.to_owned();
            return Some(Next::Watch { step: place, lacking });
        }
        let why = self.alarm.as_ref()?;
        let why = format!(
            "{why}; nothing is taken away until a person has looked: `countersign resume` goes on with what is seen now, `countersign abort` gives the plan up"
        );
        Some(Next::Journal(Event::Paused { why }))
    }

    /// A step that is not begun: is it due, and may it be?
    fn begin(&self, place: usize, step: &Step, view: &View, now: UnixTime, sane: bool) -> Next {
        if let Stage::Paused { why } = &self.stage {
            return Next::Halted { why: why.clone() };
        }
        if self.is_early(place) {
            return Next::Journal(Event::Begun { step: place });
        }
        let due = self.plan.due(place, &self.done);
        if now < due {
            return Next::Wait {
                step: place,
                until: due,
            };
        }
        let adds = self.only_adds(step);
        if !adds {
            if let Some(held_up) = self.held_up(place, sane) {
                return held_up;
            }
            let since = due.max(UnixTime(now.0.saturating_sub(FRESH)));
            if let Some(lacking) = self.unlike_expected(view, since) {
                return Next::Watch { step: place, lacking };
            }
        }
        match self.gate(Some(step), adds, now) {
            Gate::Open => Next::Journal(Event::Begun { step: place }),
            Gate::Later(until) => Next::Wait { step: place, until },
            Gate::Shut(why) => Next::Halted { why },
        }
    }

    /// What is not as the steps before left it, in words. Right before something is taken away all must be.
    fn unlike_expected(&self, view: &View, since: UnixTime) -> Option<String> {
        let courses = self.history.courses.iter();
        courses
            .filter(|(slot, _)| self.is_looked_at(slot) && self.is_shown(slot))
            .find_map(|(slot, course)| {
                let lacking = match course.expected() {
                    _ if course.stray.is_some() => Some("servers differ in what nobody planned".to_owned()),
                    Some(expected) => view.lacking(&expected, since).filter(|_| {
                        // The parent has read already what the next step lets it do, or is still to follow what was before.
                        let coming = course.coming();
                        let late = [&expected].into_iter().chain(&course.unsettled);
                        let is_late = !course.unsettled.is_empty() && view.shows_any(late, since);
                        !is_late && coming.is_none_or(|coming| !view.shows(&coming, since))
                    }),
                    None => None,
                };
                lacking.map(|lacking| format!("{}: {lacking}", self.slot_in_words(slot)))
            })
    }

    /// A provider that has stopped shows nothing any more, and whether one answers is seen by the other slots.
    fn is_looked_at(&self, slot: &Slot) -> bool {
        let provider = match slot {
            Slot::Ds | Slot::ParentNs => return true,
            Slot::Serving(_) | Slot::Cds(_) | Slot::Csync(_) => return false,
            Slot::Keys(provider) | Slot::Data(provider, _) | Slot::ChildNs(provider) => *provider,
        };
        let serving = self.history.courses.get(&Slot::Serving(provider));
        let serving = serving.and_then(|course| course.coming().or_else(|| course.expected()));
        serving != Some(Value::Serving(provider, false))
    }

    /// The signatures of CDS are shown only as long as there is a CDS.
    fn is_shown(&self, slot: &Slot) -> bool {
        let Slot::Data(provider, Class::Cds) = slot else {
            return true;
        };
        let cds = self.history.courses.get(&Slot::Cds(*provider));
        let values = cds.map_or([None, None], |course| [course.coming(), course.expected()]);
        let last = values.into_iter().flatten().next();
        matches!(last, Some(Value::Cds(_, Some(_))))
    }

    /// That a slot was given with this TTL since the plan began, where that is news: between two looks of the plan, by another
    /// look or from within.
    pub fn ttl_given(&self, slot: &Slot, ttl: u64) -> Option<Event> {
        let course = self.history.courses.get(slot)?;
        let ttl = ttl.min(LARGEST_TTL);
        let is_open = !matches!(self.stage, Stage::Over(_));
        (is_open && ttl > course.largest_ttl()).then(|| Event::TtlSeen {
            slot: slot.clone(),
            ttl,
        })
    }

    /// What the view shows that waits and gates have to count with, whatever is to be done next: larger TTLs, and what
    /// nobody planned. To be journaled, and asked for again until there is nothing more.
    pub fn noticed(&self, view: &View, now: UnixTime) -> Option<Event> {
        let is_open = !matches!(self.stage, Stage::Over(_)) && self.surprises < MOST_SURPRISES;
        self.observed(view, now.max(self.last)).filter(|event| {
            is_open
                && matches!(
                    event,
                    Event::TtlSeen { .. } | Event::Early { .. } | Event::Surprise { .. }
                )
        })
    }

    /// What the view shows that is to be journaled: larger TTLs, surprises, and their end.
    fn observed(&self, view: &View, now: UnixTime) -> Option<Event> {
        for (slot, course) in &self.history.courses {
            if !self.is_looked_at(slot) {
                continue;
            }
            let sights = view.slots.get(slot).into_iter().flatten();
            let values = || {
                sights.clone().filter_map(|sight| match &sight.shown {
                    Shown::Value(value) if value.slot() == *slot => Some((sight, value)),
                    _ => None,
                })
            };
            let largest = values().filter_map(|(_, value)| value.ttl()).max().unwrap_or(0);
            let largest = largest.min(LARGEST_TTL);
            if largest > course.largest_ttl() {
                let slot = slot.clone();
                return Some(Event::TtlSeen { slot, ttl: largest });
            }
            let lag = self.plan.situation.lag(slot);
            let odd = values().find(|(_, value)| !course.explains(value, now, lag));
            if let Some((sight, value)) = odd {
                let early = self.early(slot, value, now);
                return Some(early.unwrap_or_else(|| self.surprise(view, slot, &sight.server, value)));
            }
            let Some(stray) = &course.stray else { continue };
            let ends = [course.coming(), course.expected()];
            let late = course.unsettled.iter().cloned();
            let end = ends
                .into_iter()
                .flatten()
                .chain(late)
                .find(|value| view.shows(value, stray.noted));
            if let Some(value) = end {
                return Some(Event::Settled { value });
            }
        }
        None
    }

    /// A value that somebody else shows before the step that leads to it was begun, where that hurts nobody.
    fn early(&self, slot: &Slot, value: &Value, now: UnixTime) -> Option<Event> {
        let course = self.history.courses.get(slot)?;
        // On the way back a sight is no evidence.
        if course.stray.is_some() || matches!(self.plan.kind, Kind::Retreat { .. }) {
            return None;
        }
        let first = self.done.len() + usize::from(self.begun.is_some());
        let later = self.plan.steps.iter().enumerate().skip(first);
        let of_slot =
            later.flat_map(|(place, step)| step.changes.iter().map(move |change| (place, step, change)));
        let mut by_others = of_slot
            .filter(|(.., change)| change.slot() == *slot)
            .take_while(|(_, step, _)| !matches!(step.by, Actor::We | Actor::Api { .. }));
        let (step, ..) = by_others.find(|(.., change)| same(&course.adjusted(change), value))?;
        let since = self.fine_until(slot);
        self.allows_early(step, since, now)
            .then_some(Event::Early { step, since })
    }

    /// Until when a slot was surely as it should be, as far as this process has seen.
    fn fine_until(&self, slot: &Slot) -> UnixTime {
        let lag = self.plan.situation.lag(slot);
        let fine = self.looked.get(slot);
        UnixTime(fine.map_or(0, |fine| fine.0.saturating_sub(lag)))
    }

    fn surprise(&self, view: &View, slot: &Slot, server: &str, value: &Value) -> Event {
        let known = self.plan.situation.keys.len();
        let strangers = view.strangers.iter().filter(|(key, _)| key.place() >= known);
        Event::Surprise {
            value: value.clone(),
            strangers: strangers.map(|(_, key)| key.clone()).collect(),
            since: self.fine_until(slot),
            why: self.difference(view, slot, server, value),
        }
    }

    /// What a surprise is, in words.
    fn difference(&self, view: &View, slot: &Slot, server: &str, value: &Value) -> String {
        let course = self.history.courses.get(slot);
        let expected = course.and_then(|course| course.coming().or_else(|| course.expected()));
        let expected = expected.as_ref().map(items).unwrap_or_default();
        let shown = items(value);
        let names = |these: Vec<&super::items::Item>| -> Vec<String> {
            these
                .into_iter()
                .map(|item| self.item_in_words(view, *item))
                .collect()
        };
        let more = names(shown.difference(&expected).collect());
        let less = names(expected.difference(&shown).collect());
        let mut parts = Vec::new();
        if !more.is_empty() {
            parts.push(format!("has {}, which nobody planned", more.join(" and ")));
        }
        if !less.is_empty() {
            parts.push(format!("lacks {}", less.join(" and ")));
        }
        format!(
            "{} at {server} {}",
            self.slot_in_words(slot),
            parts.join(", and ")
        )
    }

    fn item_in_words(&self, view: &View, item: super::items::Item) -> String {
        use super::items::Item;
        let situation = &self.plan.situation;
        let label = |key: super::super::safety::KeyId| match situation.key(key) {
            Some(_) => situation.label(key),
            None => {
                let stranger = view.strangers.iter().find(|(id, _)| *id == key);
                let tag = stranger.and_then(|(_, key)| Some((key.role, key.dnskey.as_ref()?.key_tag())));
                tag.map_or("an unknown key".to_owned(), |(role, tag)| format!("{role} {tag}"))
            }
        };
        let member = |provider| {
            situation
                .member(provider)
                .map_or("?", |member| member.name.as_str())
        };
        match item {
            Item::Key(key) => label(key),
            Item::Signer(key) => format!("signatures by {}", label(key)),
            Item::Record(record) => format!("DS of {}", label(record.key)),
            Item::Member(provider) => format!("the servers of {}", member(provider)),
            Item::Wanted(key) => format!("CDS of {}", label(key)),
            Item::HasCds => "a CDS RRset".to_owned(),
            Item::HasCsync => "a CSYNC record".to_owned(),
            Item::TakesAddresses => "A and AAAA in CSYNC".to_owned(),
            Item::Answers => "answers".to_owned(),
        }
    }

    /// What people call a slot.
    pub fn slot_in_words(&self, slot: &Slot) -> String {
        self.plan.situation.slot_in_words(slot)
    }
}
