//! The running server as people command it: one owner of the store, the clock and the zones. Whatever changes
//! something holds `work`, one at a time; looking waits for nothing.

use std::{
    fmt,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;

use super::{
    content::{Content, Sources},
    floods::Floods,
    keys,
    monitor::Monitor,
    observations::Observations,
    peers::Peers,
    plans::Plans,
    protocol::{
        DsRecords, Generate, Import, KeyList, KeysChanged, Outcome, Readmit, Refusal, Reloaded, Status,
        Withdraw,
    },
    reload, status,
    zones::{self, Held, Loading},
};
use crate::{
    answer::{Engine, Zones},
    clock::{
        Clock, UnixTime,
        guard::{Fault, GuardedClock, LastGood, Setting},
    },
    config::{self, Config, ZoneSettings},
    dnssec::custody::{Observation, Place, StepError},
    serve::{Counters, system},
    store::{Store, StoreError, clock::Told},
    wire::Name,
};

/// From so many freed names on, some 10 MiB, the allocator is asked to give their memory back.
const MANY_NAMES: usize = 50_000;
/// How often the good time is written to the store.
const KEEP_TIME_EVERY: Duration = Duration::from_secs(60);

/// Gives what the transports counted; nothing once they have stopped.
pub struct CountTransports(pub Box<dyn Fn() -> Option<Counters> + Send + Sync>);

impl fmt::Debug for CountTransports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CountTransports")
    }
}

/// The running server.
#[derive(Debug)]
pub struct Server {
    pub(super) clock: Arc<GuardedClock>,
    pub(super) engine: Arc<Engine>,
    pub(super) store: Arc<Store>,
    pub(super) listen: Vec<SocketAddr>,
    pub(super) started: (UnixTime, Duration),
    pub(super) held: ArcSwap<Held>,
    /// The configuration as it is in force, for those who wait for nobody.
    pub(super) config: ArcSwap<Config>,
    /// The other providers.
    pub(super) peers: Peers,
    /// The watch over the zones.
    pub(super) monitor: Monitor,
    /// What was seen of all servers, and what was served here.
    pub(super) observations: Observations,
    /// The plans that are carried out.
    pub(super) plans: Plans,
    /// The zones whose content is fetched.
    pub(super) sources: Sources,
    /// Makes fingerprints of content.
    pub(super) hasher: ahash::RandomState,
    /// What is wrong with the configuration file since the last reload.
    pub(super) config_problems: ArcSwap<Vec<String>>,
    /// Asks the transports what they counted, once they run.
    pub(super) transports: OnceLock<CountTransports>,
    /// Floods that go on.
    pub(super) floods: Floods,
    work: Mutex<Work>,
    /// Zones that were replaced, until no answering thread looks at them.
    replaced: Mutex<Vec<Arc<Zones>>>,
}

#[derive(Debug)]
struct Work {
    config: Config,
    clock_fault: Option<Fault>,
    time_kept: Option<Duration>,
}

impl Server {
    /// A server that holds no zones yet; [`Server::reload`]'s first run loads them.
    pub fn new(
        config: Config,
        engine: Arc<Engine>,
        clock: Arc<GuardedClock>,
        store: Arc<Store>,
        listen: Vec<SocketAddr>,
    ) -> Arc<Self> {
        let in_force = ArcSwap::from_pointee(config.clone());
        let sources = Sources::new(&config.state);
        engine.hand_notices_to(sources.board());
        let work = Work {
            config,
            clock_fault: None,
            time_kept: None,
        };
        Arc::new(Self {
            started: (clock.now(), clock.steady()),
            clock,
            engine,
            store,
            listen,
            held: ArcSwap::default(),
            config: in_force,
            peers: Peers::default(),
            monitor: Monitor::default(),
            observations: Observations::default(),
            plans: Plans::default(),
            sources,
            hasher: ahash::RandomState::new(),
            config_problems: ArcSwap::default(),
            transports: OnceLock::new(),
            floods: Floods::default(),
            work: Mutex::new(work),
            replaced: Mutex::default(),
        })
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        // A panic in one command must not end all others; what it left is what it had not yet published.
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads the zones of the configuration for the first time.
    pub fn start(&self) -> Reloaded {
        let work = self.work();
        let reloaded = Reloaded {
            zones: self.load(&work),
            ..Reloaded::default()
        };
        log_reload(&reloaded);
        reloaded
    }

    /// Lets `status` show what the transports count. Of two calls the first stands.
    pub fn watch_transports(&self, count: CountTransports) {
        let _ = self.transports.set(count);
    }

    /// How many zones are served, and how many are answered with SERVFAIL.
    pub fn count(&self) -> (usize, usize) {
        let held = self.held.load();
        let served = held.values().filter(|zone| zone.served.content().is_ok()).count();
        (served, held.len() - served)
    }

    /// A zone as it is held now.
    pub fn content_of(&self, zone: &Name) -> Option<Arc<zones::HeldZone>> {
        self.held.load().get(zone).cloned()
    }

    /// Where it answers.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.listen
    }

    /// Reads configuration, zones and keys again. What is broken stays as it was.
    pub fn reload(&self) -> Reloaded {
        let mut work = self.work();
        let mut reloaded = Reloaded::default();
        let (providers, at_work) = (work.config.providers.clone(), self.plans.at_work());
        if let Some(source) = work.config.source.clone() {
            match config::load(&source) {
                Ok(config) => {
                    reloaded.remarks = take_config(&mut work.config, config);
                    self.config.store(Arc::new(work.config.clone()));
                }
                Err(problems) => reloaded.problems = problems.iter().map(ToString::to_string).collect(),
            }
        }
        self.config_problems.store(Arc::new(reloaded.problems.clone()));
        reloaded.zones = self.load(&work);
        self.plans.take_raised(&work.config);
        reload::tell_providers(&mut reloaded.zones, &providers, &work.config);
        reload::tell_plans(&mut reloaded.zones, &at_work);
        log_reload(&reloaded);
        reloaded
    }

    /// Takes what was seen at the zone's other providers, and serves what follows from it at once.
    ///
    /// # Errors
    /// When there is no such zone, or what was seen cannot be kept. Then what was served goes on.
    pub fn observe(
        &self,
        zone: &Name,
        observed: &[Observation],
    ) -> Result<super::protocol::ZoneReloaded, Refusal> {
        let work = self.work();
        let held = self.held.load_full();
        let before = held.get(zone).ok_or_else(|| unknown(zone))?;
        let renewed = zones::renew(before, observed, self.loading(&work));
        let mut held = Held::clone(&held);
        held.insert(zone.clone(), Arc::new(renewed.held));
        self.put(held);
        if !renewed.refused.is_empty() {
            return Err(Refusal {
                error: format!(
                    "what was seen at the other providers of {zone} cannot be kept, so what was served goes on: {}",
                    renewed.refused.join("; ")
                ),
                advice: None,
            });
        }
        if !renewed.report.changes.is_empty() {
            log_zone(&renewed.report);
        }
        Ok(renewed.report)
    }

    fn loading<'a>(&'a self, work: &'a Work) -> Loading<'a> {
        Loading {
            keys: &work.config.keys,
            journal: &*self.store,
            now: self.clock.now(),
            hasher: &self.hasher,
            copies: self.sources.copies(),
        }
    }

    /// Serves these zones from now on.
    fn put(&self, held: Held) {
        // Written down before anybody can ask for it: what caches get must be known when it is served no more.
        let (config, now) = (self.config.load(), self.clock.now());
        self.observations
            .note_served(&*self.store, &config, &self.held.load(), &held, now);
        let served = held.values().map(|zone| Arc::clone(&zone.served)).collect();
        let replaced = self.engine.publish(served);
        self.held.store(Arc::new(held));
        self.replaced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(replaced);
    }

    fn load(&self, work: &Work) -> Vec<super::protocol::ZoneReloaded> {
        let (held, reports) = zones::load(&work.config.zones, &self.held.load(), self.loading(work));
        self.put(held);
        let now = self.clock.now();
        self.sources.follow(&work.config, &self.held.load(), now);
        self.sources.want_all(now);
        reports
    }

    /// Serves other content of a zone that is fetched, or none; `None` leaves what it has. Nothing happens when the
    /// configuration says something else of it by now.
    pub(super) fn refill(&self, zone: &ZoneSettings, content: Option<Arc<Content>>, halted: Option<String>) {
        let work = self.work();
        let held = self.held.load_full();
        let is_asked_for = |held: &&Arc<zones::HeldZone>| {
            held.settings.source == zone.source && held.settings.signature_validity == zone.signature_validity
        };
        let Some(before) = held.get(&zone.origin).filter(is_asked_for) else {
            return;
        };
        let (refilled, report) = zones::refill(before, content, halted, self.loading(&work));
        let mut held = Held::clone(&held);
        held.insert(zone.origin.clone(), Arc::new(refilled));
        self.put(held);
        log_zone(&report);
    }

    /// What is served of a zone is what its source has: it is served again where it had expired.
    pub(super) fn confirm(&self, zone: &ZoneSettings) {
        let halted = |held: &Held| held.get(&zone.origin).is_some_and(|zone| zone.halted.is_some());
        if halted(&self.held.load()) {
            self.refill(zone, None, None);
        }
        let replica = self.sources.copies().of(&zone.origin);
        let replica = replica.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = replica.note_current(self.clock.now()) {
            tracing::warn!(zone = %zone.origin, "{}", zones::causes(&error));
        }
    }

    /// A zone that its source has not confirmed for too long is served no more (RFC 1035 §3.3.13).
    pub(super) fn expire(&self, zone: &Name, current_at: UnixTime) {
        let held = self.held.load_full();
        let Some(before) = held
            .get(zone)
            .filter(|held| held.halted.is_none() && held.zone().is_some())
        else {
            return;
        };
        let why = format!("its content expired: the primaries did not confirm it since {current_at}");
        self.refill(&before.settings, None, Some(why));
    }

    /// What is to be done every second or so: look at the clock, write the good time down, and free what was
    /// replaced and nobody reads any more.
    pub fn tick(&self) {
        let judgement = self.clock.observe();
        // A command at work is no reason to wait: the next tick comes soon.
        if let Ok(mut work) = self.work.try_lock() {
            tell_clock(&mut work.clock_fault, judgement.fault, judgement.trusted);
            let steady = self.clock.steady();
            let due = work
                .time_kept
                .is_none_or(|kept| steady.saturating_sub(kept) >= KEEP_TIME_EVERY);
            if let Some(good) = self.clock.last_good(&judgement).filter(|_| due) {
                work.time_kept = Some(steady);
                self.keep_time(good);
            }
        }
        self.floods.look(
            &self.engine.zones(),
            self.engine.totals(),
            (judgement.trusted, self.clock.steady()),
        );
        self.free_what_was_replaced();
    }

    fn free_what_was_replaced(&self) {
        let mut replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        let unread: Vec<_> = replaced
            .extract_if(.., |zones| Arc::strong_count(zones) == 1)
            .collect();
        // Freeing takes a while: whoever publishes next should not wait for it.
        drop(replaced);
        let names: usize = unread.iter().map(|zones| zones.names_not_shared()).sum();
        drop(unread);
        if names >= MANY_NAMES {
            system::give_memory_back();
        }
    }

    /// Writes the good time down; the last thing before the process ends.
    pub fn finish(&self) {
        let judgement = self.clock.observe();
        if let Some(good) = self.clock.last_good(&judgement) {
            self.keep_time(good);
        }
    }

    fn keep_time(&self, good: LastGood) {
        if let Err(error) = self.store.keep_good_time(good) {
            tracing::error!("the time cannot be kept: {}", zones::causes(&error));
        }
    }

    /// What is going on, of all zones or one.
    ///
    /// # Errors
    /// When there is no such zone.
    pub fn status(&self, zone: Option<&Name>) -> Result<Status, Refusal> {
        status::of(self, zone)
    }

    /// Takes a time for right, and tells all plans, in the store; those in memory are the caller's matter, who holds the
    /// turns of all of them.
    pub(super) fn set_clock(&self, setting: &Setting) -> Result<Told, StoreError> {
        let mut work = self.work();
        let told = self.store.set_clock(setting)?;
        self.clock.set(setting);
        work.clock_fault = None;
        if setting.by_person {
            tracing::warn!("a person accepted the clock: {}", setting.to);
        }
        Ok(told)
    }

    /// The DS records that the parent should have.
    ///
    /// # Errors
    /// When the zone is not served.
    pub fn ds(&self, zone: &Name) -> Result<DsRecords, Refusal> {
        let held = self.held.load();
        let held = held.get(zone).ok_or_else(|| unknown(zone))?;
        let content = held.served.content().map_err(|why| Refusal {
            error: format!("{zone} is not served: {why}"),
            advice: None,
        })?;
        Ok(keys::ds_records(
            zone,
            &content
                .keys()
                .ds(zone.as_ref(), crate::dnssec::algorithm::DigestType::Sha256),
        ))
    }

    /// The DS records of our own keys, with the key folder that the person named.
    ///
    /// # Errors
    /// When register or folder cannot be read.
    pub fn own_ds(&self, zone: &Name, folder: &Path) -> Result<DsRecords, Refusal> {
        keys::own_ds(self.place(zone, folder), self.clock.now())
    }

    /// The zone's keys, present and past, with the key folder that the person named.
    ///
    /// # Errors
    /// When register or folder cannot be read.
    pub fn keys(&self, zone: &Name, folder: &Path) -> Result<KeyList, Refusal> {
        keys::list(self.place(zone, folder), self.clock.now())
    }

    /// Makes keys, and serves them.
    ///
    /// # Errors
    /// When the folder is not the server's own, or they cannot be made.
    pub fn generate(&self, zone: &Name, request: &Generate) -> Result<KeysChanged, Refusal> {
        let work = self.work();
        same_folder(&request.folder, &work.config.keys)?;
        let changed = keys::generate(self.place(zone, &work.config.keys), request, self.clock.now())?;
        Ok(self.serve_change(&work, zone, changed))
    }

    /// Imports keys, and serves them.
    ///
    /// # Errors
    /// When the folder is not the server's own, or they cannot be imported.
    pub fn import(&self, zone: &Name, request: &Import) -> Result<KeysChanged, Refusal> {
        let work = self.work();
        same_folder(&request.folder, &work.config.keys)?;
        let changed = keys::import(self.place(zone, &work.config.keys), request, self.clock.now())?;
        Ok(self.serve_change(&work, zone, changed))
    }

    /// Withdraws a key, and serves the zone without it.
    ///
    /// # Errors
    /// When there is no such key, or more than one, or the clock is wrong.
    pub fn withdraw(&self, zone: &Name, request: &Withdraw) -> Result<KeysChanged, Refusal> {
        let work = self.work();
        if let Some(fault) = self.clock.judge().fault {
            return Err(Refusal {
                error: format!("nothing is withdrawn while the clock is wrong: {fault}"),
                advice: Some("set the clock, or if it is right: countersign accept clock".to_owned()),
            });
        }
        let folder = Some(work.config.keys.as_path());
        let changed = keys::withdraw(zone, request, folder, &*self.store, self.clock.now())?;
        tracing::warn!(%zone, tag = request.tag, "a person withdrew a key: {}", request.reason);
        Ok(self.serve_change(&work, zone, changed))
    }

    /// Lets a provider's key in again that a person withdrew, and serves the zone with it.
    ///
    /// # Errors
    /// When there is no such key, or more than one.
    pub fn readmit(&self, zone: &Name, request: &Readmit) -> Result<KeysChanged, Refusal> {
        let work = self.work();
        let changed = keys::readmit(zone, request, &*self.store, self.clock.now())?;
        tracing::info!(%zone, tag = request.tag, "a person lets a key in again");
        Ok(self.serve_change(&work, zone, changed))
    }

    /// Changes the keys of a zone as a plan says, and serves what follows.
    ///
    /// # Errors
    /// Why not, in words; what was served goes on.
    pub(super) fn change_keys<T>(
        &self,
        zone: &Name,
        change: impl FnOnce(Place<'_>, UnixTime) -> Result<T, StepError>,
    ) -> Result<T, String> {
        let work = self.work();
        let held = self.held.load_full();
        let before = held.get(zone).ok_or_else(|| unknown(zone).error)?;
        let place = self.place(zone, &work.config.keys);
        let done = change(place, self.clock.now()).map_err(|error| zones::causes(&error))?;
        let renewed = zones::renew(before, &[], self.loading(&work));
        let mut held = Held::clone(&held);
        held.insert(zone.clone(), Arc::new(renewed.held));
        self.put(held);
        if !renewed.refused.is_empty() {
            return Err(renewed.refused.join("; "));
        }
        if !renewed.report.changes.is_empty() {
            log_zone(&renewed.report);
        }
        Ok(done)
    }

    fn place<'a>(&'a self, apex: &'a Name, folder: &'a Path) -> Place<'a> {
        Place {
            apex,
            folder,
            journal: Some(&*self.store),
        }
    }

    /// Loads the zones anew after a change of keys, and adds what that brought up.
    fn serve_change(&self, work: &Work, zone: &Name, mut changed: KeysChanged) -> KeysChanged {
        if !self.held.load().contains_key(zone) {
            changed.remarks.push(format!(
                "the server has no zone {zone}: add it to the configuration and reload"
            ));
            return changed;
        }
        let name = zone.to_string();
        for report in self.load(work).into_iter().filter(|report| report.origin == name) {
            changed.remarks.extend(report.problems);
        }
        changed
    }
}

pub(super) fn unknown(zone: &Name) -> Refusal {
    Refusal {
        error: format!("the server has no zone {zone}"),
        advice: Some("countersign status lists its zones".to_owned()),
    }
}

fn same_folder(asked: &Path, own: &Path) -> Result<(), Refusal> {
    let real = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path));
    match (real(asked), real(own)) {
        (Ok(asked), Ok(own)) if asked == own => Ok(()),
        _ => Err(Refusal {
            error: format!(
                "the running server's key folder is {}, not {}",
                std::path::absolute(own)
                    .unwrap_or_else(|_| own.to_owned())
                    .display(),
                asked.display()
            ),
            advice: Some(format!("say --keys {}", own.display())),
        }),
    }
}

/// Takes what a reload can take of a new configuration, and says what it cannot.
fn take_config(current: &mut Config, new: Config) -> Vec<String> {
    let mut remarks = Vec::new();
    let mut differs = |what: &str, differs: bool| {
        if differs {
            remarks.push(format!("a change of `{what}` is taken at the next start only"));
        }
    };
    differs("listen", current.listen != new.listen);
    differs("state", current.state != new.state);
    differs("user", current.user != new.user);
    differs("nsid", current.nsid != new.nsid);
    differs("log", current.log != new.log);
    differs("udp", current.udp != new.udp);
    differs("tcp", current.tcp != new.tcp);
    differs("signing", current.signing != new.signing);
    current.public_addresses = new.public_addresses;
    current.resolvers = new.resolvers;
    current.vantages = new.vantages;
    current.monitor = new.monitor;
    current.providers = new.providers;
    current.zones = new.zones;
    current.keys = new.keys;
    remarks
}

fn tell_clock(known: &mut Option<Fault>, fault: Option<Fault>, trusted: UnixTime) {
    match (&known, fault) {
        (None, Some(fault)) => tracing::error!(
            "{fault}; signing goes on as of {trusted}. Set the clock, or if it is right: countersign accept clock"
        ),
        (Some(_), None) => tracing::info!("the clock is right again: {trusted}"),
        _ => {}
    }
    *known = fault;
}

/// Says in the log what a load did. A start of a thousand zones in order is one line each at debug level only.
pub(super) fn log_reload(reloaded: &Reloaded) {
    for problem in &reloaded.problems {
        tracing::error!("the configuration is left as it was: {problem}");
    }
    for remark in &reloaded.remarks {
        tracing::warn!("{remark}");
    }
    for zone in &reloaded.zones {
        log_zone(zone);
    }
}

fn log_zone(zone: &super::protocol::ZoneReloaded) {
    let origin = &zone.origin;
    for problem in &zone.problems {
        match zone.outcome {
            Outcome::Failed => tracing::error!(zone = origin, "answered with SERVFAIL: {problem}"),
            Outcome::ChangedInPart => tracing::error!(zone = origin, "taken but for this: {problem}"),
            _ => tracing::error!(zone = origin, "what was served before goes on: {problem}"),
        }
    }
    for warning in &zone.warnings {
        tracing::warn!(zone = origin, "{warning}");
    }
    match zone.outcome {
        Outcome::Unchanged => tracing::debug!(zone = origin, "unchanged"),
        // The problems, or the warnings, have said it.
        Outcome::Failed | Outcome::Kept | Outcome::Waiting if zone.changes.is_empty() => {}
        outcome => tracing::info!(zone = origin, "{outcome}: {}", zone.changes.join("; ")),
    }
}
