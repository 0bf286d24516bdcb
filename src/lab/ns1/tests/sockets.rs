//! The handle: what the API was told shows over DNS, the knobs do what they say, and HTTPS is what it must be.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::http::Method;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::super::{
    reply::{Body, Request},
    simulated::{Settings, Simulated, StartError, ZoneText},
};
use crate::{
    client::{Asker, Question},
    clock::{SimulatedClock, SystemClock, UnixTime},
    wire::{Name, RrType, message::Rcode, received::Received},
};

const ZONE: &str = "$TTL 300\n@ SOA ns h 1 2 3 4 60\n@ NS ns\nns A 192.0.2.1\n*.w TXT wild\n";
const PATIENCE: Duration = Duration::from_secs(10);

fn settings() -> Settings {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    Settings {
        api: any,
        dns: vec![any, any],
        name_servers: Vec::new(),
        api_key: "let-me-in".into(),
        zones: vec![("test.".parse().unwrap(), ZoneText::Text(ZONE.into()))],
        signed: true,
        knobs: Vec::new(),
    }
}

async fn start() -> (Simulated, Arc<SimulatedClock>) {
    let clock = Arc::new(SimulatedClock::new(UnixTime(1_800_000_000)));
    (Simulated::start(settings(), clock.clone()).await.unwrap(), clock)
}

fn apex() -> Name {
    "test.".parse().unwrap()
}

fn api(simulated: &Simulated, method: Method, target: &str, body: Value) -> Value {
    let mut request = Request::new(method, target);
    request.body = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into()
    };
    let reply = simulated.request(request);
    assert!(reply.status.is_success(), "{reply:?}");
    match reply.body {
        Body::Json(value) => value,
        _ => Value::Null,
    }
}

async fn ask(server: SocketAddr, name: &str, rtype: RrType) -> Option<Received> {
    let asker = Asker {
        timeout: Duration::from_millis(1_500),
        tries: 1,
    };
    let question = Question {
        name: name.parse().unwrap(),
        rtype,
        dnssec: true,
        recursion: false,
    };
    asker.ask(server, &question).await.ok()
}

async fn count(server: SocketAddr, name: &str, rtype: RrType) -> usize {
    let answer = ask(server, name, rtype).await;
    let of = |received: Received| {
        received
            .answers
            .iter()
            .filter(|record| record.rtype == rtype)
            .count()
    };
    answer.map_or(0, of)
}

/// Waits until a server has so many records of a type.
async fn shows(server: SocketAddr, name: &str, rtype: RrType, expected: usize) {
    let shown = timeout(PATIENCE, async {
        while count(server, name, rtype).await != expected {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(
        shown.await.is_ok(),
        "{server}: {name} {rtype} is not there {expected} times"
    );
}

fn give_key(simulated: &Simulated) {
    let public = data_encoding::BASE64.encode(&[7; 64]);
    let key = json!({"flags": 256, "protocol": 3, "algorithm": 13, "public_key": public});
    let set = json!({"dnskey": {"ttl": 3600, "data": [key]}});
    api(
        simulated,
        Method::PUT,
        "/v1/zones/test/dnssec/external_keys/ours",
        set,
    );
}

fn add_record(simulated: &Simulated) {
    let body = json!({"answers": [{"answer": ["192.0.2.7"]}]});
    api(simulated, Method::PUT, "/v1/zones/test/new.test/A", body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_is_told_shows_at_every_server() {
    let (simulated, _) = start().await;
    assert_eq!(simulated.own_keys(&apex()).len(), 2);
    assert!(simulated.ds(&apex()).starts_with("test.\t3600\tIN\tDS\t"));
    give_key(&simulated);
    add_record(&simulated);
    for &server in simulated.dns() {
        // Small zones are there when the reply is.
        assert_eq!(count(server, "test.", RrType::DNSKEY).await, 3);
        assert_eq!(count(server, "new.test.", RrType::A).await, 1);
        let denied = ask(server, "none.test.", RrType::A).await.unwrap();
        assert_eq!(
            denied.rcode,
            Rcode::NOERROR,
            "compact denial (RFC 9824 section 3.1)"
        );
        let nsec = denied
            .authorities
            .iter()
            .find(|record| record.rtype == RrType::NSEC);
        let nsec = nsec.unwrap();
        assert!(nsec.rdata.starts_with(b"\x01\0\x04none"), "{nsec:?}");
        assert_eq!(nsec.rdata.last_chunk(), Some(&[0x80]), "NXNAME, bit 128");
    }
    api(
        &simulated,
        Method::POST,
        "/v1/zones/test",
        json!({"dnssec": false}),
    );
    assert_eq!(count(simulated.dns()[0], "test.", RrType::DNSKEY).await, 0);
    let denied = ask(simulated.dns()[1], "none.test.", RrType::A).await.unwrap();
    assert_eq!((denied.rcode, denied.authorities.len()), (Rcode::NXDOMAIN, 1));
    let (api, dns) = (simulated.api(), simulated.dns()[0]);
    simulated.stop().await;
    assert!(TcpStream::connect(api).await.is_err() && TcpStream::connect(dns).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_is_of_steady_time() {
    let (simulated, clock) = start().await;
    let [first, second] = simulated.dns().try_into().unwrap();
    simulated.set_knob("key-delay", "2:1h").unwrap();
    give_key(&simulated);
    assert_eq!(count(first, "test.", RrType::DNSKEY).await, 3);
    assert_eq!(count(second, "test.", RrType::DNSKEY).await, 2);
    clock.advance(Duration::from_secs(3_599));
    assert_eq!(count(second, "test.", RrType::DNSKEY).await, 2);
    clock.advance(Duration::from_secs(1));
    shows(second, "test.", RrType::DNSKEY, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_differ_as_the_knobs_say() {
    let (simulated, clock) = start().await;
    let [first, second] = simulated.dns().try_into().unwrap();
    simulated.set_knob("stale-server", "2").unwrap();
    add_record(&simulated);
    assert_eq!(count(first, "new.test.", RrType::A).await, 1);
    assert_eq!(count(second, "new.test.", RrType::A).await, 0);
    simulated.set_knob("stale-server", "none").unwrap();
    assert_eq!(count(second, "new.test.", RrType::A).await, 1);

    simulated.set_knob("unreachable-server", "2").unwrap();
    assert!(ask(second, "test.", RrType::SOA).await.is_none());
    assert!(ask(first, "test.", RrType::SOA).await.is_some());
    simulated.set_knob("unreachable-server", "none").unwrap();

    simulated.set_knob("slow-server", "1:300ms").unwrap();
    let slow = ask(first, "test.", RrType::SOA);
    assert!(timeout(Duration::from_millis(250), slow).await.is_err());
    assert!(ask(first, "test.", RrType::SOA).await.is_some());
    simulated.set_knob("slow-server", "0s").unwrap();

    simulated.set_knob("dnskey-ttl", "300").unwrap();
    let keys = ask(second, "test.", RrType::DNSKEY).await.unwrap();
    assert!(
        keys.answers.iter().all(|record| record.ttl.seconds() == 300),
        "{keys:?}"
    );

    // Each network signs with its own keys, and publishes those of both.
    simulated.set_knob("second-network", "on").unwrap();
    let signers = |received: Received| {
        let signatures = received
            .answers
            .into_iter()
            .filter(|record| record.rtype == RrType::RRSIG);
        signatures
            .map(|record| record.rdata[16..18].to_vec())
            .collect::<Vec<_>>()
    };
    let [one, other] = [first, second].map(|server| ask(server, "test.", RrType::SOA));
    assert_ne!(signers(one.await.unwrap()), signers(other.await.unwrap()));
    assert_eq!(count(first, "test.", RrType::DNSKEY).await, 4);

    simulated.set_knob("zsk-roll", "1h").unwrap();
    assert_eq!(count(first, "test.", RrType::DNSKEY).await, 5);
    clock.advance(Duration::from_secs(7_200));
    shows(first, "test.", RrType::DNSKEY, 4).await;
    assert!(
        simulated.set_knob("slow-server", "3:1s").is_err(),
        "there are two"
    );
    assert_eq!(simulated.knobs()["zsk-roll"], "1h");
}

#[tokio::test(flavor = "multi_thread")]
async fn secondaries_are_told_of_changes_from_the_servers_address() {
    let mut settings = settings();
    // Not the address that the system would choose by itself.
    settings.dns[0] = ([127, 0, 0, 2], 0).into();
    let simulated = Simulated::start(settings, Arc::new(SystemClock::default()))
        .await
        .unwrap();
    let secondary = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = secondary.local_addr().unwrap().port();
    let primary = json!({"primary": {"enabled": true, "secondaries": [{"ip": "127.0.0.1", "port": port, "notify": true}]}});
    api(&simulated, Method::POST, "/v1/zones/test", primary);
    let mut buffer = [0; 512];
    for _ in 0..2 {
        let (length, from) = timeout(PATIENCE, secondary.recv_from(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(from.ip(), simulated.dns()[0].ip());
        let notice = Received::read(&buffer[..length]).unwrap();
        assert_eq!((notice.opcode.0, notice.question.unwrap().0), (4, apex()));
        buffer[2] |= 0x80;
        secondary.send_to(&buffer[..length], from).await.unwrap();
        add_record_again(&simulated);
    }
}

fn add_record_again(simulated: &Simulated) {
    api(
        simulated,
        Method::POST,
        "/v1/zones/test/ns.test/A",
        json!({"ttl": 301}),
    );
}

/// Sends a request over TLS as it stands, and gives all that comes back.
async fn https(simulated: &Simulated, request: &str) -> std::io::Result<String> {
    let mut roots = rustls::RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(simulated.ca_pem().as_bytes()).unwrap();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(simulated.api()).await?;
    let name = ServerName::try_from("api.nsone.net").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    Ok(reply)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_speaks_https_with_a_certificate_of_its_own() {
    let (simulated, _) = start().await;
    let request = |method: &str, target: &str, body: &str| {
        format!(
            "{method} {target} HTTP/1.1\r\nHost: x\r\nX-NSONE-Key: let-me-in\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let zones = https(&simulated, &request("GET", "/v1/zones", "")).await.unwrap();
    assert!(
        zones.starts_with("HTTP/1.1 200 OK\r\n") && zones.contains("x-ratelimit-limit: 900"),
        "{zones}"
    );
    assert!(
        zones.contains("content-type: application/json") && zones.contains("\"zone\":\"test\""),
        "{zones}"
    );

    let form = "--b\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nx\r\n--b\r\n\
        Content-Disposition: form-data; name=\"zonefile\"; filename=\"f\"\r\nContent-Type: text/plain\r\n\r\n\
        $TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\n\r\n--b--\r\n";
    let import = request("PUT", "/v1/import/zonefile/new.test", form).replace(
        "Connection:",
        "Content-Type: multipart/form-data; boundary=b\r\nConnection:",
    );
    let imported = https(&simulated, &import).await.unwrap();
    assert!(imported.starts_with("HTTP/1.1 200 OK\r\n"), "{imported}");

    let knob = https(
        &simulated,
        &request("PUT", "/lab/knobs", r#"{"connection-resets": 1}"#),
    )
    .await;
    assert!(knob.unwrap().ends_with(r#"{"connection-resets":"1"}"#));
    let reset = https(&simulated, &request("DELETE", "/v1/zones/new.test", ""))
        .await
        .unwrap_err();
    assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
    let gone = https(&simulated, &request("GET", "/v1/zones/new.test", ""))
        .await
        .unwrap();
    assert!(gone.ends_with(r#"{"message":"zone not found"}"#), "{gone}");
    simulated.set_knob("html-answers", "1").unwrap();
    let page = https(&simulated, &request("GET", "/v1/zones", "")).await.unwrap();
    assert!(page.contains("content-type: text/html"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_start_says_why() {
    let start = |change: fn(&mut Settings)| async move {
        let mut settings = settings();
        change(&mut settings);
        Simulated::start(settings, Arc::new(SystemClock::default()))
            .await
            .err()
    };
    assert!(matches!(
        start(|settings| settings.dns.clear()).await,
        Some(StartError::NoServer)
    ));
    let knob = start(|settings| settings.knobs.push(("no-such".into(), "1".into()))).await;
    assert!(matches!(knob, Some(StartError::Knob(_))), "{knob:?}");
    let zone = start(|settings| settings.zones[0].1 = ZoneText::Text("www A x\n".into())).await;
    assert!(
        zone.as_ref()
            .is_some_and(|error| error.to_string().contains("line 1")),
        "{zone:?}"
    );
    let file = start(|settings| settings.zones[0].1 = ZoneText::File("/no/such".into())).await;
    assert!(
        file.as_ref()
            .is_some_and(|error| error.to_string().contains("/no/such")),
        "{file:?}"
    );
    let (taken, _) = self::start().await;
    let mut settings = settings();
    settings.dns[1] = taken.dns()[0];
    let refused = Simulated::start(settings, Arc::new(SystemClock::default())).await;
    assert!(matches!(refused, Err(StartError::Bind { .. })), "{refused:?}");
}
