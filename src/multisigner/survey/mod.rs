//! One look at everything that a plan is about: every server of every provider and of the parent, asked by itself, and
//! what that shows in the words of the safety checker.
//!
//! | slot | question | counts when |
//! |---|---|---|
//! | DNSKEY | DNSKEY | a key that is believed signs it, by a good signature |
//! | data | SOA and NS, and samples of the content (`samples`) | keys of that server sign all alike |
//! | denials | a type that no zone has, at the apex, and the same samples | keys of that server sign all proofs alike |
//! | NS of a provider | NS | it answers with authority |
//! | CSYNC | CSYNC | it is one record that a parent follows at once, and any key of the DNSKEY RRset signs it |
//! | CDS | CDS and CDNSKEY | both name the same keys, and a key that signs the DNSKEY RRset signs both |
//! | DS, NS of the parent | DS, NS | it answers with authority, or refers |
//!
//! Every server is asked over UDP and over TCP (`ask`); each way counts as a server of its own, so that a step needs to
//! be seen by all of them, and a value counts with the largest TTL that any of them gives. So does what is asked from
//! other places (`elsewhere`).
//!
//! What an answer says counts by good signatures alone, so that nobody who can only make up datagrams moves a plan.

mod ask;
mod cds;
mod csync;
mod differences;
mod elsewhere;
mod leads;
mod named;
mod observed;
mod read;
mod samples;
mod situation;
#[cfg(test)]
mod tests;
mod validity;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

pub use ask::{Questions, Targets, survey};
pub use differences::Difference;
pub use elsewhere::{Elsewhere, from_elsewhere};
pub use named::whose;
pub use samples::{Sample, Stock};
pub use situation::{ContentTtls, Known, NotPlain, slots};

use self::samples::Sampled;
use super::observe::{At, Unseen};
use crate::{
    clock::UnixTime,
    wire::{Name, RrType, received::Received},
};

/// By what way a server was asked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Way {
    /// By datagrams from here.
    Udp,
    /// By a stream from here.
    Tcp,
    /// By a stream from another place, of this name.
    From(String),
}

impl Way {
    /// Whether both go out from one place.
    fn is_beside(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::From(one), Self::From(other)) => one == other,
            (Self::From(_), _) | (_, Self::From(_)) => false,
            _ => true,
        }
    }
}

/// Answers by the type that was asked for.
type Answers = BTreeMap<RrType, Result<Received, Unseen>>;

/// What one server answered by one way.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The server; none where it was not found.
    pub at: Option<At>,
    /// How it was asked.
    pub way: Way,
    /// When it was asked, at the earliest: what it shows that is new has been there since then at the latest.
    pub asked: UnixTime,
    /// When all its answers had come: what it does not show any more may have been there until then.
    pub came: UnixTime,
    /// Its answers. What is missing was not asked by this way.
    answers: Answers,
    /// What it answered to samples of the content.
    samples: Sampled,
}

impl Answered {
    /// Whether nothing came from it.
    fn is_away(&self) -> bool {
        let mut answers = self.answers.values();
        answers.all(|answer| matches!(answer, Err(Unseen::Unreachable(_))))
    }
}

/// For people: "ns1.example. 192.0.2.1 over TCP".
impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(at) => at.fmt(f)?,
            None => f.write_str("a server that was not found")?,
        }
        match &self.way {
            Way::Udp => Ok(()),
            Way::Tcp => f.write_str(" over TCP"),
            Way::From(place) => write!(f, " from {place}"),
        }
    }
}

/// What a provider's servers answered.
#[derive(Clone, Debug)]
pub struct MemberSeen {
    /// What its servers are called in NS RRsets.
    pub names: Vec<Name>,
    /// Its servers, each once for every way.
    pub servers: Vec<Answered>,
}

/// One look.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The zone.
    pub zone: Name,
    /// When it began.
    pub at: UnixTime,
    /// The providers, this server first.
    pub members: Vec<MemberSeen>,
    /// The parent's servers, each once for every way.
    pub parent: Vec<Answered>,
    /// The places from which nothing came at all.
    pub failed: BTreeSet<String>,
}

impl Survey {
    /// When the last answer had come. Until then anybody may have served what was before.
    pub fn over(&self) -> UnixTime {
        let of_members = self.members.iter().flat_map(|member| &member.servers);
        let all = of_members.chain(&self.parent).map(|server| server.came);
        all.max().unwrap_or(self.at).max(self.at)
    }
}
