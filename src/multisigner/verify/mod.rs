//! Whether the signers of a zone can stand beside each other (RFC 8901): every server's answers judged with every
//! server's DNSKEY RRset, and what they serve compared.
//!
//! ```text
//! targets, questions ─► ask ─► Survey ─► judge ─► Report: a row a pair, and findings
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `samples` | which questions are asked |
//! | `ask` | the asking |
//! | `pairs` | the verdicts: keys from one server, answers from another |
//! | `keys` | what the DNSKEY RRsets lack, and what the parent's DS leads to |
//! | `compare`, `apex` | data, TTLs, denials; name servers, CDS, parameters of the apex |
//! | `finding` | what is found, with what follows and what to do, in words |
//!
//! Only `ask` touches the network; the judgement is a function of what it brought.

mod apex;
pub mod ask;
mod compare;
pub mod finding;
mod keys;
mod pairs;
pub mod samples;

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt};

pub use finding::{Finding, Severity};

use super::observe::{At, DsView, Unseen};
use crate::{
    clock::UnixTime,
    dnssec::validate::{Ds, Ending},
    wire::{Name, RrType, received::Received},
};

/// A server to ask, and whose it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Target {
    /// What its provider is called.
    pub provider: String,
    /// Where it is.
    pub at: At,
}

impl fmt::Display for Target {
    /// `ns1/198.51.100.1`, or the address alone where that is all that is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = At {
            name: None,
            address: self.at.address,
        }
        .to_string();
        if self.provider == address {
            f.write_str(&address)
        } else {
            write!(f, "{}/{address}", self.provider)
        }
    }
}

/// Why a question is asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Purpose {
    /// SOA and NS of the apex.
    Apex,
    /// DNSKEY.
    Keys,
    /// CDS and CDNSKEY.
    Cds,
    /// Data that may be there, or is denied.
    Sample,
    /// A name that nobody has.
    Absent,
    /// A name that a wildcard answers for.
    Wildcard,
}

/// A question to every server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// The name.
    pub name: Name,
    /// The type.
    pub rtype: RrType,
    /// Why.
    pub purpose: Purpose,
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.rtype)
    }
}

/// What one server said.
#[derive(Debug)]
pub struct Surveyed {
    /// Which.
    pub target: Target,
    /// To each question, in their order.
    pub answers: Vec<Result<Received, Unseen>>,
    /// Whether it answers over TCP.
    pub tcp: Result<(), Unseen>,
}

/// What the parent says of the zone.
#[derive(Debug, Default)]
pub struct ParentSaid {
    /// The DS RRset, by server.
    pub ds: Vec<DsView>,
    /// The name servers that it delegates to, by server; those that answered.
    pub ns: Vec<(At, BTreeSet<Name>)>,
    /// DS records that a person gave in its place or besides.
    pub given: Vec<Ds>,
}

/// Everything that was asked and said.
#[derive(Debug)]
pub struct Survey {
    /// The zone.
    pub zone: Name,
    /// When.
    pub now: UnixTime,
    /// The questions.
    pub probes: Vec<Probe>,
    /// The answers.
    pub servers: Vec<Surveyed>,
    /// The parent.
    pub parent: ParentSaid,
}

/// A difference that a person accepts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// The owner.
    pub owner: Name,
    /// The type; all when there is none.
    pub rtype: Option<RrType>,
}

impl Accepted {
    fn covers(&self, owner: &Name, rtype: RrType) -> bool {
        self.owner == *owner && self.rtype.is_none_or(|accepted| accepted == rtype)
    }
}

/// How one kind of answers fares in a pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Cell {
    /// Answers that were judged.
    pub judged: usize,
    /// Of these, those that a resolver refuses.
    pub bogus: usize,
    /// Of those, what comes of a foreign KSK that is left out alone, which harms no data.
    pub for_want_of_a_ksk: usize,
}

/// The kinds of answers, each a column.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Column {
    /// Data.
    Positive,
    /// No such data.
    NoData,
    /// No such name.
    NoName,
    /// Data from a wildcard.
    Wildcard,
    /// The DNSKEY RRset of the one, with the keys of the other.
    Dnskey,
    /// CDS and CDNSKEY.
    Cds,
}

/// The columns in their order.
pub const COLUMNS: [Column; 6] = [
    Column::Positive,
    Column::NoData,
    Column::NoName,
    Column::Wildcard,
    Column::Dnskey,
    Column::Cds,
];

/// A resolver that has the keys from one server, and the answers from another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pair {
    /// Index of the server that the keys are from.
    pub keys_from: usize,
    /// Index of the server that the answers are from.
    pub answers_from: usize,
    /// By [`COLUMNS`].
    pub cells: [Cell; COLUMNS.len()],
}

/// A server in short.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerLine {
    /// Which.
    pub target: Target,
    /// Why it is not judged, if it is not.
    pub unseen: Option<Unseen>,
    /// Whether the parent's DS leads to its DNSKEY RRset; none when the parent's DS is not known.
    pub chain: Option<bool>,
    /// Tags of its DNSKEY RRset.
    pub keys: Vec<u16>,
    /// Tags of the keys that sign its data.
    pub signers: Vec<u16>,
    /// How it denies.
    pub denial: Option<String>,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// The zone.
    pub zone: Name,
    /// When it was asked.
    pub now: UnixTime,
    /// How many questions each server was asked.
    pub questions: usize,
    /// The servers.
    pub servers: Vec<ServerLine>,
    /// All ordered pairs of servers that have keys and that answer.
    pub pairs: Vec<Pair>,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// Of all authentic answers, what a cache may no longer take first, and the server that gave it.
    pub first_to_end: Option<(String, Ending)>,
}

impl Report {
    /// The providers of which no server could be judged: of them nothing is known.
    pub fn unseen_providers(&self) -> BTreeSet<&str> {
        let providers = |seen: bool| {
            let servers = self.servers.iter();
            servers
                .filter(move |line| line.unseen.is_none() == seen)
                .map(|line| line.target.provider.as_str())
        };
        let seen: BTreeSet<&str> = providers(true).collect();
        providers(false)
            .filter(|provider| !seen.contains(provider))
            .collect()
    }

    /// Whether nothing is bogus or about to be, and every provider was seen; where it is `strict`, whether nothing
    /// differs either.
    pub fn holds(&self, strict: bool) -> bool {
        let worst = if strict {
            Severity::Difference
        } else {
            Severity::WouldBe
        };
        let is_fine = |finding: &Finding| finding.severity() < worst;
        self.findings.iter().all(is_fine) && !self.pairs.is_empty() && self.unseen_providers().is_empty()
    }
}

/// Judges what was asked and said.
pub fn judge(survey: &Survey, accepted: &[Accepted]) -> Report {
    let verdicts = pairs::Verdicts::new(survey);
    let mut findings = Vec::new();
    verdicts.reachability(&mut findings);
    let chains = keys::judge(&verdicts, &mut findings);
    verdicts.bogus_answers(&mut findings);
    compare::judge(&verdicts, accepted, &mut findings);
    apex::judge(&verdicts, accepted, &mut findings);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity()));
    Report {
        zone: survey.zone.clone(),
        now: survey.now,
        questions: survey.probes.len(),
        servers: verdicts.lines(&chains),
        pairs: verdicts.table(),
        findings,
        first_to_end: verdicts.first_to_end(),
    }
}
