//! What is known besides the look: what was served before.

use super::*;
use crate::{
    dnssec::{
        algorithm::SigningAlgorithm,
        key::{SEP, SigningKey, ZONE},
        keyfile::timing::Claim,
        register::What,
    },
    multisigner::{
        observations::{self, Party},
        plan::{self, Hand, Kind, ParentHand, PlanKey},
        safety::{Content, DsRecord, DsSet},
    },
};

const NOW: UnixTime = UnixTime(1_800_000_000);

fn known<'a>(events: &'a [Event], counted: &'a [Counted]) -> Known<'a> {
    Known {
        events,
        ttls: ContentTtls::default(),
        dnskey_ttl: Ttl::new(3_600),
        counted,
        members: Vec::new(),
        parent: Parent {
            hand: ParentHand::Person,
            reads_csync: false,
            propagation: 0,
        },
        margin: 10,
        previous: None,
        standing: &[],
    }
}

/// Ours and theirs, who both have the keys of both, and are in the delegation.
fn two() -> Situation {
    let (_, mut situation) = situation();
    let theirs = SigningKey::generate(SigningAlgorithm::Ed25519, ZONE | SEP).unwrap();
    let them = ProviderId::at(1).unwrap();
    situation.keys.push(PlanKey {
        dnskey: Some(theirs.dnskey().clone()),
        owner: Some(them),
        ..situation.keys[0].clone()
    });
    let both: KeySet = [KeyId::at(0).unwrap(), KeyId::at(1).unwrap()].into();
    let keys = |provider, signer| {
        let signers = [KeyId::at(signer).unwrap()].into();
        Value::Keys(
            provider,
            KeyRrset {
                keys: both,
                signers,
                ttl: 60,
            },
        )
    };
    let ns = NsSet {
        members: [ProviderId::FIRST, them].into(),
        ttl: 20,
        from_csync: false,
    };
    situation
        .serves
        .retain(|value| value.slot() != Slot::Keys(ProviderId::FIRST));
    situation.serves.extend([
        keys(ProviderId::FIRST, 0),
        keys(them, 1),
        ds(&[0, 1]),
        Value::ParentNs(ns.clone()),
        Value::ChildNs(ProviderId::FIRST, ns.clone()),
        Value::ChildNs(them, ns),
    ]);
    situation
}

fn ds(keys: &[usize]) -> Value {
    let record = |key: &usize| DsRecord {
        key: KeyId::at(*key).unwrap(),
        digest_type: 2,
    };
    Value::Ds(DsSet {
        records: keys.iter().map(record).collect(),
        ttl: 3_000,
        from_cds: false,
    })
}

fn stands(party: Party, class: observations::Class, ago: u64) -> Standing {
    Standing {
        party,
        class,
        since: UnixTime(NOW.0 - ago),
    }
}

/// What was changed by hand a moment ago: the DS RRset, and the keys that another provider has.
#[test]
fn what_was_first_seen_lately_is_unknown_before() {
    let situation = two();
    let them = Party::Provider("them".to_owned());
    let ages = |age: u64| {
        let all = [
            stands(Party::Parent, observations::Class::Ds, age),
            stands(Party::Parent, observations::Class::Ns, 9_000),
            stands(Party::Ours, observations::Class::Ns, 9_000),
            stands(them.clone(), observations::Class::Dnskey, age),
            stands(them.clone(), observations::Class::Ns, 9_000),
        ];
        let unknown = unknown(&situation, &all).into_iter();
        let lately = unknown.filter_map(|(slot, at)| situation.first_seen_at(&slot, at));
        lately.map(|first| (first.slot, first.held)).collect::<Vec<_>>()
    };
    // TTL, propagation and margin.
    let keys = (Slot::Keys(ProviderId::at(1).unwrap()), 60 + 5 + 10);
    let ds = (Slot::Ds, 3_000 + 10);
    assert_eq!(ages(75), [keys, ds.clone()]);
    assert_eq!(ages(76), std::slice::from_ref(&ds));
    assert_eq!(ages(3_010), [ds]);
    assert_eq!(ages(3_011), []);
    // What nobody noted has begun now, as far as is known.
    let slots: Vec<Slot> = unknown(&situation, &[])
        .into_iter()
        .map(|(slot, _)| slot)
        .collect();
    assert_eq!(slots.len(), 5);
    assert!(!slots.contains(&Slot::Keys(ProviderId::FIRST)));
}

/// What a plan did itself it has measured.
#[test]
fn what_an_earlier_plan_changed_is_known_before() {
    let mut situation = two();
    let them = Party::Provider("them".to_owned());
    let age = 100;
    let all = [
        stands(Party::Parent, observations::Class::Ds, age),
        stands(Party::Parent, observations::Class::Ns, 9_000),
        stands(Party::Ours, observations::Class::Ns, 9_000),
        stands(them.clone(), observations::Class::Dnskey, 9_000),
        stands(them, observations::Class::Ns, 9_000),
    ];
    let mut is_known = |value: Value, ago: u64| {
        let until = UnixTime(NOW.0 - ago);
        situation.past = vec![Past { value, until }];
        !unknown(&situation, &all)
            .iter()
            .any(|(slot, _)| *slot == Slot::Ds)
    };
    assert!(is_known(ds(&[1]), age));
    assert!(is_known(ds(&[1]), age - 1));
    // It was changed again since.
    assert!(!is_known(ds(&[1]), age + 1));
    // That it was there with another TTL says nothing of what was before.
    assert!(!is_known(ds(&[0, 1]), age));
}

/// What was served when the last plan was over, and was changed by hand since.
#[test]
fn what_was_changed_since_an_earlier_plan_is_past() {
    let (mut previous, mut now) = (two(), two());
    previous.keys.clone_from(&now.keys);
    previous.serves.retain(|value| value.slot() != Slot::Ds);
    previous.serves.push(ds(&[1]));
    let past = |now: &mut Situation, standing: &[Standing]| {
        now.past.clear();
        changed_since(&previous, standing, now);
        let past = now.past.iter();
        past.map(|past| (past.value.clone(), NOW.since(past.until).as_secs()))
            .collect::<Vec<_>>()
    };
    let stood = |ago| [stands(Party::Parent, observations::Class::Ds, ago)];
    assert_eq!(past(&mut now, &[]), [(ds(&[1]), 0)]);
    assert_eq!(past(&mut now, &stood(100)), [(ds(&[1]), 100)]);
    // No cache holds it any more.
    assert_eq!(past(&mut now, &stood(3_016)), []);
    assert_eq!(past(&mut now, &stood(3_015)).len(), 1);
}

/// A plan was given up as it is, with the parent asked for a DS and another provider given a key.
#[test]
fn what_a_plan_that_was_given_up_had_on_its_way_counts() {
    let them = ProviderId::at(1).unwrap();
    let theirs_alone = Value::Keys(
        them,
        KeyRrset {
            keys: [KeyId::at(1).unwrap()].into(),
            signers: [KeyId::at(1).unwrap()].into(),
            ttl: 60,
        },
    );
    let mut previous = two();
    let now = Situation {
        keys: previous.keys.clone(),
        ..two()
    };
    previous.serves.retain(|value| value.slot() != Slot::Ds);
    previous.serves.push(ds(&[1]));
    // As it is where what replaced them was begun, and never seen.
    previous.past = [ds(&[0, 1]), theirs_alone.clone()]
        .map(|value| Past { value, until: NOW })
        .into();
    let past = |standing: &[Standing], later: u64| {
        let mut previous = previous.clone();
        let mut now = now.clone();
        let at = UnixTime(NOW.0 + later);
        (previous.at, now.at) = (at, at);
        previous.past.iter_mut().for_each(|past| past.until = at);
        carry_over(&previous, standing, &mut now);
        may_come(&previous, &mut now);
        let past = now.past.into_iter();
        past.map(|past| (past.value, at.since(past.until).as_secs()))
            .collect::<Vec<_>>()
    };
    let came = [stands(
        Party::Provider("them".to_owned()),
        observations::Class::Dnskey,
        10,
    )];
    let all = [(ds(&[0, 1]), 0), (theirs_alone.clone(), 0), (ds(&[1]), 0)];
    assert_eq!(past(&[], 0), all);
    // What has come counts from then, and no cache holds it for ever; what the parent may do has no end.
    let (of_ds, of_keys) = ([all[0].clone(), all[2].clone()], &all[1].0);
    let old = |found: Vec<(Value, u64)>| {
        let (keys, ds): (Vec<_>, Vec<_>) = found.into_iter().partition(|(value, _)| value == of_keys);
        assert_eq!(ds, of_ds);
        keys.into_iter().map(|(_, ago)| ago).collect::<Vec<_>>()
    };
    assert_eq!(old(past(&came, 100)), [110]);
    assert_eq!(old(past(&came, 100_000)), [0; 0]);
}

/// Ours with small TTLs; nothing is known of others.
fn situation() -> (Dnskey, Situation) {
    let made = SigningKey::generate(SigningAlgorithm::Ed25519, ZONE | SEP).unwrap();
    let csk = made.dnskey().clone();
    let key = PlanKey {
        dnskey: Some(csk.clone()),
        algorithm: csk.algorithm(),
        role: Role::Csk,
        owner: Some(ProviderId::FIRST),
    };
    let ids: KeySet = [KeyId::at(0).unwrap()].into();
    let situation = Situation {
        zone: "example.".parse().unwrap(),
        at: NOW,
        keys: vec![key],
        members: vec![
            Member::new("us", Hand::Ours, 0),
            Member::new("them", Hand::Api, 5),
        ],
        parent: Parent {
            hand: ParentHand::Person,
            reads_csync: false,
            propagation: 0,
        },
        serves: vec![
            Value::Keys(
                ProviderId::FIRST,
                KeyRrset {
                    keys: ids,
                    signers: ids,
                    ttl: 60,
                },
            ),
            Value::Data(
                ProviderId::FIRST,
                Class::Positive,
                SignedData {
                    signers: ids,
                    ttl: 30,
                    content: Content::Own,
                },
            ),
        ],
        past: Vec::new(),
        first_seen: Vec::new(),
        margin: 10,
    };
    (csk, situation)
}

/// The DNSKEY RRset that we serve now has the small TTL of the other provider; caches may hold the one before.
#[test]
fn a_dnskey_ttl_that_was_lowered_lately_still_counts() {
    let (csk, situation) = situation();
    let lowered_at = |ago: u64| {
        let ttl = Ttl::new(60);
        let provider = "them".to_owned();
        [
            Event {
                at: UnixTime(NOW.0 - 1_000_000),
                what: What::Imported {
                    key: csk.clone(),
                    state: Claim::Active,
                },
            },
            Event {
                at: UnixTime(NOW.0 - ago),
                what: What::TtlSeen { provider, ttl },
            },
        ]
    };
    let past = |ago| {
        let events = lowered_at(ago);
        let past = recent(&situation, &known(&events, &[]));
        let keys = past.into_iter().filter_map(|past| match past.value {
            Value::Keys(ProviderId::FIRST, rrset) => Some((rrset.ttl, past.until)),
            _ => None,
        });
        keys.collect::<Vec<_>>()
    };
    // TTL, propagation and margin: until then some cache may hold it.
    assert_eq!(past(3_615), [(3_600, UnixTime(NOW.0 - 3_615))]);
    assert_eq!(past(3_616), []);
    assert_eq!(past(0), [(3_600, NOW)]);
}

fn past_of(situation: &Situation, slot: &Slot) -> Vec<(Seconds, u64)> {
    let past = situation.past.iter().filter(|past| past.value.slot() == *slot);
    past.map(|past| (ttl(&past.value), NOW.since(past.until).as_secs()))
        .collect()
}

#[test]
fn a_ttl_that_was_lowered_counts_in_what_is_served_and_in_what_was_served_then() {
    let (_, mut situation) = situation();
    let keys = Slot::Keys(ProviderId::FIRST);
    for ago in [500, 200] {
        let value = situation.value(&keys).unwrap().clone();
        let until = UnixTime(NOW.0 - ago);
        situation.past.push(Past { value, until });
    }
    let ago = |seconds| UnixTime(NOW.0 - seconds);
    let counted = |class, ttl, since, ended: Option<u64>| Counted {
        party: Party::Ours,
        class,
        ttl,
        since: ago(since),
        ended: ended.map(ago),
    };
    let all = [
        counted(observations::Class::Dnskey, 3_600, 300, Some(100)),
        counted(observations::Class::Dnskey, 60, 100, None),
        counted(observations::Class::Data, 900, 400, Some(50)),
        counted(observations::Class::Soa, 700, 400, None),
        Counted {
            party: Party::Provider("nobody".to_owned()),
            ..counted(observations::Class::Dnskey, 9_999, 300, None)
        },
    ];
    with_larger_ttls(&mut situation, &all);
    // The first was served no more when the TTL became larger.
    assert_eq!(
        past_of(&situation, &keys),
        [(60, 500), (3_600, 200), (3_600, 100)]
    );
    let data = Slot::Data(ProviderId::FIRST, Class::Positive);
    // A server that gives it still, or was not asked since, gives it until now.
    assert_eq!(past_of(&situation, &data), [(900, 50), (700, 0)]);
    assert_eq!(situation.past.len(), 5);
}

/// The whole way: a plan waits for what caches got before the TTL was lowered.
#[test]
fn a_plan_waits_for_what_caches_got_before_a_ttl_was_lowered() {
    let wait = |counted: &[Counted]| {
        let (_, mut situation) = situation();
        let new = PlanKey {
            dnskey: None,
            ..situation.keys[0].clone()
        };
        situation.keys.push(new);
        let ns = NsSet {
            members: [ProviderId::FIRST].into(),
            ttl: 20,
            from_csync: false,
        };
        let record = DsRecord {
            key: KeyId::at(0).unwrap(),
            digest_type: 2,
        };
        let ds = DsSet {
            records: [record].into(),
            ttl: 20,
            from_cds: false,
        };
        situation.members.truncate(1);
        situation.serves.extend([
            Value::Ds(ds),
            Value::ParentNs(ns.clone()),
            Value::ChildNs(ProviderId::FIRST, ns),
        ]);
        with_larger_ttls(&mut situation, counted);
        situation.past.sort_by_key(|past| past.until);
        let (old, new) = (KeyId::at(0).unwrap(), KeyId::at(1).unwrap());
        let plan = plan::build(&Kind::RollCsk { old, new }, &situation).unwrap();
        plan.least_duration()
    };
    let lowered = Counted {
        party: Party::Ours,
        class: observations::Class::Dnskey,
        ttl: 3_600,
        since: UnixTime(NOW.0 - 9_000),
        ended: Some(UnixTime(NOW.0 - 100)),
    };
    let (without, with) = (wait(&[]), wait(&[lowered]));
    // What was got last, a hundred seconds ago, is held for its TTL and the margin.
    assert!(without < 1_000, "{without}");
    assert!(
        (3_510..3_600 + without).contains(&with),
        "{with}, {without} without"
    );
}
