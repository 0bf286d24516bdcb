//! Name servers, the SOA, CDS, and servers that answer badly.

use super::*;
use crate::{dnssec::keyset::Cds, wire::message::Rcode};

#[test]
fn name_servers_that_differ() {
    let mut lab = Lab::new();
    lab.theirs.replace("@ 3600 NS ns2\n", "");
    let found = lab.only(Severity::Note);
    assert!(
        matches!(&found, Finding::NameServersDiffer { by_server }
            if by_server.iter().any(|(server, ns)| server == THEIRS && ns == "ns1.example.")),
        "{found:?}"
    );
    assert_eq!(found.severity(), Severity::Difference);

    let lab = Lab::new();
    let mut survey = lab.survey();
    survey.parent.ns.push((at(3), [name("ns1.example.")].into()));
    let found = only(judge(&survey, &[]), Severity::Note);
    assert!(
        matches!(&found, Finding::NameServersDiffer { by_server }
            if by_server.iter().any(|(server, _)| server == "parent/192.0.2.3")),
        "{found:?}"
    );
}

#[test]
fn times_of_the_apex_that_differ() {
    let mut lab = Lab::new();
    // The serial, the names and the timers are each one's own.
    lab.theirs
        .replace("SOA ns1 h 1 2 3 4 300", "SOA ns2 other 9 8 7 6 300");
    assert_eq!(lab.report().findings, []);
    lab.theirs.replace("7 6 300", "7 6 60");
    assert!(matches!(
        lab.only(Severity::Note),
        Finding::NegativeTtlDiffers { .. }
    ));

    let mut lab = Lab::new();
    lab.theirs.publishing.ttl = Ttl::new(7_200);
    let found = lab.only(Severity::Note);
    assert!(
        matches!(&found, Finding::TtlDiffers { question, .. } if question == "example. DNSKEY"),
        "{found:?}"
    );
    let mut lab = Lab::new();
    lab.theirs.replace("@ 3600 NS", "@ 7200 NS");
    let found = lab.only(Severity::Note);
    assert!(
        matches!(&found, Finding::TtlDiffers { question, .. } if question == "example. NS"),
        "{found:?}"
    );
}

#[test]
fn cds_that_is_the_same_everywhere_is_silent() {
    let mut lab = Lab::new();
    for signer in [&mut lab.ours, &mut lab.theirs] {
        signer.publishing.cds = Cds::Publish;
    }
    assert_eq!(lab.report().findings, []);
}

#[test]
fn cds_that_only_one_has() {
    let mut lab = Lab::new();
    lab.ours.publishing.cds = Cds::Publish;
    let found = lab.only(Severity::Note);
    assert!(
        matches!(&found, Finding::CdsDiffers { by_server } if by_server.iter().any(|(server, wish)| server == THEIRS && wish == "nothing")),
        "{found:?}"
    );
    lab.ours.publishing.cds = Cds::Delete;
    assert!(matches!(lab.only(Severity::Note), Finding::CdsDiffers { .. }));
}

/// While a KSK rolls, the new one signs beside the old one, which alone has a DS.
#[test]
fn cds_that_a_key_with_a_ds_signs_beside_another_is_silent() {
    // Whichever signature a resolver is content with.
    for comes_first in [true, false] {
        let mut lab = Lab::new();
        let old = lab.ours.own[0].clone();
        let new = std::iter::repeat_with(|| key(SigningAlgorithm::Ed25519, ZONE | SEP))
            .find(|new| (new.key_tag() < old.key_tag()) == comes_first);
        let new = new.unwrap();
        lab.theirs.foreign.push(new.dnskey().clone());
        lab.ours.own.push(new);
        for signer in [&mut lab.ours, &mut lab.theirs] {
            signer.publishing.cds = Cds::Publish;
        }
        let findings = lab.report().findings;
        let unvouched = |found: &Finding| matches!(found, Finding::CdsUnvouched { .. });
        assert!(!findings.iter().any(unvouched), "{findings:?}");
    }
}

/// The same wish everywhere, and one signer left out of it.
#[test]
fn cds_that_leaves_a_signer_out_would_be() {
    let mut lab = Lab::new();
    for signer in [&mut lab.ours, &mut lab.theirs] {
        signer.publishing.cds = Cds::Publish;
    }
    let mut survey = lab.survey();
    let tag = lab.theirs.own[0].key_tag();
    for server in &mut survey.servers {
        for answer in server.answers.iter_mut().flatten() {
            answer.answers.retain(|record| match record.rtype {
                RrType::CDS => record.rdata[..2] != tag.to_be_bytes(),
                RrType::CDNSKEY => *record.rdata != *lab.theirs.own[0].dnskey().rdata(),
                _ => true,
            });
        }
    }
    let findings = judge(&survey, &[]).findings;
    // The signatures are spoiled with it.
    assert!(
        findings
            .iter()
            .any(|found| matches!(found, Finding::CdsLeavesOut { servers, .. } if servers == &[THEIRS])),
        "{findings:?}"
    );
    // CDNSKEY of a key, and no CDS of it.
    for server in &mut survey.servers {
        for answer in server.answers.iter_mut().flatten() {
            if answer.question.as_ref().unwrap().1 == RrType::CDNSKEY {
                let record = answer.answers[0].clone();
                let rdata = lab.theirs.own[0].dnskey().rdata().into();
                answer
                    .answers
                    .push(crate::wire::received::Record { rdata, ..record });
            }
        }
    }
    let findings = judge(&survey, &[]).findings;
    assert!(
        findings
            .iter()
            .any(|found| matches!(found, Finding::CdsContradicts { why, .. }
            if why == &format!("CDNSKEY names key {tag}, and no CDS is of it"))),
        "{findings:?}"
    );
}

#[test]
fn servers_that_answer_badly() {
    let lab = Lab::new();
    let spoil = |change: &dyn Fn(&mut Received)| {
        let mut survey = lab.survey();
        survey.servers[1].answers.iter_mut().flatten().for_each(change);
        judge(&survey, &[])
    };
    let refused = spoil(&|answer| answer.rcode = Rcode::REFUSED);
    assert!(
        refused
            .findings
            .iter()
            .any(|found| matches!(found, Finding::Lame { server, why }
        if server == THEIRS && why == "it answers REFUSED to example. SOA")),
        "{:?}",
        refused.findings
    );
    let lame = spoil(&|answer| answer.authoritative = false);
    assert!(
        lame.findings
            .iter()
            .any(|found| matches!(found, Finding::Lame { .. })),
        "{:?}",
        lame.findings
    );
    assert!(!lame.holds(false));
    // One question only.
    let some = spoil(&|answer| {
        if answer.question.as_ref().unwrap().1 == RrType::CDS {
            answer.rcode = Rcode::SERVFAIL;
        }
    });
    let found = only(some, Severity::Note);
    assert!(
        matches!(&found, Finding::Unanswered { question, more: 0, .. } if question == "example. CDS"),
        "{found:?}"
    );

    let mut survey = lab.survey();
    survey.servers[0].tcp = Err(Unseen::Unreachable("refused".to_owned()));
    let found = only(judge(&survey, &[]), Severity::Note);
    assert!(matches!(found, Finding::NoTcp { .. }));
    assert!(judge(&survey, &[]).holds(true));
}
