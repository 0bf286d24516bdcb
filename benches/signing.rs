//! One RRSIG by algorithm: the floor under every answer that needs a new signature.

use std::hint::black_box;

use countersign::{
    dnssec::{
        algorithm::SigningAlgorithm,
        key::{SigningKey, ZONE, verify},
        sign::{ToSign, rrsig},
    },
    wire::{RrType, Ttl},
};
use criterion::{Criterion, criterion_group, criterion_main};

#[path = "fixture.rs"]
mod fixture;

fn sign(c: &mut Criterion) {
    let (apex, owner) = (fixture::name("example.com."), fixture::name("www.example.com."));
    let owner = owner.as_ref().to_lower();
    for (label, algorithm) in [
        ("sign/ECDSAP256SHA256", SigningAlgorithm::EcdsaP256Sha256),
        ("sign/ECDSAP384SHA384", SigningAlgorithm::EcdsaP384Sha384),
        ("sign/ED25519", SigningAlgorithm::Ed25519),
    ] {
        let key = SigningKey::generate(algorithm, ZONE).expect("a new key");
        let mut out = Vec::with_capacity(256);
        c.bench_function(label, |b| {
            b.iter(|| {
                out.clear();
                let set = ToSign {
                    owner: &owner,
                    rtype: RrType::A,
                    ttl: Ttl::new(300),
                    rdatas: [&[192, 0, 2, 1][..]],
                };
                rrsig(
                    &key,
                    apex.as_ref(),
                    black_box(&set),
                    fixture::NOW,
                    fixture::NOW,
                    &mut out,
                )
                .expect("signs");
            });
        });
        let mut signature = Vec::new();
        key.sign(b"message", &mut signature).expect("signs");
        let label = label.replace("sign/", "verify/");
        c.bench_function(&label, |b| {
            b.iter(|| assert!(verify(key.dnskey(), black_box(b"message"), &signature)));
        });
    }
}

criterion_group!(signing, sign);
criterion_main!(signing);
