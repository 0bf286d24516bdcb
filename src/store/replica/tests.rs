//! What survives: whole versions written aside, changes that were cut anywhere, octets that were spoiled.

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::wire::{Class, received::Record};

fn apex() -> Name {
    "example.".parse().unwrap()
}

fn record(owner: &str, text: &str) -> Record {
    Record {
        owner: owner.parse().unwrap(),
        rtype: RrType::TXT,
        class: Class::IN,
        ttl: Ttl::new(300),
        rdata: [&[text.len() as u8], text.as_bytes()].concat().into(),
    }
}

/// A change from one serial to the next.
fn delta(from: u32) -> Delta {
    Delta {
        from: Serial(from),
        to: Serial(from + 1),
        removed: vec![record("a.example.", &from.to_string())],
        added: vec![
            record("a.example.", &(from + 1).to_string()),
            record("b.example.", "x"),
        ],
    }
}

const NOW: UnixTime = UnixTime(1_800_000_000);

fn write_base(replica: &mut Replica, serial: u32) {
    let mut new = replica.begin("axfr").unwrap();
    for number in 0..3_000 {
        let record = record(
            &format!("n{number}.example."),
            "a text that is long enough for several frames",
        );
        new.push(record.owner.as_ref(), record.rtype, record.ttl, &record.rdata);
    }
    new.set_left_out(7);
    replica.finish(new, Serial(serial), NOW).unwrap();
}

/// The head, how many records, and the changes, as a new start reads them.
fn read(state: &TempDir) -> (Replica, Option<Head>, usize, Vec<Delta>, LogRead) {
    let mut replica = Replica::new(state.path(), &apex());
    let (mut records, mut deltas) = (0, Vec::new());
    let head = replica.read_base(&mut |_| records += 1).unwrap();
    let log = replica
        .read_log(&mut |delta| {
            deltas.push(delta);
            true
        })
        .unwrap();
    (replica, head, records, deltas, log)
}

#[test]
fn a_copy_is_read_as_it_was_written() {
    let state = TempDir::new().unwrap();
    assert_eq!(read(&state).1, None);
    let mut replica = Replica::new(state.path(), &apex());
    write_base(&mut replica, 10);
    replica.append(&[delta(10), delta(11)]).unwrap();
    replica.append(&[delta(12)]).unwrap();
    let (_, head, records, deltas, log) = read(&state);
    let expected = Head {
        origin: "axfr".to_owned(),
        serial: Serial(10),
        left_out: 7,
        current_at: NOW,
    };
    assert_eq!((head, records), (Some(expected), 3_000));
    assert_eq!(deltas, [delta(10), delta(11), delta(12)]);
    assert_eq!(
        log,
        LogRead {
            deltas: 3,
            dropped: 0
        }
    );
    replica.note_current(UnixTime(NOW.0 + 60)).unwrap();
    assert_eq!(read(&state).1.unwrap().current_at, UnixTime(NOW.0 + 60));
}

#[test]
fn what_is_written_aside_is_no_copy_until_it_is_whole() {
    let state = TempDir::new().unwrap();
    let mut replica = Replica::new(state.path(), &apex());
    let begin = |replica: &Replica| {
        let mut new = replica.begin("axfr").unwrap();
        let record = record("other.example.", "x");
        new.push(record.owner.as_ref(), record.rtype, record.ttl, &record.rdata);
        new
    };
    drop(begin(&replica));
    assert_eq!(read(&state).1, None);
    write_base(&mut replica, 1);
    replica.append(&[delta(1)]).unwrap();
    drop(begin(&replica));
    let (_, head, records, deltas, _) = read(&state);
    assert_eq!(
        (head.unwrap().serial, records, deltas.len()),
        (Serial(1), 3_000, 1)
    );
    // It is read back for a check before it becomes the copy.
    let mut new = begin(&replica);
    let mut owners = Vec::new();
    new.read_back(&mut |entry| owners.push(entry.owner.to_string()))
        .unwrap();
    assert_eq!(owners, ["other.example."]);
    replica.finish(new, Serial(2), NOW).unwrap();
    let (_, head, records, deltas, _) = read(&state);
    assert_eq!((head.unwrap().serial, records, deltas.len()), (Serial(2), 1, 0));
}

/// A crash between the rename of a new base and the removal of the old log.
#[test]
fn a_log_of_another_base_is_not_taken() {
    let state = TempDir::new().unwrap();
    let mut replica = Replica::new(state.path(), &apex());
    write_base(&mut replica, 10);
    replica.append(&[delta(10)]).unwrap();
    let old = fs::read(&replica.log).unwrap();
    write_base(&mut replica, 10);
    fs::write(&replica.log, &old).unwrap();
    let (mut again, _, _, deltas, _) = read(&state);
    assert_eq!(deltas, []);
    again.append(&[delta(10)]).unwrap();
    assert_eq!(read(&state).3, [delta(10)]);
}

#[test]
fn changes_continue_what_is_there_or_are_refused() {
    let state = TempDir::new().unwrap();
    let mut replica = Replica::new(state.path(), &apex());
    assert!(matches!(
        replica.append(&[delta(1)]),
        Err(ReplicaError::Gap { .. })
    ));
    write_base(&mut replica, 10);
    assert!(matches!(
        replica.append(&[delta(9)]),
        Err(ReplicaError::Gap { .. })
    ));
    assert!(matches!(
        replica.append(&[delta(10), delta(12)]),
        Err(ReplicaError::Gap { .. })
    ));
    replica.append(&[delta(10)]).unwrap();
    assert_eq!(read(&state).3, [delta(10)]);
}

#[test]
fn a_log_that_was_cut_anywhere_gives_what_was_whole_and_goes_on_from_there() {
    let state = TempDir::new().unwrap();
    let mut replica = Replica::new(state.path(), &apex());
    write_base(&mut replica, 0);
    let mut ends = Vec::new();
    for serial in 0..3 {
        replica.append(&[delta(serial)]).unwrap();
        ends.push(fs::metadata(&replica.log).unwrap().len() as usize);
    }
    let whole = fs::read(&replica.log).unwrap();
    for length in 0..=whole.len() {
        fs::write(&replica.log, &whole[..length]).unwrap();
        let expected = ends.iter().filter(|end| **end <= length).count();
        let (mut again, _, _, deltas, log) = read(&state);
        assert_eq!(deltas.len(), expected, "cut at {length}");
        let good = ends[..expected].last().copied().unwrap_or(PREAMBLE.min(length));
        if length >= PREAMBLE {
            assert_eq!(log.dropped as usize, length - good, "cut at {length}");
        }
        again.append(&[delta(expected as u32)]).unwrap();
        assert_eq!(read(&state).3.len(), expected + 1, "cut at {length}, continued");
    }
}

#[test]
fn a_change_that_cannot_be_taken_ends_the_reading() {
    let state = TempDir::new().unwrap();
    let mut replica = Replica::new(state.path(), &apex());
    write_base(&mut replica, 0);
    replica.append(&[delta(0), delta(1), delta(2)]).unwrap();
    replica.read_base(&mut |_| {}).unwrap();
    let log = replica.read_log(&mut |delta| delta.from.0 < 1).unwrap();
    assert_eq!(log.deltas, 1);
    assert!(log.dropped > 0);
    replica.append(&[delta(1)]).unwrap();
    assert_eq!(read(&state).3, [delta(0), delta(1)]);
}

#[test]
fn a_spoiled_base_is_told() {
    let state = TempDir::new().unwrap();
    let mut replica = Replica::new(state.path(), &apex());
    write_base(&mut replica, 10);
    let whole = fs::read(&replica.base).unwrap();
    let spoiled = |octets: &[u8]| {
        fs::write(&replica.base, octets).unwrap();
        let mut again = Replica::new(state.path(), &apex());
        match again.read_base(&mut |_| {}) {
            Err(ReplicaError::Spoiled { source, .. }) => source,
            other => panic!("{other:?}"),
        }
    };
    for at in (0..whole.len()).step_by(1_009).chain(0..64) {
        let mut octets = whole.clone();
        octets[at] ^= 1;
        spoiled(&octets);
        assert_eq!(
            spoiled(&whole[..at]),
            if at < MAGIC_LENGTH {
                FormatError::NotOurs
            } else {
                FormatError::Short
            }
        );
    }
    let mut later = whole.clone();
    later[MAGIC_LENGTH] = 9;
    assert_eq!(spoiled(&later), FormatError::Version(9));
    // A new version replaces it.
    write_base(&mut replica, 11);
    assert_eq!(read(&state).1.unwrap().serial, Serial(11));
}

const MAGIC_LENGTH: usize = 6;

/// What the first release wrote stays readable.
#[test]
fn the_first_format_is_read() {
    let state = TempDir::new().unwrap();
    let folder = state.path().join(FOLDER);
    fs::create_dir(&folder).unwrap();
    for ending in ["base", "log"] {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/replica/v1.{ending}"));
        fs::copy(sample, folder.join(format!("example.{ending}"))).unwrap();
    }
    let (_, head, records, deltas, log) = read(&state);
    assert_eq!((head.unwrap().serial, records), (Serial(1), 2));
    assert_eq!(deltas, [delta(1), delta(2)]);
    assert_eq!(log.dropped, 0);
}

#[test]
fn every_zone_has_a_file_of_its_own() {
    let name = |text: &str| file_name(text.parse::<Name>().unwrap().as_ref());
    assert_eq!(name("Example.COM."), "example.com");
    assert_eq!(name("a/b.example."), "a%2fb.example");
    assert_eq!(name("a\\.b.example."), "a%2eb.example");
    assert_eq!(name("."), "%root");
    let long = |last: &str| name(&format!("{}{last}.", "abcdefghijklmnopqrstuvwxyz.".repeat(8)));
    assert_eq!(long("x").len(), 64 + 1 + 64);
    assert_ne!(long("x"), long("y"));
}

proptest! {
    #[test]
    fn any_octets_are_a_copy_or_none(octets in prop::collection::vec(any::<u8>(), 0..300), of_log: bool) {
        let state = TempDir::new().unwrap();
        let mut replica = Replica::new(state.path(), &apex());
        let new = replica.begin("axfr").unwrap();
        let id = new.id;
        replica.finish(new, Serial(1), NOW).unwrap();
        if of_log {
            fs::write(&replica.log, [format::preamble(Kind::Log, id), format::frame(id, 0, &octets)].concat()).unwrap();
        } else {
            fs::write(&replica.base, [format::preamble(Kind::Base, id), format::frame(id, 0, &octets)].concat()).unwrap();
        }
        let _ = replica.read_base(&mut |_| {});
        let _ = replica.read_log(&mut |_| true);
    }

    #[test]
    fn records_come_back(owner in "[a-z]{1,20}", rtype in 1..300_u16, ttl in 0..1_000_000_u32, dice in prop::collection::vec(any::<u8>(), 0..200)) {
        let rtype = RrType(rtype);
        prop_assume!(!rtype.is_meta());
        let rdata = crate::wire::types::sample::rdata(rtype, &dice);
        let owner: Name = format!("{owner}.example.").parse().unwrap();
        let mut octets = vec![RECORDS];
        format::push_record(owner.as_ref(), rtype, Ttl::new(ttl), &rdata, &mut octets);
        let Some(BaseFrame::Records(mut entries)) = format::read_base(&octets) else { panic!() };
        let entry = entries.next().unwrap().unwrap();
        prop_assert_eq!(
            (entry.owner.to_owned(), entry.rtype, entry.ttl, entry.rdata.to_vec()),
            (owner, rtype, Ttl::new(ttl), rdata)
        );
        prop_assert!(entries.next().is_none());
    }
}
