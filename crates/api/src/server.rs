//! The routers: one for the main address with everything, one for the address that faces the internet.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use service::Service;
use tower_http::trace::TraceLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::openapi::Document;
use crate::{
    audit, callback, docs, headers, health, kit, leftover, mp, problem, request, routes as resources,
};

/// Request bodies of the REST interface.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// What the handlers share.
#[derive(Clone)]
pub struct Api {
    pub(crate) service: Service,
    pub(crate) metrics: PrometheusHandle,
    /// Whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Arc<[IpAddr]>,
}

/// Every route with its document, also those that are mounted elsewhere.
pub(crate) fn documented() -> OpenApiRouter<Api> {
    keyed()
        .nest("/mp", mp::documented())
        .routes(routes!(callback::verify, callback::push))
        .routes(routes!(docs::document))
        .routes(routes!(docs::page))
        .routes(routes!(kit::show))
}

fn keyed() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::show_metrics))
        .nest("/api/v1", resources::all())
}

impl Api {
    /// Puts the interface on top of the use cases.
    pub fn new(service: Service, metrics: PrometheusHandle) -> Self {
        Self { service, metrics, trusted_proxies: Arc::default() }
    }

    /// Names the proxies in front, whose word on where a request comes from is believed.
    #[must_use]
    pub fn behind(mut self, proxies: &[IpAddr]) -> Self {
        self.trusted_proxies = proxies.into();
        self
    }

    /// Everything: the main address. `extra` is mounted beside it (the console).
    pub fn router(&self, extra: Router) -> Router {
        let (router, _) = keyed().split_for_parts();
        router
            .layer(axum::middleware::from_fn_with_state(self.clone(), audit::note))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .route("/api/v1/openapi.json", get(docs::document))
            .route("/docs", get(docs::page))
            .route("/kit/hongyan.js", get(kit::show))
            .merge(Self::mini_programs())
            .merge(self.callbacks())
            .with_state(self.clone())
            .merge(extra)
            .layer(axum::middleware::from_fn(leftover::read_away))
            .layer(axum::middleware::from_fn(problem::render))
            .layer(axum::middleware::from_fn(headers::set))
            .layer(TraceLayer::new_for_http().make_span_with(span))
            .layer(axum::middleware::from_fn_with_state(self.clone(), request::enter))
    }

    /// Only what must face the internet.
    pub fn public_router(&self) -> Router {
        Router::new()
            .route("/healthz", get(health::healthz))
            .merge(Self::mini_programs())
            .merge(self.callbacks())
            .with_state(self.clone())
            .layer(axum::middleware::from_fn(leftover::read_away))
            .layer(axum::middleware::from_fn(problem::render))
            .layer(axum::middleware::from_fn(headers::set))
            .layer(TraceLayer::new_for_http().make_span_with(span))
            .layer(axum::middleware::from_fn_with_state(self.clone(), request::enter))
    }

    /// Of a node that only sends: how it is.
    pub fn worker_router(&self) -> Router {
        Router::new()
            .route("/healthz", get(health::healthz))
            .route("/readyz", get(health::readyz))
            .route("/metrics", get(health::show_metrics))
            .with_state(self.clone())
            .layer(axum::middleware::from_fn(problem::render))
            .layer(axum::middleware::from_fn(headers::set))
            .layer(axum::middleware::from_fn_with_state(self.clone(), request::enter))
    }

    fn mini_programs() -> Router<Api> {
        let (router, _) = mp::documented().split_for_parts();
        mp::layered(Router::new().nest("/mp", router))
    }

    fn callbacks(&self) -> Router<Api> {
        Router::new()
            .route("/callback/{app_id}", get(callback::verify).post(callback::push))
            .fallback(callback::alias)
    }
}

/// The request's own span is around it: see `request`.
fn span(_: &axum::extract::Request) -> tracing::Span {
    tracing::Span::current()
}
