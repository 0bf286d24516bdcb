//! What goes wrong around a plan that the real server carries out: a full disk, a spoiled journal, a clock that jumps, and
//! people who ask for what cannot be. Nothing is withdrawn, what is served goes on, each is told in words, and there is a
//! way on.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use countersign::wire::Name;
use redb::{Database, ReadableTable as _, TableDefinition};

use crate::harness::{
    planned::{ORIGIN, ROLLING, SHOWING, Setting, World},
    process::{Deadline, wait_for},
    small_disk::SmallDisk,
};

/// How often the store is written to at most until it finds no room.
const MOST_WRITES: usize = 500;

#[test]
fn keys_that_find_no_room_pause_a_plan() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("small")) else {
        return;
    };
    let world = World::within(
        folder.path(),
        Setting {
            keys: "small/keys",
            ..Setting::default()
        },
    );
    let before = world.keys();
    disk.fill();
    world.apply(&["roll-zsk", ORIGIN]);
    world.reaches("paused");
    world.tells("No space left on device");
    assert!(
        world.ours.log().contains("the plan is paused: "),
        "{}",
        world.ours.log()
    );
    assert_eq!(world.keys(), before);
    // Still no room.
    world.does(&["resume", ORIGIN]);
    world.reaches("paused");
    assert_eq!(world.keys(), before);

    disk.make_room();
    world.does(&["resume", ORIGIN]);
    world.waits();
    assert_eq!(world.keys().len(), before.len() + 1);
    world.reaches("reached");
}

#[test]
fn a_journal_that_finds_no_room_holds_a_plan_up() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("small")) else {
        return;
    };
    let world = World::within(
        folder.path(),
        Setting {
            margin: "6s",
            state: "small/state",
            ..Setting::default()
        },
    );
    world.apply(&["roll-zsk", ORIGIN]);
    world.waits();
    let published = world.keys();
    let steps = world.plan_status()["steps"].clone();
    disk.fill();
    // What the store's file has left is used up by long reasons, then by short ones; what does not fit is refused.
    let mut refused = String::new();
    for octets in [40_000, 4_000, 400, 40] {
        let reason = "x".repeat(octets);
        for _ in 0..MOST_WRITES {
            let (code, text) = world.says(&["pause", ORIGIN, &reason]);
            if code == Some(1) {
                refused = text;
                break;
            }
            if world.says(&["resume", ORIGIN]).0 == Some(1) {
                break;
            }
        }
    }
    assert!(
        refused.contains("its journal cannot be written") && refused.contains("No space left on device"),
        "{refused}"
    );
    // Its time comes, and it neither switches nor withdraws.
    let told = wait_for(SHOWING, || {
        let status = world.plan_status();
        let why = status["why"].as_str().unwrap_or_default();
        let state = status["state"].as_str().unwrap_or_default();
        (state == "paused" || why.contains("No space left on device")).then_some(status)
    });
    let told = told.unwrap_or_else(|| panic!("{:#}\n{}", world.plan_status(), world.ours.log()));
    assert_eq!(told["steps"], steps, "{told:#}");
    assert_eq!(world.keys(), published);
    let warned = world.does(&["status", ORIGIN]);
    assert!(
        warned.contains("No space left on device") || told["state"] == "paused",
        "{warned}"
    );
    world.refuses(&["abort", ORIGIN, "never mind"], "No space left on device");

    disk.make_room();
    if told["state"] == "paused" {
        world.does(&["resume", ORIGIN]);
    }
    world.reaches("reached");
    assert_eq!(world.keys().len(), published.len() - 1);
}

const RUNS: TableDefinition<'_, (&[u8], u64), &[u8]> = TableDefinition::new("runs");

/// Changes the journal of the zone's plans in the store of a server that has ended.
fn spoil(state: &Path, change: impl FnOnce(&mut redb::Table<'_, (&[u8], u64), &[u8]>, &[u8], u64)) {
    let origin: Name = ORIGIN.parse().unwrap();
    let wire = origin.as_ref().as_wire().to_vec();
    let database = Database::open(state.join("countersign.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut runs = transaction.open_table(RUNS).unwrap();
        let last = runs.range((wire.as_slice(), 0)..).unwrap().next_back().unwrap();
        let last = last.unwrap().0.value().1;
        change(&mut runs, &wire, last);
    }
    transaction.commit().unwrap();
}

#[test]
fn a_journal_that_was_cut_or_altered_stops_plans_and_nothing_else() {
    let mut world = World::new("4s", "3");
    world.apply(&["roll-zsk", ORIGIN]);
    world.waits();
    let published = world.keys();
    let waiting = world.plan_status()["steps"].clone();
    world.ours.signal("TERM");
    world.ours.wait(SHOWING);
    let store = world.state().join("countersign.redb");
    let whole = fs::read(&store).unwrap();

    // The last entry is missing.
    spoil(&world.state(), |runs, wire, last| {
        drop(runs.remove((wire, last)).unwrap());
    });
    world.start_again();
    assert_eq!(world.keys(), published, "what is served goes on");
    let told = world.ours.stderr().wait_for("was cut or altered", SHOWING);
    assert!(told.is_some(), "{}", world.ours.log());
    world.reaches("spoiled");
    world.tells("countersign abort example. --forget-journal REASON");
    for order in [
        &["apply", "roll-zsk", ORIGIN][..],
        &["pause", ORIGIN],
        &["resume", ORIGIN],
        &["done", ORIGIN],
        &["abort", ORIGIN, "why"],
    ] {
        world.refuses(order, "was cut or altered");
    }
    let warned = world.status()["warnings"].to_string();
    assert!(warned.contains("was cut or altered"), "{warned}");

    // The way back: the state folder of before.
    world.ours.signal("TERM");
    world.ours.wait(SHOWING);
    fs::write(&store, &whole).unwrap();
    world.start_again();
    let goes_on = wait_for(SHOWING, || {
        (world.plan_status()["steps"] == waiting).then_some(())
    });
    assert!(goes_on.is_some(), "{:#}", world.plan_status());

    // One octet of an entry is another one.
    world.ours.signal("TERM");
    world.ours.wait(SHOWING);
    spoil(&world.state(), |runs, wire, last| {
        let entry = runs.get((wire, last / 2)).unwrap().unwrap();
        let mut octets = entry.value().to_vec();
        drop(entry);
        let digit = octets.iter().rposition(u8::is_ascii_digit).unwrap();
        octets[digit] ^= 1;
        runs.insert((wire, last / 2), octets.as_slice()).unwrap();
    });
    world.start_again();
    world.reaches("spoiled");
    assert_eq!(world.keys(), published);

    // The way on: the journal is given up, and a new plan takes the key that is published already.
    let text = world.does(&["abort", ORIGIN, "--forget-journal", "a disk was bad"]);
    assert!(text.contains("no plan is carried out"), "{text}");
    assert!(text.contains("let the largest TTL"), "{text}");
    let logged = wait_for(SHOWING, || {
        world.ours.log().contains("a disk was bad").then_some(())
    });
    assert!(logged.is_some(), "{}", world.ours.log());
    assert_eq!(world.keys(), published);
    world.apply(&["roll-zsk", ORIGIN]);
    world.reaches("reached");
    let after = world.keys();
    assert_eq!(after.len(), published.len() - 1);
    assert!(after.iter().all(|key| published.contains(key)));
}

/// The whole store is spoiled, and there is no backup: what the key folder tells is made again.
#[test]
fn a_spoiled_store_is_told_and_made_again_from_the_keys() {
    let mut world = World::new("1s", "3");
    let before = world.keys();
    world.ours.signal("TERM");
    world.ours.wait(SHOWING);
    let store = world.state().join("countersign.redb");
    let length = fs::metadata(&store).unwrap().len();
    fs::write(&store, vec![7; length as usize]).unwrap();
    let told = world.does_not_start();
    assert!(
        told.contains("countersign.redb is spoiled: ") && told.contains("move the file away"),
        "{told}"
    );
    fs::rename(&store, store.with_extension("spoiled")).unwrap();
    world.start_again();
    world.does(&["peer", "sync", ORIGIN, "--wait", "20s"]);
    assert_eq!(world.keys(), before);
    world.apply(&["roll-zsk", ORIGIN]);
    world.reaches("reached");
}

/// The clock of a server, which can be set. Steady time stays as it is, as it does for a machine whose clock is set.
struct SetClock(PathBuf);

impl SetClock {
    fn new(folder: &Path) -> Self {
        let clock = Self(folder.join("clock"));
        clock.set("+0");
        clock
    }

    /// As an offset from the true time, in seconds.
    fn set(&self, offset: &str) {
        let new = self.0.with_extension("new");
        fs::write(&new, format!("{offset}\n")).unwrap();
        fs::rename(new, &self.0).unwrap();
    }

    /// What a server takes from its environment to have it.
    fn environment(&self) -> Vec<(&'static str, String)> {
        let library = fs::read_dir("/usr/lib").unwrap().find_map(|folder| {
            let library = folder.unwrap().path().join("faketime/libfaketime.so.1");
            library.exists().then(|| library.display().to_string())
        });
        vec![
            (
                "LD_PRELOAD",
                library.expect("libfaketime is installed; run `make tools`"),
            ),
            ("FAKETIME_TIMESTAMP_FILE", self.0.display().to_string()),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("FAKETIME_DISABLE_SHM", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ]
    }
}

/// For as long as a wait of this plan takes, and longer.
fn longer_than_a_wait() {
    let long = Deadline::after(Duration::from_secs(9));
    wait_for(Duration::from_secs(60), || long.left().is_none().then_some(()));
}

#[test]
fn interop_faketime_a_clock_that_jumps_passes_no_wait_and_withdraws_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let clock = SetClock::new(folder.path());
    let world = World::within(
        folder.path(),
        Setting {
            margin: "4s",
            environment: clock.environment(),
            ..Setting::default()
        },
    );
    let before = world.keys();
    let seen = || {
        let steps = world.plan_status()["steps"].clone();
        let steps = steps.as_array().unwrap().iter();
        steps.filter(|step| !step["seen"].is_null()).count()
    };
    let is_told = || world.status()["clock_fault"].is_string().then_some(());
    world.apply(&["roll-zsk", ORIGIN]);
    world.waits();
    let (published, done) = (world.keys(), seen());
    assert_eq!(published.len(), before.len() + 1);

    // Ahead, by more than any wait: none looks passed, and the alarm says what to do.
    clock.set("+7200");
    assert!(wait_for(SHOWING, is_told).is_some(), "{}", world.ours.log());
    let warned = world.status()["warnings"].to_string();
    assert!(warned.contains("accept clock"), "{warned}");
    let logged = world.ours.stderr().wait_for("the clock jumped to", SHOWING);
    assert!(logged.is_some(), "{}", world.ours.log());
    longer_than_a_wait();
    world.tells("the clock cannot be trusted, so nothing is withdrawn or switched");
    assert_eq!((world.keys(), seen()), (published.clone(), done));

    // A person takes it for right: what was waited for begins anew, and does not look passed.
    let until = |world: &World| world.plan_status()["until"].as_u64();
    let now = |world: &World| world.status()["now"].as_u64().unwrap();
    world.does(&["accept", "clock"]);
    let told = "the plan reckons with the clock that was set";
    let told = world.ours.stderr().wait_for(told, SHOWING);
    assert!(told.is_some(), "{}", world.ours.log());
    let switched = wait_for(SHOWING, || (seen() > done).then_some(()));
    assert!(switched.is_some(), "{:#}", world.plan_status());
    assert_eq!(
        world.keys(),
        published,
        "the old key is needed for what it signed"
    );
    world.waits();
    assert!(
        until(&world).unwrap() < now(&world) + 20,
        "{:#}",
        world.plan_status()
    );
    let done = seen();

    // Back to the truth, which looks like a jump now: nothing is withdrawn.
    clock.set("+0");
    assert!(wait_for(SHOWING, is_told).is_some(), "{}", world.ours.log());
    longer_than_a_wait();
    assert_eq!((world.keys(), seen()), (published.clone(), done));
    world.does(&["accept", "clock"]);
    assert!(is_told().is_none());
    // It waits from now on, and no two hours.
    world.waits();
    let (until, now) = (until(&world).unwrap(), now(&world));
    assert!(until > now && until < now + 20, "{until} {now}");
    assert_eq!(world.keys(), published);
    world.reaches("reached");
    assert_eq!(world.keys().len(), before.len());
}

/// A server whose clock was behind is restarted when it was set right, instead of told.
#[test]
fn interop_faketime_a_restart_with_another_clock_passes_no_wait() {
    let folder = tempfile::tempdir().unwrap();
    let clock = SetClock::new(folder.path());
    let mut world = World::within(
        folder.path(),
        Setting {
            margin: "8s",
            environment: clock.environment(),
            ..Setting::default()
        },
    );
    let before = world.keys();
    world.apply(&["roll-zsk", ORIGIN]);
    world.waits();
    let begun = |world: &World| {
        let steps = world.plan_status()["steps"].clone();
        let steps = steps.as_array().unwrap().iter();
        steps.filter(|step| !step["begun"].is_null()).count()
    };
    let (published, done) = (world.keys(), begun(&world));
    world.ours.signal("TERM");
    world.ours.wait(SHOWING);
    clock.set("+7200");
    world.start_again();
    let told = world
        .ours
        .stderr()
        .wait_for("so the plan counts none of it", SHOWING);
    assert!(told.is_some(), "{}", world.ours.log());
    world.waits();
    assert_eq!((world.keys(), begun(&world)), (published, done));
    // What had passed of the wait counts, and the machine was not off for two hours.
    let (status, now) = (world.plan_status(), world.status()["now"].as_u64().unwrap());
    assert!(status["uncounted"].is_string(), "{status:#}");
    assert!(status["until"].as_u64().unwrap() < now + 20, "{status:#} {now}");
    assert!(world.status()["clock_fault"].is_null());

    // Set back while nobody watches, and accepted while no server runs: the plan is told in the store, and nothing looks
    // two hours away.
    world.ours.signal("TERM");
    world.ours.wait(SHOWING);
    clock.set("+0");
    let accepted = world.does(&["accept", "clock"]);
    assert!(
        accepted.contains(&format!("the plan of {ORIGIN} is told")),
        "{accepted}"
    );
    world.start_again();
    assert!(world.status()["clock_fault"].is_null(), "{}", world.ours.log());
    world.reaches("reached");
    assert_eq!(world.keys().len(), before.len());
}

#[test]
fn what_cannot_be_asked_for_is_said_in_words() {
    let mut world = World::new("30s", "3");
    let absent =
        "countersign: the server has no zone nobody.example.\n  countersign status lists its zones\n";
    for order in [
        &["plan", "roll-zsk", "nobody.example."][..],
        &["apply", "roll-zsk", "nobody.example."],
        &["pause", "nobody.example."],
        &["abort", "nobody.example.", "why"],
    ] {
        world.refuses(order, absent);
    }
    world.apply(&["roll-zsk", ORIGIN]);
    world.waits();
    for order in [
        &["apply", "roll-zsk", ORIGIN][..],
        &["apply", "leave", ORIGIN, "--provider", "us"],
    ] {
        world.refuses(
            order,
            "countersign: another plan is carried out for example.\n  countersign status example. shows it; countersign abort example. REASON gives it up",
        );
    }
    // It may be asked for all the same, and changes nothing.
    let steps = world.plan_status()["steps"].clone();
    let (_, shown) = world.says(&["plan", "roll-zsk", ORIGIN]);
    assert!(shown.contains("example.: "), "{shown}");
    assert_eq!(world.plan_status()["steps"], steps);

    world.ours.signal("TERM");
    world.ours.wait(SHOWING);
    let nobody = format!(
        "countersign: no server runs on the state folder {}\n  name the running server's state folder with --state DIR, or start one",
        world.state().display()
    );
    for order in [
        &["plan", "roll-zsk", ORIGIN][..],
        &["apply", "roll-zsk", ORIGIN],
        &["pause", ORIGIN],
        &["resume", ORIGIN],
        &["done", ORIGIN],
        &["abort", ORIGIN, "why"],
    ] {
        world.refuses(order, &nobody);
    }
}

/// A parent that reads our CDS RRset may follow a wish of which no plan knows.
#[test]
fn a_cds_rrset_of_its_own_stops_what_changes_the_ds() {
    let world = World::new("1s", "3");
    let file = world.state().with_file_name("countersign.toml");
    let written = std::fs::read_to_string(&file).unwrap();
    let set = |cds: &str| {
        let text = written.replace(
            "auto_keys = true\n",
            &format!("auto_keys = true\ncds = \"{cds}\"\n"),
        );
        std::fs::write(&file, text).unwrap();
        world.does(&["reload"]);
    };
    set("publish");
    let refused = wait_for(SHOWING, || {
        let (code, text) = world.says(&["apply", "roll-ksk", ORIGIN]);
        (code == Some(1) && text.contains("`cds = \"publish\"`")).then_some(())
    });
    assert!(refused.is_some(), "{}", world.ours.log());
    assert!(world.plan_status().is_null());

    set("off");
    world.apply(&["roll-ksk", ORIGIN]);
    world.tells("the DS RRset at the parent");
    set("delete");
    world.reaches("paused");
    world.tells("`cds = \"delete\"`");
    set("off");
    world.does(&["resume", ORIGIN]);
    world.tells("the DS RRset at the parent");
}

/// What a person saw may be over when it is applied: what is carried out is what the servers show then.
#[test]
fn what_is_applied_is_what_the_servers_show_at_that_moment() {
    let world = World::new("1s", "3");
    let planned = wait_for(SHOWING, || {
        let (code, text) = world.says(&["plan", "roll-zsk", ORIGIN]);
        (code == Some(0)).then_some(text)
    });
    let planned = planned.unwrap_or_else(|| panic!("{}", world.ours.log()));
    assert!(planned.contains("the new ZSK is made"), "{planned}");
    // In between somebody makes one by hand, and the other provider is given it.
    let before = world.tags();
    let folder = world.key_folder();
    world.does(&[
        "keys",
        "generate",
        ORIGIN,
        "--role",
        "zsk",
        "--keys",
        folder.to_str().unwrap(),
    ]);
    let made = world
        .tags()
        .into_iter()
        .find(|tag| !before.contains(tag))
        .unwrap();
    let applied = wait_for(SHOWING, || {
        let (code, text) = world.says(&["apply", "roll-zsk", ORIGIN]);
        (code == Some(0)).then_some(text)
    });
    let applied = applied.unwrap_or_else(|| panic!("{}", world.says(&["plan", "roll-zsk", ORIGIN]).1));
    assert!(!applied.contains("the new ZSK"), "{applied}");
    assert!(applied.contains(&format!("ZSK {made}")), "{applied}");
    assert_eq!(world.tags().len(), before.len() + 1, "no further one is made");
}

/// A plan knows its providers by their places in it: neither another order nor another number of them in the
/// configuration may lead it astray.
#[test]
fn providers_that_come_and_go_amid_a_plan_halt_it() {
    let world = World::new("4s", "3");
    let path = world.state().with_file_name("countersign.toml");
    let before = fs::read_to_string(&path).unwrap();
    let reload = |text: &str| {
        fs::write(&path, text).unwrap();
        world.does(&["reload"]);
    };
    world.apply(&["roll-zsk", ORIGIN]);
    world.waits();
    let published = world.keys();
    let other = "[[provider]]\nname = \"dnsx\"\nkind = \"dns\"\nservers = [\"127.0.0.1:9\"]\n[[zone]]";
    let more = before
        .replace("[[zone]]", other)
        .replace("providers = [\"ns1\"]", "providers = [\"dnsx\", \"ns1\"]");
    reload(&more);
    world.tells("\"dnsx\" was added to the zone");
    reload(&before.replace("providers = [\"ns1\"]", "providers = []"));
    world.tells("\"ns1\" of this plan is not configured any more");
    // Its time comes, and nothing is switched or withdrawn.
    let on = || (world.plan_status()["until"].is_u64() || world.keys() != published).then_some(());
    assert!(
        wait_for(Duration::from_secs(8), on).is_none(),
        "{}",
        world.ours.log()
    );
    let warned = world.does(&["status", ORIGIN]);
    assert!(warned.contains("the plan is halted"), "{warned}");
    reload(&before);
    world.reaches("reached");
    assert_eq!(world.keys().len(), published.len() - 1);
}

/// An operator learns amid a roll that the other provider takes an hour, and not a second.
#[test]
fn a_propagation_that_is_raised_amid_a_plan_is_waited_for() {
    let mut world = World::new("30s", "3");
    let path = world.state().with_file_name("countersign.toml");
    let before = fs::read_to_string(&path).unwrap();
    world.apply(&["roll-zsk", ORIGIN]);
    world.waits();
    let published = world.keys();
    let until = |world: &World| world.plan_status()["until"].as_u64().unwrap_or(0);
    let first = until(&world);
    let raised = |world: &World| {
        let status = world.does(&["status", ORIGIN]);
        let is_told = status.contains("the propagation of ns1 counts as 3600 s since")
            && status.contains("where the plan was made with 1 s");
        (is_told && until(world) == first + 3_599).then_some(())
    };
    fs::write(
        &path,
        before.replacen("propagation = \"1s\"", "propagation = \"1h\"", 1),
    )
    .unwrap();
    world.does(&["reload"]);
    let shown = |world: &World| {
        let shown = wait_for(SHOWING, || raised(world));
        assert!(
            shown.is_some(),
            "{first} {:#}\n{}",
            world.plan_status(),
            world.ours.log()
        );
    };
    shown(&world);
    assert!(
        world
            .ours
            .log()
            .contains("the propagation of ns1 is larger than the plan was made with"),
        "{}",
        world.ours.log()
    );
    // Lowered again, it counts for the next plan, after a restart too.
    fs::write(&path, &before).unwrap();
    world.does(&["reload"]);
    world.ours.signal("TERM");
    world.ours.wait(SHOWING);
    world.start_again();
    shown(&world);
    assert_eq!(world.keys(), published);
}

/// A second host of ours, say, with the keys of last week: whoever is led to it by the NS RRset gets what it has.
#[test]
fn a_server_in_the_ns_rrset_that_cannot_be_asked_holds_a_plan_up() {
    let world = World::new("4s", "3");
    let path = |name: &str| world.state().with_file_name(name);
    let config = fs::read_to_string(path("countersign.toml")).unwrap();
    let config = config.replace(
        "our_servers = [\"ours.example.\"]",
        "our_servers = [\"ours.example.\", \"ns3.example.\"]",
    );
    let reload = |more: &str| {
        fs::write(path("countersign.toml"), format!("{more}{config}")).unwrap();
        world.does(&["reload"]);
    };
    world.apply(&["roll-zsk", ORIGIN]);
    world.waits();
    let published = world.keys();
    let zone = fs::read_to_string(path("zone")).unwrap();
    fs::write(path("zone"), format!("{zone}@ NS ns3\nns3 A 192.0.2.3\n")).unwrap();
    reload("");
    let why = || world.plan_status()["why"].as_str().unwrap_or_default().to_owned();
    let told = wait_for(ROLLING, || {
        let why = why();
        let is_it = why.contains("ns3.example. 192.0.2.3") && why.contains("cannot be reached from here");
        is_it.then_some(why)
    });
    let told = told.unwrap_or_else(|| panic!("{}\n{}", why(), world.ours.log()));
    assert!(told.contains("`public_addresses`"), "{told}");
    assert_eq!(world.keys(), published);
    // A person's word: it leads to this server.
    reload("public_addresses = [\"192.0.2.3\"]\n");
    world.reaches("reached");
    assert_eq!(world.keys().len(), published.len() - 1);
}
