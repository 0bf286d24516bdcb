//! What the DNSKEY RRsets lack, and what the parent's DS leads to.
//!
//! | a key that one server has and another lacks | what it is | severity |
//! |---|---|---|
//! | signs data, and nothing else does | ZSK or CSK | bogus now |
//! | signs data, beside one that both have | ZSK or CSK | would be |
//! | signs nothing, without SEP | a ZSK to come, or one that goes | would be |
//! | SEP, signs no data | KSK | note (RFC 8901 §6.2) |

use std::collections::BTreeSet;

use super::{
    Finding,
    pairs::{KeyId, Verdicts},
};
use crate::{
    dnssec::{
        algorithm::Algorithm,
        key::Dnskey,
        keyset::Role,
        validate::{Bogus, Chained, Ds, Insist, Verdict, is_known, keys_by_ds, validate},
    },
    multisigner::verify::Purpose,
    wire::{RrType, received::Received},
};

/// Judges keys and DS; gives for each server whether the DS leads there, where that is known.
pub(super) fn judge(verdicts: &Verdicts<'_>, findings: &mut Vec<Finding>) -> Vec<Option<bool>> {
    missing_by_answers(verdicts, findings);
    for set in 0..verdicts.sets.len() {
        missing_by_sets(verdicts, set, findings);
    }
    algorithms(verdicts, findings);
    delegation(verdicts, findings)
}

fn id(key: &Dnskey) -> KeyId {
    (key.key_tag(), key.algorithm())
}

fn role(key: &Dnskey, signs_data: bool) -> Role {
    match (key.is_sep(), signs_data) {
        (true, true) => Role::Csk,
        (true, false) => Role::Ksk,
        (false, _) => Role::Zsk,
    }
}

/// The servers whose data a key signs.
fn signers_with(verdicts: &Verdicts<'_>, key: KeyId) -> Vec<usize> {
    let servers = verdicts.servers.iter().enumerate();
    servers
        .filter(|(_, server)| server.used.contains(&key))
        .map(|(index, _)| index)
        .collect()
}

/// Keys for the want of which answers are bogus.
fn missing_by_answers(verdicts: &Verdicts<'_>, findings: &mut Vec<Finding>) {
    let mut seen = BTreeSet::new();
    for failure in verdicts.failures() {
        let Some(wanted) = failure.wanted_keys() else {
            continue;
        };
        if verdicts.wants_a_ksk_only(&failure) {
            continue;
        }
        for key in wanted {
            if !seen.insert((failure.set, key)) {
                continue;
            }
            let same = |other: &super::pairs::Failure<'_>| {
                other.set == failure.set && other.wanted_keys().is_some_and(|keys| keys.contains(&key))
            };
            let signers: BTreeSet<usize> = verdicts.failures().filter(same).map(|one| one.server).collect();
            let dnskey = signers
                .iter()
                .find_map(|server| verdicts.servers[*server].key(key));
            let dnskey = dnskey.or_else(|| published(verdicts, key));
            let signers: Vec<usize> = signers.into_iter().collect();
            findings.push(Finding::KeyMissing {
                lacking: verdicts.labels(&verdicts.sets[failure.set].servers),
                signers: verdicts.labels(&signers),
                tag: key.0,
                algorithm: key.1,
                role: dnskey.map(|dnskey| role(dnskey, true)),
                question: failure.probe.to_string(),
                record: dnskey.map(|dnskey| format!("{} DNSKEY {dnskey}", verdicts.survey.zone)),
            });
        }
    }
}

fn published<'v>(verdicts: &'v Verdicts<'_>, key: KeyId) -> Option<&'v Dnskey> {
    let mut all = verdicts.sets.iter().flat_map(|set| &set.keys);
    all.find(|dnskey| id(dnskey) == key)
}

/// Keys of other sets that this one lacks, and that no answer was found to need.
fn missing_by_sets(verdicts: &Verdicts<'_>, set: usize, findings: &mut Vec<Finding>) {
    let own = &verdicts.sets[set];
    let others: BTreeSet<&Dnskey> = verdicts.sets.iter().flat_map(|set| &set.keys).collect();
    let needed: BTreeSet<KeyId> = findings
        .iter()
        .filter_map(|finding| match finding {
            Finding::KeyMissing { tag, algorithm, .. } => Some((*tag, *algorithm)),
            _ => None,
        })
        .collect();
    let lacking = || verdicts.labels(&own.servers);
    let fit = |key: &&Dnskey| key.is_zone_key() && !key.is_revoked();
    for key in others
        .into_iter()
        .filter(fit)
        .filter(|key| !own.keys.contains(*key))
    {
        let signers = signers_with(verdicts, id(key));
        let (tag, algorithm) = id(key);
        let shown_by: Vec<usize> = verdicts
            .sets
            .iter()
            .filter(|other| other.keys.contains(key))
            .flat_map(|other| other.servers.iter().copied())
            .collect();
        let shown_by = verdicts.labels(&shown_by);
        if !signers.is_empty() {
            if !needed.contains(&id(key)) {
                findings.push(Finding::KeyMissingBesideAnother {
                    lacking: lacking(),
                    signers: verdicts.labels(&signers),
                    tag,
                    algorithm,
                    role: role(key, true),
                });
            }
        } else if key.is_sep() {
            let harms_cds = verdicts.failures().any(|failure| {
                failure.set == set
                    && failure.probe.purpose == Purpose::Cds
                    && failure.wanted_keys().is_some_and(|keys| keys.contains(&id(key)))
            });
            findings.push(Finding::KskMissing {
                lacking: lacking(),
                shown_by,
                tag,
                algorithm,
                harms_cds,
            });
        } else {
            findings.push(Finding::IdleKeyMissing {
                lacking: lacking(),
                shown_by,
                tag,
                algorithm,
            });
        }
    }
}

/// The algorithms that each server signs with: all must be the same (RFC 8901 §4).
fn algorithms(verdicts: &Verdicts<'_>, findings: &mut Vec<Finding>) {
    let signing = verdicts.servers.iter().filter(|server| !server.used.is_empty());
    let by_server: Vec<(String, BTreeSet<Algorithm>)> = signing
        .map(|server| {
            let algorithms = server.used.iter().map(|(_, algorithm)| *algorithm).collect();
            (server.label.clone(), algorithms)
        })
        .collect();
    if by_server.windows(2).any(|two| two[0].1 != two[1].1) {
        findings.push(Finding::AlgorithmsDiffer { by_server });
    }
}

/// A DS RRset, and who shows it.
struct DsSet {
    ds: BTreeSet<Ds>,
    shown_by: Vec<String>,
}

/// What the parent shows: each different RRset once, and what a person gave.
fn ds_sets(verdicts: &Verdicts<'_>, findings: &mut Vec<Finding>) -> Vec<DsSet> {
    let parent = &verdicts.survey.parent;
    let mut sets: Vec<DsSet> = Vec::new();
    for view in &parent.ds {
        let at = format!("parent/{}", view.at);
        match &view.seen {
            Err(why) => findings.push(Finding::ParentUnseen {
                server: at,
                why: why.to_string(),
            }),
            Ok(ds) => {
                let ds: BTreeSet<Ds> = ds.iter().cloned().collect();
                match sets.iter_mut().find(|set| set.ds == ds) {
                    Some(set) => set.shown_by.push(at),
                    None => sets.push(DsSet {
                        ds,
                        shown_by: vec![at],
                    }),
                }
            }
        }
    }
    if !parent.given.is_empty() {
        let ds: BTreeSet<Ds> = parent.given.iter().cloned().collect();
        match sets.iter_mut().find(|set| set.ds == ds) {
            Some(set) => set.shown_by.push("--ds".to_owned()),
            None => sets.push(DsSet {
                ds,
                shown_by: vec!["--ds".to_owned()],
            }),
        }
    }
    if sets.len() > 1 {
        let by_server = sets.iter().map(|set| {
            let ds = set.ds.iter().map(ToString::to_string).collect();
            (set.shown_by.join(", "), ds)
        });
        findings.push(Finding::DsDiffers {
            by_server: by_server.collect(),
        });
    }
    sets
}

fn delegation(verdicts: &Verdicts<'_>, findings: &mut Vec<Finding>) -> Vec<Option<bool>> {
    let mut chains = vec![None; verdicts.servers.len()];
    let parent = &verdicts.survey.parent;
    if parent.ds.is_empty() && parent.given.is_empty() {
        findings.push(Finding::ParentUnknown);
        return chains;
    }
    for set in ds_sets(verdicts, findings) {
        if set.ds.is_empty() {
            findings.push(Finding::NoDs {
                shown_by: set.shown_by,
            });
            continue;
        }
        let ds: Vec<Ds> = set.ds.iter().cloned().collect();
        idle_ds(verdicts, &ds, findings);
        links(verdicts, &ds, &mut chains, findings);
        without_ds(verdicts, &ds, findings);
    }
    chains
}

/// DS records that lead to no key, or that validators do not count.
fn idle_ds(verdicts: &Verdicts<'_>, ds: &[Ds], findings: &mut Vec<Finding>) {
    let apex = verdicts.survey.zone.as_ref();
    let unseen: BTreeSet<&str> = {
        let unseen = verdicts.servers.iter().filter(|server| server.keys.is_none());
        unseen.map(|server| server.target.provider.as_str()).collect()
    };
    for ds in ds {
        if !is_known(ds.algorithm()) || ds.known_digest_type().is_none() {
            findings.push(Finding::DsNotCounted { ds: ds.to_string() });
            continue;
        }
        let mut keys = verdicts.sets.iter().flat_map(|set| &set.keys);
        if !keys.any(|key| ds.points_to(key, apex)) {
            findings.push(Finding::DsWithoutKey {
                ds: ds.to_string(),
                perhaps_of: unseen.iter().map(|&provider| provider.to_owned()).collect(),
            });
        }
    }
}

fn key_answer<'a>(verdicts: &Verdicts<'a>, server: usize) -> Option<&'a Received> {
    let probes = verdicts.survey.probes.iter();
    let at = probes.clone().position(|probe| probe.purpose == Purpose::Keys)?;
    verdicts.servers[server].answers[at]
}

/// Whether the DS lead to each server's DNSKEY RRset, for a validator that takes any path, and for one that insists.
fn links(verdicts: &Verdicts<'_>, ds: &[Ds], chains: &mut [Option<bool>], findings: &mut Vec<Finding>) {
    let (zone, now) = (&verdicts.survey.zone, verdicts.survey.now);
    let mut broken: Vec<(String, Vec<usize>)> = Vec::new();
    let mut strict: Vec<(String, Vec<usize>)> = Vec::new();
    for (server, chain) in chains.iter_mut().enumerate() {
        let is_signed = verdicts.servers[server].keys.is_some();
        let Some(answer) = key_answer(verdicts, server).filter(|_| is_signed) else {
            continue;
        };
        match keys_by_ds(zone, ds, answer, now, Insist::AnyPath) {
            Err(why) => {
                *chain = Some(false);
                group(&mut broken, why.to_string(), server);
            }
            Ok(Chained::Insecure(_)) => {}
            Ok(Chained::Keys { .. }) => {
                *chain = Some(chain.unwrap_or(true));
                match keys_by_ds(zone, ds, answer, now, Insist::EveryAlgorithm) {
                    Err(why) => group(&mut strict, why.to_string(), server),
                    Ok(Chained::Keys { keys, .. }) => {
                        for (other, why) in strictly_bogus(verdicts, &keys) {
                            group(&mut strict, why.to_string(), other);
                        }
                    }
                    Ok(Chained::Insecure(_)) => {}
                }
            }
        }
    }
    for (why, servers) in broken {
        findings.push(Finding::NoChain {
            servers: verdicts.labels(&servers),
            why,
        });
    }
    for (why, servers) in strict {
        findings.push(Finding::BogusToTheStrict {
            servers: verdicts.labels(&servers),
            why,
        });
    }
}

fn group(groups: &mut Vec<(String, Vec<usize>)>, why: String, server: usize) {
    match groups.iter_mut().find(|(known, _)| *known == why) {
        Some((_, servers)) if servers.contains(&server) => {}
        Some((_, servers)) => servers.push(server),
        None => groups.push((why, vec![server])),
    }
}

/// The servers whose SOA lacks a signature of an algorithm that is demanded.
fn strictly_bogus(verdicts: &Verdicts<'_>, keys: &crate::dnssec::validate::ZoneKeys) -> Vec<(usize, Bogus)> {
    let survey = verdicts.survey;
    let soa = (survey.zone.as_ref(), RrType::SOA);
    let servers = verdicts.servers.iter().enumerate();
    servers
        .filter_map(|(index, server)| {
            let answer = server.answers.first().copied().flatten()?;
            match validate(keys, soa, answer, survey.now) {
                Verdict::Bogus(why @ Bogus::AlgorithmMissing { .. }) => Some((index, why)),
                _ => None,
            }
        })
        .collect()
}

/// KSKs that sign a DNSKEY RRset and have no DS, beside one that has: a note, for the other carries it.
fn without_ds(verdicts: &Verdicts<'_>, ds: &[Ds], findings: &mut Vec<Finding>) {
    let apex = verdicts.survey.zone.as_ref();
    let mut told = BTreeSet::new();
    for server in &verdicts.servers {
        let signers = server.keys.iter().flat_map(|answer| &answer.signers);
        let has_ds = |key: &&Dnskey| ds.iter().any(|ds| ds.points_to(key, apex));
        let (with, without): (Vec<_>, Vec<_>) = signers.partition(has_ds);
        for key in without.into_iter().filter(|_| !with.is_empty()) {
            if told.insert(key.clone()) {
                findings.push(Finding::KskWithoutDs {
                    server: server.label.clone(),
                    tag: key.key_tag(),
                    algorithm: key.algorithm(),
                });
            }
        }
    }
}
