//! Every limit of the transports, with its reason.

use std::time::Duration;

/// Datagrams a UDP thread takes from the kernel at once. Beyond this the system call's cost is shared already.
pub const BATCH: usize = 64;
/// The largest datagram that is read: a query is far shorter; a longer one is cut, and then not a whole message.
pub const UDP_QUERY: usize = 1_536;
/// The largest datagram that is written: above every payload limit that can be configured for UDP.
pub const UDP_RESPONSE: usize = 4_096;
/// The kernel's buffers for each UDP socket, asked for: a burst of some ten thousand queries.
pub const SOCKET_BUFFER: usize = 4 << 20;
/// How often a UDP thread that has nothing to do looks whether it should stop.
pub const STOP_LOOK: Duration = Duration::from_millis(200);

/// TCP connections in all. Each costs some KiB while idle.
pub const TCP_CONNECTIONS: usize = 10_000;
/// TCP connections from one client prefix (IPv4 /24, IPv6 /56): one network should not push out all others, and
/// a large resolver behind one address may have a thousand.
pub const TCP_CONNECTIONS_A_PREFIX: usize = 1_000;
/// A connection on which nothing was asked for so long is closed (RFC 7766 §6.2.3: a few seconds).
pub const TCP_IDLE: Duration = Duration::from_secs(10);
/// So long may the rest of a query take once it began, and a client to read what it is sent.
pub const TCP_STALL: Duration = Duration::from_secs(5);
/// Octets that are read from a connection at once; a larger query makes its buffer grow to what its length says.
pub const TCP_READ: usize = 4_096;
/// Answers are written together up to so many octets.
pub const TCP_WRITE: usize = 64 << 10;
/// The most connections the kernel holds until they are accepted.
pub const TCP_BACKLOG: i32 = 1_024;
/// A wait after accepting failed: descriptors are short, and trying at once again would only spin.
pub const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// File descriptors asked for at start: those connections, and room for files and sockets.
pub const DESCRIPTORS: u64 = 16_384;
/// The longest stop: what was read is answered within it.
pub const STOP: Duration = Duration::from_millis(1_500);
