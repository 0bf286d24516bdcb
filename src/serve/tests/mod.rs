//! The transports with a responder that knows nothing of DNS, over real sockets on loopback.

mod tcp;
mod udp;

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{Condvar, Mutex},
};

use super::*;
use crate::{
    answer::{Effort, Outcome, Peer, Work},
    clock::{Clock, SystemClock},
};

/// Answers each packet with `<transport>:<packet>`, but for those that begin with one of these letters:
///
/// | letter | the packet                                                           |
/// |--------|----------------------------------------------------------------------|
/// | `w`    | waits for the second pass                                            |
/// | `d`    | must not be answered; nor an empty one                               |
/// | `b`    | is answered with as many octets as its second octet times 1,000      |
/// | `p`    | meets a fault                                                        |
/// | `P`    | waits for the second pass, and meets a fault there                   |
/// | `g`    | is answered when the gate is open                                    |
#[derive(Clone, Default)]
struct Echo {
    shared: Arc<EchoShared>,
}

#[derive(Default)]
struct EchoShared {
    /// Each packet that was answered, and the thread that did.
    answered: Mutex<Vec<(Vec<u8>, thread::ThreadId)>>,
    looked_ahead: Mutex<Vec<Vec<Vec<u8>>>>,
    gate: Gate,
    /// Batches that are to meet a fault when they begin.
    broken_batches: Mutex<usize>,
}

#[derive(Default)]
struct Gate {
    /// Who waits at it, and whether it is open.
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        self.changed.notify_all();
        drop(
            self.changed
                .wait_timeout_while(state, DEADLINE, |state| !state.1)
                .unwrap(),
        );
    }

    fn until_waiting(&self, number: usize) {
        let state = self.state.lock().unwrap();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, DEADLINE, |state| state.0 < number)
            .unwrap();
        assert!(state.0 >= number, "nobody came to the gate");
    }

    fn open(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }
}

impl Responder for Echo {
    type Worker = Echo;

    fn worker(&self) -> Echo {
        self.clone()
    }
}

impl Work for Echo {
    fn begin_batch(&mut self) {
        let mut broken = self.shared.broken_batches.lock().unwrap();
        if *broken > 0 {
            *broken -= 1;
            drop(broken);
            panic!("a planted fault");
        }
    }

    fn look_ahead<'q>(&mut self, queries: impl Iterator<Item = &'q [u8]>) {
        let batch = queries.map(<[u8]>::to_vec).collect();
        self.shared.looked_ahead.lock().unwrap().push(batch);
    }

    fn answer(&mut self, query: &[u8], from: Peer, effort: Effort, out: &mut Vec<u8>) -> Outcome {
        out.clear();
        match (query.first(), effort) {
            (Some(b'd') | None, _) => return Outcome::Drop,
            (Some(b'w' | b'P'), Effort::AtHand) => return Outcome::Deferred,
            (Some(b'p' | b'P'), _) => panic!("a planted fault"),
            (Some(b'b'), _) => out.resize(usize::from(query[1]) * 1_000, b'x'),
            (Some(b'g'), _) => self.shared.gate.pass(),
            _ => {}
        }
        if query[0] != b'b' {
            out.extend_from_slice(format!("{:?}:", from.transport).as_bytes());
            out.extend_from_slice(query);
        }
        let answered = (query.to_vec(), thread::current().id());
        self.shared.answered.lock().unwrap().push(answered);
        Outcome::Answered
    }

    fn end_batch(&mut self) {}
}

/// Far longer than anything here takes on a slow machine.
const DEADLINE: Duration = Duration::from_secs(30);
/// A time-out that a test waits for.
const SHORT: Duration = Duration::from_millis(200);

/// One UDP thread, and no time-out that a slow machine could meet.
fn patient() -> Settings {
    let mut settings = Settings {
        udp_threads: 1,
        tcp_threads: 2,
        ..Settings::default()
    };
    settings.tcp.first_query = DEADLINE * 10;
    settings.tcp.idle = DEADLINE * 10;
    settings.tcp.stall = DEADLINE * 10;
    settings
}

struct Server {
    running: Option<Running>,
    echo: Echo,
}

impl Server {
    fn start(address: &str, settings: Settings) -> Self {
        Self::run(bind(address, settings))
    }

    fn run(listeners: Listeners) -> Self {
        let echo = Echo::default();
        Self {
            running: Some(listeners.run(&echo).unwrap()),
            echo,
        }
    }

    fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().addresses()[0]
    }

    fn counters(&self) -> Counters {
        self.running.as_ref().unwrap().counters()
    }

    fn gate(&self) -> &Gate {
        &self.echo.shared.gate
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    fn stop(mut self) {
        stop(self.running.take().unwrap());
    }
}

fn bind(address: &str, settings: Settings) -> Listeners {
    Listeners::bind(&[address.parse().unwrap()], settings).unwrap()
}

/// Stops, and gives how long that took.
fn stop(running: Running) -> Duration {
    let clock = SystemClock::default();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(running.stop(DEADLINE));
    clock.steady()
}

fn client(bound: &str) -> UdpSocket {
    let socket = UdpSocket::bind(bound).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

fn receive(client: &UdpSocket) -> String {
    let mut buffer = vec![0; 65_536];
    let length = client.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
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

fn ask(stream: &mut TcpStream, query: &[u8]) {
    stream.write_all(&message(query)).unwrap();
    assert_eq!(read_message(stream), [b"Tcp:", query].concat());
}

/// Reads until the other side closes; false when it does not.
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
        let server = Server::start(address, patient());
        let client = client(address);
        client.send_to(b"hello", server.address()).unwrap();
        let mut buffer = [0; 100];
        let (length, from) = client.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from), (&b"Udp:hello"[..], server.address()));
        ask(&mut server.connect(), b"hello");
        server.stop();
    }
}

#[test]
fn several_addresses_are_served_at_once() {
    let addresses = ["127.0.0.1:0", "127.0.0.3:0", "[::1]:0"].map(|address| address.parse().unwrap());
    let running = Listeners::bind(&addresses, patient())
        .unwrap()
        .run(&Echo::default())
        .unwrap();
    for &address in running.addresses() {
        let client = client(if address.is_ipv4() {
            "127.0.0.1:0"
        } else {
            "[::1]:0"
        });
        client.send_to(b"q", address).unwrap();
        assert_eq!(receive(&client), "Udp:q");
    }
    // The counts of all threads are summed; a thread counts a batch once it has sent it.
    until("three sent", || running.counters().udp.sent == 3);
    stop(running);
}

#[test]
fn a_stop_answers_what_has_come_and_frees_the_address() {
    // An address of its own, so that no other test takes the port when it is free again.
    let server = Server::start("127.77.0.1:0", patient());
    let (address, client) = (server.address(), client("127.0.0.1:0"));
    let mut stream = server.connect();
    let mut idle = server.connect();
    ask(&mut idle, b"q");
    // Both sides are busy, and more has come, when they are told to stop.
    stream
        .write_all(&[message(b"g0"), message(b"q1"), message(b"q2")].concat())
        .unwrap();
    client.send_to(b"g0", address).unwrap();
    server.gate().until_waiting(2);
    for number in 0..200_u8 {
        client.send_to(&[b'n', number], address).unwrap();
    }
    stream.write_all(&message(b"q3")).unwrap();
    server.running.as_ref().unwrap().begin_stop();
    server.gate().open();
    assert_eq!(receive(&client), "Udp:g0");
    for _ in 0..200 {
        assert!(receive(&client).starts_with("Udp:n"));
    }
    for expected in ["Tcp:g0", "Tcp:q1", "Tcp:q2", "Tcp:q3"] {
        assert_eq!(read_message(&mut stream), expected.as_bytes());
    }
    server.stop();
    assert!(closes(&mut stream) && closes(&mut idle));
    let again = Listeners::bind(&[address], patient());
    assert!(again.is_ok(), "{again:?}");
}

#[test]
fn a_stop_does_not_wait_for_those_who_do_nothing() {
    // Time-outs are far longer than this may take, so nobody was waited for.
    let server = Server::start("127.0.0.1:0", patient());
    let (_silent, mut half) = (server.connect(), server.connect());
    half.write_all(&[0]).unwrap();
    until("two are let in", || server.counters().tcp_open == 2);
    let took = stop({
        let mut server = server;
        server.running.take().unwrap()
    });
    assert!(took < DEADLINE / 2, "{took:?}");
}

#[test]
fn an_address_in_use_is_refused_with_its_name() {
    let first = bind("127.0.0.1:0", patient());
    let address = first.addresses()[0];
    let second = Listeners::bind(&[address], patient()).unwrap_err();
    assert!(
        matches!(second, BindError::InUse { transport: "TCP", .. }),
        "{second}"
    );
    assert!(second.to_string().contains(&address.to_string()));
    assert!(matches!(
        Listeners::bind(&["192.0.2.1:0".parse().unwrap()], patient()),
        Err(BindError::NotHere { .. })
    ));
    assert!(matches!(Listeners::bind(&[], patient()), Err(BindError::None)));
}

#[test]
fn an_address_that_is_named_twice_is_refused() {
    let free = bind("127.77.0.2:0", patient()).addresses()[0];
    let refused = Listeners::bind(&[free, free], patient()).unwrap_err();
    assert!(matches!(refused, BindError::Twice { .. }), "{refused}");
}

#[test]
fn somebody_elses_udp_socket_is_not_joined_whether_it_shares_or_not() {
    for shares in [false, true] {
        let foreign = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        foreign.set_reuse_port(shares).unwrap();
        let any: SocketAddr = "127.77.0.3:0".parse().unwrap();
        foreign.bind(&any.into()).unwrap();
        let address = foreign.local_addr().unwrap().as_socket().unwrap();
        let refused = Listeners::bind(&[address], patient()).unwrap_err();
        assert!(
            matches!(refused, BindError::InUse { transport: "UDP", .. }),
            "{refused}"
        );
    }
}

#[test]
fn connections_are_limited_by_the_descriptors_there_are() {
    let mut settings = Settings::default();
    settings.tcp.connections = 1_000_000_000;
    let limit = system::descriptor_limit().unwrap();
    let fitting = settings.clone().within_descriptors(1);
    assert_eq!(fitting.descriptors(1), limit);
    settings.tcp.connections = 10;
    let wanted = settings.descriptors(1);
    assert!(wanted <= limit, "this test needs {wanted} descriptors");
    assert_eq!(settings.within_descriptors(1).tcp.connections, 10);
}
