//! The journal of plans that are carried out: table `runs` by apex and number, and `run-heads` by apex.

use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, TableError, WriteTransaction,
};

use super::{Store, StoreError};
use crate::{
    multisigner::execute::{
        Entry,
        journal::{DecodeError, Head, RunJournal, RunJournalError},
    },
    wire::{Name, NameRef},
};

const RUNS: TableDefinition<'_, (&[u8], u64), &[u8]> = TableDefinition::new("runs");
const HEADS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("run-heads");

/// The stored entries of a zone, and the head that was written with them.
type Stored = (Vec<Vec<u8>>, Option<Vec<u8>>);

fn read(database: &Database, wire: &[u8]) -> Result<Stored, redb::Error> {
    let transaction = database.begin_read()?;
    let heads = match transaction.open_table(HEADS) {
        Ok(heads) => heads,
        // A store of an earlier version, in which no plan was ever carried out.
        Err(TableError::TableDoesNotExist(_)) => return Ok((Vec::new(), None)),
        Err(error) => return Err(error.into()),
    };
    let head = heads.get(wire)?.map(|octets| octets.value().to_vec());
    let runs = transaction.open_table(RUNS)?;
    let entries = runs.range((wire, 0)..=(wire, u64::MAX))?;
    let entries = entries.map(|entry| Ok(entry?.1.value().to_vec()));
    Ok((entries.collect::<Result<Vec<_>, redb::Error>>()?, head))
}

/// The zones that have a journal, in lower-cased wire form.
pub(super) fn zones(database: &Database) -> Result<Vec<Vec<u8>>, redb::Error> {
    let transaction = database.begin_read()?;
    let heads = match transaction.open_table(HEADS) {
        Ok(heads) => heads,
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let zones = heads.iter()?.map(|entry| Ok(entry?.0.value().to_vec()));
    zones.collect()
}

/// A journal as it was read: what is added to it follows this.
pub(super) struct Read {
    pub(super) entries: Vec<Entry>,
    head: Head,
}

/// Reads a zone's journal, and compares it with what was written.
pub(super) fn read_verified(
    database: &Database,
    zone: NameRef<'_>,
) -> Result<Result<Read, DecodeError>, redb::Error> {
    let lower = zone.to_lower();
    let (stored, written) = read(database, lower.as_ref().as_wire())?;
    let mut head = Head::default();
    let entries = stored.iter().map(|octets| head.decode(zone, octets));
    let entries = entries.collect::<Result<Vec<Entry>, _>>();
    Ok(entries.and_then(|entries| {
        head.agrees(written.as_deref())?;
        Ok(Read { entries, head })
    }))
}

/// Adds entries behind those that were read.
pub(super) fn add(
    transaction: &WriteTransaction,
    zone: NameRef<'_>,
    after: &Read,
    entries: &[Entry],
) -> Result<(), redb::Error> {
    let lower = zone.to_lower();
    let wire = lower.as_ref().as_wire();
    let (first, mut head) = (after.head.count, after.head);
    let mut runs = transaction.open_table(RUNS)?;
    for (number, entry) in (first..).zip(entries) {
        runs.insert((wire, number), head.encode(zone, entry).as_slice())?;
    }
    transaction
        .open_table(HEADS)?
        .insert(wire, head.to_octets().as_slice())?;
    Ok(())
}

fn failed(error: StoreError) -> RunJournalError {
    RunJournalError::Store(Box::new(error))
}

impl Store {
    fn verified(&self, zone: NameRef<'_>) -> Result<Read, RunJournalError> {
        let read = self
            .with(|database| read_verified(database, zone))
            .map_err(failed)?;
        read.map_err(|error| RunJournalError::Spoiled {
            zone: zone.to_owned(),
            why: error.to_string(),
        })
    }

    /// Gives a spoiled journal up: what was in it is gone.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn forget_runs(&self, zone: NameRef<'_>) -> Result<(), StoreError> {
        let lower = zone.to_lower();
        let wire = lower.as_ref().as_wire();
        self.with(|database| {
            let transaction = database.begin_write()?;
            {
                let mut runs = transaction.open_table(RUNS)?;
                runs.retain_in((wire, 0)..=(wire, u64::MAX), |_, _| false)?;
                transaction.open_table(HEADS)?.remove(wire)?;
            }
            Ok(transaction.commit()?)
        })
    }
}

impl RunJournal for Store {
    fn run_entries(&self, zone: NameRef<'_>) -> Result<Vec<Entry>, RunJournalError> {
        Ok(self.verified(zone)?.entries)
    }

    fn append_run(&self, zone: &Name, entries: &[Entry]) -> Result<(), RunJournalError> {
        // Read again, for nothing is added to what was altered.
        let read = self.verified(zone.as_ref())?;
        let written = self.with(|database| {
            let transaction = database.begin_write()?;
            add(&transaction, zone.as_ref(), &read, entries)?;
            Ok(transaction.commit()?)
        });
        written.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::UnixTime, multisigner::execute::Event, store::Absent};

    fn entry(at: u64) -> Entry {
        let event = Event::Paused { why: "x".to_owned() };
        let at = UnixTime(at);
        Entry { at, event }
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn with_five() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Absent::Create).unwrap();
        let zone = name("Example.");
        store.append_run(&zone, &[entry(1), entry(2)]).unwrap();
        store.append_run(&name("other."), &[entry(9)]).unwrap();
        for at in 3..=5 {
            store.append_run(&zone, &[entry(at)]).unwrap();
        }
        (folder, store)
    }

    fn spoil(store: &Store, change: impl FnOnce(&mut redb::Table<'_, (&[u8], u64), &[u8]>)) {
        let spoiled = store.with(|database| {
            let transaction = database.begin_write()?;
            change(&mut transaction.open_table(RUNS)?);
            Ok(transaction.commit()?)
        });
        spoiled.unwrap();
    }

    #[test]
    fn entries_outlive_the_process_each_zone_by_itself() {
        let (folder, store) = with_five();
        drop(store);
        let store = Store::open(folder.path(), Absent::Refuse).unwrap();
        let entries = |zone: &str| store.run_entries(name(zone).as_ref()).unwrap();
        assert_eq!(entries("EXAMPLE."), (1..=5).map(entry).collect::<Vec<_>>());
        assert_eq!(entries("other."), [entry(9)]);
        assert_eq!(entries("none."), []);
    }

    #[test]
    fn what_was_cut_or_altered_is_recognised_and_not_added_to() {
        let zone = name("example.");
        let wire = zone.as_ref().as_wire().to_vec();
        for number in 0..5 {
            let (_folder, store) = with_five();
            spoil(&store, |runs| {
                drop(runs.remove((wire.as_slice(), number)).unwrap())
            });
            let error = store.run_entries(zone.as_ref()).unwrap_err();
            assert!(
                matches!(error, RunJournalError::Spoiled { .. }),
                "cut at {number}: {error}"
            );
            assert!(store.append_run(&zone, &[entry(6)]).is_err());

            let (_folder, store) = with_five();
            spoil(&store, |runs| {
                let mut octets = runs
                    .get((wire.as_slice(), number))
                    .unwrap()
                    .unwrap()
                    .value()
                    .to_vec();
                let at = octets.iter().rposition(|octet| octet.is_ascii_digit()).unwrap();
                octets[at] ^= 1;
                runs.insert((wire.as_slice(), number), octets.as_slice()).unwrap();
            });
            let error = store.run_entries(zone.as_ref()).unwrap_err();
            assert!(error.to_string().contains("cut or altered"), "{error}");
            // Other zones go on, and a person may give it up.
            assert_eq!(store.run_entries(name("other.").as_ref()).unwrap(), [entry(9)]);
            store.forget_runs(zone.as_ref()).unwrap();
            assert_eq!(store.run_entries(zone.as_ref()).unwrap(), []);
            store.append_run(&zone, &[entry(6)]).unwrap();
        }
    }

    #[test]
    fn an_entry_of_another_zone_is_no_entry() {
        let (_folder, store) = with_five();
        let (zone, other) = (name("example."), name("other."));
        spoil(&store, |runs| {
            let octets = runs
                .get((other.as_ref().as_wire(), 0))
                .unwrap()
                .unwrap()
                .value()
                .to_vec();
            runs.insert((zone.as_ref().as_wire(), 0), octets.as_slice())
                .unwrap();
        });
        assert!(store.run_entries(zone.as_ref()).is_err());
    }
}
