//! Names to addresses, zones to name servers, a zone to its parent: asked of a resolver (RD=1), which does the work.
//!
//! What a resolver says is cached and not authoritative: good for finding servers, never evidence about a zone.

use std::{
    collections::HashMap,
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

mod dsync;

pub use dsync::{NoticeTarget, NoticeTargets};

use super::exchange::{AskError, Asker, Question};
use crate::wire::{
    Name, NameRef, RrType,
    message::Rcode,
    received::{Received, Record},
};

/// Where a system says which resolvers it uses.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Lines of it that count: as many as the C library takes (`MAXNS`).
const MAX_SERVERS: usize = 3;
/// Aliases that are followed in one answer. A resolver gives the whole chain; real ones have two or three.
const MAX_ALIASES: usize = 16;
/// Where DNS is, unless somebody says otherwise.
const DNS_PORT: u16 = 53;

/// The ports of servers: 53, but for addresses that a lab gives another one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ports(HashMap<IpAddr, u16>);

impl Ports {
    /// Where to ask the server that has this address.
    pub fn at(&self, address: IpAddr) -> SocketAddr {
        SocketAddr::new(address, self.0.get(&address).copied().unwrap_or(DNS_PORT))
    }
}

impl From<HashMap<IpAddr, u16>> for Ports {
    fn from(exceptions: HashMap<IpAddr, u16>) -> Self {
        Self(exceptions)
    }
}

impl FromIterator<SocketAddr> for Ports {
    /// Each address with its port.
    fn from_iter<I: IntoIterator<Item = SocketAddr>>(servers: I) -> Self {
        Self(
            servers
                .into_iter()
                .map(|server| (server.ip(), server.port()))
                .collect(),
        )
    }
}

/// Asks resolvers, one after the other until one answers.
#[derive(Clone, Debug)]
pub struct Resolver {
    servers: Vec<SocketAddr>,
    ports: Ports,
    asker: Asker,
}

/// A name server of a zone and where it is.
#[derive(Debug)]
pub struct NameServer {
    /// Its name.
    pub name: Name,
    /// Its addresses, at least one; or why they are not known.
    pub addresses: Result<Vec<IpAddr>, ResolveError>,
}

/// The zone that delegates another one.
#[derive(Debug)]
pub struct Parent {
    /// Its apex.
    pub apex: Name,
    /// Its name servers, at least one.
    pub servers: Vec<NameServer>,
}

impl Parent {
    /// The addresses that are known, each once.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut all: Vec<_> = self
            .servers
            .iter()
            .filter_map(|server| server.addresses.as_ref().ok())
            .flatten()
            .copied()
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// Why something was not found.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The list of resolvers cannot be read.
    #[error("cannot read the list of resolvers in {}; name resolvers in the configuration", path.display())]
    List {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is nobody to ask.
    #[error("no resolver is named")]
    Nobody,
    /// No resolver answered; this is about the last one.
    #[error("no resolver answered for {name} {rtype}; {others} others were asked before this one")]
    NoAnswer {
        /// What was asked.
        name: Name,
        /// Its type.
        rtype: RrType,
        /// How many others did not answer either.
        others: usize,
        /// What came of the last.
        #[source]
        source: AskError,
    },
    /// The last resolver answered with an error code.
    #[error("the resolver {server} answers {rcode} to {name} {rtype}")]
    Failed {
        /// Who was asked.
        server: SocketAddr,
        /// What was asked.
        name: Name,
        /// Its type.
        rtype: RrType,
        /// What it said.
        rcode: Rcode,
    },
    /// The name does not exist.
    #[error("there is no name {name}, says the resolver {server}")]
    NoSuchName {
        /// Who was asked.
        server: SocketAddr,
        /// What was asked.
        name: Name,
    },
    /// The name has no such record.
    #[error("{name} has no {what} record, says the resolver {server}")]
    NoRecord {
        /// Who was asked.
        server: SocketAddr,
        /// What was asked.
        name: Name,
        /// In words.
        what: &'static str,
    },
    /// The root has no parent.
    #[error("the root zone has no parent")]
    Root,
}

/// What one resolver said.
struct Said {
    server: SocketAddr,
    message: Received,
}

impl Resolver {
    /// Asks these, in this order. An empty list answers nothing.
    pub fn new(servers: Vec<SocketAddr>) -> Self {
        Self {
            servers,
            ports: Ports::default(),
            asker: Asker::default(),
        }
    }

    /// Asks those that the system uses.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn of_system() -> Result<Self, ResolveError> {
        let text = fs::read_to_string(RESOLV_CONF).map_err(|source| ResolveError::List {
            path: RESOLV_CONF.into(),
            source,
        })?;
        let ports = Ports::default();
        Ok(Self::new(
            servers_in(&text).into_iter().map(|ip| ports.at(ip)).collect(),
        ))
    }

    /// The same, with other ports for what it finds; those of the resolvers themselves stay.
    #[must_use]
    pub fn with_ports(mut self, ports: Ports) -> Self {
        self.ports = ports;
        self
    }

    /// The same, with another patience.
    #[must_use]
    pub fn with_asker(mut self, asker: Asker) -> Self {
        self.asker = asker;
        self
    }

    /// The ports of what it finds.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// The addresses of a host, IPv4 first, each once; at least one.
    ///
    /// # Errors
    /// When it has none, or when one of the two questions is not answered: half of the addresses are no answer.
    pub async fn addresses_of(&self, name: &Name) -> Result<Vec<IpAddr>, ResolveError> {
        let (four, six) = tokio::join!(self.ask(name, RrType::A), self.ask(name, RrType::AAAA));
        let (four, six) = (four?, six?);
        let mut addresses: Vec<_> = at_end_of_chain(&four.message, name, RrType::A)
            .chain(at_end_of_chain(&six.message, name, RrType::AAAA))
            .filter_map(Record::address)
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        match addresses.is_empty() {
            false => Ok(addresses),
            true => Err(nothing(&four, name, "A or AAAA")),
        }
    }

    /// The targets of a zone's NS records, in canonical order; at least one.
    ///
    /// # Errors
    /// When there is none: the name is no zone's apex.
    pub async fn name_servers_of(&self, zone: &Name) -> Result<Vec<Name>, ResolveError> {
        let said = self.ask(zone, RrType::NS).await?;
        let mut targets: Vec<_> = at_end_of_chain(&said.message, zone, RrType::NS)
            .filter(|record| record.owner == *zone)
            .filter_map(|record| Name::from_wire(&record.rdata).ok())
            .collect();
        targets.sort();
        targets.dedup();
        match targets.is_empty() {
            false => Ok(targets),
            true => Err(nothing(&said, zone, "NS")),
        }
    }

    /// The zone that delegates `zone`, and its name servers.
    ///
    /// # Errors
    /// When a resolver fails on the way, or the enclosing zone has no name servers.
    pub async fn parent_of(&self, zone: &Name) -> Result<Parent, ResolveError> {
        let mut candidate = zone.as_ref().parent().ok_or(ResolveError::Root)?;
        // One question a label, at most 127; most are answered by the first.
        let apex = loop {
            let candidate_name = candidate.to_owned();
            let said = self.ask(&candidate_name, RrType::SOA).await?;
            if let Some(apex) = enclosing_apex(&said.message, candidate) {
                break apex;
            }
            candidate = candidate
                .parent()
                .ok_or_else(|| nothing(&said, &candidate_name, "SOA"))?;
        };
        let mut servers = Vec::new();
        for name in self.name_servers_of(&apex).await? {
            let addresses = self.addresses_of(&name).await;
            servers.push(NameServer { name, addresses });
        }
        Ok(Parent { apex, servers })
    }

    /// The answer of the first resolver that has one; that a name does not exist is one.
    async fn ask(&self, name: &Name, rtype: RrType) -> Result<Said, ResolveError> {
        let question = Question {
            name: name.clone(),
            rtype,
            dnssec: false,
            recursion: true,
        };
        let mut failure = ResolveError::Nobody;
        for (others, &server) in self.servers.iter().enumerate() {
            let name = name.clone();
            failure = match self.asker.ask(server, &question).await {
                Ok(message) if matches!(message.rcode, Rcode::NOERROR | Rcode::NXDOMAIN) => {
                    return Ok(Said { server, message });
                }
                Ok(message) => ResolveError::Failed {
                    server,
                    name,
                    rtype,
                    rcode: message.rcode,
                },
                Err(source) => ResolveError::NoAnswer {
                    name,
                    rtype,
                    others,
                    source,
                },
            };
        }
        Err(failure)
    }
}

fn nothing(said: &Said, name: &Name, what: &'static str) -> ResolveError {
    let (server, name) = (said.server, name.clone());
    match said.message.rcode {
        Rcode::NXDOMAIN => ResolveError::NoSuchName { server, name },
        _ => ResolveError::NoRecord { server, name, what },
    }
}

/// The records of a type at the end of the chain of aliases that begins at `name`.
fn at_end_of_chain<'m>(
    message: &'m Received,
    name: &Name,
    rtype: RrType,
) -> impl Iterator<Item = &'m Record> + use<'m> {
    let mut end = name.clone();
    for _ in 0..MAX_ALIASES {
        let alias = message
            .answers
            .iter()
            .find(|record| record.rtype == RrType::CNAME && record.owner == end);
        match alias.and_then(|record| Name::from_wire(&record.rdata).ok()) {
            Some(target) => end = target,
            None => break,
        }
    }
    message
        .answers
        .iter()
        .filter(move |record| record.rtype == rtype && record.owner == end)
}

/// The apex of the zone that holds `candidate`, from the answer to a question for its SOA: its own, or the one that
/// a denial names (RFC 2308 §3). `None` when it says neither.
fn enclosing_apex(message: &Received, candidate: NameRef<'_>) -> Option<Name> {
    let soa = |record: &&Record| record.rtype == RrType::SOA;
    if message.answers.is_empty() {
        return message
            .authorities
            .iter()
            .filter(soa)
            .find(|record| candidate.is_at_or_below(record.owner.as_ref()))
            .map(|record| record.owner.clone());
    }
    // Behind an alias the denial is about the target's zone, so an alias says nothing.
    message
        .answers
        .iter()
        .filter(soa)
        .find(|record| record.owner.as_ref() == candidate)
        .map(|record| record.owner.clone())
}

/// The resolvers that a resolv.conf names (resolv.conf(5)). Lines that cannot be read are passed over, as the C
/// library does; where none is left, it is the one on this machine.
fn servers_in(text: &str) -> Vec<IpAddr> {
    let mut servers: Vec<IpAddr> = text
        .lines()
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok())?
        })
        .take(MAX_SERVERS)
        .collect();
    if servers.is_empty() {
        servers.push(Ipv4Addr::LOCALHOST.into());
    }
    servers
}

#[cfg(test)]
mod tests;
