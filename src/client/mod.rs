//! Questions to other servers, transfers from them, and notice to them. It knows how to ask and whether an answer
//! belongs to the question; why it is asked is not its business.

pub mod exchange;
pub mod https;
pub mod notify;
mod query;
pub mod relay;
pub mod resolver;
pub mod transfer;
pub mod tsig;

pub use exchange::{AskError, Asker, Question};
pub use notify::{Notice, NotifyError};
pub use relay::{Relay, Streams};
pub use resolver::{NameServer, NoticeTarget, NoticeTargets, Parent, Ports, ResolveError, Resolver};
pub use transfer::{Delta, Transfer, TransferError, TransferSettings, Transferred};
pub use tsig::{Signing, TsigAlgorithm, TsigKey};
