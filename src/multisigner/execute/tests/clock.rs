//! A person sets the clock while a plan is under way.

use super::*;

/// Plays the roll by steady time; after `moment` seconds the clock is set by so many. When each step was done, by steady
/// time, and how it rests in the end.
fn play(moment: u64, by: i64) -> (Vec<(u64, usize)>, Next) {
    let mut world = World::of(roll());
    world.run_until(START + moment);
    let done = world.story.len();
    let (from, to) = (world.now, world.now.checked_add_signed(by).unwrap());
    world.journal(Event::ClockSet {
        from: UnixTime(from),
        to: UnixTime(to),
        unwatched: false,
    });
    world.now = to;
    // What is journaled is enough.
    world.restart();
    let end = world.run_until((START + 500).checked_add_signed(by).unwrap());
    let mut story = world.story;
    for (time, _) in &mut story[done..] {
        *time = time.checked_add_signed(-by).unwrap();
    }
    (story, end)
}

#[test]
fn no_wait_looks_passed_because_the_clock_was_set() {
    let mut undisturbed = World::of(roll());
    assert_eq!(undisturbed.run_until(START + 500), Next::Over(Outcome::Reached));
    for moment in 0..FORGET_KEYS + FORGET_DATA {
        // It was behind: everything goes on as it would have.
        let (story, end) = play(moment, 100_000);
        assert_eq!(
            (&story, end),
            (&undisturbed.story, Next::Over(Outcome::Reached)),
            "{moment}"
        );
        // It was ahead: what was waited for is waited for again, once.
        let (story, end) = play(moment, -900);
        assert_eq!(end, Next::Over(Outcome::Reached), "{moment}");
        assert_eq!(story.len(), undisturbed.story.len(), "{moment}: {story:?}");
        for (is, was) in story.iter().zip(&undisturbed.story) {
            let late = is.0.checked_sub(was.0);
            assert!(
                is.1 == was.1 && late.is_some_and(|late| late <= FORGET_DATA + 1),
                "{moment}: {is:?} {was:?}"
            );
        }
    }
}

/// A process that went by a clock that was ahead journaled something, and nobody told the run when the clock was right.
#[test]
fn what_was_journaled_ahead_of_a_sane_clock_is_set_right() {
    let mut undisturbed = World::of(roll());
    assert_eq!(undisturbed.run_until(START + 500), Next::Over(Outcome::Reached));
    for moment in 0..FORGET_KEYS + FORGET_DATA {
        let mut world = World::of(roll());
        world.run_until(START + moment);
        let done = world.story.len();
        let right = world.now;
        // An insane clock may add what hurts nobody.
        (world.now, world.sane) = (right + 1_000_000, false);
        world.settle();
        world.journal(Event::Paused { why: "x".to_owned() });
        world.restart();
        world.now = right;
        world.settle();
        assert!(world.run.last.0 > right + 900_000, "not while it is insane");
        world.sane = true;
        world.settle();
        assert_eq!(world.run.last, UnixTime(right), "{moment}");
        world.journal(Event::Resumed);
        assert_eq!(
            world.run_until(START + 500),
            Next::Over(Outcome::Reached),
            "{moment}"
        );
        for (is, was) in world.story[done..].iter().zip(&undisturbed.story[done..]) {
            let late = is.0.checked_sub(was.0);
            assert!(
                late.is_some_and(|late| late <= FORGET_DATA + 1),
                "{moment}: {is:?} {was:?}"
            );
        }
    }
}

#[test]
fn nothing_is_told_twice() {
    let mut world = World::of(roll());
    world.run_until(START + 10);
    let (from, to) = (UnixTime(world.now), UnixTime(world.now + 100_000));
    let told = world.run.clock_set(from, to, true).unwrap();
    let at = world.run.plan.situation.at;
    world.journal(told);
    assert_eq!(world.run.clock_set(from, to, true), None);
    assert_eq!(world.run.plan.situation.at, at.plus(to.since(from)));
    assert_eq!(world.run.unwatched, Some((from, to)));
    // Set back again: from where it is, whatever is said.
    let Some(Event::ClockSet { from, .. }) = world.run.clock_set(from, UnixTime(START), false) else {
        panic!("it is told");
    };
    assert_eq!(from, to);
}
