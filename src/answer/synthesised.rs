//! Signatures of records that are in no zone: compact denials, expanded wildcards, narrow NSEC3. A bounded cache,
//! which a flood of names may churn without touching what real names have.

use std::{
    fmt,
    hash::{BuildHasher, Hash, Hasher},
};

use ahash::RandomState;
use quick_cache::{Equivalent, sync::Cache};

use crate::{
    wire::{NameRef, RrType, Ttl},
    zone::slot::{Kept, Signed},
};

/// Signed records by what they say: a different rdata or TTL is a different entry, so nothing stale is found.
pub struct Synthesised {
    cache: Cache<Key, Kept<Signed>>,
    hasher: RandomState,
}

impl fmt::Debug for Synthesised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Synthesised {{ {} }}", self.cache.len())
    }
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    issuer: u32,
    content: u64,
    rtype: u16,
    owner: Box<[u8]>,
}

/// A key that borrows its owner, for looking up.
#[derive(Hash, Clone, Copy)]
pub struct KeyRef<'a> {
    issuer: u32,
    content: u64,
    rtype: u16,
    owner: &'a [u8],
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.issuer == key.issuer
            && self.content == key.content
            && self.rtype == key.rtype
            && *self.owner == *key.owner
    }
}

impl Synthesised {
    /// Keeps at most `entries`.
    pub fn new(entries: usize) -> Self {
        Self {
            cache: Cache::new(entries),
            hasher: RandomState::new(),
        }
    }

    /// The key of an RRset that `issuer` signs.
    pub fn key<'a, 'r>(
        &self,
        issuer: u32,
        owner: NameRef<'a>,
        rtype: RrType,
        ttl: Ttl,
        rdatas: impl IntoIterator<Item = &'r [u8]>,
    ) -> KeyRef<'a> {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u32(ttl.seconds());
        for rdata in rdatas {
            hasher.write_usize(rdata.len());
            hasher.write(rdata);
        }
        let content = hasher.finish();
        KeyRef {
            issuer,
            content,
            rtype: rtype.0,
            owner: owner.as_wire(),
        }
    }

    /// What is kept under a key.
    pub fn get(&self, key: &KeyRef<'_>) -> Option<Kept<Signed>> {
        self.cache.get(key)
    }

    /// Keeps it.
    pub fn insert(&self, key: &KeyRef<'_>, signed: Kept<Signed>) {
        let key = Key {
            issuer: key.issuer,
            content: key.content,
            rtype: key.rtype,
            owner: key.owner.into(),
        };
        self.cache.insert(key, signed);
    }
}
