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
