//! UDP: one socket and one thread a core for every address, batches by `recvmmsg` and `sendmmsg`, in two passes.
//!
//! First every answer that is at hand goes out, then those that need a new signature, so that a flood of names
//! that must be signed for never stands in front of hot answers. Buffers are made once; an answer allocates
//! nothing and takes no lock.
//!
//! **Sleeping and stopping.** A thread that has nothing to do sleeps in `recvmmsg` itself: no poll before it, no
//! timer. To stop, its socket is shut down for reading: Linux then wakes whoever sleeps on it, also on a socket
//! that is not connected, and once more each later call as soon as nothing is queued. So nothing is lost between a
//! look at the flag and the call, and the path of a query pays nothing for it. (A thread that slept on several
//! sockets would need a poll a batch; a thread more an address costs half a MiB.)
//!
//! **Faults.** The engine answers its own faults with SERVFAIL. Should one escape it, the thread goes on with the
//! rest of the batch and a new worker; the datagram in question is not answered.

mod kernel;

use std::{
    collections::VecDeque,
    io,
    net::{Shutdown, SocketAddr, UdpSocket},
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{
    counters::{UdpCells, UdpCounters, count},
    limits::{BATCH, SOCKET_BUFFER, UDP_DRAIN, UDP_RECEIVE_BACKOFF},
    watchdog::Pulse,
};
use crate::answer::{Effort, Outcome, Peer, Responder, Transport, Work};
use kernel::{Batch, Sent, Wait, set_option};

/// Opens the sockets of one address, which share it by SO_REUSEPORT.
///
/// The first is bound without that option, and so is refused where anybody listens, whether that one would share
/// or not; only then the address is opened to the others. (Linux forms the group when the second one joins.)
///
/// # Errors
/// What the kernel says.
pub(super) fn open(address: SocketAddr, number: usize) -> io::Result<Vec<UdpSocket>> {
    let first = socket_for(address)?;
    first.bind(&address.into())?;
    first.set_reuse_port(true)?;
    let mut sockets = vec![first.into()];
    for _ in 1..number {
        let socket = socket_for(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        sockets.push(socket.into());
    }
    Ok(sockets)
}

fn socket_for(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    size_buffers(&socket);
    avoid_fragments(&socket, address)?;
    if address.ip().is_unspecified() {
        ask_for_destination(&socket, address)?;
    }
    Ok(socket)
}

/// Asks for large buffers: past net.core.rmem_max where we may, up to it otherwise. Smaller ones are no error.
fn size_buffers(socket: &Socket) {
    let octets = SOCKET_BUFFER as libc::c_int;
    if set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, octets).is_err() {
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    }
    if set_option(socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, octets).is_err() {
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    }
}

/// What ICMP says of a path's MTU is not believed, so that nobody can make us send fragments; what fits the
/// interface leaves whole. BIND, Knot and NSD do the same (RFC 9715 §3.1, appendix B).
fn avoid_fragments(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V4(_) => set_option(
            socket,
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            libc::IP_PMTUDISC_OMIT,
        ),
        SocketAddr::V6(_) => set_option(
            socket,
            libc::IPPROTO_IPV6,
            libc::IPV6_MTU_DISCOVER,
            libc::IPV6_PMTUDISC_OMIT,
        ),
    }
}

/// On a wildcard address the answer must leave from the address that was asked, so the kernel is to tell it.
fn ask_for_destination(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V4(_) => set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
        SocketAddr::V6(_) => set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
    }
}

/// Wakes the thread that sleeps on a socket, so that it sees that it should stop. What is queued stays readable.
pub(super) fn wake(socket: &UdpSocket) {
    // It reports that the socket is not connected, having done its work.
    let _ = SockRef::from(socket).shutdown(Shutdown::Read);
}

/// What a UDP thread has from the others.
pub(super) struct Seat<R: Responder> {
    pub(super) socket: Arc<UdpSocket>,
    pub(super) responder: R,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) cells: Arc<UdpCells>,
    pub(super) pulse: Arc<Pulse>,
    /// The core to stay on, counted round those that this process may use.
    pub(super) core: Option<usize>,
}

/// Answers what comes to a socket until told to stop; what was there by then is answered.
pub(super) fn run<R: Responder>(seat: Seat<R>) {
    if let Some(Err(error)) = seat.core.map(kernel::pin) {
        tracing::warn!("a UDP thread cannot stay on its core: {error}");
    }
    let mut loop_ = Loop::new(seat);
    while catch_unwind(AssertUnwindSafe(|| loop_.run())).is_err() {
        loop_.recover();
    }
}

/// The state of a thread: where in a batch it stands, so that it can go on after a fault.
struct Loop<R: Responder> {
    seat: Seat<R>,
    batch: Batch,
    worker: Option<R::Worker>,
    /// Datagrams that were not looked at yet.
    fresh: Range<usize>,
    /// Those that need a new signature.
    deferred: VecDeque<usize>,
    tally: UdpCounters,
    /// Datagrams left at the last fault in this batch.
    left_at_fault: Option<usize>,
    failures: usize,
    drained: usize,
}

impl<R: Responder> Loop<R> {
    fn new(seat: Seat<R>) -> Self {
        let wildcard = seat
            .socket
            .local_addr()
            .is_ok_and(|address| address.ip().is_unspecified());
        Self {
            batch: Batch::new(wildcard),
            worker: None,
            fresh: 0..0,
            deferred: VecDeque::with_capacity(BATCH),
            tally: UdpCounters::default(),
            left_at_fault: None,
            failures: 0,
            drained: 0,
            seat,
        }
    }

    fn run(&mut self) {
        loop {
            if self.left() > 0 {
                self.answer_batch();
            }
            if !self.receive() {
                break;
            }
        }
    }

    fn left(&self) -> usize {
        self.fresh.len() + self.deferred.len()
    }

    /// After a fault: a new worker goes on behind the datagram that brought it. When not one more was looked at
    /// since the last fault, it is not a datagram's doing, and the batch is let go.
    fn recover(&mut self) {
        count(&self.seat.cells.faults);
        self.seat.pulse.settle();
        self.worker = None;
        let left = self.left();
        if self.left_at_fault.replace(left) == Some(left) {
            self.fresh = 0..0;
            self.deferred.clear();
        }
    }

    /// Fills the batch; false when it is time to end.
    fn receive(&mut self) -> bool {
        let wait = if self.seat.stop.load(Ordering::Acquire) {
            self.drained += 1;
            Wait::No
        } else {
            Wait::ForOne
        };
        if self.drained > UDP_DRAIN {
            return false;
        }
        match self.batch.receive(&self.seat.socket, wait) {
            Ok(received) => {
                self.fresh = 0..received;
                self.tally.received += received as u64;
                self.failures = 0;
                true
            }
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => true,
                // Nothing is queued any more.
                io::ErrorKind::WouldBlock if wait == Wait::No => false,
                // Woken to stop.
                io::ErrorKind::WouldBlock if self.seat.stop.load(Ordering::Acquire) => true,
                _ => {
                    count(&self.seat.cells.receive_errors);
                    self.failures += 1;
                    if self.failures > 1 {
                        thread::park_timeout(UDP_RECEIVE_BACKOFF);
                    }
                    wait == Wait::ForOne
                }
            },
        }
    }

    fn answer_batch(&mut self) {
        self.seat.pulse.beat();
        let mut worker = self.worker.take().unwrap_or_else(|| self.seat.responder.worker());
        worker.begin_batch();
        worker.look_ahead(self.fresh.clone().map(|index| self.batch.query(index)));
        while let Some(index) = self.fresh.next() {
            self.answer(&mut worker, index, Effort::AtHand);
        }
        self.send();
        while let Some(index) = self.deferred.pop_front() {
            self.answer(&mut worker, index, Effort::Full);
        }
        self.send();
        worker.end_batch();
        self.worker = Some(worker);
        self.left_at_fault = None;
        self.seat.cells.add(&std::mem::take(&mut self.tally));
        self.seat.pulse.beat();
    }

    fn answer(&mut self, worker: &mut R::Worker, index: usize, effort: Effort) {
        if self.batch.is_cut(index) && effort == Effort::AtHand {
            self.tally.cut += 1;
        }
        // Port 0 cannot be answered; the kernel would refuse it.
        let Some(address) = self.batch.client(index).filter(|client| client.port() != 0) else {
            self.tally.dropped += 1;
            return;
        };
        let from = Peer {
            address,
            transport: Transport::Udp,
        };
        let (query, out) = self.batch.exchange(index);
        match (worker.answer(query, from, effort, out), effort) {
            (Outcome::Answered, _) => self.batch.ready(index),
            (Outcome::Deferred, Effort::AtHand) => {
                self.tally.deferred += 1;
                self.deferred.push_back(index);
            }
            (Outcome::Drop, _) => self.tally.dropped += 1,
            // With full effort nothing may wait any longer.
            (Outcome::Deferred, Effort::Full) => self.tally.faults += 1,
        }
    }

    fn send(&mut self) {
        let Sent {
            sent,
            refused,
            no_room,
        } = self.batch.send(&self.seat.socket);
        self.tally.sent += sent;
        self.tally.refused += refused;
        self.tally.no_room += no_room;
    }
}
