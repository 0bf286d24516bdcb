//! UDP: a thread a socket, batches by `recvmmsg` and `sendmmsg`, in two passes.
//!
//! First every answer that is at hand goes out, then those that need a new signature, so that a flood of names
//! that must be signed for never stands in front of hot answers. Buffers are made once; an answer allocates
//! nothing and takes no lock. The sockets of one address share it by SO_REUSEPORT; who binds it first is decided
//! by TCP (see `super::Listeners::bind`).
//!
//! A thread that has nothing to do sleeps in `recvmmsg` and is woken by SO_RCVTIMEO now and then to look whether
//! it should stop: that costs nothing while there is work.

#![allow(
    unsafe_code,
    reason = "recvmmsg and sendmmsg have no safe wrapper; each use is argued where it stands"
)]

use std::{
    io, mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use socket2::{Domain, Protocol, Socket, Type};

use super::limits::{BATCH, SOCKET_BUFFER, STOP_LOOK, UDP_QUERY, UDP_RESPONSE};
use crate::answer::{Effort, Outcome, Peer, Transport, Work};

/// Octets of control data a datagram: one packet-information header of either family.
const CONTROL: usize = 64;

/// What a UDP thread counts besides the engine.
#[derive(Debug, Default)]
pub struct UdpCounters {
    /// Answers that the kernel did not take.
    pub unsent: AtomicU64,
    /// Receive calls that failed.
    pub receive_errors: AtomicU64,
    /// Datagrams longer than any query may be.
    pub oversize: AtomicU64,
}

/// Opens one UDP socket of an address, to share it with others of this process.
///
/// # Errors
/// What the kernel says.
pub(super) fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_port(true)?;
    // Asked for; the kernel gives what net.core.rmem_max allows, and a smaller buffer is no error.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.set_read_timeout(Some(STOP_LOOK))?;
    socket.bind(&address.into())?;
    avoid_fragments(&socket, address)?;
    if address.ip().is_unspecified() {
        ask_for_destination(&socket, address)?;
    }
    Ok(socket.into())
}

fn set_option(socket: &Socket, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as `socket` lives; the option's value is a c_int that outlives
    // the call, and its length is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            ptr::from_ref(&value).cast(),
            mem::size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Path MTU messages are not believed, so that nobody can make us send fragments (RFC 9715 §3.1).
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

/// One datagram's buffers. The kernel's headers point into them, so they stay where they are.
#[repr(C, align(16))]
struct Packet {
    control: [u8; CONTROL],
    address: libc::sockaddr_storage,
    query: [u8; UDP_QUERY],
}

/// The buffers of a batch, made once a thread.
struct Batch {
    packets: Box<[Packet]>,
    answers: Vec<Vec<u8>>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
    wildcard: bool,
}

impl Batch {
    fn new(wildcard: bool) -> Self {
        // SAFETY: all three are plain C structures, for which all zero octets are a value.
        let packets = (0..BATCH).map(|_| unsafe { mem::zeroed::<Packet>() }).collect();
        // SAFETY: as above.
        let vectors = (0..BATCH)
            .map(|_| unsafe { mem::zeroed::<libc::iovec>() })
            .collect();
        // SAFETY: as above.
        let headers = (0..BATCH)
            .map(|_| unsafe { mem::zeroed::<libc::mmsghdr>() })
            .collect();
        let answers = (0..BATCH).map(|_| Vec::with_capacity(UDP_RESPONSE)).collect();
        Self {
            packets,
            answers,
            vectors,
            headers,
            wildcard,
        }
    }

    /// Waits for datagrams; gives how many came.
    fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        for ((packet, vector), header) in self
            .packets
            .iter_mut()
            .zip(&mut self.vectors)
            .zip(&mut self.headers)
        {
            vector.iov_base = packet.query.as_mut_ptr().cast();
            vector.iov_len = UDP_QUERY;
            header.msg_hdr.msg_name = ptr::from_mut(&mut packet.address).cast();
            header.msg_hdr.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = if self.wildcard {
                packet.control.as_mut_ptr().cast()
            } else {
                ptr::null_mut()
            };
            header.msg_hdr.msg_controllen = if self.wildcard { CONTROL as _ } else { 0 };
            header.msg_hdr.msg_flags = 0;
        }
        // SAFETY: each header's pointers were just set to buffers of `self`, with their lengths; `self` is borrowed
        // for the whole call, and the count is the number of headers.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_WAITFORONE as _,
                ptr::null_mut(),
            )
        };
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
    }

    fn query(&self, index: usize) -> &[u8] {
        let length = (self.headers[index].msg_len as usize).min(UDP_QUERY);
        &self.packets[index].query[..length]
    }

    fn is_cut(&self, index: usize) -> bool {
        self.headers[index].msg_hdr.msg_flags & libc::MSG_TRUNC != 0
    }

    fn client(&self, index: usize) -> Option<SocketAddr> {
        let storage = &self.packets[index].address;
        match libc::c_int::from(storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: the kernel said that this is an IPv4 address, and sockaddr_storage is large enough and
                // aligned for every kind of address.
                let address = unsafe { &*ptr::from_ref(storage).cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
                Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(address.sin_port)))
            }
            libc::AF_INET6 => {
                // SAFETY: as above, for IPv6.
                let address = unsafe { &*ptr::from_ref(storage).cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
                Some(SocketAddr::new(IpAddr::V6(ip), u16::from_be(address.sin6_port)))
            }
            _ => None,
        }
    }

    /// Makes the header of a received datagram that of its answer: the same address, the same control data (so it
    /// leaves from where it came to), the answer's octets.
    fn prepare(&mut self, index: usize) {
        let answer = &mut self.answers[index];
        self.vectors[index].iov_base = answer.as_mut_ptr().cast();
        self.vectors[index].iov_len = answer.len();
        let header = &mut self.headers[index].msg_hdr;
        if self.wildcard && header.msg_controllen > 0 {
            forget_interface(header);
        } else {
            header.msg_control = ptr::null_mut();
            header.msg_controllen = 0;
        }
    }

    /// Sends the answers of `indices`, which it empties. What the kernel does not take is counted and let go: the
    /// client asks again.
    fn send(&mut self, socket: &UdpSocket, indices: &mut Vec<usize>, counters: &UdpCounters) {
        let mut from = 0;
        while from < indices.len() {
            // The kernel takes headers that lie in a row.
            let first = indices[from];
            let run = indices[from..]
                .iter()
                .enumerate()
                .take_while(|&(n, &index)| index == first + n)
                .count();
            (first..first + run).for_each(|index| self.prepare(index));
            let mut sent = 0;
            while sent < run {
                // SAFETY: each header points to buffers of `self` that are whole and stay in place during the
                // call; `run - sent` headers lie from there on.
                let taken = unsafe {
                    libc::sendmmsg(
                        socket.as_raw_fd(),
                        self.headers.as_mut_ptr().add(first + sent),
                        (run - sent) as libc::c_uint,
                        0,
                    )
                };
                match usize::try_from(taken) {
                    Ok(taken) if taken > 0 => sent += taken,
                    _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                    _ => {
                        // The first of them was refused (too long, unreachable, buffers full): pass over it.
                        counters.unsent.fetch_add(1, Ordering::Relaxed);
                        sent += 1;
                    }
                }
            }
            from += run;
        }
        indices.clear();
    }
}

/// The interface that a datagram came by need not be the one its answer leaves by, but for link-local addresses.
fn forget_interface(header: &mut libc::msghdr) {
    // SAFETY: `msg_control` points to CONTROL octets, of which the kernel filled `msg_controllen` with whole
    // control messages; CMSG_FIRSTHDR gives the first or null, and CMSG_DATA what follows it. The structures are
    // read and written unaligned, and only when the message says that it is of their kind.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        if message.is_null() {
            return;
        }
        match ((*message).cmsg_level, (*message).cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let data = libc::CMSG_DATA(message).cast::<libc::in_pktinfo>();
                let mut info = data.read_unaligned();
                info.ipi_ifindex = 0;
                data.write_unaligned(info);
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let data = libc::CMSG_DATA(message).cast::<libc::in6_pktinfo>();
                let mut info = data.read_unaligned();
                let link_local = Ipv6Addr::from(info.ipi6_addr.s6_addr).is_unicast_link_local();
                if !link_local {
                    info.ipi6_ifindex = 0;
                }
                data.write_unaligned(info);
            }
            _ => {}
        }
    }
}

/// Answers what comes to a socket until `stop` is set; what was received by then is answered.
pub(super) fn run<W: Work>(
    socket: &UdpSocket,
    mut worker: W,
    stop: &AtomicBool,
    counters: &Arc<UdpCounters>,
) {
    let wildcard = socket
        .local_addr()
        .is_ok_and(|address| address.ip().is_unspecified());
    let mut batch = Batch::new(wildcard);
    let mut ready = Vec::with_capacity(BATCH);
    let mut waiting = Vec::with_capacity(BATCH);
    let mut none = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let count = match batch.receive(socket) {
            Ok(count) => count,
            Err(error) => {
                let quiet = [
                    io::ErrorKind::WouldBlock,
                    io::ErrorKind::TimedOut,
                    io::ErrorKind::Interrupted,
                ];
                if !quiet.contains(&error.kind()) {
                    counters.receive_errors.fetch_add(1, Ordering::Relaxed);
                }
                continue;
            }
        };
        worker.begin_batch();
        for index in 0..count {
            if batch.is_cut(index) {
                counters.oversize.fetch_add(1, Ordering::Relaxed);
            }
            answer(
                &mut batch,
                &mut worker,
                index,
                Effort::AtHand,
                &mut ready,
                &mut waiting,
            );
        }
        batch.send(socket, &mut ready, counters);
        for index in waiting.drain(..) {
            // With full effort nothing waits any more.
            answer(
                &mut batch,
                &mut worker,
                index,
                Effort::Full,
                &mut ready,
                &mut none,
            );
        }
        none.clear();
        batch.send(socket, &mut ready, counters);
        worker.end_batch();
    }
}

fn answer<W: Work>(
    batch: &mut Batch,
    worker: &mut W,
    index: usize,
    effort: Effort,
    ready: &mut Vec<usize>,
    waiting: &mut Vec<usize>,
) {
    let Some(address) = batch.client(index) else {
        return;
    };
    // Port 0 cannot be answered; the kernel would refuse it.
    if address.port() == 0 {
        return;
    }
    let mut out = mem::take(&mut batch.answers[index]);
    let from = Peer {
        address,
        transport: Transport::Udp,
    };
    match worker.answer(batch.query(index), from, effort, &mut out) {
        Outcome::Answered => ready.push(index),
        Outcome::Deferred => waiting.push(index),
        Outcome::Drop => {}
    }
    batch.answers[index] = out;
}
