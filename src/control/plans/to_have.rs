//! Which keys of ours another provider is to have, as far as plans say it: one that is carried out, or one that took this
//! server out of the delegation.

use std::sync::Arc;

use super::{super::server::Server, Known, Plans, elsewhere::Pace, lock, look::look, observe};
use crate::{
    config::ZoneSettings,
    multisigner::{
        exchange::{Because, ToHave},
        execute::Run,
        safety::ProviderId,
    },
    wire::Name,
};

/// Where the parent leads, as far as looks of this process have shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Leads {
    /// No server of the parent has shown it yet.
    #[default]
    Unseen,
    /// Some server of the parent, or of another provider, names ours.
    Here,
    /// No server of the parent names ours, and none of another provider.
    Elsewhere,
}

/// Where a plan took this server out of the delegation, it is seen anew where the parent leads: what another provider is to
/// have hangs on it, and there may be no watch that looks.
pub(in super::super) async fn see_where_the_parent_leads(server: &Arc<Server>, zone: &ZoneSettings) {
    if server.plans.is_out(&zone.origin) {
        observe(server, zone).await;
    }
}

/// Whether resolvers are sent to this server, by a look that is made now; none where that cannot be seen.
pub(in super::super) async fn leads_here(server: &Arc<Server>, zone: &ZoneSettings) -> Option<bool> {
    let seen = look(server, zone, &zone.providers, Pace::Rarely).await;
    seen.inspect_err(|why| tracing::debug!(zone = %zone.origin, "not looked at: {why}"))
        .ok()?
        .leads_here()
}

impl Plans {
    /// The keys of ours that a provider is to have.
    pub(in super::super) fn to_have(&self, zone: &Name, provider: &str) -> ToHave {
        let known = lock(&self.known);
        let Some(known) = known.get(zone) else {
            return ToHave::WhatItHas(Because::JournalUnread);
        };
        let Some(run) = &known.run else {
            return match known.read_again {
                Some(_) => ToHave::WhatItHas(Because::JournalUnread),
                None => ToHave::AllInSet,
            };
        };
        // One of which the plan says nothing is given what comes, as ever.
        match known.concerning(provider) {
            Some((run, place)) => match run.given(place, ProviderId::FIRST) {
                Some(keys) => ToHave::These(keys),
                None => ToHave::AllInSet,
            },
            None if run.is_out() => known.when_out(),
            None => ToHave::AllInSet,
        }
    }

    /// The goal of a plan that is carried out and by which a provider has keys of ours.
    pub(in super::super) fn gives(&self, zone: &Name, provider: &str) -> Option<String> {
        let known = lock(&self.known);
        let (run, place) = known.get(zone)?.concerning(provider)?;
        let gives = run
            .given(place, ProviderId::FIRST)
            .is_some_and(|keys| !keys.is_empty());
        gives.then(|| run.plan.goal())
    }

    /// Whether a plan took this server out of the delegation, and none has brought it back.
    fn is_out(&self, zone: &Name) -> bool {
        let known = lock(&self.known);
        let run = known.get(zone).and_then(|known| known.run.as_ref());
        run.is_some_and(Run::is_out)
    }

    /// Keeps where the parent leads.
    pub(super) fn leads(&self, zone: &Name, leads: Leads) {
        if let Some(known) = lock(&self.known).get_mut(zone) {
            let is_out = known.run.as_ref().is_some_and(Run::is_out);
            if leads == Leads::Here && known.leads != Leads::Here && is_out {
                tracing::warn!(%zone, "the parent leads to servers of ours, which a plan had taken out: other providers are to have our keys again; \"join\" is the plan for that");
            }
            known.leads = leads;
        }
    }
}

impl Known {
    /// The run that is not over, where it says something of a provider.
    fn concerning(&self, provider: &str) -> Option<(&Run, ProviderId)> {
        let run = self.run.as_ref().filter(|_| self.is_active())?;
        let mut members = run.plan.situation.members.iter();
        let place = members.position(|member| member.name == provider)?;
        let place = ProviderId::at(place).ok()?;
        run.plan.concerns(place).then_some((run, place))
    }

    fn when_out(&self) -> ToHave {
        match self.leads {
            Leads::Here => ToHave::AllInSet,
            Leads::Elsewhere => ToHave::NoneOfThem,
            Leads::Unseen => ToHave::WhatItHas(Because::ParentUnseen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::UnixTime,
        multisigner::{
            execute::{Entry, Event, tests::roll},
            plan::Kind,
        },
    };

    /// A plan by which this server left, which has reached its goal.
    fn left() -> Run {
        let mut plan = roll();
        plan.kind = Kind::Leave {
            provider: ProviderId::FIRST,
        };
        plan.steps.clear();
        let at = UnixTime(1_800_000_000);
        let mut run = Run::adopt(plan, None, at).unwrap();
        let event = Event::Finished;
        run.apply(&Entry { at, event }).unwrap();
        run
    }

    /// A provider of the plan, and one that came after it.
    fn to_have(plans: &Plans, zone: &Name) -> [ToHave; 2] {
        ["them", "others"].map(|provider| plans.to_have(zone, provider))
    }

    #[test]
    fn who_has_left_takes_nothing_away_before_it_is_seen_that_nobody_is_sent_here() {
        let (plans, zone) = (Plans::default(), Name::root());
        let unread = ToHave::WhatItHas(Because::JournalUnread);
        assert_eq!(to_have(&plans, &zone), [unread.clone(), unread]);
        plans.leads(&zone, Leads::Elsewhere);
        plans.change(&zone, |known| known.run = None);
        assert_eq!(to_have(&plans, &zone), [ToHave::AllInSet, ToHave::AllInSet]);

        plans.change(&zone, |known| known.run = Some(left()));
        let unseen = ToHave::WhatItHas(Because::ParentUnseen);
        assert_eq!(to_have(&plans, &zone), [unseen.clone(), unseen]);
        plans.leads(&zone, Leads::Here);
        assert_eq!(to_have(&plans, &zone), [ToHave::AllInSet, ToHave::AllInSet]);
        plans.leads(&zone, Leads::Elsewhere);
        assert_eq!(to_have(&plans, &zone), [ToHave::NoneOfThem, ToHave::NoneOfThem]);
        assert_eq!(plans.gives(&zone, "them"), None);

        let going = Run::adopt(roll(), None, UnixTime(1_800_000_000)).unwrap();
        let keys = going.plan.situation.keys[..2].iter();
        let keys = keys.filter_map(|key| key.dnskey.clone()).collect();
        plans.change(&zone, |known| {
            let before = known.run.take();
            known.run = Some(going.after(before.as_ref()));
        });
        assert_eq!(to_have(&plans, &zone), [ToHave::These(keys), ToHave::NoneOfThem]);
        assert!(plans.gives(&zone, "them").is_some());
        assert_eq!(plans.gives(&zone, "others"), None);
    }
}
