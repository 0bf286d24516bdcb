//! What was served stays known: a TTL that was lowered counts for as long as caches may hold what they got with it.

use std::{path::Path, time::Duration};

use serde_json::Value;

use countersign::{dnssec::key::Dnskey, wire::RrType};

use crate::harness::{
    client::ask,
    message::Query,
    ns1::SimulatedNs1,
    process::{Server, countersign, free_address, repository, run, wait_for, write},
};

const PATIENCE: Duration = Duration::from_secs(20);

fn zone(ttl: u32) -> String {
    format!("$TTL {ttl}\n@ SOA ns hostmaster {ttl} 3600 600 86400 60\n@ NS ns\nns A 192.0.2.1\n")
}

fn config(address: std::net::SocketAddr, dnskey_ttl: &str) -> String {
    format!(
        "listen = [\"{address}\"]\nstate = \"state\"\nkeys = \"keys\"\n\
         [[zone]]\norigin = \"example.\"\nfile = \"zone\"\nauto_keys = true\ndnskey_ttl = \"{dnskey_ttl}\"\n"
    )
}

/// The TTLs of a class that count, and whether each is served no more.
fn counting(state: &Path, class: &str) -> Vec<(u64, bool)> {
    let mut command = countersign();
    command
        .args(["status", "example.", "--json", "--state"])
        .arg(state);
    let status: Value = serde_json::from_str(&run(&mut command)).unwrap();
    let observed = &status["zones"][0]["observed"];
    let ttls = observed["ttls"]
        .as_array()
        .unwrap_or_else(|| panic!("{status:#}"));
    let of_class = ttls
        .iter()
        .filter(|ttl| ttl["class"] == class && ttl["of"] == "this server");
    let counted = of_class.map(|ttl| {
        let until = ttl["counts_until"].as_u64();
        let (seconds, now) = (
            ttl["ttl_seconds"].as_u64().unwrap(),
            status["now"].as_u64().unwrap(),
        );
        // The margin is an hour.
        assert!(until.is_none_or(|until| until > now + seconds && until <= now + seconds + 3_900));
        (seconds, until.is_some())
    });
    counted.collect()
}

#[test]
fn ttls_that_a_reload_lowered_count_over_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let (address, state) = (free_address(), folder.path().join("state"));
    write(folder.path(), "zone", zone(86_400));
    let file = write(folder.path(), "countersign.toml", config(address, "2h"));
    let start = || {
        let mut command = countersign();
        command.arg("serve").arg("-c").arg(&file);
        Server::start("countersign", command, address, &Query::plain("example.", "SOA"))
    };
    let mut server = start();
    assert_eq!(counting(&state, "DNSKEY"), [(7_200, false)]);
    assert_eq!(counting(&state, "data"), [(86_400, false)]);

    write(folder.path(), "zone", zone(300));
    write(folder.path(), "countersign.toml", config(address, "30s"));
    let reload = || {
        let mut command = countersign();
        run(command.args(["reload", "--state"]).arg(&state));
    };
    reload();
    server.signal("KILL");
    server.wait(PATIENCE).unwrap();
    let _server = start();
    assert_eq!(counting(&state, "DNSKEY"), [(7_200, true), (30, false)]);
    assert_eq!(counting(&state, "data"), [(86_400, true), (300, false)]);
    let mut command = countersign();
    let shown = run(command.args(["status", "example.", "--state"]).arg(&state));
    assert!(
        shown.contains("COUNTS UNTIL") && shown.contains("7200 s"),
        "{shown}"
    );

    // Raised again: the larger one is what counts, and nothing is left to be told.
    write(folder.path(), "countersign.toml", config(address, "3h"));
    reload();
    assert_eq!(counting(&state, "DNSKEY"), [(10_800, false)]);
}

/// Another provider's answers are kept with their TTLs, and so is what a vantage point sees; one that sees nothing is said
/// by its name.
#[test]
fn what_another_provider_shows_is_kept_and_a_vantage_that_fails_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let ns1 = SimulatedNs1::start(folder.path(), "example.", true);
    let answer = ask(ns1.dns[0], &Query::plain("example.", "DNSKEY")).answer;
    let keys = answer.iter().filter(|record| record.rtype == RrType::DNSKEY);
    let mut keys = keys.filter_map(|record| Dnskey::from_rdata(&record.rdata).ok());
    let ksk = keys.find(Dnskey::is_sep).unwrap();
    let (address, state) = (free_address(), folder.path().join("state"));
    let config = |vantage: &str| {
        format!(
            "listen = [\"{address}\"]\nstate = \"state\"\nresolvers = [\"{}\"]\n[monitor]\nevery = \"1s\"\n{vantage}\
             {}pinned = [\"{ksk}\"]\npoll = \"1s\"\n\
             [[zone]]\norigin = \"example.\"\nfile = \"{}\"\nauto_keys = true\nproviders = [\"ns1\"]\n",
            free_address(),
            ns1.provider(),
            repository("zones/example.zone").display(),
        )
    };
    let nowhere = "[[vantage]]\nname = \"nowhere\"\n\
                   command = [\"/bin/sh\", \"-c\", \"echo no way out >&2; exit 1\", \"%h\", \"%p\"]\n";
    let file = write(folder.path(), "countersign.toml", config(nowhere));
    let mut command = countersign();
    command.arg("serve").arg("-c").arg(&file);
    let server = Server::start("countersign", command, address, &Query::plain("example.", "SOA"));
    let status = || -> Value {
        let mut command = countersign();
        command
            .args(["status", "example.", "--json", "--state"])
            .arg(&state);
        serde_json::from_str(&run(&mut command)).unwrap()
    };
    let warning = |status: &Value, words: &str| {
        let warnings = status["warnings"].as_array().unwrap();
        warnings
            .iter()
            .any(|warning| warning["what"].as_str().unwrap().contains(words))
    };
    let seen = wait_for(PATIENCE, || {
        let status = status();
        let ttls = status["zones"][0]["observed"]["ttls"].as_array()?.clone();
        let of_theirs: Vec<_> = ttls.iter().filter(|ttl| ttl["of"] == "ns1").collect();
        let classes = ["DNSKEY", "SOA", "NS", "denials"];
        let all = classes
            .iter()
            .all(|class| of_theirs.iter().any(|ttl| ttl["class"] == *class));
        (all && warning(&status, "nothing came from the [[vantage]] nowhere")).then_some(status)
    });
    let seen = seen.unwrap_or_else(|| panic!("{:#}\n{}", status(), server.log()));
    assert!(warning(&seen, "/bin/sh: no way out"), "{seen:#}");
    // Its command is taken out of the file, and nothing is left of it.
    write(folder.path(), "countersign.toml", config(""));
    let mut command = countersign();
    run(command.args(["reload", "--state"]).arg(&state));
    let gone = wait_for(PATIENCE, || (!warning(&status(), "nowhere")).then_some(()));
    assert!(gone.is_some(), "{:#}", status());
}
