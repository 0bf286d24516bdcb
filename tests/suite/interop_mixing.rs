//! Two signers of one zone before a real resolver (RFC 8901, model 2): the key set of one in its cache, the answers of
//! the other, each direction forced; with each of them gone; and, to see that this shows anything at all, with the
//! exchange of keys left out. The other signer is the simulated NS1, and a real Knot.

use std::net::SocketAddr;

use countersign::{
    dnssec::{algorithm::DigestType, validate::Ds},
    lab::{
        parent::{Delegation, Parent},
        scenario::{Lab, Outcome, Settings, Told},
    },
    wire::{Name as WireName, RrType},
};
use tokio::runtime::Runtime;

use crate::harness::{
    client::{ask, ask_all},
    message::{AD, Name, Query, RD, SERVFAIL},
    peers::{self, Peer},
    process::{Server, countersign, countersign_at, free_address, output, repository, run, wait_for, write},
    proxy::{self, Proxy},
    questions,
};

const ORIGIN: &str = "example.";
/// Questions for the key set and its DS, which come from elsewhere than the answers.
const FROM_ELSEWHERE: usize = 8;
/// How long a server may take to show what it was given.
const SHOWING: std::time::Duration = std::time::Duration::from_secs(20);

/// Every question about the zone that a resolver can have an answer to: below its two cuts there is nobody, and a CNAME
/// made from a DNAME is signed by nobody (RFC 6672 §5.3.1).
fn all_questions() -> Vec<Query> {
    let mut queries = questions::questions(&repository("zones/example.zone"), 1);
    let cuts = ["team.example.", "signed.example."].map(Name::parse);
    let dname = Name::parse("old.example.");
    queries.retain(|query| !cuts.iter().any(|cut| query.name.is_at_or_below(cut)));
    queries.retain(|query| {
        !(query.name.is_at_or_below(&dname)
            && query.name.lower() != dname.lower()
            && query.rtype == RrType::CNAME)
    });
    queries.extend(["DNSKEY", "DS", "SOA", "NS", "CDS"].map(|rtype| Query::plain(ORIGIN, rtype)));
    queries
}

/// What a resolver with nothing in its cache makes of the questions: those that it finds bogus, and those that it does
/// not take for secure.
fn complaints(parent: &Parent, servers: &[SocketAddr], queries: &[Query]) -> Vec<String> {
    let anchor = format!(". 60 IN DNSKEY {}", parent.anchor());
    let mut stubs = vec![(".", parent.addresses()[0])];
    stubs.extend(servers.iter().map(|server| (ORIGIN, *server)));
    let unbound = peers::unbound(&anchor, &stubs, "aggressive-nsec: no");
    let asked: Vec<Query> = queries
        .iter()
        .map(|query| query.clone().with_do().with_flags(RD))
        .collect();
    let mut found = judge(&unbound, &asked);
    // On a busy machine a resolver gives up on a server that is slow; what is bogus stays bogus.
    wait_for(SHOWING, || {
        let again: Vec<Query> = found.iter().map(|(query, _)| query.clone()).collect();
        let all_bogus = found.len() > asked.len() / 2;
        if !all_bogus {
            found = judge(&unbound, &again);
        }
        (found.is_empty() || all_bogus).then_some(())
    });
    found
        .into_iter()
        .map(|(query, what)| format!("{query}: {what}"))
        .collect()
}

fn judge(unbound: &Peer, queries: &[Query]) -> Vec<(Query, &'static str)> {
    let answers = ask_all(unbound.address(), queries);
    let judged = queries
        .iter()
        .zip(answers)
        .filter_map(|(query, answer)| match answer.rcode {
            SERVFAIL => Some((query.clone(), "SERVFAIL")),
            _ if !answer.has(AD) => Some((query.clone(), "not validated")),
            _ => None,
        });
    judged.collect()
}

#[track_caller]
fn mixes(parent: &Parent, signers: [SocketAddr; 2], queries: &[Query], expected: fn(bool) -> bool) {
    for keys in signers {
        for answers in signers {
            let proxy = proxy::mixed(keys, answers);
            let found = complaints(parent, &[proxy.address], queries);
            let well = expected(keys == answers);
            assert_eq!(
                found.is_empty(),
                well,
                "keys of {keys}, answers of {answers}: {} of {}\n{}",
                found.len(),
                queries.len(),
                found.join("\n")
            );
            // Without the other's keys everything that they sign is bogus, not some of it; key set and DS are not theirs.
            assert!(
                well || found.len() + FROM_ELSEWHERE >= queries.len(),
                "{} of {}",
                found.len(),
                queries.len()
            );
        }
    }
}

struct Whole {
    // In this order: the lab's folder goes last.
    runtime: Runtime,
    lab: Lab,
    outcome: Outcome,
    _folder: tempfile::TempDir,
}

fn lab(exchange: bool) -> Whole {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(repository("zones/example.zone")).unwrap();
    let zone: WireName = ORIGIN.parse().unwrap();
    let mut settings = Settings::new(folder.path().to_owned(), zone, text, true);
    settings.exchange = exchange;
    let runtime = Runtime::new().unwrap();
    let mut told: Vec<Told> = Vec::new();
    let (lab, outcome) = runtime.block_on(async {
        let mut lab = Lab::start(settings, &mut |what| told.push(what)).await.unwrap();
        let outcome = lab.run(&mut |what| told.push(what)).await.unwrap();
        (lab, outcome)
    });
    assert_eq!(outcome.sound, exchange, "{told:#?}");
    Whole {
        runtime,
        lab,
        outcome,
        _folder: folder,
    }
}

impl Whole {
    fn signers(&self) -> [SocketAddr; 2] {
        [self.lab.ours(), self.lab.ns1().dns()[0]]
    }

    fn stop(self) {
        self.runtime.block_on(self.lab.stop());
    }
}

#[test]
fn whichever_keys_a_resolver_holds_answers_of_ns1_and_ours_validate() {
    let whole = lab(true);
    assert!(whole.outcome.peer.in_step);
    mixes(whole.lab.parent(), whole.signers(), &all_questions(), |_| true);
    whole.stop();
}

#[test]
fn with_either_provider_gone_everything_validates() {
    let whole = lab(true);
    either_is_enough(whole.lab.parent(), whole.signers(), &all_questions());
    whole.stop();
}

/// With each in turn a black hole, everything validates.
fn either_is_enough(parent: &Parent, signers: [SocketAddr; 2], queries: &[Query]) {
    let queries: Vec<Query> = queries.iter().step_by(7).cloned().collect();
    for left in signers {
        let gone: Proxy = proxy::black_hole();
        let found = complaints(parent, &[left, gone.address], &queries);
        assert!(found.is_empty(), "only {left} is left:\n{}", found.join("\n"));
    }
}

/// The negative control: with a DS for both and nothing exchanged, each is well by itself, and mixed all is bogus.
#[test]
fn without_the_exchange_mixed_answers_are_bogus() {
    let whole = lab(false);
    mixes(whole.lab.parent(), whole.signers(), &all_questions(), |same| same);
    whole.stop();
}

/// The server under test with a provider of which only queries tell.
struct Beside {
    server: Server,
    folder: tempfile::TempDir,
}

impl Beside {
    fn new(knot: SocketAddr, parent: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let config = format!(
            "listen = [\"{address}\"]\nstate = \"state\"\n[[provider]]\nname = \"knot\"\nkind = \"dns\"\nservers = [\"{knot}\"]\npoll = \"1s\"\n\
             [[zone]]\norigin = \"{ORIGIN}\"\nfile = \"{}\"\nauto_keys = true\nproviders = [\"knot\"]\n\
             exchange_keys = false\nparent = [\"{parent}\"]\n",
            repository("zones/example.zone").display()
        );
        let config = write(folder.path(), "countersign.toml", config);
        let mut command = countersign();
        command.arg("serve").arg("-c").arg(config);
        let server = Server::start("countersign", command, address, &Query::plain(ORIGIN, "SOA"));
        Self { server, folder }
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        countersign_at(&self.folder.path().join("state"), arguments)
    }

    fn ds(&self) -> Vec<Ds> {
        let printed = run(&mut self.command(&["ds", ORIGIN]));
        let rdata = printed
            .lines()
            .filter_map(|line| Some(line.split_once(" DS ")?.1));
        rdata.map(|rdata| rdata.parse().unwrap()).collect()
    }
}

fn delegate(parent: &Parent, ds: Vec<Ds>) {
    let child = ORIGIN.parse().unwrap();
    let servers = vec![(
        "ns1.example.".parse().unwrap(),
        vec!["192.0.2.1".parse().unwrap()],
    )];
    let delegation = Delegation {
        child,
        servers,
        ds,
        ttl: 60,
    };
    parent.delegate(&[delegation]).unwrap();
}

/// Knot makes its own keys, and publishes beside them what stands in its zone file.
fn signing_knot(folder: &std::path::Path) -> (Peer, std::path::PathBuf) {
    let zone = std::fs::read_to_string(repository("zones/example.zone")).unwrap();
    let file = write(folder, "knot.zone", zone);
    let settings = "policy:\n  - id: beside\n    dnskey-management: incremental\n    delete-delay: 1d\n    \
                    cds-cdnskey-publish: none\ntemplate:\n    dnssec-signing: on\n    dnssec-policy: beside\n";
    let knot = peers::knot(&[(ORIGIN, file.clone())], settings);
    (knot, file)
}

fn ds_of_knot(knot: &Peer) -> Vec<Ds> {
    let keys = ask(knot.address(), &Query::plain(ORIGIN, "DNSKEY")).answer;
    let apex: WireName = ORIGIN.parse().unwrap();
    let keys = keys
        .iter()
        .map(|record| countersign::dnssec::key::Dnskey::from_rdata(&record.rdata).unwrap());
    let ksks = keys.filter(countersign::dnssec::key::Dnskey::is_sep);
    ksks.map(|key| Ds::of(&key, apex.as_ref(), DigestType::Sha256))
        .collect()
}

#[test]
fn whichever_keys_a_resolver_holds_answers_of_knot_and_ours_validate() {
    let runtime = Runtime::new().unwrap();
    let parent = runtime
        .block_on(Parent::start(WireName::root(), &["127.0.0.1:0".parse().unwrap()]))
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (knot, zone) = signing_knot(folder.path());
    delegate(&parent, ds_of_knot(&knot));
    let ours = Beside::new(knot.address(), parent.addresses()[0]);
    let signers = [ours.server.address, knot.address()];
    // Knot's own proofs beside labels that end in a zero octet do not satisfy unbound, whoever else there is.
    let mut queries = all_questions();
    queries.retain(|query| query.name.labels().iter().all(|label| label.last() != Some(&0)));

    // Nothing is exchanged: the negative control.
    let both = [ds_of_knot(&knot), ours.ds()].concat();
    delegate(&parent, both);
    mixes(&parent, signers, &queries, |same| same);

    // Its keys are believed by the DS; ours are printed for a person, who puts them there.
    let pulled = output(&mut ours.command(&["peer", "sync", ORIGIN, "--wait", "0s"]));
    let told = String::from_utf8(pulled.stdout).unwrap();
    assert_eq!(pulled.status.code(), Some(1), "{told}");
    assert!(told.contains("believed by the parent's DS"), "{told}");
    let records: Vec<&str> = told
        .lines()
        .map(str::trim)
        .filter(|line| line.contains(" IN DNSKEY "))
        .collect();
    assert_eq!(records.len(), 2, "{told}");
    let text = std::fs::read_to_string(&zone).unwrap();
    let text = text.replace("2026112401", "2026112402") + &records.join("\n") + "\n";
    std::fs::write(&zone, text).unwrap();
    knot.knotc(&["zone-reload", ORIGIN]);
    let synced = wait_for(SHOWING, || {
        let synced = output(&mut ours.command(&["peer", "sync", ORIGIN, "--wait", "0s"]));
        synced.status.success().then_some(())
    });
    assert!(
        synced.is_some(),
        "{}",
        run(&mut ours.command(&["peer", "status"]))
    );
    mixes(&parent, signers, &queries, |_| true);
    either_is_enough(&parent, signers, &queries);
}
