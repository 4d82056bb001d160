//! The token endpoint is unreachable, slow or talks nonsense: messages wait with the reason, nothing is lost or sent twice.

use domain::clock::{HOUR, MINUTE};
use serde_json::json;

use super::fake::{Act, SEND, TOKEN, errcode};
use super::{attempts, in_chinese, openid, send, settled, world};
use crate::world::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_token_messages_wait_and_say_why() {
    let (world, fake) = world().await;
    for (n, (act, code, english, chinese)) in [
        (
            Act::Hang,
            None,
            "no access token: WeChat cannot be reached: no answer in time",
            "没有取到 access_token：连不上微信：等待答复超时",
        ),
        (Act::Html(502), None, "no access token: HTTP status 502", "没有取到 access_token：HTTP 状态码 502"),
        (
            Act::Html(200),
            None,
            "no access token: the answer is not WeChat's JSON",
            "没有取到 access_token：答复不是微信的 JSON",
        ),
        (
            Act::CutAfter,
            None,
            "no access token: WeChat cannot be reached",
            "没有取到 access_token：连不上微信",
        ),
        (
            Act::HalfBody,
            None,
            "no access token: WeChat cannot be reached",
            "没有取到 access_token：连不上微信",
        ),
        (errcode(-1, "system error"), Some(-1), "WeChat is busy", "系统繁忙"),
        (errcode(45011, "frequency limit"), Some(45011), "too many calls", "调用太频繁"),
    ]
    .into_iter()
    .enumerate()
    {
        // The token in hand is over.
        world.clock.advance(3 * HOUR);
        let sends = fake.calls(SEND);
        fake.script(TOKEN, [act]);
        let path = send(&world, n, json!({})).await;
        let message = settled(&world, &path, "queued", 1).await;
        assert_eq!(attempts(&message), [(code, false)], "{english}");
        let said = message["explanation"].as_str().unwrap();
        assert!(said.to_lowercase().contains(&english.to_lowercase()), "{said}");
        let said = in_chinese(&world, &path).await;
        assert!(said.contains(chinese), "{said}");
        assert_eq!(fake.calls(SEND), sends, "{english}: no send without a token");
        world.clock.advance(2 * MINUTE);
        settled(&world, &path, "accepted", 2).await;
        assert_eq!(fake.sends_to(&openid(n)), 1);
    }
    fake.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_secret_stops_the_app_with_its_remedy() {
    let (world, fake) = world().await;
    for (n, code) in [40001, 40125, 40164, 40243].into_iter().enumerate() {
        world.clock.advance(3 * HOUR);
        fake.script(TOKEN, [errcode(code, "no")]);
        let path = send(&world, n, json!({})).await;
        let message = settled(&world, &path, "queued", 1).await;
        assert_eq!(attempts(&message), [(Some(code), false)]);
        until("the reason for all of the app", || async {
            let message = world.get(&path).await;
            let said = message["explanation"].as_str().unwrap().to_owned();
            said.contains("sending is stopped for this app").then_some(())
        })
        .await;
        world.clock.advance(MINUTE);
        settled(&world, &path, "accepted", 2).await;
    }
    fake.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_share_the_failure_they_waited_for() {
    let (world, fake) = world().await;
    world.clock.advance(3 * HOUR);
    // Whoever came after the first time-out would ask once more, and wait once more.
    fake.script(TOKEN, vec![Act::Hang; 2]);
    let mut paths = Vec::new();
    for n in 0..40 {
        paths.push(send(&world, n, json!({})).await);
    }
    for path in &paths {
        settled(&world, path, "queued", 1).await;
    }
    assert!(fake.calls(TOKEN) <= 2, "{} calls for forty messages", fake.calls(TOKEN));
    assert_eq!(fake.calls(SEND), 0);
    fake.well();
    world.clock.advance(MINUTE);
    for path in &paths {
        settled(&world, path, "accepted", 2).await;
    }
    assert_eq!(fake.calls(SEND), 40, "nothing is lost, nothing goes twice");
    fake.check();
}
