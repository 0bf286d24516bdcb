//! CDS and CDNSKEY as a parent takes them (RFC 7344 §4.1): both for the same keys, and signed by a key that it can
//! trust.

use std::collections::BTreeSet;

use super::{
    Answered,
    read::{Reading, Seen, authoritative, odd},
};
use crate::{
    dnssec::{
        key::Dnskey,
        validate::{Ds, signed_by},
    },
    multisigner::{
        observe::Unseen,
        safety::{Cds, Class, Content, KeySet, ProviderId, SignedData, Value},
    },
    wire::{RrType, Ttl},
};

impl Reading<'_> {
    /// The keys that a server asks the parent for.
    pub fn cds(&self, provider: ProviderId, server: &Answered) -> Seen {
        let cds = self.rdatas(server, RrType::CDS)?;
        let cdnskey = self.rdatas(server, RrType::CDNSKEY)?;
        if cds.is_empty() && cdnskey.is_empty() {
            return Ok(Value::Cds(provider, None));
        }
        let mut wanted = BTreeSet::new();
        for rdata in &cds {
            let ds = Ds::from_rdata(rdata).ok();
            let known = self.keys.iter().filter_map(|key| key.dnskey.as_ref());
            let mut known = known.filter(|key| {
                let zone = self.survey.zone.as_ref();
                ds.as_ref().is_some_and(|ds| ds.points_to(key, zone))
            });
            match known.next() {
                Some(key) => wanted.insert(key.clone()),
                None => return odd("its CDS RRset asks for a key that nobody knows"),
            };
        }
        let same: BTreeSet<Dnskey> = cdnskey
            .iter()
            .filter_map(|rdata| Dnskey::from_rdata(rdata).ok())
            .collect();
        if same != wanted || same.len() != cdnskey.len() {
            return odd("its CDNSKEY RRset asks for other keys than its CDS RRset does");
        }
        let signers = match self.signers(server) {
            Ok((signers, _)) => signers,
            Err(_) => KeySet::default(),
        };
        let wanted = self.ids(&wanted)?;
        Ok(Value::Cds(provider, Some(Cds { wanted, signers })))
    }

    /// Who signs them, of the keys that sign the DNSKEY RRset.
    pub fn signed_cds(&self, provider: ProviderId, server: &Answered) -> Seen {
        let (signers, ttl) = self.signers(server)?;
        let data = SignedData {
            signers,
            ttl: ttl.seconds().into(),
            content: Content::Own,
        };
        Ok(Value::Data(provider, Class::Cds, data))
    }

    /// The same, with the largest TTL with which caches may have got them.
    fn signers(&self, server: &Answered) -> Result<(KeySet, Ttl), Unseen> {
        let (_, of_keys) = self.believed(server)?;
        let mut signers = of_keys.keys;
        let mut largest = Ttl::default();
        let zone = &self.survey.zone;
        for rtype in [RrType::CDS, RrType::CDNSKEY] {
            let received = authoritative(server, rtype)?;
            let signed = signed_by(
                &received.answers,
                Some(zone),
                rtype,
                zone,
                &signers,
                self.survey.at,
            );
            let Some(signed) = signed else {
                return odd(format!("it gives no {rtype}"));
            };
            if signed.keys.is_empty() {
                return odd(format!(
                    "its {rtype} is signed by no key that signs its DNSKEY RRset, so that no parent follows it (RFC 7344 §4.1)"
                ));
            }
            (signers, largest) = (signed.keys, largest.max(signed.ttl));
        }
        Ok((self.ids(&signers)?, largest))
    }

    /// The rdata of a type at the apex.
    pub(super) fn rdatas<'s>(&self, server: &'s Answered, rtype: RrType) -> Result<Vec<&'s [u8]>, Unseen> {
        let records = authoritative(server, rtype)?.answers.iter();
        let of_zone = records.filter(|record| record.rtype == rtype && record.owner == self.survey.zone);
        Ok(of_zone.map(|record| &*record.rdata).collect())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::{
        super::{ask, tests::*},
        *,
    };
    use crate::{
        dnssec::keyset::Role,
        dnssec::{
            algorithm::{DigestType, SigningAlgorithm},
            key::{SEP, SigningKey, ZONE},
            sign::{ToSign, Window, signature},
        },
        multisigner::{
            execute::Shown,
            plan::{Hand, Member, Parent, ParentHand, Situation},
            safety::Slot,
            survey::{ContentTtls, Known},
        },
        wire::received::{Received, Record},
    };

    const TTL: u32 = 20;

    pub fn made(flags: u16) -> Arc<SigningKey> {
        Arc::new(SigningKey::generate(SigningAlgorithm::Ed25519, ZONE | flags).unwrap())
    }

    /// An RRset at the apex with signatures by these.
    pub fn signed(rtype: RrType, mut rdatas: Vec<Vec<u8>>, signers: &[&SigningKey]) -> Received {
        rdatas.sort();
        let mut records: Vec<Record> = rdatas.iter().map(|rdata| record(rtype, TTL, rdata)).collect();
        let window = Window {
            inception: crate::clock::UnixTime(NOW.0 - 3_600),
            expiration: crate::clock::UnixTime(NOW.0 + 86_400),
        };
        let apex = zone();
        for key in signers {
            let set = ToSign {
                owner: &apex.as_ref().to_lower(),
                rtype,
                ttl: Ttl::new(TTL),
                rdatas: rdatas.iter().map(Vec::as_slice),
            };
            let signature = signature(key, apex.as_ref(), &set, window).unwrap();
            let rrsig = [
                &rtype.0.to_be_bytes()[..],
                &[key.algorithm().number().0, 1],
                &TTL.to_be_bytes(),
                &window.expiration.to_serial().to_be_bytes(),
                &window.inception.to_serial().to_be_bytes(),
                &key.key_tag().to_be_bytes(),
                apex.as_ref().as_wire(),
                &signature,
            ];
            records.push(record(RrType::RRSIG, TTL, &rrsig.concat()));
        }
        received(records, Vec::new(), true)
    }

    /// What is made of CDS for some of our keys, CDNSKEY for others, and who signs them.
    fn shown_of(keys: &[&SigningKey], cds: Received, cdnskey: Received) -> (Shown, Shown) {
        let rdatas = keys.iter().map(|key| key.dnskey().rdata().to_vec()).collect();
        let answers = [
            (RrType::DNSKEY, signed(RrType::DNSKEY, rdatas, &keys[..1])),
            (RrType::CDS, cds),
            (RrType::CDNSKEY, cdnskey),
        ];
        let survey = survey(&answers, &[]);
        let events = register(keys[0].dnskey());
        let view = view(&survey, &events);
        let us = ProviderId::FIRST;
        let shown = |slot| view.slots[&slot][0].shown.clone();
        (shown(Slot::Cds(us)), shown(Slot::Data(us, Class::Cds)))
    }

    fn cds(keys: &[&SigningKey], signers: &[&SigningKey]) -> Received {
        let rdata = |key: &&SigningKey| key.dnskey().ds(zone().as_ref(), DigestType::Sha256).to_vec();
        signed(RrType::CDS, keys.iter().map(rdata).collect(), signers)
    }

    fn cdnskey(keys: &[&SigningKey], signers: &[&SigningKey]) -> Received {
        let rdata = |key: &&SigningKey| key.dnskey().rdata().to_vec();
        signed(RrType::CDNSKEY, keys.iter().map(rdata).collect(), signers)
    }

    #[test]
    fn both_ask_for_the_same_by_a_key_that_signs_the_key_set() {
        let (ksk, next, zsk) = (made(SEP), made(SEP), made(0));
        let keys = [&*ksk, &*next, &*zsk];
        let both = &keys[..2];
        // Another good signature beside it does not matter.
        let (wish, signers) = shown_of(&keys, cds(both, &[&ksk, &zsk]), cdnskey(both, &[&ksk]));
        let Shown::Value(Value::Cds(_, Some(shown))) = wish else {
            panic!("{wish:?}")
        };
        assert_eq!(
            (shown.wanted.iter().count(), shown.signers.iter().count()),
            (2, 1)
        );
        assert!(
            matches!(&signers, Shown::Value(Value::Data(_, Class::Cds, data))
                if data.signers == shown.signers && data.ttl == u64::from(TTL)),
            "{signers:?}"
        );
        let (wish, signers) = shown_of(&keys, empty(), empty());
        assert!(matches!(wish, Shown::Value(Value::Cds(_, None))), "{wish:?}");
        is_odd(&signers, "gives no CDS");
    }

    /// CDS that a parent does not read is no matter of a plan: with `cds = "publish"` it changes by itself.
    #[test]
    fn it_is_in_a_plan_where_the_parent_reads_it() {
        let (ksk, zsk) = (made(SEP), made(0));
        let (keys, work) = ([&*ksk], [&*zsk]);
        let rdatas = [&ksk, &zsk].map(|key| key.dnskey().rdata().to_vec());
        let ds = ksk.dnskey().ds(zone().as_ref(), DigestType::Sha256).to_vec();
        let soa = [&[0, 0][..], &[0; 20]].concat();
        let server = zone().as_ref().as_wire().to_vec();
        let of_type = |rtype, rdata, signers| (rtype, signed(rtype, vec![rdata], signers));
        let proof = [&server[..], &[0, 1, 0x40]].concat();
        let answers = [
            (RrType::DNSKEY, signed(RrType::DNSKEY, rdatas.to_vec(), &keys)),
            of_type(RrType::SOA, soa, &work),
            of_type(RrType::NS, server.clone(), &work),
            (ask::NOBODYS_TYPE, signed(RrType::NSEC, vec![proof], &work)),
            (RrType::CDS, cds(&keys, &keys)),
            (RrType::CDNSKEY, cdnskey(&keys, &keys)),
        ];
        let parent = [of_type(RrType::DS, ds, &[]), of_type(RrType::NS, server, &[])];
        let mut survey = survey(&answers, &parent);
        survey.members.truncate(1);
        let events = register(ksk.dnskey());
        let role_of = |situation: &Situation| {
            let mut keys = situation.keys.iter();
            let key = keys.find(|key| key.dnskey.as_ref() == Some(ksk.dnskey()));
            key.unwrap().role
        };
        let of_cds = |hand| {
            let situation = survey.situation(Known {
                events: &events,
                ttls: ContentTtls::default(),
                dnskey_ttl: Ttl::new(TTL),
                members: vec![Member::new("us", Hand::Ours, 0)],
                parent: Parent {
                    hand,
                    reads_csync: false,
                    propagation: 0,
                },
                margin: 0,
                previous: None,
                standing: &[],
                counted: &[],
            });
            let situation = situation.unwrap();
            let of_cds = |slot: &Slot| matches!(slot, Slot::Cds(_) | Slot::Data(_, Class::Cds));
            let slots = situation.serves.iter().map(Value::slot);
            (slots.filter(of_cds).count(), role_of(&situation))
        };
        assert_eq!(of_cds(ParentHand::Cds), (2, Role::Ksk));
        assert_eq!(of_cds(ParentHand::Person), (0, Role::Ksk));
    }

    #[test]
    fn what_no_parent_follows_is_not_shown() {
        let (ksk, next, zsk) = (made(SEP), made(SEP), made(0));
        let keys = [&*ksk, &*next, &*zsk];
        let signer = [&*ksk];
        for cdnskey in [cdnskey(&keys[..1], &signer), empty()] {
            let (wish, _) = shown_of(&keys, cds(&keys[..2], &signer), cdnskey);
            is_odd(&wish, "asks for other keys");
        }
        let (wish, _) = shown_of(&keys, empty(), cdnskey(&keys[..1], &signer));
        is_odd(&wish, "asks for other keys");
        let stranger = made(SEP);
        let (wish, _) = shown_of(&keys, cds(&[&stranger], &signer), cdnskey(&[&stranger], &signer));
        is_odd(&wish, "a key that nobody knows");
        // RFC 7344 §4.1: of one that leads nowhere, and of one that has no DS.
        for signers in [&[][..], &[&*zsk], &[&*next]] {
            let (_, by) = shown_of(&keys, cds(&keys[..2], signers), cdnskey(&keys[..2], &signer));
            is_odd(&by, "no parent follows it");
        }
    }
}
