//! A change of algorithm in real time with short TTLs, a test in the part of the person at the registrar. A real unbound
//! that demands every algorithm of the DS RRset asks all the while, for what is there and what is not, in every way of
//! denial; and every answer of ours has signatures of each algorithm that a DNSKEY RRset in some cache may name.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use countersign::{
    dnssec::{algorithm::DigestType, key::Dnskey, validate::Ds},
    lab::parent::{Delegation, Parent},
    wire::{Name, RrType},
};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::harness::{
    client::ask,
    message::{AD, Message, Query, RD, SERVFAIL},
    peers::{self, Peer},
    process::{Server, countersign, countersign_at, free_address, output, run, wait_for, write},
};

/// How long a change may take until a test fails; it takes a quarter of that.
const PATIENCE: Duration = Duration::from_secs(150);
const TTL: u32 = 3;
const P256: u8 = 13;
const ED25519: u8 = 15;

fn zone_text() -> String {
    format!(
        "$TTL {TTL}\n@ SOA ours hostmaster 1 7200 1800 1209600 {TTL}\n@ NS ours\n@ NS theirs\nours A 127.0.0.1\n\
         theirs A 127.0.0.1\nwww A 192.0.2.80\n*.apps A 192.0.2.81\n"
    )
}

fn keys_at(server: SocketAddr, origin: &str) -> Vec<Dnskey> {
    let answer = ask(server, &Query::plain(origin, "DNSKEY")).answer;
    let keys = answer.iter().filter(|record| record.rtype == RrType::DNSKEY);
    keys.filter_map(|record| Dnskey::from_rdata(&record.rdata).ok())
        .collect()
}

/// The parent of all zones, with what a person wrote there.
struct Registrar {
    parent: Parent,
    _runtime: Runtime,
    ds: RefCell<BTreeMap<String, Vec<Ds>>>,
}

impl Registrar {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let parent = runtime
            .block_on(Parent::start(Name::root(), &[free_address()]))
            .unwrap();
        Self {
            parent,
            _runtime: runtime,
            ds: RefCell::default(),
        }
    }

    fn address(&self) -> SocketAddr {
        self.parent.addresses()[0]
    }

    fn write(&self, origin: &str, ds: Vec<Ds>) {
        self.ds.borrow_mut().insert(origin.to_owned(), ds);
        let all = self.ds.borrow();
        let delegations = all.iter().map(|(origin, ds)| {
            let server = |name: &str| {
                let name = format!("{name}.{origin}").parse().unwrap();
                (name, vec!["127.0.0.1".parse().unwrap()])
            };
            Delegation {
                child: origin.parse().unwrap(),
                servers: vec![server("ours"), server("theirs")],
                ds: ds.clone(),
                ttl: TTL,
            }
        });
        self.parent.delegate(&delegations.collect::<Vec<_>>()).unwrap();
    }

    /// A DS for every KSK that these servers show.
    fn point_to_keys_at(&self, origin: &str, servers: &[SocketAddr]) {
        let apex: Name = origin.parse().unwrap();
        let keys: BTreeSet<Dnskey> = servers
            .iter()
            .flat_map(|server| keys_at(*server, origin))
            .collect();
        let ksks = keys.iter().filter(|key| key.is_sep());
        let ds = ksks.map(|key| Ds::of(key, apex.as_ref(), DigestType::Sha256));
        self.write(origin, ds.collect());
    }

    /// A resolver that goes to these servers.
    fn resolver(&self, stubs: &[(&str, SocketAddr)]) -> Peer {
        let anchor = format!(". 60 IN DNSKEY {}", self.parent.anchor());
        let root = [(".", self.address())];
        peers::unbound(&anchor, &[&root[..], stubs].concat(), "aggressive-nsec: no")
    }
}

/// One of our servers, with its folder.
struct Site {
    // In this order: the folder goes last.
    server: Server,
    /// The steps that a person did, by zone.
    done: RefCell<BTreeSet<(String, usize)>>,
    folder: tempfile::TempDir,
}

fn start(folder: &Path, address: SocketAddr, origin: &str) -> Server {
    let mut command = countersign();
    command
        .arg("serve")
        .arg("-c")
        .arg(folder.join("countersign.toml"));
    Server::start("countersign", command, address, &Query::plain(origin, "SOA"))
}

impl Site {
    /// `zones`: each with what its section has besides.
    fn new(address: SocketAddr, parent: SocketAddr, zones: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "zone", zone_text());
        let mut text = format!(
            "listen = [\"{address}\"]\nstate = \"state\"\nkeys = \"keys\"\nresolvers = [\"{}\"]\n",
            free_address()
        );
        for (origin, more) in zones {
            text += &format!(
                "[[zone]]\norigin = \"{origin}\"\nfile = \"zone\"\nauto_keys = true\nparent = [\"{parent}\"]\n\
                 parent_propagation = \"1s\"\nsafety_margin = \"1s\"\ndnskey_ttl = \"{TTL}s\"\n{more}"
            );
        }
        write(folder.path(), "countersign.toml", text);
        Self {
            server: start(folder.path(), address, zones[0].0),
            done: RefCell::default(),
            folder,
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        countersign_at(&self.folder.path().join("state"), arguments)
    }

    /// A person asks for the plan until it can be made, and adopts it.
    fn apply(&self, origin: &str) -> String {
        let said = RefCell::default();
        let applied = wait_for(PATIENCE, || {
            let told = output(&mut self.command(&["apply", "algorithm", origin, "--algorithm", "ED25519"]));
            let text = [told.stdout, told.stderr].concat();
            *said.borrow_mut() = String::from_utf8_lossy(&text).into_owned();
            told.status.success().then_some(())
        });
        assert!(applied.is_some(), "{}\n{}", said.borrow(), self.server.log());
        said.into_inner()
    }

    fn status(&self, origin: &str) -> Value {
        let status = run(&mut self.command(&["status", origin, "--json"]));
        let status: Value = serde_json::from_str(&status).unwrap();
        status["zones"][0].clone()
    }

    /// Does the step that waits for a person at the registrar. Gives the state of the plan.
    fn does_what_is_asked(&self, origin: &str, registrar: &Registrar) -> String {
        let plan = self.status(origin)["plan"].clone();
        let steps = plan["steps"].as_array().unwrap().iter();
        let mut begun = steps.filter(|step| !step["begun"].is_null() && step["seen"].is_null());
        if let Some(step) = begun.next() {
            let number = step["number"].as_u64().unwrap() as usize;
            let is_new = self.done.borrow_mut().insert((origin.to_owned(), number));
            if is_new && step["place"] == "at the registrar" {
                let lines = step["paste"].as_array().unwrap().iter();
                let lines = lines.map(|line| line.as_str().unwrap().split_once(" DS ").unwrap().1);
                registrar.write(origin, lines.map(|ds| ds.parse().unwrap()).collect());
            }
        }
        plan["state"].as_str().unwrap().to_owned()
    }

    fn told(&self, origin: &str) -> String {
        let status = run(&mut self.command(&["status", origin]));
        format!("{status}\n{}", self.server.log())
    }
}

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

/// Asks a resolver for what it cannot have in its cache, until it is stopped; not while `pause` is held.
struct Asking {
    stop: Arc<AtomicBool>,
    pause: Arc<Mutex<()>>,
    thread: thread::JoinHandle<(usize, Vec<String>)>,
}

impl Asking {
    fn start(resolver: SocketAddr, origins: &'static [&'static str]) -> Self {
        let (stop, pause) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(())));
        let (stopped, paused) = (Arc::clone(&stop), Arc::clone(&pause));
        let thread = thread::spawn(move || {
            let (mut asked, mut bogus) = (0, Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                for origin in origins {
                    let _turn = paused.lock().unwrap();
                    for (name, rtype) in [
                        (format!("n{asked}.apps.{origin}"), "A"),
                        (format!("n{asked}.apps.{origin}"), "TXT"),
                        (format!("nobody{asked}.{origin}"), "A"),
                        (format!("www.{origin}"), "A"),
                        ((*origin).to_owned(), "DNSKEY"),
                    ] {
                        let answer = ask(resolver, &Query::plain(&name, rtype).with_do().with_flags(RD));
                        asked += 1;
                        if answer.rcode == SERVFAIL || !answer.has(AD) {
                            bogus.push(format!("{name} {rtype}"));
                        }
                    }
                }
            }
            (asked, bogus)
        });
        Self { stop, pause, thread }
    }

    /// How many were asked, when all were validated.
    #[track_caller]
    fn none_was_bogus(self, told: impl Fn() -> String) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let (asked, bogus) = self.thread.join().unwrap();
        assert!(
            bogus.is_empty(),
            "of {asked} these were not validated: {bogus:?}\n{}",
            told()
        );
        assert!(asked > 500, "only {asked} were asked");
        asked
    }
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
    let denial = |origin: &str| format!("denial = \"{}\"\n", origin.trim_end_matches('.'));
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
