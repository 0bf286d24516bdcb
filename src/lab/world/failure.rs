//! A failure told as a story: who fetched what from whom when, and which link of the chain does not hold.

use super::{
    chain::{Keys, Members, Time},
    engine::{Deed, World},
    parties::CLASSES,
    resolver::{Failure, Held},
    story::clock,
};

impl World {
    /// "ns1's ZSK 4711 and ours' KSK 12".
    fn keys_in_words(&self, keys: Keys) -> String {
        let names = self
            .keys
            .iter()
            .enumerate()
            .filter(|(place, _)| keys & 1 << place != 0);
        let names = names.map(|(_, key)| {
            let owner = self
                .providers
                .get(key.owner)
                .map_or("", |owner| owner.name.as_str());
            let tag = key.dnskey.as_ref().map_or(0, |dnskey| dnskey.key_tag());
            format!("{} {tag} of {owner}", key.role)
        });
        let names: Vec<String> = names.collect();
        if names.is_empty() {
            "nothing".to_owned()
        } else {
            names.join(", ")
        }
    }

    fn members_in_words(&self, members: Members) -> String {
        let names = self.providers.iter().enumerate();
        let names = names.filter(|(place, _)| members & 1 << place != 0);
        let names: Vec<&str> = names.map(|(_, provider)| provider.name.as_str()).collect();
        names.join(" and ")
    }

    fn fetched<T>(&self, held: &Held<T>) -> String {
        format!(
            "fetched from {} at {}, kept until {}",
            self.servers.all[held.server].name,
            clock(held.fetched),
            clock(held.until)
        )
    }
}

/// The story of a failure.
pub(super) fn tell(world: &World, at: Time, failure: &Failure) -> String {
    let mut lines = vec![format!(
        "{} {} ({}) asks for {} data: {}",
        clock(at),
        failure.resolver,
        failure.kind,
        CLASSES[failure.class],
        if failure.broken.is_some() {
            "bogus"
        } else {
            "no server answers"
        }
    )];
    if let Some(ns) = &failure.ns {
        let members = world.members_in_words(ns.value.members);
        lines.push(format!("NS RRset, which names {members}: {}", world.fetched(ns)));
    }
    if let Some(ds) = &failure.ds {
        let keys = world.keys_in_words(ds.value.keys());
        lines.push(format!("DS RRset for {keys}: {}", world.fetched(ds)));
    }
    if let Some(dnskeys) = &failure.dnskeys {
        let keys = world.keys_in_words(dnskeys.value.keys);
        let signers = world.keys_in_words(dnskeys.value.signers);
        let fetched = world.fetched(dnskeys);
        lines.push(format!("DNSKEY RRset of {keys}, signed by {signers}: {fetched}"));
    }
    if let Some(data) = &failure.data {
        let signers = world.keys_in_words(data.value.signers);
        lines.push(format!("data signed by {signers}: {}", world.fetched(data)));
    }
    if let Some(broken) = failure.broken {
        lines.push(broken.to_string());
    }
    lines.join("\n  ")
}

/// What somebody does, in words.
pub(super) fn deed(deed: &Deed) -> String {
    match deed {
        Deed::Given { .. } => "a person pastes our keys at the other provider".to_owned(),
        Deed::Ds { .. } => "a person changes the DS RRset at the registrar".to_owned(),
        Deed::ParentNs { .. } => "a person changes the NS RRset at the registrar".to_owned(),
        Deed::ChildNs { .. } => "a person changes the NS RRset at the other provider".to_owned(),
        Deed::Stop { .. } => "the provider stops answering".to_owned(),
        Deed::Theirs { .. } => "the other provider does its part".to_owned(),
        Deed::Plan
        | Deed::GiveUp
        | Deed::Asked { .. }
        | Deed::Reported { .. }
        | Deed::Resume
        | Deed::Amiss(_) => "a person speaks".to_owned(),
    }
}
