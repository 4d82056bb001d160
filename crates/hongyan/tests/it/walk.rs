//! I1 to I5 for one message, with the time moved by hand.

use serde_json::{Value, json};
use simulator::SAMPLE_APPID;

use crate::world::{FEE, REPAIR, USER, World, until, until_or};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

async fn message(world: &World, id: &str, state: &str) -> Value {
    let last = std::sync::Mutex::new(Value::Null);
    let found = until_or(|| async {
        let message = world.get(&format!("/messages/{id}")).await;
        last.lock().unwrap().clone_from(&message);
        (message["state"] == state).then_some(message)
    })
    .await;
    match found {
        Some(message) => message,
        None => {
            let pushed = world.sim.callbacks(SAMPLE_APPID, None, 3).unwrap();
            let inbox = world.get("/callbacks").await;
            panic!("not {state}: {}\n{pushed:?}\n{inbox}", last.lock().unwrap())
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_what_was_answered_success_survives_a_restart_before_it_was_applied() {
    let mut world = World::new(false).await;
    world.popup(&json!({ FEE: "accept", REPAIR: "accept" }));
    until("the push answered success", || async {
        let pushed = world.sim.callbacks(SAMPLE_APPID, None, 10).unwrap();
        pushed.iter().any(|attempt| attempt.status == Some(200) && attempt.body == "success").then_some(())
    })
    .await;
    let waiting = world.get("/callbacks").await;
    assert_eq!(
        (waiting["items"][0]["kind"].as_str(), waiting["items"][0]["verdict"].is_null()),
        (Some("popup"), true)
    );
    assert_eq!(world.balance(FEE).await, 0, "nobody applies yet");

    world.restart(true).await;
    until("both grants", || async {
        (world.balance(FEE).await == 1 && world.balance(REPAIR).await == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i2_a_re_pushed_event_counts_once() {
    let mut world = World::new(true).await;
    let event = world.popup_event(USER, FEE, "accept");
    for _ in 0..3 {
        assert_eq!(world.push(&event, 0).await.text, "success");
    }
    until("the grant", || async { (world.balance(FEE).await == 1).then_some(()) }).await;
    world.clock.advance(6 * DAY);
    world.restart(true).await;
    assert_eq!(world.push(&event, 0).await.text, "success");
    // Within a millisecond rows have no order.
    world.clock.advance(1);
    // A later event, applied after it, shows that the re-pushed one had its chance.
    assert_eq!(world.push(&world.popup_event(USER, REPAIR, "accept"), 0).await.text, "success");
    until("the later grant", || async { (world.balance(REPAIR).await == 1).then_some(()) }).await;
    assert_eq!(world.balance(FEE).await, 1);
    let ledger = world.get(&format!("/ledger?openid={USER}&template_id={FEE}")).await;
    assert_eq!(ledger["items"].as_array().unwrap().len(), 1);
    let rows = world.get("/callbacks").await;
    let rows = rows["items"].as_array().unwrap();
    let told: Vec<_> =
        rows.iter().map(|row| (row["verdict"].as_str().unwrap(), row["pushes"].as_i64().unwrap())).collect();
    // The last push came after a restart: it has a row of its own, and is counted on the first one too.
    assert_eq!(told, [("applied", 1), ("duplicate", 1), ("applied", 4)], "newest first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i3_nothing_unverified_has_an_effect() {
    let world = World::new(true).await;
    let event = world.popup_event(USER, FEE, "accept");
    let (query, body) = world.envelope(&event, SAMPLE_APPID, 0);
    let tampered = query.replace("msg_signature=", "msg_signature=0");
    assert_eq!(world.post_callback(&tampered, body.clone()).await.status, 403, "wrong signature");
    let only_signature = query.split("&msg_signature").next().unwrap();
    assert_eq!(
        world.post_callback(only_signature, body.clone()).await.status,
        400,
        "`signature` does not cover the body"
    );
    let (other, foreign) = world.envelope(&event, "wx0000000000000000", 0);
    assert_eq!(world.post_callback(&other, foreign).await.status, 403, "another AppID");
    assert_eq!(world.post_callback(&query, event.clone()).await.status, 403, "plain where safe is set");
    assert_eq!(
        world.post_callback(&query, r#"{"ToUserName":"gh","Encrypt":"%%%"}"#).await.status,
        400,
        "garbage"
    );
    assert_eq!(world.post_callback(&query, "hello").await.status, 400, "neither JSON nor XML");
    assert_eq!(world.post_callback(&query, vec![b'{'; 300 * 1024]).await.status, 413);
    let stranger = format!("{}/callback/wx9999999999999999?{query}", world.url);
    assert_eq!(crate::http::call("POST", &stranger, &[], body).await.status, 404);
    let rows = world.get("/callbacks").await;
    assert_eq!(rows["items"], json!([]), "nothing of all that was kept");

    // Validly signed but two hours old: kept, without effect, until somebody replays it.
    assert_eq!(world.push(&event, 7_200).await.text, "success");
    world.clock.advance(1);
    let unreadable = world.push("{\"MsgType\":\"event\",\"Event\":\"subscribe_msg_popup_event\"", 0).await;
    assert_eq!((unreadable.status, unreadable.text.as_str()), (200, "success"));
    let rows = world.get("/callbacks?verdict=quarantined").await;
    let reasons: Vec<_> =
        rows["items"].as_array().unwrap().iter().map(|row| row["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["unreadable", "stale_timestamp"]);
    assert_eq!(world.balance(FEE).await, 0);
    let stale = rows["items"][1]["id"].as_str().unwrap();
    assert_eq!(world.api("POST", &format!("/callbacks/{stale}/replay"), &Value::Null).await.status, 200);
    until("the replayed grant", || async { (world.balance(FEE).await == 1).then_some(()) }).await;
    assert_eq!(
        world.api("POST", &format!("/callbacks/{stale}/replay"), &Value::Null).await.status,
        409,
        "only once"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i4_an_accepted_message_settles_in_one_state() {
    let world = World::new(true).await;
    world.popup(&json!({ FEE: "accept" }));
    until("the grant", || async { (world.balance(FEE).await == 1).then_some(()) }).await;

    let at = |millis: i64| jiff::Timestamp::from_millisecond(1_795_406_400_000 + millis).unwrap().to_string();
    let later = world.send_fee(json!({ "send_at": at(HOUR) }), &[]).await;
    assert_eq!(later.status, 202, "{}", later.text);
    let id = later.json()["id"].as_str().unwrap().to_owned();
    let subscriptions = world.get(&format!("/subscriptions?openid={USER}")).await;
    assert_eq!(
        (subscriptions["items"][0]["balance"].as_i64(), subscriptions["items"][0]["available"].as_i64()),
        (Some(1), Some(0))
    );
    let refused = world.send_fee(json!({ "on_empty_balance": "refuse" }), &[]).await;
    assert_eq!(
        (refused.status, refused.json()["code"].as_str()),
        (422, Some("no_grant")),
        "the one grant is spoken for"
    );

    world.clock.advance(HOUR - 1_000);
    message(&world, &id, "scheduled").await;
    assert_eq!(world.sim.counters(SAMPLE_APPID).unwrap().send_calls, 0);
    world.clock.advance(2_000);
    let delivered = message(&world, &id, "delivered").await;
    assert_eq!(delivered["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(delivered["receipt"]["error_code"], 0);
    assert_eq!(world.balance(FEE).await, 0);
    let cancel = world.api("POST", &format!("/messages/{id}/cancel"), &Value::Null).await;
    assert_eq!((cancel.status, cancel.json()["code"].as_str()), (409, Some("already_settled")));

    // One that cannot leave in time: the app's gate is closed, and it expires in its queue.
    world.tell_wechat(&json!({ "secret": "another secret of thirty-two chars" }));
    world.sim.revoke_tokens(SAMPLE_APPID).unwrap();
    let stuck = world.send_fee(json!({ "expire_at": at(3 * HOUR) }), &[]).await.json();
    let stuck = stuck["id"].as_str().unwrap();
    until("the closed gate", || async {
        (!world.service().store().gates().await.unwrap().is_empty()).then_some(())
    })
    .await;
    message(&world, stuck, "queued").await;
    world.clock.advance(3 * HOUR);
    message(&world, stuck, "expired").await;
    assert_eq!(world.sim.counters(SAMPLE_APPID).unwrap().sends.get("0"), Some(&1), "nothing else was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i5_the_attempt_is_durable_before_the_call_and_a_gate_opens_when_the_cause_is_mended() {
    let world = World::new(true).await;
    world.popup(&json!({ FEE: "accept" }));
    until("the grant", || async { (world.balance(FEE).await == 1).then_some(()) }).await;
    // WeChat has the call and takes its time to answer.
    world.tell_wechat(&json!({ "latency_ms": 1_500 }));
    let id = world.send_fee(json!({}), &[]).await.json()["id"].as_str().unwrap().to_owned();
    until("the call at WeChat", || async {
        (world.sim.counters(SAMPLE_APPID).unwrap().send_calls == 1).then_some(())
    })
    .await;
    let under_way = world.get(&format!("/messages/{id}")).await;
    assert_eq!(
        (under_way["state"].as_str(), under_way["attempts"].as_array().unwrap().len()),
        (Some("sending"), 1)
    );
    // The simulator's receipt follows its answer by its own clock.
    world.clock.advance(2_000);
    message(&world, &id, "delivered").await;

    // A wrong secret closes the gate; mending it opens the gate at once, and the message goes out.
    world.popup(&json!({ FEE: "accept" }));
    until("another grant", || async { (world.balance(FEE).await == 1).then_some(()) }).await;
    world.tell_wechat(&json!({ "secret": "the-secret-after-a-reset-at-wechat" }));
    world.sim.revoke_tokens(SAMPLE_APPID).unwrap();
    let id = world.send_fee(json!({}), &[]).await.json()["id"].as_str().unwrap().to_owned();
    until("the closed gate", || async {
        (!world.service().store().gates().await.unwrap().is_empty()).then_some(())
    })
    .await;
    let queued = world.get(&format!("/messages/{id}")).await;
    assert_eq!(queued["state"], "queued");
    assert!(queued["explanation"].as_str().unwrap().contains("AppSecret"), "{}", queued["explanation"]);
    world.clock.advance(1_000);
    let mended = world.api("PATCH", "", &json!({ "secret": "the-secret-after-a-reset-at-wechat" })).await;
    assert_eq!(mended.status, 200, "{}", mended.text);
    message(&world, &id, "delivered").await;
    assert!(world.service().store().gates().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_is_refreshed_once_however_many_messages_meet_it() {
    let world = World::new(true).await;
    for _ in 0..20 {
        world.clock.advance(1_000);
        world.popup(&json!({ FEE: "accept" }));
    }
    let all = until_or(|| async { (world.balance(FEE).await == 20).then_some(()) }).await;
    assert!(all.is_some(), "{} grants\n{}", world.balance(FEE).await, world.get("/callbacks").await);
    let first = world.send_fee(json!({}), &[("prefer", "wait=10")]).await.json();
    assert!(matches!(first["state"].as_str(), Some("accepted" | "delivered")), "{first}");
    let before = world.sim.counters(SAMPLE_APPID).unwrap().tokens_issued;
    world.sim.revoke_tokens(SAMPLE_APPID).unwrap();
    let mut ids = Vec::new();
    for _ in 0..19 {
        ids.push(world.send_fee(json!({}), &[]).await.json()["id"].as_str().unwrap().to_owned());
    }
    for id in &ids {
        message(&world, id, "delivered").await;
    }
    let counters = world.sim.counters(SAMPLE_APPID).unwrap();
    assert_eq!(counters.sends.get("0"), Some(&20));
    assert_eq!(counters.tokens_issued - before, 1, "one refresh: {counters:?}");
    assert_eq!(world.balance(FEE).await, 0);
}
