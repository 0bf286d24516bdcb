//! A question in, response bytes out, without sockets: what an answer costs besides the kernel.

use std::hint::black_box;

use countersign::{
    dnssec::{algorithm::SigningAlgorithm, denial::Denial},
    wire::RrType,
};
use criterion::{Criterion, criterion_group, criterion_main};

#[path = "fixture.rs"]
mod fixture;

const NAMES: u32 = 100_000;

fn hot(c: &mut Criterion) {
    let engine = fixture::engine(NAMES, Denial::Compact, SigningAlgorithm::EcdsaP256Sha256);
    let mut worker = fixture::worker(&engine);
    let mut out = Vec::with_capacity(4_096);
    let mut bench = |label: &str, questions: Vec<Vec<u8>>| {
        // Signed once, outside the timed part.
        questions
            .iter()
            .for_each(|question| fixture::ask(&mut worker, question, &mut out));
        let mut next = questions.iter().cycle();
        c.bench_function(label, |b| {
            b.iter(|| fixture::ask(&mut worker, black_box(next.next().expect("a cycle")), &mut out));
        });
    };
    let hosts = (0..1_000)
        .map(|n| fixture::question(&format!("host{n}.example.com."), RrType::A))
        .collect();
    bench("answer/signed A, hot", hosts);
    let hosts = (0..1_000)
        .map(|n| fixture::question(&format!("host{n}.example.com."), RrType::MX))
        .collect();
    bench("answer/no data compact, hot", hosts);
    bench(
        "answer/DNSKEY",
        vec![fixture::question("example.com.", RrType::DNSKEY)],
    );
    bench(
        "answer/NXDOMAIN compact, known",
        vec![fixture::question("nope.example.com.", RrType::A)],
    );
}

fn fresh(c: &mut Criterion) {
    for (label, denial) in [
        ("answer/NXDOMAIN compact, fresh", Denial::Compact),
        ("answer/NXDOMAIN nsec, fresh", Denial::Nsec),
        ("answer/NXDOMAIN nsec3 narrow, fresh", Denial::Nsec3),
    ] {
        let engine = fixture::engine(NAMES, denial, SigningAlgorithm::EcdsaP256Sha256);
        let mut worker = fixture::worker(&engine);
        let mut out = Vec::with_capacity(4_096);
        let mut number = 0_u64;
        c.bench_function(label, |b| {
            b.iter_batched(
                || {
                    number += 1;
                    fixture::question(&format!("r{number}x.example.com."), RrType::A)
                },
                |question| fixture::ask(&mut worker, black_box(&question), &mut out),
                criterion::BatchSize::SmallInput,
            );
        });
    }
    let engine = fixture::engine(1_000, Denial::Compact, SigningAlgorithm::EcdsaP256Sha256);
    let mut worker = fixture::worker(&engine);
    let mut out = Vec::with_capacity(4_096);
    let mut number = 0_u64;
    c.bench_function("answer/wildcard compact, fresh", |b| {
        b.iter_batched(
            || {
                number += 1;
                fixture::question(&format!("r{number}.wild.example.com."), RrType::A)
            },
            |question| fixture::ask(&mut worker, black_box(&question), &mut out),
            criterion::BatchSize::SmallInput,
        );
    });
}

criterion_group!(answering, hot, fresh);
criterion_main!(answering);
