//! Development tasks of the workspace, started as `cargo xtask …`.
//!
//! Used by people and by CI (`.ci/run`); nothing of it is in the product.

mod dist;
mod fuzz;
mod generate;
mod lint;
mod pictures;
mod process;
mod root;
mod say;
mod steps;
mod test;

use std::process::ExitCode;

use clap::Parser;

/// Development tasks of Hongyan.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Task {
    /// Installs what the tests need and the machine lacks, then runs every test of the workspace.
    Test(test::Options),
    /// Checks formatting, lints, documentation, dependencies and the rules about files.
    Lint,
    /// Builds and packs a release archive, with its sum.
    Dist(dist::Options),
    /// Runs the fuzz targets of the crate wechat (needs a nightly toolchain).
    Fuzz(fuzz::Options),
    /// Writes docs/openapi.json and docs/ERRORS.md from the code.
    Gen,
    /// Makes the pictures of the console that the READMEs show.
    Pictures,
}

fn main() -> ExitCode {
    let task = Task::parse();
    let passed = root::find().and_then(|root| match task {
        Task::Test(options) => test::run(&root, &options),
        Task::Lint => lint::run(&root),
        Task::Dist(options) => dist::run(&root, &options),
        Task::Fuzz(options) => fuzz::run(&root, &options),
        Task::Gen => generate::run(&root),
        Task::Pictures => pictures::run(&root),
    });
    match passed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say::line(&format!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
