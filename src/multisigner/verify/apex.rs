//! What the apex says of the zone itself: name servers, the parameters of the SOA, the TTL of the keys, CDS.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Accepted, Finding, Purpose,
    compare::{Content, contents, is_accepted},
    pairs::{KeyId, Verdicts},
};
use crate::{
    dnssec::{
        algorithm::DigestType,
        key::{Dnskey, ds_text},
        validate::{Ds, Shown, Verdict, signed_by},
    },
    wire::{Name, RrType, Ttl, received::Received},
};

/// CDS that asks the parent to remove the DS (RFC 8078 §4).
const DELETE: [u8; 5] = [0, 0, 0, 0, 0];

pub(super) fn judge(verdicts: &Verdicts<'_>, accepted: &[Accepted], findings: &mut Vec<Finding>) {
    for (index, probe) in verdicts.survey.probes.iter().enumerate() {
        if is_accepted(accepted, probe) {
            continue;
        }
        match (probe.purpose, probe.rtype) {
            (Purpose::Apex, RrType::SOA) => findings.extend(negative_ttls(verdicts, index)),
            (Purpose::Apex, RrType::NS) => name_servers(verdicts, index, findings),
            (Purpose::Keys, _) => findings.extend(key_ttls(verdicts)),
            _ => {}
        }
    }
    cds(verdicts, findings);
}

/// Groups servers by what they have.
fn by<T: Ord>(of: impl IntoIterator<Item = (String, T)>) -> BTreeMap<T, Vec<String>> {
    let mut groups: BTreeMap<T, Vec<String>> = BTreeMap::new();
    for (label, what) in of {
        groups.entry(what).or_default().push(label);
    }
    groups
}

/// The time that "no" is kept (RFC 2308 §5): the lesser of the SOA's TTL and minimum. Serials, names and timers are
/// each provider's own.
fn negative_ttls(verdicts: &Verdicts<'_>, probe: usize) -> Option<Finding> {
    let ttls = contents(verdicts, probe)
        .into_iter()
        .filter_map(|(label, content, ttl)| {
            let Content::Records(_, rdatas) = content else {
                return None;
            };
            let minimum = rdatas.first()?.last_chunk().copied().map(u32::from_be_bytes)?;
            Some((label, ttl?.min(Ttl::new(minimum))))
        });
    let groups = by(ttls);
    (groups.len() > 1).then(|| Finding::NegativeTtlDiffers {
        by_server: groups
            .into_iter()
            .map(|(ttl, labels)| (labels.join(", "), ttl))
            .collect(),
    })
}

/// The TTL of the DNSKEY RRset, which waits count with.
fn key_ttls(verdicts: &Verdicts<'_>) -> Option<Finding> {
    let ttls = verdicts.servers.iter().filter_map(|server| {
        let keys = server.keys.as_ref()?;
        Some((server.label.clone(), keys.ttl))
    });
    let groups = by(ttls);
    (groups.len() > 1).then(|| Finding::TtlDiffers {
        question: format!("{} DNSKEY", verdicts.survey.zone),
        by_server: groups
            .into_iter()
            .map(|(ttl, labels)| (labels.join(", "), ttl))
            .collect(),
    })
}

/// The name servers that each server names, and that the parent delegates to: all one set.
fn name_servers(verdicts: &Verdicts<'_>, probe: usize, findings: &mut Vec<Finding>) {
    let mut ttls = Vec::new();
    let mut named = Vec::new();
    for (label, content, ttl) in contents(verdicts, probe) {
        if let Content::Records(RrType::NS, rdatas) = content {
            let names: BTreeSet<Name> = rdatas
                .iter()
                .filter_map(|rdata| Name::from_wire(rdata).ok())
                .collect();
            ttls.extend(ttl.map(|ttl| (label.clone(), ttl)));
            named.push((label, names));
        }
    }
    let by_parent = verdicts.survey.parent.ns.iter();
    named.extend(by_parent.map(|(at, names)| (format!("parent/{at}"), names.clone())));
    let groups = by(named);
    if groups.len() > 1 {
        let words = |names: BTreeSet<Name>| names.iter().map(Name::to_string).collect::<Vec<_>>().join(" ");
        findings.push(Finding::NameServersDiffer {
            by_server: groups
                .into_iter()
                .map(|(names, labels)| (labels.join(", "), words(names)))
                .collect(),
        });
    }
    let groups = by(ttls);
    if groups.len() > 1 {
        findings.push(Finding::TtlDiffers {
            question: verdicts.survey.probes[probe].to_string(),
            by_server: groups
                .into_iter()
                .map(|(ttl, labels)| (labels.join(", "), ttl))
                .collect(),
        });
    }
}

/// What a server asks the parent to have, by CDS and CDNSKEY.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
struct Wish {
    cds: BTreeSet<Vec<u8>>,
    cdnskey: BTreeSet<Vec<u8>>,
}

impl Wish {
    fn is_empty(&self) -> bool {
        self.cds.is_empty() && self.cdnskey.is_empty()
    }

    fn words(&self) -> String {
        if self.is_empty() {
            return "nothing".to_owned();
        }
        let cds = self.cds.iter().map(|rdata| format!("CDS {}", ds_text(rdata)));
        let tag = |rdata: &Vec<u8>| Dnskey::from_rdata(rdata).map(|key| key.key_tag());
        let keys = self.cdnskey.iter().filter_map(|rdata| tag(rdata).ok());
        let keys = keys.map(|tag| format!("CDNSKEY of key {tag}"));
        cds.chain(keys).collect::<Vec<_>>().join(", ")
    }
}

/// CDS and CDNSKEY: the same everywhere (RFC 9975 §3), of one mind with each other, signed by a key that has a DS
/// (RFC 7344 §4.1), and such that the zone stays whole when the parent obeys.
fn cds(verdicts: &Verdicts<'_>, findings: &mut Vec<Finding>) {
    let wishes = wishes(verdicts);
    let groups = by(wishes
        .iter()
        .map(|(server, wish)| (verdicts.servers[*server].label.clone(), wish.clone())));
    if groups.len() > 1 {
        let by_server = groups
            .iter()
            .map(|(wish, labels)| (labels.join(", "), wish.words()));
        findings.push(Finding::CdsDiffers {
            by_server: by_server.collect(),
        });
    }
    let apex = verdicts.survey.zone.as_ref();
    for (wish, labels) in groups.iter().filter(|(wish, _)| !wish.is_empty()) {
        if let Some(why) = contradiction(wish, apex) {
            findings.push(Finding::CdsContradicts {
                servers: labels.clone(),
                why,
            });
        }
    }
    // Where they differ, a parent that looks at all of them changes nothing.
    if let (1, Some((wish, _))) = (groups.len(), groups.iter().next()) {
        obeyed(verdicts, wish, findings);
    }
    signed_without_ds(verdicts, &wishes, findings);
}

/// The wish of each server that answered both questions.
fn wishes(verdicts: &Verdicts<'_>) -> Vec<(usize, Wish)> {
    let probes = verdicts.survey.probes.iter().enumerate();
    let of_cds: Vec<usize> = probes
        .filter(|(_, probe)| probe.purpose == Purpose::Cds)
        .map(|(index, _)| index)
        .collect();
    let servers = verdicts.servers.iter().enumerate();
    servers
        .filter_map(|(index, server)| {
            let mut wish = Wish::default();
            for probe in &of_cds {
                let answer = server.answers[*probe]?;
                wish.cds.extend(rdatas(answer, RrType::CDS));
                wish.cdnskey.extend(rdatas(answer, RrType::CDNSKEY));
            }
            Some((index, wish))
        })
        .collect()
}

fn rdatas(answer: &Received, rtype: RrType) -> impl Iterator<Item = Vec<u8>> {
    let records = answer.answers.iter().filter(move |record| record.rtype == rtype);
    records.map(|record| record.rdata.to_vec())
}

/// Where CDS and CDNSKEY of one server do not go together.
fn contradiction(wish: &Wish, apex: crate::wire::NameRef<'_>) -> Option<String> {
    let deletes = |rdata: &Vec<u8>| rdata.starts_with(&DELETE[..4]);
    let is_delete = wish.cds.iter().any(deletes);
    if is_delete && wish.cds.len() > 1 {
        return Some("a wish to remove the DS stands beside a wish for one".to_owned());
    }
    if is_delete || wish.cds.is_empty() || wish.cdnskey.is_empty() {
        return None;
    }
    let keys: Vec<Dnskey> = wish
        .cdnskey
        .iter()
        .filter_map(|rdata| Dnskey::from_rdata(rdata).ok())
        .collect();
    let points = |rdata: &Vec<u8>, key: &Dnskey| {
        Ds::from_rdata(rdata).is_ok_and(|ds| ds.known_digest_type().is_none() || ds.points_to(key, apex))
    };
    let lone_cds = wish
        .cds
        .iter()
        .find(|rdata| !keys.iter().any(|key| points(rdata, key)));
    if let Some(rdata) = lone_cds {
        return Some(format!("CDS {} is of no key that CDNSKEY names", ds_text(rdata)));
    }
    let lone_key = keys
        .iter()
        .find(|key| !wish.cds.iter().any(|rdata| points(rdata, key)));
    lone_key.map(|key| format!("CDNSKEY names key {}, and no CDS is of it", key.key_tag()))
}

/// What becomes of the zone when the parent does as it is asked.
fn obeyed(verdicts: &Verdicts<'_>, wish: &Wish, findings: &mut Vec<Finding>) {
    if wish.is_empty() || wish.cds.iter().any(|rdata| rdata.starts_with(&DELETE[..4])) {
        return;
    }
    let apex = verdicts.survey.zone.as_ref();
    let mut ds: Vec<Ds> = wish
        .cds
        .iter()
        .filter_map(|rdata| Ds::from_rdata(rdata).ok())
        .collect();
    if ds.is_empty() {
        let keys = wish
            .cdnskey
            .iter()
            .filter_map(|rdata| Dnskey::from_rdata(rdata).ok());
        ds.extend(keys.map(|key| Ds::of(&key, apex, DigestType::Sha256)));
    }
    let left_out: Vec<usize> = verdicts
        .servers
        .iter()
        .enumerate()
        .filter(|(_, server)| {
            let signers = server.keys.iter().flat_map(|answer| &answer.signers);
            let mut signers = signers.peekable();
            signers.peek().is_some() && !signers.any(|key| ds.iter().any(|ds| ds.points_to(key, apex)))
        })
        .map(|(index, _)| index)
        .collect();
    if !left_out.is_empty() {
        findings.push(Finding::CdsLeavesOut {
            servers: verdicts.labels(&left_out),
            wish: wish.words(),
        });
    }
}

/// CDS that no key with a DS signed.
fn signed_without_ds(verdicts: &Verdicts<'_>, wishes: &[(usize, Wish)], findings: &mut Vec<Finding>) {
    let parent = &verdicts.survey.parent;
    let shown = parent
        .ds
        .iter()
        .filter_map(|view| view.seen.as_ref().ok())
        .flatten();
    let ds: BTreeSet<KeyId> = shown
        .chain(&parent.given)
        .map(|ds| (ds.tag(), ds.algorithm()))
        .collect();
    if ds.is_empty() {
        return;
    }
    let survey = verdicts.survey;
    let probes: Vec<usize> = (0..survey.probes.len())
        .filter(|index| survey.probes[*index].purpose == Purpose::Cds)
        .collect();
    // A resolver is content with one good signature; the parent wants one by a key that it knows.
    let is_vouched_for = |server: usize, probe: usize| {
        let (server, rtype) = (&verdicts.servers[server], survey.probes[probe].rtype);
        let keys = server.set.map(|set| verdicts.sets[set].keys.iter());
        let known = keys.into_iter().flatten();
        let known = known.filter(|key| ds.contains(&(key.key_tag(), key.algorithm())));
        let known: Vec<Dnskey> = known.cloned().collect();
        let answer = server.answers[probe].map_or(&[][..], |answer| &answer.answers);
        let signed = signed_by(
            answer,
            Some(&survey.zone),
            rtype,
            &survey.zone,
            &known,
            survey.now,
        );
        signed.is_some_and(|signed| !signed.keys.is_empty())
    };
    let without: Vec<usize> = wishes
        .iter()
        .filter(|(_, wish)| !wish.is_empty())
        .map(|(server, _)| *server)
        .filter(|server| {
            probes.iter().any(|probe| match verdicts.own(*server, *probe) {
                Some(Verdict::Secure(proof)) => {
                    proof.shows == Shown::Data && !is_vouched_for(*server, *probe)
                }
                _ => false,
            })
        })
        .collect();
    if !without.is_empty() {
        findings.push(Finding::CdsUnvouched {
            servers: verdicts.labels(&without),
        });
    }
}
