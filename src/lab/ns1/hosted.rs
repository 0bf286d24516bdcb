//! `/zones` and `/zones/ZONE`.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    account::{Account, MAX_ZONES, Now},
    record::{HostedRecord, domain_text},
    reply::{Body, Reply, Request, encode},
    routes::{Call, Handled},
    zone::HostedZone,
};
use crate::wire::{Name, RrType};

/// Zones, or records of a zone, on a page.
const PAGE: usize = 2_500;

pub(super) fn no_zone() -> Reply {
    Reply::error(StatusCode::NOT_FOUND, "zone not found")
}

impl Account {
    /// The zone that the path names.
    pub(super) fn zone_of(&mut self, call: &Call<'_>) -> Result<&mut HostedZone, Reply> {
        self.zones.get_mut(&call.zone()).ok_or_else(no_zone)
    }

    /// A new zone of this name.
    pub(super) fn new_zone(&mut self, name: &str, now: Now) -> Result<HostedZone, Reply> {
        let apex: Name = name
            .parse()
            .map_err(|error| Reply::invalid(&format!("invalid: zone {name:?}: {error}")))?;
        if self.zones.contains_key(name) {
            return Err(Reply::error(StatusCode::CONFLICT, "zone already exists"));
        }
        if self.zones.len() >= MAX_ZONES {
            return Err(Reply::invalid("the account has as many zones as it may have"));
        }
        let id = self.next_id(now.wall);
        Ok(HostedZone::new(apex, id, self.name_servers().to_vec(), now.wall))
    }

    /// Switches DNSSEC as the member `dnssec` of a body says, if it is there.
    fn take_dnssec(&mut self, name: &str, body: &Map<String, Value>, now: Now) -> Result<(), Reply> {
        let on = match body.get("dnssec") {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::Bool(on)) => *on,
            Some(other) => return Err(Reply::wrong_type("dnssec", other, "boolean")),
        };
        if on && self.knobs.dnssec_refused {
            return Err(Reply::invalid(
                "DNSSEC support is not enabled for this account. Please contact support@ns1.com to enable it",
            ));
        }
        if on && self.zones.get(name).is_some_and(HostedZone::is_secondary) {
            return Err(Reply::invalid("DNSSEC cannot be enabled on a secondary zone"));
        }
        self.enable_dnssec(name, on, now)
            .map_err(|error| Reply::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()))
    }

    /// Where a page begins and how long it is; the link to the next when there is one.
    fn page<T>(&self, request: &Request, path: &str, rows: Vec<(String, T)>) -> (Vec<T>, Option<String>) {
        let largest = self.knobs.page_size.map_or(PAGE, |size| size as usize);
        let asked = request.parameter("limit").and_then(|limit| limit.parse().ok());
        let limit = asked.unwrap_or(largest).clamp(1, largest);
        let after = request.parameter("after");
        // A row that is gone by now ends it: whoever asks again gets all.
        let behind = |after| {
            rows.iter()
                .position(|(at, _)| at == after)
                .map_or(rows.len(), |at| at + 1)
        };
        let begin = after.map_or(0, behind);
        let more = rows.len() > begin + limit;
        let last = more.then(|| rows[begin + limit - 1].0.clone());
        // NS1's links say http; its clients make https of it.
        let link = last.map(|last| {
            format!(
                "<http://{}{path}?after={}&limit={limit}>; rel=\"next\"",
                request.host,
                encode(&last)
            )
        });
        let rows = rows.into_iter().skip(begin).take(limit).map(|(_, row)| row);
        (rows.collect(), link)
    }
}

pub(super) fn list(account: &mut Account, call: &Call<'_>) -> Handled {
    let rows = account
        .zones
        .iter()
        .map(|(name, zone)| (name.clone(), zone.object()));
    let (zones, link) = account.page(call.request, "/v1/zones", rows.collect());
    Ok(with_link(Reply::json(zones.into()), link))
}

fn with_link(reply: Reply, link: Option<String>) -> Reply {
    match link {
        Some(link) => reply.header("Link", link),
        None => reply,
    }
}

pub(super) fn get(account: &mut Account, call: &Call<'_>) -> Handled {
    let name = call.zone();
    let zone = account.zone_of(call)?;
    let mut object = zone.object();
    if call.request.parameter("records") == Some("false") {
        return Ok(Reply::json(object));
    }
    let rows = rows(zone);
    let (rows, link) = account.page(call.request, &format!("/v1/zones/{}", encode(&name)), rows);
    object["records"] = rows.into();
    Ok(with_link(Reply::json(object), link))
}

/// The rows of the zone's records, those of the signer included, in order of their names.
fn rows(zone: &HostedZone) -> Vec<(String, Value)> {
    let mut rows: BTreeMap<(&Name, String), Value> = zone
        .records()
        .values()
        .map(|record| ((&record.domain, record.rtype.to_string()), record.row()))
        .collect();
    if let Some(dnskey) = dnskey_record(zone) {
        let mut rrsig = dnskey.row();
        rrsig["type"] = "RRSIG".into();
        rrsig["short_answers"] = json!([]);
        rows.insert((&zone.apex, "DNSKEY".into()), dnskey.row());
        rows.insert((&zone.apex, "RRSIG".into()), rrsig);
    }
    rows.into_iter()
        .map(|((domain, rtype), row)| (format!("{}/{rtype}", domain_text(domain)), row))
        .collect()
}

/// The DNSKEY record of a signed zone: NS1's own keys and those of others, in one flat list.
pub(super) fn dnskey_record(zone: &HostedZone) -> Option<HostedRecord> {
    let keys = zone.keys.enabled.then(|| zone.keys.published())?;
    let rdatas = keys.iter().map(|key| key.rdata().to_vec()).collect();
    HostedRecord::from_rdatas(
        "0".repeat(24),
        zone.apex.clone(),
        RrType::DNSKEY,
        crate::dnssec::keyset::DNSKEY_TTL,
        rdatas,
    )
}

pub(super) fn create(account: &mut Account, call: &Call<'_>) -> Handled {
    let (name, body) = (call.zone(), call.request.object()?);
    let mut zone = account.new_zone(&name, call.now)?;
    zone.take(&body)?;
    account.zones.insert(name.clone(), zone);
    if let Err(refused) = account.take_dnssec(&name, &body, call.now) {
        account.zones.remove(&name);
        return Err(refused);
    }
    let mut object = account.zone_of(call)?.object();
    object["records"] = json!([]);
    Ok(Reply::with(StatusCode::CREATED, Body::Json(object)))
}

pub(super) fn modify(account: &mut Account, call: &Call<'_>) -> Handled {
    let (name, body) = (call.zone(), call.request.object()?);
    let zone = account.zone_of(call)?;
    zone.take(&body)?;
    zone.touch(call.now.wall);
    account.take_dnssec(&name, &body, call.now)?;
    Ok(Reply::json(account.zone_of(call)?.object()))
}

pub(super) fn delete(account: &mut Account, call: &Call<'_>) -> Handled {
    account.zones.remove(&call.zone()).ok_or_else(no_zone)?;
    Ok(Reply::with(StatusCode::NO_CONTENT, Body::Nothing))
}
