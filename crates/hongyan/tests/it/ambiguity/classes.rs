//! The classes, one by one: state, attempts, number of calls, and the text in both languages.

use domain::Clock;
use domain::clock::{HOUR, MINUTE, SECOND};
use serde_json::{Value, json};

use super::fake::{Act, SEND, TOKEN, accepted, errcode};
use super::{attempts, in_chinese, move_to, openid, send, settled, world};
use crate::world::{FEE, World, until};

type Row = (&'static str, Vec<Act>, &'static str, Vec<(Option<i64>, bool)>, &'static str, &'static str);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_and_every_silence_has_its_class() {
    let (world, fake) = world().await;
    let body = |text: &str| Act::Body(text.to_owned());
    let busy = || errcode(-1, "system error");
    let rows: Vec<Row> = vec![
        (
            "taken",
            vec![accepted(7)],
            "accepted",
            vec![(Some(0), false)],
            "its receipt is awaited",
            "等待送达回执",
        ),
        (
            "-1, then taken",
            vec![busy(), accepted(8)],
            "accepted",
            vec![(Some(-1), true), (Some(0), false)],
            "its receipt",
            "送达回执",
        ),
        (
            "-1 five times",
            vec![busy(); 5],
            "unknown",
            vec![(Some(-1), true); 5],
            "no clear answer came",
            "可能已送达",
        ),
        (
            "43101",
            vec![errcode(43101, "user refuse to accept the msg")],
            "refused",
            vec![(Some(43101), false)],
            "invite the user",
            "再次邀请",
        ),
        (
            "-1, then 43101",
            vec![busy(), errcode(43101, "user refuse to accept the msg")],
            "unknown",
            vec![(Some(-1), true), (Some(43101), false)],
            "An attempt before got no clear answer",
            "之前的一次尝试没等到",
        ),
        (
            "-1, then 40037",
            vec![busy(), errcode(40037, "invalid template_id")],
            "unknown",
            vec![(Some(-1), true), (Some(40037), false)],
            "An attempt before",
            "之前的一次尝试",
        ),
        ("a hang", vec![Act::Hang], "unknown", vec![(None, true)], "no answer in time", "等待答复超时"),
        ("a cut", vec![Act::CutAfter], "unknown", vec![(None, true)], "the connection broke", "连接中断"),
        ("500", vec![Act::Html(500)], "unknown", vec![(None, true)], "HTTP status 500", "HTTP 状态码 500"),
        ("502", vec![Act::Html(502)], "unknown", vec![(None, true)], "HTTP status 502", "HTTP 状态码 502"),
        (
            "a login page",
            vec![Act::Html(200)],
            "unknown",
            vec![(None, true)],
            "not WeChat's JSON",
            "不是微信的 JSON",
        ),
        (
            "half a body",
            vec![Act::HalfBody],
            "unknown",
            vec![(None, true)],
            "the connection broke",
            "连接中断",
        ),
        (
            "other JSON",
            vec![body(r#"{"status":"ok"}"#)],
            "unknown",
            vec![(None, true)],
            "not WeChat's JSON",
            "不是微信的 JSON",
        ),
        (
            "a proxy's errmsg",
            vec![body(r#"{"errmsg":"no upstream"}"#)],
            "unknown",
            vec![(None, true)],
            "not WeChat's JSON",
            "不是微信的 JSON",
        ),
        (
            "no errcode",
            vec![body(r#"{"errmsg":"ok","msgid":"9"}"#)],
            "accepted",
            vec![(Some(0), false)],
            "its receipt",
            "送达回执",
        ),
        (
            "47003",
            vec![errcode(47003, "argument invalid! data.thing8.value invalid")],
            "failed",
            vec![(Some(47003), false)],
            "(thing8)",
            "（thing8）",
        ),
        (
            "40003",
            vec![errcode(40003, "invalid openid")],
            "failed",
            vec![(Some(40003), false)],
            "the openid is invalid",
            "openid 无效",
        ),
        (
            "an unknown code",
            vec![errcode(999_999, "strange")],
            "failed",
            vec![(Some(999_999), false)],
            "WeChat answered 999999: strange",
            "999999",
        ),
        (
            "43108, then taken",
            vec![errcode(43108, "concurrent"), accepted(10)],
            "accepted",
            vec![(Some(43108), false), (Some(0), false)],
            "its receipt",
            "送达回执",
        ),
        (
            "45011, then taken",
            vec![errcode(45011, "api minute-quota"), accepted(11)],
            "accepted",
            vec![(Some(45011), false), (Some(0), false)],
            "its receipt",
            "送达回执",
        ),
        // One refresh inside of the attempt, whatever the words for a bad token.
        (
            "40001, then taken",
            vec![errcode(40001, "invalid credential"), accepted(12)],
            "accepted",
            vec![(Some(0), false)],
            "its receipt",
            "送达回执",
        ),
        (
            "40014, then taken",
            vec![errcode(40014, "invalid access_token"), accepted(13)],
            "accepted",
            vec![(Some(0), false)],
            "its receipt",
            "送达回执",
        ),
        (
            "42001, then a cut",
            vec![errcode(42001, "expired"), Act::CutAfter],
            "unknown",
            vec![(None, true)],
            "the connection broke",
            "连接中断",
        ),
    ];
    for (n, (name, acts, state, expected, english, chinese)) in rows.into_iter().enumerate() {
        let calls = acts.len();
        let tokens = fake.calls(TOKEN);
        let refreshed =
            usize::from(name.starts_with("40001") || name.starts_with("4001") || name.starts_with("42001"));
        fake.script(SEND, acts);
        let path = send(&world, n, json!({})).await;
        // Retries come due one by one.
        for before in 1..expected.len() {
            let message = settled(&world, &path, "queued", before).await;
            let said = message["explanation"].as_str().unwrap();
            assert!(said.contains("another attempt"), "{name}: {said}");
            world.clock.advance(2 * MINUTE);
        }
        let message = settled(&world, &path, state, expected.len()).await;
        assert_eq!(attempts(&message), expected, "{name}");
        assert_eq!(fake.sends_to(&openid(n)), calls, "{name}: no call too many, none too few");
        assert_eq!(fake.calls(TOKEN) - tokens, refreshed, "{name}: refreshed");
        let said = message["explanation"].as_str().unwrap();
        assert!(said.to_lowercase().contains(&english.to_lowercase()), "{name}: {said}");
        let said = in_chinese(&world, &path).await;
        assert!(said.contains(chinese), "{name}: {said}");
        for (attempt, (code, _)) in message["attempts"].as_array().unwrap().iter().zip(expected) {
            let refused = code.is_some_and(|code| code != 0);
            let rid = if refused { json!("65a1-2b3c-4d5e") } else { Value::Null };
            assert_eq!(attempt["rid"], rid, "{name}");
            assert_eq!(attempt["errmsg"].is_string(), code != Some(0), "{name}: {attempt}");
        }
    }
    fake.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_certainly_not_sent_is_tried_again_until_it_goes() {
    let (world, fake) = world().await;
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let no_tls = fake.url.replace("http://", "https://");
    for (n, url) in [closed.as_str(), "http://no-such-host.invalid", no_tls.as_str()].into_iter().enumerate()
    {
        move_to(&world, url).await;
        let path = send(&world, n, json!({})).await;
        let message = settled(&world, &path, "queued", 1).await;
        assert_eq!(attempts(&message), [(None, false)], "{url}: it cannot have been sent");
        let said = message["explanation"].as_str().unwrap();
        assert!(said.contains("could not be reached (no connection"), "{url}: {said}");
        let said = in_chinese(&world, &path).await;
        assert!(said.contains("没有连上微信") && said.contains("没有建立连接"), "{url}: {said}");
        // The wait grows, and the message stays.
        world.clock.advance(2 * SECOND);
        settled(&world, &path, "queued", 2).await;
        move_to(&world, &fake.url).await;
        world.clock.advance(4 * SECOND);
        let message = settled(&world, &path, "accepted", 3).await;
        assert_eq!(attempts(&message), [(None, false), (None, false), (Some(0), false)]);
        assert_eq!(fake.sends_to(&openid(n)), 1, "{url}");
    }
    fake.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_before_the_request_was_read_is_never_called_unsent_without_proof() {
    let (world, fake) = world().await;
    fake.script(SEND, [Act::CutBefore]);
    let path = send(&world, 0, json!({})).await;
    // By what the client can know: some bytes were written, or none were.
    let message = until("an end of the attempt", || async {
        let message = world.get(&path).await;
        (message["attempts"].as_array().unwrap().len() == 1 && message["state"] != "sending")
            .then_some(message)
    })
    .await;
    match message["state"].as_str().unwrap() {
        "unknown" => assert_eq!(attempts(&message), [(None, true)]),
        "queued" => assert_eq!(attempts(&message), [(None, false)]),
        other => panic!("{other}: {message}"),
    }
}

/// Another message of the app, which has not been tried itself, waits for the same reason and says so.
async fn waits_with_reason(world: &World, n: usize, english: &str, chinese: &str) -> String {
    let path = send(world, n, json!({})).await;
    let message = world.get(&path).await;
    assert_eq!((message["state"].as_str(), attempts(&message).len()), (Some("queued"), 0));
    let said = message["explanation"].as_str().unwrap();
    assert!(said.contains("sending is stopped for this app"), "{said}");
    assert!(said.to_lowercase().contains(&english.to_lowercase()), "{said}");
    let said = in_chinese(world, &path).await;
    assert!(said.contains("发送已暂停") && said.contains(chinese), "{said}");
    let list = world.get(&format!("/messages?to={}", openid(n))).await;
    assert_eq!(list["items"][0]["explanation"], message["explanation"]);
    path
}

async fn gate(world: &World) -> Option<store::gates::Gate> {
    world.service().store().gates().await.unwrap().into_iter().next()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_configuration_stops_the_app_and_says_how_to_mend_it() {
    let (world, fake) = world().await;
    let ip = "invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist";
    for (at, (acts, english, chinese)) in [
        (vec![errcode(40013, "invalid appid")], "compare the AppID", "核对 AppID"),
        (vec![errcode(40125, "invalid appsecret")], "AppSecret", "AppSecret"),
        (vec![errcode(40164, ip)], "(203.0.113.9)", "（203.0.113.9）"),
        (vec![errcode(43107, "banned")], "banned", "封禁"),
        (vec![errcode(43116, "abuse")], "abuse", "滥用"),
        (vec![errcode(48001, "api unauthorized")], "no permission", "没有调用这个接口的权限"),
        (vec![errcode(50002, "user limited")], "restricted", "受限"),
        // A fresh token does not help.
        (vec![errcode(40001, "invalid credential"); 2], "check the AppSecret", "检查 AppSecret"),
    ]
    .into_iter()
    .enumerate()
    {
        let calls = fake.calls(SEND) + acts.len();
        fake.script(SEND, acts);
        let path = send(&world, 2 * at, json!({})).await;
        let message = settled(&world, &path, "queued", 1).await;
        assert!(!attempts(&message)[0].1, "{english}: certainly not sent");
        let gate = until("the gate", || gate(&world)).await;
        assert_eq!(gate.reason, "configuration", "{english}");
        assert!(gate.retry_at - world.clock.now() <= MINUTE, "probed again within a minute");
        let other = waits_with_reason(&world, 2 * at + 1, english, chinese).await;
        assert_eq!(fake.calls(SEND), calls, "{english}: nobody else was sent to");
        // The cause is gone: one probe, and then everything goes.
        world.clock.advance(MINUTE);
        settled(&world, &path, "accepted", 2).await;
        settled(&world, &other, "accepted", 1).await;
        until("the gate open", || async { gate_is_open(&world).await.then_some(()) }).await;
    }
    fake.check();
}

async fn gate_is_open(world: &World) -> bool {
    gate(world).await.is_none()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_used_up_quota_waits_for_the_next_day_in_china() {
    let (world, fake) = world().await;
    fake.script(SEND, [errcode(45009, "reach max api daily quota limit")]);
    let path = send(&world, 0, json!({})).await;
    let message = settled(&world, &path, "queued", 1).await;
    assert_eq!(attempts(&message), [(Some(45009), false)]);
    let other = waits_with_reason(&world, 1, "daily quota", "今日调用额度已用完").await;
    let gate = until("the gate", || gate(&world)).await;
    assert_eq!(gate.reason, "quota");
    // The tests begin at noon in Shanghai.
    assert_eq!(gate.retry_at - world.clock.now(), 12 * HOUR);
    world.clock.advance(12 * HOUR - SECOND);
    let (scope, urgent) = (json!({ "priority": "urgent" }), 2);
    let urgent = send(&world, urgent, scope).await;
    let message = world.get(&urgent).await;
    assert_eq!(message["state"], "queued", "also what is urgent: {message}");
    assert_eq!(fake.calls(SEND), 1);
    world.clock.advance(2 * SECOND);
    for (path, attempts) in [(&path, 2), (&other, 1), (&urgent, 1)] {
        settled(&world, path, "accepted", attempts).await;
    }
    assert_eq!(
        world.get(&format!("/messages?template_id={FEE}")).await["items"].as_array().unwrap().len(),
        3
    );
    fake.check();
}
