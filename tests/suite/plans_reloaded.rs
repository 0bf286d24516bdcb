//! What a reload does to plans: it says what changed, what it names is counted with, and no plan goes unheard.

use crate::harness::{
    planned::{ORIGIN, SHOWING, World},
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
