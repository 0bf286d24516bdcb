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
    content::{
        Content, Copies, FromCopy,
        schedule::{Schedule, Timers},
    },
    protocol::{Outcome, ZoneReloaded},
    zonefile::{self, Unusable, ZoneFile},
};
use crate::{
    answer::{ServedZone, ZonePolicy},
    clock::UnixTime,
    config::{ContentSource, ZoneSettings},
    dnssec::{
        custody::{self, Level, Note, Observation, Opened, Policy, Refused, Request},
        keyset::{KeySet, PublishedKey, Publishing},
        register::{Journal, What},
    },
    wire::{Name, RrType},
    zone::{NodeView, Zone, compare},
};

/// All zones by name.
pub type Held = BTreeMap<Name, Arc<HeldZone>>;

/// One zone: what was asked for, and what is served.
#[derive(Debug)]
pub struct HeldZone {
    /// What the configuration says of it.
    pub settings: ZoneSettings,
    /// The content as its source had it when it was last good.
    content: Option<Arc<Content>>,
    /// The keys that it is served with, or would be.
    keyset: Option<Arc<KeySet>>,
    /// Why it is answered with SERVFAIL although there are content and keys.
    pub halted: Option<String>,
    /// What the engine was given.
    pub served: Arc<ServedZone>,
    /// Why what was asked for is not what is served, and what a person should know.
    said: Said,
}

impl HeldZone {
    /// The zone as its source has it, without key sets of ours.
    pub fn zone(&self) -> Option<&Zone> {
        self.content.as_ref().map(|content| &content.zone)
    }

    /// The content.
    pub fn content(&self) -> Option<&Arc<Content>> {
        self.content.as_ref()
    }

    /// Why what was asked for is not what is served.
    pub fn problems(&self) -> Vec<String> {
        self.said.all(|remarks| &remarks.problems)
    }

    /// What a person should know.
    pub fn warnings(&self) -> Vec<String> {
        self.said.all(|remarks| &remarks.warnings)
    }
}

/// What is said of a zone, by what it is about: each part stands until that part is looked at again.
#[derive(Clone, Debug, Default)]
struct Said {
    content: Remarks,
    keys: Remarks,
    serving: Remarks,
}

#[derive(Clone, Debug, Default)]
struct Remarks {
    problems: Vec<String>,
    warnings: Vec<String>,
}

impl Said {
    fn all<'a>(&'a self, which: impl Fn(&'a Remarks) -> &'a Vec<String>) -> Vec<String> {
        let parts = [&self.content, &self.keys, &self.serving];
        parts.into_iter().flat_map(which).cloned().collect()
    }
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
    /// The copies of zones that are fetched.
    pub copies: &'a Copies,
}

/// Loads all `zones`; `before` is what is served now. Gives what to serve, and what changed, in order of name.
pub fn load(zones: &[ZoneSettings], before: &Held, loading: Loading<'_>) -> (Held, Vec<ZoneReloaded>) {
    let read = read_all(zones, before, loading);
    let mut drafts: Vec<Draft<'_>> = zones
        .iter()
        .zip(read)
        .map(|(settings, read)| Draft::new(settings, read, before.get(&settings.origin), loading.now))
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
    let mut draft = [Draft::of(before)];
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

/// One zone with content that was fetched, `None` for what it has; its keys stay. `halted`: why it is not served.
pub fn refill(
    before: &Arc<HeldZone>,
    content: Option<Arc<Content>>,
    halted: Option<String>,
    loading: Loading<'_>,
) -> (HeldZone, ZoneReloaded) {
    let mut draft = Draft::of(before);
    draft.halted = halted;
    if let Some(content) = content {
        draft.take_content(content);
    }
    let mut draft = [draft];
    if before.keyset.is_none() {
        open_keys(&mut draft, &[], loading);
    }
    let [draft] = draft;
    draft.finish(loading.now)
}

/// What a zone's source gives now.
enum ReadNow {
    /// A master file.
    File(Result<ZoneFile, Unusable>),
    /// A copy of what was fetched.
    Copy(FromCopy),
    /// What is there goes on: it is fetched in its own time.
    Kept,
}

/// Reads files and copies on as many threads as there are processors: a thousand small ones take a fraction of a
/// second.
fn read_all(zones: &[ZoneSettings], before: &Held, loading: Loading<'_>) -> Vec<ReadNow> {
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
                    let now = read_one(zone, before.get(&zone.origin), loading);
                    read.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((index, now));
                }
            });
        }
    });
    let mut read = read.into_inner().unwrap_or_else(PoisonError::into_inner);
    read.sort_by_key(|(index, _)| *index);
    read.into_iter().map(|(_, read)| read).collect()
}

fn read_one(zone: &ZoneSettings, before: Option<&Arc<HeldZone>>, loading: Loading<'_>) -> ReadNow {
    if let Some(path) = zone.source.file() {
        let origin = zone.origin.as_ref();
        return ReadNow::File(zonefile::read(
            path,
            origin,
            zone.signature_validity,
            loading.hasher,
        ));
    }
    // TTLs are bounded by the validity of signatures, so content is read again when that is another.
    let goes_on = before.is_some_and(|before| {
        before.content.is_some() && before.settings.signature_validity == zone.signature_validity
    });
    if goes_on {
        ReadNow::Kept
    } else {
        ReadNow::Copy(loading.copies.read(zone, loading.hasher))
    }
}

/// Why a zone is not served at a start whose copy was current at a time.
fn expired(zone: &ZoneSettings, content: &Content, current_at: UnixTime, now: UnixTime) -> Option<String> {
    let ContentSource::Axfr { .. } = zone.source else {
        return None;
    };
    let timers = Timers::of(&content.zone.soa_numbers());
    Schedule::new(Some((current_at, timers)), now)
        .is_expired(now)
        .then(|| format!("its content expired: the primaries did not confirm it since {current_at}"))
}

/// A zone on its way to be served.
struct Draft<'a> {
    settings: &'a ZoneSettings,
    before: Option<&'a Arc<HeldZone>>,
    content: Option<Arc<Content>>,
    keyset: Option<Arc<KeySet>>,
    halted: Option<String>,
    /// Why the keys could not be opened; among the problems, too.
    refused: Vec<String>,
    said: Said,
    changes: Vec<String>,
}

impl<'a> Draft<'a> {
    /// With everything as it is.
    fn of(before: &'a Arc<HeldZone>) -> Self {
        Self {
            settings: &before.settings,
            before: Some(before),
            content: before.content.clone(),
            keyset: before.keyset.clone(),
            halted: before.halted.clone(),
            refused: Vec::new(),
            said: before.said.clone(),
            changes: Vec::new(),
        }
    }

    fn new(
        settings: &'a ZoneSettings,
        read: ReadNow,
        before: Option<&'a Arc<HeldZone>>,
        now: UnixTime,
    ) -> Self {
        let mut draft = Self {
            settings,
            before,
            content: before.and_then(|before| before.content.clone()),
            keyset: None,
            halted: None,
            refused: Vec::new(),
            said: Said::default(),
            changes: Vec::new(),
        };
        match read {
            ReadNow::File(Ok(file)) => {
                draft.said.content.warnings = file.warnings;
                draft.content = Some(Arc::new(Content {
                    zone: file.zone,
                    fingerprint: file.fingerprint,
                    left_out_keys: file.left_out_keys,
                    fetched: None,
                }));
            }
            ReadNow::File(Err(unusable)) => {
                draft.said.content = Remarks {
                    problems: unusable.errors,
                    warnings: unusable.warnings,
                };
            }
            ReadNow::Copy(FromCopy::Content(content, current_at)) => {
                draft.halted = expired(settings, &content, current_at, now);
                draft.take_content(Arc::new(*content));
            }
            ReadNow::Copy(FromCopy::Unusable(why)) => {
                draft.said.content.warnings = vec![format!("the copy of its content is not used: {why}")];
            }
            ReadNow::Copy(FromCopy::Nothing) => {}
            ReadNow::Kept => {
                draft.halted = before.and_then(|before| before.halted.clone());
                draft.said.content = before
                    .map(|before| before.said.content.clone())
                    .unwrap_or_default();
            }
        }
        if draft.content.is_none() && settings.source.file().is_none() {
            draft.said.content.warnings.push(NOT_YET.to_owned());
        }
        draft
    }

    /// Takes content that was fetched, with what was found in it.
    fn take_content(&mut self, content: Arc<Content>) {
        let findings = content.fetched.iter().flat_map(|fetched| &fetched.findings);
        self.said.content = Remarks {
            problems: Vec::new(),
            warnings: findings.cloned().collect(),
        };
        self.content = Some(content);
    }

    fn keyset_before(&self) -> Option<&'a Arc<KeySet>> {
        self.before?.keyset.as_ref()
    }

    fn take_keys(&mut self, opened: Result<Opened, Refused>) {
        let remarks = &mut self.said.keys;
        *remarks = Remarks::default();
        let notes = match opened {
            Ok(opened) => {
                let told = opened.events.iter().filter(|event| is_news(&event.what));
                self.changes.extend(told.map(|event| event.what.to_string()));
                self.keyset = Some(opened.keyset);
                opened.notes
            }
            Err(refused) => {
                self.refused = refused.errors.iter().map(|error| causes(error)).collect();
                remarks.problems.extend(self.refused.iter().cloned());
                self.keyset = self.before.and_then(|before| before.keyset.clone());
                refused.notes
            }
        };
        for note in notes {
            // A reload that could not take a file it was given does not hold, though what was served goes on.
            if self.before.is_some() && matches!(note, Note::ExternalIgnored { .. }) {
                remarks.problems.push(note.to_string());
                continue;
            }
            match note.level() {
                Level::Info => tracing::info!(zone = %self.settings.origin, "{note}"),
                Level::Warning | Level::Alarm => remarks.warnings.push(note.to_string()),
            }
        }
    }

    fn finish(mut self, now: UnixTime) -> (HeldZone, ZoneReloaded) {
        self.said.serving = Remarks::default();
        let served = self.serve(now);
        self.tell_settings();
        self.warn_of_left_out_keys(&served);
        self.warn_of_name_servers();
        let held = HeldZone {
            settings: self.settings.clone(),
            content: self.content.clone(),
            keyset: served.content().map_or_else(
                |_| self.keyset.clone(),
                |content| Some(Arc::clone(content.keys())),
            ),
            halted: self.halted.clone(),
            served,
            said: self.said.clone(),
        };
        let report = ZoneReloaded {
            origin: self.settings.origin.to_string(),
            outcome: self.outcome(&held.served, &held.problems()),
            changes: self.changes,
            problems: held.problems(),
            warnings: held.warnings(),
        };
        (held, report)
    }

    /// The zone to serve: anew where something changed, the one before where nothing did or something is wrong.
    fn serve(&mut self, now: UnixTime) -> Arc<ServedZone> {
        let before = self.before.map(|before| &before.served);
        if let Some(why) = &self.halted {
            self.said.serving.problems.push(why.clone());
            return self.fail();
        }
        let (Some(content), Some(keyset)) = (&self.content, &self.keyset) else {
            return before.map_or_else(|| self.fail(), Arc::clone);
        };
        if let Some(before) = before.filter(|before| self.is_same(before)) {
            return Arc::clone(before);
        }
        let policy = ZonePolicy {
            denial: self.settings.denial,
            validity: self.settings.signature_validity,
            name_servers: self.settings.name_servers.clone(),
            overload: self.settings.overload,
            is_shared: self.settings.is_shared(),
        };
        let keyset = Arc::clone(keyset);
        match ServedZone::new(&content.zone, keyset, &policy, now, before.map(Arc::as_ref)) {
            Ok(served) => {
                self.tell_changes(&served);
                Arc::new(served)
            }
            Err(error) => {
                self.said.serving.problems.push(causes(&error));
                self.serve_with_old_keys(&policy, now)
            }
        }
    }

    /// A zone that is answered with SERVFAIL, and why.
    fn fail(&self) -> Arc<ServedZone> {
        let mut why = self.said.all(|remarks| &remarks.problems);
        if why.is_empty() {
            why.push(NOT_YET.to_owned());
        }
        Arc::new(ServedZone::failed(self.settings.origin.as_ref(), why.join("; ")))
    }

    /// New keys that cannot be used must not hold new content back.
    fn serve_with_old_keys(&mut self, policy: &ZonePolicy, now: UnixTime) -> Arc<ServedZone> {
        let before = self.before.map(|before| &before.served);
        if let (Some(content), Some(keyset)) = (&self.content, self.keyset_before()) {
            let keyset = Arc::clone(keyset);
            let served = ServedZone::new(
                &content.zone,
                Arc::clone(&keyset),
                policy,
                now,
                before.map(Arc::as_ref),
            );
            if let Ok(served) = served {
                self.keyset = Some(keyset);
                return Arc::new(served);
            }
        }
        before.map_or_else(|| self.fail(), Arc::clone)
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
            && before.settings.signature_validity == self.settings.signature_validity
            && before.settings.name_servers == self.settings.name_servers
            && before.settings.overload == self.settings.overload
            && before.settings.is_shared() == self.settings.is_shared();
        // Where something was refused, what is served is not what was asked for then either.
        let settled = before.problems().is_empty();
        let same_keys = served.content().is_ok_and(|served| {
            let keys = served.keys();
            keys.id() == keyset.id()
                && keys.apex_rrsets() == keyset.apex_rrsets()
                && keys.published() == keyset.published()
                && keys.unpublished() == keyset.unpublished()
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
            if let (Some(old), Some(new)) = (old_content, &self.content) {
                what.push_str(&difference(&old.zone, &new.zone));
            }
            self.changes.insert(0, what);
        }
        if old.denial() != new.denial() {
            self.changes
                .push(format!("denial {:?} → {:?}", old.denial(), new.denial()).to_lowercase());
        }
        if old.beyond() != new.beyond() {
            let what = format!("overload {} → {}", old.beyond(), new.beyond());
            self.changes.push(what);
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

    /// Settings of which nothing else tells that they changed.
    fn tell_settings(&mut self) {
        const TOLD: [&str; 3] = ["denial", "overload", "signature_validity"];
        let Some(before) = self.before else { return };
        let mut differing = self.settings.differing(&before.settings);
        differing.retain(|setting| !TOLD.contains(setting));
        if !differing.is_empty() {
            self.changes.push(format!("settings: {}", differing.join(", ")));
        }
    }

    fn outcome(&self, served: &Arc<ServedZone>, problems: &[String]) -> Outcome {
        match self.before {
            _ if served.content().is_err() && problems.is_empty() => Outcome::Waiting,
            _ if served.content().is_err() => Outcome::Failed,
            Some(_) if !problems.is_empty() && !self.changes.is_empty() => Outcome::ChangedInPart,
            _ if !problems.is_empty() => Outcome::Kept,
            None => Outcome::Added,
            Some(before) if before.served.content().is_err() => Outcome::Added,
            Some(_) if self.changes.is_empty() => Outcome::Unchanged,
            Some(_) => Outcome::Changed,
        }
    }

    /// A name server in the zone is found by its address there.
    fn warn_of_name_servers(&mut self) {
        let Some(content) = &self.content else { return };
        for server in &self.settings.name_servers {
            if !server.as_ref().is_at_or_below(content.zone.apex()) {
                continue;
            }
            let lower = server.as_ref().to_lower();
            let node = content.zone.node(lower.as_ref());
            let has_address = |node: NodeView<'_>| {
                [RrType::A, RrType::AAAA]
                    .iter()
                    .any(|rtype| node.rrset(*rtype).is_some())
            };
            if !node.is_some_and(has_address) {
                let what = format!("{server} in name_servers is a name of the zone and has no address there");
                self.said.serving.warnings.push(what);
            }
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
        self.said.serving.warnings.push(format!(
            "{place}no source of keys has the DNSKEY {} of {content}, so it is not published; if it is \
             another provider's, put it into a file for --external-keys (external_keys in the configuration)",
            tags.join(", ")
        ));
    }
}

/// What is said of a zone that waits for its first content.
const NOT_YET: &str = "its content has not come yet";

/// How many RRsets differ, in words; nothing where none does.
fn difference(old: &Zone, new: &Zone) -> String {
    let found = compare::zones(old, new);
    let parts = [
        (found.only_right, "new"),
        (found.only_left, "gone"),
        (found.changed, "changed"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let words: Vec<String> = parts.map(|(count, what)| format!("{count} {what}")).collect();
    if words.is_empty() {
        return String::new();
    }
    format!(", RRsets: {}", words.join(", "))
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
                ttl: settings.dnskey_ttl,
                cds: settings.cds,
                csync: settings.csync,
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
