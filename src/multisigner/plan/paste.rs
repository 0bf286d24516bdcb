//! What a person pastes: records in master format, one a line.

use std::collections::BTreeSet;

use super::{
    super::safety::{Csync, DsSet, KeyId, KeySet, ProviderId, Seconds, Slot, Value},
    Action, Actor, Plan, Situation,
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
        .chain(to_come(situation, keys))
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
    let keys = ds.records.iter().map(|record| record.key).collect();
    records.chain(to_come(situation, keys)).collect()
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
        .chain(to_come(situation, wanted))
        .collect()
}

/// A CSYNC record, for a provider that takes it from a person.
pub(super) fn csync(situation: &Situation, csync: Csync, ttl: Seconds) -> String {
    format!("{} {ttl} IN CSYNC {csync}", situation.zone)
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

/// What the person of a step pastes; of keys that are still to be made a comment says so. Nothing for a step without
/// records.
pub(super) fn lines(situation: &Situation, action: &Action, changes: &[Value]) -> Option<Vec<String>> {
    changes.iter().find_map(|value| match (action, value) {
        (Action::Give { .. }, Value::Keys(_, rrset)) => {
            let ours = |key: &KeyId| situation.key(*key).is_some_and(|key| key.owner == Some(US));
            Some(dnskeys(
                situation,
                rrset.keys.iter().filter(ours).collect(),
                rrset.ttl,
            ))
        }
        (Action::Ds { .. }, Value::Ds(set)) => Some(ds(situation, set)),
        (Action::ParentNs { .. }, Value::ParentNs(set))
        | (Action::ChildNs { .. }, Value::ChildNs(_, set)) => Some(ns(situation, &set.members, set.ttl)),
        // What is not its own has to be written there.
        (Action::Theirs { provider, .. }, Value::Keys(_, rrset)) => {
            let theirs = |key: &KeyId| {
                situation
                    .key(*key)
                    .is_some_and(|key| key.owner == Some(*provider))
            };
            let others = rrset.keys.iter().filter(|key| !theirs(key));
            Some(dnskeys(situation, others.collect(), rrset.ttl))
        }
        (Action::Theirs { .. }, Value::Cds(provider, Some(shown))) => {
            let ttl = match situation.value(&Slot::Keys(*provider)) {
                Some(Value::Keys(_, rrset)) => rrset.ttl,
                _ => return None,
            };
            Some(cds(situation, shown.wanted, ttl))
        }
        (Action::Theirs { .. }, Value::Csync(provider, Some(shown))) => {
            let ttl = match situation.value(&Slot::ChildNs(*provider)) {
                Some(Value::ChildNs(_, ns)) => ns.ttl,
                _ => return None,
            };
            Some(vec![csync(situation, *shown, ttl)])
        }
        _ => None,
    })
}

impl Plan {
    /// What the person of a step pastes so that this is served; nothing for a step without records.
    pub fn pasted(&self, step: usize, changes: &[Value]) -> Option<Vec<String>> {
        lines(&self.situation, &self.steps.get(step)?.action, changes)
    }

    /// A key that the plan makes is this one: what is pasted, and how the key is called, follow.
    pub fn made(&mut self, key: KeyId, dnskey: Dnskey) {
        let before = self.situation.label(key);
        let Some(known) = self.situation.keys.get_mut(key.place()) else {
            return;
        };
        known.dnskey = Some(dnskey);
        let after = self.situation.label(key);
        for step in &mut self.steps {
            if let Some(lines) = lines(&self.situation, &step.action, &step.changes)
                && let Actor::Person { paste, .. } = &mut step.by
            {
                *paste = lines;
            }
            for words in [&mut step.what, &mut step.back] {
                *words = words.replace(&before, &after);
            }
            for wait in &mut step.waits {
                wait.why = wait.why.replace(&before, &after);
            }
        }
    }
}

/// What is said of keys that are still to be made: without them the lines are not whole.
fn to_come(situation: &Situation, keys: KeySet) -> impl Iterator<Item = String> {
    let unmade = move |key: &KeyId| situation.key(*key).is_none_or(|key| key.dnskey.is_none());
    keys.iter().filter(unmade).map(|key| {
        format!(
            "; and the same of {}: `countersign status {}` shows it once the key is made",
            situation.label(key),
            situation.zone
        )
    })
}

fn made(situation: &Situation, keys: impl Iterator<Item = KeyId>) -> impl Iterator<Item = (KeyId, &Dnskey)> {
    keys.filter_map(|key| Some((key, situation.key(key)?.dnskey.as_ref()?)))
}
