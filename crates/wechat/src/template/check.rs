//! Checks the data of a message against its template: used before a message is taken.
//!
//! Source: official page "发送订阅消息": a wrong field makes WeChat refuse the whole message (47003).

use std::collections::BTreeMap;

use super::value::check_value;
use super::{Field, FieldKind, FieldProblem, MAX_UNKNOWN_KEYS, ProblemCode};

/// Gives everything that is wrong with `data` for a template with these `fields`, in the order of the template, unknown
/// keys last (the first [`MAX_UNKNOWN_KEYS`] of them); nothing if it can be sent.
///
/// No value is ever changed, not even trimmed. Without known fields every key is unknown, so do not ask then.
pub fn check(fields: &[Field], data: &BTreeMap<String, String>) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    for field in fields {
        let new = |code, limit, length| FieldProblem {
            key: field.key.clone(),
            code,
            field: Some(field.clone()),
            limit,
            length,
            suggestion: None,
        };
        match data.get(&field.key) {
            None => problems.push(new(ProblemCode::Missing, None, None)),
            Some(value) => {
                let found = check_value(&field.kind, value, &field.enum_values);
                problems.extend(found.into_iter().map(|one| new(one.code, one.limit, one.length)));
            }
        }
    }
    let mut free: Vec<&Field> = fields.iter().filter(|field| !data.contains_key(&field.key)).collect();
    let unknown = data.keys().filter(|key| !fields.iter().any(|field| field.key == **key));
    let unknown: Vec<&String> = unknown.take(MAX_UNKNOWN_KEYS).collect();
    // Labels first: a sure match must not be taken by a guess.
    let mut suggested: BTreeMap<&String, String> = BTreeMap::new();
    for by in [same_label, same_kind] {
        for key in unknown.iter().filter(|key| !suggested.contains_key(**key)).copied().collect::<Vec<_>>() {
            if let Some(at) = free.iter().position(|field| by(field, key)) {
                suggested.insert(key, free.remove(at).key.clone());
            }
        }
    }
    for key in unknown {
        problems.push(FieldProblem {
            key: key.clone(),
            code: ProblemCode::UnknownField,
            field: None,
            limit: None,
            length: None,
            suggestion: suggested.remove(key),
        });
    }
    problems
}

/// The data use the label for a key (or another case of the key).
fn same_label(field: &Field, key: &str) -> bool {
    let key = key.trim();
    (!field.label.is_empty() && field.label == key) || field.key.eq_ignore_ascii_case(key)
}

/// The data have the right kind with another number, as when a template was chosen anew.
fn same_kind(field: &Field, key: &str) -> bool {
    let (kind, _) = FieldKind::from_key(key);
    kind == field.kind
}
