//! The probe against the simulated NS1: it must find out how the knobs are set, and leave nothing behind.

use std::{sync::Arc, time::Duration};

use super::contract::{SECRET, World, zone};
use crate::{
    clock::SystemClock,
    lab::ns1::reply::Request,
    provider::{
        ProviderFault,
        ns1::probe::{Answer, Plan, Probe, QUESTIONS, Report},
    },
    wire::Name,
};

fn scratch() -> Name {
    "probe.example.".parse().unwrap()
}

fn probe(world: &World, plan: Plan) -> Probe {
    let clock = Arc::new(SystemClock::default());
    let plan = Plan {
        servers: world.simulated.dns().to_vec(),
        ..plan
    };
    Probe::new(world.settings(), plan, clock, Box::new(|_| {})).unwrap()
}

fn on_scratch() -> Plan {
    Plan {
        scratch: Some(scratch()),
        ..Plan::default()
    }
}

fn seen(report: &Report, number: &str) -> String {
    let (_, answer) = report
        .answers
        .iter()
        .find(|(question, _)| question.number == number)
        .unwrap();
    match answer {
        Answer::Seen(lines) => lines.join("\n"),
        Answer::NotTried(why) => panic!("{number} was not tried: {why}"),
    }
}

/// The zones that the simulated NS1 has.
fn zones(world: &World) -> String {
    let reply = world
        .simulated
        .request(Request::new(axum::http::Method::GET, "/v1/zones"));
    format!("{:?}", reply.body)
}

fn is_without_trace(world: &World, report: &Report) {
    let zones = zones(world);
    assert!(!zones.contains("probe.example"), "{zones}");
    let file = report.file.to_string();
    assert!(
        !file.contains(SECRET) && !format!("{report:?}").contains(SECRET),
        "{file}"
    );
}

#[tokio::test]
async fn every_question_is_answered_on_a_scratch_zone() {
    let world = World::start(true, &[]).await;
    let plan = Plan {
        zone: Some(zone()),
        ..on_scratch()
    };
    let probe = probe(&world, plan);
    probe.run().await.unwrap();
    probe.clean_up().await.unwrap();
    let report = probe.report();
    is_without_trace(&world, &report);
    assert_eq!(report.answers.len(), QUESTIONS.len());
    for (number, part) in [
        ("1.1", "wrapped, numbers: 200"),
        ("1.2", "200; {"),
        ("1.3", "\"public_key\": string"),
        ("1.4", "replaces: 200"),
        ("1.4", "TTL sent 1234, shown 1234"),
        ("1.5", "204; the set is gone"),
        ("1.6", "200"),
        ("2.1", "no: none of the 1"),
        ("2.2", "KSK "),
        ("2.3", "within "),
        ("3.1", "TTL 3600"),
        ("3.2", "at all 2"),
        ("4.1", "ED25519 (15): 200"),
        ("4.2", "with DNSSEC off, PUT (wrapped, numbers): 200"),
        ("5.1", "secondary zone"),
        ("6.1", "SOA: "),
        ("6.2", "CDS: the KSK"),
        ("6.2", "CSYNC: "),
        ("6.3", "NOERROR without CO, NXDOMAIN with it"),
        ("6.4", "not given to us"),
        ("7.1", "900 in 300 s"),
        ("7.2", "yes: "),
        ("7.3", "ns1.unit.test."),
        ("7.4", "0 ("),
    ] {
        let seen = seen(&report, number);
        assert!(seen.contains(part), "{number}: {seen}");
    }
    assert!(
        report
            .configuration
            .contains("body = \"wrapped\"\nnumbers = \"numbers\""),
        "{}",
        report.configuration
    );
}

#[tokio::test]
async fn a_zone_that_is_named_is_not_changed() {
    let world = World::start(true, &[]).await;
    let probe = probe(
        &world,
        Plan {
            zone: Some(zone()),
            ..Plan::default()
        },
    );
    let before = zones(&world);
    probe.run().await.unwrap();
    let report = probe.report();
    assert_eq!(zones(&world), before);
    let not_tried = |number: &str| {
        let found = report
            .answers
            .iter()
            .find(|(question, _)| question.number == number)
            .unwrap();
        matches!(&found.1, Answer::NotTried(why) if why.contains("--scratch"))
    };
    assert!(not_tried("1.1") && not_tried("4.1") && not_tried("6.2"));
    assert!(seen(&report, "6.1").contains("SOA"));
    // What is sent to read an export is no change; everything else is a GET.
    for exchange in report.file["exchanges"].as_array().unwrap() {
        let asked = exchange["asked"].as_str().unwrap();
        assert!(
            asked.starts_with("GET ") || asked.starts_with("PUT /v1/export/"),
            "{asked}"
        );
    }
}

#[tokio::test]
async fn the_form_that_is_taken_is_found() {
    for (body, numbers, lines) in [
        ("bare", "string", "body = \"bare\"\nnumbers = \"strings\""),
        ("wrapped", "string", "body = \"wrapped\"\nnumbers = \"strings\""),
        ("bare", "number", "body = \"bare\"\nnumbers = \"numbers\""),
    ] {
        let knobs = [
            ("set-shape", body),
            ("number-shape", numbers),
            ("strict-shapes", "on"),
            ("list-shape", "array"),
            ("dnssec-reply", "all"),
            ("single-csk", "on"),
        ];
        let world = World::start(true, &knobs).await;
        let probe = probe(&world, on_scratch());
        probe.run().await.unwrap();
        probe.clean_up().await.unwrap();
        let report = probe.report();
        is_without_trace(&world, &report);
        assert!(report.configuration.contains(lines), "{}", report.configuration);
        assert!(
            seen(&report, "2.1").contains("yes: 1"),
            "{}",
            seen(&report, "2.1")
        );
        assert!(seen(&report, "2.2").contains("CSK "));
        assert!(seen(&report, "6.2").contains("the KSK"));
    }
}

#[tokio::test]
async fn a_scratch_zone_that_is_there_is_refused_and_left_alone() {
    let world = World::start(true, &[]).await;
    let probe = probe(
        &world,
        Plan {
            scratch: Some(zone()),
            ..Plan::default()
        },
    );
    let error = probe.run().await.unwrap_err();
    assert_eq!(error.kind, ProviderFault::Refused);
    assert!(error.what.contains("is there already"), "{error}");
    probe.clean_up().await.unwrap();
    assert!(zones(&world).contains("unit.test"));
}

#[tokio::test]
async fn whenever_it_is_interrupted_the_scratch_zone_goes() {
    let world = World::start(true, &[]).await;
    for millis in [0, 3, 10, 20, 40, 80, 160, 320, 640] {
        let probe = probe(&world, on_scratch());
        let interrupted = tokio::time::timeout(Duration::from_millis(millis), probe.run()).await;
        probe.clean_up().await.unwrap();
        is_without_trace(&world, &probe.report());
        if interrupted.is_ok() {
            break;
        }
    }
    // And when NS1 fails in the middle of it.
    for knob in ["dnssec-refused"] {
        let world = World::start(true, &[(knob, "on")]).await;
        let probe = probe(&world, on_scratch());
        let error = probe.run().await.unwrap_err();
        assert_eq!(error.kind, ProviderFault::Refused, "{error}");
        probe.clean_up().await.unwrap();
        is_without_trace(&world, &probe.report());
    }
}
