//! The table of waits: each row by its name, with the least wait of the facts.

use super::*;

/// The wait, in seconds until the step is due, that a step has since an earlier one was seen.
#[track_caller]
fn wait(plan: &Plan, step: &str, since: &str) -> u64 {
    let place = |what: &str| {
        let found = plan.steps.iter().position(|step| step.what.contains(what));
        found.unwrap_or_else(|| panic!("no step {what:?} in {:#?}", plan.steps))
    };
    let (step, since) = (place(step), place(since));
    let waits = plan.steps[step].waits.iter();
    let found = waits
        .filter(|wait| wait.since == Since::Step(since))
        .map(|wait| wait.seconds + 1);
    found
        .max()
        .unwrap_or_else(|| panic!("no such wait: {:#?}", plan.steps[step]))
}

/// How long after one step another is due at the earliest.
#[track_caller]
fn after(plan: &Plan, step: &str, since: &str) -> u64 {
    let times = plan.earliest().steps;
    let at = |what: &str| {
        let found = plan.steps.iter().position(|step| step.what.contains(what));
        times[found.unwrap_or_else(|| panic!("no step {what:?} in {:#?}", plan.steps))]
            .begun
            .0
    };
    at(step) - at(since)
}

fn label(zone: &Zone, name: &str) -> String {
    zone.situation.label(key(name))
}

#[test]
fn join_ns_after_keys_and_ds() {
    let plan = Zone::one().plan(&Kind::Join {
        provider: provider("B"),
    });
    assert_unharmed(&plan);
    assert_eq!(
        after(&plan, "the NS RRset of A names", "A publishes the keys of B"),
        5
    );
    assert_eq!(wait(&plan, "the NS RRset of A names", "the DS RRset points"), 5);
    // The other arm, with DS there before.
    let mut zone = Zone::one();
    zone.set(&[zone.ds("KA KB")]);
    let plan = zone.plan(&Kind::Join {
        provider: provider("B"),
    });
    assert_unharmed(&plan);
    assert_eq!(
        after(&plan, "the NS RRset of A names", "A publishes the keys of B"),
        4
    );
}

#[test]
fn leave_in_three_rows() {
    let zone = Zone::two();
    let plan = zone.plan(&Kind::Leave {
        provider: provider("B"),
    });
    assert_unharmed(&plan);
    assert_eq!(after(&plan, "B stops", "the NS RRset of the parent"), 1 + 4 + 1);
    // The last moment at which B is asked.
    let unreachable = 1 + 4;
    let zsk = format!("A publishes {}", zone.situation.labels(keys("KB ZB")));
    assert_eq!(after(&plan, &zsk, "the NS RRset of the parent"), unreachable + 6);
    assert_eq!(
        wait(&plan, "the DS RRset points", "the NS RRset of the parent"),
        unreachable + 3
    );
}

#[test]
fn zsk_sign_and_remove() {
    let zone = Zone::two();
    let plan = zone.plan(&roll("zsk"));
    assert_unharmed(&plan);
    let (new, old) = (label(&zone, "ZA2"), label(&zone, "ZA"));
    assert_eq!(
        after(
            &plan,
            &format!("{new} signs instead"),
            &format!("B publishes {new}")
        ),
        4
    );
    for removal in [format!("{old} goes out"), format!("B publishes {old} no more")] {
        assert_eq!(wait(&plan, &removal, &format!("{new} signs instead")), 7);
        assert_eq!(after(&plan, &removal, &format!("{new} signs instead")), 7);
    }
}

#[test]
fn ksk_with_its_ds_first() {
    let zone = Zone::two();
    let plan = zone.plan(&roll("ksk"));
    assert_unharmed(&plan);
    let (new, old) = (label(&zone, "KA2"), label(&zone, "KA"));
    let (added, dropped) = (format!("points to {new} too"), format!("points to {old} no more"));
    assert_eq!(after(&plan, &format!("{old} goes out"), &added), 5);
    assert_eq!(after(&plan, &dropped, &format!("{old} goes out")), 0);
    // Where the DS RRset has the new one before, what is left is the wait for the DNSKEY RRset signed by the old one.
    assert_eq!(wait(&plan, &dropped, &format!("{new} is published")), 4);
}

#[test]
fn csk_data_keys_and_ds() {
    let zone = Zone::with_csk();
    let plan = zone.plan(&roll("csk"));
    assert_unharmed(&plan);
    let (new, old) = (label(&zone, "CA2"), label(&zone, "CA"));
    let signs = format!("{new} signs instead");
    // It signs the DNSKEY RRset from the same moment, so that DS counts too; without that the row says 4.
    assert_eq!(after(&plan, &signs, "the DS RRset points"), 5);
    for removal in [format!("{old} goes out"), format!("B publishes {old} no more")] {
        assert_eq!(after(&plan, &removal, &signs), 7);
    }
    assert_eq!(
        after(
            &plan,
            &format!("points to {old} no more"),
            &format!("{old} goes out")
        ),
        0
    );
    let mut zone = zone;
    zone.set(&[zone.ds("CA CA2 KB")]);
    let plan = zone.plan(&roll("csk"));
    assert_eq!(after(&plan, &signs, &format!("B publishes {new}")), 4);
}

#[test]
fn algorithm_in_five_rows() {
    let plan = Zone::two().plan(&algorithm());
    assert_unharmed(&plan);
    let dual = "B signs its data with both";
    assert_eq!(after(&plan, "A publishes the keys of both", dual), 7);
    assert_eq!(after(&plan, "points to", "B publishes the keys of both"), 4);
    assert_eq!(after(&plan, "no more", "points to"), 0);
    assert_eq!(after(&plan, "A publishes the keys of the new", "no more"), 5);
    assert_eq!(
        after(
            &plan,
            "A signs its data with the new",
            "B publishes the keys of the new"
        ),
        4
    );
}

/// The order of RFC 8901 §6.2, which our KSK plan does not take: DS is swapped, not doubled. The waits of its steps are the
/// table's all the same.
#[test]
fn ksk_in_the_order_of_rfc_8901() {
    let zone = Zone::two();
    let mut draft = draft::Draft::new(&zone.situation);
    let mut step = |what: &str, value: Value| {
        draft.step(draft::Move {
            what: what.to_owned(),
            action: Action::Await,
            by: Actor::We,
            changes: vec![value],
            back: String::new(),
        });
    };
    step("new KSK signs too", zone.keys("A", "KA KA2 KB ZA ZB", "KA KA2"));
    step("swap", zone.ds("KA2 KB"));
    step("old KSK goes", zone.keys("A", "KA2 KB ZA ZB", "KA2"));
    let plan = draft.finish(roll("ksk")).unwrap();
    assert_unharmed(&plan);
    assert_eq!(after(&plan, "swap", "new KSK signs too"), 4);
    assert_eq!(after(&plan, "old KSK goes", "swap"), 5);
}

/// Nobody has the newcomer's old DNSKEY RRset in a cache, but a slow server of it may still give it once it is asked.
#[test]
fn a_newcomer_has_slow_servers_too() {
    let mut zone = Zone::one_with(Numbers {
        ds: 0,
        keys: 0,
        lag: 0,
        ..SMALL
    });
    zone.set(&[
        zone.ds("KB"),
        zone.parent_ns("B"),
        zone.child_ns("A", "A"),
        zone.child_ns("B", "B"),
    ]);
    zone.situation.members[0].propagation = 3;
    let plan = zone.plan(&Kind::Join {
        provider: provider("A"),
    });
    assert_unharmed(&plan);
    assert_eq!(
        wait(&plan, "the NS RRset of B names", "A publishes the keys of B"),
        3 + 1
    );
}

/// I5 does not hold as things are, and no key of ours changes that: the plan is judged by all else.
#[test]
fn data_with_other_ttls_at_another_provider_are_no_reason_against_a_roll() {
    let mut zone = Zone::two();
    let Value::Data(at, class, data) = zone.data("B", "ZB") else {
        panic!("data")
    };
    let data = SignedData {
        ttl: 3 * data.ttl,
        ..data
    };
    zone.set(&[Value::Data(at, class, data)]);
    let mut plan = zone.plan(&roll("zsk"));
    let judged = plan.judge().unwrap();
    assert!(
        judged
            .iter()
            .all(|judged| judged.starts_safe && judged.harm().is_none())
    );
    for step in &mut plan.steps {
        step.waits.clear();
    }
    let harm = plan.harm().unwrap().expect("a roll without waits hurts somebody");
    assert!(harm.why.contains("no key that signs the data"), "{harm}");
}
