//! Packets that no good client sends, and those of RFC 8906 that many servers get wrong, over UDP and TCP.

use std::{collections::BTreeMap, time::Duration};

use countersign::wire::RrType;

use crate::harness::{
    client::{ask_tcp, ask_udp, exchange_tcp, exchange_udp},
    message::{
        AA, AD, BADVERS, CD, CO, DO, FORMERR, Message, NOERROR, NOTIMP, NXDOMAIN, Name, Opt, QR, Query, RA,
        RD, REFUSED, TC, Z,
    },
    process::{Countersign, Server, repository},
};

const ORIGIN: &str = "awkward.example.";
const PATIENCE: Duration = Duration::from_secs(5);
/// How long nothing must come for a packet to count as unanswered. Something else is answered after it, so a
/// slow machine cannot make this pass.
const SILENCE: Duration = Duration::from_millis(200);

/// A server of the awkward zone.
struct Served {
    server: Server,
    _ours: Countersign,
}

impl Served {
    fn new() -> Self {
        let ours = Countersign::new(ORIGIN, repository("zones/awkward.zone"));
        Self {
            server: ours.serve(),
            _ours: ours,
        }
    }

    /// Sends the octets over both transports; both answer alike but for the id. `None`: neither answers.
    fn send(&self, octets: &[u8]) -> Option<Message> {
        let udp = exchange_udp(self.server.address, octets, SILENCE).ok();
        let tcp = exchange_tcp(
            self.server.address,
            octets,
            if udp.is_some() { PATIENCE } else { SILENCE },
        )
        .ok();
        // It lives: the next question is answered.
        let alive = ask_udp(self.server.address, &Query::plain(ORIGIN, "SOA"));
        assert_eq!((alive.rcode, alive.answer.len()), (NOERROR, 1));
        assert_eq!(
            udp.is_some(),
            tcp.is_some(),
            "UDP and TCP differ for {octets:02x?}"
        );
        let [udp, tcp] = [udp?, tcp?].map(|answer| Message::read(&answer).unwrap());
        assert_eq!(udp.rcode, tcp.rcode, "UDP and TCP differ\n{udp}\n{tcp}");
        assert_eq!(udp.id, u16::from_be_bytes([octets[0], octets[1]]));
        assert!(udp.has(QR));
        Some(udp)
    }

    #[track_caller]
    fn expect(&self, what: &str, octets: &[u8], rcode: u16) -> Message {
        let answer = self.send(octets).unwrap_or_else(|| panic!("{what}: no answer"));
        assert_eq!(answer.rcode, rcode, "{what}\n{answer}");
        answer
    }
}

fn soa() -> Query {
    Query::plain(ORIGIN, "SOA")
}

fn with_opcode(query: &Query, opcode: u16) -> Vec<u8> {
    query.clone().with_flags(opcode << 11).to_bytes(7)
}

#[test]
fn what_must_not_be_answered_is_not() {
    let served = Served::new();
    assert!(served.send(&soa().with_flags(QR).to_bytes(7)).is_none(), "QR=1");
    // Shorter than a header. Over TCP a length of 0 to 11 is the same.
    for length in [1, 2, 11] {
        assert!(
            served.send(&soa().to_bytes(7)[..length]).is_none(),
            "{length} octets"
        );
    }
    // QR=1 and an unknown opcode: two servers must not keep each other busy.
    assert!(served.send(&with_opcode(&soa().with_flags(QR), 9)).is_none());
}

#[test]
fn broken_questions_are_format_errors() {
    let served = Served::new();
    let query = soa().to_bytes(7);
    let change = |at: usize, octets: &[u8]| {
        let mut query = query.clone();
        query[at..at + octets.len()].copy_from_slice(octets);
        query
    };
    let two = {
        let mut two = query.clone();
        two[5] = 2;
        two.extend_from_slice(&query[12..]);
        two
    };
    served.expect("no question (RFC 9619)", &change(4, &[0, 0])[..12], FORMERR);
    served.expect("two questions (RFC 9619)", &two, FORMERR);
    served.expect("a question cut short", &query[..query.len() - 1], FORMERR);
    served.expect("a name cut short", &query[..15], FORMERR);
    served.expect("a header alone that promises a question", &query[..12], FORMERR);
    served.expect("a name that points at itself", &change(12, &[0xc0, 12]), FORMERR);
    served.expect("a name that points forward", &change(12, &[0xc0, 20]), FORMERR);
    served.expect("a label type that does not exist", &change(12, &[0x40]), FORMERR);
    served.expect("a label type that was withdrawn", &change(12, &[0x80]), FORMERR);
    served.expect("an answer in a question", &change(6, &[0, 1]), FORMERR);
    let long = [&[1, b'a'][..]; 128].concat();
    let long = [&query[..12], &long, &[0, 0, 1, 0, 1]].concat();
    served.expect("a name of 257 octets", &long, FORMERR);
}

#[test]
fn what_is_not_built_is_not_implemented() {
    let served = Served::new();
    for opcode in [1, 2, 3, 4, 5, 6, 9, 15] {
        let answer = served.expect("opcode", &with_opcode(&soa(), opcode), NOTIMP);
        assert_eq!(answer.opcode(), opcode, "the opcode comes back");
        assert!(answer.answer.is_empty() && !answer.has(AA));
    }
    for rtype in ["AXFR", "IXFR"] {
        served.expect(rtype, &Query::plain(ORIGIN, rtype).to_bytes(7), REFUSED);
    }
    // RFC 9824 section 3.5: NXNAME is no question.
    served.expect("NXNAME", &Query::plain(ORIGIN, "TYPE128").to_bytes(7), FORMERR);
    for rtype in ["OPT", "TSIG", "TKEY", "MAILA", "MAILB"] {
        let answer = served.send(&Query::plain(ORIGIN, rtype).to_bytes(7)).unwrap();
        assert!(matches!(answer.rcode, FORMERR | NOTIMP), "{rtype}\n{answer}");
    }
}

#[test]
fn other_names_and_classes_are_refused() {
    let served = Served::new();
    for name in ["elsewhere.test.", "example.", ".", "xawkward.example."] {
        let answer = served.expect(name, &Query::plain(name, "A").to_bytes(7), REFUSED);
        assert!(!answer.has(AA) && answer.all().next().is_none(), "{answer}");
    }
    for class in [3, 4, 0, 0xfe00, 254] {
        let mut query = soa();
        query.class = class;
        served.expect("class", &query.to_bytes(7), REFUSED);
    }
    // The only class here is IN, so that ANY is it, or refused: never an answer in another class.
    let mut any = soa();
    any.class = 255;
    let answer = served.send(&any.to_bytes(7)).unwrap();
    assert!(
        answer.rcode == REFUSED || answer.answer.iter().all(|record| record.class == 1),
        "{answer}"
    );
    // What `dig version.bind CH TXT` asks must not crash or tell.
    let mut version = Query::plain("version.bind.", "TXT");
    version.class = 3;
    served.expect("version.bind", &version.to_bytes(7), REFUSED);
}

#[test]
fn edns_is_answered_as_rfc_6891_says() {
    let served = Served::new();
    let opt = Opt {
        size: 1232,
        version: 0,
        flags: 0,
        options: Vec::new(),
    };
    let with = |opt: &Opt| {
        Query {
            opt: Some(opt.clone()),
            ..soa()
        }
        .to_bytes(7)
    };

    assert!(served.expect("no OPT", &soa().to_bytes(7), NOERROR).opt.is_none());
    let plain = served.expect("EDNS 0", &with(&opt), NOERROR).opt.unwrap();
    assert_eq!((plain.version, plain.flags, plain.options.len()), (0, 0, 0));
    assert!((512..=1232).contains(&plain.size));

    for version in [1, 2, 255] {
        let answer = served.expect(
            "EDNS version",
            &with(&Opt {
                version,
                ..opt.clone()
            }),
            BADVERS,
        );
        assert_eq!(answer.opt.as_ref().unwrap().version, 0);
        assert!(answer.answer.is_empty(), "{answer}");
        // With DO, an option and flags nobody knows it is still that.
        let all = Opt {
            version,
            flags: 0xffff,
            options: vec![(100, vec![1, 2, 3])],
            ..opt.clone()
        };
        let answer = served.expect("EDNS version with all the rest", &with(&all), BADVERS);
        assert_eq!(
            answer.opt.unwrap().flags & !(DO | CO),
            0,
            "unknown flags are sent as zero"
        );
    }
    let flags = served.expect(
        "an EDNS flag nobody knows",
        &with(&Opt {
            flags: 0x0080,
            ..opt.clone()
        }),
        NOERROR,
    );
    assert_eq!(flags.opt.unwrap().flags, 0);
    let unknown = Opt {
        options: vec![(100, vec![]), (65_001, vec![0; 100])],
        ..opt.clone()
    };
    let unknown = served.expect("options nobody knows", &with(&unknown), NOERROR);
    assert!(unknown.opt.unwrap().options.is_empty());
    let signed = served.expect(
        "DO",
        &with(&Opt {
            flags: DO,
            ..opt.clone()
        }),
        NOERROR,
    );
    assert_eq!(signed.opt.as_ref().unwrap().flags, DO, "DO comes back (RFC 3225)");
    assert_eq!(signed.answer.len(), 2, "{signed}");

    let mut two = with(&opt);
    two[11] = 2;
    opt.append_to(&mut two);
    served.expect("two OPT records", &two, FORMERR);
    let mut owned = soa().to_bytes(7);
    owned[11] = 1;
    owned.extend_from_slice(&[1, b'x']);
    opt.append_to(&mut owned);
    served.expect("an OPT record that is not at the root", &owned, FORMERR);
    let mut short = with(&Opt {
        options: vec![(3, vec![])],
        ..opt.clone()
    });
    let length = short.len();
    short[length - 1] = 9;
    served.expect("an option longer than the record", &short, FORMERR);
}

#[test]
fn nsid_is_told_to_those_who_ask() {
    let served = Served::new();
    let ask = |options| {
        let query = Query {
            opt: Some(Opt {
                size: 1232,
                version: 0,
                flags: 0,
                options,
            }),
            ..soa()
        };
        ask_udp(served.server.address, &query).opt.unwrap().options
    };
    assert_eq!(ask(vec![]), []);
    // Empty or not, ours is told once at most, and nothing else.
    let told = ask(vec![(3, vec![])]);
    assert!(
        told.len() <= 1 && told.iter().all(|(code, _)| *code == 3),
        "{told:?}"
    );
}

#[test]
fn header_flags_are_ours() {
    let served = Served::new();
    for flags in [0, RD, AD, CD, Z, TC, RA, AA, RD | AD | CD | Z | TC | RA | AA] {
        let answer = served.expect("flags", &soa().with_flags(flags).to_bytes(7), NOERROR);
        // RD comes back; AA is ours; nothing else is set by whatever came.
        assert_eq!(answer.flags & !QR, AA | flags & RD, "{flags:#06x}\n{answer}");
    }
}

/// Never a part of an RRset: either all of it, or TC and none of it (RFC 2181 section 9).
#[test]
fn what_does_not_fit_is_cut_whole() {
    let served = Served::new();
    for (name, rtype, records) in [
        ("big-a", "A", 100),
        ("big-txt", "TXT", 40),
        ("mail", "A", 1),
        (ORIGIN, "DNSKEY", 2),
    ] {
        let name = if name == ORIGIN {
            ORIGIN.to_owned()
        } else {
            format!("{name}.{ORIGIN}")
        };
        for flags in [0, DO] {
            let whole = ask_tcp(
                served.server.address,
                &Query::plain(&name, rtype).with_opt(512, flags),
            );
            let expected = records + usize::from(flags == DO);
            assert_eq!(whole.answer.len(), expected, "{whole}");
            assert!(!whole.has(TC), "TCP has no limit but 65,535 octets");
            for size in [0, 100, 512, 1000, 1232, 1400, 4096, 65_535] {
                let cut = ask_udp(
                    served.server.address,
                    &Query::plain(&name, rtype).with_opt(size, flags),
                );
                let limit = usize::from(size.clamp(512, 1232));
                assert!(
                    cut.bytes.len() <= limit,
                    "{} octets of {limit}\n{cut}",
                    cut.bytes.len()
                );
                if cut.has(TC) {
                    assert_eq!(cut.answer.len(), 0, "size {size}\n{cut}");
                    assert!(
                        cut.opt.is_some(),
                        "OPT stays in a cut answer (RFC 6891 section 7)"
                    );
                } else {
                    assert_eq!(cut.answer.len(), expected, "size {size}\n{cut}");
                }
            }
        }
        let plain = ask_udp(served.server.address, &Query::plain(&name, rtype));
        assert!(
            plain.bytes.len() <= 512 && (plain.has(TC) == plain.answer.is_empty()),
            "{plain}"
        );
    }
}

/// ANY is one RRset that is there (RFC 8482 section 4.1), with its signature when that is wanted, never more.
#[test]
fn any_is_answered_with_something() {
    let served = Served::new();
    let any = |name: &str, query: fn(Query) -> Query| {
        ask_udp(
            served.server.address,
            &query(Query::plain(&format!("{name}.{ORIGIN}"), "ANY")),
        )
    };
    for name in ["multi", "t-https", "x.wild", "c1", "MAIL"] {
        let signed = any(name, Query::with_do);
        let mut types: BTreeMap<RrType, usize> = BTreeMap::new();
        for record in &signed.answer {
            *types.entry(record.rtype).or_default() += 1;
            assert_eq!(
                record.owner.lower(),
                Name::parse(&format!("{name}.{ORIGIN}")).lower()
            );
        }
        assert_eq!(signed.rcode, NOERROR);
        assert_eq!(
            (types.len(), types.get(&RrType::RRSIG)),
            (2, Some(&1)),
            "{signed}"
        );
        let plain = any(name, |query| query);
        assert!(!plain.answer.is_empty() && plain.answer.iter().all(|record| record.rtype != RrType::RRSIG));
    }
    assert_eq!(any("no-such.mail", |query| query).rcode, NXDOMAIN);
}

/// The questions of RFC 8906 section 8, each as its dig line, and what it must give.
#[test]
fn the_list_of_rfc_8906() {
    let served = Served::new();
    let opt = |version, flags, options| {
        Some(Opt {
            size: 4096,
            version,
            flags,
            options,
        })
    };
    let nobody = || vec![(100, Vec::new())];
    let rows: [(&str, Query, u16); 16] = [
        ("8.1.1 +noedns +noad +norec soa", soa(), NOERROR),
        (
            "8.1.2 +noedns +noad +norec type1000",
            Query::plain(ORIGIN, "TYPE1000"),
            NOERROR,
        ),
        ("8.1.3.1 +cdflag", soa().with_flags(CD), NOERROR),
        ("8.1.3.2 +adflag", soa().with_flags(AD), NOERROR),
        ("8.1.3.3 +zflag", soa().with_flags(Z), NOERROR),
        ("8.1.3.4 +rec", soa().with_flags(RD), NOERROR),
        (
            "8.2.1 +edns=0",
            Query {
                opt: opt(0, 0, vec![]),
                ..soa()
            },
            NOERROR,
        ),
        (
            "8.2.2 +edns=1 +noednsneg",
            Query {
                opt: opt(1, 0, vec![]),
                ..soa()
            },
            BADVERS,
        ),
        (
            "8.2.3 +ednsopt=100",
            Query {
                opt: opt(0, 0, nobody()),
                ..soa()
            },
            NOERROR,
        ),
        (
            "8.2.4 +ednsflags=0x40",
            Query {
                opt: opt(0, 0x40, vec![]),
                ..soa()
            },
            NOERROR,
        ),
        (
            "8.2.5 +edns=1 +ednsflags=0x40",
            Query {
                opt: opt(1, 0x40, vec![]),
                ..soa()
            },
            BADVERS,
        ),
        (
            "8.2.6 +edns=1 +ednsopt=100",
            Query {
                opt: opt(1, 0, nobody()),
                ..soa()
            },
            BADVERS,
        ),
        (
            "8.2.7 +bufsize=512 +dnssec dnskey",
            Query::plain(ORIGIN, "DNSKEY").with_opt(512, DO),
            NOERROR,
        ),
        ("8.2.8 +edns=0 +dnssec", soa().with_opt(4096, DO), NOERROR),
        (
            "8.2.9 +edns=1 +dnssec",
            Query {
                opt: opt(1, DO, vec![]),
                ..soa()
            },
            BADVERS,
        ),
        (
            "8.2.10 +edns=0 +nsid +ednsopt=100",
            Query {
                opt: opt(0, 0, vec![(3, vec![]), (100, vec![])]),
                ..soa()
            },
            NOERROR,
        ),
    ];
    for (what, query, rcode) in rows {
        let answer = served.expect(what, &query.to_bytes(7), rcode);
        assert_eq!(answer.opt.is_some(), query.opt.is_some(), "{what}\n{answer}");
        let data = rcode == NOERROR && query.rtype == RrType::SOA;
        let found = answer
            .answer
            .iter()
            .filter(|record| record.rtype == RrType::SOA)
            .count();
        assert_eq!(found, usize::from(data), "{what}\n{answer}");
        assert!(!answer.has(AD | Z | RA | TC), "{what}\n{answer}");
        assert_eq!(answer.has(AA), rcode == NOERROR, "{what}\n{answer}");
    }
    // 8.1.4: unknown opcodes, with nothing behind the header.
    let mut header = [0; 12];
    header[2] = 15 << 3;
    assert_eq!(served.send(&header).unwrap().rcode, NOTIMP);
    // 8.1.5: over TCP.
    assert_eq!(ask_tcp(served.server.address, &soa()).answer.len(), 1);
}
