//! `/apps/{app_id}/subscribers/{openid}`: so far only their erasure (I17).

use axum::extract::Path;
use axum::http::StatusCode;
use service::Scope;
use service::erasure::ErasureView;

use crate::auth::Access;
use crate::problem::{ApiProblem, ProblemBody};

/// Erases a person: deletes balances, statuses and ledger, and takes openid and content out of messages and callbacks.
/// Messages that wait for the person are skipped.
#[utoipa::path(delete, path = "/apps/{app_id}/subscribers/{openid}",
    params(("app_id" = String, Path, description = "AppID"), ("openid" = String, Path, description = "Whom")),
    responses((status = 200, body = ErasureView, description = "Erased; zeros where nothing was known of the person"),
        (status = 202, body = ErasureView, description = "It takes longer (a message is being sent, or no worker runs) and goes on by itself"),
        (status = 422, description = "Not an openid", body = ProblemBody, content_type = "application/problem+json"),
        (status = "default", description = "Another problem", body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn erase(
    access: Access,
    Path((app_id, openid)): Path<(String, String)>,
) -> Result<(StatusCode, axum::Json<ErasureView>), ApiProblem> {
    let app = access.app(&app_id, Scope::Manage).await?;
    let view = access.service().erase_person(&app, &openid).await?;
    let status = if view.state == "erased" { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, axum::Json(view)))
}
