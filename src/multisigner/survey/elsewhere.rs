//! The same questions from other places: one site of an anycast address is all that is seen from here.
//!
//! A place that fails at the first few servers, whoever they belong to, is not waited for again and again: it is asked no
//! more in this look. Until then it is tried at servers of everybody and of both address families, for it may lack one, and
//! a server may be down.

use std::{collections::BTreeMap, net::SocketAddr};

use futures_util::{StreamExt as _, stream};

use super::{
    Answered, Survey, Targets, Way,
    ask::{OF_MEMBERS, OF_PARENT, Questions, question},
    samples::{Sample, Sampled},
};
use crate::{
    client::{Relay, Streams, relay::STREAMS},
    clock::Clock,
    multisigner::observe::{At, Unseen},
    wire::RrType,
};

/// At how many servers a place is tried before all others.
const TRIED: usize = 4;

/// What was seen from other places.
#[derive(Clone, Debug, Default)]
pub struct Elsewhere {
    /// Of every provider, this server first, which is not asked: it is one process in one place.
    members: Vec<Vec<Answered>>,
    parent: Vec<Answered>,
    /// The places from which nothing came, and why.
    pub failed: BTreeMap<String, String>,
}

/// Somebody who is asked.
#[derive(Clone, Copy)]
struct Asked<'a> {
    /// Which provider; none is the parent.
    place: Option<usize>,
    at: &'a At,
    types: &'static [RrType],
    samples: &'a [Sample],
}

/// Asks the other providers' servers and the parent's from all these places, but for those that are `spared`, of which is
/// known why nothing would come.
pub async fn from_elsewhere(
    relays: &[Relay],
    streams: &Streams,
    spared: &BTreeMap<String, String>,
    questions: Questions<'_>,
    members: &[Targets],
    parent: &Targets,
    clock: &dyn Clock,
) -> Elsewhere {
    let mut found = Elsewhere {
        members: vec![Vec::new(); members.len()],
        ..Elsewhere::default()
    };
    let all = in_turn(members, parent, questions.samples);
    let places: Vec<From<'_>> = relays
        .iter()
        .map(|relay| From {
            relay,
            streams,
            questions,
            clock,
        })
        .collect();
    let looks = places
        .iter()
        .map(|from| from.look(&all, spared.get(&from.relay.name)));
    let looks = futures_util::future::join_all(looks).await;
    for (relay, (answered, failed)) in relays.iter().zip(looks) {
        for (asked, answered) in all.iter().zip(answered) {
            let list = match asked.place {
                Some(place) => found.members.get_mut(place),
                None => Some(&mut found.parent),
            };
            list.into_iter().for_each(|list| list.push(answered.clone()));
        }
        found.failed.extend(failed.map(|why| (relay.name.clone(), why)));
    }
    found
}

/// Everybody who is asked: the first of everyone's in each address family, then the second ones, and so on.
fn in_turn<'a>(members: &'a [Targets], parent: &'a Targets, samples: &'a [Sample]) -> Vec<Asked<'a>> {
    let others = members.iter().enumerate().skip(1);
    let others = others.map(|(place, targets)| (Some(place), targets, &OF_MEMBERS[..], samples));
    let mut ranks: BTreeMap<(Option<usize>, bool), usize> = BTreeMap::new();
    let mut all = Vec::new();
    for (place, targets, types, samples) in others.chain([(None, parent, &OF_PARENT[..], &[][..])]) {
        // What was not found is told by the look from here.
        for at in targets.servers.iter().flatten() {
            let is_ipv4 = matches!(at.address, SocketAddr::V4(_));
            let rank = ranks.entry((place, is_ipv4)).or_default();
            let asked = Asked {
                place,
                at,
                types,
                samples,
            };
            all.push((*rank, asked));
            *rank += 1;
        }
    }
    all.sort_by_key(|(rank, _)| *rank);
    all.into_iter().map(|(_, asked)| asked).collect()
}

/// One place, and what is asked there.
struct From<'a> {
    relay: &'a Relay,
    streams: &'a Streams,
    questions: Questions<'a>,
    clock: &'a dyn Clock,
}

impl From<'_> {
    /// What everybody answers; and why nothing came, where nothing did.
    async fn look(&self, all: &[Asked<'_>], spared: Option<&String>) -> (Vec<Answered>, Option<String>) {
        if let Some(why) = spared {
            let answered = all.iter().map(|asked| self.unasked(asked, why));
            return (answered.collect(), Some(why.clone()));
        }
        let (first, rest) = all.split_at(all.len().min(TRIED));
        let mut answered = self.ask_all(first).await;
        let failed = answered.iter().map(why_nothing_came).collect::<Option<Vec<_>>>();
        let failed = failed.and_then(|why| why.into_iter().next());
        match &failed {
            Some(why) => answered.extend(rest.iter().map(|asked| self.unasked(asked, why))),
            None => answered.extend(self.ask_all(rest).await),
        }
        (answered, failed)
    }

    async fn ask_all(&self, these: &[Asked<'_>]) -> Vec<Answered> {
        let mut asking = Vec::with_capacity(these.len());
        for asked in these {
            asking.push(self.ask(*asked));
        }
        stream::iter(asking).buffered(STREAMS).collect().await
    }

    async fn ask(&self, asked: Asked<'_>) -> Answered {
        let _stream = self.streams.one(&self.relay.name).await;
        let Asked {
            at, types, samples, ..
        } = asked;
        let asked = self.clock.now();
        let of_apex = types.iter().map(|rtype| question(self.questions.zone, *rtype));
        let questions: Vec<_> = of_apex.chain(samples.iter().map(Sample::question)).collect();
        let answers = self.relay.ask(at.address, &questions).await;
        let mut answers = answers.into_iter().map(|answer| answer.map_err(Unseen::from));
        let of_apex = types.iter().copied().zip(answers.by_ref()).collect();
        // All on one stream: what a slow place had no time for is no fault of a server.
        let sampled = samples.iter().cloned().zip(answers);
        let sampled = sampled.filter(|(_, answer)| !matches!(answer, Err(Unseen::Unreachable(_))));
        Answered {
            at: Some(at.clone()),
            way: Way::From(self.relay.name.clone()),
            asked,
            came: self.clock.now(),
            answers: of_apex,
            samples: sampled.collect(),
        }
    }

    fn unasked(&self, asked: &Asked<'_>, why: &str) -> Answered {
        let unseen = || Unseen::Unreachable(format!("nothing came from there: {why}"));
        let now = self.clock.now();
        Answered {
            at: Some(asked.at.clone()),
            way: Way::From(self.relay.name.clone()),
            asked: now,
            came: now,
            answers: asked.types.iter().map(|rtype| (*rtype, Err(unseen()))).collect(),
            samples: Sampled::new(),
        }
    }
}

/// Why nothing came from a server; none when something did.
fn why_nothing_came(answered: &Answered) -> Option<String> {
    let first = answered.answers.values().next()?;
    match first {
        Err(Unseen::Unreachable(why)) if answered.is_away() => Some(why.clone()),
        _ => None,
    }
}

impl Survey {
    /// Adds what was seen from other places.
    pub fn add(&mut self, elsewhere: Elsewhere) {
        for (member, more) in self.members.iter_mut().zip(elsewhere.members) {
            member.servers.extend(more);
        }
        self.parent.extend(elsewhere.parent);
        self.failed.extend(elsewhere.failed.into_keys());
    }
}
