//! A further ZSK of ours is published everywhere and signs nothing, so that it can take over at once.

use std::collections::BTreeSet;

use super::{
    super::{
        super::safety::{KeyId, KeyRrset, KeySet, SignedData, Value},
        Action, Actor, Kind, Plan, Situation, Unplannable,
        draft::{Draft, Move, US},
    },
    roll::{make, ours},
};
use crate::dnssec::{keyfile::timing::Claim, keyset::Role};

pub(super) fn plan(situation: &Situation, new: KeyId) -> Result<Plan, Unplannable> {
    ours(situation, new, Role::Zsk)?;
    let label = situation.label(new);
    let mut draft = Draft::new(situation);
    let data = draft.data(US)?;
    if data.iter().any(|(_, data)| data.signers.contains(new)) {
        return Err(Unplannable::SignsAlready { key: label });
    }
    let standby = KeySet::from([new]);
    let asked: BTreeSet<_> = draft.asked();
    let mut everywhere = draft.keys(US)?.keys.contains(new);
    for provider in &asked {
        everywhere &= draft.keys(*provider)?.keys.contains(new);
    }
    if everywhere {
        return Err(Unplannable::NothingToDo);
    }
    make(&mut draft, &[new]);
    let now = draft.keys(US)?;
    draft.step(Move {
        what: format!("{label} is published, and signs nothing"),
        action: Action::Turn {
            keys: vec![(new, Claim::Published)],
        },
        by: Actor::We,
        changes: vec![Value::Keys(
            US,
            KeyRrset {
                keys: now.keys.union(standby),
                ..now
            },
        )],
        back: format!("{label} goes out of the RRset again at once: nothing depends on it"),
    });
    let published = draft.keys(US)?.keys;
    let ours = draft.owned_by(US, published);
    for provider in draft.others() {
        let what = format!("{} publishes {label}", situation.name(provider));
        let back = "our keys are given without it again, at once: nothing depends on it";
        draft.give(provider, ours, &what, back)?;
    }
    let signed_with_it: Vec<Value> = data
        .into_iter()
        .map(|(class, data)| {
            let data = SignedData {
                signers: standby,
                ..data
            };
            Value::Data(US, class, data)
        })
        .collect();
    draft.await_what_is_needed_for(
        format!("{label} can take over at once"),
        &signed_with_it,
        format!("{label} goes out of all RRsets again at once: nothing depends on it"),
    );
    draft.finish(Kind::Standby { new })
}
