//! Outgoing zone transfers (RFC 5936), and who may have one. An IXFR is answered with the whole zone, or with the SOA
//! alone when nothing changed (RFC 1995 §4).

use std::{net::IpAddr, sync::Arc};

use serde_json::Value;

use crate::{
    wire::{
        Class, RrType, Serial, Soa,
        message::{Full, MAX_MESSAGE, Owner, Query, Rcode, Response, Section},
        received::Received,
    },
    zone::{Cursor, NodeView, Zone},
};

/// A message is ended when it is about this long: pointers reach 16,384 octets (RFC 5936 §2.2).
const MESSAGE: usize = 16_000;

/// A zone that may be transferred.
#[derive(Clone, Debug)]
pub struct Transferable {
    /// Its content.
    pub zone: Arc<Zone>,
    /// The member `secondaries` of its `primary`.
    pub secondaries: Vec<Value>,
}

impl Transferable {
    /// Whether a secondary is at this address: each is an address or a prefix.
    pub fn allows(&self, address: IpAddr) -> bool {
        let ips = self
            .secondaries
            .iter()
            .filter_map(|secondary| secondary.get("ip"));
        ips.filter_map(Value::as_str).any(|ip| holds(ip, address))
    }
}

fn holds(prefix: &str, address: IpAddr) -> bool {
    let (ip, length) = match prefix.split_once('/') {
        Some((ip, length)) => (ip, length.parse().ok()),
        None => (prefix, Some(128)),
    };
    let (Ok(ip), Some(length)) = (ip.parse::<IpAddr>(), length) else {
        return false;
    };
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => (u128::from(ip.to_bits()) << 96, 32),
        IpAddr::V6(ip) => (ip.to_bits(), 128),
    };
    let ((one, size), (other, _)) = (bits(ip), bits(address));
    let free = 128 - u32::min(length, size);
    ip.is_ipv4() == address.is_ipv4() && (free >= 128 || one >> free == other >> free)
}

/// Whether a packet asks for a transfer; the serial that the asker has, when it is an IXFR.
pub fn asked(packet: &[u8]) -> Option<(RrType, Option<Serial>)> {
    let query = Query::read(packet).filter(|query| query.fault.is_none())?;
    let question = query.question.filter(|question| question.class == Class::IN)?;
    match question.rtype {
        RrType::AXFR => Some((RrType::AXFR, None)),
        RrType::IXFR => {
            let received = Received::read(packet).ok()?;
            let soa = received
                .authorities
                .iter()
                .find(|record| record.rtype == RrType::SOA)?;
            Some((RrType::IXFR, Some(Soa::from_rdata(&soa.rdata)?.serial)))
        }
        _ => None,
    }
}

/// The messages of a transfer, one after the other.
#[derive(Debug)]
pub struct Messages {
    packet: Vec<u8>,
    zone: Arc<Zone>,
    cursor: Cursor,
    /// The RRsets of the last node that are still to come: their number within it.
    pending: Option<(crate::wire::Name, usize)>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    First,
    Middle,
    Done,
    /// The SOA and nothing else.
    Unchanged,
}

impl Messages {
    /// A transfer of `zone` in answer to `packet`, for one who has the zone with `serial`.
    pub fn new(packet: &[u8], zone: Arc<Zone>, serial: Option<Serial>) -> Self {
        // RFC 1995 §2: whoever has this version, or a newer one, gets the SOA alone.
        let unchanged = serial.is_some_and(|serial| !Serial(zone.serial()).is_newer_than(serial));
        Self {
            packet: packet.to_vec(),
            zone,
            cursor: Cursor::default(),
            pending: None,
            stage: if unchanged { Stage::Unchanged } else { Stage::First },
        }
    }

    /// The SOA alone: over UDP the rest has no room.
    pub fn soa_alone(packet: &[u8], zone: Arc<Zone>) -> Option<Vec<u8>> {
        let serial = Some(Serial(zone.serial()));
        Self::new(packet, zone, serial).next()
    }

    fn append_soa(zone: &Zone, response: &mut Response<'_>) -> Result<(), Full> {
        let soa = zone.soa();
        response.append(
            Section::Answer,
            Owner::Name(zone.apex()),
            RrType::SOA,
            soa.ttl(),
            soa.rdatas(),
        )
    }

    /// Appends nodes until the message is long enough.
    fn fill(&mut self, response: &mut Response<'_>) {
        let zone = Arc::clone(&self.zone);
        loop {
            let (node, begin) = match self.pending.take() {
                Some((name, at)) => match zone.node(name.as_ref()) {
                    Some(node) => (node, at),
                    None => continue,
                },
                None => match zone.next_node(&mut self.cursor) {
                    Some(node) => (node, 0),
                    None => break,
                },
            };
            if let Some(at) = append_node(node, begin, &zone, response) {
                self.pending = Some((node.name().to_owned(), at));
                return;
            }
        }
        // The SOA that ends it; where it has no room it comes alone.
        if Self::append_soa(&zone, response).is_ok() {
            self.stage = Stage::Done;
        }
    }
}

/// Appends the RRsets of a node from number `begin` on; the number of the one for which there was no more room.
fn append_node(node: NodeView<'_>, begin: usize, zone: &Zone, response: &mut Response<'_>) -> Option<usize> {
    let is_apex = node.name() == zone.apex();
    for (number, set) in node.rrsets().enumerate().skip(begin) {
        if is_apex && set.rtype() == RrType::SOA {
            continue;
        }
        // One that a whole message could not hold was refused when the zone was made.
        let long = response.len() > MESSAGE && response.count(Section::Answer) > 0;
        let owner = Owner::Name(node.name());
        if long
            || response
                .append(Section::Answer, owner, set.rtype(), set.ttl(), set.rdatas())
                .is_err()
        {
            return Some(number);
        }
    }
    None
}

impl Iterator for Messages {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let packet = std::mem::take(&mut self.packet);
        let mut out = Vec::new();
        let message = Query::read(&packet)
            .filter(|_| self.stage != Stage::Done)
            .map(|query| {
                let mut response = Response::start(&query, &mut out, MAX_MESSAGE, 0);
                response.set_authoritative();
                if self.stage != Stage::Middle {
                    let first = Self::append_soa(&self.zone, &mut response);
                    debug_assert!(first.is_ok(), "a SOA is shorter than a message");
                }
                match self.stage {
                    Stage::Unchanged => self.stage = Stage::Done,
                    _ => {
                        self.stage = Stage::Middle;
                        self.fill(&mut response);
                    }
                }
                response.finish(Rcode::NOERROR, None);
            });
        self.packet = packet;
        message.map(|()| out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        wire::{Name, Ttl},
        zone::{
            ZoneBuilder,
            master::{self, Source},
        },
    };

    fn zone(lines: &str) -> Arc<Zone> {
        let apex: Name = "test.".parse().unwrap();
        let mut builder = ZoneBuilder::new(apex.as_ref(), Ttl::MAX);
        let text = format!("$TTL 60\n@ SOA ns h 7 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n{lines}");
        let source = Source::Text {
            name: "test",
            octets: text.as_bytes(),
        };
        let read = master::read(&source, apex.as_ref(), &mut |entry| builder.add(&entry));
        assert!(read.errors.is_empty(), "{:?}", read.errors);
        Arc::new(builder.finish().unwrap().zone)
    }

    fn question(rtype: RrType, serial: Option<u32>) -> Vec<u8> {
        let mut packet = vec![0, 7, 0, 0, 0, 1, 0, 0, 0, u8::from(serial.is_some()), 0, 0];
        packet.extend_from_slice(b"\x04test\0");
        packet.extend_from_slice(&rtype.0.to_be_bytes());
        packet.extend_from_slice(&[0, 1]);
        if let Some(serial) = serial {
            packet.extend_from_slice(b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x16\0\0");
            packet.extend_from_slice(&serial.to_be_bytes());
            packet.extend_from_slice(&[0; 16]);
        }
        packet
    }

    fn transferred(packet: &[u8], zone: &Arc<Zone>) -> (usize, Vec<String>) {
        let (_, serial) = asked(packet).unwrap();
        let messages: Vec<_> = Messages::new(packet, Arc::clone(zone), serial).collect();
        let records = messages.iter().flat_map(|message| {
            let received = Received::read(message).unwrap();
            assert!(received.authoritative && received.id == 7);
            received.answers
        });
        let shown = records.map(|record| format!("{} {}", record.owner, record.rtype));
        (messages.len(), shown.collect())
    }

    #[test]
    fn a_transfer_begins_and_ends_with_the_soa() {
        let zone = zone("*.w TXT x\n");
        let (messages, records) = transferred(&question(RrType::AXFR, None), &zone);
        assert_eq!(messages, 1);
        assert_eq!(
            (records.first(), records.last()),
            (Some(&"test. SOA".into()), Some(&"test. SOA".into()))
        );
        assert_eq!(records.len(), zone.record_count() + 1);
        assert_eq!(transferred(&question(RrType::IXFR, Some(6)), &zone).1.len(), 5);
        for serial in [7, 8] {
            let unchanged = transferred(&question(RrType::IXFR, Some(serial)), &zone);
            assert_eq!(unchanged, (1, vec!["test. SOA".into()]), "RFC 1995 section 2");
        }
    }

    #[test]
    fn a_large_zone_takes_several_messages_and_no_record_is_lost() {
        let text = (0..3_000).map(|n| format!("h{n} A 192.0.2.1\nh{n} TXT x{}\n", "x".repeat(n % 200)));
        let long = (0..900).map(|n| format!("long TXT {n} {}\n", "y".repeat(50)));
        let zone = zone(&text.chain(long).collect::<String>());
        let (messages, mut records) = transferred(&question(RrType::AXFR, None), &zone);
        assert!(messages > 10, "{messages}");
        assert_eq!(records.len(), zone.record_count() + 1);
        records.sort();
        records.dedup();
        assert_eq!(records.len(), 6_000 + 4, "every RRset once");
    }

    #[test]
    fn secondaries_are_addresses_or_prefixes() {
        let transferable = |ip: &str| Transferable {
            zone: zone(""),
            secondaries: vec![serde_json::json!({ "ip": ip })],
        };
        for (ip, address, allowed) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("127.0.0.0/8", "127.1.2.3", true),
            ("128.0.0.0/8", "127.1.2.3", false),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("::/0", "203.0.113.1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("nonsense", "127.0.0.1", false),
        ] {
            assert_eq!(
                transferable(ip).allows(address.parse().unwrap()),
                allowed,
                "{ip} {address}"
            );
        }
    }
}
