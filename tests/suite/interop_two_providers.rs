//! What it is all for (RFC 8901, model 2): two providers of one zone, each with keys of its own, and a resolver that
//! takes the keys from one and the answer from the other. The other provider is Knot, which signs by itself and has
//! our keys in its zone file; we have its keys in a file.

use std::{collections::BTreeSet, fmt::Write as _, net::SocketAddr, path::Path};

use countersign::wire::RrType;

use crate::{
    harness::{
        client::ask,
        judge,
        message::{Query, Record},
        peers::{self, Peer},
        process::{Countersign, repository, run, write},
        questions,
    },
    interop_unbound::{Chain, some_questions},
};

const ORIGIN: &str = "awkward.example.";

pub fn dnskeys(server: SocketAddr) -> Vec<Record> {
    let mut keys = ask(server, &Query::plain(ORIGIN, "DNSKEY")).answer;
    keys.retain(|record| record.rtype == RrType::DNSKEY);
    keys
}

/// DNSKEY records as dig prints them.
pub fn as_text(keys: &[Record]) -> String {
    keys.iter().fold(String::new(), |mut text, key| {
        let rdata = &key.rdata;
        let flags = u16::from_be_bytes([rdata[0], rdata[1]]);
        let public = data_encoding::BASE64.encode(&rdata[4..]);
        writeln!(
            text,
            "{ORIGIN} 3600 IN DNSKEY {flags} {} {} {public}",
            rdata[2], rdata[3]
        )
        .unwrap();
        text
    })
}

/// Knot signs the zone with keys that it makes, and keeps those that it finds in the file.
pub fn other_provider(folder: &Path, zone: &Path, ours: &[Record], denial: &str) -> Peer {
    let text = std::fs::read_to_string(zone).unwrap() + &as_text(ours);
    let zone = write(folder, "knot.zone", text);
    let nsec3 = if denial == "nsec3" {
        "on\n    nsec3-iterations: 0\n    nsec3-salt-length: 0"
    } else {
        "off"
    };
    let settings = format!(
        "policy:\n  - id: beside\n    dnskey-management: incremental\n    delete-delay: 1d\n    cds-cdnskey-publish: none\n    \
         nsec3: {nsec3}\ntemplate:\n    dnssec-signing: on\n    dnssec-policy: beside\n"
    );
    peers::knot(&[(ORIGIN, zone)], &settings)
}

fn answers_mix(denial: &'static str, others: &str) {
    let folder = tempfile::tempdir().unwrap();
    let zone = questions::cut_before(
        &repository("zones/awkward.zone"),
        "; --- the rest is not",
        folder.path(),
    );
    let external = write(folder.path(), "their.keys", "");
    let ours = Countersign::new(ORIGIN, &zone)
        .denial(denial)
        .external_keys(&external);
    let server = ours.serve();
    let theirs = other_provider(folder.path(), &zone, &dnskeys(server.address), others);

    // What dig prints at their server: our keys are among them, and noted as ours.
    let keys = dnskeys(theirs.address());
    assert_eq!(keys.len(), 4, "two of theirs, two of ours: {keys:?}");
    std::fs::write(&external, as_text(&keys)).unwrap();
    run(&mut ours.command(&["reload"]));
    let both = [server.address, theirs.address()];
    let sets = both.map(|server| {
        dnskeys(server)
            .into_iter()
            .map(|key| key.rdata)
            .collect::<BTreeSet<_>>()
    });
    assert_eq!(sets[0], sets[1], "both serve one key set");

    // The keys of one, the answers of the other, and no way out: it makes no difference whose keys they are. (This
    // judge does not take all of Knot's answers, even with Knot's keys.)
    let ds = run(&mut ours.command(&["ds", ORIGIN]));
    let queries: Vec<_> = some_questions(3, 4).into_iter().map(Query::with_do).collect();
    let complaints =
        |answers, keys, denial| judge::complaints_with_keys_of(keys, &ds, answers, denial, &queries).0;
    let found = complaints(both[0], both[1], denial);
    assert!(
        found.is_empty(),
        "{} do not validate\n{}",
        found.len(),
        found.join("\n")
    );
    let own = complaints(both[1], both[1], others).len();
    assert!(
        own * 10 < queries.len(),
        "{own} of {} answers of Knot's",
        queries.len()
    );
    assert_eq!(complaints(both[1], both[0], others).len(), own);

    // Nothing is kept, so that keys and answers come from either server, again and again.
    assert_eq!(ds.lines().count(), 2, "{ds}");
    let chain = Chain::new(
        &ds,
        &both,
        "cache-max-ttl: 0\ncache-max-negative-ttl: 0\nrrset-roundrobin: yes",
    );
    for seed in 1..3 {
        chain.accepts(&some_questions(seed, 8));
    }
}

#[test]
fn compact_beside_nsec() {
    answers_mix("compact", "nsec");
}

#[test]
fn nsec_beside_nsec3() {
    answers_mix("nsec", "nsec3");
}
