//! How many signatures strangers can make a worker make: a bucket of tokens, one a synthesised signature.
//!
//! A flood of names that do not exist costs a signature each, until the bucket is empty: then the worker is
//! overloaded, and each zone does what its policy says ([`super::overload`]). Signatures of what the zone holds are
//! not counted: there are only so many of them; nor are those that are made over TCP.
//!
//! ```text
//! calm ── a token is wanted and none is there ──► overloaded
//!   ▲                                                │ every question that needs a synthesised signature still
//!   └── for half a second's worth fewer came ────────┘ counts, whether it gets one or not
//! ```
//! So the state does not flicker while a flood goes on, and tokens that come in meanwhile are left for exact NSECs.

use std::{cell::Cell, time::Duration};

/// The bucket holds what this long fills it with, so a burst after a quiet time is not refused.
const BURST: Duration = Duration::from_secs(1);

/// The bucket of one worker.
#[derive(Debug)]
pub struct Budget {
    a_second: f64,
    tokens: Cell<f64>,
    /// While overloaded: how many more could have been asked for since, without exceeding the rate.
    spare: Cell<Option<f64>>,
    filled_at: Duration,
}

impl Budget {
    /// A full bucket that `signatures_a_second` fill; `None`: without end.
    pub fn new(signatures_a_second: Option<u32>) -> Self {
        let a_second = signatures_a_second.map_or(f64::INFINITY, f64::from);
        Self {
            a_second,
            tokens: Cell::new(a_second * BURST.as_secs_f64()),
            spare: Cell::new(None),
            filled_at: Duration::ZERO,
        }
    }

    /// Fills it for the time since it was last filled, by steady time.
    pub fn fill(&mut self, steady: Duration) {
        if !self.a_second.is_finite() {
            return;
        }
        let most = self.a_second * BURST.as_secs_f64();
        let filled = steady.saturating_sub(self.filled_at).as_secs_f64() * self.a_second;
        self.tokens.set((self.tokens.get() + filled).min(most));
        if let Some(spare) = self.spare.get() {
            let spare = (spare + filled).min(most);
            let is_over = spare.min(self.tokens.get()) >= most / 2.0;
            self.spare.set((!is_over).then_some(spare));
        }
        self.filled_at = steady;
    }

    /// Whether more synthesised signatures are asked for than may be made.
    pub fn is_overloaded(&self) -> bool {
        self.spare.get().is_some()
    }

    /// Whether a signature could be made; where none could, the worker is overloaded from now on.
    pub fn has_room(&self) -> bool {
        let has_room = self.tokens.get() >= 1.0;
        if !has_room && !self.is_overloaded() {
            self.spare.set(Some(0.0));
        }
        has_room
    }

    /// Notes a question that needs a synthesised signature and is not given one.
    pub fn note(&self) {
        if let Some(spare) = self.spare.get() {
            self.spare.set(Some((spare - 1.0).max(0.0)));
        }
    }

    /// Takes the token of a signature that is made once a name of the zone; `false` when there is none.
    pub fn take_for_name(&self) -> bool {
        let has_room = self.has_room();
        if has_room {
            self.tokens.set(self.tokens.get() - 1.0);
        }
        has_room
    }

    /// Takes the token of a synthesised signature; `false` when there is none.
    pub fn take(&self) -> bool {
        self.note();
        self.take_for_name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(budget: &Budget) -> usize {
        (0..1_000).filter(|_| budget.take()).count()
    }

    #[test]
    fn a_bucket_gives_its_rate_and_no_more() {
        let mut budget = Budget::new(Some(100));
        assert_eq!(given(&budget), 100, "a second's worth at first");
        budget.fill(Duration::from_millis(250));
        assert_eq!(given(&budget), 25);
        budget.fill(Duration::from_secs(3_600));
        assert_eq!(given(&budget), 100, "an hour of quiet is a second's worth");
        assert_eq!(given(&Budget::new(None)), 1_000);
    }

    /// Overload begins with the first token that is missing, lasts as long as more is asked for than may be made, and
    /// is over half a second after that.
    #[test]
    fn overload_ends_by_itself_when_less_is_asked_for() {
        let mut budget = Budget::new(Some(100));
        assert_eq!((0..100).filter(|_| budget.take()).count(), 100);
        assert!(!budget.is_overloaded(), "what is asked for was given");
        assert!(!budget.take());
        assert!(budget.is_overloaded());
        let mut now = Duration::ZERO;
        // A flood of 200 a second that takes no tokens: it lasts, though the bucket is full.
        for _ in 0..100 {
            now += Duration::from_millis(100);
            budget.fill(now);
            (0..20).for_each(|_| budget.note());
            assert!(budget.is_overloaded(), "at {now:?}");
        }
        assert!(budget.has_room(), "tokens are left for exact NSECs");
        // 50 a second are within the budget: half of what comes in is spare.
        let mut after = 0;
        while budget.is_overloaded() {
            now += Duration::from_millis(10);
            after += 10;
            budget.fill(now);
            if after % 20 == 0 {
                budget.note();
            }
        }
        assert!((900..=1_100).contains(&after), "{after} ms");
        // Quiet at once: half a second.
        given(&budget);
        assert!(budget.is_overloaded());
        budget.fill(now + Duration::from_millis(499));
        assert!(budget.is_overloaded());
        budget.fill(now + Duration::from_millis(500));
        assert!(!budget.is_overloaded());
    }

    /// Signatures of exact NSECs come out of the same bucket, and overload lasts until it has room again.
    #[test]
    fn what_is_made_once_a_name_is_paid_from_the_same_bucket() {
        let mut budget = Budget::new(Some(100));
        given(&budget);
        budget.fill(Duration::from_millis(400));
        assert_eq!((0..100).filter(|_| budget.take_for_name()).count(), 40);
        budget.fill(Duration::from_millis(800));
        assert!(budget.is_overloaded(), "only forty tokens are back");
        budget.fill(Duration::from_millis(900));
        assert!(!budget.is_overloaded());
        assert!(!Budget::new(None).is_overloaded());
    }
}
