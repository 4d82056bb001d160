//! Faults of WeChat's calls, as a caller sees them on the wire, and what is written down of them.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::time::Duration;

use common::{FEE, Wx, code, fee, start};
use http::Method;
use serde_json::{Value, json};
use simulator::{
    SAMPLE_APPID, SAMPLE_OPENID,
    api::{Accepted, FaultEntry, FaultScript, FaultsView, NewUser, Records, Seed, SendView},
    sample_app,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

fn script(wx: &Wx, rules: &Value) {
    let script: FaultScript = serde_json::from_value(json!({"seed": 1, "rules": rules})).unwrap();
    wx.sim.set_faults(SAMPLE_APPID, script).unwrap();
}

fn grant(wx: &Wx, count: u32) {
    let openids = vec![SAMPLE_OPENID.to_owned()];
    wx.sim.seed(SAMPLE_APPID, &Seed { openids, grants: [(FEE.to_owned(), count)].into() }).unwrap();
}

/// What stands on the wire until the simulator closes, or until `patience` is over: the bytes, and whether it
/// closed.
async fn wire(wx: &Wx, request: &[u8], patience: Duration) -> (String, bool) {
    let mut stream = TcpStream::connect(wx.base.trim_start_matches("http://")).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut got = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match tokio::time::timeout(patience, stream.read(&mut buffer)).await {
            Err(_) => return (String::from_utf8(got).unwrap(), false),
            // A reset is a close, too.
            Ok(Ok(0) | Err(_)) => return (String::from_utf8(got).unwrap(), true),
            Ok(Ok(read)) => got.extend_from_slice(&buffer[..read]),
        }
    }
}

fn request(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

async fn send_raw(wx: &Wx, token: &str) -> (String, bool) {
    let path = format!("/cgi-bin/message/subscribe/send?access_token={token}");
    wire(wx, &request(&path, &fee().to_string()), Duration::from_millis(400)).await
}

fn counters(wx: &Wx) -> (u64, u64, u64) {
    let counters = wx.sim.counters(SAMPLE_APPID).unwrap();
    (counters.ambiguous, counters.ambiguous_with_effect, counters.sends.get("0").copied().unwrap_or(0))
}

#[tokio::test]
async fn cut_before_the_body_is_read() {
    let wx = start().await;
    let token = wx.token().await;
    grant(&wx, 1);
    script(&wx, &json!([{"on": "send", "fault": "cut_before_body"}]));
    // The body is announced and never comes: whoever waited for it would wait still.
    let head = format!(
        "POST /cgi-bin/message/subscribe/send?access_token={token} HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\n"
    );
    assert_eq!(wire(&wx, head.as_bytes(), Duration::from_secs(5)).await, (String::new(), true));
    assert_eq!(send_raw(&wx, &token).await, (String::new(), true));
    assert_eq!((wx.left(FEE), counters(&wx)), (1, (2, 0, 0)));
}

#[tokio::test]
async fn cut_after_the_body_is_read() {
    let wx = start().await;
    let token = wx.token().await;
    grant(&wx, 2);
    script(
        &wx,
        &json!([{"on": "send", "fault": "cut_after_body", "next": 1},
        {"on": "send", "fault": "cut_after_body", "effect": false, "delay_ms": 30}]),
    );
    assert_eq!(send_raw(&wx, &token).await, (String::new(), true));
    assert_eq!((wx.left(FEE), counters(&wx)), (1, (1, 1, 1)));
    assert_eq!(send_raw(&wx, &token).await, (String::new(), true));
    assert_eq!((wx.left(FEE), counters(&wx)), (1, (2, 1, 1)));
    let log = wx.sim.fault_log(SAMPLE_APPID, 10).unwrap();
    assert_eq!(log.len(), 2);
    assert_eq!((log[0].rule, log[0].effect, log[0].msgid.as_deref()), (1, Some(false), None));
    let sent = &wx.sim.sends(SAMPLE_APPID, None, 10).unwrap()[0];
    assert_eq!((log[1].effect, log[1].msgid.clone()), (Some(true), sent.msgid.clone()));
    assert_eq!(log[1].openid.as_deref(), Some(SAMPLE_OPENID));
    assert_eq!(log[1].template_id.as_deref(), Some(FEE));
    assert_eq!(sent.fault.unwrap().name(), "cut_after_body");
}

#[tokio::test]
async fn half_a_body_in_both_ways() {
    let wx = start().await;
    let token = wx.token().await;
    grant(&wx, 2);
    script(
        &wx,
        &json!([{"on": "send", "fault": "half_body", "next": 1}, {"on": "send", "fault": "half_body", "chunked": true}]),
    );
    let (text, closed) = send_raw(&wx, &token).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length: usize = head
        .to_ascii_lowercase()
        .split("content-length: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(closed && head.starts_with("HTTP/1.1 200"), "{text}");
    assert!(body.starts_with(r#"{"errcode":0"#) && body.len() == length / 2, "{text}");
    let (text, closed) = send_raw(&wx, &token).await;
    assert!(closed && text.to_ascii_lowercase().contains("transfer-encoding: chunked"), "{text}");
    assert!(text.contains(r#"{"errcode":0"#) && !text.ends_with("0\r\n\r\n"), "{text}");
    assert_eq!((wx.left(FEE), counters(&wx)), (0, (2, 2, 2)));
}

#[tokio::test]
async fn pages_statuses_and_codes() {
    let wx = start().await;
    let token = wx.token().await;
    grant(&wx, 3);
    let path = format!("/cgi-bin/message/subscribe/send?access_token={token}");
    let answer = async |rule: Value| {
        script(&wx, &json!([rule]));
        let (status, headers, body) = wx.raw(Method::POST, &path, fee().to_string()).await;
        let kind = headers["content-type"].to_str().unwrap().to_owned();
        (status, kind, String::from_utf8(body.to_vec()).unwrap())
    };
    let (status, kind, body) = answer(json!({"on": "send", "fault": "html"})).await;
    assert_eq!((status, kind.as_str(), body.contains("<html>")), (200, "text/html", true));
    let (status, _, body) =
        answer(json!({"on": "send", "fault": "html", "status": 502, "effect": true})).await;
    assert_eq!((status, body.contains("502 Bad Gateway"), wx.left(FEE)), (502, true, 2));
    let (status, kind, _) = answer(json!({"on": "send", "fault": "http_status"})).await;
    assert_eq!((status, kind.as_str(), wx.left(FEE)), (503, "text/plain", 2));
    let said = |body: &str| code(&serde_json::from_str(body).unwrap());
    let (_, _, body) = answer(json!({"on": "send", "fault": "errcode"})).await;
    assert_eq!((said(&body), wx.left(FEE)), (-1, 2));
    let (_, _, body) = answer(json!({"on": "send", "fault": "errcode", "effect": true})).await;
    assert_eq!((said(&body), wx.left(FEE)), (-1, 1));
    let (_, _, body) =
        answer(json!({"on": "send", "fault": "errcode", "errcode": 45009, "errmsg": "full"})).await;
    assert_eq!((said(&body), body.contains("full rid: "), wx.left(FEE)), (45009, true, 1));
    // The last is clear: refused, and nothing sent.
    assert_eq!(counters(&wx), (5, 2, 2));
    let counters = wx.sim.counters(SAMPLE_APPID).unwrap();
    assert_eq!((counters.sends["-1"], counters.sends["45009"]), (1, 1));
    assert_eq!(
        (counters.faults["html"], counters.faults["errcode"], counters.faults["http_status"]),
        (2, 3, 1)
    );
}

#[tokio::test]
async fn an_answer_that_never_comes_or_comes_late() {
    let wx = start().await;
    let token = wx.token().await;
    grant(&wx, 3);
    script(
        &wx,
        &json!([{"on": "send", "fault": "hang", "next": 1}, {"on": "send", "fault": "hang", "delay_ms": 150, "next": 1},
        {"on": "send", "fault": "latency", "delay_ms": 60000}]),
    );
    assert_eq!(send_raw(&wx, &token).await, (String::new(), false));
    assert_eq!((wx.left(FEE), counters(&wx)), (2, (1, 1, 1)));
    let (text, _) = send_raw(&wx, &token).await;
    assert!(text.contains(r#"{"errcode":0"#), "{text}");
    assert_eq!(counters(&wx), (1, 1, 2), "an answer came: nothing is unsure");
    // Merely slow, but the caller goes away: from then on it cannot know.
    assert_eq!(send_raw(&wx, &token).await, (String::new(), false));
    let mut looks = 0;
    while counters(&wx).0 < 2 {
        looks += 1;
        assert!(looks < 200, "the hang-up was not noticed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(counters(&wx), (2, 2, 3));
    let newest = &wx.sim.fault_log(SAMPLE_APPID, 1).unwrap()[0];
    assert!(newest.hung_up && newest.effect == Some(true) && newest.fault.name() == "latency");
    // Of the hang no second entry: it was unsure from the start.
    assert_eq!(wx.sim.counters(SAMPLE_APPID).unwrap().faults["hang"], 2);
}

#[tokio::test]
async fn a_hang_does_not_hold_up_the_end() {
    let wx = start().await;
    let token = wx.token().await;
    grant(&wx, 1);
    script(&wx, &json!([{"on": "send", "fault": "hang"}]));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(simulator::serve(listener, wx.sim.clone(), async move { drop(stopped.await) }));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let path = format!("/cgi-bin/message/subscribe/send?access_token={token}");
    stream.write_all(&request(&path, &fee().to_string())).await.unwrap();
    while counters(&wx).0 == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap().unwrap();
    let mut rest = String::new();
    assert_eq!(stream.read_to_string(&mut rest).await.unwrap_or(0), 0, "{rest}");
}

#[tokio::test]
async fn a_caller_that_leaves_a_slow_call_is_counted_apart() {
    let wx = start().await;
    let token = wx.token().await;
    grant(&wx, 1);
    let mut app = sample_app();
    app.latency_ms = 60_000;
    wx.sim.put_app(SAMPLE_APPID, app).unwrap();
    assert_eq!(send_raw(&wx, &token).await, (String::new(), false));
    for _ in 0..6_000 {
        if wx.sim.counters(SAMPLE_APPID).unwrap().hung_up == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(wx.sim.counters(SAMPLE_APPID).unwrap().hung_up, 1);
    assert_eq!(counters(&wx), (0, 0, 1));
}

#[tokio::test]
async fn answers_in_other_shapes() {
    let wx = start().await;
    let mut app = sample_app();
    app.answer_msgid = false;
    wx.sim.put_app(SAMPLE_APPID, app.clone()).unwrap();
    let token = wx.token().await;
    grant(&wx, 4);
    script(
        &wx,
        &json!([{"on": "send", "fault": "msgid_present", "next": 1}, {"on": "send", "fault": "msgid_text", "next": 1}]),
    );
    assert!(wx.send(&token, &fee()).await["msgid"].as_u64().unwrap() > 1 << 53);
    assert!(wx.send(&token, &fee()).await["msgid"].is_string());
    app.answer_msgid = true;
    wx.sim.put_app(SAMPLE_APPID, app).unwrap();
    script(
        &wx,
        &json!([{"on": "send", "fault": "msgid_absent", "next": 1}, {"on": "any_call", "fault": "errcode_absent"}]),
    );
    assert_eq!(wx.send(&token, &fee()).await, json!({"errcode": 0, "errmsg": "ok"}));
    let answer = wx.send(&token, &fee()).await;
    assert!(answer.get("errcode").is_none() && answer["msgid"].is_u64(), "{answer}");
    assert_eq!(code(&wx.send(&token, &fee()).await), 43101, "an error keeps its code");
    let list: Value = wx.get(&format!("/wxaapi/newtmpl/gettemplate?access_token={token}")).await;
    assert!(list.get("errcode").is_none() && list["data"].is_array(), "{list}");
}

#[tokio::test]
async fn token_calls_fail_too() {
    let wx = start().await;
    script(
        &wx,
        &json!([{"on": "stable_token", "fault": "errcode", "errcode": 40164, "next": 1},
        {"on": "tokens", "fault": "errcode", "errcode": 40125, "next": 1}, {"on": "stable_token", "fault": "html", "next": 1}]),
    );
    let answer = wx.stable_token(false).await;
    assert_eq!(code(&answer), 40164);
    assert!(answer["errmsg"].as_str().unwrap().starts_with("invalid ip "), "{answer}");
    assert_eq!(code(&wx.stable_token(false).await), 40125);
    let body =
        json!({"grant_type": "client_credential", "appid": SAMPLE_APPID, "secret": sample_app().secret});
    let (_, headers, _) = wx.raw(Method::POST, "/cgi-bin/stable_token", body.to_string()).await;
    assert_eq!(headers["content-type"], "text/html");
    assert_eq!(wx.sim.counters(SAMPLE_APPID).unwrap().tokens_issued, 0);
    script(
        &wx,
        &json!([{"on": "stable_token", "fault": "cut_after_body", "next": 1}, {"on": "token", "fault": "hang"}]),
    );
    let raw = request("/cgi-bin/stable_token", &body.to_string());
    assert_eq!(wire(&wx, &raw, Duration::from_secs(5)).await, (String::new(), true));
    assert_eq!(wx.sim.counters(SAMPLE_APPID).unwrap().tokens_issued, 1);
    let get = format!(
        "GET /cgi-bin/token?grant_type=client_credential&appid={SAMPLE_APPID}&secret={} HTTP/1.1\r\nhost: x\r\n\r\n",
        sample_app().secret
    );
    assert_eq!(wire(&wx, get.as_bytes(), Duration::from_millis(200)).await, (String::new(), false));
    // Those are no sends: what bounds the unknown ones does not count them.
    assert_eq!(counters(&wx), (0, 0, 0));
}

#[tokio::test]
async fn tokens_revoked_in_the_middle_of_a_run() {
    let wx = start().await;
    let token = wx.token().await;
    grant(&wx, 3);
    script(&wx, &json!([{"on": "send", "fault": "revoke_tokens", "from": 2, "to": 2}]));
    assert_eq!(code(&wx.send(&token, &fee()).await), 0);
    assert_eq!(code(&wx.send(&token, &fee()).await), 40001);
    assert_eq!(code(&wx.send(&token, &fee()).await), 40001);
    assert_eq!(code(&wx.send(&wx.token().await, &fee()).await), 0);
    assert_eq!(counters(&wx), (0, 0, 2));
}

#[tokio::test]
async fn only_some_people_and_templates() {
    let wx = start().await;
    let other = wx.sim.add_user(SAMPLE_APPID, &NewUser::default()).unwrap();
    let token = wx.token().await;
    grant(&wx, 2);
    script(
        &wx,
        &json!([{"on": "send", "openid": other, "fault": "errcode"},
        {"on": "send", "template_id": "another", "fault": "errcode"}]),
    );
    assert_eq!(code(&wx.send(&token, &fee()).await), 0);
    let mut theirs = fee();
    theirs["touser"] = json!(other);
    assert_eq!(code(&wx.send(&token, &theirs).await), -1);
    let mut another = fee();
    another["template_id"] = json!("another");
    assert_eq!(code(&wx.send(&token, &another).await), -1);
    assert_eq!(wx.left(FEE), 1);
}

#[tokio::test]
async fn the_same_seed_strikes_the_same_calls() {
    let run = async |seed: u64| {
        let wx = start().await;
        let token = wx.token().await;
        let rules = json!({"seed": seed, "rules": [{"on": "send", "fault": "errcode", "probability": 0.3}]});
        wx.sim.set_faults(SAMPLE_APPID, serde_json::from_value(rules).unwrap()).unwrap();
        let mut codes = Vec::new();
        for _ in 0..60 {
            codes.push(code(&wx.send(&token, &fee()).await));
        }
        codes
    };
    let (first, again, other) = (run(5).await, run(5).await, run(6).await);
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert!(first.contains(&-1) && first.contains(&43101));
}

#[tokio::test]
async fn set_shown_logged_and_cleared_over_http() {
    let wx = start().await;
    let path = format!("/_sim/apps/{SAMPLE_APPID}/faults");
    let rules = json!({"rules": [{"on": "send", "fault": "html", "every": 2}]});
    let (status, _, _) = wx.raw(Method::PUT, &path, rules.to_string()).await;
    assert_eq!(status, 200);
    let token = wx.token().await;
    assert_eq!(code(&wx.send(&token, &fee()).await), 43101);
    let (_, headers, _) = wx
        .raw(
            Method::POST,
            &format!("/cgi-bin/message/subscribe/send?access_token={token}"),
            fee().to_string(),
        )
        .await;
    assert_eq!(headers["content-type"], "text/html");
    let view: FaultsView = wx.get(&path).await;
    assert_eq!((view.states[0].seen, view.states[0].fired, view.seed > 0), (2, 1, true));
    assert_eq!(serde_json::to_value(&view.rules).unwrap(), rules["rules"]);
    let log: Records<FaultEntry> = wx.get(&format!("{path}/log?limit=5")).await;
    assert_eq!((log.items.len(), log.items[0].ambiguous, log.items[0].effect), (1, true, Some(false)));
    for wrong in [
        json!({"rules": [{"on": "send", "fault": "htm"}]}),
        json!({"rules": [{"on": "send", "fault": "lost"}]}),
    ] {
        let (status, _, body) = wx.raw(Method::PUT, &path, wrong.to_string()).await;
        assert_eq!(status, 422, "{wrong}: {body:?}");
    }
    let view: FaultsView = wx.get(&path).await;
    assert_eq!(view.rules.len(), 1, "a wrong script changes nothing");
    let (status, _, _) = wx.raw(Method::DELETE, &path, "").await;
    assert_eq!(status, 204);
    for _ in 0..2 {
        assert_eq!(code(&wx.send(&token, &fee()).await), 43101);
    }
    let (status, _, _) = wx.raw(Method::GET, "/_sim/apps/wxnone/faults", "").await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn the_proof_that_none_was_accepted_twice() {
    let wx = start().await;
    let accepted = format!("/_sim/apps/{SAMPLE_APPID}/accepted");
    let (status, _, _) = wx.raw(Method::GET, &accepted, "").await;
    assert_eq!(status, 422, "nothing was kept, so nothing is proved");
    let mut app = sample_app();
    app.keep_accepted = true;
    wx.sim.put_app(SAMPLE_APPID, app).unwrap();
    grant(&wx, 100);
    let token = wx.token().await;
    let numbered = |number: u32| {
        let mut body = fee();
        body["data"]["thing8"]["value"] = json!(format!("第 {number} 次"));
        body
    };
    for number in 0..30 {
        assert_eq!(code(&wx.send(&token, &numbered(number)).await), 0);
    }
    let proof: Accepted = wx.get(&accepted).await;
    assert_eq!((proof.accepted, proof.distinct, proof.twice.len()), (30, 30, 0));
    // Accepted although the caller was told -1, and then again.
    script(&wx, &json!([{"on": "send", "fault": "errcode", "effect": true, "next": 1}]));
    assert_eq!(code(&wx.send(&token, &numbered(50)).await), -1);
    assert_eq!(code(&wx.send(&token, &numbered(50)).await), 0);
    let proof: Accepted = wx.get(&accepted).await;
    assert_eq!((proof.accepted, proof.distinct, proof.twice.len()), (32, 31, 1));
    assert_eq!(
        (proof.twice[0].msgids.len(), proof.twice[0].data["thing8"]["value"].clone()),
        (2, json!("第 50 次"))
    );
    let all: Records<SendView> = wx.get(&format!("/_sim/apps/{SAMPLE_APPID}/records?kind=accepted")).await;
    assert_eq!(all.items.len(), 32);
}
