//! What a zone's register, key folder and external keys come to. Values in, values out; the only thing asked for
//! in between is a new key.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use super::{CustodyError, Note, Observation, Policy, Refused, with_causes};
use crate::{
    clock::UnixTime,
    dnssec::{
        algorithm::{Algorithm, SigningAlgorithm},
        csync::Csyncing,
        external::{ExternalError, ExternalKeys},
        key::{Dnskey, KeyError, PrivateKey, SEP, SigningKey, ZONE},
        keyfile::{
            self, KeyFile, KeyFileError,
            folder::{Contents, StoredKey},
            timing::{Claim, Timing},
        },
        keyset::{Cds, KeySet, KeySetError, KeyState, Member, Origin, Publishing, Role},
        register::{Event, Evidence, OwnState, Register, Source, What},
    },
    wire::{NameRef, Ttl},
};

/// How many keys one provider may show at a time. Four are usual, eight while everything rolls.
pub(super) const MOST_KEYS: usize = 16;
/// How often a new key may have a tag that is taken, before something is wrong with the random octets.
const MOST_TRIES: usize = 1_000;

/// Makes a key pair of an algorithm with flags.
pub(super) type Make<'a> = dyn FnMut(SigningAlgorithm, u16) -> Result<(Dnskey, PrivateKey), KeyError> + 'a;

/// All that is known of a zone's keys.
pub(super) struct Input<'a> {
    pub(super) apex: NameRef<'a>,
    pub(super) folder: PathBuf,
    pub(super) register: Register,
    /// The tags of all files for the zone, readable or not.
    pub(super) file_tags: Vec<u16>,
    pub(super) contents: Contents,
    pub(super) external: Vec<(Source, Result<ExternalKeys, ExternalError>)>,
    pub(super) providers: &'a [String],
    pub(super) observed: &'a [Observation],
    pub(super) policy: &'a Policy,
    pub(super) previous: Option<&'a KeySet>,
    pub(super) now: UnixTime,
}

/// What is to be done, in the order of the fields, and what then holds.
pub(super) struct Decision {
    /// To be on disk before any file is written.
    pub(super) before: Vec<Event>,
    /// New keys.
    pub(super) make: Vec<KeyFile>,
    /// Keys one of whose halves an interrupted write left out.
    pub(super) complete: Vec<KeyFile>,
    /// Names of key files that were found whole and are new here: they must be on disk before the register has them.
    pub(super) settle: Vec<String>,
    /// To be on disk when the files are.
    pub(super) after: Vec<Event>,
    /// Names of key files of which half-written copies may lie about.
    pub(super) discard: Vec<String>,
    /// Keys whose files say another state than the register.
    pub(super) rewrite: Vec<KeyFile>,
    pub(super) keyset: KeySet,
    pub(super) register: Register,
    pub(super) notes: Vec<Note>,
    /// What the register gave before all this, for a start at which nothing can be written.
    pub(super) standing: Option<(KeySet, Register)>,
}

impl Decision {
    /// Leaves everything as the register has it, where that is enough to serve the zone. Gives whether it is.
    pub(super) fn stand(&mut self) -> bool {
        let Some((keyset, register)) = self.standing.take() else {
            return false;
        };
        *self = Self {
            before: Vec::new(),
            make: Vec::new(),
            complete: Vec::new(),
            settle: Vec::new(),
            after: Vec::new(),
            discard: Vec::new(),
            rewrite: Vec::new(),
            keyset,
            register,
            notes: Vec::new(),
            standing: None,
        };
        true
    }

    /// Whether there is something to do with key files.
    pub(super) fn touches_files(&self) -> bool {
        let files = self.make.len() + self.complete.len();
        files + self.settle.len() + self.discard.len() > 0
    }
}

/// Decides what to do and what then holds.
pub(super) fn decide(input: Input<'_>, make: &mut Make<'_>) -> Result<Decision, Refused> {
    let mut zone = Zone::new(input);
    zone.resume_making();
    zone.read_folder();
    zone.demand_keys();
    let made = if zone.errors.is_empty() {
        zone.make_keys(make)
    } else {
        Ok(())
    };
    if let Err(error) = made {
        zone.errors.push(error.into());
    }
    zone.merge_external();
    zone.open_and_place();
    zone.into_decision()
}

struct Zone<'a> {
    apex: NameRef<'a>,
    folder: PathBuf,
    policy: &'a Policy,
    previous: Option<&'a KeySet>,
    now: UnixTime,
    file_tags: Vec<u16>,
    contents: Contents,
    external: Vec<(Source, Result<ExternalKeys, ExternalError>)>,
    providers: &'a [String],
    observed: &'a [Observation],
    /// As it was; decisions about new keys look at it.
    was: Register,
    /// As it becomes.
    register: Register,
    /// Both halves of the keys that can sign, and their files.
    keys: BTreeMap<Dnskey, (KeyFile, Arc<SigningKey>)>,
    before: Vec<Event>,
    after: Vec<Event>,
    make: Vec<KeyFile>,
    complete: Vec<KeyFile>,
    settle: Vec<String>,
    /// The flags of keys whose making was interrupted for good.
    abandoned: BTreeSet<u16>,
    /// Whose half-written files are to be removed.
    discard: Vec<String>,
    notes: Vec<Note>,
    errors: Vec<CustodyError>,
}

impl<'a> Zone<'a> {
    fn new(input: Input<'a>) -> Self {
        Self {
            apex: input.apex,
            folder: input.folder,
            policy: input.policy,
            previous: input.previous,
            now: input.now,
            file_tags: input.file_tags,
            contents: input.contents,
            external: input.external,
            providers: input.providers,
            observed: input.observed,
            was: input.register.clone(),
            register: input.register,
            keys: BTreeMap::new(),
            before: Vec::new(),
            after: Vec::new(),
            make: Vec::new(),
            complete: Vec::new(),
            settle: Vec::new(),
            abandoned: BTreeSet::new(),
            discard: Vec::new(),
            notes: Vec::new(),
            errors: Vec::new(),
        }
    }

    fn happens(&mut self, what: What) {
        let event = Event { at: self.now, what };
        self.register.apply(&event);
        self.after.push(event);
    }

    fn take(&mut self, stored: StoredKey) {
        let StoredKey { file, signer } = stored;
        self.keys.insert(file.dnskey.clone(), (file, Arc::new(signer)));
    }

    /// Keys that the journal announced and whose files may or may not have come to be.
    fn resume_making(&mut self) {
        let pending: Vec<Dnskey> = self
            .register
            .own
            .iter()
            .filter(|(_, own)| matches!(own.state, OwnState::Making(_)))
            .map(|(key, _)| key.clone())
            .collect();
        for key in pending {
            let whole = self.contents.keys.iter().find(|stored| stored.file.dnskey == key);
            if let Some(stored) = whole {
                self.settle.push(stored.file.stem());
                self.happens(What::Made { key });
            } else if let Some(stored) = self.private_half_of(&key) {
                self.notes.push(Note::Completed { tag: key.key_tag() });
                self.complete.push(stored.file.clone());
                self.take(stored);
                self.happens(What::Made { key });
            } else {
                self.discard
                    .push(keyfile::stem(self.apex, key.algorithm(), key.key_tag()));
                self.notes.push(Note::Abandoned { tag: key.key_tag() });
                self.abandoned.insert(key.flags());
                self.happens(What::Abandoned { key });
            }
        }
    }

    /// The private half of `key` where its public half is missing.
    fn private_half_of(&mut self, key: &Dnskey) -> Option<StoredKey> {
        let mut alone = self.contents.private_alone.iter().enumerate();
        let (at, stored) = alone.find_map(|(at, half)| Some((at, half.with_public(self.apex, key)?)))?;
        self.contents.private_alone.remove(at);
        Some(stored)
    }

    fn read_folder(&mut self) {
        let contents = std::mem::take(&mut self.contents);
        self.errors
            .extend(contents.errors.into_iter().map(CustodyError::from));
        for half in contents.private_alone {
            let known = self.register.own_at_work().map(|(key, _)| key);
            let again = known.filter_map(|key| half.with_public(self.apex, key)).next();
            match again {
                Some(stored) => {
                    self.notes.push(Note::Completed { tag: half.tag });
                    self.complete.push(stored.file.clone());
                    self.take(stored);
                }
                None => self.notes.push(Note::PrivateAlone { path: half.path }),
            }
        }
        for (key, path) in contents.public_alone {
            let needless = self
                .register
                .own
                .get(&key)
                .is_some_and(|own| own.state.is_tombstone() || own.state == OwnState::Is(Claim::Retired));
            if !needless {
                let tag = key.key_tag();
                self.errors.push(KeyFileError::PublicAlone { path, tag }.into());
            }
        }
        for stored in contents.keys {
            self.meet(stored);
        }
    }

    /// A whole pair in the folder: known, or new.
    fn meet(&mut self, stored: StoredKey) {
        let key = stored.file.dnskey.clone();
        let tag = key.key_tag();
        if key.is_revoked() {
            self.notes.push(Note::Revoked { tag });
            return;
        }
        match self.register.own.get(&key).map(|own| &own.state) {
            Some(OwnState::Lost { reason }) => {
                let reason = reason.clone();
                self.notes.push(Note::GivenUp { tag, reason });
                self.take(stored);
            }
            None | Some(OwnState::Abandoned) => {
                let claim = stored.file.timing.claim(self.now);
                let (state, note) = first_state(&self.was, &key, claim);
                self.notes.extend(note);
                self.settle.push(stored.file.stem());
                self.take(stored);
                self.happens(What::Imported { key, state });
            }
            Some(_) => self.take(stored),
        }
    }

    /// Every key that the register holds as published, or as one that signs, must be here.
    fn demand_keys(&mut self) {
        let missing: Vec<(u16, Claim)> = self
            .register
            .own
            .iter()
            .filter_map(|(key, own)| match own.state {
                OwnState::Is(Claim::Held | Claim::Retired | Claim::Gone) => None,
                OwnState::Is(state) => Some((key, state)),
                _ => None,
            })
            .filter(|(key, _)| !self.keys.contains_key(*key))
            .map(|(key, state)| (key.key_tag(), state))
            // A file of that tag that cannot be read has been named already.
            .filter(|(tag, _)| self.errors.is_empty() || !self.file_tags.contains(tag))
            .collect();
        for (tag, state) in missing {
            self.errors.push(CustodyError::Missing {
                tag,
                state,
                folder: self.folder.clone(),
                apex: self.apex.to_owned(),
            });
        }
    }

    /// Makes the keys that the policy asks for, for a zone that nobody has seen.
    fn make_keys(&mut self, make: &mut Make<'_>) -> Result<(), KeyError> {
        let has_keys = self.register.own_in_set().next().is_some();
        let announced: BTreeSet<u16> = self.was.own.keys().map(Dnskey::key_tag).collect();
        let holds_nothing_else = self.file_tags.iter().all(|tag| announced.contains(tag));
        let flags = match (has_keys, self.abandoned.is_empty()) {
            (false, true) => BTreeSet::from([ZONE | SEP, ZONE]),
            _ => std::mem::take(&mut self.abandoned),
        };
        if !self.policy.make_keys || !self.was.is_new() || !holds_nothing_else {
            if !has_keys {
                self.errors.push(CustodyError::NoKeys {
                    apex: self.apex.to_owned(),
                    folder: self.folder.clone(),
                });
            }
            return Ok(());
        }
        // Of an interrupted pair only what is missing is made again.
        let present: BTreeSet<u16> = self.register.own_in_set().map(|(key, _)| key.flags()).collect();
        let flags: Vec<u16> = flags.difference(&present).copied().collect();
        let mut taken = tags_in_sight(&self.register, &self.file_tags);
        for (_, found) in &self.external {
            for key in found.iter().flat_map(|found| &found.keys) {
                avoid(&mut taken, &key.dnskey);
            }
        }
        for flags in flags {
            let (key, private) = with_free_tag(self.policy.algorithm, flags, &taken, make)?;
            avoid(&mut taken, &key);
            let state = Claim::Active;
            let timing = Timing::default().saying(state, self.now);
            let file = KeyFile::new(self.apex.to_owned(), key.clone(), private, timing);
            let signer = file.signing_key()?;
            self.take(StoredKey {
                file: file.clone(),
                signer,
            });
            self.make.push(file);
            let making = Event {
                at: self.now,
                what: What::Making {
                    key: key.clone(),
                    state,
                },
            };
            self.register.apply(&making);
            self.before.push(making);
            self.happens(What::Made { key });
        }
        Ok(())
    }

    fn merge_external(&mut self) {
        let algorithms = self.register.known_algorithms();
        let configured: BTreeSet<Source> = self.external.iter().map(|(source, _)| source.clone()).collect();
        let mut unseen = Vec::new();
        for (source, found) in std::mem::take(&mut self.external) {
            let accepted = found.and_then(|found| self.accept_file(&source, found, &algorithms));
            match accepted {
                Ok(keys) => {
                    unseen.extend(self.vanished(&source, keys.iter().map(|(key, _)| key)));
                    for (key, line) in keys {
                        let known = self.register.foreign.get(&key);
                        if known.is_some_and(|foreign| foreign.shown_by.contains(&source)) {
                            continue;
                        }
                        let (source, evidence) = (source.clone(), Evidence::Line(line));
                        self.happens(What::Seen {
                            key,
                            source,
                            evidence,
                        });
                    }
                }
                Err(error) if self.was.opened => {
                    let error = with_causes(&error);
                    self.notes.push(Note::ExternalIgnored { error });
                }
                Err(error) => self.errors.push(error.into()),
            }
        }
        self.merge_observed(&algorithms, &mut unseen);
        // A file or a provider that is no longer configured shows nothing.
        let is_configured = |source: &Source| match source.provider() {
            None => configured.contains(source),
            Some(provider) => self.providers.iter().any(|known| known == provider),
        };
        let forgotten: BTreeSet<Source> = self
            .register
            .foreign
            .values()
            .flat_map(|foreign| foreign.shown_by.iter().cloned())
            .filter(|source| !is_configured(source))
            .collect();
        for source in forgotten {
            unseen.extend(self.vanished(&source, []));
        }
        // Sights come first: a file under a new name must not look like a key that came and went.
        for what in unseen {
            self.happens(what);
        }
    }

    /// What was seen at the providers. A key that must be refused holds back none of the others.
    fn merge_observed(&mut self, algorithms: &BTreeSet<Algorithm>, unseen: &mut Vec<What>) {
        for seen in self.observed {
            if let (Some(by), Some(provider)) = (&seen.trust, seen.source.provider()) {
                let (provider, by) = (provider.to_owned(), by.clone());
                if self.register.trusted.get(&provider) != Some(&by) {
                    self.happens(What::Trusted { provider, by });
                }
            }
            let keys = self.accept_observed(seen, algorithms);
            unseen.extend(self.vanished(&seen.source, &keys));
            for key in keys {
                let known = self.register.foreign.get(&key);
                if known.is_none_or(|foreign| !foreign.shown_by.contains(&seen.source)) {
                    let (source, evidence) = (seen.source.clone(), seen.evidence.clone());
                    self.happens(What::Seen {
                        key,
                        source,
                        evidence,
                    });
                }
            }
        }
        for provider in self.providers {
            let at_it = self
                .observed
                .iter()
                .filter(|seen| seen.source.provider() == Some(provider));
            let smallest = at_it.filter_map(|seen| seen.ttl).min();
            if let Some(ttl) = smallest.filter(|ttl| self.register.ttls.get(provider) != Some(ttl)) {
                let provider = provider.clone();
                self.happens(What::TtlSeen { provider, ttl });
            }
        }
    }

    /// The keys of one source that may be merged. Ours among them only show that it publishes them.
    fn accept_observed(&mut self, seen: &Observation, algorithms: &BTreeSet<Algorithm>) -> Vec<Dnskey> {
        let mut accepted: Vec<Dnskey> = Vec::new();
        for key in &seen.keys {
            let ours = self.register.is_own(key) || self.keys.contains_key(key);
            if ours || accepted.contains(key) {
                continue;
            }
            let mut reason = refusal(key, algorithms);
            if accepted.len() == MOST_KEYS {
                reason = Some(format!("more than {MOST_KEYS} keys of one provider are refused"));
            }
            match reason {
                None => accepted.push(key.clone()),
                Some(reason) => self.notes.push(Note::Refused {
                    tag: key.key_tag(),
                    source: seen.source.clone(),
                    reason,
                }),
            }
        }
        accepted
    }

    /// The keys of one file that may be merged.
    fn accept_file(
        &mut self,
        source: &Source,
        found: ExternalKeys,
        algorithms: &BTreeSet<Algorithm>,
    ) -> Result<Vec<(Dnskey, u32)>, ExternalError> {
        let file = match source {
            Source::File(file) => file.clone(),
            other => other.to_string().into(),
        };
        let mut accepted: Vec<(Dnskey, u32)> = Vec::new();
        let mut ours = Vec::new();
        for key in found.keys {
            let tag = key.dnskey.key_tag();
            if self.register.is_own(&key.dnskey) || self.keys.contains_key(&key.dnskey) {
                let source = source.clone();
                ours.push(Note::Ours { tag, source });
                continue;
            }
            if accepted.iter().any(|(known, _)| *known == key.dnskey) {
                continue;
            }
            let mut reason = refusal(&key.dnskey, algorithms);
            if accepted.len() == MOST_KEYS {
                reason = Some(format!("more than {MOST_KEYS} keys of one provider are refused"));
            }
            if let Some(reason) = reason {
                return Err(ExternalError::Line {
                    file,
                    line: key.line,
                    reason: format!("key {tag}: {reason}"),
                });
            }
            accepted.push((key.dnskey, key.line));
        }
        self.notes.append(&mut ours);
        if found.signatures > 0 {
            self.notes.push(Note::Signatures {
                source: source.clone(),
                count: found.signatures,
            });
        }
        Ok(accepted)
    }

    /// The keys that `source` showed and does not any more.
    fn vanished<'k>(&self, source: &Source, now_shown: impl IntoIterator<Item = &'k Dnskey>) -> Vec<What> {
        let now_shown: BTreeSet<&Dnskey> = now_shown.into_iter().collect();
        let shown = self
            .register
            .foreign
            .iter()
            .filter(|(_, foreign)| foreign.shown_by.contains(source));
        shown
            .filter(|(key, _)| !now_shown.contains(key))
            .map(|(key, _)| What::Unseen {
                key: key.clone(),
                source: source.clone(),
            })
            .collect()
    }

    /// The events that say the zone is served, from where.
    fn open_and_place(&mut self) {
        if self.register.folder.as_ref() != Some(&self.folder) {
            let path = self.folder.clone();
            self.happens(What::Folder { path });
        }
        if !self.register.opened {
            self.happens(What::Opened);
        }
    }

    fn into_decision(mut self) -> Result<Decision, Refused> {
        self.note_what_stands();
        let keyset = self.assemble(&self.register);
        let keyset = match keyset {
            Ok(keyset) if self.errors.is_empty() => keyset,
            other => {
                // Without keys there is no set either; that has been said better already.
                if let (Err(error), true) = (other, self.errors.is_empty()) {
                    self.errors.push(error.into());
                }
                return Err(Refused {
                    errors: self.errors,
                    notes: self.notes,
                });
            }
        };
        Ok(Decision {
            standing: self.standing(),
            rewrite: self.rewrite(),
            discard: self.discard,
            before: self.before,
            make: self.make,
            complete: self.complete,
            settle: self.settle,
            after: self.after,
            keyset,
            register: self.register,
            notes: self.notes,
        })
    }

    /// A zone that was served before is served at a start though its disk is full; later, what is in use goes on.
    fn standing(&self) -> Option<(KeySet, Register)> {
        let has_news = !(self.before.is_empty() && self.after.is_empty() && self.complete.is_empty());
        if !has_news || !self.was.opened || self.previous.is_some() {
            return None;
        }
        let keyset = self.assemble(&self.was).ok()?;
        Some((keyset, self.was.clone()))
    }

    fn assemble(&self, register: &Register) -> Result<KeySet, KeySetError> {
        let (members, publishing) = (self.members(register), self.publishing(register));
        let set = KeySet::assemble(self.apex, members, publishing, self.previous)?;
        let set = match publishing.cds {
            Cds::Rollover => set.asking_for(self.apex, &register.asks_for),
            Cds::Off | Cds::Publish | Cds::Delete => set,
        };
        Ok(match publishing.csync {
            Csyncing::Rollover => set.having_taken(register.csync),
            Csyncing::Off => set,
        })
    }

    /// One RRset has one TTL, whoever serves it: the smallest of ours and of what the providers answer with.
    fn publishing(&self, register: &Register) -> Publishing {
        let theirs = self
            .providers
            .iter()
            .filter_map(|provider| register.ttls.get(provider));
        Publishing {
            ttl: theirs.copied().fold(self.policy.publishing.ttl, Ttl::min),
            ..self.policy.publishing
        }
    }

    fn members(&self, register: &Register) -> Vec<Member> {
        let ours = register.own_at_work().map(|(key, state)| Member {
            dnskey: key.clone(),
            origin: Origin::Own,
            state,
            signer: self.keys.get(key).map(|(_, signer)| Arc::clone(signer)),
        });
        let theirs = register.foreign_in_set().map(|(key, foreign, state)| {
            let sources = if state == KeyState::Kept {
                &foreign.ever_shown_by
            } else {
                &foreign.shown_by
            };
            Member {
                dnskey: key.clone(),
                origin: Origin::Provider {
                    sources: sources.iter().map(ToString::to_string).collect(),
                },
                state,
                signer: None,
            }
        });
        ours.chain(theirs).collect()
    }

    fn note_what_stands(&mut self) {
        let mut notes = Vec::new();
        for (key, foreign) in &self.register.foreign {
            let tag = key.key_tag();
            if self.register.is_own(key) {
                continue;
            }
            if let Some(barred) = &foreign.barred {
                notes.push(Note::Barred {
                    tag,
                    sources: barred.waiting_for.iter().cloned().collect(),
                    reason: barred.reason.clone(),
                });
            } else if foreign.in_set() == Some(KeyState::Kept) {
                notes.push(Note::Kept {
                    tag,
                    sources: foreign.ever_shown_by.iter().cloned().collect(),
                    since: foreign.last_unseen,
                });
            }
        }
        for (key, foreign, _) in self.register.foreign_withheld() {
            if !foreign.shown_by.is_empty() {
                notes.push(Note::Withheld {
                    tag: key.key_tag(),
                    sources: foreign.shown_by.iter().cloned().collect(),
                    algorithm: key.algorithm(),
                });
            }
        }
        let tag_of = |key: &Dnskey| (key.algorithm(), key.key_tag());
        for (key, _) in self.register.own_in_set() {
            let others = self.register.own_in_set().map(|(other, _)| other);
            let theirs = self.register.foreign_in_set().map(|(other, ..)| other);
            if others
                .chain(theirs)
                .any(|other| other != key && tag_of(other) == tag_of(key))
            {
                notes.push(Note::TagShared { tag: key.key_tag() });
            }
        }
        self.notes.append(&mut notes);
    }

    /// The files that say another state than the register.
    fn rewrite(&mut self) -> Vec<KeyFile> {
        let mut rewritten = Vec::new();
        for (key, (file, _)) in &self.keys {
            let Some(own) = self.register.own.get(key) else {
                continue;
            };
            let state = match &own.state {
                OwnState::Is(state) => *state,
                OwnState::Lost { .. } => Claim::Gone,
                OwnState::Making(_) | OwnState::Abandoned => continue,
            };
            let planned = file.timing.has_plans(self.now);
            if planned {
                self.notes.push(Note::Schedule { tag: key.key_tag() });
            }
            if planned || file.timing.claim(self.now) != state {
                // The register's clock may have been ahead when the state began.
                let timing = file.timing.saying(state, own.since.min(self.now));
                rewritten.push(KeyFile {
                    timing,
                    ..file.clone()
                });
            }
        }
        rewritten
    }
}

/// The state in which a key that is new to the register begins, and what to say about it. `register` is as it
/// was before this reading.
pub(super) fn first_state(register: &Register, key: &Dnskey, claim: Claim) -> (Claim, Option<Note>) {
    // Times are read as a state only while the register has none.
    if claim == Claim::Gone || register.is_new() {
        return (claim, None);
    }
    // That a key signs unpublished, only a plan of this zone may say.
    let claim = if claim.is_unpublished_signer() {
        Claim::Active
    } else {
        claim
    };
    let tag = key.key_tag();
    let algorithms = register.algorithms();
    if !algorithms.is_empty() && !algorithms.contains(&key.algorithm()) {
        let algorithm = key.algorithm();
        return (Claim::Held, Some(Note::HeldBack { tag, algorithm }));
    }
    match worker(register, key) {
        Some(covered_by) if claim != Claim::Retired => {
            let role = if key.is_sep() { Role::Ksk } else { Role::Zsk };
            (
                Claim::Published,
                Some(Note::NotSigning {
                    tag,
                    role,
                    covered_by,
                }),
            )
        }
        Some(_) => (Claim::Retired, None),
        None if claim == Claim::Held => (Claim::Published, None),
        None => (claim, None),
    }
}

/// The tag of an active key that does the work which `key` would do. In a zone that was never served, a KSK
/// does not stand in for a ZSK: nobody has seen a signature yet.
fn worker(register: &Register, key: &Dnskey) -> Option<u16> {
    let mut active = register
        .own_in_set()
        .filter(|(_, state)| *state == KeyState::Active)
        .map(|(key, _)| key);
    let does_it = |other: &&Dnskey| {
        other.algorithm() == key.algorithm()
            && (other.is_sep() == key.is_sep() || (register.opened && other.is_sep()))
    };
    active.find(does_it).map(Dnskey::key_tag)
}

/// Why another provider's key may not be merged.
fn refusal(key: &Dnskey, algorithms: &BTreeSet<Algorithm>) -> Option<String> {
    let algorithm = key.algorithm();
    if key.protocol() != 3 {
        return Some(format!("its protocol is {}, not 3", key.protocol()));
    }
    if !key.is_zone_key() {
        return Some("its ZONE flag is not set, so it is no zone's key".into());
    }
    if key.is_revoked() {
        return Some("its REVOKE flag is set: the provider has given it up".into());
    }
    if algorithm.is_banned() {
        return Some(format!(
            "{algorithm} must not be used any more (RFC 9904, RFC 9905)"
        ));
    }
    if let Some(fault) = algorithm.public_key_fault(key.public_key()) {
        return Some(fault);
    }
    // Without keys of ours there is another error to show.
    if !algorithms.is_empty() && !algorithms.contains(&algorithm) {
        let names: Vec<String> = algorithms.iter().map(ToString::to_string).collect();
        return Some(format!(
            "it is of {algorithm}, and the zone is signed with {}; all providers need the same algorithms (RFC 8901 §4)",
            names.join(" and ")
        ));
    }
    None
}

/// The tags that a new key must not have: of every key known, ours or not, present or past, and those that
/// they would have with REVOKE set.
pub(super) fn tags_in_sight(register: &Register, file_tags: &[u16]) -> BTreeSet<u16> {
    let mut taken: BTreeSet<u16> = file_tags.iter().copied().collect();
    for key in register.own.keys().chain(register.foreign.keys()) {
        avoid(&mut taken, key);
    }
    taken
}

pub(super) fn avoid(taken: &mut BTreeSet<u16>, key: &Dnskey) {
    taken.extend([key.key_tag(), key.revoked_tag()]);
}

/// A new key whose tag is not taken.
pub(super) fn with_free_tag(
    algorithm: SigningAlgorithm,
    flags: u16,
    taken: &BTreeSet<u16>,
    make: &mut Make<'_>,
) -> Result<(Dnskey, PrivateKey), KeyError> {
    for _ in 0..MOST_TRIES {
        let (key, private) = make(algorithm, flags)?;
        if !taken.contains(&key.key_tag()) {
            return Ok((key, private));
        }
    }
    Err(KeyError::NoRandom)
}
