//! Plans: the steps of a key change, the wait before each and why, and what a person must do.
//!
//! ```text
//! Situation ─► steps (by kind) ─► Plan ─► earliest times ─► Timeline ─► safety: a verdict for each validator
//!  (observed)                      │
//!                                  └─► execute: one step at a time, on evidence
//! ```
//!
//! A plan speaks the safety checker's language: what the parent and each provider serve are slots, a step gives some of
//! them new values, and it is done when every server shows these. So what is printed, checked, executed and simulated
//! is one thing, and nothing is left for the executor to choose.
//!
//! A wait runs from the moment at which an earlier step was *seen at every server*, and is strict: a step is due when
//! it has passed. Its length is what caches may hold (the largest TTL), and the propagation of servers that cannot be
//! seen from here, and the margin.

mod draft;
mod gate;
#[cfg(test)]
pub(crate) mod golden;
mod history;
mod judge;
mod kinds;
mod lag;
mod moves;
mod name_servers;
mod paste;
pub mod report;
mod retreat;
mod schedule;
mod situation;
mod size;
mod unplannable;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use judge::Judgement;
pub use kinds::build;
pub use lag::Lag;
pub use report::Report;
pub use schedule::{Planned, Times};
pub use situation::{FirstSeen, Hand, Member, OwnNs, Parent, ParentHand, Past, PlanKey, Situation};
pub use size::Largest;
pub use unplannable::{NoWayBack, Unplannable};

use super::safety::{Csync, KeyId, ProviderId, Seconds, Slot, Value};
use crate::{clock::UnixTime, dnssec::keyfile::timing::Claim};

/// What is to be achieved.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// A provider that signs already comes into the delegation.
    Join {
        /// The one that comes.
        provider: ProviderId,
    },
    /// A provider goes out of the delegation, and its keys after it.
    Leave {
        /// The one that goes.
        provider: ProviderId,
    },
    /// One of our ZSKs takes over from another.
    RollZsk {
        /// The one that signs now.
        old: KeyId,
        /// The one that shall sign.
        new: KeyId,
    },
    /// One of our KSKs takes over from another.
    RollKsk {
        /// The one that signs now.
        old: KeyId,
        /// The one that shall sign.
        new: KeyId,
    },
    /// One of our CSKs takes over from another.
    RollCsk {
        /// The one that signs now.
        old: KeyId,
        /// The one that shall sign.
        new: KeyId,
    },
    /// All providers go over to another algorithm, in step with each other.
    Algorithm {
        /// Every key of the old algorithm.
        old: Vec<KeyId>,
        /// The keys that replace them, every provider's.
        new: Vec<KeyId>,
    },
    /// A key of ours that somebody else may have is replaced.
    Emergency {
        /// The key.
        old: KeyId,
        /// The one that shall sign.
        new: KeyId,
        /// What is given up.
        policy: Emergency,
    },
    /// A further ZSK of ours is published everywhere, so that it can take over at once when it must.
    Standby {
        /// The key.
        new: KeyId,
    },
    /// The other provider changed its keys by itself: ours follows, by withdrawing those that are gone there.
    Follow {
        /// The provider that rolled.
        provider: ProviderId,
        /// Its keys that are gone, each with the time at which it was last seen anywhere, in a DNSKEY RRset or as a
        /// signer.
        gone: Vec<(KeyId, UnixTime)>,
    },
    /// A plan is undone, as far as it had come.
    Retreat {
        /// The plan that is undone.
        from: Box<Kind>,
    },
}

/// What an emergency gives up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Emergency {
    /// Nobody sees a bogus answer; whoever has the key can forge for as long as an ordinary roll takes.
    Availability,
    /// A standby key that is published everywhere takes over at once; nobody sees a bogus answer.
    Standby,
    /// The key goes at once; answers are bogus in caches until what they hold has expired.
    Security,
}

/// What is done in a step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// Keys of ours are made; nobody sees them yet.
    Make {
        /// Which.
        keys: Vec<KeyId>,
    },
    /// Keys of ours pass into other states, all at one moment. Published: in the DNSKEY RRset; active: signs besides;
    /// pre-active and post-active: signs, and is not there.
    Turn {
        /// Which, and into what.
        keys: Vec<(KeyId, Claim)>,
    },
    /// A provider is given our keys: exactly those of ours that the step's value of its DNSKEY RRset has, no more and
    /// no fewer. Where it has no API, a person pastes them.
    Give {
        /// The provider.
        provider: ProviderId,
    },
    /// A key of another provider goes out of our DNSKEY RRset.
    Withdraw {
        /// Which.
        keys: Vec<KeyId>,
    },
    /// CDS and CDNSKEY for exactly these keys are published here; none: they are taken away.
    Cds {
        /// The keys that the parent's DS RRset is to point to.
        wanted: Vec<KeyId>,
    },
    /// This CSYNC is published here; none: it is taken away.
    Csync {
        /// The record.
        shown: Option<Csync>,
    },
    /// The parent's DS RRset is changed: by the parent itself where it reads CDS, otherwise by a person.
    Ds {
        /// The keys that it shall point to.
        wanted: Vec<KeyId>,
    },
    /// The parent's NS RRset is changed: by the parent itself where it reads CSYNC, otherwise by a person.
    ParentNs {
        /// The providers that it shall name.
        members: Vec<ProviderId>,
    },
    /// A provider's own NS RRset is changed.
    ChildNs {
        /// Where.
        provider: ProviderId,
        /// The providers that it shall name.
        members: Vec<ProviderId>,
    },
    /// A provider stops answering for the zone.
    Stop {
        /// Which.
        provider: ProviderId,
    },
    /// A provider does it itself, such as its part of a change of algorithm; by its API, where it has one for that.
    Theirs {
        /// Which.
        provider: ProviderId,
        /// What, in words.
        what: String,
    },
    /// What others were asked for may be on its way to servers, and is given up: it is waited for until every server shows it,
    /// or until the person says that it cannot come any more. Before that no server that shows what was before says whether
    /// this is what is to be, or what has not changed yet.
    HandedIn {
        /// What was to be shown.
        values: Vec<Value>,
    },
    /// Nothing is done, and something is waited for: time, or what the exchange of keys does by itself.
    Await,
}

/// Who does it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Actor {
    /// This server.
    We,
    /// This server, through a provider's API.
    Api {
        /// The provider's.
        provider: ProviderId,
    },
    /// The parent, because of what it reads in CDS or CSYNC.
    Parent,
    /// Another provider by itself.
    Provider {
        /// Which.
        provider: ProviderId,
    },
    /// A person.
    Person {
        /// Where: "at the registrar".
        place: String,
        /// What is to be pasted there, one record a line in master format.
        paste: Vec<String>,
    },
}

/// From when a wait runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Since {
    /// From the moment at which this step, by its place, was seen at every server.
    Step(usize),
    /// From a moment that was observed.
    Time(UnixTime),
}

/// A wait before a step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Wait {
    /// From when.
    pub since: Since,
    /// How long: the step is due when more than this has passed.
    pub seconds: Seconds,
    /// What caches may hold until then, in words: "the DNSKEY RRset without key 4711 (3600 s)".
    pub why: String,
    /// Which lags it gets longer with, and those that it stands for; each as often as it counts. None where that is not
    /// known, as in the journals of before: then any may be in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lags: Option<Vec<Lag>>,
}

/// One step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// What it is, in words: "key 4711 is published".
    pub what: String,
    /// What is done.
    pub action: Action,
    /// Who does it.
    pub by: Actor,
    /// What is served when it is done. The step is seen when every server of these slots shows it.
    pub changes: Vec<Value>,
    /// What must have passed before, all of them.
    pub waits: Vec<Wait>,
    /// Whether something is taken away, so that the checker has to agree with the measured history right before.
    pub withdraws: bool,
    /// How to go back from here, in words.
    pub back: String,
}

/// A key change, step by step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// What is to be achieved.
    pub kind: Kind,
    /// What it starts from.
    pub situation: Situation,
    /// The steps, each begun only when the one before it was seen.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Whether it says anything of the keys of a provider: that is in the delegation, or a step changes its DNSKEY RRset.
    pub fn concerns(&self, provider: ProviderId) -> bool {
        let names = |value: &Value| match value {
            Value::ParentNs(ns) | Value::ChildNs(_, ns) => ns.members.contains(&provider),
            _ => false,
        };
        let changes = |step: &Step| {
            step.changes
                .iter()
                .any(|value| value.slot() == Slot::Keys(provider))
        };
        self.situation.serves.iter().any(names) || self.steps.iter().any(changes)
    }
}
