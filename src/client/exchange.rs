//! One question to one server: over UDP, and over TCP where the answer was cut.

use std::{io, net::SocketAddr, time::Duration};

use crate::wire::{Name, RrType, received::Malformed};

/// What to ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// The name.
    pub name: Name,
    /// The type.
    pub rtype: RrType,
    /// Ask for signatures (DO).
    pub dnssec: bool,
    /// Ask a resolver to do the work (RD); a server of the zone is asked without.
    pub recursion: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// None came in time.
    #[error("{server} did not answer within {} s", .waited.as_secs_f32())]
    Silent {
        /// Who was asked.
        server: SocketAddr,
        /// For how long, all tries together.
        waited: Duration,
    },
    /// It cannot be reached from here: no route, refused, reset.
    #[error("{server} cannot be reached")]
    Unreachable {
        /// Who was asked.
        server: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What came is no message, or not about the question.
    #[error("{server} sent what cannot be read")]
    Malformed {
        /// Who was asked.
        server: SocketAddr,
        /// Why.
        #[source]
        source: Malformed,
    },
}

/// How long and how often is asked.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The wait for an answer to one try.
    pub timeout: Duration,
    /// Tries over UDP.
    pub tries: u32,
}

impl Default for Asker {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(2),
            tries: 3,
        }
    }
}
