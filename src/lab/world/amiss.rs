//! What goes wrong, and what another provider does by itself. A provider that rolls its keys does so as it should: it
//! waits for every server, its own and ours, and for caches. Whoever does not breaks the zone alone, and no plan of ours
//! could help.

use super::{
    chain::{Keys, Time},
    engine::{Amiss, Deed, Roll, World},
    parties::{CLASSES, Part, Sight},
    provider::Key,
};
use crate::dnssec::{key::Dnskey, keyfile::timing::Claim, keyset::Role};

/// No TTL is larger (RFC 8767 §4), in seconds.
const LARGEST_TTL: Time = 604_800;
/// How often a provider looks whether all servers show its key, and gives up after how many looks.
const ROLL_PAUSE: Time = 7_200;

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
            Amiss::Grow { party, times } => self.grow(party, times),
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

    fn roll_on(&mut self, delay: Time, provider: usize, part: Roll) {
        self.later(delay, Deed::Amiss(Amiss::Roll { provider, part }));
    }

    fn roll(&mut self, provider: usize, part: Roll) {
        let name = self.providers[provider].name.clone();
        match part {
            Roll::Publish => {
                let active = self.providers[provider]
                    .states
                    .iter()
                    .find(|(key, claim)| *claim == Claim::Active && self.keys[*key].role == Role::Zsk);
                let Some((old, _)) = active.copied() else { return };
                // One change at a time: it does what a plan asked it for, or this.
                let busy = self.providers[provider].dnskeys_told.is_some()
                    || self.providers[provider].signers_told.iter().any(Option::is_some);
                if busy {
                    return;
                }
                self.providers[provider].rolls = true;
                let new = self.keys.len();
                self.keys_made += 1;
                let algorithm = self.keys[old].algorithm;
                self.algorithms.add(new, algorithm);
                self.keys.push(Key {
                    role: Role::Zsk,
                    algorithm,
                    owner: provider,
                    dnskey: Some(super::driver::dnskey(&self.keys_made, Role::Zsk, algorithm)),
                });
                self.turn(new, Claim::Published);
                self.publish(provider);
                self.story.tell(self.now, || {
                    format!("{name} rolls its ZSK by itself: the new one is published")
                });
                self.roll_on(ROLL_PAUSE, provider, Roll::Published { old, new });
            }
            Roll::Published { old, new } => {
                let shows = |keys: Keys| keys & 1 << new != 0;
                let everywhere = self.servers.all.iter().all(|server| {
                    server.party == self.servers.parent() || !server.serving || shows(server.dnskeys.keys)
                });
                if everywhere {
                    let wait = self.longest(true);
                    self.roll_on(wait, provider, Roll::Switch { old, new });
                } else if self.pending > 0 {
                    // Where nothing is on its way any more, the provider waits for ever.
                    self.roll_on(ROLL_PAUSE, provider, part);
                }
            }
            Roll::Switch { old, new } => {
                self.turn(old, Claim::Retired);
                self.turn(new, Claim::Active);
                self.publish(provider);
                self.story
                    .tell(self.now, || format!("{name} signs with its new ZSK"));
                self.roll_on(ROLL_PAUSE, provider, Roll::Switched { old });
            }
            Roll::Switched { old } => {
                let signs = |server: &super::parties::Server| {
                    server.party == provider && server.data.iter().any(|data| data.signers & 1 << old != 0)
                };
                if !self.servers.all.iter().any(signs) {
                    let wait = self.longest(false);
                    self.roll_on(wait, provider, Roll::Remove { old });
                } else if self.pending > 0 {
                    self.roll_on(ROLL_PAUSE, provider, part);
                }
            }
            Roll::Remove { old } => {
                self.turn(old, Claim::Gone);
                self.publish(provider);
                self.story
                    .tell(self.now, || format!("{name} removes its old ZSK"));
            }
        }
    }

    /// How long caches may hold a DNSKEY RRset, or data, whoever gave it.
    fn longest(&self, dnskeys: bool) -> Time {
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
        let name = who.name.clone();
        self.story.tell(self.now, || {
            format!("{name} drops keys of ours that nothing is signed with")
        });
        let parts: Vec<Part> = self.providers[provider].parts(&self.keys).collect();
        self.show_at_once(provider, &parts);
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
