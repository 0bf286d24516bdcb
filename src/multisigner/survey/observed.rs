//! What is kept of a look: every RRset that a plan's waits rest on, with its TTL, as each server gave it by each way.
//!
//! What is not believed is not kept: who can only make up datagrams must not lengthen a wait. What stands behind a cache
//! shows what is left of a TTL: where a good signature says more, that counts.

use ring::digest;

use super::{
    Answered, ContentTtls, Survey,
    ask::NOBODYS_TYPE,
    read::{Reading, authoritative, ds_ttl},
};
use crate::{
    dnssec::register::Register,
    multisigner::{
        observations::{Class, Party, Seen},
        observe::read_ds,
        safety::{self, ProviderId, Value},
    },
    wire::{RrType, received::Received},
};

impl Survey {
    /// What is to be kept; `parties`: who the providers are, this server first.
    pub fn observed(&self, register: &Register, parties: &[Party]) -> Vec<Seen> {
        let mut reading = Reading {
            survey: self,
            register,
            ttls: ContentTtls::default(),
            keys: Vec::new(),
        };
        reading.find_keys();
        let mut seen = Vec::new();
        for ((place, member), party) in self.members.iter().enumerate().zip(parties) {
            let Ok(provider) = ProviderId::at(place) else {
                break;
            };
            for server in &member.servers {
                let positive = reading.data(provider, &safety::Class::Positive, server).ok();
                let believed = reading.classes(provider, server, positive.is_some());
                seen.extend(believed.into_iter().filter_map(|(class, rtype)| {
                    let mut seen = self.seen(party, server, class, rtype)?;
                    seen.ttl = seen.ttl.max(reading.held(class, server));
                    Some(seen)
                }));
                // What is served here is known from within.
                let of_others = positive.filter(|_| provider != ProviderId::FIRST);
                seen.extend(of_others.and_then(|data| largest(party, server, &data)));
            }
        }
        for server in &self.parent {
            for (class, rtype) in [(Class::Ds, RrType::DS), (Class::Ns, RrType::NS)] {
                seen.extend(self.seen(&Party::Parent, server, class, rtype));
            }
        }
        seen
    }

    /// One RRset of one answer.
    fn seen(&self, party: &Party, server: &Answered, class: Class, asked: RrType) -> Option<Seen> {
        let received = server.answers.get(&asked)?.as_ref().ok()?;
        if class == Class::Ds {
            read_ds(received, &self.zone).ok()?;
        }
        let (value, ttl) = match class {
            Class::Denial => self
                .rrset(received, RrType::NSEC)
                .or_else(|| self.rrset(received, RrType::NSEC3))?,
            Class::Cds | Class::Csync => self
                .rrset(received, asked)
                .unwrap_or_else(|| ("none".to_owned(), 0)),
            // That there is none is held as long as the proof, and nobody validates meanwhile.
            Class::Ds => {
                let found = self.rrset(received, asked).map(|(value, _)| value);
                let ttl = ds_ttl(received, &self.zone)?;
                (found.unwrap_or_else(|| "none".to_owned()), ttl.seconds().into())
            }
            // Its TTL is what counts; with its serial every change of the zone would be an entry.
            Class::Soa => (String::new(), self.rrset(received, asked)?.1),
            _ => self.rrset(received, asked)?,
        };
        Some(Seen {
            party: party.clone(),
            source: server.to_string(),
            class,
            value,
            ttl,
            asked: server.asked,
            came: server.came,
        })
    }

    /// A digest of the records of a type, in no order of theirs, and the largest TTL among them.
    fn rrset(&self, received: &Received, rtype: RrType) -> Option<(String, u64)> {
        let sections = received.answers.iter().chain(&received.authorities);
        // The owner of a proof is not always the apex (RFC 5155).
        let of_zone = |owner: &crate::wire::Name| rtype == RrType::NSEC3 || *owner == self.zone;
        let records = sections.filter(|record| record.rtype == rtype && of_zone(&record.owner));
        let mut rdatas: Vec<(&[u8], u32)> = records
            .map(|record| (&*record.rdata, record.ttl.seconds()))
            .collect();
        let ttl = rdatas.iter().map(|(_, ttl)| *ttl).max()?;
        rdatas.sort_unstable();
        let mut context = digest::Context::new(&digest::SHA256);
        for (rdata, _) in rdatas {
            context.update(&(rdata.len() as u32).to_be_bytes());
            context.update(rdata);
        }
        let digest = context.finish();
        let short = digest.as_ref().get(..16).unwrap_or_default();
        Some((data_encoding::HEXLOWER.encode(short), ttl.into()))
    }
}

/// The largest TTL of what another provider gives of its data: one entry a server, however many samples there were.
fn largest(party: &Party, server: &Answered, data: &Value) -> Option<Seen> {
    Some(Seen {
        party: party.clone(),
        source: server.to_string(),
        class: Class::Data,
        // Which it was is left out: with the samples of each look it would be another entry.
        value: String::new(),
        ttl: data.ttl()?,
        asked: server.asked,
        came: server.came,
    })
}

impl Reading<'_> {
    /// The classes of a provider's answer that are believed, and the types that were asked for.
    fn classes(&self, provider: ProviderId, server: &Answered, positive: bool) -> Vec<(Class, RrType)> {
        let mut believed = Vec::new();
        if self.key_rrset(provider, server).is_ok() {
            believed.push((Class::Dnskey, RrType::DNSKEY));
        }
        if positive {
            believed.extend([(Class::Soa, RrType::SOA), (Class::Ns, RrType::NS)]);
        }
        if self.data(provider, &safety::Class::Negative, server).is_ok() {
            believed.push((Class::Denial, NOBODYS_TYPE));
        }
        if self.cds(provider, server).is_ok() {
            believed.push((Class::Cds, RrType::CDS));
        }
        if authoritative(server, RrType::CSYNC).is_ok() {
            believed.push((Class::Csync, RrType::CSYNC));
        }
        believed
    }

    /// The largest TTL with which caches may have got an answer, as far as its signatures tell.
    fn held(&self, class: Class, server: &Answered) -> u64 {
        let signed = match class {
            Class::Dnskey => self.believed(server).map(|(_, signed)| signed),
            Class::Soa => self.of_apex(server, RrType::SOA),
            Class::Ns => self.of_apex(server, RrType::NS),
            Class::Denial => self.proof(server),
            _ => return 0,
        };
        signed.map_or(0, |signed| signed.ttl.seconds().into())
    }
}
