//! All providers go over to another algorithm, in the conservative order (RFC 6781 §4.1.4), each phase at all of them
//! before the next begins at any.
//!
//! ```text
//! signatures of both ─Tdata─► keys of both ─Tkey─► DS of both ─► DS of the new ─Tds─► keys of the new ─Tkey─► signatures
//! ```
//!
//! Our keys sign unpublished in between: pre-active before, post-active after. Another provider does its part by itself, and
//! its new keys have to be known here before it publishes them, so that every provider's keys of an algorithm come into a
//! DNSKEY RRset together.
//!
//! Lenient validators (RFC 6840 §5.11) need none of the waits by themselves; those that ask for every algorithm of the
//! DS or of the DNSKEY RRset need them all.

use std::collections::BTreeSet;

use super::{
    super::{
        super::safety::{Class, KeyId, KeyRrset, KeySet, ProviderId, SignedData, Value},
        Action, Actor, Hand, Kind, Plan, Situation, Unplannable,
        draft::{Draft, Move, US},
        paste,
    },
    roll::make,
};
use crate::dnssec::{keyfile::timing::Claim, keyset::Role};

pub(super) fn plan(situation: &Situation, old: &[KeyId], new: &[KeyId]) -> Result<Plan, Unplannable> {
    let mut draft = Draft::new(situation);
    let members = in_order(situation, draft.asked(), old);
    check(situation, &members, old, new)?;
    let named: KeySet = old.iter().chain(new).copied().collect();
    for member in &members {
        let rrset = draft.keys(*member)?;
        if let Some(left) = rrset.keys.union(rrset.signers).without(named).iter().next() {
            return Err(Unplannable::KeyLeft {
                key: situation.label(left),
            });
        }
    }
    let change = Change {
        members,
        old: old.iter().copied().collect(),
        new: new.iter().copied().collect(),
    };
    let ours: Vec<KeyId> = draft.owned_by(US, change.new).iter().collect();
    make(&mut draft, &ours);
    change.signatures(&mut draft, Phase::Both)?;
    change.keys(&mut draft, Phase::Both)?;
    let anchors = draft.anchors()?;
    if !anchors.is_empty() {
        let entries = change.of_role(situation, change.new, Role::Ksk);
        let what = format!("the DS RRset points to {} too", situation.labels(entries));
        draft.point_ds_to(anchors.union(entries), &what, BACK)?;
        let gone = anchors.intersection(change.old);
        let what = format!("the DS RRset points to {} no more", situation.labels(gone));
        draft.point_ds_to(anchors.union(entries).without(change.old), &what, BACK)?;
    }
    change.keys(&mut draft, Phase::New)?;
    change.signatures(&mut draft, Phase::New)?;
    draft.finish(Kind::Algorithm {
        old: old.to_vec(),
        new: new.to_vec(),
    })
}

const BACK: &str = "the same steps the other way round, with their waits";
const NO_WAY_BACK: &str = "not at all: the old keys are gone for good";

/// Within a phase any order will do. It is that of the old keys, so that those who carry out the same change in several
/// places agree whose turn it is.
fn in_order(situation: &Situation, members: BTreeSet<ProviderId>, old: &[KeyId]) -> Vec<ProviderId> {
    let mut members: Vec<ProviderId> = members.into_iter().collect();
    members.sort_by_key(|provider| {
        let old = old.iter().filter_map(|key| situation.key(*key));
        let own = old.filter(|key| key.owner == Some(*provider));
        own.filter_map(|key| key.dnskey.as_ref()).min()
    });
    members
}

/// Every provider can sign with the new algorithm, and has keys for it.
fn check(
    situation: &Situation,
    members: &[ProviderId],
    old: &[KeyId],
    new: &[KeyId],
) -> Result<(), Unplannable> {
    for key in old.iter().chain(new) {
        situation
            .key(*key)
            .ok_or(Unplannable::UnknownKey { place: key.place() })?;
    }
    // One that is not in the delegation has a key set all the same, with keys of everybody, and may join.
    for member in &situation.members {
        for key in new.iter().filter_map(|key| situation.key(*key)) {
            if !member.can_sign_with(key.algorithm) {
                return Err(Unplannable::CannotSign {
                    provider: member.name.clone(),
                    algorithm: key.algorithm,
                });
            }
        }
    }
    for provider in members {
        let name = || situation.name(*provider).to_owned();
        let own: Vec<_> = new
            .iter()
            .filter_map(|key| situation.key(*key))
            .filter(|key| key.owner == Some(*provider))
            .collect();
        for role in [Role::Ksk, Role::Zsk] {
            if !own.iter().any(|key| key.role == role || key.role == Role::Csk) {
                return Err(Unplannable::NoNewKey {
                    provider: name(),
                    role,
                });
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Both,
    New,
}

struct Change {
    members: Vec<ProviderId>,
    old: KeySet,
    new: KeySet,
}

impl Change {
    /// Those keys that do the work of a role.
    fn of_role(&self, situation: &Situation, keys: KeySet, role: Role) -> KeySet {
        let does = |key: &KeyId| {
            situation
                .key(*key)
                .is_some_and(|key| key.role == role || key.role == Role::Csk)
        };
        keys.iter().filter(does).collect()
    }

    /// Every provider signs its data with both, or with the new keys alone.
    fn signatures(&self, draft: &mut Draft<'_>, phase: Phase) -> Result<(), Unplannable> {
        for provider in &self.members {
            let situation = draft.situation;
            let own = draft.owned_by(*provider, self.new);
            let mut changes = Vec::new();
            for (class, data) in draft.data(*provider)? {
                let role = if class == Class::Cds { Role::Ksk } else { Role::Zsk };
                let signers = match phase {
                    Phase::Both => data.signers.union(self.of_role(situation, own, role)),
                    Phase::New => data.signers.without(self.old),
                };
                changes.push(Value::Data(*provider, class, SignedData { signers, ..data }));
            }
            let (with, keys, claim) = match phase {
                Phase::Both => ("both algorithms", own, Claim::PreActive),
                Phase::New => (
                    "the new algorithm alone",
                    draft.owned_by(*provider, self.old),
                    Claim::Gone,
                ),
            };
            let what = format!("{} signs its data with {with}", situation.name(*provider));
            self.step(draft, *provider, what, keys, claim, changes, phase)?;
        }
        Ok(())
    }

    /// Every provider publishes the keys of both, or the new ones alone, and signs its DNSKEY RRset with each.
    fn keys(&self, draft: &mut Draft<'_>, phase: Phase) -> Result<(), Unplannable> {
        for provider in &self.members {
            let situation = draft.situation;
            let now = draft.keys(*provider)?;
            let own = draft.owned_by(*provider, self.new);
            let keys = match phase {
                Phase::Both => KeyRrset {
                    keys: now.keys.union(self.new),
                    signers: now.signers.union(self.of_role(situation, own, Role::Ksk)),
                    ..now
                },
                Phase::New => KeyRrset {
                    keys: now.keys.without(self.old),
                    signers: now.signers.without(self.old),
                    ..now
                },
            };
            let (with, turned, claim) = match phase {
                Phase::Both => ("both algorithms", own, Claim::Active),
                Phase::New => (
                    "the new algorithm alone",
                    draft.owned_by(*provider, self.old),
                    Claim::PostActive,
                ),
            };
            let what = format!("{} publishes the keys of {with}", situation.name(*provider));
            let changes = vec![Value::Keys(*provider, keys)];
            self.step(draft, *provider, what, turned, claim, changes, phase)?;
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one step's parts")]
    fn step(
        &self,
        draft: &mut Draft<'_>,
        provider: ProviderId,
        what: String,
        keys: KeySet,
        claim: Claim,
        changes: Vec<Value>,
        phase: Phase,
    ) -> Result<(), Unplannable> {
        let (action, by) = if provider == US {
            let keys = keys.iter().map(|key| (key, claim)).collect();
            (Action::Turn { keys }, Actor::We)
        } else {
            let what = what.clone();
            let action = Action::Theirs { provider, what };
            let by = match draft.situation.hand(provider)? {
                Hand::Person => Actor::Person {
                    place: format!("at {}", draft.situation.name(provider)),
                    paste: paste::lines(draft.situation, &action, &changes).unwrap_or_default(),
                },
                Hand::Ours | Hand::Api => Actor::Provider { provider },
            };
            (action, by)
        };
        let back = if phase == Phase::Both { BACK } else { NO_WAY_BACK };
        draft.step(Move {
            what,
            action,
            by,
            changes,
            back: back.to_owned(),
        });
        Ok(())
    }
}
