//! What a zone does with questions that need a synthesised signature when more of them come than the budget is for.
//!
//! | [`Overload`] | [`Beyond`] the budget |
//! |---|---|
//! | `auto` | ranges where this is the zone's only signer, else TC |
//! | `ranges` | ranges: the operator's word that the other signers have the same names |
//! | `truncate` | TC: an honest resolver comes again over TCP |
//! | `off` | it signs on: no budget for this zone |
//!
//! **Ranges** are exact NSEC (RFC 4035 §3.1.3) and the wildcard's own signature with the proof of no closer match
//! (§3.1.3.3), as in [`Denial::Nsec`]: there are only as many such signatures as names, and each is kept once made. A
//! range denies every name in it. Another signer may have names that this one lacks, and a resolver that holds our
//! range would deny them from its cache (RFC 8198), so beside another signer ranges take a person's word. Nothing that
//! this server sees proves the contents equal: a serial at a provider's API is a hint, and leaves out what only the
//! provider has.
//!
//! **Compact and exact NSEC are true together.** Both say of the same content what does not exist. A compact NSEC owns
//! the name that was asked and ends right behind it, so it covers no other name; an exact one covers the names between
//! two that are there. A resolver that holds both at one owner holds two sets with the same types, each with its own
//! signature, and the newer replaces the older (RFC 2181 §5.4). Only in one message they must not meet, where they
//! would be one RRset with two records: an answer that turned to ranges stays with them to its end. What a name of the
//! zone does not have is told in the zone's own way throughout: its signature is kept, so a flood cannot multiply it.
//! What differs is whether an NSEC stands at an empty non-terminal or a name that is not there, when it is asked for by
//! name: in compact denial one does. No data depends on that.

use std::fmt;

use crate::dnssec::{
    denial::Denial,
    keyset::{KeySet, Origin},
};

/// What a person wants beyond the budget.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Overload {
    /// Ranges where nobody else signs the zone, otherwise TC.
    #[default]
    Auto,
    /// Ranges, whoever else signs the zone.
    Ranges,
    /// TC.
    Truncate,
    /// There is no budget for this zone.
    Off,
}

/// What a zone does beyond the budget.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Beyond {
    /// Exact NSEC, and wildcards by their own signature.
    Ranges,
    /// TC.
    Truncate,
    /// Signs on.
    Sign,
}

impl fmt::Display for Beyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ranges => "ranges",
            Self::Truncate => "truncate",
            Self::Sign => "off",
        })
    }
}

impl Overload {
    /// What follows for a zone with these keys; `shared`: other providers sign it, whether their keys are here yet or
    /// not. A zone that hides its names behind hashes does not tell them in a flood either.
    pub(super) fn beyond(self, denial: Denial, keys: &KeySet, shared: bool) -> Beyond {
        let foreign = || keys.published().iter().any(|key| key.origin != Origin::Own);
        match self {
            Self::Off => Beyond::Sign,
            Self::Truncate => Beyond::Truncate,
            _ if denial == Denial::Nsec3 => Beyond::Truncate,
            Self::Auto if shared || foreign() => Beyond::Truncate,
            Self::Auto | Self::Ranges => Beyond::Ranges,
        }
    }
}
