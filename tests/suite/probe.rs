//! `countersign peer probe` as a person with an account runs it, against the simulated NS1: what it prints, what it
//! leaves behind, and what it says when something is wrong.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use countersign::provider::ns1::probe::QUESTIONS;
use tempfile::TempDir;

use crate::harness::process::{Server, countersign, free_address, output, repository};

const READY: Duration = Duration::from_secs(30);
/// Whoever finds it in an output has found a leak.
const SECRET: &str = "qYp7C4naryKeyZ3t81Wv";

struct Ns1 {
    _server: Server,
    folder: TempDir,
    api: SocketAddr,
    dns: [SocketAddr; 2],
}

impl Ns1 {
    fn start(knobs: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (api, dns) = (free_address(), [free_address(), free_address()]);
        let mut command = countersign();
        command
            .args(["lab", "ns1", "--signed", "--api-key", SECRET])
            .args(["--api", &api.to_string()])
            .args(["--dns", &dns[0].to_string(), "--dns", &dns[1].to_string()])
            .arg(format!(
                "--zone=example.={}",
                repository("zones/example.zone").display()
            ))
            .arg("--ca")
            .arg(folder.path().join("ca.pem"))
            .args(knobs.iter().map(|knob| format!("--knob={knob}")));
        let server = Server::spawn("countersign lab ns1", &mut command, dns[0]);
        server.stderr().wait_for("ready: ", READY).unwrap();
        let ns1 = Self {
            _server: server,
            folder,
            api,
            dns,
        };
        ns1.write_key("key", SECRET, 0o600);
        ns1
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_key(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, format!("{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn probe(&self, key: &Path, more: &[&str]) -> Command {
        let mut command = countersign();
        command
            .args(["peer", "probe"])
            .args(["--endpoint", &format!("https://{}/v1/", self.api)])
            .arg("--ca-file")
            .arg(self.path("ca.pem"))
            .arg("--api-key-file")
            .arg(key)
            .args(self.dns.iter().map(|address| format!("--server={address}")))
            .args(more);
        command
    }
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// The output as text, free of the secret.
fn texts(output: &Output) -> (String, String) {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(
        !stdout.contains(SECRET) && !stderr.contains(SECRET),
        "{stdout}{stderr}"
    );
    (stdout, stderr)
}

#[test]
fn every_question_is_printed_with_its_answer_and_the_configuration_that_follows_is_one() {
    let ns1 = Ns1::start(&["set-shape=bare", "number-shape=string", "strict-shapes=on"]);
    let report = ns1.path("report.json");
    let more = [
        "example.",
        "--scratch",
        "probe.example",
        "--report",
        report.to_str().unwrap(),
    ];
    let output = output(&mut ns1.probe(&ns1.path("key"), &more));
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success(), "{stderr}");
    for question in QUESTIONS {
        assert!(
            stdout.contains(&format!("{}  {}\n     ", question.number, question.text)),
            "{stdout}"
        );
    }
    assert!(!stdout.contains("not tried"), "{stdout}");
    assert!(stderr.contains("deleting probe.example. at NS1"), "{stderr}");
    let written = fs::read_to_string(&report).unwrap();
    assert!(!written.contains(SECRET));
    let written: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!(written["findings"].as_array().unwrap().len(), QUESTIONS.len());

    let (_, configuration) = stdout.split_once("The configuration that follows:\n").unwrap();
    assert!(
        configuration.contains("body = \"bare\"\nnumbers = \"strings\"\n"),
        "{configuration}"
    );
    let (provider, zone) = configuration.split_once("# and in the").unwrap();
    let providers = zone.lines().nth(1).unwrap();
    let file = format!(
        "listen = [\"127.0.0.1:{}\"]\n{provider}\n[[zone]]\norigin = \"example.\"\nfile = {:?}\n{providers}\n",
        free_address().port(),
        repository("zones/example.zone"),
    );
    let path = ns1.path("countersign.toml");
    fs::write(&path, &file).unwrap();
    let checked = crate::harness::process::output(countersign().arg("check").arg("-c").arg(&path));
    let (checked, _) = texts(&checked);
    assert!(!checked.contains("provider"), "{file}\n{checked}");

    // The same from that file, as JSON.
    let mut again = countersign();
    again
        .args(["peer", "probe", "example.", "--json", "-c"])
        .arg(&path)
        .args(ns1.dns.iter().map(|address| format!("--server={address}")));
    let (json, stderr) = texts(&crate::harness::process::output(&mut again));
    let json: serde_json::Value =
        serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    assert_eq!(json["findings"].as_array().unwrap().len(), QUESTIONS.len());
    let not_tried = json["findings"][0]["not_tried"].as_str().unwrap();
    assert!(not_tried.contains("--scratch"), "{not_tried}");
}

#[test]
fn an_interrupt_leaves_nothing_behind() {
    let ns1 = Ns1::start(&["slow-api=100ms"]);
    for signal in ["INT", "TERM"] {
        let mut command = ns1.probe(&ns1.path("key"), &["--scratch", "probe.example."]);
        let mut probe = Server::spawn("countersign peer probe", &mut command, ns1.api);
        probe.stderr().wait_for("trying each form", READY).unwrap();
        probe.signal(signal);
        let status = probe.wait(READY).unwrap();
        assert_eq!(status.code(), Some(1), "{}", probe.log());
        assert!(
            probe.log().contains("deleting probe.example. at NS1"),
            "{}",
            probe.log()
        );
        assert!(!probe.log().contains(SECRET));
    }
    // Had it been left, this would be refused.
    let output = output(&mut ns1.probe(&ns1.path("key"), &["--scratch", "probe.example."]));
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let ns1 = Ns1::start(&[]);
    let key = ns1.path("key");
    let exposed = ns1.write_key("exposed", SECRET, 0o644);
    let wrong = ns1.write_key("wrong", "not-the-key", 0o600);
    let absent = ns1.path("absent");
    for (key, more, said) in [
        (&exposed, &["example."][..], "chmod 600"),
        (&absent, &["example."], "cannot read the API key"),
        (&wrong, &["example."], "expired"),
        (&key, &["absent.example."], "create the zone at NS1"),
        (&key, &["--scratch", "example."], "is there already"),
        (
            &key,
            &["example.", "--report", "/no/such/folder/report"],
            "/no/such/folder/report",
        ),
    ] {
        let output = output(&mut ns1.probe(key, more));
        let (_, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(1), "{more:?}: {stderr}");
        assert!(stderr.contains(said), "{more:?}: {stderr}");
    }
    // Who answers there must be believed before the key goes out.
    let mut untrusted = countersign();
    untrusted
        .args([
            "peer",
            "probe",
            "example.",
            "--endpoint",
            &format!("https://{}/v1/", ns1.api),
            "--api-key-file",
        ])
        .arg(&key);
    let (_, stderr) = texts(&output(&mut untrusted));
    assert!(stderr.contains("certificate"), "{stderr}");
    let mut clear = countersign();
    clear
        .args([
            "peer",
            "probe",
            "example.",
            "--endpoint",
            "http://api.nsone.net/v1/",
            "--api-key-file",
        ])
        .arg(&key);
    let (_, stderr) = texts(&output(&mut clear));
    assert!(stderr.contains("in the clear"), "{stderr}");
    let mut unset = countersign();
    unset.args([
        "peer",
        "probe",
        "example.",
        "--api-key-env",
        "COUNTERSIGN_NO_SUCH_KEY",
    ]);
    let (_, stderr) = texts(&output(&mut unset));
    assert!(stderr.contains("$COUNTERSIGN_NO_SUCH_KEY"), "{stderr}");
}
