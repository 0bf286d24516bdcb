//! NS1's rate limits: a token bucket for each kind of request, filled as the headers of its replies say
//! (`X-RateLimit-Limit`, `-Period`, `-Remaining`). Pure: time comes in as a value.

use std::{collections::HashMap, time::Duration};

/// What NS1's own clients take before the first reply says otherwise: ten a second.
const UNKNOWN: Limits = Limits {
    limit: 10,
    period: Duration::from_secs(1),
    remaining: 10,
};
/// No reply makes us wait longer than this for one request: a limit that says more is not believed.
const LONGEST_WAIT: Duration = Duration::from_secs(900);

/// What is limited together: NS1 counts by endpoint and method.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Kind {
    /// A zone, with or without its records.
    Zone,
    /// A record.
    Record,
    /// The keys of a zone.
    Dnssec,
    /// The external key sets of a zone.
    ExternalKeys,
    /// Exports.
    Export,
    /// Networks.
    Networks,
}

/// What the headers of a reply say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Limits {
    /// Requests in a period.
    pub limit: u32,
    /// The period.
    pub period: Duration,
    /// What is left of them.
    pub remaining: u32,
}

/// One bucket.
#[derive(Debug)]
struct Bucket {
    limits: Limits,
    /// What may be asked now; below zero when requests wait already.
    tokens: f64,
    /// Requests on the way, which the other side has perhaps not counted yet.
    on_the_way: u32,
    at: Duration,
}

impl Bucket {
    fn new(now: Duration) -> Self {
        Self {
            limits: UNKNOWN,
            tokens: f64::from(UNKNOWN.remaining),
            on_the_way: 0,
            at: now,
        }
    }

    /// How long it takes until one more may be asked.
    fn interval(&self) -> Duration {
        self.limits.period / self.limits.limit.max(1)
    }

    fn refill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at);
        self.at = now;
        let gained = passed.as_secs_f64() / self.interval().as_secs_f64().max(1e-6);
        self.tokens = (self.tokens + gained).min(f64::from(self.limits.limit));
    }
}

/// All buckets of an account.
#[derive(Debug, Default)]
pub(super) struct Buckets(HashMap<(Kind, &'static str), Bucket>);

impl Buckets {
    /// Takes a token and gives how long to wait before the request may go out.
    pub(super) fn take(&mut self, kind: Kind, method: &'static str, now: Duration) -> Duration {
        let bucket = self.bucket(kind, method, now);
        bucket.refill(now);
        bucket.tokens -= 1.0;
        bucket.on_the_way += 1;
        if bucket.tokens >= 0.0 {
            return Duration::ZERO;
        }
        bucket.interval().mul_f64(-bucket.tokens).min(LONGEST_WAIT)
    }

    /// A request came back, with what its headers said.
    pub(super) fn give_back(
        &mut self,
        kind: Kind,
        method: &'static str,
        said: Option<Limits>,
        now: Duration,
    ) {
        let bucket = self.bucket(kind, method, now);
        bucket.refill(now);
        bucket.on_the_way = bucket.on_the_way.saturating_sub(1);
        if let Some(limits) = said.filter(|limits| limits.limit > 0 && !limits.period.is_zero()) {
            bucket.limits = limits;
            bucket.tokens = f64::from(limits.remaining) - f64::from(bucket.on_the_way);
        }
    }

    /// It was refused for its number: nothing is left, whatever was counted here.
    pub(super) fn refuse(&mut self, kind: Kind, method: &'static str, now: Duration) {
        let bucket = self.bucket(kind, method, now);
        bucket.refill(now);
        bucket.tokens = bucket.tokens.min(0.0);
    }

    fn bucket(&mut self, kind: Kind, method: &'static str, now: Duration) -> &mut Bucket {
        self.0.entry((kind, method)).or_insert_with(|| Bucket::new(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn said(limit: u32, period: u64, remaining: u32) -> Option<Limits> {
        Some(Limits {
            limit,
            period: SECOND * period as u32,
            remaining,
        })
    }

    #[test]
    fn what_is_left_goes_at_once_and_then_at_the_rate_of_refill() {
        let mut buckets = Buckets::default();
        assert_eq!(buckets.take(Kind::Zone, "GET", Duration::ZERO), Duration::ZERO);
        buckets.give_back(Kind::Zone, "GET", said(900, 300, 2), SECOND);
        let mut millis = |now| buckets.take(Kind::Zone, "GET", now).as_secs_f64() * 1_000.0;
        let waits: Vec<u64> = (0..4).map(|_| millis(SECOND).round() as u64).collect();
        assert_eq!(waits, [0, 0, 333, 667]);
        // A second later three more have come in, two of which are taken.
        for _ in 0..4 {
            buckets.give_back(Kind::Zone, "GET", None, 2 * SECOND);
        }
        assert_eq!(buckets.take(Kind::Zone, "GET", 2 * SECOND), Duration::ZERO);
        assert_eq!(buckets.take(Kind::Zone, "GET", 2 * SECOND).as_millis(), 333);
    }

    #[test]
    fn kinds_and_methods_have_buckets_of_their_own() {
        let mut buckets = Buckets::default();
        buckets.give_back(Kind::Zone, "GET", said(1, 300, 0), Duration::ZERO);
        assert_eq!(buckets.take(Kind::Zone, "GET", Duration::ZERO), 300 * SECOND);
        assert_eq!(buckets.take(Kind::Zone, "PUT", Duration::ZERO), Duration::ZERO);
        assert_eq!(buckets.take(Kind::Record, "GET", Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn requests_on_the_way_are_counted_though_the_reply_does_not_know_them() {
        let mut buckets = Buckets::default();
        for _ in 0..3 {
            buckets.take(Kind::Record, "GET", Duration::ZERO);
        }
        buckets.give_back(Kind::Record, "GET", said(300, 300, 3), Duration::ZERO);
        assert_eq!(buckets.take(Kind::Record, "GET", Duration::ZERO), Duration::ZERO);
        assert_eq!(buckets.take(Kind::Record, "GET", Duration::ZERO), SECOND);
    }

    #[test]
    fn a_refusal_empties_the_bucket_and_odd_headers_change_nothing() {
        let mut buckets = Buckets::default();
        buckets.give_back(Kind::Zone, "GET", said(0, 300, 0), Duration::ZERO);
        buckets.give_back(Kind::Zone, "GET", said(5, 0, 0), Duration::ZERO);
        assert_eq!(buckets.take(Kind::Zone, "GET", Duration::ZERO), Duration::ZERO);
        buckets.refuse(Kind::Zone, "GET", Duration::ZERO);
        assert_eq!(buckets.take(Kind::Zone, "GET", Duration::ZERO), SECOND / 10);
        buckets.give_back(Kind::Zone, "GET", said(1, 1_000_000, 0), Duration::ZERO);
        assert_eq!(buckets.take(Kind::Zone, "GET", Duration::ZERO), LONGEST_WAIT);
    }
}
