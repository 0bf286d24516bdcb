//! How a run that is given up ends.

use super::*;

fn back(world: &mut World) {
    world.run.plan.kind = Kind::Retreat {
        from: Box::new(world.run.plan.kind.clone()),
    };
}

/// A way back that cannot even begin would be followed by a way back from it, and that by another one, for ever.
#[test]
fn a_way_back_that_was_paused_before_it_did_anything_has_nothing_to_be_taken_back() {
    let mut world = World::of(roll());
    let pause = Event::Paused {
        why: "it cannot be done".to_owned(),
    };
    world.journal(Event::Begun { step: 0 });
    world.journal(pause.clone());
    assert!(!world.run.is_a_way_back_not_taken(), "a plan goes back");
    back(&mut world);
    assert!(world.run.is_a_way_back_not_taken());
    world.journal(Event::Resumed);
    assert!(!world.run.is_a_way_back_not_taken(), "it goes on");
    world.act(0);
    world.journal(pause.clone());
    assert!(
        !world.run.is_a_way_back_not_taken(),
        "it was done, and is not seen yet"
    );
    world.journal(Event::Resumed);
    world.settle();
    assert!(!world.run.done.is_empty());
    world.journal(pause);
    assert!(!world.run.is_a_way_back_not_taken(), "something is done");
}

/// It goes on answering, so that it stopped can be seen nowhere.
#[test]
fn that_this_server_stops_is_a_person_s_word() {
    let mut plan = roll();
    let serving = |serves| Value::Serving(provider(0), serves);
    plan.situation.serves.push(serving(true));
    for value in &mut plan.situation.serves {
        if let Value::ParentNs(ns) | Value::ChildNs(_, ns) = value {
            ns.members = [provider(1)].into();
        }
    }
    let mut stop = step(
        "we stop",
        Action::Stop {
            provider: provider(0),
        },
        vec![serving(false)],
    );
    stop.by = Actor::Person {
        place: "here".to_owned(),
        paste: Vec::new(),
    };
    plan.steps = vec![stop];
    let mut world = World::of(plan);
    world.obedient = false;
    let watched = Next::Watch {
        step: 0,
        lacking: "nobody has said that it is done; whoever did it says so: countersign done example."
            .to_owned(),
    };
    assert_eq!(world.settle(), watched);
    world.journal(Event::Reported { step: 0 });
    assert_eq!(world.settle(), Next::Over(Outcome::Reached));
}

/// What others do not have any more, they were not to have: until we join again.
#[test]
fn who_left_is_out_until_they_join() {
    let of = |kind: Kind, ends: Event| {
        let mut plan = roll();
        plan.kind = kind;
        plan.steps.clear();
        let adopted = Event::Adopted {
            plan: Box::new(plan),
            force: None,
        };
        [adopted, ends].map(|event| Entry {
            at: UnixTime(START),
            event,
        })
    };
    let (us, them) = (provider(0), provider(1));
    let leave = |provider| of(Kind::Leave { provider }, Event::Finished);
    let join = |provider| of(Kind::Join { provider }, Event::Finished);
    let follow = || {
        let kind = Kind::Follow {
            provider: them,
            gone: Vec::new(),
        };
        of(kind, Event::Finished)
    };
    let given_up = |provider| {
        let why = "no".to_owned();
        of(Kind::Leave { provider }, Event::Aborted { why, as_it_is: false })
    };
    let is_out = |runs: &[[Entry; 2]]| Run::read(runs.iter().flatten()).unwrap().unwrap().is_out();
    assert!(is_out(&[leave(us)]));
    assert!(!is_out(&[leave(them)]));
    assert!(!is_out(&[given_up(us)]));
    assert!(is_out(&[leave(us), follow(), join(them)]));
    assert!(!is_out(&[leave(us), follow(), join(us), follow()]));
    let begun = Run::read([&leave(us)[0]]).unwrap().unwrap();
    assert!(!begun.is_out());
}

/// What a person gave up is not followed by itself, whatever other plans come between.
#[test]
fn keys_whose_withdrawal_was_given_up_are_left_in_until_another_plan_has_them() {
    let follow = |places: &[usize]| {
        let mut plan = roll();
        let gone = places.iter().map(|place| (key(*place), UnixTime(1)));
        plan.kind = Kind::Follow {
            provider: provider(1),
            gone: gone.collect(),
        };
        plan
    };
    let known = follow(&[]).situation.keys;
    let dnskey = |place: usize| known[place].dnskey.clone().unwrap();
    let adopted = |at: u64, places: &[usize]| {
        let mut plan = follow(places);
        plan.situation.keys.clone_from(&known);
        plan.steps.clear();
        let plan = Box::new(plan);
        Entry {
            at: UnixTime(at),
            event: Event::Adopted { plan, force: None },
        }
    };
    let ended = |at: u64, event: Event| Entry {
        at: UnixTime(at),
        event,
    };
    let aborted = || Event::Aborted {
        why: "no".to_owned(),
        as_it_is: true,
    };
    let mut journal = vec![adopted(2_000, &[THEIR_KSK, THEIR_ZSK]), ended(2_001, aborted())];
    let left_in = |journal: &[Entry]| {
        let run = Run::read(journal).unwrap().unwrap();
        [THEIR_KSK, THEIR_ZSK].map(|place| run.was_left_in(&dnskey(place)).map(|at| at.0))
    };
    assert_eq!(left_in(&journal[..1]), [None, None]);
    assert_eq!(left_in(&journal), [Some(2_001); 2]);
    journal.extend([adopted(2_002, &[]), ended(2_003, Event::Finished)]);
    assert_eq!(left_in(&journal), [Some(2_001); 2]);
    journal.extend([adopted(2_004, &[THEIR_ZSK]), ended(2_005, Event::Finished)]);
    assert_eq!(left_in(&journal), [Some(2_001), None]);
    journal.push(adopted(2_006, &[THEIR_KSK]));
    assert_eq!(left_in(&journal), [None, None]);
}
