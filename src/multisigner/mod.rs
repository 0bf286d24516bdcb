//! Several signers of one zone: what each shows, whether that can be believed, and the exchange of keys between
//! them.
//!
//! ```text
//! API's reply ─┐
//! every server ┼─► judge ─► what is believed ─► the key register
//! parent's DS ─┘        ├─► what is to be given to the provider
//!                       └─► what a person should know
//! ```

pub mod alarms;
mod content;
pub mod exchange;
pub mod execute;
pub mod observations;
pub mod observe;
pub mod plan;
pub mod safety;
pub mod survey;
pub mod trust;
pub mod verify;

pub use exchange::{Finding, Held, Round, Severity, Verdict, judge};
pub use observe::{DsView, KeyAnswer, KeyView, Unseen};
pub use trust::Pin;
