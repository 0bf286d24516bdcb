//! The messages of a transfer, one after the other: whether each belongs to it, is signed, and what it holds. Pure.

use super::{Fault, Transferred, content::Content};
use crate::{
    client::{query::Asking, tsig::Answers},
    clock::UnixTime,
    wire::{
        message::Rcode,
        received::{Received, Record},
    },
};

/// A transfer that is coming in.
#[derive(Debug)]
pub(super) struct Incoming {
    asking: Asking,
    answers: Option<Answers>,
    content: Content,
    /// Messages that came.
    messages: u64,
}

impl Incoming {
    /// What answers `asking`; `answers` when that was signed.
    pub fn new(asking: Asking, answers: Option<Answers>, content: Content) -> Self {
        Self {
            asking,
            answers,
            content,
            messages: 0,
        }
    }

    /// Messages that came.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Whether changes are coming, which are all held until the end.
    pub fn holds_changes(&self) -> bool {
        self.content.holds_changes()
    }

    /// Takes the next message; gives what was transferred when it is the last.
    pub fn take(
        &mut self,
        octets: &[u8],
        now: UnixTime,
        sink: &mut dyn FnMut(&Record),
    ) -> Result<Option<Transferred>, Fault> {
        self.messages += 1;
        let number = self.messages;
        let message = Received::read(octets).map_err(|source| Fault::Unreadable { number, source })?;
        self.asking
            .check(&message, number == 1)
            .map_err(|why| Fault::Stray { number, why })?;
        self.check_signature(octets, &message, now)?;
        for record in message.answers {
            self.content.take(record, sink)?;
        }
        self.content.end_of_message();
        let transferred = self.content.finish();
        if let (Some(_), Some(answers)) = (&transferred, &self.answers) {
            answers.finish()?;
        }
        Ok(transferred)
    }

    /// Whoever signs wrongly is not believed, but for the reason why there is no transfer: that comes unsigned, too.
    fn check_signature(&mut self, octets: &[u8], message: &Received, now: UnixTime) -> Result<(), Fault> {
        let verified = match &mut self.answers {
            Some(answers) => answers.take(octets, message, now),
            None => Ok(()),
        };
        match verified {
            Err(refused) if refused.is_refusal() => Err(refused.into()),
            _ if message.rcode != Rcode::NOERROR => Err(Fault::Refused { rcode: message.rcode }),
            other => Ok(other?),
        }
    }
}
