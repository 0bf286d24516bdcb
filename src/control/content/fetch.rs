//! One fetch of a zone: its source is asked, and what comes is judged, made durable, and served.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    Content, Digest,
    incoming::{NotChanged, Receiver, Unusable},
    judge::{self, Accepted, HeldBack, Size, Why},
    origin_of, ttl_limit,
};
use crate::{
    answer::Transport,
    client::{
        Asker, Question,
        transfer::{Delta, Transfer, TransferSettings, Transferred},
        tsig::{Signing, TsigKey},
    },
    clock::Clock,
    config::{ContentSource, TsigSettings, ZoneSettings},
    control::{Server, zones::causes},
    provider::Provider,
    store::replica::{Replica, ReplicaError},
    wire::{RrType, Serial, Soa, message::Rcode, received::Record},
};

/// A zone to be fetched.
#[derive(Clone, Debug)]
pub struct Task {
    /// What the configuration says of it.
    pub zone: ZoneSettings,
    /// What is served, wherever it came from.
    pub content: Option<Arc<Content>>,
    /// What is held back.
    pub held: Option<HeldBack>,
    /// What a person said yes to.
    pub accepted: Option<Accepted>,
    /// Which primary is asked first, as an index.
    pub first: usize,
    /// What the provider said it has when it was last read.
    pub seen: Option<Serial>,
}

/// What a fetch brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Brought {
    /// What we have is what the source has.
    Nothing,
    /// Other content, which is served now.
    Content,
    /// Other content, which waits for a person.
    HeldBack(HeldBack),
}

/// How a fetch ended, and what is worth a word besides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Done {
    /// What it brought.
    pub brought: Brought,
    /// Such as a primary that did not answer beside one that did.
    pub remarks: Vec<String>,
    /// What the provider says it has.
    pub seen: Option<Serial>,
}

impl From<Brought> for Done {
    fn from(brought: Brought) -> Self {
        Self {
            brought,
            remarks: Vec::new(),
            seen: None,
        }
    }
}

/// What did not work, in words.
type Failure = String;

/// Fetches.
///
/// # Errors
/// When nobody answers, or what comes cannot be taken; what is served goes on.
pub async fn fetch(server: &Arc<Server>, task: &Task) -> Result<Done, Failure> {
    match &task.zone.source {
        ContentSource::File { .. } => Err("its content is in a file".to_owned()),
        ContentSource::Axfr { primaries, tsig } => {
            let key = tsig.as_ref().map(read_key).transpose()?;
            let transfers = Transfers { server, task, key };
            transfers.newest_of(primaries).await
        }
        ContentSource::Ns1 { provider, .. } => from_provider(server, task, provider).await,
    }
}

fn read_key(key: &TsigSettings) -> Result<Arc<TsigKey>, Failure> {
    TsigKey::from_file(key.name.clone(), key.algorithm, &key.secret_file)
        .map(Arc::new)
        .map_err(|error| causes(&error))
}

/// Transfers of one zone.
struct Transfers<'a> {
    server: &'a Arc<Server>,
    task: &'a Task,
    key: Option<Arc<TsigKey>>,
}

impl Transfers<'_> {
    /// Asks one primary after the other until one gives something newer than what we have.
    async fn newest_of(&self, primaries: &[SocketAddr]) -> Result<Done, Failure> {
        let mut failures = Vec::new();
        let (mut is_current, mut older) = (false, None);
        let first = self.task.first.min(primaries.len().saturating_sub(1));
        let (later, earlier) = (&primaries[first..], &primaries[..first]);
        for &primary in later.iter().chain(earlier) {
            let asked = self.ask(primary).await;
            let done = match (asked, self.have()) {
                (Err(why), _) => Err(why),
                (Ok(serial), Some(have)) if serial == Some(have) => {
                    is_current = true;
                    continue;
                }
                (Ok(Some(serial)), Some(have)) if !serial.is_newer_than(have) => {
                    older = older.or(Some((primary, serial, have)));
                    continue;
                }
                (Ok(Some(serial)), _) if self.still_waits(serial) => Ok(Done::from(Brought::HeldBack(
                    self.task.held.clone().expect("what waits is held back"),
                ))),
                (Ok(_), _) => self.transfer(primary).await,
            };
            match done {
                Ok(done) => {
                    return Ok(Done {
                        remarks: failures,
                        ..done
                    });
                }
                Err(why) => failures.push(format!("{primary}: {why}")),
            }
        }
        let brought = match older {
            _ if is_current => Brought::Nothing,
            Some((primary, serial, have)) => self.go_back(primary, serial, have).await?,
            None => return Err(failures.join("; ")),
        };
        Ok(Done {
            remarks: failures,
            ..brought.into()
        })
    }

    /// The version that we have of this source; `None` where what is served came from elsewhere.
    fn have(&self) -> Option<Serial> {
        let content = self.task.content.as_ref()?;
        let origin = &content.fetched.as_ref()?.origin;
        (Some(origin) == origin_of(&self.task.zone.source).as_ref()).then(|| Serial(content.zone.serial()))
    }

    /// Whether a version is held back, and no person has said yes: it is not transferred again to find that out.
    fn still_waits(&self, serial: Serial) -> bool {
        self.task.accepted.is_none() && self.task.held.as_ref().is_some_and(|held| held.serial == serial)
    }

    /// The version that a primary has; `None` where it is to be transferred whatever it is.
    async fn ask(&self, primary: SocketAddr) -> Result<Option<Serial>, Failure> {
        if self.have().is_none() && self.task.held.is_none() {
            return Ok(None);
        }
        let question = Question {
            name: self.task.zone.origin.clone(),
            rtype: RrType::SOA,
            dnssec: false,
            recursion: false,
        };
        let clock: &dyn Clock = &*self.server.clock;
        let signing = self.key.as_ref().map(|key| Signing { key, clock });
        let received = Asker::default()
            .ask_signed(Transport::Udp, primary, &question, signing)
            .await
            .map_err(|error| causes(&error))?;
        if received.rcode != Rcode::NOERROR {
            return Err(format!(
                "it answers {} to the question for the zone's SOA",
                received.rcode
            ));
        }
        let is_soa = |record: &&Record| record.rtype == RrType::SOA && record.owner == question.name;
        let soa = received
            .answers
            .iter()
            .find(is_soa)
            .and_then(|record| Soa::from_rdata(&record.rdata));
        match soa {
            Some(soa) if received.authoritative => Ok(Some(soa.serial)),
            _ => Err("it is no authority for the zone; look at its configuration and its log".to_owned()),
        }
    }

    /// A primary with an older version than ours was perhaps set back; only a person knows.
    async fn go_back(&self, primary: SocketAddr, serial: Serial, have: Serial) -> Result<Brought, Failure> {
        let held = HeldBack {
            serial,
            records: None,
            why: Why::Older { served: have },
        };
        if self.task.accepted != Some(Accepted::to(&held)) {
            return Ok(Brought::HeldBack(held));
        }
        self.whole(primary).await.map(|done| done.brought)
    }

    async fn transfer(&self, primary: SocketAddr) -> Result<Done, Failure> {
        let has_digest = |content: &Content| {
            content
                .fetched
                .as_ref()
                .is_none_or(|fetched| fetched.digest != Digest::Absent)
        };
        match (self.have(), &self.task.content) {
            // A digest is over all of the zone, which no changes bring.
            (Some(have), Some(content)) if !has_digest(content) => self.changes(primary, have, content).await,
            _ => self.whole(primary).await,
        }
    }

    async fn changes(
        &self,
        primary: SocketAddr,
        have: Serial,
        content: &Arc<Content>,
    ) -> Result<Done, Failure> {
        let mut receiver = None;
        let settings = TransferSettings::default();
        let transferred = self
            .of(primary, &settings)
            .refresh(have, &mut |record| self.receive(record, &mut receiver))
            .await
            .map_err(|error| causes(&error))?;
        let deltas = match transferred {
            Transferred::UpToDate { .. } => return Ok(Brought::Nothing.into()),
            Transferred::Whole { .. } => return self.take_whole(receiver).await,
            Transferred::Changes(deltas) => deltas,
        };
        let (server, task, before) = (Arc::clone(self.server), self.task.clone(), Arc::clone(content));
        match blocking(move || take_changes(&server, &task, &before, &deltas)).await? {
            Ok(brought) => Ok(brought.into()),
            Err(NotTaken::Whole(why)) => {
                tracing::warn!(zone = %self.task.zone.origin, %primary, "the changes do not fit, so all of the zone is asked for: {why}");
                self.whole(primary).await
            }
            Err(NotTaken::Failed(why)) => Err(why),
        }
    }

    async fn whole(&self, primary: SocketAddr) -> Result<Done, Failure> {
        let mut receiver = None;
        let settings = TransferSettings::default();
        self.of(primary, &settings)
            .fetch(None, &mut |record| self.receive(record, &mut receiver))
            .await
            .map_err(|error| causes(&error))?;
        self.take_whole(receiver).await
    }

    fn of<'s>(&'s self, server: SocketAddr, settings: &'s TransferSettings) -> Transfer<'s> {
        Transfer {
            server,
            zone: &self.task.zone.origin,
            key: self.key.as_ref(),
            settings,
            clock: &*self.server.clock,
        }
    }

    fn receive(&self, record: &Record, receiver: &mut Option<Result<Receiver, ReplicaError>>) {
        let receiver = receiver.get_or_insert_with(|| receiver_of(self.server, self.task));
        if let Ok(receiver) = receiver {
            receiver.take(record);
        }
    }

    async fn take_whole(&self, receiver: Option<Result<Receiver, ReplicaError>>) -> Result<Done, Failure> {
        let receiver = receiver.ok_or("nothing came")?.map_err(|error| causes(&error))?;
        let (server, task) = (Arc::clone(self.server), self.task.clone());
        let brought = blocking(move || take_whole(&server, &task, receiver)).await??;
        Ok(brought.into())
    }
}

/// Reads all content of a provider, where it says that it has another than when it was last read.
async fn from_provider(server: &Arc<Server>, task: &Task, provider: &str) -> Result<Done, Failure> {
    let origin = &task.zone.origin;
    let driver = driver(server, provider)?;
    let told = |error: crate::provider::ProviderError| match &error.advice {
        Some(advice) => format!("{error}; {advice}"),
        None => error.to_string(),
    };
    let serial = Serial(driver.serial(origin).await.map_err(told)?);
    let came_from_here = task
        .content
        .as_ref()
        .and_then(|content| content.fetched.as_ref())
        .is_some_and(|fetched| Some(&fetched.origin) == origin_of(&task.zone.source).as_ref());
    let seen = Some(serial);
    if let Some(held) = task
        .held
        .as_ref()
        .filter(|_| task.accepted.is_none() && task.seen == seen)
    {
        return Ok(Done {
            seen,
            ..Brought::HeldBack(held.clone()).into()
        });
    }
    let is_known = task.seen == seen
        || task.seen.is_none()
            && task
                .content
                .as_ref()
                .is_some_and(|content| Serial(content.zone.serial()) == serial);
    if came_from_here && is_known && task.held.is_none() {
        return Ok(Done {
            seen,
            ..Brought::Nothing.into()
        });
    }
    let content = driver.read_content(origin).await.map_err(told)?;
    let (to, of) = (Arc::clone(server), task.clone());
    let brought = blocking(move || {
        let mut receiver = receiver_of(&to, &of).map_err(|error| causes(&error))?;
        content.records.iter().for_each(|record| receiver.take(record));
        receiver.was_told(content.left_out as u64, content.remarks);
        take_whole(&to, &of, receiver)
    });
    Ok(Done {
        seen,
        ..brought.await??.into()
    })
}

fn driver(server: &Server, provider: &str) -> Result<Arc<dyn Provider>, Failure> {
    let config = server.config.load();
    let settings = config.providers.iter().find(|known| known.name == provider);
    let settings = settings.ok_or_else(|| format!("there is no provider \"{provider}\""))?;
    server.peers.driver(settings).map_err(|refusal| refusal.error)
}

fn receiver_of(server: &Server, task: &Task) -> Result<Receiver, ReplicaError> {
    let zone = &task.zone;
    let replica = server.sources.copies().of(&zone.origin);
    let replica = lock(&replica);
    let origin = origin_of(&zone.source).unwrap_or_default();
    Receiver::begin(
        &zone.origin,
        origin,
        ttl_limit(zone.signature_validity),
        &replica,
        &server.hasher,
    )
}

fn lock(replica: &Mutex<Replica>) -> MutexGuard<'_, Replica> {
    replica.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs what takes a processor or a disk on a thread of its own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| format!("a fault of this program: {error}"))
}

fn served_size(task: &Task) -> Option<Size> {
    task.content.as_ref().map(|content| Size::of(&content.zone))
}

fn take_whole(server: &Server, task: &Task, receiver: Receiver) -> Result<Brought, Failure> {
    let (content, new) = receiver.finish().map_err(|error: Unusable| causes(&error))?;
    let size = Size::of(&content.zone);
    if let Some(before) = task.content.as_ref().filter(|before| before.fetched.is_some())
        && before.fingerprint == content.fingerprint
    {
        return Ok(Brought::Nothing);
    }
    if let Err(held) = judge::judge(served_size(task), size, task.zone.largest_shrink, task.accepted) {
        return Ok(Brought::HeldBack(held));
    }
    let replica = server.sources.copies().of(&task.zone.origin);
    lock(&replica)
        .finish(new, size.serial, server.clock.now())
        .map_err(|error| causes(&error))?;
    server.refill(&task.zone, Some(Arc::new(content)), None);
    Ok(Brought::Content)
}

/// Why changes were not taken.
enum NotTaken {
    /// They do not fit; all of the zone may.
    Whole(Failure),
    /// Something else is wrong.
    Failed(Failure),
}

fn take_changes(
    server: &Server,
    task: &Task,
    before: &Content,
    deltas: &[Delta],
) -> Result<Brought, NotTaken> {
    let limit = ttl_limit(task.zone.signature_validity);
    let (content, removed, added) = before
        .changed(deltas, limit, &server.hasher)
        .map_err(|error: NotChanged| NotTaken::Whole(causes(&error)))?;
    let size = Size::of(&content.zone);
    if let Err(held) = judge::judge(served_size(task), size, task.zone.largest_shrink, task.accepted) {
        return Ok(Brought::HeldBack(held));
    }
    let replica = server.sources.copies().of(&task.zone.origin);
    // Not held while the zone is served: a reload reads copies while it holds the zones.
    lock(&replica).append(deltas).map_err(|error| match error {
        ReplicaError::Gap { .. } => NotTaken::Whole(causes(&error)),
        _ => NotTaken::Failed(causes(&error)),
    })?;
    tracing::debug!(zone = %task.zone.origin, removed, added, "changes to serial {}", size.serial);
    let content = Arc::new(content);
    server.refill(&task.zone, Some(Arc::clone(&content)), None);
    let mut replica = lock(&replica);
    if replica.is_long()
        && let Err(error) = content.rewrite(&mut replica, server.clock.now())
    {
        tracing::error!(zone = %task.zone.origin, "the copy cannot be written anew: {}", causes(&error));
    }
    Ok(Brought::Content)
}
