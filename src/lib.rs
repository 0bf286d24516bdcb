//! Countersign: an authoritative DNS server that signs online, beside another signing provider of the same
//! zone (RFC 8901, model 2).
//!
//! The layers, in import order: a module imports only from those above it in this list, and
//! `tests/suite/tidy.rs` holds it to that.

// Plain comments, for each module documents itself; blank lines, for rustfmt would sort the list.

// Wall time and steady time, real and simulated.
pub mod clock;

// Files that outlive a loss of power.
pub mod disk;

// Names, messages, EDNS, and the one table of record types.
pub mod wire;

// Master files, the immutable zone, lookup.
pub mod zone;

// Algorithms, keys, the key register, signing, denial of existence.
pub mod dnssec;

// The engine: question in, response bytes out.
pub mod answer;

// Transports and their limits.
pub mod serve;

// Questions to other servers, transfers from them.
pub mod client;

// Other signing providers of a zone.
pub mod provider;

// Several signers of one zone: observation, exchange, consistency.
pub mod multisigner;

// The embedded store, behind traits that the layers above declare.
pub mod store;

// The configuration file as people write it, turned into each layer's own settings.
pub mod config;

// The control socket: its routes, and status.
pub mod control;

// Other parties of a zone on loopback, for trying things without an account.
pub mod lab;

// The command line: the only code that prints for people.
pub mod commands;
