//! A server in full: store, clock, engine, zones, control socket, transports and what runs in the background, put
//! together in the order in which each needs the other. The process around it is the command's, or the lab's.
//!
//! ```text
//! store, clock ─► zones and keys ─► control socket ─► answers ─► background
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{
    Server, content, http, monitor, peers, plans,
    protocol::Outcome,
    server::CountTransports,
    socket,
    warming::{Share, Warming},
};
use crate::{
    answer::{Engine, EngineSettings},
    clock::{SystemClock, guard::GuardedClock},
    config::Config,
    serve::{Listeners, Running, Settings, TcpLimits, limits, notify},
    store::{Absent, Store, StoreError},
};

/// How often the clock is looked at, and what was replaced is freed.
const TICK: Duration = Duration::from_secs(1);
/// How long to wait for a client command that has the store open for a moment.
const STORE_PATIENCE: Duration = Duration::from_secs(1);

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No zone can be served.
    #[error("no zone can be served:{0}")]
    NoZone(String),
    /// The control socket.
    #[error("cannot make the control socket in {folder}")]
    Socket {
        /// The state folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Threads.
    #[error("cannot start threads")]
    Threads(#[source] io::Error),
    /// A fault of this program.
    #[error("loading the zones failed by a fault of this program")]
    Fault(#[from] tokio::task::JoinError),
}

/// A server that answers.
#[derive(Debug)]
pub struct Instance {
    server: Arc<Server>,
    running: Arc<Mutex<Option<Running>>>,
    background: JoinSet<()>,
    warming: Option<Warming>,
    state: PathBuf,
}

/// What the transports are told.
pub fn transports(config: &Config) -> Settings {
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

impl Instance {
    /// Starts; when this returns it answers.
    ///
    /// # Errors
    /// When the store is held or spoiled, not one zone can be served, or the system lacks what it takes.
    pub async fn start(config: Config, listeners: Listeners) -> Result<Self, StartError> {
        let store = Arc::new(open_store(&config.state).await?);
        let clock = Arc::new(GuardedClock::new(
            Arc::new(SystemClock::default()),
            store.last_good_time()?,
        ));
        let settings = EngineSettings {
            udp_payload: config.udp.payload.0 as u16,
            nsid: Some(config.nsid.clone()).filter(|nsid| !nsid.is_empty()),
            synthesis_rate: Some(config.udp.signatures_per_second.0 as u32),
            ..EngineSettings::default()
        };
        let engine = Engine::new(settings, clock.clone());
        let state = config.state.clone();
        let addresses = listeners.addresses().to_vec();
        let ahead = Share(config.signing.ahead.0 as u8);
        let server = Server::new(config, Arc::clone(&engine), Arc::clone(&clock), store, addresses);
        server.tick();
        load(&server).await?;
        let mut background = JoinSet::new();
        // Commands must find the server as soon as an answer shows that it is up.
        let control = socket::bind(&state).map_err(|source| StartError::Socket {
            folder: state.clone(),
            source,
        })?;
        let router = http::router(Arc::clone(&server));
        background.spawn(async move {
            if let Err(error) = axum::serve(control, router).await {
                tracing::error!("the control socket is closed: {error}");
            }
        });
        let running = listeners.run(&engine).map_err(StartError::Threads)?;
        if let Some(interval) = notify::watchdog_interval() {
            running.probe().report(interval).map_err(StartError::Threads)?;
        }
        let running = Arc::new(Mutex::new(Some(running)));
        let counted = Arc::clone(&running);
        server.watch_transports(CountTransports(Box::new(move || {
            let running = counted.lock().unwrap_or_else(PoisonError::into_inner);
            running.as_ref().map(Running::counters)
        })));
        background.spawn(tick(Arc::clone(&server)));
        let warming = (ahead.0 > 0)
            .then(|| Warming::start(Arc::clone(&engine), clock, ahead))
            .transpose()
            .map_err(StartError::Threads)?;
        background.spawn(peers::exchange(Arc::clone(&server)));
        background.spawn(plans::carry_out(Arc::clone(&server)));
        background.spawn(content::keep(Arc::clone(&server)));
        background.spawn(monitor::watch(Arc::clone(&server)));
        Ok(Self {
            server,
            running,
            background,
            warming,
            state,
        })
    }

    /// The server, to be commanded.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Answers what it has read, and ends.
    pub async fn stop(mut self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(running) = running {
            running.stop(limits::STOP).await;
        }
        self.background.abort_all();
        self.warming = None;
        self.server.finish();
        let _ = fs::remove_file(self.state.join(socket::FILE_NAME));
    }
}

async fn open_store(state: &Path) -> Result<Store, StoreError> {
    let began = Instant::now();
    loop {
        match Store::open(state, Absent::Create) {
            Err(StoreError::Held { .. }) if began.elapsed() < STORE_PATIENCE => {
                sleep(Duration::from_millis(50)).await;
            }
            opened => return opened,
        }
    }
}

/// Loads all zones; fails when not one can be served.
async fn load(server: &Arc<Server>) -> Result<(), StartError> {
    let loading = Arc::clone(server);
    let reloaded = tokio::task::spawn_blocking(move || loading.start()).await?;
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
    Err(StartError::NoZone(lines.concat()))
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
