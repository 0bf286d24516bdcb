//! A difference of ten records taken into a zone of 1 M names whose RRsets are all signed: the change alone, and
//! with what it takes until it is served, by way of denial.

#![allow(missing_docs, reason = "criterion's macros")]

mod fixture;

use std::{hint::black_box, sync::Arc};

use countersign::{
    answer::{ServedZone, ZonePolicy},
    dnssec::{algorithm::SigningAlgorithm, denial::Denial},
    wire::{RrType, Ttl},
    zone::{
        Change, Entry, Place, Zone,
        slot::{Kept, Signed},
    },
};
use criterion::{Criterion, criterion_group, criterion_main};
use fixture::{NOW, keys, name, zone};

const NAMES: u32 = 1_000_000;

/// Puts something into every slot, as a server that has run for a while has.
fn fill(zone: &Zone) {
    for node in zone.nodes() {
        for set in node.rrsets() {
            set.slot()
                .store(Kept::new(Signed::new(1, NOW, NOW, vec![vec![7; 64].into()])));
        }
    }
}

/// Five addresses become others.
fn ten_records(zone: &Zone) -> Zone {
    let mut change = Change::new(zone, Ttl::MAX);
    for number in 0..5_u32 {
        let number = 199_999 * number;
        let owner = name(&format!("host{number}.example.com."));
        let entry = |rdata| Entry {
            owner: owner.as_ref(),
            rtype: RrType::A,
            ttl: Ttl::new(3_600),
            rdata,
            at: Place::default(),
        };
        let (before, after) = (number.to_be_bytes(), (!number).to_be_bytes());
        change.remove(&entry(&before)).expect("it is there");
        change.add(&entry(&after)).expect("it is new");
    }
    change.finish().expect("a zone").zone
}

/// Five new names come.
fn new_names(zone: &Zone) -> Zone {
    let mut change = Change::new(zone, Ttl::MAX);
    for number in 0..5_u32 {
        let owner = name(&format!("new{number}.example.com."));
        for rtype in [RrType::A, RrType::TXT] {
            let entry = Entry {
                owner: owner.as_ref(),
                rtype,
                ttl: Ttl::new(3_600),
                rdata: &[3, 1, 2, 3],
                at: Place::default(),
            };
            change.add(&entry).expect("it is new");
        }
    }
    change.finish().expect("a zone").zone
}

fn changing(criterion: &mut Criterion) {
    let before = zone(NAMES);
    fill(&before);
    let keys = keys(SigningAlgorithm::EcdsaP256Sha256);
    let mut group = criterion.benchmark_group("changing 1 M names");
    group.sample_size(20);
    group.bench_function("ten records", |bencher| {
        bencher.iter_with_large_drop(|| black_box(ten_records(&before)));
    });
    for denial in [Denial::Compact, Denial::Nsec] {
        let policy = ZonePolicy {
            denial,
            ..ZonePolicy::default()
        };
        let served =
            ServedZone::new(&before, Arc::clone(&keys), &policy, NOW, None).expect("a zone to serve");
        for (what, change) in [
            ("ten records", ten_records as fn(&Zone) -> Zone),
            ("five new names", new_names),
        ] {
            group.bench_function(
                format!("{what}, to be served, {denial:?}").to_lowercase(),
                |bencher| {
                    bencher.iter_with_large_drop(|| {
                        let zone = change(&before);
                        ServedZone::new(&zone, Arc::clone(&keys), &policy, NOW, Some(&served))
                            .expect("a zone to serve")
                    });
                },
            );
        }
    }
    group.finish();
}

criterion_group!(benches, changing);
criterion_main!(benches);
