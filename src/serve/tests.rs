//! The transports with a responder that knows nothing of DNS, over real sockets on loopback.

use std::{
    io::{Read, Write},
    net::{IpAddr, TcpStream},
    sync::Mutex,
};

use super::*;
use crate::{
    answer::{Effort, Outcome, Peer, Work},
    clock::SystemClock,
};

/// Answers each packet with `<transport>:<packet>`. One that begins with `w` waits for the second pass; `d` must
/// not be answered; `b` is answered with as many octets as its second octet times 1,000.
#[derive(Clone, Default)]
struct Echo {
    order: Arc<Mutex<Vec<Vec<u8>>>>,
}

struct Echoing(Echo);

impl Responder for Echo {
    type Worker = Echoing;

    fn worker(&self) -> Echoing {
        Echoing(self.clone())
    }
}

impl Work for Echoing {
    fn begin_batch(&mut self) {}

    fn answer(&mut self, query: &[u8], from: Peer, effort: Effort, out: &mut Vec<u8>) -> Outcome {
        out.clear();
        match query.first() {
            Some(b'd') | None => return Outcome::Drop,
            Some(b'w') if effort == Effort::AtHand => return Outcome::Deferred,
            Some(b'b') => out.resize(usize::from(query[1]) * 1_000, b'x'),
            _ => out.extend_from_slice(format!("{:?}:", from.transport).as_bytes()),
        }
        out.extend_from_slice(query);
        self.0.order.lock().unwrap().push(query.to_vec());
        Outcome::Answered
    }

    fn end_batch(&mut self) {}
}

const DEADLINE: Duration = Duration::from_secs(20);

fn quick() -> Settings {
    let mut settings = Settings {
        udp_threads: 1,
        ..Settings::default()
    };
    settings.tcp.idle = Duration::from_millis(300);
    settings.tcp.stall = Duration::from_millis(300);
    settings
}

struct Server {
    running: Option<Running>,
    echo: Echo,
    runtime: tokio::runtime::Runtime,
}

impl Server {
    fn start(addresses: &[&str], settings: Settings) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let addresses: Vec<SocketAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let echo = Echo::default();
        let listeners = Listeners::bind(&addresses, settings).unwrap();
        let running = runtime
            .block_on(async { listeners.run(&echo, Arc::new(SystemClock::default())) })
            .unwrap();
        Self {
            running: Some(running),
            echo,
            runtime,
        }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    fn address(&self) -> SocketAddr {
        self.running().addresses()[0]
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop(DEADLINE));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn udp(bound: &str) -> UdpSocket {
    let socket = UdpSocket::bind(bound).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

fn message(octets: &[u8]) -> Vec<u8> {
    [&(octets.len() as u16).to_be_bytes(), octets].concat()
}

fn read_message(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut octets).unwrap();
    octets
}

/// Reads until the other side closes.
fn closes(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    }
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let clock = SystemClock::default();
    while !condition() {
        assert!(clock.steady() < DEADLINE, "not within {DEADLINE:?}: {what}");
        thread::yield_now();
    }
}

#[test]
fn both_families_and_both_transports_answer() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let server = Server::start(&[address], quick());
        let client = udp(address);
        client.send_to(b"hello", server.address()).unwrap();
        let mut buffer = [0; 100];
        let (length, from) = client.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from), (&b"Udp:hello"[..], server.address()));
        let mut stream = server.connect();
        stream.write_all(&message(b"hello")).unwrap();
        assert_eq!(read_message(&mut stream), b"Tcp:hello");
    }
}

#[test]
fn a_wildcard_socket_answers_from_the_address_that_was_asked() {
    for (bound, client, asked) in [
        (
            "0.0.0.0:0",
            "127.0.0.1:0",
            &["127.0.0.1", "127.0.0.2", "127.8.9.10"][..],
        ),
        ("[::]:0", "[::1]:0", &["::1"]),
    ] {
        let server = Server::start(&[bound], quick());
        for asked in asked {
            let asked = SocketAddr::new(asked.parse::<IpAddr>().unwrap(), server.address().port());
            let client = udp(client);
            client.send_to(b"who", asked).unwrap();
            let (_, from) = client.recv_from(&mut [0; 100]).unwrap();
            assert_eq!(from, asked);
        }
    }
}

#[test]
fn what_waits_is_answered_after_what_is_at_hand() {
    // The thread is not started before the datagrams lie there, so that they are one batch.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let echo = Echo::default();
    let listeners = Listeners::bind(&["127.0.0.1:0".parse().unwrap()], quick()).unwrap();
    let client = udp("127.0.0.1:0");
    for query in [&b"w1"[..], b"a1", b"d", b"w2", b"a2", b""] {
        client.send_to(query, listeners.addresses()[0]).unwrap();
    }
    let running = runtime
        .block_on(async { listeners.run(&echo, Arc::new(SystemClock::default())) })
        .unwrap();
    let mut answers = Vec::new();
    for _ in 0..4 {
        let mut buffer = [0; 100];
        let length = client.recv(&mut buffer).unwrap();
        answers.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    assert_eq!(answers, ["Udp:a1", "Udp:a2", "Udp:w1", "Udp:w2"]);
    runtime.block_on(running.stop(DEADLINE));
}

#[test]
fn more_than_a_batch_is_answered() {
    let server = Server::start(&["127.0.0.1:0"], quick());
    let client = udp("127.0.0.1:0");
    for number in 0..200_u8 {
        client.send_to(&[b'n', number], server.address()).unwrap();
    }
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 200 {
        let mut buffer = [0; 100];
        let length = client.recv(&mut buffer).unwrap();
        seen.insert(buffer[length - 1]);
    }
}

#[test]
fn tcp_answers_pipelined_queries_in_order_and_in_pieces() {
    let server = Server::start(&["127.0.0.1:0"], quick());
    let mut stream = server.connect();
    let queries: Vec<Vec<u8>> = (0..50).map(|n| message(format!("q{n}").as_bytes())).collect();
    let all = queries.concat();
    // Cut within a length and within a query.
    stream.write_all(&all[..1]).unwrap();
    stream.flush().unwrap();
    stream.write_all(&all[1..7]).unwrap();
    stream.write_all(&all[7..]).unwrap();
    for number in 0..50 {
        assert_eq!(read_message(&mut stream), format!("Tcp:q{number}").as_bytes());
    }
    // The largest query, and an answer of the largest size but one.
    let largest = vec![b'q'; 65_531];
    stream.write_all(&message(&largest)).unwrap();
    assert_eq!(read_message(&mut stream).len(), 65_535);
    // What may not be answered ends the connection, as an empty message does.
    stream.write_all(&message(b"")).unwrap();
    assert!(closes(&mut stream));
}

#[test]
fn idle_and_stalled_connections_are_cut_off() {
    let server = Server::start(&["127.0.0.1:0"], quick());
    let mut idle = server.connect();
    let mut half = server.connect();
    half.write_all(&[0, 5, b'q']).unwrap();
    assert!(closes(&mut idle) && closes(&mut half));
    // A client that asks and asks and does not read.
    let mut deaf = server.connect();
    deaf.set_write_timeout(Some(DEADLINE)).unwrap();
    let query = message(&[b'b', 60]);
    while deaf.write_all(&query.repeat(100)).is_ok() {}
    until("three time-outs", || {
        server.running().tcp_counters().timed_out.load(Ordering::Relaxed) == 3
    });
}

#[test]
fn at_a_limit_the_connection_idle_longest_makes_room() {
    for (connections, connections_a_prefix) in [(3, 100), (100, 3)] {
        let mut settings = quick();
        settings.tcp = TcpLimits {
            connections,
            connections_a_prefix,
            idle: DEADLINE,
            stall: DEADLINE,
        };
        let server = Server::start(&["127.0.0.1:0"], settings);
        let ask = |stream: &mut TcpStream| {
            stream.write_all(&message(b"q")).unwrap();
            assert_eq!(read_message(stream), b"Tcp:q");
            // Steady time counts in milliseconds: the next one is later.
            let clock = SystemClock::default();
            until("a few milliseconds", || clock.steady() > Duration::from_millis(3));
        };
        let mut streams: Vec<TcpStream> = (0..3).map(|_| server.connect()).collect();
        streams.iter_mut().for_each(ask);
        // The first one is asked on again, so the second was idle longest.
        ask(&mut streams[0]);
        let mut fourth = server.connect();
        ask(&mut fourth);
        assert!(closes(&mut streams[1]));
        ask(&mut streams[0]);
        ask(&mut streams[2]);
    }
}

#[test]
fn a_thousand_connections_from_one_client() {
    raise();
    let mut settings = Settings {
        udp_threads: 1,
        ..Settings::default()
    };
    settings.tcp.idle = DEADLINE;
    let server = Server::start(&["127.0.0.1:0"], settings);
    let mut streams: Vec<TcpStream> = (0..1_000).map(|_| server.connect()).collect();
    for stream in &mut streams {
        stream.write_all(&message(b"q")).unwrap();
    }
    for stream in &mut streams {
        assert_eq!(read_message(stream), b"Tcp:q");
    }
    assert_eq!(server.running().tcp_counters().evicted.load(Ordering::Relaxed), 0);
}

fn raise() {
    assert!(
        system::raise_descriptor_limit(limits::DESCRIPTORS).unwrap() >= 2_500,
        "descriptors for this test"
    );
}

#[test]
fn a_stop_answers_what_was_read_and_frees_the_address() {
    let mut server = Server::start(
        &["127.0.0.1:0"],
        Settings {
            udp_threads: 2,
            ..Settings::default()
        },
    );
    let address = server.address();
    let mut stream = server.connect();
    stream.write_all(&message(b"q")).unwrap();
    assert_eq!(read_message(&mut stream), b"Tcp:q");
    server.stop();
    assert!(closes(&mut stream));
    let again = Listeners::bind(&[address], quick());
    assert!(again.is_ok(), "{again:?}");
    assert_eq!(server.echo.order.lock().unwrap().len(), 1);
}

#[test]
fn an_address_in_use_is_refused_with_its_name() {
    let first = Listeners::bind(&["127.0.0.1:0".parse().unwrap()], quick()).unwrap();
    let address = first.addresses()[0];
    let second = Listeners::bind(&[address], quick()).unwrap_err();
    assert!(
        matches!(second, BindError::InUse { transport: "TCP", .. }),
        "{second}"
    );
    assert!(second.to_string().contains(&address.to_string()));
    // A foreign UDP socket that does not share.
    let foreign = UdpSocket::bind("127.0.0.1:0").unwrap();
    let refused = Listeners::bind(&[foreign.local_addr().unwrap()], quick()).unwrap_err();
    assert!(
        matches!(refused, BindError::InUse { transport: "UDP", .. }),
        "{refused}"
    );
    assert!(matches!(
        Listeners::bind(&["192.0.2.1:0".parse().unwrap()], quick()),
        Err(BindError::NotHere { .. })
    ));
    assert!(matches!(Listeners::bind(&[], quick()), Err(BindError::None)));
}
