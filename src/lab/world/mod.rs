//! The world in small: providers, a parent, servers that lag, resolvers that ask, and our real executor among them, as a
//! discrete-event simulation. Time jumps from one event to the next; there are no sockets and no sleep, and the same seed
//! gives the same story.
//!
//! ```text
//!   scenario ─► World ◄── faults          resolvers ─► chain: secure, or the story of a bogus answer
//!                │  ▲                        ▲
//!   what is seen │  │ what it does           │ what servers show, each in its own time
//!                ▼  │                        │
//!              driver: multisigner::execute  parties
//! ```
//!
//! Two judges look at each run, and share nothing: the resolvers here, and the safety checker over what was really
//! served.

mod amiss;
mod chain;
mod driver;
mod engine;
mod failure;
mod faults;
mod goal;
mod harm;
mod parent;
mod parties;
mod play;
mod provider;
mod queue;
mod random;
mod resolver;
mod roll;
mod scenario;
mod story;
#[cfg(test)]
mod tests;
mod view;

pub use faults::{FAULTS, Fault, by_name};
pub use play::{End, Outcome, Settings, play};
pub use scenario::Scenario;
pub use story::{Line, clock};
