//! Alarms on their way to people: a command is run, and an address is posted to, each until it takes them.
//!
//! The two have a queue each, so that neither waits for the other, and both are bounded: who does not take alarms for an
//! hour loses them, which is logged. What stands is in `status` all the while.

use std::{
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::{
    io::AsyncWriteExt as _,
    process::Command,
    sync::mpsc::{Receiver, Sender, channel},
    time::{sleep, timeout},
};

use crate::{
    client::https,
    clock::{Clock, UnixTime},
    control::{server::Server, zones::causes},
    multisigner::alarms::{Change, Level},
    wire::Name,
};

/// Alarms that wait for one way; more are dropped.
const WAITING: usize = 256;
/// How long one try may take.
const ONE_TRY: Duration = Duration::from_secs(30);
/// The pause after the first try that failed; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// After how long an alarm is given up.
const GIVE_UP: Duration = Duration::from_secs(3_600);

/// An alarm as it is told: one JSON object.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Notice {
    /// `raised` or `over`.
    pub event: &'static str,
    /// How much it matters.
    pub level: Level,
    /// The zone; none when it is about the server.
    pub zone: Option<String>,
    /// What it is, and what to do.
    pub what: String,
    /// When it was first seen, in Unix seconds.
    pub since: UnixTime,
    /// When this was said.
    pub at: UnixTime,
}

impl Notice {
    pub(super) fn of(zone: Option<&Name>, change: &Change, at: UnixTime) -> Self {
        let (event, alarm) = match change {
            Change::Raised(alarm) => ("raised", alarm),
            Change::Over(alarm) => ("over", alarm),
        };
        Self {
            event,
            level: alarm.level,
            zone: zone.map(ToString::to_string),
            what: alarm.what.clone(),
            since: alarm.since,
            at,
        }
    }
}

/// A way to people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Command,
    Webhook,
}

const WAYS: [Way; 2] = [Way::Command, Way::Webhook];

/// What a try came to.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Try {
    /// It was taken, or this way is not configured.
    Done,
    /// It may be taken later.
    Later(String),
    /// It will never be.
    Never(String),
}

type Queue = (Sender<Notice>, Mutex<Option<Receiver<Notice>>>);

/// The alarms that wait.
#[derive(Debug)]
pub(super) struct Outbox {
    queues: [Queue; WAYS.len()],
}

impl Default for Outbox {
    fn default() -> Self {
        let queue = |_| {
            let (sender, receiver) = channel(WAITING);
            (sender, Mutex::new(Some(receiver)))
        };
        Self {
            queues: WAYS.map(queue),
        }
    }
}

impl Outbox {
    pub(super) fn put(&self, notice: Notice) {
        for (way, (sender, _)) in WAYS.iter().zip(&self.queues) {
            if sender.try_send(notice.clone()).is_err() {
                tracing::error!(
                    "{WAITING} alarms wait for the {way:?} already; this one is not told there: {}",
                    notice.what
                );
            }
        }
    }

    /// Delivers until the server ends.
    pub(super) async fn deliver(&self, server: &Arc<Server>) {
        let [command, webhook] = &self.queues;
        tokio::join!(
            deliver_by(Way::Command, command, server),
            deliver_by(Way::Webhook, webhook, server)
        );
    }
}

async fn deliver_by(way: Way, (_, receiver): &Queue, server: &Arc<Server>) {
    let taken = receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut receiver) = taken else { return };
    while let Some(notice) = receiver.recv().await {
        let began = server.clock.steady();
        let mut pause = FIRST_PAUSE;
        loop {
            let why = match try_once(way, &notice, server).await {
                Try::Done => break,
                Try::Never(why) => {
                    tracing::error!("an alarm is not told: {why}: {}", notice.what);
                    break;
                }
                Try::Later(why) => why,
            };
            if server.clock.steady().saturating_sub(began) + pause > GIVE_UP {
                tracing::error!("an alarm is told no more after an hour: {why}: {}", notice.what);
                break;
            }
            tracing::warn!("an alarm could not be told yet: {why}");
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// One try, as the configuration says at this moment.
async fn try_once(way: Way, notice: &Notice, server: &Arc<Server>) -> Try {
    let settings = &server.config.load().monitor;
    let told = match way {
        Way::Command if !settings.command.is_empty() => {
            timeout(ONE_TRY, run(&settings.command, notice)).await
        }
        Way::Webhook => match &settings.webhook {
            Some(url) => timeout(ONE_TRY, post(url, notice)).await,
            None => return Try::Done,
        },
        Way::Command => return Try::Done,
    };
    told.unwrap_or_else(|_| Try::Later(format!("it took longer than {} s", ONE_TRY.as_secs())))
}

/// Runs the command with the alarm on its standard input. It gets nothing of our environment, where secrets may be.
async fn run(command: &[String], notice: &Notice) -> Try {
    let [program, arguments @ ..] = command else {
        return Try::Done;
    };
    let octets = match serde_json::to_vec(notice) {
        Ok(octets) => octets,
        Err(error) => return Try::Never(causes(&error)),
    };
    let spawned = Command::new(program)
        .args(arguments)
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return Try::Later(format!("{program}: {error}")),
    };
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read is none of our business.
        let _ = stdin.write_all(&octets).await;
    }
    match child.wait().await {
        Ok(status) if status.success() => Try::Done,
        Ok(status) => Try::Later(format!("{program}: {status}")),
        Err(error) => Try::Later(format!("{program}: {error}")),
    }
}

/// Posts the alarm. The address may hold a secret, so that it is not repeated.
async fn post(url: &str, notice: &Notice) -> Try {
    let client = reqwest::Url::parse(url)
        .map_err(|error| error.to_string())
        .and_then(|url| Ok((https::client(&url, Vec::new())?, url)));
    let (client, url) = match client {
        Ok(client) => client,
        Err(why) => return Try::Never(format!("the webhook cannot be asked: {why}")),
    };
    match client.post(url).json(notice).send().await {
        Ok(reply) => judge(reply.status().as_u16()),
        Err(error) => Try::Later(format!("the webhook: {}", causes(&error.without_url()))),
    }
}

fn judge(status: u16) -> Try {
    match status {
        200..=299 => Try::Done,
        // Too early, too often, or its own trouble.
        408 | 425 | 429 | 500..=599 => Try::Later(format!("the webhook answers {status}")),
        _ => Try::Never(format!(
            "the webhook answers {status}; correct `webhook` in the configuration"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again() {
        assert_eq!(judge(204), Try::Done);
        for status in [408, 425, 429, 500, 502, 503] {
            assert!(matches!(judge(status), Try::Later(_)), "{status}");
        }
        for status in [301, 400, 401, 404, 410] {
            assert!(matches!(judge(status), Try::Never(_)), "{status}");
        }
    }
}
