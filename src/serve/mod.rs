//! Transports and their limits. Of DNS they know only [`crate::answer::Responder`].
//!
//! [`Listeners::bind`] takes the addresses, so that privileges can be given up before anything is answered;
//! [`Listeners::run`] answers. Who owns an address is decided by TCP, which is bound first and without
//! SO_REUSEPORT: a second process is refused although UDP sockets share.

pub mod limits;
pub mod notify;
pub mod system;
mod tcp;
mod udp;

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{sync::watch, task::JoinHandle};

pub use tcp::{TcpCounters, TcpLimits};
pub use udp::UdpCounters;

use crate::{answer::Responder, clock::Clock};

/// Settings of the transports.
#[derive(Clone, Debug)]
pub struct Settings {
    /// UDP threads, each with a socket of its own for every address. Default: one a core.
    pub udp_threads: usize,
    /// Limits of TCP connections.
    pub tcp: TcpLimits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            udp_threads: thread::available_parallelism().map_or(1, NonZeroUsize::get),
            tcp: TcpLimits {
                connections: limits::TCP_CONNECTIONS,
                connections_a_prefix: limits::TCP_CONNECTIONS_A_PREFIX,
                idle: limits::TCP_IDLE,
                stall: limits::TCP_STALL,
            },
        }
    }
}

/// Why an address could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody has it.
    #[error(
        "{address} is in use ({transport}); stop what listens there (`ss -lnp` shows it), or listen elsewhere"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
        /// UDP or TCP.
        transport: &'static str,
    },
    /// Ports below 1024 need a privilege.
    #[error(
        "{address}: no permission for this port; start as root with `user =` set, give the program CAP_NET_BIND_SERVICE, or choose a port above 1023"
    )]
    Forbidden {
        /// The address.
        address: SocketAddr,
    },
    /// This host does not have it.
    #[error("{address}: no interface of this host has this address")]
    NotHere {
        /// The address.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen on {address} ({transport})")]
    Other {
        /// The address.
        address: SocketAddr,
        /// UDP or TCP.
        transport: &'static str,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// Nothing was named.
    #[error("there is no address to listen on; name one with `--listen ADDR:PORT` or `listen = [...]`")]
    None,
}

impl BindError {
    fn of(address: SocketAddr, transport: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address, transport },
            io::ErrorKind::PermissionDenied => Self::Forbidden { address },
            io::ErrorKind::AddrNotAvailable => Self::NotHere { address },
            _ => Self::Other {
                address,
                transport,
                source,
            },
        }
    }
}

/// Addresses that are taken, and not yet answered on.
#[derive(Debug)]
pub struct Listeners {
    addresses: Vec<SocketAddr>,
    udp: Vec<UdpSocket>,
    tcp: Vec<std::net::TcpListener>,
    settings: Settings,
}

impl Listeners {
    /// Takes every address, on TCP and UDP. Port 0 lets the kernel choose, the same for both.
    ///
    /// # Errors
    /// The first address that could not be taken; then none is.
    pub fn bind(addresses: &[SocketAddr], settings: Settings) -> Result<Self, BindError> {
        let mut listeners = Self {
            addresses: Vec::new(),
            udp: Vec::new(),
            tcp: Vec::new(),
            settings,
        };
        for &address in addresses {
            let tcp = open_tcp(address).map_err(|error| BindError::of(address, "TCP", error))?;
            let bound = tcp
                .local_addr()
                .map_err(|error| BindError::of(address, "TCP", error))?;
            for _ in 0..listeners.settings.udp_threads.max(1) {
                let udp = udp::open(bound).map_err(|error| BindError::of(bound, "UDP", error))?;
                listeners.udp.push(udp);
            }
            listeners.tcp.push(tcp);
            listeners.addresses.push(bound);
        }
        if listeners.addresses.is_empty() {
            Err(BindError::None)
        } else {
            Ok(listeners)
        }
    }

    /// The addresses, with the ports that the kernel chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Answers on all of them: UDP on threads of its own, TCP on the runtime that calls this.
    ///
    /// # Errors
    /// When a thread cannot be started, or a socket not be given to the runtime.
    pub fn run<R: Responder + Clone>(self, responder: &R, clock: Arc<dyn Clock>) -> io::Result<Running> {
        let (stop_tcp, stopped) = watch::channel(false);
        let shared = tcp::Shared::new(responder.clone(), self.settings.tcp, clock, stopped);
        let mut running = Running {
            addresses: self.addresses,
            stop_udp: Arc::default(),
            stop_tcp,
            threads: Vec::new(),
            tasks: Vec::new(),
            udp: Arc::default(),
            tcp: Arc::clone(&shared.counters),
        };
        for listener in self.tcp {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            running
                .tasks
                .push(tokio::spawn(tcp::accept(listener, Arc::clone(&shared))));
        }
        for (number, socket) in self.udp.into_iter().enumerate() {
            let (worker, stop) = (responder.worker(), Arc::clone(&running.stop_udp));
            let counters = Arc::clone(&running.udp);
            let thread = thread::Builder::new()
                .name(format!("udp-{number}"))
                .spawn(move || udp::run(&socket, worker, &stop, &counters))?;
            running.threads.push(thread);
        }
        Ok(running)
    }
}

fn open_tcp(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections of a server that just ended may linger; they are no reason to refuse its successor.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(limits::TCP_BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Transports that answer.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<SocketAddr>,
    stop_udp: Arc<AtomicBool>,
    stop_tcp: watch::Sender<bool>,
    threads: Vec<thread::JoinHandle<()>>,
    tasks: Vec<JoinHandle<()>>,
    udp: Arc<UdpCounters>,
    tcp: Arc<TcpCounters>,
}

impl Running {
    /// The addresses.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What UDP counts.
    pub fn udp_counters(&self) -> &Arc<UdpCounters> {
        &self.udp
    }

    /// What TCP counts.
    pub fn tcp_counters(&self) -> &Arc<TcpCounters> {
        &self.tcp
    }

    /// Stops: what was read is answered, connections are closed, threads end. Takes at most `within`; what has not
    /// ended by then ends with the process.
    pub async fn stop(self, within: Duration) {
        self.stop_udp.store(true, Ordering::Relaxed);
        let _ = self.stop_tcp.send(true);
        let tasks = async {
            for task in self.tasks {
                let _ = task.await;
            }
        };
        let threads = tokio::task::spawn_blocking(move || {
            for thread in self.threads {
                let _ = thread.join();
            }
        });
        let _ = tokio::time::timeout(within, async { tokio::join!(tasks, threads) }).await;
    }
}

#[cfg(test)]
mod tests;
