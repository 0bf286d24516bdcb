//! What a reload does to plans: it says what changed, what it names is counted with, and no plan goes unheard.

use std::time::Duration;

use crate::harness::{
    planned::{ORIGIN, ROLLING, SHOWING, World, dnskeys},
    process::wait_for,
};

const OURS: &str = "our_servers = [\"ours.example.\"]\n";

/// Before, a plan that could not be carried out was begun, and could not be ended.
#[test]
fn names_that_nobody_has_said_are_asked_for_and_a_reload_says_them() {
    let world = World::new("1s", "3");
    let said = world.reconfigured(OURS, "");
    assert!(
        said.contains("changed") && said.contains("settings: our_servers"),
        "{said}"
    );
    for order in ["plan", "apply"] {
        for who in ["ns1", "us"] {
            let refused = wait_for(SHOWING, || {
                let (code, text) = world.says(&[order, "leave", ORIGIN, "--provider", who]);
                (code == Some(1) && text.contains("set `our_servers` of the [[zone]]")).then_some(())
            });
            let said = || world.says(&["plan", "leave", ORIGIN, "--provider", who]).1;
            assert!(refused.is_some(), "{order} {who}: {}", said());
        }
    }
    assert!(world.plan_status().is_null(), "{:#}", world.plan_status());
    for (from, to, says) in [
        (
            "safety_margin = \"1s\"",
            "safety_margin = \"2s\"",
            "settings: safety_margin",
        ),
        (
            "server_names = [\"theirs.example.\"]",
            "server_names = [\"theirs.example.\", \"theirs2.example.\"]",
            "settings of [[provider]] ns1",
        ),
        (
            "auto_keys",
            "name_servers = [\"ours.example.\", \"theirs.example.\"]\nauto_keys",
            "settings: name_servers",
        ),
    ] {
        let said = world.reconfigured(from, to);
        assert!(said.contains("changed") && said.contains(says), "{said}");
        let said = world.says(&["reload"]).1;
        assert!(said.contains("unchanged"), "{said}");
    }
    world.reconfigured("auto_keys", &format!("{OURS}auto_keys"));
    let planned = wait_for(SHOWING, || {
        let (code, text) = world.says(&["plan", "leave", ORIGIN, "--provider", "ns1"]);
        (code == Some(0)).then_some(text)
    });
    let planned = planned.unwrap_or_else(|| world.says(&["plan", "leave", ORIGIN, "--provider", "ns1"]).1);
    assert!(planned.contains("IN NS ours.example."), "{planned}");
}

#[test]
fn a_zone_that_goes_amid_its_plan_is_told_and_the_plan_goes_on_when_it_comes_back() {
    let world = World::new("10s", "3");
    let seen = |world: &World| -> Option<Vec<u64>> {
        let plan = world.plan_status();
        let steps = plan["steps"].as_array()?.iter();
        Some(steps.filter_map(|step| step["seen"].as_u64()).collect())
    };
    world.apply(&["roll-zsk", ORIGIN]);
    world.waits();
    let before = seen(&world).unwrap();
    let said = world.reconfigured("origin = \"example.\"", "origin = \"other.\"");
    assert!(
        said.contains("a plan was carried out") && said.contains("put the zone back"),
        "{said}"
    );
    let logged = world.ours.stderr().wait_for("a plan was carried out (", SHOWING);
    assert!(logged.is_some(), "{}", world.ours.log());
    world.reconfigured("origin = \"other.\"", "origin = \"example.\"");
    let after = wait_for(SHOWING, || seen(&world));
    let after = after.unwrap_or_else(|| panic!("{}", world.ours.log()));
    assert!(after.starts_with(&before), "{before:?} {after:?}");
}

/// This server leaves: what a person does for that is said, and that NS1 has none of our keys stays so.
#[test]
fn who_leaves_is_told_what_to_do_and_stays_out() {
    let mut world = World::new("1s", "3");
    let ours = world.tags_of("own");
    let theirs: Vec<_> = dnskeys(world.ns1.dns[0])
        .into_iter()
        .filter(|key| !ours.contains(&key.key_tag()))
        .collect();
    world.apply(&["leave", ORIGIN, "--provider", "us"]);
    assert_eq!(
        world.asks("/zone, or in `name_servers`"),
        ["example. 3 IN NS theirs.example."]
    );
    world.name_servers(2, &["theirs"]);
    let pasted = world.asks("at the registrar");
    assert!(
        pasted.iter().all(|line| line.contains("IN NS theirs.example.")),
        "{pasted:?}"
    );
    world.delegate(&["theirs"], world.keys().iter());
    assert_eq!(world.asks("countersign done example."), [""; 0]);
    world.does(&["done", ORIGIN]);
    let pasted = world.asks("at the registrar");
    assert!(pasted.iter().all(|line| line.contains(" IN DS ")), "{pasted:?}");
    world.delegate(&["theirs"], theirs.iter());
    world.reaches("reached");

    let has_ours = |world: &World| {
        let keys = dnskeys(world.ns1.dns[0]);
        keys.iter().any(|key| ours.contains(&key.key_tag())).then_some(())
    };
    // Several polls later, and after a restart.
    assert!(wait_for(Duration::from_secs(4), || has_ours(&world)).is_none());
    world.ours.signal("TERM");
    world.ours.wait(SHOWING);
    world.start_again();
    assert!(wait_for(Duration::from_secs(4), || has_ours(&world)).is_none());
    // Whoever is sent here all the same must find what we sign to be good.
    world.delegate(&["ours", "theirs"], theirs.iter());
    let given = wait_for(ROLLING, || {
        world.says(&["plan", "roll-zsk", ORIGIN]);
        has_ours(&world)
    });
    assert!(given.is_some(), "{}", world.ours.log());
}
