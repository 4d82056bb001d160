//! The Python packages of tests: another SDK as a peer, in an environment of its own under `target`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::process;
use crate::say;
use crate::steps::End;

/// What the tests' packages are, each with its version and digests.
const REQUIREMENTS: &str = "crates/hongyan/tests/peers/requirements.txt";

/// The folder of the environment. The tests look for it here, too.
pub(super) fn environment(root: &Path) -> PathBuf {
    root.join("target/python")
}

/// The environment's own Python.
pub(super) fn program(root: &Path) -> PathBuf {
    environment(root).join("bin/python")
}

/// Makes the environment and installs exactly what is written down, unless it is there.
pub(super) fn install(root: &Path, python: &Path) -> Result<End> {
    let (folder, requirements) = (environment(root), root.join(REQUIREMENTS));
    let wanted = std::fs::read(&requirements).with_context(|| format!("{REQUIREMENTS} cannot be read"))?;
    // Written last: an installation that broke off is begun anew.
    let stamp = folder.join("installed.txt");
    let works = || process::output(&mut process::program(program(root), root, &["--version"])).is_some();
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) && works() {
        say::line("as they were");
        return Ok(End::Passed);
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("{} is in the way", folder.display()))?;
    }
    let path = folder.display().to_string();
    if !process::succeeds(&mut process::program(python, root, &["-m", "venv", &path]))? {
        return Ok(End::Failed(format!("{} -m venv failed", python.display())));
    }
    if !pip(root, &requirements)? {
        return Ok(End::Failed(format!("pip could not install {REQUIREMENTS}")));
    }
    std::fs::write(&stamp, wanted).context("the mark of the installation cannot be written")?;
    Ok(End::Passed)
}

/// Installs exactly what a file says into the environment; says whether that worked.
pub(super) fn pip(root: &Path, requirements: &Path) -> Result<bool> {
    let arguments = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"];
    let mut pip = process::program(program(root), root, &arguments);
    pip.args(["--require-hashes", "--only-binary", ":all:", "-r"]).arg(requirements);
    process::succeeds(&mut pip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_has_its_version_and_its_digest() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for (file, one) in
            [(REQUIREMENTS, "wechatpy=="), ("xtask/schemathesis/requirements.txt", "schemathesis==")]
        {
            let text = std::fs::read_to_string(root.join(file)).unwrap().replace("\\\n", " ");
            let packages: Vec<&str> = text
                .lines()
                .filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty())
                .collect();
            assert!(packages.iter().any(|line| line.starts_with(one)), "{packages:?}");
            for package in packages {
                assert!(package.contains("==") && package.contains("--hash=sha256:"), "{package}");
                assert!(!package.contains("://"), "{package}");
            }
        }
    }
}
