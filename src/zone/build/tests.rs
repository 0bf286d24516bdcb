//! What a load takes, finds and makes.

use super::*;
use crate::zone::{Lookup, SearchName};

fn name(text: &str) -> Name {
    Name::parse(
        text.as_bytes(),
        Some("example.".parse::<Name>().unwrap().as_ref()),
    )
    .unwrap()
}

/// A zone of lines `owner TTL type rdata`; rdata is a name, or octets of text.
fn build(lines: &[&str]) -> Result<Built, LoadError> {
    let mut builder = ZoneBuilder::new(name("example.").as_ref(), Ttl::new(604_800));
    for (number, line) in lines.iter().enumerate() {
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (owner, ttl, rtype, rdata) = (name(word()), word().parse().unwrap(), word(), word());
        let rtype = RrType::from_text(rtype).unwrap();
        let rdata = match rtype {
            RrType::NS | RrType::CNAME | RrType::DNAME => name(rdata).as_wire().to_vec(),
            RrType::SOA => [
                name("ns").as_wire(),
                name("mail").as_wire(),
                &[0, 0, 0, 7],
                &[0; 12],
                &[0, 0, 0, 60],
            ]
            .concat(),
            _ => rdata.as_bytes().to_vec(),
        };
        let at = Place {
            file: 0,
            line: number as u32 + 1,
            column: 1,
        };
        builder.add(&Entry {
            owner: owner.as_ref(),
            rtype,
            ttl: Ttl::new(ttl),
            rdata: &rdata,
            at,
        });
    }
    builder.finish()
}

fn found(lines: &[&str]) -> Vec<String> {
    let zone = [&["@ 300 SOA -", "@ 300 NS ns", "ns 300 A addr"][..], lines].concat();
    let findings = match build(&zone) {
        Ok(built) => built.findings,
        Err(error) => error.findings,
    };
    findings
        .iter()
        .map(|f| format!("{:?} {}: {}", f.severity, f.at.unwrap_or_default().line, f.what))
        .collect()
}

#[test]
fn a_clean_zone_has_no_findings() {
    assert_eq!(
        found(&[
            "sub 300 NS ns.sub",
            "ns.sub 300 A addr",
            "sub 300 DS digest",
            "a 300 CNAME ns"
        ]),
        [""; 0]
    );
}

#[test]
fn each_fault_is_found_where_it_stands() {
    for (lines, expected) in [
        (
            &["a 300 CNAME ns", "a 300 A addr"][..],
            "Error 4: a.example. has a CNAME and other data",
        ),
        (
            &["a 300 CNAME ns", "a 300 CNAME ns2"],
            "Error 4: a.example. has more than one CNAME",
        ),
        (
            &["a 300 DNAME ns", "a 300 DNAME ns2"],
            "Error 4: a.example. has more than one DNAME",
        ),
        (&["*.a 300 NS ns"], "Error 4: *.a.example. is a wildcard with NS"),
        (
            &["a 300 SOA -"],
            "Error 4: a.example. has a SOA and is not the zone's name",
        ),
        (
            &["other.test. 300 A addr"],
            "Warning 4: other.test. is not in the zone example.",
        ),
        (
            &["a 300 A x", "a 200 A y"],
            "Warning 5: a.example. A has records with different TTLs; all are served with the lowest, 200",
        ),
        (
            &["a 300 NS ns", "x.a 300 TXT x"],
            "Warning 5: x.a.example. TXT is below a zone cut",
        ),
        (
            &["a 300 DNAME ns", "x.a 300 TXT x"],
            "Warning 5: x.a.example. TXT is below a zone cut or a DNAME",
        ),
        (
            &["a 300 NS ns.a"],
            "Warning 4: a.example. NS ns.a.example. needs an address here",
        ),
        (
            &["a 300 NS ns", "a 300 TXT x"],
            "Warning 5: a.example. TXT is at a zone cut",
        ),
        (
            &["a 9999999 A x"],
            "Warning 0: 1 records have a TTL above 604800 s",
        ),
    ] {
        let found = found(lines);
        assert!(
            found.len() == 1 && found[0].starts_with(expected),
            "{lines:?}: {found:?}"
        );
    }
    let findings = build(&["a 300 A x"]).unwrap_err().findings;
    assert!(
        findings[0].what.contains("no SOA") && findings[1].what.contains("no NS"),
        "{findings:?}"
    );
}

#[test]
fn an_error_is_not_crowded_out_by_warnings() {
    let mut lines: Vec<String> = (0..2 * MAX_FINDINGS)
        .map(|n| format!("n{n}.test. 1 A x"))
        .collect();
    lines.push("a 300 SOA -".into());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let found = found(&lines);
    assert!(found.iter().any(|f| f.starts_with("Error")), "{found:?}");
    assert!(found.len() <= MAX_FINDINGS + 1);
}

#[test]
fn records_of_another_signer_are_dropped_and_counted() {
    let built = build(&[
        "@ 300 SOA -",
        "@ 300 NS ns",
        "ns 300 A x",
        "@ 300 DNSKEY key",
        "@ 300 CDS x",
        "@ 300 ZONEMD x",
        "ns 300 RRSIG x",
        "ns 300 NSEC x",
        "below 300 DNSKEY kept",
    ])
    .unwrap();
    assert_eq!((built.dropped, built.zone.record_count()), (5, 4));
    assert_eq!(built.dropped_dnskeys, [b"key"[..].into()]);
}

/// An NSEC3's owner is no name of the zone (RFC 5155 §7.2.8), and neither is one that has only signatures: as
/// empty nodes they would be answered with proofs that no validator takes.
#[test]
fn names_that_own_only_what_is_dropped_do_not_exist() {
    let built = build(&[
        "@ 300 SOA -",
        "@ 300 NS ns",
        "*.w 300 TXT wild",
        "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom 300 NSEC3 x",
        "gone.w 300 RRSIG x",
        "@ 300 DS x",
    ])
    .unwrap();
    assert_eq!(
        (built.zone.node_count(), built.dropped),
        (3, 2),
        "the apex, w and *.w"
    );
    assert!(built.zone.apex_node().rrset(RrType::DS).is_none());
    let gone = SearchName::new(name("gone.w").as_ref());
    assert!(matches!(built.zone.lookup(&gone), Lookup::Wildcard { .. }));
}

#[test]
fn an_rrset_that_no_message_holds_is_an_error() {
    let records = |count: usize| -> Vec<String> {
        let mut lines = vec!["@ 300 SOA -".to_owned(), "@ 300 NS ns".to_owned()];
        lines.extend((0..count).map(|n| format!("big 300 TXT {n:0200}")));
        lines
    };
    let result = |count| {
        let lines = records(count);
        build(&lines.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert!(result(290).is_ok());
    let refused = result(310).unwrap_err();
    assert!(
        refused.findings[0].what.contains("big.example. TXT is too large"),
        "{refused:?}"
    );
}

#[test]
fn an_rrset_has_canonical_order_no_duplicates_and_the_lowest_ttl() {
    let built = build(&[
        "@ 300 SOA -",
        "@ 300 NS ns",
        "a 300 TXT b",
        "a 200 TXT a",
        "a 300 TXT b",
    ])
    .unwrap();
    let set = built
        .zone
        .node(name("a").as_ref())
        .unwrap()
        .rrset(RrType::TXT)
        .unwrap();
    assert_eq!(set.rdatas().collect::<Vec<_>>(), [b"a", b"b"]);
    assert_eq!(
        (
            set.ttl().seconds(),
            built.zone.serial(),
            built.zone.negative_ttl().seconds()
        ),
        (200, 7, 60)
    );
}

/// RFC 4592 §2.2.1, with what it says of each name.
#[test]
fn wildcards_of_rfc_4592() {
    let built = build(&[
        "@ 300 SOA -",
        "@ 300 NS ns",
        "* 3600 TXT wild",
        "* 3600 MX host1",
        "sub.* 3600 TXT not-wild",
        "host1 3600 A x",
        "_ssh._tcp.host1 3600 SRV x",
        "_ssh._tcp.host2 3600 SRV x",
        "subdel 3600 NS ns",
    ])
    .unwrap();
    let what = |text: &str| match built.zone.lookup(&SearchName::new(name(text).as_ref())) {
        Lookup::Exact(node) if node.is_empty() => "empty".into(),
        Lookup::Exact(node) => format!("exact {}", node.name()),
        Lookup::Delegation(cut) => format!("cut {}", cut.name()),
        Lookup::Redirected(node) => format!("dname {}", node.name()),
        Lookup::Wildcard { source, .. } => format!("wild {}", source.name()),
        Lookup::NameError { closest_encloser } => format!("none {}", closest_encloser.name()),
    };
    for (asked, expected) in [
        ("host3", "wild *.example."),
        ("foo.bar", "wild *.example."),
        ("host1", "exact host1.example."),
        ("sub.*", "exact sub.*.example."),
        ("_telnet._tcp.host1", "none _tcp.host1.example."),
        ("host.subdel", "cut subdel.example."),
        ("ghost.*", "none *.example."),
        ("_tcp.host2", "empty"),
        ("@", "exact example."),
    ] {
        assert_eq!(what(asked), expected, "{asked}");
    }
}

#[test]
fn what_hides_a_name_is_the_highest_cut_or_dname() {
    let built = build(&[
        "@ 300 SOA -",
        "@ 300 NS ns",
        "cut 300 NS x.y.cut",
        "x.y.cut 300 A a",
        "y.cut 300 NS z",
        "d 300 DNAME ns",
        "deep.d 300 NS z",
        "x.deep.d 300 A a",
    ])
    .unwrap();
    let what = |text: &str| match built.zone.lookup(&SearchName::new(name(text).as_ref())) {
        Lookup::Delegation(cut) => format!("cut {}", cut.name()),
        Lookup::Redirected(node) => format!("dname {}", node.name()),
        other => format!("{other:?}"),
    };
    for (asked, expected) in [
        ("cut", "cut cut.example."),
        ("x.y.cut", "cut cut.example."),
        ("y.cut", "cut cut.example."),
        ("not.here.y.cut", "cut cut.example."),
        ("deep.d", "dname d.example."),
        ("a.b.x.deep.d", "dname d.example."),
        ("other.d", "dname d.example."),
    ] {
        assert_eq!(what(asked), expected, "{asked}");
    }
}

#[test]
fn the_chain_is_in_canonical_order_without_hidden_and_empty_names() {
    let owners = [
        "\\001.z",
        "*.z",
        "\\200.z",
        "a",
        "Z.a",
        "yljkjljk.a",
        "zabc.a",
        "z",
        "\\000",
        "\\000\\000",
        "\\001",
        "-",
    ];
    let mut lines: Vec<String> = owners.iter().map(|owner| format!("{owner} 300 A x")).collect();
    lines.extend(
        [
            "@ 300 SOA -",
            "@ 300 NS ns",
            "cut 300 NS ns",
            "x.cut 300 A x",
            "x.empty 300 A x",
        ]
        .map(String::from),
    );
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let zone = build(&lines).unwrap().zone;
    let chain: Vec<Name> = zone
        .chain()
        .iter()
        .map(|&id| zone.by_id(id).name().to_owned())
        .collect();
    let mut sorted = chain.clone();
    sorted.sort();
    assert_eq!(chain, sorted);
    assert_eq!(
        chain.len(),
        owners.len() + 3,
        "the apex, the cut and x.empty besides: {chain:?}"
    );
    assert_eq!(chain[0], name("@"));
}
