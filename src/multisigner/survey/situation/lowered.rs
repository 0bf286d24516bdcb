//! TTLs that were lowered: what caches got before they hold for as long as that said.

use super::ttl;
use crate::multisigner::{
    execute::raise_ttl,
    observations::{self, Counted, Party},
    plan::{Past, Situation},
    safety::{Class, ProviderId, Slot},
};

/// Caches may hold what is served with a TTL that was lowered since; and what was served before, too.
pub(super) fn with_larger_ttls(situation: &mut Situation, counted: &[Counted]) {
    for counted in counted {
        let until = counted.ended.unwrap_or(situation.at).min(situation.at);
        for slot in slots(situation, &counted.party, counted.class) {
            let past = situation.past.iter_mut().filter(|past| past.value.slot() == slot);
            for past in past.filter(|past| past.until >= counted.since) {
                raise_ttl(&mut past.value, counted.ttl);
            }
            let Some(value) = situation.value(&slot).filter(|value| ttl(value) < counted.ttl) else {
                continue;
            };
            let mut value = value.clone();
            raise_ttl(&mut value, counted.ttl);
            situation.past.push(Past { value, until });
        }
    }
}

/// Where answers of a class are found.
pub fn slots(situation: &Situation, party: &Party, class: observations::Class) -> Vec<Slot> {
    let provider = match party {
        Party::Parent => None,
        Party::Ours => Some(0),
        Party::Provider(name) => {
            let mut others = situation.members.iter().enumerate().skip(1);
            let Some((place, _)) = others.find(|(_, member)| member.name == *name) else {
                return Vec::new();
            };
            Some(place)
        }
    };
    let provider = match provider.map(ProviderId::at) {
        None => None,
        Some(Ok(provider)) => Some(provider),
        Some(Err(_)) => return Vec::new(),
    };
    let of_all = |class: Class| {
        let providers = situation.provider_ids().unwrap_or_default();
        let slots = providers
            .into_iter()
            .map(|provider| Slot::Data(provider, class.clone()));
        slots.collect()
    };
    match (class, provider) {
        (observations::Class::Ds, None) => vec![Slot::Ds],
        (observations::Class::Ns, None) => vec![Slot::ParentNs],
        (observations::Class::Dnskey, Some(provider)) => vec![Slot::Keys(provider)],
        (observations::Class::Ns, Some(provider)) => {
            vec![Slot::ChildNs(provider), Slot::Data(provider, Class::Positive)]
        }
        (observations::Class::Soa, Some(provider)) => vec![Slot::Data(provider, Class::Positive)],
        (observations::Class::Cds, Some(provider)) => vec![Slot::Data(provider, Class::Cds)],
        (observations::Class::Denial, Some(provider)) => vec![Slot::Data(provider, Class::Negative)],
        // The others have the same content; one alone may give something with a larger TTL.
        (observations::Class::Data, Some(ProviderId::FIRST)) => of_all(Class::Positive),
        (observations::Class::Data, Some(provider)) => vec![Slot::Data(provider, Class::Positive)],
        (observations::Class::NoData, Some(_)) => of_all(Class::Negative),
        _ => Vec::new(),
    }
}
