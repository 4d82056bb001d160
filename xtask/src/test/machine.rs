//! Looks at the machine: which of the tests' needs are there, and where.

use std::path::{Path, PathBuf};

use super::needs::{NODE, Need, POSTGRES};
use super::search;
use crate::process;

/// Where things are that the tests have to be told of.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) postgres: Option<PathBuf>,
    pub(super) chromium: Option<PathBuf>,
    /// What was found, in words, for the terminal.
    pub(super) found: Vec<String>,
    pub(super) missing: Vec<Need>,
}

impl Machine {
    pub(super) fn look() -> Self {
        let mut machine = Self::default();
        for need in Need::ALL {
            match machine.find(need) {
                Some(found) => machine.found.push(found),
                None => machine.missing.push(need),
            }
        }
        machine
    }

    fn find(&mut self, need: Need) -> Option<String> {
        match need {
            Need::Postgres => {
                let (version, folder) = search::postgres_folders().into_iter().find_map(|folder| {
                    let version =
                        version_of(&folder.join("postgres")).filter(|text| major(text) >= POSTGRES)?;
                    folder.join("initdb").is_file().then_some((version, folder))
                })?;
                let found = format!("{version}, in {}", folder.display());
                self.postgres = Some(folder);
                Some(found)
            }
            Need::Node => version_of(Path::new("node"))
                .filter(|text| major(text) >= NODE)
                .map(|v| format!("Node.js {v}")),
            Need::Npm => version_of(Path::new("npm")).map(|version| format!("npm {version}")),
            Need::Chromium => {
                // Asked for its version, because Ubuntu's chromium-browser without its snap is there but does not run.
                let browsers = search::browsers().into_iter();
                let (version, path) = browsers.filter_map(|path| Some((version_of(&path)?, path))).next()?;
                let found = format!("{version}, {}", path.display());
                self.chromium = Some(path);
                Some(found)
            }
            Need::CjkFont => search::cjk_font().map(|font| format!("font {}", font.display())),
        }
    }
}

/// What a program answers to `--version`, if it runs.
fn version_of(path: &Path) -> Option<String> {
    let said = process::output(&mut process::program(path, Path::new("."), &["--version"]))?;
    Some(said.lines().next()?.trim().to_owned())
}

/// The first number in what a program says of its version: `postgres (PostgreSQL) 15.18 (Debian …)`, `v20.20.2`.
fn major(version: &str) -> u32 {
    let digits = version.split(|c: char| !c.is_ascii_digit()).find(|part| !part.is_empty());
    digits.and_then(|part| part.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn versions_are_read_as_the_programs_say_them() {
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), 15);
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), 18);
        assert_eq!(major("v20.20.2"), 20);
        assert_eq!(major("unknown"), 0);
    }
}
