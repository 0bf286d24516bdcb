//! Bitmaps tell the truth: the types that an NSEC or NSEC3 lists at a name are exactly those that this server
//! answers there. A bit too few denies what is there; a bit too many makes our own denial bogus.

use std::collections::BTreeSet;

use countersign::wire::RrType;

use crate::harness::{
    client::ask_all,
    message::{Message, Name, Query, Record, rtype_of},
    process::{Countersign, repository},
    questions,
};

const ORIGIN: &str = "awkward.example.";

/// Types that stand nowhere in the file, and may yet be answered.
const ADDED: [&str; 7] = ["DNSKEY", "CDS", "CDNSKEY", "NSEC3PARAM", "RRSIG", "NSEC", "NSEC3"];

/// The owner of a name's NSEC3, with the parameters of RFC 9276.
fn nsec3_owner(name: &Name) -> Name {
    let hash = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &name.lower().0);
    let label = data_encoding::BASE32HEX_NOPAD
        .encode(hash.as_ref())
        .to_lowercase();
    Name::parse(ORIGIN).prepend(label.as_bytes()).unwrap()
}

/// The record that matches `name` in an answer.
fn matching<'m>(answer: &'m Message, name: &Name) -> Option<&'m Record> {
    answer.all().find(|record| match record.rtype {
        RrType::NSEC => record.owner.lower() == name.lower(),
        RrType::NSEC3 => record.owner.lower() == nsec3_owner(name),
        _ => false,
    })
}

fn bitmaps_tell_the_truth(denial: &'static str) {
    let zone = repository("zones/awkward.zone");
    let ours = Countersign::new(ORIGIN, &zone).denial(denial);
    let server = ours.serve();
    let (_, standing) = questions::standing(&zone);
    let names: BTreeSet<Name> = standing.iter().map(|(name, _)| name.lower()).collect();
    let mut types: BTreeSet<RrType> = standing.iter().map(|(_, rtype)| *rtype).collect();
    types.extend(ADDED.map(rtype_of));
    // A type that is nowhere, so that the answer is a denial wherever no CNAME leads away.
    types.insert(RrType(1234));

    let mut compared = 0;
    for name in names {
        let queries: Vec<_> = types
            .iter()
            .map(|rtype| Query::new(name.clone(), *rtype).with_do())
            .collect();
        let answers = ask_all(server.address, &queries);
        let answered: BTreeSet<u16> = queries
            .iter()
            .zip(&answers)
            .filter(|(query, answer)| {
                answer
                    .answer
                    .iter()
                    .any(|record| record.rtype == query.rtype && record.owner.lower() == name)
            })
            .map(|(query, _)| query.rtype.0)
            .collect();
        // At a cut all but the DS is the child's: the parent lists the NS that it refers with, and its own proofs.
        let cut = answers.iter().any(|answer| {
            answer
                .authority
                .iter()
                .any(|record| record.rtype == RrType::NS && record.owner.lower() == name)
        });
        let mut expected = answered;
        if cut && denial == "nsec3" {
            expected.insert(RrType::NS.0);
            if expected.contains(&RrType::DS.0) {
                expected.insert(RrType::RRSIG.0);
            }
        } else if cut {
            expected.extend([RrType::NS, RrType::RRSIG, RrType::NSEC].map(|rtype| rtype.0));
        }
        // Below a cut or a DNAME nothing stands at the name itself, and nothing denies it.
        for (query, answer) in queries.iter().zip(&answers) {
            let Some(proof) = matching(answer, &name) else {
                continue;
            };
            assert_eq!(proof.bitmap(), expected, "{denial} {query}\n{answer}");
            compared += 1;
        }
    }
    assert!(compared > 3_000, "{compared} bitmaps were compared");
}

#[test]
fn in_compact_denial() {
    bitmaps_tell_the_truth("compact");
}

#[test]
fn in_nsec() {
    bitmaps_tell_the_truth("nsec");
}

#[test]
fn in_nsec3() {
    bitmaps_tell_the_truth("nsec3");
}
