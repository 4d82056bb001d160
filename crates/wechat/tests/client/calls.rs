//! Every call but `send`.

use std::time::Duration;

use secrecy::ExposeSecret;
use wechat::client::{CallError, CheckAction, CheckOperator, TokenGrant};
use wechat::template::{FieldKind, TemplateType};

use super::server::{Act, Server, http, ok};
use super::{TOKEN, client, impatient, token};

const SECRET: &str = "SECRET-that-nobody-sees";

async fn grant(act: Act) -> (Result<TokenGrant, CallError>, Vec<String>) {
    let server = Server::start(act.clone()).await;
    let client = if matches!(act, Act::Hang) { impatient() } else { client() };
    let result = client.stable_token(&server.base, "wx1", &SECRET.into(), false).await;
    let shown = format!("{result:?}");
    assert!(!shown.contains(SECRET) && !shown.contains(TOKEN), "{shown}");
    (result, server.seen())
}

#[tokio::test]
async fn a_token_is_granted() {
    for seconds in ["345", "\"345\""] {
        let body = format!(r#"{{"access_token":"{TOKEN}","expires_in":{seconds}}}"#);
        let (result, seen) = grant(Act::Write(ok(&body))).await;
        let granted = result.unwrap();
        assert_eq!(granted.token.expose_secret(), TOKEN);
        assert_eq!(granted.expires_in, Duration::from_secs(345));
        assert!(seen[0].starts_with("POST /cgi-bin/stable_token HTTP/1.1"), "{}", seen[0]);
        assert!(seen[0].ends_with(
            r#"{"grant_type":"client_credential","appid":"wx1","secret":"SECRET-that-nobody-sees","force_refresh":false}"#
        ));
    }
    let server = Server::start(Act::Write(ok(r#"{"access_token":"x","expires_in":7200}"#))).await;
    client().stable_token(&server.base, "wx1", &SECRET.into(), true).await.unwrap();
    assert!(server.seen()[0].contains(r#""force_refresh":true"#));
}

#[tokio::test]
async fn a_token_of_the_older_call_is_granted() {
    let server =
        Server::start(Act::Write(ok(&format!(r#"{{"access_token":"{TOKEN}","expires_in":7200}}"#)))).await;
    let granted = client().token(&server.base, "wx1", &"a&b".into()).await.unwrap();
    assert_eq!((granted.token.expose_secret(), granted.expires_in), (TOKEN, Duration::from_secs(7200)));
    let line = "GET /cgi-bin/token?grant_type=client_credential&appid=wx1&secret=a%26b HTTP/1.1";
    assert!(server.seen()[0].starts_with(line), "{}", server.seen()[0]);
    let refused = format!(r#"{{"errcode":"40013","errmsg":"invalid appid {SECRET}"}}"#);
    let server = Server::start(Act::Write(ok(&refused))).await;
    let error = client().token(&server.base, "wx1", &SECRET.into()).await.unwrap_err();
    assert_eq!(error, CallError::WeChat { errcode: 40013, errmsg: "invalid appid [redacted]".into() });
}

#[tokio::test]
async fn quotas_are_set_back_by_token_and_by_secret() {
    let server = Server::start(Act::Write(ok(r#"{"errcode":0,"errmsg":"ok"}"#))).await;
    client().clear_quota(&server.base, &token(), "wx1").await.unwrap();
    client().clear_quota_by_secret(&server.base, "wx1", &SECRET.into()).await.unwrap();
    let seen = server.seen();
    assert!(seen[0].starts_with(&format!("POST /cgi-bin/clear_quota?access_token={TOKEN} ")), "{}", seen[0]);
    assert!(seen[0].ends_with(r#"{"appid":"wx1"}"#), "{}", seen[0]);
    let line = format!("POST /cgi-bin/clear_quota/v2?appid=wx1&appsecret={SECRET} ");
    assert!(seen[1].starts_with(&line), "{}", seen[1]);
    assert!(seen[1].ends_with(&format!(r#"{{"appid":"wx1","appsecret":"{SECRET}"}}"#)), "{}", seen[1]);
    let body = format!(
        r#"{{"errcode":48006,"errmsg":"forbid to clear quota because of reaching the limit {SECRET}"}}"#
    );
    let server = Server::start(Act::Write(ok(&body))).await;
    let error = client().clear_quota_by_secret(&server.base, "wx1", &SECRET.into()).await.unwrap_err();
    assert!(
        matches!(&error, CallError::WeChat { errcode: 48006, errmsg } if errmsg.ends_with("[redacted]")),
        "{error}"
    );
}

#[tokio::test]
async fn a_call_may_have_its_own_time() {
    // The client would wait five seconds, this call does not.
    let server = Server::start(Act::Hang).await;
    let hurried = client().with_call_timeout(Duration::from_millis(50));
    let error = hurried.callback_ips(&server.base, &token()).await.unwrap_err();
    assert!(matches!(&error, CallError::Unreachable(why) if why.contains("in time")), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_template_or_user_without_an_id_is_none() {
    let list = r#"{"data":[{"priTmplId":null,"title":"x"},{"priTmplId":""},{"title":"y"},{"priTmplId":7}]}"#;
    let server = Server::start(Act::Write(ok(list))).await;
    let ids = client().templates(&server.base, &token()).await.unwrap();
    assert_eq!(ids.iter().map(|one| &*one.id).collect::<Vec<_>>(), ["7"]);
    for body in ["{\"errcode\":0}", "{\"priTmplId\":null,\"openid\":\"\"}"] {
        let server = Server::start(Act::Write(ok(body))).await;
        assert_eq!(
            client().add_template(&server.base, &token(), "1", &[1], "x").await,
            Err(CallError::Malformed)
        );
        assert_eq!(client().login(&server.base, "wx1", &SECRET.into(), "c").await, Err(CallError::Malformed));
    }
}

#[tokio::test]
async fn every_failure_of_a_call_is_told() {
    let refused = format!(r#"{{"errcode":40125,"errmsg":"invalid appsecret {SECRET} rid: 1-2-3"}}"#);
    let error =
        CallError::WeChat { errcode: 40125, errmsg: "invalid appsecret [redacted] rid: 1-2-3".into() };
    assert_eq!(grant(Act::Write(ok(&refused))).await.0.unwrap_err(), error);
    for body in [
        "<html>",
        "{}",
        "[]",
        r#"{"access_token":""}"#,
        r#"{"access_token":"","expires_in":7200}"#,
        r#"{"access_token":"x"}"#,
        r#"{"access_token":"x","expires_in":"soon"}"#,
    ] {
        assert_eq!(grant(Act::Write(ok(body))).await.0.unwrap_err(), CallError::Malformed, "{body}");
    }
    let (result, seen) = grant(Act::Write(http("502 Bad Gateway", "{}"))).await;
    assert_eq!((result.unwrap_err(), seen.len()), (CallError::Http(502), 1));
    for act in [Act::Hang, Act::WriteAndClose(Vec::new())] {
        let (result, seen) = grant(act).await;
        assert!(matches!(result, Err(CallError::Unreachable(_))), "{result:?}");
        assert_eq!(seen.len(), 1);
    }
    let nowhere = client().stable_token("nowhere", "wx1", &SECRET.into(), false).await;
    assert!(matches!(nowhere, Err(CallError::Unreachable(_))), "{nowhere:?}");
}

#[tokio::test]
async fn a_time_that_is_over_is_zero() {
    let (result, _) = grant(Act::Write(ok(r#"{"access_token":"x","expires_in":-5}"#))).await;
    assert_eq!(result.unwrap().expires_in, Duration::ZERO);
}

#[tokio::test]
async fn templates_are_listed() {
    let body = r#"{"errcode":0,"errmsg":"ok","data":[
        {"priTmplId":"T1","title":"收费通知","content":"服务内容:{{thing8.DATA}}\n备注:{{thing5.DATA}}\n","example":"服务内容:物业费\n备注:请缴纳\n","type":2},
        {"priTmplId":"T2","title":"进度","content":"状态:{{enum_string2.DATA}}","type":"3","more":1,
         "keywordEnumValueList":[{"keywordCode":"enum_string2.DATA","enumValueList":["进行中","已完成"]}]},
        {"priTmplId":"T3"}]}"#;
    let server = Server::start(Act::Write(ok(body))).await;
    let list = client().templates(&server.base, &token()).await.unwrap();
    assert!(server.seen()[0].starts_with(&format!("GET /wxaapi/newtmpl/gettemplate?access_token={TOKEN} ")));
    assert_eq!(list.len(), 3);
    assert_eq!((&*list[0].id, &*list[0].title, list[0].kind), ("T1", "收费通知", TemplateType::OneTime));
    assert_eq!((&*list[0].fields[1].key, &*list[0].fields[1].example), ("thing5", "请缴纳"));
    assert_eq!(list[1].kind, TemplateType::LongTerm);
    assert_eq!(list[1].fields[0].kind, FieldKind::Enum);
    assert_eq!(list[1].fields[0].enum_values, ["进行中", "已完成"]);
    assert_eq!(list[2].fields, []);
    let none = Server::start(Act::Write(ok(r#"{"errcode":0,"errmsg":"ok"}"#))).await;
    assert_eq!(client().templates(&none.base, &token()).await.unwrap(), []);
}

#[tokio::test]
async fn a_long_template_list_is_read_to_its_bound() {
    let list = |count: usize| {
        let item = format!(r#"{{"priTmplId":"T","content":"{}"}}"#, "x".repeat(1024));
        format!(r#"{{"data":[{}]}}"#, vec![item; count].join(","))
    };
    let server = Server::start(Act::Write(ok(&list(3_500)))).await;
    assert_eq!(client().templates(&server.base, &token()).await.unwrap().len(), 3_500);
    let server = Server::start(Act::Write(ok(&list(4_100)))).await;
    assert_eq!(client().templates(&server.base, &token()).await, Err(CallError::Malformed));
}

#[tokio::test]
async fn templates_are_added_and_deleted() {
    let server = Server::start(Act::Write(ok(r#"{"errcode":0,"priTmplId":"NEW"}"#))).await;
    let id = client().add_template(&server.base, &token(), "99", &[2, 1], "收费").await.unwrap();
    assert_eq!(id, "NEW");
    assert!(server.seen()[0].ends_with(r#"{"tid":"99","kidList":[2,1],"sceneDesc":"收费"}"#));
    client().delete_template(&server.base, &token(), "OLD").await.unwrap();
    assert!(server.seen()[1].ends_with(r#"{"priTmplId":"OLD"}"#));
    let full = Server::start(Act::Write(ok(r#"{"errcode":200012,"errmsg":"full"}"#))).await;
    let error = client().add_template(&full.base, &token(), "99", &[1], "x").await.unwrap_err();
    assert_eq!(error, CallError::WeChat { errcode: 200_012, errmsg: "full".into() });
}

#[tokio::test]
async fn the_library_is_read() {
    let server = Server::start(Act::Write(ok(r#"{"data":[{"id":"616","name":"物业"}]}"#))).await;
    let categories = client().categories(&server.base, &token()).await.unwrap();
    assert_eq!((categories[0].id, &*categories[0].name), (616, "物业"));

    let body = r#"{"count":55,"data":[{"tid":99,"title":"收费通知","type":2,"categoryId":"616"}]}"#;
    let server = Server::start(Act::Write(ok(body))).await;
    let page = client().library_titles(&server.base, &token(), &[2, 616], 30, 100).await.unwrap();
    assert_eq!((page.count, page.titles[0].tid, &*page.titles[0].category_id), (55, 99, "616"));
    assert!(server.seen()[0].contains("&ids=2%2C616&start=30&limit=30 "), "{}", server.seen()[0]);

    let body = r#"{"data":[{"kid":1,"name":"服务内容","example":"物业费","rule":"thing"}]}"#;
    let server = Server::start(Act::Write(ok(body))).await;
    let keywords = client().library_keywords(&server.base, &token(), "99").await.unwrap();
    assert_eq!((keywords[0].kid, &*keywords[0].rule), (1, "thing"));
    assert!(server.seen()[0].contains("&tid=99 "));
}

#[tokio::test]
async fn a_login_gives_no_session_key() {
    let body = r#"{"openid":"oG","session_key":"KEY-that-nobody-sees","unionid":"u1"}"#;
    let server = Server::start(Act::Write(ok(body))).await;
    let login = client().login(&server.base, "wx1", &SECRET.into(), "c&d").await.unwrap();
    assert_eq!((&*login.openid, login.unionid.as_deref()), ("oG", Some("u1")));
    assert!(!format!("{login:?}").contains("KEY"));
    assert!(server.seen()[0].contains("js_code=c%26d&grant_type=authorization_code"));
    let body = format!(r#"{{"errcode":40029,"errmsg":"invalid code c&d {SECRET}"}}"#);
    let server = Server::start(Act::Write(ok(&body))).await;
    let error = client().login(&server.base, "wx1", &SECRET.into(), "c&d").await.unwrap_err();
    assert_eq!(
        error,
        CallError::WeChat { errcode: 40029, errmsg: "invalid code [redacted] [redacted]".into() }
    );
}

#[tokio::test]
async fn quotas_and_diagnostics_are_read() {
    let body = r#"{"errcode":0,"quota":{"daily_limit":10000000,"used":12400,"remain":9987600},"rate_limit":{"call_count":600,"refresh_second":60}}"#;
    let server = Server::start(Act::Write(ok(body))).await;
    let quota = client().quota(&server.base, &token(), "/cgi-bin/message/subscribe/send").await.unwrap();
    assert_eq!((quota.daily_limit, quota.used, quota.remain), (10_000_000, 12_400, 9_987_600));
    assert_eq!(quota.rate_limit.map(|rate| (rate.call_count, rate.refresh_second)), Some((600, 60)));
    assert!(server.seen()[0].ends_with(r#"{"cgi_path":"/cgi-bin/message/subscribe/send"}"#));

    let body = format!(
        r#"{{"errcode":0,"request":{{"invoke_time":1635156704,"cost_in_ms":30,"request_url":"access_token={TOKEN}&x=1","request_body":"{{}}","response_body":"{{}}","client_ip":"1.2.3.4"}}}}"#
    );
    let server = Server::start(Act::Write(ok(&body))).await;
    let record = client().rid_record(&server.base, &token(), "1-2-3").await.unwrap();
    assert_eq!(record.request_url, "access_token=[redacted]&x=1");
    assert_eq!((record.invoke_time, &*record.client_ip), (1_635_156_704, "1.2.3.4"));

    let body = r#"{"dns":[{"ip":"1.2.3.4","real_operator":"UNICOM"}],"ping":[{"ip":"1.2.3.4","from_operator":"CAP","package_loss":"0%","time":"23ms"}]}"#;
    let server = Server::start(Act::Write(ok(body))).await;
    let check = client()
        .callback_check(&server.base, &token(), CheckAction::Dns, CheckOperator::Unicom)
        .await
        .unwrap();
    assert_eq!((&*check.dns[0].real_operator, &*check.ping[0].package_loss), ("UNICOM", "0%"));
    assert!(
        server.seen()[0].ends_with(r#"{"action":"dns","check_operator":"UNICOM"}"#),
        "{}",
        server.seen()[0]
    );

    let server = Server::start(Act::Write(ok(r#"{"ip_list":["1.2.3.0/24"]}"#))).await;
    assert_eq!(client().callback_ips(&server.base, &token()).await.unwrap(), ["1.2.3.0/24"]);
    assert_eq!(client().api_ips(&server.base, &token()).await.unwrap(), ["1.2.3.0/24"]);
    assert!(server.seen()[0].starts_with("GET /cgi-bin/getcallbackip?access_token="));
    assert!(server.seen()[1].starts_with("GET /cgi-bin/get_api_domain_ip?access_token="));
}
