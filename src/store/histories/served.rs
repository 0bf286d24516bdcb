//! Opening the keys, and what must hold of what is served then.

use super::*;

impl Zone {
    fn misses_nothing(&self, keyset: &KeySet, in_folder: &BTreeSet<Dnskey>) {
        let apex = &self.apex;
        let keys = keyset.published().iter();
        let published: BTreeMap<&Dnskey, _> = keys.map(|key| (&key.dnskey, key)).collect();
        for key in &self.foreign {
            let tag = key.key_tag();
            assert!(
                published.contains_key(key),
                "{apex}: the provider's key {tag} was served and is gone"
            );
        }
        for key in &self.out {
            let tag = key.key_tag();
            assert!(
                !published.contains_key(key),
                "{apex}: the withdrawn key {tag} is back"
            );
        }
        for (key, state) in &self.own {
            let (now, tag) = (published.get(key), key.key_tag());
            assert!(
                now.is_some_and(|now| now.origin == Origin::Own && now.state >= *state),
                "{apex}: our key {tag} was served as {state} and is {now:?}"
            );
        }
        for key in self.own.keys().chain(&self.told) {
            let tag = key.key_tag();
            assert!(in_folder.contains(key), "{apex}: the files of key {tag} are gone");
        }
    }
}

impl History {
    /// Starts the server again where a failed sync shut the store for good, as an operator is told to.
    pub(super) fn open_what_is_shut(&mut self) {
        let shut = |store: &Store| store.sync_failed.load(Ordering::Relaxed);
        if self.disk.death().is_none() && self.store.as_ref().is_some_and(shut) {
            self.die(Death::Killed);
        }
    }

    /// Opens the keys of all zones, as a reload or the sight of a provider does, and looks at what is served then.
    pub(super) fn reload(&mut self, observed: &[(usize, Observation)]) {
        self.open_what_is_shut();
        let folder = self.keys();
        let providers = ["ns1".to_owned()];
        let mut results = Vec::new();
        // A reload is of all zones at once; what was seen concerns one.
        let zones = match observed {
            [] => 0..self.zones.len(),
            [(zone, _), ..] => *zone..zone + 1,
        };
        let seen: Vec<Observation> = observed.iter().map(|(_, seen)| seen.clone()).collect();
        if let Some(store) = &self.store {
            let requests: Vec<Request<'_>> = self.zones[zones.clone()]
                .iter()
                .map(|zone| Request {
                    apex: &zone.apex,
                    folder: &folder,
                    external: &zone.external,
                    providers: &providers,
                    observed: &seen,
                    policy: &zone.policy,
                    previous: zone.keyset.as_deref(),
                })
                .collect();
            results = custody::open_on(&self.process, &requests, store, self.now);
        }
        self.say(format!("opened zones {zones:?}"));
        for (zone, opened) in zones.zip(results) {
            match opened {
                Ok(opened) => self.serve(zone, opened),
                Err(refused) => self.excuse_refusal(zone, refused),
            }
        }
    }

    /// What holds of a set that is served.
    pub(super) fn serve(&mut self, number: usize, opened: Opened) {
        let folder = self.keys();
        let zone = &mut self.zones[number];
        zone.misses_nothing(&opened.keyset, &keys_in(&folder, &zone.apex));
        for key in opened.keyset.published() {
            if key.origin == Origin::Own {
                zone.own.insert(key.dnskey.clone(), key.state);
            } else {
                zone.foreign.insert(key.dnskey.clone());
            }
        }
        // What was copied whole is ours now, and on disk.
        let torn = |note: &Note| matches!(note, Note::PrivateAlone { .. });
        zone.copied &= opened.notes.iter().any(torn);
        zone.keyset = Some(Arc::clone(&opened.keyset));
        // The dead, and a store that has just failed, cannot be asked.
        let apex = self.zones[number].apex.clone();
        if let Some(Ok(events)) = self.store.as_ref().map(|store| store.events(apex.as_ref())) {
            let register = Register::of(&events);
            assert_eq!(register, opened.register, "{apex}: served from what is not kept");
        }
        let signers = opened.keyset.key_signers().iter();
        for key in signers.chain(opened.keyset.data_signers()) {
            let own = opened.register.own.get(key.dnskey());
            assert!(
                own.is_some_and(|own| own.state == OwnState::Is(Claim::Active)),
                "{apex}: key {} signs, which the register does not hold as active",
                key.key_tag()
            );
        }
    }

    pub(super) fn excuse_refusal(&mut self, number: usize, refused: Refused) {
        let text: Vec<String> = refused.errors.iter().map(|error| causes(error)).collect();
        self.say(format!("  refused: {}", text.join("; ")));
        let zone = &self.zones[number];
        // On a full disk what is in use goes on; a start has nothing in use, and serves what is kept.
        let may_wait = zone.keyset.is_some() || !zone.was_served();
        if self.weather == Weather::Foul || (self.full && may_wait) {
            return;
        }
        let is_torn = |error: &CustodyError| zone.copied && concerns_files(error);
        let is_right = |error: &CustodyError| {
            matches!(
                error,
                CustodyError::NoKeys { .. } | CustodyError::KeySet(_) | CustodyError::External(_)
            )
        };
        assert!(
            refused
                .errors
                .iter()
                .all(|error| is_torn(error) || (is_right(error) && !zone.was_served())),
            "{} is refused, served before: {}",
            zone.apex,
            zone.was_served()
        );
        if refused.errors.iter().any(is_torn) {
            self.say("  the torn files are copied again, and synced".to_owned());
            self.zones[number].copied = false;
            for file in self.zones[number].elsewhere.clone() {
                self.put(&file);
            }
            self.disk.sync_all();
            self.reload(&[]);
        }
    }
}

pub(super) fn keys_in(folder: &Path, apex: &Name) -> BTreeSet<Dnskey> {
    let contents = Folder::list(folder).unwrap().read(apex.as_ref());
    let keys = contents.keys.into_iter();
    keys.map(|stored| stored.file.dnskey).collect()
}

pub(super) fn concerns_files(error: &CustodyError) -> bool {
    match error {
        CustodyError::Missing { .. } => true,
        CustodyError::KeyFile(error) => !matches!(error, KeyFileError::Write { .. }),
        _ => false,
    }
}
