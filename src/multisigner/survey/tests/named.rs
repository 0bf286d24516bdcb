//! Whom NS RRsets name.

use super::*;

#[test]
fn all_that_an_ns_rrset_leads_to_is_named_glue_included() {
    let glue = |owner: &str, rtype, rdata: &[u8]| Record {
        owner: owner.parse().unwrap(),
        ..record(rtype, 40, rdata)
    };
    let mut referral = received(Vec::new(), ns(&["ours.example.", "theirs.example."]), false);
    referral.additionals = vec![
        glue("Theirs.example.", RrType::A, &[192, 0, 2, 2]),
        glue(
            "theirs.example.",
            RrType::AAAA,
            &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
        ),
        glue("else.example.", RrType::A, &[192, 0, 2, 7]),
    ];
    let answer = received(ns(&["ns3.example."]), Vec::new(), true);
    let survey = survey(&[(RrType::NS, answer)], &[(RrType::NS, referral)]);
    let named = survey.named();
    let expected = [
        ("ours.example.", None),
        ("theirs.example.", None),
        ("theirs.example.", Some("192.0.2.2")),
        ("theirs.example.", Some("2001:db8::2")),
        ("ns3.example.", None),
    ];
    let expected = expected.map(|(name, address)| {
        (
            name.parse().unwrap(),
            address.map(|address: &str| address.parse().unwrap()),
        )
    });
    assert_eq!(named, expected.into());
}

#[test]
fn advice_is_for_what_is_silent_of_ours() {
    let silent = || {
        let mut server = answered("192.0.2.1:53", Way::Udp, &OF_MEMBERS, &[]);
        for answer in server.answers.values_mut() {
            *answer = Err(Unseen::Unreachable("no route".to_owned()));
        }
        server
    };
    let mut survey = survey(&[], &[]);
    survey.members[0].servers.push(silent());
    survey.members[1].servers = vec![silent()];
    survey.advise("; mend it", |_| true);
    let words = |slot: Slot| match all_shown(&survey, slot).pop() {
        Some(Shown::Unreachable(why)) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(words(Slot::Keys(ProviderId::FIRST)), "no route; mend it");
    assert_eq!(words(Slot::Keys(ProviderId::at(1).unwrap())), "no route");
    survey.advise("; or not", |_| false);
    let Some(Shown::Unreachable(why)) = all_shown(&survey, Slot::Keys(ProviderId::FIRST)).pop() else {
        panic!("it is silent");
    };
    assert_eq!(why, "no route; mend it");
}
