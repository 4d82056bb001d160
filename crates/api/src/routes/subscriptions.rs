//! `/apps/{app_id}/subscriptions` and `/apps/{app_id}/ledger`.

use axum::extract::Path;
use serde::{Deserialize, Serialize};
use service::Scope;
use service::subscriptions::{EntryView, SubscriptionView};

use crate::auth::Access;
use crate::body::{Query, bad_cursor, limit};
use crate::problem::{ApiProblem, ProblemBody};

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    openid: Option<String>,
    template_id: Option<String>,
    cursor: Option<String>,
    limit: Option<i64>,
}

/// A page of subscriptions.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SubscriptionPage {
    items: Vec<SubscriptionView>,
    next_cursor: Option<String>,
}

/// Who subscribed to what, and how many grants are left.
#[utoipa::path(get, path = "/apps/{app_id}/subscriptions",
    params(("app_id" = String, Path, description = "AppID"), ("openid" = Option<String>, Query, description = "Only this person's"), ("template_id" = Option<String>, Query, description = "Only this template"), ("cursor" = Option<String>, Query, description = "next_cursor of the page before"), ("limit" = Option<i64>, Query, description = "1 to 500, 50 unless given")),
    responses((status = 200, body = SubscriptionPage, description = "A page"), (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn list(
    access: Access,
    Path(app_id): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<SubscriptionPage>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    let after = match query.cursor.as_deref() {
        None => None,
        Some(text) => Some(subscription_key(text).ok_or_else(bad_cursor)?),
    };
    let (items, next) = access
        .service()
        .subscriptions(&app, query.openid.as_deref(), query.template_id.as_deref(), after, limit(query.limit))
        .await?;
    let next_cursor = next.map(|(lane, template, openid)| format!("{lane}.{template}.{openid}"));
    Ok(axum::Json(SubscriptionPage { items, next_cursor }))
}

fn subscription_key(text: &str) -> Option<(i64, i64, String)> {
    let mut parts = text.splitn(3, '.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.to_owned()))
}

/// A page of ledger entries.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct EntryPage {
    items: Vec<EntryView>,
    next_cursor: Option<String>,
}

/// The entries that explain a balance, oldest first; without an openid those of everybody.
#[utoipa::path(get, path = "/apps/{app_id}/ledger",
    params(("app_id" = String, Path, description = "AppID"), ("openid" = Option<String>, Query, description = "Whose"), ("template_id" = Option<String>, Query, description = "Which template; all of the person's where it is left out"), ("cursor" = Option<String>, Query, description = "next_cursor of the page before"), ("limit" = Option<i64>, Query, description = "1 to 500, 50 unless given")),
    responses((status = 200, body = EntryPage, description = "A page"), (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn ledger(
    access: Access,
    Path(app_id): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<EntryPage>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    let service = access.service();
    let Some(openid) = query.openid.as_deref() else {
        let after = query.cursor.as_deref().map_or(Ok(0), str::parse).map_err(|_| bad_cursor())?;
        let (items, next) = service.ledger(&app, after, limit(query.limit)).await?;
        return Ok(axum::Json(EntryPage { items, next_cursor: next.map(|id| id.to_string()) }));
    };
    let templates = match query.template_id {
        Some(template_id) => vec![template_id],
        None => {
            let (subscriptions, _) = service.subscriptions(&app, Some(openid), None, None, 500).await?;
            subscriptions.into_iter().map(|subscription| subscription.template_id).collect()
        }
    };
    let mut items = Vec::new();
    for template_id in templates {
        items.extend(service.ledger_of(&app, openid, &template_id).await?);
    }
    items.sort_by(|a, b| a.at.cmp(&b.at));
    Ok(axum::Json(EntryPage { items, next_cursor: None }))
}
