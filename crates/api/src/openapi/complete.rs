//! Completes the document of utoipa: names, tags, scopes, every error with its codes, headers, examples. Used by the document alone.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use service::Lang;
use service::problem::codes;

use super::calls::{self, Call, TAGS};
use super::{examples, headers};
use crate::problem;

const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

pub(super) fn complete(document: utoipa::openapi::OpenApi) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    let mut table = match calls::table() {
        Ok(table) => table,
        Err(error) => {
            tracing::error!(%error, "the table of calls cannot be read");
            BTreeMap::new()
        }
    };
    document["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    document["info"]["license"] = json!({ "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" });
    document["tags"] = TAGS
        .iter()
        .map(|tag| json!({ "name": tag.name, "description": tag.en, "x-zh": format!("{}：{}", tag.zh.0, tag.zh.1) }))
        .collect();
    document["components"]["securitySchemes"] = json!({
        "key": { "type": "http", "scheme": "bearer", "description": "An API key (`hongyan key create`). Its scopes: read, send, manage, token." },
        "session": { "type": "http", "scheme": "bearer", "description": "A session of one user, by POST …/mp-sessions or POST /mp/{app_id}/login; good for two hours." },
    });
    document["components"]["parameters"] = headers::parameters();
    document["components"]["headers"] = headers::answers();
    one_shape(&mut document);
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, methods) in paths {
            for method in METHODS {
                let Some(operation) = methods.get_mut(method) else { continue };
                if let Some((tag, call)) = table.remove(&format!("{} {path}", method.to_uppercase())) {
                    operation["tags"] = json!([tag.name]);
                    one(operation, path, &call);
                }
            }
        }
    }
    document
}

/// What is flattened into another thing is an `allOf` to utoipa; where one part allows nothing else, no value would fit both.
fn one_shape(document: &mut Value) {
    let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) else {
        return;
    };
    let before = schemas.clone();
    for schema in schemas.values_mut() {
        let Some(parts) = schema["allOf"].as_array().cloned() else { continue };
        let resolved = parts.iter().map(|part| {
            let name = part["$ref"].as_str().and_then(|path| path.rsplit('/').next());
            name.and_then(|name| before.get(name)).unwrap_or(part)
        });
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for part in resolved {
            properties.extend(part["properties"].as_object().cloned().unwrap_or_default());
            required.extend(part["required"].as_array().cloned().unwrap_or_default());
        }
        let description = schema["description"].clone();
        *schema = json!({ "type": "object", "properties": properties, "required": required });
        if description.is_string() {
            schema["description"] = description;
        }
    }
}

fn one(operation: &mut Value, path: &str, call: &Call) {
    operation["operationId"] = json!(call.id);
    operation["x-zh"] = json!(call.zh);
    operation["security"] = match call.scope.as_deref() {
        None => json!([]),
        Some("session") => json!([{ "session": [] }]),
        Some(scope) => json!([{ "key": [scope] }]),
    };
    let needs = match call.scope.as_deref() {
        None => None,
        Some("session") => Some("Needs a session.".to_owned()),
        Some(scope) if call.all_apps => Some(format!("Needs a key for all apps with the scope `{scope}`.")),
        Some(scope) => Some(format!("Needs the scope `{scope}`.")),
    };
    let said = operation["description"].as_str().map(str::to_owned);
    let description: Vec<String> = said.into_iter().chain(needs).collect();
    if !description.is_empty() {
        operation["description"] = json!(description.join("\n\n"));
    }
    headers::of_request(operation, path, call.scope.is_some());
    errors(operation, path, call);
    headers::of_answers(operation);
    examples::put(operation, call);
}

/// The codes of every call that is like this one.
fn usual(operation: &Value, path: &str, call: &Call) -> Vec<&'static str> {
    let mut codes = Vec::new();
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    match call.scope.as_deref() {
        None => {}
        Some("session") => codes.extend(["invalid_session", "session_expired", "store_unavailable"]),
        Some(_) => codes.extend(["unauthorized", "missing_scope", "store_unavailable"]),
    }
    if path.contains("{app_id}") {
        codes.extend(["app_not_found", "store_unavailable"]);
    }
    if path.contains('{') {
        codes.push("invalid_path");
    }
    if call.scope.is_some() && parameters.iter().any(|one| one["in"] == "query") {
        codes.push("invalid_query");
    }
    if parameters.iter().any(|one| one["name"] == "cursor") {
        codes.push("invalid_cursor");
    }
    let takes = |kind: &str| operation["requestBody"]["content"].get(kind).is_some();
    if path.starts_with("/callback") {
        return codes;
    }
    if takes("application/json") {
        codes.extend(["malformed_json", "body_unreadable", "invalid_body"]);
    }
    if takes("text/csv") {
        codes.extend(["invalid_csv", "body_unreadable"]);
    }
    if takes("multipart/form-data") {
        codes.extend(["no_form", "body_unreadable"]);
    }
    codes
}

/// Puts every error in place of what the handler's document says of them.
fn errors(operation: &mut Value, path: &str, call: &Call) {
    let mut by_status: BTreeMap<u16, Vec<&'static codes::Code>> = BTreeMap::new();
    let own = call.codes.iter().map(String::as_str);
    for word in usual(operation, path, call).into_iter().chain(own) {
        let Some((code, kind)) = codes::of_problem(word).and_then(|code| Some((code, code.kind?))) else {
            continue;
        };
        let all = by_status.entry(problem::status(kind).as_u16()).or_default();
        if all.iter().all(|other| other.code != code.code) {
            all.push(code);
        }
    }
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    responses.remove("default");
    for (status, codes) in by_status {
        let line = |code: &&codes::Code| format!("- `{}`: {}", code.code, code.meaning(Lang::En));
        let text = codes.iter().map(line).collect::<Vec<_>>().join("\n");
        let known: Vec<&str> = codes.iter().map(|code| code.code).collect();
        let problem = json!({ "schema": { "$ref": "#/components/schemas/ProblemBody" } });
        // The callback answers text too: that stays beside it.
        let before = responses.remove(&status.to_string()).unwrap_or_default();
        let mut content: Map<String, Value> = before["content"].as_object().cloned().unwrap_or_default();
        content.insert("application/problem+json".to_owned(), problem);
        let text = match before["description"].as_str() {
            Some(said) => format!("{said}\n{text}"),
            None => text,
        };
        responses
            .insert(status.to_string(), json!({ "description": text, "content": content, "x-codes": known }));
    }
}
