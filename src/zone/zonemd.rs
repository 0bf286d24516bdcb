//! The message digest of a zone that was received (RFC 8976): whether its content is what its ZONEMD says. The digest
//! is over everything that the sender has, other signers' records included, so it is made before those are left out.
//!
//! Without a chain of trust to the ZONEMD record this shows accidents, not malice; who sent it is TSIG's to show.

use ring::digest;

use crate::wire::{Class, Name, NameRef, RrType, Soa, Ttl, types};

/// The scheme SIMPLE: one digest over the whole zone (RFC 8976 §3.3).
const SIMPLE: u8 = 1;
/// The shortest digest that any algorithm may have, in octets (RFC 8976 §2.2.4).
const LEAST_DIGEST: usize = 12;

/// What the digests of a zone say of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It has none.
    Absent,
    /// One matches, which suffices (RFC 8976 §4).
    Verified {
        /// The hash algorithm's name.
        algorithm: &'static str,
    },
    /// It has only such that are not known here.
    Unsupported {
        /// Scheme and hash algorithm of the first.
        scheme: u8,
        /// See there.
        algorithm: u8,
    },
    /// None of those that are known here matches.
    Failed(Failure),
}

/// Why a zone is not what its digests say.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failure {
    /// There is no SOA, or more than one.
    #[error("it has a ZONEMD record, and not one SOA")]
    NoSoa,
    /// There are two of one scheme and hash algorithm.
    #[error(
        "it has two ZONEMD records with scheme {scheme} and hash algorithm {algorithm}, which then do not count"
    )]
    Twice {
        /// The scheme.
        scheme: u8,
        /// The hash algorithm.
        algorithm: u8,
    },
    /// It belongs to another version of the zone.
    #[error("its ZONEMD is of serial {found}, its SOA of {serial}")]
    Serial {
        /// In the ZONEMD.
        found: u32,
        /// In the SOA.
        serial: u32,
    },
    /// The record is too short, or has not as many octets as its algorithm makes.
    #[error("its ZONEMD record is malformed")]
    Malformed,
    /// The content is another.
    #[error("its content does not match its ZONEMD ({algorithm})")]
    Mismatch {
        /// The hash algorithm's name.
        algorithm: &'static str,
    },
}

/// The content of a ZONEMD record (RFC 8976 §2.2).
struct Said<'a> {
    serial: u32,
    scheme: u8,
    algorithm: u8,
    digest: &'a [u8],
}

impl<'a> Said<'a> {
    fn from_rdata(rdata: &'a [u8]) -> Option<Self> {
        let (serial, rest) = rdata.split_first_chunk::<4>()?;
        let (&[scheme, algorithm], digest) = rest.split_first_chunk::<2>()?;
        Some(Self {
            serial: u32::from_be_bytes(*serial),
            scheme,
            algorithm,
            digest,
        })
    }

    fn known(&self) -> Option<(&'static str, &'static digest::Algorithm)> {
        match (self.scheme, self.algorithm) {
            (SIMPLE, 1) => Some(("SHA-384", &digest::SHA384)),
            (SIMPLE, 2) => Some(("SHA-512", &digest::SHA512)),
            _ => None,
        }
    }
}

/// Takes the records of a zone in any order, and says whether its digests match.
#[derive(Debug)]
pub struct Collector {
    apex: Name,
    /// For each record: its owner as [`push_key`] writes it, its type, and its rdata in canonical form.
    octets: Vec<u8>,
    records: Vec<Collected>,
    soas: Vec<u32>,
    digests: Vec<Box<[u8]>>,
}

/// Where a record stands in the octets.
#[derive(Clone, Copy, Debug)]
struct Collected {
    start: usize,
    end: usize,
    ttl: u32,
    key: u16,
}

impl Collector {
    /// For the zone at `apex`.
    pub fn new(apex: NameRef<'_>) -> Self {
        Self {
            apex: apex.to_lowercase(),
            octets: Vec::new(),
            records: Vec::new(),
            soas: Vec::new(),
            digests: Vec::new(),
        }
    }

    /// Takes a record as it was received, of class IN.
    pub fn take(&mut self, owner: NameRef<'_>, rtype: RrType, ttl: Ttl, rdata: &[u8]) {
        if !owner.is_at_or_below(self.apex.as_ref()) {
            return;
        }
        if owner.len() == self.apex.as_wire().len() {
            match rtype {
                RrType::ZONEMD => return self.digests.push(rdata.into()),
                RrType::RRSIG if rdata.starts_with(&RrType::ZONEMD.0.to_be_bytes()) => return,
                RrType::SOA => self.soas.extend(Soa::from_rdata(rdata).map(|soa| soa.serial.0)),
                _ => {}
            }
        }
        let start = self.octets.len();
        push_key(owner, &mut self.octets);
        let key = (self.octets.len() - start) as u16;
        self.octets.extend_from_slice(&rtype.0.to_be_bytes());
        types::canonical_rdata(rtype, rdata, &mut self.octets);
        self.records.push(Collected {
            start,
            end: self.octets.len(),
            ttl: ttl.seconds(),
            key,
        });
    }

    /// Judges what was taken (RFC 8976 §4, without its first step: nothing is validated here).
    pub fn verdict(mut self) -> Verdict {
        let digests = std::mem::take(&mut self.digests);
        let said: Vec<Said<'_>> = digests
            .iter()
            .filter_map(|rdata| Said::from_rdata(rdata))
            .collect();
        if said.len() < digests.len() {
            return Verdict::Failed(Failure::Malformed);
        }
        let Some(first) = said.first() else {
            return Verdict::Absent;
        };
        let mut verdict = Verdict::Unsupported {
            scheme: first.scheme,
            algorithm: first.algorithm,
        };
        self.soas.dedup();
        let [serial] = self.soas[..] else {
            return Verdict::Failed(Failure::NoSoa);
        };
        self.sort();
        for digest in &said {
            let Some((algorithm, hash)) = digest.known() else {
                continue;
            };
            match self.judge(digest, &said, serial, (algorithm, hash)) {
                Ok(()) => return Verdict::Verified { algorithm },
                Err(failure) => verdict = Verdict::Failed(failure),
            }
        }
        verdict
    }

    fn judge(
        &self,
        said: &Said<'_>,
        all: &[Said<'_>],
        serial: u32,
        (algorithm, hash): (&'static str, &'static digest::Algorithm),
    ) -> Result<(), Failure> {
        let alike = |other: &&Said<'_>| (other.scheme, other.algorithm) == (said.scheme, said.algorithm);
        if all.iter().filter(alike).count() > 1 {
            return Err(Failure::Twice {
                scheme: said.scheme,
                algorithm: said.algorithm,
            });
        }
        if said.serial != serial {
            return Err(Failure::Serial {
                found: said.serial,
                serial,
            });
        }
        if said.digest.len() < LEAST_DIGEST || said.digest.len() != hash.output_len() {
            return Err(Failure::Malformed);
        }
        if self.digest(hash).as_ref() == said.digest {
            Ok(())
        } else {
            Err(Failure::Mismatch { algorithm })
        }
    }

    /// Canonical order (RFC 4034 §6.1, §6.3), and each record once.
    fn sort(&mut self) {
        let octets = &self.octets;
        let of = |record: &Collected| &octets[record.start..record.end];
        self.records.sort_by(|a, b| of(a).cmp(of(b)));
        self.records.dedup_by(|a, b| of(a) == of(b));
    }

    /// The digest of what is sorted (RFC 8976 §3.4).
    fn digest(&self, algorithm: &'static digest::Algorithm) -> digest::Digest {
        let mut context = digest::Context::new(algorithm);
        for record in &self.records {
            let (key, rest) = self.octets[record.start..record.end].split_at(usize::from(record.key));
            let (rtype, rdata) = rest.split_at(2);
            context.update(&name_of(key));
            context.update(rtype);
            context.update(&Class::IN.0.to_be_bytes());
            context.update(&record.ttl.to_be_bytes());
            context.update(&(rdata.len() as u16).to_be_bytes());
            context.update(rdata);
        }
        context.finish()
    }
}

/// Writes a name so that octets sort as names do, whatever follows: the labels from the right, lower-cased, each
/// ended by 0, and another 0 at the end. Octets 0 and 1 in labels are written as two, so that no label holds a 0.
fn push_key(name: NameRef<'_>, out: &mut Vec<u8>) {
    let labels: Vec<&[u8]> = name.labels().collect();
    for label in labels.iter().rev() {
        for &octet in *label {
            let octet = octet.to_ascii_lowercase();
            if octet <= 1 {
                out.push(1);
            }
            out.push(octet + u8::from(octet <= 1));
        }
        out.push(0);
    }
    out.push(0);
}

/// The name in wire form that a key was written from.
fn name_of(key: &[u8]) -> Vec<u8> {
    let labels: Vec<&[u8]> = key[..key.len() - 1]
        .split_inclusive(|&octet| octet == 0)
        .map(|label| &label[..label.len() - 1])
        .collect();
    let mut name = Vec::with_capacity(key.len());
    for label in labels.iter().rev() {
        let length_at = name.len();
        name.push(0);
        let mut octets = label.iter();
        while let Some(&octet) = octets.next() {
            name.push(match octet {
                1 => octets.next().map_or(0, |escaped| escaped - 1),
                _ => octet,
            });
        }
        name[length_at] = (name.len() - length_at - 1) as u8;
    }
    name.push(0);
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::zone::master::{Source, read};

    fn collect(origin: &str, text: &str) -> Collector {
        let apex: Name = origin.parse().unwrap();
        let mut collector = Collector::new(apex.as_ref());
        let source = Source::Text {
            name: "test",
            octets: text.as_bytes(),
        };
        let read = read(&source, apex.as_ref(), &mut |entry| {
            collector.take(entry.owner, entry.rtype, entry.ttl, entry.rdata);
        });
        assert!(read.errors.is_empty(), "{:?}", read.errors);
        collector
    }

    /// RFC 8976 appendix A.
    const EXAMPLES: [(&str, &str, &str); 5] = [
        ("A.1", "example.", include_str!("../../tests/data/zonemd/a1.zone")),
        ("A.2", "example.", include_str!("../../tests/data/zonemd/a2.zone")),
        ("A.3", "example.", include_str!("../../tests/data/zonemd/a3.zone")),
        (
            "A.4",
            "uri.arpa.",
            include_str!("../../tests/data/zonemd/a4.zone"),
        ),
        (
            "A.5",
            "root-servers.net.",
            include_str!("../../tests/data/zonemd/a5.zone"),
        ),
    ];

    #[test]
    fn examples_of_rfc_8976() {
        for (section, origin, text) in EXAMPLES {
            let verdict = collect(origin, text).verdict();
            assert_eq!(verdict, Verdict::Verified { algorithm: "SHA-384" }, "{section}");
        }
    }

    /// A.3 has four digests: two are of private schemes and algorithms, and each of the others suffices.
    #[test]
    fn either_hash_suffices() {
        let spoil = |text: &str, from: &str| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, &from.chars().rev().collect::<String>(), 1)
        };
        let a3 = EXAMPLES[2].2;
        let without_384 = spoil(a3, "62e6cf51b02e54b9");
        assert_eq!(
            collect("example.", &without_384).verdict(),
            Verdict::Verified { algorithm: "SHA-512" }
        );
        let without_both = spoil(&without_384, "08cfa1115c7b948c");
        assert_eq!(
            collect("example.", &without_both).verdict(),
            Verdict::Failed(Failure::Mismatch { algorithm: "SHA-512" })
        );
    }

    #[test]
    fn what_is_not_as_it_was_does_not_match() {
        let a1 = EXAMPLES[0].2;
        let failed = |text: &str| match collect("example.", text).verdict() {
            Verdict::Failed(failure) => failure.to_string(),
            other => format!("{other:?}"),
        };
        let mismatch = "its content does not match its ZONEMD (SHA-384)";
        assert_eq!(failed(&a1.replace("203.0.113.63", "203.0.113.64")), mismatch);
        assert_eq!(failed(&format!("{a1}\nnew 3600 IN A 192.0.2.1\n")), mismatch);
        assert_eq!(
            failed(&a1.replace("3600", "3601")),
            mismatch,
            "the TTL is part of it"
        );
        assert_eq!(
            failed(&a1.replacen("2018031900", "2018031901", 1)),
            "its ZONEMD is of serial 2018031900, its SOA of 2018031901"
        );
        let digest = "0".repeat(96);
        assert_eq!(
            failed(&format!(
                "{a1}\nexample. 86400 IN ZONEMD 2018031900 1 1 {digest}\n"
            )),
            "it has two ZONEMD records with scheme 1 and hash algorithm 1, which then do not count"
        );
    }

    #[test]
    fn letter_case_and_order_do_not_matter() {
        let a1 = EXAMPLES[0].2;
        let verified = Verdict::Verified { algorithm: "SHA-384" };
        assert_eq!(
            collect("EXAMPLE.", &a1.replace("ns1 ", "NS1 ")).verdict(),
            verified
        );
    }

    /// RFC 8976 §3.3.1: the digest's own signature is no part of what it covers; other signatures are.
    #[test]
    fn the_signature_of_the_digest_is_left_out() {
        let signature = |covered: &str| {
            let a1 = EXAMPLES[0].2;
            format!(
                "{a1}\nexample. 86400 IN RRSIG {covered} 13 1 86400 20300101000000 20200101000000 1 example. AAAA\n"
            )
        };
        let verdict = |text: &str| collect("example.", text).verdict();
        assert_eq!(
            verdict(&signature("ZONEMD")),
            Verdict::Verified { algorithm: "SHA-384" }
        );
        assert!(matches!(verdict(&signature("SOA")), Verdict::Failed(_)));
    }

    #[test]
    fn none_and_unknown_ones_are_no_failure() {
        let zone = "@ 300 SOA ns mail 1 1 1 1 1\n@ 300 NS ns\n";
        assert_eq!(collect("example.", zone).verdict(), Verdict::Absent);
        let private = format!("{zone}@ 300 ZONEMD 1 240 1 {}\n", "0".repeat(96));
        let unsupported = Verdict::Unsupported {
            scheme: 240,
            algorithm: 1,
        };
        assert_eq!(collect("example.", &private).verdict(), unsupported);
    }

    fn names() -> impl Strategy<Value = Name> {
        let octet = prop_oneof![0..4_u8, Just(b'a'), Just(b'B'), Just(b'b'), any::<u8>()];
        let label = prop::collection::vec(octet, 1..4);
        prop::collection::vec(label, 0..4).prop_map(|labels| {
            let wire: Vec<u8> = labels
                .iter()
                .flat_map(|label| std::iter::once(label.len() as u8).chain(label.iter().copied()))
                .chain([0])
                .collect();
            Name::from_wire(&wire).unwrap()
        })
    }

    proptest! {
        #[test]
        fn keys_sort_as_names_do_and_give_the_name_back(a in names(), b in names()) {
            let key = |name: &Name| {
                let mut key = Vec::new();
                push_key(name.as_ref(), &mut key);
                key
            };
            prop_assert_eq!(key(&a).cmp(&key(&b)), a.as_ref().canonical_cmp(b.as_ref()));
            prop_assert_eq!(name_of(&key(&a)), a.as_ref().to_lowercase().as_wire().to_vec());
        }
    }
}
