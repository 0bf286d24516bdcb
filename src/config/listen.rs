//! The addresses that are served.

use super::{problem::Position, read::At};
use std::net::SocketAddr;

/// Tells of addresses that cannot both be served.
pub(super) fn check_listen(listen: &[At<SocketAddr>], problem: &mut impl FnMut(Position, String)) {
    for (index, address) in listen.iter().enumerate() {
        if let Some(other) = listen[..index]
            .iter()
            .find(|other| overlap(other.value, address.value))
        {
            let what = format!(
                "{} overlaps {} at {}; keep one of them",
                address.value, other.value, other.at
            );
            problem(address.at, what);
        }
    }
}

/// Whether two addresses cannot both be bound. IPv6 sockets of ours take no IPv4.
pub(super) fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let everything = |address: SocketAddr| address.ip().is_unspecified();
    // Port 0 asks for any free port: two of those never meet.
    a.port() == b.port()
        && a.port() != 0
        && a.is_ipv4() == b.is_ipv4()
        && (a.ip() == b.ip() || everything(a) || everything(b))
}
