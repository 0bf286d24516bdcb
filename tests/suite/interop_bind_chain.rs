//! The exact chain of `nsec` is BIND's: for the same file, the same owners, next names and bitmaps, in the same
//! order, as dnssec-signzone makes.

use std::{collections::BTreeMap, path::Path, process::Command};

use countersign::wire::RrType;

use crate::harness::{
    client::ask_all,
    message::{Name, Query, rtype_of},
    process::{Countersign, repository, run},
};

const ORIGIN: &str = "awkward.example.";

/// An owner's next name and types.
type Link = (Name, Vec<u16>);

/// The chain that dnssec-signzone makes of a zone with the keys of a folder.
fn of_bind(folder: &Path, keys: &Path, zone: &Path) -> BTreeMap<Name, Link> {
    let signed = folder.join("signed.zone");
    let mut signzone = Command::new("dnssec-signzone");
    signzone
        .args(["-S", "-O", "full", "-o", ORIGIN, "-d"])
        .arg(folder)
        .arg("-K")
        .arg(keys);
    run(signzone.arg("-f").arg(&signed).arg(zone));
    let text = std::fs::read_to_string(&signed).unwrap();
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let owner = Name::parse(words.next()?).lower();
            let mut words = words.skip(2).skip_while(|word| *word == "IN");
            if words.next()? != "NSEC" {
                return None;
            }
            let next = Name::parse(words.next()?).lower();
            let mut types: Vec<u16> = words.map(|word| rtype_of(word).0).collect();
            types.sort_unstable();
            Some((owner, (next, types)))
        })
        .collect()
}

#[test]
fn the_chain_is_that_of_bind() {
    let zone = repository("zones/awkward.zone");
    let ours = Countersign::new(ORIGIN, &zone).denial("nsec");
    let server = ours.serve();
    let theirs = of_bind(ours.folder(), &ours.keys(), &zone);
    assert!(theirs.len() > 130, "{} links", theirs.len());
    // At a cut without DS the referral has it; with one, nothing ever tells it.
    let queries: Vec<_> = theirs
        .keys()
        .map(|owner| Query::new(owner.clone(), RrType::NSEC).with_do())
        .collect();
    let mut untold = 0;
    for ((owner, link), answer) in theirs.iter().zip(ask_all(server.address, &queries)) {
        let found = answer.all().find(|record| record.rtype == RrType::NSEC);
        let Some(record) = found else {
            assert!(link.1.contains(&RrType::DS.0), "{owner}\n{answer}");
            untold += 1;
            continue;
        };
        let ours = (record.names()[0].lower(), record.bitmap().into_iter().collect());
        assert_eq!(record.owner.lower(), *owner, "{answer}");
        assert_eq!(*link, ours, "{owner}\n{answer}");
    }
    assert_eq!(untold, 2);
}
