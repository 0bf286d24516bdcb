//! The last good time; and a clock that was set: the good time, and the journal of every plan that is carried out, all in
//! one transaction. So nothing is told to some plans and not to others, whatever dies or fails in between.

use std::time::Duration;

use redb::{Database, ReadableDatabase as _, WriteTransaction};

use super::{META, Store, StoreError, runs};
use crate::{
    clock::{
        UnixTime, Uptime,
        guard::{LastGood, Setting},
    },
    multisigner::execute::{Entry, Event, Run, Stage},
    wire::Name,
};

/// Which plans were told that the clock was set.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Told {
    /// The zones whose plan was told, and what.
    pub zones: Vec<(Name, Event)>,
    /// Zones whose journal cannot be read, and why: nothing goes on there, and nothing is told.
    pub spoiled: Vec<(Name, String)>,
}

fn keep_good_time(transaction: &WriteTransaction, good: LastGood) -> Result<(), redb::Error> {
    let mut meta = transaction.open_table(META)?;
    meta.insert("last-good-time", good.at.0)?;
    match good.uptime {
        Some(Uptime { of, lasts }) => {
            meta.insert("uptime-at", good.at.0)?;
            meta.insert("uptime-of", of)?;
            meta.insert("uptime", lasts.as_secs())?;
        }
        None => drop(meta.remove("uptime-at")?),
    }
    Ok(())
}

/// What a journal is to be told of it.
fn event(entries: &[Entry], setting: &Setting) -> Result<Option<Event>, String> {
    let run = Run::read(entries).map_err(|fault| fault.to_string())?;
    let run = run.filter(|run| !matches!(run.stage, Stage::Over(_)));
    Ok(run.and_then(|run| run.clock_set(setting.from, setting.to, !setting.by_person)))
}

fn set(database: &Database, setting: &Setting) -> Result<Told, redb::Error> {
    // Begun before anything is read: nobody else writes until it ends.
    let transaction = database.begin_write()?;
    let mut told = Told::default();
    for wire in runs::zones(database)? {
        let Ok(zone) = Name::from_wire(&wire) else {
            continue;
        };
        let read = runs::read_verified(database, zone.as_ref())?.map_err(|error| error.to_string());
        match read.and_then(|read| Ok((event(&read.entries, setting)?, read))) {
            Ok((None, _)) => {}
            Ok((Some(event), read)) => {
                let entry = Entry {
                    at: setting.to,
                    event: event.clone(),
                };
                runs::add(&transaction, zone.as_ref(), &read, &[entry])?;
                told.zones.push((zone, event));
            }
            Err(why) => told.spoiled.push((zone, why)),
        }
    }
    keep_good_time(&transaction, setting.good())?;
    transaction.commit()?;
    Ok(told)
}

impl Store {
    /// The last wall time that was taken for sane; `None` before the first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn last_good_time(&self) -> Result<Option<LastGood>, StoreError> {
        self.with(|database| {
            let meta = database.begin_read()?.open_table(META)?;
            let number = |name| Ok::<_, redb::Error>(meta.get(name)?.map(|value| value.value()));
            let (at, of, lasts) = (number("uptime-at")?, number("uptime-of")?, number("uptime")?);
            let uptime = of.zip(lasts).map(|(of, lasts)| Uptime {
                of,
                lasts: Duration::from_secs(lasts),
            });
            let good = number("last-good-time")?.map(|good| LastGood {
                at: UnixTime(good),
                // A version before this one writes the time alone.
                uptime: uptime.filter(|_| at == Some(good)),
            });
            Ok(good)
        })
    }

    /// Keeps a wall time that was taken for sane.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn keep_good_time(&self, good: impl Into<LastGood>) -> Result<(), StoreError> {
        let good = good.into();
        self.with(|database| {
            let transaction = database.begin_write()?;
            keep_good_time(&transaction, good)?;
            Ok(transaction.commit()?)
        })
    }

    /// Keeps the time that is to be taken for right, and tells every plan that is carried out, of whatever zone: all of
    /// it, or nothing. What was told already is not told again. While this runs nobody else may go on with a plan.
    ///
    /// # Errors
    /// When the store cannot be read or written, or it is not known whether it was: said again, it ends well.
    pub fn set_clock(&self, setting: &Setting) -> Result<Told, StoreError> {
        self.with(|database| set(database, setting))
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use super::*;
    use crate::{
        clock::{Clock as _, SimulatedClock, guard::GuardedClock},
        disk::simulated::{Death, SimulatedDisk},
        multisigner::execute::{
            journal::{RunJournal as _, last_run},
            tests::roll,
        },
    };

    const NOW: UnixTime = UnixTime(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3_600);
    /// The last entry of each journal, behind the good time that was kept.
    const LAST: UnixTime = UnixTime(NOW.0 + 600);
    const ACTIVE: [&str; 3] = ["a.example.", "b.example.", "."];
    const OVER: &str = "over.example.";

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    /// What stands in the journals of zones after an hour of a plan.
    fn fill(store: &Store) {
        store.keep_good_time(NOW).unwrap();
        let mut plan = roll();
        plan.situation.at = NOW.minus(HOUR);
        let adopted = Event::Adopted {
            plan: Box::new(plan),
            force: None,
        };
        let why = "x".to_owned();
        let ends = [
            Event::Paused { why: why.clone() },
            Event::Aborted { why, as_it_is: false },
        ];
        let of_all = ACTIVE.iter().map(|zone| (*zone, &ends[0]));
        for (zone, end) in of_all.chain([(OVER, &ends[1])]) {
            let entries = [(NOW.minus(HOUR), &adopted), (LAST, end)];
            let entries = entries.map(|(at, event)| Entry {
                at,
                event: event.clone(),
            });
            store.append_run(&name(zone), &entries).unwrap();
        }
    }

    /// A process whose clock shows this, and that ran for five minutes before it did.
    fn guard(store: &Store, wall: UnixTime) -> GuardedClock {
        let clock = Arc::new(SimulatedClock::new(LAST));
        let guard = GuardedClock::new(clock.clone(), store.last_good_time().unwrap());
        clock.advance(Duration::from_secs(300));
        clock.jump(wall);
        guard
    }

    /// A process that begins with a clock that shows this.
    fn begins(store: &Store, wall: UnixTime) -> GuardedClock {
        let clock = Arc::new(SimulatedClock::new(wall));
        GuardedClock::new(clock, store.last_good_time().unwrap())
    }

    fn run_of(store: &Store, zone: &str) -> Run {
        last_run(store, name(zone).as_ref()).unwrap().unwrap()
    }

    /// Every plan that is carried out was told once, and no other.
    fn is_told(store: &Store, to: UnixTime) {
        for zone in ACTIVE {
            let entries = store.run_entries(name(zone).as_ref()).unwrap();
            let mut told = entries.iter().skip(2).map(|entry| &entry.event);
            let Some(Event::ClockSet { from, to: at, .. }) = told.next() else {
                panic!("{zone} was not told");
            };
            assert_eq!((*at, told.next()), (to, None), "{zone} was told once");
            assert!((LAST..=LAST.plus(HOUR)).contains(from), "{zone}: {from}");
            // An hour had passed of the plan, and has still, where the clock was behind.
            let passed = to.since(run_of(store, zone).plan.situation.at);
            let expected = if to > *from {
                from.since(NOW.minus(HOUR))
            } else {
                Duration::ZERO
            };
            assert_eq!(passed, expected, "{zone}");
        }
        assert_eq!(store.run_entries(name(OVER).as_ref()).unwrap().len(), 2);
        assert_eq!(store.last_good_time().unwrap().unwrap().at, to);
    }

    fn nobody_is_told(store: &Store) {
        for zone in ACTIVE {
            assert_eq!(store.run_entries(name(zone).as_ref()).unwrap().len(), 2, "{zone}");
        }
        assert_eq!(store.last_good_time().unwrap(), Some(NOW.into()));
    }

    /// Ahead by weeks, and behind all that was journaled.
    const SETTINGS: [UnixTime; 2] = [UnixTime(NOW.0 + 2_000_000), UnixTime(NOW.0 - 2_000_000)];

    #[test]
    fn an_uptime_is_that_of_the_good_time_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), super::super::Absent::Create).unwrap();
        let good = |at| LastGood {
            at: UnixTime(at),
            uptime: Some(Uptime {
                of: 1,
                lasts: Duration::from_secs(7),
            }),
        };
        store.keep_good_time(good(77)).unwrap();
        store.keep_good_time(UnixTime(77)).unwrap();
        assert_eq!(store.last_good_time().unwrap(), Some(UnixTime(77).into()));
        store.keep_good_time(good(78)).unwrap();
        assert_eq!(store.last_good_time().unwrap(), Some(good(78)));
        // An earlier version of this program, in between.
        store.keep_good_time(good(77)).unwrap();
        let earlier = store.with(|database| {
            let transaction = database.begin_write()?;
            transaction.open_table(META)?.insert("last-good-time", 99)?;
            Ok(transaction.commit()?)
        });
        earlier.unwrap();
        assert_eq!(store.last_good_time().unwrap(), Some(UnixTime(99).into()));
    }

    #[test]
    fn all_plans_are_told_or_none_whatever_dies_and_when() {
        for to in SETTINGS {
            for death in [Death::Killed, Death::PowerLoss] {
                let (mut none, mut all) = (0, 0);
                for after in 0.. {
                    let disk = SimulatedDisk::new(after);
                    let store = Store::simulated(&disk.process()).unwrap();
                    fill(&store);
                    let setting = guard(&store, to).setting().unwrap();
                    disk.strike(after, death);
                    let done = store.set_clock(&setting).is_ok();
                    let died = disk.death().is_some();
                    drop(store);
                    let store = Store::simulated(&disk.restart(death)).unwrap();
                    if store.last_good_time().unwrap() == Some(NOW.into()) {
                        assert!(!done, "what was said to be done is done");
                        nobody_is_told(&store);
                        none += 1;
                    } else {
                        is_told(&store, to);
                        all += 1;
                    }
                    // It is said again, and ends well.
                    let setting = begins(&store, to).setting().unwrap();
                    store.set_clock(&setting).unwrap();
                    is_told(&store, to);
                    if !died {
                        break;
                    }
                }
                assert!(none > 3 && all > 0, "{none} {all}");
            }
        }
    }

    #[test]
    fn all_plans_are_told_or_none_when_the_disk_fails_or_is_full() {
        let to = SETTINGS[0];
        for after in 0.. {
            let disk = SimulatedDisk::new(after);
            let store = Store::simulated(&disk.process()).unwrap();
            fill(&store);
            let setting = guard(&store, to).setting().unwrap();
            disk.fail(after, io::ErrorKind::Other);
            if store.set_clock(&setting).is_ok() {
                is_told(&store, to);
                assert!(after > 3, "it takes more than {after} operations");
                break;
            }
            disk.spare();
            let store = match store.set_clock(&setting) {
                Ok(_) => store,
                // After a failed sync a restart alone helps.
                Err(_) => Store::simulated(&disk.restart(Death::Killed)).unwrap(),
            };
            store.set_clock(&setting).unwrap();
            is_told(&store, to);
        }
        let disk = SimulatedDisk::new(1);
        let store = Store::simulated(&disk.process()).unwrap();
        fill(&store);
        disk.fill(true);
        super::super::full_disk::append_until_full(&store);
        let setting = guard(&store, to).setting().unwrap();
        store.set_clock(&setting).unwrap_err();
        nobody_is_told(&store);
        disk.fill(false);
        store.set_clock(&setting).unwrap();
        is_told(&store, to);
    }

    /// The clock was behind, was set right, and a process begins: nobody can know that this time has not passed. All that
    /// matters is in the store, and a process that dies before it was written leaves it to the next.
    #[test]
    fn a_process_that_begins_with_unwatched_time_tells_it_once() {
        let to = SETTINGS[0];
        let store = Store::simulated(&SimulatedDisk::new(1).process()).unwrap();
        fill(&store);
        for _ in 0..2 {
            let guard = begins(&store, to);
            let judged = guard.observe();
            if let Some(good) = guard.last_good(&judged) {
                store.keep_good_time(good).unwrap();
            }
            let setting = begins(&store, to).unsettled();
            let setting = setting.map(|setting| (setting.from, setting.to, setting.by_person));
            assert_eq!(setting, Some((NOW, to, false)));
        }
        let guard = begins(&store, to);
        store.set_clock(&guard.unsettled().unwrap()).unwrap();
        is_told(&store, to);
        assert_eq!(run_of(&store, ACTIVE[0]).unwatched, Some((LAST, to)));
        let guard = begins(&store, to);
        assert!(guard.unsettled().is_none() && guard.now() == to);
    }

    #[test]
    fn a_spoiled_journal_is_named_and_keeps_no_other_from_being_told() {
        let to = SETTINGS[1];
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), super::super::Absent::Create).unwrap();
        fill(&store);
        let spoiled = "a.spoiled.example.";
        let why = "x".to_owned();
        let entry = Entry {
            at: NOW,
            event: Event::Paused { why },
        };
        store.append_run(&name(spoiled), &[entry]).unwrap();
        let told = store.set_clock(&guard(&store, to).setting().unwrap()).unwrap();
        is_told(&store, to);
        assert_eq!(told.zones.len(), ACTIVE.len());
        let [(zone, why)] = &told.spoiled[..] else {
            panic!("{told:?}");
        };
        assert_eq!(*zone, name(spoiled));
        assert!(why.contains("does not begin with a plan"), "{why}");
    }
}
