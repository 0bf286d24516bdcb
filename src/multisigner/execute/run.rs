//! A run: a plan, and how far it has come.

use serde::{Deserialize, Serialize};

use super::super::{
    plan::{Plan, Times},
    safety::KeyId,
};
use crate::{clock::UnixTime, dnssec::key::Dnskey};

/// What is journaled of a run, with its time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: UnixTime,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What can happen in a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A person, or this server itself, adopted a plan. Always the first entry.
    Adopted {
        /// The plan.
        plan: Box<Plan>,
        /// Why it may run though the checker calls it unsafe, in the person's words.
        force: Option<String>,
    },
    /// A key that the plan makes is this one.
    Made {
        /// Its place in the plan.
        key: KeyId,
        /// The key.
        dnskey: Dnskey,
    },
    /// A step is about to be done; after a crash it is done again.
    Begun {
        /// Its place in the plan.
        step: usize,
    },
    /// A person says that they did their part of a step.
    Reported {
        /// Its place in the plan.
        step: usize,
    },
    /// Every server showed what the step leads to, at this time.
    Seen {
        /// Its place in the plan.
        step: usize,
    },
    /// Nothing more is begun until a person says so.
    Paused {
        /// Why: a person's words, or what surprised us.
        why: String,
    },
    /// A person lets it go on.
    Resumed,
    /// It is given up; what comes after is another run.
    Aborted {
        /// The reason.
        why: String,
    },
    /// The last step was seen.
    Finished,
}

/// How far a run has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stage {
    /// It goes on by itself.
    Running,
    /// It waits for a person's word.
    Paused {
        /// Why.
        why: String,
    },
    /// It is over.
    Over(Outcome),
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Its goal is reached.
    Reached,
    /// It was given up.
    Aborted,
}

/// A plan that is being carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// The plan, with the keys that have been made.
    pub plan: Plan,
    /// How far it has come.
    pub stage: Stage,
    /// The steps that were seen, in order.
    pub done: Vec<Times>,
    /// When the step after these was begun.
    pub begun: Option<UnixTime>,
}

/// What is to be done now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// Journal this, and come again.
    Journal(Event),
    /// Do the step's action, which was journaled as begun; doing it again changes nothing.
    Act {
        /// The step.
        step: usize,
    },
    /// Nothing until then.
    Wait {
        /// The step that is waited for.
        step: usize,
        /// Until when.
        until: UnixTime,
    },
    /// The step was begun, and not every server shows it yet.
    Watch {
        /// The step.
        step: usize,
        /// Who does not, in words.
        lacking: String,
    },
    /// Nothing until a person decides.
    Halted {
        /// Why.
        why: String,
    },
    /// It is over.
    Over(Outcome),
}
