//! What a reload says besides what its zones say themselves: settings of other providers that changed, and plans whose
//! zones are gone.

use std::collections::BTreeMap;

use super::protocol::{Outcome, ZoneReloaded};
use crate::{
    config::{Config, ProviderSettings},
    wire::Name,
};

/// Has zones say that the settings of their providers changed, from `before`.
pub(super) fn tell_providers(zones: &mut [ZoneReloaded], before: &[ProviderSettings], config: &Config) {
    let is_same = |now: &&ProviderSettings| before.contains(now);
    let changed: Vec<&str> = config
        .providers
        .iter()
        .filter(|now| !is_same(now))
        .map(|now| now.name.as_str())
        .collect();
    for settings in &config.zones {
        let mut providers = settings.providers.clone();
        providers.retain(|name| changed.contains(&name.as_str()));
        let origin = settings.origin.to_string();
        let Some(zone) = zones.iter_mut().find(|zone| zone.origin == origin) else {
            continue;
        };
        if providers.is_empty() || zone.outcome == Outcome::Added {
            continue;
        }
        zone.changes
            .push(format!("settings of [[provider]] {}", providers.join(", ")));
        zone.outcome = match zone.outcome {
            Outcome::Unchanged => Outcome::Changed,
            Outcome::Kept => Outcome::ChangedInPart,
            outcome => outcome,
        };
    }
}

/// Has zones that are gone say that their plans do not go on; `at_work`: the goals of plans that were carried out.
pub(super) fn tell_plans(zones: &mut [ZoneReloaded], at_work: &BTreeMap<Name, String>) {
    let gone = zones.iter_mut().filter(|zone| zone.outcome == Outcome::Removed);
    for zone in gone {
        let goal = zone
            .origin
            .parse()
            .ok()
            .and_then(|origin: Name| at_work.get(&origin));
        if let Some(goal) = goal {
            zone.warnings.push(format!(
                "a plan was carried out (\"{goal}\"), and is not while the zone is not in the configuration: its keys, \
                 DS and NS records stay as they are elsewhere. Its journal is kept: put the zone back and reload, and it \
                 goes on; then `countersign abort` takes it back"
            ));
        }
    }
}
