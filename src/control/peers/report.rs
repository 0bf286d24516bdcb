//! What is told of a look at a provider: to people and machines, and in the log.

use super::{NOWHERE, Peer, Seen};
use crate::{
    clock::UnixTime,
    control::protocol::{PeerApi, PeerFinding, PeerReport, PeerServer},
    dnssec::{key::Dnskey, validate::Ds},
    multisigner::{DsView, Finding, KeyView, Severity},
    provider::ObservedKeys,
};

impl Peer {
    pub(super) fn report(
        &self,
        seen: &Seen,
        lagging_since: Option<UnixTime>,
        by_hand: Vec<String>,
        gift: Option<String>,
    ) -> PeerReport {
        let late = lagging_since.is_some_and(|since| seen.now.since(since) > self.settings.propagation);
        let findings = seen.verdict.findings.iter().map(|found| {
            let lags = matches!(found, Finding::OursMissing { .. } | Finding::NotGiven { .. });
            PeerFinding {
                severity: if late && lags {
                    Severity::Alarm
                } else {
                    found.severity()
                },
                what: match (lags, lagging_since) {
                    (true, Some(since)) if late => format!("{found} (since {since})"),
                    _ => found.to_string(),
                },
            }
        });
        let findings: Vec<PeerFinding> = findings.collect();
        // One that cannot be reached is a finding, unless another address stands for it.
        let some_seen = seen.servers.iter().any(|view| view.seen.is_ok());
        PeerReport {
            zone: self.zone.origin.to_string(),
            provider: self.settings.name.clone(),
            looked: Some(seen.now),
            trusted: seen
                .register
                .trusted
                .get(&self.settings.name)
                .map(ToString::to_string),
            in_step: some_seen && findings.iter().all(|found| found.severity == Severity::Note),
            lagging_since,
            api: seen
                .api
                .as_ref()
                .and_then(|said| said.as_ref().ok())
                .map(api_report),
            servers: seen
                .servers
                .iter()
                .map(|view| server_report(view, seen))
                .collect(),
            parent: seen.parent.iter().map(parent_report).collect(),
            findings,
            gift,
            by_hand,
        }
    }

    /// Says what is new since the last report, and what is over.
    pub(super) fn log(&self, before: Option<&PeerReport>, now: &PeerReport) {
        let (zone, provider) = (&now.zone, &now.provider);
        let said = |found: &PeerFinding| before.is_some_and(|before| before.findings.contains(found));
        for found in now.findings.iter().filter(|found| !said(found)) {
            match found.severity {
                Severity::Note => tracing::info!(zone, provider, "{}", found.what),
                Severity::Warning => tracing::warn!(zone, provider, "{}", found.what),
                Severity::Alarm => tracing::error!(zone, provider, "{}", found.what),
            }
        }
        for record in now
            .by_hand
            .iter()
            .filter(|_| before.is_none_or(|before| before.by_hand != now.by_hand))
        {
            tracing::warn!(zone, provider, "to be added there by hand: {record}");
        }
        if now.in_step && !before.is_some_and(|before| before.in_step) {
            tracing::info!(zone, provider, "in step: every server shows every key of both");
        }
    }
}

fn tags_of<'k>(keys: impl IntoIterator<Item = &'k Dnskey>) -> Vec<u16> {
    keys.into_iter().map(Dnskey::key_tag).collect()
}

fn api_report(said: &ObservedKeys) -> PeerApi {
    PeerApi {
        signs: said.signs,
        own: tags_of(&said.own),
        ours: tags_of(&said.ours),
        others: tags_of(said.others.iter().map(|(_, key)| key)),
    }
}

fn server_report(view: &KeyView, seen: &Seen) -> PeerServer {
    let at = match (view.at.address == NOWHERE, &view.at.name) {
        (true, Some(name)) => name.to_string(),
        (true, None) => "its servers".to_owned(),
        _ => view.at.to_string(),
    };
    match &view.seen {
        Ok(answer) => PeerServer {
            at,
            failed: None,
            ttl: Some(answer.ttl.seconds()),
            theirs: tags_of(answer.keys.iter().filter(|key| !seen.register.is_own(key))),
            ours: tags_of(answer.keys.iter().filter(|key| seen.register.is_own(key))),
            lacking: tags_of(
                seen.wanted
                    .iter()
                    .flatten()
                    .filter(|key| !answer.keys.contains(key)),
            ),
            signers: tags_of(&answer.signers),
        },
        Err(why) => PeerServer {
            at,
            failed: Some(why.to_string()),
            ..PeerServer::default()
        },
    }
}

fn parent_report(view: &DsView) -> PeerServer {
    let at = match (view.at.address == NOWHERE, &view.at.name) {
        (true, Some(name)) => name.to_string(),
        (true, None) => "the parent".to_owned(),
        _ => view.at.to_string(),
    };
    match &view.seen {
        Ok(ds) => PeerServer {
            at,
            theirs: ds.iter().map(Ds::tag).collect(),
            ..PeerServer::default()
        },
        Err(why) => PeerServer {
            at,
            failed: Some(why.to_string()),
            ..PeerServer::default()
        },
    }
}
