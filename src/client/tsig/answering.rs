//! The side that answers: a request is verified, its answers are signed (RFC 8945 §5.2, §5.3).

use std::sync::Arc;

use super::{
    TsigError, TsigFault, TsigKey,
    record::{Digest, Fields, octets_of},
};
use crate::{
    clock::UnixTime,
    wire::{Name, message::Rcode, received::Received},
};

/// A request that was signed by a key of ours; signs the answers to it.
#[derive(Clone, Debug)]
pub struct Answering {
    key: Arc<TsigKey>,
    /// Of the message in front of the next.
    mac: Vec<u8>,
    first: bool,
}

impl Answering {
    /// Verifies a request: its octets, and what they were read as. `None`: it is not signed.
    ///
    /// # Errors
    /// When it is signed, and not as it must be; the refusal knows how to say so.
    pub fn to(
        octets: &[u8],
        request: &Received,
        keys: &[Arc<TsigKey>],
        now: UnixTime,
    ) -> Result<Option<Self>, Refusal> {
        let Some((start, record)) = &request.tsig else {
            return Ok(None);
        };
        let fields = Fields::read(record).map_err(Refusal::Malformed)?;
        let refuse = |fault, signer| Refusal::Tsig {
            key: record.owner.clone(),
            fault,
            fields: Box::new(Saying(fields.clone())),
            signer,
        };
        let key = keys.iter().find(|key| {
            key.name == record.owner
                && fields
                    .algorithm
                    .as_wire()
                    .eq_ignore_ascii_case(&key.algorithm.wire())
        });
        let Some(key) = key else {
            return Err(refuse(TsigFault::BADKEY, None));
        };
        let mut digest = Digest::of_request(key);
        digest.signed_message(octets, *start, &fields);
        digest.variables(&key.name, &fields);
        match fields.check_mac(key, digest) {
            Ok(()) => {}
            Err(wrong @ TsigError::Length { .. }) => return Err(Refusal::Malformed(wrong)),
            Err(_) => return Err(refuse(TsigFault::BADSIG, None)),
        }
        let answering = Self {
            key: Arc::clone(key),
            mac: fields.mac.clone(),
            first: true,
        };
        match fields.check_time(now) {
            Ok(()) => Ok(Some(answering)),
            Err(_) => Err(refuse(TsigFault::BADTIME, Some((answering, now)))),
        }
    }

    /// The key that the request was signed by.
    pub fn key(&self) -> &TsigKey {
        &self.key
    }

    /// Signs the next answer, which must be a whole message without a TSIG record.
    pub fn sign(&mut self, message: &mut Vec<u8>, now: UnixTime) {
        let fields = Fields::fresh(&self.key, message, now);
        self.append(fields, message);
    }

    fn append(&mut self, mut fields: Fields, message: &mut Vec<u8>) {
        let mut digest = Digest::behind(&self.key, &self.mac);
        digest.unsigned_message(message);
        if self.first {
            digest.variables(&self.key.name, &fields);
        } else {
            digest.timers(&fields);
        }
        fields.mac = digest.mac().as_ref().to_vec();
        fields.append(&self.key.name, message);
        self.mac = fields.mac;
        self.first = false;
    }
}

/// Why a signed request is not obeyed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    /// The record cannot be read; the answer is FORMERR and not signed.
    #[error("a request with a TSIG record that cannot be taken")]
    Malformed(#[source] TsigError),
    /// The answer is NOTAUTH with a TSIG record that says why.
    #[error("a request signed by the TSIG key {key} is refused with error {code}", code = .fault.0)]
    Tsig {
        /// The key that it names.
        key: Name,
        /// Why.
        fault: TsigFault,
        /// What its record said.
        fields: Box<Saying>,
        /// Who can sign the refusal, and at what time; only where the clock is all that is wrong (§5.2.3).
        signer: Option<(Answering, UnixTime)>,
    },
}

/// What a request's TSIG record said.
#[derive(Clone, Debug)]
pub struct Saying(Fields);

impl Refusal {
    /// The code of the answer.
    pub fn rcode(&self) -> Rcode {
        match self {
            Self::Malformed(_) => Rcode::FORMERR,
            Self::Tsig { .. } => Rcode::NOTAUTH,
        }
    }

    /// Completes the answer, which must be a whole message with [`Refusal::rcode`] and without a TSIG record.
    pub fn append(self, message: &mut Vec<u8>) {
        let Self::Tsig {
            key,
            fault,
            fields,
            signer,
        } = self
        else {
            return;
        };
        let mut fields = fields.0;
        fields.fault = fault;
        fields.other = Vec::new();
        fields.original_id = u16::from_be_bytes([message[0], message[1]]);
        match signer {
            // The request's time goes back, so that whoever asked finds the answer in time (§5.2.3).
            Some((mut answering, now)) => {
                fields.other = octets_of(now).to_vec();
                answering.append(fields, message);
            }
            None => {
                fields.mac = Vec::new();
                fields.append(&key, message);
            }
        }
    }
}
