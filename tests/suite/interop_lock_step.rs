//! A change of algorithm at two of our servers, each of which carries out a plan of its own, in real time with short TTLs. One
//! is always ahead of the other, whose plan takes that for what it is. A real unbound that demands every algorithm of the
//! DS RRset asks all the while, keys from the one and answers from the other, and finds nothing bogus.

use std::{collections::BTreeSet, net::SocketAddr};

use countersign::{dnssec::key::Dnskey, wire::RrType};

use crate::harness::{
    changing::{Asking, PATIENCE, Registrar, Site, keys_at},
    peers::Peer,
    process::{free_address, output, wait_for},
    proxy::{self, Proxy},
};

const ORIGIN: &str = "example.";
const ORIGINS: &[&str] = &[ORIGIN];
const ED25519: u8 = 15;
/// In the configuration, until it is known who is first.
const MARGIN: &str = "safety_margin = \"1s\"";

/// One of the two, as `name`, beside the other one.
fn site(name: &str, address: SocketAddr, other: (&str, SocketAddr), registrar: &Registrar) -> Site {
    let (theirs, server) = other;
    let more = format!(
        "our_servers = [\"{name}.example.\"]\nproviders = [\"{theirs}\"]\n{MARGIN}\nexternal_keys = []\n\
         [[provider]]\nname = \"{theirs}\"\nkind = \"dns\"\nservers = [\"{server}\"]\n\
         server_names = [\"{theirs}.example.\"]\npoll = \"1s\"\npropagation = \"1s\"\n"
    );
    Site::new(address, registrar.address(), &[(ORIGIN, &more)])
}

/// Both, and the parent.
struct World {
    registrar: Registrar,
    sites: [Site; 2],
}

impl World {
    fn new() -> Self {
        let registrar = Registrar::new();
        registrar.point_to_nobody(ORIGIN);
        let (ours, theirs) = (free_address(), free_address());
        let sites = [
            site("ours", ours, ("theirs", theirs), &registrar),
            site("theirs", theirs, ("ours", ours), &registrar),
        ];
        registrar.point_to_keys_at(ORIGIN, &[ours, theirs]);
        let world = Self { registrar, sites };
        world.know_each_other();
        world
    }

    fn know_each_other(&self) {
        let shown =
            |site: &Site| -> BTreeSet<Dnskey> { keys_at(site.server.address, ORIGIN).into_iter().collect() };
        for site in &self.sites {
            // Whether all was well is seen below.
            output(&mut site.command(&["peer", "sync", ORIGIN]));
        }
        let known = wait_for(PATIENCE, || {
            let [ours, theirs] = [&self.sites[0], &self.sites[1]].map(shown);
            (ours.len() == 4 && ours == theirs).then_some(())
        });
        assert!(known.is_some(), "{}", self.told());
    }

    /// The margin of the one whose turn comes first in each step, and of the other. The larger one's plan waits longer.
    fn set_margins(&self, first: &str, second: &str) {
        let own = |site: &Site| {
            let status = site.status(ORIGIN);
            let keys = status["keys"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|key| key["origin"] == "own");
            keys.map(|key| key["dnskey"].as_str().unwrap().to_owned())
                .collect::<BTreeSet<_>>()
        };
        let first_key = |site: &Site| {
            let own = own(site);
            let keys = keys_at(site.server.address, ORIGIN).into_iter();
            keys.filter(|key| own.contains(&key.to_string())).min()
        };
        let swapped = first_key(&self.sites[1]) < first_key(&self.sites[0]);
        let margins = if swapped { [second, first] } else { [first, second] };
        for (site, margin) in self.sites.iter().zip(margins) {
            site.configure(MARGIN, &format!("safety_margin = \"{margin}\""));
        }
    }

    /// Each plans for itself; then the new keys of each, which nobody can look up, are brought to the other.
    fn begin(&self) {
        for site in &self.sites {
            site.apply(ORIGIN);
        }
        let new: Vec<Vec<String>> = (0..2)
            .map(|place| {
                let held =
                    || Some(self.sites[place].held_keys(ORIGIN, "ED25519")).filter(|keys| keys.len() == 2);
                wait_for(PATIENCE, held).unwrap_or_else(|| panic!("{}", self.told()))
            })
            .collect();
        self.sites[0].tell_of_keys(ORIGIN, &new[1]);
        self.sites[1].tell_of_keys(ORIGIN, &new[0]);
    }

    fn told(&self) -> String {
        self.sites.iter().map(|site| site.told(ORIGIN)).collect()
    }

    /// A strict resolver that has keys from the one and answers from the other.
    fn mixing(&self, keys: usize, answers: usize) -> (Asking, Peer, Proxy) {
        let [keys, answers] = [keys, answers].map(|place| self.sites[place].server.address);
        let proxy = proxy::through(move |query, way| {
            let is_for_keys = proxy::asked_type(query) == Some(RrType::DNSKEY);
            way.exchange(if is_for_keys { keys } else { answers }, query)
        });
        let resolver = self.registrar.resolver(&[(ORIGIN, proxy.address)]);
        (Asking::start(resolver.address(), ORIGINS), resolver, proxy)
    }
}

/// Carries out both plans with these margins.
fn change(first: &str, second: &str) {
    let world = World::new();
    world.set_margins(first, second);
    let asking = [world.mixing(0, 1), world.mixing(1, 0)];
    world.begin();
    let reached = wait_for(PATIENCE, || {
        // Whoever asks first at the registrar has it done.
        let sites = world.sites.each_ref();
        let states = sites.map(|site| site.does_what_is_asked(ORIGIN, &world.registrar));
        let halted = states.iter().any(|state| state == "paused" || state == "halted");
        assert!(!halted, "{states:?}\n{}", world.told());
        (states == ["reached", "reached"]).then_some(())
    });
    assert!(reached.is_some(), "{}", world.told());
    for (asking, _resolver, _proxy) in asking {
        let asked = asking.none_was_bogus(|| world.told());
        eprintln!("{asked} asked, none bogus");
    }
    for site in &world.sites {
        let keys = keys_at(site.server.address, ORIGIN);
        assert_eq!(keys.len(), 4);
        assert!(keys.iter().all(|key| key.algorithm().0 == ED25519), "{keys:?}");
    }
    let early = world
        .sites
        .each_ref()
        .map(|site| site.server.log().matches("done before its turn").count());
    eprintln!("{early:?} steps were done before their turn");
    assert!(early.iter().sum::<usize>() > 0, "{}", world.told());
}

#[test]
fn the_first_one_may_be_ahead() {
    change("8s", "11s");
}

#[test]
fn the_second_one_may_be_ahead() {
    change("11s", "8s");
}
