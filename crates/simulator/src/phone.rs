//! The phone page: static files from `assets/`, in the binary, under a policy that allows nothing else but the frame with
//! somebody's own mini program; and that mini program, where it is served from here.

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::Simulator;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; frame-src 'self' http: https:; \
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
    ("own.js", JS, include_str!("../assets/own.js")),
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
    Router::new()
        .route("/", get(index))
        .route("/phone", get(index))
        .route("/assets/{name}", get(asset))
        .route("/bridge.js", get(bridge))
        .route("/mini-program/", get(mini_program))
        .route("/mini-program/{*path}", get(mini_program))
}

/// What an H5 page of any origin includes to be a mini program in the phone; it imports from `assets/`.
async fn bridge() -> Response {
    page(JS, include_str!("../assets/bridge.js"))
}

/// A file of the mini program that was given as a folder; its pages get the bridge.
async fn mini_program(
    State(sim): State<Simulator>,
    path: Option<Path<String>>,
    request: axum::extract::Request,
) -> Response {
    const HEAD: &str = "<head>";
    let Some(folder) = &sim.0.config.mini_program else { return StatusCode::NOT_FOUND.into_response() };
    let path = path.map_or_else(String::new, |Path(path)| path);
    if !path.is_empty() && path != "index.html" {
        let uri = format!("/{path}");
        let Ok(uri) = uri.parse() else { return StatusCode::BAD_REQUEST.into_response() };
        let mut request = request;
        *request.uri_mut() = uri;
        let Ok(answer) = tower_http::services::ServeDir::new(folder).try_call(request).await else {
            return StatusCode::NOT_FOUND.into_response();
        };
        return answer.into_response();
    }
    match tokio::fs::read_to_string(folder.join("index.html")).await {
        Ok(html) => {
            let bridge = format!("{HEAD}<script type=\"module\" src=\"/bridge.js\"></script>");
            axum::response::Html(html.replacen(HEAD, &bridge, 1)).into_response()
        }
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
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
        // Pages of other origins import the bridge; nothing here is secret.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    ];
    (headers, text).into_response()
}
