//! One call on the page: what it needs, its parameters, its body, its answers.

use std::fmt::Write;

use serde_json::Value;
use service::Lang;

use super::words::Words;
use super::{escape, prose, schema, text};

pub(super) fn write(
    page: &mut String,
    document: &Value,
    method: &str,
    path: &str,
    call: &Value,
    words: &Words,
) {
    let summary = match words.lang {
        Lang::Zh => text(call, "x-zh"),
        Lang::En => text(call, "summary"),
    };
    // A link to what is inside opens the fold; one to the fold itself does not.
    let _ = write!(
        page,
        "<details><summary><span class=\"scope\">{}</span><b class=\"{method}\">{}</b> <code>{}</code> <span>{}</span></summary><div class=\"in\" id=\"{}\">",
        needs(call, words),
        method.to_uppercase(),
        escape(path),
        escape(&summary),
        text(call, "operationId"),
    );
    if words.lang == Lang::Zh {
        page.push_str(&prose(&text(call, "summary")));
    }
    page.push_str(&prose(&text(call, "description")));
    parameters(page, document, call, words);
    if let Some(content) = call["requestBody"]["content"].as_object() {
        let _ = write!(page, "<h4>{}</h4>{}", words.body, prose(&text(&call["requestBody"], "description")));
        content_of(page, document, content, words);
    }
    let _ = write!(page, "<h4>{}</h4>", words.answers);
    for (status, answer) in call["responses"].as_object().into_iter().flatten() {
        one_answer(page, document, status, answer, words);
    }
    page.push_str("</div></details>");
}

fn needs(call: &Value, words: &Words) -> String {
    match call["security"][0].as_object().and_then(|one| one.iter().next()) {
        None => words.open.to_owned(),
        Some((name, _)) if name == "session" => words.session.to_owned(),
        Some((_, scopes)) => format!("{} {}", words.scope, scopes[0].as_str().unwrap_or_default()),
    }
}

fn parameters(page: &mut String, document: &Value, call: &Value, words: &Words) {
    let Some(all) = call["parameters"].as_array().filter(|all| !all.is_empty()) else { return };
    let _ = write!(page, "<h4>{}</h4><table>", words.parameters);
    for one in all {
        let one = schema::resolve(document, one);
        let required =
            if one["required"] == true { format!(" <i>{}</i>", words.required) } else { String::new() };
        let example = match &one["example"] {
            Value::Null => String::new(),
            Value::String(text) => {
                format!(" <small>{}：<code>{}</code></small>", words.example, escape(text))
            }
            other => {
                format!(" <small>{}：<code>{}</code></small>", words.example, escape(&other.to_string()))
            }
        };
        let _ = write!(
            page,
            "<tr><td><code>{}</code> <small>{} · {}</small>{required}</td><td>{}{example}</td></tr>",
            escape(&text(one, "name")),
            escape(&text(one, "in")),
            schema::kind(&one["schema"]),
            escape(&text(one, "description")),
        );
    }
    page.push_str("</table>");
}

fn one_answer(page: &mut String, document: &Value, status: &str, answer: &Value, words: &Words) {
    let good = status.starts_with('2');
    if let Some(codes) = answer["x-codes"].as_array().filter(|_| !good) {
        let _ = write!(page, "<p><code class=\"bad\">{status}</code>");
        for code in codes.iter().filter_map(Value::as_str) {
            let _ = write!(page, " <a href=\"#{code}\"><code>{code}</code></a>");
        }
        page.push_str("</p>");
        return;
    }
    let class = if good { "ok" } else { "bad" };
    let _ = write!(
        page,
        "<p><code class=\"{class}\">{status}</code> {}</p>",
        escape(&text(answer, "description"))
    );
    let headers: Vec<String> = answer["headers"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, header)| {
            let header = schema::resolve(document, header);
            format!("<code>{}</code> {}", escape(name), escape(&text(header, "description")))
        })
        .collect();
    if !headers.is_empty() {
        let _ = write!(page, "<p><small>{}: {}</small></p>", words.headers, headers.join("; "));
    }
    if let Some(content) = answer["content"].as_object() {
        content_of(page, document, content, words);
    }
}

fn content_of(page: &mut String, document: &Value, content: &serde_json::Map<String, Value>, words: &Words) {
    for (kind, media) in content {
        let _ = write!(page, "<p><small><code>{}</code></small></p>", escape(kind));
        if !media["schema"].is_null() {
            schema::write(page, document, &media["schema"], 2, words);
        }
        for (name, example) in media["examples"].as_object().into_iter().flatten() {
            let value = &example["value"];
            let shown = match value {
                Value::String(text) => text.clone(),
                other => serde_json::to_string_pretty(other).unwrap_or_default(),
            };
            let title = if name == "example" {
                words.example.to_owned()
            } else {
                format!("{}: {}", words.example, name)
            };
            let _ = write!(
                page,
                "<details><summary><small>{}</small></summary><pre>{}</pre></details>",
                escape(&title),
                escape(&shown)
            );
        }
    }
}
