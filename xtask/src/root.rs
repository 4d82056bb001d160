//! Finds the folder of the workspace, from which every task works.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Gives the nearest folder upwards that holds `Cargo.lock`.
pub(crate) fn find() -> Result<PathBuf> {
    // Cargo sets the variable for `cargo run`; a binary started by hand looks from where it stands.
    let start = match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::current_dir().context("the current folder cannot be read")?,
    };
    above(&start).with_context(|| format!("no Cargo.lock in {} or above it", start.display()))
}

fn above(start: &Path) -> Option<PathBuf> {
    start.ancestors().find(|folder| folder.join("Cargo.lock").is_file()).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_workspace_is_found_from_inside() {
        let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(super::above(&here.join("src")).unwrap(), here.parent().unwrap());
    }
}
