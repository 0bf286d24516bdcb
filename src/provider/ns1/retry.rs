//! When a request is sent again, and after how long. Pure: what came of it and the time come in as values.

use std::time::Duration;

/// The first wait, and by how much it grows.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait between two tries, unless NS1 says another.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// More tries than this help nobody, whatever the deadline.
const MOST_TRIES: u32 = 12;

/// What came of a try that did not succeed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// It was not taken for the number of requests (429), with the wait that the reply asked for.
    TooMany(Option<Duration>),
    /// The other side failed (5xx); a write may have happened.
    Failed(Option<Duration>),
    /// It never went out: no connection.
    NotSent,
    /// The connection broke, or nothing came in time; a write may have happened.
    Broken,
    /// A reply that no repetition will change.
    Final,
}

/// Whether a request may be sent again when nobody knows whether it was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Repeat {
    /// Yes: it only reads.
    Freely,
    /// No: who wrote looks first what became of it.
    WhenNotDone,
}

/// What has been tried so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// Tries made.
    pub tries: u32,
    /// Time since the first began.
    pub elapsed: Duration,
    /// When to give up.
    pub deadline: Duration,
}

/// How long to wait before the next try; `None` to give up. `dice` is any number, and spreads those who wait.
pub(super) fn wait(outcome: Outcome, repeat: Repeat, progress: Progress, dice: u32) -> Option<Duration> {
    let asked = match outcome {
        Outcome::Final => return None,
        Outcome::Failed(_) | Outcome::Broken if repeat == Repeat::WhenNotDone => return None,
        Outcome::TooMany(asked) | Outcome::Failed(asked) => asked,
        Outcome::NotSent | Outcome::Broken => None,
    };
    if progress.tries >= MOST_TRIES {
        return None;
    }
    let doubled = FIRST_WAIT.saturating_mul(1 << progress.tries.saturating_sub(1).min(16));
    let most = doubled.min(LONGEST_WAIT);
    // Between half of it and all of it.
    let spread = most / 2 + (most / 2).mul_f64(f64::from(dice) / f64::from(u32::MAX));
    let wait = spread.max(asked.unwrap_or_default());
    (progress.elapsed + wait < progress.deadline).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(tries: u32, elapsed: u64) -> Progress {
        Progress {
            tries,
            elapsed: Duration::from_secs(elapsed),
            deadline: Duration::from_secs(60),
        }
    }

    #[test]
    fn waits_double_and_are_spread() {
        let waits = |dice| -> Vec<u64> {
            (1..=8)
                .map(|tries| wait(Outcome::Broken, Repeat::Freely, after(tries, 0), dice).unwrap())
                .map(|wait| wait.as_millis() as u64)
                .collect()
        };
        assert_eq!(
            waits(u32::MAX),
            [500, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000]
        );
        assert_eq!(waits(0), [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    }

    #[test]
    fn a_write_is_repeated_only_when_it_was_not_done() {
        for (outcome, again) in [
            (Outcome::TooMany(None), true),
            (Outcome::NotSent, true),
            (Outcome::Broken, false),
            (Outcome::Failed(None), false),
            (Outcome::Final, false),
        ] {
            assert_eq!(
                wait(outcome, Repeat::WhenNotDone, after(1, 0), 0).is_some(),
                again,
                "{outcome:?}"
            );
        }
        assert!(wait(Outcome::Failed(None), Repeat::Freely, after(1, 0), 0).is_some());
        assert!(wait(Outcome::Final, Repeat::Freely, after(1, 0), 0).is_none());
    }

    #[test]
    fn what_the_reply_asks_for_is_waited_for_up_to_the_deadline() {
        let asked = |seconds| Outcome::TooMany(Some(Duration::from_secs(seconds)));
        assert_eq!(
            wait(asked(30), Repeat::Freely, after(1, 0), 0),
            Some(Duration::from_secs(30))
        );
        assert_eq!(wait(asked(30), Repeat::Freely, after(1, 31), 0), None);
    }

    proptest! {
        #[test]
        fn it_comes_to_an_end(outcomes in prop::collection::vec(prop_oneof![
            Just(Outcome::Broken), Just(Outcome::NotSent), Just(Outcome::Failed(None)), Just(Outcome::TooMany(None)),
        ], 1..40), dice: u32, deadline in 0..600_u64) {
            let deadline = Duration::from_secs(deadline);
            let (mut elapsed, mut tries) = (Duration::ZERO, 0);
            for outcome in outcomes {
                tries += 1;
                let Some(wait) = wait(outcome, Repeat::Freely, Progress { tries, elapsed, deadline }, dice) else { break };
                elapsed += wait;
                prop_assert!(elapsed < deadline && tries < MOST_TRIES && wait >= FIRST_WAIT / 2);
            }
        }
    }
}
