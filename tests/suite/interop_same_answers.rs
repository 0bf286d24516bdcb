//! Same data, same answers: what we say about a zone is what Knot says, for every question of the list. Rcode,
//! AA and the records of answer and authority are compared; the additional section is a server's own choice,
//! but for the glue without which a referral leads nowhere.
//!
//! Where Knot and we differ, NSD must be with us, and the reason stands in [`differs_from_knot`].

use std::{collections::BTreeSet, path::PathBuf};

use countersign::wire::RrType;

use crate::harness::{
    client::ask_all,
    message::{AA, Message, Name, Query, Record},
    peers,
    process::{Countersign, repository},
    questions,
};

const ORIGIN: &str = "awkward.example.";

/// The awkward zone as far as Knot and NSD read it.
fn for_every_reader(folder: &std::path::Path) -> PathBuf {
    questions::cut_before(&repository("zones/awkward.zone"), "; --- the rest is not", folder)
}

/// What is compared of an answer.
#[derive(PartialEq, Eq)]
struct Essence {
    rcode: u16,
    authoritative: bool,
    answer: BTreeSet<Record>,
    authority: BTreeSet<Record>,
}

impl Essence {
    fn of(message: &Message) -> Self {
        let folded = |section: &[Record]| section.iter().map(Record::folded).collect();
        Self {
            rcode: message.rcode,
            authoritative: message.has(AA),
            answer: folded(&message.answer),
            authority: folded(&message.authority),
        }
    }
}

/// Why an answer may differ from Knot's; `None` when it may not.
fn differs_from_knot(query: &Query, ours: &Message, knot: &Message) -> Option<&'static str> {
    if query.name.labels().iter().any(|label| label.ends_with(b"\0")) {
        // It looks further up for a wildcard, and takes zero\000\000 for \000.zero.
        return Some("RFC 1035 section 3.1: Knot confuses names with labels that end in a zero octet");
    }
    let cnames = |message: &Message| message.answer.iter().filter(|r| r.rtype == RrType::CNAME).count();
    if cnames(knot) > 4 && ours.answer.starts_with(&knot.answer) {
        return Some("RFC 1034 section 4.3.2: Knot ends a chain after five steps, we after twenty");
    }
    None
}

/// Names of servers at or below the cut whose addresses the referral lacks.
fn missing_glue(answer: &Message, standing: &BTreeSet<(Name, RrType)>) -> Vec<String> {
    if answer.has(AA) || !answer.answer.is_empty() {
        return Vec::new();
    }
    let in_additional: BTreeSet<_> = answer
        .additional
        .iter()
        .map(|record| (record.owner.lower(), record.rtype))
        .collect();
    answer
        .authority
        .iter()
        .filter(|record| record.rtype == RrType::NS && record.names()[0].is_at_or_below(&record.owner))
        .flat_map(|record| [RrType::A, RrType::AAAA].map(|rtype| (record.names()[0].lower(), rtype)))
        .filter(|glue| standing.contains(glue) && !in_additional.contains(glue))
        .map(|(name, rtype)| format!("{name} {rtype}"))
        .collect()
}

#[test]
fn the_awkward_zone_reads_as_at_knot() {
    let folder = tempfile::tempdir().unwrap();
    let zone = for_every_reader(folder.path());
    let queries = questions::questions(&zone, 1);
    assert!(queries.len() > 2_000, "{} questions", queries.len());
    let ours = Countersign::new(ORIGIN, &zone);
    let server = ours.serve();
    let knot = peers::knot(&[(ORIGIN, zone.clone())], "");
    let nsd = peers::nsd(&[(ORIGIN, zone.clone())]);
    let [ours, knot, nsd] =
        [server.address, knot.address(), nsd.address()].map(|address| ask_all(address, &queries));

    let standing = questions::standing(&zone).1;
    let standing = standing
        .into_iter()
        .map(|(name, rtype)| (name.lower(), rtype))
        .collect();
    let mut found = Vec::new();
    let mut by_design = 0;
    for (((query, ours), knot), nsd) in queries.iter().zip(&ours).zip(&knot).zip(&nsd) {
        for glue in missing_glue(ours, &standing) {
            found.push(format!("=== {query}: a referral without {glue}\n{ours}"));
        }
        if Essence::of(ours) == Essence::of(knot) {
            continue;
        }
        match differs_from_knot(query, ours, knot) {
            Some(_) if Essence::of(ours) == Essence::of(nsd) => by_design += 1,
            _ => found.push(format!(
                "=== {query}\n--- ours\n{ours}--- Knot\n{knot}--- NSD\n{nsd}"
            )),
        }
    }
    assert!(
        found.is_empty(),
        "{} of {} differ\n{}",
        found.len(),
        queries.len(),
        found.join("\n")
    );
    // So that a list of excuses cannot grow unseen.
    assert!(by_design < 100, "{by_design} answers differ by design");
}

/// What Knot and NSD refuse to load, data below a DNAME, must change no answer.
#[test]
fn occluded_data_changes_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let whole = repository("zones/awkward.zone");
    let queries = questions::questions(&whole, 2);
    let answers = [whole, for_every_reader(folder.path())].map(|zone| {
        let ours = Countersign::new(ORIGIN, zone);
        let server = ours.serve();
        ask_all(server.address, &queries)
    });
    for ((query, with), without) in queries.iter().zip(&answers[0]).zip(&answers[1]) {
        assert!(
            Essence::of(with) == Essence::of(without),
            "{query}\n--- with occluded data\n{with}--- without\n{without}"
        );
    }
}

/// A client that compares the question's letters with what it sent (0x20) must find them again, and names in
/// rdata as they were written (RFC 4343 section 4.1).
#[test]
fn letter_case_is_kept() {
    let ours = Countersign::new(ORIGIN, repository("zones/awkward.zone"));
    let server = ours.serve();
    let queries = questions::questions(&repository("zones/awkward.zone"), 3);
    for (query, answer) in queries.iter().zip(ask_all(server.address, &queries)) {
        assert_eq!(answer.questions, [(query.name.clone(), query.rtype, 1)]);
    }
    let mixed = Query::plain("t-RP.awkward.example.", "RP");
    let answer = crate::harness::client::ask(server.address, &mixed);
    assert_eq!(answer.answer[0].owner, mixed.name);
    assert_eq!(
        answer.answer[0].names(),
        [
            Name::parse("mbox.Mail.awkward.example."),
            Name::parse("txt.Multi.awkward.example.")
        ]
    );
}
