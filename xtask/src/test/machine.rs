//! Looks at the machine: which of the tests' needs are there, and where.

use std::path::{Path, PathBuf};

use super::needs::{JAVA, NODE, Need, POSTGRES, PYTHON};
use super::search;
use crate::process;

/// Where things are that the tests have to be told of.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) postgres: Option<PathBuf>,
    pub(super) chromium: Option<PathBuf>,
    pub(super) python: Option<PathBuf>,
    /// What was found, in words, for the terminal.
    pub(super) found: Vec<String>,
    pub(super) missing: Vec<Need>,
    /// What is there but of no use, in words.
    pub(super) unfit: Vec<String>,
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
                let folders =
                    search::postgres_folders().into_iter().filter(|folder| folder.join("initdb").is_file());
                let (version, folder) = self.first(folders, |folder| folder.join("postgres"), POSTGRES)?;
                let found = format!("{version}, in {}", folder.display());
                self.postgres = Some(folder);
                Some(found)
            }
            Need::Node => {
                Some(format!("Node.js {}", self.first(search::in_path("node"), Clone::clone, NODE)?.0))
            }
            Need::Npm => Some(format!("npm {}", self.first(search::in_path("npm"), Clone::clone, 0)?.0)),
            Need::Chromium => {
                let (version, path) = self.first(search::browsers(), Clone::clone, 0)?;
                let found = format!("{version}, {}", path.display());
                self.chromium = Some(path);
                Some(found)
            }
            Need::Python => {
                let fit = search::pythons().into_iter().filter(|path| {
                    process::output(&mut process::program(path, Path::new("."), &["-c", PYTHON])).is_some()
                });
                let (version, path) = self.first(fit, Clone::clone, 3)?;
                let found = format!("{version}, {}", path.display());
                self.python = Some(path);
                Some(found)
            }
            Need::Strace if !cfg!(target_os = "linux") => Some("no strace needed".to_owned()),
            Need::Strace => Some(self.first(search::in_path("strace"), Clone::clone, 0)?.0),
            Need::Faketime if !cfg!(target_os = "linux") => Some("no libfaketime needed".to_owned()),
            Need::Faketime => search::faketime().map(|path| format!("libfaketime {}", path.display())),
            Need::Systemd if !cfg!(target_os = "linux") => Some("no systemd needed".to_owned()),
            Need::Systemd => Some(self.first(search::in_path("systemd-analyze"), Clone::clone, 0)?.0),
            // It lies where only root's PATH leads, and says its version by `-v` alone, to standard error.
            Need::Nginx => search::server("nginx").map(|path| format!("nginx {}", path.display())),
            Need::Caddy => {
                let program = search::server("caddy")?;
                let version = process::output(&mut process::program(&program, Path::new("."), &["version"]))?;
                Some(format!("Caddy {}", version.split_whitespace().next().unwrap_or("2")))
            }
            Need::Java => {
                // `java` alone is there with a runtime, which cannot start a source file.
                let compiler = search::in_path("javac").and_then(|_| search::in_path("java"));
                Some(self.first(compiler, Clone::clone, JAVA)?.0)
            }
            Need::Curl => Some(self.first(search::in_path("curl"), Clone::clone, 0)?.0),
            Need::CjkFont => search::cjk_font().map(|font| format!("font {}", font.display())),
        }
    }

    /// The first place whose program runs and is not too old, with what it says of its version.
    ///
    /// That a program is there does not tell that it runs: Ubuntu's chromium-browser without its snap does not.
    fn first(
        &mut self,
        places: impl IntoIterator<Item = PathBuf>,
        program: impl Fn(&PathBuf) -> PathBuf,
        oldest: u32,
    ) -> Option<(String, PathBuf)> {
        for place in places {
            let path = program(&place);
            let Some(version) = version_of(&path) else {
                self.unfit.push(format!("{} is there, but `--version` of it fails", path.display()));
                continue;
            };
            if major(&version) >= oldest {
                return Some((version, place));
            }
            self.unfit.push(format!("{} is too old: {version}", path.display()));
        }
        None
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
