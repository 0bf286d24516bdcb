//! What is asked of the kernel for UDP: socket options, and whole batches of datagrams with the memory they lie in.

#![allow(
    unsafe_code,
    reason = "recvmmsg, sendmmsg and their memory have no safe wrapper; each use is argued where it stands"
)]

use std::{
    alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error},
    io, mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket},
    os::fd::AsRawFd,
    ptr::{self, NonNull},
    slice,
};

use crate::serve::limits::{BATCH, UDP_QUERY, UDP_RESPONSE, UDP_SEND_WAIT};

/// Octets of control data a datagram: one packet-information message of either family (28 and 36, padded).
const CONTROL: usize = 64;

/// Sets a socket option whose value is an integer.
pub(super) fn set_option(
    socket: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as `socket` is borrowed; the value is a c_int that outlives the
    // call, and its length is given.
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

/// Keeps the calling thread on one of the cores that it may use; `number` is counted round them.
pub(super) fn pin(number: usize) -> io::Result<()> {
    let size = mem::size_of::<libc::cpu_set_t>();
    // SAFETY: cpu_set_t is a plain array of bits, for which all zeros are a value; the calls are given its true
    // size, and CPU_ISSET and CPU_SET are asked for numbers below its number of bits only. 0 is this thread.
    unsafe {
        let mut allowed: libc::cpu_set_t = mem::zeroed();
        if libc::sched_getaffinity(0, size, &mut allowed) != 0 {
            return Err(io::Error::last_os_error());
        }
        let cores: Vec<usize> = (0..8 * size)
            .filter(|&core| libc::CPU_ISSET(core, &allowed))
            .collect();
        let mut one: libc::cpu_set_t = mem::zeroed();
        libc::CPU_SET(cores[number % cores.len().max(1)], &mut one);
        if libc::sched_setaffinity(0, size, &one) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Whether to sleep until a datagram comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wait {
    /// Until there is one; then take what else is there.
    ForOne,
    /// Take what is there.
    No,
}

/// What became of a batch's answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Sent {
    /// The kernel took them.
    pub(super) sent: u64,
    /// It refused them.
    pub(super) refused: u64,
    /// The send buffer stayed full.
    pub(super) no_room: u64,
}

/// A datagram that was received, with its addresses before it: three lines of cache for a short query. The whole
/// is no multiple of a page, so that the beginnings of 64 of them do not compete for the same lines.
#[repr(C, align(16))]
struct Packet {
    control: [u8; CONTROL],
    /// Large enough for either family.
    client: libc::sockaddr_in6,
    query: [u8; UDP_QUERY],
}

/// What the kernel reads and writes.
#[repr(C)]
struct Memory {
    received: [libc::mmsghdr; BATCH],
    received_vectors: [libc::iovec; BATCH],
    sending: [libc::mmsghdr; BATCH],
    sending_vectors: [libc::iovec; BATCH],
    packets: [Packet; BATCH],
}

/// The buffers of a batch, made once a thread.
///
/// The headers hold pointers into the same [`Memory`], set up once. It is reached through `memory` alone, never as
/// a `Box` or by a reference that lives on, so these pointers stay good between calls.
pub(super) struct Batch {
    memory: NonNull<Memory>,
    answers: Vec<Vec<u8>>,
    ready: Vec<usize>,
    /// How many of `received` the last call filled.
    count: usize,
    control: usize,
}

impl Batch {
    /// Buffers for a socket; on one of a wildcard address with room for the address that was asked.
    pub(super) fn new(wildcard: bool) -> Self {
        let layout = Layout::new::<Memory>();
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc_zeroed(layout) }.cast::<Memory>();
        let Some(memory) = NonNull::new(memory) else {
            handle_alloc_error(layout)
        };
        let mut batch = Self {
            memory,
            answers: (0..BATCH).map(|_| Vec::with_capacity(UDP_RESPONSE)).collect(),
            ready: Vec::with_capacity(BATCH),
            count: BATCH,
            control: if wildcard { CONTROL } else { 0 },
        };
        for index in 0..BATCH {
            // SAFETY: `memory` was allocated for a Memory and zeroed, and zeros are a value of all its plain C
            // structures; `index` is within its arrays. No reference to any of it exists. The places whose
            // addresses are stored stay where they are until `drop`.
            unsafe {
                let memory = memory.as_ptr();
                let packet = &raw mut (*memory).packets[index];
                let vector = &raw mut (*memory).received_vectors[index];
                (*vector).iov_base = (&raw mut (*packet).query).cast();
                (*vector).iov_len = UDP_QUERY;
                let header = &raw mut (*memory).received[index].msg_hdr;
                (*header).msg_name = (&raw mut (*packet).client).cast();
                (*header).msg_iov = vector;
                (*header).msg_iovlen = 1;
                if wildcard {
                    (*header).msg_control = (&raw mut (*packet).control).cast();
                }
                let answer = &raw mut (*memory).sending_vectors[index];
                (*memory).sending[index].msg_hdr.msg_iov = answer;
                (*memory).sending[index].msg_hdr.msg_iovlen = 1;
            }
        }
        batch.make_room();
        batch
    }

    /// Sets back the lengths that the last call changed in the headers it filled.
    fn make_room(&mut self) {
        for index in 0..mem::take(&mut self.count) {
            // SAFETY: `memory` is ours alone, and `count` never exceeds BATCH.
            unsafe {
                let header = &raw mut (*self.memory.as_ptr()).received[index].msg_hdr;
                (*header).msg_namelen = mem::size_of::<libc::sockaddr_in6>() as libc::socklen_t;
                (*header).msg_controllen = self.control as _;
                (*header).msg_flags = 0;
            }
        }
    }

    /// Takes datagrams from the socket; gives how many. What the last call gave is gone.
    ///
    /// # Errors
    /// What the kernel says; `WouldBlock` when there is nothing, and it should not wait or the socket was shut down.
    pub(super) fn receive(&mut self, socket: &UdpSocket, wait: Wait) -> io::Result<usize> {
        self.make_room();
        self.ready.clear();
        let flags = match wait {
            Wait::ForOne => libc::MSG_WAITFORONE,
            Wait::No => libc::MSG_DONTWAIT,
        };
        // SAFETY: the headers and all they point to lie in `memory` with the lengths they say, which was set up in
        // `new` and set back above; nobody else reaches that memory during the call; there are BATCH headers.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                (&raw mut (*self.memory.as_ptr()).received).cast(),
                BATCH as libc::c_uint,
                flags as _,
                ptr::null_mut(),
            )
        };
        self.count = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        // A socket that was shut down gives one datagram that comes from nowhere.
        if self.count == 1 && self.header(0).msg_hdr.msg_namelen == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(self.count)
    }

    fn header(&self, index: usize) -> &libc::mmsghdr {
        assert!(index < self.count, "only what was received is looked at");
        // SAFETY: within the array, initialised by the kernel or `new`; shared for as long as `self` is.
        unsafe { &(*self.memory.as_ptr()).received[index] }
    }

    /// Whether the datagram was longer than what was read of it.
    pub(super) fn is_cut(&self, index: usize) -> bool {
        self.header(index).msg_hdr.msg_flags & libc::MSG_TRUNC != 0
    }

    /// Who sent a datagram.
    pub(super) fn client(&self, index: usize) -> Option<SocketAddr> {
        let length = self.header(index).msg_hdr.msg_namelen as usize;
        // SAFETY: within the array; zeroed in `new`, and the kernel wrote an address over it. The memory is large
        // enough for either structure, aligned for the larger, and every octet is initialised.
        unsafe {
            let client = &raw const (*self.memory.as_ptr()).packets[index].client;
            match libc::c_int::from((*client).sin6_family) {
                libc::AF_INET if length >= mem::size_of::<libc::sockaddr_in>() => {
                    let client = &*client.cast::<libc::sockaddr_in>();
                    let ip = Ipv4Addr::from(u32::from_be(client.sin_addr.s_addr));
                    Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(client.sin_port)))
                }
                libc::AF_INET6 if length >= mem::size_of::<libc::sockaddr_in6>() => {
                    let client = &*client;
                    Some(SocketAddr::V6(SocketAddrV6::new(
                        Ipv6Addr::from(client.sin6_addr.s6_addr),
                        u16::from_be(client.sin6_port),
                        0,
                        client.sin6_scope_id,
                    )))
                }
                _ => None,
            }
        }
    }

    /// A datagram's octets.
    pub(super) fn query(&self, index: usize) -> &[u8] {
        let length = (self.header(index).msg_len as usize).min(UDP_QUERY);
        // SAFETY: within the arrays and initialised; shared for as long as `self` is.
        unsafe {
            let query = &raw const (*self.memory.as_ptr()).packets[index].query;
            slice::from_raw_parts(query.cast::<u8>(), length)
        }
    }

    /// A datagram's octets, and the buffer for its answer.
    pub(super) fn exchange(&mut self, index: usize) -> (&[u8], &mut Vec<u8>) {
        let query: *const [u8] = self.query(index);
        // SAFETY: it was a reference just now. The answers lie elsewhere, so they may be borrowed beside it, and both
        // end before `self` may be used again.
        (unsafe { &*query }, &mut self.answers[index])
    }

    /// Notes that the answer to a datagram is in its buffer.
    pub(super) fn ready(&mut self, index: usize) {
        debug_assert!(self.ready.len() < BATCH);
        self.ready.push(index);
    }

    /// Sends the answers that are ready, each to where its datagram came from and from where that went to.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> Sent {
        for place in 0..self.ready.len().min(BATCH) {
            self.address(place, self.ready[place]);
        }
        let (mut done, mut result, mut waited) = (0, Sent::default(), false);
        let count = self.ready.len().min(BATCH);
        while done < count {
            // SAFETY: `count` headers of `sending` were just set up; they point into `memory` and to the buffers
            // of `self.answers`, which nobody touches during the call.
            let taken = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    (&raw mut (*self.memory.as_ptr()).sending)
                        .cast::<libc::mmsghdr>()
                        .add(done),
                    (count - done) as libc::c_uint,
                    libc::MSG_DONTWAIT as _,
                )
            };
            if let Ok(taken @ 1..) = usize::try_from(taken) {
                done += taken;
                result.sent += taken as u64;
                continue;
            }
            match io::Error::last_os_error().kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock if waited => {
                    result.no_room += (count - done) as u64;
                    break;
                }
                // Once a batch, so that a full buffer cannot hold the thread for longer.
                io::ErrorKind::WouldBlock => {
                    waited = true;
                    wait_for_room(socket);
                }
                // The first of them cannot be sent, whatever the reason; the others may.
                _ => {
                    result.refused += 1;
                    done += 1;
                }
            }
        }
        self.ready.clear();
        result
    }

    /// Makes a header for the answer to a datagram: its client's address, its control data, its answer's octets.
    fn address(&mut self, place: usize, index: usize) {
        let (name_length, control_length) = {
            let received = &self.header(index).msg_hdr;
            (received.msg_namelen, received.msg_controllen)
        };
        let answer = &self.answers[index];
        // SAFETY: both indices are within the arrays (`header` has checked `index`, and `place` is below BATCH).
        // The kernel only reads what `iov_base` points to when it sends. `answer` is not touched before `send`
        // has made its calls, since `send` borrows `self` throughout.
        unsafe {
            let memory = self.memory.as_ptr();
            let packet = &raw mut (*memory).packets[index];
            (*memory).sending_vectors[place].iov_base = answer.as_ptr().cast_mut().cast();
            (*memory).sending_vectors[place].iov_len = answer.len();
            let header = &raw mut (*memory).sending[place].msg_hdr;
            (*header).msg_name = (&raw mut (*packet).client).cast();
            (*header).msg_namelen = name_length;
            (*header).msg_control = ptr::null_mut();
            (*header).msg_controllen = 0;
            if self.control > 0 && control_length > 0 {
                (*header).msg_control = (&raw mut (*packet).control).cast();
                (*header).msg_controllen = control_length;
                forget_interface(&*header);
            }
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, and nothing points to it any more. It holds plain data.
        unsafe { dealloc(self.memory.as_ptr().cast(), Layout::new::<Memory>()) }
    }
}

/// Sleeps until the socket can take another datagram, at most for [`UDP_SEND_WAIT`].
fn wait_for_room(socket: &UdpSocket) {
    let mut room = libc::pollfd {
        fd: socket.as_raw_fd(),
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: one pollfd is there, for an open descriptor. Whatever it gives, sending is tried again.
    unsafe { libc::poll(&mut room, 1, UDP_SEND_WAIT.as_millis() as libc::c_int) };
}

/// The interface that a datagram came by need not be the one its answer leaves by, but for link-local addresses.
///
/// # Safety
/// `msg_control` points to `msg_controllen` octets of control messages as the kernel wrote them, to which no
/// reference exists.
unsafe fn forget_interface(header: &libc::msghdr) {
    // SAFETY: CMSG_FIRSTHDR gives the first message, or null where there is no room for one; CMSG_DATA what follows
    // its header. The kernel writes a message whole, so the structure its kind says is there; it is read and
    // written unaligned.
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
                if !Ipv6Addr::from(info.ipi6_addr.s6_addr).is_unicast_link_local() {
                    info.ipi6_ifindex = 0;
                }
                data.write_unaligned(info);
            }
            _ => {}
        }
    }
}
