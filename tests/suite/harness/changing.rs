//! Those who change the algorithm in tests: one or two of our servers, the person at the registrar, and who asks all the
//! while. TTLs are short, so that a test can wait for them.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs,
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
    dnssec::{
        algorithm::{Algorithm, DigestType},
        key::Dnskey,
        validate::Ds,
    },
    lab::parent::{Delegation, Parent},
    wire::{Name, RrType},
};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::{
    client::ask,
    message::{AD, Query, RD, SERVFAIL},
    peers::{self, Peer},
    process::{Server, countersign, countersign_at, free_address, output, run, wait_for, write},
};

/// How long a change may take until a test fails; it takes a quarter of that.
pub const PATIENCE: Duration = Duration::from_secs(150);
pub const TTL: u32 = 3;

/// The zone, as all who serve it have it.
pub fn zone_text() -> String {
    format!(
        "$TTL {TTL}\n@ SOA ours hostmaster 1 7200 1800 1209600 {TTL}\n@ NS ours\n@ NS theirs\nours A 127.0.0.1\n\
         theirs A 127.0.0.1\nwww A 192.0.2.80\n*.apps A 192.0.2.81\n"
    )
}

pub fn keys_at(server: SocketAddr, origin: &str) -> Vec<Dnskey> {
    let answer = ask(server, &Query::plain(origin, "DNSKEY")).answer;
    let keys = answer.iter().filter(|record| record.rtype == RrType::DNSKEY);
    keys.filter_map(|record| Dnskey::from_rdata(&record.rdata).ok())
        .collect()
}

/// The parent of all zones, with what a person wrote there.
pub struct Registrar {
    parent: Parent,
    _runtime: Runtime,
    ds: RefCell<BTreeMap<String, Vec<Ds>>>,
}

impl Registrar {
    pub fn new() -> Self {
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

    pub fn address(&self) -> SocketAddr {
        self.parent.addresses()[0]
    }

    pub fn write(&self, origin: &str, ds: Vec<Ds>) {
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

    /// Does a step of a plan where it is for the person here.
    pub fn does(&self, origin: &str, step: Option<&Value>) {
        if let Some(step) = step.filter(|step| step["place"] == "at the registrar") {
            let lines = step["paste"].as_array().unwrap().iter();
            let lines = lines.map(|line| line.as_str().unwrap().split_once(" DS ").unwrap().1);
            self.write(origin, lines.map(|ds| ds.parse().unwrap()).collect());
        }
    }

    /// A DS for no key of anybody, so that there is never none: that there is none is remembered for longer.
    pub fn point_to_nobody(&self, origin: &str) {
        let apex: Name = origin.parse().unwrap();
        let nobody = Dnskey::new(257, Algorithm::ECDSAP256SHA256, &[7; 64]);
        self.write(origin, vec![Ds::of(&nobody, apex.as_ref(), DigestType::Sha256)]);
    }

    /// A DS for every KSK that these servers show.
    pub fn point_to_keys_at(&self, origin: &str, servers: &[SocketAddr]) {
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
    pub fn resolver(&self, stubs: &[(&str, SocketAddr)]) -> Peer {
        let anchor = format!(". 60 IN DNSKEY {}", self.parent.anchor());
        let root = [(".", self.address())];
        peers::unbound(&anchor, &[&root[..], stubs].concat(), "aggressive-nsec: no")
    }
}

/// One of our servers, with its folder.
pub struct Site {
    // In this order: the folder goes last.
    pub server: Server,
    /// The steps that a person did, by zone.
    done: RefCell<BTreeSet<(String, usize)>>,
    pub folder: tempfile::TempDir,
}

pub fn start(folder: &Path, address: SocketAddr, origin: &str) -> Server {
    let mut command = countersign();
    command
        .arg("serve")
        .arg("-c")
        .arg(folder.join("countersign.toml"));
    Server::start("countersign", command, address, &Query::plain(origin, "SOA"))
}

impl Site {
    /// `zones`: each with what its section has besides.
    pub fn new(address: SocketAddr, parent: SocketAddr, zones: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "zone", zone_text());
        let mut text = format!(
            "listen = [\"{address}\"]\nstate = \"state\"\nkeys = \"keys\"\nresolvers = [\"{}\"]\n",
            free_address()
        );
        for (origin, more) in zones {
            text += &format!(
                "[[zone]]\norigin = \"{origin}\"\nfile = \"zone\"\nauto_keys = true\nparent = [\"{parent}\"]\n\
                 parent_propagation = \"1s\"\ndnskey_ttl = \"{TTL}s\"\n{more}"
            );
        }
        write(folder.path(), "countersign.toml", text);
        Self {
            server: start(folder.path(), address, zones[0].0),
            done: RefCell::default(),
            folder,
        }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        countersign_at(&self.folder.path().join("state"), arguments)
    }

    /// Puts keys of others, which nobody can look up yet, into a file, and has it read.
    pub fn tell_of_keys(&self, origin: &str, keys: &[String]) {
        let lines: Vec<String> = keys
            .iter()
            .map(|key| format!("{origin} {TTL} IN DNSKEY {key}\n"))
            .collect();
        write(self.folder.path(), "theirs.keys", lines.concat());
        self.configure("external_keys = []", "external_keys = [\"theirs.keys\"]");
    }

    /// Writes one thing in place of another into the configuration, and has it read.
    pub fn configure(&self, old: &str, new: &str) {
        let config = self.folder.path().join("countersign.toml");
        let text = fs::read_to_string(&config).unwrap();
        assert!(text.contains(old), "{text}");
        fs::write(config, text.replace(old, new)).unwrap();
        run(&mut self.command(&["reload"]));
    }

    /// Our keys of an algorithm that nobody has seen yet.
    pub fn held_keys(&self, origin: &str, algorithm: &str) -> Vec<String> {
        let mut list = self.command(&["keys", "list", origin, "--json"]);
        let listed = output(list.arg("--keys").arg(self.folder.path().join("keys")));
        let Ok(listed) = serde_json::from_slice::<Value>(&listed.stdout) else {
            panic!("{}", String::from_utf8_lossy(&listed.stderr));
        };
        let keys = listed["keys"].as_array().unwrap().iter();
        let held = keys.filter(|key| {
            let unseen = key["state"] == "held" || key["state"] == "pre-active";
            key["origin"] == "own" && key["algorithm"] == algorithm && unseen
        });
        held.map(|key| key["dnskey"].as_str().unwrap().to_owned())
            .collect()
    }

    /// A person asks for the plan until it can be made, and adopts it.
    pub fn apply(&self, origin: &str) -> String {
        let said = RefCell::default();
        let applied = wait_for(PATIENCE, || {
            let told = output(&mut self.command(&["apply", "algorithm", origin, "--algorithm", "ED25519"]));
            let text = [told.stdout, told.stderr].concat();
            let text = String::from_utf8_lossy(&text).into_owned();
            *said.borrow_mut() = text;
            told.status.success().then_some(())
        });
        assert!(applied.is_some(), "{}\n{}", said.borrow(), self.server.log());
        said.into_inner()
    }

    pub fn status(&self, origin: &str) -> Value {
        let status = run(&mut self.command(&["status", origin, "--json"]));
        let status: Value = serde_json::from_str(&status).unwrap();
        status["zones"][0].clone()
    }

    /// The step that waits for a person, once, and the state of the plan.
    pub fn asks_for(&self, origin: &str) -> (Option<Value>, String) {
        let plan = self.status(origin)["plan"].clone();
        let steps = plan["steps"].as_array().unwrap().iter();
        let mut begun = steps.filter(|step| !step["begun"].is_null() && step["seen"].is_null());
        let asked = begun.next().filter(|step| {
            let number = step["number"].as_u64().unwrap() as usize;
            self.done.borrow_mut().insert((origin.to_owned(), number))
        });
        (asked.cloned(), plan["state"].as_str().unwrap().to_owned())
    }

    /// Does the step that waits for a person at the registrar. Gives the state of the plan.
    pub fn does_what_is_asked(&self, origin: &str, registrar: &Registrar) -> String {
        let (step, state) = self.asks_for(origin);
        registrar.does(origin, step.as_ref());
        state
    }

    pub fn told(&self, origin: &str) -> String {
        let status = run(&mut self.command(&["status", origin]));
        format!("{status}\n{}", self.server.log())
    }
}

/// Asks a resolver for what it cannot have in its cache, until it is stopped; not while `pause` is held.
pub struct Asking {
    stop: Arc<AtomicBool>,
    pub pause: Arc<Mutex<()>>,
    thread: thread::JoinHandle<(usize, Vec<String>)>,
}

impl Asking {
    pub fn start(resolver: SocketAddr, origins: &'static [&'static str]) -> Self {
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
    pub fn none_was_bogus(self, told: impl Fn() -> String) -> usize {
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
