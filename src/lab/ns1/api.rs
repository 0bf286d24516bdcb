//! The API's sockets: TLS, HTTP, and what a request goes through before the account sees it.

use std::{
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension, Router,
    body::{Body as HttpBody, to_bytes},
    extract::{FromRequest, Multipart, Request as HttpRequest, State},
    http::{HeaderMap, Response, StatusCode, header},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustls::ServerConfig;
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore, watch},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    core::Core,
    reply::{Body, Reply, Request},
};

/// Connections at a time.
const MAX_CONNECTIONS: usize = 256;
/// The largest body: a zone file of some hundred thousand names.
const MAX_BODY: usize = 64 << 20;
/// How long a handshake may take, and the head of a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection, which a knob may have reset.
struct Connection {
    /// The same socket once more: options that are set here are its options.
    socket: OwnedFd,
    reset: Notify,
}

/// Takes connections until told to stop.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    core: Arc<Core>,
    mut stop: watch::Receiver<bool>,
) {
    let acceptor = TlsAcceptor::from(tls);
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Ok((stream, from)) = accepted else {
            // Out of descriptors: it passes.
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            continue;
        };
        let (acceptor, core, mut stop) = (acceptor.clone(), Arc::clone(&core), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = hold(stream, from, acceptor, core) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
            drop(permit);
        });
    }
}

/// Answers the requests of one connection.
async fn hold(stream: TcpStream, from: SocketAddr, acceptor: TlsAcceptor, core: Arc<Core>) {
    let _ = stream.set_nodelay(true);
    let Ok(socket) = stream.as_fd().try_clone_to_owned() else {
        return;
    };
    let Ok(Ok(stream)) = timeout(PATIENCE, acceptor.accept(stream)).await else {
        tracing::debug!(%from, "no TLS handshake; the API speaks HTTPS only");
        return;
    };
    let connection = Arc::new(Connection {
        socket,
        reset: Notify::new(),
    });
    let router = Router::new()
        .fallback(handle)
        .layer(Extension(Arc::clone(&connection)))
        .with_state(core);
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::select! {
        _ = served => {}
        // What is dropped now is reset, for nothing may linger.
        () = connection.reset.notified() => {}
    }
}

async fn handle(
    State(core): State<Arc<Core>>,
    Extension(connection): Extension<Arc<Connection>>,
    request: HttpRequest,
) -> Response<HttpBody> {
    let request = match read(request).await {
        Ok(request) => request,
        Err(reply) => return write(reply),
    };
    sleep(core.slow_api()).await;
    let reply = tokio::task::spawn_blocking(move || core.handle(&request)).await;
    let reply = reply
        .unwrap_or_else(|_| Reply::error(StatusCode::INTERNAL_SERVER_ERROR, "a fault of the simulation"));
    if reply.body == Body::Reset {
        let _ = SockRef::from(&connection.socket).set_linger(Some(Duration::ZERO));
        connection.reset.notify_one();
        return std::future::pending().await;
    }
    write(reply)
}

/// Reads a request whole. Its Content-Type does not matter, as NS1's clients send none; but a form holds a file.
async fn read(request: HttpRequest) -> Result<Request, Reply> {
    let text = |headers: &HeaderMap, name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let headers = request.headers();
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let mut read = Request::new(request.method().clone(), target);
    read.key = text(headers, "X-NSONE-Key");
    read.host = text(headers, header::HOST.as_str()).unwrap_or_default();
    let kind = text(headers, header::CONTENT_TYPE.as_str());
    let too_long = || Reply::error(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long");
    read.body = if kind.is_some_and(|kind| kind.starts_with("multipart/form-data")) {
        zonefile(request).await?
    } else {
        let body = to_bytes(request.into_body(), MAX_BODY).await;
        body.map_err(|_| too_long())?.to_vec()
    };
    Ok(read)
}

/// The field `zonefile` of a form.
async fn zonefile(request: HttpRequest) -> Result<Vec<u8>, Reply> {
    let invalid = |_| Reply::invalid("Invalid form");
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|_| Reply::invalid("Invalid form"))?;
    let mut file = Vec::new();
    while let Some(mut field) = form.next_field().await.map_err(invalid)? {
        let wanted = field.name() == Some("zonefile");
        while let Some(octets) = field.chunk().await.map_err(invalid)? {
            if file.len() + octets.len() > MAX_BODY {
                return Err(Reply::error(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "the file is too long",
                ));
            }
            if wanted {
                file.extend_from_slice(&octets);
            }
        }
    }
    Ok(file)
}

fn write(reply: Reply) -> Response<HttpBody> {
    let (kind, body) = match reply.body {
        Body::Nothing | Body::Reset => (None, HttpBody::empty()),
        Body::Json(value) => (Some("application/json"), HttpBody::from(value.to_string())),
        Body::Text(text) => (Some("text/plain; charset=utf-8"), HttpBody::from(text)),
        Body::Html(page) => (Some("text/html; charset=utf-8"), HttpBody::from(page)),
    };
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    if let Some(kind) = kind {
        response = response.header(header::CONTENT_TYPE, kind);
    }
    response
        .body(body)
        .unwrap_or_else(|_| Response::new(HttpBody::empty()))
}
