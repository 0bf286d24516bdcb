//! Another time is right than the one that runs reckon with: a person says so, or nobody knows what of the time has passed
//! in which no process watched. Each run is told in its journal, for no wait may look passed because somebody set a clock.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    super::{
        keys,
        protocol::{ClockAccepted, Refusal},
        server::Server,
    },
    lock,
    orders::refusal,
    read,
};
use crate::{
    clock::{
        UnixTime,
        guard::{GuardedClock, Setting},
    },
    multisigner::execute::Event,
    store::clock::Told,
    wire::Name,
};

/// Takes wall time as it stands for right.
///
/// # Errors
/// When it cannot be right, or not be written down. Then nothing is changed.
pub async fn accept_clock(server: &Arc<Server>) -> Result<ClockAccepted, Refusal> {
    let set = set(server, |clock| match clock.setting() {
        Ok(setting) => Ok(Some(setting)),
        Err(fault) => Err(refusal(
            format!("{fault}; that cannot be right"),
            "set the machine's clock first",
        )),
    });
    match set.await? {
        Some((setting, told)) => Ok(ClockAccepted::of(&setting, &told)),
        None => Err(refusal("nothing was accepted".to_owned(), "say it again")),
    }
}

/// Tells all runs of time that nobody knows to have passed, where there is any. Until then nothing is gone on with.
///
/// # Errors
/// When it cannot be written down.
pub(super) async fn settle(server: &Arc<Server>) -> Result<(), Refusal> {
    if server.clock.unsettled().is_none() {
        return Ok(());
    }
    let settled = set(server, |clock| Ok(clock.unsettled())).await;
    let settled = settled.map_err(|why| Refusal {
        error: format!(
            "no plan goes on, for what time it is cannot be written down: {}",
            why.error
        ),
        ..why
    });
    *lock(&server.plans.unsettled) = settled.as_ref().err().map(|why| why.error.clone());
    settled.map(drop)
}

async fn set(
    server: &Arc<Server>,
    setting: impl FnOnce(&GuardedClock) -> Result<Option<Setting>, Refusal>,
) -> Result<Option<(Setting, Told)>, Refusal> {
    let config = server.config.load_full();
    let mut zones: BTreeSet<Name> = config.zones.iter().map(|zone| zone.origin.clone()).collect();
    zones.extend(lock(&server.plans.known).keys().cloned());
    // While they are held no run does anything. Others hold one at a time, so this waits for no circle.
    let mut turns = Vec::new();
    for zone in &zones {
        turns.push(server.plans.turn(zone).lock_owned().await);
    }
    let Some(setting) = setting(&server.clock)? else {
        return Ok(None);
    };
    let setting_it = Arc::clone(server);
    let told = tokio::task::spawn_blocking(move || {
        // Held here: whoever waits for this may go away.
        let _turns = turns;
        let told = setting_it.set_clock(&setting);
        let all = || lock(&setting_it.plans.known).keys().cloned().collect();
        let changed: Vec<Name> = match &told {
            Ok(told) => told.zones.iter().map(|(zone, _)| zone.clone()).collect(),
            // It may stand there all the same.
            Err(_) => all(),
        };
        for zone in changed {
            if lock(&setting_it.plans.known).contains_key(&zone) {
                read(&setting_it, zone);
            }
        }
        told
    });
    let told = told.await.map_err(|error| refusal(error.to_string(), ""))?;
    let told = told.map_err(|error| keys::refusal(&error))?;
    for (zone, event) in &told.zones {
        if let Event::ClockSet { from, to, unwatched } = event {
            tracing::warn!(%zone, "{}", in_words(*from, *to, *unwatched));
        }
    }
    for (zone, why) in &told.spoiled {
        tracing::error!(%zone, "the plan is not told that the clock was set: {why}");
    }
    Ok(Some((setting, told)))
}

/// What a run was told.
pub(super) fn in_words(from: UnixTime, to: UnixTime, unwatched: bool) -> String {
    if unwatched {
        format!(
            "the machine was off from {from} to {to}, or its clock was set: nobody knows what of that time has passed, so the plan counts none of it, and waits as much longer"
        )
    } else {
        format!("the plan reckons with the clock that was set from {from} to {to}")
    }
}
