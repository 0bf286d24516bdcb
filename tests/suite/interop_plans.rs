//! Plans beside a real Knot, in real time with short TTLs, a test in the part of the person who pastes what a plan asks
//! for: we come into a delegation that Knot had alone, and roll our ZSK. A real unbound asks all the while; what it holds
//! is from before when it first meets us, and nothing is bogus.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
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
    message::Query,
    peers::{self, Peer},
    planned::{Asking, dnskeys, validates},
    process::{Server, countersign, countersign_at, free_address, output, run, wait_for, write},
    proxy,
};

const ORIGIN: &str = "example.";
/// How long a plan may take until a test fails; it takes a quarter of that.
const PATIENCE: Duration = Duration::from_secs(90);
const TTL: u32 = 3;

/// The zone at one of the two: its name servers, and DNSKEY records of the other.
fn zone(serial: u32, servers: &BTreeSet<String>, keys: &[String]) -> String {
    let mut text = format!(
        "$TTL {TTL}\n@ SOA theirs hostmaster {serial} 7200 1800 1209600 {TTL}\nours A 127.0.0.1\ntheirs A 127.0.0.1\n\
         www A 192.0.2.80\n*.apps A 192.0.2.81\n"
    );
    for server in servers {
        text += &format!("@ NS {server}\n");
    }
    for key in keys {
        text += &format!("{key}\n");
    }
    text
}

/// What people have written down so far, each in their place.
#[derive(Default)]
struct Written {
    serial: u32,
    knot_servers: BTreeSet<String>,
    knot_keys: Vec<String>,
    parent_servers: BTreeSet<String>,
    parent_ds: Vec<Ds>,
    /// The steps of the plan that were done.
    done: BTreeSet<usize>,
}

struct World {
    // In this order: the folder goes last.
    ours: Server,
    knot: Peer,
    parent: Parent,
    _runtime: Runtime,
    written: RefCell<Written>,
    /// NS records name us somewhere: resolvers may come.
    joined: Arc<AtomicBool>,
    folder: tempfile::TempDir,
}

fn servers(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Knot makes its own keys, and publishes beside them what stands in its zone file.
fn signing_knot(file: PathBuf) -> Peer {
    let settings = format!(
        "policy:\n  - id: beside\n    dnskey-management: incremental\n    delete-delay: 1d\n    dnskey-ttl: {TTL}\n    \
         cds-cdnskey-publish: none\ntemplate:\n    dnssec-signing: on\n    dnssec-policy: beside\n"
    );
    peers::knot(&[(ORIGIN, file)], &settings)
}

fn serve(folder: &Path, knot: SocketAddr, parent: SocketAddr) -> Server {
    let address = free_address();
    let text = format!(
        "listen = [\"{address}\"]\nstate = \"state\"\nkeys = \"keys\"\nresolvers = [\"{}\"]\n\
         [[provider]]\nname = \"knot\"\nkind = \"dns\"\nservers = [\"{knot}\"]\nserver_names = [\"theirs.example.\"]\n\
         poll = \"1s\"\npropagation = \"1s\"\n\
         [[zone]]\norigin = \"{ORIGIN}\"\nfile = \"ours.zone\"\nauto_keys = true\nproviders = [\"knot\"]\n\
         parent = [\"{parent}\"]\nparent_propagation = \"1s\"\nour_servers = [\"ours.example.\"]\n\
         safety_margin = \"1s\"\ndnskey_ttl = \"{TTL}s\"\n",
        free_address()
    );
    let config = write(folder, "countersign.toml", text);
    let mut command = countersign();
    command.arg("serve").arg("-c").arg(config);
    Server::start("countersign", command, address, &Query::plain(ORIGIN, "SOA"))
}

impl World {
    /// Knot has the delegation, and the DS, for itself.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let theirs = servers(&["theirs"]);
        for file in ["ours.zone", "knot.zone"] {
            write(folder.path(), file, zone(1, &theirs, &[]));
        }
        let knot = signing_knot(folder.path().join("knot.zone"));
        let runtime = Runtime::new().unwrap();
        let parent = runtime
            .block_on(Parent::start(Name::root(), &[free_address()]))
            .unwrap();
        let origin: Name = ORIGIN.parse().unwrap();
        let ksks = dnskeys(knot.address()).into_iter().filter(Dnskey::is_sep);
        let world = Self {
            ours: serve(folder.path(), knot.address(), parent.addresses()[0]),
            written: RefCell::new(Written {
                serial: 1,
                knot_servers: theirs.clone(),
                parent_servers: theirs,
                parent_ds: ksks
                    .map(|key| Ds::of(&key, origin.as_ref(), DigestType::Sha256))
                    .collect(),
                ..Written::default()
            }),
            knot,
            parent,
            _runtime: runtime,
            joined: Arc::default(),
            folder,
        };
        world.delegate();
        world
    }

    fn delegate(&self) {
        let written = self.written.borrow();
        let server = |name: &String| {
            let name = format!("{name}.{ORIGIN}").parse().unwrap();
            (name, vec!["127.0.0.1".parse().unwrap()])
        };
        let delegation = Delegation {
            child: ORIGIN.parse().unwrap(),
            servers: written.parent_servers.iter().map(server).collect(),
            ds: written.parent_ds.clone(),
            ttl: TTL,
        };
        self.parent.delegate(&[delegation]).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        countersign_at(&self.folder.path().join("state"), arguments)
    }

    /// A person asks for a plan until it can be made, and adopts it.
    fn apply(&self, arguments: &[&str]) {
        self.written.borrow_mut().done.clear();
        let said = RefCell::default();
        let applied = wait_for(PATIENCE, || {
            let told = output(&mut self.command(&[&["apply"], arguments].concat()));
            let text = [told.stdout, told.stderr].concat();
            *said.borrow_mut() = String::from_utf8_lossy(&text).into_owned();
            told.status.success().then_some(())
        });
        assert!(applied.is_some(), "{}\n{}", said.borrow(), self.ours.log());
        let reached = wait_for(PATIENCE, || self.does_what_is_asked());
        let status = run(&mut self.command(&["status", ORIGIN]));
        assert!(reached.is_some(), "{status}\n{}", self.ours.log());
    }

    /// Looks at the plan, and does the step that waits for a person; something when the goal is reached.
    fn does_what_is_asked(&self) -> Option<()> {
        let status: Value =
            serde_json::from_str(&run(&mut self.command(&["status", ORIGIN, "--json"]))).unwrap();
        let plan = &status["zones"][0]["plan"];
        if plan["state"] == "reached" {
            return Some(());
        }
        let steps = plan["steps"].as_array()?;
        let step = steps
            .iter()
            .find(|step| !step["begun"].is_null() && step["seen"].is_null())?;
        let number = step["number"].as_u64()? as usize;
        if self.written.borrow_mut().done.insert(number) {
            self.does(step);
        }
        None
    }

    fn does(&self, step: &Value) {
        let what = step["what"].as_str().unwrap();
        let place = step["place"].as_str().unwrap_or("here");
        let lines = step["paste"].as_array().into_iter().flatten();
        let lines: Vec<String> = lines.map(|line| line.as_str().unwrap().to_owned()).collect();
        let has = |rtype: &str| lines.iter().any(|line| line.contains(&format!(" {rtype} ")));
        let names: BTreeSet<String> = lines
            .iter()
            .filter_map(|line| line.split_once(" NS ")?.1.split_once('.'))
            .map(|(name, _)| name.trim().to_owned())
            .collect();
        match place {
            "at the registrar" if has("DS") => {
                let ds = lines.iter().map(|line| line.split_once(" DS ").unwrap().1);
                self.written.borrow_mut().parent_ds = ds.map(|ds| ds.parse().unwrap()).collect();
                self.delegate();
            }
            "at the registrar" => {
                self.joined.store(true, Ordering::Relaxed);
                self.written.borrow_mut().parent_servers = names;
                self.delegate();
            }
            "at knot" => {
                if has("NS") {
                    self.joined.store(true, Ordering::Relaxed);
                    self.written.borrow_mut().knot_servers = names;
                } else {
                    self.written.borrow_mut().knot_keys = lines;
                }
                self.rewrite_knot();
            }
            _ if what.starts_with("the NS RRset of this server ") => {
                let both = servers(&["ours", "theirs"]);
                write(self.folder.path(), "ours.zone", zone(2, &both, &[]));
                run(&mut self.command(&["reload"]));
            }
            _ => {}
        }
    }

    fn rewrite_knot(&self) {
        let mut written = self.written.borrow_mut();
        written.serial += 10;
        let text = zone(written.serial, &written.knot_servers, &written.knot_keys);
        fs::write(self.folder.path().join("knot.zone"), text).unwrap();
        self.knot.knotc(&["zone-reload", ORIGIN]);
    }

    fn resolver(&self, server: SocketAddr) -> Peer {
        let anchor = format!(". 60 IN DNSKEY {}", self.parent.anchor());
        let stubs = [(".", self.parent.addresses()[0]), (ORIGIN, server)];
        peers::unbound(&anchor, &stubs, "aggressive-nsec: no")
    }
}

#[test]
fn a_join_and_a_roll_beside_knot_show_a_resolver_nothing_bogus() {
    let world = World::new();
    let (ours, knot) = (world.ours.address, world.knot.address());
    // The negative control: whoever is sent to us before the plan finds us bogus, for no DS leads to our keys.
    let early = world.resolver(ours);
    assert!(!validates(early.address(), "early"));

    // Each asks Knot alone, and from the moment at which somebody names us the one for keys and the other for answers,
    // with all that it holds from before.
    let asking = [(ours, knot), (knot, ours)].map(|(keys, answers)| {
        let joined = Arc::clone(&world.joined);
        let proxy = proxy::through(move |query, way| {
            let is_for_keys = proxy::asked_type(query) == Some(RrType::DNSKEY);
            let mixed = if is_for_keys { keys } else { answers };
            let server = if joined.load(Ordering::Relaxed) {
                mixed
            } else {
                knot
            };
            way.exchange(server, query)
        });
        let resolver = world.resolver(proxy.address);
        (Asking::start(resolver.address()), resolver, proxy)
    });

    world.apply(&["join", ORIGIN, "--provider", "us"]);
    assert_eq!(
        world.written.borrow().parent_servers,
        servers(&["ours", "theirs"])
    );
    let before = dnskeys(knot);
    assert_eq!(before.len(), 4, "two keys of each");
    world.apply(&["roll-zsk", ORIGIN]);
    let after = dnskeys(knot);
    let replaced = before.iter().filter(|key| !after.contains(key)).count();
    assert_eq!((after.len(), replaced), (4, 1), "{after:?}");
    assert_eq!(
        dnskeys(ours).into_iter().collect::<BTreeSet<_>>(),
        after.into_iter().collect()
    );

    for (asking, _resolver, _proxy) in asking {
        let (asked, bogus) = asking.stop();
        assert!(
            bogus.is_empty(),
            "of {asked} these were not validated: {bogus:?}\n{}",
            world.ours.log()
        );
        assert!(asked > 500, "only {asked} were asked");
        println!("{asked} asked, none bogus");
    }
}
