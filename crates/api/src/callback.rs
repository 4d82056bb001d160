//! What WeChat calls: `GET` verifies the address, `POST` pushes. The same under `/callback/{appid}` and under an
//! app's alias.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use service::callback::{Answer, Received};
use service::{App, Problem};
use wechat::callback::Query;

use crate::body::Path;
use crate::callback_body::PushBody;
use crate::problem::{ApiProblem, no_route};
use crate::server::Api;

/// The parameters of WeChat's calls.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its shape is used, for the document")]
pub(crate) struct Signed {
    /// Of the plain text; in compatible and safe mode of nothing that counts.
    signature: Option<String>,
    /// Seconds.
    timestamp: Option<String>,
    /// WeChat's chance.
    nonce: Option<String>,
    /// Of the ciphertext, in compatible and safe mode.
    msg_signature: Option<String>,
    /// `aes` in compatible and safe mode.
    encrypt_type: Option<String>,
}

/// WeChat asks whether the address is ours. The same under an app's alias.
#[utoipa::path(get, path = "/callback/{app_id}", params(("app_id" = String, Path, description = "AppID"), Signed, ("echostr" = Option<String>, Query, description = "What is answered")),
    responses((status = 200, body = String, content_type = "text/plain", description = "The bare echostr"),
        (status = 400, body = String, content_type = "text/plain", description = "A parameter is missing"),
        (status = 403, body = String, content_type = "text/plain", description = "The signature is wrong")))]
pub(crate) async fn verify(State(api): State<Api>, Path(app_id): Path<String>, uri: Uri) -> Response {
    match api.service.app(&app_id).await {
        Ok(app) => answer("verify", api.service.verify_callback(&app, &query(&uri))),
        Err(problem) => refuse(problem),
    }
}

/// WeChat pushes an event, in JSON or XML, plain, compatible or safe mode; 200 says that it is durable. The same under an app's alias.
#[utoipa::path(post, path = "/callback/{app_id}", params(("app_id" = String, Path, description = "AppID"), Signed),
    request_body(description = "The event; told apart by its first byte, not by the header", content((serde_json::Value = "application/json"), (String = "text/xml"))),
    responses((status = 200, description = "Durable: `success`, or the reply to a customer-service message", content((String = "text/plain"), (String = "text/xml"), (serde_json::Value = "application/json"))),
        (status = 400, body = String, content_type = "text/plain", description = "Not JSON or XML, or correctly signed and broken inside"),
        (status = 403, body = String, content_type = "text/plain", description = "Wrong signature, wrong AppID, or a weaker mode than configured"),
        (status = 413, body = String, content_type = "text/plain", description = "Larger than 256 KiB")))]
pub(crate) async fn push(
    State(api): State<Api>,
    Path(app_id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: PushBody,
) -> Response {
    match api.service.app(&app_id).await {
        Ok(app) => take(&api, &app, &uri, &headers, body).await,
        Err(problem) => refuse(problem),
    }
}

/// Every other path: an app's alias, or nothing.
pub(crate) async fn alias(
    State(api): State<Api>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: PushBody,
) -> Response {
    let app: Option<Arc<App>> = match api.service.apps().by_alias(uri.path()).await {
        Ok(app) => app,
        Err(error) => return refuse(error.into()),
    };
    match (app, method) {
        (Some(app), Method::GET) => answer("verify", api.service.verify_callback(&app, &query(&uri))),
        (Some(app), Method::POST) => take(&api, &app, &uri, &headers, body).await,
        (Some(_), _) => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        (None, _) => no_route().into_response(),
    }
}

async fn take(api: &Api, app: &App, uri: &Uri, headers: &HeaderMap, body: PushBody) -> Response {
    let body = match body {
        PushBody::Whole(body) => body,
        PushBody::TooLarge => return too_large(app),
        PushBody::Broken => return StatusCode::BAD_REQUEST.into_response(),
    };
    let received = Received {
        query: &query(uri),
        query_string: uri.query().unwrap_or_default(),
        content_type: headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()),
        body: &body,
    };
    match api.service.take_callback(app, &received).await {
        Ok(taken) => answer("push", taken),
        Err(problem) => refuse(problem),
    }
}

fn query(uri: &Uri) -> Query {
    axum::extract::Query::try_from_uri(uri).map(|query| query.0).unwrap_or_default()
}

fn too_large(app: &App) -> Response {
    tracing::warn!(app = app.app_id, reason = "too_large", "a callback was refused");
    metrics::counter!("hongyan_callbacks_total", "what" => "push", "verdict" => "too_large").increment(1);
    (StatusCode::PAYLOAD_TOO_LARGE, "larger than 256 KiB").into_response()
}

fn refuse(problem: Problem) -> Response {
    metrics::counter!("hongyan_callbacks_total", "what" => "push", "verdict" => problem.code).increment(1);
    ApiProblem(problem).into_response()
}

fn answer(what: &'static str, answer: Answer) -> Response {
    let verdict = match &answer {
        Answer::Text(_) | Answer::Reply { .. } => "ok",
        Answer::Refused { reason, .. } => reason,
    };
    metrics::counter!("hongyan_callbacks_total", "what" => what, "verdict" => verdict).increment(1);
    match answer {
        Answer::Text(text) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response(),
        Answer::Reply { body, content_type } => {
            let mut response = body.into_response();
            response.headers_mut().remove(header::CONTENT_TYPE);
            if let Some(value) = content_type.and_then(|text| HeaderValue::from_str(&text).ok()) {
                response.headers_mut().insert(header::CONTENT_TYPE, value);
            }
            response
        }
        Answer::Refused { status, detail, .. } => {
            (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), detail).into_response()
        }
    }
}
