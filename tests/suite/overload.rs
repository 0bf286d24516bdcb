//! In a flood, answers still validate: the validator of the `domain` crate judges every answer of a server that is beyond
//! its budget of signatures; and the real server turns to ranges, says so, and turns back.

use std::time::Duration;

use crate::harness::{
    client::ask_all,
    flooded::Flooded,
    judge::complaints,
    message::{NXDOMAIN, Query},
    process::{Countersign, countersign, free_address, repository, wait_for, write},
    questions,
    spoil::{Spoiler, spoil},
};

const ORIGIN: &str = "awkward.example.";
const PATIENCE: Duration = Duration::from_secs(20);

/// Every question of the list about the awkward zone, wanting signatures.
fn asked(seed: u64) -> Vec<Query> {
    let mut queries = questions::questions(&repository("zones/awkward.zone"), seed);
    queries.extend(questions::for_what_is_added(&queries, seed));
    queries.into_iter().map(Query::with_do).collect()
}

#[test]
fn answers_in_a_flood_validate() {
    let server = Flooded::new(ORIGIN, &std::fs::read(repository("zones/awkward.zone")).unwrap());
    let queries = asked(21);
    server.flood();
    let before = server.totals();
    let (found, unjudged) = complaints(&server.ds(), server.address, "nsec", &queries);
    assert!(
        found.is_empty(),
        "{} of {}\n{}",
        found.len(),
        queries.len(),
        found.join("\n")
    );
    let judged = queries.len() - unjudged.values().sum::<usize>();
    assert!(
        judged > 6_500,
        "{judged} of {}; beyond: {unjudged:?}",
        queries.len()
    );
    let after = server.totals();
    assert_eq!(after.over_budget, before.over_budget, "nothing was cut short");
    let ranges = after.ranges - before.ranges;
    assert!(ranges > 2_000, "{ranges} answers are ranges");
}

/// The planted faults, for this judge and these answers.
#[test]
fn spoiled_ranges_are_caught() {
    let queries = ["no-such.mail A", "zzz A", "x.wild A", "x.wild SRV"].map(|question| {
        let (name, rtype) = question.split_once(' ').unwrap();
        Query::signed(&format!("{name}.{ORIGIN}"), rtype)
    });
    let server = Flooded::new(ORIGIN, &std::fs::read(repository("zones/awkward.zone")).unwrap());
    server.flood();
    let caught = |spoiler| {
        let proxy = spoil(server.address, spoiler);
        complaints(&server.ds(), proxy.address, "nsec", &queries).0.len()
    };
    assert_eq!(caught(Spoiler::nothing()), 0);
    assert_eq!(caught(Spoiler::flipped_bit()), 4);
    // Compact denial needs no NSEC for what a wildcard stands in for; ranges do.
    assert_eq!(caught(Spoiler::dropped_nsec()), 4);
}

/// The real server: one signature a second is its budget, so that a few names are a flood.
#[test]
fn the_server_says_when_a_flood_begins_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let zone = write(
        folder.path(),
        "example.zone",
        std::fs::read_to_string(repository("zones/example.zone")).unwrap(),
    );
    let config = write(
        folder.path(),
        "countersign.toml",
        format!(
            "listen = [\"{address}\"]\nstate = \"state\"\nkeys = \"keys\"\n\
             [udp]\nthreads = 1\nsignatures_per_second = 40\n\
             [[zone]]\norigin = \"example.\"\nfile = \"{}\"\nauto_keys = true\n",
            zone.display()
        ),
    );
    let mut command = countersign();
    command.args(["serve", "-c"]).arg(&config);
    let server = crate::harness::process::Server::start(
        "countersign",
        command,
        address,
        &Query::plain("example.", "SOA"),
    );
    let status = || -> serde_json::Value {
        let mut command = countersign();
        command
            .args(["status", "--json", "--state"])
            .arg(folder.path().join("state"));
        serde_json::from_str(&crate::harness::process::run(&mut command)).unwrap()
    };
    let calm = status();
    assert_eq!(calm["zones"][0]["overload"], "ranges");
    assert_eq!(calm["zones"][0]["flooded_since"], serde_json::Value::Null);
    let mut round = 0;
    let mut flood = || {
        round += 1;
        let names = (0..500).map(|number| Query::signed(&format!("r{round}-{number}.example."), "A"));
        ask_all(address, &names.collect::<Vec<_>>())
    };
    let ranges = wait_for(PATIENCE, || {
        let answers = flood();
        answers
            .iter()
            .any(|answer| answer.rcode == NXDOMAIN)
            .then_some(())
    });
    assert!(ranges.is_some(), "no answer became a range:\n{}", server.log());
    let told = server.stderr().wait_for("a flood of questions", PATIENCE);
    assert!(told.is_some(), "{}", server.log());
    let flooded = wait_for(PATIENCE, || {
        let status = status();
        (status["counters"]["ranges"].as_u64() > Some(0)).then_some(status)
    })
    .unwrap();
    assert!(flooded["zones"][0]["flooded_since"].is_number(), "{flooded}");
    let warnings = flooded["warnings"].to_string();
    assert!(warnings.contains("a flood of questions since"), "{warnings}");
    assert!(
        server.stderr().wait_for("the flood is over", PATIENCE).is_some(),
        "{}",
        server.log()
    );
    let over = status();
    assert_eq!(over["zones"][0]["flooded_since"], serde_json::Value::Null);
    let begun = server
        .stderr()
        .lines()
        .iter()
        .filter(|line| line.contains("a flood of questions"))
        .count();
    assert_eq!(begun, 1, "it is told once\n{}", server.log());
}

/// Beside another provider nobody is told a range, unless a person says so.
#[test]
fn the_policy_is_what_the_file_says() {
    let ours = Countersign::new(ORIGIN, repository("zones/awkward.zone"));
    let server = ours.serve();
    let mut command = countersign();
    command.args(["status", "--json", "--state"]).arg(ours.state());
    let status: serde_json::Value =
        serde_json::from_str(&crate::harness::process::run(&mut command)).unwrap();
    assert_eq!(status["zones"][0]["overload"], "ranges", "{}", server.log());

    let folder = tempfile::tempdir().unwrap();
    let keys = write(folder.path(), "provider.keys", "");
    let ours = Countersign::new(ORIGIN, repository("zones/awkward.zone")).external_keys(keys);
    let server = ours.serve();
    let mut command = countersign();
    command.args(["status", "--json", "--state"]).arg(ours.state());
    let status: serde_json::Value =
        serde_json::from_str(&crate::harness::process::run(&mut command)).unwrap();
    assert_eq!(status["zones"][0]["overload"], "truncate", "{}", server.log());
}
