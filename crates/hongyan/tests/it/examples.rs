//! The mini program's kit and its examples: their own tests, the example's builds by the official compiler, and the example played
//! in the simulated phone by `tests/browser/example.mjs`.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::program::hongyan;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// What the test needs and is not there; `cargo xtask test` installs it. Where everything is required, it must be.
fn missing(folder: &Path) -> Option<String> {
    let ready =
        folder.join("node_modules").is_dir() && Command::new("node").arg("--version").output().is_ok();
    let missing = (!ready).then(|| format!("npm ci in {} is missing", folder.display()));
    assert!(missing.is_none() || std::env::var_os("HONGYAN_REQUIRE_ALL").is_none(), "{missing:?}");
    missing
}

fn npm(folder: &Path, script: &str) {
    let output = Command::new("npm").args(["run", "-s", script]).current_dir(folder).output().unwrap();
    assert!(
        output.status.success(),
        "npm run {script}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_kit_passes_its_own_tests() {
    let kit = PathBuf::from(ROOT).join("clients/miniprogram");
    match missing(&kit) {
        Some(why) => eprintln!("left out: {why}"),
        None => npm(&kit, "test"),
    }
}

/// `hongyan demo`, until it goes out of scope.
pub(crate) struct Demo {
    child: Child,
    pub(crate) phone: String,
    pub(crate) service: String,
    pub(crate) key: String,
}

impl Demo {
    /// With these further arguments; its story is over when this returns.
    pub(crate) fn start(directory: &Path, arguments: &[&OsStr]) -> Self {
        let mut demo = hongyan(directory);
        demo.env("TMPDIR", directory).arg("demo").args(arguments).stdout(Stdio::piped());
        let mut child = demo.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut demo = Self { child, phone: String::new(), service: String::new(), key: String::new() };
        let last = |line: &str| line.split_whitespace().next_back().unwrap_or_default().to_owned();
        for line in lines.map_while(Result::ok) {
            if line.contains("  the phone  ") {
                demo.phone = last(&line);
            } else if line.contains("  the interface  ") {
                demo.service = last(&line).trim_end_matches("/docs").to_owned();
            } else if let Some((_, key)) = line.split_once("Bearer ") {
                demo.key = key.split('\'').next().unwrap_or_default().to_owned();
            } else if line.contains("Ctrl-C") {
                return demo;
            }
        }
        panic!("the demo ended before its story did");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_uni_app_example_is_built_and_played_in_the_phone() {
    let example = PathBuf::from(ROOT).join("examples/uni-app");
    let browser = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let chromium = std::env::var("HONGYAN_TEST_CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    if let Some(why) = missing(&example).or_else(|| missing(&browser)) {
        eprintln!("left out: {why}");
        return;
    }
    npm(&example, "build:mp-weixin");
    let built = |file: &str| {
        let path = example.join("dist/build").join(file);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    assert!(built("mp-weixin/app.json").contains("pages/notice/notice"));
    assert!(built("mp-weixin/project.config.json").contains(simulator::SAMPLE_APPID));
    assert!(
        built("mp-weixin/common/vendor.js").contains("requestSubscribeMessage")
            || built("mp-weixin/hongyan.js").contains("requestSubscribeMessage"),
        "the kit is in it"
    );
    npm(&example, "build:h5");
    if !Path::new(&chromium).exists() {
        assert!(std::env::var_os("HONGYAN_REQUIRE_ALL").is_none(), "no browser at {chromium}");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let built = example.join("dist/build/h5");
    let demo = Demo::start(directory.path(), &["--mini-program".as_ref(), built.as_os_str()]);
    let shots = std::env::temp_dir().join(format!("hongyan-example-{}", std::process::id()));
    let output = Command::new("node")
        .arg("example.mjs")
        .args([&demo.phone, &demo.service, &demo.key])
        .arg(&shots)
        .env("CHROMIUM", &chromium)
        .current_dir(&browser)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "pictures in {}\n{}\n{}",
        shots.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::remove_dir_all(shots).unwrap();
}

#[test]
fn a_mini_program_that_is_none_is_said() {
    let directory = tempfile::tempdir().unwrap();
    for command in [["demo", "--once"], ["simulator", "--listen=127.0.0.1:0"]] {
        let output = hongyan(directory.path())
            .args(command)
            .arg("--mini-program")
            .arg(directory.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("no index.html"), "{said}");
    }
}
