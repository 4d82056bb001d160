//! The send call: each errcode, in WeChat's order; what a good one leaves behind; the template list.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{FEE, REPAIR, code, fee, start};
use http::Method;
use serde_json::{Value, json};
use simulator::{
    SAMPLE_APPID, SAMPLE_OPENID,
    api::{Counters, Decision, NewUser, Records, SendView, SettingsChange, TemplateKind},
    sample_app,
};

fn with(pointer: &str, value: Value) -> Value {
    let mut body = fee();
    *body.pointer_mut(pointer).unwrap() = value;
    body
}

#[tokio::test]
async fn tokens_come_first() {
    let wx = start().await;
    let path = "/cgi-bin/message/subscribe/send";
    assert_eq!(code(&wx.post(path, &json!("nonsense")).await), 41001);
    assert_eq!(code(&wx.post(&format!("{path}?access_token="), &fee()).await), 41001);
    assert_eq!(code(&wx.post(&format!("{path}?access_token=x"), &json!("nonsense")).await), 40001);
    let (status, _, answer) = wx.raw(Method::GET, path, "").await;
    assert_eq!((status, code(&serde_json::from_slice(&answer).unwrap())), (200, 43002));
    let token = wx.token().await;
    wx.advance(7_200_000);
    assert_eq!(code(&wx.send(&token, &fee()).await), 42001);
}

#[tokio::test]
async fn every_refusal_in_its_order() {
    let wx = start().await;
    let token = wx.token().await;
    let path = format!("/cgi-bin/message/subscribe/send?access_token={token}");
    for (body, expected) in [
        ("", 44002),
        ("  ", 44002),
        ("{\"touser\"", 47001),
        ("[]", 47001),
        (r#"{"touser":"o","template_id":"t"}"#, 47001),
        (r#"{"touser":"o","template_id":"t","data":"{}"}"#, 47001),
        (r#"{"touser":"o","template_id":"t","data":[]}"#, 47001),
        (r#"{"touser":"o","template_id":"t","data":{"thing8":"x"}}"#, 47001),
        (r#"{"touser":"o","template_id":"t","data":{"thing8":["x"]}}"#, 47001),
        (r#"{"touser":"o","template_id":"t","data":{"thing8":{"value":5}}}"#, 47001),
        (r#"{"touser":"o","template_id":"t","data":{}}"#, 40003),
        (r#"{"template_id":"t","data":{}}"#, 40003),
    ] {
        let (_, _, answer) = wx.raw(Method::POST, &path, body).await;
        assert_eq!(code(&serde_json::from_slice(&answer).unwrap()), expected, "{body}");
    }
    for (body, expected) in [
        (with("/touser", json!("not an openid")), 40003),
        (with("/template_id", json!("none")), 40037),
        (with("/data", json!({})), 47003),
        (with("/page", json!("/pages/index")), 41030),
        (with("/page", json!("https://a.example/")), 41030),
        // Good, but nobody agreed.
        (fee(), 43101),
    ] {
        assert_eq!(code(&wx.send(&token, &body).await), expected, "{body}");
    }
}

#[tokio::test]
async fn a_wrong_field_is_named() {
    let wx = start().await;
    let token = wx.token().await;
    wx.accept(&[FEE]);
    let long = "一二三四五六七八九十一二三四五六七八九十一";
    for (body, expected) in [
        (with("/data/thing8/value", json!(long)), "argument invalid! data.thing8.value invalid"),
        (with("/data/thing5/value", json!("两\n行")), "argument invalid! data.thing5.value invalid"),
        (with("/data/thing5/value", json!("")), "argument invalid! data.thing5.value is empty"),
        (with("/data/thing5", json!({})), "argument invalid! data.thing5.value is empty"),
        (with("/data", json!({"thing5": {"value": "x"}})), "argument invalid! data.thing8.value is empty"),
    ] {
        let answer = wx.send(&token, &body).await;
        assert_eq!(code(&answer), 47003);
        assert!(answer["errmsg"].as_str().unwrap().starts_with(expected), "{answer}");
    }
    // What WeChat does not know it ignores.
    let mut extra = fee();
    extra["data"]["thing99"] = json!({"value": "x"});
    extra["data"]["thing8"]["color"] = json!("#173177");
    assert_eq!(code(&wx.send(&token, &extra).await), 0);
}

#[tokio::test]
async fn a_good_one_spends_a_grant_and_shows_a_card() {
    let wx = start().await;
    let token = wx.token().await;
    wx.accept(&[FEE, REPAIR]);
    wx.accept(&[FEE]);
    let mut last = 0;
    for left in [1, 0] {
        let answer = wx.send(&token, &fee()).await;
        assert_eq!((code(&answer), answer["errmsg"].as_str()), (0, Some("ok")));
        let msgid = answer["msgid"].as_u64().unwrap();
        assert!(msgid > 1 << 53 && msgid > last);
        last = msgid;
        assert_eq!(wx.left(FEE), left);
    }
    let refused = wx.send(&token, &fee()).await;
    assert_eq!(code(&refused), 43101);
    assert!(refused["errmsg"].as_str().unwrap().starts_with("user refuse to accept the msg rid: "));
    assert_eq!(wx.left(REPAIR), 1);

    let user = wx.sim.user(SAMPLE_APPID, SAMPLE_OPENID).unwrap();
    assert_eq!(user.cards.len(), 2);
    let card = &user.cards[0];
    assert_eq!((card.title.as_str(), card.msgid.clone()), ("用户收费通知", last.to_string()));
    assert_eq!(card.page, "pages/index?room=3-1201");
    let rows: Vec<_> = card.fields.iter().map(|field| (field.label.as_str(), field.value.as_str())).collect();
    assert_eq!(rows, [("服务内容", "物业费"), ("备注", "请及时缴纳")]);

    let path = format!("/_sim/apps/{SAMPLE_APPID}/records?kind=sends&limit=2");
    let records: Records<SendView> = wx.get(&path).await;
    assert_eq!(records.items.len(), 2);
    assert_eq!((records.items[0].errcode, records.items[0].msgid.clone()), (43101, None));
    assert_eq!(records.items[1].msgid, Some(last.to_string()));
    assert_eq!(records.items[1].data["thing8"]["value"], "物业费");
    let counters: Counters = wx.get(&format!("/_sim/apps/{SAMPLE_APPID}/counters")).await;
    assert_eq!((counters.sends["0"], counters.sends["43101"], counters.send_calls), (2, 1, 3));
    assert_eq!((counters.grants_added, counters.grants_spent), (3, 2));
}

#[tokio::test]
async fn refused_in_the_settings_or_all_switched_off() {
    let wx = start().await;
    let token = wx.token().await;
    let change = |main_switch: Option<bool>, decision: Option<Decision>| {
        let templates = decision.map(|decision| (FEE.to_owned(), decision)).into_iter().collect();
        wx.sim
            .change_settings(SAMPLE_APPID, SAMPLE_OPENID, &SettingsChange { main_switch, templates })
            .unwrap();
    };
    wx.accept(&[FEE]);
    wx.accept(&[FEE]);
    change(Some(false), None);
    assert_eq!(code(&wx.send(&token, &fee()).await), 43101);
    change(Some(true), None);
    assert_eq!(code(&wx.send(&token, &fee()).await), 0);
    change(None, Some(Decision::Reject));
    assert_eq!((code(&wx.send(&token, &fee()).await), wx.left(FEE)), (43101, 0));
    change(None, Some(Decision::Accept));
    assert_eq!(code(&wx.send(&token, &fee()).await), 43101);
    wx.accept(&[FEE]);
    // A reject in the popup takes nothing.
    wx.decide(&[FEE], Decision::Reject);
    assert_eq!(code(&wx.send(&token, &fee()).await), 0);
}

#[tokio::test]
async fn long_term_templates_spend_nothing() {
    let wx = start().await;
    let mut app = sample_app();
    app.templates[0].kind = TemplateKind::LongTerm;
    app.answer_msgid = false;
    wx.sim.put_app(SAMPLE_APPID, app).unwrap();
    let token = wx.token().await;
    assert_eq!(code(&wx.send(&token, &fee()).await), 43101);
    wx.accept(&[FEE]);
    for _ in 0..3 {
        let answer = wx.send(&token, &fee()).await;
        assert_eq!((code(&answer), answer.get("msgid")), (0, None));
    }
    wx.decide(&[FEE], Decision::Reject);
    assert_eq!(code(&wx.send(&token, &fee()).await), 43101);
}

#[tokio::test]
async fn one_at_a_time_for_one_person() {
    let wx = start().await;
    let mut app = sample_app();
    app.latency_ms = 250;
    wx.sim.put_app(SAMPLE_APPID, app).unwrap();
    let other = wx.sim.add_user(SAMPLE_APPID, &NewUser::default()).unwrap();
    let token = wx.token().await;
    wx.accept(&[FEE]);
    wx.accept(&[FEE]);
    let (mine, theirs) = (fee(), with("/touser", json!(other)));
    let (first, late, else_where) = tokio::join!(
        wx.send(&token, &mine),
        async {
            tokio::time::sleep(std::time::Duration::from_millis(80)).await;
            wx.send(&token, &fee()).await
        },
        wx.send(&token, &theirs)
    );
    assert_eq!(code(&first), 0);
    assert_eq!(code(&late), 43108);
    assert_eq!(code(&else_where), 43101);
    assert_eq!(code(&wx.send(&token, &fee()).await), 0, "free again");
}

#[tokio::test]
async fn the_daily_quota() {
    let wx = start().await;
    let mut app = sample_app();
    app.daily_quota = Some(2);
    wx.sim.put_app(SAMPLE_APPID, app).unwrap();
    let token = wx.token().await;
    for expected in [43101, 43101, 45009] {
        assert_eq!(code(&wx.send(&token, &fee()).await), expected);
    }
    assert_eq!(wx.sim.counters(SAMPLE_APPID).unwrap().quota_used_today, 2);
    wx.advance(12 * 3_600_000);
    assert_eq!(code(&wx.send(&wx.token().await, &fee()).await), 43101);
}

#[tokio::test]
async fn the_template_list() {
    let wx = start().await;
    let mut app = sample_app();
    app.templates[1].enums = [("enum_string2".to_owned(), vec!["快".to_owned(), "慢".to_owned()])].into();
    app.templates[1].kind = TemplateKind::LongTerm;
    wx.sim.put_app(SAMPLE_APPID, app).unwrap();
    let list: Value = wx.get(&format!("/wxaapi/newtmpl/gettemplate?access_token={}", wx.token().await)).await;
    assert_eq!(list["data"][0]["priTmplId"], FEE);
    assert_eq!(list["data"][0]["type"], 2);
    assert_eq!(list["data"][0]["content"], "服务内容:{{thing8.DATA}}\n备注:{{thing5.DATA}}\n");
    assert!(list["data"][0].get("keywordEnumValueList").is_none());
    assert_eq!(list["data"][1]["type"], 3);
    assert_eq!(
        list["data"][1]["keywordEnumValueList"],
        json!([{"keywordCode": "enum_string2.DATA", "enumValueList": ["快", "慢"]}])
    );
    assert_eq!(code(&wx.get("/wxaapi/newtmpl/gettemplate").await), 41001);
    assert_eq!(code(&wx.get("/cgi-bin/nothing").await), 40066);
}
