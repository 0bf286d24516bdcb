//! What was seen of every zone's servers: table `observations` by apex and number.

use std::collections::BTreeMap;

use redb::{Database, ReadableDatabase as _, TableDefinition, TableError};

use super::{Store, StoreError};
use crate::{
    multisigner::observations::{Change, Log, Observation, ObservationError, ObservationStore},
    wire::{Name, NameRef},
};

const OBSERVATIONS: TableDefinition<'_, (&[u8], u64), &[u8]> = TableDefinition::new("observations");

fn read(database: &Database, wire: &[u8]) -> Result<Vec<(u64, Vec<u8>)>, redb::Error> {
    let transaction = database.begin_read()?;
    let table = match transaction.open_table(OBSERVATIONS) {
        Ok(table) => table,
        // A store of an earlier version, which kept nothing of what it saw.
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let entries = table.range((wire, 0)..=(wire, u64::MAX))?;
    let entries = entries.map(|entry| {
        let (key, value) = entry?;
        Ok((key.value().1, value.value().to_vec()))
    });
    entries.collect()
}

fn write(database: &Database, changes: &[(Name, Vec<Change>)]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(OBSERVATIONS)?;
        for (zone, changes) in changes {
            let lower = zone.as_ref().to_lower();
            let wire = lower.as_ref().as_wire();
            for change in changes {
                match change {
                    Change::Put(number, entry) => {
                        table.insert((wire, *number), entry.encode().as_slice())?;
                    }
                    Change::Remove(number) => {
                        table.remove((wire, *number))?;
                    }
                }
            }
        }
    }
    Ok(transaction.commit()?)
}

fn failed(error: StoreError) -> ObservationError {
    ObservationError::Store(Box::new(error))
}

impl ObservationStore for Store {
    fn observations(&self, zone: NameRef<'_>) -> Result<Log, ObservationError> {
        let lower = zone.to_lower();
        let stored = self
            .with(|database| read(database, lower.as_ref().as_wire()))
            .map_err(failed)?;
        let mut entries = BTreeMap::new();
        for (number, octets) in stored {
            let entry = Observation::decode(&octets).map_err(|why| ObservationError::Spoiled {
                zone: zone.to_owned(),
                number,
                why,
            })?;
            entries.insert(number, entry);
        }
        Ok(Log::stored(entries))
    }

    fn keep_observations(&self, changes: &[(Name, Vec<Change>)]) -> Result<(), ObservationError> {
        self.with(|database| write(database, changes)).map_err(failed)
    }
}
