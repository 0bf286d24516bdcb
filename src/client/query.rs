//! The octets of a question, and whether a message answers it.

use crate::wire::{
    Class, Name, RrType, Serial,
    edns::{OptReply, UDP_PAYLOAD},
    message::{HEADER, Opcode, Rcode, expand_name},
    received::{Malformed, Received},
};

use super::{exchange::Question, notify::Notice};

/// A pointer to the question's name.
const QUESTION_POINTER: [u8; 2] = [0xc0, HEADER as u8];
/// The bit of the header's third octet that says the sender is responsible for the zone.
const AA: u8 = 0x04;
/// The bit of the header's fourth octet by which a resolver is asked to say whether it has validated (RFC 6840 §5.7).
const AD: u8 = 0x20;
/// The bit of the header's third octet that asks for recursion.
const RD: u8 = 0x01;
/// The bit of the header's third octet that says the message was cut.
const TC: u8 = 0x02;
/// The bit of the header's third octet that marks a response.
const QR: u8 = 0x80;

/// A message that asks, and what an answer to it must repeat.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    /// The message.
    pub octets: Vec<u8>,
    id: u16,
    opcode: Opcode,
    name: Name,
    rtype: RrType,
}

/// What a message is to a question.
#[derive(Debug)]
pub(super) enum Verdict {
    /// About something else: a late answer, or a stranger's guess.
    Stray,
    /// It answers, but was cut: ask over TCP.
    Cut,
    /// It answers.
    Answer(Received),
    /// It is about the question and cannot be read.
    Malformed(Malformed),
}

impl Asking {
    /// A query with EDNS.
    pub fn query(id: u16, question: &Question) -> Self {
        Self::with_edns(id, question, false)
    }

    /// A query that asks for the real RCODE where denial is compact (CO, RFC 9824 §5.1).
    pub fn compact_query(id: u16, question: &Question) -> Self {
        Self::with_edns(id, question, true)
    }

    fn with_edns(id: u16, question: &Question, compact_ok: bool) -> Self {
        let flags = if question.recursion { RD } else { 0 };
        let mut asking = Self::start(id, Opcode::QUERY, flags, &question.name, question.rtype);
        let opt = OptReply {
            udp_payload: UDP_PAYLOAD,
            dnssec_ok: question.dnssec,
            compact_ok,
            nsid: None,
            error: None,
        };
        opt.write(Rcode::NOERROR, &mut asking.octets);
        asking.octets[11] = 1;
        if question.recursion {
            asking.octets[3] |= AD;
        }
        asking
    }

    /// The question for a zone's transfer: for what changed since `have`, or for the whole of it. Without EDNS, which
    /// it has no use for.
    pub fn transfer(id: u16, zone: &Name, have: Option<Serial>) -> Self {
        let Some(serial) = have else {
            return Self::start(id, Opcode::QUERY, 0, zone, RrType::AXFR);
        };
        let mut asking = Self::start(id, Opcode::QUERY, 0, zone, RrType::IXFR);
        // Our SOA in the authority section (RFC 1995 §3); only its serial is looked at.
        asking.octets[9] = 1;
        asking.octets.extend_from_slice(&QUESTION_POINTER);
        asking.octets.extend_from_slice(&RrType::SOA.0.to_be_bytes());
        asking.octets.extend_from_slice(&Class::IN.0.to_be_bytes());
        asking.octets.extend_from_slice(&[0, 0, 0, 0, 0, 22, 0, 0]);
        asking.octets.extend_from_slice(&serial.0.to_be_bytes());
        asking.octets.extend_from_slice(&[0; 16]);
        asking
    }

    /// Notice that records of a zone have changed (RFC 1996 §3.7): AA, and the SOA as a hint.
    pub fn notice(id: u16, notice: &Notice) -> Self {
        let mut asking = Self::start(id, Opcode::NOTIFY, AA, &notice.zone, notice.rtype);
        if let Some(soa) = &notice.soa {
            let octets = &mut asking.octets;
            octets[7] = 1;
            octets.extend_from_slice(&QUESTION_POINTER);
            octets.extend_from_slice(&RrType::SOA.0.to_be_bytes());
            octets.extend_from_slice(&Class::IN.0.to_be_bytes());
            octets.extend_from_slice(&soa.ttl.seconds().to_be_bytes());
            octets.extend_from_slice(&(soa.rdata.len() as u16).to_be_bytes());
            octets.extend_from_slice(&soa.rdata);
        }
        asking
    }

    /// Header and question; no other section.
    fn start(id: u16, opcode: Opcode, flags: u8, name: &Name, rtype: RrType) -> Self {
        let mut octets = Vec::with_capacity(HEADER + name.as_wire().len() + 4 + 64);
        octets.extend_from_slice(&id.to_be_bytes());
        octets.extend_from_slice(&[opcode.0 << 3 | flags, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        octets.extend_from_slice(name.as_wire());
        octets.extend_from_slice(&rtype.0.to_be_bytes());
        octets.extend_from_slice(&Class::IN.0.to_be_bytes());
        Self {
            octets,
            id,
            opcode,
            name: name.clone(),
            rtype,
        }
    }

    /// What `message` is to this question. Pure; any octets have a verdict.
    pub fn judge(&self, message: &[u8]) -> Verdict {
        let Some(header) = message.first_chunk::<HEADER>() else {
            return Verdict::Stray;
        };
        let opcode = Opcode(header[2] >> 3 & 0x0f);
        if header[..2] != self.id.to_be_bytes() || header[2] & QR == 0 || opcode != self.opcode {
            return Verdict::Stray;
        }
        match u16::from_be_bytes([header[4], header[5]]) {
            // Who could not read the question may leave it out; what it says then is an error and nothing else.
            0 if header[3] & 0x0f != 0 => {}
            1 if self.repeats_question(message) => {}
            _ => return Verdict::Stray,
        }
        // Looked at before the rest is read: there are servers that cut within a record.
        if header[2] & TC != 0 {
            return Verdict::Cut;
        }
        match Received::read(message) {
            Ok(received) => Verdict::Answer(received),
            Err(malformed) => Verdict::Malformed(malformed),
        }
    }

    /// Whether `message` is one of the answers to a transfer. The first repeats the question, later ones may
    /// (RFC 5936 §2.2.1).
    pub fn check(&self, message: &Received, first: bool) -> Result<(), &'static str> {
        if message.id != self.id {
            return Err("it has another id");
        }
        if !message.is_response || message.opcode != self.opcode {
            return Err("it is no response to a query");
        }
        if message.truncated {
            return Err("it was cut, over TCP");
        }
        match &message.question {
            Some((name, rtype, class)) => {
                let same = *name == self.name && *rtype == self.rtype && *class == Class::IN;
                same.then_some(()).ok_or("it has another question")
            }
            // Who could not read the question may leave it out.
            None if first && message.rcode == Rcode::NOERROR => Err("it lacks the question"),
            None => Ok(()),
        }
    }

    fn repeats_question(&self, message: &[u8]) -> bool {
        let Ok((name, end)) = expand_name(message, HEADER) else {
            return false;
        };
        let fixed = [self.rtype.0.to_be_bytes(), Class::IN.0.to_be_bytes()].concat();
        name == self.name && message.get(end..end + 4) == Some(&fixed[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::Message;
    use proptest::prelude::*;

    fn question(dnssec: bool, recursion: bool) -> Question {
        Question {
            name: "www.example.".parse().unwrap(),
            rtype: RrType::AAAA,
            dnssec,
            recursion,
        }
    }

    /// The question sent back as an answer without records.
    fn answer(asking: &Asking) -> Vec<u8> {
        let mut octets = asking.octets.clone();
        octets[2] |= QR;
        octets
    }

    #[test]
    fn hickory_reads_what_we_ask() {
        for (dnssec, recursion) in [(false, false), (true, false), (false, true)] {
            let asking = Asking::query(0x1234, &question(dnssec, recursion));
            let message = Message::from_vec(&asking.octets).unwrap();
            assert_eq!(message.metadata.id, 0x1234);
            assert_eq!(message.metadata.recursion_desired, recursion);
            assert_eq!(
                message.metadata.authentic_data, recursion,
                "a resolver tells who asks"
            );
            assert_eq!(message.queries.len(), 1);
            assert_eq!(message.queries[0].to_string(), "www.example. IN AAAA");
            let edns = message.edns.unwrap();
            assert_eq!((edns.max_payload(), edns.version()), (1_232, 0));
            assert_eq!(edns.flags().dnssec_ok, dnssec);
        }
    }

    #[test]
    fn only_an_answer_to_the_question_is_one() {
        let asking = Asking::query(0x1234, &question(true, false));
        let good = answer(&asking);
        assert!(matches!(asking.judge(&good), Verdict::Answer(_)));
        let stray = |at: usize, flip: u8, why: &str| {
            let mut octets = good.clone();
            octets[at] ^= flip;
            assert!(matches!(asking.judge(&octets), Verdict::Stray), "{why}");
        };
        stray(1, 1, "another id");
        stray(2, QR, "QR=0");
        stray(2, 4 << 3, "another opcode");
        stray(5, 1, "no question and no error");
        stray(5, 3, "two questions");
        stray(13, 1, "another name");
        stray(HEADER + 14, 1, "another type");
        stray(HEADER + 16, 2, "another class");
        assert!(matches!(asking.judge(&good[..11]), Verdict::Stray));
        // Letter case may change on the way.
        let mut other_case = good.clone();
        other_case[13] ^= 0x20;
        assert!(matches!(asking.judge(&other_case), Verdict::Answer(_)));
    }

    #[test]
    fn an_error_may_come_without_the_question() {
        let asking = Asking::query(7, &question(false, false));
        let bare = [0, 7, QR, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        let Verdict::Answer(received) = asking.judge(&bare) else {
            panic!("no answer");
        };
        assert_eq!(received.rcode, Rcode::FORMERR);
    }

    #[test]
    fn what_is_cut_is_known_as_cut_even_within_a_record() {
        let asking = Asking::query(7, &question(false, false));
        let mut octets = answer(&asking);
        octets.truncate(octets.len() - 3);
        assert!(matches!(asking.judge(&octets), Verdict::Malformed(_)));
        octets[2] |= TC;
        assert!(matches!(asking.judge(&octets), Verdict::Cut));
    }

    proptest! {
        #[test]
        fn any_octets_have_a_verdict(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Asking::query(7, &question(false, false)).judge(&octets);
        }

        #[test]
        fn spoiled_answers_have_a_verdict(at in 0_usize..43, value: u8) {
            let asking = Asking::query(7, &question(false, false));
            let mut octets = answer(&asking);
            let at = at.min(octets.len() - 1);
            octets[at] = value;
            let _ = asking.judge(&octets);
        }
    }
}
