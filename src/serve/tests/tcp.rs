//! Streams.

use super::*;

#[test]
fn pipelined_queries_are_answered_in_order_however_they_are_cut() {
    let server = Server::start("127.0.0.1:0", patient());
    let mut stream = server.connect();
    stream.set_nodelay(true).unwrap();
    let all: Vec<u8> = (0..500)
        .flat_map(|n| message(format!("q{n}").as_bytes()))
        .collect();
    // Within a length, and within a query.
    for (from, to) in [(0, 1), (1, 7), (7, all.len())] {
        stream.write_all(&all[from..to]).unwrap();
    }
    for number in 0..500 {
        assert_eq!(read_message(&mut stream), format!("Tcp:q{number}").as_bytes());
    }
    assert_eq!(server.counters().tcp.answered, 500);
    server.stop();
}

#[test]
fn the_largest_query_and_the_largest_answer_fit() {
    let server = Server::start("127.0.0.1:0", patient());
    let mut stream = server.connect();
    ask(&mut stream, &vec![b'q'; 65_531]);
    // A longer query, whose answer would be no message.
    stream.write_all(&message(&vec![b'q'; 65_535])).unwrap();
    assert!(closes(&mut stream));
    assert_eq!(server.counters().tcp.faults, 1);
}

#[test]
fn what_must_not_be_answered_ends_the_connection_after_what_came_before() {
    for wrong in [&b""[..], b"d"] {
        let server = Server::start("127.0.0.1:0", patient());
        let mut stream = server.connect();
        stream
            .write_all(&[message(b"q"), message(wrong), message(b"never")].concat())
            .unwrap();
        assert_eq!(read_message(&mut stream), b"Tcp:q");
        assert!(closes(&mut stream));
        until("it is counted", || server.counters().tcp.dropped == 1);
    }
}

#[test]
fn a_client_that_closes_its_side_gets_its_answers() {
    let server = Server::start("127.0.0.1:0", patient());
    let mut stream = server.connect();
    stream.write_all(&message(b"q")).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_message(&mut stream), b"Tcp:q");
    assert!(closes(&mut stream));
    until("it is gone", || server.counters().tcp_open == 0);
}

#[test]
fn a_connection_without_a_question_is_closed() {
    let mut settings = patient();
    settings.tcp.first_query = SHORT;
    let server = Server::start("127.0.0.1:0", settings);
    let (mut silent, mut half) = (server.connect(), server.connect());
    half.write_all(&[0, 5, b'q']).unwrap();
    assert!(closes(&mut silent) && closes(&mut half));
    until("both are counted", || {
        let tcp = server.counters().tcp;
        (tcp.idle, tcp.stalled) == (1, 1)
    });
}

#[test]
fn an_idle_connection_is_closed_and_a_stalled_one() {
    let mut settings = patient();
    settings.tcp.idle = SHORT;
    let server = Server::start("127.0.0.1:0", settings);
    let mut idle = server.connect();
    ask(&mut idle, b"q");
    assert!(closes(&mut idle));
    until("it is counted", || server.counters().tcp.idle == 1);

    let mut settings = patient();
    settings.tcp.stall = SHORT;
    let server = Server::start("127.0.0.1:0", settings);
    let mut half = server.connect();
    ask(&mut half, b"q");
    half.write_all(&[0]).unwrap();
    assert!(closes(&mut half));
    until("it is counted", || server.counters().tcp.stalled == 1);
}

/// Asks for large answers and does not read them, until the server takes no more.
fn be_deaf(server: &Server) -> TcpStream {
    let mut deaf = server.connect();
    deaf.set_write_timeout(Some(SHORT)).unwrap();
    let queries = message(&[b'b', 60]).repeat(100);
    while deaf.write_all(&queries).is_ok() {}
    deaf
}

#[test]
fn a_client_that_does_not_read_is_cut_off_and_holds_up_nobody() {
    let mut settings = patient();
    // Were a thread to wait for it, the other client would wait as well.
    settings.tcp_threads = 1;
    let server = Server::start("127.0.0.1:0", settings);
    let deaf = be_deaf(&server);
    ask(&mut server.connect(), b"q");
    assert_eq!(server.counters().tcp.stalled, 0);
    drop(deaf);
    server.stop();

    let mut settings = patient();
    settings.tcp.stall = SHORT;
    let server = Server::start("127.0.0.1:0", settings);
    let _deaf = be_deaf(&server);
    until("it is cut off", || server.counters().tcp.stalled == 1);
}

#[test]
fn buffers_are_bounded_in_all() {
    let mut settings = patient();
    settings.tcp.buffers = 100_000;
    let server = Server::start("127.0.0.1:0", settings);
    let mut deaf = be_deaf(&server);
    let mut large = server.connect();
    // What it may hold beside the other's answers is less than this.
    let _ = large.write_all(&message(&vec![b'q'; 65_000]));
    assert!(closes(&mut large));
    until("it is counted", || server.counters().tcp.no_room == 1);
    // Small ones need none of it.
    ask(&mut server.connect(), b"q");
    let _ = deaf.shutdown(std::net::Shutdown::Both);
    let _ = deaf.flush();
    drop(deaf);
    until("all is given back", || server.counters().tcp_open == 0);
    // One that has its answer holds nothing any more.
    let (mut first, mut second) = (server.connect(), server.connect());
    ask(&mut first, &vec![b'q'; 60_000]);
    ask(&mut second, &vec![b'q'; 60_000]);
}

#[test]
fn at_a_limit_the_connection_idle_longest_makes_room() {
    for (connections, connections_a_prefix) in [(3, 100), (100, 3)] {
        let mut settings = patient();
        settings.tcp.connections = connections;
        settings.tcp.connections_a_prefix = connections_a_prefix;
        let server = Server::start("127.0.0.1:0", settings);
        let mut streams: Vec<TcpStream> = (0..3).map(|_| server.connect()).collect();
        for stream in &mut streams {
            ask(stream, b"q");
        }
        // The first one asks again, so the second was idle longest; half a query does not count.
        ask(&mut streams[0], b"q");
        streams[1].write_all(&[0, 9, b'q']).unwrap();
        let mut fourth = server.connect();
        ask(&mut fourth, b"q");
        assert!(closes(&mut streams[1]));
        for stream in [0, 2] {
            ask(&mut streams[stream], b"q");
        }
        let counters = server.counters();
        assert_eq!((counters.tcp.evicted, counters.tcp_open), (1, 3));
        server.stop();
    }
}

#[test]
fn one_that_does_not_read_makes_room_too() {
    let mut settings = patient();
    settings.tcp.connections = 1;
    let server = Server::start("127.0.0.1:0", settings);
    let deaf = be_deaf(&server);
    let mut other = server.connect();
    ask(&mut other, b"q");
    // Without its reading anything: that would let the server go on.
    until("it is cut off", || {
        let error = (&deaf).write(b"x").map_err(|error| error.kind());
        matches!(
            error,
            Err(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
        )
    });
    assert_eq!(
        (server.counters().tcp.evicted, server.counters().tcp_open),
        (1, 1)
    );
}

#[test]
fn a_thousand_connections_from_one_client() {
    system::raise_descriptor_limit(16_384).unwrap();
    let server = Server::start("127.0.0.1:0", patient());
    let mut streams: Vec<TcpStream> = (0..1_000).map(|_| server.connect()).collect();
    for stream in &mut streams {
        stream.write_all(&message(b"q")).unwrap();
    }
    for stream in &mut streams {
        assert_eq!(read_message(stream), b"Tcp:q");
    }
    let counters = server.counters();
    assert_eq!((counters.tcp.evicted, counters.tcp_open), (0, 1_000));
    server.stop();
}

#[test]
fn a_fault_ends_its_connection_alone() {
    let server = Server::start("127.0.0.1:0", patient());
    let (mut good, mut bad) = (server.connect(), server.connect());
    ask(&mut good, b"q");
    bad.write_all(&message(b"p")).unwrap();
    assert!(closes(&mut bad));
    ask(&mut good, b"q");
    ask(&mut server.connect(), b"q");
    until("the place is free", || server.counters().tcp_open <= 2);
    assert_eq!(server.counters().tcp.faults, 1);
    server.stop();
}
