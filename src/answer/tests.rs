//! The engine against the examples of the RFCs. Every signature in every answer is verified with hickory-proto,
//! another implementation of the canonical form and of verification.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use hickory_proto::{
    dnssec::{
        PublicKeyBuf, Verifier,
        rdata::{DNSKEY, DNSSECRData},
    },
    op::Message,
    rr::{DNSClass, RData, Record},
};

mod changes;
mod overload;
mod warming;

use super::*;
use crate::{
    clock::{SimulatedClock, UnixTime},
    dnssec::{
        algorithm::SigningAlgorithm,
        denial::{Denial, nsec3},
        key::{SEP, SigningKey, ZONE},
        keyset::{KeySet, KeyState, Member, Origin, Publishing},
    },
    wire::{Name, NameRef, RrType, Ttl},
    zone::{Entry, Place, SearchName, Zone, ZoneBuilder},
};

const NOW: UnixTime = UnixTime(1_800_000_000);

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn relative(text: &str) -> Name {
    Name::parse(text.as_bytes(), Some(name("example.").as_ref())).unwrap()
}

/// The zone of RFC 4035 appendix A and RFC 5155 appendix A, with a DNAME and a chain besides.
fn rfc_zone() -> Zone {
    zone(&RFC_LINES)
}

const RFC_LINES: [&str; 34] = [
    "@ SOA ns1 bugs.x.w",
    "@ NS ns1",
    "@ NS ns2",
    "@ MX 1 xx",
    "a NS ns1.a",
    "a NS ns2.a",
    "a DS 58470",
    "ns1.a A 192.0.2.5",
    "ns2.a A 192.0.2.6",
    "ai A 192.0.2.9",
    "ai HINFO x",
    "b NS ns1.b",
    "b NS ns2.b",
    "ns1.b A 192.0.2.7",
    "ns2.b A 192.0.2.8",
    "ns1 A 192.0.2.1",
    "ns2 A 192.0.2.2",
    "*.w MX 1 ai",
    "x.w MX 1 xx",
    "x.y.w MX 1 xx",
    "xx A 192.0.2.10",
    "xx HINFO x",
    "d DNAME w",
    "far DNAME elsewhere.test.",
    "d2 DNAME t",
    "x.t CNAME y.d2",
    "y.t A 192.0.2.11",
    "c1 CNAME c2",
    "c2 CNAME xx",
    "l1 CNAME l2",
    "l2 CNAME l1",
    "gone CNAME nothing",
    "out CNAME www.elsewhere.test.",
    "to-a CNAME www.a",
];

fn zone(lines: &[&str]) -> Zone {
    let mut builder = ZoneBuilder::new(name("example.").as_ref(), Ttl::new(604_800));
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let (owner, rtype) = (relative(words[0]), RrType::from_text(words[1]).unwrap());
        let rdata = match (rtype, &words[2..]) {
            (RrType::SOA, [mname, rname]) => {
                let numbers: Vec<u8> = [7_u32, 3600, 300, 3_600_000, 1800]
                    .iter()
                    .flat_map(|n| n.to_be_bytes())
                    .collect();
                [relative(mname).as_wire(), relative(rname).as_wire(), &numbers].concat()
            }
            (RrType::NS | RrType::CNAME | RrType::DNAME, [target]) => relative(target).as_wire().to_vec(),
            (RrType::MX, [preference, target]) => {
                [&[0, preference.parse().unwrap()], relative(target).as_wire()].concat()
            }
            (RrType::A, [address]) => address
                .split('.')
                .map(|part| part.parse::<u8>().unwrap())
                .collect(),
            (RrType::DS, [tag]) => {
                [&tag.parse::<u16>().unwrap().to_be_bytes()[..], &[13, 2], &[7; 32]].concat()
            }
            (RrType::HINFO, _) => b"\x03KLH\x03ITS".to_vec(),
            other => panic!("no such line: {other:?}"),
        };
        let (owner, at) = (owner.as_ref(), Place::default());
        builder.add(&Entry {
            owner,
            rtype,
            ttl: Ttl::new(3600),
            rdata: &rdata,
            at,
        });
    }
    builder.finish().unwrap().zone
}

fn keys(apex: NameRef<'_>) -> Arc<KeySet> {
    let member = |flags| {
        let key = Arc::new(SigningKey::generate(SigningAlgorithm::Ed25519, flags).unwrap());
        Member {
            dnskey: key.dnskey().clone(),
            origin: Origin::Own,
            state: KeyState::Active,
            signer: Some(key),
        }
    };
    Arc::new(
        KeySet::assemble(
            apex,
            vec![member(ZONE | SEP), member(ZONE)],
            Publishing::default(),
            None,
        )
        .unwrap(),
    )
}

struct Asker {
    engine: Arc<Engine>,
    clock: Arc<SimulatedClock>,
    keys: Arc<KeySet>,
}

#[derive(Clone, Copy, PartialEq)]
enum Flags {
    Plain,
    Do,
    DoCo,
}

impl Asker {
    fn new(zone: &Zone, denial: Denial, parameters: nsec3::Parameters) -> Self {
        let clock = Arc::new(SimulatedClock::new(NOW));
        let engine = Engine::new(EngineSettings::default(), clock.clone());
        let keys = keys(zone.apex());
        let policy = ZonePolicy {
            denial,
            ..ZonePolicy::default()
        };
        let served = ServedZone::with_nsec3(zone, keys.clone(), &policy, parameters, NOW, None).unwrap();
        engine.publish(vec![Arc::new(served)]);
        Self { engine, clock, keys }
    }

    fn raw(&self, packet: &[u8], effort: Effort) -> (Outcome, Vec<u8>) {
        let from = Peer {
            address: SocketAddr::from(([127, 0, 0, 1], 5353)),
            transport: Transport::Udp,
        };
        let mut worker = self.engine.worker();
        worker.begin_batch();
        let mut out = Vec::new();
        (worker.answer(packet, from, effort, &mut out), out)
    }

    fn ask(&self, question: &str, flags: Flags) -> Told {
        let (outcome, out) = self.raw(&packet(question, flags), Effort::Full);
        assert_eq!(outcome, Outcome::Answered);
        let told = Told {
            message: Message::from_vec(&out).unwrap(),
            raw: out,
        };
        self.verify(&told);
        told
    }

    /// Verifies every RRSIG of a message with hickory, and that its key is in the published set.
    fn verify(&self, told: &Told) {
        let message = &told.message;
        for section in [&message.answers, &message.authorities, &message.additionals] {
            for record in section {
                let RData::DNSSEC(DNSSECRData::RRSIG(signature)) = &record.data else {
                    continue;
                };
                let input = signature.input();
                let covered: Vec<&Record> = section
                    .iter()
                    .filter(|other| other.name == record.name && other.record_type() == input.type_covered)
                    .collect();
                if covered.is_empty() {
                    // RRSIG was asked for by name.
                    continue;
                }
                let key = self
                    .keys
                    .published()
                    .iter()
                    .find(|key| key.tag == input.key_tag)
                    .expect("a published key");
                let public = PublicKeyBuf::new(key.dnskey.public_key().to_vec(), input.algorithm);
                let dnskey = DNSKEY::with_flags(key.dnskey.flags(), public);
                let verified =
                    dnskey.verify_rrsig(&record.name, DNSClass::IN, signature, covered.iter().copied());
                assert!(verified.is_ok(), "{record}: {verified:?}");
                let key_sets = input.type_covered.to_string() == "DNSKEY";
                assert_eq!(
                    key.dnskey.is_sep(),
                    key_sets,
                    "the KSK signs the key set alone: {record}"
                );
            }
        }
    }
}

struct Told {
    message: Message,
    raw: Vec<u8>,
}

impl Told {
    /// `rcode flags | answers | authorities | additionals`, each record as `owner TYPE`, signatures as `+`.
    fn shape(&self) -> String {
        let section = |records: &[Record]| {
            let mut parts = Vec::<String>::new();
            for record in records {
                let owner = record.name.to_string();
                if let RData::DNSSEC(DNSSECRData::RRSIG(signature)) = &record.data {
                    let labels = signature.input().num_labels;
                    let count = record.name.num_labels();
                    parts.push(if labels < count {
                        format!("+{labels}")
                    } else {
                        "+".into()
                    });
                } else {
                    parts.push(format!(
                        "{} {}",
                        owner
                            .strip_suffix("example.")
                            .unwrap_or(&owner)
                            .trim_end_matches('.'),
                        record.record_type()
                    ));
                }
            }
            parts.join(" ")
        };
        let meta = &self.message.metadata;
        let mut flags = String::new();
        if meta.authoritative {
            flags.push_str(" aa");
        }
        if meta.truncation {
            flags.push_str(" tc");
        }
        format!(
            "{}{flags} | {} | {} | {}",
            self.raw[3] & 0x0f,
            section(&self.message.answers),
            section(&self.message.authorities),
            section(&self.message.additionals)
        )
    }

    /// NSEC3 records of the authority section: for each name given, whether it is matched or covered.
    fn nsec3_of(&self, parameters: &nsec3::Parameters, names: &[&str]) -> BTreeMap<String, &'static str> {
        let apex = name("example.");
        let mut said = BTreeMap::new();
        for record in &self.message.authorities {
            let RData::DNSSEC(DNSSECRData::NSEC3(nsec3)) = &record.data else {
                continue;
            };
            let owner = record.name.to_string();
            let next: [u8; 20] = nsec3.next_hashed_owner_name().try_into().unwrap();
            for text in names {
                let hash = parameters.hash(name(text).as_ref());
                let is = |hash: nsec3::Hash| hash.owner(apex.as_ref()).unwrap().as_ref().to_string() == owner;
                if is(hash) && next == hash.next().0 {
                    said.insert((*text).to_string(), "matched");
                } else if is(hash.previous()) && next == hash.next().0 {
                    said.insert((*text).to_string(), "covered");
                }
            }
        }
        said
    }
}

fn packet(question: &str, flags: Flags) -> Vec<u8> {
    let (owner, rtype) = question.split_once(' ').unwrap();
    let mut packet = vec![
        0x12,
        0x34,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        u8::from(flags != Flags::Plain),
    ];
    packet.extend_from_slice(relative(owner).as_wire());
    packet.extend_from_slice(&RrType::from_text(rtype).unwrap().0.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    if flags != Flags::Plain {
        let bits = if flags == Flags::DoCo { 0xc0 } else { 0x80 };
        packet.extend_from_slice(&[0, 0, 41, 0x04, 0xd0, 0, 0, bits, 0, 0, 0]);
    }
    packet
}

#[track_caller]
fn row(asker: &Asker, section: &str, question: &str, flags: Flags, expected: &str) {
    let shape = asker.ask(question, flags).shape();
    assert_eq!(shape, expected, "\n;; {section}: {question}");
}

/// With NSEC3, a question for NSEC at a CNAME was denied by a bitmap that has the CNAME bit, which is bogus
/// (RFC 6840 §4.3).
#[test]
fn nsec_is_a_type_like_another_where_nsec3_denies() {
    let zone = zone(&[
        "@ SOA ns1 h",
        "@ NS ns1",
        "ns1 A 192.0.2.1",
        "c CNAME ns1",
        "*.w CNAME ns1",
    ]);
    let asker = Asker::new(&zone, Denial::Nsec3, nsec3::Parameters::default());
    for (question, answer) in [
        ("c NSEC", "c CNAME +"),
        ("*.w NSEC", "*.w CNAME +"),
        ("x.w NSEC", "x.w CNAME +2"),
    ] {
        let shape = asker.ask(question, Flags::Do).shape();
        assert!(
            shape.starts_with(&format!("0 aa | {answer} |  SOA + ")),
            "{question}: {shape}"
        );
    }
    let signatures = asker.ask("c RRSIG", Flags::Do).shape();
    assert_eq!(signatures, "0 aa | + |  | ");
}

/// A chain that led through one DNAME twice had it twice: an RRset stands in an answer once (RFC 2181 §5).
#[test]
fn a_dname_that_is_passed_twice_is_told_once() {
    let zone = zone(&[
        "@ SOA ns1 h",
        "@ NS ns1",
        "ns1 A 192.0.2.1",
        "x CNAME y.d",
        "d DNAME e",
        "y.e CNAME z.d",
        "z.e A 192.0.2.2",
        "deeper DNAME a.deeper",
    ]);
    let asker = Asker::new(&zone, Denial::Compact, nsec3::Parameters::default());
    let expected = "0 aa | x CNAME + d DNAME + y.d CNAME y.e CNAME + z.d CNAME z.e A + |  | ";
    row(&asker, "RFC 6672 3.2", "x A", Flags::Do, expected);
    let endless = asker.ask("q.deeper A", Flags::Plain).shape();
    assert_eq!(endless.matches("DNAME").count(), 1, "{endless}");
}

/// A wildcard's CNAME was once followed by its proof at once: the rest of the chain then stood behind it, in the
/// authority section, and unbound said "cname proof failed".
#[test]
fn a_chain_through_wildcards_is_whole_before_its_proofs() {
    let zone = zone(&[
        "@ SOA ns1 h",
        "@ NS ns1",
        "ns1 A 192.0.2.1",
        "*.w CNAME x.v",
        "*.v CNAME y.u",
        "*.u A 192.0.2.2",
        "*.gone CNAME nothing",
        "*.cut CNAME www.sub",
        "sub NS ns.sub",
        "ns.sub A 192.0.2.3",
    ]);
    let asker = Asker::new(&zone, Denial::Nsec, nsec3::Parameters::default());
    let ask = |question, expected| row(&asker, "RFC 4035 3.1.3.3", question, Flags::Do, expected);
    ask(
        "a.w A",
        "0 aa | a.w CNAME +2 x.v CNAME +2 y.u A +2 | *.u NSEC + *.w NSEC + *.v NSEC + | ",
    );
    // *.gone is the last name before nothing.example. and what covers a.gone.example.: told once.
    ask(
        "a.gone A",
        "3 aa | a.gone CNAME +2 |  SOA + *.gone NSEC +  NSEC + | ",
    );
    ask(
        "a.cut A",
        "0 aa | a.cut CNAME +2 | sub NS sub NSEC + *.cut NSEC + | ns.sub A",
    );
    let asker = Asker::new(&zone, Denial::Nsec3, nsec3::Parameters::default());
    let shape = asker.ask("a.w A", Flags::Do).shape();
    assert!(
        shape.starts_with("0 aa | a.w CNAME +2 x.v CNAME +2 y.u A +2 | "),
        "{shape}"
    );
    assert_eq!(shape.matches("NSEC3 +").count(), 3, "{shape}");
}

/// RFC 4035 appendix B, in the exact chain. Optional additional records and the apex NS of positive answers are
/// left out: answers are minimal.
#[test]
fn responses_of_rfc_4035_appendix_b() {
    let asker = Asker::new(&rfc_zone(), Denial::Nsec, nsec3::Parameters::default());
    let ask = |section, question, expected| row(&asker, section, question, Flags::Do, expected);
    ask("B.1 answer", "x.w MX", "0 aa | x.w MX + |  | ");
    ask("B.2 name error", "ml A", "3 aa |  |  SOA + l2 NSEC +  NSEC + | ");
    ask("B.3 no data", "ns1 MX", "0 aa |  |  SOA + ns1 NSEC + | ");
    ask(
        "B.4 referral, signed",
        "mc.a MX",
        "0 |  | a NS a NS a DS + | ns1.a A ns2.a A",
    );
    ask(
        "B.5 referral, unsigned",
        "mc.b MX",
        "0 |  | b NS b NS b NSEC + | ns1.b A ns2.b A",
    );
    ask("B.6 wildcard", "a.z.w MX", "0 aa | a.z.w MX +2 | x.y.w NSEC + | ");
    ask(
        "B.7 wildcard no data",
        "a.z.w AAAA",
        "0 aa |  |  SOA + *.w NSEC + x.y.w NSEC + | ",
    );
    ask(
        "B.8 DS at the child's apex",
        "@ DS",
        "0 aa |  |  SOA +  NSEC + | ",
    );
}

/// RFC 5155 appendix B with its salt and iterations: which names the proof matches and which it covers. Ours are
/// narrow, and without opt-out, so B.3's referral matches the cut itself.
#[test]
fn proofs_of_rfc_5155_appendix_b() {
    let parameters = nsec3::Parameters {
        iterations: 12,
        salt: vec![0xaa, 0xbb, 0xcc, 0xdd],
    };
    let asker = Asker::new(&rfc_zone(), Denial::Nsec3, parameters.clone());
    for (section, question, rcode, expected) in [
        (
            "B.1 name error",
            "a.c.x.w A",
            3,
            &[
                ("x.w.example.", "matched"),
                ("c.x.w.example.", "covered"),
                ("*.x.w.example.", "covered"),
            ][..],
        ),
        ("B.2 no data", "ns1 MX", 0, &[("ns1.example.", "matched")]),
        (
            "B.2.1 empty non-terminal",
            "y.w A",
            0,
            &[("y.w.example.", "matched")],
        ),
        ("B.3 referral", "mc.b MX", 0, &[("b.example.", "matched")]),
        ("B.4 wildcard", "a.z.w MX", 0, &[("z.w.example.", "covered")]),
        (
            "B.5 wildcard no data",
            "a.z.w AAAA",
            0,
            &[
                ("w.example.", "matched"),
                ("z.w.example.", "covered"),
                ("*.w.example.", "matched"),
            ],
        ),
    ] {
        let told = asker.ask(question, Flags::Do);
        let names: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
        let expected: BTreeMap<_, _> = expected
            .iter()
            .map(|(name, how)| ((*name).to_string(), *how))
            .collect();
        assert_eq!(
            told.nsec3_of(&parameters, &names),
            expected,
            "{section}: {}",
            told.shape()
        );
        let proofs = told
            .message
            .authorities
            .iter()
            .filter(|r| matches!(r.data, RData::DNSSEC(DNSSECRData::NSEC3(_))));
        assert_eq!(
            proofs.count(),
            expected.len(),
            "{section}: nothing besides: {}",
            told.shape()
        );
        assert_eq!(told.raw[3] & 0x0f, rcode, "{section}");
    }
}

#[test]
fn compact_denial_of_rfc_9824() {
    let asker = Asker::new(&rfc_zone(), Denial::Compact, nsec3::Parameters::default());
    let ask = |section, question, flags, expected| row(&asker, section, question, flags, expected);
    ask(
        "3.1 no such name",
        "ml A",
        Flags::Do,
        "0 aa |  |  SOA + ml NSEC + | ",
    );
    ask(
        "5.1 no such name, CO",
        "ml A",
        Flags::DoCo,
        "3 aa |  |  SOA + ml NSEC + | ",
    );
    ask("5 no such name, DO=0", "ml A", Flags::Plain, "3 aa |  |  SOA | ");
    ask(
        "3.2 no data",
        "ns1 MX",
        Flags::DoCo,
        "0 aa |  |  SOA + ns1 NSEC + | ",
    );
    ask(
        "3.2 empty non-terminal",
        "y.w A",
        Flags::DoCo,
        "0 aa |  |  SOA + y.w NSEC + | ",
    );
    ask(
        "3.3 wildcard, as if it were there",
        "a.z.w MX",
        Flags::Do,
        "0 aa | a.z.w MX + |  | ",
    );
    ask(
        "3.3 wildcard no data",
        "a.z.w A",
        Flags::DoCo,
        "0 aa |  |  SOA + a.z.w NSEC + | ",
    );
    ask(
        "3.4 unsigned referral",
        "mc.b MX",
        Flags::Do,
        "0 |  | b NS b NS b NSEC + | ns1.b A ns2.b A",
    );
    ask(
        "NSEC asked for, no such name",
        "ml NSEC",
        Flags::Do,
        "0 aa | ml NSEC + |  | ",
    );
    ask(
        "RRSIG asked for, no such name",
        "ml RRSIG",
        Flags::Do,
        "0 aa | + |  | ",
    );
    ask("NSEC asked for", "ns1 NSEC", Flags::Do, "0 aa | ns1 NSEC + |  | ");
    let text = |question, flags| {
        asker
            .ask(question, flags)
            .message
            .authorities
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert!(
        text("ml A", Flags::Do).contains("\\000.ml.example. RRSIG NSEC "),
        "{}",
        text("ml A", Flags::Do)
    );
    assert!(text("y.w A", Flags::Do).contains("\\000.y.w.example. RRSIG NSEC"));
    assert!(text("mc.b A", Flags::Do).contains("b\\000.example. NS RRSIG NSEC"));
    assert!(text("@ A", Flags::Do).contains("NS SOA MX RRSIG NSEC DNSKEY"));
    // The letter case of the question is not that of the NSEC.
    let told = asker.ask("mL A", Flags::Do);
    assert!(
        told.message
            .authorities
            .iter()
            .any(|r| r.to_string().contains("\\000.ml.example."))
    );
    assert!(
        told.raw.windows(3).any(|w| w == b"\x02mL"),
        "the question keeps its case"
    );
}

/// RFC 4035 §3.1: without signatures DO changes nothing but the OPT's own bit (RFC 3225 §3).
#[test]
fn an_unsigned_zone_is_told_as_it_is() {
    let asker = Asker::new(&rfc_zone(), Denial::Compact, nsec3::Parameters::default());
    let unsigned = Arc::new(ServedZone::unsigned(&rfc_zone()));
    asker.engine.publish(vec![Arc::clone(&unsigned)]);
    for (question, expected) in [
        ("@ SOA", "0 aa |  SOA |  | "),
        ("@ DNSKEY", "0 aa |  |  SOA | "),
        ("@ NSEC", "0 aa |  |  SOA | "),
        ("@ RRSIG", "0 aa |  |  SOA | "),
        ("ml A", "3 aa |  |  SOA | "),
        ("ml NSEC", "3 aa |  |  SOA | "),
        ("a.z.w MX", "0 aa | a.z.w MX |  | "),
        ("a.z.w RRSIG", "0 aa |  |  SOA | "),
        ("b DS", "0 aa |  |  SOA | "),
        ("a DS", "0 aa | a DS |  | "),
        ("mc.b A", "0 |  | b NS b NS | ns1.b A ns2.b A"),
    ] {
        for flags in [Flags::Plain, Flags::Do, Flags::DoCo] {
            row(&asker, "unsigned", question, flags, expected);
        }
    }
    let mut warmer = warm::Warmer::default();
    let step = warmer.step(&asker.engine.zones(), 100, NOW);
    assert_eq!((step.signed, step.failed), (0, 0));
    assert_eq!(unsigned.content().unwrap().signature_state(NOW).wanted, 0);
}

#[test]
fn chains_end_at_the_edge() {
    for denial in [Denial::Compact, Denial::Nsec, Denial::Nsec3] {
        let asker = Asker::new(&rfc_zone(), denial, nsec3::Parameters::default());
        let ask = |question, expected| row(&asker, &format!("{denial:?}"), question, Flags::Do, expected);
        ask("c1 A", "0 aa | c1 CNAME + c2 CNAME + xx A + |  | ");
        ask("c1 CNAME", "0 aa | c1 CNAME + |  | ");
        ask("l1 A", "0 aa | l1 CNAME + l2 CNAME + |  | ");
        ask("out A", "0 aa | out CNAME + |  | ");
        ask("x.d MX", "0 aa | d DNAME + x.d CNAME x.w MX + |  | ");
        ask(
            "x.d2 A",
            "0 aa | d2 DNAME + x.d2 CNAME x.t CNAME + y.d2 CNAME y.t A + |  | ",
        );
        ask("d DNAME", "0 aa | d DNAME + |  | ");
        ask("x.far A", "0 aa | far DNAME + x.far CNAME |  | ");
        ask(
            "to-a A",
            "0 aa | to-a CNAME + | a NS a NS a DS + | ns1.a A ns2.a A",
        );
        let too_long = format!("{0}.{0}.{0}.{1}.far A", "a".repeat(60), "b".repeat(57));
        ask(&too_long, "6 aa | far DNAME + |  | ");
        let gone = asker.ask("gone A", Flags::DoCo).shape();
        assert!(
            gone.starts_with("3 aa | gone CNAME + |  SOA + "),
            "{denial:?}: {gone}"
        );
        ask("a DS", "0 aa | a DS + |  | ");
        ask("@ DNSKEY", "0 aa |  DNSKEY  DNSKEY + |  | ");
        ask("xx ANY", "0 aa | xx A + |  | ");
    }
}

#[test]
fn what_needs_a_signature_waits_for_the_second_pass() {
    let asker = Asker::new(&rfc_zone(), Denial::Compact, nsec3::Parameters::default());
    let question = packet("xx A", Flags::Do);
    assert_eq!(
        asker.raw(&question, Effort::AtHand),
        (Outcome::Deferred, Vec::new())
    );
    let (outcome, first) = asker.raw(&question, Effort::Full);
    assert_eq!(outcome, Outcome::Answered);
    // From now on it is at hand, and the same octets.
    assert_eq!(asker.raw(&question, Effort::AtHand), (Outcome::Answered, first));
    assert_eq!(
        asker.raw(&packet("xx A", Flags::Plain), Effort::AtHand).0,
        Outcome::Answered
    );
}

/// What is answered from what was kept equals what was answered when it was made, octet by octet.
#[test]
fn answers_are_the_same_before_and_after_they_are_kept() {
    for denial in [Denial::Compact, Denial::Nsec, Denial::Nsec3] {
        for question in [
            "xx A", "ml A", "a.x.w A", "y.w A", "mc.b MX", "a DS", "b DS", "a.z.w MX", "a.z.w A", "c1 A",
            "@ DNSKEY", "@ SOA", "x.d MX",
        ] {
            let asker = Asker::new(&rfc_zone(), denial, nsec3::Parameters::default());
            for flags in [Flags::Plain, Flags::Do, Flags::DoCo] {
                let first = asker.raw(&packet(question, flags), Effort::Full).1;
                // Another question leaves its own things behind.
                asker.raw(&packet("bugs.x.w MX", flags), Effort::Full);
                assert_eq!(
                    asker.raw(&packet(question, flags), Effort::AtHand).1,
                    first,
                    "{denial:?} {question}"
                );
            }
        }
    }
}

#[test]
fn a_flood_of_names_is_answered_with_tc_beyond_the_budget_and_real_names_are_not() {
    let mut asker = Asker::new(&rfc_zone(), Denial::Compact, nsec3::Parameters::default());
    let settings = EngineSettings {
        synthesis_rate: Some(10),
        ..EngineSettings::default()
    };
    let limited = Engine::new(settings, asker.clock.clone());
    limited.publish(asker.engine.zones().iter().cloned().collect());
    asker.engine = limited;
    let mut worker = asker.engine.worker();
    let mut ask = |question: &str, transport, begin: bool| {
        if begin {
            worker.begin_batch();
        }
        let from = Peer {
            address: SocketAddr::from(([127, 0, 0, 1], 5353)),
            transport,
        };
        let mut out = Vec::new();
        assert_eq!(
            worker.answer(&packet(question, Flags::Do), from, Effort::Full, &mut out),
            Outcome::Answered
        );
        out[2] & 0x02 != 0
    };
    let truncated = (0..30)
        .filter(|n| ask(&format!("r{n} A"), Transport::Udp, *n == 0))
        .count();
    assert_eq!(truncated, 20);
    assert!(
        !ask("xx A", Transport::Udp, true),
        "what the zone holds is signed all the same"
    );
    assert!(!ask("r3 A", Transport::Udp, true), "what was signed is known");
    assert!(!ask("r99 A", Transport::Tcp, true), "over TCP it is not counted");
    asker.clock.advance(std::time::Duration::from_secs(1));
    assert!(!ask("r98 A", Transport::Udp, true), "back by itself");
    assert_eq!(asker.engine.totals().over_budget, 20);
}

#[test]
fn signatures_are_made_anew_before_what_caches_hold_expires() {
    let asker = Asker::new(&rfc_zone(), Denial::Nsec, nsec3::Parameters::default());
    let question = packet("xx A", Flags::Do);
    let (_, first) = asker.raw(&question, Effort::Full);
    let content = asker.engine.zones();
    let expires = content
        .iter()
        .next()
        .unwrap()
        .content()
        .unwrap()
        .validity()
        .lifetime();
    asker.clock.advance(expires / 2);
    assert_eq!(asker.raw(&question, Effort::AtHand).1, first);
    asker.clock.advance(expires / 2);
    assert_eq!(asker.raw(&question, Effort::AtHand).0, Outcome::Deferred);
    let (_, second) = asker.raw(&question, Effort::Full);
    assert_ne!(second, first);
    // A clock that went back: a signature whose inception lies ahead is not served.
    asker.clock.jump(NOW.minus(std::time::Duration::from_secs(7_200)));
    assert_eq!(asker.raw(&question, Effort::AtHand).0, Outcome::Deferred);
}

#[test]
fn a_reload_keeps_signatures_of_what_is_the_same() {
    let asker = Asker::new(&rfc_zone(), Denial::Compact, nsec3::Parameters::default());
    let (kept, changed) = (packet("xx A", Flags::Do), packet("ns1 A", Flags::Do));
    let (no_data, new_name) = (packet("ns2 MX", Flags::Do), packet("ml MX", Flags::Do));
    let before = asker.raw(&kept, Effort::Full).1;
    for question in [&changed, &no_data, &new_name] {
        asker.raw(question, Effort::Full);
    }
    let next = zone(&[
        "@ SOA ns1 bugs.x.w",
        "@ NS ns1",
        "ns1 A 192.0.2.99",
        "ns2 A 192.0.2.2",
        "ns2 HINFO x",
        "xx A 192.0.2.10",
        "xx HINFO x",
        "ml MX 1 xx",
    ]);
    let zones = asker.engine.zones();
    let previous = zones.iter().next().unwrap();
    let served = ServedZone::new(
        &next,
        asker.keys.clone(),
        &ZonePolicy::default(),
        NOW,
        Some(previous),
    )
    .unwrap();
    asker.engine.publish(vec![Arc::new(served)]);
    assert_eq!(
        asker.raw(&kept, Effort::AtHand),
        (Outcome::Answered, before),
        "the same RRset"
    );
    assert_eq!(
        asker.raw(&changed, Effort::AtHand).0,
        Outcome::Deferred,
        "another address"
    );
    assert_eq!(
        asker.raw(&no_data, Effort::AtHand).0,
        Outcome::Deferred,
        "another bitmap"
    );
    assert_eq!(
        asker.ask("ml MX", Flags::Do).shape(),
        "0 aa | ml MX + |  | ",
        "a name that was denied before"
    );
    // Another key: nothing that the old one made is served.
    let keys = keys(next.apex());
    let zones = asker.engine.zones();
    let served = ServedZone::new(
        &next,
        keys,
        &ZonePolicy::default(),
        NOW,
        zones.iter().next().map(|zone| &**zone),
    )
    .unwrap();
    asker.engine.publish(vec![Arc::new(served)]);
    assert_eq!(asker.raw(&kept, Effort::AtHand).0, Outcome::Deferred);
}

#[test]
fn keys_that_do_not_belong_to_the_published_set_are_not_used() {
    let zone = rfc_zone();
    let signer = Arc::new(SigningKey::generate(SigningAlgorithm::Ed25519, ZONE | SEP).unwrap());
    let other = SigningKey::generate(SigningAlgorithm::Ed25519, ZONE | SEP).unwrap();
    let member = Member {
        dnskey: other.dnskey().clone(),
        origin: Origin::Own,
        state: KeyState::Active,
        signer: Some(signer),
    };
    let keys = KeySet::assemble(zone.apex(), vec![member], Publishing::default(), None).unwrap();
    let refused = ServedZone::new(&zone, Arc::new(keys), &ZonePolicy::default(), NOW, None);
    assert!(
        matches!(refused, Err(ServeError::SelfCheck { .. })),
        "{refused:?}"
    );
}

#[test]
fn ds_is_asked_of_the_parent_and_everything_else_of_the_child() {
    let asker = Asker::new(&rfc_zone(), Denial::Compact, nsec3::Parameters::default());
    let mut builder = ZoneBuilder::new(name("a.example.").as_ref(), Ttl::MAX);
    let soa: Vec<u8> = [name("ns.a.example.").as_wire(), name(".").as_wire(), &[0; 20]].concat();
    for (rtype, rdata) in [
        (RrType::SOA, &soa[..]),
        (RrType::NS, name("ns1.a.example.").as_wire()),
    ] {
        let (owner, at) = (name("a.example."), Place::default());
        builder.add(&Entry {
            owner: owner.as_ref(),
            rtype,
            ttl: Ttl::new(60),
            rdata,
            at,
        });
    }
    let child = builder.finish().unwrap().zone;
    let child = ServedZone::new(&child, keys(child.apex()), &ZonePolicy::default(), NOW, None).unwrap();
    let mut zones: Vec<_> = asker.engine.zones().iter().cloned().collect();
    zones.push(Arc::new(child));
    zones.push(Arc::new(ServedZone::failed(
        name("broken.test.").as_ref(),
        "a reason".into(),
    )));
    asker.engine.publish(zones);
    let shape = |question| {
        let (_, out) = asker.raw(&packet(question, Flags::Do), Effort::Full);
        Told {
            message: Message::from_vec(&out).unwrap(),
            raw: out,
        }
        .shape()
    };
    assert_eq!(shape("a DS"), "0 aa | a DS + |  | ");
    assert!(shape("a SOA").starts_with("0 aa | a SOA"));
    assert!(shape("x.a A").contains("| a SOA + x.a NSEC +"));
    assert_eq!(shape("broken.test. A"), "2 |  |  | ");
    assert_eq!(shape("www.broken.test. A"), "2 |  |  | ");
    assert_eq!(shape("other.test. A"), "5 |  |  | ");
}

#[test]
fn odd_questions_get_their_codes() {
    let asker = Asker::new(&rfc_zone(), Denial::Compact, nsec3::Parameters::default());
    let rcode = |packet: &[u8]| {
        let (outcome, out) = asker.raw(packet, Effort::Full);
        assert_eq!(outcome, Outcome::Answered);
        assert_eq!(out[..2], packet[..2], "the ID");
        u16::from(out[3] & 0x0f)
    };
    for (rtype, expected) in [
        ("AXFR", 5),
        ("IXFR", 5),
        ("MAILB", 4),
        ("MAILA", 4),
        ("TYPE128", 1),
        ("OPT", 1),
        ("TYPE200", 1),
        ("TYPE0", 1),
        ("TSIG", 1),
        ("TYPE1000", 0),
        ("TYPE65535", 0),
    ] {
        assert_eq!(
            rcode(&packet(&format!("ai {rtype}"), Flags::Do)),
            expected,
            "{rtype}"
        );
    }
    for (opcode, expected) in [(0, 0), (1, 4), (2, 4), (4, 4), (5, 4), (15, 4)] {
        let mut packet = packet("ai A", Flags::Do);
        packet[2] = opcode << 3;
        assert_eq!(rcode(&packet), expected, "opcode {opcode}");
    }
    for (class, expected) in [(1, 0), (3, 5), (4, 5), (254, 5), (255, 0)] {
        let mut packet = packet("ai A", Flags::Plain);
        let end = packet.len();
        packet[end - 1] = class;
        assert_eq!(rcode(&packet), expected, "class {class}");
    }
    let mut version_1 = packet("ai A", Flags::Do);
    let end = version_1.len();
    version_1[end - 5] = 1;
    let (_, out) = asker.raw(&version_1, Effort::Full);
    let told = Message::from_vec(&out).unwrap();
    assert_eq!(u16::from(told.metadata.response_code), 16, "BADVERS");
    assert_eq!(told.edns.unwrap().version(), 0);
    let mut response = packet("ai A", Flags::Plain);
    response[2] |= 0x80;
    assert_eq!(asker.raw(&response, Effort::Full).0, Outcome::Drop);
    assert_eq!(asker.raw(&response[..11], Effort::Full).0, Outcome::Drop);
    let mut none = packet("ai A", Flags::Plain);
    none[5] = 0;
    assert_eq!(rcode(&none), 1);
}

proptest::proptest! {
    #[test]
    fn any_packet_gets_a_bounded_answer_or_none(
        mut octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), which in 0_usize..3
    ) {
        thread_local! {
            static ASKERS: [Asker; 3] = [Denial::Compact, Denial::Nsec, Denial::Nsec3]
                .map(|denial| Asker::new(&rfc_zone(), denial, nsec3::Parameters::default()));
        }
        // Half of them are valid questions with a spoiled tail.
        let question = packet("a.b.w A", Flags::Do);
        if octets.len() > question.len() && octets[0] & 1 == 1 {
            octets[..question.len()].copy_from_slice(&question);
        }
        ASKERS.with(|askers| {
            let (outcome, out) = askers[which].raw(&octets, Effort::Full);
            if outcome == Outcome::Answered {
                assert!(out.len() >= 12 && out.len() <= 1_232);
                assert_eq!(out[..2], octets[..2]);
                assert!(out[2] & 0x80 != 0);
            }
            assert_eq!(askers[which].engine.totals().panics, 0);
        });
    }

    /// Every name gives an answer whose signatures hickory verifies, in every mode.
    #[test]
    fn any_name_gets_a_verified_answer(labels in proptest::collection::vec("[a-dwxz*]{1,3}", 1..5), which in 0_usize..3) {
        thread_local! {
            static ASKERS: [Asker; 3] = [Denial::Compact, Denial::Nsec, Denial::Nsec3]
                .map(|denial| Asker::new(&rfc_zone(), denial, nsec3::Parameters::default()));
        }
        let question = format!("{} MX", labels.join("."));
        ASKERS.with(|askers| { askers[which].ask(&question, Flags::Do); });
    }
}

#[test]
fn a_zone_search_prefers_the_closest() {
    let search = SearchName::new(name("a.b.example.").as_ref());
    assert_eq!(search.suffix(2).to_string(), "b.example.");
    assert_eq!(search.suffix(0), NameRef::ROOT);
}
