//! Other signing providers of a zone: what they publish, and how ours is given to them. When to do what is not
//! decided here.
//!
//! A provider is one folder and one line in the configuration's list of kinds. What a driver says it sees is a hint
//! where it comes from an API, and evidence only where it comes from an authoritative answer; those are observed
//! elsewhere, for every kind alike. What every driver must hold to is in `contract`, which tests run over each.

#[cfg(test)]
pub(crate) mod contract;
pub mod dns;
pub mod ns1;

use std::{fmt, net::IpAddr, pin::Pin, time::Duration};

use crate::{
    dnssec::{csync::Csync, key::Dnskey},
    wire::{Name, Ttl, received::Record},
};

/// What a driver gives back in a while.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + Send + 'a>>;

/// Another signing provider.
pub trait Provider: Send + Sync + fmt::Debug {
    /// What the configuration calls it.
    fn name(&self) -> &str;

    /// What can be done through it without a person.
    fn capabilities(&self) -> Capabilities;

    /// The name servers that it gives the zone. Empty where it has no way to know; then the configuration names them.
    fn servers<'a>(&'a self, zone: &'a Name) -> Pending<'a, Vec<Server>>;

    /// The keys that it says it has for the zone. `ours` are all keys of ours, present and past: none of them is
    /// ever counted as its own.
    fn observe_keys<'a>(&'a self, zone: &'a Name, ours: &'a [Dnskey]) -> Pending<'a, ObservedKeys>;

    /// Makes it hold exactly `keys` as ours, beside its own and those of others. Doing it again changes nothing.
    fn publish_keys<'a>(&'a self, zone: &'a Name, keys: &'a [Dnskey], ttl: Ttl) -> Pending<'a, Published>;

    /// Takes all keys of ours out of it, as at a leave or a rollback. `ours` are those that may be there, present and
    /// past. Keys of others stay. Doing it again changes nothing.
    fn withdraw_keys<'a>(&'a self, zone: &'a Name, ours: &'a [Dnskey]) -> Pending<'a, Published>;

    /// Makes it sign the zone. Only a person's explicit word leads here.
    fn enable_dnssec<'a>(&'a self, zone: &'a Name) -> Pending<'a, Published>;

    /// The serial of the content it has now, for a cheap look whether it changed.
    fn serial<'a>(&'a self, zone: &'a Name) -> Pending<'a, u32>;

    /// The zone's content: every record but those of DNSSEC that a signer makes.
    fn read_content<'a>(&'a self, zone: &'a Name) -> Pending<'a, Content>;

    /// The apex NS RRset's targets as it serves them.
    fn read_apex_ns<'a>(&'a self, zone: &'a Name) -> Pending<'a, Vec<Name>>;

    /// Makes the apex NS RRset exactly these targets.
    fn write_apex_ns<'a>(&'a self, zone: &'a Name, targets: &'a [Name], ttl: Ttl) -> Pending<'a, Published>;

    /// Makes its CDS and CDNSKEY RRsets ask for exactly these keys, whoever's they are; without any both go. Doing it
    /// again changes nothing.
    fn write_cds<'a>(&'a self, zone: &'a Name, keys: &'a [Dnskey], ttl: Ttl) -> Pending<'a, Published>;

    /// Makes this its CSYNC record; with none it goes. Doing it again changes nothing.
    fn write_csync<'a>(&'a self, zone: &'a Name, csync: Option<Csync>, ttl: Ttl) -> Pending<'a, Published>;
}

/// What can be done through a provider without a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Capabilities {
    /// It says which keys it has.
    pub observes_keys: bool,
    /// It takes keys of ours; otherwise they are printed for a person to paste.
    pub publishes_keys: bool,
    /// It gives the zone's content.
    pub reads_content: bool,
    /// It takes an apex NS RRset.
    pub writes_apex_ns: bool,
    /// It takes CDS and CDNSKEY RRsets. Which key signs them is seen in its answers.
    pub writes_cds: bool,
    /// It takes a CSYNC record.
    pub writes_csync: bool,
}

/// A name server of a provider.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Server {
    /// Its name, where it is known by one.
    pub name: Option<Name>,
    /// Its addresses, where they are known; else the name is looked up.
    pub addresses: Vec<IpAddr>,
}

/// The keys that a provider says it has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ObservedKeys {
    /// Whether it signs the zone at all.
    pub signs: bool,
    /// Its own: its reply less every external set and less ours, present and past.
    pub own: Vec<Dnskey>,
    /// Those that it holds as ours.
    pub ours: Vec<Dnskey>,
    /// Keys that others gave it, by the name of their set.
    pub others: Vec<(String, Dnskey)>,
    /// Its TTL of the DNSKEY RRset.
    pub ttl: Option<Ttl>,
    /// What a person should know of the reply, such as a member that could not be read.
    pub remarks: Vec<String>,
}

/// What a writing did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Published {
    /// It was so already.
    Already,
    /// It was changed; what was there before, for the way back.
    Changed {
        /// In words.
        what: String,
    },
    /// A person has to do it.
    ByHand {
        /// What is to be done with the records, in words.
        what: String,
        /// The records, one a line in master format.
        records: Vec<String>,
    },
}

/// A zone's content as a provider gave it.
#[derive(Clone, Debug)]
pub struct Content {
    /// The records; classes other than IN do not occur.
    pub records: Vec<Record>,
    /// DNSSEC records that were left out.
    pub left_out: usize,
    /// How it was read, for people: "export", "414 records one by one".
    pub how: String,
    /// What could not be carried over, such as a filter chain.
    pub remarks: Vec<String>,
}

/// Why a provider could not be asked, or did not do it. No secret is ever in it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{provider}: {what}")]
pub struct ProviderError {
    /// What the configuration calls it.
    pub provider: String,
    /// What it said to what was asked, secrets removed.
    pub what: String,
    /// What kind of failure it is, for those who decide.
    pub kind: ProviderFault,
    /// What a person can do.
    pub advice: Option<String>,
}

/// What kind of failure it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProviderFault {
    /// It cannot be reached, or fails in a way that passes: try again later.
    Passing {
        /// When it said to come back.
        after: Option<Duration>,
    },
    /// What answers there cannot show that it is the provider.
    Untrusted,
    /// The secret is wrong, or lacks the right.
    Unauthorised,
    /// It has no such zone.
    NoZone,
    /// It does not sign the zone.
    NotSigned,
    /// It does not know this way of asking; another may work.
    Unsupported,
    /// It answered something that cannot be understood.
    Unintelligible,
    /// It said no.
    Refused,
}
