//! The document is whole, and the committed files are what the code gives.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;
use service::Lang;
use service::problem::codes;

use super::{calls, document};

fn operations() -> Vec<(String, &'static Value)> {
    let paths = document()["paths"].as_object().unwrap();
    let of_path = |(path, methods): (&String, &'static Value)| {
        let path = path.clone();
        methods
            .as_object()
            .unwrap()
            .iter()
            .map(move |(method, call)| (format!("{} {path}", method.to_uppercase()), call))
    };
    paths.iter().flat_map(of_path).collect()
}

#[test]
fn every_call_stands_in_the_table_and_nothing_else_does() {
    let table: BTreeSet<String> = calls::table().unwrap().into_keys().collect();
    let there: BTreeSet<String> = operations().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        there.difference(&table).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "give these an entry in openapi/calls/"
    );
    assert_eq!(table.difference(&there).collect::<Vec<_>>(), Vec::<&String>::new(), "no such call");
}

#[test]
fn every_name_is_the_only_one_and_every_code_is_a_problems() {
    let mut names = BTreeSet::new();
    for (call, (_, known)) in calls::table().unwrap() {
        assert!(names.insert(known.id.clone()), "{call}: {} is another call's", known.id);
        for code in &known.codes {
            assert!(codes::of_problem(code).is_some(), "{call}: {code} is no problem's code");
        }
    }
}

#[test]
fn every_body_and_every_answer_has_an_example() {
    let mut bare = Vec::new();
    for (name, call) in operations() {
        for (kind, media) in call["requestBody"]["content"].as_object().into_iter().flatten() {
            if media["examples"].is_null() {
                bare.push(format!("{name}: body {kind}"));
            }
        }
        for (status, answer) in call["responses"].as_object().unwrap() {
            assert_ne!(status, "default", "{name}: say which");
            for (kind, media) in answer["content"].as_object().into_iter().flatten() {
                // A workbook's bytes are nothing to read.
                if status.starts_with('2') && media["examples"].is_null() && !kind.contains("spreadsheetml") {
                    bare.push(format!("{name}: {status} {kind}"));
                }
            }
        }
    }
    assert!(bare.is_empty(), "without an example:\n{}", bare.join("\n"));
}

/// `cargo xtask gen` runs this test to write the files in place of comparing them.
#[test]
fn the_committed_documents_are_what_the_code_gives() {
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let json = format!("{}\n", serde_json::to_string_pretty(document()).unwrap());
    let (en, zh) = (super::markdown::errors(Lang::En), super::markdown::errors(Lang::Zh));
    for (name, text) in [("openapi.json", json), ("ERRORS.md", en), ("zh/ERRORS.md", zh)] {
        let file = docs.join(name);
        if std::env::var_os("HONGYAN_WRITE_DOCS").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&file).unwrap_or_default();
        // Not assert_eq: nobody wants to read both.
        assert!(committed == text, "docs/{name} is not what the code gives; renew it by: cargo xtask gen");
    }
}
