//! A zone of the account: NS1's zone object, its records, and what else belongs to it.

mod content;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

use super::{
    keys::ZoneKeys,
    record::{HostedRecord, RecordType, domain_text},
    reply::Reply,
};
use crate::{
    clock::UnixTime,
    wire::{Name, RrType, Ttl},
    zone::Zone,
};

/// Zone versions that are kept.
const MAX_VERSIONS: usize = 50;
/// Members of the zone object that are kept as they come.
const KEPT: [&str; 8] = [
    "primary",
    "secondary",
    "meta",
    "link",
    "networks",
    "tags",
    "views",
    "primary_master",
];

/// The times of a zone: members of the zone object, and fields of the SOA.
#[derive(Clone, Copy, Debug)]
struct Times {
    ttl: u32,
    refresh: u32,
    retry: u32,
    expiry: u32,
    nx_ttl: u32,
}

impl Default for Times {
    /// What NS1 gives a new zone.
    fn default() -> Self {
        Self {
            ttl: 3_600,
            refresh: 43_200,
            retry: 7_200,
            expiry: 1_209_600,
            nx_ttl: 3_600,
        }
    }
}

impl Times {
    fn member(&mut self, name: &str) -> Option<&mut u32> {
        match name {
            "ttl" => Some(&mut self.ttl),
            "refresh" => Some(&mut self.refresh),
            "retry" => Some(&mut self.retry),
            "expiry" => Some(&mut self.expiry),
            "nx_ttl" => Some(&mut self.nx_ttl),
            _ => None,
        }
    }
}

/// A zone's records by owner and type.
pub type Records = BTreeMap<(Name, RecordType), HostedRecord>;

/// A version of a zone: its records as they were.
#[derive(Clone, Debug)]
pub struct Version {
    /// Its number.
    pub id: u64,
    name: String,
    created: UnixTime,
    /// Whether it is the one that is served.
    pub active: bool,
    records: Records,
}

/// An export that was asked for.
#[derive(Clone, Debug)]
pub struct ExportJob {
    /// `COMPLETED` or `FAILED`, and what else NS1 says.
    pub status: &'static str,
    /// The zone file as it was then.
    pub text: String,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct HostedZone {
    /// The apex, lower-cased.
    pub apex: Name,
    id: String,
    times: Times,
    hostmaster: String,
    serial: u32,
    /// The servers that NS1 gives it.
    pub name_servers: Vec<Name>,
    others: Map<String, Value>,
    records: Records,
    /// Its keys.
    pub keys: ZoneKeys,
    /// Its versions.
    pub versions: Vec<Version>,
    /// The last export that was asked for.
    pub export: Option<ExportJob>,
    content: Option<(u64, Arc<Zone>)>,
    stale: bool,
}

impl HostedZone {
    /// A new zone with a SOA, and the NS that NS1 makes.
    pub fn new(apex: Name, id: String, name_servers: Vec<Name>, now: UnixTime) -> Self {
        let mut zone = Self {
            apex: apex.as_ref().to_lowercase(),
            times: Times::default(),
            hostmaster: "hostmaster@nsone.net".into(),
            serial: 0,
            name_servers,
            others: Map::new(),
            records: Records::new(),
            keys: ZoneKeys::default(),
            versions: Vec::new(),
            export: None,
            content: None,
            stale: true,
            id,
        };
        zone.put_name_servers();
        zone.touch(now);
        zone
    }

    fn put_name_servers(&mut self) {
        let rdatas = self
            .name_servers
            .iter()
            .map(|name| name.as_wire().to_vec())
            .collect();
        let (id, ttl) = (format!("{}00", self.id), Ttl::new(self.times.ttl));
        let record = HostedRecord::from_rdatas(id, self.apex.clone(), RrType::NS, ttl, rdatas);
        if let Some(record) = record {
            self.put(record);
        }
    }

    /// Notes that something changed: the serial looks like a time, and rises.
    pub fn touch(&mut self, now: UnixTime) {
        self.serial = now.to_serial().max(self.serial.saturating_add(1));
        self.stale = true;
    }

    /// The serial.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Takes the members of a body over those that were there; `dnssec` is not among them.
    ///
    /// # Errors
    /// The reply that says what is wrong; then the zone is as it was.
    pub fn take(&mut self, body: &Map<String, Value>) -> Result<(), Reply> {
        let mut times = self.times;
        for (member, value) in body.iter().filter(|(_, value)| !value.is_null()) {
            if let Some(time) = times.member(member) {
                let seconds = value.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
                *time = seconds.ok_or_else(|| Reply::wrong_type(member, value, "integer"))?;
            } else if member == "hostmaster" && !value.is_string() {
                return Err(Reply::wrong_type(member, value, "string"));
            }
        }
        self.times = times;
        for (member, value) in body {
            match member.as_str() {
                "hostmaster" => self.hostmaster = value.as_str().unwrap_or_default().into(),
                member if KEPT.contains(&member) => {
                    self.others.insert(member.into(), value.clone());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The zone object, without its records.
    pub fn object(&self) -> Value {
        let mut object = json!({
            "id": self.id,
            "zone": domain_text(&self.apex),
            "ttl": self.times.ttl,
            "refresh": self.times.refresh,
            "retry": self.times.retry,
            "expiry": self.times.expiry,
            "nx_ttl": self.times.nx_ttl,
            "serial": self.serial,
            "hostmaster": self.hostmaster,
            "primary_master": domain_text(&self.primary_master()),
            "dns_servers": self.name_servers.iter().map(domain_text).collect::<Vec<_>>(),
            "network_pools": ["p01"],
            "pool": "p01",
            "networks": [0],
            "meta": {},
            "link": null,
            "dnssec": self.keys.enabled,
            "primary": {"enabled": false, "secondaries": []},
            "local_tags": [],
            "tags": {},
        });
        for (member, value) in self.others.iter().filter(|(_, value)| !value.is_null()) {
            object[member] = value.clone();
        }
        object
    }

    fn primary_master(&self) -> Name {
        let set = self.others.get("primary_master").and_then(Value::as_str);
        let name = set.and_then(|text| text.parse().ok());
        name.or_else(|| self.name_servers.first().cloned())
            .unwrap_or_else(|| self.apex.clone())
    }

    /// The outgoing transfers: the member `primary`.
    pub fn primary(&self) -> Option<&Value> {
        self.others.get("primary")
    }

    /// Whether the zone's data come from another primary.
    pub fn is_secondary(&self) -> bool {
        let enabled = self
            .others
            .get("secondary")
            .and_then(|secondary| secondary.get("enabled"));
        enabled.and_then(Value::as_bool).unwrap_or(false)
    }

    /// Its records.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// The record at `domain`.
    pub fn record(&self, domain: &Name, rtype: &RecordType) -> Option<&HostedRecord> {
        self.records.get(&(domain.clone(), rtype.clone()))
    }

    /// Puts a record in the place of the one of its owner and type.
    pub fn put(&mut self, record: HostedRecord) {
        self.records
            .insert((record.domain.clone(), record.rtype.clone()), record);
    }

    /// Takes a record out.
    pub fn remove(&mut self, domain: &Name, rtype: &RecordType) -> Option<HostedRecord> {
        self.records.remove(&(domain.clone(), rtype.clone()))
    }

    /// Whether a record of this type may not be added at `domain`: a CNAME is alone there (RFC 2181 §10.1).
    pub fn conflicts(&self, domain: &Name, rtype: &RecordType) -> bool {
        let is_cname = |rtype: &RecordType| rtype.dns() == Some(RrType::CNAME);
        let mut others = self
            .records
            .keys()
            .filter(|(owner, other)| owner == domain && other != rtype);
        others.any(|(_, other)| is_cname(other) || is_cname(rtype))
    }

    /// Keeps the records as they are now as a new version. `None`: there are too many.
    pub fn keep_version(&mut self, name: &str, now: UnixTime) -> Option<Value> {
        if self.versions.len() >= MAX_VERSIONS {
            return None;
        }
        let id = self.versions.iter().map(|version| version.id).max().unwrap_or(0) + 1;
        self.versions.push(Version {
            id,
            name: name.into(),
            created: now,
            active: self.versions.is_empty(),
            records: self.records.clone(),
        });
        self.versions.last().map(Version::object)
    }

    /// Serves the records of a version.
    pub fn activate(&mut self, id: u64) -> bool {
        let Some(version) = self.versions.iter().find(|version| version.id == id) else {
            return false;
        };
        self.records = version.records.clone();
        for version in &mut self.versions {
            version.active = version.id == id;
        }
        true
    }
}

impl Version {
    /// NS1's version object.
    pub fn object(&self) -> Value {
        json!({"id": self.id, "name": self.name, "active": self.active, "created_at": self.created.0})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const NOW: UnixTime = UnixTime(1_800_000_000);

    pub(super) fn zone() -> HostedZone {
        let servers = ["dns1.p01.nsone.net.", "dns2.p01.nsone.net."].map(|name| name.parse().unwrap());
        HostedZone::new("Test.".parse().unwrap(), "5".into(), servers.to_vec(), NOW)
    }

    #[test]
    fn a_new_zone_is_what_ns1_makes() {
        let zone = zone();
        let object = zone.object();
        assert_eq!(
            (&object["zone"], &object["dnssec"], &object["serial"]),
            (&json!("test"), &json!(false), &json!(1_800_000_000))
        );
        assert_eq!(
            object["dns_servers"],
            json!(["dns1.p01.nsone.net", "dns2.p01.nsone.net"])
        );
    }

    #[test]
    fn the_serial_looks_like_a_time_and_rises() {
        let mut zone = zone();
        zone.touch(NOW);
        assert_eq!(zone.serial(), 1_800_000_001);
        zone.touch(UnixTime(1_700_000_000));
        assert_eq!(zone.serial(), 1_800_000_002);
        zone.touch(UnixTime(1_900_000_000));
        assert_eq!(zone.serial(), 1_900_000_000);
    }

    #[test]
    fn a_body_is_taken_whole_or_not_at_all() {
        let mut zone = zone();
        let body = json!({"ttl": 60, "nx_ttl": "x", "hostmaster": "a@b"});
        assert!(zone.take(body.as_object().unwrap()).is_err());
        assert_eq!(zone.object()["ttl"], 3600);
        let body = json!({"ttl": 60, "hostmaster": "a.b@c.test", "unknown": 1, "retry": null, "link": null});
        zone.take(body.as_object().unwrap()).unwrap();
        assert_eq!(
            (&zone.object()["ttl"], &zone.object()["retry"]),
            (&json!(60), &json!(7200))
        );
    }

    #[test]
    fn versions_are_kept_and_come_back() {
        let mut zone = zone();
        assert_eq!(zone.keep_version("one", NOW).unwrap()["active"], true);
        let count = zone.records().len();
        zone.remove(&zone.apex.clone(), &RecordType::Dns(RrType::NS));
        assert_eq!(zone.keep_version("two", NOW).unwrap()["id"], 2);
        assert!(zone.activate(1) && !zone.activate(9));
        assert_eq!(zone.records().len(), count);
    }
}
