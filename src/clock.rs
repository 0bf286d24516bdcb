//! Time. Wall time may jump; steady time may not. Only shells hold a [`Clock`]: whatever decides takes a
//! [`UnixTime`] as a value, so a year of waiting takes a test no time at all.

pub mod guard;
mod uptime;

use std::{
    fmt,
    sync::Mutex,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

pub use uptime::Uptime;

/// Wall time in whole seconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// The time `duration` later, in whole seconds.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }

    /// The time `duration` earlier, in whole seconds, not before 1970.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.as_secs()))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }

    /// The 32-bit serial form used in RRSIG (RFC 4034 §3.1.5), which wraps in 2106.
    pub fn to_serial(self) -> u32 {
        self.0 as u32
    }

    /// Calendar parts in UTC: year, month, day, hour, minute, second.
    fn civil(self) -> (i64, u32, u32, u32, u32, u32) {
        // Howard Hinnant's days-from-civil, inverted: exact for all years.
        let days = (self.0 / 86_400) as i64;
        let seconds = (self.0 % 86_400) as u32;
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u32;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        } as u32;
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (year, month, day, seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }

    /// `YYYYMMDDHHmmSS` in UTC, as RRSIG and BIND's key files write it.
    pub fn to_dnssec(self) -> String {
        let (year, month, day, hour, minute, second) = self.civil();
        format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
    }

    /// Reads `YYYYMMDDHHmmSS` (UTC). `None` when it is not fourteen digits that name a time after 1970.
    pub fn from_dnssec(text: &str) -> Option<Self> {
        if text.len() != 14 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let part = |from: usize, to: usize| text[from..to].parse::<i64>().ok();
        let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
        let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let shifted_year = if month <= 2 { year - 1 } else { year };
        let era = shifted_year.div_euclid(400);
        let year_of_era = shifted_year.rem_euclid(400);
        let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
        u64::try_from(seconds).ok().map(Self)
    }
}

impl fmt::Display for UnixTime {
    /// ISO 8601 in UTC: `2026-11-24T21:30:56Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day, hour, minute, second) = self.civil();
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

/// Where time comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Wall time. It may jump in either direction.
    fn now(&self) -> UnixTime;

    /// Time since some fixed moment of this process. It never goes back and does not follow wall time's jumps.
    fn steady(&self) -> Duration;

    /// How long the machine runs, where that can be told.
    fn uptime(&self) -> Option<Uptime> {
        None
    }
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
    machine: Option<u64>,
}

impl Default for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the machine for the time"
    )]
    fn default() -> Self {
        Self {
            started: Instant::now(),
            machine: uptime::identity(),
        }
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the machine for the time"
    )]
    fn now(&self) -> UnixTime {
        UnixTime(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        )
    }

    fn steady(&self) -> Duration {
        self.started.elapsed()
    }

    fn uptime(&self) -> Option<Uptime> {
        let (of, lasts) = (self.machine?, uptime::lasts()?);
        Some(Uptime { of, lasts })
    }
}

/// A clock that tests and the lab move by hand.
#[derive(Debug)]
pub struct SimulatedClock {
    state: Mutex<(UnixTime, Duration)>,
    /// Which machine runs as long as this clock does, where that is known.
    machine: Option<u64>,
}

impl SimulatedClock {
    /// A clock that stands at `now`.
    pub fn new(now: UnixTime) -> Self {
        Self {
            state: Mutex::new((now, Duration::ZERO)),
            machine: None,
        }
    }

    /// The same on a machine that is known, and was started with it.
    pub fn of_machine(now: UnixTime, machine: u64) -> Self {
        Self {
            machine: Some(machine),
            ..Self::new(now)
        }
    }

    /// Lets `duration` pass on both clocks.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.lock();
        state.0 = state.0.plus(duration);
        state.1 += duration;
    }

    /// Sets wall time alone, as a person or a broken time source would.
    pub fn jump(&self, now: UnixTime) {
        self.lock().0 = now;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (UnixTime, Duration)> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> UnixTime {
        self.lock().0
    }

    fn steady(&self) -> Duration {
        self.lock().1
    }

    fn uptime(&self) -> Option<Uptime> {
        let (of, lasts) = (self.machine?, self.lock().1);
        Some(Uptime { of, lasts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dnssec_times_go_both_ways() {
        for (seconds, text) in [
            (0, "19700101000000"),
            (1_440_021_600, "20150819220000"), // RFC 8080 §6
            (1_438_207_200, "20150729220000"),
            (951_782_400, "20000229000000"),
            (4_107_542_400, "21000301000000"),
        ] {
            assert_eq!(UnixTime(seconds).to_dnssec(), text);
            assert_eq!(UnixTime::from_dnssec(text), Some(UnixTime(seconds)));
        }
        for wrong in [
            "",
            "2015081922000",
            "20151319220000",
            "20150832220000",
            "19690101000000",
            "2015081922000x",
        ] {
            assert_eq!(UnixTime::from_dnssec(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_jump_moves_wall_time_only() {
        let clock = SimulatedClock::new(UnixTime(1_000));
        clock.advance(Duration::from_secs(5));
        clock.jump(UnixTime(7));
        assert_eq!(
            (clock.now(), clock.steady()),
            (UnixTime(7), Duration::from_secs(5))
        );
    }
}
