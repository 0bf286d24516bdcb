//! Two providers of a zone in this process, and one fault at a time: exactly the finding that it deserves speaks, and
//! without a fault all are silent.

mod apex;
mod content;
mod keys;

use std::sync::Arc;

use super::{
    Finding, ParentSaid, Report, Severity, Survey, Surveyed, Target, judge,
    samples::{self, Wanted},
};
use crate::{
    answer::{
        Effort, Engine, EngineSettings, Outcome, Peer, Responder as _, ServedZone, Transport, Work as _,
        ZonePolicy,
    },
    clock::{SimulatedClock, UnixTime},
    dnssec::{
        algorithm::{DigestType, SigningAlgorithm},
        denial::{Denial, nsec3::Parameters},
        key::{Dnskey, SEP, SigningKey, ZONE},
        keyset::{Cds, KeySet, KeyState, Member, Origin, Publishing},
        validate::Ds,
    },
    multisigner::observe::{At, DsView, Unseen},
    wire::{Name, RrType, Ttl, received::Received},
    zone::{
        Zone, ZoneBuilder,
        master::{self, Source},
    },
};

const NOW: UnixTime = UnixTime(1_800_000_000);

const ZONE_TEXT: &str = "\
@ 3600 SOA ns1 h 1 2 3 4 300
@ 3600 NS ns1
@ 3600 NS ns2
@ 3600 MX 10 mail
ns1 3600 A 192.0.2.1
ns2 3600 A 192.0.2.2
mail 3600 A 192.0.2.3
www 3600 A 192.0.2.4
www 3600 TXT \"hello\"
alias 3600 CNAME www
*.wild 3600 A 192.0.2.5
a.b 3600 A 192.0.2.6
sub 3600 NS ns.sub
ns.sub 3600 A 192.0.2.7
signed 3600 NS ns.sub
signed 3600 DS 1 13 2 8d02536c887482bc34ff54e41d2ba659bf85b341a0a20afadb5813dcfbcf286d
";

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn zone(text: &str) -> Zone {
    let apex = name("example.");
    let mut builder = ZoneBuilder::new(apex.as_ref(), Ttl::new(604_800));
    let source = Source::Text {
        name: "test",
        octets: text.as_bytes(),
    };
    let read = master::read(&source, apex.as_ref(), &mut |entry| builder.add(&entry));
    assert!(read.errors.is_empty(), "{:?}", read.errors);
    builder.finish().unwrap().zone
}

/// A provider: what it serves, and with which keys.
#[derive(Clone)]
struct Signer {
    label: &'static str,
    text: String,
    denial: Denial,
    /// Of NSEC3.
    iterations: u16,
    /// Sign here.
    own: Vec<Arc<SigningKey>>,
    /// Are published here.
    foreign: Vec<Dnskey>,
    /// Of ours, published and idle.
    idle: Vec<Dnskey>,
    publishing: Publishing,
    validity: Option<std::time::Duration>,
    /// When it signed.
    signed: UnixTime,
}

fn key(algorithm: SigningAlgorithm, flags: u16) -> Arc<SigningKey> {
    Arc::new(SigningKey::generate(algorithm, flags).unwrap())
}

impl Signer {
    fn new(label: &'static str) -> Self {
        Self::of(label, SigningAlgorithm::Ed25519)
    }

    fn of(label: &'static str, algorithm: SigningAlgorithm) -> Self {
        Self {
            label,
            text: ZONE_TEXT.to_owned(),
            denial: Denial::Compact,
            iterations: 0,
            own: vec![key(algorithm, ZONE | SEP), key(algorithm, ZONE)],
            foreign: Vec::new(),
            idle: Vec::new(),
            publishing: Publishing::default(),
            validity: None,
            signed: NOW,
        }
    }

    fn keys(&self) -> Vec<Dnskey> {
        self.own.iter().map(|key| key.dnskey().clone()).collect()
    }

    fn ds(&self) -> Ds {
        Ds::of(
            self.own[0].dnskey(),
            name("example.").as_ref(),
            DigestType::Sha256,
        )
    }

    fn replace(&mut self, from: &str, to: &str) {
        assert!(self.text.contains(from), "{from}");
        self.text = self.text.replace(from, to);
    }

    fn engine(&self) -> Arc<Engine> {
        let apex = name("example.");
        let member = |dnskey: &Dnskey, origin, state, signer| Member {
            dnskey: dnskey.clone(),
            origin,
            state,
            signer,
        };
        let foreign = || Origin::Provider { sources: Vec::new() };
        let mut members: Vec<Member> = Vec::new();
        for key in &self.own {
            members.push(member(
                key.dnskey(),
                Origin::Own,
                KeyState::Active,
                Some(key.clone()),
            ));
        }
        members.extend(
            self.foreign
                .iter()
                .map(|key| member(key, foreign(), KeyState::Seen, None)),
        );
        members.extend(
            self.idle
                .iter()
                .map(|key| member(key, Origin::Own, KeyState::Published, None)),
        );
        let keys = KeySet::assemble(apex.as_ref(), members, self.publishing, None).unwrap();
        let engine = Engine::new(
            EngineSettings::default(),
            Arc::new(SimulatedClock::new(self.signed)),
        );
        let policy = ZonePolicy {
            denial: self.denial,
            validity: self.validity,
            ..ZonePolicy::default()
        };
        let parameters = Parameters {
            iterations: self.iterations,
            ..Parameters::default()
        };
        let served = ServedZone::with_nsec3(
            &zone(&self.text),
            Arc::new(keys),
            &policy,
            parameters,
            self.signed,
            None,
        );
        let served = served.unwrap();
        engine.publish(vec![Arc::new(served)]);
        engine
    }
}

fn ask(engine: &Arc<Engine>, owner: &Name, rtype: RrType) -> Received {
    let mut packet = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    packet.extend_from_slice(owner.as_wire());
    packet.extend_from_slice(&rtype.0.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet.extend_from_slice(&[0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0]);
    let from = Peer {
        address: ([127, 0, 0, 1], 5353).into(),
        transport: Transport::Tcp,
    };
    let mut worker = engine.worker();
    worker.begin_batch();
    let mut out = Vec::new();
    assert_eq!(
        worker.answer(&packet, from, Effort::Full, &mut out),
        Outcome::Answered
    );
    Received::read(&out).unwrap()
}

/// Two providers that have each other's keys, and a parent that has the DS of both.
struct Lab {
    ours: Signer,
    theirs: Signer,
    ds: Vec<Ds>,
}

impl Lab {
    fn new() -> Self {
        Self::of(Signer::new("ours"), Signer::new("theirs"))
    }

    fn of(mut ours: Signer, mut theirs: Signer) -> Self {
        ours.foreign = theirs.keys();
        theirs.foreign = ours.keys();
        let ds = vec![ours.ds(), theirs.ds()];
        Self { ours, theirs, ds }
    }

    fn survey(&self) -> Survey {
        let content = zone(&self.ours.text);
        let wanted = Wanted {
            content: Some(&content),
            samples: 100,
            nobodys_label: "nobody-has-this",
            ..Wanted::default()
        };
        let probes = samples::probes(&name("example."), &wanted);
        let said = |signer: &Signer, port| {
            let engine = signer.engine();
            let answers = probes
                .iter()
                .map(|probe| Ok(ask(&engine, &probe.name, probe.rtype)));
            Surveyed {
                target: Target {
                    provider: signer.label.to_owned(),
                    at: at(port),
                },
                answers: answers.collect(),
                tcp: Ok(()),
            }
        };
        let servers = vec![said(&self.ours, 1), said(&self.theirs, 2)];
        let parent = ParentSaid {
            ds: vec![DsView {
                at: at(3),
                seen: Ok(self.ds.clone()),
            }],
            ..ParentSaid::default()
        };
        Survey {
            zone: name("example."),
            now: NOW,
            probes,
            servers,
            parent,
        }
    }

    fn report(&self) -> Report {
        judge(&self.survey(), &[])
    }

    /// The one finding of which the severity is not below `least`.
    #[track_caller]
    fn only(&self, least: Severity) -> Finding {
        only(self.report(), least)
    }
}

#[track_caller]
fn only(report: Report, least: Severity) -> Finding {
    let mut findings = report.findings;
    findings.retain(|finding| finding.severity() >= least);
    assert_eq!(
        findings.len(),
        1,
        "{:#?}",
        findings.iter().map(Finding::told).collect::<Vec<_>>()
    );
    findings.remove(0)
}

fn at(host: u8) -> At {
    At {
        name: None,
        address: ([192, 0, 2, host], 53).into(),
    }
}

const OURS: &str = "ours/192.0.2.1";
const THEIRS: &str = "theirs/192.0.2.2";

#[test]
fn two_that_have_each_other_s_keys_are_silent() {
    for (ours, theirs) in [
        (Denial::Compact, Denial::Compact),
        (Denial::Nsec, Denial::Nsec),
        (Denial::Nsec3, Denial::Nsec3),
    ] {
        let mut lab = Lab::new();
        (lab.ours.denial, lab.theirs.denial) = (ours, theirs);
        let report = lab.report();
        assert_eq!(report.findings, [], "{ours:?}");
        assert!(report.holds(true));
        assert_eq!(report.pairs.len(), 4);
        for pair in &report.pairs {
            let judged: Vec<usize> = pair.cells.iter().map(|cell| cell.judged).collect();
            assert!(
                judged.iter().all(|count| *count > 0),
                "every column is filled: {judged:?}"
            );
            assert!(pair.cells.iter().all(|cell| cell.bogus == 0));
        }
        assert!(report.servers.iter().all(|line| line.chain == Some(true)));
    }
}

/// Every finding says what is so, what follows and what to do.
#[test]
fn findings_are_told_in_words() {
    let mut lab = Lab::new();
    lab.theirs.foreign.retain(Dnskey::is_sep);
    let told = lab.only(Severity::Bogus).told();
    let zsk = lab.ours.own[1].dnskey();
    assert_eq!(told.kind, "key-missing");
    assert_eq!(
        told.what,
        format!(
            "the DNSKEY RRset of {THEIRS} lacks ZSK {} (ED25519), with which {OURS} signs",
            zsk.key_tag()
        )
    );
    assert_eq!(
        told.consequence,
        format!(
            "a resolver that took the DNSKEY RRset from {THEIRS} finds answers from {OURS} bogus, such as example. SOA"
        )
    );
    assert!(
        told.advice.contains(&format!("example. DNSKEY {zsk}")),
        "{}",
        told.advice
    );
}

#[test]
fn an_unreachable_server_is_neither_good_nor_bad() {
    let lab = Lab::new();
    let mut survey = lab.survey();
    let gone = Unseen::Unreachable("no route".to_owned());
    for answer in &mut survey.servers[1].answers {
        *answer = Err(gone.clone());
    }
    let report = judge(&survey, &[]);
    let found = only(report, Severity::Note);
    assert!(
        matches!(&found, Finding::Unreachable { server, .. } if server == THEIRS),
        "{found:?}"
    );
    assert_eq!(found.severity(), Severity::Unseen);
    let report = judge(&survey, &[]);
    assert_eq!(report.pairs.len(), 1);
    // Of a whole provider nothing is known, so it does not hold; of one server of two it would.
    assert!(!report.holds(false));
    let mut another = lab.survey();
    let mut second = another.servers.remove(1);
    second.target.at = at(9);
    survey.servers.push(second);
    assert!(judge(&survey, &[]).holds(false));
}

/// A DS of which only the one who cannot be asked may have the key is not held against anybody.
#[test]
fn what_the_unreachable_may_have_is_left_open() {
    let mut lab = Lab::new();
    lab.ours.foreign.retain(|key| !key.is_sep());
    let mut survey = lab.survey();
    for answer in &mut survey.servers[1].answers {
        *answer = Err(Unseen::Unreachable("no route".to_owned()));
    }
    let findings = judge(&survey, &[]).findings;
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(
        findings
            .iter()
            .all(|finding| finding.severity() == Severity::Unseen)
    );
    assert!(matches!(&findings[1], Finding::DsWithoutKey { perhaps_of, .. } if perhaps_of == &["theirs"]));
}
