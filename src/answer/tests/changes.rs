//! A zone that was changed record by record is answered like one that was built from the new records, and keeps the
//! signatures of all the rest.

use super::*;
use crate::zone::Change;

const LIMIT: Ttl = Ttl::new(604_800);

fn soa(serial: u32, minimum: u32) -> Vec<u8> {
    let numbers: Vec<u8> = [serial, 3600, 300, 3_600_000, minimum]
        .iter()
        .flat_map(|n| n.to_be_bytes())
        .collect();
    [
        relative("ns1").as_wire(),
        relative("bugs.x.w").as_wire(),
        &numbers,
    ]
    .concat()
}

fn a(host: u8) -> Vec<u8> {
    vec![192, 0, 2, host]
}

/// Records out, records in, and the SOA.
pub(super) fn changed(
    zone: &Zone,
    out: &[(&str, RrType, Vec<u8>)],
    in_: &[(&str, RrType, Vec<u8>)],
    minimum: u32,
) -> Zone {
    let serial = zone.serial();
    let before = zone.soa().rdatas().next().unwrap().to_vec();
    let mut change = Change::new(zone, LIMIT);
    let mut tell = |(owner, rtype, rdata): &(&str, RrType, Vec<u8>), goes: bool| {
        let owner = relative(owner);
        let entry = Entry {
            owner: owner.as_ref(),
            rtype: *rtype,
            ttl: Ttl::new(3600),
            rdata,
            at: Place::default(),
        };
        let told = if goes {
            change.remove(&entry)
        } else {
            change.add(&entry)
        };
        told.unwrap();
    };
    tell(&("@", RrType::SOA, before), true);
    out.iter().for_each(|record| tell(record, true));
    tell(&("@", RrType::SOA, soa(serial + 1, minimum)), false);
    in_.iter().for_each(|record| tell(record, false));
    change.finish().unwrap().zone
}

impl Asker {
    pub(super) fn serve(&self, zone: &Zone, denial: Denial) {
        let policy = ZonePolicy {
            denial,
            ..ZonePolicy::default()
        };
        let zones = self.engine.zones();
        let previous = zones.iter().next().map(|zone| &**zone);
        let served = ServedZone::new(zone, self.keys.clone(), &policy, NOW, previous).unwrap();
        self.engine.publish(vec![Arc::new(served)]);
    }

    fn sign_everything(&self) -> usize {
        let mut warmer = warm::Warmer::default();
        let mut signed = 0;
        loop {
            let step = warmer.step(&self.engine.zones(), 1_000, NOW);
            signed += step.signed;
            if step.finished {
                return signed;
            }
        }
    }
}

const QUESTIONS: [&str; 16] = [
    "@ SOA", "@ NS", "ns1 A", "aa A", "ab A", "ai A", "ai MX", "ai HINFO", "xx A", "xx MX", "zz A", "a.w MX",
    "b A", "x.c A", "mc.a A", "mc.b A",
];

#[test]
fn a_changed_zone_is_answered_like_a_new_one() {
    for denial in [Denial::Compact, Denial::Nsec, Denial::Nsec3] {
        let first = rfc_zone();
        let asker = Asker::new(&first, denial, nsec3::Parameters::default());
        let mut zone = first;
        // A name comes between two others, one loses a type, one becomes a cut, one ceases to be one.
        let ns = relative("ns1").as_wire().to_vec();
        let ds = [&58470_u16.to_be_bytes()[..], &[13, 2], &[7; 32]].concat();
        type Records<'a> = Vec<(&'a str, RrType, Vec<u8>)>;
        let steps: [(Records<'_>, Records<'_>, u32); 4] = [
            (
                vec![],
                vec![("ab", RrType::A, a(50)), ("x.c", RrType::NS, ns.clone())],
                1800,
            ),
            (
                vec![("ai", RrType::A, a(9))],
                vec![("aa", RrType::A, a(51))],
                1800,
            ),
            (
                vec![
                    ("ab", RrType::A, a(50)),
                    ("ai", RrType::HINFO, b"\x03KLH\x03ITS".to_vec()),
                ],
                vec![("b", RrType::DS, ds)],
                1800,
            ),
            (vec![("x.c", RrType::NS, ns)], vec![("zz", RrType::A, a(52))], 900),
        ];
        for (out, in_, minimum) in steps {
            asker.sign_everything();
            for question in QUESTIONS {
                asker.ask(question, Flags::Do);
            }
            zone = changed(&zone, &out, &in_, minimum);
            asker.serve(&zone, denial);
            let scratch = Asker::new(&rebuilt(&zone), denial, nsec3::Parameters::default());
            for question in QUESTIONS {
                let (told, expected) = (asker.ask(question, Flags::Do), scratch.ask(question, Flags::Do));
                assert_eq!(told.shape(), expected.shape(), "{denial:?} {question}");
                assert_eq!(
                    without_signatures(&told),
                    without_signatures(&expected),
                    "{denial:?} {question}"
                );
            }
        }
    }
}

/// The same records, built anew.
pub(super) fn rebuilt(zone: &Zone) -> Zone {
    let mut builder = ZoneBuilder::new(zone.apex(), LIMIT);
    for node in zone.nodes() {
        for set in node.rrsets() {
            for rdata in set.rdatas() {
                builder.add(&Entry {
                    owner: node.name(),
                    rtype: set.rtype(),
                    ttl: set.ttl(),
                    rdata,
                    at: Place::default(),
                });
            }
        }
    }
    builder.finish().unwrap().zone
}

/// The records as text, TTLs and denials included.
pub(super) fn without_signatures(told: &Told) -> Vec<String> {
    let message = &told.message;
    let sections = [&message.answers, &message.authorities, &message.additionals];
    let records = sections.into_iter().flatten();
    records
        .filter(|record| !matches!(record.data, RData::DNSSEC(DNSSECRData::RRSIG(_))))
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_change_costs_the_signatures_of_what_changed() {
    for (denial, expected) in [(Denial::Compact, 2), (Denial::Nsec, 4), (Denial::Nsec3, 2)] {
        let zone = rfc_zone();
        let asker = Asker::new(&zone, denial, nsec3::Parameters::default());
        asker.sign_everything();
        let next = changed(&zone, &[], &[("ab", RrType::A, a(50))], 1800);
        asker.serve(&next, denial);
        // The SOA and the new RRset; with a chain, the NSEC of the new name and of the one before it.
        // The apex has a shard of its own, anew each time: its NSEC is one more.
        let apex = usize::from(denial == Denial::Nsec);
        assert_eq!(asker.sign_everything(), expected + apex, "{denial:?}");
        // Denials carry the negative TTL (RFC 9077): with another, none that was kept is good.
        let later = changed(&next, &[], &[], 900);
        asker.serve(&later, denial);
        let told = asker.ask("mc.b A", Flags::Do);
        assert!(
            told.message.authorities.iter().all(|record| record.ttl != 1800),
            "{denial:?}"
        );
    }
}
