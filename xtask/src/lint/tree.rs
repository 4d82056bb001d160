//! The files of the repository that people write. Used by the checks of files and of links.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Files with one of these endings, in order; nothing built, installed or vendored.
pub(super) fn files(root: &Path, endings: &[&str]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect(root, endings, &mut files)?;
    files.sort();
    Ok(files)
}

fn collect(folder: &Path, endings: &[&str], files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let name = entry.file_name().to_string_lossy().into_owned();
        if kind.is_dir() && is_written(&name) {
            collect(&path, endings, files)?;
        } else if kind.is_file() && endings.iter().any(|end| name.ends_with(end)) && !name.contains(".min.") {
            files.push(path);
        }
    }
    Ok(())
}

fn is_written(folder: &str) -> bool {
    let others = ["node_modules", "vendor", "dist", "unpackage", "hongyan-data"];
    // A folder with a point in front is a tool's: .git, an editor's.
    !folder.starts_with(['.'])
        && folder != "target"
        && !folder.starts_with("target-")
        && !others.contains(&folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_installed_or_vendored_is_passed_over() {
        assert!(["src", "assets", "targets", "tests"].iter().all(|name| is_written(name)));
        assert!(
            ["target", "target-ci", "node_modules", ".git", "vendor"].iter().all(|name| !is_written(name))
        );
    }

    #[test]
    fn files_are_found_by_their_endings() {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        let found = files(own, &[".rs"]).unwrap();
        assert!(found.contains(&own.join("src/lint/tree.rs")));
        assert!(!found.contains(&own.join("Cargo.toml")));
    }
}
