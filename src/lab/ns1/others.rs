//! Networks, TSIG keys, and versions of zones.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    account::Account,
    reply::Reply,
    routes::{Call, Handled},
};

/// How many TSIG keys an account may have.
const MAX_TSIG_KEYS: usize = 1_000;

pub(super) fn networks(account: &mut Account, _: &Call<'_>) -> Handled {
    let mut networks = vec![json!({"label": "NS1 Managed DNS", "name": "NSONE", "network_id": 0})];
    if account.knobs.second_network {
        networks.push(json!({"label": "Dedicated", "name": "DEDICATED", "network_id": 1}));
    }
    Ok(Reply::json(networks.into()))
}

// ---- TSIG keys ----

fn no_tsig_key() -> Reply {
    Reply::error(StatusCode::NOT_FOUND, "TSIG key does not exist")
}

pub(super) fn tsig_keys(account: &mut Account, _: &Call<'_>) -> Handled {
    let keys: Vec<Value> = account.tsig.values().cloned().map(Value::Object).collect();
    Ok(Reply::json(keys.into()))
}

pub(super) fn tsig_key(account: &mut Account, call: &Call<'_>) -> Handled {
    let key = account.tsig.get(call.parameter(0)).ok_or_else(no_tsig_key)?;
    Ok(Reply::json(Value::Object(key.clone())))
}

pub(super) fn create_tsig_key(account: &mut Account, call: &Call<'_>) -> Handled {
    let (name, body) = (call.parameter(0), call.request.object()?);
    if account.tsig.contains_key(name) {
        return Err(Reply::error(StatusCode::CONFLICT, "TSIG key already exists"));
    }
    if account.tsig.len() >= MAX_TSIG_KEYS {
        return Err(Reply::invalid("the account has as many TSIG keys as it may have"));
    }
    let mut key = Map::new();
    key.insert("name".into(), name.into());
    for member in ["algorithm", "secret"] {
        let value = body.get(member).cloned().unwrap_or_default();
        if !value.is_string() {
            return Err(Reply::wrong_type(member, &value, "string"));
        }
        key.insert(member.into(), value);
    }
    account.tsig.insert(name.into(), key.clone());
    Ok(Reply::json(Value::Object(key)))
}

pub(super) fn modify_tsig_key(account: &mut Account, call: &Call<'_>) -> Handled {
    let body = call.request.object()?;
    let key = account.tsig.get_mut(call.parameter(0)).ok_or_else(no_tsig_key)?;
    for member in ["algorithm", "secret"] {
        if let Some(value @ Value::String(_)) = body.get(member) {
            key.insert(member.into(), value.clone());
        }
    }
    Ok(Reply::json(Value::Object(key.clone())))
}

pub(super) fn delete_tsig_key(account: &mut Account, call: &Call<'_>) -> Handled {
    account.tsig.remove(call.parameter(0)).ok_or_else(no_tsig_key)?;
    Ok(Reply::json(json!({})))
}

// ---- versions ----

pub(super) fn versions(account: &mut Account, call: &Call<'_>) -> Handled {
    let zone = account.zone_of(call)?;
    let versions: Vec<Value> = zone.versions.iter().map(|version| version.object()).collect();
    Ok(Reply::json(versions.into()))
}

pub(super) fn create_version(account: &mut Account, call: &Call<'_>) -> Handled {
    let body = call.request.object()?;
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
    let zone = account.zone_of(call)?;
    let version = zone.keep_version(name, call.now.wall);
    version
        .map(Reply::json)
        .ok_or_else(|| Reply::invalid("the zone has as many versions as it may have"))
}

fn version_id(call: &Call<'_>) -> Result<u64, Reply> {
    call.parameter(1).parse().map_err(|_| no_version())
}

fn no_version() -> Reply {
    Reply::error(StatusCode::NOT_FOUND, "version not found")
}

pub(super) fn activate_version(account: &mut Account, call: &Call<'_>) -> Handled {
    let id = version_id(call)?;
    let zone = account.zone_of(call)?;
    if !zone.activate(id) {
        return Err(no_version());
    }
    zone.touch(call.now.wall);
    Ok(Reply::json(json!({})))
}

pub(super) fn delete_version(account: &mut Account, call: &Call<'_>) -> Handled {
    let id = version_id(call)?;
    let zone = account.zone_of(call)?;
    let at = zone.versions.iter().position(|version| version.id == id);
    match at.map(|at| zone.versions[at].active) {
        None => Err(no_version()),
        Some(true) => Err(Reply::invalid("the active version cannot be deleted")),
        Some(false) => {
            zone.versions.retain(|version| version.id != id);
            Ok(Reply::json(json!({})))
        }
    }
}
