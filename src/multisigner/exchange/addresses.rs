//! Addresses that the provider has no more: nobody asks there, so what was seen there last would stand for ever.
//!
//! That a key is gone leads to its withdrawal. So nothing follows from an address that is missing today, unless all
//! addresses of today were asked, and are believed: then they, not it, say which keys there are.

use std::{collections::BTreeSet, net::SocketAddr};

use super::{Judge, Observation, Source, Unseen};
use crate::dnssec::key::Dnskey;

impl Judge<'_> {
    /// Addresses of before show what those of today show, and no key besides.
    pub(super) fn addresses_of_before(&mut self) {
        let Some(first) = self.verdict.observations.first() else {
            return;
        };
        let evidence = first.evidence.clone();
        if !self.all_of_today_are_believed() {
            return;
        }
        let today: BTreeSet<SocketAddr> = self.round.servers.iter().map(|view| view.at.address).collect();
        let shown = self.verdict.observations.iter().flat_map(|seen| &seen.keys);
        let shown: BTreeSet<&Dnskey> = shown.collect();
        let foreign = self.register.foreign.iter();
        let is_of_before = |source: &&Source| match source {
            Source::Server { provider, address } => {
                provider == self.round.provider && !today.contains(address)
            }
            Source::File(_) | Source::Api(_) => false,
        };
        // Where addresses come and go all the time and show the same, nothing is written down.
        let lonely = foreign.clone().filter(|(key, _)| !shown.contains(key));
        let of_before: BTreeSet<Source> = lonely
            .flat_map(|(_, foreign)| foreign.shown_by.iter().filter(is_of_before).cloned())
            .collect();
        let observed: Vec<Observation> = of_before
            .into_iter()
            .map(|source| {
                let kept = foreign
                    .clone()
                    .filter(|(key, known)| shown.contains(key) && known.shown_by.contains(&source));
                Observation {
                    keys: kept.map(|(key, _)| key.clone()).collect(),
                    source,
                    evidence: evidence.clone(),
                    ttl: None,
                    trust: None,
                }
            })
            .collect();
        self.verdict.observations.extend(observed);
    }

    /// Whether there is a server, and each one is believed, or stood for by its other address.
    fn all_of_today_are_believed(&self) -> bool {
        let is_believed = |address: SocketAddr| {
            let mut seen = self.verdict.observations.iter();
            seen.any(|seen| match &seen.source {
                Source::Server { address: at, .. } => *at == address,
                Source::File(_) | Source::Api(_) => false,
            })
        };
        let servers = &self.round.servers;
        !servers.is_empty()
            && servers.iter().all(|view| match &view.seen {
                Ok(_) => is_believed(view.at.address),
                Err(Unseen::Unreachable(_)) => self.stands_for(view).is_some(),
                Err(Unseen::Odd(_)) => false,
            })
    }
}
