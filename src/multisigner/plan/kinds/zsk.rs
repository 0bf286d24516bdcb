//! A ZSK of ours takes over from another: pre-publication (RFC 6781 §4.1.1.1), at every provider (RFC 8901 §6.1).
//!
//! ```text
//! published here ─► at the others ─Tkey─► it signs ─Tdata─► the old one goes here ─► at the others
//! ```

use super::{
    super::{super::safety::KeyId, Kind, Plan, Situation, Unplannable},
    roll::Roll,
};
use crate::dnssec::{keyfile::timing::Claim, keyset::Role};

pub(super) fn plan(situation: &Situation, old: KeyId, new: KeyId, kind: &Kind) -> Result<Plan, Unplannable> {
    let mut roll = Roll::new(situation, old, new, Role::Zsk)?;
    roll.make();
    roll.publish(Claim::Published)?;
    roll.give("our keys are given without it again, at once: nothing depends on it")?;
    roll.switch()?;
    roll.withdraw()?;
    let back = roll.no_way_back();
    roll.give(&back)?;
    roll.draft.finish(kind.clone())
}
