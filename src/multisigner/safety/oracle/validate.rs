//! A chain judged algorithm by algorithm.

use super::super::{
    DigestRule, DsSet, KeyId, KeyRrset, KeySet, KeyUse, Mode, SignedData, Support, Timeline, Validator,
};

/// What a validator says of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Opinion {
    Insecure,
    Bogus,
    Secure,
}

const ALGORITHMS: std::ops::RangeInclusive<u8> = 1..=16;

/// A validator with the keys it looks up.
pub(super) struct Judge<'a> {
    pub timeline: &'a Timeline,
    pub validator: &'a Validator,
}

impl Judge<'_> {
    fn knows(&self, algorithm: u8) -> bool {
        match &self.validator.support {
            Support::All => true,
            Support::Only(list) => list.contains(&algorithm),
        }
    }

    fn algorithm(&self, key: KeyId) -> u8 {
        self.timeline.keys[usize::from(key.0)].algorithm.0
    }

    /// Whether one of `keys` in this algorithm passes `test`, of those that may be used.
    fn some(&self, algorithm: u8, keys: KeySet, test: impl Fn(KeyId) -> bool) -> bool {
        (0..self.timeline.keys.len() as u8).map(KeyId).any(|key| {
            let usable = self.timeline.keys[usize::from(key.0)].usage != KeyUse::None;
            usable && self.algorithm(key) == algorithm && keys.contains(key) && test(key)
        })
    }

    fn counts(&self, ds: &DsSet, key: KeyId) -> bool {
        let all = || {
            let known = |digest: u8| digest == 1 || digest == 2 || digest == 4;
            ds.records
                .iter()
                .filter(move |record| known(record.digest_type) && self.knows(self.algorithm(record.key)))
        };
        all().any(|record| {
            let mine = record.key == key;
            mine && match self.validator.digests {
                DigestRule::Any => true,
                DigestRule::HighestOnly => !all().any(|other| other.digest_type > record.digest_type),
                DigestRule::IgnoreSha1 => record.digest_type > 1 || all().all(|other| other.digest_type == 1),
            }
        })
    }

    /// Whether the DS RRset has a record that counts for a key of this algorithm, whatever that key is worth.
    fn demands(&self, ds: &DsSet, algorithm: u8) -> bool {
        ds.records
            .iter()
            .any(|record| self.algorithm(record.key) == algorithm && self.counts(ds, record.key))
    }

    /// DS and DNSKEY.
    pub fn keys(&self, ds: &DsSet, keys: &KeyRrset) -> Opinion {
        if !ALGORITHMS
            .into_iter()
            .any(|algorithm| self.demands(ds, algorithm))
        {
            return Opinion::Insecure;
        }
        let signs = |algorithm| self.some(algorithm, keys.keys, |key| keys.signers.contains(key));
        let entry = |algorithm| {
            self.knows(algorithm)
                && self.some(algorithm, keys.keys, |key| {
                    keys.signers.contains(key) && self.counts(ds, key)
                })
        };
        let one = ALGORITHMS.into_iter().any(entry);
        let each = |algorithm| match self.validator.mode {
            Mode::Lenient => true,
            Mode::StrictDs => !self.demands(ds, algorithm) || entry(algorithm),
            Mode::StrictDnskey => {
                let there = self.knows(algorithm) && self.some(algorithm, keys.keys, |_| true);
                !there || signs(algorithm)
            }
        };
        if one && ALGORITHMS.into_iter().all(each) {
            Opinion::Secure
        } else {
            Opinion::Bogus
        }
    }

    /// DNSKEY and data, where DS and DNSKEY are secure.
    pub fn data(&self, ds: &DsSet, keys: &KeyRrset, data: &SignedData) -> Opinion {
        let signed = |algorithm| {
            self.knows(algorithm) && self.some(algorithm, keys.keys, |key| data.signers.contains(key))
        };
        let each = |algorithm| match self.validator.mode {
            Mode::Lenient => true,
            Mode::StrictDs => !self.demands(ds, algorithm) || signed(algorithm),
            Mode::StrictDnskey => {
                let there = self.knows(algorithm) && self.some(algorithm, keys.keys, |_| true);
                !there || signed(algorithm)
            }
        };
        if ALGORITHMS.into_iter().any(signed) && ALGORITHMS.into_iter().all(each) {
            Opinion::Secure
        } else {
            Opinion::Bogus
        }
    }
}
