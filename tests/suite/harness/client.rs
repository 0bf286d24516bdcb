//! A DNS client that sees every octet: one question, or thousands with a window of them in flight.

use std::{
    collections::HashMap,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use super::message::{Message, Query, TC};

/// How long a test waits for one answer before it asks again, and how often. Generous: it decides nothing but
/// how long a failing test takes.
const PATIENCE: Duration = Duration::from_secs(5);
const TRIES: usize = 3;
/// Questions in flight. Small enough that no socket buffer overflows.
const WINDOW: usize = 48;

/// Sends octets as a datagram, returns the octets that come back within `patience`.
pub fn exchange_udp(server: SocketAddr, query: &[u8], patience: Duration) -> io::Result<Vec<u8>> {
    let socket = udp_socket(server)?;
    socket.set_read_timeout(Some(patience))?;
    socket.send(query)?;
    let mut buffer = vec![0; 65_535];
    let length = socket.recv(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

fn udp_socket(server: SocketAddr) -> io::Result<UdpSocket> {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    Ok(socket)
}

/// Sends octets with their length in front over a new connection, returns the first message that comes back.
pub fn exchange_tcp(server: SocketAddr, query: &[u8], patience: Duration) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, patience)?;
    stream.set_read_timeout(Some(patience))?;
    send_framed(&mut stream, query)?;
    receive_framed(&mut stream)
}

pub fn send_framed(stream: &mut TcpStream, query: &[u8]) -> io::Result<()> {
    let mut framed = (query.len() as u16).to_be_bytes().to_vec();
    framed.extend_from_slice(query);
    stream.write_all(&framed)
}

pub fn receive_framed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}

/// Asks over UDP, again over TCP when the answer was cut.
pub fn ask(server: SocketAddr, query: &Query) -> Message {
    ask_all(server, std::slice::from_ref(query)).remove(0)
}

/// Asks over UDP only; a cut answer is returned as it is.
pub fn ask_udp(server: SocketAddr, query: &Query) -> Message {
    let bytes = query.to_bytes(0x5544);
    for _ in 0..TRIES {
        if let Ok(answer) = exchange_udp(server, &bytes, PATIENCE) {
            return Message::read(&answer).unwrap_or_else(|why| panic!("{query}: {why}: {answer:02x?}"));
        }
    }
    panic!("{query}: no answer from {server} over UDP");
}

pub fn ask_tcp(server: SocketAddr, query: &Query) -> Message {
    let answer = exchange_tcp(server, &query.to_bytes(0x5443), PATIENCE)
        .unwrap_or_else(|why| panic!("{query}: no answer from {server} over TCP: {why}"));
    Message::read(&answer).unwrap_or_else(|why| panic!("{query}: {why}: {answer:02x?}"))
}

/// Asks all of them over UDP, those with cut answers again over TCP; the answers are in the questions' order.
pub fn ask_all(server: SocketAddr, queries: &[Query]) -> Vec<Message> {
    let socket = udp_socket(server).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answers: Vec<Option<Message>> = vec![None; queries.len()];
    // The id is the place in the list; lists are shorter than 2^16.
    assert!(queries.len() < 65_536);
    let mut waiting: HashMap<u16, usize> = HashMap::new();
    let mut next = 0;
    let mut buffer = vec![0; 65_535];
    while next < queries.len() || !waiting.is_empty() {
        while waiting.len() < WINDOW && next < queries.len() {
            waiting.insert(next as u16, 0);
            socket.send(&queries[next].to_bytes(next as u16)).unwrap();
            next += 1;
        }
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let bytes = &buffer[..length];
                let id = u16::from_be_bytes([buffer[0], buffer[1]]);
                if waiting.remove(&id).is_some() {
                    let query = &queries[usize::from(id)];
                    let answer =
                        Message::read(bytes).unwrap_or_else(|why| panic!("{query}: {why}: {bytes:02x?}"));
                    let cut = answer.has(TC);
                    answers[usize::from(id)] = Some(if cut { ask_tcp(server, query) } else { answer });
                }
            }
            // Datagrams may be lost: ask again, a few times.
            Err(_) => {
                for (id, tries) in &mut waiting {
                    *tries += 1;
                    let query = &queries[usize::from(*id)];
                    assert!(*tries <= TRIES, "{query}: no answer from {server} over UDP");
                    socket.send(&query.to_bytes(*id)).unwrap();
                }
            }
        }
    }
    answers
        .into_iter()
        .map(|answer| answer.expect("the loop ends when none is waited for"))
        .collect()
}
