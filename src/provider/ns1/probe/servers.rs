//! What NS1's servers show: asked directly, as no resolver would tell it.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use tokio::time::{Instant, sleep};

use super::Probe;
use crate::{
    client::{Asker, Question, Resolver, Transfer, TransferSettings},
    dnssec::key::Dnskey,
    wire::{
        Name, RrType,
        received::{Received, Record},
        text::print_rdata,
    },
};

/// How many servers are asked: NS1 gives a zone four names, each with two addresses.
const MOST_SERVERS: usize = 16;
/// How long a change is waited for at the servers, and how often it is looked at.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// A name that no zone has.
const NO_NAME: &[u8] = b"countersign-probe-no-such-name";

/// The fields of an RRSIG that tell something (RFC 4034 §3.1).
struct Signature {
    covered: RrType,
    expiration: u32,
    inception: u32,
    tag: u16,
}

impl Signature {
    fn read(record: &Record) -> Option<Self> {
        let rdata = &record.rdata;
        let at16 = |at: usize| Some(u16::from_be_bytes(*rdata.get(at..)?.first_chunk()?));
        let at32 = |at: usize| Some(u32::from_be_bytes(*rdata.get(at..)?.first_chunk()?));
        (record.rtype == RrType::RRSIG).then_some(())?;
        Some(Self {
            covered: RrType(at16(0)?),
            expiration: at32(8)?,
            inception: at32(12)?,
            tag: at16(16)?,
        })
    }
}

fn signatures(received: &Received) -> impl Iterator<Item = Signature> {
    received.answers.iter().filter_map(Signature::read)
}

fn question(name: &Name, rtype: RrType) -> Question {
    Question {
        name: name.clone(),
        rtype,
        dnssec: true,
        recursion: false,
    }
}

/// The DNSKEY RRset of an answer, and its smallest TTL.
fn keys(received: &Received) -> (Vec<Dnskey>, Option<u32>) {
    let records = || {
        received
            .answers
            .iter()
            .filter(|record| record.rtype == RrType::DNSKEY)
    };
    let keys = records()
        .filter_map(|record| Dnskey::from_rdata(&record.rdata).ok())
        .collect();
    (keys, records().map(|record| record.ttl.seconds()).min())
}

impl Probe {
    /// Where the servers of these names are; those of the plan, when it names any.
    pub(super) async fn addresses(&self, names: &[Name]) -> Vec<SocketAddr> {
        if !self.plan.servers.is_empty() {
            return self.plan.servers.clone();
        }
        self.tell("looking up NS1's name servers");
        let Ok(resolver) = Resolver::of_system() else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for name in names {
            for address in resolver.addresses_of(name).await.unwrap_or_default() {
                found.push(SocketAddr::new(address, 53));
            }
        }
        found.sort();
        found.dedup();
        found.truncate(MOST_SERVERS);
        found
    }

    /// Everything that servers tell of a zone that is there.
    pub(super) async fn look_at_servers(&self, zone: &Name, servers: &[SocketAddr], own: &[Dnskey]) {
        let asked_of_servers = ["3.1", "6.1", "6.3", "6.4"];
        if servers.is_empty() {
            for number in asked_of_servers {
                self.not_tried(number, "no address of NS1's servers is known here");
            }
            return;
        }
        self.tell(&format!("asking {} of NS1's servers about {zone}", servers.len()));
        self.look_at_served_keys(zone, servers, own).await;
        self.look_at_signatures(zone, servers).await;
        self.look_at_denial(zone, servers).await;
        self.look_at_transfer(zone, servers[0]).await;
    }

    async fn look_at_served_keys(&self, zone: &Name, servers: &[SocketAddr], own: &[Dnskey]) {
        let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for server in servers {
            let seen = match Asker::default()
                .ask(*server, &question(zone, RrType::DNSKEY))
                .await
            {
                Ok(received) => {
                    let (keys, ttl) = keys(&received);
                    let (ours, others): (Vec<_>, Vec<_>) =
                        keys.into_iter().partition(|key| own.contains(key));
                    let signers: Vec<String> = signatures(&received)
                        .map(|signature| signature.tag.to_string())
                        .collect();
                    match ttl {
                        Some(ttl) => format!(
                            "TTL {ttl}; NS1's own {}; others {}; signed by {}",
                            super::look::roles(&ours),
                            super::look::roles(&others),
                            signers.join(", ")
                        ),
                        None => format!("no DNSKEY RRset ({})", received.rcode),
                    }
                }
                Err(error) => error.to_string(),
            };
            told.entry(seen).or_default().push(server.to_string());
        }
        for (seen, servers) in told {
            self.saw("3.1", zone, format!("{seen} (at {})", servers.join(", ")));
        }
    }

    async fn look_at_signatures(&self, zone: &Name, servers: &[SocketAddr]) {
        for rtype in [RrType::SOA, RrType::DNSKEY] {
            let Some(received) = self.first_answer(servers, &question(zone, rtype)).await else {
                continue;
            };
            let Some(signature) = signatures(&received).find(|signature| signature.covered == rtype) else {
                self.saw("6.1", zone, format!("{rtype}: not signed ({})", received.rcode));
                continue;
            };
            let now = self.clock.now().to_serial();
            self.saw(
                "6.1",
                zone,
                format!(
                    "{rtype}: {:.1} h in all, begun {:.1} h ago, by key {}",
                    f64::from(signature.expiration.wrapping_sub(signature.inception)) / 3_600.0,
                    f64::from(now.wrapping_sub(signature.inception) as i32) / 3_600.0,
                    signature.tag
                ),
            );
        }
    }

    async fn look_at_denial(&self, zone: &Name, servers: &[SocketAddr]) {
        let Ok(name) = zone.as_ref().prepend(NO_NAME) else {
            return self.not_tried("6.3", "the zone's name leaves no room for one below it");
        };
        let question = question(&name, RrType::A);
        let Some(received) = self.first_answer(servers, &question).await else {
            return self.not_tried("6.3", "no server answers");
        };
        let proofs: Vec<String> = received
            .authorities
            .iter()
            .filter(|record| matches!(record.rtype, RrType::NSEC | RrType::NSEC3))
            .map(printed)
            .collect();
        let with_co = match Asker::default().ask_compact(servers[0], &question).await {
            Ok(received) => received.rcode.to_string(),
            Err(error) => error.to_string(),
        };
        self.saw(
            "6.3",
            zone,
            format!(
                "{} without CO, {with_co} with it; {}",
                received.rcode,
                proofs.join("; ")
            ),
        );
    }

    async fn look_at_transfer(&self, zone: &Name, server: SocketAddr) {
        let settings = TransferSettings {
            stall: Duration::from_secs(10),
            deadline: Duration::from_secs(60),
            ..TransferSettings::default()
        };
        let transfer = Transfer {
            server,
            zone,
            key: None,
            settings: &settings,
            clock: &*self.clock,
        };
        let mut counts: BTreeMap<RrType, usize> = BTreeMap::new();
        let fetched = transfer
            .fetch(None, &mut |record| *counts.entry(record.rtype).or_default() += 1)
            .await;
        let told = match fetched {
            Ok(_) => {
                let counts: Vec<String> = counts
                    .iter()
                    .map(|(rtype, count)| format!("{count} {rtype}"))
                    .collect();
                format!("records: {}", counts.join(", "))
            }
            Err(error) => format!(
                "not given to us: {}. Add this host's address under outgoing zone transfers in NS1's portal, and probe \
                 again",
                error.fault
            ),
        };
        self.saw("6.4", zone, told);
    }

    async fn first_answer(&self, servers: &[SocketAddr], question: &Question) -> Option<Received> {
        for server in servers {
            if let Ok(received) = Asker::default().ask(*server, question).await {
                return Some(received);
            }
        }
        None
    }

    /// Waits until every server shows the key (or none does); says how long it took, and with which TTL.
    pub(super) async fn wait_for_key(
        &self,
        zone: &Name,
        servers: &[SocketAddr],
        key: &Dnskey,
    ) -> Result<String, String> {
        let began = Instant::now();
        let asker = Asker {
            tries: 1,
            ..Asker::default()
        };
        loop {
            let mut missing = Vec::new();
            let mut ttls = Vec::new();
            for server in servers {
                let answered = asker.ask(*server, &question(zone, RrType::DNSKEY)).await;
                let (shown, ttl) = answered.as_ref().map_or((Vec::new(), None), keys);
                ttls.extend(ttl);
                if !shown.contains(key) {
                    missing.push(server.to_string());
                }
            }
            ttls.sort_unstable();
            ttls.dedup();
            let seconds = began.elapsed().as_secs_f32();
            if missing.is_empty() {
                return Ok(format!(
                    "after {seconds:.1} s at all {}; TTL {ttls:?}",
                    servers.len()
                ));
            }
            if began.elapsed() >= PATIENCE {
                return Err(format!("not within {seconds:.0} s at {}", missing.join(", ")));
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Which key signs the RRset, once a server has it.
    pub(super) async fn signer_of(
        &self,
        zone: &Name,
        rtype: RrType,
        servers: &[SocketAddr],
        own: &[Dnskey],
    ) -> Result<String, String> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let received = self.first_answer(servers, &question(zone, rtype)).await;
            let tag = received
                .iter()
                .flat_map(signatures)
                .find(|signature| signature.covered == rtype)
                .map(|signature| signature.tag);
            if let Some(tag) = tag {
                let key = own.iter().find(|key| key.key_tag() == tag);
                return Ok(
                    key.map_or(format!("key {tag}, which /dnssec does not show"), |key| {
                        let role = if key.is_sep() { "the KSK" } else { "the ZSK" };
                        format!("{role} {tag}")
                    }),
                );
            }
            sleep(LOOK_AGAIN).await;
        }
        Err(format!("no signed {rtype} within {} s", PATIENCE.as_secs()))
    }
}

fn printed(record: &Record) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = print_rdata(record.rtype, &record.rdata, &mut text);
    format!("{} {} {text}", record.owner, record.rtype)
}
