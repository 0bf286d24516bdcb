//! From DS to keys.

use super::*;

/// The DNSKEY RRset of a KSK and a ZSK, signed by `by`.
fn key_set(by: &[&Signed], members: &[&Dnskey]) -> Received {
    let lines: Vec<String> = members
        .iter()
        .map(|key| format!("example. DNSKEY {key}"))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut answer = message((name("example."), RrType::DNSKEY), Rcode::NOERROR);
    for zone in by {
        answer.answers.extend(zone.set(&lines));
    }
    answer
}

#[test]
fn a_ds_leads_to_the_keys() {
    let apex = name("example.");
    let ksk = |algorithm| Signed {
        key: SigningKey::generate(algorithm, ZONE | SEP).unwrap(),
        window: WINDOW,
    };
    let (one, other) = (
        ksk(SigningAlgorithm::Ed25519),
        ksk(SigningAlgorithm::EcdsaP256Sha256),
    );
    let zsk = Signed::new();
    let ds = |of: &Signed, digest_type| Ds::of(of.key.dnskey(), apex.as_ref(), digest_type);
    let members = [one.key.dnskey(), other.key.dnskey(), zsk.key.dnskey()];
    let by_one = key_set(&[&one], &members);
    let chain = |ds: &[Ds], answer: &Received, insist| keys_by_ds(&apex, ds, answer, NOW, insist);
    let fault = |ds: Ds, answer: &Received| match chain(&[ds], answer, Insist::AnyPath) {
        Err(Bogus::Chain(links)) => links[0].fault.clone(),
        other => panic!("{other:?}"),
    };
    let (ds_one, ds_other) = (ds(&one, DigestType::Sha256), ds(&other, DigestType::Sha256));

    let Ok(Chained::Keys { keys, ending }) = chain(std::slice::from_ref(&ds_one), &by_one, Insist::AnyPath)
    else {
        panic!()
    };
    assert_eq!(keys.keys().count(), 3);
    assert_eq!(ending.expiration, WINDOW.expiration);
    assert_eq!(fault(ds_other.clone(), &by_one), LinkFault::NoSignature);
    assert_eq!(
        fault(ds(&ksk(SigningAlgorithm::Ed25519), DigestType::Sha256), &by_one),
        LinkFault::KeyMissing
    );
    let mut digest = ds_one.rdata().to_vec();
    digest[4] ^= 1;
    assert_eq!(
        fault(Ds::from_rdata(&digest).unwrap(), &by_one),
        LinkFault::Digest
    );
    let mut spoiled = by_one.clone();
    *spoiled.answers.last_mut().unwrap().rdata.last_mut().unwrap() ^= 1;
    assert_eq!(
        fault(ds_one.clone(), &spoiled),
        LinkFault::Signature(SignatureFault::Wrong)
    );
    assert_eq!(
        chain(
            std::slice::from_ref(&ds_one),
            &message((apex.clone(), RrType::DNSKEY), Rcode::NOERROR),
            Insist::AnyPath
        )
        .unwrap_err(),
        Bogus::NoKeys
    );
    assert_eq!(
        chain(&[], &by_one, Insist::AnyPath).unwrap_err(),
        Bogus::Chain(Vec::new())
    );

    // SHA-1 is not counted (RFC 9905), and neither is an algorithm that nobody knows.
    let unknown: Ds = "1 200 2 8D02536C887482BC34FF54E41D2BA659BF85B341A0A20AFADB5813DCFBCF286D"
        .parse()
        .unwrap();
    let sha1: Ds = format!("{} 15 1 {}", one.key.key_tag(), "00".repeat(20))
        .parse()
        .unwrap();
    for ds in [vec![unknown.clone()], vec![sha1.clone(), unknown.clone()]] {
        assert!(matches!(
            chain(&ds, &by_one, Insist::AnyPath),
            Ok(Chained::Insecure(Insecure::NoKnownDs))
        ));
    }
    let beside = [unknown, sha1, ds_other.clone(), ds_one.clone()];
    assert!(matches!(
        chain(&beside, &by_one, Insist::AnyPath),
        Ok(Chained::Keys { .. })
    ));

    // Who insists wants a signature of each algorithm (RFC 4035 §2.2), and looks at the highest digest alone.
    let strict = |ds: &[Ds], answer| chain(ds, answer, Insist::EveryAlgorithm);
    let both = [ds_one.clone(), ds_other.clone()];
    assert_eq!(
        strict(&both, &by_one).unwrap_err(),
        Bogus::ChainOf(Algorithm::ECDSAP256SHA256)
    );
    let by_both = key_set(&[&one, &other], &members);
    let Ok(Chained::Keys { keys, .. }) = strict(&both, &by_both) else {
        panic!()
    };
    let answer = zsk.answer(
        "a.example. A",
        Rcode::NOERROR,
        &[&["a.example. A 192.0.2.1"]],
        &[],
    );
    let lacks = judge(&keys, &answer, NOW);
    let algorithm = Algorithm::ECDSAP256SHA256;
    assert!(
        matches!(lacks, Verdict::Bogus(Bogus::AlgorithmMissing { algorithm: found, .. }) if found == algorithm),
        "{lacks:?}"
    );
    let highest = [ds(&one, DigestType::Sha384), ds(&other, DigestType::Sha256)];
    assert!(matches!(strict(&highest, &by_one), Ok(Chained::Keys { .. })));
    let by_other = key_set(&[&other], &members);
    assert!(strict(&highest, &by_other).is_err());
    assert!(chain(&highest, &by_other, Insist::AnyPath).is_ok());
}

#[test]
fn a_ds_is_read_and_printed() {
    let text = "55648 13 2 B4C8C1FE2E7477127B27115656AD6256F424625BF5C1E2770CE6D6E37DF61D17";
    let ds: Ds = text.parse().unwrap();
    assert_eq!(ds.to_string(), text);
    assert_eq!(
        (ds.tag(), ds.algorithm(), ds.digest_type()),
        (55648, Algorithm::ECDSAP256SHA256, 2)
    );
    for wrong in ["", "55648 13 2", "55648 13 2 B4C8", "x 13 2 B4C8"] {
        assert!(wrong.parse::<Ds>().is_err(), "{wrong}");
    }
    assert!(Ds::from_rdata(&[1, 2, 3, 4]).is_err());
}
