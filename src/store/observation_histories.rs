//! What was seen, on a disk that loses and tears what was not synced: the process dies at each operation in turn, and
//! nothing that was kept is lost.

use super::*;
use crate::{
    clock::UnixTime,
    disk::simulated::{Death, SimulatedDisk},
    multisigner::observations::{Bounds, Class, ObservationStore as _, Party, Seen},
};

const START: u64 = 1_800_000_000;
const BOUNDS: Bounds = Bounds {
    entries: 4,
    beyond_ttl: 60,
};
/// The TTL at each second; every change is an entry, and more than are kept, so that some are merged and removed.
const TTLS: [u64; 9] = [500, 400, 900, 300, 20, 30, 10, 40, 50];

/// Sees one TTL after the other until the process dies; how many were kept.
fn see(process: &crate::disk::simulated::Process, apex: &Name) -> usize {
    let Ok(store) = Store::simulated(process) else {
        return 0;
    };
    let Ok(mut log) = store.observations(apex.as_ref()) else {
        return 0;
    };
    for (second, ttl) in TTLS.iter().enumerate() {
        let at = UnixTime(START + second as u64);
        let seen = Seen {
            party: Party::Ours,
            source: "as it is served".to_owned(),
            class: Class::Dnskey,
            value: String::new(),
            ttl: *ttl,
            asked: at,
            came: at,
        };
        log.note(vec![seen], at, BOUNDS);
        let changes = log.changes();
        if store.keep_observations(&[(apex.clone(), changes)]).is_err() {
            return second;
        }
    }
    TTLS.len()
}

#[test]
fn what_was_kept_outlives_any_death() {
    let apex: Name = "example.".parse().unwrap();
    for (seed, death) in (0..).zip([Death::Killed, Death::PowerLoss, Death::PowerLoss]) {
        let mut operations = 0;
        loop {
            let disk = SimulatedDisk::new(1_000 * seed + operations);
            let process = disk.process();
            disk.strike(operations, death);
            let kept = see(&process, &apex);
            let died = disk.death();
            if let Some(death) = died {
                let process = disk.restart(death);
                let store = Store::simulated(&process).unwrap();
                let log = store.observations(apex.as_ref()).unwrap();
                let at = UnixTime(START + kept.saturating_sub(1) as u64);
                let counting = log.counting(at, BOUNDS.beyond_ttl);
                let largest = counting.iter().map(|counted| counted.ttl).max().unwrap_or(0);
                let expected = TTLS[..kept].iter().max().copied().unwrap_or(0);
                assert!(
                    largest >= expected,
                    "{largest} of {expected} after {kept}, at operation {operations}, {death:?}"
                );
                assert!(log.len() <= BOUNDS.entries);
            } else {
                assert_eq!(kept, TTLS.len());
                break;
            }
            operations += 1;
        }
        assert!(operations > 20, "it takes {operations} operations");
    }
}
