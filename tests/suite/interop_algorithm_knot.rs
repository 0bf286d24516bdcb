//! A change of algorithm beside a real Knot with keys that a person turns (`policy: manual`), in real time with short TTLs,
//! a test in the part of the people: at Knot and at the registrar. Each does what the plan of our server asks for, when it
//! asks for it. A real unbound that demands every algorithm of the DS RRset asks all the while, keys from the one and
//! answers from the other, and finds nothing bogus.

use std::{cell::Cell, collections::BTreeSet, fs, net::SocketAddr, path::PathBuf};

use countersign::wire::RrType;
use serde_json::Value;

use crate::harness::{
    changing::{Asking, PATIENCE, Registrar, Site, TTL, keys_at, zone_text},
    client::ask,
    message::Query,
    peers::{self, Peer},
    process::{free_address, output, wait_for, write},
    proxy,
};

const ORIGIN: &str = "example.";
const ORIGINS: &[&str] = &[ORIGIN];
const P256: u8 = 13;
const ED25519: u8 = 15;

/// Knot, and who turns its keys.
struct Knot {
    // In this order: the folder goes last.
    server: Peer,
    file: PathBuf,
    serial: Cell<u32>,
    _folder: tempfile::TempDir,
}

impl Knot {
    /// With keys of both algorithms, those of the new one for later.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = write(folder.path(), "zone", zone_text());
        let settings = format!(
            "policy:\n  - id: by-hand\n    manual: on\n    dnskey-management: incremental\n    delete-delay: 1d\n    \
             dnskey-ttl: {TTL}\n    cds-cdnskey-publish: none\ntemplate:\n    dnssec-signing: on\n    \
             dnssec-policy: by-hand\n"
        );
        let later = "created=+0 pre_active=+1y publish=+1y ready=+1y active=+1y";
        let keys = [
            "algorithm=ECDSAP256SHA256 ksk=yes zsk=no".to_owned(),
            "algorithm=ECDSAP256SHA256 ksk=no zsk=yes".to_owned(),
            format!("algorithm=ED25519 ksk=yes zsk=no {later}"),
            format!("algorithm=ED25519 ksk=no zsk=yes {later}"),
        ];
        let keys = keys.map(|key| format!("{ORIGIN} generate {key}"));
        let zones = [(ORIGIN, file.clone())];
        Self {
            server: peers::knot_with_keys(free_address(), &zones, &settings, &keys),
            file,
            serial: Cell::new(1),
            _folder: folder,
        }
    }

    fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The keys of an algorithm, as Knot names them.
    fn keys(&self, algorithm: &str) -> Vec<String> {
        let listed = self.server.keymgr(&format!("{ORIGIN} list"));
        let of_it = listed.lines().filter(|line| line.contains(algorithm));
        let keys: Vec<String> = of_it
            .filter_map(|line| Some(line.split_whitespace().next()?.to_owned()))
            .collect();
        assert_eq!(keys.len(), 2, "{listed}");
        keys
    }

    /// The DNSKEY records of an algorithm, published or not.
    fn dnskeys(&self, algorithm: &str) -> Vec<String> {
        let show = |key: &String| self.server.keymgr(&format!("{ORIGIN} dnskey {key}"));
        let shown = self.keys(algorithm).iter().map(show).collect::<Vec<_>>();
        let rdata = shown.iter().map(|shown| shown.split_once(" DNSKEY ").unwrap().1);
        rdata.map(|rdata| rdata.trim().to_owned()).collect()
    }

    fn turn(&self, algorithm: &str, times: &str) {
        for key in self.keys(algorithm) {
            self.server.keymgr(&format!("{ORIGIN} set {key} {times}"));
        }
    }

    fn sign_anew(&self) {
        self.server.knotc(&["zone-sign", ORIGIN]);
    }

    /// Publishes these DNSKEY records beside its own.
    fn publish(&self, records: &[String]) {
        self.serial.set(self.serial.get() + 10);
        let serial = format!("hostmaster {} ", self.serial.get());
        let text = zone_text().replace("hostmaster 1 ", &serial) + &records.join("\n") + "\n";
        fs::write(&self.file, text).unwrap();
        self.server.knotc(&["zone-reload", ORIGIN]);
    }

    /// Does a step of a plan where it is for the person here.
    fn does(&self, step: &Value) {
        let what = step["what"].as_str().unwrap();
        let pasted = step["paste"].as_array().into_iter().flatten();
        let pasted: Vec<String> = pasted.map(|line| line.as_str().unwrap().to_owned()).collect();
        match what {
            "theirs signs its data with both algorithms" => {
                self.turn("ED25519", "pre_active=+0");
                self.sign_anew();
            }
            "theirs publishes the keys of both algorithms" => {
                self.turn("ED25519", "publish=+0 ready=+0 active=+0");
                self.publish(&pasted);
            }
            "theirs publishes the keys of the new algorithm alone" => {
                self.turn("ECDSAP256SHA256", "retire_active=+0 post_active=+0");
                self.publish(&pasted);
            }
            "theirs signs its data with the new algorithm alone" => {
                self.turn("ECDSAP256SHA256", "retire=+0 remove=+0");
                self.sign_anew();
            }
            other => panic!("nobody said how to do this: {other}"),
        }
    }
}

/// The algorithms of the keys that a server shows, and of the signatures over an address.
fn algorithms(server: SocketAddr) -> [BTreeSet<u8>; 2] {
    let keys = keys_at(server, ORIGIN);
    let answer = ask(server, &Query::signed("www.example.", "A")).answer;
    let signatures = answer.iter().filter(|record| record.rtype == RrType::RRSIG);
    [
        keys.iter().map(|key| key.algorithm().0).collect(),
        signatures.map(|record| record.rdata[2]).collect(),
    ]
}

#[test]
#[ignore = "three quarters of a minute; `make test-long` plays it"]
fn a_change_of_algorithm_beside_knot_shows_a_strict_resolver_nothing_bogus() {
    let registrar = Registrar::new();
    registrar.point_to_nobody(ORIGIN);
    let knot = Knot::new();
    let (ours, theirs) = (free_address(), knot.address());
    let more = format!(
        "our_servers = [\"ours.example.\"]\nproviders = [\"theirs\"]\nsafety_margin = \"1s\"\nexternal_keys = []\n\
         [[provider]]\nname = \"theirs\"\nkind = \"dns\"\nservers = [\"{theirs}\"]\n\
         server_names = [\"theirs.example.\"]\npoll = \"1s\"\npropagation = \"1s\"\n"
    );
    let site = Site::new(ours, registrar.address(), &[(ORIGIN, &more)]);
    registrar.point_to_keys_at(ORIGIN, &[ours, theirs]);
    let our_keys = keys_at(ours, ORIGIN).into_iter();
    let our_keys: Vec<String> = our_keys
        .map(|key| format!("{ORIGIN} {TTL} IN DNSKEY {key}"))
        .collect();
    knot.publish(&our_keys);
    let told = || format!("{}\n{}", site.told(ORIGIN), knot.server.server.log());
    let known = wait_for(PATIENCE, || {
        output(&mut site.command(&["peer", "sync", ORIGIN, "--wait", "0s"]));
        let [of_ours, of_theirs] = [ours, theirs].map(|server| keys_at(server, ORIGIN).len());
        (of_ours == 4 && of_theirs == 4).then_some(())
    });
    assert!(known.is_some(), "{}", told());

    let asking = [(ours, theirs), (theirs, ours)].map(|(keys, answers)| {
        let proxy = proxy::through(move |query, way| {
            let is_for_keys = proxy::asked_type(query) == Some(RrType::DNSKEY);
            way.exchange(if is_for_keys { keys } else { answers }, query)
        });
        let resolver = registrar.resolver(&[(ORIGIN, proxy.address)]);
        (Asking::start(resolver.address(), ORIGINS), resolver, proxy)
    });
    site.apply(ORIGIN);
    // Its new keys, which nobody can look up, are brought to us when ours are made.
    let made = wait_for(PATIENCE, || {
        (site.held_keys(ORIGIN, "ED25519").len() == 2).then_some(())
    });
    assert!(made.is_some(), "{}", told());
    site.tell_of_keys(ORIGIN, &knot.dnskeys("ED25519"));

    let mut stages = Vec::new();
    let reached = wait_for(PATIENCE, || {
        let (step, state) = site.asks_for(ORIGIN);
        assert!(state != "paused" && state != "halted", "{state}\n{}", told());
        registrar.does(ORIGIN, step.as_ref());
        if let Some(step) = step.filter(|step| step["place"] == "at theirs") {
            knot.does(&step);
            stages.push(algorithms(theirs));
        }
        (state == "reached").then_some(())
    });
    assert!(reached.is_some(), "{}", told());
    // RFC 6781 §4.1.4: what its keys are, and what signs.
    let (old, new, both) = ([P256].into(), [ED25519].into(), BTreeSet::from([P256, ED25519]));
    let expected: [[&BTreeSet<u8>; 2]; 4] = [[&old, &both], [&both, &both], [&new, &both], [&new, &new]];
    let stages: Vec<[&BTreeSet<u8>; 2]> = stages.iter().map(|[keys, data]| [keys, data]).collect();
    assert_eq!(stages, expected);
    for (asking, _resolver, _proxy) in asking {
        let asked = asking.none_was_bogus(told);
        println!("{asked} asked, none bogus");
    }
    let [of_ours, of_theirs] = [ours, theirs].map(|server| {
        let keys: BTreeSet<_> = keys_at(server, ORIGIN).into_iter().collect();
        keys
    });
    assert_eq!((of_ours.len(), &of_ours), (4, &of_theirs));
}
