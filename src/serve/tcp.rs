//! TCP (RFC 7766, RFC 9210): pipelined queries, answered in their order, several answers a write.
//!
//! Each connection is a task with one small buffer each way. It is cut off when it is idle too long, when a query
//! it began does not end, or when it does not read what it is sent; a connection that reads slowly holds up
//! nobody but itself. At a limit the connection that was idle longest makes room: a new client is not refused.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    time::timeout,
};

use super::limits::{ACCEPT_BACKOFF, TCP_READ, TCP_WRITE};
use crate::{
    answer::{Effort, Outcome, Peer, Responder, Transport, Work},
    clock::Clock,
};

/// What the TCP side counts besides the engine.
#[derive(Debug, Default)]
pub struct TcpCounters {
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Connections closed to make room for others.
    pub evicted: AtomicU64,
    /// Connections cut off: idle, stalled in a query, or not reading.
    pub timed_out: AtomicU64,
    /// Accepting failed, mostly for want of descriptors.
    pub accept_errors: AtomicU64,
}

/// Limits of connections and their times.
#[derive(Clone, Copy, Debug)]
pub struct TcpLimits {
    /// Connections in all.
    pub connections: usize,
    /// Connections from one client prefix.
    pub connections_a_prefix: usize,
    /// Without a query so long, a connection is closed.
    pub idle: Duration,
    /// A query that began, and an answer that is written, may take so long.
    pub stall: Duration,
}

/// The connections there are, for the limits.
#[derive(Debug, Default)]
struct Table {
    connections: HashMap<u64, Arc<Connection>>,
    by_prefix: HashMap<IpAddr, usize>,
    next: u64,
}

#[derive(Debug)]
struct Connection {
    prefix: IpAddr,
    /// Steady time of the last query, in milliseconds.
    last_query: AtomicU64,
    close: Notify,
}

/// What all connections share.
pub(super) struct Shared<R: Responder> {
    responder: R,
    /// Workers that no connection uses just now; there are never more than connections answering at once.
    workers: Mutex<Vec<R::Worker>>,
    table: Mutex<Table>,
    limits: TcpLimits,
    clock: Arc<dyn Clock>,
    stop: watch::Receiver<bool>,
    pub(super) counters: Arc<TcpCounters>,
}

/// The network a client belongs to, as far as limits go: an IPv4 /24, an IPv6 /56.
fn prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            IpAddr::from([a, b, c, 0])
        }
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 72 << 72)),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<R: Responder> Shared<R> {
    pub(super) fn new(
        responder: R,
        limits: TcpLimits,
        clock: Arc<dyn Clock>,
        stop: watch::Receiver<bool>,
    ) -> Arc<Self> {
        Arc::new(Self {
            responder,
            workers: Mutex::default(),
            table: Mutex::default(),
            limits,
            clock,
            stop,
            counters: Arc::default(),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.steady().as_millis()).unwrap_or(u64::MAX)
    }

    fn worker(&self) -> R::Worker {
        let pooled = lock(&self.workers).pop();
        pooled.unwrap_or_else(|| self.responder.worker())
    }

    /// Notes a new connection; where a limit is reached, the one idle longest is told to close.
    fn enter(&self, address: SocketAddr) -> (u64, Arc<Connection>) {
        let connection = Arc::new(Connection {
            prefix: prefix(address.ip()),
            last_query: AtomicU64::new(self.now()),
            close: Notify::new(),
        });
        let mut table = lock(&self.table);
        let same_prefix = table.by_prefix.get(&connection.prefix).copied().unwrap_or(0);
        if same_prefix >= self.limits.connections_a_prefix {
            self.evict(&mut table, |other| other.prefix == connection.prefix);
        } else if table.connections.len() >= self.limits.connections {
            self.evict(&mut table, |_| true);
        }
        let id = table.next;
        table.next += 1;
        table.connections.insert(id, Arc::clone(&connection));
        *table.by_prefix.entry(connection.prefix).or_default() += 1;
        (id, connection)
    }

    fn evict(&self, table: &mut Table, of: impl Fn(&Connection) -> bool) {
        let idle_longest = table
            .connections
            .iter()
            .filter(|(_, connection)| of(connection))
            .min_by_key(|(id, connection)| (connection.last_query.load(Ordering::Relaxed), **id))
            .map(|(id, _)| *id);
        if let Some(connection) = idle_longest.and_then(|id| remove(table, id)) {
            connection.close.notify_one();
            self.counters.evicted.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn leave(&self, id: u64) {
        remove(&mut lock(&self.table), id);
    }
}

fn remove(table: &mut Table, id: u64) -> Option<Arc<Connection>> {
    let connection = table.connections.remove(&id)?;
    if let Some(count) = table.by_prefix.get_mut(&connection.prefix) {
        *count -= 1;
        if *count == 0 {
            table.by_prefix.remove(&connection.prefix);
        }
    }
    Some(connection)
}

/// Accepts connections until told to stop.
pub(super) async fn accept<R: Responder>(listener: TcpListener, shared: Arc<Shared<R>>) {
    let mut stop = shared.stop.clone();
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
            // Tasks that ended are let go of.
            Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
        };
        match accepted {
            Ok((stream, address)) => {
                shared.counters.accepted.fetch_add(1, Ordering::Relaxed);
                let (id, connection) = shared.enter(address);
                let shared = Arc::clone(&shared);
                tasks.spawn(async move {
                    converse(stream, address, &connection, &shared).await;
                    shared.leave(id);
                });
            }
            Err(error) => {
                // A client that went away before it was accepted is its own affair; want of descriptors passes.
                shared.counters.accept_errors.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%error, "accepting a TCP connection failed");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Why a conversation goes no further; only a time-out is counted.
enum End {
    Closed,
    TimedOut,
}

async fn converse<R: Responder>(
    mut stream: TcpStream,
    address: SocketAddr,
    connection: &Connection,
    shared: &Arc<Shared<R>>,
) {
    // Without it, each answer may wait for the client's acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let mut stop = shared.stop.clone();
    let mut conversation = Conversation {
        read: Vec::new(),
        write: Vec::new(),
        answer: Vec::new(),
    };
    let from = Peer {
        address,
        transport: Transport::Tcp,
    };
    let end = loop {
        let more = tokio::select! {
            more = conversation.read_more(&mut stream, shared.limits) => more,
            () = connection.close.notified() => Err(End::Closed),
            _ = stop.wait_for(|stop| *stop) => Err(End::Closed),
        };
        if let Err(end) = more {
            break end;
        }
        connection.last_query.store(shared.now(), Ordering::Relaxed);
        if let Err(end) = conversation.answer_all(&mut stream, from, shared).await {
            break end;
        }
    };
    if matches!(end, End::TimedOut) {
        shared.counters.timed_out.fetch_add(1, Ordering::Relaxed);
    }
    let _ = timeout(shared.limits.stall, stream.shutdown()).await;
}

struct Conversation {
    read: Vec<u8>,
    write: Vec<u8>,
    answer: Vec<u8>,
}

impl Conversation {
    /// Waits until a whole query is there: as long as an idle connection may last before its first octet, and as
    /// long as a stall may last after it. May be dropped while it waits.
    async fn read_more(&mut self, stream: &mut TcpStream, limits: TcpLimits) -> Result<(), End> {
        if self.read.is_empty() {
            timeout(limits.idle, fill(&mut self.read, stream))
                .await
                .map_err(|_| End::TimedOut)??;
        }
        let whole = async {
            while self.whole_query().is_none() {
                fill(&mut self.read, stream).await?;
            }
            Ok(())
        };
        timeout(limits.stall, whole).await.map_err(|_| End::TimedOut)?
    }

    /// The length of the query at the front, when all of it is there.
    fn whole_query(&self) -> Option<usize> {
        let [high, low, rest @ ..] = &self.read[..] else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        (rest.len() >= length).then_some(length)
    }

    /// Answers every whole query that was read.
    async fn answer_all<R: Responder>(
        &mut self,
        stream: &mut TcpStream,
        from: Peer,
        shared: &Arc<Shared<R>>,
    ) -> Result<(), End> {
        let mut at = 0;
        loop {
            let mut worker = shared.worker();
            worker.begin_batch();
            let mut last = true;
            while let [high, low, rest @ ..] = &self.read[at..] {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                let Some(query) = rest.get(..length) else { break };
                if self.write.len() >= TCP_WRITE {
                    last = false;
                    break;
                }
                at += 2 + length;
                match worker.answer(query, from, Effort::Full, &mut self.answer) {
                    Outcome::Answered => {
                        self.write
                            .extend_from_slice(&(self.answer.len() as u16).to_be_bytes());
                        self.write.extend_from_slice(&self.answer);
                    }
                    // What must not be answered over a datagram is a broken stream here.
                    Outcome::Drop | Outcome::Deferred => {
                        worker.end_batch();
                        lock(&shared.workers).push(worker);
                        self.flush(stream, shared.limits).await?;
                        return Err(End::Closed);
                    }
                }
            }
            worker.end_batch();
            lock(&shared.workers).push(worker);
            self.flush(stream, shared.limits).await?;
            if last {
                break;
            }
        }
        self.read.drain(..at);
        // A connection that once sent a large query does not keep its buffer.
        if self.read.is_empty() && self.read.capacity() > 2 * TCP_READ {
            self.read = Vec::new();
        }
        if self.write.capacity() > TCP_WRITE {
            self.write = Vec::new();
        }
        if self.answer.capacity() > TCP_WRITE {
            self.answer = Vec::new();
        }
        Ok(())
    }

    async fn flush(&mut self, stream: &mut TcpStream, limits: TcpLimits) -> Result<(), End> {
        if self.write.is_empty() {
            return Ok(());
        }
        let written = timeout(limits.stall, stream.write_all(&self.write))
            .await
            .map_err(|_| End::TimedOut)?;
        self.write.clear();
        written.map_err(|_| End::Closed)
    }
}

async fn fill(read: &mut Vec<u8>, stream: &mut TcpStream) -> Result<(), End> {
    read.reserve(TCP_READ);
    match stream.read_buf(read).await {
        Ok(0) | Err(_) => Err(End::Closed),
        Ok(_) => Ok(()),
    }
}
