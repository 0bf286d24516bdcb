//! The way back: the steps of a plan taken back in reverse, with the waits that this needs.
//!
//! What the plan changed is taken out of what is served now, so that surprises which came meanwhile stay. A join whose
//! newcomer is asked already goes back as a leave: its own NS RRset must not name itself, or resolvers stay there.
//! CSYNC goes first, and the NS RRset of the parent, which may have followed it, comes back last, when CSYNC can ask for it.

use super::{
    super::safety::{DsSet, KeyId, KeyRrset, KeySet, NsSet, ProviderId, SignedData, Slot, Value},
    Action, Actor, Kind, NoWayBack, Past, Plan, Since, Situation, Step, Times, Unplannable,
    draft::{Draft, Move, US},
    gate::points_to,
    kinds, paste,
};
use crate::dnssec::keyfile::timing::Claim;

/// What is said of how to go back from a way back.
const BACK: &str = "plan anew when this is done";

/// What the parent was asked for by CDS, of which more steps are to be taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    /// Nothing.
    Nothing,
    /// Something, and it has not followed: CDS goes back to what it was.
    ByCds,
    /// Something, and what it has or may have done is taken back by CDS.
    Followed,
}

impl Asked {
    /// All that asked the parent is taken back. What it has read before may come yet, and nothing goes that this needs
    /// before it is seen that it does not.
    fn is_past(&mut self, draft: &mut Draft<'_>) -> Result<(), Unplannable> {
        if std::mem::replace(self, Self::Nothing) == Self::ByCds {
            let what = "the parent would have followed the CDS of before, and the DS RRset is as it was";
            draft.see_that_ds_stays(what, BACK)?;
        }
        Ok(())
    }
}

impl Plan {
    /// The plan that undoes the first steps of this one, those that were begun at these times. `now` names the keys and
    /// providers by the same places.
    ///
    /// # Errors
    /// [`NoWayBack`] says why not, and what to do instead.
    pub fn retreat(&self, done: &[Times], now: &Situation) -> Result<Plan, NoWayBack> {
        let done = &done[..done.len().min(self.steps.len())];
        for (place, step) in self.steps.iter().take(done.len()).enumerate() {
            if let Some(why) = self.is_final(step) {
                return Err(NoWayBack::Passed {
                    step: place + 1,
                    what: step.what.clone(),
                    why,
                    instead: self.instead(),
                });
            }
        }
        let kind = Kind::Retreat {
            from: Box::new(self.kind.clone()),
        };
        let mut situation = now.clone();
        situation.past = self.remembered(done, now);
        if let Kind::Join { provider } = self.kind
            && Draft::new(&situation).asked().contains(&provider)
        {
            let leave = kinds::build(&Kind::Leave { provider }, &situation)?;
            return Ok(Plan { kind, ..leave });
        }
        let mut draft = Draft::new(&situation);
        let csync = self.asked_by_csync(done.len());
        if csync {
            draft.take_back_csync()?;
        }
        let mut asked = Asked::Nothing;
        for place in (0..done.len()).rev() {
            if csync && self.is_of_csync(place) {
                continue;
            }
            if !self.is_of_cds(place) {
                asked.is_past(&mut draft)?;
            }
            let ds_followed = self.steps[place + 1..done.len()]
                .iter()
                .any(|step| step.changes.iter().any(|value| value.slot() == Slot::Ds));
            if ds_followed && self.is_of_cds(place) {
                continue;
            }
            self.take_back(place, &mut asked, &mut draft)?;
        }
        asked.is_past(&mut draft)?;
        if csync && let Some(Value::ParentNs(before)) = self.situation.value(&Slot::ParentNs) {
            // The parent may have followed, whether or not that was seen. It takes what is back already.
            draft.point_parent_ns_to(&before.members, BACK)?;
        }
        if draft.steps() == 0 {
            return Err(NoWayBack::NothingDone);
        }
        Ok(draft.finish(kind)?)
    }

    /// The same plan, which takes back what others were asked for in this step once it is seen that it has come, or cannot come.
    /// `values`: what is not seen everywhere yet.
    pub fn once_it_came(mut self, asked: &Step, values: Vec<Value>) -> Plan {
        let of_these = |value: &Value| values.iter().any(|late| late.slot() == value.slot());
        let takes_back = |step: &Step| step.changes.iter().any(of_these);
        let place = match &asked.by {
            Actor::Person { place, .. } => place.clone(),
            Actor::Api { provider } | Actor::Provider { provider } => {
                format!("at {}", self.situation.name(*provider))
            }
            // What is done here is there at once, and what the parent does by itself is waited for otherwise.
            Actor::We | Actor::Parent => return self,
        };
        let Some(at) = self.steps.iter().position(takes_back) else {
            return self;
        };
        for wait in self.steps.iter_mut().flat_map(|step| &mut step.waits) {
            if let Since::Step(place) = &mut wait.since
                && *place >= at
            {
                *place += 1;
            }
        }
        let step = Step {
            what: format!("this is at every server, or was never handed in: {}", asked.what),
            action: Action::HandedIn { values },
            by: Actor::Person {
                place,
                paste: Vec::new(),
            },
            changes: Vec::new(),
            waits: Vec::new(),
            withdraws: false,
            back: BACK.to_owned(),
        };
        self.steps.insert(at, step);
        self
    }

    /// Whether the first steps have the parent take its NS RRset from CSYNC.
    fn asked_by_csync(&self, done: usize) -> bool {
        let mut changes = self.steps.iter().take(done).flat_map(|step| &step.changes);
        changes.any(|value| matches!(value, Value::Csync(_, Some(_))))
    }

    /// Whether a step publishes CSYNC, takes it away, or is what the parent does because of it.
    fn is_of_csync(&self, place: usize) -> bool {
        let mut changes = self.steps[place].changes.iter();
        changes.any(|value| matches!(value.slot(), Slot::Csync(_) | Slot::ParentNs))
    }

    /// Why a step that was done is final.
    fn is_final(&self, step: &Step) -> Option<String> {
        let gone = |keys: &[(KeyId, Claim)]| -> KeySet {
            let gone = keys.iter().filter(|(_, claim)| *claim == Claim::Gone);
            gone.map(|(key, _)| *key).collect()
        };
        match (&self.kind, &step.action) {
            (Kind::Emergency { old, .. }, action) if !matches!(action, Action::Make { .. }) => Some(format!(
                "it would lead back to {}, which others may have",
                self.situation.label(*old)
            )),
            (_, Action::Turn { keys }) if !gone(keys).is_empty() => Some(format!(
                "{} is gone for good, and a key that is gone is not taken again",
                self.situation.labels(gone(keys))
            )),
            (_, Action::Withdraw { keys }) => Some(format!(
                "{} was withdrawn",
                self.situation.labels(keys.iter().copied().collect())
            )),
            (_, Action::Stop { provider }) => {
                Some(format!("{} answers no more", self.situation.name(*provider)))
            }
            _ => None,
        }
    }

    /// What to do where there is no way back.
    fn instead(&self) -> String {
        let situation = &self.situation;
        match &self.kind {
            Kind::Leave { provider } => format!(
                "finish this plan, and let {} join again",
                situation.name(*provider)
            ),
            Kind::RollZsk { new, .. } | Kind::RollKsk { new, .. } | Kind::RollCsk { new, .. } => format!(
                "finish this plan, and roll from {} to another key",
                situation.label(*new)
            ),
            Kind::Emergency { .. } => "finish this plan".to_owned(),
            Kind::Algorithm { .. } => "finish this plan, and plan another change of algorithm".to_owned(),
            Kind::Follow { provider, .. } => format!(
                "finish this plan; a key that {} shows again is published again at once",
                situation.name(*provider)
            ),
            Kind::Join { .. } | Kind::Standby { .. } | Kind::Retreat { .. } => {
                "finish this plan, and then plan anew".to_owned()
            }
        }
    }

    /// What caches may hold besides: what `now` knows of the past, and what the steps that were done replaced.
    fn remembered(&self, done: &[Times], now: &Situation) -> Vec<Past> {
        let mut past = now.past.clone();
        for (place, times) in done.iter().enumerate() {
            for value in &self.steps[place].changes {
                let slot = value.slot();
                let Some(before) = self.before(place, &slot) else {
                    continue;
                };
                let known = past
                    .iter()
                    .any(|past| past.value == before && past.until >= times.seen);
                if !known && before != *value {
                    past.push(Past {
                        value: before,
                        until: times.seen,
                    });
                }
            }
        }
        past.sort_by_key(|past| past.until);
        past
    }

    /// What a slot had before a step.
    fn before(&self, step: usize, slot: &Slot) -> Option<Value> {
        let changed = self.steps[..step].iter().rev().flat_map(|step| &step.changes);
        let mut changed = changed.filter(|value| value.slot() == *slot);
        changed.next().or_else(|| self.situation.value(slot)).cloned()
    }

    /// Whether a step is there for CDS. Where the DS RRset followed it, that goes back by CDS too, which are then as they
    /// should be.
    fn is_of_cds(&self, place: usize) -> bool {
        let step = &self.steps[place];
        let of_cds = |value: &Value| matches!(value.slot(), Slot::Cds(_));
        step.changes.iter().any(of_cds) && !matches!(step.action, Action::Turn { .. })
    }

    /// Goes back from a step that asks the parent for a DS RRset before every provider has asked for it.
    fn ask_no_more(&self, place: usize, read: &Value, draft: &mut Draft<'_>) -> Result<Asked, Unplannable> {
        let now = draft.ds()?;
        let before = self.before(place, &Slot::Ds);
        let without = match undone(&before, read, &Value::Ds(now.clone())) {
            Some(Value::Ds(without)) => points_to(&without),
            _ => points_to(&now),
        };
        if without == points_to(&now) {
            return Ok(Asked::ByCds);
        }
        let what = format!("the DS RRset points to {} again", draft.situation.labels(without));
        draft.point_ds_to(without, &what, BACK)?;
        Ok(Asked::Followed)
    }

    fn take_back(&self, place: usize, asked: &mut Asked, draft: &mut Draft<'_>) -> Result<(), Unplannable> {
        let step = &self.steps[place];
        if *asked == Asked::Nothing
            && let Some(read) = self.read_in_cds(place)
        {
            *asked = self.ask_no_more(place, &read, draft)?;
        }
        if *asked == Asked::Followed {
            return Ok(());
        }
        let mut changes: Vec<Value> = step
            .changes
            .iter()
            .filter_map(|value| {
                let slot = value.slot();
                undone(&self.before(place, &slot), value, draft.value(&slot)?)
            })
            .collect();
        let claims = self.claims_before(place);
        sign_cds_alike(draft, &step.action, &claims, &mut changes)?;
        keep_what_signs(draft, &mut changes);
        if changes.is_empty() {
            return Ok(());
        }
        let (what, back) = (format!("taken back: {}", step.what), BACK);
        if let [Value::Ds(ds)] = &changes[..] {
            return draft.point_ds_to(points_to(ds), &what, back);
        }
        let action = match &step.action {
            Action::Turn { .. } => Action::Turn { keys: claims },
            Action::Await => Action::Withdraw {
                keys: taken_out(draft, &changes).iter().collect(),
            },
            Action::Cds { .. } => Action::Cds {
                wanted: wanted_cds(&changes).iter().collect(),
            },
            Action::ParentNs { .. } | Action::ChildNs { .. } => redone(&step.action, &changes),
            Action::Theirs { provider, what } => Action::Theirs {
                provider: *provider,
                what: format!("taken back: {what}"),
            },
            other => other.clone(),
        };
        let mut by = step.by.clone();
        if let Actor::Person { paste, .. } = &mut by {
            *paste = paste::lines(draft.situation, &action, &changes).unwrap_or_default();
        }
        draft.step(Move {
            what,
            action,
            by,
            changes,
            back: back.to_owned(),
        });
        Ok(())
    }

    /// What the keys that a step turns were before it.
    fn claims_before(&self, step: usize) -> Vec<(KeyId, Claim)> {
        let Action::Turn { keys } = &self.steps[step].action else {
            return Vec::new();
        };
        keys.iter()
            .map(|(key, claim)| (*key, self.claim_before(step, *key, *claim)))
            .collect()
    }

    /// What a key of ours was before a step.
    fn claim_before(&self, step: usize, key: KeyId, claim: Claim) -> Claim {
        let turned = self.steps[..step]
            .iter()
            .rev()
            .find_map(|step| match &step.action {
                Action::Turn { keys } => keys
                    .iter()
                    .find(|(turned, _)| *turned == key)
                    .map(|(_, claim)| *claim),
                _ => None,
            });
        let before = turned.unwrap_or_else(|| match self.situation.value(&Slot::Keys(US)) {
            Some(Value::Keys(_, rrset)) if rrset.keys.contains(key) => {
                let signs = |value: &Value| match value {
                    Value::Data(US, _, data) => data.signers.contains(key),
                    _ => false,
                };
                let active = rrset.signers.contains(key) || self.situation.serves.iter().any(signs);
                if active { Claim::Active } else { Claim::Published }
            }
            _ => Claim::Gone,
        });
        match (before, claim) {
            // A key that signed does not become one that never did, nor one that was published one that never was.
            (Claim::Published, Claim::Active) => Claim::Retired,
            (Claim::PreActive, Claim::Active) => Claim::PostActive,
            (before, _) => before,
        }
    }
}

/// `now` without what a change from `before` to `after` brought.
fn undone(before: &Option<Value>, after: &Value, now: &Value) -> Option<Value> {
    Some(match (before, after, now) {
        (Some(Value::Keys(_, before)), Value::Keys(_, after), Value::Keys(provider, now)) => Value::Keys(
            *provider,
            KeyRrset {
                keys: undone_keys(before.keys, after.keys, now.keys),
                signers: undone_keys(before.signers, after.signers, now.signers),
                ..*now
            },
        ),
        (Some(Value::Data(_, _, before)), Value::Data(_, _, after), Value::Data(provider, class, now)) => {
            let signers = undone_keys(before.signers, after.signers, now.signers);
            Value::Data(*provider, class.clone(), SignedData { signers, ..*now })
        }
        (Some(Value::Ds(before)), Value::Ds(after), Value::Ds(now)) => {
            let added: Vec<_> = after.records.difference(&before.records).collect();
            let kept = now.records.iter().filter(|record| !added.contains(record));
            let lost = before.records.difference(&after.records);
            Value::Ds(DsSet {
                records: kept.chain(lost).copied().collect(),
                ..now.clone()
            })
        }
        (Some(Value::ParentNs(before)), Value::ParentNs(_), Value::ParentNs(now)) => Value::ParentNs(NsSet {
            members: before.members.clone(),
            ..now.clone()
        }),
        (Some(Value::ChildNs(_, before)), Value::ChildNs(..), Value::ChildNs(provider, now)) => {
            Value::ChildNs(
                *provider,
                NsSet {
                    members: before.members.clone(),
                    ..now.clone()
                },
            )
        }
        (Some(Value::Cds(provider, before)), Value::Cds(..), _) => Value::Cds(*provider, *before),
        (None, Value::Cds(provider, _), _) => Value::Cds(*provider, None),
        _ => return None,
    })
}

/// CDS that came on the way there has signatures that no step there brought: they go with the keys that sign no more, of
/// other providers with those of the other data.
fn sign_cds_alike(
    draft: &Draft<'_>,
    action: &Action,
    claims: &[(KeyId, Claim)],
    changes: &mut Vec<Value>,
) -> Result<(), Unplannable> {
    let are_data = changes.iter().any(|value| matches!(value, Value::Data(..)));
    let (provider, signers) = match action {
        Action::Turn { .. } if !changes.is_empty() => (US, signers_of_cds(draft, claims, changes)),
        Action::Theirs { provider, .. } if are_data => (*provider, Some(draft.keys(*provider)?.signers)),
        _ => return Ok(()),
    };
    let shown = cds_signers(draft, provider);
    let Some(signers) = signers.filter(|signers| shown.is_some_and(|shown| shown != *signers)) else {
        return Ok(());
    };
    for value in kinds::cds_signed_by(draft, provider, signers)? {
        if !changes.iter().any(|known| known.slot() == value.slot()) {
            changes.push(value);
        }
    }
    Ok(())
}

/// Who of us signs CDS when keys have passed into these states.
fn signers_of_cds(draft: &Draft<'_>, claims: &[(KeyId, Claim)], changes: &[Value]) -> Option<KeySet> {
    let signs = |claim| matches!(claim, Claim::PreActive | Claim::Active | Claim::PostActive);
    let turned = |to: bool| -> KeySet {
        let keys = claims.iter().filter(|(_, claim)| signs(*claim) == to);
        keys.map(|(key, _)| *key).collect()
    };
    let rrset = changes.iter().find_map(|value| match value {
        Value::Keys(US, rrset) => Some(rrset.signers),
        _ => None,
    });
    let new = rrset.unwrap_or_default().intersection(turned(true));
    Some(cds_signers(draft, US)?.without(turned(false)).union(new))
}

/// Who signs a provider's CDS; none where it shows none.
fn cds_signers(draft: &Draft<'_>, provider: ProviderId) -> Option<KeySet> {
    match draft.value(&Slot::Cds(provider)) {
        Some(Value::Cds(_, Some(cds))) => Some(cds.signers),
        _ => None,
    }
}

/// A key stays where data that are served now, such as CDS, are signed by nothing else.
fn keep_what_signs(draft: &Draft<'_>, changes: &mut [Value]) {
    let turned: Vec<Slot> = changes.iter().map(Value::slot).collect();
    let asked = draft.asked();
    let signers: Vec<KeySet> = draft
        .values()
        .filter_map(|value| match value {
            Value::Data(at, _, data) if asked.contains(at) && !turned.contains(&value.slot()) => {
                Some(data.signers)
            }
            _ => None,
        })
        .collect();
    for value in changes {
        let Some(Value::Keys(_, now)) = draft.value(&value.slot()) else {
            continue;
        };
        let Value::Keys(at, rrset) = value else { continue };
        if !asked.contains(at) {
            continue;
        }
        let left = rrset.keys;
        let alone = signers
            .iter()
            .filter(|signers| signers.intersection(left).is_empty());
        for signers in alone {
            rrset.keys = rrset.keys.union(signers.intersection(now.keys));
        }
    }
}

fn undone_keys(before: KeySet, after: KeySet, now: KeySet) -> KeySet {
    now.without(after.without(before)).union(before.without(after))
}

/// The keys that `changes` take out of DNSKEY RRsets.
fn taken_out(draft: &Draft<'_>, changes: &[Value]) -> KeySet {
    let mut gone = KeySet::default();
    for value in changes {
        if let (Value::Keys(_, then), Some(Value::Keys(_, now))) = (value, draft.value(&value.slot())) {
            gone = gone.union(now.keys.without(then.keys));
        }
    }
    gone
}

fn wanted_cds(changes: &[Value]) -> KeySet {
    let wanted = changes.iter().find_map(|value| match value {
        Value::Cds(_, cds) => Some(cds.map_or_else(KeySet::default, |cds| cds.wanted)),
        _ => None,
    });
    wanted.unwrap_or_default()
}

/// The action that leads to these NS RRsets.
fn redone(action: &Action, changes: &[Value]) -> Action {
    let same = changes.iter().find_map(|value| match value {
        Value::ParentNs(ns) => {
            let members = ns.members.iter().copied().collect();
            Some(Action::ParentNs { members })
        }
        Value::ChildNs(provider, ns) => {
            let (provider, members) = (*provider, ns.members.iter().copied().collect());
            Some(Action::ChildNs { provider, members })
        }
        _ => None,
    });
    same.unwrap_or_else(|| action.clone())
}
