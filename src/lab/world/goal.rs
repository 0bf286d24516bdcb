//! Whether what a plan promised is so at its end, at every server that is seen.

use super::{
    chain::Keys,
    engine::World,
    parties::{Server, Sight},
};
use crate::{
    dnssec::keyset::Role,
    multisigner::{
        plan::{Kind, Plan},
        safety::KeyId,
    },
};

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
        Kind::Emergency { old, new, .. } if world.keys[old.place()].role == Role::Zsk => {
            gone(old.place(), new.place(), true)
        }
        Kind::Emergency { old, new, .. } | Kind::RollKsk { old, new } | Kind::RollCsk { old, new } => {
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
                world.keys[place].role != Role::Zsk && !in_ds(place)
            });
            let wrong = left
                .or(lacks)
                .map(|key| format!("the DS RRset is wrong about key {}", key.place()));
            let (old, new) = (places(old), places(new));
            let changed = |server: &Server| (server.dnskeys.keys & (old | new)) == new;
            wrong.or_else(|| (!all_children(&changed)).then(|| "a DNSKEY RRset has not changed".to_owned()))
        }
        Kind::Follow { gone, .. } => {
            let left = gone
                .iter()
                .find(|(key, _)| !all_children(&|server| server.dnskeys.keys & 1 << key.place() == 0));
            left.map(|(key, _)| format!("key {} is still published", key.place()))
        }
        Kind::Standby { new } => {
            // What another provider has lost since then is its matter.
            let lost = |server: &Server| server.party != 0 && world.lost;
            let there = |server: &Server| lost(server) || server.dnskeys.keys & 1 << new.place() != 0;
            (!all_children(&there)).then(|| format!("key {} is not published everywhere", new.place()))
        }
        Kind::Retreat { from } => not_back(world, from),
    }
}

/// What of a plan that was given up is still there, or was not restored.
fn not_back(world: &World, kind: &Kind) -> Option<String> {
    let seen = |parent: bool| {
        let servers = world.servers.all.iter();
        servers.filter(move |server| {
            server.sight != Sight::Blind && server.serving && (server.party == world.parent_party()) == parent
        })
    };
    let named = |member: usize| seen(true).all(|server| server.ns.members & 1 << member != 0);
    let named_by_some = |member: usize| seen(true).any(|server| server.ns.members & 1 << member != 0);
    match kind {
        Kind::Join { provider } => named_by_some(provider.place())
            .then(|| "the delegation still names the provider that was to join".to_owned()),
        Kind::Leave { provider } => (!named(provider.place()))
            .then(|| "the delegation does not name the provider that was to leave".to_owned()),
        Kind::RollKsk { new, .. } | Kind::RollCsk { new, .. }
            if seen(true).any(|server| server.ds.keys() & 1 << new.place() != 0) =>
        {
            Some(format!("the DS RRset still points to key {}", new.place()))
        }
        Kind::RollZsk { old, new } | Kind::RollCsk { old, new } => {
            let signs_again = seen(false)
                .filter(|server| server.party == 0)
                .all(|server| signs_some(server, old.place()) && !signs_some(server, new.place()));
            (!signs_again).then(|| format!("key {} does not sign again", old.place()))
        }
        Kind::RollKsk { old, .. } => {
            let there = seen(true).all(|server| server.ds.keys() & 1 << old.place() != 0);
            (!there).then(|| format!("the DS RRset does not point to key {}", old.place()))
        }
        Kind::Algorithm { new, .. } => {
            let left = new
                .iter()
                .find(|key| seen(true).any(|server| server.ds.keys() & 1 << key.place() != 0));
            left.map(|key| format!("the DS RRset still points to key {}", key.place()))
        }
        Kind::Standby { new } => {
            let left = seen(false).any(|server| server.dnskeys.keys & 1 << new.place() != 0);
            left.then(|| format!("key {} is still published", new.place()))
        }
        Kind::Emergency { .. } | Kind::Follow { .. } | Kind::Retreat { .. } => None,
    }
}

fn places(keys: &[KeyId]) -> Keys {
    keys.iter().fold(0, |all, key| all | 1 << key.place())
}

fn signs_some(server: &Server, key: usize) -> bool {
    server.data.iter().any(|data| data.signers & 1 << key != 0)
}
