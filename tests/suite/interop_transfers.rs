//! Zones from other people's servers: what Knot and NSD give, whole or as changes, signed or not, is what their files
//! hold; what they refuse is understood; and what breaks on the way is never taken for a zone.

use std::{
    collections::BTreeSet,
    error::Error as _,
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use countersign::{
    answer::Transport,
    client::{
        AskError, Asker, Notice, NotifyError, Question, Signing, Transfer, TransferError, TransferSettings,
        Transferred, TsigAlgorithm, TsigKey,
        transfer::Fault,
        tsig::{TsigError, TsigFault},
    },
    clock::{Clock as _, SimulatedClock, SystemClock, UnixTime},
    wire::{
        Name, RrType, Serial, Soa,
        message::Rcode,
        received::Record,
        types::{canonical_rdata, names_in_rdata},
    },
    zone::master::{self, Source},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
};

use crate::harness::{
    peers::{self, Peer},
    process::{STARTING, repository, wait_for, write},
    questions::cut_before,
};

const SECRET: &str = "Q291bnRlcnNpZ24gdHJhbnNmZXJzIGEgem9uZSBpbiBpdHMgdGVzdHM=";
const AWKWARD: &str = "awkward.example.";

/// A key for each algorithm, as both sides have it.
fn keys() -> Vec<Arc<TsigKey>> {
    TsigAlgorithm::ALL
        .into_iter()
        .map(|algorithm| key(&key_name(algorithm), algorithm, SECRET))
        .collect()
}

fn key_name(algorithm: TsigAlgorithm) -> String {
    format!("xfr-{}.", algorithm.text())
}

fn key(name: &str, algorithm: TsigAlgorithm, secret: &str) -> Arc<TsigKey> {
    Arc::new(TsigKey::from_base64(name.parse().unwrap(), algorithm, secret).unwrap())
}

/// Knot gives its zones to the keys; `sections` stand beside its own, `settings` in each zone's.
fn knot(zones: &[(&str, PathBuf)], sections: &str, settings: &str) -> Peer {
    let mut conf = String::from("key:\n");
    let mut names = Vec::new();
    for algorithm in TsigAlgorithm::ALL {
        let name = key_name(algorithm);
        writeln!(
            conf,
            "  - id: {name}\n    algorithm: {}\n    secret: {SECRET}",
            algorithm.text()
        )
        .unwrap();
        names.push(name);
    }
    let names = names.join(", ");
    write!(
        conf,
        "acl:\n  - id: ours\n    key: [{names}]\n    action: [transfer, notify]\n{sections}template:\n    acl: ours\n{settings}"
    )
    .unwrap();
    peers::knot(zones, &conf)
}

/// NSD gives its zones to the keys.
fn nsd(zones: &[(&str, PathBuf)], settings: &str) -> Peer {
    let (mut clauses, mut provide) = (String::new(), String::from(settings));
    for algorithm in TsigAlgorithm::ALL {
        let name = key_name(algorithm);
        writeln!(
            clauses,
            "key:\n  name: {name}\n  algorithm: {}\n  secret: \"{SECRET}\"",
            algorithm.text()
        )
        .unwrap();
        writeln!(provide, "  provide-xfr: 127.0.0.0/8 {name}").unwrap();
    }
    peers::nsd_with(zones, &clauses, &provide)
}

/// A record, letter case apart: owner, type, TTL, rdata.
type Row = (Vec<u8>, u16, u32, Vec<u8>);

fn row(owner: &[u8], rtype: RrType, ttl: u32, rdata: &[u8]) -> Row {
    let mut canonical = Vec::new();
    canonical_rdata(rtype, rdata, &mut canonical);
    (owner.to_ascii_lowercase(), rtype.0, ttl, canonical)
}

fn rows(records: &[Record]) -> BTreeSet<Row> {
    let rows: BTreeSet<_> = records
        .iter()
        .map(|record| {
            row(
                record.owner.as_wire(),
                record.rtype,
                record.ttl.seconds(),
                &record.rdata,
            )
        })
        .collect();
    assert_eq!(rows.len(), records.len(), "a record came twice");
    rows
}

/// What a file holds.
fn rows_of(file: &Path, origin: &str) -> BTreeSet<Row> {
    let origin: Name = origin.parse().unwrap();
    let mut rows = BTreeSet::new();
    let read = master::read(&Source::File(file), origin.as_ref(), &mut |entry| {
        rows.insert(row(
            entry.owner.as_wire(),
            entry.rtype,
            entry.ttl.seconds(),
            entry.rdata,
        ));
    });
    assert!(read.errors.is_empty(), "{:?}", read.errors);
    rows
}

/// How a zone is asked for.
struct Ask<'a> {
    zone: &'a str,
    key: Option<&'a Arc<TsigKey>>,
    have: Option<u32>,
    now: UnixTime,
}

impl<'a> Ask<'a> {
    fn whole(zone: &'a str, key: &'a Arc<TsigKey>) -> Self {
        Self {
            zone,
            key: Some(key),
            have: None,
            now: SystemClock::default().now(),
        }
    }

    fn of(&self, server: SocketAddr) -> (Result<Transferred, TransferError>, Vec<Record>) {
        runtime().block_on(self.fetch(server))
    }

    async fn fetch(&self, server: SocketAddr) -> (Result<Transferred, TransferError>, Vec<Record>) {
        let zone = self.zone.parse().unwrap();
        let settings = TransferSettings {
            stall: Duration::from_secs(20),
            ..TransferSettings::default()
        };
        let clock = SimulatedClock::new(self.now);
        let transfer = Transfer {
            server,
            zone: &zone,
            key: self.key,
            settings: &settings,
            clock: &clock,
        };
        let mut records = Vec::new();
        let transferred = transfer
            .fetch(self.have.map(Serial), &mut |record| records.push(record.clone()))
            .await;
        (transferred, records)
    }

    fn fault(&self, server: SocketAddr) -> Fault {
        let (transferred, _) = self.of(server);
        transferred.expect_err("nothing should come").fault
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn zone_file(folder: &Path, serial: u32, names: impl IntoIterator<Item = usize>) -> PathBuf {
    let mut text = format!("@ 60 SOA ns.invalid. h.invalid. {serial} 60 60 600 60\n@ 60 NS ns.invalid.\n");
    for name in names {
        writeln!(text, "n{name} 60 A 192.0.{}.{}", name / 256, name % 256).unwrap();
    }
    write(folder, "z.zone", text)
}

/// All names in rdata in lower case: NSD reads those of SVCB and IPSECKEY so, which RFC 3597 section 7 does not.
fn without_case(rows: &BTreeSet<Row>) -> BTreeSet<Row> {
    let mut rows: Vec<_> = rows.iter().cloned().collect();
    for (_, rtype, _, rdata) in &mut rows {
        let names: Vec<_> = names_in_rdata(RrType(*rtype), rdata)
            .map(|name| name.range)
            .collect();
        for range in names {
            rdata[range].make_ascii_lowercase();
        }
    }
    rows.into_iter().collect()
}

fn assert_same(got: &BTreeSet<Row>, expected: &BTreeSet<Row>) {
    let missing: Vec<_> = expected.difference(got).collect();
    let more: Vec<_> = got.difference(expected).collect();
    assert!(
        missing.is_empty() && more.is_empty(),
        "-{missing:02x?}\n+{more:02x?}"
    );
}

#[test]
fn a_whole_zone_is_what_its_file_holds() {
    let folder = tempfile::tempdir().unwrap();
    let file = cut_before(
        &repository("zones/awkward.zone"),
        "; --- the rest is not",
        folder.path(),
    );
    let zones = [(AWKWARD, file.clone())];
    let expected = rows_of(&file, AWKWARD);
    let (knot, nsd) = (knot(&zones, "", ""), nsd(&zones, ""));
    for key in keys() {
        let whole = |server: SocketAddr| {
            let (transferred, records) = Ask::whole(AWKWARD, &key).of(server);
            let serial = Serial(2_026_112_401);
            let count = records.len() as u64;
            assert_eq!(
                transferred.unwrap(),
                Transferred::Whole {
                    serial,
                    records: count
                }
            );
            rows(&records)
        };
        assert_same(&whole(knot.address()), &expected);
        assert_same(&without_case(&whole(nsd.address())), &without_case(&expected));
    }
}

/// NSD signs each 96th message (RFC 8945 section 5.3.1), Knot all of them.
#[test]
fn a_zone_of_many_messages_is_signed_here_and_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = zone_file(folder.path(), 1, 0..65_000);
    let zones = [("z.test.", file.clone())];
    let expected = rows_of(&file, "z.test.");
    for peer in [knot(&zones, "", ""), nsd(&zones, "")] {
        let (transferred, records) = Ask::whole("z.test.", &keys()[0]).of(peer.address());
        assert_eq!(
            transferred.unwrap(),
            Transferred::Whole {
                serial: Serial(1),
                records: 65_002
            }
        );
        assert!(rows(&records) == expected);
    }
}

/// The serial that a server has, asked with a signature over UDP.
fn serial(server: SocketAddr, zone: &str) -> Option<Serial> {
    let question = Question {
        name: zone.parse().unwrap(),
        rtype: RrType::SOA,
        dnssec: false,
        recursion: false,
    };
    let (clock, key) = (SystemClock::default(), &keys()[0]);
    let signing = Some(Signing { key, clock: &clock });
    let asker = Asker::default();
    let received = runtime()
        .block_on(asker.ask_signed(Transport::Udp, server, &question, signing))
        .unwrap();
    Some(Soa::from_rdata(&received.answers.first()?.rdata)?.serial)
}

/// What a zone is after changes.
fn apply(rows_before: &BTreeSet<Row>, transferred: Transferred, versions: &[u32]) -> BTreeSet<Row> {
    let Transferred::Changes(deltas) = transferred else {
        panic!("{transferred:?} are no changes");
    };
    let steps: Vec<_> = deltas.iter().map(|delta| (delta.from.0, delta.to.0)).collect();
    let expected: Vec<_> = versions.windows(2).map(|pair| (pair[0], pair[1])).collect();
    assert_eq!(steps, expected);
    let mut now = rows_before.clone();
    for delta in &deltas {
        for gone in rows(&delta.removed) {
            assert!(now.remove(&gone), "{gone:?} is not there");
        }
        for new in rows(&delta.added) {
            assert!(now.insert(new.clone()), "{new:?} is there already");
        }
    }
    now
}

/// Three versions of a zone, one after the other in the same file; `reload` has the server read each.
fn three_versions(peer: &Peer, folder: &Path, reload: impl Fn()) {
    let versions = [(1, 0..100), (2, 20..110), (3, 20..300)];
    let mut held = Vec::new();
    for (version, names) in versions {
        let file = zone_file(folder, version, names);
        held.push(rows_of(&file, "z.test."));
        if version > 1 {
            reload();
        }
        let there = wait_for(STARTING, || {
            (serial(peer.address(), "z.test.")? == Serial(version)).then_some(())
        });
        assert!(there.is_some(), "version {version} does not come");
    }
    let key = &keys()[1];
    let changes = |have| {
        let ask = Ask {
            have: Some(have),
            ..Ask::whole("z.test.", key)
        };
        let (transferred, records) = ask.of(peer.address());
        (transferred.unwrap(), records)
    };
    assert_same(&apply(&held[0], changes(1).0, &[1, 2, 3]), &held[2]);
    assert_same(&apply(&held[1], changes(2).0, &[2, 3]), &held[2]);
    for no_news in [3, 9] {
        let serial = Serial(3);
        assert_eq!(changes(no_news), (Transferred::UpToDate { serial }, vec![]));
    }
    // Changes since what nobody knows: the zone comes whole.
    let (transferred, records) = changes(u32::MAX - 7);
    assert!(
        matches!(
            transferred,
            Transferred::Whole {
                serial: Serial(3),
                ..
            }
        ),
        "{transferred:?}"
    );
    assert_same(&rows(&records), &held[2]);
}

#[test]
fn changes_of_knot_lead_to_what_its_file_holds() {
    let folder = tempfile::tempdir().unwrap();
    let file = zone_file(folder.path(), 1, 0..100);
    let settings = "    zonefile-load: difference\n";
    let knot = knot(&[("z.test.", file)], "", settings);
    three_versions(&knot, folder.path(), || {
        knot.knotc(&["zone-reload", "z.test."]);
    });
}

#[test]
fn changes_of_nsd_lead_to_what_its_file_holds() {
    let folder = tempfile::tempdir().unwrap();
    let file = zone_file(folder.path(), 1, 0..100);
    let nsd = nsd(&[("z.test.", file)], "  store-ixfr: yes\n  create-ixfr: yes\n");
    three_versions(&nsd, folder.path(), || nsd.server.signal("HUP"));
}

#[test]
fn what_a_server_refuses_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = zone_file(folder.path(), 1, 0..10);
    let zones = [("z.test.", file)];
    let algorithm = TsigAlgorithm::HmacSha256;
    let good = &keys()[0];
    let other_secret = key(&key_name(algorithm), algorithm, "YW5vdGhlciBzZWNyZXQ=");
    let other_name = key("other.", algorithm, SECRET);
    for (peer, without_key, without_zone) in [
        (knot(&zones, "", ""), Rcode::NOTAUTH, Rcode::NOTAUTH),
        (nsd(&zones, ""), Rcode::REFUSED, Rcode::NOTAUTH),
    ] {
        let server = peer.address();
        for (key, fault) in [
            (&other_secret, TsigFault::BADSIG),
            (&other_name, TsigFault::BADKEY),
        ] {
            let refused = Ask::whole("z.test.", key).fault(server);
            assert!(
                matches!(refused, Fault::Tsig(TsigError::Refused { said, clock: None, .. }) if said == fault),
                "{refused:?}"
            );
        }
        let now = SystemClock::default().now();
        let hour = Duration::from_secs(3_600);
        for wrong in [now.minus(hour), now.plus(hour)] {
            let ask = Ask {
                now: wrong,
                ..Ask::whole("z.test.", good)
            };
            let refused = ask.fault(server);
            let Fault::Tsig(TsigError::Refused {
                said: TsigFault::BADTIME,
                clock: Some(theirs),
                ..
            }) = refused
            else {
                panic!("{refused:?}");
            };
            assert!(theirs.0.abs_diff(now.0) < 60, "{theirs}");
        }
        let unsigned = Ask {
            key: None,
            ..Ask::whole("z.test.", good)
        };
        let refused = unsigned.fault(server);
        assert!(
            matches!(refused, Fault::Refused { rcode } if rcode == without_key),
            "{refused:?}"
        );
        for have in [None, Some(1)] {
            let absent = Ask {
                have,
                ..Ask::whole("absent.test.", good)
            };
            let (error, _) = absent.of(server);
            let error = error.unwrap_err();
            let said = format!("{error}: {}", error.source().unwrap());
            assert!(
                matches!(error.fault, Fault::Refused { rcode } if rcode == without_zone),
                "{said}"
            );
            assert!(
                said.starts_with(&format!(
                    "the zone absent.test. cannot be transferred from {server}: it answers {without_zone}: "
                )),
                "{said}"
            );
        }
    }
}

/// Between us and a server; hands on so many of its octets, with one of them changed when `spoiled` says which.
async fn proxy(server: SocketAddr, octets: u64, spoiled: Option<u64>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut here, _) = listener.accept().await.unwrap();
        let (mut from_us, mut to_us) = here.split();
        let mut there = TcpStream::connect(server).await.unwrap();
        let (from_them, mut to_them) = there.split();
        let back = async {
            let mut rest = from_them.take(octets);
            if let Some(at) = spoiled {
                copy(&mut (&mut rest).take(at), &mut to_us).await?;
                let octet = rest.read_u8().await?;
                to_us.write_u8(octet ^ 1).await?;
            }
            copy(&mut rest, &mut to_us).await
        };
        tokio::select! {
            _ = back => {}
            _ = copy(&mut from_us, &mut to_them) => {}
        }
    });
    address
}

#[test]
fn what_breaks_on_the_way_is_no_zone() {
    let folder = tempfile::tempdir().unwrap();
    // More than one message of NSD's, with a signature in the first and the last.
    let file = zone_file(folder.path(), 1, 0..1_500);
    let zones = [("z.test.", file)];
    let key = &keys()[2];
    let runtime = runtime();
    for peer in [knot(&zones, "", ""), nsd(&zones, "")] {
        let through = |octets, spoiled| {
            runtime.block_on(async {
                let proxy = proxy(peer.address(), octets, spoiled).await;
                Ask::whole("z.test.", key).fetch(proxy).await.0
            })
        };
        assert!(through(u64::MAX, None).is_ok());
        for octets in [0, 1, 2, 100, 5_000, 20_000] {
            let error = through(octets, None).unwrap_err();
            assert!(
                matches!(error.fault, Fault::Broken { .. }),
                "{octets}: {:?}",
                error.fault
            );
        }
        // Every octet is under a signature, but for the length of a message, which moves the next.
        for at in (0..30_000).step_by(1_009) {
            let error = through(at + 60_000, Some(at)).unwrap_err();
            assert!(
                matches!(
                    error.fault,
                    Fault::Tsig(_)
                        | Fault::Unreadable { .. }
                        | Fault::Stray { .. }
                        | Fault::Content(_)
                        | Fault::Broken { .. }
                        | Fault::Stalled { .. }
                ),
                "{at}: {:?}",
                error.fault
            );
        }
    }
}

#[test]
fn questions_are_answered_over_both_transports() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::from("@ 60 SOA ns.invalid. h.invalid. 1 60 60 600 60\n@ 60 NS ns.invalid.\n");
    for number in 0..100 {
        writeln!(text, "many 60 A 192.0.2.{number}").unwrap();
    }
    let file = write(folder.path(), "z.zone", text);
    let zones = [("z.test.", file)];
    let runtime = runtime();
    for peer in [knot(&zones, "", ""), nsd(&zones, "")] {
        let ask = |transport, name: &str, signing: Option<Signing<'_>>| {
            let question = Question {
                name: name.parse().unwrap(),
                rtype: RrType::A,
                dnssec: true,
                recursion: false,
            };
            let asker = Asker::default();
            runtime.block_on(asker.ask_signed(transport, peer.address(), &question, signing))
        };
        for transport in [Transport::Udp, Transport::Tcp] {
            let received = ask(transport, "many.z.test.", None).unwrap();
            assert_eq!(received.answers.len(), 100, "more than one datagram holds");
            assert!(received.authoritative && !received.truncated && received.edns.is_some());
            let received = ask(transport, "none.z.test.", None).unwrap();
            assert_eq!(received.rcode, Rcode::NXDOMAIN);
            let (clock, stranger) = (
                SystemClock::default(),
                key("s.", TsigAlgorithm::HmacSha256, SECRET),
            );
            let signing = Some(Signing {
                key: &stranger,
                clock: &clock,
            });
            let error = ask(transport, "none.z.test.", signing).unwrap_err();
            assert!(
                matches!(
                    &error,
                    AskError::Tsig {
                        source: TsigError::Refused {
                            said: TsigFault::BADKEY,
                            ..
                        },
                        ..
                    }
                ),
                "{error:?}"
            );
        }
    }
}

#[test]
fn a_secondary_takes_notice() {
    let folder = tempfile::tempdir().unwrap();
    let file = zone_file(folder.path(), 1, 0..10);
    let primary = knot(&[("z.test.", file)], "", "");
    let remote = format!(
        "remote:\n  - id: primary\n    address: {}@{}\n    key: {}\n",
        primary.address().ip(),
        primary.address().port(),
        key_name(TsigAlgorithm::HmacSha256)
    );
    let none_yet = folder.path().join("secondary.zone");
    let secondary = knot(&[("z.test.", none_yet)], &remote, "    master: primary\n");
    assert_eq!(serial(secondary.address(), "z.test."), Some(Serial(1)));
    zone_file(folder.path(), 2, 0..20);
    primary.knotc(&["zone-reload", "z.test."]);
    let notice = Notice {
        zone: "z.test.".parse().unwrap(),
        rtype: RrType::SOA,
        soa: None,
    };
    let (clock, key, asker) = (SystemClock::default(), &keys()[2], Asker::default());
    let tell = |signing| runtime().block_on(asker.notify(secondary.address(), &notice, signing));
    let refused = tell(None).unwrap_err();
    assert!(
        matches!(
            refused,
            NotifyError::Refused {
                rcode: Rcode::NOTAUTH,
                ..
            }
        ),
        "{refused:?}"
    );
    tell(Some(Signing { key, clock: &clock })).unwrap();
    let taken = wait_for(STARTING, || {
        (serial(secondary.address(), "z.test.")? == Serial(2)).then_some(())
    });
    assert!(taken.is_some(), "the secondary does not take version 2");
}
