//! The driver over HTTP against the fake: what goes over the wire, what comes of every failure, and the contract.

use std::time::Duration;

use serde_json::json;

use super::{
    Nesting, Ns1, Settings, Values, WireForm,
    fake::{CANARY, Fake, Fault, Layout, ZONE, key},
    settings::KeySource,
};
use crate::{
    dnssec::{algorithm::Algorithm, key::Dnskey},
    provider::{
        Provider, ProviderFault, Published,
        contract::{self, advises},
        dns::AnyServer,
    },
    wire::{Name, RrType, Ttl, text::print_rdata},
};

const TTL: Ttl = Ttl::new(3600);
const PASSING: ProviderFault = ProviderFault::Passing { after: None };

fn zone() -> Name {
    ZONE.parse().unwrap()
}

fn ours() -> Vec<Dnskey> {
    vec![key(257, 101), key(256, 102)]
}

fn is_changed(published: &Published) -> bool {
    matches!(published, Published::Changed { .. })
}

#[tokio::test]
async fn the_contract_holds_whatever_shape_the_replies_have() {
    for layout in [Layout::Map, Layout::Array, Layout::Names] {
        for form in WireForm::ALL {
            let fake = Fake::start().await;
            fake.world().layout = layout;
            fake.world().shows = form;
            fake.world().takes = Some(form);
            let mut settings = fake.settings();
            settings.form = form;
            contract::holds(&Ns1::new(settings).unwrap(), &zone(), CANARY).await;
        }
    }
}

#[tokio::test]
async fn the_contract_holds_for_any_server() {
    let provider = AnyServer {
        name: "knot".into(),
        servers: Vec::new(),
    };
    contract::holds(&provider, &zone(), CANARY).await;
}

#[tokio::test]
async fn a_set_is_made_with_put_and_changed_with_post_and_deleted() {
    let fake = Fake::start().await;
    let ns1 = fake.driver();
    let base = "/v1/zones/example.com/dnssec";
    let set = format!("{base}/external_keys/countersign");
    let read = format!("GET {base}/external_keys");
    ns1.publish_keys(&zone(), &ours(), TTL).await.unwrap();
    assert_eq!(
        fake.seen(),
        [
            format!("GET {base}"),
            read.clone(),
            format!("PUT {set}"),
            read.clone()
        ]
    );
    ns1.publish_keys(&zone(), &ours()[..1], TTL).await.unwrap();
    assert_eq!(
        fake.seen(),
        [
            format!("GET {base}"),
            read.clone(),
            format!("POST {set}"),
            read.clone()
        ]
    );
    let told = ns1.withdraw_keys(&zone(), &ours()).await.unwrap();
    assert_eq!(
        fake.seen(),
        [read.clone(), format!("DELETE {set}"), read.clone(), read]
    );
    let tag = ours()[0].key_tag();
    assert_eq!(
        told,
        Published::Changed {
            what: format!("the key set countersign was removed; it held {tag}")
        }
    );
    let sent = &fake.world().sent;
    assert_eq!(sent[0]["dnskey"]["data"][0]["flags"], json!(257));
    assert_eq!(sent[0]["dnskey"]["ttl"], json!(3600));
}

#[tokio::test]
async fn a_write_that_broke_is_looked_at_and_not_done_twice() {
    for fault in [Fault::DoAndBreak, Fault::DoAndSay(502), Fault::DoAndSay(409)] {
        let fake = Fake::start().await;
        fake.fault("PUT", fault.clone());
        let published = fake.driver().publish_keys(&zone(), &ours(), TTL).await.unwrap();
        assert!(is_changed(&published), "{fault:?}: {published:?}");
        let writes = fake.seen().iter().filter(|line| !line.starts_with("GET")).count();
        assert_eq!(writes, 1, "{fault:?}");
    }
    for fault in [
        Fault::Break,
        Fault::Reply(503, "", "<html>".into()),
        Fault::Reply(429, "", "{}".into()),
    ] {
        let fake = Fake::start().await;
        fake.fault("PUT", fault.clone());
        let published = fake.driver().publish_keys(&zone(), &ours(), TTL).await.unwrap();
        assert!(is_changed(&published), "{fault:?}: {published:?}");
        assert_eq!(
            fake.world().sent.len(),
            1,
            "{fault:?}: the one that was not done was done again"
        );
    }
    let fake = Fake::start().await;
    fake.driver().publish_keys(&zone(), &ours(), TTL).await.unwrap();
    fake.fault("DELETE", Fault::DoAndBreak);
    assert!(is_changed(
        &fake.driver().withdraw_keys(&zone(), &ours()).await.unwrap()
    ));
}

#[tokio::test]
async fn what_passes_is_waited_out() {
    let fake = Fake::start().await;
    for fault in [
        Fault::Break,
        Fault::Reply(500, "", String::new()),
        Fault::Reply(429, "Retry-After: 0\r\n", r#"{"message":"rate limit"}"#.into()),
    ] {
        fake.fault("GET", fault);
    }
    let mut settings = fake.settings();
    settings.deadline = Duration::from_secs(30);
    assert_eq!(
        Ns1::new(settings).unwrap().serial(&zone()).await.unwrap(),
        1_473_863_358
    );
    assert_eq!(fake.seen().len(), 4);
}

#[tokio::test]
async fn what_does_not_pass_ends_at_the_deadline() {
    let fake = Fake::start().await;
    for fault in [Fault::Hang, Fault::Break, Fault::Reply(503, "", "busy".into())] {
        fake.world().always = Some(("GET".into(), fault));
        let mut settings = fake.settings();
        settings.deadline = Duration::from_millis(700);
        let began = tokio::time::Instant::now();
        let error = Ns1::new(settings).unwrap().serial(&zone()).await.unwrap_err();
        advises(&error, PASSING);
        assert!(began.elapsed() < Duration::from_secs(3));
    }
    // Nobody listens.
    let mut settings = fake.settings();
    settings.endpoint = "http://127.0.0.1:9/v1/".into();
    settings.deadline = Duration::from_millis(700);
    let error = Ns1::new(settings).unwrap().serial(&zone()).await.unwrap_err();
    advises(&error, PASSING);
    assert!(
        error.what.contains("GET /v1/zones/example.com?records=false"),
        "{error}"
    );
}

#[tokio::test]
async fn limits_of_the_headers_are_kept() {
    let fake = Fake::start().await;
    fake.world().limits = "X-RateLimit-Limit: 10\r\nX-RateLimit-Period: 1\r\nX-RateLimit-Remaining: 0\r\n";
    let ns1 = fake.driver();
    let began = tokio::time::Instant::now();
    for _ in 0..4 {
        ns1.serial(&zone()).await.unwrap();
    }
    // The first is free; each of the others waits for a tenth of a second.
    assert!(
        began.elapsed() >= Duration::from_millis(290),
        "{:?}",
        began.elapsed()
    );
    fake.world().limits = "X-RateLimit-Limit: 1\r\nX-RateLimit-Period: 300\r\nX-RateLimit-Remaining: 0\r\n";
    ns1.serial(&zone()).await.unwrap();
    let error = ns1.serial(&zone()).await.unwrap_err();
    assert!(
        matches!(error.kind, ProviderFault::Passing { after: Some(after) } if after > Duration::from_secs(200))
    );
    assert!(error.what.contains("rate limit"), "{error}");
}

#[tokio::test]
async fn every_error_says_what_to_do_and_none_shows_the_key() {
    let html = format!("<html><title>Proxy</title>{CANARY}</html>");
    let echo = |text: &str| json!({ "message": format!("{text} ({CANARY})") }).to_string();
    let many: Vec<(Fault, ProviderFault, &str)> = vec![
        (
            Fault::Reply(200, "", html.clone()),
            ProviderFault::Unintelligible,
            "proxy",
        ),
        (
            Fault::Reply(403, "", html.clone()),
            ProviderFault::Unintelligible,
            "proxy",
        ),
        (
            Fault::Reply(302, "Location: https://login.example/\r\n", html),
            ProviderFault::Unintelligible,
            "not followed",
        ),
        (
            Fault::Reply(401, "", echo("Unauthorized")),
            ProviderFault::Unauthorised,
            "expired",
        ),
        (
            Fault::Reply(403, "", echo("permission denied")),
            ProviderFault::Unauthorised,
            "rights",
        ),
        (
            Fault::Reply(404, "", echo("zone not found")),
            ProviderFault::NoZone,
            "create the zone",
        ),
        (
            Fault::Reply(400, "", echo("bad")),
            ProviderFault::Refused,
            "probe",
        ),
        (
            Fault::Reply(405, "", echo("no")),
            ProviderFault::Unsupported,
            "probe",
        ),
        (Fault::Reply(503, "", echo("down")), PASSING, "later"),
        (Fault::Reply(429, "", echo("slow")), PASSING, "later"),
        (
            Fault::Reply(200, "", echo("ok")),
            ProviderFault::Unintelligible,
            "probe",
        ),
        (Fault::Break, PASSING, "network"),
    ];
    let each = many.into_iter().map(|(fault, kind, advice)| async move {
        let fake = Fake::start().await;
        fake.world().always = Some((String::new(), fault.clone()));
        let mut settings = fake.settings();
        settings.deadline = Duration::from_millis(600);
        let ns1 = Ns1::new(settings).unwrap();
        let error = ns1.serial(&zone()).await.unwrap_err();
        advises(&error, kind);
        assert!(
            error
                .what
                .starts_with("GET /v1/zones/example.com?records=false: "),
            "{error}"
        );
        assert!(
            error.advice.as_ref().unwrap().contains(advice),
            "{fault:?}: {error:?}"
        );
        let mut all = format!("{error:?} {error} {ns1:?}");
        for result in [
            ns1.observe_keys(&zone(), &ours())
                .await
                .map(|it| format!("{it:?}")),
            ns1.publish_keys(&zone(), &ours(), TTL)
                .await
                .map(|it| format!("{it:?}")),
            ns1.withdraw_keys(&zone(), &ours())
                .await
                .map(|it| format!("{it:?}")),
            ns1.read_content(&zone()).await.map(|it| format!("{it:?}")),
            ns1.read_apex_ns(&zone()).await.map(|it| format!("{it:?}")),
            ns1.write_apex_ns(&zone(), &["a.".parse().unwrap()], TTL)
                .await
                .map(|it| format!("{it:?}")),
            ns1.enable_dnssec(&zone()).await.map(|it| format!("{it:?}")),
            ns1.networks().await.map(|it| format!("{it:?}")),
        ] {
            all += &result.unwrap_or_else(|error| format!("{error:?} {error}"));
        }
        assert!(!all.contains(CANARY), "{fault:?}: {all}");
    });
    futures_util::future::join_all(each).await;
}

#[tokio::test]
async fn a_wrong_key_an_absent_zone_and_an_unsigned_one_are_told_apart() {
    let fake = Fake::start().await;
    let wrong = fake.file("key");
    std::fs::write(&wrong, "wrong").unwrap();
    let error = fake.driver().observe_keys(&zone(), &[]).await.unwrap_err();
    advises(&error, ProviderFault::Unauthorised);
    assert!(
        error.what.contains("401 \"Unauthorized: [the API key]\""),
        "{error}"
    );
    // A key that is changed is taken without a restart.
    let ns1 = fake.driver();
    std::fs::write(&wrong, CANARY).unwrap();
    ns1.observe_keys(&zone(), &[]).await.unwrap();

    let absent: Name = "absent.example.".parse().unwrap();
    advises(
        &ns1.publish_keys(&absent, &ours(), TTL).await.unwrap_err(),
        ProviderFault::NoZone,
    );
    advises(
        &ns1.withdraw_keys(&absent, &ours()).await.unwrap_err(),
        ProviderFault::NoZone,
    );
    advises(
        &ns1.read_content(&absent).await.unwrap_err(),
        ProviderFault::NoZone,
    );
    advises(
        &ns1.observe_keys(&Name::root(), &[]).await.unwrap_err(),
        ProviderFault::NoZone,
    );

    fake.world().zones.get_mut(ZONE).unwrap().signed = false;
    assert!(!ns1.observe_keys(&zone(), &[]).await.unwrap().signs);
    let error = ns1.publish_keys(&zone(), &ours(), TTL).await.unwrap_err();
    advises(&error, ProviderFault::NotSigned);
    assert!(
        fake.world().sent.is_empty(),
        "nothing is written where it would be ignored"
    );
    // The same said in words that nobody has seen yet.
    let said = Fault::Reply(404, "", r#"{"message":"no keys"}"#.into());
    fake.world().always = Some(("GET /v1/zones/example.com/dnssec".into(), said));
    assert!(!ns1.observe_keys(&zone(), &[]).await.unwrap().signs);
}

#[tokio::test]
async fn a_key_of_another_algorithm_is_not_offered() {
    let fake = Fake::start().await;
    let keys = [Dnskey::new(257, Algorithm::ED25519, &[1; 32])];
    let error = fake.driver().publish_keys(&zone(), &keys, TTL).await.unwrap_err();
    advises(&error, ProviderFault::Refused);
    assert!(
        error.what.contains("ED25519") && error.what.contains("ECDSAP256SHA256"),
        "{error}"
    );
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn a_yes_that_does_not_show_is_an_error() {
    let fake = Fake::start().await;
    fake.world().forgets = true;
    let error = fake
        .driver()
        .publish_keys(&zone(), &ours(), TTL)
        .await
        .unwrap_err();
    advises(&error, ProviderFault::Unintelligible);
    assert!(error.what.contains("does not show it"), "{error}");
    assert_eq!(fake.world().sent.len(), 1, "what was taken is not sent again");
    // Should POST add, nothing of ours is missing, and nothing is removed to make it so.
    let fake = Fake::start().await;
    fake.world().adds = true;
    let ns1 = fake.driver();
    ns1.publish_keys(&zone(), &ours()[..1], TTL).await.unwrap();
    let error = ns1.publish_keys(&zone(), &ours()[1..], TTL).await.unwrap_err();
    advises(&error, ProviderFault::Unintelligible);
    assert!(error.what.contains("did not replace"), "{error}");
    assert!(fake.seen().iter().all(|line| !line.starts_with("DELETE")));
    // A form that NS1 does not take is its word against ours, at once.
    let fake = Fake::start().await;
    fake.world().takes = Some(WireForm {
        nesting: Nesting::Bare,
        values: Values::Strings,
    });
    let error = fake
        .driver()
        .publish_keys(&zone(), &ours(), TTL)
        .await
        .unwrap_err();
    advises(&error, ProviderFault::Refused);
    assert_eq!(fake.world().sent.len(), 1);
}

#[tokio::test]
async fn a_write_that_shows_late_is_waited_for() {
    let fake = Fake::start().await;
    let ns1 = fake.driver();
    ns1.publish_keys(&zone(), &ours(), TTL).await.unwrap();
    ns1.withdraw_keys(&zone(), &ours()).await.unwrap();
    fake.world().late = 4;
    let published = ns1.publish_keys(&zone(), &ours(), TTL).await.unwrap();
    assert!(is_changed(&published));
    assert_eq!(fake.world().sent.len(), 3, "one write each");
}

#[tokio::test]
async fn a_ttl_of_ns1s_own_mind_is_not_fought() {
    let fake = Fake::start().await;
    fake.world().own_ttl = Some(300);
    let ns1 = fake.driver();
    assert!(is_changed(
        &ns1.publish_keys(&zone(), &ours(), TTL).await.unwrap()
    ));
    assert_eq!(
        ns1.publish_keys(&zone(), &ours(), TTL).await.unwrap(),
        Published::Already
    );
    // Another wish is told once more.
    assert!(is_changed(
        &ns1.publish_keys(&zone(), &ours(), Ttl::new(60)).await.unwrap()
    ));
    assert_eq!(
        ns1.publish_keys(&zone(), &ours(), Ttl::new(60)).await.unwrap(),
        Published::Already
    );
}

#[tokio::test]
async fn dnssec_is_switched_on_alone_and_once() {
    let fake = Fake::start().await;
    let ns1 = fake.driver();
    assert_eq!(ns1.enable_dnssec(&zone()).await.unwrap(), Published::Already);
    fake.world().zones.get_mut(ZONE).unwrap().signed = false;
    assert!(is_changed(&ns1.enable_dnssec(&zone()).await.unwrap()));
    assert_eq!(fake.world().sent, [json!({"dnssec": true})]);
    fake.world().zones.get_mut(ZONE).unwrap().signed = false;
    let refusal = r#"{"message":"DNSSEC support is not enabled for this account. Please contact support@ns1.com to enable it"}"#;
    fake.fault("POST", Fault::Reply(400, "", refusal.into()));
    let error = ns1.enable_dnssec(&zone()).await.unwrap_err();
    advises(&error, ProviderFault::Refused);
    assert!(error.advice.unwrap().contains("support"));
}

fn printed(content: &crate::provider::Content) -> Vec<String> {
    let mut lines: Vec<String> = content
        .records
        .iter()
        .map(|record| {
            let mut text = String::new();
            print_rdata(record.rtype, &record.rdata, &mut text).unwrap();
            format!("{} {} {} {text}", record.owner, record.ttl, record.rtype)
        })
        .collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn records_are_read_one_by_one_where_there_is_no_export() {
    let fake = Fake::start().await;
    fake.world().page = 3;
    let content = fake.driver().read_content(&zone()).await.unwrap();
    assert_eq!(
        printed(&content),
        [
            "example.com. 300 CAA 0 issue \"ca.test\"",
            "example.com. 300 MX 10 mx.example.com.",
            "example.com. 300 NS dns1.p09.nsone.net.",
            "example.com. 300 NS dns2.p09.nsone.net.",
            "example.com. 3600 SOA dns1.p09.nsone.net. hostmaster.nsone.net. 1473863358 43200 7200 1209600 300",
            "txt.example.com. 300 TXT \"a;b \\\"c\\\"\"",
            "www.example.com. 300 A 192.0.2.1",
            "www.example.com. 300 A 192.0.2.2",
        ]
    );
    assert_eq!(
        (content.left_out, content.how.as_str()),
        (2, "8 records one by one")
    );
    let told = content.remarks.join("\n");
    assert!(
        told.contains("URLFWD is no type of DNS") && told.contains("not for this account"),
        "{told}"
    );
}

#[tokio::test]
async fn records_of_two_versions_are_never_mixed() {
    let fake = Fake::start().await;
    fake.world().moves = 1;
    let content = fake.driver().read_content(&zone()).await.unwrap();
    let soa = content
        .records
        .iter()
        .find(|record| record.rtype == RrType::SOA)
        .unwrap();
    assert_eq!(
        soa.rdata[soa.rdata.len() - 20..][..4],
        1_473_863_359_u32.to_be_bytes(),
        "the version after the change"
    );
    fake.world().moves = u32::MAX;
    let error = fake.driver().read_content(&zone()).await.unwrap_err();
    advises(&error, PASSING);
    assert!(error.what.contains("changed"), "{error}");
}

#[tokio::test]
async fn an_export_is_asked_for_waited_for_and_read() {
    let fake = Fake::start().await;
    let text = "$TTL 300\n@ IN SOA dns1.p09.nsone.net. hostmaster.nsone.net. 1473863358 43200 7200 1209600 300\n\
                @ NS dns1.p09.nsone.net.\n@ DNSKEY 257 3 13 AAAA\n@ RRSIG DNSKEY 13 2 60 20300101000000 20200101000000 1 @ AAAA\n\
                www A 192.0.2.1\n";
    fake.world().zones.get_mut(ZONE).unwrap().export = Ok(text.into());
    let content = fake.driver().read_content(&zone()).await.unwrap();
    assert_eq!(
        (content.how.as_str(), content.left_out, content.records.len()),
        ("export", 2, 3)
    );
    assert_eq!(content.remarks, Vec::<String>::new());
    let base = "/v1/export/zonefile/example.com";
    assert_eq!(
        fake.seen()[1..],
        [
            format!("PUT {base}"),
            format!("GET {base}/status"),
            format!("GET {base}/status"),
            format!("GET {base}")
        ]
    );

    fake.world().zones.get_mut(ZONE).unwrap().export = Ok("fail".into());
    let content = fake.driver().read_content(&zone()).await.unwrap();
    assert!(content.how.ends_with("one by one") && content.remarks.join(" ").contains("internal"));

    for broken in ["@ IN FOO x\n", "<html>log in</html>", "www A 192.0.2.256\n"] {
        fake.world().zones.get_mut(ZONE).unwrap().export = Ok(format!("$TTL 1\n{broken}"));
        let error = fake.driver().read_content(&zone()).await.unwrap_err();
        advises(&error, ProviderFault::Unintelligible);
        assert!(error.what.contains("line 2"), "{error}");
    }
}

#[tokio::test]
async fn the_key_stays_with_its_host() {
    let fake = Fake::start().await;
    let stranger = Fake::start().await;
    let link = format!(
        "Link: <http://{}/v1/zones/example.com?after=1>; rel=\"next\"\r\n",
        stranger.address
    );
    let body = r#"{"serial":1,"records":[],"dns_servers":["a"]}"#;
    for headers in [link.as_str(), "Link: <http://api.nsone.net/v1/x>; rel=next\r\n"] {
        let headers: &'static str = Box::leak(headers.to_owned().into_boxed_str());
        fake.fault("GET /v1/zones/example.com", Fault::Reply(200, "", body.into()));
        fake.fault(
            "GET /v1/zones/example.com",
            Fault::Reply(200, headers, body.into()),
        );
        let error = fake.driver().read_content(&zone()).await.unwrap_err();
        advises(&error, ProviderFault::Unintelligible);
        assert!(error.what.contains("on another host"), "{error}");
    }
    let location: &'static str =
        Box::leak(format!("Location: http://{}/v1/zones/example.com\r\n", stranger.address).into_boxed_str());
    fake.fault("GET", Fault::Reply(307, location, String::new()));
    advises(
        &fake.driver().serial(&zone()).await.unwrap_err(),
        ProviderFault::Unintelligible,
    );
    assert!(stranger.seen().is_empty());
}

#[tokio::test]
async fn a_page_that_names_itself_and_a_reply_that_never_ends_are_refused() {
    let fake = Fake::start().await;
    let body = r#"{"serial":1,"records":[],"dns_servers":["a"]}"#;
    fake.fault("GET /v1/zones/example.com", Fault::Reply(200, "", body.into()));
    let next = "Link: </v1/zones/example.com?after=x>; rel=\"next\"\r\n";
    fake.world().always = Some((
        "GET /v1/zones/example.com".into(),
        Fault::Reply(200, next, body.into()),
    ));
    let error = fake.driver().read_content(&zone()).await.unwrap_err();
    assert!(error.what.contains("the next page is this one"), "{error}");
    fake.world().always = None;
    let huge = format!(
        "{{\"serial\":1,\"x\":\"{}\"}}",
        "x".repeat(super::call::LARGEST_JSON)
    );
    fake.fault("GET", Fault::Reply(200, "", huge));
    let error = fake.driver().serial(&zone()).await.unwrap_err();
    assert!(error.what.contains("larger than"), "{error}");
}

#[tokio::test]
async fn the_apex_ns_is_made_where_there_is_none_and_filters_are_left_alone() {
    let fake = Fake::start().await;
    let ns1 = fake.driver();
    let targets: Vec<Name> = vec!["ns1.example.net.".parse().unwrap()];
    fake.world()
        .zones
        .get_mut(ZONE)
        .unwrap()
        .records
        .retain(|(_, rtype, _)| rtype != "NS");
    assert_eq!(ns1.read_apex_ns(&zone()).await.unwrap(), Vec::<Name>::new());
    fake.seen();
    ns1.write_apex_ns(&zone(), &targets, TTL).await.unwrap();
    assert!(
        fake.seen()
            .contains(&"PUT /v1/zones/example.com/example.com/NS".to_owned())
    );
    assert_eq!(ns1.read_apex_ns(&zone()).await.unwrap(), targets);
    advises(
        &ns1.write_apex_ns(&zone(), &[], TTL).await.unwrap_err(),
        ProviderFault::Refused,
    );
    fake.world()
        .zones
        .get_mut(ZONE)
        .unwrap()
        .records
        .last_mut()
        .unwrap()
        .2["filters"] = json!([{"filter": "up"}]);
    let other = ["x.".parse().unwrap()];
    advises(
        &ns1.write_apex_ns(&zone(), &other, TTL).await.unwrap_err(),
        ProviderFault::Refused,
    );
}

#[tokio::test]
async fn servers_networks_and_a_missing_key_file() {
    let fake = Fake::start().await;
    let ns1 = fake.driver();
    let servers = ns1.servers(&zone()).await.unwrap();
    assert_eq!(servers[1].name, Some("dns2.p09.nsone.net.".parse().unwrap()));
    assert_eq!(ns1.networks().await.unwrap(), [(0, "managed".into())]);
    let mut settings: Settings = fake.settings();
    settings.key = KeySource::File("/nonexistent/key".into());
    let error = Ns1::new(settings).unwrap().serial(&zone()).await.unwrap_err();
    advises(&error, ProviderFault::Unauthorised);
    assert!(error.what.contains("/nonexistent/key"), "{error}");
}

#[tokio::test]
async fn a_certificate_is_trusted_when_its_file_is_named_and_not_else() {
    let fake = Fake::start_tls().await;
    let mut settings = fake.settings();
    settings.endpoint = settings.endpoint.replace("http://", "https://");
    let error = Ns1::new(settings.clone())
        .unwrap()
        .serial(&zone())
        .await
        .unwrap_err();
    advises(&error, ProviderFault::Untrusted);
    assert!(error.what.contains("invalid peer certificate"), "{error}");
    assert!(fake.seen().is_empty(), "the key did not go out");
    settings.ca = Some(fake.file("ca.pem"));
    assert_eq!(
        Ns1::new(settings.clone()).unwrap().serial(&zone()).await.unwrap(),
        1_473_863_358
    );
    // A link in the clear is asked for over TLS.
    fake.world().page = 3;
    let link = format!(
        "Link: <http://{}/v1/zones/example.com?after=3>; rel=\"next\"\r\n",
        fake.address
    );
    let body = r#"{"serial":1473863358,"records":[],"dns_servers":["a"],"zone":"example.com"}"#;
    fake.fault("GET /v1/zones/example.com", Fault::Reply(200, "", body.into()));
    fake.fault(
        "GET /v1/zones/example.com",
        Fault::Reply(200, Box::leak(link.into_boxed_str()), body.into()),
    );
    let content = Ns1::new(settings.clone())
        .unwrap()
        .read_content(&zone())
        .await
        .unwrap();
    assert_eq!(content.how, "5 records one by one");
    for (file, part) in [("key", "no PEM certificate"), ("absent", "No such file")] {
        settings.ca = Some(fake.file(file));
        let error = Ns1::new(settings.clone()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
