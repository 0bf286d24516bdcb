//! Any octets: a verdict, and never "secure".

use proptest::prelude::*;

use super::*;

proptest! {
    /// Whatever stands in a message that can be read, there is a verdict, and it is not "secure" unless signed.
    #[test]
    fn any_records_are_judged(
        records in prop::collection::vec(
            (0..6_usize, 0..14_usize, prop::collection::vec(any::<u8>(), 0..80), any::<bool>()), 0..12),
        asked in 0..14_usize,
        rcode in prop_oneof![Just(0), Just(3), Just(6), any::<u16>()],
    ) {
        const TYPES: [RrType; 14] = [
            RrType::A, RrType::NS, RrType::CNAME, RrType::SOA, RrType::DNAME, RrType::DS, RrType::RRSIG,
            RrType::NSEC, RrType::DNSKEY, RrType::NSEC3, RrType::CDS, RrType::ANY, RrType::NXNAME, RrType(1234),
        ];
        let owners = ["example.", "a.example.", "b.a.example.", "*.example.", "com.", "35mthgpgcu1qg68fab165klnsnk3dpvl.example."];
        let zone = Signed::new();
        let mut answer = message((name("a.example."), TYPES[asked]), Rcode(rcode));
        for (owner, rtype, rdata, in_answer) in records {
            let record = Record {
                owner: name(owners[owner]),
                rtype: TYPES[rtype],
                class: Class::IN,
                ttl: Ttl::new(60),
                rdata: rdata.into(),
            };
            if in_answer { answer.answers.push(record) } else { answer.authorities.push(record) }
        }
        let verdict = judge(&zone.keys(), &answer, NOW);
        let is_secure = matches!(verdict, Verdict::Secure(_));
        prop_assert!(!is_secure, "{:?}", verdict);
        let ds = Ds::of(zone.key.dnskey(), name("example.").as_ref(), DigestType::Sha256);
        let chained = keys_by_ds(&name("example."), &[ds], &answer, NOW, Insist::AnyPath);
        let has_keys = matches!(chained, Ok(Chained::Keys { .. }));
        prop_assert!(!has_keys);
        if let Verdict::Bogus(why) = &verdict {
            prop_assert!(!why.to_string().is_empty());
        }
    }

    /// NSEC and NSEC3 of any octets, signed: they are read or passed over.
    #[test]
    fn any_denials_are_judged(rdata in prop::collection::vec(any::<u8>(), 0..60), nsec3: bool, no_name: bool) {
        let rtype = if nsec3 { RrType::NSEC3 } else { RrType::NSEC };
        let owner = if nsec3 { "35mthgpgcu1qg68fab165klnsnk3dpvl.example." } else { "a.example." };
        let rcode = if no_name { Rcode::NXDOMAIN } else { Rcode::NOERROR };
        let zone = Signed::new();
        let line = format!("{owner} TYPE{} \\# {} {}", rtype.0, rdata.len(), data_encoding::HEXLOWER.encode(&rdata));
        let mut answer = message((name("a.example."), RrType::A), rcode);
        let mut out = Vec::new();
        let mut lexer = Lexer::new(line.splitn(3, ' ').last().unwrap().as_bytes());
        // Only what the table lets through comes from a message.
        if read_rdata(rtype, &mut lexer, None, &mut out).is_ok() {
            answer.authorities = zone.set(&[&line]);
            let _ = judge(&zone.keys(), &answer, NOW);
        }
    }

    /// A turned bit anywhere in a signed answer never leaves it secure with other data.
    #[test]
    fn turned_bits_are_found(at in 0..200_usize, bit in 0..8_u8) {
        let zone = Signed::new();
        let mut answer = zone.answer("a.example. MX", Rcode::NOERROR, &[&["a.example. MX 10 b.example."]], &[]);
        let length = answer.answers[0].rdata.len();
        let record = usize::from(at >= length);
        let at = at - if record == 1 { length } else { 0 };
        prop_assume!(at < answer.answers[record].rdata.len());
        let before = answer.answers[record].rdata[at];
        answer.answers[record].rdata[at] ^= 1 << bit;
        // Letter case in these names means nothing.
        prop_assume!(!before.eq_ignore_ascii_case(&answer.answers[record].rdata[at]));
        let is_secure = matches!(judge(&zone.keys(), &answer, NOW), Verdict::Secure(_));
        prop_assert!(!is_secure);
    }
}
