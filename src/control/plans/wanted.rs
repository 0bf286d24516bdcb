//! What a person wants, in the words of a plan: which keys are old and new, who comes and goes.

use std::collections::BTreeMap;

use super::{
    super::protocol::{PlanWanted, Refusal},
    follow::Gone,
};
use crate::{
    dnssec::{
        algorithm::Algorithm,
        keyfile::timing::Claim,
        keyset::Role,
        register::{OwnState, Register},
    },
    multisigner::{
        plan::{Emergency, Kind, PlanKey, Situation},
        safety::{KeyId, KeySet, ProviderId, Slot, Value},
    },
};

/// The kinds of plan, as they are asked for.
pub(super) const NAMES: [&str; 9] = [
    "join",
    "leave",
    "roll-zsk",
    "roll-ksk",
    "roll-csk",
    "algorithm",
    "emergency",
    "standby",
    "follow",
];

/// The kind of plan that is wanted; `gone`: the keys that other providers have no more. Keys that it takes and that nobody
/// serves yet are added to the situation.
pub(super) fn kind(
    wanted: &PlanWanted,
    situation: &mut Situation,
    register: &Register,
    gone: &BTreeMap<ProviderId, Vec<Gone>>,
) -> Result<Kind, Refusal> {
    fits(wanted)?;
    match wanted.kind.as_str() {
        "join" => Ok(Kind::Join {
            provider: who(wanted, situation, Some(false))?,
        }),
        "leave" => Ok(Kind::Leave {
            provider: who(wanted, situation, None)?,
        }),
        "roll-zsk" => {
            let (old, new) = pair(wanted, situation, register, Role::Zsk)?;
            Ok(Kind::RollZsk { old, new })
        }
        "roll-ksk" => {
            let (old, new) = pair(wanted, situation, register, Role::Ksk)?;
            Ok(Kind::RollKsk { old, new })
        }
        "roll-csk" => {
            let (old, new) = pair(wanted, situation, register, Role::Csk)?;
            Ok(Kind::RollCsk { old, new })
        }
        "standby" => {
            let algorithm = algorithm_of(wanted, situation, Role::Zsk)?;
            let new = new_key(wanted, situation, register, Role::Zsk, algorithm)?;
            Ok(Kind::Standby { new })
        }
        "emergency" => {
            let Some(tag) = wanted.old else {
                return Err(refusal("which key may somebody else have?", "say --old TAG"));
            };
            let old = ours_by_tag(situation, tag)?;
            let role = situation.key(old).map_or(Role::Zsk, |key| key.role);
            let (old, new) = pair(wanted, situation, register, role)?;
            let policy = match wanted.policy.as_deref() {
                None | Some("availability") => Emergency::Availability,
                Some("standby") => Emergency::Standby,
                Some("security") => Emergency::Security,
                Some(other) => {
                    let what = format!("there is no policy \"{other}\"");
                    return Err(refusal(&what, "say --policy availability, standby or security"));
                }
            };
            Ok(Kind::Emergency { old, new, policy })
        }
        "algorithm" => algorithm(wanted, situation, register),
        "follow" => {
            let provider = who(wanted, situation, None)?;
            let gone = gone.get(&provider).cloned().unwrap_or_default();
            Ok(Kind::Follow { provider, gone })
        }
        other => Err(refusal(
            &format!("there is no plan \"{}\"", other.escape_debug()),
            &format!("name one of {}", NAMES.join(", ")),
        )),
    }
}

/// Nothing is asked for that the plan would not heed.
fn fits(wanted: &PlanWanted) -> Result<(), Refusal> {
    let heeded: &[&str] = match wanted.kind.as_str() {
        "join" | "leave" | "follow" => &["provider"],
        "roll-zsk" | "roll-ksk" | "roll-csk" => &["old", "new"],
        "standby" => &["new", "algorithm"],
        "emergency" => &["old", "new", "policy"],
        _ => &["algorithm"],
    };
    let said = [
        ("provider", wanted.provider.is_some()),
        ("old", wanted.old.is_some()),
        ("new", wanted.new.is_some()),
        ("policy", wanted.policy.is_some()),
        ("algorithm", wanted.algorithm.is_some()),
    ];
    match said.iter().find(|(name, said)| *said && !heeded.contains(name)) {
        None => Ok(()),
        Some((name, _)) => Err(refusal(
            &format!("the plan {} does not go by --{name}", wanted.kind.escape_debug()),
            &format!("leave it out; what it goes by: --{}", heeded.join(", --")),
        )),
    }
}

fn refusal(error: &str, advice: &str) -> Refusal {
    Refusal {
        error: error.to_owned(),
        advice: Some(advice.to_owned()),
    }
}

/// The provider that is meant. `in_delegation`: whether it has to be among those that are delegated to now.
fn who(
    wanted: &PlanWanted,
    situation: &Situation,
    in_delegation: Option<bool>,
) -> Result<ProviderId, Refusal> {
    let names: Vec<&str> = situation
        .members
        .iter()
        .map(|member| member.name.as_str())
        .collect();
    let id = |place| ProviderId::at(place).map_err(|error| refusal(&error.to_string(), "leave some out"));
    if let Some(name) = &wanted.provider {
        let place = match name.as_str() {
            "this-server" | "us" => Some(0),
            name => names.iter().position(|known| *known == name),
        };
        let Some(place) = place else {
            let what = format!("the zone has no provider \"{name}\"");
            let known = names.iter().skip(1).copied().chain(["us"]).collect::<Vec<_>>();
            return Err(refusal(&what, &format!("it has {}", known.join(", "))));
        };
        return id(place);
    }
    if in_delegation == Some(false) {
        // Who joins is who is not there yet.
        let there = match situation.value(&Slot::ParentNs) {
            Some(Value::ParentNs(ns)) => ns.members.clone(),
            _ => Default::default(),
        };
        let all = (0..names.len()).map(id).collect::<Result<Vec<_>, _>>()?;
        let missing: Vec<ProviderId> = all
            .into_iter()
            .filter(|provider| !there.contains(provider))
            .collect();
        if let [one] = missing[..] {
            return Ok(one);
        }
    } else if names.len() == 2 {
        return id(1);
    }
    let what = "which provider is meant?";
    Err(refusal(
        what,
        &format!("say --provider {}", names[1..].join(" or --provider ")),
    ))
}

/// The keys of ours that do the work of a role now.
fn working(situation: &Situation, role: Role) -> Vec<KeyId> {
    let us = ProviderId::FIRST;
    let mut signers = KeySet::default();
    for value in &situation.serves {
        signers = match value {
            Value::Keys(of, keys) if *of == us => signers.union(keys.signers),
            Value::Data(of, _, data) if *of == us => signers.union(data.signers),
            _ => signers,
        };
    }
    let of_role = |key: &KeyId| {
        let known = situation.key(*key);
        known.is_some_and(|key| key.role == role && key.owner == Some(us))
    };
    signers.iter().filter(of_role).collect()
}

fn ours_by_tag(situation: &Situation, tag: u16) -> Result<KeyId, Refusal> {
    let ours = |key: &&PlanKey| key.owner == Some(ProviderId::FIRST);
    let has_tag = |key: &PlanKey| key.dnskey.as_ref().is_some_and(|key| key.key_tag() == tag);
    let mut places = situation
        .keys
        .iter()
        .enumerate()
        .filter(|(_, key)| ours(key) && has_tag(key));
    match (places.next(), places.next()) {
        (Some((place, _)), None) => {
            KeyId::at(place).map_err(|error| refusal(&error.to_string(), "withdraw some"))
        }
        (None, _) => Err(refusal(
            &format!("we have no key {tag} that is served"),
            "countersign status lists the keys",
        )),
        _ => Err(refusal(
            &format!("several keys have the tag {tag}"),
            "roll one of them under another tag first",
        )),
    }
}

fn pair(
    wanted: &PlanWanted,
    situation: &mut Situation,
    register: &Register,
    role: Role,
) -> Result<(KeyId, KeyId), Refusal> {
    let old = match wanted.old {
        Some(tag) => ours_by_tag(situation, tag)?,
        None => match working(situation, role)[..] {
            [one] => one,
            [] => {
                let what = format!("no {role} of ours signs the zone");
                return Err(refusal(
                    &what,
                    "countersign status lists the keys and what they are for",
                ));
            }
            _ => {
                return Err(refusal(
                    &format!("several keys of ours sign as {role}"),
                    "say which: --old TAG",
                ));
            }
        },
    };
    let algorithm = situation
        .key(old)
        .map_or(Algorithm::ECDSAP256SHA256, |key| key.algorithm);
    let new = new_key(wanted, situation, register, role, algorithm)?;
    Ok((old, new))
}

fn algorithm_of(wanted: &PlanWanted, situation: &Situation, role: Role) -> Result<Algorithm, Refusal> {
    if let Some(text) = &wanted.algorithm {
        return Algorithm::from_text(text).ok_or_else(|| {
            refusal(
                &format!("there is no algorithm \"{text}\""),
                "say ECDSAP256SHA256 or ED25519",
            )
        });
    }
    let key = working(situation, role)
        .first()
        .copied()
        .and_then(|key| situation.key(key));
    Ok(key.map_or(Algorithm::ECDSAP256SHA256, |key| key.algorithm))
}

/// The key that is named, else one that is published and waits, else one that is still to be made.
fn new_key(
    wanted: &PlanWanted,
    situation: &mut Situation,
    register: &Register,
    role: Role,
    algorithm: Algorithm,
) -> Result<KeyId, Refusal> {
    let full =
        |error: crate::multisigner::safety::TooMany| refusal(&error.to_string(), "withdraw some first");
    let us = Some(ProviderId::FIRST);
    if let Some(tag) = wanted.new {
        let held = register
            .own
            .iter()
            .find(|(key, own)| key.key_tag() == tag && own.state == OwnState::Is(Claim::Held));
        let Some((dnskey, _)) = held else {
            return ours_by_tag(situation, tag);
        };
        situation.keys.push(PlanKey {
            dnskey: Some(dnskey.clone()),
            algorithm: dnskey.algorithm(),
            role,
            owner: us,
        });
        return KeyId::at(situation.keys.len() - 1).map_err(full);
    }
    let waits = |key: &PlanKey| {
        let published = key.dnskey.as_ref().and_then(|key| register.own.get(key));
        let published = published.is_some_and(|own| own.state == OwnState::Is(Claim::Published));
        let sep = key.role != Role::Zsk;
        published && key.owner == us && key.algorithm == algorithm && sep == (role != Role::Zsk)
    };
    if wanted.kind != "standby"
        && let Some(place) = situation.keys.iter().position(waits)
    {
        // A key with the SEP flag that waits may become what is needed.
        situation.keys[place].role = role;
        return KeyId::at(place).map_err(full);
    }
    situation.keys.push(PlanKey {
        dnskey: None,
        algorithm,
        role,
        owner: us,
    });
    KeyId::at(situation.keys.len() - 1).map_err(full)
}

fn algorithm(wanted: &PlanWanted, situation: &mut Situation, register: &Register) -> Result<Kind, Refusal> {
    if wanted.algorithm.is_none() {
        return Err(refusal("which algorithm shall it be?", "say --algorithm ED25519"));
    }
    let algorithm = algorithm_of(wanted, situation, Role::Zsk)?;
    let mut served = KeySet::default();
    for value in &situation.serves {
        if let Value::Keys(_, keys) = value {
            served = served.union(keys.keys);
        }
    }
    let old: Vec<KeyId> = served
        .iter()
        .filter(|key| situation.key(*key).is_some_and(|key| key.algorithm != algorithm))
        .collect();
    let mut new: Vec<KeyId> = served
        .iter()
        .filter(|key| situation.key(*key).is_some_and(|key| key.algorithm == algorithm))
        .collect();
    let kinds: Vec<(Role, Option<ProviderId>)> = old
        .iter()
        .filter_map(|key| situation.key(*key))
        .map(|key| (key.role, key.owner))
        .collect();
    for (role, owner) in kinds {
        let has = |key: &KeyId| {
            situation
                .key(*key)
                .is_some_and(|key| (key.role, key.owner) == (role, owner))
        };
        if new.iter().any(has) {
            continue;
        }
        // One that is known and not published yet: ours signs already, or another provider's came by a file.
        let entry = role != Role::Zsk;
        let waits = |(place, key): (usize, &PlanKey)| {
            let id = KeyId::at(place).ok()?;
            let fits = (key.owner, key.algorithm, key.role != Role::Zsk) == (owner, algorithm, entry);
            (fits && !new.contains(&id)).then_some(id)
        };
        if let Some(id) = situation.keys.iter().enumerate().find_map(waits) {
            situation.keys[id.place()].role = role;
            new.push(id);
            continue;
        }
        let held = register.own.iter().find(|(key, own)| {
            let fits = key.algorithm() == algorithm && key.is_sep() == entry;
            owner == Some(ProviderId::FIRST) && fits && own.state == OwnState::Is(Claim::Held)
        });
        situation.keys.push(PlanKey {
            dnskey: held.map(|(key, _)| key.clone()),
            algorithm,
            role,
            owner,
        });
        let id = KeyId::at(situation.keys.len() - 1);
        new.push(id.map_err(|error| refusal(&error.to_string(), "withdraw some first"))?);
    }
    Ok(Kind::Algorithm { old, new })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plan_would_not_heed_is_refused() {
        let wanted = |kind: &str| PlanWanted {
            kind: kind.to_owned(),
            provider: Some("ns1".to_owned()),
            ..PlanWanted::default()
        };
        for kind in ["join", "leave", "follow"] {
            assert!(fits(&wanted(kind)).is_ok(), "{kind}");
        }
        for kind in ["roll-zsk", "standby", "emergency", "algorithm"] {
            let refused = fits(&wanted(kind)).unwrap_err();
            assert!(refused.error.contains("does not go by --provider"), "{refused:?}");
        }
    }
}
