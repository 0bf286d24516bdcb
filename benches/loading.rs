//! Loading master files: 1 M names with an A and an AAAA each, as text in memory. First reading alone, every record
//! handed to a sink that adds up lengths; then with building the zone that is served. `named-compilezone`,
//! `nsd-checkzone` and others read the same text when `COUNTERSIGN_ZONE_FILE` names a file to write it to.

#![allow(missing_docs, reason = "criterion's macros")]

use std::{fmt::Write, hint::black_box};

use countersign::{
    wire::{Name, Ttl},
    zone::{
        ZoneBuilder,
        master::{Source, read},
    },
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const NAMES: u32 = 1_000_000;

fn zone_text() -> String {
    let mut text =
        String::from("$TTL 3600\n@ SOA ns1 hostmaster 1 7200 1800 1209600 300\n@ NS ns1\nns1 A 192.0.2.1\n");
    for number in 0..NAMES {
        let (high, low) = (number >> 8 & 255, number & 255);
        writeln!(text, "host{number}\tIN\tA\t10.{}.{high}.{low}", number >> 16).expect("memory");
        writeln!(
            text,
            "host{number}\tIN\tAAAA\t2001:db8:{:x}::{low:x}",
            number >> 8
        )
        .expect("memory");
    }
    text
}

fn loading(criterion: &mut Criterion) {
    let text = zone_text();
    if let Some(path) = std::env::var_os("COUNTERSIGN_ZONE_FILE") {
        std::fs::write(path, &text).expect("the file can be written");
    }
    let origin: Name = "example.com.".parse().expect("a name");
    let mut group = criterion.benchmark_group("loading");
    group.sample_size(10);
    group.throughput(Throughput::Elements(u64::from(NAMES) * 2));
    group.bench_function("read 2 M records", |bencher| {
        bencher.iter(|| {
            let mut octets = 0;
            let source = Source::Text {
                name: "bench",
                octets: text.as_bytes(),
            };
            let read = read(&source, origin.as_ref(), &mut |entry| {
                octets += entry.owner.len() + entry.rdata.len();
            });
            assert!(read.errors.is_empty());
            black_box(octets)
        });
    });
    group.bench_function("read and build a zone of 2 M records", |bencher| {
        bencher.iter_with_large_drop(|| {
            let mut builder = ZoneBuilder::new(origin.as_ref(), Ttl::MAX);
            let source = Source::Text {
                name: "bench",
                octets: text.as_bytes(),
            };
            let read = read(&source, origin.as_ref(), &mut |entry| builder.add(&entry));
            assert!(read.errors.is_empty());
            builder.finish().expect("a zone")
        });
    });
    group.finish();
}

criterion_group!(benches, loading);
criterion_main!(benches);
