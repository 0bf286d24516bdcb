//! Plans as a person meets them: the real binary beside a simulated NS1, a parent, and a real unbound that asks all the
//! while. A roll in real time with short TTLs shows it no bogus answer; the same without waits does.

use countersign::dnssec::key::Dnskey;

use crate::harness::{
    planned::{Asking, ORIGIN, ROLLING, SERVERS, SHOWING, Setting, World, dnskeys},
    process::{wait_for, write},
    proxy,
};

#[test]
fn a_zsk_roll_shows_a_resolver_nothing_bogus() {
    let world = World::new("1s", "3");
    let before = world.tags();
    let mixed = proxy::mixed(world.ns1.dns[0], world.ours.address);
    let resolvers = [
        world.resolver(&[mixed.address]),
        world.resolver(&[world.ours.address, world.ns1.dns[0], world.ns1.dns[1]]),
    ];
    let asking = [
        Asking::start(resolvers[0].address()),
        Asking::start(resolvers[1].address()),
    ];
    let shown = wait_for(SHOWING, || {
        let (code, text) = world.says(&["plan", "roll-zsk", ORIGIN]);
        (code == Some(0)).then_some(text)
    });
    let shown = shown.unwrap_or_else(|| panic!("{}", world.says(&["plan", "roll-zsk", ORIGIN]).1));
    assert!(shown.contains("the new ZSK"), "{shown}");
    let (code, text) = world.says(&["apply", "roll-zsk", ORIGIN]);
    assert_eq!(code, Some(0), "{text}");
    // A second plan has to wait.
    let (code, text) = world.says(&["apply", "roll-zsk", ORIGIN]);
    assert!(
        code == Some(1) && text.contains("another plan is carried out"),
        "{text}"
    );
    world.reaches("reached");
    for (asking, which) in asking.into_iter().zip(["keys of NS1", "both"]) {
        let (asked, bogus) = asking.stop();
        assert!(
            bogus.is_empty(),
            "{which}: {bogus:?} of {asked} are not validated"
        );
        assert!(asked > 200, "{which}: only {asked} were asked");
        println!("{which}: {asked} asked, none bogus");
    }
    let after = world.tags();
    assert_eq!((before.len(), after.len()), (4, 4));
    assert_eq!(
        before.iter().filter(|tag| !after.contains(tag)).count(),
        1,
        "one key was replaced"
    );
    assert_eq!(
        dnskeys(world.ns1.dns[0]).len(),
        4,
        "NS1 has the new one, and not the old one"
    );
}

/// NS1 loses our keys while a plan waits: the plan knows before they are given again, and tells it.
#[test]
fn keys_that_another_provider_loses_are_noticed_before_they_are_given_again() {
    let world = World::new("4s", "3");
    let applied = wait_for(ROLLING, || {
        world
            .says(&["apply", "roll-zsk", ORIGIN])
            .0
            .filter(|code| *code == 0)
    });
    assert!(
        applied.is_some(),
        "{}",
        world.says(&["plan", "roll-zsk", ORIGIN]).1
    );
    let waits = || (world.plan_status()["until"].is_u64()).then_some(());
    assert!(wait_for(SHOWING, waits).is_some(), "{:#}", world.plan_status());
    assert_eq!(dnskeys(world.ns1.dns[0]).len(), 5, "NS1 has the new key");
    world.ns1_loses_our_keys();
    // All of them, those that go in the end included: answers are signed with them.
    let sorted = |mut keys: Vec<Dnskey>| {
        keys.sort();
        keys
    };
    let ours = sorted(dnskeys(world.ours.address));
    let again = wait_for(SHOWING, || {
        (sorted(dnskeys(world.ns1.dns[0])) == ours).then_some(())
    });
    assert!(again.is_some(), "{}", world.ours.log());
    // Resolvers did find answers bogus meanwhile. That is told, and the plan goes on when no cache holds any of it.
    let told = || world.plan_status()["harm"][1].as_str().map(str::to_owned);
    let told = wait_for(SHOWING, told);
    assert!(
        told.as_ref()
            .is_some_and(|story| story.contains("no key that signs the data")),
        "{told:?}: {:#}",
        world.plan_status()
    );
    assert_eq!(sorted(dnskeys(world.ours.address)), ours);
    world.reaches("reached");
}

/// The negative control: the key goes at once, and what the resolver holds does not fit.
#[test]
fn without_waits_a_resolver_finds_answers_bogus() {
    let world = World::new("1s", "8");
    let mixed = proxy::mixed(world.ns1.dns[0], world.ours.address);
    let resolver = world.resolver(&[mixed.address]);
    let old = dnskeys(world.ours.address);
    let theirs: Vec<u16> = world.tags_of("provider");
    let zsk = old
        .iter()
        .find(|key| !key.is_sep() && !theirs.contains(&key.key_tag()))
        .unwrap();
    let tag = zsk.key_tag().to_string();
    let asking = Asking::start(resolver.address());
    let emergency = ["emergency", ORIGIN, "--old", &tag, "--policy", "security"];
    let refused = wait_for(ROLLING, || {
        let (code, text) = world.says(&[&["apply"], &emergency[..]].concat());
        (code == Some(1) && text.contains("not safe")).then_some(text)
    });
    assert!(refused.is_some_and(|text| text.contains("--force")));
    let forced = [&["apply"], &emergency[..], &["--force", "a negative control"]].concat();
    let (code, text) = world.says(&forced);
    assert_eq!(code, Some(0), "{text}");
    world.reaches("reached");
    let (asked, bogus) = asking.stop();
    assert!(!bogus.is_empty(), "none of {asked} is bogus");
    println!("{asked} asked, {} bogus", bogus.len());
}

/// What a person may do to a plan, and what may be done to it.
#[test]
fn a_plan_outlives_the_process_and_is_taken_back_when_it_is_given_up() {
    let mut world = World::new("10s", "3");
    let before = world.tags();
    for (arguments, text) in [
        (
            &["plan", "roll-zsk", "nobody.example."][..],
            "no zone nobody.example.",
        ),
        (&["resume", ORIGIN], "no plan is carried out"),
        (&["abort", ORIGIN, "why"], "no plan is carried out"),
        (&["abort", ORIGIN, "why", "--forget-journal"], "is whole"),
        (&["plan", "roll-csk", ORIGIN], "no CSK of ours"),
        (&["plan", "leave", ORIGIN, "--provider", "x"], "no provider \"x\""),
        (
            &["plan", "algorithm", ORIGIN, "--algorithm", "ED25519"],
            "cannot sign with",
        ),
    ] {
        let (code, said) = world.says(arguments);
        assert!(code == Some(1) && said.contains(text), "{arguments:?}: {said}");
    }
    let applied = wait_for(ROLLING, || {
        let (code, text) = world.says(&["apply", "roll-zsk", ORIGIN]);
        (code == Some(0)).then_some(text)
    });
    assert!(
        applied.is_some(),
        "{}",
        world.says(&["apply", "roll-zsk", ORIGIN]).1
    );
    let published = || (world.plan_status()["until"].is_u64()).then_some(());
    assert!(
        wait_for(SHOWING, published).is_some(),
        "{:#}",
        world.plan_status()
    );
    assert_eq!(dnskeys(world.ns1.dns[0]).len(), 5, "NS1 has the new key");

    // Killed, it goes on where it was.
    let steps = world.plan_status()["steps"].clone();
    world.ours.signal("KILL");
    world.ours.wait(SHOWING);
    world.start_again();
    let goes_on = wait_for(SHOWING, || (world.plan_status()["steps"] == steps).then_some(()));
    assert!(goes_on.is_some(), "{:#}", world.plan_status());

    let (code, text) = world.says(&["pause", ORIGIN, "dinner"]);
    assert!(
        code == Some(0) && text.contains("paused") && text.contains("dinner"),
        "{text}"
    );
    let (code, text) = world.says(&["pause", ORIGIN]);
    assert!(code == Some(1) && text.contains("the plan is paused"), "{text}");
    let (code, text) = world.says(&["resume", ORIGIN]);
    assert!(code == Some(0) && text.contains("running"), "{text}");

    // Given up, the new key goes again, everywhere.
    let (code, text) = world.says(&["abort", ORIGIN, "it was made on the wrong machine"]);
    assert!(code == Some(0) && text.contains("taken back"), "{text}");
    world.reaches("reached");
    assert_eq!(world.tags(), before);
    assert_eq!(dnskeys(world.ns1.dns[0]).len(), 4);
}

/// A registrar that shows what it had says nothing of what it has on its way.
#[test]
fn what_was_handed_in_is_seen_to_come_before_it_is_taken_back() {
    let world = World::new("1s", "3");
    let before = world.keys();
    let tags = world.tags();
    for handed_in in [false, true] {
        world.apply(&["roll-ksk", ORIGIN]);
        world.asks("registrar");
        world.does(&["abort", ORIGIN, "the wrong evening"]);
        world.tells("where it was never handed in");
        if handed_in {
            world.delegate(&SERVERS, world.keys().iter());
            world.tells("nobody has said that it is done");
            world.delegate(&SERVERS, before.iter());
        }
        // One word is enough.
        world.does(&["done", ORIGIN]);
        world.reaches("reached");
        assert_eq!(world.tags(), tags);
    }
}

/// A key is stolen while another one is rolled, and past the switch: neither the rest of the roll nor its way back, which
/// would both wait for caches, stand in the way of the emergency.
#[test]
fn an_emergency_need_not_wait_for_a_plan_or_its_way_back() {
    let mut world = World::new("10s", "3");
    let ksk = {
        let theirs = world.tags_of("provider");
        let ours = world.keys().into_iter().filter(|key| key.is_sep());
        let tags = ours.map(|key| key.key_tag()).filter(|tag| !theirs.contains(tag));
        tags.collect::<Vec<_>>()[0].to_string()
    };
    world.apply(&["roll-zsk", ORIGIN]);
    let is_seen = |what: &str| {
        let plan = world.plan_status();
        let steps = plan["steps"].as_array()?;
        let of = |step: &&serde_json::Value| step["what"].as_str().is_some_and(|words| words.contains(what));
        steps.iter().find(of)?["seen"].is_u64().then_some(())
    };
    let switched = wait_for(ROLLING, || is_seen("signs instead of"));
    assert!(switched.is_some(), "{:#}", world.plan_status());
    world.does(&["pause", ORIGIN, "the KSK is stolen"]);
    let served = world.tags();
    let emergency = ["apply", "emergency", ORIGIN, "--old", &ksk];
    world.refuses(
        &emergency,
        "countersign abort example. REASON --as-it-is leaves what it did as it is",
    );
    let text = world.does(&["abort", ORIGIN, "the KSK is stolen", "--as-it-is"]);
    assert!(
        text.contains("Nothing is taken back") && text.contains("signs instead of"),
        "{text}"
    );
    let is_told = |world: &World| {
        // A server that has just started reads its journals first.
        world.reaches("given up");
        let plan = world.plan_status();
        let why = plan["why"].as_str().unwrap();
        assert!(
            why.contains("the KSK is stolen; as it is: nothing of it was taken back"),
            "{why}"
        );
    };
    is_told(&world);
    assert!(
        world
            .ours
            .log()
            .contains("the plan is given up as it is, and nothing of it is taken back"),
        "{}",
        world.ours.log()
    );
    // It is so after a restart, too.
    world.ours.signal("TERM");
    world.ours.wait(SHOWING);
    world.start_again();
    is_told(&world);
    assert_eq!(world.tags(), served);
    world.apply(&emergency[1..]);
    let made = wait_for(SHOWING, || (world.tags().len() > served.len()).then_some(()));
    assert!(made.is_some(), "{:#}", world.plan_status());
    assert!(served.iter().all(|tag| world.tags().contains(tag)));
}

/// NS1 rolls its ZSK by itself: the new one is taken at once, and the old one goes here when nobody needs it.
#[test]
fn what_another_provider_rolls_by_itself_is_followed() {
    let world = World::new("1s", "3");
    let theirs: Vec<u16> = world.tags_of("provider");
    let resolver = world.resolver(&[world.ours.address, world.ns1.dns[0], world.ns1.dns[1]]);
    let asking = Asking::start(resolver.address());
    world.ns1.knob("zsk-roll", "5s");
    let followed = wait_for(ROLLING, || {
        let now = world.tags_of("provider");
        let replaced = theirs.iter().filter(|tag| !now.contains(tag)).count() == 1;
        (now.len() == theirs.len() && replaced).then_some(())
    });
    assert!(
        followed.is_some(),
        "{}\n{}",
        world.says(&["status", ORIGIN]).1,
        world.ours.log()
    );
    world.reaches("reached");
    let (asked, bogus) = asking.stop();
    assert!(bogus.is_empty(), "{bogus:?} of {asked} are not validated");
}

/// What `status` warns of, as soon as it has this text.
#[track_caller]
fn warned(world: &World, text: &str) {
    let warned = wait_for(ROLLING, || {
        let warnings = world.status()["warnings"].to_string();
        warnings.contains(text).then_some(())
    });
    assert!(warned.is_some(), "{:#}\n{}", world.status(), world.ours.log());
}

/// NS1 goes over to another KSK, and a person is asked to take the DS of the old one out. The keys of before.
#[track_caller]
fn ns1_rolls_its_ksk(world: &World) -> Vec<Dnskey> {
    let before = world.keys();
    world.ns1.knob("ksk-roll", "5s");
    let taken = wait_for(ROLLING, || (world.keys().len() > before.len()).then_some(()));
    assert!(taken.is_some(), "{}", world.ours.log());
    world.delegate(&SERVERS, world.keys().iter());
    world.asks("registrar");
    before
}

/// A person does not want the old KSK of NS1's to go: neither at once nor after a restart is it taken up again.
#[test]
fn what_a_person_gives_up_is_not_followed_again_by_itself() {
    let mut world = World::new("1s", "3");
    let before = ns1_rolls_its_ksk(&world);
    let text = world.does(&["abort", ORIGIN, "not yet", "--as-it-is"]);
    assert!(
        text.contains("is followed by itself no more")
            && text.contains("countersign apply follow example. --provider ns1"),
        "{text}"
    );
    let stays = "it stays published until you say countersign apply follow example. --provider ns1";
    warned(&world, stays);
    assert_eq!(world.plan_status()["state"], "given up");
    world.ours.signal("TERM");
    world.ours.wait(SHOWING);
    world.start_again();
    warned(&world, stays);
    assert_eq!(world.plan_status()["state"], "given up");
    assert!(before.iter().all(|key| world.keys().contains(key)));

    world.apply(&["follow", ORIGIN, "--provider", "ns1"]);
    assert!(!world.status()["warnings"].to_string().contains(stays));
    world.asks("registrar");
    // NS1 has all that is left.
    world.delegate(&SERVERS, dnskeys(world.ns1.dns[0]).iter());
    world.reaches("reached");
    assert_eq!(world.keys().len(), before.len());
}

/// It would be paused at once, and taken up again each time that a person gives it up.
#[test]
fn what_changes_the_ds_is_not_followed_beside_a_cds_rrset_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::within(
        folder.path(),
        Setting {
            of_zone: "cds = \"publish\"\n",
            ..Setting::default()
        },
    );
    world.ns1.knob("ksk-roll", "3s");
    warned(
        &world,
        "and stay published here: the plan changes the DS RRset, and by `cds = \\\"publish\\\"`",
    );
    assert!(world.plan_status().is_null(), "{:#}", world.plan_status());
}

/// NS1's old KSK is gone at all its servers, and then it is told of again where no server shows it.
#[test]
fn what_some_source_shows_again_is_not_withdrawn() {
    let folder = tempfile::tempdir().unwrap();
    let shown = |keys: &[Dnskey]| {
        let lines = keys.iter().map(|key| format!("{ORIGIN} 3 IN DNSKEY {key}\n"));
        write(folder.path(), "theirs", lines.collect::<String>());
    };
    shown(&[]);
    let world = World::within(
        folder.path(),
        Setting {
            of_zone: "external_keys = [\"theirs\"]\n",
            ..Setting::default()
        },
    );
    ns1_rolls_its_ksk(&world);
    let left = dnskeys(world.ns1.dns[0]);
    let all = world.keys();
    let gone: Vec<Dnskey> = all.iter().filter(|key| !left.contains(key)).cloned().collect();
    assert_eq!(gone.len(), 1);

    shown(&gone);
    world.does(&["reload"]);
    world.delegate(&SERVERS, left.iter());
    world.reaches("paused");
    world.tells("theirs shows it again, so it stays published here");
    // Said again it is the same.
    world.does(&["resume", ORIGIN]);
    world.reaches("paused");
    assert_eq!(world.keys(), all);

    shown(&[]);
    world.does(&["reload"]);
    world.does(&["resume", ORIGIN]);
    world.reaches("reached");
    assert!(!world.keys().contains(&gone[0]));
    // And once more: it is published again at once.
    shown(&gone);
    world.does(&["reload"]);
    assert_eq!(world.keys(), all);
}
