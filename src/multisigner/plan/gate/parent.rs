//! What has to pass before a parent reads, or has read, CDS and CSYNC: it takes what it finds, and must find the same
//! everywhere (RFC 9975 §3).

use std::collections::BTreeSet;

use super::{Gate, Lag, Since, Wait};
use crate::multisigner::safety::{NsSet, ProviderId, Seconds, Slot, Value};

impl Gate<'_> {
    /// The waits before a value that a parent finds, or has found.
    pub(super) fn parent(&self, value: &Value, waits: &mut Vec<Wait>) {
        match value {
            // In the second in which the parent follows them it still finds what it follows.
            Value::Cds(..) => self.since_ended(waits, |value| {
                let why = "the parent follows the CDS of before until its new DS RRset is seen";
                matches!(value, Value::Ds(_)).then(|| (Vec::new(), why.to_owned()))
            }),
            Value::Csync(_, shown) => {
                self.since_ended(waits, |value| {
                    let why = "the parent follows the CSYNC of before until its new NS RRset is seen";
                    matches!(value, Value::ParentNs(_)).then(|| (Vec::new(), why.to_owned()))
                });
                if shown.is_some() {
                    self.parent_may_take(waits);
                }
            }
            Value::Ds(ds) if ds.from_cds => self.since_ended(waits, |value| match value {
                Value::Cds(provider, _) => Some(self.still(*provider, value, "the CDS of before")),
                _ => None,
            }),
            Value::ParentNs(ns) => {
                self.parent_has_followed(waits);
                if ns.from_csync {
                    self.parent_takes(ns, waits);
                }
            }
            Value::ChildNs(..) => self.since_ended(waits, |value| match value {
                Value::Csync(provider, Some(_)) => Some(self.still(*provider, value, "CSYNC")),
                _ => None,
            }),
            _ => {}
        }
    }

    /// Every NS RRset that it may find is the one that it is to take.
    fn parent_may_take(&self, waits: &mut Vec<Wait>) {
        let versions = self.history.versions();
        let asked: BTreeSet<ProviderId> = versions.flat_map(|version| named(&version.value)).collect();
        self.since_ended(waits, |value| match value {
            Value::ChildNs(provider, held) if asked.contains(provider) => {
                let now = self.history.now(&value.slot());
                let differs = !matches!(now, Some(Value::ChildNs(_, now)) if now.members == held.members);
                differs.then(|| self.still(*provider, value, "the NS RRset of before"))
            }
            _ => None,
        });
    }

    /// What it has read in CSYNC that is past it has done, or does not do any more: on the way back the NS RRset of before
    /// is no evidence until then.
    fn parent_has_followed(&self, waits: &mut Vec<Wait>) {
        self.since_ended(waits, |value| match value {
            Value::Csync(provider, Some(_)) => {
                let child = self.situation.lag(&value.slot());
                let parent = self.situation.parent.propagation;
                let why = format!(
                    "the parent may have read the CSYNC of before at {} until {child} s from then, and take {parent} s to follow it",
                    self.situation.name(*provider)
                );
                Some((vec![Lag::of(&value.slot()), Lag::Parent], why))
            }
            _ => None,
        });
    }

    /// Everybody whom it asks shows CSYNC.
    fn parent_takes(&self, ns: &NsSet, waits: &mut Vec<Wait>) {
        let now = self.history.now(&Slot::ParentNs).map(named).unwrap_or_default();
        self.since_ended(waits, |value| match value {
            Value::Csync(provider, _) => Some(self.still(*provider, value, "the CSYNC of before")),
            // Who is asked because of it shows none.
            Value::ParentNs(held) if held.members != ns.members && !held.members.is_subset(&now) => {
                let seconds = self.situation.lag(&Slot::ParentNs);
                let why = format!("a server of the parent may still name others ({seconds} s)");
                Some((vec![Lag::Parent], why))
            }
            _ => None,
        });
    }

    /// Until when a provider's last server may show a value that has ended, and why that counts.
    fn still(&self, provider: ProviderId, value: &Value, what: &str) -> (Vec<Lag>, String) {
        let seconds = self.situation.lag(&value.slot());
        let name = self.situation.name(provider);
        let why = format!("a server of {name} may still show {what} to the parent ({seconds} s)");
        (vec![Lag::of(&value.slot())], why)
    }

    /// A wait of these lags from the end of each value that counts.
    fn since_ended(&self, waits: &mut Vec<Wait>, counts: impl Fn(&Value) -> Option<(Vec<Lag>, String)>) {
        for version in self.history.versions() {
            let ended: Option<Since> = version.ended();
            if let (Some(since), Some((lags, why))) = (ended, counts(&version.value)) {
                let seconds = lags.iter().map(|lag| self.situation.reckoned(*lag));
                let seconds = seconds.fold(0, Seconds::saturating_add);
                let lags = Some(lags);
                waits.push(Wait {
                    since,
                    seconds,
                    why,
                    lags,
                });
            }
        }
    }
}

/// The providers that the parent asks because of a value.
fn named(value: &Value) -> BTreeSet<ProviderId> {
    match value {
        Value::ParentNs(ns) => ns.members.clone(),
        _ => BTreeSet::new(),
    }
}
