//! Signing ahead: what a zone serves is signed before it is asked, and again before it expires.
//!
//! A [`Warmer`] goes round all zones in steps of a bounded number of signatures; whoever runs it decides what
//! share of the CPU it gets. A question that comes first signs for itself, so nothing waits for this.

use std::sync::Arc;

use super::{
    engine::Zones,
    served::{Content, ServedZone},
};
use crate::{
    clock::UnixTime,
    dnssec::{denial::Denial, key::SignError},
    wire::{RrType, Ttl},
    zone::{Cursor, NodeView, RrsetView, slot::Signed},
};

/// How many names a step looks at, at most: a step that finds everything good ends too.
const NAMES_A_STEP: usize = 65_536;

/// The signatures of one zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct SignatureState {
    /// RRsets and denials that are signed ahead.
    pub wanted: usize,
    /// Those that hold a good signature now.
    pub warm: usize,
    /// The earliest time at which one of them may not be served any more.
    pub next_to_expire: Option<UnixTime>,
}

fn is_due(signed: &Signed, issuer: u32, ttl: Ttl, now: UnixTime) -> bool {
    !signed.is_good(issuer, ttl, now) || now >= signed.refresh_at()
}

impl Content {
    /// What is signed ahead at a name: its RRsets, at a cut the DS; and the record that denies, where a chain or
    /// a referral needs it.
    fn wanted_at<'z>(&self, node: NodeView<'z>) -> (impl Iterator<Item = RrsetView<'z>> + use<'z>, bool) {
        let signed = self.is_signed();
        let sets = node.rrsets().filter(move |set| {
            signed && !node.is_occluded() && (!node.is_cut() || set.rtype() == RrType::DS)
        });
        let unsigned_cut = node.is_cut() && node.rrset(RrType::DS).is_none();
        let denies = match self.denial {
            Denial::Nsec => node.owns_nsec(),
            Denial::Compact | Denial::Nsec3 => !node.is_occluded() && unsigned_cut,
        };
        (sets, signed && denies)
    }

    /// How much of the zone is signed ahead. Looks at every name: for `status`, not for a loop.
    pub fn signature_state(&self, now: UnixTime) -> SignatureState {
        let mut state = SignatureState::default();
        let mut look = |signed: Option<&Signed>, issuer, ttl| {
            state.wanted += 1;
            if let Some(signed) = signed.filter(|signed| signed.is_good(issuer, ttl, now)) {
                state.warm += 1;
                let until = signed.good_until(ttl);
                state.next_to_expire = Some(state.next_to_expire.map_or(until, |next| next.min(until)));
            }
        };
        for node in self.zone.nodes() {
            let (sets, denies) = self.wanted_at(node);
            for set in sets {
                look(set.slot().load().as_deref(), self.signer.issuer, set.ttl());
            }
            if denies {
                look(
                    node.denial().load().as_deref().map(|denial| &denial.signed),
                    self.denial_issuer,
                    self.zone.negative_ttl(),
                );
            }
        }
        state
    }
}

/// Where the round through all zones has come to.
#[derive(Debug, Default)]
pub struct Warmer {
    round: Vec<Arc<ServedZone>>,
    zone: usize,
    cursor: Cursor,
    began: UnixTime,
    /// The earliest time at which something that the round looked at is due.
    next_due: Option<UnixTime>,
}

/// What one step did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Step {
    /// Signatures made.
    pub signed: usize,
    /// Signatures that a key could not make.
    pub failed: usize,
    /// The round is over; the next step begins a new one.
    pub finished: bool,
}

impl Step {
    fn count<T>(&mut self, made: Result<T, SignError>) -> Option<T> {
        match &made {
            Ok(_) => self.signed += 1,
            Err(_) => self.failed += 1,
        }
        made.ok()
    }
}

impl Warmer {
    /// Makes at most about `budget` signatures of what is due. `zones` are those served now: a round that began
    /// with others begins anew. After a round that left nothing due, there is nothing to do until something is.
    pub fn step(&mut self, zones: &Zones, budget: usize, now: UnixTime) -> Step {
        let mut step = Step::default();
        let same = |zone: &Arc<ServedZone>| zones.get(zone.apex()).is_some_and(|now| Arc::ptr_eq(now, zone));
        let stale =
            self.round.len() != zones.iter().count() || !self.round.iter().all(same) || now < self.began;
        if stale || self.zone >= self.round.len() {
            if !stale && self.next_due.is_none_or(|due| now < due) {
                step.finished = true;
                return step;
            }
            let round = zones.iter().map(Arc::clone).collect();
            *self = Self {
                round,
                began: now,
                ..Self::default()
            };
        }
        let mut looked_at = 0;
        while step.signed + step.failed < budget && looked_at < NAMES_A_STEP {
            let Some(zone) = self.round.get(self.zone) else {
                step.finished = true;
                break;
            };
            let content = zone.content().ok();
            let Some((content, node)) =
                content.and_then(|content| Some((content, content.zone.next_node(&mut self.cursor)?)))
            else {
                self.zone += 1;
                self.cursor = Cursor::default();
                continue;
            };
            let due = content.warm_node(node, now, &mut step);
            self.next_due = [self.next_due, due].into_iter().flatten().min();
            looked_at += 1;
        }
        step
    }
}

impl Content {
    /// Signs what is due at a name; gives the earliest time at which something there is due again.
    fn warm_node(&self, node: NodeView<'_>, now: UnixTime, step: &mut Step) -> Option<UnixTime> {
        let mut next = None::<UnixTime>;
        let mut note = |due: UnixTime| next = Some(next.map_or(due, |next| next.min(due)));
        let (sets, denies) = self.wanted_at(node);
        for set in sets {
            let kept = set
                .slot()
                .load_full()
                .filter(|signed| !is_due(signed, self.signer.issuer, set.ttl(), now));
            let made = kept.map_or_else(|| step.count(self.sign_rrset(node, set, now)), Some);
            // What could not be signed is tried again in the next round.
            note(made.map_or(now, |signed| signed.refresh_at()));
        }
        if denies {
            let ttl = self.zone.negative_ttl();
            let kept = node
                .denial()
                .load_full()
                .filter(|denial| !is_due(&denial.signed, self.denial_issuer, ttl, now));
            let made = kept.map_or_else(|| step.count(self.sign_denial(node, now)), Some);
            note(made.map_or(now, |denial| denial.signed.refresh_at()));
        }
        next
    }
}
