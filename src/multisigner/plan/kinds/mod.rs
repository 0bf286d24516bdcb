//! One file a kind of plan: the order of its steps, and what it asks of the situation. The waits follow from the values
//! (`gate`).

mod algorithm;
mod csk;
mod emergency;
mod follow;
mod join;
mod ksk;
mod leave;
mod roll;
mod standby;
mod zsk;

pub(super) use roll::cds_signed_by;

use super::{Kind, Plan, Situation, Unplannable};

/// The plan that leads from a situation to a goal.
///
/// # Errors
/// Why there is none, and what to do about it.
pub fn build(kind: &Kind, situation: &Situation) -> Result<Plan, Unplannable> {
    // A situation that no timeline can hold has no plan either.
    super::super::safety::KeyId::at(situation.keys.len().saturating_sub(1))?;
    situation.provider_ids()?;
    match kind {
        Kind::Join { provider } => join::plan(situation, *provider),
        Kind::Leave { provider } => leave::plan(situation, *provider),
        Kind::RollZsk { old, new } => zsk::plan(situation, *old, *new, kind),
        Kind::RollKsk { old, new } => ksk::plan(situation, *old, *new, kind),
        Kind::RollCsk { old, new } => csk::plan(situation, *old, *new, kind),
        Kind::Algorithm { old, new } => algorithm::plan(situation, old, new),
        Kind::Emergency { old, new, policy } => emergency::plan(situation, *old, *new, *policy),
        Kind::Standby { new } => standby::plan(situation, *new),
        Kind::Follow { provider, gone } => follow::plan(situation, *provider, gone),
        Kind::Retreat { .. } => Err(Unplannable::NotByItself),
    }
}
