//! The side that asks: a request is signed, its answers are verified (RFC 8945 §5.1, §5.3).

use std::sync::Arc;

use super::{
    TsigError, TsigFault, TsigKey,
    record::{Digest, Fields},
};
use crate::{
    clock::UnixTime,
    wire::received::{Received, Record},
};

/// The most messages in a row without a signature (RFC 8945 §5.3.1).
const MAX_UNSIGNED: u32 = 99;

impl TsigKey {
    /// Signs a request, which must be a whole message without a TSIG record; gives what verifies the answers to it.
    pub fn sign_request(self: &Arc<Self>, message: &mut Vec<u8>, now: UnixTime) -> Answers {
        let mut fields = Fields::fresh(self, message, now);
        let mut digest = Digest::of_request(self);
        digest.unsigned_message(message);
        digest.variables(&self.name, &fields);
        fields.mac = digest.mac().as_ref().to_vec();
        fields.append(&self.name, message);
        Answers {
            key: Arc::clone(self),
            digest: Digest::behind(self, &fields.mac),
            first: true,
            unsigned: 0,
        }
    }
}

/// Verifies the answers to one request, in the order in which they come.
#[derive(Clone)]
pub struct Answers {
    key: Arc<TsigKey>,
    /// What the next MAC is made of, as far as it is here.
    digest: Digest,
    first: bool,
    /// Messages since the last that was signed.
    unsigned: u32,
}

impl Answers {
    /// Takes the next message: its octets, and what they were read as. The first answer must be signed, a later one
    /// may be covered by the signature of one behind it; see [`Answers::finish`].
    ///
    /// # Errors
    /// When it is not signed as it must be. Nothing of what it says may be believed, and nothing more can be taken.
    pub fn take(&mut self, octets: &[u8], message: &Received, now: UnixTime) -> Result<(), TsigError> {
        let Some((start, record)) = &message.tsig else {
            return self.take_unsigned(octets);
        };
        let fields = Fields::read(record)?;
        self.check_key(record, &fields)?;
        // Who does not know the key or the secret cannot sign that it does not.
        if fields.mac.is_empty() && fields.fault != TsigFault::NONE {
            return Err(self.refused(&fields));
        }
        let mut digest = self.digest.clone();
        digest.signed_message(octets, *start, &fields);
        if self.first {
            digest.variables(&self.key.name, &fields);
        } else {
            digest.timers(&fields);
        }
        fields.check_mac(&self.key, digest)?;
        if fields.fault != TsigFault::NONE {
            return Err(self.refused(&fields));
        }
        fields.check_time(now)?;
        self.digest = Digest::behind(&self.key, &fields.mac);
        self.first = false;
        self.unsigned = 0;
        Ok(())
    }

    /// There are no more messages.
    ///
    /// # Errors
    /// When the last was not signed: then nothing vouches for what came since the last that was.
    pub fn finish(&self) -> Result<(), TsigError> {
        if self.first || self.unsigned > 0 {
            return Err(self.not_signed());
        }
        Ok(())
    }

    fn take_unsigned(&mut self, octets: &[u8]) -> Result<(), TsigError> {
        if self.first {
            return Err(self.not_signed());
        }
        self.unsigned += 1;
        if self.unsigned > MAX_UNSIGNED {
            return Err(TsigError::Stretch {
                key: self.key.name.clone(),
                limit: MAX_UNSIGNED,
            });
        }
        self.digest.unsigned_message(octets);
        Ok(())
    }

    fn check_key(&self, record: &Record, fields: &Fields) -> Result<(), TsigError> {
        let key = &self.key;
        if record.owner == key.name
            && fields
                .algorithm
                .as_wire()
                .eq_ignore_ascii_case(&key.algorithm.wire())
        {
            return Ok(());
        }
        Err(TsigError::OtherKey {
            key: key.name.clone(),
            expected: key.algorithm,
            theirs: record.owner.clone(),
            algorithm: fields.algorithm.clone(),
        })
    }

    fn refused(&self, fields: &Fields) -> TsigError {
        TsigError::Refused {
            key: self.key.name.clone(),
            said: fields.fault,
            clock: fields.clock(),
        }
    }

    fn not_signed(&self) -> TsigError {
        TsigError::Unsigned {
            key: self.key.name.clone(),
        }
    }
}

impl std::fmt::Debug for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answers")
            .field("key", &self.key)
            .field("first", &self.first)
            .field("unsigned", &self.unsigned)
            .finish_non_exhaustive()
    }
}
