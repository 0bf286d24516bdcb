//! What answers show, and what they do not.

mod kept;
mod named;
mod samples;
mod ways;

use super::{
    ask::{OF_MEMBERS, OF_PARENT},
    read::ContentTtls,
    *,
};
use crate::{
    dnssec::{
        algorithm::{DigestType, SigningAlgorithm},
        key::{Dnskey, SEP, SigningKey, ZONE},
        keyfile::timing::Claim,
        register::{Event, Register, What},
        validate::Ds,
    },
    multisigner::{
        execute::{Shown, View},
        plan::{Hand, Member, Parent, ParentHand},
        safety::{ProviderId, Slot, Value},
    },
    wire::{
        Class, RrType, Ttl,
        message::{Opcode, Rcode},
        received::Record,
    },
};

pub(super) const NOW: UnixTime = UnixTime(1_800_000_000);

pub(super) fn zone() -> Name {
    "example.".parse().unwrap()
}

pub(super) fn received(answers: Vec<Record>, authorities: Vec<Record>, authoritative: bool) -> Received {
    Received {
        id: 1,
        is_response: true,
        opcode: Opcode(0),
        authoritative,
        truncated: false,
        authenticated: false,
        rcode: Rcode::NOERROR,
        question: None,
        answers,
        authorities,
        additionals: Vec::new(),
        edns: None,
        tsig: None,
    }
}

pub(super) fn record(rtype: RrType, ttl: u32, rdata: &[u8]) -> Record {
    Record {
        owner: zone(),
        rtype,
        class: Class::IN,
        ttl: Ttl::new(ttl),
        rdata: rdata.into(),
    }
}

pub(super) fn ns(names: &[&str]) -> Vec<Record> {
    let name = |name: &&str| name.parse::<Name>().unwrap();
    let records = names.iter().map(name);
    records
        .map(|name| record(RrType::NS, 40, name.as_ref().as_wire()))
        .collect()
}

/// A server that answers all questions.
fn answered(address: &str, way: Way, types: &[RrType], answers: &[(RrType, Received)]) -> Answered {
    let given = |rtype: &RrType| answers.iter().find(|(of, _)| of == rtype);
    let answer = |rtype: &RrType| Ok(given(rtype).map_or_else(empty, |(_, received)| received.clone()));
    Answered {
        at: Some(At {
            name: None,
            address: address.parse().unwrap(),
        }),
        way,
        asked: NOW,
        came: NOW,
        answers: types.iter().map(|rtype| (*rtype, answer(rtype))).collect(),
        samples: Sampled::new(),
    }
}

fn key() -> Dnskey {
    let made = SigningKey::generate(SigningAlgorithm::Ed25519, ZONE | SEP).unwrap();
    made.dnskey().clone()
}

pub(super) fn register(own: &Dnskey) -> Vec<Event> {
    let (key, state) = (own.clone(), Claim::Active);
    vec![Event {
        at: NOW,
        what: What::Imported { key, state },
    }]
}

/// One server of each of two providers, which answer alike, and one of the parent.
pub(super) fn survey(of_members: &[(RrType, Received)], of_parent: &[(RrType, Received)]) -> Survey {
    let member = |names: &[&str]| MemberSeen {
        names: names.iter().map(|name| name.parse().unwrap()).collect(),
        servers: vec![answered("192.0.2.1:53", Way::Udp, &OF_MEMBERS, of_members)],
    };
    Survey {
        zone: zone(),
        at: NOW,
        members: vec![member(&[]), member(&["theirs.example."])],
        parent: vec![answered("192.0.2.9:53", Way::Udp, &OF_PARENT, of_parent)],
        failed: BTreeSet::new(),
    }
}

pub(super) fn empty() -> Received {
    received(Vec::new(), Vec::new(), true)
}

pub(super) fn shown(survey: &Survey, events: &[Event], slot: Slot) -> Shown {
    let view = view(survey, events);
    assert!(view.strangers.len() <= 1, "{:?}", view.strangers);
    view.slots[&slot][0].shown.clone()
}

/// What is shown by every way.
fn all_shown(survey: &Survey, slot: Slot) -> Vec<Shown> {
    let sights = view(survey, &[]).slots.remove(&slot).unwrap();
    sights.into_iter().map(|sight| sight.shown).collect()
}

pub(super) fn view(survey: &Survey, events: &[Event]) -> View {
    let members = vec![
        Member::new("us", Hand::Ours, 0),
        Member::new("them", Hand::Api, 0),
    ];
    let situation = crate::multisigner::plan::Situation::bare(zone(), NOW, members);
    survey.view(&situation, &Register::of(events), ContentTtls::default())
}

#[track_caller]
pub(super) fn is_odd(shown: &Shown, words: &str) {
    assert!(
        matches!(shown, Shown::Odd(why) if why.contains(words)),
        "{shown:?}"
    );
}

#[test]
fn a_key_set_that_nobody_believed_signs_shows_nothing() {
    let (ours, forged) = (key(), key());
    let keys = vec![
        record(RrType::DNSKEY, 20, ours.rdata()),
        record(RrType::DNSKEY, 20, forged.rdata()),
    ];
    let survey = survey(&[(RrType::DNSKEY, received(keys, Vec::new(), true))], &[]);
    let them = ProviderId::at(1).unwrap();
    is_odd(
        &shown(&survey, &register(&ours), Slot::Keys(them)),
        "signed by no key that is believed",
    );
    is_odd(
        &shown(
            &survey,
            &register(&ours),
            Slot::Data(them, crate::multisigner::safety::Class::Positive),
        ),
        "gives no SOA",
    );
    let seen = survey.situation(Known {
        events: &register(&ours),
        ttls: ContentTtls::default(),
        dnskey_ttl: Ttl::new(3_600),
        counted: &[],
        members: vec![
            Member::new("us", Hand::Ours, 0),
            Member::new("them", Hand::Api, 0),
        ],
        parent: Parent {
            hand: ParentHand::Person,
            reads_csync: false,
            propagation: 0,
        },
        margin: 0,
        previous: None,
        standing: &[],
    });
    let problems = seen.unwrap_err().problems;
    assert!(
        problems.iter().any(|what| what.starts_with("DNSKEY of them: ")),
        "{problems:?}"
    );
}

#[test]
fn name_servers_belong_to_who_has_their_names_and_the_others_to_us() {
    let referral = received(Vec::new(), ns(&["ours.example.", "theirs.example."]), false);
    let answer = received(ns(&["theirs.example."]), Vec::new(), true);
    let mut survey = survey(&[(RrType::NS, answer)], &[(RrType::NS, referral)]);
    let members = |shown: &Shown| match shown {
        Shown::Value(Value::ParentNs(ns) | Value::ChildNs(_, ns)) => (
            ns.members.iter().map(|member| member.place()).collect::<Vec<_>>(),
            ns.ttl,
        ),
        other => panic!("{other:?}"),
    };
    let them = ProviderId::at(1).unwrap();
    assert_eq!(members(&shown(&survey, &[], Slot::ParentNs)), (vec![0, 1], 40));
    assert_eq!(members(&shown(&survey, &[], Slot::ChildNs(them))), (vec![1], 40));
    // Where one provider's names are not known, nobody can say whose the others are.
    survey.members[1].names.clear();
    is_odd(&shown(&survey, &[], Slot::ParentNs), "server_names");
    survey.members[0].names = vec!["ours.example.".parse().unwrap()];
    is_odd(&shown(&survey, &[], Slot::ChildNs(them)), "theirs.example.");
}

#[test]
fn ds_records_count_by_the_keys_of_the_register() {
    let (ours, unknown) = (key(), key());
    let ds = |key: &Dnskey| {
        record(
            RrType::DS,
            30,
            Ds::of(key, zone().as_ref(), DigestType::Sha256).rdata(),
        )
    };
    let parent = |records| [(RrType::DS, received(records, Vec::new(), true))];
    let good = survey(&[], &parent(vec![ds(&ours)]));
    let shown_ds = shown(&good, &register(&ours), Slot::Ds);
    assert!(
        matches!(&shown_ds, Shown::Value(Value::Ds(ds)) if ds.records.len() == 1 && ds.ttl == 30),
        "{shown_ds:?}"
    );
    let odd = survey(&[], &parent(vec![ds(&ours), ds(&unknown)]));
    is_odd(&shown(&odd, &register(&ours), Slot::Ds), "which nobody knows");
}
