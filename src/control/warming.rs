//! The thread that signs ahead. It runs where no other thread wants to, so that answers come first, and takes no more
//! than its share of one processor even when all are idle.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

use crate::{
    answer::{
        Engine,
        warm::{Step, Warmer},
    },
    clock::Clock,
    serve::system,
};

/// Signatures that are made in one go: about a millisecond of one core.
const AT_ONCE: usize = 64;
/// The pause when nothing is due, and the longest one: so late it is seen that zones or keys changed.
const REST: Duration = Duration::from_secs(1);

/// What part of one processor signing ahead may take, in hundredths.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share(pub u8);

impl Share {
    /// How long to pause after work that took this long.
    fn pause_after(self, worked: Duration) -> Duration {
        let percent = u32::from(self.0.clamp(1, 100));
        (worked * (100 - percent) / percent).min(REST)
    }
}

/// A thread that signs ahead until this is dropped.
#[derive(Debug)]
pub struct Warming(#[expect(dead_code, reason = "its end is what tells the thread")] Sender<()>);

impl Warming {
    /// Starts it.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(engine: Arc<Engine>, clock: Arc<dyn Clock>, share: Share) -> io::Result<Self> {
        let (alive, until_dropped) = channel();
        thread::Builder::new().name("warm".into()).spawn(move || {
            if let Err(error) = system::yield_to_all_others() {
                tracing::warn!("signing ahead cannot be made to yield to answers: {error}");
            }
            let mut warmer = Warmer::default();
            let ended = catch_unwind(AssertUnwindSafe(|| {
                let mut step = || warmer.step(&engine.zones(), AT_ONCE, clock.now());
                run(&mut step, &*clock, share, |pause| waits(&until_dropped, pause));
            }));
            if ended.is_err() {
                tracing::error!("signing ahead failed; answers sign for themselves");
            }
        })?;
        Ok(Self(alive))
    }
}

/// Waits; `false` when it is over.
fn waits(until_dropped: &Receiver<()>, pause: Duration) -> bool {
    until_dropped.recv_timeout(pause) != Err(RecvTimeoutError::Disconnected)
}

fn run(
    step: &mut dyn FnMut() -> Step,
    clock: &dyn Clock,
    share: Share,
    mut waits: impl FnMut(Duration) -> bool,
) {
    loop {
        let began = clock.steady();
        let done = step();
        if done.failed > 0 {
            tracing::error!("{} signatures could not be made", done.failed);
        }
        let worked = clock.steady().saturating_sub(began);
        let pause = if done.finished {
            REST
        } else {
            share.pause_after(worked)
        };
        if !waits(pause) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{SimulatedClock, UnixTime};

    /// How much of a minute goes into work that never ends.
    fn worked_in_a_minute(share: u8, step_takes: Duration) -> Duration {
        let clock = SimulatedClock::new(UnixTime(1_800_000_000));
        let mut worked = Duration::ZERO;
        let mut step = || {
            clock.advance(step_takes);
            worked += step_takes;
            Step::default()
        };
        run(&mut step, &clock, Share(share), |pause| {
            clock.advance(pause);
            clock.steady() < Duration::from_secs(60)
        });
        worked
    }

    #[test]
    fn work_that_never_ends_takes_its_share_and_no_more() {
        for share in [1, 10, 50, 80, 99] {
            for step_takes in [Duration::from_micros(300), Duration::from_millis(5)] {
                let (allowed, worked) = (
                    Duration::from_secs(60) * share.into() / 100,
                    worked_in_a_minute(share, step_takes),
                );
                assert!(
                    worked > allowed * 9 / 10 && worked <= allowed + step_takes,
                    "{share} %, steps of {step_takes:?}: {worked:?}"
                );
            }
        }
        assert_eq!(
            worked_in_a_minute(100, Duration::from_millis(5)),
            Duration::from_secs(60)
        );
    }

    #[test]
    fn it_rests_when_nothing_is_due_and_ends_when_told() {
        let clock = SimulatedClock::new(UnixTime(1_800_000_000));
        let mut steps = 0;
        let mut step = || {
            steps += 1;
            Step {
                finished: true,
                ..Step::default()
            }
        };
        let mut pauses = Vec::new();
        run(&mut step, &clock, Share(100), |pause| {
            pauses.push(pause);
            pauses.len() < 3
        });
        assert_eq!((steps, pauses), (3, vec![REST; 3]));
        let (alive, until_dropped) = channel();
        assert!(waits(&until_dropped, Duration::ZERO));
        drop(alive);
        assert!(!waits(&until_dropped, Duration::MAX));
    }
}
