//! Random situations: every plan is safe for every kind of validator for which the zone was, and ends in its goal; so
//! is every way back. Brute force says the same of a sample.

use super::*;
use crate::multisigner::safety::{
    Change, Invariant, Mode, Timeline, Validator,
    oracle::{history::Random, resolvers::watch},
};

/// How many situations an ordinary run plans for; `COUNTERSIGN_HISTORIES` says otherwise.
const ORDINARY: u64 = 1_500;
/// Every so many plans are given to the brute force.
const SAMPLE: u64 = 40;

pub(super) fn situations() -> u64 {
    let count = std::env::var("COUNTERSIGN_HISTORIES").ok();
    count.map_or(ORDINARY, |count| count.parse().unwrap())
}

/// A zone of two or three providers in some steady state, and a change of it.
pub(super) fn story(random: &mut Random) -> (Zone, Kind) {
    let numbers = Numbers {
        ds: random.below(8),
        keys: random.below(8),
        data: random.below(8),
        ns: random.below(8),
        lag: random.below(3),
        margin: random.pick(&[0, 0, 1, 3]),
    };
    let hands = [Hand::Api, Hand::Person];
    let mut members = vec![("A", Hand::Ours), ("B", random.pick(&hands))];
    if random.one_in(3) {
        members.push(("C", random.pick(&hands)));
    }
    let names: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    let mut zone = Zone::empty(&members, numbers);
    for member in &mut zone.situation.members {
        member.propagation = random.below(4);
        member.shows_cds |= random.one_in(2);
    }
    zone.situation.parent.propagation = random.below(4);
    zone.situation.parent.hand = random.pick(&[ParentHand::Cds, ParentHand::Person]);
    let csk = random.one_in(4);
    let kind = kind(random, csk, &names);
    let joins = match &kind {
        Kind::Join { provider } => Some(*provider),
        _ => None,
    };
    serve(random, &mut zone, &names, csk, joins);
    prepare(random, &mut zone, &kind);
    read_csync(random, &mut zone);
    (zone, kind)
}

fn kind(random: &mut Random, csk: bool, names: &[&str]) -> Kind {
    let (old, new) = match (csk, random.one_in(2)) {
        (true, _) => (key("CA"), key("CA2")),
        (false, true) => (key("ZA"), key("ZA2")),
        (false, false) => (key("KA"), key("KA2")),
    };
    let any = provider(random.pick(names));
    let of_all = |suffix: &str| -> Vec<KeyId> {
        let keys = names
            .iter()
            .flat_map(|name| ["K", "Z"].map(|role| key(&format!("{role}{name}{suffix}"))));
        keys.collect()
    };
    match random.below(9) {
        0 | 1 => Kind::Join { provider: any },
        2 | 3 => Kind::Leave { provider: any },
        4 if !csk => Kind::Algorithm {
            old: of_all(""),
            new: of_all("e"),
        },
        5 => Kind::Emergency {
            old,
            new,
            policy: random.pick(&[Emergency::Availability, Emergency::Standby]),
        },
        6 => Kind::Standby { new: key("ZA2") },
        7 => Kind::Follow {
            provider: provider("B"),
            gone: vec![(
                random.pick(&[key("KB2"), key("ZB2")]),
                UnixTime(START - random.below(12)),
            )],
        },
        _ => match zone_role(old) {
            'C' => Kind::RollCsk { old, new },
            'K' => Kind::RollKsk { old, new },
            _ => Kind::RollZsk { old, new },
        },
    }
}

fn zone_role(key: KeyId) -> char {
    LABELS[key.place()].chars().next().unwrap_or('Z')
}

/// What everybody serves; the provider that joins is not asked, and has only its own keys or those of all.
fn serve(random: &mut Random, zone: &mut Zone, names: &[&str], csk: bool, joins: Option<ProviderId>) {
    let own = |name: &str, role: &str| match (name, csk) {
        ("A", true) => "CA".to_owned(),
        _ => format!("{role}{name}"),
    };
    let inside: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| Some(provider(name)) != joins)
        .collect();
    let join = |names: &[&str], role: &str| {
        names
            .iter()
            .map(|name| own(name, role))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut values = vec![zone.ds(&join(&inside, "K")), zone.parent_ns(&inside.join(" "))];
    for name in names {
        let is_in = inside.contains(name);
        let mut published = format!("{} {}", own(name, "K"), own(name, "Z"));
        if is_in || random.one_in(3) {
            published += &format!(" {}", join(&inside, "Z"));
        }
        if is_in && random.one_in(2) {
            published += &format!(" {}", join(&inside, "K"));
        }
        zone.numbers.keys = random.below(8);
        values.push(zone.keys(name, &published, &own(name, "K")));
        zone.numbers.ns = random.below(8);
        values.push(zone.child_ns(
            name,
            &if is_in {
                inside.join(" ")
            } else {
                (*name).to_owned()
            },
        ));
        for class in [Class::Positive, Class::Negative] {
            let data = SignedData {
                signers: keys(&own(name, "Z")),
                ttl: random.below(8),
                content: Content::Own,
            };
            values.push(Value::Data(provider(name), class, data));
        }
    }
    zone.set(&values);
}

/// What a kind needs besides.
fn prepare(random: &mut Random, zone: &mut Zone, kind: &Kind) {
    let everywhere = match kind {
        Kind::Emergency {
            new,
            policy: Emergency::Standby,
            ..
        } => Some(*new),
        Kind::Follow { gone, .. } => Some(gone[0].0),
        _ if random.one_in(6) => Some(key("ZA2")),
        _ => None,
    };
    let Some(more) = everywhere else { return };
    let skipped = |at: ProviderId| matches!(kind, Kind::Follow { provider, .. } if *provider == at);
    let mut before = Vec::new();
    for value in &mut zone.situation.serves {
        match value {
            Value::Keys(at, rrset) if !skipped(*at) => {
                before.push(Value::Keys(*at, *rrset));
                rrset.keys = rrset.keys.union(KeySet::from([more]));
            }
            Value::Ds(ds)
                if matches!(kind, Kind::Emergency { .. } | Kind::Follow { .. }) && zone_role(more) != 'Z' =>
            {
                ds.records.insert(DsRecord {
                    key: more,
                    digest_type: 2,
                });
            }
            _ => {}
        }
    }
    // It was published not long ago, and some caches do not have it.
    if random.one_in(2)
        && matches!(
            kind,
            Kind::RollZsk { .. } | Kind::RollKsk { .. } | Kind::Standby { .. }
        )
    {
        let until = UnixTime(START - 1 - random.below(3));
        zone.situation.past = before.into_iter().map(|value| Past { value, until }).collect();
    }
}

/// A parent that reads CSYNC, some of what an earlier plan showed it among it.
fn read_csync(random: &mut Random, zone: &mut Zone) {
    zone.situation.parent.reads_csync = random.one_in(2);
    for place in 0..zone.situation.members.len() {
        let member = &mut zone.situation.members[place];
        member.shows_csync |= random.one_in(2);
        if zone.situation.parent.reads_csync && member.shows_csync && random.one_in(6) {
            let addresses = random.one_in(2);
            let at = ProviderId::at(place).unwrap();
            zone.set(&[Value::Csync(at, Some(Csync { addresses }))]);
        }
    }
}

/// What must be so in the end.
fn assert_goal(plan: &Plan, seed: u64) {
    let end = end(plan);
    let everywhere = |has: &dyn Fn(KeySet) -> bool| {
        end.iter().all(|value| match value {
            Value::Keys(at, rrset) => !asked(&end).contains(at) || has(rrset.keys.union(rrset.signers)),
            _ => true,
        })
    };
    let nowhere = |keys: KeySet| {
        end.iter().all(|value| match value {
            Value::Keys(at, rrset) => {
                !asked(&end).contains(at) || rrset.keys.union(rrset.signers).intersection(keys).is_empty()
            }
            Value::Data(at, _, data) => {
                !asked(&end).contains(at) || data.signers.intersection(keys).is_empty()
            }
            Value::Ds(ds) => ds.records.iter().all(|record| !keys.contains(record.key)),
            _ => true,
        })
    };
    let reached = match &plan.kind {
        Kind::Join { provider } => {
            let all: Vec<KeySet> = signers(&end).collect();
            asked(&end).contains(provider)
                && everywhere(&|keys| all.iter().all(|one| one.without(keys).is_empty()))
        }
        Kind::Leave { provider } => {
            let its = plan.situation.keys.iter().enumerate();
            let its = its.filter(|(_, key)| key.owner == Some(*provider));
            !asked(&end).contains(provider)
                && nowhere(its.map(|(place, _)| KeyId::at(place).unwrap()).collect())
        }
        Kind::RollZsk { old, new }
        | Kind::RollKsk { old, new }
        | Kind::RollCsk { old, new }
        | Kind::Emergency { old, new, .. } => {
            nowhere(KeySet::from([*old])) && everywhere(&|keys| keys.contains(*new))
        }
        Kind::Standby { new } => everywhere(&|keys| keys.contains(*new)),
        Kind::Follow { gone, .. } => nowhere(gone.iter().map(|(key, _)| *key).collect()),
        Kind::Algorithm { old, .. } => nowhere(old.iter().copied().collect()),
        Kind::Retreat { .. } => true,
    };
    assert!(
        reached,
        "seed {seed}: the goal is not reached: {end:#?}\n{:#?}",
        plan.steps
    );
}

fn asked(values: &[Value]) -> BTreeSet<ProviderId> {
    let parent = values.iter().find_map(|value| match value {
        Value::ParentNs(ns) => Some(ns.members.clone()),
        _ => None,
    });
    parent.unwrap_or_default()
}

fn signers(values: &[Value]) -> impl Iterator<Item = KeySet> {
    let asked = asked(values);
    values.iter().filter_map(move |value| match value {
        Value::Data(at, _, data) if asked.contains(at) => Some(data.signers),
        _ => None,
    })
}

/// Brute force and the plan, for one kind of validator.
fn assert_brute_force_agrees(plan: &Plan, random: &mut Random, seed: u64) {
    let before = plan.timeline(&[]).unwrap();
    let course = plan.timeline(&plan.earliest().steps).unwrap();
    let mode = random.pick(&[Mode::Lenient, Mode::StrictDs, Mode::StrictDnskey]);
    let validator = Validator::new(mode, crate::multisigner::safety::DigestRule::Any);
    let margin = plan.situation.margin;
    let chains = [
        Invariant::Secure,
        Invariant::Resolver,
        Invariant::Caches,
        Invariant::Available,
    ];
    let at_the_start = watch(&before, &validator, margin);
    for (invariant, seen) in watch(&course, &validator, margin) {
        let harmed = chains.contains(&invariant) && !at_the_start.contains_key(&invariant);
        assert!(
            !harmed,
            "seed {seed}: {invariant} for {validator}: {}",
            seen.story
        );
    }
}

#[test]
fn every_plan_is_safe_and_reaches_its_goal() {
    let mut planned = std::collections::BTreeMap::<String, u64>::new();
    for seed in 0..situations() {
        let mut random = Random(seed);
        let (zone, kind) = story(&mut random);
        let plan = match build(&kind, &zone.situation) {
            Ok(plan) => plan,
            Err(error) => {
                *planned
                    .entry(format!("{error:?}").chars().take(20).collect())
                    .or_default() += 1;
                continue;
            }
        };
        let judged = plan.judge().unwrap();
        assert!(
            judged.iter().any(|judgement| judgement.starts_safe),
            "seed {seed}: nothing is judged"
        );
        if let Some(harm) = judged.iter().find_map(|judgement| judgement.harm()) {
            panic!(
                "seed {seed}: {harm}\n{:#?}\n{:#?}",
                plan.steps, plan.situation.serves
            );
        }
        assert_goal(&plan, seed);
        if seed % SAMPLE == 0 {
            assert_brute_force_agrees(&plan, &mut random, seed);
        }
        *planned
            .entry(format!("{:?}", plan.kind).chars().take(7).collect())
            .or_default() += 1;
        go_back(&plan, &mut random, seed);
    }
    println!("{planned:?}");
    for kind in [
        "Join", "Leave", "RollZsk", "RollKsk", "RollCsk", "Algorit", "Emergen", "Standby", "Follow",
    ] {
        let count: u64 = planned
            .iter()
            .filter(|(name, _)| name.starts_with(kind))
            .map(|(_, count)| count)
            .sum();
        assert!(count > situations() / 60, "{kind}: {count} of {planned:?}");
    }
}

/// From a random place of the plan, at times that are later than the earliest.
fn go_back(plan: &Plan, random: &mut Random, seed: u64) {
    let (done, now) = some_way_back(plan, random);
    let steps = done.len();
    let back = match plan.retreat(&done, &now) {
        Ok(back) => back,
        Err(NoWayBack::Passed { .. } | NoWayBack::NothingDone) => return,
        Err(NoWayBack::Unplannable(error)) => panic!("seed {seed}: {error}"),
    };
    let course = there_and_back(plan, &done, &back);
    if let Some(harm) = plan.harm_of(&course).unwrap() {
        panic!(
            "seed {seed}, back from step {steps}: {harm}\n{:#?}\n{:#?}",
            plan.steps, back.steps
        );
    }
}

/// Where a way back begins: the times of the steps that are done, and what is served then.
pub(super) fn some_way_back(plan: &Plan, random: &mut Random) -> (Vec<Times>, Situation) {
    let steps = 1 + random.below(plan.steps.len() as u64) as usize;
    let mut done: Vec<Times> = Vec::new();
    for step in 0..steps {
        let begun = UnixTime(plan.due(step, &done).0 + random.below(4));
        let seen = UnixTime(begun.0 + random.below(4));
        done.push(Times { begun, seen });
    }
    let mut now = plan.situation.clone();
    for value in plan.steps[..steps].iter().flat_map(|step| &step.changes) {
        now.serves.retain(|known| known.slot() != value.slot());
        now.serves.push(value.clone());
    }
    now.at = done
        .last()
        .map_or(now.at, |last| UnixTime(last.seen.0 + random.below(3)));
    (done, now)
}

/// What is served on the way there and on the way back, whatever the way back knows of the way there.
fn there_and_back(plan: &Plan, done: &[Times], back: &Plan) -> Timeline {
    let mut course = plan.timeline(done).unwrap();
    for (step, times) in back.steps.iter().zip(back.earliest().steps) {
        let changes = step.changes.iter().map(|value| Change {
            value: value.clone(),
            lag: plan.situation.lag(&value.slot()),
        });
        course.add_step(times.begun, &step.what, changes.collect());
    }
    course
}
