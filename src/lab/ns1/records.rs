//! `/zones/ZONE/DOMAIN/TYPE`.

use axum::http::StatusCode;

use super::{
    account::Account,
    hosted::dnskey_record,
    record::{HostedRecord, RecordType, SIGNERS_TYPES},
    reply::Reply,
    routes::{Call, Handled},
};
use crate::wire::{Name, RrType, Ttl};

/// How many records a zone may have.
const MAX_RECORDS: usize = 1_000_000;

fn no_record() -> Reply {
    Reply::error(StatusCode::NOT_FOUND, "record not found")
}

fn target(call: &Call<'_>) -> Result<(Name, RecordType), Reply> {
    let (domain, rtype) = (call.parameter(1), call.parameter(2));
    let rtype = RecordType::from_text(rtype)
        .ok_or_else(|| Reply::invalid(&format!("invalid: there is no record type {rtype}")))?;
    let name: Name = domain
        .parse()
        .map_err(|error| Reply::invalid(&format!("invalid: domain {domain:?}: {error}")))?;
    Ok((name.as_ref().to_lowercase(), rtype))
}

/// The target of a request that writes.
fn writable(call: &Call<'_>) -> Result<(Name, RecordType), Reply> {
    let (domain, rtype) = target(call)?;
    if rtype.dns().is_some_and(|rtype| SIGNERS_TYPES.contains(&rtype)) {
        return Err(Reply::error(
            StatusCode::METHOD_NOT_ALLOWED,
            "Operation on DNSSEC record is not allowed",
        ));
    }
    Ok((domain, rtype))
}

pub(super) fn get(account: &mut Account, call: &Call<'_>) -> Handled {
    let (domain, rtype) = target(call)?;
    let zone = account.zone_of(call)?;
    if rtype.dns() == Some(RrType::DNSKEY) && domain == zone.apex {
        let record = dnskey_record(zone).ok_or_else(no_record)?;
        return Ok(Reply::json(record.object(&zone.apex)));
    }
    let record = zone.record(&domain, &rtype).ok_or_else(no_record)?;
    Ok(Reply::json(record.object(&zone.apex)))
}

pub(super) fn create(account: &mut Account, call: &Call<'_>) -> Handled {
    let (domain, rtype) = writable(call)?;
    let body = call.request.object()?;
    let id = account.next_id(call.now.wall);
    let zone = account.zone_of(call)?;
    if zone.record(&domain, &rtype).is_some() {
        return Err(Reply::error(StatusCode::CONFLICT, "record already exists"));
    }
    if !domain.as_ref().is_at_or_below(zone.apex.as_ref()) {
        return Err(Reply::invalid("invalid: the domain is not in the zone"));
    }
    if zone.conflicts(&domain, &rtype) {
        return Err(Reply::invalid(
            "invalid: a CNAME and other records cannot be at one name",
        ));
    }
    if zone.records().len() >= MAX_RECORDS {
        return Err(Reply::invalid("the zone has as many records as it may have"));
    }
    let default = zone.object()["ttl"].as_u64().unwrap_or(3_600);
    let mut record = HostedRecord::new(id, domain, rtype, Ttl::new(default as u32));
    record.take(&body)?;
    let object = record.object(&zone.apex);
    zone.put(record);
    zone.touch(call.now.wall);
    Ok(Reply::json(object))
}

pub(super) fn modify(account: &mut Account, call: &Call<'_>) -> Handled {
    let (domain, rtype) = writable(call)?;
    let body = call.request.object()?;
    let zone = account.zone_of(call)?;
    let mut record = zone.record(&domain, &rtype).ok_or_else(no_record)?.clone();
    record.take(&body)?;
    let object = record.object(&zone.apex);
    zone.put(record);
    zone.touch(call.now.wall);
    Ok(Reply::json(object))
}

pub(super) fn delete(account: &mut Account, call: &Call<'_>) -> Handled {
    let (domain, rtype) = writable(call)?;
    let zone = account.zone_of(call)?;
    zone.remove(&domain, &rtype).ok_or_else(no_record)?;
    zone.touch(call.now.wall);
    Ok(Reply::json(serde_json::json!({})))
}
