//! Signatures, and messages that are no answers.

use super::*;

#[test]
fn a_signature_s_faults_are_told_apart() {
    let mut zone = Signed::new();
    let fault = |zone: &Signed, keys: &ZoneKeys, change: &dyn Fn(&mut Record)| {
        let mut answer = zone.answer(
            "a.example. A",
            Rcode::NOERROR,
            &[&["a.example. A 192.0.2.1"]],
            &[],
        );
        change(&mut answer.answers[1]);
        match judge(keys, &answer, NOW) {
            Verdict::Bogus(Bogus::Signatures { faults, .. }) => faults[0].fault.clone(),
            other => panic!("{other:?}"),
        }
    };
    let own = zone.keys();
    let plain = |_: &mut Record| ();
    assert_eq!(
        fault(&zone, &Signed::new().keys(), &plain),
        SignatureFault::KeyMissing
    );
    let flags = ZONE | REVOKE;
    let revoked = Dnskey::new(
        flags,
        zone.key.dnskey().algorithm(),
        zone.key.dnskey().public_key(),
    );
    let tag = revoked.key_tag();
    let keys = ZoneKeys::new(name("example."), [revoked]);
    let renamed = |record: &mut Record| record.rdata[16..18].copy_from_slice(&tag.to_be_bytes());
    assert_eq!(fault(&zone, &keys, &renamed), SignatureFault::KeyRevoked);
    let parents = |record: &mut Record| {
        record.rdata = [&record.rdata[..18], &[0], &record.rdata[18 + 9..]]
            .concat()
            .into();
    };
    assert_eq!(fault(&zone, &own, &parents), SignatureFault::Signer(Name::root()));
    assert_eq!(
        fault(&zone, &own, &|record| record.rdata[3] = 3),
        SignatureFault::Labels
    );
    assert_eq!(
        fault(&zone, &own, &|record| record.rdata[2] = 16),
        SignatureFault::UnknownAlgorithm
    );
    assert_eq!(
        fault(&zone, &own, &|record| record.rdata[7] ^= 1),
        SignatureFault::Wrong
    );
    let not_a_zone_s = Dnskey::new(0, zone.key.dnskey().algorithm(), zone.key.dnskey().public_key());
    let keys = ZoneKeys::new(name("example."), [not_a_zone_s]);
    assert_eq!(keys.keys().count(), 0, "no ZONE flag");

    let (before, after) = (UnixTime(NOW.0 - 1), UnixTime(NOW.0 + 1));
    zone.window.expiration = before;
    assert_eq!(fault(&zone, &own, &plain), SignatureFault::Expired(before));
    zone.window = Window {
        inception: after,
        expiration: UnixTime(after.0 + 1),
    };
    assert_eq!(fault(&zone, &own, &plain), SignatureFault::Early(after));
    zone.window.expiration = before;
    assert_eq!(fault(&zone, &own, &plain), SignatureFault::Backwards);
    // The last second counts, and so does the first (RFC 4034 §3.1.5).
    for window in [(NOW.0, NOW.0 + 1), (NOW.0 - 1, NOW.0)] {
        zone.window = Window {
            inception: UnixTime(window.0),
            expiration: UnixTime(window.1),
        };
        let answer = zone.answer(
            "a.example. A",
            Rcode::NOERROR,
            &[&["a.example. A 192.0.2.1"]],
            &[],
        );
        assert!(matches!(judge(&own, &answer, NOW), Verdict::Secure(_)));
    }
}

/// 32 bits of seconds wrap in 2106 (RFC 4034 §3.1.5, RFC 1982).
#[test]
fn times_wrap() {
    let mut zone = Signed::new();
    let wrap = 1_u64 << 32;
    zone.window = Window {
        inception: UnixTime(wrap - 100),
        expiration: UnixTime(wrap + 100),
    };
    let answer = zone.answer(
        "a.example. A",
        Rcode::NOERROR,
        &[&["a.example. A 192.0.2.1"]],
        &[],
    );
    for (now, good) in [
        (wrap - 101, false),
        (wrap - 1, true),
        (wrap + 1, true),
        (wrap + 101, false),
    ] {
        let verdict = judge(&zone.keys(), &answer, UnixTime(now));
        assert_eq!(matches!(verdict, Verdict::Secure(_)), good, "{now}: {verdict:?}");
    }
    let Verdict::Secure(proof) = judge(&zone.keys(), &answer, UnixTime(wrap - 1)) else {
        panic!()
    };
    assert_eq!(proof.first_to_end.unwrap().expiration, UnixTime(wrap + 100));
}

#[test]
fn letter_case_order_and_doubles_do_not_matter() {
    let zone = Signed::new();
    let set = ["a.example. NS b.example.", "a.example. NS a.example."];
    let mut answer = zone.answer("a.example. NS", Rcode::NOERROR, &[&set], &[]);
    answer.answers.reverse();
    answer.answers.push(record("A.EXAMPLE. NS B.example."));
    answer.question.as_mut().unwrap().0 = name("a.eXAMPLE.");
    assert_eq!(shows(&judge(&zone.keys(), &answer, NOW)).0, Shown::Data);
    answer.answers.push(record("a.example. NS c.example."));
    assert!(matches!(judge(&zone.keys(), &answer, NOW), Verdict::Bogus(_)));
}

#[test]
fn what_is_no_answer() {
    let zone = Signed::new();
    let set: &[&str] = &["a.example. A 192.0.2.1"];
    let with = |change: &dyn Fn(&mut Received)| {
        let mut answer = zone.answer("a.example. A", Rcode::NOERROR, &[set], &[]);
        change(&mut answer);
        validate(
            &zone.keys(),
            (name("a.example.").as_ref(), RrType::A),
            &answer,
            NOW,
        )
    };
    assert!(matches!(with(&|_| ()), Verdict::Secure(_)));
    assert_eq!(
        with(&|answer| answer.is_response = false),
        Verdict::Bogus(Bogus::Stray)
    );
    assert_eq!(
        with(&|answer| answer.question = None),
        Verdict::Bogus(Bogus::Stray)
    );
    let other = |answer: &mut Received| answer.question.as_mut().unwrap().1 = RrType::MX;
    assert_eq!(with(&other), Verdict::Bogus(Bogus::Stray));
    assert_eq!(
        with(&|answer| answer.truncated = true),
        Verdict::Bogus(Bogus::Cut)
    );
    for code in [Rcode::SERVFAIL, Rcode::REFUSED, Rcode(17)] {
        assert_eq!(
            with(&|answer| answer.rcode = code),
            Verdict::Bogus(Bogus::Code(code))
        );
    }
    // Data, and a code that says that there is none.
    for code in [Rcode::NXDOMAIN, Rcode::YXDOMAIN] {
        assert_eq!(
            with(&|answer| answer.rcode = code),
            Verdict::Bogus(Bogus::Code(code))
        );
    }
    // Of another class, it is not there.
    let nothing = with(&|answer| {
        answer
            .answers
            .iter_mut()
            .for_each(|record| record.class = Class::CH)
    });
    assert!(matches!(nothing, Verdict::Bogus(Bogus::NoData { .. })));
    let mut asked = zone.answer("a.example. RRSIG", Rcode::NOERROR, &[set], &[]);
    asked.answers.remove(0);
    assert_eq!(
        judge(&zone.keys(), &asked, NOW),
        Verdict::Insecure(Insecure::SignaturesAsked)
    );
}

/// So that signatures and keys of one tag cannot keep a validator busy (CVE-2023-50387).
#[test]
fn work_is_bounded() {
    let zone = Signed::new();
    let mut answer = zone.answer(
        "a.example. A",
        Rcode::NOERROR,
        &[&["a.example. A 192.0.2.1"]],
        &[],
    );
    let mut wrong = answer.answers[1].clone();
    *wrong.rdata.last_mut().unwrap() ^= 1;
    answer.answers.splice(1..1, std::iter::repeat_n(wrong, 20));
    let Verdict::Bogus(Bogus::Signatures { faults, .. }) = judge(&zone.keys(), &answer, NOW) else {
        panic!()
    };
    let untried = faults
        .iter()
        .filter(|bad| bad.fault == SignatureFault::Untried)
        .count();
    assert_eq!(untried, 21 - 16);
}
