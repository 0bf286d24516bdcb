//! Every answer validates: the validator of the `domain` crate judges each octet that the server sends.

use countersign::wire::RrType;

use crate::harness::{
    client::ask_all,
    judge::complaints,
    message::{NOERROR, NXDOMAIN, Query, Record},
    process::{Countersign, repository},
    questions,
    spoil::{Spoiler, spoil},
};

const ORIGIN: &str = "awkward.example.";

fn everything_validates(denial: &'static str) {
    let zone = repository("zones/awkward.zone");
    let folder = tempfile::tempdir().unwrap();
    let keys = std::fs::read_to_string(repository("keys/example-provider.keys")).unwrap();
    let keys = keys.replace("example. 3600", &format!("{ORIGIN} 3600"));
    let external = crate::harness::process::write(folder.path(), "provider.keys", keys);
    let ours = Countersign::new(ORIGIN, &zone)
        .denial(denial)
        .external_keys(external);
    let server = ours.serve();
    let mut queries = questions::questions(&zone, 5);
    queries.extend(questions::for_what_is_added(&queries, 5));
    let queries: Vec<_> = queries.into_iter().map(Query::with_do).collect();
    let (found, unjudged) = complaints(&ours.ds(ORIGIN), server.address, denial, &queries);
    assert!(
        found.is_empty(),
        "{} of {}\n{}",
        found.len(),
        queries.len(),
        found.join("\n")
    );
    // So that excuses cannot grow unseen.
    let judged = queries.len() - unjudged.values().sum::<usize>();
    let least = if denial == "nsec3" { 6_000 } else { 6_500 };
    assert!(
        judged > least,
        "{judged} of {} answers were judged; beyond: {unjudged:?}",
        queries.len()
    );
}

#[test]
fn compact_denial_validates() {
    everything_validates("compact");
}

#[test]
fn nsec_validates() {
    everything_validates("nsec");
}

#[test]
fn nsec3_validates() {
    everything_validates("nsec3");
}

/// The planted faults, for this judge.
#[test]
fn spoiled_answers_are_caught() {
    let queries = [
        "mail A",
        "mail AAAA",
        "no-such.mail A",
        "x.wild A",
        "far A",
        "signed A",
    ]
    .map(|question| {
        let (name, rtype) = question.split_once(' ').unwrap();
        Query::signed(&format!("{name}.{ORIGIN}"), rtype)
    });
    let ours = Countersign::new(ORIGIN, repository("zones/awkward.zone")).denial("nsec");
    let server = ours.serve();
    let ds = ours.ds(ORIGIN);
    let caught = |spoiler| {
        let proxy = spoil(server.address, spoiler);
        let found = complaints(&ds, proxy.address, "nsec", &queries).0;
        found
            .iter()
            .map(|text| text.split(':').next().unwrap()["=== ".len()..].to_owned())
            .collect::<Vec<_>>()
    };
    let all: Vec<_> = queries.iter().map(ToString::to_string).collect();
    assert_eq!(caught(Spoiler::nothing()), [] as [String; 0]);
    assert_eq!(caught(Spoiler::flipped_bit()), all);
    assert_eq!(caught(Spoiler::dropped_nsec()), all[1..5]);
    let keys = ours.keys();
    assert_eq!(
        caught(Spoiler::wrong_bitmap(&keys)),
        [all[1].clone(), all[4].clone()]
    );
}

/// DO adds signatures and proofs, and changes nothing else, but that compact denial says NOERROR for a name that is
/// not there (RFC 9824 section 3.1).
#[test]
fn wanting_signatures_changes_no_data() {
    let zone = repository("zones/awkward.zone");
    let queries = questions::questions(&zone, 6);
    let signed: Vec<_> = queries.iter().cloned().map(Query::with_do).collect();
    let is_data = |query: &Query, record: &Record| match record.rtype {
        RrType::RRSIG | RrType::NSEC | RrType::NSEC3 => false,
        // With the NS of a referral.
        RrType::DS => query.rtype == RrType::DS && record.owner.lower() == query.name.lower(),
        _ => true,
    };
    for denial in ["compact", "nsec", "nsec3"] {
        let ours = Countersign::new(ORIGIN, &zone).denial(denial);
        let server = ours.serve();
        let plain = ask_all(server.address, &queries);
        for (query, (plain, signed)) in queries
            .iter()
            .zip(plain.iter().zip(ask_all(server.address, &signed)))
        {
            let data = |section: &[Record]| -> Vec<Record> {
                let mut data: Vec<_> = section
                    .iter()
                    .filter(|record| is_data(query, record))
                    .map(Record::folded)
                    .collect();
                data.sort_unstable();
                data
            };
            let told = format!("{denial} {query}\n--- without DO\n{plain}--- with\n{signed}");
            assert_eq!(data(&plain.answer), data(&signed.answer), "{told}");
            assert_eq!(data(&plain.authority), data(&signed.authority), "{told}");
            assert_eq!(plain.flags, signed.flags, "{told}");
            let compact = denial == "compact" && plain.rcode == NXDOMAIN && signed.rcode == NOERROR;
            assert!(compact || plain.rcode == signed.rcode, "{told}");
        }
    }
}
