//! The least wait before each gated step of each plan.

use super::*;

/// Both waits of a join: how long before the NS RRsets the keys and the DS are the union.
fn join(keys: u64, ds: u64) -> Zone {
    let mut zone = Zone::one();
    let ns = keys.max(ds);
    let union = vec![zone.keys("A", "KA ZA ZB", "KA"), zone.keys("B", "KB ZA ZB", "KB")];
    zone.step(ns - keys, "the keys of each at the other", union);
    zone.step(ns - ds, "DS of both", vec![zone.ds("KA KB")]);
    zone.step(ns, "NS of both", zone.ns_everywhere("A B"));
    zone
}

#[test]
fn a_join_waits_for_ds_and_keys_at_once() {
    assert_eq!(least(|wait| join(20, wait), &chains()), 5);
    assert_eq!(least(|wait| join(wait, 20), &chains()), 4);
    // The waits overlap: the longer one is enough for both, not their sum.
    assert_eq!(least(|wait| join(wait, wait), &chains()), 5);
}

/// NS without B, B stops, its ZSK goes, its DS goes.
fn leave(stop: u64, zsk: u64, ds: u64) -> Zone {
    let mut zone = Zone::two();
    zone.step(0, "NS without B", zone.ns_everywhere("A"));
    zone.stop(stop, "B");
    zone.step(stop + zsk, "A without ZB", vec![zone.keys("A", "KA ZA", "KA")]);
    zone.step(stop + ds, "DS without KB", vec![zone.ds("KA")]);
    zone
}

#[test]
fn a_leave_waits_for_data_and_keys_of_the_provider_that_stopped() {
    // It stops while it is still asked, at the last moment: the waits count from there.
    assert_eq!(least(|wait| leave(5, wait, 20), &chains()), 6);
    assert_eq!(least(|wait| leave(5, 20, wait), &chains()), 3);
    let available = terms(&[], &[Invariant::Available]);
    assert_eq!(least(|wait| leave(wait, 20, 20), &available), 6);
    assert_safe(&leave(6, 6, 3), &Terms::all(0));
}

/// ZA2 everywhere, A signs with it, ZA goes at both, each after its own wait.
fn zsk(sign: u64, gone_a: u64, gone_b: u64) -> Zone {
    let mut zone = Zone::two();
    let both = vec![
        zone.keys("A", "KA ZA ZA2 ZB", "KA"),
        zone.keys("B", "KB ZA ZA2 ZB", "KB"),
    ];
    zone.step(0, "ZA2 at both", both);
    zone.step(sign, "A signs with ZA2", vec![zone.data("A", "ZA2")]);
    zone.step(
        sign + gone_a,
        "A without ZA",
        vec![zone.keys("A", "KA ZA2 ZB", "KA")],
    );
    zone.step(
        sign + gone_b,
        "B without ZA",
        vec![zone.keys("B", "KB ZA2 ZB", "KB")],
    );
    zone
}

#[test]
fn no_delay_is_enough_after_a_change_that_some_server_never_shows() {
    let mut timeline = zsk(4, 7, 7).timeline;
    for change in &mut timeline.steps[0].changes {
        change.lag = u64::MAX;
    }
    assert_eq!(least_delay(&timeline, 1, &Terms::all(0)), None);
}

#[test]
fn a_zsk_is_published_before_and_kept_after() {
    assert_eq!(least(|wait| zsk(wait, 20, 20), &chains()), 4);
    assert_eq!(least(|wait| zsk(4, wait, 20), &chains()), 7);
    assert_eq!(least(|wait| zsk(4, 20, wait), &chains()), 7);
    assert_eq!(least(|wait| zsk(4, wait, wait), &chains()), 7);
}

/// KA2 signs beside KA and DS of both, KA goes, its DS goes.
fn ksk_ds_first(old_key: u64, old_ds: u64) -> Zone {
    let mut zone = Zone::two();
    let first = vec![zone.keys("A", "KA KA2 ZA ZB", "KA KA2"), zone.ds("KA KA2 KB")];
    zone.step(0, "KA2 and its DS", first);
    zone.step(old_key, "A without KA", vec![zone.keys("A", "KA2 ZA ZB", "KA2")]);
    zone.step(old_key + old_ds, "DS without KA", vec![zone.ds("KA2 KB")]);
    zone
}

#[test]
fn a_ksk_whose_ds_comes_first() {
    assert_eq!(least(|wait| ksk_ds_first(wait, 20), &chains()), 5);
    assert_eq!(least(|wait| ksk_ds_first(5, wait), &chains()), 0);
}

/// KA2 signs beside KA, DS is swapped, KA goes (RFC 8901 §6.2).
fn ksk_double(swap: u64, old_key: u64) -> Zone {
    let mut zone = Zone::two();
    zone.step(0, "KA2 signs too", vec![zone.keys("A", "KA KA2 ZA ZB", "KA KA2")]);
    zone.step(swap, "DS of KA2 for KA", vec![zone.ds("KA2 KB")]);
    zone.step(
        swap + old_key,
        "A without KA",
        vec![zone.keys("A", "KA2 ZA ZB", "KA2")],
    );
    zone
}

#[test]
fn a_ksk_whose_ds_is_swapped() {
    assert_eq!(least(|wait| ksk_double(wait, 20), &chains()), 4);
    assert_eq!(least(|wait| ksk_double(4, wait), &chains()), 5);
}

/// CA2 everywhere, data signed with it, CA goes at both, its DS goes.
fn csk(sign: u64, gone_a: u64, gone_b: u64, ds: u64) -> Zone {
    let mut zone = Zone::with_csk();
    let first = vec![
        zone.keys("A", "CA CA2 ZB", "CA CA2"),
        zone.keys("B", "KB CA CA2 ZB", "KB"),
        zone.ds("CA CA2 KB"),
    ];
    zone.step(0, "CA2 and its DS", first);
    zone.step(sign, "A signs data with CA2", vec![zone.data("A", "CA2")]);
    zone.step(
        sign + gone_a,
        "A without CA",
        vec![zone.keys("A", "CA2 ZB", "CA2")],
    );
    zone.step(
        sign + gone_b,
        "B without CA",
        vec![zone.keys("B", "KB CA2 ZB", "KB")],
    );
    zone.step(sign + gone_a + ds, "DS without CA", vec![zone.ds("CA2 KB")]);
    zone
}

#[test]
fn a_csk_is_a_ksk_and_a_zsk() {
    assert_eq!(least(|wait| csk(wait, 20, 20, 20), &chains()), 4);
    assert_eq!(least(|wait| csk(20, wait, 20, 20), &chains()), 7);
    assert_eq!(least(|wait| csk(20, 20, wait, 20), &chains()), 7);
    assert_eq!(least(|wait| csk(4, 7, 7, wait), &chains()), 0);
}

/// The six phases of an algorithm roll, all providers in step, and the waits between them.
pub(super) fn algorithm([keys, ds, old_ds, old_keys, old_signatures]: [u64; 5]) -> Zone {
    let mut zone = Zone::two();
    let mut at = 0;
    let both = |zone: &Zone, a: &str, b: &str| vec![zone.data("A", a), zone.data("B", b)];
    zone.step(
        at,
        "signatures of both algorithms",
        both(&zone, "ZA ZAe", "ZB ZBe"),
    );
    at += keys;
    let two = vec![
        zone.keys("A", "KA ZA ZB KAe ZAe ZBe", "KA KAe"),
        zone.keys("B", "KB ZA ZB KBe ZAe ZBe", "KB KBe"),
    ];
    zone.step(at, "keys of both algorithms", two);
    at += ds;
    zone.step(at, "DS of both algorithms", vec![zone.ds("KA KB KAe KBe")]);
    at += old_ds;
    zone.step(at, "DS without the old algorithm", vec![zone.ds("KAe KBe")]);
    at += old_keys;
    let new = vec![
        zone.keys("A", "KAe ZAe ZBe", "KAe"),
        zone.keys("B", "KBe ZAe ZBe", "KBe"),
    ];
    zone.step(at, "keys without the old algorithm", new);
    at += old_signatures;
    zone.step(
        at,
        "signatures without the old algorithm",
        both(&zone, "ZAe", "ZBe"),
    );
    zone
}

/// The waits of the algorithm roll with one of them replaced.
pub(super) fn algorithm_but(place: usize, wait: u64) -> Zone {
    let mut waits = [7, 4, 5, 5, 4];
    waits[place] = wait;
    algorithm(waits)
}

#[test]
fn an_algorithm_roll_has_a_wait_for_each_kind_of_validator() {
    let only = |mode| Terms {
        validators: vec![Validator::new(mode, DigestRule::Any)],
        ..chains()
    };
    assert_eq!(least(|wait| algorithm_but(0, wait), &only(Mode::StrictDnskey)), 7);
    assert_eq!(least(|wait| algorithm_but(1, wait), &only(Mode::StrictDs)), 4);
    assert_eq!(least(|wait| algorithm_but(2, wait), &chains()), 0);
    assert_eq!(least(|wait| algorithm_but(3, wait), &only(Mode::StrictDs)), 5);
    assert_eq!(least(|wait| algorithm_but(4, wait), &only(Mode::StrictDnskey)), 4);
    // One algorithm is always complete, which is all that a lenient validator asks.
    for place in 0..5 {
        assert_eq!(least(|wait| algorithm_but(place, wait), &only(Mode::Lenient)), 0);
    }
    assert_safe(&algorithm([7, 4, 0, 5, 4]), &chains());
    // As one swap of DS, the wait after it is for everybody.
    assert_eq!(
        least(|wait| algorithm([7, 4, 0, wait, 4]), &only(Mode::Lenient)),
        5
    );
}

#[test]
fn the_waits_follow_the_ttls_whichever_is_the_largest() {
    for ttls @ [ds, key, data] in [[3, 2, 5], [2, 6, 1], [9, 1, 4], [0, 0, 0], [1, 8, 8]] {
        let least = |course: &dyn Fn(u64) -> Zone| least(|wait| with_ttls(course(wait), ttls), &chains());
        assert_eq!(least(&|wait| join(wait, wait)), LAG + ds.max(key) + 1, "{ttls:?}");
        assert_eq!(least(&|wait| zsk(wait, 20, 20)), LAG + key + 1, "{ttls:?}");
        assert_eq!(least(&|wait| zsk(20, wait, wait)), LAG + data + 1, "{ttls:?}");
        assert_eq!(least(&|wait| ksk_double(wait, 20)), LAG + key + 1, "{ttls:?}");
        assert_eq!(least(&|wait| ksk_double(20, wait)), LAG + ds + 1, "{ttls:?}");
        assert_eq!(least(&|wait| leave(5, wait, 20)), data + 1, "{ttls:?}");
        assert_eq!(least(&|wait| leave(5, 20, wait)), key + 1, "{ttls:?}");
    }
}

#[test]
fn the_margin_makes_every_wait_longer() {
    for margin in [1, 10] {
        let terms = with_margin(margin);
        assert_eq!(least(|wait| join(wait, wait), &terms), 5 + margin);
        assert_eq!(least(|wait| zsk(wait, 30, 30), &terms), 4 + margin);
        assert_eq!(least(|wait| zsk(20, wait, 30), &terms), 7 + margin);
        assert_eq!(least(|wait| leave(5, wait, 30), &terms), 6 + margin);
        assert_eq!(least(|wait| leave(5, 30, wait), &terms), 3 + margin);
        assert_eq!(least(|wait| ksk_double(wait, 30), &terms), 4 + margin);
        assert_eq!(least(|wait| ksk_double(20, wait), &terms), 5 + margin);
    }
}

#[test]
fn under_the_weaker_invariant_some_waits_are_only_the_lag() {
    let resolver = terms(&[Mode::Lenient], &[Invariant::Resolver]);
    assert_eq!(least(|wait| zsk(wait, 20, 20), &resolver), 4);
    assert_eq!(least(|wait| zsk(4, wait, wait), &resolver), LAG + 1);
    assert_eq!(least(|wait| ksk_double(wait, 20), &resolver), LAG + 1);
    assert_eq!(least(|wait| ksk_double(4, wait), &resolver), 5);
    assert_eq!(least(|wait| ksk_ds_first(wait, 20), &resolver), 5);
    assert_eq!(least(|wait| csk(20, wait, wait, 20), &resolver), LAG + 1);
}
