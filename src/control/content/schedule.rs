//! When the place a zone comes from is asked, and until when the zone is served without an answer (RFC 1034 §4.3.5,
//! RFC 1035 §3.3.13). Pure: the same state and time give the same answer.
//!
//! ```text
//! asked ── answered ──► asked again after REFRESH
//!       └─ no answer ─► asked again after RETRY; EXPIRE after the last answer the zone is served no more
//! ```

use std::time::Duration;

use crate::{clock::UnixTime, wire::Soa};

/// The shortest wait that a SOA can ask for: its numbers must not make us flood its server.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest: a number that was mistyped must not put a zone to sleep. BIND's default is the same.
const LONGEST: Duration = Duration::from_secs(28 * 86_400);
/// The first pause before the source of a zone without content is asked again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest of those.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The least time between two questions that notices cause. They come from anybody who knows a primary's address.
const NOTICE_PAUSE: Duration = Duration::from_secs(1);

/// The periods by which a zone is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timers {
    /// From an answer to the next question.
    pub refresh: Duration,
    /// From a question without an answer to the next.
    pub retry: Duration,
    /// From the last answer to the end of serving; `None`: it is served on.
    pub expire: Option<Duration>,
}

impl Timers {
    /// Those of a SOA.
    pub fn of(soa: &Soa) -> Self {
        let within = |period: Duration| period.clamp(SHORTEST, LONGEST);
        let (refresh, retry) = (within(soa.refresh), within(soa.retry));
        Self {
            refresh,
            retry,
            // Below that a zone would expire between two questions (RFC 1912 §2.2).
            expire: Some(soa.expire.max(refresh + retry)),
        }
    }

    /// Those of a source that is polled. What it gave is served however long it is silent: that it may fail is why
    /// we are here.
    pub fn polled(every: Duration) -> Self {
        Self {
            refresh: every,
            retry: every,
            expire: None,
        }
    }
}

/// Where a zone stands with its source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    timers: Option<Timers>,
    current_at: Option<UnixTime>,
    asked_at: Option<UnixTime>,
    due: UnixTime,
    failures: u32,
}

impl Schedule {
    /// A zone that is to be asked for at once. `copy`: it has content, which was current then, with these timers.
    pub fn new(copy: Option<(UnixTime, Timers)>, now: UnixTime) -> Self {
        Self {
            timers: copy.map(|(_, timers)| timers),
            // A file's time that lies ahead would put expiry off.
            current_at: copy.map(|(current_at, _)| current_at.min(now)),
            asked_at: None,
            due: now,
            failures: 0,
        }
    }

    /// The source answered, and what we have is what it has.
    pub fn answered(&mut self, timers: Timers, now: UnixTime) {
        self.timers = Some(timers);
        self.current_at = Some(now);
        self.asked_at = Some(now);
        self.failures = 0;
        self.due = plus(now, timers.refresh);
    }

    /// It did not answer, or not with what can be taken.
    pub fn failed(&mut self, now: UnixTime) {
        self.failures = self.failures.saturating_add(1);
        self.asked_at = Some(now);
        let pause = match self.timers {
            Some(timers) => timers.retry,
            None => (FIRST_PAUSE * 2_u32.saturating_pow(self.failures - 1).min(64)).min(LONGEST_PAUSE),
        };
        self.due = plus(now, pause);
    }

    /// A notice came: it is asked at once, or so soon after the last question as notices may make us ask.
    pub fn noticed(&mut self, now: UnixTime) {
        let earliest = self.asked_at.map_or(now, |asked| plus(asked, NOTICE_PAUSE));
        self.due = self.due.min(earliest.max(now));
    }

    /// A person wants it asked.
    pub fn wanted(&mut self, now: UnixTime) {
        self.due = self.due.min(now);
    }

    /// When it is asked next.
    pub fn due(&self) -> UnixTime {
        self.due
    }

    /// When it last answered.
    pub fn current_at(&self) -> Option<UnixTime> {
        self.current_at
    }

    /// Questions without an answer since then.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// From when on the zone is served no more, should there be no answer.
    pub fn expires_at(&self) -> Option<UnixTime> {
        Some(plus(self.current_at?, self.timers?.expire?))
    }

    /// Whether that has come.
    pub fn is_expired(&self, now: UnixTime) -> bool {
        self.expires_at().is_some_and(|at| at <= now)
    }
}

fn plus(time: UnixTime, period: Duration) -> UnixTime {
    UnixTime(time.0.saturating_add(period.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn at(seconds: u64) -> UnixTime {
        UnixTime(NOW.0 + seconds)
    }

    fn timers() -> Timers {
        Timers {
            refresh: Duration::from_secs(3_600),
            retry: Duration::from_secs(600),
            expire: Some(Duration::from_secs(86_400)),
        }
    }

    #[test]
    fn a_zone_without_content_is_asked_for_ever_more_seldom() {
        let mut schedule = Schedule::new(None, NOW);
        assert_eq!((schedule.due(), schedule.expires_at()), (NOW, None));
        let mut now = NOW;
        let pauses: Vec<u64> = (0..9)
            .map(|_| {
                schedule.failed(now);
                let pause = schedule.due().0 - now.0;
                now = schedule.due();
                pause
            })
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(
            !schedule.is_expired(at(1_000_000_000)),
            "what never was does not expire"
        );
    }

    #[test]
    fn refresh_retry_and_expire_are_those_of_the_soa() {
        let mut schedule = Schedule::new(None, NOW);
        schedule.answered(timers(), NOW);
        assert_eq!(schedule.due(), at(3_600));
        schedule.failed(at(3_600));
        assert_eq!(schedule.due(), at(4_200));
        schedule.failed(at(4_200));
        assert_eq!((schedule.due(), schedule.failures()), (at(4_800), 2));
        assert_eq!(schedule.expires_at(), Some(at(86_400)));
        assert!(!schedule.is_expired(at(86_399)));
        assert!(schedule.is_expired(at(86_400)));
        schedule.answered(timers(), at(90_000));
        assert!(!schedule.is_expired(at(90_001)));
    }

    #[test]
    fn a_copy_is_asked_for_at_once_and_expires_by_its_own_age() {
        let old = Schedule::new(Some((UnixTime(NOW.0 - 86_000), timers())), NOW);
        assert_eq!((old.due(), old.expires_at()), (NOW, Some(at(400))));
        let ahead = Schedule::new(Some((at(1_000_000), timers())), NOW);
        assert_eq!(
            ahead.expires_at(),
            Some(at(86_400)),
            "a file of the future is of now"
        );
    }

    #[test]
    fn a_notice_is_followed_at_once_but_not_more_often_than_every_second() {
        let mut schedule = Schedule::new(None, NOW);
        schedule.answered(timers(), NOW);
        schedule.noticed(at(10));
        assert_eq!(schedule.due(), at(10));
        schedule.answered(timers(), at(10));
        schedule.noticed(at(10));
        assert_eq!(schedule.due(), at(11));
        schedule.noticed(at(12));
        assert_eq!(schedule.due(), at(11), "it is due already");
    }

    #[test]
    fn what_is_polled_does_not_expire() {
        let mut schedule = Schedule::new(None, NOW);
        schedule.answered(Timers::polled(Duration::from_secs(60)), NOW);
        schedule.failed(at(60));
        assert_eq!(schedule.due(), at(120));
        assert!(!schedule.is_expired(at(1_000_000_000)));
    }

    #[test]
    fn numbers_of_a_soa_have_bounds() {
        let period = Duration::from_secs;
        let soa = |refresh, retry, expire| Soa {
            serial: crate::wire::Serial(1),
            refresh: period(refresh),
            retry: period(retry),
            expire: period(expire),
            minimum: period(60),
        };
        let hasty = Timers::of(&soa(0, 0, 0));
        assert_eq!(
            (hasty.refresh, hasty.retry, hasty.expire),
            (period(1), period(1), Some(period(2)))
        );
        let lazy = Timers::of(&soa(u32::MAX.into(), u32::MAX.into(), 604_800));
        assert_eq!((lazy.refresh, lazy.retry), (LONGEST, LONGEST));
        assert_eq!(lazy.expire, Some(LONGEST * 2));
        let usual = Timers::of(&soa(7_200, 900, 1_209_600));
        assert_eq!(
            (usual.refresh, usual.retry, usual.expire),
            (period(7_200), period(900), Some(period(1_209_600)))
        );
    }
}
