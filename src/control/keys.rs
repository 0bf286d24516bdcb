//! What people do with keys, in the words of the protocol: the server does it for its clients, and the commands
//! do it themselves where no server runs.

use std::path::Path;

use data_encoding::HEXUPPER;

use super::protocol::{
    DsRecords, Generate, Import, KeyList, KeyStatus, KeysChanged, Readmit, Refusal, Withdraw,
};
use crate::{
    clock::UnixTime,
    dnssec::{
        algorithm::{Algorithm, DigestType, SigningAlgorithm},
        custody::{self, Listed, Place, Stored, Wanted},
        key::Dnskey,
        keyset::{KeyState, Origin, PublishedKey, Role},
        register::Journal,
    },
    wire::Name,
};

/// Makes keys.
///
/// # Errors
/// When the algorithm is not one whose keys are made here, or folder or register cannot be used.
pub fn generate(place: Place<'_>, request: &Generate, now: UnixTime) -> Result<KeysChanged, Refusal> {
    let algorithm = algorithm(&request.algorithm)?;
    let roles = match request.role.as_deref() {
        None => vec![Role::Ksk, Role::Zsk],
        Some("ksk") => vec![Role::Ksk],
        Some("zsk") => vec![Role::Zsk],
        Some("csk") => vec![Role::Csk],
        Some(other) => {
            return Err(Refusal {
                error: format!("there is no role \"{}\"", other.escape_debug()),
                advice: Some("choose ksk, zsk or csk".to_owned()),
            });
        }
    };
    let wanted: Vec<Wanted> = roles.into_iter().map(|role| Wanted { algorithm, role }).collect();
    let stored = custody::generate(place, &wanted, now).map_err(|error| refusal(&error))?;
    Ok(changed(stored, now))
}

/// Imports key pairs.
///
/// # Errors
/// When a file cannot be used, or folder or register cannot.
pub fn import(place: Place<'_>, request: &Import, now: UnixTime) -> Result<KeysChanged, Refusal> {
    let stored = custody::import(place, &request.files, now).map_err(|error| refusal(&error))?;
    Ok(changed(stored, now))
}

/// Withdraws a provider's key, or buries a lost one of ours.
///
/// # Errors
/// When there is no such key, or more than one, or it is not lost.
pub fn withdraw(
    zone: &Name,
    request: &Withdraw,
    folder: Option<&Path>,
    journal: &dyn Journal,
    now: UnixTime,
) -> Result<KeysChanged, Refusal> {
    if request.reason.trim().is_empty() {
        return Err(Refusal {
            error: "nothing is withdrawn without a reason".to_owned(),
            advice: Some("say in words why".to_owned()),
        });
    }
    let tag = request.tag;
    let shown = custody::shown_by_servers(zone, tag, journal).map_err(|error| refusal(&error))?;
    if !shown.is_empty() && !request.served {
        let shown: Vec<String> = shown.iter().map(ToString::to_string).collect();
        return Err(Refusal {
            error: format!(
                "key {tag} is not withdrawn: {} shows it, and what it signs would be bogus to whoever has our DNSKEY RRset",
                shown.join(", ")
            ),
            advice: Some("if that has to be, say --served too".to_owned()),
        });
    }
    let withdrawn = custody::withdraw(zone, tag, &request.reason, folder, journal, now)
        .map_err(|error| refusal(&error))?;
    let still_in: Vec<String> = withdrawn.still_in.iter().map(ToString::to_string).collect();
    let mut remarks = Vec::new();
    if !still_in.is_empty() {
        remarks.push(format!(
            "it is still in {} and stays out of the DNSKEY RRset all the same; take it out there (countersign keys readmit {zone} {} lets it in again)",
            still_in.join(", "),
            tag
        ));
    }
    let key = KeyStatus {
        origin: if withdrawn.own { "own" } else { "provider" }.to_owned(),
        sources: still_in,
        state: if withdrawn.own { "lost" } else { "withdrawn" }.to_owned(),
        since: Some(now),
        ..describe(&withdrawn.dnskey)
    };
    Ok(KeysChanged {
        keys: vec![key],
        remarks,
    })
}

/// Lets a provider's key in again that a person withdrew.
///
/// # Errors
/// When there is no such key, or more than one.
pub fn readmit(
    zone: &Name,
    request: &Readmit,
    journal: &dyn Journal,
    now: UnixTime,
) -> Result<KeysChanged, Refusal> {
    let key = custody::readmit(zone, request.tag, journal, now).map_err(|error| refusal(&error))?;
    let key = KeyStatus {
        origin: "provider".to_owned(),
        state: "seen".to_owned(),
        since: Some(now),
        ..describe(&key)
    };
    Ok(KeysChanged {
        keys: vec![key],
        remarks: Vec::new(),
    })
}

/// All keys that are known, ours first.
///
/// # Errors
/// When folder or register cannot be read.
pub fn list(place: Place<'_>, now: UnixTime) -> Result<KeyList, Refusal> {
    let (listed, errors) = custody::list(place, now).map_err(|error| refusal(&error))?;
    Ok(KeyList {
        keys: listed.into_iter().map(of_listed).collect(),
        warnings: errors.iter().map(|error| super::zones::causes(error)).collect(),
    })
}

/// The DS records of our own KSKs and CSKs.
///
/// # Errors
/// When folder or register cannot be read.
pub fn own_ds(place: Place<'_>, now: UnixTime) -> Result<DsRecords, Refusal> {
    let rdatas = custody::own_ds(place, DigestType::Sha256, now).map_err(|error| refusal(&error))?;
    Ok(ds_records(place.apex, &rdatas))
}

/// DS rdata as records in master format.
pub fn ds_records(apex: &Name, rdatas: &[Box<[u8]>]) -> DsRecords {
    let record = |rdata: &[u8]| {
        let (tag, digest) = (
            u16::from_be_bytes([rdata[0], rdata[1]]),
            HEXUPPER.encode(&rdata[4..]),
        );
        format!("{apex} IN DS {tag} {} {} {digest}", rdata[2], rdata[3])
    };
    DsRecords {
        records: rdatas.iter().map(|rdata| record(rdata)).collect(),
    }
}

/// A key of the set that is served, or one that signs without being there.
pub(super) fn at_work(key: &PublishedKey) -> KeyStatus {
    let sources = match &key.origin {
        Origin::Own => Vec::new(),
        Origin::Provider { sources } => sources.clone(),
    };
    KeyStatus {
        role: key.role.to_string(),
        origin: if key.origin == Origin::Own {
            "own"
        } else {
            "provider"
        }
        .to_owned(),
        sources,
        state: key.state.to_string(),
        signs: key.active,
        ..describe(&key.dnskey)
    }
}

fn of_listed(key: Listed) -> KeyStatus {
    KeyStatus {
        role: key.role.to_string(),
        origin: if key.own { "own" } else { "provider" }.to_owned(),
        sources: key.sources.iter().map(ToString::to_string).collect(),
        signs: key.signs,
        state: key.state,
        since: key.since,
        ..describe(&key.dnskey)
    }
}

fn changed(stored: Vec<Stored>, now: UnixTime) -> KeysChanged {
    let mut changed = KeysChanged::default();
    for key in stored {
        let tag = key.dnskey.key_tag();
        if key.was_there {
            changed
                .remarks
                .push(format!("key {tag} was in the key folder already"));
        }
        changed.remarks.extend(key.note.as_ref().map(ToString::to_string));
        changed.keys.push(KeyStatus {
            origin: "own".to_owned(),
            files: Some(key.path),
            state: key.state.to_string(),
            since: Some(now),
            signs: key.state.state().is_some_and(KeyState::signs),
            ..describe(&key.dnskey)
        });
    }
    changed
}

/// What the key alone says.
fn describe(key: &Dnskey) -> KeyStatus {
    KeyStatus {
        tag: key.key_tag(),
        algorithm: key.algorithm().to_string(),
        role: if key.is_sep() { "KSK" } else { "ZSK" }.to_owned(),
        origin: String::new(),
        sources: Vec::new(),
        state: String::new(),
        since: None,
        signs: false,
        dnskey: key.to_string(),
        files: None,
    }
}

fn algorithm(text: &str) -> Result<SigningAlgorithm, Refusal> {
    let found = Algorithm::from_text(text).and_then(|algorithm| SigningAlgorithm::try_from(algorithm).ok());
    found
        .filter(|algorithm| algorithm.makes_keys())
        .ok_or_else(|| Refusal {
            error: format!("keys of \"{}\" are not made here", text.escape_debug()),
            advice: Some(
                "choose ECDSAP256SHA256, ECDSAP384SHA384 or ED25519; RSASHA256 keys can be imported"
                    .to_owned(),
            ),
        })
}

/// An error with its causes as a refusal.
pub(super) fn refusal(error: &dyn std::error::Error) -> Refusal {
    Refusal {
        error: super::zones::causes(error),
        advice: None,
    }
}
