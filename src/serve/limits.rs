//! Every limit of the transports, with its reason.

use std::time::Duration;

/// Datagrams a UDP thread takes from the kernel at once. Beyond this the system call's cost is shared already, and
/// a batch that must be signed for whole (64 × 17 µs) keeps the next one waiting for about a millisecond.
pub const BATCH: usize = 64;
/// The largest datagram that is read: the largest payload size that can be configured, which is what our OPT record
/// tells clients that they may send (RFC 6891 §6.2.3). A longer one is cut, and then not a whole message.
pub const UDP_QUERY: usize = 4_096;
/// What an answer's buffer is made for: the payload size of the default settings, and a little. It grows where
/// more is configured.
pub const UDP_RESPONSE: usize = 1_280;
/// The kernel's buffers for each UDP socket, asked for: a burst of some ten thousand queries.
pub const SOCKET_BUFFER: usize = 4 << 20;
/// How long a UDP thread waits for room in a full send buffer before it lets the batch's other answers go.
pub const UDP_SEND_WAIT: Duration = Duration::from_millis(10);
/// The wait after receiving failed twice in a row: the kernel is short of memory, and asking again would only spin.
pub const UDP_RECEIVE_BACKOFF: Duration = Duration::from_millis(10);
/// Batches that lie in a socket when it stops and are still answered: 4,096 queries, 70 ms when each is signed for.
pub const UDP_DRAIN: usize = 64;
/// How often a free UDP port is looked for that TCP has chosen, when the kernel may choose (port 0).
pub const PORT_TRIES: usize = 16;

/// TCP connections in all. Each costs some 2 KiB here while idle, and a descriptor.
pub const TCP_CONNECTIONS: usize = 10_000;
/// TCP connections from one client prefix: one network must not push out all others, and a large resolver behind
/// one address may have a thousand.
pub const TCP_CONNECTIONS_A_PREFIX: usize = 1_000;
/// The network that counts as one client, in bits: what response rate limiting in BIND, Knot and NSD counts.
pub const PREFIX_IPV4: u8 = 24;
/// As above: the smallest network that a site is commonly given (RFC 6177).
pub const PREFIX_IPV6: u8 = 56;
/// A connection must bring its first query within this time: a client opens one because it has a question.
pub const TCP_FIRST_QUERY: Duration = Duration::from_secs(5);
/// A connection on which nothing was asked for so long is closed (RFC 7766 §6.2.3: a few seconds).
pub const TCP_IDLE: Duration = Duration::from_secs(10);
/// So long may the rest of a query take once it began, and a client to read what it is sent.
pub const TCP_STALL: Duration = Duration::from_secs(5);
/// Octets that are read from a connection at once. A larger query makes its buffer grow as its octets come.
pub const TCP_READ: usize = 4_096;
/// Answers are written together up to so many octets.
pub const TCP_WRITE: usize = 16 << 10;
/// Queries of one connection that are answered before others have their turn: half a millisecond of signing.
pub const TCP_BURST: usize = 32;
/// Octets in all that connections may hold in buffers beyond [`TCP_READ`] each: half-sent long queries, and
/// answers that clients do not read. The connection that would need more is cut off.
pub const TCP_BUFFERS: usize = 64 << 20;
/// The most connections the kernel holds until they are accepted.
pub const TCP_BACKLOG: i32 = 1_024;
/// The wait after accepting failed for want of descriptors or memory: trying at once again would only spin.
pub const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);
/// Accepting may fail so often in a row, for what clients do, before it waits as well.
pub const ACCEPT_FAILURES: u32 = 16;

/// Descriptors besides connections and listening sockets: zone and key files, store, control socket, logs.
pub const OTHER_DESCRIPTORS: usize = 256;
/// The longest stop: what was read is answered within it.
pub const STOP: Duration = Duration::from_millis(1_500);
