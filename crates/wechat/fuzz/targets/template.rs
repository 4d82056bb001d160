//! A template's content and example, and values for its fields. The input is divided at zero bytes: content, example,
//! then keys and values by turns.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use wechat::Lang;
use wechat::template::{FieldKind, ProblemCode, check, parse_content};

fuzz_target!(|input: &[u8]| {
    let mut parts = input.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let (content, example) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut data = BTreeMap::new();
    while let Some(key) = parts.next() {
        data.insert(key.into_owned(), parts.next().unwrap_or_default().into_owned());
    }
    let listed = BTreeMap::from([("enum_string2.DATA".to_owned(), vec!["甲".to_owned()])]);
    let fields = parse_content(&content, &example, &listed);
    for field in &fields {
        assert!(content.contains(&field.key));
        assert_eq!((field.kind.clone(), field.number), FieldKind::from_key(&field.key));
    }
    for problem in check(&fields, &data) {
        let unknown = !fields.iter().any(|field| field.key == problem.key);
        assert_eq!(problem.code == ProblemCode::UnknownField, unknown);
        assert!(data.contains_key(&problem.key) || problem.code == ProblemCode::Missing);
        for lang in [Lang::Zh, Lang::En] {
            assert!(!problem.detail(lang).is_empty());
        }
    }
});
