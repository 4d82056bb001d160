//! Which system this is, as far as its packages go. Used to choose packages and commands.

use std::path::Path;

use crate::process;

/// Systems by their package manager and the names in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum System {
    Debian,
    Ubuntu,
    Fedora,
    Mac,
    Other,
}

impl System {
    pub(super) fn here() -> Self {
        if cfg!(target_os = "macos") {
            return Self::Mac;
        }
        Self::from_os_release(&std::fs::read_to_string("/etc/os-release").unwrap_or_default())
    }

    /// Reads os-release(5): `ID` is the system's own name, `ID_LIKE` are those it descends from.
    fn from_os_release(text: &str) -> Self {
        let names: Vec<String> = ["ID=", "ID_LIKE="]
            .iter()
            .flat_map(|key| text.lines().filter_map(move |line| line.trim().strip_prefix(key)))
            .flat_map(|value| value.trim_matches(['"', '\'']).split_whitespace())
            .map(str::to_lowercase)
            .collect();
        let is = |name: &str| names.iter().any(|one| one == name);
        if is("ubuntu") {
            Self::Ubuntu
        } else if is("debian") {
            Self::Debian
        } else if is("fedora") || is("rhel") {
            Self::Fedora
        } else {
            Self::Other
        }
    }

    /// Whether we may install packages here ourselves.
    pub(super) fn installs(self, root: bool) -> bool {
        root && matches!(self, Self::Debian | Self::Ubuntu)
    }
}

/// Whether we are root; asked of `id`, since the standard library does not know.
pub(super) fn is_root() -> bool {
    process::output(&mut process::program("id", Path::new("."), &["-u"])).as_deref() == Some("0")
}

#[cfg(test)]
mod tests {
    use super::System;

    #[test]
    fn systems_are_told_by_their_id_and_their_descent() {
        let debian = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n";
        assert_eq!(System::from_os_release(debian), System::Debian);
        assert_eq!(System::from_os_release("ID=ubuntu\nID_LIKE=debian\n"), System::Ubuntu);
        assert_eq!(System::from_os_release("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"), System::Ubuntu);
        assert_eq!(System::from_os_release("ID=kali\nID_LIKE='debian'\n"), System::Debian);
        assert_eq!(System::from_os_release("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"), System::Fedora);
        assert_eq!(System::from_os_release("ID=arch\nBUG_REPORT_URL=\"debian\"\n"), System::Other);
        assert_eq!(System::from_os_release(""), System::Other);
    }

    #[test]
    fn only_root_on_debian_or_ubuntu_has_packages_installed() {
        assert!(System::Debian.installs(true) && System::Ubuntu.installs(true));
        assert!(
            !System::Debian.installs(false) && !System::Fedora.installs(true) && !System::Mac.installs(true)
        );
    }
}
