//! In a flood, answers still validate: unbound judges a server that is beyond its budget of signatures; and one that uses
//! the ranges it holds (RFC 8198), from before, in and after the flood, denies nothing that is there.

use countersign::wire::RrType;

use crate::{
    harness::{
        client::ask_all,
        flooded::Flooded,
        message::{AA, Query, RD, SERVFAIL},
        process::repository,
        questions::Random,
    },
    interop_unbound::{Chain, all_questions},
};

const ORIGIN: &str = "awkward.example.";

fn server() -> Flooded {
    Flooded::new(ORIGIN, &std::fs::read(repository("zones/awkward.zone")).unwrap())
}

#[test]
fn unbound_accepts_every_answer_in_a_flood() {
    let server = server();
    server.flood();
    let before = server.totals();
    Chain::new(&server.ds(), &[server.address], "").accepts(&all_questions(31));
    let after = server.totals();
    assert!(after.ranges - before.ranges > 1_000, "{after:?}");
    assert_eq!(after.over_budget, before.over_budget, "nothing was cut short");
}

/// A resolver holds compact NSECs from before a flood, ranges from within, and compact ones from after it: all are
/// true of one content, so every answer validates and none denies what is there.
#[test]
fn compact_and_exact_denials_stand_together_in_a_cache() {
    let server = server();
    let chain = Chain::new(&server.ds(), &[server.address], "aggressive-nsec: yes");
    let mut queries = all_questions(32);
    let mut random = Random::new(32);
    queries.sort_by_cached_key(|_| random.next());
    let third = queries.len() / 3;
    chain.accepts(&queries[..third]);
    let calm = server.totals();
    assert_eq!(calm.ranges, 0);
    server.flood();
    chain.accepts(&queries[third..2 * third]);
    assert!(server.totals().ranges > 100, "{:?}", server.totals());
    // Calm comes back, and the whole list once more: from the cache, or from us.
    server.pass(std::time::Duration::from_secs(2));
    let ranges = server.totals().ranges;
    chain.accepts(&queries[2 * third..]);
    assert_eq!(server.totals().ranges, ranges);

    let plain = ask_all(server.address, &queries);
    let resolving: Vec<Query> = queries
        .iter()
        .cloned()
        .map(|query| query.with_flags(RD))
        .collect();
    let resolved = ask_all(chain.address(), &resolving);
    for ((query, ours), resolved) in queries.iter().zip(&plain).zip(&resolved) {
        // unbound 1.17 denies a wildcard's answer at names that come before the asterisk (see interop_unbound).
        let before_asterisk = query.name.labels().iter().any(|label| label[0] < b'*');
        // A compact NSEC stands at every name that is asked for, an exact one only at those with data: whether there is
        // one depends on when it is asked for, and nobody's data does.
        if matches!(query.rtype, RrType::NSEC | RrType::RRSIG) {
            continue;
        }
        // Referrals and chains that lead away are finished by others.
        if before_asterisk || !ours.has(AA) || resolved.rcode == SERVFAIL || ours.answer.is_empty() {
            continue;
        }
        assert!(
            resolved.answer.len() >= ours.answer.len(),
            "{query}\n--- ours\n{ours}--- resolved\n{resolved}"
        );
    }
}
