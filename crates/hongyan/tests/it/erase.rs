//! Erasing a person (I17): by WeChat's events, and by the API. Nothing of theirs stays anywhere, and every count closes (I9).

use domain::Clock;
use serde_json::{Value, json};

use crate::http::Reply;
use crate::world::{FEE, REPAIR, USER, World, until, until_or};

const NEIGHBOUR: &str = "oWXNeighbour_0123456789abcde";
const HOUR: i64 = 3_600_000;

fn cancellation(world: &World, event: &str, openid: &str, revoke_info: &str) -> String {
    json!({ "ToUserName": "gh_ea84a199bf81", "FromUserName": "oPlatformPushService_0123456", "CreateTime": world.clock.now() / 1_000,
        "MsgType": "event", "Event": event, "OpenID": openid, "AppID": simulator::SAMPLE_APPID, "RevokeInfo": revoke_info })
    .to_string()
}

async fn grants(world: &World, openid: &str, template: &str, count: usize) {
    for _ in 0..count {
        world.clock.advance(1_000);
        assert_eq!(world.push(&world.popup_event(openid, template, "accept"), 0).await.text, "success");
    }
}

async fn send(world: &World, openid: &str, secret: &str, more: Value) -> String {
    let mut body = json!({ "to": openid, "template_id": FEE, "data": { "thing8": secret, "thing5": "请及时缴纳" },
        "page": format!("pages/bill?who={secret}") });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    world.clock.advance(10);
    let key = format!("bill-{openid}-{}", world.chance());
    let sent = world.api_with("POST", "/messages", &[("idempotency-key", &key)], &body).await;
    assert_eq!(sent.status, 202, "{}", sent.text);
    sent.json()["id"].as_str().unwrap().to_owned()
}

async fn in_state(world: &World, id: &str, state: &str) -> Value {
    let last = std::sync::Mutex::new(Value::Null);
    let found = until_or(|| async {
        let message = world.get(&format!("/messages/{id}")).await;
        last.lock().unwrap().clone_from(&message);
        (message["state"] == state).then_some(message)
    })
    .await;
    found.unwrap_or_else(|| panic!("not {state}: {}", last.lock().unwrap()))
}

async fn delete(world: &World, openid: &str) -> Reply {
    world.api("DELETE", &format!("/subscribers/{openid}"), &Value::Null).await
}

/// Which files of the database, or which rows of a PostgreSQL, hold one of the words.
fn traces(world: &World, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    if crate::database::is_postgres() {
        let dump = crate::database::dump(world.files());
        for word in words {
            found.extend(dump.lines().filter(|line| line.contains(word)).map(str::to_owned));
        }
    }
    for file in std::fs::read_dir(world.files()).unwrap() {
        let path = file.unwrap().path();
        // The WAL may go while we look.
        let Ok(bytes) = std::fs::read(&path) else { continue };
        for word in words {
            let count = bytes.windows(word.len()).filter(|window| *window == word.as_bytes()).count();
            if count > 0 {
                found.push(format!("{count} × {word} in {}", path.display()));
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i17_a_closed_account_leaves_nothing_and_every_message_stays_counted() {
    const SECRET: &str = "三栋一单元水费逾期";
    let mut world = World::new(true).await;
    for _ in 0..21 {
        world.clock.advance(1_000);
        world.popup(&json!({ FEE: "accept" }));
    }
    grants(&world, USER, REPAIR, 2).await;
    grants(&world, NEIGHBOUR, FEE, 3).await;
    until("the grants", || async { (world.balance(FEE).await == 21).then_some(()) }).await;
    let mut delivered = Vec::new();
    for _ in 0..12 {
        delivered.push(send(&world, USER, SECRET, json!({})).await);
    }
    for id in &delivered {
        in_state(&world, id, "delivered").await;
    }
    let later = jiff::Timestamp::from_millisecond(world.clock.now() + HOUR).unwrap().to_string();
    let scheduled = send(&world, USER, SECRET, json!({ "send_at": later })).await;
    let neighbours = send(&world, NEIGHBOUR, "邻居的", json!({ "send_at": later })).await;
    assert!(!traces(&world, &[USER, SECRET]).is_empty(), "the test looks at the right place");

    world.clock.advance(1_000);
    let event = cancellation(&world, "user_authorization_cancellation", USER, "");
    for _ in 0..3 {
        assert_eq!(world.push(&event, 0).await.text, "success");
    }
    in_state(&world, &scheduled, "skipped").await;
    let done = until("the erasure", || async {
        let rows = world.get("/callbacks?limit=500").await;
        let row = rows["items"].as_array().unwrap().iter().find(|row| row["kind"] == "erasure").cloned()?;
        row["effects"][0]["counts"].is_object().then_some(row)
    })
    .await;
    assert_eq!(
        (done["verdict"].as_str(), done["openid"].as_str(), done["pushes"].as_i64()),
        (Some("applied"), Some(""), Some(3))
    );
    assert_eq!(done["effects"][0]["erased"], "person");
    let counts = &done["effects"][0]["counts"];
    assert_eq!(
        (counts["subscriptions"].as_i64(), counts["messages"].as_i64()),
        (Some(2), Some(13)),
        "{done}"
    );
    // The ledger: 21 + 2 grants, 12 sends.
    assert_eq!(counts["ledger_entries"], 35, "{done}");

    for path in ["subscriptions", "ledger"] {
        let rows = world.get(&format!("/{path}?openid={USER}")).await;
        assert_eq!(rows["items"], json!([]), "{path}");
    }
    assert_eq!(world.get(&format!("/messages?to={USER}")).await["items"], json!([]));
    for (id, state) in delivered.iter().map(|id| (id, "delivered")).chain([(&scheduled, "skipped")]) {
        let message = world.get(&format!("/messages/{id}")).await;
        assert_eq!(
            (
                message["state"].as_str(),
                message["to"].as_str(),
                &message["data"],
                &message["page"],
                &message["erased"]
            ),
            (Some(state), Some(""), &json!({}), &Value::Null, &json!(true)),
            "{message}"
        );
    }
    let resent = world.api("POST", &format!("/messages/{scheduled}/resend"), &Value::Null).await;
    assert_eq!(resent.status, 409, "there is nobody to send it to: {}", resent.text);
    let all = world.get("/messages?limit=500").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 14, "no message is missing");

    // The neighbour is as before.
    assert_eq!(world.get(&format!("/messages/{neighbours}")).await["to"], NEIGHBOUR);
    let theirs = world.get(&format!("/subscriptions?openid={NEIGHBOUR}")).await;
    assert_eq!(
        (theirs["items"][0]["balance"].as_i64(), theirs["items"][0]["available"].as_i64()),
        (Some(3), Some(2))
    );

    // Later pushes about the time before: the erasing event itself, an event of then, a receipt that nobody awaits.
    world.restart(true).await;
    world.clock.advance(1_000);
    let receipt = json!({ "ToUserName": "gh_ea84a199bf81", "FromUserName": USER, "CreateTime": world.clock.now() / 1_000,
        "MsgType": "event", "Event": "subscribe_msg_sent_event",
        "List": { "TemplateId": FEE, "MsgID": "7", "ErrorCode": "0", "ErrorStatus": "success" } });
    for text in [event, receipt.to_string()] {
        assert_eq!(world.push(&text, 0).await.text, "success");
    }
    until("their verdicts", || async {
        let rows = world.get("/callbacks?limit=3").await;
        rows["items"].as_array().unwrap().iter().all(|row| !row["verdict"].is_null()).then_some(())
    })
    .await;
    let rows = world.get("/callbacks?limit=500").await;
    let again: Vec<_> =
        rows["items"].as_array().unwrap().iter().filter(|row| row["kind"] == "erasure").collect();
    assert_eq!(
        (again.len(), again[0]["verdict"].as_str(), again[0]["openid"].as_str()),
        (2, Some("duplicate"), Some(""))
    );
    world.clock.advance(HOUR + 1_000);
    until("the second look", || async {
        let rows = world.get("/callbacks?limit=500").await;
        (!rows.to_string().contains(USER)).then_some(())
    })
    .await;
    let words = [USER, SECRET, "bill?who=三栋"];
    let gone = until_or(|| async { traces(&world, &words).is_empty().then_some(()) }).await;
    assert!(gone.is_some(), "while it runs: {:?}", traces(&world, &words));
    world.stop().await;
    assert_eq!(traces(&world, &words), [""; 0], "after it stopped");
    assert!(!traces(&world, &[NEIGHBOUR, "邻居的"]).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_erased_by_the_api_though_a_message_is_being_sent() {
    let world = World::new(true).await;
    world.popup(&json!({ FEE: "accept" }));
    until("the grant", || async { (world.balance(FEE).await == 1).then_some(()) }).await;
    world.tell_wechat(&json!({ "latency_ms": 1_000 }));
    let id = send(&world, USER, "发送中", json!({})).await;
    until("the call at WeChat", || async {
        (world.sim.counters(simulator::SAMPLE_APPID).unwrap().send_calls == 1).then_some(())
    })
    .await;
    let (erased, ()) = tokio::join!(delete(&world, USER), async {
        // What is put off waits by this clock.
        for _ in 0..60 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            world.clock.advance(50);
        }
    });
    assert_eq!((erased.status, erased.json()["state"].as_str()), (200, Some("erased")), "{}", erased.text);
    assert_eq!(erased.json()["messages"], 1, "{}", erased.text);
    let message = world.get(&format!("/messages/{id}")).await;
    assert!(matches!(message["state"].as_str(), Some("accepted" | "delivered")), "{message}");
    assert_eq!((message["to"].as_str(), message["erased"].as_bool()), (Some(""), Some(true)));
    assert_eq!(world.get(&format!("/subscriptions?openid={USER}")).await["items"], json!([]));
    let again = delete(&world, USER).await;
    assert_eq!((again.status, again.json()["messages"].as_i64()), (200, Some(0)), "{}", again.text);
    // Whoever comes back is a new person.
    grants(&world, USER, FEE, 1).await;
    until("the new grant", || async { (world.balance(FEE).await == 1).then_some(()) }).await;
    world.clock.advance(HOUR + 1_000);
    let other = delete(&world, NEIGHBOUR).await;
    assert_eq!(other.status, 200);
    assert_eq!(world.balance(FEE).await, 1, "the second look leaves it alone");

    assert_eq!(delete(&world, "short").await.status, 422);
    let (_, read) = world.service().create_key("read", None, &[service::Scope::Read]).await.unwrap();
    let authorization = format!("Bearer {}", secrecy::ExposeSecret::expose_secret(&read));
    let url = format!("{}/api/v1/apps/{}/subscribers/{USER}", world.url, simulator::SAMPLE_APPID);
    assert_eq!(crate::http::call("DELETE", &url, &[("authorization", &authorization)], "").await.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_user_takes_back_is_erased_and_no_more() {
    let world = World::new(true).await;
    world.popup(&json!({ FEE: "accept" }));
    grants(&world, USER, FEE, 2).await;
    until("the grants", || async { (world.balance(FEE).await == 3).then_some(()) }).await;
    let sent = send(&world, USER, "幸福路一号", json!({})).await;
    in_state(&world, &sent, "delivered").await;
    let later = jiff::Timestamp::from_millisecond(world.clock.now() + HOUR).unwrap().to_string();
    let waits = send(&world, USER, "幸福路一号", json!({ "send_at": later })).await;
    // The microphone, and no person named: nothing of that is here.
    for (info, openid) in [("5", USER), ("2", "")] {
        world.clock.advance(1_000);
        world.push(&cancellation(&world, "user_authorization_revoke", openid, info), 0).await;
        let row = world.get("/callbacks?limit=1").await["items"][0].clone();
        assert_eq!((row["kind"].as_str(), row["verdict"].as_str()), (Some("event"), Some("ignored")));
    }
    // The address: it may stand in any text.
    world.clock.advance(1_000);
    world.push(&cancellation(&world, "user_authorization_revoke", USER, "2"), 0).await;
    in_state(&world, &waits, "skipped").await;
    let message = until("the values", || async {
        let message = world.get(&format!("/messages/{sent}")).await;
        (message["data"]["thing8"] == "").then_some(message)
    })
    .await;
    assert_eq!((message["to"].as_str(), message["state"].as_str()), (Some(USER), Some("delivered")));
    assert_eq!(world.balance(FEE).await, 2, "the grants are the person's still");
    let row = until("its effects", || async {
        let row = world.get("/callbacks?limit=1").await["items"][0].clone();
        row["effects"][0]["counts"].is_object().then_some(row)
    })
    .await;
    assert_eq!((row["effects"][0]["erased"].as_str(), row["openid"].as_str()), (Some("values"), Some("")));
}
