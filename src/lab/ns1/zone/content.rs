//! What the servers answer from: the records of a hosted zone as DNS has them, and as a master file.

use std::{sync::Arc, time::Duration};

use super::{
    super::record::{RecordType, SIGNERS_TYPES, domain_text},
    HostedZone, Times,
};
use crate::{
    wire::{Name, NameRef, RrType, Soa, Ttl},
    zone::{Entry, Place, Zone, ZoneBuilder, master::print_record},
};

/// A TTL above this is served lowered, as everywhere in this program.
const TTL_LIMIT: Ttl = Ttl::new(604_800);

impl HostedZone {
    /// The content and its number, made anew when something changed. `versions` counts contents in all zones. While
    /// what is there makes no zone, such as when its NS is gone, the last that did goes on.
    pub fn content(&mut self, versions: &mut u64) -> Option<(u64, Arc<Zone>)> {
        if std::mem::take(&mut self.stale)
            && let Some(zone) = self.build()
        {
            *versions += 1;
            self.content = Some((*versions, Arc::new(zone)));
        }
        self.content.clone()
    }

    fn build(&self) -> Option<Zone> {
        let mut builder = ZoneBuilder::new(self.apex.as_ref(), TTL_LIMIT);
        self.each(|owner, rtype, ttl, rdata| {
            builder.add(&Entry {
                owner: owner.as_ref(),
                rtype,
                ttl,
                rdata,
                at: Place::default(),
            });
        });
        let zone = builder.finish().ok()?.zone;
        // The builder leaves these out, for a zone file has them from another signer. Here users make them.
        let made = [RrType::CDS, RrType::CDNSKEY, RrType::CSYNC]
            .into_iter()
            .filter_map(|rtype| {
                let record = self.record(&self.apex, &RecordType::Dns(rtype))?;
                let mut rdatas: Vec<&[u8]> = record.rdatas.iter().map(Vec::as_slice).collect();
                // What is signed is in canonical order (RFC 4034 §6.3), and users put it in any.
                rdatas.sort_unstable();
                rdatas.dedup();
                (!rdatas.is_empty()).then_some((rtype, record.ttl, rdatas))
            });
        Some(zone.with_apex_rrsets(made))
    }

    /// Every record of DNS, the SOA first, the signer's own left out.
    fn each(&self, mut take: impl FnMut(&Name, RrType, Ttl, &[u8])) {
        take(&self.apex, RrType::SOA, Ttl::new(self.times.ttl), &self.soa());
        for record in self.records.values() {
            let Some(rtype) = record.rtype.dns() else { continue };
            if SIGNERS_TYPES.contains(&rtype) {
                continue;
            }
            for rdata in &record.rdatas {
                take(&record.domain, rtype, record.ttl, rdata);
            }
        }
    }

    fn soa(&self) -> Vec<u8> {
        let mut rdata = self.primary_master().as_wire().to_vec();
        rdata.extend_from_slice(rname(&self.hostmaster).as_wire());
        let Times {
            refresh,
            retry,
            expiry,
            nx_ttl,
            ..
        } = self.times;
        for number in [self.serial, refresh, retry, expiry, nx_ttl] {
            rdata.extend_from_slice(&number.to_be_bytes());
        }
        rdata
    }

    /// Takes the times, the hostmaster and the primary of a SOA; serials are NS1's own.
    pub fn take_soa(&mut self, ttl: Ttl, rdata: &[u8]) {
        let names = NameRef::split_from(rdata)
            .and_then(|(mname, rest)| Ok((mname, NameRef::split_from(rest)?.0)))
            .ok();
        let (Some((mname, rname)), Some(soa)) = (names, Soa::from_rdata(rdata)) else {
            return;
        };
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        self.times = Times {
            ttl: ttl.seconds(),
            refresh: seconds(soa.refresh),
            retry: seconds(soa.retry),
            expiry: seconds(soa.expire),
            nx_ttl: seconds(soa.minimum),
        };
        self.hostmaster = mailbox(&rname.to_owned());
        let primary = domain_text(&mname.to_owned());
        self.others.insert("primary_master".into(), primary.into());
    }

    /// The zone as a master file (RFC 1035 §5.1); the types that only NS1 has are left out.
    pub fn master_file(&self) -> String {
        let mut text = format!("$ORIGIN {}\n", self.apex);
        self.each(|owner, rtype, ttl, rdata| {
            let printed = print_record(owner.as_ref(), ttl, rtype, rdata, &mut text);
            debug_assert!(printed.is_ok(), "a String takes everything");
        });
        text
    }
}

/// A mailbox as the SOA has it (RFC 1035 §8): dots in front of the `@` are no borders of labels.
fn rname(mailbox: &str) -> Name {
    let name = mailbox.rsplit_once('@').and_then(|(local, domain)| {
        let domain: Name = domain.parse().ok()?;
        domain.as_ref().prepend(local.as_bytes()).ok()
    });
    name.or_else(|| mailbox.parse().ok()).unwrap_or_else(Name::root)
}

fn mailbox(rname: &Name) -> String {
    let Some(local) = rname.as_ref().labels().next() else {
        return ".".into();
    };
    let domain = rname
        .as_ref()
        .parent()
        .map(|domain| domain_text(&domain.to_owned()));
    format!(
        "{}@{}",
        String::from_utf8_lossy(local),
        domain.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{NOW, zone},
        *,
    };
    use crate::lab::ns1::record::HostedRecord;

    #[test]
    fn the_soa_is_made_of_the_zone_object() {
        let mut zone = zone();
        let (version, content) = zone.content(&mut 0).unwrap();
        assert_eq!(
            (version, content.serial(), content.record_count()),
            (1, 1_800_000_000, 3)
        );
        let soa = |zone: &HostedZone| zone.master_file().lines().nth(1).unwrap().to_owned();
        assert_eq!(
            soa(&zone),
            "test.\t3600\tIN\tSOA\tdns1.p01.nsone.net. hostmaster.nsone.net. 1800000000 43200 7200 1209600 3600"
        );
        let body = serde_json::json!({"ttl": 60, "hostmaster": "a.b@c.test", "primary_master": "p.test"});
        zone.take(body.as_object().unwrap()).unwrap();
        assert_eq!(
            soa(&zone),
            "test.\t60\tIN\tSOA\tp.test. a\\.b.c.test. 1800000000 43200 7200 1209600 3600"
        );
        assert_eq!(mailbox(&rname("a.b@c.test")), "a.b@c.test");
    }

    #[test]
    fn while_there_is_no_zone_the_last_one_goes_on() {
        let mut zone = zone();
        let before = zone.content(&mut 0).unwrap().0;
        let ns = RecordType::Dns(RrType::NS);
        let gone = zone.remove(&zone.apex.clone(), &ns).unwrap();
        zone.touch(NOW);
        assert_eq!(zone.content(&mut 7).unwrap().0, before);
        zone.put(gone);
        zone.touch(NOW);
        assert_eq!(zone.content(&mut 7).unwrap().0, 8);
    }

    #[test]
    fn users_make_cds_and_the_signer_makes_dnskey() {
        let mut zone = zone();
        let apex = zone.apex.clone();
        let (mut first, second) = ([2; 36], [2; 36]);
        first[0] = 1;
        for (rtype, rdatas) in [
            (RrType::CDS, &[&second[..], &first[..]][..]),
            (RrType::DNSKEY, &[b"\x01\x01\x03\x0dkey"]),
        ] {
            let record = HostedRecord::from_rdatas(
                "1".into(),
                apex.clone(),
                rtype,
                Ttl::new(60),
                rdatas.iter().map(|rdata| rdata.to_vec()).collect(),
            );
            zone.put(record.unwrap());
        }
        let (_, content) = zone.content(&mut 0).unwrap();
        let cds = content.apex_node().rrset(RrType::CDS).unwrap();
        // In the order in which it is signed, whatever the user's was.
        assert_eq!(cds.rdatas().collect::<Vec<_>>(), [first, second]);
        assert!(content.apex_node().rrset(RrType::DNSKEY).is_none());
        let text = zone.master_file();
        assert!(text.contains("CDS") && !text.contains("DNSKEY"), "{text}");
    }
}
