//! A KSK rolls without a person: beside a simulated NS1 both show the same CDS and CDNSKEY, the parent is told by NOTIFY
//! where its DSYNC record says, looks at every server as RFC 9975 wants, and changes its DS RRset. A real unbound asks
//! all the while; the server is killed in between.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use countersign::{
    clock::{Clock as _, SystemClock},
    dnssec::{
        algorithm::DigestType,
        key::Dnskey,
        validate::{Ds, signed_by},
    },
    lab::parent::{Delegation, Parent},
    wire::{Name, RrType, received::Received},
};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::harness::{
    client::{ask, exchange_udp},
    message::{AD, Query, RD, SERVFAIL},
    ns1::SimulatedNs1,
    peers,
    process::{Server, countersign, free_address, output, run, wait_for, write},
    proxy::{self, Proxy},
    scanner::{Heard, scanner},
};

const ORIGIN: &str = "example.";
const PATIENCE: Duration = Duration::from_secs(5);
/// How long something may take that takes a few seconds.
const SHOWING: Duration = Duration::from_secs(20);
/// How long a roll may take.
const ROLLING: Duration = Duration::from_secs(120);
const TTL: u32 = 3;

const ZONE: &str = "\
$TTL 3
@ SOA ours hostmaster 1 7200 1800 1209600 3
@ NS ours
@ NS theirs
ours A 127.0.0.1
theirs A 127.0.0.1
*.apps A 192.0.2.81
";

struct World {
    // In this order: the folder goes last.
    ours: Server,
    address: SocketAddr,
    ns1: SimulatedNs1,
    parent: Parent,
    heard: Arc<Heard>,
    _scanner: Proxy,
    _runtime: Runtime,
    folder: tempfile::TempDir,
}

fn received(server: SocketAddr, rtype: &str) -> Received {
    let query = Query::signed(ORIGIN, rtype).to_bytes(7);
    Received::read(&exchange_udp(server, &query, PATIENCE).unwrap()).unwrap()
}

fn rdatas(message: &Received, rtype: RrType) -> BTreeSet<Vec<u8>> {
    let records = message.answers.iter().filter(|record| record.rtype == rtype);
    records.map(|record| record.rdata.to_vec()).collect()
}

fn dnskeys(server: SocketAddr) -> Vec<Dnskey> {
    let found = rdatas(&received(server, "DNSKEY"), RrType::DNSKEY);
    found
        .iter()
        .map(|rdata| Dnskey::from_rdata(rdata).unwrap())
        .collect()
}

fn origin() -> Name {
    ORIGIN.parse().unwrap()
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let zone = write(folder.path(), "zone", ZONE);
        let ns1 = SimulatedNs1::start_with(folder.path(), ORIGIN, &zone, true);
        ns1.knob("dnskey-ttl", &TTL.to_string());
        let runtime = Runtime::new().unwrap();
        let address = free_address();
        let parent = runtime
            .block_on(Parent::start(Name::root(), &[free_address()]))
            .unwrap();
        let heard = Arc::new(Heard::default());
        let scanner = scanner(&[RrType::CDS], Arc::clone(&heard));
        let config = format!(
            "listen = [\"{address}\"]\nstate = \"state\"\nkeys = \"keys\"\nresolvers = [\"{}\"]\n\
             {}poll = \"1s\"\npropagation = \"1s\"\nserver_names = [\"theirs.example.\"]\ncds = true\n\
             [[zone]]\norigin = \"{ORIGIN}\"\nfile = \"zone\"\nauto_keys = true\nproviders = [\"ns1\"]\n\
             parent = [\"{}\"]\nparent_propagation = \"1s\"\nour_servers = [\"ours.example.\"]\n\
             safety_margin = \"1s\"\ndnskey_ttl = \"{TTL}s\"\ncds = \"rollover\"\n",
            scanner.address,
            ns1.provider(),
            parent.addresses()[0],
        );
        write(folder.path(), "countersign.toml", config);
        let world = Self {
            ours: serve(folder.path(), address),
            address,
            ns1,
            parent,
            heard,
            _scanner: scanner,
            _runtime: runtime,
            folder,
        };
        let mut keys = dnskeys(world.address);
        keys.extend(dnskeys(world.ns1.dns[0]));
        world.delegate(&keys.into_iter().filter(Dnskey::is_sep).collect());
        run(&mut world.command(&["peer", "sync", ORIGIN, "--wait", "20s"]));
        world
    }

    fn servers(&self) -> [SocketAddr; 3] {
        [self.address, self.ns1.dns[0], self.ns1.dns[1]]
    }

    fn delegate(&self, keys: &BTreeSet<Dnskey>) {
        let server = |name: &str| (name.parse().unwrap(), vec!["127.0.0.1".parse().unwrap()]);
        let ds = keys
            .iter()
            .map(|key| Ds::of(key, origin().as_ref(), DigestType::Sha256));
        let delegation = Delegation {
            child: origin(),
            servers: vec![server("ours.example."), server("theirs.example.")],
            ds: ds.collect(),
            ttl: TTL,
        };
        self.parent.delegate(&[delegation]).unwrap();
    }

    /// The DS RRset as the parent serves it.
    fn ds(&self) -> BTreeSet<Vec<u8>> {
        rdatas(&received(self.parent.addresses()[0], "DS"), RrType::DS)
    }

    /// What a careful parent does: every server shows the same, in CDS and CDNSKEY, by a key that it trusts.
    fn scan(&self) {
        let trusted = self.ds();
        let now = SystemClock::default().now();
        let mut found: Option<[BTreeSet<Vec<u8>>; 2]> = None;
        for server in self.servers() {
            let mut keys = dnskeys(server);
            keys.retain(|key| {
                let ds = Ds::of(key, origin().as_ref(), DigestType::Sha256);
                trusted.contains(ds.rdata())
            });
            let seen = [("CDS", RrType::CDS), ("CDNSKEY", RrType::CDNSKEY)].map(|(name, rtype)| {
                let answer = received(server, name);
                let signed = signed_by(&answer.answers, Some(&origin()), rtype, &origin(), &keys, now);
                assert!(
                    signed.is_some_and(|signed| !signed.keys.is_empty()),
                    "{server}: {rtype} is signed by no key that the parent trusts: {answer:?}"
                );
                rdatas(&answer, rtype)
            });
            assert!(
                found.as_ref().is_none_or(|found| *found == seen),
                "the parent is told when all show the same"
            );
            found = Some(seen);
        }
        let [cds, cdnskey] = found.unwrap();
        let keys: BTreeSet<Dnskey> = cdnskey
            .iter()
            .map(|rdata| Dnskey::from_rdata(rdata).unwrap())
            .collect();
        self.delegate(&keys);
        assert_eq!(self.ds(), cds, "CDS and CDNSKEY agree");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = countersign();
        command
            .args(arguments)
            .arg("--state")
            .arg(self.folder.path().join("state"));
        command
    }

    fn says(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let told = output(&mut self.command(arguments));
        let text = [told.stdout, told.stderr].concat();
        (told.status.code(), String::from_utf8(text).unwrap())
    }

    fn plan_status(&self) -> Value {
        let status = run(&mut self.command(&["status", ORIGIN, "--json"]));
        let status: Value = serde_json::from_str(&status).unwrap();
        status["zones"][0]["plan"].clone()
    }

    fn story(&self) -> String {
        format!("{}\n{}", self.says(&["status", ORIGIN]).1, self.ours.log())
    }

    /// Whether our apex says in its proofs that it has CDS and CDNSKEY.
    fn bitmap_has_cds(&self) -> bool {
        let answer = ask(self.address, &Query::signed(ORIGIN, "TYPE65281"));
        let mut denials = answer.authority.iter();
        let bitmap = denials
            .find(|record| record.rtype == RrType::NSEC)
            .unwrap()
            .bitmap();
        let has = [RrType::CDS, RrType::CDNSKEY].map(|rtype| bitmap.contains(&rtype.0));
        assert_eq!(has[0], has[1]);
        has[0]
    }

    /// A KSK roll is begun, and goes on until the parent was told for the first time.
    #[track_caller]
    fn begins_to_roll(&self) {
        let applied = wait_for(ROLLING, || {
            self.says(&["apply", "roll-ksk", ORIGIN])
                .0
                .filter(|code| *code == 0)
        });
        let shown = || self.says(&["plan", "roll-ksk", ORIGIN]).1;
        assert!(applied.is_some(), "{}\n{}", shown(), self.story());
        let steps = self.plan_status()["steps"].clone();
        assert!(
            steps
                .as_array()
                .unwrap()
                .iter()
                .all(|step| step["place"].is_null()),
            "no step is a person's: {steps:#}"
        );
        let told = wait_for(ROLLING, || self.was_told(0).then_some(()));
        assert!(told.is_some(), "{}", self.story());
    }

    /// Whether the parent took more notices than this.
    fn was_told(&self, count: usize) -> bool {
        self.heard.answered() > count
    }

    fn ksks(&self) -> BTreeSet<Dnskey> {
        dnskeys(self.address).into_iter().filter(Dnskey::is_sep).collect()
    }

    fn shown_cds(&self) -> Vec<BTreeSet<Vec<u8>>> {
        let servers = self.servers().into_iter();
        servers
            .flat_map(|server| {
                [("CDS", RrType::CDS), ("CDNSKEY", RrType::CDNSKEY)]
                    .map(|(name, rtype)| rdatas(&received(server, name), rtype))
            })
            .collect()
    }
}

fn serve(folder: &std::path::Path, address: SocketAddr) -> Server {
    let mut command = countersign();
    command
        .arg("serve")
        .arg("-c")
        .arg(folder.join("countersign.toml"));
    Server::start("countersign", command, address, &Query::plain(ORIGIN, "SOA"))
}

#[test]
fn a_ksk_rolls_by_cds_without_a_person() {
    let mut world = World::new();
    let before = world.ksks();
    assert!(world.shown_cds().iter().all(BTreeSet::is_empty) && !world.bitmap_has_cds());

    // One has the keys from NS1 and the answers from us, one asks everybody.
    let anchor = format!(". 60 IN DNSKEY {}", world.parent.anchor());
    let mixed = proxy::mixed(world.ns1.dns[0], world.address);
    let top = world.parent.addresses()[0];
    let resolvers = [vec![mixed.address], world.ns1.dns.to_vec()].map(|servers| {
        let stubs: Vec<_> = [(".", top)]
            .into_iter()
            .chain(servers.into_iter().map(|server| (ORIGIN, server)))
            .collect();
        peers::unbound(&anchor, &stubs, "aggressive-nsec: no")
    });
    let over = Arc::new(AtomicBool::new(false));
    let alive = Arc::new(AtomicBool::new(true));
    let asking = resolvers.each_ref().map(|resolver| {
        let (over, alive, resolver) = (Arc::clone(&over), Arc::clone(&alive), resolver.address());
        thread::spawn(move || {
            let (mut asked, mut bogus) = (0, 0);
            while !over.load(Ordering::Relaxed) {
                let was_alive = alive.load(Ordering::Relaxed);
                let query = Query::plain(&format!("n{asked}.apps.{ORIGIN}"), "A");
                let answer = ask(resolver, &query.with_do().with_flags(RD));
                // While we are killed nobody answers for us.
                let counts = was_alive && alive.load(Ordering::Relaxed);
                asked += 1;
                if counts && (answer.rcode == SERVFAIL || !answer.has(AD)) {
                    bogus += 1;
                }
            }
            (asked, bogus)
        })
    });

    // The first notice is lost, and comes again. The parent takes its time; we die and come back with the same CDS.
    world.begins_to_roll();
    assert!(world.bitmap_has_cds());
    assert!(world.heard.notices.load(Ordering::SeqCst) > 1);
    let asked_for = world.shown_cds();
    assert_eq!(asked_for[0].len(), 3, "both of ours, and NS1's: {asked_for:?}");
    alive.store(false, Ordering::Relaxed);
    world.ours.signal("KILL");
    world.ours.wait(SHOWING);
    world.ours = serve(world.folder.path(), world.address);
    alive.store(true, Ordering::Relaxed);
    assert_eq!(world.shown_cds(), asked_for);
    let again = world.heard.answered();
    let told_again = wait_for(SHOWING, || world.was_told(again).then_some(()));
    assert!(told_again.is_some(), "{}", world.story());
    let says_so = wait_for(SHOWING, || {
        let told = world.plan_status()["parent_told"].as_str()?.to_owned();
        told.contains("was told that CDS has changed, by a DSYNC record that was validated")
            .then_some(())
    });
    assert!(says_so.is_some(), "{}", world.story());

    let mut scanned = 0;
    let reached = wait_for(ROLLING, || {
        let answered = world.heard.answered();
        if answered > scanned {
            world.scan();
            scanned = answered;
        }
        (world.plan_status()["state"] == "reached").then_some(())
    });
    assert!(reached.is_some(), "{}", world.story());
    over.store(true, Ordering::Relaxed);
    for thread in asking {
        let (asked, bogus) = thread.join().unwrap();
        assert_eq!(
            bogus,
            0,
            "{bogus} of {asked} are not validated\n{}",
            world.story()
        );
        assert!(asked > 200, "only {asked} were asked");
        println!("{asked} asked, none bogus");
    }
    assert_eq!(world.heard.odd.load(Ordering::SeqCst), 0);

    let after = world.ksks();
    assert_eq!(before.difference(&after).count(), 1, "one KSK was replaced");
    let ds = after.iter().map(|key| {
        Ds::of(key, origin().as_ref(), DigestType::Sha256)
            .rdata()
            .to_vec()
    });
    assert_eq!(world.ds(), ds.collect());
    assert!(
        world.shown_cds().iter().all(BTreeSet::is_empty) && !world.bitmap_has_cds(),
        "CDS is taken back everywhere"
    );
}

/// Given up before the parent has looked, nothing asks it for anything any more.
#[test]
fn what_is_given_up_asks_the_parent_for_nothing() {
    let world = World::new();
    let (keys, ds) = (world.ksks(), world.ds());
    world.begins_to_roll();
    assert!(world.shown_cds().iter().all(|set| set.len() == 3));
    let (code, text) = world.says(&["abort", ORIGIN, "the wrong evening"]);
    assert!(code == Some(0) && text.contains("taken back"), "{text}");
    let reached = wait_for(ROLLING, || {
        (world.plan_status()["state"] == "reached").then_some(())
    });
    assert!(reached.is_some(), "{}", world.story());
    assert!(world.shown_cds().iter().all(BTreeSet::is_empty));
    assert_eq!((world.ksks(), world.ds()), (keys, ds));
    assert_eq!(dnskeys(world.ns1.dns[0]).len(), 4, "NS1 has ours of before");
}
