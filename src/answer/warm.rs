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
    zone::{NodeView, RrsetView, slot::Signed},
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

impl Content {
    /// What is signed ahead at a name: its RRsets, at a cut the DS; and the record that denies, where a chain or
    /// a referral needs it.
    fn wanted_at<'z>(&self, node: NodeView<'z>) -> (impl Iterator<Item = RrsetView<'z>> + use<'z>, bool) {
        let sets = node
            .rrsets()
            .filter(move |set| !node.is_occluded() && (!node.is_cut() || set.rtype() == RrType::DS));
        let unsigned_cut = node.is_cut() && node.rrset(RrType::DS).is_none();
        let denies = match self.denial {
            Denial::Nsec => node.owns_nsec(),
            Denial::Compact | Denial::Nsec3 => !node.is_occluded() && unsigned_cut,
        };
        (sets, denies)
    }

    fn is_due(&self, signed: &Signed, ttl: Ttl, now: UnixTime) -> bool {
        !signed.is_good(self.signer.issuer, ttl, now) || now >= signed.refresh_at()
    }

    /// How much of the zone is signed ahead. Looks at every name: for `status`, not for a loop.
    pub fn signature_state(&self, now: UnixTime) -> SignatureState {
        let mut state = SignatureState::default();
        let mut look = |signed: Option<&Signed>, ttl| {
            state.wanted += 1;
            if let Some(signed) = signed.filter(|signed| signed.is_good(self.signer.issuer, ttl, now)) {
                state.warm += 1;
                let until = signed.good_until(ttl);
                state.next_to_expire = Some(state.next_to_expire.map_or(until, |next| next.min(until)));
            }
        };
        for node in self.zone.nodes() {
            let (sets, denies) = self.wanted_at(node);
            for set in sets {
                look(set.slot().load().as_deref(), set.ttl());
            }
            if denies {
                look(
                    node.denial().load().as_deref().map(|denial| &denial.signed),
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
    node: usize,
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
    fn note<T>(&mut self, made: Result<T, SignError>) {
        match made {
            Ok(_) => self.signed += 1,
            Err(_) => self.failed += 1,
        }
    }
}

impl Warmer {
    /// Makes at most about `budget` signatures of what is due. `zones` are those served now: a round that began
    /// with others begins anew.
    pub fn step(&mut self, zones: &Zones, budget: usize, now: UnixTime) -> Step {
        let stale = self
            .round
            .iter()
            .any(|zone| zones.get(zone.apex()).is_none_or(|now| !Arc::ptr_eq(now, zone)));
        if stale || self.zone >= self.round.len() {
            *self = Self {
                round: zones.iter().map(Arc::clone).collect(),
                zone: 0,
                node: 0,
            };
        }
        let mut step = Step::default();
        let mut looked_at = 0;
        while step.signed + step.failed < budget && looked_at < NAMES_A_STEP {
            let Some(zone) = self.round.get(self.zone) else {
                step.finished = true;
                break;
            };
            let Ok(content) = zone.content() else {
                self.next_zone();
                continue;
            };
            let Some(node) = content.zone.node_at(self.node) else {
                self.next_zone();
                continue;
            };
            content.warm_node(node, now, &mut step);
            self.node += 1;
            looked_at += 1;
        }
        step
    }

    fn next_zone(&mut self) {
        self.zone += 1;
        self.node = 0;
    }
}

impl Content {
    fn warm_node(&self, node: NodeView<'_>, now: UnixTime, step: &mut Step) {
        let (sets, denies) = self.wanted_at(node);
        for set in sets {
            if set
                .slot()
                .load()
                .as_deref()
                .is_none_or(|signed| self.is_due(signed, set.ttl(), now))
            {
                step.note(self.sign_rrset(node, set, now));
            }
        }
        let ttl = self.zone.negative_ttl();
        let is_due = || {
            node.denial()
                .load()
                .as_deref()
                .is_none_or(|denial| self.is_due(&denial.signed, ttl, now))
        };
        if denies && is_due() {
            step.note(self.sign_denial(node, now));
        }
    }
}
