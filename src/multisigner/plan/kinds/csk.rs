//! A CSK of ours takes over from another: a KSK and a ZSK at once, so that both orders must hold.
//!
//! ```text
//! published here ─► at the others ─► (CDS) ─► DS of both ─Tkey, Tds─► it signs ─Tdata─► the old one goes ─► its DS goes
//! ```
//!
//! The draft about multi-signer automation has no wait for the data that the old key signed; it is needed as for a ZSK.

use super::{
    super::{super::safety::KeyId, Kind, Plan, Situation, Unplannable},
    roll::Roll,
};
use crate::dnssec::{keyfile::timing::Claim, keyset::Role};

pub(super) fn plan(situation: &Situation, old: KeyId, new: KeyId, kind: &Kind) -> Result<Plan, Unplannable> {
    let mut roll = Roll::new(situation, old, new, Role::Csk)?;
    roll.make();
    roll.publish(Claim::Published)?;
    roll.give("our keys are given without it again, at once: nothing depends on it")?;
    roll.add_ds()?;
    roll.switch()?;
    roll.withdraw()?;
    let back = roll.no_way_back();
    roll.give(&back)?;
    roll.drop_ds()?;
    roll.draft.finish(kind.clone())
}
