//! Answers that come after the call's time was over: they resolve their attempt, the person waits for them, nobody else
//! does, and a stop does not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::fake::{Act, SEND, accepted_text};
use super::{attempts, openid, send, set, settled, world};
use crate::world::{FEE, World, until};

async fn grant(world: &World, n: usize) {
    let reply = world.push(&world.popup_event(&openid(n), FEE, "accept"), 0).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, "success"));
    until("the grant", || async { (account(world, n).await == (1, 1)).then_some(()) }).await;
}

/// Balance and available grants of the n-th person.
async fn account(world: &World, n: usize) -> (i64, i64) {
    let found = world.get(&format!("/subscriptions?openid={}&template_id={FEE}", openid(n))).await;
    let item = &found["items"][0];
    (item["balance"].as_i64().unwrap_or(0), item["available"].as_i64().unwrap_or(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_resolves_its_message_once() {
    let (world, fake) = world().await;
    let refused = r#"{"errcode":43101,"errmsg":"user refuse to accept the msg rid: 1-2-3"}"#;
    let busy = r#"{"errcode":43108,"errmsg":"concurrent"}"#;
    for (n, (answer, state, ambiguous, code, balance)) in [
        (accepted_text(501), "accepted", false, Some(0), (0, 0)),
        (refused.to_owned(), "refused", false, Some(43101), (0, 0)),
        ("<html>".to_owned(), "unknown", true, None, (1, 0)),
        (busy.to_owned(), "unknown", true, None, (1, 0)),
    ]
    .into_iter()
    .enumerate()
    {
        grant(&world, n).await;
        // CreateTime knows seconds only.
        world.clock.advance(1_000);
        let told = Arc::new(Semaphore::new(0));
        fake.script(SEND, [Act::Held(Arc::clone(&told), answer)]);
        let path = send(&world, n, json!({})).await;
        let message = settled(&world, &path, "unknown", 1).await;
        assert_eq!(attempts(&message), [(None, true)]);
        assert_eq!(account(&world, n).await, (1, 0), "the grant stays reserved");
        // The next one to this person waits for the call that is still under way (I6), others do not.
        let next = send(&world, n, json!({})).await;
        let other = send(&world, 100 + n, json!({})).await;
        settled(&world, &other, "accepted", 1).await;
        let waiting = world.get(&next).await;
        assert_eq!((waiting["state"].as_str(), fake.sends_to(&openid(n))), (Some("queued"), 1));
        told.add_permits(1);
        settled(&world, &next, "accepted", 1).await;
        let message = settled(&world, &path, state, 1).await;
        assert_eq!(attempts(&message), [(code, ambiguous)]);
        assert_eq!(message["msgid"], if n == 0 { json!("501") } else { Value::Null });
        assert_eq!(fake.sends_to(&openid(n)), 2, "one call each");
        // The next one spent what was left, or found a grant that nobody knew of.
        let (left, _) = account(&world, n).await;
        assert_eq!(left, balance.0.min(0), "{state}");
    }
    fake.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_may_come_before_the_late_answer() {
    let (world, fake) = world().await;
    grant(&world, 0).await;
    let told = Arc::new(Semaphore::new(0));
    fake.script(SEND, [Act::Held(Arc::clone(&told), accepted_text(77))]);
    let path = send(&world, 0, json!({})).await;
    settled(&world, &path, "unknown", 1).await;
    let receipt = json!({ "ToUserName": "gh_ea84a199bf81", "FromUserName": openid(0),
        "CreateTime": 1_795_406_400, "MsgType": "event", "Event": "subscribe_msg_sent_event",
        "List": { "TemplateId": FEE, "MsgID": "77", "ErrorCode": "0", "ErrorStatus": "success" } });
    let pushed = Instant::now();
    assert_eq!(world.push(&receipt.to_string(), 0).await.status, 200);
    settled(&world, &path, "delivered", 1).await;
    assert!(pushed.elapsed() < Duration::from_secs(5));
    told.add_permits(1);
    until("the answer to fill in its code", || async {
        (world.get(&path).await["errcode"] == 0).then_some(())
    })
    .await;
    let message = settled(&world, &path, "delivered", 1).await;
    assert_eq!((message["msgid"].as_str(), account(&world, 0).await), (Some("77"), (0, 0)), "spent once");
    fake.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_no_late_answer_and_a_resend_does() {
    let (mut world, fake) = world().await;
    // A person wants it sent again while the first call is still under way; its late yes makes that needless.
    let told = Arc::new(Semaphore::new(0));
    fake.script(SEND, [Act::Held(Arc::clone(&told), accepted_text(9))]);
    let path = send(&world, 0, json!({})).await;
    settled(&world, &path, "unknown", 1).await;
    assert_eq!(world.api("POST", &format!("{path}/resend"), &Value::Null).await.status, 200);
    let message = world.get(&path).await;
    assert_eq!(message["state"], "queued");
    assert!(
        message["explanation"].as_str().unwrap().contains("an attempt before got no clear answer"),
        "{message}"
    );
    told.add_permits(1);
    let message = settled(&world, &path, "accepted", 1).await;
    assert_eq!((fake.sends_to(&openid(0)), message["msgid"].as_str()), (1, Some("9")), "not sent twice");

    fake.script(SEND, [Act::Hang]);
    let path = send(&world, 1, json!({})).await;
    settled(&world, &path, "unknown", 1).await;
    let stopping = Instant::now();
    world.restart(true).await;
    assert!(stopping.elapsed() < Duration::from_secs(10), "took {:?}", stopping.elapsed());
    let message = settled(&world, &path, "unknown", 1).await;
    assert!(message["explanation"].as_str().unwrap().contains("no answer in time"), "{message}");
    // After the restart nobody listens any more, so the person may get the next message.
    let next = send(&world, 1, json!({})).await;
    settled(&world, &next, "accepted", 1).await;
    fake.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_wechat_costs_no_slots() {
    let (world, fake) = world().await;
    set(&world, "concurrency", json!(2)).await;
    let told = Arc::new(Semaphore::new(0));
    fake.script(SEND, (0..8).map(|n| Act::Held(Arc::clone(&told), accepted_text(600 + n))));
    let mut slow = Vec::new();
    for n in 0..8 {
        slow.push(send(&world, n, json!({})).await);
    }
    for path in &slow {
        settled(&world, path, "unknown", 1).await;
    }
    let quick = send(&world, 50, json!({})).await;
    settled(&world, &quick, "accepted", 1).await;
    told.add_permits(slow.len());
    for path in &slow {
        settled(&world, path, "accepted", 1).await;
    }
    fake.check();
}
