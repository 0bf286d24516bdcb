//! Keys of ours that others were given, and have no more.

use super::{
    super::{
        plan::{Action, Hand},
        safety::{KeySet, ProviderId, Slot, Value},
    },
    run::Run,
    view::{Shown, View},
};

impl Run {
    /// The providers some server of which does not show keys of ours that the plan has given it by its API: not yet, or no
    /// more. What a step has begun to give and was not acted upon is for that step.
    pub fn lacking_ours(&self, view: &View) -> Vec<ProviderId> {
        let given = self.history.courses.iter().filter_map(|(slot, course)| {
            let Slot::Keys(provider) = slot else { return None };
            let by_api = self.plan.situation.member(*provider)?.hand == Hand::Api;
            let expected = course.coming().or_else(|| course.expected());
            let Some(Value::Keys(_, rrset)) = expected else {
                return None;
            };
            let ours = self.ours(rrset.keys);
            let lacks = view.slots.get(slot)?.iter().any(|sight| match &sight.shown {
                Shown::Value(Value::Keys(_, shown)) => !ours.without(shown.keys).is_empty(),
                _ => false,
            });
            let is_for_us = by_api && self.plan.concerns(*provider) && !self.is_to_give(*provider);
            (is_for_us && lacks).then_some(*provider)
        });
        given.collect()
    }

    fn ours(&self, keys: KeySet) -> KeySet {
        let owner = |key| self.plan.situation.key(key).and_then(|key| key.owner);
        keys.iter()
            .filter(|key| owner(*key) == Some(ProviderId::FIRST))
            .collect()
    }

    /// Whether the step that was begun gives a provider keys, and was not acted upon.
    fn is_to_give(&self, to: ProviderId) -> bool {
        let step = self.plan.steps.get(self.done.len());
        let is_begun = self.begun.is_some() && !self.acted;
        is_begun && step.is_some_and(|step| step.action == Action::Give { provider: to })
    }
}
