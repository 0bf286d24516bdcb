//! The same questions from other places: one site of an anycast address is all that is seen from here.

use futures_util::{StreamExt as _, stream};

use super::{
    Answered, Survey, Targets, Way,
    ask::{OF_MEMBERS, OF_PARENT, question},
};
use crate::{
    client::Relay,
    clock::Clock,
    multisigner::observe::{At, Unseen},
    wire::{Name, RrType},
};

/// How many servers are asked from one place at the same time: each takes a process here.
const AT_ONCE: usize = 8;

/// What was seen from other places.
#[derive(Clone, Debug, Default)]
pub struct Elsewhere {
    /// Of every provider, this server first, which is not asked: it is one process in one place.
    members: Vec<Vec<Answered>>,
    parent: Vec<Answered>,
}

/// Asks the other providers' servers and the parent's from all these places.
pub async fn from_elsewhere(
    relays: &[Relay],
    zone: &Name,
    members: &[Targets],
    parent: &Targets,
    clock: &dyn Clock,
) -> Elsewhere {
    let mut found = Elsewhere {
        members: vec![Vec::new(); members.len()],
        parent: Vec::new(),
    };
    let others = members.iter().enumerate().skip(1);
    let others = others.map(|(place, targets)| (Some(place), targets, &OF_MEMBERS[..]));
    let all: Vec<_> = others.chain([(None, parent, &OF_PARENT[..])]).collect();
    let from_one = |relay| {
        let mut asked = Vec::new();
        for (place, targets, types) in &all {
            // What was not found is told by the look from here.
            for at in targets.servers.iter().flatten() {
                asked.push(async move { (*place, ask_one(relay, zone, at, types, clock).await) });
            }
        }
        stream::iter(asked).buffered(AT_ONCE).collect::<Vec<_>>()
    };
    let answered = futures_util::future::join_all(relays.iter().map(from_one)).await;
    for (place, answered) in answered.into_iter().flatten() {
        let list = match place {
            Some(place) => found.members.get_mut(place),
            None => Some(&mut found.parent),
        };
        list.into_iter().for_each(|list| list.push(answered.clone()));
    }
    found
}

async fn ask_one(relay: &Relay, zone: &Name, at: &At, types: &[RrType], clock: &dyn Clock) -> Answered {
    let asked = clock.now();
    let questions: Vec<_> = types.iter().map(|rtype| question(zone, *rtype)).collect();
    let answers = relay.ask(at.address, &questions).await;
    let answers = answers.into_iter().map(|answer| answer.map_err(Unseen::from));
    Answered {
        at: Some(at.clone()),
        way: Way::From(relay.name.clone()),
        asked,
        answers: types.iter().copied().zip(answers).collect(),
    }
}

impl Survey {
    /// Adds what was seen from other places.
    pub fn add(&mut self, elsewhere: Elsewhere) {
        for (member, more) in self.members.iter_mut().zip(elsewhere.members) {
            member.servers.extend(more);
        }
        self.parent.extend(elsewhere.parent);
    }
}
