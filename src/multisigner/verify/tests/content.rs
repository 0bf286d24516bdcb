//! Data, TTLs, types and names that only one has.

use super::*;
use crate::multisigner::verify::Accepted;

fn accepted(owner: &str, rtype: Option<RrType>) -> Accepted {
    Accepted {
        owner: name(owner),
        rtype,
    }
}

#[test]
fn data_that_differ() {
    let mut lab = Lab::new();
    lab.theirs
        .replace("www 3600 A 192.0.2.4", "www 3600 A 192.0.2.40");
    let found = lab.only(Severity::Note);
    let Finding::ContentDiffers { question, by_server } = &found else {
        panic!("{found:?}")
    };
    assert_eq!(question, "www.example. A");
    assert_eq!(
        by_server[..],
        [
            (OURS.to_owned(), "192.0.2.4".to_owned()),
            (THEIRS.to_owned(), "192.0.2.40".to_owned())
        ]
    );
    assert_eq!(found.severity(), Severity::Difference);
    assert!(lab.report().holds(false) && !lab.report().holds(true));

    let survey = lab.survey();
    for good in [
        accepted("www.example.", Some(RrType::A)),
        accepted("WWW.example.", None),
    ] {
        assert_eq!(judge(&survey, &[good]).findings, []);
    }
    for other in [
        accepted("www.example.", Some(RrType::AAAA)),
        accepted("example.", None),
    ] {
        assert_eq!(judge(&survey, &[other]).findings.len(), 1);
    }
}

#[test]
fn a_ttl_that_differs() {
    let mut lab = Lab::new();
    lab.theirs.replace("www 3600 TXT", "www 60 TXT");
    let found = lab.only(Severity::Note);
    assert!(
        matches!(&found, Finding::TtlDiffers { question, by_server }
            if question == "www.example. TXT" && by_server[0] == (THEIRS.to_owned(), Ttl::new(60))),
        "{found:?}"
    );
}

#[test]
fn a_type_that_only_one_has() {
    for denial in [Denial::Compact, Denial::Nsec, Denial::Nsec3] {
        let mut lab = Lab::new();
        (lab.ours.denial, lab.theirs.denial) = (denial, denial);
        lab.theirs.replace("www 3600 TXT \"hello\"\n", "");
        let found = lab.only(Severity::Note);
        assert!(
            matches!(&found, Finding::OnlyAt { question, having, lacking, whole_name: false }
                if question == "www.example. TXT" && having == &[OURS] && lacking == &[THEIRS]),
            "{found:?}"
        );
        assert_eq!(found.severity(), Severity::Difference);
    }
}

#[test]
fn a_name_that_only_one_has() {
    let mut lab = Lab::new();
    lab.theirs.replace("alias 3600 CNAME www\n", "");
    // One finding, though the name is asked for more than once.
    let found = lab.only(Severity::Note);
    assert!(
        matches!(&found, Finding::OnlyAt { question, whole_name: true, .. } if question == "alias.example. CNAME"),
        "{found:?}"
    );
    let accepted = [accepted("alias.example.", Some(RrType::CNAME))];
    assert_eq!(judge(&lab.survey(), &accepted).findings, []);
    // An alias answers for every type, and is told once.
    let mut survey = lab.survey();
    let (index, asked) = survey
        .probes
        .iter()
        .enumerate()
        .find(|(_, probe)| probe.name == name("alias.example."))
        .map(|(index, probe)| (index, probe.clone()))
        .unwrap();
    for server in &mut survey.servers {
        let mut answer = server.answers[index].as_ref().unwrap().clone();
        answer.question.as_mut().unwrap().1 = RrType::MX;
        server.answers.push(Ok(answer));
    }
    survey.probes.push(crate::multisigner::verify::Probe {
        rtype: RrType::MX,
        ..asked
    });
    let told = judge(&survey, &[]).findings;
    assert_eq!(
        told.iter()
            .filter(|found| found.severity() == Severity::Difference)
            .count(),
        1,
        "{told:?}"
    );
    // An empty name.
    let mut lab = Lab::new();
    lab.theirs.replace("a.b 3600 A 192.0.2.6\n", "");
    let findings = lab.report().findings;
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(
        findings
            .iter()
            .any(|found| matches!(found, Finding::OnlyAt { question, .. } if question == "a.b.example. A"))
    );
    assert!(
        findings
            .iter()
            .any(|found| matches!(found, Finding::NameOnlyAt { name, .. } if name == "b.example."))
    );
}

#[test]
fn a_wildcard_that_only_one_has() {
    let mut lab = Lab::new();
    lab.theirs.replace("*.wild 3600 A 192.0.2.5\n", "");
    let findings = lab.report().findings;
    let names: Vec<_> = findings
        .iter()
        .map(|found| match found {
            Finding::OnlyAt { question, .. } => question.clone(),
            Finding::NameOnlyAt { name, .. } => name.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(
        names.contains(&"nobody-has-this.wild.example. A".to_owned()),
        "{names:?}"
    );
    assert!(names.contains(&"*.wild.example. A".to_owned()), "{names:?}");
}

#[test]
fn a_delegation_that_only_one_has() {
    let mut lab = Lab::new();
    lab.theirs.replace(
        "signed 3600 DS 1 13 2 8d02536c887482bc34ff54e41d2ba659bf85b341a0a20afadb5813dcfbcf286d\n",
        "",
    );
    let found = lab.only(Severity::Note);
    assert!(
        matches!(&found, Finding::OnlyAt { question, .. } if question == "signed.example. DS"),
        "{found:?}"
    );
}

#[test]
fn ways_of_denial_that_differ_are_a_note() {
    let mut lab = Lab::new();
    lab.theirs.denial = Denial::Nsec3;
    let found = lab.only(Severity::Note);
    assert!(
        matches!(&found, Finding::DenialsDiffer { by_server } if by_server[0] == ("theirs/192.0.2.2".to_owned(), "NSEC3".to_owned())),
        "{found:?}"
    );
    assert!(lab.report().holds(true));
}

#[test]
fn hashing_that_validators_do_not_follow_is_told() {
    let mut lab = Lab::new();
    (lab.ours.denial, lab.theirs.denial) = (Denial::Nsec3, Denial::Nsec3);
    lab.theirs.iterations = 51;
    let findings = lab.report().findings;
    assert!(
        findings.iter().any(
            |found| matches!(found, Finding::HashesTooOften { server, iterations: 51 } if server == THEIRS)
        ),
        "{findings:?}"
    );
    assert!(
        findings
            .iter()
            .all(|found| found.severity() <= Severity::Difference),
        "{findings:?}"
    );
}

/// Who denies a name by saying that there is no such data, as compact denial did before NXNAME, is not said to have
/// it.
#[test]
fn names_are_not_compared_where_a_server_tells_nothing_of_them() {
    let lab = Lab::new();
    let mut survey = lab.survey();
    // "www" AAAA is NODATA; where theirs says so of every name, theirs has them all.
    let is_denial = |answer: &Received| answer.answers.is_empty();
    for answer in survey.servers[1]
        .answers
        .iter_mut()
        .flatten()
        .filter(|answer| is_denial(answer))
    {
        for record in &mut answer.authorities {
            if record.rtype == RrType::NSEC {
                let length = record.rdata.len();
                let ends_with_nxname =
                    length > 17 && record.rdata[length - 17] == 17 && record.rdata[length - 1] == 0x80;
                if ends_with_nxname {
                    let mut rdata = record.rdata[..length - 17].to_vec();
                    rdata.extend_from_slice(&[6, 0, 0, 0, 0, 0, 3]);
                    record.rdata = rdata.into();
                }
            }
        }
    }
    let kinds: Vec<_> = judge(&survey, &[]).findings.iter().map(Finding::kind).collect();
    // The signatures are spoiled with it; but nobody is said to have names.
    assert!(!kinds.contains(&"name-only-at"), "{kinds:?}");
}

/// As many owners and types as are wanted, from the beginning to the end of the zone, and each once.
#[test]
fn samples_are_spread() {
    let text: String = (0..1_000).map(|n| format!("n{n} 60 A 192.0.2.1\n")).collect();
    let content = zone(&format!("{ZONE_TEXT}{text}"));
    for limit in [0, 1, 200, 5_000] {
        let wanted = Wanted {
            content: Some(&content),
            samples: limit,
            nobodys_label: "x",
            ..Wanted::default()
        };
        let probes = samples::probes(&name("example."), &wanted);
        let numbered = |probe: &&crate::multisigner::verify::Probe| {
            probe.name.to_string().starts_with('n') && probe.rtype == RrType::A
        };
        let count = probes.iter().filter(numbered).count();
        let expected = limit.min(1_000);
        assert!(count.abs_diff(expected) <= 20, "{count} of {limit}");
        let mut unique: Vec<_> = probes
            .iter()
            .map(|probe| (probe.name.clone(), probe.rtype))
            .collect();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), probes.len());
        assert_eq!(probes[0].rtype, RrType::SOA);
    }
}
