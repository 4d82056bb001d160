//! A throw-away PostgreSQL for tests and benches: a cluster of its own in a temporary directory, reachable by a
//! unix socket only, stopped and removed on drop. Behind the feature `testing`; used by the tests of this crate and
//! by `bench`.

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where to look for `initdb` and `pg_ctl` first.
pub const BIN: &str = "HONGYAN_TEST_PG_BIN";
/// Set to 1 where a missing PostgreSQL is a failure.
pub const REQUIRE: &str = "HONGYAN_REQUIRE_ALL";

/// A running cluster.
#[derive(Debug)]
pub struct TempPostgres {
    bin: PathBuf,
    directory: PathBuf,
    user: Option<(u32, u32)>,
}

impl TempPostgres {
    /// Starts a cluster with these settings (`name=value`).
    ///
    /// # Errors
    /// In words: PostgreSQL is not installed, or what it said.
    pub fn start(settings: &[&str]) -> Result<Self, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let bin = find().ok_or("no initdb and postgres found")?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("hongyan-pg-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        let owner = std::fs::metadata(&directory).map_err(|error| error.to_string())?;
        // PostgreSQL refuses to run as root.
        let user = if std::os::unix::fs::MetadataExt::uid(&owner) == 0 { unprivileged() } else { None };
        let cluster = Self { bin, directory, user };
        cluster.prepare(settings)?;
        Ok(cluster)
    }

    /// The same for a test that may be skipped: without PostgreSQL it says so in one line.
    ///
    /// # Panics
    /// Without PostgreSQL where [`REQUIRE`] is 1.
    pub fn for_test(test: &str) -> Option<Self> {
        match Self::start(&["fsync=off", "shared_buffers=32MB"]) {
            Ok(cluster) => Some(cluster),
            Err(why) => {
                assert!(std::env::var(REQUIRE).as_deref() != Ok("1"), "{test} needs PostgreSQL: {why}");
                // Not `eprintln`: the test harness would swallow it, and a skipped test would look like a passed one.
                let line = format!("\nSKIPPED {test}: no PostgreSQL ({why})\n");
                let _ = std::io::stderr().write_all(line.as_bytes());
                None
            }
        }
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        format!("postgres://hongyan@localhost/postgres?host={}", self.directory.display())
    }

    fn prepare(&self, settings: &[&str]) -> Result<(), String> {
        let text = |error: std::io::Error| error.to_string();
        std::fs::set_permissions(&self.directory, std::fs::Permissions::from_mode(0o700)).map_err(text)?;
        if let Some((uid, gid)) = self.user {
            chown(&self.directory, Some(uid), Some(gid)).map_err(text)?;
        }
        let data = self.data();
        let path = data.display().to_string();
        self.run("initdb", &["-D", &path, "-U", "hongyan", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"])?;
        let mut options =
            format!("-c listen_addresses= -c unix_socket_directories={}", self.directory.display());
        for setting in settings {
            options.push_str(" -c ");
            options.push_str(setting);
        }
        let log = self.directory.join("log").display().to_string();
        self.run("pg_ctl", &["start", "-w", "-D", &path, "-l", &log, "-o", &options])
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), String> {
        let mut command = Command::new(self.bin.join(program));
        command.args(arguments).current_dir(&self.directory).stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        // A server that is started keeps the descriptors it inherits: it must not get a pipe that is waited for.
        let output = self.directory.with_extension("out");
        let open = || std::fs::File::create(&output).map_err(|error| error.to_string());
        let status = command.stdout(open()?).stderr(open()?).status().map_err(|error| error.to_string())?;
        let said = std::fs::read_to_string(&output).unwrap_or_default();
        let _ = std::fs::remove_file(&output);
        if status.success() { Ok(()) } else { Err(format!("{program}: {}", said.trim())) }
    }
}

impl Drop for TempPostgres {
    fn drop(&mut self) {
        let data = self.data().display().to_string();
        let _ = self.run("pg_ctl", &["stop", "-w", "-m", "immediate", "-D", &data]);
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The directory that holds `initdb` and `postgres`.
fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(BIN) {
        return Some(PathBuf::from(named)).filter(|bin| complete(bin));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(|bin| complete(bin));
    on_path.map(resolved).or_else(|| {
        let mut packaged: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
            .filter(|bin| complete(bin))
            .collect();
        packaged.sort();
        packaged.pop()
    })
}

fn complete(bin: &Path) -> bool {
    bin.join("initdb").is_file() && bin.join("postgres").is_file()
}

/// Links on the PATH may not cover `pg_ctl`; the directory they lead to does.
fn resolved(bin: PathBuf) -> PathBuf {
    let target = std::fs::canonicalize(bin.join("postgres")).ok();
    target.and_then(|postgres| postgres.parent().map(Path::to_owned)).unwrap_or(bin)
}

/// A user that PostgreSQL consents to run as.
fn unprivileged() -> Option<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].iter().find_map(|name| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map_while(|number| number.parse().ok());
        Some((numbers.next()?, numbers.next()?))
    })
}
