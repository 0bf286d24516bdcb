//! A plan is given up, and what it did is taken back by a plan of its own; or a journal that cannot be used is.

use std::sync::Arc;

use super::{
    super::{
        protocol::{PlanReply, Refusal},
        server::Server,
    },
    append, causes, look,
    orders::{active, judged, put, refusal, usable},
    report,
    targets::gone,
    tell, time,
};
use crate::{
    config::ZoneSettings,
    multisigner::{
        execute::{Entry, Event, Run, Stage, journal::last_run},
        plan::{NoWayBack, Plan},
    },
    wire::Name,
};

/// What can be done of a plan that is given up.
enum Back {
    /// This, which undoes what it did, and its run at its start.
    Way(Box<(PlanReply, Plan, Run)>),
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
        end(server, zone, &mut run, (why, true), None).await?;
        let mut reply = report::told(server, zone);
        reply.text.push_str(&report::stays(&run));
        reply.text.extend(report::not_followed(&run));
        return Ok(reply);
    }
    if run.is_a_way_back_not_taken() {
        end(server, zone, &mut run, (why, false), None).await?;
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
        let next = Run::adopt(plan.clone(), None, now).map_err(|fault| refusal(fault.to_string(), ""))?;
        Ok(Back::Way(Box::new((shown, plan, next))))
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
    let (shown, next) = match back {
        Ok(way) => {
            let (shown, plan, next) = *way;
            let next = shown.safe.then_some((plan, next));
            (Ok(shown), next)
        }
        Err(why) => (Err(why.error), None),
    };
    let goes_back = next.is_some();
    end(server, zone, &mut run, (why, false), next).await?;
    let mut reply = report::told(server, zone);
    match shown {
        Ok(shown) if goes_back => {
            reply.adopted = true;
            reply.text = format!(
                "The plan is given up, and what it did is taken back:\n\n{}",
                shown.text
            );
        }
        Ok(shown) => {
            reply
                .text
                .push_str("\nThe way back is not safe now, and is not begun.\n");
            reply.text.push_str(&shown.text);
        }
        Err(why) => reply.text.push_str(&format!("\nNothing is taken back: {why}\n")),
    }
    reply.text.extend(report::not_followed(&run));
    Ok(reply)
}

/// Journals that a run is given up, for a reason and as it is or not, and that its way back is begun, where there is one: both
/// or neither, for a process that dies in between would leave nothing that takes back what was done.
async fn end(
    server: &Arc<Server>,
    zone: &Name,
    run: &mut Run,
    (why, as_it_is): (String, bool),
    next: Option<(Plan, Run)>,
) -> Result<(), Refusal> {
    let at = time(server).0;
    let aborted = Event::Aborted { why, as_it_is };
    let failed = |why: String| refusal(why, "");
    run.may(&aborted).map_err(|fault| failed(fault.to_string()))?;
    let (plan, next) = next.unzip();
    let adopted = plan.map(|plan| Event::Adopted {
        plan: Box::new(plan),
        force: None,
    });
    let events = [aborted].into_iter().chain(adopted);
    let entries: Vec<Entry> = events.map(|event| Entry { at, event }).collect();
    append(server, zone, entries.clone()).await.map_err(failed)?;
    run.apply(&entries[0])
        .map_err(|fault| failed(fault.to_string()))?;
    tell(zone, run, &entries[0].event);
    if let Some(next) = &next {
        tracing::info!(%zone, "its way back is carried out from now on: {} steps", next.plan.steps.len());
    }
    put(
        server,
        zone,
        next.map_or_else(|| run.clone(), |next| next.after(Some(run))),
    );
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

#[cfg(test)]
mod tests {
    use super::{
        super::{
            super::tests::{Fixture, NOW, runtime},
            read_new,
        },
        *,
    };
    use crate::{
        disk::simulated::{Death, SimulatedDisk},
        multisigner::{
            execute::{journal::RunJournal as _, tests::roll},
            plan::Kind,
        },
        store::Store,
    };

    const ZONE: &str = "example.";

    fn name() -> Name {
        ZONE.parse().unwrap()
    }

    /// A plan that is carried out is given up, and the disk fails for good after so many operations. Whether it did, and what
    /// another process finds.
    fn given_up(after: u64, death: Death) -> (bool, Run) {
        let disk = SimulatedDisk::new(after);
        let store = Store::simulated(&disk.process()).unwrap();
        let mut plan = roll();
        plan.situation.at = NOW;
        let back = Plan {
            kind: Kind::Retreat {
                from: Box::new(plan.kind.clone()),
            },
            ..plan.clone()
        };
        let event = Event::Adopted {
            plan: Box::new(plan),
            force: None,
        };
        store.append_run(&name(), &[Entry { at: NOW, event }]).unwrap();
        let fixture = Fixture::at(NOW, &[ZONE], tempfile::tempdir().unwrap(), store);
        assert!(fixture.server.start().is_whole());
        let struck = runtime().block_on(async {
            let server = &fixture.server;
            read_new(server).await;
            let mut run = server.plans.active(&name()).unwrap();
            let next = Run::adopt(back.clone(), None, NOW).unwrap();
            disk.strike(after, death);
            let ended = end(
                server,
                &name(),
                &mut run,
                ("no".to_owned(), false),
                Some((back, next)),
            )
            .await;
            assert!(ended.is_ok() || disk.death().is_some());
            disk.death().is_some()
        });
        drop(fixture);
        let store = Store::simulated(&disk.restart(death)).unwrap();
        (struck, last_run(&store, name().as_ref()).unwrap().unwrap())
    }

    #[test]
    fn whoever_dies_while_a_plan_is_given_up_leaves_it_or_its_way_back() {
        for death in [Death::Killed, Death::PowerLoss] {
            let mut went_back = 0;
            for after in 0.. {
                let (struck, run) = given_up(after, death);
                assert_eq!(run.stage, Stage::Running, "{death:?} after {after}");
                let is_back = matches!(run.plan.kind, Kind::Retreat { .. });
                went_back += usize::from(is_back);
                if !struck {
                    assert!(is_back && after > 3, "{after}");
                    break;
                }
            }
            assert!(went_back > 0);
        }
    }
}
