//! Segments: which people fit, by their tags and attributes. Parsed once from the `where` of an audience, then asked for
//! each person. Used by campaigns.
//!
//! Where both sides are numbers they are compared as numbers, else as texts. An attribute that somebody does not have
//! fits no comparison but `ne`, `exists: false` and what `not` turns round.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// Conditions within conditions at most, and conditions in all.
const DEEPEST: usize = 8;
const MOST: usize = 200;

/// A condition on one person.
#[derive(Debug, Clone, PartialEq)]
pub enum Segment {
    /// All of these.
    And(Vec<Segment>),
    /// One of these.
    Or(Vec<Segment>),
    /// Not this.
    Not(Box<Segment>),
    /// An attribute compared with a value.
    Attribute {
        /// Which.
        name: String,
        /// How.
        op: Op,
        /// With what.
        value: Value,
    },
}

/// How an attribute is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Equal.
    Eq,
    /// Not equal, or not there.
    Ne,
    /// One of a list.
    In,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// More.
    Gt,
    /// More or equal.
    Gte,
    /// There (`true`) or not there (`false`).
    Exists,
}

/// What is wrong with a condition, and where (a JSON pointer into it).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {what}")]
pub struct SegmentError {
    /// Where.
    pub pointer: String,
    /// What.
    pub what: &'static str,
}

impl Op {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "in" => Self::In,
            "lt" => Self::Lt,
            "lte" => Self::Lte,
            "gt" => Self::Gt,
            "gte" => Self::Gte,
            "exists" => Self::Exists,
            _ => return None,
        })
    }
}

impl Segment {
    /// Reads a condition.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(value: &Value) -> Result<Self, SegmentError> {
        parse(value, "", 0, &mut 0)
    }

    /// Whether somebody with these attributes fits.
    pub fn fits(&self, attributes: &HashMap<String, Value>) -> bool {
        match self {
            Self::And(all) => all.iter().all(|one| one.fits(attributes)),
            Self::Or(some) => some.iter().any(|one| one.fits(attributes)),
            Self::Not(one) => !one.fits(attributes),
            Self::Attribute { name, op, value } => compare(attributes.get(name), *op, value),
        }
    }

    /// The attributes that it asks for.
    pub fn names(&self) -> HashSet<&str> {
        match self {
            Self::And(all) | Self::Or(all) => all.iter().flat_map(Self::names).collect(),
            Self::Not(one) => one.names(),
            Self::Attribute { name, .. } => HashSet::from([name.as_str()]),
        }
    }
}

fn parse(value: &Value, at: &str, depth: usize, count: &mut usize) -> Result<Segment, SegmentError> {
    let wrong = |what| Err(SegmentError { pointer: at.to_owned(), what });
    *count += 1;
    if depth > DEEPEST || *count > MOST {
        return wrong("too many conditions within each other");
    }
    let Some(object) = value.as_object() else { return wrong("a condition is an object") };
    let list = |name: &str, count: &mut usize| -> Result<Option<Vec<Segment>>, SegmentError> {
        let Some(value) = object.get(name) else { return Ok(None) };
        let pointer = format!("{at}/{name}");
        let Some(items) = value.as_array().filter(|items| !items.is_empty()) else {
            return Err(SegmentError { pointer, what: "a list of conditions" });
        };
        let parsed = items
            .iter()
            .enumerate()
            .map(|(n, item)| parse(item, &format!("{pointer}/{n}"), depth + 1, count));
        parsed.collect::<Result<_, _>>().map(Some)
    };
    if object.len() == 1 {
        if let Some(all) = list("and", count)? {
            return Ok(Segment::And(all));
        }
        if let Some(some) = list("or", count)? {
            return Ok(Segment::Or(some));
        }
        if let Some(inner) = object.get("not") {
            return Ok(Segment::Not(Box::new(parse(inner, &format!("{at}/not"), depth + 1, count)?)));
        }
    }
    let Some(name) = object.get("attr").and_then(Value::as_str).filter(|name| !name.is_empty()) else {
        return wrong("and, or, not, or attr with op and value");
    };
    let Some(op) = object.get("op").and_then(Value::as_str).and_then(Op::of) else {
        return wrong("op is eq, ne, in, lt, lte, gt, gte or exists");
    };
    if object.keys().any(|key| !matches!(key.as_str(), "attr" | "op" | "value")) {
        return wrong("only attr, op and value belong here");
    }
    let value = object.get("value").cloned();
    let scalar = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    let value = match (op, value) {
        (Op::Exists, None) => Value::Bool(true),
        (Op::Exists, Some(value)) if value.is_boolean() => value,
        (Op::Exists, _) => return wrong("exists takes true or false"),
        (Op::In, Some(Value::Array(items))) if !items.is_empty() && items.iter().all(scalar) => {
            Value::Array(items)
        }
        (Op::In, _) => return wrong("in takes a list of texts or numbers"),
        (_, Some(value)) if scalar(&value) => value,
        _ => return wrong("value is a text, a number, true or false"),
    };
    Ok(Segment::Attribute { name: name.to_owned(), op, value })
}

fn compare(own: Option<&Value>, op: Op, asked: &Value) -> bool {
    let own = own.filter(|own| !own.is_null());
    if op == Op::Exists {
        return own.is_some() == asked.as_bool().unwrap_or(true);
    }
    let Some(own) = own else { return op == Op::Ne };
    let order = |asked: &Value| order(own, asked);
    match op {
        Op::Eq => order(asked).is_eq(),
        Op::Ne => order(asked).is_ne(),
        Op::In => asked.as_array().is_some_and(|items| items.iter().any(|item| order(item).is_eq())),
        Op::Lt => order(asked).is_lt(),
        Op::Lte => order(asked).is_le(),
        Op::Gt => order(asked).is_gt(),
        Op::Gte => order(asked).is_ge(),
        Op::Exists => true,
    }
}

fn order(own: &Value, asked: &Value) -> Ordering {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
    match (number(own), number(asked)) {
        (Some(own), Some(asked)) => own.total_cmp(&asked),
        _ => text(own).cmp(&text(asked)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn fits(condition: &Value, attributes: &Value) -> bool {
        let attributes: HashMap<String, Value> = serde_json::from_value(attributes.clone()).unwrap();
        Segment::parse(condition).unwrap().fits(&attributes)
    }

    #[test]
    fn conditions_say_who_fits() {
        let who = json!({ "building": "3", "floor": 12, "owner": true, "room": "3-1201" });
        for (condition, expected) in [
            (json!({ "attr": "building", "op": "eq", "value": 3 }), true),
            (json!({ "attr": "floor", "op": "gte", "value": "9" }), true),
            (json!({ "attr": "floor", "op": "lt", "value": 12 }), false),
            (json!({ "attr": "room", "op": "in", "value": ["1-1", "3-1201"] }), true),
            (json!({ "attr": "owner", "op": "eq", "value": true }), true),
            (json!({ "attr": "phone", "op": "exists" }), false),
            (json!({ "attr": "phone", "op": "exists", "value": false }), true),
            (json!({ "attr": "phone", "op": "ne", "value": "1" }), true),
            (json!({ "attr": "phone", "op": "lt", "value": "1" }), false),
            (json!({ "not": { "attr": "phone", "op": "eq", "value": "1" } }), true),
            (
                json!({ "and": [{ "attr": "floor", "op": "gt", "value": 3 }, { "or": [
                { "attr": "building", "op": "eq", "value": "9" }, { "attr": "owner", "op": "exists" }] }] }),
                true,
            ),
        ] {
            assert_eq!(fits(&condition, &who), expected, "{condition}");
        }
    }

    #[test]
    fn mistakes_are_found_where_they_are() {
        for (condition, pointer) in [
            (json!([]), ""),
            (json!({}), ""),
            (json!({ "and": [] }), "/and"),
            (json!({ "and": [{ "attr": "a", "op": "like", "value": 1 }] }), "/and/0"),
            (json!({ "not": { "attr": "a", "op": "in", "value": 1 } }), "/not"),
            (json!({ "attr": "a", "op": "eq", "value": {} }), ""),
            (json!({ "attr": "a", "op": "eq", "value": 1, "x": 1 }), ""),
        ] {
            assert_eq!(Segment::parse(&condition).unwrap_err().pointer, pointer, "{condition}");
        }
        let deep = (0..40).fold(json!({ "attr": "a", "op": "exists" }), |inner, _| json!({ "not": inner }));
        assert!(Segment::parse(&deep).is_err());
    }

    proptest! {
        #[test]
        fn not_turns_every_verdict_round(floor in 0i64..30, asked in 0i64..30, op in 0usize..6) {
            let op = ["eq", "ne", "lt", "lte", "gt", "gte"][op];
            let condition = json!({ "attr": "floor", "op": op, "value": asked });
            let who = json!({ "floor": floor });
            let turned = json!({ "not": &condition });
            prop_assert_ne!(fits(&condition, &who), fits(&turned, &who));
        }

        #[test]
        fn numbers_compare_alike_as_text(floor in -50i64..50, asked in -50i64..50) {
            for op in ["eq", "lt", "gte"] {
                let number = json!({ "attr": "f", "op": op, "value": asked });
                let text = json!({ "attr": "f", "op": op, "value": asked.to_string() });
                let who = json!({ "f": floor });
                prop_assert_eq!(fits(&number, &who), fits(&text, &who));
            }
        }
    }
}
