//! The setting `on_unknown`: hold, resend, give_up.

use domain::Clock;
use domain::clock::{HOUR, SECOND};
use serde_json::{Value, json};
use simulator::SAMPLE_APPID;
use store::hot::arm::Arm;

use super::fake::{Act, SEND, errcode};
use super::{attempts, in_chinese, openid, send, set, settled, world};
use crate::world::{FEE, World, until};

/// A minute goes by, and the engine asks the policy about whatever has been unknown for so long.
async fn a_minute_passes(world: &World) {
    world.clock.advance(61 * SECOND);
    until("every place that is due taken", || async {
        let (now, waiting) = (world.clock.now(), waiting(world.service().store()).await);
        let open = waiting.iter().any(|waiting| waiting.queue.is_unknown() && waiting.due_at <= now);
        (!open).then_some(())
    })
    .await;
}

/// What waits, in all lanes.
async fn waiting(store: &store::Store) -> Vec<store::hot::claim::Waiting> {
    store.waiting(&store.lanes().iter().collect::<Vec<_>>()).await.unwrap()
}

fn receipt(n: usize, msgid: u64) -> String {
    json!({ "ToUserName": "gh_ea84a199bf81", "FromUserName": openid(n), "CreateTime": 1_795_406_400,
        "MsgType": "event", "Event": "subscribe_msg_sent_event",
        "List": { "TemplateId": FEE, "MsgID": msgid.to_string(), "ErrorCode": "0", "ErrorStatus": "success" } })
    .to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_setting_is_checked_and_shown() {
    let (world, _fake) = world().await;
    assert_eq!(world.get("").await["settings"]["on_unknown"], "hold", "the default");
    let wrong = world.api("PATCH", "", &json!({ "settings": { "on_unknown": "sometimes" } })).await;
    assert_eq!((wrong.status, wrong.json()["errors"][0]["pointer"].as_str()), (422, Some("/on_unknown")));
    set(&world, "on_unknown", json!("resend")).await;
    assert_eq!(world.get("").await["settings"]["on_unknown"], "resend");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hold_leaves_it_to_receipts_and_people() {
    let (world, fake) = world().await;
    fake.script(SEND, [Act::CutAfter]);
    let path = send(&world, 0, json!({})).await;
    let message = settled(&world, &path, "unknown", 1).await;
    assert!(message["explanation"].as_str().unwrap().contains("not sent again by itself"), "{message}");
    assert!(in_chinese(&world, &path).await.contains("不会自动重发"));
    for _ in 0..3 {
        a_minute_passes(&world).await;
    }
    settled(&world, &path, "unknown", 1).await;
    assert_eq!(fake.sends_to(&openid(0)), 1);
    assert_eq!(world.push(&receipt(0, 5), 0).await.status, 200);
    settled(&world, &path, "delivered", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resend_sends_again_after_a_minute_and_only_so_often() {
    let (world, fake) = world().await;
    set(&world, "on_unknown", json!("resend")).await;
    fake.script(SEND, [Act::CutAfter]);
    let path = send(&world, 0, json!({})).await;
    let message = settled(&world, &path, "unknown", 1).await;
    assert!(
        message["explanation"].as_str().unwrap().contains("within a minute it is sent again"),
        "{message}"
    );
    assert!(in_chinese(&world, &path).await.contains("可能重复送达"));
    world.clock.advance(61 * SECOND);
    let message = settled(&world, &path, "accepted", 2).await;
    assert_eq!(attempts(&message), [(None, true), (Some(0), false)]);
    assert_eq!(fake.sends_to(&openid(0)), 2);

    // Five attempts at most; then it is held.
    fake.script(SEND, vec![Act::CutAfter; 5]);
    let path = send(&world, 1, json!({})).await;
    for attempt in 1..=5 {
        settled(&world, &path, "unknown", attempt).await;
        world.clock.advance(61 * SECOND);
    }
    a_minute_passes(&world).await;
    settled(&world, &path, "unknown", 5).await;
    assert_eq!(fake.sends_to(&openid(1)), 5);

    // A clear no after it: asked again WeChat would say no again.
    fake.script(SEND, [Act::CutAfter, errcode(43101, "user refuse to accept the msg")]);
    let path = send(&world, 2, json!({})).await;
    settled(&world, &path, "unknown", 1).await;
    world.clock.advance(61 * SECOND);
    let message = settled(&world, &path, "unknown", 2).await;
    assert_eq!(attempts(&message), [(None, true), (Some(43101), false)]);
    a_minute_passes(&world).await;
    settled(&world, &path, "unknown", 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resend_comes_after_receipts_cancels_and_expiry() {
    let (world, fake) = world().await;
    set(&world, "on_unknown", json!("resend")).await;
    let expire_at = service::view::time(world.clock.now() + 30 * SECOND);
    fake.script(SEND, vec![Act::CutAfter; 3]);
    let received = send(&world, 0, json!({})).await;
    settled(&world, &received, "unknown", 1).await;
    let cancelled = send(&world, 1, json!({})).await;
    settled(&world, &cancelled, "unknown", 1).await;
    let over = send(&world, 2, json!({ "expire_at": expire_at })).await;
    settled(&world, &over, "unknown", 1).await;
    assert_eq!(world.push(&receipt(0, 31), 0).await.status, 200);
    settled(&world, &received, "delivered", 1).await;
    assert_eq!(world.api("POST", &format!("{cancelled}/cancel"), &Value::Null).await.status, 200);
    a_minute_passes(&world).await;
    for (n, path, state) in [(0, received, "delivered"), (1, cancelled, "unknown"), (2, over, "unknown")] {
        settled(&world, &path, state, 1).await;
        assert_eq!(fake.sends_to(&openid(n)), 1);
    }
    fake.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn give_up_ends_it_and_evidence_corrects_that() {
    let (world, fake) = world().await;
    set(&world, "on_unknown", json!("give_up")).await;
    fake.script(SEND, [Act::Html(502)]);
    let path = send(&world, 0, json!({})).await;
    let message = settled(&world, &path, "unknown", 1).await;
    assert!(message["explanation"].as_str().unwrap().contains("within a minute it is given up"), "{message}");
    world.clock.advance(61 * SECOND);
    let message = settled(&world, &path, "failed", 1).await;
    assert_eq!(attempts(&message), [(None, true)]);
    let said = message["explanation"].as_str().unwrap();
    assert!(said.contains("HTTP status 502") && said.contains("may have arrived all the same"), "{said}");
    assert!(in_chinese(&world, &path).await.contains("on_unknown = give_up"));
    assert_eq!(world.push(&receipt(0, 41), 0).await.status, 200);
    settled(&world, &path, "delivered", 1).await;
    assert_eq!(fake.sends_to(&openid(0)), 1);
    fake.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_left_is_followed_up_too() {
    let (mut world, fake) = world().await;
    set(&world, "on_unknown", json!("resend")).await;
    world.restart(false).await;
    let path = send(&world, 0, json!({ "expire_at": service::view::time(world.clock.now() + HOUR) })).await;
    // A worker that armed, called, and died.
    let store = world.service().store().clone();
    let epochs = store.take_all_lanes("dead".into(), 0).await.unwrap();
    let waiting = waiting(&store).await;
    let now = world.clock.now();
    let head = store.claim(waiting[0].lane, waiting[0].queue, now, 1).await.unwrap().remove(0);
    let arm = Arm {
        before: domain::message::State::Queued,
        lane: head.lane,
        epoch: epochs.of(head.lane),
        queue: head.queue,
        due_at: head.due_at,
        id: head.id,
        attempt: 1,
        at: now,
        doubtful: false,
    };
    assert_eq!(store.arm(vec![arm]).await.unwrap(), [true]);
    drop(store);
    world.restart(true).await;
    let message = settled(&world, &path, "unknown", 1).await;
    assert!(
        message["explanation"].as_str().unwrap().contains("the service ended during the call"),
        "{message}"
    );
    assert!(in_chinese(&world, &path).await.contains("服务在调用过程中停止"));
    assert_eq!(fake.sends_to(&openid(0)), 0);
    world.clock.advance(61 * SECOND);
    let message = settled(&world, &path, "accepted", 2).await;
    assert_eq!(attempts(&message), [(None, true), (Some(0), false)]);
    assert_eq!(message["app_id"], SAMPLE_APPID);
    fake.check();
}
