//! Keys that are missing, and DS.

use super::*;
use crate::dnssec::{algorithm::Algorithm, keyset::Role};

#[test]
fn a_missing_foreign_zsk_is_bogus_now() {
    for theirs_lacks in [true, false] {
        let mut lab = Lab::new();
        let (lacking, signing) = match theirs_lacks {
            true => (&mut lab.theirs, &lab.ours),
            false => (&mut lab.ours, &lab.theirs),
        };
        let zsk = signing.own[1].dnskey().clone();
        lacking.foreign.retain(|key| *key != zsk);
        let (at, by) = if theirs_lacks {
            (THEIRS, OURS)
        } else {
            (OURS, THEIRS)
        };
        let Finding::KeyMissing {
            lacking,
            signers,
            tag,
            role,
            ..
        } = lab.only(Severity::Note)
        else {
            panic!()
        };
        assert_eq!(
            (&lacking[..], &signers[..]),
            (&[at.to_owned()][..], &[by.to_owned()][..])
        );
        assert_eq!((tag, role), (zsk.key_tag(), Some(Role::Zsk)));
        let report = lab.report();
        assert!(!report.holds(false));
        let pair = report
            .pairs
            .iter()
            .find(|pair| {
                report.servers[pair.keys_from].target.to_string() == at && pair.keys_from != pair.answers_from
            })
            .unwrap();
        // All but the DNSKEY RRset, which the KSK signs; of CDS it is said that there is none.
        let bogus: Vec<bool> = pair.cells.iter().map(|cell| cell.bogus == cell.judged).collect();
        assert_eq!(bogus, [true, true, true, true, false, true]);
    }
}

#[test]
fn a_missing_foreign_ksk_is_a_note() {
    let mut lab = Lab::new();
    lab.theirs.foreign.retain(|key| !key.is_sep());
    let found = lab.only(Severity::Note);
    assert!(
        matches!(&found, Finding::KskMissing { lacking, harms_cds: false, .. } if lacking == &[THEIRS]),
        "{found:?}"
    );
    assert!(lab.report().holds(true));
    // Where CDS is published, it is signed by that KSK alone; said, and still a note.
    for signer in [&mut lab.ours, &mut lab.theirs] {
        signer.publishing.cds = Cds::Publish;
    }
    let findings = lab.report().findings;
    assert!(
        findings
            .iter()
            .any(|found| matches!(found, Finding::KskMissing { harms_cds: true, .. })),
        "{findings:?}"
    );
    assert!(lab.report().holds(false));
}

#[test]
fn a_missing_foreign_csk_is_bogus_now() {
    let mut ours = Signer::new("ours");
    ours.own.truncate(1);
    let mut lab = Lab::of(ours, Signer::new("theirs"));
    lab.theirs.foreign.clear();
    let found = lab.only(Severity::Bogus);
    assert!(
        matches!(
            found,
            Finding::KeyMissing {
                role: Some(Role::Csk),
                ..
            }
        ),
        "{found:?}"
    );
}

#[test]
fn a_missing_key_that_signs_nothing_would_be() {
    let mut lab = Lab::new();
    lab.ours
        .idle
        .push(key(SigningAlgorithm::Ed25519, ZONE).dnskey().clone());
    let found = lab.only(Severity::Note);
    assert!(
        matches!(&found, Finding::IdleKeyMissing { lacking, shown_by, .. } if lacking == &[THEIRS] && shown_by == &[OURS]),
        "{found:?}"
    );
    assert_eq!(found.severity(), Severity::WouldBe);
    assert!(!lab.report().holds(false));
}

#[test]
fn a_missing_key_beside_another_that_signs_would_be() {
    let mut lab = Lab::new();
    let second = key(SigningAlgorithm::Ed25519, ZONE);
    lab.ours.own.push(second.clone());
    let found = lab.only(Severity::Note);
    assert!(
        matches!(&found, Finding::KeyMissingBesideAnother { tag, .. } if *tag == second.key_tag()),
        "{found:?}"
    );
    assert_eq!(found.severity(), Severity::WouldBe);
}

#[test]
fn a_key_that_nobody_publishes_is_told() {
    let lab = Lab::new();
    let mut survey = lab.survey();
    // As if theirs signed with a key that it took out of its own set.
    let zsk = lab.theirs.own[1].dnskey();
    for server in &mut survey.servers {
        for answer in server.answers.iter_mut().flatten() {
            if answer.question.as_ref().unwrap().1 == RrType::DNSKEY {
                answer
                    .answers
                    .retain(|record| record.rtype != RrType::DNSKEY || &*record.rdata != zsk.rdata());
            }
        }
    }
    let findings = judge(&survey, &[]).findings;
    let missing: Vec<_> = findings
        .iter()
        .filter(|found| {
            matches!(
                found,
                Finding::KeyMissing {
                    role: None,
                    record: None,
                    ..
                }
            )
        })
        .collect();
    assert_eq!(missing.len(), 1, "{findings:#?}");
}

#[test]
fn a_ds_that_is_missing_is_bogus_now() {
    let mut lab = Lab::new();
    lab.ds.remove(0);
    let found = lab.only(Severity::Note);
    assert!(
        matches!(&found, Finding::NoChain { servers, .. } if servers == &[OURS]),
        "{found:?}"
    );
    assert_eq!(found.severity(), Severity::Bogus);
    let report = lab.report();
    assert_eq!(report.servers[0].chain, Some(false));
    assert_eq!(report.servers[1].chain, Some(true));
}

#[test]
fn a_ds_without_a_key_would_be() {
    let mut lab = Lab::new();
    lab.ds.push(Signer::new("nobody").ds());
    let found = lab.only(Severity::Note);
    assert!(matches!(&found, Finding::DsWithoutKey { .. }), "{found:?}");
    assert_eq!(found.severity(), Severity::WouldBe);
}

#[test]
fn what_the_parent_shows_otherwise() {
    let mut lab = Lab::new();
    let digest = "00".repeat(20);
    lab.ds.push(format!("1 13 1 {digest}").parse().unwrap());
    assert!(matches!(lab.only(Severity::Note), Finding::DsNotCounted { .. }));

    lab.ds.clear();
    let found = lab.only(Severity::Note);
    assert!(matches!(&found, Finding::NoDs { .. }), "{found:?}");
    assert!(lab.report().holds(false) && !lab.report().holds(true));

    let lab = Lab::new();
    let mut survey = lab.survey();
    survey.parent.ds.push(DsView {
        at: at(4),
        seen: Ok(vec![lab.ours.ds()]),
    });
    let findings = judge(&survey, &[]).findings;
    assert!(matches!(findings[0], Finding::NoChain { .. }), "{findings:?}");
    assert!(matches!(findings[1], Finding::DsDiffers { .. }), "{findings:?}");

    survey.parent.ds[1].seen = Err(Unseen::Unreachable("no route".to_owned()));
    let found = only(judge(&survey, &[]), Severity::Note);
    assert!(matches!(found, Finding::ParentUnseen { .. }));

    survey.parent.ds.clear();
    assert!(matches!(
        only(judge(&survey, &[]), Severity::Note),
        Finding::ParentUnknown
    ));
    survey.parent.given = lab.ds.clone();
    assert_eq!(judge(&survey, &[]).findings, []);
}

#[test]
fn digests_that_differ_are_bogus_to_the_strict() {
    let mut lab = Lab::new();
    let apex = name("example.");
    lab.ds[1] = Ds::of(lab.theirs.own[0].dnskey(), apex.as_ref(), DigestType::Sha384);
    let found = lab.only(Severity::Note);
    assert!(
        matches!(&found, Finding::BogusToTheStrict { servers, .. } if servers == &[OURS]),
        "{found:?}"
    );
    assert_eq!(found.severity(), Severity::WouldBe);
}

#[test]
fn algorithms_that_differ_are_told() {
    let lab = Lab::of(
        Signer::new("ours"),
        Signer::of("theirs", SigningAlgorithm::EcdsaP256Sha256),
    );
    let findings = lab.report().findings;
    assert!(
        findings.iter().all(|found| found.severity() == Severity::WouldBe),
        "{findings:?}"
    );
    assert!(
        findings
            .iter()
            .any(|found| matches!(found, Finding::AlgorithmsDiffer { by_server }
        if by_server[1].1.contains(&Algorithm::ECDSAP256SHA256)))
    );
    assert!(
        findings
            .iter()
            .any(|found| matches!(found, Finding::BogusToTheStrict { .. }))
    );
}

#[test]
fn a_server_that_does_not_sign_is_bogus_beside_one_that_does() {
    let lab = Lab::new();
    let mut survey = lab.survey();
    for answer in survey.servers[1].answers.iter_mut().flatten() {
        let is_data = |rtype| !matches!(rtype, RrType::RRSIG | RrType::NSEC | RrType::DNSKEY);
        answer.answers.retain(|record| is_data(record.rtype));
        answer.authorities.retain(|record| is_data(record.rtype));
    }
    let found = only(judge(&survey, &[]), Severity::Difference);
    assert!(
        matches!(&found, Finding::NotSigning { server, .. } if server == THEIRS),
        "{found:?}"
    );
    assert_eq!(found.severity(), Severity::Bogus);
}

#[test]
fn signatures_that_end_are_told_before_and_after() {
    let mut lab = Lab::new();
    // Signed so long ago that less than the TTL is left.
    let lifetime = std::time::Duration::from_secs(14 * 86_400);
    lab.theirs.validity = Some(lifetime);
    lab.theirs.signed = NOW
        .minus(lifetime)
        .plus(std::time::Duration::from_secs(3_600 * 24 * 5));
    let report = lab.report();
    let worst: Vec<_> = report.findings.iter().map(Finding::kind).collect();
    assert!(
        worst
            .iter()
            .all(|kind| *kind == "bogus-answer" || *kind == "signature-ends-too-soon"),
        "{worst:?}"
    );

    lab.theirs.signed = NOW.minus(lifetime * 2);
    let found = lab.report().findings;
    assert!(
        found.iter().any(
            |found| matches!(found, Finding::BogusAnswer { why, with_keys_of, .. }
        if why.contains("expired at") && with_keys_of.is_empty())
        ),
        "{found:?}"
    );
    assert!(
        found.iter().any(|found| matches!(found, Finding::NoChain { .. })),
        "{found:?}"
    );

    lab.theirs.signed = NOW.plus(lifetime);
    let found = lab.report().findings;
    assert!(
        found
            .iter()
            .any(|found| matches!(found, Finding::BogusAnswer { why, .. }
        if why.contains("is valid only from"))),
        "{found:?}"
    );
}
