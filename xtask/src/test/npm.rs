//! The npm packages of tests: browsers, other SDKs as peers, the kit and its example. The tests themselves are Rust tests that start Node.js, so
//! `cargo test` runs them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::process;
use crate::steps::End;

/// Where a crate's tests keep an npm package.
const PLACES: [&str; 2] = ["tests/browser", "tests/peers"];

/// What is built and tested for itself: the mini program's kit, the example that uses it, a sample of a back end.
const OWN: [&str; 3] = ["clients/miniprogram", "clients/samples/typescript", "examples/uni-app"];

/// The folders with a package for tests: `crates/*/tests/browser`, `crates/*/tests/peers`, and those of [`OWN`].
pub(super) fn folders(root: &Path) -> Result<Vec<PathBuf>> {
    let crates = std::fs::read_dir(root.join("crates")).context("the folder crates cannot be read")?;
    let mut folders: Vec<PathBuf> =
        crates.flatten().flat_map(|entry| PLACES.map(|place| entry.path().join(place))).collect();
    folders.extend(OWN.map(|folder| root.join(folder)));
    folders.retain(|folder| folder.join("package.json").is_file());
    folders.sort();
    Ok(folders)
}

/// Installs exactly what the package's lock file says.
pub(super) fn ci(folder: &Path) -> Result<End> {
    let arguments = ["ci", "--no-audit", "--no-fund", "--no-update-notifier", "--prefer-offline"];
    let mut command = process::program("npm", folder, &arguments);
    // The tests use the browser of the machine.
    command.env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
    Ok(End::of(process::succeeds(&mut command)?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_package_found_can_be_installed_by_its_lock_file() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for folder in super::folders(root).unwrap() {
            assert!(
                folder.join("package-lock.json").is_file(),
                "{} has no package-lock.json",
                folder.display()
            );
        }
    }
}
