//! How many signatures strangers can make a worker make: a bucket of tokens, one a synthesised signature.
//!
//! A flood of names that do not exist costs a signature each, until the bucket is empty; then such a question is
//! answered with TC, for the price of a hot answer, and an honest resolver comes again over TCP, where the bucket
//! does not count. Signatures of what the zone holds are not counted: there are only so many of them.

use std::{cell::Cell, time::Duration};

/// The bucket holds what this long fills it with, so a burst after a quiet time is not refused.
const BURST: Duration = Duration::from_secs(1);

/// The bucket of one worker.
#[derive(Debug)]
pub struct Budget {
    a_second: f64,
    tokens: Cell<f64>,
    filled_at: Duration,
}

impl Budget {
    /// A full bucket that `signatures_a_second` fill; `None`: without end.
    pub fn new(signatures_a_second: Option<u32>) -> Self {
        let a_second = signatures_a_second.map_or(f64::INFINITY, f64::from);
        Self {
            a_second,
            tokens: Cell::new(a_second * BURST.as_secs_f64()),
            filled_at: Duration::ZERO,
        }
    }

    /// Fills it for the time since it was last filled, by steady time.
    pub fn fill(&mut self, steady: Duration) {
        if self.a_second.is_finite() {
            let filled = steady.saturating_sub(self.filled_at).as_secs_f64() * self.a_second;
            self.tokens
                .set((self.tokens.get() + filled).min(self.a_second * BURST.as_secs_f64()));
            self.filled_at = steady;
        }
    }

    /// Takes one token; `false` when there is none.
    pub fn take(&self) -> bool {
        let tokens = self.tokens.get();
        if tokens < 1.0 {
            return false;
        }
        self.tokens.set(tokens - 1.0);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_rate_and_no_more() {
        let mut budget = Budget::new(Some(100));
        let given = |budget: &Budget| (0..1_000).filter(|_| budget.take()).count();
        assert_eq!(given(&budget), 100, "a second's worth at first");
        budget.fill(Duration::from_millis(250));
        assert_eq!(given(&budget), 25);
        budget.fill(Duration::from_secs(3_600));
        assert_eq!(given(&budget), 100, "an hour of quiet is a second's worth");
        assert_eq!(given(&Budget::new(None)), 1_000);
    }
}
