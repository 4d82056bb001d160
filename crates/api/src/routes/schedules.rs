//! `/apps/{app_id}/schedules`: campaigns that recur.

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use service::schedules::{ScheduleRequest, ScheduleView};
use service::{Kind, Problem, Scope};
use uuid::Uuid;

use crate::auth::Access;
use crate::body::{Json, Path};
use crate::problem::ApiProblem;

/// The schedules of an app.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SchedulePage {
    items: Vec<ScheduleView>,
    next_cursor: Option<String>,
}

/// The schedules of an app.
#[utoipa::path(get, path = "/apps/{app_id}/schedules", params(("app_id" = String, Path, description = "AppID")),
    responses((status = 200, body = SchedulePage, description = "All of them")))]
pub(crate) async fn list(
    access: Access,
    Path(app_id): Path<String>,
) -> Result<axum::Json<SchedulePage>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    let items = access.service().schedules(&app).await?;
    Ok(axum::Json(SchedulePage { items, next_cursor: None }))
}

/// Makes a schedule. Its campaigns are started in the name of whoever made it: above `approval_above` each waits for somebody else.
#[utoipa::path(post, path = "/apps/{app_id}/schedules", request_body = ScheduleRequest, params(("app_id" = String, Path, description = "AppID")),
    responses((status = 201, body = ScheduleView, description = "The schedule")))]
pub(crate) async fn add(
    access: Access,
    Path(app_id): Path<String>,
    Json(request): Json<ScheduleRequest>,
) -> Result<(StatusCode, axum::Json<ScheduleView>), ApiProblem> {
    let app = access.app(&app_id, Scope::Manage).await?;
    let view = access.service().add_schedule(&app, request, &access.principal()).await?;
    Ok((StatusCode::CREATED, axum::Json(view)))
}

/// One schedule.
#[utoipa::path(get, path = "/apps/{app_id}/schedules/{id}", params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The schedule's id")),
    responses((status = 200, body = ScheduleView, description = "The schedule")))]
pub(crate) async fn show(
    access: Access,
    Path((app_id, id)): Path<(String, String)>,
) -> Result<axum::Json<ScheduleView>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    Ok(axum::Json(access.service().schedule(&app, schedule_id(&id)?).await?))
}

/// Changes a schedule: what is given takes the place of what was asked.
#[utoipa::path(patch, path = "/apps/{app_id}/schedules/{id}", request_body(content = Object, description = "Some fields of a schedule"), params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The schedule's id")),
    responses((status = 200, body = ScheduleView, description = "The schedule")))]
pub(crate) async fn change(
    access: Access,
    Path((app_id, id)): Path<(String, String)>,
    Json(change): Json<Value>,
) -> Result<axum::Json<ScheduleView>, ApiProblem> {
    let app = access.app(&app_id, Scope::Manage).await?;
    Ok(axum::Json(access.service().change_schedule(&app, schedule_id(&id)?, change).await?))
}

/// Forgets a schedule; the campaigns that it made stay.
#[utoipa::path(delete, path = "/apps/{app_id}/schedules/{id}", params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The schedule's id")),
    responses((status = 204, description = "Forgotten")))]
pub(crate) async fn remove(
    access: Access,
    Path((app_id, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiProblem> {
    let app = access.app(&app_id, Scope::Manage).await?;
    access.service().remove_schedule(&app, schedule_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn schedule_id(text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| {
        Problem::new(Kind::NotFound, "schedule_not_found", "没有这个定时任务。", "There is no such schedule.")
    })
}
