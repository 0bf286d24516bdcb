//! A parent that reads CDS.

use super::{
    super::{Action, Actor, Kind, ParentHand, Plan},
    Zone, algorithm, assert_unharmed, end, keys, provider, roll,
};
use crate::multisigner::safety::{Cds, DsRecord, ProviderId, Slot, Value};

/// Two signers below a parent that reads CDS; B takes it by its API.
fn read_by_the_parent() -> Zone {
    let mut zone = Zone::two();
    zone.situation.parent.hand = ParentHand::Cds;
    zone.situation.members[1].shows_cds = true;
    zone
}

/// The steps that change CDS: whose, what it asks for then, and who does it.
fn of_cds(plan: &Plan) -> Vec<(ProviderId, Option<&str>, &Actor)> {
    let steps = plan.steps.iter().filter_map(|step| {
        let cds = step.changes.iter().find_map(|value| match value {
            Value::Cds(provider, cds) => Some((*provider, *cds)),
            _ => None,
        });
        let (provider, cds) = cds.filter(|_| !matches!(step.action, Action::Turn { .. }))?;
        let labels = ["KA KB KA2", "KB KA2"];
        let wanted = cds.map(|cds| *labels.iter().find(|labels| keys(labels) == cds.wanted).unwrap());
        Some((provider, wanted, &step.by))
    });
    steps.collect()
}

/// CDS that stays when its plan is over would have the parent undo what the next one lets a person do.
#[test]
fn cds_is_the_union_at_everybody_and_goes_in_the_end() {
    let plan = read_by_the_parent().plan(&roll("ksk"));
    assert_unharmed(&plan);
    let (a, b) = (provider("A"), provider("B"));
    let by_api = Actor::Api { provider: b };
    let expected = [
        (a, Some("KA KB KA2"), &Actor::We),
        (b, Some("KA KB KA2"), &by_api),
        (a, Some("KB KA2"), &Actor::We),
        (b, Some("KB KA2"), &by_api),
        (a, None, &Actor::We),
        (b, None, &by_api),
    ];
    assert_eq!(of_cds(&plan), expected);
    assert!(
        !plan
            .steps
            .iter()
            .any(|step| matches!(step.by, Actor::Person { .. }))
    );
}

/// A plan begins with CDS of one that was given up, and B cannot show any more.
#[test]
fn a_person_changes_ds_only_when_no_cds_asks_for_something_else() {
    let mut zone = read_by_the_parent();
    let a = provider("A");
    let left = Cds {
        wanted: keys("KA KB"),
        signers: keys("KA"),
    };
    zone.set(&[Value::Cds(a, Some(left))]);
    zone.situation.members[1].shows_cds = false;
    let plan = zone.plan(&roll("ksk"));
    assert_unharmed(&plan);
    assert_eq!(of_cds(&plan), [(a, None, &Actor::We)]);
    let place = |slot: Slot, by_person: bool| {
        let mut steps = plan.steps.iter();
        steps.position(|step| {
            let changes = step.changes.iter().any(|value| value.slot() == slot);
            changes && matches!(step.by, Actor::Person { .. }) == by_person
        })
    };
    let gone = plan
        .steps
        .iter()
        .position(|step| step.changes == [Value::Cds(a, None)]);
    assert!(gone < place(Slot::Ds, true), "{:#?}", plan.steps);
    assert!(end(&plan).contains(&Value::Cds(a, None)));
}

/// What CDS asks for has SHA-256 alone: where the parent has other digests too, a person says what becomes of them.
#[test]
fn a_digest_type_is_not_changed_by_the_way() {
    let mut zone = read_by_the_parent();
    let Value::Ds(mut ds) = zone.ds("KA KB") else {
        unreachable!()
    };
    let more: Vec<DsRecord> = ds
        .records
        .iter()
        .map(|record| DsRecord {
            digest_type: 4,
            ..*record
        })
        .collect();
    ds.records.extend(more);
    zone.set(&[Value::Ds(ds)]);
    let plan = zone.plan(&roll("ksk"));
    assert_unharmed(&plan);
    assert_eq!(of_cds(&plan), []);
}

/// RFC 7344 §6.1: a parent may read CDS at any time. What it reads it may do before anybody here sees it.
#[test]
fn what_the_parent_can_read_harms_nobody_when_it_is_done_at_once() {
    let mut two = Zone::two();
    two.set(&[
        two.keys("A", "KA KB ZA ZB", "KA"),
        two.keys("B", "KA KB ZA ZB", "KB"),
    ]);
    let mut csk = Zone::with_csk();
    csk.set(&[csk.keys("A", "CA KB ZB", "CA"), csk.keys("B", "CA KB ZB", "KB")]);
    let leave = Kind::Leave {
        provider: provider("B"),
    };
    for (mut zone, kind) in [
        (two.clone(), leave),
        (two.clone(), roll("ksk")),
        (two, algorithm()),
        (csk, roll("csk")),
    ] {
        zone.situation.parent.hand = ParentHand::Cds;
        for member in &mut zone.situation.members {
            member.shows_cds = true;
        }
        let plan = zone.plan(&kind);
        let mut early = plan.clone();
        let mut read = 0;
        for (place, step) in early.steps.iter_mut().enumerate() {
            if let Some(ds) = plan.read_by_parent(place) {
                step.changes.push(ds);
                read += 1;
            }
        }
        assert!(read > 0, "{kind:?} publishes no CDS");
        let course = early.timeline(&plan.earliest().steps).unwrap();
        if let Some(harm) = plan.harm_of(&course).unwrap() {
            panic!("{kind:?}: {harm}");
        }
    }
}
