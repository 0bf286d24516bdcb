//! A zone's keys through starts, reloads, crashes and people's mistakes.

mod algorithm;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Mutex,
};

use proptest::prelude::*;

use super::*;
use crate::{
    disk::{Disk as _, System, simulated::SimulatedDisk},
    dnssec::{
        algorithm::DigestType,
        key::{Dnskey, REVOKE, SEP, SigningKey, ZONE},
        keyfile::timing::{Field, Timing},
        keyset::{Cds, KeyState, Origin},
        register::{MemoryJournal, OwnState, What},
    },
    wire::RrType,
};

const NOW: UnixTime = UnixTime(1_800_000_000);

/// A key folder, files of external keys and a journal; time passes an hour at each step.
struct World {
    dir: tempfile::TempDir,
    journal: MemoryJournal,
    apex: Name,
    policy: Policy,
    external: Vec<PathBuf>,
    providers: Vec<String>,
    observed: Vec<Observation>,
    now: UnixTime,
}

impl World {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            journal: MemoryJournal::default(),
            apex: "example.".parse().unwrap(),
            policy: Policy::default(),
            external: Vec::new(),
            providers: Vec::new(),
            observed: Vec::new(),
            now: NOW,
        }
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("keys")
    }

    fn place(&self) -> Place<'_> {
        // Leaked, for the tests' convenience: a path a test.
        Place {
            apex: &self.apex,
            folder: Box::leak(self.folder().into_boxed_path()),
            journal: Some(&self.journal),
        }
    }

    fn open_after(&mut self, previous: Option<&KeySet>) -> Result<Opened, Refused> {
        self.now = UnixTime(self.now.0 + 3600);
        let request = Request {
            apex: &self.apex,
            folder: &self.folder(),
            external: &self.external,
            providers: &self.providers,
            observed: &self.observed,
            policy: &self.policy,
            previous,
        };
        open(&[request], &self.journal, self.now).pop().unwrap()
    }

    fn open(&mut self) -> Opened {
        self.open_after(None)
            .unwrap_or_else(|refused| panic!("{:?}", refused.errors))
    }

    fn refused(&mut self) -> String {
        let errors = self.open_after(None).expect_err("refused").errors;
        errors
            .iter()
            .map(|error| with_causes(error))
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn external(&mut self, name: &str, keys: &[&Dnskey]) {
        let text: Vec<String> = keys
            .iter()
            .map(|key| format!("example. 60 IN DNSKEY {key}\n"))
            .collect();
        self.external_text(name, &text.concat());
    }

    fn external_text(&mut self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        if !self.external.contains(&path) {
            self.external.push(path);
        }
    }

    fn put(&self, file: &KeyFile) {
        folder::write(
            &System,
            &self.folder(),
            std::slice::from_ref(file),
            Existing::Replace,
        )
        .unwrap();
    }

    fn remove(&self, key: &Dnskey, ending: &str) {
        fs::remove_file(self.path(key, ending)).unwrap();
    }

    fn path(&self, key: &Dnskey, ending: &str) -> PathBuf {
        let stem = super::super::keyfile::stem(self.apex.as_ref(), key.algorithm(), key.key_tag());
        self.folder().join(format!("{stem}.{ending}"))
    }

    fn stored(&self, key: &Dnskey) -> KeyFile {
        folder::read_named(&self.path(key, "key"), self.apex.as_ref())
            .unwrap()
            .file
    }

    fn events(&self) -> Vec<Event> {
        self.journal.events(self.apex.as_ref()).unwrap()
    }
}

fn foreign(flags: u16) -> Dnskey {
    foreign_of(SigningAlgorithm::EcdsaP256Sha256, flags)
}

fn foreign_of(algorithm: SigningAlgorithm, flags: u16) -> Dnskey {
    SigningKey::generate(algorithm, flags).unwrap().dnskey().clone()
}

fn key_file(algorithm: SigningAlgorithm, flags: u16, timing: Timing) -> KeyFile {
    let (key, private) = PrivateKey::generate(algorithm, flags).unwrap();
    KeyFile::new("example.".parse().unwrap(), key, private, timing)
}

const P256: SigningAlgorithm = SigningAlgorithm::EcdsaP256Sha256;

fn active() -> Timing {
    Timing::default().saying(Claim::Active, NOW)
}

/// Tags, roles and states of our keys, KSK first.
fn ours(opened: &Opened) -> Vec<(Dnskey, KeyState, bool)> {
    let mut keys: Vec<_> = opened
        .keyset
        .published()
        .iter()
        .filter(|key| key.origin == Origin::Own)
        .map(|key| (key.dnskey.clone(), key.state, key.active))
        .collect();
    keys.sort_by_key(|(key, state, _)| (*state != KeyState::Active, !key.is_sep()));
    keys
}

fn state_of(opened: &Opened, key: &Dnskey) -> Option<KeyState> {
    let found = opened
        .keyset
        .published()
        .iter()
        .find(|found| found.dnskey == *key);
    found.map(|found| found.state)
}

fn notes(opened: &Opened) -> String {
    opened.notes.iter().map(|note| format!("{note}\n")).collect()
}

#[test]
fn a_new_zone_gets_a_ksk_and_a_zsk_once() {
    let mut world = World::new();
    let first = world.open();
    let keys = ours(&first);
    assert_eq!(keys.len(), 2);
    assert!(keys.iter().all(|(.., active)| *active));
    assert_eq!(
        (
            first.keyset.key_signers().len(),
            first.keyset.data_signers().len()
        ),
        (1, 1)
    );
    assert!(first.events.iter().any(|event| event.what == What::Opened));
    let again = world.open_after(Some(&first.keyset)).unwrap();
    assert_eq!(ours(&again), keys);
    assert_eq!(again.keyset.id(), first.keyset.id());
    assert_eq!((again.events, again.notes), (vec![], vec![]));
}

#[test]
fn keys_are_made_only_where_the_policy_says_so() {
    let mut world = World::new();
    world.policy.make_keys = false;
    let error = world.refused();
    assert!(error.contains("holds no keys for example."), "{error}");
    assert!(error.contains("keys generate example."), "{error}");
    assert_eq!(world.events(), []);
    // Keys of other zones are no keys of this one.
    let other = KeyFile {
        owner: "other.".parse().unwrap(),
        ..key_file(P256, ZONE | SEP, active())
    };
    world.put(&other);
    assert!(world.refused().contains("holds no keys for example."));
    world.policy.make_keys = true;
    assert_eq!(ours(&world.open()).len(), 2);
}

#[test]
fn an_empty_folder_is_an_error_once_the_register_knows_keys() {
    let mut world = World::new();
    let first = world.open();
    fs::rename(world.folder(), world.dir.path().join("aside")).unwrap();
    let error = world.refused();
    for (key, ..) in ours(&first) {
        assert!(
            error.contains(&format!("key {} as active", key.key_tag())),
            "{error}"
        );
    }
    fs::rename(world.dir.path().join("aside"), world.folder()).unwrap();
    assert_eq!(ours(&world.open()), ours(&first));
}

#[test]
fn each_broken_half_is_named() {
    let mut world = World::new();
    let first = world.open();
    let (ksk, zsk) = (ours(&first)[0].0.clone(), ours(&first)[1].0.clone());
    let private = fs::read(world.path(&ksk, "private")).unwrap();
    fs::set_permissions(world.path(&ksk, "private"), fs::Permissions::from_mode(0o644)).unwrap();
    let error = world.refused();
    assert!(error.contains("run chmod 600 on it"), "{error}");
    assert_eq!(error.lines().count(), 1, "said once: {error}");
    world.remove(&ksk, "private");
    let error = world.refused();
    assert!(
        error.contains(&format!("key {} has its public half here", ksk.key_tag())),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1, "said once: {error}");
    fs::write(world.path(&ksk, "private"), private).unwrap();
    fs::set_permissions(world.path(&ksk, "private"), fs::Permissions::from_mode(0o600)).unwrap();
    // The register knows the public half, so it can be written again.
    world.remove(&zsk, "key");
    let opened = world.open();
    assert!(
        notes(&opened).contains("completed after an interruption"),
        "{}",
        notes(&opened)
    );
    assert!(world.path(&zsk, "key").exists());
    assert_eq!(ours(&opened), ours(&first));
}

/// A journal that fails from one append on, as a process that dies does.
struct Mortal<'a> {
    inner: &'a MemoryJournal,
    appends_left: Mutex<usize>,
}

impl Journal for Mortal<'_> {
    fn events(&self, apex: NameRef<'_>) -> Result<Vec<Event>, JournalError> {
        self.inner.events(apex)
    }

    fn append(&self, batch: &[(Name, Vec<Event>)]) -> Result<(), JournalError> {
        let mut left = self.appends_left.lock().unwrap();
        if *left == 0 {
            return Err(JournalError("the disk is full".into()));
        }
        *left -= 1;
        self.inner.append(batch)
    }
}

fn open_mortally(world: &World, appends: usize) -> String {
    let journal = Mortal {
        inner: &world.journal,
        appends_left: Mutex::new(appends),
    };
    let folder = world.folder();
    let request = Request {
        apex: &world.apex,
        folder: &folder,
        external: &[],
        providers: &[],
        observed: &[],
        policy: &world.policy,
        previous: None,
    };
    let mut results = open(&[request], &journal, world.now);
    let refused = results.pop().unwrap().expect_err("the journal failed");
    with_causes(&refused.errors[0])
}

#[test]
fn an_interrupted_making_is_resumed() {
    // Before anything is on disk: no files.
    let mut world = World::new();
    assert!(open_mortally(&world, 0).contains("the disk is full"));
    assert!(!world.folder().exists());
    assert_eq!(ours(&world.open()).len(), 2);

    // Files written, the journal not: the same keys go on.
    let mut world = World::new();
    open_mortally(&world, 1);
    let made = Folder::list(&world.folder()).unwrap().read(world.apex.as_ref());
    let opened = world.open();
    let mut found: Vec<_> = made
        .keys
        .iter()
        .map(|stored| stored.file.dnskey.clone())
        .collect();
    found.sort_by_key(|key| !key.is_sep());
    assert_eq!(
        ours(&opened)
            .iter()
            .map(|(key, ..)| key.clone())
            .collect::<Vec<_>>(),
        found
    );

    // One key whole, of the other nothing: that one is made anew, and never the first one twice.
    let mut world = World::new();
    open_mortally(&world, 1);
    let made = Folder::list(&world.folder()).unwrap().read(world.apex.as_ref());
    let lost = made.keys[0].file.dnskey.clone();
    let kept = made.keys[1].file.dnskey.clone();
    world.remove(&lost, "key");
    world.remove(&lost, "private");
    // And this resumption is interrupted too.
    open_mortally(&world, 1);
    let opened = world.open();
    assert_eq!(ours(&opened).len(), 2, "{:?}", ours(&opened));
    assert!(state_of(&opened, &kept).is_some());
    assert_eq!(state_of(&opened, &lost), None);

    // Private halves renamed, public ones not.
    let mut world = World::new();
    open_mortally(&world, 1);
    for stored in made_keys(&world) {
        world.remove(&stored, "key");
    }
    let opened = world.open();
    assert_eq!(ours(&opened).len(), 2);
    assert!(notes(&opened).contains("completed"), "{}", notes(&opened));
}

fn made_keys(world: &World) -> Vec<Dnskey> {
    let contents = Folder::list(&world.folder()).unwrap().read(world.apex.as_ref());
    contents
        .keys
        .into_iter()
        .map(|stored| stored.file.dnskey)
        .collect()
}

#[test]
fn a_further_key_is_published_and_does_not_sign() {
    let mut world = World::new();
    let first = world.open();
    let (zsk, ksk) = (
        key_file(P256, ZONE, active()),
        key_file(P256, ZONE | SEP, active()),
    );
    world.put(&zsk);
    world.put(&ksk);
    let opened = world.open_after(Some(&first.keyset)).unwrap();
    for file in [&zsk, &ksk] {
        assert_eq!(state_of(&opened, &file.dnskey), Some(KeyState::Published));
        // A lost state, rebuilt from the folder, must not make it sign either.
        assert_eq!(
            world.stored(&file.dnskey).timing.claim(world.now),
            Claim::Published
        );
    }
    assert!(notes(&opened).contains("does that work; to switch, roll the key"));
    assert_eq!(opened.keyset.key_signers().len(), 1);
    assert_ne!(opened.keyset.id(), first.keyset.id());

    let ed25519 = key_file(SigningAlgorithm::Ed25519, ZONE | SEP, active());
    world.put(&ed25519);
    let opened = world.open();
    assert_eq!(
        state_of(&opened, &ed25519.dnskey),
        None,
        "of an algorithm that the zone lacks"
    );
    assert!(notes(&opened).contains("is not published: the zone has no keys of ED25519"));

    // The state is lost: the folder alone gives the same set.
    let before = opened.keyset;
    world.journal = MemoryJournal::default();
    let rebuilt = world.open_after(Some(&before)).unwrap();
    assert_eq!(rebuilt.keyset.id(), before.id());
    assert_eq!(rebuilt.keyset.published(), before.published());
}

#[test]
fn times_are_a_state_only_while_the_register_has_none() {
    let ahead = UnixTime(NOW.0 + 1_000_000);
    let mut world = World::new();
    let ksk = key_file(P256, ZONE | SEP, active().with(Field::Inactive, Some(ahead)));
    let zsk = key_file(P256, ZONE, active());
    let second_zsk = key_file(P256, ZONE, Timing::default());
    let next = key_file(
        P256,
        ZONE,
        Timing::default()
            .with(Field::Publish, Some(NOW))
            .with(Field::Activate, Some(ahead)),
    );
    let old = key_file(P256, ZONE, active().with(Field::Inactive, Some(NOW)));
    let gone = key_file(P256, ZONE, active().with(Field::Delete, Some(NOW)));
    let held = key_file(P256, ZONE, Timing::default().with(Field::Publish, Some(ahead)));
    for file in [&ksk, &zsk, &second_zsk, &next, &old, &gone, &held] {
        world.put(file);
    }
    let opened = world.open();
    for (file, state) in [
        (&ksk, Some(KeyState::Active)),
        (&zsk, Some(KeyState::Active)),
        (&second_zsk, Some(KeyState::Active)),
        (&next, Some(KeyState::Published)),
        (&old, Some(KeyState::Retired)),
        (&gone, None),
        (&held, None),
    ] {
        assert_eq!(state_of(&opened, &file.dnskey), state, "{:?}", file.timing);
    }
    assert_eq!(opened.keyset.data_signers().len(), 2);
    // Long after all those dates nothing has switched, without the state or with it.
    world.now = UnixTime(ahead.0 + 1);
    let journal = std::mem::take(&mut world.journal);
    let rebuilt = world.open_after(Some(&opened.keyset)).unwrap();
    assert_eq!(rebuilt.keyset.id(), opened.keyset.id());
    world.journal = journal;
    let later = world.open_after(Some(&opened.keyset)).unwrap();
    assert_eq!(later.keyset.id(), opened.keyset.id());
}

#[test]
fn a_csk_does_a_zsks_work_too() {
    let mut world = World::new();
    let csk = key_file(P256, ZONE | SEP, active());
    world.put(&csk);
    let opened = world.open();
    assert_eq!(opened.keyset.data_signers()[0].dnskey(), &csk.dnskey);
    let zsk = key_file(P256, ZONE, active());
    world.put(&zsk);
    let opened = world.open();
    assert_eq!(state_of(&opened, &zsk.dnskey), Some(KeyState::Published));
    assert_eq!(opened.keyset.data_signers()[0].dnskey(), &csk.dnskey);
}

#[test]
fn keys_are_not_made_where_there_were_some() {
    // All keys buried: the register has seen the zone.
    let mut world = World::new();
    for (key, ..) in ours(&world.open()) {
        world.remove(&key, "private");
        world.remove(&key, "key");
        withdraw(
            &world.apex,
            key.key_tag(),
            "fire",
            None,
            &world.journal,
            world.now,
        )
        .unwrap();
    }
    assert!(world.refused().contains("holds no keys for example."));
    // A folder that holds something, though nothing of use.
    let mut world = World::new();
    world.put(&key_file(P256, ZONE, active().with(Field::Delete, Some(NOW))));
    assert!(world.refused().contains("holds no keys for example."));
    let mut world = World::new();
    let stray = key_file(P256, ZONE, active());
    world.put(&stray);
    world.remove(&stray.dnskey, "key");
    assert!(world.refused().contains("holds no keys for example."));
}

#[test]
fn no_active_key_is_an_error() {
    let mut world = World::new();
    world.put(&key_file(P256, ZONE, active()));
    assert!(world.refused().contains("nothing can sign the DNSKEY RRset"));
    let mut world = World::new();
    let published = Timing::default().saying(Claim::Published, NOW);
    world.put(&key_file(P256, ZONE | SEP, published));
    assert!(world.refused().contains("no active key"));
    assert_eq!(world.events(), [], "nothing is recorded of a refused zone");
}

#[test]
fn a_lost_key_can_be_buried_and_replaced() {
    let mut world = World::new();
    let first = world.open();
    let ksk = ours(&first)[0].0.clone();
    let bury = |world: &World| {
        withdraw(
            &world.apex,
            ksk.key_tag(),
            "disk died",
            None,
            &world.journal,
            world.now,
        )
    };
    let error = bury(&world).unwrap_err();
    assert!(matches!(error, CommandError::NotLost { .. }), "{error}");
    let backup = world.stored(&ksk);
    world.remove(&ksk, "private");
    world.remove(&ksk, "key");
    assert!(
        world
            .refused()
            .contains(&format!("keys withdraw example. {} --force", ksk.key_tag()))
    );
    assert!(bury(&world).unwrap().own);
    assert!(world.refused().contains("nothing can sign the DNSKEY RRset"));
    let wanted = [Wanted {
        algorithm: P256,
        role: Role::Ksk,
    }];
    let made = generate(world.place(), &wanted, world.now).unwrap();
    assert_eq!((made[0].state, made[0].note.clone()), (Claim::Active, None));
    let opened = world.open();
    assert_eq!(opened.keyset.key_signers()[0].dnskey(), &made[0].dnskey);
    // The buried key does not come back: not from the folder, not from a provider, not by import.
    world.put(&backup);
    world.external("ns1.keys", &[&ksk]);
    let opened = world.open();
    assert_eq!(state_of(&opened, &ksk), None);
    assert!(
        notes(&opened).contains("was given up (disk died)"),
        "{}",
        notes(&opened)
    );
    assert!(notes(&opened).contains("is ours; it is skipped there"));
    let aside = world.dir.path().join("aside");
    folder::write(&System, &aside, &[backup], Existing::Refuse).unwrap();
    let name = world.path(&ksk, "key").file_name().unwrap().to_owned();
    let error = import(world.place(), &[aside.join(name)], world.now).unwrap_err();
    assert!(matches!(error, CommandError::GivenUp { .. }), "{error}");
}

/// Else it would be withdrawn though its owner signs with it, and stay out until every source has been without it.
#[test]
fn a_plan_that_follows_withdraws_no_key_that_some_source_shows() {
    let mut world = World::new();
    let (ksk, zsk) = (foreign(ZONE | SEP), foreign(ZONE));
    world.external("ns1.keys", &[&ksk, &zsk]);
    world.open();
    let withdraw = |world: &World, if_shown| {
        steps::withdraw_by_plan(
            world.place(),
            std::slice::from_ref(&zsk),
            if_shown,
            "gone",
            world.now,
        )
    };
    let refused = withdraw(&world, IfShown::Stays).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("ns1.keys shows it again, so it stays published here"),
        "{refused}"
    );
    assert_eq!(state_of(&world.open(), &zsk), Some(KeyState::Seen));
    // A plan that takes a provider out does not mind.
    withdraw(&world, IfShown::Goes).unwrap();
    assert_eq!(state_of(&world.open(), &zsk), None);
    readmit(&world.apex, zsk.key_tag(), &world.journal, world.now).unwrap();
    assert_eq!(state_of(&world.open(), &zsk), Some(KeyState::Seen));

    // Gone it goes, and comes again as soon as it is shown.
    world.external("ns1.keys", &[&ksk]);
    assert_eq!(state_of(&world.open(), &zsk), Some(KeyState::Kept));
    withdraw(&world, IfShown::Stays).unwrap();
    assert_eq!(state_of(&world.open(), &zsk), None);
    world.external("ns1.keys", &[&ksk, &zsk]);
    assert_eq!(state_of(&world.open(), &zsk), Some(KeyState::Seen));
}

#[test]
fn external_keys_are_added_kept_and_withdrawn() {
    let mut world = World::new();
    let (ksk, zsk, late) = (foreign(ZONE | SEP), foreign(ZONE), foreign(ZONE));
    world.external("ns1.keys", &[&ksk, &zsk]);
    let first = world.open();
    assert_eq!(first.keyset.apex_rrsets()[0].rdatas.len(), 4);
    let source = world.external[0].to_string_lossy().into_owned();
    let origin = Origin::Provider {
        sources: vec![source],
    };
    assert!(
        first
            .keyset
            .published()
            .iter()
            .any(|key| key.dnskey == ksk && key.origin == origin)
    );
    assert_eq!(first.keyset.ds(world.apex.as_ref(), DigestType::Sha256).len(), 2);
    assert_eq!(
        union_ds(world.apex.as_ref(), &first.register, DigestType::Sha256),
        first.keyset.ds(world.apex.as_ref(), DigestType::Sha256)
    );

    // An addition at the next reload, and what vanished is kept and said.
    world.external("ns1.keys", &[&ksk, &late]);
    let opened = world.open_after(Some(&first.keyset)).unwrap();
    assert_eq!(state_of(&opened, &late), Some(KeyState::Seen));
    assert_eq!(state_of(&opened, &zsk), Some(KeyState::Kept));
    let kept = format!("key {} is no longer in", zsk.key_tag());
    assert!(notes(&opened).contains(&kept), "{}", notes(&opened));
    assert!(
        notes(&world.open()).contains(&kept),
        "said again as long as it stands"
    );

    let gone = withdraw(
        &world.apex,
        zsk.key_tag(),
        "rolled",
        None,
        &world.journal,
        world.now,
    )
    .unwrap();
    assert_eq!((gone.own, gone.still_in), (false, vec![]));
    let opened = world.open();
    assert_eq!(state_of(&opened, &zsk), None);
    assert_eq!(opened.notes, []);
    // Gone everywhere, so a new sight counts.
    world.external("ns1.keys", &[&ksk, &late, &zsk]);
    assert_eq!(state_of(&world.open(), &zsk), Some(KeyState::Seen));

    // Withdrawn while shown: it stays out, loudly, also when the file gets another name.
    let out = withdraw(
        &world.apex,
        zsk.key_tag(),
        "broken",
        None,
        &world.journal,
        world.now,
    )
    .unwrap();
    assert_eq!(out.still_in.len(), 1);
    let opened = world.open();
    assert_eq!(state_of(&opened, &zsk), None);
    assert!(opened.notes.iter().any(|note| note.level() == Level::Alarm));
    world.external.clear();
    world.external("renamed.keys", &[&ksk, &late, &zsk]);
    let opened = world.open();
    assert_eq!(state_of(&opened, &zsk), None);
    assert!(notes(&opened).contains("was withdrawn (broken) and stays out"));
    readmit(&world.apex, zsk.key_tag(), &world.journal, world.now).unwrap();
    assert_eq!(state_of(&world.open(), &zsk), Some(KeyState::Seen));

    // No file at all: everything is kept.
    world.external.clear();
    let opened = world.open();
    assert_eq!(opened.keyset.apex_rrsets()[0].rdatas.len(), 5);
    assert_eq!(state_of(&opened, &ksk), Some(KeyState::Kept));
    let error = withdraw(&world.apex, 1, "?", None, &world.journal, world.now).unwrap_err();
    assert!(error.to_string().contains("has no key 1"), "{error}");
}

#[test]
fn keys_that_must_be_refused_are_an_error_at_first_and_an_alarm_later() {
    let good = foreign(ZONE | SEP);
    let flags = |flags: u16| Dnskey::new(flags, good.algorithm(), good.public_key());
    let mut wrong_protocol = good.rdata().to_vec();
    wrong_protocol[2] = 2;
    let short = Dnskey::new(ZONE, good.algorithm(), &good.public_key()[1..]);
    for (key, part) in [
        (flags(ZONE | SEP | REVOKE), "REVOKE"),
        (flags(SEP), "ZONE flag"),
        (Dnskey::from_rdata(&wrong_protocol).unwrap(), "protocol is 2"),
        (
            foreign_of(SigningAlgorithm::Ed25519, ZONE),
            "is of ED25519, and the zone is signed with ECDSAP256SHA256",
        ),
        (
            Dnskey::new(ZONE, Algorithm(5), &[3, 1, 0, 1, 9]),
            "RSASHA1 must not be used",
        ),
        (
            Dnskey::new(ZONE, Algorithm(7), &[3, 1, 0, 1, 9]),
            "RSASHA1-NSEC3-SHA1 must not be used",
        ),
        (short, "64 octets, this one has 63"),
    ] {
        let mut world = World::new();
        world.external("ns1.keys", &[&good, &key]);
        let error = world.refused();
        assert!(error.contains(part), "{error}");
        assert!(error.contains("ns1.keys:2: key "), "{error}");
        assert!(!world.folder().exists(), "nothing was made");

        world.external("ns1.keys", &[&good]);
        let first = world.open();
        world.external("ns1.keys", &[&key]);
        let opened = world.open_after(Some(&first.keyset)).unwrap();
        assert_eq!(opened.keyset.id(), first.keyset.id(), "the old set goes on");
        assert_eq!(state_of(&opened, &good), Some(KeyState::Seen));
        assert!(notes(&opened).contains(part), "{}", notes(&opened));
        assert!(opened.notes.iter().any(|note| note.level() == Level::Alarm));
    }
}

#[test]
fn a_spoiled_or_missing_file_does_not_stop_a_zone_that_was_served() {
    let key = foreign(ZONE);
    for spoil in [
        &|path: &Path| fs::remove_file(path).unwrap() as (),
        &|path: &Path| {
            fs::write(path, "garbage\n").unwrap();
        },
    ] as [&dyn Fn(&Path); 2]
    {
        let mut world = World::new();
        world.external("ns1.keys", &[&key]);
        spoil(&world.external[0]);
        assert!(world.refused().contains("ns1.keys"));
        world.external("ns1.keys", &[&key]);
        let first = world.open();
        spoil(&world.external[0]);
        let opened = world.open_after(Some(&first.keyset)).unwrap();
        assert_eq!(opened.keyset.id(), first.keyset.id());
        assert!(notes(&opened).contains("ns1.keys"), "{}", notes(&opened));
        // It is still seen, not kept: the file says nothing about it.
        assert_eq!(state_of(&opened, &key), Some(KeyState::Seen));
    }
}

#[test]
fn too_many_keys_of_one_provider_are_refused_and_kept_ones_do_not_count() {
    let many: Vec<Dnskey> = (0..17).map(|_| foreign(ZONE)).collect();
    let mut world = World::new();
    world.external("ns1.keys", &many.iter().collect::<Vec<_>>());
    assert!(world.refused().contains("ns1.keys:17: key"));
    world.external("ns1.keys", &many[..16].iter().collect::<Vec<_>>());
    world.external("other.keys", &[&many[16]]);
    assert_eq!(world.open().keyset.apex_rrsets()[0].rdatas.len(), 19);
    world.external("other.keys", &[]);
    world.external("ns1.keys", &many[1..].iter().collect::<Vec<_>>());
    let opened = world.open();
    assert_eq!(state_of(&opened, &many[16]), Some(KeyState::Seen));
    assert_eq!(state_of(&opened, &many[0]), Some(KeyState::Kept));
}

#[test]
fn our_own_keys_in_a_file_are_noted_and_skipped() {
    let mut world = World::new();
    let first = world.open();
    let keys = ours(&first);
    let theirs = foreign(ZONE);
    world.external("ns1.keys", &[&keys[0].0, &theirs, &keys[1].0, &theirs]);
    let opened = world.open();
    assert_eq!(opened.keyset.apex_rrsets()[0].rdatas.len(), 3);
    assert_eq!(ours(&opened), keys);
    assert_eq!(notes(&opened).matches("is ours; it is skipped there").count(), 2);
    world.external("ns1.keys", &[&theirs]);
    assert_eq!(
        world.open().notes,
        [],
        "ours were never seen, so they are not kept"
    );
}

#[test]
fn a_rsa_key_is_taken_and_its_algorithm_decides() {
    // Made by dnssec-keygen -a RSASHA256 -b 2048.
    let mut world = World::new();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keys/rsa");
    fs::create_dir(world.folder()).unwrap();
    for entry in fs::read_dir(data).unwrap() {
        let from = entry.unwrap().path();
        let to = world.folder().join(from.file_name().unwrap());
        fs::copy(&from, &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let opened = world.open();
    assert_eq!(opened.keyset.key_signers().len(), 1);
    assert_eq!(opened.keyset.data_signers().len(), 1);
    let mut signature = Vec::new();
    let signer = &opened.keyset.data_signers()[0];
    signer.sign(b"message", &mut signature).unwrap();
    assert!(crate::dnssec::key::verify(
        signer.dnskey(),
        b"message",
        &signature
    ));
    world.external("ns1.keys", &[&foreign(ZONE)]);
    let opened = world.open();
    assert!(
        notes(&opened).contains("the zone is signed with RSASHA256"),
        "{}",
        notes(&opened)
    );
}

#[test]
fn making_importing_and_listing_without_a_state() {
    let world = World::new();
    let place = Place {
        journal: None,
        ..world.place()
    };
    let wanted = |role| Wanted {
        algorithm: P256,
        role,
    };
    let made = generate(place, &[wanted(Role::Ksk)], NOW).unwrap();
    let more = generate(place, &[wanted(Role::Zsk)], NOW).unwrap();
    assert_eq!((made[0].state, more[0].state), (Claim::Active, Claim::Active));
    let third = generate(place, &[wanted(Role::Zsk)], NOW).unwrap();
    assert_eq!(third[0].state, Claim::Published);
    assert_eq!(
        own_ds(place, DigestType::Sha256, NOW).unwrap(),
        [made[0].dnskey.ds(world.apex.as_ref(), DigestType::Sha256)]
    );
    let (listed, errors) = list(place, NOW).unwrap();
    assert!(errors.is_empty());
    let mut states: Vec<_> = listed.iter().map(|key| (key.role, key.state.clone())).collect();
    states.sort();
    let expected = [
        (Role::Ksk, "active"),
        (Role::Zsk, "active"),
        (Role::Zsk, "published"),
    ];
    assert_eq!(states, expected.map(|(role, state)| (role, state.to_owned())));
}

#[test]
fn imported_keys_sign_only_where_nothing_else_does() {
    let mut world = World::new();
    let elsewhere = world.dir.path().join("elsewhere");
    let pair = [
        key_file(P256, ZONE | SEP, active()),
        key_file(P256, ZONE, Timing::default()),
    ];
    folder::write(&System, &elsewhere, &pair, Existing::Refuse).unwrap();
    // Either half may be named.
    let halves = [
        elsewhere.join(format!("{}.key", pair[0].stem())),
        elsewhere.join(format!("{}.private", pair[1].stem())),
    ];
    let imported = import(world.place(), &halves, NOW).unwrap();
    assert!(
        imported
            .iter()
            .all(|key| key.state == Claim::Active && key.note.is_none())
    );
    let opened = world.open();
    assert_eq!(ours(&opened).len(), 2);

    let further = key_file(P256, ZONE, active());
    folder::write(
        &System,
        &elsewhere,
        std::slice::from_ref(&further),
        Existing::Refuse,
    )
    .unwrap();
    let path = elsewhere.join(further.stem());
    let imported = import(world.place(), std::slice::from_ref(&path), world.now).unwrap();
    assert_eq!(imported[0].state, Claim::Published);
    assert!(matches!(imported[0].note, Some(Note::NotSigning { .. })));
    assert_eq!(
        state_of(&world.open(), &further.dnskey),
        Some(KeyState::Published)
    );
    let again = import(world.place(), &[path], world.now).unwrap();
    assert!(again[0].was_there);

    let other = KeyFile {
        owner: "other.".parse().unwrap(),
        ..key_file(P256, ZONE, active())
    };
    folder::write(
        &System,
        &elsewhere,
        std::slice::from_ref(&other),
        Existing::Refuse,
    )
    .unwrap();
    let error = import(world.place(), &[elsewhere.join(other.stem())], world.now).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("is a key for other., not for example."),
        "{error}"
    );
}

#[test]
fn new_tags_avoid_every_tag_in_sight() {
    let known = foreign(ZONE | SEP);
    let mut register = Register::default();
    register.apply(&Event {
        at: NOW,
        what: What::Imported {
            key: known.clone(),
            state: Claim::Gone,
        },
    });
    let taken = decide::tags_in_sight(&register, &[7]);
    assert_eq!(taken, [7, known.key_tag(), known.revoked_tag()].into());
    // A maker that gives the taken tags first.
    let mut offers = vec![foreign(ZONE), known.clone()];
    let mut make = |_: SigningAlgorithm, _: u16| {
        let key = offers.pop().expect("two are enough");
        let (_, private) = PrivateKey::generate(P256, ZONE).unwrap();
        Ok((key, private))
    };
    let (key, _) = decide::with_free_tag(P256, ZONE, &taken, &mut make).unwrap();
    assert_ne!(key, known);
}

#[test]
fn a_shared_tag_is_reported() {
    let mut world = World::new();
    // Any 32 octets may be such a key.
    world.policy.algorithm = SigningAlgorithm::Ed25519;
    let first = world.open();
    let zsk = ours(&first)[1].0.clone();
    // Swapping two aligned 16-bit words leaves the sum as it is.
    let mut rdata = zsk.rdata().to_vec();
    rdata.swap(4, 6);
    rdata.swap(5, 7);
    let twin = Dnskey::from_rdata(&rdata).unwrap();
    assert_eq!(twin.key_tag(), zsk.key_tag());
    world.external("ns1.keys", &[&twin]);
    let opened = world.open();
    assert_eq!(state_of(&opened, &twin), Some(KeyState::Seen));
    assert!(notes(&opened).contains("shares its tag"), "{}", notes(&opened));
    let error = withdraw(&world.apex, zsk.key_tag(), "?", None, &world.journal, NOW).unwrap_err();
    assert!(matches!(error, CommandError::Ambiguous { .. }), "{error}");
}

#[test]
fn cds_follows_the_policy_and_the_union() {
    let mut world = World::new();
    world.external("ns1.keys", &[&foreign(ZONE | SEP), &foreign(ZONE)]);
    world.policy.publishing.cds = Cds::Publish;
    let opened = world.open();
    let cds = &opened.keyset.apex_rrsets()[1];
    assert_eq!((cds.rtype, cds.rdatas.len()), (RrType::CDS, 2));
}

/// What a plan asks the parent for is in the register, so that a restart asks for the same.
#[test]
fn cds_asks_for_what_a_plan_wants_and_nothing_that_would_leave_us_out() {
    let mut world = World::new();
    let theirs = foreign(ZONE | SEP);
    world.external("ns1.keys", &[&theirs]);
    world.policy.publishing.cds = Cds::Rollover;
    let opened = world.open();
    assert_eq!(opened.keyset.apex_rrsets().len(), 1, "nobody has asked");
    let ksk = ours(&opened)[0].0.clone();
    let ask = |world: &World, keys: &[&Dnskey]| {
        let place = Place {
            apex: &world.apex,
            folder: &world.folder(),
            journal: Some(&world.journal),
        };
        let keys = keys.iter().map(|key| (*key).clone()).collect();
        ask_for(place, &keys, NOW)
    };
    let count = |world: &World| world.journal.events(world.apex.as_ref()).unwrap().len();
    let cds = |world: &mut World| {
        let opened = world.open();
        let sets = opened.keyset.apex_rrsets();
        sets.get(1..3).map(|both| {
            assert_eq!((both[0].rtype, both[1].rtype), (RrType::CDS, RrType::CDNSKEY));
            assert_eq!(both[0].rdatas.len(), both[1].rdatas.len());
            both[1].rdatas.len()
        })
    };
    ask(&world, &[&ksk, &theirs]).unwrap();
    assert_eq!(cds(&mut world), Some(2));
    let before = count(&world);
    ask(&world, &[&theirs, &ksk]).unwrap();
    assert_eq!(count(&world), before, "the same again is nothing new");

    let error = ask(&world, &[&theirs]).unwrap_err();
    assert!(matches!(error, StepError::LeavesUsOut { .. }), "{error}");
    let error = ask(&world, &[&ksk, &foreign(SEP)]).unwrap_err();
    assert!(matches!(error, StepError::NoEntry { .. }), "{error}");
    let revoked = foreign(ZONE | SEP | REVOKE);
    let error = ask(&world, &[&ksk, &revoked]).unwrap_err();
    assert!(matches!(error, StepError::NoEntry { .. }), "{error}");
    assert_eq!(cds(&mut world), Some(2), "what is refused changes nothing");

    // Whoever switches it off asks for nothing, and whoever takes it back.
    world.policy.publishing.cds = Cds::Off;
    assert_eq!(cds(&mut world), None);
    world.policy.publishing.cds = Cds::Rollover;
    assert_eq!(cds(&mut world), Some(2));
    ask(&world, &[]).unwrap();
    assert_eq!(cds(&mut world), None);
}

#[test]
fn one_zone_in_trouble_is_no_other_zones() {
    let world = World::new();
    let names: Vec<Name> = (0..40)
        .map(|n| format!("zone{n}.example.").parse().unwrap())
        .collect();
    let folder = world.folder();
    let bad = KeyFile {
        owner: names[7].clone(),
        ..key_file(P256, ZONE | SEP, active())
    };
    folder::write(&System, &folder, std::slice::from_ref(&bad), Existing::Refuse).unwrap();
    fs::remove_file(folder.join(format!("{}.private", bad.stem()))).unwrap();
    let requests: Vec<Request<'_>> = names
        .iter()
        .map(|apex| Request {
            apex,
            folder: &folder,
            external: &[],
            providers: &[],
            observed: &[],
            policy: &world.policy,
            previous: None,
        })
        .collect();
    let results = open(&requests, &world.journal, NOW);
    let failed: Vec<usize> = (0..40).filter(|at| results[*at].is_err()).collect();
    assert_eq!(failed, [7]);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 39 * 4 + 1);
    assert!(
        results[0]
            .as_ref()
            .unwrap()
            .register
            .own
            .values()
            .all(|own| own.state == OwnState::Is(Claim::Active))
    );
}

#[test]
fn one_failure_of_the_disk_is_made_good_for_every_zone() {
    let names: [Name; 3] = ["new.", "half.", "copied."].map(|name| name.parse().unwrap());
    for after in 0.. {
        let disk = SimulatedDisk::new(after);
        let (process, journal) = (disk.process(), MemoryJournal::default());
        let (keys, policy) = (disk.root().join("keys"), Policy::default());
        let open = |names: &[Name]| {
            let requests = names.iter().map(|apex| Request {
                apex,
                folder: &keys,
                external: &[],
                providers: &[],
                observed: &[],
                policy: &policy,
                previous: None,
            });
            open_on(&process, &requests.collect::<Vec<_>>(), &journal, NOW)
        };
        let half = open(&names[1..2]).remove(0).unwrap();
        let lost = half.keyset.key_signers()[0].dnskey();
        let stem = super::super::keyfile::stem(names[1].as_ref(), lost.algorithm(), lost.key_tag());
        process.remove(&keys.join(format!("{stem}.key"))).unwrap();
        let csk = KeyFile {
            owner: names[2].clone(),
            ..key_file(P256, ZONE | SEP, active())
        };
        let copy = |ending: &str, mode, text: &str| {
            disk.copy(
                &keys.join(format!("{}.{ending}", csk.stem())),
                mode,
                text.as_bytes(),
            );
        };
        copy("private", 0o600, &csk.private_text());
        copy("key", 0o644, &csk.public_text());
        disk.fail(after, std::io::ErrorKind::Other);
        for (name, opened) in names.iter().zip(open(&names)) {
            let opened = opened.unwrap_or_else(|refused| panic!("{name}, {after}: {:?}", refused.errors));
            assert!(
                !opened
                    .notes
                    .iter()
                    .any(|note| matches!(note, Note::NotWritten { .. }))
            );
        }
        if disk.awaits() {
            assert!(after > 20, "all of it takes more than {after} operations");
            break;
        }
    }
}

/// What may happen to a zone with two files of external keys, a pool of four provider keys and two further keys
/// of ours.
#[derive(Clone, Copy, Debug)]
enum Step {
    Show { file: usize, keys: u8 },
    Withdraw { key: usize },
    AddOwn { key: usize },
    LoseState,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2usize, 0..16u8).prop_map(|(file, keys)| Step::Show { file, keys }),
        2 => (0..4usize).prop_map(|key| Step::Withdraw { key }),
        1 => (0..2usize).prop_map(|key| Step::AddOwn { key }),
        1 => Just(Step::LoseState),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_nothing_is_lost_and_nothing_switches(
        steps in prop::collection::vec(any_step(), 1..20),
    ) {
        let mut world = World::new();
        let theirs: Vec<Dnskey> = (0..4).map(|_| foreign(ZONE)).collect();
        let further = [key_file(P256, ZONE | SEP, active()), key_file(P256, ZONE, active())];
        let mut shown = [0u8; 2];
        world.external("a", &[]);
        world.external("b", &[]);
        let mut last = world.open().keyset;
        let signers = |set: &KeySet| {
            let both = set.key_signers().iter().chain(set.data_signers());
            both.map(|key| key.dnskey().clone()).collect::<Vec<_>>()
        };
        let began_with = signers(&last);
        // Per key of theirs: ever shown, ever withdrawn, withdrawn and shown by some file ever since.
        let mut ever = [false; 4];
        let mut withdrawn = [false; 4];
        let mut stubborn = [None::<usize>; 4];
        for step in steps {
            match step {
                Step::Show { file, keys } => {
                    shown[file] = keys;
                    let chosen = (0..4).filter(|key| keys >> key & 1 == 1);
                    world.external(["a", "b"][file], &chosen.map(|key| &theirs[key]).collect::<Vec<_>>());
                }
                Step::Withdraw { key } => {
                    let tag = theirs[key].key_tag();
                    if withdraw(&world.apex, tag, "?", None, &world.journal, world.now).is_ok() {
                        withdrawn[key] = true;
                        stubborn[key] = (0..2).find(|file| shown[*file] >> key & 1 == 1);
                    }
                }
                Step::AddOwn { key } => world.put(&further[key]),
                Step::LoseState => {
                    world.journal = MemoryJournal::default();
                    (ever, withdrawn, stubborn) = ([false; 4], [false; 4], [None; 4]);
                }
            }
            let opened = world.open_after(Some(&last)).unwrap_or_else(|refused| panic!("{:?}", refused.errors));
            prop_assert_eq!(signers(&opened.keyset), began_with.clone());
            for (key, dnskey) in theirs.iter().enumerate() {
                let is_shown = shown.iter().any(|keys| keys >> key & 1 == 1);
                ever[key] |= is_shown;
                if stubborn[key].is_some_and(|file| shown[file] >> key & 1 == 0) {
                    stubborn[key] = None;
                }
                let published = state_of(&opened, dnskey).is_some();
                if !withdrawn[key] {
                    prop_assert_eq!(published, ever[key], "key {}", key);
                } else if stubborn[key].is_some() {
                    prop_assert!(!published, "key {} was withdrawn and is still shown", key);
                }
            }
            let again = world.open_after(Some(&opened.keyset)).unwrap();
            prop_assert_eq!(again.events, vec![]);
            prop_assert_eq!(again.keyset.id(), opened.keyset.id());
            last = again.keyset;
        }
    }
}

fn at_server(keys: &[&Dnskey], ttl: u32) -> Observation {
    Observation {
        source: Source::Server {
            provider: "ns1".into(),
            address: "192.0.2.1:53".parse().unwrap(),
        },
        evidence: Evidence::Answer { anchor: 7 },
        keys: keys.iter().map(|&key| key.clone()).collect(),
        ttl: Some(Ttl::new(ttl)),
        trust: None,
    }
}

fn at_api(keys: &[&Dnskey]) -> Observation {
    Observation {
        source: Source::Api("ns1".into()),
        evidence: Evidence::Api,
        ttl: None,
        trust: Some(Trust::Person),
        ..at_server(keys, 0)
    }
}

#[test]
fn what_a_provider_shows_is_added_at_once_and_kept_when_it_vanishes() {
    let mut world = World::new();
    let own = ours(&world.open())[0].0.clone();
    let (ksk, zsk) = (foreign(ZONE | SEP), foreign(ZONE));
    world.providers = vec!["ns1".into()];
    world.observed = vec![at_api(&[&ksk, &zsk])];
    let opened = world.open();
    assert_eq!(state_of(&opened, &zsk), Some(KeyState::Seen));
    assert_eq!(opened.register.trusted["ns1"], Trust::Person);

    // One server lacks the ZSK: it stays by the API's word, and then by nobody's.
    world.observed = vec![at_server(&[&ksk, &own], 3600)];
    assert_eq!(state_of(&world.open(), &zsk), Some(KeyState::Seen));
    world.observed = vec![at_api(&[&ksk])];
    let opened = world.open();
    assert_eq!(state_of(&opened, &zsk), Some(KeyState::Kept));
    assert!(
        notes(&opened).contains("no longer in ns1's API"),
        "{}",
        notes(&opened)
    );

    // Nothing was looked at: that is no sign of absence.
    world.observed = vec![];
    assert_eq!(state_of(&world.open(), &ksk), Some(KeyState::Seen));
    // The configuration no longer has the provider: what it showed is shown by nobody, and kept.
    world.providers = vec![];
    assert_eq!(state_of(&world.open(), &ksk), Some(KeyState::Kept));
}

#[test]
fn our_own_keys_are_never_a_providers_present_or_past() {
    let mut world = World::new();
    let first = world.open();
    let own: Vec<Dnskey> = ours(&first).into_iter().map(|(key, ..)| key).collect();
    let zsk = own.iter().find(|key| !key.is_sep()).unwrap().clone();
    world.providers = vec!["ns1".into()];
    world.observed = vec![at_server(&own.iter().collect::<Vec<_>>(), 3600)];
    let opened = world.open();
    assert!(opened.register.foreign.is_empty());
    // A new ZSK signs, the old one is gone here, and the provider still shows it.
    let retired = Event {
        at: world.now,
        what: What::Turned {
            key: zsk.clone(),
            state: Claim::Gone,
        },
    };
    world
        .journal
        .append(&[(world.apex.clone(), vec![retired])])
        .unwrap();
    world.put(&key_file(SigningAlgorithm::EcdsaP256Sha256, ZONE, active()));
    let opened = world.open();
    assert!(opened.register.foreign.is_empty());
    assert_eq!(state_of(&opened, &zsk), None);
}

#[test]
fn a_key_that_must_be_refused_holds_back_no_other() {
    let mut world = World::new();
    world.open();
    let (good, other) = (foreign(ZONE), foreign_of(SigningAlgorithm::Ed25519, ZONE));
    let revoked = Dnskey::new(ZONE | SEP | 0x80, good.algorithm(), good.public_key());
    world.providers = vec!["ns1".into()];
    world.observed = vec![at_server(&[&revoked, &other, &good], 3600)];
    let opened = world.open();
    assert_eq!(state_of(&opened, &good), Some(KeyState::Seen));
    assert_eq!(opened.register.foreign.len(), 1);
    for reason in ["REVOKE flag is set", "all providers need the same algorithms"] {
        assert!(notes(&opened).contains(reason), "{}", notes(&opened));
    }
    // Sixteen at one source, as for a file; a further one is refused and said.
    let many: Vec<Dnskey> = (0..17).map(|_| foreign(ZONE)).collect();
    world.observed = vec![at_server(&many.iter().collect::<Vec<_>>(), 3600)];
    let opened = world.open();
    assert!(notes(&opened).contains("more than 16 keys"), "{}", notes(&opened));
    assert_eq!(
        state_of(&opened, &good),
        Some(KeyState::Kept),
        "never crowded out"
    );
}

#[test]
fn the_ttl_is_the_smallest_that_anyone_answers_with() {
    let mut world = World::new();
    world.open();
    world.providers = vec!["ns1".into()];
    let mut ttl = |observed| {
        world.observed = observed;
        world.open().keyset.apex_rrsets()[0].ttl.seconds()
    };
    assert_eq!(ttl(vec![at_server(&[], 7200)]), 3600);
    assert_eq!(ttl(vec![at_server(&[], 600), at_api(&[])]), 600);
    assert_eq!(ttl(vec![]), 600, "remembered");
    assert_eq!(ttl(vec![at_server(&[], 1800)]), 1800);
}
