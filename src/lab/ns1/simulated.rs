//! The handle of a simulated NS1 that runs in this process.

use std::{collections::BTreeMap, fmt, io, net::SocketAddr, path::PathBuf, sync::Arc};

use tokio::{
    net::{TcpListener, UdpSocket},
    sync::watch,
    task::JoinSet,
};
use zeroize::Zeroizing;

use super::{
    account::Account,
    api,
    certificate::{self, CertificateError},
    core::Core,
    dns::DnsServer,
    knobs::KnobError,
    record::domain_text,
    reply::{Body, Reply, Request},
};
use crate::{
    clock::Clock,
    dnssec::{
        algorithm::DigestType,
        key::{Dnskey, KeyError, ds_text},
    },
    wire::Name,
    zone::master::Source,
};

/// Where a zone comes from that is there from the start.
#[derive(Clone, Debug)]
pub enum ZoneText {
    /// A master file.
    File(PathBuf),
    /// Its text.
    Text(String),
}

/// What to simulate.
#[derive(Clone)]
pub struct Settings {
    /// Where the API listens; port 0: any that is free.
    pub api: SocketAddr,
    /// Where its servers listen, two or more as a rule; port 0 as above.
    pub dns: Vec<SocketAddr>,
    /// The names of those servers, in the same order; NS1's own where there are none.
    pub name_servers: Vec<Name>,
    /// The account's key.
    pub api_key: String,
    /// Zones that are there from the start.
    pub zones: Vec<(Name, ZoneText)>,
    /// Whether DNSSEC is on for these zones. NS1 leaves it off until it is asked.
    pub signed: bool,
    /// Knobs and their values.
    pub knobs: Vec<(String, String)>,
}

impl fmt::Debug for Settings {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("api", &self.api)
            .field("dns", &self.dns)
            .field("zones", &self.zones)
            .field("signed", &self.signed)
            .field("knobs", &self.knobs)
            .finish_non_exhaustive()
    }
}

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be had.
    #[error("cannot listen on {address}; is another program there?")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No server.
    #[error("name at least one address for DNS")]
    NoServer,
    /// A zone cannot be had.
    #[error("{origin}: {what}")]
    Zone {
        /// Its name.
        origin: Name,
        /// What is wrong with it.
        what: String,
    },
    /// Its keys cannot be made.
    #[error("cannot make keys")]
    Keys(#[from] KeyError),
    /// A knob cannot be set.
    #[error(transparent)]
    Knob(#[from] KnobError),
    /// There is no certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// A simulated NS1 that runs until it is stopped or dropped.
pub struct Simulated {
    core: Arc<Core>,
    api: SocketAddr,
    api_key: Zeroizing<String>,
    ca_pem: String,
    dns: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl fmt::Debug for Simulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Simulated {{ {} }}", self.ready())
    }
}

impl Simulated {
    /// Starts it on the runtime of the caller. `clock` is its time: delays of knobs are of steady time.
    ///
    /// # Errors
    /// When an address, a zone, or a knob cannot be had.
    pub async fn start(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let (sockets, listener) = bind(&settings).await?;
        let address = |listener: &TcpListener| {
            let source = |source| StartError::Bind {
                address: settings.api,
                source,
            };
            listener.local_addr().map_err(source)
        };
        let api = address(&listener)?;
        let dns = sockets
            .iter()
            .map(|(_, listener)| address(listener))
            .collect::<Result<Vec<_>, _>>()?;
        let servers: Vec<_> = dns
            .iter()
            .map(|address| (*address, DnsServer::new(Arc::clone(&clock))))
            .collect();
        let core = Core::new(account(&settings), servers.clone(), clock);
        fill(&core, &settings)?;
        let certificate = certificate::make(api.ip())?;

        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for ((udp, tcp), (_, server)) in sockets.into_iter().zip(servers) {
            tasks.spawn(Arc::clone(&server).answer_udp(udp, stopped.clone()));
            tasks.spawn(server.answer_tcp(tcp, stopped.clone()));
        }
        tasks.spawn(api::serve(
            listener,
            certificate.config,
            Arc::clone(&core),
            stopped.clone(),
        ));
        tasks.spawn(Arc::clone(&core).keep_publishing(stopped));
        Ok(Self {
            core,
            api,
            api_key: Zeroizing::new(settings.api_key),
            ca_pem: certificate.ca_pem,
            dns,
            stop,
            tasks,
        })
    }

    /// The API's address.
    pub fn api(&self) -> SocketAddr {
        self.api
    }

    /// The API's base, as clients are given it.
    pub fn api_url(&self) -> String {
        format!("https://{}/v1/", self.api)
    }

    /// The certificate of the authority that vouches for the API's.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The addresses of its servers.
    pub fn dns(&self) -> &[SocketAddr] {
        &self.dns
    }

    /// The names of its servers, in the order of their addresses.
    pub fn name_servers(&self) -> Vec<Name> {
        self.core.look(|account| account.name_servers().to_vec())
    }

    /// One line that says where it is.
    pub fn ready(&self) -> String {
        let dns: Vec<String> = self.dns.iter().map(ToString::to_string).collect();
        format!(
            "ready: NS1's API on {}, DNS on {}",
            self.api_url(),
            dns.join(", ")
        )
    }

    /// Sets a knob; it takes effect at once.
    ///
    /// # Errors
    /// When there is no such knob, or it has no such value.
    pub fn set_knob(&self, name: &str, value: &str) -> Result<(), KnobError> {
        self.core.with_account(|account, now| {
            account.knobs.set(name, value, now.steady)?;
            account.advance(now);
            Ok(())
        })
    }

    /// The knobs that were set.
    pub fn knobs(&self) -> BTreeMap<&'static str, String> {
        self.core.look(|account| account.knobs.settings().clone())
    }

    /// NS1's own keys of a zone; none while DNSSEC is off.
    pub fn own_keys(&self, apex: &Name) -> Vec<Dnskey> {
        self.core.look(|account| account.own_keys(apex))
    }

    /// The DS records of NS1's own KSKs, one a line, as a parent would have them.
    pub fn ds(&self, apex: &Name) -> String {
        let keys = self.own_keys(apex);
        let secure = keys.iter().filter(|key| key.is_sep());
        let lines = secure.map(|key| {
            let ds = ds_text(&key.ds(apex.as_ref(), DigestType::Sha256));
            format!("{apex}\t3600\tIN\tDS\t{ds}\n")
        });
        lines.collect()
    }

    /// Sends a request past HTTP, with the account's key.
    pub fn request(&self, mut request: Request) -> Reply {
        request.key = Some(self.api_key.to_string());
        self.core.handle(&request)
    }

    /// Stops it, and waits until its sockets are closed.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        // Those who serve a connection hear it too.
        let _ = self.stop.send(true);
    }
}

type Sockets = (Vec<(UdpSocket, TcpListener)>, TcpListener);

/// UDP and TCP of each server on one port, and the API's socket.
async fn bind(settings: &Settings) -> Result<Sockets, StartError> {
    if settings.dns.is_empty() {
        return Err(StartError::NoServer);
    }
    let mut sockets = Vec::new();
    for &address in &settings.dns {
        let at = |source| StartError::Bind { address, source };
        sockets.push(crate::lab::bind_both(address).await.map_err(at)?);
    }
    let address = settings.api;
    let api = TcpListener::bind(address).await;
    let api = api.map_err(|source| StartError::Bind { address, source })?;
    Ok((sockets, api))
}

fn account(settings: &Settings) -> Account {
    let mut names = settings.name_servers.clone();
    for number in names.len()..settings.dns.len() {
        let name = format!("dns{}.p{:02}.nsone.net.", number % 4 + 1, number / 4 + 1);
        names.extend(name.parse::<Name>());
    }
    names.truncate(settings.dns.len());
    Account::new(settings.api_key.clone(), names)
}

/// Sets the knobs, and puts the zones in.
fn fill(core: &Core, settings: &Settings) -> Result<(), StartError> {
    core.with_account(|account, now| {
        for (name, value) in &settings.knobs {
            account.knobs.set(name, value, now.steady)?;
        }
        for (origin, text) in &settings.zones {
            let source = match text {
                ZoneText::File(path) => Source::File(path),
                ZoneText::Text(text) => Source::Text {
                    name: "zone",
                    octets: text.as_bytes(),
                },
            };
            let name = domain_text(origin);
            let imported = account.import(&name, &source, now).map(|_| ());
            imported.map_err(|reply| StartError::Zone {
                origin: origin.clone(),
                what: said(&reply, text),
            })?;
            if settings.signed {
                account.enable_dnssec(&name, true, now)?;
            }
        }
        Ok(())
    })
}

fn said(reply: &Reply, text: &ZoneText) -> String {
    let message = match &reply.body {
        Body::Json(value) => value["message"].as_str().unwrap_or_default().to_owned(),
        _ => reply.status.to_string(),
    };
    match text {
        ZoneText::File(path) => format!("{}: {message}", path.display()),
        ZoneText::Text(_) => message,
    }
}
