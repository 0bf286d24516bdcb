//! Where the servers of a zone's other providers, and of its parent, are: written down, told by an API, or looked up.

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
pub(super) type Found = Result<At, (Option<Name>, String)>;

/// Finds servers.
pub(super) struct Whereabouts {
    resolver: Result<Resolver, String>,
}

impl Whereabouts {
    /// With the resolvers of the configuration, else those of the system.
    pub(super) fn new(config: &Config) -> Self {
        let resolver = if config.resolvers.is_empty() {
            Resolver::of_system().map_err(|error| causes(&error))
        } else {
            Ok(Resolver::new(config.resolvers.clone()))
        };
        Self { resolver }
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
        match self.find_parent(&zone.origin).await {
            Ok(found) => found.into_iter().map(Ok).collect(),
            Err(why) => vec![Err((None, why))],
        }
    }

    async fn find(&self, servers: &[ServerAt]) -> Vec<Found> {
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
        let resolver = self.resolver.as_ref().map_err(String::clone)?;
        let addresses = resolver
            .addresses_of(name)
            .await
            .map_err(|error| causes(&error))?;
        let at = |address| At {
            name: Some(name.clone()),
            address: resolver.ports().at(address),
        };
        Ok(addresses.into_iter().map(at).collect())
    }

    /// Whom the parent wants to be told that records of this type have changed, each with its addresses.
    pub(super) async fn of_notices(&self, zone: &Name, rtype: RrType) -> Result<Vec<Found>, String> {
        let resolver = self.resolver.as_ref().map_err(String::clone)?;
        let targets = resolver.notice_targets(zone, rtype).await;
        let mut found = Vec::new();
        for target in targets.map_err(|error| causes(&error))? {
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
        Ok(found)
    }

    async fn find_parent(&self, zone: &Name) -> Result<Vec<At>, String> {
        let resolver = self.resolver.as_ref().map_err(String::clone)?;
        let parent = resolver.parent_of(zone).await.map_err(|error| causes(&error))?;
        let mut servers = Vec::new();
        for server in parent.servers {
            let name = server.name;
            let addresses = server.addresses.map_err(|error| causes(&error))?;
            servers.extend(addresses.into_iter().map(|address| At {
                name: Some(name.clone()),
                address: resolver.ports().at(address),
            }));
        }
        Ok(servers)
    }
}
