//! The control API and the phone page over HTTP: apps, users, bounded records, live events, headers.

mod common;

use common::{FEE, code, fee, start, start_with};
use http::Method;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use simulator::{
    SAMPLE_APPID, SAMPLE_OPENID,
    api::{AppList, Records, SendView, UserList, UserView},
};

#[tokio::test]
async fn an_app_and_its_user_by_http() {
    let wx = start().await;
    let spec = json!({"name": "另一个", "secret": "s3cret-of-the-app", "original_id": "gh_2",
        "templates": [{"id": "T", "title": "标题", "type": "one_time", "content": "时间:{{time1.DATA}}\n", "example": ""}]});
    let (status, _, _) = wx.raw(Method::PUT, "/_sim/apps/wx1", spec.to_string()).await;
    assert_eq!(status, 204);
    let (_, _, raw) = wx.raw(Method::GET, "/_sim/apps", "").await;
    assert!(!String::from_utf8_lossy(&raw).contains("s3cret"), "secrets stay inside");
    let apps: AppList = serde_json::from_slice(&raw).unwrap();
    let app = apps.items.iter().find(|app| app.appid == "wx1").unwrap();
    assert_eq!(
        (app.templates[0].fields[0].key.as_str(), app.templates[0].fields[0].label.as_str()),
        ("time1", "时间")
    );

    let created = wx.post("/_sim/apps/wx1/users", &json!({"nickname": "李四"})).await;
    let openid = created["openid"].as_str().unwrap().to_owned();
    assert_eq!((openid.len(), openid.as_bytes()[0]), (28, b'o'));
    let users: UserList = wx.get("/_sim/apps/wx1/users").await;
    assert_eq!((users.total, users.items[0].nickname.as_str()), (1, "李四"));
    let path = format!("/_sim/apps/wx1/users/{openid}");
    wx.post(&format!("{path}/popup"), &json!({"decisions": {"T": "accept"}, "always_keep": true})).await;
    let user: UserView = wx.get(&path).await;
    assert_eq!(user.subscriptions[0].grants, 1);
    assert_eq!(user.subscriptions[0].always_keep.unwrap().as_str(), "accept");
    wx.post(&format!("{path}/settings"), &json!({"T": "reject", "main_switch": false})).await;
    let user: UserView = wx.get(&path).await;
    assert!(!user.main_switch && user.subscriptions[0].refused && user.subscriptions[0].grants == 0);
}

#[tokio::test]
async fn what_is_not_there_or_wrong() {
    let wx = start().await;
    let user = format!("/_sim/apps/{SAMPLE_APPID}/users/{SAMPLE_OPENID}");
    for (method, path, body, expected) in [
        (Method::GET, "/_sim/apps/wxnone/users".to_owned(), json!(null), 404),
        (Method::GET, format!("/_sim/apps/{SAMPLE_APPID}/users/nobody"), json!(null), 404),
        (Method::POST, format!("{user}/popup"), json!({"decisions": {"none": "accept"}}), 404),
        (Method::POST, format!("{user}/popup"), json!({"decisions": {}}), 422),
        (Method::POST, format!("{user}/popup"), json!({"decisions": {FEE: "maybe"}}), 422),
        (Method::POST, format!("/_sim/apps/{SAMPLE_APPID}/users"), json!({"openid": "a b"}), 422),
        (
            Method::PUT,
            "/_sim/apps/wx2".to_owned(),
            json!({"name": "n", "secret": "s", "original_id": "g",
            "callback": {"url": "https://a.example", "token": "t", "mode": "plain", "format": "json"}}),
            422,
        ),
    ] {
        let (status, _, answer) = wx.raw(method, &path, body.to_string()).await;
        assert_eq!(status, expected, "{path} {answer:?}");
    }
}

#[tokio::test]
async fn records_are_bounded_and_counters_are_not() {
    let wx = start_with(|config| {
        config.keep_records = 5;
        config.keep_cards = 3;
    })
    .await;
    let seed = json!({"openids": [SAMPLE_OPENID, "oAnother"], "grants": {FEE: 8}});
    assert_eq!(wx.post(&format!("/_sim/apps/{SAMPLE_APPID}/seed"), &seed).await["users"], 2);
    let token = wx.token().await;
    for _ in 0..8 {
        assert_eq!(code(&wx.send(&token, &fee()).await), 0);
    }
    assert_eq!(code(&wx.send(&token, &fee()).await), 43101);
    let records: Records<SendView> = wx.get(&format!("/_sim/apps/{SAMPLE_APPID}/records?kind=sends")).await;
    assert_eq!(records.items.len(), 5);
    let counters = wx.sim.counters(SAMPLE_APPID).unwrap();
    assert_eq!((counters.sends["0"], counters.sends["43101"], counters.grants_added), (8, 1, 16));
    assert_eq!(wx.sim.user(SAMPLE_APPID, SAMPLE_OPENID).unwrap().cards.len(), 3);
}

#[tokio::test]
async fn settings_change_and_grants_stay() {
    let wx = start().await;
    wx.accept(&[FEE]);
    let mut app = simulator::sample_app();
    let fee_template = app.templates.remove(0);
    wx.sim.put_app(SAMPLE_APPID, app.clone()).unwrap();
    let token = wx.token().await;
    assert_eq!(code(&wx.send(&token, &fee()).await), 40037, "the template was deleted");
    app.templates.push(fee_template);
    wx.sim.put_app(SAMPLE_APPID, app).unwrap();
    assert_eq!(wx.left(FEE), 1);
    assert_eq!(code(&wx.send(&token, &fee()).await), 0);
}

#[tokio::test]
async fn live_events_for_those_who_listen() {
    let wx = start().await;
    let client: hyper_util::client::legacy::Client<_, http_body_util::Empty<bytes::Bytes>> =
        hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let uri = format!("{}/_sim/events?appid={SAMPLE_APPID}&openid={SAMPLE_OPENID}", wx.base);
    let mut body = client.get(uri.parse().unwrap()).await.unwrap().into_body();
    let mut seen = String::new();
    let mut until = async |wanted: &str, seen: &mut String| {
        while !seen.contains(wanted) {
            let frame = tokio::time::timeout(std::time::Duration::from_secs(3), body.frame()).await;
            seen.push_str(std::str::from_utf8(frame.unwrap().unwrap().unwrap().data_ref().unwrap()).unwrap());
        }
    };
    until("event: ready", &mut seen).await;
    wx.accept(&[FEE]);
    until("event: grant", &mut seen).await;
    assert_eq!(code(&wx.send(&wx.token().await, &fee()).await), 0);
    until("event: card", &mut seen).await;
    assert!(seen.contains("event: send") && seen.contains("服务内容"), "{seen}");
}

#[tokio::test]
async fn the_page_allows_nothing_foreign() {
    let wx = start().await;
    for path in ["/", "/phone", "/assets/main.js", "/assets/wx.js", "/assets/phone.css", "/assets/icon.svg"] {
        let (status, headers, body) = wx.raw(Method::GET, path, "").await;
        assert_eq!(status, 200, "{path}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"));
        assert!(!String::from_utf8_lossy(&body).contains("https://"), "{path}");
    }
    let (_, _, page) = wx.raw(Method::GET, "/", "").await;
    let page = String::from_utf8_lossy(&page);
    assert!(page.contains("模拟环境，不会发给真实用户") && !page.contains("<script>"));
    let (status, _, _) = wx.raw(Method::GET, "/assets/none.js", "").await;
    assert_eq!(status, 404);
    let unknown: Value = wx.get("/wxaapi/unknown").await;
    assert_eq!(code(&unknown), 40066);
}
