//! The phone page: static files from `assets/`, in the binary, under a policy that allows nothing else.

use axum::{
    Router,
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::Simulator;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

const INDEX: &str = include_str!("../assets/index.html");

const JS: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Name, kind, text.
const FILES: &[(&str, &str, &str)] = &[
    ("api.js", JS, include_str!("../assets/api.js")),
    ("dom.js", JS, include_str!("../assets/dom.js")),
    ("faults.js", JS, include_str!("../assets/faults.js")),
    ("i18n.js", JS, include_str!("../assets/i18n.js")),
    ("icon.svg", SVG, include_str!("../assets/icon.svg")),
    ("inspector.js", JS, include_str!("../assets/inspector.js")),
    ("main.js", JS, include_str!("../assets/main.js")),
    ("mini.js", JS, include_str!("../assets/mini.js")),
    ("notices.js", JS, include_str!("../assets/notices.js")),
    ("page.css", CSS, include_str!("../assets/page.css")),
    ("phone.css", CSS, include_str!("../assets/phone.css")),
    ("settings.js", JS, include_str!("../assets/settings.js")),
    ("sheets.css", CSS, include_str!("../assets/sheets.css")),
    ("sheets.js", JS, include_str!("../assets/sheets.js")),
    ("store.js", JS, include_str!("../assets/store.js")),
    ("tap.js", JS, include_str!("../assets/tap.js")),
    ("wx.js", JS, include_str!("../assets/wx.js")),
];

pub(crate) fn router() -> Router<Simulator> {
    Router::new().route("/", get(index)).route("/phone", get(index)).route("/assets/{name}", get(asset))
}

async fn index() -> Response {
    page("text/html; charset=utf-8", INDEX)
}

async fn asset(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|(file, _, _)| *file == name) {
        Some((_, kind, text)) => page(kind, text),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn page(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text).into_response()
}
