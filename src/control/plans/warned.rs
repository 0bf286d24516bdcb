//! What a person should see to, and what makes it the same the next time.

use std::{collections::BTreeSet, time::Duration};

use super::{Known, Plans, lock};
use crate::{clock::UnixTime, dnssec::algorithm::Algorithm, multisigner::survey::Difference, wire::Name};

/// Something that a person should see to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) struct Warned {
    /// What makes it the same the next time, whatever words an error has then.
    pub about: String,
    /// What it is, and what to do.
    pub what: String,
}

impl Warned {
    /// What is the same as long as its words are.
    fn in_words(what: String) -> Self {
        let about = what.clone();
        Self { about, what }
    }
}

impl Plans {
    /// What a person should see to, for `status`.
    pub(in super::super) fn warnings(&self, zone: &Name) -> Vec<Warned> {
        let known = lock(&self.known);
        let Some(known) = known.get(zone) else {
            return Vec::new();
        };
        let halted = known
            .rests
            .as_ref()
            .filter(|rest| rest.halted && known.is_active());
        let halted = halted.map(|rest| format!("the plan is halted: {}", rest.why));
        let unsettled = lock(&self.unsettled).clone().filter(|_| known.is_active());
        let in_words = known.fault.iter().cloned().chain(halted).chain(unsettled);
        let unfollowed = known.run.as_ref().and_then(|run| run.unfollowed(known.looked));
        let unfollowed = unfollowed.map(|unfollowed| Warned {
            about: format!("the parent does not follow {}", unfollowed.asked_by),
            what: unfollowed.to_string(),
        });
        let not_followed = known.not_followed.iter().filter(|_| !known.is_active()).cloned();
        let in_words = in_words
            .map(Warned::in_words)
            .chain(unfollowed)
            .chain(not_followed);
        in_words.chain(known.lasting_differences()).collect()
    }

    /// What a person should see to that is no matter of one zone.
    pub(in super::super) fn warnings_of_all(&self) -> Vec<Warned> {
        self.places.warnings()
    }

    /// Keeps what servers did not show alike; `lag`: how long a change may take to all of them. What was seen from the
    /// places in `unasked` stands until they are asked again.
    pub(super) fn differ(
        &self,
        zone: &Name,
        found: Vec<Difference>,
        unasked: &[String],
        at: UnixTime,
        lag: Duration,
    ) {
        // A zone whose journal is not read yet stays one.
        if let Some(known) = lock(&self.known).get_mut(zone) {
            let mut before = std::mem::take(&mut known.differences);
            let found = found.into_iter().map(|difference| {
                let since = before.remove(&difference.about).map_or(at, |(_, since)| since);
                (difference.about.clone(), (difference, since))
            });
            known.differences = found.collect();
            before.retain(|_, (difference, _)| {
                let place = difference.place.as_ref();
                place.is_some_and(|place| unasked.contains(place))
            });
            known.differences.extend(before);
            (known.looked, known.lag) = (at, lag);
        }
    }
}

impl Plans {
    /// The algorithms that a zone's plan leads between, as long as nothing surprised it.
    pub(in super::super) fn algorithms_on_the_way(&self, zone: &Name) -> BTreeSet<Algorithm> {
        let run = self.active(zone).filter(|run| run.alarm.is_none());
        run.map(|run| run.algorithms()).unwrap_or_default()
    }
}

impl Known {
    /// What servers do not show alike, and is not just a change on its way.
    fn lasting_differences(&self) -> impl Iterator<Item = Warned> {
        let lasts = |(difference, since): &&(Difference, UnixTime)| {
            !difference.passes || self.looked.since(*since) > self.lag
        };
        let differences = self.differences.values().filter(lasts);
        differences.map(|(difference, _)| Warned {
            about: difference.about.clone(),
            what: difference.what.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG: Duration = Duration::from_secs(10);

    fn difference(place: Option<&str>, why: &str) -> Difference {
        Difference {
            about: format!("192.0.2.1 from {place:?}"),
            place: place.map(str::to_owned),
            what: format!("it differs: {why}"),
            passes: true,
        }
    }

    fn at(seconds: u64) -> UnixTime {
        UnixTime(1_800_000_000 + seconds)
    }

    #[test]
    fn a_difference_whose_words_change_is_the_one_that_lasts() {
        let (plans, zone) = (Plans::default(), Name::root());
        plans.change(&zone, |_| {});
        for second in 0..12 {
            assert_eq!(plans.warnings(&zone), [], "{second}");
            let found = vec![difference(None, &format!("try {second}"))];
            plans.differ(&zone, found, &[], at(second), LAG);
        }
        let warnings = plans.warnings(&zone);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].what.ends_with("try 11"), "{warnings:?}");
        assert_eq!(warnings[0].about, difference(None, "").about);
        plans.differ(&zone, Vec::new(), &[], at(12), LAG);
        assert_eq!(plans.warnings(&zone), []);
    }

    /// A zone without a plan is looked at from elsewhere once in many looks.
    #[test]
    fn what_was_seen_from_elsewhere_stands_until_it_is_looked_at_again() {
        let (plans, zone) = (Plans::default(), Name::root());
        plans.change(&zone, |_| {});
        let tokyo = ["tokyo".to_owned()];
        let both = || vec![difference(Some("tokyo"), "x"), difference(None, "y")];
        plans.differ(&zone, both(), &[], at(0), LAG);
        plans.differ(&zone, vec![difference(None, "y")], &tokyo, at(20), LAG);
        assert_eq!(plans.warnings(&zone).len(), 2);
        plans.differ(&zone, Vec::new(), &tokyo, at(30), LAG);
        assert_eq!(plans.warnings(&zone).len(), 1);
        // Taken out of the configuration; or asked again, and the same there.
        plans.differ(&zone, Vec::new(), &[], at(40), LAG);
        assert_eq!(plans.warnings(&zone), []);
    }
}
