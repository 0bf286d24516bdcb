//! NS1's limits of requests: a token bucket for each endpoint and method, told in `X-RateLimit-*` headers.

use std::{collections::BTreeMap, time::Duration};

/// Requests that read, and requests that write, in [`PERIOD`]: the examples of NS1's documents.
const READS: u32 = 900;
const WRITES: u32 = 300;
/// Seconds.
const PERIOD: u32 = 300;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    filled: Duration,
}

/// All buckets of an account. There are as many as endpoints times methods, so no more than a few dozen.
#[derive(Clone, Debug, Default)]
pub struct Buckets(BTreeMap<(&'static str, bool), Bucket>);

/// What a request is told of its bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowance {
    /// Whether there was a token for it.
    pub granted: bool,
    limit: u32,
    period: u32,
    remaining: u32,
}

impl Buckets {
    /// Takes a token for a request to `endpoint` at steady time `now`. `rate` is requests and seconds, instead of
    /// the usual.
    pub fn take(
        &mut self,
        endpoint: &'static str,
        reads: bool,
        rate: Option<(u32, u32)>,
        now: Duration,
    ) -> Allowance {
        let usual = (if reads { READS } else { WRITES }, PERIOD);
        let (limit, period) = rate.unwrap_or(usual);
        let full = f64::from(limit);
        let bucket = self.0.entry((endpoint, reads)).or_insert(Bucket {
            tokens: full,
            filled: now,
        });
        let gained = now.saturating_sub(bucket.filled).as_secs_f64() * full / f64::from(period);
        bucket.tokens = (bucket.tokens + gained).min(full);
        bucket.filled = now;
        let granted = bucket.tokens >= 1.0;
        if granted {
            bucket.tokens -= 1.0;
        }
        Allowance {
            granted,
            limit,
            period,
            remaining: bucket.tokens as u32,
        }
    }
}

impl Allowance {
    /// The headers.
    pub fn headers(&self) -> [(&'static str, String); 4] {
        [
            ("X-RateLimit-By", "customer".into()),
            ("X-RateLimit-Limit", self.limit.to_string()),
            ("X-RateLimit-Period", self.period.to_string()),
            ("X-RateLimit-Remaining", self.remaining.to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_by_limit_over_period() {
        let mut buckets = Buckets::default();
        let mut take = |at| {
            let allowance = buckets.take("zones", true, Some((2, 10)), Duration::from_secs(at));
            (allowance.granted, allowance.remaining)
        };
        assert_eq!([take(0), take(0), take(0)], [(true, 1), (true, 0), (false, 0)]);
        assert_eq!(take(4), (false, 0));
        assert_eq!(take(5), (true, 0));
        assert_eq!(take(1_000), (true, 1));
        let usual = buckets.take("zones", false, None, Duration::ZERO);
        assert_eq!(usual.headers()[1], ("X-RateLimit-Limit", "300".to_owned()));
        assert_eq!(usual.headers()[3].1, "299");
    }
}
