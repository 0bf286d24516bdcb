//! Questions to other servers, transfers from them, and notice to them. It knows how to ask and whether an answer
//! belongs to the question; why it is asked is not its business.

pub mod exchange;
mod query;
pub mod resolver;
pub mod tsig;

pub use exchange::{AskError, Asker, Question};
pub use resolver::{NameServer, Parent, Ports, ResolveError, Resolver};
