//! `cargo xtask gen`: writes the documents that are made from code: docs/openapi.json, ERRORS.md in both languages, CLI.md. Tests compare
//! them, so that CI fails where they differ; the same tests write them.

use std::path::Path;

use anyhow::Result;

use crate::process;

/// The variable with which the tests write.
const WRITE: &str = "HONGYAN_WRITE_DOCS";
/// Where the tests are, and what they are called.
const TESTS: [&[&str]; 2] = [
    &[
        "-p",
        "api",
        "--lib",
        "--",
        "--exact",
        "openapi::tests::the_committed_documents_are_what_the_code_gives",
    ],
    &["-p", "hongyan", "--bins", "--", "documents::"],
];

/// Runs the task; says whether the files were written.
pub(crate) fn run(root: &Path) -> Result<bool> {
    for test in TESTS {
        let mut command = process::cargo(root, &[&["test", "--quiet", "--locked"], test].concat());
        if !process::succeeds(command.env(WRITE, "1"))? {
            return Ok(false);
        }
    }
    Ok(true)
}
