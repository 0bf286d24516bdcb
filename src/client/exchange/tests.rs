//! Servers that answer, keep silent, or send what was not asked for.

use super::*;
use crate::{
    client::tsig::{Answering, TsigAlgorithm, TsigKey},
    clock::{SimulatedClock, UnixTime},
    wire::message::Rcode,
};
use std::sync::Arc;
use tokio::net::TcpListener;

const SHORT: Duration = Duration::from_millis(200);

fn question() -> Question {
    Question {
        name: "example.".parse().unwrap(),
        rtype: RrType::SOA,
        dnssec: false,
        recursion: false,
    }
}

fn quick() -> Asker {
    Asker {
        timeout: SHORT,
        tries: 2,
    }
}

/// A whole answer to a query, with the given bits in its third octet beside QR.
fn answer(query: &[u8], bits: u8) -> Vec<u8> {
    let mut octets = query.to_vec();
    octets[2] |= 0x80 | bits;
    octets
}

/// A server on one port for both transports; each function makes the messages that are sent for one query.
async fn server(
    datagrams: impl Fn(usize, &[u8]) -> Vec<Vec<u8>> + Send + 'static,
    stream: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let socket = UdpSocket::bind(address).await.unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        for number in 0.. {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            for octets in datagrams(number, &buffer[..length]) {
                socket.send_to(&octets, from).await.unwrap();
            }
        }
    });
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let query = read_framed(&mut connection).await.unwrap();
            if let Some(octets) = stream(&query) {
                write_framed(&mut connection, &octets).await.unwrap();
            }
        }
    });
    address
}

#[tokio::test]
async fn strays_are_passed_over() {
    let address = server(
        |_, query| {
            let mut other_id = answer(query, 0);
            other_id[0] ^= 0xff;
            let mut other_name = answer(query, 0);
            other_name[13] ^= 1;
            vec![other_id, other_name, query.to_vec(), vec![0; 3], answer(query, 4)]
        },
        |_| None,
    )
    .await;
    let received = quick().ask(address, &question()).await.unwrap();
    assert!(received.authoritative);
}

#[tokio::test]
async fn a_lost_datagram_is_asked_for_again() {
    let address = server(
        |number, query| {
            if number == 0 {
                vec![]
            } else {
                vec![answer(query, 0)]
            }
        },
        |_| None,
    )
    .await;
    let received = quick().ask(address, &question()).await.unwrap();
    assert_eq!(received.rcode, Rcode::NOERROR);
}

#[tokio::test]
async fn a_cut_answer_comes_whole_over_tcp() {
    let address = server(|_, query| vec![answer(query, 2)], |query| Some(answer(query, 4))).await;
    let received = quick().ask(address, &question()).await.unwrap();
    assert!(received.authoritative && !received.truncated);
}

#[tokio::test]
async fn over_tcp_the_question_must_be_the_same_too() {
    let address = server(
        |_, _| vec![],
        |query| {
            let mut other = answer(query, 0);
            other[13] ^= 1;
            Some(other)
        },
    )
    .await;
    let error = quick().ask_over(Transport::Tcp, address, &question()).await;
    assert!(
        matches!(
            error,
            Err(AskError::Malformed {
                source: Malformed::Odd(_),
                ..
            })
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_said() {
    let address = server(
        |_, query| {
            let mut longer = answer(query, 0);
            longer.push(0);
            vec![longer]
        },
        |_| None,
    )
    .await;
    let error = quick().ask(address, &question()).await.unwrap_err();
    assert!(matches!(error, AskError::Malformed { .. }), "{error:?}");
}

#[tokio::test]
async fn silence_ends() {
    let address = server(|_, _| vec![], |_| None).await;
    let error = quick().ask(address, &question()).await.unwrap_err();
    assert!(
        matches!(error, AskError::Silent { waited, .. } if waited == 2 * SHORT),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        format!("{address} did not answer within 0.4 s")
    );
    // A connection that is closed without an answer is no silence.
    let error = quick()
        .ask_over(Transport::Tcp, address, &question())
        .await
        .unwrap_err();
    assert!(matches!(error, AskError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_flood_of_strays_is_silence_too() {
    let address = server(|_, query| vec![query.to_vec(); 2_000], |_| None).await;
    let asked = quick();
    let error = timeout(8 * SHORT, asked.ask(address, &question())).await.unwrap();
    assert!(matches!(error, Err(AskError::Silent { .. })), "{error:?}");
}

#[tokio::test]
async fn a_closed_port_is_unreachable_at_once() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let asker = Asker {
        timeout: Duration::from_secs(60),
        tries: 1,
    };
    for transport in [Transport::Udp, Transport::Tcp] {
        let error = asker.ask_over(transport, address, &question()).await.unwrap_err();
        assert!(
            matches!(&error, AskError::Unreachable { source, .. }
                if source.kind() == io::ErrorKind::ConnectionRefused),
            "{error:?}"
        );
    }
}

const NOW: UnixTime = UnixTime(1_790_000_000);

fn key(secret: &[u8]) -> Arc<TsigKey> {
    Arc::new(TsigKey::new("k.".parse().unwrap(), TsigAlgorithm::HmacSha256, secret).unwrap())
}

/// A signed answer to a signed query.
fn signed_answer(query: &[u8]) -> Vec<u8> {
    let received = Received::read(query).unwrap();
    let (start, _) = received.tsig.as_ref().unwrap();
    let mut answering = Answering::to(query, &received, &[key(b"one")], NOW)
        .unwrap()
        .unwrap();
    let mut reply = answer(&query[..*start], 0);
    reply[11] -= 1;
    answering.sign(&mut reply, NOW);
    reply
}

#[tokio::test]
async fn a_signed_question_has_a_signed_answer() {
    let address = server(
        |_, query| {
            let good = signed_answer(query);
            let received = Received::read(&good).unwrap();
            let mut unsigned = good[..received.tsig.unwrap().0].to_vec();
            unsigned[11] -= 1;
            let mut changed = good.clone();
            changed[2] ^= 4;
            vec![unsigned, changed, good]
        },
        |query| Some(signed_answer(query)),
    )
    .await;
    let clock = SimulatedClock::new(NOW);
    let key = key(b"one");
    let signing = Some(Signing {
        key: &key,
        clock: &clock,
    });
    for transport in [Transport::Udp, Transport::Tcp] {
        let received = quick()
            .ask_signed(transport, address, &question(), signing)
            .await
            .unwrap();
        assert!(!received.authoritative, "{transport:?}");
    }
}

#[tokio::test]
async fn an_answer_without_a_signature_is_not_believed() {
    let plain = |query: &[u8]| {
        let received = Received::read(query).unwrap();
        let mut reply = answer(&query[..received.tsig.unwrap().0], 0);
        reply[11] -= 1;
        reply
    };
    let address = server(
        move |_, query| vec![plain(query)],
        move |query| Some(plain(query)),
    )
    .await;
    let clock = SimulatedClock::new(NOW);
    let key = key(b"one");
    let signing = Some(Signing {
        key: &key,
        clock: &clock,
    });
    for transport in [Transport::Udp, Transport::Tcp] {
        let error = quick()
            .ask_signed(transport, address, &question(), signing)
            .await
            .unwrap_err();
        assert!(
            matches!(
                &error,
                AskError::Tsig {
                    source: TsigError::Unsigned { .. },
                    ..
                }
            ),
            "{transport:?}: {error:?}"
        );
    }
}
