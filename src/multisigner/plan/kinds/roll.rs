//! What the rolls of one of our keys share.

use super::super::{
    super::safety::{Cds, Class, KeyId, KeyRrset, KeySet, ProviderId, SignedData, Slot, Value},
    Action, Actor, PlanKey, Situation, Unplannable,
    draft::{Draft, Move, US},
};
use crate::dnssec::{keyfile::timing::Claim, keyset::Role};

/// A key of ours that is replaced by another.
pub(super) struct Roll<'a> {
    pub draft: Draft<'a>,
    pub old: KeyId,
    pub new: KeyId,
    /// How they are called.
    pub old_label: String,
    pub new_label: String,
}

/// A key of ours with this role.
pub(super) fn ours(situation: &Situation, key: KeyId, needed: Role) -> Result<&PlanKey, Unplannable> {
    let found = situation
        .key(key)
        .ok_or(Unplannable::UnknownKey { place: key.place() })?;
    let label = situation.label(key);
    if found.owner != Some(US) {
        return Err(Unplannable::NotOurs { key: label });
    }
    if found.role != needed {
        return Err(Unplannable::WrongRole {
            key: label,
            role: found.role,
            needed,
        });
    }
    Ok(found)
}

impl<'a> Roll<'a> {
    /// Both keys are ours, for the same, of one algorithm; the old one signs, and the new one does not unless it is a KSK.
    pub fn new(situation: &'a Situation, old: KeyId, new: KeyId, role: Role) -> Result<Self, Unplannable> {
        let (old_label, new_label) = (situation.label(old), situation.label(new));
        if old == new {
            return Err(Unplannable::SameKey { key: old_label });
        }
        let (old_key, new_key) = (ours(situation, old, role)?, ours(situation, new, role)?);
        if old_key.algorithm != new_key.algorithm {
            return Err(Unplannable::AlgorithmDiffers {
                old: old_label,
                old_algorithm: old_key.algorithm,
                new: new_label,
                new_algorithm: new_key.algorithm,
            });
        }
        let roll = Self {
            draft: Draft::new(situation),
            old,
            new,
            old_label,
            new_label,
        };
        if !roll.signs(old, role)? {
            return Err(Unplannable::NotSigning { key: roll.old_label });
        }
        // Two KSKs may sign beside each other, as where a roll was given up as it is: then the one goes.
        if role != Role::Ksk && roll.signs(new, role)? {
            return Err(Unplannable::SignsAlready { key: roll.new_label });
        }
        roll.draft.ds()?;
        Ok(roll)
    }

    /// Whether a key does the work of its role now.
    fn signs(&self, key: KeyId, role: Role) -> Result<bool, Unplannable> {
        let data = self.draft.data(US)?;
        Ok(match role {
            Role::Ksk => self.draft.keys(US)?.signers.contains(key),
            Role::Zsk | Role::Csk => data.iter().any(|(_, data)| data.signers.contains(key)),
        })
    }

    /// The new key is made, unless it is there.
    pub fn make(&mut self) {
        make(&mut self.draft, &[self.new]);
    }

    /// The new key is in our DNSKEY RRset; as a KSK it signs it beside the old one.
    pub fn publish(&mut self, claim: Claim) -> Result<(), Unplannable> {
        let now = self.draft.keys(US)?;
        let new = KeySet::from([self.new]);
        let signers = if claim == Claim::Active {
            now.signers.union(new)
        } else {
            now.signers
        };
        let keys = KeyRrset {
            keys: now.keys.union(new),
            signers,
            ..now
        };
        let mut changes = vec![Value::Keys(US, keys)];
        changes.extend(cds_signed_by(&self.draft, US, signers)?);
        let label = &self.new_label;
        let what = match claim {
            Claim::Active => format!("{label} is published and signs the DNSKEY RRset"),
            _ => format!("{label} is published, and signs nothing yet"),
        };
        self.draft.step(Move {
            what,
            action: Action::Turn {
                keys: vec![(self.new, claim)],
            },
            by: Actor::We,
            changes,
            back: format!("{label} goes out of the RRset again at once: nothing depends on it"),
        });
        Ok(())
    }

    /// Every other provider has our keys as they are published now.
    pub fn give(&mut self, back: &str) -> Result<(), Unplannable> {
        let keys = self.draft.keys(US)?.keys;
        let ours = self.draft.owned_by(US, keys);
        for provider in self.draft.others() {
            let name = self.draft.situation.name(provider).to_owned();
            let has_new = self.draft.keys(provider)?.keys.contains(self.new);
            let what = if has_new {
                format!("{name} publishes {} no more", self.old_label)
            } else {
                format!("{name} publishes {}", self.new_label)
            };
            self.draft.give(provider, ours, &what, back)?;
        }
        Ok(())
    }

    /// The DS RRset points to the new key, beside all others.
    pub fn add_ds(&mut self) -> Result<(), Unplannable> {
        let wanted = self.draft.anchors()?.union(KeySet::from([self.new]));
        let (old, new) = (&self.old_label, &self.new_label);
        let what = format!("the DS RRset points to {new} too");
        let back = format!("the DS record of {new} goes again at once: {old} signs as before");
        self.draft.point_ds_to(wanted, &what, &back)
    }

    /// The DS RRset points to the old key no more.
    pub fn drop_ds(&mut self) -> Result<(), Unplannable> {
        let wanted = self.draft.anchors()?.without(KeySet::from([self.old]));
        let what = format!("the DS RRset points to {} no more", self.old_label);
        self.draft.point_ds_to(wanted, &what, &self.no_way_back())
    }

    /// Data are signed with the new key instead of the old one; by a CSK the DNSKEY RRset too.
    pub fn switch(&mut self) -> Result<(), Unplannable> {
        let (old, new) = (KeySet::from([self.old]), KeySet::from([self.new]));
        let keys = self.draft.keys(US)?;
        let turned = |signers: KeySet| {
            if signers.contains(self.old) {
                signers.without(old).union(new)
            } else {
                signers
            }
        };
        let mut changes: Vec<Value> = Vec::new();
        if keys.signers.contains(self.old) {
            let signers = turned(keys.signers);
            changes.push(Value::Keys(US, KeyRrset { signers, ..keys }));
            changes.extend(cds_signed_by(&self.draft, US, signers)?);
        }
        for (class, data) in self.draft.data(US)? {
            let signers = turned(data.signers);
            let known = changes
                .iter()
                .any(|value| value.slot() == Slot::Data(US, class.clone()));
            if signers != data.signers && !known {
                changes.push(Value::Data(US, class, SignedData { signers, ..data }));
            }
        }
        let (old_label, new_label) = (&self.old_label, &self.new_label);
        self.draft.step(Move {
            what: format!("{new_label} signs instead of {old_label}"),
            action: Action::Turn {
                keys: vec![(self.new, Claim::Active), (self.old, Claim::Retired)],
            },
            by: Actor::We,
            changes,
            back: format!("{old_label} signs again at once: it is still published everywhere"),
        });
        Ok(())
    }

    /// The old key goes out of our DNSKEY RRset, and as a KSK signs it no more.
    pub fn withdraw(&mut self) -> Result<(), Unplannable> {
        let old = KeySet::from([self.old]);
        let now = self.draft.keys(US)?;
        let keys = KeyRrset {
            keys: now.keys.without(old),
            signers: now.signers.without(old),
            ..now
        };
        let mut changes = vec![Value::Keys(US, keys)];
        changes.extend(cds_signed_by(&self.draft, US, keys.signers)?);
        let what = format!("{} goes out of our DNSKEY RRset", self.old_label);
        self.draft.step(Move {
            what,
            action: Action::Turn {
                keys: vec![(self.old, Claim::Gone)],
            },
            by: Actor::We,
            changes,
            back: self.no_way_back(),
        });
        Ok(())
    }

    /// What is said of the steps after which the old key cannot come back.
    pub fn no_way_back(&self) -> String {
        format!(
            "not at all: {} is gone for good; roll to another key",
            self.old_label
        )
    }
}

/// Keys of ours are made, unless they are there.
pub(super) fn make(draft: &mut Draft<'_>, keys: &[KeyId]) {
    let situation = draft.situation;
    let missing = |key: &&KeyId| situation.key(**key).is_some_and(|key| key.dnskey.is_none());
    let keys: Vec<KeyId> = keys.iter().filter(missing).copied().collect();
    if keys.is_empty() {
        return;
    }
    let labels = situation.labels(keys.iter().copied().collect());
    draft.step(Move {
        what: format!("{labels} is made, and shown to nobody"),
        action: Action::Make { keys },
        by: Actor::We,
        changes: Vec::new(),
        back: "the key stays unused".to_owned(),
    });
}

/// A provider's CDS with other signers, where it publishes one: whoever signs the DNSKEY RRset signs them too.
pub(in super::super) fn cds_signed_by(
    draft: &Draft<'_>,
    provider: ProviderId,
    signers: KeySet,
) -> Result<Vec<Value>, Unplannable> {
    let mut changes = Vec::new();
    if let Some(Value::Cds(_, Some(cds))) = draft.value(&Slot::Cds(provider)) {
        let cds = Cds { signers, ..*cds };
        changes.push(Value::Cds(provider, Some(cds)));
    }
    let published = draft.data(provider)?;
    let data = published.into_iter().find(|(class, _)| *class == Class::Cds);
    if let Some((class, data)) = data {
        let data = SignedData { signers, ..data };
        changes.push(Value::Data(provider, class, data));
    }
    Ok(changes)
}
