//! Servers that are not the same over UDP and over TCP.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UdpSocket},
};

use super::*;
use crate::{
    client::{Asker, Relay, Streams},
    clock::SimulatedClock,
    multisigner::survey::{Difference, Elsewhere, Questions, Sample, from_elsewhere},
};

/// What a server answers for a type, as the rdata octets of one record of that type and its TTL; nothing: silence.
type Answer = fn(RrType) -> Option<(u32, &'static [u8])>;

/// The query as its answer, with one record.
fn message(query: &[u8], answer: Answer) -> Option<Vec<u8>> {
    let question_end = 12 + zone().as_wire().len() + 4;
    let rtype = RrType(u16::from_be_bytes([
        query[question_end - 4],
        query[question_end - 3],
    ]));
    let (ttl, rdata) = answer(rtype)?;
    let mut octets = query[..question_end].to_vec();
    octets[2] = 0x84;
    octets[7] = 1;
    octets[11] = 0;
    octets.extend_from_slice(&[0xc0, 12]);
    octets.extend_from_slice(&rtype.0.to_be_bytes());
    octets.extend_from_slice(&[0, 1]);
    octets.extend_from_slice(&ttl.to_be_bytes());
    octets.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
    octets.extend_from_slice(rdata);
    Some(octets)
}

/// A server with an answer for each transport; none: the port is shut.
async fn server(udp: Option<Answer>, tcp: Option<Answer>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let socket = UdpSocket::bind(address).await.unwrap();
    if let Some(answer) = udp {
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                if let Some(octets) = message(&buffer[..length], answer) {
                    socket.send_to(&octets, from).await.unwrap();
                }
            }
        });
    }
    if let Some(answer) = tcp {
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut query = vec![0; usize::from(stream.read_u16().await.unwrap())];
                stream.read_exact(&mut query).await.unwrap();
                if let Some(octets) = message(&query, answer) {
                    stream.write_u16(octets.len() as u16).await.unwrap();
                    stream.write_all(&octets).await.unwrap();
                }
            }
        });
    }
    address
}

fn targets(address: SocketAddr) -> Targets {
    Targets {
        names: vec!["theirs.example.".parse().unwrap()],
        servers: vec![Ok(At { name: None, address })],
    }
}

async fn look(member: SocketAddr, parent: SocketAddr) -> Survey {
    look_with(member, parent, &[]).await
}

async fn look_with(member: SocketAddr, parent: SocketAddr, samples: &[Sample]) -> Survey {
    let asker = Asker {
        timeout: Duration::from_millis(500),
        tries: 2,
    };
    let clock = SimulatedClock::new(NOW);
    let zone = &zone();
    let questions = Questions { zone, samples };
    crate::multisigner::survey::survey(&asker, questions, &[targets(member)], &targets(parent), &clock).await
}

const ONE: Answer = |_| Some((30, &[1, 2, 13, 2, 9]));
const LONGER: Answer = |_| Some((31, &[1, 2, 13, 2, 9]));

fn passing(differences: &[Difference]) -> Vec<bool> {
    differences.iter().map(|difference| difference.passes).collect()
}

#[tokio::test]
async fn of_servers_that_are_the_same_only_the_decisive_type_is_asked_over_tcp() {
    let address = server(Some(ONE), Some(ONE)).await;
    let seen = look(address, address).await;
    assert_eq!(seen.differences(), []);
    let asked = |servers: &[Answered]| -> Vec<(Way, usize)> {
        servers
            .iter()
            .map(|server| (server.way.clone(), server.answers.len()))
            .collect()
    };
    assert_eq!(
        asked(&seen.members[0].servers),
        [(Way::Udp, OF_MEMBERS.len()), (Way::Tcp, 1)]
    );
    assert_eq!(asked(&seen.parent), [(Way::Udp, 2), (Way::Tcp, 1)]);
    assert!(seen.parent[1].answers.contains_key(&RrType::DS));
}

#[tokio::test]
async fn a_server_that_answers_over_one_transport_alone_is_said_and_counts_as_not_seen() {
    let whole = server(Some(ONE), Some(ONE)).await;
    for (udp, tcp, words) in [
        (Some(ONE), None, "answers over UDP and not over TCP"),
        (None, Some(ONE), "answers over TCP and not over UDP"),
    ] {
        let half = server(udp, tcp).await;
        let seen = look(whole, half).await;
        let differences = seen.differences();
        assert_eq!(passing(&differences), [false], "{differences:?}");
        assert!(differences[0].what.contains(words), "{differences:?}");
        assert!(differences[0].what.contains(&half.to_string()), "{differences:?}");
        let unreachable = |server: &&Answered| server.is_away();
        assert_eq!(seen.parent.iter().filter(unreachable).count(), 1);
        let shown = all_shown(&seen, Slot::Ds);
        assert!(
            shown.iter().any(|shown| matches!(shown, Shown::Unreachable(_))),
            "{shown:?}"
        );
    }
}

#[tokio::test]
async fn what_differs_over_tcp_is_asked_for_in_full_and_the_largest_ttl_counts() {
    let whole = server(Some(ONE), Some(ONE)).await;
    let odd = server(Some(ONE), Some(LONGER)).await;
    let seen = look(odd, whole).await;
    assert_eq!(seen.members[0].servers[1].answers.len(), OF_MEMBERS.len());
    let differences = seen.differences();
    assert_eq!(passing(&differences), [true]);
    assert!(
        differences[0]
            .what
            .contains("does not answer DNSKEY over TCP as over UDP"),
        "{differences:?}"
    );
    let name: Answer = |_| Some((40, b"\x06theirs\x07example\x00"));
    let longer: Answer = |_| Some((50, b"\x06theirs\x07example\x00"));
    let seen = look(server(Some(name), Some(longer)).await, whole).await;
    let ttls: Vec<u64> = all_shown(&seen, Slot::ChildNs(ProviderId::FIRST))
        .iter()
        .map(|shown| match shown {
            Shown::Value(Value::ChildNs(_, ns)) => ns.ttl,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ttls, [40, 50]);
}

/// Each by the way that brings it: one server answers some questions over TCP alone.
#[tokio::test]
async fn samples_that_do_not_come_over_udp_are_asked_for_over_tcp() {
    let all_but_one: Answer = |rtype| (rtype != RrType(65_000)).then_some(()).and(ONE(rtype));
    let whole = server(Some(ONE), Some(ONE)).await;
    let half = server(Some(all_but_one), Some(ONE)).await;
    let samples = [65_000, 65_001].map(|rtype| Sample {
        name: zone(),
        rtype: RrType(rtype),
    });
    let seen = look_with(half, whole, &samples).await;
    let [udp, tcp] = &seen.members[0].servers[..] else {
        panic!("{seen:?}");
    };
    assert_eq!((udp.samples.len(), tcp.samples.len()), (2, 0));
    assert!(udp.samples.values().all(Result::is_ok), "{udp:?}");
    // Nobody asks the parent for them.
    assert!(seen.parent.iter().all(|server| server.samples.is_empty()));

    // What differs over TCP is asked for there too; where nothing comes, nobody asks twice.
    let odd = server(Some(ONE), Some(LONGER)).await;
    let seen = look_with(odd, whole, &samples).await;
    let asked = seen.members[0].servers.iter().map(|server| server.samples.len());
    assert_eq!(asked.collect::<Vec<_>>(), [2, 2]);
    let none: Answer = |rtype| (rtype == RrType::DNSKEY).then_some(()).and(ONE(rtype));
    let seen = look_with(server(Some(none), Some(none)).await, whole, &samples[..1]).await;
    let silent = &seen.members[0].servers[0].samples;
    assert!(
        silent
            .values()
            .all(|answer| matches!(answer, Err(Unseen::Unreachable(_)))),
        "{silent:?}"
    );
}

/// What is shown of DS by a parent with these servers, each with its name, its address, and whether it answers over UDP
/// and over TCP: how many sights count, and how many of them are silent.
fn counted(servers: &[(&str, &str, bool, bool)]) -> (usize, usize) {
    let server = |name: &str, address: &str, way: Way, answers: bool| {
        let mut server = answered(address, way, &OF_PARENT, &[]);
        server.at.as_mut().unwrap().name = Some(name.parse().unwrap());
        if !answers {
            for answer in server.answers.values_mut() {
                *answer = Err(Unseen::Unreachable("no route".to_owned()));
            }
        }
        server
    };
    let mut survey = survey(&[], &[]);
    let both = servers.iter().flat_map(|(name, address, udp, tcp)| {
        [
            server(name, address, Way::Udp, *udp),
            server(name, address, Way::Tcp, *tcp),
        ]
    });
    survey.parent = both.collect();
    let shown = all_shown(&survey, Slot::Ds);
    let away = shown
        .iter()
        .filter(|shown| matches!(shown, Shown::Unreachable(_)));
    (shown.len(), away.count())
}

/// At its other address the server answers: that stands for an address family that this host lacks, and not for a
/// transport that one address lacks.
#[test]
fn a_named_server_stands_for_its_other_address_where_that_is_silent_throughout() {
    let seen = |udp: bool, tcp: bool| {
        counted(&[
            ("ns.example.", "192.0.2.1:53", true, true),
            ("ns.example.", "[2001:db8::1]:53", udp, tcp),
        ])
    };
    assert_eq!(seen(true, true), (4, 0));
    assert_eq!(seen(false, false), (2, 0));
    assert_eq!(seen(true, false), (4, 1));
}

/// The other one may be a machine that still serves what was before, to whoever reaches it.
#[test]
fn no_address_stands_for_another_one_of_its_family() {
    let two = [
        ("ns.example.", "192.0.2.1:53", true, true),
        ("ns.example.", "192.0.2.2:53", false, false),
    ];
    assert_eq!(counted(&two), (4, 2));
    let names = [
        ("a.example.", two[0].1, true, true),
        ("b.example.", two[1].1, false, false),
    ];
    assert_eq!(counted(&names), (4, 2));
}

/// Who reaches one server by IPv6 reaches them all.
#[test]
fn no_address_stands_for_one_of_a_family_that_this_place_has() {
    let seen = |other: bool| {
        counted(&[
            ("a.example.", "192.0.2.1:53", true, true),
            ("a.example.", "[2001:db8::1]:53", false, false),
            ("b.example.", "192.0.2.2:53", true, true),
            ("b.example.", "[2001:db8::2]:53", other, other),
        ])
    };
    assert_eq!(seen(false), (4, 0));
    assert_eq!(seen(true), (8, 2));
}

/// From "tokyo" one is led to this server, whatever is asked for; with "%h" and "%p" to the server itself.
fn tokyo(host: &str, port: &str) -> Relay {
    let stream = "exec 3<>/dev/tcp/$0/$1 4<&0 || exit 1; cat <&4 >&3 & cat <&3; kill $!";
    let command = ["bash", "-c", stream, host, port];
    Relay {
        name: "tokyo".to_owned(),
        command: command.iter().map(|part| (*part).to_owned()).collect(),
        timeout: Duration::from_secs(10),
    }
}

async fn look_from(relay: Relay, server: SocketAddr) -> Survey {
    let clock = SimulatedClock::new(NOW);
    let mut seen = look(server, server).await;
    // The first is this server, which is asked from here alone.
    let members = [targets(server), targets(server)];
    seen.members.push(seen.members[0].clone());
    let (streams, parent) = (Streams::default(), targets(server));
    let spared = BTreeMap::new();
    let zone = &zone();
    let samples = &[Sample {
        name: zone.clone(),
        rtype: RrType(65_000),
    }];
    let questions = Questions { zone, samples };
    let elsewhere = from_elsewhere(&[relay], &streams, &spared, questions, &members, &parent, &clock).await;
    seen.add(elsewhere);
    seen
}

#[tokio::test]
async fn what_is_seen_from_elsewhere_counts_as_a_server_of_its_own() {
    let here = server(Some(ONE), Some(ONE)).await;
    let seen = look_from(tokyo("%h", "%p"), here).await;
    assert_eq!(seen.differences(), []);
    let ways = |servers: &[Answered]| -> Vec<String> {
        servers
            .iter()
            .map(|server| server.to_string().replace(&here.to_string(), "x"))
            .collect()
    };
    assert_eq!(ways(&seen.members[0].servers), ["x", "x over TCP"]);
    assert_eq!(
        ways(&seen.members[1].servers),
        ["x", "x over TCP", "x from tokyo"]
    );
    assert_eq!(ways(&seen.parent), ["x", "x over TCP", "x from tokyo"]);
    // All types, though this server ends every stream after one answer; and the sample.
    assert_eq!(seen.members[1].servers[2].answers.len(), OF_MEMBERS.len());
    let sampled =
        [&seen.members[1], &seen.members[0]].map(|member| member.servers.last().unwrap().samples.len());
    assert_eq!(sampled, [1, 0]);
    assert!(seen.parent[2].samples.is_empty());
    assert!(!seen.members[1].servers[2].is_away());

    // Another site of the same address.
    let there = server(None, Some(LONGER)).await;
    let (host, port) = (there.ip().to_string(), there.port().to_string());
    let differences = look_from(tokyo(&host, &port), here).await.differences();
    assert!(!differences.is_empty() && differences.iter().all(|difference| difference.passes));
    assert!(
        differences[0]
            .what
            .contains("does not answer DNSKEY from tokyo as from here"),
        "{differences:?}"
    );
}

#[tokio::test]
async fn a_place_that_cannot_ask_is_said_by_name_with_the_words_of_its_command() {
    let here = server(Some(ONE), Some(ONE)).await;
    for (script, words) in [
        ("echo no route to tokyo >&2; exit 255", "bash: no route to tokyo"),
        ("exit 0", "bash: "),
        ("exec sleep 100", "did not answer within 1 s"),
    ] {
        let seen = look_from(failing(script), here).await;
        assert_eq!(seen.failed, BTreeSet::from(["tokyo".to_owned()]), "{script}");
        // That is no matter of one server; and no plan takes anything for seen.
        assert_eq!(seen.differences(), [], "{script}");
        let shown = all_shown(&seen, Slot::Ds);
        let told = shown
            .iter()
            .any(|shown| matches!(shown, Shown::Unreachable(why) if why.contains(words) && why.len() < 900));
        assert!(told, "{script}: {shown:?}");
    }
    // Something came, and it is nonsense.
    let differences = look_from(failing("echo; exec cat /dev/zero"), here)
        .await
        .differences();
    assert!(
        differences
            .iter()
            .any(|difference| difference.what.contains("from tokyo")),
        "{differences:?}"
    );
}

fn failing(script: &str) -> Relay {
    Relay {
        command: ["bash", "-c", script, "%h", "%p"].map(str::to_owned).to_vec(),
        timeout: Duration::from_secs(1),
        ..tokyo("", "")
    }
}

/// Servers of somebody at these addresses, all of which lead to ours where the test's command connects.
fn many(addresses: impl IntoIterator<Item = String>) -> Targets {
    let at = |address: String| At {
        name: None,
        address: address.parse().unwrap(),
    };
    Targets {
        names: Vec::new(),
        servers: addresses.into_iter().map(|address| Ok(at(address))).collect(),
    }
}

async fn from_tokyo(relay: Relay, streams: &Streams, theirs: Targets, parent: Targets) -> Elsewhere {
    let clock = SimulatedClock::new(NOW);
    let members = [Targets::default(), theirs];
    let (zone, samples) = (&zone(), &[][..]);
    from_elsewhere(
        &[relay],
        streams,
        &BTreeMap::new(),
        Questions { zone, samples },
        &members,
        &parent,
        &clock,
    )
    .await
}

/// Else a place that is down costs its timeout at each of thirty servers.
#[tokio::test]
async fn a_place_that_fails_is_not_asked_at_every_server_again() {
    let folder = tempfile::tempdir().unwrap();
    let started = folder.path().join("started");
    let relay = failing(&format!("echo >> {}; exit 1", started.display()));
    let of = |last: u8| many((1..=last).map(|host| format!("192.0.2.{host}:53")));
    let found = from_tokyo(relay, &Streams::default(), of(9), of(13)).await;
    assert!(found.failed.contains_key("tokyo"));
    let starts = std::fs::read_to_string(&started).unwrap().lines().count();
    assert_eq!(starts, 4);
    // All count as servers that nothing is seen of.
    let mut seen = survey(&[], &[]);
    seen.add(found);
    let from_there = |servers: &[Answered]| {
        let there = servers.iter().filter(|server| matches!(server.way, Way::From(_)));
        there.filter(|server| server.is_away()).count()
    };
    assert_eq!(
        (from_there(&seen.members[1].servers), from_there(&seen.parent)),
        (9, 13)
    );
}

/// One server that is down, or an address family that a place lacks, is no reason to ask there no more.
#[tokio::test]
async fn a_place_that_reaches_somebody_is_asked_for_everybody() {
    let there = server(None, Some(ONE)).await;
    let stream = format!(
        "case $0 in *:*|192.0.2.1) exit 1;; esac; \
         exec 3<>/dev/tcp/{}/{} 4<&0 || exit 1; cat <&4 >&3 & cat <&3; kill $!",
        there.ip(),
        there.port()
    );
    let relay = Relay {
        timeout: Duration::from_secs(10),
        ..failing(&stream)
    };
    let theirs = ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.2:53"].map(str::to_owned);
    let parent = ["[2001:db8::9]:53", "[2001:db8::8]:53", "192.0.2.9:53"].map(str::to_owned);
    let found = from_tokyo(relay, &Streams::default(), many(theirs), many(parent)).await;
    assert_eq!(found.failed, BTreeMap::new());
    let mut seen = survey(&[], &[]);
    seen.add(found);
    let answering = |servers: &[Answered]| -> Vec<String> {
        let there = servers.iter().filter(|server| matches!(server.way, Way::From(_)));
        let answering = there.filter(|server| !server.is_away());
        answering
            .map(|server| server.at.as_ref().unwrap().address.ip().to_string())
            .collect()
    };
    assert_eq!(answering(&seen.members[1].servers), ["192.0.2.2"]);
    assert_eq!(answering(&seen.parent), ["192.0.2.9"]);
}

/// Looks at a thousand zones share what a place can carry.
#[tokio::test]
async fn no_more_streams_go_out_by_one_place_than_it_carries() {
    let streams = Streams::default();
    let mut held = Vec::new();
    for _ in 0..crate::client::relay::STREAMS {
        held.push(streams.one("tokyo").await.unwrap());
    }
    // It has nothing to wait for but a stream: there is no such program.
    let relay = Relay {
        command: vec!["/nonexistent/program".to_owned()],
        ..tokyo("", "")
    };
    let targets = || many(["192.0.2.1:53".to_owned()]);
    let mut look = Box::pin(from_tokyo(relay.clone(), &streams, targets(), targets()));
    for _ in 0..100 {
        assert!(futures_util::poll!(&mut look).is_pending());
        tokio::task::yield_now().await;
    }
    // Another place has streams of its own.
    let elsewhere = Relay {
        name: "lima".to_owned(),
        ..relay
    };
    let found = from_tokyo(elsewhere, &streams, targets(), targets()).await;
    assert!(found.failed.contains_key("lima"));
    held.pop();
    assert!(look.await.failed.contains_key("tokyo"));
}

/// What a command complains of may have a number or a time in it: that makes no other trouble of it.
#[test]
fn a_difference_is_the_same_whatever_an_error_says() {
    let seen = |why: &str| {
        let mut server = answered("192.0.2.9:53", Way::From("tokyo".to_owned()), &OF_PARENT, &[]);
        for answer in server.answers.values_mut() {
            *answer = Err(Unseen::Unreachable(why.to_owned()));
        }
        let mut survey = survey(&[], &[]);
        survey.parent.push(server);
        let differences = survey.differences();
        assert_eq!(differences.len(), 1, "{differences:?}");
        assert!(differences[0].what.contains(why), "{differences:?}");
        assert_eq!(differences[0].place.as_deref(), Some("tokyo"));
        differences[0].about.clone()
    };
    assert_eq!(seen("timed out after 1.02 s"), seen("timed out after 1.07 s"));
}

/// What was before may be held from the last moment in which somebody gave it: that is when the last answer came, and not
/// when the look began.
#[test]
fn a_look_is_over_when_the_last_answer_has_come() {
    let mut survey = survey(&[], &[]);
    assert_eq!(survey.over(), NOW);
    let mut late = answered("192.0.2.9:53", Way::From("tokyo".to_owned()), &OF_PARENT, &[]);
    late.came = UnixTime(NOW.0 + 70);
    survey.parent.push(late);
    assert_eq!(survey.over(), UnixTime(NOW.0 + 70));
    // For what has to be seen since a time, it counts from when it was asked.
    let sights = view(&survey, &[]).slots;
    assert!(sights.values().flatten().all(|sight| sight.at == NOW));
}
