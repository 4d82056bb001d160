//! Faults of pushes: lost, late, several times, in another order, overtaking; receipts with something else in
//! them.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::time::Duration;

use common::{FEE, Got, Server, Wx, code, fee, start, with_callback};
use serde_json::{Value, json};
use simulator::{
    SAMPLE_APPID, SAMPLE_OPENID,
    api::{CallbackFormat, CallbackMode, Chat, Decision, FaultScript, Seed},
};

async fn scene(rules: Value) -> (Wx, Server) {
    let (wx, server) = (start().await, Server::start().await);
    with_callback(&wx.sim, server.spec(CallbackMode::Plain, CallbackFormat::Json));
    let script: FaultScript = serde_json::from_value(json!({"seed": 1, "rules": rules})).unwrap();
    wx.sim.set_faults(SAMPLE_APPID, script).unwrap();
    let openids = vec![SAMPLE_OPENID.to_owned()];
    wx.sim.seed(SAMPLE_APPID, &Seed { openids, grants: [(FEE.to_owned(), 20)].into() }).unwrap();
    (wx, server)
}

fn body(got: &Got) -> Value {
    serde_json::from_slice(&got.body).unwrap()
}

fn chat(wx: &Wx, text: &str) {
    wx.sim.chat(SAMPLE_APPID, SAMPLE_OPENID, &Chat { text: text.to_owned() }).unwrap();
}

/// Waits until the counters say so.
async fn until(wx: &Wx, holds: impl Fn(&simulator::api::Counters) -> bool) {
    for _ in 0..6_000 {
        if holds(&wx.sim.counters(SAMPLE_APPID).unwrap()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {:?}", wx.sim.counters(SAMPLE_APPID).unwrap());
}

#[tokio::test]
async fn lost_by_event() {
    let (wx, server) =
        scene(json!([{"on": "push", "event": "subscribe_msg_popup_event", "fault": "lost"}])).await;
    wx.accept(&[FEE]);
    until(&wx, |counters| counters.faults.get("lost") == Some(&1)).await;
    chat(&wx, "1");
    let got = server.wait(1).await;
    assert_eq!(body(&got[0])["MsgType"], "text");
    let entry = &wx.sim.fault_log(SAMPLE_APPID, 1).unwrap()[0];
    assert_eq!((entry.effect, entry.template_id.as_deref(), entry.ambiguous), (None, Some(FEE), false));
}

#[tokio::test]
async fn pushed_several_times() {
    let (wx, server) = scene(json!([{"on": "push", "fault": "duplicate", "times": 4, "next": 1}])).await;
    wx.accept(&[FEE]);
    let got = server.wait(4).await;
    assert!(got.iter().all(|one| one.body == got[0].body), "the same event");
    let nonces: std::collections::HashSet<_> = got.iter().map(|one| one.query()["nonce"].clone()).collect();
    assert_eq!(nonces.len(), 4, "signed anew");
    until(&wx, |counters| counters.callbacks_delivered == 4).await;
}

#[tokio::test]
async fn a_later_one_goes_first() {
    let (wx, server) = scene(json!([{"on": "push", "fault": "reorder", "delay_ms": 20000, "next": 1}])).await;
    wx.accept(&[FEE]);
    until(&wx, |counters| counters.faults.get("reorder") == Some(&1)).await;
    wx.decide(&[FEE], Decision::Reject);
    let got = server.wait(2).await;
    let said = |at: usize| body(&got[at])["List"]["SubscribeStatusString"].as_str().unwrap().to_owned();
    assert_eq!((said(0), said(1)), ("reject".to_owned(), "accept".to_owned()));
}

#[tokio::test]
async fn held_in_vain_it_goes_after_all_and_late_is_late() {
    let (wx, server) = scene(json!([{"on": "push", "fault": "reorder", "delay_ms": 50, "next": 1},
        {"on": "push", "fault": "latency", "delay_ms": 200}]))
    .await;
    chat(&wx, "1");
    server.wait(1).await;
    let begun = std::time::Instant::now();
    chat(&wx, "2");
    server.wait(2).await;
    assert!(begun.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn tried_again_although_answered_well() {
    let (wx, server) = scene(json!([{"on": "push", "fault": "retry_anyway", "next": 1},
        {"on": "push", "fault": "retry_anyway", "times": 1}]))
    .await;
    chat(&wx, "1");
    until(&wx, |counters| counters.callbacks_delivered == 1).await;
    assert_eq!(server.got().len(), 3, "the usual tries");
    chat(&wx, "2");
    until(&wx, |counters| counters.callbacks_delivered == 2).await;
    assert_eq!(server.got().len(), 5);
}

#[tokio::test]
async fn a_receipt_that_overtakes_the_answer() {
    let (wx, server) = scene(json!([{"on": "receipt", "fault": "overtake"}])).await;
    let token = wx.token().await;
    // The server is slow: had the answer not waited, it would be here first.
    server.answers(200, 150);
    let begun = std::time::Instant::now();
    let answer = wx.send(&token, &fee()).await;
    assert!(begun.elapsed() >= Duration::from_millis(150));
    let got = server.got();
    assert_eq!(got.len(), 1, "it was there before the answer");
    assert_eq!(body(&got[0])["List"]["MsgID"], answer["msgid"].as_u64().unwrap().to_string());
    until(&wx, |counters| counters.receipts_waiting == 0).await;
    // With an answer that never comes whole: the receipt is all there is.
    let script =
        json!({"rules": [{"on": "send", "fault": "cut_after_body"}, {"on": "receipt", "fault": "overtake"}]});
    wx.sim.set_faults(SAMPLE_APPID, serde_json::from_value(script).unwrap()).unwrap();
    let path = format!("{}/cgi-bin/message/subscribe/send?access_token={token}", wx.base);
    let request = http::Request::post(path).body(fee().to_string()).unwrap();
    let client =
        hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    assert!(client.request(request).await.is_err());
    assert_eq!(server.got().len(), 2);
}

#[tokio::test]
async fn receipts_with_something_else_in_them() {
    for format in [CallbackFormat::Json, CallbackFormat::Xml] {
        let (wx, server) = scene(json!([{"on": "receipt", "fault": "msgid_absent", "next": 1},
            {"on": "receipt", "fault": "msgid_other", "next": 1},
            {"on": "receipt", "fault": "undelivered", "errcode": 7, "errmsg": "failed:x", "next": 1}]))
        .await;
        with_callback(&wx.sim, server.spec(CallbackMode::Plain, format));
        let token = wx.token().await;
        let mut seen = Vec::new();
        for turn in 1..=4 {
            let answer = wx.send(&token, &fee()).await;
            assert_eq!(code(&answer), 0);
            let got = server.wait(turn).await;
            let push = wechat::callback::event::parse(&got[turn - 1].body).unwrap();
            let wechat::callback::event::Kind::Sent(items) = push.kind else { panic!("{push:?}") };
            let same = items[0].msg_id == answer["msgid"].as_u64();
            seen.push((items[0].msg_id.is_some(), same, items[0].error_code, items[0].error_status.clone()));
        }
        let ok = || "success".to_owned();
        let expected = [
            (false, false, 0, ok()),
            (true, false, 0, ok()),
            (true, true, 7, "failed:x".to_owned()),
            (true, true, 0, ok()),
        ];
        assert_eq!(seen, expected, "{format:?}");
    }
}
