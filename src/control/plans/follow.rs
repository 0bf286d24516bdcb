//! Follows by itself what another provider changed by itself: keys that it gave up are withdrawn here by the plan
//! `follow`, once nobody can hold anything that needs them.

use std::{sync::Arc, time::Duration};

use super::{
    super::server::Server,
    look,
    orders::{adopt, past_of},
    report,
};
use crate::{
    clock::Clock,
    config::ZoneSettings,
    dnssec::{keyset::KeyState, register::Register},
    multisigner::{
        plan::{self, Kind, Situation},
        safety::{KeyId, ProviderId, Value},
    },
};

/// How often is looked for keys that are gone.
const EVERY: Duration = Duration::from_secs(60);

/// Adopts a plan where a provider's keys are gone.
pub(super) async fn look(server: &Arc<Server>, zone: &ZoneSettings) {
    if let Err(why) = try_to(server, zone).await {
        tracing::debug!(zone = %zone.origin, "not followed: {why}");
    }
    let due = server.clock.steady() + EVERY;
    server.plans.change(&zone.origin, |known| known.follow_due = due);
}

async fn try_to(server: &Arc<Server>, zone: &ZoneSettings) -> Result<(), String> {
    let register = Register::of(&look::events(server, &zone.origin).await?);
    let kept = |register: &Register| {
        register
            .foreign_in_set()
            .any(|(_, _, state)| state == KeyState::Kept)
    };
    if !kept(&register) || server.clock.judge().fault.is_some() {
        return Ok(());
    }
    let previous = past_of(server, &zone.origin);
    let (situation, register) = look::situation(server, zone, previous.as_ref()).await?;
    for place in 1..situation.members.len() {
        let provider = ProviderId::at(place).map_err(|error| error.to_string())?;
        let gone = gone(&situation, &register, provider);
        if gone.is_empty() {
            continue;
        }
        // From now on it is known to be gone, as a signer too; what was before nobody looked at.
        let gone = gone.into_iter().map(|key| (key, situation.at)).collect();
        let kind = Kind::Follow { provider, gone };
        let plan = plan::build(&kind, &situation).map_err(|error| error.to_string())?;
        if let Some(why) = report::amiss_already(&plan) {
            return Err(why);
        }
        if let Some(harm) = plan.harm().map_err(|error| error.to_string())? {
            let name = situation.name(provider);
            tracing::error!(zone = %zone.origin, "keys of {name} are gone, and to withdraw them here is not safe: {harm}");
            return Ok(());
        }
        tracing::warn!(
            zone = %zone.origin,
            "keys of {} are gone there; they are withdrawn here when nobody needs them any more: countersign status {}",
            situation.name(provider),
            zone.origin
        );
        return adopt(server, &zone.origin, plan, None)
            .await
            .map_err(|refusal| refusal.error);
    }
    Ok(())
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
