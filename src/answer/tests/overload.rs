//! Beyond the budget: what is answered then is what a zone with an exact chain answers, for the names that are not in
//! the zone; it costs one signature a name at most, and is over by itself.

use std::{collections::BTreeSet, time::Duration};

use super::{
    changes::{changed, without_signatures},
    *,
};

/// Signatures a second.
const RATE: u32 = 1_000;

/// Names that are not there and such that a wildcard stands in for; besides them, what stands behind a wildcard's CNAME.
const MADE_UP: [&str; 23] = [
    "ml A",
    "ML A",
    "0 A",
    "zzz A",
    "a.b.c.xx A",
    "a.x.y.w TXT",
    "q.ns1 A",
    "q.ai MX",
    "ml NSEC",
    "ml RRSIG",
    "ml ANY",
    "a.z.w MX",
    "a.z.w A",
    "A.Z.w mx",
    "a.z.w NSEC",
    "a.z.w RRSIG",
    "a.z.w ANY",
    "q.to-xx HINFO",
    "q.to-xx MX",
    "q.to-nothing A",
    "q.to-ent A",
    "q.far-away A",
    "gone A",
];

/// Names of the zone, cuts, and what is below them.
const REAL: [&str; 21] = [
    "@ SOA", "@ NS", "@ MX", "@ TXT", "@ DNSKEY", "xx A", "xx MX", "w A", "y.w A", "*.w MX", "*.w A",
    "ai NSEC", "ai RRSIG", "w NSEC", "a DS", "b DS", "mc.a A", "mc.b A", "x.d MX", "c1 A", "x.far A",
];

fn flood_zone() -> Zone {
    let mut lines = RFC_LINES.to_vec();
    lines.extend([
        "*.to-xx CNAME xx",
        "*.to-nothing CNAME nothing.at.all",
        "*.to-ent CNAME w",
        "*.far-away CNAME www.elsewhere.test.",
    ]);
    zone(&lines)
}

fn served(zone: &Zone, keys: &Arc<KeySet>, denial: Denial, overload: Overload) -> ServedZone {
    let policy = ZonePolicy {
        denial,
        overload,
        ..ZonePolicy::default()
    };
    ServedZone::new(zone, keys.clone(), &policy, NOW, None).unwrap()
}

/// A worker, and a flood that keeps it beyond its budget.
struct Flooded {
    asker: Asker,
    worker: Worker,
    asked: usize,
}

impl Flooded {
    fn new(zone: &Zone, overload: Overload) -> Self {
        let mut asker = Asker::new(zone, Denial::Compact, nsec3::Parameters::default());
        let settings = EngineSettings {
            synthesis_rate: Some(RATE),
            ..EngineSettings::default()
        };
        asker.engine = Engine::new(settings, asker.clock.clone());
        let served = served(zone, &asker.keys, Denial::Compact, overload);
        asker.engine.publish(vec![Arc::new(served)]);
        let worker = asker.engine.worker();
        let mut flooded = Self {
            asker,
            worker,
            asked: 0,
        };
        flooded.worker.begin_batch();
        flooded
    }

    /// The names are sorted, the bucket is empty, and then `tokens` come in, too few to end it.
    fn beyond_the_budget(zone: &Zone, tokens: u32) -> Self {
        let mut flooded = Self::new(zone, Overload::Auto);
        flooded.drain();
        assert!(flooded.look());
        flooded.pass(Duration::from_secs(1) * tokens / RATE);
        flooded
    }

    fn drain(&mut self) {
        while self.asker.engine.totals().over_budget == 0 {
            self.random();
        }
    }

    fn look(&self) -> bool {
        let zones = self.asker.engine.zones();
        let zone = zones.iter().next().unwrap();
        zone.content().unwrap().look_for_flood()
    }

    fn pass(&mut self, time: Duration) {
        self.asker.clock.advance(time);
        self.worker.begin_batch();
    }

    /// A question for a name that was never asked for.
    fn random(&mut self) {
        self.asked += 1;
        self.answered(&format!("random{} A", self.asked), Flags::Do);
    }

    fn raw(&mut self, question: &str, flags: Flags, effort: Effort) -> (Outcome, Vec<u8>) {
        let from = Peer {
            address: SocketAddr::from(([127, 0, 0, 1], 5353)),
            transport: Transport::Udp,
        };
        let mut out = Vec::new();
        let outcome = self
            .worker
            .answer(&packet(question, flags), from, effort, &mut out);
        (outcome, out)
    }

    fn told(&mut self, question: &str, flags: Flags) -> Told {
        let told = self.answered(question, flags);
        self.asker.verify(&told);
        told
    }

    /// As over UDP: what is at hand first.
    fn answered(&mut self, question: &str, flags: Flags) -> Told {
        let (mut outcome, mut raw) = self.raw(question, flags, Effort::AtHand);
        if outcome == Outcome::Deferred {
            (outcome, raw) = self.raw(question, flags, Effort::Full);
        }
        assert_eq!(outcome, Outcome::Answered);
        let message = Message::from_vec(&raw).unwrap();
        Told { message, raw }
    }

    fn signed(&self) -> u64 {
        self.asker.engine.totals().signed
    }
}

fn nsec_owners(told: &Told) -> Vec<String> {
    let records = told.message.answers.iter().chain(&told.message.authorities);
    records
        .filter(|record| record.record_type().to_string() == "NSEC")
        .map(|record| record.name.to_string())
        .collect()
}

/// RFC 4035 §3.1.3: what is not in the zone is answered as by a zone with an exact chain, code and flags included; what
/// is in it, as ever.
#[test]
fn a_flooded_zone_answers_like_one_with_an_exact_chain() {
    let zone = flood_zone();
    let mut flooded = Flooded::beyond_the_budget(&zone, 400);
    let like = |denial| {
        let mut asker = Asker::new(&zone, denial, nsec3::Parameters::default());
        asker.keys = flooded.asker.keys.clone();
        let served = served(&zone, &asker.keys, denial, Overload::Auto);
        asker.engine.publish(vec![Arc::new(served)]);
        asker
    };
    let (exact, compact) = (like(Denial::Nsec), like(Denial::Compact));
    for (question, made_up) in MADE_UP
        .map(|question| (question, true))
        .into_iter()
        .chain(REAL.map(|question| (question, false)))
    {
        for flags in [Flags::Plain, Flags::Do, Flags::DoCo] {
            // Who wants no signatures costs none, and is told what is told otherwise.
            let turns = made_up && (flags != Flags::Plain || question.ends_with(" RRSIG"));
            let expected = if turns { &exact } else { &compact }.ask(question, flags);
            let told = flooded.told(question, flags);
            assert_eq!(told.shape(), expected.shape(), "{question}");
            assert_eq!(
                without_signatures(&told),
                without_signatures(&expected),
                "{question}"
            );
            let owners = nsec_owners(&told);
            let once: BTreeSet<_> = owners.iter().collect();
            assert_eq!(owners.len(), once.len(), "one NSEC a name: {question}");
        }
    }
    let totals = flooded.asker.engine.totals();
    assert_eq!(totals.panics, 0);
    assert!(totals.ranges >= 2 * MADE_UP.len() as u64 - 2, "{totals:?}");
}

/// However many names are asked for, no more is signed than the zone has names and RRsets, and then all is at hand.
#[test]
fn a_flood_costs_one_signature_a_name_at_most() {
    let zone = flood_zone();
    let mut flooded = Flooded::beyond_the_budget(&zone, 400);
    let before = flooded.signed();
    let names = ["", ".w", ".z.w", ".to-xx", ".ai", ".b.c.d", ".ns1", ".y.w"];
    for round in 0..400 {
        for under in names {
            let question = format!("{}{round}{under} A", ["a", "m", "z", "_"][round % 4]);
            let told = flooded.told(&question, Flags::Do);
            assert_eq!(told.raw[2] & 0x02, 0, "not truncated: {question}");
        }
    }
    let signed = flooded.signed() - before;
    let rrsets: usize = zone.nodes().map(|node| node.rrsets().len()).sum();
    assert!(signed as usize <= zone.chain().len() + rrsets, "{signed}");
    for round in 0..100 {
        for under in names {
            let question = format!("{}x{round}{under} A", ["a", "m", "z", "_"][round % 4]);
            assert_eq!(
                flooded.raw(&question, Flags::Do, Effort::AtHand).0,
                Outcome::Answered,
                "{question}"
            );
        }
    }
}

/// Signatures of exact NSECs come out of the same budget: where none is left the answer is TC, with its code.
#[test]
fn exact_nsecs_are_signed_within_the_budget() {
    let zone = flood_zone();
    let mut flooded = Flooded::new(&zone, Overload::Auto);
    flooded.drain();
    assert!(flooded.look());
    let before = flooded.signed();
    assert_eq!(flooded.told("ml A", Flags::Do).shape(), "3 aa tc |  |  | ");
    assert_eq!(flooded.signed(), before);
    flooded.pass(Duration::from_secs(1) / RATE);
    // The NSEC before it takes the one token; the one before its wildcard, the apex's, has to wait.
    assert_eq!(flooded.told("ml A", Flags::Do).shape(), "3 aa tc |  |  | ");
    assert_eq!(flooded.signed(), before + 1);
    flooded.pass(Duration::from_secs(1) / RATE);
    let told = flooded.told("ml A", Flags::Do).shape();
    assert_eq!(told, "3 aa |  |  SOA + l2 NSEC +  NSEC + | ");
    assert_eq!(flooded.signed(), before + 2);
}

/// Until the names are sorted it is TC: a question never waits for that. And what a flood asks for is not sorted for
/// a zone that may not tell ranges.
#[test]
fn nobody_who_asks_waits_for_the_chain() {
    let zone = flood_zone();
    let mut flooded = Flooded::new(&zone, Overload::Auto);
    assert!(!flooded.look(), "there is no flood yet");
    flooded.drain();
    assert_eq!(flooded.told("ml A", Flags::Do).shape(), "0 aa tc |  |  | ");
    assert!(zone.sorted_chain().is_none());
    assert!(flooded.look());
    assert!(zone.sorted_chain().is_some());
    flooded.pass(Duration::from_millis(100));
    assert!(flooded.told("ml A", Flags::Do).shape().contains("l2 NSEC"));
    assert!(flooded.look());
    assert!(!flooded.look(), "nothing came since");

    let zone = flood_zone();
    let mut flooded = Flooded::new(&zone, Overload::Truncate);
    flooded.drain();
    assert!(flooded.look());
    assert!(zone.sorted_chain().is_none());
}

/// It begins with the question for which there is no token, lasts as long as more is asked for than the budget is for,
/// and is over by itself.
#[test]
fn compact_denial_comes_back_by_itself() {
    let zone = flood_zone();
    zone.chain();
    let mut flooded = Flooded::new(&zone, Overload::Auto);
    let way = |flooded: &mut Flooded, question: &str| {
        let shape = flooded.answered(question, Flags::Do).shape();
        if shape.contains("tc") {
            "tc"
        } else if shape.starts_with('3') {
            "ranges"
        } else {
            "compact"
        }
    };
    for number in 0..RATE {
        assert_eq!(way(&mut flooded, &format!("m{number} A")), "compact");
    }
    // No token is left for the exact NSECs either.
    assert_eq!(way(&mut flooded, "ml A"), "tc");
    assert_eq!(way(&mut flooded, "m1 A"), "tc");
    // A flood of twice the rate, for ten seconds: ranges from the first tokens on.
    for tenth in 0..100 {
        flooded.pass(Duration::from_millis(100));
        for number in 0..RATE / 5 {
            let question = format!("mm{tenth}-{number} A");
            assert_eq!(way(&mut flooded, &question), "ranges");
        }
    }
    let known = flooded.signed();
    flooded.pass(Duration::from_millis(499));
    assert_eq!(way(&mut flooded, "mx A"), "ranges");
    flooded.pass(Duration::from_millis(2));
    assert_eq!(way(&mut flooded, "mx A"), "compact");
    assert_eq!(flooded.signed(), known + 1);
    let totals = flooded.asker.engine.totals();
    assert_eq!((totals.ranges, totals.over_budget), (100 * 200 + 1, 2));
}

/// The flag that a zone has no budget: what is asked for is signed, and nothing is counted against others.
#[test]
fn a_zone_without_a_budget_signs_on() {
    let mut flooded = Flooded::new(&flood_zone(), Overload::Off);
    for number in 0..3 * RATE {
        let shape = flooded.answered(&format!("m{number} A"), Flags::Do).shape();
        assert!(shape.starts_with("0 aa |  |  SOA + m"), "{shape}");
    }
    assert!(!flooded.look());
}

/// A range would deny names that only another provider has.
#[test]
fn ranges_are_told_by_the_only_signer_or_on_a_persons_word() {
    let apex = name("example.");
    let own = keys(apex.as_ref());
    let key = SigningKey::generate(SigningAlgorithm::Ed25519, ZONE).unwrap();
    let theirs = |state| {
        let key_of = |flags| {
            let key = Arc::new(SigningKey::generate(SigningAlgorithm::Ed25519, flags).unwrap());
            Member {
                dnskey: key.dnskey().clone(),
                origin: Origin::Own,
                state: KeyState::Active,
                signer: Some(key),
            }
        };
        let foreign = Member {
            dnskey: key.dnskey().clone(),
            origin: Origin::Provider {
                sources: vec!["ns1".into()],
            },
            state,
            signer: None,
        };
        let members = vec![key_of(ZONE | SEP), key_of(ZONE), foreign];
        KeySet::assemble(apex.as_ref(), members, Publishing::default(), None).unwrap()
    };
    let (seen, kept) = (theirs(KeyState::Seen), theirs(KeyState::Kept));
    let (shared, alone) = (true, false);
    for (overload, denial, keys, is_shared, expected) in [
        (Overload::Auto, Denial::Compact, &*own, alone, Beyond::Ranges),
        (Overload::Auto, Denial::Compact, &*own, shared, Beyond::Truncate),
        (Overload::Auto, Denial::Compact, &seen, alone, Beyond::Truncate),
        (Overload::Auto, Denial::Compact, &kept, alone, Beyond::Truncate),
        (Overload::Auto, Denial::Nsec3, &own, alone, Beyond::Truncate),
        (Overload::Ranges, Denial::Compact, &seen, shared, Beyond::Ranges),
        (Overload::Ranges, Denial::Nsec3, &own, alone, Beyond::Truncate),
        (Overload::Truncate, Denial::Compact, &own, alone, Beyond::Truncate),
        (Overload::Off, Denial::Compact, &seen, shared, Beyond::Sign),
    ] {
        let policy = ZonePolicy {
            denial,
            overload,
            is_shared,
            ..ZonePolicy::default()
        };
        let row = format!("{overload:?} {denial:?} {is_shared}");
        assert_eq!(overload.beyond(denial, keys, is_shared), expected, "{row}");
        if std::ptr::eq(keys, &*own) {
            let zone = ServedZone::new(&flood_zone(), own.clone(), &policy, NOW, None).unwrap();
            assert_eq!(zone.content().unwrap().beyond(), expected, "{row}");
        }
    }
}

/// A zone that changes in a flood: exact NSECs of names whose neighbours and types stay are kept, others are not told.
#[test]
fn a_change_in_a_flood_keeps_the_nsecs_that_still_hold() {
    let first = flood_zone();
    let mut flooded = Flooded::beyond_the_budget(&first, 400);
    let questions: Vec<String> = ["ml", "aj", "zzz", "bb", "xy", "ns3", "a.z.w", "ab"]
        .iter()
        .map(|owner| format!("{owner} A"))
        .collect();
    let address = |host: u8| vec![192, 0, 2, host];
    let ns = relative("ns1").as_wire().to_vec();
    type Records<'a> = Vec<(&'a str, RrType, Vec<u8>)>;
    let steps: [(Records<'_>, Records<'_>); 4] = [
        // A name comes between two others; one loses a type; one becomes a cut with names below; a name goes.
        (vec![], vec![("mm", RrType::A, address(50))]),
        (vec![("ai", RrType::A, address(9))], vec![]),
        (vec![], vec![("x.c", RrType::NS, ns)]),
        (
            vec![("mm", RrType::A, address(50))],
            vec![("ab.cd", RrType::A, address(51))],
        ),
    ];
    let mut zone = first;
    for (out, in_) in steps {
        for question in &questions {
            flooded.told(question, Flags::Do);
        }
        zone = changed(&zone, &out, &in_, 1800);
        let policy = ZonePolicy::default();
        let zones = flooded.asker.engine.zones();
        let previous = zones.iter().next().map(|zone| &**zone);
        let keys = flooded.asker.keys.clone();
        let next = ServedZone::new(&zone, keys.clone(), &policy, NOW, previous).unwrap();
        flooded.asker.engine.publish(vec![Arc::new(next)]);
        flooded.worker.begin_batch();
        let mut scratch = Asker::new(&zone, Denial::Nsec, nsec3::Parameters::default());
        scratch.keys = keys.clone();
        let exact = served(&changes::rebuilt(&zone), &keys, Denial::Nsec, Overload::Auto);
        scratch.engine.publish(vec![Arc::new(exact)]);
        let before = flooded.signed();
        for question in &questions {
            let (told, expected) = (
                flooded.told(question, Flags::Do),
                scratch.ask(question, Flags::Do),
            );
            assert_eq!(told.shape(), expected.shape(), "{question}");
            assert_eq!(
                without_signatures(&told),
                without_signatures(&expected),
                "{question}"
            );
        }
        // The SOA, the apex's NSEC, and those of at most two names that changed or stand before one.
        let signed = flooded.signed() - before;
        assert!(signed <= 4, "{signed} signatures");
    }
}

/// A chain that is sorted after a change was made says nothing about what was kept under the one before: its NSECs
/// may lie in the very shards that the change left alone.
#[test]
fn nsecs_of_a_chain_that_a_change_did_not_see_are_not_told() {
    let first = flood_zone();
    let mut flooded = Flooded::new(&first, Overload::Auto);
    flooded.drain();
    // The change finds no chain, so it brings none up to date.
    let next = changed(&first, &[], &[("mm", RrType::A, vec![192, 0, 2, 50])], 1800);
    assert!(flooded.look());
    flooded.pass(Duration::from_millis(400));
    flooded.told("mz A", Flags::Do);
    let policy = ZonePolicy::default();
    let zones = flooded.asker.engine.zones();
    let previous = zones.iter().next().map(|zone| &**zone);
    let served = ServedZone::new(&next, flooded.asker.keys.clone(), &policy, NOW, previous).unwrap();
    flooded.asker.engine.publish(vec![Arc::new(served)]);
    flooded.worker.begin_batch();
    flooded.random();
    assert!(flooded.look());
    let told = flooded.told("mz A", Flags::Do);
    assert!(
        told.shape().contains("mm NSEC"),
        "the name before it now: {}",
        told.shape()
    );
    let told = flooded.told("mk A", Flags::Do);
    let nsec = without_signatures(&told)
        .into_iter()
        .find(|record| record.starts_with("l2.example."));
    assert!(
        nsec.as_ref().is_some_and(|nsec| nsec.contains("mm.example.")),
        "the next name is the new one: {nsec:?}"
    );
}
