//! The command line beside a running server and without one, and what it says when something is wrong.

use std::io::Write;
use std::process::Stdio;

use crate::program::{Server, free_address, hongyan, ok, run};
use crate::world::{AES_KEY, TOKEN, until};

fn add_app(directory: &std::path::Path, more: &[&str]) -> std::process::Output {
    let mut arguments = vec!["app", "add", "wx5a3f0c2b7d9e4186", "--name", "幸福物业", "--secret-stdin"];
    arguments.extend(more);
    let mut child = hongyan(directory)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"0f1e2d3c4b5a69788796a5b4c3d2e1f0\n").unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn apps_and_keys_are_made_without_a_server_and_secrets_stay_inside() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let added = add_app(path, &["--generate"]);
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let text = String::from_utf8(added.stdout).unwrap();
    assert!(text.contains("EncodingAESKey") && text.contains("/callback/wx5a3f0c2b7d9e4186"), "{text}");
    let shown = ok(path, &["app", "show", "wx5a3f0c2b7d9e4186", "--json"]);
    assert!(!shown.contains("0f1e2d3c") && shown.contains("\"callback_mode\": \"safe\""), "{shown}");
    let key = ok(path, &["key", "create", "--name", "backend", "--all-apps", "--scope", "send,read"]);
    assert!(
        key.starts_with("hy_") && key.trim().len() == 46 && key.lines().count() == 1,
        "alone on standard output: {key}"
    );
    assert!(!ok(path, &["key", "list"]).contains(key.trim()));
    for entry in std::fs::read_dir(path.join("hongyan-data"))
        .into_iter()
        .flatten()
        .chain(std::fs::read_dir(path).unwrap())
    {
        let file = entry.unwrap().path();
        if file.is_file() {
            let bytes = std::fs::read(&file).unwrap();
            let secret = b"0f1e2d3c4b5a69788796a5b4c3d2e1f0";
            assert!(
                !bytes.windows(secret.len()).any(|window| window == secret),
                "the AppSecret stands in {}",
                file.display()
            );
        }
    }
    ok(path, &["app", "set", "wx5a3f0c2b7d9e4186", "--setting", "rate_per_second=50", "--alias", "/user"]);
    assert!(ok(path, &["app", "show", "wx5a3f0c2b7d9e4186"]).contains("\"rate_per_second\":50"));
    ok(path, &["app", "remove", "wx5a3f0c2b7d9e4186"]);
    assert!(!ok(path, &["app", "list"]).contains("wx5a3f"));
}

#[test]
fn what_is_wrong_is_said_and_the_exit_code_tells() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let says = |arguments: &[&str], code: i32, part: &str| {
        let output = run(path, arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(part), "{arguments:?}: {text}");
    };
    says(&["send"], 2, "required");
    says(&["nonsense"], 2, "unrecognized");
    says(&["key", "create", "--name", "x", "--scope", "send"], 2, "--app");
    says(&["key", "create", "--name", "x", "--all-apps", "--scope", "fly"], 2, "no scope");
    says(&["app", "show", "wx0000000000000000"], 1, "no app");
    says(&["app", "add", "gh_1", "--name", "x"], 1, "AppSecret");
    says(&["app", "list", "--database-url", "mysql://localhost/x"], 1, "sqlite:PATH");
    says(&["app", "list", "--config", "missing.toml"], 1, "missing.toml");
    std::fs::write(path.join("wrong.toml"), "lisen = 1\n").unwrap();
    says(&["config", "check", "--config", "wrong.toml"], 1, "lisen");
    assert!(ok(path, &["config", "default"]).contains("public_listen"));
    assert!(add_app(path, &["--generate"]).status.success());
    assert!(!add_app(path, &["--generate"]).status.success(), "it is registered already");
    says(&["send", "wx5a3f0c2b7d9e4186", "--to", "last", "--template", "t"], 1, "Nobody has subscribed");
    assert!(ok(path, &["config", "check"]).contains("apps: 1"));
    assert!(ok(path, &["migrate"]).contains("already"));

    // Another key than the one that sealed the secrets.
    let key = path.join("master.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::write(&key, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").unwrap();
    says(&["app", "list"], 1, "does not belong to this database");
    std::fs::write(&key, "short\n").unwrap();
    says(&["app", "list"], 1, "32 bytes");
    std::fs::write(&key, kept).unwrap();
    ok(path, &["app", "list"]);
    #[cfg(unix)]
    {
        let mode = |path: &std::path::Path| {
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777
        };
        assert_eq!(mode(&key), 0o600);
        // Another directory means another key, which a database that is there already would not take.
        if !crate::database::is_postgres() {
            let fresh = path.join("fresh");
            ok(path, &["app", "list", "--data-dir", fresh.to_str().unwrap()]);
            assert_eq!(mode(&fresh), 0o700, "a new data directory is its owner's");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_work_beside_a_running_server_and_a_second_server_is_refused() {
    if crate::database::only_a_file() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let address = free_address();
    let _server = Server::start(path, &address);
    let ready = format!("http://{address}/readyz");
    until("the server", || async {
        tokio::net::TcpStream::connect(&address).await.ok()?;
        (crate::http::call("GET", &ready, &[], "").await.status == 200).then_some(())
    })
    .await;
    assert!(add_app(path, &["--callback-token", TOKEN, "--aes-key", AES_KEY]).status.success());
    let key = ok(path, &["key", "create", "--name", "x", "--all-apps", "--scope", "read"]);
    let bearer = format!("Bearer {}", key.trim());
    let apps =
        crate::http::call("GET", &format!("http://{address}/api/v1/apps"), &[("authorization", &bearer)], "")
            .await;
    assert_eq!(apps.json()["items"][0]["app_id"], "wx5a3f0c2b7d9e4186", "the server sees it at once");
    let second = run(path, &["serve", "--listen", &free_address()]);
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("already serving"));
    let log = std::fs::read_to_string(path.join("serve.log")).unwrap();
    assert!(!log.contains(TOKEN) && !log.contains(key.trim()), "{log}");
}
