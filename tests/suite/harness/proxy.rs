//! A proxy for DNS: what it does with each question is the test's business.

use std::{
    io::Read as _,
    net::{SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use countersign::wire::RrType;

use super::{
    client::{exchange_tcp, exchange_udp, send_framed},
    process::listeners,
};

const PATIENCE: Duration = Duration::from_secs(5);

/// How a question came, and goes on.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    Udp,
    Tcp,
}

impl Way {
    pub fn exchange(self, server: SocketAddr, query: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Udp => exchange_udp(server, query, PATIENCE).ok(),
            Self::Tcp => exchange_tcp(server, query, PATIENCE).ok(),
        }
    }
}

/// A running proxy; it ends when dropped.
pub struct Proxy {
    pub address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes both threads, so that they see it.
        UdpSocket::bind("127.0.0.1:0")
            .and_then(|socket| socket.send_to(&[0], self.address))
            .ok();
        TcpStream::connect(self.address).ok();
    }
}

/// Starts a proxy over UDP and TCP; `answer` gives the answer to a question, or none.
pub fn through(answer: impl Fn(&[u8], Way) -> Option<Vec<u8>> + Send + Sync + 'static) -> Proxy {
    let (udp, tcp) = listeners();
    let address = udp.local_addr().unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let answer = Arc::new(answer);
    let over_udp = (Arc::clone(&answer), Arc::clone(&ended));
    std::thread::spawn(move || {
        let (answer, ended) = over_udp;
        let mut buffer = vec![0; 65_535];
        while let Ok((length, from)) = udp.recv_from(&mut buffer) {
            if ended.load(Ordering::Relaxed) {
                return;
            }
            if let Some(bytes) = answer(&buffer[..length], Way::Udp) {
                udp.send_to(&bytes, from).ok();
            }
        }
    });
    let over_tcp = Arc::clone(&ended);
    std::thread::spawn(move || {
        for stream in tcp.incoming().map_while(Result::ok) {
            if over_tcp.load(Ordering::Relaxed) {
                return;
            }
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || relay(stream, |query| answer(query, Way::Tcp)));
        }
    });
    Proxy { address, ended }
}

/// Key sets from one server, everything else from another: what a resolver meets that has one in its cache.
pub fn mixed(keys: SocketAddr, answers: SocketAddr) -> Proxy {
    through(move |query, way| {
        let asks_for_keys = asked_type(query) == Some(RrType::DNSKEY);
        way.exchange(if asks_for_keys { keys } else { answers }, query)
    })
}

/// A server that nothing comes back from.
pub fn black_hole() -> Proxy {
    through(|_, _| None)
}

pub fn asked_type(query: &[u8]) -> Option<RrType> {
    let mut at = 12;
    loop {
        match *query.get(at)? {
            0 => break,
            length => at += 1 + usize::from(length),
        }
    }
    let rtype = query.get(at + 1..at + 3)?;
    Some(RrType(u16::from_be_bytes([rtype[0], rtype[1]])))
}

fn relay(mut stream: TcpStream, answer: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut query).is_err() {
            return;
        }
        if let Some(bytes) = answer(&query)
            && send_framed(&mut stream, &bytes).is_err()
        {
            return;
        }
    }
}
