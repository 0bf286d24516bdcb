//! What of a look is kept, and what of what was kept a plan starts from.

use super::*;
use crate::multisigner::{
    observations::{Class as Kind, Counted, Party},
    safety,
    survey::cds::tests::{made, signed},
};

/// This server alone, with all that a plan looks at, and the register that has its key.
fn whole() -> (Survey, Vec<Event>) {
    let csk = made(SEP);
    let sign = |rtype, rdata: &[u8]| (rtype, signed(rtype, vec![rdata.to_vec()], &[&csk]));
    let server: Name = "ours.example.".parse().unwrap();
    let proof = [zone().as_wire(), &[0, 1, 0x40]].concat();
    let (_, denial) = sign(RrType::NSEC, &proof);
    let of_members = [
        sign(RrType::DNSKEY, csk.dnskey().rdata()),
        sign(RrType::SOA, &[0; 22]),
        sign(RrType::NS, server.as_wire()),
        (OF_MEMBERS[3], denial),
    ];
    let ds = Ds::of(csk.dnskey(), zone().as_ref(), DigestType::Sha256);
    let of_parent = [
        (
            RrType::DS,
            received(vec![record(RrType::DS, 30, ds.rdata())], Vec::new(), true),
        ),
        (RrType::NS, received(Vec::new(), ns(&["ours.example."]), false)),
    ];
    let mut survey = survey(&of_members, &of_parent);
    survey.members.truncate(1);
    (survey, register(csk.dnskey()))
}

#[test]
fn of_a_look_is_kept_what_is_believed() {
    let (survey, events) = whole();
    let kept = |events: &[Event]| -> Vec<(Party, Kind, u64)> {
        let seen = survey.observed(&Register::of(events), &[Party::Ours]);
        seen.into_iter()
            .map(|seen| (seen.party, seen.class, seen.ttl))
            .collect()
    };
    let theirs = [(Party::Parent, Kind::Ds, 30), (Party::Parent, Kind::Ns, 40)];
    let none = [(Party::Ours, Kind::Cds, 0), (Party::Ours, Kind::Csync, 0)];
    let ours = [Kind::Dnskey, Kind::Soa, Kind::Ns, Kind::Denial].map(|class| (Party::Ours, class, 20));
    assert_eq!(kept(&events), [&ours[..], &none, &theirs].concat());
    // Signatures by a key that nobody knows: somebody may have made it all up.
    assert_eq!(kept(&[]), [&none[..], &theirs].concat());
}

/// A provider behind a cache: what is left of a TTL is no shorter time for those who asked when it was whole. What is signed
/// with it tells.
#[test]
fn a_ttl_that_counts_down_counts_as_it_was_signed() {
    let (mut survey, events) = whole();
    let answers = survey.members[0].servers[0].answers.values_mut();
    let records = answers.filter_map(|answer| answer.as_mut().ok());
    for record in records.flat_map(|received| received.answers.iter_mut().chain(&mut received.authorities)) {
        record.ttl = Ttl::new(7);
    }
    let view = super::view(&survey, &events);
    let us = ProviderId::FIRST;
    for slot in [
        Slot::Keys(us),
        Slot::ChildNs(us),
        Slot::Data(us, safety::Class::Positive),
        Slot::Data(us, safety::Class::Negative),
    ] {
        let Shown::Value(value) = &view.slots[&slot][0].shown else {
            panic!("{slot:?}: {:?}", view.slots[&slot][0].shown);
        };
        assert_eq!(value.ttl(), Some(20), "{slot:?}");
    }
    let kept = survey.observed(&Register::of(&events), &[Party::Ours]);
    let ours = kept.into_iter().filter(|seen| seen.party == Party::Ours);
    let ttls: Vec<(Kind, u64)> = ours.map(|seen| (seen.class, seen.ttl)).collect();
    let signed = [Kind::Dnskey, Kind::Soa, Kind::Ns, Kind::Denial].map(|class| (class, 20));
    assert_eq!(ttls[..4], signed);
}

/// The same in what is exchanged: it would be news, and a change of our own TTL, at every look.
#[test]
fn the_ttl_of_keys_that_counts_down_is_read_as_it_was_signed() {
    let (mut survey, _) = whole();
    let answers = &mut survey.members[0].servers[0].answers;
    let keys = answers.get_mut(&RrType::DNSKEY).unwrap().as_mut().unwrap();
    for record in &mut keys.answers {
        record.ttl = Ttl::new(7);
    }
    let read = crate::multisigner::observe::read_keys(keys, &zone(), NOW).unwrap();
    assert_eq!(read.ttl, Ttl::new(20));
    // Who signs it is not known: what is left is all that there is to see.
    keys.answers.retain(|record| record.rtype == RrType::DNSKEY);
    let read = crate::multisigner::observe::read_keys(keys, &zone(), NOW).unwrap();
    assert_eq!(read.ttl, Ttl::new(7));
}

/// Behind a cache at the parent: the DS RRset, or the proof that there is none, was given with what it was signed with. A proof
/// is held for no longer than its SOA says (RFC 2308 §5).
#[test]
fn the_ttl_of_ds_that_counts_down_counts_as_it_was_signed() {
    let (mut survey, events) = whole();
    let signer = made(SEP);
    let Ok(plain) = survey.parent[0].answers[&RrType::DS].clone() else {
        panic!("it has one");
    };
    let soa = |minimum: u32| [&[0; 18][..], &minimum.to_be_bytes()].concat();
    let proof = |minimum: u32| {
        let signed = signed(RrType::SOA, vec![soa(minimum)], &[&signer]);
        received(Vec::new(), signed.answers, true)
    };
    let whole = signed(RrType::DS, vec![plain.answers[0].rdata.to_vec()], &[&signer]);
    for (answer, wanted) in [(whole, 20), (proof(15), 15), (proof(40), 20)] {
        let mut answer = answer;
        for record in answer.answers.iter_mut().chain(&mut answer.authorities) {
            record.ttl = Ttl::new(7);
        }
        survey.parent[0].answers.insert(RrType::DS, Ok(answer));
        let Shown::Value(value) = shown(&survey, &events, Slot::Ds) else {
            panic!("{:?}", shown(&survey, &events, Slot::Ds));
        };
        assert_eq!(value.ttl(), Some(wanted));
        let kept = survey.observed(&Register::of(&events), &[Party::Ours]);
        let ds = kept.iter().find(|seen| seen.class == Kind::Ds).unwrap();
        assert_eq!(ds.ttl, wanted);
    }
}

#[test]
fn a_plan_starts_from_the_ttls_that_were_seen_lately() {
    let (survey, events) = whole();
    let past = |counted: &[Counted]| {
        let known = Known {
            events: &events,
            ttls: ContentTtls::default(),
            dnskey_ttl: Ttl::new(20),
            counted,
            members: vec![Member::new("us", Hand::Ours, 0)],
            parent: Parent {
                hand: ParentHand::Person,
                reads_csync: false,
                propagation: 0,
            },
            margin: 10,
            previous: None,
            standing: &[],
        };
        let situation = survey.situation(known).unwrap();
        let past = situation.past.into_iter();
        past.map(|past| (past.value.slot(), past.until))
            .collect::<Vec<_>>()
    };
    assert_eq!(past(&[]), []);
    let lowered = Counted {
        party: Party::Parent,
        class: Kind::Ds,
        ttl: 3_600,
        since: UnixTime(NOW.0 - 9_000),
        ended: Some(UnixTime(NOW.0 - 100)),
    };
    assert_eq!(past(&[lowered]), [(Slot::Ds, UnixTime(NOW.0 - 100))]);
}
