//! What the transports count besides the engine. Relaxed atomics, one set a UDP thread and one for all of TCP,
//! summed when read; a thread adds what it counted once a batch.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($(#[$what:meta])* $name:ident, $cells:ident { $($(#[$doc:meta])* $field:ident,)* }) => {
        $(#[$what])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
        pub struct $name { $($(#[$doc])* pub $field: u64,)* }

        #[derive(Debug, Default)]
        #[repr(align(128))] // Two lines of 64 octets, which the processor fetches together: no core shares them.
        pub(super) struct $cells { $(pub(super) $field: AtomicU64,)* }

        impl $cells {
            /// Adds what was counted since the last time.
            pub(super) fn add(&self, more: &$name) {
                $(if more.$field != 0 {
                    self.$field.fetch_add(more.$field, Ordering::Relaxed);
                })*
            }
        }

        impl $name {
            pub(super) fn sum<'a>(all: impl IntoIterator<Item = &'a $cells>) -> Self {
                let mut sum = Self::default();
                for cells in all {
                    $(sum.$field += cells.$field.load(Ordering::Relaxed);)*
                }
                sum
            }
        }
    };
}

counters! {
    /// What UDP counts.
    UdpCounters, UdpCells {
        /// Datagrams received.
        received,
        /// Answers that the kernel took.
        sent,
        /// Answers that waited for the second pass of their batch.
        deferred,
        /// Datagrams that must not be answered, or cannot be, for they come from port 0.
        dropped,
        /// Datagrams longer than any query may be, of which only the beginning was read.
        cut,
        /// Answers that the kernel refused: no way to the client, a filter, too long.
        refused,
        /// Answers let go because the send buffer stayed full.
        no_room,
        /// Calls to receive that failed.
        receive_errors,
        /// Faults of this program: the datagram was not answered.
        faults,
    }
}

counters! {
    /// What TCP counts.
    TcpCounters, TcpCells {
        /// Connections accepted.
        accepted,
        /// Queries answered.
        answered,
        /// Connections closed to make room for others.
        evicted,
        /// Connections closed because nothing was asked.
        idle,
        /// Connections cut off in a query that did not end, or because they did not read.
        stalled,
        /// Connections cut off because all connections together held too much.
        no_room,
        /// Connections closed because of a message that must not be answered.
        dropped,
        /// Calls to accept that failed.
        accept_errors,
        /// Faults of this program: the connection ended.
        faults,
    }
}

/// What all transports count, as read at one time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Counters {
    /// UDP, all threads.
    pub udp: UdpCounters,
    /// TCP, all connections.
    pub tcp: TcpCounters,
    /// TCP connections that are open.
    pub tcp_open: usize,
}

/// Counts one more.
pub(super) fn count(cell: &AtomicU64) {
    cell.fetch_add(1, Ordering::Relaxed);
}
