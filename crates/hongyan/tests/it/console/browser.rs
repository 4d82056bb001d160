//! `tests/browser/console.mjs` in Debian's Chromium, against the binary: from the first visit to the first message, a sheet, a
//! campaign paused, roles, both languages, every link as each role, axe-core on every page.

use std::path::Path;
use std::process::Command;

use crate::program::{Server, free_address, ok};
use crate::world::until;

/// What the script needs; `cargo xtask test` installs it.
fn missing() -> Option<String> {
    let chromium = std::env::var("HONGYAN_TEST_CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    if !Path::new(&chromium).exists() {
        Some(format!("no browser at {chromium}"))
    } else if !script.join("node_modules/playwright-core").exists() {
        Some("playwright-core is not installed (npm ci in crates/hongyan/tests/browser)".to_owned())
    } else if Command::new("node").arg("--version").output().is_err() {
        Some("no node".to_owned())
    } else {
        None
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_console_is_walked() {
    if let Some(why) = missing() {
        assert!(std::env::var_os("HONGYAN_REQUIRE_ALL").is_none(), "the browser test cannot run: {why}");
        eprintln!("the browser test was left out: {why}");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let address = free_address();
    let _server = Server::start(directory.path(), &address);
    let url = format!("http://{address}");
    until("the server", || async {
        crate::http::try_call("GET", &format!("{url}/readyz"), &[], "").await.ok()
    })
    .await;
    let code = ok(directory.path(), &["setup-code"]).trim().to_owned();
    let shots = std::env::temp_dir().join(format!("hongyan-console-{}", std::process::id()));
    let output = tokio::task::spawn_blocking({
        let shots = shots.clone();
        move || {
            let mut node = Command::new("node");
            if let Some(chromium) = std::env::var_os("HONGYAN_TEST_CHROMIUM") {
                node.env("CHROMIUM", chromium);
            }
            node.arg("console.mjs").arg(&url).arg(&code).arg(&shots);
            node.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser")).output().unwrap()
        }
    })
    .await
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
