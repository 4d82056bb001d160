//! Runs the binary as a person or a script does.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::world::{AES_KEY, TOKEN};

/// The binary with a data directory of its own and a known environment.
pub(crate) fn hongyan(data_dir: &Path) -> Command {
    // Another build of it, for long runs: HONGYAN_TEST_PROGRAM.
    let program = std::env::var_os("HONGYAN_TEST_PROGRAM");
    let mut command = Command::new(program.unwrap_or_else(|| env!("CARGO_BIN_EXE_hongyan").into()));
    for name in
        ["LC_ALL", "LC_MESSAGES", "HONGYAN_LANG", "HONGYAN_MASTER_KEY", "HONGYAN_DATABASE_URL", "RUST_LOG"]
    {
        command.env_remove(name);
    }
    if crate::database::is_postgres() {
        command.env("HONGYAN_DATABASE_URL", crate::database::url(data_dir)).env("HONGYAN_LEASE_SECONDS", "6");
        command.env("HONGYAN_DATABASE_CONNECTIONS", "12");
    }
    command
        .env("LANG", "en_US.UTF-8")
        .env("HONGYAN_DATA_DIR", data_dir)
        .current_dir(data_dir)
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn run(data_dir: &Path, arguments: &[&str]) -> Output {
    hongyan(data_dir).args(arguments).output().unwrap()
}

/// Runs a command that must succeed; gives its standard output.
pub(crate) fn ok(data_dir: &Path, arguments: &[&str]) -> String {
    let output = run(data_dir, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A running server; killed (not stopped) when it goes out of scope.
pub(crate) struct Server(Child);

impl Server {
    pub(crate) fn start(data_dir: &Path, listen: &str) -> Self {
        Self::of(hongyan(data_dir), data_dir, listen)
    }

    /// With a command that was prepared.
    pub(crate) fn of(mut command: Command, data_dir: &Path, listen: &str) -> Self {
        let log =
            std::fs::File::options().create(true).append(true).open(data_dir.join("serve.log")).unwrap();
        Self(command.args(["serve", "--listen", listen]).stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    /// SIGTERM, and waits for the end: as an operator stops it. Gives whether it ended well.
    #[cfg(unix)]
    pub(crate) fn stop(&mut self) -> bool {
        let asked = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        asked.success() && self.0.wait().unwrap().success()
    }

    /// Its process.
    #[cfg(unix)]
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Lets it stand still (`STOP`), or go on (`CONT`).
    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status().unwrap();
        assert!(sent.success(), "{name}");
    }

    /// SIGKILL: no destructor, no flush.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Registers the sample app with the simulated WeChat at `wechat`, and makes a key; gives the `Authorization` header.
pub(crate) fn register(data_dir: &Path, wechat: &str, settings: &[&str]) -> String {
    register_with(|| hongyan(data_dir), wechat, settings)
}

/// The same with commands that are prepared otherwise.
pub(crate) fn register_with(hongyan: impl Fn() -> Command, wechat: &str, settings: &[&str]) -> String {
    let ok = |arguments: &[&str]| {
        let output = hongyan().args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let mut add = hongyan();
    add.args(["app", "add", simulator::SAMPLE_APPID, "--name", "x", "--secret-stdin"]);
    add.args(["--callback-token", TOKEN, "--aes-key", AES_KEY, "--api-base-url", wechat]);
    let mut add = add.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    add.stdin.take().unwrap().write_all(simulator::sample_app().secret.as_bytes()).unwrap();
    assert!(add.wait().unwrap().success());
    if !settings.is_empty() {
        ok(&[&["app", "set", simulator::SAMPLE_APPID], settings].concat());
    }
    let key = ok(&["key", "create", "--name", "x", "--all-apps", "--scope", "send,read,manage"]);
    format!("Bearer {}", key.trim())
}

/// Says that a test did not run. Not `eprintln`: the test harness would swallow it, and a skipped test would look like a passed one.
pub(crate) fn skipped(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "\nSKIPPED {test}: {why}");
}

/// An address that is free now, and that no outgoing connection takes before the program of a test listens there: its
/// port lies below those that systems hand out by themselves. Programs of tests that run beside each other begin elsewhere.
pub(crate) fn free_address() -> String {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(97);
    let addresses = std::iter::repeat_with(|| {
        let next = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        format!("127.0.0.1:{}", FIRST + next % COUNT)
    });
    let mut addresses = addresses.take(COUNT as usize);
    addresses.find(|address| std::net::TcpListener::bind(address).is_ok()).unwrap()
}
