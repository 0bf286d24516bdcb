//! A file of the store that is not what was written: it is read as it was, or refused in words: redb itself may panic over it.
//! A panic of ours is another matter.

use std::{fs, path::Path};

use super::{Absent, FILE_NAME, Store, StoreError};
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

/// Nobody must bring a backup back, or put a good file away, for a mistake in this program.
#[test]
fn a_panic_of_ours_says_nothing_of_the_file_and_the_store_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Absent::Create).unwrap();
    store.append(&[(zone(), written())]).unwrap();
    let failed = store.with(|database| -> Result<(), redb::Error> {
        let _half_done = database.begin_write()?;
        panic!("a mistake")
    });
    let error = failed.unwrap_err();
    assert!(matches!(error, StoreError::Fault { .. }), "{error:?}");
    let words = error.to_string();
    for part in [
        "a fault of this program",
        "a mistake",
        "store/spoiled.rs:",
        "report this",
    ] {
        assert!(words.contains(part), "{words}");
    }
    assert!(
        !words.contains("spoiled:") && !words.contains("backup"),
        "{words}"
    );
    // What was half done is not there, and the next use finds everything else.
    assert_eq!(store.events(zone().as_ref()).unwrap(), written());
    store.append(&[(zone(), written())]).unwrap();
}
