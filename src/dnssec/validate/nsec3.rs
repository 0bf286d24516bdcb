//! What NSEC3 records prove (RFC 5155 §8).

use super::{denial::Denied, nsec::lacks, reason::Missing};
use crate::{
    dnssec::denial::{
        Denial, TypeBitmap,
        nsec3::{Hash, Parameters},
    },
    wire::{NameRef, RrType},
};

/// SHA-1, the one hash there is (RFC 5155 §11).
const SHA1: u8 = 1;
/// The one flag there is.
const OPT_OUT: u8 = 1;

/// The NSEC3 records of an answer, their signatures found good, all with the same parameters.
#[derive(Debug)]
pub(super) struct Nsec3s<'m> {
    pub parameters: Parameters,
    records: Vec<Nsec3<'m>>,
}

#[derive(Clone, Copy, Debug)]
struct Nsec3<'m> {
    hash: Hash,
    next: Hash,
    opt_out: bool,
    types: TypeBitmap<'m>,
}

/// A name that exists, as far as is shown, and whether opt-out leaves room below it.
struct Encloser<'n> {
    name: NameRef<'n>,
    opt_out: bool,
}

impl<'m> Nsec3s<'m> {
    /// Takes those that can be used; records with other parameters than the first are passed over
    /// (RFC 5155 §8.2). `None` when none is left.
    pub fn read(records: impl Iterator<Item = (NameRef<'m>, &'m [u8])>, apex: NameRef<'_>) -> Option<Self> {
        let mut found: Option<Self> = None;
        for (owner, rdata) in records {
            let Some((parameters, record)) = Nsec3::read(owner, rdata, apex) else {
                continue;
            };
            let all = found.get_or_insert_with(|| Self {
                parameters: parameters.clone(),
                records: Vec::new(),
            });
            if all.parameters == parameters {
                all.records.push(record);
            }
        }
        found
    }

    fn hash(&self, name: NameRef<'_>) -> Hash {
        self.parameters.hash(name.to_lower().as_ref())
    }

    fn matching(&self, name: NameRef<'_>) -> Option<&Nsec3<'m>> {
        let hash = self.hash(name);
        self.records.iter().find(|record| record.hash == hash)
    }

    fn covering(&self, name: NameRef<'_>) -> Option<&Nsec3<'m>> {
        let hash = self.hash(name);
        self.records.iter().find(|record| record.covers(hash))
    }

    /// The closest encloser of a name that does not exist (RFC 5155 §8.3).
    fn encloser<'n>(&self, name: NameRef<'n>, apex: NameRef<'_>) -> Result<Encloser<'n>, Missing> {
        let mut closer = name;
        while closer != apex {
            let Some(above) = closer.parent() else { break };
            if let Some(record) = self.matching(above) {
                let covering = self.covering(closer);
                let covering = covering.ok_or_else(|| Missing::Cover(closer.to_owned()))?;
                // One of a delegation or a DNAME is of no use for what is below (RFC 5155 §8.3).
                if record.is_cut() || record.types.contains(RrType::DNAME) {
                    return Err(Missing::Delegation);
                }
                return Ok(Encloser {
                    name: above,
                    opt_out: covering.opt_out,
                });
            }
            closer = above;
        }
        Err(Missing::Encloser(name.to_owned()))
    }

    /// "No such name" (RFC 5155 §8.4), or the form of RFC 9824 §4.
    pub fn no_name(&self, name: NameRef<'_>, apex: NameRef<'_>) -> Result<Denied, Missing> {
        if self
            .matching(name)
            .is_some_and(|record| record.types.contains(RrType::NXNAME))
        {
            return Ok(Denied::name(Denial::Nsec3));
        }
        let encloser = self.encloser(name, apex)?;
        if let Ok(wildcard) = encloser.name.prepend(b"*")
            && self.covering(wildcard.as_ref()).is_none()
        {
            return Err(Missing::WildcardCover(wildcard));
        }
        Ok(Denied {
            opt_out: encloser.opt_out,
            ..Denied::name(Denial::Nsec3)
        })
    }

    /// "No such data" (RFC 5155 §8.5 to §8.7).
    pub fn no_data(
        &self,
        (name, rtype): (NameRef<'_>, RrType),
        apex: NameRef<'_>,
    ) -> Result<Denied, Missing> {
        if let Some(record) = self.matching(name) {
            if record.types.contains(RrType::NXNAME) {
                return Ok(Denied::name(Denial::Nsec3));
            }
            lacks(record.types, name, rtype, apex)?;
            return Ok(Denied::data(Denial::Nsec3));
        }
        let encloser = self.encloser(name, apex)?;
        if let Ok(wildcard) = encloser.name.prepend(b"*")
            && let Some(record) = self.matching(wildcard.as_ref())
        {
            lacks(record.types, wildcard.as_ref(), rtype, apex)?;
            return Ok(Denied {
                wildcard: true,
                opt_out: encloser.opt_out,
                ..Denied::data(Denial::Nsec3)
            });
        }
        if rtype == RrType::DS && encloser.opt_out {
            return Ok(Denied {
                opt_out: true,
                ..Denied::data(Denial::Nsec3)
            });
        }
        Err(Missing::Cover(name.to_owned()))
    }

    /// That there is nothing between the wildcard's parent and `name` (RFC 5155 §8.8).
    pub fn no_closer(&self, name: NameRef<'_>, labels: usize) -> Result<Denied, Missing> {
        let closer = name.suffix(labels + 1).unwrap_or(name);
        match self.covering(closer) {
            Some(covering) => Ok(Denied {
                opt_out: covering.opt_out,
                ..Denied::data(Denial::Nsec3)
            }),
            None => Err(Missing::Cover(closer.to_owned())),
        }
    }

    /// That a delegation has no DS (RFC 5155 §8.9).
    pub fn no_ds(&self, cut: NameRef<'_>, apex: NameRef<'_>) -> Result<(), Missing> {
        let Some(record) = self.matching(cut) else {
            return match self.encloser(cut, apex)? {
                Encloser { opt_out: true, .. } => Ok(()),
                Encloser { .. } => Err(Missing::Cover(cut.to_owned())),
            };
        };
        lacks(record.types, cut, RrType::DS, apex)?;
        if record.types.contains(RrType::NS) {
            Ok(())
        } else {
            Err(Missing::NoDelegation)
        }
    }
}

impl<'m> Nsec3<'m> {
    /// Reads the rdata (RFC 5155 §3.2). `None` where the hash or a flag is not known (§8.1, §8.2), or the owner is
    /// no hash below the apex.
    fn read(owner: NameRef<'m>, rdata: &'m [u8], apex: NameRef<'_>) -> Option<(Parameters, Self)> {
        let [SHA1, flags @ (0 | OPT_OUT), high, low, salt_length, rest @ ..] = rdata else {
            return None;
        };
        let (salt, rest) = rest.split_at_checked(usize::from(*salt_length))?;
        let (length, rest) = rest.split_first()?;
        let (next, types) = rest.split_at_checked(usize::from(*length))?;
        if owner.parent()? != apex {
            return None;
        }
        let label = owner.labels().next()?.to_ascii_uppercase();
        let hash = data_encoding::BASE32HEX_NOPAD.decode(&label).ok()?;
        let parameters = Parameters {
            iterations: u16::from_be_bytes([*high, *low]),
            salt: salt.to_vec(),
        };
        let record = Self {
            hash: Hash(hash.try_into().ok()?),
            next: Hash(next.try_into().ok()?),
            opt_out: *flags == OPT_OUT,
            types: TypeBitmap(types),
        };
        Some((parameters, record))
    }

    /// The last of the chain leads to the first; a chain of one covers all but itself.
    fn covers(&self, hash: Hash) -> bool {
        if self.hash < self.next {
            self.hash < hash && hash < self.next
        } else {
            self.hash < hash || hash < self.next
        }
    }

    fn is_cut(&self) -> bool {
        self.types.contains(RrType::NS) && !self.types.contains(RrType::SOA)
    }
}
