//! The routes of the control socket: HTTP, for the later HTTP API is the same router. Each does one thing of
//! [`Server`]'s, on a thread where waiting is allowed.

use std::{path::PathBuf, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;

use super::{
    content, peers, plans,
    protocol::{Generate, Import, PeerRequest, PlanOrder, Readmit, Refusal, Withdraw},
    server::Server,
};
use crate::wire::Name;

/// The largest request body, in octets: a list of key files fits many times over.
const MAX_REQUEST: usize = 1 << 20;

type Shared = State<Arc<Server>>;

/// All routes.
pub fn router(server: Arc<Server>) -> Router {
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
        .with_state(server)
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

async fn reload(State(server): Shared) -> Response {
    answer(move || Ok(server.reload())).await
}

async fn accept_clock(State(server): Shared) -> Response {
    match plans::accept_clock(&server).await {
        Ok(accepted) => Json(accepted).into_response(),
        Err(refusal) => (StatusCode::UNPROCESSABLE_ENTITY, Json(refusal)).into_response(),
    }
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
    Path(origin): Path<String>,
    Json(request): Json<Generate>,
) -> Response {
    answer(move || server.generate(&name(&origin)?, &request)).await
}

async fn import(State(server): Shared, Path(origin): Path<String>, Json(request): Json<Import>) -> Response {
    answer(move || server.import(&name(&origin)?, &request)).await
}

async fn withdraw(
    State(server): Shared,
    Path(origin): Path<String>,
    Json(request): Json<Withdraw>,
) -> Response {
    answer(move || server.withdraw(&name(&origin)?, &request)).await
}

async fn readmit(
    State(server): Shared,
    Path(origin): Path<String>,
    Json(request): Json<Readmit>,
) -> Response {
    answer(move || server.readmit(&name(&origin)?, &request)).await
}

/// What waits for other servers waits here, and only what waits for a disk on a thread of its own.
async fn peer_action(
    State(server): Shared,
    Path(origin): Path<String>,
    Json(request): Json<PeerRequest>,
) -> Response {
    let acted = match name(&origin) {
        Ok(zone) => peers::act(&server, &zone, request.provider.as_deref(), request.action).await,
        Err(refusal) => Err(refusal),
    };
    match acted {
        Ok(report) => Json(report).into_response(),
        Err(refusal) => (StatusCode::UNPROCESSABLE_ENTITY, Json(refusal)).into_response(),
    }
}

async fn plan(State(server): Shared, Path(origin): Path<String>, Json(order): Json<PlanOrder>) -> Response {
    let done = match name(&origin) {
        Ok(zone) => plans::order(&server, &zone, order).await,
        Err(refusal) => Err(refusal),
    };
    match done {
        Ok(reply) => Json(reply).into_response(),
        Err(refusal) => (StatusCode::UNPROCESSABLE_ENTITY, Json(refusal)).into_response(),
    }
}

async fn accept_content(State(server): Shared, Path(origin): Path<String>) -> Response {
    let accepted = match name(&origin) {
        Ok(zone) => content::accept(&server, &zone).await,
        Err(refusal) => Err(refusal),
    };
    match accepted {
        Ok(accepted) => Json(accepted).into_response(),
        Err(refusal) => (StatusCode::UNPROCESSABLE_ENTITY, Json(refusal)).into_response(),
    }
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
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Json(done).into_response(),
        Ok(Err(refusal)) => (StatusCode::UNPROCESSABLE_ENTITY, Json(refusal)).into_response(),
        Err(_) => {
            let error = "a fault of this program; its log says more".to_owned();
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                Json(Refusal { error, advice: None }),
            )
                .into_response()
        }
    }
}
