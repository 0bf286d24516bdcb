//! NS1 Connect: its API, as the other signer of a zone (RFC 8901, model 2).
//!
//! | file | holds |
//! |---|---|
//! | `settings` | what the driver is told, and the API key as a secret |
//! | `client`, `http`, `call` | one call: limits, retries, and a try over HTTP |
//! | `rate`, `retry`, `reply` | what decides about calls, pure |
//! | `model` | NS1's JSON, read tolerantly and written in one form |
//! | `keys` | whose a key is; ours put there and taken away |
//! | `content` | the zone's records: an export, or record by record |
//! | `apex` | the apex NS RRset, and switching DNSSEC on |
//! | `cds` | CDS, CDNSKEY and CSYNC |
//! | `probe` | what nobody can know without an account, asked of the real thing |
//!
//! Nothing here sends a whole zone object back: members that were not meant would change, and `dnssec` has been
//! switched off that way.

mod apex;
mod call;
mod cds;
mod client;
mod content;
mod http;
mod keys;
mod model;
pub mod probe;
mod rate;
mod reply;
mod retry;
pub mod settings;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Mutex};

use call::Call;
pub use call::Exchange;
use client::Client;
use model::{path_name, zone::ZoneInfo};
use rate::Kind;
use reply::CallError;
use serde_json::Value;
pub use settings::{ApiKey, KeySource, Nesting, Settings, SettingsError, Values, WireForm};

use super::{
    Capabilities, Content, ObservedKeys, Pending, Provider, ProviderError, ProviderFault, Published, Server,
};
use crate::{
    dnssec::{csync::Csync, key::Dnskey},
    wire::{Name, Ttl},
};

/// NS1, through its API.
#[derive(Debug)]
pub struct Ns1 {
    client: Client,
    /// By zone, the TTL that was asked for last and the one that NS1 then showed: where it has its own mind, it is not
    /// asked again and again.
    settled: Mutex<HashMap<Name, (Ttl, Ttl)>>,
}

impl Ns1 {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            client: Client::new(settings)?,
            settled: Mutex::default(),
        })
    }

    /// The same, and what is said from now on is kept, without the key: for a report.
    ///
    /// # Errors
    /// As [`Ns1::new`].
    pub fn recording(settings: Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            client: Client::recording(settings)?,
            settled: Mutex::default(),
        })
    }

    /// What was said so far, where it is kept.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.client.exchanges()
    }

    /// The networks of the account, by number and label.
    ///
    /// # Errors
    /// When NS1 cannot be asked.
    pub async fn networks(&self) -> Result<Vec<(u64, String)>, ProviderError> {
        let path = ["networks"];
        let reply = self.client.call(&Call::get(Kind::Networks, &path)).await?;
        let value = reply.json()?;
        let rows = value.as_array().ok_or_else(|| {
            reply.asked.odd(&format!(
                "expected an array of networks, found {}",
                model::kind(&value)
            ))
        })?;
        let network = |row: &Value| {
            let number = model::number(row.get("network_id")?)?;
            let label = model::member_text(row, "label").or(model::member_text(row, "name"));
            Some((number, label.unwrap_or_default().to_owned()))
        };
        Ok(rows.iter().filter_map(network).collect())
    }

    /// The zone without its records.
    async fn zone_info(&self, zone: &Name) -> Result<ZoneInfo, ProviderError> {
        let name = self.path_of(zone)?;
        let path = ["zones", name.as_str()];
        let call = Call::get(Kind::Zone, &path).query("records=false");
        let reply = self.client.call(&call).await.map_err(CallError::of_zone)?;
        model::zone::read(&reply.json()?).map_err(|why| reply.asked.odd(&why))
    }

    /// A zone as NS1's paths have it.
    fn path_of(&self, zone: &Name) -> Result<String, ProviderError> {
        match path_name(zone) {
            name if name.is_empty() => Err(self.error(
                "the root zone is nobody's to host",
                ProviderFault::NoZone,
                "name a zone that NS1 has",
            )),
            name => Ok(name),
        }
    }

    /// An error before anything was asked.
    fn error(&self, what: &str, kind: ProviderFault, advice: &str) -> ProviderError {
        ProviderError {
            provider: self.client.settings().name.clone(),
            what: what.into(),
            kind,
            advice: Some(advice.into()),
        }
    }
}

impl Provider for Ns1 {
    fn name(&self) -> &str {
        &self.client.settings().name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            observes_keys: true,
            publishes_keys: true,
            reads_content: true,
            writes_apex_ns: true,
            writes_cds: true,
            writes_csync: true,
        }
    }

    fn servers<'a>(&'a self, zone: &'a Name) -> Pending<'a, Vec<Server>> {
        Box::pin(async move {
            let servers = self.zone_info(zone).await?.servers;
            let server = |name| Server {
                name: Some(name),
                addresses: Vec::new(),
            };
            Ok(servers.into_iter().map(server).collect())
        })
    }

    fn observe_keys<'a>(&'a self, zone: &'a Name, ours: &'a [Dnskey]) -> Pending<'a, ObservedKeys> {
        Box::pin(self.observe(zone, ours))
    }

    fn publish_keys<'a>(&'a self, zone: &'a Name, keys: &'a [Dnskey], ttl: Ttl) -> Pending<'a, Published> {
        Box::pin(self.publish(zone, keys, ttl))
    }

    fn withdraw_keys<'a>(&'a self, zone: &'a Name, ours: &'a [Dnskey]) -> Pending<'a, Published> {
        Box::pin(self.withdraw(zone, ours))
    }

    fn enable_dnssec<'a>(&'a self, zone: &'a Name) -> Pending<'a, Published> {
        Box::pin(Ns1::enable_dnssec(self, zone))
    }

    fn serial<'a>(&'a self, zone: &'a Name) -> Pending<'a, u32> {
        Box::pin(async move { Ok(self.zone_info(zone).await?.serial) })
    }

    fn read_content<'a>(&'a self, zone: &'a Name) -> Pending<'a, Content> {
        Box::pin(self.content(zone))
    }

    fn read_apex_ns<'a>(&'a self, zone: &'a Name) -> Pending<'a, Vec<Name>> {
        Box::pin(async move { Ok(self.apex_ns(zone).await?.map_or(Vec::new(), |ns| ns.targets)) })
    }

    fn write_apex_ns<'a>(&'a self, zone: &'a Name, targets: &'a [Name], ttl: Ttl) -> Pending<'a, Published> {
        Box::pin(self.set_apex_ns(zone, targets, ttl))
    }

    fn write_cds<'a>(&'a self, zone: &'a Name, keys: &'a [Dnskey], ttl: Ttl) -> Pending<'a, Published> {
        Box::pin(self.set_cds(zone, keys, ttl))
    }

    fn write_csync<'a>(&'a self, zone: &'a Name, csync: Option<Csync>, ttl: Ttl) -> Pending<'a, Published> {
        Box::pin(self.set_csync(zone, csync, ttl))
    }
}
