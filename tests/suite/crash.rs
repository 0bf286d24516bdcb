//! `kill -9` at any moment, while keys are made, files of external keys change, and another provider is pulled from
//! and pushed to. Whatever was answered before is answered after, and no key begins to sign.
//!
//! `COUNTERSIGN_KILLS` says how often it is killed; `COUNTERSIGN_KILLS_SEED` gives a failed run's moments again.

use std::{
    collections::BTreeSet,
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use countersign::{
    clock::SystemClock,
    dnssec::{
        algorithm::SigningAlgorithm,
        key::{SEP, SigningKey, ZONE},
    },
    lab::ns1::{Settings, Simulated, ZoneText},
    wire::RrType,
};
use serde_json::Value;

use super::harness::{
    client,
    message::{Message, NOERROR, Query},
    process::{Server, countersign, countersign_at, free_address, output, repository, run, wait_for, write},
    questions::Random,
};

/// Kills in a plain `make test`; `make test-long` sets COUNTERSIGN_KILLS.
const KILLS: u64 = 20;
/// The longest that a server lives, in milliseconds: what a command takes, several times.
const LONGEST_LIFE: usize = 600;
/// All keys that are made by commands in one run. Each stays in the DNSKEY RRset.
const MOST_GENERATED: usize = 30;
/// How long an answer may take before the server counts as dead.
const ANSWERED: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(30);

type Rdata = Vec<u8>;

struct World {
    folder: tempfile::TempDir,
    address: SocketAddr,
    ns1: Simulated,
    /// Keys of a third provider, as lines for a file.
    pool: Vec<String>,
    /// Every DNSKEY that was ever answered.
    answered: Mutex<BTreeSet<Rdata>>,
    generated: Mutex<usize>,
}

impl World {
    fn new(runtime: &tokio::runtime::Runtime) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let zone = repository("zones/example.zone");
        let settings = Settings {
            api: free_address(),
            dns: vec![free_address(), free_address()],
            name_servers: Vec::new(),
            api_key: "opens-the-simulation".to_owned(),
            zones: vec![(
                "example.".parse().unwrap(),
                ZoneText::Text(fs::read_to_string(&zone).unwrap()),
            )],
            signed: true,
            knobs: Vec::new(),
        };
        let started = Simulated::start(settings, Arc::new(SystemClock::default()));
        let ns1 = runtime.block_on(started).unwrap();
        let path = folder.path();
        write(path, "ns1-ca.pem", ns1.ca_pem());
        write(path, "third.keys", "");
        let key = write(path, "ns1.key", "opens-the-simulation");
        run(Command::new("chmod").arg("600").arg(key));
        let servers: Vec<String> = ns1.dns().iter().map(|address| format!("\"{address}\"")).collect();
        let config = format!(
            "listen = [\"{address}\"]\nstate = \"state\"\nkeys = \"keys\"\n\n\
             [[provider]]\nname = \"ns1\"\nkind = \"ns1\"\nendpoint = \"{}\"\napi_key_file = \"ns1.key\"\n\
             ca_file = \"ns1-ca.pem\"\nservers = [{}]\npoll = \"1s\"\n\n\
             [[zone]]\norigin = \"example.\"\nfile = \"{}\"\nauto_keys = true\nproviders = [\"ns1\"]\n\
             external_keys = [\"third.keys\"]\nparent = [\"{address}\"]\n",
            ns1.api_url(),
            servers.join(", "),
            zone.display(),
        );
        write(path, "countersign.toml", config);
        let line = |flags| {
            let key = SigningKey::generate(SigningAlgorithm::EcdsaP256Sha256, flags).unwrap();
            format!("example. 60 IN DNSKEY {}\n", key.dnskey())
        };
        Self {
            pool: [ZONE | SEP, ZONE, ZONE, ZONE].map(line).to_vec(),
            folder,
            address,
            ns1,
            answered: Mutex::default(),
            generated: Mutex::new(0),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = countersign_at(&self.path("state"), arguments);
        command.current_dir(self.folder.path());
        command
    }

    fn serve(&self) -> Command {
        let mut command = countersign();
        command
            .args(["serve", "-c"])
            .arg(self.path("countersign.toml"))
            .current_dir(self.folder.path());
        command
    }

    fn start(&self) -> Server {
        let ready = Query::plain("example.", "SOA");
        Server::start("countersign", self.serve(), self.address, &ready)
    }

    /// Runs a client to its end, whatever that is: the server may die under it. A panic is never right.
    fn try_command(&self, mut command: Command) {
        let output = output(&mut command);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{command:?}: {said}");
    }

    /// Something that changes keys, by a command.
    fn change_keys(&self, random: &mut Random) {
        match random.below(4) {
            0 => self.generate(random, |command| self.try_command(command)),
            _ => {
                let lines = self.pool.iter().filter(|_| random.one_in(2));
                let text: String = lines.map(String::as_str).collect();
                let new = write(self.folder.path(), "third.keys.new", text);
                fs::rename(new, self.path("third.keys")).unwrap();
                self.try_command(self.command(&["reload"]));
            }
        }
    }

    fn generate(&self, random: &mut Random, how: impl FnOnce(Command)) {
        {
            let mut generated = self.generated.lock().unwrap();
            if *generated == MOST_GENERATED {
                return;
            }
            *generated += 1;
        }
        let role = ["ksk", "zsk"][random.below(2)];
        how(self.command(&["keys", "generate", "example.", "--role", role, "--keys", "keys"]));
    }

    /// Something at the other provider.
    fn exchange(&self, random: &mut Random) {
        match random.below(6) {
            0 => self.ns1.set_knob("zsk-roll", "1s").unwrap(),
            1 | 2 => self.try_command(self.command(&["peer", "push", "example.", "--wait", "0s"])),
            3 => self.try_command(self.command(&["peer", "sync", "example.", "--wait", "0s"])),
            _ => self.try_command(self.command(&["peer", "pull", "example.", "--trust-api"])),
        }
    }

    /// Asks for the keys, once, and keeps what is answered.
    fn look(&self) -> Option<Message> {
        let query = Query::signed("example.", "DNSKEY").to_bytes(7);
        let answer = client::exchange_tcp(self.address, &query, ANSWERED).ok()?;
        let answer = Message::read(&answer).unwrap();
        if answer.rcode == NOERROR {
            self.answered.lock().unwrap().extend(dnskeys(&answer));
        }
        Some(answer)
    }

    /// A life with everything going on, ended at a moment that chance gives.
    fn live_and_die(&self, mut server: Server, seed: u64) {
        let mut random = Random::new(seed);
        let over = AtomicBool::new(false);
        let go_on = || !over.load(Ordering::Relaxed);
        let life = Duration::from_millis(random.below(LONGEST_LIFE) as u64);
        thread::scope(|scope| {
            scope.spawn(|| while go_on() && self.look().is_some() {});
            scope.spawn(|| {
                let mut random = Random::new(seed + 1);
                while go_on() {
                    self.change_keys(&mut random);
                }
            });
            scope.spawn(|| {
                let mut random = Random::new(seed + 2);
                while go_on() {
                    self.exchange(&mut random);
                }
            });
            pass(life);
            server.signal("KILL");
            over.store(true, Ordering::Relaxed);
        });
        server.wait(PATIENCE).expect("it is killed");
    }

    /// A command that works on the state by itself, for no server runs, and is killed at that.
    fn kill_a_command(&self, random: &mut Random) {
        let life = Duration::from_millis(random.below(40) as u64);
        self.generate(random, |mut command| {
            let mut child = command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            pass(life);
            child.kill().unwrap();
            child.wait().unwrap();
        });
    }

    /// A server that is killed while it starts.
    fn kill_a_start(&self, random: &mut Random) {
        let mut server = Server::spawn("countersign", &mut self.serve(), self.address);
        pass(Duration::from_millis(random.below(150) as u64));
        server.signal("KILL");
        server.wait(PATIENCE).expect("it is killed");
    }

    /// What must hold of a server that was started on what is left.
    fn check(&self, signers: &BTreeSet<u64>) {
        let answer = self.look().expect("it answers");
        let now: BTreeSet<Rdata> = dnskeys(&answer).collect();
        let answered = self.answered.lock().unwrap().clone();
        let lost: Vec<&Rdata> = answered.difference(&now).collect();
        assert!(lost.is_empty(), "answered before and gone: {lost:02x?}\n{answer}");
        assert_eq!(self.signers(), *signers, "the same keys sign");
        let soa = client::ask(self.address, &Query::signed("example.", "SOA"));
        let signed = |answer: &Message, rtype| {
            let mut signatures = answer
                .answer
                .iter()
                .filter(|record| record.rtype == RrType::RRSIG);
            signatures.any(|record| record.covered() == rtype)
        };
        assert!(
            signed(&answer, RrType::DNSKEY) && signed(&soa, RrType::SOA),
            "{soa}"
        );
    }

    /// The tags of the keys that sign.
    fn signers(&self) -> BTreeSet<u64> {
        let mut command = self.command(&["status", "example.", "--json"]);
        let status: Value = serde_json::from_str(&run(&mut command)).unwrap();
        let zone = &status["zones"][0];
        assert!(zone["failed"].is_null(), "{zone}");
        let keys = zone["keys"].as_array().expect("keys").iter();
        let active = keys.filter(|key| key["signs"] == true);
        active.map(|key| key["tag"].as_u64().expect("a tag")).collect()
    }
}

fn dnskeys(answer: &Message) -> impl Iterator<Item = Rdata> {
    let keys = answer
        .answer
        .iter()
        .filter(|record| record.rtype == RrType::DNSKEY);
    keys.map(|record| record.rdata.clone())
        .collect::<Vec<_>>()
        .into_iter()
}

fn pass(time: Duration) {
    #[expect(
        clippy::disallowed_methods,
        reason = "the moment of the kill is what is tried"
    )]
    thread::sleep(time);
}

#[test]
fn what_was_answered_outlives_every_kill() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse().expect("a number"));
    let kills = number("COUNTERSIGN_KILLS").unwrap_or(KILLS);
    let seed: u64 = number("COUNTERSIGN_KILLS_SEED").unwrap_or(1);
    eprintln!("COUNTERSIGN_KILLS_SEED={seed}");
    let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = World::new(&runtime);
    let mut server = world.start();
    let signers = world.signers();
    assert_eq!(signers.len(), 2);
    run(&mut world.command(&["peer", "sync", "example.", "--trust-api"]));
    let mut most = 0;
    for _ in 0..kills {
        world.live_and_die(server, random.next());
        match random.below(5) {
            0 => world.kill_a_command(&mut random),
            1 => world.kill_a_start(&mut random),
            _ => {}
        }
        server = world.start();
        world.check(&signers);
        most = world.answered.lock().unwrap().len();
    }
    assert!(most > 4, "keys came and went: {most}");
    // It is well: NS1 and we come to show each other's keys.
    let in_step = wait_for(PATIENCE, || {
        let said = output(&mut world.command(&["peer", "sync", "example."]));
        said.status.success().then_some(())
    });
    assert!(in_step.is_some(), "{}", server.log());
    assert_all_private(&world.path("keys"));
    println!("{kills} kills, {most} keys");
}

/// No half of a private key lies about, but under names that nobody reads.
fn assert_all_private(keys: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    for entry in fs::read_dir(keys).unwrap() {
        let entry = entry.unwrap();
        let (name, mode) = (entry.file_name(), entry.metadata().unwrap().permissions().mode());
        let name = name.to_string_lossy();
        if name.contains(".private") {
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}
