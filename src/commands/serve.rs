//! `countersign serve`: the process around engine, transports, store and control socket.
//!
//! ```text
//! settings ─► addresses ─► another user ─► store, clock ─► zones and keys ─► control socket ─► answers ─► ready
//! ```

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, chown},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{
    arguments::{ServeArguments, read_config},
    logging,
    outcome::{Failure, Report},
};
use crate::{
    answer::{Engine, EngineSettings, warm::Warmer},
    clock::{Clock, SystemClock, guard::GuardedClock},
    config::{self, Arguments, Config},
    control::{Server, http, peers, protocol::Outcome, server::CountTransports, socket},
    serve::{
        Listeners, Running, Settings, TcpLimits, limits,
        notify::{self, State},
        system::{self, User},
    },
    store::{Absent, Store, StoreError},
};

/// How often the clock is looked at, and what was replaced is freed.
const TICK: Duration = Duration::from_secs(1);
/// Signatures that are made ahead in one go: about a millisecond of one core.
const WARM_AT_ONCE: usize = 64;
/// The pause between two of those: a tenth of a core at most, and a million names in a quarter of an hour.
const WARM_PAUSE: Duration = Duration::from_millis(10);
/// The pause after everything was looked at. Signatures are renewed days before they expire.
const WARM_REST: Duration = Duration::from_secs(5);
/// How long to wait for a client command that has the store open for a moment.
const STORE_PATIENCE: Duration = Duration::from_secs(1);

pub(super) fn run(arguments: ServeArguments) -> Result<Report, Failure> {
    let config = configure(arguments)?;
    logging::start(&config.log);
    let transports = transports(&config);
    prepare_process(transports.descriptors(config.listen.len()));
    let listeners = Listeners::bind(&config.listen, transports)?;
    if let Some(user) = &config.user {
        become_user(user, &config)?;
    }
    let runtime = Runtime::new().map_err(|error| Failure::from(error).context("cannot start threads"))?;
    let done = runtime.block_on(serve(config, listeners));
    // What still runs, such as a reload, ends with the process: the store loses nothing by that.
    runtime.shutdown_background();
    done.map(|()| Report::default())
}

fn configure(arguments: ServeArguments) -> Result<Config, Failure> {
    let named = arguments.config.is_some();
    let mut config = if arguments.zone.is_empty() {
        let path = arguments.config.unwrap_or_else(|| "countersign.toml".into());
        if !named && !path.exists() {
            return Err(Failure::new("there is no countersign.toml in this folder").advice(
                "name a file with -c FILE, or serve without one: --zone ORIGIN=FILE --listen ADDR:PORT --keys DIR",
            ));
        }
        read_config(&path)?
    } else {
        config::from_arguments(Arguments {
            zones: arguments.zone,
            listen: arguments.listen,
            external_keys: arguments.external_keys,
            denial: arguments.denial,
            keys: arguments.keys.unwrap_or_default(),
            state: None,
        })
        .map_err(Failure::usage)?
    };
    if let Some(state) = arguments.state {
        config.state = state;
    }
    if let Some(level) = arguments.log_level {
        config.log.level = level;
    }
    if let Some(format) = arguments.log_format {
        config.log.format = format;
    }
    Ok(config)
}

fn transports(config: &Config) -> Settings {
    let mut settings = Settings::default();
    if config.udp.threads.0 > 0 {
        settings.udp_threads = config.udp.threads.0 as usize;
    }
    settings.tcp = TcpLimits {
        connections: config.tcp.connections.0 as usize,
        connections_a_prefix: config.tcp.connections_per_prefix.0 as usize,
        idle: config.tcp.idle_timeout,
        ..settings.tcp
    };
    settings
}

/// What is asked of the system before anything secret is in memory.
fn prepare_process(descriptors: u64) {
    if let Err(error) = system::raise_descriptor_limit(descriptors) {
        tracing::warn!("the limit of open files cannot be raised: {error}");
    }
    if let Err(error) = system::forbid_core_dumps() {
        tracing::warn!("core dumps cannot be turned off: {error}");
    }
}

/// Gives up root. The folders that are written become the user's, for they may not exist yet.
fn become_user(name: &str, config: &Config) -> Result<(), Failure> {
    if !system::is_root() {
        tracing::warn!("`user` has no effect: this process was not started as root");
        return Ok(());
    }
    let user = User::named(name)
        .map_err(|error| Failure::from(error).context(format!("there is no user {name} to become")))?;
    let (uid, gid) = user.ids();
    for folder in [&config.state, &config.keys] {
        // Nobody else looks in: the control socket listens a moment before its own mode is set.
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        let given = made.and_then(|()| chown(folder, Some(uid), Some(gid)));
        given.map_err(|error| Failure::from(error).context(format!("{} for {name}", folder.display())))?;
    }
    user.assume()
        .map_err(|error| Failure::from(error).context(format!("cannot become {name}")))?;
    // A change of user allows core dumps again.
    if let Err(error) = system::forbid_core_dumps() {
        tracing::warn!("core dumps cannot be turned off: {error}");
    }
    Ok(())
}

async fn serve(config: Config, listeners: Listeners) -> Result<(), Failure> {
    // Before anything that takes time: a signal that comes early must not be lost, nor end the process.
    let mut signals = Signals::new()?;
    let store = Arc::new(open_store(&config.state).await?);
    let clock = Arc::new(GuardedClock::new(
        Arc::new(SystemClock::default()),
        store.last_good_time()?,
    ));
    let settings = EngineSettings {
        udp_payload: config.udp.payload.0 as u16,
        nsid: Some(config.nsid.clone()).filter(|nsid| !nsid.is_empty()),
        ..EngineSettings::default()
    };
    let engine = Engine::new(settings, clock.clone());
    let state = config.state.clone();
    let addresses = listeners.addresses().to_vec();
    let server = Server::new(config, Arc::clone(&engine), Arc::clone(&clock), store, addresses);

    server.tick();
    tokio::select! {
        loaded = load(&server) => loaded?,
        () = signals.ended() => return Ok(()),
    }
    // Commands must find the server as soon as an answer shows that it is up.
    let control = socket::bind(&state).map_err(|error| {
        Failure::from(error).context(format!("cannot make the control socket in {}", state.display()))
    })?;
    let router = http::router(Arc::clone(&server));
    tokio::spawn(async move { axum::serve(control, router).await });
    let running = listeners
        .run(&engine)
        .map_err(|error| Failure::from(error).context("cannot start answering"))?;
    if let Some(interval) = notify::watchdog_interval() {
        let reporting = running.probe().report(interval);
        reporting.map_err(|error| Failure::from(error).context("cannot start a thread"))?;
    }
    let running = Arc::new(Mutex::new(Some(running)));
    let counted = Arc::clone(&running);
    server.watch_transports(CountTransports(Box::new(move || {
        let running = counted.lock().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().map(Running::counters)
    })));
    tokio::spawn(tick(Arc::clone(&server)));
    tokio::spawn(warm(Arc::clone(&engine), clock));
    tokio::spawn(peers::exchange(Arc::clone(&server)));

    let ready = ready_line(&server);
    tracing::info!("{ready}");
    tell(State::Ready, &ready);
    signals.obey(&server).await;

    tell(State::Stopping, "");
    let running = running.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(running) = running {
        running.stop(limits::STOP).await;
    }
    server.finish();
    let _ = fs::remove_file(state.join(socket::FILE_NAME));
    tracing::info!("stopped");
    Ok(())
}

async fn open_store(state: &Path) -> Result<Store, Failure> {
    let began = Instant::now();
    loop {
        match Store::open(state, Absent::Create) {
            Err(StoreError::Held { .. }) if began.elapsed() < STORE_PATIENCE => {
                sleep(Duration::from_millis(50)).await;
            }
            Err(error @ StoreError::Held { .. }) => {
                return Err(Failure::from(error).advice(format!(
                    "countersign status --state {} tells of it",
                    state.display()
                )));
            }
            opened => return Ok(opened?),
        }
    }
}

/// Loads all zones; fails when not one can be served.
async fn load(server: &Arc<Server>) -> Result<(), Failure> {
    let loading = Arc::clone(server);
    let reloaded = tokio::task::spawn_blocking(move || loading.start())
        .await
        .map_err(|error| Failure::from(error).context("loading the zones"))?;
    let failed = reloaded
        .zones
        .iter()
        .filter(|zone| zone.outcome == Outcome::Failed)
        .count();
    if failed < reloaded.zones.len() {
        return Ok(());
    }
    let problems = reloaded.zones.iter().flat_map(|zone| &zone.problems);
    let lines: Vec<String> = problems.take(20).map(|problem| format!("\n{problem}")).collect();
    Err(Failure::new(format!("no zone can be served:{}", lines.concat())))
}

fn ready_line(server: &Server) -> String {
    let (served, failed) = server.count();
    let failed = if failed > 0 {
        format!(", {failed} answered with SERVFAIL")
    } else {
        String::new()
    };
    let addresses: Vec<String> = server.addresses().iter().map(ToString::to_string).collect();
    format!(
        "ready: {served} zones served{failed}, on {}",
        addresses.join(", ")
    )
}

fn tell(state: State, status: &str) {
    if let Err(error) = notify::tell(state, status) {
        tracing::warn!("the service manager cannot be told: {error}");
    }
}

async fn tick(server: Arc<Server>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let server = Arc::clone(&server);
        let _ = tokio::task::spawn_blocking(move || server.tick()).await;
    }
}

/// Signs ahead, a little at a time.
async fn warm(engine: Arc<Engine>, clock: Arc<dyn Clock>) {
    let mut warmer = Warmer::default();
    loop {
        let (engine, clock) = (Arc::clone(&engine), Arc::clone(&clock));
        let step = tokio::task::spawn_blocking(move || {
            let step = warmer.step(&engine.zones(), WARM_AT_ONCE, clock.now());
            (warmer, step)
        });
        let Ok((returned, step)) = step.await else {
            tracing::error!("signing ahead failed; answers sign for themselves");
            return;
        };
        warmer = returned;
        if step.failed > 0 {
            tracing::error!("{} signatures could not be made", step.failed);
        }
        sleep(if step.finished { WARM_REST } else { WARM_PAUSE }).await;
    }
}

/// The signals that are obeyed.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Returns on SIGTERM or SIGINT.
    async fn ended(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Reloads on SIGHUP; returns on SIGTERM or SIGINT, even while a reload is under way.
    async fn obey(&mut self, server: &Arc<Server>) {
        let wanted = Arc::new(Notify::new());
        tokio::spawn(reload_when(Arc::clone(&wanted), Arc::clone(server)));
        loop {
            tokio::select! {
                _ = self.hangup.recv() => wanted.notify_one(),
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
            }
        }
    }
}

/// Reloads one after the other; signals that come during a reload are one more, not many.
async fn reload_when(wanted: Arc<Notify>, server: Arc<Server>) {
    loop {
        wanted.notified().await;
        tracing::info!("SIGHUP: reading configuration, zones and keys again");
        tell(State::Reloading, "reading configuration, zones and keys");
        let reloading = Arc::clone(&server);
        if tokio::task::spawn_blocking(move || reloading.reload())
            .await
            .is_err()
        {
            tracing::error!("the reload failed by a fault of this program; what was served goes on");
        }
        tell(State::Ready, &ready_line(&server));
    }
}
