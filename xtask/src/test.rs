//! `cargo xtask test`: everything from a machine with only a Rust toolchain to the result of every test.

mod install;
mod machine;
mod needs;
mod npm;
mod python;
mod results;
mod run;
mod schemathesis;
mod search;
mod system;

use std::path::Path;

use anyhow::Result;
use clap::Args;

use crate::say;
use crate::steps::Steps;
use machine::Machine;
use results::Results;

/// What may be asked of the task.
#[derive(Args)]
pub(crate) struct Options {
    /// Only checks whether all is there that the tests need
    #[arg(long)]
    no_install: bool,
    /// Only installs (or, with --no-install, checks) what the tests need
    #[arg(long)]
    only_install: bool,
    /// Runs only the tests with this in their name, and no demo
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Also runs the tests that take minutes each, and the demo as the README has it, from a release build
    #[arg(long)]
    long: bool,
    /// Only runs schemathesis against a live server; with --long for a quarter of an hour, with another seed each time
    #[arg(long, conflicts_with = "filter")]
    only_schemathesis: bool,
}

/// Runs the task; says whether all passed.
pub(crate) fn run(root: &Path, options: &Options) -> Result<bool> {
    let mut steps = Steps::default();
    let mut machine = Machine::default();
    let mut results = Results::default();

    let name =
        if options.no_install { "what the tests need" } else { "what the tests need, installed if missing" };
    let mut ready = steps.run(name, || install::step(!options.no_install, &mut machine));
    if options.only_install {
        return Ok(ready);
    }
    if ready && !options.only_schemathesis {
        for folder in npm::folders(root)? {
            let shown = folder.strip_prefix(root).unwrap_or(&folder).display();
            ready &= steps.run(&format!("npm ci in {shown}"), || npm::ci(&folder));
        }
    }
    if ready && let Some(program) = &machine.python {
        ready &= steps.run("Python packages", || python::install(root, program));
    }
    if ready && options.only_schemathesis {
        steps.run("schemathesis", || schemathesis::run(root, options.long));
    } else if ready {
        let filter = options.filter.as_deref();
        steps.run("cargo test", || run::tests(root, &machine, filter, options.long, &mut results));
        if filter.is_none() {
            steps.run("cargo test, PostgreSQL", || {
                run::on_postgres(root, &machine, options.long, &mut results)
            });
        }
        if filter.is_none() {
            steps.run("schemathesis", || schemathesis::run(root, options.long));
        }
        if filter.is_none() && (!options.long || steps.run("release build", || run::release_build(root))) {
            steps.run("demo", || run::demo(root, options.long));
        }
    }

    say::line(&steps.summary());
    for failure in &results.failures {
        say::line(&format!("failed: {}", failure.name));
        for line in &failure.said {
            say::line(&format!("    {line}"));
        }
    }
    if results.ignored > 0 {
        say::line(&format!("{} ignored", results.ignored));
    }
    let failed = total_failed(results.failed, steps.failed());
    say::line(&format!("{} passed, {failed} failed", results.passed));
    Ok(failed == 0)
}

/// Failed tests, and failed steps too where they are not those tests: a step that broke off (a program that does not
/// build, a demo that hangs) must not end in "0 failed".
fn total_failed(tests: u64, steps: u64) -> u64 {
    // The steps that failed tests make fail are `cargo test`, once or on both engines.
    if tests > 0 { tests + steps.saturating_sub(1) } else { steps }
}

#[cfg(test)]
mod tests {
    use super::total_failed;

    #[test]
    fn nothing_that_failed_is_lost_or_counted_twice() {
        assert_eq!(total_failed(0, 0), 0);
        assert_eq!(total_failed(3, 1), 3, "three tests, and the step they are part of");
        assert_eq!(total_failed(0, 1), 1, "a build that broke");
        assert_eq!(total_failed(3, 2), 4, "three tests, and the demo");
    }
}
