//! `/apps/{app_id}/access-token`: for other systems that share the app, so that only one of them refreshes.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use service::Scope;
use service::templates::token_problem;
use service::tokens::Token;
use service::view::time;

use crate::auth::Access;
use crate::body::{Json, Path};
use crate::problem::ApiProblem;

/// An access token.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TokenBody {
    access_token: String,
    expires_at: String,
    /// Seconds that are left.
    expires_in: i64,
}

/// The token that WeChat rejected.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bad {
    bad: String,
}

fn answer(access: &Access, token: &Token) -> Response {
    let body = TokenBody {
        access_token: token.secret.expose_secret().to_owned(),
        expires_at: time(token.expires_at),
        expires_in: (token.expires_at - access.service().now()) / 1_000,
    };
    ([(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response()
}

/// The app's access token.
#[utoipa::path(get, path = "/apps/{app_id}/access-token", params(("app_id" = String, Path, description = "AppID")),
    responses((status = 200, body = TokenBody, description = "A valid token")))]
pub(crate) async fn show(access: Access, Path(app_id): Path<String>) -> Result<Response, ApiProblem> {
    let app = access.app(&app_id, Scope::Token).await?;
    let token = access.service().tokens().get(&app).await.map_err(|error| token_problem(&error))?;
    Ok(answer(&access, &token))
}

/// A token in place of one that WeChat rejected; whoever comes second gets what the first one fetched.
#[utoipa::path(post, path = "/apps/{app_id}/access-token/refresh", request_body = Bad, params(("app_id" = String, Path, description = "AppID")),
    responses((status = 200, body = TokenBody, description = "A valid token")))]
pub(crate) async fn refresh(
    access: Access,
    Path(app_id): Path<String>,
    Json(bad): Json<Bad>,
) -> Result<Response, ApiProblem> {
    let app = access.app(&app_id, Scope::Token).await?;
    let tokens = access.service().tokens();
    let problem = |error| ApiProblem(token_problem(&error));
    let token = tokens.get(&app).await.map_err(problem)?;
    // Compare and swap: only the token that is in use can be reported as bad.
    let token = if token.secret.expose_secret() == bad.bad {
        tokens.replace(&app, token.version).await.map_err(problem)?
    } else {
        token
    };
    Ok(answer(&access, &token))
}
