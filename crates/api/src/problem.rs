//! Problems as RFC 9457 answers. A handler returns the service's `Problem`; the outermost layer writes it in the
//! caller's language.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use service::{Kind, Lang, Problem};

use crate::language;
use crate::request::RequestId;

/// A problem on its way out.
pub(crate) struct ApiProblem(pub(crate) Problem);

impl From<Problem> for ApiProblem {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<service::problem::FieldError> for ApiProblem {
    fn from(error: service::problem::FieldError) -> Self {
        Self(error.into())
    }
}

/// The body of a problem (RFC 9457).
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(example = json!({"type": "/docs#validation_failed", "title": "Unprocessable Entity", "status": 422, "code": "validation_failed",
    "detail": "thing8 has 24 characters, 20 at most.",
    "errors": [{"pointer": "/data/thing8", "code": "too_long", "detail": "thing8 has 24 characters, 20 at most."}]}))]
pub(crate) struct ProblemBody {
    /// Where the code is explained.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// The stable code.
    code: String,
    /// What, where, and what to do.
    detail: String,
    /// Each wrong field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldBody>,
    /// By which the request is found in the log; the answer's `x-request-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// One wrong field.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct FieldBody {
    /// JSON pointer into the request.
    pointer: String,
    /// The stable code.
    code: String,
    /// What is wrong and what to do.
    detail: String,
}

pub(crate) fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Malformed => StatusCode::BAD_REQUEST,
        Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Unauthorized => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Upstream => StatusCode::BAD_GATEWAY,
    }
}

impl ProblemBody {
    pub(crate) fn new(problem: &Problem, lang: Lang) -> Self {
        let status = status(problem.kind);
        Self {
            kind: format!("/docs#{}", problem.code),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            code: problem.code.to_owned(),
            detail: problem.detail(lang).to_owned(),
            errors: problem
                .errors
                .iter()
                .map(|error| FieldBody {
                    pointer: error.pointer.clone(),
                    code: error.code.to_owned(),
                    detail: error.detail(lang).to_owned(),
                })
                .collect(),
            request_id: None,
        }
    }
}

impl IntoResponse for ApiProblem {
    fn into_response(self) -> Response {
        let mut response = status(self.0.kind).into_response();
        let later = self.0.retry_after.or(match self.0.kind {
            Kind::Unavailable => Some(1),
            Kind::TooMany => Some(900),
            _ => None,
        });
        if let Some(later) = later {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(later));
        }
        if self.0.kind == Kind::Unauthorized {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(Arc::new(self.0));
        response
    }
}

/// Writes the problem of a response in the request's language.
pub(crate) async fn render(request: Request, next: Next) -> Response {
    let lang = language::of(request.headers());
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    let response = next.run(request).await;
    let Some(problem) = response.extensions().get::<Arc<Problem>>().cloned() else { return response };
    let body = ProblemBody { request_id: id, ..ProblemBody::new(&problem, lang) };
    let body = serde_json::to_vec(&body).unwrap_or_default();
    let (mut parts, _) = response.into_parts();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let tag = match lang {
        Lang::Zh => "zh-CN",
        Lang::En => "en",
    };
    parts.headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(tag));
    Response::from_parts(parts, body.into())
}

/// A path that leads nowhere.
pub(crate) fn no_route() -> ApiProblem {
    ApiProblem(Problem::new(
        Kind::NotFound,
        "route_not_found",
        "没有这个地址；接口说明见 /docs。",
        "There is nothing at this address; /docs describes the interface.",
    ))
}
