//! The execution of a plan: what to do next, decided from what was journaled and what every server shows.
//!
//! Values in, values out: a run is its journal read from the beginning, so that a restart at any point goes on with the
//! same outcome. Whoever holds the run writes each [`Entry`] durably *before* it acts upon it.
//!
//! ```text
//!            ┌────────── Seen ◄── every server shows it
//!            ▼                         ▲
//! Pending ─► due ─► (safe?) ─► Begun ─► acted, idempotent
//!            │         └─► Halted: a story, a person decides
//!            └─► Paused ─► Resumed
//! ```

mod back;
mod gate;
mod given;
mod items;
pub mod journal;
mod measured;
mod next;
mod parent;
mod raised;
mod run;
#[cfg(test)]
pub(crate) mod tests;
mod view;

pub(super) use items::{raise_ttl, same};
pub use parent::{DsAhead, Unfollowed};
pub use raised::Raised;
pub use run::{Entry, Event, GivenUp, JournalFault, Next, Outcome, Run, Stage};
pub use view::{Shown, Sight, View};
