//! A small NS1 for tests of the driver: what the facts about its API say, and every way of failing on demand. It
//! serves no DNS.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::{KeySource, Nesting, Ns1, Settings, Values, WireForm};
use crate::dnssec::{algorithm::Algorithm, key::Dnskey};

/// The key that it takes; whoever finds it in a message has found a leak.
pub(crate) const CANARY: &str = "qYp7C4naryKeyZ3t81Wv";
/// Our zone at the fake.
pub(crate) const ZONE: &str = "example.com";

/// A key that NS1 or somebody else could have.
pub(crate) fn key(flags: u16, number: u8) -> Dnskey {
    Dnskey::new(flags, Algorithm::ECDSAP256SHA256, &[number; 64])
}

/// How a list of key sets is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// By name.
    Map,
    /// Objects with a name.
    Array,
    /// Names alone; each set is asked for.
    Names,
}

/// What happens to a request instead of, or beside, what it asks for.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This reply: status, headers, body.
    Reply(u16, &'static str, String),
    /// The connection is closed without a word.
    Break,
    /// It is done, and then the connection is closed.
    DoAndBreak,
    /// It is done, and then answered with this status.
    DoAndSay(u16),
    /// Nothing is ever answered.
    Hang,
}

#[derive(Debug)]
pub(crate) struct ZoneAtNs1 {
    pub signed: bool,
    pub own: Vec<Dnskey>,
    pub sets: BTreeMap<String, Value>,
    pub serial: u32,
    /// Owner, type, body.
    pub records: Vec<(String, String, Value)>,
    pub export: Result<String, String>,
    pub polls: u32,
}

#[derive(Debug)]
pub(crate) struct World {
    pub zones: BTreeMap<String, ZoneAtNs1>,
    /// Faults in order, each for requests that begin with the text.
    pub faults: VecDeque<(String, Fault)>,
    /// A fault for every request that begins with the text.
    pub always: Option<(String, Fault)>,
    /// Every request: method and path.
    pub seen: Vec<String>,
    /// The bodies of writes.
    pub sent: Vec<Value>,
    pub layout: Layout,
    /// How it shows sets.
    pub shows: WireForm,
    /// The only form that it takes.
    pub takes: Option<WireForm>,
    /// It says yes to a set, and forgets it.
    pub forgets: bool,
    /// POST adds to a set.
    pub adds: bool,
    /// The TTL that it gives every set.
    pub own_ttl: Option<u32>,
    /// How many lists are answered as of before the last write.
    pub late: u32,
    pub page: usize,
    /// How often the zone still changes while its records are read.
    pub moves: u32,
    pub limits: &'static str,
}

/// The fake, until it is dropped.
#[derive(Debug)]
pub(crate) struct Fake {
    pub address: SocketAddr,
    world: Arc<Mutex<World>>,
    task: tokio::task::JoinHandle<()>,
    folder: tempfile::TempDir,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    /// With one zone, signed, two keys of its own and a set of somebody else.
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    /// The same over TLS, with a certificate that it makes itself for 127.0.0.1, which is `ca.pem` in its folder.
    pub(crate) async fn start_tls() -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let fake = Self::start_with(Some(TlsAcceptor::from(Arc::new(config)))).await;
        std::fs::write(fake.folder.path().join("ca.pem"), made.cert.pem()).unwrap();
        fake
    }

    async fn start_with(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, format!("{CANARY}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let other = json!({"ttl": 3600, "data": [
            {"flags": 256, "protocol": 3, "algorithm": 13, "public_key": base64(&key(256, 77))}]});
        let zone = ZoneAtNs1 {
            signed: true,
            own: vec![key(257, 1), key(256, 2)],
            sets: BTreeMap::from([("other".to_owned(), other)]),
            serial: 1_473_863_358,
            records: records(),
            export: Err("not for this account".into()),
            polls: 2,
        };
        let world = Arc::new(Mutex::new(World {
            zones: BTreeMap::from([(ZONE.to_owned(), zone)]),
            faults: VecDeque::new(),
            always: None,
            seen: Vec::new(),
            sent: Vec::new(),
            layout: Layout::Map,
            shows: WireForm::default(),
            takes: None,
            forgets: false,
            adds: false,
            own_ttl: None,
            late: 0,
            page: 2_500,
            moves: 0,
            limits: "X-RateLimit-Limit: 90000\r\nX-RateLimit-Period: 300\r\nX-RateLimit-Remaining: 80000\r\n",
        }));
        let shared = world.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, world) = (tls.clone(), shared.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, world).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, world).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            address,
            world,
            task,
            folder,
        }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Settings with which the driver finds it; little patience.
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::new("ns1", KeySource::File(self.folder.path().join("key")));
        settings.endpoint = format!("http://{}/v1/", self.address);
        settings.deadline = Duration::from_secs(3);
        settings
    }

    pub(crate) fn driver(&self) -> Ns1 {
        Ns1::new(self.settings()).unwrap()
    }

    /// A fault for the next request that begins with `request`.
    pub(crate) fn fault(&self, request: &str, fault: Fault) {
        self.world().faults.push_back((request.into(), fault));
    }

    /// Requests seen since the last time.
    pub(crate) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.world().seen)
    }

    /// A file of its folder: `key`, `ca.pem`.
    pub(crate) fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

fn base64(key: &Dnskey) -> String {
    data_encoding::BASE64.encode(key.public_key())
}

fn records() -> Vec<(String, String, Value)> {
    let record = |owner: &str, rtype: &str, answers: Value| {
        let body = json!({"domain": owner, "type": rtype, "zone": ZONE, "ttl": 300, "answers": answers,
            "filters": [], "link": null});
        (owner.to_owned(), rtype.to_owned(), body)
    };
    vec![
        record(
            ZONE,
            "NS",
            json!([{"answer": ["dns1.p09.nsone.net"]}, {"answer": ["dns2.p09.nsone.net."]}]),
        ),
        record(ZONE, "MX", json!([{"answer": [10, "mx.example.com."]}])),
        record(ZONE, "CAA", json!([{"answer": ["0", "issue", "ca.test"]}])),
        record(ZONE, "DNSKEY", json!([])),
        record(
            "www.example.com",
            "A",
            json!([{"answer": ["192.0.2.1"]}, {"answer": ["192.0.2.2"]}]),
        ),
        record("www.example.com", "RRSIG", json!([])),
        record("txt.example.com", "TXT", json!([{"answer": ["a;b \"c\""]}])),
        record(
            "go.example.com",
            "URLFWD",
            json!([{"answer": ["/", "https://example.net", "302"]}]),
        ),
    ]
}

struct Request {
    line: String,
    key: Option<String>,
    body: Vec<u8>,
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, world: Arc<Mutex<World>>) {
    while let Some(request) = read(&mut stream).await {
        let fault = {
            let mut world = world.lock().unwrap();
            world.seen.push(request.line.clone());
            world.take_fault(&request.line)
        };
        let (status, headers, body) = match fault {
            None => world.lock().unwrap().answer(&request),
            Some(Fault::Reply(status, headers, body)) => (status, headers.to_owned(), body),
            Some(Fault::DoAndSay(status)) => {
                world.lock().unwrap().answer(&request);
                (status, String::new(), r#"{"message":"sorry"}"#.into())
            }
            Some(Fault::DoAndBreak) => {
                world.lock().unwrap().answer(&request);
                return;
            }
            Some(Fault::Break) => return,
            Some(Fault::Hang) => return std::future::pending().await,
        };
        let head = format!(
            "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nContent-Type: application/json\r\n{headers}\r\n",
            body.len()
        );
        if stream
            .write_all(&[head.as_bytes(), body.as_bytes()].concat())
            .await
            .is_err()
        {
            return;
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let length = header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let mut words = head.split(' ');
    Some(Request {
        line: format!("{} {}", words.next()?, words.next()?),
        key: header("x-nsone-key"),
        body,
    })
}

type Answer = (u16, String, String);

fn say(status: u16, message: &str) -> Answer {
    (status, String::new(), json!({ "message": message }).to_string())
}

impl World {
    fn take_fault(&mut self, line: &str) -> Option<Fault> {
        if let Some(index) = self
            .faults
            .iter()
            .position(|(start, _)| line.starts_with(start.as_str()))
        {
            return self.faults.remove(index).map(|(_, fault)| fault);
        }
        let (start, fault) = self.always.as_ref()?;
        line.starts_with(start.as_str()).then(|| fault.clone())
    }

    fn answer(&mut self, request: &Request) -> Answer {
        if request.key.as_deref() != Some(CANARY) {
            return say(
                401,
                &format!("Unauthorized: {}", request.key.clone().unwrap_or_default()),
            );
        }
        let body: Value = match request.body.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&request.body).unwrap(),
        };
        let (method, path) = request.line.split_once(' ').unwrap();
        if method != "GET" {
            self.sent.push(body.clone());
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        let (status, headers, text) = match (method, &parts[..]) {
            ("GET", ["networks"]) => (
                200,
                String::new(),
                r#"[{"network_id":0,"label":"managed","name":"NSONE"}]"#.into(),
            ),
            (_, ["zones", zone, rest @ ..]) if self.zones.contains_key(*zone) => {
                self.zone(method, zone, rest, query, &body)
            }
            (_, ["export", "zonefile", zone, rest @ ..]) if self.zones.contains_key(*zone) => {
                self.export(method, zone, rest)
            }
            _ => say(404, "zone not found"),
        };
        (status, headers + self.limits, text)
    }

    fn zone(&mut self, method: &str, zone: &str, rest: &[&str], query: &str, body: &Value) -> Answer {
        let page = self.page;
        match (method, rest) {
            ("GET", []) => self.zones[zone].page(zone, query, page),
            ("POST", []) => {
                let zone = self.zones.get_mut(zone).unwrap();
                assert_eq!(*body, json!({"dnssec": true}), "sent alone");
                zone.signed = true;
                (200, String::new(), "{}".into())
            }
            ("GET", ["dnssec"]) => self.dnssec(zone),
            (_, ["dnssec", "external_keys", ..]) => self.external(method, zone, rest.get(2).copied(), body),
            (_, [owner, rtype]) => self.record(method, zone, owner, rtype, body),
            _ => say(404, "not found"),
        }
    }

    fn dnssec(&self, zone: &str) -> Answer {
        let zone = &self.zones[zone];
        if !zone.signed {
            return say(404, "DNSSEC is not enabled on the zone");
        }
        let row = |key: &Dnskey| -> Vec<String> { key.to_string().split(' ').map(str::to_owned).collect() };
        let mut keys: Vec<Vec<String>> = zone.own.iter().map(row).collect();
        for set in zone.sets.values() {
            let (set, _) = super::model::external::read_set(set);
            keys.extend(set.keys.iter().map(row));
        }
        let body = json!({"zone": "example.com.", "keys": {"ttl": 3600, "dnskey": keys},
            "delegation": {"ttl": 3600, "dnskey": [row(&zone.own[0])]}});
        (200, String::new(), body.to_string())
    }

    fn external(&mut self, method: &str, zone: &str, set: Option<&str>, body: &Value) -> Answer {
        let (shows, layout) = (self.shows, self.layout);
        let show = |set: &Value| {
            let (set, _) = super::model::external::read_set(set);
            super::model::external::write_set(&set.keys, set.ttl.unwrap(), shows)
        };
        let zone = self.zones.get_mut(zone).unwrap();
        match (method, set) {
            ("GET", None) => {
                self.late = self.late.saturating_sub(1);
                let hidden = self.late > 0;
                let sets = zone.sets.iter().filter(|(name, _)| !hidden || *name == "other");
                let list = match layout {
                    Layout::Map => Value::Object(sets.map(|(name, set)| (name.clone(), show(set))).collect()),
                    Layout::Array => sets
                        .map(|(name, set)| {
                            let mut set = show(set);
                            set["name"] = json!(name);
                            set
                        })
                        .collect(),
                    Layout::Names => sets.map(|(name, _)| json!(name)).collect(),
                };
                (200, String::new(), list.to_string())
            }
            ("GET", Some(name)) => match zone.sets.get(name) {
                Some(set) => (200, String::new(), show(set).to_string()),
                None => say(404, "key set not found"),
            },
            ("PUT", Some(name)) if zone.sets.contains_key(name) => say(409, "key set already exists"),
            ("POST", Some(name)) if !zone.sets.contains_key(name) => say(404, "key set not found"),
            ("PUT" | "POST", Some(name)) => {
                let nesting = if body.get("dnskey").is_some() {
                    Nesting::Wrapped
                } else {
                    Nesting::Bare
                };
                let inner = body.get("dnskey").unwrap_or(body);
                let values = if inner["data"][0]["flags"].is_number() {
                    Values::Numbers
                } else {
                    Values::Strings
                };
                if self
                    .takes
                    .is_some_and(|takes| takes != WireForm { nesting, values })
                {
                    return say(400, "Input validation failed");
                }
                let mut inner = inner.clone();
                if let Some(ttl) = self.own_ttl {
                    inner["ttl"] = json!(ttl);
                }
                if let Some(held) = zone.sets.get(name).filter(|_| self.adds) {
                    let (old, _) = super::model::external::read_set(held);
                    let old = super::model::external::write_set(
                        &old.keys,
                        old.ttl.unwrap(),
                        WireForm {
                            nesting: Nesting::Bare,
                            values,
                        },
                    );
                    let rows = old["data"].as_array().unwrap().clone();
                    inner["data"].as_array_mut().unwrap().extend(rows);
                }
                if !self.forgets {
                    zone.sets.insert(name.into(), inner);
                }
                (200, String::new(), "{}".into())
            }
            ("DELETE", Some(name)) => match zone.sets.remove(name) {
                Some(_) => (204, String::new(), String::new()),
                None => say(404, "key set not found"),
            },
            _ => say(405, "method not allowed"),
        }
    }

    fn record(&mut self, method: &str, zone: &str, owner: &str, rtype: &str, body: &Value) -> Answer {
        let zone = self.zones.get_mut(zone).unwrap();
        if method == "GET" && self.moves > 0 {
            self.moves -= 1;
            zone.serial += 1;
        }
        let records = &mut zone.records;
        let found = records
            .iter_mut()
            .find(|(found, kind, _)| found == owner && kind == rtype);
        match (method, found) {
            ("GET", Some((.., record))) => (200, String::new(), record.to_string()),
            ("GET" | "POST", None) => say(404, "record not found"),
            ("DELETE", Some(_)) => {
                records.retain(|(found, kind, _)| found != owner || kind != rtype);
                (200, String::new(), "{}".into())
            }
            ("DELETE", None) => say(404, "record not found"),
            ("PUT", Some(_)) => say(400, "record already exists"),
            ("POST", Some((.., record))) => {
                record["answers"] = body["answers"].clone();
                record["ttl"] = body["ttl"].clone();
                (200, String::new(), record.to_string())
            }
            ("PUT", None) => {
                records.push((owner.into(), rtype.into(), body.clone()));
                (200, String::new(), body.to_string())
            }
            _ => say(405, "method not allowed"),
        }
    }

    fn export(&mut self, method: &str, zone: &str, rest: &[&str]) -> Answer {
        let zone = self.zones.get_mut(zone).unwrap();
        match (method, rest) {
            ("PUT", []) => match &zone.export {
                Ok(_) => (200, String::new(), r#"{"status":"QUEUED"}"#.into()),
                Err(why) => say(403, why),
            },
            ("GET", ["status"]) => {
                zone.polls = zone.polls.saturating_sub(1);
                let status = match (zone.polls, &zone.export) {
                    (1.., _) => json!({"status": "GENERATING"}),
                    (0, Ok(text)) if text == "fail" => json!({"status": "FAILED", "message": "internal"}),
                    (0, _) => json!({"status": "COMPLETED"}),
                };
                (200, String::new(), status.to_string())
            }
            ("GET", []) => (200, String::new(), zone.export.clone().unwrap()),
            _ => say(405, "method not allowed"),
        }
    }
}

impl ZoneAtNs1 {
    fn page(&self, zone: &str, query: &str, page: usize) -> Answer {
        let mut body = json!({"zone": zone, "serial": self.serial, "ttl": 3600, "nx_ttl": 300, "refresh": 43200,
            "retry": 7200, "expiry": 1209600, "hostmaster": "hostmaster@nsone.net", "link": null,
            "dns_servers": ["dns1.p09.nsone.net", "dns2.p09.nsone.net."], "networks": [0], "dnssec": self.signed});
        if query == "records=false" {
            return (200, String::new(), body.to_string());
        }
        let from: usize = query
            .strip_prefix("after=")
            .map_or(0, |after| after.parse().unwrap());
        let rows: Vec<Value> = self
            .records
            .iter()
            .skip(from)
            .take(page)
            .map(|(owner, rtype, _)| json!({"domain": owner, "type": rtype, "ttl": 300, "tier": 1}))
            .collect();
        let next = from + rows.len();
        body["records"] = json!(rows);
        let link = match next < self.records.len() {
            true => format!("Link: </v1/zones/{zone}?after={next}>; rel=\"next\"\r\n"),
            false => String::new(),
        };
        (200, link, body.to_string())
    }
}
