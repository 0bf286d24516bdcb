//! Each operation of each scene may be the last, and then the scene is played again.

use super::*;

type Scene = fn(&mut History);

/// What is interrupted at each of its operations, and then done again.
const SCENES: [(&str, Scene); 7] = [
    ("start", |history| {
        history.store = None;
        history.start();
    }),
    ("generate", |history| history.generate(0)),
    ("import", |history| history.import_one(0, 1)),
    ("copy", |history| history.copy_one(0, 1)),
    ("copy and import", |history| {
        let file = history.zones[0].elsewhere[1].clone();
        history.zones[0].copied = true;
        history.put(&file);
        history.import_one(0, 1);
    }),
    ("show", |history| {
        let lines = history.zones[0]
            .pool
            .iter()
            .map(|key| format!("{} 60 IN DNSKEY {key}\n", history.zones[0].apex));
        fs::write(&history.zones[0].external[0], lines.collect::<String>()).unwrap();
        history.reload(&[]);
    }),
    ("observe", |history| {
        let seen = Observation {
            source: Source::Api("ns1".into()),
            evidence: Evidence::Api,
            keys: history.zones[0].pool.clone(),
            ttl: None,
            trust: Some(Trust::Person),
        };
        history.reload(&[(0, seen)]);
    }),
];

#[test]
fn each_operation_may_be_the_last() {
    for (name, scene) in SCENES {
        for (death, tries) in [(Death::Killed, 1), (Death::PowerLoss, 3)] {
            let mut operations = 0;
            while dies_and_goes_on(name, scene, operations, death, tries) {
                operations += 1;
            }
            assert!(operations > 3, "{name} takes {operations} operations");
        }
    }
}

/// Whether the scene was interrupted after so many operations.
fn dies_and_goes_on(name: &str, scene: Scene, after: u64, death: Death, tries: u64) -> bool {
    let mut died = true;
    for seed in 0..tries {
        let mut history = History::calm(1_000_000 * seed + after);
        if name != "start" {
            history.start();
        }
        history.say(format!("{name} with {death:?} after {after} operations"));
        history.weather = Weather::Foul;
        history.disk.strike(after, death);
        scene(&mut history);
        died &= history.disk.death().is_some() || history.deaths > 0;
        history.disk.spare();
        history.see_to_the_dead();
        history.weather = Weather::Fair;
        // The second time it works, whatever the first left behind; and then nothing takes it away.
        scene(&mut history);
        history.die(Death::PowerLoss);
    }
    died
}
