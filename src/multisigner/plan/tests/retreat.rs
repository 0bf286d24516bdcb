//! The way back from every step, judged with what caches hold from the way there.

use super::*;
use crate::multisigner::safety::{
    Change, DigestRule, Invariant, Mode, Timeline, Validator, oracle::resolvers::watch,
};

/// What is served after the first steps of a plan.
pub(super) fn situation_after(plan: &Plan, done: &[Times]) -> Situation {
    let mut now = plan.situation.clone();
    for value in plan.steps.iter().take(done.len()).flat_map(|step| &step.changes) {
        now.serves.retain(|known| known.slot() != value.slot());
        now.serves.push(value.clone());
    }
    now.at = done.last().map_or(now.at, |last| UnixTime(last.seen.0 + 1));
    now
}

/// The way back from a plan that came so far at its earliest times; safe, and ending where the plan began.
#[track_caller]
pub(super) fn back(plan: &Plan, steps: usize) -> Result<Plan, NoWayBack> {
    let done = plan.earliest().steps[..steps].to_vec();
    let back = plan.retreat(&done, &situation_after(plan, &done))?;
    assert_unharmed(&back);
    Ok(back)
}

#[track_caller]
fn assert_ends_at_the_start(plan: &Plan, back: &Plan) {
    let end = end(back);
    for value in &plan.situation.serves {
        assert!(end.contains(value), "{value:?} is not served again: {end:#?}");
    }
}

/// The number of steps after which there is no way back any more; those before have one.
#[track_caller]
fn point_of_no_return(plan: &Plan) -> (usize, String) {
    for steps in 1..=plan.steps.len() {
        match back(plan, steps) {
            Ok(back) => {
                assert!(matches!(back.kind, Kind::Retreat { .. }));
                assert_ends_at_the_start(plan, &back);
            }
            Err(error) => return (steps, error.to_string()),
        }
    }
    (plan.steps.len() + 1, String::new())
}

/// A roll of the KSK was given up as it is, because its old key is stolen: the new one signs beside it already.
#[test]
fn an_emergency_takes_up_what_a_roll_of_the_ksk_has_done() {
    let plan = Zone::two().plan(&roll("ksk"));
    let Kind::RollKsk { old, new } = plan.kind else {
        panic!("{:?}", plan.kind);
    };
    let kind = Kind::Emergency {
        old,
        new,
        policy: Emergency::Availability,
    };
    let (last, _) = point_of_no_return(&plan);
    assert!(last > 3, "{last}");
    for steps in 1..last {
        let now = back(&plan, steps).unwrap().situation;
        let taken_up = build(&kind, &now).unwrap();
        assert_unharmed(&taken_up);
        assert!(taken_up.steps.len() < plan.steps.len() || steps == 1, "{steps}");
        let (served, wanted) = (end(&taken_up), end(&plan));
        assert!(
            wanted.iter().all(|value| served.contains(value)),
            "{steps}: {served:#?}"
        );
    }
}

#[test]
fn rolls_go_back_until_the_old_key_is_gone() {
    for (zone, kind) in [
        (Zone::two(), "zsk"),
        (Zone::two(), "ksk"),
        (Zone::with_csk(), "csk"),
    ] {
        let plan = zone.plan(&roll(kind));
        let (steps, why) = point_of_no_return(&plan);
        assert!(plan.steps[steps - 1].what.contains("goes out"), "{kind}: {steps}");
        assert!(why.contains("is gone for good"), "{why}");
        assert!(why.contains("finish this plan, and roll from"), "{why}");
    }
}

#[test]
fn the_way_back_waits_for_what_the_new_key_signed() {
    let zone = Zone::two();
    let plan = zone.plan(&roll("zsk"));
    let back = back(&plan, 3).unwrap();
    let times = back.earliest().steps;
    let whats: Vec<&str> = back.steps.iter().map(|step| step.what.as_str()).collect();
    assert!(whats[0].contains("signs instead"), "{whats:?}");
    assert_eq!(times[0].begun, back.situation.at, "it signs again at once");
    assert_eq!(
        times[1].begun.0 - times[0].begun.0,
        1 + 5 + 1,
        "{:#?}",
        back.steps
    );
    assert_eq!(
        back.steps[0].action,
        Action::Turn {
            keys: vec![(key("ZA2"), Claim::Retired), (key("ZA"), Claim::Active)]
        }
    );
    let Action::Turn { keys } = &back.steps.last().unwrap().action else {
        panic!()
    };
    assert_eq!(keys, &[(key("ZA2"), Claim::Gone)]);
}

#[test]
fn a_join_goes_back_as_a_leave_once_the_newcomer_is_asked() {
    let join = Zone::one().plan(&Kind::Join {
        provider: provider("B"),
    });
    for steps in 1..=join.steps.len() {
        let back = back(&join, steps).unwrap();
        let asked = join.steps[..steps]
            .iter()
            .any(|step| step.what.contains("RRset of A names"));
        let stops = back
            .steps
            .iter()
            .any(|step| matches!(step.action, Action::Stop { .. }));
        assert_eq!(asked, stops, "{steps}");
        if !asked {
            assert_ends_at_the_start(&join, &back);
        }
    }
}

#[test]
fn a_leave_goes_back_until_the_provider_stops() {
    let plan = Zone::two().plan(&Kind::Leave {
        provider: provider("B"),
    });
    let (steps, why) = point_of_no_return(&plan);
    assert!(plan.steps[steps - 1].what.contains("stops"));
    assert!(why.contains("let B join again"), "{why}");
}

#[test]
fn an_algorithm_goes_back_until_its_old_keys_are_gone() {
    let plan = Zone::two().plan(&algorithm());
    let (steps, why) = point_of_no_return(&plan);
    assert!(
        plan.steps[steps - 1].what.contains("with the new algorithm"),
        "{steps}"
    );
    assert!(why.contains("another change of algorithm"), "{why}");
}

#[test]
fn an_emergency_does_not_go_back() {
    let emergency = Kind::Emergency {
        old: key("ZA"),
        new: key("ZA2"),
        policy: Emergency::Availability,
    };
    let plan = Zone::two().plan(&emergency);
    let error = back(&plan, 1).unwrap_err().to_string();
    assert!(error.contains("which others may have"), "{error}");
}

#[test]
fn nothing_done_is_nothing_to_undo() {
    let plan = Zone::two().plan(&roll("zsk"));
    assert!(matches!(back(&plan, 0), Err(NoWayBack::NothingDone)));
}

#[test]
fn a_surprise_on_the_way_stays() {
    let zone = Zone::two();
    let plan = zone.plan(&roll("zsk"));
    let done = plan.earliest().steps[..2].to_vec();
    let mut now = situation_after(&plan, &done);
    for value in &mut now.serves {
        if let Value::Keys(_, rrset) = value {
            rrset.keys = rrset.keys.union(keys("ZB2"));
        }
    }
    let back = plan.retreat(&done, &now).unwrap();
    let end = end(&back);
    assert!(end.contains(&zone.keys("A", "KA KB ZA ZB ZB2", "KA")), "{end:#?}");
}

/// CDS that came after the new KSK is signed by it; when that goes again, it is not.
#[test]
fn what_signs_cds_goes_back_too() {
    let mut zone = Zone::two();
    zone.situation.parent.hand = ParentHand::Cds;
    zone.situation.members[1].shows_cds = true;
    let plan = zone.plan(&roll("ksk"));
    let asked = plan.steps.iter().position(is_of_ds).unwrap();
    let back = back(&plan, asked + 1).unwrap();
    let gone = |step: &&Step| matches!(&step.action, Action::Turn { keys } if keys.contains(&(key("KA2"), Claim::Gone)));
    let changes = &back.steps.iter().find(gone).unwrap().changes;
    let signers: Vec<KeySet> = changes
        .iter()
        .map(|value| match value {
            Value::Keys(_, rrset) => rrset.signers,
            Value::Data(_, Class::Cds, data) => data.signers,
            Value::Cds(_, Some(cds)) => cds.signers,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(signers, vec![keys("KA"); 3]);
}

/// A change of algorithm by CDS that is given up when all ask the parent for the DS RRset of both: the way there, and the
/// way back. Whoever reads the DS of a key that is not there any more finds the zone bogus, where it wants each algorithm.
fn asked_and_given_up() -> (Plan, Vec<Times>, Plan) {
    let mut zone = Zone::two();
    zone.situation.parent = Parent {
        propagation: 20,
        hand: ParentHand::Cds,
        ..zone.situation.parent
    };
    zone.situation.members[1].shows_cds = true;
    let plan = zone.plan(&algorithm());
    let asked = plan.steps.iter().position(is_of_ds).unwrap();
    let done = plan.earliest().steps[..=asked].to_vec();
    let mut now = situation_after(&plan, &done[..asked]);
    now.at = done[asked].begun;
    let before = now.value(&Slot::Ds).cloned().unwrap();
    now.past.push(Past {
        value: before,
        until: now.at,
    });
    now.serves.retain(|known| known.slot() != Slot::Ds);
    now.serves.extend(plan.steps[asked].changes.clone());
    let back = plan.retreat(&done, &now).unwrap();
    (plan, done[..asked].to_vec(), back)
}

fn is_of_ds(step: &Step) -> bool {
    step.changes.iter().any(|value| value.slot() == Slot::Ds)
}

/// What was served: the parent has read in the last moment in which some server of the last provider showed what was given
/// up, and takes as long as it may. `again`: how long after that it has followed back, if at all.
fn comes_late(plan: &Plan, done: &[Times], back: &Plan, again: Option<Seconds>) -> Timeline {
    let situation = &back.situation;
    let mut times: Vec<Times> = Vec::new();
    let mut served: Vec<(UnixTime, &str, Vec<Change>)> = Vec::new();
    for (place, step) in back.steps.iter().enumerate() {
        let begun = back.due(place, &times);
        let mut seen = begun;
        if is_of_ds(step) {
            // By what it has read, and not by what it would find now.
            let asked = match situation.value(&Slot::Ds) {
                Some(Value::Ds(ds)) => Value::Ds(DsSet {
                    from_cds: false,
                    ..ds.clone()
                }),
                _ => unreachable!("the DS RRset is known"),
            };
            let read = UnixTime(times[place - 1].seen.0 + SMALL.lag);
            let change = Change {
                value: asked,
                lag: situation.parent.propagation,
            };
            served.push((read, "the parent comes late", vec![change]));
            seen.0 += again.unwrap_or(0);
        }
        let changes = step.changes.iter().map(|value| Change {
            value: value.clone(),
            lag: seen.0 - begun.0 + situation.lag(&value.slot()),
        });
        served.push((begun, &step.what, changes.collect()));
        times.push(Times { begun, seen });
    }
    let mut course = plan.timeline(done).unwrap();
    served.sort_by_key(|(at, ..)| *at);
    for (at, what, changes) in served {
        course.add_step(at, what, changes);
    }
    course
}

/// The checker and brute force, of one mind.
fn is_harmed(plan: &Plan, course: &Timeline) -> bool {
    let found = plan.harm_of(course).unwrap().is_some();
    let seen = [Mode::Lenient, Mode::StrictDs, Mode::StrictDnskey]
        .iter()
        .any(|mode| {
            let seen = watch(
                course,
                &Validator::new(*mode, DigestRule::Any),
                plan.situation.margin,
            );
            seen.contains_key(&Invariant::Caches) || seen.contains_key(&Invariant::Resolver)
        });
    assert_eq!(found, seen, "{:?}", plan.harm_of(course).unwrap());
    found
}

#[test]
fn a_parent_that_has_read_and_comes_late_harms_nobody() {
    let (plan, done, back) = asked_and_given_up();
    for again in [1, 50] {
        let course = comes_late(&plan, &done, &back, Some(again));
        assert!(!is_harmed(&plan, &course), "{again}");
    }
    // What was there before it came is no evidence.
    let mut hasty = back;
    let of_ds = hasty.steps.iter_mut().find(|step| is_of_ds(step)).unwrap();
    of_ds.waits.clear();
    let course = comes_late(&plan, &done, &hasty, None);
    assert!(is_harmed(&plan, &course));
}
