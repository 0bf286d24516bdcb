//! `countersign plan`, `apply`, `pause`, `resume`, `done`, `abort`: key changes and changes of providers, step by step,
//! asked of the running server.

use clap::{Args, ValueEnum};

use super::{
    arguments::{ZoneArguments, reason},
    outcome::{Failure, Report},
};
use crate::control::{
    Client,
    protocol::{PlanOrder, PlanReply, PlanWanted},
};

/// What a plan is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Goal {
    /// A provider that signs already comes into the delegation.
    Join,
    /// A provider goes out of the delegation, and its keys after it.
    Leave,
    /// A ZSK of ours is replaced.
    RollZsk,
    /// A KSK of ours is replaced.
    RollKsk,
    /// A CSK of ours is replaced.
    RollCsk,
    /// All providers go over to another algorithm.
    Algorithm,
    /// A key of ours that somebody else may have is replaced.
    Emergency,
    /// A further ZSK of ours is published everywhere, ready to take over.
    Standby,
    /// Keys that another provider gave up by itself are withdrawn here.
    Follow,
}

/// What is wanted, and of which zone.
#[derive(Debug, Args)]
pub(super) struct WantedArguments {
    /// What for.
    #[arg(value_name = "NAME")]
    pub goal: Goal,
    #[command(flatten)]
    pub zone: ZoneArguments,
    /// The provider it is about, by the configuration's name; `us` is this server.
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// The tag of our key that shall go; without it the one that does the work.
    #[arg(long, value_name = "TAG")]
    pub old: Option<u16>,
    /// The tag of our key that shall take over; without it one that waits, or a new one.
    #[arg(long, value_name = "TAG")]
    pub new: Option<u16>,
    /// What an emergency gives up: availability (nothing, as slow as a roll), standby (a key that is published everywhere
    /// takes over at once) or security (the key goes at once, and answers are bogus in caches for a while).
    #[arg(long, value_name = "POLICY", value_parser = ["availability", "standby", "security"])]
    pub policy: Option<String>,
    /// The algorithm to go over to.
    #[arg(long, value_name = "NAME")]
    pub algorithm: Option<String>,
}

/// Shows what a change of keys or providers takes, step by step, and changes nothing.
///
/// Every server of the zone's providers and of its parent is asked. The plan says who does what, when at the earliest
/// and why, what a person has to paste where, how to go back, and what the safety checker makes of it for each kind of
/// validator. Exit code 1 when the plan is not safe.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign plan roll-zsk example.
  countersign plan roll-ksk example. --old 12345
  countersign plan join example. --provider us
  countersign plan emergency example. --old 12345 --policy standby
  countersign plan roll-zsk example. --json | jq '.plan.steps[].what'

`countersign apply` carries out what this shows.")]
pub(super) struct PlanArguments {
    #[command(flatten)]
    pub wanted: WantedArguments,
}

/// Carries out the plan that `countersign plan` shows now.
///
/// The running server goes through it step by step, each when its time has come and every server shows what the step
/// before led to; `countersign status ZONE` shows how far it is, what it waits for, and what a person has to do. It goes
/// on over restarts. A zone has one plan at a time. Exit code 1 when it is not begun.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign apply roll-zsk example.
  countersign status example.
  countersign apply emergency example. --old 12345 --policy security --force 'the key was on a stolen disk'")]
pub(super) struct ApplyArguments {
    #[command(flatten)]
    pub wanted: WantedArguments,
    /// Carry it out though it is not safe, for this reason, which is journaled. What was served before anybody looked is
    /// not waited for either.
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub force: Option<String>,
}

/// Pauses the plan of a zone: nothing more is begun.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  countersign pause example. 'the registrar is down'")]
pub(super) struct PauseArguments {
    #[command(flatten)]
    pub zone: ZoneArguments,
    /// Why.
    #[arg(default_value = "a person wants it", value_parser = reason)]
    pub reason: String,
}

/// Lets a paused plan go on, with what is seen now.
///
/// After a surprise, such as a new key at another provider, this says that a person has looked at it. The safety checker
/// still has to agree before anything is taken away.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  countersign resume example.")]
pub(super) struct ResumeArguments {
    #[command(flatten)]
    pub zone: ZoneArguments,
}

/// Says that a person did their part of the step that was begun, where nothing can be seen of it.
///
/// What can be seen is its own proof, and needs no word.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  countersign done example.")]
pub(super) struct DoneArguments {
    #[command(flatten)]
    pub zone: ZoneArguments,
}

/// Gives the plan of a zone up, and takes back what can be taken back, by a plan of its own.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  countersign abort example. 'the new key was made on the wrong machine'
  countersign abort example. 'the KSK is stolen' --as-it-is")]
pub(super) struct AbortArguments {
    #[command(flatten)]
    pub zone: ZoneArguments,
    /// Why.
    #[arg(value_parser = reason)]
    pub reason: String,
    /// Give up a journal that was cut or altered. What the plan did stays as it is.
    #[arg(long)]
    pub forget_journal: bool,
    /// Give it up where it is, and take nothing back, whether or not that could be done: the next plan can begin at once.
    /// What it has published stays, and so does what it was to take away.
    #[arg(long)]
    pub as_it_is: bool,
}

fn wanted(arguments: &WantedArguments) -> PlanWanted {
    let kind = arguments.goal.to_possible_value();
    PlanWanted {
        kind: kind.map(|value| value.get_name().to_owned()).unwrap_or_default(),
        provider: arguments.provider.clone(),
        old: arguments.old,
        new: arguments.new,
        policy: arguments.policy.clone(),
        algorithm: arguments.algorithm.clone(),
    }
}

fn order(zone: &ZoneArguments, order: &PlanOrder) -> Result<PlanReply, Failure> {
    Ok(Client::new(&zone.state.folder()?)?.plan(&zone.origin, order)?)
}

fn report(reply: &PlanReply, zone: &ZoneArguments) -> Report {
    if zone.json.json {
        Report::json(reply)
    } else {
        Report::of(reply.text.clone())
    }
}

pub(super) fn plan(arguments: &PlanArguments) -> Result<Report, Failure> {
    let arguments = &arguments.wanted;
    let wanted = wanted(arguments);
    let reply = order(&arguments.zone, &PlanOrder::Plan { wanted })?;
    Ok(report(&reply, &arguments.zone).negative(!reply.safe))
}

pub(super) fn apply(arguments: &ApplyArguments) -> Result<Report, Failure> {
    let force = arguments.force.clone();
    let arguments = &arguments.wanted;
    let wanted = wanted(arguments);
    let reply = order(&arguments.zone, &PlanOrder::Apply { wanted, force })?;
    Ok(report(&reply, &arguments.zone).negative(!reply.adopted))
}

pub(super) fn pause(arguments: &PauseArguments) -> Result<Report, Failure> {
    let why = arguments.reason.clone();
    let reply = order(&arguments.zone, &PlanOrder::Pause { why })?;
    Ok(report(&reply, &arguments.zone))
}

pub(super) fn resume(arguments: &ResumeArguments) -> Result<Report, Failure> {
    let reply = order(&arguments.zone, &PlanOrder::Resume)?;
    Ok(report(&reply, &arguments.zone))
}

pub(super) fn done(arguments: &DoneArguments) -> Result<Report, Failure> {
    let reply = order(&arguments.zone, &PlanOrder::Done)?;
    Ok(report(&reply, &arguments.zone))
}

pub(super) fn abort(arguments: &AbortArguments) -> Result<Report, Failure> {
    let abort = PlanOrder::Abort {
        why: arguments.reason.clone(),
        forget_journal: arguments.forget_journal,
        as_it_is: arguments.as_it_is,
    };
    let reply = order(&arguments.zone, &abort)?;
    Ok(report(&reply, &arguments.zone))
}
