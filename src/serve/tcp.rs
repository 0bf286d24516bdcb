//! TCP (RFC 7766, RFC 9210): pipelined queries, answered in their order, several answers a write, each with its
//! length before it in the same write (RFC 7766 §8).
//!
//! ```text
//! accept ─► first query ─► burst of whole queries ─► one write ─► next query ─► … ─► closed
//!   within TCP_FIRST_QUERY   at most TCP_BURST        within stall   within idle; within stall once begun
//! ```
//! A connection is a task. While it waits for a query it holds no buffer. It is cut off when it is idle too long,
//! when a query it began does not end, when it does not read what it is sent (a slow reader holds up nobody but
//! itself), and when its buffers would take more than all connections may hold together.

use std::{
    io::{self, Read},
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, sleep, timeout_at},
};

use super::{
    connections::{Connections, Order, Place},
    counters::{TcpCells, TcpCounters, count},
    limits::{ACCEPT_BACKOFF, ACCEPT_FAILURES, TCP_BURST, TCP_READ, TCP_WRITE},
};
use crate::answer::{Effort, Outcome, Peer, Responder, Transport, Work};

/// Limits of connections and their times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpLimits {
    /// Connections in all.
    pub connections: usize,
    /// Connections from one client prefix (IPv4 /24, IPv6 /56).
    pub connections_a_prefix: usize,
    /// From accepting to the end of the first query.
    pub first_query: Duration,
    /// Without a query so long, a connection is closed.
    pub idle: Duration,
    /// The rest of a query that began, and a client's reading of what it is sent, may take so long.
    pub stall: Duration,
    /// Octets in all that connections may hold in buffers, beyond a small one each.
    pub buffers: usize,
}

/// What all connections share.
pub(super) struct Shared<R: Responder> {
    responder: R,
    /// Workers that no connection uses just now. A worker is held while a burst is answered, never while waiting,
    /// so there are no more of them than threads.
    desks: Mutex<Vec<Desk<R::Worker>>>,
    /// Octets that connections hold in large buffers.
    held: AtomicUsize,
    limits: TcpLimits,
    pub(super) connections: Arc<Connections>,
    pub(super) cells: TcpCells,
}

/// A worker, and where it writes.
struct Desk<W> {
    worker: W,
    answer: Vec<u8>,
}

impl<R: Responder> Shared<R> {
    pub(super) fn new(responder: R, limits: TcpLimits) -> Arc<Self> {
        Arc::new(Self {
            responder,
            desks: Mutex::default(),
            held: AtomicUsize::new(0),
            limits,
            connections: Connections::new(limits.connections, limits.connections_a_prefix),
            cells: TcpCells::default(),
        })
    }

    fn take_desk(&self) -> Desk<R::Worker> {
        let pooled = self.desks.lock().unwrap_or_else(PoisonError::into_inner).pop();
        pooled.unwrap_or_else(|| Desk {
            worker: self.responder.worker(),
            answer: Vec::new(),
        })
    }

    /// A worker that met a fault is not given back: its state is not to be trusted.
    fn give_back(&self, desk: Desk<R::Worker>) {
        self.desks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(desk);
    }
}

/// Accepts connections until told to stop.
pub(super) async fn accept<R: Responder>(
    listener: TcpListener,
    shared: Arc<Shared<R>>,
    mut stop: watch::Receiver<bool>,
) {
    let mut failures = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let error = match accepted {
            Ok((stream, client)) => {
                failures = 0;
                let conversation = Conversation::new(stream, client, Arc::clone(&shared));
                tokio::spawn(conversation.hold());
                continue;
            }
            Err(error) => error,
        };
        count(&shared.cells.accept_errors);
        tracing::debug!(%error, "accepting a TCP connection failed");
        failures += 1;
        let exhausted = matches!(
            error.raw_os_error(),
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
        );
        if exhausted && shared.connections.evict() {
            count(&shared.cells.evicted);
        }
        // A client that went away before it was accepted is its own affair; want of descriptors passes.
        if exhausted || failures > ACCEPT_FAILURES {
            sleep(ACCEPT_BACKOFF).await;
        }
    }
}

/// Why a conversation ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// The client closed it, or it broke.
    Closed,
    /// The server stops.
    Finished,
    /// Another connection needed the room.
    Evicted,
    /// Nothing was asked.
    Idle,
    /// A query did not end, or the client does not read.
    Stalled,
    /// All connections together hold too much.
    NoRoom,
    /// The message must not be answered. Over UDP it is one packet; here the stream cannot be made sense of.
    Dropped,
    /// The engine broke its promises.
    Fault,
}

struct Conversation<R: Responder> {
    stream: TcpStream,
    from: Peer,
    place: Place,
    shared: Arc<Shared<R>>,
    /// What was read and not yet answered; empty, without memory, while waiting for a query.
    read: Vec<u8>,
    /// Answers to be written; empty, without memory, when there is none.
    write: Vec<u8>,
    loan: Loan<R>,
}

impl<R: Responder> Conversation<R> {
    fn new(stream: TcpStream, client: SocketAddr, shared: Arc<Shared<R>>) -> Self {
        count(&shared.cells.accepted);
        // Without it, an answer may wait for the client's acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let (place, evicted) = shared.connections.enter(client.ip());
        if evicted {
            count(&shared.cells.evicted);
        }
        Self {
            stream,
            from: Peer {
                address: client,
                transport: Transport::Tcp,
            },
            place,
            read: Vec::new(),
            write: Vec::new(),
            loan: Loan {
                shared: Arc::clone(&shared),
                octets: 0,
            },
            shared,
        }
    }

    /// Answers until it ends, and counts why.
    async fn hold(mut self) {
        let end = match self.converse().await {
            Err(end) => end,
            Ok(never) => match never {},
        };
        let cells = &self.shared.cells;
        match end {
            // Those who told it to leave have counted it.
            End::Closed | End::Finished | End::Evicted => {}
            End::Idle => count(&cells.idle),
            End::Stalled => count(&cells.stalled),
            End::NoRoom => count(&cells.no_room),
            End::Dropped => count(&cells.dropped),
            End::Fault => count(&cells.faults),
        }
        if matches!(end, End::Evicted | End::Stalled | End::NoRoom) {
            // The kernel is not to keep what the client does not read, either.
            let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        }
    }

    async fn converse(&mut self) -> Result<std::convert::Infallible, End> {
        let limits = self.shared.limits;
        let mut next_query = Instant::now() + limits.first_query;
        let mut rest_of_query = next_query;
        let mut asked = false;
        loop {
            if self.place.order() != Order::Stay {
                self.obey().await?;
            }
            let begins = self.read.is_empty();
            let (deadline, late) = if begins {
                (next_query, End::Idle)
            } else {
                (rest_of_query, End::Stalled)
            };
            tokio::select! {
                biased;
                () = self.place.told() => continue,
                ready = timeout_at(deadline, self.stream.readable()) => match ready {
                    Ok(Ok(())) => self.fill().await?,
                    Ok(Err(_)) => return Err(End::Closed),
                    Err(_) => return Err(late),
                },
            }
            if begins && asked {
                rest_of_query = Instant::now() + limits.stall;
            }
            if self.answer_all().await? > 0 {
                asked = true;
                next_query = Instant::now() + limits.idle;
                rest_of_query = Instant::now() + limits.stall;
            }
            self.let_go_of_buffers();
        }
    }

    /// Does as it is told; when the server stops, what has come is answered first.
    async fn obey(&mut self) -> Result<(), End> {
        match self.place.order() {
            Order::Stay => Ok(()),
            Order::Leave => Err(End::Evicted),
            Order::Finish => {
                self.read_past_runtime();
                self.answer_all().await?;
                let _ = self.stream.shutdown().await;
                Err(End::Finished)
            }
        }
    }

    /// Reads what is there, about [`TCP_READ`] octets; waits for nothing.
    async fn fill(&mut self) -> Result<(), End> {
        let wanted = self.read.len() + TCP_READ;
        if wanted > self.read.capacity() {
            // A long query doubles its buffer as its octets come, not as its length claims.
            let capacity = wanted.max(2 * self.read.capacity());
            self.loan.set(capacity.saturating_sub(2 * TCP_READ))?;
            self.read.reserve_exact(capacity - self.read.len());
        }
        // Polled once. Unlike `try_read`, it knows from a short read that nothing is left, which saves a call.
        let read = tokio::select! {
            biased;
            read = self.stream.read_buf(&mut self.read) => read,
            () = std::future::ready(()) => return Ok(()),
        };
        match read {
            Ok(0) | Err(_) => Err(End::Closed),
            Ok(_) => Ok(()),
        }
    }

    /// Reads what is there, though the runtime may not have heard of it yet.
    fn read_past_runtime(&mut self) {
        let mut octets = [0; TCP_READ];
        if let Ok(length) = (&*SockRef::from(&self.stream)).read(&mut octets) {
            self.read.extend_from_slice(&octets[..length]);
        }
    }

    /// Answers every whole query that was read; gives how many.
    async fn answer_all(&mut self) -> Result<usize, End> {
        let (mut at, mut answered) = (0, 0);
        loop {
            let burst = self.answer_burst(&mut at);
            answered += burst.answered;
            if burst.answered > 0 {
                // Before the client can know, who may open another connection at once.
                self.place.touch();
            }
            self.shared.cells.add(&TcpCounters {
                answered: burst.answered as u64,
                ..TcpCounters::default()
            });
            self.flush().await?;
            match burst.then {
                Then::Wait => break,
                // Others have their turn.
                Then::GoOn => tokio::task::yield_now().await,
                Then::End(end) => return Err(end),
            }
        }
        self.read.drain(..at);
        Ok(answered)
    }

    /// Answers whole queries from `at` on into the write buffer, as many as make a burst.
    fn answer_burst(&mut self, at: &mut usize) -> Burst {
        let mut burst = Burst {
            answered: 0,
            then: Then::Wait,
        };
        if whole_query(&self.read[*at..]).is_none() {
            return burst;
        }
        let mut desk = self.shared.take_desk();
        desk.worker.begin_batch();
        while let Some(query) = whole_query(&self.read[*at..]) {
            if burst.answered == TCP_BURST || self.write.len() >= TCP_WRITE {
                burst.then = Then::GoOn;
                break;
            }
            *at += 2 + query.len();
            let outcome = desk
                .worker
                .answer(query, self.from, Effort::Full, &mut desk.answer);
            let length = u16::try_from(desk.answer.len());
            match (outcome, length) {
                (Outcome::Answered, Ok(length)) => {
                    self.write.extend_from_slice(&length.to_be_bytes());
                    self.write.extend_from_slice(&desk.answer);
                    burst.answered += 1;
                }
                (Outcome::Drop, _) => burst.then = Then::End(End::Dropped),
                (Outcome::Answered | Outcome::Deferred, _) => burst.then = Then::End(End::Fault),
            }
            if burst.then != Then::Wait {
                break;
            }
        }
        desk.worker.end_batch();
        self.shared.give_back(desk);
        burst
    }

    async fn flush(&mut self) -> Result<(), End> {
        if self.write.is_empty() {
            return Ok(());
        }
        // Mostly the kernel takes all of it at once.
        let taken = match self.stream.try_write(&self.write) {
            Ok(taken) => taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => return Err(End::Closed),
        };
        if taken < self.write.len() {
            let reading = self.loan.octets;
            self.loan.set(reading + self.write.capacity())?;
            self.write_rest(taken).await?;
            self.loan.set(reading)?;
        }
        self.write.clear();
        Ok(())
    }

    async fn write_rest(&mut self, from: usize) -> Result<(), End> {
        let deadline = Instant::now() + self.shared.limits.stall;
        let Self {
            stream, write, place, ..
        } = self;
        let written = timeout_at(deadline, stream.write_all(&write[from..]));
        tokio::pin!(written);
        loop {
            tokio::select! {
                written = &mut written => return match written {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(_)) => Err(End::Closed),
                    Err(_) => Err(End::Stalled),
                },
                () = place.told() => if place.order() == Order::Leave {
                    return Err(End::Evicted);
                },
            }
        }
    }

    /// An idle connection keeps no memory; one in the middle of a query keeps what that needs.
    fn let_go_of_buffers(&mut self) {
        self.write = Vec::new();
        if self.read.is_empty() {
            self.read = Vec::new();
            let _ = self.loan.set(0);
        }
    }
}

impl<R: Responder> Drop for Conversation<R> {
    fn drop(&mut self) {
        // A fault of the engine ends this connection alone.
        if thread::panicking() {
            count(&self.shared.cells.faults);
        }
    }
}

struct Burst {
    answered: usize,
    then: Then,
}

#[derive(PartialEq, Eq)]
enum Then {
    /// No whole query is left.
    Wait,
    /// There are more.
    GoOn,
    /// This is the end, once what was answered is written.
    End(End),
}

/// The query at the front, when all of it is there.
fn whole_query(read: &[u8]) -> Option<&[u8]> {
    let [high, low, rest @ ..] = read else {
        return None;
    };
    rest.get(..usize::from(u16::from_be_bytes([*high, *low])))
}

/// What a connection has of the memory that all may hold together.
struct Loan<R: Responder> {
    shared: Arc<Shared<R>>,
    octets: usize,
}

impl<R: Responder> Loan<R> {
    /// Holds so many octets from now on.
    fn set(&mut self, octets: usize) -> Result<(), End> {
        let (held, more) = (&self.shared.held, octets.saturating_sub(self.octets));
        if more > 0 && held.fetch_add(more, Ordering::Relaxed) + more > self.shared.limits.buffers {
            held.fetch_sub(more, Ordering::Relaxed);
            return Err(End::NoRoom);
        }
        held.fetch_sub(self.octets.saturating_sub(octets), Ordering::Relaxed);
        self.octets = octets;
        Ok(())
    }
}

impl<R: Responder> Drop for Loan<R> {
    fn drop(&mut self) {
        self.shared.held.fetch_sub(self.octets, Ordering::Relaxed);
    }
}
