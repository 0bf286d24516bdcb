//! The way back from every step, judged with what caches hold from the way there.

use super::*;

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
