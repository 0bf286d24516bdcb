//! The parent that reads CDS and CSYNC (RFC 7344, RFC 7477), at any time, from every server of every provider that it
//! names, and changes nothing where they differ (RFC 9975 §3).

use super::{
    chain::Ds,
    engine::{Deed, Event, World},
    parties::Cds,
};

/// A parent whose child never agrees with itself gives up.
const MOST_SCANS: u64 = 60;

impl World {
    /// The parent reads CDS and CSYNC some time from now.
    pub fn scan_later(&mut self) {
        self.scans += 1;
        if self.parent.never_acts || self.scans > MOST_SCANS {
            return;
        }
        let delay = 1 + self.random.below(self.parent.pace);
        self.pending += 1;
        self.queue.at(self.now + delay, Event::Scan);
    }

    /// The parent reads CDS and CSYNC. It comes again while servers differ.
    pub fn scan(&mut self) {
        let asked: Vec<usize> = (0..self.providers.len())
            .filter(|provider| self.parent.ns.members & 1 << provider != 0)
            .flat_map(|provider| self.servers.of[provider].iter().copied())
            .collect();
        let all = &self.servers.all;
        let answering: Vec<usize> = asked.into_iter().filter(|server| all[*server].serving).collect();
        let Some(first) = answering.first() else { return };
        let cds = all[*first].cds;
        let one = if self.parent.asks_one {
            Some(answering[self.random.below(answering.len() as u64) as usize])
        } else {
            None
        };
        let taken = |server: usize| all[server].csync.then_some(all[server].ns.members);
        let ns = taken(one.unwrap_or(*first));
        let same_cds = |server: &usize| all[*server].cds.map(|cds| cds.wanted) == cds.map(|cds| cds.wanted);
        let same_ns = one.is_some() || answering.iter().all(|server| taken(*server) == ns);
        if !same_ns || !answering.iter().all(same_cds) {
            self.story.tell(self.now, || {
                "the parent reads CDS and CSYNC, and servers differ".to_owned()
            });
            return self.scan_later();
        }
        let mut acts = false;
        if let Some(cds) = cds
            && self.is_vouched_for(&answering, cds)
            && self.parent.ds.keys() != cds.wanted
        {
            self.parent.ds = Ds::sha256(cds.wanted, self.parent.ds.ttl);
            acts = true;
            if std::mem::take(&mut self.given_up_when_read) {
                let delay = self.random.below(self.parent.lag / 4 + 1);
                self.later(delay, Deed::GiveUp);
            }
        }
        if let Some(members) = ns
            && self.parent.ns.members != members
        {
            self.parent.ns.members = members;
            acts = true;
            self.story
                .tell(self.now, || "the parent takes its NS RRset from CSYNC".to_owned());
        }
        if acts {
            self.story.tell(self.now, || {
                "the parent has read what the child wants, and acts".to_owned()
            });
            self.publish_parent();
        }
    }

    /// Whether every server's CDS is signed by a key that the DS RRset points to (RFC 7344 §4.1).
    fn is_vouched_for(&self, answering: &[usize], cds: Cds) -> bool {
        cds.wanted != 0
            && answering.iter().all(|server| {
                let server = &self.servers.all[*server];
                let signers = server.cds.map_or(0, |cds| cds.signers);
                signers & server.dnskeys.keys & server.dnskeys.signers & self.parent.ds.keys() != 0
            })
    }
}
