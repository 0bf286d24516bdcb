//! Transports and their limits. Of DNS they know only [`crate::answer::Responder`].
//!
//! [`Listeners::bind`] takes the addresses, so that privileges can be given up before anything is answered;
//! [`Listeners::run`] answers. A second process on an address in use is refused, although our UDP sockets share it:
//! TCP is bound first, without SO_REUSEPORT, and so is the first UDP socket (see `udp::open`).

mod connections;
mod counters;
pub mod limits;
pub mod notify;
pub mod system;
mod tcp;
mod udp;
mod watchdog;

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener, UdpSocket},
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, watch},
};

pub use counters::{Counters, TcpCounters, UdpCounters};
pub use tcp::TcpLimits;
pub use watchdog::Probe;

use crate::answer::Responder;
use connections::Connections;
use counters::{TcpCells, UdpCells};
use watchdog::Pulse;

/// Settings of the transports.
#[derive(Clone, Debug)]
pub struct Settings {
    /// UDP threads for each address. Default: one a core.
    pub udp_threads: usize,
    /// Whether each UDP thread stays on a core of its own. Default: no, the kernel knows better what else runs.
    pub pin_udp_threads: bool,
    /// Threads that answer on TCP. Default: one a core.
    pub tcp_threads: usize,
    /// Limits of TCP connections.
    pub tcp: TcpLimits,
}

impl Default for Settings {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            udp_threads: cores,
            pin_udp_threads: false,
            tcp_threads: cores,
            tcp: TcpLimits {
                connections: limits::TCP_CONNECTIONS,
                connections_a_prefix: limits::TCP_CONNECTIONS_A_PREFIX,
                first_query: limits::TCP_FIRST_QUERY,
                idle: limits::TCP_IDLE,
                stall: limits::TCP_STALL,
                buffers: limits::TCP_BUFFERS,
            },
        }
    }
}

impl Settings {
    /// The descriptors that serving `addresses` addresses may need, files and all.
    pub fn descriptors(&self, addresses: usize) -> u64 {
        let sockets = addresses * (self.udp_threads + 1);
        (self.tcp.connections + sockets + limits::OTHER_DESCRIPTORS) as u64
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
    /// The same address is named twice.
    #[error("{address} is named twice; name it once")]
    Twice {
        /// The address.
        address: SocketAddr,
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
    /// In the order of `addresses`, `udp_threads` for each.
    udp: Vec<UdpSocket>,
    tcp: Vec<TcpListener>,
    settings: Settings,
}

impl Listeners {
    /// Takes every address, on TCP and UDP. Port 0 lets the kernel choose, the same for both.
    ///
    /// # Errors
    /// The first address that could not be taken; then none is.
    pub fn bind(addresses: &[SocketAddr], mut settings: Settings) -> Result<Self, BindError> {
        settings.udp_threads = settings.udp_threads.max(1);
        settings.tcp_threads = settings.tcp_threads.max(1);
        let mut listeners = Self {
            addresses: Vec::new(),
            udp: Vec::new(),
            tcp: Vec::new(),
            settings,
        };
        for &address in addresses {
            if address.port() != 0 && listeners.addresses.contains(&address) {
                return Err(BindError::Twice { address });
            }
            let (bound, tcp, udp) = open(address, listeners.settings.udp_threads)?;
            listeners.addresses.push(bound);
            listeners.tcp.push(tcp);
            listeners.udp.extend(udp);
        }
        if listeners.addresses.is_empty() {
            return Err(BindError::None);
        }
        Ok(listeners)
    }

    /// The addresses, with the ports that the kernel chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Answers on all of them, on threads of their own: nothing else that this process does keeps them waiting.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn run<R: Responder + Clone>(self, responder: &R) -> io::Result<Running> {
        let settings = self.settings.within_descriptors(self.addresses.len());
        let runtime = Builder::new_multi_thread()
            .worker_threads(settings.tcp_threads)
            .thread_name("tcp")
            .enable_all()
            .build()?;
        let shared = tcp::Shared::new(responder.clone(), settings.tcp);
        let (stop_tcp, stopped) = watch::channel(false);
        let (udp_thread, udp_ended) = mpsc::channel(1);
        let mut running = Running {
            addresses: self.addresses,
            stop_udp: Arc::default(),
            stop_tcp,
            udp_ended,
            sockets: self.udp.into_iter().map(Arc::new).collect(),
            udp: Vec::new(),
            pulses: Vec::new(),
            tcp: Arc::clone(&shared) as Arc<dyn TcpSide>,
            runtime: Some(runtime),
        };
        let runtime = running.runtime.as_ref().expect("it was just made");
        let entered = runtime.enter();
        for listener in self.tcp {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            runtime.spawn(tcp::accept(listener, Arc::clone(&shared), stopped.clone()));
        }
        drop(entered);
        for (number, socket) in running.sockets.iter().enumerate() {
            let cells = Arc::<UdpCells>::default();
            running.udp.push(Arc::clone(&cells));
            let pulse = Arc::<Pulse>::default();
            running.pulses.push(Arc::clone(&pulse));
            let seat = udp::Seat {
                socket: Arc::clone(socket),
                responder: responder.clone(),
                stop: Arc::clone(&running.stop_udp),
                cells,
                pulse,
                core: settings.pin_udp_threads.then_some(number % settings.udp_threads),
            };
            let here = udp_thread.clone();
            thread::Builder::new()
                .name(format!("udp-{number}"))
                .spawn(move || {
                    udp::run(seat);
                    drop(here);
                })?;
        }
        Ok(running)
    }
}

impl Settings {
    /// Fewer connections, where the limit of descriptors would be met before that of connections.
    fn within_descriptors(mut self, addresses: usize) -> Self {
        let Ok(limit) = system::descriptor_limit() else {
            return self;
        };
        let lacking = self.descriptors(addresses).saturating_sub(limit);
        if lacking > 0 {
            let wanted = self.tcp.connections;
            let lacking = usize::try_from(lacking).unwrap_or(usize::MAX);
            self.tcp.connections = wanted.saturating_sub(lacking).max(1);
            tracing::warn!(
                "at most {} TCP connections instead of {wanted}: the limit of open files is {limit}; raise it \
                 (`LimitNOFILE=` for systemd, `ulimit -n`)",
                self.tcp.connections,
            );
        }
        self
    }
}

fn open(
    address: SocketAddr,
    udp_sockets: usize,
) -> Result<(SocketAddr, TcpListener, Vec<UdpSocket>), BindError> {
    let mut tries = 0;
    loop {
        let tcp_error = |error| BindError::of(address, "TCP", error);
        let tcp = open_tcp(address).map_err(tcp_error)?;
        let bound = tcp.local_addr().map_err(tcp_error)?;
        match udp::open(bound, udp_sockets) {
            Ok(udp) => return Ok((bound, tcp, udp)),
            // The kernel chose a port that was free for TCP alone.
            Err(error)
                if address.port() == 0
                    && error.kind() == io::ErrorKind::AddrInUse
                    && tries < limits::PORT_TRIES =>
            {
                tries += 1;
            }
            Err(error) => return Err(BindError::of(bound, "UDP", error)),
        }
    }
}

fn open_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections of a server that just ended may linger; they are no reason to refuse its successor. (On Linux
    // this lets nobody share an address that is listened on.)
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(limits::TCP_BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// The TCP side, whoever the responder is.
trait TcpSide: Send + Sync {
    fn connections(&self) -> &Arc<Connections>;
    fn cells(&self) -> &TcpCells;
}

impl<R: Responder> TcpSide for tcp::Shared<R> {
    fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    fn cells(&self) -> &TcpCells {
        &self.cells
    }
}

/// Transports that answer. They go on until [`Running::stop`], or until this is dropped.
pub struct Running {
    addresses: Vec<SocketAddr>,
    stop_udp: Arc<AtomicBool>,
    stop_tcp: watch::Sender<bool>,
    /// Closed when the last UDP thread has ended.
    udp_ended: mpsc::Receiver<()>,
    sockets: Vec<Arc<UdpSocket>>,
    udp: Vec<Arc<UdpCells>>,
    pulses: Vec<Arc<Pulse>>,
    tcp: Arc<dyn TcpSide>,
    runtime: Option<Runtime>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl Running {
    /// The addresses.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What the transports counted so far.
    pub fn counters(&self) -> Counters {
        Counters {
            udp: UdpCounters::sum(self.udp.iter().map(|cells| &**cells)),
            tcp: TcpCounters::sum([self.tcp.cells()]),
            tcp_open: self.tcp.connections().open(),
        }
    }

    /// A look at whether the threads are alive, now and later.
    pub fn probe(&self) -> Probe {
        let runtime = self.runtime.as_ref().expect("it is taken when this is dropped");
        Probe::new(&self.pulses, runtime.handle().clone())
    }

    fn begin_stop(&self) {
        self.stop_udp.store(true, Ordering::Release);
        self.sockets.iter().for_each(|socket| udp::wake(socket));
        let _ = self.stop_tcp.send(true);
        self.tcp.connections().finish();
    }

    /// Stops: what was read is answered, connections are closed, threads end. Takes at most `within`; what has not
    /// ended by then is cut off.
    pub async fn stop(mut self, within: Duration) {
        self.begin_stop();
        let connections = Arc::clone(self.tcp.connections());
        let udp_ended = &mut self.udp_ended;
        let ended = async { tokio::join!(connections.emptied(), udp_ended.recv()) };
        if tokio::time::timeout(within, ended).await.is_err() {
            tracing::warn!("not all answers were out within {within:?}");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.begin_stop();
        if let Some(runtime) = self.runtime.take() {
            // Waits for nothing, so that it may be called from an asynchronous task.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests;
