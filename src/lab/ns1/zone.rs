//! A zone of the account: NS1's zone object, its records, and the content that its servers answer from.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Map, Value, json};

use super::{
    keys::ZoneKeys,
    record::{HostedRecord, RecordType, SIGNERS_TYPES, domain_text},
    reply::Reply,
};
use crate::{
    clock::UnixTime,
    wire::{Name, NameRef, RrType, Soa, Ttl},
    zone::{Entry, Place, Zone, ZoneBuilder, master::print_record},
};

/// A TTL above this is served lowered, as everywhere in this program.
const TTL_LIMIT: Ttl = Ttl::new(604_800);
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

    // ---- content ----

    /// The content and its number, made anew when something changed. `versions` counts contents in all zones. While
    /// what is there makes no zone, such as when its NS is gone, the last that did goes on.
    pub fn content(&mut self, versions: &mut u64) -> Option<(u64, Arc<Zone>)> {
        if std::mem::take(&mut self.stale)
            && let Some(zone) = self.build()
        {
            *versions += 1;
            self.content = Some((*versions, Arc::new(zone)));
        }
        self.content.clone()
    }

    fn build(&self) -> Option<Zone> {
        let mut builder = ZoneBuilder::new(self.apex.as_ref(), TTL_LIMIT);
        self.each(|owner, rtype, ttl, rdata| {
            builder.add(&Entry {
                owner: owner.as_ref(),
                rtype,
                ttl,
                rdata,
                at: Place::default(),
            });
        });
        let zone = builder.finish().ok()?.zone;
        // The builder leaves these out, for a zone file has them from another signer. Here users make them.
        let made = [RrType::CDS, RrType::CDNSKEY, RrType::CSYNC]
            .into_iter()
            .filter_map(|rtype| {
                let record = self.record(&self.apex, &RecordType::Dns(rtype))?;
                let rdatas: Vec<&[u8]> = record.rdatas.iter().map(Vec::as_slice).collect();
                (!rdatas.is_empty()).then_some((rtype, record.ttl, rdatas))
            });
        Some(zone.with_apex_rrsets(made))
    }

    /// Every record of DNS, the SOA first, the signer's own left out.
    fn each(&self, mut take: impl FnMut(&Name, RrType, Ttl, &[u8])) {
        take(&self.apex, RrType::SOA, Ttl::new(self.times.ttl), &self.soa());
        for record in self.records.values() {
            let Some(rtype) = record.rtype.dns() else { continue };
            if SIGNERS_TYPES.contains(&rtype) {
                continue;
            }
            for rdata in &record.rdatas {
                take(&record.domain, rtype, record.ttl, rdata);
            }
        }
    }

    fn soa(&self) -> Vec<u8> {
        let mut rdata = self.primary_master().as_wire().to_vec();
        rdata.extend_from_slice(rname(&self.hostmaster).as_wire());
        let Times {
            refresh,
            retry,
            expiry,
            nx_ttl,
            ..
        } = self.times;
        for number in [self.serial, refresh, retry, expiry, nx_ttl] {
            rdata.extend_from_slice(&number.to_be_bytes());
        }
        rdata
    }

    /// Takes the times, the hostmaster and the primary of a SOA; serials are NS1's own.
    pub fn take_soa(&mut self, ttl: Ttl, rdata: &[u8]) {
        let names = NameRef::split_from(rdata)
            .and_then(|(mname, rest)| Ok((mname, NameRef::split_from(rest)?.0)))
            .ok();
        let (Some((mname, rname)), Some(soa)) = (names, Soa::from_rdata(rdata)) else {
            return;
        };
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        self.times = Times {
            ttl: ttl.seconds(),
            refresh: seconds(soa.refresh),
            retry: seconds(soa.retry),
            expiry: seconds(soa.expire),
            nx_ttl: seconds(soa.minimum),
        };
        self.hostmaster = mailbox(&rname.to_owned());
        let primary = domain_text(&mname.to_owned());
        self.others.insert("primary_master".into(), primary.into());
    }

    /// The zone as a master file (RFC 1035 §5.1); the types that only NS1 has are left out.
    pub fn master_file(&self) -> String {
        let mut text = format!("$ORIGIN {}\n", self.apex);
        self.each(|owner, rtype, ttl, rdata| {
            let printed = print_record(owner.as_ref(), ttl, rtype, rdata, &mut text);
            debug_assert!(printed.is_ok(), "a String takes everything");
        });
        text
    }

    // ---- versions ----

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

/// A mailbox as the SOA has it (RFC 1035 §8): dots in front of the `@` are no borders of labels.
fn rname(mailbox: &str) -> Name {
    let name = mailbox.rsplit_once('@').and_then(|(local, domain)| {
        let domain: Name = domain.parse().ok()?;
        domain.as_ref().prepend(local.as_bytes()).ok()
    });
    name.or_else(|| mailbox.parse().ok()).unwrap_or_else(Name::root)
}

fn mailbox(rname: &Name) -> String {
    let Some(local) = rname.as_ref().labels().next() else {
        return ".".into();
    };
    let domain = rname
        .as_ref()
        .parent()
        .map(|domain| domain_text(&domain.to_owned()));
    format!(
        "{}@{}",
        String::from_utf8_lossy(local),
        domain.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn zone() -> HostedZone {
        let servers = ["dns1.p01.nsone.net.", "dns2.p01.nsone.net."].map(|name| name.parse().unwrap());
        HostedZone::new("Test.".parse().unwrap(), "5".into(), servers.to_vec(), NOW)
    }

    #[test]
    fn a_new_zone_is_what_ns1_makes() {
        let mut zone = zone();
        let object = zone.object();
        assert_eq!(
            (&object["zone"], &object["dnssec"], &object["serial"]),
            (&json!("test"), &json!(false), &json!(1_800_000_000))
        );
        assert_eq!(
            object["dns_servers"],
            json!(["dns1.p01.nsone.net", "dns2.p01.nsone.net"])
        );
        let (version, content) = zone.content(&mut 0).unwrap();
        assert_eq!(
            (version, content.serial(), content.record_count()),
            (1, 1_800_000_000, 3)
        );
        assert_eq!(
            zone.master_file().lines().nth(1).unwrap(),
            "test.\t3600\tIN\tSOA\tdns1.p01.nsone.net. hostmaster.nsone.net. 1800000000 43200 7200 1209600 3600"
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
        zone.touch(NOW);
        assert!(
            zone.master_file().contains(" a\\.b.c.test. "),
            "{}",
            zone.master_file()
        );
    }

    #[test]
    fn while_there_is_no_zone_the_last_one_goes_on() {
        let mut zone = zone();
        let before = zone.content(&mut 0).unwrap().0;
        let ns = RecordType::Dns(RrType::NS);
        let gone = zone.remove(&zone.apex.clone(), &ns).unwrap();
        zone.touch(NOW);
        assert_eq!(zone.content(&mut 7).unwrap().0, before);
        zone.put(gone);
        zone.touch(NOW);
        assert_eq!(zone.content(&mut 7).unwrap().0, 8);
    }

    #[test]
    fn users_make_cds_and_the_signer_makes_dnskey() {
        let mut zone = zone();
        let apex = zone.apex.clone();
        for (rtype, rdata) in [
            (RrType::CDS, &b"\0\0\0\0\0"[..]),
            (RrType::DNSKEY, b"\x01\x01\x03\x0dkey"),
        ] {
            let record = HostedRecord::from_rdatas(
                "1".into(),
                apex.clone(),
                rtype,
                Ttl::new(60),
                vec![rdata.to_vec()],
            );
            zone.put(record.unwrap());
        }
        let (_, content) = zone.content(&mut 0).unwrap();
        assert!(content.apex_node().rrset(RrType::CDS).is_some());
        assert!(content.apex_node().rrset(RrType::DNSKEY).is_none());
        let text = zone.master_file();
        assert!(text.contains("CDS") && !text.contains("DNSKEY"), "{text}");
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
