//! Steps that point NS RRsets to providers: a provider's own, and the parent's, by CSYNC where that can work.
//!
//! ```text
//! own NS RRsets ─lag─► CSYNC at everybody whom the parent asks ─lag─► the parent's NS RRset ─► CSYNC goes
//! ```
//!
//! CSYNC names no NS RRset: the parent takes the one that it finds, when it comes. So all of them are what they shall be
//! before the first CSYNC can be seen, and they change only when the last one cannot be seen any more.

use std::collections::BTreeSet;

use super::{
    super::safety::{Csync, NsSet, ProviderId, Slot, Value},
    Action, Actor, Hand, OwnNs, Plan, Unplannable,
    draft::{Draft, Move, US},
    paste,
};
use crate::wire::Name;

impl Plan {
    /// Whether every name that the plan, or its way back, writes into an NS RRset is known.
    ///
    /// # Errors
    /// Whose is not, and which setting says it.
    pub fn has_names(&self) -> Result<(), Unplannable> {
        let changes = self.steps.iter().flat_map(|step| &step.changes);
        let of_ns = changes.filter(|value| matches!(value, Value::ParentNs(_) | Value::ChildNs(..)));
        let before = of_ns
            .clone()
            .filter_map(|value| self.situation.value(&value.slot()));
        for value in of_ns.clone().chain(before) {
            let (Value::ParentNs(ns) | Value::ChildNs(_, ns)) = value else {
                continue;
            };
            for provider in &ns.members {
                let member = self.situation.member(*provider);
                if member.is_some_and(|member| !member.servers.is_empty()) {
                    continue;
                }
                let name = self.situation.name(*provider).to_owned();
                return Err(match *provider {
                    US => Unplannable::NamelessHere,
                    _ => Unplannable::Nameless { provider: name },
                });
            }
        }
        Ok(())
    }

    /// The servers of a provider, or of this server where none is named, are called so now; without names, as before.
    pub fn rename_servers(&mut self, provider: Option<&str>, names: &[Name]) {
        let mut members = self.situation.members.iter_mut();
        let member = match provider {
            None => members.next(),
            Some(provider) => members.skip(1).find(|member| member.name == provider),
        };
        if let Some(member) = member.filter(|_| !names.is_empty()) {
            member.servers = names.to_vec();
        }
    }
}

impl Draft<'_> {
    /// A provider's own NS RRset names exactly these; ours with it, where that is ours too.
    pub fn point_child_ns_to(
        &mut self,
        provider: ProviderId,
        members: &BTreeSet<ProviderId>,
        back: &str,
    ) -> Result<(), Unplannable> {
        let own = self.situation.member(US).map(|member| member.own_ns.clone());
        let own = own.unwrap_or_default();
        // Ours changes by itself then, whenever it is fetched.
        let (provider, with_it) = match own {
            OwnNs::Follows(source) if provider == US || provider == source => (source, Some(US)),
            _ => (provider, None),
        };
        let now = self.child_ns(provider)?;
        let mut changes = Vec::new();
        for whose in [provider].into_iter().chain(with_it) {
            let now = self.child_ns(whose)?;
            if now.members != *members {
                // A parent that finds it would take what is on its way.
                self.take_back_csync()?;
            }
            let members = members.clone();
            changes.push(Value::ChildNs(whose, NsSet { members, ..now }));
        }
        let name = self.situation.name(provider);
        let paste = || paste::ns(self.situation, members, now.ttl);
        let by = match (self.situation.hand(provider)?, own) {
            (Hand::Ours, OwnNs::Person(place)) => Actor::Person {
                place,
                paste: paste(),
            },
            (Hand::Ours, OwnNs::Follows(_)) => Actor::We,
            (Hand::Api, _) => Actor::Api { provider },
            (Hand::Person, _) => Actor::Person {
                place: format!("at {name}"),
                paste: paste(),
            },
        };
        let follows = match with_it {
            Some(us) => format!(", and with it that of {}", self.situation.name(us)),
            None => String::new(),
        };
        let named = self.situation.names(members);
        self.step(Move {
            what: format!("the NS RRset of {name} names {named}{follows}"),
            action: Action::ChildNs {
                provider,
                members: members.iter().copied().collect(),
            },
            by,
            changes,
            back: back.to_owned(),
        });
        Ok(())
    }

    /// The parent's NS RRset names exactly these: by CSYNC where that can work, by a person otherwise.
    pub fn point_parent_ns_to(
        &mut self,
        members: &BTreeSet<ProviderId>,
        back: &str,
    ) -> Result<(), Unplannable> {
        let now = self.parent_ns()?;
        if now.members == *members {
            return Ok(());
        }
        let from_csync = self.can_use_csync(&now, members)?;
        let ns = NsSet {
            members: members.clone(),
            ttl: now.ttl,
            from_csync,
        };
        let by = if from_csync {
            self.publish_csync(&now, &ns, back)?;
            Actor::Parent
        } else {
            // What is left of an earlier change would have the parent undo what the person does.
            self.take_back_csync()?;
            Actor::Person {
                place: "at the registrar".to_owned(),
                paste: paste::ns(self.situation, members, now.ttl),
            }
        };
        self.step(Move {
            what: format!(
                "the NS RRset of the parent names {}",
                self.situation.names(members)
            ),
            action: Action::ParentNs {
                members: members.iter().copied().collect(),
            },
            by,
            changes: vec![Value::ParentNs(ns)],
            back: back.to_owned(),
        });
        self.take_back_csync()
    }

    /// A parent that reads CSYNC takes what every provider of its delegation shows alike (RFC 9975 §3), and what it can
    /// validate (RFC 7477 §3).
    fn can_use_csync(&self, now: &NsSet, wanted: &BTreeSet<ProviderId>) -> Result<bool, Unplannable> {
        if !self.situation.parent.reads_csync || self.anchors()?.is_empty() {
            return Ok(false);
        }
        for provider in &now.members {
            let member = self.situation.member(*provider);
            let shows = member.is_some_and(|member| member.shows_csync);
            if !shows || self.child_ns(*provider)?.members != *wanted {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A parent may read CSYNC as soon as it is there: what has to pass before its NS RRset changes has to pass before.
    fn publish_csync(&mut self, now: &NsSet, ns: &NsSet, back: &str) -> Result<(), Unplannable> {
        let csync = Some(Csync {
            addresses: self.may_lie_in_the_zone(&ns.members),
        });
        // Whether it finds the same everywhere is a matter of the step that is its own.
        let then = Value::ParentNs(NsSet {
            from_csync: false,
            ..ns.clone()
        });
        for provider in &now.members {
            let name = self.situation.name(*provider);
            let what = format!("CSYNC of {name} has the parent take the NS RRset");
            let (action, by) = self.change_csync(*provider, csync, &what)?;
            let step = Move {
                what,
                action,
                by,
                changes: vec![Value::Csync(*provider, csync)],
                back: back.to_owned(),
            };
            self.step_towards(step, &then);
        }
        Ok(())
    }

    /// Whether some server of these may have a name in the zone, whose address the parent needs; those that nobody knows
    /// may.
    fn may_lie_in_the_zone(&self, members: &BTreeSet<ProviderId>) -> bool {
        let zone = self.situation.zone.as_ref();
        members.iter().any(|member| {
            let member = self.situation.member(*member);
            member.is_none_or(|member| {
                let mut servers = member.servers.iter();
                member.servers.is_empty() || servers.any(|name| name.as_ref().is_at_or_below(zone))
            })
        })
    }

    /// Who makes a provider publish this CSYNC, or none, and how.
    fn change_csync(
        &self,
        provider: ProviderId,
        csync: Option<Csync>,
        what: &str,
    ) -> Result<(Action, Actor), Unplannable> {
        let by = match self.situation.hand(provider)? {
            Hand::Ours => return Ok((Action::Csync { shown: csync }, Actor::We)),
            Hand::Api => Actor::Api { provider },
            Hand::Person => Actor::Person {
                place: format!("at {}", self.situation.name(provider)),
                paste: match csync {
                    Some(csync) => vec![paste::csync(self.situation, csync, self.child_ns(provider)?.ttl)],
                    None => Vec::new(),
                },
            },
        };
        let what = what.to_owned();
        Ok((Action::Theirs { provider, what }, by))
    }

    /// CSYNC goes again: the parent has done what it asks for, and must not do it again when NS RRsets are on their way.
    pub fn take_back_csync(&mut self) -> Result<(), Unplannable> {
        if !self.situation.parent.reads_csync {
            return Ok(());
        }
        // Also of one that the parent asks no more.
        for provider in self.situation.provider_ids()? {
            let member = self.situation.member(provider);
            let shown = self.value(&Slot::Csync(provider));
            let is_ours_to_change = member.is_some_and(|member| member.shows_csync);
            if !is_ours_to_change || !matches!(shown, Some(Value::Csync(_, Some(_)))) {
                continue;
            }
            let what = format!("CSYNC of {} goes", self.situation.name(provider));
            let (action, by) = self.change_csync(provider, None, &what)?;
            self.step(Move {
                what,
                action,
                by,
                changes: vec![Value::Csync(provider, None)],
                back: "nothing depends on it; the next change of the parent's NS RRset publishes it anew"
                    .to_owned(),
            });
        }
        Ok(())
    }
}
