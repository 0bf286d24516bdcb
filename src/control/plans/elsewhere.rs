//! When other places are asked, and what became of it: each stream there takes a process here and often a login there, so
//! that of a thousand zones not all can be asked all the time.
//!
//! | zone | is asked from elsewhere |
//! |---|---|
//! | whose plan goes on, or is made | at every look, once in [`HOLD`] at most |
//! | any other | by the watch, once in [`RARELY`] at most, one zone after the other |
//!
//! A place that fails is said once, for all zones.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{super::server::Server, lock, warned::Warned};
use crate::{
    client::{Relay, Streams},
    clock::Clock,
    config::Config,
    multisigner::survey::{Elsewhere, Questions, Targets, from_elsewhere},
    wire::Name,
};

/// How long is not asked again for a plan.
const HOLD: Duration = Duration::from_secs(60);
/// How long is not asked again where there is no plan.
const RARELY: Duration = Duration::from_secs(3_600);
/// The same, when nothing came from a place the last time: so that it is seen soon that it is mended.
const AFTER_FAILURE: Duration = Duration::from_secs(300);

/// Who wants to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pace {
    /// A plan, which waits for it.
    Now,
    /// The watch.
    Rarely,
}

/// What is known of other places.
#[derive(Debug, Default)]
pub(super) struct Places {
    streams: Streams,
    /// What was last seen of each zone.
    seen: Mutex<BTreeMap<Name, Last>>,
    failing: Mutex<BTreeMap<String, Failing>>,
    /// Held while a zone without a plan is asked for.
    unhurried: tokio::sync::Mutex<()>,
}

/// What was seen of a zone, and when by steady time, with who was asked from where.
#[derive(Debug)]
struct Last {
    at: Duration,
    relays: Vec<Relay>,
    targets: (Vec<Targets>, Targets),
    seen: Elsewhere,
}

/// A place from which nothing came.
#[derive(Debug)]
struct Failing {
    /// When it was last tried, by steady time.
    at: Duration,
    /// For which zones, and why.
    zones: BTreeMap<Name, String>,
}

impl Places {
    /// What there is to warn of.
    pub fn warnings(&self) -> Vec<Warned> {
        let failing = lock(&self.failing);
        let told = failing.iter().filter_map(|(place, failing)| {
            let (zone, why) = failing.zones.first_key_value()?;
            let others = match failing.zones.len() - 1 {
                0 => String::new(),
                others => format!(" and {others} more"),
            };
            Some(Warned {
                about: format!("the vantage {place}"),
                what: format!(
                    "nothing came from the [[vantage]] {place}, for {zone}{others}: {why}; no plan counts as seen what is not seen from there. See to it, or take it out of the configuration"
                ),
            })
        });
        told.collect()
    }

    /// Forgets what is not in the configuration any more.
    pub fn keep_only(&self, config: &Config) {
        let is_zone = |zone: &Name| config.zones.iter().any(|there| there.origin == *zone);
        lock(&self.seen).retain(|zone, _| is_zone(zone));
        lock(&self.failing).retain(|place, failing| {
            failing.zones.retain(|zone, _| is_zone(zone));
            config.vantages.iter().any(|there| there.name == *place)
        });
    }

    /// What was seen lately enough, and of the same servers from the same places.
    fn lately(
        &self,
        zone: &Name,
        pace: Pace,
        now: Duration,
        relays: &[Relay],
        targets: &(Vec<Targets>, Targets),
    ) -> Option<Elsewhere> {
        let seen = lock(&self.seen);
        let last = seen.get(zone)?;
        let hold = match pace {
            Pace::Now => HOLD,
            Pace::Rarely if last.seen.failed.is_empty() => RARELY,
            Pace::Rarely => AFTER_FAILURE,
        };
        let is_fresh = now.saturating_sub(last.at) < hold;
        (is_fresh && last.relays == relays && last.targets == *targets).then(|| last.seen.clone())
    }

    /// The places that failed just now, for whichever zone: who does not hurry waits for none of them.
    fn failed_lately(&self, now: Duration) -> BTreeMap<String, String> {
        let failing = lock(&self.failing);
        let lately = failing
            .iter()
            .filter(|(_, failing)| now.saturating_sub(failing.at) < HOLD);
        let why = |(place, failing): (&String, &Failing)| {
            let (_, why) = failing.zones.first_key_value()?;
            Some((place.clone(), why.clone()))
        };
        lately.filter_map(why).collect()
    }

    /// Keeps from where nothing came; `spared` was not tried.
    fn note(
        &self,
        zone: &Name,
        relays: &[Relay],
        seen: &Elsewhere,
        spared: &BTreeMap<String, String>,
        now: Duration,
    ) {
        let mut failing = lock(&self.failing);
        for relay in relays.iter().filter(|relay| !spared.contains_key(&relay.name)) {
            match seen.failed.get(&relay.name) {
                Some(why) => {
                    let zones = BTreeMap::new();
                    let known = failing
                        .entry(relay.name.clone())
                        .or_insert(Failing { at: now, zones });
                    known.at = now;
                    known.zones.insert(zone.clone(), why.clone());
                    tracing::debug!(%zone, place = relay.name, "nothing came: {why}");
                }
                None => {
                    if let Some(known) = failing.get_mut(&relay.name) {
                        known.zones.remove(zone);
                    }
                }
            }
        }
        failing.retain(|_, failing| !failing.zones.is_empty());
    }
}

/// What is seen from other places, asked now or lately: each answer says itself when. Nothing when it is not their turn.
pub(super) async fn look(
    server: &Arc<Server>,
    questions: Questions<'_>,
    pace: Pace,
    members: &[Targets],
    parent: &Targets,
) -> Option<Elsewhere> {
    let relays = server.config.load().vantages.clone();
    if relays.is_empty() {
        return Some(Elsewhere::default());
    }
    let (places, zone, clock) = (&server.plans.places, questions.zone, &server.clock);
    let targets = (members.to_vec(), parent.clone());
    let known = places.lately(zone, pace, clock.steady(), &relays, &targets);
    let (_turn, spared) = match pace {
        Pace::Now if known.is_some() => return known,
        Pace::Now => (None, BTreeMap::new()),
        // What was seen long ago is not to be compared with what is seen now.
        Pace::Rarely if known.is_some() => return None,
        Pace::Rarely => (
            Some(places.unhurried.try_lock().ok()?),
            places.failed_lately(clock.steady()),
        ),
    };
    let asking: &dyn Clock = &**clock;
    let seen = from_elsewhere(
        &relays,
        &places.streams,
        &spared,
        questions,
        members,
        parent,
        asking,
    )
    .await;
    let at = clock.steady();
    places.note(zone, &relays, &seen, &spared, at);
    let last = Last {
        at,
        relays,
        targets,
        seen: seen.clone(),
    };
    lock(&places.seen).insert(zone.clone(), last);
    Some(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(name: &str) -> Relay {
        Relay {
            name: name.to_owned(),
            command: vec!["x".to_owned()],
            timeout: Duration::from_secs(1),
        }
    }

    fn zone(number: usize) -> Name {
        format!("z{number}.example.").parse().unwrap()
    }

    fn seen(failed: Option<&str>) -> Elsewhere {
        let mut seen = Elsewhere::default();
        let failed = failed.map(|why| ("tokyo".to_owned(), why.to_owned()));
        seen.failed.extend(failed);
        seen
    }

    /// Of a thousand zones, one warning: whatever a command says, and for whichever zone it says it first.
    #[test]
    fn a_place_that_fails_is_one_warning_for_all_zones() {
        let (places, relays) = (Places::default(), [relay("tokyo")]);
        let now = Duration::from_secs(9);
        for number in 0..1_000 {
            let why = format!("no way out, try {number}");
            places.note(&zone(number), &relays, &seen(Some(&why)), &BTreeMap::new(), now);
        }
        let told = places.warnings();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].about, "the vantage tokyo");
        assert!(told[0].what.contains("and 999 more: no way out"), "{told:?}");
        for number in 0..1_000 {
            assert_eq!(places.warnings()[0].about, "the vantage tokyo");
            places.note(&zone(number), &relays, &seen(None), &BTreeMap::new(), now);
        }
        assert_eq!(places.warnings(), []);
    }

    #[test]
    fn who_does_not_hurry_waits_for_no_place_that_failed_just_now() {
        let (places, relays) = (Places::default(), [relay("tokyo"), relay("lima")]);
        let at = |seconds| Duration::from_secs(seconds);
        places.note(
            &zone(1),
            &relays,
            &seen(Some("no way out")),
            &BTreeMap::new(),
            at(100),
        );
        let spared = places.failed_lately(at(159));
        assert_eq!(spared.keys().collect::<Vec<_>>(), ["tokyo"]);
        // What was not tried is no news of it.
        places.note(&zone(2), &relays, &seen(Some("no way out")), &spared, at(159));
        assert_eq!(places.failed_lately(at(160)), BTreeMap::new());
        assert!(places.warnings()[0].what.contains("for z1.example.:"));
    }

    #[test]
    fn where_there_is_no_plan_is_asked_rarely() {
        let places = Places::default();
        let relays = vec![relay("tokyo")];
        let targets = (Vec::new(), Targets::default());
        let keep = |failed| {
            let last = Last {
                at: Duration::ZERO,
                relays: relays.clone(),
                targets: targets.clone(),
                seen: seen(failed),
            };
            lock(&places.seen).insert(zone(1), last);
        };
        let known = |pace, seconds, relays: &[Relay]| {
            let now = Duration::from_secs(seconds);
            places.lately(&zone(1), pace, now, relays, &targets).is_some()
        };
        keep(None);
        assert_eq!([59, 60].map(|now| known(Pace::Now, now, &relays)), [true, false]);
        assert_eq!(
            [3_599, 3_600].map(|now| known(Pace::Rarely, now, &relays)),
            [true, false]
        );
        assert!(
            !known(Pace::Rarely, 1, &[relay("lima")]),
            "another place is asked at once"
        );
        keep(Some("no way out"));
        assert_eq!(
            [299, 300].map(|now| known(Pace::Rarely, now, &relays)),
            [true, false]
        );
    }
}
