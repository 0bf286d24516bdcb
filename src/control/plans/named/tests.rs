//! Where NS RRsets lead, and who of that is asked.

use std::{net::SocketAddr, sync::Arc};

use super::{
    super::super::tests::{Fixture, runtime},
    *,
};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn at(name: &str, address: &str) -> Result<At, String> {
    Ok(At {
        name: (!name.is_empty()).then(|| name.parse().unwrap()),
        address: address.parse().unwrap(),
    })
}

/// This server, and another provider with one name and an address.
fn members() -> Vec<Targets> {
    vec![
        Targets {
            names: Vec::new(),
            servers: vec![at("", "127.0.0.1:5300")],
        },
        Targets {
            names: vec![name("theirs.example.net.")],
            servers: vec![at("", "198.51.100.1:53")],
        },
    ]
}

/// Whom they ask when NS RRsets name these, with these addresses.
fn asked(public: &[&str], named: &[(&str, &str)]) -> [Vec<Result<At, String>>; 2] {
    // Its zone names ns.example., which has 192.0.2.1.
    let fixture = Fixture::started(&["example."]);
    let nobody: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let mut config = fixture.server.config.load().as_ref().clone();
    config.resolvers = vec![nobody];
    fixture.server.config.store(Arc::new(config.clone()));
    let named = named.iter().map(|(of, address)| (name(of), address.parse().ok()));
    let public: Vec<IpAddr> = public.iter().map(|address| address.parse().unwrap()).collect();
    let mut members = members();
    let whereabouts = Whereabouts::new(&config);
    let (zone, named) = (name("example."), named.collect());
    runtime().block_on(add(
        &fixture.server,
        &zone,
        &whereabouts,
        &named,
        &public,
        &mut members,
    ));
    [0, 1].map(|place| members[place].servers.clone())
}

const OURS: &str = "127.0.0.1:5300";
const THEIRS: &str = "198.51.100.1:53";

/// A second host with copied keys, or this one's public address.
#[test]
fn an_address_of_ours_that_nobody_asks_is_asked() {
    let [ours, theirs] = asked(&[], &[("NS.example.", "")]);
    assert_eq!(ours, [at("", OURS), at("NS.example.", "192.0.2.1:53")]);
    assert_eq!(theirs, members()[1].servers);
    // The parent's glue may be another one than the zone has, and resolvers follow it.
    let [ours, _] = asked(&[], &[("ns.example.", ""), ("ns.example.", "192.0.2.9")]);
    assert_eq!(
        ours[1..],
        [
            at("ns.example.", "192.0.2.1:53"),
            at("ns.example.", "192.0.2.9:53")
        ]
    );
    let [ours, _] = asked(
        &["192.0.2.1"],
        &[("ns.example.", ""), ("ns.example.", "127.0.0.2")],
    );
    assert_eq!(ours, [at("", OURS)]);
}

#[test]
fn an_address_of_a_provider_that_is_not_configured_is_asked() {
    let known = ("theirs.example.net.", "198.51.100.1");
    let [_, theirs] = asked(
        &["198.51.100.2"],
        &[known, ("theirs.example.net.", "198.51.100.2")],
    );
    // Under its name, so that it can stand for its other address family; what leads to us is no matter of theirs.
    assert_eq!(theirs[0], at("theirs.example.net.", THEIRS));
    assert_eq!(theirs[2], at("theirs.example.net.", "198.51.100.2:53"));
    // A name elsewhere that cannot be looked up may have further addresses.
    let why = theirs[1].as_ref().unwrap_err();
    assert!(
        why.starts_with("theirs.example.net. is in the NS RRset: no resolver answered"),
        "{why}"
    );
    assert_eq!(theirs.len(), 3);
}

#[test]
fn nobody_is_led_to_more_names_than_are_looked_up() {
    let names: Vec<String> = (0..=MOST_NAMES)
        .map(|number| format!("n{number}.example."))
        .collect();
    let named: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let [ours, _] = asked(&[], &named);
    assert!(
        ours[1].as_ref().unwrap_err().contains("name 65 servers"),
        "{ours:?}"
    );
}

#[test]
fn a_name_counts_for_as_long_as_servers_may_still_differ() {
    let fixture = Fixture::started(&["example."]);
    let (server, zone) = (&fixture.server, name("example."));
    let named = |of: &str| BTreeSet::from([(name(of), None)]);
    keep(server, &zone, &named("a.example."));
    keep(server, &zone, &named("A.example."));
    assert_eq!(lately(server, &zone), named("a.example."));
    keep(server, &zone, &named("b.example."));
    fixture.clock.advance(NAMES_HOLD);
    keep(server, &zone, &named("b.example."));
    assert_eq!(lately(server, &zone).len(), 2);
    fixture.clock.advance(Duration::from_secs(1));
    keep(server, &zone, &BTreeSet::new());
    assert_eq!(lately(server, &zone), named("b.example."));
}
