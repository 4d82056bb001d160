//! `/apps/{app_id}/quota` and `/apps/{app_id}/ask-again`: what may still be sent, and to whom nothing more may be.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use service::Scope;
use service::ask_again::AskAgain;
use service::quota::QuotaView;

use super::messages::moment;
use crate::auth::Access;
use crate::body::{Json, Path, Query, bad_cursor};
use crate::problem::ApiProblem;

/// Says which app is meant.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirmed {
    /// The AppID once more.
    confirm: String,
}

/// WeChat's quota of send calls today, and the app's own budget.
#[utoipa::path(get, path = "/apps/{app_id}/quota", params(("app_id" = String, Path, description = "AppID")),
    responses((status = 200, body = QuotaView, description = "Both")))]
pub(crate) async fn show(
    access: Access,
    Path(app_id): Path<String>,
) -> Result<axum::Json<QuotaView>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    Ok(axum::Json(access.service().quota(&app).await?))
}

/// Sets WeChat's call counters back: ten times a month, for all calls of the app.
#[utoipa::path(post, path = "/apps/{app_id}/quota/clear", request_body = Confirmed, params(("app_id" = String, Path, description = "AppID")),
    responses((status = 204, description = "Set back")))]
pub(crate) async fn clear(
    access: Access,
    Path(app_id): Path<String>,
    Json(confirmed): Json<Confirmed>,
) -> Result<StatusCode, ApiProblem> {
    let app = access.app(&app_id, Scope::Manage).await?;
    access.service().clear_quota(&app, &confirmed.confirm).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskQuery {
    template_id: String,
    since: Option<String>,
    cursor: Option<String>,
}

/// A page of people.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct AskPage {
    items: Vec<AskAgain>,
    next_cursor: Option<String>,
}

/// People who have just spent their last grant of a template and did not refuse it, the latest first. A page may be short.
#[utoipa::path(get, path = "/apps/{app_id}/ask-again", params(("app_id" = String, Path, description = "AppID"), ("template_id" = String, Query, description = "The template"), ("since" = Option<String>, Query, description = "Spent since (RFC 3339)"), ("cursor" = Option<String>, Query, description = "next_cursor of the page before")),
    responses((status = 200, body = AskPage, description = "A page")))]
pub(crate) async fn ask_again(
    access: Access,
    Path(app_id): Path<String>,
    Query(query): Query<AskQuery>,
) -> Result<axum::Json<AskPage>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    let since = query.since.as_deref().map(|since| moment("/since", since)).transpose()?.unwrap_or(0);
    let before = query.cursor.as_deref().map(str::parse).transpose().map_err(|_| bad_cursor())?;
    let (items, next) = access.service().ask_again(&app, &query.template_id, since, before).await?;
    Ok(axum::Json(AskPage { items, next_cursor: next.map(|number| number.to_string()) }))
}
