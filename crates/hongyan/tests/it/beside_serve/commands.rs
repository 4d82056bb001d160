//! What each command does beside the server, and what the server makes of it.

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use simulator::{SAMPLE_APPID, SAMPLE_OPENID};

use super::{Serve, soon, verify};
use crate::http::call;
use crate::program::{free_address, hongyan, ok, run};
use crate::world::{AES_KEY, FEE, REPAIR, TOKEN, until};

const SECOND_APP: &str = "wx2222222222222222";

/// With something on standard input.
fn with_input(directory: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = hongyan(directory);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn says(directory: &Path, arguments: &[&str], code: i32, part: &str) {
    let output = run(directory, arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    assert!(text.contains(part), "{arguments:?}: {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apps_come_change_and_go() {
    let serve = Serve::start().await;
    let (path, address) = (serve.path(), serve.address.as_str());
    assert_eq!(verify(address, SECOND_APP, "secondToken1").await.0, 404, "nobody knows it yet");
    let add = [
        "app",
        "add",
        SECOND_APP,
        "--name",
        "二号",
        "--secret-stdin",
        "--callback-token",
        "secondToken1",
        "--aes-key",
        AES_KEY,
    ];
    let added = with_input(path, &add, "0123456789abcdef0123456789abcdef\n");
    assert_eq!(added.status.code(), Some(0), "{}", String::from_utf8_lossy(&added.stderr));
    soon("the new app's callback answered", || async {
        verify(address, SECOND_APP, "secondToken1").await == (200, "echo42".to_owned())
    })
    .await;
    let again = with_input(path, &add, "x\n");
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("registered already"));

    ok(path, &["app", "set", SECOND_APP, "--callback-token", "otherToken2", "--alias", "/user"]);
    ok(path, &["app", "set", SECOND_APP, "--setting", "on_unknown=resend", "--setting", "concurrency=3"]);
    soon("the new token", || async { verify(address, SECOND_APP, "otherToken2").await.0 == 200 }).await;
    let path_of = format!("/apps/{SECOND_APP}");
    let shown = || async { serve.api("GET", &path_of, &Value::Null).await.json() };
    soon("the new settings", || async { shown().await["settings"]["on_unknown"] == "resend" }).await;
    let shown = shown().await;
    assert_eq!((&shown["settings"]["concurrency"], &shown["alias"]), (&json!(3), &json!("/user")));
    let listed: Value = serde_json::from_str(&ok(path, &["app", "list", "--json"])).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(ok(path, &["app", "show", SECOND_APP]).contains("\"on_unknown\":\"resend\""));
    says(path, &["app", "set", SECOND_APP, "--setting", "on_unknown=perhaps"], 1, "on_unknown");
    says(path, &["app", "set", SECOND_APP, "--setting", "concurrency"], 2, "NAME=VALUE");
    says(path, &["app", "show", "wx3333333333333333"], 1, "no app");

    ok(path, &["app", "remove", SECOND_APP]);
    soon("the app gone", || async { verify(address, SECOND_APP, "otherToken2").await.0 == 404 }).await;
    assert_eq!(serve.api("GET", &format!("/apps/{SECOND_APP}"), &Value::Null).await.status, 404);
    says(path, &["app", "remove", SECOND_APP], 1, "no app");
    assert_eq!(verify(address, SAMPLE_APPID, TOKEN).await.0, 200, "the other one stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_made_and_revoked() {
    let serve = Serve::start().await;
    let path = serve.path();
    let key = ok(path, &["key", "create", "--name", "backend", "--app", SAMPLE_APPID, "--scope", "read"]);
    let bearer = format!("Bearer {}", key.trim());
    let status = || async { serve.api_as(&bearer, "GET", "/apps", &Value::Null).await.status };
    soon("the key taken", || async { status().await == 200 }).await;
    let keys: Value = serde_json::from_str(&ok(path, &["key", "list", "--json"])).unwrap();
    let number =
        keys.as_array().unwrap().iter().find(|key| key["name"] == "backend").unwrap()["id"].to_string();
    ok(path, &["key", "revoke", &number]);
    soon("the key refused", || async { status().await == 401 }).await;
    assert!(ok(path, &["key", "list"]).contains("revoked"));
    says(path, &["key", "revoke", "4711"], 1, "4711");
    says(
        path,
        &["key", "create", "--name", "x", "--app", "wx3333333333333333", "--scope", "read"],
        1,
        "no app",
    );
    says(path, &["key", "create", "--name", "x", "--scope", "read"], 2, "--app");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_sent_by_command_is_sent_by_the_server() {
    let serve = Serve::start().await;
    let path = serve.path();
    let sends = || serve.sim.counters(SAMPLE_APPID).unwrap().send_calls;
    assert!(ok(path, &["templates", "sync", SAMPLE_APPID]).contains(FEE));
    let listed = serve.api("GET", &format!("/apps/{SAMPLE_APPID}/templates"), &Value::Null).await.json();
    assert!(listed.to_string().contains(FEE), "the server shows what the command read: {listed}");
    assert!(ok(path, &["templates", "list", SAMPLE_APPID]).contains(FEE));
    serve.subscribe(FEE).await;
    let send = [
        "send",
        SAMPLE_APPID,
        "--to",
        SAMPLE_OPENID,
        "--template",
        FEE,
        "--data",
        "thing8=物业费",
        "--data",
        "thing5=请及时缴纳",
    ];
    let sent: Value = serde_json::from_str(&ok(path, &[&send[..], &["--json"]].concat())).unwrap();
    let id = sent["id"].as_str().unwrap();
    soon("the call", || async { sends() == 1 }).await;
    until("it delivered", || async {
        let message =
            serve.api("GET", &format!("/apps/{SAMPLE_APPID}/messages/{id}"), &Value::Null).await.json();
        (message["state"] == "delivered").then_some(())
    })
    .await;
    serve.subscribe(FEE).await;
    let waited = ok(path, &[&send[..], &["--wait"]].concat());
    assert!(waited.contains("accepted") || waited.contains("delivered"), "{waited}");
    let last = ok(
        path,
        &[
            "send",
            SAMPLE_APPID,
            "--to",
            "last",
            "--template",
            FEE,
            "--data",
            "thing8=a",
            "--data",
            "thing5=b",
        ],
    );
    assert!(last.contains("queued") || last.contains("sending") || last.contains("refused"), "{last}");
    // No grant: the command says what became of it and fails.
    let refused = run(
        path,
        &["send", SAMPLE_APPID, "--to", SAMPLE_OPENID, "--template", REPAIR, "--data", "thing1=a", "--wait"],
    );
    let text =
        format!("{}{}", String::from_utf8_lossy(&refused.stdout), String::from_utf8_lossy(&refused.stderr));
    assert_eq!(refused.status.code(), Some(1), "{text}");
    says(path, &["send", SAMPLE_APPID, "--to", SAMPLE_OPENID, "--template", "nope"], 1, "no template nope");
    says(
        path,
        &["send", SAMPLE_APPID, "--to", "x", "--template", FEE, "--data", "thing8=a"],
        1,
        "/data/thing5",
    );
    says(path, &["send", SAMPLE_APPID], 2, "--to");
    says(path, &["templates", "sync", "wx3333333333333333"], 1, "no app");
    // WeChat away: the command says so; what the server knows stays.
    ok(path, &["app", "set", SAMPLE_APPID, "--api-base-url", &format!("http://{}", free_address())]);
    let away = run(path, &["templates", "sync", SAMPLE_APPID]);
    let text = String::from_utf8_lossy(&away.stderr).into_owned();
    assert!(away.status.code() == Some(1) && !text.trim().is_empty(), "{text}");
    assert!(ok(path, &["templates", "list", SAMPLE_APPID]).contains(FEE));
    ok(path, &["app", "set", SAMPLE_APPID, "--api-base-url", &serve.sim_url]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_commands_do_not_mind_the_server() {
    let serve = Serve::start().await;
    let path = serve.path();
    let checked = ok(path, &["config", "check"]);
    assert!(checked.contains("apps: 1"), "{checked}");
    let checked: Value = serde_json::from_str(&ok(path, &["config", "check", "--json"])).unwrap();
    assert_eq!((&checked["apps"], &checked["pending_migrations"]), (&json!(1), &json!([])));
    assert!(ok(path, &["config", "default"]).contains("listen"));
    for arguments in [&["migrate"][..], &["migrate", "--dry-run"]] {
        assert!(ok(path, arguments).contains("already"), "{arguments:?}");
    }
    let document: Value = serde_json::from_str(&ok(path, &["openapi"])).unwrap();
    let served = call("GET", &format!("http://{}/api/v1/openapi.json", serve.address), &[], "").await.json();
    assert_eq!(document, served);
    // Each has its own place: the demo a throw-away directory, the simulator an address.
    let away = tempfile::tempdir().unwrap();
    let demo = hongyan(path).env("TMPDIR", away.path()).args(["demo", "--once"]).output().unwrap();
    assert_eq!(demo.status.code(), Some(0), "{}", String::from_utf8_lossy(&demo.stderr));
    assert_eq!(serve.api("GET", "/apps", &Value::Null).await.json()["items"].as_array().unwrap().len(), 1);
    let taken = run(path, &["simulator", "--listen", &serve.address]);
    assert_eq!(taken.status.code(), Some(1), "its address is taken");
    assert!(String::from_utf8_lossy(&taken.stderr).contains("--listen"));
    says(path, &["nonsense"], 2, "unrecognized");
    says(path, &["config", "check", "--database-url", "mysql://x"], 1, "sqlite:PATH");
    let log = serve.log();
    assert!(!log.contains("ERROR") && !log.contains("locked"), "{log}");
}
