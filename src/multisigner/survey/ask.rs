//! The asking: every server at the same time, over UDP and over TCP, within bounds.
//!
//! Over TCP only the first question is asked, which decides most (DNSKEY, DS). Where the answer to that is not the same,
//! all others are asked over TCP too, and both are looked at: a step needs what it rests on to be shown by both.
//!
//! Samples of the content are asked for beside the others, one after the other, so that a server has one question more to
//! answer at a time, and a look takes no longer.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{
    StreamExt as _,
    future::{join, join_all, join3},
    stream,
};

use super::{
    Answered, Answers, MemberSeen, Survey, Way,
    samples::{Sample, Sampled},
};
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

/// What is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Questions<'a> {
    /// The zone.
    pub zone: &'a Name,
    /// What of its content providers are asked for.
    pub samples: &'a [Sample],
}

/// Asks all servers of all providers, this server's first, and of the parent.
pub async fn survey(
    asker: &Asker,
    questions: Questions<'_>,
    members: &[Targets],
    parent: &Targets,
    clock: &dyn Clock,
) -> Survey {
    let (at, zone) = (clock.now(), questions.zone);
    let of_parent = Questions { zone, samples: &[] };
    let mut asked = Vec::new();
    for targets in members {
        asked.push(ask_all(asker, questions, &targets.servers, &OF_MEMBERS, clock));
    }
    let (seen, parent) = join(
        join_all(asked),
        ask_all(asker, of_parent, &parent.servers, &OF_PARENT, clock),
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
    questions: Questions<'_>,
    servers: &[Result<At, String>],
    types: &[RrType],
    clock: &dyn Clock,
) -> Vec<Answered> {
    let mut asked = Vec::with_capacity(servers.len());
    for server in servers {
        asked.push(ask_one(asker, questions, server, types, clock));
    }
    let answered: Vec<Vec<Answered>> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    answered.into_iter().flatten().collect()
}

/// One server, over UDP and over TCP.
async fn ask_one(
    asker: &Asker,
    questions: Questions<'_>,
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
                samples: Sampled::new(),
            }];
        }
    };
    let Questions { zone, samples } = questions;
    let (decisive, others) = types.split_at(1);
    let over = |transport, types| ask_over(asker, transport, zone, at, types);
    let sampled = |transport| ask_samples(asker, transport, at, samples);
    let (udp, mut tcp, mut by_udp) = join3(
        over(Transport::Udp, types),
        over(Transport::Tcp, decisive),
        sampled(Transport::Udp),
    )
    .await;
    let mut by_tcp = Sampled::new();
    if differ(&udp, &tcp) {
        let (more, sampled) = join(over(Transport::Tcp, others), sampled(Transport::Tcp)).await;
        tcp.extend(more);
        by_tcp = sampled;
    }
    if udp.values().any(|answer| !is_away(answer)) {
        ask_again(asker, at, &mut by_udp).await;
    }
    let came = clock.now();
    let answered = |way, answers, samples| Answered {
        at: Some(at.clone()),
        way,
        asked,
        came,
        answers,
        samples,
    };
    vec![answered(Way::Udp, udp, by_udp), answered(Way::Tcp, tcp, by_tcp)]
}

fn is_away(answer: &Result<Received, Unseen>) -> bool {
    matches!(answer, Err(Unseen::Unreachable(_)))
}

/// All questions about the apex over one transport.
async fn ask_over(asker: &Asker, transport: Transport, zone: &Name, at: &At, types: &[RrType]) -> Answers {
    let questions = types.iter().map(|rtype| question(zone, *rtype));
    let answers = ask_in_turn(asker, transport, at, questions).await;
    types.iter().copied().zip(answers).collect()
}

async fn ask_samples(asker: &Asker, transport: Transport, at: &At, samples: &[Sample]) -> Sampled {
    let questions = samples.iter().map(Sample::question);
    let answers = ask_in_turn(asker, transport, at, questions).await;
    samples.iter().cloned().zip(answers).collect()
}

/// What a server that answers did not answer over UDP is asked for over TCP, as what was cut is.
async fn ask_again(asker: &Asker, at: &At, samples: &mut Sampled) {
    let missing = samples.iter().filter(|(_, answer)| is_away(answer));
    let missing: Vec<Sample> = missing.map(|(sample, _)| sample.clone()).collect();
    samples.extend(ask_samples(asker, Transport::Tcp, at, &missing).await);
}

/// One after the other. A server that cannot be reached is not waited for again and again.
async fn ask_in_turn(
    asker: &Asker,
    transport: Transport,
    at: &At,
    questions: impl Iterator<Item = Question>,
) -> Vec<Result<Received, Unseen>> {
    let mut answers: Vec<Result<Received, Unseen>> = Vec::new();
    for question in questions {
        let answer = match answers.first() {
            Some(away) if is_away(away) => away.clone(),
            _ => {
                let answer = asker.ask_over(transport, at.address, &question).await;
                answer.map_err(Unseen::from)
            }
        };
        answers.push(answer);
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
