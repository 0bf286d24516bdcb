//! The ways to the server: every transport gives the same answers, clients cannot exhaust it, and whoever started
//! it is told how it fares.

use std::{
    collections::BTreeMap,
    fs,
    io::{ErrorKind, Read as _},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    process::Command,
    time::Duration,
};

use countersign::serve::system::monotonic_usec;

use super::harness::{
    client,
    message::{Message, Query},
    process::{Countersign, Server, countersign, free_address, output, repository, run, wait_for, write},
};

/// How long a condition may take to hold; it decides only how long a failing test takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn example() -> Countersign {
    Countersign::new("example.", repository("zones/example.zone"))
}

fn ready() -> Query {
    Query::plain("example.", "SOA")
}

/// What an answer says, apart from signatures, which differ from one time to the next.
fn said(answer: &Message) -> (u16, Vec<String>) {
    let records = answer
        .all()
        .filter(|record| record.rtype != countersign::wire::RrType::RRSIG);
    (
        answer.rcode,
        records.map(|record| format!("{record:?}")).collect(),
    )
}

/// A port that is free on every address of this machine, below those that the system gives to clients.
fn port_free_everywhere() -> u16 {
    let first = 10_000 + (std::process::id() % 10_000) as u16;
    (first..first + 10_000)
        .find(|&port| {
            // Without IPV6_V6ONLY, so of both families.
            let any: SocketAddr = format!("[::]:{port}").parse().unwrap();
            TcpListener::bind(any).is_ok() && UdpSocket::bind(any).is_ok()
        })
        .expect("a free port")
}

#[test]
fn every_transport_and_every_address_gives_the_same_answers() {
    let any = port_free_everywhere();
    let first = free_address();
    let setup = example();
    let mut command = setup.serve_command(first);
    for listen in [format!("0.0.0.0:{any}"), format!("[::]:{any}")] {
        command.args(["--listen", &listen]);
    }
    let _server = Server::start("countersign", command, first, &ready());
    let addresses = [
        first,
        // Only the address that was asked may answer: the client's socket is connected to it.
        format!("127.0.0.1:{any}").parse().unwrap(),
        format!("127.9.8.7:{any}").parse().unwrap(),
        format!("[::1]:{any}").parse().unwrap(),
    ];
    for query in [
        Query::plain("example.", "SOA"),
        Query::signed("www.example.", "A"),
        Query::signed("no-such-name.example.", "A"),
        Query::signed("example.", "DNSKEY"),
        Query::signed("elsewhere.test.", "A"),
    ] {
        let expected = said(&client::ask_tcp(first, &query));
        for address in addresses {
            assert_eq!(
                said(&client::ask_udp(address, &query)),
                expected,
                "{query} at {address}"
            );
            assert_eq!(
                said(&client::ask_tcp(address, &query)),
                expected,
                "{query} at {address}"
            );
        }
    }
}

#[test]
fn an_answer_that_is_cut_over_udp_is_whole_over_tcp() {
    let setup = Countersign::new("example.", {
        let texts: String = (0..40).map(|n| format!("many TXT \"{n:0>90}\"\n")).collect();
        let folder = tempfile::tempdir().unwrap().keep();
        write(
            &folder,
            "example.zone",
            format!("$ORIGIN example.\n$TTL 300\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 192.0.2.1\n{texts}"),
        )
    });
    let server = setup.serve();
    let query = Query::signed("many.example.", "TXT");
    let cut = client::ask_udp(server.address, &query);
    assert!(cut.has(super::harness::message::TC), "{query}");
    let whole = client::ask_tcp(server.address, &query);
    assert_eq!(
        whole
            .all()
            .filter(|record| record.rtype == super::harness::message::rtype_of("TXT"))
            .count(),
        40
    );
}

/// Opens connections until `number` are open, each with one answered question.
fn connect(server: SocketAddr, number: usize) -> Vec<TcpStream> {
    (0..number).map(|_| TcpStream::connect(server).unwrap()).collect()
}

fn answers(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    client::send_framed(stream, &ready().to_bytes(7)).is_ok() && client::receive_framed(stream).is_ok()
}

fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    match stream.read(&mut [0; 1]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn more_connections_than_are_allowed_close_those_idle_longest() {
    let setup = example();
    let address = free_address();
    let server = serve_with(&setup, address, "[tcp]\nconnections = 20");
    let mut streams = connect(server.address, 60);
    assert!(streams.iter_mut().take(40).all(is_closed));
    assert!(streams.iter_mut().skip(40).all(answers));
}

#[test]
fn without_descriptors_it_makes_room_and_does_not_spin() {
    let setup = example();
    let server = setup.serve();
    // Room for the files that it has open, and for a few connections.
    let open = fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap().count();
    limit_descriptors(&server, open + 8);
    let before = cpu_ticks(&server);
    let mut streams = connect(server.address, 100);
    // Each new one is let in when another has gone, so the last one is answered.
    assert!(answers(streams.last_mut().unwrap()));
    assert!(is_closed(&mut streams[0]));
    // It waits between two tries: 92 of them take seconds, and next to nothing of the processor (in 1/100 s).
    let used = cpu_ticks(&server) - before;
    assert!(used < 100, "{used} ticks");
    limit_descriptors(&server, 1_000);
    let mut more = connect(server.address, 100);
    assert!(more.iter_mut().all(answers));
}

fn limit_descriptors(server: &Server, number: usize) {
    run(Command::new("prlimit").args([format!("--pid={}", server.id()), format!("--nofile={number}:")]));
}

/// User and system time of a process (proc(5)), in clock ticks.
fn cpu_ticks(server: &Server) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.id())).unwrap();
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Serves a copy of the example zone, in the test's own folder, as a configuration file says.
fn serve_with(setup: &Countersign, address: SocketAddr, settings: &str) -> Server {
    let zone = write(
        setup.folder(),
        "example.zone",
        fs::read(repository("zones/example.zone")).unwrap(),
    );
    let text = format!(
        "listen = [\"{address}\"]\nstate = \"state\"\nkeys = \"keys\"\n{settings}\n[[zone]]\n\
         origin = \"example.\"\nfile = \"{}\"\nauto_keys = true\n",
        zone.display()
    );
    let mut command = countersign();
    command
        .args(["serve", "-c"])
        .arg(write(setup.folder(), "countersign.toml", text));
    Server::start("countersign", command, address, &ready())
}

/// A service manager that listens, as systemd does.
struct Manager {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, folder }
    }

    /// Starts a server that knows of it.
    fn start(&self, command: &mut Command, address: SocketAddr) -> Server {
        command.env("NOTIFY_SOCKET", self.folder.path().join("notify"));
        Server::spawn("countersign", command, address)
    }

    /// The next message's assignments.
    fn hear(&self) -> BTreeMap<String, String> {
        let mut buffer = [0; 4_096];
        let length = loop {
            match self.socket.recv(&mut buffer) {
                // As when the machine was suspended.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                received => break received.expect("the manager is told"),
            }
        };
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        let pairs = text
            .lines()
            .map(|line| line.split_once('=').expect("an assignment"));
        pairs.map(|(name, value)| (name.into(), value.into())).collect()
    }
}

#[test]
fn the_service_manager_is_told_of_start_reload_and_stop() {
    let manager = Manager::new();
    let setup = example();
    let address = free_address();
    let mut server = manager.start(&mut setup.serve_command(address), address);
    let heard = manager.hear();
    assert_eq!(heard["READY"], "1");
    assert!(heard["STATUS"].contains("1 zones served"), "{heard:?}");
    // What is told is true.
    client::ask_udp(address, &ready());
    let before = monotonic_usec();
    server.signal("HUP");
    let heard = manager.hear();
    assert_eq!(heard["RELOADING"], "1");
    // What systemd compares with the time at which it sent the signal.
    let at: u64 = heard["MONOTONIC_USEC"].parse().unwrap();
    assert!(before <= at && at <= uptime_usec(), "{before} {at}");
    assert_eq!(manager.hear()["READY"], "1");
    server.signal("TERM");
    assert_eq!(manager.hear()["STOPPING"], "1");
    assert!(server.wait(PATIENCE).unwrap().success());
}

/// The time since this machine started, in microseconds; CLOCK_MONOTONIC, which stands still while a machine sleeps,
/// is not above it.
fn uptime_usec() -> u64 {
    let text = fs::read_to_string("/proc/uptime").unwrap();
    let (seconds, hundredths) = text.split(' ').next().unwrap().split_once('.').unwrap();
    (seconds.parse::<u64>().unwrap() * 100 + hundredths.parse::<u64>().unwrap() + 1) * 10_000
}

#[test]
fn the_service_manager_sees_signs_of_life_when_it_asks_for_them() {
    let manager = Manager::new();
    let setup = example();
    let address = free_address();
    let mut command = setup.serve_command(address);
    command.env("WATCHDOG_USEC", "200000");
    let _server = manager.start(&mut command, address);
    let heard: Vec<_> = (0..6).map(|_| manager.hear()).collect();
    let number = |name: &str| heard.iter().filter(|heard| heard.contains_key(name)).count();
    assert_eq!((number("WATCHDOG"), number("READY")), (5, 1), "{heard:?}");
}

fn is_root() -> bool {
    run(Command::new("id").arg("-u")).trim() == "0"
}

/// Others may go through the test's folder.
fn example_for_all() -> Countersign {
    let setup = example();
    fs::set_permissions(setup.folder(), fs::Permissions::from_mode(0o755)).unwrap();
    setup
}

/// An address with a port below 1024 that nobody uses.
fn privileged_address() -> SocketAddr {
    let [.., high, low] = std::process::id().to_be_bytes();
    (600..1_023)
        .map(|port| SocketAddr::from(([127, 99, high, low], port)))
        .find(|&address| TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok())
        .expect("a free port")
}

fn status_of(server: &Server, field: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let values = line.unwrap_or_else(|| panic!("{field} in {text}"));
    values.split_whitespace().map(String::from).collect()
}

#[test]
fn root_binds_a_low_port_and_keeps_nothing_of_root() {
    if !is_root() {
        return;
    }
    let setup = example_for_all();
    let address = privileged_address();
    let server = serve_with(&setup, address, "user = \"nobody\"");
    client::ask_udp(address, &ready());

    let id = |option: &str| run(Command::new("id").args([option, "nobody"])).trim().to_owned();
    let (uid, gid) = (id("-u"), id("-g"));
    // Real, effective, saved, and of the file system.
    assert_eq!(status_of(&server, "Uid:"), vec![uid.clone(); 4]);
    assert_eq!(status_of(&server, "Gid:"), vec![gid.clone(); 4]);
    assert_eq!(status_of(&server, "Groups:"), [gid]);
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(status_of(&server, set), ["0000000000000000"], "{set}");
    }
    let of_all = format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n");
    for thread in fs::read_dir(format!("/proc/{}/task", server.id())).unwrap() {
        let text = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        assert!(text.contains(&of_all), "{text}");
    }
    // No core dumps; and its files in /proc are root's, for nobody else may look into its memory.
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let core = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().take(2).collect::<Vec<_>>(), ["0", "0"]);
    let memory = format!("/proc/{}/mem", server.id());
    assert_eq!(run(Command::new("stat").args(["-c", "%u", &memory])).trim(), "0");
}

#[test]
fn after_root_was_given_up_keys_are_read_again_as_the_user() {
    if !is_root() {
        return;
    }
    let setup = example_for_all();
    let address = free_address();
    let server = serve_with(&setup, address, "user = \"nobody\"");
    let keys = || {
        let answer = client::ask(address, &Query::plain("example.", "DNSKEY"));
        answer.all().count()
    };
    assert_eq!(keys(), 2);
    // What root asks the server to make is the user's.
    run(&mut setup.keys_command(&["generate", "example.", "--role", "zsk"]));
    assert_eq!(wait_for(PATIENCE, || (keys() == 3).then_some(())), Some(()));
    // What root puts there by hand the user may not read: refused by its name, and the old set goes on.
    let elsewhere = example();
    run(&mut elsewhere.keys_command(&["generate", "example.", "--role", "zsk"]));
    for file in fs::read_dir(elsewhere.keys()).unwrap().map(|file| file.unwrap()) {
        fs::copy(file.path(), setup.keys().join(file.file_name())).unwrap();
    }
    let refused = output(&mut setup.command(&["reload"]));
    let told = [refused.stdout, refused.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert_eq!(refused.status.code(), Some(1), "{told:?}");
    assert!(told.concat().contains(".private"), "{told:?}");
    assert_eq!(keys(), 3);
    // Given to the user, it is read at the next reload.
    let give = format!("chown nobody {}/*", setup.keys().display());
    run(Command::new("sh").args(["-c", &give]));
    server.signal("HUP");
    assert_eq!(wait_for(PATIENCE, || (keys() == 4).then_some(())), Some(()));
}
