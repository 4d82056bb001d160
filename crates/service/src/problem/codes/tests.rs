//! No code is forgotten: the sources are read for every problem and field error that is made.

use std::path::{Path, PathBuf};

use super::*;

/// Where the code of a problem is no literal: these hand on what another table says, and every debug build looks each up.
const HANDED_ON: [&str; 4] =
    ["service/src/templates.rs", "service/src/messages.rs", "service/src/uploads/peek.rs", "api/src/body.rs"];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("problem/codes/tests.rs")
        {
            found.push(path);
        }
    }
}

/// The arguments of a call, as far as they can be told apart: split at commas outside of brackets and texts.
fn arguments(text: &str) -> Vec<String> {
    let (mut all, mut one, mut depth, mut quoted) = (Vec::new(), String::new(), 0, false);
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' if quoted => {
                one.push(c);
                one.extend(characters.next());
                continue;
            }
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted && depth == 0 => break,
            ')' | ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                all.push(std::mem::take(&mut one).trim().to_owned());
                continue;
            }
            _ => {}
        }
        one.push(c);
    }
    all.push(one.trim().to_owned());
    all
}

#[test]
fn every_code_in_the_sources_stands_in_the_table_with_its_kind() {
    let mut files = Vec::new();
    for name in ["service", "api", "console", "hongyan"] {
        sources(&crates().join(name).join("src"), &mut files);
    }
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(crates()).unwrap().display().to_string();
        for (call, problem) in [("Problem::new(", true), ("FieldError::new(", false)] {
            for (at, _) in text.match_indices(call) {
                // `SomethingProblem::new(` is another type.
                if text[..at].ends_with(|c: char| c.is_alphanumeric()) {
                    continue;
                }
                let given = arguments(&text[at + call.len()..]);
                let Some(word) = given.get(1).and_then(|word| word.strip_prefix('"')?.strip_suffix('"'))
                else {
                    if !HANDED_ON.contains(&name.as_str()) {
                        wrong.push(format!("{name}: {call}{given:?}: the code is not a literal"));
                    }
                    continue;
                };
                seen += 1;
                let fits = if problem {
                    let kind = given[0].rsplit("::").next().unwrap_or_default();
                    of_problem(word).is_some_and(|code| format!("{:?}", code.kind.unwrap()) == kind)
                } else {
                    of_field(word).is_some()
                };
                if !fits {
                    wrong.push(format!(
                        "{name}: {call} {word}: not in problem/codes/, or of another kind there"
                    ));
                }
            }
        }
    }
    assert!(seen > 150, "the sources were not read: {seen}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_stands_in_the_table_that_no_source_says() {
    let mut files = Vec::new();
    for name in ["service", "api", "console", "hongyan", "wechat"] {
        sources(&crates().join(name).join("src"), &mut files);
    }
    files.retain(|file| !file.components().any(|part| part.as_os_str() == "codes"));
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let unused: Vec<_> =
        all().map(|code| code.code).filter(|code| !text.contains(&format!("\"{code}\""))).collect();
    assert!(unused.is_empty(), "no longer used: {unused:?}");
}

#[test]
fn every_code_says_what_it_means_and_what_to_do_once() {
    let mut before = std::collections::BTreeSet::new();
    for code in all() {
        assert!(before.insert((code.code, code.kind.is_some())), "{} stands there twice", code.code);
        for lang in [Lang::Zh, Lang::En] {
            assert!(!code.meaning(lang).is_empty() && !code.remedy(lang).is_empty(), "{}", code.code);
        }
    }
    assert!(all().any(|code| code.code == "unauthorized"));
}
