//! `countersign peer` as a person meets it: the real binary beside a simulated NS1 of its own, each thing that can be
//! wrong told with what to do next, and nothing lost by any of them.

use std::{
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use countersign::wire::RrType;
use serde_json::Value;

use crate::harness::{
    client::ask,
    message::Query,
    ns1::{API_KEY, SimulatedNs1},
    process::{Server, countersign, countersign_at, free_address, output, repository, wait_for, write},
};

const ORIGIN: &str = "example.";
/// How long something may take to show.
const SHOWING: Duration = Duration::from_secs(20);

/// A simulated NS1, and our server beside it with keys exchanged by command only.
struct World {
    folder: tempfile::TempDir,
    ns1: SimulatedNs1,
    dns: [SocketAddr; 2],
    ours: Option<Server>,
}

impl World {
    /// `signed`: whether NS1 signs the zone from the start. Its KSK is pinned, in place of a parent.
    fn new(signed: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ns1 = SimulatedNs1::start(folder.path(), ORIGIN, signed);
        Self {
            dns: ns1.dns,
            folder,
            ns1,
            ours: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the configuration; `provider` and `zone` are further lines of theirs.
    fn configure(&self, address: SocketAddr, provider: &str, zone: &str) -> PathBuf {
        let nobody = free_address();
        let text = format!(
            "listen = [\"{address}\"]\nstate = \"{}\"\nresolvers = [\"{nobody}\"]\n\
             {}{provider}\n\
             [[zone]]\norigin = \"{ORIGIN}\"\nfile = \"{}\"\nauto_keys = true\nproviders = [\"ns1\"]\n{zone}\n",
            self.path("state").display(),
            self.ns1.provider(),
            repository("zones/example.zone").display(),
        );
        write(self.folder.path(), "countersign.toml", text)
    }

    fn serve(&mut self, provider: &str, zone: &str) {
        let address = free_address();
        let config = self.configure(address, provider, zone);
        let mut command = countersign();
        command.arg("serve").arg("-c").arg(config);
        let ready = Query::plain(ORIGIN, "SOA");
        self.ours = Some(Server::start("countersign", command, address, &ready));
    }

    fn ours(&self) -> &Server {
        self.ours.as_ref().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        countersign_at(&self.path("state"), arguments)
    }

    fn peer(&self, arguments: &[&str]) -> Told {
        Told::of(output(&mut self.command(&[&["peer"], arguments].concat())))
    }

    fn pin(&self) -> String {
        let keys = ask(self.dns[0], &Query::plain(ORIGIN, "DNSKEY")).answer;
        let ksk = keys.iter().find(|key| key.rdata[..2] == [1, 1]).unwrap();
        let public = data_encoding::BASE64.encode(&ksk.rdata[4..]);
        format!("pinned = [\"257 3 13 {public}\"]")
    }

    fn key_count(&self, server: SocketAddr) -> usize {
        let keys = ask(server, &Query::plain(ORIGIN, "DNSKEY")).answer;
        keys.iter()
            .filter(|record| record.rtype == RrType::DNSKEY)
            .count()
    }
}

/// What a command said.
#[derive(Debug)]
struct Told {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Told {
    fn of(output: Output) -> Self {
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        let told = Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        assert!(
            !told.stdout.contains(API_KEY) && !told.stderr.contains(API_KEY),
            "{told:?}"
        );
        told
    }

    #[track_caller]
    fn says(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        for text in texts {
            let said = self.stdout.contains(text) || self.stderr.contains(text);
            assert!(said, "\"{text}\" is not in\n{}{}", self.stdout, self.stderr);
        }
    }
}

#[test]
fn from_nothing_to_two_signers_and_back() {
    let mut world = World::new(false);
    let zone = "exchange_keys = false\nour_servers = [\"ours.example.\"]";
    world.serve("poll = \"1s\"", zone);
    let ours = world.ours().address;

    // NS1 does not sign, and nobody but a person changes that.
    world
        .peer(&["sync", ORIGIN, "--wait", "0s"])
        .says(1, &["does not sign the zone", "enable-dnssec"]);
    world
        .peer(&["enable-dnssec", ORIGIN])
        .says(0, &["DNSSEC was switched on"]);
    // Nothing vouches for it.
    world
        .peer(&["pull", ORIGIN])
        .says(1, &["not believed yet", "--trust-api"]);
    assert_eq!(world.key_count(ours), 2);
    world
        .peer(&["pull", ORIGIN, "--trust-api"])
        .says(0, &["believed by a person's word"]);
    assert_eq!(world.key_count(ours), 4, "theirs are served at once");
    // One server takes its time, and is waited for.
    world.ns1.knob("key-delay", "2:3s");
    world
        .peer(&["push", ORIGIN, "--wait", "30s"])
        .says(0, &["the key set countersign was made"]);
    for server in world.dns {
        assert_eq!(world.key_count(server), 4);
    }
    world.peer(&["push", ORIGIN]).says(0, &[]);
    // Everything is in step but for the parent, of which nothing is known.
    let json = world.peer(&["status", ORIGIN, "--json"]);
    let status: Value = serde_json::from_str(&json.stdout).unwrap();
    let peer = &status["peers"][0];
    assert_eq!(peer["servers"].as_array().unwrap().len(), 2, "{json:?}");
    assert_eq!(peer["lagging_since"], Value::Null);
    assert_eq!(peer["trusted"], "a person's word");
    // `status` shows that DNSKEYs of NS1 are of NS1.
    let told = Told::of(output(&mut world.command(&["status", ORIGIN])));
    told.says(0, &["ns1's API"]);

    // What its servers show is not withdrawn by the way, and what was withdrawn can be let in again.
    let theirs = status["peers"][0]["servers"][0]["theirs"][0].to_string();
    let withdraw = [
        "keys",
        "withdraw",
        ORIGIN,
        theirs.as_str(),
        "--force",
        "it leaked",
    ];
    Told::of(output(&mut world.command(&withdraw))).says(1, &["is not withdrawn", "--served"]);
    assert_eq!(world.key_count(ours), 4);
    let withdraw = [&withdraw[..], &["--served"]].concat();
    Told::of(output(&mut world.command(&withdraw))).says(0, &["keys readmit example. "]);
    assert_eq!(world.key_count(ours), 3);
    let readmit = ["keys", "readmit", ORIGIN, theirs.as_str()];
    Told::of(output(&mut world.command(&readmit))).says(0, &[]);
    assert_eq!(world.key_count(ours), 4);

    // The way back asks for a reason, for the exchange to be off, which it is, and for nobody to be sent here, which nobody
    // knows: no parent can be asked.
    world
        .peer(&["withdraw", ORIGIN, "--force", " "])
        .says(2, &["say in words why"]);
    let withdraw = ["withdraw", ORIGIN, "--force", "back to one"];
    world
        .peer(&withdraw)
        .says(1, &["nobody knows whether resolvers are sent", "--served"]);
    assert_eq!(world.key_count(world.dns[1]), 4);
    world.peer(&[&withdraw[..], &["--served"]].concat()).says(0, &[]);
    let gone = wait_for(SHOWING, || (world.key_count(world.dns[1]) == 2).then_some(()));
    assert!(gone.is_some());
    assert_eq!(
        world.key_count(ours),
        4,
        "theirs stay here: answers in caches may need them"
    );
}

#[test]
fn by_itself_it_takes_and_gives_and_mends() {
    let mut world = World::new(true);
    let pin = world.pin();
    world.serve(&format!("poll = \"1s\"\n{pin}"), "");
    let ours = world.ours().address;
    let shows = |server: SocketAddr, count: usize| {
        let shown = wait_for(SHOWING, || (world.key_count(server) == count).then_some(()));
        assert!(
            shown.is_some(),
            "{server} shows {}\n{}",
            world.key_count(server),
            world.ours().log()
        );
    };
    for server in [ours, world.dns[0], world.dns[1]] {
        shows(server, 4);
    }
    // The last that is said of the first visit: what is lost before its end was never seen there, and is not gone.
    let visited = world
        .ours()
        .stderr()
        .wait_for("the parent's DS is not known", SHOWING);
    assert!(visited.is_some(), "{}", world.ours().log());
    // NS1 drops our keys without a word: they are given again.
    world.ns1.knob("lost-keys", "0s");
    let told = world
        .ours()
        .stderr()
        .wait_for("were gone from its external keys", SHOWING);
    assert!(told.is_some(), "{}", world.ours().log());
    shows(world.dns[0], 4);
    // A roll without notice: the new key is here at once, and the old one stays when it is gone there.
    world.ns1.knob("zsk-roll", "1s");
    shows(ours, 5);
    let told = world.ours().stderr().wait_for("a new ZSK", SHOWING);
    assert!(told.is_some());
    let kept = wait_for(SHOWING, || {
        let status = Told::of(output(&mut world.command(&["status", ORIGIN])));
        status.stdout.contains("stays published until").then_some(())
    });
    assert!(kept.is_some());
    assert_eq!(world.key_count(ours), 5);
    // Ours would be given again at once.
    world
        .peer(&["withdraw", ORIGIN, "--force", "?"])
        .says(1, &["exchange_keys = false"]);
    assert!(!world.ours().log().contains(API_KEY));
}

#[test]
fn what_is_wrong_is_told_with_the_next_step() {
    let mut world = World::new(true);
    let pin = world.pin();
    world.serve(&pin, "exchange_keys = false");
    world.peer(&["sync", ORIGIN]).says(1, &[]);
    let ours = world.ours().address;
    assert_eq!(world.key_count(ours), 4);

    world
        .peer(&["sync", "example.org."])
        .says(1, &["has no zone example.org."]);
    world
        .peer(&["sync", ORIGIN, "--provider", "ns2"])
        .says(1, &["no provider \"ns2\"", "it has ns1"]);
    world.ns1.write_api_key("another-key");
    world.peer(&["pull", ORIGIN]).says(0, &["401", "API key"]);
    let others = world.path("ns1.key");
    std::fs::set_permissions(&others, std::fs::Permissions::from_mode(0o644)).unwrap();
    world.peer(&["pull", ORIGIN]).says(0, &["chmod 600"]);
    world.ns1.write_api_key(API_KEY);
    world.ns1.knob("html-answers", "1");
    world.peer(&["pull", ORIGIN]).says(0, &["no JSON", "proxy"]);
    world.ns1.knob("dnssec-off", "0s");
    world.peer(&["pull", ORIGIN]).says(1, &["does not sign the zone"]);
    // NS1 is gone altogether.
    world.ns1.server.signal("TERM");
    world.ns1.server.wait(SHOWING);
    assert_eq!(world.key_count(ours), 4, "through all of it nothing is lost");
    // And no server at all.
    let ours = world.ours.take();
    drop(ours);
    world
        .peer(&["status"])
        .says(1, &["no server runs on the state folder", "--state"]);
    let nowhere = Told::of(output(
        countersign()
            .args(["peer", "status", "--state"])
            .arg(Path::new("/no/such/folder")),
    ));
    nowhere.says(1, &["there is no state folder /no/such/folder"]);
}

#[test]
fn a_configuration_that_cannot_work_is_told_by_its_place() {
    let world = World::new(true);
    let check = |provider: &str, zone: &str| {
        let config = world.configure(free_address(), provider, zone);
        Told::of(output(countersign().arg("check").arg("-c").arg(config)))
    };
    check("", "").says(0, &[]);
    check("api_key_env = \"X\"", "").says(1, &["needs its API key, from one place"]);
    check("pinned = [\"256 3 13 AAAA\"]", "").says(1, &["only a key with the SEP flag can be pinned"]);
    check("pinned = [\"what\"]", "").says(1, &["expected DS data"]);
    check("body = \"boxed\"", "").says(1, &["expected \"wrapped\" or \"bare\""]);
    check("[[provider]]\nname = \"ns1\"\nkind = \"dns\"", "")
        .says(1, &["is there already", "needs its servers"]);
    check("", "parent = [\"192.0.2\"]").says(1, &["expected a server, as"]);
}
