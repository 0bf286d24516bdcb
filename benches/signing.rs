//! One RRSIG by algorithm: the floor under every answer that needs a new signature. With `--features aws-lc-rs` by both
//! libraries in one run, to compare them.

use std::hint::black_box;

use countersign::{
    dnssec::{
        Backend,
        algorithm::SigningAlgorithm,
        key::{PrivateKey, SigningKey, ZONE, verify},
        sign::{ToSign, Window, signature},
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
        let (dnskey, private) = PrivateKey::generate(algorithm, ZONE).expect("a new key");
        let window = Window {
            inception: fixture::NOW,
            expiration: fixture::NOW,
        };
        let mut made = Vec::new();
        for &backend in Backend::ALL {
            let key = SigningKey::signed_by(backend, dnskey.clone(), &private).expect("a pair");
            // ring's keep the names that they had before there was another.
            let label = match backend {
                Backend::Ring => label.to_owned(),
                #[cfg(feature = "aws-lc-rs")]
                Backend::AwsLc => format!("{label}, {}", backend.name()),
            };
            c.bench_function(&label, |b| {
                b.iter(|| {
                    let set = ToSign {
                        owner: &owner,
                        rtype: RrType::A,
                        ttl: Ttl::new(300),
                        rdatas: [&[192, 0, 2, 1][..]],
                    };
                    signature(&key, apex.as_ref(), black_box(&set), window).expect("signs")
                });
            });
            made.clear();
            key.sign(b"message", &mut made).expect("signs");
        }
        let label = label.replace("sign/", "verify/");
        c.bench_function(&label, |b| {
            b.iter(|| assert!(verify(&dnskey, black_box(b"message"), &made)));
        });
    }
}

criterion_group!(signing, sign);
criterion_main!(signing);
