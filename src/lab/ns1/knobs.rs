//! What can be set amiss, one row a knob: `--knob NAME=VALUE`, `PUT /lab/knobs`, [`Knobs::set`], and the faults of
//! the lab all read [`KNOBS`].
//!
//! Of the shapes that NS1's documents leave open, the first value of a knob is the likely one, and the default.

use std::{collections::BTreeMap, time::Duration};

use crate::wire::Ttl;

/// A knob.
#[derive(Debug)]
pub struct Knob {
    /// Two or more lower-case words with hyphens between.
    pub name: &'static str,
    /// What it does.
    pub what: &'static str,
    /// What may stand behind the `=`.
    pub values: &'static str,
    /// A value that shows it in the lab.
    pub fault: &'static str,
    set: fn(&mut Knobs, &str, Duration) -> Result<(), String>,
}

/// Servers are counted from 1, in the order they were given.
const SERVERS: &str = "SERVER,… or none";
const SERVER_TIMES: &str = "TIME for all, or SERVER:TIME,…";
const COUNT: &str = "NUMBER, or always";

/// Every knob.
pub static KNOBS: &[Knob] = &[
    Knob {
        name: "key-delay",
        what: "a change of keys shows at a server only after so long",
        values: SERVER_TIMES,
        fault: "1:0s,2:8s",
        set: |knobs, value, _| knobs.times(value).map(|times| knobs.key_delay = times),
    },
    Knob {
        name: "stuck-server",
        what: "no change of keys ever shows at these servers",
        values: SERVERS,
        fault: "2",
        set: |knobs, value, _| knobs.servers(value).map(|servers| knobs.stuck = servers),
    },
    Knob {
        name: "unpublished-keys",
        what: "the API takes external keys and lists them, and no server shows them",
        values: "on or off",
        fault: "on",
        set: |knobs, value, _| switch(value).map(|on| knobs.unpublished_keys = on),
    },
    Knob {
        name: "lost-keys",
        what: "so long from now all external key sets are dropped, without a word",
        values: "TIME",
        fault: "0s",
        set: |knobs, value, now| knobs.schedule(value, now, Event::LoseExternalKeys),
    },
    Knob {
        name: "early-keys",
        what: "external keys that come before DNSSEC is on: kept until it is, or dropped",
        values: "kept or dropped",
        fault: "dropped",
        set: |knobs, value, _| {
            choose(value, &[("kept", false), ("dropped", true)]).map(|on| knobs.early_keys_dropped = on)
        },
    },
    Knob {
        name: "zsk-roll",
        what: "a new ZSK without notice: published now, signing after this time, the old one gone after it again",
        values: "TIME",
        fault: "3s",
        set: |knobs, value, now| duration(value).map(|step| knobs.events.push((now, Event::RollZsk(step)))),
    },
    Knob {
        name: "ksk-roll",
        what: "a new KSK without notice, in the same steps",
        values: "TIME",
        fault: "3s",
        set: |knobs, value, now| duration(value).map(|step| knobs.events.push((now, Event::RollKsk(step)))),
    },
    Knob {
        name: "dnssec-off",
        what: "so long from now somebody switches DNSSEC off, in every zone",
        values: "TIME",
        fault: "0s",
        set: |knobs, value, now| knobs.schedule(value, now, Event::SwitchDnssecOff),
    },
    Knob {
        name: "dnssec-refused",
        what: "the account may not switch DNSSEC on",
        values: "on or off",
        fault: "on",
        set: |knobs, value, _| switch(value).map(|on| knobs.dnssec_refused = on),
    },
    Knob {
        name: "second-network",
        what: "zones are in a second network too, with keys of its own; the last server is its",
        values: "on or off",
        fault: "on",
        set: |knobs, value, _| switch(value).map(|on| knobs.second_network = on),
    },
    Knob {
        name: "single-csk",
        what: "keys that are made from now on are one CSK, not a KSK and a ZSK",
        values: "on or off",
        fault: "on",
        set: |knobs, value, _| switch(value).map(|on| knobs.single_csk = on),
    },
    Knob {
        name: "dnskey-ttl",
        what: "the TTL that the servers give the DNSKEY RRset, whatever the API says",
        values: "SECONDS, or usual (3600)",
        fault: "300",
        set: |knobs, value, _| usual(value).map(|ttl| knobs.dnskey_ttl = ttl.map(Ttl::new)),
    },
    Knob {
        name: "too-many-requests",
        what: "the next requests are answered 429",
        values: COUNT,
        fault: "4",
        set: |knobs, value, _| count(value).map(|left| knobs.bursts.too_many_requests = left),
    },
    Knob {
        name: "server-errors",
        what: "the next requests are answered 503",
        values: COUNT,
        fault: "3",
        set: |knobs, value, _| count(value).map(|left| knobs.bursts.server_errors = left),
    },
    Knob {
        name: "connection-resets",
        what: "the next requests are read, and then the connection is reset; writes have been done",
        values: COUNT,
        fault: "3",
        set: |knobs, value, _| count(value).map(|left| knobs.bursts.resets = left),
    },
    Knob {
        name: "html-answers",
        what: "the next requests are answered by a proxy: 200 and a page of HTML",
        values: COUNT,
        fault: "2",
        set: |knobs, value, _| count(value).map(|left| knobs.bursts.html = left),
    },
    Knob {
        name: "slow-api",
        what: "every request waits so long",
        values: "TIME",
        fault: "2s",
        set: |knobs, value, _| duration(value).map(|wait| knobs.slow_api = wait),
    },
    Knob {
        name: "rate-limit",
        what: "so many requests a period, for each endpoint and method",
        values: "REQUESTS/SECONDS, or usual (900/300 to read, 300/300 to write)",
        fault: "5/10",
        set: |knobs, value, _| rate(value).map(|rate| knobs.rate_limit = rate),
    },
    Knob {
        name: "page-size",
        what: "how many zones, or records of a zone, one page holds",
        values: "NUMBER, or usual (2500)",
        fault: "3",
        set: |knobs, value, _| usual(value).map(|size| knobs.page_size = size),
    },
    Knob {
        name: "slow-server",
        what: "these servers answer DNS only after so long",
        values: SERVER_TIMES,
        fault: "2:1500ms",
        set: |knobs, value, _| knobs.times(value).map(|times| knobs.slow = times),
    },
    Knob {
        name: "unreachable-server",
        what: "these servers answer no DNS at all",
        values: SERVERS,
        fault: "2",
        set: |knobs, value, _| knobs.servers(value).map(|servers| knobs.unreachable = servers),
    },
    Knob {
        name: "stale-server",
        what: "changes of records do not reach these servers",
        values: SERVERS,
        fault: "2",
        set: |knobs, value, _| knobs.servers(value).map(|servers| knobs.stale = servers),
    },
    Knob {
        name: "number-shape",
        what: "how flags, protocol, algorithm and TTL of external keys are written",
        values: "number or string",
        fault: "string",
        set: |knobs, value, _| {
            choose(value, &[("number", false), ("string", true)]).map(|on| knobs.shapes.strings = on)
        },
    },
    Knob {
        name: "set-shape",
        what: "an external key set is wrapped as {\"dnskey\": …}, or bare",
        values: "wrapped or bare",
        fault: "bare",
        set: |knobs, value, _| {
            choose(value, &[("wrapped", false), ("bare", true)]).map(|on| knobs.shapes.bare = on)
        },
    },
    Knob {
        name: "list-shape",
        what: "all external key sets are a map by name, or an array of sets with a name",
        values: "map or array",
        fault: "array",
        set: |knobs, value, _| {
            choose(value, &[("map", false), ("array", true)]).map(|on| knobs.shapes.array = on)
        },
    },
    Knob {
        name: "strict-shapes",
        what: "external key sets in another shape than these are refused",
        values: "on or off",
        fault: "on",
        set: |knobs, value, _| switch(value).map(|on| knobs.shapes.strict = on),
    },
    Knob {
        name: "dnssec-reply",
        what: "the keys in the reply of /dnssec: NS1's own, or all that are published",
        values: "own or all",
        fault: "all",
        set: |knobs, value, _| {
            choose(value, &[("own", false), ("all", true)]).map(|on| knobs.external_in_reply = on)
        },
    },
    Knob {
        name: "transfer-keys",
        what: "outgoing zone transfers hold the DNSKEY records",
        values: "on or off",
        fault: "on",
        set: |knobs, value, _| switch(value).map(|on| knobs.transfer_keys = on),
    },
    Knob {
        name: "broken-export",
        what: "what is wrong with zone exports",
        values: "garbage, truncated, empty, failed, endless, refused or off",
        fault: "truncated",
        set: |knobs, value, _| {
            let ways = [
                ("garbage", Export::Garbage),
                ("truncated", Export::Truncated),
                ("empty", Export::Empty),
                ("failed", Export::Failed),
                ("endless", Export::Endless),
                ("refused", Export::Refused),
                ("off", Export::Good),
            ];
            choose(value, &ways).map(|way| knobs.export = way)
        },
    },
];

/// How many events may wait: knobs are turned by hand, and by tests.
const MAX_EVENTS: usize = 256;
/// The longest time a knob takes, so that sums of times cannot overflow.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Something that happens at NS1 of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// All external key sets are dropped.
    LoseExternalKeys,
    /// A new ZSK, in steps of this length.
    RollZsk(Duration),
    /// A new KSK, in steps of this length.
    RollKsk(Duration),
    /// DNSSEC is switched off.
    SwitchDnssecOff,
}

/// What is wrong with an export.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Export {
    /// Nothing.
    #[default]
    Good,
    /// It is no zone file.
    Garbage,
    /// It ends in the middle of a record.
    Truncated,
    /// It holds a SOA and NS, and nothing else.
    Empty,
    /// Its status becomes FAILED.
    Failed,
    /// Its status never becomes COMPLETED.
    Endless,
    /// It is not to be had: 403.
    Refused,
}

/// How external key sets are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Shapes {
    /// Numbers are strings.
    pub strings: bool,
    /// A set is not wrapped.
    pub bare: bool,
    /// The list of sets is an array.
    pub array: bool,
    /// Nothing else is taken.
    pub strict: bool,
}

/// How many of the next requests go wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bursts {
    /// 429.
    pub too_many_requests: u32,
    /// 503.
    pub server_errors: u32,
    /// A reset.
    pub resets: u32,
    /// HTML.
    pub html: u32,
}

/// A request that goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mishap {
    /// 429.
    TooManyRequests,
    /// 503.
    ServerError,
    /// A reset after it was done.
    Reset,
    /// HTML.
    Html,
}

impl Bursts {
    /// What goes wrong with this request.
    pub fn take(&mut self) -> Option<Mishap> {
        let waiting = [
            (&mut self.too_many_requests, Mishap::TooManyRequests),
            (&mut self.server_errors, Mishap::ServerError),
            (&mut self.html, Mishap::Html),
            (&mut self.resets, Mishap::Reset),
        ];
        let (left, mishap) = waiting.into_iter().find(|(left, _)| **left > 0)?;
        if *left < u32::MAX {
            *left -= 1;
        }
        Some(mishap)
    }
}

/// How the knobs stand.
#[derive(Clone, Debug, Default)]
pub struct Knobs {
    server_count: usize,
    /// What was set, for people.
    settings: BTreeMap<&'static str, String>,
    /// By server: how long a change of keys takes.
    pub key_delay: Vec<Duration>,
    /// Servers that no change of keys reaches.
    pub stuck: Vec<usize>,
    /// Servers that no change of records reaches.
    pub stale: Vec<usize>,
    /// Servers that answer nothing.
    pub unreachable: Vec<usize>,
    /// By server: how long an answer takes.
    pub slow: Vec<Duration>,
    /// External keys are not published.
    pub unpublished_keys: bool,
    /// External keys that come while DNSSEC is off are dropped.
    pub early_keys_dropped: bool,
    /// DNSSEC may not be switched on.
    pub dnssec_refused: bool,
    /// A second network with keys of its own.
    pub second_network: bool,
    /// New keys are one CSK.
    pub single_csk: bool,
    /// Another TTL of the DNSKEY RRset.
    pub dnskey_ttl: Option<Ttl>,
    /// Requests that go wrong.
    pub bursts: Bursts,
    /// How long a request waits.
    pub slow_api: Duration,
    /// Requests and period, instead of the usual.
    pub rate_limit: Option<(u32, u32)>,
    /// Instead of the usual.
    pub page_size: Option<u32>,
    /// How external key sets are written.
    pub shapes: Shapes,
    /// `/dnssec` shows external keys too.
    pub external_in_reply: bool,
    /// Transfers hold DNSKEY records.
    pub transfer_keys: bool,
    /// What is wrong with exports.
    pub export: Export,
    /// What happens, and when in steady time.
    pub events: Vec<(Duration, Event)>,
}

/// Why a knob was not set.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KnobError {
    /// No such knob.
    #[error("there is no knob {0:?}; `countersign lab ns1 --help` lists them")]
    Unknown(String),
    /// It has no such value.
    #[error("{name}: {value:?} is not its value: {reason}; it takes {values}")]
    Value {
        /// The knob.
        name: &'static str,
        /// What was given.
        value: String,
        /// Why it is no value.
        reason: String,
        /// What it takes.
        values: &'static str,
    },
}

impl Knobs {
    /// Knobs that are not set, for so many servers.
    pub fn new(server_count: usize) -> Self {
        Self {
            server_count,
            ..Self::default()
        }
    }

    /// Sets a knob; `now` is steady time, from which its times count.
    ///
    /// # Errors
    /// When there is no such knob, or it has no such value.
    pub fn set(&mut self, name: &str, value: &str, now: Duration) -> Result<(), KnobError> {
        let knob = KNOBS.iter().find(|knob| knob.name == name);
        let knob = knob.ok_or_else(|| KnobError::Unknown(name.into()))?;
        (knob.set)(self, value, now).map_err(|reason| KnobError::Value {
            name: knob.name,
            value: value.into(),
            reason,
            values: knob.values,
        })?;
        self.events.truncate(MAX_EVENTS);
        self.settings.insert(knob.name, value.into());
        Ok(())
    }

    /// What was set, by name.
    pub fn settings(&self) -> &BTreeMap<&'static str, String> {
        &self.settings
    }

    /// Takes out the events that are due.
    pub fn take_due(&mut self, now: Duration) -> Vec<Event> {
        let mut due = Vec::new();
        self.events.retain(|(at, event)| {
            if *at <= now {
                due.push(*event);
            }
            *at > now
        });
        due
    }

    fn schedule(&mut self, value: &str, now: Duration, event: Event) -> Result<(), String> {
        let after = duration(value)?;
        self.events.push((now + after, event));
        Ok(())
    }

    /// A server's number, as an index.
    fn server(&self, text: &str) -> Result<usize, String> {
        let number = text.parse::<usize>().ok();
        number
            .filter(|number| (1..=self.server_count).contains(number))
            .map(|number| number - 1)
            .ok_or_else(|| format!("servers have the numbers 1 to {}", self.server_count))
    }

    fn servers(&self, value: &str) -> Result<Vec<usize>, String> {
        if value == "none" {
            return Ok(Vec::new());
        }
        value.split(',').map(|text| self.server(text)).collect()
    }

    fn times(&self, value: &str) -> Result<Vec<Duration>, String> {
        if !value.contains(':') {
            return Ok(vec![duration(value)?; self.server_count]);
        }
        let mut times = vec![Duration::ZERO; self.server_count];
        for part in value.split(',') {
            let (server, time) = part.split_once(':').ok_or("a part has no colon")?;
            times[self.server(server)?] = duration(time)?;
        }
        Ok(times)
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number
        .parse()
        .map_err(|_| "a time is a number and ms, s, m or h")?;
    let time = match unit {
        "ms" => Duration::from_millis(number),
        "s" | "" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.saturating_mul(60)),
        "h" => Duration::from_secs(number.saturating_mul(3_600)),
        _ => return Err("a time ends in ms, s, m or h".into()),
    };
    Ok(time.min(LONGEST))
}

fn choose<T: Copy>(value: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let chosen = choices.iter().find(|(name, _)| *name == value);
    chosen
        .map(|(_, choice)| *choice)
        .ok_or_else(|| "it is none of them".into())
}

fn switch(value: &str) -> Result<bool, String> {
    choose(value, &[("on", true), ("off", false)])
}

fn count(value: &str) -> Result<u32, String> {
    match value {
        "always" => Ok(u32::MAX),
        _ => value.parse().map_err(|_| "it is no number".into()),
    }
}

fn usual(value: &str) -> Result<Option<u32>, String> {
    match value {
        "usual" => Ok(None),
        _ => match value.parse() {
            Ok(0) | Err(_) => Err("it is no number above 0".into()),
            Ok(number) => Ok(Some(number)),
        },
    }
}

fn rate(value: &str) -> Result<Option<(u32, u32)>, String> {
    if value == "usual" {
        return Ok(None);
    }
    let (requests, seconds) = value.split_once('/').ok_or("there is no slash")?;
    match (requests.parse(), seconds.parse()) {
        (Ok(requests), Ok(seconds)) if requests > 0 && seconds > 0 => Ok(Some((requests, seconds))),
        _ => Err("both are numbers above 0".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn every_row_can_be_shown_as_a_fault() {
        let mut names = Vec::new();
        for knob in KNOBS {
            let words: Vec<&str> = knob.name.split('-').collect();
            let lower =
                |word: &&str| !word.is_empty() && word.bytes().all(|octet| octet.is_ascii_lowercase());
            assert!(words.len() >= 2 && words.iter().all(lower), "{}", knob.name);
            let mut knobs = Knobs::new(2);
            knobs.set(knob.name, knob.fault, NOW).unwrap();
            assert_eq!(knobs.settings()[knob.name], knob.fault);
            let fault = knobs.set(knob.name, "no such value!", NOW).unwrap_err();
            assert!(fault.to_string().contains(knob.values), "{fault}");
            names.push(knob.name);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KNOBS.len(), "each name once");
        let unknown = Knobs::new(2).set("no-such", "1", NOW).unwrap_err();
        assert_eq!(unknown, KnobError::Unknown("no-such".into()));
    }

    #[test]
    fn values_are_read() {
        let mut knobs = Knobs::new(2);
        knobs.set("key-delay", "1500ms", NOW).unwrap();
        assert_eq!(knobs.key_delay, [Duration::from_millis(1_500); 2]);
        knobs.set("key-delay", "2:1m", NOW).unwrap();
        assert_eq!(knobs.key_delay, [Duration::ZERO, Duration::from_secs(60)]);
        knobs.set("unreachable-server", "1,2", NOW).unwrap();
        assert_eq!(knobs.unreachable, [0, 1]);
        assert!(knobs.set("unreachable-server", "3", NOW).is_err());
        assert!(knobs.set("unreachable-server", "0", NOW).is_err());
        knobs.set("unreachable-server", "none", NOW).unwrap();
        assert_eq!(knobs.unreachable, [0; 0]);
        knobs.set("rate-limit", "10/2", NOW).unwrap();
        assert_eq!(knobs.rate_limit, Some((10, 2)));
        knobs.set("lost-keys", "5", NOW).unwrap();
        assert_eq!(knobs.take_due(NOW), []);
        let later = NOW + Duration::from_secs(5);
        assert_eq!(knobs.take_due(later), [Event::LoseExternalKeys]);
        assert_eq!(knobs.take_due(later), []);
    }

    #[test]
    fn a_burst_ends_and_always_does_not() {
        let mut knobs = Knobs::new(2);
        knobs.set("server-errors", "2", NOW).unwrap();
        let burst: Vec<_> = (0..3).map(|_| knobs.bursts.take()).collect();
        assert_eq!(
            burst,
            [Some(Mishap::ServerError), Some(Mishap::ServerError), None]
        );
        knobs.set("html-answers", "always", NOW).unwrap();
        assert!((0..100).all(|_| knobs.bursts.take() == Some(Mishap::Html)));
    }
}
