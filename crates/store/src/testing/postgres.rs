//! A throw-away PostgreSQL: a server of its own in a temporary directory, run as another user than root, stopped and removed
//! with its owner, however that ends.

use std::collections::HashSet;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::guard::Guard;
use super::port::Port;

/// Where to look for `initdb` and `pg_ctl` first.
pub const BIN: &str = "HONGYAN_TEST_PG_BIN";
/// Set to 1 where a missing PostgreSQL is a failure.
pub const REQUIRE: &str = "HONGYAN_REQUIRE_ALL";
/// Settings of servers whose data nobody needs after a crash of the machine.
pub const FAST: [&str; 4] =
    ["fsync=off", "shared_buffers=64MB", "max_connections=400", "full_page_writes=off"];
/// Settings of servers that are crashed and measured: everything is synced.
pub const SAFE: [&str; 3] = ["fsync=on", "shared_buffers=256MB", "max_connections=300"];

/// A running server.
#[derive(Debug)]
pub struct TempPostgres {
    pub(super) bin: PathBuf,
    pub(super) directory: PathBuf,
    pub(super) user: Option<(u32, u32)>,
    /// On the loopback; none: reachable by its unix socket only.
    port: Option<Port>,
    settings: Vec<String>,
    /// Databases that [`fresh_from`](Self::fresh_from) copies.
    models: Mutex<HashSet<String>>,
    guard: Option<Guard>,
}

impl TempPostgres {
    /// Starts a server with these settings (`name=value`), reachable by a unix socket only.
    ///
    /// # Errors
    /// In words: PostgreSQL is not installed, or what it said.
    pub fn start(settings: &[&str]) -> Result<Self, String> {
        let mut server = Self::new(settings, false)?;
        server.prepare()?;
        Ok(server)
    }

    /// The same, reachable by a port of the loopback too.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_tcp(settings: &[&str]) -> Result<Self, String> {
        let mut server = Self::new(settings, true)?;
        server.prepare()?;
        Ok(server)
    }

    pub(super) fn new(settings: &[&str], tcp: bool) -> Result<Self, String> {
        let bin = find().ok_or("no initdb and postgres found")?;
        let port = if tcp { Some(Port::free().map_err(|error| error.to_string())?) } else { None };
        let directory = new_directory().map_err(|error| error.to_string())?;
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server =
            Self { bin, directory, user: None, port, settings, models: Mutex::default(), guard: None };
        server.give_away()?;
        let guard = Guard::over(&server.bin, &server.directory, server.user);
        server.guard = Some(guard.map_err(|error| error.to_string())?);
        Ok(server)
    }

    /// For a test that may be skipped: without PostgreSQL it says so in one line.
    ///
    /// # Panics
    /// Without PostgreSQL where [`REQUIRE`] is 1.
    pub fn for_test(test: &str) -> Option<Self> {
        missing(test, Self::start(&FAST))
    }

    /// The one server that all tests of this process share.
    ///
    /// # Panics
    /// As [`for_test`](Self::for_test).
    pub fn shared(test: &str) -> Option<&'static Self> {
        static SHARED: OnceLock<Result<TempPostgres, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| Self::start(&FAST));
        missing(test, shared.as_ref().map_err(Clone::clone))
    }

    /// The URL of its first database, by the unix socket.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The URL of its first database, by its port: for a server that was started with one.
    pub fn tcp_url(&self) -> String {
        format!("postgres://hongyan@{}/postgres", self.address())
    }

    /// The URL of a database, by the unix socket.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://hongyan@localhost/{database}?host={}", self.directory.display())
    }

    /// Everything that a database of it holds, as text.
    ///
    /// # Errors
    /// What PostgreSQL said.
    pub fn dump(&self, url: &str) -> Result<String, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = url.split("localhost/").nth(1).and_then(|rest| rest.split('?').next()).unwrap_or_default();
        let file = self.directory.join(format!("dump{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        self.run("pg_dump", &self.client(&["--data-only", "-f", &file.display().to_string(), name]))?;
        std::fs::read_to_string(&file).map_err(|error| error.to_string())
    }

    /// What it writes about itself.
    pub fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// Where it listens; port 0 where it was not started with one.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port.as_ref().map_or(0, Port::number)))
    }

    /// A new, empty database of it; gives its URL.
    ///
    /// # Errors
    /// What PostgreSQL said.
    pub fn fresh_database(&self) -> Result<String, String> {
        self.database_from("template0")
    }

    /// A database of this name.
    ///
    /// # Errors
    /// What PostgreSQL said.
    pub fn create(&self, name: &str, template: &str) -> Result<(), String> {
        self.run("createdb", &self.client(&["-T", template, name]))
    }

    /// A copy of a database that nobody is connected to; gives its URL.
    ///
    /// # Errors
    /// What PostgreSQL said.
    pub fn copy_of(&self, name: &str) -> Result<String, String> {
        self.database_from(name)
    }

    /// A copy of the database `model`, which `make` fills when it is first asked for, by the URL it is given, and leaves
    /// without a connection; gives the copy's URL.
    ///
    /// # Errors
    /// What PostgreSQL said, or `make`; the next one who asks tries again.
    pub fn fresh_from(
        &self,
        model: &str,
        make: impl FnOnce(&str) -> Result<(), String>,
    ) -> Result<String, String> {
        // Held while it is made: who needs it too waits.
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if !models.contains(model) {
            // What is left of an attempt that failed.
            self.run("dropdb", &self.client(&["--if-exists", model]))?;
            self.create(model, "template0")?;
            make(&self.url_of(model))?;
            models.insert(model.to_owned());
        }
        drop(models);
        self.database_from(model)
    }

    fn database_from(&self, template: &str) -> Result<String, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("d{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.run("createdb", &self.client(&["-T", template, &name]))?;
        Ok(self.url_of(&name))
    }

    fn client(&self, arguments: &[&str]) -> Vec<String> {
        let host = self.directory.display().to_string();
        let mut all: Vec<String> = ["-h", &host, "-U", "hongyan"].map(str::to_owned).into();
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        all
    }

    /// Stops it in the middle of whatever it does, as a crash would.
    ///
    /// # Errors
    /// What PostgreSQL said.
    pub fn crash(&self) -> Result<(), String> {
        self.control("stop", &["-m", "immediate"])
    }

    /// Starts it again, on the same port.
    ///
    /// # Errors
    /// What PostgreSQL said.
    pub fn start_again(&self) -> Result<(), String> {
        let host = self.directory.display().to_string();
        let port = self.port.as_ref().map(Port::number);
        let mut options = match port {
            Some(port) => format!("-c listen_addresses=127.0.0.1 -c port={port}"),
            None => "-c listen_addresses=".to_owned(),
        };
        options.push_str(&format!(" -c unix_socket_directories={host}"));
        for setting in &self.settings {
            options.push_str(&format!(" -c {setting}"));
        }
        let log = self.directory.join("log").display().to_string();
        self.control("start", &["-l", &log, "-o", &options])?;
        // Clients look for the socket under the usual port's name.
        if let Some(port) = port.filter(|port| *port != 5432) {
            let (from, to) = (format!(".s.PGSQL.{port}"), self.directory.join(".s.PGSQL.5432"));
            let _ = std::fs::remove_file(&to);
            let _ = std::os::unix::fs::symlink(from, to);
        }
        Ok(())
    }

    /// Lets it end its sessions and start anew.
    ///
    /// # Errors
    /// What PostgreSQL said.
    pub fn restart(&self) -> Result<(), String> {
        self.control("stop", &["-m", "fast"])?;
        self.start_again()
    }

    /// Runs a statement.
    ///
    /// # Errors
    /// What PostgreSQL said.
    pub fn say(&self, statement: &str) -> Result<(), String> {
        self.run("psql", &self.client(&["-q", "-v", "ON_ERROR_STOP=1", "-c", statement, "postgres"]))
    }

    pub(super) fn control(&self, what: &str, more: &[&str]) -> Result<(), String> {
        let data = self.data().display().to_string();
        let mut arguments = vec![what, "-w", "-t", "60", "-D", &data];
        arguments.extend(more);
        self.run("pg_ctl", &arguments)
    }

    /// PostgreSQL refuses to run as root: another user gets the directory then.
    fn give_away(&mut self) -> Result<(), String> {
        let text = |error: std::io::Error| error.to_string();
        let owner = std::fs::metadata(&self.directory).map_err(text)?;
        if std::os::unix::fs::MetadataExt::uid(&owner) == 0 {
            self.user = unprivileged();
        }
        if let Some((uid, gid)) = self.user {
            chown(&self.directory, Some(uid), Some(gid)).map_err(text)?;
        }
        Ok(())
    }

    fn prepare(&mut self) -> Result<(), String> {
        let data = self.data().display().to_string();
        self.run("initdb", &["-D", &data, "-U", "hongyan", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"])?;
        self.start_again()
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    pub(super) fn run(&self, program: &str, arguments: &[impl AsRef<std::ffi::OsStr>]) -> Result<(), String> {
        let mut command = Command::new(self.bin.join(program));
        command.args(arguments).current_dir(&self.directory).stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        // A server that is started keeps the descriptors it inherits: it must not get a pipe that is waited for. The file is
        // inside, where the guard may remove it.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let output = self.directory.join(format!("out{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let text = |error: std::io::Error| error.to_string();
        let file = std::fs::File::create(&output).map_err(text)?;
        command.stdout(file.try_clone().map_err(text)?).stderr(file);
        let status = command.status().map_err(text)?;
        let said = std::fs::read_to_string(&output).unwrap_or_default();
        let _ = std::fs::remove_file(&output);
        if status.success() { Ok(()) } else { Err(format!("{program}: {}", said.trim())) }
    }
}

impl Drop for TempPostgres {
    fn drop(&mut self) {
        // It stops the server and removes what it left, except a directory in one that it may not write to.
        drop(self.guard.take());
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A directory that nobody had before: after a reboot, or from another container, there may be one of this process's number.
fn new_directory() -> std::io::Result<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("hongyan-pg-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        match std::fs::DirBuilder::new().mode(0o700).create(&directory) {
            Ok(()) => return Ok(directory),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

fn missing<T>(test: &str, found: Result<T, String>) -> Option<T> {
    match found {
        Ok(found) => Some(found),
        Err(why) => {
            assert!(std::env::var(REQUIRE).as_deref() != Ok("1"), "{test} needs PostgreSQL: {why}");
            // Not `eprintln`: the test harness would swallow it, and a skipped test would look like a passed one.
            let line = format!("\nSKIPPED {test}: no PostgreSQL ({why})\n");
            let _ = std::io::stderr().write_all(line.as_bytes());
            None
        }
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
