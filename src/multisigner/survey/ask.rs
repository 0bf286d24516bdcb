//! The asking: every server at the same time, over UDP and over TCP, within bounds.
//!
//! Over TCP only the first question is asked, which decides most (DNSKEY, DS). Where the answer to that is not the same,
//! all others are asked over TCP too, and both are looked at: a step needs what it rests on to be shown by both.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, future::join, future::join_all, stream};

use super::{Answered, Answers, MemberSeen, Survey, Way};
use crate::{
    answer::Transport,
    client::{Asker, Question},
    clock::Clock,
    multisigner::observe::{At, Unseen},
    wire::{Name, RrType, Ttl, received::Received},
};

/// How many servers are asked at the same time.
const AT_ONCE: usize = 16;
/// A type for private use (RFC 6895 §3.1) that no zone has, so that its absence is proved.
pub(super) const NOBODYS_TYPE: RrType = RrType(65_281);

/// What a provider's servers are asked for; the first decides whether the others are asked over TCP too.
pub(super) const OF_MEMBERS: [RrType; 7] = [
    RrType::DNSKEY,
    RrType::SOA,
    RrType::NS,
    NOBODYS_TYPE,
    RrType::CDS,
    RrType::CDNSKEY,
    RrType::CSYNC,
];
/// What the parent's servers are asked for; the first as above.
pub(super) const OF_PARENT: [RrType; 2] = [RrType::DS, RrType::NS];

/// Servers that are to be asked; what could not be found is in words.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Targets {
    /// What they are called in NS RRsets.
    pub names: Vec<Name>,
    /// Where they are.
    pub servers: Vec<Result<At, String>>,
}

/// Asks all servers of all providers, this server's first, and of the parent.
pub async fn survey(
    asker: &Asker,
    zone: &Name,
    members: &[Targets],
    parent: &Targets,
    clock: &dyn Clock,
) -> Survey {
    let at = clock.now();
    let mut asked = Vec::new();
    for targets in members {
        asked.push(ask_all(asker, zone, &targets.servers, &OF_MEMBERS, clock));
    }
    let (seen, parent) = futures_util::future::join(
        join_all(asked),
        ask_all(asker, zone, &parent.servers, &OF_PARENT, clock),
    )
    .await;
    let members = members.iter().zip(seen).map(|(targets, servers)| MemberSeen {
        names: targets.names.clone(),
        servers,
    });
    Survey {
        zone: zone.clone(),
        at,
        members: members.collect(),
        parent,
        failed: BTreeSet::new(),
    }
}

async fn ask_all(
    asker: &Asker,
    zone: &Name,
    servers: &[Result<At, String>],
    types: &[RrType],
    clock: &dyn Clock,
) -> Vec<Answered> {
    let mut asked = Vec::with_capacity(servers.len());
    for server in servers {
        asked.push(ask_one(asker, zone, server, types, clock));
    }
    let answered: Vec<Vec<Answered>> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    answered.into_iter().flatten().collect()
}

/// One server, over UDP and over TCP.
async fn ask_one(
    asker: &Asker,
    zone: &Name,
    server: &Result<At, String>,
    types: &[RrType],
    clock: &dyn Clock,
) -> Vec<Answered> {
    let asked = clock.now();
    let at = match server {
        Ok(at) => at,
        Err(why) => {
            let unseen = |rtype: &RrType| (*rtype, Err(Unseen::Unreachable(why.clone())));
            return vec![Answered {
                at: None,
                way: Way::Udp,
                asked,
                came: asked,
                answers: types.iter().map(unseen).collect(),
            }];
        }
    };
    let (decisive, others) = types.split_at(1);
    let over = |transport, types| ask_over(asker, transport, zone, at, types);
    let (udp, mut tcp) = join(over(Transport::Udp, types), over(Transport::Tcp, decisive)).await;
    if differ(&udp, &tcp) {
        tcp.extend(over(Transport::Tcp, others).await);
    }
    let came = clock.now();
    let answered = |way, answers| Answered {
        at: Some(at.clone()),
        way,
        asked,
        came,
        answers,
    };
    vec![answered(Way::Udp, udp), answered(Way::Tcp, tcp)]
}

/// All questions over one transport. A server that cannot be reached is not waited for again and again.
async fn ask_over(asker: &Asker, transport: Transport, zone: &Name, at: &At, types: &[RrType]) -> Answers {
    let mut answers = Answers::new();
    let mut unreachable = None;
    for rtype in types {
        let answer = match &unreachable {
            Some(why) => Err(Unseen::Unreachable(String::clone(why))),
            None => {
                let question = question(zone, *rtype);
                let answer = asker.ask_over(transport, at.address, &question).await;
                answer.map_err(Unseen::from)
            }
        };
        if let (true, Err(Unseen::Unreachable(why))) = (answers.is_empty(), &answer) {
            unreachable = Some(why.clone());
        }
        answers.insert(*rtype, answer);
    }
    answers
}

pub(super) fn question(zone: &Name, rtype: RrType) -> Question {
    Question {
        name: zone.clone(),
        rtype,
        dnssec: true,
        recursion: false,
    }
}

/// Whether both answered some question, and not alike.
fn differ(some: &Answers, others: &Answers) -> bool {
    let both = some
        .iter()
        .filter_map(|(rtype, answer)| Some((*rtype, answer, others.get(rtype)?)));
    both.into_iter().any(|(rtype, one, other)| match (one, other) {
        (Ok(one), Ok(other)) => !alike(rtype, one, other),
        _ => false,
    })
}

/// Whether two answers say the same: the code, and the records of the type with their TTLs. Signatures may be newer, and
/// each server may have made its own.
pub(super) fn alike(rtype: RrType, one: &Received, other: &Received) -> bool {
    let records = |received: &Received| -> BTreeMap<Box<[u8]>, Ttl> {
        let sections = received.answers.iter().chain(&received.authorities);
        let of_type = sections.filter(|record| record.rtype == rtype);
        of_type.map(|record| (record.rdata.clone(), record.ttl)).collect()
    };
    let code = |received: &Received| (received.rcode, received.authoritative);
    code(one) == code(other) && records(one) == records(other)
}
