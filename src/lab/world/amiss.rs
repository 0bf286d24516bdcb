//! What goes wrong.

use super::{
    chain::{Keys, Time},
    engine::{Amiss, Deed, World},
    harm::Loss,
    parties::{CLASSES, Part, Sight},
    provider::Hand,
};
use crate::dnssec::{key::Dnskey, keyfile::timing::Claim};

/// No TTL is larger (RFC 8767 §4), in seconds.
const LARGEST_TTL: Time = 604_800;
/// The longest time until a person finds out what was lost, in seconds.
const DAY: Time = 86_400;

impl World {
    /// One of a provider's keys passes into another state.
    pub fn turn(&mut self, key: usize, claim: Claim) {
        let owner = self.keys[key].owner;
        let states = &mut self.providers[owner].states;
        match states.iter_mut().find(|(known, _)| *known == key) {
            Some((_, state)) => *state = claim,
            None => states.push((key, claim)),
        }
    }

    /// The key at a place, made if need be.
    pub fn make(&mut self, place: usize) -> Dnskey {
        let key = &mut self.keys[place];
        if key.dnskey.is_none() {
            self.keys_made += 1;
        }
        let (number, role, algorithm) = (self.keys_made, key.role, key.algorithm);
        key.dnskey
            .get_or_insert_with(|| super::driver::dnskey(&number, role, algorithm))
            .clone()
    }

    /// It happens.
    pub fn go_amiss(&mut self, amiss: Amiss) {
        match amiss {
            Amiss::Roll { provider, part } => self.roll(provider, part),
            Amiss::Drop { provider } => self.drop_keys(provider),
            Amiss::Lose { provider } => self.lose_keys(provider),
            Amiss::Restore { provider, keys } => self.restore(provider, keys),
            Amiss::Grow { party, times } => self.grow(party, times),
            Amiss::Slow { party, to } => {
                let is_parent = party == self.parent_party();
                let propagation = match is_parent {
                    true => &mut self.parent.propagation,
                    false => &mut self.providers[party].propagation,
                };
                *propagation = to.max(*propagation);
                self.changed = true;
                let whose = if is_parent {
                    "the parent"
                } else {
                    "the other provider"
                };
                self.story.tell(self.now, || {
                    format!("servers of {whose} that cannot be seen take up to {to} s from now on")
                });
            }
            Amiss::Stick { server } => {
                self.servers.all[server].stuck = true;
                let name = self.servers.all[server].name.clone();
                self.story
                    .tell(self.now, || format!("{name} takes nothing new from now on"));
            }
            Amiss::Blind { server, blind } => {
                self.servers.all[server].sight = if blind { Sight::Blind } else { Sight::Seen };
                self.changed = true;
                let name = self.servers.all[server].name.clone();
                let how = if blind {
                    "cannot be reached from here any more"
                } else {
                    "is reached again"
                };
                self.story.tell(self.now, || format!("{name} {how}"));
            }
            Amiss::Api { down } => {
                self.api.down = down;
                self.changed = true;
                let how = if down { "fails from now on" } else { "works again" };
                self.story.tell(self.now, || format!("the API {how}"));
            }
            Amiss::Clock { skew } => {
                self.skew = skew;
                self.changed = true;
                self.story.tell(self.now, || match skew {
                    0 => "our clock is right again".to_owned(),
                    _ => format!("our clock jumps by {skew} s"),
                });
            }
            // The driver's matter.
            Amiss::Kill => {}
        }
    }

    /// How long caches may hold a DNSKEY RRset, or data, whoever gave it.
    pub(super) fn longest(&self, dnskeys: bool) -> Time {
        let ttls = self.providers.iter().map(|provider| match dnskeys {
            true => provider.ttls.dnskey,
            false => provider.ttls.data.iter().copied().max().unwrap_or(0),
        });
        ttls.max().unwrap_or(0) + self.margin + 1
    }

    /// The keys of ours that caches may hold signatures of, or that sign now.
    fn needed(&self) -> Keys {
        let within = self.longest(false) + self.longest(true);
        let recent = |last: Time| last + within >= self.now;
        let mut asked = self.delegating;
        for party in 0..self.servers.of.len() {
            for versions in self.servers.served(party, self.now) {
                asked |= versions.iter().any(|version| match version.part {
                    Part::Ns(ns) => ns.members & 1 != 0 && recent(version.last + ns.ttl),
                    _ => false,
                });
            }
        }
        if !asked {
            return 0;
        }
        let data = self.servers.served(0, self.now).flatten();
        data.filter(|version| recent(version.last))
            .fold(0, |keys, version| match version.part {
                Part::Data(_, data) => keys | data.signers,
                _ => keys,
            })
    }

    fn drop_keys(&mut self, provider: usize) {
        let ours = self.owned_by(0);
        let needed = self.needed();
        let who = &mut self.providers[provider];
        let kept = who.given & (!ours | needed);
        if kept == who.given {
            return;
        }
        who.given = kept;
        self.lost = true;
        let name = self.providers[provider].name.clone();
        self.story.tell(self.now, || {
            format!("{name} drops keys of ours that nothing is signed with")
        });
        let parts: Vec<Part> = self.providers[provider].parts(&self.keys).collect();
        self.show_at_once(provider, &parts);
    }

    fn lose_keys(&mut self, provider: usize) {
        let lost = self.providers[provider].given & self.owned_by(0);
        let keys = lost & self.needed();
        if lost == 0 {
            return;
        }
        self.providers[provider].given &= !lost;
        self.lost = true;
        if keys != 0 {
            self.losses.push(Loss {
                provider,
                keys,
                from: self.now,
                until: None,
            });
        }
        let name = self.providers[provider].name.clone();
        self.story
            .tell(self.now, || format!("{name} loses all keys of ours"));
        let parts: Vec<Part> = self.providers[provider].parts(&self.keys).collect();
        self.show_at_once(provider, &parts);
        // Where there is no API a person finds out.
        if self.providers[provider].hand == Hand::Person {
            let delay = self.random.between(1, DAY);
            let amiss = Amiss::Restore { provider, keys: lost };
            self.later(delay, Deed::Amiss(amiss));
        }
    }

    fn restore(&mut self, provider: usize, lost: Keys) {
        let published = self.servers.newest_dnskeys(0).keys;
        self.providers[provider].given |= lost & published;
        self.story.tell(self.now, || {
            "a person pastes the keys that were lost at the other provider".to_owned()
        });
        self.publish(provider);
    }

    fn grow(&mut self, party: usize, times: Time) {
        let more = |ttl: &mut Time| *ttl = (*ttl * times).min(LARGEST_TTL).max(*ttl);
        let what = if party == self.parent_party() {
            more(&mut self.parent.ds.ttl);
            self.publish_parent();
            "the parent's DS TTL"
        } else {
            let what = self.random.below(3);
            let ttls = &mut self.providers[party].ttls;
            let what = match what {
                0 => {
                    let class = self.random.below(CLASSES.len() as u64) as usize;
                    more(&mut ttls.data[class]);
                    "a TTL of the other provider's data"
                }
                1 if times.is_multiple_of(3) => {
                    more(&mut ttls.ns);
                    "the other provider's NS TTL"
                }
                _ => {
                    more(&mut ttls.dnskey);
                    "the other provider's DNSKEY TTL"
                }
            };
            self.publish(party);
            what
        };
        self.story
            .tell(self.now, || format!("{what} grows to {times} times what it was"));
    }
}
