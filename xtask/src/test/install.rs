//! Brings what the tests need and the machine lacks. Used by `cargo xtask test`.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::machine::Machine;
use super::needs;
use super::system::{self, System};
use crate::steps::End;
use crate::{process, say};

/// Looks at the machine; installs what is missing where `may_install` and the system allow it, and says what a person
/// has to do otherwise.
pub(super) fn step(may_install: bool, machine: &mut Machine) -> Result<End> {
    *machine = Machine::look();
    let (system, root) = (System::here(), system::is_root());
    if !machine.missing.is_empty() && may_install && system.installs(root) {
        apt(&needs::packages(system, &machine.missing))?;
        *machine = Machine::look();
    }
    for found in &machine.found {
        say::line(&format!("found    {found}"));
    }
    for need in &machine.missing {
        say::line(&format!("MISSING  {}", need.describe()));
    }
    if machine.missing.is_empty() {
        return Ok(End::Passed);
    }
    for unfit in &machine.unfit {
        say::line(&format!("         {unfit}"));
    }
    let commands = needs::commands(system, root, &machine.missing);
    let mut text = String::from("not everything that the tests need is here. Install it, for example by\n");
    commands.iter().for_each(|command| text.push_str(&format!("    {command}\n")));
    text.push_str(
        "and run this again. What lies elsewhere can be named: HONGYAN_TEST_PG_BIN is the folder of\n",
    );
    text.push_str("`initdb` and `postgres`, HONGYAN_TEST_CHROMIUM the browser. Node.js has to be in PATH.");
    Ok(End::Failed(text))
}

/// Installs Debian packages. What could not be installed shows when the machine is looked at again.
fn apt(packages: &[&'static str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    say::line(&format!("installing {}", packages.join(", ")));
    let no_server = NoServer::new(packages);
    // An old package list may do, as without a network but with the packages at hand; the installation tells.
    apt_get(&["-qq", "update"])?;
    let mut arguments = vec!["-y", "-q", "--no-install-recommends", "install"];
    arguments.extend(packages);
    apt_get(&arguments)?;
    drop(no_server);
    Ok(())
}

fn apt_get(arguments: &[&str]) -> Result<bool> {
    let mut command = process::program("apt-get", Path::new("/"), &["-o", "DPkg::Lock::Timeout=300"]);
    // Another installation is waited for. Another update of the lists is not, but it does what ours would.
    let passed = process::succeeds(command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))?;
    if !passed {
        say::line(&format!("apt-get {} failed", arguments.join(" ")));
    }
    Ok(passed)
}

/// While it lives, servers that are installed are not started, and PostgreSQL makes no database cluster: the tests start their
/// own.
struct NoServer {
    written: Vec<PathBuf>,
    servers: Vec<&'static str>,
}

impl NoServer {
    /// Debian's maintainer scripts ask this program whether they may start something; 101 means no.
    const POLICY: &str = "/usr/sbin/policy-rc.d";
    const CLUSTERS: &str = "/etc/postgresql-common/createcluster.d";

    fn new(packages: &[&'static str]) -> Self {
        let servers: Vec<&str> =
            packages.iter().copied().filter(|package| needs::SERVERS.contains(package)).collect();
        let mut written = Vec::new();
        // If any of this fails, a server runs beside the tests, which does not disturb them.
        let policy = Path::new(Self::POLICY);
        if !servers.is_empty() && !policy.exists() && std::fs::write(policy, "#!/bin/sh\nexit 101\n").is_ok()
        {
            written.push(policy.to_owned());
            #[cfg(unix)]
            let _ = std::fs::set_permissions(policy, std::os::unix::fs::PermissionsExt::from_mode(0o755));
        }
        let clusters = Path::new(Self::CLUSTERS).join("hongyan-tests.conf");
        if servers.contains(&"postgresql")
            && std::fs::create_dir_all(Self::CLUSTERS).is_ok()
            && std::fs::write(&clusters, "create_main_cluster = false\n").is_ok()
        {
            written.push(clusters);
        }
        Self { written, servers }
    }
}

impl Drop for NoServer {
    fn drop(&mut self) {
        // Whoever installs servers of their own later gets them started as usual.
        for file in &self.written {
            let _ = std::fs::remove_file(file);
        }
        // Nor shall the web servers take the machine's ports when it starts next.
        for server in self.servers.iter().filter(|server| **server != "postgresql") {
            let _ = process::output(&mut process::program("systemctl", Path::new("/"), &["disable", server]));
        }
    }
}
