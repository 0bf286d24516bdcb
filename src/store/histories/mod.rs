//! Random histories of a server on a disk that loses and tears what was not synced: processes are killed, the power
//! fails, the disk is full or has errors, at any operation. Whatever was served before is still there after.
//!
//! `COUNTERSIGN_HISTORIES` says how many there are; `COUNTERSIGN_HISTORY` plays a single one, by its seed.

mod scenes;
mod served;
mod steps;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use self::served::{concerns_files, keys_in};
use super::*;
use crate::{
    clock::UnixTime,
    disk::simulated::{self, Death, Dice, SimulatedDisk},
    dnssec::{
        algorithm::SigningAlgorithm,
        custody::{
            self, CommandError, CustodyError, Note, Observation, Opened, Place, Policy, Refused, Request,
            Wanted,
        },
        key::{Dnskey, PrivateKey, SEP, SigningKey, ZONE},
        keyfile::{
            KeyFile, KeyFileError,
            folder::{self, Existing, Folder},
            timing::{Claim, Timing},
        },
        keyset::{Cds, KeySet, KeyState, Origin, Role},
        register::{Evidence, OwnState, Register, Source, Trust},
    },
    wire::Ttl,
};

/// How many histories an ordinary run plays.
const ORDINARY: u64 = 300;
const P256: SigningAlgorithm = SigningAlgorithm::EcdsaP256Sha256;

/// One zone, and what the world may rely on of what was served of it.
struct Zone {
    apex: Name,
    external: [PathBuf; 2],
    policy: Policy,
    /// Another provider's keys, some of which it shows at a time.
    pool: Vec<Dnskey>,
    /// Key pairs of ours that were made elsewhere.
    elsewhere: Vec<KeyFile>,
    keyset: Option<Arc<KeySet>>,
    foreign: BTreeSet<Dnskey>,
    own: BTreeMap<Dnskey, KeyState>,
    /// Keys that a command said are there now.
    told: BTreeSet<Dnskey>,
    /// Withdrawn for sure, and shown by nothing else since.
    out: BTreeSet<Dnskey>,
    /// A person copied key files that may have been torn.
    copied: bool,
}

impl Zone {
    fn was_served(&self) -> bool {
        !self.own.is_empty()
    }
}

/// What may be wrong at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Weather {
    Fair,
    /// Something was made to fail.
    Foul,
}

struct History {
    seed: u64,
    dice: Dice,
    disk: SimulatedDisk,
    process: Process,
    store: Option<Store>,
    zones: Vec<Zone>,
    now: UnixTime,
    good_time: Option<UnixTime>,
    /// Files that no loss of power concerns.
    outside: tempfile::TempDir,
    weather: Weather,
    full: bool,
    trace: Vec<String>,
    deaths: usize,
    /// Nothing happens but what is asked for.
    calm: bool,
}

impl Drop for History {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "{}\nplay it again: COUNTERSIGN_HISTORY={}",
                self.trace.join("\n"),
                self.seed
            );
        }
    }
}

/// A provider's keys, no two of which share a tag: a person names them by it.
fn pool() -> Vec<Dnskey> {
    let key = |flags| SigningKey::generate(P256, flags).unwrap().dnskey().clone();
    let pool = [ZONE | SEP, ZONE, ZONE, ZONE].map(key);
    let tags: BTreeSet<u16> = pool.iter().map(Dnskey::key_tag).collect();
    if tags.len() == pool.len() {
        pool.to_vec()
    } else {
        self::pool()
    }
}

fn pair(apex: &Name, algorithm: SigningAlgorithm, flags: u16, now: UnixTime) -> KeyFile {
    let (key, private) = PrivateKey::generate(algorithm, flags).unwrap();
    let timing = Timing::default().saying(Claim::Active, now);
    KeyFile::new(apex.clone(), key, private, timing)
}

/// Key pairs no two of which share a tag, and with it the names of their files.
fn pairs(apex: &Name, now: UnixTime) -> Vec<KeyFile> {
    let pairs = vec![
        pair(apex, P256, ZONE | SEP, now),
        pair(apex, P256, ZONE, now),
        pair(apex, SigningAlgorithm::Ed25519, ZONE, now),
    ];
    let tags: BTreeSet<u16> = pairs.iter().map(|pair| pair.dnskey.key_tag()).collect();
    if tags.len() == pairs.len() {
        pairs
    } else {
        self::pairs(apex, now)
    }
}

impl History {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let disk = SimulatedDisk::new(dice.roll());
        let outside = simulated::memory_folder();
        let now = UnixTime(1_800_000_000);
        let count = 1 + dice.below(3);
        let zones = (0..count).map(|number| {
            let apex: Name = format!("zone{number}.example.").parse().unwrap();
            let external = ["a", "b"].map(|name| outside.path().join(format!("{number}{name}")));
            external.iter().for_each(|path| fs::write(path, "").unwrap());
            Zone {
                external,
                policy: Policy {
                    make_keys: !dice.one_in(4),
                    ..Policy::default()
                },
                pool: pool(),
                elsewhere: pairs(&apex, now),
                keyset: None,
                foreign: BTreeSet::new(),
                own: BTreeMap::new(),
                told: BTreeSet::new(),
                out: BTreeSet::new(),
                copied: false,
                apex,
            }
        });
        let zones: Vec<Zone> = zones.collect();
        for zone in &zones {
            folder::write(&System, outside.path(), &zone.elsewhere, Existing::Refuse).unwrap();
        }
        Self {
            seed,
            process: disk.process(),
            disk,
            dice,
            store: None,
            zones,
            now,
            good_time: None,
            outside,
            weather: Weather::Fair,
            full: false,
            trace: Vec::new(),
            deaths: 0,
            calm: false,
        }
    }

    /// One zone that gets its keys by itself, and no surprises.
    fn calm(seed: u64) -> Self {
        let mut history = Self::new(seed);
        history.calm = true;
        history.zones.truncate(1);
        history.zones[0].policy.make_keys = true;
        history
    }

    fn say(&mut self, what: String) {
        self.trace.push(what);
    }

    fn keys(&self) -> PathBuf {
        self.disk.root().join("keys")
    }

    /// Plays: a start, some steps with deaths among them, and a loss of power at the end.
    fn play(mut self) -> usize {
        let steps = 8 + self.dice.below(24);
        if self.dice.one_in(2) {
            self.let_something_happen();
        }
        self.start();
        for _ in 0..steps {
            self.now = UnixTime(self.now.0 + 600);
            self.step();
            self.see_to_the_dead();
            if !self.disk.awaits() {
                self.weather = Weather::Fair;
            }
        }
        self.fill(false);
        self.die(Death::PowerLoss);
        self.deaths
    }

    fn see_to_the_dead(&mut self) {
        if let Some(death) = self.disk.death() {
            self.die(death);
        }
    }

    /// The process dies if it has not yet, and another one starts on what is left.
    fn die(&mut self, death: Death) {
        self.deaths += 1;
        self.process = self.disk.restart(death);
        self.say(format!("{death:?}: start again"));
        self.begin();
        if !self.calm && self.dice.one_in(3) {
            self.let_something_happen();
        }
        self.start();
    }

    /// Starts, again and again if it must, for a start may be interrupted, too.
    fn start(&mut self) {
        loop {
            match Store::simulated(&self.process) {
                Ok(store) => {
                    let kept = store.last_good_time();
                    self.store = Some(store);
                    match kept {
                        Ok(kept) => {
                            let kept = kept.map(|kept| kept.at);
                            assert!(kept >= self.good_time, "the good time went back");
                        }
                        Err(error) => self.excuse(&error),
                    }
                    self.reload(&[]);
                }
                Err(error) => self.excuse(&error),
            }
            match self.disk.death() {
                Some(death) => {
                    self.deaths += 1;
                    self.say(format!("{death:?} while starting"));
                    self.process = self.disk.restart(death);
                }
                None if self.store.is_some() => return,
                None => {
                    self.say("it does not start".to_owned());
                    self.fill(false);
                    self.process = self.disk.restart(Death::Killed);
                }
            }
            self.begin();
        }
    }

    fn begin(&mut self) {
        self.store = None;
        self.weather = Weather::Fair;
        self.zones.iter_mut().for_each(|zone| zone.keyset = None);
    }

    /// An error is right only while something was made to fail.
    fn excuse(&mut self, error: &dyn std::error::Error) {
        let text = causes(error);
        assert!(
            self.weather == Weather::Foul || self.full,
            "nothing was made to fail, and yet: {text}"
        );
        self.say(format!("  error: {text}"));
    }

    fn let_something_happen(&mut self) {
        self.weather = Weather::Foul;
        let most = [4, 40, 40, 120][self.dice.below(4)];
        let after = self.dice.below(most) as u64;
        match self.dice.below(6) {
            0 | 1 => self.strike(after, Death::Killed),
            2 | 3 => self.strike(after, Death::PowerLoss),
            4 => self.fail(after, io::ErrorKind::StorageFull),
            _ => self.fail(after, io::ErrorKind::Other),
        }
    }

    fn strike(&mut self, after: u64, death: Death) {
        self.say(format!("{death:?} after {after} operations"));
        self.disk.strike(after, death);
    }

    fn fail(&mut self, after: u64, how: io::ErrorKind) {
        self.say(format!("{how:?} after {after} operations"));
        self.disk.fail(after, how);
    }

    fn fill(&mut self, full: bool) {
        if self.full != full {
            self.say(format!("the disk is full: {full}"));
        }
        self.full = full;
        self.disk.fill(full);
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", causes(source)),
        None => error.to_string(),
    }
}

#[test]
fn what_was_served_outlives_every_death() {
    if let Some(seed) = env::var("COUNTERSIGN_HISTORY")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        History::new(seed).play();
        return;
    }
    let histories = env::var("COUNTERSIGN_HISTORIES").ok();
    let histories = histories.map_or(ORDINARY, |count| count.parse().unwrap());
    let deaths: usize = (0..histories).map(|seed| History::new(seed).play()).sum();
    println!("{histories} histories, {deaths} deaths");
}
