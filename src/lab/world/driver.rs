//! Our server's part: the real executor, given what is seen, and doing in the world what it says. Its journal is kept in
//! memory; when the process is killed, everything but the journal is gone.

mod act;
mod exchange;

pub(super) use exchange::is_unsafe;

use std::time::Duration;

use super::{
    chain::{Keys, Time},
    engine::{Deed, Event as WorldEvent, World},
    view::{self, Eyes, unix},
};
use crate::{
    clock::{
        UnixTime, Uptime,
        guard::{Anchor, LastGood, Reading},
    },
    dnssec::{algorithm::Algorithm, key::Dnskey, keyset::Role},
    multisigner::{
        execute::{Entry, Event, Next, Outcome, Run, Stage},
        plan::{Kind as PlanKind, Lag, Plan},
    },
};

/// How often our server looks at the others, in seconds.
const POLL: Time = 600;
/// How long after an API failed it is tried again.
const RETRY: Time = 3_600;
/// How long a person lets a paused plan stand before looking at it, at the most.
const PERSON: Time = 86_400;
/// The most entries that one look leads to: more means that it goes round in circles.
const MOST_ENTRIES: usize = 200;

/// What of the other side our server depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Habits {
    /// It is killed at every other point between journal and action.
    pub killed_often: bool,
    /// A person looks at a paused plan and lets it go on.
    pub resumes: bool,
    /// The longest time that a person takes.
    pub person: Time,
    /// A person does nothing at the registrar.
    pub registrar_never: bool,
}

/// How it stands with the plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// There is no plan.
    Idle,
    /// It goes on.
    Running,
    /// Nothing will happen by itself any more: why.
    Stopped(String),
    /// It is over.
    Over(Outcome),
}

/// Our server.
#[derive(Debug)]
pub(super) struct Driver {
    journal: Vec<Entry>,
    run: Option<Run>,
    eyes: Eyes,
    anchor: Anchor,
    /// When the process began, on the world's clock.
    born: Time,
    last_good: LastGood,
    habits: Habits,
    /// The steps that a person, the parent or a provider was asked for.
    asked: Vec<usize>,
    /// A person was told that the plan is paused.
    called: bool,
    /// Keys of others that were taken out of our DNSKEY RRset, and stay out until nobody shows them.
    withdrawn: Keys,
    /// When each key of others was last seen, in a DNSKEY RRset or as a signer.
    last_seen: Vec<UnixTime>,
    /// The plans that are through.
    pub finished: Vec<Plan>,
    last_look: Time,
    /// How often a provider was given keys that it had lost.
    given_again: u64,
    /// When our server looks again whatever happens.
    pub next_look: Option<Time>,
    /// Since when nothing changes but time.
    waits_for_nothing: bool,
    pub standing: Standing,
    /// What was said when a plan was given up and nothing of it could be taken back.
    pub no_way_back: Option<String>,
    /// The steps for which others did what they were asked for, by plan and place.
    pub handed_in: Vec<(u64, usize)>,
    /// The step at which the last plan was given up that was.
    given_up_at: Option<(u64, usize)>,
    /// How many plans were adopted.
    pub adopted: u64,
    pub restarts: u64,
}

/// A lag that is larger, by what a person says of it, than what the run reckons with.
fn raised(run: &Run, world: &World) -> Option<Event> {
    let given = |lag| match lag {
        Lag::Provider(provider) => world
            .providers
            .get(provider.place())
            .map(|known| known.propagation),
        Lag::Parent => Some(world.parent_takes()),
        Lag::Margin => None,
    };
    let mut lags = run.plan.situation.lags();
    lags.find_map(|lag| run.lag_given(lag, given(lag)?))
}

impl Driver {
    /// Our server without a plan.
    pub fn new(world: &World, habits: Habits) -> Self {
        let now = unix(world.now);
        Self {
            journal: Vec::new(),
            run: None,
            eyes: Eyes::new(world, world.keys.len()),
            anchor: Anchor::start(reading(world, 0), None),
            born: world.now,
            last_good: now.into(),
            habits,
            asked: Vec::new(),
            called: false,
            withdrawn: 0,
            last_seen: Vec::new(),
            finished: Vec::new(),
            given_again: 0,
            last_look: world.now,
            next_look: None,
            waits_for_nothing: false,
            standing: Standing::Idle,
            no_way_back: None,
            handed_in: Vec::new(),
            given_up_at: None,
            adopted: 0,
            restarts: 0,
        }
    }

    /// Adopts a plan.
    pub fn adopt(&mut self, world: &mut World, plan: Plan, force: Option<String>) {
        let (now, _) = self.time(world);
        self.eyes = Eyes::new(world, plan.situation.keys.len());
        // The new keys of others, which nobody can look up yet, are put into a file.
        if let PlanKind::Algorithm { new, .. } = &plan.kind {
            let others = !world.owned_by(0);
            let new = new.iter().fold(0, |keys, key| keys | 1 << key.place());
            world.providers[0].given |= new & others;
        }
        for (number, step) in plan.steps.iter().enumerate() {
            world.story.tell(world.now, || {
                format!("step {} is to be: {}", number + 1, step.what)
            });
        }
        let event = Event::Adopted {
            plan: Box::new(plan),
            force,
        };
        self.journal.push(Entry { at: now, event });
        self.asked.clear();
        self.adopted += 1;
        self.standing = Standing::Running;
        self.read();
    }

    /// The plan that is carried out, or was last.
    pub fn plan(&self) -> Option<&Plan> {
        self.run.as_ref().map(|run| &run.plan)
    }

    /// Whether nothing more will come of it by itself.
    pub fn is_at_rest(&self, world: &World) -> bool {
        self.standing != Standing::Running && self.next_look.is_none_or(|next| next <= world.now)
    }

    /// Whether it goes on and has nothing to do by itself.
    pub fn waits_for_others(&self) -> bool {
        self.standing == Standing::Running && self.next_look.is_none()
    }

    /// Looks again within this time.
    pub fn look_within(&mut self, world: &mut World, delay: Time) {
        self.look_again(world, delay);
    }

    fn read(&mut self) {
        self.run = Run::read(&self.journal).expect("what was journaled can be read");
    }

    /// How many steps were seen, of how many.
    pub fn progress(&self) -> (usize, usize) {
        let run = self.run.as_ref();
        run.map_or((0, 0), |run| (run.done.len(), run.plan.steps.len()))
    }

    /// The process dies, and another one reads the journal.
    pub fn restart(&mut self, world: &mut World) {
        world
            .story
            .tell(world.now, || "our server is killed, and started again".to_owned());
        // It has kept the time until this moment.
        self.time(world);
        self.restarts += 1;
        self.born = world.now;
        // Every other time it is another machine, which knows nothing of how long the one before ran.
        self.anchor = Anchor::start(reading(world, self.restarts / 2), Some(self.last_good));
        let judgement = self.anchor.judge(wall(world), Duration::ZERO);
        if judgement.fault.is_none() && !judgement.counts() {
            self.tell_clock(world, judgement.counted, judgement.trusted);
        }
        self.read();
    }

    /// Time that nobody knows to have passed does not count.
    fn tell_clock(&mut self, world: &mut World, from: UnixTime, to: UnixTime) {
        let at_last = Run::read(&self.journal).expect("what was journaled can be read");
        let event = at_last.and_then(|run| run.clock_set(from, to, true));
        self.journal.extend(event.map(|event| Entry { at: to, event }));
        let now = reading(world, self.restarts / 2);
        self.last_good = LastGood {
            at: to,
            uptime: now.uptime,
        };
        self.anchor = Anchor::start(now, Some(self.last_good));
        world.story.tell(world.now, || {
            format!("the time from {from} to {to} does not count, for nobody knows what of it has passed")
        });
    }

    /// At some points between journal and action the process dies.
    fn may_die(&mut self, world: &mut World) -> bool {
        let dies = self.habits.killed_often && world.random.one_in(3);
        if dies {
            self.restart(world);
        }
        dies
    }

    /// The time that our server goes by, and whether its clock can be trusted.
    fn time(&mut self, world: &World) -> (UnixTime, bool) {
        let steady = Duration::from_secs(world.now - self.born);
        let wall = wall(world);
        let judgement = self.anchor.judge(wall, steady);
        if judgement.counts() && wall > self.last_good.at {
            let Reading { uptime, .. } = reading(world, self.restarts / 2);
            self.last_good = LastGood { at: wall, uptime };
        }
        (judgement.counted, judgement.counts())
    }

    /// Looks at everything, and does what is to be done. What a provider has lost it is given again only when the
    /// executor has seen that it was lost: servers that nobody sees from here show it for longer.
    pub fn look(&mut self, world: &mut World) {
        self.next_look = None;
        world.changed = false;
        let (now, sane) = self.time(world);
        self.exchange(world, now);
        if matches!(self.standing, Standing::Idle | Standing::Over(_)) && sane {
            self.follow(world);
        }
        if self.standing == Standing::Running {
            self.look_at_servers(world, now);
            self.take_raised(world, now);
            self.go_on(world, now, sane);
        }
        self.give_again(world);
        // What a provider is given again is something that is still to come.
        let comes = world.pending > 0 || self.next_look.is_some();
        if comes && matches!(self.standing, Standing::Stopped(_)) {
            self.standing = Standing::Running;
            self.waits_for_nothing = false;
        }
    }

    /// What a person says of the others' propagation now.
    fn take_raised(&mut self, world: &mut World, now: UnixTime) {
        while let Some(event) = self.run.as_ref().and_then(|run| raised(run, world)) {
            self.journal(world, now, event);
        }
    }

    fn go_on(&mut self, world: &mut World, now: UnixTime, sane: bool) {
        let restarts = self.restarts;
        for _ in 0..MOST_ENTRIES {
            let Some(run) = &mut self.run else { return };
            if self.restarts != restarts {
                run.looked(&self.eyes.view);
            }
            match run.next(&self.eyes.view, now, sane) {
                Next::Journal(event) => self.journal(world, now, event),
                Next::Act { step } => {
                    if !self.may_die(world) && !self.act(world, step, now) {
                        self.look_again(world, RETRY);
                        return;
                    }
                    // What it did is seen at once where it is ours.
                    self.eyes.look(world, now);
                }
                Next::Wait { until, step } => {
                    world.story.tell(world.now, || {
                        let at = until.0.saturating_sub(view::EPOCH);
                        format!("waits until {} before step {}", super::story::clock(at), step + 1)
                    });
                    return self.look_again(world, until.0.saturating_sub(now.0).max(1));
                }
                Next::Watch { step, lacking } => {
                    world
                        .story
                        .tell(world.now, || format!("step {} is watched: {lacking}", step + 1));
                    return self.stand(world, format!("step {}: {lacking}", step + 1));
                }
                Next::Halted { why } => {
                    world
                        .story
                        .tell(world.now, || format!("the plan is halted: {why}"));
                    self.call_person(world);
                    return self.stand(world, why);
                }
                Next::Over(outcome) => {
                    self.finished.extend(self.plan().cloned());
                    self.standing = Standing::Over(outcome);
                    return;
                }
            }
        }
        panic!("the executor goes round in circles: {:?}", self.journal.last());
    }

    /// Our server looks all the while; here only the looks count between which something changed: the last one before
    /// the change, and this one.
    fn look_at_servers(&mut self, world: &mut World, now: UnixTime) {
        if let (Some(run), Some(change)) = (&mut self.run, world.first_change.take()) {
            let before = change
                .saturating_sub(1 + world.random.below(POLL))
                .max(self.last_look.min(change));
            let ago = world.now.saturating_sub(before);
            self.eyes.was_at(UnixTime(now.0.saturating_sub(ago)));
            run.looked(&self.eyes.view);
        }
        self.last_look = world.now;
        self.eyes.look(world, now);
        if let Some(run) = &mut self.run {
            run.looked(&self.eyes.view);
        }
    }

    fn look_again(&mut self, world: &mut World, delay: Time) {
        let at = world.now + delay;
        if self.next_look.is_none_or(|next| at < next) {
            self.next_look = Some(at);
            world.queue.at(at, WorldEvent::Look);
        }
    }

    /// Nothing is to be done now. When nothing is to come in the world either, the run is where it stays.
    fn stand(&mut self, world: &mut World, why: String) {
        if world.pending > 0 || self.next_look.is_some() {
            self.waits_for_nothing = false;
            return;
        }
        if self.waits_for_nothing {
            self.standing = Standing::Stopped(why);
            return;
        }
        // Time alone may still open a gate: one more look, when all that is held has run out.
        self.waits_for_nothing = true;
        self.look_again(world, 14 * 86_400);
    }

    fn journal(&mut self, world: &mut World, now: UnixTime, event: Event) {
        world.story.tell(world.now, || match &event {
            Event::Begun { step } => format!("step {} is begun", step + 1),
            Event::Seen { step } => format!("step {} is seen at every server", step + 1),
            Event::TtlSeen { ttl, slot } => format!("a larger TTL is seen: {ttl} ({slot:?})"),
            Event::Raised { lag, seconds } => format!("a lag is larger: {seconds} ({lag:?})"),
            Event::Early { step, .. } => format!("step {} is done already", step + 1),
            Event::Surprise { why, .. } => format!("a surprise: {why}"),
            Event::Settled { .. } => "every server shows one value again".to_owned(),
            Event::Harm { story } => format!("what nobody planned was seen by resolvers: {story}"),
            Event::Paused { why } => format!("the plan is paused: {why}"),
            Event::Resumed => "a person lets the plan go on".to_owned(),
            Event::Finished => "the plan is through".to_owned(),
            Event::Made { .. } => "a key is made".to_owned(),
            Event::ClockSet { from, to, .. } => {
                format!("the plan is told that the clock was set from {from} to {to}")
            }
            Event::Adopted { .. } | Event::Reported { .. } | Event::Aborted { .. } => {
                "a person speaks".to_owned()
            }
        });
        let entry = Entry { at: now, event };
        if let Some(run) = &mut self.run {
            run.apply(&entry).expect("the executor asked for this entry");
        }
        self.journal.push(entry);
        self.may_die(world);
    }

    /// A person's word, where it can be said now.
    fn say(&mut self, world: &mut World, event: Event) {
        let (now, _) = self.time(world);
        let may = self.run.as_ref().is_some_and(|run| run.may(&event).is_ok());
        if may {
            self.journal(world, now, event);
            self.look(world);
        }
    }

    pub fn reported(&mut self, world: &mut World, step: usize) {
        self.say(world, Event::Reported { step });
    }

    fn call_person(&mut self, world: &mut World) {
        let paused = self
            .run
            .as_ref()
            .is_some_and(|run| matches!(run.stage, Stage::Paused { .. }));
        if paused && self.habits.resumes && !self.called {
            self.called = true;
            let delay = 1 + world.random.below(PERSON);
            world.later(delay, Deed::Resume);
        }
    }

    /// A person gives the plan up: what it did is taken back by a plan of its own, where that hurts nobody.
    pub fn give_up(&mut self, world: &mut World) {
        let Some(run) = self.run.as_ref().filter(|_| self.standing == Standing::Running) else {
            return;
        };
        let run = run.clone();
        self.given_up_at = Some((self.adopted, run.done.len()));
        let (now, _) = self.time(world);
        world
            .story
            .tell(world.now, || "a person gives the plan up".to_owned());
        let why = "to see what comes of it".to_owned();
        self.journal(world, now, Event::Aborted { why, as_it_is: false });
        self.eyes.look(world, now);
        let back = run.way_back(Some(&self.eyes.view), now);
        let back = back.map_err(|error| error.to_string()).and_then(|plan| {
            let why = exchange::is_unsafe(&plan);
            why.map_or(Ok(plan), |why| {
                Err(format!("the way back is not safe now: {why}"))
            })
        });
        match back {
            Ok(plan) => {
                self.adopt(world, plan, None);
                self.look(world);
            }
            Err(why) => {
                world
                    .story
                    .tell(world.now, || format!("nothing is taken back: {why}"));
                self.standing = Standing::Over(Outcome::Aborted);
                self.no_way_back = Some(why);
                self.adopted += 1;
            }
        }
    }

    pub fn resume(&mut self, world: &mut World) {
        self.called = false;
        self.say(world, Event::Resumed);
    }
}

/// What the clocks of a machine show to a process that begins.
fn reading(world: &World, machine: u64) -> Reading {
    let lasts = Duration::from_secs(world.now);
    Reading {
        wall: wall(world),
        steady: Duration::ZERO,
        uptime: Some(Uptime { of: machine, lasts }),
    }
}

/// What our clock shows.
fn wall(world: &World) -> UnixTime {
    UnixTime(unix(world.now).0.saturating_add_signed(world.skew))
}

/// A key that nobody has the private half of.
pub(super) fn dnskey(number: &u64, role: Role, algorithm: u8) -> Dnskey {
    let flags = if role == Role::Zsk { 256 } else { 257 };
    let mut public_key = [7; 64];
    public_key[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    Dnskey::new(flags, Algorithm(algorithm), &public_key)
}
