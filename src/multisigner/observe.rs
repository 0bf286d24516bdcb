//! What every server of a provider, and of the parent, shows: asked of each by itself, at the same time. What cannot be
//! reached from here is a state of its own, neither seen nor gone.

use std::{fmt, net::SocketAddr};

use futures_util::{StreamExt as _, stream};

use crate::{
    client::{AskError, Asker, Question},
    clock::UnixTime,
    dnssec::{
        algorithm::DigestType,
        key::Dnskey,
        validate::{Chained, Ds, Insist, keys_by_ds, signed_by},
    },
    wire::{Name, RrType, Ttl, message::Rcode, received::Received},
};

/// How many servers are asked at the same time.
const AT_ONCE: usize = 16;

/// A name server, and where it is asked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct At {
    /// Its name, where it is known by one.
    pub name: Option<Name>,
    /// Where.
    pub address: SocketAddr,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name} ")?;
        }
        if self.address.port() == 53 {
            self.address.ip().fmt(f)
        } else {
            self.address.fmt(f)
        }
    }
}

/// The DNSKEY RRset of a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyAnswer {
    /// Its keys.
    pub keys: Vec<Dnskey>,
    /// Its TTL, from an authoritative answer; where a good signature says more, that: whoever answers from a cache shows
    /// what is left.
    pub ttl: Ttl,
    /// The SEP keys in it that sign it, by good signatures.
    pub signers: Vec<Dnskey>,
}

/// Why nothing was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unseen {
    /// It cannot be reached from here.
    Unreachable(String),
    /// It answered, and not with what was asked for.
    Odd(String),
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) | Self::Odd(why) => f.write_str(why),
        }
    }
}

impl From<AskError> for Unseen {
    fn from(error: AskError) -> Self {
        let text = match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        match error {
            AskError::Malformed { .. } => Self::Odd(text),
            _ => Self::Unreachable(text),
        }
    }
}

/// What a provider's server shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyView {
    /// The server.
    pub at: At,
    /// Its DNSKEY RRset.
    pub seen: Result<KeyAnswer, Unseen>,
}

/// What a parent's server shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DsView {
    /// The server.
    pub at: At,
    /// The DS RRset; empty when it says that there is none.
    pub seen: Result<Vec<Ds>, Unseen>,
}

/// Asks every server for the zone's keys.
pub async fn keys_at(asker: &Asker, zone: &Name, servers: &[At], now: UnixTime) -> Vec<KeyView> {
    let mut asked = Vec::with_capacity(servers.len());
    for at in servers {
        asked.push(keys_of(asker, zone, at, now));
    }
    stream::iter(asked).buffered(AT_ONCE).collect().await
}

async fn keys_of(asker: &Asker, zone: &Name, at: &At, now: UnixTime) -> KeyView {
    let seen = match asker.ask(at.address, &question(zone, RrType::DNSKEY)).await {
        Ok(received) => read_keys(&received, zone, now),
        Err(error) => Err(error.into()),
    };
    KeyView { at: at.clone(), seen }
}

/// Asks every server of the parent for the zone's DS RRset.
pub async fn ds_at(asker: &Asker, zone: &Name, servers: &[At]) -> Vec<DsView> {
    let mut asked = Vec::with_capacity(servers.len());
    for at in servers {
        asked.push(ds_of(asker, zone, at));
    }
    stream::iter(asked).buffered(AT_ONCE).collect().await
}

async fn ds_of(asker: &Asker, zone: &Name, at: &At) -> DsView {
    let seen = match asker.ask(at.address, &question(zone, RrType::DS)).await {
        Ok(received) => read_ds(&received, zone),
        Err(error) => Err(error.into()),
    };
    DsView { at: at.clone(), seen }
}

fn question(zone: &Name, rtype: RrType) -> Question {
    Question {
        name: zone.clone(),
        rtype,
        dnssec: true,
        recursion: false,
    }
}

/// What an answer to the question for DNSKEY shows.
///
/// # Errors
/// When it is not authoritative, or without such a set.
pub fn read_keys(received: &Received, zone: &Name, now: UnixTime) -> Result<KeyAnswer, Unseen> {
    authoritative(received)?;
    let records = || {
        let of_zone = received.answers.iter();
        of_zone.filter(|record| record.rtype == RrType::DNSKEY && record.owner == *zone)
    };
    let keys: Vec<Dnskey> = records()
        .filter_map(|record| Dnskey::from_rdata(&record.rdata).ok())
        .collect();
    let ttl = records().map(|record| record.ttl).min();
    let (Some(ttl), false) = (ttl, keys.is_empty()) else {
        return Err(Unseen::Odd(
            "it has no DNSKEY RRset: it does not sign the zone".to_owned(),
        ));
    };
    // A set is believed by way of its SEP keys alone (RFC 4035 §5.2).
    let signs = |key: &&Dnskey| {
        let ds = [Ds::of(key, zone.as_ref(), DigestType::Sha256)];
        matches!(
            keys_by_ds(zone, &ds, received, now, Insist::AnyPath),
            Ok(Chained::Keys { .. })
        )
    };
    let signers: Vec<Dnskey> = keys
        .iter()
        .filter(|key| key.is_sep())
        .filter(signs)
        .cloned()
        .collect();
    let signed = signed_by(&received.answers, Some(zone), RrType::DNSKEY, zone, &signers, now);
    let ttl = signed.map_or(ttl, |signed| signed.ttl.max(ttl));
    Ok(KeyAnswer { keys, ttl, signers })
}

/// What an answer to the question for DS shows.
///
/// # Errors
/// When the server does not answer for the parent.
pub fn read_ds(received: &Received, zone: &Name) -> Result<Vec<Ds>, Unseen> {
    // A zone that is not delegated has no DS.
    if received.rcode == Rcode::NXDOMAIN && received.authoritative {
        return Ok(Vec::new());
    }
    authoritative(received)?;
    let records = received.answers.iter();
    let of_zone = records.filter(|record| record.rtype == RrType::DS && record.owner == *zone);
    Ok(of_zone
        .filter_map(|record| Ds::from_rdata(&record.rdata).ok())
        .collect())
}

fn authoritative(received: &Received) -> Result<(), Unseen> {
    match received.rcode {
        Rcode::NOERROR if received.authoritative => Ok(()),
        Rcode::NOERROR => Err(Unseen::Odd(
            "it answers without authority (AA) for the zone".to_owned(),
        )),
        Rcode::REFUSED => Err(Unseen::Odd(
            "it refuses to answer for the zone (REFUSED)".to_owned(),
        )),
        Rcode::SERVFAIL => Err(Unseen::Odd("it cannot answer for the zone (SERVFAIL)".to_owned())),
        Rcode(code) => Err(Unseen::Odd(format!("it answers with code {code}"))),
    }
}
