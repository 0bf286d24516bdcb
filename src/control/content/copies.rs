//! The durable copies of zones that are fetched: read at a start, written by whoever fetches.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{Content, incoming, origin_of, ttl_limit};
use crate::{
    clock::UnixTime, config::ZoneSettings, control::zones::causes, store::replica::Replica, wire::Name,
};

/// The copies of all zones.
#[derive(Debug)]
pub struct Copies {
    state: PathBuf,
    known: Mutex<BTreeMap<Name, Arc<Mutex<Replica>>>>,
    /// When copies were last known to be current, as they were read.
    current: Mutex<BTreeMap<Name, UnixTime>>,
}

/// What a copy gives at a start.
#[derive(Debug)]
pub enum FromCopy {
    /// There is none.
    Nothing,
    /// The content, and when it was last known to be current.
    Content(Box<Content>, UnixTime),
    /// It cannot be used, and why.
    Unusable(String),
}

impl Copies {
    /// Those in a server's state folder.
    pub fn new(state: &Path) -> Self {
        Self {
            state: state.to_owned(),
            known: Mutex::default(),
            current: Mutex::default(),
        }
    }

    /// The copy of a zone. Only one writes it at a time: whoever fetches the zone.
    pub fn of(&self, apex: &Name) -> Arc<Mutex<Replica>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let of_zone = known
            .entry(apex.clone())
            .or_insert_with(|| Arc::new(Mutex::new(Replica::new(&self.state, apex))));
        Arc::clone(of_zone)
    }

    /// Reads the copy of a zone.
    pub fn read(&self, zone: &ZoneSettings, hasher: &ahash::RandomState) -> FromCopy {
        let replica = self.of(&zone.origin);
        let mut replica = replica.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = ttl_limit(zone.signature_validity);
        match incoming::read_copy(&zone.origin, limit, &mut replica, hasher) {
            Ok(None) => FromCopy::Nothing,
            Ok(Some((content, current_at))) => {
                let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
                // What came from elsewhere is served until this source gives something, and proves nothing of it.
                let same = content.fetched.as_ref().map(|fetched| &fetched.origin)
                    == origin_of(&zone.source).as_ref();
                if same {
                    current.insert(zone.origin.clone(), current_at);
                }
                FromCopy::Content(Box::new(content), current_at)
            }
            Err(error) => FromCopy::Unusable(causes(&error)),
        }
    }

    /// When a zone's copy was last known to be current, as it was read.
    pub fn current_at(&self, apex: &Name) -> Option<UnixTime> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.get(apex).copied()
    }
}
