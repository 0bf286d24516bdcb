//! One look at everything that a plan is about: every server of every provider and of the parent, asked by itself, and
//! what that shows in the words of the safety checker.
//!
//! | slot | question | counts when |
//! |---|---|---|
//! | DNSKEY | DNSKEY | a key that is believed signs it, by a good signature |
//! | data | SOA and NS | keys of that server sign both alike |
//! | denials | a type that no zone has, at the apex | keys of that server sign the proof |
//! | NS of a provider | NS | it answers with authority |
//! | CDS | CDS and CDNSKEY | both name the same keys, and a key that signs the DNSKEY RRset signs both |
//! | DS, NS of the parent | DS, NS | it answers with authority, or refers |
//!
//! What an answer says counts by good signatures alone, so that nobody who can only make up datagrams moves a plan.

mod ask;
mod cds;
mod read;
mod situation;
#[cfg(test)]
mod tests;

pub use ask::{Targets, survey};
pub use situation::{ContentTtls, Known, NotPlain};

use super::observe::Unseen;
use crate::{
    clock::UnixTime,
    wire::{Name, received::Received},
};

/// What one server answered.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The server, for people.
    pub server: String,
    /// When it was asked, at the latest.
    pub asked: UnixTime,
    /// Its answers, in the order of the questions.
    answers: Vec<Result<Received, Unseen>>,
}

/// What a provider's servers answered.
#[derive(Clone, Debug)]
pub struct MemberSeen {
    /// What its servers are called in NS RRsets.
    pub names: Vec<Name>,
    /// Its servers.
    pub servers: Vec<Answered>,
}

/// One look.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The zone.
    pub zone: Name,
    /// When it was.
    pub at: UnixTime,
    /// The providers, this server first.
    pub members: Vec<MemberSeen>,
    /// The parent's servers.
    pub parent: Vec<Answered>,
}
