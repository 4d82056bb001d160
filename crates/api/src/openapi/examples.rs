//! Puts the table's examples into the document.

use serde_json::{Map, Value, json};

use super::calls::Call;

pub(super) fn put(operation: &mut Value, call: &Call) {
    // By pointers: an index that is written through makes what is not there.
    if let Some(content) = operation.pointer_mut("/requestBody/content").and_then(Value::as_object_mut)
        && !call.requests.is_empty()
    {
        // One kind of body is usual; where there are two, each shows what is written in its form.
        for (kind, media) in content {
            let fits = |value: &Value| value.is_string() != is_json(kind);
            let all: Map<String, Value> = call
                .requests
                .iter()
                .filter(|(_, value)| fits(value))
                .map(|(name, value)| (name.clone(), json!({ "value": value })))
                .collect();
            if !all.is_empty() {
                media["examples"] = Value::Object(all);
            }
        }
    }
    for (key, example) in &call.answers {
        // Of a status, or of one kind of its answers.
        let (status, only) =
            key.split_once(' ').map_or((key.as_str(), None), |(status, kind)| (status, Some(kind)));
        let content = operation.pointer_mut(&format!("/responses/{status}/content"));
        let Some(content) = content.and_then(Value::as_object_mut) else { continue };
        for (kind, media) in content {
            let fits =
                only.map_or_else(|| example.is_string() != is_json(kind), |only| only == kind.as_str());
            if fits {
                media["examples"] = json!({ "example": { "value": example } });
            }
        }
    }
}

/// Whether a value of this kind is written as JSON in the document: of a stream of events it is one event.
fn is_json(kind: &str) -> bool {
    kind.ends_with("json") || kind == "multipart/form-data" || kind == "text/event-stream"
}
