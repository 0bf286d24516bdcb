//! The API without sockets: what NS1's clients send, and what they are told.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::{
    account::{Account, Now},
    reply::{Body, Reply, Request},
};
use crate::{clock::UnixTime, wire::RrType};

const KEY: &str = "let-me-in";
const PUBLIC: &str =
    "t+4DPP+MFZ0Cr7gAXiDYv6HTyXzq/O2ESVRLc/ysuh5xBXKIsjsj5baV1HzhBNo2F7mbsevsEo0/6UEL8+JBmA==";

struct Api {
    account: Account,
    steady: u64,
}

impl Api {
    fn new() -> Self {
        let names = ["dns1.p01.nsone.net.", "dns2.p01.nsone.net."].map(|name| name.parse().unwrap());
        Self {
            account: Account::new(KEY.into(), names.to_vec()),
            steady: 0,
        }
    }

    fn with_zone() -> Self {
        let mut api = Self::new();
        api.ok("PUT", "/v1/zones/unit.test", json!({"zone": "unit.test"}));
        api
    }

    fn now(&self) -> Now {
        Now {
            wall: UnixTime(1_800_000_000 + self.steady),
            steady: Duration::from_secs(self.steady),
        }
    }

    fn send(&mut self, method: &str, target: &str, body: &Value) -> Reply {
        let mut request = Request::new(method.parse().unwrap(), target);
        request.key = Some(KEY.into());
        request.host = "127.0.0.1:18080".into();
        request.body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into()
        };
        self.account.handle(&request, self.now())
    }

    #[track_caller]
    fn ok(&mut self, method: &str, target: &str, body: Value) -> Value {
        let reply = self.send(method, target, &body);
        assert!(reply.status.is_success(), "{method} {target}: {reply:?}");
        match reply.body {
            Body::Json(value) => value,
            Body::Text(text) => text.into(),
            _ => Value::Null,
        }
    }

    fn get(&mut self, target: &str) -> Value {
        self.ok("GET", target, Value::Null)
    }

    #[track_caller]
    fn refused(&mut self, method: &str, target: &str, body: Value) -> (u16, String) {
        let reply = self.send(method, target, &body);
        match &reply.body {
            Body::Json(value) => (
                reply.status.as_u16(),
                value["message"].as_str().unwrap().to_owned(),
            ),
            other => panic!("{method} {target}: {other:?}"),
        }
    }

    fn knob(&mut self, name: &str, value: &str) {
        self.ok("PUT", "/lab/knobs", json!({ name: value }));
    }

    /// The DNSKEY records that a server shows: how many are NS1's, how many others'.
    fn shown(&mut self, server: usize) -> Option<(usize, usize)> {
        let now = self.now();
        self.account.advance(now);
        let views = self.account.view(server, now.steady);
        let keys = views[0].keys.as_ref()?;
        let own = keys
            .members
            .iter()
            .filter(|member| member.signer.is_some())
            .count();
        Some((own, keys.members.len() - own))
    }
}

fn key_set() -> Value {
    json!({"dnskey": {"ttl": 3600, "data": [
        {"flags": 257, "protocol": 3, "algorithm": 13, "public_key": PUBLIC},
        {"flags": 256, "protocol": 3, "algorithm": 13, "public_key": PUBLIC},
    ]}})
}

fn message(status: u16, text: &str) -> (u16, String) {
    (status, text.into())
}

#[test]
fn messages_that_clients_compare() {
    let mut api = Api::with_zone();
    for (method, target, status, text) in [
        ("GET", "/v1/zones/none.test", 404, "zone not found"),
        ("POST", "/v1/zones/none.test", 404, "zone not found"),
        ("DELETE", "/v1/zones/none.test", 404, "zone not found"),
        ("PUT", "/v1/zones/unit.test", 409, "zone already exists"),
        (
            "GET",
            "/v1/zones/none.test/www.none.test/A",
            404,
            "zone not found",
        ),
        (
            "GET",
            "/v1/zones/unit.test/www.unit.test/A",
            404,
            "record not found",
        ),
        (
            "POST",
            "/v1/zones/unit.test/www.unit.test/A",
            404,
            "record not found",
        ),
        (
            "DELETE",
            "/v1/zones/unit.test/www.unit.test/A",
            404,
            "record not found",
        ),
        (
            "PUT",
            "/v1/zones/unit.test/unit.test/NS",
            409,
            "record already exists",
        ),
        (
            "GET",
            "/v1/zones/unit.test/dnssec",
            404,
            "DNSSEC is not enabled on the zone",
        ),
        ("GET", "/v1/zones/none.test/dnssec", 404, "zone not found"),
        ("PATCH", "/v1/zones/unit.test", 405, "method not allowed"),
        ("GET", "/v1/nothing", 404, "not found"),
    ] {
        assert_eq!(
            api.refused(method, target, Value::Null),
            message(status, text),
            "{method} {target}"
        );
    }
    for rtype in ["DNSKEY", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM"] {
        for method in ["PUT", "POST", "DELETE"] {
            let refused = api.refused(
                method,
                &format!("/v1/zones/unit.test/unit.test/{rtype}"),
                json!({"answers": []}),
            );
            assert_eq!(
                refused,
                message(405, "Operation on DNSSEC record is not allowed"),
                "{method} {rtype}"
            );
        }
    }
}

#[test]
fn without_the_key_nothing_is_told() {
    let mut api = Api::with_zone();
    for key in [None, Some("wrong".to_owned())] {
        let mut request = Request::new(Method::GET, "/v1/zones");
        request.key = key;
        let now = api.now();
        assert_eq!(api.account.handle(&request, now).status, StatusCode::UNAUTHORIZED);
        request.path = vec!["lab".into(), "knobs".into()];
        assert_eq!(api.account.handle(&request, now).status, StatusCode::UNAUTHORIZED);
    }
}

#[test]
fn the_recorded_requests_of_real_clients() {
    let mut api = Api::with_zone();
    let before = api.get("/v1/zones/unit.test")["serial"].as_u64().unwrap();
    let record = |domain: &str, rtype: &str, answers: Value| json!({"zone": "unit.test", "domain": domain, "type": rtype, "answers": answers, "ttl": 300});
    api.ok(
        "POST",
        "/v1/zones/unit.test",
        json!({"zone": "unit.test", "dnssec": true}),
    );
    api.ok(
        "PUT",
        "/v1/zones/unit.test/www.unit.test/A",
        record("www.unit.test", "A", json!([{"answer": ["192.0.2.1"]}])),
    );
    api.ok(
        "PUT",
        "/v1/zones/unit.test/unit.test/MX",
        record("unit.test", "MX", json!([{"answer": [10, "mx.unit.test."]}])),
    );
    let servers = json!([{"answer": ["dns1.p09.nsone.net"]}, {"answer": ["ns.other.example"]}]);
    api.ok(
        "POST",
        "/v1/zones/unit.test/unit.test/NS",
        record("unit.test", "NS", servers),
    );
    api.ok(
        "PUT",
        "/v1/zones/unit.test/unit.test/CAA",
        json!({"answers": [{"answer": [0, "issue", "ca.test"]}], "ttl": 3600, "filters": [], "regions": {}}),
    );
    let go = json!({"answers": [{"answer": ["v=spf1 -all"]}], "meta": {}, "filters": [], "tags": null, "blocked_tags": null});
    api.ok("PUT", "/v1/zones/unit.test/unit.test/TXT", go);
    let rows = api.get("/v1/zones/unit.test");
    assert!(rows["serial"].as_u64().unwrap() > before);
    let shown: Vec<String> = rows["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            format!(
                "{} {} {}",
                row["domain"].as_str().unwrap(),
                row["type"].as_str().unwrap(),
                row["short_answers"]
            )
        })
        .filter(|row| !row.contains("DNSKEY"))
        .collect();
    assert_eq!(
        shown,
        [
            r#"unit.test CAA ["0 issue ca.test"]"#,
            r#"unit.test MX ["10 mx.unit.test."]"#,
            r#"unit.test NS ["dns1.p09.nsone.net","ns.other.example"]"#,
            "unit.test RRSIG []",
            r#"unit.test TXT ["v=spf1 -all"]"#,
            r#"www.unit.test A ["192.0.2.1"]"#,
        ]
    );
    api.ok("DELETE", "/v1/zones/unit.test/www.unit.test/A", Value::Null);
    assert_eq!(
        api.send("DELETE", "/v1/zones/unit.test", &Value::Null).status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(api.get("/v1/zones"), json!([]));
}

#[test]
fn pages_are_linked_until_the_last() {
    let mut api = Api::with_zone();
    for number in 0..7 {
        let target = format!("/v1/zones/unit.test/h{number}.unit.test/A");
        api.ok("PUT", &target, json!({"answers": [{"answer": ["192.0.2.1"]}]}));
    }
    api.knob("page-size", "3");
    let (mut target, mut rows, mut pages) = ("/v1/zones/unit.test".to_owned(), Vec::new(), 0);
    loop {
        let reply = api.send("GET", &target, &Value::Null);
        let Body::Json(zone) = &reply.body else {
            panic!("{reply:?}")
        };
        rows.extend(
            zone["records"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["domain"].clone()),
        );
        pages += 1;
        let link = reply.headers.iter().find(|(name, _)| *name == "Link");
        let Some((_, link)) = link else { break };
        let url = link.strip_prefix("<http://127.0.0.1:18080").unwrap();
        target = url.strip_suffix(">; rel=\"next\"").unwrap().to_owned();
        assert!(target.contains("limit=3"), "{target}");
    }
    assert_eq!((pages, rows.len()), (3, 8));
    assert_eq!(api.get("/v1/zones/unit.test?records=false").get("records"), None);
    api.ok("PUT", "/v1/zones/a.test", json!({}));
    let first = api.send("GET", "/v1/zones?limit=1", &Value::Null);
    assert_eq!(
        first.headers[0].1,
        "<http://127.0.0.1:18080/v1/zones?after=a.test&limit=1>; rel=\"next\""
    );
    assert_eq!(api.get("/v1/zones?limit=1&after=a.test")[0]["zone"], "unit.test");
}

#[test]
fn records_that_cannot_be_there_are_refused() {
    let mut api = Api::with_zone();
    let a = json!({"answers": [{"answer": ["192.0.2.1"]}]});
    let cname = json!({"answers": [{"answer": ["www.unit.test"]}]});
    api.ok("PUT", "/v1/zones/unit.test/WWW.unit.test/a", a.clone());
    assert_eq!(
        api.get("/v1/zones/unit.test/www.unit.test/A")["ttl"],
        3600,
        "the zone's"
    );
    for (target, body) in [
        ("www.unit.test/CNAME", &cname),
        ("unit.test/CNAME", &cname),
        ("www.other.test/A", &a),
        ("www..unit.test/A", &a),
        ("unit.test/SOA", &a),
        ("unit.test/NOSUCH", &a),
    ] {
        let refused = api.refused("PUT", &format!("/v1/zones/unit.test/{target}"), body.clone());
        assert_eq!(refused.0, 400, "{target}");
    }
    api.ok("PUT", "/v1/zones/unit.test/alias.unit.test/CNAME", cname);
    assert_eq!(
        api.refused("PUT", "/v1/zones/unit.test/alias.unit.test/A", a).0,
        400
    );
    let secondary = json!({"secondary": {"enabled": true, "primary_ip": "192.0.2.53"}, "dnssec": true});
    assert_eq!(api.refused("PUT", "/v1/zones/second.test", secondary).0, 400);
    assert_eq!(api.refused("GET", "/v1/zones/second.test", Value::Null).0, 404);
}

#[test]
fn one_key_may_do_the_work_of_two() {
    let mut api = Api::with_zone();
    api.knob("single-csk", "on");
    api.ok("POST", "/v1/zones/unit.test", json!({"dnssec": true}));
    let reply = api.get("/v1/zones/unit.test/dnssec");
    let keys = reply["keys"]["dnskey"].as_array().unwrap();
    assert_eq!((keys.len(), &keys[0][0]), (1, &json!("257")));
    assert_eq!(reply["delegation"]["dnskey"], json!(keys));
    assert_eq!(api.shown(0), Some((1, 0)));
}

#[test]
fn an_empty_zone_has_an_empty_list_of_records() {
    let mut api = Api::with_zone();
    api.ok("DELETE", "/v1/zones/unit.test/unit.test/NS", Value::Null);
    assert_eq!(api.get("/v1/zones/unit.test")["records"], json!([]));
}

#[test]
fn requests_are_counted_by_endpoint_and_method() {
    let mut api = Api::with_zone();
    api.knob("rate-limit", "2/10");
    let remaining = |reply: &Reply| {
        let header = reply
            .headers
            .iter()
            .find(|(name, _)| *name == "X-RateLimit-Remaining");
        (reply.status.as_u16(), header.unwrap().1.clone())
    };
    let ask = |api: &mut Api, target| remaining(&api.send("GET", target, &Value::Null));
    assert_eq!(ask(&mut api, "/v1/zones"), (200, "1".into()));
    assert_eq!(ask(&mut api, "/v1/zones"), (200, "0".into()));
    assert_eq!(ask(&mut api, "/v1/zones"), (429, "0".into()));
    assert_eq!(ask(&mut api, "/v1/zones/unit.test"), (200, "1".into()));
    api.steady += 5;
    assert_eq!(ask(&mut api, "/v1/zones"), (200, "0".into()));
}

#[test]
fn dnssec_is_told_in_strings() {
    let mut api = Api::with_zone();
    assert_eq!(api.shown(0), None);
    api.ok("POST", "/v1/zones/unit.test", json!({"dnssec": true}));
    api.ok("PUT", "/v1/zones/unit.test/dnssec/external_keys/ours", key_set());
    let reply = api.get("/v1/zones/unit.test/dnssec");
    assert_eq!(
        (&reply["zone"], &reply["keys"]["ttl"], &reply["delegation"]["ttl"]),
        (&json!("unit.test."), &json!(3600), &json!(3600))
    );
    let keys = reply["keys"]["dnskey"].as_array().unwrap();
    assert_eq!(keys.len(), 2, "NS1's own: {keys:?}");
    assert_eq!(
        (&keys[0][0], &keys[1][0], &keys[0][2]),
        (&json!("257"), &json!("256"), &json!("13"))
    );
    assert_eq!(reply["delegation"]["dnskey"], json!([keys[0]]));
    let ds = reply["delegation"]["ds"][0].as_array().unwrap();
    assert_eq!(ds.len(), 4);
    assert!(
        ds[3]
            .as_str()
            .unwrap()
            .bytes()
            .all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'))
    );
    api.knob("dnssec-reply", "all");
    assert_eq!(
        api.get("/v1/zones/unit.test/dnssec")["keys"]["dnskey"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
    // The zone's own DNSKEY record has them in one flat list.
    let record = api.get("/v1/zones/unit.test/unit.test/DNSKEY");
    assert_eq!(record["answers"].as_array().unwrap().len(), 4);
    api.ok("POST", "/v1/zones/unit.test", json!({"dnssec": false}));
    assert_eq!(api.shown(0), None);
}

#[test]
fn external_keys_wait_until_dnssec_is_on() {
    let mut api = Api::with_zone();
    let target = "/v1/zones/unit.test/dnssec/external_keys/ours";
    assert_eq!(api.ok("PUT", target, key_set()), key_set());
    assert_eq!(
        api.get("/v1/zones/unit.test/dnssec/external_keys"),
        json!({"ours": key_set()})
    );
    assert_eq!(api.shown(0), None);
    api.ok("POST", "/v1/zones/unit.test", json!({"dnssec": true}));
    assert_eq!(api.shown(0), Some((2, 2)));
    assert_eq!(api.refused("PUT", target, key_set()).0, 409);
    let one = json!({"ttl": "60", "data": [{"flags": "256", "protocol": "3", "algorithm": "13", "public_key": PUBLIC}]});
    api.ok("POST", target, one);
    assert_eq!(api.shown(1), Some((2, 1)));
    api.ok("DELETE", target, Value::Null);
    assert_eq!(api.shown(1), Some((2, 0)));
    assert_eq!(api.refused("GET", target, Value::Null).0, 404);
    assert_eq!(api.refused("POST", target, key_set()).0, 404);

    api.ok("POST", "/v1/zones/unit.test", json!({"dnssec": false}));
    api.knob("early-keys", "dropped");
    api.ok("PUT", target, key_set());
    assert_eq!(api.get("/v1/zones/unit.test/dnssec/external_keys"), json!({}));
}

#[test]
fn keys_that_are_none_are_refused() {
    let mut api = Api::with_zone();
    let target = "/v1/zones/unit.test/dnssec/external_keys/ours";
    let key = |member: &str, value: Value| {
        let mut set = key_set();
        set["dnskey"]["data"][0][member] = value;
        set
    };
    for body in [
        json!({}),
        json!({"dnskey": []}),
        json!({"dnskey": {"data": {}}}),
        key("flags", json!(65_536)),
        key("flags", json!(null)),
        key("protocol", json!(2)),
        key("algorithm", json!("ECDSAP256SHA256")),
        key("public_key", json!("not base64!")),
        key("public_key", json!("")),
    ] {
        assert_eq!(api.refused("PUT", target, body.clone()).0, 400, "{body}");
    }
}

#[test]
fn shapes_are_chosen_by_knobs() {
    let mut api = Api::with_zone();
    let (list, target) = (
        "/v1/zones/unit.test/dnssec/external_keys",
        "/v1/zones/unit.test/dnssec/external_keys/ours",
    );
    api.ok("PUT", target, key_set());
    api.knob("set-shape", "bare");
    assert_eq!(api.get(target), key_set()["dnskey"]);
    api.knob("list-shape", "array");
    let listed = api.get(list);
    assert_eq!(
        (&listed[0]["name"], &listed[0]["ttl"]),
        (&json!("ours"), &json!(3600))
    );
    api.knob("number-shape", "string");
    assert_eq!(api.get(target)["data"][0]["flags"], "257");
    api.knob("strict-shapes", "on");
    assert_eq!(api.refused("POST", target, key_set()).0, 400, "wrapped");
    assert_eq!(
        api.refused("POST", target, key_set()["dnskey"].clone()).0,
        400,
        "numbers"
    );
    let strict = api.get(target);
    api.ok("POST", target, strict);
}

#[test]
fn a_change_of_keys_reaches_each_server_after_its_delay() {
    let mut api = Api::with_zone();
    api.ok("POST", "/v1/zones/unit.test", json!({"dnssec": true}));
    api.knob("key-delay", "2:30s");
    api.ok("PUT", "/v1/zones/unit.test/dnssec/external_keys/ours", key_set());
    assert_eq!([api.shown(0), api.shown(1)], [Some((2, 2)), Some((2, 0))]);
    assert_eq!(
        api.account.next_due(api.now().steady),
        Some(Duration::from_secs(30))
    );
    api.steady += 30;
    assert_eq!(api.shown(1), Some((2, 2)));
    assert_eq!(api.account.next_due(api.now().steady), None);
    api.knob("stuck-server", "2");
    assert_eq!(api.shown(1), Some((2, 0)), "as if it had never got them");
    api.knob("stuck-server", "none");
    api.knob("unpublished-keys", "on");
    assert_eq!([api.shown(0), api.shown(1)], [Some((2, 0)), Some((2, 0))]);
    assert_ne!(api.get("/v1/zones/unit.test/dnssec/external_keys"), json!({}));
}

#[test]
fn what_happens_at_ns1_without_a_word() {
    let mut api = Api::with_zone();
    api.ok("POST", "/v1/zones/unit.test", json!({"dnssec": true}));
    api.ok("PUT", "/v1/zones/unit.test/dnssec/external_keys/ours", key_set());
    api.knob("zsk-roll", "10s");
    assert_eq!(api.shown(0), Some((3, 2)));
    api.steady += 20;
    assert_eq!(api.shown(0), Some((2, 2)));
    api.knob("second-network", "on");
    assert_eq!(api.shown(1), Some((4, 2)));
    assert_eq!(api.get("/v1/networks").as_array().unwrap().len(), 2);
    assert_eq!(
        api.get("/v1/zones/unit.test/dnssec")["delegation"]["ds"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    api.knob("second-network", "off");
    api.knob("lost-keys", "5s");
    assert_eq!(api.shown(0), Some((2, 2)));
    api.steady += 5;
    assert_eq!(api.shown(0), Some((2, 0)));
    api.knob("dnssec-off", "0s");
    assert_eq!(api.shown(0), None);
    assert_eq!(api.get("/v1/zones/unit.test")["dnssec"], false);
    api.knob("dnssec-refused", "on");
    let refused = api.refused("POST", "/v1/zones/unit.test", json!({"dnssec": true}));
    assert_eq!(refused.0, 400);
    assert!(
        refused
            .1
            .starts_with("DNSSEC support is not enabled for this account."),
        "{refused:?}"
    );
}

#[test]
fn requests_that_go_wrong() {
    let mut api = Api::with_zone();
    api.knob("server-errors", "1");
    assert_eq!(api.send("GET", "/v1/zones", &Value::Null).status.as_u16(), 503);
    api.knob("too-many-requests", "1");
    assert_eq!(api.send("GET", "/v1/zones", &Value::Null).status.as_u16(), 429);
    api.knob("html-answers", "1");
    assert!(matches!(
        api.send("GET", "/v1/zones", &Value::Null).body,
        Body::Html(_)
    ));
    api.knob("connection-resets", "1");
    let reset = api.send("PUT", "/v1/zones/new.test", &json!({}));
    assert_eq!(reset.body, Body::Reset);
    assert_eq!(
        api.get("/v1/zones").as_array().unwrap().len(),
        2,
        "it was done all the same"
    );
    assert_eq!(api.refused("PUT", "/lab/knobs", json!({"no-such": 1})).0, 400);
}

#[test]
fn a_file_goes_in_and_comes_out() {
    let mut api = Api::new();
    let file = include_str!("../../../../zones/example.zone");
    let mut request = Request::new(Method::PUT, "/v1/import/zonefile/example");
    request.key = Some(KEY.into());
    request.body = file.into();
    let now = api.now();
    let reply = api.account.handle(&request, now);
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(
        api.refused("PUT", "/v1/import/zonefile/example", Value::Null).0,
        409
    );
    assert_eq!(
        api.refused("GET", "/v1/export/zonefile/example/status", Value::Null)
            .0,
        404
    );
    api.ok("PUT", "/v1/export/zonefile/example", json!({}));
    assert_eq!(
        api.get("/v1/export/zonefile/example/status")["status"],
        "COMPLETED"
    );
    let text = api.get("/v1/export/zonefile/example");
    let text = text.as_str().unwrap().to_owned();
    assert!(
        text.contains("www.example.\t3600\tIN\tHTTPS\t1 . alpn="),
        "{text}"
    );
    request.path[3] = "example".into();
    api.ok("DELETE", "/v1/zones/example", Value::Null);
    request.body = text.clone().into();
    assert_eq!(api.account.handle(&request, now).status, StatusCode::OK);
    api.ok("PUT", "/v1/export/zonefile/example", json!({}));
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text
            .lines()
            .filter(|line| !line.contains("\tSOA\t"))
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    let again = api.get("/v1/export/zonefile/example");
    assert_eq!(sorted(again.as_str().unwrap()), sorted(&text));

    request.path[3] = "broken".into();
    request.body = b"@ SOA ns h 1 2 3 4 5\nwww A nonsense\n".to_vec();
    assert_eq!(api.account.handle(&request, now).status, StatusCode::BAD_REQUEST);
    assert_eq!(api.refused("GET", "/v1/zones/broken", Value::Null).0, 404);
}

#[test]
fn exports_break_as_they_are_told() {
    let mut api = Api::with_zone();
    api.ok(
        "PUT",
        "/v1/zones/unit.test/www.unit.test/A",
        json!({"answers": [{"answer": ["192.0.2.1"]}]}),
    );
    let (target, status) = (
        "/v1/export/zonefile/unit.test",
        "/v1/export/zonefile/unit.test/status",
    );
    for (way, expected) in [
        ("failed", "FAILED"),
        ("endless", "GENERATING"),
        ("empty", "COMPLETED"),
        ("off", "COMPLETED"),
    ] {
        api.knob("broken-export", way);
        api.ok("PUT", target, json!({}));
        assert_eq!(api.get(status)["status"], expected);
        let has_www = api.send("GET", target, &Value::Null);
        let has_www = matches!(&has_www.body, Body::Text(text) if text.contains("www"));
        assert_eq!(has_www, way == "off", "{way}");
    }
    api.knob("broken-export", "refused");
    assert_eq!(api.refused("PUT", target, json!({})).0, 403);
}

#[test]
fn tsig_keys_and_versions() {
    let mut api = Api::with_zone();
    let key = json!({"algorithm": "hmac-sha256", "secret": "V3PSkFBROAz=", "permissions": {}});
    api.ok("PUT", "/v1/tsig/key1", key.clone());
    assert_eq!(api.refused("PUT", "/v1/tsig/key1", key).0, 409);
    api.ok(
        "POST",
        "/v1/tsig/key1",
        json!({"algorithm": "hmac-sha512", "secret": null}),
    );
    assert_eq!(api.get("/v1/tsig/key1")["algorithm"], "hmac-sha512");
    assert_eq!(api.get("/v1/tsig").as_array().unwrap().len(), 1);
    api.ok("DELETE", "/v1/tsig/key1", Value::Null);
    assert_eq!(api.refused("GET", "/v1/tsig/key1", Value::Null).0, 404);

    let versions = "/v1/zones/unit.test/versions";
    let first = api.ok(
        "PUT",
        &format!("{versions}?force=false"),
        json!({"name": "unit.test"}),
    );
    assert_eq!((&first["id"], &first["active"]), (&json!(1), &json!(true)));
    api.ok("DELETE", "/v1/zones/unit.test/unit.test/NS", Value::Null);
    api.ok(
        "PUT",
        &format!("{versions}?force=true"),
        json!({"name": "unit.test"}),
    );
    api.ok("POST", &format!("{versions}/1/activate"), Value::Null);
    assert_eq!(
        api.get("/v1/zones/unit.test/unit.test/NS")["type"],
        RrType::NS.to_string()
    );
    assert_eq!(
        api.refused("DELETE", &format!("{versions}/1"), Value::Null).0,
        400
    );
    api.ok("DELETE", &format!("{versions}/2"), Value::Null);
    assert_eq!(api.get(versions).as_array().unwrap().len(), 1);
}
