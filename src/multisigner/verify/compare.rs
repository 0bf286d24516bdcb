//! Whether all servers say the same: data, TTLs, which types and names there are.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Accepted, Finding, Probe, Purpose,
    pairs::{Verdicts, denial_in_words},
};
use crate::wire::{Name, RrType, Ttl, message::Rcode, received::Received, text::print_rdata, types};

/// Records of one RRset that a sentence repeats.
const SHOWN_RECORDS: usize = 4;

/// What a server has at a name, of a type.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Content {
    /// Records: their type (CNAME where an alias stands for the type), rdata in canonical form and order.
    Records(RrType, Vec<Vec<u8>>),
    /// Not this type.
    NoData,
    /// Not this name.
    NoName,
    /// A delegation.
    Cut(Name),
}

/// Compares what the samples brought.
pub(super) fn judge(verdicts: &Verdicts<'_>, accepted: &[Accepted], findings: &mut Vec<Finding>) {
    let mut found = Vec::new();
    for (index, probe) in verdicts.survey.probes.iter().enumerate() {
        if !matches!(probe.purpose, Purpose::Sample | Purpose::Wildcard) {
            continue;
        }
        let contents = contents(verdicts, index);
        let probe = told_as(probe, &contents);
        if !is_accepted(accepted, &probe) {
            found.extend(compare(&probe, &contents));
        }
    }
    findings.extend(without_echoes(found, tell_names(verdicts)));
    denials(verdicts, findings);
}

/// Whether every server says of a name that nobody has that it is not there. Some say only that the data is not,
/// as compact denial did before there was NXNAME; of names nothing can be compared then.
fn tell_names(verdicts: &Verdicts<'_>) -> bool {
    let mut probes = verdicts.survey.probes.iter().enumerate();
    probes.all(|(index, probe)| {
        let answers = || {
            contents(verdicts, index)
                .into_iter()
                .map(|(_, content, _)| content)
        };
        probe.purpose != Purpose::Absent || !answers().any(|content| content == Content::NoData)
    })
}

/// The question that a difference is told as: an alias answers for every type.
fn told_as(probe: &Probe, contents: &[(String, Content, Option<Ttl>)]) -> Probe {
    let is_alias = |content: &Content| matches!(content, Content::Records(RrType::CNAME, _));
    let mut told = probe.clone();
    if contents.iter().any(|(_, content, _)| is_alias(content)) {
        told.rtype = RrType::CNAME;
    }
    told
}

/// Each difference is told once; a name that only some have by its data, where it has any.
fn without_echoes(mut found: Vec<Finding>, tell_names: bool) -> Vec<Finding> {
    let mut seen: Vec<Finding> = Vec::new();
    found.retain(|finding| {
        let is_new = !seen.contains(finding);
        if is_new && question_of(finding).is_some_and(|question| question.ends_with(" CNAME")) {
            seen.push(finding.clone());
        }
        is_new
    });
    let mut told: BTreeSet<String> = found
        .iter()
        .filter_map(|finding| match finding {
            Finding::OnlyAt { question, .. } => question.split(' ').next().map(str::to_owned),
            _ => None,
        })
        .collect();
    let is_news = |finding: &Finding| match finding {
        Finding::NameOnlyAt { name, .. } => tell_names && told.insert(name.clone()),
        _ => true,
    };
    found.into_iter().filter(is_news).collect()
}

fn question_of(finding: &Finding) -> Option<&str> {
    match finding {
        Finding::OnlyAt { question, .. }
        | Finding::ContentDiffers { question, .. }
        | Finding::TtlDiffers { question, .. } => Some(question),
        _ => None,
    }
}

pub(super) fn is_accepted(accepted: &[Accepted], probe: &Probe) -> bool {
    accepted.iter().any(|one| one.covers(&probe.name, probe.rtype))
}

/// What each server that answers has, and with which TTL.
pub(super) fn contents(verdicts: &Verdicts<'_>, probe: usize) -> Vec<(String, Content, Option<Ttl>)> {
    let asked = &verdicts.survey.probes[probe];
    let servers = verdicts.servers.iter();
    servers
        .filter_map(|server| {
            let answer = server.answers[probe]?;
            let (content, ttl) = content(asked, answer, &verdicts.survey.zone);
            Some((server.label.clone(), content, ttl))
        })
        .collect()
}

/// What an answer has at the name itself: what an alias leads to is compared by questions of its own.
fn content(probe: &Probe, answer: &Received, apex: &Name) -> (Content, Option<Ttl>) {
    for rtype in [probe.rtype, RrType::CNAME] {
        let records: Vec<_> = answer
            .answers
            .iter()
            .filter(|record| record.rtype == rtype && record.owner == probe.name)
            .collect();
        if let Some(ttl) = records.iter().map(|record| record.ttl).min() {
            let canonical = |record: &&crate::wire::received::Record| {
                let mut rdata = Vec::new();
                types::canonical_rdata(rtype, &record.rdata, &mut rdata);
                rdata
            };
            let mut rdatas: Vec<_> = records.iter().map(canonical).collect();
            rdatas.sort_unstable();
            rdatas.dedup();
            return (Content::Records(rtype, rdatas), Some(ttl));
        }
    }
    let cut = answer
        .authorities
        .iter()
        .find(|record| record.rtype == RrType::NS && record.owner != *apex);
    let content = match cut {
        Some(record) => Content::Cut(record.owner.clone()),
        // Compact denial says NOERROR of both (RFC 9824 §3.1).
        None if answer.rcode == Rcode::NXDOMAIN || super::pairs::denies_the_name(answer) => Content::NoName,
        None => Content::NoData,
    };
    (content, None)
}

/// The one finding about a question, if there is one.
fn compare(probe: &Probe, contents: &[(String, Content, Option<Ttl>)]) -> Option<Finding> {
    let mut groups: BTreeMap<&Content, Vec<String>> = BTreeMap::new();
    for (label, content, _) in contents {
        groups.entry(content).or_default().push(label.clone());
    }
    let question = || probe.to_string();
    if groups.len() > 1 {
        let has = |content: &&Content| matches!(content, Content::Records(..));
        let (with, without): (Vec<_>, Vec<_>) = groups.iter().partition(|(content, _)| has(content));
        let labels = |of: &[(&&Content, &Vec<String>)]| -> Vec<String> {
            of.iter().flat_map(|(_, labels)| labels.iter().cloned()).collect()
        };
        if !with.is_empty() && !without.is_empty() {
            return Some(Finding::OnlyAt {
                question: question(),
                having: labels(&with),
                lacking: labels(&without),
                whole_name: without.iter().all(|(content, _)| ***content == Content::NoName),
            });
        }
        // Whether a name without data is there or not is told by the questions for its types.
        if with.is_empty() && !groups.keys().any(|content| matches!(content, Content::Cut(_))) {
            let denied = |content: &&Content| **content == Content::NoName;
            let (lacking, having): (Vec<_>, Vec<_>) = groups.iter().partition(|(content, _)| denied(content));
            return Some(Finding::NameOnlyAt {
                name: probe.name.to_string(),
                having: labels(&having),
                lacking: labels(&lacking),
            });
        }
        let by_server = groups
            .iter()
            .map(|(content, labels)| (labels.join(", "), content.to_string()));
        return Some(Finding::ContentDiffers {
            question: question(),
            by_server: by_server.collect(),
        });
    }
    let mut ttls: BTreeMap<Ttl, Vec<String>> = BTreeMap::new();
    for (label, _, ttl) in contents {
        if let Some(ttl) = ttl {
            ttls.entry(*ttl).or_default().push(label.clone());
        }
    }
    (ttls.len() > 1).then(|| Finding::TtlDiffers {
        question: question(),
        by_server: ttls
            .into_iter()
            .map(|(ttl, labels)| (labels.join(", "), ttl))
            .collect(),
    })
}

impl std::fmt::Display for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoData => f.write_str("no such data"),
            Self::NoName => f.write_str("no such name"),
            Self::Cut(name) => write!(f, "a delegation at {name}"),
            Self::Records(rtype, rdatas) => {
                for (number, rdata) in rdatas.iter().take(SHOWN_RECORDS).enumerate() {
                    f.write_str(if number > 0 { ", " } else { "" })?;
                    print_rdata(*rtype, rdata, f)?;
                }
                match rdatas.len().saturating_sub(SHOWN_RECORDS) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
        }
    }
}

/// Whether all deny in the same way (RFC 8901 §5.1 prefers it).
fn denials(verdicts: &Verdicts<'_>, findings: &mut Vec<Finding>) {
    let mut ways: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (index, server) in verdicts.servers.iter().enumerate() {
        if let Some(seen) = verdicts.denial(index) {
            ways.entry(denial_in_words(&seen))
                .or_default()
                .push(server.label.clone());
        }
    }
    if ways.len() > 1 {
        findings.push(Finding::DenialsDiffer {
            by_server: ways
                .into_iter()
                .map(|(way, labels)| (labels.join(", "), way))
                .collect(),
        });
    }
}
