//! `stable_token` and `token`: what is valid when, and every refusal.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{code, fee, start};
use http::Method;
use serde_json::{Value, json};
use simulator::{SAMPLE_APPID, sample_app};

fn text(answer: &Value) -> String {
    answer["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn normal_mode_answers_the_same_token_with_what_remains() {
    let wx = start().await;
    let first = wx.stable_token(false).await;
    assert_eq!(first["expires_in"], 7200);
    assert!(text(&first).len() > 100 && text(&first).len() <= 512);
    wx.advance(3_600_000);
    let second = wx.stable_token(false).await;
    assert_eq!(text(&first), text(&second));
    let left = second["expires_in"].as_i64().unwrap();
    assert!((3590..=3600).contains(&left), "{left}");
    // Five minutes before its end it is rotated; the old one lives on.
    wx.advance(3_310_000);
    let third = wx.stable_token(false).await;
    assert_ne!(text(&first), text(&third));
    assert_eq!(code(&wx.send(&text(&first), &fee()).await), 43101);
    wx.advance(300_000);
    assert_eq!(code(&wx.send(&text(&first), &fee()).await), 42001);
    assert_eq!(code(&wx.send(&text(&third), &fee()).await), 43101);
}

#[tokio::test]
async fn a_forced_token_kills_the_old_one() {
    let wx = start().await;
    let old = wx.token().await;
    let new = text(&wx.stable_token(true).await);
    assert_ne!(old, new);
    assert_eq!(code(&wx.send(&old, &fee()).await), 40001);
    assert_eq!(code(&wx.send(&new, &fee()).await), 43101);
    assert_eq!(wx.token().await, new);
}

#[tokio::test]
async fn twenty_forced_a_day() {
    let wx = start().await;
    for _ in 0..20 {
        text(&wx.stable_token(true).await);
    }
    assert_eq!(code(&wx.stable_token(true).await), 45009);
    assert!(wx.stable_token(false).await["access_token"].is_string());
    // It is noon in Shanghai: the next day begins in twelve hours.
    wx.advance(11 * 3_600_000);
    assert_eq!(code(&wx.stable_token(true).await), 45009);
    wx.advance(3_600_000);
    assert!(wx.stable_token(true).await["access_token"].is_string());
    assert_eq!(wx.sim.counters(SAMPLE_APPID).unwrap().forced_refreshes, 21);
}

#[tokio::test]
async fn forced_refreshes_may_need_a_gap() {
    let wx = start().await;
    let mut app = sample_app();
    app.forced_refresh_gap_ms = 30_000;
    wx.sim.put_app(SAMPLE_APPID, app).unwrap();
    text(&wx.stable_token(true).await);
    assert_eq!(code(&wx.stable_token(true).await), 45011);
    wx.advance(30_000);
    text(&wx.stable_token(true).await);
}

#[tokio::test]
async fn the_ordinary_token_is_another_one_and_overlaps() {
    let wx = start().await;
    let path = format!(
        "/cgi-bin/token?grant_type=client_credential&appid={SAMPLE_APPID}&secret={}",
        sample_app().secret
    );
    let stable = wx.token().await;
    let first = text(&wx.get(&path).await);
    let second = text(&wx.get(&path).await);
    assert!(first != second && first != stable);
    for token in [&first, &second, &stable] {
        assert_eq!(code(&wx.send(token, &fee()).await), 43101);
    }
    wx.advance(300_001);
    assert_eq!(code(&wx.send(&first, &fee()).await), 42001);
    assert_eq!(code(&wx.send(&second, &fee()).await), 43101);
    text(&wx.stable_token(true).await);
    assert_eq!(code(&wx.send(&second, &fee()).await), 43101);
    let wrong: Value = wx.get("/cgi-bin/token?grant_type=client_credential&appid=wxnone&secret=x").await;
    assert_eq!(code(&wrong), 40013);
}

#[tokio::test]
async fn refusals() {
    let wx = start().await;
    let good =
        json!({"grant_type": "client_credential", "appid": SAMPLE_APPID, "secret": sample_app().secret});
    let with = |key: &str, value: Value| {
        let mut body = good.clone();
        body[key] = value;
        body
    };
    for (body, expected) in [
        (with("appid", json!("wx0000000000000000")), 40013),
        (with("appid", json!("")), 41002),
        (with("secret", json!("wrong")), 40125),
        (with("secret", json!("")), 41004),
        (with("grant_type", json!("password")), 40002),
        (json!({"appid": SAMPLE_APPID}), 40002),
        (json!("text"), 47001),
        (with("force_refresh", json!("yes")), 47001),
    ] {
        assert_eq!(code(&wx.post("/cgi-bin/stable_token", &body).await), expected, "{body}");
    }
    for (method, body, expected) in
        [(Method::GET, "", 43002), (Method::POST, "{\"grant", 47001), (Method::POST, "", 44002)]
    {
        let (status, _, answer) = wx.raw(method, "/cgi-bin/stable_token", body).await;
        assert_eq!(status, 200);
        assert_eq!(code(&serde_json::from_slice(&answer).unwrap()), expected);
    }
}

#[tokio::test]
async fn revoked_by_the_control_api() {
    let wx = start().await;
    let token = wx.token().await;
    let answer = wx.post(&format!("/_sim/apps/{SAMPLE_APPID}/revoke-token"), &json!({})).await;
    assert_eq!(answer["revoked"], 1);
    assert_eq!(code(&wx.send(&token, &fee()).await), 40001);
    assert_ne!(wx.token().await, token);
}
