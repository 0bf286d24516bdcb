//! `/zones/ZONE/dnssec` and the external key sets below it.
//!
//! NS1's documents name the members of a set, and leave its JSON open; the knobs choose. Members of `/dnssec` are
//! arrays of strings, as NS1's Go client decodes them.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    account::Account,
    keys::ExternalSet,
    knobs::Shapes,
    record::domain_text,
    reply::{Body, Reply},
    routes::{Call, Handled},
};
use crate::dnssec::{
    algorithm::{Algorithm, DigestType},
    key::Dnskey,
    keyset::DNSKEY_TTL,
};

/// How many external sets a zone may have, and how many keys a set.
const MAX_SETS: usize = 32;
const MAX_KEYS: usize = 32;

pub(super) fn get(account: &mut Account, call: &Call<'_>) -> Handled {
    let all = account.knobs.external_in_reply;
    let zone = account.zone_of(call)?;
    if !zone.keys.enabled {
        return Err(Reply::error(
            StatusCode::NOT_FOUND,
            "DNSSEC is not enabled on the zone",
        ));
    }
    let own = zone.keys.own();
    let shown = if all { zone.keys.published() } else { own.clone() };
    let secure: Vec<&Dnskey> = own.iter().filter(|key| key.is_sep()).collect();
    let ds = secure.iter().map(|key| {
        let rdata = key.ds(zone.apex.as_ref(), DigestType::Sha256);
        json!([
            key.key_tag().to_string(),
            key.algorithm().0.to_string(),
            DigestType::Sha256.number().to_string(),
            data_encoding::HEXLOWER.encode(rdata.get(4..).unwrap_or_default()),
        ])
    });
    let ds: Vec<Value> = ds.collect();
    let ttl = DNSKEY_TTL.seconds();
    Ok(Reply::json(json!({
        "zone": format!("{}.", domain_text(&zone.apex)),
        "keys": {"ttl": ttl, "dnskey": shown.iter().map(strings).collect::<Vec<_>>()},
        "delegation": {"ttl": ttl, "dnskey": secure.into_iter().map(strings).collect::<Vec<_>>(), "ds": ds},
    })))
}

fn strings(key: &Dnskey) -> Value {
    json!([
        key.flags().to_string(),
        key.protocol().to_string(),
        key.algorithm().0.to_string(),
        data_encoding::BASE64.encode(key.public_key()),
    ])
}

// ---- external key sets ----

fn no_set() -> Reply {
    Reply::error(StatusCode::NOT_FOUND, "external key set not found")
}

pub(super) fn list_external(account: &mut Account, call: &Call<'_>) -> Handled {
    let shapes = account.knobs.shapes;
    let sets = &account.zone_of(call)?.keys.external;
    let written = sets.iter().map(|(name, set)| (name.clone(), write(set, shapes)));
    if shapes.array {
        let array = written.map(|(name, mut set)| {
            set["name"] = name.into();
            set
        });
        return Ok(Reply::json(array.collect::<Vec<_>>().into()));
    }
    Ok(Reply::json(Value::Object(written.collect())))
}

pub(super) fn get_external(account: &mut Account, call: &Call<'_>) -> Handled {
    let shapes = account.knobs.shapes;
    let zone = account.zone_of(call)?;
    let set = zone.keys.external.get(call.parameter(1)).ok_or_else(no_set)?;
    Ok(Reply::json(write(set, shapes)))
}

pub(super) fn create_external(account: &mut Account, call: &Call<'_>) -> Handled {
    let zone = account.zone_of(call)?;
    if zone.keys.external.contains_key(call.parameter(1)) {
        return Err(Reply::error(
            StatusCode::CONFLICT,
            "external key set already exists",
        ));
    }
    if zone.keys.external.len() >= MAX_SETS {
        return Err(Reply::invalid(
            "the zone has as many external key sets as it may have",
        ));
    }
    put(account, call)
}

pub(super) fn modify_external(account: &mut Account, call: &Call<'_>) -> Handled {
    let zone = account.zone_of(call)?;
    if !zone.keys.external.contains_key(call.parameter(1)) {
        return Err(no_set());
    }
    put(account, call)
}

fn put(account: &mut Account, call: &Call<'_>) -> Handled {
    let shapes = account.knobs.shapes;
    let set = read(&call.request.object()?, shapes)?;
    let reply = Reply::json(write(&set, shapes));
    let dropped = account.knobs.early_keys_dropped;
    let zone = account.zone_of(call)?;
    if zone.keys.enabled || !dropped {
        zone.keys.external.insert(call.parameter(1).into(), set);
        note(account, call);
    }
    Ok(reply)
}

pub(super) fn delete_external(account: &mut Account, call: &Call<'_>) -> Handled {
    let zone = account.zone_of(call)?;
    zone.keys.external.remove(call.parameter(1)).ok_or_else(no_set)?;
    note(account, call);
    Ok(Reply::with(StatusCode::NO_CONTENT, Body::Nothing))
}

fn note(account: &mut Account, call: &Call<'_>) {
    let name = call.zone();
    if let Some(zone) = account.zones.get_mut(&name).filter(|zone| zone.keys.enabled) {
        zone.touch(call.now.wall);
        account.note_keys(&name, call.now);
    }
}

fn write(set: &ExternalSet, shapes: Shapes) -> Value {
    let number = |number: u32| match shapes.strings {
        true => Value::String(number.to_string()),
        false => number.into(),
    };
    let data = set.keys.iter().map(|key| {
        json!({
            "flags": number(key.flags().into()),
            "protocol": number(key.protocol().into()),
            "algorithm": number(key.algorithm().0.into()),
            "public_key": data_encoding::BASE64.encode(key.public_key()),
        })
    });
    let bare = json!({"ttl": number(set.ttl), "data": data.collect::<Vec<_>>()});
    if shapes.bare {
        bare
    } else {
        json!({ "dnskey": bare })
    }
}

/// Reads a set, wrapped or bare, numbers as numbers or strings; when the shapes are strict, as they say.
fn read(body: &Map<String, Value>, shapes: Shapes) -> Result<ExternalSet, Reply> {
    let wrapped = match body.get("dnskey") {
        Some(Value::Object(wrapped)) => Some(wrapped),
        Some(other) => return Err(Reply::wrong_type("dnskey", other, "object")),
        None => None,
    };
    if shapes.strict && wrapped.is_some() == shapes.bare {
        return Err(missing(if shapes.bare { "data" } else { "dnskey" }));
    }
    let set = wrapped.unwrap_or(body);
    let ttl = match set.get("ttl") {
        None | Some(Value::Null) => DNSKEY_TTL.seconds(),
        // `/dnssec` shows its TTL as a number beside keys of strings, so a set may be told so in either shape.
        Some(ttl) => {
            let lenient = Shapes {
                strict: false,
                ..shapes
            };
            number(ttl, "dnskey.ttl", u32::MAX, lenient)?
        }
    };
    let data = set.get("data").ok_or_else(|| missing("data"))?;
    let data = data
        .as_array()
        .ok_or_else(|| Reply::wrong_type("dnskey.data", data, "array"))?;
    if data.len() > MAX_KEYS {
        return Err(Reply::invalid("the set has more keys than it may have"));
    }
    let keys: Result<Vec<Dnskey>, Reply> = data.iter().map(|key| read_key(key, shapes)).collect();
    Ok(ExternalSet { ttl, keys: keys? })
}

fn missing(member: &str) -> Reply {
    Reply::invalid(&format!(
        "Input validation failed (Required field '<obj>.{member}' is missing)"
    ))
}

fn read_key(key: &Value, shapes: Shapes) -> Result<Dnskey, Reply> {
    let member = |name: &str| {
        key.get(name)
            .ok_or_else(|| missing(&format!("dnskey.data[].{name}")))
    };
    let read = |name: &str, largest| number(member(name)?, &format!("dnskey.data[].{name}"), largest, shapes);
    let flags = read("flags", u16::MAX.into())?;
    let protocol = read("protocol", u8::MAX.into())?;
    let algorithm = read("algorithm", u8::MAX.into())?;
    let public = member("public_key")?;
    let octets = public
        .as_str()
        .and_then(|text| data_encoding::BASE64.decode(text.as_bytes()).ok())
        .filter(|octets| !octets.is_empty())
        .ok_or_else(|| Reply::wrong_type("dnskey.data[].public_key", public, "base64"))?;
    if protocol != 3 {
        return Err(Reply::invalid("invalid: the protocol of a DNSKEY is 3"));
    }
    Ok(Dnskey::new(flags as u16, Algorithm(algorithm as u8), &octets))
}

fn number(value: &Value, member: &str, largest: u32, shapes: Shapes) -> Result<u32, Reply> {
    let expected = if shapes.strings { "string" } else { "integer" };
    let read = match value {
        Value::Number(number) if !shapes.strict || !shapes.strings => number.as_u64(),
        Value::String(text) if !shapes.strict || shapes.strings => text.parse().ok(),
        _ => None,
    };
    read.and_then(|number| u32::try_from(number).ok())
        .filter(|number| *number <= largest)
        .ok_or_else(|| Reply::wrong_type(member, value, expected))
}
