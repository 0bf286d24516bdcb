//! What a server does not show alike by every way by which it was asked: over UDP and over TCP, from here and from elsewhere.

use super::{
    Answered, Survey, Way,
    ask::{OF_MEMBERS, OF_PARENT, alike},
};
use crate::{multisigner::observe::Unseen, wire::RrType};

/// Something that a server does not show alike.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Difference {
    /// Which server, which way and which type: what makes it the same in the next look, whatever an error says then.
    pub about: String,
    /// The place, where it was asked from another one.
    pub place: Option<String>,
    /// What differs, and what follows, in words.
    pub what: String,
    /// Whether it may be a change on its way to all servers, which passes.
    pub passes: bool,
}

impl Survey {
    /// What servers do not show alike by every way.
    pub fn differences(&self) -> Vec<Difference> {
        let mut found = Vec::new();
        let members = self
            .members
            .iter()
            .map(|member| (&member.servers, &OF_MEMBERS[..]));
        for (servers, types) in members.chain([(&self.parent, &OF_PARENT[..])]) {
            for usual in servers
                .iter()
                .filter(|server| server.way == Way::Udp && server.at.is_some())
            {
                // What fails at every server is no matter of one.
                let counts = |server: &&Answered| match &server.way {
                    Way::Udp => false,
                    Way::Tcp => server.at == usual.at,
                    Way::From(place) => server.at == usual.at && !self.failed.contains(place),
                };
                let others = servers.iter().filter(counts);
                found.extend(others.filter_map(|other| difference(usual, other, types)));
            }
        }
        found.sort();
        found.dedup_by(|one, other| one.about == other.about);
        found
    }
}

/// The first difference between two ways to one server.
fn difference(usual: &Answered, other: &Answered, types: &[RrType]) -> Option<Difference> {
    let both = types
        .iter()
        .filter_map(|rtype| Some((*rtype, usual.answers.get(rtype)?, other.answers.get(rtype)?)));
    both.into_iter().find_map(|(rtype, here, there)| match (here, there) {
        (Ok(here), Ok(there)) if alike(rtype, here, there) => None,
        (Ok(_) | Err(Unseen::Odd(_)), Err(Unseen::Unreachable(why))) => Some(silent(usual, &other.way, why)),
        (Err(Unseen::Unreachable(why)), Ok(_) | Err(Unseen::Odd(_))) => Some(only(usual, &other.way, why)),
        (Err(Unseen::Unreachable(_)), Err(Unseen::Unreachable(_))) => None,
        (Err(Unseen::Odd(_)), Err(Unseen::Odd(_))) => None,
        _ => {
            let what = match &other.way {
                Way::From(place) => format!(
                    "{usual} does not answer {rtype} from {place} as from here; a plan needs it to show the same in both places"
                ),
                _ => format!(
                    "{usual} does not answer {rtype} over TCP as over UDP; which of the two a resolver gets is chance, and a plan needs both to show what it waits for"
                ),
            };
            Some(Difference {
                about: format!("{usual} {rtype} {}", in_words(&other.way)),
                place: place(&other.way),
                what,
                passes: true,
            })
        }
    })
}

fn in_words(way: &Way) -> String {
    match way {
        Way::Udp => "over UDP".to_owned(),
        Way::Tcp => "over TCP".to_owned(),
        Way::From(place) => format!("from {place}"),
    }
}

fn place(way: &Way) -> Option<String> {
    match way {
        Way::From(place) => Some(place.clone()),
        Way::Udp | Way::Tcp => None,
    }
}

/// It answers by datagrams from here, and not this way.
fn silent(usual: &Answered, way: &Way, why: &str) -> Difference {
    let what = match way {
        Way::From(place) => format!(
            "{usual} cannot be reached from {place}: {why}; no plan counts it as seen. See to the [[vantage]] {place}, or take it out of the configuration"
        ),
        _ => format!(
            "{usual} answers over UDP and not over TCP: {why}; resolvers that need TCP, as for a large DNSKEY RRset, get nothing, and no plan counts it as seen. Let it answer over TCP (RFC 9210), or open the way there for port 53/tcp"
        ),
    };
    Difference {
        about: format!("{usual} is silent {}", in_words(way)),
        place: place(way),
        what,
        passes: false,
    }
}

/// It answers this way, and not by datagrams from here.
fn only(usual: &Answered, way: &Way, why: &str) -> Difference {
    let what = match way {
        Way::From(place) => format!(
            "{usual} can be reached from {place} and not from here: {why}; no plan counts it as seen. Open the way there"
        ),
        _ => format!(
            "{usual} answers over TCP and not over UDP: {why}; few resolvers come to ask over TCP, and no plan counts it as seen. Open the way there for port 53/udp"
        ),
    };
    Difference {
        about: format!("{usual} answers only {}", in_words(way)),
        place: place(way),
        what,
        passes: false,
    }
}
