//! What a provider, ours among them, has been told and has decided: its own keys and their states, the keys that it was
//! given, its NS RRset. What its servers show follows from that, each server in its own time.

use super::{
    chain::{Data, Dnskeys, Keys, Members, Ns, Time},
    parties::{Beginning, CLASSES, Cds, Part},
};
use crate::dnssec::{
    keyfile::timing::Claim,
    keyset::{KeyState, Role},
};

/// What the world knows of a key.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub role: Role,
    pub algorithm: u8,
    pub owner: usize,
    /// None while it is still to be made.
    pub dnskey: Option<crate::dnssec::key::Dnskey>,
}

/// How its answers are changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hand {
    Ours,
    Api,
    Person,
}

/// TTLs of what a provider answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ttls {
    pub dnskey: Time,
    pub data: [Time; CLASSES.len()],
    pub ns: Time,
}

/// A signing provider.
#[derive(Clone, Debug)]
pub(super) struct Provider {
    pub name: String,
    pub hand: Hand,
    /// Its own keys.
    pub states: Vec<(usize, Claim)>,
    /// Keys of others that it publishes; ours as far as keys of its own of their algorithm are published.
    pub given: Keys,
    pub members: Members,
    pub serving: bool,
    /// Whether it can be told what its CDS is to be.
    pub shows_cds: bool,
    /// Whether it can be told to show CSYNC.
    pub shows_csync: bool,
    /// The keys that its CDS asks for.
    pub cds: Option<Keys>,
    pub csync: bool,
    pub ttls: Ttls,
    /// The longest time that a server takes to show what is new.
    pub lag: Time,
    /// What is said of it: how long a change takes from its first server to its last one, wherever that is.
    pub propagation: Time,
    /// It rolls a key by itself, and does nothing else that has to do with keys of its own any more.
    pub rolls: bool,
    /// Its own keys that its servers show, and the signers, in place of what follows from the above: told by a plan of ours.
    pub dnskeys_told: Option<(Keys, Keys)>,
    /// The same of its signatures, by class.
    pub signers_told: [Option<Keys>; CLASSES.len()],
}

impl Provider {
    fn in_state(&self, wanted: impl Fn(Claim) -> bool) -> Keys {
        let states = self.states.iter().filter(|(_, claim)| wanted(*claim));
        states.fold(0, |keys, (key, _)| keys | 1 << key)
    }

    /// Its own keys that it publishes.
    pub fn published(&self) -> Keys {
        self.in_state(|claim| matches!(claim, Claim::Published | Claim::Active | Claim::Retired))
    }

    fn with_role(keys: &[Key], among: Keys, role: impl Fn(Role) -> bool) -> Keys {
        let chosen = keys
            .iter()
            .enumerate()
            .filter(|(place, key)| among & 1 << place != 0 && role(key.role));
        chosen.fold(0, |all, (place, _)| all | 1 << place)
    }

    /// Its keys that sign the DNSKEY RRset.
    pub fn key_signers(&self, keys: &[Key]) -> Keys {
        let active = self.in_state(|claim| claim == Claim::Active);
        Self::with_role(keys, active, |role| role != Role::Zsk)
    }

    fn signing(&self) -> Keys {
        self.in_state(|claim| claim.state().is_some_and(KeyState::signs))
    }

    /// Its keys that sign CDS: those that sign the DNSKEY RRset, or would if they were published.
    fn cds_signers(&self, keys: &[Key]) -> Keys {
        let (_, told) = self.dnskeys_told.unzip();
        told.unwrap_or_else(|| Self::with_role(keys, self.signing(), |role| role != Role::Zsk))
    }

    /// Its keys that sign everything else: the ZSKs that sign; without any, the CSKs.
    pub fn data_signers(&self, keys: &[Key]) -> Keys {
        Self::with_role(keys, self.signing(), |role| role != Role::Ksk)
    }

    /// The keys of others that our server publishes: an algorithm comes and goes there as a whole, with ours.
    fn published_of_others(&self, keys: &[Key]) -> Keys {
        if self.hand != Hand::Ours {
            return self.given;
        }
        let published = self.published();
        let own = || (0..keys.len()).filter(|place| published & 1 << place != 0);
        let is_there = |place: &usize| own().any(|own| keys[own].algorithm == keys[*place].algorithm);
        let there = (0..keys.len()).filter(is_there);
        there.fold(0, |all, place| all | self.given & 1 << place)
    }

    pub fn dnskeys(&self, keys: &[Key]) -> Dnskeys {
        let (published, signers) = self
            .dnskeys_told
            .unwrap_or((self.published(), self.key_signers(keys)));
        Dnskeys {
            keys: published | self.published_of_others(keys),
            signers,
            ttl: self.ttls.dnskey,
        }
    }

    pub fn data(&self, keys: &[Key], class: usize) -> Data {
        let signers = self.signers_told[class].unwrap_or_else(|| match CLASSES[class] {
            "CDS" => self.cds_signers(keys),
            _ => self.data_signers(keys),
        });
        Data {
            signers,
            ttl: self.ttls.data[class],
        }
    }

    pub fn ns(&self) -> Ns {
        Ns {
            members: self.members,
            ttl: self.ttls.ns,
        }
    }

    pub fn cds(&self, keys: &[Key]) -> Option<Cds> {
        self.cds.map(|wanted| Cds {
            wanted,
            signers: self.dnskeys(keys).signers,
        })
    }

    /// All that its servers are to show.
    pub fn parts(&self, keys: &[Key]) -> impl Iterator<Item = Part> {
        let fixed = [
            Part::Dnskeys(self.dnskeys(keys)),
            Part::Ns(self.ns()),
            Part::Cds(self.cds(keys)),
            Part::Csync(self.csync),
            Part::Serving(self.serving),
        ];
        let data: [Part; CLASSES.len()] =
            std::array::from_fn(|class| Part::Data(class, self.data(keys, class)));
        fixed.into_iter().chain(data)
    }

    pub fn beginning(&self, keys: &[Key]) -> Beginning {
        Beginning {
            ds: super::chain::Ds::sha256(0, 0),
            ns: self.ns(),
            dnskeys: self.dnskeys(keys),
            serving: self.serving,
            cds: self.cds(keys),
            csync: self.csync,
            data: std::array::from_fn(|class| self.data(keys, class)),
        }
    }
}
