//! The answers of RFC 4035 appendix B and RFC 5155 appendix B, with their own signatures.

use std::collections::HashMap;

use ring::digest;

use super::*;
use crate::dnssec::algorithm::split_rsa;

/// The replies of an example file by the first word of their title.
fn replies(text: &str) -> HashMap<&str, Received> {
    let mut found = HashMap::new();
    let (mut title, mut rcode, mut in_answer) = ("", Rcode::NOERROR, false);
    for line in text.lines() {
        let mut reply = found.get_mut(title);
        match line.split_once(' ') {
            Some((";", rest)) => title = rest.split(' ').next().unwrap(),
            Some(("REPLY", code)) => {
                rcode = if code == "NXDOMAIN" {
                    Rcode::NXDOMAIN
                } else {
                    Rcode::NOERROR
                };
            }
            Some(("QUESTION", asked)) => {
                let (asked, rtype) = asked.split_once(' ').unwrap();
                let question = (name(asked), RrType::from_text(rtype).unwrap());
                found.insert(title, message(question, rcode));
            }
            None => in_answer = line == "ANSWER",
            Some(_) if in_answer => reply.as_mut().unwrap().answers.push(record(line)),
            Some(_) => reply.as_mut().unwrap().authorities.push(record(line)),
        }
    }
    found
}

/// RSASHA1 as the examples have it, with keys of 512 bits, which ring refuses: signature^e mod n, and the digest at
/// its end (RFC 3110 §3).
fn rsasha1(key: &Dnskey, message: &[u8], signature: &[u8]) -> bool {
    let (exponent, modulus) = split_rsa(key.public_key()).unwrap();
    let limbs = |octets: &[u8]| -> Vec<u64> {
        octets
            .rchunks(8)
            .map(|chunk| chunk.iter().fold(0, |limb, octet| limb << 8 | u64::from(*octet)))
            .collect()
    };
    let (n, base) = (limbs(modulus), limbs(signature));
    if base.len() != n.len() || !less(&base, &n) {
        return false;
    }
    let mut power = vec![0; n.len()];
    power[0] = 1;
    for bit in (0..exponent.len() * 8).rev() {
        power = times(&power, &power, &n);
        if exponent[exponent.len() - 1 - bit / 8] >> (bit % 8) & 1 == 1 {
            power = times(&power, &base, &n);
        }
    }
    let decoded: Vec<u8> = power.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, message);
    decoded.starts_with(&[0, 1, 0xff]) && decoded.ends_with(hash.as_ref())
}

fn less(a: &[u64], b: &[u64]) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

/// a + b mod n; both are below n.
fn plus(a: &[u64], b: &[u64], n: &[u64]) -> Vec<u64> {
    let mut carry = 0;
    let mut sum: Vec<u64> = a
        .iter()
        .zip(b)
        .map(|(a, b)| {
            let whole = u128::from(*a) + u128::from(*b) + carry;
            carry = whole >> 64;
            whole as u64
        })
        .collect();
    if carry == 1 || !less(&sum, n) {
        let mut borrow = false;
        for (limb, n) in sum.iter_mut().zip(n) {
            let (less_n, first) = limb.overflowing_sub(*n);
            let (result, second) = less_n.overflowing_sub(u64::from(borrow));
            (*limb, borrow) = (result, first || second);
        }
    }
    sum
}

fn times(a: &[u64], b: &[u64], n: &[u64]) -> Vec<u64> {
    let mut product = vec![0; n.len()];
    for bit in (0..b.len() * 64).rev() {
        product = plus(&product, &product, n);
        if b[bit / 64] >> (bit % 64) & 1 == 1 {
            product = plus(&product, a, n);
        }
    }
    product
}

fn example_keys(dnskey: &str) -> ZoneKeys {
    let mut keys = ZoneKeys::new(name("example."), [Dnskey::from_text(dnskey).unwrap()]);
    keys.cryptography = Cryptography {
        knows: |algorithm| matches!(algorithm.0, 5 | 7),
        verify: rsasha1,
    };
    keys
}

/// Every RRset that the verdict rests on, taken away, makes it bogus; so does a bit turned in any signature.
fn check_spoiled(title: &str, keys: &ZoneKeys, answer: &Received, now: UnixTime) {
    let spoil = |change: &dyn Fn(&mut Received)| {
        let mut spoiled = answer.clone();
        change(&mut spoiled);
        judge(keys, &spoiled, now)
    };
    for at in 0..answer.answers.len() + answer.authorities.len() {
        let is_signature = |record: &Record| record.rtype == RrType::RRSIG;
        let verdict = spoil(&|spoiled| {
            let mut all = spoiled.answers.iter_mut().chain(&mut spoiled.authorities);
            let record = all.nth(at).unwrap();
            if is_signature(record) {
                *record.rdata.last_mut().unwrap() ^= 1;
            }
        });
        let record = answer.answers.iter().chain(&answer.authorities).nth(at).unwrap();
        if is_signature(record) {
            assert!(
                matches!(&verdict, Verdict::Bogus(Bogus::Signatures { faults, .. })
                    if faults[0].fault == SignatureFault::Wrong),
                "{title}: {verdict:?}"
            );
        }
    }
    for denial in [RrType::NSEC, RrType::NSEC3] {
        let count = answer
            .authorities
            .iter()
            .filter(|record| record.rtype == denial)
            .count();
        for left_out in 0..count {
            let verdict = spoil(&|spoiled| {
                let mut number = 0;
                let mut owner = None;
                spoiled.authorities.retain(|record| {
                    let is_it = record.rtype == denial && number == left_out;
                    number += usize::from(record.rtype == denial);
                    if is_it {
                        owner = Some(record.owner.clone());
                    }
                    !is_it
                });
                spoiled
                    .authorities
                    .retain(|record| record.rtype != RrType::RRSIG || Some(&record.owner) != owner.as_ref());
            });
            assert!(matches!(verdict, Verdict::Bogus(_)), "{title}: {verdict:?}");
        }
    }
}

#[test]
fn the_answers_of_rfc_4035_b() {
    let text = include_str!("../../../../tests/data/rfc4035_b.txt");
    let keys = example_keys(
        "256 3 5 AQOy1bZVvpPqhg4j7EJoM9rI3ZmyEx2OzDBVrZy/lvI5CQePxXHZS4i8dANH4DX3tbHol61ek8EFMcsGXxKciJFHyhl94C+NwILQdzsUlSFovBZsyl/NX6yEbtw/xN9ZNcrbYvgjjZ/UVPZIySFNsgEYvh0z2542lzMKR4Dh8uZffQ==",
    );
    let now = time("20040420000000");
    let replies = replies(text);
    assert_eq!(replies.len(), 8);
    for (title, reply) in &replies {
        let verdict = judge(&keys, reply, now);
        match *title {
            "B.1" => assert_eq!(shows(&verdict), (Shown::Data, false), "{title}"),
            "B.2" => assert_eq!(shows(&verdict), (Shown::NoName, false), "{title}"),
            "B.3" | "B.8" => assert_eq!(shows(&verdict), (Shown::NoData, false), "{title}"),
            "B.4" => assert_eq!(shows(&verdict), (Shown::Delegation, false), "{title}"),
            "B.5" => assert_eq!(
                verdict,
                Verdict::Insecure(Insecure::Delegation {
                    cut: name("b.example.")
                })
            ),
            "B.6" => assert_eq!(shows(&verdict), (Shown::Data, true), "{title}"),
            _ => assert_eq!(shows(&verdict), (Shown::NoData, true), "{title}"),
        }
        check_spoiled(title, &keys, reply, now);
    }
}

#[test]
fn the_answers_of_rfc_5155_b() {
    let text = include_str!("../../../../tests/data/rfc5155_b.txt");
    let keys = example_keys(
        "256 3 7 AwEAAaetidLzsKWUt4swWR8yu0wPHPiUi8LUsAD0QPWU+wzt89epO6tHzkMBVDkC7qphQO2hTY4hHn9npWFRw5BYubE=",
    );
    let now = time("20100101000000");
    let replies = replies(text);
    assert_eq!(replies.len(), 6);
    for (title, reply) in &replies {
        let verdict = judge(&keys, reply, now);
        match *title {
            "B.2" | "B.2.1" => assert_eq!(shows(&verdict), (Shown::NoData, false), "{title}"),
            "B.3" => assert_eq!(
                verdict,
                Verdict::Insecure(Insecure::Delegation {
                    cut: name("c.example.")
                })
            ),
            // All records of this zone have opt-out, so nothing that rests on a covered name is certain (§9.2).
            _ => assert_eq!(verdict, Verdict::Insecure(Insecure::OptOut), "{title}"),
        }
        check_spoiled(title, &keys, reply, now);
    }
}
