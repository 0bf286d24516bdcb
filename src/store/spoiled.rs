//! A file of the store that is not what was written: it is read as it was, or refused in words: redb itself may panic over it.

use std::{fs, path::Path};

use super::{Absent, FILE_NAME, Store};
use crate::{
    clock::UnixTime,
    disk::simulated::Dice,
    dnssec::register::{Event, Journal as _, What},
    multisigner::execute::{self, journal::RunJournal as _},
    wire::Name,
};

const CASES: usize = 300;

fn zone() -> Name {
    "example.".parse().unwrap()
}

fn written() -> Vec<Event> {
    let event = |at| Event {
        at: UnixTime(at),
        what: What::Opened,
    };
    (0..200).map(event).collect()
}

fn runs() -> Vec<execute::Entry> {
    let entry = |at| execute::Entry {
        at: UnixTime(at),
        event: execute::Event::Paused { why: "x".repeat(100) },
    };
    (0..100).map(entry).collect()
}

/// Reads everything.
fn read(folder: &Path) -> Result<Vec<execute::Entry>, String> {
    let store = Store::open(folder, Absent::Refuse).map_err(|error| error.to_string())?;
    store.events(zone().as_ref()).map_err(|error| error.to_string())?;
    store
        .run_entries(zone().as_ref())
        .map_err(|error| error.to_string())
}

#[test]
fn a_spoiled_file_is_refused_in_words_and_its_journal_is_never_another() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Absent::Create).unwrap();
    store.append(&[(zone(), written())]).unwrap();
    store.append_run(&zone(), &runs()).unwrap();
    drop(store);
    let path = folder.path().join(FILE_NAME);
    let whole = fs::read(&path).unwrap();
    let mut random = Dice(1);
    let mut refused = 0;
    for case in 0..CASES {
        let mut octets = whole.clone();
        let at = random.below(octets.len());
        match case % 3 {
            0 => octets.truncate(at),
            1 => octets[at] ^= 1 << random.below(8),
            _ => {
                let end = (at + 1 + random.below(5000)).min(octets.len());
                octets[at..end].fill(0);
            }
        }
        fs::write(&path, octets).unwrap();
        match read(folder.path()) {
            Ok(entries) => assert_eq!(entries, runs(), "case {case}"),
            Err(why) => {
                refused += 1;
                let helps = ["is spoiled: ", "was cut or altered: ", "cannot be read"];
                assert!(
                    helps.iter().any(|words| why.contains(words)),
                    "case {case}: {why}"
                );
            }
        }
    }
    assert!(refused > CASES / 4, "{refused} of {CASES}");
}
