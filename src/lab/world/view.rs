//! What our server sees of the world, in the words of plans and of the safety checker; and what was really served, as a
//! measured timeline. Nothing but this file translates.

use std::collections::BTreeMap;

use super::{
    chain::{Keys, Members, Time},
    engine::World,
    parties::{CLASSES, Part, Server, Sight as From, Version},
    provider::{Hand, Key, Provider},
};
use crate::{
    clock::UnixTime,
    dnssec::algorithm::Algorithm,
    multisigner::{
        execute::{Shown, Sight, View},
        plan::{self, Member, ParentHand, Past, PlanKey, Situation},
        safety::{
            Cds, Change, Class, Content, Csync, DsRecord, DsSet, KeyId, KeyRrset, KeySet, KeyUse, NsSet,
            ProviderId, SignedData, Slot, Timeline, Value,
        },
    },
};

/// Servers in the world have no names, and so any of them may lie in the zone.
const CSYNC: Csync = Csync { addresses: true };

/// When the world begins: 2027-01-15.
pub(super) const EPOCH: u64 = 1_800_000_000;

/// The time of the world as others tell it.
pub(super) fn unix(time: Time) -> UnixTime {
    UnixTime(EPOCH + time)
}

pub(super) fn key_id(place: usize) -> KeyId {
    KeyId::at(place).expect("the world has fewer keys than a timeline holds")
}

pub(super) fn provider_id(place: usize) -> ProviderId {
    ProviderId::at(place).expect("the world has fewer providers than a timeline holds")
}

fn places(set: u64) -> impl Iterator<Item = usize> {
    (0..64).filter(move |place| set & 1 << place != 0)
}

pub(super) fn key_set(keys: Keys) -> KeySet {
    places(keys).map(key_id).collect()
}

pub(super) fn keys_of(set: KeySet) -> Keys {
    set.iter().fold(0, |keys, key| keys | 1 << key.place())
}

fn ns_set(members: Members, ttl: Time) -> NsSet {
    NsSet {
        members: places(members).map(provider_id).collect(),
        ttl,
        from_csync: false,
    }
}

pub(super) fn members_of(members: impl IntoIterator<Item = ProviderId>) -> Members {
    members
        .into_iter()
        .fold(0, |all, member| all | 1 << member.place())
}

fn class(place: usize) -> Class {
    [
        Class::Positive,
        Class::Negative,
        Class::Wildcard,
        Class::Ns,
        Class::Soa,
        Class::Cds,
    ][place]
        .clone()
}

fn class_place(class: &Class) -> Option<usize> {
    Some(match class {
        Class::Positive => 0,
        Class::Negative => 1,
        Class::Wildcard => 2,
        Class::Ns => 3,
        Class::Soa => 4,
        Class::Cds => 5,
        Class::Question(_) => return None,
    })
}

/// What the data of a class say: providers must agree about what is in the zone, and about nothing else.
fn content(class: usize) -> Content {
    match CLASSES[class] {
        "positive" | "wildcard" => Content::Version(1),
        _ => Content::Own,
    }
}

/// A part in the checker's words; none where the party has no such slot.
fn value(party: Option<usize>, part: &Part) -> Option<Value> {
    let provider = party.map(provider_id);
    Some(match (part, provider) {
        (Part::Ds(ds), None) => Value::Ds(DsSet {
            records: ds
                .by_digest
                .iter()
                .zip(super::chain::DIGEST_TYPES)
                .flat_map(|(keys, digest_type)| {
                    places(*keys).map(move |place| DsRecord {
                        key: key_id(place),
                        digest_type,
                    })
                })
                .collect(),
            ttl: ds.ttl,
            from_cds: false,
        }),
        (Part::Ns(ns), None) => Value::ParentNs(ns_set(ns.members, ns.ttl)),
        (Part::Ns(ns), Some(provider)) => Value::ChildNs(provider, ns_set(ns.members, ns.ttl)),
        (Part::Dnskeys(dnskeys), Some(provider)) => Value::Keys(
            provider,
            KeyRrset {
                keys: key_set(dnskeys.keys),
                signers: key_set(dnskeys.signers),
                ttl: dnskeys.ttl,
            },
        ),
        (Part::Serving(serving), Some(provider)) => Value::Serving(provider, *serving),
        (Part::Cds(cds), Some(provider)) => Value::Cds(
            provider,
            cds.map(|cds| Cds {
                wanted: key_set(cds.wanted),
                signers: key_set(cds.signers),
            }),
        ),
        (Part::Csync(csync), Some(provider)) => Value::Csync(provider, csync.then_some(CSYNC)),
        (Part::Data(place, data), Some(provider)) => Value::Data(
            provider,
            class(*place),
            SignedData {
                signers: key_set(data.signers),
                ttl: data.ttl,
                content: content(*place),
            },
        ),
        (Part::Ds(_), Some(_)) | (_, None) => return None,
    })
}

/// A value of the checker's as a part, where it belongs to a provider.
pub(super) fn part(value: &Value) -> Option<Part> {
    use super::{chain, parties};
    Some(match value {
        Value::Keys(_, keys) => Part::Dnskeys(chain::Dnskeys {
            keys: keys_of(keys.keys),
            signers: keys_of(keys.signers),
            ttl: keys.ttl,
        }),
        Value::Data(_, class, data) => Part::Data(
            class_place(class)?,
            chain::Data {
                signers: keys_of(data.signers),
                ttl: data.ttl,
            },
        ),
        Value::ChildNs(_, ns) => Part::Ns(chain::Ns {
            members: members_of(ns.members.iter().copied()),
            ttl: ns.ttl,
        }),
        Value::Serving(_, serving) => Part::Serving(*serving),
        Value::Cds(_, cds) => Part::Cds(cds.map(|cds| parties::Cds {
            wanted: keys_of(cds.wanted),
            signers: keys_of(cds.signers),
        })),
        Value::Csync(_, csync) => Part::Csync(csync.is_some()),
        Value::Ds(_) | Value::ParentNs(_) => return None,
    })
}

/// The DS RRset that a step leads to.
pub(super) fn ds(changes: &[Value]) -> Option<super::chain::Ds> {
    changes.iter().find_map(|value| {
        let Value::Ds(ds) = value else { return None };
        let mut by_digest = [0; 3];
        for record in &ds.records {
            let types = super::chain::DIGEST_TYPES.iter();
            let place = types.clone().position(|known| *known == record.digest_type)?;
            by_digest[place] |= 1 << record.key.place();
        }
        Some(super::chain::Ds {
            by_digest,
            ttl: ds.ttl,
        })
    })
}

/// What each server shows of each of its slots, in the order of [`View`]'s map.
fn parts_of(server: &Server, parent: bool) -> Vec<Part> {
    if parent {
        return vec![Part::Ds(server.ds), Part::Ns(server.ns)];
    }
    let data = server.data.iter().enumerate();
    [
        Part::Dnskeys(server.dnskeys),
        Part::Ns(server.ns),
        Part::Serving(server.serving),
        Part::Cds(server.cds),
        Part::Csync(server.csync),
    ]
    .into_iter()
    .chain(data.map(|(class, data)| Part::Data(class, *data)))
    .collect()
}

/// Our server's eyes. Between two looks only what changed is put into words again.
#[derive(Debug)]
pub(super) struct Eyes {
    pub view: View,
    /// Of each server that is seen: what was put into words last, and where it stands in the view.
    known: Vec<Seen>,
    /// The keys that the plan knows.
    plan_keys: usize,
}

/// A server, what it showed last, and the places of its sights in the view.
type Seen = (usize, Option<Known>, Vec<(Slot, usize)>);

#[derive(Clone, PartialEq, Debug)]
enum Known {
    Shows(Vec<Part>),
    Blind,
    Stopped,
}

impl Eyes {
    pub fn new(world: &World, plan_keys: usize) -> Self {
        let mut eyes = Self {
            view: View::default(),
            known: Vec::new(),
            plan_keys,
        };
        for (place, server) in world.servers.all.iter().enumerate() {
            if server.sight == From::Site {
                continue;
            }
            let party = (server.party != world.parent_party()).then_some(server.party);
            let mut where_it_is = Vec::new();
            for part in parts_of(server, party.is_none()) {
                let Some(value) = value(party, &part) else {
                    continue;
                };
                let sights = eyes.view.slots.entry(value.slot()).or_default();
                where_it_is.push((value.slot(), sights.len()));
                sights.push(Sight {
                    server: server.name.clone(),
                    at: unix(world.now),
                    shown: Shown::Value(value),
                });
            }
            eyes.known.push((place, None, where_it_is));
        }
        eyes.look(world, unix(world.now));
        eyes
    }

    /// What was seen was seen at this time too.
    pub fn was_at(&mut self, time: UnixTime) {
        for sights in self.view.slots.values_mut() {
            for sight in sights {
                sight.at = time;
            }
        }
    }

    /// Looks at every server; `now` is what our clock says.
    pub fn look(&mut self, world: &World, now: UnixTime) {
        self.was_at(now);
        let strangers = world.keys.iter().enumerate().skip(self.plan_keys);
        if self.view.strangers.len() + self.plan_keys != world.keys.len() {
            self.view.strangers = strangers
                .map(|(place, key)| (key_id(place), plan_key(key)))
                .collect();
        }
        for (place, known, where_it_is) in &mut self.known {
            let server = &world.servers.all[*place];
            let party = (server.party != world.parent_party()).then_some(server.party);
            let parts = parts_of(server, party.is_none());
            let shows = match server.sight {
                From::Blind => Known::Blind,
                _ if party.is_some() && !server.serving => Known::Stopped,
                _ => Known::Shows(parts.clone()),
            };
            if known.as_ref() == Some(&shows) {
                continue;
            }
            for (part, (slot, sight)) in parts.iter().zip(where_it_is.iter()) {
                let shown = match &shows {
                    Known::Blind => Shown::Unreachable("no answer".to_owned()),
                    Known::Stopped if !matches!(part, Part::Serving(_)) => Shown::Odd("REFUSED".to_owned()),
                    _ => match value(party, part) {
                        Some(value) => Shown::Value(value),
                        None => continue,
                    },
                };
                if let Some(sights) = self.view.slots.get_mut(slot) {
                    sights[*sight].shown = shown;
                }
            }
            *known = Some(shows);
        }
    }
}

fn plan_key(key: &Key) -> PlanKey {
    PlanKey {
        dnskey: key.dnskey.clone(),
        algorithm: Algorithm(key.algorithm),
        role: key.role,
        owner: Some(provider_id(key.owner)),
    }
}

fn member(provider: &Provider) -> Member {
    let hand = match provider.hand {
        Hand::Ours => plan::Hand::Ours,
        Hand::Api => plan::Hand::Api,
        Hand::Person => plan::Hand::Person,
    };
    let mut member = Member::new(&provider.name, hand, provider.propagation);
    member.shows_cds = provider.shows_cds;
    member.shows_csync = provider.shows_csync;
    member
}

/// A part with this TTL, where it is one of those of which others keep no account.
fn with_ttl(part: Part, ttl: Time) -> Part {
    match part {
        Part::Ds(ds) => Part::Ds(super::chain::Ds { ttl, ..ds }),
        Part::Ns(ns) => Part::Ns(super::chain::Ns { ttl, ..ns }),
        Part::Dnskeys(dnskeys) => Part::Dnskeys(super::chain::Dnskeys { ttl, ..dnskeys }),
        other => other,
    }
}

/// A version as our server knows it when another one came after it: of what others serve, and of NS RRsets, it keeps the
/// TTLs, and since when they are as they are; of its own keys and signatures it keeps all. Whether it is known.
fn remembered(party: Option<usize>, before: &Part, newest: &Part) -> (Part, bool) {
    let kept = match (before, party) {
        (Part::Dnskeys(_), Some(0)) => None,
        (Part::Dnskeys(dnskeys), _) => Some(dnskeys.ttl),
        (Part::Ds(ds), _) => Some(ds.ttl),
        (Part::Ns(ns), _) => Some(ns.ttl),
        _ => None,
    };
    match kept {
        Some(ttl) if with_ttl(*before, 0) != with_ttl(*newest, 0) => (with_ttl(*newest, ttl), false),
        _ => (*before, true),
    }
}

/// What a plan starts from: what is seen now, and what is known of what caches may hold of before.
pub(super) fn situation(world: &World, margin: Time) -> Situation {
    let mut serves: Vec<Value> = Vec::new();
    let mut past: Vec<Past> = Vec::new();
    let mut unknown: Vec<(Slot, UnixTime)> = Vec::new();
    for party in 0..world.servers.of.len() {
        let provider = (party != world.parent_party()).then_some(party);
        for versions in world.servers.served(party, world.now) {
            let Some(last) = versions.last() else { continue };
            let Some(newest) = value(provider, &last.part) else {
                continue;
            };
            // Nobody serves anything for longer than a week and a margin after its end.
            let held = |version: &&Version| version.last + 8 * 86_400 + margin >= world.now;
            let before = versions[..versions.len() - 1].iter().filter(held);
            for version in before {
                let (part, is_known) = remembered(provider, &version.part, &last.part);
                let until = unix(version.last);
                past.extend(value(provider, &part).map(|value| Past { value, until }));
                if !is_known {
                    unknown.push((newest.slot(), until));
                }
            }
            serves.push(newest);
        }
    }
    past.sort_by_key(|past| past.until);
    let mut situation = Situation {
        zone: "example.".parse().expect("this is a name"),
        at: unix(world.now),
        keys: world.keys.iter().map(plan_key).collect(),
        members: world.providers.iter().map(member).collect(),
        parent: plan::Parent {
            hand: match world.parent.follows_cds {
                true => ParentHand::Cds,
                false => ParentHand::Person,
            },
            reads_csync: world.parent.follows_csync,
            propagation: world.parent_takes(),
        },
        serves,
        past,
        first_seen: Vec::new(),
        margin,
    };
    let unknown = unknown.into_iter();
    let lately = unknown.filter_map(|(slot, at)| situation.first_seen_at(&slot, at));
    situation.first_seen = lately.collect();
    situation
}

/// What was really served, to the last second, as the safety checker takes it. What another provider broke is mended in
/// it, so that all else is judged.
pub(super) fn measured(world: &World) -> Timeline {
    let mut timeline = Timeline::new(unix(0));
    for key in &world.keys {
        let label = key.dnskey.as_ref().map_or(0, |dnskey| dnskey.key_tag());
        let added = timeline.add_key(
            &format!("{} {label}", key.role),
            Algorithm(key.algorithm),
            KeyUse::ZoneKey,
        );
        added.expect("the world has fewer keys than a timeline holds");
    }
    for provider in &world.providers {
        let added = timeline.add_provider(&provider.name);
        added.expect("the world has fewer providers than a timeline holds");
    }
    timeline.initial.clear();
    // Changes that begin together are one step: fewer versions to go through.
    let mut steps: BTreeMap<Time, Vec<Change>> = BTreeMap::new();
    for party in 0..world.servers.of.len() {
        let provider = (party != world.parent_party()).then_some(party);
        for versions in world.servers.served(party, world.now) {
            for (number, (at, lag, version)) in in_turn(versions, world.now).into_iter().enumerate() {
                let part = world.unharmed(party, version.part, version.first.unwrap_or(at));
                let Some(value) = value(provider, &part) else {
                    continue;
                };
                match number {
                    0 => timeline.initial.push(value),
                    _ => steps.entry(at).or_default().push(Change { value, lag }),
                }
            }
        }
    }
    for (at, changes) in steps {
        timeline.add_step(unix(at), "what was served changed", changes);
    }
    timeline
}

/// Versions one after another, as a timeline has them: from when on each, and how long the one before it went on. Where a
/// slow server shows a version when others are past it, one of theirs comes back after it in the list.
fn in_turn(mut versions: Vec<Version>, now: Time) -> Vec<(Time, Time, Version)> {
    let from = |version: &Version| version.first.unwrap_or(version.last);
    versions.sort_by_key(from);
    let mut turns: Vec<(Time, Time, Version)> = Vec::new();
    let mut rest = versions.iter();
    let Some(mut current) = rest.next().copied() else {
        return turns;
    };
    turns.push((0, 0, current));
    let mut next = rest.next();
    loop {
        let until = next.map_or(now, from);
        if current.last < until {
            let end = current.last;
            let goes_on = |version: &&Version| from(version) <= end && version.last > end;
            if let Some(other) = versions.iter().filter(goes_on).max_by_key(|version| version.last) {
                current = *other;
                turns.push((end, 0, current));
                continue;
            }
        }
        let Some(version) = next else { return turns };
        turns.push((until, current.last.saturating_sub(until), *version));
        current = *version;
        next = rest.next();
    }
}
