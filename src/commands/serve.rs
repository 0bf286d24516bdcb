//! `countersign serve`: the process around the server.
//!
//! ```text
//! settings ─► addresses ─► another user ─► the server (`control::instance`) ─► ready ─► signals
//! ```

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, chown},
    path::Path,
    sync::Arc,
};

use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};

use super::{
    arguments::{ServeArguments, read_config},
    logging,
    outcome::{Failure, Report},
};
use crate::{
    config::{self, Arguments, Config},
    control::{
        Server,
        instance::{Instance, StartError, transports},
    },
    serve::{
        Listeners,
        notify::{self, State},
        system::{self, User},
    },
    store::StoreError,
};

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
    let state = config.state.clone();
    let instance = tokio::select! {
        started = Instance::start(config, listeners) => started.map_err(|error| not_started(error, &state))?,
        () = signals.ended() => return Ok(()),
    };
    let ready = ready_line(instance.server());
    tracing::info!("{ready}");
    tell(State::Ready, &ready);
    signals.obey(instance.server()).await;

    tell(State::Stopping, "");
    instance.stop().await;
    tracing::info!("stopped");
    Ok(())
}

fn not_started(error: StartError, state: &Path) -> Failure {
    let held = matches!(error, StartError::Store(StoreError::Held { .. }));
    let failure = Failure::from(error);
    if held {
        failure.advice(format!(
            "countersign status --state {} tells of it",
            state.display()
        ))
    } else {
        failure
    }
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
