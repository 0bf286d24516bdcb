//! Datagrams.

use std::{collections::BTreeSet, net::IpAddr};

use super::*;

/// Starts to answer when the datagrams lie there, so that they are one batch.
fn one_batch(queries: &[&[u8]]) -> (Server, UdpSocket) {
    let listeners = bind("127.0.0.1:0", patient());
    let client = client("127.0.0.1:0");
    for query in queries {
        client.send_to(query, listeners.addresses()[0]).unwrap();
    }
    (Server::run(listeners), client)
}

#[test]
fn a_wildcard_socket_answers_from_the_address_that_was_asked() {
    for (bound, from, asked) in [
        (
            "0.0.0.0:0",
            "127.0.0.1:0",
            &["127.0.0.1", "127.0.0.2", "127.8.9.10"][..],
        ),
        ("[::]:0", "[::1]:0", &["::1"]),
    ] {
        let server = Server::start(bound, patient());
        for asked in asked {
            let asked = SocketAddr::new(asked.parse::<IpAddr>().unwrap(), server.address().port());
            let client = client(from);
            client.send_to(b"who", asked).unwrap();
            let (_, from) = client.recv_from(&mut [0; 100]).unwrap();
            assert_eq!(from, asked);
        }
        server.stop();
    }
}

#[test]
fn a_wildcard_socket_of_one_family_leaves_the_other_alone() {
    // Another test may have the port in the other family by chance; not every time.
    until("both families have one port", || {
        let six = bind("[::]:0", patient());
        let port = six.addresses()[0].port();
        Listeners::bind(&[SocketAddr::from(([0, 0, 0, 0], port))], patient()).is_ok()
    });
}

#[test]
fn what_waits_is_answered_after_what_is_at_hand() {
    let (server, client) = one_batch(&[b"w1", b"a1", b"d", b"w2", b"a2", b""]);
    let answers: Vec<String> = (0..4).map(|_| receive(&client)).collect();
    assert_eq!(answers, ["Udp:a1", "Udp:a2", "Udp:w1", "Udp:w2"]);
    until("the batch is counted", || server.counters().udp.sent == 4);
    let counters = server.counters().udp;
    assert_eq!(
        (counters.received, counters.deferred, counters.dropped),
        (6, 2, 2)
    );
}

#[test]
fn the_worker_sees_a_whole_batch_before_the_first_answer() {
    let (server, client) = one_batch(&[b"a1", b"p", b"w2", b"a3"]);
    let answers: Vec<String> = (0..3).map(|_| receive(&client)).collect();
    assert_eq!(answers, ["Udp:a1", "Udp:a3", "Udp:w2"]);
    let seen = server.echo.shared.looked_ahead.lock().unwrap();
    let batch = |queries: &[&[u8]]| queries.iter().map(|query| query.to_vec()).collect::<Vec<_>>();
    // The fault in the midst of it makes the rest a batch of its own.
    assert_eq!(
        *seen,
        [batch(&[b"a1", b"p", b"w2", b"a3"]), batch(&[b"w2", b"a3"])]
    );
}

#[test]
fn more_than_a_batch_is_answered() {
    let numbers: Vec<[u8; 2]> = (0..200).map(|number| [b'n', number]).collect();
    let queries: Vec<&[u8]> = numbers.iter().map(|query| &query[..]).collect();
    let (_server, client) = one_batch(&queries);
    let mut seen = BTreeSet::new();
    while seen.len() < 200 {
        let mut buffer = [0; 100];
        let length = client.recv(&mut buffer).unwrap();
        seen.insert(buffer[length - 1]);
    }
}

#[test]
fn every_thread_takes_part() {
    let mut settings = patient();
    settings.udp_threads = 3;
    settings.pin_udp_threads = true;
    let server = Server::start("127.0.0.1:0", settings);
    let threads = || {
        let answered = server.echo.shared.answered.lock().unwrap();
        answered
            .iter()
            .map(|(_, thread)| format!("{thread:?}"))
            .collect::<BTreeSet<_>>()
            .len()
    };
    // The kernel deals by the client's address and port.
    until("three threads answered", || {
        let client = client("127.0.0.1:0");
        client.send_to(b"q", server.address()).unwrap();
        receive(&client);
        threads() == 3
    });
    server.stop();
}

#[test]
fn an_answer_that_cannot_be_sent_holds_up_no_other() {
    // 70,000 octets are no datagram; 60,000 are one on loopback.
    let (server, client) = one_batch(&[b"a", &[b'b', 70], b"c", &[b'b', 60], b"wd", b"e"]);
    let answers: Vec<usize> = (0..5).map(|_| receive(&client).len()).collect();
    assert_eq!(answers, [5, 5, 60_000, 5, 6]);
    until("the batch is counted", || server.counters().udp.sent == 5);
    assert_eq!(server.counters().udp.refused, 1);
}

#[test]
fn a_client_that_went_away_is_no_trouble() {
    // The kernel is told by ICMP that nobody listens there.
    let server = Server::start("127.0.0.1:0", patient());
    for _ in 0..3 {
        let gone = client("127.0.0.1:0");
        gone.send_to(b"left", server.address()).unwrap();
        drop(gone);
        let client = client("127.0.0.1:0");
        client.send_to(b"here", server.address()).unwrap();
        assert_eq!(receive(&client), "Udp:here");
    }
    assert_eq!(server.counters().udp.receive_errors, 0);
}

#[test]
fn a_datagram_longer_than_any_query_is_cut() {
    let (server, client) = one_batch(&[&[b'q'; 5_000], &[b'q'; limits::UDP_QUERY]]);
    for _ in 0..2 {
        assert_eq!(receive(&client).len(), 4 + limits::UDP_QUERY);
    }
    until("the batch is counted", || server.counters().udp.sent == 2);
    assert_eq!(server.counters().udp.cut, 1);
}

#[test]
fn a_fault_costs_its_datagram_alone() {
    let (server, client) = one_batch(&[b"a", b"w1", b"p", b"b\0", b"P", b"w2", b"p", b"c"]);
    let answers: Vec<String> = (0..5).map(|_| receive(&client)).collect();
    assert_eq!(answers, ["Udp:a", "", "Udp:c", "Udp:w1", "Udp:w2"]);
    until("the batch is counted", || server.counters().udp.sent == 5);
    assert_eq!(server.counters().udp.faults, 3);
}

#[test]
fn a_fault_of_the_whole_batch_costs_that_batch() {
    let listeners = bind("127.0.0.1:0", patient());
    let client = client("127.0.0.1:0");
    let address = listeners.addresses()[0];
    client.send_to(b"lost", address).unwrap();
    let echo = Echo::default();
    // Once is tried again; twice at the same place is given up.
    *echo.shared.broken_batches.lock().unwrap() = 2;
    let running = listeners.run(&echo).unwrap();
    until("two faults", || running.counters().udp.faults == 2);
    client.send_to(b"next", address).unwrap();
    assert_eq!(receive(&client), "Udp:next");
    stop(running);
}

#[test]
fn path_mtu_messages_are_not_believed() {
    let listeners = bind("127.0.0.1:0", patient());
    let (mut value, mut length) = (-1, size_of::<libc::c_int>() as libc::socklen_t);
    #[expect(unsafe_code, reason = "getsockopt has no safe wrapper for this option")]
    // SAFETY: the descriptor is open, and the value is a c_int whose length is given.
    let result = unsafe {
        libc::getsockopt(
            std::os::fd::AsRawFd::as_raw_fd(&listeners.udp[0]),
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            (&raw mut value).cast(),
            &mut length,
        )
    };
    assert_eq!((result, value), (0, libc::IP_PMTUDISC_OMIT));
}
