//! The diagnosis over HTTP and on the command line: what is right, what is wrong, what to do, and its exit code.

use serde_json::{Value, json};
use simulator::SAMPLE_APPID;

use super::{check, verdict};
use crate::chaos::ready;
use crate::console::api;
use crate::http::call;
use crate::program::{Server, free_address, hongyan, register, run};
use crate::world::{FEE, USER, World, until};

const MINUTE: i64 = 60_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_right_and_what_is_wrong_is_said() {
    let world = World::new(true).await;
    world.popup(&json!({ FEE: "accept" }));
    until("the grant", || async { (world.balance(FEE).await == 1).then_some(()) }).await;
    let doctor = world.get("/doctor").await;
    for code in ["secret", "token", "templates", "callbacks", "clock", "sending", "quota", "push_address"] {
        assert_eq!(verdict(&doctor, code), "ok", "{code}: {doctor}");
        assert_eq!(check(&doctor, code)["app_id"], SAMPLE_APPID);
    }
    for code in ["attempts", "campaigns", "quarantine", "database", "inbox", "queue", "lanes"] {
        assert_eq!(verdict(&doctor, code), "ok", "{code}: {doctor}");
    }
    // The tests' PostgreSQL syncs nothing.
    let (engine, safe) =
        if crate::database::is_postgres() { ("PostgreSQL", "fail") } else { ("SQLite", "ok") };
    let durability = check(&doctor, "durability");
    assert!(durability["detail"].as_str().unwrap().contains(engine), "{durability}");
    assert_eq!(durability["verdict"], safe);
    // Whatever needs somebody says what to do.
    for one in doctor["checks"].as_array().unwrap() {
        assert_eq!(
            one["remedy"].is_null(),
            !matches!(one["verdict"].as_str(), Some("warn" | "fail")),
            "{one}"
        );
        assert!(!one["detail"].as_str().unwrap().is_empty() && !one["title"].as_str().unwrap().is_empty());
    }
    let bearer = format!("Bearer {}", world.key);
    let headers = [("authorization", bearer.as_str()), ("connection", "close"), ("accept-language", "zh")];
    let url = format!("{}/api/v1/apps/{SAMPLE_APPID}/doctor", world.url);
    let chinese = call("GET", &url, &headers, "").await.json();
    assert_eq!(check(&chinese, "database")["title"], "数据库", "{chinese}");

    // A wrong address at WeChat, and an app whose sending is stopped.
    world.tell_wechat(&json!({ "callback": Value::Null }));
    let doctor = world.get("/doctor").await;
    assert_eq!(verdict(&doctor, "push_address"), "fail", "{doctor}");
    // What was set aside.
    world.push(r#"{"ToUserName":"gh_x","FromUserName":"oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s","CreateTime":1,"MsgType":"event","Event":"subscribe_msg_popup_event","List":[]}"#, 8_000).await;
    until("what was set aside", || async {
        (verdict(&world.get("/doctor").await, "quarantine") == "warn").then_some(())
    })
    .await;

    // A key of one app sees that app's only, and no other.
    let body = json!({ "name": "one", "app_id": SAMPLE_APPID, "scopes": ["read"] });
    let made = api(&world, "POST", "/keys", &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let bearer = format!("Bearer {}", made.json()["key"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str()), ("connection", "close")];
    let of_app =
        call("GET", &format!("{}/api/v1/apps/{SAMPLE_APPID}/doctor", world.url), &headers, "").await.json();
    assert!(of_app["checks"].as_array().unwrap().iter().all(|one| one["app_id"] == SAMPLE_APPID), "{of_app}");
    let of_all = call("GET", &format!("{}/api/v1/doctor", world.url), &headers, "").await;
    assert_eq!(of_all.status, 403);
    let of_all = api(&world, "GET", "/doctor", &Value::Null).await.json();
    assert!(of_all["checks"].as_array().unwrap().iter().all(|one| one["app_id"].is_null()), "{of_all}");
    assert_eq!(verdict(&of_all, "database"), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_move_is_found() {
    let mut world = World::new(true).await;
    world.popup(&json!({ FEE: "accept" }));
    until("the grant", || async { (world.balance(FEE).await == 1).then_some(()) }).await;
    // Nobody works any more: what comes in waits, and what is sent does too.
    world.restart(false).await;
    assert_eq!(world.push(&world.popup_event(USER, FEE, "accept"), 0).await.text, "success");
    assert_eq!(world.send_fee(json!({}), &[]).await.status, 202);
    world.clock.advance(11 * MINUTE);
    let doctor = world.get("/doctor").await;
    assert_eq!(verdict(&doctor, "queue"), "warn", "{doctor}");
    if !world.service().store().is_shared() {
        // Elsewhere the lag is counted by the database's clock, which stands at another time than ours.
        assert_eq!(verdict(&doctor, "inbox"), "fail", "{doctor}");
    }
    assert_eq!(doctor["verdict"], "fail");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_tells_by_its_exit_code() {
    if crate::database::only_a_file() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let said = |arguments: &[&str]| {
        let output = run(path, arguments);
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text)
    };
    // Nothing is there, and nothing is made.
    let (code, text) = said(&["doctor"]);
    assert!(code == Some(1) && text.contains("no such file") && text.contains("hongyan serve"), "{text}");
    assert_eq!(std::fs::read_dir(path).unwrap().count(), 0, "a diagnosis makes nothing");

    let address = free_address();
    let mut server = Server::start(path, &address);
    until("the server", || ready(&address)).await;
    let world = World::new(false).await;
    register(path, &world.sim_url, &[]);
    let with = |arguments: &[&str]| {
        let mut command = hongyan(path);
        let output = command.env("HONGYAN_LISTEN", &address).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, text) = with(&["doctor"]);
    assert!(code == Some(0) && text.contains("[ok]   Database: It is read and written."), "{text}");
    assert!(text.contains(&format!("{address} is ready")), "{text}");
    let (code, text) = with(&["doctor", SAMPLE_APPID, "--json"]);
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, verdict(&found, "token")), (Some(0), "ok".to_owned()), "{found}");
    assert_eq!(found["verdict"], "warn", "there is no public_url: {found}");
    let (code, _) = with(&["doctor", "--strict"]);
    assert_eq!(code, Some(1), "a warning is enough");
    let (code, text) = with(&["doctor", "--all"]);
    assert!(code == Some(0) && text.contains(SAMPLE_APPID), "{text}");
    assert_eq!(said(&["doctor", "wx3333333333333333"]).0, Some(2), "there is no such app");
    assert_eq!(said(&["doctor", "--nonsense"]).0, Some(2));
    let output = hongyan(path).env("HONGYAN_LANG", "zh").args(["doctor"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("[正常] 数据库: 可读可写。"));

    // Nobody serves any more.
    server.kill();
    let (code, text) = said(&["doctor"]);
    assert!(code == Some(1) && text.contains("No service runs"), "{text}");
    // Another key: it says so, and does not make one.
    let key = path.join("master.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let (code, text) = said(&["doctor"]);
    assert!(code == Some(1) && text.contains("no master key") && !key.exists(), "{text}");
    std::fs::write(&key, kept).unwrap();
    // A file that is none.
    std::fs::write(path.join("hongyan.db"), vec![b'x'; 8_192]).unwrap();
    for rest in ["hongyan.db-wal", "hongyan.db-shm"] {
        let _ = std::fs::remove_file(path.join(rest));
    }
    let (code, text) = said(&["doctor"]);
    assert!(code == Some(1) && text.contains("[FAIL] Database"), "{text}");
}
