//! Health and metrics.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::server::Api;

/// Seconds.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// How often samples are folded into their buckets, asked for or not.
const UPKEEP: Duration = Duration::from_secs(5);

/// Keeps the metrics from growing while nobody asks for them; runs until it is dropped.
pub async fn keep_metrics(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        handle.run_upkeep();
    }
}

/// Installs the process's metrics; a second call in one process (tests) gives a handle that shows nothing.
pub fn install_metrics() -> PrometheusHandle {
    // Without buckets every sample would be kept until somebody asks.
    let builder = PrometheusBuilder::new();
    let builder = builder.set_buckets(&BUCKETS).unwrap_or_else(|_| PrometheusBuilder::new());
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::debug!("metrics are installed already");
    }
    metrics::describe_counter!("hongyan_callbacks_total", "Callbacks of WeChat, by verdict");
    metrics::describe_counter!(
        "hongyan_ledger_corrections_total",
        "Grants that WeChat knew better of: found or zeroed"
    );
    metrics::describe_counter!(
        "hongyan_campaign_accounts_broken_total",
        "Campaigns whose accounts did not close (I9): never to be seen"
    );
    metrics::describe_counter!("hongyan_callbacks_applied_total", "Inbox rows that took effect");
    metrics::describe_gauge!(
        "hongyan_inbox_oldest_unapplied_seconds",
        "Age of the oldest inbox row not yet applied"
    );
    metrics::describe_counter!("hongyan_callbacks_quarantined_total", "Verified pushes set aside, by reason");
    metrics::describe_counter!(
        "hongyan_callbacks_previous_keys_total",
        "Pushes that came with the callback keys of before a change"
    );
    metrics::describe_gauge!("hongyan_quarantine", "Quarantined callbacks that are kept, by app");
    metrics::describe_counter!(
        "hongyan_quarantine_dropped_total",
        "Quarantined callbacks that were dropped beyond the bound"
    );
    metrics::describe_counter!("hongyan_erasures_total", "People, or values of theirs, that were erased");
    metrics::describe_counter!("hongyan_relay_total", "Tries to pass a callback on, by outcome");
    metrics::describe_gauge!("hongyan_relay_backlog", "Callbacks that wait to be passed on, by app");
    metrics::describe_counter!("hongyan_messages_total", "Attempts that ended, by how");
    metrics::describe_counter!("hongyan_gates_closed_total", "Gates closed, by cause");
    metrics::describe_histogram!("hongyan_send_seconds", "Time of WeChat's send call");
    handle
}

/// The process answers.
#[utoipa::path(get, path = "/healthz", responses((status = 200, description = "The process answers", body = String)))]
pub(crate) async fn healthz() -> &'static str {
    "ok"
}

/// This node and its store can work.
#[utoipa::path(get, path = "/readyz", responses(
    (status = 200, description = "Ready", body = String),
    (status = 503, description = "The database is away", body = String),
))]
pub(crate) async fn readyz(State(api): State<Api>) -> Response {
    match api.service.store().ping().await {
        Ok(()) => "ready".into_response(),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the database is away").into_response()
        }
    }
}

/// Metrics in Prometheus' format.
#[utoipa::path(get, path = "/metrics", responses((status = 200, description = "Prometheus text format", body = String)))]
pub(crate) async fn show_metrics(State(api): State<Api>) -> Response {
    api.metrics.run_upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], api.metrics.render())
        .into_response()
}
