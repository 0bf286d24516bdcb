//! The asking: every server at the same time, within bounds.

use futures_util::{StreamExt as _, future::join_all, stream};

use super::{Answered, MemberSeen, Survey};
use crate::{
    client::{Asker, Question},
    clock::Clock,
    multisigner::observe::{At, Unseen},
    wire::{Name, RrType},
};

/// How many servers are asked at the same time.
const AT_ONCE: usize = 16;
/// A type for private use (RFC 6895 §3.1) that no zone has, so that its absence is proved.
const NOBODYS_TYPE: RrType = RrType(65_281);

/// The places of the answers of a provider's server.
pub(super) const DNSKEY: usize = 0;
pub(super) const SOA: usize = 1;
pub(super) const NS: usize = 2;
pub(super) const ABSENT: usize = 3;
pub(super) const CDS: usize = 4;
pub(super) const CDNSKEY: usize = 5;
const OF_MEMBERS: [RrType; 6] = [
    RrType::DNSKEY,
    RrType::SOA,
    RrType::NS,
    NOBODYS_TYPE,
    RrType::CDS,
    RrType::CDNSKEY,
];

/// The places of the answers of a parent's server.
pub(super) const DS: usize = 0;
pub(super) const PARENT_NS: usize = 1;
const OF_PARENT: [RrType; 2] = [RrType::DS, RrType::NS];

/// Servers that are to be asked; what could not be found is in words.
#[derive(Clone, Debug, Default)]
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
    stream::iter(asked).buffered(AT_ONCE).collect().await
}

async fn ask_one(
    asker: &Asker,
    zone: &Name,
    server: &Result<At, String>,
    types: &[RrType],
    clock: &dyn Clock,
) -> Answered {
    let asked = clock.now();
    let at = match server {
        Ok(at) => at,
        Err(why) => {
            let answers = types.iter().map(|_| Err(Unseen::Unreachable(why.clone())));
            return Answered {
                server: "a server that was not found".to_owned(),
                asked,
                answers: answers.collect(),
            };
        }
    };
    let mut answers = Vec::with_capacity(types.len());
    for rtype in types {
        // A server that cannot be reached is not waited for again and again.
        if let Some(Err(Unseen::Unreachable(why))) = answers.first() {
            let why: &String = why;
            answers.push(Err(Unseen::Unreachable(why.clone())));
            continue;
        }
        let question = Question {
            name: zone.clone(),
            rtype: *rtype,
            dnssec: true,
            recursion: false,
        };
        answers.push(asker.ask(at.address, &question).await.map_err(Unseen::from));
    }
    Answered {
        server: at.to_string(),
        asked,
        answers,
    }
}
