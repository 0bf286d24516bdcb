//! What plans are tried in: the real server beside a simulated NS1 and below a parent, with TTLs that a test can wait
//! for, and who asks all the while.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
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

use super::{
    client::ask,
    message::{AD, Query, RD, SERVFAIL},
    ns1::SimulatedNs1,
    peers::{self, Peer},
    process::{Server, countersign, countersign_at, free_address, output, run, wait_for, write},
};

pub const ORIGIN: &str = "example.";
/// How long something may take that takes a few seconds.
pub const SHOWING: Duration = Duration::from_secs(20);
/// How long a roll may take.
pub const ROLLING: Duration = Duration::from_secs(50);
const TTL: u32 = 3;
/// Whom the delegation names.
pub const SERVERS: [&str; 2] = ["ours", "theirs"];

/// The zone, with TTLs that a test can wait for. NS1 has it with other ones, which are smaller nowhere.
fn zone_text(serial: u32, servers: &[&str]) -> String {
    let ns: String = servers.iter().map(|server| format!("@ NS {server}\n")).collect();
    format!(
        "$TTL 3\n@ SOA ours hostmaster {serial} 7200 1800 1209600 3\n{ns}ours A 127.0.0.1\ntheirs A 127.0.0.1\n\
         www A 192.0.2.80\n*.apps A 192.0.2.81\n"
    )
}

/// How it is set up.
#[derive(Debug)]
pub struct Setting {
    pub margin: &'static str,
    pub key_ttl: &'static str,
    /// The state and key folders, from the folder of all.
    pub state: &'static str,
    pub keys: &'static str,
    /// What stands in the environment of our server.
    pub environment: Vec<(&'static str, String)>,
    /// What else is said of NS1, and of the zone.
    pub of_ns1: &'static str,
    pub of_zone: &'static str,
    /// The resolver that our server asks.
    pub resolver: Option<SocketAddr>,
    /// Whether the delegation names us beside NS1, and we have a DS.
    pub delegated: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            margin: "1s",
            key_ttl: "3",
            state: "state",
            keys: "keys",
            environment: Vec::new(),
            of_ns1: "",
            of_zone: "",
            resolver: None,
            delegated: true,
        }
    }
}

/// All parts, on loopback.
pub struct World {
    // In this order: the folder goes last.
    pub ours: Server,
    pub address: SocketAddr,
    pub ns1: SimulatedNs1,
    pub parent: Parent,
    setting: Setting,
    _runtime: Runtime,
    folder: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

pub fn dnskeys(server: SocketAddr) -> Vec<Dnskey> {
    let answer = ask(server, &Query::plain(ORIGIN, "DNSKEY")).answer;
    let keys = answer.iter().filter(|record| record.rtype == RrType::DNSKEY);
    keys.filter_map(|record| Dnskey::from_rdata(&record.rdata).ok())
        .collect()
}

impl World {
    pub fn new(margin: &'static str, key_ttl: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let setting = Setting {
            margin,
            key_ttl,
            ..Setting::default()
        };
        let mut world = Self::within(folder.path(), setting);
        world._temporary = Some(folder);
        world
    }

    /// The same in a folder that is there already.
    pub fn within(folder: &Path, setting: Setting) -> Self {
        let servers = if setting.delegated {
            &SERVERS[..]
        } else {
            &["theirs"]
        };
        let zone = write(folder, "zone", zone_text(1, servers));
        let ns1 = SimulatedNs1::start_with(folder, ORIGIN, &zone, true);
        ns1.knob("dnskey-ttl", setting.key_ttl);
        let runtime = Runtime::new().unwrap();
        let address = free_address();
        let parent = runtime
            .block_on(Parent::start(".".parse().unwrap(), &[free_address()]))
            .unwrap();
        let Setting {
            margin,
            key_ttl,
            state,
            keys,
            environment,
            of_ns1,
            of_zone,
            ..
        } = &setting;
        let config = format!(
            "listen = [\"{address}\"]\nstate = \"{state}\"\nkeys = \"{keys}\"\nresolvers = [\"{}\"]\n\
             {}poll = \"1s\"\npropagation = \"1s\"\nserver_names = [\"theirs.example.\"]\n{of_ns1}\
             [[zone]]\norigin = \"{ORIGIN}\"\nfile = \"zone\"\nauto_keys = true\nproviders = [\"ns1\"]\n\
             parent = [\"{}\"]\nparent_propagation = \"1s\"\nour_servers = [\"ours.example.\"]\nsafety_margin = \"{margin}\"\n\
             dnskey_ttl = \"{key_ttl}s\"\n{of_zone}",
            setting.resolver.unwrap_or_else(free_address),
            ns1.provider(),
            parent.addresses()[0],
        );
        write(folder, "countersign.toml", config);
        let world = Self {
            ours: serve(folder, address, environment),
            address,
            ns1,
            parent,
            setting,
            _runtime: runtime,
            folder: folder.to_owned(),
            _temporary: None,
        };
        let mut keys = dnskeys(world.ns1.dns[0]);
        if world.setting.delegated {
            keys.extend(dnskeys(world.address));
        }
        world.delegate(servers, keys.iter());
        run(&mut world.command(&["peer", "sync", ORIGIN, "--wait", "20s"]));
        world
    }

    /// The parent names these servers, and has a DS for each KSK among these keys.
    pub fn delegate<'k>(&self, servers: &[&str], keys: impl Iterator<Item = &'k Dnskey>) {
        let origin: countersign::wire::Name = ORIGIN.parse().unwrap();
        let ds = keys.filter(|key| key.is_sep());
        let ds = ds
            .map(|key| Ds::of(key, origin.as_ref(), DigestType::Sha256))
            .collect();
        let server = |name: &&str| {
            let name = format!("{name}.{ORIGIN}").parse().unwrap();
            (name, vec!["127.0.0.1".parse().unwrap()])
        };
        let delegation = Delegation {
            child: origin.clone(),
            servers: servers.iter().map(server).collect(),
            ds,
            ttl: TTL,
        };
        self.parent.delegate(&[delegation]).unwrap();
    }

    /// Our zone's file names these servers from now on.
    pub fn name_servers(&self, serial: u32, servers: &[&str]) {
        write(&self.folder, "zone", zone_text(serial, servers));
        self.does(&["reload"]);
    }

    pub fn state(&self) -> PathBuf {
        self.folder.join(self.setting.state)
    }

    pub fn key_folder(&self) -> PathBuf {
        self.folder.join(self.setting.keys)
    }

    /// Starts our server again, which has ended.
    pub fn start_again(&mut self) {
        self.ours = serve(&self.folder, self.address, &self.setting.environment);
    }

    /// What our server says when it does not start.
    #[track_caller]
    pub fn does_not_start(&self) -> String {
        let mut command = countersign();
        command
            .arg("serve")
            .arg("-c")
            .arg(self.folder.join("countersign.toml"));
        let said = output(&mut command);
        assert_eq!(said.status.code(), Some(1), "{said:?}");
        String::from_utf8(said.stderr).unwrap()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        countersign_at(&self.state(), arguments)
    }

    pub fn says(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let Output {
            status,
            stdout,
            stderr,
        } = output(&mut self.command(arguments));
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        (status.code(), text(stdout) + &text(stderr))
    }

    /// The command does it; what it says.
    #[track_caller]
    pub fn does(&self, arguments: &[&str]) -> String {
        let (code, text) = self.says(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {text}");
        text
    }

    /// The command does not do it, and says this.
    #[track_caller]
    pub fn refuses(&self, arguments: &[&str], why: &str) {
        let (code, text) = self.says(arguments);
        assert!(code == Some(1) && text.contains(why), "{arguments:?}: {text}");
    }

    /// Begins a plan as soon as there can be one.
    #[track_caller]
    pub fn apply(&self, arguments: &[&str]) {
        let arguments = [&["apply"], arguments].concat();
        let applied = wait_for(ROLLING, || (self.says(&arguments).0 == Some(0)).then_some(()));
        assert!(
            applied.is_some(),
            "{}\n{}",
            self.says(&arguments).1,
            self.ours.log()
        );
    }

    /// Waits until a person is asked to do something at a place that is called so; the lines that are to be pasted.
    #[track_caller]
    pub fn asks(&self, place: &str) -> Vec<String> {
        let asked = wait_for(ROLLING, || {
            let plan = self.plan_status();
            let steps = plan["steps"].as_array()?;
            let is_open = |step: &&Value| step["begun"].is_u64() && step["seen"].is_null();
            let open = steps.iter().find(is_open)?;
            open["place"].as_str().filter(|at| at.contains(place))?;
            let paste = open["paste"].as_array().cloned().unwrap_or_default();
            Some(
                paste
                    .iter()
                    .map(|line| line.as_str().unwrap().to_owned())
                    .collect(),
            )
        });
        asked.unwrap_or_else(|| panic!("{:#}\n{}", self.plan_status(), self.ours.log()))
    }

    /// NS1 loses our keys, and the plan that is carried out takes notice.
    #[track_caller]
    pub fn ns1_loses_our_keys(&self) {
        self.ns1.knob("lost-keys", "0s");
        let told = self.ours.stderr().wait_for("not planned: ", SHOWING);
        let of_keys = told.is_some_and(|line| line.contains("lacks"));
        assert!(of_keys, "{}", self.ours.log());
    }

    /// Changes the configuration file, and reloads it; what is said to that.
    #[track_caller]
    pub fn reconfigured(&self, from: &str, to: &str) -> String {
        let path = self.folder.join("countersign.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from:?} in\n{text}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
        self.says(&["reload"]).1
    }

    pub fn status(&self) -> Value {
        let status = run(&mut self.command(&["status", ORIGIN, "--json"]));
        serde_json::from_str(&status).unwrap()
    }

    pub fn plan_status(&self) -> Value {
        self.status()["zones"][0]["plan"].clone()
    }

    /// Waits until the plan waits for a time to pass.
    #[track_caller]
    pub fn waits(&self) {
        let waits = || self.plan_status()["until"].is_u64().then_some(());
        let waits = wait_for(SHOWING, waits);
        assert!(waits.is_some(), "{:#}\n{}", self.plan_status(), self.ours.log());
    }

    /// Waits until `status` says this of the plan.
    #[track_caller]
    pub fn tells(&self, text: &str) {
        let says = || self.plan_status()["why"].as_str()?.contains(text).then_some(());
        let told = wait_for(SHOWING, says);
        assert!(
            told.is_some(),
            "{text}: {:#}\n{}",
            self.plan_status(),
            self.ours.log()
        );
    }

    #[track_caller]
    pub fn reaches(&self, state: &str) {
        let reached = wait_for(ROLLING, || (self.plan_status()["state"] == state).then_some(()));
        assert!(
            reached.is_some(),
            "{}\n{}\n{}",
            self.says(&["status", ORIGIN]).1,
            self.says(&["peer", "status", ORIGIN]).1,
            self.ours.log()
        );
    }

    /// A resolver that asks these servers for the zone.
    pub fn resolver(&self, servers: &[SocketAddr]) -> Peer {
        let anchor = format!(". 60 IN DNSKEY {}", self.parent.anchor());
        let mut stubs = vec![(".", self.parent.addresses()[0])];
        stubs.extend(servers.iter().map(|server| (ORIGIN, *server)));
        peers::unbound(&anchor, &stubs, "aggressive-nsec: no")
    }

    /// The keys that we serve, in order.
    pub fn keys(&self) -> Vec<Dnskey> {
        let mut keys = dnskeys(self.address);
        keys.sort();
        keys
    }

    pub fn tags(&self) -> Vec<u16> {
        let mut tags: Vec<u16> = dnskeys(self.address).iter().map(Dnskey::key_tag).collect();
        tags.sort_unstable();
        tags
    }

    /// The tags of the keys whose owner is `own` or `provider`.
    pub fn tags_of(&self, owner: &str) -> Vec<u16> {
        let status = self.status();
        let keys = status["zones"][0]["keys"].as_array().unwrap().iter();
        let of = keys.filter(|key| key["origin"] == owner);
        of.map(|key| key["tag"].as_u64().unwrap() as u16).collect()
    }
}

fn serve(folder: &Path, address: SocketAddr, environment: &[(&'static str, String)]) -> Server {
    let mut command = countersign();
    command
        .arg("serve")
        .arg("-c")
        .arg(folder.join("countersign.toml"));
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    Server::start("countersign", command, address, &Query::plain(ORIGIN, "SOA"))
}

/// Whether a resolver validates a name that it cannot have in its cache.
pub fn validates(resolver: SocketAddr, label: &str) -> bool {
    let query = Query::plain(&format!("{label}.apps.{ORIGIN}"), "A");
    let answer = ask(resolver, &query.with_do().with_flags(RD));
    answer.rcode != SERVFAIL && answer.has(AD)
}

/// Asks a resolver for names that it cannot have in its cache, until it is stopped.
pub struct Asking {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<(usize, Vec<usize>)>,
}

impl Asking {
    pub fn start(resolver: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut asked = 0;
            let mut bogus = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                if !validates(resolver, &format!("n{asked}")) {
                    bogus.push(asked);
                }
                asked += 1;
            }
            (asked, bogus)
        });
        Self { stop, thread }
    }

    /// How many were asked, and which of them were not validated.
    pub fn stop(self) -> (usize, Vec<usize>) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
