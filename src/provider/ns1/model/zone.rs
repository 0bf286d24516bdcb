//! `GET /zones/{zone}`: the zone, and a page of its records.

use serde_json::Value;

use super::{kind, member_number, member_text, name, number, text, ttl};
use crate::wire::{Name, Ttl};

/// What NS1 says of a zone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::provider::ns1) struct ZoneInfo {
    /// The SOA's serial.
    pub serial: u32,
    /// The TTL that new records get, and the SOA has.
    pub ttl: Ttl,
    /// The SOA's times: refresh, retry, expire, minimum.
    pub times: [u32; 4],
    /// The SOA's mailbox, as an address or as a name.
    pub hostmaster: String,
    /// The SOA's primary, where it is said.
    pub primary_master: Option<String>,
    /// NS1's name servers for the zone.
    pub servers: Vec<Name>,
    /// The networks that the zone is published to.
    pub networks: Vec<u64>,
    /// Whether NS1 signs it, where it is said.
    pub dnssec: Option<bool>,
    /// Whether NS1 takes it from another server.
    pub is_secondary: bool,
    /// The zone whose content it shares.
    pub link: Option<String>,
}

/// A record as the zone's page lists it: its answers are asked for one by one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::provider::ns1) struct Row {
    /// Its owner, as NS1 writes it.
    pub domain: String,
    /// Its type, as NS1 writes it.
    pub rtype: String,
}

/// Reads the zone without its records.
///
/// # Errors
/// When it is no zone.
pub(in crate::provider::ns1) fn read(value: &Value) -> Result<ZoneInfo, String> {
    let serial = member_number(value, "serial")
        .ok_or_else(|| format!("expected a zone with its serial, found {}", kind(value)))?;
    let time = |member: &str, usual: u32| member_number(value, member).unwrap_or(usual);
    let strings = |member: &str| {
        value
            .get(member)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let servers = strings("dns_servers")
        .iter()
        .filter_map(Value::as_str)
        .map(name)
        .collect::<Result<_, _>>()?;
    let enabled = |member: &str| {
        let part = value.get(member);
        part.and_then(|part| part.get("enabled"))
            .and_then(Value::as_bool)
            .unwrap_or(false)
    };
    Ok(ZoneInfo {
        serial,
        ttl: ttl(value).unwrap_or(Ttl::new(3600)),
        // What NS1 gives a new zone.
        times: [
            time("refresh", 43_200),
            time("retry", 7_200),
            time("expiry", 1_209_600),
            time("nx_ttl", 3_600),
        ],
        hostmaster: member_text(value, "hostmaster")
            .unwrap_or("hostmaster@nsone.net")
            .into(),
        primary_master: member_text(value, "primary_master").map(str::to_owned),
        servers,
        networks: strings("networks").iter().filter_map(number).collect(),
        dnssec: value.get("dnssec").and_then(Value::as_bool),
        is_secondary: enabled("secondary"),
        link: member_text(value, "link").map(str::to_owned),
    })
}

/// Reads the records of a page; those of DNSSEC are left to the caller.
///
/// # Errors
/// When a row has no owner or type.
pub(in crate::provider::ns1) fn read_rows(value: &Value) -> Result<Vec<Row>, String> {
    let rows = match value.get("records") {
        Some(Value::Array(rows)) => &rows[..],
        Some(Value::Null) | None => &[],
        Some(other) => return Err(format!("expected an array of records, found {}", kind(other))),
    };
    rows.iter()
        .map(|row| {
            let member = |name: &str| row.get(name).and_then(text);
            match (member("domain"), member("type")) {
                (Some(domain), Some(rtype)) => Ok(Row { domain, rtype }),
                _ => Err(format!("a record without owner or type: {row}")),
            }
        })
        .collect()
}

impl ZoneInfo {
    /// The SOA's rdata, which NS1 makes from the zone and keeps as no record.
    ///
    /// # Errors
    /// When primary or mailbox are no names.
    pub(in crate::provider::ns1) fn soa(&self) -> Result<Vec<u8>, String> {
        let primary = match (&self.primary_master, self.servers.first()) {
            (Some(primary), _) => name(primary)?,
            (None, Some(server)) => server.clone(),
            (None, None) => return Err("the zone has neither a primary nor name servers".into()),
        };
        // RFC 1035 §8: the part in front of the @ is one label.
        let mailbox = match self.hostmaster.split_once('@') {
            Some((local, domain)) => name(&format!("{}.{domain}", local.replace('.', "\\."))),
            None => name(&self.hostmaster),
        }?;
        let mut rdata = [primary.as_wire(), mailbox.as_wire(), &self.serial.to_be_bytes()].concat();
        for time in self.times {
            rdata.extend_from_slice(&time.to_be_bytes());
        }
        Ok(rdata)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{super::dnssec::tests::any_json, *};
    use crate::wire::{RrType, text::print_rdata};

    fn sample() -> Value {
        json!({
            "id": "57d95da659272400013334de", "zone": "test.zone", "ttl": 3600, "nx_ttl": 300, "retry": 7200,
            "refresh": 43200, "expiry": 1209600, "serial": 1473863358, "hostmaster": "host.master@nsone.net",
            "dns_servers": ["dns1.p09.nsone.net", "dns2.p09.nsone.net."], "networks": [0, 7], "meta": {}, "link": null,
            "dnssec": false, "secondary": {"enabled": true, "tsig": {"enabled": true, "key": "c2VjcmV0"}},
            "records": [
                {"domain": "foo.test.zone", "type": "A", "ttl": 180, "tier": 1, "short_answers": ["1.2.3.4"]},
                {"domain": "test.zone", "type": "DNSKEY", "ttl": 3600, "tier": 1.0},
            ],
        })
    }

    #[test]
    fn a_zone_as_ns1s_own_clients_are_tested_with_is_read() {
        let zone = read(&sample()).unwrap();
        assert_eq!(
            (zone.serial, zone.is_secondary, zone.dnssec),
            (1_473_863_358, true, Some(false))
        );
        assert_eq!(zone.servers[0].to_string(), "dns1.p09.nsone.net.");
        assert_eq!(zone.servers[1].to_string(), "dns2.p09.nsone.net.");
        assert_eq!(zone.networks, [0, 7]);
        let mut soa = String::new();
        print_rdata(RrType::SOA, &zone.soa().unwrap(), &mut soa).unwrap();
        assert_eq!(
            soa,
            "dns1.p09.nsone.net. host\\.master.nsone.net. 1473863358 43200 7200 1209600 300"
        );
        let rows = read_rows(&sample()).unwrap();
        assert_eq!(
            (rows.len(), rows[0].domain.as_str(), rows[1].rtype.as_str()),
            (2, "foo.test.zone", "DNSKEY")
        );
    }

    #[test]
    fn what_is_no_zone_is_told() {
        assert_eq!(
            read(&json!([])).unwrap_err(),
            "expected a zone with its serial, found an array"
        );
        assert!(
            read(&json!({"serial": 1, "dns_servers": ["a..b"]}))
                .unwrap_err()
                .contains("not a domain name")
        );
        assert!(
            read_rows(&json!({"records": [{"type": "A"}]}))
                .unwrap_err()
                .contains("without owner")
        );
        assert_eq!(read_rows(&json!({})).unwrap(), []);
    }

    proptest! {
        #[test]
        fn any_json_is_a_zone_or_an_error(value in any_json()) {
            let _ = read_rows(&value);
            if let Ok(zone) = read(&value) {
                let _ = zone.soa();
            }
        }
    }
}
