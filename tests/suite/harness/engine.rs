//! The engine in this process, without sockets, and what must hold of its answer to any octets whatever. Shared
//! with the fuzz target.

use std::{net::SocketAddr, sync::Arc};

use countersign::{
    answer::{
        Effort, Engine, EngineSettings, Outcome, Peer, Responder as _, ServedZone, Transport, Work as _,
        Worker, ZonePolicy, counters::Totals,
    },
    clock::{Clock as _, SystemClock},
    dnssec::{
        algorithm::SigningAlgorithm,
        denial::Denial,
        key::{SEP, SigningKey, ZONE},
        keyset::{KeySet, KeyState, Member, Origin, Publishing},
    },
    wire::{Name, NameRef, Ttl},
    zone::{
        Zone, ZoneBuilder,
        master::{self, Source},
    },
};

use super::message::{Message, QR, Record, TC};

const UDP_LIMIT: usize = 1_232;

pub fn keys(apex: NameRef<'_>) -> Arc<KeySet> {
    let member = |flags| {
        let key = Arc::new(SigningKey::generate(SigningAlgorithm::EcdsaP256Sha256, flags).unwrap());
        Member {
            dnskey: key.dnskey().clone(),
            origin: Origin::Own,
            state: KeyState::Active,
            signer: Some(key),
        }
    };
    let members = vec![member(ZONE | SEP), member(ZONE)];
    Arc::new(KeySet::assemble(apex, members, Publishing::default(), None).unwrap())
}

pub fn zone(apex: NameRef<'_>, octets: &[u8]) -> Zone {
    let mut builder = ZoneBuilder::new(apex, Ttl::new(604_800));
    let source = Source::Text { name: "test", octets };
    let read = master::read(&source, apex, &mut |entry| builder.add(&entry));
    assert!(read.errors.is_empty(), "{:?}", read.errors);
    builder.finish().unwrap().zone
}

/// One engine a way of denial, each with the awkward zone, the example zone, and a zone below it.
pub struct Engines {
    engines: Vec<Arc<Engine>>,
    workers: Vec<Worker>,
    out: Vec<u8>,
}

impl Default for Engines {
    fn default() -> Self {
        let child = b"@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.1\n* 60 TXT wild\n";
        let zones: [(&str, &[u8]); 3] = [
            ("awkward.example.", include_bytes!("../../../zones/awkward.zone")),
            ("example.", include_bytes!("../../../zones/example.zone")),
            ("signed.example.", child),
        ];
        let engines: Vec<_> = [Denial::Compact, Denial::Nsec, Denial::Nsec3]
            .into_iter()
            .map(|denial| {
                let clock = Arc::new(SystemClock::default());
                let now = clock.now();
                let policy = ZonePolicy {
                    denial,
                    ..ZonePolicy::default()
                };
                let settings = EngineSettings {
                    nsid: Some(b"test".to_vec()),
                    ..EngineSettings::default()
                };
                let engine = Engine::new(settings, clock);
                let served = zones.map(|(apex, text)| {
                    let apex: Name = apex.parse().unwrap();
                    let keys = keys(apex.as_ref());
                    let zone = zone(apex.as_ref(), text);
                    Arc::new(ServedZone::new(&zone, keys, &policy, now, None).unwrap())
                });
                engine.publish(served.into());
                engine
            })
            .collect();
        let workers = engines.iter().map(|engine| engine.worker()).collect();
        Self {
            engines,
            workers,
            out: Vec::new(),
        }
    }
}

impl Engines {
    /// Sends a packet to each engine over both transports; stops at whatever must not be.
    pub fn send(&mut self, packet: &[u8]) {
        let address = SocketAddr::from(([192, 0, 2, 1], 53_000));
        let answerable = packet.len() >= 12 && packet[2] & 0x80 == 0;
        for worker in &mut self.workers {
            worker.begin_batch();
            worker.look_ahead([packet].into_iter());
            for transport in [Transport::Udp, Transport::Tcp] {
                let peer = Peer { address, transport };
                let mut outcome = worker.answer(packet, peer, Effort::AtHand, &mut self.out);
                if outcome == Outcome::Deferred {
                    assert!(self.out.is_empty());
                    outcome = worker.answer(packet, peer, Effort::Full, &mut self.out);
                }
                let expected = if answerable {
                    Outcome::Answered
                } else {
                    Outcome::Drop
                };
                assert_eq!(outcome, expected, "{packet:02x?}");
                if answerable {
                    sound(packet, &self.out, transport);
                }
            }
            worker.end_batch();
        }
    }

    /// What all of them counted.
    pub fn totals(&self) -> Vec<Totals> {
        self.engines.iter().map(|engine| engine.totals()).collect()
    }
}

/// An answer can be read to its last octet, is a response to this very packet, and no longer than may be.
fn sound(packet: &[u8], out: &[u8], transport: Transport) {
    let answer = Message::read(out).unwrap_or_else(|why| panic!("{why}\n{packet:02x?}\n{out:02x?}"));
    assert_eq!(out[..2], packet[..2], "{answer}");
    assert!(answer.has(QR), "{answer}");
    assert_eq!(answer.opcode(), u16::from(packet[2] >> 3 & 0xf), "{answer}");
    let limit = match (transport, &answer.opt) {
        (Transport::Tcp, _) => 65_535,
        (Transport::Udp, Some(_)) => UDP_LIMIT,
        (Transport::Udp, None) => 512,
    };
    assert!(out.len() <= limit, "{} octets\n{answer}", out.len());
    if answer.has(TC) {
        assert!(
            answer.all().next().is_none(),
            "a cut answer holds no record\n{answer}"
        );
    }
    let mut told: Vec<_> = answer
        .answer
        .iter()
        .chain(&answer.authority)
        .map(Record::folded)
        .collect();
    let count = told.len();
    told.sort_unstable();
    told.dedup();
    assert_eq!(
        told.len(),
        count,
        "a record is told once (RFC 2181 section 5)\n{answer}"
    );
    for (name, rtype, class) in &answer.questions {
        let question = [&name.0[..], &rtype.0.to_be_bytes(), &class.to_be_bytes()].concat();
        assert_eq!(
            packet.get(12..12 + question.len()),
            Some(&question[..]),
            "the question as it was asked"
        );
    }
}
