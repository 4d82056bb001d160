//! `/keys`, `/operators`, `/audit`: who may do what, and who did. They are the installation's: the key must see every app.

use axum::http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use service::audit::DeedView;
use service::operators::{OperatorView, Roles};
use service::problem::FieldError;
use service::view::time;
use service::{Problem, Scope};

use crate::auth::Access;
use crate::body::{Json, Path, Query, bad_cursor, limit};
use crate::problem::ApiProblem;

/// An API key, without its text.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct KeyBody {
    id: i64,
    name: String,
    /// The one app that it sees; none: every app.
    app_id: Option<String>,
    scopes: Vec<String>,
    created_at: String,
    revoked_at: Option<String>,
    /// Its text: shown once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// All keys.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct KeyPage {
    items: Vec<KeyBody>,
    next_cursor: Option<String>,
}

/// A key as it is asked for.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    /// What it is for.
    name: String,
    /// Only this app.
    #[serde(default)]
    app_id: Option<String>,
    /// send, read, manage, token.
    scopes: Vec<String>,
}

/// All keys, without their texts.
#[utoipa::path(get, path = "/keys", responses((status = 200, body = KeyPage, description = "All of them")))]
pub(crate) async fn keys(access: Access) -> Result<axum::Json<KeyPage>, ApiProblem> {
    access.everywhere(Scope::Manage)?;
    let service = access.service();
    let app = |number| Some(service.apps().by_number(number)?.app_id.clone());
    let items = service.list_keys().await?.into_iter().map(|key| KeyBody {
        id: key.number,
        name: key.name,
        app_id: key.app.and_then(app),
        scopes: key.scopes.split(',').map(str::to_owned).collect(),
        created_at: time(key.created_at),
        revoked_at: key.revoked_at.map(time),
        key: None,
    });
    Ok(axum::Json(KeyPage { items: items.collect(), next_cursor: None }))
}

/// Makes a key; its text is in this answer and nowhere else.
#[utoipa::path(post, path = "/keys", request_body = NewKey, responses((status = 201, body = KeyBody, description = "Made")))]
pub(crate) async fn add_key(
    access: Access,
    Json(new): Json<NewKey>,
) -> Result<(StatusCode, axum::Json<KeyBody>), ApiProblem> {
    access.everywhere(Scope::Manage)?;
    let mut scopes = Vec::new();
    for (at, word) in new.scopes.iter().enumerate() {
        let scope = word.parse::<Scope>().map_err(|_| {
            FieldError::new(
                format!("/scopes/{at}"),
                "invalid_scope",
                format!("没有权限“{word}”；可用 send、read、manage、token。"),
                format!("\"{word}\" is not one of send, read, manage, token."),
            )
        })?;
        scopes.push(scope);
    }
    let service = access.service();
    let (id, key) = service.create_key(&new.name, new.app_id.as_deref(), &scopes).await?;
    let body = KeyBody {
        id,
        name: new.name,
        app_id: new.app_id,
        scopes: new.scopes,
        created_at: time(service.now()),
        revoked_at: None,
        key: Some(key.expose_secret().to_owned()),
    };
    Ok((StatusCode::CREATED, axum::Json(body)))
}

/// Ends a key.
#[utoipa::path(delete, path = "/keys/{id}", params(("id" = i64, Path, description = "The key's number")),
    responses((status = 204, description = "Revoked")))]
pub(crate) async fn revoke_key(access: Access, Path(id): Path<String>) -> Result<StatusCode, ApiProblem> {
    access.everywhere(Scope::Manage)?;
    let id = id.parse().map_err(|_| {
        Problem::new(service::Kind::NotFound, "key_not_found", "没有这个密钥。", "There is no such key.")
    })?;
    access.service().revoke_key(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All operators.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct OperatorPage {
    items: Vec<OperatorView>,
    next_cursor: Option<String>,
}

/// An operator as it is asked for.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOperator {
    name: String,
    /// 10 characters at least; never shown again.
    password: String,
    /// Roles by AppID; `*` is every app: `{"*": "viewer", "wx…": "sender"}`.
    roles: Roles,
}

/// What is changed about an operator.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OperatorChange {
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    roles: Option<Roles>,
}

/// All operators.
#[utoipa::path(get, path = "/operators", responses((status = 200, body = OperatorPage, description = "All of them")))]
pub(crate) async fn operators(access: Access) -> Result<axum::Json<OperatorPage>, ApiProblem> {
    access.everywhere(Scope::Manage)?;
    Ok(axum::Json(OperatorPage { items: access.service().operators().await?, next_cursor: None }))
}

/// Adds an operator.
#[utoipa::path(post, path = "/operators", request_body = NewOperator, responses((status = 201, body = OperatorView, description = "Added")))]
pub(crate) async fn add_operator(
    access: Access,
    Json(new): Json<NewOperator>,
) -> Result<(StatusCode, axum::Json<OperatorView>), ApiProblem> {
    access.everywhere(Scope::Manage)?;
    let password = SecretString::from(new.password);
    let by = access.principal();
    let added = access.service().add_operator(&new.name, &password, &new.roles, &by).await?;
    Ok((StatusCode::CREATED, axum::Json(added)))
}

/// Gives an operator another password or other roles; it has to sign in again.
#[utoipa::path(patch, path = "/operators/{name}", request_body = OperatorChange, params(("name" = String, Path, description = "The name")),
    responses((status = 200, body = OperatorView, description = "Changed")))]
pub(crate) async fn change_operator(
    access: Access,
    Path(name): Path<String>,
    Json(change): Json<OperatorChange>,
) -> Result<axum::Json<OperatorView>, ApiProblem> {
    access.everywhere(Scope::Manage)?;
    let password = change.password.map(SecretString::from);
    let changed = access.service().change_operator(&name, password.as_ref(), change.roles.as_ref()).await?;
    Ok(axum::Json(changed))
}

/// Removes an operator.
#[utoipa::path(delete, path = "/operators/{name}", params(("name" = String, Path, description = "The name")),
    responses((status = 204, description = "Removed")))]
pub(crate) async fn remove_operator(
    access: Access,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiProblem> {
    access.everywhere(Scope::Manage)?;
    access.service().remove_operator(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    app_id: Option<String>,
    cursor: Option<String>,
    limit: Option<i64>,
}

/// A page of the operation log.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct AuditPage {
    items: Vec<DeedView>,
    next_cursor: Option<String>,
}

/// What people and keys did, newest first; kept for six months.
#[utoipa::path(get, path = "/audit", params(("app_id" = Option<String>, Query, description = "Only in this app"), ("cursor" = Option<String>, Query, description = "next_cursor of the page before"), ("limit" = Option<i64>, Query, description = "1 to 500, 50 unless given")),
    responses((status = 200, body = AuditPage, description = "A page")))]
pub(crate) async fn audit(
    access: Access,
    Query(query): Query<AuditQuery>,
) -> Result<axum::Json<AuditPage>, ApiProblem> {
    access.everywhere(Scope::Manage)?;
    let app = match &query.app_id {
        Some(app_id) => Some(access.app(app_id, Scope::Manage).await?),
        None => None,
    };
    let before = query.cursor.as_deref().map(str::parse).transpose().map_err(|_| bad_cursor())?;
    let (items, next) = access.service().deeds(app.as_deref(), before, limit(query.limit)).await?;
    Ok(axum::Json(AuditPage { items, next_cursor: next.map(|next| next.to_string()) }))
}
