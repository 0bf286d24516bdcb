//! What this server is to do in a join and a leave, and cannot: its NS RRset is in its content, and it goes on answering.

use super::*;
use crate::multisigner::plan::OwnNs;

fn named(mut zone: Zone) -> Zone {
    for (place, member) in zone.situation.members.iter_mut().enumerate() {
        member.servers = vec![format!("ns{place}.example.").parse().unwrap()];
    }
    zone
}

fn join_and_leaves(change: impl Fn(&mut Zone)) -> [Plan; 4] {
    let (mut one, mut two) = (named(Zone::one()), named(Zone::two()));
    change(&mut one);
    change(&mut two);
    let mut ours = one.clone();
    // A comes into what B has alone.
    ours.set(&[
        ours.ds("KB"),
        ours.parent_ns("B"),
        ours.child_ns("A", "A"),
        ours.child_ns("B", "B"),
    ]);
    let [a, b] = ["A", "B"].map(provider);
    [
        one.plan(&Kind::Join { provider: b }),
        ours.plan(&Kind::Join { provider: a }),
        two.plan(&Kind::Leave { provider: b }),
        two.plan(&Kind::Leave { provider: a }),
    ]
}

fn of_child_ns(plan: &Plan) -> Vec<&Step> {
    let steps = plan.steps.iter();
    steps
        .filter(|step| matches!(step.action, Action::ChildNs { .. }))
        .collect()
}

/// Before, this server was to do it, and nothing of it does: the plan waited for ever, without a word.
#[test]
fn our_ns_rrset_is_changed_by_a_person() {
    let place = "in /etc/zone, and reloads";
    let plans = join_and_leaves(|zone| {
        zone.situation.members[0].own_ns = OwnNs::Person(place.to_owned());
    });
    for (plan, lines) in plans.iter().zip([2, 2, 1, 1]) {
        assert_unharmed(plan);
        let steps = of_child_ns(plan);
        let ours = |step: &&&Step| {
            step.changes
                .iter()
                .any(|value| value.slot() == Slot::ChildNs(provider("A")))
        };
        let ours = steps.iter().find(ours).unwrap();
        match &ours.by {
            Actor::Person { place: at, paste } => {
                assert_eq!((at.as_str(), paste.len()), (place, lines));
                assert!(paste.iter().all(|line| line.contains(" IN NS ")), "{paste:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_ns_rrset_of_ours_that_is_another_provider_s_is_changed_there() {
    let plans = join_and_leaves(|zone| zone.situation.members[0].own_ns = OwnNs::Follows(provider("B")));
    for plan in plans {
        assert_unharmed(&plan);
        let steps = of_child_ns(&plan);
        let [both] = steps[..] else {
            panic!("{steps:#?}");
        };
        assert_eq!(
            both.by,
            Actor::Api {
                provider: provider("B")
            }
        );
        assert!(
            matches!(both.action, Action::ChildNs { provider: at, .. } if at == provider("B")),
            "{:?}",
            both.action
        );
        let slots: Vec<Slot> = both.changes.iter().map(Value::slot).collect();
        assert_eq!(slots, ["B", "A"].map(|at| Slot::ChildNs(provider(at))));
        assert!(both.what.ends_with(", and with it that of A"), "{}", both.what);
    }
}

#[test]
fn when_we_stop_a_person_says_so_and_nothing_is_removed() {
    let [.., leave] = join_and_leaves(|_| {});
    let mut steps = leave.steps.iter();
    let stop = steps
        .find(|step| matches!(step.action, Action::Stop { .. }))
        .unwrap();
    let Actor::Person { place, .. } = &stop.by else {
        panic!("{:?}", stop.by);
    };
    for says in [
        "countersign done example.com.",
        "remove nothing",
        "keep the zone configured",
    ] {
        assert!(place.contains(says), "{place}");
    }
}
