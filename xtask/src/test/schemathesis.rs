//! schemathesis against a live server: calls made from the OpenAPI document, right and wrong ones, looking for a 5xx, a status that is not
//! documented, an answer that is not of its schema. What it needs is installed into the environment of the Python peers.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};

use super::python;
use crate::steps::End;
use crate::{process, say};

const FOLDER: &str = "xtask/schemathesis";
/// The seed of every ordinary run: a finding is found again.
const SEED: u64 = 20_261_127;
/// How long it looks, in an ordinary run and in a long one; seeding and the first phases come on top.
const SECONDS: u64 = 75;
const LONG: u64 = 900;

/// Installs it, builds the server and runs; skipped where the packages cannot be fetched.
pub(super) fn run(root: &Path, long: bool) -> Result<End> {
    let requirements = root.join(FOLDER).join("requirements.txt");
    let wanted =
        std::fs::read(&requirements).with_context(|| format!("{FOLDER}/requirements.txt cannot be read"))?;
    let stamp = python::environment(root).join("schemathesis.txt");
    if !std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        if !python::pip(root, &requirements)? {
            return Ok(End::Skipped(
                "schemathesis could not be installed: is PyPI (or a mirror set for pip) within reach?"
                    .to_owned(),
            ));
        }
        std::fs::write(&stamp, &wanted).context("the mark of the installation cannot be written")?;
    }
    if !process::succeeds(&mut process::cargo(root, &["build", "--locked", "-p", "hongyan"]))? {
        return Ok(End::Failed("the server could not be built".to_owned()));
    }
    let (seed, seconds) = if long { (now(), LONG) } else { (SEED, SECONDS) };
    say::line(&format!("seed {seed}, {seconds} s"));
    let program = root.join("target/debug").join(format!("hongyan{}", std::env::consts::EXE_SUFFIX));
    let mut command = process::program(python::program(root), &root.join(FOLDER), &["run.py"]);
    command.arg(program).args([seed.to_string(), seconds.to_string()]).env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(match process::run_within(&mut command, Duration::from_secs(seconds * 2 + 120))? {
        Some(status) if status.success() => End::Passed,
        Some(status) => {
            End::Failed(format!("it ended with {status} (seed {seed}); its findings stand above"))
        }
        None => End::Failed(format!("it did not end in time (seed {seed})")),
    })
}

/// Another seed for each long run.
fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(SEED, |since| since.as_secs())
}
