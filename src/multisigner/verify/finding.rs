//! What is found, as a person reads it: what is so, what follows from it, and what to do.

use std::fmt;

use serde::Serialize;

use crate::{
    clock::UnixTime,
    dnssec::{algorithm::Algorithm, keyset::Role},
    wire::{Name, RrType, Ttl},
};

/// How much a finding matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing; nothing comes of it.
    Note,
    /// It cannot be judged from here, which says nothing for it and nothing against it.
    Unseen,
    /// Not the same everywhere; nothing is bogus for it.
    Difference,
    /// Not bogus now, and will be when a thing happens that may happen at any time.
    WouldBe,
    /// Resolvers find answers bogus.
    Bogus,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Unseen => "unseen",
            Self::Difference => "difference",
            Self::WouldBe => "would be bogus",
            Self::Bogus => "BOGUS",
        })
    }
}

/// What differs, by the servers that have it.
pub type ByServer<T> = Vec<(String, T)>;

/// Something that a person should know.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the fields are what the sentences below name")]
pub enum Finding {
    /// A DNSKEY RRset lacks a key without which answers of others are bogus.
    KeyMissing {
        lacking: Vec<String>,
        signers: Vec<String>,
        tag: u16,
        algorithm: Algorithm,
        role: Option<Role>,
        question: String,
        record: Option<String>,
    },
    /// It lacks a key that signs data, and another that it has signs the same.
    KeyMissingBesideAnother {
        lacking: Vec<String>,
        signers: Vec<String>,
        tag: u16,
        algorithm: Algorithm,
        role: Role,
    },
    /// It lacks a key that signs nothing.
    IdleKeyMissing {
        lacking: Vec<String>,
        shown_by: Vec<String>,
        tag: u16,
        algorithm: Algorithm,
    },
    /// It lacks a KSK that signs key sets alone.
    KskMissing {
        lacking: Vec<String>,
        shown_by: Vec<String>,
        tag: u16,
        algorithm: Algorithm,
        harms_cds: bool,
    },
    /// An answer is bogus.
    BogusAnswer {
        server: String,
        question: String,
        more: usize,
        why: String,
        with_keys_of: Vec<String>,
    },
    /// Denials that validators take for unsigned, for they hash too often.
    HashesTooOften { server: String, iterations: u16 },
    /// A signature ends within its TTL.
    EndsTooSoon {
        server: String,
        owner: Name,
        rtype: RrType,
        ttl: Ttl,
        expiration: UnixTime,
    },
    /// A server has no DNSKEY RRset.
    NotSigning { server: String, beside_signers: bool },
    /// No DS leads to the DNSKEY RRset of a server.
    NoChain { servers: Vec<String>, why: String },
    /// A DS of which nobody has the key.
    DsWithoutKey { ds: String, perhaps_of: Vec<String> },
    /// A DS that validators do not count.
    DsNotCounted { ds: String },
    /// The parent's servers differ, or from what was given.
    DsDiffers { by_server: ByServer<Vec<String>> },
    /// There is no DS.
    NoDs { shown_by: Vec<String> },
    /// A KSK that signs a key set, beside another that has a DS.
    KskWithoutDs {
        server: String,
        tag: u16,
        algorithm: Algorithm,
    },
    /// Bogus to validators that insist on every algorithm.
    BogusToTheStrict { servers: Vec<String>, why: String },
    /// Servers sign with different algorithms.
    AlgorithmsDiffer {
        by_server: ByServer<std::collections::BTreeSet<Algorithm>>,
    },
    /// Data differ.
    ContentDiffers {
        question: String,
        by_server: ByServer<String>,
    },
    /// A TTL differs.
    TtlDiffers {
        question: String,
        by_server: ByServer<Ttl>,
    },
    /// A type that only some have.
    OnlyAt {
        question: String,
        having: Vec<String>,
        lacking: Vec<String>,
        whole_name: bool,
    },
    /// A name without data that only some have.
    NameOnlyAt {
        name: String,
        having: Vec<String>,
        lacking: Vec<String>,
    },
    /// The time that "no" is kept differs.
    NegativeTtlDiffers { by_server: ByServer<Ttl> },
    /// NS RRsets differ, the parent's included.
    NameServersDiffer { by_server: ByServer<String> },
    /// CDS or CDNSKEY differ.
    CdsDiffers { by_server: ByServer<String> },
    /// CDS and CDNSKEY do not go together.
    CdsContradicts { servers: Vec<String>, why: String },
    /// A parent that does what CDS asks leaves a signer without DS.
    CdsLeavesOut { servers: Vec<String>, wish: String },
    /// CDS that no key with a DS signed.
    CdsUnvouched { servers: Vec<String> },
    /// Ways of denial differ.
    DenialsDiffer { by_server: ByServer<String> },
    /// A server cannot be reached.
    Unreachable { server: String, why: String },
    /// A server does not answer for the zone.
    Lame { server: String, why: String },
    /// A server does not answer over TCP.
    NoTcp { server: String, why: String },
    /// A server does not answer some questions.
    Unanswered {
        server: String,
        question: String,
        more: usize,
        why: String,
    },
    /// The parent was not asked.
    ParentUnknown,
    /// A server of the parent cannot be used.
    ParentUnseen { server: String, why: String },
}

/// A finding in words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Told {
    /// How much it matters.
    pub severity: Severity,
    /// Its kind, for programs.
    pub kind: &'static str,
    /// What is so.
    pub what: String,
    /// What follows from it.
    pub consequence: String,
    /// What to do.
    pub advice: String,
}

impl Finding {
    /// How much it matters.
    pub fn severity(&self) -> Severity {
        match self {
            Self::KeyMissing { .. } | Self::BogusAnswer { .. } | Self::NoChain { .. } => Severity::Bogus,
            Self::NotSigning { beside_signers, .. } if *beside_signers => Severity::Bogus,
            Self::DsWithoutKey { perhaps_of, .. } if !perhaps_of.is_empty() => Severity::Unseen,
            Self::KeyMissingBesideAnother { .. }
            | Self::IdleKeyMissing { .. }
            | Self::EndsTooSoon { .. }
            | Self::DsWithoutKey { .. }
            | Self::BogusToTheStrict { .. }
            | Self::AlgorithmsDiffer { .. }
            | Self::CdsLeavesOut { .. } => Severity::WouldBe,
            Self::DsDiffers { .. }
            | Self::ContentDiffers { .. }
            | Self::TtlDiffers { .. }
            | Self::OnlyAt { .. }
            | Self::NameOnlyAt { .. }
            | Self::NegativeTtlDiffers { .. }
            | Self::NameServersDiffer { .. }
            | Self::CdsDiffers { .. }
            | Self::CdsContradicts { .. }
            | Self::CdsUnvouched { .. }
            | Self::NotSigning { .. }
            | Self::HashesTooOften { .. }
            | Self::NoDs { .. } => Severity::Difference,
            Self::Unreachable { .. }
            | Self::Lame { .. }
            | Self::NoTcp { .. }
            | Self::Unanswered { .. }
            | Self::ParentUnseen { .. } => Severity::Unseen,
            Self::KskMissing { .. }
            | Self::DsNotCounted { .. }
            | Self::KskWithoutDs { .. }
            | Self::DenialsDiffer { .. }
            | Self::ParentUnknown => Severity::Note,
        }
    }

    /// Its kind, for programs: lower case, words joined by hyphens.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::KeyMissing { .. } => "key-missing",
            Self::KeyMissingBesideAnother { .. } => "key-missing-beside-another",
            Self::IdleKeyMissing { .. } => "idle-key-missing",
            Self::KskMissing { .. } => "ksk-missing",
            Self::BogusAnswer { .. } => "bogus-answer",
            Self::HashesTooOften { .. } => "hashes-too-often",
            Self::EndsTooSoon { .. } => "signature-ends-too-soon",
            Self::NotSigning { .. } => "not-signing",
            Self::NoChain { .. } => "no-chain",
            Self::DsWithoutKey { .. } => "ds-without-key",
            Self::DsNotCounted { .. } => "ds-not-counted",
            Self::DsDiffers { .. } => "ds-differs",
            Self::NoDs { .. } => "no-ds",
            Self::KskWithoutDs { .. } => "ksk-without-ds",
            Self::BogusToTheStrict { .. } => "bogus-to-the-strict",
            Self::AlgorithmsDiffer { .. } => "algorithms-differ",
            Self::ContentDiffers { .. } => "content-differs",
            Self::TtlDiffers { .. } => "ttl-differs",
            Self::OnlyAt { .. } => "type-only-at",
            Self::NameOnlyAt { .. } => "name-only-at",
            Self::NegativeTtlDiffers { .. } => "negative-ttl-differs",
            Self::NameServersDiffer { .. } => "name-servers-differ",
            Self::CdsDiffers { .. } => "cds-differs",
            Self::CdsContradicts { .. } => "cds-contradicts",
            Self::CdsLeavesOut { .. } => "cds-leaves-out",
            Self::CdsUnvouched { .. } => "cds-unvouched",
            Self::DenialsDiffer { .. } => "denials-differ",
            Self::Unreachable { .. } => "unreachable",
            Self::Lame { .. } => "lame",
            Self::NoTcp { .. } => "no-tcp",
            Self::Unanswered { .. } => "unanswered",
            Self::ParentUnknown => "parent-unknown",
            Self::ParentUnseen { .. } => "parent-unseen",
        }
    }

    /// The whole in words.
    pub fn told(&self) -> Told {
        Told {
            severity: self.severity(),
            kind: self.kind(),
            what: self.what(),
            consequence: self.consequence(),
            advice: self.advice(),
        }
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [front @ .., last] => format!("{} and {last}", front.join(", ")),
    }
}

/// `, and 3 more`.
fn and_more(more: usize) -> String {
    match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    }
}

fn each<T: fmt::Display>(by_server: &ByServer<T>) -> String {
    let parts = by_server
        .iter()
        .map(|(servers, what)| format!("{servers}: {what}"));
    parts.collect::<Vec<_>>().join("; ")
}

mod words;

#[cfg(test)]
mod tests {
    /// Operators find in docs/operations.md what each finding means, and its level there is the one that it has.
    #[test]
    fn every_kind_stands_in_the_documentation() {
        let source = include_str!("finding.rs");
        let kinds = source.split("pub fn kind(&self)").nth(1).unwrap();
        let kinds = kinds.split("pub fn told").next().unwrap();
        let kinds: Vec<&str> = kinds.split('"').skip(1).step_by(2).collect();
        assert!(kinds.len() > 30, "{kinds:?}");
        let docs = include_str!("../../../docs/operations.md");
        let rows: Vec<&str> = docs.lines().filter(|line| line.starts_with("| `")).collect();
        for kind in kinds {
            let known = format!("`{kind}`");
            let is_there = |row: &&&str| row.split(" | ").next().is_some_and(|cell| cell.contains(&known));
            let rows = rows.iter().filter(is_there).count();
            assert_eq!(
                rows, 1,
                "{kind} stands in docs/operations.md once, in the table of alarms"
            );
        }
    }
}
