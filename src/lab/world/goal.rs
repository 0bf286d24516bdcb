//! Whether what a plan promised is so at its end, at every server that is seen.

use super::{
    chain::Keys,
    engine::World,
    parties::{Server, Sight},
};
use crate::multisigner::plan::{Kind, Plan};

/// What is not as it should be, in words; none when all is.
pub(super) fn missed(world: &World, plan: &Plan) -> Option<String> {
    let servers = || {
        world
            .servers
            .all
            .iter()
            .filter(|server| server.sight != Sight::Blind)
    };
    let parent = world.parent_party();
    let children = || servers().filter(|server| server.party != parent && server.serving);
    let all_children = |holds: &dyn Fn(&Server) -> bool| children().all(holds);
    let in_ds = |key: usize| {
        servers()
            .filter(|server| server.party == parent)
            .all(|server| server.ds.keys() & 1 << key != 0)
    };
    let not_in_ds = |key: usize| {
        servers()
            .filter(|server| server.party == parent)
            .all(|server| server.ds.keys() & 1 << key == 0)
    };
    let names = |member: usize| {
        servers()
            .filter(|server| server.party == parent)
            .all(|server| server.ns.members & 1 << member != 0)
    };
    let signs = |server: &Server, key: usize| server.data.iter().all(|data| data.signers & 1 << key != 0);
    let gone = |old: usize, new: usize, in_data: bool| {
        let bit: Keys = 1 << old;
        if !all_children(&|server| server.dnskeys.keys & bit == 0) {
            return Some(format!("key {old} is still in a DNSKEY RRset"));
        }
        let ours = |server: &Server| server.party != 0 || server.dnskeys.keys & 1 << new != 0;
        if !all_children(&ours) {
            return Some(format!("key {new} is not published"));
        }
        let used = |server: &Server| server.party != 0 || !in_data || signs_some(server, new);
        (!all_children(&used)).then(|| format!("key {new} does not sign"))
    };
    match &plan.kind {
        Kind::Join { provider } => {
            (!names(provider.place())).then(|| "the delegation does not name the provider".to_owned())
        }
        Kind::Leave { provider } => {
            let place = provider.place();
            let key = world.keys.iter().position(|key| key.owner == place);
            if names(place) {
                return Some("the delegation still names the provider".to_owned());
            }
            let left =
                key.is_some_and(|key| !all_children(&|server| server.party == place || !signs(server, key)));
            left.then(|| "something is signed with its keys".to_owned())
        }
        Kind::RollZsk { old, new } => gone(old.place(), new.place(), true),
        Kind::Emergency { old, new, .. } => gone(old.place(), new.place(), false),
        Kind::RollKsk { old, new } | Kind::RollCsk { old, new } => {
            let missed = gone(old.place(), new.place(), false);
            missed.or_else(|| {
                let right = in_ds(new.place()) && not_in_ds(old.place());
                (!right).then(|| "the DS RRset is not what it should be".to_owned())
            })
        }
        Kind::Algorithm { old, new } => {
            let left = old.iter().find(|key| !not_in_ds(key.place()));
            let lacks = new.iter().find(|key| {
                let place = key.place();
                world.keys[place].role != crate::dnssec::keyset::Role::Zsk && !in_ds(place)
            });
            left.or(lacks)
                .map(|key| format!("the DS RRset is wrong about key {}", key.place()))
        }
        Kind::Follow { gone, .. } => {
            let left = gone
                .iter()
                .find(|(key, _)| !all_children(&|server| server.dnskeys.keys & 1 << key.place() == 0));
            left.map(|(key, _)| format!("key {} is still published", key.place()))
        }
        _ => None,
    }
}

fn signs_some(server: &Server, key: usize) -> bool {
    server.data.iter().any(|data| data.signers & 1 << key != 0)
}
