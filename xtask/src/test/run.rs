//! Runs the tests and the demo.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::machine::Machine;
use super::python;
use super::results::Results;
use crate::steps::End;
use crate::{process, say};

/// How long `hongyan demo --once` may take; it takes seconds, and a minute on a busy machine.
const DEMO: Duration = Duration::from_secs(180);

/// Runs every test of the workspace, passing on the output while it is counted.
///
/// Plain `cargo test`: a fresh toolchain has nothing else, and it runs the examples in the documentation too.
pub(super) fn tests(
    root: &Path,
    machine: &Machine,
    filter: Option<&str>,
    long: bool,
    results: &mut Results,
) -> Result<End> {
    let mut command = process::cargo(root, &["test", "--workspace", "--locked", "--no-fail-fast"]);
    command.args(filter).args(long.then_some(["--", "--include-ignored"]).into_iter().flatten());
    counted(command, machine, root, filter, results)
}

/// The service's tests once more, from PostgreSQL: those in which it crashes, and those whose accounts must close. All of
/// them where there is time.
pub(super) fn on_postgres(root: &Path, machine: &Machine, long: bool, results: &mut Results) -> Result<End> {
    const PARTS: [&str; 9] = [
        "ambiguity::",
        "campaigns::",
        "chaos::",
        "crash::",
        "erase::",
        "ledger::",
        "people::",
        "relay::",
        "walk::",
    ];
    let arguments = ["test", "--locked", "--no-fail-fast", "-p", "hongyan", "--test", "it", "--"];
    let mut command = process::cargo(root, &arguments);
    command.env("HONGYAN_TEST_ENGINE", "postgres");
    if long {
        command.args(["--skip", "cluster::"]);
    } else {
        command.args(PARTS);
    }
    counted(command, machine, root, None, results)
}

fn counted(
    mut command: std::process::Command,
    machine: &Machine,
    root: &Path,
    filter: Option<&str>,
    results: &mut Results,
) -> Result<End> {
    let before = results.failed;
    // With this, a test whose PostgreSQL, browser or peer is absent fails instead of passing unrun.
    command.env("HONGYAN_REQUIRE_ALL", "1");
    command.envs(machine.postgres.as_ref().map(|folder| ("HONGYAN_TEST_PG_BIN", folder)));
    command.envs(machine.chromium.as_ref().map(|path| ("HONGYAN_TEST_CHROMIUM", path)));
    command.env("HONGYAN_TEST_PYTHON", python::program(root));
    let status = process::lines(&mut command, |line| {
        say::bytes(line);
        results.read(&String::from_utf8_lossy(line));
    })?;
    if !status.success() {
        let why = match results.failed - before {
            0 => format!("no test failed, but cargo ended with {status}: see above"),
            failed => format!("{failed} failed"),
        };
        return Ok(End::Failed(why));
    }
    match (filter, results.passed + results.failed) {
        (Some(filter), 0) => Ok(End::Failed(format!("no test has `{filter}` in its name"))),
        _ => Ok(End::Passed),
    }
}

/// Builds as the README says to run it; apart from the demo, so that the demo's time limit is its own.
pub(super) fn release_build(root: &Path) -> Result<End> {
    let arguments = ["build", "--release", "--locked", "-p", "hongyan"];
    Ok(End::of(process::succeeds(&mut process::cargo(root, &arguments))?))
}

/// Plays the whole loop once, from the simulated phone's tap to the receipt; with the program that the tests have built, or
/// as the README has it.
pub(super) fn demo(root: &Path, release: bool) -> Result<End> {
    let mut command = process::cargo(root, &["run", "--locked", "-p", "hongyan"]);
    command.args(release.then_some("--release")).args(["--", "demo", "--once"]);
    Ok(match process::run_within(&mut command, DEMO)? {
        Some(status) if status.success() => End::Passed,
        Some(status) => End::Failed(format!("`hongyan demo --once` ended with {status}")),
        None => End::Failed(format!("`hongyan demo --once` did not end within {} s", DEMO.as_secs())),
    })
}
