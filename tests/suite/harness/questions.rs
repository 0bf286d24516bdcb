//! Questions for a zone: every owner and every gap between owners, many types, letter case at random; the same
//! seed gives the same list.

use std::{collections::BTreeSet, path::Path};

use countersign::wire::RrType;

use super::message::{Name, Query, rtype_of};

/// The types asked at every name, besides those that are there.
const EVERYWHERE: [&str; 8] = ["A", "AAAA", "NS", "SOA", "MX", "CNAME", "DS", "TYPE1234"];
/// The types asked at names beside, above and below.
const AROUND: [&str; 4] = ["A", "TXT", "DS", "TYPE65281"];
/// Types that a signer adds, each with rules of its own: asked where answers are validated.
const ADDED: [&str; 4] = ["NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY"];

/// Small, fast, and the same everywhere (xorshift64*, Vigna 2016).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// An owner and a type that stand in a zone file.
pub type Standing = (Name, RrType);

/// Reads owners and types from a zone file written as ours are: one record a line, the owner first, `$ORIGIN`
/// absolute, parentheses in the SOA only. The reader under test is not asked.
pub fn standing(zone: &Path) -> (Name, Vec<Standing>) {
    let text = std::fs::read_to_string(zone).unwrap();
    let mut origin = None;
    let mut owner: Option<Name> = None;
    let mut found = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        let continues = inside;
        inside = (inside || line.contains(" (")) && !line.contains(')');
        if continues || line.starts_with(';') || line.trim().is_empty() || line.starts_with("$TTL") {
            continue;
        }
        if let Some(name) = line.strip_prefix("$ORIGIN ") {
            origin = Some(Name::parse(name.trim()));
            continue;
        }
        let origin = origin.as_ref().expect("$ORIGIN comes first");
        let mut words = line.split_whitespace().peekable();
        if !line.starts_with([' ', '\t']) {
            owner = Some(absolute(words.next().unwrap(), origin));
        }
        let owner = owner.clone().expect("the first record has an owner");
        let rtype = words
            .find_map(|word| {
                if word == "IN" {
                    None
                } else {
                    RrType::from_text(word)
                }
            })
            .unwrap_or_else(|| panic!("no type in {line}"));
        found.push((owner, rtype));
    }
    (origin.expect("a zone has an origin"), found)
}

fn absolute(text: &str, origin: &Name) -> Name {
    if text == "@" {
        return origin.clone();
    }
    let mut labels = Name::parse(text);
    if !text.ends_with('.') || text.ends_with("\\.") {
        labels.0.pop();
        labels.0.extend_from_slice(&origin.0);
    }
    assert!(labels.0.len() <= 255, "{text} is too long");
    labels
}

/// Every question about a zone, at least two thousand for one of a hundred names.
pub fn questions(zone: &Path, seed: u64) -> Vec<Query> {
    let (origin, standing) = standing(zone);
    let mut random = Random::new(seed);
    let mut owners: BTreeSet<Name> = standing.iter().map(|(owner, _)| owner.clone()).collect();
    // Empty non-terminals, up to the apex and one step further.
    for owner in owners.clone() {
        let mut above = owner.parent();
        while let Some(name) = above.filter(|name| name.is_at_or_below(&origin)) {
            above = name.parent();
            // A row of a hundred labels is one shape: every eighth of its names will do.
            let depth = name.labels().len();
            if depth < 12 || depth.is_multiple_of(8) {
                owners.insert(name);
            }
        }
    }
    let mut pairs: BTreeSet<(Name, RrType)> = standing.into_iter().collect();
    for owner in &owners {
        pairs.extend(EVERYWHERE.iter().map(|rtype| (owner.clone(), rtype_of(rtype))));
        for name in around(owner) {
            pairs.extend(AROUND.iter().map(|rtype| (name.clone(), rtype_of(rtype))));
        }
    }
    pairs
        .into_iter()
        .filter(|(name, _)| name.is_at_or_below(&origin))
        .map(|(name, rtype)| Query::new(mixed_case(name, &mut random), rtype))
        .collect()
}

/// Questions for what a signer adds, at the names of a fifth of `queries`.
pub fn for_what_is_added(queries: &[Query], seed: u64) -> Vec<Query> {
    let mut random = Random::new(seed);
    let some = queries.iter().filter(|_| random.one_in(5)).cloned();
    some.flat_map(|query| {
        ADDED.map(|rtype| Query {
            rtype: rtype_of(rtype),
            ..query.clone()
        })
    })
    .collect()
}

/// Names next to `owner`, below it and between it and its neighbours, as far as 255 octets allow.
fn around(owner: &Name) -> Vec<Name> {
    let mut names: Vec<Option<Name>> = vec![
        owner.prepend(b"below"),
        owner.prepend(b"far").and_then(|name| name.prepend(b"below")),
        owner.prepend(b"*"),
        owner.prepend(b"\0"),
        owner.prepend(b"a.b"),
        owner.prepend(b"\xff\xff"),
    ];
    let labels = owner.labels();
    if let [first, rest @ ..] = &labels[..] {
        let beside = |label: Vec<u8>| {
            let mut labels = vec![&label[..]];
            labels.extend(rest);
            Name::from_labels(&labels)
        };
        names.push(beside([first, &b"0"[..]].concat()));
        names.push(beside([first, &b"\0"[..]].concat()));
        names.push(beside(first[..first.len() - 1].to_vec()));
        let mut raised = first.to_vec();
        *raised.last_mut().unwrap() = raised.last().unwrap().wrapping_add(1);
        names.push(beside(raised));
    }
    names.into_iter().flatten().collect()
}

/// Turns some letters over, in half of the names.
fn mixed_case(mut name: Name, random: &mut Random) -> Name {
    if random.one_in(2) {
        for octet in &mut name.0 {
            // Length octets are below 64, so none of them looks like a letter.
            if octet.is_ascii_alphabetic() && random.one_in(3) {
                *octet ^= 0x20;
            }
        }
    }
    name
}

/// The lines of a zone file in front of the first that begins with `marker`, in `folder`.
pub fn cut_before(zone: &Path, marker: &str, folder: &Path) -> std::path::PathBuf {
    let text = std::fs::read_to_string(zone).unwrap();
    let end = text
        .find(marker)
        .unwrap_or_else(|| panic!("{} has no line {marker}", zone.display()));
    super::process::write(folder, zone.file_name().unwrap().to_str().unwrap(), &text[..end])
}
