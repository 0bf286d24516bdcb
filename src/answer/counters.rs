//! What a worker counts. Relaxed atomics, one set a worker, so no two cores write the same line; summed when read.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of one worker.
        #[derive(Debug, Default)]
        pub struct Counters { $($(#[$doc])* pub $name: AtomicU64,)* }

        /// Their sum over all workers, as read at one time.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
        pub struct Totals { $($(#[$doc])* pub $name: u64,)* }

        impl Totals {
            /// Adds one worker's.
            pub fn add(&mut self, counters: &Counters) {
                $(self.$name += counters.$name.load(Ordering::Relaxed);)*
            }
        }
    };
}

counters! {
    /// Packets over UDP.
    udp_queries,
    /// Messages over TCP.
    tcp_queries,
    /// Packets that must not be answered: responses, and those shorter than a header.
    dropped,
    /// Responses with NOERROR.
    noerror,
    /// Responses with FORMERR.
    formerr,
    /// Responses with SERVFAIL.
    servfail,
    /// Responses with NXDOMAIN.
    nxdomain,
    /// Responses with NOTIMP.
    notimp,
    /// Responses with REFUSED.
    refused,
    /// Responses with another code.
    other_rcode,
    /// Responses with TC.
    truncated,
    /// Signatures made because a question needed them.
    signed,
    /// Questions answered with TC because too many synthesised signatures were asked for.
    over_budget,
    /// Questions answered with ranges for the same reason.
    ranges,
    /// Times that a question waited for the second pass of its batch.
    deferred,
    /// Faults of this program, answered with SERVFAIL.
    panics,
}

/// Counts one more.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
