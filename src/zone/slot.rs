//! Where the signatures of an RRset are kept: one pointer an RRset, swapped whole, read without a lock.
//!
//! What is kept here says itself by whom it was made and how long it may be served, so that a switch of keys
//! voids every slot at once without touching one.

use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};

use crate::{clock::UnixTime, wire::message::Rendered};

/// An RRset rendered with its signatures.
#[derive(Debug)]
pub struct Signed {
    /// Who made it: changes with the keys that sign, the published key set, and the way of denial.
    pub issuer: u64,
    /// Not served before: the latest inception of its signatures.
    pub good_from: UnixTime,
    /// Made anew from here on, when there is time.
    pub refresh_at: UnixTime,
    /// Not served after: so long does the validity left exceed the TTL (RFC 6781 §4.4.2).
    pub good_until: UnixTime,
    /// The records, for a question at their owner.
    pub rendered: Rendered,
}

impl Signed {
    /// Whether it may be served at `now` by `issuer`.
    pub fn is_good(&self, issuer: u64, now: UnixTime) -> bool {
        self.issuer == issuer && self.good_from <= now && now <= self.good_until
    }
}

/// Holds the newest [`Signed`] of an RRset, or none.
#[derive(Default, Debug)]
pub struct Slot(ArcSwapOption<Signed>);

impl Slot {
    /// What is there.
    pub fn load(&self) -> Guard<Option<Arc<Signed>>> {
        self.0.load()
    }

    /// What is there, to keep.
    pub fn load_full(&self) -> Option<Arc<Signed>> {
        self.0.load_full()
    }

    /// Puts a newer one there. Two that sign at once both succeed; one of them stays.
    pub fn store(&self, signed: Arc<Signed>) {
        self.0.store(Some(signed));
    }

    /// Takes over what another slot holds: the same RRset in the zone that was served before.
    pub fn copy_from(&self, other: &Slot) {
        self.0.store(other.0.load_full());
    }
}
