//! `/docs`: the interface as a page, made from the same document that programs read, in Chinese or English. No script, no foreign host.

mod call;
mod schema;
mod words;

use std::fmt::Write;

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;
use service::Lang;
use service::problem::codes;

use crate::body::Query;
use crate::openapi::{self, TAGS};
use crate::problem::status;
use crate::{language, openapi::Tag};
use words::Words;

const STYLE: &str = include_str!("docs/style.css");

/// The language of the page.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Spoken {
    /// zh or en; that of the browser unless given.
    lang: Option<String>,
}

/// This document, for programs.
#[utoipa::path(get, path = "/api/v1/openapi.json", responses((status = 200, body = Value, content_type = "application/json", description = "OpenAPI 3.1")))]
pub(crate) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi::document().to_string()).into_response()
}

/// This document, for people.
#[utoipa::path(get, path = "/docs", params(Spoken), responses((status = 200, body = String, content_type = "text/html", description = "A page")))]
pub(crate) async fn page(Query(spoken): Query<Spoken>, headers: HeaderMap) -> Response {
    let lang = match spoken.lang.as_deref() {
        Some("en") => Lang::En,
        Some("zh") => Lang::Zh,
        _ => language::of(&headers),
    };
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::VARY, "accept-language"),
    ];
    (headers, render(openapi::document(), lang)).into_response()
}

fn render(document: &Value, lang: Lang) -> String {
    let words = Words::of(lang);
    let calls = calls(document);
    let mut page = format!(
        "<!doctype html><html lang=\"{}\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{}</title><style>{STYLE}</style><nav><h1>Hongyan 鸿雁</h1><p>{}</p><ul>",
        words.tag, words.title, words.other
    );
    for tag in &TAGS {
        let _ = write!(page, "<li><a href=\"#tag-{}\">{}</a></li>", tag.name, title(tag, lang));
    }
    let _ = write!(
        page,
        "<li><a href=\"#errors\">{}</a></li><li><a href=\"#schemas\">{}</a></li></ul></nav><main><p>{}</p>",
        words.errors, words.schemas, words.opening
    );
    for tag in &TAGS {
        let purpose = if lang == Lang::Zh { tag.zh.1 } else { tag.en };
        let _ =
            write!(page, "<section id=\"tag-{}\"><h2>{}</h2><p>{purpose}</p>", tag.name, title(tag, lang));
        for (method, path, call) in calls.iter().filter(|(_, _, call)| call["tags"][0] == tag.name) {
            call::write(&mut page, document, method, path, call, &words);
        }
        page.push_str("</section>");
    }
    errors(&mut page, lang, &words);
    let _ = write!(page, "<section id=\"schemas\"><h2>{}</h2>", words.schemas);
    if let Some(all) = document["components"]["schemas"].as_object() {
        for (name, one) in all {
            let _ = write!(
                page,
                "<details id=\"schema-{name}\"><summary><code>{name}</code> <small>{}</small></summary>",
                escape(&text(one, "description"))
            );
            schema::write(&mut page, document, one, 1, &words);
            page.push_str("</details>");
        }
    }
    page.push_str("</section></main>");
    page
}

fn title(tag: &Tag, lang: Lang) -> String {
    match lang {
        Lang::Zh => tag.zh.0.to_owned(),
        Lang::En => tag.name.replace('-', " "),
    }
}

/// Every call, the collections before what is in them.
fn calls(document: &Value) -> Vec<(&str, &str, &Value)> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, call) in methods.as_object().into_iter().flatten() {
            all.push((method.as_str(), path.as_str(), call));
        }
    }
    let order =
        |method: &str| ["post", "get", "put", "patch", "delete"].iter().position(|one| *one == method);
    all.sort_by_key(|(method, path, _)| (*path, order(method)));
    all
}

fn errors(page: &mut String, lang: Lang, words: &Words) {
    let _ = write!(page, "<section id=\"errors\"><h2>{}</h2><p>{}</p>", words.errors, words.about_errors);
    let mut seen = std::collections::BTreeSet::new();
    for (title, of_problem) in [(words.of_requests, true), (words.of_fields, false)] {
        let _ = write!(
            page,
            "<h3>{title}</h3><table><tr><th>{}</th><th>{}</th><th>{}</th></tr>",
            words.code, words.meaning, words.remedy
        );
        for code in codes::all().filter(|code| code.kind.is_some() == of_problem) {
            let number = code
                .kind
                .map(|kind| format!(" <small>{}</small>", status(kind).as_u16()))
                .unwrap_or_default();
            // A word that is both is reached as the problem.
            let id =
                if seen.insert(code.code) { code.code.to_owned() } else { format!("field-{}", code.code) };
            let _ = write!(
                page,
                "<tr id=\"{id}\"><td><code>{}</code>{number}</td><td>{}</td><td>{}</td></tr>",
                code.code,
                escape(code.meaning(lang)),
                escape(code.remedy(lang))
            );
        }
        page.push_str("</table>");
    }
    page.push_str("</section>");
}

/// A text of the document.
fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What a description may hold: code between backquotes, paragraphs, lists.
fn prose(text: &str) -> String {
    let mut out = String::new();
    for part in escape(text).split("\n\n") {
        let mut coded = String::new();
        for (at, piece) in part.split('`').enumerate() {
            let _ =
                if at % 2 == 1 { write!(coded, "<code>{piece}</code>") } else { write!(coded, "{piece}") };
        }
        let _ = write!(out, "<p>{coded}</p>");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_call_and_every_code_and_no_foreign_host() {
        for lang in [Lang::Zh, Lang::En] {
            let page = render(openapi::document(), lang);
            for (_, _, call) in calls(openapi::document()) {
                assert!(page.contains(&format!("id=\"{}\"", text(call, "operationId"))), "{call}");
            }
            for code in codes::all() {
                assert!(page.contains(&format!("id=\"{}\"", code.code)), "{}", code.code);
            }
            for foreign in ["<script", "src=", "href=\"http", "href=\"//", "url("] {
                assert!(!page.contains(foreign), "{foreign}");
            }
        }
    }

    #[test]
    fn what_is_written_between_backquotes_is_code_and_nothing_is_markup() {
        assert_eq!(prose("a `b` <i>"), "<p>a <code>b</code> &lt;i&gt;</p>");
    }
}
