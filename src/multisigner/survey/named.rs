//! Who is named in NS RRsets: where resolvers are led to.

use std::{collections::BTreeSet, net::IpAddr};

use super::{Answered, Survey};
use crate::{
    multisigner::observe::{At, Unseen},
    wire::{Name, RrType},
};

/// Whose server has this name, by its place among the providers, whose names these are, this server's first. Where ours
/// are not named, it is every one that no other provider has, if the names of all of them are known.
pub fn whose<'n>(names: impl IntoIterator<Item = &'n [Name]>, name: &Name) -> Option<usize> {
    let mut names = names.into_iter();
    let ours = names.next()?;
    let mut all_known = true;
    for (place, theirs) in names.enumerate() {
        if theirs.contains(name) {
            return Some(place + 1);
        }
        all_known &= !theirs.is_empty();
    }
    let is_ours = ours.contains(name) || (ours.is_empty() && all_known);
    is_ours.then_some(0)
}

impl Survey {
    /// The names in the NS RRsets of the parent and of every provider, each by itself, and with each address that came
    /// with it.
    pub fn named(&self) -> BTreeSet<(Name, Option<IpAddr>)> {
        let members = self.members.iter().flat_map(|member| &member.servers);
        let answers = members
            .chain(&self.parent)
            .filter_map(|server| server.answers.get(&RrType::NS)?.as_ref().ok());
        let mut named = BTreeSet::new();
        for answer in answers {
            let sections = answer.answers.iter().chain(&answer.authorities);
            let of_zone = sections.filter(|record| record.rtype == RrType::NS && record.owner == self.zone);
            let names: BTreeSet<Name> = of_zone
                .filter_map(|record| Name::from_wire(&record.rdata).ok())
                .collect();
            let more = answer
                .additionals
                .iter()
                .filter(|more| names.contains(&more.owner));
            let glue = more.filter_map(|more| Some((more.owner.clone(), Some(more.address()?))));
            named.extend(glue);
            named.extend(names.into_iter().map(|name| (name, None)));
        }
        named
    }

    /// Adds what a person can do to the words about those of this server's addresses that are silent.
    pub fn advise(&mut self, advice: &str, about: impl Fn(&At) -> bool) {
        let ours = self.members.iter_mut().take(1);
        let ours = ours.flat_map(|member| &mut member.servers);
        let about = |server: &Answered| server.at.as_ref().is_some_and(&about);
        for answer in ours
            .filter(|server| about(server))
            .flat_map(|server| server.answers.values_mut())
        {
            if let Err(Unseen::Unreachable(why)) = answer {
                why.push_str(advice);
            }
        }
    }
}
