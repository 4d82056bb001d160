//! What a team's own back end does for its mini program: sessions for the users whom it has logged in, and the code to paste.

use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use service::Scope;
use service::snippets::Snippets;

use crate::auth::Access;
use crate::body::{Json, Path};
use crate::mp::{SessionBody, session_answer};
use crate::problem::ApiProblem;

/// Whom the caller has logged in.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Whom {
    openid: String,
}

/// A session for a user whom the team's own back end has logged in; it is good for two hours.
#[utoipa::path(post, path = "/apps/{app_id}/mp-sessions", request_body = Whom, params(("app_id" = String, Path, description = "AppID")),
    responses((status = 200, body = SessionBody, description = "A session")))]
pub(crate) async fn session(
    access: Access,
    Path(app_id): Path<String>,
    Json(whom): Json<Whom>,
) -> Result<Response, ApiProblem> {
    let app = access.app(&app_id, Scope::Manage).await?;
    Ok(session_answer(&access.service().mp_session(&app, &whom.openid)?))
}

/// The code that asks for a template, for a native mini program and for uni-app, ready to paste.
#[utoipa::path(get, path = "/apps/{app_id}/templates/{template_id}/snippets",
    params(("app_id" = String, Path, description = "AppID"), ("template_id" = String, Path, description = "The template, by id or alias")),
    responses((status = 200, body = Snippets, description = "The code")))]
pub(crate) async fn snippets(
    access: Access,
    Path((app_id, template_id)): Path<(String, String)>,
) -> Result<Response, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    Ok(axum::Json(access.service().snippets(&app, &template_id).await?).into_response())
}
