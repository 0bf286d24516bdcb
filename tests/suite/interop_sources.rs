//! Zones whose content comes from another server: what Knot changes shows at once, what cannot be right waits for a
//! person, and whatever ends when, the last good content is served.

use std::{
    fmt::Write as _,
    fs,
    net::{SocketAddr, UdpSocket},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::Command,
    sync::Arc,
    time::Duration,
};

use countersign::{
    client::{Asker, Notice, NotifyError, Signing, TsigAlgorithm, TsigKey},
    clock::{Clock as _, SystemClock},
    wire::{RrType, message::Rcode},
};

use crate::harness::{
    client,
    message::{Message, NOERROR, Query, REFUSED, SERVFAIL},
    peers::{self, Peer},
    process::{STARTING, Server, countersign, countersign_at, free_address, output, run, wait_for, write},
};

const ZONE: &str = "fetched.example.";
const KEY: &str = "transfer.example.";
const SECRET: &str = "Q291bnRlcnNpZ24gZmV0Y2hlcyBhIHpvbmUgaW4gaXRzIHRlc3RzLi4=";
/// How long what must show at once may take until a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A zone with so many names, each of which says the serial; `timers` are refresh, retry and expire.
fn zone_text(serial: u32, names: usize, timers: &str) -> String {
    let mut text = format!("$TTL 60\n@ SOA ns h {serial} {timers} 60\n@ NS ns\nns A 192.0.2.1\n");
    for name in 0..names {
        writeln!(text, "n{name} TXT \"{serial}\"").unwrap();
    }
    text
}

const LASTING: &str = "3600 3600 86400";

/// A primary and a server that fetches from it, each at an address of its own.
struct Site {
    folder: tempfile::TempDir,
    ours: SocketAddr,
    theirs: SocketAddr,
}

impl Site {
    fn new(settings: &str) -> Self {
        let site = Self {
            folder: tempfile::tempdir().unwrap(),
            ours: free_address(),
            theirs: free_address(),
        };
        let secret = write(site.folder.path(), "transfer.secret", SECRET);
        fs::set_permissions(secret, fs::Permissions::from_mode(0o600)).unwrap();
        site.configure(settings);
        site
    }

    fn configure(&self, settings: &str) {
        let text = format!(
            "listen = [\"{}\"]\nstate = \"state\"\nkeys = \"keys\"\n\
             [[tsig]]\nname = \"{KEY}\"\nsecret_file = \"transfer.secret\"\n\
             [[zone]]\norigin = \"{ZONE}\"\nsource = \"axfr\"\nprimaries = [\"{}\"]\ntsig = \"{KEY}\"\nauto_keys = true\n{settings}\n",
            self.ours, self.theirs
        );
        write(self.folder.path(), "countersign.toml", text);
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("z.zone")
    }

    fn write(&self, text: &str) {
        write(self.folder.path(), "z.zone", text);
    }

    /// Knot with the zone as it was written last; it makes differences, and tells us of changes.
    fn primary(&self, settings: &str) -> Peer {
        let (ours, theirs) = (self.ours, self.theirs);
        let conf = format!(
            "key:\n  - id: {KEY}\n    algorithm: hmac-sha256\n    secret: {SECRET}\n\
             remote:\n  - id: us\n    address: {}@{}\n    via: {}\n    key: {KEY}\n\
             acl:\n  - id: ours\n    key: {KEY}\n    action: transfer\n\
             template:\n    acl: ours\n    notify: us\n    zonefile-load: difference\n    journal-content: changes\n{settings}",
            ours.ip(),
            ours.port(),
            theirs.ip()
        );
        peers::knot_at(theirs, &[(ZONE, self.file())], &conf)
    }

    fn serve_command(&self) -> Command {
        let mut command = countersign();
        command
            .args(["serve", "-c"])
            .arg(self.folder.path().join("countersign.toml"));
        command
    }

    /// Starts our server and waits until the zone is served.
    fn serve(&self) -> Server {
        Server::start(
            "countersign",
            self.serve_command(),
            self.ours,
            &Query::plain(ZONE, "SOA"),
        )
    }

    /// Starts our server and waits until it answers at all.
    fn serve_whatever(&self) -> Server {
        let server = Server::spawn("countersign", &mut self.serve_command(), self.ours);
        let ready = server.stderr().wait_for("ready: ", STARTING);
        assert!(ready.is_some(), "{}", server.log());
        server
    }

    fn command(&self, arguments: &[&str]) -> Command {
        countersign_at(&self.folder.path().join("state"), arguments)
    }

    fn status(&self) -> serde_json::Value {
        serde_json::from_str(&run(&mut self.command(&["status", "--json"]))).unwrap()
    }

    fn content(&self) -> serde_json::Value {
        self.status()["zones"][0]["content"].clone()
    }

    fn ask(&self, name: &str, rtype: &str) -> Message {
        client::ask(self.ours, &Query::plain(&format!("{name}{ZONE}"), rtype))
    }

    fn serial(&self) -> Option<u32> {
        serial(&self.ask("", "SOA"))
    }

    /// Waits until the server has this serial; how long that took.
    fn wait_for_serial(&self, wanted: u32) -> Duration {
        let clock = SystemClock::default();
        let began = clock.steady();
        let shown = wait_for(PATIENCE, || (self.serial() == Some(wanted)).then_some(()));
        assert!(
            shown.is_some(),
            "serial {wanted} does not show: {:?}",
            self.serial()
        );
        clock.steady() - began
    }

    /// Waits until a warning says this.
    fn wait_for_warning(&self, text: &str) {
        let warned = wait_for(PATIENCE, || {
            self.status()["warnings"].to_string().contains(text).then_some(())
        });
        assert!(
            warned.is_some(),
            "no warning of \"{text}\": {:#}",
            self.status()["warnings"]
        );
    }

    /// That every name says the serial that the SOA has: the content is one version.
    fn check_whole(&self, names: usize) {
        let serial = self.serial().expect("it is served").to_string();
        for name in 0..names {
            let answer = self.ask(&format!("n{name}."), "TXT");
            let text: Vec<_> = answer
                .answer
                .iter()
                .map(|record| record.rdata[1..].to_vec())
                .collect();
            assert_eq!(text, [serial.as_bytes()], "n{name}");
        }
    }
}

fn serial(answer: &Message) -> Option<u32> {
    let soa = answer.all().find(|record| record.rtype == RrType::SOA)?;
    let at = soa.rdata.len() - 20;
    Some(u32::from_be_bytes(soa.rdata[at..at + 4].try_into().unwrap()))
}

fn reload(primary: &Peer) {
    primary.knotc(&["zone-reload", ZONE]);
}

#[test]
fn what_the_primary_changes_shows_within_two_seconds_and_comes_as_a_difference() {
    let site = Site::new("");
    site.write(&zone_text(1, 50, LASTING));
    let primary = site.primary("");
    let server = site.serve();
    site.check_whole(50);
    let signed = client::ask(site.ours, &Query::signed(&format!("n1.{ZONE}"), "TXT"));
    assert!(
        signed.answer.iter().any(|record| record.rtype == RrType::RRSIG),
        "we sign it"
    );

    site.write(&zone_text(2, 50, LASTING));
    reload(&primary);
    let took = site.wait_for_serial(2);
    assert!(took < Duration::from_secs(2), "{took:?}");
    site.check_whole(50);
    let said = primary.server.stderr().wait_for("IXFR, outgoing", PATIENCE);
    assert!(said.is_some(), "{}", primary.server.log());

    let content = site.content();
    assert_eq!(
        (&content["source"], &content["serial"]),
        (&"axfr".into(), &2.into())
    );
    assert!(
        content["current_at"].is_u64() && content["expires_at"].is_u64(),
        "{content}"
    );
    assert_eq!(content["failure"], serde_json::Value::Null);
    let text = run(&mut site.command(&["status"]));
    assert!(text.contains(&format!("axfr {}", site.theirs)), "{text}");
    drop(server);

    // Both versions are in the copy, and it is served without the primary.
    drop(primary);
    let _again = site.serve();
    assert_eq!(site.serial(), Some(2));
    site.check_whole(50);
    site.wait_for_warning("its content cannot be fetched");
}

/// RFC 1035 §3.3.13: after EXPIRE the zone is served no more, until its primary is there again.
#[test]
fn a_zone_expires_without_its_primary_and_comes_back_with_it() {
    let site = Site::new("");
    site.write(&zone_text(1, 3, "1 1 3"));
    let primary = site.primary("");
    let _server = site.serve();
    drop(primary);
    let failed = wait_for(PATIENCE, || {
        (site.ask("n1.", "TXT").rcode == SERVFAIL).then_some(())
    });
    assert!(failed.is_some(), "it is served on");
    site.wait_for_warning("its content expired");
    let _primary = site.primary("");
    site.wait_for_serial(1);
    site.check_whole(3);
    assert_eq!(site.status()["warnings"], serde_json::json!([]));
}

#[test]
fn a_zone_that_is_emptied_or_shrinks_too_much_is_kept_until_a_person_says_yes() {
    let site = Site::new("largest_shrink = 10");
    site.write(&zone_text(1, 50, LASTING));
    let primary = site.primary("");
    let _server = site.serve();

    site.write(&zone_text(2, 20, LASTING));
    reload(&primary);
    site.wait_for_warning("more than 10 % fewer");
    assert_eq!(site.serial(), Some(1));
    site.check_whole(50);
    let held = site.content()["held_back"].clone();
    assert_eq!((&held["serial"], &held["records"]), (&2.into(), &23.into()));
    // It is held back at a reload, too.
    run(&mut site.command(&["reload"]));
    assert_eq!(site.serial(), Some(1));
    let said = run(&mut site.command(&["accept", "content", ZONE]));
    assert_eq!(said, format!("{ZONE} is served with serial 2\n"));
    site.check_whole(20);
    assert_eq!(site.content()["held_back"], serde_json::Value::Null);

    // Nothing but the apex.
    site.write(&format!(
        "$TTL 60\n@ SOA ns h 3 {LASTING} 60\n@ NS ns.elsewhere.test.\n"
    ));
    reload(&primary);
    site.wait_for_warning("nothing left but the zone's apex");
    site.check_whole(20);

    // What holds by itself again needs nobody.
    site.write(&zone_text(4, 20, LASTING));
    reload(&primary);
    site.wait_for_serial(4);
    site.check_whole(20);
    let nothing = output(&mut site.command(&["accept", "content", ZONE]));
    assert_eq!(nothing.status.code(), Some(1));
}

#[test]
fn a_zone_that_is_not_what_its_digest_says_is_refused() {
    let site = Site::new("");
    site.write(&zone_text(1, 5, LASTING));
    let primary = site.primary("    zonemd-generate: zonemd-sha384\n");
    let _server = site.serve();
    assert_eq!(site.content()["digest_verified"], serde_json::Value::Bool(true));
    drop(primary);

    // Knot has counted on from 1.
    let before = site.serial().unwrap();
    let wrong = format!("@ ZONEMD 20 1 1 {}\n", "00".repeat(48));
    site.write(&(zone_text(20, 5, LASTING) + &wrong));
    let primary = site.primary("");
    primary.knotc(&["zone-notify", ZONE]);
    site.wait_for_warning("does not match its ZONEMD (SHA-384)");
    assert_eq!(site.serial(), Some(before));

    site.write(&zone_text(30, 5, LASTING));
    reload(&primary);
    site.wait_for_serial(30);
    site.check_whole(5);
    assert_eq!(site.content()["digest_verified"], serde_json::Value::Bool(false));
}

/// A signed primary: its signatures, denials and keys are not served as ours.
#[test]
fn what_the_primary_signed_is_left_out_and_counted() {
    let site = Site::new("name_servers = [\"ns.fetched.example.\", \"ns2.elsewhere.test.\"]");
    site.write(&zone_text(1, 5, LASTING));
    let primary = site.primary("    dnssec-signing: on\n");
    let _server = site.serve();
    assert!(
        site.content()["left_out"].as_u64().unwrap() > 10,
        "{}",
        site.content()
    );
    let keys = site.ask("", "DNSKEY");
    let theirs = client::ask(primary.address(), &Query::plain(ZONE, "DNSKEY"));
    assert!(!theirs.answer.is_empty());
    for key in &theirs.answer {
        assert!(keys.answer.iter().all(|ours| ours.rdata != key.rdata));
    }
    site.wait_for_warning("no source of keys has the DNSKEY");
    // The apex NS RRset is what the configuration says.
    let servers: Vec<_> = site
        .ask("", "NS")
        .answer
        .iter()
        .map(|record| record.rdata.clone())
        .collect();
    assert_eq!(servers.len(), 2, "{servers:?}");
    // Its next version comes as a difference, signatures and all.
    site.write(&zone_text(9, 5, LASTING));
    reload(&primary);
    let changed = wait_for(PATIENCE, || (site.serial()? >= 9).then_some(()));
    assert!(changed.is_some(), "{:?}", site.serial());
    let said = primary.server.stderr().wait_for("IXFR, outgoing", PATIENCE);
    assert!(said.is_some(), "{}", primary.server.log());
}

/// Whatever moment the machine stops at, what is on the disk is one version of the zone, and not an old one for good.
#[test]
fn a_server_that_is_killed_again_and_again_while_it_fetches_has_one_whole_version() {
    const NAMES: usize = 300;
    const ROUNDS: u32 = 40;
    let site = Site::new("");
    site.write(&zone_text(1, NAMES, LASTING));
    let primary = site.primary("");
    drop(site.serve());
    let mut last = 1;
    for round in 0..ROUNDS {
        let serial = last + 1;
        site.write(&zone_text(serial, NAMES, LASTING));
        let mut server = Server::spawn("countersign", &mut site.serve_command(), site.ours);
        if round % 2 == 0 {
            // The change comes while the server runs.
            server.stderr().wait_for("ready: ", STARTING);
        }
        reload(&primary);
        last = serial;
        // Sooner or later: some rounds end before the fetch begins, some after it.
        let _ = wait_for(Duration::from_millis(u64::from(round * 37 % 120)), || None::<()>);
        server.signal("KILL");
        assert!(server.wait(PATIENCE).is_some());
    }
    drop(primary);
    let server = site.serve();
    let serial = site.serial().unwrap();
    assert!((1..=last).contains(&serial), "{serial}");
    site.check_whole(NAMES);
    drop(server);
    // It goes on from there.
    let _primary = site.primary("");
    let _server = site.serve();
    site.wait_for_serial(last);
    site.check_whole(NAMES);
}

/// RFC 1996 §3.10, §3.11: from a primary, NOERROR with AA; from anybody else nothing follows.
#[test]
fn notices_are_taken_from_primaries_alone() {
    let site = Site::new("");
    site.write(&zone_text(1, 3, LASTING));
    let _primary = site.primary("");
    let _server = site.serve();
    let notice = |zone: &str, rtype: &str| {
        let mut bytes = Query::plain(zone, rtype).to_bytes(7);
        bytes[2] = 0x24;
        bytes
    };
    let tell = |from: &str, bytes: &[u8]| {
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(bytes, site.ours).unwrap();
        let mut buffer = [0; 1_500];
        let length = socket.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    };
    let theirs = site.theirs.ip().to_string();
    let taken = tell(&theirs, &notice(ZONE, "SOA"));
    // QR, opcode NOTIFY, AA.
    assert_eq!((taken[2], u16::from(taken[3] & 15)), (0xa4, NOERROR));
    let stranger = tell("127.0.0.1", &notice(ZONE, "SOA"));
    assert_eq!((stranger[2] & 4, u16::from(stranger[3] & 15)), (0, REFUSED));
    let other_zone = tell(&theirs, &notice("other.example.", "SOA"));
    assert_eq!(u16::from(other_zone[3] & 15), REFUSED);
    let other_type = tell(&theirs, &notice(ZONE, "CDS"));
    assert_eq!(other_type[3] & 15, 4, "NOTIMP");
}

/// RFC 8945: a notice that is signed is verified, and its answer is signed.
#[test]
fn signed_notices_are_answered_with_signatures() {
    let site = Site {
        folder: tempfile::tempdir().unwrap(),
        ours: free_address(),
        // Notices of ours come from here, whatever listens there.
        theirs: "127.0.0.1:9".parse().unwrap(),
    };
    let secret = write(site.folder.path(), "transfer.secret", SECRET);
    fs::set_permissions(secret, fs::Permissions::from_mode(0o600)).unwrap();
    site.configure("");
    let _server = site.serve_whatever();
    let notice = Notice {
        zone: ZONE.parse().unwrap(),
        rtype: RrType::SOA,
        soa: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let clock = SystemClock::default();
    let tell = |secret: Option<&str>| {
        let key = secret.map(|secret| {
            Arc::new(TsigKey::from_base64(KEY.parse().unwrap(), TsigAlgorithm::HmacSha256, secret).unwrap())
        });
        let signing = key.as_ref().map(|key| Signing { key, clock: &clock });
        runtime.block_on(Asker::default().notify(site.ours, &notice, signing))
    };
    tell(Some(SECRET)).expect("the answer is signed as the notice is");
    tell(None).expect("an address is enough to be asked sooner");
    let refused = tell(Some("YW5vdGhlciBzZWNyZXQ="));
    assert!(
        !matches!(
            refused,
            Ok(())
                | Err(NotifyError::Refused {
                    rcode: Rcode::REFUSED,
                    ..
                })
        ),
        "{refused:?}"
    );
}

#[test]
fn a_zone_that_has_never_come_is_answered_with_servfail_and_the_server_runs() {
    let site = Site::new("");
    let server = site.serve_whatever();
    assert_eq!(site.ask("", "SOA").rcode, SERVFAIL);
    site.wait_for_warning("its content has not come yet");
    let reloaded = output(&mut site.command(&["reload"]));
    assert!(reloaded.status.success(), "{reloaded:?}");
    site.write(&zone_text(1, 3, LASTING));
    let _primary = site.primary("");
    site.wait_for_serial(1);
    assert!(
        server.stderr().wait_for("answers again", PATIENCE).is_some(),
        "{}",
        server.log()
    );
}
