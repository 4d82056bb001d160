//! `/apps/{app_id}/callbacks`: the inbox.

use domain::InboxId;
use serde::{Deserialize, Serialize};
use service::inbox::CallbackView;
use service::problem::FieldError;
use service::{Kind, Problem, Scope};
use store::hot::append::Verdict;

use crate::auth::Access;
use crate::body::{Path, Query, bad_cursor, id, limit};
use crate::problem::ApiProblem;

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    verdict: Option<String>,
    cursor: Option<String>,
    limit: Option<i64>,
}

/// A page of the inbox.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct CallbackPage {
    items: Vec<CallbackView>,
    next_cursor: Option<String>,
}

/// What WeChat pushed, newest first.
#[utoipa::path(get, path = "/apps/{app_id}/callbacks",
    params(("app_id" = String, Path, description = "AppID"), ("verdict" = Option<String>, Query, description = "applied, ignored or quarantined"), ("cursor" = Option<String>, Query, description = "next_cursor of the page before"), ("limit" = Option<i64>, Query, description = "1 to 500, 50 unless given")),
    responses((status = 200, body = CallbackPage, description = "A page")))]
pub(crate) async fn list(
    access: Access,
    Path(app_id): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<CallbackPage>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    let verdict = match query.verdict.as_deref() {
        None => None,
        Some("applied") => Some(Verdict::Applied),
        Some("ignored") => Some(Verdict::Ignored),
        Some("quarantined") => Some(Verdict::Quarantined),
        Some(other) => {
            return Err(FieldError::new(
                "/verdict",
                "invalid_value",
                format!("没有“{other}”这种校验结果；可用 applied、ignored、quarantined。"),
                format!("\"{other}\" is not one of applied, ignored, quarantined."),
            )
            .into());
        }
    };
    let before =
        query.cursor.as_deref().map(|text| text.parse::<InboxId>().map_err(|_| bad_cursor())).transpose()?;
    let (items, next) = access.service().callbacks(&app, verdict, before, limit(query.limit)).await?;
    Ok(axum::Json(CallbackPage { items, next_cursor: next.map(|id| id.to_string()) }))
}

/// One callback with its text and effects.
#[utoipa::path(get, path = "/apps/{app_id}/callbacks/{id}", params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The callback's id")),
    responses((status = 200, body = CallbackView, description = "The callback")))]
pub(crate) async fn show(
    access: Access,
    Path((app_id, callback)): Path<(String, String)>,
) -> Result<axum::Json<CallbackView>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    Ok(axum::Json(access.service().callback(&app, id(&callback, no_callback)?).await?))
}

/// Lets a callback take effect that was quarantined or ignored.
#[utoipa::path(post, path = "/apps/{app_id}/callbacks/{id}/replay", params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The callback's id")),
    responses((status = 200, body = CallbackView, description = "It will be applied")))]
pub(crate) async fn replay(
    access: Access,
    Path((app_id, callback)): Path<(String, String)>,
) -> Result<axum::Json<CallbackView>, ApiProblem> {
    let app = access.app(&app_id, Scope::Manage).await?;
    Ok(axum::Json(access.service().replay_callback(&app, id(&callback, no_callback)?).await?))
}

fn no_callback() -> ApiProblem {
    Problem::new(Kind::NotFound, "callback_not_found", "没有这条推送记录。", "There is no such callback.")
        .into()
}
