//! Plans that are carried out: what is seen is asked, what is to be done is asked of the run, journaled, and done.
//!
//! ```text
//! look (every server) ─► view ─┐
//! journal ────────► run ───────┴─► next ─► journaled ─► hands: keys, a provider's API, nothing (a person, time)
//! ```
//!
//! Everything that is decided is decided in `multisigner::execute`. A zone has one run at a time; what belongs to it is
//! done in its turn, one thing after the other.

mod abort;
mod act;
mod clock;
mod elsewhere;
mod follow;
mod look;
mod named;
mod notice;
mod orders;
mod report;
mod samples;
mod targets;
#[cfg(test)]
mod tests;
mod to_have;
mod wanted;
mod warned;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use clock::accept_clock;
use elsewhere::Pace;
pub use orders::order;
use to_have::Leads;
pub(super) use to_have::{leads_here, see_where_the_parent_leads};
use warned::Warned;

use super::{reckon::reckon, server::Server, zones::causes};
use crate::{
    clock::{Clock, UnixTime},
    config::{Config, ZoneSettings},
    dnssec::key::Dnskey,
    multisigner::{
        execute::{
            DsAhead, Entry, Event, Next, Run, Stage, View,
            journal::{RunJournal as _, RunJournalError, last_run},
        },
        survey::Difference,
    },
    wire::Name,
};

/// How often it is seen whether something is due.
const BEAT: Duration = Duration::from_millis(250);
/// The pause before servers that lag are looked at again, the first time; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two looks while something is waited for that has to be seen.
const LONGEST_WATCH: Duration = Duration::from_secs(60);
/// How often is looked for surprises while time has to pass.
const ROUTINE: Duration = Duration::from_secs(300);
/// What the margin is at the least of two looks: what comes in between is not known to the second, and counts as if it had
/// come right after the first one.
const LOOKS_IN_MARGIN: u64 = 8;
/// How long nothing is tried after the journal could not be written.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// How many zones are gone on with at the same time.
const MOST_AT_ONCE: usize = 8;
/// The most that is done in one go: more is a circle.
const MOST_IN_ONE_GO: usize = 64;

/// What is known of a zone's plan.
#[derive(Clone, Debug, Default)]
struct Known {
    /// The last run; none when there never was one.
    run: Option<Run>,
    /// Why the journal cannot be used.
    fault: Option<String>,
    /// When it is read again, by steady time, where it was the store that failed.
    read_again: Option<Duration>,
    /// What it rests on, in words.
    rests: Option<Rest>,
    /// What came of telling the parent that CDS or CSYNC has changed, in words.
    told: Option<String>,
    /// When it is to be gone on with, by steady time.
    due: Duration,
    /// The pause after the next look that shows nothing new.
    pause: Duration,
    /// When keys that are gone at a provider are looked for again.
    follow_due: Duration,
    /// Keys that are gone at a provider, each with the time since when that is known.
    gone: BTreeMap<Dnskey, UnixTime>,
    /// Why keys that are gone at a provider are not withdrawn here by themselves.
    not_followed: Vec<Warned>,
    /// When all servers were last looked at, and how long a change may take to all of them.
    looked: UnixTime,
    lag: Duration,
    /// Where the parent leads.
    leads: Leads,
    /// What servers did not show alike by every way at that look, each by what it is about, with the time since when.
    differences: BTreeMap<String, (Difference, UnixTime)>,
}

/// What a run rests on.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Rest {
    /// What is waited for, in words.
    why: String,
    /// Until when, where that is a matter of time.
    until: Option<UnixTime>,
    /// Since when it is so.
    at: UnixTime,
    /// Whether a person has to do something.
    halted: bool,
}

/// The plans of all zones.
#[derive(Debug, Default)]
pub struct Plans {
    known: Mutex<BTreeMap<Name, Known>>,
    turns: Mutex<BTreeMap<Name, Arc<tokio::sync::Mutex<()>>>>,
    targets: Mutex<BTreeMap<Name, targets::Everybody>>,
    places: elsewhere::Places,
    samples: samples::Samples,
    named: Mutex<BTreeMap<Name, named::Lately>>,
    /// Why runs could not be told of time that nobody knows to have passed.
    unsettled: Mutex<Option<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Plans {
    fn turn(&self, zone: &Name) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(lock(&self.turns).entry(zone.clone()).or_default())
    }

    /// The run of a zone that is not over.
    fn active(&self, zone: &Name) -> Option<Run> {
        let known = lock(&self.known);
        let run = known.get(zone)?.run.as_ref()?;
        (!matches!(run.stage, Stage::Over(_))).then(|| run.clone())
    }

    /// The goals of the runs that are not over, in words.
    pub(super) fn at_work(&self) -> BTreeMap<Name, String> {
        let known = lock(&self.known);
        let at_work = known.iter().filter(|(_, known)| known.is_active());
        let goals = at_work.filter_map(|(zone, known)| Some((zone.clone(), known.run.as_ref()?.plan.goal())));
        goals.collect()
    }

    /// Has the runs that reckon with smaller times than this configuration gives take them at once.
    pub(super) fn take_raised(&self, config: &Config) {
        for known in lock(&self.known).values_mut().filter(|known| known.is_active()) {
            let run = known.run.as_ref();
            if run.is_some_and(|run| look::raised_lag(config, run).is_some()) {
                known.due = Duration::ZERO;
            }
        }
    }

    /// What a zone's plan does about the DS of keys.
    pub(super) fn ds_ahead(&self, zone: &Name) -> Vec<(Dnskey, DsAhead)> {
        self.active(zone).map_or_else(Vec::new, |run| run.ds_ahead())
    }

    fn change<T>(&self, zone: &Name, change: impl FnOnce(&mut Known) -> T) -> T {
        change(lock(&self.known).entry(zone.clone()).or_default())
    }
}

impl Known {
    fn is_active(&self) -> bool {
        self.run
            .as_ref()
            .is_some_and(|run| !matches!(run.stage, Stage::Over(_)))
    }
}

/// The time that runs go by, and whether it is right.
fn time(server: &Server) -> (UnixTime, bool) {
    let judgement = server.clock.judge();
    (judgement.counted, judgement.counts())
}

/// How long a change may take to the last server of anybody.
pub(super) fn longest_lag(config: &Config, zone: &ZoneSettings) -> Duration {
    let named = config.providers.iter();
    let named = named.filter(|known| zone.providers.contains(&known.name));
    let longest = named.map(|provider| provider.propagation).max();
    longest.unwrap_or_default().max(zone.parent_propagation)
}

/// Looks at all servers of a zone, and keeps what is seen, whether or not there is a plan.
pub(super) async fn observe(server: &Arc<Server>, zone: &ZoneSettings) {
    let pace = match server.plans.active(&zone.origin) {
        Some(_) => Pace::Now,
        None => Pace::Rarely,
    };
    if let Err(why) = look::look(server, zone, &zone.providers, pace).await {
        tracing::debug!(zone = %zone.origin, "not looked at: {why}");
    }
}

/// The background task: goes on with each run when it is due.
pub async fn carry_out(server: Arc<Server>) {
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let permits = Arc::new(tokio::sync::Semaphore::new(MOST_AT_ONCE));
    let mut settled_again = Duration::ZERO;
    loop {
        beat.tick().await;
        if server.clock.steady() < settled_again {
            continue;
        }
        if let Err(why) = clock::settle(&server).await {
            tracing::error!("{}", why.error);
            settled_again = server.clock.steady() + AFTER_FAILURE;
            continue;
        }
        read_new(&server).await;
        let config = server.config.load_full();
        for zone in due(&server, &config.zones) {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let turn = server.plans.turn(&zone.origin);
                let _turn = turn.lock().await;
                if server.plans.active(&zone.origin).is_some() {
                    go_on(&server, &zone).await;
                } else {
                    follow::look(&server, &zone).await;
                }
                drop(permit);
            });
        }
    }
}

/// Lets a zone's run take notice of what the servers show now, and do nothing about it yet: whoever asks for this holds
/// the turn of a provider, for which an action would wait. `false`: it could not, because the run is at work, has to be
/// told what time it is, or its journal cannot be written.
pub(super) async fn take_notice(server: &Arc<Server>, zone: &ZoneSettings) -> bool {
    let Ok(turn) = server.plans.turn(&zone.origin).try_lock_owned() else {
        return false;
    };
    let (server, zone) = (Arc::clone(server), zone.clone());
    let noticed = to_the_end(turn, async move {
        let Some(mut run) = server.plans.active(&zone.origin) else {
            return true;
        };
        if server.clock.unsettled().is_some() {
            return false;
        }
        let noticed = notice(&server, &zone, &mut run).await;
        server.plans.change(&zone.origin, |known| {
            known.run = Some(run);
            known.due = Duration::ZERO;
        });
        if let Err(why) = &noticed {
            tracing::warn!(zone = %zone.origin, "{why}");
        }
        noticed.is_ok()
    });
    noticed.await.unwrap_or(false)
}

/// Does something in a zone's turn that goes on when whoever ordered it has left: what is in the journal must be known here
/// too.
async fn to_the_end<T: Send + 'static>(
    turn: tokio::sync::OwnedMutexGuard<()>,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::spawn(async move {
        let _turn = turn;
        work.await
    });
    done.await.map_err(|error| error.to_string())
}

async fn notice(server: &Arc<Server>, zone: &ZoneSettings, run: &mut Run) -> Result<(), String> {
    let view = look::view(server, zone, run).await?;
    for _ in 0..MOST_IN_ONE_GO {
        match run.noticed(&view, time(server).0) {
            Some(event) => journal(server, &zone.origin, run, event).await?,
            None => break,
        }
    }
    Ok(())
}

/// Reads the journals of zones that were not there before.
async fn read_new(server: &Arc<Server>) {
    let config = server.config.load_full();
    server.plans.places.keep_only(&config);
    server.plans.samples.keep_only(&config);
    let new: Vec<Name> = {
        let mut known = lock(&server.plans.known);
        known.retain(|zone, _| config.zones.iter().any(|there| there.origin == *zone));
        let zones = config.zones.iter().map(|zone| &zone.origin);
        let now = server.clock.steady();
        let is_read = |zone: &&Name| {
            let known = known.get(*zone);
            known.is_some_and(|known| known.read_again.is_none_or(|again| again > now))
        };
        zones.filter(|zone| !is_read(zone)).cloned().collect()
    };
    if new.is_empty() {
        return;
    }
    let reading = Arc::clone(server);
    let read = tokio::task::spawn_blocking(move || {
        for zone in new {
            read(&reading, zone.clone());
            if let Some(run) = reading.plans.active(&zone) {
                tracing::info!(%zone, "the plan goes on: {} of {} steps are done", run.done.len(), run.plan.steps.len());
            }
        }
    });
    if let Err(error) = read.await {
        tracing::error!("the journals of plans cannot be read: {error}");
    }
}

/// Reads the journal of a zone. What else is known of the zone stays.
fn read(server: &Server, zone: Name) {
    let read = last_run(&*server.store, zone.as_ref());
    if let Err(error) = &read {
        tracing::error!(%zone, "{}", causes(error));
    }
    server.plans.change(&zone, |known| {
        (known.fault, known.read_again) = (None, None);
        match read {
            Ok(run) => {
                known.run = run;
                known.rests = None;
                known.due = Duration::ZERO;
            }
            Err(error) => {
                known.fault = Some(causes(&error));
                match error {
                    // It goes on from where it was when it can be read.
                    RunJournalError::Store(_) => {
                        known.read_again = Some(server.clock.steady() + AFTER_FAILURE);
                    }
                    RunJournalError::Spoiled { .. } => known.run = None,
                }
            }
        }
    });
}

/// The zones whose run, or whose look for keys that are gone, is due. Each is given out once: it says itself when it is
/// due again.
fn due(server: &Server, zones: &[ZoneSettings]) -> Vec<ZoneSettings> {
    let now = server.clock.steady();
    let mut known = lock(&server.plans.known);
    let is_due = |zone: &&ZoneSettings| {
        let Some(known) = known.get_mut(&zone.origin).filter(|known| known.fault.is_none()) else {
            return false;
        };
        let place = if known.is_active() {
            &mut known.due
        } else if zone.follow && zone.exchange_keys && !zone.providers.is_empty() {
            &mut known.follow_due
        } else {
            known.not_followed.clear();
            return false;
        };
        let due = *place <= now;
        if due {
            *place = Duration::MAX;
        }
        due
    };
    zones.iter().filter(is_due).cloned().collect()
}

/// Journals an event, durably, and then takes it.
async fn journal(server: &Arc<Server>, zone: &Name, run: &mut Run, event: Event) -> Result<(), String> {
    run.may(&event).map_err(|fault| fault.to_string())?;
    let (at, _) = time(server);
    let entry = Entry { at, event };
    append(server, zone, vec![entry.clone()]).await?;
    run.apply(&entry).map_err(|fault| fault.to_string())?;
    tell(zone, run, &entry.event);
    Ok(())
}

/// Journals entries, durably: all or none.
async fn append(server: &Arc<Server>, zone: &Name, entries: Vec<Entry>) -> Result<(), String> {
    let (store, of) = (Arc::clone(&server.store), zone.clone());
    let written = tokio::task::spawn_blocking(move || store.append_run(&of, &entries)).await;
    match written {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!(
            "the plan does not go on, for its journal cannot be written: {}",
            causes(&error)
        )),
        Err(error) => Err(format!("the plan does not go on: {error}")),
    }
}

/// Says in the log what happened.
fn tell(zone: &Name, run: &Run, event: &Event) {
    let what = |step: &usize| run.plan.steps.get(*step).map_or("", |step| step.what.as_str());
    match event {
        Event::Begun { step } => tracing::info!(%zone, step = step + 1, "begun: {}", what(step)),
        Event::Seen { step } => tracing::info!(%zone, step = step + 1, "seen everywhere: {}", what(step)),
        Event::Raised { lag, seconds } => {
            let what = run.plan.situation.lag_in_words(*lag);
            tracing::warn!(%zone, "{what} is larger than the plan was made with: from now on it counts as {seconds} s, and what waits for it waits longer");
        }
        Event::Early { step, .. } => {
            tracing::info!(%zone, step = step + 1, "done before its turn, which hurts nobody: {}", what(step));
        }
        Event::Surprise { why, .. } => tracing::error!(%zone, "not planned: {why}"),
        Event::Harm { story } => {
            tracing::error!(%zone, "what nobody planned let resolvers find answers bogus: {story}");
        }
        Event::Paused { why } => tracing::warn!(%zone, "the plan is paused: {why}"),
        Event::Finished => tracing::info!(%zone, "the plan has reached its goal"),
        Event::Aborted { why, as_it_is: false } => tracing::warn!(%zone, "the plan is given up: {why}"),
        Event::Aborted { why, as_it_is: true } => {
            tracing::warn!(%zone, "the plan is given up as it is, and nothing of it is taken back: {why}");
        }
        Event::ClockSet { from, to, unwatched } => {
            tracing::warn!(%zone, "{}", clock::in_words(*from, *to, *unwatched));
        }
        _ => {}
    }
}

/// Goes on with a zone's run as far as it can be gone on with now.
async fn go_on(server: &Arc<Server>, zone: &ZoneSettings) {
    let name = &zone.origin;
    let Some(mut run) = server.plans.active(name) else {
        return;
    };
    let rest = loop_of(server, zone, &mut run).await;
    let (now, _) = time(server);
    let steady = server.clock.steady();
    server.plans.change(name, |known| {
        let (rest, pause) = match rest {
            Ok((rest, pause)) => (rest, pause),
            Err(why) => {
                let rest = Rest {
                    why,
                    until: None,
                    at: now,
                    halted: true,
                };
                (rest, Pause::Exactly(AFTER_FAILURE))
            }
        };
        let same = known.rests.as_ref().is_some_and(|before| before.why == rest.why);
        let longest = LONGEST_WATCH.min(between_looks(&run));
        let pause = match pause {
            Pause::Exactly(pause) => {
                known.pause = FIRST_PAUSE;
                pause
            }
            Pause::Growing if same => {
                known.pause = (known.pause * 2).clamp(FIRST_PAUSE, longest);
                known.pause
            }
            Pause::Growing => {
                known.pause = FIRST_PAUSE;
                FIRST_PAUSE
            }
        };
        if !same {
            if rest.halted {
                tracing::warn!(zone = %name, "{}", rest.why);
            } else {
                tracing::info!(zone = %name, "{}", rest.why);
            }
            known.rests = Some(rest);
        }
        known.due = steady + pause;
        known.run = Some(run);
    });
}

/// The longest time between two looks.
fn between_looks(run: &Run) -> Duration {
    let part = Duration::from_secs(run.plan.situation.margin / LOOKS_IN_MARGIN);
    part.clamp(FIRST_PAUSE, ROUTINE)
}

/// When to come back.
enum Pause {
    Exactly(Duration),
    Growing,
}

async fn loop_of(server: &Arc<Server>, zone: &ZoneSettings, run: &mut Run) -> Result<(Rest, Pause), String> {
    let mut looked: Option<Arc<View>> = None;
    for _ in 0..MOST_IN_ONE_GO {
        let view = match looked.take() {
            Some(view) => view,
            None => Arc::new(look::view(server, zone, run).await?),
        };
        if run.force.is_none()
            && matches!(run.stage, Stage::Running)
            && let Some(why) = act::against_the_plan(zone.cds, &run.plan)
        {
            let advice =
                "set it to \"rollover\" or \"off\", reload and `countersign resume`, or `countersign abort`";
            let why = format!("{why}; {advice}");
            journal(server, &zone.origin, run, Event::Paused { why }).await?;
        }
        // A key that another provider was to make for this plan, and has made.
        if let Some(event) = look::made_by_others(run, &view) {
            journal(server, &zone.origin, run, event).await?;
            continue;
        }
        let larger = look::larger_ttl(server, run).or_else(|| look::raised_lag(&server.config.load(), run));
        if let Some(event) = larger {
            journal(server, &zone.origin, run, event).await?;
            looked = Some(view);
            continue;
        }
        let (now, sane) = time(server);
        // What was there before is measured all the same.
        if let Some(why) = targets::newcomer(run, zone) {
            if let Some(event) = run.noticed(&view, now) {
                journal(server, &zone.origin, run, event).await?;
                looked = Some(view);
                continue;
            }
            return Err(why);
        }
        let rest = |why: String, until, halted| Rest {
            why,
            until,
            at: now,
            halted,
        };
        let (judged, seen) = (run.clone(), Arc::clone(&view));
        let (mut why, until, halted, pause) = match reckon(move || judged.next(&seen, now, sane)).await? {
            Next::Journal(mut event) => {
                if let Event::Begun { step } = event
                    && let Some(why) = act::not_gone(server, &zone.origin, run, &view, step).await?
                {
                    event = Event::Paused { why };
                }
                journal(server, &zone.origin, run, event).await?;
                // Others read what the run expects: a provider is given what it says from now on.
                let known = run.clone();
                server.plans.change(&zone.origin, |plan| plan.run = Some(known));
                looked = Some(view);
                continue;
            }
            Next::Act { step } => match act::step(server, zone, run, step).await {
                Ok(()) => {
                    run.acted();
                    continue;
                }
                Err(act::Failed::Again(why)) => return Ok((rest(why, None, false), Pause::Growing)),
                Err(act::Failed::Refused(why)) => {
                    journal(server, &zone.origin, run, Event::Paused { why }).await?;
                    looked = Some(view);
                    continue;
                }
            },
            Next::Wait { step, until } => {
                let left = until.since(now).min(between_looks(run)).max(FIRST_PAUSE);
                (
                    report::waits_for(run, step),
                    Some(until),
                    false,
                    Pause::Exactly(left),
                )
            }
            Next::Watch { step, lacking } => {
                let mut why = report::watches(run, step, &lacking);
                if let Some(more) = report::by_exchange(&run.plan, step, zone.exchange_keys) {
                    why.push_str(&format!("; {more}"));
                }
                (why, None, false, Pause::Growing)
            }
            Next::Halted { why } => (why, None, true, Pause::Exactly(ROUTINE)),
            Next::Over(_) => {
                let over = rest("it is over".to_owned(), None, false);
                return Ok((over, Pause::Exactly(ROUTINE)));
            }
        };
        run.looked(&view);
        for failed in act::give_again(server, zone, run, &view).await {
            why.push_str(&format!("; {failed}"));
        }
        return Ok((rest(why, until, halted), pause));
    }
    Err("it turns in a circle; this is a fault of the program".to_owned())
}
