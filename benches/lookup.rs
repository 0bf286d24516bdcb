//! Finding names in a zone, and building one from records.

use std::hint::black_box;

use countersign::{wire::RrType, zone::SearchName};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

#[path = "fixture.rs"]
mod fixture;

fn lookup(c: &mut Criterion) {
    let zone = fixture::zone(100_000);
    let hosts: Vec<_> = (0..100_000)
        .map(|n| fixture::name(&format!("host{n}.example.com.")))
        .collect();
    // A stride that is prime to the number of hosts, so that neighbours in memory are not asked in a row.
    let mut at = 0;
    c.bench_function("lookup/existing name and type", |b| {
        b.iter(|| {
            at = (at + 77_773) % hosts.len();
            let search = SearchName::new(black_box(hosts[at].as_ref()));
            let countersign::zone::Lookup::Exact(node) = zone.lookup(&search) else {
                panic!("it exists")
            };
            black_box(node.rrset(RrType::AAAA));
        });
    });
    let missing = fixture::name("a.b.c.host7.example.com.");
    c.bench_function("lookup/name that does not exist", |b| {
        b.iter(|| black_box(zone.lookup(&SearchName::new(black_box(missing.as_ref())))));
    });
}

fn build(c: &mut Criterion) {
    let mut group = c.benchmark_group("build");
    group.sample_size(10);
    group.bench_function("zone of 100,000 names, 200,000 records", |b| {
        b.iter_batched(|| (), |()| fixture::zone(100_000), BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(zones, lookup, build);
criterion_main!(zones);
