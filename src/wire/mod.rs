//! The wire format: names, messages, EDNS, and the one table of record types.

pub mod edns;
pub mod message;
pub mod name;
pub mod received;
pub mod soa;
pub mod text;
pub mod types;

pub use name::{LowerName, Name, NameRef};
pub use soa::{Serial, Soa};
pub use types::{Class, RrType};

/// A time to live in seconds, at most 2^31 − 1 (RFC 2181 §8: a larger one counts as zero).
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Ttl(u32);

impl Ttl {
    /// The largest TTL there is.
    pub const MAX: Self = Self(i32::MAX as u32);

    /// A TTL as received: one with the most significant bit set is zero (RFC 2181 §8).
    pub const fn new(seconds: u32) -> Self {
        if seconds > Self::MAX.0 {
            Self(0)
        } else {
            Self(seconds)
        }
    }

    /// Seconds.
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

impl std::fmt::Display for Ttl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
