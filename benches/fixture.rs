//! What the benches share: a zone of numbered names, keys, an engine, and questions.

#![allow(dead_code, reason = "each bench uses a part of it")]

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use countersign::{
    answer::{
        Effort, Engine, EngineSettings, Outcome, Peer, Responder, ServedZone, Transport, Work, ZonePolicy,
    },
    clock::{SimulatedClock, UnixTime},
    dnssec::{
        algorithm::SigningAlgorithm,
        denial::Denial,
        key::{SEP, SigningKey, ZONE},
        keyset::{KeySet, KeyState, Member, Origin, Publishing},
    },
    wire::{Name, NameRef, RrType, Ttl},
    zone::{Entry, Place, Zone, ZoneBuilder},
};

pub const NOW: UnixTime = UnixTime(1_800_000_000);
pub const PEER: Peer = Peer {
    address: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5_353),
    transport: Transport::Udp,
};

pub fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// `example.com.` with `names` hosts `hostN`, an A and an AAAA each, and a wildcard `*.wild`.
pub fn zone(names: u32) -> Zone {
    let apex = name("example.com.");
    let mut builder = ZoneBuilder::new(apex.as_ref(), Ttl::MAX);
    let mut add = |owner: NameRef<'_>, rtype, rdata: &[u8]| {
        builder.add(&Entry {
            owner,
            rtype,
            ttl: Ttl::new(3_600),
            rdata,
            at: Place::default(),
        });
    };
    let (ns, mail) = (name("ns1.example.com."), name("hostmaster.example.com."));
    let soa = [
        ns.as_wire(),
        mail.as_wire(),
        &1_u32.to_be_bytes(),
        &[0, 0, 14, 16].repeat(4),
    ]
    .concat();
    add(apex.as_ref(), RrType::SOA, &soa);
    add(apex.as_ref(), RrType::NS, ns.as_wire());
    add(ns.as_ref(), RrType::A, &[192, 0, 2, 1]);
    add(name("*.wild.example.com.").as_ref(), RrType::A, &[192, 0, 2, 2]);
    for number in 0..names {
        let owner = name(&format!("host{number}.example.com."));
        add(owner.as_ref(), RrType::A, &number.to_be_bytes());
        add(owner.as_ref(), RrType::AAAA, &u128::from(number).to_be_bytes());
    }
    builder.finish().expect("a sound zone").zone
}

/// A KSK and a ZSK.
pub fn keys(algorithm: SigningAlgorithm) -> Arc<KeySet> {
    let member = |flags| {
        let key = Arc::new(SigningKey::generate(algorithm, flags).expect("a new key"));
        Member {
            dnskey: key.dnskey().clone(),
            origin: Origin::Own,
            state: KeyState::Active,
            signer: Some(key),
        }
    };
    let members = vec![member(ZONE | SEP), member(ZONE)];
    let apex = name("example.com.");
    Arc::new(KeySet::assemble(apex.as_ref(), members, Publishing::default(), None).expect("keys that sign"))
}

/// An engine that serves the zone.
pub fn engine(names: u32, denial: Denial, algorithm: SigningAlgorithm) -> Arc<Engine> {
    let engine = Engine::new(
        EngineSettings {
            synthesis_rate: None,
            ..EngineSettings::default()
        },
        Arc::new(SimulatedClock::new(NOW)),
    );
    let policy = ZonePolicy {
        denial,
        ..ZonePolicy::default()
    };
    let served = ServedZone::new(&zone(names), keys(algorithm), &policy, NOW, None).expect("a zone to serve");
    engine.publish(vec![Arc::new(served)]);
    engine
}

/// Signatures a second of [`flooded`].
const BUDGET: u32 = 1_000;

/// A worker beyond its budget, which answers `questions` with ranges, and has signed all that takes. Its steady time
/// stands still from here on, so it stays there.
pub fn flooded(names: u32, questions: &[Vec<u8>]) -> <Arc<Engine> as Responder>::Worker {
    let settings = EngineSettings {
        synthesis_rate: Some(BUDGET),
        ..EngineSettings::default()
    };
    let clock = Arc::new(SimulatedClock::new(NOW));
    let engine = Engine::new(settings, clock.clone());
    let served = ServedZone::new(
        &zone(names),
        keys(SigningAlgorithm::Ed25519),
        &ZonePolicy::default(),
        NOW,
        None,
    );
    engine.publish(vec![Arc::new(served.expect("a zone to serve"))]);
    let mut worker = worker(&engine);
    let mut out = Vec::new();
    for number in 0..=BUDGET {
        ask(
            &mut worker,
            &question(&format!("flood{number}.example.com."), RrType::A),
            &mut out,
        );
    }
    let zones = engine.zones();
    for zone in zones.iter() {
        assert!(zone.content().expect("it is served").look_for_flood());
    }
    // Two exact NSECs a question at most, and the tokens for them; too little time for calm.
    for some in questions.chunks(BUDGET as usize / 5) {
        clock.advance(std::time::Duration::from_millis(450));
        worker.begin_batch();
        some.iter()
            .for_each(|question| ask(&mut worker, question, &mut out));
    }
    let at_hand = |question: &Vec<u8>| worker.answer(question, PEER, Effort::AtHand, &mut out);
    assert!(
        questions
            .iter()
            .map(at_hand)
            .all(|outcome| outcome == Outcome::Answered)
    );
    assert!(engine.totals().ranges >= questions.len() as u64);
    worker
}

/// A query with EDNS and DO.
pub fn question(owner: &str, rtype: RrType) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    packet.extend_from_slice(name(owner).as_wire());
    packet.extend_from_slice(&rtype.0.to_be_bytes());
    packet.extend_from_slice(&[0, 1, 0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0]);
    packet
}

/// Asks and expects an answer.
pub fn ask(worker: &mut impl Work, packet: &[u8], out: &mut Vec<u8>) {
    let outcome = worker.answer(packet, PEER, Effort::Full, out);
    assert_eq!(outcome, Outcome::Answered);
}

/// A worker with a batch begun.
pub fn worker(engine: &Arc<Engine>) -> <Arc<Engine> as Responder>::Worker {
    let mut worker = engine.worker();
    worker.begin_batch();
    worker
}
