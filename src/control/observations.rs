//! What was seen of every zone's servers, and what is served here: kept in the store, and in memory for those who wait for
//! nobody.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    protocol::{CountedTtl, ObservedStatus},
    zones::{Held, HeldZone, causes},
};
use crate::{
    clock::UnixTime,
    config::{Config, ZoneSettings},
    multisigner::observations::{
        Bounds, Change, Class, Counted, Log, ObservationError, ObservationStore, Party, Seen, Standing,
    },
    wire::{Name, RrType},
};

/// What is known from within, and not asked for.
const FROM_WITHIN: &str = "as it is served";

/// What was seen of a zone, and how much of it is kept.
pub(super) type News = (Name, Bounds, Vec<Seen>);

/// The logs of all zones.
#[derive(Debug, Default)]
pub struct Observations {
    logs: Mutex<BTreeMap<Name, Log>>,
    /// Held while something is noted and written, so that what is written later is the later.
    writing: Mutex<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How much is kept of a zone.
pub(super) fn bounds(config: &Config, zone: &ZoneSettings) -> Bounds {
    let longest = super::plans::longest_lag(config, zone);
    Bounds {
        entries: config.monitor.observations,
        beyond_ttl: (longest + zone.safety_margin).as_secs(),
    }
}

/// What is served here of a zone at this time: known at once, and before anybody can ask for it.
pub(super) fn served(zone: &HeldZone, at: UnixTime) -> Vec<Seen> {
    let Ok(content) = zone.served.content() else {
        return Vec::new();
    };
    let keys = content.keys().apex_rrsets().iter();
    let keys = keys.filter_map(|rrset| match rrset.rtype {
        RrType::DNSKEY => Some((Class::Dnskey, rrset.ttl)),
        RrType::CDS => Some((Class::Cds, rrset.ttl)),
        _ => None,
    });
    let ttls = keys.chain([
        (Class::Data, content.zone().largest_ttl()),
        (Class::NoData, content.zone().negative_ttl()),
    ]);
    ttls.map(|(class, ttl)| Seen {
        party: Party::Ours,
        source: FROM_WITHIN.to_owned(),
        class,
        value: String::new(),
        ttl: ttl.seconds().into(),
        asked: at,
        came: at,
    })
    .collect()
}

impl Observations {
    /// Notes what is about to be served, of the zones that change. What cannot be written now is written later.
    pub(super) fn note_served(
        &self,
        store: &dyn ObservationStore,
        config: &Config,
        before: &Held,
        held: &Held,
        at: UnixTime,
    ) {
        let is_new = |(name, zone): &(&Name, &std::sync::Arc<HeldZone>)| {
            let known = before.get(*name);
            known.is_none_or(|known| !std::sync::Arc::ptr_eq(known, zone))
        };
        let news = held.iter().filter(is_new).map(|(name, zone)| {
            let bounds = bounds(config, &zone.settings);
            (name.clone(), bounds, served(zone, at))
        });
        let news: Vec<News> = news.filter(|(.., seen)| !seen.is_empty()).collect();
        if let Err(error) = self.note(store, news, at) {
            tracing::warn!("{}", causes(&error));
        }
        lock(&self.logs).retain(|zone, _| held.contains_key(zone));
    }

    /// Notes what was seen at one time, and writes it down. What cannot be written is kept in memory, and written with
    /// what comes next.
    ///
    /// # Errors
    /// The first thing that could not be read or written.
    pub(super) fn note(
        &self,
        store: &dyn ObservationStore,
        news: Vec<News>,
        at: UnixTime,
    ) -> Result<(), ObservationError> {
        let _writing = lock(&self.writing);
        let mut failure = None;
        let mut written: Vec<(Name, Vec<Change>)> = Vec::new();
        for (zone, bounds, seen) in news {
            let is_read = lock(&self.logs).contains_key(&zone);
            if !is_read {
                match store.observations(zone.as_ref()) {
                    Ok(log) => drop(lock(&self.logs).insert(zone.clone(), log)),
                    Err(error) => {
                        failure.get_or_insert(error);
                        continue;
                    }
                }
            }
            let mut logs = lock(&self.logs);
            let log = logs.entry(zone.clone()).or_default();
            let merged = log.merged();
            log.note(seen, at, bounds);
            if merged == 0 && log.merged() > 0 {
                tracing::warn!(
                    %zone,
                    "more than {} observations would be kept: the oldest are merged, each with the largest TTL of those it stands for (`observations` in [monitor])",
                    bounds.entries
                );
            }
            let changes = log.changes();
            if !changes.is_empty() {
                written.push((zone, changes));
            }
        }
        if !written.is_empty()
            && let Err(error) = store.keep_observations(&written)
        {
            let mut logs = lock(&self.logs);
            for (zone, changes) in &written {
                if let Some(log) = logs.get_mut(zone) {
                    log.unwritten(changes);
                }
            }
            failure.get_or_insert(error);
        }
        failure.map_or(Ok(()), Err)
    }

    /// The TTLs with which caches may hold something of a zone; nothing while its log could not be read.
    pub(super) fn counting(&self, zone: &Name, at: UnixTime, bounds: Bounds) -> Option<Vec<Counted>> {
        Some(lock(&self.logs).get(zone)?.counting(at, bounds.beyond_ttl))
    }

    /// The largest TTLs that were given of a zone after this moment, at any look and from within.
    pub(super) fn given_since(&self, zone: &Name, at: UnixTime) -> Vec<(Party, Class, u64)> {
        let logs = lock(&self.logs);
        let given = logs.get(zone).map(|log| log.given_since(at)).unwrap_or_default();
        let given = given.into_iter();
        given
            .map(|(party, class, ttl)| (party.clone(), class, ttl))
            .collect()
    }

    /// Since when everybody shows what they show of a zone; nothing while its log could not be read.
    pub(super) fn standing(&self, zone: &Name) -> Option<Vec<Standing>> {
        Some(lock(&self.logs).get(zone)?.standing())
    }

    /// For `status`.
    pub(super) fn status(&self, zone: &Name, at: UnixTime, bounds: Bounds) -> Option<ObservedStatus> {
        let logs = lock(&self.logs);
        let log = logs.get(zone)?;
        let mut ttls: Vec<CountedTtl> = Vec::new();
        // The largest first: one that ended before it, or with it, says nothing more.
        for counted in log.counting(at, bounds.beyond_ttl) {
            let until = |ended: UnixTime| UnixTime(ended.0 + counted.ttl + bounds.beyond_ttl);
            let next = CountedTtl {
                of: counted.party.to_string(),
                class: counted.class.to_string(),
                ttl_seconds: counted.ttl,
                since: counted.since,
                counts_until: counted.ended.map(until),
            };
            let end = |ttl: &CountedTtl| ttl.counts_until.unwrap_or(UnixTime(u64::MAX));
            let is_told = ttls
                .iter()
                .any(|told| (&told.of, &told.class) == (&next.of, &next.class) && end(told) >= end(&next));
            if !is_told {
                ttls.push(next);
            }
        }
        Some(ObservedStatus {
            entries: log.len(),
            merged: log.merged(),
            ttls,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Absent, Store};

    const AT: UnixTime = UnixTime(1_800_000_000);
    const BOUNDS: Bounds = Bounds {
        entries: 500,
        beyond_ttl: 60,
    };

    fn ttl(class: Class, ttl: u64) -> Seen {
        Seen {
            party: Party::Ours,
            source: FROM_WITHIN.to_owned(),
            class,
            value: String::new(),
            ttl,
            asked: AT,
            came: AT,
        }
    }

    /// All of it at one moment.
    fn at_once(mut seen: Vec<Seen>, at: UnixTime) -> Vec<Seen> {
        for seen in &mut seen {
            (seen.asked, seen.came) = (at, at);
        }
        seen
    }

    fn later(seconds: u64) -> UnixTime {
        UnixTime(AT.0 + seconds)
    }

    /// A process that dies after each word loses nothing of it.
    #[test]
    fn a_ttl_that_was_lowered_is_known_over_restarts_until_no_cache_can_hold_it() {
        let folder = tempfile::tempdir().unwrap();
        let zone: Name = "example.".parse().unwrap();
        let run = |at: UnixTime, seen: Vec<Seen>| {
            let store = Store::open(folder.path(), Absent::Create).unwrap();
            let observations = Observations::default();
            observations
                .note(&store, vec![(zone.clone(), BOUNDS, at_once(seen, at))], at)
                .unwrap();
            let status = observations.status(&zone, at, BOUNDS).unwrap();
            let told = status
                .ttls
                .iter()
                .map(|ttl| (ttl.ttl_seconds, ttl.since, ttl.counts_until));
            told.collect::<Vec<_>>()
        };
        assert_eq!(run(AT, vec![ttl(Class::Dnskey, 86_400)]), [(86_400, AT, None)]);
        assert_eq!(run(later(9), Vec::new()), [(86_400, AT, None)]);
        let until = Some(later(10 + 86_400 + 60));
        let both = [(86_400, AT, until), (3_600, later(10), None)];
        assert_eq!(run(later(10), vec![ttl(Class::Dnskey, 3_600)]), both);
        assert_eq!(run(later(86_470), vec![ttl(Class::Dnskey, 3_600)]), both);
        assert_eq!(
            run(later(86_471), vec![ttl(Class::Dnskey, 3_600)]),
            [(3_600, later(10), None)]
        );
    }

    /// A full disk, a store that is shut: what was seen is written when it can be.
    #[test]
    fn what_could_not_be_written_is_written_with_what_comes_next() {
        #[derive(Debug)]
        struct Failing<'a>(&'a Store, std::sync::atomic::AtomicBool);
        impl ObservationStore for Failing<'_> {
            fn observations(&self, zone: crate::wire::NameRef<'_>) -> Result<Log, ObservationError> {
                self.0.observations(zone)
            }
            fn keep_observations(&self, changes: &[(Name, Vec<Change>)]) -> Result<(), ObservationError> {
                if self.1.load(std::sync::atomic::Ordering::Relaxed) {
                    return Err(ObservationError::Store("the disk is full".into()));
                }
                self.0.keep_observations(changes)
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Absent::Create).unwrap();
        let zone: Name = "example.".parse().unwrap();
        let failing = Failing(&store, true.into());
        let observations = Observations::default();
        let note = |at, seen| {
            let seen = at_once(vec![seen], at);
            observations.note(&failing, vec![(zone.clone(), BOUNDS, seen)], at)
        };
        note(AT, ttl(Class::Dnskey, 86_400)).unwrap_err();
        note(later(1), ttl(Class::Dnskey, 60)).unwrap_err();
        assert!(store.observations(zone.as_ref()).unwrap().is_empty());
        failing.1.store(false, std::sync::atomic::Ordering::Relaxed);
        note(later(2), ttl(Class::Data, 5)).unwrap();
        let kept = store.observations(zone.as_ref()).unwrap();
        let ttls: Vec<u64> = kept.entries().map(|entry| entry.ttl).collect();
        assert_eq!(ttls, [86_400, 60, 5]);
    }
}
