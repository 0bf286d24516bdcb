//! We join NS1, and then NS1 leaves, and nobody goes to the registrar: the parent takes DS from CDS and its NS RRset from
//! CSYNC. It is told by NOTIFY, and looks at every server that its delegation names, as RFC 9975 wants. Two real unbounds
//! ask all the while.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use countersign::{
    clock::{Clock as _, SystemClock},
    dnssec::{key::Dnskey, validate::signed_by},
    wire::{Name, RrType, received::Received},
};
use serde_json::Value;

use crate::harness::{
    client::exchange_udp,
    message::Query,
    planned::{Asking, ORIGIN, Setting, World, dnskeys},
    process::wait_for,
    proxy,
    scanner::{Heard, scanner},
};

const PATIENCE: Duration = Duration::from_secs(150);
/// Whom resolvers are sent to.
const NS1_ALONE: usize = 0;
const BOTH: usize = 1;
const US_ALONE: usize = 2;

/// What the parent has.
struct Delegation {
    servers: BTreeSet<String>,
    keys: BTreeSet<Dnskey>,
}

struct Below {
    world: World,
    delegation: RefCell<Delegation>,
    heard: Arc<Heard>,
    /// How many notices the parent has acted upon.
    scanned: RefCell<usize>,
    /// The steps of the plan that a person did.
    done: RefCell<BTreeSet<u64>>,
    serial: RefCell<u32>,
    asked: Arc<AtomicUsize>,
    _scanner: proxy::Proxy,
    _folder: tempfile::TempDir,
}

fn origin() -> Name {
    ORIGIN.parse().unwrap()
}

fn answer(server: SocketAddr, name: &str, rtype: &str) -> Received {
    let query = Query::signed(name, rtype).to_bytes(7);
    Received::read(&exchange_udp(server, &query, Duration::from_secs(5)).unwrap()).unwrap()
}

fn rdatas(message: &Received, rtype: RrType) -> BTreeSet<Vec<u8>> {
    let records = message.answers.iter().filter(|record| record.rtype == rtype);
    records.map(|record| record.rdata.to_vec()).collect()
}

impl Below {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let heard = Arc::new(Heard::default());
        let scanner = scanner(&[RrType::CDS, RrType::CSYNC], Arc::clone(&heard));
        let setting = Setting {
            of_ns1: "cds = true\ncsync = true\n",
            of_zone: "cds = \"rollover\"\ncsync = \"rollover\"\n",
            resolver: Some(scanner.address),
            delegated: false,
            ..Setting::default()
        };
        let world = World::within(folder.path(), setting);
        let keys = dnskeys(world.ns1.dns[0]).into_iter().filter(Dnskey::is_sep);
        Self {
            delegation: RefCell::new(Delegation {
                servers: ["theirs".to_owned()].into(),
                keys: keys.collect(),
            }),
            world,
            heard,
            scanned: RefCell::default(),
            done: RefCell::default(),
            serial: RefCell::new(1),
            asked: Arc::default(),
            _scanner: scanner,
            _folder: folder,
        }
    }

    /// The servers of those that the parent's delegation names.
    fn delegated(&self) -> Vec<SocketAddr> {
        let servers = self.delegation.borrow().servers.clone();
        let of = |name: &String| match name.as_str() {
            "ours" => vec![self.world.address],
            _ => self.world.ns1.dns.to_vec(),
        };
        servers.iter().flat_map(of).collect()
    }

    /// What every server that the delegation names gives alike, by a key of its own that the DS RRset vouches for where
    /// that is asked, else by any key of its DNSKEY RRset.
    fn found(&self, name: &str, rtype: RrType, by_anchor: bool) -> BTreeSet<Vec<u8>> {
        let now = SystemClock::default().now();
        let mut all: Option<BTreeSet<Vec<u8>>> = None;
        for server in self.delegated() {
            let mut keys = dnskeys(server);
            if by_anchor {
                keys.retain(|key| self.delegation.borrow().keys.contains(key));
            }
            let answer = answer(server, name, &rtype.to_string());
            let owner: Name = name.parse().unwrap();
            let found = rdatas(&answer, rtype);
            let signed = signed_by(&answer.answers, Some(&owner), rtype, &origin(), &keys, now);
            assert!(
                found.is_empty() || signed.is_some_and(|signed| !signed.keys.is_empty()),
                "{server}: {name} {rtype} is not signed as it should be: {answer:?}"
            );
            assert!(
                all.as_ref().is_none_or(|all| *all == found),
                "{name} {rtype}: the parent is told when all show the same"
            );
            all = Some(found);
        }
        all.unwrap_or_default()
    }

    /// The parent looks, having been told that this has changed.
    fn scan(&self, rtype: RrType) {
        if rtype == RrType::CDS {
            let cdnskey = self.found(ORIGIN, RrType::CDNSKEY, true);
            let keys = cdnskey.iter().map(|rdata| Dnskey::from_rdata(rdata).unwrap());
            let keys: BTreeSet<Dnskey> = keys.collect();
            assert!(!keys.is_empty());
            assert_eq!(self.found(ORIGIN, RrType::CDS, true).len(), keys.len());
            self.delegation.borrow_mut().keys = keys;
        } else {
            let csync = self.found(ORIGIN, RrType::CSYNC, false);
            // Serial 0; immediate; A, NS and AAAA, for the name servers have names in the zone.
            assert_eq!(
                csync,
                BTreeSet::from([vec![0, 0, 0, 0, 0, 1, 0, 4, 0x60, 0, 0, 0x08]])
            );
            let ns = self.found(ORIGIN, RrType::NS, false);
            let names: Vec<Name> = ns.iter().map(|rdata| Name::from_wire(rdata).unwrap()).collect();
            for name in &names {
                assert_eq!(self.found(&name.to_string(), RrType::A, false).len(), 1, "{name}");
            }
            let labels = names.iter().map(|name| name.to_string().replace(".example.", ""));
            self.delegation.borrow_mut().servers = labels.collect();
        }
        self.delegate();
    }

    fn delegate(&self) {
        let delegation = self.delegation.borrow();
        let servers: Vec<&str> = delegation.servers.iter().map(String::as_str).collect();
        self.world.delegate(&servers, delegation.keys.iter());
    }

    /// A plan from its beginning to its end: what nobody but a person can do is done, and the parent acts when it is told.
    fn carries_out(&self, arguments: &[&str]) -> Vec<Value> {
        self.done.borrow_mut().clear();
        self.world.apply(arguments);
        let reached = wait_for(PATIENCE, || {
            let heard = self.heard.all();
            let scanned = self.scanned.replace(heard.len());
            for rtype in &heard[scanned..] {
                self.scan(*rtype);
            }
            self.does_what_is_asked()
        });
        let story = || {
            format!(
                "{}\n{}",
                self.world.says(&["status", ORIGIN]).1,
                self.world.ours.log()
            )
        };
        assert!(reached.is_some(), "{}", story());
        let plan = self.world.plan_status();
        plan["steps"].as_array().unwrap().clone()
    }

    fn does_what_is_asked(&self) -> Option<()> {
        let plan = self.world.plan_status();
        if plan["state"] == "reached" {
            return Some(());
        }
        let mut steps = plan["steps"].as_array()?.iter();
        let step = steps.find(|step| !step["begun"].is_null() && step["seen"].is_null())?;
        let what = step["what"].as_str().unwrap();
        let place = step["place"].as_str();
        assert_ne!(place, Some("at the registrar"), "{step:#}");
        if !self.done.borrow_mut().insert(step["number"].as_u64()?) {
            return None;
        }
        // Resolvers that trust the child's NS RRset are sent to us from now on.
        if what.starts_with("the NS RRset of ns1 names") && self.asked.load(Ordering::SeqCst) == NS1_ALONE {
            self.asked.store(BOTH, Ordering::SeqCst);
        }
        if let Some(names) = what.strip_prefix("the NS RRset of this server names ") {
            let is_named = |(name, _): &(&str, &str)| names.contains(name);
            let known = [("this server", "ours"), ("ns1", "theirs")];
            let servers: Vec<&str> = known
                .into_iter()
                .filter(is_named)
                .map(|(_, label)| label)
                .collect();
            *self.serial.borrow_mut() += 1;
            self.world.name_servers(*self.serial.borrow(), &servers);
        } else if what == "ns1 stops answering for the zone" {
            self.asked.store(US_ALONE, Ordering::SeqCst);
            self.world.does(&["done", ORIGIN]);
        }
        None
    }

    fn csync_anywhere(&self) -> bool {
        let mut servers = [self.world.address].into_iter().chain(self.world.ns1.dns);
        servers.any(|server| !rdatas(&answer(server, ORIGIN, "CSYNC"), RrType::CSYNC).is_empty())
    }
}

/// The steps about CSYNC and the parent's NS RRset, in order.
fn of_csync(steps: &[Value]) -> Vec<&str> {
    let steps = steps.iter().map(|step| step["what"].as_str().unwrap());
    steps
        .filter(|what| what.contains("CSYNC") || what.contains("NS RRset of the parent"))
        .collect()
}

#[test]
fn we_join_and_ns1_leaves_without_the_registrar() {
    let below = Below::new();
    let (ours, theirs) = (below.world.address, below.world.ns1.dns[0]);
    // One has the keys of the one and the answers of the other, with all that it holds from before.
    let asking = [(ours, theirs), (theirs, ours)].map(|(keys, answers)| {
        let asked = Arc::clone(&below.asked);
        let proxy = proxy::through(move |query, way| {
            let is_for_keys = proxy::asked_type(query) == Some(RrType::DNSKEY);
            let server = match asked.load(Ordering::SeqCst) {
                NS1_ALONE => theirs,
                US_ALONE => ours,
                _ if is_for_keys => keys,
                _ => answers,
            };
            way.exchange(server, query)
        });
        let resolver = below.world.resolver(&[proxy.address]);
        (Asking::start(resolver.address()), resolver, proxy)
    });

    let steps = below.carries_out(&["join", ORIGIN, "--provider", "us"]);
    assert_eq!(
        of_csync(&steps),
        [
            "CSYNC of ns1 has the parent take the NS RRset",
            "the NS RRset of the parent names this server and ns1",
            "CSYNC of ns1 goes",
        ]
    );
    assert_eq!(below.delegation.borrow().servers.len(), 2);
    assert_eq!(below.delegation.borrow().keys.len(), 2);
    assert!(!below.csync_anywhere());

    let steps = below.carries_out(&["leave", ORIGIN, "--provider", "ns1"]);
    assert_eq!(
        of_csync(&steps),
        [
            "CSYNC of this server has the parent take the NS RRset",
            "CSYNC of ns1 has the parent take the NS RRset",
            "the NS RRset of the parent names this server",
            "CSYNC of this server goes",
            "CSYNC of ns1 goes",
        ]
    );
    assert_eq!(below.delegation.borrow().servers, ["ours".to_owned()].into());
    assert_eq!(below.delegation.borrow().keys.len(), 1, "NS1 has no DS any more");
    assert!(!below.csync_anywhere());
    let told = below.heard.all();
    assert!(
        told.contains(&RrType::CDS) && told.contains(&RrType::CSYNC),
        "{told:?}"
    );
    assert_eq!(below.heard.odd.load(Ordering::SeqCst), 0);

    for (asking, _resolver, _proxy) in asking {
        let (asked, bogus) = asking.stop();
        assert!(
            bogus.is_empty(),
            "of {asked} these were not validated: {bogus:?}\n{}",
            below.world.ours.log()
        );
        assert!(asked > 300, "only {asked} were asked");
        println!("{asked} asked, none bogus");
    }
}
