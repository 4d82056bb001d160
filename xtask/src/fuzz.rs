//! `cargo xtask fuzz`: runs the fuzz targets of `wechat`, which need a nightly toolchain and cargo-fuzz. Not part of the
//! tests: it looks for what nobody thought of, and takes as long as it is given.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::steps::{End, Steps};
use crate::{process, say};

const FOLDER: &str = "crates/wechat/fuzz";

/// What may be asked of the task.
#[derive(Args)]
pub(crate) struct Options {
    /// How long each target runs
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
    /// The one target to run; all of them otherwise
    target: Option<String>,
}

/// Runs the task; says whether nothing was found.
pub(crate) fn run(root: &Path, options: &Options) -> Result<bool> {
    let folder = root.join(FOLDER);
    let mut chosen = targets(&folder)?;
    if let Some(target) = &options.target {
        chosen.retain(|name| name == target);
        if chosen.is_empty() {
            anyhow::bail!("no target {target}; there are {}", targets(&folder)?.join(", "));
        }
    }
    let mut steps = Steps::default();
    if steps.run("what fuzzing needs, installed if missing", || needs(&folder)) {
        // Apart from the runs, so that their time is their own.
        if steps.run("build", || Ok(End::of(process::succeeds(&mut fuzz(&folder, &["build"]))?))) {
            for target in &chosen {
                steps.run(target, || one(&folder, target, options.seconds));
            }
        }
    }
    say::line(&steps.summary());
    Ok(steps.failed() == 0)
}

/// The targets: the files in `targets`, in order.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder.join("targets")).context("the fuzz targets cannot be read")?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "rs"))
        .filter_map(|entry| Some(entry.path().file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn needs(folder: &Path) -> Result<End> {
    let nightly = ["run", "nightly", "rustc", "--version"];
    let Some(version) = process::output(&mut process::program("rustup", folder, &nightly)) else {
        return Ok(End::Failed(
            "no nightly toolchain, whose sanitizers are needed; get it by: rustup toolchain install nightly"
                .to_owned(),
        ));
    };
    say::line(&format!("found    {version}"));
    if process::output(&mut fuzz(folder, &["--version"])).is_some() {
        return Ok(End::Passed);
    }
    say::line("installing cargo-fuzz");
    let install = ["run", "nightly", "cargo", "install", "cargo-fuzz", "--locked"];
    Ok(End::of(process::succeeds(&mut process::program("rustup", folder, &install))?))
}

/// One target, from its seeds and from what earlier runs kept. A finding ends it.
fn one(folder: &Path, target: &str, seconds: u32) -> Result<End> {
    let corpus = format!("corpus/{target}");
    std::fs::create_dir_all(folder.join(&corpus)).context("the corpus cannot be made")?;
    let time = format!("-max_total_time={seconds}");
    let arguments = ["run", target, &corpus, &format!("seeds/{target}"), "--", &time];
    let mut command = fuzz(folder, &arguments);
    // The bodies of WeChat's pushes are far below 4 KiB; ten seconds for one input would be a finding in itself.
    command.args(["-max_len=4096", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]);
    Ok(match process::succeeds(&mut command)? {
        true => End::Passed,
        false => End::Failed(format!("found something: see {FOLDER}/artifacts/{target}")),
    })
}

/// `cargo fuzz WORD …` of the nightly toolchain; the cargo that started us is another.
fn fuzz(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = process::program("rustup", folder, &["run", "nightly", "cargo", "fuzz"]);
    if let [word, rest @ ..] = arguments {
        command.arg(word);
        if !word.starts_with('-') {
            command.args(["--fuzz-dir", "."]);
        }
        command.args(rest);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_declared_and_has_seeds() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(FOLDER);
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let names = targets(&folder).unwrap();
        assert_eq!(names, ["callback", "event", "reply", "template"]);
        for name in names {
            assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name}");
            assert!(folder.join("seeds").join(&name).read_dir().unwrap().count() > 0, "{name} has no seeds");
        }
    }
}
