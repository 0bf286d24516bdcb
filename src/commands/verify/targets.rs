//! Whom `verify` asks: the servers that are named, those of the configuration, or those that the zone's NS names.

use std::{collections::BTreeSet, path::Path};

use super::VerifyArguments;
use crate::{
    commands::{arguments::read_config, outcome::Failure},
    config::{Config, ServerAt, ZoneSettings},
    control::{
        Client, Whereabouts,
        protocol::{PeerAction, PeerRequest},
        reachable,
    },
    multisigner::{observe::At, verify::Target},
    wire::Name,
};

/// What our own servers are called.
const OURS: &str = "ours";

/// The configuration, and what it says of the zone.
pub(super) struct ZoneConfig {
    pub config: Config,
    pub zone: ZoneSettings,
    /// The servers of providers whose servers nobody wrote down, as the running server knows them by their API.
    known: Vec<(String, ServerAt)>,
}

/// Whom to ask, and what could not be found.
#[derive(Default)]
pub(super) struct Found {
    pub targets: Vec<Target>,
    pub parent: Vec<At>,
    pub remarks: Vec<String>,
}

/// Reads the configuration that is named, or the one at hand where nothing says whom to ask.
pub(super) fn config(arguments: &VerifyArguments) -> Result<Option<ZoneConfig>, Failure> {
    let at_hand = Path::new("countersign.toml");
    let (path, is_named) = match &arguments.config {
        Some(path) => (path.as_path(), true),
        None if arguments.server.is_empty() && at_hand.exists() => (at_hand, false),
        None => return Ok(None),
    };
    let config = read_config(path)?;
    let zone = config
        .zones
        .iter()
        .find(|zone| zone.origin == arguments.origin)
        .cloned();
    match zone {
        Some(zone) => Ok(Some(ZoneConfig {
            known: known_to_the_server(&config, &zone),
            config,
            zone,
        })),
        None if is_named => Err(Failure::new(format!(
            "{} has no zone {}",
            path.display(),
            arguments.origin
        ))),
        None => Ok(None),
    }
}

/// Asks the running server. Where none runs, nothing is known.
fn known_to_the_server(config: &Config, zone: &ZoneSettings) -> Vec<(String, ServerAt)> {
    let mut unknown = config
        .providers
        .iter()
        .filter(|provider| provider.servers.is_empty() && zone.providers.contains(&provider.name));
    let request = PeerRequest {
        provider: None,
        action: PeerAction::Status,
    };
    if unknown.next().is_none() {
        return Vec::new();
    }
    let said = Client::new(&config.state).and_then(|client| client.peers(&zone.origin, &request));
    let Ok(said) = said else { return Vec::new() };
    let servers = said.peers.into_iter().flat_map(|peer| {
        let provider = peer.provider;
        // Its name, if it has one, and its address.
        let address = |at: &str| {
            at.split_whitespace()
                .last()
                .and_then(|address| address.parse().ok())
        };
        let servers: Vec<ServerAt> = peer
            .servers
            .iter()
            .filter_map(|server| address(&server.at))
            .collect();
        servers.into_iter().map(move |server| (provider.clone(), server))
    });
    servers
        .filter(|(_, server)| matches!(server, ServerAt::Address(_)))
        .collect()
}

pub(super) async fn find(arguments: &VerifyArguments, config: Option<&ZoneConfig>) -> Result<Found, Failure> {
    let mut search = Search {
        zone: &arguments.origin,
        whereabouts: config.map_or_else(Whereabouts::of_system, |config| Whereabouts::new(&config.config)),
        found: Found::default(),
    };
    for (label, server) in &arguments.server {
        search.add_server(label.as_deref(), server).await;
    }
    if arguments.server.is_empty() {
        match config {
            Some(config) => search.add_configured(config).await,
            None => search.add_delegated().await,
        }
    }
    search.add_parent(arguments, config).await;
    let mut found = search.found;
    let mut seen = BTreeSet::new();
    found.targets.retain(|target| seen.insert(target.at.address));
    if found.targets.is_empty() {
        let why = found.remarks.join("; ");
        let what = format!(
            "no server of {} is known{}",
            arguments.origin,
            if why.is_empty() { why } else { format!(": {why}") }
        );
        return Err(Failure::usage(what)
            .advice("name them with --server, those of the other provider too, or a configuration with -c"));
    }
    Ok(found)
}

struct Search<'a> {
    zone: &'a Name,
    whereabouts: Whereabouts,
    found: Found,
}

impl Search<'_> {
    /// Where a server is; a name is looked up.
    async fn locate(&mut self, server: &ServerAt) -> Vec<At> {
        let mut servers = Vec::new();
        for found in self.whereabouts.find(std::slice::from_ref(server)).await {
            match found {
                Ok(at) => servers.push(at),
                Err((Some(name), why)) => self.found.remarks.push(format!("{name} is left out: {why}")),
                Err((None, why)) => self.found.remarks.push(why),
            }
        }
        servers
    }

    async fn add_server(&mut self, label: Option<&str>, server: &ServerAt) {
        for at in self.locate(server).await {
            let provider = match label {
                Some(label) => label.to_owned(),
                None => at_address(&at),
            };
            self.found.targets.push(Target { provider, at });
        }
    }

    /// Ours as they listen, and those of the providers; where nobody knows those of a provider, all that the zone's NS
    /// names besides.
    async fn add_configured(&mut self, config: &ZoneConfig) {
        for listen in &config.config.listen {
            let at = At {
                name: None,
                address: reachable(*listen),
            };
            self.found.targets.push(Target {
                provider: OURS.to_owned(),
                at,
            });
        }
        let named = |provider: &&String| config.zone.providers.contains(provider);
        let providers = config.config.providers.iter();
        for provider in providers.filter(|provider| named(&&provider.name)) {
            let known = config.known.iter().filter(|(name, _)| *name == provider.name);
            let known: Vec<&ServerAt> = known.map(|(_, server)| server).chain(&provider.servers).collect();
            if known.is_empty() {
                self.add_delegated().await;
            }
            for server in known {
                self.add_server(Some(&provider.name), server).await;
            }
        }
    }

    /// The servers that the zone's NS names, by the domain that each is in, for nobody says whose they are.
    async fn add_delegated(&mut self) {
        let names = match self.whereabouts.names_of(self.zone).await {
            Ok(names) => names,
            Err(why) => {
                self.found.remarks.push(why);
                return;
            }
        };
        for name in names {
            let domain = name.as_ref().parent().map(|parent| parent.to_string());
            let domain = domain.unwrap_or_default();
            let label = domain.trim_end_matches('.');
            self.add_server(Some(label), &ServerAt::Name(name)).await;
        }
    }

    /// The parent's servers: those that are named, or configured, or found; none are looked for where the servers
    /// of the zone were named by hand, for then it may be one that the world does not know.
    async fn add_parent(&mut self, arguments: &VerifyArguments, config: Option<&ZoneConfig>) {
        let configured = config.map_or(&[][..], |config| &config.zone.parent);
        let named = if arguments.parent.is_empty() {
            configured
        } else {
            &arguments.parent
        };
        for server in named {
            let at = self.locate(server).await;
            self.found.parent.extend(at);
        }
        let by_hand = !arguments.server.is_empty() || !arguments.ds.is_empty();
        if !named.is_empty() || by_hand {
            return;
        }
        match self.whereabouts.of_zone_above(self.zone).await {
            Ok(servers) => {
                let addresses: BTreeSet<_> = servers.into_iter().flatten().map(|at| at.address).collect();
                let at = |address| At { name: None, address };
                self.found.parent = addresses.into_iter().map(at).collect();
            }
            Err(why) => self.found.remarks.push(why),
        }
    }
}

/// The address as [`Target`] prints it: a label that says no more is not printed twice.
fn at_address(at: &At) -> String {
    At {
        name: None,
        address: at.address,
    }
    .to_string()
}
