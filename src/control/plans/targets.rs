//! Where everybody is asked for a plan: this server first, the other providers in an order that is given, and the parent.
//!
//! A run knows its providers by their places in its plan, and the configuration may be another one by now: who is asked
//! follows the names in the plan.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use super::{
    super::{
        server::Server,
        whereabouts::{Whereabouts, reachable},
    },
    lock,
    named::{self, Named},
};
use crate::{
    clock::Clock,
    config::{Config, ProviderSettings, ServerAt, ZoneSettings},
    multisigner::{execute::Run, observe::At, survey::Targets},
    provider::Provider,
    wire::Name,
};

/// How long it is taken for true where servers are.
const WHEREABOUTS_HOLD: Duration = Duration::from_secs(300);

/// The other providers of a run, in its order.
///
/// # Errors
/// In words, when one of them is not the zone's any more: nobody could say what it serves.
pub(super) fn providers_of(run: &Run, zone: &ZoneSettings) -> Result<Vec<String>, String> {
    match gone(run, zone) {
        None => Ok(others(run).map(str::to_owned).collect()),
        Some(gone) => Err(format!(
            "{gone}: name it in the zone's `providers` again until the plan is over, and reload; or give the plan up \
             (countersign abort {})",
            zone.origin
        )),
    }
}

fn others(run: &Run) -> impl Iterator<Item = &str> {
    let members = run.plan.situation.members.iter();
    members.skip(1).map(|member| &*member.name)
}

/// That a provider of a run is not the zone's any more, in words.
pub(super) fn gone(run: &Run, zone: &ZoneSettings) -> Option<String> {
    let is_gone = |name: &&str| !zone.providers.iter().any(|named| named == name);
    let gone = others(run).find(is_gone)?;
    Some(format!(
        "provider \"{gone}\" of this plan is not configured any more, so nobody sees what it serves"
    ))
}

/// What is wrong where the zone has a provider that a run does not know, in words.
pub(super) fn newcomer(run: &Run, zone: &ZoneSettings) -> Option<String> {
    let mut named = zone.providers.iter();
    let new = named.find(|name| others(run).all(|known| known != *name))?;
    Some(format!(
        "provider \"{new}\" was added to the zone, and this plan was made without it: take it out of the zone's \
         `providers` until the plan is over, and reload; or give the plan up (countersign abort {0}) and plan anew",
        zone.origin
    ))
}

/// What the whereabouts were found by: where any of it changes, they are looked for again.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Wanted {
    ours: Vec<SocketAddr>,
    our_names: Vec<Name>,
    providers: Vec<ProviderSettings>,
    parent: Vec<ServerAt>,
    resolvers: Vec<SocketAddr>,
    public: Vec<IpAddr>,
    named: BTreeSet<Named>,
}

impl Wanted {
    fn new(
        server: &Server,
        config: &Config,
        zone: &ZoneSettings,
        providers: &[String],
        named: &BTreeSet<Named>,
    ) -> Result<Self, String> {
        let settings = |name: &String| {
            let settings = config.providers.iter().find(|known| known.name == *name);
            settings
                .cloned()
                .ok_or_else(|| format!("there is no [[provider]] named \"{name}\""))
        };
        Ok(Self {
            ours: server.addresses().to_vec(),
            our_names: zone.our_servers.clone(),
            providers: providers.iter().map(settings).collect::<Result<_, _>>()?,
            parent: zone.parent.clone(),
            resolvers: config.resolvers.clone(),
            public: config.public_addresses.clone(),
            named: named.clone(),
        })
    }
}

/// Where everybody was found.
#[derive(Clone, Debug)]
pub(super) struct Everybody {
    wanted: Wanted,
    /// Until when, by steady time, it is taken for true.
    until: Duration,
    members: Vec<Targets>,
    parent: Targets,
}

/// Where everybody is asked: this server first, then these providers in this order; and the parent. `named`: whom NS
/// RRsets name.
pub(super) async fn everybody(
    server: &Arc<Server>,
    zone: &ZoneSettings,
    providers: &[String],
    named: &BTreeSet<Named>,
) -> Result<(Vec<Targets>, Targets), String> {
    let now = server.clock.steady();
    let config = server.config.load_full();
    let wanted = Wanted::new(server, &config, zone, providers, named)?;
    if let Some(found) = lock(&server.plans.targets).get(&zone.origin)
        && found.until > now
        && found.wanted == wanted
    {
        return Ok((found.members.clone(), found.parent.clone()));
    }
    let whereabouts = Whereabouts::new(&config);
    let ours = wanted.ours.iter().map(|address| {
        Ok(At {
            name: None,
            address: reachable(*address),
        })
    });
    let mut members = vec![Targets {
        names: wanted.our_names.clone(),
        servers: ours.collect(),
    }];
    for settings in &wanted.providers {
        members.push(of_provider(server, zone, &whereabouts, settings).await?);
    }
    let public = &wanted.public;
    named::add(server, &zone.origin, &whereabouts, named, public, &mut members).await;
    let parent = whereabouts.of_parent(zone).await;
    let parent = Targets {
        names: Vec::new(),
        servers: parent
            .into_iter()
            .map(|found| found.map_err(|(_, why)| why))
            .collect(),
    };
    let all_found = {
        let every = members
            .iter()
            .chain([&parent])
            .flat_map(|targets| &targets.servers);
        every.clone().all(Result::is_ok)
    };
    // What was not found is looked for again.
    if all_found {
        let found = Everybody {
            wanted,
            until: now + WHEREABOUTS_HOLD,
            members: members.clone(),
            parent: parent.clone(),
        };
        lock(&server.plans.targets).insert(zone.origin.clone(), found);
    }
    Ok((members, parent))
}

async fn of_provider(
    server: &Server,
    zone: &ZoneSettings,
    whereabouts: &Whereabouts,
    settings: &ProviderSettings,
) -> Result<Targets, String> {
    let driver = server.peers.driver(settings).map_err(|refusal| refusal.error)?;
    let found = whereabouts.of_provider(&zone.origin, settings, &*driver).await;
    let mut names = settings.server_names.clone();
    if names.is_empty() {
        names.extend(found.iter().filter_map(|found| found.as_ref().ok()?.name.clone()));
    }
    if names.is_empty() {
        // Where addresses are configured, its API may still tell the names.
        let said = Provider::servers(&*driver, &zone.origin)
            .await
            .unwrap_or_default();
        names.extend(said.into_iter().filter_map(|server| server.name));
    }
    let mut servers: Vec<Result<At, String>> = Vec::new();
    for found in found {
        let found = found.map_err(|(name, why)| match name {
            Some(name) => format!("{name}: {why}"),
            None => why,
        });
        if !servers.contains(&found) {
            servers.push(found);
        }
    }
    Ok(Targets { names, servers })
}

#[cfg(test)]
mod tests;
