//! The asking: every question of every server, at the same time, within bounds.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures_util::{StreamExt as _, future::join, stream};

use super::{ParentSaid, Probe, Survey, Surveyed, Target, samples};
use crate::{
    answer::Transport,
    client::{Asker, Question},
    clock::Clock,
    dnssec::validate::Ds,
    multisigner::observe::{self, At, Unseen},
    wire::{Name, RrType, received::Received},
};

/// How many servers are asked at the same time.
const SERVERS_AT_ONCE: usize = 16;
/// How many questions one server has to answer at the same time: few, for it has others to serve.
const QUESTIONS_AT_ONCE: usize = 8;

/// What is to be asked.
#[derive(Debug)]
pub struct Request {
    /// The zone.
    pub zone: Name,
    /// The servers.
    pub targets: Vec<Target>,
    /// The questions; the first for the SOA.
    pub probes: Vec<Probe>,
    /// The parent's servers.
    pub parent: Vec<At>,
    /// DS records that a person gives.
    pub given: Vec<Ds>,
}

/// How far the asking is.
#[derive(Debug, Default)]
pub struct Progress {
    asked: AtomicUsize,
    answered: AtomicUsize,
}

impl Progress {
    /// Questions that are to be answered, and those that are.
    pub fn counts(&self) -> (usize, usize) {
        let load = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        (load(&self.asked), load(&self.answered))
    }
}

/// Asks everything.
pub async fn survey(asker: &Asker, request: Request, clock: &dyn Clock, progress: &Progress) -> Survey {
    let Request {
        zone,
        targets,
        mut probes,
        parent,
        given,
    } = request;
    progress
        .asked
        .fetch_add(targets.len() * (probes.len() + 1), Ordering::Relaxed);
    let (mut servers, mut parent) = join(
        first_round(asker, targets, &probes, progress),
        ask_parent(asker, &zone, &parent),
    )
    .await;
    parent.given = given;
    let answers = servers.iter().flat_map(|server| &server.answers);
    let more = samples::follow_up(&zone, &probes, answers.filter_map(|answer| answer.as_ref().ok()));
    progress
        .asked
        .fetch_add(servers.len() * more.len(), Ordering::Relaxed);
    let mut asked = Vec::with_capacity(servers.len());
    for server in &servers {
        asked.push(ask_rest(
            asker,
            server.target.at.address,
            &more,
            &server.answers[0],
            progress,
        ));
    }
    let rounds: Vec<_> = stream::iter(asked).buffered(SERVERS_AT_ONCE).collect().await;
    for (server, answers) in servers.iter_mut().zip(rounds) {
        server.answers.extend(answers);
    }
    probes.extend(more);
    Survey {
        zone,
        now: clock.now(),
        probes,
        servers,
        parent,
    }
}

async fn first_round(
    asker: &Asker,
    targets: Vec<Target>,
    probes: &[Probe],
    progress: &Progress,
) -> Vec<Surveyed> {
    let mut asked = Vec::with_capacity(targets.len());
    for target in targets {
        asked.push(ask_server(asker, target, probes, progress));
    }
    stream::iter(asked).buffered(SERVERS_AT_ONCE).collect().await
}

async fn ask_server(asker: &Asker, target: Target, probes: &[Probe], progress: &Progress) -> Surveyed {
    let address = target.at.address;
    let (first, rest) = probes.split_first().expect("the first question is for the SOA");
    let (by_datagram, tcp) = join(
        ask_one(asker, Transport::Udp, address, first, progress),
        ask_one(asker, Transport::Tcp, address, first, progress),
    )
    .await;
    let mut answers = vec![by_datagram];
    let more = ask_rest(asker, address, rest, &answers[0], progress).await;
    answers.extend(more);
    Surveyed {
        target,
        answers,
        tcp: tcp.map(drop),
    }
}

/// Asks the other questions; not of a server that did not answer the first, for each would take as long.
async fn ask_rest(
    asker: &Asker,
    address: std::net::SocketAddr,
    probes: &[Probe],
    first: &Result<Received, Unseen>,
    progress: &Progress,
) -> Vec<Result<Received, Unseen>> {
    if let Err(unseen @ Unseen::Unreachable(_)) = first {
        progress.answered.fetch_add(probes.len(), Ordering::Relaxed);
        return vec![Err(unseen.clone()); probes.len()];
    }
    let mut asked = Vec::with_capacity(probes.len());
    for probe in probes {
        asked.push(ask_one(asker, Transport::Udp, address, probe, progress));
    }
    stream::iter(asked).buffered(QUESTIONS_AT_ONCE).collect().await
}

async fn ask_one(
    asker: &Asker,
    transport: Transport,
    address: std::net::SocketAddr,
    probe: &Probe,
    progress: &Progress,
) -> Result<Received, Unseen> {
    let question = question(&probe.name, probe.rtype);
    let answer = asker.ask_over(transport, address, &question).await;
    progress.answered.fetch_add(1, Ordering::Relaxed);
    answer.map_err(Unseen::from)
}

fn question(name: &Name, rtype: RrType) -> Question {
    Question {
        name: name.clone(),
        rtype,
        dnssec: true,
        recursion: false,
    }
}

async fn ask_parent(asker: &Asker, zone: &Name, servers: &[At]) -> ParentSaid {
    let mut asked = Vec::with_capacity(servers.len());
    for at in servers {
        asked.push(delegated_to(asker, zone, at));
    }
    let ns = stream::iter(asked).buffered(SERVERS_AT_ONCE).collect::<Vec<_>>();
    let (ds, ns) = join(observe::ds_at(asker, zone, servers), ns).await;
    ParentSaid {
        ds,
        ns: ns.into_iter().flatten().collect(),
        given: Vec::new(),
    }
}

/// The name servers that a parent's server refers to.
async fn delegated_to(asker: &Asker, zone: &Name, at: &At) -> Option<(At, BTreeSet<Name>)> {
    let answer = asker.ask(at.address, &question(zone, RrType::NS)).await.ok()?;
    let records = answer.answers.iter().chain(&answer.authorities);
    let targets: BTreeSet<Name> = records
        .filter(|record| record.rtype == RrType::NS && record.owner == *zone)
        .filter_map(|record| Name::from_wire(&record.rdata).ok())
        .collect();
    (!targets.is_empty()).then(|| (at.clone(), targets))
}
