//! What every promise needs: servers on loopback that end with the test, a DNS client that sees every octet,
//! and questions to ask.

pub mod changing;
pub mod client;
pub mod engine;
pub mod flooded;
pub mod judge;
pub mod message;
pub mod ns1;
pub mod peers;
pub mod planned;
pub mod process;
pub mod proxy;
pub mod questions;
pub mod scanner;
pub mod small_disk;
pub mod spoil;
