//! The headers of requests and answers. Used to complete the document.

use serde_json::{Value, json};

/// Parameters that several calls share.
pub(super) fn parameters() -> Value {
    json!({
        "AcceptLanguage": {
            "name": "Accept-Language", "in": "header", "required": false,
            "description": "Of texts for people: zh (unless told otherwise) or en.",
            "schema": { "type": "string" }, "example": "en",
        },
    })
}

/// Headers of answers.
pub(super) fn answers() -> Value {
    json!({
        "RetryAfter": { "description": "In how many seconds it may be tried again.", "schema": { "type": "integer", "minimum": 0 } },
        "IdempotentReplayed": { "description": "There where the answer is that of an earlier call with the same Idempotency-Key.", "schema": { "type": "string", "enum": ["true"] } },
        "ContentLanguage": { "description": "The language of the texts for people.", "schema": { "type": "string", "enum": ["zh-CN", "en"] } },
        "WwwAuthenticate": { "description": "How a caller identifies itself.", "schema": { "type": "string" } },
    })
}

/// Examples of parameters, by their names.
const EXAMPLES: [(&str, &str); 6] = [
    ("app_id", "wxba5fad812f8e6fb9"),
    ("openid", "oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s"),
    ("template_id", "4ondVRxk4L20ihrJ3iI15BDK72XatGPxE0MeCVwHasQ"),
    ("Idempotency-Key", "bill-2026-11-1201"),
    ("Prefer", "wait=5"),
    ("tid", "99"),
];

pub(super) fn of_request(operation: &mut Value, path: &str, identified: bool) {
    if operation["parameters"].is_null() {
        operation["parameters"] = json!([]);
    }
    let Some(all) = operation["parameters"].as_array_mut() else { return };
    for one in all.iter_mut() {
        if let Some((_, example)) = EXAMPLES.iter().find(|(name, _)| one["name"] == *name) {
            one["example"] = json!(example);
        }
        if one["name"] == "Idempotency-Key" {
            one["schema"] =
                json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" });
        }
        if one["name"] == "limit" {
            one["schema"] = json!({ "type": "integer", "minimum": 1, "maximum": 500, "default": 50 });
        }
    }
    if identified || path.contains("{app_id}") {
        all.push(json!({ "$ref": "#/components/parameters/AcceptLanguage" }));
    }
    if all.is_empty()
        && let Some(operation) = operation.as_object_mut()
    {
        operation.remove("parameters");
    }
}

pub(super) fn of_answers(operation: &mut Value) {
    let keyed = operation["parameters"]
        .as_array()
        .is_some_and(|all| all.iter().any(|one| one["name"] == "Idempotency-Key"));
    let Some(answers) = operation["responses"].as_object_mut() else { return };
    for (status, answer) in answers {
        let mut put = |name: &str, component: &str| {
            answer["headers"][name] = json!({ "$ref": format!("#/components/headers/{component}") });
        };
        match status.as_str() {
            "401" => put("WWW-Authenticate", "WwwAuthenticate"),
            "429" | "503" => put("Retry-After", "RetryAfter"),
            success if success.starts_with('2') && keyed => put("Idempotent-Replayed", "IdempotentReplayed"),
            _ => {}
        }
        if answer["content"].get("application/problem+json").is_some() {
            answer["headers"]["Content-Language"] = json!({ "$ref": "#/components/headers/ContentLanguage" });
        }
    }
}
