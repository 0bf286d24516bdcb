//! Whether wall time can be trusted. A clock that is wrong must neither spoil signatures nor make a wait look
//! passed: what follows from it is withdrawn or switched by nobody, until it is sane again or a person says so.
//!
//! | wall time | is | trusted instead |
//! |---|---|---|
//! | before 2025 | wrong | the last good time, moved on by steady time |
//! | more than an hour behind the last good time that was stored | wrong | the same |
//! | more than an hour away from what steady time says | wrong | the same |
//! | anything else | good, and the new last good time | itself |

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;

use super::{Clock, UnixTime};

/// 2025-01-01T00:00:00Z: this program did not exist before.
pub const FLOOR: UnixTime = UnixTime(1_735_689_600);
/// How far wall time may be from where it is expected, either way. Signatures begin an hour before they are made,
/// and every wait has a margin of an hour: less is harmless, and time services do step clocks a little.
pub const TOLERANCE: Duration = Duration::from_secs(3_600);

/// A moment at which the time was good: where steady time is counted from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Anchor {
    wall: UnixTime,
    steady: Duration,
    /// Nobody read `wall` off the clock together with `steady`: it is what an earlier process stored, or the year
    /// 2025. The time is not before it; a process that was down for a week knows no more.
    least: bool,
}

/// Why wall time is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Before 2025.
    TooEarly {
        /// What the clock shows.
        wall: UnixTime,
    },
    /// Behind what an earlier process has seen.
    BehindStore {
        /// What the clock shows.
        wall: UnixTime,
        /// What it would be at least.
        expected: UnixTime,
    },
    /// Away from where steady time puts it.
    Jumped {
        /// What the clock shows.
        wall: UnixTime,
        /// What it would be.
        expected: UnixTime,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooEarly { wall } => write!(f, "the clock shows {wall}, which is before 2025"),
            Self::BehindStore { wall, expected } => {
                write!(
                    f,
                    "the clock shows {wall}, and the state folder has seen {expected} already"
                )
            }
            Self::Jumped { wall, expected } => {
                write!(f, "the clock jumped to {wall}, while steady time says {expected}")
            }
        }
    }
}

/// What to make of the clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Judgement {
    /// The time to sign and to reckon with.
    pub trusted: UnixTime,
    /// Why that is not wall time.
    pub fault: Option<Fault>,
}

impl Anchor {
    /// Where a process starts that finds `last_good` in its store.
    pub fn start(wall: UnixTime, steady: Duration, last_good: Option<UnixTime>) -> Self {
        let least = last_good.unwrap_or(FLOOR).max(FLOOR);
        if wall < FLOOR || wall.plus(TOLERANCE) < least {
            Self {
                wall: least,
                steady,
                least: true,
            }
        } else {
            Self {
                wall,
                steady,
                least: false,
            }
        }
    }

    /// The time by steady time alone.
    pub fn expected(&self, steady: Duration) -> UnixTime {
        self.wall.plus(steady.saturating_sub(self.steady))
    }

    /// Whether `wall` can be trusted. Pure.
    pub fn judge(&self, wall: UnixTime, steady: Duration) -> Judgement {
        let expected = self.expected(steady);
        let away = wall.since(expected).max(expected.since(wall));
        let fault = if wall < FLOOR {
            Some(Fault::TooEarly { wall })
        } else if away <= TOLERANCE || (self.least && wall > expected) {
            None
        } else if self.least {
            Some(Fault::BehindStore { wall, expected })
        } else {
            Some(Fault::Jumped { wall, expected })
        };
        Judgement {
            trusted: if fault.is_some() { expected } else { wall },
            fault,
        }
    }
}

/// A clock that shows the trusted time, whatever the machine's clock does.
#[derive(Debug)]
pub struct GuardedClock {
    clock: Arc<dyn Clock>,
    anchor: ArcSwap<Anchor>,
}

impl GuardedClock {
    /// Guards `clock`; `last_good` is what an earlier process left in the store.
    pub fn new(clock: Arc<dyn Clock>, last_good: Option<UnixTime>) -> Self {
        let anchor = Anchor::start(clock.now(), clock.steady(), last_good);
        Self {
            clock,
            anchor: ArcSwap::from_pointee(anchor),
        }
    }

    /// Judges the clock, and takes wall time as the new last good time when it can be trusted. To be called
    /// every few seconds, so that drift between the two clocks does not add up.
    pub fn observe(&self) -> Judgement {
        let (wall, steady) = (self.clock.now(), self.clock.steady());
        let judgement = self.anchor.load().judge(wall, steady);
        if judgement.fault.is_none() {
            self.anchor.store(Arc::new(Anchor {
                wall,
                steady,
                least: false,
            }));
        }
        judgement
    }

    /// What to make of the clocks now.
    pub fn judge(&self) -> Judgement {
        self.anchor.load().judge(self.clock.now(), self.clock.steady())
    }

    /// Wall time, right or wrong.
    pub fn wall(&self) -> UnixTime {
        self.clock.now()
    }

    /// A person says that wall time is right. Gives that time.
    ///
    /// # Errors
    /// When it is before 2025: that nobody can mean.
    pub fn accept(&self) -> Result<UnixTime, Fault> {
        let (wall, steady) = (self.clock.now(), self.clock.steady());
        if wall < FLOOR {
            return Err(Fault::TooEarly { wall });
        }
        self.anchor.store(Arc::new(Anchor {
            wall,
            steady,
            least: false,
        }));
        Ok(wall)
    }
}

impl Clock for GuardedClock {
    fn now(&self) -> UnixTime {
        self.judge().trusted
    }

    fn steady(&self) -> Duration {
        self.clock.steady()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;

    const NOW: UnixTime = UnixTime(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn guarded(now: UnixTime, last_good: Option<UnixTime>) -> (Arc<SimulatedClock>, GuardedClock) {
        let clock = Arc::new(SimulatedClock::new(now));
        (clock.clone(), GuardedClock::new(clock, last_good))
    }

    #[test]
    fn a_start_compares_with_the_store() {
        for (last_good, wrong) in [
            (None, false),
            (Some(NOW), false),
            (Some(NOW.minus(HOUR * 24 * 400)), false), // it was down for a year
            (Some(NOW.plus(HOUR)), false),
            (Some(UnixTime(NOW.0 + 3_601)), true),
            (Some(NOW.plus(HOUR * 24)), true),
        ] {
            let (clock, guard) = guarded(NOW, last_good);
            let judged = guard.observe();
            assert_eq!(judged.fault.is_some(), wrong, "{last_good:?}");
            clock.advance(HOUR);
            let expected = if wrong { last_good.unwrap() } else { NOW };
            assert_eq!(guard.now(), expected.plus(HOUR));
        }
    }

    #[test]
    fn a_jump_is_not_followed_until_it_is_undone_or_accepted() {
        for jump in [NOW.plus(HOUR * 24 * 365), NOW.minus(HOUR * 3), UnixTime(0)] {
            let (clock, guard) = guarded(NOW, None);
            clock.jump(jump);
            assert_eq!(guard.now(), NOW, "even between two observations");
            assert!(guard.observe().fault.is_some());
            clock.advance(HOUR * 5);
            assert_eq!(guard.observe().trusted, NOW.plus(HOUR * 5));
            clock.jump(NOW.plus(HOUR * 5));
            assert_eq!(
                guard.observe(),
                Judgement {
                    trusted: NOW.plus(HOUR * 5),
                    fault: None
                }
            );
            clock.jump(jump);
            match guard.accept() {
                Ok(time) => assert_eq!((time, guard.now(), guard.observe().fault), (jump, jump, None)),
                Err(fault) => assert_eq!(fault, Fault::TooEarly { wall: UnixTime(0) }),
            }
        }
    }

    #[test]
    fn a_small_step_is_followed() {
        let (clock, guard) = guarded(NOW, None);
        clock.jump(NOW.minus(HOUR));
        assert_eq!(
            guard.observe(),
            Judgement {
                trusted: NOW.minus(HOUR),
                fault: None
            }
        );
        clock.jump(NOW.minus(HOUR * 2));
        assert_eq!(
            guard.observe().fault,
            None,
            "from the step before, as drift would be"
        );
    }

    #[test]
    fn a_first_start_before_2025_signs_as_of_2025() {
        let (clock, guard) = guarded(UnixTime(1_000), None);
        assert_eq!(guard.now(), FLOOR);
        assert_eq!(
            guard.observe().fault,
            Some(Fault::TooEarly {
                wall: UnixTime(1_000)
            })
        );
        clock.jump(NOW);
        assert_eq!(
            guard.observe(),
            Judgement {
                trusted: NOW,
                fault: None
            },
            "a time service came up"
        );
        clock.jump(FLOOR);
        assert!(matches!(guard.observe().fault, Some(Fault::Jumped { .. })));
    }

    #[test]
    fn a_machine_without_a_clock_is_sane_once_it_passes_what_was_stored() {
        let (clock, guard) = guarded(UnixTime(1_000), Some(NOW));
        clock.jump(NOW.minus(HOUR * 2));
        assert!(matches!(guard.observe().fault, Some(Fault::BehindStore { .. })));
        clock.jump(NOW.plus(HOUR * 72));
        assert_eq!(guard.observe().fault, None);
    }
}
