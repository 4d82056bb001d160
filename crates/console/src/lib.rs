#![doc = include_str!("../README.md")]

use askama::Template;
use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

/// Scripts, frames and foreign hosts are shut out; the one style sheet stands in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "front_door.html")]
struct FrontDoor {
    zh: bool,
    version: &'static str,
}

/// The console's pages, to be mounted beside the API.
pub fn router() -> Router {
    Router::new().route("/", get(front_door))
}

async fn front_door(headers: HeaderMap) -> Response {
    let language = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or("zh");
    let zh = !language.trim_start().to_ascii_lowercase().starts_with("en");
    match (FrontDoor { zh, version: env!("CARGO_PKG_VERSION") }).render() {
        Ok(page) => ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(page)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
