//! A plan is given up, and what it did is taken back by a plan of its own; or a journal that cannot be used is.

use std::sync::Arc;

use super::{
    super::{
        protocol::{PlanReply, Refusal},
        server::Server,
    },
    causes, journal, look,
    orders::{active, adopt, judged, put, refusal, usable},
    report,
    targets::gone,
    time,
};
use crate::{
    config::ZoneSettings,
    multisigner::{
        execute::{Event, Run, Stage, journal::last_run},
        plan::{NoWayBack, Plan},
    },
    wire::Name,
};

/// What can be done of a plan that is given up.
enum Back {
    /// This, which undoes what it did.
    Way(Box<(PlanReply, Plan)>),
    /// Nothing: something is gone for good, and this says what to do instead.
    Passed(String),
}

/// Gives up a plan: at once, `as_it_is`, or with the plan that takes back what it did.
///
/// # Errors
/// Why it goes on.
pub(super) async fn abort(
    server: &Arc<Server>,
    settings: &ZoneSettings,
    why: String,
    as_it_is: bool,
) -> Result<PlanReply, Refusal> {
    let zone = &settings.origin;
    let mut run = active(server, zone)?;
    if as_it_is {
        give_up(server, zone, &mut run, why, true).await?;
        let mut reply = report::told(server, zone);
        reply.text.push_str(&report::stays(&run));
        reply.text.extend(report::not_followed(&run));
        return Ok(reply);
    }
    if run.is_a_way_back_not_taken() {
        give_up(server, zone, &mut run, why, false).await?;
        let mut reply = report::told(server, zone);
        reply.text.push_str(&format!(
            "\nThe way back had not done anything, and is given up too. What is served stays as it is; what can be \
             planned from here: countersign plan NAME {zone}\n"
        ));
        return Ok(reply);
    }
    // A way back is as blind as the plan.
    let gone = gone(&run, settings);
    let seen = look::view(server, settings, &mut run).await.ok();
    let (from, now) = (run.clone(), time(server).0);
    let back = judged(move || {
        let plan = match from.way_back(seen.as_ref(), now) {
            Err(why @ NoWayBack::Passed { .. }) => return Ok(Back::Passed(why.to_string())),
            found => found.map_err(|why| refusal(why.to_string(), ""))?,
        };
        let shown = report::planned(&plan, Vec::new())?;
        Ok(Back::Way(Box::new((shown, plan))))
    });
    let back = match gone {
        None => back.await,
        Some(why) => Err(refusal(why, "")),
    };
    let back = match back {
        Ok(Back::Passed(why)) => {
            return Err(refusal(
                format!("the plan is not given up: {why}"),
                &format!(
                    "countersign pause {zone} holds it where it is; --as-it-is gives it up all the same, and nobody takes what it was to take away"
                ),
            ));
        }
        Ok(Back::Way(way)) => Ok(way),
        Err(why) => Err(why),
    };
    // Whatever comes of that, it is given up.
    give_up(server, zone, &mut run, why, false).await?;
    let mut reply = report::told(server, zone);
    match back {
        Ok(way) => {
            let (shown, plan) = *way;
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
        Err(refusal) => {
            let why = refusal.error;
            reply.text.push_str(&format!("\nNothing is taken back: {why}\n"));
        }
    }
    reply.text.extend(report::not_followed(&run));
    Ok(reply)
}

async fn give_up(
    server: &Arc<Server>,
    zone: &Name,
    run: &mut Run,
    why: String,
    as_it_is: bool,
) -> Result<(), Refusal> {
    let said = journal(server, zone, run, Event::Aborted { why, as_it_is }).await;
    said.map_err(|why| refusal(why, ""))?;
    put(server, zone, run.clone());
    Ok(())
}

/// Gives up a journal that cannot be used.
pub(super) async fn forget(server: &Arc<Server>, zone: &Name, why: &str) -> Result<PlanReply, Refusal> {
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
