//! A disk without room: what cannot be written is said, what was served goes on, and with room it works again.

use std::{fs, io};

use super::*;
use crate::{
    clock::UnixTime,
    disk::simulated::{Death, SimulatedDisk},
    dnssec::{
        algorithm::SigningAlgorithm,
        custody::{self, Opened, Place, Policy, Refused, Request, Wanted},
        key::{Dnskey, SigningKey, ZONE},
        keyset::{KeySet, Role},
        register::What,
    },
};

const NOW: UnixTime = UnixTime(1_800_000_000);

/// Appends events until there is no more room.
pub(crate) fn append_until_full(store: &Store) {
    let apex: Name = "other.example.".parse().unwrap();
    let what = What::Folder {
        path: "x".repeat(1000).into(),
    };
    let events = vec![Event { at: NOW, what }; 4];
    let before = store.events(apex.as_ref()).unwrap().len();
    for count in 0..1_000 {
        if store.append(&[(apex.clone(), events.clone())]).is_err() {
            let kept = store.events(apex.as_ref()).unwrap().len();
            assert_eq!(kept, before + count * events.len(), "all of a batch or nothing");
            return;
        }
    }
    panic!("a full disk has no end");
}

#[test]
fn a_store_is_read_and_opened_on_a_full_disk_and_written_once_there_is_room() {
    let disk = SimulatedDisk::new(1);
    let process = disk.process();
    let store = Store::simulated(&process).unwrap();
    store.keep_good_time(NOW).unwrap();
    disk.fill(true);
    append_until_full(&store);
    // It can be read, and opened after any death, on the full disk.
    assert_eq!(store.last_good_time().unwrap(), Some(NOW.into()));
    for death in [Death::Killed, Death::PowerLoss] {
        let store = Store::simulated(&disk.restart(death)).unwrap();
        assert_eq!(store.last_good_time().unwrap(), Some(NOW.into()));
        append_until_full(&store);
    }
    let store = Store::simulated(&disk.restart(Death::Killed)).unwrap();
    append_until_full(&store);
    disk.fill(false);
    let apex: Name = "example.".parse().unwrap();
    let event = Event {
        at: NOW,
        what: What::Opened,
    };
    store.append(&[(apex.clone(), vec![event.clone()])]).unwrap();
    assert_eq!(store.events(apex.as_ref()).unwrap(), [event]);
}

#[test]
fn any_failure_but_that_of_a_sync_passes() {
    let apex: Name = "example.".parse().unwrap();
    let append = |store: &Store| {
        let what = What::Opened;
        store.append(&[(apex.clone(), vec![Event { at: NOW, what }])])
    };
    let mut stopped = 0;
    for after in 0.. {
        let disk = SimulatedDisk::new(after);
        let store = Store::simulated(&disk.process()).unwrap();
        append(&store).unwrap();
        disk.fail(after, io::ErrorKind::Other);
        if append(&store).is_ok() {
            assert!(after > 3, "a commit takes more than {after} operations");
            break;
        }
        match append(&store) {
            Ok(()) => {}
            Err(error) => {
                let error = error.0.to_string();
                assert!(error.contains("start the server again"), "{error}");
                stopped += 1;
                let store = Store::simulated(&disk.restart(Death::Killed)).unwrap();
                append(&store).unwrap();
            }
        }
    }
    assert!(stopped > 0);
}

struct World {
    disk: SimulatedDisk,
    process: Process,
    store: Store,
    apex: Name,
    external: PathBuf,
}

impl World {
    fn new() -> Self {
        let disk = SimulatedDisk::new(7);
        let process = disk.process();
        let store = Store::simulated(&process).unwrap();
        let external = disk.root().join("ns1.keys");
        fs::write(&external, "").unwrap();
        Self {
            apex: "example.".parse().unwrap(),
            disk,
            process,
            store,
            external,
        }
    }

    fn folder(&self) -> PathBuf {
        self.disk.root().join("keys")
    }

    fn start(&self) -> Result<Opened, Refused> {
        self.open_after(None)
    }

    fn open_after(&self, previous: Option<&KeySet>) -> Result<Opened, Refused> {
        let request = Request {
            apex: &self.apex,
            folder: &self.folder(),
            external: std::slice::from_ref(&self.external),
            providers: &[],
            observed: &[],
            policy: &Policy::default(),
            previous,
        };
        let mut opened = custody::open_on(&self.process, &[request], &self.store, NOW);
        opened.pop().unwrap()
    }

    fn generate(&self) -> Result<(), custody::CommandError> {
        let folder = self.folder();
        let place = Place {
            apex: &self.apex,
            folder: &folder,
            journal: Some(&self.store),
        };
        let wanted = [Wanted {
            algorithm: SigningAlgorithm::EcdsaP256Sha256,
            role: Role::Zsk,
        }];
        custody::generate_on(&self.process, place, &wanted, NOW).map(drop)
    }

    fn show(&self, key: &Dnskey) {
        fs::write(&self.external, format!("example. 60 IN DNSKEY {key}\n")).unwrap();
    }
}

#[test]
fn a_zone_is_served_as_it_was_until_there_is_room() {
    let world = World::new();
    world.disk.fill(true);
    world.start().expect_err("neither register nor keys have room");
    world.disk.fill(false);
    let served = world.start().unwrap().keyset;
    assert_eq!(served.published().len(), 2);

    world.disk.fill(true);
    world.generate().expect_err("no room for the files");
    let names = fs::read_dir(world.folder()).unwrap();
    assert_eq!(names.count(), 4, "nothing half-written takes room");
    append_until_full(&world.store);
    let theirs = SigningKey::generate(SigningAlgorithm::EcdsaP256Sha256, ZONE).unwrap();
    world.show(theirs.dnskey());
    let refused = world.open_after(Some(&served)).unwrap_err();
    let error = refused.errors[0].to_string();
    assert!(error.contains("register cannot be read or written"), "{error}");
    // A start has nothing in use that could go on; what is kept is served, and the news can wait.
    let standing = world.start().unwrap();
    assert_eq!(standing.keyset.published(), served.published());
    let notes: Vec<String> = standing.notes.iter().map(ToString::to_string).collect();
    assert!(notes[0].contains("served as they were"), "{notes:?}");
    world.disk.fill(false);
    world.generate().unwrap();
    let opened = world.start().unwrap().keyset;
    assert_eq!(opened.published().len(), 4);
    assert!(served.published().iter().all(|key| {
        let same = |now: &&crate::dnssec::keyset::PublishedKey| now.dnskey == key.dnskey;
        opened
            .published()
            .iter()
            .find(same)
            .is_some_and(|now| now.state == key.state)
    }));
}
