//! One authoritative server of the simulated NS1: the engine of this program with NS1's keys, on an address of its
//! own, with content and keys of its own, so that servers can differ.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};

use super::{
    account::{KeysView, ZoneView},
    transfer::{Messages, Transferable, asked},
};
use crate::{
    answer::{
        Effort, Engine, EngineSettings, Outcome, Peer, Responder, ServedZone, Transport, Work, Worker,
        ZonePolicy,
    },
    clock::{Clock, UnixTime},
    dnssec::keyset::{KeySet, Publishing},
    wire::{Name, RrType, Serial, message::Query},
    zone::Zone,
};

/// TCP connections at a time, and answers that wait because the server is slow.
const MAX_CONNECTIONS: usize = 256;
const MAX_WAITING: usize = 4_096;
/// How long a TCP connection may be silent.
const IDLE: Duration = Duration::from_secs(10);

/// How a server behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Behaviour {
    /// It answers nothing.
    pub unreachable: bool,
    /// It answers late.
    pub delay: Duration,
    /// Changes of records do not reach it.
    pub stale: bool,
    /// Transfers hold the DNSKEY records.
    pub transfer_keys: bool,
}

/// What it shows of a zone.
#[derive(Debug)]
struct Shown {
    content_version: u64,
    content: Arc<Zone>,
    keys: Option<((u64, bool, u32), u32)>,
    keyset: Option<Arc<KeySet>>,
    served: Arc<ServedZone>,
}

/// See the module.
#[derive(Debug)]
pub struct DnsServer {
    engine: Arc<Engine>,
    worker: Mutex<Worker>,
    behaviour: ArcSwap<Behaviour>,
    transfers: ArcSwap<BTreeMap<Name, Transferable>>,
    shown: Mutex<BTreeMap<Name, Shown>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DnsServer {
    /// A server without zones.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let engine = Engine::new(EngineSettings::default(), clock);
        Arc::new(Self {
            worker: Mutex::new(engine.worker()),
            engine,
            behaviour: ArcSwap::default(),
            transfers: ArcSwap::default(),
            shown: Mutex::default(),
        })
    }

    /// Sets how it behaves.
    pub fn behave(&self, behaviour: Behaviour) {
        if **self.behaviour.load() != behaviour {
            self.behaviour.store(Arc::new(behaviour));
        }
    }

    /// Shows these zones from now on.
    pub fn show(&self, views: Vec<ZoneView>, now: UnixTime) {
        let behaviour = **self.behaviour.load();
        let mut shown = lock(&self.shown);
        let mut next = BTreeMap::new();
        let mut transfers = BTreeMap::new();
        for view in views {
            let before = shown.get(&view.apex);
            let Some(zone) = Shown::new(&view, before, behaviour.stale, now) else {
                continue;
            };
            if let Some(secondaries) = view.transfer {
                transfers.insert(
                    view.apex.clone(),
                    zone.transferable(secondaries, behaviour.transfer_keys),
                );
            }
            next.insert(view.apex, zone);
        }
        let served = next
            .values()
            .map(|zone: &Shown| Arc::clone(&zone.served))
            .collect();
        drop(self.engine.publish(served));
        self.transfers.store(Arc::new(transfers));
        *shown = next;
    }

    fn answer(&self, packet: &[u8], from: SocketAddr, transport: Transport) -> Option<Vec<u8>> {
        let peer = Peer {
            address: from,
            transport,
        };
        let mut worker = lock(&self.worker);
        let mut out = Vec::new();
        worker.begin_batch();
        let outcome = worker.answer(packet, peer, Effort::Full, &mut out);
        worker.end_batch();
        (outcome == Outcome::Answered).then_some(out)
    }

    /// The zone of a transfer that this peer asked for and may have.
    fn transfer(&self, packet: &[u8], from: SocketAddr) -> Option<(RrType, Option<Serial>, Arc<Zone>)> {
        let (rtype, serial) = asked(packet)?;
        let question = Query::read(packet)?.question?;
        let transfers = self.transfers.load();
        let transferable = transfers.get(&question.name.to_lowercase())?;
        transferable
            .allows(from.ip())
            .then(|| (rtype, serial, Arc::clone(&transferable.zone)))
    }

    // ---- sockets ----

    /// Answers datagrams until told to stop.
    pub async fn answer_udp(self: Arc<Self>, socket: UdpSocket, mut stop: watch::Receiver<bool>) {
        let socket = Arc::new(socket);
        let waiting = Arc::new(Semaphore::new(MAX_WAITING));
        let mut buffer = vec![0; 65_535];
        loop {
            let received = tokio::select! {
                received = socket.recv_from(&mut buffer) => received,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            // An error here tells of an earlier answer that reached nobody.
            let Ok((length, from)) = received else { continue };
            let behaviour = **self.behaviour.load();
            if behaviour.unreachable {
                continue;
            }
            let packet = &buffer[..length];
            let answer = match self.transfer(packet, from) {
                Some((RrType::IXFR, _, zone)) => Messages::soa_alone(packet, zone),
                _ => self.answer(packet, from, Transport::Udp),
            };
            let Some(answer) = answer else { continue };
            if behaviour.delay.is_zero() {
                let _ = socket.send_to(&answer, from).await;
            } else if let Ok(permit) = Arc::clone(&waiting).try_acquire_owned() {
                let socket = Arc::clone(&socket);
                tokio::spawn(async move {
                    sleep(behaviour.delay).await;
                    let _ = socket.send_to(&answer, from).await;
                    drop(permit);
                });
            }
        }
    }

    /// Answers connections until told to stop.
    pub async fn answer_tcp(self: Arc<Self>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let Ok((stream, from)) = accepted else {
                // Out of descriptors: it passes.
                sleep(Duration::from_millis(20)).await;
                continue;
            };
            let (Ok(permit), false) = (
                Arc::clone(&room).try_acquire_owned(),
                self.behaviour.load().unreachable,
            ) else {
                continue;
            };
            let (server, mut stop) = (Arc::clone(&self), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    _ = server.converse(stream, from) => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
                drop(permit);
            });
        }
    }

    async fn converse(&self, mut stream: TcpStream, from: SocketAddr) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut packet = Vec::new();
        loop {
            let length = timeout(IDLE, stream.read_u16()).await??;
            packet.resize(length.into(), 0);
            timeout(IDLE, stream.read_exact(&mut packet)).await??;
            let behaviour = **self.behaviour.load();
            if behaviour.unreachable {
                return Ok(());
            }
            sleep(behaviour.delay).await;
            match self.transfer(&packet, from) {
                Some((_, serial, zone)) => {
                    for message in Messages::new(&packet, zone, serial) {
                        timeout(IDLE, send(&mut stream, &message)).await??;
                    }
                }
                None => match self.answer(&packet, from, Transport::Tcp) {
                    Some(answer) => timeout(IDLE, send(&mut stream, &answer)).await??,
                    None => return Ok(()),
                },
            }
        }
    }
}

async fn send(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let framed = [&length.to_be_bytes(), message].concat();
    stream.write_all(&framed).await
}

impl Shown {
    /// What to show; what was shown `before` when that is the same, or when the new cannot be served.
    fn new(view: &ZoneView, before: Option<&Self>, stale: bool, now: UnixTime) -> Option<Self> {
        let (content_version, content) = match before.filter(|_| stale) {
            Some(before) => (before.content_version, &before.content),
            None => (view.content_version, &view.content),
        };
        let keys = view.keys.as_ref().map(|keys| (keys.stamp, keys.ttl.seconds()));
        if let Some(before) =
            before.filter(|before| before.content_version == content_version && before.keys == keys)
        {
            return Some(before.again());
        }
        let previous = before.map(|before| &*before.served);
        let made = match &view.keys {
            None => Some((None, ServedZone::unsigned(content))),
            Some(keys) => sign(content, keys, before, previous, now),
        };
        let Some((keyset, served)) = made else {
            return before.map(Self::again);
        };
        Some(Self {
            content_version,
            content: Arc::clone(content),
            keys,
            keyset,
            served: Arc::new(served),
        })
    }

    fn again(&self) -> Self {
        Self {
            content_version: self.content_version,
            content: Arc::clone(&self.content),
            keys: self.keys,
            keyset: self.keyset.clone(),
            served: Arc::clone(&self.served),
        }
    }

    fn transferable(&self, secondaries: Vec<serde_json::Value>, with_keys: bool) -> Transferable {
        let dnskey = self
            .keyset
            .iter()
            .filter(|_| with_keys)
            .flat_map(|keyset| keyset.apex_rrsets())
            .map(|set| {
                (
                    set.rtype,
                    set.ttl,
                    set.rdatas.iter().map(|rdata| &**rdata).collect(),
                )
            });
        let zone = if with_keys {
            Arc::new(self.content.with_apex_rrsets(dnskey))
        } else {
            Arc::clone(&self.content)
        };
        Transferable { zone, secondaries }
    }
}

fn sign(
    content: &Zone,
    keys: &KeysView,
    before: Option<&Shown>,
    previous: Option<&ServedZone>,
    now: UnixTime,
) -> Option<(Option<Arc<KeySet>>, ServedZone)> {
    let publishing = Publishing {
        ttl: keys.ttl,
        ..Publishing::default()
    };
    let before = before.and_then(|before| before.keyset.as_deref());
    let keyset = KeySet::assemble(content.apex(), keys.members.clone(), publishing, before);
    let keyset = Arc::new(
        keyset
            .inspect_err(|error| tracing::error!(%error, "the simulated NS1 cannot sign"))
            .ok()?,
    );
    let served = ServedZone::new(
        content,
        Arc::clone(&keyset),
        &ZonePolicy::default(),
        now,
        previous,
    );
    let served = served
        .inspect_err(|error| tracing::error!(%error, "the simulated NS1 cannot serve"))
        .ok()?;
    Some((Some(keyset), served))
}
