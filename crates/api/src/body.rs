//! Reading JSON bodies and queries, so that what is wrong with them is a problem like any other.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use service::{Kind, Problem};

use crate::problem::ApiProblem;

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiProblem;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiProblem> {
        let Raw(bytes) = Raw::from_request(request, state).await?;
        read(&bytes).map(Self)
    }
}

/// A body as it came.
pub(crate) struct Raw(pub(crate) bytes::Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = ApiProblem;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiProblem> {
        bytes::Bytes::from_request(request, state).await.map(Self).map_err(|_| {
            Problem::new(
                Kind::Malformed,
                "body_unreadable",
                "请求体无法读取，或超过 16 MiB。",
                "The body cannot be read, or is larger than 16 MiB.",
            )
            .into()
        })
    }
}

/// The parameters of a path.
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiProblem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|error| {
            let text = error.body_text();
            Problem::new(
                Kind::Malformed,
                "invalid_path",
                format!("路径里有无法解码的部分：{text}"),
                format!("A part of the path cannot be decoded: {text}"),
            )
            .into()
        })
    }
}

/// Reads a JSON body.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiProblem> {
    serde_json::from_slice(bytes).map_err(|error| {
        // Syntax is the caller's program; a wrong or unknown field is what it asks for.
        let kind = if error.is_data() { Kind::Invalid } else { Kind::Malformed };
        let code = if error.is_data() { "invalid_body" } else { "malformed_json" };
        Problem::new(
            kind,
            code,
            format!("请求体不是有效的 JSON 请求：{error}"),
            format!("The body is not a valid request: {error}"),
        )
        .into()
    })
}

/// Query parameters.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiProblem> {
        axum::extract::Query::try_from_uri(&parts.uri).map(|query| Self(query.0)).map_err(|error| {
            let text = error.body_text();
            Problem::new(
                Kind::Malformed,
                "invalid_query",
                format!("查询参数有误：{text}"),
                format!("A query parameter is wrong: {text}"),
            )
            .into()
        })
    }
}

/// How many items a page has.
pub(crate) fn limit(asked: Option<i64>) -> i64 {
    asked.unwrap_or(50).clamp(1, 500)
}

/// A cursor that this service did not give.
pub(crate) fn bad_cursor() -> ApiProblem {
    Problem::new(
        Kind::Malformed,
        "invalid_cursor",
        "cursor 无效：请原样使用上一页返回的 next_cursor。",
        "The cursor is not one that was given: use next_cursor of the page before as it is.",
    )
    .into()
}

/// An id in a path; one of another form names nothing.
pub(crate) fn id<T: std::str::FromStr>(text: &str, missing: fn() -> ApiProblem) -> Result<T, ApiProblem> {
    text.parse().map_err(|_| missing())
}
