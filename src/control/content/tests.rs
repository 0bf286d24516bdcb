//! Content that is fetched, without a network: what comes in, what is kept of it, and what a start makes of that.

use std::{fs, path::Path, sync::Arc};

use super::{
    incoming::{NotChanged, Receiver, Unusable, read_copy},
    *,
};
use crate::{
    answer::{Engine, EngineSettings},
    client::transfer::Delta,
    clock::{SimulatedClock, UnixTime, guard::GuardedClock},
    config,
    control::Server,
    store::{Absent, Store, replica::Replica},
    wire::{Class, Name, Serial, received::Record},
    zone::{
        compare,
        master::{Source, read},
    },
};

const NOW: UnixTime = UnixTime(1_800_000_000);
const LIMIT: Ttl = Ttl::new(86_400);

fn apex() -> Name {
    "example.".parse().unwrap()
}

fn records(text: &str) -> Vec<Record> {
    let source = Source::Text {
        name: "test",
        octets: text.as_bytes(),
    };
    let mut records = Vec::new();
    let read = read(&source, apex().as_ref(), &mut |entry| {
        records.push(Record {
            owner: entry.owner.to_owned(),
            rtype: entry.rtype,
            class: Class::IN,
            ttl: entry.ttl,
            rdata: entry.rdata.into(),
        });
    });
    assert!(read.errors.is_empty(), "{:?}", read.errors);
    records
}

fn soa(serial: u32) -> String {
    format!("@ 300 SOA ns h {serial} 3600 600 86400 300\n")
}

/// A signed zone as a primary gives it: one name a number, and what it signed.
fn zone(serial: u32, names: std::ops::Range<u32>) -> Vec<Record> {
    let mut text = soa(serial) + "@ 300 NS ns\nns 300 A 192.0.2.1\n";
    for name in names {
        text += &format!("n{name} 300 TXT \"{name}\"\nn{name} 300 NSEC ns.example. TXT NSEC\n");
    }
    text += "@ 300 DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==\n";
    records(&text)
}

fn delta(from: u32, removed: &str, added: &str) -> Delta {
    Delta {
        from: Serial(from),
        to: Serial(from + 1),
        removed: records(&(soa(from) + removed)),
        added: records(&(soa(from + 1) + added)),
    }
}

struct Kept {
    _state: tempfile::TempDir,
    replica: Replica,
    hasher: ahash::RandomState,
}

impl Kept {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        Self {
            replica: Replica::new(state.path(), &apex()),
            hasher: ahash::RandomState::new(),
            _state: state,
        }
    }

    fn receive(&mut self, records: &[Record]) -> Result<Content, Unusable> {
        let mut receiver =
            Receiver::begin(&apex(), "axfr".into(), LIMIT, &self.replica, &self.hasher).unwrap();
        records.iter().for_each(|record| receiver.take(record));
        let (content, new) = receiver.finish()?;
        self.replica
            .finish(new, Serial(content.zone.serial()), NOW)
            .unwrap();
        Ok(content)
    }

    fn read(&mut self) -> Content {
        let (content, current_at) = read_copy(&apex(), LIMIT, &mut self.replica, &self.hasher)
            .unwrap()
            .unwrap();
        assert_eq!(current_at, NOW);
        content
    }

    fn change(&mut self, content: &Content, deltas: &[Delta]) -> Content {
        let (changed, ..) = content.changed(deltas, LIMIT, &self.hasher).unwrap();
        self.replica.append(deltas).unwrap();
        changed
    }
}

fn assert_same(a: &Content, b: &Content) {
    let found = compare::zones(&a.zone, &b.zone);
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(a.left_out_keys, b.left_out_keys);
}

#[test]
fn what_is_kept_is_what_is_served_after_changes_and_after_a_new_base() {
    let mut kept = Kept::new();
    let first = kept.receive(&zone(1, 0..5)).unwrap();
    let fetched = first.fetched.as_ref().unwrap();
    assert_eq!((fetched.left_out, &fetched.digest), (6, &Digest::Absent));
    assert_eq!(first.left_out_keys.len(), 1);
    assert_same(&kept.read(), &first);
    let second = kept.change(
        &first,
        &[
            delta(1, "n1 300 TXT \"1\"\n", "n1 300 TXT \"one\"\nN7 300 TXT \"7\"\n"),
            delta(
                2,
                "n7 300 TXT \"7\"\nn2 300 TXT \"2\"\n",
                "n2 300 NSEC n3.example. TXT NSEC\n",
            ),
        ],
    );
    assert_eq!(second.zone.serial(), 3);
    let read = kept.read();
    assert_same(&read, &second);
    assert_eq!(
        read.fingerprint, second.fingerprint,
        "of records, whatever way they came"
    );
    // From scratch, too.
    let mut scratch = Kept::new();
    let mut whole = zone(3, 0..5);
    whole.retain(|record| {
        record.rtype != RrType::TXT || !["n1.example.", "n2.example."].contains(&&*record.owner.to_string())
    });
    whole.extend(records("n1 300 TXT \"one\"\n"));
    assert_same(&scratch.receive(&whole).unwrap(), &second);
    second.rewrite(&mut kept.replica, NOW).unwrap();
    let again = kept.read();
    assert_same(&again, &second);
    assert_eq!(again.fetched, second.fetched);
    // It goes on from there.
    let third = kept.change(&again, &[delta(3, "n3 300 TXT \"3\"\n", "")]);
    assert_same(&kept.read(), &third);
}

#[test]
fn changes_that_do_not_fit_or_bring_a_digest_are_not_made() {
    let mut kept = Kept::new();
    let content = kept.receive(&zone(1, 0..5)).unwrap();
    let refused = |delta| content.changed(&[delta], LIMIT, &kept.hasher).unwrap_err();
    assert!(matches!(
        refused(delta(1, "n9 300 TXT \"9\"\n", "")),
        NotChanged::Change(_)
    ));
    let digest = format!("@ 300 ZONEMD 2 1 1 {}\n", "00".repeat(48));
    assert!(matches!(refused(delta(1, "", &digest)), NotChanged::Digest));
}

#[test]
fn a_version_that_is_no_zone_or_not_what_it_says_leaves_what_is_kept() {
    let mut kept = Kept::new();
    let first = kept.receive(&zone(1, 0..5)).unwrap();
    let no_ns: Vec<Record> = zone(2, 0..5)
        .into_iter()
        .filter(|record| record.rtype != RrType::NS)
        .collect();
    let error = kept.receive(&no_ns).unwrap_err();
    assert_eq!(
        error.to_string(),
        "it makes no zone: example. has no NS records; name its servers"
    );
    let mut spoiled = zone(2, 0..5);
    spoiled.extend(records(&format!("@ 300 ZONEMD 2 1 1 {}\n", "00".repeat(48))));
    assert!(matches!(kept.receive(&spoiled), Err(Unusable::Digest(_))));
    assert_same(&kept.read(), &first);
}

#[test]
fn a_digest_is_verified_over_all_that_came_and_kinds_that_are_unknown_are_told() {
    let mut kept = Kept::new();
    // RFC 8976 appendix A.1.
    let text = include_str!("../../../tests/data/zonemd/a1.zone");
    let content = kept.receive(&records(text)).unwrap();
    assert_eq!(content.fetched.unwrap().digest, Digest::Verified);
    assert_eq!(kept.read().fetched.unwrap().digest, Digest::Kept);
    let mut unknown = zone(1, 0..1);
    unknown.extend(records(&format!("@ 300 ZONEMD 1 240 1 {}\n", "00".repeat(48))));
    let fetched = kept.receive(&unknown).unwrap().fetched.unwrap();
    assert_eq!(fetched.digest, Digest::Unsupported);
    assert!(
        fetched.findings[0].contains("not known here"),
        "{:?}",
        fetched.findings
    );
}

/// A server whose one zone is fetched from where nobody answers.
fn server(folder: &Path, clock: &Arc<SimulatedClock>) -> Arc<Server> {
    let path = folder.join("countersign.toml");
    let text = "listen = [\"127.0.0.1:0\"]\nstate = \"state\"\n[[zone]]\norigin = \"example.\"\nsource = \"axfr\"\n\
                primaries = [\"127.0.0.1:9\"]\nauto_keys = true\n";
    fs::write(&path, text).unwrap();
    let guarded = Arc::new(GuardedClock::new(clock.clone(), None));
    let store = Arc::new(Store::open(&folder.join("state"), Absent::Create).unwrap());
    let engine = Engine::new(EngineSettings::default(), guarded.clone());
    Server::new(config::load(&path).unwrap(), engine, guarded, store, Vec::new())
}

fn write_copy(folder: &Path, current_at: UnixTime) {
    let mut replica = Replica::new(&folder.join("state"), &apex());
    let mut receiver = Receiver::begin(
        &apex(),
        "axfr".into(),
        LIMIT,
        &replica,
        &ahash::RandomState::new(),
    )
    .unwrap();
    zone(1, 0..5).iter().for_each(|record| receiver.take(record));
    let (_, new) = receiver.finish().unwrap();
    replica.finish(new, Serial(1), current_at).unwrap();
}

#[test]
fn a_start_serves_the_copy_and_not_one_that_has_expired() {
    for (age, is_served) in [(0, true), (86_399, true), (86_400, false)] {
        let folder = tempfile::tempdir().unwrap();
        write_copy(folder.path(), UnixTime(NOW.0 - age));
        let clock = Arc::new(SimulatedClock::new(NOW));
        let server = server(folder.path(), &clock);
        let started = server.start();
        assert_eq!(
            server.count(),
            (usize::from(is_served), usize::from(!is_served)),
            "{age}: {started:?}"
        );
        let status = server.status(None).unwrap();
        let content = status.zones[0].content.as_ref().unwrap();
        assert_eq!(content.current_at, Some(UnixTime(NOW.0 - age)));
        assert_eq!(content.expires_at, Some(UnixTime(NOW.0 - age + 86_400)));
        // A reload changes nothing of that.
        server.reload();
        assert_eq!(server.count().0, usize::from(is_served));
    }
}

#[test]
fn a_zone_that_expires_is_served_again_once_it_is_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    write_copy(folder.path(), NOW);
    let clock = Arc::new(SimulatedClock::new(NOW));
    let server = server(folder.path(), &clock);
    server.start();
    server.expire(&apex(), NOW);
    assert_eq!(server.count(), (0, 1));
    let why = server.status(None).unwrap().zones[0].failed.clone().unwrap();
    assert!(
        why.starts_with("its content expired: the primaries did not confirm it since "),
        "{why}"
    );
    let settings = server.held.load().get(&apex()).unwrap().settings.clone();
    server.confirm(&settings);
    assert_eq!(server.count(), (1, 0));
    assert!(
        server
            .status(None)
            .unwrap()
            .warnings
            .iter()
            .all(|warning| !warning.what.contains("expired"))
    );
}

#[test]
fn a_spoiled_copy_is_told_and_the_zone_waits() {
    let folder = tempfile::tempdir().unwrap();
    write_copy(folder.path(), NOW);
    fs::write(folder.path().join("state/zones/example.base"), "something else").unwrap();
    let clock = Arc::new(SimulatedClock::new(NOW));
    let server = server(folder.path(), &clock);
    let started = server.start();
    assert_eq!(
        started.zones[0].outcome,
        crate::control::protocol::Outcome::Waiting
    );
    let warnings = started.zones[0].warnings.join("\n");
    assert!(
        warnings.contains("spoiled") && warnings.contains("has not come yet"),
        "{warnings}"
    );
}
