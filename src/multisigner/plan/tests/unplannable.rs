//! What cannot be planned says what to do instead.

use super::*;

#[track_caller]
fn refusal(zone: &Zone, kind: &Kind) -> String {
    match build(kind, &zone.situation) {
        Ok(plan) => panic!("this was planned: {:#?}", plan.steps),
        Err(error) => error.to_string(),
    }
}

fn zsk(old: &str, new: &str) -> Kind {
    Kind::RollZsk {
        old: key(old),
        new: key(new),
    }
}

#[test]
fn keys_that_cannot_be_rolled() {
    let zone = Zone::two();
    let unknown = Kind::RollZsk {
        old: KeyId::at(63).unwrap(),
        new: key("ZA2"),
    };
    for (kind, says) in [
        (zsk("ZA", "ZA"), "cannot take over from itself"),
        (zsk("ZB", "ZB2"), "is not a key of this server: only its owner"),
        (zsk("KA", "ZA2"), "is a KSK, and this plan is for a ZSK"),
        (zsk("ZA", "KA2"), "is a KSK, and this plan is for a ZSK"),
        (zsk("ZA2", "ZA"), "signs nothing now"),
        (zsk("ZA", "ZAe"), "changing that is the plan `algorithm`"),
        (unknown, "there is no key number 63"),
    ] {
        let said = refusal(&zone, &kind);
        assert!(said.contains(says), "{says:?} in {said:?}");
    }
    let mut both = Zone::two();
    both.set(&[both.data("A", "ZA ZA2")]);
    assert!(refusal(&both, &zsk("ZA", "ZA2")).contains("signs already"));
}

#[test]
fn providers_that_cannot_come_or_go() {
    let (join, leave) = (
        |name| Kind::Join {
            provider: provider(name),
        },
        |name| Kind::Leave {
            provider: provider(name),
        },
    );
    assert!(refusal(&Zone::two(), &join("B")).contains("is in the delegation already"));
    assert!(refusal(&Zone::one(), &leave("B")).contains("is not in the delegation"));
    assert!(refusal(&Zone::one(), &leave("A")).contains("let another one join first"));
    assert!(refusal(&Zone::two(), &join("C")).contains("there is no provider number 2"));
}

#[test]
fn a_provider_with_one_algorithm_keeps_all_at_it() {
    let mut zone = Zone::two();
    zone.situation.members[1].algorithms = Some(vec![Algorithm::ECDSAP256SHA256]);
    let said = refusal(&zone, &algorithm());
    assert!(said.contains("B cannot sign with ED25519"), "{said}");
    // Nor without it in the delegation: it may come.
    zone.set(&[
        zone.parent_ns("A"),
        zone.child_ns("A", "A"),
        zone.child_ns("B", "A"),
    ]);
    let said = refusal(&zone, &algorithm());
    assert!(said.contains("B cannot sign with ED25519"), "{said}");
    let list = |labels: &str| keys(labels).iter().collect();
    let without = Kind::Algorithm {
        old: list("KA ZA KB ZB"),
        new: list("KAe ZAe KBe"),
    };
    assert!(refusal(&Zone::two(), &without).contains("B has no new ZSK"));
    let mut standby = Zone::two();
    standby.set(&[standby.keys("A", "KA KB ZA ZA2 ZB", "KA")]);
    assert!(refusal(&standby, &algorithm()).contains("takes all keys"));
}

#[test]
fn what_was_not_observed_is_not_guessed() {
    for (gone, says) in [
        (Slot::Ds, "the DS RRset at the parent was not seen yet"),
        (Slot::Keys(provider("B")), "the DNSKEY RRset of B"),
        (Slot::Data(provider("A"), Class::Positive), "signed data of A"),
    ] {
        let mut zone = Zone::two();
        zone.situation.serves.retain(|value| value.slot() != gone);
        let said = refusal(&zone, &roll("zsk"));
        assert!(said.contains(says), "{says:?} in {said:?}");
    }
    for gone in [
        Slot::ParentNs,
        Slot::ChildNs(provider("A")),
        Slot::Data(provider("B"), Class::Positive),
    ] {
        let mut zone = Zone::one();
        zone.situation.serves.retain(|value| value.slot() != gone);
        let said = refusal(
            &zone,
            &Kind::Join {
                provider: provider("B"),
            },
        );
        assert!(said.contains("was not seen yet at every server"), "{said:?}");
    }
}

#[test]
fn more_keys_than_a_timeline_holds() {
    let mut zone = Zone::two();
    let one = zone.situation.keys[0].clone();
    zone.situation.keys.resize(65, one);
    assert!(refusal(&zone, &roll("zsk")).contains("at most 64 keys"));
}

#[test]
fn nothing_to_follow() {
    let follow = |gone| Kind::Follow {
        provider: provider("B"),
        gone,
    };
    let zone = Zone::two();
    assert!(refusal(&zone, &follow(vec![])).contains("nothing to follow"));
    let seen = UnixTime(START);
    assert!(refusal(&zone, &follow(vec![(key("ZB"), seen)])).contains("is still there at B"));
    assert!(refusal(&zone, &follow(vec![(key("ZA2"), seen)])).contains("is not a key of B"));
}

#[test]
fn standby_keys_that_are_not_or_are_there() {
    let zone = Zone::two();
    let emergency = Kind::Emergency {
        old: key("ZA"),
        new: key("ZA2"),
        policy: Emergency::Standby,
    };
    let said = refusal(&zone, &emergency);
    assert!(
        said.contains("is no standby key: B lacks it") && said.contains("(plan `standby`)"),
        "{said}"
    );
    // That plan makes ZSKs alone.
    let of_ksk = Kind::Emergency {
        old: key("KA"),
        new: key("KA2"),
        policy: Emergency::Standby,
    };
    let said = refusal(&zone, &of_ksk);
    assert!(
        said.contains("the DS RRset lacks it") && said.contains("keys generate --role ksk"),
        "{said}"
    );
    let mut there = zone.clone();
    there.set(&[
        there.keys("A", "KA KB ZA ZA2 ZB", "KA"),
        there.keys("B", "KA KB ZA ZA2 ZB", "KB"),
    ]);
    let standby = Kind::Standby { new: key("ZA2") };
    assert!(refusal(&there, &standby).contains("nothing is to be done"));
    let back = Kind::Retreat {
        from: Box::new(standby),
    };
    assert!(refusal(&there, &back).contains("countersign abort"));
}

/// A way back writes the names of before, so those who leave must be known too.
#[test]
fn a_plan_that_writes_names_which_nobody_knows_says_which_setting_has_them() {
    let b = provider("B");
    let named = |members: &[usize]| {
        let name = |zone: &mut Zone| {
            for place in members {
                let server = format!("ns.{place}.example.").parse().unwrap();
                zone.situation.members[*place].servers = vec![server];
            }
        };
        let (mut one, mut two) = (Zone::one(), Zone::two());
        name(&mut one);
        name(&mut two);
        [
            one.plan(&Kind::Join { provider: b }),
            two.plan(&Kind::Leave { provider: b }),
            two.plan(&Kind::Leave {
                provider: provider("A"),
            }),
        ]
    };
    for plan in named(&[1]) {
        let said = plan.has_names().unwrap_err().to_string();
        assert!(said.contains("set `our_servers` of the [[zone]]"), "{said}");
    }
    for plan in named(&[0]) {
        let said = plan.has_names().unwrap_err().to_string();
        assert!(
            said.contains("servers of B") && said.contains("`server_names`"),
            "{said}"
        );
    }
    for plan in named(&[0, 1]) {
        plan.has_names().unwrap();
    }
    Zone::two().plan(&roll("zsk")).has_names().unwrap();
}

#[test]
fn a_name_that_is_said_during_a_plan_is_written() {
    let mut plan = Zone::one().plan(&Kind::Join {
        provider: provider("B"),
    });
    let place = plan
        .steps
        .iter()
        .position(|step| matches!(step.action, Action::ParentNs { .. }));
    let (place, ours) = (place.unwrap(), "ns.a.example.".parse().unwrap());
    let pasted = |plan: &Plan| plan.pasted(place, &plan.steps[place].changes).unwrap();
    assert_eq!(pasted(&plan), [""; 0]);
    plan.rename_servers(None, &[ours]);
    plan.rename_servers(Some("B"), &["ns.b.example.".parse().unwrap()]);
    let said = [
        "example.com. 4 IN NS ns.a.example.",
        "example.com. 4 IN NS ns.b.example.",
    ];
    assert_eq!(pasted(&plan), said);
    // What is not known any more is written as it was.
    plan.rename_servers(Some("B"), &[]);
    assert_eq!(pasted(&plan), said);
}
