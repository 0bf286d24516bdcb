//! What is not a matter of waits alone: downgrades, digests, CDS, denial, content, lowered TTLs.

use super::*;

fn only(invariant: Invariant) -> Terms {
    terms(&[Mode::Lenient], &[invariant])
}

/// DS records with these digest types.
fn ds_with(zone: &Zone, records: &[(&str, u8)]) -> DsSet {
    let records = records.iter().map(|(label, digest_type)| DsRecord {
        key: zone.key(label),
        digest_type: *digest_type,
    });
    DsSet {
        records: records.collect(),
        ttl: TTL_DS,
        from_cds: false,
    }
}

#[test]
fn no_downgrade_to_insecure() {
    let mut zone = Zone::two();
    zone.step(5, "no DS", vec![zone.ds("")]);
    let found = counterexample(&zone, &only(Invariant::Secure));
    assert_eq!(found.at, UnixTime(START + 5));
    // A zone that was insecure may become secure, and insecure again.
    let mut zone = Zone::two();
    zone.timeline.initial.push(zone.ds(""));
    zone.step(5, "DS", vec![zone.ds("KA KB")]);
    zone.step(50, "no DS", vec![zone.ds("")]);
    assert_safe(&zone, &chains());
    // To a validator that does not know the new algorithm, its DS alone is a downgrade.
    let mut zone = Zone::two();
    let both = [
        zone.keys("A", "KA ZA ZB KAe ZAe ZBe", "KA KAe"),
        zone.keys("B", "KB ZA ZB KBe ZAe ZBe", "KB KBe"),
        zone.data("A", "ZA ZAe"),
        zone.data("B", "ZB ZBe"),
    ];
    zone.timeline.initial.extend(both);
    zone.step(5, "DS of Ed25519 keys only", vec![zone.ds("KAe KBe")]);
    assert_safe(&zone, &chains());
    let old = Terms {
        validators: vec![Validator {
            support: Support::Only([8, 13].into()),
            ..Validator::new(Mode::Lenient, DigestRule::Any)
        }],
        ..chains()
    };
    let found = counterexample(&zone, &old);
    assert_eq!(
        (found.invariant, found.at),
        (Invariant::Secure, UnixTime(START + 5))
    );
}

#[test]
fn digests_that_some_validators_pass_over() {
    let judge = |records: &[(&str, u8)], digests| {
        let mut zone = Zone::two();
        zone.timeline.initial.push(Value::Ds(ds_with(&zone, records)));
        let terms = Terms {
            validators: vec![Validator::new(Mode::Lenient, digests)],
            ..chains()
        };
        check(&zone.timeline, &terms) == Verdict::Safe
    };
    use DigestRule::{Any, HighestOnly, IgnoreSha1};
    let rules = [Any, HighestOnly, IgnoreSha1];
    assert_eq!(
        rules.map(|rule| judge(&[("KA", 2), ("KB", 2)], rule)),
        [true, true, true]
    );
    assert_eq!(
        rules.map(|rule| judge(&[("KA", 2), ("KB", 4)], rule)),
        [true, false, true]
    );
    assert_eq!(
        rules.map(|rule| judge(&[("KA", 1), ("KB", 2)], rule)),
        [true, false, false]
    );
    assert_eq!(
        rules.map(|rule| judge(&[("KA", 1), ("KB", 1)], rule)),
        [true, true, true]
    );
    // A digest type that nobody knows counts for nothing.
    assert_eq!(
        rules.map(|rule| judge(&[("KA", 2), ("KB", 3)], rule)),
        [false, false, false]
    );
}

#[test]
fn keys_that_no_validator_uses() {
    let mut zone = Zone::two();
    let revoked = usize::from(zone.key("ZB").0);
    zone.timeline.keys[revoked].usage = KeyUse::None;
    let found = counterexample(&zone, &only(Invariant::Caches));
    assert_eq!((found.at, found.wait), (UnixTime(START), None));
}

#[test]
fn a_ttl_that_was_lowered_just_before_still_counts() {
    let course = |wait: u64| {
        let mut zone = Zone::two();
        let long = |value| match value {
            Value::Keys(provider, keys) => Value::Keys(provider, KeyRrset { ttl: 9, ..keys }),
            other => other,
        };
        let before = [
            long(zone.keys("A", "KA ZA ZB", "KA")),
            long(zone.keys("B", "KB ZA ZB", "KB")),
        ];
        zone.timeline.initial.extend(before);
        let lowered = vec![zone.keys("A", "KA ZA ZB", "KA"), zone.keys("B", "KB ZA ZB", "KB")];
        zone.step(0, "a shorter TTL", lowered);
        let both = vec![
            zone.keys("A", "KA ZA ZA2 ZB", "KA"),
            zone.keys("B", "KB ZA ZA2 ZB", "KB"),
        ];
        zone.step(3, "ZA2 at both", both);
        zone.step(3 + wait, "A signs with ZA2", vec![zone.data("A", "ZA2")]);
        zone
    };
    let safe = |wait| check(&course(wait).timeline, &chains()) == Verdict::Safe;
    // Fetched at +1 for 9 s; the lowered TTL alone would say 4.
    assert_eq!([4, 7, 8].map(safe), [false, false, true]);
}

#[test]
fn an_ns_rrset_leads_to_someone() {
    let mut zone = Zone::two();
    zone.stop(5, "B");
    let found = counterexample(&zone, &only(Invariant::Available));
    assert_eq!(found.at, UnixTime(START + 5));
    assert_eq!(found.why, "of the providers that it names only A answers");
    let mut zone = Zone::one();
    zone.stop(5, "A");
    let found = counterexample(&zone, &only(Invariant::Available));
    assert_eq!(found.why, "none of the providers that it names answers");
}

/// A join whose DS the parent takes from CDS, with these at A and B.
fn from_cds(a: Option<(&str, &str)>, b: Option<(&str, &str)>) -> Zone {
    let mut zone = Zone::one();
    let cds = |zone: &Zone, provider, cds: Option<(&str, &str)>| {
        let cds = cds.map(|(wanted, signers)| Cds {
            wanted: zone.set(wanted),
            signers: zone.set(signers),
        });
        Value::Cds(zone.provider(provider), cds)
    };
    let values = vec![cds(&zone, "A", a), cds(&zone, "B", b)];
    zone.timeline.initial.push(zone.parent_ns("A B"));
    zone.step(0, "CDS", values);
    let ds = DsSet {
        from_cds: true,
        ..ds_with(&zone, &[("KA", 2), ("KB", 2)])
    };
    zone.step(10, "the parent follows CDS", vec![Value::Ds(ds)]);
    zone
}

#[test]
fn the_parent_finds_the_same_cds_everywhere() {
    let verdict = |a, b| match check(&from_cds(a, b).timeline, &only(Invariant::Cds)) {
        Verdict::Safe => "safe".to_owned(),
        Verdict::Unsafe(found) => found.why,
    };
    let union = Some(("KA KB", "KA"));
    assert_eq!(
        verdict(union, union),
        "CDS at B: is not signed by a key of the DS RRset before"
    );
    assert_eq!(verdict(union, None), "CDS at B: publishes none");
    assert_eq!(
        verdict(Some(("KA", "KA")), union),
        "CDS at A: is not what the parent takes"
    );
    // The DS before has only KA, which B cannot sign with: so in a join NS comes after DS.
    let mut zone = from_cds(union, Some(("KA KB", "KB")));
    assert!(!holds(&zone, Invariant::Cds));
    zone.timeline.initial.push(zone.parent_ns("A"));
    assert!(holds(&zone, Invariant::Cds));
}

/// A leave of B that the parent takes from CSYNC: their NS RRsets, their CSYNC, and the parent's step, at these times.
fn from_csync(ns: [u64; 2], csync: [(u64, Option<bool>); 2], taken: u64) -> Zone {
    let mut zone = Zone::two();
    zone.timeline.initial.extend(zone.ns_everywhere("A B"));
    let none = [zone.a, zone.b].map(|provider| Value::Csync(provider, None));
    zone.timeline.initial.extend(none);
    for (name, at) in ["A", "B"].into_iter().zip(ns) {
        zone.step(at, "NS", vec![zone.child_ns(name, "A")]);
    }
    for (name, (at, addresses)) in ["A", "B"].into_iter().zip(csync) {
        let csync = addresses.map(|addresses| Csync { addresses });
        zone.step(at, "CSYNC", vec![Value::Csync(zone.provider(name), csync)]);
    }
    let ns = NsSet {
        from_csync: true,
        ..zone.ns("A")
    };
    zone.step(taken, "the parent follows CSYNC", vec![Value::ParentNs(ns)]);
    zone
}

#[test]
fn the_parent_finds_one_ns_rrset_while_it_can_read_csync() {
    let verdict = |ns, csync, taken| {
        let zone = from_csync(ns, csync, taken);
        match check(&zone.timeline, &only(Invariant::Csync)) {
            Verdict::Safe => "safe".to_owned(),
            Verdict::Unsafe(found) => format!("{} {}", found.at.0 - START, found.why),
        }
    };
    let shown = |at| (at, Some(false));
    let after = LAG + 1;
    assert_eq!(verdict([0, 0], [shown(after), shown(after)], 2 * after), "safe");
    assert_eq!(
        verdict([0, 1], [shown(after), shown(2 * after)], 4 * after),
        format!("{after} CSYNC at B: can be found, and NS RRsets differ")
    );
    assert_eq!(
        verdict([1, 0], [shown(after), shown(2 * after)], 4 * after),
        format!("{after} CSYNC at A: can be found, and NS RRsets differ")
    );
    let differ = [shown(after), (after, Some(true))];
    assert_eq!(
        verdict([0, 0], differ, 3 * after),
        format!("{} CSYNC at B: has other types than elsewhere", 3 * after)
    );
    for early in [2 * after - 1, after] {
        let told = verdict([0, 0], [shown(after), shown(after)], early);
        assert_eq!(told, format!("{early} CSYNC at A: publishes none"));
    }
    let lacks = [shown(after), (after, None)];
    assert_eq!(
        verdict([0, 0], lacks, 3 * after),
        format!("{} CSYNC at B: publishes none", 3 * after)
    );
    // The parent has taken it already: it asks those that it names now.
    let mut zone = from_csync([0, 0], [shown(after), (after, None)], 9 * after);
    zone.step(3 * after, "the parent read sooner", vec![zone.parent_ns("A")]);
    assert!(holds(&zone, Invariant::Csync));
}

/// What each provider says to one question.
fn question(a: Content, b: Content) -> Zone {
    let mut zone = Zone::two();
    let class = Class::Question("www A".to_owned());
    let answer = |zone: &Zone, signers, content| SignedData {
        signers: zone.set(signers),
        ttl: TTL_DATA,
        content,
    };
    let values = [
        Value::Data(zone.a, class.clone(), answer(&zone, "ZA", a)),
        Value::Data(zone.b, class, answer(&zone, "ZB", b)),
    ];
    zone.timeline.initial.extend(values);
    zone
}

#[test]
fn denial_and_content_agree_outside_announced_changes() {
    let (first, second) = (Content::Version(1), Content::Version(2));
    let verdicts =
        |zone: &Zone| [Invariant::Denial, Invariant::Content].map(|invariant| holds(zone, invariant));
    assert_eq!(verdicts(&question(first, first)), [true, true]);
    assert_eq!(verdicts(&question(Content::Own, Content::Own)), [true, true]);
    assert_eq!(verdicts(&question(Content::Absent, first)), [false, true]);
    assert_eq!(verdicts(&question(first, second)), [true, false]);
    // A record that is added: its absence is held for a TTL after the lag.
    let mut zone = question(Content::Absent, Content::Absent);
    let [a, b] = added(&zone);
    zone.step(10, "www at A", vec![a]);
    zone.step(12, "www at B", vec![b]);
    assert_eq!(verdicts(&zone), [false, true]);
    let window = |until| (UnixTime(START + 10), UnixTime(START + until));
    zone.timeline.content_windows = vec![window(12 + LAG + TTL_DATA - 1)];
    assert_eq!(verdicts(&zone), [false, true]);
    zone.timeline.content_windows = vec![window(12 + LAG + TTL_DATA)];
    assert_eq!(verdicts(&zone), [true, true]);
}

fn added(zone: &Zone) -> [Value; 2] {
    let class = Class::Question("www A".to_owned());
    let data = |signers| SignedData {
        signers: zone.set(signers),
        ttl: TTL_DATA,
        content: Content::Version(1),
    };
    [
        Value::Data(zone.a, class.clone(), data("ZA")),
        Value::Data(zone.b, class, data("ZB")),
    ]
}

#[test]
fn a_denial_of_longer_ttl_is_data_like_any_other() {
    let course = |wait: u64| {
        let mut zone = Zone::two();
        let proof = |signers| SignedData {
            signers: zone.set(signers),
            ttl: 11,
            content: Content::Own,
        };
        let old = Value::Data(zone.a, Class::Negative, proof("ZA"));
        let new = Value::Data(zone.a, Class::Negative, proof("ZA2"));
        let both = [
            zone.keys("A", "KA ZA ZA2 ZB", "KA"),
            zone.keys("B", "KB ZA ZA2 ZB", "KB"),
        ];
        zone.timeline.initial.extend(both);
        zone.timeline.initial.push(old);
        zone.step(0, "A signs with ZA2", vec![zone.data("A", "ZA2"), new]);
        let gone = vec![
            zone.keys("A", "KA ZA2 ZB", "KA"),
            zone.keys("B", "KB ZA2 ZB", "KB"),
        ];
        zone.step(wait, "ZA gone", gone);
        zone
    };
    assert_eq!(least(course, &chains()), LAG + 11 + 1);
}

#[test]
fn a_timeline_holds_as_many_keys_as_a_word() {
    let mut timeline = Timeline::new(UnixTime(START));
    for number in 0..64 {
        let label = format!("key {number}");
        timeline
            .add_key(&label, Algorithm::ED25519, KeyUse::ZoneKey)
            .unwrap();
    }
    let one_more = timeline.add_key("one more", Algorithm::ED25519, KeyUse::ZoneKey);
    assert!(one_more.unwrap_err().to_string().contains("at most 64 keys"));
}
