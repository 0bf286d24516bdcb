//! The parent is asked, by CDS or by a person: it does not follow, or the plan is given up.

use super::*;
use crate::multisigner::plan;

/// A roll of our KSK to [`NEW`], below a parent that reads CDS.
fn roll_by_cds() -> World {
    roll_by(ParentHand::Cds)
}

fn roll_by(hand: ParentHand) -> World {
    let mut situation = situation();
    situation.parent.hand = hand;
    situation.members[1].shows_cds = true;
    situation.keys[NEW] = plan_key(ZONE | SEP, 0);
    let kind = Kind::RollKsk {
        old: key(KSK),
        new: key(NEW),
    };
    let mut world = World::of(plan::build(&kind, &situation).unwrap());
    world.parent_follows = false;
    world
}

fn ds(places: &[usize]) -> Value {
    let records = places.iter().map(|place| DsRecord {
        key: key(*place),
        digest_type: 2,
    });
    Value::Ds(DsSet {
        records: records.collect(),
        ttl: TTL_DS,
        from_cds: false,
    })
}

impl World {
    /// Goes on for so long; whoever has the new KSK in the DS RRset has it in our DNSKEY RRset too.
    fn goes_back_for(&mut self, seconds: u64) -> Next {
        for _ in 0..seconds {
            self.settle();
            self.assert_nothing_is_missing();
            self.now += 1;
        }
        self.settle()
    }

    fn shown(&self, slot: &Slot) -> &[Shown; 2] {
        &self.served[slot]
    }

    fn assert_nothing_is_missing(&self) {
        let in_ds = self.shown(&Slot::Ds).iter().any(|shown| match shown {
            Shown::Value(Value::Ds(ds)) => ds.records.iter().any(|record| record.key == key(NEW)),
            _ => false,
        });
        let in_keys = self
            .shown(&Slot::Keys(provider(0)))
            .iter()
            .all(|shown| match shown {
                Shown::Value(Value::Keys(_, rrset)) => rrset.keys.contains(key(NEW)),
                _ => false,
            });
        assert!(
            in_keys || !in_ds,
            "at {}: {:?}",
            self.now - START,
            self.run.done.len()
        );
    }

    fn steps(&self) -> Vec<&str> {
        self.run
            .plan
            .steps
            .iter()
            .map(|step| step.what.as_str())
            .collect()
    }
}

fn is_of_ds(step: &Step) -> bool {
    step.changes.iter().any(|value| value.slot() == Slot::Ds)
}

fn is_cds_of_them(step: &Step) -> bool {
    let slot = Slot::Cds(provider(1));
    step.changes.iter().any(|value| value.slot() == slot)
}

/// How far the last of the asking has come.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// The parent can read it, and nobody has seen it.
    Unseen,
    /// It was seen everywhere.
    Seen,
    /// The step that waits for the parent was begun too.
    Awaited,
}

const EVERY: [Asked; 3] = [Asked::Unseen, Asked::Seen, Asked::Awaited];

/// Every provider asks the parent by CDS, and the plan is given up.
fn asked_by_all(asked: Asked) -> World {
    let mut world = roll_by_cds();
    match asked {
        Asked::Unseen => world.go_on_until(is_cds_of_them),
        Asked::Seen | Asked::Awaited => world.go_on_until(is_of_ds),
    }
    if !matches!(asked, Asked::Seen) {
        world.begin_next();
    }
    if let (Asked::Unseen, Next::Act { step }) = (asked, world.next()) {
        world.act(step);
    }
    world.gives_up();
    world
}

/// It finds what it had asked for first, and then the other way round.
#[test]
fn a_parent_that_had_read_and_comes_late_is_waited_for() {
    for asked in EVERY {
        let mut world = asked_by_all(asked);
        let whats = world.steps().join("; ");
        let place = world.run.plan.steps.iter().position(is_of_ds).unwrap();
        let of_ds = &world.run.plan.steps[place];
        assert_eq!((of_ds.by.clone(), place), (Actor::Parent, 2), "{whats}");
        assert!(
            of_ds.waits.iter().any(|wait| wait.seconds == 2 * LAG),
            "{of_ds:?}"
        );
        // At the last moment.
        world.goes_back_for(2 * LAG);
        assert_eq!(world.run.done.len(), place, "{whats}");
        world.show_at(0, &ds(&[KSK, THEIR_KSK, NEW]));
        world.goes_back_for(1);
        world.show(&ds(&[KSK, THEIR_KSK, NEW]));
        let rest = world.goes_back_for(1_000);
        assert!(
            matches!(&rest, Next::Watch { step, .. } if *step == place),
            "{rest:?}"
        );
        // It reads again, and finds what was before.
        world.show(&ds(&[KSK, THEIR_KSK]));
        assert_eq!(
            world.goes_back_for(1_000),
            Next::Over(Outcome::Reached),
            "{whats}"
        );
        assert_eq!(world.run.alarm, None);
    }
}

/// The usual case: it has not even looked.
#[test]
fn a_parent_that_does_nothing_holds_nothing_up_and_is_no_surprise() {
    for asked in EVERY {
        let mut world = asked_by_all(asked);
        assert_eq!(world.goes_back_for(200), Next::Over(Outcome::Reached));
        let surprise = |entry: &&Entry| matches!(entry.event, Event::Surprise { .. } | Event::Paused { .. });
        assert_eq!(world.entries.iter().find(surprise), None);
        for provider in [provider(0), provider(1)] {
            let gone = Shown::Value(Value::Cds(provider, None));
            assert_eq!(world.shown(&Slot::Cds(provider)), &[gone.clone(), gone]);
        }
    }
}

/// CDS at one provider is followed by a parent that asks one server alone. Where it has done nothing in time nothing of it
/// is left; where it comes later than it is said to, what it needs stays.
#[test]
fn what_some_have_asked_for_is_seen_not_to_come_before_anything_goes() {
    let asked_by_one = || {
        let mut world = roll_by_cds();
        world.go_on_until(is_cds_of_them);
        world.gives_up();
        world
    };
    let mut world = asked_by_one();
    let whats = world.steps().join("; ");
    assert!(
        !whats.contains("of them"),
        "nobody else is asked for anything: {whats}"
    );
    let place = world.run.plan.steps.iter().position(is_of_ds).unwrap();
    let stays = &world.run.plan.steps[place];
    assert_eq!((&stays.action, place), (&Action::Await, 1), "{whats}");
    assert_eq!(stays.waits.iter().map(|wait| wait.seconds).max(), Some(2 * LAG));
    assert_eq!(world.goes_back_for(200), Next::Over(Outcome::Reached));

    let mut world = asked_by_one();
    world.goes_back_for(2 * LAG);
    world.show(&ds(&[KSK, THEIR_KSK, NEW]));
    world.goes_back_for(1_000);
    assert!(
        matches!(world.run.stage, Stage::Paused { .. }),
        "{:?}",
        world.next()
    );
}

/// Where nobody can say what the parent shows, it is asked to have what it had.
#[test]
fn what_cannot_be_seen_may_have_come() {
    let mut world = roll_by_cds();
    world.go_on_until(is_cds_of_them);
    world.show_at(0, &ds(&[KSK, THEIR_KSK, NEW]));
    for view in [None, Some(world.view())] {
        let back = world.run.way_back(view.as_ref(), UnixTime(world.now)).unwrap();
        let place = back.steps.iter().position(is_of_ds).unwrap();
        let (step, before) = (&back.steps[place], set(&[KSK, THEIR_KSK]));
        let wanted = before.iter().collect();
        assert_eq!((&step.action, &step.by), (&Action::Ds { wanted }, &Actor::Parent));
        assert!(step.waits.iter().any(|wait| wait.seconds == 2 * LAG), "{step:?}");
    }
}

/// The first DS RRset that the plan wants: nobody hears of it as long as the parent may be about to follow.
#[test]
fn a_parent_that_does_not_follow_is_told_of_after_a_day() {
    let mut world = roll_by_cds();
    world.go_on_until(is_of_ds);
    assert_eq!(
        world.run.unfollowed(UnixTime(world.now + 1_000_000)),
        None,
        "not asked yet"
    );
    world.settle();
    let since = world.run.begun.unwrap();
    let after = |run: &Run, seconds| run.unfollowed(UnixTime(since.0 + seconds));
    assert_eq!(after(&world.run, 86_400), None);
    let told = after(&world.run, 86_401).unwrap();
    assert_eq!((told.since, told.records.len()), (since, 3));
    let new = world.run.plan.situation.keys[NEW]
        .dnskey
        .as_ref()
        .unwrap()
        .key_tag();
    let words = told.to_string();
    assert!(
        words.contains(&format!("IN DS {new} ")) && words.contains("registrar"),
        "{words}"
    );
    // Whoever takes longer is given longer.
    let mut slow = world.run.clone();
    slow.plan.situation.parent.propagation = 86_400;
    assert_eq!(after(&slow, 2 * 86_400), None);
    assert!(after(&slow, 2 * 86_400 + 1).is_some());
    // A person did it: it is seen like anything else.
    world.show(&ds(&[KSK, THEIR_KSK, NEW]));
    world.settle();
    assert_eq!(after(&world.run, 1_000_000), None);
}

/// What is said of a key without DS while a plan sees to it.
#[test]
fn what_a_plan_does_about_a_ds_is_known() {
    let of = |world: &World, place: usize| {
        let key = world.run.plan.situation.keys[place].dnskey.clone().unwrap();
        let ahead = world.run.ds_ahead();
        ahead
            .iter()
            .find(|(known, _)| *known == key)
            .map(|(_, ahead)| *ahead)
    };
    let mut world = roll_by_cds();
    world.go_on_until(is_of_ds);
    assert_eq!(of(&world, NEW), Some(DsAhead::ByCds));
    assert_eq!(of(&world, OLD), None, "a ZSK has none");
    for step in &mut world.run.plan.steps {
        if is_of_ds(step) {
            step.by = Actor::Person {
                place: "at the registrar".to_owned(),
                paste: Vec::new(),
            };
        }
    }
    assert_eq!(of(&world, NEW), Some(DsAhead::ByPerson));
    assert_eq!(of(&asked_by_all(Asked::Awaited), NEW), Some(DsAhead::Goes));
    world.parent_follows = true;
    world.go_on_until(|step| step.what.contains("them publishes"));
    assert_ne!(of(&world, NEW), Some(DsAhead::Goes), "it stays");
}

/// A person was asked for a DS RRset that not every server shows, and the plan is given up.
fn handed_in(shown: &[usize]) -> World {
    let mut world = roll_by(ParentHand::Person);
    world.go_on_until(is_of_ds);
    world.begin_next();
    for server in shown {
        world.show_at(*server, &ds(&[KSK, THEIR_KSK, NEW]));
    }
    world.now += 1;
    world.gives_up();
    let first = &world.run.plan.steps[0];
    assert!(
        matches!(first.action, Action::HandedIn { .. }),
        "{:?}",
        world.steps()
    );
    world
}

/// A server that shows what was before has it still, or has it again: only what came in between tells one from the other.
#[test]
fn what_was_handed_in_comes_everywhere_before_it_is_taken_back() {
    for shown in [&[1][..], &[]] {
        let mut world = handed_in(shown);
        world.settle();
        let has_come = world.run.has_begun_to_come(&world.view());
        assert_eq!(has_come.is_some(), !shown.is_empty(), "{has_come:?}");
        if !shown.is_empty() {
            // Whatever is said: it is there.
            world.journal(Event::Reported { step: 0 });
        }
        let rest = world.goes_back_for(10_000);
        assert!(matches!(rest, Next::Watch { step: 0, .. }), "{rest:?}");
        // The slowest server comes with it, and then all with what was before.
        world.show(&ds(&[KSK, THEIR_KSK, NEW]));
        let rest = world.goes_back_for(1);
        assert!(
            matches!(&rest, Next::Watch { step: 1, lacking } if lacking.contains("has said") || !shown.is_empty()),
            "{rest:?}"
        );
        if !world.run.reported {
            world.journal(Event::Reported { step: 1 });
        }
        world.show(&ds(&[KSK, THEIR_KSK]));
        assert_eq!(world.goes_back_for(1_000), Next::Over(Outcome::Reached));
        assert_eq!(world.run.alarm, None);
    }
}

/// One word is enough, over a restart too.
#[test]
fn what_was_never_handed_in_holds_nothing_up_once_that_is_said() {
    let mut world = handed_in(&[]);
    let rest = world.goes_back_for(10_000);
    let Next::Watch { step: 0, lacking } = rest else {
        panic!("{rest:?}")
    };
    assert!(lacking.contains("countersign done example."), "{lacking}");
    world.journal(Event::Reported { step: 0 });
    world.restart();
    assert_eq!(world.goes_back_for(1_000), Next::Over(Outcome::Reached));
    assert_eq!(world.run.alarm, None);
}
