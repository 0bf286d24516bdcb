//! Operating the server: what a person does to it, and what it does when something is wrong. Whatever cannot be
//! taken leaves what was served before, and says so.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use countersign::{
    clock::{Clock as _, SystemClock},
    dnssec::key::Dnskey,
    store::{Absent, Store},
    wire::RrType,
};

use super::harness::{
    client,
    message::{NOERROR, Query, REFUSED, SERVFAIL},
    process::{Countersign, Server, countersign, free_address, output, run, wait_for, write},
};

/// How long a signal may take to show; generous, for it decides only how long a failing test takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Keys of another provider, made for these tests.
const THEIR_KSK: &str =
    "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==";
const THEIR_ZSK: &str =
    "256 3 13 oJMRESz5E4gYzS/q6XDrvU1qMPYIjCWzJaOau8XNEZeqCYKD5ar0IRd8KqXXFJkqmVfRvMGPmM1x8fGAa2XhSA==";

fn zone_text(serial: u32) -> String {
    format!(
        "$ORIGIN example.\n$TTL 300\n@ SOA ns hostmaster {serial} 3600 600 86400 300\n@ NS ns\n\
         ns A 192.0.2.1\nwww A 192.0.2.2\n"
    )
}

/// A zone file in a folder that lives as long as this.
struct ZoneFile {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl std::ops::Deref for ZoneFile {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl AsRef<Path> for ZoneFile {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

/// A zone file, and how to serve it.
fn setup() -> (Countersign, ZoneFile) {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "example.zone", zone_text(1));
    let setup = Countersign::new("example.", &path);
    (
        setup,
        ZoneFile {
            path,
            _folder: folder,
        },
    )
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command that must fail with `code`; what it said on stdout and stderr.
fn fails(command: &mut Command, code: i32) -> String {
    let output = output(command);
    let said = stdout(&output) + &stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{command:?} said:\n{said}");
    said
}

fn serial(server: SocketAddr) -> u32 {
    let answer = client::ask(server, &Query::plain("example.", "SOA"));
    let rdata = &answer
        .all()
        .find(|record| record.rtype == RrType::SOA)
        .expect("a SOA")
        .rdata;
    u32::from_be_bytes(rdata[rdata.len() - 20..rdata.len() - 16].try_into().unwrap())
}

fn rcode(server: SocketAddr, name: &str) -> u16 {
    client::ask(server, &Query::plain(name, "SOA")).rcode
}

/// The tags of the DNSKEY RRset.
fn tags(server: SocketAddr) -> BTreeSet<u16> {
    let answer = client::ask(server, &Query::plain("example.", "DNSKEY"));
    let keys = answer.all().filter(|record| record.rtype == RrType::DNSKEY);
    keys.map(|record| Dnskey::from_rdata(&record.rdata).unwrap().key_tag())
        .collect()
}

fn status(setup: &Countersign) -> serde_json::Value {
    serde_json::from_str(&run(&mut setup.command(&["status", "--json"]))).unwrap()
}

fn tag(text: &str) -> u16 {
    Dnskey::from_text(text).unwrap().key_tag()
}

#[test]
fn it_starts_says_what_it_does_and_stops() {
    let (setup, _file) = setup();
    let mut server = setup.serve();
    assert!(
        server
            .stderr()
            .wait_for("ready: 1 zones served", PATIENCE)
            .is_some()
    );
    assert_eq!(
        client::ask_udp(server.address, &Query::plain("www.example.", "A")).rcode,
        NOERROR
    );
    let status = status(&setup);
    assert_eq!(status["zones"][0]["serial"], 1);
    assert_eq!(status["pid"], server.id());
    assert_eq!(status["zones"][0]["keys"].as_array().unwrap().len(), 2);
    assert_eq!(status["warnings"].as_array().unwrap().len(), 0);
    let text = run(&mut setup.command(&["status", "example."]));
    assert!(text.contains("KSK") && text.contains("ECDSAP256SHA256"), "{text}");
    let own = run(&mut setup.keys_command(&["ds", "example."]));
    assert_eq!(
        own,
        run(&mut setup.command(&["ds", "example."])),
        "nobody else has keys here"
    );
    let socket = setup.state().join("control.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    server.signal("TERM");
    let ended = server.wait(PATIENCE).expect("it ends");
    assert_eq!(ended.code(), Some(0));
    assert!(!socket.exists());
    assert_eq!(
        own,
        run(&mut setup.command(&["ds", "example."])),
        "from the register alone"
    );
}

#[test]
fn a_reload_is_seen_whatever_the_serial() {
    let (setup, file) = setup();
    let server = setup.serve();
    let said = run(&mut setup.command(&["reload"]));
    assert_eq!(said, "example. unchanged\n");
    fs::write(&file, zone_text(7)).unwrap();
    server.signal("HUP");
    assert!(wait_for(PATIENCE, || (serial(server.address) == 7).then_some(())).is_some());
    fs::write(&file, zone_text(3) + "new A 192.0.2.3\n").unwrap();
    let said = run(&mut setup.command(&["reload"]));
    assert!(said.contains("example. changed: serial 7 → 3"), "{said}");
    assert_eq!(serial(server.address), 3);
    fs::write(&file, zone_text(3) + "new A 192.0.2.4\n").unwrap();
    let said = run(&mut setup.command(&["reload"]));
    assert!(said.contains("new content under the same serial 3"), "{said}");
    let answer = client::ask(server.address, &Query::plain("new.example.", "A"));
    assert!(answer.all().any(|record| record.rdata == [192, 0, 2, 4]));
}

#[test]
fn a_broken_zone_file_keeps_the_old_zone_and_is_told_by_its_place() {
    let (setup, file) = setup();
    let server = setup.serve();
    fs::write(&file, zone_text(2) + "www A 192.0.2.999\n").unwrap();
    let said = fails(&mut setup.command(&["reload"]), 1);
    assert!(said.contains("example.zone:7:"), "{said}");
    assert_eq!(serial(server.address), 1);
    let status = status(&setup);
    let warning = status["warnings"][0]["what"].as_str().unwrap();
    assert!(warning.contains("example.zone:7:"), "{warning}");
    assert_eq!(status["zones"][0]["serial"], 1);
    fs::remove_file(&file).unwrap();
    fails(&mut setup.command(&["reload"]), 1);
    assert_eq!(serial(server.address), 1);
    fs::write(&file, zone_text(2)).unwrap();
    run(&mut setup.command(&["reload"]));
    assert_eq!(serial(server.address), 2);
}

#[test]
fn external_keys_come_at_a_reload_stay_when_they_vanish_and_go_when_a_person_says_so() {
    let (setup, file) = setup();
    let external = write(file.parent().unwrap(), "their.keys", "");
    let setup = setup.external_keys(&external);
    let server = setup.serve();
    let ours = tags(server.address);
    assert_eq!(ours.len(), 2);
    let (ksk, zsk) = (tag(THEIR_KSK), tag(THEIR_ZSK));

    fs::write(
        &external,
        format!("example. 3600 IN DNSKEY {THEIR_KSK}\nexample. 3600 IN DNSKEY {THEIR_ZSK}\n"),
    )
    .unwrap();
    run(&mut setup.command(&["reload"]));
    let all: BTreeSet<u16> = ours.iter().copied().chain([ksk, zsk]).collect();
    assert_eq!(tags(server.address), all);
    assert!(run(&mut setup.command(&["ds", "example."])).contains(&format!("DS {ksk} 13 2")));
    assert!(!run(&mut setup.keys_command(&["ds", "example."])).contains(&format!("DS {ksk} ")));

    fs::write(&external, "").unwrap();
    let said = run(&mut setup.command(&["reload"]));
    assert!(said.contains(&zsk.to_string()), "{said}");
    assert_eq!(tags(server.address), all, "kept");

    fs::write(&external, "example. 3600 IN DNSKEY 257 3 5 AwEAAbbad\n").unwrap();
    let output = output(&mut setup.command(&["reload"]));
    assert!(stdout(&output).contains("their.keys:1"), "{}", stdout(&output));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(tags(server.address), all, "a spoiled file changes nothing");

    fs::write(&external, "").unwrap();
    let said = fails(
        &mut setup.command(&["keys", "withdraw", "example.", "1", "--force", "typo"]),
        1,
    );
    assert!(said.contains("no key 1"), "{said}");
    run(&mut setup.command(&[
        "keys",
        "withdraw",
        "example.",
        &zsk.to_string(),
        "--force",
        "rolled",
    ]));
    assert_eq!(tags(server.address), ours.iter().copied().chain([ksk]).collect());
    let listed = run(&mut setup.keys_command(&["list", "example."]));
    assert!(
        listed.contains("withdrawn") && listed.contains("kept"),
        "{listed}"
    );
}

#[test]
fn keys_made_while_it_runs_are_published_and_do_not_sign() {
    let (setup, _file) = setup();
    let server = setup.serve();
    let before = tags(server.address);
    let made = output(&mut setup.keys_command(&["generate", "example.", "--role", "zsk"]));
    assert!(made.status.success(), "{}", stderr(&made));
    assert!(stderr(&made).contains("does not sign"), "{}", stderr(&made));
    let after = tags(server.address);
    let new: Vec<u16> = after.difference(&before).copied().collect();
    assert_eq!(new.len(), 1);
    let listed = run(&mut setup.keys_command(&["list", "example."]));
    assert!(listed.contains("published"), "{listed}");
    let elsewhere = setup.folder().join("elsewhere");
    let said = fails(
        setup
            .command(&["keys", "generate", "example."])
            .arg("--keys")
            .arg(elsewhere),
        1,
    );
    assert!(said.contains("key folder is"), "{said}");
}

#[test]
fn a_port_in_use_and_a_state_in_use_are_refused() {
    let (first, _file) = setup();
    let server = first.serve();
    let (second, _other) = setup();
    let said = fails(&mut second.serve_command(server.address), 1);
    assert!(said.contains("is in use"), "{said}");
    let said = fails(&mut first.serve_command(free_address()), 1);
    assert!(said.contains("another server holds"), "{said}");
    assert_eq!(rcode(server.address, "example."), NOERROR, "the first goes on");
    run(&mut first.command(&["status"]));
}

#[test]
fn a_server_that_was_killed_leaves_nothing_in_the_way_of_the_next() {
    let (setup, _file) = setup();
    let mut server = setup.serve();
    let keys = tags(server.address);
    server.signal("KILL");
    server.wait(PATIENCE).expect("it ends");
    let said = fails(&mut setup.command(&["status"]), 1);
    assert!(said.contains("no server runs on"), "{said}");
    let server = setup.serve();
    assert_eq!(tags(server.address), keys);
    run(&mut setup.command(&["status"]));
}

#[test]
fn json_logs_are_one_object_a_line() {
    let (setup, _file) = setup();
    let address = free_address();
    let mut command = setup.serve_command(address);
    command.args(["--log-format", "json", "--log-level", "debug"]);
    let server = Server::start("countersign", command, address, &Query::plain("example.", "SOA"));
    server
        .stderr()
        .wait_for("ready", PATIENCE)
        .expect("the ready line");
    for line in server.stderr().lines() {
        let value: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        assert!(
            value["message"].is_string() && value["level"].is_string(),
            "{line}"
        );
    }
}

#[test]
fn a_state_folder_that_cannot_be_written_ends_the_start() {
    let (setup, file) = setup();
    // Root writes everywhere but where the kernel forbids it.
    let mut command = countersign();
    command
        .args([
            "serve",
            "--zone",
            &format!("example.={}", file.display()),
            "--listen",
            "127.0.0.1:0",
        ])
        .arg("--keys")
        .arg(setup.keys())
        .args(["--state", "/proc/countersign-state"]);
    let said = fails(&mut command, 1);
    assert!(said.contains("/proc/countersign-state"), "{said}");
    assert!(!setup.keys().exists(), "no key is made that no register knows");
}

#[test]
fn a_key_that_the_register_knows_and_the_folder_lacks_ends_the_start_by_its_tag() {
    let (setup, _file) = setup();
    let server = setup.serve();
    let ours = tags(server.address);
    drop(server);
    let saved = setup.folder().join("saved");
    fs::rename(setup.keys(), &saved).unwrap();
    let said = fails(&mut setup.serve_command(free_address()), 1);
    for tag in &ours {
        assert!(said.contains(&tag.to_string()), "{said}");
    }
    assert!(said.contains("keys withdraw"), "{said}");
    assert!(
        !setup.keys().exists() || fs::read_dir(setup.keys()).unwrap().next().is_none(),
        "none is made"
    );
    fs::remove_dir(setup.keys()).ok();
    fs::rename(&saved, setup.keys()).unwrap();
    assert_eq!(tags(setup.serve().address), ours);
}

#[test]
fn keys_made_before_the_first_start_are_the_ones_that_sign() {
    let (setup, _file) = setup();
    run(&mut setup.keys_command(&["generate", "example.", "--algorithm", "ED25519", "--role", "csk"]));
    assert!(!setup.state().exists(), "a client command makes no state folder");
    let ds = run(&mut setup.keys_command(&["ds", "example."]));
    assert!(ds.contains(" 15 2 "), "{ds}");
    let server = setup.serve();
    assert_eq!(tags(server.address).len(), 1);
    assert_eq!(run(&mut setup.keys_command(&["ds", "example."])), ds);
}

#[test]
fn without_a_server_client_commands_say_where_they_looked() {
    let (setup, _file) = setup();
    for command in [
        vec!["status"],
        vec!["reload"],
        vec!["ds", "example."],
        vec!["accept", "clock"],
    ] {
        let said = fails(&mut setup.command(&command), 1);
        assert!(
            said.contains(setup.state().to_str().unwrap()) && said.contains("--state"),
            "{said}"
        );
        assert!(!setup.state().exists());
    }
    drop(setup.serve());
    let said = fails(&mut setup.command(&["status"]), 1);
    assert!(said.contains("no server runs on"), "{said}");
}

#[test]
fn zones_named_twice_are_wrong_usage() {
    let (setup, file) = setup();
    let setup = setup.zone("EXAMPLE", &*file);
    let said = fails(&mut setup.serve_command(free_address()), 2);
    assert!(said.contains("twice"), "{said}");
    assert!(!setup.state().exists());
}

#[test]
fn one_bad_zone_is_servfail_and_does_not_stop_the_others() {
    let (setup, file) = setup();
    let bad = write(file.parent().unwrap(), "bad.zone", "bad. 300 IN A 192.0.2.1\n");
    let setup = setup.zone("bad.", &bad);
    let server = setup.serve();
    assert_eq!(rcode(server.address, "example."), NOERROR);
    assert_eq!(rcode(server.address, "bad."), SERVFAIL);
    let text = run(&mut setup.command(&["status"]));
    assert!(text.contains("SERVFAIL") && text.contains("bad.zone:"), "{text}");
    fs::write(&bad, zone_text(5).replace("example.", "bad.")).unwrap();
    let said = run(&mut setup.command(&["reload"]));
    assert!(said.contains("bad. added"), "{said}");
    assert_eq!(rcode(server.address, "bad."), NOERROR);

    let alone = Countersign::new("none.", write(file.parent().unwrap(), "none.zone", "@ A\n"));
    let said = fails(&mut alone.serve_command(free_address()), 1);
    assert!(
        said.contains("no zone can be served") && said.contains("none.zone:1:"),
        "{said}"
    );
}

/// A folder with a configuration file for one zone.
fn with_config() -> (Countersign, ZoneFile, PathBuf, SocketAddr) {
    let (setup, file) = setup();
    let address = free_address();
    let config = write(
        setup.folder(),
        "countersign.toml",
        config_text(address, "", &zone_table("example.", &file)),
    );
    (setup, file, config, address)
}

fn zone_table(origin: &str, file: &Path) -> String {
    format!(
        "[[zone]]\norigin = \"{origin}\"\nfile = \"{}\"\nauto_keys = true\n",
        file.display()
    )
}

fn config_text(address: SocketAddr, settings: &str, zones: &str) -> String {
    format!("listen = [\"{address}\"]\nstate = \"state\"\nkeys = \"keys\"\n{settings}\n{zones}")
}

fn serve_config(config: &Path, address: SocketAddr) -> Server {
    let mut command = countersign();
    command.args(["serve", "-c"]).arg(config);
    Server::start("countersign", command, address, &Query::plain("example.", "SOA"))
}

#[test]
fn zones_come_and_go_with_the_configuration_and_a_broken_one_changes_nothing() {
    let (setup, file, config, address) = with_config();
    let server = serve_config(&config, address);
    let before = tags(address);
    let other = write(
        setup.folder(),
        "other.zone",
        zone_text(4).replace("example.", "other."),
    );
    let both = zone_table("example.", &file) + &zone_table("other.", &other);
    fs::write(&config, config_text(address, "nsid = \"x\"", &both)).unwrap();
    let said = run(&mut setup.command(&["reload"]));
    assert!(
        said.contains("other. added: serial 4") && said.contains("`nsid`"),
        "{said}"
    );
    assert_eq!(rcode(address, "other."), NOERROR);

    fs::write(&config, "listen = [\nnonsense").unwrap();
    let said = fails(&mut setup.command(&["reload"]), 1);
    assert!(said.contains("countersign.toml:"), "{said}");
    assert_eq!(
        (rcode(address, "example."), rcode(address, "other.")),
        (NOERROR, NOERROR)
    );

    fs::write(&config, config_text(address, "", &zone_table("other.", &other))).unwrap();
    server.signal("HUP");
    let gone = wait_for(PATIENCE, || (rcode(address, "example.") == REFUSED).then_some(()));
    assert!(gone.is_some());
    assert_eq!(rcode(address, "other."), NOERROR);
    fs::write(&config, config_text(address, "", &both)).unwrap();
    run(&mut setup.command(&["reload"]));
    assert_eq!(tags(address), before, "a zone that comes back meets its keys");
}

#[test]
fn check_tells_every_problem_and_changes_nothing() {
    let (setup, file, config, address) = with_config();
    let check = |code| {
        let mut command = countersign();
        command.args(["check", "-c"]).arg(&config);
        let output = output(&mut command);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{}{}",
            stdout(&output),
            stderr(&output)
        );
        stdout(&output)
    };
    assert_eq!(check(0), "");
    assert!(!setup.state().exists() && !setup.keys().exists());

    fs::write(&file, zone_text(1) + "www CNAME ns\nx A nowhere\n").unwrap();
    let external = write(
        setup.folder(),
        "their.keys",
        "\nexample. IN DNSKEY 257 3 5 AwEAAbbad\n",
    );
    let zones = zone_table("example.", &file)
        + &format!(
            "external_keys = [\"their.keys\"]\n{}",
            zone_table("missing.", Path::new("missing.zone"))
        );
    fs::write(&config, config_text(address, "", &zones)).unwrap();
    let said = check(1);
    let folder = setup.folder().display();
    assert!(said.contains(&format!("{}:8:", file.display())), "{said}");
    assert!(said.contains(&format!("{}:2:1: ", external.display())), "{said}");
    assert!(
        said.contains(&format!("{folder}/countersign.toml:12:8: ")),
        "{said}"
    );
    assert!(!setup.state().exists() && !setup.keys().exists());

    let twice = zone_table("example.", &file) + &zone_table("Example", &file);
    fs::write(&config, config_text(address, "lisetn = 1", &twice)).unwrap();
    let said = check(1);
    assert!(said.contains("toml:4:1: unknown setting `lisetn`"), "{said}");
    assert!(
        said.contains("toml:10:10: the zone Example. is there already, at line 6"),
        "{said}"
    );
}

#[test]
fn a_clock_behind_what_the_store_has_seen_is_not_trusted_until_a_person_accepts_it() {
    let (setup, file) = setup();
    let external = write(
        file.parent().unwrap(),
        "their.keys",
        format!("example. IN DNSKEY {THEIR_ZSK}\n"),
    );
    let setup = setup.external_keys(&external);
    drop(setup.serve());
    let ahead = SystemClock::default().now().plus(Duration::from_secs(86_400));
    Store::open(&setup.state(), Absent::Refuse)
        .unwrap()
        .keep_good_time(ahead)
        .unwrap();
    let server = setup.serve();
    assert!(server.stderr().wait_for("accept clock", PATIENCE).is_some());
    let status_before = status(&setup);
    assert!(
        status_before["clock_fault"]
            .as_str()
            .unwrap()
            .contains("has seen"),
        "{status_before}"
    );
    assert!(status_before["now"].as_u64().unwrap() >= ahead.0);
    let zsk = tag(THEIR_ZSK).to_string();
    let said = fails(
        &mut setup.command(&["keys", "withdraw", "example.", &zsk, "--force", "x"]),
        1,
    );
    assert!(said.contains("clock"), "{said}");
    run(&mut setup.command(&["accept", "clock"]));
    let status_after = status(&setup);
    assert!(status_after["clock_fault"].is_null());
    assert!(status_after["now"].as_u64().unwrap() < ahead.0);
    assert_eq!(rcode(server.address, "example."), NOERROR);
    run(&mut setup.command(&["keys", "withdraw", "example.", &zsk, "--force", "x"]));
}

#[test]
fn root_becomes_the_user_that_is_set_and_reloads_as_that_user() {
    let root = run(Command::new("id").arg("-u")).trim() == "0";
    if !root {
        return;
    }
    let (setup, file, config, address) = with_config();
    for folder in [setup.folder(), file.parent().unwrap()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(
        &config,
        config_text(address, "user = \"nobody\"", &zone_table("example.", &file)),
    )
    .unwrap();
    let server = serve_config(&config, address);
    let uid = run(Command::new("id").args(["-u", "nobody"]));
    let process = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    assert!(process.contains(&format!("Uid:\t{}", uid.trim())), "{process}");
    fs::write(&file, zone_text(9)).unwrap();
    run(&mut setup.command(&["reload"]));
    assert_eq!(serial(address), 9);
}

#[test]
fn wrong_usage_is_told_with_code_2() {
    for arguments in [
        &["frobnicate"][..],
        &["serve", "--zone", "example."],
        &["keys", "withdraw", "example.", "1"],
    ] {
        fails(countersign().args(arguments), 2);
    }
    let folder = tempfile::tempdir().unwrap();
    let said = fails(countersign().arg("serve").current_dir(folder.path()), 1);
    assert!(said.contains("no countersign.toml"), "{said}");
    let help = run(countersign().args(["serve", "--help"]));
    assert!(
        help.contains("Examples:") && help.contains("--external-keys"),
        "{help}"
    );
}
