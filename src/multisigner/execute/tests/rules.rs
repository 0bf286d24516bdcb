//! Every rule of an undisturbed run.

use super::*;

/// When the steps of [`roll`] are done at the earliest, each wait strict.
fn earliest() -> Vec<(u64, usize)> {
    let switch = START + FORGET_KEYS + 1;
    let gone = switch + FORGET_DATA + 1;
    vec![
        (START, 0),
        (START, 1),
        (START, 2),
        (switch, 3),
        (gone, 4),
        (gone + 1, 5),
    ]
}

#[test]
fn a_roll_does_each_step_once_and_as_early_as_it_may() {
    let mut world = World::of(roll());
    assert_eq!(world.run_until(START + 500), Next::Over(Outcome::Reached));
    assert_eq!(world.story, earliest());
}

/// Between two looks somebody gave a larger TTL for a moment: the view shows nothing of it any more, and caches do.
#[test]
fn a_larger_ttl_that_was_given_between_two_looks_is_waited_for() {
    let mut world = World::of(roll());
    world.settle();
    let slot = Slot::Keys(provider(1));
    assert_eq!(world.run.ttl_given(&slot, TTL_KEYS), None);
    assert_eq!(world.run.ttl_given(&Slot::Ds, TTL_DS), None);
    world.journal(world.run.ttl_given(&slot, 3 * TTL_KEYS).unwrap());
    assert_eq!(world.run.ttl_given(&slot, 3 * TTL_KEYS), None);
    assert_eq!(world.run_until(START + 900), Next::Over(Outcome::Reached));
    let switch = world.story.iter().find(|(_, step)| *step == 3).unwrap();
    assert_eq!(switch.0, START + FORGET_KEYS + 2 * TTL_KEYS + 1);
    assert_eq!(world.run.ttl_given(&slot, 9 * TTL_KEYS), None);
}

#[test]
fn a_restart_at_any_moment_changes_nothing_but_that_an_action_may_be_repeated() {
    // After each entry, and after each action, the process is another one.
    let mut world = World::of(roll());
    while world.now < START + 500 {
        match world.next() {
            Next::Journal(event) => world.journal(event),
            Next::Act { step } => {
                world.restart();
                assert_eq!(world.next(), Next::Act { step }, "it was begun: it is done again");
                world.act(step);
                continue;
            }
            Next::Over(_) => break,
            _ => world.now += 1,
        }
        world.restart();
        if let Next::Act { step } = world.next() {
            world.act(step);
        }
    }
    assert_eq!(world.next(), Next::Over(Outcome::Reached));
    world.story.dedup();
    assert_eq!(world.story, earliest());
}

#[test]
fn a_step_is_seen_when_every_server_shows_it_and_was_asked_since() {
    let mut world = World::of(roll());
    world.obedient = false;
    let Next::Watch { step: 1, lacking } = world.settle() else {
        panic!("{:?}", world.next())
    };
    assert!(lacking.contains("the DNSKEY RRset of us: server 0"), "{lacking}");
    world.show_at(0, &keys(0, &ALL));
    world.now += 7;
    assert!(matches!(world.settle(), Next::Watch { step: 1, lacking } if lacking.contains("server 1")));
    world.show_at(1, &keys(0, &ALL));
    // A look from before the step was begun proves nothing.
    let mut old = world.view();
    for sight in old.slots.values_mut().flatten() {
        sight.at = UnixTime(START - 1);
    }
    assert!(matches!(
        world.run.next(&old, UnixTime(world.now), true),
        Next::Watch { step: 1, .. }
    ));
    assert_eq!(world.next(), Next::Journal(Event::Seen { step: 1 }));
}

#[test]
fn the_wait_runs_from_when_it_was_seen_and_not_from_when_it_was_done() {
    let mut world = World::of(roll());
    world.obedient = false;
    world.settle();
    world.show(&keys(0, &ALL));
    world.settle();
    world.now += 100;
    world.show(&keys(1, &ALL));
    let until = UnixTime(START + 100 + FORGET_KEYS + 1);
    assert_eq!(world.settle(), Next::Wait { step: 3, until });
}

#[test]
fn the_checker_holds_back_what_the_plan_does_not() {
    // A plan whose waits were forgotten: the measured history itself says how long.
    let mut plan = roll();
    for step in &mut plan.steps {
        step.waits.clear();
    }
    let mut world = World::of(plan.clone());
    assert_eq!(world.run_until(START + 500), Next::Over(Outcome::Reached));
    let at: Vec<u64> = world.story.iter().map(|(at, _)| *at).collect();
    assert_eq!(at[3], START + FORGET_KEYS + 1);
    assert_eq!(at[4], START + FORGET_KEYS + 1 + FORGET_DATA + 1);
    // A person who forces it is not held to what the plan breaks.
    let mut world = World::forced(plan, Some("a test"));
    assert_eq!(world.settle(), Next::Over(Outcome::Reached));
}

#[test]
fn what_no_wait_makes_safe_halts_with_the_story() {
    let mut plan = roll();
    // They are never given the new key.
    plan.steps.truncate(5);
    plan.steps[2].changes = vec![keys(1, &[KSK, OLD, THEIR_KSK, THEIR_ZSK])];
    let mut world = World::of(plan);
    let Next::Halted { why } = world.run_until(START + 500) else {
        panic!("{:?}", world.next())
    };
    assert!(
        why.contains("does not hold at") && why.contains(" signs"),
        "{why}"
    );
    assert_eq!(world.story.len(), 3, "nothing was switched");
}

#[test]
fn nothing_is_taken_away_while_a_server_cannot_be_reached() {
    let mut world = World::of(roll());
    world.run_until(START + 10);
    let slot = Slot::Keys(provider(1));
    world.served.get_mut(&slot).unwrap()[1] = Shown::Unreachable("no route".to_owned());
    let rest = world.run_until(START + 200);
    assert!(
        matches!(&rest, Next::Watch { step: 3, lacking } if lacking.contains("no route")),
        "{rest:?}"
    );
    world.show(&keys(1, &ALL));
    world.run_until(START + 201);
    assert_eq!(world.story.last(), Some(&(START + 200, 3)));
}

#[test]
fn with_a_wrong_clock_nothing_counts_as_seen() {
    let mut world = World::of(roll());
    world.sane = false;
    let rest = world.run_until(START + 200);
    assert!(
        matches!(&rest, Next::Watch { step: 0, lacking } if lacking.contains("clock")),
        "{rest:?}"
    );
    assert_eq!(world.story.len(), 1, "the key is made");
    // Every wait runs from when the clock is right: what was seen before may have been seen at any time.
    world.sane = true;
    world.run_until(START + 200 + FORGET_KEYS);
    assert!(world.story.iter().all(|(_, step)| *step < 3), "{:?}", world.story);
    world.run_until(START + 200 + FORGET_KEYS + 1);
    assert_eq!(world.story.last().map(|(_, step)| *step), Some(3));
    // A step that was begun before the clock went wrong is not repeated either.
    let mut world = World::of(roll());
    world.run_until(START + FORGET_KEYS);
    world.now += 1;
    while !matches!(world.next(), Next::Act { step: 3 }) {
        let Next::Journal(event) = world.next() else {
            panic!("{:?}", world.next())
        };
        world.journal(event);
    }
    world.restart();
    world.sane = false;
    assert!(matches!(world.next(), Next::Watch { step: 3, .. }));
}

#[test]
fn a_clock_that_goes_back_makes_waits_longer_and_never_shorter() {
    let mut world = World::of(roll());
    world.run_until(START + 10);
    world.now = START - 600;
    assert!(matches!(world.settle(), Next::Wait { step: 3, .. }));
    world.run_until(START + 500);
    assert_eq!(world.story, earliest());
}

#[test]
fn a_person_pauses_resumes_and_gives_up() {
    let mut world = World::of(roll());
    world.run_until(START + 10);
    world.journal(Event::Paused {
        why: "dinner".to_owned(),
    });
    let halted = Next::Halted {
        why: "dinner".to_owned(),
    };
    assert_eq!(world.run_until(START + 300), halted);
    world.now = START + 300;
    assert_eq!(world.settle(), halted);
    let fault = world.run.may(&Event::Begun { step: 3 }).unwrap_err();
    assert_eq!(fault.to_string(), "the plan is paused: dinner");
    world.journal(Event::Resumed);
    assert_eq!(world.run.may(&Event::Resumed), Err(JournalFault::NotPaused));
    world.settle();
    assert_eq!(world.story.last(), Some(&(START + 300, 3)));
    world.journal(Event::Aborted {
        why: "no".to_owned(),
        as_it_is: false,
    });
    assert_eq!(world.next(), Next::Over(Outcome::Aborted));
    assert_eq!(world.run.may(&Event::Resumed), Err(JournalFault::Over));
}

#[test]
fn a_person_who_did_their_part_says_so_where_nothing_can_be_seen() {
    let mut plan = roll();
    let mut theirs = step("the registrar is told", Action::Await, Vec::new());
    theirs.action = Action::Theirs {
        provider: provider(1),
        what: "something".to_owned(),
    };
    theirs.by = Actor::Provider {
        provider: provider(1),
    };
    plan.steps = vec![theirs];
    let mut world = World::of(plan);
    world.settle();
    assert!(matches!(world.settle(), Next::Watch { step: 0, .. }));
    world.journal(Event::Reported { step: 0 });
    assert_eq!(world.settle(), Next::Over(Outcome::Reached));
}

/// CDS comes, the parent follows it, and it goes. Its signatures are looked at as long as it is there, and by every
/// server; after that nobody shows them, and nothing waits for them.
#[test]
fn the_signatures_of_cds_count_as_long_as_it_is_there() {
    let us = provider(0);
    let wanted = set(&[KSK, THEIR_KSK]);
    let signers = set(&[KSK]);
    let cds = Value::Cds(us, Some(Cds { wanted, signers }));
    let signatures = Value::Data(
        us,
        Class::Cds,
        SignedData {
            signers,
            ttl: TTL_KEYS,
            content: Content::Own,
        },
    );
    let ask = |wanted: KeySet| Action::Cds {
        wanted: wanted.iter().collect(),
    };
    let mut plan = roll();
    let mut gone = step("CDS goes", ask(KeySet::default()), vec![Value::Cds(us, None)]);
    gone.withdraws = true;
    let mut withdrawn = step(
        "something goes",
        Action::Await,
        vec![keys(0, &[KSK, OLD, THEIR_KSK])],
    );
    withdrawn.withdraws = true;
    plan.steps = vec![
        step("CDS is there", ask(wanted), vec![cds.clone(), signatures.clone()]),
        gone,
        withdrawn,
    ];
    // What goes in the end is needed, which is not the matter here.
    let mut world = World::forced(plan, Some("a test"));
    world.obedient = false;
    world.show(&Value::Cds(us, None));
    assert!(matches!(world.settle(), Next::Watch { step: 0, .. }));
    world.show(&cds);
    let rest = world.settle();
    assert!(
        matches!(&rest, Next::Watch { step: 0, lacking } if lacking.contains("the data of us")),
        "{rest:?}"
    );
    // Everywhere, by a key that the parent trusts.
    world.show(&signatures);
    let odd = Shown::Odd("its CDS is signed by another key".to_owned());
    world.served.get_mut(&signatures.slot()).unwrap()[1] = odd;
    let rest = world.settle();
    assert!(matches!(&rest, Next::Watch { step: 0, .. }), "{rest:?}");
    world.show(&signatures);
    world.settle();
    assert_eq!(world.run.done.len(), 1);
    world.show(&Value::Cds(us, None));
    world.served.remove(&signatures.slot());
    world.settle();
    assert!(world.run.done.len() >= 2, "{:?}", world.settle());
    let rest = world.settle();
    assert!(
        !matches!(&rest, Next::Watch { lacking, .. } if lacking.contains("nobody has been asked")),
        "{rest:?}"
    );
}

#[test]
fn entries_in_an_order_that_cannot_be_are_no_journal() {
    let mut world = World::of(roll());
    world.run_until(START + 500);
    let good = world.entries.clone();
    assert!(Run::read(&good).is_ok());
    assert_eq!(Run::read(&[]), Ok(None));
    assert_eq!(Run::read(&good[1..]), Err(JournalFault::NoPlan));
    for left_out in 1..good.len() - 1 {
        let mut spoiled = good.clone();
        let entry = spoiled.remove(left_out);
        if !matches!(entry.event, Event::Made { .. }) {
            assert!(Run::read(&spoiled).is_err(), "without {entry:?}");
        }
    }
    let mut twice = good.clone();
    twice.insert(1, good[0].clone());
    assert_eq!(Run::read(&twice), Err(JournalFault::Busy));
    // After its end another one may begin.
    let mut again = good.clone();
    again.push(good[0].clone());
    assert_eq!(Run::read(&again).unwrap().unwrap().done, []);
}
