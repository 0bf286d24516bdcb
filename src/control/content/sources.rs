//! The zones that are fetched: when each is due, what the last fetch brought, and what a person says to it.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, Semaphore},
    task::JoinSet,
    time::timeout,
};

use super::{
    Copies, Digest,
    fetch::{self, Brought, Done, Task},
    judge::{Accepted, HeldBack},
    notices::Board,
    schedule::{Schedule, Timers},
};
use crate::{
    clock::{Clock, UnixTime},
    config::{Config, ContentSource, ZoneSettings},
    control::{
        Server,
        protocol::{ContentAccepted, ContentStatus, Refusal},
        server::unknown,
        zones::{Held, HeldZone},
    },
    wire::{Name, Serial},
};

/// How often it is looked whether something is due.
const BEAT: Duration = Duration::from_millis(500);
/// How many zones are fetched at the same time.
const MOST_FETCHES: usize = 16;

/// What is known of all zones that are fetched.
#[derive(Debug)]
pub struct Sources {
    copies: Copies,
    known: Mutex<BTreeMap<Name, Known>>,
    board: Arc<Board>,
    /// Something is due that was not when it was last looked.
    wanted: Notify,
}

/// What is known of one.
#[derive(Debug)]
struct Known {
    source: ContentSource,
    schedule: Schedule,
    /// It waits for its turn, or is being fetched.
    is_out: bool,
    /// One fetch at a time.
    turn: Arc<tokio::sync::Mutex<()>>,
    held: Option<HeldBack>,
    accepted: Option<Accepted>,
    /// Why the last fetch brought nothing.
    failure: Option<String>,
    remarks: Vec<String>,
    first: usize,
    seen: Option<Serial>,
}

impl Sources {
    /// For a server with this state folder.
    pub fn new(state: &Path) -> Self {
        Self {
            copies: Copies::new(state),
            known: Mutex::default(),
            board: Arc::default(),
            wanted: Notify::new(),
        }
    }

    /// The durable copies.
    pub fn copies(&self) -> &Copies {
        &self.copies
    }

    /// Who takes notices.
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Name, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the configuration: zones come and go, and change where they are fetched from.
    pub fn follow(&self, config: &Config, held: &Held, now: UnixTime) {
        let fetched = config.zones.iter().filter(|zone| zone.source.file().is_none());
        let mut known = self.known();
        let is_wanted = |name: &Name, source: &ContentSource| {
            let mut zones = config.zones.iter();
            zones.any(|zone| zone.origin == *name && zone.source == *source)
        };
        known.retain(|name, of_zone| is_wanted(name, &of_zone.source));
        for zone in fetched {
            if !known.contains_key(&zone.origin) {
                let copy = self.copy_of(zone, held);
                known.insert(zone.origin.clone(), Known::new(&zone.source, copy, now));
            }
        }
        drop(known);
        self.board.watch(&config.zones);
        self.wanted.notify_one();
    }

    /// When the content of a zone was last known to be current, with its timers, where it came from its source.
    fn copy_of(&self, zone: &ZoneSettings, held: &Held) -> Option<(UnixTime, Timers)> {
        let content = held.get(&zone.origin)?.content()?;
        let current_at = self.copies.current_at(&zone.origin)?;
        Some((current_at, timers(&zone.source, &content.zone)))
    }

    /// A person wants all of them to be asked now.
    pub fn want_all(&self, now: UnixTime) {
        self.known()
            .values_mut()
            .for_each(|known| known.schedule.wanted(now));
        self.wanted.notify_one();
    }

    /// Takes what primaries told; gives the zones that are due, each once.
    fn due(&self, now: UnixTime) -> Vec<Name> {
        let mut known = self.known();
        for (zone, by) in self.board.take() {
            if let Some(known) = known.get_mut(&zone) {
                known.schedule.noticed(now);
                known.first = by;
            }
        }
        let due = known
            .iter_mut()
            .filter(|(_, known)| !known.is_out && known.schedule.due() <= now);
        due.map(|(zone, known)| {
            known.is_out = true;
            zone.clone()
        })
        .collect()
    }

    /// The zones whose content has expired.
    fn expired(&self, now: UnixTime) -> Vec<(Name, UnixTime)> {
        let known = self.known();
        let expired = known.iter().filter(|(_, known)| known.schedule.is_expired(now));
        expired
            .map(|(zone, known)| (zone.clone(), known.schedule.current_at().unwrap_or_default()))
            .collect()
    }

    fn turn(&self, zone: &Name) -> Option<Arc<tokio::sync::Mutex<()>>> {
        self.known().get(zone).map(|known| Arc::clone(&known.turn))
    }

    fn task(&self, zone: &HeldZone) -> Option<Task> {
        let known = self.known();
        let known = known.get(&zone.settings.origin)?;
        Some(Task {
            zone: zone.settings.clone(),
            content: zone.content().cloned(),
            held: known.held.clone(),
            accepted: known.accepted,
            first: known.first,
            seen: known.seen,
        })
    }

    /// Notes how a fetch ended; `zone` as it is held now.
    fn note(&self, task: &Task, ended: Result<Done, String>, zone: Option<&HeldZone>, now: UnixTime) {
        let origin = &task.zone.origin;
        let mut known = self.known();
        // It was taken out, or is fetched from elsewhere by now.
        let Some(known) = known
            .get_mut(origin)
            .filter(|known| known.source == task.zone.source)
        else {
            return;
        };
        match ended {
            Ok(done) => {
                if known.failure.take().is_some() {
                    tracing::info!(zone = %origin, "the source answers again");
                }
                known.remarks = done.remarks;
                known.seen = done.seen;
                let held = match done.brought {
                    Brought::HeldBack(held) => Some(held),
                    Brought::Nothing | Brought::Content => None,
                };
                if let Some(held) = held.as_ref().filter(|held| known.held.as_ref() != Some(held)) {
                    tracing::error!(zone = %origin, "what was served goes on: {held}; if that is right: countersign accept content {origin}");
                }
                known.held = held;
                // A yes that was said while it was fetched is to the next fetch.
                if known.accepted == task.accepted {
                    known.accepted = None;
                }
                let content = zone.and_then(HeldZone::zone);
                let timers = content.map(|content| timers(&known.source, content));
                known
                    .schedule
                    .answered(timers.unwrap_or(Timers::polled(BEAT)), now);
            }
            Err(why) => {
                if known.failure.as_ref() != Some(&why) {
                    tracing::error!(zone = %origin, "its content cannot be fetched: {why}");
                }
                known.failure = Some(why);
                known.schedule.failed(now);
            }
        }
    }

    fn is_back(&self, zone: &Name) {
        if let Some(known) = self.known().get_mut(zone) {
            known.is_out = false;
        }
    }

    /// What a person should see to, for `status`.
    pub fn warnings(&self, zone: &Name) -> Vec<String> {
        let known = self.known();
        let Some(known) = known.get(zone) else {
            return Vec::new();
        };
        let failure = known.failure.iter().map(|why| {
            let since = match known.schedule.current_at() {
                Some(current_at) => format!(" since {current_at}"),
                None => String::new(),
            };
            let until = match known.schedule.expires_at() {
                Some(expires_at) => format!("; it is served until {expires_at}"),
                None => String::new(),
            };
            format!("its content cannot be fetched{since}: {why}{until}")
        });
        let held = known
            .held
            .iter()
            .map(|held| format!("{held}; if that is right: countersign accept content {zone}"));
        failure.chain(held).chain(known.remarks.iter().cloned()).collect()
    }

    /// Where a zone stands with its source, for `status`.
    pub fn status(&self, zone: &HeldZone) -> Option<ContentStatus> {
        let known = self.known();
        let known = known.get(&zone.settings.origin)?;
        let (source, from) = match &known.source {
            ContentSource::File { .. } => return None,
            ContentSource::Axfr { primaries, .. } => {
                ("axfr", primaries.iter().map(ToString::to_string).collect())
            }
            ContentSource::Ns1 { provider, .. } => ("ns1", vec![provider.clone()]),
        };
        let fetched = zone.content().and_then(|content| content.fetched.as_ref());
        Some(ContentStatus {
            source: source.to_owned(),
            from,
            serial: zone.zone().map(|zone| zone.serial()),
            current_at: known.schedule.current_at(),
            next_at: known.schedule.due(),
            expires_at: known.schedule.expires_at(),
            failures: known.schedule.failures(),
            failure: known.failure.clone(),
            held_back: known.held.clone(),
            left_out: fetched.map_or(0, |fetched| fetched.left_out),
            digest_verified: fetched.is_some_and(|fetched| fetched.digest == Digest::Verified),
        })
    }
}

impl Known {
    fn new(source: &ContentSource, copy: Option<(UnixTime, Timers)>, now: UnixTime) -> Self {
        Self {
            source: source.clone(),
            schedule: Schedule::new(copy, now),
            is_out: false,
            turn: Arc::default(),
            held: None,
            accepted: None,
            failure: None,
            remarks: Vec::new(),
            first: 0,
            seen: None,
        }
    }
}

fn timers(source: &ContentSource, zone: &crate::zone::Zone) -> Timers {
    match source {
        ContentSource::Ns1 { poll, .. } => Timers::polled(*poll),
        ContentSource::File { .. } | ContentSource::Axfr { .. } => Timers::of(&zone.soa_numbers()),
    }
}

/// The background task: fetches what is due, and stops serving what has expired.
pub async fn keep(server: Arc<Server>) {
    let slots = Arc::new(Semaphore::new(MOST_FETCHES));
    let mut fetches = JoinSet::new();
    loop {
        let sources = &server.sources;
        tokio::select! {
            () = sources.board.told() => {}
            () = sources.wanted.notified() => {}
            () = tokio::time::sleep(BEAT) => {}
        }
        while fetches.try_join_next().is_some() {}
        let now = server.clock.now();
        for (zone, current_at) in sources.expired(now) {
            let server = Arc::clone(&server);
            let _ = tokio::task::spawn_blocking(move || server.expire(&zone, current_at)).await;
        }
        for zone in sources.due(now) {
            let (server, slots) = (Arc::clone(&server), Arc::clone(&slots));
            fetches.spawn(async move {
                if let Ok(_slot) = slots.acquire().await {
                    refresh(&server, &zone).await;
                }
                server.sources.is_back(&zone);
            });
        }
    }
}

/// One fetch of a zone, in its turn.
async fn refresh(server: &Arc<Server>, zone: &Name) {
    let Some(turn) = server.sources.turn(zone) else {
        return;
    };
    let _turn = turn.lock().await;
    let held = server.held.load_full();
    let Some(before) = held.get(zone) else { return };
    let Some(task) = server.sources.task(before) else {
        return;
    };
    let ended = fetch::fetch(server, &task).await;
    let now = server.clock.now();
    if let Ok(done) = &ended
        && !matches!(done.brought, Brought::HeldBack(_))
    {
        let (server, task) = (Arc::clone(server), task.clone());
        let _ = tokio::task::spawn_blocking(move || server.confirm(&task.zone)).await;
    }
    let after = server.held.load_full();
    server
        .sources
        .note(&task, ended, after.get(zone).map(|zone| &**zone), now);
}

/// How long a person waits for the fetch that follows their word.
const PATIENCE: Duration = Duration::from_secs(120);

/// A person says that what is held back is right: it is fetched now, and served.
///
/// # Errors
/// When nothing is held back, or it cannot be fetched.
pub async fn accept(server: &Arc<Server>, zone: &Name) -> Result<ContentAccepted, Refusal> {
    let refused = |error: String| Refusal { error, advice: None };
    if !server.held.load().contains_key(zone) {
        return Err(unknown(zone));
    }
    let held = {
        let mut known = server.sources.known();
        let known = known.get_mut(zone);
        let known = known.ok_or_else(|| refused(format!("{zone} has its content from a file")))?;
        let held = known.held.clone();
        let held = held.ok_or_else(|| refused(format!("no content of {zone} is held back")))?;
        known.accepted = Some(Accepted::to(&held));
        held
    };
    tracing::warn!(%zone, "a person accepted the content: {held}");
    if timeout(PATIENCE, refresh(server, zone)).await.is_err() {
        return Err(refused(format!(
            "{zone} was not fetched within {} s; it goes on",
            PATIENCE.as_secs()
        )));
    }
    let status = server
        .held
        .load()
        .get(zone)
        .and_then(|held| server.sources.status(held))
        .ok_or_else(|| unknown(zone))?;
    match (status.failure, status.held_back) {
        (Some(why), _) => Err(refused(format!("{zone} cannot be fetched: {why}"))),
        (None, Some(held)) => Err(Refusal {
            error: format!("it has changed meanwhile: {held}"),
            advice: Some(format!("if that is right: countersign accept content {zone}")),
        }),
        (None, None) => Ok(ContentAccepted {
            zone: zone.to_string(),
            serial: status.serial,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn held(serial: u32) -> HeldBack {
        HeldBack {
            serial: Serial(serial),
            records: Some(3),
            why: super::super::judge::Why::Emptied { served: 9 },
        }
    }

    #[test]
    fn a_yes_that_was_said_during_a_fetch_is_to_the_next_one() {
        let text = b"listen = [\"127.0.0.1:0\"]\nstate = \"state\"\n[[zone]]\norigin = \"example.\"\n\
                     source = \"axfr\"\nprimaries = [\"127.0.0.1:9\"]\nauto_keys = true\n";
        let folder = tempfile::tempdir().unwrap();
        let config = config::parse(text, &folder.path().join("countersign.toml")).unwrap();
        let zone = &config.zones[0];
        let sources = Sources::new(folder.path());
        sources.follow(&config, &Held::default(), NOW);
        let accepted = || sources.known()[&zone.origin].accepted;
        let task = |accepted| Task {
            zone: zone.clone(),
            content: None,
            held: Some(held(2)),
            accepted,
            first: 0,
            seen: None,
        };
        let brought = || Ok(Done::from(Brought::HeldBack(held(2))));

        // A fetch is out when the person says yes.
        let before = task(None);
        let yes = Accepted::to(&held(2));
        sources.known().get_mut(&zone.origin).unwrap().accepted = Some(yes);
        sources.note(&before, brought(), None, NOW);
        assert_eq!(accepted(), Some(yes));
        // The one that knew of it has used it up.
        sources.note(&task(Some(yes)), brought(), None, NOW);
        assert_eq!(accepted(), None);
    }
}
