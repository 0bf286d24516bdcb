//! How long this machine runs: what shows, to a process that starts, that time has really passed since an earlier one.

#![allow(
    unsafe_code,
    reason = "a clock that std does not read; the use is argued where it stands"
)]

use std::{fs, time::Duration};

use ring::digest;

/// What tells one machine, or one boot of it, from others. The first is hidden by systemd's `ProcSubset=pid`; the second
/// is missing in containers, or the same in all of them.
const IDENTITIES: [&str; 2] = ["/proc/sys/kernel/random/boot_id", "/etc/machine-id"];

/// How long a machine runs. No setting of its clock changes that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Uptime {
    /// Which machine, or which boot of it.
    pub of: u64,
    /// Since it was started, times of sleep among it. Whole seconds.
    pub lasts: Duration,
}

impl Uptime {
    /// How long ago `before` was, at the least. When the machine was started again in between, all of this uptime came
    /// after it, so the difference is never too much. Nothing where the two are of different machines.
    pub fn at_least_since(self, before: Self) -> Duration {
        if self.of != before.of {
            return Duration::ZERO;
        }
        self.lasts.checked_sub(before.lasts).unwrap_or(self.lasts)
    }
}

/// Which machine this is, or which boot of it; none where nothing tells.
pub(super) fn identity() -> Option<u64> {
    let mut known = IDENTITIES.iter().filter_map(|path| fs::read_to_string(path).ok());
    let known = known.find(|text| !text.trim().is_empty())?;
    // A machine's own identity is to be shown to nobody (machine-id(5)), so no part of it is kept.
    let hash = digest::digest(
        &digest::SHA256,
        format!("countersign {}", known.trim()).as_bytes(),
    );
    let first = hash.as_ref().first_chunk::<8>()?;
    Some(u64::from_be_bytes(*first))
}

/// How long it runs.
pub(super) fn lasts() -> Option<Duration> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the answer.
    let read = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut time) };
    let seconds = u64::try_from(time.tv_sec).ok()?;
    (read == 0).then_some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_has_passed_than_is_certain() {
        let at = |of, seconds| Uptime {
            of,
            lasts: Duration::from_secs(seconds),
        };
        for (now, before, seconds) in [
            (at(1, 500), at(1, 200), 300),
            // Started again 200 seconds ago, or longer ago than that.
            (at(1, 200), at(1, 500), 200),
            (at(1, 500), at(2, 200), 0),
        ] {
            assert_eq!(now.at_least_since(before), Duration::from_secs(seconds));
        }
    }

    #[test]
    fn this_machine_tells_its_uptime() {
        let once = lasts().unwrap();
        assert!(once > Duration::ZERO && lasts().unwrap() >= once);
        assert_eq!(identity(), identity());
    }
}
