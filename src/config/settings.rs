//! What the layers are given.

use super::{
    file::{LogSettings, MonitorFile, ProviderKind, ServerAt, SigningSettings, TcpSettings, UdpSettings},
    problem::Position,
    source::ContentSource,
};
use crate::{
    answer::Overload,
    client::Relay,
    dnssec::{csync::Csyncing, denial::Denial, keyset::Cds},
    multisigner::Pin,
    provider::ns1::{self, KeySource, WireForm},
    wire::{Name, Ttl},
};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// Everything the server is told. Paths are as given on the command line, or relative to the file's folder.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file this came from; none for the `--zone` form.
    pub source: Option<PathBuf>,
    /// Where UDP and TCP are served.
    pub listen: Vec<SocketAddr>,
    /// Addresses that lead here from outside, and not from here.
    pub public_addresses: Vec<IpAddr>,
    /// The folder of the store and the control socket.
    pub state: PathBuf,
    /// The folder of our key files.
    pub keys: PathBuf,
    /// The user to become after binding.
    pub user: Option<String>,
    /// The name server identifier; empty for none.
    pub nsid: Vec<u8>,
    /// Logs.
    pub log: LogSettings,
    /// Limits of UDP.
    pub udp: UdpSettings,
    /// Limits of TCP.
    pub tcp: TcpSettings,
    /// Signing ahead.
    pub signing: SigningSettings,
    /// The watch over the zones, and where alarms go.
    pub monitor: MonitorSettings,
    /// Resolvers to ask; those of the system when there is none.
    pub resolvers: Vec<SocketAddr>,
    /// Other places to ask from, no two with one name.
    pub vantages: Vec<Relay>,
    /// The other providers, no two with one name.
    pub providers: Vec<ProviderSettings>,
    /// The zones, no two with one origin.
    pub zones: Vec<ZoneSettings>,
}

/// The watch over the zones, and where alarms go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MonitorSettings {
    /// How often each zone is looked at; zero: never.
    pub every: Duration,
    /// How many observations are kept of every zone.
    pub observations: usize,
    /// The command that is run for each alarm; empty: none.
    pub command: Vec<String>,
    /// The address that each alarm is posted to.
    pub webhook: Option<String>,
}

impl From<MonitorFile> for MonitorSettings {
    fn from(file: MonitorFile) -> Self {
        Self {
            every: file.every,
            observations: file.observations.0 as usize,
            command: file.command,
            webhook: file.webhook.map(|url| url.value),
        }
    }
}

/// Another signing provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProviderSettings {
    /// What zones, commands and messages call it.
    pub name: String,
    /// What it is.
    pub kind: ProviderKind,
    /// Where its API is.
    pub endpoint: String,
    /// Where its API key is; for a kind that has one.
    pub api_key: Option<KeySource>,
    /// Further certificates that the API's may rest on.
    pub ca_file: Option<PathBuf>,
    /// The set of external keys that is ours.
    pub key_set: String,
    /// In which form sets of keys are written.
    pub form: WireForm,
    /// Its name servers; where there is none, its API names them.
    pub servers: Vec<ServerAt>,
    /// How often its keys are looked at.
    pub poll: Duration,
    /// How long what it was given may take to show.
    pub propagation: Duration,
    /// The names of its servers in NS RRsets, where a person says them.
    pub server_names: Vec<Name>,
    /// Whether it can show CDS and CDNSKEY for just the keys that a plan wants, signed with its KSK.
    pub cds: bool,
    /// Whether it can show CSYNC when a plan wants it.
    pub csync: bool,
    /// Its KSKs that are believed without a DS.
    pub pinned: Vec<Pin>,
}

impl ProviderSettings {
    /// What the driver of NS1 is told; none for another kind, and without a key.
    pub fn ns1(&self) -> Option<ns1::Settings> {
        let key = self.api_key.clone().filter(|_| self.kind == ProviderKind::Ns1)?;
        Some(ns1::Settings {
            endpoint: self.endpoint.clone(),
            ca: self.ca_file.clone(),
            key_set: self.key_set.clone(),
            form: self.form,
            ..ns1::Settings::new(self.name.clone(), key)
        })
    }
}

/// A place in the configuration file, for problems found later.
pub type Spot = Option<Position>;

/// What is said of one zone.
#[derive(Clone, Debug)]
pub struct ZoneSettings {
    /// Its apex.
    pub origin: Name,
    /// Where it is named.
    pub at: Spot,
    /// Where its content comes from.
    pub source: ContentSource,
    /// By what share of its records content from elsewhere may shrink at once, in percent.
    pub largest_shrink: u8,
    /// The apex NS RRset; where there is none, the content's own.
    pub name_servers: Vec<Name>,
    /// The files with other providers' DNSKEY records, and where they are named.
    pub external_keys: Vec<(PathBuf, Spot)>,
    /// The other providers that sign it, by name.
    pub providers: Vec<String>,
    /// Whether keys are exchanged with them as the server runs.
    pub exchange_keys: bool,
    /// The name servers of its parent zone; where there is none, the resolvers are asked.
    pub parent: Vec<ServerAt>,
    /// How long a change at the parent may take to show at all its servers.
    pub parent_propagation: Duration,
    /// The names of this server in NS RRsets, where a person says them.
    pub our_servers: Vec<Name>,
    /// The TTL of the DNSKEY RRset, where no provider's is smaller.
    pub dnskey_ttl: Ttl,
    /// How much longer than its TTL some caches may keep anything.
    pub safety_margin: Duration,
    /// Whether keys that another provider gave up are withdrawn by a plan of its own.
    pub follow: bool,
    /// How it denies.
    pub denial: Denial,
    /// What it does beyond the budget of synthesised signatures.
    pub overload: Overload,
    /// CDS and CDNSKEY.
    pub cds: Cds,
    /// CSYNC.
    pub csync: Csyncing,
    /// How long a signature is valid; none for the rule that reads the zone's TTLs.
    pub signature_validity: Option<Duration>,
    /// Whether keys are made for it when it is new.
    pub auto_keys: bool,
}

impl ZoneSettings {
    /// Whether other providers sign it, or are about to.
    pub fn is_shared(&self) -> bool {
        !self.providers.is_empty() || !self.external_keys.is_empty()
    }

    /// The place to point at for what is wrong with the zone as a whole.
    pub fn spot(&self) -> Spot {
        match &self.source {
            ContentSource::File { at, .. } => *at,
            ContentSource::Axfr { .. } | ContentSource::Ns1 { .. } => self.at,
        }
    }
}

/// The state folder where none is named: `$STATE_DIRECTORY` (the first of them, as systemd sets it), else
/// `state` in the current folder.
pub fn default_state() -> PathBuf {
    match std::env::var_os("STATE_DIRECTORY") {
        Some(folders) if !folders.is_empty() => std::env::split_paths(&folders)
            .next()
            .unwrap_or_else(|| "state".into()),
        _ => "state".into(),
    }
}
