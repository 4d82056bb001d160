//! `cargo xtask gen`: writes the documents that are made from code, docs/openapi.json and ERRORS.md in both languages. A test of the crate `api`
//! compares them, so that CI fails where they differ; the same test writes them.

use std::path::Path;

use anyhow::Result;

use crate::process;

/// The test that compares, or with the variable writes.
const TEST: &str = "openapi::tests::the_committed_documents_are_what_the_code_gives";
const WRITE: &str = "HONGYAN_TEST_WRITE_DOCS";

/// Runs the task; says whether the files were written.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let mut command =
        process::cargo(root, &["test", "--quiet", "--locked", "-p", "api", "--lib", "--", "--exact", TEST]);
    process::succeeds(command.env(WRITE, "1"))
}
