//! Whether wall time can be trusted. A clock that is wrong must neither spoil signatures nor make a wait look
//! passed: what follows from it is withdrawn or switched by nobody, until it is sane again or a person says so.
//!
//! | wall time | is | trusted instead |
//! |---|---|---|
//! | before 2025 | wrong | the last good time, moved on by steady time |
//! | more than an hour behind the last good time that was stored | wrong | the same |
//! | more than an hour away from what steady time says | wrong | the same |
//! | anything else | good, and the new last good time | itself |
//!
//! A good time may still be one that nobody has seen coming: while no process watched, the machine was off, or somebody
//! set its clock. What its uptime does not show to have passed does not count for waits, until those who wait are told
//! ([`Judgement::counted`]): to wait longer hurts nobody.

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;

use super::{Clock, UnixTime, Uptime};

/// 2025-01-01T00:00:00Z: this program did not exist before.
pub const FLOOR: UnixTime = UnixTime(1_735_689_600);
/// How far wall time may be from where it is expected, either way. Signatures begin an hour before they are made,
/// and every wait has a margin of an hour: less is harmless, and time services do step clocks a little.
pub const TOLERANCE: Duration = Duration::from_secs(3_600);

/// What the clocks show at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// Wall time, right or wrong.
    pub wall: UnixTime,
    /// Steady time.
    pub steady: Duration,
    /// How long the machine runs, where that can be told.
    pub uptime: Option<Uptime>,
}

impl Reading {
    /// What `clock` shows now.
    pub fn of(clock: &dyn Clock) -> Self {
        // In this order: whatever delays this process in between makes less time look passed, and not more.
        let (uptime, steady) = (clock.uptime(), clock.steady());
        Self {
            wall: clock.now(),
            steady,
            uptime,
        }
    }
}

/// A time that was good, as it is stored for the next process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LastGood {
    /// The time.
    pub at: UnixTime,
    /// How long the machine ran then, where that could be told.
    pub uptime: Option<Uptime>,
}

impl From<UnixTime> for LastGood {
    fn from(at: UnixTime) -> Self {
        Self { at, uptime: None }
    }
}

impl LastGood {
    /// What time it is at the least.
    fn at_least(&self, uptime: Option<Uptime>) -> UnixTime {
        let passed = uptime.zip(self.uptime);
        let passed = passed.map(|(now, then)| now.at_least_since(then));
        self.at.plus(passed.unwrap_or_default())
    }
}

/// A moment at which the time was good: where steady time is counted from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Anchor {
    wall: UnixTime,
    steady: Duration,
    /// Nobody read `wall` off the clock together with `steady`: it is what an earlier process stored, or the year
    /// 2025. The time is not before it; a process that was down for a week knows no more.
    least: bool,
    /// What it was at that moment by the time alone that is known to have passed, as long as those who wait have not been
    /// told of the rest.
    untold: Option<UnixTime>,
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
                    "the clock shows {wall}, and by what the state folder has seen it is {expected} at least"
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
    /// The time that those go by who wait for time to pass. It is behind the trusted one while they have to be told of
    /// time that nobody knows to have passed.
    pub counted: UnixTime,
}

impl Judgement {
    /// Whether waits can go by the time: it is right, and whoever waits is told of all that does not count.
    pub fn counts(&self) -> bool {
        self.fault.is_none() && self.counted == self.trusted
    }
}

impl Anchor {
    /// Where a process starts that finds `last_good` in its store.
    pub fn start(now: Reading, last_good: Option<LastGood>) -> Self {
        let Reading { wall, steady, uptime } = now;
        let known = last_good.map(|last| last.at_least(uptime));
        let least = known.unwrap_or(FLOOR).max(FLOOR);
        if wall < FLOOR || wall.plus(TOLERANCE) < least {
            return Self {
                wall: least,
                steady,
                least: true,
                untold: None,
            };
        }
        Self {
            untold: known.filter(|known| wall.since(*known) > TOLERANCE),
            ..Self::good(wall, steady)
        }
    }

    fn good(wall: UnixTime, steady: Duration) -> Self {
        Self {
            wall,
            steady,
            least: false,
            untold: None,
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
        let trusted = if fault.is_some() { expected } else { wall };
        let counted = match self.untold {
            Some(untold) => untold.plus(steady.saturating_sub(self.steady)),
            // A time service came up: what nobody watched is behind us.
            None if self.least && trusted.since(expected) > TOLERANCE => expected,
            None => trusted,
        };
        Judgement {
            trusted,
            fault,
            counted,
        }
    }

    /// Where steady time is counted from after a time that was judged good.
    fn after(judgement: &Judgement, steady: Duration) -> Self {
        let Judgement { trusted, counted, .. } = *judgement;
        Self {
            untold: Some(counted).filter(|counted| *counted != trusted),
            ..Self::good(trusted, steady)
        }
    }
}

/// A time that is to be taken for right, and what is gone by until then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setting {
    /// What those reckon with who wait.
    pub from: UnixTime,
    /// What is right.
    pub to: UnixTime,
    /// Whether a person says so; otherwise it is only that nobody knows what of the time in between has passed.
    pub by_person: bool,
    reading: Reading,
}

impl Setting {
    /// The good time that it makes.
    pub fn good(&self) -> LastGood {
        LastGood {
            at: self.to,
            uptime: self.reading.uptime,
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
    pub fn new(clock: Arc<dyn Clock>, last_good: Option<LastGood>) -> Self {
        let anchor = Anchor::start(Reading::of(&*clock), last_good);
        Self {
            clock,
            anchor: ArcSwap::from_pointee(anchor),
        }
    }

    /// Judges the clock, and takes wall time as the new last good time when it can be trusted. To be called
    /// every few seconds, so that drift between the two clocks does not add up.
    pub fn observe(&self) -> Judgement {
        let before = self.anchor.load();
        let (wall, steady) = (self.clock.now(), self.clock.steady());
        let judgement = before.judge(wall, steady);
        if judgement.fault.is_none() {
            // Not when it was set meanwhile: that would be undone.
            let after = Arc::new(Anchor::after(&judgement, steady));
            self.anchor.compare_and_swap(&before, after);
        }
        judgement
    }

    /// What to make of the clocks now.
    pub fn judge(&self) -> Judgement {
        self.anchor.load().judge(self.clock.now(), self.clock.steady())
    }

    /// What to store of a time that was judged good: none while those who wait have to be told first, or the next process
    /// would not know what they have not been told.
    pub fn last_good(&self, judgement: &Judgement) -> Option<LastGood> {
        judgement.counts().then(|| LastGood {
            at: judgement.trusted,
            uptime: self.clock.uptime(),
        })
    }

    /// Wall time, for a person who says that it is right.
    ///
    /// # Errors
    /// When it is before 2025: that nobody can mean.
    pub fn setting(&self) -> Result<Setting, Fault> {
        let reading = Reading::of(&*self.clock);
        let wall = reading.wall;
        if wall < FLOOR {
            return Err(Fault::TooEarly { wall });
        }
        Ok(Setting {
            from: self.anchor.load().judge(wall, reading.steady).counted,
            to: wall,
            by_person: true,
            reading,
        })
    }

    /// What those who wait are to be told of, where the time is good and they do not go by it yet.
    pub fn unsettled(&self) -> Option<Setting> {
        let reading = Reading::of(&*self.clock);
        let judgement = self.anchor.load().judge(reading.wall, reading.steady);
        (judgement.fault.is_none() && !judgement.counts()).then_some(Setting {
            from: judgement.counted,
            to: judgement.trusted,
            by_person: false,
            reading,
        })
    }

    /// Takes a time for right that was stored, and of which those who wait are told.
    pub fn set(&self, setting: &Setting) {
        self.anchor
            .store(Arc::new(Anchor::good(setting.to, setting.reading.steady)));
    }
}

impl Clock for GuardedClock {
    fn now(&self) -> UnixTime {
        self.judge().trusted
    }

    fn steady(&self) -> Duration {
        self.clock.steady()
    }

    fn uptime(&self) -> Option<Uptime> {
        self.clock.uptime()
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
        (
            clock.clone(),
            GuardedClock::new(clock, last_good.map(LastGood::from)),
        )
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
                    fault: None,
                    counted: NOW.plus(HOUR * 5),
                }
            );
            clock.jump(jump);
            match guard.setting() {
                Ok(setting) => {
                    assert_eq!((setting.from, setting.to), (NOW.plus(HOUR * 5), jump));
                    guard.set(&setting);
                    assert_eq!((guard.now(), guard.observe().fault), (jump, None));
                }
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
                fault: None,
                counted: NOW.minus(HOUR),
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
                fault: None,
                counted: FLOOR,
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

    #[test]
    fn time_that_nobody_knows_to_have_passed_counts_for_no_wait_until_it_is_told() {
        let good = |uptime: Option<(u64, Duration)>| {
            let uptime = uptime.map(|(of, lasts)| Uptime { of, lasts });
            Some(LastGood { at: NOW, uptime })
        };
        // Down for three days by the clock; the machine has been running for two.
        for (last_good, counted) in [
            (None, 72),
            (good(None), 0),
            (good(Some((2, Duration::ZERO))), 0),
            (good(Some((1, Duration::ZERO))), 48),
            (good(Some((1, HOUR * 40))), 8),
            // It was started again in between.
            (good(Some((1, HOUR * 300))), 48),
        ] {
            let clock = Arc::new(SimulatedClock::of_machine(NOW.plus(HOUR * 24), 1));
            clock.advance(HOUR * 48);
            let guard = GuardedClock::new(clock.clone(), last_good);
            let judged = guard.observe();
            assert_eq!((judged.fault, judged.trusted), (None, NOW.plus(HOUR * 72)));
            assert_eq!(judged.counted, NOW.plus(HOUR * counted), "{last_good:?}");
            assert_eq!(judged.counts(), counted == 72);
            // It goes on with steady time, whatever the clock does.
            clock.advance(HOUR);
            clock.jump(NOW.minus(HOUR));
            let judged = guard.judge();
            assert_eq!(judged.counted, NOW.plus(HOUR * (counted + 1)));
            assert!(guard.last_good(&judged).is_none() && guard.unsettled().is_none());
            clock.jump(NOW.plus(HOUR * 73));
            for _ in 0..2 {
                let judged = guard.observe();
                assert_eq!(judged.counted, NOW.plus(HOUR * (counted + 1)));
                assert_eq!(guard.last_good(&judged).is_some(), counted == 72);
            }
            let Some(setting) = guard.unsettled() else {
                assert_eq!(counted, 72);
                continue;
            };
            assert_eq!(setting.from, NOW.plus(HOUR * (counted + 1)));
            assert_eq!((setting.to, setting.by_person), (NOW.plus(HOUR * 73), false));
            guard.set(&setting);
            let judged = guard.observe();
            assert!(judged.counts() && guard.unsettled().is_none());
            assert_eq!(guard.last_good(&judged), Some(setting.good()));
        }
    }

    #[test]
    fn an_hour_that_nobody_saw_counts() {
        let (_, guard) = guarded(NOW.plus(HOUR), Some(NOW));
        assert!(guard.observe().counts());
        let (_, guard) = guarded(NOW.plus(HOUR + Duration::from_secs(1)), Some(NOW));
        assert!(!guard.observe().counts());
    }

    #[test]
    fn a_clock_that_comes_right_while_the_server_runs_passes_no_wait() {
        let (clock, guard) = guarded(UnixTime(1_000), Some(NOW));
        clock.advance(HOUR);
        assert_eq!(guard.judge().counted, NOW.plus(HOUR));
        clock.jump(NOW.plus(HOUR * 72));
        for judged in [guard.judge(), guard.observe(), guard.observe()] {
            assert_eq!((judged.fault, judged.trusted), (None, NOW.plus(HOUR * 72)));
            assert_eq!(judged.counted, NOW.plus(HOUR));
        }
    }

    #[test]
    fn a_clock_that_was_set_back_while_no_process_watched_is_found_by_the_uptime() {
        let clock = Arc::new(SimulatedClock::of_machine(NOW, 1));
        let last_good = LastGood {
            at: NOW,
            uptime: clock.uptime(),
        };
        clock.advance(HOUR * 48);
        clock.jump(NOW.plus(HOUR));
        let judged = GuardedClock::new(clock, Some(last_good)).observe();
        assert!(matches!(judged.fault, Some(Fault::BehindStore { .. })));
        assert_eq!(judged.trusted, NOW.plus(HOUR * 48));
    }
}
