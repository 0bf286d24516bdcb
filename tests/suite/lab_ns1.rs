//! `countersign lab ns1` as a person starts it: the help that lists what can be set amiss, one line when it is ready,
//! and how it ends. What its API does is in `interop_ns1_clients`.

use std::{net::TcpListener, process::Command, time::Duration};

use countersign::lab::ns1::KNOBS;

use crate::harness::{
    client::ask,
    message::Query,
    process::{Server, countersign, free_address, output, repository},
};

const READY: Duration = Duration::from_secs(30);

fn lab(api: &str, more: &[&str]) -> Command {
    let mut command = countersign();
    command
        .args(["lab", "ns1", "--api", api, "--api-key", "not-to-be-shown"])
        .args(more);
    command
}

#[test]
fn the_help_lists_every_knob() {
    let output = output(countersign().args(["lab", "ns1", "--help"]));
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for knob in KNOBS {
        assert!(help.contains(&format!("\n  {}\n", knob.name)), "{}", knob.name);
    }
}

#[test]
fn wrong_usage_is_2_and_says_what_is_right() {
    for (arguments, said) in [
        (&["--dns", "127.0.0.1:0", "--knob", "no-such=1"][..], "key-delay"),
        (&["--dns", "127.0.0.1:0", "--knob", "key-delay"], "NAME=VALUE"),
        (
            &["--dns", "127.0.0.1:0", "--knob", "key-delay=2:1s"],
            "servers have the numbers 1 to 1",
        ),
        (&["--dns", "127.0.0.1:0", "--zone", "example."], "ORIGIN=FILE"),
        (&[], "--dns"),
    ] {
        let output = output(&mut lab("127.0.0.1:0", arguments));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
}

#[test]
fn what_it_cannot_have_is_1_and_named() {
    let taken = TcpListener::bind(free_address()).unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (api, zone, said) in [
        (taken.as_str(), None, taken.as_str()),
        (
            "127.0.0.1:0",
            Some("example.=/no/such/file"),
            "cannot read /no/such/file",
        ),
    ] {
        let mut command = lab(api, &["--dns", "127.0.0.1:0"]);
        command.args(zone.iter().flat_map(|zone| ["--zone", zone]));
        let output = output(&mut command);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    }
}

#[test]
fn it_says_when_it_is_ready_and_ends_when_told() {
    let (api, dns) = (free_address(), [free_address(), free_address()]);
    let zone = format!("example.={}", repository("zones/example.zone").display());
    let [first, second] = dns.map(|address| address.to_string());
    let api = api.to_string();
    let mut command = lab(
        &api,
        &["--dns", &first, "--dns", &second, "--zone", &zone, "--signed"],
    );
    let mut server = Server::spawn("countersign lab ns1", &mut command, dns[0]);
    let line = server.stderr().wait_for("ready: ", READY).unwrap();
    assert!(
        line.ends_with(&format!(
            "NS1's API on https://{api}/v1/, DNS on {first}, {second}"
        )),
        "{line}"
    );
    for server in dns {
        let keys = ask(server, &Query::signed("example.", "DNSKEY"));
        assert_eq!(keys.answer.len(), 3, "two keys and their signature\n{keys}");
    }
    server.signal("TERM");
    let status = server.wait(Duration::from_secs(5));
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
    assert!(!server.log().contains("not-to-be-shown"), "{}", server.log());
}
