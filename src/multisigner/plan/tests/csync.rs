//! A parent that reads CSYNC.

use super::{
    super::{Action, Actor, Kind, Past, Plan, Report, Since, Step},
    SMALL, Zone, assert_unharmed, end, provider,
    retreat::situation_after,
};
use crate::multisigner::safety::{Csync, ProviderId, Slot, Value};

/// The parent reads CSYNC, of which there is none now, and B takes it by its API.
pub(super) fn read_by_the_parent(zone: &mut Zone) {
    zone.situation.parent.reads_csync = true;
    zone.situation.members[1].shows_csync = true;
    zone.set(&["A", "B"].map(|name| Value::Csync(provider(name), None)));
}

fn join() -> Plan {
    let mut zone = Zone::one();
    read_by_the_parent(&mut zone);
    zone.plan(&Kind::Join {
        provider: provider("B"),
    })
}

fn leave() -> Plan {
    let mut zone = Zone::two();
    read_by_the_parent(&mut zone);
    zone.plan(&Kind::Leave {
        provider: provider("B"),
    })
}

/// The steps that change an NS RRset or CSYNC, in short.
fn of_ns(plan: &Plan) -> Vec<String> {
    let names = |members: &std::collections::BTreeSet<ProviderId>| plan.situation.names(members);
    let steps = plan.steps.iter().filter_map(|step| {
        let by = match &step.by {
            Actor::We => "we".to_owned(),
            Actor::Api { provider } => format!("API of {}", plan.situation.name(*provider)),
            Actor::Parent => "parent".to_owned(),
            Actor::Person { .. } => "person".to_owned(),
            Actor::Provider { .. } => "provider".to_owned(),
        };
        step.changes.iter().find_map(|value| {
            Some(match value {
                Value::ParentNs(ns) => format!("parent: {} ({by})", names(&ns.members)),
                Value::ChildNs(at, ns) => format!("{}: {}", plan.situation.name(*at), names(&ns.members)),
                Value::Csync(at, csync) => {
                    let shown = if csync.is_some() { "CSYNC" } else { "no CSYNC" };
                    format!("{}: {shown} ({by})", plan.situation.name(*at))
                }
                _ => return None,
            })
        })
    });
    steps.collect()
}

#[test]
fn the_parent_reads_it_where_it_asks_when_every_ns_rrset_is_as_it_shall_be() {
    let plan = join();
    assert_unharmed(&plan);
    let expected = [
        "B: A and B",
        "A: A and B",
        "A: CSYNC (we)",
        "parent: A and B (parent)",
        "A: no CSYNC (we)",
    ];
    assert_eq!(of_ns(&plan), expected);

    let plan = leave();
    assert_unharmed(&plan);
    let expected = [
        "B: A",
        "A: A",
        "A: CSYNC (we)",
        "B: CSYNC (API of B)",
        "parent: A (parent)",
        "A: no CSYNC (we)",
        "B: no CSYNC (API of B)",
    ];
    assert_eq!(of_ns(&plan), expected);
    let stops = plan
        .steps
        .iter()
        .position(|step| matches!(step.action, Action::Stop { .. }));
    let gone = plan
        .steps
        .iter()
        .rposition(|step| step.changes == [Value::Csync(provider("B"), None)]);
    assert!(gone < stops, "it goes while the one that leaves still answers");
    let report = Report::new(&plan).unwrap();
    let who: Vec<&str> = report.steps.iter().map(|step| step.who.as_str()).collect();
    assert_eq!(who[4], "the parent, when it reads CSYNC");
}

/// Before CSYNC is seen anywhere, no server may show the NS RRset of before; and none may show no CSYNC when the parent
/// is waited for.
#[test]
fn it_waits_for_the_last_server() {
    let plan = leave();
    let waits = |place: usize| -> Vec<(Since, u64)> {
        let waits = plan.steps[place].waits.iter();
        waits.map(|wait| (wait.since, wait.seconds)).collect()
    };
    assert_eq!(waits(2), [(Since::Step(1), SMALL.lag)], "A's CSYNC after A's NS");
    assert_eq!(waits(3), [(Since::Step(1), SMALL.lag)]);
    assert_eq!(
        waits(4),
        [(Since::Step(3), SMALL.lag)],
        "the parent after B's CSYNC"
    );
    assert_eq!(waits(5), [(Since::Step(4), 0)]);
}

/// What has to have passed before the parent's NS RRset may change has passed before the first CSYNC.
#[test]
fn what_the_parent_can_read_harms_nobody_when_it_is_done_at_once() {
    for plan in [join(), leave()] {
        let mut early = plan.clone();
        let mut read = 0;
        for (place, step) in early.steps.iter_mut().enumerate() {
            if let Some(ns) = plan.read_by_parent(place) {
                assert!(matches!(&ns, Value::ParentNs(ns) if !ns.from_csync));
                step.changes.push(ns);
                read += 1;
            }
        }
        assert!(read > 0, "{:?} publishes no CSYNC", plan.kind);
        let course = early.timeline(&plan.earliest().steps).unwrap();
        if let Some(harm) = plan.harm_of(&course).unwrap() {
            panic!("{:?}: {harm}", plan.kind);
        }
    }
}

#[test]
fn a_person_changes_ns_where_somebody_cannot_show_it_and_the_plan_says_who() {
    let mut zone = Zone::two();
    read_by_the_parent(&mut zone);
    zone.situation.members[1].shows_csync = false;
    let leave = Kind::Leave {
        provider: provider("B"),
    };
    let plan = zone.plan(&leave);
    assert_unharmed(&plan);
    assert_eq!(of_ns(&plan), ["B: A", "A: A", "parent: A (person)"]);
    let remarks = Report::new(&plan).unwrap().remarks.join(" ");
    assert!(
        remarks.contains("CSYNC") && remarks.contains("B cannot"),
        "{remarks}"
    );

    // A zone without DS: nothing of it can be validated.
    zone.situation.members[1].shows_csync = true;
    zone.set(&[zone.ds("")]);
    assert!(of_ns(&zone.plan(&leave)).contains(&"parent: A (person)".to_owned()));

    // Nobody needs to be told where the parent reads no CSYNC.
    zone.situation.parent.reads_csync = false;
    let plan = zone.plan(&leave);
    assert!(!Report::new(&plan).unwrap().remarks.join(" ").contains("CSYNC"));
}

/// In a join only those show it whom the parent asks; so the newcomer need not be able to.
#[test]
fn a_newcomer_need_not_show_it() {
    let mut zone = Zone::one();
    read_by_the_parent(&mut zone);
    zone.situation.members[1].shows_csync = false;
    let plan = zone.plan(&Kind::Join {
        provider: provider("B"),
    });
    assert!(of_ns(&plan).contains(&"parent: A and B (parent)".to_owned()));
}

/// The parent takes addresses where a name server has its name in the zone, or may.
#[test]
fn addresses_are_taken_where_a_name_lies_in_the_zone() {
    for (ours, theirs, addresses) in [
        ("ns.elsewhere.test.", "dns1.p01.nsone.net.", false),
        ("ns1.example.com.", "dns1.p01.nsone.net.", true),
        ("ns.elsewhere.test.", "", true),
    ] {
        let mut zone = Zone::one();
        read_by_the_parent(&mut zone);
        for (member, name) in zone.situation.members.iter_mut().zip([ours, theirs]) {
            member.servers = name.parse().into_iter().filter(|_| !name.is_empty()).collect();
        }
        let plan = zone.plan(&Kind::Join {
            provider: provider("B"),
        });
        let shown = Value::Csync(provider("A"), Some(Csync { addresses }));
        let mut steps = plan.steps.iter();
        assert!(
            steps.any(|step| step.changes == [shown.clone()]),
            "{ours} {theirs}"
        );
    }
}

/// Where another provider takes it from a person, that person gets the record.
#[test]
fn a_person_pastes_the_record() {
    let mut zone = Zone::two();
    read_by_the_parent(&mut zone);
    zone.situation.members[1].hand = super::Hand::Person;
    let plan = zone.plan(&Kind::Leave {
        provider: provider("B"),
    });
    let of_b = |step: &&Step| {
        step.changes
            .iter()
            .any(|value| value.slot() == Slot::Csync(provider("B")))
    };
    let pastes: Vec<&Vec<String>> = plan
        .steps
        .iter()
        .filter(of_b)
        .map(|step| match &step.by {
            Actor::Person { paste, .. } => paste,
            by => panic!("{by:?}"),
        })
        .collect();
    assert_eq!(*pastes[0], ["example.com. 4 IN CSYNC 0 1 A NS AAAA"]);
    assert!(pastes[1].is_empty());
}

/// What an earlier plan left is taken away before anything is changed that a parent would take.
#[test]
fn what_is_left_of_before_goes_first() {
    let mut zone = Zone::two();
    read_by_the_parent(&mut zone);
    let b = provider("B");
    zone.set(&[Value::Csync(b, Some(Csync { addresses: false }))]);
    let plan = zone.plan(&Kind::Leave { provider: b });
    assert_unharmed(&plan);
    assert_eq!(of_ns(&plan)[..2], ["B: no CSYNC (API of B)", "B: A"]);
    let lag = plan.steps[1]
        .waits
        .iter()
        .any(|wait| (wait.since, wait.seconds) == (Since::Step(0), SMALL.lag));
    assert!(lag, "{:#?}", plan.steps[1]);
    assert!(
        !end(&plan)
            .iter()
            .any(|value| matches!(value, Value::Csync(_, Some(_))))
    );
}

/// The way back after so many steps, where the parent may have done what it can read.
fn back(plan: &Plan, steps: usize) -> Plan {
    let done = plan.earliest().steps[..steps].to_vec();
    let mut now = situation_after(plan, &done);
    if let Some(read) = (0..steps).find_map(|step| plan.read_by_parent(step)) {
        let slot = read.slot();
        let before = now.value(&slot).filter(|before| **before != read).cloned();
        now.past.extend(before.map(|value| Past { value, until: now.at }));
        now.serves.retain(|known| known.slot() != slot);
        now.serves.push(read);
    }
    let back = plan.retreat(&done, &now).unwrap();
    assert_unharmed(&back);
    back
}

/// Given up while the parent can read it, or has: it goes first, all comes back, and the parent takes that.
#[test]
fn the_way_back_takes_it_away_first_and_asks_for_what_was() {
    let plan = leave();
    // After our CSYNC; after B's; when the parent has followed.
    for steps in 3..=5 {
        let told = of_ns(&back(&plan, steps));
        let of_b = (steps > 3).then_some("B: no CSYNC (API of B)");
        let expected = ["A: no CSYNC (we)"].into_iter().chain(of_b).chain([
            "A: A and B",
            "B: A and B",
            "A: CSYNC (we)",
            "parent: A and B (parent)",
            "A: no CSYNC (we)",
        ]);
        assert_eq!(told, expected.collect::<Vec<_>>(), "from step {steps}");
    }
    // It may have read our CSYNC of before, and come late.
    let back_from_four = back(&plan, 4);
    let of_parent = |step: &&Step| {
        step.changes
            .iter()
            .any(|value| value.slot() == Slot::Csync(provider("A")))
    };
    let again = back_from_four.steps.iter().filter(of_parent).nth(1).unwrap();
    let waits = again.waits.iter().map(|wait| (wait.since, wait.seconds));
    assert!(
        waits
            .collect::<Vec<_>>()
            .contains(&(Since::Step(1), 2 * SMALL.lag)),
        "{again:#?}"
    );
    // A join that the parent may have followed goes back as a leave.
    let plan = join();
    let is_shown = |step: &Step| matches!(step.action, Action::Csync { .. });
    let shown = plan.steps.iter().position(is_shown).unwrap();
    let told = of_ns(&back(&plan, shown + 1));
    let expected = [
        "A: no CSYNC (we)",
        "B: A",
        "A: A",
        "A: CSYNC (we)",
        "B: CSYNC (API of B)",
        "parent: A (parent)",
        "A: no CSYNC (we)",
        "B: no CSYNC (API of B)",
    ];
    assert_eq!(told, expected);
}

/// Plans of before CSYNC was known are read.
#[test]
fn plans_without_csync_are_read() {
    let plan = Zone::two().plan(&Kind::Leave {
        provider: provider("B"),
    });
    let mut json = serde_json::to_value(&plan).unwrap();
    without(&mut json, &["reads_csync", "shows_csync", "from_csync"]);
    assert!(!json.to_string().contains("csync"), "{json}");
    let read: Plan = serde_json::from_value(json).unwrap();
    let ours_shows = |plan: &Plan| plan.situation.members[0].shows_csync;
    assert!(ours_shows(&plan) && !ours_shows(&read));
    assert_eq!(read.steps, plan.steps);
}

fn without(json: &mut serde_json::Value, fields: &[&str]) {
    match json {
        serde_json::Value::Array(all) => all.iter_mut().for_each(|one| without(one, fields)),
        serde_json::Value::Object(all) => {
            fields.iter().for_each(|field| drop(all.remove(*field)));
            all.values_mut().for_each(|one| without(one, fields));
        }
        _ => {}
    }
}
