//! Each invariant over the windows, and the earliest moment at which one is violated.

mod chains;
mod csync;
mod others;

use std::{collections::BTreeSet, fmt};

use super::{
    counterexample::{self, Counterexample},
    model::{DsSet, KeyRrset, KeySet, NsSet, ProviderId, Seconds, SignedData, Timeline, Value},
    validator::{DigestRule, Fault, Mode, Validator},
    window::{Item, Windows},
};
use crate::clock::UnixTime;

/// A promise that a course of changes keeps at every moment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Invariant {
    /// I0: nobody who could validate the zone at the start finds it insecure.
    Secure,
    /// I1': what a validating cache fetches now fits what it holds. Its violation hits every resolver.
    Resolver,
    /// I1: whatever DS, DNSKEY and data RRsets can be held anywhere at one moment form a chain. A violation of this
    /// alone hits validators behind caches: forwarders, stubs, caches that validate again what they hold.
    Caches,
    /// I2: an NS RRset in a cache leads to a provider that answers, to two where it names two or more.
    Available,
    /// I3: when the parent follows CDS, all providers it may ask have the same, signed by a key that it trusts.
    Cds,
    /// I3 likewise: while CSYNC is shown, and when the parent follows it, all providers it may ask have the same NS RRset.
    Csync,
    /// I4: no held proof of absence for what another provider answers.
    Denial,
    /// I5: the same data and TTLs everywhere.
    Content,
}

impl Invariant {
    /// Those that are a matter of a validator.
    pub const CHAINS: [Self; 3] = [Self::Secure, Self::Resolver, Self::Caches];

    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Secure,
        Self::Resolver,
        Self::Caches,
        Self::Available,
        Self::Cds,
        Self::Csync,
        Self::Denial,
        Self::Content,
    ];
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secure => "I0 (secure)",
            Self::Resolver => "I1' (resolver)",
            Self::Caches => "I1 (caches)",
            Self::Available => "I2 (available)",
            Self::Cds => "I3 (CDS)",
            Self::Csync => "I3 (CSYNC)",
            Self::Denial => "I4 (denial)",
            Self::Content => "I5 (content)",
        })
    }
}

/// What is asked of a timeline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// How much longer than its TTL a cache may hold anything.
    pub margin: Seconds,
    /// The kinds of validator that must not be hurt.
    pub validators: Vec<Validator>,
    /// The invariants that must hold.
    pub invariants: BTreeSet<Invariant>,
}

impl Terms {
    /// Every invariant for every kind of validator.
    pub fn all(margin: Seconds) -> Self {
        Self {
            margin,
            validators: Validator::kinds(),
            invariants: Invariant::ALL.into(),
        }
    }
}

/// What the checker says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// No invariant is ever violated.
    Safe,
    /// The earliest violation.
    Unsafe(Box<Counterexample>),
}

/// Judges a timeline. Pure: the same timeline and terms give the same verdict.
pub fn check(timeline: &Timeline, terms: &Terms) -> Verdict {
    let windows = Windows::of(timeline, terms.margin);
    match earliest(timeline, &windows, terms) {
        None => Verdict::Safe,
        Some(violation) => Verdict::Unsafe(Box::new(counterexample::tell(
            timeline, &windows, terms, &violation,
        ))),
    }
}

/// Whether no invariant is ever violated: the verdict without its story, which takes much longer to tell than to find.
pub fn is_safe(timeline: &Timeline, terms: &Terms) -> bool {
    first_violation(timeline, terms).is_none()
}

/// When the first violation is.
pub fn first_violation(timeline: &Timeline, terms: &Terms) -> Option<UnixTime> {
    let windows = Windows::of(timeline, terms.margin);
    earliest(timeline, &windows, terms).map(|violation| UnixTime(violation.at))
}

/// What is wrong.
#[derive(Clone, Debug)]
pub(super) enum Why {
    /// The DS RRset has nothing that this validator can use.
    Insecure,
    /// A link of the chain fails.
    Link(Fault),
    /// None of the providers that an NS RRset names answers.
    NobodyAnswers,
    /// All but one of the providers that an NS RRset names are down.
    OneLeft(ProviderId),
    /// What the parent finds in a provider's CDS.
    Cds(ProviderId, &'static str),
    /// What the parent finds with a provider's CSYNC.
    Csync(ProviderId, &'static str),
    /// A proof of absence where the other has data.
    Denied,
    /// Two providers differ.
    Differs,
}

/// An invariant that does not hold.
#[derive(Clone, Debug)]
pub(super) struct Violation<'w> {
    pub at: u64,
    pub invariant: Invariant,
    pub validator: Option<&'w Validator>,
    pub why: Why,
    pub ds: Option<&'w Item<'w, DsSet>>,
    pub keys: Option<&'w Item<'w, KeyRrset>>,
    pub data: Vec<&'w Item<'w, SignedData>>,
    pub ns: Option<&'w Item<'w, NsSet>>,
}

impl Violation<'_> {
    fn new(at: u64, invariant: Invariant, why: Why) -> Self {
        Self {
            at,
            invariant,
            validator: None,
            why,
            ds: None,
            keys: None,
            data: Vec::new(),
            ns: None,
        }
    }
}

/// Keeps the earliest violation; of those at one moment, the one whose invariant comes first.
#[derive(Debug, Default)]
struct Earliest<'w>(Option<Violation<'w>>);

impl<'w> Earliest<'w> {
    /// Whether a violation at `at` would be the earliest so far.
    fn wants(&self, at: u64, invariant: Invariant) -> bool {
        self.0
            .as_ref()
            .is_none_or(|best| (at, invariant) < (best.at, best.invariant))
    }

    fn offer(&mut self, violation: Violation<'w>) {
        if self.wants(violation.at, violation.invariant) {
            self.0 = Some(violation);
        }
    }
}

/// The validators without those that cannot differ from an earlier one here: digest rules differ where a DS RRset has
/// records of several digest types, strictness where there are several algorithms.
fn distinct<'w>(timeline: &Timeline, validators: &'w [Validator]) -> Vec<&'w Validator> {
    let served = timeline.initial.iter();
    let changes = timeline.steps.iter().flat_map(|step| &step.changes);
    let mut digest_types = BTreeSet::new();
    let mut keys = KeySet::default();
    for value in served.chain(changes.map(|change| &change.value)) {
        match value {
            Value::Ds(ds) => {
                digest_types.extend(ds.records.iter().map(|record| record.digest_type));
                keys = ds
                    .records
                    .iter()
                    .map(|record| record.key)
                    .chain(keys.iter())
                    .collect();
            }
            Value::Keys(_, rrset) => keys = keys.iter().chain(rrset.keys.iter()).collect(),
            _ => {}
        }
    }
    let algorithms = keys
        .iter()
        .filter_map(|key| timeline.key(key))
        .map(|key| key.algorithm.0);
    let algorithms: BTreeSet<u8> = algorithms.collect();
    let kind = |validator: &Validator| {
        let mode = if algorithms.len() > 1 {
            validator.mode
        } else {
            Mode::Lenient
        };
        let digests = if digest_types.len() > 1 {
            validator.digests
        } else {
            DigestRule::Any
        };
        (mode, digests, validator.support.clone())
    };
    let mut kinds = BTreeSet::new();
    validators
        .iter()
        .filter(|validator| kinds.insert(kind(validator)))
        .collect()
}

pub(super) fn earliest<'w>(
    timeline: &'w Timeline,
    windows: &'w Windows<'w>,
    terms: &'w Terms,
) -> Option<Violation<'w>> {
    let mut found = Earliest::default();
    for validator in distinct(timeline, &terms.validators) {
        for invariant in &terms.invariants {
            match invariant {
                Invariant::Secure => chains::secure(timeline, windows, validator, &mut found),
                Invariant::Resolver => chains::resolver(timeline, windows, validator, &mut found),
                Invariant::Caches => chains::caches(timeline, windows, validator, &mut found),
                _ => {}
            }
        }
    }
    for invariant in &terms.invariants {
        match invariant {
            Invariant::Available => others::available(timeline, windows, &mut found),
            Invariant::Cds => others::cds(timeline, windows, &mut found),
            Invariant::Csync => csync::csync(timeline, &mut found),
            Invariant::Denial => others::denial(timeline, windows, &mut found),
            Invariant::Content => others::content(timeline, windows, &mut found),
            _ => {}
        }
    }
    found.0
}
