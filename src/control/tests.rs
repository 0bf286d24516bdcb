//! The server as people command it, without sockets of DNS: a simulated clock, a real store and key folder.

use std::{collections::BTreeSet, fs, path::PathBuf, sync::Arc, time::Duration};

use super::{
    Client, ClientError, Server, http, plans,
    protocol::{Outcome, Withdraw},
    socket,
};
use crate::{
    answer::{Engine, EngineSettings, Responder, Work},
    clock::{SimulatedClock, UnixTime, guard::GuardedClock},
    config,
    disk::simulated::SimulatedDisk,
    dnssec::{
        algorithm::SigningAlgorithm,
        custody::Observation,
        key::{Dnskey, SigningKey, ZONE},
        register::{Evidence, Source},
    },
    store::{Absent, Store, full_disk::append_until_full},
    wire::Name,
};

pub(super) const NOW: UnixTime = UnixTime(1_800_000_000);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

pub(super) struct Fixture {
    folder: tempfile::TempDir,
    pub(super) clock: Arc<SimulatedClock>,
    pub(super) store: Arc<Store>,
    pub(super) server: Arc<Server>,
}

impl Fixture {
    /// A server for zones with these origins, from a configuration file.
    fn new(origins: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state"), Absent::Create).unwrap();
        Self::with_store(origins, folder, store)
    }

    pub(super) fn with_store(origins: &[&str], folder: tempfile::TempDir, store: Store) -> Self {
        Self::at(NOW, origins, folder, store)
    }

    /// The same with a clock that shows this time.
    pub(super) fn at(now: UnixTime, origins: &[&str], folder: tempfile::TempDir, store: Store) -> Self {
        for (number, origin) in origins.iter().enumerate() {
            let text = format!(
                "{origin} 300 IN SOA ns.{origin} h.{origin} 1 3600 600 86400 300\n\
                 {origin} 300 IN NS ns.{origin}\nns.{origin} 300 IN A 192.0.2.1\n"
            );
            fs::write(folder.path().join(number.to_string()), text.replace("..", ".")).unwrap();
        }
        let path = folder.path().join("countersign.toml");
        fs::write(&path, config_text(origins, "")).unwrap();
        let clock = Arc::new(SimulatedClock::new(now));
        let guarded = Arc::new(GuardedClock::new(clock.clone(), store.last_good_time().unwrap()));
        let store = Arc::new(store);
        let engine = Engine::new(EngineSettings::default(), guarded.clone());
        let config = config::load(&path).unwrap();
        let server = Server::new(config, engine, guarded, Arc::clone(&store), Vec::new());
        Self {
            folder,
            clock,
            store,
            server,
        }
    }

    pub(super) fn started(origins: &[&str]) -> Self {
        let fixture = Self::new(origins);
        let started = fixture.server.start();
        assert!(started.is_whole(), "{started:?}");
        fixture
    }

    /// The DNSKEY RRset of the zone that is served.
    fn keys(&self) -> BTreeSet<Dnskey> {
        let held = self.server.held.load();
        let zone = held.values().next().unwrap();
        let keys = zone.served.content().unwrap().keys();
        keys.published().iter().map(|key| key.dnskey.clone()).collect()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn config_text(origins: &[&str], settings: &str) -> String {
    let mut text = "listen = [\"127.0.0.1:0\"]\nstate = \"state\"\n".to_owned();
    for (number, origin) in origins.iter().enumerate() {
        // A backslash in a name is one of the name's own escapes.
        text.push_str(&format!(
            "[[zone]]\norigin = '{origin}'\nfile = \"{number}\"\nauto_keys = true\n{settings}\n"
        ));
    }
    text
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn both_ends_of_the_socket_understand_each_other() {
    let odd = r"a\.b\032%2F.example.";
    let fixture = Fixture::started(&["example.", ".", odd]);
    let state = fixture.path("state");
    let runtime = runtime();
    let listener = {
        let _inside = runtime.enter();
        socket::bind(&state).unwrap()
    };
    let router = http::router(Arc::clone(&fixture.server));
    runtime.spawn(async move { axum::serve(listener, router).await });

    let client = Client::new(&state).unwrap();
    let origins = client
        .status(None)
        .unwrap()
        .zones
        .into_iter()
        .map(|zone| zone.origin);
    assert_eq!(origins.collect::<Vec<_>>(), [".", "example.", odd]);
    for zone in ["example.", ".", odd] {
        let zone = name(zone);
        let status = client.status(Some(&zone)).unwrap();
        assert_eq!(status.zones.len(), 1);
        assert_eq!(status.zones[0].origin, zone.to_string());
        assert_eq!(client.ds(&zone).unwrap().records.len(), 1);
        assert_eq!(client.keys(&zone, &fixture.path("keys")).unwrap().keys.len(), 2);
        assert_eq!(
            client.own_ds(&zone, &fixture.path("keys")).unwrap().records.len(),
            1
        );
    }
    assert!(
        client
            .reload()
            .unwrap()
            .zones
            .iter()
            .all(|zone| zone.outcome == Outcome::Unchanged)
    );
    let refused = client.ds(&name("elsewhere.")).unwrap_err();
    assert!(matches!(refused, ClientError::Refused(_)), "{refused:?}");
    assert_eq!(refused.to_string(), "the server has no zone elsewhere.");
    assert!(refused.advice().is_some());
    drop(runtime);
    assert!(matches!(
        client.status(None).unwrap_err(),
        ClientError::NoServer { .. }
    ));
    let nowhere = Client::new(&fixture.path("nowhere")).unwrap_err();
    assert!(nowhere.is_absent() && nowhere.to_string().contains("nowhere"));
}

#[test]
fn a_clock_that_jumps_is_told_stores_nothing_and_withdraws_nothing() {
    let fixture = Fixture::started(&["example."]);
    let server = &fixture.server;
    server.tick();
    let kept = || fixture.store.last_good_time().unwrap().map(|good| good.at);
    assert_eq!(kept(), Some(NOW));
    fixture.clock.advance(Duration::from_secs(30));
    server.tick();
    assert_eq!(kept(), Some(NOW), "a minute has not passed");
    fixture.clock.advance(Duration::from_secs(30));
    server.tick();
    let good = NOW.plus(Duration::from_secs(60));
    assert_eq!(kept(), Some(good));

    fixture.clock.jump(NOW.plus(DAY * 365));
    fixture.clock.advance(Duration::from_secs(120));
    server.tick();
    server.finish();
    assert_eq!(kept(), Some(good), "not even at the end");
    let status = server.status(None).unwrap();
    assert_eq!(status.now, good.plus(Duration::from_secs(120)));
    assert!(status.clock_fault.is_some() && status.warnings[0].what.contains("accept clock"));
    let withdraw = Withdraw {
        tag: 1,
        reason: "x".to_owned(),
        served: false,
    };
    let refusal = server.withdraw(&name("example."), &withdraw).unwrap_err();
    assert!(refusal.error.contains("clock"), "{refusal:?}");

    assert_eq!(
        runtime().block_on(plans::accept_clock(server)).unwrap().now,
        NOW.plus(DAY * 365 + Duration::from_secs(120))
    );
    assert!(server.status(None).unwrap().clock_fault.is_none());
}

#[test]
fn what_could_not_be_taken_is_tried_and_told_again_at_every_reload() {
    // NSEC3 owners of this zone would have more than 255 octets.
    let long = format!(
        "{}.{}.{}.{}.",
        "a".repeat(60),
        "b".repeat(60),
        "c".repeat(60),
        "d".repeat(40)
    );
    let fixture = Fixture::started(&[&long, "example."]);
    let config = fixture.path("countersign.toml");
    fs::write(&config, config_text(&[&long, "example."], "denial = \"nsec3\"")).unwrap();
    for _ in 0..2 {
        let reloaded = fixture.server.reload();
        assert!(!reloaded.is_whole());
        let of = |name: &str| reloaded.zones.iter().find(|zone| zone.origin == name).unwrap();
        assert_eq!(of(&long).outcome, Outcome::Kept);
        assert!(
            of(&long).problems[0].contains("too long a name"),
            "{:?}",
            of(&long)
        );
        assert_ne!(of("example.").outcome, Outcome::Kept);
    }
    let status = fixture.server.status(None).unwrap();
    let denials: Vec<&str> = status.zones.iter().map(|zone| zone.denial.as_str()).collect();
    assert!(
        denials.contains(&"compact") && denials.contains(&"nsec3"),
        "{denials:?}"
    );
    fs::write(&config, config_text(&[&long, "example."], "")).unwrap();
    assert!(fixture.server.reload().is_whole());
}

#[test]
fn a_zone_that_is_mended_comes_back_with_the_reload() {
    let fixture = Fixture::new(&["example.", "other."]);
    fs::write(fixture.path("1"), "other. 300 IN A 192.0.2.1\n").unwrap();
    let started = fixture.server.start();
    let outcomes: Vec<Outcome> = started.zones.iter().map(|zone| zone.outcome).collect();
    assert_eq!(outcomes, [Outcome::Added, Outcome::Failed]);
    assert_eq!(fixture.server.count(), (1, 1));
    let mended = fs::read_to_string(fixture.path("0"))
        .unwrap()
        .replace("example.", "other.");
    fs::write(fixture.path("1"), mended).unwrap();
    let reloaded = fixture.server.reload();
    let outcomes: Vec<Outcome> = reloaded.zones.iter().map(|zone| zone.outcome).collect();
    assert_eq!(outcomes, [Outcome::Unchanged, Outcome::Added]);
    assert_eq!(fixture.server.count(), (2, 0));
}

#[test]
fn what_finds_no_room_is_told_and_what_was_served_goes_on() {
    let disk = SimulatedDisk::new(1);
    let store = Store::simulated(&disk.process()).unwrap();
    let fixture = Fixture::with_store(&["example."], tempfile::tempdir().unwrap(), store);
    let config = fixture.path("countersign.toml");
    let file = fixture.path("ns1.keys");
    fs::write(&file, "").unwrap();
    let external = "external_keys = [\"ns1.keys\"]\nproviders = [\"ns1\"]\n";
    let provider = "[[provider]]\nname = \"ns1\"\nkind = \"dns\"\nservers = [\"127.0.0.1\"]\n";
    fs::write(&config, config_text(&["example."], external) + provider).unwrap();
    assert!(fixture.server.reload().is_whole());
    let served = fixture.keys();

    disk.fill(true);
    append_until_full(&fixture.store);
    let seen = |key: &SigningKey| Observation {
        source: Source::Api("ns1".to_owned()),
        evidence: Evidence::Api,
        keys: vec![key.dnskey().clone()],
        ttl: None,
        trust: None,
    };
    let [by_file, by_api] =
        [0, 1].map(|_| SigningKey::generate(SigningAlgorithm::EcdsaP256Sha256, ZONE).unwrap());
    let refusal = fixture
        .server
        .observe(&name("example."), &[seen(&by_api)])
        .unwrap_err();
    assert!(refusal.error.contains("cannot be kept"), "{refusal:?}");
    fs::write(&file, format!("example. 60 IN DNSKEY {}\n", by_file.dnskey())).unwrap();
    let reloaded = fixture.server.reload();
    assert_eq!(reloaded.zones[0].outcome, Outcome::Kept, "{reloaded:?}");
    let problem = &reloaded.zones[0].problems[0];
    assert!(
        problem.contains("register cannot be read or written"),
        "{problem}"
    );
    assert_eq!(fixture.keys(), served);

    disk.fill(false);
    let reloaded = fixture.server.reload();
    assert!(reloaded.is_whole(), "{reloaded:?}");
    let observed = fixture.server.observe(&name("example."), &[seen(&by_api)]);
    assert!(observed.unwrap().problems.is_empty());
    let mut expected = served;
    expected.extend([by_file, by_api].map(|key| key.dnskey().clone()));
    assert_eq!(fixture.keys(), expected);
}

/// Freeing a million names takes longer than answering a batch may.
#[test]
fn what_was_replaced_is_freed_by_the_tick_and_not_by_who_answers() {
    let fixture = Fixture::started(&["example."]);
    let engine = &fixture.server.engine;
    let before = Arc::downgrade(engine.zones().iter().next().unwrap());
    let is_there = || before.upgrade().is_some();
    let mut worker = engine.worker();
    worker.begin_batch();
    let file = fixture.path("0");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen(" 1 3600", " 2 3600", 1)).unwrap();
    assert!(fixture.server.reload().is_whole());
    fixture.server.tick();
    assert!(is_there(), "the batch still reads it");
    worker.end_batch();
    assert!(is_there(), "the end of the batch does not free it");
    fixture.server.tick();
    assert!(!is_there());
}
