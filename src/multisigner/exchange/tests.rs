//! What follows from a look at a provider, fault by fault. The clean case is silent.

use super::*;
use crate::{
    clock::UnixTime,
    dnssec::{
        algorithm::{Algorithm, DigestType},
        key::{REVOKE, SEP, ZONE},
        keyfile::timing::Claim,
        register::{Event, What},
        validate::Ds,
    },
    multisigner::observe::At,
};

fn key(number: u8, flags: u16) -> Dnskey {
    Dnskey::new(flags, Algorithm::ECDSAP256SHA256, &[number; 64])
}

fn ksk(number: u8) -> Dnskey {
    key(number, ZONE | SEP)
}

fn zsk(number: u8) -> Dnskey {
    key(number, ZONE)
}

const API: Capabilities = Capabilities {
    observes_keys: true,
    publishes_keys: true,
    reads_content: true,
    writes_apex_ns: true,
    writes_cds: true,
    writes_csync: true,
};

/// Our keys are 1 (KSK) and 2 (ZSK), NS1's 11 and 12; our ZSK 3 is gone.
struct World {
    zone: Name,
    events: Vec<Event>,
    pinned: Vec<Pin>,
    api: Option<Result<ObservedKeys, String>>,
    servers: Vec<KeyView>,
    parent: Vec<DsView>,
    trust_api: bool,
    ahead: Vec<(Dnskey, DsAhead)>,
    to_have: ToHave,
}

impl World {
    /// Everything as it should be, seen for the first time.
    fn new() -> Self {
        let mut world = Self {
            zone: "example.".parse().unwrap(),
            events: Vec::new(),
            pinned: Vec::new(),
            api: Some(Ok(ObservedKeys {
                signs: true,
                own: vec![ksk(11), zsk(12)],
                ours: vec![ksk(1), zsk(2)],
                ttl: Some(Ttl::new(3600)),
                ..ObservedKeys::default()
            })),
            servers: vec![
                server(1, &[ksk(1), zsk(2), ksk(11), zsk(12)]),
                server(2, &[ksk(1), zsk(2), ksk(11), zsk(12)]),
            ],
            parent: Vec::new(),
            trust_api: false,
            ahead: Vec::new(),
            to_have: ToHave::AllInSet,
        };
        for (key, state) in [
            (ksk(1), Claim::Active),
            (zsk(2), Claim::Active),
            (zsk(3), Claim::Gone),
        ] {
            world.happens(What::Imported { key, state });
        }
        world.parent = vec![world.ds(1, &[ksk(11), ksk(1)]), world.ds(2, &[ksk(1), ksk(11)])];
        world
    }

    fn happens(&mut self, what: What) {
        let at = UnixTime(1_800_000_000);
        self.events.push(Event { at, what });
    }

    fn ds(&self, number: u8, keys: &[Dnskey]) -> DsView {
        let of = |key| Ds::of(key, self.zone.as_ref(), DigestType::Sha256);
        DsView {
            at: at(100 + number),
            seen: Ok(keys.iter().map(of).collect()),
        }
    }

    fn api(&mut self) -> &mut ObservedKeys {
        self.api.as_mut().unwrap().as_mut().unwrap()
    }

    fn judge(&self) -> Verdict {
        let round = Round {
            zone: &self.zone,
            provider: "ns1",
            capabilities: API,
            api: self.api.clone(),
            servers: self.servers.clone(),
            parent: self.parent.clone(),
            pinned: &self.pinned,
            trust_api: self.trust_api,
            our_ttl: Ttl::new(3600),
            to_have: &self.to_have,
            ahead: &self.ahead,
        };
        judge(&round, &Register::of(&self.events))
    }

    /// Takes what is believed, as custody does.
    fn take(&mut self) -> Verdict {
        let verdict = self.judge();
        for seen in &verdict.observations {
            if let Some(by) = seen.trust.clone() {
                let provider = "ns1".to_owned();
                self.happens(What::Trusted { provider, by });
            }
            let register = Register::of(&self.events);
            for key in seen.keys.iter().filter(|key| !register.is_own(key)) {
                let (key, source, evidence) = (key.clone(), seen.source.clone(), seen.evidence.clone());
                self.happens(What::Seen {
                    key,
                    source,
                    evidence,
                });
            }
        }
        verdict
    }

    fn findings(&self) -> Vec<Finding> {
        self.judge().findings
    }
}

fn at(number: u8) -> At {
    At {
        name: None,
        address: ([192, 0, 2, number], 53).into(),
    }
}

fn server(number: u8, keys: &[Dnskey]) -> KeyView {
    KeyView {
        at: at(number),
        seen: Ok(KeyAnswer {
            keys: keys.to_vec(),
            ttl: Ttl::new(3600),
            signers: vec![ksk(11)],
        }),
    }
}

fn answer(view: &mut KeyView) -> &mut KeyAnswer {
    view.seen.as_mut().unwrap()
}

fn sources(verdict: &Verdict) -> Vec<String> {
    verdict
        .observations
        .iter()
        .map(|seen| seen.source.to_string())
        .collect()
}

#[test]
fn all_in_step_is_silent() {
    let mut world = World::new();
    let verdict = world.take();
    assert_eq!(verdict.findings, []);
    assert!(verdict.held == Held::AsItIsToBe && verdict.waiting_for.is_empty());
    assert_eq!(
        sources(&verdict),
        ["ns1's API", "ns1 at 192.0.2.1", "ns1 at 192.0.2.2"]
    );
    let tag = ksk(11).key_tag();
    assert_eq!(verdict.observations[0].trust, Some(Trust::Chain { tag }));
    // And again: nothing is new, so nothing is written.
    let again = world.judge();
    assert_eq!(again.findings, []);
    assert!(again.observations.iter().all(|seen| seen.trust.is_none()));
}

#[test]
fn nothing_is_believed_without_a_reason() {
    let mut world = World::new();
    world.parent = vec![world.ds(1, &[])];
    let verdict = world.judge();
    assert_eq!(sources(&verdict), [""; 0]);
    let (k, at) = (ksk(11).key_tag(), |n: u8| format!("192.0.2.{n}"));
    assert_eq!(
        verdict.findings,
        [
            Finding::ApiUntrusted { tags: vec![k] },
            Finding::Unbelieved {
                at: at(1),
                signers: vec![k]
            },
            Finding::Unbelieved {
                at: at(2),
                signers: vec![k]
            },
        ]
    );
    // A person's word for the API carries over to what the key that it names signs.
    world.trust_api = true;
    let verdict = world.take();
    assert_eq!(sources(&verdict).len(), 3);
    assert_eq!(verdict.observations[0].trust, Some(Trust::Person));
    world.trust_api = false;
    assert_eq!(world.findings(), [], "the word stands");
    // A DS is a better reason, and is written down once.
    world.parent = vec![world.ds(1, &[ksk(11)])];
    let tag = k;
    assert_eq!(world.take().observations[0].trust, Some(Trust::Chain { tag }));
    assert!(world.judge().observations.iter().all(|seen| seen.trust.is_none()));
}

#[test]
fn a_pin_is_a_reason_a_zsk_and_a_revoked_key_are_none() {
    let mut world = World::new();
    world.parent = Vec::new();
    let ds = Ds::of(&ksk(11), world.zone.as_ref(), DigestType::Sha256);
    for pin in [Pin::Key(ksk(11)), Pin::Ds(ds)] {
        world.pinned = vec![pin];
        assert_eq!(sources(&world.judge()).len(), 3);
    }
    let revoked = key(11, ZONE | SEP | REVOKE);
    for (own, signer) in [(zsk(12), zsk(12)), (revoked.clone(), revoked)] {
        world.pinned = vec![Pin::Key(own.clone())];
        world.api().own = vec![own];
        for view in &mut world.servers {
            answer(view).signers = vec![signer.clone()];
        }
        assert_eq!(sources(&world.judge()), [""; 0]);
    }
}

#[test]
fn a_ds_counts_that_every_parent_server_shows() {
    let mut world = World::new();
    world.parent = vec![world.ds(1, &[ksk(11), ksk(1)]), world.ds(2, &[ksk(1)])];
    let verdict = world.judge();
    assert_eq!(sources(&verdict), [""; 0]);
    assert_eq!(verdict.findings[0], Finding::ParentDiffers);
    // One that cannot be reached says nothing.
    world.parent[1].seen = Err(Unseen::Unreachable("no route".into()));
    assert_eq!(world.findings(), []);
    world.parent.remove(0);
    assert_eq!(world.findings()[0], Finding::NoParent("no route".into()));
}

#[test]
fn a_roll_that_the_old_key_signs_is_believed_and_told() {
    let mut world = World::new();
    world.take();
    world.parent = Vec::new();
    // KSK 13 joins, signed by 11; later it signs alone.
    for view in &mut world.servers {
        answer(view).keys.push(ksk(13));
    }
    world.api().own.push(ksk(13));
    let verdict = world.take();
    let new = Finding::NewKey {
        tag: ksk(13).key_tag(),
        role: "KSK",
    };
    assert_eq!(verdict.findings, [new]);
    for view in &mut world.servers {
        let answer = answer(view);
        answer.keys.retain(|key| *key != ksk(11));
        answer.signers = vec![ksk(13)];
    }
    world.api().own.retain(|key| *key != ksk(11));
    let verdict = world.judge();
    assert_eq!(verdict.findings, []);
    assert_eq!(sources(&verdict).len(), 3);
}

#[test]
fn our_keys_are_given_until_every_server_shows_them() {
    let mut world = World::new();
    world.take();
    let (k, z) = (ksk(1).key_tag(), zsk(2).key_tag());
    world.api().ours = vec![ksk(1)];
    answer(&mut world.servers[1])
        .keys
        .retain(|key| *key != zsk(2) && *key != ksk(1));
    let verdict = world.judge();
    assert_eq!(verdict.held, Held::Otherwise);
    assert_eq!(verdict.waiting_for, ["192.0.2.2"]);
    let mut both = vec![k, z];
    both.sort_by_key(|tag| if *tag == z { 0 } else { 1 });
    assert_eq!(
        verdict.findings,
        [
            Finding::NotGiven { tags: vec![z] },
            Finding::OursMissing {
                at: "192.0.2.2".into(),
                tags: both
            },
        ]
    );
}

#[test]
fn the_echo_of_a_retired_key_is_never_an_import() {
    let mut world = World::new();
    // NS1 still has our ZSK 3, in its set of ours and in the RRset that it serves.
    world.api().ours.push(zsk(3));
    for view in &mut world.servers {
        answer(view).keys.push(zsk(3));
    }
    let verdict = world.judge();
    let past = zsk(3).key_tag();
    assert_eq!(verdict.held, Held::Otherwise, "it is taken away there");
    assert_eq!(verdict.findings[0], Finding::Stale { tags: vec![past] });
    assert!(
        verdict.findings[1..]
            .iter()
            .all(|found| matches!(found, Finding::OursPast { .. }))
    );
    assert_eq!(verdict.findings.len(), 3);
}

#[test]
fn disagreement_is_told_and_one_source_is_enough() {
    let mut world = World::new();
    world.take();
    let mut clean = World::new();
    clean.take();
    // A ZSK that one server alone shows.
    answer(&mut world.servers[0]).keys.push(zsk(14));
    let verdict = world.judge();
    let tags = vec![zsk(14).key_tag()];
    assert_eq!(
        verdict.findings,
        [
            Finding::ServerAhead {
                at: "192.0.2.1".into(),
                tags
            },
            Finding::NewKey {
                tag: zsk(14).key_tag(),
                role: "ZSK"
            },
        ]
    );
    assert!(verdict.observations[1].keys.contains(&zsk(14)));
    // One that the API alone names.
    let mut world = clean;
    world.api().own.push(zsk(14));
    let found = world.findings();
    assert_eq!(found.len(), 3);
    assert!(matches!(
        &found[..2],
        [Finding::ApiAhead { .. }, Finding::ApiAhead { .. }]
    ));
    // A key that a third provider gave is none of the provider's own, and no disagreement.
    world.api().own.pop();
    world.api().others.push(("third".into(), zsk(15)));
    for view in &mut world.servers {
        answer(view).keys.push(zsk(15));
    }
    assert!(
        world
            .findings()
            .iter()
            .all(|found| matches!(found, Finding::NewKey { .. }))
    );
}

/// Not to know is no reason to take anything away, and none to give.
#[test]
fn what_nobody_knows_it_is_to_have_is_left_as_it_is() {
    let mut world = World::new();
    world.take();
    world.to_have = ToHave::NoneOfThem;
    let verdict = world.judge();
    assert_eq!(verdict.held, Held::Otherwise, "all are taken away there");
    assert!(verdict.findings.contains(&Finding::IsToHaveNone));

    world.to_have = ToHave::WhatItHas(Because::ParentUnseen);
    for ours in [vec![ksk(1), zsk(2), zsk(3)], Vec::new()] {
        world.api().ours = ours;
        let verdict = world.judge();
        assert!(matches!(verdict.held, Held::Unknown(_)), "{:?}", verdict.held);
        assert!(verdict.waiting_for.is_empty());
        let undecided = Finding::Undecided(Because::ParentUnseen);
        assert_eq!(verdict.findings, [undecided]);
    }
}

#[test]
fn what_cannot_be_reached_is_neither_seen_nor_gone() {
    let mut world = World::new();
    world.take();
    world.servers[0].seen = Err(Unseen::Unreachable("no answer".into()));
    let verdict = world.judge();
    assert_eq!(sources(&verdict), ["ns1's API", "ns1 at 192.0.2.2"]);
    assert!(matches!(&verdict.findings[..], [Finding::Unreachable { .. }]));
    world.api = Some(Err("ns1: 503".into()));
    let verdict = world.judge();
    assert_eq!(sources(&verdict), ["ns1 at 192.0.2.2"]);
    assert!(
        matches!(verdict.held, Held::Unknown(_)),
        "nothing is given to who cannot be asked"
    );
}

#[test]
fn a_provider_that_does_not_sign_is_an_alarm_and_no_sign_of_absence() {
    let mut world = World::new();
    world.take();
    world.api = Some(Ok(ObservedKeys::default()));
    world
        .servers
        .iter_mut()
        .for_each(|view| view.seen = Err(Unseen::Odd("no DNSKEY".into())));
    let verdict = world.judge();
    assert_eq!(verdict.observations, []);
    assert_eq!(verdict.findings[0].severity(), Severity::Alarm);
}

#[test]
fn a_ttl_of_its_own_is_told() {
    let mut world = World::new();
    answer(&mut world.servers[1]).ttl = Ttl::new(600);
    let verdict = world.judge();
    assert!(matches!(&verdict.findings[..], [Finding::TtlDiffers { .. }]));
    assert_eq!(verdict.observations[2].ttl, Some(Ttl::new(600)));
}

/// The parent is secured, and no DS leads to what NS1 serves: its answers are bogus now.
#[test]
fn a_set_that_no_ds_leads_to_is_an_alarm() {
    let mut world = World::new();
    world.take();
    // A KSK roll without notice: signed by both, then by the new one alone, and the parent knows the old one.
    for view in &mut world.servers {
        answer(view).keys.push(ksk(13));
    }
    world.api().own.push(ksk(13));
    world.take();
    let tag = ksk(13).key_tag();
    assert_eq!(
        world.findings(),
        [Finding::NoDs {
            ours: false,
            tag,
            ahead: None
        }],
        "the old key still leads there"
    );
    answer(&mut world.servers[0]).signers = vec![ksk(13)];
    let at = "192.0.2.1".to_owned();
    let signers = vec![tag];
    assert!(world.findings().contains(&Finding::NoChain { at, signers }));
    // And ours: nobody may be sent to us before the parent has a DS for us.
    world.parent = vec![world.ds(1, &[ksk(11), ksk(13)])];
    let tag = ksk(1).key_tag();
    let without = |ahead| {
        [Finding::NoDs {
            ours: true,
            tag,
            ahead,
        }]
    };
    let found = world.findings();
    assert_eq!(found, without(None));
    assert!(
        found[0]
            .to_string()
            .contains("give it the records of `countersign ds`")
    );
    // A plan sees to it: whoever gave the parent a DS by hand would be too early, or work against it.
    for (ahead, says) in [
        (DsAhead::ByCds, "asks for it by CDS"),
        (
            DsAhead::ByPerson,
            "`countersign status` shows it when its time has come",
        ),
        (DsAhead::Goes, "takes the key away again"),
    ] {
        world.ahead = vec![(ksk(1), ahead)];
        let found = world.findings();
        assert_eq!(found, without(Some(ahead)));
        let told = found[0].to_string();
        assert!(told.contains(says) && !told.contains("countersign ds"), "{told}");
    }
}

#[test]
fn an_address_family_that_is_missing_here_is_stood_for() {
    let mut world = World::new();
    world.take();
    let name: Name = "dns1.p01.nsone.net.".parse().unwrap();
    world.servers[0].at.name = Some(name.clone());
    let mut other = world.servers[0].clone();
    other.at.address = "[2001:db8::1]:53".parse().unwrap();
    other.seen = Err(Unseen::Unreachable("no route".into()));
    world.servers.push(other);
    let at = "dns1.p01.nsone.net. 2001:db8::1".to_owned();
    let by = "dns1.p01.nsone.net. 192.0.2.1".to_owned();
    assert_eq!(world.findings(), [Finding::StoodFor { at, by }]);
    // Nobody stands for it when the other address is another server's, of the same family, or gone as well.
    world.servers[0].at.name = None;
    assert!(matches!(&world.findings()[..], [Finding::Unreachable { .. }]));
}

/// Else a key that was last seen there would stay for ever, as one that somebody still has.
#[test]
fn an_address_that_is_gone_shows_no_key_that_nobody_else_shows() {
    let mut world = World::new();
    let all = [ksk(1), zsk(2), ksk(11), zsk(12)];
    world.servers.push(server(3, &[&all[..], &[zsk(13)]].concat()));
    world.take();
    let gone = |world: &World| -> Vec<Observation> {
        let of_before = at(3).address;
        let observed = world.judge().observations.into_iter();
        let is_there = |seen: &Observation| match seen.source {
            Source::Server { address, .. } => address == of_before,
            _ => false,
        };
        observed.filter(is_there).collect()
    };
    assert_eq!(gone(&world).len(), 1, "it was seen there now");
    world.servers.pop();
    let found = gone(&world);
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].keys,
        [zsk(12), ksk(11)]
            .into_iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
    assert_eq!((&found[0].ttl, &found[0].trust), (&None, &None));

    // Nothing follows while one of today's servers is not reached, is not believed, shows the key, or there is none.
    let whole = world.servers.clone();
    world.servers[1].seen = Err(Unseen::Unreachable("no answer".to_owned()));
    assert_eq!(gone(&world), []);
    world.servers.clone_from(&whole);
    answer(&mut world.servers[1]).signers = vec![ksk(19)];
    assert_eq!(gone(&world), []);
    world.servers[1].seen = Err(Unseen::Odd("it refuses".to_owned()));
    assert_eq!(gone(&world), []);
    world.servers = vec![server(1, &[&all[..], &[zsk(13)]].concat()), server(2, &all)];
    assert_eq!(gone(&world), []);
    world.servers.clear();
    assert_eq!(gone(&world), []);
    // Nor where the addresses alone are others.
    world.servers = whole;
    world.api().own.push(zsk(13));
    assert_eq!(gone(&world), []);
}
