//! `/apps`: the registered mini programs. Secrets go in and never come out.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use domain::Millis;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::apps::AppChange;
use service::token_source::{TokenSourceInput, TokenSourceView};
use service::view::time;
use service::{App, Scope};
use wechat::callback::{Format, Mode};

use crate::auth::Access;
use crate::body::{Json, Path};
use crate::problem::ApiProblem;

/// An app.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct AppBody {
    app_id: String,
    name: String,
    /// gh_…, once a callback told it.
    original_id: Option<String>,
    /// plain, compat or safe.
    callback_mode: String,
    /// json or xml.
    callback_format: String,
    /// Where WeChat pushes to.
    callback_path: String,
    alias: Option<String>,
    /// The third-party platform that pushes are encrypted for, where they are not the app's own.
    platform_appid: Option<String>,
    /// Callback keys that were replaced and are still valid, the longest first.
    previous_keys: Vec<PreviousKeys>,
    api_base_url: String,
    /// Where access tokens come from.
    token_source: TokenSourceView,
    #[schema(value_type = Object)]
    settings: Value,
    created_at: String,
    updated_at: String,
}

/// Callback keys of before; never themselves.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct PreviousKeys {
    /// When they end.
    valid_until: String,
}

/// Apps.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct AppList {
    items: Vec<AppBody>,
    next_cursor: Option<String>,
}

/// What may be given of an app; what is left out stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppInput {
    name: Option<String>,
    /// AppSecret; write-only.
    #[schema(value_type = Option<String>)]
    secret: Option<SecretText>,
    /// Token of the message push; write-only.
    #[schema(value_type = Option<String>)]
    callback_token: Option<SecretText>,
    /// EncodingAESKey of the message push; write-only.
    #[schema(value_type = Option<String>)]
    aes_key: Option<SecretText>,
    /// plain, compat or safe.
    #[schema(value_type = Option<String>)]
    callback_mode: Option<Mode>,
    /// json or xml.
    #[schema(value_type = Option<String>)]
    callback_format: Option<Format>,
    api_base_url: Option<String>,
    alias: Option<String>,
    /// AppID of the third-party platform that pushes are encrypted for (XML, safe mode); "" where they are the app's own again.
    platform_appid: Option<String>,
    /// {"kind": "wechat"} or {"kind": "url", "url": "https://…", "header": "Name: value"}; the header and the URL's query
    /// are write-only.
    #[schema(value_type = Option<Object>)]
    token_source: Option<TokenSourceInput>,
    /// Ends at once the callback keys that earlier changes replaced.
    #[serde(default)]
    end_previous_keys: bool,
    /// Settings by name: rate_per_second, concurrency, on_unknown (hold, resend, give_up), customer_service (transfer, silent, relay), callback_tolerance,
    /// relay_url, previous_keys_hours.
    #[serde(default)]
    #[schema(value_type = Object)]
    settings: BTreeMap<String, Value>,
}

/// A secret in a request.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct SecretText(String);

impl From<SecretText> for SecretString {
    fn from(text: SecretText) -> Self {
        Self::from(text.0)
    }
}

fn body(app: &App, now: Millis) -> AppBody {
    AppBody {
        app_id: app.app_id.clone(),
        name: app.name.clone(),
        original_id: app.original_id.clone(),
        callback_mode: app.mode().to_string(),
        callback_format: app.format.to_string(),
        callback_path: format!("/callback/{}", app.app_id),
        alias: app.alias.clone(),
        platform_appid: app.platform_appid.clone(),
        previous_keys: app
            .previous_keys(now)
            .into_iter()
            .map(|until| PreviousKeys { valid_until: time(until) })
            .collect(),
        api_base_url: app.api_base_url.clone(),
        token_source: app.token_source.view(),
        settings: serde_json::to_value(&app.settings).unwrap_or_default(),
        created_at: time(app.created_at),
        updated_at: time(app.updated_at),
    }
}

fn change(input: AppInput) -> AppChange {
    AppChange {
        name: input.name,
        secret: input.secret.map(Into::into),
        callback_token: input.callback_token.map(Into::into),
        aes_key: input.aes_key.map(Into::into),
        mode: input.callback_mode,
        format: input.callback_format,
        api_base_url: input.api_base_url,
        alias: input.alias,
        platform_appid: input.platform_appid,
        token_source: input.token_source,
        end_previous_keys: input.end_previous_keys,
        settings: input
            .settings
            .into_iter()
            .map(|(name, value)| (name, value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            .collect(),
    }
}

/// The apps that the key sees.
#[utoipa::path(get, path = "/apps", responses((status = 200, body = AppList, description = "All of them")))]
pub(crate) async fn list(access: Access) -> Result<axum::Json<AppList>, ApiProblem> {
    access.may(Scope::Read)?;
    access.service().apps().reload().await.map_err(service::Problem::from)?;
    let (all, now) = (access.service().apps().all(), access.service().now());
    let items = all.iter().filter(|app| access.sees(app)).map(|app| body(app, now)).collect();
    Ok(axum::Json(AppList { items, next_cursor: None }))
}

/// One app.
#[utoipa::path(get, path = "/apps/{app_id}", params(("app_id" = String, Path, description = "AppID")), responses((status = 200, body = AppBody, description = "The app")))]
pub(crate) async fn show(
    access: Access,
    Path(app_id): Path<String>,
) -> Result<axum::Json<AppBody>, ApiProblem> {
    Ok(axum::Json(body(&*access.app(&app_id, Scope::Read).await?, access.service().now())))
}

/// Registers an app, or changes the one that stands.
#[utoipa::path(put, path = "/apps/{app_id}", request_body = AppInput, params(("app_id" = String, Path, description = "AppID")), responses((status = 201, body = AppBody, description = "Registered"), (status = 200, body = AppBody, description = "Changed")))]
pub(crate) async fn put(
    access: Access,
    Path(app_id): Path<String>,
    Json(input): Json<AppInput>,
) -> Result<(StatusCode, axum::Json<AppBody>), ApiProblem> {
    access.everywhere(Scope::Manage)?;
    let service = access.service();
    if service.app(&app_id).await.is_ok() {
        let app = service.set_app(&app_id, change(input)).await?;
        return Ok((StatusCode::OK, axum::Json(body(&app, service.now()))));
    }
    let app = service.add_app(&app_id, change(input)).await?;
    Ok((StatusCode::CREATED, axum::Json(body(&app, service.now()))))
}

/// Changes an app.
#[utoipa::path(patch, path = "/apps/{app_id}", request_body = AppInput, params(("app_id" = String, Path, description = "AppID")), responses((status = 200, body = AppBody, description = "Changed")))]
pub(crate) async fn patch(
    access: Access,
    Path(app_id): Path<String>,
    Json(input): Json<AppInput>,
) -> Result<axum::Json<AppBody>, ApiProblem> {
    access.app(&app_id, Scope::Manage).await?;
    let app = access.service().set_app(&app_id, change(input)).await?;
    Ok(axum::Json(body(&app, access.service().now())))
}
