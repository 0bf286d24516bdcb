//! A plan as a person and as a program reads it.

use super::*;

#[test]
fn a_plan_to_be_read() {
    let numbers = Numbers {
        ds: 86_400,
        keys: 3_600,
        data: 3_600,
        ns: 172_800,
        lag: 60,
        margin: 3_600,
    };
    let zone = Zone::two_with(numbers);
    let text = Report::new(&zone.plan(&roll("ksk"))).unwrap().to_string();
    let (old, new) = (zone.situation.label(key("KA")), zone.situation.label(key("KA2")));
    for part in [
        format!("example.com.: {new} takes over from {old}"),
        "From 1970-01-01T00:16:40Z; 1 d 1 h 1 min 1 s at the least, with a margin of 1 h in every wait."
            .to_owned(),
        format!(" 3. the DS RRset points to {new} too"),
        "who    a person at the registrar".to_owned(),
        "paste  these, and none of ours besides:\n           example.com. 86400 IN DS ".to_owned(),
        format!(
            "wait   more than 1 d 1 h 1 min since step 3 was seen: a cache may hold the DS RRset without {new} (86400 s \
             + 60 s until its last server has changed + 3600 s margin)"
        ),
        "until  every server of the parent shows it".to_owned(),
        format!("back   not at all: {old} is gone for good; roll to another key"),
        "Safe for all 9 kinds of validator.".to_owned(),
    ] {
        assert!(text.contains(&part), "{part:?} in\n{text}");
    }
    assert_eq!(text.matches("IN DS ").count(), 3 + 2, "{text}");
}

#[test]
fn what_is_pasted_follows_the_key_that_is_made() {
    let mut zone = Zone::two();
    zone.situation.members[1].hand = Hand::Person;
    let dnskey = zone.situation.keys[key("ZA2").place()].dnskey.take().unwrap();
    let mut plan = zone.plan(&roll("zsk"));
    assert!(matches!(plan.steps[0].action, Action::Make { .. }));
    assert!(plan.steps[1].what.contains("the new ZSK"));
    let pasted = |plan: &Plan| match &plan.steps[2].by {
        Actor::Person { paste, .. } => paste.clone(),
        other => panic!("{other:?}"),
    };
    let lines = pasted(&plan);
    assert_eq!(lines.len(), 3, "KA, ZA, and a word on what is to come: {lines:?}");
    assert!(
        lines[2].starts_with("; and the same of the new ZSK: "),
        "{lines:?}"
    );
    plan.made(key("ZA2"), dnskey.clone());
    assert!(pasted(&plan).contains(&format!("example.com. 2 IN DNSKEY {dnskey}")));
    assert!(plan.steps[1].what.contains(&format!("ZSK {}", dnskey.key_tag())));
    assert!(!Report::new(&plan).unwrap().to_string().contains("the new ZSK"));
}

#[test]
fn an_unsafe_plan_tells_its_story_and_is_not_safe() {
    let security = Kind::Emergency {
        old: key("ZA"),
        new: key("ZA2"),
        policy: Emergency::Security,
    };
    let report = Report::new(&Zone::two().plan(&security)).unwrap();
    assert!(!report.safe);
    let text = report.to_string();
    assert!(text.contains("UNSAFE for 9 kinds of validator"), "{text}");
    assert!(
        text.contains("no key that signs the data is in the DNSKEY RRset"),
        "{text}"
    );
    assert!(text.contains("It runs only by force"), "{text}");
    // Data for 5 s, and 1 s until the last server has changed; the key in DNSKEY RRsets for 2 s.
    assert!(text.contains("answers are bogus for up to 6 s"), "{text}");
    assert!(
        text.contains("can forge answers until 1970-01-01T00:16:43Z at the earliest"),
        "{text}"
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["safe"], false);
    assert_eq!(json["steps"][0]["number"], 1);
}

/// At once means now, for every kind of key, and is never offered.
#[test]
fn at_once_is_unsafe_for_every_kind_of_key() {
    for (zone, old, new) in [
        (Zone::two(), "ZA", "ZA2"),
        (Zone::two(), "KA", "KA2"),
        (Zone::with_csk(), "CA", "CA2"),
    ] {
        let plan = zone.plan(&Kind::Emergency {
            old: key(old),
            new: key(new),
            policy: Emergency::Security,
        });
        assert_eq!(plan.least_duration(), 0, "{old}");
        assert!(plan.harm().unwrap().is_some(), "{old}");
    }
}

#[test]
fn the_size_of_the_dnskey_answer() {
    // 4 keys and a signature of algorithm 13: 467 octets; 8 keys and 2 signatures: 894.
    let mut zone = Zone::two();
    zone.situation
        .serves
        .retain(|value| !matches!(value, Value::Keys(..)));
    let size = |zone: &Zone| {
        let plan = Plan {
            kind: roll("zsk"),
            situation: zone.situation.clone(),
            steps: Vec::new(),
        };
        plan.largest_dnskey().unwrap().octets
    };
    let mut four = zone.clone();
    four.set(&[four.keys("A", "KA ZA KB ZB", "KA")]);
    assert_eq!(size(&four), 467);
    zone.set(&[zone.keys("A", "KA ZA KB ZB KA2 ZA2 KB2 ZB2", "KA KA2")]);
    assert_eq!(size(&zone), 894);
    // RSA keys of 2048 bits: 1443 octets, of which the plan warns.
    let mut rsa = Zone::two();
    for held in &mut rsa.situation.keys {
        held.algorithm = Algorithm::RSASHA256;
        let mut public = vec![3, 1, 0, 1];
        public.resize(260, held.owner.map_or(0, |owner| owner.place() as u8));
        let flags = if held.role == Role::Zsk { 256 } else { 257 };
        held.dnskey = Some(Dnskey::new(flags, held.algorithm, &public));
    }
    assert_eq!(size(&rsa), 1_443);
    let report = Report::new(&rsa.plan(&roll("zsk"))).unwrap();
    assert!(
        report
            .remarks
            .iter()
            .any(|remark| remark.contains("ask again by TCP")),
        "{report}"
    );
}

#[test]
fn a_plan_in_the_journal_comes_back_as_it_was() {
    let plan = Zone::one().plan(&Kind::Join {
        provider: provider("B"),
    });
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
}

#[test]
fn a_parent_that_reads_cds_does_it_where_all_providers_show_the_same() {
    let mut zone = Zone::two();
    zone.situation.parent.hand = ParentHand::Cds;
    let by_hand = zone.plan(&roll("ksk"));
    assert!(by_hand.steps.iter().all(|step| step.by != Actor::Parent));
    let remarks = Report::new(&by_hand).unwrap().remarks;
    assert!(remarks[0].contains("not every provider"), "{remarks:?}");
    zone.situation.members[1].shows_cds = true;
    let plan = zone.plan(&roll("ksk"));
    assert_unharmed(&plan);
    let cds = plan
        .steps
        .iter()
        .filter(|step| step.what.starts_with("CDS"))
        .count();
    assert_eq!(cds, 6, "at both, before each change of DS, and in the end");
    assert_eq!(
        plan.steps.iter().filter(|step| step.by == Actor::Parent).count(),
        2
    );
}
