//! The running server as people command it, and the socket by which they do.

pub mod client;
pub mod content;
mod floods;
pub mod http;
pub mod instance;
pub mod keys;
pub mod monitor;
pub mod observations;
pub mod peers;
pub mod plans;
pub mod protocol;
mod reckon;
mod reload;
pub mod server;
pub mod socket;
mod status;
mod warming;
mod whereabouts;
pub mod zonefile;
pub mod zones;

#[cfg(test)]
mod tests;

pub use client::{Client, ClientError};
pub use server::Server;
pub use whereabouts::{Whereabouts, reachable};
