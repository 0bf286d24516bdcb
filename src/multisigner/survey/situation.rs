//! What a plan starts from, out of one look, the key register and the configuration.

mod lowered;
mod standing;

use std::collections::BTreeSet;

pub use self::lowered::slots;
use self::{
    lowered::with_larger_ttls,
    standing::{since, unknown},
};
pub use super::read::ContentTtls;
use super::{Survey, read::Reading};
use crate::{
    clock::UnixTime,
    dnssec::{
        key::Dnskey,
        keyset::{Role, Work},
        register::{Event, Register},
    },
    multisigner::{
        execute::{Shown, same},
        observations::{Counted, Standing},
        plan::{Member, Parent, ParentHand, Past, Situation},
        safety::{Class, KeyId, KeyRrset, KeySet, NsSet, ProviderId, Seconds, SignedData, Slot, Value},
    },
    wire::Ttl,
};

/// What is known besides the look.
#[derive(Debug)]
pub struct Known<'a> {
    /// All events of the zone's keys.
    pub events: &'a [Event],
    /// The TTLs of the content.
    pub ttls: ContentTtls,
    /// The TTL that our DNSKEY RRset has where no provider's is smaller.
    pub dnskey_ttl: Ttl,
    /// The TTLs with which caches may hold something, those that were lowered included.
    pub counted: &'a [Counted],
    /// Since when everybody shows what they show.
    pub standing: &'a [Standing],
    /// The providers, this server first, as in the look.
    pub members: Vec<Member>,
    /// The parent.
    pub parent: Parent,
    /// How much longer than its TTL caches may hold anything.
    pub margin: Seconds,
    /// What an earlier plan measured: caches may still hold some of it.
    pub previous: Option<&'a Situation>,
}

/// Why nothing can be planned now: servers differ, or cannot be seen.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("nothing can be planned before everything is seen: {}", .problems.join("; "))]
pub struct NotPlain {
    /// What is not plain, in words.
    pub problems: Vec<String>,
}

impl Survey {
    /// What is served now, when every server shows it alike.
    ///
    /// # Errors
    /// When servers differ, or cannot be seen.
    pub fn situation(&self, known: Known<'_>) -> Result<Situation, NotPlain> {
        let register = Register::of(known.events);
        let mut reading = Reading {
            survey: self,
            register: &register,
            ttls: known.ttls,
            keys: Vec::new(),
        };
        reading.find_keys();
        let mut problems = Vec::new();
        let mut serves = Vec::new();
        // Where no parent reads CDS or CSYNC, nobody but its provider cares for it.
        let reads_cds = known.parent.hand == ParentHand::Cds;
        let reads_csync = known.parent.reads_csync;
        let matters = |slot: &Slot| match slot {
            Slot::Csync(_) => reads_csync,
            slot => reads_cds || !is_of_cds(slot),
        };
        for slot in reading.slots().into_iter().filter(matters) {
            match one_value(&reading, &slot) {
                Ok(value) => serves.push(value),
                // What a plan does not rest on is left out.
                Err(_) if matches!(slot, Slot::Serving(_) | Slot::Csync(_)) || is_of_cds(&slot) => {}
                Err(why) => problems.push(format!("{}: {why}", in_words(&slot, &known.members))),
            }
        }
        if !problems.is_empty() {
            return Err(NotPlain { problems });
        }
        let keys = reading.keys;
        let mut situation = Situation {
            zone: self.zone.clone(),
            // What was before may have been served until the last answer came.
            at: self.over(),
            keys,
            members: known.members.clone(),
            parent: known.parent.clone(),
            serves,
            past: Vec::new(),
            first_seen: Vec::new(),
            margin: known.margin,
        };
        combined(&mut situation);
        if let Some(previous) = known.previous {
            carry_over(previous, known.standing, &mut situation);
        }
        let unknown = unknown(&situation, known.standing);
        if let Some(previous) = known.previous {
            changed_since(previous, known.standing, &mut situation);
            may_come(previous, &mut situation);
        }
        let past = recent(&situation, &known);
        situation.past.extend(past);
        with_larger_ttls(&mut situation, known.counted);
        situation.past.sort_by_key(|past| past.until);
        let unknown = unknown.into_iter();
        let lately = unknown.filter_map(|(slot, at)| situation.first_seen_at(&slot, at));
        situation.first_seen = lately.collect();
        Ok(situation)
    }
}

fn is_of_cds(slot: &Slot) -> bool {
    matches!(slot, Slot::Cds(_) | Slot::Data(_, Class::Cds))
}

/// SEP keys that sign data are CSKs; CDS every KSK signs.
fn combined(situation: &mut Situation) {
    let mut signers = KeySet::default();
    for value in &situation.serves {
        if let Value::Data(_, class, data) = value
            && *class != Class::Cds
        {
            signers = signers.union(data.signers);
        }
    }
    for key in signers.iter() {
        if let Some(key) = situation.keys.get_mut(key.place())
            && key.role == Role::Ksk
        {
            key.role = Role::Csk;
        }
    }
}

/// The value that every server of a slot shows, with the largest TTL.
fn one_value(reading: &Reading<'_>, slot: &Slot) -> Result<Value, String> {
    use super::super::execute::View;
    let sights = reading.sights(slot);
    let mut found: Option<Value> = None;
    for sight in &sights {
        match &sight.shown {
            Shown::Value(value) => {
                let larger = ttl(value) > found.as_ref().map_or(0, ttl);
                if found.is_none() || larger {
                    found = Some(value.clone());
                }
            }
            Shown::Unreachable(why) => {
                return Err(format!("{} cannot be reached from here: {why}", sight.server));
            }
            Shown::Odd(why) => return Err(format!("{}: {why}", sight.server)),
        }
    }
    let found = found.ok_or("it has no servers that could be asked")?;
    let view = View {
        slots: [(slot.clone(), sights)].into(),
        strangers: Vec::new(),
    };
    match view.lacking(&found, UnixTime(0)) {
        None => Ok(found),
        Some(why) => Err(format!(
            "its servers differ; wait until they show the same ({why})"
        )),
    }
}

fn ttl(value: &Value) -> Seconds {
    value.ttl().unwrap_or(0)
}

fn in_words(slot: &Slot, members: &[Member]) -> String {
    let name = |provider: &ProviderId| members.get(provider.place()).map_or("?", |member| &member.name);
    match slot {
        Slot::Ds => "DS at the parent".to_owned(),
        Slot::ParentNs => "NS at the parent".to_owned(),
        Slot::Keys(provider) => format!("DNSKEY of {}", name(provider)),
        Slot::Data(provider, Class::Cds) => format!("signatures of CDS of {}", name(provider)),
        Slot::Data(provider, Class::Negative) => format!("denials of {}", name(provider)),
        Slot::Data(provider, _) => format!("data of {}", name(provider)),
        Slot::ChildNs(provider) => format!("NS of {}", name(provider)),
        Slot::Serving(provider) => format!("answers of {}", name(provider)),
        Slot::Cds(provider) => format!("CDS of {}", name(provider)),
        Slot::Csync(provider) => format!("CSYNC of {}", name(provider)),
    }
}

/// What changed so lately that caches may hold the state before: by hand, by an exchange of keys, by whatever. Our own
/// sets follow from the register; a provider that may have got keys in this time counts as without them until now.
fn recent(situation: &Situation, known: &Known<'_>) -> Vec<Past> {
    let Known {
        events, dnskey_ttl, ..
    } = *known;
    let counted = known.counted.iter().map(|counted| counted.ttl).max().unwrap_or(0);
    let longest = hold(situation).max(hold_of(situation, counted.max(dnskey_ttl.seconds().into())));
    let since = UnixTime(situation.at.0.saturating_sub(longest));
    // The smallest that anybody answers with is served (RFC 2181 §5.2 taken for all providers).
    let ttl_of = |register: &Register| {
        let others = situation.members.iter().skip(1);
        let theirs = others.filter_map(|member| register.ttls.get(&member.name));
        theirs.copied().fold(dnskey_ttl, Ttl::min)
    };
    let (mut past, mut before) = (Vec::new(), Register::default());
    let mut new = BTreeSet::new();
    for event in events {
        if event.at < since {
            before.apply(event);
            continue;
        }
        let mut after = before.clone();
        after.apply(event);
        let is_lowered = ttl_of(&after) < ttl_of(&before);
        if is_lowered || published(&after) != published(&before) || signing(&after) != signing(&before) {
            let values = ours(situation, &before, ttl_of(&before));
            past.extend(values.into_iter().map(|value| Past {
                value,
                until: event.at,
            }));
            let grown = published(&after);
            new.extend(grown.difference(&published(&before)).cloned());
        }
        before = after;
    }
    let new: KeySet = ids(situation, new.iter());
    if new.is_empty() {
        return past;
    }
    for value in &situation.serves {
        let Value::Keys(provider, keys) = value else {
            continue;
        };
        if provider.place() == 0 {
            continue;
        }
        let ours = new.iter().filter(|key| {
            let owner = situation.key(*key).and_then(|key| key.owner);
            owner != Some(*provider)
        });
        let without = keys.keys.without(ours.collect());
        if without != keys.keys {
            let value = Value::Keys(
                *provider,
                KeyRrset {
                    keys: without,
                    ..*keys
                },
            );
            let until = situation.at;
            past.push(Past { value, until });
        }
    }
    past
}

/// How long any cache may hold anything of this.
fn hold(situation: &Situation) -> Seconds {
    let past = situation.past.iter().map(|past| &past.value);
    let largest = situation.serves.iter().chain(past).map(ttl).max().unwrap_or(0);
    hold_of(situation, largest)
}

/// How long any cache may hold something with this TTL.
fn hold_of(situation: &Situation, ttl: Seconds) -> Seconds {
    let members = situation.members.iter().map(|member| member.propagation);
    let lag = members.max().unwrap_or(0).max(situation.parent.propagation);
    ttl + lag + situation.margin
}

/// What was served until then no cache holds any more.
fn forgotten(previous: &Situation, situation: &Situation) -> UnixTime {
    UnixTime(situation.at.0.saturating_sub(hold(previous).max(hold(situation))))
}

/// Takes over what an earlier plan measured of others, in this situation's names. What we served ourselves is in the
/// register. Of what was on its way when the plan was given up the log of what is seen tells when it had come.
fn carry_over(previous: &Situation, standing: &[Standing], situation: &mut Situation) {
    let forgotten = forgotten(previous, situation);
    for past in &previous.past {
        let Some(value) = renamed(&past.value, previous, situation) else {
            continue;
        };
        let slot = value.slot();
        let was_open = past.until >= previous.at;
        let is_over = was_open && situation.value(&slot).is_some_and(|now| !same(&value, now));
        let seen = is_over.then(|| since(situation, standing, &slot)).flatten();
        let until = seen.map_or(past.until, |seen| seen.min(past.until));
        if until >= forgotten {
            situation.past.push(Past { value, until });
        }
    }
}

/// What the parent was asked for when an earlier plan was given up, by CDS or by a person, and has not come: it may come at
/// any time, and counts as if some server gave it now.
fn may_come(previous: &Situation, situation: &mut Situation) {
    if previous.unsettled(&Slot::Ds).next().is_none() {
        return;
    }
    let coming = previous.value(&Slot::Ds);
    let Some(value) = coming.and_then(|ds| renamed(ds, previous, situation)) else {
        return;
    };
    let has_come = situation.value(&Slot::Ds).is_some_and(|now| same(&value, now));
    if !has_come {
        let until = situation.at;
        situation.past.push(Past { value, until });
    }
}

/// What others served when an earlier plan was over and serve no more. Until when is in the log of what is seen; who signs
/// another provider's data is not, and no plan rests on who did.
fn changed_since(previous: &Situation, standing: &[Standing], situation: &mut Situation) {
    let forgotten = forgotten(previous, situation);
    for value in &previous.serves {
        let Some(value) = renamed(value, previous, situation) else {
            continue;
        };
        let slot = value.slot();
        let (Some(now), Some(until)) = (situation.value(&slot), since(situation, standing, &slot)) else {
            continue;
        };
        if !same(&value, now) && until >= forgotten {
            situation.past.push(Past { value, until });
        }
    }
}

fn renamed(value: &Value, previous: &Situation, situation: &mut Situation) -> Option<Value> {
    let member = |provider: ProviderId, situation: &Situation| {
        let name = &previous.member(provider)?.name;
        let place = situation.members.iter().position(|member| member.name == *name)?;
        ProviderId::at(place).ok()
    };
    let key = |key: KeyId, situation: &mut Situation| {
        let known = previous.key(key)?;
        known.dnskey.as_ref()?;
        let mut keys = situation.keys.iter();
        let place = keys
            .position(|other| other.dnskey == known.dnskey)
            .unwrap_or_else(|| {
                let owner = known.owner.and_then(|owner| member(owner, situation));
                situation.keys.push(crate::multisigner::plan::PlanKey {
                    owner,
                    ..known.clone()
                });
                situation.keys.len() - 1
            });
        KeyId::at(place).ok()
    };
    let set = |keys: KeySet, situation: &mut Situation| -> Option<KeySet> {
        keys.iter()
            .map(|id| key(id, situation))
            .collect::<Option<Vec<_>>>()
            .map(|keys| keys.into_iter().collect())
    };
    let members = |of: &BTreeSet<ProviderId>, situation: &Situation| -> Option<BTreeSet<ProviderId>> {
        of.iter().map(|provider| member(*provider, situation)).collect()
    };
    Some(match value {
        Value::Keys(ProviderId::FIRST, _) | Value::Data(ProviderId::FIRST, ..) => return None,
        Value::Serving(..) | Value::Cds(..) | Value::Csync(..) => return None,
        Value::Ds(ds) => {
            let mut renamed = ds.clone();
            renamed.records.clear();
            for record in &ds.records {
                let key = key(record.key, situation)?;
                renamed
                    .records
                    .insert(crate::multisigner::safety::DsRecord { key, ..*record });
            }
            Value::Ds(renamed)
        }
        Value::ParentNs(ns) => Value::ParentNs(NsSet {
            members: members(&ns.members, situation)?,
            ..ns.clone()
        }),
        Value::ChildNs(provider, ns) => Value::ChildNs(
            member(*provider, situation)?,
            NsSet {
                members: members(&ns.members, situation)?,
                ..ns.clone()
            },
        ),
        Value::Keys(provider, rrset) => {
            let provider = member(*provider, situation)?;
            let keys = set(rrset.keys, situation)?;
            let signers = set(rrset.signers, situation)?;
            let ttl = rrset.ttl;
            Value::Keys(provider, KeyRrset { keys, signers, ttl })
        }
        Value::Data(provider, class, data) => {
            let provider = member(*provider, situation)?;
            let signers = set(data.signers, situation)?;
            Value::Data(provider, class.clone(), SignedData { signers, ..*data })
        }
    })
}

fn published(register: &Register) -> BTreeSet<Dnskey> {
    let own = register.own_in_set().map(|(key, _)| key);
    own.chain(register.foreign_in_set().map(|(key, ..)| key))
        .cloned()
        .collect()
}

fn signing(register: &Register) -> BTreeSet<Dnskey> {
    let signing = register.own_at_work().filter(|(_, state)| state.signs());
    signing.map(|(key, _)| key.clone()).collect()
}

fn ids<'k>(situation: &Situation, keys: impl Iterator<Item = &'k Dnskey>) -> KeySet {
    keys.filter_map(|key| {
        let place = situation
            .keys
            .iter()
            .position(|known| known.dnskey.as_ref() == Some(key))?;
        KeyId::at(place).ok()
    })
    .collect()
}

/// What we served with this register, of the keys that matter still; the DNSKEY RRset with this TTL.
fn ours(situation: &Situation, register: &Register, dnskey_ttl: Ttl) -> Vec<Value> {
    let work = Work::of(register.own_at_work(), |key| key);
    let entry = ids(situation, work.dnskey.into_iter());
    let work = ids(situation, work.data.into_iter());
    // Before it had keys, nobody asked for it.
    if entry.is_empty() || work.is_empty() {
        return Vec::new();
    }
    let now = situation.value(&Slot::Keys(ProviderId::FIRST)).map_or(0, ttl);
    let all = published(register);
    let keys = KeyRrset {
        keys: ids(situation, all.iter()),
        signers: entry,
        ttl: now.max(dnskey_ttl.seconds().into()),
    };
    let mut values = vec![Value::Keys(ProviderId::FIRST, keys)];
    for value in &situation.serves {
        if let Value::Data(ProviderId::FIRST, class, data) = value {
            let signers = if *class == Class::Cds { entry } else { work };
            let before = SignedData { signers, ..*data };
            values.push(Value::Data(ProviderId::FIRST, class.clone(), before));
        }
    }
    values
}

#[cfg(test)]
mod tests;
