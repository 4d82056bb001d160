//! Health: whether the process answers, whether it can work, and what it measures.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::metrics::measure;
use crate::server::Api;

/// The process answers.
#[utoipa::path(get, path = "/healthz", responses((status = 200, description = "The process answers", body = String)))]
pub(crate) async fn healthz() -> &'static str {
    "ok"
}

/// This node and its database can work: the database is read, and a write becomes durable.
#[utoipa::path(get, path = "/readyz", responses(
    (status = 200, description = "Ready", body = String, example = "ready"),
    (status = 503, description = "Not now; the first word says why: database_away, database_read_only, disk_full, database_slow, writer_gone, migrations_pending, database_failing", body = String,
        example = "database_away: the database is away: connection refused"),
))]
pub(crate) async fn readyz(State(api): State<Api>) -> Response {
    match api.service.store().ready().await {
        Ok(()) => "ready".into_response(),
        Err(why) => {
            tracing::warn!(code = why.code(), %why, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, format!("{}: {why}", why.code())).into_response()
        }
    }
}

/// Metrics in Prometheus' format.
#[utoipa::path(get, path = "/metrics", responses((status = 200, description = "Prometheus text format", body = String)))]
pub(crate) async fn show_metrics(State(api): State<Api>) -> Response {
    measure(&api.service).await;
    api.metrics.run_upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], api.metrics.render())
        .into_response()
}
