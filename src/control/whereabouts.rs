//! Where the servers of a zone's other providers, and of its parent, are: written down, told by an API, or looked up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{peers::in_words, zones::causes};
use crate::{
    client::resolver::Resolver,
    config::{Config, ProviderSettings, ServerAt, ZoneSettings},
    multisigner::observe::At,
    provider::Provider,
    wire::{Name, RrType},
};

/// Where name servers answer.
const DNS_PORT: u16 = 53;

/// A server, or the name of one that was not found (where that is known), and why.
pub type Found = Result<At, (Option<Name>, String)>;

/// Where a server that listens here is asked from here, when it listens everywhere too.
pub fn reachable(mut listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    listen
}

/// Finds servers.
#[derive(Debug)]
pub struct Whereabouts {
    resolver: Result<Resolver, String>,
}

impl Whereabouts {
    /// With the resolvers of the configuration, else those of the system.
    pub fn new(config: &Config) -> Self {
        if config.resolvers.is_empty() {
            return Self::of_system();
        }
        Self {
            resolver: Ok(Resolver::new(config.resolvers.clone())),
        }
    }

    /// With the resolvers of the system.
    pub fn of_system() -> Self {
        Self {
            resolver: Resolver::of_system().map_err(|error| causes(&error)),
        }
    }

    /// Those of a provider: that a person named, else that its API names.
    pub(super) async fn of_provider(
        &self,
        zone: &Name,
        settings: &ProviderSettings,
        driver: &dyn Provider,
    ) -> Vec<Found> {
        if !settings.servers.is_empty() {
            return self.find(&settings.servers).await;
        }
        let said = match driver.servers(zone).await {
            Ok(said) => said,
            Err(error) => return vec![Err((None, in_words(&error)))],
        };
        let mut found = Vec::new();
        for server in said {
            match server.name {
                Some(name) if server.addresses.is_empty() => {
                    found.extend(self.find(&[ServerAt::Name(name)]).await);
                }
                name => {
                    let at = |address| At {
                        name: name.clone(),
                        address: (address, DNS_PORT).into(),
                    };
                    found.extend(server.addresses.into_iter().map(|address| Ok(at(address))));
                }
            }
        }
        found
    }

    /// Those of the parent: that a person named, else those of the zone above.
    pub(super) async fn of_parent(&self, zone: &ZoneSettings) -> Vec<Found> {
        if !zone.parent.is_empty() {
            return self.find(&zone.parent).await;
        }
        match self.of_zone_above(&zone.origin).await {
            Ok(found) => found,
            Err(why) => vec![Err((None, why))],
        }
    }

    /// Those that a person named; names are looked up.
    pub async fn find(&self, servers: &[ServerAt]) -> Vec<Found> {
        let mut found = Vec::new();
        for server in servers {
            match server {
                ServerAt::Address(address) => found.push(Ok(At {
                    name: None,
                    address: *address,
                })),
                ServerAt::Name(name) => match self.look_up(name).await {
                    Ok(servers) => found.extend(servers.into_iter().map(Ok)),
                    Err(why) => found.push(Err((Some(name.clone()), why))),
                },
            }
        }
        found
    }

    async fn look_up(&self, name: &Name) -> Result<Vec<At>, String> {
        let addresses = self.addresses_of(name).await?;
        let at = |address| At {
            name: Some(name.clone()),
            address: self.at(address),
        };
        Ok(addresses.into_iter().map(at).collect())
    }

    /// The addresses of a server.
    pub(super) async fn addresses_of(&self, name: &Name) -> Result<Vec<IpAddr>, String> {
        let resolver = self.resolver.as_ref().map_err(String::clone)?;
        let addresses = resolver.addresses_of(name).await;
        addresses.map_err(|error| causes(&error))
    }

    /// Where a server with this address answers.
    pub(super) fn at(&self, address: IpAddr) -> SocketAddr {
        match &self.resolver {
            Ok(resolver) => resolver.ports().at(address),
            Err(_) => (address, DNS_PORT).into(),
        }
    }

    /// Whom the parent wants to be told that records of this type have changed, each with its addresses; and whether that it
    /// wants to was validated.
    pub(super) async fn of_notices(&self, zone: &Name, rtype: RrType) -> Result<(Vec<Found>, bool), String> {
        let resolver = self.resolver.as_ref().map_err(String::clone)?;
        let said = resolver.notice_targets(zone, rtype).await;
        let said = said.map_err(|error| causes(&error))?;
        let mut found = Vec::new();
        for target in said.targets {
            match resolver.addresses_of(&target.host).await {
                Ok(addresses) => found.extend(addresses.into_iter().map(|address| {
                    Ok(At {
                        name: Some(target.host.clone()),
                        address: (address, target.port).into(),
                    })
                })),
                Err(error) => found.push(Err((Some(target.host), causes(&error)))),
            }
        }
        Ok((found, said.validated))
    }

    /// The names of a zone's servers, as the world knows them.
    ///
    /// # Errors
    /// When they cannot be looked up.
    pub async fn names_of(&self, zone: &Name) -> Result<Vec<Name>, String> {
        let resolver = self.resolver.as_ref().map_err(String::clone)?;
        resolver
            .name_servers_of(zone)
            .await
            .map_err(|error| causes(&error))
    }

    /// Those of the zone above, as the world knows them.
    ///
    /// # Errors
    /// When the zone above cannot be found.
    pub async fn of_zone_above(&self, zone: &Name) -> Result<Vec<Found>, String> {
        let resolver = self.resolver.as_ref().map_err(String::clone)?;
        let parent = resolver.parent_of(zone).await.map_err(|error| causes(&error))?;
        let mut servers = Vec::new();
        for server in parent.servers {
            let name = server.name;
            match server.addresses {
                Ok(addresses) => servers.extend(addresses.into_iter().map(|address| {
                    Ok(At {
                        name: Some(name.clone()),
                        address: resolver.ports().at(address),
                    })
                })),
                Err(error) => servers.push(Err((Some(name), causes(&error)))),
            }
        }
        Ok(servers)
    }
}
