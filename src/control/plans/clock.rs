//! A person says that the clock is right. Runs reckon with times that were read off it before, so each is told, in its
//! journal: no wait may look passed because somebody set a clock.

use std::sync::Arc;

use super::{
    super::{
        protocol::{ClockAccepted, Refusal},
        server::Server,
    },
    journal, lock,
    orders::{put, refusal},
};
use crate::{
    clock::{Clock, UnixTime},
    multisigner::execute::Event,
    wire::Name,
};

/// Takes wall time as it stands for right.
///
/// # Errors
/// When it cannot be right, or not be written down.
pub async fn accept_clock(server: &Arc<Server>) -> Result<ClockAccepted, Refusal> {
    let zones: Vec<Name> = lock(&server.plans.known).keys().cloned().collect();
    // While they are held no run does anything. Others hold one at a time, so this waits for no circle.
    let mut turns = Vec::new();
    for zone in &zones {
        turns.push(server.plans.turn(zone).lock_owned().await);
    }
    let (from, to) = (server.clock.now(), server.clock.wall());
    // Told before where waits begin later with it, and after where they would end sooner: whatever happens in between,
    // they are too long and not too short.
    if to > from {
        tell(server, &zones, from, to).await?;
    }
    let accepting = Arc::clone(server);
    let accepted = tokio::task::spawn_blocking(move || accepting.accept_clock()).await;
    let accepted = accepted.map_err(|error| refusal(error.to_string(), ""))??;
    if to < from {
        tell(server, &zones, from, to).await?;
    }
    Ok(accepted)
}

async fn tell(server: &Arc<Server>, zones: &[Name], from: UnixTime, to: UnixTime) -> Result<(), Refusal> {
    for zone in zones {
        let Some(mut run) = server.plans.active(zone) else {
            continue;
        };
        let told = journal(server, zone, &mut run, Event::ClockSet { from, to }).await;
        told.map_err(|why| {
            refusal(
                format!("{zone}: {why}"),
                "countersign accept clock again, when it can be",
            )
        })?;
        put(server, zone, run);
    }
    Ok(())
}
