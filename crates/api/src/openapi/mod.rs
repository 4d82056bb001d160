//! The interface's document: what utoipa reads from the handlers, completed by what it cannot know (scopes, every error, examples, Chinese).
//! Served as `openapi.json`, shown by `/docs`, printed by `hongyan openapi`, committed as docs/openapi.json.

mod calls;
mod complete;
mod examples;
mod headers;

#[cfg(test)]
mod markdown;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use serde_json::Value;
use utoipa::OpenApi;

pub(crate) use calls::{TAGS, Tag};

use crate::problem::ProblemBody;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Hongyan 鸿雁",
        description = "WeChat Mini Program subscribe messages: sent, counted, and proved.\n\n\
            Calls under /api/v1 carry `Authorization: Bearer KEY` (`hongyan key create`); a key has scopes (read, send, manage, token) and sees \
            one app or all. Calls under /mp carry a session in its place. Errors are `application/problem+json` (RFC 9457) with a stable `code`; \
            their text follows `Accept-Language` (zh or en). Times are RFC 3339 with an offset. Lists are paged by an opaque `cursor`; a page may be \
            short while there are more."
    ),
    components(schemas(ProblemBody))
)]
pub(crate) struct Document;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| complete::complete(crate::server::documented().into_openapi()));

/// The whole document, as OpenAPI 3.1.
pub fn openapi() -> Value {
    DOCUMENT.clone()
}

/// The same, to be read.
pub(crate) fn document() -> &'static Value {
    &DOCUMENT
}
