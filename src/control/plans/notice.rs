//! The parent is told that CDS or CSYNC has changed (RFC 9859), where it says by DSYNC whom to tell. It allows nothing and
//! promises nothing: the parent looks sooner, and a plan waits for what the parent's servers show all the same.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::super::{server::Server, whereabouts::Whereabouts, zones::causes};
use crate::{
    client::{Asker, Notice},
    clock::Clock as _,
    multisigner::observe::At,
    wire::{Name, RrType},
};

/// The pauses before a notice that nobody took is sent again; each time its own retransmissions come on top.
const AGAIN: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(600)];
/// The most addresses of one host that are tried until one takes the notice.
const MOST_ADDRESSES: usize = 4;

/// Tells the parent in the background; what came of it is in the log and in `status`.
pub(super) fn tell_parent(server: &Arc<Server>, zone: &Name, rtype: RrType) {
    let (server, zone) = (Arc::clone(server), zone.clone());
    tokio::spawn(async move {
        let step = |server: &Server| Some(server.plans.active(&zone)?.done.len());
        let first = step(&server);
        let mut pauses = AGAIN.into_iter();
        loop {
            let (words, pause) = match tell(&server, &zone, rtype).await {
                Ok(words) => {
                    tracing::info!(%zone, "{words}");
                    (words, None)
                }
                Err(why) => {
                    let words = format!(
                        "the parent was not told that {rtype} has changed, and looks when it does: {why}"
                    );
                    tracing::warn!(%zone, "{words}");
                    (words, pauses.next())
                }
            };
            let at = server.clock.now();
            server
                .plans
                .change(&zone, |known| known.told = Some(format!("{words} ({at})")));
            let Some(pause) = pause else { return };
            tokio::time::sleep(pause).await;
            // The parent may have looked by itself, or there is no such plan any more.
            if first.is_none() || step(&server) != first {
                return;
            }
        }
    });
}

async fn tell(server: &Server, zone: &Name, rtype: RrType) -> Result<String, String> {
    let config = server.config.load_full();
    let (found, validated) = Whereabouts::new(&config)
        .of_notices(zone, rtype)
        .await
        .map_err(|why| format!("its DSYNC records cannot be read: {why}"))?;
    if found.is_empty() {
        return Ok(format!(
            "the parent has no DSYNC record for notices about {rtype}; it looks when it does"
        ));
    }
    let notice = Notice {
        zone: zone.clone(),
        rtype,
        soa: None,
    };
    let mut hosts: BTreeMap<String, Vec<At>> = BTreeMap::new();
    let (mut told, mut failed) = (Vec::new(), Vec::new());
    for at in found {
        match at {
            Ok(at) => {
                let host = at.name.as_ref().map_or_else(|| at.to_string(), Name::to_string);
                hosts.entry(host).or_default().push(at);
            }
            Err((name, why)) => failed.push(match name {
                Some(name) => format!("{name}: {why}"),
                None => why,
            }),
        }
    }
    for (host, addresses) in hosts {
        match tell_host(&notice, &addresses).await {
            Ok(address) => told.push(format!("{host} at {}", address.address)),
            Err(why) => failed.push(format!("{host}: {why}")),
        }
    }
    if told.is_empty() {
        return Err(failed.join("; "));
    }
    let others = if failed.is_empty() {
        String::new()
    } else {
        format!("; not {}", failed.join("; "))
    };
    // A wrong target harms nobody, and explains why a parent does not look.
    let by = if validated {
        "by a DSYNC record that was validated"
    } else {
        "by a DSYNC record that no resolver on this host has validated"
    };
    Ok(format!(
        "the parent was told that {rtype} has changed, {by}: {}{others}",
        told.join(", ")
    ))
}

/// Any one address of a host does.
async fn tell_host<'a>(notice: &Notice, addresses: &'a [At]) -> Result<&'a At, String> {
    let asker = Asker::default();
    let mut last = "it has no address".to_owned();
    for at in addresses.iter().take(MOST_ADDRESSES) {
        match asker.notify(at.address, notice, None).await {
            Ok(()) => return Ok(at),
            Err(error) => last = causes(&error),
        }
    }
    Err(last)
}
