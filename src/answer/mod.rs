//! The engine: question in, response bytes out. It knows nothing of sockets; transports know nothing of DNS
//! but the traits here.

mod budget;
pub mod counters;
mod denial;
pub mod engine;
pub mod notice;
pub mod overload;
mod resolve;
pub mod served;
mod soa_block;
mod synthesised;
#[cfg(test)]
mod tests;
pub mod warm;

use std::net::SocketAddr;

pub use engine::{Engine, EngineSettings, Worker, Zones};
pub use overload::{Beyond, Overload};
pub use served::{Content, ServeError, ServedZone, ZonePolicy};

/// How a question arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// A datagram: the answer is cut to what the client and we allow (RFC 6891 §6.2.5, RFC 9715).
    Udp,
    /// A stream: up to 65,535 octets.
    Tcp,
}

/// Who asks, and how.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The client's address and port.
    pub address: SocketAddr,
    /// How the question came.
    pub transport: Transport,
}

/// How much an answer may cost now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effort {
    /// Only what is at hand: a question that needs a new signature is [`Outcome::Deferred`].
    AtHand,
    /// Sign when needed.
    Full,
}

/// What became of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The response is in `out`.
    Answered,
    /// The packet must not be answered: a response (QR=1), or shorter than a header.
    Drop,
    /// Needs a new signature; ask again with [`Effort::Full`] after the rest of the batch. `out` is empty.
    Deferred,
}

/// Makes workers, one for each thread or task that answers.
pub trait Responder: Send + Sync + 'static {
    /// What a thread answers with.
    type Worker: Work + Send + 'static;
    /// A new worker, with its own scratch memory.
    fn worker(&self) -> Self::Worker;
}

/// Answers packets. A batch sees one snapshot of zones and keys, and one moment.
pub trait Work {
    /// Loads the current snapshot and the time. Call before the first `answer` of a batch.
    fn begin_batch(&mut self);
    /// Has brought near what the answers to these packets will read. Changes nothing but how long they wait for memory.
    fn look_ahead<'q>(&mut self, _packets: impl Iterator<Item = &'q [u8]>) {}
    /// Answers one packet into `out`, which it clears first. Never panics; an internal fault is SERVFAIL.
    fn answer(&mut self, query: &[u8], from: Peer, effort: Effort, out: &mut Vec<u8>) -> Outcome;
    /// Lets go of the snapshot, so that what was replaced can be freed while this thread waits.
    fn end_batch(&mut self);
}
