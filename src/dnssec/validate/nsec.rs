//! What NSEC records prove (RFC 4035 §5.4, RFC 6840 §4, RFC 9824). Compact denial is the case of one that stands at
//! the name itself.

use std::cmp::Ordering;

use super::{denial::Denied, reason::Missing};
use crate::{
    dnssec::denial::{Denial, TypeBitmap},
    wire::{NameRef, RrType},
};

/// One NSEC of the zone, its signature found good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nsec<'m> {
    owner: NameRef<'m>,
    next: NameRef<'m>,
    types: TypeBitmap<'m>,
}

impl<'m> Nsec<'m> {
    pub fn read(owner: NameRef<'m>, rdata: &'m [u8]) -> Option<Self> {
        let (next, types) = NameRef::split_from(rdata).ok()?;
        Some(Self {
            owner,
            next,
            types: TypeBitmap(types),
        })
    }

    /// Whether `name` lies strictly between owner and next, where the last NSEC of the zone leads to the apex, and
    /// the NSEC may speak of it: one of a delegation or of a DNAME says nothing of what is below (RFC 6840 §4.1).
    fn spans(&self, name: NameRef<'_>, apex: NameRef<'_>) -> bool {
        if self.owner.cmp(&name) != Ordering::Less || !name.is_at_or_below(apex) {
            return false;
        }
        let ends_behind = self.next == apex || name < self.next;
        let is_cut = self.types.contains(RrType::NS) && !self.types.contains(RrType::SOA);
        let hides = is_cut || self.types.contains(RrType::DNAME);
        ends_behind && !(hides && name.is_below(self.owner))
    }

    /// Whether it shows that nothing is at `name` or below it.
    fn covers(&self, name: NameRef<'_>, apex: NameRef<'_>) -> bool {
        self.spans(name, apex) && !self.next.is_below(name)
    }

    /// Whether it shows that `name` has names below it and nothing itself (RFC 4592 §2.2.2).
    fn shows_empty_non_terminal(&self, name: NameRef<'_>, apex: NameRef<'_>) -> bool {
        self.spans(name, apex) && self.next.is_below(name)
    }

    /// Labels that `name` shares with the nearer of owner and next: those of the closest encloser, where `name` is
    /// covered (RFC 5155 §1.3).
    fn encloser_labels(&self, name: NameRef<'_>) -> usize {
        common_labels(self.owner, name).max(common_labels(self.next, name))
    }

    /// Whether it was made for this name alone, as RFC 9824 §3 does.
    fn is_compact(&self) -> bool {
        let wire = self.next.as_wire();
        self.types.contains(RrType::NXNAME)
            || (wire.starts_with(&[1, 0]) && wire[2..] == *self.owner.as_wire())
    }

    fn way(&self) -> Denial {
        if self.is_compact() {
            Denial::Compact
        } else {
            Denial::Nsec
        }
    }
}

fn common_labels(a: NameRef<'_>, b: NameRef<'_>) -> usize {
    let (a, b): (Vec<_>, Vec<_>) = (a.labels().collect(), b.labels().collect());
    let same = |(x, y): &(&&[u8], &&[u8])| x.eq_ignore_ascii_case(y);
    a.iter().rev().zip(b.iter().rev()).take_while(same).count()
}

/// "No such name": the name at it with NXNAME (RFC 9824 §3.1), or covered, and the wildcard covered
/// (RFC 4035 §5.4).
pub(super) fn no_name(nsecs: &[Nsec<'_>], name: NameRef<'_>, apex: NameRef<'_>) -> Result<Denied, Missing> {
    if nsecs
        .iter()
        .any(|nsec| nsec.owner == name && nsec.types.contains(RrType::NXNAME))
    {
        return Ok(Denied::name(Denial::Compact));
    }
    let cover = nsecs.iter().find(|nsec| nsec.covers(name, apex));
    let cover = cover.ok_or_else(|| Missing::Cover(name.to_owned()))?;
    let encloser = name.suffix(cover.encloser_labels(name)).unwrap_or(apex);
    // Where no wildcard fits there is none.
    if let Ok(wildcard) = encloser.prepend(b"*")
        && !nsecs.iter().any(|nsec| nsec.covers(wildcard.as_ref(), apex))
    {
        return Err(Missing::WildcardCover(wildcard));
    }
    Ok(Denied::name(Denial::Nsec))
}

/// "No such data".
pub(super) fn no_data(
    nsecs: &[Nsec<'_>],
    (name, rtype): (NameRef<'_>, RrType),
    apex: NameRef<'_>,
) -> Result<Denied, Missing> {
    if let Some(nsec) = nsecs.iter().find(|nsec| nsec.owner == name) {
        if nsec.types.contains(RrType::NXNAME) {
            return Ok(Denied::name(Denial::Compact));
        }
        lacks(nsec.types, name, rtype, apex)?;
        return Ok(Denied::data(nsec.way()));
    }
    if nsecs.iter().any(|nsec| nsec.shows_empty_non_terminal(name, apex)) {
        return Ok(Denied::data(Denial::Nsec));
    }
    // A wildcard that would answer, and has not this type (RFC 4035 §3.1.3.4).
    let cover = nsecs.iter().find(|nsec| nsec.covers(name, apex));
    let cover = cover.ok_or_else(|| Missing::Cover(name.to_owned()))?;
    let encloser = name.suffix(cover.encloser_labels(name)).unwrap_or(apex);
    let wildcard = encloser
        .prepend(b"*")
        .map_err(|_| Missing::Cover(name.to_owned()))?;
    if let Some(nsec) = nsecs.iter().find(|nsec| nsec.owner == wildcard.as_ref()) {
        lacks(nsec.types, wildcard.as_ref(), rtype, apex)?;
    } else if !nsecs
        .iter()
        .any(|nsec| nsec.shows_empty_non_terminal(wildcard.as_ref(), apex))
    {
        return Err(Missing::Cover(wildcard));
    }
    Ok(Denied {
        wildcard: true,
        ..Denied::data(Denial::Nsec)
    })
}

/// Whether the types at a name leave out `rtype`, and are those of the zone that would have it.
pub(super) fn lacks(
    types: TypeBitmap<'_>,
    name: NameRef<'_>,
    rtype: RrType,
    apex: NameRef<'_>,
) -> Result<(), Missing> {
    if types.contains(rtype) {
        return Err(Missing::HasType(rtype));
    }
    if types.contains(RrType::CNAME) {
        return Err(Missing::HasCname);
    }
    let has_soa = types.contains(RrType::SOA);
    match rtype {
        RrType::DS if has_soa && name != apex => Err(Missing::ChildSide),
        RrType::DS => Ok(()),
        _ if types.contains(RrType::NS) && !has_soa => Err(Missing::Delegation),
        _ => Ok(()),
    }
}

/// That there is nothing between the wildcard's parent, of so many labels, and `name` (RFC 4035 §5.3.4).
pub(super) fn no_closer(
    nsecs: &[Nsec<'_>],
    name: NameRef<'_>,
    labels: usize,
    apex: NameRef<'_>,
) -> Result<Denied, Missing> {
    let covered = nsecs
        .iter()
        .any(|nsec| nsec.covers(name, apex) && nsec.encloser_labels(name) <= labels);
    if covered {
        Ok(Denied::data(Denial::Nsec))
    } else {
        Err(Missing::Cover(name.to_owned()))
    }
}

/// That a delegation has no DS (RFC 4035 §5.2, RFC 6840 §4.4).
pub(super) fn no_ds(nsecs: &[Nsec<'_>], cut: NameRef<'_>, apex: NameRef<'_>) -> Result<(), Missing> {
    let nsec = nsecs.iter().find(|nsec| nsec.owner == cut);
    let nsec = nsec.ok_or_else(|| Missing::Cover(cut.to_owned()))?;
    lacks(nsec.types, cut, RrType::DS, apex)?;
    if nsec.types.contains(RrType::NS) {
        Ok(())
    } else {
        Err(Missing::NoDelegation)
    }
}
