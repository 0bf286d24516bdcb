//! Why there is no plan, or no way back, and what to do about it.

use super::super::safety::TooMany;
use crate::dnssec::{algorithm::Algorithm, keyset::Role};

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum Unplannable {
    /// A key that nobody knows.
    #[error("there is no key number {place} in what was observed; take one that `countersign status` lists")]
    UnknownKey {
        /// Its place.
        place: usize,
    },
    /// A provider that nobody knows.
    #[error(
        "there is no provider number {place} in what was observed; the providers of a zone are named in its configuration"
    )]
    UnknownProvider {
        /// Its place.
        place: usize,
    },
    /// Somebody else's key.
    #[error(
        "{key} is not a key of this server: only its owner can change it, and after that the plan `follow` does the rest"
    )]
    NotOurs {
        /// The key.
        key: String,
    },
    /// A key of another provider than the one that is followed.
    #[error("{key} is not a key of {provider}; follow the provider that it belongs to")]
    NotTheirs {
        /// The key.
        key: String,
        /// The provider.
        provider: String,
    },
    /// A key that is for something else.
    #[error("{key} is a {role}, and this plan is for a {needed}: take the plan for a {role}, or a {needed}")]
    WrongRole {
        /// The key.
        key: String,
        /// What it is for.
        role: Role,
        /// What it should be for.
        needed: Role,
    },
    /// The key to be replaced does nothing.
    #[error("{key} signs nothing now, so there is nothing to take over from it; name the key that signs")]
    NotSigning {
        /// The key.
        key: String,
    },
    /// The key that should take over does the work already.
    #[error("{key} signs already; name a key that does not, or let the plan make one")]
    SignsAlready {
        /// The key.
        key: String,
    },
    /// Old and new are one.
    #[error("{key} cannot take over from itself; name another key, or let the plan make one")]
    SameKey {
        /// The key.
        key: String,
    },
    /// Two algorithms in one roll.
    #[error(
        "{new} is of algorithm {new_algorithm}, and {old} of {old_algorithm}: changing that is the plan `algorithm`"
    )]
    AlgorithmDiffers {
        /// The old key.
        old: String,
        /// Its algorithm.
        old_algorithm: Algorithm,
        /// The new key.
        new: String,
        /// Its algorithm.
        new_algorithm: Algorithm,
    },
    /// A provider that cannot sign with an algorithm.
    #[error(
        "{provider} cannot sign with {algorithm}, and all providers of a zone must sign with the same algorithms (RFC 8901 §4): stay with what it has, or leave it first"
    )]
    CannotSign {
        /// The provider.
        provider: String,
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// A change of algorithm without one of the keys that it takes.
    #[error(
        "{provider} has no new {role} in this plan: a change of algorithm takes the new keys of every provider"
    )]
    NoNewKey {
        /// The provider.
        provider: String,
        /// What is missing.
        role: Role,
    },
    /// A change of algorithm that leaves a key.
    #[error(
        "{key} is published and is not among the keys of this plan: a change of algorithm takes all keys, those that sign nothing too"
    )]
    KeyLeft {
        /// The key.
        key: String,
    },
    /// A join of a provider that is there.
    #[error("{provider} is in the delegation already; nothing is to be joined")]
    AlreadyIn {
        /// The provider.
        provider: String,
    },
    /// A leave of a provider that is not there.
    #[error("{provider} is not in the delegation; nothing is to be left")]
    NotIn {
        /// The provider.
        provider: String,
    },
    /// A leave that would leave nobody.
    #[error("{provider} is the only provider of the delegation; let another one join first")]
    LastProvider {
        /// The provider.
        provider: String,
    },
    /// NS RRsets are to be written, and a name of ours in them is not known.
    #[error(
        "what this server is called in NS RRsets is not known, and this plan, or its way back, writes them: set `our_servers` of the [[zone]], and reload"
    )]
    NamelessHere,
    /// The same, of another provider.
    #[error(
        "what the servers of {provider} are called in NS RRsets is not known, and this plan, or its way back, writes them: set `server_names` of its [[provider]], and reload"
    )]
    Nameless {
        /// The provider.
        provider: String,
    },
    /// Something that a plan needs to know was not observed.
    #[error(
        "{what} was not seen yet at every server; look at the zone's servers first (`countersign peer`), and see that each can be reached"
    )]
    NotObserved {
        /// What.
        what: String,
    },
    /// More than a timeline holds.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// A follow without keys that are gone.
    #[error("no key of {provider} is gone, so there is nothing to follow")]
    NothingToFollow {
        /// The provider.
        provider: String,
    },
    /// A follow of a key that is there.
    #[error(
        "{key} is still there at {provider}: follow when it was seen nowhere, in no DNSKEY RRset and as no signer"
    )]
    StillThere {
        /// The key.
        key: String,
        /// The provider.
        provider: String,
    },
    /// A standby key that is not everywhere.
    #[error(
        "{key} is no standby key: {lacking} lacks it; take the policy `availability`, and have a standby key next time ({next_time})"
    )]
    NoStandby {
        /// The key.
        key: String,
        /// Where it is missing.
        lacking: String,
        /// How one is had: by a plan, or by hand.
        next_time: &'static str,
    },
    /// Everything is as it should be.
    #[error("everything is as this plan would make it; nothing is to be done")]
    NothingToDo,
    /// A way back has no beginning of its own.
    #[error("a way back belongs to a plan that has begun: use `countersign abort`")]
    NotByItself,
}

/// Why a plan cannot be undone, and what to do instead.
#[derive(Debug, thiserror::Error)]
pub enum NoWayBack {
    /// Something is gone for good.
    #[error("step {step} (\"{what}\") cannot be taken back: {why}. Instead: {instead}")]
    Passed {
        /// The step, counted from 1.
        step: usize,
        /// What it did.
        what: String,
        /// Why it is final.
        why: String,
        /// What to do.
        instead: String,
    },
    /// Nothing has been done.
    #[error("nothing has been done yet that would have to be undone")]
    NothingDone,
    /// There is no plan from here.
    #[error(transparent)]
    Unplannable(#[from] Unplannable),
}
