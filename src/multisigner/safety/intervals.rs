//! Sets of moments in whole seconds, as closed intervals.

/// The end of time.
pub(super) const EVER: u64 = u64::MAX;

/// Moments: closed intervals, in order, with gaps between them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Intervals(Vec<(u64, u64)>);

impl Intervals {
    /// From `first` to `last`, both included; nothing when `last` is the earlier.
    pub fn span(first: u64, last: u64) -> Self {
        Self(if first <= last {
            vec![(first, last)]
        } else {
            Vec::new()
        })
    }

    /// Adds an interval that begins after, or where, the last one ends.
    pub fn push(&mut self, first: u64, last: u64) {
        match self.0.last_mut() {
            Some(end) if first <= end.1.saturating_add(1) => end.1 = end.1.max(last),
            _ => self.0.push((first, last)),
        }
    }

    /// What either has.
    pub fn union(&self, other: &Self) -> Self {
        let mut all: Vec<_> = self.0.iter().chain(&other.0).copied().collect();
        all.sort_unstable();
        let mut joined = Self::default();
        for (first, last) in all {
            joined.push(first, last);
        }
        joined
    }

    /// What both have.
    pub fn intersection(&self, other: &Self) -> Self {
        let mut both = Self::default();
        let (mut i, mut j) = (0, 0);
        while let (Some(a), Some(b)) = (self.0.get(i), other.0.get(j)) {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            if first <= last {
                both.push(first, last);
            }
            if a.1 < b.1 { i += 1 } else { j += 1 }
        }
        both
    }

    /// What this has and `other` lacks.
    pub fn without(&self, other: &Self) -> Self {
        let mut gaps = Self::default();
        let mut from = 0;
        for &(first, last) in &other.0 {
            if from < first {
                gaps.push(from, first - 1);
            }
            from = last.saturating_add(1);
            if last == EVER {
                return self.intersection(&gaps);
            }
        }
        gaps.push(from, EVER);
        self.intersection(&gaps)
    }

    /// Each interval made longer: when what was fetched in these moments can still be held.
    pub fn held_for(&self, hold: u64) -> Self {
        let mut longer = Self::default();
        for &(first, last) in &self.0 {
            longer.push(first, last.saturating_add(hold));
        }
        longer
    }

    /// The first moment.
    pub fn first(&self) -> Option<u64> {
        self.0.first().map(|interval| interval.0)
    }

    /// The first moment that is not before `time`.
    pub fn first_since(&self, time: u64) -> Option<u64> {
        let interval = self.0.iter().find(|interval| interval.1 >= time)?;
        Some(interval.0.max(time))
    }

    /// The latest moment that is not after `time`.
    pub fn latest_until(&self, time: u64) -> Option<u64> {
        let before = self.0.iter().rfind(|interval| interval.0 <= time)?;
        Some(before.1.min(time))
    }

    /// Whether it has this moment.
    pub fn has(&self, time: u64) -> bool {
        self.latest_until(time) == Some(time)
    }

    /// Where each interval begins, and the moment after each ends.
    pub fn edges(&self) -> impl Iterator<Item = u64> + '_ {
        self.0
            .iter()
            .flat_map(|&(first, last)| [Some(first), last.checked_add(1)])
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_moments() {
        let a = Intervals::span(1, 4).union(&Intervals::span(8, 9));
        let b = Intervals::span(4, 8);
        assert_eq!(
            a.intersection(&b),
            Intervals::span(4, 4).union(&Intervals::span(8, 8))
        );
        assert_eq!(a.union(&b), Intervals::span(1, 9));
        assert_eq!(a.without(&b), Intervals::span(1, 3).union(&Intervals::span(9, 9)));
        assert_eq!(
            Intervals::span(5, EVER).without(&Intervals::span(7, EVER)),
            Intervals::span(5, 6)
        );
        assert_eq!(a.held_for(3), Intervals::span(1, 12));
        assert_eq!(
            a.held_for(2),
            Intervals::span(1, 6).union(&Intervals::span(8, 11))
        );
        assert_eq!(a.latest_until(7), Some(4));
        assert_eq!(a.latest_until(0), None);
        assert_eq!(
            [0, 2, 5, 10].map(|time| a.first_since(time)),
            [Some(1), Some(2), Some(8), None]
        );
        assert!(a.has(8) && !a.has(5));
        assert_eq!(Intervals::span(3, 2).first(), None);
        assert_eq!(a.edges().collect::<Vec<_>>(), [1, 5, 8, 10]);
    }
}
