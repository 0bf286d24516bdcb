//! The zones that are served, and how they are loaded and loaded again. What cannot be taken leaves what was
//! served before as it is, zone by zone: the content, the keys, or both.

use std::{
    collections::BTreeMap,
    num::NonZero,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    protocol::{Outcome, ZoneReloaded},
    zonefile::{self, Unusable, ZoneFile},
};
use crate::{
    answer::{ServedZone, ZonePolicy},
    clock::UnixTime,
    config::ZoneSettings,
    dnssec::{
        custody::{self, Level, Note, Observation, Opened, Policy, Refused, Request},
        key::Dnskey,
        keyset::{KeySet, PublishedKey, Publishing},
        register::{Journal, What},
    },
    wire::Name,
    zone::Zone,
};

/// All zones by name.
pub type Held = BTreeMap<Name, Arc<HeldZone>>;

/// One zone: what was asked for, and what is served.
#[derive(Debug)]
pub struct HeldZone {
    /// What the configuration says of it.
    pub settings: ZoneSettings,
    /// The content as the file had it when it was last good.
    content: Option<Arc<Content>>,
    /// What the engine was given.
    pub served: Arc<ServedZone>,
    /// Why what was asked for is not what is served.
    pub problems: Vec<String>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// Those of both that are about the content: they stand when the keys alone are opened anew.
    about_content: (Vec<String>, Vec<String>),
}

impl HeldZone {
    /// The zone as its source has it, without key sets of ours.
    pub fn content(&self) -> Option<&Zone> {
        self.content.as_ref().map(|content| &content.zone)
    }
}

#[derive(Debug)]
struct Content {
    zone: Zone,
    fingerprint: u64,
    left_out_keys: Vec<Dnskey>,
}

/// What loading takes besides the zones.
#[derive(Clone, Copy)]
pub struct Loading<'a> {
    /// The folder of our key files.
    pub keys: &'a Path,
    /// Where key events are kept.
    pub journal: &'a dyn Journal,
    /// The trusted time.
    pub now: UnixTime,
    /// Makes fingerprints of content.
    pub hasher: &'a ahash::RandomState,
}

/// Loads all `zones`; `before` is what is served now. Gives what to serve, and what changed, in order of name.
pub fn load(zones: &[ZoneSettings], before: &Held, loading: Loading<'_>) -> (Held, Vec<ZoneReloaded>) {
    let files = read_files(zones, loading.hasher);
    let mut drafts: Vec<Draft<'_>> = zones
        .iter()
        .zip(files)
        .map(|(settings, file)| Draft::new(settings, file, before.get(&settings.origin)))
        .collect();
    open_keys(&mut drafts, &[], loading);
    let mut held = Held::new();
    let mut reports = Vec::new();
    for draft in drafts {
        let (zone, report) = draft.finish(loading.now);
        held.insert(zone.settings.origin.clone(), Arc::new(zone));
        reports.push(report);
    }
    for (origin, _) in before.iter().filter(|(origin, _)| !held.contains_key(*origin)) {
        reports.push(ZoneReloaded {
            origin: origin.to_string(),
            outcome: Outcome::Removed,
            changes: vec!["it is no longer served".to_owned()],
            problems: Vec::new(),
            warnings: Vec::new(),
        });
    }
    reports.sort_by(|a, b| a.origin.cmp(&b.origin));
    (held, reports)
}

/// A zone with its keys opened anew.
#[derive(Debug)]
pub struct Renewed {
    /// The zone.
    pub held: HeldZone,
    /// What changed.
    pub report: ZoneReloaded,
    /// Why the keys could not be opened. Then nothing of what was seen is kept.
    pub refused: Vec<String>,
}

/// One zone with its keys opened anew, after something was seen at a provider; its content stays.
pub fn renew(before: &Arc<HeldZone>, observed: &[Observation], loading: Loading<'_>) -> Renewed {
    let mut draft = [Draft::unread(&before.settings, before)];
    open_keys(&mut draft, observed, loading);
    let [mut draft] = draft;
    let refused = std::mem::take(&mut draft.refused);
    let (held, report) = draft.finish(loading.now);
    Renewed {
        held,
        report,
        refused,
    }
}

/// Content as its source has it now; `None` where that is elsewhere, and comes in its own time.
type ReadNow = Option<Result<ZoneFile, Unusable>>;

/// Reads the files on as many threads as there are processors: a thousand small ones take a fraction of a second.
fn read_files(zones: &[ZoneSettings], hasher: &ahash::RandomState) -> Vec<ReadNow> {
    let next = AtomicUsize::new(0);
    let read = Mutex::new(Vec::with_capacity(zones.len()));
    let threads = thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(zones.len());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(zone) = zones.get(index) else { break };
                    let origin = zone.origin.as_ref();
                    let path = zone.source.file();
                    let file = path.map(|path| zonefile::read(path, origin, zone.signature_validity, hasher));
                    read.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((index, file));
                }
            });
        }
    });
    let mut read = read.into_inner().unwrap_or_else(PoisonError::into_inner);
    read.sort_by_key(|(index, _)| *index);
    read.into_iter().map(|(_, file)| file).collect()
}

/// A zone on its way to be served.
struct Draft<'a> {
    settings: &'a ZoneSettings,
    before: Option<&'a Arc<HeldZone>>,
    content: Option<Arc<Content>>,
    keyset: Option<Arc<KeySet>>,
    /// Why the keys could not be opened; among the problems, too.
    refused: Vec<String>,
    problems: Vec<String>,
    warnings: Vec<String>,
    changes: Vec<String>,
    about_content: (Vec<String>, Vec<String>),
}

impl<'a> Draft<'a> {
    /// With the content that is there.
    fn unread(settings: &'a ZoneSettings, before: &'a Arc<HeldZone>) -> Self {
        let (problems, warnings) = before.about_content.clone();
        Self {
            settings,
            before: Some(before),
            content: before.content.clone(),
            keyset: None,
            refused: Vec::new(),
            problems,
            warnings,
            changes: Vec::new(),
            about_content: before.about_content.clone(),
        }
    }

    fn new(settings: &'a ZoneSettings, file: ReadNow, before: Option<&'a Arc<HeldZone>>) -> Self {
        let mut draft = Self {
            settings,
            before,
            content: None,
            keyset: None,
            refused: Vec::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
            changes: Vec::new(),
            about_content: Default::default(),
        };
        match file {
            None => {
                draft.content = before.and_then(|before| before.content.clone());
                if draft.content.is_none() {
                    draft.problems = vec!["its content has not come yet".to_owned()];
                }
            }
            Some(Ok(file)) => {
                draft.warnings = file.warnings;
                draft.content = Some(Arc::new(Content {
                    zone: file.zone,
                    fingerprint: file.fingerprint,
                    left_out_keys: file.left_out_keys,
                }));
            }
            Some(Err(unusable)) => {
                draft.problems = unusable.errors;
                draft.warnings = unusable.warnings;
                draft.content = before.and_then(|before| before.content.clone());
            }
        }
        draft.about_content = (draft.problems.clone(), draft.warnings.clone());
        draft
    }

    fn keyset_before(&self) -> Option<&'a Arc<KeySet>> {
        let content = self.before?.served.content().ok()?;
        Some(content.keys())
    }

    fn take_keys(&mut self, opened: Result<Opened, Refused>) {
        let notes = match opened {
            Ok(opened) => {
                let told = opened.events.iter().filter(|event| is_news(&event.what));
                self.changes.extend(told.map(|event| event.what.to_string()));
                self.keyset = Some(opened.keyset);
                opened.notes
            }
            Err(refused) => {
                self.refused = refused.errors.iter().map(|error| causes(error)).collect();
                self.problems.extend(self.refused.iter().cloned());
                self.keyset = self.keyset_before().cloned();
                refused.notes
            }
        };
        for note in notes {
            // A reload that could not take a file it was given does not hold, though what was served goes on.
            if self.before.is_some() && matches!(note, Note::ExternalIgnored { .. }) {
                self.problems.push(note.to_string());
                continue;
            }
            match note.level() {
                Level::Info => tracing::info!(zone = %self.settings.origin, "{note}"),
                Level::Warning | Level::Alarm => self.warnings.push(note.to_string()),
            }
        }
    }

    fn finish(mut self, now: UnixTime) -> (HeldZone, ZoneReloaded) {
        let served = self.serve(now);
        let outcome = self.outcome(&served);
        self.warn_of_left_out_keys(&served);
        let held = HeldZone {
            settings: self.settings.clone(),
            content: self.content,
            served,
            problems: self.problems.clone(),
            warnings: self.warnings.clone(),
            about_content: self.about_content,
        };
        let report = ZoneReloaded {
            origin: self.settings.origin.to_string(),
            outcome,
            changes: self.changes,
            problems: self.problems,
            warnings: self.warnings,
        };
        (held, report)
    }

    /// The zone to serve: anew where something changed, the one before where nothing did or something is wrong.
    fn serve(&mut self, now: UnixTime) -> Arc<ServedZone> {
        let before = self.before.map(|before| &before.served);
        let (Some(content), Some(keyset)) = (&self.content, &self.keyset) else {
            return match before {
                Some(before) => Arc::clone(before),
                None => Arc::new(ServedZone::failed(
                    self.settings.origin.as_ref(),
                    self.problems.join("; "),
                )),
            };
        };
        if let Some(before) = before.filter(|before| self.is_same(before)) {
            return Arc::clone(before);
        }
        let policy = ZonePolicy {
            denial: self.settings.denial,
            validity: self.settings.signature_validity,
        };
        let keyset = Arc::clone(keyset);
        match ServedZone::new(&content.zone, keyset, &policy, now, before.map(Arc::as_ref)) {
            Ok(served) => {
                self.tell_changes(&served);
                Arc::new(served)
            }
            Err(error) => {
                self.problems.push(causes(&error));
                self.serve_with_old_keys(&policy, now)
            }
        }
    }

    /// New keys that cannot be used must not hold new content back.
    fn serve_with_old_keys(&self, policy: &ZonePolicy, now: UnixTime) -> Arc<ServedZone> {
        let before = self.before.map(|before| &before.served);
        if let (Some(content), Some(keyset)) = (&self.content, self.keyset_before()) {
            let keyset = Arc::clone(keyset);
            let served = ServedZone::new(&content.zone, keyset, policy, now, before.map(Arc::as_ref));
            if let Ok(served) = served {
                return Arc::new(served);
            }
        }
        match before {
            Some(before) => Arc::clone(before),
            None => Arc::new(ServedZone::failed(
                self.settings.origin.as_ref(),
                self.problems.join("; "),
            )),
        }
    }

    /// Whether what is served now is what would be made.
    fn is_same(&self, served: &ServedZone) -> bool {
        let (Some(before), Some(content), Some(keyset)) = (self.before, &self.content, &self.keyset) else {
            return false;
        };
        let same_content = before
            .content
            .as_ref()
            .is_some_and(|old| old.fingerprint == content.fingerprint);
        let same_settings = before.settings.denial == self.settings.denial
            && before.settings.signature_validity == self.settings.signature_validity;
        // Where something was refused, what is served is not what was asked for then either.
        let settled = before.problems.is_empty();
        let same_keys = served.content().is_ok_and(|served| {
            let keys = served.keys();
            keys.id() == keyset.id()
                && keys.apex_rrsets() == keyset.apex_rrsets()
                && keys.published() == keyset.published()
        });
        settled && same_content && same_settings && same_keys
    }

    fn tell_changes(&mut self, served: &ServedZone) {
        let Ok(new) = served.content() else { return };
        let (serial, names) = (new.zone().serial(), new.zone().node_count());
        let Some(old) = self.before.and_then(|before| before.served.content().ok()) else {
            self.changes.insert(0, format!("serial {serial}, {names} names"));
            return;
        };
        let old_content = self.before.and_then(|before| before.content.as_ref());
        let changed =
            old_content.map(|old| old.fingerprint) != self.content.as_ref().map(|new| new.fingerprint);
        if changed {
            let (from, before) = (old.zone().serial(), old.zone().node_count());
            let mut what = if from == serial {
                format!("new content under the same serial {serial}")
            } else {
                format!("serial {from} → {serial}")
            };
            if before != names {
                what.push_str(&format!(", {before} → {names} names"));
            }
            self.changes.insert(0, what);
        }
        if old.denial() != new.denial() {
            self.changes
                .push(format!("denial {:?} → {:?}", old.denial(), new.denial()).to_lowercase());
        }
        let validity = |content: &crate::answer::Content| content.validity().lifetime().as_secs();
        if validity(old) != validity(new) {
            let what = format!("signature validity {} s → {} s", validity(old), validity(new));
            self.changes.push(what);
        }
        if old.keys().apex_rrsets() != new.keys().apex_rrsets() {
            let sets = |keys: &KeySet| {
                let types = keys.apex_rrsets().iter();
                types
                    .map(|set| format!("{} {}", set.rdatas.len(), set.rtype))
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            self.changes
                .push(format!("key sets: {} → {}", sets(old.keys()), sets(new.keys())));
        }
    }

    fn outcome(&self, served: &Arc<ServedZone>) -> Outcome {
        match self.before {
            _ if served.content().is_err() => Outcome::Failed,
            Some(_) if !self.problems.is_empty() && !self.changes.is_empty() => Outcome::ChangedInPart,
            _ if !self.problems.is_empty() => Outcome::Kept,
            None => Outcome::Added,
            Some(before) if before.served.content().is_err() => Outcome::Added,
            Some(_) if self.changes.is_empty() => Outcome::Unchanged,
            Some(_) => Outcome::Changed,
        }
    }

    /// Knot and BIND take foreign keys from the zone file; whoever comes from there must not lose one silently.
    fn warn_of_left_out_keys(&mut self, served: &ServedZone) {
        let Some(content) = &self.content else { return };
        let published: &[PublishedKey] = served.content().map_or(&[], |content| content.keys().published());
        let lost = content
            .left_out_keys
            .iter()
            .filter(|key| published.iter().all(|known| known.dnskey != **key));
        let tags: Vec<String> = lost.map(|key| key.key_tag().to_string()).collect();
        if tags.is_empty() {
            return;
        }
        let (place, content) = match self.settings.source.file() {
            Some(file) => (format!("{}:1:1: ", file.display()), "this file"),
            None => (String::new(), "the content"),
        };
        self.warnings.push(format!(
            "{place}no source of keys has the DNSKEY {} of {content}, so it is not published; if it is \
             another provider's, put it into a file for --external-keys (external_keys in the configuration)",
            tags.join(", ")
        ));
    }
}

/// Whether an event says something to people that no other one says.
fn is_news(what: &What) -> bool {
    !matches!(what, What::Making { .. } | What::Opened | What::Folder { .. })
}

/// Opens the keys of all drafts that have content, in one go: a thousand new zones cost a few syncs.
fn open_keys(drafts: &mut [Draft<'_>], observed: &[Observation], loading: Loading<'_>) {
    let with_content: Vec<usize> = (0..drafts.len())
        .filter(|&at| drafts[at].content.is_some())
        .collect();
    let details: Vec<(Vec<std::path::PathBuf>, Policy)> = with_content
        .iter()
        .map(|&at| {
            let settings = drafts[at].settings;
            let files = settings
                .external_keys
                .iter()
                .map(|(path, _)| path.clone())
                .collect();
            let publishing = Publishing {
                cds: settings.cds,
                ..Publishing::default()
            };
            (
                files,
                Policy {
                    make_keys: settings.auto_keys,
                    publishing,
                    ..Policy::default()
                },
            )
        })
        .collect();
    let requests: Vec<Request<'_>> = with_content
        .iter()
        .zip(&details)
        .map(|(&at, (external, policy))| Request {
            apex: &drafts[at].settings.origin,
            folder: loading.keys,
            external,
            providers: &drafts[at].settings.providers,
            observed,
            policy,
            previous: drafts[at].keyset_before().map(Arc::as_ref),
        })
        .collect();
    let opened = custody::open(&requests, loading.journal, loading.now);
    for (at, opened) in with_content.into_iter().zip(opened) {
        drafts[at].take_keys(opened);
    }
}

/// An error and its causes in one line.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
