//! Logs that grow, and what counts of them.

use proptest::prelude::*;

use super::*;

const AT: UnixTime = UnixTime(1_800_000_000);
const BOUNDS: Bounds = Bounds {
    entries: 500,
    beyond_ttl: 100,
};

fn at(seconds: u64) -> UnixTime {
    UnixTime(AT.0 + seconds)
}

fn seen(source: &str, value: &str, ttl: Seconds) -> Seen {
    Seen {
        party: Party::Provider("ns1".to_owned()),
        source: source.to_owned(),
        class: Class::Dnskey,
        value: value.to_owned(),
        ttl,
        asked: AT,
        came: AT,
    }
}

/// All of it at one moment.
fn note(log: &mut Log, mut seen: Vec<Seen>, at: UnixTime, bounds: Bounds) {
    for seen in &mut seen {
        (seen.asked, seen.came) = (at, at);
    }
    log.note(seen, at, bounds);
}

/// The TTLs that count, and the ends of their time.
fn counting(log: &Log, seconds: u64) -> Vec<(Seconds, Option<u64>)> {
    let counting = log.counting(at(seconds), BOUNDS.beyond_ttl);
    let ended = |counted: &Counted| counted.ended.map(|ended| ended.since(AT).as_secs());
    counting
        .iter()
        .map(|counted| (counted.ttl, ended(counted)))
        .collect()
}

#[test]
fn what_is_seen_again_is_one_entry_and_what_changes_another() {
    let mut log = Log::default();
    for (seconds, value, ttl) in [
        (0, "a", 50),
        (10, "a", 50),
        (20, "b", 50),
        (30, "b", 40),
        (40, "b", 40),
    ] {
        note(
            &mut log,
            vec![seen("x", value, ttl), seen("y", "a", 50)],
            at(seconds),
            BOUNDS,
        );
    }
    let entries: Vec<_> = log.entries().filter(|entry| entry.source == "x").collect();
    let times = |entry: &&Observation| (entry.first, entry.last, entry.ended);
    assert_eq!(
        entries.iter().map(times).collect::<Vec<_>>(),
        [
            (at(0), at(10), Some(at(20))),
            (at(20), at(20), Some(at(30))),
            (at(30), at(40), None)
        ]
    );
    assert_eq!(log.entries().filter(|entry| entry.source == "y").count(), 1);
}

#[test]
fn a_ttl_that_was_lowered_counts_until_the_last_second_in_which_a_cache_may_hold_it() {
    let mut log = Log::default();
    note(
        &mut log,
        vec![seen("x", "a", 1_000), seen("y", "a", 60)],
        at(0),
        BOUNDS,
    );
    assert_eq!(counting(&log, 0), [(1_000, None)]);
    note(
        &mut log,
        vec![seen("x", "a", 60), seen("y", "a", 60)],
        at(5),
        BOUNDS,
    );
    // What goes on, and was there from the beginning, is the smaller one of the other server.
    assert_eq!(counting(&log, 5), [(1_000, Some(5)), (60, None)]);
    assert_eq!(counting(&log, 5 + 1_100), [(1_000, Some(5))]);
    assert_eq!(counting(&log, 5 + 1_101), []);
    note(&mut log, vec![seen("x", "a", 60)], at(1_200), BOUNDS);
    assert_eq!(counting(&log, 1_200), [(60, None)]);
    // A larger one than anybody keeps is cut.
    note(&mut log, vec![seen("x", "a", 10_000_000)], at(1_300), BOUNDS);
    assert_eq!(counting(&log, 1_300)[0], (LARGEST_TTL, None));
}

/// A server that goes to and fro, or two that differ behind one address: all of it counts, and is said once.
#[test]
fn however_often_a_ttl_comes_and_goes_it_counts_once() {
    let mut log = Log::default();
    for second in 0..400 {
        let ttl = if second % 2 == 0 { 1_000 } else { 60 };
        note(&mut log, vec![seen("x", "a", ttl)], at(second), BOUNDS);
    }
    let counted = log.counting(at(400), BOUNDS.beyond_ttl);
    let told = counted
        .iter()
        .map(|counted| (counted.ttl, counted.since, counted.ended));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [(1_000, at(0), Some(at(399))), (60, at(239), None)]
    );
    // Another source that gives it still.
    note(&mut log, vec![seen("y", "a", 1_000)], at(400), BOUNDS);
    assert_eq!(counting(&log, 400), [(1_000, None)]);
    let of_one = log.counting(at(400), BOUNDS.beyond_ttl);
    assert_eq!(of_one[0].since, at(0));
}

/// It may still serve what it did.
#[test]
fn a_source_that_is_not_seen_any_more_counts_for_as_long_as_caches_may_hold_what_it_gave_last() {
    let mut log = Log::default();
    note(&mut log, vec![seen("x", "a", 1_000)], at(0), BOUNDS);
    for seconds in [60, 1_700] {
        note(&mut log, vec![seen("y", "a", 10)], at(seconds), BOUNDS);
        assert_eq!(counting(&log, seconds), [(1_000, None)], "{seconds}");
    }
    note(&mut log, vec![seen("y", "a", 10)], at(1_701), BOUNDS);
    assert_eq!(counting(&log, 1_701), [(10, None)]);
    let week = LARGEST_TTL + BOUNDS.beyond_ttl + 600;
    note(&mut log, Vec::new(), at(week), BOUNDS);
    assert_eq!(log.len(), 2);
    note(&mut log, Vec::new(), at(week + 1), BOUNDS);
    assert_eq!(log.len(), 1, "x was last seen too long ago");
}

#[test]
fn a_look_alone_is_no_reason_to_write() {
    let mut log = Log::default();
    note(&mut log, vec![seen("x", "a", 50)], at(0), BOUNDS);
    assert_eq!(log.changes().len(), 1);
    for seconds in [60, 599] {
        note(&mut log, vec![seen("x", "a", 50)], at(seconds), BOUNDS);
        assert_eq!(log.changes(), [], "{seconds}");
    }
    note(&mut log, vec![seen("x", "a", 50)], at(600), BOUNDS);
    let changes = log.changes();
    assert!(
        matches!(&changes[..], [Change::Put(0, entry)] if entry.last == at(600)),
        "{changes:?}"
    );
    note(&mut log, vec![seen("x", "a", 50)], at(700), BOUNDS);
    assert_eq!(log.changes(), []);
    // Both are written when it changes.
    note(&mut log, vec![seen("x", "a", 40)], at(710), BOUNDS);
    assert_eq!(log.changes().len(), 2);
}

#[test]
fn a_clock_that_was_set_back_makes_nothing_earlier() {
    let mut log = Log::default();
    note(&mut log, vec![seen("x", "a", 50)], at(1_000), BOUNDS);
    note(&mut log, vec![seen("x", "a", 40)], at(10), BOUNDS);
    let times: Vec<_> = log.entries().map(|entry| (entry.first, entry.ended)).collect();
    assert_eq!(times, [(at(1_000), Some(at(1_000))), (at(1_000), None)]);
}

/// A look takes its time, from other places a minute and more: what is new may have been there since it was asked for, and
/// what is gone until the answer came.
#[test]
fn what_is_gone_ends_when_that_was_known_and_what_is_new_began_when_it_was_asked_for() {
    let mut log = Log::default();
    let look = |value, ttl, asked, came| Seen {
        asked: at(asked),
        came: at(came),
        ..seen("x from tokyo", value, ttl)
    };
    log.note(vec![look("a", 1_000, 0, 70)], at(80), BOUNDS);
    log.note(vec![look("a", 60, 100, 190)], at(195), BOUNDS);
    let times: Vec<_> = log
        .entries()
        .map(|entry| (entry.first, entry.last, entry.ended))
        .collect();
    assert_eq!(times, [(at(0), at(70), Some(at(190))), (at(100), at(190), None)]);
    // To the last second in which a cache may hold what it got right before the answer.
    assert_eq!(counting(&log, 190 + 1_100)[0], (1_000, Some(190)));
    assert_eq!(counting(&log, 190 + 1_101), []);
    // The same answer, looked at again later, is no later sight.
    log.note(vec![look("a", 60, 100, 190)], at(400), BOUNDS);
    assert_eq!(log.entries().last().map(|entry| entry.last), Some(at(190)));
}

/// A larger TTL that came and went between two looks of a plan: another look, or what is served here, tells it.
#[test]
fn the_largest_ttl_since_a_moment_is_known_however_short_it_was_given() {
    let mut log = Log::default();
    let largest = |log: &Log, since| {
        let given = log.given_since(at(since));
        given.into_iter().map(|(.., ttl)| ttl).collect::<Vec<_>>()
    };
    note(&mut log, vec![seen("x", "a", 9_000)], at(0), BOUNDS);
    note(&mut log, vec![seen("x", "a", 60)], at(10), BOUNDS);
    note(&mut log, vec![seen("x", "a", 600)], at(20), BOUNDS);
    note(&mut log, vec![seen("x", "a", 60)], at(21), BOUNDS);
    assert_eq!(largest(&log, 9), [9_000]);
    // What had ended when the plan was made is in its past.
    assert_eq!(largest(&log, 10), [600]);
    assert_eq!(largest(&log, 20), [600]);
    note(&mut log, vec![seen("x", "a", 60)], at(30), BOUNDS);
    assert_eq!(largest(&log, 21), [60]);
    assert!(largest(&log, 30).is_empty());
}

/// When what is shown was first seen.
fn standing(log: &Log) -> u64 {
    let standing = log.standing();
    assert_eq!(standing.len(), 1);
    standing[0].since.since(AT).as_secs()
}

#[test]
fn what_is_shown_stands_since_the_last_source_shows_it_whatever_its_ttl() {
    let mut log = Log::default();
    assert_eq!(log.standing(), []);
    let mut look = |seconds, x: (&str, u64), y: (&str, u64)| {
        note(
            &mut log,
            vec![seen("x", x.0, x.1), seen("y", y.0, y.1)],
            at(seconds),
            BOUNDS,
        );
        standing(&log)
    };
    // Of the first look nobody knows what was before.
    assert_eq!(look(5, ("a", 50), ("a", 50)), 5);
    assert_eq!(look(20, ("a", 40), ("a", 50)), 5);
    assert_eq!(look(30, ("b", 50), ("a", 50)), 30);
    assert_eq!(look(40, ("b", 50), ("b", 50)), 40);
    assert_eq!(look(50, ("b", 30), ("b", 20)), 40);
    // There and back.
    look(60, ("a", 50), ("b", 50));
    assert_eq!(look(70, ("b", 50), ("b", 50)), 70);
}

#[test]
fn a_source_that_is_new_makes_nothing_younger_and_one_that_left_with_something_else_does() {
    let mut log = Log::default();
    note(&mut log, vec![seen("x", "a", 50)], at(0), BOUNDS);
    note(
        &mut log,
        vec![seen("x", "a", 50), seen("y", "a", 50)],
        at(1_000),
        BOUNDS,
    );
    assert_eq!(standing(&log), 0);
    note(&mut log, vec![seen("x", "b", 50)], at(2_000), BOUNDS);
    note(&mut log, vec![seen("x", "b", 50)], at(9_000), BOUNDS);
    // The store may be behind with when it was last seen.
    assert_eq!(standing(&log), 2_000);
    note(&mut log, vec![seen("y", "a", 50)], at(9_000), BOUNDS);
    note(&mut log, vec![seen("x", "b", 50)], at(9_100), BOUNDS);
    assert_eq!(standing(&log), 9_100);
    note(&mut log, vec![seen("x", "b", 50)], at(9_900), BOUNDS);
    assert_eq!(standing(&log), 9_600);
}

/// A server behind a cache has another TTL at every look.
#[test]
fn what_stands_for_long_stands_so_when_its_entries_are_merged() {
    let bounds = Bounds { entries: 5, ..BOUNDS };
    let mut log = Log::default();
    for second in 0..200 {
        note(&mut log, vec![seen("x", "a", 1_000 - second)], at(second), bounds);
    }
    assert!(log.merged() > 100);
    assert_eq!(standing(&log), 0);
    for second in 200..400 {
        let value = if second == 300 { "b" } else { "a" };
        note(
            &mut log,
            vec![seen("x", value, 1_000 - second)],
            at(second),
            bounds,
        );
    }
    let since = standing(&log);
    assert!((301..=400).contains(&since), "{since}");
}

#[test]
fn what_was_noted_while_the_clock_was_years_ahead_does_not_count_for_years() {
    let mut log = Log::default();
    let ahead = 100_000_000;
    note(&mut log, vec![seen("x", "a", 1_000)], at(ahead), BOUNDS);
    note(&mut log, vec![seen("x", "a", 60)], at(ahead + 1), BOUNDS);
    // A person set the clock, and said that it is right.
    note(&mut log, vec![seen("x", "a", 60)], at(0), BOUNDS);
    assert_eq!(counting(&log, 0), [(1_000, Some(0)), (60, None)]);
    note(&mut log, vec![seen("x", "a", 60)], at(1_101), BOUNDS);
    assert_eq!(counting(&log, 1_101), [(60, None)]);
}

/// A sample of format 1, which later versions must read.
#[test]
fn an_entry_of_format_1_is_read() {
    let text = br#"{"party":{"provider":"ns1"},"source":"dns1.example. 192.0.2.1 over TCP","class":"dnskey","value":"0a","ttl":3600,"first":1800000000,"last":1800000900,"ended":1800001000,"merged":2}"#;
    let entry = Observation {
        party: Party::Provider("ns1".to_owned()),
        source: "dns1.example. 192.0.2.1 over TCP".to_owned(),
        class: Class::Dnskey,
        value: "0a".to_owned(),
        ttl: 3_600,
        first: AT,
        last: at(900),
        ended: Some(at(1_000)),
        merged: 2,
    };
    let stored = [&[1][..], text].concat();
    assert_eq!(Observation::decode(&stored), Ok(entry.clone()));
    assert_eq!(entry.encode(), stored);
    let refused = |octets: &[u8]| Observation::decode(octets).unwrap_err();
    assert!(refused(&[2, b'{']).contains("format 2"));
    assert_eq!(refused(&[]), "it is empty");
    refused(&stored[..9]);
}

/// What somebody who wrote everything down would say: the largest TTL that some cache may hold something with.
fn largest_by_hand(seen: &[(u64, u8, Seconds)], now: u64) -> Seconds {
    let mut largest = 0;
    for (place, (_, source, ttl)) in seen.iter().enumerate() {
        let next = seen[place + 1..].iter().find(|(_, other, _)| other == source);
        let ended = next.map_or(now, |(seconds, ..)| *seconds);
        if now <= ended + ttl + BOUNDS.beyond_ttl {
            largest = largest.max(*ttl);
        }
    }
    largest
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// However much is merged, no TTL that counts is lost, and the largest counts no longer than it may.
    #[test]
    fn merging_loses_no_ttl_and_lengthens_none(
        steps in prop::collection::vec((1_u64..400, 0_u8..3, 1_u64..2_000), 1..120),
        entries in 4_usize..20,
        restarts in prop::collection::vec(any::<bool>(), 120),
    ) {
        let bounds = Bounds { entries, ..BOUNDS };
        let mut log = Log::default();
        let mut store = std::collections::BTreeMap::new();
        let mut now = 0;
        let mut all = Vec::new();
        for (place, (pause, source, ttl)) in steps.iter().enumerate() {
            now += pause;
            all.push((now, *source, *ttl));
            // The others are seen as they were.
            let mut looked: std::collections::BTreeMap<u8, Seconds> = all.iter().map(|(_, source, ttl)| (*source, *ttl)).collect();
            looked.insert(*source, *ttl);
            let looked = looked.iter().map(|(source, ttl)| seen(&source.to_string(), "a", *ttl)).collect();
            note(&mut log, looked, at(now), bounds);
            prop_assert!(log.len() <= entries);
            for change in log.changes() {
                match change {
                    Change::Put(number, entry) => drop(store.insert(number, entry)),
                    Change::Remove(number) => drop(store.remove(&number)),
                }
            }
            if restarts[place] {
                log = Log::stored(store.clone());
            }
            let counted = log.counting(at(now), BOUNDS.beyond_ttl);
            let largest = counted.iter().map(|counted| counted.ttl).max().unwrap_or(0);
            let by_hand = largest_by_hand(&all, now);
            prop_assert!(largest >= by_hand, "{largest} < {by_hand}");
            if log.merged() == 0 {
                prop_assert_eq!(largest, by_hand);
            }
            // Merged or not: nothing outlives what was really given with the largest TTL there ever was.
            let end = all.iter().map(|(seconds, _, ttl)| seconds + ttl).max().unwrap_or(0) + 400 + BOUNDS.beyond_ttl;
            let late = log.counting(at(end.max(now) + 2_700), BOUNDS.beyond_ttl);
            prop_assert_eq!(late, vec![]);
        }
    }
}
