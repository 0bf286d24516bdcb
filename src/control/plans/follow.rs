//! Follows by itself what another provider changed by itself: keys that it gave up are withdrawn here by the plan
//! `follow`, once nobody can hold anything that needs them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    super::{reckon::reckon, server::Server},
    act, lock, look,
    orders::{adopt, past_of},
    report,
    warned::Warned,
};
use crate::{
    clock::{Clock, UnixTime},
    config::ZoneSettings,
    dnssec::{key::Dnskey, keyset::KeyState, register::Register},
    multisigner::{
        plan::{self, Kind, Situation},
        safety::{KeyId, ProviderId, Slot, Value},
    },
};

/// How often is looked for keys that are kept: nobody is asked for that.
const EVERY: Duration = Duration::from_secs(5);
/// How long after a look at all servers it is tried again, when something could not be seen.
const AFTER_FAILURE: Duration = Duration::from_secs(60);
/// The same, when no plan could be begun yet, at the latest.
const AGAIN: Duration = Duration::from_secs(600);

/// Adopts a plan where a provider's keys are gone.
pub(super) async fn look(server: &Arc<Server>, zone: &ZoneSettings) {
    let pause = if keeps_any(server, zone) && server.clock.judge().counts() {
        try_to(server, zone).await.unwrap_or_else(|why| {
            tracing::debug!(zone = %zone.origin, "not followed: {why}");
            AFTER_FAILURE
        })
    } else {
        not_followed(server, zone, Vec::new());
        EVERY
    };
    let due = server.clock.steady() + pause;
    server.plans.change(&zone.origin, |known| known.follow_due = due);
}

/// Whether a key is in our set that no source shows any more.
fn keeps_any(server: &Server, zone: &ZoneSettings) -> bool {
    let held = server.held.load();
    let content = held.get(&zone.origin).and_then(|held| held.served.content().ok());
    content.is_some_and(|content| {
        let mut published = content.keys().published().iter();
        published.any(|key| key.state == KeyState::Kept)
    })
}

/// Begins a plan where it can; otherwise says when to try again.
async fn try_to(server: &Arc<Server>, zone: &ZoneSettings) -> Result<Duration, String> {
    let previous = past_of(server, &zone.origin);
    let beginning = look::situation(server, zone, previous).await?;
    let (situation, register) = (beginning.situation, beginning.register);
    let mut held_back = Vec::new();
    for (provider, gone) in gone_since(server, &situation, &register) {
        let (left_in, gone) = left_in(server, &situation, &register, gone);
        if !left_in.is_empty() {
            held_back.push(given_up(&situation, provider, left_in));
        }
        if gone.is_empty() {
            continue;
        }
        let (kind, from) = (Kind::Follow { provider, gone }, situation.clone());
        let judged = reckon(move || {
            let plan = plan::build(&kind, &from).map_err(|error| error.to_string())?;
            let amiss = report::amiss_already(&plan);
            let harm = plan.harm().map_err(|error| error.to_string())?;
            Ok::<_, String>((plan, amiss, harm))
        });
        let (plan, amiss, harm) = judged.await??;
        let name = situation.name(provider);
        // It would pause at once, and stand in the way of every other plan.
        if let Some(why) = act::against_the_plan(zone.cds, &plan) {
            held_back.push(Warned {
                about: format!("keys of {name} are not followed"),
                what: format!(
                    "keys of {name} are gone there, and stay published here: {why}; set it to \"rollover\" or \"off\", and reload"
                ),
            });
            continue;
        }
        not_followed(server, zone, held_back.clone());
        // What the provider served with these keys is held for a while, and fits nothing that it serves now.
        if amiss.is_some() {
            let longest = situation.serves.iter().filter_map(ttl).max().unwrap_or(0);
            let wait = longest + situation.margin + situation.lag(&Slot::Keys(provider)) + 1;
            return Ok(Duration::from_secs(wait).min(AGAIN));
        }
        if let Some(harm) = harm {
            tracing::error!(zone = %zone.origin, "keys of {name} are gone, and to withdraw them here is not safe: {harm}");
            return Ok(AGAIN);
        }
        if !look::is_still_so(server, &zone.origin, beginning.events).await? {
            return Ok(EVERY);
        }
        tracing::warn!(
            zone = %zone.origin,
            "keys of {name} are gone there, and nobody needs them any more: they are withdrawn here"
        );
        let adopted = adopt(server, &zone.origin, plan, None).await;
        return adopted.map(|()| EVERY).map_err(|refusal| refusal.error);
    }
    not_followed(server, zone, held_back);
    Ok(AGAIN)
}

/// Keeps why keys that are gone are not followed, for `status`; what is new of it is told in the log.
fn not_followed(server: &Server, zone: &ZoneSettings, why: Vec<Warned>) {
    server.plans.change(&zone.origin, |known| {
        for new in why.iter().filter(|new| !known.not_followed.contains(new)) {
            tracing::warn!(zone = %zone.origin, "{}", new.what);
        }
        known.not_followed = why;
    });
}

/// The keys among `gone` for which a person gave up the plan that was to withdraw them, and the others. One that some source
/// has shown since counts anew.
fn left_in(
    server: &Server,
    situation: &Situation,
    register: &Register,
    gone: Vec<Gone>,
) -> (Vec<Gone>, Vec<Gone>) {
    let known = lock(&server.plans.known);
    let run = known.get(&situation.zone).and_then(|known| known.run.as_ref());
    let is_left_in = |(key, _): &Gone| {
        let dnskey = situation.key(*key).and_then(|key| key.dnskey.as_ref());
        let given_up = dnskey.and_then(|dnskey| Some((dnskey, run?.was_left_in(dnskey)?)));
        given_up.is_some_and(|(dnskey, at)| {
            let foreign = register.foreign.get(dnskey);
            foreign.is_some_and(|foreign| foreign.last_unseen <= at)
        })
    };
    gone.into_iter().partition(is_left_in)
}

fn given_up(situation: &Situation, provider: ProviderId, keys: Vec<Gone>) -> Warned {
    let keys = keys.into_iter().map(|(key, _)| key);
    let (name, keys) = (situation.name(provider), situation.labels(keys.collect()));
    Warned {
        about: format!("keys of {name} stay: {keys}"),
        what: format!(
            "{name} has {keys} no more, and the plan that was to withdraw that here was given up: it stays published until \
             you say countersign apply follow {} --provider {name}",
            situation.zone
        ),
    }
}

fn ttl(value: &Value) -> Option<u64> {
    match value {
        Value::Keys(_, keys) => Some(keys.ttl),
        Value::Data(_, _, data) => Some(data.ttl),
        _ => None,
    }
}

/// A key that is gone, and since when that is known.
pub(super) type Gone = (KeyId, UnixTime);

/// The keys of every other provider that are gone, as signers too. They are known to be since this process first found it so:
/// what was before nobody looked at.
pub(super) fn gone_since(
    server: &Server,
    situation: &Situation,
    register: &Register,
) -> BTreeMap<ProviderId, Vec<Gone>> {
    let others = (1..situation.members.len()).filter_map(|place| ProviderId::at(place).ok());
    let found = others.map(|provider| (provider, gone(situation, register, provider)));
    let found: Vec<(ProviderId, Vec<KeyId>)> = found.collect();
    let dnskey = |key: &KeyId| situation.key(*key).and_then(|key| key.dnskey.clone());
    server.plans.change(&situation.zone, |known| {
        let now: BTreeSet<Dnskey> = found
            .iter()
            .flat_map(|(_, gone)| gone)
            .filter_map(dnskey)
            .collect();
        known.gone.retain(|key, _| now.contains(key));
        for key in now {
            known.gone.entry(key).or_insert(situation.at);
        }
        let of = |key: &KeyId| known.gone.get(&dnskey(key)?).copied();
        let since = |key: KeyId| (key, of(&key).unwrap_or(situation.at));
        let found = found.into_iter();
        found
            .map(|(provider, gone)| (provider, gone.into_iter().map(since).collect()))
            .collect()
    })
}

/// The keys of a provider that are in our set alone, and sign nothing anywhere.
fn gone(situation: &Situation, register: &Register, provider: ProviderId) -> Vec<KeyId> {
    let name = situation.name(provider);
    let kept = register.foreign_in_set().filter(|(_, foreign, state)| {
        let mut sources = foreign.ever_shown_by.iter();
        *state == KeyState::Kept && sources.any(|source| source.provider() == Some(name))
    });
    let ids = kept.filter_map(|(dnskey, ..)| {
        let mut keys = situation.keys.iter();
        let place = keys.position(|key| key.dnskey.as_ref() == Some(dnskey))?;
        KeyId::at(place).ok()
    });
    let in_use = |key: &KeyId| {
        situation.serves.iter().any(|value| match value {
            Value::Keys(of, keys) => {
                of.place() != 0 && (keys.keys.contains(*key) || keys.signers.contains(*key))
            }
            Value::Data(_, _, data) => data.signers.contains(*key),
            _ => false,
        })
    };
    ids.filter(|key| !in_use(key)).collect()
}
