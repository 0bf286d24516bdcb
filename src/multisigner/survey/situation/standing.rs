//! Since when others show what they show. A plan takes for eternal what is not in its past: where something came a short
//! while ago and nobody saw what was before, it has to wait as if caches had anything in its place.

use crate::{
    clock::UnixTime,
    multisigner::{
        execute::same,
        observations::{Class, Party, Standing},
        plan::Situation,
        safety::Slot,
    },
};

/// The slots that were first seen as they are at these times, where no past says what was before.
pub(super) fn unknown(situation: &Situation, standing: &[Standing]) -> Vec<(Slot, UnixTime)> {
    let unknown = situation.serves.iter().filter_map(|now| {
        let slot = now.slot();
        let since = since(situation, standing, &slot)?;
        let mut past = situation.past.iter();
        let known = past.any(|past| {
            let of_slot = past.value.slot() == slot && past.until >= since;
            of_slot && !same(&past.value, now)
        });
        (!known).then_some((slot, since))
    });
    unknown.collect()
}

/// Since when a slot is as it is, until now where nobody noted it. None where that is known otherwise: what this server
/// signs with is in its register.
pub(super) fn since(situation: &Situation, standing: &[Standing], slot: &Slot) -> Option<UnixTime> {
    let (provider, class) = match slot {
        Slot::Ds => (None, Class::Ds),
        Slot::ParentNs => (None, Class::Ns),
        Slot::Keys(provider) if provider.place() > 0 => (Some(*provider), Class::Dnskey),
        Slot::ChildNs(provider) => (Some(*provider), Class::Ns),
        Slot::Keys(_) | Slot::Data(..) | Slot::Serving(_) | Slot::Cds(_) | Slot::Csync(_) => {
            return None;
        }
    };
    let party = match provider {
        None => Party::Parent,
        Some(provider) if provider.place() == 0 => Party::Ours,
        Some(provider) => Party::Provider(situation.name(provider).to_owned()),
    };
    let noted = standing
        .iter()
        .find(|standing| (&standing.party, standing.class) == (&party, class));
    Some(noted.map_or(situation.at, |standing| standing.since.min(situation.at)))
}
