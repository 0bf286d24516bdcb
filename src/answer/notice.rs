//! Notices that a zone has changed elsewhere (RFC 1996). Whether one is taken, and what follows from it, is for those
//! to say who fetch zones; here it is read and answered.

use std::{fmt, net::IpAddr};

use super::{Outcome, Peer, engine::Worker};
use crate::{
    clock::UnixTime,
    wire::{
        Class, NameRef, RrType,
        edns::OptReply,
        message::{MAX_MESSAGE, Query, Rcode, Response},
    },
};

/// What completes an answer, such as a signature of it.
pub type Complete = Box<dyn FnOnce(&mut Vec<u8>)>;

/// The answer to a notice.
pub struct Reply {
    /// The code; with NOERROR the notice was taken.
    pub rcode: Rcode,
    /// What is done to the whole message at last.
    pub complete: Option<Complete>,
}

/// Takes notices. It is called by threads that answer, so it must not wait.
pub trait Notices: Send + Sync + fmt::Debug {
    /// Takes a notice that `zone` has changed; `packet` is all of it. `None`: no notices are taken here at all.
    fn take(&self, packet: &[u8], zone: NameRef<'_>, from: IpAddr, now: UnixTime) -> Option<Reply>;
}

impl Worker {
    /// Answers a notice; `None` where none are taken, or this is none that can be read.
    pub(super) fn answer_notice(
        &self,
        packet: &[u8],
        query: &Query<'_>,
        from: Peer,
        opt: Option<&OptReply<'_>>,
        out: &mut Vec<u8>,
    ) -> Option<Outcome> {
        let notices = self.notices()?;
        let question = query.question?;
        // What is noticed besides SOA is for parents (RFC 9859).
        if question.rtype != RrType::SOA || question.class != Class::IN {
            return None;
        }
        let reply = notices.take(
            packet,
            question.name,
            from.address.ip().to_canonical(),
            self.moment(),
        )?;
        let mut response = Response::start(query, out, MAX_MESSAGE, opt.map_or(0, |opt| opt.len()));
        if reply.rcode == Rcode::NOERROR {
            response.set_authoritative();
        }
        response.finish(reply.rcode, opt);
        if let Some(complete) = reply.complete {
            complete(out);
        }
        Some(Outcome::Answered)
    }
}
