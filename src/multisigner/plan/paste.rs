//! What a person pastes: records in master format, one a line.

use std::collections::BTreeSet;

use super::{
    super::safety::{DsSet, KeyId, KeySet, ProviderId, Seconds, Slot, Value},
    Action, Actor, Plan, Situation, Step,
    draft::US,
};
use crate::dnssec::{
    algorithm::DigestType,
    key::{Dnskey, ds_text},
};

/// DNSKEY records, for a provider without an API.
pub(super) fn dnskeys(situation: &Situation, keys: KeySet, ttl: Seconds) -> Vec<String> {
    made(situation, keys.iter())
        .map(|(_, key)| format!("{} {ttl} IN DNSKEY {key}", situation.zone))
        .collect()
}

/// DS records, for the registrar.
pub(super) fn ds(situation: &Situation, ds: &DsSet) -> Vec<String> {
    let records = ds.records.iter().filter_map(|record| {
        let digest_type = match record.digest_type {
            2 => DigestType::Sha256,
            4 => DigestType::Sha384,
            _ => return None,
        };
        let key = situation.key(record.key)?.dnskey.as_ref()?;
        let rdata = key.ds(situation.zone.as_ref(), digest_type);
        Some(format!("{} {} IN DS {}", situation.zone, ds.ttl, ds_text(&rdata)))
    });
    records.collect()
}

/// CDS and CDNSKEY records, for a provider that takes them from a person.
pub(super) fn cds(situation: &Situation, wanted: KeySet, ttl: Seconds) -> Vec<String> {
    let zone = &situation.zone;
    made(situation, wanted.iter())
        .flat_map(|(_, key)| {
            let rdata = key.ds(zone.as_ref(), DigestType::Sha256);
            [
                format!("{zone} {ttl} IN CDS {}", ds_text(&rdata)),
                format!("{zone} {ttl} IN CDNSKEY {key}"),
            ]
        })
        .collect()
}

/// NS records.
pub(super) fn ns(situation: &Situation, members: &BTreeSet<ProviderId>, ttl: Seconds) -> Vec<String> {
    let servers = members
        .iter()
        .filter_map(|member| situation.member(*member))
        .flat_map(|member| &member.servers);
    servers
        .map(|server| format!("{} {ttl} IN NS {server}", situation.zone))
        .collect()
}

fn made(situation: &Situation, keys: impl Iterator<Item = KeyId>) -> impl Iterator<Item = (KeyId, &Dnskey)> {
    keys.filter_map(|key| Some((key, situation.key(key)?.dnskey.as_ref()?)))
}
