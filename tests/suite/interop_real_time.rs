//! Plans in real time, as `countersign lab NAME --real-time` plays them: the server, a simulated NS1 and a parent over
//! sockets, with TTLs of seconds, and two real unbounds that take the keys of one signer for the answers of the other.
//! Each reaches its goal, and no resolver finds anything bogus; where a key goes at once, they do.

use serde_json::Value;

use crate::harness::process::{countersign, output, run};

/// Plays a scenario; its exit code, and its outcome.
fn play(scenario: &str) -> (Option<i32>, Value) {
    let mut command = countersign();
    command.args(["lab", scenario, "--real-time", "--json"]);
    let said = output(&mut command);
    let outcome = serde_json::from_slice(&said.stdout);
    let outcome = outcome.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&said.stderr)));
    (said.status.code(), outcome)
}

#[track_caller]
fn reaches_its_goal(scenario: &str) {
    let (code, outcome) = play(scenario);
    assert_eq!(code, Some(0), "{outcome:#}");
    assert_eq!(outcome["reached"], true, "{outcome:#}");
    let resolvers = outcome["resolvers"].as_array().unwrap();
    assert_eq!(resolvers.len(), 2);
    for resolver in resolvers {
        assert_eq!(resolver["bogus"], 0, "{outcome:#}");
        assert!(resolver["asked"].as_u64().unwrap() > 300, "{outcome:#}");
    }
}

#[test]
fn a_join() {
    reaches_its_goal("join");
}

#[test]
fn a_ksk_roll() {
    reaches_its_goal("roll-ksk");
}

#[test]
#[ignore = "half a minute; `make test-long` plays it"]
fn a_leave() {
    reaches_its_goal("leave");
}

#[test]
#[ignore = "half a minute; `make test-long` plays it"]
fn a_csk_roll() {
    reaches_its_goal("roll-csk");
}

#[test]
#[ignore = "half a minute; `make test-long` plays it, and `plans` has the same by the real server"]
fn a_zsk_roll() {
    reaches_its_goal("roll-zsk");
}

/// The negative control: what goes at once is found out by those who ask.
#[test]
fn a_key_that_goes_at_once_is_seen() {
    let (code, outcome) = play("emergency");
    assert_eq!(
        (code, &outcome["reached"]),
        (Some(1), &Value::Bool(true)),
        "{outcome:#}"
    );
    let resolvers = outcome["resolvers"].as_array().unwrap();
    let bogus = resolvers
        .iter()
        .map(|resolver| resolver["bogus"].as_u64().unwrap());
    assert!(bogus.sum::<u64>() > 0, "{outcome:#}");
}

#[test]
fn what_is_not_played_is_said() {
    let mut command = countersign();
    command.args(["lab", "algorithm", "--real-time"]);
    let said = output(&mut command);
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_eq!(said.status.code(), Some(2), "{text}");
    assert!(text.contains("algorithm is not played in real time"), "{text}");
    assert!(run(countersign().args(["lab", "join", "--help"])).contains("--real-time"));
}
