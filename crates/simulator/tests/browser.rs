//! The phone in a real browser: plays `browser/phone.mjs` (Debian's Chromium by playwright-core) against a simulator
//! in this process, in both languages, narrow and wide.

mod common;

use std::path::Path;
use std::process::Command;

/// What the script needs; `cargo xtask test` installs it. Elsewhere a missing part is said, and fails only where
/// everything is required.
fn missing() -> Option<String> {
    let chromium = std::env::var("HONGYAN_TEST_CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    if !Path::new(&chromium).exists() {
        Some(format!("no browser at {chromium}"))
    } else if !script.join("node_modules/playwright-core").exists() {
        Some("playwright-core is not installed (npm ci in crates/simulator/tests/browser)".to_owned())
    } else if Command::new("node").arg("--version").output().is_err() {
        Some("no node".to_owned())
    } else {
        None
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_phone_is_tapped_and_receives() {
    if let Some(why) = missing() {
        assert!(std::env::var_os("HONGYAN_REQUIRE_ALL").is_none(), "the browser test cannot run: {why}");
        eprintln!("the browser test was left out: {why}");
        return;
    }
    let phone = common::start().await;
    let url = phone.base.clone();
    let shots = std::env::temp_dir().join(format!("hongyan-phone-{}", std::process::id()));
    let output = tokio::task::spawn_blocking({
        let shots = shots.clone();
        move || {
            let mut node = Command::new("node");
            if let Some(chromium) = std::env::var_os("HONGYAN_TEST_CHROMIUM") {
                node.env("CHROMIUM", chromium);
            }
            node.arg("phone.mjs").arg(&url).arg(&shots);
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
