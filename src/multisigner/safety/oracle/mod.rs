//! A second opinion on the checker, by brute force: resolvers that ask at every tick, every provider that they know
//! of, in every order, and forget at any time. It shares the description of a timeline with the checker, no code.
//!
//! | resolver | what it finds |
//! |---|---|
//! | iterates, holds one NS RRset from the parent or from any provider in the one it held | which providers are asked, for ever at one that names itself |
//! | a cache each for DS, DNSKEY and data, that validates nothing, behind an iterating resolver | what a validator behind them may get at one tick: I0, I1 |
//! | a cache that validates DNSKEY and data as they come, and remembers DNSKEY with what the DS asked | I1' |
//! | any cache may hold everything as long as TTL and margin | |

mod agree;
pub(in crate::multisigner) mod history;
pub(in crate::multisigner) mod resolvers;
mod validate;
