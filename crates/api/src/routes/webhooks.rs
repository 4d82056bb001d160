//! `/webhooks`: where events go. Endpoints are the installation's, so the key must see every app.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::webhooks::{DeliveryView, WebhookRequest, WebhookView};
use service::{Kind, Problem, Scope};
use uuid::Uuid;

use super::messages::moment;
use crate::auth::Access;
use crate::body::{Json, Path, Query, bad_cursor, limit};
use crate::problem::ApiProblem;

/// All endpoints.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct WebhookPage {
    items: Vec<WebhookView>,
    next_cursor: Option<String>,
}

/// A page of deliveries.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct DeliveryPage {
    items: Vec<DeliveryView>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    cursor: Option<String>,
    limit: Option<i64>,
}

/// What is delivered again.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replay {
    /// Events since this.
    since: String,
    /// Also those that were delivered.
    #[serde(default)]
    delivered_too: bool,
}

/// How many are delivered again.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Replayed {
    deliveries: u64,
}

/// Sends an endpoint a test event.
#[utoipa::path(post, path = "/webhooks/{id}/test", params(("id" = String, Path, description = "The endpoint's id")),
    responses((status = 202, description = "On its way")))]
pub(crate) async fn test(access: Access, Path(id): Path<String>) -> Result<StatusCode, ApiProblem> {
    access.everywhere(Scope::Manage)?;
    access.service().test_webhook(webhook_id(&id)?).await?;
    Ok(StatusCode::ACCEPTED)
}

/// All endpoints.
#[utoipa::path(get, path = "/webhooks", responses((status = 200, body = WebhookPage, description = "All of them")))]
pub(crate) async fn list(access: Access) -> Result<axum::Json<WebhookPage>, ApiProblem> {
    access.everywhere(Scope::Manage)?;
    let items = access.service().webhooks().await?;
    Ok(axum::Json(WebhookPage { items, next_cursor: None }))
}

/// Makes an endpoint; its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/webhooks", request_body = WebhookRequest,
    responses((status = 201, body = WebhookView, description = "The endpoint with its secret")))]
pub(crate) async fn add(
    access: Access,
    Json(request): Json<WebhookRequest>,
) -> Result<(StatusCode, axum::Json<WebhookView>), ApiProblem> {
    access.everywhere(Scope::Manage)?;
    let view = access.service().add_webhook(request, &access.principal()).await?;
    Ok((StatusCode::CREATED, axum::Json(view)))
}

/// Changes an endpoint: url, events, note, enabled.
#[utoipa::path(patch, path = "/webhooks/{id}", request_body(content = Object, description = "Some of url, events, note, enabled"), params(("id" = String, Path, description = "The endpoint's id")),
    responses((status = 200, body = WebhookView, description = "The endpoint")))]
pub(crate) async fn change(
    access: Access,
    Path(id): Path<String>,
    Json(change): Json<Value>,
) -> Result<axum::Json<WebhookView>, ApiProblem> {
    access.everywhere(Scope::Manage)?;
    Ok(axum::Json(access.service().change_webhook(webhook_id(&id)?, &change).await?))
}

/// Gives an endpoint a new secret; that of before signs too for a day.
#[utoipa::path(post, path = "/webhooks/{id}/rotate", params(("id" = String, Path, description = "The endpoint's id")),
    responses((status = 200, body = WebhookView, description = "The endpoint with its new secret")))]
pub(crate) async fn rotate(
    access: Access,
    Path(id): Path<String>,
) -> Result<axum::Json<WebhookView>, ApiProblem> {
    access.everywhere(Scope::Manage)?;
    Ok(axum::Json(access.service().rotate_webhook(webhook_id(&id)?).await?))
}

/// Forgets an endpoint.
#[utoipa::path(delete, path = "/webhooks/{id}", params(("id" = String, Path, description = "The endpoint's id")),
    responses((status = 204, description = "Forgotten")))]
pub(crate) async fn remove(access: Access, Path(id): Path<String>) -> Result<StatusCode, ApiProblem> {
    access.everywhere(Scope::Manage)?;
    access.service().remove_webhook(webhook_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What became of an endpoint's deliveries, newest first.
#[utoipa::path(get, path = "/webhooks/{id}/deliveries", params(("id" = String, Path, description = "The endpoint's id"), ("cursor" = Option<String>, Query, description = "next_cursor of the page before"), ("limit" = Option<i64>, Query, description = "1 to 500, 50 unless given")),
    responses((status = 200, body = DeliveryPage, description = "A page")))]
pub(crate) async fn deliveries(
    access: Access,
    Path(id): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<DeliveryPage>, ApiProblem> {
    access.everywhere(Scope::Manage)?;
    let before = query.cursor.as_deref().map(str::parse).transpose().map_err(|_| bad_cursor())?;
    let (items, next) =
        access.service().webhook_deliveries(webhook_id(&id)?, before, limit(query.limit)).await?;
    Ok(axum::Json(DeliveryPage { items, next_cursor: next.map(|number| number.to_string()) }))
}

/// Delivers again what was given up since a moment; with `delivered_too`, everything.
#[utoipa::path(post, path = "/webhooks/{id}/replay", request_body = Replay, params(("id" = String, Path, description = "The endpoint's id")),
    responses((status = 200, body = Replayed, description = "How many")))]
pub(crate) async fn replay(
    access: Access,
    Path(id): Path<String>,
    Json(replay): Json<Replay>,
) -> Result<axum::Json<Replayed>, ApiProblem> {
    access.everywhere(Scope::Manage)?;
    let since = moment("/since", &replay.since)?;
    let deliveries = access.service().replay_webhook(webhook_id(&id)?, since, replay.delivered_too).await?;
    Ok(axum::Json(Replayed { deliveries }))
}

fn webhook_id(text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| {
        Problem::new(Kind::NotFound, "webhook_not_found", "没有这个 Webhook。", "There is no such webhook.")
    })
}
