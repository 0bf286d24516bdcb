//! What denies, what does not, and where aliases lead.

use super::*;

#[test]
fn what_nsec_records_do_not_prove() {
    let zone = Signed::new();
    let (no_name, no_data) = (Rcode::NXDOMAIN, Rcode::NOERROR);
    let missing = |question, rcode, nsecs: &[&str], expected: &Missing| {
        let sets: Vec<[&str; 1]> = nsecs.iter().map(|nsec| [*nsec]).collect();
        let sets: Vec<&[&str]> = sets.iter().map(|set| &set[..]).collect();
        zone.missing(question, rcode, &sets, expected);
    };
    let b = || Missing::Cover(name("b.example."));
    missing("b.example. A", no_name, &[], &Missing::Everything);
    missing("b.example. A", no_name, &["b.example. NSEC c.example. MX"], &b());
    missing("b.example. A", no_name, &["c.example. NSEC d.example. A"], &b());
    // The name before the apex comes from the end only.
    missing("b.example. A", no_name, &["c.example. NSEC example. A"], &b());
    // An empty non-terminal is there (RFC 4592 §2.2.2).
    missing("b.example. A", no_name, &["a.example. NSEC x.b.example. A"], &b());
    let wildcard = Missing::WildcardCover(name("*.example."));
    missing(
        "b.example. A",
        no_name,
        &["a.example. NSEC c.example. A"],
        &wildcard,
    );
    // The wildcard of the closest encloser, not of the apex.
    let wildcard = Missing::WildcardCover(name("*.a.example."));
    missing(
        "c.a.example. A",
        no_name,
        &["b.a.example. NSEC d.a.example. A", "example. NSEC a.example. SOA"],
        &wildcard,
    );
    // What stands above a cut or a DNAME says nothing of what is below (RFC 6840 §4.1, RFC 6672 §5.3.4).
    let below = Missing::Cover(name("x.b.example."));
    for above in [
        "b.example. NSEC c.example. NS",
        "b.example. NSEC c.example. DNAME",
    ] {
        missing(
            "x.b.example. A",
            no_name,
            &[above, "example. NSEC b.example. SOA"],
            &below,
        );
    }
    missing(
        "b.example. A",
        no_data,
        &["b.example. NSEC c.example. A"],
        &Missing::HasType(RrType::A),
    );
    missing(
        "b.example. A",
        no_data,
        &["b.example. NSEC c.example. CNAME"],
        &Missing::HasCname,
    );
    missing(
        "b.example. A",
        no_data,
        &["b.example. NSEC c.example. NS"],
        &Missing::Delegation,
    );
    missing(
        "b.example. DS",
        no_data,
        &["b.example. NSEC c.example. NS SOA"],
        &Missing::ChildSide,
    );
    missing(
        "b.example. A",
        no_data,
        &["a.example. NSEC c.example. A"],
        &Missing::Cover(name("*.example.")),
    );
    let star = "*.example. NSEC a.example. A";
    missing(
        "b.example. A",
        no_data,
        &["a.example. NSEC c.example. A", star],
        &Missing::HasType(RrType::A),
    );

    let cut = ["b.example. NS ns.b.example."];
    let referral = |nsec: &str, expected: Missing| {
        let mut answer = zone.answer("b.example. A", no_data, &[], &[&[nsec]]);
        answer.authorities.push(record(cut[0]));
        let wanted = Verdict::Bogus(Bogus::Referral {
            cut: name("b.example."),
            missing: expected,
        });
        assert_eq!(judge(&zone.keys(), &answer, NOW), wanted, "{nsec}");
    };
    referral("b.example. NSEC c.example. NS DS", Missing::HasType(RrType::DS));
    referral("b.example. NSEC c.example. NS SOA", Missing::ChildSide);
    referral("b.example. NSEC c.example. A", Missing::NoDelegation);
    referral(
        "a.example. NSEC c.example. NS",
        Missing::Cover(name("b.example.")),
    );
}

#[test]
fn what_nsec_records_prove() {
    let zone = Signed::new();
    let apex: &[&str] = &["example. NSEC a.example. NS SOA RRSIG NSEC"];
    let (no_name, no_data) = (Rcode::NXDOMAIN, Rcode::NOERROR);
    zone.shows(
        "b.example. A",
        no_name,
        &[&["a.example. NSEC c.example. A"], apex],
        Shown::NoName,
    );
    zone.shows(
        "z.example. A",
        no_name,
        &[&["c.example. NSEC example. A"], apex],
        Shown::NoName,
    );
    zone.shows(
        "b.example. A",
        no_data,
        &[&["a.example. NSEC x.b.example. A"]],
        Shown::NoData,
    );
    zone.shows("example. DS", no_data, &[apex], Shown::NoData);
    zone.shows(
        "b.example. DS",
        no_data,
        &[&["b.example. NSEC c.example. NS"]],
        Shown::NoData,
    );
    // RFC 9824: without CO the code is NOERROR, with CO it is NXDOMAIN (§5.1).
    let compact: &[&str] = &["b.example. NSEC \\000.b.example. RRSIG NSEC NXNAME"];
    for rcode in [no_name, no_data] {
        zone.shows("b.example. A", rcode, &[compact], Shown::NoName);
    }
    let answer = zone.answer("b.example. A", no_data, &[], &[compact]);
    let Verdict::Secure(proof) = judge(&zone.keys(), &answer, NOW) else {
        panic!()
    };
    assert_eq!(proof.denial.unwrap().way, Denial::Compact);
    let exact = zone.answer(
        "b.example. A",
        no_data,
        &[],
        &[&["b.example. NSEC c.example. MX"]],
    );
    let Verdict::Secure(proof) = judge(&zone.keys(), &exact, NOW) else {
        panic!()
    };
    assert_eq!(proof.denial.unwrap().way, Denial::Nsec);
    // The form of RFC 9824 §3.4.
    let mut referral = zone.answer(
        "x.b.example. A",
        no_data,
        &[],
        &[&["b.example. NSEC b\\000.example. NS RRSIG NSEC"]],
    );
    referral.authorities.push(record("b.example. NS ns.b.example."));
    let cut = name("b.example.");
    assert_eq!(
        judge(&zone.keys(), &referral, NOW),
        Verdict::Insecure(Insecure::Delegation { cut })
    );
}

#[test]
fn wildcards_need_proof_that_nothing_is_closer() {
    let zone = Signed::new();
    let ask = |nsecs: &[&str]| {
        let sets: Vec<[&str; 1]> = nsecs.iter().map(|nsec| [*nsec]).collect();
        let sets: Vec<&[&str]> = sets.iter().map(|set| &set[..]).collect();
        let mut answer = zone.answer("x.b.example. A", Rcode::NOERROR, &[], &sets);
        answer.answers = zone.expanded(&["x.b.example. A 192.0.2.1"], "*.example.");
        judge(&zone.keys(), &answer, NOW)
    };
    assert_eq!(
        shows(&ask(&["a.example. NSEC c.example. A"])),
        (Shown::Data, true)
    );
    let bogus = |missing| {
        Verdict::Bogus(Bogus::Wildcard {
            owner: name("x.b.example."),
            missing,
        })
    };
    assert_eq!(ask(&[]), bogus(Missing::Everything));
    let cover = || Missing::Cover(name("x.b.example."));
    assert_eq!(ask(&["c.example. NSEC d.example. A"]), bogus(cover()));
    // x.b is not there, but b is, so *.example has no part in it (RFC 4592 §2.2.2).
    assert_eq!(ask(&["b.example. NSEC y.b.example. A"]), bogus(cover()));
    // A wildcard asked for by its own name is no expansion.
    let literal = zone.answer(
        "*.example. A",
        Rcode::NOERROR,
        &[&["*.example. A 192.0.2.1"]],
        &[],
    );
    assert_eq!(shows(&judge(&zone.keys(), &literal, NOW)), (Shown::Data, false));
    // An NSEC that is itself an expansion denies nothing.
    let mut answer = zone.answer("b.example. A", Rcode::NOERROR, &[], &[]);
    answer.authorities = zone.expanded(&["b.example. NSEC c.example. MX"], "*.example.");
    assert!(matches!(judge(&zone.keys(), &answer, NOW), Verdict::Bogus(_)));
}

#[test]
fn aliases_are_followed_within_the_zone() {
    let zone = Signed::new();
    let a: &[&str] = &["a.example. CNAME b.example."];
    let ask = |sets: &[&[&str]], authorities: &[&[&str]], rcode| {
        judge(
            &zone.keys(),
            &zone.answer("a.example. A", rcode, sets, authorities),
            NOW,
        )
    };
    let data: &[&str] = &["b.example. A 192.0.2.1"];
    assert_eq!(shows(&ask(&[a, data], &[], Rcode::NOERROR)).0, Shown::Data);
    assert_eq!(
        shows(&ask(&[a, &["b.example. CNAME a.example."]], &[], Rcode::NOERROR)).0,
        Shown::Alias
    );
    assert_eq!(
        shows(&ask(&[&["a.example. CNAME b.test."]], &[], Rcode::NOERROR)).0,
        Shown::Alias
    );
    assert_eq!(shows(&ask(&[a], &[], Rcode::NOERROR)).0, Shown::Alias);
    let none: &[&str] = &["a.example. NSEC example. CNAME"];
    let apex: &[&str] = &["example. NSEC a.example. SOA"];
    assert_eq!(shows(&ask(&[a], &[none, apex], Rcode::NXDOMAIN)).0, Shown::NoName);
    // The end of the chain has to be proved, not its beginning.
    assert!(matches!(
        ask(&[a], &[], Rcode::NXDOMAIN),
        Verdict::Bogus(Bogus::NoName { .. })
    ));
    // What stands beside the chain must be good too.
    let mut answer = zone.answer("a.example. A", Rcode::NOERROR, &[a, data], &[]);
    answer.answers.push(record("c.example. A 192.0.2.1"));
    let unsigned = Bogus::Unsigned {
        owner: name("c.example."),
        rtype: RrType::A,
    };
    assert_eq!(judge(&zone.keys(), &answer, NOW), Verdict::Bogus(unsigned));
}

#[test]
fn a_dname_makes_cnames_that_need_no_signature() {
    let zone = Signed::new();
    let dname: &[&str] = &["d.example. DNAME t.example."];
    let ask = |question, cname, data: &[&[&str]]| {
        let sets = [&[dname], data].concat();
        let mut answer = zone.answer(question, Rcode::NOERROR, &sets, &[]);
        answer.answers.push(record(cname));
        judge(&zone.keys(), &answer, NOW)
    };
    let data: &[&[&str]] = &[&["x.t.example. A 192.0.2.1"]];
    assert_eq!(
        shows(&ask("x.d.example. A", "x.d.example. CNAME x.t.example.", data)).0,
        Shown::Data
    );
    assert_eq!(
        shows(&ask("x.d.example. CNAME", "x.d.example. CNAME x.t.example.", &[])).0,
        Shown::Data
    );
    let wrong = ask("x.d.example. A", "x.d.example. CNAME y.t.example.", data);
    assert_eq!(
        wrong,
        Verdict::Bogus(Bogus::Substitution {
            owner: name("x.d.example.")
        })
    );
    // The CNAME may be left out (RFC 6672 §3.4.1).
    let bare = zone.answer("x.d.example. A", Rcode::NOERROR, &[dname, data[0]], &[]);
    assert_eq!(shows(&judge(&zone.keys(), &bare, NOW)).0, Shown::Data);
    // The owner itself is not redirected (RFC 6672 §2.3).
    let own = ask("d.example. A", "d.example. CNAME t.example.", &[]);
    assert!(matches!(own, Verdict::Bogus(Bogus::Unsigned { .. })), "{own:?}");
    // YXDOMAIN is believed where the substitution is too long, and only there (RFC 6672 §2.2).
    let label = "l".repeat(63);
    let long = format!("{label}.{label}.{label}.{}", "l".repeat(46));
    for (asked, secure) in [
        (format!("{long}.d.example. A"), false),
        (format!("x.{long}.d.example. A"), true),
    ] {
        let far: &[&str] = &["d.example. DNAME target.example."];
        let answer = zone.answer(&asked, Rcode::YXDOMAIN, &[far], &[]);
        let verdict = judge(&zone.keys(), &answer, NOW);
        assert_eq!(
            matches!(verdict, Verdict::Secure(_)),
            secure,
            "{asked}: {verdict:?}"
        );
    }
}

#[test]
fn nsec3_limits_and_odd_records() {
    let zone = Signed::new();
    // H(a.example) with this salt is 35mthgpgcu1qg68fab165klnsnk3dpvl (RFC 5155 appendix A).
    let matching = |fields: &str, types: &str| {
        format!(
            "35mthgpgcu1qg68fab165klnsnk3dpvl.example. NSEC3 {fields} aabbccdd b4um86eghhds6nea196smvmlo4ors995 {types}"
        )
    };
    let ask = |record: &str| {
        let answer = zone.answer("a.example. A", Rcode::NOERROR, &[], &[&[record]]);
        judge(&zone.keys(), &answer, NOW)
    };
    assert_eq!(shows(&ask(&matching("1 0 12", "MX RRSIG"))).0, Shown::NoData);
    assert_eq!(shows(&ask(&matching("1 0 12", "NXNAME"))).0, Shown::NoName);
    assert_eq!(
        ask(&matching("1 0 51", "MX")),
        Verdict::Insecure(Insecure::Iterations(51))
    );
    let missing = |record: &str| match ask(record) {
        Verdict::Bogus(Bogus::NoData { missing, .. }) => missing,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing(&matching("1 0 12", "A MX")), Missing::HasType(RrType::A));
    assert_eq!(missing(&matching("1 0 12", "CNAME")), Missing::HasCname);
    assert_eq!(missing(&matching("1 0 12", "NS")), Missing::Delegation);
    // Hashes and flags that nobody knows are passed over (RFC 5155 §8.1, §8.2).
    assert_eq!(missing(&matching("2 0 12", "MX")), Missing::Everything);
    assert_eq!(missing(&matching("1 2 12", "MX")), Missing::Everything);
    assert_eq!(
        missing(&matching("1 0 11", "MX")),
        Missing::Encloser(name("a.example."))
    );
    let elsewhere = matching("1 0 12", "MX").replace("dpvl.example.", "dpvl.b.example.");
    assert_eq!(missing(&elsewhere), Missing::Everything);
}
