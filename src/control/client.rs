//! The other end of the control socket: what client commands use.

use std::{
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::Duration,
};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, body::Bytes};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    protocol::{
        ClockAccepted, ContentAccepted, DsRecords, Generate, Import, KeyList, KeysChanged, PeerRequest,
        PeersReport, PlanOrder, PlanReply, Readmit, Refusal, Reloaded, Status, Withdraw,
    },
    socket,
};
use crate::wire::Name;

/// The largest response that is read, in octets: the status of 100,000 zones fits.
const MAX_RESPONSE: usize = 512 << 20;
/// How long a response may take that only looks.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a response may take that changes something: a reload of millions of names takes a while.
const LONG_PATIENCE: Duration = Duration::from_secs(600);

/// Why the server could not be asked, or did not do it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no such folder.
    #[error("there is no state folder {state}")]
    NoFolder {
        /// Where we looked.
        state: PathBuf,
    },
    /// Nobody listens.
    #[error("no server runs on the state folder {state}")]
    NoServer {
        /// Where we looked.
        state: PathBuf,
    },
    /// The socket is another user's.
    #[error("cannot reach the server at {path}")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The server said no.
    #[error("{}", .0.error)]
    Refused(Refusal),
    /// It went away, or is of another version.
    #[error("the server on {state} gave no proper response: {why}")]
    Broken {
        /// Its state folder.
        state: PathBuf,
        /// What happened.
        why: String,
    },
}

impl ClientError {
    /// Whether there is no server to be asked, so that the command may do the work itself.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::NoFolder { .. } | Self::NoServer { .. })
    }

    /// What to do next.
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::NoFolder { .. } | Self::NoServer { .. } => {
                Some("name the running server's state folder with --state DIR, or start one".to_owned())
            }
            Self::Connect { .. } => Some("run this as the server's user, or as root".to_owned()),
            Self::Refused(refusal) => refusal.advice.clone(),
            Self::Broken { .. } => Some("look into the server's log".to_owned()),
        }
    }
}

/// The server that runs on a state folder.
#[derive(Debug)]
pub struct Client {
    state: PathBuf,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    /// Will ask the server on `state`.
    ///
    /// # Errors
    /// When there is no such folder, or the system lacks what asking takes.
    pub fn new(state: &Path) -> Result<Self, ClientError> {
        match fs::metadata(state) {
            Ok(found) if found.is_dir() => {}
            // A folder that this user may not see is no proof that there is none.
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(ClientError::Connect {
                    path: state.to_owned(),
                    source,
                });
            }
            _ => {
                return Err(ClientError::NoFolder {
                    state: state.to_owned(),
                });
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| ClientError::Connect {
            path: state.join(socket::FILE_NAME),
            source,
        })?;
        Ok(Self {
            state: state.to_owned(),
            runtime,
        })
    }

    /// `GET /v1/status`.
    ///
    /// # Errors
    /// See [`ClientError`]; so for all that follow.
    pub fn status(&self, zone: Option<&Name>) -> Result<Status, ClientError> {
        let query = zone.map_or(String::new(), |zone| format!("?zone={}", encode(zone)));
        self.call(Method::GET, &format!("/v1/status{query}"), &())
    }

    /// `POST /v1/reload`.
    #[expect(clippy::missing_errors_doc, reason = "as for `status`")]
    pub fn reload(&self) -> Result<Reloaded, ClientError> {
        self.call(Method::POST, "/v1/reload", &())
    }

    /// `POST /v1/clock/accept`.
    #[expect(clippy::missing_errors_doc, reason = "as for `status`")]
    pub fn accept_clock(&self) -> Result<ClockAccepted, ClientError> {
        self.call(Method::POST, "/v1/clock/accept", &())
    }

    /// `POST /v1/zones/ORIGIN/content/accept`.
    #[expect(clippy::missing_errors_doc, reason = "as for `status`")]
    pub fn accept_content(&self, zone: &Name) -> Result<ContentAccepted, ClientError> {
        let path = format!("/v1/zones/{}/content/accept", encode(zone));
        self.call(Method::POST, &path, &())
    }

    /// `GET /v1/zones/ORIGIN/ds`.
    #[expect(clippy::missing_errors_doc, reason = "as for `status`")]
    pub fn ds(&self, zone: &Name) -> Result<DsRecords, ClientError> {
        self.call(Method::GET, &format!("/v1/zones/{}/ds", encode(zone)), &())
    }

    /// `GET /v1/zones/ORIGIN/keys?folder=FOLDER`; the folder is absolute.
    #[expect(clippy::missing_errors_doc, reason = "as for `status`")]
    pub fn keys(&self, zone: &Name, folder: &Path) -> Result<KeyList, ClientError> {
        let folder = percent(folder.as_os_str().as_bytes());
        self.call(
            Method::GET,
            &format!("/v1/zones/{}/keys?folder={folder}", encode(zone)),
            &(),
        )
    }

    /// `GET /v1/zones/ORIGIN/own-ds?folder=FOLDER`; the folder is absolute.
    #[expect(clippy::missing_errors_doc, reason = "as for `status`")]
    pub fn own_ds(&self, zone: &Name, folder: &Path) -> Result<DsRecords, ClientError> {
        let folder = percent(folder.as_os_str().as_bytes());
        self.call(
            Method::GET,
            &format!("/v1/zones/{}/own-ds?folder={folder}", encode(zone)),
            &(),
        )
    }

    /// Whether a server listens there.
    #[expect(clippy::missing_errors_doc, reason = "as for `status`")]
    pub fn look(&self) -> Result<(), ClientError> {
        self.runtime.block_on(self.connect()).map(drop)
    }

    async fn connect(&self) -> Result<tokio::net::UnixStream, ClientError> {
        socket::connect(&self.state)
            .await
            .map_err(|source| match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NoServer {
                    state: self.state.clone(),
                },
                _ => ClientError::Connect {
                    path: self.state.join(socket::FILE_NAME),
                    source,
                },
            })
    }

    /// `POST /v1/zones/ORIGIN/keys`.
    #[expect(clippy::missing_errors_doc, reason = "as for `status`")]
    pub fn generate(&self, zone: &Name, request: &Generate) -> Result<KeysChanged, ClientError> {
        self.call(Method::POST, &format!("/v1/zones/{}/keys", encode(zone)), request)
    }

    /// `POST /v1/zones/ORIGIN/keys/import`.
    #[expect(clippy::missing_errors_doc, reason = "as for `status`")]
    pub fn import(&self, zone: &Name, request: &Import) -> Result<KeysChanged, ClientError> {
        self.call(
            Method::POST,
            &format!("/v1/zones/{}/keys/import", encode(zone)),
            request,
        )
    }

    /// `POST /v1/zones/ORIGIN/keys/readmit`.
    #[expect(clippy::missing_errors_doc, reason = "as for `status`")]
    pub fn readmit(&self, zone: &Name, request: &Readmit) -> Result<KeysChanged, ClientError> {
        self.call(
            Method::POST,
            &format!("/v1/zones/{}/keys/readmit", encode(zone)),
            request,
        )
    }

    /// `POST /v1/zones/ORIGIN/keys/withdraw`.
    #[expect(clippy::missing_errors_doc, reason = "as for `status`")]
    pub fn withdraw(&self, zone: &Name, request: &Withdraw) -> Result<KeysChanged, ClientError> {
        self.call(
            Method::POST,
            &format!("/v1/zones/{}/keys/withdraw", encode(zone)),
            request,
        )
    }

    /// `POST /v1/zones/ORIGIN/peers`.
    #[expect(clippy::missing_errors_doc, reason = "as for `status`")]
    pub fn peers(&self, zone: &Name, request: &PeerRequest) -> Result<PeersReport, ClientError> {
        self.call(
            Method::POST,
            &format!("/v1/zones/{}/peers", encode(zone)),
            request,
        )
    }

    /// `POST /v1/zones/ORIGIN/plan`.
    #[expect(clippy::missing_errors_doc, reason = "as for `status`")]
    pub fn plan(&self, zone: &Name, order: &PlanOrder) -> Result<PlanReply, ClientError> {
        self.call(Method::POST, &format!("/v1/zones/{}/plan", encode(zone)), order)
    }

    /// Waits.
    pub fn pause(&self, how_long: Duration) {
        // A timer is made where a runtime runs.
        self.runtime
            .block_on(async { tokio::time::sleep(how_long).await });
    }

    fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let broken = |why: String| ClientError::Broken {
            state: self.state.clone(),
            why,
        };
        let patience = if method == Method::GET {
            PATIENCE
        } else {
            LONG_PATIENCE
        };
        let body = serde_json::to_vec(body).map_err(|error| broken(error.to_string()))?;
        let (good, body) = self.runtime.block_on(async {
            tokio::time::timeout(patience, self.exchange(method, path, body))
                .await
                .map_err(|_| broken(format!("none within {} seconds", patience.as_secs())))?
        })?;
        if good {
            return serde_json::from_slice(&body).map_err(|error| broken(error.to_string()));
        }
        Err(match serde_json::from_slice(&body) {
            Ok(refusal) => ClientError::Refused(refusal),
            Err(_) => broken(String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned()),
        })
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<(bool, Bytes), ClientError> {
        let broken = |why: String| ClientError::Broken {
            state: self.state.clone(),
            why,
        };
        let stream = self.connect().await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(error.to_string()))?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "countersign")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| broken(error.to_string()))?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| broken(error.to_string()))?;
        let good = response.status().is_success();
        let body = Limited::new(response.into_body(), MAX_RESPONSE)
            .collect()
            .await
            .map_err(|error| broken(error.to_string()))?
            .to_bytes();
        connection.abort();
        Ok((good, body))
    }
}

/// A name as one segment of a path: everything but letters, digits, `-`, `_` and dots in percent form. The
/// root is a dot of its own, which some take for "this folder".
fn encode(name: &Name) -> String {
    let text = name.to_string();
    if text == "." {
        return "%2E".to_owned();
    }
    percent(text.as_bytes())
}

fn percent(octets: &[u8]) -> String {
    let mut out = String::with_capacity(octets.len());
    for &octet in octets {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => out.push(char::from(octet)),
            _ => out.push_str(&format!("%{octet:02X}")),
        }
    }
    out
}
