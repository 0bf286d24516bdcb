//! Whom a client command turns to: the server that runs on the state folder, or else the store itself. Where
//! there is no state, none is made.

use std::{path::Path, sync::Arc};

use super::outcome::Failure;
use crate::{
    clock::{SystemClock, guard::GuardedClock},
    control::{Client, ClientError},
    store::{Absent, Store, StoreError},
};

pub(super) enum Access {
    /// A server runs.
    Server(Client),
    /// None does; the store is ours for now, and the clock is judged by what it knows.
    Store(Store, GuardedClock),
    /// There is no state; the error says where we looked.
    Nothing(ClientError),
}

/// Finds out. A server that holds the store and does not answer is a failure: two must not write.
pub(super) fn open(state: &Path) -> Result<Access, Failure> {
    let client = match Client::new(state) {
        Err(absent) if absent.is_absent() => return Ok(Access::Nothing(absent)),
        client => client?,
    };
    let absent = match client.look() {
        Ok(()) => return Ok(Access::Server(client)),
        Err(absent) if absent.is_absent() => absent,
        Err(error) => return Err(error.into()),
    };
    match Store::open(state, Absent::Refuse) {
        Ok(store) => {
            let last_good = store.last_good_time()?;
            Ok(Access::Store(
                store,
                GuardedClock::new(Arc::new(SystemClock::default()), last_good),
            ))
        }
        Err(StoreError::Missing { .. }) => Ok(Access::Nothing(absent)),
        Err(error @ StoreError::Held { .. }) => Err(Failure::from(error)
            .context("a server starts or stops on this state folder")
            .advice("try again in a moment")),
        Err(error) => Err(error.into()),
    }
}
