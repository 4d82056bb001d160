//! `/docs`: the interface as a page, made from the same document that programs read. No script, no foreign host.

use std::fmt::Write;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

const STYLE: &str = "body{font:16px/1.6 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}\
code,pre{font-family:ui-monospace,monospace}article{border-top:1px solid #8884;padding:.5rem 0}\
b{display:inline-block;min-width:4.5em;color:#07c160}li{margin:.1rem 0}small{opacity:.75}";

pub(crate) async fn page() -> Response {
    let document = serde_json::to_value(crate::openapi()).unwrap_or_default();
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    (
        [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, policy)],
        render(&document),
    )
        .into_response()
}

fn render(document: &Value) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"zh\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Hongyan API</title><style>{STYLE}</style><h1>Hongyan 鸿雁 API</h1><p>{}</p>\
         <p><a href=\"api/v1/openapi.json\">openapi.json</a></p>",
        escape(document["info"]["description"].as_str().unwrap_or_default())
    );
    let empty = serde_json::Map::new();
    for (path, methods) in document["paths"].as_object().unwrap_or(&empty) {
        for (method, call) in methods.as_object().unwrap_or(&empty) {
            let text = |name: &str| escape(call[name].as_str().unwrap_or_default());
            let _ = write!(
                page,
                "<article><h2><b>{}</b> <code>{}</code></h2><p>{} <small>{}</small></p><ul>",
                method.to_uppercase(),
                escape(path),
                text("summary"),
                text("description")
            );
            for (status, answer) in call["responses"].as_object().unwrap_or(&empty) {
                let description = escape(answer["description"].as_str().unwrap_or_default());
                let _ = write!(page, "<li><code>{}</code> {description}</li>", escape(status));
            }
            page.push_str("</ul></article>");
        }
    }
    page
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
