//! Zones nobody thought of: generated from few labels, so that wildcards, cuts, CNAMEs, DNAMEs and empty names lie
//! close together. What we answer is what NSD answers; what we sign, another validator accepts.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use countersign::wire::RrType;

use crate::harness::{
    client::ask_all,
    judge,
    message::{AA, Message, Query, Record},
    peers,
    process::{Countersign, write},
    questions::{self, Random},
};

/// Zones in a plain `make test`; `make test-long` sets COUNTERSIGN_ZONES.
const ZONES: usize = 12;
const LABELS: [&str; 5] = ["a", "b", "c", "*", "A0"];

fn zones() -> usize {
    std::env::var("COUNTERSIGN_ZONES").map_or(ZONES, |text| text.parse().expect("a number"))
}

fn name(random: &mut Random) -> String {
    let depth = 1 + random.below(3);
    (0..depth)
        .map(|_| LABELS[random.below(LABELS.len())])
        .collect::<Vec<_>>()
        .join(".")
}

fn target(random: &mut Random) -> String {
    match random.below(8) {
        0 => "www.elsewhere.test.".into(),
        1 => "@".into(),
        _ => name(random),
    }
}

fn is_below(name: &str, other: &str) -> bool {
    name.to_ascii_lowercase()
        .ends_with(&format!(".{}", other.to_ascii_lowercase()))
}

/// A sound zone: no data beside a CNAME, none below a DNAME (NSD does not load that), no cut or DNAME at an
/// asterisk (RFC 4592 sections 4.2 and 4.4 advise against both, and servers differ).
fn zone(random: &mut Random) -> String {
    let mut nodes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut dnames: Vec<String> = Vec::new();
    for _ in 0..4 + random.below(14) {
        let owner = name(random).to_ascii_lowercase();
        if nodes.contains_key(&owner) || dnames.iter().any(|dname| is_below(&owner, dname)) {
            continue;
        }
        let host = random.below(250);
        let records = match random.below(10) {
            0 | 1 => vec![format!("CNAME {}", target(random))],
            2 | 3 if !owner.contains('*') => {
                let mut records = vec![format!("NS ns.{owner}"), "NS ns1".into()];
                if random.one_in(2) {
                    records.push(format!("DS {host} 13 2 {}", "ab".repeat(32)));
                }
                nodes
                    .entry(format!("ns.{owner}"))
                    .or_insert_with(|| vec![format!("A 192.0.2.{host}")]);
                records
            }
            4 if !owner.contains('*') && !nodes.keys().any(|other| is_below(other, &owner)) => {
                let target = target(random);
                // NSD ends such a chain after one step, Knot after five; a resolver finds the same either way.
                if is_below(&target, &owner) {
                    continue;
                }
                dnames.push(owner.clone());
                vec![format!("DNAME {target}")]
            }
            5 => vec![
                format!("TXT \"{owner}\""),
                format!("A 192.0.2.{host}"),
                "MX 0 a".into(),
            ],
            6 => vec![format!("TYPE65281 \\# 1 {host:02x}")],
            _ => vec![format!("A 192.0.2.{host}")],
        };
        nodes.insert(owner, records);
    }
    let mut text = String::from("@ SOA ns1 h ( 1 2h 30m 2w 10m )\n@ NS ns1\nns1 A 192.0.2.1\n");
    for (owner, records) in nodes {
        for record in records {
            text.push_str(&format!("{owner} {record}\n"));
        }
    }
    text
}

fn essence(message: &Message) -> (u16, bool, BTreeSet<Record>, BTreeSet<Record>) {
    let folded = |section: &[Record]| section.iter().map(Record::folded).collect();
    (
        message.rcode,
        message.has(AA),
        folded(&message.answer),
        folded(&message.authority),
    )
}

fn files(folder: &Path, seed: u64) -> Vec<(String, PathBuf)> {
    let mut random = Random::new(seed);
    (0..zones())
        .map(|number| {
            let origin = format!("z{number}.test.");
            let text = format!("$ORIGIN {origin}\n$TTL 3600\n{}", zone(&mut random));
            let path = write(folder, &format!("z{number}.zone"), text);
            (origin, path)
        })
        .collect()
}

fn compare(denial: &'static str, seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path(), seed);
    let mut ours = Countersign::new(&files[0].0, &files[0].1).denial(denial);
    for (origin, path) in &files[1..] {
        ours = ours.zone(origin, path);
    }
    let server = ours.serve();
    let listed: Vec<_> = files
        .iter()
        .map(|(origin, path)| (origin.as_str(), path.clone()))
        .collect();
    let nsd = peers::nsd(&listed);
    for (origin, path) in &files {
        let text = std::fs::read_to_string(path).unwrap();
        let told = || format!("seed {seed}, {denial}\n{text}");
        let queries = questions::questions(path, seed);
        let theirs = ask_all(nsd.address(), &queries);
        for ((query, ours), theirs) in queries.iter().zip(ask_all(server.address, &queries)).zip(&theirs) {
            assert!(
                essence(&ours) == essence(theirs),
                "=== {query}\n--- ours\n{ours}--- NSD\n{theirs}--- {}",
                told()
            );
        }
        let mut signed = queries;
        signed.extend(questions::for_what_is_added(&signed, seed));
        // See the reasons in interop_unbound.
        signed.retain(|query| !matches!(query.rtype, RrType::CNAME | RrType::DNAME));
        let signed: Vec<_> = signed.into_iter().map(Query::with_do).collect();
        let found = judge::complaints(&ours.ds(origin), server.address, denial, &signed).0;
        assert!(
            found.is_empty(),
            "{} do not validate\n{}\n--- {}",
            found.len(),
            found.join("\n"),
            told()
        );
    }
}

#[test]
fn in_compact_denial() {
    compare("compact", 0x5eed_0001);
}

#[test]
fn in_nsec() {
    compare("nsec", 0x5eed_0002);
}

#[test]
fn in_nsec3() {
    compare("nsec3", 0x5eed_0003);
}
