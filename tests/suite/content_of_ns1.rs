//! A zone whose content comes from NS1's API: what is changed there shows here, what cannot be right waits for a person,
//! and the content outlives NS1 and a restart.

use std::{net::SocketAddr, process::Command, time::Duration};

use serde_json::Value;

use crate::harness::{
    client::ask,
    message::{NOERROR, NXDOMAIN, Query},
    ns1::{API_KEY, SimulatedNs1},
    process::{Server, countersign, countersign_at, free_address, output, run, wait_for, write},
};

const ORIGIN: &str = "example.";
/// How long what must show at once may take until a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

struct Site {
    folder: tempfile::TempDir,
    ns1: SimulatedNs1,
    ours: SocketAddr,
}

impl Site {
    /// NS1 signs the zone; our server is configured to take its content from there.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ns1 = SimulatedNs1::start(folder.path(), ORIGIN, true);
        let ours = free_address();
        let text = format!(
            "listen = [\"{ours}\"]\nstate = \"state\"\nresolvers = [\"{}\"]\n{}\
             [[zone]]\norigin = \"{ORIGIN}\"\nsource = \"ns1\"\npoll = \"1s\"\nauto_keys = true\n\
             providers = [\"ns1\"]\nexchange_keys = false\nlargest_shrink = 10\n",
            free_address(),
            ns1.provider(),
        );
        write(folder.path(), "countersign.toml", text);
        Self { folder, ns1, ours }
    }

    fn serve(&self) -> Server {
        let mut command = countersign();
        command
            .args(["serve", "-c"])
            .arg(self.folder.path().join("countersign.toml"));
        Server::start("countersign", command, self.ours, &Query::plain(ORIGIN, "SOA"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        countersign_at(&self.folder.path().join("state"), arguments)
    }

    fn content(&self) -> Value {
        let status: Value =
            serde_json::from_str(&run(&mut self.command(&["status", ORIGIN, "--json"]))).unwrap();
        status["zones"][0]["content"].clone()
    }

    /// Whether the name has addresses; `None` for any other answer than yes and no.
    fn has(&self, name: &str) -> Option<bool> {
        let answer = ask(self.ours, &Query::plain(name, "A"));
        match (answer.rcode, answer.answer.is_empty()) {
            (NOERROR, false) => Some(true),
            (NOERROR | NXDOMAIN, true) => Some(false),
            _ => None,
        }
    }

    #[track_caller]
    fn shows(&self, name: &str, wanted: bool, server: &Server) {
        let shown = wait_for(PATIENCE, || (self.has(name) == Some(wanted)).then_some(()));
        assert!(shown.is_some(), "{name}: {:?}\n{}", self.has(name), server.log());
    }

    fn make_address(&self, name: &str) {
        let domain = format!("{name}.example");
        let body = format!(
            "{{\"zone\": \"example\", \"domain\": \"{domain}\", \"type\": \"A\", \"ttl\": 60, \
             \"answers\": [{{\"answer\": [\"192.0.2.7\"]}}]}}"
        );
        self.ns1
            .request("PUT", &format!("/v1/zones/example/{domain}/A"), &body);
    }

    fn delete(&self, name: &str, rtype: &str) {
        self.ns1
            .request("DELETE", &format!("/v1/zones/example/{name}.example/{rtype}"), "");
    }
}

#[test]
fn what_is_changed_at_ns1_shows_and_what_cannot_be_right_waits() {
    let mut site = Site::new();
    let server = site.serve();
    site.shows("www.example.", true, &server);
    site.shows("added.example.", false, &server);
    // Ours signs what NS1 has; nothing of NS1's own signing came with it.
    let signed = ask(site.ours, &Query::signed("www.example.", "A"));
    assert_eq!(signed.answer.len(), 2, "{signed:?}");

    site.make_address("added");
    site.shows("added.example.", true, &server);
    // A record at a time, where NS1 exports no zone file.
    site.ns1.knob("broken-export", "refused");
    site.make_address("again");
    site.shows("again.example.", true, &server);
    site.ns1.knob("broken-export", "off");

    // A share that somebody must have meant.
    for (name, rtype) in [
        ("mail", "A"),
        ("mail", "AAAA"),
        ("www", "AAAA"),
        ("www", "HTTPS"),
        ("blog", "CNAME"),
    ] {
        site.delete(name, rtype);
    }
    site.delete("www", "A");
    let held = wait_for(PATIENCE, || {
        let held = site.content()["held_back"].clone();
        (!held.is_null()).then_some(held)
    });
    assert!(held.is_some(), "{}\n{}", site.content(), server.log());
    assert_eq!(site.has("www.example."), Some(true), "what was served goes on");
    run(&mut site.command(&["accept", "content", ORIGIN]));
    site.shows("www.example.", false, &server);
    assert_eq!(site.has("added.example."), Some(true));

    // NS1 is gone; the content stays, also for a server that starts now.
    site.ns1.server.signal("TERM");
    site.ns1.server.wait(PATIENCE);
    let log = server.log();
    drop(server);
    let server = site.serve();
    site.shows("added.example.", true, &server);
    site.shows("www.example.", false, &server);
    assert!(!log.contains(API_KEY) && !server.log().contains(API_KEY));
    let status = output(&mut site.command(&["status", ORIGIN]));
    assert!(!String::from_utf8_lossy(&status.stdout).contains(API_KEY));
}
