//! The watch over a zone that two providers serve: what goes wrong is told to a command and to a webhook, once, and when
//! it is over, too; `status` shows it all the while.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;

use crate::harness::{
    message::Query,
    ns1::SimulatedNs1,
    process::{Server, countersign, free_address, output, repository, run, wait_for, write},
};

const ORIGIN: &str = "example.";
/// How long what must show may take until a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Takes what is posted to it. The first request is answered with 503.
#[derive(Clone)]
struct Webhook {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Value>>>,
}

impl Webhook {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let webhook = Self {
            address: listener.local_addr().unwrap(),
            taken: Arc::default(),
        };
        let taken = Arc::clone(&webhook.taken);
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                let mut reader = BufReader::new(stream);
                let mut length = 0;
                let mut line = String::new();
                while reader.read_line(&mut line).unwrap_or(0) > 2 {
                    let (name, value) = line.split_once(':').unwrap_or_default();
                    if name.eq_ignore_ascii_case("content-length") {
                        length = value.trim().parse().unwrap_or(0);
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                if reader.read_exact(&mut body).is_err() {
                    continue;
                }
                let status = if number == 0 { "503 Busy" } else { "204 No Content" };
                if number > 0 {
                    taken.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                }
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                let _ = reader.get_mut().write_all(answer.as_bytes());
            }
        });
        webhook
    }

    fn taken(&self) -> Vec<Value> {
        self.taken.lock().unwrap().clone()
    }
}

/// A command that keeps what it is told, a line each.
fn hook(folder: &Path) -> (PathBuf, PathBuf) {
    let told = folder.join("told");
    let script = format!("#!/bin/sh\ncat >>{0}\necho >>{0}\n", told.display());
    let path = write(folder, "hook", script);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    (path, told)
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The first notice of an event whose words contain `text`.
fn notice(notices: &[Value], event: &str, text: &str) -> Option<Value> {
    let is_it = |notice: &&Value| {
        notice["event"] == event && notice["what"].as_str().is_some_and(|what| what.contains(text))
    };
    notices.iter().find(is_it).cloned()
}

#[test]
fn a_key_that_is_missing_is_told_until_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let ns1 = SimulatedNs1::start(folder.path(), ORIGIN, true);
    let webhook = Webhook::start();
    let (hook, told) = hook(folder.path());
    let address = free_address();
    let text = format!(
        "listen = [\"{address}\"]\nstate = \"state\"\nresolvers = [\"{}\"]\n\
         [monitor]\nevery = \"1s\"\ncommand = [\"{}\"]\nwebhook = \"http://{}/alarms?token=canary\"\n{}\
         [[zone]]\norigin = \"{ORIGIN}\"\nfile = \"{}\"\nauto_keys = true\nproviders = [\"ns1\"]\nexchange_keys = false\n",
        free_address(),
        hook.display(),
        webhook.address,
        ns1.provider(),
        repository("zones/example.zone").display(),
    );
    let config = write(folder.path(), "countersign.toml", text);
    let mut command = countersign();
    command.arg("serve").arg("-c").arg(config);
    let server = Server::start("countersign", command, address, &Query::plain(ORIGIN, "SOA"));
    let status = || -> Value {
        let mut command = countersign();
        command
            .args(["status", "--json", "--state"])
            .arg(folder.path().join("state"));
        serde_json::from_str(&run(&mut command)).unwrap()
    };

    // Neither has the keys of the other: answers are bogus, and both ways to people say so, the webhook though it was
    // busy at first.
    let raised = |notices: Vec<Value>| notice(&notices, "raised", "lacks");
    let by_command = wait_for(PATIENCE, || raised(lines(&told)));
    let by_command = by_command.unwrap_or_else(|| panic!("{:?}\n{}", lines(&told), server.log()));
    assert_eq!(by_command["level"], "alarm");
    assert_eq!(by_command["zone"], ORIGIN);
    let by_webhook = wait_for(PATIENCE, || raised(webhook.taken()));
    assert!(by_webhook.is_some(), "{:?}\n{}", webhook.taken(), server.log());
    let shown = status();
    let alarms = shown["alarms"].as_array().unwrap();
    assert!(
        alarms.iter().any(|alarm| alarm["what"] == by_command["what"]),
        "{shown}"
    );
    let watched = &shown["zones"][0]["monitor"];
    assert_eq!(watched["holds"], false, "{watched}");
    assert_eq!((&watched["servers"], &watched["unseen"]), (&3.into(), &0.into()));
    let slack = watched["first_to_end"]["slack_seconds"].as_i64().unwrap();
    assert!(slack > 86_400, "{watched}");

    // The keys are exchanged: it is over, and told.
    let mut sync = countersign();
    sync.args(["peer", "sync", ORIGIN, "--trust-api", "--state"])
        .arg(folder.path().join("state"));
    // It ends with 1, for nothing is known of the parent.
    output(&mut sync);
    let over = wait_for(PATIENCE, || notice(&lines(&told), "over", "lacks"));
    assert!(over.is_some(), "{:?}\n{}", lines(&told), server.log());
    assert!(wait_for(PATIENCE, || notice(&webhook.taken(), "over", "lacks")).is_some());
    // Each was told once.
    let all = lines(&told);
    let same = all
        .iter()
        .filter(|notice| (&notice["event"], &notice["what"]) == (&by_command["event"], &by_command["what"]));
    assert_eq!(same.count(), 1, "{all:?}");
    // The address of a webhook may be a secret.
    assert!(!server.log().contains("canary"), "{}", server.log());
}

#[test]
fn a_webhook_that_cannot_be_is_told_by_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "listen = [\"127.0.0.1:0\"]\n[monitor]\nwebhook = \"ftp://example\"\n[[zone]]\norigin = \"{ORIGIN}\"\nfile = \"{}\"\n",
        repository("zones/example.zone").display()
    );
    let config = write(folder.path(), "countersign.toml", text);
    let mut check = countersign();
    check.arg("check").arg("-c").arg(config);
    let said = output(&mut check);
    assert_eq!(said.status.code(), Some(1));
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        said.contains("countersign.toml:3:11: expected an address that begins with"),
        "{said}"
    );
}
