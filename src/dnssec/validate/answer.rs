//! The walk through an answer: along its aliases to the data, to a denial, or to a referral (RFC 4035 §5.3, §5.4).
//!
//! Every RRset of the answer and authority sections that is the zone's own must have a good signature, whether the
//! walk needs it or not: a resolver would keep it. Not signed are the NS of a delegation, and a CNAME that a DNAME
//! made (RFC 6672 §5.3.1).

use std::collections::BTreeSet;

use super::{
    Ending, Insecure, Proof, SeenDenial, Shown, Verdict, ZoneKeys,
    denial::{Denials, Denied},
    reason::Bogus,
    rrset::{Good, Rrset, rrsets},
};
use crate::{
    clock::UnixTime,
    dnssec::denial::Denial,
    wire::{Class, Name, NameRef, RrType, message::Rcode, name::MAX_NAME, received::Received},
};

/// More hashing than this is not done (RFC 9276 §3.2: validators may set such a limit).
const MOST_ITERATIONS: u16 = 50;

/// Judges an answer to the question for `rtype` at `name`, which must be in the zone, with the zone's keys.
pub fn validate(
    keys: &ZoneKeys,
    (name, rtype): (NameRef<'_>, RrType),
    answer: &Received,
    now: UnixTime,
) -> Verdict {
    let walked = check_shape((name, rtype), answer)
        .map_err(Stop::Bogus)
        .and_then(|()| Walk::new(keys, rtype, answer, now))
        .and_then(|walk| walk.from(name));
    match walked {
        Ok(proof) => Verdict::Secure(proof),
        Err(Stop::Insecure(why)) => Verdict::Insecure(why),
        Err(Stop::Bogus(why)) => Verdict::Bogus(why),
    }
}

enum Stop {
    Bogus(Bogus),
    Insecure(Insecure),
}

impl From<Bogus> for Stop {
    fn from(why: Bogus) -> Self {
        Self::Bogus(why)
    }
}

fn check_shape((name, rtype): (NameRef<'_>, RrType), answer: &Received) -> Result<(), Bogus> {
    let is_ours = answer
        .question
        .as_ref()
        .is_some_and(|(asked, of, class)| asked.as_ref() == name && *of == rtype && *class == Class::IN);
    if !answer.is_response || !is_ours {
        return Err(Bogus::Stray);
    }
    if answer.truncated {
        return Err(Bogus::Cut);
    }
    match answer.rcode {
        Rcode::NOERROR | Rcode::NXDOMAIN | Rcode::YXDOMAIN => Ok(()),
        code => Err(Bogus::Code(code)),
    }
}

struct Walk<'a> {
    keys: &'a ZoneKeys,
    rtype: RrType,
    answer: &'a Received,
    /// The answer section's RRsets with the signatures that are good; those that a DNAME made have none.
    answers: Vec<(Rrset<'a>, Option<Good>)>,
    authorities: Vec<Rrset<'a>>,
    denials: Denials<'a>,
    proof: Proof,
}

impl<'a> Walk<'a> {
    /// Verifies every RRset that has to be.
    fn new(keys: &'a ZoneKeys, rtype: RrType, answer: &'a Received, now: UnixTime) -> Result<Self, Stop> {
        let apex = keys.apex.as_ref();
        let mut proof = Proof {
            shows: Shown::Data,
            wildcard: false,
            denial: None,
            signers: BTreeSet::new(),
            first_to_end: None,
        };
        let sets = rrsets(&answer.answers);
        let made: Vec<bool> = sets
            .iter()
            .map(|set| is_made_by_dname(set, &sets))
            .collect::<Result<_, _>>()?;
        let asked = answer.question.as_ref().map(|(name, _, _)| name);
        let mut answers = Vec::new();
        for (set, is_made) in sets.into_iter().zip(made) {
            // What an alias leads to in another zone is asked for again by whoever believes nobody else about it.
            let is_others = !set.owner.as_ref().is_at_or_below(apex)
                || (Some(set.owner) != asked && set.is_of_a_child(apex));
            if is_others {
                continue;
            }
            let good = match is_made {
                true => None,
                false => Some(proof.rely_on(&set, keys, now)?),
            };
            answers.push((set, good));
        }
        let authorities: Vec<_> = rrsets(&answer.authorities)
            .into_iter()
            .filter(|set| set.owner.as_ref().is_at_or_below(apex) && !set.is_of_a_child(apex))
            .collect();
        let mut sound = Vec::new();
        for set in &authorities {
            if is_delegation(set, apex) {
                continue;
            }
            let good = proof.rely_on(set, keys, now)?;
            if good.labels == set.owner.as_ref().rrsig_labels() {
                sound.push(set);
            }
        }
        let denials = Denials::new(&sound, apex);
        if let Some(nsec3s) = &denials.nsec3s
            && nsec3s.parameters.iterations > MOST_ITERATIONS
        {
            return Err(Stop::Insecure(Insecure::Iterations(nsec3s.parameters.iterations)));
        }
        Ok(Self {
            keys,
            rtype,
            answer,
            answers,
            authorities,
            denials,
            proof,
        })
    }

    fn find(&self, name: NameRef<'_>, rtype: RrType) -> Option<&(Rrset<'a>, Option<Good>)> {
        self.answers
            .iter()
            .find(|(set, _)| set.rtype == rtype && set.owner.as_ref() == name)
    }

    fn apex(&self) -> NameRef<'a> {
        self.keys.apex.as_ref()
    }

    fn from(mut self, name: NameRef<'_>) -> Result<Proof, Stop> {
        let mut path = vec![name.to_owned()];
        loop {
            let name = &path[path.len() - 1];
            if self.take_data(name.as_ref())? {
                return match self.answer.rcode {
                    Rcode::NOERROR => Ok(self.shown(Shown::Data)),
                    code => Err(Bogus::Code(code).into()),
                };
            }
            match self.take_alias(name.as_ref())? {
                None => break,
                Some(target) if !target.as_ref().is_at_or_below(self.apex()) || path.contains(&target) => {
                    return Ok(self.shown(Shown::Alias));
                }
                Some(target) => path.push(target),
            }
        }
        let is_alias = path.len() > 1;
        self.end(path[path.len() - 1].as_ref(), is_alias)
    }

    fn shown(mut self, shows: Shown) -> Proof {
        self.proof.shows = shows;
        self.proof
    }

    /// Whether the data asked for is there.
    fn take_data(&mut self, name: NameRef<'_>) -> Result<bool, Stop> {
        let wanted = |rtype| self.rtype == RrType::ANY || rtype == self.rtype;
        let found: Vec<Option<(Name, Good)>> = self
            .answers
            .iter()
            .filter(|(set, _)| set.owner.as_ref() == name && wanted(set.rtype))
            .map(|(set, good)| good.map(|good| (set.owner.clone(), good)))
            .collect();
        for (owner, good) in found.iter().flatten() {
            self.check_wildcard(owner, good)?;
        }
        let is_signature = |record: &crate::wire::received::Record| record.rtype == RrType::RRSIG;
        if found.is_empty() && self.rtype == RrType::RRSIG && self.answer.answers.iter().any(is_signature) {
            return Err(Stop::Insecure(Insecure::SignaturesAsked));
        }
        Ok(!found.is_empty())
    }

    /// The target of the alias at `name`, if one is there. A CNAME that a DNAME makes may be left out
    /// (RFC 6672 §3.4.1).
    fn take_alias(&mut self, name: NameRef<'_>) -> Result<Option<Name>, Stop> {
        let Some((set, good)) = self.find(name, RrType::CNAME) else {
            let sets = || self.answers.iter().map(|(set, _)| set);
            let made = dname_above(name, sets()).and_then(|dname| substituted(name, dname));
            return Ok(made.and_then(|octets| Name::from_wire(&octets).ok()));
        };
        let target = set.rdatas.first().and_then(|rdata| Name::from_wire(rdata).ok());
        if let Some(good) = *good {
            let owner = set.owner.clone();
            self.check_wildcard(&owner, &good)?;
        }
        Ok(target)
    }

    /// What was made from a wildcard needs proof that nothing is closer (RFC 4035 §5.3.4).
    fn check_wildcard(&mut self, owner: &Name, good: &Good) -> Result<(), Stop> {
        if good.labels == owner.as_ref().rrsig_labels() {
            return Ok(());
        }
        let denied = self.denials.no_closer(owner.as_ref(), good.labels.into());
        let denied = denied.map_err(|missing| Bogus::Wildcard {
            owner: owner.clone(),
            missing,
        })?;
        self.proof.wildcard = true;
        self.note(denied)
    }

    /// What there is where the aliases end, and the data is not.
    fn end(mut self, name: NameRef<'_>, is_alias: bool) -> Result<Proof, Stop> {
        if self.answer.rcode == Rcode::YXDOMAIN {
            return self.overflow(name);
        }
        if let Some(cut) = self.cut_above(name) {
            return self.referral(cut);
        }
        if is_alias && self.answer.rcode == Rcode::NOERROR && self.denials.is_empty() && !self.has_soa() {
            return Ok(self.shown(Shown::Alias));
        }
        let denied = if self.answer.rcode == Rcode::NXDOMAIN {
            let denied = self.denials.no_name(name);
            denied.map_err(|missing| Bogus::NoName {
                name: name.to_owned(),
                missing,
            })?
        } else {
            let denied = self.denials.no_data(name, self.rtype);
            denied.map_err(|missing| Bogus::NoData {
                name: name.to_owned(),
                rtype: self.rtype,
                missing,
            })?
        };
        self.note(denied)?;
        let shows = if denied.name { Shown::NoName } else { Shown::NoData };
        Ok(self.shown(shows))
    }

    fn has_soa(&self) -> bool {
        self.authorities.iter().any(|set| set.rtype == RrType::SOA)
    }

    /// A DNAME whose substitution is too long (RFC 6672 §2.2).
    fn overflow(self, name: NameRef<'_>) -> Result<Proof, Stop> {
        let sets = self.answers.iter().map(|(set, _)| set);
        let made = dname_above(name, sets).and_then(|dname| substituted(name, dname));
        let overflows = made.is_some_and(|octets| octets.len() > MAX_NAME);
        if overflows {
            Ok(self.shown(Shown::Data))
        } else {
            Err(Bogus::Code(Rcode::YXDOMAIN).into())
        }
    }

    /// The cut that the answer refers to.
    fn cut_above(&self, name: NameRef<'_>) -> Option<Name> {
        if self.has_soa() {
            return None;
        }
        let is_above = |set: &&Rrset<'_>| {
            is_delegation(set, self.apex())
                && name.is_at_or_below(set.owner.as_ref())
                // The parent answers for the DS itself (RFC 4035 §3.1.4.1).
                && !(self.rtype == RrType::DS && name == set.owner.as_ref())
        };
        self.authorities
            .iter()
            .find(is_above)
            .map(|set| set.owner.clone())
    }

    fn referral(self, cut: Name) -> Result<Proof, Stop> {
        if self.answer.rcode != Rcode::NOERROR {
            return Err(Bogus::Code(self.answer.rcode).into());
        }
        let has_ds = self
            .authorities
            .iter()
            .any(|set| set.rtype == RrType::DS && *set.owner == cut);
        if has_ds {
            return Ok(self.shown(Shown::Delegation));
        }
        match self.denials.no_ds(cut.as_ref()) {
            Ok(()) => Err(Stop::Insecure(Insecure::Delegation { cut })),
            Err(missing) => Err(Bogus::Referral { cut, missing }.into()),
        }
    }

    fn note(&mut self, denied: Denied) -> Result<(), Stop> {
        self.proof.wildcard |= denied.wildcard;
        let parameters = self
            .denials
            .nsec3s
            .as_ref()
            .map(|nsec3s| nsec3s.parameters.clone());
        self.proof.denial = Some(SeenDenial {
            way: denied.way,
            parameters: parameters.filter(|_| denied.way == Denial::Nsec3),
        });
        if denied.opt_out {
            return Err(Stop::Insecure(Insecure::OptOut));
        }
        Ok(())
    }
}

impl Proof {
    /// Verifies a set, and keeps by which key and until when.
    fn rely_on(&mut self, set: &Rrset<'_>, keys: &ZoneKeys, now: UnixTime) -> Result<Good, Bogus> {
        let good = set.verify(keys, now)?;
        self.signers.insert((good.tag, good.algorithm));
        let ending = Ending {
            owner: set.owner.clone(),
            rtype: set.rtype,
            ttl: set.ttl,
            expiration: good.expiration,
        };
        let ends_first = self
            .first_to_end
            .as_ref()
            .is_none_or(|first| ending.last_moment() < first.last_moment());
        if ends_first {
            self.first_to_end = Some(ending);
        }
        Ok(good)
    }
}

/// The NS of a cut, which the parent does not sign (RFC 4035 §2.2).
fn is_delegation(set: &Rrset<'_>, apex: NameRef<'_>) -> bool {
    set.rtype == RrType::NS && set.owner.as_ref() != apex
}

/// Whether a CNAME without signatures is what a DNAME of the same section makes of its owner.
fn is_made_by_dname(set: &Rrset<'_>, sets: &[Rrset<'_>]) -> Result<bool, Bogus> {
    if set.rtype != RrType::CNAME || !set.signatures.is_empty() {
        return Ok(false);
    }
    let owner = set.owner.as_ref();
    let Some(dname) = dname_above(owner, sets.iter()) else {
        return Ok(false);
    };
    let expected = substituted(owner, dname).unwrap_or_default();
    if set.rdatas.len() == 1 && set.rdatas[0].eq_ignore_ascii_case(&expected) {
        Ok(true)
    } else {
        Err(Bogus::Substitution {
            owner: set.owner.clone(),
        })
    }
}

fn dname_above<'s, 'm>(
    name: NameRef<'_>,
    mut sets: impl Iterator<Item = &'s Rrset<'m>>,
) -> Option<&'s Rrset<'m>>
where
    'm: 's,
{
    sets.find(|set| set.rtype == RrType::DNAME && name.is_below(set.owner.as_ref()))
}

/// What a DNAME makes of a name below it (RFC 6672 §2.2), which may be too long for a name.
fn substituted(name: NameRef<'_>, dname: &Rrset<'_>) -> Option<Vec<u8>> {
    let front = &name.as_wire()[..name.len() - dname.owner.as_ref().len()];
    Some([front, dname.rdatas.first()?].concat())
}
