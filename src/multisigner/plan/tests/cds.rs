//! A parent that reads CDS.

use super::{
    super::{Kind, ParentHand},
    Zone, algorithm, provider, roll,
};

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
