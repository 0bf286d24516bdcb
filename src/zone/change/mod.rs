//! A change of an immutable zone: records out and in, as an incremental transfer says them (RFC 1995 §4), and a new
//! zone that shares every shard in which nothing changes.
//!
//! ```text
//! Change::remove, Change::add      what the names hold then, checked record by record
//!   └─ names    which names come and go, their flags, what is below a cut
//!       └─ shards   the shards of those names anew, the signatures in them kept; the chain
//! ```
//! Ten records in a million names cost the shards that they are in. Two things look at every name: a cut or a DNAME
//! that comes or goes above names that stay, and a chain that was sorted before, where each name is eight octets.

mod names;
mod shards;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use super::{
    Entry,
    rules::{self, Import},
    snapshot::{NodeId, Zone},
};
use crate::wire::{Name, NameRef, RrType, Ttl, types};

/// Why a zone cannot be changed so. Whoever transferred the change asks for the whole zone instead (RFC 1995 §4).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ChangeError {
    /// A record that goes is not there.
    #[error("{owner} {rtype}: a record is to be removed that is not there")]
    NotThere {
        /// The owner.
        owner: Name,
        /// The type.
        rtype: RrType,
    },
    /// A record that comes is there.
    #[error("{owner} {rtype}: a record is to be added that is there already")]
    AlreadyThere {
        /// The owner.
        owner: Name,
        /// The type.
        rtype: RrType,
    },
    /// A record that goes is there with another TTL.
    #[error("{owner} {rtype}: a record with TTL {said} is to be removed; it has {held}")]
    OtherTtl {
        /// The owner.
        owner: Name,
        /// The type.
        rtype: RrType,
        /// The TTL that the change says.
        said: Ttl,
        /// The TTL that the record has.
        held: Ttl,
    },
    /// The records of an RRset had different TTLs, or would have: which each had is not kept.
    #[error("{owner} {rtype}: its records have different TTLs, which only a whole transfer can sort out")]
    Uneven {
        /// The owner.
        owner: Name,
        /// The type.
        rtype: RrType,
    },
    /// What would come of it is no zone.
    #[error("{what}")]
    Unfit {
        /// Why, in words.
        what: String,
    },
}

/// A zone that came of a change.
#[derive(Debug)]
pub struct Changed {
    /// The zone.
    pub zone: Zone,
    /// How many records of content went.
    pub removed: usize,
    /// How many came.
    pub added: usize,
    /// Records that are another signer's, and such outside the zone: they are passed over, both ways.
    pub passed_over: usize,
    /// The rdata of apex DNSKEY records among them that went.
    pub dnskeys_removed: Vec<Box<[u8]>>,
    /// Those that came.
    pub dnskeys_added: Vec<Box<[u8]>>,
}

/// A change of one zone that is being told. Removals and additions may be told in any order; what counts is what
/// the zone holds at that moment of the telling.
#[derive(Debug)]
pub struct Change<'z> {
    zone: &'z Zone,
    ttl_limit: Ttl,
    touched: HashMap<Box<[u8]>, Touched>,
    removed: usize,
    added: usize,
    passed_over: usize,
    dnskeys_removed: Vec<Box<[u8]>>,
    dnskeys_added: Vec<Box<[u8]>>,
}

/// The RRsets of a name as they are after what was told so far, as far as it spoke of them; an empty one is gone.
#[derive(Debug, Default)]
struct Touched {
    old: Option<NodeId>,
    sets: BTreeMap<u16, Records>,
}

/// The records of an RRset by their canonical rdata, which is their order (RFC 4034 §6.3).
type Records = BTreeMap<Box<[u8]>, Held>;

#[derive(Clone, PartialEq, Eq, Debug)]
struct Held {
    rdata: Box<[u8]>,
    ttl: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Out,
    In,
}

impl<'z> Change<'z> {
    /// Begins to change `zone`, which was built with this limit of TTLs.
    pub fn new(zone: &'z Zone, ttl_limit: Ttl) -> Self {
        Self {
            zone,
            ttl_limit,
            touched: HashMap::new(),
            removed: 0,
            added: 0,
            passed_over: 0,
            dnskeys_removed: Vec::new(),
            dnskeys_added: Vec::new(),
        }
    }

    /// Takes a record out.
    ///
    /// # Errors
    /// When it is not there as it is said.
    pub fn remove(&mut self, entry: &Entry<'_>) -> Result<(), ChangeError> {
        if self.passes_over(entry, Way::Out) {
            return Ok(());
        }
        let (owner, rtype) = (entry.owner, entry.rtype);
        let said = entry.ttl.min(self.ttl_limit);
        let canonical = canonical(entry);
        let set = self.set(owner, rtype)?;
        let Some(held) = set.get(&canonical) else {
            let owner = owner.to_owned();
            return Err(ChangeError::NotThere { owner, rtype });
        };
        if held.ttl != said.seconds() {
            let (owner, held) = (owner.to_owned(), Ttl::new(held.ttl));
            return Err(ChangeError::OtherTtl {
                owner,
                rtype,
                said,
                held,
            });
        }
        set.remove(&canonical);
        self.removed += 1;
        Ok(())
    }

    /// Puts a record in.
    ///
    /// # Errors
    /// When it is there.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<(), ChangeError> {
        if self.passes_over(entry, Way::In) {
            return Ok(());
        }
        let held = Held {
            rdata: entry.rdata.into(),
            ttl: entry.ttl.min(self.ttl_limit).seconds(),
        };
        let set = self.set(entry.owner, entry.rtype)?;
        if set.insert(canonical(entry), held).is_some() {
            let (owner, rtype) = (entry.owner.to_owned(), entry.rtype);
            return Err(ChangeError::AlreadyThere { owner, rtype });
        }
        self.added += 1;
        Ok(())
    }

    /// Whether the record is none that this server takes from a source of content.
    fn passes_over(&mut self, entry: &Entry<'_>, way: Way) -> bool {
        let apex = self.zone.apex();
        let inside = entry.owner.is_at_or_below(apex);
        let at_apex = entry.owner.len() == apex.len();
        if inside && rules::import(entry.rtype, at_apex) == Import::Content {
            return false;
        }
        self.passed_over += 1;
        if inside && at_apex && entry.rtype == RrType::DNSKEY {
            let list = match way {
                Way::Out => &mut self.dnskeys_removed,
                Way::In => &mut self.dnskeys_added,
            };
            if list.len() < super::build::MAX_FINDINGS {
                list.push(entry.rdata.into());
            }
        }
        true
    }

    /// The RRset of a name and type as it is now.
    fn set(&mut self, owner: NameRef<'_>, rtype: RrType) -> Result<&mut Records, ChangeError> {
        let lower = owner.to_lower();
        let name = lower.as_ref().as_wire();
        let zone = self.zone;
        if !zone.uneven.is_empty() && zone.uneven.contains(&(name.into(), rtype.0)) {
            let owner = owner.to_owned();
            return Err(ChangeError::Uneven { owner, rtype });
        }
        if !self.touched.contains_key(name) {
            let old = zone.id_of(name);
            let touched = Touched {
                old,
                ..Touched::default()
            };
            self.touched.insert(name.into(), touched);
        }
        let touched = self.touched.get_mut(name).expect("it is there by now");
        let old = touched.old;
        Ok(touched.sets.entry(rtype.0).or_insert_with(|| {
            let set = old.and_then(|old| zone.by_id(old).rrset(rtype));
            set.map_or_else(Records::new, |set| {
                let ttl = set.ttl().seconds();
                set.rdatas()
                    .map(|rdata| {
                        (
                            canonical_of(rtype, rdata),
                            Held {
                                rdata: rdata.into(),
                                ttl,
                            },
                        )
                    })
                    .collect()
            })
        }))
    }

    /// Makes the zone that comes of it.
    ///
    /// # Errors
    /// When it would break a rule that every zone keeps.
    pub fn finish(self) -> Result<Changed, ChangeError> {
        let plan = names::Plan::new(self.zone, self.touched)?;
        Ok(Changed {
            zone: shards::rebuild(&plan)?,
            removed: self.removed,
            added: self.added,
            passed_over: self.passed_over,
            dnskeys_removed: self.dnskeys_removed,
            dnskeys_added: self.dnskeys_added,
        })
    }
}

fn canonical(entry: &Entry<'_>) -> Box<[u8]> {
    canonical_of(entry.rtype, entry.rdata)
}

fn canonical_of(rtype: RrType, rdata: &[u8]) -> Box<[u8]> {
    let mut canonical = Vec::with_capacity(rdata.len());
    types::canonical_rdata(rtype, rdata, &mut canonical);
    canonical.into()
}
