//! Pushes to the app: every mode and format opens with what a server would use; retries; receipts; the
//! verification; chats.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::time::Duration;

use common::{FEE, KEY, REPAIR, Server, TOKEN, code, fee, start, start_with, with_callback};
use http::Method;
use simulator::{
    SAMPLE_APPID, SAMPLE_OPENID,
    api::{
        CallbackAttempt, CallbackFormat, CallbackMode, Chat, Decision, Records, SettingsChange, Verification,
    },
};
use wechat::callback::{
    Keys, Query,
    crypto::EncodingAesKey,
    event::{self, Kind, Push},
    open, verify_url,
};

fn keys(mode: CallbackMode) -> Keys {
    let aes_key = (mode != CallbackMode::Plain).then(|| EncodingAesKey::parse(KEY).unwrap());
    Keys { app_id: SAMPLE_APPID.to_owned(), token: TOKEN.to_owned().into(), aes_key, mode }
}

fn query(got: &common::Got) -> Query {
    let mut all = got.query();
    Query {
        signature: all.remove("signature"),
        timestamp: all.remove("timestamp"),
        nonce: all.remove("nonce"),
        echostr: all.remove("echostr"),
        openid: all.remove("openid"),
        encrypt_type: all.remove("encrypt_type"),
        msg_signature: all.remove("msg_signature"),
    }
}

fn opened(got: &common::Got, mode: CallbackMode, format: CallbackFormat) -> Push {
    assert_eq!(got.method, Method::POST);
    let opened = open(&[keys(mode)], &query(got), &got.body).unwrap();
    assert_eq!((opened.format, opened.received_mode), (format, mode));
    let push = event::parse(&opened.plaintext).unwrap();
    assert_eq!((push.to_user.as_str(), push.from_user.as_str()), ("gh_ea84a199bf81", SAMPLE_OPENID));
    push
}

async fn in_mode(mode: CallbackMode, format: CallbackFormat) {
    let (wx, server) = (start().await, Server::start().await);
    with_callback(&wx.sim, server.spec(mode, format));
    wx.accept(&[FEE]);
    let got = server.wait(1).await;
    let kind = opened(&got[0], mode, format).kind;
    let Kind::Popup(items) = kind else { panic!("{kind:?}") };
    assert_eq!(items.len(), 1);
    assert_eq!((items[0].template_id.as_str(), items[0].decision.as_str()), (FEE, "accept"));
    assert_eq!(items[0].scene.as_deref(), Some("0"));
    let names: Vec<String> = got[0].query().into_keys().collect();
    assert!(names.contains(&"openid".to_owned()));
    assert_eq!(names.contains(&"encrypt_type".to_owned()), mode != CallbackMode::Plain);
    let plain_fields = String::from_utf8_lossy(&got[0].body).contains("FromUserName");
    assert_eq!(plain_fields, mode != CallbackMode::Safe);

    // Several at once: one event.
    wx.accept(&[FEE, REPAIR]);
    let Kind::Popup(items) = opened(&server.wait(2).await[1], mode, format).kind else { panic!() };
    assert_eq!(items.len(), 2);

    // A receipt with the msgid of the answer.
    let answer = wx.send(&wx.token().await, &fee()).await;
    let Kind::Sent(items) = opened(&server.wait(3).await[2], mode, format).kind else { panic!() };
    assert_eq!(items[0].msg_id, answer["msgid"].as_u64());
    assert_eq!((items[0].error_code, items[0].error_status.as_str()), (0, "success"));

    // Refused in the settings; allowed again, which is not pushed; a chat.
    for decision in [Decision::Reject, Decision::Accept] {
        let change = SettingsChange { main_switch: None, templates: [(FEE.to_owned(), decision)].into() };
        wx.sim.change_settings(SAMPLE_APPID, SAMPLE_OPENID, &change).unwrap();
    }
    let Kind::Change(items) = opened(&server.wait(4).await[3], mode, format).kind else { panic!() };
    assert_eq!((items[0].template_id.as_str(), items[0].decision.as_str()), (FEE, "reject"));
    wx.sim.chat(SAMPLE_APPID, SAMPLE_OPENID, &Chat { text: "电梯坏了]]>".to_owned() }).unwrap();
    let push = opened(&server.wait(5).await[4], mode, format);
    assert_eq!((push.kind, push.msg_type.as_str()), (Kind::CustomerService, "text"));
    assert!(push.msg_id.unwrap() > 1 << 53);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.got().len(), 5);
    assert_eq!(wx.sim.counters(SAMPLE_APPID).unwrap().callbacks_delivered, 5);
}

#[tokio::test]
async fn plain_json() {
    in_mode(CallbackMode::Plain, CallbackFormat::Json).await;
}

#[tokio::test]
async fn plain_xml() {
    in_mode(CallbackMode::Plain, CallbackFormat::Xml).await;
}

#[tokio::test]
async fn compat_json() {
    in_mode(CallbackMode::Compat, CallbackFormat::Json).await;
}

#[tokio::test]
async fn compat_xml() {
    in_mode(CallbackMode::Compat, CallbackFormat::Xml).await;
}

#[tokio::test]
async fn safe_json() {
    in_mode(CallbackMode::Safe, CallbackFormat::Json).await;
}

#[tokio::test]
async fn safe_xml() {
    in_mode(CallbackMode::Safe, CallbackFormat::Xml).await;
}

/// The attempts recorded, oldest first, once there are `count`.
async fn attempts(wx: &common::Wx, count: usize) -> Vec<CallbackAttempt> {
    for _ in 0..6_000 {
        let path = format!("/_sim/apps/{SAMPLE_APPID}/records?kind=callbacks&openid={SAMPLE_OPENID}");
        let mut records: Records<CallbackAttempt> = wx.get(&path).await;
        if records.items.len() >= count {
            records.items.reverse();
            return records.items;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never {count} attempts");
}

#[tokio::test]
async fn three_tries_with_the_same_plaintext() {
    let (wx, server) = (start().await, Server::start().await);
    with_callback(&wx.sim, server.spec(CallbackMode::Safe, CallbackFormat::Json));
    server.answers(500, 0);
    wx.accept(&[FEE]);
    let tries = attempts(&wx, 3).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let got = server.got();
    assert_eq!(got.len(), 3, "not a fourth");
    assert!(got[0].body != got[1].body, "freshly encrypted");
    let plain =
        |at: usize| open(&[keys(CallbackMode::Safe)], &query(&got[at]), &got[at].body).unwrap().plaintext;
    assert!(plain(0) == plain(1) && plain(1) == plain(2));
    assert_eq!(
        tries.iter().map(|one| (one.attempt, one.status)).collect::<Vec<_>>(),
        [(1, Some(500)), (2, Some(500)), (3, Some(500))]
    );
    assert_eq!(tries[0].event, "subscribe_msg_popup_event");
    let counters = wx.sim.counters(SAMPLE_APPID).unwrap();
    assert_eq!(
        (counters.callback_attempts, counters.callbacks_delivered, counters.callbacks_failed),
        (3, 0, 1)
    );
}

#[tokio::test]
async fn a_late_answer_is_none_and_the_next_try_may_succeed() {
    let wx = start_with(|config| config.callback_retry_delay = Duration::from_millis(200)).await;
    let server = Server::start().await;
    with_callback(&wx.sim, server.spec(CallbackMode::Plain, CallbackFormat::Xml));
    server.answers(200, 2_000);
    wx.accept(&[FEE]);
    attempts(&wx, 1).await;
    server.answers(200, 0);
    let tries = attempts(&wx, 2).await;
    assert_eq!((tries[0].status, tries[0].latency_ms >= 300), (None, true));
    assert!(tries[0].error.as_deref().unwrap().contains("300 ms"));
    assert_eq!((tries[1].status, tries[1].body.as_str()), (Some(200), "success"));
    assert_eq!(wx.sim.counters(SAMPLE_APPID).unwrap().callbacks_delivered, 1);
}

#[tokio::test]
async fn nobody_there() {
    let wx = start().await;
    let server = Server::start().await;
    let mut spec = server.spec(CallbackMode::Plain, CallbackFormat::Json);
    spec.url = "http://127.0.0.1:9/user".to_owned();
    with_callback(&wx.sim, spec);
    wx.accept(&[FEE]);
    let tries = attempts(&wx, 3).await;
    assert!(tries.iter().all(|one| one.status.is_none() && one.error.is_some()));
}

#[tokio::test]
async fn verification() {
    let (wx, server) = (start().await, Server::start().await);
    let path = format!("/_sim/apps/{SAMPLE_APPID}/verify");
    let (status, _, _) = wx.raw(Method::POST, &path, "").await;
    assert_eq!(status, 409, "no URL yet");
    with_callback(&wx.sim, server.spec(CallbackMode::Safe, CallbackFormat::Json));
    let verify = async || -> Verification {
        serde_json::from_value(wx.post(&path, &serde_json::json!({})).await).unwrap()
    };
    let good = verify().await;
    assert!(good.ok && good.status == Some(200) && good.reason.is_none(), "{good:?}");
    let query = query(&server.got()[0]);
    assert_eq!(verify_url(&[TOKEN], &query), Ok(good.body.as_str()));
    server.answers(403, 0);
    let bad = verify().await;
    assert!(!bad.ok && bad.reason.unwrap().contains("403"));
    server.answers(200, 1_000);
    let late = verify().await;
    assert!(!late.ok && late.status.is_none());
}

#[tokio::test]
async fn receipts_can_be_late_or_absent() {
    let (wx, server) = (start().await, Server::start().await);
    let mut app = simulator::sample_app();
    app.callback = Some(server.spec(CallbackMode::Plain, CallbackFormat::Json));
    app.receipt_delay_ms = 400;
    wx.sim.put_app(SAMPLE_APPID, app.clone()).unwrap();
    wx.accept(&[FEE]);
    wx.accept(&[FEE]);
    server.wait(2).await;
    let token = wx.token().await;
    assert_eq!(code(&wx.send(&token, &fee()).await), 0);
    assert_eq!(wx.sim.counters(SAMPLE_APPID).unwrap().receipts_waiting, 1);
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(server.got().len(), 2, "not yet");
    server.wait(3).await;
    app.receipts = false;
    wx.sim.put_app(SAMPLE_APPID, app).unwrap();
    assert_eq!(code(&wx.send(&token, &fee()).await), 0);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(server.got().len(), 3);
}

#[tokio::test]
async fn a_server_that_was_away_gets_every_receipt_afterwards() {
    let wx = start_with(|config| {
        config.callback_concurrency = 2;
        config.callback_retry_delay = Duration::from_millis(400);
    })
    .await;
    let server = Server::start().await;
    with_callback(&wx.sim, server.spec(CallbackMode::Plain, CallbackFormat::Json));
    let seed = simulator::api::Seed {
        openids: vec![SAMPLE_OPENID.to_owned()],
        grants: [(FEE.to_owned(), 20)].into(),
    };
    wx.sim.seed(SAMPLE_APPID, &seed).unwrap();
    server.answers(503, 0);
    let token = wx.token().await;
    for _ in 0..20 {
        assert_eq!(code(&wx.send(&token, &fee()).await), 0);
    }
    // All first tries go out although only two may be under way: a pause holds no slot.
    attempts(&wx, 20).await;
    server.answers(200, 0);
    attempts(&wx, 40).await;
    let counters = wx.sim.counters(SAMPLE_APPID).unwrap();
    assert_eq!(
        (counters.callbacks_delivered, counters.callbacks_failed, counters.receipts_waiting),
        (20, 0, 0)
    );
}
