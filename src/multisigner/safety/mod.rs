//! The safety checker: whether a course of key changes, planned or measured, can make a validating resolver call
//! good data bogus.
//!
//! ```text
//! Timeline ─► windows ─► every combination that some caches can hold together ─► Safe, or a Counterexample
//!  (model)   (window)    judged as validators do (validator), for each invariant (check)    (counterexample)
//! ```
//!
//! Each item of a chain (DS, DNSKEY, signed data) may sit in another cache, fetched at another moment from another
//! provider, so that every combination of what can be held at one moment is met by some chain of forwarders: three
//! windows of time are enough, and no state of any cache is listed.
//!
//! | invariant | what it promises | how it is represented |
//! |---|---|---|
//! | I0 | no downgrade to insecure | a DS RRset without a usable record, where the first one had one |
//! | I1 | every DS, DNSKEY and data RRset that can be held together validate | the product of the three windows |
//! | I1' | the same for one cache that validates what it fetches, and remembers | held DS with DNSKEY served now; held DNSKEY with data served now |
//! | I2 | no NS RRset in a cache leads nowhere, nor to one provider where it names more | members that are up; that one more goes down only narrows the windows, so I1 then holds too |
//! | I3 | a parent that follows CDS finds one set at all providers, and can validate it | judged at the steps that are said to be the parent's, not for a scan at any other time |
//! | I3 | a parent that reads CSYNC finds one NS RRset whenever it comes, and CSYNC at everybody it asks when it acts | the former at every moment, the latter at the steps that are said to be the parent's |
//! | I4 | no held proof of absence for what another provider answers | per class of data, outside announced changes of content |
//! | I5 | the same data and TTL at all providers that are asked | per class of data, outside announced changes of content |
//!
//! Not represented: I6 (that waits end and plans can go back: a matter of plans, not of timelines), the validity of
//! RRSIGs, a TTL above the RRSIG's original TTL, and proofs that cover other names than their own (RFC 8198).

mod check;
mod counterexample;
mod intervals;
mod model;
mod validator;
mod window;

#[cfg(test)]
pub(super) mod oracle;
#[cfg(test)]
mod tests;

pub use check::{Invariant, Terms, Verdict, check, first_violation, is_safe};
pub use counterexample::{
    Counterexample, Fetch, Mark, Reaches, ShortWait, least_delay, least_delay_from_then, quiet_from,
};
pub use model::{
    Cds, Change, Class, Content, Csync, DsRecord, DsSet, Key, KeyId, KeyRrset, KeySet, KeyUse, NsSet,
    ProviderId, Seconds, SignedData, Slot, Step, Timeline, TooMany, Value,
};
pub use validator::{DigestRule, Fault, Mode, Support, Validator};
#[cfg(test)]
pub(crate) use window::judged_here;
