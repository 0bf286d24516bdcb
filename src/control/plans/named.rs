//! The servers that NS RRsets lead to: whatever a resolver may ask is asked too, or is said to be missing.
//!
//! Who is asked follows from the configuration; where resolvers go follows from the NS RRsets of the parent and of every
//! provider. An address that only they know of could serve keys that are gone with nobody noticing.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use super::{
    super::{server::Server, whereabouts::Whereabouts},
    lock,
};
use crate::{
    clock::Clock,
    multisigner::{
        observe::At,
        survey::{Survey, Targets, whose},
    },
    wire::{Name, RrType},
    zone::snapshot::SearchName,
};

/// How long a name counts that no NS RRset has any more: servers differ, and answers get lost.
const NAMES_HOLD: Duration = Duration::from_secs(300);
/// How many names are looked up; the root has 13.
const MOST_NAMES: usize = 64;
/// What a person can do about a name server of ours that is silent.
pub(super) const IF_OURS: &str = "; it is a name server of ours by the NS RRset: let it be asked from here; or, where its \
     address leads to this very server, and only from outside, name it in `public_addresses`; or, where it is another \
     provider's, in `server_names` of its [[provider]]";

/// A name in an NS RRset, and an address that an answer gave with it.
pub(super) type Named = (Name, Option<IpAddr>);

/// What NS RRsets named lately, with the steady time at which each was last seen.
#[derive(Debug, Default)]
pub(super) struct Lately(BTreeMap<Named, Duration>);

/// Keeps whom a look found in NS RRsets, and says whom.
pub(super) fn take(server: &Server, seen: &Survey) -> BTreeSet<Named> {
    let found = seen.named();
    keep(server, &seen.zone, &found);
    found
}

fn keep(server: &Server, zone: &Name, found: &BTreeSet<Named>) {
    let now = server.clock.steady();
    let mut lately = lock(&server.plans.named);
    let Lately(known) = lately.entry(zone.clone()).or_default();
    known.extend(found.iter().map(|named| (named.clone(), now)));
    known.retain(|_, last| now.saturating_sub(*last) <= NAMES_HOLD);
}

/// What NS RRsets named lately.
pub(super) fn lately(server: &Server, zone: &Name) -> BTreeSet<Named> {
    let lately = lock(&server.plans.named);
    let known = lately
        .get(zone)
        .into_iter()
        .flat_map(|Lately(known)| known.keys());
    known.cloned().collect()
}

/// Adds to everybody's servers the addresses behind these names that are not among them, and gives those their names
/// that are asked by address alone.
pub(super) async fn add(
    server: &Server,
    zone: &Name,
    whereabouts: &Whereabouts,
    named: &BTreeSet<Named>,
    public: &[IpAddr],
    members: &mut [Targets],
) {
    let mut given: BTreeMap<&Name, BTreeSet<IpAddr>> = BTreeMap::new();
    for (name, address) in named {
        given.entry(name).or_default().extend(address);
    }
    if given.len() > MOST_NAMES {
        let why = format!(
            "the NS RRsets of the zone and of its parent name {} servers, and no more than {MOST_NAMES} are looked up",
            given.len()
        );
        members
            .iter_mut()
            .take(1)
            .for_each(|ours| ours.servers.push(Err(why.clone())));
        return;
    }
    for (name, mut addresses) in given {
        // Of a name that is nobody's the NS RRset itself cannot be read, which is said there.
        let Some(place) = whose(members.iter().map(|member| &*member.names), name) else {
            continue;
        };
        let member = &mut members[place];
        addresses.extend(in_zone(server, zone, name));
        // What the zone itself says of a name in it needs no resolver.
        let is_inside = name.as_ref().is_at_or_below(zone.as_ref());
        if !is_inside || addresses.is_empty() {
            match whereabouts.addresses_of(name).await {
                Ok(more) => addresses.extend(more),
                Err(why) => member
                    .servers
                    .push(Err(format!("{name} is in the NS RRset: {why}"))),
            }
        }
        // Nobody elsewhere is led to a loopback address.
        addresses.retain(|address| !address.is_loopback() && (place != 0 || !public.contains(address)));
        for address in addresses {
            let mut asked = member
                .servers
                .iter_mut()
                .flatten()
                .filter(|at| at.address.ip() == address);
            match asked.next() {
                Some(at) => at.name = at.name.take().or_else(|| Some(name.clone())),
                None => member.servers.push(Ok(At {
                    name: Some(name.clone()),
                    address: whereabouts.at(address),
                })),
            }
        }
    }
}

/// The addresses of a name in the content that is served here.
fn in_zone(server: &Server, zone: &Name, name: &Name) -> BTreeSet<IpAddr> {
    let held = server.held.load();
    let served = held.get(zone).and_then(|held| held.served.content().ok());
    let inside = name.as_ref().is_at_or_below(zone.as_ref());
    let Some(content) = served.filter(|_| inside) else {
        return BTreeSet::new();
    };
    let search = SearchName::new(name.as_ref());
    let Some(node) = content.zone().node(search.name()) else {
        return BTreeSet::new();
    };
    let of = |rtype| node.rrset(rtype).into_iter().flat_map(|rrset| rrset.rdatas());
    let four = of(RrType::A).filter_map(|rdata| <[u8; 4]>::try_from(rdata).ok());
    let six = of(RrType::AAAA).filter_map(|rdata| <[u8; 16]>::try_from(rdata).ok());
    let four = four.map(|octets| IpAddr::from(Ipv4Addr::from(octets)));
    four.chain(six.map(|octets| Ipv6Addr::from(octets).into()))
        .collect()
}

#[cfg(test)]
mod tests;
