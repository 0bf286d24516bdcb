//! The faults that can be asked for by name.

use super::{
    chain::Time,
    engine::{Amiss, Deed, Roll, World},
    parties::Sight,
};

/// A fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// One server takes what is new much later than the others.
    SlowServer,
    /// One server never shows what is new.
    ServerNeverShows,
    /// The provider's API fails for a while.
    ApiDown,
    /// The provider's API says yes, and nothing happens.
    ApiSaysYes,
    /// The provider rolls its ZSK while our plan runs.
    ProviderRolls,
    /// The provider loses keys of ours that nothing is signed with yet.
    ProviderDrops,
    /// The provider loses all keys of ours, those that answers are signed with among them.
    ProviderLoses,
    /// The DS records of the providers have different digest types.
    DigestsDiffer,
    /// A person gives the plan up midway.
    GivenUp,
    /// A TTL of the provider's or of the parent's grows.
    TtlGrows,
    /// Servers of the provider or of the parent that cannot be seen take longer from some time on, and a person says so.
    PropagationRaised,
    /// The parent's servers take long, each in its own time.
    ParentLags,
    /// The parent, or the person at the registrar, never acts.
    ParentNeverActs,
    /// Our server is killed again and again, at any point between journal and action.
    Restart,
    /// Our clock jumps ahead.
    ClockForward,
    /// Our clock jumps back.
    ClockBack,
    /// A server cannot be reached from where ours stands.
    VantageBlind,
}

/// Every fault, by its name, with what it is.
pub const FAULTS: [(&str, Fault, &str); 17] = [
    (
        "slow-server",
        Fault::SlowServer,
        "one server takes what is new hours or days after the others",
    ),
    (
        "server-never-shows",
        Fault::ServerNeverShows,
        "one server never shows what is new",
    ),
    (
        "api-down",
        Fault::ApiDown,
        "the other provider's API fails for hours or days",
    ),
    (
        "api-says-yes",
        Fault::ApiSaysYes,
        "its API says yes, and nothing happens",
    ),
    (
        "provider-rolls-by-itself",
        Fault::ProviderRolls,
        "it rolls its ZSK while our plan runs",
    ),
    (
        "provider-drops-our-key",
        Fault::ProviderDrops,
        "it loses keys of ours that nothing is signed with yet",
    ),
    (
        "provider-loses-our-keys",
        Fault::ProviderLoses,
        "it loses all keys of ours, those that answers are signed with among them, so that some are bogus for a while",
    ),
    (
        "digest-types-differ",
        Fault::DigestsDiffer,
        "the DS records of the providers have different digest types from the start",
    ),
    (
        "given-up-midway",
        Fault::GivenUp,
        "a person gives the plan up, and what it did is taken back",
    ),
    (
        "ttl-grows",
        Fault::TtlGrows,
        "a TTL of the provider's or of the parent's grows",
    ),
    (
        "propagation-raised",
        Fault::PropagationRaised,
        "what cannot be seen of the other provider or of the parent takes hours from some time on, and a person raises its propagation",
    ),
    (
        "parent-lags",
        Fault::ParentLags,
        "the parent's servers take long, each in its own time",
    ),
    (
        "parent-never-acts",
        Fault::ParentNeverActs,
        "the parent, or the person at the registrar, never acts",
    ),
    (
        "restart-anywhere",
        Fault::Restart,
        "our server is killed at any point between journal and action",
    ),
    (
        "clock-jumps-forward",
        Fault::ClockForward,
        "our clock jumps ahead by hours or weeks",
    ),
    (
        "clock-jumps-back",
        Fault::ClockBack,
        "our clock jumps back by hours or weeks",
    ),
    (
        "vantage-blind",
        Fault::VantageBlind,
        "a server cannot be reached from where ours stands",
    ),
];

/// The fault of a name.
pub fn by_name(name: &str) -> Option<Fault> {
    let found = FAULTS.iter().find(|(known, ..)| *known == name);
    found.map(|(_, fault, _)| *fault)
}

/// The name of a fault.
pub fn name(fault: Fault) -> &'static str {
    let found = FAULTS.iter().find(|(_, known, _)| *known == fault);
    found.map_or("", |(name, ..)| name)
}

const HOUR: Time = 3_600;
const DAY: Time = 24 * HOUR;

impl World {
    /// A server that can be seen, of the other providers or of the parent.
    fn some_seen(&mut self, with_parent: bool) -> usize {
        let others = self.servers.all.iter().enumerate().filter(|(_, server)| {
            server.party != 0
                && server.sight == Sight::Seen
                && (with_parent || server.party != self.servers.parent())
        });
        let others: Vec<usize> = others.map(|(place, _)| place).collect();
        self.random.pick(&others)
    }

    /// Lets a fault loose, at once or later.
    pub fn let_loose(&mut self, fault: Fault) {
        match fault {
            Fault::SlowServer => {
                let server = self.some_seen(true);
                self.servers.all[server].late = self.random.between(HOUR, 2 * DAY);
            }
            Fault::ServerNeverShows => {
                let server = self.some_seen(false);
                let at = self.random.below(self.span);
                self.later(at, Deed::Amiss(Amiss::Stick { server }));
            }
            Fault::ApiDown => {
                let from = self.random.below(self.span);
                let to = from + self.random.between(HOUR, 3 * DAY);
                self.later(from, Deed::Amiss(Amiss::Api { down: true }));
                self.later(to, Deed::Amiss(Amiss::Api { down: false }));
            }
            Fault::ApiSaysYes => self.api.says_yes = self.random.pick(&[1, 2, u64::MAX]),
            Fault::ProviderRolls => {
                let at = self.random.below(self.span);
                let provider = 1;
                let part = Roll::Publish;
                self.later(at, Deed::Amiss(Amiss::Roll { provider, part }));
            }
            Fault::ProviderDrops => {
                for _ in 0..2 {
                    let at = self.random.below(self.span);
                    self.later(at, Deed::Amiss(Amiss::Drop { provider: 1 }));
                }
            }
            Fault::ProviderLoses => {
                let at = self.random.below(self.span);
                self.later(at, Deed::Amiss(Amiss::Lose { provider: 1 }));
            }
            // So it is from the start.
            Fault::DigestsDiffer => {}
            Fault::GivenUp => {
                let at = self.random.below(self.span);
                if self.parent.follows_cds && self.given_up_when_read {
                    return;
                }
                self.later(at, Deed::GiveUp);
            }
            Fault::TtlGrows => {
                let at = self.random.below(self.span);
                let party = if self.random.one_in(4) {
                    self.parent_party()
                } else {
                    1
                };
                let times = self.random.between(2, 24);
                self.later(at, Deed::Amiss(Amiss::Grow { party, times }));
            }
            Fault::PropagationRaised => {
                let at = self.random.below(self.span);
                let party = if self.random.one_in(4) {
                    self.parent_party()
                } else {
                    1
                };
                let to = self.random.between(HOUR, 12 * HOUR);
                self.later(at, Deed::Amiss(Amiss::Slow { party, to }));
            }
            Fault::ParentLags => {
                self.parent.pace *= 3;
                for server in self.servers.of[self.parent_party()].clone() {
                    if self.servers.all[server].sight == Sight::Seen {
                        self.servers.all[server].late = self.random.below(DAY);
                    }
                }
            }
            Fault::ParentNeverActs => self.parent.never_acts = true,
            Fault::Restart => {
                for _ in 0..6 {
                    let at = self.random.below(self.span);
                    self.later(at, Deed::Amiss(Amiss::Kill));
                }
            }
            Fault::ClockForward => self.clock_jumps(1),
            Fault::ClockBack => self.clock_jumps(-1),
            Fault::VantageBlind => {
                let server = self.some_seen(true);
                let from = self.random.below(self.span);
                self.later(from, Deed::Amiss(Amiss::Blind { server, blind: true }));
                if !self.random.one_in(3) {
                    let to = from + self.random.between(HOUR, 3 * DAY);
                    self.later(to, Deed::Amiss(Amiss::Blind { server, blind: false }));
                }
            }
        }
    }

    fn clock_jumps(&mut self, way: i64) {
        let from = self.random.below(self.span);
        let hours = self.random.pick(&[2, 10, 100, 1_000]) as i64;
        let skew = way * hours * HOUR as i64;
        self.later(from, Deed::Amiss(Amiss::Clock { skew }));
        if !self.random.one_in(4) {
            let to = from + self.random.between(HOUR, 2 * DAY);
            self.later(to, Deed::Amiss(Amiss::Clock { skew: 0 }));
        }
    }
}
