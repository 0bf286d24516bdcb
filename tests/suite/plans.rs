//! Plans as a person meets them: the real binary beside a simulated NS1, a parent, and a real unbound that asks all the
//! while. A roll in real time with short TTLs shows it no bogus answer; the same without waits does.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use countersign::{
    dnssec::{algorithm::DigestType, key::Dnskey, validate::Ds},
    lab::parent::{Delegation, Parent},
    wire::RrType,
};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::harness::{
    client::ask,
    message::{AD, Query, RD, SERVFAIL},
    ns1::SimulatedNs1,
    peers::{self, Peer},
    process::{Server, countersign, free_address, output, run, wait_for, write},
    proxy,
};

const ORIGIN: &str = "example.";
/// How long something may take that takes a few seconds.
const SHOWING: Duration = Duration::from_secs(20);
/// How long a roll may take.
const ROLLING: Duration = Duration::from_secs(50);
const TTL: u32 = 3;

/// The zone, with TTLs that a test can wait for. NS1 has it with other ones, which are smaller nowhere.
const ZONE: &str = "\
$TTL 3
@ SOA ours hostmaster 1 7200 1800 1209600 3
@ NS ours
@ NS theirs
ours A 127.0.0.1
theirs A 127.0.0.1
www A 192.0.2.80
*.apps A 192.0.2.81
";

/// All parts, on loopback.
struct World {
    // In this order: the folder goes last.
    ours: Server,
    address: SocketAddr,
    ns1: SimulatedNs1,
    parent: Parent,
    _runtime: Runtime,
    folder: tempfile::TempDir,
}

fn dnskeys(server: SocketAddr) -> Vec<Dnskey> {
    let answer = ask(server, &Query::plain(ORIGIN, "DNSKEY")).answer;
    let keys = answer.iter().filter(|record| record.rtype == RrType::DNSKEY);
    keys.filter_map(|record| Dnskey::from_rdata(&record.rdata).ok())
        .collect()
}

impl World {
    fn new(margin: &str, key_ttl: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let zone = write(folder.path(), "zone", ZONE);
        let ns1 = SimulatedNs1::start_with(folder.path(), ORIGIN, &zone, true);
        ns1.knob("dnskey-ttl", key_ttl);
        let runtime = Runtime::new().unwrap();
        let address = free_address();
        let parent = runtime
            .block_on(Parent::start(".".parse().unwrap(), &[free_address()]))
            .unwrap();
        let config = format!(
            "listen = [\"{address}\"]\nstate = \"state\"\nkeys = \"keys\"\nresolvers = [\"{}\"]\n\
             {}poll = \"1s\"\npropagation = \"1s\"\nserver_names = [\"theirs.example.\"]\n\
             [[zone]]\norigin = \"{ORIGIN}\"\nfile = \"zone\"\nauto_keys = true\nproviders = [\"ns1\"]\n\
             parent = [\"{}\"]\nparent_propagation = \"1s\"\nour_servers = [\"ours.example.\"]\nsafety_margin = \"{margin}\"\n\
             dnskey_ttl = \"{key_ttl}s\"\n",
            free_address(),
            ns1.provider(),
            parent.addresses()[0],
        );
        let config = write(folder.path(), "countersign.toml", config);
        let world = Self {
            ours: serve(&config, address),
            address,
            ns1,
            parent,
            _runtime: runtime,
            folder,
        };
        world.delegate();
        run(&mut world.command(&["peer", "sync", ORIGIN, "--wait", "20s"]));
        world
    }

    /// The parent names both, and has a DS for the KSK of each.
    fn delegate(&self) {
        let origin: countersign::wire::Name = ORIGIN.parse().unwrap();
        let mut keys = dnskeys(self.ours.address);
        keys.extend(dnskeys(self.ns1.dns[0]));
        let ds = keys.iter().filter(|key| key.is_sep());
        let ds = ds
            .map(|key| Ds::of(key, origin.as_ref(), DigestType::Sha256))
            .collect();
        let server = |name: &str| (name.parse().unwrap(), vec!["127.0.0.1".parse().unwrap()]);
        let delegation = Delegation {
            child: origin.clone(),
            servers: vec![server("ours.example."), server("theirs.example.")],
            ds,
            ttl: TTL,
        };
        self.parent.delegate(&[delegation]).unwrap();
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = countersign();
        command.args(arguments).arg("--state").arg(self.state());
        command
    }

    fn says(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let Output {
            status,
            stdout,
            stderr,
        } = output(&mut self.command(arguments));
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        (status.code(), text(stdout) + &text(stderr))
    }

    fn plan_status(&self) -> Value {
        let status = run(&mut self.command(&["status", ORIGIN, "--json"]));
        let status: Value = serde_json::from_str(&status).unwrap();
        status["zones"][0]["plan"].clone()
    }

    #[track_caller]
    fn reaches(&self, state: &str) {
        let reached = wait_for(ROLLING, || (self.plan_status()["state"] == state).then_some(()));
        assert!(
            reached.is_some(),
            "{}\n{}\n{}",
            self.says(&["status", ORIGIN]).1,
            self.says(&["peer", "status", ORIGIN]).1,
            self.ours.log()
        );
    }

    /// A resolver that takes the keys from NS1 and everything else from us.
    fn resolver(&self, servers: &[SocketAddr]) -> Peer {
        let anchor = format!(". 60 IN DNSKEY {}", self.parent.anchor());
        let mut stubs = vec![(".", self.parent.addresses()[0])];
        stubs.extend(servers.iter().map(|server| (ORIGIN, *server)));
        peers::unbound(&anchor, &stubs, "aggressive-nsec: no")
    }

    fn tags(&self) -> Vec<u16> {
        let mut tags: Vec<u16> = dnskeys(self.ours.address).iter().map(Dnskey::key_tag).collect();
        tags.sort_unstable();
        tags
    }
}

fn serve(config: &std::path::Path, address: SocketAddr) -> Server {
    let mut command = countersign();
    command.arg("serve").arg("-c").arg(config);
    Server::start("countersign", command, address, &Query::plain(ORIGIN, "SOA"))
}

/// Asks a resolver for names that it cannot have in its cache, until it is stopped.
struct Asking {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<(usize, usize)>,
}

impl Asking {
    fn start(resolver: SocketAddr, name: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let (mut asked, mut bogus) = (0, 0);
            while !stopped.load(Ordering::Relaxed) {
                let query = Query::plain(&format!("{name}{asked}.apps.{ORIGIN}"), "A");
                let answer = ask(resolver, &query.with_do().with_flags(RD));
                asked += 1;
                if answer.rcode == SERVFAIL || !answer.has(AD) {
                    bogus += 1;
                }
            }
            (asked, bogus)
        });
        Self { stop, thread }
    }

    /// How many were asked, and how many were not validated.
    fn stop(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

#[test]
fn a_zsk_roll_shows_a_resolver_nothing_bogus() {
    let world = World::new("1s", "3");
    let before = world.tags();
    let mixed = proxy::mixed(world.ns1.dns[0], world.ours.address);
    let resolvers = [
        world.resolver(&[mixed.address]),
        world.resolver(&[world.ours.address, world.ns1.dns[0], world.ns1.dns[1]]),
    ];
    let asking = [
        Asking::start(resolvers[0].address(), "a"),
        Asking::start(resolvers[1].address(), "b"),
    ];
    let shown = wait_for(SHOWING, || {
        let (code, text) = world.says(&["plan", "roll-zsk", ORIGIN]);
        (code == Some(0)).then_some(text)
    });
    let shown = shown.unwrap_or_else(|| panic!("{}", world.says(&["plan", "roll-zsk", ORIGIN]).1));
    assert!(shown.contains("the new ZSK"), "{shown}");
    let (code, text) = world.says(&["apply", "roll-zsk", ORIGIN]);
    assert_eq!(code, Some(0), "{text}");
    // A second plan has to wait.
    let (code, text) = world.says(&["apply", "roll-zsk", ORIGIN]);
    assert!(
        code == Some(1) && text.contains("another plan is carried out"),
        "{text}"
    );
    world.reaches("reached");
    for (asking, which) in asking.into_iter().zip(["keys of NS1", "both"]) {
        let (asked, bogus) = asking.stop();
        assert_eq!(bogus, 0, "{which}: {bogus} of {asked} are not validated");
        assert!(asked > 200, "{which}: only {asked} were asked");
        println!("{which}: {asked} asked, none bogus");
    }
    let after = world.tags();
    assert_eq!((before.len(), after.len()), (4, 4));
    assert_eq!(
        before.iter().filter(|tag| !after.contains(tag)).count(),
        1,
        "one key was replaced"
    );
    assert_eq!(
        dnskeys(world.ns1.dns[0]).len(),
        4,
        "NS1 has the new one, and not the old one"
    );
}

/// NS1 loses our keys while a plan waits: the plan knows before they are given again, and stops.
#[test]
fn keys_that_another_provider_loses_are_noticed_before_they_are_given_again() {
    let world = World::new("4s", "3");
    let applied = wait_for(ROLLING, || {
        world
            .says(&["apply", "roll-zsk", ORIGIN])
            .0
            .filter(|code| *code == 0)
    });
    assert!(
        applied.is_some(),
        "{}",
        world.says(&["plan", "roll-zsk", ORIGIN]).1
    );
    let waits = || (world.plan_status()["until"].is_u64()).then_some(());
    assert!(wait_for(SHOWING, waits).is_some(), "{:#}", world.plan_status());
    assert_eq!(dnskeys(world.ns1.dns[0]).len(), 5, "NS1 has the new key");
    world.ns1.knob("lost-keys", "0s");
    let told = world.ours.stderr().wait_for("not planned: ", SHOWING);
    assert!(
        told.is_some_and(|line| line.contains("lacks")),
        "{}",
        world.ours.log()
    );
    // All of them, those that go in the end included: answers are signed with them.
    let sorted = |mut keys: Vec<Dnskey>| {
        keys.sort();
        keys
    };
    let ours = sorted(dnskeys(world.ours.address));
    let again = wait_for(SHOWING, || {
        (sorted(dnskeys(world.ns1.dns[0])) == ours).then_some(())
    });
    assert!(again.is_some(), "{}", world.ours.log());
    // Resolvers did find answers bogus meanwhile; with that in what was measured nothing is switched.
    let halted = wait_for(SHOWING, || {
        (world.plan_status()["state"] == "halted").then_some(())
    });
    assert!(halted.is_some(), "{:#}", world.plan_status());
    let why = world.plan_status()["why"].to_string();
    assert!(why.contains("no key that signs the data"), "{why}");
    assert_eq!(sorted(dnskeys(world.ours.address)), ours);
}

/// The negative control: the key goes at once, and what the resolver holds does not fit.
#[test]
fn without_waits_a_resolver_finds_answers_bogus() {
    let world = World::new("1s", "8");
    let mixed = proxy::mixed(world.ns1.dns[0], world.ours.address);
    let resolver = world.resolver(&[mixed.address]);
    let old = dnskeys(world.ours.address);
    let theirs: Vec<u16> = keys_of(&world, "provider");
    let zsk = old
        .iter()
        .find(|key| !key.is_sep() && !theirs.contains(&key.key_tag()))
        .unwrap();
    let tag = zsk.key_tag().to_string();
    let asking = Asking::start(resolver.address(), "c");
    let emergency = ["emergency", ORIGIN, "--old", &tag, "--policy", "security"];
    let refused = wait_for(ROLLING, || {
        let (code, text) = world.says(&[&["apply"], &emergency[..]].concat());
        (code == Some(1) && text.contains("not safe")).then_some(text)
    });
    assert!(refused.is_some_and(|text| text.contains("--force")));
    let forced = [&["apply"], &emergency[..], &["--force", "a negative control"]].concat();
    let (code, text) = world.says(&forced);
    assert_eq!(code, Some(0), "{text}");
    world.reaches("reached");
    let (asked, bogus) = asking.stop();
    assert!(bogus > 0, "none of {asked} is bogus");
    println!("{asked} asked, {bogus} bogus");
}

/// What a person may do to a plan, and what may be done to it.
#[test]
fn a_plan_outlives_the_process_and_is_taken_back_when_it_is_given_up() {
    let mut world = World::new("10s", "3");
    let before = world.tags();
    for (arguments, text) in [
        (
            &["plan", "roll-zsk", "nobody.example."][..],
            "no zone nobody.example.",
        ),
        (&["resume", ORIGIN], "no plan is carried out"),
        (&["abort", ORIGIN, "why"], "no plan is carried out"),
        (&["abort", ORIGIN, "why", "--forget-journal"], "is whole"),
        (&["plan", "roll-csk", ORIGIN], "no CSK of ours"),
        (&["plan", "leave", ORIGIN, "--provider", "x"], "no provider \"x\""),
        (
            &["plan", "algorithm", ORIGIN, "--algorithm", "ED25519"],
            "cannot sign with",
        ),
    ] {
        let (code, said) = world.says(arguments);
        assert!(code == Some(1) && said.contains(text), "{arguments:?}: {said}");
    }
    let applied = wait_for(ROLLING, || {
        let (code, text) = world.says(&["apply", "roll-zsk", ORIGIN]);
        (code == Some(0)).then_some(text)
    });
    assert!(
        applied.is_some(),
        "{}",
        world.says(&["apply", "roll-zsk", ORIGIN]).1
    );
    let published = || (world.plan_status()["until"].is_u64()).then_some(());
    assert!(
        wait_for(SHOWING, published).is_some(),
        "{:#}",
        world.plan_status()
    );
    assert_eq!(dnskeys(world.ns1.dns[0]).len(), 5, "NS1 has the new key");

    // Killed, it goes on where it was.
    let steps = world.plan_status()["steps"].clone();
    world.ours.signal("KILL");
    world.ours.wait(SHOWING);
    world.ours = serve(&world.folder.path().join("countersign.toml"), world.address);
    let goes_on = wait_for(SHOWING, || (world.plan_status()["steps"] == steps).then_some(()));
    assert!(goes_on.is_some(), "{:#}", world.plan_status());

    let (code, text) = world.says(&["pause", ORIGIN, "dinner"]);
    assert!(
        code == Some(0) && text.contains("paused") && text.contains("dinner"),
        "{text}"
    );
    let (code, text) = world.says(&["pause", ORIGIN]);
    assert!(code == Some(1) && text.contains("the plan is paused"), "{text}");
    let (code, text) = world.says(&["resume", ORIGIN]);
    assert!(code == Some(0) && text.contains("running"), "{text}");

    // Given up, the new key goes again, everywhere.
    let (code, text) = world.says(&["abort", ORIGIN, "it was made on the wrong machine"]);
    assert!(code == Some(0) && text.contains("taken back"), "{text}");
    world.reaches("reached");
    assert_eq!(world.tags(), before);
    assert_eq!(dnskeys(world.ns1.dns[0]).len(), 4);
}

/// NS1 rolls its ZSK by itself: the new one is taken at once, and the old one goes here when nobody needs it.
#[test]
fn what_another_provider_rolls_by_itself_is_followed() {
    let world = World::new("1s", "3");
    let theirs: Vec<u16> = keys_of(&world, "provider");
    let resolver = world.resolver(&[world.ours.address, world.ns1.dns[0], world.ns1.dns[1]]);
    let asking = Asking::start(resolver.address(), "d");
    world.ns1.knob("zsk-roll", "5s");
    let followed = wait_for(ROLLING, || {
        let now = keys_of(&world, "provider");
        let replaced = theirs.iter().filter(|tag| !now.contains(tag)).count() == 1;
        (now.len() == theirs.len() && replaced).then_some(())
    });
    assert!(
        followed.is_some(),
        "{}\n{}",
        world.says(&["status", ORIGIN]).1,
        world.ours.log()
    );
    world.reaches("reached");
    let (asked, bogus) = asking.stop();
    assert_eq!(bogus, 0, "{bogus} of {asked} are not validated");
}

fn keys_of(world: &World, origin: &str) -> Vec<u16> {
    let status = run(&mut world.command(&["status", ORIGIN, "--json"]));
    let status: Value = serde_json::from_str(&status).unwrap();
    let keys = status["zones"][0]["keys"].as_array().unwrap().iter();
    let of = keys.filter(|key| key["origin"] == origin);
    of.map(|key| key["tag"].as_u64().unwrap() as u16).collect()
}
