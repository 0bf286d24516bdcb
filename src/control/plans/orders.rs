//! What people order: a plan, to carry it out, to pause, to go on, to give up.

use std::sync::Arc;

use super::{
    super::{
        protocol::{PlanOrder, PlanReply, PlanWanted, Refusal},
        server::{Server, unknown},
    },
    append, causes, journal, look, report, wanted,
};
use crate::{
    clock::Clock,
    config::ZoneSettings,
    multisigner::{
        execute::{Entry, Event, Run, Stage, journal::last_run},
        plan::{self, Plan, Situation},
    },
    wire::Name,
};

/// Does what a person orders for a zone.
///
/// # Errors
/// Why not, and what to do.
pub async fn order(server: &Arc<Server>, zone: &Name, order: PlanOrder) -> Result<PlanReply, Refusal> {
    let held = server.held.load();
    let settings = held.get(zone).ok_or_else(|| unknown(zone))?.settings.clone();
    let turn = server.plans.turn(zone);
    let _turn = turn.lock().await;
    match order {
        PlanOrder::Plan { wanted } => {
            let (plan, remarks) = make(server, &settings, &wanted).await?;
            report::planned(&plan, remarks)
        }
        PlanOrder::Apply { wanted, force } => apply(server, &settings, &wanted, force).await,
        PlanOrder::Pause { why } => tell(server, zone, Event::Paused { why }).await,
        PlanOrder::Resume => tell(server, zone, Event::Resumed).await,
        PlanOrder::Done => {
            let step = active(server, zone)?.done.len();
            tell(server, zone, Event::Reported { step }).await
        }
        PlanOrder::Abort {
            why,
            forget_journal: false,
        } => abort(server, &settings, why).await,
        PlanOrder::Abort {
            why,
            forget_journal: true,
        } => forget(server, zone, &why).await,
    }
}

pub(super) fn refusal(error: String, advice: &str) -> Refusal {
    Refusal {
        error,
        advice: (!advice.is_empty()).then(|| advice.to_owned()),
    }
}

/// The run that goes on, when the journal can be used.
fn active(server: &Server, zone: &Name) -> Result<Run, Refusal> {
    usable(server, zone)?;
    server.plans.active(zone).ok_or_else(|| {
        let advice = format!("countersign plan NAME {zone} shows what one would do");
        refusal(format!("no plan is carried out for {zone}"), &advice)
    })
}

fn usable(server: &Server, zone: &Name) -> Result<(), Refusal> {
    match super::lock(&server.plans.known)
        .get(zone)
        .and_then(|known| known.fault.clone())
    {
        Some(fault) => Err(refusal(fault, "")),
        None => Ok(()),
    }
}

/// The plan, and what else is to be said of what was seen.
async fn make(
    server: &Arc<Server>,
    zone: &ZoneSettings,
    wanted: &PlanWanted,
) -> Result<(Plan, Vec<String>), Refusal> {
    if !wanted::NAMES.contains(&wanted.kind.as_str()) {
        let what = format!("there is no plan \"{}\"", wanted.kind.escape_debug());
        return Err(refusal(
            what,
            &format!("name one of {}", wanted::NAMES.join(", ")),
        ));
    }
    let of_others = ["join", "leave", "follow"].contains(&wanted.kind.as_str());
    if zone.providers.is_empty() && of_others {
        return Err(refusal(
            format!("{} has no other provider in the configuration", zone.origin),
            "add a [[provider]], name it in the zone's `providers`, and reload",
        ));
    }
    let previous = past_of(server, &zone.origin);
    let seen = look::situation(server, zone, previous.as_ref()).await;
    let (mut situation, register, seen) =
        seen.map_err(|why| refusal(why, "countersign peer status shows what is seen"))?;
    let kind = wanted::kind(wanted, &mut situation, &register)?;
    let plan = plan::build(&kind, &situation).map_err(|error| refusal(error.to_string(), ""))?;
    let remarks = seen.validity_remarks(&plan, look::ttls(server, &zone.origin));
    Ok((plan, remarks))
}

/// What was served as the last run measured it: caches may still hold some of it.
pub(super) fn past_of(server: &Server, zone: &Name) -> Option<Situation> {
    let known = super::lock(&server.plans.known);
    let run = known.get(zone)?.run.as_ref()?;
    Some(run.situation_now(server.clock.now()))
}

async fn apply(
    server: &Arc<Server>,
    zone: &ZoneSettings,
    wanted: &PlanWanted,
    force: Option<String>,
) -> Result<PlanReply, Refusal> {
    usable(server, &zone.origin)?;
    if server.plans.active(&zone.origin).is_some() {
        let advice = format!(
            "countersign status {0} shows it; countersign abort {0} REASON gives it up",
            zone.origin
        );
        return Err(refusal(
            format!("another plan is carried out for {}", zone.origin),
            &advice,
        ));
    }
    if let Some(fault) = server.clock.judge().fault {
        return Err(refusal(
            format!("no plan is begun while the clock is wrong: {fault}"),
            "set the clock, or if it is right: countersign accept clock",
        ));
    }
    let (plan, remarks) = make(server, zone, wanted).await?;
    let harm = plan.harm().map_err(|error| refusal(error.to_string(), ""))?;
    if let (Some(harm), None) = (&harm, &force) {
        return Err(refusal(
            format!("the plan is not safe, and is not begun:\n{harm}"),
            "plan when what it waits for is there; --force REASON carries it out all the same, and the reason is journaled",
        ));
    }
    let amiss = report::amiss_already(&plan);
    if let (Some(why), None) = (&amiss, &force) {
        return Err(refusal(
            format!("the plan is not begun: {why}"),
            "--force REASON carries it out all the same, and the reason is journaled",
        ));
    }
    let force = force.filter(|_| harm.is_some() || amiss.is_some());
    let mut reply = report::planned(&plan, remarks)?;
    adopt(server, &zone.origin, plan, force).await?;
    reply.adopted = true;
    reply.text.push_str(&format!(
        "\nIt is carried out from now on. To watch it: countersign status {}\n",
        zone.origin
    ));
    Ok(reply)
}

/// Begins a plan.
///
/// # Errors
/// When its journal cannot be written.
pub(super) async fn adopt(
    server: &Arc<Server>,
    zone: &Name,
    plan: Plan,
    force: Option<String>,
) -> Result<(), Refusal> {
    let at = server.clock.now();
    let run = Run::adopt(plan.clone(), force.clone(), at).map_err(|fault| refusal(fault.to_string(), ""))?;
    let event = Event::Adopted {
        plan: Box::new(plan),
        force,
    };
    let entry = Entry { at, event };
    append(server, zone, entry)
        .await
        .map_err(|why| refusal(why, ""))?;
    tracing::info!(%zone, "a plan is carried out from now on: {} steps", run.plan.steps.len());
    let due = server.clock.steady();
    server.plans.change(zone, |known| {
        known.run = Some(run);
        known.rests = None;
        known.told = None;
        known.due = due;
    });
    Ok(())
}

/// Journals a person's word on the run.
async fn tell(server: &Arc<Server>, zone: &Name, event: Event) -> Result<PlanReply, Refusal> {
    let mut run = active(server, zone)?;
    let said = journal(server, zone, &mut run, event).await;
    said.map_err(|why| refusal(why, &format!("countersign status {zone} shows the plan")))?;
    put(server, zone, run);
    Ok(report::told(server, zone))
}

pub(super) fn put(server: &Server, zone: &Name, run: Run) {
    let due = server.clock.steady();
    server.plans.change(zone, |known| {
        known.run = Some(run);
        known.rests = None;
        known.due = due;
    });
}

async fn abort(server: &Arc<Server>, settings: &ZoneSettings, why: String) -> Result<PlanReply, Refusal> {
    let zone = &settings.origin;
    let mut run = active(server, zone)?;
    // What the parent was asked for and has not done need not be taken back there.
    let seen = look::view(server, settings, &run).await.ok();
    let not_done = seen.and_then(|view| run.as_the_parent_left_it(&view));
    let back = report::way_back(not_done.as_ref().unwrap_or(&run), server.clock.now());
    let said = journal(server, zone, &mut run, Event::Aborted { why }).await;
    said.map_err(|why| refusal(why, ""))?;
    put(server, zone, run);
    let mut reply = report::told(server, zone);
    match back {
        Ok(plan) => {
            let shown = report::planned(&plan, Vec::new())?;
            if shown.safe {
                adopt(server, zone, plan, None).await?;
                reply = report::told(server, zone);
                reply.adopted = true;
                reply.text = format!(
                    "The plan is given up, and what it did is taken back:\n\n{}",
                    shown.text
                );
            } else {
                reply
                    .text
                    .push_str("\nThe way back is not safe now, and is not begun.\n");
                reply.text.push_str(&shown.text);
            }
        }
        Err(why) => reply.text.push_str(&format!("\nNothing is taken back: {why}\n")),
    }
    Ok(reply)
}

/// Gives up a journal that cannot be used.
async fn forget(server: &Arc<Server>, zone: &Name, why: &str) -> Result<PlanReply, Refusal> {
    if usable(server, zone).is_ok() {
        return Err(refusal(
            format!("the journal of the plans of {zone} is whole, and is not given up"),
            "leave --forget-journal out",
        ));
    }
    let (store, of) = (Arc::clone(&server.store), zone.clone());
    let forgotten = tokio::task::spawn_blocking(move || {
        store.forget_runs(of.as_ref())?;
        Ok(last_run(&*store, of.as_ref()))
    })
    .await;
    let forgotten: Result<_, crate::store::StoreError> =
        forgotten.map_err(|error| refusal(error.to_string(), ""))?;
    let run = forgotten
        .map_err(|error| refusal(causes(&error), ""))?
        .map_err(|error| refusal(causes(&error), ""))?;
    tracing::warn!(%zone, "a person gave up the spoiled journal of plans: {why}");
    server.plans.change(zone, |known| {
        known.fault = None;
        known.run = run.filter(|run| !matches!(run.stage, Stage::Over(_)));
        known.rests = None;
    });
    let mut reply = report::told(server, zone);
    // What others served before is known from the journal alone.
    reply.text.push_str(
        "The journal is given up, and with it what caches may still hold of what its plans changed: let the largest TTL \
         of the zone and of its DS and NS at the parent pass, and the margin, before the next plan.\n",
    );
    Ok(reply)
}
