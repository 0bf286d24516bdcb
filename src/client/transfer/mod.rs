//! A zone from another server, whole (AXFR, RFC 5936) or as changes to what we have (IXFR, RFC 1995), over TCP.
//!
//! ```text
//! mod        the connection, its limits
//! └─ frames      octets → messages
//!    └─ incoming     a message: its question, its signature
//!       └─ content       its records: what they mean, and whether the end has come
//! ```
//! Only what has both ends, and the last signature where there is a key, is a transfer; everything else is an error,
//! and whoever takes it in lets go of what it was given.

mod content;
mod frames;
mod incoming;
#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{io::AsyncReadExt as _, net::TcpStream, task::yield_now, time::timeout};

use self::{content::Content, frames::Frames, incoming::Incoming};
use super::{
    exchange::{random_id, write_framed},
    query::Asking,
    tsig::{TsigError, TsigKey},
};
use crate::{
    clock::Clock,
    wire::{
        Name, Serial,
        message::Rcode,
        received::{Malformed, Record},
    },
};

pub use content::ContentError;

/// Octets that are read from a connection at once: about a message.
const CHUNK: usize = 65_536;

/// What a transfer may cost.
#[derive(Clone, Debug)]
pub struct TransferSettings {
    /// The wait for a connection. Default: 10 s.
    pub connect: Duration,
    /// The longest silence: the other side may have to prepare a transfer. Default: 60 s.
    pub stall: Duration,
    /// The longest time for all of it. Default: 2 h, as BIND's `max-transfer-time-in`.
    pub deadline: Duration,
    /// The most octets. Default: 4 GiB, about forty million records.
    pub octets: u64,
    /// The most octets of changes, for they are held until all have come. Default: 64 MiB, about a million records;
    /// for more the whole zone is asked.
    pub changes: u64,
}

impl Default for TransferSettings {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(60),
            deadline: Duration::from_secs(7_200),
            octets: 4 << 30,
            changes: 64 << 20,
        }
    }
}

/// What came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Transferred {
    /// There is nothing newer than what we have. The other side's version may be older.
    UpToDate {
        /// Its version.
        serial: Serial,
    },
    /// Changes, to be made one after the other; at least one. They lead from what we have to the last one's `to`.
    Changes(Vec<Delta>),
    /// The whole zone went through the callback.
    Whole {
        /// Its version.
        serial: Serial,
        /// How many records, the SOA counted once.
        records: u64,
    },
}

/// What makes one version of a zone of another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delta {
    /// The version that it changes.
    pub from: Serial,
    /// The version that comes of it; newer (RFC 1982).
    pub to: Serial,
    /// What goes, its SOA first.
    pub removed: Vec<Record>,
    /// What comes, its SOA first.
    pub added: Vec<Record>,
}

/// Why there is no transfer.
#[derive(Debug, thiserror::Error)]
#[error("the zone {zone} cannot be transferred from {server}")]
pub struct TransferError {
    /// The zone.
    pub zone: Name,
    /// Who was asked.
    pub server: SocketAddr,
    /// What went wrong.
    #[source]
    pub fault: Fault,
}

impl TransferError {
    /// Whether changes were the trouble, so that the whole zone may come all the same (RFC 1995 §4).
    pub fn whole_may_work(&self) -> bool {
        match &self.fault {
            Fault::Refused { rcode } => matches!(*rcode, Rcode::NOTIMP | Rcode::FORMERR | Rcode::SERVFAIL),
            Fault::Content(ContentError::Gap { .. } | ContentError::Backwards { .. })
            | Fault::TooLarge { changes: true, .. } => true,
            _ => false,
        }
    }
}

/// What goes wrong with transfers.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No connection.
    #[error("it cannot be reached")]
    Unreachable(#[source] io::Error),
    /// The connection ended before the transfer did.
    #[error("the connection broke after {messages} messages, before the end of the zone")]
    Broken {
        /// Messages that came.
        messages: u64,
        /// How.
        #[source]
        source: io::Error,
    },
    /// Nothing came any more.
    #[error("nothing came for {} s, after {messages} messages", .silence.as_secs_f32())]
    Stalled {
        /// Messages that came.
        messages: u64,
        /// For how long.
        silence: Duration,
    },
    /// It takes too long.
    #[error("it was not done after {} s", .0.as_secs_f32())]
    Deadline(Duration),
    /// It is too large.
    #[error("it is larger than {limit} octets, the limit for {}", if *.changes { "changes" } else { "transfers" })]
    TooLarge {
        /// The most octets.
        limit: u64,
        /// Whether it is that of changes.
        changes: bool,
    },
    /// It will not.
    #[error("it answers {rcode}{}", hint(*.rcode))]
    Refused {
        /// What it said.
        rcode: Rcode,
    },
    /// A message that cannot be read.
    #[error("message {number} cannot be read")]
    Unreadable {
        /// Which, from one.
        number: u64,
        /// Why.
        #[source]
        source: Malformed,
    },
    /// A message that is no answer to what was asked.
    #[error("message {number} does not belong to the transfer: {why}")]
    Stray {
        /// Which, from one.
        number: u64,
        /// Why.
        why: &'static str,
    },
    /// A message that is not signed as it must be.
    #[error("it is not signed as it must be")]
    Tsig(#[from] TsigError),
    /// Its records are no transfer.
    #[error("its records are no transfer of the zone")]
    Content(#[from] ContentError),
}

/// What a code means in an answer to a transfer.
fn hint(rcode: Rcode) -> &'static str {
    match rcode {
        Rcode::REFUSED => ": it gives the zone to others, or to another key; allow our address and key there",
        Rcode::NOTAUTH => {
            ": it does not serve the zone, or not with this key; look at the zone's name and the key"
        }
        Rcode::NOTIMP | Rcode::FORMERR => ": it does not know this kind of transfer",
        Rcode::SERVFAIL => ": it has the zone and cannot give it now",
        _ => "",
    }
}

/// A transfer to be made.
#[derive(Debug)]
pub struct Transfer<'a> {
    /// Who is asked.
    pub server: SocketAddr,
    /// For which zone.
    pub zone: &'a Name,
    /// What both sides sign with.
    pub key: Option<&'a Arc<TsigKey>>,
    /// What it may cost.
    pub settings: &'a TransferSettings,
    /// What the time of a signature is compared with.
    pub clock: &'a dyn Clock,
}

impl Transfer<'_> {
    /// Asks for the changes since `have`, or without it for the whole zone, which may answer the former, too. The
    /// records of a whole zone go to `sink` as they come, the SOA once and first; they count only when this gives
    /// [`Transferred::Whole`]. May be dropped at any moment.
    ///
    /// # Errors
    /// When anything is missing, too late, too much, not signed, or not the zone's.
    pub async fn fetch(
        &self,
        have: Option<Serial>,
        sink: &mut (dyn FnMut(&Record) + Send),
    ) -> Result<Transferred, TransferError> {
        let deadline = self.settings.deadline;
        timeout(deadline, self.exchange(have, sink))
            .await
            .unwrap_or(Err(Fault::Deadline(deadline)))
            .map_err(|fault| TransferError {
                zone: self.zone.clone(),
                server: self.server,
                fault,
            })
    }

    /// Asks for the changes since `have`, and for the whole zone where the other side cannot tell them
    /// (RFC 1995 §4). Otherwise as [`Transfer::fetch`].
    ///
    /// # Errors
    /// Those of [`Transfer::fetch`].
    pub async fn refresh(
        &self,
        have: Serial,
        sink: &mut (dyn FnMut(&Record) + Send),
    ) -> Result<Transferred, TransferError> {
        let mut given = false;
        let mut noting = |record: &Record| {
            given = true;
            sink(record);
        };
        match self.fetch(Some(have), &mut noting).await {
            // Whoever was given a part of a zone must not be given another beginning.
            Err(error) if error.whole_may_work() && !given => self.fetch(None, sink).await,
            other => other,
        }
    }

    async fn exchange(
        &self,
        have: Option<Serial>,
        sink: &mut (dyn FnMut(&Record) + Send),
    ) -> Result<Transferred, Fault> {
        let mut stream = self.connect().await?;
        let mut asking = Asking::transfer(random_id().map_err(Fault::Unreachable)?, self.zone, have);
        let answers = self
            .key
            .map(|key| key.sign_request(&mut asking.octets, self.clock.now()));
        write_framed(&mut stream, &asking.octets)
            .await
            .map_err(Fault::Unreachable)?;
        let content = Content::new(self.zone.clone(), have);
        let mut incoming = Incoming::new(asking, answers, content);
        let mut frames = Frames::default();
        let mut chunk = vec![0; CHUNK];
        let mut octets = 0;
        loop {
            let length = self.read(&mut stream, &mut chunk, incoming.messages()).await?;
            frames.feed(&chunk[..length]);
            while let Some(message) = frames.next() {
                octets += message.len() as u64;
                if let Some(transferred) = incoming.take(message, self.clock.now(), sink)? {
                    return Ok(transferred);
                }
                self.check_size(octets, incoming.holds_changes())?;
                // A message may hold a thousand records: others have a turn in between.
                yield_now().await;
            }
        }
    }

    fn check_size(&self, octets: u64, changes: bool) -> Result<(), Fault> {
        let whole = self.settings.octets;
        let limit = if changes {
            self.settings.changes.min(whole)
        } else {
            whole
        };
        match octets > limit {
            true => Err(Fault::TooLarge { limit, changes }),
            false => Ok(()),
        }
    }

    async fn connect(&self) -> Result<TcpStream, Fault> {
        let late = |_| Err(io::ErrorKind::TimedOut.into());
        timeout(self.settings.connect, TcpStream::connect(self.server))
            .await
            .unwrap_or_else(late)
            .map_err(Fault::Unreachable)
    }

    /// At least one octet.
    async fn read(&self, stream: &mut TcpStream, chunk: &mut [u8], messages: u64) -> Result<usize, Fault> {
        let silence = self.settings.stall;
        let broken = |source| Fault::Broken { messages, source };
        match timeout(silence, stream.read(chunk)).await {
            Err(_) => Err(Fault::Stalled { messages, silence }),
            Ok(Ok(0)) => Err(broken(io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => read.map_err(broken),
        }
    }
}
