//! `cargo xtask lint`: all that is checked without running the code.

mod deny;
mod files;
mod links;
mod tree;

use std::path::Path;

use anyhow::Result;

use crate::steps::{End, Steps};
use crate::{process, say};

/// Runs every check, the quick ones first; says whether all passed.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let mut steps = Steps::default();
    steps.run("files: length, first words", || Ok(complaints(&files::check(root)?)));
    steps.run("links between files", || Ok(complaints(&links::check(root)?)));
    steps.run("cargo fmt", || component(root, "rustfmt", "fmt", &["fmt", "--all", "--check"]));
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    steps.run("cargo clippy", || component(root, "clippy", "clippy", &clippy));
    steps.run("cargo doc", || {
        let mut doc = process::cargo(root, &["doc", "--workspace", "--no-deps", "--locked"]);
        Ok(End::of(process::succeeds(doc.env("RUSTDOCFLAGS", "-D warnings"))?))
    });
    steps.run("cargo deny", || deny::check(root));
    say::line(&steps.summary());
    Ok(steps.failed() == 0)
}

/// A check of our own: what it found, a line each.
fn complaints(found: &[String]) -> End {
    if found.is_empty() { End::Passed } else { End::Failed(found.join("\n")) }
}

/// Runs a part of the toolchain that a minimal one lacks.
fn component(root: &Path, name: &str, subcommand: &str, arguments: &[&str]) -> Result<End> {
    if !has(root, subcommand) {
        return Ok(End::Failed(format!(
            "the toolchain has no {name}; get it by: rustup component add {name}"
        )));
    }
    Ok(End::of(process::succeeds(&mut process::cargo(root, arguments))?))
}

fn has(root: &Path, subcommand: &str) -> bool {
    process::output(&mut process::cargo(root, &[subcommand, "--version"])).is_some()
}
