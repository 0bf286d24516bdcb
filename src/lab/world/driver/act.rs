//! What our server does in the world, and whom it asks to do something.

use super::{
    super::{
        chain::{Keys, Time},
        engine::{Deed, World},
        parties::Part,
        provider::Hand,
        view,
    },
    Driver,
};
use crate::{
    clock::UnixTime,
    dnssec::keyfile::timing::Claim,
    multisigner::{
        execute::Event,
        plan::{Action, Actor},
        safety::Value,
    },
};

impl Driver {
    /// Does a step's action. `false`: it could not be done now.
    pub(super) fn act(&mut self, world: &mut World, step: usize, now: UnixTime) -> bool {
        let Some(todo) = self
            .run
            .as_ref()
            .and_then(|run| run.plan.steps.get(step))
            .cloned()
        else {
            return false;
        };
        let done = match &todo.action {
            Action::Make { keys } => {
                for key in keys {
                    let dnskey = world.make(key.place());
                    world.turn(key.place(), Claim::Held);
                    self.journal(world, now, Event::Made { key: *key, dnskey });
                }
                true
            }
            Action::Turn { keys } => {
                for (key, claim) in keys {
                    world.turn(key.place(), *claim);
                }
                world.publish(0);
                true
            }
            Action::Withdraw { keys } => {
                for key in keys {
                    world.providers[0].given &= !(1 << key.place());
                    self.withdrawn |= 1 << key.place();
                }
                world.publish(0);
                true
            }
            Action::Give { provider } => {
                let keys = given(&todo.changes, provider.place()) & world.owned_by(0);
                self.give(world, step, provider.place(), keys)
            }
            _ if self.asked.contains(&step) => true,
            _ => {
                self.asked.push(step);
                // People do what is shown to them then.
                let changes = self.run.as_ref().map(|run| run.changes(step)).unwrap_or_default();
                self.ask_others(world, step, &todo.action, &todo.by, &changes);
                true
            }
        };
        if done {
            // Killed right after the deed, before it knows of it.
            if !self.may_die(world)
                && let Some(run) = &mut self.run
            {
                run.acted();
            }
        }
        done
    }

    fn give(&mut self, world: &mut World, step: usize, provider: usize, keys: Keys) -> bool {
        if world.providers[provider].hand == Hand::Api {
            let is_given = give_by_api(world, provider, keys);
            if is_given {
                self.handed_in.push((self.adopted, step));
            }
            return is_given;
        }
        if !self.asked.contains(&step) {
            self.asked.push(step);
            let delay = world.random.below(self.habits.person + 1);
            self.ask_for(world, delay, step, Deed::Given { provider, keys });
            self.ask_for(world, delay + 1, step, Deed::Reported { step });
        }
        true
    }

    /// What others have to do is done in their own time.
    fn ask_others(&mut self, world: &mut World, step: usize, action: &Action, by: &Actor, changes: &[Value]) {
        world.delegating |= matches!(action, Action::ParentNs { .. } | Action::ChildNs { .. });
        let by_parent = matches!(by, Actor::Parent);
        let delay = world.random.below(self.habits.person + 1);
        let deed = match action {
            Action::Cds { wanted } => {
                let wanted = wanted.iter().fold(0, |keys, key| keys | 1 << key.place());
                world.providers[0].cds = (wanted != 0).then_some(wanted);
                world.publish(0);
                // The parent may come at any time, so also before others show the same.
                return world.scan_later();
            }
            Action::Csync { shown } => {
                world.providers[0].csync = shown.is_some();
                world.publish(0);
                return world.scan_later();
            }
            Action::ParentNs { .. } | Action::Ds { .. } if by_parent => {
                // All show the same now: it looks anew.
                world.scans = 0;
                return world.scan_later();
            }
            Action::Ds { .. } | Action::ParentNs { .. } if self.habits.registrar_never => return,
            Action::Ds { .. } => match view::ds(changes) {
                Some(ds) => Deed::Ds { ds },
                None => return,
            },
            Action::ParentNs { members } => Deed::ParentNs {
                members: view::members_of(members.iter().copied()),
            },
            Action::ChildNs { provider, members } => Deed::ChildNs {
                provider: provider.place(),
                members: view::members_of(members.iter().copied()),
            },
            Action::Stop { provider } => Deed::Stop {
                provider: provider.place(),
            },
            Action::Theirs { provider, .. } => Deed::Theirs {
                provider: provider.place(),
                parts: theirs(changes, provider.place()),
            },
            Action::Make { .. }
            | Action::Turn { .. }
            | Action::Withdraw { .. }
            | Action::Give { .. }
            | Action::Await => return,
            Action::HandedIn { .. } => {
                // Who has handed it in says nothing.
                if self.given_up_at.is_some_and(|at| !self.handed_in.contains(&at)) {
                    self.ask_for(world, delay, step, Deed::Reported { step });
                }
                return;
            }
        };
        self.ask_for(world, delay, step, deed);
        self.ask_for(world, delay + 1, step, Deed::Reported { step });
    }

    /// Somebody is asked to do something, and does it unless the plan is given up before.
    fn ask_for(&self, world: &mut World, delay: Time, step: usize, deed: Deed) {
        let (plan, deed) = (self.adopted, Box::new(deed));
        world.later(delay, Deed::Asked { plan, step, deed });
    }
}

/// A provider is told through its API; whether that said yes.
pub(super) fn give_by_api(world: &mut World, provider: usize, keys: Keys) -> bool {
    if world.api.down {
        world.story.tell(world.now, || "the API answers 503".to_owned());
        return false;
    }
    world.last_given[provider] = Some((keys, world.now));
    if world.api.says_yes > 0 {
        world.api.says_yes -= 1;
        world
            .story
            .tell(world.now, || "the API says yes, and does nothing".to_owned());
        return true;
    }
    world.do_deed(&Deed::Given { provider, keys });
    true
}

/// The keys in the DNSKEY RRset that a provider is to show.
fn given(changes: &[Value], provider: usize) -> Keys {
    let rrset = changes.iter().find_map(|value| match value {
        Value::Keys(whose, keys) if whose.place() == provider => Some(view::keys_of(keys.keys)),
        _ => None,
    });
    rrset.unwrap_or(0)
}

fn theirs(changes: &[Value], provider: usize) -> Vec<Part> {
    let whose = |value: &&Value| match value {
        Value::Keys(whose, _)
        | Value::Data(whose, ..)
        | Value::ChildNs(whose, _)
        | Value::Serving(whose, _)
        | Value::Cds(whose, _)
        | Value::Csync(whose, _) => whose.place() == provider,
        Value::Ds(_) | Value::ParentNs(_) => false,
    };
    changes.iter().filter(whose).filter_map(view::part).collect()
}
