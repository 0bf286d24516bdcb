//! Every fault of the simulated NS1, and what must come of it: the keys are kept, what is amiss is told, and what can
//! recover does. A fault without a row here fails.

use countersign::{
    lab::{
        ns1::KNOBS,
        scenario::{Lab, Outcome, Settings, Told},
    },
    wire::Name,
};
use futures_util::{StreamExt as _, stream};

use crate::harness::process::repository;

/// How many labs run at the same time: most of what they do is to wait.
const AT_ONCE: usize = 15;

/// A fault, whether all is well at the end, and what must have been told on the way.
const TABLE: &[(&str, bool, &[&str])] = &[
    // Late, and then well.
    ("key-delay", true, &["does not show our keys"]),
    ("slow-api", true, &[]),
    ("slow-server", true, &[]),
    ("too-many-requests", true, &[]),
    ("rate-limit", true, &[]),
    ("server-errors", true, &[]),
    ("connection-resets", true, &[]),
    ("html-answers", true, &[]),
    // Given again, or taken at once.
    ("lost-keys", true, &["were gone from its external keys"]),
    ("early-keys", true, &[]),
    ("zsk-roll", true, &["a new ZSK"]),
    ("second-network", true, &[]),
    ("single-csk", true, &[]),
    // Never well, and said so: nobody may be sent to us like this.
    ("stuck-server", false, &["does not show our keys", "(since "]),
    ("unpublished-keys", false, &["does not show our keys", "(since "]),
    (
        "unreachable-server",
        false,
        &["not reachable from here, which says nothing of its keys"],
    ),
    (
        "dnssec-off",
        false,
        &["it does not sign the zone", "has no DNSKEY RRset"],
    ),
    (
        "dnssec-refused",
        false,
        &["DNSSEC support is not enabled for this account"],
    ),
    // The parent has no DS for the new KSK: bogus for those who ask NS1, and nothing that we could mend.
    (
        "ksk-roll",
        false,
        &["a new KSK", "and the parent has no DS for it"],
    ),
    // Another shape, the same meaning.
    ("dnskey-ttl", true, &["serves the DNSKEY RRset with TTL 300"]),
    ("number-shape", true, &[]),
    ("set-shape", true, &[]),
    ("list-shape", true, &[]),
    ("strict-shapes", true, &[]),
    ("dnssec-reply", true, &[]),
    ("page-size", true, &[]),
    // About content, not keys.
    ("stale-server", true, &[]),
    ("transfer-keys", true, &[]),
    ("broken-export", true, &[]),
];

async fn play(fault: &str) -> (Outcome, Vec<Told>) {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(repository("zones/example.zone")).unwrap();
    let zone: Name = "example.".parse().unwrap();
    let mut settings = Settings::new(folder.path().to_owned(), zone, text, true);
    settings.fault = Some(fault.to_owned());
    let mut told = Vec::new();
    let mut lab = Lab::start(settings, &mut |what| told.push(what)).await.unwrap();
    let outcome = lab.run(&mut |what| told.push(what)).await.unwrap();
    lab.stop().await;
    (outcome, told)
}

async fn check((fault, sound, tells): &(&str, bool, &[&str])) -> Option<String> {
    let (outcome, told) = play(fault).await;
    let mut amiss = Vec::new();
    if outcome.sound != *sound {
        amiss.push(format!("well at the end: {}, not {sound}", outcome.sound));
    }
    for tell in *tells {
        if !outcome.told.iter().any(|told| told.contains(tell)) {
            amiss.push(format!("does not tell \"{tell}\""));
        }
    }
    // Whatever goes wrong over there, no key of theirs that was served is lost here.
    let kept = outcome
        .peer
        .servers
        .iter()
        .all(|server| server.failed.is_some() || !server.theirs.is_empty());
    if !kept {
        amiss.push("a server shows no key of its own".to_owned());
    }
    (!amiss.is_empty()).then(|| format!("{fault}: {}\n{told:#?}", amiss.join("; ")))
}

#[test]
fn every_fault_comes_to_what_it_must() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let found: Vec<String> = runtime.block_on(async {
        let checks = stream::iter(TABLE).map(check).buffer_unordered(AT_ONCE);
        checks.filter_map(async |found| found).collect().await
    });
    assert!(found.is_empty(), "{}", found.join("\n\n"));
}

#[test]
fn every_fault_has_a_row() {
    let mut rows: Vec<&str> = TABLE.iter().map(|(fault, ..)| *fault).collect();
    let mut knobs: Vec<&str> = KNOBS.iter().map(|knob| knob.name).collect();
    rows.sort_unstable();
    knobs.sort_unstable();
    assert_eq!(rows, knobs);
}
