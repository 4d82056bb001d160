//! WeChat's calls beside sending: as the crate `wechat` makes them, and refused as WeChat refuses them.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{FEE, Server, Wx, code, fee, start, with_callback};
use http::Method;
use serde_json::{Value, json};
use simulator::{
    SAMPLE_APPID, SAMPLE_OPENID,
    api::{CallbackFormat, CallbackMode, LoginCode},
    sample_app,
};
use wechat::client::{CallError, CheckAction, CheckOperator, Client, ClientConfig};

fn client() -> Client {
    Client::new(ClientConfig::default()).unwrap()
}

fn refused<T: std::fmt::Debug>(result: Result<T, CallError>) -> i64 {
    match result {
        Err(CallError::WeChat { errcode, .. }) => errcode,
        other => panic!("{other:?}"),
    }
}

async fn posted(wx: &Wx, path: &str, body: &Value) -> Value {
    wx.post(&format!("{path}?access_token={}", wx.token().await), body).await
}

#[tokio::test]
async fn a_login_code_works_once_for_five_minutes() {
    let wx = start().await;
    let client = client();
    let secret = sample_app().secret.into();
    let fresh = || wx.sim.login(SAMPLE_APPID, SAMPLE_OPENID).unwrap();
    let given = wx.post(&format!("/_sim/apps/{SAMPLE_APPID}/users/{SAMPLE_OPENID}/login"), &json!({})).await;
    let LoginCode { code: given } = serde_json::from_value(given).unwrap();
    let login = client.login(&wx.base, SAMPLE_APPID, &secret, &given).await.unwrap();
    assert_eq!(login.openid, SAMPLE_OPENID);
    assert_eq!(refused(client.login(&wx.base, SAMPLE_APPID, &secret, &given).await), 40163);
    assert_eq!(refused(client.login(&wx.base, SAMPLE_APPID, &secret, "made-up").await), 40029);
    let old = fresh();
    wx.advance(300_000);
    assert_eq!(refused(client.login(&wx.base, SAMPLE_APPID, &secret, &old).await), 40029);
    assert_eq!(
        refused(client.login(&wx.base, SAMPLE_APPID, &"wrong".to_owned().into(), &fresh()).await),
        40125
    );
    assert_eq!(refused(client.login(&wx.base, "wxnone", &secret, &fresh()).await), 40013);
    let path = format!(
        "/sns/jscode2session?appid={SAMPLE_APPID}&secret={}&js_code={}",
        sample_app().secret,
        fresh()
    );
    assert_eq!(code(&wx.get(&path).await), 40002);
    let answer: Value = wx.get(&format!("{path}&grant_type=authorization_code")).await;
    assert_eq!((answer["session_key"].as_str().unwrap().len(), answer.get("errcode")), (24, None));
}

#[tokio::test]
async fn quotas_are_asked_for_and_cleared_ten_times_a_month() {
    let wx = start().await;
    let mut app = sample_app();
    app.daily_quota = Some(3);
    wx.sim.put_app(SAMPLE_APPID, app).unwrap();
    let token = wx.token().await;
    for _ in 0..3 {
        assert_eq!(code(&wx.send(&token, &fee()).await), 43101);
    }
    assert_eq!(code(&wx.send(&token, &fee()).await), 45009);
    let send = "/cgi-bin/message/subscribe/send";
    let quota = client().quota(&wx.base, &token.clone().into(), send).await.unwrap();
    assert_eq!((quota.daily_limit, quota.used, quota.remain), (3, 3, 0));
    assert!(quota.rate_limit.is_some());
    for (path, expected) in
        [("/cgi-bin/none", 76021), ("cgi-bin/token", 76021), ("/sns/jscode2session", 76022)]
    {
        assert_eq!(refused(client().quota(&wx.base, &token.clone().into(), path).await), expected);
    }
    let clear = json!({"appid": SAMPLE_APPID});
    assert_eq!(code(&posted(&wx, "/cgi-bin/clear_quota", &json!({"appid": "wxnone"})).await), 40013);
    assert_eq!(code(&posted(&wx, "/cgi-bin/clear_quota", &clear).await), 0);
    assert_eq!(code(&wx.send(&token, &fee()).await), 43101);
    let secret = sample_app().secret;
    let by_secret = json!({"appid": SAMPLE_APPID, "appsecret": secret});
    for _ in 0..8 {
        assert_eq!(code(&wx.post("/cgi-bin/clear_quota/v2", &by_secret).await), 0);
    }
    let in_query = format!("/cgi-bin/clear_quota/v2?appid={SAMPLE_APPID}&appsecret={secret}");
    assert_eq!(code(&wx.post(&in_query, &json!({})).await), 0, "the tenth");
    assert_eq!(code(&wx.post("/cgi-bin/clear_quota/v2", &by_secret).await), 48006);
    assert_eq!(code(&posted(&wx, "/cgi-bin/clear_quota", &clear).await), 48006);
    // It is 23 November: the next month begins in eight days.
    wx.advance(8 * 86_400_000);
    assert_eq!(code(&wx.post("/cgi-bin/clear_quota/v2", &by_secret).await), 0);
    let wrong = json!({"appid": SAMPLE_APPID, "appsecret": "wrong"});
    assert_eq!(code(&wx.post("/cgi-bin/clear_quota/v2", &wrong).await), 40125);
}

#[tokio::test]
async fn a_refused_send_is_explained_by_its_rid() {
    let wx = start().await;
    let token = wx.token().await;
    let answer = wx.send(&token, &fee()).await;
    assert_eq!(code(&answer), 43101);
    let rid = answer["errmsg"].as_str().unwrap().rsplit_once(" rid: ").unwrap().1.to_owned();
    let raw = posted(&wx, "/cgi-bin/openapi/rid/get", &json!({"rid": rid})).await;
    assert!(raw["request"]["request_url"].as_str().unwrap().contains(&token), "as WeChat has it");
    let record = client().rid_record(&wx.base, &token.clone().into(), &rid).await.unwrap();
    assert!(record.request_body.contains(SAMPLE_OPENID) && record.response_body.contains("43101"));
    assert_eq!(record.invoke_time, common::START / 1000);
    let ask =
        async |token: String, rid: &str| refused(client().rid_record(&wx.base, &token.into(), rid).await);
    assert_eq!(ask(token.clone(), "").await, 76002);
    assert_eq!(ask(token.clone(), "6a000000-12345678-12345678").await, 76001);
    wx.sim.put_app("wx2", sample_app()).unwrap();
    let body = json!({"grant_type": "client_credential", "appid": "wx2", "secret": sample_app().secret});
    let other = wx.post("/cgi-bin/stable_token", &body).await["access_token"].as_str().unwrap().to_owned();
    assert_eq!(ask(other, &rid).await, 76003);
    wx.advance(8 * 86_400_000);
    assert_eq!(ask(wx.token().await, &rid).await, 76004);
}

#[tokio::test]
async fn the_push_url_is_checked_and_addresses_are_told() {
    let (wx, server) = (start().await, Server::start().await);
    let token = wx.token().await;
    let secret = token.clone().into();
    let check =
        async || client().callback_check(&wx.base, &secret, CheckAction::All, CheckOperator::Default).await;
    assert_eq!(refused(check().await), 40201);
    with_callback(&wx.sim, server.spec(CallbackMode::Safe, CallbackFormat::Json));
    let check = check().await.unwrap();
    assert_eq!((check.dns[0].ip.as_str(), check.ping[0].ip.as_str()), ("127.0.0.1", "127.0.0.1"));
    let wrong = async |action: &str, operator: &str| {
        let body = json!({"action": action, "check_operator": operator});
        code(&posted(&wx, "/cgi-bin/callback/check", &body).await)
    };
    assert_eq!((wrong("trace", "DEFAULT").await, wrong("all", "MINE").await), (40202, 40203));
    assert_eq!(client().callback_ips(&wx.base, &token.clone().into()).await.unwrap(), ["127.0.0.1"]);
    let ips: Value = wx.get(&format!("/cgi-bin/get_api_domain_ip?access_token={token}")).await;
    assert_eq!(ips["ip_list"], json!(["127.0.0.1"]));
    assert_eq!(code(&wx.get("/cgi-bin/getcallbackip?access_token=x").await), 40001);
}

#[tokio::test]
async fn templates_are_taken_from_the_library_and_deleted() {
    let wx = start().await;
    let (client, token) = (client(), wx.token().await.into());
    let categories = client.categories(&wx.base, &token).await.unwrap();
    assert_eq!((categories[0].id, categories[0].name.as_str()), (616, "物业管理"));
    let titles = client.library_titles(&wx.base, &token, &[616, 2], 1, 2).await.unwrap();
    assert_eq!((titles.count, titles.titles.len(), titles.titles[0].tid), (4, 2, 2002));
    let keywords = client.library_keywords(&wx.base, &token, "2001").await.unwrap();
    assert!(keywords.iter().any(|one| (one.kid, one.rule.as_str()) == (6, "amount")));

    let id = client.add_template(&wx.base, &token, "2001", &[8, 6], "缴费提醒").await.unwrap();
    let own = client.templates(&wx.base, &token).await.unwrap();
    let added = own.iter().find(|one| one.id == id).unwrap();
    let keys: Vec<&str> = added.fields.iter().map(|field| field.key.as_str()).collect();
    assert_eq!((added.title.as_str(), keys), ("用户收费通知", vec!["thing8", "amount6"]));
    let mut body = fee();
    body["template_id"] = json!(id);
    body["data"] = json!({"thing8": {"value": "物业费"}, "amount6": {"value": "128.50元"}});
    wx.accept(&[&id]);
    assert_eq!(code(&wx.send(&wx.token().await, &body).await), 0, "it can be sent");

    let add = async |tid: &str, kids: &[i64], scene: &str| {
        refused(client.add_template(&wx.base, &token, tid, kids, scene).await)
    };
    assert_eq!(add("2001", &[8, 6], "又一次").await, 200_022);
    assert_eq!(add("9999", &[8, 6], "场景").await, 200_014);
    for kids in [&[8][..], &[8, 8], &[8, 99], &[]] {
        assert_eq!(add("2001", kids, "场景").await, 200_020);
    }
    assert_eq!(add("2001", &[8, 5], "").await, 200_021);
    assert_eq!(add("2001", &[8, 5], "一二三四五六七八九十一二三四五六").await, 200_021);

    client.delete_template(&wx.base, &token, &id).await.unwrap();
    assert_eq!(refused(client.delete_template(&wx.base, &token, &id).await), 200_014);
    assert_eq!(code(&wx.send(&wx.token().await, &body).await), 40037);
    assert!(client.templates(&wx.base, &token).await.unwrap().iter().any(|one| one.id == FEE));
}

#[tokio::test]
async fn there_is_room_for_25() {
    let wx = start().await;
    let mut app = sample_app();
    let one = app.templates[0].clone();
    app.templates.extend((0..22).map(|number| {
        let mut more = one.clone();
        more.id = format!("more{number}");
        more
    }));
    wx.sim.put_app(SAMPLE_APPID, app).unwrap();
    let (client, token) = (client(), wx.token().await.into());
    client.add_template(&wx.base, &token, "2003", &[1, 2], "停水").await.unwrap();
    assert_eq!(refused(client.add_template(&wx.base, &token, "2003", &[2, 1], "停水").await), 200_012);
}

#[tokio::test]
async fn paging_and_methods() {
    let wx = start().await;
    let token = wx.token().await;
    for (query, expected) in [
        ("start=0&limit=30", 200_018),
        ("ids=7&start=0&limit=30", 200_019),
        ("ids=x&start=0&limit=30", 200_019),
        ("ids=616&limit=30", 200_016),
        ("ids=616&start=-1&limit=30", 200_016),
        ("ids=616&start=0&limit=31", 200_017),
        ("ids=616&start=0&limit=30", 0),
    ] {
        let path = format!("/wxaapi/newtmpl/getpubtemplatetitles?access_token={token}&{query}");
        assert_eq!(code(&wx.get(&path).await), expected, "{query}");
    }
    for (method, path, expected) in [
        (Method::POST, "/sns/jscode2session", 43001),
        (Method::GET, "/cgi-bin/openapi/quota/get", 43002),
        (Method::GET, "/cgi-bin/clear_quota/v2", 43002),
        (Method::GET, "/sns/userinfo", 40066),
    ] {
        let (_, _, body) = wx.raw(method, path, "").await;
        assert_eq!(code(&serde_json::from_slice(&body).unwrap()), expected, "{path}");
    }
}
