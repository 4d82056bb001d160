//! What is verified but stale or unreadable has no effect until somebody says so (I3); what WeChat pushes besides is
//! answered and kept, and a chat's content never is.

use domain::{Clock, InboxId};
use serde_json::{Value, json};
use simulator::SAMPLE_APPID;
use store::hot::append::{InboxKind, NewInboxRow, Verdict};

use crate::pushes::{Sealing, accept, chat};
use crate::world::{FEE, USER, World, until};

async fn newest(world: &World) -> Value {
    world.get("/callbacks?limit=1").await["items"][0].clone()
}

async fn replay(world: &World, id: &str) -> crate::http::Reply {
    world.api("POST", &format!("/callbacks/{id}/replay"), &Value::Null).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_events_are_answered_success_and_kept() {
    let world = World::new(true).await;
    for (event, more) in [
        ("weapp_audit_success", json!({})),
        ("user_enter_tempsession", json!({ "SessionFrom": "x" })),
        ("user_info_modified", json!({ "OpenID": USER, "RevokeInfo": "1" })),
        ("something_of_tomorrow", json!({ "List": [[1], { "a": null }] })),
    ] {
        world.clock.advance(1_000);
        let mut fields = json!({ "ToUserName": "gh_ea84a199bf81", "FromUserName": USER, "CreateTime": world.clock.now() / 1_000,
            "MsgType": "event", "Event": event });
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = Sealing::registered().send(&world, &fields).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "success"), "{event}");
        let row = newest(&world).await;
        assert_eq!(
            (row["kind"].as_str(), row["verdict"].as_str()),
            (Some("event"), Some("ignored")),
            "{event}"
        );
        let whole = world.get(&format!("/callbacks/{}", row["id"].as_str().unwrap())).await;
        assert!(whole["body"].as_str().unwrap().contains(event));
        assert_eq!(replay(&world, row["id"].as_str().unwrap()).await.status, 409);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chats_content_is_never_kept() {
    const TEXT: &str = "我家水管漏了请派人来";
    let mut world = World::new(true).await;
    let target = crate::target::Target::start().await;
    target.says(crate::target::Says::status(500));
    for settings in [
        json!({}),
        json!({ "customer_service": "silent" }),
        json!({ "customer_service": "relay", "relay_url": target.url }),
        json!({ "customer_service": "transfer" }),
    ] {
        world.clock.advance(1_000);
        assert_eq!(world.api("PATCH", "", &json!({ "settings": settings })).await.status, 200);
        let answer = Sealing::registered().send(&world, &chat(&world, TEXT)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.text == "success", settings["customer_service"] == "silent", "{settings}");
        let row = newest(&world).await;
        assert_eq!((row["kind"].as_str(), row["openid"].as_str()), (Some("chat"), Some(USER)));
    }
    // A stale one too.
    world.clock.advance(1_000);
    world.push(&chat(&world, TEXT).to_string(), 7_200).await;
    let row = newest(&world).await;
    assert_eq!((row["kind"].as_str(), row["verdict"].as_str()), (Some("chat"), Some("quarantined")));
    assert_eq!(replay(&world, row["id"].as_str().unwrap()).await.status, 409, "there is nothing to replay");
    world.stop().await;
    for file in std::fs::read_dir(world.files()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(TEXT.len()).any(|window| window == TEXT.as_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_set_aside_can_be_let_in() {
    let world = World::new(true).await;
    // Unreadable, and so it stays.
    let broken = "{\"MsgType\":\"event\",\"Event\":\"subscribe_msg_popup_event\"";
    assert_eq!(world.push(broken, 0).await.text, "success");
    let row = newest(&world).await;
    assert_eq!((row["verdict"].as_str(), row["reason"].as_str()), (Some("quarantined"), Some("unreadable")));
    let again = replay(&world, row["id"].as_str().unwrap()).await;
    assert_eq!((again.status, again.json()["code"].as_str()), (409, Some("still_unreadable")));
    assert_eq!(newest(&world).await["verdict"], "quarantined");

    // What an earlier version could not read is read by this one, in the lane of its person.
    world.clock.advance(1_000);
    let store = world.service().store();
    let app = world.service().app(SAMPLE_APPID).await.unwrap().number;
    let row = NewInboxRow {
        id: InboxId::new(world.clock.now(), store.lanes().of_openid(""), &**world.service().entropy()),
        app,
        event_at: 0,
        digest: [9; 16],
        received_at: world.clock.now(),
        kind: InboxKind::Unreadable,
        openid: String::new(),
        body: accept(&world, FEE).to_string(),
        verdict: Some(Verdict::Quarantined),
        reason: Some("unreadable".into()),
        relay: None,
    };
    let id = row.id.to_string();
    store.append(vec![row]).await.unwrap();
    world.clock.advance(1_000);
    let read = replay(&world, &id).await;
    assert_eq!(read.status, 200, "{}", read.text);
    assert_eq!((read.json()["kind"].as_str(), read.json()["openid"].as_str()), (Some("popup"), Some(USER)));
    until("the grant", || async { (world.balance(FEE).await == 1).then_some(()) }).await;
    let old = world.get(&format!("/callbacks/{id}")).await;
    assert_eq!(old["verdict"], "ignored");
    assert_eq!(old["reason"], format!("replayed_as {}", read.json()["id"].as_str().unwrap()));
    assert_eq!(replay(&world, &id).await.status, 409, "only once");

    // A stale demand to erase waits for a person too.
    world.clock.advance(1_000);
    let demand = json!({ "ToUserName": "gh_ea84a199bf81", "FromUserName": "oPlatform", "CreateTime": world.clock.now() / 1_000,
        "MsgType": "event", "Event": "user_authorization_cancellation", "OpenID": USER });
    assert_eq!(world.push(&demand.to_string(), 7_200).await.text, "success");
    let row = newest(&world).await;
    assert_eq!((row["kind"].as_str(), row["reason"].as_str()), (Some("erasure"), Some("stale_timestamp")));
    assert_eq!(world.balance(FEE).await, 1);
    assert_eq!(replay(&world, row["id"].as_str().unwrap()).await.status, 200);
    until("the erasure", || async { (world.balance(FEE).await == 0).then_some(()) }).await;
}
