//! The rules about files: none grows too long, and each module opens with what it is for.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::tree;

/// Far over the usual 150 lines: a file of this length holds several things that deserve names of their own.
const LONGEST: usize = 600;
const SOURCES: &[&str] = &[".rs", ".sql", ".js", ".mjs", ".ts", ".css", ".html", ".vue"];

/// Gives a line for each file that breaks a rule.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for path in tree::files(root, SOURCES)? {
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("{} is not text", path.display()))?;
        let name = path.strip_prefix(root).unwrap_or(&path).display();
        let lines = text.lines().count();
        if lines > LONGEST {
            found.push(format!("{name}: {lines} lines, at most {LONGEST} are allowed; divide it"));
        }
        if path.extension().is_some_and(|end| end == "rs") && !opens_with_purpose(&text) {
            found.push(format!("{name}: begins without `//!`; say what the module is for and who uses it"));
        }
    }
    Ok(found)
}

/// Whether a module says what it is for, in its first line or in the README that it includes.
fn opens_with_purpose(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let says = first.strip_prefix("//!").is_some_and(|words| !words.trim().is_empty());
    says || first.starts_with("#![doc = include_str!(")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_stands_first_or_in_a_readme() {
        assert!(opens_with_purpose("//! Signs.\nuse x;\n"));
        assert!(opens_with_purpose("\n//! Signs.\n"));
        assert!(opens_with_purpose("#![doc = include_str!(\"../README.md\")]\n"));
        assert!(!opens_with_purpose("//!\nuse x;\n"));
        assert!(!opens_with_purpose("// Signs.\n//! Signs.\n"));
        assert!(!opens_with_purpose("use x;\n"));
        assert!(!opens_with_purpose(""));
    }

    #[test]
    fn this_crate_keeps_the_rules() {
        assert_eq!(check(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap(), [""; 0]);
    }
}
