//! The lab: other parties of a zone on loopback, for trying things without an account: a simulated NS1, a parent
//! zone, a real resolver, and the scenarios that put them together.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, UdpSocket};

pub mod forward;
pub mod ns1;
pub mod parent;
pub mod real_time;
pub mod resolver;
pub mod scenario;
pub mod world;

/// How often another port is tried where any will do.
const PORT_TRIES: usize = 100;

/// UDP and TCP on one port; port 0: one that is free for both.
async fn bind_both(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let stream = TcpListener::bind(address).await?;
        match UdpSocket::bind(stream.local_addr()?).await {
            Ok(datagrams) => return Ok((datagrams, stream)),
            Err(error) if error.kind() != io::ErrorKind::AddrInUse || tries == 0 => return Err(error),
            Err(_) => {}
        }
    }
}
