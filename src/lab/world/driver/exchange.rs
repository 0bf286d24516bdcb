//! The exchange of keys, which goes on beside any plan, and what another provider did by itself, which ours follows.

use super::{
    super::{
        chain::{Keys, Time},
        engine::World,
        parties::Sight,
        view,
    },
    Driver, Standing,
    act::give_by_api,
};
use crate::{
    clock::UnixTime,
    dnssec::keyfile::timing::Claim,
    multisigner::{
        plan::{self, Kind as PlanKind, Plan},
        safety::ProviderId,
    },
};

/// How long after a provider was told something it is told again, when that led to nothing, and how often.
const GIVE_AGAIN: Time = 21_600;
const MOST_GIVEN: u64 = 8;
/// How long after a roll could not be followed yet it is tried again.
const FOLLOW_AGAIN: Time = 21_600;

impl Driver {
    /// A provider has rolled: what it has no more goes here too, by the plan that begins by itself.
    pub(super) fn follow(&mut self, world: &mut World) {
        for provider in 1..world.providers.len() {
            let servers = || world.servers.all.iter().filter(|server| server.party == provider);
            let seen = servers().all(|server| server.sight != Sight::Blind && server.serving);
            let shown = servers()
                .filter(|server| server.sight == Sight::Seen)
                .fold(0, |keys, server| {
                    let signing = server.data.iter().fold(0, |keys, data| keys | data.signers);
                    keys | server.dnskeys.keys | signing
                });
            let published = world.servers.newest_dnskeys(0).keys;
            let gone = published & world.owned_by(provider) & !shown;
            if !seen || gone == 0 {
                continue;
            }
            let gone = (0..world.keys.len()).filter(|key| gone & 1 << key != 0);
            let kind = PlanKind::Follow {
                provider: view::provider_id(provider),
                gone: gone.map(|key| (view::key_id(key), self.last_seen[key])).collect(),
            };
            let plan = plan::build(&kind, &view::situation(world, world.margin));
            match plan.map_err(|error| error.to_string()) {
                Ok(plan) if is_unsafe(&plan).is_some() => {
                    world.story.tell(world.now, || {
                        "the other provider has rolled; it is followed when no cache holds what it was"
                            .to_owned()
                    });
                    self.look_again(world, FOLLOW_AGAIN);
                }
                Ok(plan) => {
                    world.story.tell(world.now, || {
                        "the other provider has rolled, and we follow".to_owned()
                    });
                    return self.adopt(world, plan, None);
                }
                Err(error) => world
                    .story
                    .tell(world.now, || format!("it cannot be followed yet: {error}")),
            }
        }
    }

    /// The exchange of keys, which goes on beside any plan: a key of another provider is published as soon as one server
    /// shows it, and what a provider has lost of ours it is given again.
    pub(super) fn exchange(&mut self, world: &mut World, now: UnixTime) {
        let ours = world.owned_by(0);
        let mut shown: Keys = 0;
        let mut signing: Keys = 0;
        for server in &world.servers.all {
            if server.party == 0 || server.party == world.parent_party() {
                continue;
            }
            if server.sight == Sight::Seen && server.serving {
                shown |= server.dnskeys.keys & !ours;
                signing |= server.data.iter().fold(0, |keys, data| keys | data.signers);
            }
        }
        self.last_seen.resize(world.keys.len(), now);
        for (key, last_seen) in self.last_seen.iter_mut().enumerate() {
            if (shown | signing) & 1 << key != 0 {
                *last_seen = now;
            }
        }
        self.withdrawn &= shown;
        let new = shown & !world.providers[0].given & !self.withdrawn & acceptable(world);
        if new != 0 {
            world.story.tell(world.now, || {
                "keys of the other provider are new, and published here at once".to_owned()
            });
            world.providers[0].given |= new;
            world.publish(0);
        }
    }

    /// The keys of ours that a provider is to have: while a plan runs, exactly what it says.
    pub fn to_have(&self, world: &World, provider: usize) -> Keys {
        let planned = self.run.as_ref().filter(|_| self.standing == Standing::Running);
        let planned = planned.and_then(|run| run.given(view::provider_id(provider), ProviderId::FIRST));
        planned.map_or(world.servers.newest_dnskeys(0).keys, |planned| {
            let keys = world.keys.iter().enumerate();
            let wanted = keys.filter(|(_, key)| key.dnskey.as_ref().is_some_and(|key| planned.contains(key)));
            wanted.fold(0, |keys, (place, _)| keys | 1 << place)
        })
    }

    /// What a provider has lost of ours it is given again, as long as that helps.
    pub(super) fn give_again(&mut self, world: &mut World) {
        for provider in 1..world.providers.len() {
            let Some((given, at)) = world.last_given[provider] else {
                continue;
            };
            let given = given & self.to_have(world, provider);
            let lost = given & !world.providers[provider].given != 0;
            if !lost || self.given_again >= MOST_GIVEN {
                continue;
            }
            if world.now < at + GIVE_AGAIN {
                self.look_again(world, at + GIVE_AGAIN - world.now);
                continue;
            }
            world.story.tell(world.now, || {
                "the other provider does not have our keys, and is given them again".to_owned()
            });
            self.given_again += 1;
            if !give_by_api(world, provider, given) {
                self.look_again(world, GIVE_AGAIN);
            }
        }
    }
}

/// The keys of the algorithms that we have keys of. Another algorithm takes a plan.
fn acceptable(world: &World) -> Keys {
    let own = world.providers[0].states.iter();
    let own = own.filter(|(_, claim)| *claim != Claim::Gone);
    let known: Vec<u8> = own.map(|(key, _)| world.keys[*key].algorithm).collect();
    (0..world.keys.len())
        .filter(|place| known.contains(&world.keys[*place].algorithm))
        .fold(0, |keys, key| keys | 1 << key)
}

/// Why a plan is not begun without a person's force: it would hurt somebody, or everybody is hurt already.
pub(in super::super) fn is_unsafe(plan: &Plan) -> Option<String> {
    let judged = plan.judge().ok()?;
    if judged.iter().all(|judgement| !judgement.starts_safe) {
        return Some("resolvers may find answers bogus as things are".to_owned());
    }
    let harm = judged.iter().find_map(|judgement| judgement.harm());
    harm.map(ToString::to_string)
}
