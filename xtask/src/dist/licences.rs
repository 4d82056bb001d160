//! The licences of everything that is compiled into the program, as those licences demand of whoever hands it on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::process;

/// What licence files begin with.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"];

/// Every crate with its licence, then the texts, each once with the crates that it belongs to.
pub(super) fn of(root: &Path, target: &str) -> Result<String> {
    let compiled = compiled(root, target)?;
    let metadata = process::output(&mut process::cargo(
        root,
        &["metadata", "--format-version", "1", "--locked", "--filter-platform", target],
    ))
    .context("cargo metadata failed")?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let mut list = String::new();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut found = 0;
    for package in metadata["packages"].as_array().context("no packages")? {
        let word = |name: &str| package[name].as_str().unwrap_or_default();
        let name = format!("{} {}", word("name"), word("version"));
        // Ours have no source; their licences lie beside this file.
        if package["source"].is_null() || !compiled.contains(&name) {
            continue;
        }
        found += 1;
        let _ = writeln!(list, "{name}: {}", package["license"].as_str().unwrap_or("see its text below"));
        let folder = Path::new(word("manifest_path")).parent().unwrap_or(Path::new("")).to_owned();
        for file in licence_files(&folder) {
            let text = String::from_utf8_lossy(&std::fs::read(file)?).trim().replace("\r\n", "\n");
            texts.entry(text).or_default().push(name.clone());
        }
    }
    ensure!(found > 0, "no crate was found");
    let mut all = format!("Hongyan is compiled with these {found} crates.\n\n{list}");
    for (text, names) in texts {
        let _ = write!(all, "\n{}\n{}\n\n{text}\n", "=".repeat(80), names.join(", "));
    }
    Ok(all)
}

/// What is compiled into the program for a target: `name version`.
fn compiled(root: &Path, target: &str) -> Result<BTreeSet<String>> {
    let arguments =
        ["tree", "--locked", "-p", "hongyan", "-e", "normal", "--prefix", "none", "--format", "{p}"];
    let tree = process::output(process::cargo(root, &arguments).args(["--target", target]))
        .context("cargo tree failed")?;
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?.trim_start_matches('v')))
    };
    Ok(tree.lines().filter_map(line).collect())
}

fn licence_files(folder: &Path) -> Vec<PathBuf> {
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        path.is_file() && NAMES.iter().any(|start| name.starts_with(start))
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(is_one)
        .collect();
    files.sort();
    files
}
