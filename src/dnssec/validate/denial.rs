//! The denials of an answer, by whichever records they are made.

use super::{
    nsec::{self, Nsec},
    nsec3::Nsec3s,
    reason::Missing,
    rrset::Rrset,
};
use crate::{
    dnssec::denial::Denial,
    wire::{NameRef, RrType},
};

/// What a proof shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Denied {
    /// Whether it is the name that is not there, and not only the type.
    pub name: bool,
    /// Whether a wildcard took part.
    pub wildcard: bool,
    /// Whether opt-out leaves room for an unsigned delegation.
    pub opt_out: bool,
    /// By which records.
    pub way: Denial,
}

impl Denied {
    pub fn name(way: Denial) -> Self {
        Self {
            name: true,
            ..Self::data(way)
        }
    }

    pub fn data(way: Denial) -> Self {
        Self {
            name: false,
            wildcard: false,
            opt_out: false,
            way,
        }
    }
}

/// The NSEC and NSEC3 records of an authority section that were found good.
#[derive(Debug)]
pub(super) struct Denials<'m> {
    apex: NameRef<'m>,
    nsecs: Vec<Nsec<'m>>,
    pub nsec3s: Option<Nsec3s<'m>>,
}

impl<'m> Denials<'m> {
    /// Takes from `sets` what can deny. They must have been verified, and none of them be made from a wildcard:
    /// such an NSEC would be of another name than it says.
    pub fn new(sets: &[&Rrset<'m>], apex: NameRef<'m>) -> Self {
        let of = |rtype: RrType| {
            sets.iter()
                .filter(move |set| set.rtype == rtype)
                .flat_map(|set| set.rdatas.iter().map(|rdata| (set.owner.as_ref(), *rdata)))
        };
        Self {
            apex,
            nsecs: of(RrType::NSEC)
                .filter_map(|(owner, rdata)| Nsec::read(owner, rdata))
                .collect(),
            nsec3s: Nsec3s::read(of(RrType::NSEC3), apex),
        }
    }

    /// Tries the NSEC records first. Where both kinds are there, the complaint is about them.
    fn by<T>(
        &self,
        nsec: impl FnOnce(&[Nsec<'m>]) -> Result<T, Missing>,
        nsec3: impl FnOnce(&Nsec3s<'m>) -> Result<T, Missing>,
    ) -> Result<T, Missing> {
        match (&self.nsecs[..], &self.nsec3s) {
            ([], None) => Err(Missing::Everything),
            ([], Some(nsec3s)) => nsec3(nsec3s),
            (nsecs, None) => nsec(nsecs),
            (nsecs, Some(nsec3s)) => nsec(nsecs).or_else(|missing| nsec3(nsec3s).map_err(|_| missing)),
        }
    }

    pub fn no_name(&self, name: NameRef<'_>) -> Result<Denied, Missing> {
        self.by(
            |nsecs| nsec::no_name(nsecs, name, self.apex),
            |nsec3s| nsec3s.no_name(name, self.apex),
        )
    }

    pub fn no_data(&self, name: NameRef<'_>, rtype: RrType) -> Result<Denied, Missing> {
        self.by(
            |nsecs| nsec::no_data(nsecs, (name, rtype), self.apex),
            |nsec3s| nsec3s.no_data((name, rtype), self.apex),
        )
    }

    pub fn no_closer(&self, name: NameRef<'_>, labels: usize) -> Result<Denied, Missing> {
        self.by(
            |nsecs| nsec::no_closer(nsecs, name, labels, self.apex),
            |nsec3s| nsec3s.no_closer(name, labels),
        )
    }

    pub fn no_ds(&self, cut: NameRef<'_>) -> Result<(), Missing> {
        self.by(
            |nsecs| nsec::no_ds(nsecs, cut, self.apex),
            |nsec3s| nsec3s.no_ds(cut, self.apex),
        )
    }

    pub fn is_empty(&self) -> bool {
        self.nsecs.is_empty() && self.nsec3s.is_none()
    }
}
