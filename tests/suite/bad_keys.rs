//! Keys that are not what they should be: at the first start the server says which and why, and does not serve
//! half a key set; later, and at a reload, what was served goes on.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use countersign::wire::RrType;

use crate::harness::{
    client::ask,
    message::{NOERROR, Query},
    process::{Countersign, Server, free_address, output, repository, run, write},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A sound key of another provider, and one of an algorithm that the zone does not have.
const SOUND: &str =
    "257 3 13 JzB2UWZAVTwJFnEC073baTof74S7zjv/keYe1sBM9tfXlb9FMBKrI1QRV1mZDb7ZJ5HCwyojdXCHRqsYmJq1GQ==";
const ED25519: &str = "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=";
const SHA1: &str = "256 3 5 AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==";

fn setup() -> Countersign {
    Countersign::new("example.", repository("zones/example.zone"))
}

/// Starts a server that must end by itself with code 1; what it said.
fn refuses_to_start(setup: &Countersign) -> String {
    let address = free_address();
    let mut server = Server::spawn("countersign", &mut setup.serve_command(address), address);
    let status = server
        .wait(PATIENCE)
        .unwrap_or_else(|| panic!("it serves:\n{}", server.log()));
    assert_eq!(status.code(), Some(1), "{}", server.log());
    server.log()
}

/// The rdata of the key set as it is served.
fn key_set(server: &Server) -> Vec<Vec<u8>> {
    let answer = ask(server.address, &Query::plain("example.", "DNSKEY"));
    assert_eq!(answer.rcode, NOERROR);
    answer
        .answer
        .into_iter()
        .filter(|record| record.rtype == RrType::DNSKEY)
        .map(|record| record.rdata)
        .collect()
}

/// Files of external keys with one fault each, and a word that must be said about it.
fn faults() -> Vec<(&'static str, String, &'static str)> {
    let key = |rdata: &str| format!("example. 3600 IN DNSKEY {rdata}\n");
    vec![
        ("garbage", "this is not a key\n".into(), ":1:"),
        ("binary", "\u{0}\u{1}\u{2}\u{fffd}\n".into(), ":1"),
        (
            "half a line",
            "example. 3600 IN DNSKEY 257 3 13 JzB2UWZA\n".into(),
            ":1:",
        ),
        ("no base64", key("257 3 13 ****"), ":1:"),
        ("SHA-1", key(SHA1), "SHA"),
        ("a revoked key", key(&SOUND.replacen("257", "385", 1)), "REVOKE"),
        ("the zone bit clear", key(&SOUND.replacen("257", "1", 1)), "flag"),
        (
            "another protocol",
            key(&SOUND.replacen(" 3 13 ", " 2 13 ", 1)),
            "protocol",
        ),
        ("an algorithm that the zone lacks", key(ED25519), "ED25519"),
        (
            "another zone's key",
            format!("other. 3600 IN DNSKEY {SOUND}\n"),
            "other.",
        ),
        ("a sound one and a bad one", key(SOUND) + &key(SHA1), ":2:"),
    ]
}

#[test]
fn external_keys_that_cannot_be_taken_end_a_first_start() {
    for (what, text, word) in faults() {
        let setup = setup();
        let file = write(setup.folder(), "their.keys", text);
        let setup = setup.external_keys(&file);
        let said = refuses_to_start(&setup);
        assert!(said.contains("their.keys:"), "{what}:\n{said}");
        assert!(
            said.to_lowercase().contains(&word.to_lowercase()),
            "{what} ({word}):\n{said}"
        );
    }
    let setup = setup();
    let missing = setup.folder().join("missing.keys");
    let said = refuses_to_start(&setup.external_keys(missing));
    assert!(said.contains("missing.keys"), "{said}");
}

#[test]
fn external_keys_that_are_spoiled_later_change_nothing() {
    let setup = setup();
    let file = write(
        setup.folder(),
        "their.keys",
        format!("example. 3600 IN DNSKEY {SOUND}\n"),
    );
    let setup = setup.external_keys(&file);
    let server = setup.serve();
    let before = key_set(&server);
    assert_eq!(before.len(), 3);
    for (what, text, word) in faults() {
        fs::write(&file, text).unwrap();
        let reload = output(&mut setup.command(&["reload"]));
        let said =
            String::from_utf8_lossy(&reload.stdout).into_owned() + &String::from_utf8_lossy(&reload.stderr);
        assert_eq!(reload.status.code(), Some(1), "{what}: {said}");
        assert!(
            said.to_lowercase().contains(&word.to_lowercase()),
            "{what} ({word}):\n{said}"
        );
        assert_eq!(key_set(&server), before, "{what}");
    }
    // Nor while it is down: the register holds a good set.
    drop(server);
    let server = setup.serve();
    assert_eq!(key_set(&server), before);
    let told = server.stderr().wait_for("their.keys", PATIENCE);
    assert!(told.is_some(), "{}", server.log());
}

/// `dig +dnssec +multiline` prints more than the keys; a file of it is fine, and so are comments, CRLF and our own
/// keys in it.
#[test]
fn interop_what_dig_prints_is_taken_as_it_is() {
    let setup = setup();
    let file = write(setup.folder(), "their.keys", "");
    let setup = setup.external_keys(&file);
    let server = setup.serve();
    let dig = |arguments: &[&str]| {
        let mut dig = Command::new("dig");
        dig.arg(format!("@{}", server.address.ip())).args([
            "-p",
            &server.address.port().to_string(),
            "+norec",
        ]);
        run(dig.args(arguments).args(["example.", "DNSKEY"]))
    };
    let ours = key_set(&server);
    for arguments in [
        &["+noall", "+answer"][..],
        &["+dnssec", "+multiline"],
        &["+dnssec", "+noall", "+answer"],
    ] {
        let text = dig(arguments) + &format!("\r\n; theirs\r\nexample.\t3600\tIN\tDNSKEY\t{SOUND}\r\n");
        fs::write(&file, &text).unwrap();
        let said = run(&mut setup.command(&["reload"]));
        assert_eq!(
            key_set(&server).len(),
            ours.len() + 1,
            "{arguments:?}: {said}\n{text}"
        );
    }
}

/// The files of a key pair of the zone: `.key` and `.private`.
fn pair(keys: &Path, flags: &str) -> (PathBuf, PathBuf) {
    let public = fs::read_dir(keys)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "key"))
        .find(|path| {
            fs::read_to_string(path)
                .unwrap()
                .contains(&format!("DNSKEY {flags} "))
        })
        .unwrap_or_else(|| panic!("no key with flags {flags} in {}", keys.display()));
    let private = public.with_extension("private");
    (public, private)
}

fn tag_in(path: &Path) -> String {
    let name = path.file_stem().unwrap().to_str().unwrap();
    name[name.len() - 5..].trim_start_matches('0').to_owned()
}

type Spoil = fn(&Path, &Path);

/// What may happen to a key pair: a name, what is done to `.key` and `.private`, and a word that must be said.
fn spoiled_pairs() -> [(&'static str, Spoil, &'static str); 6] {
    [
        (
            "others can read it",
            |_, private| {
                fs::set_permissions(private, fs::Permissions::from_mode(0o644)).unwrap();
            },
            "chmod 600",
        ),
        (
            "the private half is gone",
            |_, private| fs::remove_file(private).unwrap(),
            "private",
        ),
        (
            "both halves are gone",
            |public, private| {
                fs::remove_file(public).unwrap();
                fs::remove_file(private).unwrap();
            },
            "key",
        ),
        (
            "the private half is empty",
            |_, private| fs::write(private, "").unwrap(),
            "private",
        ),
        (
            "the private half is another key's",
            |_, private| {
                let text = fs::read_to_string(private).unwrap();
                let other = "PrivateKey: gywn6+U0CR2DXqer6F01GMXFG6Amf0UKRTeB65zQn/o=";
                let lines = text.lines().map(|line| {
                    if line.starts_with("PrivateKey:") {
                        other
                    } else {
                        line
                    }
                });
                fs::write(private, lines.collect::<Vec<_>>().join("\n")).unwrap();
            },
            "private",
        ),
        (
            "the public half is another zone's",
            |public, _| {
                let text = fs::read_to_string(public).unwrap();
                fs::write(public, text.replace("example. ", "other. ")).unwrap();
            },
            "other.",
        ),
    ]
}

#[test]
fn spoiled_key_files_end_a_start_and_name_the_key() {
    for flags in ["257", "256"] {
        for (what, spoil, word) in spoiled_pairs() {
            let setup = setup();
            drop(setup.serve());
            let (public, private) = pair(&setup.keys(), flags);
            spoil(&public, &private);
            let said = refuses_to_start(&setup);
            assert!(said.contains(&tag_in(&public)), "{what}:\n{said}");
            assert!(said.contains(word), "{what} ({word}):\n{said}");
        }
    }
}

#[test]
fn spoiled_key_files_change_nothing_at_a_reload() {
    for (what, spoil, word) in spoiled_pairs() {
        let setup = setup();
        let server = setup.serve();
        let before = key_set(&server);
        let (public, private) = pair(&setup.keys(), "256");
        spoil(&public, &private);
        let reload = output(&mut setup.command(&["reload"]));
        let said =
            String::from_utf8_lossy(&reload.stdout).into_owned() + &String::from_utf8_lossy(&reload.stderr);
        assert_eq!(reload.status.code(), Some(1), "{what}: {said}");
        assert!(said.contains(word), "{what} ({word}):\n{said}");
        assert_eq!(key_set(&server), before, "{what}");
        let signed = ask(server.address, &Query::signed("no-such.example.", "A"));
        assert_eq!(
            signed
                .authority
                .iter()
                .filter(|record| record.rtype == RrType::RRSIG)
                .count(),
            2,
            "{signed}"
        );
    }
}

/// With a state that never saw the zone, half a pair is somebody's mistake, not a reason to make new keys.
#[test]
fn a_public_half_alone_makes_no_new_keys() {
    let made = setup();
    run(&mut made.keys_command(&["generate", "example."]));
    let fresh = setup();
    fs::create_dir_all(fresh.keys()).unwrap();
    let (public, _) = pair(&made.keys(), "257");
    fs::copy(&public, fresh.keys().join(public.file_name().unwrap())).unwrap();
    let said = refuses_to_start(&fresh);
    assert!(said.contains(&tag_in(&public)), "{said}");
    assert_eq!(fs::read_dir(fresh.keys()).unwrap().count(), 1, "no key was made");
}

/// Other zones' keys may lie in the same folder.
#[test]
fn other_zones_keys_are_theirs() {
    let setup = setup();
    run(&mut setup.keys_command(&["generate", "example."]));
    run(&mut setup.keys_command(&["generate", "sub.example."]));
    run(&mut setup.keys_command(&["generate", "other."]));
    let server = setup.serve();
    assert_eq!(key_set(&server).len(), 2);
    // An import for the wrong zone is refused.
    let base = pair(&setup.keys(), "257").0;
    let wrong = fs::read_dir(setup.keys())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_str().unwrap().contains("Kother."))
        .unwrap();
    let import = output(setup.keys_command(&["import", "example."]).arg(&wrong));
    assert_eq!(import.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&import.stderr).contains("other."),
        "{import:?} {base:?}"
    );
    assert_eq!(key_set(&server).len(), 2);
}
