//! What may happen: to the disk, at the provider, by a person.

use super::*;

impl History {
    pub(super) fn step(&mut self) {
        let zone = self.dice.below(self.zones.len());
        match self.dice.below(24) {
            0..=4 => self.let_something_happen(),
            5 => self.fill(true),
            6 | 7 => {
                self.fill(false);
                self.disk.spare();
                self.weather = Weather::Fair;
            }
            8 => {
                self.disk.spare();
                self.say("stopped in order".to_owned());
                self.store = None;
                self.die(Death::Killed);
            }
            9 => {
                let death = [Death::Killed, Death::PowerLoss][self.dice.below(2)];
                self.die(death);
            }
            10..=12 => {
                self.change_external(zone);
                self.reload(&[]);
            }
            13..=15 => self.observe(zone),
            16 | 17 => self.generate(zone),
            18 => self.import(zone),
            19 => self.copy(zone),
            20 => self.withdraw(zone),
            21 => self.readmit(zone),
            22 => self.keep_time(),
            _ => {
                let policy = &mut self.zones[zone].policy;
                policy.publishing.cds = [Cds::Off, Cds::Publish][self.dice.below(2)];
                policy.make_keys = !self.dice.one_in(4);
                self.reload(&[]);
            }
        }
    }

    pub(super) fn change_external(&mut self, number: usize) {
        let which = self.dice.below(2);
        let chosen = self.some_keys(number);
        let zone = &mut self.zones[number];
        let path = &zone.external[which];
        zone.out.clear();
        match self.dice.below(8) {
            0 => fs::write(path, "garbage\n").unwrap(),
            1 => drop(fs::remove_file(path)),
            _ => {
                let lines = chosen
                    .iter()
                    .map(|key| format!("{} 60 IN DNSKEY {key}\n", zone.apex));
                fs::write(path, lines.collect::<String>()).unwrap();
            }
        }
        self.say(format!("file {which} of zone {number} shows {}", tags(&chosen)));
    }

    pub(super) fn some_keys(&mut self, zone: usize) -> Vec<Dnskey> {
        let mut pool = self.zones[zone].pool.clone();
        // Ours come back in what a provider shows.
        pool.extend(self.zones[zone].own.keys().cloned());
        pool.retain(|_| self.dice.one_in(2));
        pool
    }

    pub(super) fn observe(&mut self, number: usize) {
        let keys = self.some_keys(number);
        let from_api = self.dice.one_in(2);
        let provider = "ns1".to_owned();
        let seen = if from_api {
            Observation {
                source: Source::Api(provider),
                evidence: Evidence::Api,
                keys,
                ttl: None,
                trust: Some(Trust::Person),
            }
        } else {
            let host = 1 + self.dice.below(2);
            Observation {
                source: Source::Server {
                    provider,
                    address: format!("192.0.2.{host}:53").parse().unwrap(),
                },
                evidence: Evidence::Answer { anchor: 7 },
                keys,
                ttl: Some(Ttl::new([600, 3600][self.dice.below(2)])),
                trust: None,
            }
        };
        self.say(format!(
            "{} of zone {number} shows {}",
            seen.source,
            tags(&seen.keys)
        ));
        self.zones[number].out.clear();
        self.reload(&[(number, seen)]);
    }

    /// What a command says of a zone's keys; nothing of a command that failed with reason.
    pub(super) fn command<T>(
        &mut self,
        number: usize,
        command: impl FnOnce(&Process, Place<'_>, UnixTime) -> Result<T, CommandError>,
    ) -> Option<T> {
        self.open_what_is_shut();
        if self.disk.death().is_some() {
            return None;
        }
        let folder = self.keys();
        let zone = &self.zones[number];
        let place = Place {
            apex: &zone.apex,
            folder: &folder,
            journal: self.store.as_ref().map(|store| store as &dyn Journal),
        };
        match command(&self.process, place, self.now) {
            Ok(done) => Some(done),
            Err(error) => {
                let by_torn_files = self.zones[number].copied
                    && matches!(&error, CommandError::Custody(error) if concerns_files(error));
                let is_right = matches!(
                    error,
                    CommandError::NoSuchKey { .. }
                        | CommandError::NotLost { .. }
                        | CommandError::Ambiguous { .. }
                );
                if by_torn_files || is_right {
                    self.say(format!("  not done: {}", causes(&error)));
                } else {
                    self.excuse(&error);
                }
                None
            }
        }
    }

    pub(super) fn generate(&mut self, number: usize) {
        let role = [Role::Ksk, Role::Zsk, Role::Csk][self.dice.below(3)];
        self.say(format!("generate {role} for zone {number}"));
        let wanted = [Wanted {
            algorithm: P256,
            role,
        }];
        let made = self.command(number, |disk, place, now| {
            custody::generate_on(disk, place, &wanted, now)
        });
        let made = made.into_iter().flatten().map(|key| key.dnskey);
        self.zones[number].told.extend(made);
        self.reload(&[]);
    }

    pub(super) fn import(&mut self, number: usize) {
        let which = self.dice.below(self.zones[number].elsewhere.len());
        self.import_one(number, which);
    }

    pub(super) fn import_one(&mut self, number: usize, which: usize) {
        let file = &self.zones[number].elsewhere[which];
        if self.has_a_namesake(number, file) {
            return;
        }
        let path = self.outside.path().join(format!("{}.key", file.stem()));
        self.say(format!("import {} for zone {number}", path.display()));
        let done = self.command(number, |disk, place, now| {
            custody::import_on(disk, place, &[path], now)
        });
        let done = done.into_iter().flatten().map(|key| key.dnskey);
        self.zones[number].told.extend(done);
        self.reload(&[]);
    }

    /// A person copies a pair into the key folder.
    pub(super) fn copy(&mut self, number: usize) {
        let which = self.dice.below(self.zones[number].elsewhere.len());
        self.copy_one(number, which);
    }

    pub(super) fn copy_one(&mut self, number: usize, which: usize) {
        let zone = &self.zones[number];
        let file = zone.elsewhere[which].clone();
        if !self.keys().is_dir()
            || keys_in(&self.keys(), &zone.apex).contains(&file.dnskey)
            || self.has_a_namesake(number, &file)
        {
            return;
        }
        self.say(format!(
            "key {} is copied for zone {number}",
            file.dnskey.key_tag()
        ));
        self.zones[number].copied = true;
        self.put(&file);
        self.reload(&[]);
    }

    /// Whether another key of the zone has files of the same name: one pair in 65,536 shares its tag, and who copies
    /// it over the other has lost that, whatever we do.
    fn has_a_namesake(&self, number: usize, file: &KeyFile) -> bool {
        let zone = &self.zones[number];
        let name = |key: &Dnskey| (key.algorithm(), key.key_tag());
        let is_namesake = |key: &Dnskey| *key != file.dnskey && name(key) == name(&file.dnskey);
        zone.own.keys().chain(&zone.told).any(is_namesake)
            || (self.keys().is_dir() && keys_in(&self.keys(), &zone.apex).iter().any(is_namesake))
    }

    pub(super) fn put(&mut self, file: &KeyFile) {
        if self.disk.death().is_some() {
            return;
        }
        let path = |ending| self.keys().join(format!("{}.{ending}", file.stem()));
        self.disk
            .copy(&path("private"), 0o600, file.private_text().as_bytes());
        self.disk.copy(&path("key"), 0o644, file.public_text().as_bytes());
    }

    pub(super) fn withdraw(&mut self, number: usize) {
        let pool = &self.zones[number].pool;
        let key = pool[self.dice.below(pool.len())].clone();
        let tag = key.key_tag();
        self.say(format!("withdraw {tag} of zone {number}"));
        // From here on nobody may rely on it: a command that died may have been done.
        self.zones[number].foreign.remove(&key);
        let done = self.command(number, |_, place, now| {
            let journal = place.journal.expect("there is a store");
            custody::withdraw(place.apex, tag, "rolled", None, journal, now)
        });
        if done.is_some() {
            self.zones[number].out.insert(key);
        }
        self.reload(&[]);
    }

    pub(super) fn readmit(&mut self, number: usize) {
        let zone = &mut self.zones[number];
        let key = zone.pool[self.dice.below(zone.pool.len())].clone();
        zone.out.clear();
        self.say(format!("readmit {} of zone {number}", key.key_tag()));
        self.command(number, |_, place, now| {
            let journal = place.journal.expect("there is a store");
            custody::readmit(place.apex, key.key_tag(), journal, now)
        });
        self.reload(&[]);
    }

    pub(super) fn keep_time(&mut self) {
        let now = self.now;
        self.open_what_is_shut();
        match self.store.as_ref().map(|store| store.keep_good_time(now)) {
            Some(Ok(())) => self.good_time = Some(now),
            Some(Err(error)) => self.excuse(&error),
            None => {}
        }
    }
}

fn tags(keys: &[Dnskey]) -> String {
    let tags: Vec<String> = keys.iter().map(|key| key.key_tag().to_string()).collect();
    format!("{{{}}}", tags.join(" "))
}
