//! Where a document's commands run: a directory of their own that looks like a checkout, in which `cargo run --release --` and
//! `target/release/hongyan` are the binary under test. What keeps running goes on in the background until the document ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::page::fits;

/// How long something may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// What is typed where a command reads an AppSecret.
const TYPED: &[u8] = b"0123456789abcdef0123456789abcdef\n";
/// In place of `cargo`: what the documents tell people to build is built.
const CARGO: &str = r#"#!/bin/sh
case "$1 $2 $3" in
"run --release --") shift 3; exec hongyan "$@" ;;
"build --release "*) exit 0 ;;
*) echo "the snippet test knows no: cargo $*" >&2; exit 99 ;;
esac
"#;

pub(super) struct Stage {
    directory: tempfile::TempDir,
    lang: String,
    /// Words of the document, and what stands for them here: addresses that are taken, a key that is made anew.
    means: Vec<(String, String)>,
    background: Vec<Background>,
}

/// A command that keeps running; its process group ends with it.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.0.id())]).status();
        let _ = self.0.wait();
    }
}

impl Stage {
    pub(super) fn new(lang: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (bin, release) = (directory.path().join("bin"), directory.path().join("checkout/target/release"));
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::create_dir_all(&release).unwrap();
        let program = std::env::var_os("HONGYAN_TEST_PROGRAM");
        let program = program.map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_hongyan")), PathBuf::from);
        symlink(&program, bin.join("hongyan")).unwrap();
        symlink(&program, release.join("hongyan")).unwrap();
        std::fs::write(bin.join("cargo"), CARGO).unwrap();
        std::fs::set_permissions(bin.join("cargo"), PermissionsExt::from_mode(0o755)).unwrap();
        // Others on this machine, other tests too, may have the usual addresses.
        let free = crate::program::free_address();
        let means = vec![("127.0.0.1:8700".to_owned(), free)];
        Self { directory, lang: lang.to_owned(), means, background: Vec::new() }
    }

    /// Runs a block; what it prints must be what is shown. Where that takes a moment (a receipt), it is run again.
    pub(super) fn run(&mut self, place: &str, script: &str, shown: Option<&str>) {
        let script = self.meant(script);
        if keeps_running(&script) {
            return self.start(place, &script, shown);
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (passed, printed) = self.once(&script);
            assert!(passed, "{place} failed:\n{script}\n\n{printed}");
            let shown = self.meant(shown.unwrap_or_default());
            let Err(why) = fits(&shown, &printed) else { break };
            assert!(
                is_question(&script) && Instant::now() < deadline,
                "{place}: {why}\n\nprinted:\n{printed}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn once(&self, script: &str) -> (bool, String) {
        let mut child = self.shell(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // Most commands read nothing.
        let _ = child.stdin.take().unwrap().write_all(TYPED);
        let output = child.wait_with_output().unwrap();
        let printed = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
    }

    /// Starts a command that keeps running, and waits until it says that it is ready.
    fn start(&mut self, place: &str, script: &str, shown: Option<&str>) {
        use std::os::unix::process::CommandExt;
        // One terminal: what ran before was ended by Ctrl-C.
        self.background.clear();
        let mut child = self.shell(script).stdout(Stdio::piped()).process_group(0).spawn().unwrap();
        let lines = merged(child.stdout.take().unwrap(), child.stderr.take().unwrap());
        self.background.push(Background(child));
        let deadline = Instant::now() + PATIENCE;
        let mut printed = String::new();
        while !(printed.contains("Ctrl-C") || printed.contains("hongyan is ready")) {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = lines
                .recv_timeout(left)
                .unwrap_or_else(|_| panic!("{place} was not ready; it printed:\n{printed}"));
            printed.push_str(&line);
            printed.push('\n');
        }
        self.learn(&printed);
        fits(&self.meant(shown.unwrap_or_default()), &printed)
            .unwrap_or_else(|why| panic!("{place}: {why}\n\nprinted:\n{printed}"));
        // Whatever it says later must not fill the pipe.
        std::thread::spawn(move || lines.iter().for_each(drop));
    }

    /// The demo says where it listens, and by which key it may be called.
    fn learn(&mut self, printed: &str) {
        let last = |label: &[&str]| {
            let line = printed.lines().find(|line| label.iter().any(|label| line.starts_with(label)))?;
            line.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned)
        };
        let address = |url: &str| url["http://".len()..].split('/').next().unwrap_or_default().to_owned();
        if let Some(url) = last(&["  the phone", "  模拟手机"]) {
            self.means.push(("127.0.0.1:8701".to_owned(), address(&url)));
        }
        if let Some(url) = last(&["  the interface", "  接口文档"]) {
            self.means[0].1 = address(&url);
        }
        if let Some((_, key)) = printed.split_once("Bearer ") {
            let key = key.split('\'').next().unwrap_or_default();
            self.means.push(("hy_…".to_owned(), key.to_owned()));
        }
    }

    fn meant(&self, text: &str) -> String {
        self.means.iter().fold(text.to_owned(), |text, (word, meaning)| text.replace(word, meaning))
    }

    fn shell(&self, script: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("sh");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HONGYAN_") {
                command.env_remove(name);
            }
        }
        for name in ["LC_ALL", "LC_MESSAGES", "RUST_LOG"] {
            command.env_remove(name);
        }
        // What one block sets, the next one has: a reader types into one terminal.
        let kept = self.directory.path().join("variables");
        let wrapped = format!(
            "set -a; [ ! -e {kept:?} ] || . {kept:?}; set -e\n{script}\nset +e; [ -z \"${{KEY-}}\" ] || echo \"KEY='$KEY'\" > {kept:?}",
        );
        command
            .args(["-c", &wrapped])
            .current_dir(self.directory.path().join("checkout"))
            .env("PATH", format!("{}:{path}", self.directory.path().join("bin").display()))
            .env("TMPDIR", self.directory.path())
            .env("LANG", &self.lang)
            .env("HONGYAN_LISTEN", &self.means[0].1)
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        command
    }
}

/// Whether its last command goes on until somebody ends it.
fn keeps_running(script: &str) -> bool {
    let last = script.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let last = last.split('#').next().unwrap_or_default();
    let words: Vec<&str> = last.split_whitespace().collect();
    let program = words.iter().any(|word| word.ends_with("hongyan")) || words.starts_with(&["cargo", "run"]);
    program && !words.contains(&"--once") && words.iter().any(|word| matches!(*word, "demo" | "serve"))
}

/// Whether it may be asked again: it changes nothing.
fn is_question(script: &str) -> bool {
    script.contains("curl") && !script.contains("-X") && !script.contains("-d ")
}

/// Both outputs, line by line.
fn merged(out: impl Read + Send + 'static, err: impl Read + Send + 'static) -> Receiver<String> {
    let (give, take) = channel();
    let more = give.clone();
    std::thread::spawn(move || pass(out, |line| give.send(line).is_ok()));
    std::thread::spawn(move || pass(err, |line| more.send(line).is_ok()));
    take
}

fn pass(from: impl Read, to: impl Fn(String) -> bool) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        if !to(line) {
            break;
        }
    }
}

#[test]
fn what_keeps_running_is_told_from_what_ends() {
    for script in ["cargo run --release -- demo", "./target/release/hongyan serve    # 127.0.0.1:8700"] {
        assert!(keeps_running(script), "{script}");
    }
    for script in
        ["cargo run --release -- demo --once", "hongyan app add x --name demo\nhongyan app list", "echo demo"]
    {
        assert!(!keeps_running(script), "{script}");
    }
}
