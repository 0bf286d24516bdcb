//! What the answers show, slot by slot.

use std::collections::BTreeSet;

use super::{Answered, Survey, ask::NOBODYS_TYPE, whose};
use crate::{
    dnssec::keyset::Role,
    dnssec::{
        key::Dnskey,
        register::Register,
        validate::{Ds, SignedBy, original_ttl, signed_by},
    },
    multisigner::{
        execute::{Shown, Sight, View},
        observe::{At, Unseen, read_ds, read_keys},
        plan::{PlanKey, Situation},
        safety::{
            Class, Content, DsRecord, DsSet, KeyId, KeyRrset, KeySet, NsSet, ProviderId, SignedData, Slot,
            Value,
        },
    },
    wire::{
        Name, RrType, Ttl,
        message::Rcode,
        received::{Received, Record},
    },
};

/// The largest TTLs of the content that is served here: the others have the same content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ContentTtls {
    /// Of any RRset.
    pub largest: Ttl,
    /// Of a proof that something is not there.
    pub negative: Ttl,
}

/// How answers are read: which keys there are, and what is believed.
pub(super) struct Reading<'a> {
    pub survey: &'a Survey,
    pub register: &'a Register,
    pub ttls: ContentTtls,
    /// The keys by their ids; those that were found on the way come behind the ones that were known.
    pub keys: Vec<PlanKey>,
}

impl Survey {
    /// What is shown, for a run of a plan that started from this situation.
    pub fn view(&self, situation: &Situation, register: &Register, ttls: ContentTtls) -> View {
        let mut reading = Reading {
            survey: self,
            register,
            ttls,
            keys: situation.keys.clone(),
        };
        reading.find_keys();
        let slots: BTreeSet<Slot> = reading.slots();
        let mut view = View::default();
        for slot in slots {
            let sights = reading.sights(&slot);
            view.slots.insert(slot, sights);
        }
        let known = situation.keys.len();
        let behind = reading.keys.into_iter().enumerate().skip(known);
        view.strangers = behind
            .filter_map(|(place, key)| Some((KeyId::at(place).ok()?, key)))
            .collect();
        view
    }
}

pub(super) type Seen = Result<Value, Unseen>;

pub(super) fn odd<T>(why: impl Into<String>) -> Result<T, Unseen> {
    Err(Unseen::Odd(why.into()))
}

impl Reading<'_> {
    /// The slots that can be looked at.
    pub fn slots(&self) -> BTreeSet<Slot> {
        let mut slots = BTreeSet::from([Slot::Ds, Slot::ParentNs]);
        for place in 0..self.survey.members.len() {
            let Ok(provider) = ProviderId::at(place) else {
                break;
            };
            slots.insert(Slot::Keys(provider));
            slots.insert(Slot::Data(provider, Class::Positive));
            slots.insert(Slot::Data(provider, Class::Negative));
            slots.insert(Slot::ChildNs(provider));
            slots.insert(Slot::Serving(provider));
            slots.insert(Slot::Cds(provider));
            slots.insert(Slot::Csync(provider));
            slots.insert(Slot::Data(provider, Class::Cds));
        }
        slots
    }

    /// What each server shows of a slot, by every way by which it was asked for it.
    pub fn sights(&self, slot: &Slot) -> Vec<Sight> {
        let survey = self.survey;
        let of_parent = |asked, read: &dyn Fn(&Answered) -> Seen| survey.sights(&survey.parent, asked, read);
        let of_member = |provider: &ProviderId, asked, read: &dyn Fn(&Answered) -> Seen| {
            let member = survey.members.get(provider.place());
            survey.sights(member.map_or(&[][..], |member| &member.servers), asked, read)
        };
        match slot {
            Slot::Ds => of_parent(RrType::DS, &|server| self.ds(server)),
            Slot::ParentNs => of_parent(RrType::NS, &|server| Ok(Value::ParentNs(self.ns_set(server)?))),
            Slot::Keys(provider) => of_member(provider, RrType::DNSKEY, &|server| {
                self.key_rrset(*provider, server)
            }),
            Slot::Data(provider, class) => {
                let asked = match class {
                    Class::Negative => NOBODYS_TYPE,
                    Class::Cds => RrType::CDS,
                    _ => RrType::SOA,
                };
                of_member(provider, asked, &|server| self.data(*provider, class, server))
            }
            Slot::ChildNs(provider) => {
                of_member(provider, RrType::NS, &|server| self.child_ns(*provider, server))
            }
            Slot::Serving(provider) => of_member(provider, RrType::SOA, &|server| match authoritative(
                server,
                RrType::SOA,
            ) {
                Err(Unseen::Unreachable(why)) => Err(Unseen::Unreachable(why)),
                Err(Unseen::Odd(_)) => Ok(Value::Serving(*provider, false)),
                Ok(_) => Ok(Value::Serving(*provider, true)),
            }),
            Slot::Cds(provider) => of_member(provider, RrType::CDS, &|server| self.cds(*provider, server)),
            Slot::Csync(provider) => {
                of_member(provider, RrType::CSYNC, &|server| self.csync(*provider, server))
            }
        }
    }

    pub fn id(&self, dnskey: &Dnskey) -> Option<KeyId> {
        let known = |key: &PlanKey| key.dnskey.as_ref() == Some(dnskey);
        KeyId::at(self.keys.iter().position(known)?).ok()
    }

    pub fn ids<'k>(&self, keys: impl IntoIterator<Item = &'k Dnskey>) -> Result<KeySet, Unseen> {
        keys.into_iter()
            .map(|key| {
                let tag = key.key_tag();
                self.id(key)
                    .ok_or_else(|| Unseen::Odd(format!("key {tag} is one more than can be looked after")))
            })
            .collect()
    }

    /// Every key in a set that is believed gets an id, every key of the register that a DS points to, and every key that
    /// signs, or is to sign, without being in a set.
    pub fn find_keys(&mut self) {
        let unpublished = self
            .register
            .own_at_work()
            .filter(|(_, state)| state.is_unpublished());
        let unpublished: Vec<Dnskey> = unpublished.map(|(key, _)| key.clone()).collect();
        for dnskey in unpublished {
            self.add(dnskey, Some(ProviderId::FIRST));
        }
        self.find_withheld();
        for (place, member) in self.survey.members.iter().enumerate() {
            for server in &member.servers {
                let Ok((keys, _)) = self.believed(server) else {
                    continue;
                };
                for dnskey in keys {
                    let owner = self.owner(&dnskey, place);
                    self.add(dnskey, owner);
                }
            }
        }
        let ds: Vec<Ds> = self
            .survey
            .parent
            .iter()
            .filter_map(|server| ds_of(self.survey, server).ok())
            .flatten()
            .collect();
        let all = self.register.own.keys().chain(self.register.foreign.keys());
        let pointed = all.filter(|key| ds.iter().any(|ds| ds.points_to(key, self.survey.zone.as_ref())));
        let pointed: Vec<Dnskey> = pointed.cloned().collect();
        for dnskey in pointed {
            let owner = self.owner(&dnskey, 0);
            self.add(dnskey, owner);
        }
    }

    /// Keys of others that are known before they are published. A file does not say whose they are: a provider's whose
    /// answers they sign, the same as what stands beside them, or the only one's that there is.
    fn find_withheld(&mut self) {
        let register = self.register;
        let withheld: Vec<_> = register
            .foreign_withheld()
            .filter(|(_, key, _)| !key.shown_by.is_empty())
            .collect();
        let others = 1..self.survey.members.len();
        let signer_of = |dnskey: &Dnskey| {
            others.clone().find(|place| {
                self.survey.members[*place].servers.iter().any(|server| {
                    let soa = authoritative(server, RrType::SOA).ok();
                    let (zone, keys) = (&self.survey.zone, std::slice::from_ref(dnskey));
                    let signed = soa.and_then(|soa| {
                        signed_by(&soa.answers, Some(zone), RrType::SOA, zone, keys, self.survey.at)
                    });
                    signed.is_some_and(|signed| !signed.keys.is_empty())
                })
            })
        };
        let only = (others.len() == 1).then_some(1);
        let signers: Vec<Option<usize>> = withheld.iter().map(|(key, ..)| signer_of(key).or(only)).collect();
        let beside = |place: usize| {
            let sources = &withheld[place].1.shown_by;
            let mut known = withheld.iter().zip(&signers);
            known.find_map(|((_, other, _), signer)| signer.filter(|_| !other.shown_by.is_disjoint(sources)))
        };
        let found: Vec<(Dnskey, Option<usize>)> = (0..withheld.len())
            .map(|place| {
                (
                    withheld[place].0.clone(),
                    signers[place].or_else(|| beside(place)),
                )
            })
            .collect();
        for (dnskey, place) in found {
            let owner = place.and_then(|place| ProviderId::at(place).ok());
            self.add(dnskey, owner);
        }
    }

    fn owner(&self, dnskey: &Dnskey, shown_by: usize) -> Option<ProviderId> {
        if self.register.is_own(dnskey) {
            return Some(ProviderId::FIRST);
        }
        (shown_by > 0).then(|| ProviderId::at(shown_by).ok()).flatten()
    }

    fn add(&mut self, dnskey: Dnskey, owner: Option<ProviderId>) {
        let known = self
            .keys
            .iter_mut()
            .find(|key| key.dnskey.as_ref() == Some(&dnskey));
        match known {
            Some(known) if known.owner.is_none() => known.owner = owner,
            Some(_) => {}
            None => self.keys.push(PlanKey {
                algorithm: dnskey.algorithm(),
                role: if dnskey.is_sep() { Role::Ksk } else { Role::Zsk },
                owner,
                dnskey: Some(dnskey),
            }),
        }
    }

    /// The DNSKEY RRset of a server, when a key signs it that is believed.
    pub fn believed(&self, server: &Answered) -> Result<(Vec<Dnskey>, SignedBy), Unseen> {
        let received = answer(server, RrType::DNSKEY)?;
        let zone = &self.survey.zone;
        let answer = read_keys(received, zone, self.survey.at)?;
        let signed = signed_by(
            &received.answers,
            Some(zone),
            RrType::DNSKEY,
            zone,
            &answer.keys,
            self.survey.at,
        );
        let signed = signed.unwrap_or_default();
        let believes = |key: &Dnskey| {
            let in_plan = self.id(key).is_some();
            in_plan
                || self.register.is_own(key)
                || self.register.foreign_in_set().any(|(known, ..)| known == key)
        };
        if signed.keys.iter().any(|key| key.is_sep() && believes(key)) {
            Ok((answer.keys, signed))
        } else {
            odd("its DNSKEY RRset is signed by no key that is believed")
        }
    }

    pub(super) fn key_rrset(&self, provider: ProviderId, server: &Answered) -> Seen {
        let (keys, signed) = self.believed(server)?;
        let rrset = KeyRrset {
            keys: self.ids(&keys)?,
            signers: self.ids(&signed.keys)?,
            ttl: signed.ttl.seconds().into(),
        };
        Ok(Value::Keys(provider, rrset))
    }

    pub(super) fn data(&self, provider: ProviderId, class: &Class, server: &Answered) -> Seen {
        if *class == Class::Cds {
            return self.signed_cds(provider, server);
        }
        let (signed, least) = match class {
            Class::Negative => (self.proof(server)?, self.ttls.negative),
            _ => (self.of_apex(server, RrType::SOA)?, self.ttls.largest),
        };
        let signers = self.ids(&signed.keys)?;
        let mut ttl = signed.ttl.max(least);
        for (what, more) in self.beside(class, server)? {
            if self.ids(&more.keys)? != signers {
                return odd(format!("other keys sign {what}: it is between two states"));
            }
            ttl = ttl.max(more.ttl);
        }
        let data = SignedData {
            signers,
            ttl: ttl.seconds().into(),
            content: Content::Own,
        };
        Ok(Value::Data(provider, class.clone(), data))
    }

    /// What is looked at besides what stands for a class, in words, and who signs it.
    fn beside(&self, class: &Class, server: &Answered) -> Result<Vec<(String, SignedBy)>, Unseen> {
        if *class == Class::Negative {
            let denials = self.sampled_denials(server)?.into_iter();
            let in_words = |sample| format!("its denial for {sample} than its denial at the apex");
            return Ok(denials
                .map(|(sample, signed)| (in_words(sample), signed))
                .collect());
        }
        let ns = (
            "its NS than its SOA".to_owned(),
            self.of_apex(server, RrType::NS)?,
        );
        let data = self.sampled_data(server)?.into_iter();
        let data = data.map(|(sample, signed)| (format!("its {sample} than its SOA"), signed));
        Ok([ns].into_iter().chain(data).collect())
    }

    /// Who signs the proof that a type is not there that no zone has.
    pub(super) fn proof(&self, server: &Answered) -> Result<SignedBy, Unseen> {
        let proof = |rtype| self.signed(server, NOBODYS_TYPE, None, rtype);
        proof(RrType::NSEC).or_else(|_| proof(RrType::NSEC3))
    }

    /// Who signs an RRset of the apex.
    pub(super) fn of_apex(&self, server: &Answered, rtype: RrType) -> Result<SignedBy, Unseen> {
        self.signed(server, rtype, Some(&self.survey.zone), rtype)
    }

    fn signed(
        &self,
        server: &Answered,
        asked: RrType,
        owner: Option<&Name>,
        rtype: RrType,
    ) -> Result<SignedBy, Unseen> {
        let received = authoritative(server, asked)?;
        let sections = [&*received.answers, &*received.authorities];
        self.signed_in(&sections, owner, rtype, &rtype.to_string())
    }

    /// Who signs an RRset in the first of these sections that has it.
    pub(super) fn signed_in(
        &self,
        sections: &[&[Record]],
        owner: Option<&Name>,
        rtype: RrType,
        what: &str,
    ) -> Result<SignedBy, Unseen> {
        let known: Vec<Dnskey> = self.keys.iter().filter_map(|key| key.dnskey.clone()).collect();
        let zone = &self.survey.zone;
        let found = sections
            .iter()
            .find_map(|section| signed_by(section, owner, rtype, zone, &known, self.survey.at));
        match found {
            Some(signed) if !signed.keys.is_empty() => Ok(signed),
            Some(signed) if signed.others.is_empty() => odd(format!("its {what} is not signed")),
            Some(signed) => odd(format!(
                "its {what} has no good signature; it names key {:?}",
                signed.others
            )),
            None => odd(format!("it gives no {what}")),
        }
    }

    /// The providers that a provider's own NS RRset names.
    fn child_ns(&self, provider: ProviderId, server: &Answered) -> Seen {
        let mut ns = self.ns_set(server)?;
        if let Ok(signed) = self.of_apex(server, RrType::NS) {
            ns.ttl = ns.ttl.max(signed.ttl.seconds().into());
        }
        Ok(Value::ChildNs(provider, ns))
    }

    /// The providers that an NS RRset names.
    fn ns_set(&self, server: &Answered) -> Result<NsSet, Unseen> {
        let received = answer(server, RrType::NS)?;
        let zone = &self.survey.zone;
        let sections = received.answers.iter().chain(&received.authorities);
        let records: Vec<_> = sections
            .filter(|record| record.rtype == RrType::NS && record.owner == *zone)
            .collect();
        let Some(ttl) = records.iter().map(|record| record.ttl).min() else {
            return odd("it gives no NS RRset of the zone");
        };
        let mut members = BTreeSet::new();
        for record in records {
            let Ok(name) = Name::from_wire(&record.rdata) else {
                return odd("its NS RRset cannot be read");
            };
            members.insert(self.whose(&name)?);
        }
        let ttl = ttl.seconds().into();
        Ok(NsSet {
            members,
            ttl,
            from_csync: false,
        })
    }

    fn whose(&self, name: &Name) -> Result<ProviderId, Unseen> {
        let place = whose(self.survey.members.iter().map(|member| &*member.names), name);
        match place.and_then(|place| ProviderId::at(place).ok()) {
            Some(provider) => Ok(provider),
            None => odd(format!(
                "its NS RRset names {name}, and nobody says whose that is: set server_names of the [[provider]], or our_servers of the [[zone]]"
            )),
        }
    }

    fn ds(&self, server: &Answered) -> Seen {
        let all = ds_of(self.survey, server)?;
        let received = answer(server, RrType::DS)?;
        let mut records = BTreeSet::new();
        for ds in &all {
            let place = self.keys.iter().position(|key| {
                key.dnskey
                    .as_ref()
                    .is_some_and(|key| ds.points_to(key, self.survey.zone.as_ref()))
            });
            let Some(Ok(key)) = place.map(KeyId::at) else {
                let tag = ds.tag();
                return odd(format!("its DS RRset has one of key {tag}, which nobody knows"));
            };
            let digest_type = ds.digest_type();
            records.insert(DsRecord { key, digest_type });
        }
        let ttl = ds_ttl(received, &self.survey.zone).unwrap_or_default();
        Ok(Value::Ds(DsSet {
            records,
            ttl: ttl.seconds().into(),
            from_cds: false,
        }))
    }
}

/// The largest TTL with which caches may have got the DS RRset, or that there is none (RFC 2308 §5), as far as an answer tells:
/// whoever answers from a cache shows what is left, and the signatures name the whole. They count unseen, for they are by
/// the parent's keys, and a longer wait is all that they can bring about.
pub(super) fn ds_ttl(received: &Received, zone: &Name) -> Option<Ttl> {
    let (answers, authorities) = (&received.answers, &received.authorities);
    let of_set = answers.iter().filter(|record| record.rtype == RrType::DS);
    let of_proof = || authorities.iter().filter(|record| record.rtype == RrType::SOA);
    let shown = of_set.chain(of_proof()).map(|record| record.ttl).max();
    let signed = original_ttl(answers, Some(zone), RrType::DS);
    let minimum = of_proof().filter_map(|soa| Some(Ttl::new(u32::from_be_bytes(*soa.rdata.last_chunk()?))));
    let denied = original_ttl(authorities, None, RrType::SOA).and_then(|ttl| Some(ttl.min(minimum.max()?)));
    [shown, signed, denied].into_iter().flatten().max()
}

fn ds_of(survey: &Survey, server: &Answered) -> Result<Vec<Ds>, Unseen> {
    read_ds(answer(server, RrType::DS)?, &survey.zone)
}

fn answer(server: &Answered, asked: RrType) -> Result<&Received, Unseen> {
    match server.answers.get(&asked) {
        Some(Ok(received)) => Ok(received),
        Some(Err(unseen)) => Err(unseen.clone()),
        None => odd("it was not asked"),
    }
}

pub(super) fn authoritative(server: &Answered, asked: RrType) -> Result<&Received, Unseen> {
    let received = answer(server, asked)?;
    if answers_for(received) {
        return Ok(received);
    }
    let Rcode(code) = received.rcode;
    odd(format!("it does not answer for the zone (code {code})"))
}

/// Whether it is an answer with authority.
pub(super) fn answers_for(received: &Received) -> bool {
    matches!(received.rcode, Rcode::NOERROR | Rcode::NXDOMAIN) && received.authoritative
}

impl Survey {
    /// What those servers show that were asked for a type, but those that others stand for.
    fn sights(&self, servers: &[Answered], asked: RrType, read: &dyn Fn(&Answered) -> Seen) -> Vec<Sight> {
        let asked = servers
            .iter()
            .filter(|server| server.answers.contains_key(&asked));
        let counted = asked.filter(|server| !self.is_stood_for(server, servers));
        counted.map(|server| sight(server, read(server))).collect()
    }

    /// Many places have one address family alone. Of a named server whose address of the other family is silent, its
    /// address of this one shows enough, where nothing at all of that family answers from that place. Another address of
    /// the same family may be another machine, which others reach.
    fn is_stood_for(&self, server: &Answered, servers: &[Answered]) -> bool {
        let Some(At {
            name: Some(name),
            address,
        }) = &server.at
        else {
            return false;
        };
        let named = |other: &&Answered| other.at.as_ref().is_some_and(|at| at.name.is_some());
        let same_name =
            |other: &&Answered| other.at.as_ref().is_some_and(|at| at.name.as_ref() == Some(name));
        let same_family = |other: &&Answered| {
            let at = other.at.as_ref();
            at.is_some_and(|at| at.address.is_ipv4() == address.is_ipv4())
        };
        // To listen on an address of ours is no way out of this place.
        let others = self.members.iter().skip(1).flat_map(|member| &member.servers);
        let all = others.chain(&self.parent).chain(servers.iter().filter(named));
        let mut of_family = all
            .filter(same_family)
            .filter(|other| other.way.is_beside(&server.way));
        let mut stand_ins = servers
            .iter()
            .filter(same_name)
            .filter(|other| other.way == server.way);
        of_family.all(Answered::is_away) && stand_ins.any(|other| !other.is_away())
    }
}

fn sight(server: &Answered, seen: Seen) -> Sight {
    Sight {
        server: server.to_string(),
        at: server.asked,
        shown: match seen {
            Ok(value) => Shown::Value(value),
            Err(Unseen::Unreachable(why)) => Shown::Unreachable(why),
            Err(Unseen::Odd(why)) => Shown::Odd(why),
        },
    }
}
