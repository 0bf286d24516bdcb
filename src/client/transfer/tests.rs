//! Transfers message by message, in any portions, and over connections that do what they should not.

use std::net::Ipv4Addr;

use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::{
    client::tsig::{Answering, TsigAlgorithm},
    clock::{SimulatedClock, UnixTime},
    wire::{Class, RrType, Ttl, received::Received},
};

const NOW: UnixTime = UnixTime(1_790_000_000);

fn zone() -> Name {
    "example.".parse().unwrap()
}

fn record(owner: &str, rtype: RrType, rdata: &[u8]) -> Record {
    Record {
        owner: owner.parse().unwrap(),
        rtype,
        class: Class::IN,
        ttl: Ttl::new(60),
        rdata: rdata.into(),
    }
}

fn soa(serial: u32) -> Record {
    let mut rdata = b"\x02ns\x07example\0\x01h\0".to_vec();
    rdata.extend_from_slice(&serial.to_be_bytes());
    rdata.extend_from_slice(&[0; 16]);
    record("example.", RrType::SOA, &rdata)
}

fn a(number: u8) -> Record {
    record(&format!("n{number}.example."), RrType::A, &[192, 0, 2, number])
}

fn key() -> Arc<TsigKey> {
    let key = TsigKey::new("k.".parse().unwrap(), TsigAlgorithm::HmacSha256, b"secret");
    Arc::new(key.unwrap())
}

/// An answer to `query` with these records; nothing is compressed.
fn message(query: &[u8], with_question: bool, records: &[Record]) -> Vec<u8> {
    let asked = Received::read(query).unwrap();
    let (name, rtype, class) = asked.question.unwrap();
    let mut octets = query[..2].to_vec();
    octets.extend_from_slice(&[0x84, 0, 0, u8::from(with_question)]);
    octets.extend_from_slice(&(records.len() as u16).to_be_bytes());
    octets.extend_from_slice(&[0; 4]);
    if with_question {
        octets.extend_from_slice(name.as_wire());
        octets.extend_from_slice(&rtype.0.to_be_bytes());
        octets.extend_from_slice(&class.0.to_be_bytes());
    }
    for record in records {
        octets.extend_from_slice(record.owner.as_wire());
        octets.extend_from_slice(&record.rtype.0.to_be_bytes());
        octets.extend_from_slice(&record.class.0.to_be_bytes());
        octets.extend_from_slice(&record.ttl.seconds().to_be_bytes());
        octets.extend_from_slice(&(record.rdata.len() as u16).to_be_bytes());
        octets.extend_from_slice(&record.rdata);
    }
    octets
}

/// The records in messages of these sizes, the rest in a last one.
fn messages(query: &[u8], records: &[Record], sizes: &[usize]) -> Vec<Vec<u8>> {
    let mut rest = records;
    let mut messages = Vec::new();
    for &size in sizes {
        let (now, later) = rest.split_at(size.min(rest.len()));
        if !now.is_empty() {
            messages.push(message(query, messages.is_empty(), now));
        }
        rest = later;
    }
    if !rest.is_empty() || messages.is_empty() {
        messages.push(message(query, messages.is_empty(), rest));
    }
    messages
}

/// What comes of records in messages of these sizes, and what went through the callback.
fn transfer(
    have: Option<u32>,
    records: &[Record],
    sizes: &[usize],
) -> (Result<Option<Transferred>, Fault>, Vec<Record>) {
    let have = have.map(Serial);
    let asking = Asking::transfer(7, &zone(), have);
    let messages = messages(&asking.octets, records, sizes);
    let mut incoming = Incoming::new(asking, None, Content::new(zone(), have));
    let mut given = Vec::new();
    for message in messages {
        match incoming.take(&message, NOW, &mut |record| given.push(record.clone())) {
            Ok(None) => {}
            other => return (other, given),
        }
    }
    (Ok(None), given)
}

fn whole(serial: u32, records: u64) -> Transferred {
    Transferred::Whole {
        serial: Serial(serial),
        records,
    }
}

#[test]
fn a_whole_zone_is_given_record_by_record() {
    let records = [soa(5), a(1), a(2), soa(5)];
    for sizes in [&[][..], &[1], &[2, 1], &[1, 1, 1, 1]] {
        // For changes, a whole zone may come all the same.
        for have in [None, Some(4), Some(5), Some(6)] {
            // But a SOA alone that is no news is all there is to say.
            if have.is_some_and(|have| have >= 5) && sizes.first() == Some(&1) {
                continue;
            }
            let (transferred, given) = transfer(have, &records, sizes);
            assert_eq!(transferred.unwrap(), Some(whole(5, 3)), "{have:?} {sizes:?}");
            assert_eq!(given, records[..3]);
        }
    }
    assert_eq!(transfer(None, &records[..3], &[]).0.unwrap(), None, "no end");
    assert_eq!(
        transfer(None, &[soa(5), soa(5)], &[]).0.unwrap(),
        Some(whole(5, 1))
    );
    assert_eq!(
        transfer(None, &[soa(5)], &[]).0.unwrap(),
        None,
        "a beginning, no end"
    );
}

#[test]
fn the_two_ends_may_differ_in_letter_case() {
    let mut end = soa(5);
    end.rdata[1] = b'N';
    end.owner = "EXAMPLE.".parse().unwrap();
    let (transferred, _) = transfer(None, &[soa(5), a(1), end], &[]);
    assert_eq!(transferred.unwrap(), Some(whole(5, 2)));
}

#[test]
fn no_news_is_a_soa_alone() {
    for (have, serial) in [(5, 5), (6, 5), (0, u32::MAX)] {
        let (transferred, given) = transfer(Some(have), &[soa(serial)], &[]);
        let serial = Serial(serial);
        assert_eq!(transferred.unwrap(), Some(Transferred::UpToDate { serial }));
        assert!(given.is_empty());
        let (transferred, _) = transfer(Some(have), &[soa(serial.0), soa(serial.0)], &[]);
        assert_eq!(transferred.unwrap(), Some(Transferred::UpToDate { serial }));
    }
    assert_eq!(
        transfer(Some(4), &[soa(5)], &[]).0.unwrap(),
        None,
        "more must come"
    );
}

/// The example of RFC 1995 §7, as changes that follow each other and as one.
#[test]
fn changes_are_told_in_order() {
    let (jain, yo1, yo2, yo3) = (a(1), a(2), a(3), a(4));
    let records = [
        soa(3),
        soa(1),
        jain.clone(),
        soa(2),
        yo1.clone(),
        yo2.clone(),
        soa(2),
        yo1.clone(),
        soa(3),
        yo3.clone(),
        soa(3),
    ];
    let delta = |from, to, removed: &[&Record], added: &[&Record]| Delta {
        from: Serial(from),
        to: Serial(to),
        removed: [&[&soa(from)], removed].concat().into_iter().cloned().collect(),
        added: [&[&soa(to)], added].concat().into_iter().cloned().collect(),
    };
    let expected = vec![
        delta(1, 2, &[&jain], &[&yo1, &yo2]),
        delta(2, 3, &[&yo1], &[&yo3]),
    ];
    for sizes in [&[][..], &[1], &[2], &[1; 11]] {
        let (transferred, given) = transfer(Some(1), &records, sizes);
        let Some(Transferred::Changes(deltas)) = transferred.unwrap() else {
            panic!("no changes");
        };
        assert_eq!(deltas, expected);
        assert!(given.is_empty());
    }
    let condensed = [soa(3), soa(1), jain.clone(), soa(3), yo3.clone(), soa(3)];
    let (transferred, _) = transfer(Some(1), &condensed, &[]);
    assert_eq!(
        transferred.unwrap(),
        Some(Transferred::Changes(vec![delta(1, 3, &[&jain], &[&yo3])]))
    );
    // Serials go round.
    let max = u32::MAX;
    let round = [soa(0), soa(max), soa(0), soa(0)];
    let (transferred, _) = transfer(Some(max), &round, &[]);
    assert_eq!(
        transferred.unwrap(),
        Some(Transferred::Changes(vec![delta(max, 0, &[], &[])]))
    );
}

#[test]
fn what_is_no_transfer_says_why() {
    let chaos = Record {
        class: Class::CH,
        ..a(1)
    };
    let below = Record {
        owner: "b.example.".parse().unwrap(),
        ..soa(5)
    };
    let meta = record("example.", RrType::ANY, &[]);
    for (have, records, why) in [
        (
            None,
            vec![a(1), soa(5)],
            "it begins with n1.example. A, not with the zone's SOA",
        ),
        (
            None,
            vec![soa(5), a(1), soa(6)],
            "it begins with serial 5 and ends with another SOA, of serial 6: the zone changed meanwhile",
        ),
        (
            None,
            vec![soa(5), soa(5), a(1)],
            "n1.example. A stands behind the SOA that ends it",
        ),
        (
            None,
            vec![soa(5), soa(5), soa(5)],
            "example. SOA stands behind the SOA that ends it",
        ),
        (
            None,
            vec![soa(5), chaos],
            "n1.example. A is of class 3, and only IN is served",
        ),
        (None, vec![soa(5), below.clone()], "it holds a SOA of b.example."),
        (None, vec![below], "it holds a SOA of b.example."),
        (
            None,
            vec![soa(5), meta],
            "example. ANY: no zone holds records of this type",
        ),
        (
            Some(1),
            vec![soa(5), soa(2)],
            "changes begin at serial 2, where they should at 1",
        ),
        (
            Some(1),
            vec![soa(5), soa(1), soa(3), soa(4)],
            "changes begin at serial 4, where they should at 3",
        ),
        (
            Some(1),
            vec![soa(5), soa(1), soa(1)],
            "a change leads from serial 1 to 1, which is not newer",
        ),
        (
            Some(2),
            vec![soa(5), soa(2), soa(1)],
            "a change leads from serial 2 to 1, which is not newer",
        ),
        (
            Some(1),
            vec![soa(5), soa(1), soa(6)],
            "a change leads from serial 1 to 6, which is not newer",
        ),
        (
            Some(1),
            vec![soa(5), soa(1), soa(5), a(1), soa(6)],
            "it begins with serial 5 and ends with another SOA, of serial 6: the zone changed meanwhile",
        ),
        (
            Some(5),
            vec![soa(5), soa(4)],
            "it begins with serial 5 and ends with another SOA, of serial 4: the zone changed meanwhile",
        ),
        (
            Some(1),
            vec![soa(5), soa(1), soa(5), soa(5), a(1)],
            "n1.example. A stands behind the SOA that ends it",
        ),
    ] {
        let (transferred, _) = transfer(have, &records, &[]);
        let Err(Fault::Content(error)) = transferred else {
            panic!("{transferred:?}, where it should be: {why}");
        };
        assert_eq!(error.to_string(), why);
    }
}

#[test]
fn only_answers_to_the_question_belong_to_it() {
    let asking = Asking::transfer(7, &zone(), None);
    let good = message(&asking.octets, true, &[soa(5)]);
    let later = message(&asking.octets, false, &[soa(5)]);
    let fault = |first: &[u8], second: Option<&[u8]>| {
        let mut incoming = Incoming::new(asking.clone(), None, Content::new(zone(), None));
        let mut last = incoming.take(first, NOW, &mut |_| {});
        if let Some(second) = second {
            last = incoming.take(second, NOW, &mut |_| {});
        }
        last
    };
    assert_eq!(fault(&good, Some(&later)).unwrap(), Some(whole(5, 1)));
    let spoiled = |octets: &[u8], at: usize, flip: u8| {
        let mut octets = octets.to_vec();
        octets[at] ^= flip;
        octets
    };
    let stray = |first: &[u8], second: Option<&[u8]>, why: &str| match fault(first, second) {
        Err(Fault::Stray { why: said, number }) => {
            assert_eq!((said, number), (why, 1 + u64::from(second.is_some())));
        }
        other => panic!("{other:?}, where it should be: {why}"),
    };
    stray(&later, None, "it lacks the question");
    stray(&spoiled(&good, 0, 1), None, "it has another id");
    stray(&good, Some(&spoiled(&later, 0, 1)), "it has another id");
    stray(&spoiled(&good, 2, 0x80), None, "it is no response to a query");
    stray(&spoiled(&good, 2, 0x08), None, "it is no response to a query");
    stray(&spoiled(&good, 2, 0x02), None, "it was cut, over TCP");
    stray(&spoiled(&good, 13, 1), None, "it has another question");
    stray(&good, Some(&spoiled(&good, 13, 1)), "it has another question");
    for first in [&spoiled(&good, 3, 5), &spoiled(&later[..12], 3, 5)] {
        let mut first = first.clone();
        first[7] = if first.len() == 12 { 0 } else { 1 };
        assert!(
            matches!(
                fault(&first, None),
                Err(Fault::Refused {
                    rcode: Rcode::REFUSED
                })
            ),
            "an error may come without the question"
        );
    }
    assert!(matches!(
        fault(&good[..20], None),
        Err(Fault::Unreadable { number: 1, .. })
    ));
}

/// One server that sends these octets for each query and then waits, or closes.
async fn server(octets: impl Fn(&[u8]) -> Vec<u8> + Send + 'static, stays: bool) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut query = vec![0; stream.read_u16().await.unwrap().into()];
            stream.read_exact(&mut query).await.unwrap();
            let _ = stream.write_all(&octets(&query)).await;
            if stays {
                // Until the other side closes.
                let _ = stream.read_u8().await;
            }
        }
    });
    address
}

fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut octets = Vec::new();
    for message in messages {
        octets.extend_from_slice(&(message.len() as u16).to_be_bytes());
        octets.extend_from_slice(message);
    }
    octets
}

fn quick() -> TransferSettings {
    TransferSettings {
        stall: Duration::from_millis(200),
        deadline: Duration::from_secs(20),
        ..TransferSettings::default()
    }
}

async fn fetch(
    server: SocketAddr,
    key: Option<&Arc<TsigKey>>,
    settings: &TransferSettings,
) -> Result<Transferred, TransferError> {
    let clock = SimulatedClock::new(NOW);
    let transfer = Transfer {
        server,
        zone: &zone(),
        key,
        settings,
        clock: &clock,
    };
    transfer.fetch(None, &mut |_| {}).await
}

async fn fault(server: SocketAddr, settings: &TransferSettings) -> Fault {
    fetch(server, None, settings).await.unwrap_err().fault
}

#[tokio::test]
async fn a_connection_that_breaks_or_stalls_is_no_transfer() {
    let half = |query: &[u8]| framed(&[message(query, true, &[soa(5), a(1)])]);
    let broken = fault(server(half, false).await, &quick()).await;
    assert!(matches!(broken, Fault::Broken { messages: 1, .. }), "{broken:?}");
    let within = |query: &[u8]| framed(&[message(query, true, &[soa(5), soa(5)])])[..50].to_vec();
    let broken = fault(server(within, false).await, &quick()).await;
    assert!(matches!(broken, Fault::Broken { messages: 0, .. }), "{broken:?}");
    let stalled = fault(server(half, true).await, &quick()).await;
    assert!(
        matches!(stalled, Fault::Stalled { messages: 1, .. }),
        "{stalled:?}"
    );
    let hasty = TransferSettings {
        deadline: Duration::from_millis(100),
        ..TransferSettings::default()
    };
    let late = fault(server(half, true).await, &hasty).await;
    assert!(matches!(late, Fault::Deadline(_)), "{late:?}");
}

#[tokio::test]
async fn an_endless_zone_ends_at_the_limit() {
    let endless = |query: &[u8]| {
        let mut all = framed(&[message(query, true, &[soa(5)])]);
        let more = framed(&[message(query, false, &[a(1)])]);
        for _ in 0..1_000 {
            all.extend_from_slice(&more);
        }
        all
    };
    let small = TransferSettings {
        octets: 20_000,
        ..quick()
    };
    let large = fault(server(endless, true).await, &small).await;
    assert!(
        matches!(
            large,
            Fault::TooLarge {
                limit: 20_000,
                changes: false
            }
        ),
        "{large:?}"
    );
}

#[tokio::test]
async fn too_many_changes_are_better_asked_for_as_a_zone() {
    let changes = |query: &[u8]| {
        let mut all = framed(&[message(query, true, &[soa(5), soa(1)])]);
        let more = framed(&[message(query, false, &[a(1)])]);
        for _ in 0..1_000 {
            all.extend_from_slice(&more);
        }
        all
    };
    let settings = TransferSettings {
        changes: 20_000,
        ..quick()
    };
    let transfer = Transfer {
        server: server(changes, true).await,
        zone: &zone(),
        key: None,
        settings: &settings,
        clock: &SimulatedClock::new(NOW),
    };
    let error = transfer.fetch(Some(Serial(1)), &mut |_| {}).await.unwrap_err();
    assert!(
        matches!(
            error.fault,
            Fault::TooLarge {
                limit: 20_000,
                changes: true
            }
        ),
        "{error:?}"
    );
    assert!(error.whole_may_work());
}

#[tokio::test]
async fn nobody_there_is_said_at_once() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = fetch(address, None, &TransferSettings::default())
        .await
        .unwrap_err();
    assert!(matches!(error.fault, Fault::Unreachable(_)), "{error:?}");
    assert_eq!(
        error.to_string(),
        format!("the zone example. cannot be transferred from {address}")
    );
}

/// The messages of a whole zone, each signed that `signed` picks.
fn signed(query: &[u8], signed: impl Fn(usize) -> bool) -> Vec<Vec<u8>> {
    let received = Received::read(query).unwrap();
    let mut answering = Answering::to(query, &received, &[key()], NOW).unwrap().unwrap();
    let mut all = messages(query, &[soa(5), a(1), a(2), soa(5)], &[1, 1, 1]);
    for (number, message) in all.iter_mut().enumerate() {
        if signed(number) {
            answering.sign(message, NOW);
        }
    }
    all
}

#[tokio::test]
async fn a_signed_transfer_is_verified_to_its_end() {
    let good = server(|query| framed(&signed(query, |_| true)), true).await;
    let transferred = fetch(good, Some(&key()), &quick()).await.unwrap();
    assert_eq!(transferred, whole(5, 3));
    for (picked, lacks) in [
        (0..3, "the last signature"),
        (1..4, "the first signature"),
        (0..0, "any"),
    ] {
        let bad = server(
            move |query| framed(&signed(query, |number| picked.contains(&number))),
            true,
        )
        .await;
        let error = fetch(bad, Some(&key()), &quick()).await.unwrap_err();
        assert!(
            matches!(error.fault, Fault::Tsig(TsigError::Unsigned { .. })),
            "{lacks}: {error:?}"
        );
    }
    let cut = server(|query| framed(&signed(query, |_| true)[..3]), false).await;
    let error = fetch(cut, Some(&key()), &quick()).await.unwrap_err();
    assert!(
        matches!(error.fault, Fault::Broken { messages: 3, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_refusal_says_what_the_other_side_said() {
    let refusing = |query: &[u8]| {
        let mut message = message(query, true, &[]);
        message[3] |= 9;
        framed(&[message])
    };
    let address = server(refusing, true).await;
    for key in [None, Some(&key())] {
        let error = fetch(address, key, &quick()).await.unwrap_err();
        assert!(
            matches!(
                error.fault,
                Fault::Refused {
                    rcode: Rcode::NOTAUTH
                }
            ),
            "{error:?}"
        );
        assert!(!error.whole_may_work());
    }
}

/// A server that answers a question for changes with these octets, and gives the whole zone 5.
async fn without_changes(octets: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let answer = move |query: &[u8]| {
        let (_, rtype, _) = Received::read(query).unwrap().question.unwrap();
        match rtype {
            RrType::IXFR => octets(query),
            _ => framed(&[message(query, true, &[soa(5), a(1), soa(5)])]),
        }
    };
    server(answer, true).await
}

#[tokio::test]
async fn the_whole_zone_is_asked_where_changes_cannot_be_told() {
    let with_code = |rcode: u8, records: &'static [u8]| {
        move |query: &[u8]| {
            let first: Vec<_> = records
                .iter()
                .map(|&number| if number == 0 { soa(5) } else { a(number) })
                .collect();
            let mut refusal = message(query, records.is_empty(), &[]);
            refusal[3] |= rcode;
            match records {
                [] => framed(&[refusal]),
                _ => framed(&[message(query, true, &first), refusal]),
            }
        }
    };
    let (key, clock, zone, settings) = (None, SimulatedClock::new(NOW), zone(), quick());
    let refresh = async |server| {
        let transfer = Transfer {
            server,
            zone: &zone,
            key,
            settings: &settings,
            clock: &clock,
        };
        let mut given = Vec::new();
        let transferred = transfer
            .refresh(Serial(1), &mut |record| given.push(record.clone()))
            .await;
        (transferred.map_err(|error| error.fault), given)
    };
    for server in [
        without_changes(with_code(4, &[])).await,
        without_changes(with_code(1, &[])).await,
        without_changes(|query| framed(&[message(query, true, &[soa(5), soa(3)])])).await,
    ] {
        let (transferred, given) = refresh(server).await;
        assert_eq!(transferred.unwrap(), whole(5, 2));
        assert_eq!(given, [soa(5), a(1)]);
    }
    // Who refuses once refuses again; and a zone that breaks off is not begun anew.
    for (rcode, records) in [(5, &[][..]), (9, &[]), (2, &[0, 1])] {
        let (refused, given) = refresh(without_changes(with_code(rcode, records)).await).await;
        assert!(
            matches!(refused, Err(Fault::Refused { rcode: Rcode(said) }) if said == u16::from(rcode)),
            "{refused:?}"
        );
        assert_eq!(given.len(), records.len());
    }
}

/// Any zone of up to thirty records.
fn any_records() -> impl Strategy<Value = Vec<Record>> {
    prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..30).prop_map(|rows| {
        let txt = |(number, text): (u8, Vec<u8>)| {
            let rdata = [&[text.len() as u8], &text[..]].concat();
            record(&format!("n{number}.example."), RrType::TXT, &rdata)
        };
        let middle: Vec<_> = rows.into_iter().map(txt).collect();
        [&[soa(5)], &middle[..], &[soa(5)]].concat()
    })
}

proptest! {
    /// However records are put into messages, and messages into portions, the same comes out.
    #[test]
    fn portions_do_not_matter(
        records in any_records(),
        sizes in prop::collection::vec(1_usize..10, 0..10),
        portions in prop::collection::vec(1_usize..200, 1..20),
    ) {
        let asking = Asking::transfer(7, &zone(), None);
        let octets = framed(&messages(&asking.octets, &records, &sizes));
        let mut incoming = Incoming::new(asking, None, Content::new(zone(), None));
        let mut given = Vec::new();
        let mut frames = Frames::default();
        let mut transferred = None;
        let mut rest = &octets[..];
        for portion in portions.iter().cycle() {
            let (now, later) = rest.split_at((*portion).min(rest.len()));
            frames.feed(now);
            while let Some(message) = frames.next() {
                prop_assert!(transferred.is_none());
                transferred = incoming.take(message, NOW, &mut |record| given.push(record.clone())).unwrap();
            }
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        let count = records.len() - 1;
        prop_assert_eq!(transferred, Some(whole(5, count as u64)));
        prop_assert_eq!(&given[..], &records[..count]);
    }

    /// Whatever SOAs and records come, it is one of the three answers or an error, and changes lead on.
    #[test]
    fn any_records_are_changes_or_an_error(
        have in 0_u32..6,
        rows in prop::collection::vec(prop::option::weighted(0.6, 0_u32..6), 0..20),
        sizes in prop::collection::vec(1_usize..5, 0..5),
    ) {
        let records: Vec<_> = rows.iter().map(|row| row.map_or(a(1), soa)).collect();
        if let (Ok(Some(transferred)), given) = transfer(Some(have), &records, &sizes) {
            match transferred {
                Transferred::UpToDate { serial } => prop_assert!(serial.0 <= have && given.is_empty()),
                Transferred::Whole { records, .. } => prop_assert_eq!(given.len() as u64, records),
                Transferred::Changes(deltas) => {
                    let mut at = Serial(have);
                    for delta in &deltas {
                        prop_assert_eq!(delta.from, at);
                        prop_assert!(delta.to.is_newer_than(at));
                        at = delta.to;
                    }
                    prop_assert_eq!(Some(at.0), rows[0]);
                }
            }
        }
    }

    #[test]
    fn any_messages_are_taken_or_refused(octets: Vec<u8>, have: Option<u32>) {
        let have = have.map(Serial);
        let asking = Asking::transfer(7, &zone(), have);
        let mut incoming = Incoming::new(asking, None, Content::new(zone(), have));
        let mut frames = Frames::default();
        frames.feed(&octets);
        while let Some(message) = frames.next() {
            if incoming.take(message, NOW, &mut |_| {}).is_err() {
                break;
            }
        }
    }
}
