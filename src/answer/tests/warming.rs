//! Signing ahead: everything is signed before it is asked for, and anew before it expires, whatever changes meanwhile.

use std::time::Duration;

use super::{changes::changed, *};
use crate::answer::warm::{Step, Warmer};

/// Steps until nothing is due; gives how many signatures were made and how many names looked at.
fn round(warmer: &mut Warmer, asker: &Asker, now: UnixTime) -> (usize, usize) {
    let (mut signed, mut looked_at) = (0, 0);
    loop {
        let step = warmer.step(&asker.engine.zones(), 5, now);
        assert!(
            step.signed <= 5 + 4,
            "a step keeps to its budget, but for the name it is at"
        );
        (signed, looked_at) = (signed + step.signed, looked_at + step.looked_at);
        if step.finished {
            return (signed, looked_at);
        }
    }
}

fn served(asker: &Asker) -> Arc<ServedZone> {
    Arc::clone(asker.engine.zones().iter().next().unwrap())
}

#[test]
fn the_warmer_signs_everything_once_and_again_when_it_is_due() {
    let asker = Asker::new(&rfc_zone(), Denial::Nsec, nsec3::Parameters::default());
    let mut warmer = Warmer::default();
    let zone = served(&asker);
    let content = zone.content().unwrap();
    let (wanted, names) = (content.signature_state(NOW).wanted, content.zone().node_count());
    assert_eq!(round(&mut warmer, &asker, NOW), (wanted, names));
    assert_eq!(content.signature_state(NOW).warm, wanted);
    assert_eq!(
        round(&mut warmer, &asker, NOW),
        (0, 0),
        "it knows that nothing is due"
    );
    for question in ["xx A", "ml A", "mc.b MX", "a.z.w MX", "a DS"] {
        let (outcome, _) = asker.raw(&packet(question, Flags::Do), Effort::AtHand);
        assert_eq!(outcome, Outcome::Answered, "{question} was signed ahead");
    }
    let later = NOW.plus(content.validity().lifetime());
    assert_eq!(content.signature_state(later).warm, 0);
    assert_eq!(round(&mut warmer, &asker, later).0, wanted);
    // The clock is set back: what was signed begins to be valid in the time to come.
    let back = later.minus(Duration::from_secs(7_200));
    assert_eq!(content.signature_state(back).warm, 0);
    assert_eq!(round(&mut warmer, &asker, back).0, wanted);
}

#[test]
fn every_signature_is_made_anew_before_it_expires() {
    let asker = Asker::new(&rfc_zone(), Denial::Nsec, nsec3::Parameters::default());
    let mut warmer = Warmer::default();
    round(&mut warmer, &asker, NOW);
    let zone = served(&asker);
    let content = zone.content().unwrap();
    let hours = content.validity().lifetime().as_secs() / 3_600;
    let mut most = 0;
    for hour in 1..=3 * hours {
        let now = NOW.plus(Duration::from_secs(3_600 * hour));
        most = most.max(round(&mut warmer, &asker, now).0);
        let state = content.signature_state(now);
        assert_eq!(state.warm, state.wanted);
        let left = state.next_to_expire.unwrap().since(now);
        assert!(
            left > content.validity().lifetime() / 4,
            "hour {hour}: {left:?} left"
        );
    }
    assert!(
        most * 2 < content.signature_state(NOW).wanted,
        "spread in time: {most} in one hour"
    );
}

/// As many changes as the warmer can sign do not keep it from what stays.
#[test]
fn under_steady_changes_everything_is_made_anew_before_it_expires() {
    for denial in [Denial::Compact, Denial::Nsec] {
        let mut zone = rfc_zone();
        let asker = Asker::new(&zone, denial, nsec3::Parameters::default());
        asker.serve(&zone, denial);
        let mut warmer = Warmer::default();
        round(&mut warmer, &asker, NOW);
        for hour in 1..=24 * 40 {
            // The SOA is another each time, and needs a signature, as does the apex's NSEC in a chain; the step
            // ends after one name that needs any.
            zone = changed(&zone, &[], &[], 1_800);
            asker.serve(&zone, denial);
            let now = NOW.plus(Duration::from_secs(3_600 * hour));
            let step = warmer.step(&asker.engine.zones(), 1, now);
            assert!(step.signed >= 1 && !step.finished);
            let state = served(&asker).content().unwrap().signature_state(now);
            assert!(
                state.warm + 2 >= state.wanted,
                "{denial:?}, hour {hour}: {} of {} left to expire",
                state.wanted - state.warm,
                state.wanted
            );
        }
    }
}

#[test]
fn a_change_costs_a_look_at_what_it_touched() {
    let mut zone = rfc_zone();
    let asker = Asker::new(&zone, Denial::Compact, nsec3::Parameters::default());
    asker.serve(&zone, Denial::Compact);
    let mut warmer = Warmer::default();
    round(&mut warmer, &asker, NOW);
    zone = changed(&zone, &[], &[("aa", RrType::A, vec![192, 0, 2, 50])], 1_800);
    asker.serve(&zone, Denial::Compact);
    let (signed, looked_at) = round(&mut warmer, &asker, NOW);
    assert_eq!(signed, 2, "the SOA, and the new RRset");
    assert!(looked_at * 2 < zone.node_count(), "{looked_at} names looked at");
    // Other keys: everything.
    let content = served(&asker);
    let wanted = content.content().unwrap().signature_state(NOW).wanted;
    let policy = ZonePolicy::default();
    let rekeyed = ServedZone::new(&zone, keys(zone.apex()), &policy, NOW, Some(&content)).unwrap();
    asker.engine.publish(vec![Arc::new(rekeyed)]);
    assert_eq!(round(&mut warmer, &asker, NOW).0, wanted);
}

#[test]
fn every_zone_has_its_turn_and_none_is_held() {
    let asker = Asker::new(&rfc_zone(), Denial::Compact, nsec3::Parameters::default());
    let other = {
        let (apex, at) = (name("other."), Place::default());
        let mut builder = ZoneBuilder::new(apex.as_ref(), Ttl::MAX);
        let soa: Vec<u8> = [apex.as_wire(), apex.as_wire(), &[0; 20]].concat();
        let ns = name("ns.test.");
        for (rtype, rdata) in [(RrType::SOA, &soa[..]), (RrType::NS, ns.as_wire())] {
            let (owner, ttl) = (apex.as_ref(), Ttl::new(60));
            builder.add(&Entry {
                owner,
                rtype,
                ttl,
                rdata,
                at,
            });
        }
        builder.finish().unwrap().zone
    };
    let other = ServedZone::new(&other, keys(other.apex()), &ZonePolicy::default(), NOW, None).unwrap();
    asker.engine.publish(vec![served(&asker), Arc::new(other)]);
    let mut warmer = Warmer::default();
    for _ in 0..2 {
        let Step { signed, .. } = warmer.step(&asker.engine.zones(), 1, NOW);
        assert!(signed > 0);
    }
    for zone in asker.engine.zones().iter() {
        assert!(
            zone.content().unwrap().signature_state(NOW).warm > 0,
            "{}",
            zone.apex()
        );
    }
    let replaced = asker.engine.publish(Vec::new());
    let held: Vec<_> = replaced.iter().map(Arc::downgrade).collect();
    drop(replaced);
    assert!(held.iter().all(|zone| zone.upgrade().is_none()));
    assert!(warmer.step(&asker.engine.zones(), 1, NOW).finished);
}
