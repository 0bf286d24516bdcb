//! A change of algorithm in real time with short TTLs, a test in the part of the person at the registrar. A real unbound
//! that demands every algorithm of the DS RRset asks all the while, for what is there and what is not, in every way of
//! denial; and every answer of ours has signatures of each algorithm that a DNSKEY RRset in some cache may name.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use countersign::wire::RrType;

use crate::harness::{
    changing::{Asking, PATIENCE, Registrar, Site, keys_at, start},
    client::ask,
    message::{Message, Query},
    process::{free_address, wait_for},
};

const P256: u8 = 13;
const ED25519: u8 = 15;

/// The algorithms of the keys, and of the signatures over each kind of answer.
fn algorithms(server: SocketAddr, origin: &str) -> [BTreeSet<u8>; 3] {
    let signatures = |message: &Message| -> BTreeSet<BTreeSet<u8>> {
        let sets: BTreeSet<RrType> = message
            .all()
            .filter(|record| record.rtype == RrType::RRSIG)
            .map(|record| record.covered())
            .collect();
        let of_set = |rtype: RrType| {
            let records = message.all().filter(|record| record.rtype == RrType::RRSIG);
            let of_it = records.filter(|record| record.covered() == rtype);
            of_it.map(|record| record.rdata[2]).collect()
        };
        sets.into_iter().map(of_set).collect()
    };
    let keys: BTreeSet<u8> = keys_at(server, origin)
        .iter()
        .map(|key| key.algorithm().0)
        .collect();
    let dnskey = signatures(&ask(server, &Query::signed(origin, "DNSKEY")));
    let mut data = BTreeSet::new();
    for (name, rtype) in [
        (origin.to_owned(), "SOA"),
        (format!("www.{origin}"), "A"),
        (format!("www.{origin}"), "TXT"),
        (format!("x.apps.{origin}"), "A"),
        (format!("x.apps.{origin}"), "TXT"),
        (format!("nobody.{origin}"), "A"),
        (format!("apps.{origin}"), "A"),
    ] {
        data.extend(signatures(&ask(server, &Query::signed(&name, rtype))));
    }
    assert_eq!(dnskey.len(), 1, "{dnskey:?}");
    // While it switches, some answers are from before.
    let every = data
        .iter()
        .skip(1)
        .fold(data.first().unwrap().clone(), |all, next| {
            all.intersection(next).copied().collect()
        });
    [keys, dnskey.into_iter().next().unwrap(), every]
}

/// RFC 6781 §4.1.4: keys, what signs them, what signs the rest.
fn stages() -> Vec<[BTreeSet<u8>; 3]> {
    let (old, new, both) = ([P256].into(), [ED25519].into(), [P256, ED25519].into());
    let stage = |keys: &BTreeSet<u8>, data: &BTreeSet<u8>| [keys.clone(), keys.clone(), data.clone()];
    vec![
        stage(&old, &old),
        stage(&old, &both),
        stage(&both, &both),
        stage(&new, &both),
        stage(&new, &new),
    ]
}

#[test]
fn a_change_of_algorithm_shows_a_strict_resolver_nothing_bogus() {
    const ORIGINS: &[&str] = &["compact.", "nsec.", "nsec3."];
    let registrar = Registrar::new();
    let address = free_address();
    let denial = |origin: &str| {
        format!(
            "safety_margin = \"1s\"\ndenial = \"{}\"\n",
            origin.trim_end_matches('.')
        )
    };
    let more: Vec<String> = ORIGINS.iter().map(|origin| denial(origin)).collect();
    let zones: Vec<(&str, &str)> = ORIGINS
        .iter()
        .copied()
        .zip(more.iter().map(String::as_str))
        .collect();
    let mut site = Site::new(address, registrar.address(), &zones);
    for origin in ORIGINS {
        registrar.point_to_keys_at(origin, &[address]);
    }
    let stubs: Vec<(&str, SocketAddr)> = ORIGINS.iter().map(|origin| (*origin, address)).collect();
    let resolver = registrar.resolver(&stubs);
    let asking = Asking::start(resolver.address(), ORIGINS);
    for origin in ORIGINS {
        let shown = site.apply(origin);
        assert!(shown.contains("in place of"), "{shown}");
    }
    let mut seen: BTreeMap<&str, Vec<[BTreeSet<u8>; 3]>> = BTreeMap::new();
    let mut killed = false;
    let mut states = BTreeSet::new();
    let reached = wait_for(PATIENCE, || {
        let mut over = true;
        for origin in ORIGINS {
            let stage = algorithms(address, origin);
            let seen = seen.entry(origin).or_default();
            // What is between two stages was asked while it switched.
            if seen.last() != Some(&stage) && stages().contains(&stage) {
                seen.push(stage);
            }
            over &= site.does_what_is_asked(origin, &registrar) == "reached";
        }
        for key in site.status(ORIGINS[0])["keys"].as_array().unwrap() {
            states.insert(key["state"].as_str().unwrap().to_owned());
        }
        if !killed && states.contains("pre-active") {
            // It goes on where it was, with the same keys.
            killed = true;
            let _nobody_asks = asking.pause.lock().unwrap();
            site.server.signal("KILL");
            site.server.wait(PATIENCE);
            site.server = start(site.folder.path(), address, ORIGINS[0]);
        }
        over.then_some(())
    });
    assert!(reached.is_some(), "{}", site.told(ORIGINS[0]));
    let asked = asking.none_was_bogus(|| ORIGINS.iter().map(|origin| site.told(origin)).collect());
    println!("{asked} asked, none bogus");
    assert!(killed);
    for (origin, seen) in seen {
        let mut expected = stages();
        expected.retain(|stage| seen.contains(stage));
        assert_eq!(seen, expected, "{origin}: in this order");
        assert!(
            seen.len() > 3 && seen.last() == stages().last(),
            "{origin}: {seen:?}"
        );
        // Only the new ones are left.
        assert_eq!(keys_at(address, origin).len(), 2);
    }
    assert!(states.contains("post-active"), "{states:?}");
}
