//! The account at the simulated NS1: its zones, and what each of its servers is to show of them. No sockets and no
//! clock: what decides takes the time as a value.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{
    knobs::{Event, Knobs},
    rate::Buckets,
    record::domain_text,
    zone::HostedZone,
};
use crate::{
    clock::UnixTime,
    dnssec::{
        key::{Dnskey, KeyError},
        keyset::{DNSKEY_TTL, Member},
    },
    wire::{Name, Ttl},
    zone::Zone,
};

/// How many zones an account may have.
pub const MAX_ZONES: usize = 10_000;

/// The moment of a request.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Wall time.
    pub wall: UnixTime,
    /// Steady time.
    pub steady: Duration,
}

/// See the module.
pub struct Account {
    api_key: Zeroizing<String>,
    name_servers: Vec<Name>,
    pub(super) zones: BTreeMap<String, HostedZone>,
    pub(super) tsig: BTreeMap<String, Map<String, Value>>,
    pub(super) buckets: Buckets,
    /// How the knobs stand.
    pub knobs: Knobs,
    ids: u64,
    /// Counts contents and key sets, so that a server knows what it shows.
    pub(super) versions: u64,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account {{ {} zones }}", self.zones.len())
    }
}

/// What a server is to show of a zone.
#[derive(Clone, Debug)]
pub struct ZoneView {
    /// The apex.
    pub apex: Name,
    /// The number of the content.
    pub content_version: u64,
    /// The content without the signer's key sets.
    pub content: Arc<Zone>,
    /// The keys, when the zone is signed.
    pub keys: Option<KeysView>,
    /// Who may have the whole zone; `None`: nobody.
    pub transfer: Option<Vec<Value>>,
}

/// What a server is to show of a zone's keys.
#[derive(Clone, Debug)]
pub struct KeysView {
    /// Equal for equal keys.
    pub stamp: (u64, bool, u32),
    /// The members of the key set.
    pub members: Vec<Member>,
    /// The TTL of the DNSKEY RRset.
    pub ttl: Ttl,
}

impl Account {
    /// An account without zones. `name_servers` are the names of its servers, in their order.
    pub fn new(api_key: String, name_servers: Vec<Name>) -> Self {
        Self {
            api_key: Zeroizing::new(api_key),
            knobs: Knobs::new(name_servers.len()),
            name_servers,
            zones: BTreeMap::new(),
            tsig: BTreeMap::new(),
            buckets: Buckets::default(),
            ids: 0,
            versions: 0,
        }
    }

    /// Whether this is the account's key.
    pub fn knows(&self, key: Option<&str>) -> bool {
        key.is_some_and(|key| key == self.api_key.as_str())
    }

    /// The names of its servers.
    pub fn name_servers(&self) -> &[Name] {
        &self.name_servers
    }

    /// A number as NS1 gives its objects: 24 hexadecimal digits, the time in front.
    pub(super) fn next_id(&mut self, now: UnixTime) -> String {
        self.ids += 1;
        format!("{:08x}{:016x}", now.to_serial(), self.ids)
    }

    pub(super) fn next_version(&mut self) -> u64 {
        self.versions += 1;
        self.versions
    }

    /// The zone of this name.
    pub fn zone(&self, apex: &Name) -> Option<&HostedZone> {
        self.zones.get(&domain_text(apex))
    }

    /// NS1's own keys of a zone that is signed.
    pub fn own_keys(&self, apex: &Name) -> Vec<Dnskey> {
        let zone = self.zone(apex).filter(|zone| zone.keys.enabled);
        zone.map(|zone| zone.keys.own()).unwrap_or_default()
    }

    /// Switches DNSSEC of a zone on or off.
    ///
    /// # Errors
    /// When keys cannot be made.
    pub(super) fn enable_dnssec(&mut self, name: &str, on: bool, now: Now) -> Result<(), KeyError> {
        let (single, second) = (self.knobs.single_csk, self.knobs.second_network);
        let version = self.next_version();
        let Some(zone) = self.zones.get_mut(name) else {
            return Ok(());
        };
        if zone.keys.enable(on, single)? {
            zone.keys.join_second_network(second)?;
            zone.keys.begin_history(version, now.steady);
            zone.touch(now.wall);
            self.note_keys(name, now);
        }
        Ok(())
    }

    /// Notes that the keys of a zone changed.
    pub(super) fn note_keys(&mut self, name: &str, now: Now) {
        let version = self.next_version();
        if let Some(zone) = self.zones.get_mut(name) {
            zone.keys.note(version, now.steady);
        }
    }

    /// Does what is due: the events of the knobs, and the steps of rolls.
    pub fn advance(&mut self, now: Now) {
        for event in self.knobs.take_due(now.steady) {
            self.happen(event, now);
        }
        let second = self.knobs.second_network;
        let mut changed = Vec::new();
        for (name, zone) in self.zones.iter_mut().filter(|(_, zone)| zone.keys.enabled) {
            let joined = zone.keys.join_second_network(second).unwrap_or_else(unmade);
            if zone.keys.advance(now.steady) || joined {
                changed.push(name.clone());
            }
        }
        changed.iter().for_each(|name| self.note_keys(name, now));
    }

    fn happen(&mut self, event: Event, now: Now) {
        let names: Vec<String> = self.zones.keys().cloned().collect();
        for name in names {
            let Some(zone) = self.zones.get_mut(&name) else {
                continue;
            };
            let rolled = match event {
                Event::LoseExternalKeys => {
                    zone.keys.external.clear();
                    Ok(true)
                }
                Event::RollZsk(step) => zone.keys.roll(false, step, now.steady),
                Event::RollKsk(step) => zone.keys.roll(true, step, now.steady),
                Event::SwitchDnssecOff => self.enable_dnssec(&name, false, now).map(|()| false),
            };
            if rolled.unwrap_or_else(unmade) {
                self.note_keys(&name, now);
            }
        }
    }

    /// What the server of this index is to show at steady time `now`.
    pub fn view(&mut self, server: usize, now: Duration) -> Vec<ZoneView> {
        let Self {
            knobs,
            zones,
            versions,
            name_servers,
            ..
        } = self;
        let delay = knobs.key_delay.get(server).copied().unwrap_or_default();
        let delay = (!knobs.stuck.contains(&server)).then_some(delay);
        // The second network's server is the last, when there is more than one.
        let network = u32::from(knobs.second_network && server > 0 && server + 1 == name_servers.len());
        let external = !knobs.unpublished_keys;
        let ttl = knobs.dnskey_ttl.unwrap_or(DNSKEY_TTL);
        let views = zones.values_mut().filter_map(|zone| {
            let (content_version, content) = zone.content(versions)?;
            let moment = zone.keys.shown(delay, now).filter(|_| zone.keys.enabled);
            let keys = moment.map(|moment| KeysView {
                stamp: (moment.version, external, network),
                members: moment.members(network, external),
                ttl,
            });
            Some(ZoneView {
                apex: zone.apex.clone(),
                content_version,
                content,
                keys,
                transfer: secondaries(zone),
            })
        });
        views.collect()
    }

    /// When something is to happen after `now` that nobody asks for, in steady time.
    pub fn next_due(&self, now: Duration) -> Option<Duration> {
        let delays = &self.knobs.key_delay;
        let keys = self
            .zones
            .values()
            .filter_map(|zone| zone.keys.next_due(delays, now));
        self.knobs.events.iter().map(|(at, _)| *at).chain(keys).min()
    }

    /// How many records all zones have.
    pub fn record_count(&self) -> usize {
        self.zones.values().map(|zone| zone.records().len()).sum()
    }

    /// The secondaries that want to hear of changes, by zone: where to send NOTIFY, and the serial.
    pub fn to_notify(&self) -> Vec<(Name, u32, Vec<std::net::SocketAddr>)> {
        let zones = self.zones.values().filter_map(|zone| {
            let addresses: Vec<_> = secondaries(zone)?.iter().filter_map(notify_address).collect();
            (!addresses.is_empty()).then(|| (zone.apex.clone(), zone.serial(), addresses))
        });
        zones.collect()
    }
}

/// Keys are not made only when the machine has no random numbers; then what was there goes on.
fn unmade(error: KeyError) -> bool {
    tracing::error!(%error, "the simulated NS1 cannot make a key");
    false
}

/// The secondaries of a zone whose outgoing transfers are on.
fn secondaries(zone: &HostedZone) -> Option<Vec<Value>> {
    let primary = zone.primary()?;
    let enabled = primary.get("enabled").and_then(Value::as_bool) == Some(true);
    let secondaries = primary.get("secondaries").and_then(Value::as_array);
    enabled.then(|| secondaries.cloned().unwrap_or_default())
}

fn notify_address(secondary: &Value) -> Option<std::net::SocketAddr> {
    let wanted = secondary.get("notify").and_then(Value::as_bool) == Some(true);
    let ip = secondary.get("ip").and_then(Value::as_str)?.parse().ok()?;
    let port = secondary.get("port").and_then(Value::as_u64).unwrap_or(53);
    wanted
        .then_some(())
        .and_then(|()| Some(std::net::SocketAddr::new(ip, u16::try_from(port).ok()?)))
}
