//! What resolvers may find bogus though our server does all that it can, because somebody else breaks it, or because a
//! person wants it so. Nothing else is excused, and the safety checker judges all the rest.

use super::{
    chain::{Keys, Time},
    engine::World,
    parties::Part,
    resolver::Failure,
};

/// A provider lost keys of ours that answers are signed with: its DNSKEY RRset without them does not fit these answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    pub provider: usize,
    /// Those of the keys that answers were signed with.
    pub keys: Keys,
    pub from: Time,
    /// When all of its servers had them again.
    pub until: Option<Time>,
}

/// A key was replaced at once, because a person chose that answers are bogus rather than forged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sacrifice {
    /// The old one and the new one.
    pub keys: Keys,
    pub from: Time,
    /// When every server had changed.
    pub until: Option<Time>,
}

impl World {
    /// Whether our server could not prevent a failure.
    pub fn is_excused(&self, failure: &Failure) -> bool {
        failure.broken.is_some()
            && (self.losses.iter().any(|loss| self.is_by_loss(loss, failure))
                || self
                    .sacrifice
                    .is_some_and(|made| self.is_by_choice(&made, failure)))
    }

    /// The DNSKEY RRset is one without the keys, and the data are signed with one of them.
    fn is_by_loss(&self, loss: &Loss, failure: &Failure) -> bool {
        let (Some(dnskeys), Some(data)) = (&failure.dnskeys, &failure.data) else {
            return false;
        };
        self.servers.all[dnskeys.server].party == loss.provider
            && loss.from <= dnskeys.fetched
            && loss.until.is_none_or(|until| dnskeys.fetched <= until)
            && dnskeys.value.keys & loss.keys != loss.keys
            && data.value.signers & loss.keys != 0
    }

    /// What fails is signed with the key that went, or with the one that came.
    fn is_by_choice(&self, made: &Sacrifice, failure: &Failure) -> bool {
        let signers = [
            failure.dnskeys.map_or(0, |dnskeys| dnskeys.value.signers),
            failure.data.map_or(0, |data| data.value.signers),
        ];
        self.now >= made.from
            && made
                .until
                .is_none_or(|until| self.now <= until + self.longest_held())
            && signers.iter().any(|signers| signers & made.keys != 0)
    }

    /// A server of a provider has changed: it may be the last one that has the keys again.
    pub fn mend(&mut self, party: usize) {
        for loss in self.losses.iter_mut().filter(|loss| loss.provider == party) {
            let mut servers = self.servers.of[party].iter();
            let all = servers.all(|server| self.servers.all[*server].dnskeys.keys & loss.keys == loss.keys);
            if all {
                loss.until.get_or_insert(self.now);
            }
        }
    }

    /// A part as it would be if a provider had not lost keys that were needed: so the rest can be judged.
    pub fn unharmed(&self, party: usize, part: Part, first: Time) -> Part {
        let Part::Dnskeys(mut dnskeys) = part else {
            return part;
        };
        for loss in self.losses.iter().filter(|loss| loss.provider == party) {
            let is_then = loss.from <= first && loss.until.is_none_or(|until| first <= until);
            // It loses all: what has some was told since, and has what it is to have.
            if is_then && dnskeys.keys & loss.keys == 0 {
                dnskeys.keys |= loss.keys;
            }
        }
        Part::Dnskeys(dnskeys)
    }

    /// How long after a change was seen everywhere some server may still show what was before, at the most.
    pub fn longest_lag(&self) -> Time {
        let providers = self.providers.iter();
        let lags = providers.map(|provider| provider.lag.max(provider.propagation));
        let above = self.parent.lag.max(self.parent.propagation);
        lags.max().unwrap_or(0).max(above)
    }
}
