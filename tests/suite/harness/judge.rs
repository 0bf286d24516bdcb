//! A validator that is not ours, in this process: the `domain` crate's, which judges each octet that a server sends,
//! without a resolver between that might ask again or mend. Referrals, which it does not judge, are judged here.

use std::{collections::BTreeMap, fmt, future::Future, net::SocketAddr, pin::Pin, time::Duration};

use countersign::wire::RrType;
use domain::{
    base::Message as DomainMessage,
    dnssec::validator::{
        anchor::TrustAnchors,
        context::{Config, ValidationContext, ValidationState},
    },
    net::client::request::{ComposeRequest as _, Error, GetResponse, RequestMessage, SendRequest},
};

use super::{
    client::{ask, ask_all, exchange_tcp},
    message::{Message, Name, Query, Record, YXDOMAIN},
};

/// Asks over TCP for what the validator wants: keys from one server, the rest from another.
#[derive(Debug)]
struct Direct {
    keys: SocketAddr,
    rest: SocketAddr,
}

struct Request {
    server: SocketAddr,
    query: Vec<u8>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} octets to {}", self.query.len(), self.server)
    }
}

impl SendRequest<RequestMessage<Vec<u8>>> for Direct {
    fn send_request(&self, request: RequestMessage<Vec<u8>>) -> Box<dyn GetResponse + Send + Sync> {
        let query = request.to_vec().unwrap();
        let for_keys = Message::read(&query).unwrap().questions[0].1 == RrType::DNSKEY;
        let server = if for_keys { self.keys } else { self.rest };
        Box::new(Request { server, query })
    }
}

impl GetResponse for Request {
    fn get_response(
        &mut self,
    ) -> Pin<Box<dyn Future<Output = Result<DomainMessage<bytes::Bytes>, Error>> + Send + Sync + '_>> {
        let answer = exchange_tcp(self.server, &self.query, Duration::from_secs(5)).unwrap();
        Box::pin(async { Ok(DomainMessage::from_octets(answer.into()).unwrap()) })
    }
}

pub struct Judge {
    context: ValidationContext<Direct>,
    runtime: tokio::runtime::Runtime,
}

impl Judge {
    pub fn new(ds: &str, keys: SocketAddr, rest: SocketAddr) -> Self {
        let anchors = TrustAnchors::from_u8(ds.as_bytes()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut config = Config::new();
        // As many as the server follows.
        config.set_max_cname_dname(20);
        Self {
            context: ValidationContext::with_config(anchors, Direct { keys, rest }, config),
            runtime,
        }
    }

    /// `secure`, or what else it is.
    pub fn state(&self, answer: &Message) -> String {
        let mut message = DomainMessage::from_octets(answer.bytes.clone()).unwrap();
        let judged = self
            .runtime
            .block_on(self.context.validate_msg::<Vec<u8>, Vec<u8>>(&mut message));
        match judged {
            Ok((ValidationState::Secure, _)) => "secure".into(),
            Ok((state, why)) => format!("{state:?} {}", why.map(|why| why.to_string()).unwrap_or_default()),
            Err(why) => format!("error {why}"),
        }
    }
}

/// What this validator does not judge, or wrongly.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Beyond {
    /// It wants an SOA in every answer without data.
    Referral,
    /// The end of the chain is somebody else's.
    OutOfZone,
    /// The chain has no end.
    Loop,
    /// YXDOMAIN is not one of its codes.
    Overflow,
    /// It does not know AFSDB and KX, so it does not lower-case their names (RFC 4034 section 6.2).
    UnknownType,
    /// The DS of the trust anchor's own name is the parent's.
    ApexDs,
    /// It takes the CNAME of a wildcard that was asked for, or led to, by its own name for an expanded one.
    LiteralWildcard,
    /// It computes at most twenty hashes for one closest encloser.
    ManyLabels,
    /// A CNAME or DNAME asked for by name below a DNAME: the answer is a CNAME that nobody signs.
    Synthesised,
}

/// Whether it is beyond this judge.
pub fn beyond(origin: &Name, query: &Query, answer: &Message, denial: &str) -> Option<Beyond> {
    let mut path = vec![query.name.lower()];
    loop {
        let last = path.last().expect("the question's name is there");
        let next = answer
            .answer
            .iter()
            .find(|record| record.rtype == RrType::CNAME && record.owner.lower() == *last)
            .filter(|_| query.rtype != RrType::CNAME)
            .map(|record| record.names()[0].lower());
        match next {
            Some(target) if path.contains(&target) => return Some(Beyond::Loop),
            Some(target) => path.push(target),
            None => break,
        }
    }
    let end = path.last().expect("the question's name is there");
    if answer.authority.iter().any(|record| record.rtype == RrType::NS) {
        return Some(Beyond::Referral);
    }
    if !end.is_at_or_below(origin) {
        return Some(Beyond::OutOfZone);
    }
    if answer.rcode == YXDOMAIN {
        return Some(Beyond::Overflow);
    }
    let below_dname = answer.answer.iter().any(|record| {
        record.rtype == RrType::DNAME
            && query.name.is_at_or_below(&record.owner)
            && query.name.lower() != record.owner.lower()
    });
    let literal = path[..path.len() - 1]
        .iter()
        .any(|name| name.labels().first() == Some(&&b"*"[..]));
    match query.rtype {
        RrType::CNAME | RrType::DNAME if below_dname => Some(Beyond::Synthesised),
        _ if literal => Some(Beyond::LiteralWildcard),
        RrType::AFSDB | RrType::KX if !answer.answer.is_empty() => Some(Beyond::UnknownType),
        RrType::DS if end == origin => Some(Beyond::ApexDs),
        _ if denial == "nsec3" && end.labels().len() > 20 => Some(Beyond::ManyLabels),
        _ => None,
    }
}

/// What is wrong with a referral: it must come with the DS, or with proof that there is none, signed
/// (RFC 4035 section 3.1.4), and without an SOA.
fn wrong_referral(answer: &Message, keys: &[Record]) -> Option<String> {
    let ns = answer
        .authority
        .iter()
        .find(|record| record.rtype == RrType::NS)?;
    let proofs: Vec<_> = answer
        .authority
        .iter()
        .filter(|record| matches!(record.rtype, RrType::DS | RrType::NSEC | RrType::NSEC3))
        .collect();
    let at_cut = proofs.iter().any(|proof| match proof.rtype {
        RrType::NSEC3 => proof.bitmap().into_iter().eq([RrType::NS.0]),
        RrType::NSEC => {
            proof.owner.lower() == ns.owner.lower()
                && proof
                    .bitmap()
                    .into_iter()
                    .eq([RrType::NS.0, RrType::RRSIG.0, RrType::NSEC.0])
        }
        _ => proof.owner.lower() == ns.owner.lower(),
    });
    if !at_cut {
        return Some("neither a DS nor a proof that there is none".into());
    }
    if answer.authority.iter().any(|record| record.rtype == RrType::SOA) {
        return Some("an SOA beside the NS".into());
    }
    proofs.iter().find_map(|proof| {
        let is_its = |signature: &&Record| {
            signature.rtype == RrType::RRSIG
                && signature.covered() == proof.rtype
                && signature.owner.lower() == proof.owner.lower()
        };
        let signature = answer.authority.iter().find(is_its);
        match signature {
            Some(signature) if keys.iter().any(|key| verifies(key, proof, signature)) => None,
            _ => Some(format!("{proof} has no good signature")),
        }
    })
}

/// Whether an ECDSAP256SHA256 signature of an RRset of one record, without names that need folding in its rdata,
/// is good (RFC 4034 section 3.1.8.1).
fn verifies(dnskey: &Record, record: &Record, signature: &Record) -> bool {
    let signer = signature.names()[0].clone();
    let fixed = 18 + signer.0.len();
    let mut message = signature.rdata[..18].to_vec();
    message.extend_from_slice(&signer.lower().0);
    message.extend_from_slice(&record.owner.lower().0);
    message.extend_from_slice(&record.rtype.0.to_be_bytes());
    message.extend_from_slice(&record.class.to_be_bytes());
    message.extend_from_slice(&signature.rdata[4..8]);
    message.extend_from_slice(&(record.rdata.len() as u16).to_be_bytes());
    message.extend_from_slice(&record.rdata);
    let point = [&[4], &dnskey.rdata[4..]].concat();
    ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, point)
        .verify(&message, &signature.rdata[fixed..])
        .is_ok()
}

/// Asks every question; what is wrong, and how many answers were beyond this judge. `ds` is the trust anchor, and
/// its owner the zone.
pub fn complaints(
    ds: &str,
    server: SocketAddr,
    denial: &str,
    queries: &[Query],
) -> (Vec<String>, BTreeMap<Beyond, usize>) {
    complaints_with_keys_of(server, ds, server, denial, queries)
}

/// The same, but the keys come from another server than the answers.
pub fn complaints_with_keys_of(
    keys_from: SocketAddr,
    ds: &str,
    server: SocketAddr,
    denial: &str,
    queries: &[Query],
) -> (Vec<String>, BTreeMap<Beyond, usize>) {
    let judge = Judge::new(ds, keys_from, server);
    let origin = Name::parse(ds.split_whitespace().next().expect("an owner"));
    let keys = ask(keys_from, &Query::new(origin.clone(), RrType::DNSKEY)).answer;
    let (mut found, mut unjudged) = (Vec::new(), BTreeMap::new());
    for (query, answer) in queries.iter().zip(ask_all(server, queries)) {
        let beyond = beyond(&origin, query, &answer, denial);
        if let Some(reason) = beyond {
            *unjudged.entry(reason).or_default() += 1;
        }
        let wrong = match beyond {
            Some(Beyond::Referral) => wrong_referral(&answer, &keys),
            Some(_) => None,
            None => Some(judge.state(&answer)).filter(|state| state != "secure"),
        };
        found.extend(wrong.map(|wrong| format!("=== {query}: {wrong}\n{answer}")));
    }
    (found, unjudged)
}
