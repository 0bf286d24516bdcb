//! The examples of RFC 4035 and RFC 5155 with their own signatures, each way of being wrong once, and any octets.
//! The other validators judge ours in `tests/suite/validator.rs`.

mod any;
mod chain;
mod denials;
mod examples;
mod signatures;

use super::{
    reason::{LinkFault, Missing, SignatureFault},
    *,
};
use crate::{
    dnssec::{
        algorithm::{DigestType, SigningAlgorithm},
        key::{REVOKE, SEP, SigningKey, ZONE},
        sign::{ToSign, Window, signature},
    },
    wire::{
        Class,
        message::{Opcode, Rcode},
        received::{Received, Record},
        text::{lexer::Lexer, read_rdata},
    },
};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn time(text: &str) -> UnixTime {
    UnixTime::from_dnssec(text).unwrap()
}

/// `owner TYPE rdata`, as the example files have it.
fn record(line: &str) -> Record {
    let mut words = line.splitn(3, ' ');
    let (owner, rtype) = (name(words.next().unwrap()), words.next().unwrap());
    let rtype = RrType::from_text(rtype).unwrap();
    let mut rdata = Vec::new();
    let mut lexer = Lexer::new(words.next().unwrap().as_bytes());
    read_rdata(rtype, &mut lexer, None, &mut rdata).unwrap_or_else(|why| panic!("{line}: {why}"));
    Record {
        owner,
        rtype,
        class: Class::IN,
        ttl: Ttl::new(3600),
        rdata: rdata.into(),
    }
}

fn message(question: (Name, RrType), rcode: Rcode) -> Received {
    Received {
        id: 1,
        is_response: true,
        opcode: Opcode::QUERY,
        authoritative: true,
        truncated: false,
        authenticated: false,
        rcode,
        question: Some((question.0, question.1, Class::IN)),
        answers: Vec::new(),
        authorities: Vec::new(),
        additionals: Vec::new(),
        edns: None,
        tsig: None,
    }
}

fn judge(keys: &ZoneKeys, answer: &Received, now: UnixTime) -> Verdict {
    let (asked, rtype, _) = answer.question.clone().unwrap();
    validate(keys, (asked.as_ref(), rtype), answer, now)
}

fn shows(verdict: &Verdict) -> (Shown, bool) {
    match verdict {
        Verdict::Secure(proof) => (proof.shows, proof.wildcard),
        other => panic!("{other:?}"),
    }
}

const NOW: UnixTime = UnixTime(1_800_000_000);

const WINDOW: Window = Window {
    inception: UnixTime(NOW.0 - 3_600),
    expiration: UnixTime(NOW.0 + 86_400),
};

/// A zone of one signer, whose records are signed as they are added to a message.
struct Signed {
    key: SigningKey,
    window: Window,
}

impl Signed {
    fn new() -> Self {
        let key = SigningKey::generate(SigningAlgorithm::Ed25519, ZONE).unwrap();
        Self { key, window: WINDOW }
    }

    fn keys(&self) -> ZoneKeys {
        ZoneKeys::new(name("example."), [self.key.dnskey().clone()])
    }

    /// The records and their signature, made at `signed_at`, for a wildcard's expansion.
    fn expanded(&self, lines: &[&str], signed_at: &str) -> Vec<Record> {
        let mut records: Vec<Record> = lines.iter().map(|line| record(line)).collect();
        let rdatas: Vec<Vec<u8>> = {
            let mut sorted: Vec<_> = records.iter().map(|record| record.rdata.to_vec()).collect();
            sorted.sort();
            sorted
        };
        let owner = name(signed_at).as_ref().to_lower();
        let rtype = records[0].rtype;
        let set = ToSign {
            owner: &owner,
            rtype,
            ttl: Ttl::new(3600),
            rdatas: rdatas.iter().map(|rdata| &rdata[..]),
        };
        let made = signature(&self.key, name("example.").as_ref(), &set, self.window).unwrap();
        let mut rdata = rtype.0.to_be_bytes().to_vec();
        rdata.extend_from_slice(&[self.key.algorithm().number().0, owner.as_ref().rrsig_labels()]);
        rdata.extend_from_slice(&3600_u32.to_be_bytes());
        rdata.extend_from_slice(&self.window.expiration.to_serial().to_be_bytes());
        rdata.extend_from_slice(&self.window.inception.to_serial().to_be_bytes());
        rdata.extend_from_slice(&self.key.key_tag().to_be_bytes());
        rdata.extend_from_slice(name("example.").as_wire());
        rdata.extend_from_slice(&made);
        let signature = Record {
            rtype: RrType::RRSIG,
            rdata: rdata.into(),
            ..records[0].clone()
        };
        records.push(signature);
        records
    }

    fn set(&self, lines: &[&str]) -> Vec<Record> {
        self.expanded(lines, lines[0].split(' ').next().unwrap())
    }

    /// An answer to `question`, `code` beside it; signed sets of the two sections.
    fn answer(&self, question: &str, rcode: Rcode, answers: &[&[&str]], authorities: &[&[&str]]) -> Received {
        let (owner, rtype) = question.split_once(' ').unwrap();
        let mut reply = message((name(owner), RrType::from_text(rtype).unwrap()), rcode);
        reply.answers = answers.iter().flat_map(|set| self.set(set)).collect();
        reply.authorities = authorities.iter().flat_map(|set| self.set(set)).collect();
        reply
    }

    #[track_caller]
    fn missing(&self, question: &str, rcode: Rcode, authorities: &[&[&str]], expected: &Missing) {
        let verdict = judge(&self.keys(), &self.answer(question, rcode, &[], authorities), NOW);
        let missing = match &verdict {
            Verdict::Bogus(
                Bogus::NoName { missing, .. }
                | Bogus::NoData { missing, .. }
                | Bogus::Referral { missing, .. },
            ) => missing,
            other => panic!("{question}: {other:?}"),
        };
        assert_eq!(missing, expected, "{question}");
    }

    #[track_caller]
    fn shows(&self, question: &str, rcode: Rcode, authorities: &[&[&str]], expected: Shown) {
        let verdict = judge(&self.keys(), &self.answer(question, rcode, &[], authorities), NOW);
        assert_eq!(shows(&verdict).0, expected, "{question}");
    }
}
