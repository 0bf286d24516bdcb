//! What another provider does by itself: it rolls a key, as it should. It waits for every server, its own and ours and
//! the parent's, and for caches. Whoever does not breaks the zone alone, and no plan of ours could help.

use super::{
    chain::{Keys, Time},
    engine::{Amiss, Deed, Roll, World},
    parties::Server,
    provider::Key,
};
use crate::dnssec::{keyfile::timing::Claim, keyset::Role};

/// How often a provider looks whether all servers show its key.
const ROLL_PAUSE: Time = 7_200;

impl World {
    /// The next part of a provider's roll.
    pub fn roll(&mut self, provider: usize, part: Roll) {
        let goes_on = match part {
            Roll::Publish => self.new_key(provider, Role::Zsk, Claim::Published),
            Roll::PublishKsk => self.new_key(provider, Role::Ksk, Claim::Active),
            Roll::Published { old, new } => self.everywhere(part, old, new),
            Roll::Point { old, new } => self.point(provider, old, new),
            Roll::Pointed { old, new } => self.pointed(part, old, new),
            Roll::Switch { old, new } => {
                self.turn(old, Claim::Retired);
                self.turn(new, Claim::Active);
                self.publish(provider);
                self.tell_of(provider, "signs with its new ZSK");
                Some((ROLL_PAUSE, Roll::Switched { old }))
            }
            Roll::Switched { old } => self.switched(provider, part, old),
            Roll::Remove { old } => {
                self.turn(old, Claim::Gone);
                self.publish(provider);
                let role = self.keys[old].role;
                self.tell_of(provider, &format!("removes its old {role}"));
                None
            }
        };
        if let Some((delay, part)) = goes_on {
            self.later(delay, Deed::Amiss(Amiss::Roll { provider, part }));
        }
    }

    fn tell_of(&mut self, provider: usize, what: &str) {
        let name = self.providers[provider].name.clone();
        self.story.tell(self.now, || format!("{name} {what}"));
    }

    /// Looks again later; where nothing is on its way any more, the provider waits for ever.
    fn look_at_roll_again(&self, part: Roll) -> Option<(Time, Roll)> {
        (self.pending > 0).then_some((ROLL_PAUSE, part))
    }

    fn new_key(&mut self, provider: usize, role: Role, claim: Claim) -> Option<(Time, Roll)> {
        let who = &self.providers[provider];
        let mut states = who.states.iter();
        let (old, _) =
            *states.find(|(key, claim)| *claim == Claim::Active && self.keys[*key].role == role)?;
        // One change at a time: it does what a plan asked it for, or this.
        if who.dnskeys_told.is_some() || who.signers_told.iter().any(Option::is_some) {
            return None;
        }
        self.providers[provider].rolls = true;
        let new = self.keys.len();
        self.keys_made += 1;
        let algorithm = self.keys[old].algorithm;
        self.algorithms.add(new, algorithm);
        self.keys.push(Key {
            role,
            algorithm,
            owner: provider,
            dnskey: Some(super::driver::dnskey(&self.keys_made, role, algorithm)),
        });
        self.turn(new, claim);
        self.publish(provider);
        self.tell_of(
            provider,
            &format!("rolls its {role} by itself: the new one is published"),
        );
        Some((ROLL_PAUSE, Roll::Published { old, new }))
    }

    /// Whether every server shows the new key, ours too.
    fn everywhere(&self, part: Roll, old: usize, new: usize) -> Option<(Time, Roll)> {
        let shows = |keys: Keys| keys & 1 << new != 0;
        let everywhere = self.servers.all.iter().all(|server| {
            server.party == self.servers.parent() || !server.serving || shows(server.dnskeys.keys)
        });
        if !everywhere {
            return self.look_at_roll_again(part);
        }
        Some(match self.keys[new].role {
            Role::Zsk => (self.longest(true), Roll::Switch { old, new }),
            _ => (ROLL_PAUSE, Roll::Point { old, new }),
        })
    }

    /// Its people have the registrar add what points to the new KSK, of every digest type that points to the old one.
    fn point(&mut self, provider: usize, old: usize, new: usize) -> Option<(Time, Roll)> {
        if self.parent.never_acts {
            return None;
        }
        for keys in &mut self.parent.ds.by_digest {
            *keys |= (*keys >> old & 1) << new;
        }
        self.publish_parent();
        self.tell_of(provider, "has the DS of its new KSK added at the registrar");
        Some((ROLL_PAUSE, Roll::Pointed { old, new }))
    }

    fn pointed(&self, part: Roll, old: usize, new: usize) -> Option<(Time, Roll)> {
        let parent = self.servers.parent();
        let has = |keys: Keys, key: usize| keys & 1 << key != 0;
        // Data that the old KSK still signs alone somewhere, such as CDS, count as much as the DS RRset.
        let ready = self.servers.all.iter().all(|server| match server.party {
            party if party == parent => has(server.ds.keys(), new),
            _ => server
                .data
                .iter()
                .all(|data| !has(data.signers, old) || has(data.signers, new)),
        });
        if !ready {
            return self.look_at_roll_again(part);
        }
        // What the old KSK signed alone, its DNSKEY RRset and CDS, may be held as long as a DS RRset without the new one.
        let ds = self.parent.ds.ttl + self.margin + 1;
        let wait = self.longest(true).max(self.longest(false)).max(ds);
        Some((wait, Roll::Remove { old }))
    }

    /// Whether no server signs with the old key any more.
    fn switched(&self, provider: usize, part: Roll, old: usize) -> Option<(Time, Roll)> {
        let signs = |server: &Server| {
            server.party == provider && server.data.iter().any(|data| data.signers & 1 << old != 0)
        };
        if self.servers.all.iter().any(signs) {
            return self.look_at_roll_again(part);
        }
        Some((self.longest(false), Roll::Remove { old }))
    }
}
