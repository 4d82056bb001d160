//! What the tests need besides the Rust toolchain, and which packages bring it. Pure; used by `install` and by
//! the tests' step that looks at the machine.

use super::system::System;

/// What starts a service of its own when it is installed. The tests start theirs.
pub(super) const SERVERS: [&str; 3] = ["postgresql", "nginx", "caddy"];
/// The oldest versions that the tests work with.
pub(super) const POSTGRES: u32 = 14;
pub(super) const NODE: u32 = 18;
pub(super) const JAVA: u32 = 17;
/// What Python has to agree to: its version, and that it can make an environment (Debian has that in a package of its own).
pub(super) const PYTHON: &str = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))";

/// One thing that the tests need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Postgres,
    Node,
    Npm,
    Chromium,
    CjkFont,
    Python,
    Strace,
    Faketime,
    Systemd,
    Nginx,
    Caddy,
    Java,
    Curl,
}

impl Need {
    pub(super) const ALL: [Self; 13] = [
        Self::Postgres,
        Self::Node,
        Self::Npm,
        Self::Chromium,
        Self::CjkFont,
        Self::Python,
        Self::Strace,
        Self::Faketime,
        Self::Systemd,
        Self::Nginx,
        Self::Caddy,
        Self::Java,
        Self::Curl,
    ];

    /// What it is and what it is for.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Postgres => {
                "PostgreSQL 14 or newer, its server programs (the store is tested on it; no server need run)"
            }
            Self::Node => "Node.js 18 or newer (browser tests, another SDK as a peer)",
            Self::Npm => "npm (browser tests, another SDK as a peer)",
            Self::Chromium => "Chromium or Google Chrome (browser tests)",
            Self::CjkFont => "a font with Chinese characters (browser tests)",
            Self::Strace => "strace (a test looks at the system calls of the server; on Linux)",
            Self::Faketime => "libfaketime (nodes of a cluster whose clocks are minutes apart; on Linux)",
            Self::Python => "Python 3.10 or newer with venv (another SDK as a peer)",
            Self::Systemd => "systemd-analyze (the unit is checked by systemd itself; on Linux)",
            Self::Nginx => "nginx (passes what the printed example lets pass)",
            Self::Caddy => "Caddy 2 (the same)",
            Self::Java => "a JDK of version 17 or newer (the client sample in Java)",
            Self::Curl => "curl (the client sample for the shell, calls by TLS)",
        }
    }

    /// The package that brings it, where the system's packages have it.
    fn package(self, system: System) -> Option<&'static str> {
        let [debian, ubuntu, fedora, mac] = match self {
            Self::Postgres => ["postgresql", "postgresql", "postgresql-server", "postgresql@17"],
            Self::Node => ["nodejs", "nodejs", "nodejs", "node"],
            Self::Npm => ["npm", "npm", "npm", "node"],
            // Ubuntu's package is only a pointer to a snap, which does not install in a container.
            Self::Chromium => ["chromium", "", "chromium", "--cask chromium"],
            Self::CjkFont => ["fonts-noto-cjk", "fonts-noto-cjk", "google-noto-sans-cjk-fonts", ""],
            Self::Strace => ["strace", "strace", "strace", ""],
            Self::Faketime => ["faketime", "faketime", "libfaketime", ""],
            Self::Python => ["python3-venv", "python3-venv", "python3", "python"],
            Self::Systemd => ["systemd", "systemd", "systemd", ""],
            Self::Nginx => ["nginx", "nginx", "nginx", "nginx"],
            Self::Caddy => ["caddy", "caddy", "caddy", "caddy"],
            Self::Java => {
                ["default-jdk-headless", "default-jdk-headless", "java-latest-openjdk-devel", "openjdk"]
            }
            Self::Curl => ["curl", "curl", "curl", "curl"],
        };
        let package = match system {
            System::Debian => debian,
            System::Ubuntu => ubuntu,
            System::Fedora => fedora,
            System::Mac => mac,
            System::Other => "",
        };
        (!package.is_empty()).then_some(package)
    }
}

/// The packages for what is missing, each once.
pub(super) fn packages(system: System, missing: &[Need]) -> Vec<&'static str> {
    let mut packages = Vec::new();
    for package in missing.iter().filter_map(|need| need.package(system)) {
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    packages
}

/// The commands that a person has to give for what is missing.
pub(super) fn commands(system: System, root: bool, missing: &[Need]) -> Vec<String> {
    if system == System::Other {
        let known = [System::Debian, System::Fedora, System::Mac];
        return known.into_iter().flat_map(|system| commands(system, root, missing)).collect();
    }
    let packages = packages(system, missing);
    let sudo = if root { "" } else { "sudo " };
    let mut commands = match system {
        _ if packages.is_empty() => Vec::new(),
        System::Fedora => vec![format!("{sudo}dnf install {}", packages.join(" "))],
        System::Mac => packages.iter().map(|package| format!("brew install {package}")).collect(),
        System::Debian | System::Ubuntu | System::Other => vec![
            format!("{sudo}apt-get update"),
            format!("{sudo}apt-get install --no-install-recommends {}", packages.join(" ")),
        ],
    };
    if system == System::Ubuntu && missing.contains(&Need::Chromium) {
        commands
            .push(format!("{sudo}snap install chromium    # or Google Chrome, from its own download page"));
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_chosen_and_once() {
        assert_eq!(
            packages(System::Debian, &[Need::Postgres, Need::CjkFont]),
            ["postgresql", "fonts-noto-cjk"]
        );
        assert_eq!(packages(System::Mac, &[Need::Node, Need::Npm]), ["node"]);
        assert_eq!(packages(System::Debian, &[]), [""; 0]);
    }

    #[test]
    fn debian_has_a_package_for_everything() {
        assert_eq!(packages(System::Debian, &Need::ALL).len(), Need::ALL.len());
    }

    #[test]
    fn the_commands_fit_the_system() {
        let apt = commands(System::Debian, false, &[Need::Npm]);
        assert_eq!(apt, ["sudo apt-get update", "sudo apt-get install --no-install-recommends npm"]);
        assert_eq!(commands(System::Fedora, true, &[Need::Npm]), ["dnf install npm"]);
        assert_eq!(commands(System::Mac, false, &[Need::Chromium]), ["brew install --cask chromium"]);
    }

    #[test]
    fn ubuntu_takes_its_chromium_from_elsewhere() {
        let commands = commands(System::Ubuntu, true, &[Need::Chromium]);
        assert_eq!(commands.len(), 1);
        assert!(commands[0].starts_with("snap install chromium"), "{commands:?}");
    }

    #[test]
    fn an_unknown_system_is_told_of_all_three() {
        let commands = commands(System::Other, false, &[Need::Postgres]);
        assert!(
            ["apt-get", "dnf", "brew"].iter().all(|tool| commands.iter().any(|line| line.contains(tool)))
        );
    }
}
