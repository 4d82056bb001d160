//! `cargo xtask dist`: the release archive of one target, with everything an installation needs, and `SHA256SUMS`.

mod archive;
mod licences;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{process, say};
use archive::Entry;

/// The version of the workspace: its crates share one.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What goes into every archive beside the program, and under which name.
const FILES: [(&str, &str); 11] = [
    ("LICENSE-APACHE", "LICENSE-APACHE"),
    ("LICENSE-MIT", "LICENSE-MIT"),
    ("README.md", "README.md"),
    ("README.zh-CN.md", "README.zh-CN.md"),
    ("docs/INSTALL.md", "INSTALL.md"),
    ("docs/zh/INSTALL.md", "INSTALL.zh-CN.md"),
    ("crates/hongyan/hongyan.default.toml", "hongyan.toml"),
    ("packaging/hongyan.service", "packaging/hongyan.service"),
    ("packaging/nginx.conf", "packaging/nginx.conf"),
    ("packaging/Caddyfile", "packaging/Caddyfile"),
    ("packaging/compose.yaml", "packaging/compose.yaml"),
];

/// What may be asked of the task.
#[derive(Args)]
pub(crate) struct Options {
    /// Another target of the toolchain than this machine
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
    /// Packs the program that was built before
    #[arg(long)]
    no_build: bool,
    /// Where the archive is written
    #[arg(long, value_name = "DIR", default_value = "target/dist")]
    out: PathBuf,
}

/// Builds, packs, sums; says whether all went well.
pub(crate) fn run(root: &Path, options: &Options) -> Result<bool> {
    let host = host(root)?;
    let target = options.target.clone().unwrap_or_else(|| host.clone());
    if !options.no_build {
        let mut build = process::cargo(root, &["build", "--release", "--locked", "-p", "hongyan"]);
        build.args(options.target.iter().flat_map(|target| ["--target", target]));
        if !process::succeeds(&mut build)? {
            bail!(
                "the build for {target} failed; a target that the toolchain lacks is added by: rustup target add {target}"
            );
        }
    }
    let windows = target.contains("windows");
    let program = if windows { "hongyan.exe" } else { "hongyan" };
    let built =
        target_folder(root).join(options.target.as_deref().unwrap_or_default()).join("release").join(program);
    let mut entries = vec![Entry::read(&built, program, true)?];
    for (from, name) in FILES {
        entries.push(Entry::read(&root.join(from), name, false)?);
    }
    entries.push(Entry {
        name: "THIRD-PARTY.txt".to_owned(),
        bytes: licences::of(root, &target)?.into_bytes(),
        program: false,
    });
    entries.sort_by(|a, b| a.name.cmp(&b.name));

    let name = format!("hongyan-{VERSION}-{target}");
    let out = root.join(&options.out);
    std::fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
    let file = out.join(format!("{name}.{}", if windows { "zip" } else { "tar.gz" }));
    let at = moment(root);
    let packed =
        if windows { archive::zip(&name, &entries, at) } else { archive::tar_gz(&name, &entries, at) }?;
    std::fs::write(&file, &packed).with_context(|| file.display().to_string())?;
    archive::write_sums(&out)?;
    let megabytes = |bytes: usize| bytes as f64 / 1e6;
    let size = entries.iter().find(|entry| entry.program).map_or(0, |entry| entry.bytes.len());
    say::line(&format!(
        "{}: {:.1} MB, the program in it {:.1} MB",
        file.display(),
        megabytes(packed.len()),
        megabytes(size)
    ));
    if target == host && !windows {
        return starts(&file, &name);
    }
    say::line("packed for another system than this one: not started here");
    Ok(true)
}

/// Unpacks the archive as a person does, and starts what is in it.
fn starts(file: &Path, name: &str) -> Result<bool> {
    let folder = file.with_file_name(format!("{name}.tried"));
    std::fs::create_dir_all(&folder)?;
    let unpacked =
        process::succeeds(process::program("tar", &folder, &["-xzf"]).arg(file)).is_ok_and(|fine| fine);
    let inside = folder.join(name);
    let said = process::output(&mut process::program(inside.join("hongyan"), &inside, &["--version"]));
    let tried =
        process::output(&mut process::program(inside.join("hongyan"), &inside, &["config", "default"]));
    std::fs::remove_dir_all(&folder)?;
    say::line(&format!("unpacked and started: {}", said.as_deref().unwrap_or("it does not start")));
    Ok(unpacked && said.as_deref() == Some(&format!("hongyan {VERSION}")) && tried.is_some())
}

/// The triple of this machine's toolchain.
fn host(root: &Path) -> Result<String> {
    let said = process::output(&mut process::program("rustc", root, &["-vV"])).context("rustc -vV failed")?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    Ok(host.to_owned())
}

fn target_folder(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// The time that stands in the archive: that of the last commit, so that the same source packs to the same names and times.
fn moment(root: &Path) -> u64 {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok();
    let commit = || process::output(&mut process::program("git", root, &["log", "-1", "--format=%ct"]));
    given.or_else(commit).and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn everything_that_is_packed_is_there() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for (from, _) in super::FILES {
            assert!(root.join(from).is_file(), "{from}");
        }
    }
}
