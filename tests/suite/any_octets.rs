//! Any octets whatever: the engine answers or drops them, never panics, never writes a message that cannot be
//! read, and never works without bound.

use crate::harness::{
    engine::Engines,
    message::Query,
    process::repository,
    questions::{self, Random},
};

/// Packets of each kind in a plain `make test`; `make test-long` sets COUNTERSIGN_PACKETS.
const PACKETS: usize = 20_000;
/// A chain of twenty steps has as many signatures, each with its proof, and an SOA.
const MOST_SIGNATURES: u64 = 64;

fn packets() -> usize {
    std::env::var("COUNTERSIGN_PACKETS").map_or(PACKETS, |text| text.parse().expect("a number"))
}

/// Spoils a packet a little: most of these get past the first checks.
fn mutate(packet: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let at = random.below(packet.len());
        match random.below(8) {
            0 => packet[at] = random.next() as u8,
            1 => packet[at] ^= 1 << random.below(8),
            2 => packet.truncate(at.max(1)),
            3 => packet.insert(at, random.next() as u8),
            4 => packet.push(random.next() as u8),
            // Counts, flags and opcodes.
            5 => {
                let at = random.below(12.min(packet.len()));
                packet[at] = [0, 1, 2, 0x40, 0x80, 0xff][random.below(6)];
            }
            // Compression pointers.
            6 if at + 1 < packet.len() => {
                packet[at] = 0xc0 | random.below(2) as u8;
                packet[at + 1] = random.next() as u8;
            }
            // A part of it again.
            _ => {
                let part = packet[at..].to_vec();
                packet.extend_from_slice(&part[..part.len().min(64)]);
            }
        }
    }
}

fn dressed(query: Query, random: &mut Random) -> Vec<u8> {
    let query = match random.below(4) {
        0 => query,
        1 => query.with_opt(random.next() as u16, random.next() as u16),
        _ => query.with_do(),
    };
    query
        .with_flags(if random.one_in(4) { 0x0130 } else { 0 })
        .to_bytes(random.next() as u16)
}

#[test]
fn questions_and_mutations_of_them() {
    let mut random = Random::new(0x00c0_ffee);
    let mut questions = questions::questions(&repository("zones/awkward.zone"), 9);
    questions.extend(questions::questions(&repository("zones/example.zone"), 9));
    // Types that some rule is about.
    for rtype in [
        0, 41, 46, 47, 48, 50, 51, 59, 60, 128, 249, 250, 251, 252, 253, 254, 255, 65_535,
    ] {
        for _ in 0..40 {
            let mut query = questions[random.below(questions.len())].clone();
            query.rtype.0 = rtype;
            questions.push(query);
        }
    }
    let mut engines = Engines::default();
    for query in questions.clone() {
        engines.send(&dressed(query, &mut random));
    }
    for _ in 0..packets() {
        let query = questions[random.below(questions.len())].clone();
        let mut packet = dressed(query, &mut random);
        mutate(&mut packet, &mut random);
        engines.send(&packet);
    }
    for totals in engines.totals() {
        assert_eq!(totals.panics, 0);
        assert_eq!(totals.servfail, 0);
        assert!(
            totals.noerror > 0 && totals.formerr > 0 && totals.nxdomain > 0,
            "{totals:?}"
        );
    }
}

#[test]
fn noise() {
    let mut random = Random::new(0xdead_beef);
    let mut engines = Engines::default();
    for _ in 0..packets() {
        let most = if random.one_in(50) { 4_096 } else { 80 };
        let length = random.below(most);
        let mut packet: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        // One in two looks like a question to begin with.
        if length > 12 && random.one_in(2) {
            packet[2..12].copy_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, random.below(3) as u8]);
        }
        engines.send(&packet);
    }
    assert!(
        engines
            .totals()
            .iter()
            .all(|totals| totals.panics == 0 && totals.servfail == 0)
    );
}

/// No question costs more than a chain may have steps.
#[test]
fn work_is_bounded() {
    let mut random = Random::new(3);
    let mut engines = Engines::default();
    let signed = |engines: &Engines| {
        engines
            .totals()
            .iter()
            .map(|totals| totals.signed)
            .collect::<Vec<_>>()
    };
    let mut before = signed(&engines);
    for query in questions::questions(&repository("zones/awkward.zone"), 4) {
        engines.send(&query.with_do().to_bytes(random.next() as u16));
        let after = signed(&engines);
        for (before, after) in before.iter().zip(&after) {
            assert!(
                after - before <= MOST_SIGNATURES,
                "{} signatures for one question",
                after - before
            );
        }
        before = after;
    }
}
