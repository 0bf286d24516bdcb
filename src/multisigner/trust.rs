//! Whether a DNSKEY RRset of another provider is really its own: by a DS at the parent, by a key that a person pinned,
//! or by a key that was believed before (so that a provider's roll, signed by its old key, is believed).

use super::observe::KeyAnswer;
use crate::{
    dnssec::{key::Dnskey, register::Trust, validate::Ds},
    wire::NameRef,
};

/// A key that a person pins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pin {
    /// By its digest.
    Ds(Ds),
    /// By itself.
    Key(Dnskey),
}

/// What belief may rest on.
#[derive(Clone, Copy, Debug)]
pub struct Anchors<'a> {
    /// The zone.
    pub apex: NameRef<'a>,
    /// The DS records that every parent server which answered has.
    pub ds: &'a [Ds],
    /// The keys that a person pinned.
    pub pinned: &'a [Pin],
    /// The provider's SEP keys that are believed already.
    pub known: &'a [Dnskey],
}

impl Anchors<'_> {
    /// Why this key is to be believed, if it is.
    pub fn vouch_for(&self, key: &Dnskey) -> Option<Trust> {
        let tag = key.key_tag();
        if !key.is_sep() || !key.is_zone_key() || key.is_revoked() {
            return None;
        }
        if self.ds.iter().any(|ds| ds.points_to(key, self.apex)) {
            return Some(Trust::Chain { tag });
        }
        let pinned = self.pinned.iter().any(|pin| match pin {
            Pin::Key(pinned) => pinned == key,
            Pin::Ds(ds) => ds.points_to(key, self.apex),
        });
        if pinned {
            return Some(Trust::Pinned { tag });
        }
        self.known.contains(key).then_some(Trust::Known { tag })
    }

    /// Why this DNSKEY RRset is to be believed, if it is: one of the keys that sign it is.
    pub fn vouch_for_answer(&self, answer: &KeyAnswer) -> Option<Trust> {
        let reasons = answer.signers.iter().filter_map(|key| self.vouch_for(key));
        reasons.min_by_key(weakness)
    }
}

/// How weak a reason is: of several the strongest is told and kept.
pub fn weakness(trust: &Trust) -> u8 {
    match trust {
        Trust::Chain { .. } => 0,
        Trust::Pinned { .. } => 1,
        Trust::Person => 2,
        Trust::Known { .. } => 3,
    }
}
