//! A KSK of ours takes over from another.
//!
//! ```text
//! it signs beside the old one ─► (CDS) ─► DS of both ─Tds, Tkey─► the old one goes ─► (CDS) ─► its DS goes
//! ```
//!
//! DS of both, rather than one DS swapped for the other (RFC 8901 §6.2): until the old key goes, every step only adds,
//! so each can be taken back at once. Both waits run at the same time; and how long the registrar takes for either change
//! of DS harms nobody. The price is a second change of DS.

use super::{
    super::{super::safety::KeyId, Kind, Plan, Situation, Unplannable},
    roll::Roll,
};
use crate::dnssec::{keyfile::timing::Claim, keyset::Role};

pub(super) fn plan(situation: &Situation, old: KeyId, new: KeyId, kind: &Kind) -> Result<Plan, Unplannable> {
    let mut roll = Roll::new(situation, old, new, Role::Ksk)?;
    roll.make();
    roll.publish(Claim::Active)?;
    roll.give("our keys are given without it again, at once: nothing depends on it")?;
    roll.add_ds()?;
    roll.withdraw()?;
    let back = roll.no_way_back();
    roll.give(&back)?;
    roll.drop_ds()?;
    roll.draft.finish(kind.clone())
}
