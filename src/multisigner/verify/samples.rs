//! Which questions are asked: the apex, names that a person names or the content has, common names, and names and
//! types that nobody has.

use std::collections::BTreeSet;

use ring::rand::{SecureRandom as _, SystemRandom};

use super::{Probe, Purpose};
use crate::{
    multisigner::content::{in_order, is_chosen, is_plain, types_at},
    wire::{Name, NameRef, RrType, received::Received, types},
    zone::{NodeView, Zone},
};

/// A type that no zone has: of those for private use (RFC 6895 §3.1), and none that anybody is known to use.
pub const NOBODYS_TYPE: RrType = RrType(65_399);
/// How many owners and types of the content are asked for when nobody says otherwise.
pub const SOME: usize = 200;
/// The most that may be asked for: each is asked of every server.
pub const MOST: usize = 10_000;
/// Cuts, wildcards and empty names of the content that are asked for besides, of each.
const SOME_OF_EACH: usize = 5;
/// Names of servers and exchanges that are asked for because the apex names them.
const MOST_TARGETS: usize = 32;

/// The types that are asked for at the apex, SOA first: where that is not answered, nothing else is asked.
const AT_APEX: [RrType; 7] = [
    RrType::SOA,
    RrType::NS,
    RrType::A,
    RrType::AAAA,
    RrType::MX,
    RrType::TXT,
    RrType::CAA,
];
/// Names that many zones have.
const COMMON: [(&[&str], RrType); 4] = [
    (&["www"], RrType::A),
    (&["www"], RrType::AAAA),
    (&["mail"], RrType::A),
    (&["_dmarc"], RrType::TXT),
];

/// A label that no zone has; none where the system gives no random octets.
pub fn nobodys_label() -> Option<String> {
    let mut octets = [0; 8];
    SystemRandom::new().fill(&mut octets).ok()?;
    Some(format!("nobody-{}", data_encoding::HEXLOWER.encode(&octets)))
}

/// What is asked besides what is always asked.
#[derive(Debug, Default)]
pub struct Wanted<'a> {
    /// Names, and the type if not A, AAAA and TXT.
    pub names: Vec<(Name, Option<RrType>)>,
    /// Names of which a person says that a wildcard answers for what is below.
    pub wildcards: Vec<(Name, RrType)>,
    /// The content, where it is at hand.
    pub content: Option<&'a Zone>,
    /// How many owners and types of the content, at most [`MOST`].
    pub samples: usize,
    /// A label that nobody has: made anew each time, for servers and what stands in front of them keep denials.
    pub nobodys_label: &'a str,
}

/// The list, without doubles.
#[derive(Debug, Default)]
struct List {
    seen: BTreeSet<(Name, RrType)>,
    probes: Vec<Probe>,
}

impl List {
    fn add(&mut self, name: Name, rtype: RrType, purpose: Purpose) {
        if self.seen.insert((name.clone(), rtype)) {
            self.probes.push(Probe { name, rtype, purpose });
        }
    }

    /// Adds a name made of `label` and `above`, if it is one.
    fn add_below(&mut self, label: &str, above: NameRef<'_>, rtype: RrType, purpose: Purpose) {
        if let Ok(name) = above.prepend(label.as_bytes()) {
            self.add(name, rtype, purpose);
        }
    }
}

/// The questions. The first is for the SOA.
pub fn probes(zone: &Name, wanted: &Wanted<'_>) -> Vec<Probe> {
    let mut list = List::default();
    let apex = || zone.clone();
    list.add(apex(), RrType::SOA, Purpose::Apex);
    list.add(apex(), RrType::DNSKEY, Purpose::Keys);
    list.add(apex(), RrType::NS, Purpose::Apex);
    list.add(apex(), RrType::CDS, Purpose::Cds);
    list.add(apex(), RrType::CDNSKEY, Purpose::Cds);
    for rtype in AT_APEX {
        list.add(apex(), rtype, Purpose::Sample);
    }
    list.add(apex(), NOBODYS_TYPE, Purpose::Sample);
    list.add_below(wanted.nobodys_label, zone.as_ref(), RrType::A, Purpose::Absent);
    for (name, rtype) in &wanted.names {
        let types: &[RrType] = match rtype {
            Some(rtype) => &[*rtype],
            None => &[RrType::A, RrType::AAAA, RrType::TXT],
        };
        for rtype in types {
            list.add(name.clone(), *rtype, Purpose::Sample);
        }
        list.add(name.clone(), NOBODYS_TYPE, Purpose::Sample);
    }
    for (above, rtype) in &wanted.wildcards {
        list.add_below(wanted.nobodys_label, above.as_ref(), *rtype, Purpose::Wildcard);
    }
    for (labels, rtype) in COMMON {
        for label in labels {
            list.add_below(label, zone.as_ref(), rtype, Purpose::Sample);
        }
    }
    if let Some(content) = wanted.content {
        add_content(&mut list, content, wanted);
    }
    list.probes
}

/// Evenly spread over the content in canonical order, so that the same content gives the same questions.
fn add_content(list: &mut List, content: &Zone, wanted: &Wanted<'_>) {
    let limit = wanted.samples.min(MOST);
    let sorted: Vec<NodeView<'_>> = in_order(content);
    let nodes = || sorted.iter().copied();
    let total: usize = nodes().map(|node| types_at(node).count()).sum();
    let mut number = 0;
    for node in nodes() {
        for rtype in types_at(node) {
            if is_chosen(number, total, limit) {
                list.add(node.name().to_owned(), rtype, Purpose::Sample);
            }
            number += 1;
        }
    }
    let label = wanted.nobodys_label;
    for node in nodes()
        .filter(|node| node.name().is_wildcard())
        .take(SOME_OF_EACH)
    {
        let (above, rtype) = (node.name().parent(), types_at(node).next());
        if let (Some(above), Some(rtype)) = (above, rtype) {
            list.add_below(label, above, rtype, Purpose::Wildcard);
            list.add_below(label, above, NOBODYS_TYPE, Purpose::Sample);
        }
    }
    for node in nodes().filter(|node| node.is_cut()).take(SOME_OF_EACH) {
        list.add_below(label, node.name(), RrType::A, Purpose::Sample);
        list.add(node.name().to_owned(), RrType::DS, Purpose::Sample);
    }
    for node in nodes().filter(|node| node.is_empty()).take(SOME_OF_EACH) {
        list.add(node.name().to_owned(), RrType::A, Purpose::Sample);
    }
    for node in nodes().filter(is_plain).take(SOME_OF_EACH) {
        list.add(node.name().to_owned(), NOBODYS_TYPE, Purpose::Sample);
        list.add_below(label, node.name(), RrType::A, Purpose::Absent);
    }
}

/// The questions for the addresses of name servers and mail exchanges in the zone that the apex names, which the
/// first answers bring.
pub fn follow_up<'r>(
    zone: &Name,
    asked: &[Probe],
    answers: impl Iterator<Item = &'r Received>,
) -> Vec<Probe> {
    let mut list = List {
        seen: asked
            .iter()
            .map(|probe| (probe.name.clone(), probe.rtype))
            .collect(),
        probes: Vec::new(),
    };
    let mut targets = BTreeSet::new();
    for record in answers.flat_map(|answer| &answer.answers) {
        if record.owner == *zone && matches!(record.rtype, RrType::NS | RrType::MX) {
            for field in types::names_in_rdata(record.rtype, &record.rdata) {
                targets.extend(Name::from_wire(&record.rdata[field.range]).ok());
            }
        }
    }
    let inside = |name: &Name| name.as_ref().is_below(zone.as_ref());
    for name in targets.into_iter().filter(inside).take(MOST_TARGETS) {
        list.add(name.clone(), RrType::A, Purpose::Sample);
        list.add(name, RrType::AAAA, Purpose::Sample);
    }
    list.probes
}
