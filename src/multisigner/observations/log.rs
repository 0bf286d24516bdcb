//! The log of one zone. Pure: what is to be written comes out as changes.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::{Bounds, Class, Counted, LARGEST_TTL, Observation, Party, Seconds, Seen, Standing};
use crate::clock::UnixTime;

/// How far behind the store may be with when something was last seen: a look alone is no reason to write.
const BEHIND: Seconds = 600;

/// How far ahead of the clock an entry may be: what is more, the clock was wrong.
const AHEAD: Seconds = 3_600;

/// The value of merged entries that had several: none that can be seen.
const SEVERAL: &str = "several";

/// What is to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// This entry, new or changed.
    Put(u64, Observation),
    /// No such entry any more.
    Remove(u64),
}

/// A source, for one class.
type Source = (Party, String, Class);

/// What was seen of a zone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Log {
    /// By number, in the order in which they were first seen.
    entries: BTreeMap<u64, Observation>,
    /// The entry of what each source showed last.
    latest: BTreeMap<Source, u64>,
    /// What the store has of when those were last seen.
    stored: BTreeMap<u64, UnixTime>,
    /// What is still to be written.
    unwritten: BTreeSet<u64>,
}

fn source(entry: &Observation) -> Source {
    (entry.party.clone(), entry.source.clone(), entry.class)
}

impl Log {
    /// The log that was stored.
    pub fn stored(entries: BTreeMap<u64, Observation>) -> Self {
        let open = entries.iter().filter(|(_, entry)| entry.ended.is_none());
        let latest = open.map(|(number, entry)| (source(entry), *number)).collect();
        let stored = entries
            .iter()
            .map(|(number, entry)| (*number, entry.last))
            .collect();
        Self {
            entries,
            latest,
            stored,
            unwritten: BTreeSet::new(),
        }
    }

    /// Takes what was seen in one look, which is over.
    pub fn note(&mut self, seen: Vec<Seen>, at: UnixTime, bounds: Bounds) {
        self.correct(at);
        for seen in seen {
            let ttl = seen.ttl.min(LARGEST_TTL);
            let key = (seen.party, seen.source, seen.class);
            let latest = self.latest.get(&key).copied();
            let known = latest.and_then(|number| Some((number, self.entries.get_mut(&number)?)));
            // What is new counts from when it may have begun, and what it follows until when it may have ended.
            let (mut first, mut last) = (seen.asked.min(seen.came), seen.came);
            if let Some((number, entry)) = known {
                // A clock that was set back makes nothing earlier.
                (first, last) = (first.max(entry.last), last.max(entry.last));
                if entry.value == seen.value && entry.ttl == ttl {
                    entry.last = last;
                    let stored = self.stored.get(&number).copied().unwrap_or_default();
                    if last.since(stored).as_secs() >= BEHIND {
                        self.unwritten.insert(number);
                    }
                    continue;
                }
                entry.ended = Some(last);
                self.unwritten.insert(number);
            }
            let (party, source, class) = key.clone();
            let number = self.entries.last_key_value().map_or(0, |(last, _)| last + 1);
            let entry = Observation {
                party,
                source,
                class,
                value: seen.value,
                ttl,
                first,
                last,
                ended: None,
                merged: 0,
            };
            self.entries.insert(number, entry);
            self.latest.insert(key, number);
            self.unwritten.insert(number);
        }
        self.drop_old(at, bounds);
        self.merge(bounds);
    }

    /// What was noted while the clock was far ahead was seen by now; else it would count for years.
    fn correct(&mut self, now: UnixTime) {
        for (number, entry) in &mut self.entries {
            let latest = entry.ended.unwrap_or(entry.last).max(entry.last);
            if latest.since(now).as_secs() > AHEAD {
                entry.first = entry.first.min(now);
                entry.last = entry.last.min(now);
                entry.ended = entry.ended.map(|ended| ended.min(now));
                self.unwritten.insert(*number);
            }
        }
    }

    /// What no wait can come upon any more, whatever its TTL.
    fn drop_old(&mut self, at: UnixTime, bounds: Bounds) {
        let window = LARGEST_TTL + bounds.beyond_ttl + BEHIND;
        let is_old = |entry: &Observation| at.since(entry.ended.unwrap_or(entry.last)).as_secs() > window;
        let old = self.entries.iter().filter(|(_, entry)| is_old(entry));
        let old: Vec<u64> = old.map(|(number, _)| *number).collect();
        old.into_iter().for_each(|number| self.remove(number));
    }

    /// Merges the oldest that ended, until there are no more than are wanted.
    fn merge(&mut self, bounds: Bounds) {
        while self.entries.len() > bounds.entries {
            let Some((older, younger)) = self.oldest_pair() else {
                return;
            };
            let Some(old) = self.entries.get(&older).cloned() else {
                return;
            };
            if let Some(entry) = self.entries.get_mut(&younger) {
                let expires = |entry: &Observation| entry.ended.map_or(0, |ended| ended.0) + entry.ttl;
                let expiry = expires(&old).max(expires(entry));
                entry.ttl = entry.ttl.max(old.ttl);
                entry.first = entry.first.min(old.first);
                // So that it counts exactly as long as the one of the two that counted longest.
                entry.ended = Some(UnixTime(expiry.saturating_sub(entry.ttl)));
                if entry.source != old.source {
                    entry.source = "several servers".to_owned();
                }
                if entry.value != old.value {
                    SEVERAL.clone_into(&mut entry.value);
                }
                entry.merged += old.merged + 1;
                self.unwritten.insert(younger);
            }
            self.remove(older);
        }
    }

    /// The first two entries of one source that ended, or of one party and class.
    fn oldest_pair(&self) -> Option<(u64, u64)> {
        let ended = || self.entries.iter().filter(|(_, entry)| entry.ended.is_some());
        let mut of_source = BTreeMap::new();
        let same_source = ended().find_map(|(number, entry)| {
            let before = of_source.insert(source(entry), *number)?;
            Some((before, *number))
        });
        let mut of_party = BTreeMap::new();
        let same_party = || {
            ended().find_map(|(number, entry)| {
                let before = of_party.insert((entry.party.clone(), entry.class), *number)?;
                Some((before, *number))
            })
        };
        same_source.or_else(same_party)
    }

    fn remove(&mut self, number: u64) {
        if let Some(entry) = self.entries.remove(&number) {
            let key = source(&entry);
            if self.latest.get(&key) == Some(&number) {
                self.latest.remove(&key);
            }
            // What the store never had needs no word there.
            if self.stored.contains_key(&number) {
                self.unwritten.insert(number);
            } else {
                self.unwritten.remove(&number);
            }
        }
    }

    /// What is to be written, once; [`Log::unwritten`] gives it back.
    pub fn changes(&mut self) -> Vec<Change> {
        let numbers = std::mem::take(&mut self.unwritten);
        let change = |number: u64| match self.entries.get(&number) {
            Some(entry) => {
                self.stored.insert(number, entry.last);
                Change::Put(number, entry.clone())
            }
            None => {
                self.stored.remove(&number);
                Change::Remove(number)
            }
        };
        numbers.into_iter().map(change).collect()
    }

    /// What could not be written is to be written still.
    pub fn unwritten(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Put(number, _) => self.unwritten.insert(*number),
                // It may be there, or not.
                Change::Remove(number) => {
                    self.stored.entry(*number).or_default();
                    self.unwritten.insert(*number)
                }
            };
        }
    }

    /// The TTLs with which caches may hold something: by party and class, the largest first. `beyond_ttl`: how long
    /// after its TTL something may be held or still be served.
    pub fn counting(&self, at: UnixTime, beyond_ttl: Seconds) -> Vec<Counted> {
        // Of one TTL, since when it was given first, and when it was given up last (`None` is never): with all its changes in
        // between that says the same.
        let mut of_ttl = BTreeMap::new();
        for entry in self.entries.values() {
            // A source that is asked no more has no end that was seen.
            let seen = entry
                .ended
                .unwrap_or(UnixTime(entry.last.0.saturating_add(BEHIND)));
            if at.since(seen).as_secs() <= entry.ttl + beyond_ttl {
                let ttl = (&entry.party, entry.class, Reverse(entry.ttl));
                let (since, ended) = of_ttl.entry(ttl).or_insert((entry.first, entry.ended));
                *since = entry.first.min(*since);
                *ended = ended.and_then(|known| Some(known.max(entry.ended?)));
            }
        }
        // What still goes on is the last to end.
        let end = |counted: &Counted| counted.ended.unwrap_or(UnixTime(u64::MAX));
        let same = |one: &Counted, other: &Counted| (&one.party, one.class) == (&other.party, other.class);
        // One that is no larger and ended no later adds nothing, unless it was there earlier.
        let mut least: Vec<Counted> = Vec::new();
        for ((party, class, Reverse(ttl)), (since, ended)) in of_ttl {
            let counted = Counted {
                party: party.clone(),
                class,
                ttl,
                since,
                ended,
            };
            let larger = least.iter().rev().take_while(|known| same(known, &counted));
            let mut larger = larger.filter(|known| end(known) >= end(&counted));
            if !larger.any(|known| known.since <= counted.since) {
                least.push(counted);
            }
        }
        least
    }

    /// The largest TTL of each class that was given after this moment, however short.
    pub fn given_since(&self, at: UnixTime) -> Vec<(&Party, Class, Seconds)> {
        let mut largest: BTreeMap<(&Party, Class), Seconds> = BTreeMap::new();
        let given = |entry: &&Observation| entry.ended.unwrap_or(entry.last) > at;
        for entry in self.entries.values().filter(given) {
            let known = largest.entry((&entry.party, entry.class)).or_default();
            *known = entry.ttl.max(*known);
        }
        let largest = largest.into_iter();
        largest.map(|((party, class), ttl)| (party, class, ttl)).collect()
    }

    /// Since when each party shows what it shows of each class. A source that was never asked before makes younger
    /// nothing that others have shown for longer.
    pub fn standing(&self) -> Vec<Standing> {
        let mut of_class: BTreeMap<(&Party, Class), Vec<&Observation>> = BTreeMap::new();
        for ((party, _, class), number) in &self.latest {
            let latest = self.entries.get(number);
            of_class.entry((party, *class)).or_default().extend(latest);
        }
        let standing = of_class.into_iter().filter_map(|((party, class), latest)| {
            Some(Standing {
                party: party.clone(),
                class,
                since: self.since(&latest)?,
            })
        });
        standing.collect()
    }

    /// Since when all these sources of a class show one value.
    fn since(&self, latest: &[&Observation]) -> Option<UnixTime> {
        let newest = latest.iter().max_by_key(|entry| entry.last)?;
        let (mut changed, mut began) = (None, None);
        for entry in latest {
            if entry.value != newest.value {
                // A source that is asked no more may have shown it for longer than the store knows.
                let seen = entry.last.0.saturating_add(BEHIND);
                changed = changed.max(Some(UnixTime(seen).min(newest.last)));
                continue;
            }
            let is_of_source = |other: &&Observation| source(other) == source(entry);
            let mut first = entry.first;
            let mut before = self.entries.values().rev().filter(is_of_source);
            let other = before.find(|before| {
                let is_same = before.value == entry.value;
                if is_same {
                    first = before.first.min(first);
                }
                !is_same
            });
            match other {
                // It may have shown the other until the answer came that was new.
                Some(other) => changed = changed.max(Some(first)).max(other.ended),
                None => began = Some(began.map_or(first, |known: UnixTime| known.min(first))),
            }
        }
        changed.or(began)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was seen yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many are merged into others.
    pub fn merged(&self) -> u64 {
        self.entries.values().map(|entry| entry.merged).sum()
    }

    /// All entries, the first seen first.
    pub fn entries(&self) -> impl Iterator<Item = &Observation> {
        self.entries.values()
    }
}
