//! The routes of the control socket: HTTP, for the later HTTP API is the same router. Each does one thing of
//! [`Server`]'s, on a thread where waiting is allowed.
//!
//! A client may hang up at any moment. What only looks is given up with it; what changes something goes on to its end, or
//! what is on disk would differ from what is known here.

use std::{path::PathBuf, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRef, Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::{
    content, peers, plans,
    protocol::{Generate, Import, PeerAction, PeerRequest, PlanOrder, Readmit, Refusal, Withdraw},
    server::Server,
};
use crate::wire::Name;

/// The largest request body, in octets: a list of key files fits many times over.
const MAX_REQUEST: usize = 1 << 20;
/// How many changes go on at the same time: those whose client has hung up are among them, so the number of connections
/// bounds nothing. Whoever comes later waits, and has ordered nothing if it leaves meanwhile. A person orders a few.
const MOST_CHANGES: usize = 32;

type Shared = State<Arc<Server>>;

/// The changes that go on.
#[derive(Clone, Debug)]
struct Changes(Arc<Semaphore>);

/// What all routes share.
#[derive(Clone, Debug)]
struct Control {
    server: Arc<Server>,
    changes: Changes,
}

impl FromRef<Control> for Arc<Server> {
    fn from_ref(control: &Control) -> Self {
        Self::clone(&control.server)
    }
}

impl FromRef<Control> for Changes {
    fn from_ref(control: &Control) -> Self {
        control.changes.clone()
    }
}

/// All routes.
pub fn router(server: Arc<Server>) -> Router {
    routes(server, Changes(Arc::new(Semaphore::new(MOST_CHANGES))))
}

fn routes(server: Arc<Server>, changes: Changes) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/reload", post(reload))
        .route("/v1/clock/accept", post(accept_clock))
        .route("/v1/zones/{origin}/ds", get(ds))
        .route("/v1/zones/{origin}/own-ds", get(own_ds))
        .route("/v1/zones/{origin}/keys", get(keys).post(generate))
        .route("/v1/zones/{origin}/keys/import", post(import))
        .route("/v1/zones/{origin}/keys/withdraw", post(withdraw))
        .route("/v1/zones/{origin}/keys/readmit", post(readmit))
        .route("/v1/zones/{origin}/peers", post(peer_action))
        .route("/v1/zones/{origin}/plan", post(plan))
        .route("/v1/zones/{origin}/content/accept", post(accept_content))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .with_state(Control { server, changes })
}

impl Changes {
    /// Does it, whoever goes away meanwhile.
    async fn carry_out<T>(self, work: impl Future<Output = Result<T, Refusal>> + Send + 'static) -> Response
    where
        T: serde::Serialize + Send + 'static,
    {
        let Ok(permit) = self.0.acquire_owned().await else {
            return fault();
        };
        let done = tokio::spawn(async move {
            let _permit = permit;
            work.await
        });
        done.await.map_or_else(|_| fault(), response)
    }

    /// The same with what may wait for a disk.
    async fn on_a_thread<T, F>(self, work: F) -> Response
    where
        T: serde::Serialize + Send + 'static,
        F: FnOnce() -> Result<T, Refusal> + Send + 'static,
    {
        let Ok(permit) = self.0.acquire_owned().await else {
            return fault();
        };
        answer(move || {
            let _permit = permit;
            work()
        })
        .await
    }
}

#[derive(Deserialize)]
struct StatusQuery {
    zone: Option<String>,
}

async fn status(State(server): Shared, Query(query): Query<StatusQuery>) -> Response {
    answer(move || {
        let zone = query.zone.as_deref().map(name).transpose()?;
        server.status(zone.as_ref())
    })
    .await
}

async fn reload(State(server): Shared, State(changes): State<Changes>) -> Response {
    changes.on_a_thread(move || Ok(server.reload())).await
}

async fn accept_clock(State(server): Shared, State(changes): State<Changes>) -> Response {
    let accepting = async move { plans::accept_clock(&server).await };
    changes.carry_out(accepting).await
}

async fn ds(State(server): Shared, Path(origin): Path<String>) -> Response {
    answer(move || server.ds(&name(&origin)?)).await
}

#[derive(Deserialize)]
struct FolderQuery {
    folder: PathBuf,
}

async fn own_ds(
    State(server): Shared,
    Path(origin): Path<String>,
    Query(query): Query<FolderQuery>,
) -> Response {
    answer(move || server.own_ds(&name(&origin)?, &query.folder)).await
}

async fn keys(
    State(server): Shared,
    Path(origin): Path<String>,
    Query(query): Query<FolderQuery>,
) -> Response {
    answer(move || server.keys(&name(&origin)?, &query.folder)).await
}

async fn generate(
    State(server): Shared,
    State(changes): State<Changes>,
    Path(origin): Path<String>,
    Json(request): Json<Generate>,
) -> Response {
    let generate = move || server.generate(&name(&origin)?, &request);
    changes.on_a_thread(generate).await
}

async fn import(
    State(server): Shared,
    State(changes): State<Changes>,
    Path(origin): Path<String>,
    Json(request): Json<Import>,
) -> Response {
    let import = move || server.import(&name(&origin)?, &request);
    changes.on_a_thread(import).await
}

async fn withdraw(
    State(server): Shared,
    State(changes): State<Changes>,
    Path(origin): Path<String>,
    Json(request): Json<Withdraw>,
) -> Response {
    let withdraw = move || server.withdraw(&name(&origin)?, &request);
    changes.on_a_thread(withdraw).await
}

async fn readmit(
    State(server): Shared,
    State(changes): State<Changes>,
    Path(origin): Path<String>,
    Json(request): Json<Readmit>,
) -> Response {
    let readmit = move || server.readmit(&name(&origin)?, &request);
    changes.on_a_thread(readmit).await
}

/// What waits for other servers waits here, and only what waits for a disk on a thread of its own.
async fn peer_action(
    State(server): Shared,
    State(changes): State<Changes>,
    Path(origin): Path<String>,
    Json(request): Json<PeerRequest>,
) -> Response {
    let only_looks = request.action == PeerAction::Status;
    let acting = async move {
        let zone = name(&origin)?;
        peers::act(&server, &zone, request.provider.as_deref(), request.action).await
    };
    if only_looks {
        response(acting.await)
    } else {
        changes.carry_out(acting).await
    }
}

/// A plan that is only being judged is given up with whoever asked for it; what follows takes the zone's turn, and goes on
/// in it.
async fn plan(State(server): Shared, Path(origin): Path<String>, Json(order): Json<PlanOrder>) -> Response {
    response(match name(&origin) {
        Ok(zone) => plans::order(&server, &zone, order).await,
        Err(refusal) => Err(refusal),
    })
}

async fn accept_content(
    State(server): Shared,
    State(changes): State<Changes>,
    Path(origin): Path<String>,
) -> Response {
    let accepting = async move { content::accept(&server, &name(&origin)?).await };
    changes.carry_out(accepting).await
}

fn name(text: &str) -> Result<Name, Refusal> {
    text.parse().map_err(|error| Refusal {
        error: format!("\"{}\" is not a domain name: {error}", text.escape_debug()),
        advice: None,
    })
}

/// Runs what may wait for a disk on a thread of its own, and makes a response of its result.
async fn answer<T, F>(work: F) -> Response
where
    T: serde::Serialize + Send + 'static,
    F: FnOnce() -> Result<T, Refusal> + Send + 'static,
{
    let done = tokio::task::spawn_blocking(work).await;
    done.map_or_else(|_| fault(), response)
}

fn response<T: serde::Serialize>(done: Result<T, Refusal>) -> Response {
    match done {
        Ok(done) => Json(done).into_response(),
        Err(refusal) => (StatusCode::UNPROCESSABLE_ENTITY, Json(refusal)).into_response(),
    }
}

fn fault() -> Response {
    let error = "a fault of this program; its log says more".to_owned();
    let refusal = Json(Refusal { error, advice: None });
    (StatusCode::INTERNAL_SERVER_ERROR, refusal).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::{body::Body, http::Request};
    use futures_util::poll;
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;
    use tokio::sync::oneshot;

    use super::{
        super::tests::{Fixture, runtime},
        *,
    };
    use crate::{disk::simulated::SimulatedDisk, store::Store};

    impl Changes {
        fn of(most: usize) -> Self {
            Self(Arc::new(Semaphore::new(most)))
        }

        /// Waits until none goes on.
        async fn ended(&self, most: u32) {
            drop(self.0.acquire_many(most).await.unwrap());
        }
    }

    #[test]
    fn a_change_goes_on_when_its_client_hangs_up_and_one_that_waits_is_not_begun() {
        runtime().block_on(async {
            let changes = Changes::of(2);
            let done = Arc::new(AtomicUsize::new(0));
            let mut gates = Vec::new();
            let mut clients = Vec::new();
            for _ in 0..3 {
                let (gate, opened) = oneshot::channel::<()>();
                let done = Arc::clone(&done);
                let work = async move {
                    let _ = opened.await;
                    done.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                };
                gates.push(gate);
                clients.push(Box::pin(changes.clone().carry_out(work)));
            }
            for client in &mut clients {
                assert!(poll!(client).is_pending());
            }
            drop(clients);
            drop(gates);
            changes.ended(2).await;
            assert_eq!(done.load(Ordering::SeqCst), 2);
        });
    }

    #[test]
    fn what_hangs_up_while_the_disk_is_slow_piles_nothing_up() {
        let disk = SimulatedDisk::new(1);
        let store = Store::simulated(&disk.process()).unwrap();
        let fixture = Fixture::with_store(&["example."], tempfile::tempdir().unwrap(), store);
        assert!(fixture.server.start().is_whole());
        let keys = || {
            let held = fixture.server.held.load();
            let zone = held.values().next().unwrap();
            zone.served.content().unwrap().keys().published().len()
        };
        let before = keys();
        let changes = Changes::of(2);
        let routes = TowerToHyperService::new(routes(Arc::clone(&fixture.server), changes.clone()));
        let generate = serde_json::json!({
            "folder": fixture.path("keys"), "algorithm": "ECDSAP256SHA256", "role": "zsk"
        });
        let says = || {
            let request = Request::post("/v1/zones/example./keys")
                .header("content-type", "application/json")
                .body(Body::from(generate.to_string()))
                .unwrap();
            Box::pin(routes.call(request))
        };
        runtime().block_on(async {
            let slow = disk.hold();
            for left in [1, 0, 0, 0, 0] {
                let mut said = says();
                for _ in 0..100 {
                    assert!(poll!(&mut said).is_pending());
                }
                assert_eq!(changes.0.available_permits(), left);
            }
            drop(slow);
            changes.ended(2).await;
            assert_eq!(keys(), before + 2);
            assert_eq!(says().await.unwrap().status(), StatusCode::OK);
            assert_eq!(keys(), before + 3);
        });
    }
}
