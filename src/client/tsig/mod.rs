//! Transaction signatures (RFC 8945): a secret that two parties share proves who sent a message, and when.
//!
//! | file | owns |
//! |---|---|
//! | `mod` | keys, and what can be wrong |
//! | `file` | the secret in a file |
//! | `record` | the TSIG record, and what its MAC is made of |
//! | `asking` | a request is signed, its answers are verified |
//! | `answering` | a request is verified, its answers are signed |
//!
//! Times are values. MACs are sent whole; one that was cut is taken when it is at least as long as RFC 8945 §5.2.2.1
//! asks for: half of the whole, and ten octets.

mod answering;
mod asking;
mod file;
mod record;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use data_encoding::BASE64;
use ring::hmac;
use zeroize::Zeroizing;

pub use answering::{Answering, Refusal};
pub use asking::Answers;
pub use file::TsigFileError;

use crate::{
    clock::{Clock, UnixTime},
    wire::Name,
};

/// By how many seconds two clocks may differ (RFC 8945 §10).
pub const FUDGE: u16 = 300;

/// How a MAC is made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TsigAlgorithm {
    /// HMAC with SHA-256, which everybody has (RFC 8945 §6).
    HmacSha256,
    /// HMAC with SHA-384.
    HmacSha384,
    /// HMAC with SHA-512.
    HmacSha512,
}

impl TsigAlgorithm {
    /// All of them. Those with MD5 or SHA-1 are not, for they must not be used any more (RFC 8945 §6).
    pub const ALL: [Self; 3] = [Self::HmacSha256, Self::HmacSha384, Self::HmacSha512];

    /// As configurations write it.
    pub fn text(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }

    /// Reads what [`TsigAlgorithm::text`] gives, in either letter case, with or without a final dot.
    pub fn from_text(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.text().eq_ignore_ascii_case(text))
    }

    /// The name that stands for it in records: one label.
    fn wire(self) -> Vec<u8> {
        let text = self.text();
        [&[text.len() as u8], text.as_bytes(), &[0]].concat()
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::HmacSha256 => hmac::HMAC_SHA256,
            Self::HmacSha384 => hmac::HMAC_SHA384,
            Self::HmacSha512 => hmac::HMAC_SHA512,
        }
    }

    /// Octets of a whole MAC.
    fn mac_length(self) -> usize {
        self.hmac().digest_algorithm().output_len()
    }
}

/// A key that two parties share. The secret is in nobody's log: `Debug` leaves it out.
pub struct TsigKey {
    name: Name,
    algorithm: TsigAlgorithm,
    key: hmac::Key,
}

/// Why something is no key. It never shows the secret.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TsigKeyError {
    /// The secret is not base64.
    #[error(
        "the secret of the TSIG key {0} is not base64; copy it as the other side shows it, without quotes"
    )]
    NotBase64(Name),
    /// The secret has no octets.
    #[error("the secret of the TSIG key {0} is empty")]
    Empty(Name),
}

impl TsigKey {
    /// A key of a secret's octets. Whoever owns these wipes them.
    ///
    /// # Errors
    /// When there is none.
    pub fn new(name: Name, algorithm: TsigAlgorithm, secret: &[u8]) -> Result<Self, TsigKeyError> {
        if secret.is_empty() {
            return Err(TsigKeyError::Empty(name));
        }
        let key = hmac::Key::new(algorithm.hmac(), secret);
        Ok(Self { name, algorithm, key })
    }

    /// A key of a secret in base64, as every server's configuration has it; white space around it is passed over.
    ///
    /// # Errors
    /// When it is not base64, or empty.
    pub fn from_base64(name: Name, algorithm: TsigAlgorithm, secret: &str) -> Result<Self, TsigKeyError> {
        match BASE64.decode(secret.trim().as_bytes()).map(Zeroizing::new) {
            Ok(octets) => Self::new(name, algorithm, &octets),
            Err(_) => Err(TsigKeyError::NotBase64(name)),
        }
    }

    /// Its name, which both parties must have the same.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> TsigAlgorithm {
        self.algorithm
    }
}

impl fmt::Debug for TsigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TsigKey")
            .field("name", &self.name)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// What signs questions and verifies the answers.
#[derive(Clone, Copy, Debug)]
pub struct Signing<'a> {
    /// The key of both sides.
    pub key: &'a Arc<TsigKey>,
    /// What time signatures are made at, and compared with.
    pub clock: &'a dyn Clock,
}

/// What a TSIG record says is wrong (RFC 8945 §3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TsigFault(pub u16);

impl TsigFault {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The MAC is not that of the message and the secret.
    pub const BADSIG: Self = Self(16);
    /// No key of this name and algorithm is known.
    pub const BADKEY: Self = Self(17);
    /// The two clocks differ by more than is allowed.
    pub const BADTIME: Self = Self(18);
    /// The MAC was cut to less than is allowed.
    pub const BADTRUNC: Self = Self(22);
}

impl fmt::Display for TsigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::BADSIG => "BADSIG, its secret is another one",
            Self::BADKEY => "BADKEY, it has no key of this name and algorithm",
            Self::BADTIME => "BADTIME, its clock and ours differ",
            Self::BADTRUNC => "BADTRUNC, it wants a longer MAC",
            Self(other) => return write!(f, "TSIG error {other}"),
        })
    }
}

/// Why an answer is not believed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TsigError {
    /// The other side does not accept what we signed. Only BADTIME comes signed; the rest anybody may have sent.
    #[error("the other side refuses the TSIG key {key}: {said}{}", .clock.map(|at| format!(" (it has {at})")).unwrap_or_default())]
    Refused {
        /// Our key.
        key: Name,
        /// What it said.
        said: TsigFault,
        /// What time it has, when it said so.
        clock: Option<UnixTime>,
    },
    /// There is no signature where there must be one.
    #[error("the answer to what the TSIG key {key} signed is not signed")]
    Unsigned {
        /// Our key.
        key: Name,
    },
    /// A stretch of unsigned messages is too long (RFC 8945 §5.3.1).
    #[error("more than {limit} messages in a row are not signed by the TSIG key {key}")]
    Stretch {
        /// Our key.
        key: Name,
        /// The most there may be.
        limit: u32,
    },
    /// Another key, or another algorithm, than the request's.
    #[error("signed by {theirs} ({algorithm}), not by the TSIG key {key} ({})", .expected.text())]
    OtherKey {
        /// Our key.
        key: Name,
        /// Its algorithm.
        expected: TsigAlgorithm,
        /// The key of the answer.
        theirs: Name,
        /// Its algorithm.
        algorithm: Name,
    },
    /// The MAC is wrong.
    #[error(
        "the signature is not by the secret of the TSIG key {key}, or the message was changed on its way"
    )]
    Wrong {
        /// Our key.
        key: Name,
    },
    /// The MAC was cut to less than RFC 8945 §5.2.2.1 allows, or is longer than the algorithm's.
    #[error("a TSIG signature of {length} octets; {} has from {least} to {most}", .algorithm.text())]
    Length {
        /// Octets of the MAC.
        length: usize,
        /// Its algorithm.
        algorithm: TsigAlgorithm,
        /// The fewest.
        least: usize,
        /// The most.
        most: usize,
    },
    /// It was signed too long ago, or is from the future.
    #[error(
        "signed at {signed} by the other side's clock, read at {now} by ours; more than {fudge} s apart, so one of the clocks is wrong"
    )]
    Time {
        /// When it was signed.
        signed: UnixTime,
        /// What time we have.
        now: UnixTime,
        /// How far they may be apart, says the signer.
        fudge: u16,
    },
    /// The record cannot be read.
    #[error("a TSIG record that cannot be read: {0}")]
    Malformed(&'static str),
}

impl TsigError {
    /// Whether the other side said that it does not accept what we signed.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}
