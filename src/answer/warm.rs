//! Signing ahead: what a zone serves is signed before it is asked, and again before it expires.
//!
//! A [`Warmer`] goes round all zones in steps of a bounded number of signatures; whoever runs it decides what
//! share of the CPU it gets. A question that comes first signs for itself, so nothing waits for this. It keeps no
//! zone from being freed.

use std::{
    collections::{HashSet, VecDeque},
    mem, ptr,
    sync::{Arc, Weak},
    time::Duration,
};

use super::{engine::Zones, served::Content};
use crate::{
    clock::UnixTime,
    dnssec::{denial::Denial, key::SignError},
    wire::{Name, NameRef, RrType, Ttl},
    zone::{
        NodeView, RrsetView,
        parts::{Part, PartMark},
        slot::Signed,
    },
};

/// How many names a step looks at, at most: about a millisecond's worth, so that a step that finds everything good
/// ends too.
const NAMES_A_STEP: usize = 16_384;
/// When what a key could not sign is tried again.
const RETRY: Duration = Duration::from_secs(5);

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

/// What one step did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Step {
    /// Signatures made.
    pub signed: usize,
    /// Signatures that a key could not make.
    pub failed: usize,
    /// Nothing is due now.
    pub finished: bool,
    /// Names looked at.
    pub looked_at: usize,
}

impl Step {
    fn count<T>(&mut self, made: Result<T, SignError>) -> Option<T> {
        match &made {
            Ok(_) => self.signed += 1,
            Err(_) => self.failed += 1,
        }
        made.ok()
    }

    fn is_spent(&self, budget: usize) -> bool {
        self.signed + self.failed >= budget || self.looked_at >= NAMES_A_STEP
    }
}

/// Goes round all zones, and in each of them round its parts. What it found stays with the part: a change of a zone
/// costs another look at the parts it touched, and the round goes on from where it was, so that steady changes keep
/// nothing from its turn.
#[derive(Debug, Default)]
pub struct Warmer {
    /// The zones in the order in which they have their turn.
    courses: VecDeque<Course>,
    /// The zones that these are the courses of.
    followed: Weak<Zones>,
    now: UnixTime,
}

impl Warmer {
    /// Makes at most about `budget` signatures of what is due in the zones that are served now.
    pub fn step(&mut self, zones: &Arc<Zones>, budget: usize, now: UnixTime) -> Step {
        if now < self.now {
            // Signatures of a time that is now to come again are not valid yet.
            self.courses.iter_mut().for_each(Course::forget);
        }
        self.now = now;
        if !ptr::eq(self.followed.as_ptr(), Arc::as_ptr(zones)) {
            self.follow(zones);
        }
        let mut step = Step::default();
        for _ in 0..self.courses.len() {
            if step.is_spent(budget) {
                return step;
            }
            let Some(mut course) = self.courses.pop_front() else {
                break;
            };
            let content = zones
                .get(course.apex.as_ref())
                .and_then(|zone| zone.content().ok());
            if let Some(content) = content {
                course.advance(content, budget, now, &mut step);
            }
            self.courses.push_back(course);
        }
        step.finished = !step.is_spent(budget);
        step
    }

    /// Other zones, or other versions of them. Those that were there keep their turns.
    fn follow(&mut self, zones: &Arc<Zones>) {
        self.courses
            .retain(|course| zones.get(course.apex.as_ref()).is_some());
        let known: HashSet<Box<[u8]>> = self
            .courses
            .iter()
            .map(|course| course.apex.as_wire().into())
            .collect();
        let new = zones.iter().filter(|zone| !known.contains(zone.apex().as_wire()));
        self.courses.extend(new.map(|zone| Course::of(zone.apex())));
        self.followed = Arc::downgrade(zones);
    }
}

/// The way through the parts of one zone.
#[derive(Debug)]
struct Course {
    apex: Name,
    /// By whom the signatures are that were found to be good.
    issuers: (u32, u32),
    seen: Vec<Seen>,
    /// The part that comes next.
    part: usize,
    /// Of this part, when some of its names were looked at already: which one comes next, and what was seen so far.
    node: usize,
    at_hand: Seen,
}

/// A part that was looked at, and when to look again: when the first of its signatures is to be refreshed.
#[derive(Clone, Debug)]
struct Seen {
    part: PartMark,
    due: UnixTime,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            part: PartMark::default(),
            due: UnixTime(u64::MAX),
        }
    }
}

impl Course {
    fn of(apex: NameRef<'_>) -> Self {
        Self {
            apex: apex.to_lowercase(),
            issuers: (0, 0),
            seen: Vec::new(),
            part: 0,
            node: 0,
            at_hand: Seen::default(),
        }
    }

    /// Every part is looked at again.
    fn forget(&mut self) {
        self.seen.fill(Seen::default());
        (self.node, self.at_hand) = (0, Seen::default());
    }

    /// Signs what is due, until the step is spent or nothing is left.
    fn advance(&mut self, content: &Content, budget: usize, now: UnixTime, step: &mut Step) {
        let zone = &content.zone;
        let issuers = (content.signer.issuer, content.denial_issuer);
        if self.issuers != issuers || self.seen.len() != zone.part_count() {
            self.issuers = issuers;
            self.seen.resize(zone.part_count(), Seen::default());
            self.part %= self.seen.len();
            self.forget();
        }
        // One more than there are: the first of them may have been half done.
        for _ in 0..=self.seen.len() {
            let Some(part) = zone.part(self.part) else {
                break;
            };
            let seen = &self.seen[self.part];
            if !seen.part.is_of(part) || now >= seen.due {
                if !self.advance_in(part, content, budget, now, step) {
                    return;
                }
                self.seen[self.part] = mem::take(&mut self.at_hand);
            }
            self.part = (self.part + 1) % self.seen.len();
            self.node = 0;
        }
    }

    /// Goes on in one part; `false` when the step is spent before its end.
    fn advance_in(
        &mut self,
        part: Part<'_>,
        content: &Content,
        budget: usize,
        now: UnixTime,
        step: &mut Step,
    ) -> bool {
        if self.node == 0 || !self.at_hand.part.is_of(part) {
            self.node = 0;
            self.at_hand = Seen {
                part: part.mark(),
                ..Seen::default()
            };
        }
        while let Some(node) = part.node(self.node) {
            if step.is_spent(budget) {
                return false;
            }
            self.node += 1;
            step.looked_at += 1;
            let due = content.warm_node(node, now, step);
            self.at_hand.due = due.map_or(self.at_hand.due, |due| due.min(self.at_hand.due));
        }
        true
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
            note(made.map_or(now.plus(RETRY), |signed| signed.refresh_at()));
        }
        if denies {
            let ttl = self.zone.negative_ttl();
            let kept = node
                .denial()
                .load_full()
                .filter(|denial| !is_due(&denial.signed, self.denial_issuer, ttl, now));
            let made = kept.map_or_else(|| step.count(self.sign_denial(node, now)), Some);
            note(made.map_or(now.plus(RETRY), |denial| denial.signed.refresh_at()));
        }
        next
    }
}
