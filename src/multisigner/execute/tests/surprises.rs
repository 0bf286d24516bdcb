//! What nobody planned.

use super::*;

/// Behind the plan's own keys.
const STRANGER: usize = 5;

fn with_stranger(world: &mut World) {
    world.strangers = vec![(key(STRANGER), plan_key(ZONE, 1))];
}

fn more(published: &[usize]) -> Vec<usize> {
    [published, &[STRANGER]].concat()
}

fn stories(world: &World) -> Vec<usize> {
    world.story.iter().map(|(_, step)| *step).collect()
}

#[test]
fn a_larger_ttl_makes_a_wait_longer_and_a_smaller_one_does_not_shorten_it() {
    let mut world = World::of(roll());
    world.run_until(START + 10);
    let with_ttl = |value: &Value, ttl| {
        let mut value = value.clone();
        super::super::items::raise_ttl(&mut value, ttl);
        value
    };
    let large = with_ttl(&keys(1, &ALL), 200);
    world.show_at(1, &large);
    world.settle();
    // They have it from the start on, as far as anybody can say.
    world.show(&keys(1, &ALL));
    world.run_until(START + 1000);
    let switched = world.story.iter().find(|(_, step)| *step == 3).unwrap().0;
    assert_eq!(switched, START + LAG + 200 + MARGIN + 1);
    assert_eq!(world.next(), Next::Over(Outcome::Reached));
}

#[test]
fn our_key_dropped_there_starts_the_wait_again_when_it_is_back() {
    let mut world = World::of(roll());
    world.run_until(START + 20);
    // One of their servers goes back to what it had.
    world.show_at(1, &keys(1, &[KSK, OLD, THEIR_KSK, THEIR_ZSK]));
    let rest = world.run_until(START + 100);
    assert!(
        matches!(&rest, Next::Watch { step: 3, lacking } if lacking.contains("them")),
        "{rest:?}"
    );
    world.show(&keys(1, &ALL));
    let rest = world.settle();
    let until = UnixTime(START + 100 + FORGET_KEYS + 1);
    assert_eq!(rest, Next::Wait { step: 3, until });
    assert_eq!(world.run_until(START + 500), Next::Over(Outcome::Reached));
    assert_eq!(stories(&world), [0, 1, 2, 3, 4, 5]);
}

/// The old ZSK goes in the end, and signs until then: lost there, it is given again like the others.
#[test]
fn all_our_keys_that_are_dropped_there_are_given_again() {
    let mut world = World::of(roll());
    world.run_until(START + 20);
    let run = Run::read(&world.entries).unwrap().unwrap();
    let (us, them) = (ProviderId::FIRST, ProviderId::at(1).unwrap());
    let given = run.given(them, us);
    assert_eq!(given.as_ref().map(Vec::len), Some(3), "KSK, old and new ZSK");
    world.show(&keys(1, &[THEIR_KSK, THEIR_ZSK]));
    world.settle();
    let run = Run::read(&world.entries).unwrap().unwrap();
    assert_eq!(run.given(them, us), given);
    assert_eq!(run.alarm, None, "it is mended without a person");
}

#[test]
fn servers_that_cannot_be_seen_from_here_may_lag_without_a_word() {
    let mut world = World::of(roll());
    world.settle();
    world.now += LAG;
    world.show_at(1, &keys(1, &[KSK, OLD, THEIR_KSK, THEIR_ZSK]));
    let before = world.entries.len();
    world.settle();
    assert_eq!(world.entries.len(), before);
}

#[test]
fn a_new_key_of_theirs_is_added_and_stops_what_takes_away() {
    let mut world = World::of(roll());
    world.obedient = false;
    world.settle();
    with_stranger(&mut world);
    // It is in their set, and merged into ours at once, while a step adds a key.
    world.show_at(0, &keys(1, &more(&[KSK, OLD, THEIR_KSK, THEIR_ZSK])));
    world.settle();
    world.show(&keys(1, &more(&[KSK, OLD, THEIR_KSK, THEIR_ZSK])));
    world.show(&keys(0, &more(&ALL)));
    world.settle();
    assert_eq!(world.run.done.len(), 2, "the new ZSK is seen, with the stranger");
    assert_eq!(world.run.plan.situation.keys.len(), 6);
    world.strangers.clear();
    world.show(&keys(1, &more(&ALL)));
    let Next::Halted { why } = world.run_until(START + 300) else {
        panic!("{:?}", world.next())
    };
    let tag = world.run.plan.situation.keys[STRANGER]
        .dnskey
        .as_ref()
        .unwrap()
        .key_tag();
    assert!(
        why.contains(&format!("ZSK {tag}")) && why.contains("countersign resume"),
        "{why}"
    );
    assert_eq!(stories(&world), [0, 1, 2]);
    world.restart();
    world.journal(Event::Resumed);
    world.obedient = false;
    world.settle();
    assert_eq!(stories(&world), [0, 1, 2, 3]);
    world.show(&data(0, NEW));
    world.run_until(START + 600);
    world.show(&keys(0, &more(&AFTER)));
    world.run_until(START + 610);
    world.show(&keys(1, &more(&AFTER)));
    assert_eq!(
        world.settle(),
        Next::Over(Outcome::Reached),
        "the stranger stayed"
    );
}

#[test]
fn a_key_of_theirs_that_vanished_stops_what_takes_away() {
    let mut world = World::of(roll());
    world.run_until(START + 10);
    with_stranger(&mut world);
    let rolled = [KSK, OLD, NEW, THEIR_KSK, STRANGER];
    world.show(&keys(1, &rolled));
    world.show(&data(1, STRANGER));
    world.show(&keys(0, &more(&ALL)));
    let Next::Halted { why } = world.run_until(START + 300) else {
        panic!("{:?}", world.next())
    };
    assert!(why.contains("them"), "{why}");
    assert_eq!(stories(&world), [0, 1, 2]);
    // An overnight roll without any overlap breaks the zone whatever we do: the checker says so, and nothing is taken
    // away until no cache holds anything of it.
    let told =
        |entry: &Entry| matches!(&entry.event, Event::Harm { story } if story.contains("does not hold"));
    assert_eq!(world.entries.iter().filter(|entry| told(entry)).count(), 1);
    world.journal(Event::Resumed);
    let until = UnixTime(START + 10 + FORGET_DATA + 1);
    assert_eq!(world.settle(), Next::Wait { step: 3, until });
    world.now = until.0;
    world.settle();
    assert_eq!(stories(&world), [0, 1, 2, 3]);
}

#[test]
fn what_surprises_while_it_is_paused_counts_too() {
    let mut world = World::of(roll());
    world.run_until(START + 10);
    world.journal(Event::Paused {
        why: "dinner".to_owned(),
    });
    world.now += 200;
    world.show_at(1, &keys(1, &[KSK, OLD, THEIR_KSK, THEIR_ZSK]));
    world.settle();
    world.show(&keys(1, &ALL));
    world.settle();
    world.journal(Event::Resumed);
    let until = UnixTime(START + 210 + FORGET_KEYS + 1);
    assert_eq!(world.settle(), Next::Wait { step: 3, until });
}

#[test]
fn who_changes_things_all_the_time_halts_it() {
    let mut world = World::of(roll());
    world.settle();
    let mut halted = false;
    for turn in 0..150 {
        world.now += LAG + 1;
        let published: &[usize] = if turn % 2 == 0 {
            &[KSK, OLD, THEIR_KSK, THEIR_ZSK]
        } else {
            &ALL
        };
        world.show(&keys(1, published));
        halted = matches!(world.settle(), Next::Halted { .. });
    }
    assert!(
        halted && world.entries.len() < 150,
        "{} entries",
        world.entries.len()
    );
}

/// The person at the registrar pastes all DS records: one that another provider had added meanwhile is among them.
#[test]
fn what_a_person_pastes_has_what_nobody_planned_too() {
    let ds = |places: &[usize]| {
        Value::Ds(DsSet {
            records: places
                .iter()
                .map(|place| DsRecord {
                    key: key(*place),
                    digest_type: 2,
                })
                .collect(),
            ttl: TTL_DS,
            from_cds: false,
        })
    };
    let mut plan = roll();
    let wanted = vec![key(KSK)];
    let mut point = step("DS", Action::Ds { wanted }, vec![ds(&[KSK])]);
    point.by = Actor::Person {
        place: "at the registrar".to_owned(),
        paste: vec!["one".to_owned()],
    };
    plan.steps.insert(0, point);
    let mut world = World::of(plan);
    world.obedient = false;
    assert_eq!(world.run.paste(0).len(), 1);
    with_stranger(&mut world);
    world.show(&ds(&[KSK, THEIR_KSK, STRANGER]));
    world.settle();
    let paste = world.run.paste(0);
    assert_eq!(paste.len(), 2, "{paste:?}");
    assert_eq!(world.run.changes(0), [ds(&[KSK, STRANGER])]);
}
