//! Requests and their answers.

use axum::extract::{Path, RawQuery, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::actions::Shared;
use super::problem::ApiProblem;
use crate::config::Config;
use crate::control::{ExtensionReport, ReloadReport};
use crate::metrics;
use crate::status::{ExtensionInUse, Session, Status, Target};
use crate::trace::{SECONDS_MAX, TASKS_MAX, Trace, Wanted};

type Answer<T> = Result<Json<T>, ApiProblem>;

#[derive(OpenApi)]
#[openapi(info(
    title = "Outboard control API",
    description = "Over a Unix socket; see docs/config.md."
))]
struct Description;

/// Everything, for the Unix socket.
pub(super) fn all(shared: Shared) -> Router {
    let (router, description) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(status))
        .routes(routes!(targets))
        .routes(routes!(target))
        .routes(routes!(trace))
        .routes(routes!(sessions))
        .routes(routes!(extensions))
        .routes(routes!(reload_extensions))
        .routes(routes!(config))
        .routes(routes!(reload))
        .routes(routes!(stop))
        .routes(routes!(scrape))
        .routes(routes!(health))
        .split_for_parts();
    router
        .route("/openapi.json", get(|| async move { Json(description) }))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .with_state(shared)
}

/// What everybody may see who reaches the TCP address.
pub(super) fn metrics(shared: Shared) -> Router {
    Router::new()
        .route("/metrics", get(scrape))
        .route("/healthz", get(health))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .with_state(shared)
}

/// Everything the server tells of itself
#[utoipa::path(get, path = "/v1/status", responses((status = 200, body = Status)))]
async fn status(State(shared): State<Shared>) -> Answer<Status> {
    shared.status().await.map(Json)
}

/// All targets with their LUNs
#[utoipa::path(get, path = "/v1/targets", responses((status = 200, body = [Target])))]
async fn targets(State(shared): State<Shared>) -> Answer<Vec<Target>> {
    Ok(Json(shared.status().await?.targets))
}

/// One target
#[utoipa::path(
    get,
    path = "/v1/targets/{name}",
    params(("name" = String, Path, description = "iSCSI name")),
    responses((status = 200, body = Target), (status = 404, body = ApiProblem))
)]
async fn target(State(shared): State<Shared>, Path(name): Path<String>) -> Answer<Target> {
    let targets = shared.status().await?.targets;
    targets.into_iter().find(|target| target.name == name).map(Json).ok_or_else(|| {
        let detail = format!("there is no target {name:?}");
        ApiProblem::new(StatusCode::NOT_FOUND, detail, "GET /v1/targets has all of them")
    })
}

/// Record the life of single tasks of a target, from their reception to their end
#[utoipa::path(
    post,
    path = "/v1/targets/{name}/trace",
    params(
        ("name" = String, Path, description = "iSCSI name"),
        ("tasks" = Option<usize>, Query, description = "so many tasks, 1 to 7281; 32 if not said"),
        ("seconds" = Option<u64>, Query, description = "at most so long, 1 to 60; 10 if not said")
    ),
    responses(
        (status = 200, body = Trace),
        (status = 400, body = ApiProblem, description = "no such number"),
        (status = 404, body = ApiProblem),
        (status = 409, body = ApiProblem, description = "it is being traced already")
    )
)]
async fn trace(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Answer<Trace> {
    let wanted = wanted(query.as_deref().unwrap_or_default()).map_err(|detail| {
        let mend = format!("write ?tasks=1..{TASKS_MAX}&seconds=1..{SECONDS_MAX}");
        ApiProblem::new(StatusCode::BAD_REQUEST, detail, mend)
    })?;
    shared.trace(name, wanted).await.map(Json)
}

fn wanted(query: &str) -> Result<Wanted, String> {
    let mut wanted = Wanted { tasks: 32, seconds: 10 };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let number: u64 = value.parse().map_err(|_| format!("{name}={value:?} is no number"))?;
        match (name, usize::try_from(number)) {
            ("tasks", Ok(tasks @ 1..=TASKS_MAX)) => wanted.tasks = tasks,
            ("seconds", _) if (1..=SECONDS_MAX).contains(&number) => wanted.seconds = number,
            ("tasks" | "seconds", _) => return Err(format!("{name}={number} is out of range")),
            _ => return Err(format!("there is no {name:?}")),
        }
    }
    Ok(wanted)
}

/// All sessions
#[utoipa::path(get, path = "/v1/sessions", responses((status = 200, body = [Session])))]
async fn sessions(State(shared): State<Shared>) -> Answer<Vec<Session>> {
    Ok(Json(shared.status().await?.sessions))
}

/// The drivers by the targets they serve
#[utoipa::path(get, path = "/v1/extensions", responses((status = 200, body = [ExtensionInUse])))]
async fn extensions(State(shared): State<Shared>) -> Answer<Vec<ExtensionInUse>> {
    Ok(Json(shared.status().await?.extensions()))
}

/// Look again which versions of extensions are active, and serve by these
#[utoipa::path(
    post,
    path = "/v1/extensions/reload",
    responses(
        (status = 200, body = ExtensionReport),
        (status = 409, body = ApiProblem, description = "another change is under way"),
        (status = 500, body = ApiProblem, description = "a version does not serve; all goes on as before")
    )
)]
async fn reload_extensions(State(shared): State<Shared>) -> Answer<ExtensionReport> {
    // In a task of its own: a client that goes away does not undo half of it.
    let outcome = tokio::spawn(async move { shared.reload_extensions().await }).await;
    outcome.unwrap_or_else(|error| Err(ApiProblem::of_program(&error))).map(Json)
}

/// The configuration in force; secrets are left out
#[utoipa::path(get, path = "/v1/config", responses((status = 200, body = serde_json::Value)))]
async fn config(State(shared): State<Shared>) -> Json<Config> {
    Json(Config::clone(&shared.config()))
}

/// Read the configuration file again and follow it
#[utoipa::path(
    post,
    path = "/v1/reload",
    responses(
        (status = 200, body = ReloadReport),
        (status = 409, body = ApiProblem, description = "cannot be changed while the server runs"),
        (status = 422, body = ApiProblem, description = "the file has mistakes")
    )
)]
async fn reload(State(shared): State<Shared>) -> Answer<ReloadReport> {
    // In a task of its own: a client that goes away does not undo half of it.
    let outcome = tokio::spawn(async move { shared.reload().await }).await;
    outcome.unwrap_or_else(|error| Err(ApiProblem::of_program(&error))).map(Json)
}

/// Drain and end
#[utoipa::path(post, path = "/v1/stop", responses((status = 202, description = "it drains")))]
async fn stop(State(shared): State<Shared>) -> StatusCode {
    shared.stop().await;
    StatusCode::ACCEPTED
}

/// Metrics as OpenMetrics text
#[utoipa::path(
    get,
    path = "/metrics",
    responses((status = 200, body = String, content_type = "application/openmetrics-text"))
)]
async fn scrape(State(shared): State<Shared>) -> Result<Response, ApiProblem> {
    let text = metrics::render(shared.status().await?).map_err(|error| {
        ApiProblem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), "report it")
    })?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

/// Whether all threads make progress
#[utoipa::path(
    get,
    path = "/healthz",
    responses((status = 200, body = String), (status = 503, body = ApiProblem))
)]
async fn health(State(shared): State<Shared>) -> Result<&'static str, ApiProblem> {
    shared.health().await.map(|()| "ok\n")
}

async fn unknown(uri: Uri) -> ApiProblem {
    let detail = format!("there is no {}", uri.path());
    ApiProblem::new(StatusCode::NOT_FOUND, detail, "GET /openapi.json has what there is")
}

async fn wrong_method(method: Method, uri: Uri) -> ApiProblem {
    let detail = format!("{} is not asked with {method}", uri.path());
    let mend = "GET /openapi.json has the method of each";
    ApiProblem::new(StatusCode::METHOD_NOT_ALLOWED, detail, mend)
}
