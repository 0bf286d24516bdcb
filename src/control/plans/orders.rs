//! What people order: a plan, to carry it out, to pause, to go on. How one is given up is in `abort`.

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use super::{
    super::{
        protocol::{PlanOrder, PlanReply, PlanWanted, Refusal},
        reckon::reckon,
        server::{Server, unknown},
    },
    abort::{abort, forget},
    act, append, clock, follow, journal, look, report, time, wanted,
};
use crate::{
    clock::Clock,
    config::ZoneSettings,
    multisigner::{
        execute::{Entry, Event, Run},
        plan::{self, Plan, Situation},
    },
    wire::Name,
};

/// Does what a person orders for a zone. Who leaves before a plan is begun has begun none; everything else goes on to its
/// end.
///
/// # Errors
/// Why not, and what to do.
pub async fn order(server: &Arc<Server>, zone: &Name, order: PlanOrder) -> Result<PlanReply, Refusal> {
    let held = server.held.load();
    let settings = held.get(zone).ok_or_else(|| unknown(zone))?.settings.clone();
    if !matches!(order, PlanOrder::Plan { .. }) {
        clock::settle(server).await?;
    }
    let turn = server.plans.turn(zone).lock_owned().await;
    let (server, zone) = (Arc::clone(server), zone.clone());
    let event = match order {
        PlanOrder::Plan { wanted } => {
            let Made { plan, remarks, .. } = make(&server, &settings, wanted, Unseen::IsWaitedFor).await?;
            return judged(move || report::planned(&plan, remarks)).await;
        }
        PlanOrder::Apply { wanted, force } => {
            let (plan, force, mut reply) = weigh(&server, &settings, wanted, force).await?;
            return to_the_end(turn, async move {
                adopt(&server, &zone, plan, force).await?;
                reply.adopted = true;
                reply.text.push_str(&format!(
                    "\nIt is carried out from now on. To watch it: countersign status {zone}\n"
                ));
                Ok(reply)
            })
            .await;
        }
        PlanOrder::Abort {
            why,
            forget_journal,
            as_it_is,
        } => {
            return to_the_end(turn, async move {
                if forget_journal {
                    forget(&server, &zone, &why).await
                } else {
                    abort(&server, &settings, why, as_it_is).await
                }
            })
            .await;
        }
        PlanOrder::Pause { why } => Event::Paused { why },
        PlanOrder::Resume => Event::Resumed,
        PlanOrder::Done => {
            return to_the_end(turn, async move { done(&server, &settings).await }).await;
        }
    };
    to_the_end(turn, async move { tell(&server, &zone, event).await }).await
}

async fn to_the_end(
    turn: OwnedMutexGuard<()>,
    work: impl Future<Output = Result<PlanReply, Refusal>> + Send + 'static,
) -> Result<PlanReply, Refusal> {
    let done = super::to_the_end(turn, work).await;
    done.unwrap_or_else(|why| Err(refusal(why, "")))
}

/// What is reckoned for a person.
pub(super) async fn judged<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    reckon(work).await.unwrap_or_else(|why| Err(refusal(why, "")))
}

pub(super) fn refusal(error: String, advice: &str) -> Refusal {
    Refusal {
        error,
        advice: (!advice.is_empty()).then(|| advice.to_owned()),
    }
}

/// The run that goes on, when the journal can be used.
pub(super) fn active(server: &Server, zone: &Name) -> Result<Run, Refusal> {
    usable(server, zone)?;
    server.plans.active(zone).ok_or_else(|| {
        let advice = format!("countersign plan NAME {zone} shows what one would do");
        refusal(format!("no plan is carried out for {zone}"), &advice)
    })
}

pub(super) fn usable(server: &Server, zone: &Name) -> Result<(), Refusal> {
    match super::lock(&server.plans.known)
        .get(zone)
        .and_then(|known| known.fault.clone())
    {
        Some(fault) => Err(refusal(fault, "")),
        None => Ok(()),
    }
}

/// What is made of it that nobody saw what was served before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unseen {
    /// The plan waits until no cache can hold it.
    IsWaitedFor,
    /// A person takes it on themselves.
    IsLeftAside,
}

/// A plan as it can be made now.
struct Made {
    plan: Plan,
    /// Whether something is left aside that would be waited for.
    hastens: bool,
    /// What else is to be said of what was seen.
    remarks: Vec<String>,
    /// How many events the register had.
    events: usize,
}

async fn make(
    server: &Arc<Server>,
    zone: &ZoneSettings,
    wanted: PlanWanted,
    unseen: Unseen,
) -> Result<Made, Refusal> {
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
    let seen = look::situation(server, zone, previous).await;
    let mut from = seen.map_err(|why| refusal(why, "countersign peer status shows what is seen"))?;
    let ttls = look::ttls(server, &zone.origin);
    let gone = follow::gone_since(server, &from.situation, &from.register);
    let exchange_keys = zone.exchange_keys;
    judged(move || {
        let hastens = unseen == Unseen::IsLeftAside && !from.situation.first_seen.is_empty();
        if hastens {
            from.situation.first_seen.clear();
        }
        let kind = wanted::kind(&wanted, &mut from.situation, &from.register, &gone)?;
        let plan = plan::build(&kind, &from.situation).and_then(|plan| {
            plan.has_names()?;
            Ok(plan)
        });
        let plan = plan.map_err(|error| refusal(error.to_string(), ""))?;
        let mut remarks = from.seen.validity_remarks(&plan, ttls);
        remarks.extend(report::by_exchanges(&plan, exchange_keys));
        let events = from.events;
        Ok(Made {
            plan,
            hastens,
            remarks,
            events,
        })
    })
    .await
}

/// What was served as the last run measured it: caches may still hold some of it.
pub(super) fn past_of(server: &Server, zone: &Name) -> Option<Situation> {
    let known = super::lock(&server.plans.known);
    let run = known.get(zone)?.run.as_ref()?;
    Some(run.situation_now(time(server).0))
}

/// A plan that may be begun, whether by force, and what is to be said of it.
async fn weigh(
    server: &Arc<Server>,
    zone: &ZoneSettings,
    wanted: PlanWanted,
    force: Option<String>,
) -> Result<(Plan, Option<String>, PlanReply), Refusal> {
    usable(server, &zone.origin)?;
    if server.plans.active(&zone.origin).is_some() {
        let advice = how_to_end_it(&zone.origin, &wanted.kind);
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
    let unseen = match force {
        Some(_) => Unseen::IsLeftAside,
        None => Unseen::IsWaitedFor,
    };
    let Made {
        plan,
        hastens,
        remarks,
        events,
    } = make(server, zone, wanted, unseen).await?;
    let cds = zone.cds;
    let weighed = judged(move || {
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
        let asks = act::against_the_plan(cds, &plan);
        if let (Some(why), None) = (&asks, &force) {
            return Err(refusal(
                format!("the plan is not begun: {why}"),
                "set it to \"rollover\" or \"off\" and reload; --force REASON carries it out all the same, and the reason is journaled",
            ));
        }
        let needed = harm.is_some() || amiss.is_some() || asks.is_some() || hastens;
        let force = force.filter(|_| needed);
        let reply = report::planned(&plan, remarks)?;
        Ok((plan, force, reply))
    })
    .await?;
    let same = look::is_still_so(server, &zone.origin, events).await;
    if !same.map_err(|why| refusal(why, ""))? {
        return Err(refusal(
            "the plan is not begun: the zone's keys were changed while it was made".to_owned(),
            "say it again",
        ));
    }
    Ok(weighed)
}

/// How the plan that is in the way of another one is ended.
fn how_to_end_it(zone: &Name, wanted: &str) -> String {
    let ways = format!("countersign status {zone} shows it; countersign abort {zone} REASON gives it up");
    if wanted == "emergency" {
        return format!(
            "{ways} and takes back what it did, which may take days and is another plan in the way; where the key cannot \
             wait for that, countersign abort {zone} REASON --as-it-is leaves what it did as it is, and the emergency can \
             begin at once"
        );
    }
    ways
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
    let (at, _) = time(server);
    let (adopted, forced) = (plan.clone(), force.clone());
    let run = judged(move || Run::adopt(adopted, forced, at).map_err(|fault| refusal(fault.to_string(), "")))
        .await?;
    let run = super::lock(&server.plans.known)
        .get(zone)
        .map_or_else(|| run.clone(), |known| run.clone().after(known.run.as_ref()));
    let event = Event::Adopted {
        plan: Box::new(plan),
        force,
    };
    let entry = Entry { at, event };
    append(server, zone, vec![entry])
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

/// A person has done their part of a step; or says that what they were asked for before cannot come any more.
async fn done(server: &Arc<Server>, settings: &ZoneSettings) -> Result<PlanReply, Refusal> {
    let zone = &settings.origin;
    let mut run = active(server, zone)?;
    let step = run.done.len();
    if run.is_asked_whether_it_comes() {
        let view = look::view(server, settings, &mut run).await;
        let view = view.map_err(|why| refusal(why, "say it again when everybody can be asked"))?;
        if let Some(shown) = run.has_begun_to_come(&view) {
            return Err(refusal(
                format!("what was handed in has come, and comes everywhere: {shown}"),
                &format!(
                    "nothing is to be said: the plan goes on when every server shows it; countersign status {zone}"
                ),
            ));
        }
    }
    tell(server, zone, Event::Reported { step }).await
}

pub(super) fn put(server: &Server, zone: &Name, run: Run) {
    let due = server.clock.steady();
    server.plans.change(zone, |known| {
        known.run = Some(run);
        known.rests = None;
        known.due = due;
    });
}
