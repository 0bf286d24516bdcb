//! A disk without room, under the real server: what cannot be written is said, what was served goes on, and once there
//! is room it works again. `store/full_disk` and `control/tests` try the same on a simulated disk, without rights.

use std::{collections::BTreeSet, process::Command};

use countersign::{
    dnssec::{
        algorithm::SigningAlgorithm,
        key::{SigningKey, ZONE},
    },
    wire::RrType,
};

use super::harness::{
    client::ask,
    message::{NOERROR, Query},
    process::{Server, countersign, countersign_at, free_address, output, repository, run, write},
    small_disk::SmallDisk,
};

/// How often the keys are changed at most until the store finds no room.
const MOST_CHANGES: usize = 500;

#[test]
fn what_finds_no_room_is_said_and_what_was_served_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let Some(disk) = SmallDisk::mount(&path.join("small")) else {
        return;
    };
    let address = free_address();
    let zone = repository("zones/example.zone");
    let config = format!(
        "listen = [\"{address}\"]\nstate = \"small/state\"\nkeys = \"small/keys\"\n\n\
         [[zone]]\norigin = \"example.\"\nfile = \"{}\"\nauto_keys = true\nexternal_keys = [\"their.keys\"]\n",
        zone.display()
    );
    write(path, "their.keys", "");
    let file = write(path, "countersign.toml", &config);
    let command = |arguments: &[&str]| {
        let mut command = countersign_at(&path.join("small/state"), arguments);
        command.current_dir(path);
        command
    };
    let mut serve = countersign();
    serve.args(["serve", "-c"]).arg(file).current_dir(path);
    let start = || {
        Server::start(
            "countersign",
            clone(&serve),
            address,
            &Query::plain("example.", "SOA"),
        )
    };
    let server = start();
    let keys = || -> BTreeSet<Vec<u8>> {
        let answer = ask(address, &Query::plain("example.", "DNSKEY"));
        assert_eq!(answer.rcode, NOERROR, "{answer}");
        let keys = answer
            .answer
            .into_iter()
            .filter(|record| record.rtype == RrType::DNSKEY);
        keys.map(|record| record.rdata).collect()
    };
    let ours = keys();
    assert_eq!(ours.len(), 2);

    disk.fill();
    // A further zone finds no room for its keys; the one that is there goes on.
    let other = "other. 300 IN SOA ns.other. h.other. 1 3600 600 86400 300\n\
                 other. 300 IN NS ns.other.\nns.other. 300 IN A 192.0.2.1\n";
    write(path, "other.zone", other);
    let more = "\n[[zone]]\norigin = \"other.\"\nfile = \"other.zone\"\nauto_keys = true\n";
    write(path, "countersign.toml", config + more);
    let said = output(&mut command(&["reload"]));
    let stdout = String::from_utf8_lossy(&said.stdout);
    assert_eq!(said.status.code(), Some(1), "{stdout}");
    assert!(
        stdout.contains("other.") && stdout.contains("No space left on device"),
        "{stdout}"
    );
    assert_eq!(keys(), ours);
    // Keys come and go, until the store has no room for the news.
    let theirs = SigningKey::generate(SigningAlgorithm::EcdsaP256Sha256, ZONE).unwrap();
    let theirs = format!("example. 60 IN DNSKEY {}\n", theirs.dnskey());
    let mut served = ours.clone();
    let full = (0..MOST_CHANGES).find_map(|change| {
        write(path, "their.keys", if change % 2 == 0 { &theirs } else { "" });
        let said = output(&mut command(&["reload"]));
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let full = said.contains("key register cannot be read or written");
        let before = std::mem::replace(&mut served, keys());
        assert!(served.is_superset(&before), "{said}");
        full.then_some(said)
    });
    let full = full.expect("a store that finds no room");
    assert!(full.contains("No space left on device"), "{full}");
    let made = output(&mut command(&[
        "keys",
        "generate",
        "example.",
        "--keys",
        "small/keys",
    ]));
    assert_eq!(made.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&made.stderr).contains("No space left on device"));
    run(&mut command(&["status"]));
    assert_eq!(keys(), served);
    // It starts on the full disk, too.
    drop(server);
    let server = start();
    assert_eq!(keys(), served);

    disk.make_room();
    write(path, "their.keys", &theirs);
    run(&mut command(&["reload"]));
    assert_eq!(keys().len(), 3);
    assert_eq!(ask(address, &Query::plain("other.", "DNSKEY")).answer.len(), 2);
    run(&mut command(&[
        "keys",
        "generate",
        "example.",
        "--keys",
        "small/keys",
    ]));
    assert_eq!(keys().len(), 5);
    drop(server);
}

fn clone(command: &Command) -> Command {
    let mut clone = Command::new(command.get_program());
    clone.args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        clone.current_dir(folder);
    }
    clone
}
