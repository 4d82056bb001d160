//! What mini programs call, under `/mp`: no key, but a session that speaks for one person of one app. On both addresses, for any
//! origin (an H5 build calls from its own); nothing here is told by a cookie.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use service::mini_program::{Ask, MpSession, Report, Visitor};
use service::{App, Problem, Service};
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::body::{Json, Path, Query};
use crate::problem::ApiProblem;
use crate::server::Api;

/// A report is a few hundred bytes.
const MAX_BODY: usize = 16 * 1024;

/// The routes with their documents.
pub(crate) fn documented() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(login)).routes(routes!(ask)).routes(routes!(report))
}

/// What every answer here has.
pub(crate) fn layered(router: Router<Api>) -> Router<Api> {
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::any())
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT_LANGUAGE])
        .max_age(std::time::Duration::from_secs(3600));
    router.layer(DefaultBodyLimit::max(MAX_BODY)).layer(cors)
}

/// Where a request comes from.
pub(crate) struct From(String);

impl FromRequestParts<Api> for From {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiProblem> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let forwarded = parts.headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
        Ok(Self(service::address::client(peer, forwarded, &api.trusted_proxies)))
    }
}

/// Whoever holds a session of the app in the path.
pub(crate) struct Visit {
    app: Arc<App>,
    visitor: Visitor,
}

impl FromRequestParts<Api> for Visit {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiProblem> {
        let token = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.strip_prefix("Bearer "))
            .map(|token| SecretString::from(token.trim().to_owned()))
            .ok_or_else(Service::no_session)?;
        let Path(app_id) = Path::<String>::from_request_parts(parts, &())
            .await
            .map_err(|_| Problem::no_app(parts.uri.path()))?;
        let app = api.service.app(&app_id).await?;
        let visitor = api.service.mp_visitor(&app, &token)?;
        Ok(Self { app, visitor })
    }
}

/// A session; its text is shown only here.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SessionBody {
    /// For `Authorization: Bearer` of the calls under /mp.
    session: String,
    /// Seconds that it is good for.
    expires_in: i64,
    expires_at: String,
}

pub(crate) fn session_answer(session: &MpSession) -> Response {
    let body = SessionBody {
        session: session.token.expose_secret().to_owned(),
        expires_in: session.expires_in,
        expires_at: session.expires_at.clone(),
    };
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], axum::Json(body)).into_response()
}

/// What `wx.login` gave.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    code: String,
}

/// Logs a user in by the code of `wx.login`, for teams without a login of their own.
#[utoipa::path(post, path = "/{app_id}/login", request_body = Login, security(()), params(("app_id" = String, Path, description = "AppID")),
    responses((status = 200, body = SessionBody, description = "A session")))]
async fn login(
    State(api): State<Api>,
    Path(app_id): Path<String>,
    from: From,
    Json(login): Json<Login>,
) -> Result<Response, ApiProblem> {
    let app = api.service.app(&app_id).await?;
    let session = api.service.mp_login(&app, &login.code, &from.0).await?;
    Ok(session_answer(&session))
}

/// What to ask about.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Only of these templates (ids or aliases, with commas between): those that fit the page.
    #[serde(default)]
    template_ids: Option<String>,
}

/// Which templates to ask this user for now: five at most, in one call of `requestSubscribeMessage`.
#[utoipa::path(get, path = "/{app_id}/ask", security(("session" = [])), params(("app_id" = String, Path, description = "AppID"), Which),
    responses((status = 200, body = Ask, description = "What to ask for")))]
async fn ask(
    State(api): State<Api>,
    visit: Visit,
    from: From,
    Query(which): Query<Which>,
) -> Result<Response, ApiProblem> {
    let only: Vec<String> = which
        .template_ids
        .iter()
        .flat_map(|ids| ids.split(','))
        .map(|id| id.trim().to_owned())
        .filter(|id| !id.is_empty())
        .collect();
    let ask = api.service.ask(&visit.app, &visit.visitor, &only, &from.0).await?;
    Ok(([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], axum::Json(ask)).into_response())
}

/// A report is kept.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Told {
    act_id: String,
}

/// Reports what the user decided. WeChat's own event of the same act counts in its place; an `act_id` told twice counts once.
#[utoipa::path(post, path = "/{app_id}/report", request_body = Report, security(("session" = [])), params(("app_id" = String, Path, description = "AppID")),
    responses((status = 200, body = Told, description = "It is kept, and durable")))]
async fn report(
    State(api): State<Api>,
    visit: Visit,
    from: From,
    Json(report): Json<Report>,
) -> Result<Response, ApiProblem> {
    let act_id = report.act_id.clone();
    api.service.report(&visit.app, &visit.visitor, report, &from.0).await?;
    Ok(axum::Json(Told { act_id }).into_response())
}
