//! What a validator makes of a chain from DS to data. Written for the world alone: it shares nothing with the safety
//! checker, so that neither judges itself.

use std::fmt;

/// Seconds since the world began.
pub(super) type Time = u64;

/// A set of keys, by their place in the world's list.
pub(super) type Keys = u64;

/// A set of providers, by their place.
pub(super) type Members = u64;

/// A DS RRset: the keys it points to, by the place of the digest type in [`DIGEST_TYPES`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ds {
    pub by_digest: [Keys; 3],
    pub ttl: Time,
}

/// SHA-1, SHA-256, SHA-384.
pub(super) const DIGEST_TYPES: [u8; 3] = [1, 2, 4];

impl Ds {
    pub fn sha256(keys: Keys, ttl: Time) -> Self {
        Self {
            by_digest: [0, keys, 0],
            ttl,
        }
    }

    /// Every key that a record points to.
    pub fn keys(&self) -> Keys {
        self.by_digest.iter().fold(0, |all, keys| all | keys)
    }
}

/// A DNSKEY RRset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Dnskeys {
    pub keys: Keys,
    pub signers: Keys,
    pub ttl: Time,
}

/// Signed data of one class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Data {
    pub signers: Keys,
    pub ttl: Time,
}

/// An NS RRset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ns {
    pub members: Members,
    pub ttl: Time,
}

/// Which algorithms a chain must be complete for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Strictness {
    /// One is enough (RFC 6840 §5.11).
    Lenient,
    /// All that the DS RRset names.
    Ds,
    /// All that the DNSKEY RRset has.
    Dnskey,
}

/// Which DS records count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Digests {
    All,
    /// Those of the strongest digest type that is there.
    Strongest,
    /// SHA-1 only where there is nothing else (RFC 4509 §3).
    NoSha1,
}

/// A kind of validator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Kind {
    pub strictness: Strictness,
    pub digests: Digests,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.strictness {
            Strictness::Lenient => "lenient",
            Strictness::Ds => "strict about the DS RRset's algorithms",
            Strictness::Dnskey => "strict about the DNSKEY RRset's algorithms",
        })?;
        f.write_str(match self.digests {
            Digests::All => "",
            Digests::Strongest => ", strongest digest only",
            Digests::NoSha1 => ", no SHA-1 beside others",
        })
    }
}

/// Why a chain does not hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Broken {
    /// No DS record: the zone is insecure, and was not before.
    Insecure,
    /// No DS record that counts points to a key that is in the DNSKEY RRset and signs it.
    Entry,
    /// No key in the DNSKEY RRset made a signature of the data.
    Signature,
    /// The same for one algorithm that this validator demands.
    EntryOf(u8),
    /// The same.
    DnskeyNotSignedBy(u8),
    /// The same.
    SignatureOf(u8),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insecure => write!(f, "the DS RRset is empty, so the zone has become insecure"),
            Self::Entry => write!(f, "no DS record points to a key that signs this DNSKEY RRset"),
            Self::Signature => write!(f, "the data are signed by no key of this DNSKEY RRset"),
            Self::EntryOf(algorithm) => write!(
                f,
                "the DS RRset names algorithm {algorithm}, by which no such key signs this DNSKEY RRset"
            ),
            Self::DnskeyNotSignedBy(algorithm) => write!(
                f,
                "the DNSKEY RRset has algorithm {algorithm}, by which it is not signed"
            ),
            Self::SignatureOf(algorithm) => {
                write!(
                    f,
                    "algorithm {algorithm} is demanded, by which the data are not signed"
                )
            }
        }
    }
}

/// The algorithms of all keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Algorithms(Vec<(u8, Keys)>);

impl Algorithms {
    pub fn add(&mut self, key: usize, algorithm: u8) {
        match self.0.iter_mut().find(|(known, _)| *known == algorithm) {
            Some((_, keys)) => *keys |= 1 << key,
            None => self.0.push((algorithm, 1 << key)),
        }
    }

    /// The first algorithm that `demanded` has and `had` has not.
    fn missing(&self, demanded: Keys, had: Keys) -> Option<u8> {
        let lacks = |(_, keys): &&(u8, Keys)| keys & demanded != 0 && keys & had == 0;
        self.0.iter().find(lacks).map(|(algorithm, _)| *algorithm)
    }
}

impl Kind {
    /// The keys that DS records which count point to.
    pub fn entries(self, ds: &Ds) -> Keys {
        let [sha1, sha256, sha384] = ds.by_digest;
        match self.digests {
            Digests::All => sha1 | sha256 | sha384,
            Digests::NoSha1 if sha256 | sha384 != 0 => sha256 | sha384,
            Digests::NoSha1 => sha1,
            Digests::Strongest if sha384 != 0 => sha384,
            Digests::Strongest if sha256 != 0 => sha256,
            Digests::Strongest => sha1,
        }
    }

    /// Whether the DNSKEY RRset follows from the DS RRset; the keys that it entered by, which the data may depend on.
    pub fn follow_ds(self, all: &Algorithms, ds: &Ds, dnskeys: &Dnskeys) -> Result<Keys, Broken> {
        let entries = self.entries(ds);
        if entries == 0 {
            return Err(Broken::Insecure);
        }
        let signing = dnskeys.signers & dnskeys.keys;
        if entries & signing == 0 {
            return Err(Broken::Entry);
        }
        let missing = match self.strictness {
            Strictness::Lenient => None,
            Strictness::Ds => all.missing(entries, entries & signing).map(Broken::EntryOf),
            Strictness::Dnskey => all.missing(dnskeys.keys, signing).map(Broken::DnskeyNotSignedBy),
        };
        missing.map_or(Ok(entries), Err)
    }

    /// Whether data follow from a DNSKEY RRset that was entered by these keys.
    pub fn follow_dnskey(
        self,
        all: &Algorithms,
        entries: Keys,
        dnskeys: &Dnskeys,
        data: &Data,
    ) -> Result<(), Broken> {
        let signed = data.signers & dnskeys.keys;
        if signed == 0 {
            return Err(Broken::Signature);
        }
        let demanded = match self.strictness {
            Strictness::Lenient => return Ok(()),
            Strictness::Ds => entries,
            Strictness::Dnskey => dnskeys.keys,
        };
        all.missing(demanded, signed)
            .map_or(Ok(()), |algorithm| Err(Broken::SignatureOf(algorithm)))
    }
}
