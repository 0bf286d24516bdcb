//! Which samples of the content a look has: those of the look before, so that the two can be compared, and some in turn.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    super::{reckon::reckon, server::Server},
    lock,
};
use crate::{
    clock::Clock,
    config::Config,
    multisigner::survey::{Sample, Stock},
    wire::Name,
    zone::Zone,
};

/// How long samples are taken from the same stock: a large zone is not sorted for every look. The next one has others of it.
const HOLD: Duration = Duration::from_secs(3_600);
/// How long it is kept though the content is another one, where that is large.
const HOLD_OTHER: Duration = Duration::from_secs(60);
/// From how many records on a zone is large: of fewer a new stock is made within milliseconds.
const LARGE: usize = 10_000;

/// What samples are taken from, by zone.
#[derive(Debug, Default)]
pub(super) struct Samples(Mutex<BTreeMap<Name, Taken>>);

#[derive(Debug)]
struct Taken {
    stock: Stock,
    /// When it was made, by steady time.
    made: Duration,
    /// How many there were before.
    turn: usize,
    /// How many looks there were.
    round: usize,
    /// The sample that another provider gave with the largest TTL, where that is not asked for in every look.
    kept: Option<Sample>,
}

impl Samples {
    /// Forgets zones that are not in the configuration any more.
    pub fn keep_only(&self, config: &Config) {
        let is_zone = |zone: &Name| config.zones.iter().any(|there| there.origin == *zone);
        lock(&self.0).retain(|zone, _| is_zone(zone));
    }

    /// Keeps asking for what had the largest TTL, so that it is seen when it is served no more.
    pub fn keep(&self, zone: &Name, longest: Option<Sample>) {
        if let (Some(taken), Some(longest)) = (lock(&self.0).get_mut(zone), longest) {
            taken.kept = (!taken.stock.has_always(&longest)).then_some(longest);
        }
    }

    /// The samples of the next look; none where a new stock has to be made first, and which one.
    fn next(&self, zone: &Name, content: &Zone, now: Duration) -> Result<Vec<Sample>, usize> {
        let mut all = lock(&self.0);
        let Some(taken) = all.get_mut(zone) else {
            return Err(0);
        };
        let is_known = taken.stock.is_of(content);
        let hold = match content.record_count() < LARGE {
            _ if is_known => HOLD,
            true => Duration::ZERO,
            false => HOLD_OTHER,
        };
        if now.saturating_sub(taken.made) >= hold {
            return Err(taken.turn + 1);
        }
        taken.round += 1;
        Ok(taken.stock.choose(taken.round, taken.kept.as_ref()))
    }

    fn put(&self, zone: &Name, stock: Stock, turn: usize, now: Duration) {
        let mut all = lock(&self.0);
        let known = all.remove(zone);
        let (round, kept) = known.map_or((0, None), |known| (known.round, known.kept));
        let taken = Taken {
            stock,
            made: now,
            turn,
            round,
            kept,
        };
        all.insert(zone.clone(), taken);
    }
}

/// The samples of the next look; none where no content is served.
pub(super) async fn choose(server: &Arc<Server>, zone: &Name) -> Result<Vec<Sample>, String> {
    let held = server.content_of(zone);
    let Some(served) = held.map(|held| Arc::clone(&held.served)) else {
        return Ok(Vec::new());
    };
    let (samples, now) = (&server.plans.samples, server.clock.steady());
    let Ok(content) = served.content() else {
        return Ok(Vec::new());
    };
    let turn = match samples.next(zone, content.zone(), now) {
        Ok(chosen) => return Ok(chosen),
        Err(turn) => turn,
    };
    let made = Arc::clone(&served);
    let stock = reckon(move || made.content().ok().map(|content| Stock::of(content.zone(), turn))).await?;
    if let Some(stock) = stock {
        samples.put(zone, stock, turn, now);
    }
    Ok(samples.next(zone, content.zone(), now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        wire::Ttl,
        zone::{
            build::ZoneBuilder,
            master::{Source, read},
        },
    };

    fn zone(names: usize) -> Zone {
        let mut text = format!("@ 300 SOA ns mail {names} 1 1 1 1\n@ 300 NS ns\n");
        for number in 0..names {
            text += &format!("n{number} 300 A 192.0.2.1\n");
        }
        let apex: Name = "example.".parse().unwrap();
        let source = Source::Text {
            name: "test",
            octets: text.as_bytes(),
        };
        let mut builder = ZoneBuilder::new(apex.as_ref(), Ttl::MAX);
        read(&source, apex.as_ref(), &mut |entry| builder.add(&entry));
        builder.finish().unwrap().zone
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_large_zone_is_not_sorted_for_every_look_and_others_of_it_come_in_time() {
        let samples = Samples::default();
        let name: Name = "example.".parse().unwrap();
        let (small, large, larger) = (zone(50), zone(LARGE), zone(LARGE + 1));
        let mut now = Duration::ZERO;
        assert_eq!(samples.next(&name, &large, now), Err(0));
        samples.put(&name, Stock::of(&large, 0), 0, now);
        let first = samples.next(&name, &large, now).unwrap();
        let second = samples.next(&name, &large, now).unwrap();
        assert_ne!(first, second);
        assert_eq!(first[..3], second[..3]);
        // It has changed.
        now += HOLD_OTHER - SECOND;
        assert!(samples.next(&name, &larger, now).is_ok());
        assert_eq!(samples.next(&name, &small, now), Err(1));
        now += SECOND;
        assert_eq!(samples.next(&name, &larger, now), Err(1));
        assert!(samples.next(&name, &large, now).is_ok());
        now = HOLD - SECOND;
        assert!(samples.next(&name, &large, now).is_ok());
        now += SECOND;
        assert_eq!(samples.next(&name, &large, now), Err(1));
    }

    #[test]
    fn what_had_the_largest_ttl_at_another_provider_is_kept_over_the_stock() {
        let samples = Samples::default();
        let (name, zone) = ("example.".parse::<Name>().unwrap(), zone(50));
        samples.put(&name, Stock::of(&zone, 0), 0, SECOND);
        let kept = Sample {
            name: "n7.example.".parse().unwrap(),
            rtype: crate::wire::RrType::A,
        };
        samples.keep(&name, Some(kept.clone()));
        samples.put(&name, Stock::of(&zone, 1), 1, SECOND);
        samples.keep(&name, None);
        for _ in 0..50 {
            assert!(samples.next(&name, &zone, SECOND).unwrap().contains(&kept));
        }
        // What is asked for anyway needs no place of its own.
        let always = samples.next(&name, &zone, SECOND).unwrap()[0].clone();
        samples.keep(&name, Some(always));
        let mut looks = (0..50).map(|_| samples.next(&name, &zone, SECOND).unwrap());
        assert!(looks.any(|chosen| !chosen.contains(&kept)));
    }
}
