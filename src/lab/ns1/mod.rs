//! A simulated NS1 Connect: its HTTPS API and its authoritative servers, for trying things without an account.
//!
//! ```text
//!   HTTPS ─► api ─► routes ─► account (zones, records, keys, knobs)
//!                                │ what each server is to show, after its delay
//!   DNS ◄─ server 1, server 2, … ┘   each the engine of `answer`, with NS1's keys and those that others gave it
//! ```
//!
//! What is known of the real one comes from its documents and its clients; `docs/ns1.md` says what is not. Everything
//! up to `routes` takes a request and a time and gives a reply, without sockets.

pub mod account;
mod api;
mod certificate;
#[cfg(test)]
mod contract;
mod core;
mod dns;
mod dnssec;
mod files;
mod hosted;
pub mod keys;
pub mod knobs;
mod notify;
mod others;
#[cfg(test)]
mod probed;
mod rate;
pub mod record;
mod records;
pub mod reply;
mod routes;
mod simulated;
#[cfg(test)]
mod tests;
mod transfer;
pub mod zone;

pub use knobs::{KNOBS, Knob, KnobError};
pub use simulated::{Settings, Simulated, StartError, ZoneText};
