//! The simulated NS1 judged by NS1's own clients, unchanged from PyPI: ns1-python, and octoDNS on top of it. What they
//! write shows in DNS, and there other people's programs judge.

use std::{
    collections::BTreeSet, fmt::Write as _, net::SocketAddr, path::Path, process::Command, time::Duration,
};

use countersign::{
    dnssec::{
        algorithm::SigningAlgorithm,
        key::{SEP, SigningKey, ZONE},
    },
    wire::RrType,
};

use crate::harness::{
    client::ask,
    judge,
    message::Query,
    process::{Server, countersign, free_address, output, repository, run, wait_for, write},
};

const KEY: &str = "an-account's-key";
/// How long a change may take until it shows in DNS.
const SHOWING: Duration = Duration::from_secs(10);

/// `countersign lab ns1` as another process, with two servers.
struct Ns1 {
    // In this order: it ends before its folder goes.
    _server: Server,
    folder: tempfile::TempDir,
    api: SocketAddr,
    dns: [SocketAddr; 2],
}

impl Ns1 {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (api, dns) = (free_address(), [free_address(), free_address()]);
        let mut command = countersign();
        command
            .args(["lab", "ns1", "--api-key", KEY])
            .args(["--api", &api.to_string()])
            .arg("--ca")
            .arg(folder.path().join("ca.pem"))
            .args(arguments);
        for address in dns {
            command.args(["--dns", &address.to_string()]);
        }
        let server = Server::spawn("countersign lab ns1", &mut command, api);
        let ready = server
            .stderr()
            .wait_for("ready: NS1's API on", Duration::from_secs(30));
        assert!(ready.is_some(), "{}", server.log());
        Self {
            _server: server,
            folder,
            api,
            dns,
        }
    }

    fn python(&self, program: &str) -> Command {
        let interpreter =
            run(Command::new(repository("tests/tools/ensure-python")).current_dir(repository("")));
        let bin = repository(interpreter.trim()).parent().unwrap().to_owned();
        let mut command = Command::new(bin.join(program));
        command.env("REQUESTS_CA_BUNDLE", self.folder.path().join("ca.pem"));
        command
    }

    /// Runs a scenario of ns1-python; what it printed.
    fn scenario(&self, name: &str, argument: Option<&str>) -> String {
        let mut command = self.python("python");
        command
            .arg(repository("tests/tools/ns1_client.py"))
            .args([&self.api.to_string(), KEY, name])
            .args(argument);
        run(&mut command)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn text(answer: &crate::harness::message::Message, rtype: RrType) -> BTreeSet<Vec<u8>> {
    let records = answer.answer.iter().filter(|record| record.rtype == rtype);
    records.map(|record| record.rdata.clone()).collect()
}

#[test]
fn ns1_python_keeps_zones() {
    Ns1::start(&[]).scenario("zones", None);
}

#[test]
fn ns1_python_keeps_records_and_they_are_served() {
    let ns1 = Ns1::start(&[]);
    ns1.scenario("records", None);
    for server in ns1.dns {
        let shown = wait_for(SHOWING, || {
            let answer = ask(server, &Query::plain("alias.unit.test.", "A"));
            (text(&answer, RrType::CNAME).len() == 1).then_some(answer)
        });
        assert!(shown.is_some(), "{server}");
        let cds = text(&ask(server, &Query::plain("unit.test.", "CDS")), RrType::CDS);
        assert_eq!(cds, BTreeSet::from([[&[0, 1, 13, 2][..], &[0xef; 32]].concat()]));
        let mx = ask(server, &Query::plain("unit.test.", "MX"));
        assert_eq!(text(&mx, RrType::MX).len(), 2);
        let txt = ask(server, &Query::plain("unit.test.", "TXT"));
        let whole = b"v=spf1 include:\"x\" -all; \\ end";
        assert_eq!(
            text(&txt, RrType::TXT),
            BTreeSet::from([[&[whole.len() as u8], &whole[..]].concat()])
        );
    }
}

#[test]
fn ns1_python_is_told_what_is_wrong() {
    Ns1::start(&[]).scenario("errors", None);
}

#[test]
fn ns1_python_turns_pages() {
    let mut file = "$TTL 300\n@ SOA ns h 1 2 3 4 5\n@ NS ns\n".to_owned();
    for number in 0..2_600 {
        writeln!(file, "h{number} A 192.0.2.{}", number % 250).unwrap();
    }
    let ns1 = Ns1::start(&[]);
    let file = write(ns1.path(), "large.zone", file);
    ns1.scenario("pages", file.to_str());
}

#[test]
fn ns1_python_reads_the_limits() {
    Ns1::start(&["--knob", "rate-limit=5/10"]).scenario("rates", None);
}

#[test]
fn ns1_python_keeps_tsig_keys() {
    Ns1::start(&[]).scenario("tsig", None);
}

/// A file goes in and comes out, and BIND reads the same zone from both.
#[test]
fn ns1_python_imports_and_exports() {
    let ns1 = Ns1::start(&[]);
    let file = repository("zones/example.zone");
    let exported: String = serde_json::from_str(&ns1.scenario("files", file.to_str())).unwrap();
    let exported = write(ns1.path(), "exported.zone", exported);
    let compiled = |file: &Path| {
        let mut command = Command::new("named-compilezone");
        command
            .args(["-q", "-i", "none", "-o", "-", "example."])
            .arg(file);
        let lines = run(&mut command);
        let records = lines
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        records
            .filter(|line| !line.contains(" SOA "))
            .collect::<BTreeSet<String>>()
    };
    assert_eq!(compiled(&exported), compiled(&file));
}

/// What NS1 is given by its API shows at each of its servers, and answers validate with it.
#[test]
fn keys_that_ns1_python_gives_are_published_and_answers_validate() {
    let ns1 = Ns1::start(&[
        "--zone",
        &format!("example.={}", repository("zones/example.zone").display()),
        "--signed",
    ]);
    // The scenario begins with DNSSEC off.
    let off = ns1.request("POST", "zones/example", r#"{"dnssec": false}"#);
    assert!(off.contains("\"dnssec\": false"), "{off}");
    // Real ones: BIND takes no DNSKEY of the RRset when the point of one is not on the curve.
    let make = |flags| SigningKey::generate(SigningAlgorithm::EcdsaP256Sha256, flags).unwrap();
    let ours = [ZONE | SEP, ZONE].map(|flags| make(flags).dnskey().rdata().to_vec());
    let given: Vec<String> = ours
        .iter()
        .map(|rdata| {
            let flags = u16::from_be_bytes([rdata[0], rdata[1]]);
            format!("[{flags}, {:?}]", data_encoding::BASE64.encode(&rdata[4..]))
        })
        .collect();
    let said = ns1.scenario("keys", Some(&format!("[{}]", given.join(", "))));
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let own = said["keys"]["dnskey"].as_array().unwrap();
    assert_eq!(own.len(), 2, "{said}");
    for server in ns1.dns {
        let both = wait_for(SHOWING, || {
            let keys = text(&ask(server, &Query::plain("example.", "DNSKEY")), RrType::DNSKEY);
            ours.iter().all(|key| keys.contains(key)).then_some(keys)
        });
        assert_eq!(both.map(|keys| keys.len()), Some(4), "{server}");
    }
    // The DS that the API tells is the anchor of a validator that is not ours.
    let ds = said["delegation"]["ds"][0].as_array().unwrap();
    let ds: Vec<&str> = ds.iter().map(|field| field.as_str().unwrap()).collect();
    let ds = format!("example. 3600 IN DS {}\n", ds.join(" "));
    let asked: Vec<Query> = [
        "example. SOA",
        "example. DNSKEY",
        "www.example. A",
        "x.apps.example. A",
        "no.example. A",
        "www.example. MX",
        "a.old.example. A",
        "team.example. DS",
    ]
    .iter()
    .map(|question| {
        let (name, rtype) = question.split_once(' ').unwrap();
        Query::signed(name, rtype)
    })
    .collect();
    for (keys, answers) in [(0, 0), (0, 1), (1, 0)] {
        let (complaints, _) =
            judge::complaints_with_keys_of(ns1.dns[keys], &ds, ns1.dns[answers], "compact", &asked);
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }
    ns1.delv("example.", &ds);
}

impl Ns1 {
    /// One request through ns1-python's transport; what it was told.
    fn request(&self, method: &str, path: &str, body: &str) -> String {
        self.scenario("request", Some(&format!("[\"{method}\", \"{path}\", {body}]")))
    }

    /// BIND's validator takes positive and negative answers for good.
    fn delv(&self, origin: &str, ds: &str) {
        let fields: Vec<&str> = ds.split_whitespace().collect();
        let anchor = format!(
            "trust-anchors {{ {origin} static-ds {} {} {} \"{}\"; }};\n",
            fields[4], fields[5], fields[6], fields[7]
        );
        let anchors = write(self.path(), "anchors", anchor);
        for server in self.dns {
            let delv = |name: &str, rtype: &str| {
                let mut command = Command::new("delv");
                command
                    .arg(format!("@{}", server.ip()))
                    .args(["-p", &server.port().to_string(), "-a"])
                    .arg(&anchors)
                    .args([&format!("+root={origin}"), name, rtype]);
                let output = output(&mut command);
                String::from_utf8_lossy(&output.stdout).into_owned()
                    + &String::from_utf8_lossy(&output.stderr)
            };
            let positive = delv("www.example.", "A");
            assert!(positive.contains("; fully validated"), "{positive}");
            let negative = delv("no.example.", "A");
            assert!(
                negative.contains("; negative response, fully validated"),
                "{negative}"
            );
        }
    }
}

/// Several messages, to secondaries that the zone names and to nobody else.
#[test]
fn zones_are_transferred_to_dig() {
    let mut file = "$TTL 300\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n".to_owned();
    for number in 0..3_000 {
        writeln!(file, "h{number} TXT \"some words that make a record longer\"").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "large.zone", file);
    let ns1 = Ns1::start(&["--zone", &format!("large.test.={}", file.display()), "--signed"]);
    let dig = |rtype: &str| {
        let mut command = Command::new("dig");
        command.arg(format!("@{}", ns1.dns[1].ip())).args([
            "-p",
            &ns1.dns[1].port().to_string(),
            "large.test.",
            rtype,
        ]);
        run(&mut command)
    };
    assert!(dig("AXFR").contains("; Transfer failed."));
    let wanted = r#"{"primary": {"enabled": true, "secondaries": [{"ip": "127.0.0.0/8", "port": 53, "notify": false}]}}"#;
    ns1.request("POST", "zones/large.test", wanted);
    let whole = wait_for(SHOWING, || {
        Some(dig("AXFR")).filter(|said| !said.contains("failed"))
    });
    let whole = whole.expect("the zone may be transferred now");
    assert!(
        whole.contains("XFR size: 3004 records (messages "),
        "{}",
        whole.lines().last().unwrap()
    );
    assert!(!whole.contains("(messages 1,"), "several messages");
    assert!(!whole.contains("\tDNSKEY\t") && !whole.contains("\tRRSIG\t"));
    assert!(dig("IXFR=1").contains("XFR size: 3004 records"));
    assert!(
        dig("IXFR=4294967295").contains("XFR size: 3004 records"),
        "an older serial by RFC 1982"
    );
    ns1.request("PUT", "../lab/knobs", r#"{"transfer-keys": "on"}"#);
    let with_keys = wait_for(SHOWING, || {
        Some(dig("AXFR")).filter(|said| said.contains("\tDNSKEY\t"))
    });
    assert!(with_keys.is_some());
}

#[test]
fn octodns_fills_an_empty_account_and_then_finds_nothing_to_do() {
    let ns1 = Ns1::start(&[]);
    let config = format!(
        "---\nproviders:\n  files:\n    class: octodns.provider.yaml.YamlProvider\n    directory: {}\n    \
         default_ttl: 3600\n  ns1:\n    class: octodns_ns1.Ns1Provider\n    api_key: {KEY}\n    \
         client_config:\n      endpoint: {}\nzones:\n  unit.test.:\n    sources:\n      - files\n    targets:\n      - ns1\n",
        repository("tests/data/octodns").display(),
        ns1.api
    );
    let config = write(ns1.path(), "octodns.yaml", config);
    let sync = |arguments: &[&str]| {
        let mut command = ns1.python("octodns-sync");
        let output = output(command.arg("--config-file").arg(&config).args(arguments));
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        said
    };
    sync(&["--doit"]);
    for server in ns1.dns {
        let shown = wait_for(SHOWING, || {
            let answer = ask(server, &Query::plain("www.unit.test.", "A"));
            (text(&answer, RrType::A).len() == 2).then_some(())
        });
        assert!(shown.is_some(), "{server}");
        assert_eq!(
            text(&ask(server, &Query::plain("x.unit.test.", "A")), RrType::A).len(),
            1
        );
        assert_eq!(
            text(&ask(server, &Query::plain("unit.test.", "NS")), RrType::NS).len(),
            2
        );
    }
    let again = sync(&[]);
    assert!(again.contains("No changes were planned"), "{again}");
}
