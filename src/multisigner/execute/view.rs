//! What every server shows at one time, in the words of the safety checker.

use std::collections::BTreeMap;

use super::super::{
    plan::PlanKey,
    safety::{KeyId, ProviderId, Slot, Value},
};
use super::items::same;
use crate::clock::UnixTime;

/// What one server shows of a slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Shown {
    /// This.
    Value(Value),
    /// It cannot be reached from here: neither seen nor gone.
    Unreachable(String),
    /// It answered, and not with what was asked for.
    Odd(String),
}

/// One look at a server for a slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sight {
    /// The server, for people.
    pub server: String,
    /// When it was asked.
    pub at: UnixTime,
    /// What it showed.
    pub shown: Shown,
}

/// The last look at every server, by slot. A slot that is missing was not looked at.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// By slot, one entry a server.
    pub slots: BTreeMap<Slot, Vec<Sight>>,
    /// Keys that are shown and that the plan does not know, by the ids behind the plan's own.
    pub strangers: Vec<(KeyId, PlanKey)>,
}

impl View {
    /// Whether every server of a value's slot shows it, asked no earlier than `since`. An empty list shows nothing.
    pub fn shows(&self, value: &Value, since: UnixTime) -> bool {
        self.lacking(value, since).is_none()
    }

    /// Whether every server of a slot shows one of its values, asked no earlier than `since`.
    pub fn shows_any<'a>(&self, values: impl Iterator<Item = &'a Value>, since: UnixTime) -> bool {
        let values: Vec<&Value> = values.collect();
        let sights = values.first().and_then(|value| self.slots.get(&value.slot()));
        let is_one = |sight: &Sight| match &sight.shown {
            Shown::Value(shown) => sight.at >= since && values.iter().any(|value| same(shown, value)),
            Shown::Unreachable(_) | Shown::Odd(_) => false,
        };
        sights.is_some_and(|sights| !sights.is_empty() && sights.iter().all(is_one))
    }

    /// A server of a provider that has a key in its DNSKEY RRset.
    pub fn shown_at(&self, provider: ProviderId, key: KeyId) -> Option<&str> {
        let mut sights = self.slots.get(&Slot::Keys(provider)).into_iter().flatten();
        let has_it =
            |shown: &Shown| matches!(shown, Shown::Value(Value::Keys(_, rrset)) if rrset.keys.contains(key));
        let sight = sights.find(|sight| has_it(&sight.shown))?;
        Some(&sight.server)
    }

    /// A server that shows a value.
    pub fn who_shows(&self, value: &Value) -> Option<&str> {
        let mut sights = self.slots.get(&value.slot()).into_iter().flatten();
        let shows = |shown: &Shown| matches!(shown, Shown::Value(shown) if same(shown, value));
        let sight = sights.find(|sight| shows(&sight.shown))?;
        Some(&sight.server)
    }

    /// The first server that does not show a value, in words; none when all do.
    pub fn lacking(&self, value: &Value, since: UnixTime) -> Option<String> {
        let Some(sights) = self.slots.get(&value.slot()).filter(|sights| !sights.is_empty()) else {
            return Some("nobody has been asked yet".to_owned());
        };
        sights.iter().find_map(|sight| match &sight.shown {
            _ if sight.at < since => Some(format!("{} has not been asked since", sight.server)),
            Shown::Value(shown) if same(shown, value) => None,
            Shown::Value(_) => Some(format!("{} does not show it yet", sight.server)),
            Shown::Unreachable(why) => Some(format!("{} cannot be reached from here: {why}", sight.server)),
            Shown::Odd(why) => Some(format!("{}: {why}", sight.server)),
        })
    }
}
