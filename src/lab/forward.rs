//! Questions are passed on to whichever server is chosen for each: what a resolver meets whose cache has some of one
//! server and some of another.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
    time::timeout,
};

use crate::wire::{RrType, received::Received};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// The largest datagram.
const DATAGRAM: usize = 65_535;
/// Questions under way at a time; more wait in the socket.
const AT_ONCE: usize = 256;

/// Chooses the server for a question of this type.
pub type Choice = Arc<dyn Fn(RrType) -> SocketAddr + Send + Sync>;

/// Passes questions on, over UDP and TCP, for as long as this lives.
#[derive(Debug)]
pub struct Forwarder {
    /// Where it is asked.
    pub address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Forwarder {
    /// Listens on a port of loopback that is free.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(choice: Choice) -> io::Result<Self> {
        let (datagrams, stream) = super::bind_both(([127, 0, 0, 1], 0).into()).await?;
        let address = stream.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(over_udp(Arc::new(datagrams), Arc::clone(&choice)));
        tasks.spawn(over_tcp(stream, choice));
        Ok(Self {
            address,
            _tasks: tasks,
        })
    }
}

fn chosen(query: &[u8], choice: &Choice) -> Option<SocketAddr> {
    let (_, rtype, _) = Received::read(query).ok()?.question?;
    Some(choice(rtype))
}

async fn over_udp(socket: Arc<UdpSocket>, choice: Choice) {
    let mut passing = JoinSet::new();
    let mut octets = vec![0; DATAGRAM];
    while let Ok((length, from)) = socket.recv_from(&mut octets).await {
        while passing.len() >= AT_ONCE {
            passing.join_next().await;
        }
        while passing.try_join_next().is_some() {}
        let query = octets[..length].to_vec();
        let Some(server) = chosen(&query, &choice) else {
            continue;
        };
        let back = Arc::clone(&socket);
        passing.spawn(async move {
            // Whoever asked asks again.
            if let Ok(Ok(answer)) = timeout(PATIENCE, pass(server, &query)).await {
                let _ = back.send_to(&answer, from).await;
            }
        });
    }
}

async fn pass(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut answer = vec![0; DATAGRAM];
    let length = socket.recv(&mut answer).await?;
    answer.truncate(length);
    Ok(answer)
}

async fn over_tcp(listener: TcpListener, choice: Choice) {
    let mut passing = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while passing.len() >= AT_ONCE {
            passing.join_next().await;
        }
        while passing.try_join_next().is_some() {}
        let choice = Arc::clone(&choice);
        passing.spawn(async move {
            // A connection that breaks is over.
            let _ = timeout(PATIENCE, pass_stream(stream, &choice)).await;
        });
    }
}

async fn pass_stream(mut stream: TcpStream, choice: &Choice) -> io::Result<()> {
    loop {
        let query = read_framed(&mut stream).await?;
        let Some(server) = chosen(&query, choice) else {
            return Ok(());
        };
        let mut onward = TcpStream::connect(server).await?;
        write_framed(&mut onward, &query).await?;
        let answer = read_framed(&mut onward).await?;
        write_framed(&mut stream, &answer).await?;
    }
}

async fn read_framed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut octets = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut octets).await?;
    Ok(octets)
}

async fn write_framed(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let framed = [&length.to_be_bytes()[..], message].concat();
    stream.write_all(&framed).await
}
