//! The keys of a zone at the simulated NS1: its own, those that other providers gave it, and what each server shows
//! of them after its delay.
//!
//! NS1 has a KSK and a ZSK of algorithm 13 for each network, and rolls neither by itself; what rolls here was set with
//! a knob.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use crate::dnssec::{
    algorithm::SigningAlgorithm,
    key::{Dnskey, KeyError, SEP, SigningKey, ZONE},
    keyset::{KeyState, Member, Origin},
};

/// NS1's algorithm.
const ALGORITHM: SigningAlgorithm = SigningAlgorithm::EcdsaP256Sha256;
/// How many past states are kept for servers that lag behind. When there are more, the oldest that a server could
/// show is skipped.
const MAX_MOMENTS: usize = 64;

/// A key of NS1's own.
#[derive(Clone, Debug)]
pub struct OwnKey {
    /// Both halves.
    pub key: Arc<SigningKey>,
    /// The network it signs in.
    pub network: u32,
    /// Whether it signs.
    pub active: bool,
}

/// An external key set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExternalSet {
    /// The TTL that came with it. NS1 publishes the RRset with its own.
    pub ttl: u32,
    /// The keys.
    pub keys: Vec<Dnskey>,
}

/// The keys as they were from some moment on.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Counts the changes, in all zones.
    pub version: u64,
    /// From when on, in steady time.
    pub since: Duration,
    /// NS1's own.
    pub own: Vec<OwnKey>,
    /// Those of others.
    pub external: Vec<Dnskey>,
}

/// A part of a roll that is still to come.
#[derive(Clone, Debug)]
enum Step {
    /// This key signs in place of those.
    Switch { to: Dnskey, from: Vec<Dnskey> },
    /// These keys go.
    Remove(Vec<Dnskey>),
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct ZoneKeys {
    /// Whether the zone is signed.
    pub enabled: bool,
    own: Vec<OwnKey>,
    /// The external key sets by name.
    pub external: BTreeMap<String, ExternalSet>,
    moments: VecDeque<Moment>,
    steps: Vec<(Duration, Step)>,
}

impl ZoneKeys {
    /// Switches DNSSEC on or off; keys are made when there are none yet. Gives whether that changed anything.
    ///
    /// # Errors
    /// When a key cannot be made.
    pub fn enable(&mut self, on: bool, single_csk: bool) -> Result<bool, KeyError> {
        let changed = self.enabled != on;
        if on && self.own.is_empty() {
            self.own = make_keys(0, single_csk)?;
        }
        self.enabled = on;
        if !on {
            self.steps.clear();
        }
        Ok(changed)
    }

    /// Gives the zone keys of the second network, or takes them away.
    ///
    /// # Errors
    /// When a key cannot be made.
    pub fn join_second_network(&mut self, on: bool) -> Result<bool, KeyError> {
        let has = self.own.iter().any(|key| key.network == 1);
        if self.own.is_empty() || has == on {
            return Ok(false);
        }
        if on {
            self.own.extend(make_keys(1, false)?);
        } else {
            self.own.retain(|key| key.network != 1);
        }
        Ok(true)
    }

    /// Begins the roll of a role in network 0: published now, signing after `step`, the old one gone after `step`
    /// again.
    ///
    /// # Errors
    /// When a key cannot be made.
    pub fn roll(&mut self, sep: bool, step: Duration, now: Duration) -> Result<bool, KeyError> {
        let in_role = |key: &&OwnKey| key.network == 0 && key.key.dnskey().is_sep() == sep;
        let from: Vec<Dnskey> = self.own.iter().filter(in_role).map(public).collect();
        if !self.enabled || from.is_empty() {
            return Ok(false);
        }
        let key = Arc::new(SigningKey::generate(ALGORITHM, flags(sep))?);
        let to = key.dnskey().clone();
        self.own.push(OwnKey {
            key,
            network: 0,
            active: false,
        });
        let removed = from.clone();
        self.steps.push((now + step, Step::Switch { to, from }));
        self.steps.push((now + 2 * step, Step::Remove(removed)));
        self.advance(now);
        Ok(true)
    }

    /// Does what is due of the rolls.
    pub fn advance(&mut self, now: Duration) -> bool {
        let due: Vec<(Duration, Step)> = self.steps.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, step) in &due {
            match step {
                Step::Switch { to, from } => {
                    for key in &mut self.own {
                        key.active |= key.key.dnskey() == to;
                        key.active &= !from.contains(key.key.dnskey());
                    }
                }
                Step::Remove(gone) => self.own.retain(|key| !gone.contains(key.key.dnskey())),
            }
        }
        !due.is_empty()
    }

    /// When something is to happen after `now` that nobody asks for: a step of a roll, or a change that reaches a
    /// server with one of these delays.
    pub fn next_due(&self, delays: &[Duration], now: Duration) -> Option<Duration> {
        let steps = self.steps.iter().map(|(at, _)| *at);
        let arrivals = self
            .moments
            .iter()
            .flat_map(|moment| delays.iter().map(|delay| moment.since + *delay));
        steps.chain(arrivals.filter(|at| *at > now)).min()
    }

    /// NS1's own keys.
    pub fn own(&self) -> Vec<Dnskey> {
        self.own.iter().map(public).collect()
    }

    /// The keys that others gave, each once.
    pub fn all_external(&self) -> Vec<Dnskey> {
        let mut keys: Vec<Dnskey> = self.external.values().flat_map(|set| set.keys.clone()).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// Everything that the DNSKEY record holds.
    pub fn published(&self) -> Vec<Dnskey> {
        let mut keys = self.own();
        let external = self.all_external();
        keys.extend(
            external
                .into_iter()
                .filter(|key| !self.own.iter().any(|own| own.key.dnskey() == key)),
        );
        keys
    }

    /// Notes that the keys are as they are now.
    pub fn note(&mut self, version: u64, since: Duration) {
        if self.moments.len() == MAX_MOMENTS {
            // The very oldest stays, for the servers that never move on.
            self.moments.remove(1);
        }
        self.moments.push_back(Moment {
            version,
            since,
            own: self.own.clone(),
            external: self.all_external(),
        });
    }

    /// Forgets the past: what servers show begins now with NS1's own keys. Those of others, where there are any
    /// already, take their time from now on.
    pub fn begin_history(&mut self, version: u64, since: Duration) {
        self.moments.clear();
        self.moments.push_back(Moment {
            version,
            since,
            own: self.own.clone(),
            external: Vec::new(),
        });
    }

    /// What a server shows that is behind by `delay`; `None`: by more than anything lasts.
    pub fn shown(&self, delay: Option<Duration>, now: Duration) -> Option<&Moment> {
        let arrived = |moment: &&Moment| delay.is_some_and(|delay| moment.since + delay <= now);
        self.moments.iter().rev().find(arrived).or(self.moments.front())
    }
}

impl Moment {
    /// The members of the key set of a server in `network`; its own network's keys sign.
    pub fn members(&self, network: u32, external: bool) -> Vec<Member> {
        let network = if self.own.iter().any(|key| key.network == network) {
            network
        } else {
            0
        };
        let own = self.own.iter().map(|own| Member {
            dnskey: own.key.dnskey().clone(),
            origin: Origin::Own,
            state: if own.active && own.network == network {
                KeyState::Active
            } else {
                KeyState::Published
            },
            signer: Some(Arc::clone(&own.key)),
        });
        let others = self.external.iter().filter(|_| external).map(|dnskey| Member {
            dnskey: dnskey.clone(),
            origin: Origin::Provider {
                sources: vec!["external".into()],
            },
            state: KeyState::Seen,
            signer: None,
        });
        own.chain(others).collect()
    }
}

fn public(own: &OwnKey) -> Dnskey {
    own.key.dnskey().clone()
}

fn flags(sep: bool) -> u16 {
    if sep { ZONE | SEP } else { ZONE }
}

fn make_keys(network: u32, single_csk: bool) -> Result<Vec<OwnKey>, KeyError> {
    let roles: &[bool] = if single_csk { &[true] } else { &[true, false] };
    let make = |&sep: &bool| {
        Ok(OwnKey {
            key: Arc::new(SigningKey::generate(ALGORITHM, flags(sep))?),
            network,
            active: true,
        })
    };
    roles.iter().map(make).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dnssec::keyset::{KeySet, Publishing},
        wire::NameRef,
    };

    const STEP: Duration = Duration::from_secs(10);

    fn signers(keys: &ZoneKeys, network: u32) -> (Vec<u16>, Vec<u16>) {
        let moment = keys.shown(Some(Duration::ZERO), Duration::MAX).unwrap();
        let set = KeySet::assemble(
            NameRef::ROOT,
            moment.members(network, true),
            Publishing::default(),
            None,
        )
        .unwrap();
        let tags = |keys: &[Arc<SigningKey>]| keys.iter().map(|key| key.key_tag()).collect();
        (tags(set.key_signers()), tags(set.data_signers()))
    }

    fn enabled() -> ZoneKeys {
        let mut keys = ZoneKeys::default();
        assert!(keys.enable(true, false).unwrap());
        assert!(!keys.enable(true, false).unwrap());
        keys.begin_history(1, Duration::ZERO);
        keys
    }

    #[test]
    fn keys_stay_when_dnssec_is_switched_off_and_on() {
        let mut keys = enabled();
        let own = keys.own();
        assert_eq!(own.iter().map(Dnskey::flags).collect::<Vec<_>>(), [257, 256]);
        keys.enable(false, false).unwrap();
        keys.enable(true, true).unwrap();
        assert_eq!(keys.own(), own);
    }

    #[test]
    fn a_roll_publishes_signs_and_removes() {
        let mut keys = enabled();
        let [ksk, old] = keys.own().try_into().unwrap();
        keys.roll(false, STEP, STEP).unwrap();
        keys.note(2, STEP);
        let new = keys.own().pop().unwrap();
        assert_eq!(signers(&keys, 0), (vec![ksk.key_tag()], vec![old.key_tag()]));
        assert!(!keys.advance(STEP) && keys.advance(2 * STEP));
        keys.note(3, 2 * STEP);
        assert_eq!(signers(&keys, 0), (vec![ksk.key_tag()], vec![new.key_tag()]));
        assert_eq!(keys.own().len(), 3);
        assert!(keys.advance(3 * STEP));
        assert_eq!(keys.own(), [ksk, new]);
    }

    #[test]
    fn a_csk_signs_everything_and_a_second_network_signs_with_its_own() {
        let mut keys = ZoneKeys::default();
        keys.enable(true, true).unwrap();
        keys.begin_history(1, Duration::ZERO);
        let [csk] = keys.own().try_into().unwrap();
        assert_eq!(signers(&keys, 1), (vec![csk.key_tag()], vec![csk.key_tag()]));
        assert!(keys.join_second_network(true).unwrap());
        keys.note(2, Duration::ZERO);
        let own = keys.own();
        assert_eq!(own.len(), 3);
        assert_eq!(signers(&keys, 0), (vec![csk.key_tag()], vec![csk.key_tag()]));
        assert_eq!(
            signers(&keys, 1),
            (vec![own[1].key_tag()], vec![own[2].key_tag()])
        );
    }

    #[test]
    fn a_server_shows_what_has_reached_it() {
        let mut keys = enabled();
        for (version, at) in [(2, 10), (3, 20)] {
            keys.note(version, Duration::from_secs(at));
        }
        let shown = |delay: Option<u64>, now| {
            let moment = keys.shown(delay.map(Duration::from_secs), Duration::from_secs(now));
            moment.unwrap().version
        };
        assert_eq!(shown(Some(0), 20), 3);
        assert_eq!(shown(Some(5), 20), 2);
        assert_eq!(shown(Some(5), 25), 3);
        assert_eq!(
            shown(Some(100), 25),
            1,
            "nothing has; the first is there all the same"
        );
        assert_eq!(shown(None, 1_000_000), 1);
        for version in 4..200 {
            keys.note(version, Duration::from_secs(version));
        }
        assert_eq!(keys.moments.len(), MAX_MOMENTS);
        assert_eq!(keys.shown(None, Duration::MAX).unwrap().version, 1);
    }
}
