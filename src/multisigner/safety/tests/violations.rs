//! Orders and waits that are known to break resolution, and whom they hit.

use super::{waits::algorithm_but, *};

/// A join that does these steps at these times.
fn join(keys: u64, ds: u64, ns: u64) -> Zone {
    let mut zone = Zone::one();
    let union = vec![zone.keys("A", "KA ZA ZB", "KA"), zone.keys("B", "KB ZA ZB", "KB")];
    zone.step(keys, "the keys of each at the other", union);
    zone.step(ds, "DS of both", vec![zone.ds("KA KB")]);
    zone.step(ns, "NS of both", zone.ns_everywhere("A B"));
    zone
}

fn both_ways(zone: &Zone) -> [bool; 2] {
    [Invariant::Caches, Invariant::Resolver].map(|invariant| holds(zone, invariant))
}

#[test]
fn a_join_without_waits() {
    let zone = join(0, 0, 0);
    assert_eq!(both_ways(&zone), [false, false]);
    let found = counterexample(&zone, &terms(&[Mode::Lenient], &[Invariant::Caches]));
    assert_eq!(found.at, UnixTime(START));
    // DS long there: the keys of A from before, with data from B, are what fails.
    let found = counterexample(&join(20, 0, 20), &terms(&[Mode::Lenient], &[Invariant::Caches]));
    let story = found.to_string();
    assert!(
        story.contains("DNSKEY {KA ZA} signed by KA, fetched from A"),
        "{story}"
    );
    assert!(
        story.contains("Positive data signed by ZB, fetched from B"),
        "{story}"
    );
    assert!(
        story.contains("no key that signs the data is in the DNSKEY RRset"),
        "{story}"
    );
    assert!(story.contains("the least that is enough is 4 s"), "{story}");
}

#[test]
fn ns_before_ds() {
    let zone = join(0, 40, 20);
    assert_eq!(both_ways(&zone), [false, false]);
    let found = counterexample(&zone, &chains());
    assert_eq!(found.at, UnixTime(START + 20));
    assert_eq!(found.reaches, Reaches::Everybody);
    assert_eq!(
        found.wait.unwrap().enough,
        None,
        "DS must come first: no wait helps"
    );
}

#[test]
fn the_ds_wait_of_a_join_one_tick_short() {
    let zone = join(3, 3, 7);
    assert_eq!(both_ways(&zone), [false, false]);
    let found = counterexample(&zone, &chains());
    assert_eq!(
        found.to_string(),
        "I1' (resolver) does not hold at +7 s (1970-01-01T00:16:47Z) for a validator that is lenient:\n  \
         +4 s: DS {KA/2}, fetched from the parent, held until +7 s\n  \
         +7 s: DNSKEY {ZA KB ZB} signed by KB, fetched from B, held until +9 s\n\
         Together: no key that signs the DNSKEY RRset has a DS record that counts.\n\
         The wait before \"NS of both\" (+7 s) after \"DS of both\" (+3 s) was too short: 4 s; the least that is \
         enough is 5 s.\n\
         It hits ordinary resolvers."
    );
    assert_eq!(both_ways(&join(3, 3, 8)), [true, true]);
}

/// A leave: when NS goes, B stops, ZB and DS go; and what B says of NS itself.
fn leave(child: &str, stop: Option<u64>, zsk: u64, ds: u64) -> Zone {
    let mut zone = Zone::two();
    let ns = vec![
        zone.parent_ns("A"),
        zone.child_ns("A", "A"),
        zone.child_ns("B", child),
    ];
    zone.step(0, "NS without B", ns);
    if let Some(stop) = stop {
        zone.stop(stop, "B");
    }
    zone.step(zsk, "A without ZB", vec![zone.keys("A", "KA ZA", "KA")]);
    zone.step(ds, "DS without KB", vec![zone.ds("KA")]);
    zone
}

#[test]
fn a_leave_as_in_the_draft() {
    // B stops after the NS wait, and its keys go at once: what was fetched from it last is still held.
    let at_once = leave("A B", Some(10), 11, 11);
    assert_eq!(both_ways(&at_once), [false, true]);
    let (zsk, ds) = (leave("A B", Some(10), 11, 40), leave("A B", Some(10), 40, 11));
    assert_eq!(both_ways(&zsk), [false, true]);
    assert_eq!(both_ways(&ds), [false, true]);
    let story = counterexample(&zsk, &chains());
    assert_eq!(story.reaches, Reaches::ValidatorsBehindCaches);
    assert!(
        story
            .to_string()
            .contains("Positive data signed by ZB, fetched from B"),
        "{story}"
    );
    assert_eq!(story.wait.unwrap().after.unwrap().what, "B stops");
    let story = counterexample(&ds, &chains()).to_string();
    assert!(
        story.contains("DNSKEY {ZA KB ZB} signed by KB, fetched from B"),
        "{story}"
    );
    assert!(story.contains("DS {KA/2}, fetched from the parent"), "{story}");
}

#[test]
fn a_resolver_that_trusts_the_child_stays_at_a_provider_that_names_itself() {
    for (zsk, ds) in [(10_000, 20_000), (20_000, 10_000)] {
        let zone = leave("A B", None, zsk, ds);
        assert_eq!(both_ways(&zone), [false, false]);
        assert_eq!(counterexample(&zone, &chains()).wait.unwrap().enough, None);
    }
    // It need not stop when it no longer names itself.
    assert_eq!(both_ways(&leave("A", None, 40, 40)), [true, true]);
    // As long as it is held that B is asked, the waits count from then: 1 + 4, and 1 + 4 + 5 + 1 for data.
    assert!(!holds(&leave("A", None, 10, 40), Invariant::Caches));
    assert!(holds(&leave("A", None, 11, 40), Invariant::Caches));
}

#[test]
fn the_safe_plan_to_leave() {
    assert_eq!(both_ways(&leave("A", Some(6), 12, 9)), [true, true]);
    assert_eq!(both_ways(&leave("A", Some(6), 9, 12)), [false, true]);
    // The two removals do not depend on each other.
    assert_eq!(both_ways(&leave("A", Some(6), 12, 30)), [true, true]);
    assert_eq!(both_ways(&leave("A", Some(6), 30, 9)), [true, true]);
}

#[test]
fn a_hostile_provider_is_left_at_the_price_of_its_caches() {
    // DS and NS go first: bogus for what is held from B, for at most as long as it is held, and then no more.
    let mut zone = Zone::two();
    zone.step(0, "DS and NS without B", {
        let mut values = zone.ns_everywhere("A");
        values.push(zone.ds("KA"));
        values
    });
    assert!(!holds(&zone, Invariant::Resolver));
    zone.timeline.start = UnixTime(START + LAG + TTL_NS + TTL_KEY);
    assert!(!holds(&zone, Invariant::Caches));
    zone.timeline.start = UnixTime(START + LAG + TTL_NS + TTL_KEY + 1);
    assert!(holds(&zone, Invariant::Caches));
}

/// ZA is replaced by ZA2 at once, or was there beside it from the start.
fn emergency(standby: bool, gone: u64) -> Zone {
    let mut zone = Zone::two();
    if standby {
        let both = [
            zone.keys("A", "KA ZA ZA2 ZB", "KA"),
            zone.keys("B", "KB ZA ZA2 ZB", "KB"),
        ];
        zone.timeline.initial.extend(both);
    }
    zone.step(0, "A signs with ZA2", vec![zone.data("A", "ZA2")]);
    let both = vec![
        zone.keys("A", "KA ZA2 ZB", "KA"),
        zone.keys("B", "KB ZA2 ZB", "KB"),
    ];
    zone.step(gone, "ZA2 for ZA", both);
    zone
}

#[test]
fn a_zsk_replaced_at_once() {
    let zone = emergency(false, 0);
    assert_eq!(both_ways(&zone), [false, false]);
    // The broken window is the larger TTL and the lag.
    let mut late = emergency(false, 0);
    late.timeline.start = UnixTime(START + LAG + TTL_DATA);
    assert!(!holds(&late, Invariant::Caches));
    late.timeline.start = UnixTime(START + LAG + TTL_DATA + 1);
    assert!(holds(&late, Invariant::Caches));
    // With a standby key the switch needs no wait, and the removal the usual one.
    assert_eq!(least(|wait| emergency(true, wait), &chains()), 7);
}

#[test]
fn a_ksk_replaced_at_once_with_a_standby_ds() {
    let course = |ds| {
        let mut zone = Zone::two();
        zone.timeline.initial.push(zone.ds("KA KA2 KB"));
        zone.step(0, "KA2 for KA", vec![zone.keys("A", "KA2 ZA ZB", "KA2")]);
        zone.step(ds, "DS without KA", vec![zone.ds("KA2 KB")]);
        zone
    };
    assert_eq!(least(course, &chains()), 4);
}

#[test]
fn a_csk_removed_when_no_data_are_signed_with_it_any_more() {
    let course = |wait: u64| {
        let mut zone = Zone::with_csk();
        let both = vec![
            zone.keys("A", "CA CA2 ZB", "CA CA2"),
            zone.keys("B", "KB CA CA2 ZB", "KB"),
            zone.ds("CA CA2 KB"),
        ];
        zone.step(0, "CA2 and its DS", both);
        zone.step(20, "A signs data with CA2", vec![zone.data("A", "CA2")]);
        let gone = vec![zone.keys("A", "CA2 ZB", "CA2"), zone.keys("B", "KB CA2 ZB", "KB")];
        zone.step(20 + wait, "CA gone", gone);
        zone
    };
    assert_eq!(both_ways(&course(0)), [false, false]);
    assert_eq!(both_ways(&course(2)), [false, true]);
    assert_eq!(both_ways(&course(7)), [true, true]);
}

#[test]
fn the_waits_of_one_invariant_and_the_other() {
    let zsk = |publish: u64, retire: u64| {
        let mut zone = Zone::two();
        let both = vec![
            zone.keys("A", "KA ZA ZA2 ZB", "KA"),
            zone.keys("B", "KB ZA ZA2 ZB", "KB"),
        ];
        zone.step(0, "ZA2 at both", both);
        zone.step(publish, "A signs with ZA2", vec![zone.data("A", "ZA2")]);
        let gone = vec![
            zone.keys("A", "KA ZA2 ZB", "KA"),
            zone.keys("B", "KB ZA2 ZB", "KB"),
        ];
        zone.step(publish + retire, "ZA gone", gone);
        zone
    };
    assert_eq!(both_ways(&zsk(0, 20)), [false, false]);
    assert_eq!(both_ways(&zsk(4, 2)), [false, true]);
    assert_eq!(both_ways(&zsk(4, 7)), [true, true]);
    assert_eq!(both_ways(&zsk(4, 1)), [false, false]);
}

/// One provider after the other gets keys and signatures of the new algorithm together; DS comes when A has them.
fn algorithm_as_in_the_draft(between: u64, ds: u64) -> Zone {
    let mut zone = Zone::two();
    let a = vec![
        zone.keys("A", "KA ZA ZB KAe ZAe", "KA KAe"),
        zone.data("A", "ZA ZAe"),
    ];
    zone.step(0, "A has both algorithms", a);
    let b = vec![
        zone.keys("B", "KB ZA ZB KBe ZBe", "KB KBe"),
        zone.data("B", "ZB ZBe"),
    ];
    zone.step(between, "B has both algorithms", b);
    let all = vec![
        zone.keys("A", "KA ZA ZB KAe ZAe ZBe", "KA KAe"),
        zone.keys("B", "KB ZA ZB KBe ZAe ZBe", "KB KBe"),
    ];
    zone.step(between, "new keys of each at the other", all);
    zone.step(ds, "DS of both algorithms", vec![zone.ds("KA KB KAe KBe")]);
    zone
}

#[test]
fn an_algorithm_roll_with_keys_and_signatures_together() {
    let chain = [Invariant::Caches];
    for (between, ds) in [(0, 20), (10, 30), (10, 5)] {
        let zone = algorithm_as_in_the_draft(between, ds);
        assert_safe(&zone, &terms(&[Mode::Lenient], &chain));
        let found = counterexample(&zone, &terms(&[Mode::StrictDnskey], &chain));
        assert_eq!(found.at, UnixTime(START), "at the first publication");
    }
    let strict = terms(&[Mode::StrictDs], &chain);
    assert_safe(&algorithm_as_in_the_draft(0, 20), &strict);
    let found = counterexample(&algorithm_as_in_the_draft(10, 5), &strict);
    assert_eq!(found.at, UnixTime(START + 5), "B is not yet there");
}

#[test]
fn an_algorithm_roll_with_a_wait_too_short_hurts_strict_validators() {
    for (place, mode) in [
        (0, Mode::StrictDnskey),
        (1, Mode::StrictDs),
        (3, Mode::StrictDs),
        (4, Mode::StrictDnskey),
    ] {
        let zone = algorithm_but(place, 1);
        let found = counterexample(&zone, &terms(&[mode], &[Invariant::Caches]));
        assert_eq!(found.validator.unwrap().mode, mode, "wait {place}");
        assert_safe(&zone, &terms(&[Mode::Lenient], &[Invariant::Caches]));
    }
}

#[test]
fn a_cache_remembers_the_algorithms_that_the_ds_demanded() {
    // DNSKEY, fetched when the DS of both algorithms was held, is kept with what that DS asked (unbound does this).
    let zone = algorithm_but(4, 1);
    let remembers = terms(&[Mode::StrictDs], &[Invariant::Resolver]);
    let found = counterexample(&zone, &remembers);
    assert_eq!(
        found.wait.unwrap().before.what,
        "signatures without the old algorithm"
    );
    assert_eq!(least(|wait| algorithm_but(4, wait), &remembers), 2);
}

#[test]
fn two_providers_with_different_algorithms() {
    let mut zone = Zone::two();
    let values = [
        zone.ds("KA KB8"),
        zone.keys("A", "KA ZA ZB8", "KA"),
        zone.keys("B", "KB8 ZA ZB8", "KB8"),
        zone.data("B", "ZB8"),
    ];
    zone.timeline.initial.extend(values);
    assert_safe(
        &zone,
        &terms(&[Mode::Lenient], &[Invariant::Caches, Invariant::Resolver]),
    );
    for mode in [Mode::StrictDs, Mode::StrictDnskey] {
        let found = counterexample(&zone, &terms(&[mode], &[Invariant::Caches]));
        assert_eq!((found.at, found.wait), (UnixTime(START), None));
    }
}
