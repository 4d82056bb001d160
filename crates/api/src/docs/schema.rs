//! A schema on the page: its fields, nested as deep as is asked for; what lies deeper is linked.

use std::fmt::Write;

use serde_json::Value;

use super::words::Words;
use super::{escape, text};

/// What a reference points to.
pub(super) fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let Some(path) = value["$ref"].as_str().and_then(|path| path.strip_prefix('#')) else { return value };
    document.pointer(path).unwrap_or(value)
}

fn name(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

/// Its type in a word.
pub(super) fn kind(schema: &Value) -> String {
    if let Some(name) = name(schema) {
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        if let Some(all) = schema[several].as_array() {
            return all.iter().map(kind).filter(|one| one != "null").collect::<Vec<_>>().join(" | ");
        }
    }
    if let Some(all) = schema["enum"].as_array() {
        return all.iter().map(|one| escape(&one.to_string())).collect::<Vec<_>>().join(" | ");
    }
    match &schema["type"] {
        Value::String(one) if one == "array" => format!("[{}]", kind(&schema["items"])),
        Value::String(one) => escape(one),
        Value::Array(all) => {
            let words: Vec<&str> =
                all.iter().filter_map(Value::as_str).filter(|one| *one != "null").collect();
            if words == ["array"] { format!("[{}]", kind(&schema["items"])) } else { words.join(" | ") }
        }
        _ => "any".to_owned(),
    }
}

/// Its fields.
pub(super) fn write(page: &mut String, document: &Value, schema: &Value, depth: u8, words: &Words) {
    let resolved = resolve(document, schema);
    for several in ["oneOf", "anyOf", "allOf"] {
        for one in resolved[several].as_array().into_iter().flatten().filter(|one| one["type"] != "null") {
            write(page, document, one, depth, words);
        }
    }
    let items = resolve(document, &resolved["items"]);
    let fields = resolved["properties"].as_object().or_else(|| items["properties"].as_object());
    let Some(fields) = fields else {
        if resolved["oneOf"].is_null() && resolved["allOf"].is_null() && resolved["anyOf"].is_null() {
            let _ = write!(page, "<p><small>{}</small></p>", kind(resolved));
        }
        return;
    };
    let required = resolved["required"].as_array().or_else(|| items["required"].as_array());
    page.push_str("<ul class=\"fields\">");
    for (field, inner) in fields {
        let needed = required.is_some_and(|all| all.iter().any(|one| one == field));
        let mark = if needed { format!(" <i>{}</i>", words.required) } else { String::new() };
        let _ = write!(
            page,
            "<li><code>{}</code> <small>{}</small>{mark} {}",
            escape(field),
            kind(inner),
            escape(&text(inner, "description"))
        );
        let target = if inner["items"].is_null() { inner } else { &inner["items"] };
        let nested = resolve(document, target);
        if depth > 1 && !nested["properties"].is_null() {
            write(page, document, target, depth - 1, words);
        }
        page.push_str("</li>");
    }
    page.push_str("</ul>");
}
