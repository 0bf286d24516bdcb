//! Floods as people see them: when more synthesised signatures of a zone are asked for than the budget is for, that is
//! logged once when it begins and once when it is over, and `status` shows it meanwhile.
//!
//! The answering threads only leave a mark at the zone and count; this looks at both once a second, and has the names
//! of a zone sorted whose answers turn to ranges.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{
    answer::{Beyond, Zones, counters::Totals},
    clock::UnixTime,
    wire::Name,
};

/// A flood is over when nothing came beyond the budget for so long: one that comes in waves is one flood.
const QUIET: Duration = Duration::from_secs(10);

/// The floods that go on, by zone.
#[derive(Debug, Default)]
pub struct Floods(Mutex<BTreeMap<Name, Flood>>);

#[derive(Debug)]
struct Flood {
    since: UnixTime,
    beyond: Beyond,
    began: Duration,
    /// When a question beyond the budget was last found to have come.
    last: Duration,
    /// What all zones together had counted when it began.
    before: Totals,
}

impl Floods {
    /// Looks at the zones that are served; `now` is wall time and steady time.
    pub fn look(&self, zones: &Zones, totals: Totals, (now, steady): (UnixTime, Duration)) {
        let flooded: Vec<(Name, Beyond)> = zones
            .iter()
            .filter_map(|zone| {
                let content = zone.content().ok().filter(|content| content.look_for_flood())?;
                Some((zone.apex().to_owned(), content.beyond()))
            })
            .collect();
        let mut floods = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, beyond) in flooded {
            if let Some(flood) = floods.get_mut(&name) {
                (flood.last, flood.beyond) = (steady, beyond);
                continue;
            }
            tracing::warn!(zone = %name, "a flood of questions: {}", told(beyond));
            let flood = Flood {
                since: now,
                beyond,
                began: steady,
                last: steady,
                before: totals,
            };
            floods.insert(name, flood);
        }
        floods.retain(|name, flood| {
            let goes_on = steady.saturating_sub(flood.last) < QUIET;
            if !goes_on {
                let lasted = flood.last.saturating_sub(flood.began).as_secs();
                let ranges = totals.ranges - flood.before.ranges;
                let truncated = totals.over_budget - flood.before.over_budget;
                tracing::info!(
                    zone = %name,
                    "the flood is over; it lasted {lasted} s, and of all questions meanwhile {ranges} were answered with ranges, {truncated} with TC"
                );
            }
            goes_on
        });
    }

    /// Since when a zone is flooded.
    pub fn since(&self, zone: &Name) -> Option<UnixTime> {
        let floods = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        floods.get(zone).map(|flood| flood.since)
    }

    /// What a person should know of a zone that is flooded.
    pub fn warning(&self, zone: &Name) -> Option<String> {
        let floods = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let flood = floods.get(zone)?;
        Some(format!(
            "a flood of questions since {}: {}",
            flood.since,
            told(flood.beyond)
        ))
    }
}

fn told(beyond: Beyond) -> String {
    let what = match beyond {
        Beyond::Ranges => "exact NSEC ranges",
        Beyond::Truncate | Beyond::Sign => "TC",
    };
    format!(
        "more signatures for names that are not there are wanted than signatures_per_second; what is beyond is answered with {what}"
    )
}
