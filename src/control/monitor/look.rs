//! One look: every server of a zone is asked as `countersign verify` asks it, and judged.

use std::{collections::BTreeSet, sync::Arc};

use super::{Level, Trouble, troubles_of};
use crate::{
    client::Asker,
    config::{Config, ZoneSettings},
    control::{
        plans,
        protocol::{Ending, MonitorStatus},
        reckon::reckon,
        server::Server,
        whereabouts::{Whereabouts, reachable},
    },
    dnssec::algorithm::Algorithm,
    multisigner::{
        observe::At,
        verify::{
            Finding, Report, Severity, Target,
            ask::{self, Progress, Request},
            finding::Told,
            judge, samples,
        },
    },
    wire::Name,
};

/// What our own servers are called.
const OURS: &str = "ours";
/// How many owners and types of the content are asked for: a look is made often, and other people's servers answer it.
const SAMPLES: usize = 40;

/// What a look saw.
pub(super) struct Sight {
    pub(super) troubles: Vec<Trouble>,
    pub(super) status: Option<MonitorStatus>,
}

/// Looks at a zone, or at the server as a whole.
pub(super) async fn at(server: &Arc<Server>, config: &Config, subject: Option<&Name>) -> Sight {
    let (told, of) = (Arc::clone(server), subject.cloned());
    let warnings = reckon(move || told.status(of.as_ref()).map(|status| status.warnings)).await;
    let mut troubles: Vec<Trouble> = match warnings {
        Ok(Ok(warnings)) => troubles_of(warnings, subject).collect(),
        // The zone has gone meanwhile.
        Ok(Err(_)) => Vec::new(),
        Err(fault) => vec![Trouble::in_words(Level::Alarm, fault)],
    };
    let settings = subject.and_then(|zone| config.zones.iter().find(|known| known.origin == *zone));
    let others = settings.filter(|zone| !zone.providers.is_empty());
    let Some(zone) = others else {
        return Sight {
            troubles,
            status: None,
        };
    };
    let (report, ()) =
        futures_util::future::join(verify(server, config, zone), plans::observe(server, zone)).await;
    let mut report = match report {
        Ok(report) => report,
        Err(fault) => {
            troubles.push(Trouble::in_words(Level::Alarm, fault));
            let status = None;
            return Sight { troubles, status };
        }
    };
    let on_the_way = server.plans.algorithms_on_the_way(&zone.origin);
    let expected = report
        .findings
        .extract_if(.., |finding| is_expected(finding, &on_the_way));
    let expected: Vec<String> = expected
        .map(|finding| {
            let what = finding.told().what;
            format!("as the plan that goes on has it, and over with it: {what}")
        })
        .collect();
    troubles.extend(report.findings.iter().filter_map(|finding| {
        let level = match finding.severity() {
            Severity::Bogus | Severity::WouldBe => Level::Alarm,
            Severity::Difference | Severity::Unseen => Level::Warning,
            Severity::Note => return None,
        };
        Some(trouble(level, finding.told()))
    }));
    Sight {
        troubles,
        status: Some(status(&report, expected)),
    }
}

/// What follows and what to do may name another question each time; what is so is the same.
fn trouble(level: Level, told: Told) -> Trouble {
    let id = format!("{}: {}", told.kind, told.what);
    let parts = [told.what, told.consequence, told.advice];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    Trouble {
        id: Trouble::in_words(level, id).id,
        level,
        what: parts.join("; "),
    }
}

/// Whether a finding is what a change between these algorithms looks like from outside: one provider signs with all of them
/// already, or still, and nobody with others. Without one that all sign with, there is harm (RFC 8901 §4).
fn is_expected(finding: &Finding, on_the_way: &BTreeSet<Algorithm>) -> bool {
    let Finding::AlgorithmsDiffer { by_server } = finding else {
        return false;
    };
    let planned = by_server.iter().all(|(_, signs)| signs.is_subset(on_the_way));
    let common = on_the_way
        .iter()
        .any(|algorithm| by_server.iter().all(|(_, signs)| signs.contains(algorithm)));
    planned && common
}

fn status(report: &Report, expected: Vec<String>) -> MonitorStatus {
    MonitorStatus {
        looked: report.now,
        holds: report.holds(false),
        servers: report.servers.len(),
        unseen: report.servers.iter().filter(|line| line.unseen.is_some()).count(),
        first_to_end: report.first_to_end.as_ref().map(|(server, ending)| Ending {
            server: server.clone(),
            owner: ending.owner.to_string(),
            rtype: ending.rtype.to_string(),
            expires: ending.expiration,
            slack_seconds: ending.expiration.0 as i64 - report.now.0 as i64,
        }),
        expected,
    }
}

async fn verify(server: &Arc<Server>, config: &Config, zone: &ZoneSettings) -> Result<Report, String> {
    let whereabouts = Whereabouts::new(config);
    let targets = targets(server, config, zone, &whereabouts).await;
    let parent = whereabouts.of_parent(zone).await;
    let label = samples::nobodys_label().unwrap_or_else(|| {
        tracing::warn!("the system gives no random octets");
        // One that no zone is likely to have.
        "nobody-0000000000000000".to_owned()
    });
    let held = server.content_of(&zone.origin);
    let probes = samples::probes(
        &zone.origin,
        &samples::Wanted {
            content: held.as_ref().and_then(|held| held.zone()),
            samples: SAMPLES,
            nobodys_label: &label,
            ..samples::Wanted::default()
        },
    );
    let request = Request {
        zone: zone.origin.clone(),
        targets,
        probes,
        parent: parent.into_iter().filter_map(Result::ok).collect(),
        given: Vec::new(),
    };
    let asker = Asker::default();
    let survey = ask::survey(&asker, request, &*server.clock, &Progress::default()).await;
    reckon(move || judge(&survey, &[])).await
}

/// Ours as they listen, and those of every provider.
async fn targets(
    server: &Arc<Server>,
    config: &Config,
    zone: &ZoneSettings,
    whereabouts: &Whereabouts,
) -> Vec<Target> {
    let ours = server.listen.iter().map(|listen| Target {
        provider: OURS.to_owned(),
        at: At {
            name: None,
            address: reachable(*listen),
        },
    });
    let mut targets: Vec<Target> = ours.collect();
    let named = config
        .providers
        .iter()
        .filter(|provider| zone.providers.contains(&provider.name));
    for provider in named {
        // What is wrong with the driver's settings is told by the exchange of keys.
        let Ok(driver) = server.peers.driver(provider) else {
            continue;
        };
        let found = whereabouts.of_provider(&zone.origin, provider, &*driver).await;
        targets.extend(found.into_iter().flatten().map(|at| Target {
            provider: provider.name.clone(),
            at,
        }));
    }
    let mut seen = BTreeSet::new();
    targets.retain(|target| seen.insert(target.at.address));
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_algorithm_that_is_on_its_way_is_expected_and_nothing_else() {
        const RSA: Algorithm = Algorithm::RSASHA256;
        const P256: Algorithm = Algorithm::ECDSAP256SHA256;
        const ED25519: Algorithm = Algorithm::ED25519;
        let differ = |ours: &[Algorithm], theirs: &[Algorithm]| Finding::AlgorithmsDiffer {
            by_server: vec![
                ("ours".to_owned(), ours.iter().copied().collect()),
                ("theirs".to_owned(), theirs.iter().copied().collect()),
            ],
        };
        let plan = BTreeSet::from([P256, ED25519]);
        assert!(is_expected(&differ(&[P256, ED25519], &[P256]), &plan));
        assert!(is_expected(&differ(&[ED25519], &[P256, ED25519]), &plan));
        // No plan; nothing in common; a third one; another trouble.
        assert!(!is_expected(&differ(&[P256, ED25519], &[P256]), &BTreeSet::new()));
        assert!(!is_expected(&differ(&[ED25519], &[P256]), &plan));
        assert!(!is_expected(&differ(&[P256, RSA], &[P256]), &plan));
        let strict = Finding::BogusToTheStrict {
            servers: Vec::new(),
            why: String::new(),
        };
        assert!(!is_expected(&strict, &plan));
    }
}
