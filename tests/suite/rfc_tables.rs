//! The examples of the RFCs, each as a row: what is asked, and which RRsets come in which section. Every RRset
//! that must be signed is, and nothing else.

use std::net::SocketAddr;

use countersign::wire::RrType;

use crate::harness::{
    client::ask,
    message::{AA, CO, DO, Message, NOERROR, NXDOMAIN, Name, Query, Record},
    process::{Countersign, Server, repository},
};

/// A zone of an RFC, served with one way of denial.
struct Table {
    server: Server,
    _ours: Countersign,
}

impl Table {
    fn new(zone: &str, denial: &'static str) -> Self {
        let ours = Countersign::new("example.", repository(zone)).denial(denial);
        Self {
            server: ours.serve(),
            _ours: ours,
        }
    }

    /// Asks `question` with DO; the sections must hold exactly these RRsets, signatures apart.
    #[track_caller]
    fn row(&self, title: &str, question: &str, rcode: u16, answer: &[&str], authority: &[&str]) -> Message {
        let (name, rtype) = question.split_once(' ').unwrap();
        row(
            self.server.address,
            title,
            &Query::signed(name, rtype),
            rcode,
            answer,
            authority,
        )
    }
}

#[track_caller]
fn row(
    server: SocketAddr,
    title: &str,
    query: &Query,
    rcode: u16,
    answer: &[&str],
    authority: &[&str],
) -> Message {
    let got = ask(server, query);
    let told = format!("{title}: {query}\n{got}");
    assert_eq!(got.rcode, rcode, "{told}");
    assert_eq!(rrsets(&got.answer), answer, "answer of {told}");
    assert_eq!(rrsets(&got.authority), authority, "authority of {told}");
    let referral = !got.has(AA);
    for section in [&got.answer, &got.authority] {
        for record in section.iter().filter(|record| record.rtype != RrType::RRSIG) {
            let signed = section.iter().any(|other| {
                other.rtype == RrType::RRSIG
                    && other.covered() == record.rtype
                    && other.owner.lower() == record.owner.lower()
            });
            assert_eq!(
                signed,
                !(referral && record.rtype == RrType::NS),
                "signature of {record} in {told}"
            );
        }
    }
    got
}

/// Each RRset once, in order, as `owner TYPE`; signatures left out.
fn rrsets(section: &[Record]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for record in section.iter().filter(|record| record.rtype != RrType::RRSIG) {
        let text = format!("{} {}", record.owner, record.rtype);
        if found.last() != Some(&text) {
            found.push(text);
        }
    }
    found
}

fn labels_signed(message: &Message, rtype: RrType) -> u8 {
    let signature = message
        .all()
        .find(|record| record.rtype == RrType::RRSIG && record.covered() == rtype);
    signature.expect("a signature").rdata[3]
}

/// Optional records (the apex NS of positive answers, addresses of an MX) are left out: answers are minimal.
#[test]
fn rfc_4035_appendix_b() {
    let table = Table::new("tests/data/rfc4035.zone", "nsec");
    table.row(
        "B.1 answer",
        "x.w.example. MX",
        NOERROR,
        &["x.w.example. MX"],
        &[],
    );
    let name_error = &["example. SOA", "b.example. NSEC", "example. NSEC"];
    table.row("B.2 name error", "ml.example. A", NXDOMAIN, &[], name_error);
    table.row(
        "B.3 no data",
        "ns1.example. MX",
        NOERROR,
        &[],
        &["example. SOA", "ns1.example. NSEC"],
    );
    let signed = table.row(
        "B.4",
        "mc.a.example. MX",
        NOERROR,
        &[],
        &["a.example. NS", "a.example. DS"],
    );
    assert!(!signed.has(AA));
    assert_eq!(
        rrsets(&signed.additional),
        ["ns1.a.example. A", "ns2.a.example. A"]
    );
    let unsigned = table.row(
        "B.5",
        "mc.b.example. MX",
        NOERROR,
        &[],
        &["b.example. NS", "b.example. NSEC"],
    );
    assert_eq!(
        rrsets(&unsigned.additional),
        ["ns1.b.example. A", "ns2.b.example. A"]
    );
    let wildcard = &["x.y.w.example. NSEC"];
    let answer = table.row(
        "B.6",
        "a.z.w.example. MX",
        NOERROR,
        &["a.z.w.example. MX"],
        wildcard,
    );
    assert_eq!(labels_signed(&answer, RrType::MX), 2, "the wildcard's labels");
    let none = &["example. SOA", "*.w.example. NSEC", "x.y.w.example. NSEC"];
    table.row("B.7 wildcard no data", "a.z.w.example. AAAA", NOERROR, &[], none);
    table.row(
        "B.8 DS of the zone",
        "example. DS",
        NOERROR,
        &[],
        &["example. SOA", "example. NSEC"],
    );
}

/// The NSEC of RFC 4035 appendix A, read back from the answers.
#[test]
fn rfc_4035_appendix_a_chain() {
    let table = Table::new("tests/data/rfc4035.zone", "nsec");
    let mut name = Name::parse("example.");
    let mut chain = Vec::new();
    loop {
        // At a cut the question is the child's, and the referral brings the NSEC when there is no DS.
        let query = Query::new(name.clone(), RrType::NSEC).with_do();
        let answer = ask(table.server.address, &query);
        let Some(nsec) = answer.all().find(|record| record.rtype == RrType::NSEC) else {
            name = Name::parse("ai.example.");
            continue;
        };
        let types: Vec<_> = nsec
            .bitmap()
            .into_iter()
            .map(|bit| RrType(bit).to_string())
            .collect();
        chain.push(format!("{} {}", nsec.owner, types.join(" ")));
        name = nsec.names()[0].clone();
        if name == Name::parse("example.") {
            break;
        }
    }
    let expected = [
        "example. NS SOA MX RRSIG NSEC DNSKEY",
        // a.example. has a DS, so that its NSEC is never told.
        "ai.example. A HINFO AAAA RRSIG NSEC",
        "b.example. NS RRSIG NSEC",
        "ns1.example. A RRSIG NSEC",
        "ns2.example. A RRSIG NSEC",
        "*.w.example. MX RRSIG NSEC",
        "x.w.example. MX RRSIG NSEC",
        "x.y.w.example. MX RRSIG NSEC",
        "xx.example. A HINFO AAAA RRSIG NSEC",
    ];
    assert_eq!(chain, expected);
}

#[test]
fn rfc_4592_section_2_2_1() {
    let soa = "example. SOA";
    let table = Table::new("tests/data/rfc4592.zone", "nsec");
    let row = |question: &str, rcode, answer: &[&str], authority: &[&str]| {
        table.row("2.2.1", question, rcode, answer, authority)
    };
    let between = "subdel.example. NSEC";
    let host2 = "_ssh._tcp.host2.example. NSEC";
    row("host3.example. MX", NOERROR, &["host3.example. MX"], &[host2]);
    row("host3.example. A", NOERROR, &[], &[soa, "*.example. NSEC", host2]);
    row(
        "foo.bar.example. TXT",
        NOERROR,
        &["foo.bar.example. TXT"],
        &["sub.*.example. NSEC"],
    );
    row("host1.example. MX", NOERROR, &[], &[soa, "host1.example. NSEC"]);
    row("sub.*.example. MX", NOERROR, &[], &[soa, "sub.*.example. NSEC"]);
    let no_telnet = &[soa, "_ssh._tcp.host1.example. NSEC", "host1.example. NSEC"];
    row("_telnet._tcp.host1.example. SRV", NXDOMAIN, &[], no_telnet);
    row(
        "host.subdel.example. A",
        NOERROR,
        &[],
        &["subdel.example. NS", between],
    );
    row("ghost.*.example. MX", NXDOMAIN, &[], &[soa, "*.example. NSEC"]);
    row("*.example. TXT", NOERROR, &["*.example. TXT"], &[]);
}

#[test]
fn rfc_9824_section_3() {
    let table = Table::new("tests/data/rfc4035.zone", "compact");
    let nsec_of = |message: &Message| {
        message
            .all()
            .find(|record| record.rtype == RrType::NSEC)
            .expect("an NSEC")
            .to_string()
    };
    let soa = "example. SOA";
    let row = |section: &str, question: &str, answer: &[&str], authority: &[&str]| {
        table.row(section, question, NOERROR, answer, authority)
    };
    let gone = row(
        "3.1 no such name",
        "Gone.example. A",
        &[],
        &[soa, "Gone.example. NSEC"],
    );
    assert_eq!(
        nsec_of(&gone),
        "Gone.example. 3600 NSEC \\000.gone.example. RRSIG NSEC NXNAME"
    );
    let no_type = row(
        "3.2 no such type",
        "ai.example. MX",
        &[],
        &[soa, "ai.example. NSEC"],
    );
    assert_eq!(
        nsec_of(&no_type),
        "ai.example. 3600 NSEC \\000.ai.example. A HINFO AAAA RRSIG NSEC"
    );
    let empty = row(
        "3.2 empty non-terminal",
        "w.example. A",
        &[],
        &[soa, "w.example. NSEC"],
    );
    assert_eq!(
        nsec_of(&empty),
        "w.example. 3600 NSEC \\000.w.example. RRSIG NSEC"
    );
    let wildcard = row("3.3 wildcard", "a.z.w.example. MX", &["a.z.w.example. MX"], &[]);
    assert_eq!(
        labels_signed(&wildcard, RrType::MX),
        4,
        "signed as if it were there"
    );
    let none = row(
        "3.3 wildcard, no data",
        "a.z.w.example. A",
        &[],
        &[soa, "a.z.w.example. NSEC"],
    );
    assert_eq!(
        nsec_of(&none),
        "a.z.w.example. 3600 NSEC \\000.a.z.w.example. MX RRSIG NSEC"
    );
    let referral = row(
        "3.4 referral",
        "mc.b.example. A",
        &[],
        &["b.example. NS", "b.example. NSEC"],
    );
    assert_eq!(
        nsec_of(&referral),
        "b.example. 3600 NSEC b\\000.example. NS RRSIG NSEC"
    );
}

/// Who cannot validate, or says that it knows compact answers, gets the real code (RFC 9824 section 5).
#[test]
fn rfc_9824_section_5() {
    let table = Table::new("tests/data/rfc4035.zone", "compact");
    let ask = |flags: Option<u16>| {
        let query = Query::plain("gone.example.", "A");
        let query = flags.map_or(query.clone(), |flags| query.with_opt(1232, flags));
        let answer = ask(table.server.address, &query);
        (answer.rcode, answer.opt.map(|opt| opt.flags))
    };
    assert_eq!(ask(None), (NXDOMAIN, None));
    assert_eq!(ask(Some(0)), (NXDOMAIN, Some(0)));
    assert_eq!(ask(Some(DO)), (NOERROR, Some(DO)));
    assert_eq!(ask(Some(DO | CO)), (NXDOMAIN, Some(DO | CO)));
    let existing = Query::plain("ns1.example.", "MX").with_opt(1232, DO | CO);
    assert_eq!(
        crate::harness::client::ask(table.server.address, &existing).rcode,
        NOERROR
    );
}

/// Both sides of a cut on one server: the child answers for itself, but for its DS (RFC 4035 section 3.1.4.1).
#[test]
fn parent_and_child_on_one_server() {
    let parent = repository("tests/data/rfc4035.zone");
    let ours = Countersign::new("example.", parent);
    let child = "$TTL 1h\n@ SOA ns1 h 1 2h 30m 2w 1h\n@ NS ns1\nns1 A 192.0.2.5\nmc MX 0 mail\n";
    let child = crate::harness::process::write(ours.folder(), "a.example.zone", child);
    let ours = ours.zone("a.example.", child);
    let server = ours.serve();
    let row = |title: &str, question: &str, answer: &[&str], authority: &[&str]| {
        let (name, rtype) = question.split_once(' ').unwrap();
        row(
            server.address,
            title,
            &Query::signed(name, rtype),
            NOERROR,
            answer,
            authority,
        )
    };
    row("the child's data", "mc.a.example. MX", &["mc.a.example. MX"], &[]);
    row("the child's own NS", "a.example. NS", &["a.example. NS"], &[]);
    let ds = row("the parent's DS", "a.example. DS", &["a.example. DS"], &[]);
    assert_eq!(
        ds.answer[1].names(),
        [Name::parse("example.")],
        "signed by the parent"
    );
    row(
        "no DS of a name below",
        "mc.a.example. DS",
        &[],
        &["a.example. SOA", "mc.a.example. NSEC"],
    );
    row(
        "the other cut",
        "x.b.example. A",
        &[],
        &["b.example. NS", "b.example. NSEC"],
    );
}
