//! `hongyan master-key change`: another key, whatever moment it breaks off at, and a service that works with it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use domain::{Clock, SystemClock};
use serde_json::Value;
use simulator::SAMPLE_APPID;
use wechat::callback::signature;

use crate::chaos::ready;
use crate::http::call;
use crate::program::{Server, free_address, hongyan, ok, register, run};
use crate::world::{TOKEN, until};

fn fails(data_dir: &Path, arguments: &[&str], parts: &[&str]) {
    let output = run(data_dir, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    assert!(parts.iter().any(|part| said.contains(part)), "{arguments:?}: {said}");
}

/// The callback's Token opens: WeChat's verification is answered.
async fn is_verified(data_dir: &Path) {
    let address = free_address();
    let _server = Server::start(data_dir, &address);
    until("the server", || ready(&address)).await;
    let timestamp = (SystemClock.now() / 1_000).to_string();
    let signature = signature::sign(&[TOKEN, &timestamp, "nonce"]);
    let query = format!("signature={signature}&timestamp={timestamp}&nonce=nonce&echostr=echo42");
    let reply = call("GET", &format!("http://{address}/callback/{SAMPLE_APPID}?{query}"), &[], "").await;
    assert_eq!((reply.status, reply.text.as_str()), (200, "echo42"));
    fails(data_dir, &["master-key", "change"], &["already serving", "nodes are running"]);
}

fn change(data_dir: &Path) -> Value {
    serde_json::from_str(&ok(data_dir, &["master-key", "change", "--json"])).unwrap()
}

#[cfg(unix)]
fn is_private(path: &Path) {
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "{}", path.display());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i12_another_key_takes_the_place_of_the_present_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fails(path, &["master-key", "change"], &["There is no master key"]);
    register(path, "http://127.0.0.1:9", &["--callback-mode", "plain"]);
    is_verified(path).await;
    let key = path.join("master.key");
    let before = std::fs::read(&key).unwrap();
    // A killed node is believed to live for a while, on a shared database.
    until("the key to be changed", || async {
        run(path, &["master-key", "change"]).status.success().then_some(())
    })
    .await;
    assert_ne!(std::fs::read(&key).unwrap(), before);
    let done = change(path);
    assert!(done["secrets"].as_u64() >= Some(2), "{done}");
    assert_eq!(done["key_file"], key.to_str().unwrap());
    let kept = Path::new(done["former_key_file"].as_str().unwrap()).to_owned();
    assert_eq!(kept, path.join(format!("master.key.{}", done["from"].as_str().unwrap())));
    assert!(!path.join("master.key.next").exists());
    #[cfg(unix)]
    for file in [&key, &kept] {
        is_private(file);
    }
    is_verified(path).await;

    let with = |file: &Path, arguments: &[&str]| {
        hongyan(path).env("HONGYAN_MASTER_KEY_FILE", file).args(arguments).output().unwrap()
    };
    let former = with(&kept, &["app", "list"]);
    assert!(
        String::from_utf8_lossy(&former.stderr).contains("does not belong to this database"),
        "{former:?}"
    );
    // A key that a variable names is the operator's to put in its place.
    let unnamed = with(&key, &["master-key", "change"]);
    assert!(String::from_utf8_lossy(&unnamed.stderr).contains("--to"), "{unnamed:?}");
    let same = with(&key, &["master-key", "change", "--to", key.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&same.stderr).contains("present key already"), "{same:?}");
    let to = path.join("elsewhere.key");
    until("the key to be changed", || async {
        with(&key, &["master-key", "change", "--to", to.to_str().unwrap()]).status.success().then_some(())
    })
    .await;
    let listed = with(&to, &["app", "list"]);
    assert!(listed.status.success() && String::from_utf8_lossy(&listed.stdout).contains(SAMPLE_APPID));
    assert!(!with(&key, &["app", "list"]).status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_killed_is_ended_by_giving_it_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    register(path, "http://127.0.0.1:9", &["--callback-mode", "plain"]);
    for wait in [5, 15, 25, 35, 50, 70] {
        let mut command = hongyan(path);
        command.args(["master-key", "change"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        // A moment of its run, whichever it is.
        tokio::time::sleep(Duration::from_millis(wait)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        change(path);
        assert!(ok(path, &["app", "show", SAMPLE_APPID]).contains(SAMPLE_APPID));
        assert!(!path.join("master.key.next").exists());
    }
    is_verified(path).await;
}
