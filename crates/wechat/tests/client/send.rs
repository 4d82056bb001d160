//! The send call.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use wechat::client::{CardLang, Client, MiniProgramState, NoAnswer, NotSent, SendAnswer, SendRequest};

use super::server::{Act, Server, closing_server, http, ok};
use super::{TOKEN, client, impatient, token};

fn request(to: &str) -> SendRequest {
    SendRequest {
        to_user: to.into(),
        template_id: "T1".into(),
        page: Some("/pages/index?a=b".into()),
        data: BTreeMap::from([("thing8".into(), "物业费".into()), ("thing5".into(), "\"备注\"".into())]),
        miniprogram_state: MiniProgramState::default(),
        lang: CardLang::default(),
    }
}

/// Sends once to a server that does this, and tells the answer and the number of requests.
async fn send_to(act: Act) -> (SendAnswer, usize) {
    send_by(&client(), act).await
}

async fn send_by(client: &Client, act: Act) -> (SendAnswer, usize) {
    let server = Server::start(act).await;
    let answer = client.send(&server.base, &token(), &request("oG")).await;
    assert!(!format!("{answer:?}").contains(TOKEN), "{answer:?}");
    (answer, server.seen().len())
}

fn answered(errcode: i64, errmsg: &str, msgid: Option<u64>) -> SendAnswer {
    SendAnswer::Answered { errcode, errmsg: errmsg.into(), msgid }
}

#[test]
fn the_body_is_wechats() {
    let body: Value = serde_json::from_slice(&request("oG").to_bytes()).unwrap();
    assert_eq!(
        body,
        json!({
            "touser": "oG",
            "template_id": "T1",
            "page": "pages/index?a=b",
            "data": {"thing8": {"value": "物业费"}, "thing5": {"value": "\"备注\""}},
            "miniprogram_state": "formal",
            "lang": "zh_CN",
        })
    );
    for page in [None, Some(String::new()), Some("/".to_owned())] {
        let bare = SendRequest {
            page,
            miniprogram_state: MiniProgramState::Trial,
            lang: CardLang::EnUs,
            ..request("o")
        };
        let body: Value = serde_json::from_slice(&bare.to_bytes()).unwrap();
        assert_eq!(body.get("page"), None);
        assert_eq!((&body["miniprogram_state"], &body["lang"]), (&json!("trial"), &json!("en_US")));
    }
}

#[test]
fn words_read_back() {
    for state in [MiniProgramState::Developer, MiniProgramState::Trial, MiniProgramState::Formal] {
        assert_eq!(state.as_str().parse::<MiniProgramState>().unwrap(), state);
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
    }
    for lang in [CardLang::ZhCn, CardLang::EnUs, CardLang::ZhHk, CardLang::ZhTw] {
        assert_eq!(lang.as_str().parse::<CardLang>().unwrap(), lang);
        assert_eq!(serde_json::to_value(lang).unwrap(), lang.as_str());
    }
    assert!("release".parse::<MiniProgramState>().is_err());
}

#[tokio::test]
async fn the_request_goes_to_the_right_place() {
    let server = Server::start(Act::Write(ok(r#"{"errcode":0,"errmsg":"ok"}"#))).await;
    let base = format!("{}/proxy/", server.base);
    let answer = client().send(&base, &"a/b+c".into(), &request("oG")).await;
    assert_eq!(answer, answered(0, "ok", None));
    let seen = server.seen();
    let (head, body) = seen[0].split_once("\r\n\r\n").unwrap();
    let first = head.lines().next().unwrap();
    assert_eq!(first, "POST /proxy/cgi-bin/message/subscribe/send?access_token=a%2Fb%2Bc HTTP/1.1");
    assert!(head.to_ascii_lowercase().contains("content-type: application/json"), "{head}");
    assert_eq!(body.as_bytes(), &request("oG").to_bytes()[..]);
}

#[tokio::test]
async fn answers_are_read() {
    for (body, expected) in [
        (r#"{"errcode":0,"errmsg":"ok"}"#, answered(0, "ok", None)),
        (
            r#"{"errcode":0,"errmsg":"ok","msgid":3248682510344192008}"#,
            answered(0, "ok", Some(3_248_682_510_344_192_008)),
        ),
        (
            r#"{"errcode":0,"errmsg":"ok","msgid":"3248682510344192008"}"#,
            answered(0, "ok", Some(3_248_682_510_344_192_008)),
        ),
        (r#"{"errcode":0,"errmsg":"ok","msgid":18446744073709551615}"#, answered(0, "ok", Some(u64::MAX))),
        (r#"{"errcode":0,"msgid":0}"#, answered(0, "", None)),
        (r#"{"errcode":0,"msgid":1.5,"more":{"a":[1]}}"#, answered(0, "", None)),
        (r#"{"errcode":0,"msgid":null}"#, answered(0, "", None)),
        (r#"{"errmsg":"ok"}"#, answered(0, "ok", None)),
        (r#"{"msgid":7}"#, answered(0, "", Some(7))),
        (
            r#"{"errcode":"43101","errmsg":"user refuse to accept the msg rid: 1-2-3"}"#,
            answered(43101, "user refuse to accept the msg rid: 1-2-3", None),
        ),
        (r#" {"errcode":-1,"errmsg":"system error"} "#, answered(-1, "system error", None)),
    ] {
        assert_eq!(send_to(Act::Write(ok(body))).await, (expected, 1), "{body}");
    }
}

#[tokio::test]
async fn what_is_not_wechats_json_is_no_answer() {
    for body in [
        "<html><body>login</body></html>",
        "",
        "{}",
        r#"{"status":"ok"}"#,
        r#"{"errmsg":"upstream connect error"}"#,
        r#"{"errcode":"#,
        r#"{"errcode":"ok"}"#,
        r#"{"errcode":0.5}"#,
        r#"[0,"ok"]"#,
        "0",
        r#"{"errcode":0} trailing"#,
    ] {
        let expected = SendAnswer::NoAnswer(NoAnswer::NotJson);
        assert_eq!(send_to(Act::Write(ok(body))).await, (expected, 1), "{body}");
    }
}

#[tokio::test]
async fn other_statuses_are_no_answer_and_redirects_are_not_followed() {
    for (status, code) in [
        ("500 Internal Server Error", 500),
        ("502 Bad Gateway", 502),
        ("403 Forbidden", 403),
        ("302 Found\r\nLocation: /other", 302),
    ] {
        let act = Act::Write(http(status, r#"{"errcode":0,"errmsg":"ok"}"#));
        assert_eq!(send_to(act).await, (SendAnswer::NoAnswer(NoAnswer::Http(code)), 1), "{status}");
    }
}

#[tokio::test]
async fn too_long_an_answer_is_no_answer() {
    let long = format!(r#"{{"errcode":0,"errmsg":"{}"}}"#, "x".repeat(64 * 1024));
    assert_eq!(send_to(Act::Write(ok(&long))).await, (SendAnswer::NoAnswer(NoAnswer::TooLong), 1));
}

#[tokio::test]
async fn a_cut_after_reading_is_no_answer_and_is_not_retried() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"errcode\":0".to_vec();
    let chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1c\r\n{\"errcode\":0".to_vec();
    for bytes in [Vec::new(), b"HTTP/1.1 200".to_vec(), half, chunk, b"nonsense\r\n\r\n".to_vec()] {
        let (answer, requests) = send_to(Act::WriteAndClose(bytes.clone())).await;
        assert!(matches!(answer, SendAnswer::NoAnswer(NoAnswer::Cut(_))), "{answer:?} {bytes:?}");
        assert_eq!(requests, 1);
    }
    // Ends with the connection: complete only if the JSON is.
    let until_close = b"HTTP/1.1 200 OK\r\n\r\n{\"errcode\":0".to_vec();
    let expected = SendAnswer::NoAnswer(NoAnswer::NotJson);
    assert_eq!(send_to(Act::WriteAndClose(until_close)).await, (expected, 1));
}

#[tokio::test]
async fn a_hanging_server_is_no_answer_in_time() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"errcode\":0".to_vec();
    for act in [Act::Hang, Act::Write(half)] {
        let expected = SendAnswer::NoAnswer(NoAnswer::Timeout);
        assert_eq!(send_by(&impatient(), act).await, (expected, 1));
    }
}

#[tokio::test]
async fn a_late_answer_is_heard_by_who_goes_on_listening() {
    for (body, expected) in [
        (r#"{"errcode":0,"errmsg":"ok","msgid":7}"#, answered(0, "ok", Some(7))),
        (r#"{"errcode":43101,"errmsg":"no grant"}"#, answered(43101, "no grant", None)),
        ("<html>", SendAnswer::NoAnswer(NoAnswer::NotJson)),
    ] {
        let told = Arc::new(Notify::new());
        let server = Server::start(Act::Held(Arc::clone(&told), ok(body))).await;
        let (answer, overdue) = impatient().send_patiently(&server.base, &token(), &request("oG")).await;
        assert_eq!(answer, SendAnswer::NoAnswer(NoAnswer::Timeout));
        let overdue = overdue.unwrap();
        assert!(!format!("{overdue:?}").contains(TOKEN));
        told.notify_one();
        assert_eq!(overdue.answer(Duration::from_secs(20)).await, expected, "{body}");
        assert_eq!(server.seen().len(), 1, "the same call");
    }
    let server = Server::start(Act::Hang).await;
    let (_, overdue) = impatient().send_patiently(&server.base, &token(), &request("oG")).await;
    let expected = SendAnswer::NoAnswer(NoAnswer::Timeout);
    assert_eq!(overdue.unwrap().answer(Duration::from_millis(10)).await, expected);
    let server = Server::start(Act::Write(ok(r#"{"errcode":0,"errmsg":"ok"}"#))).await;
    let (answer, overdue) = client().send_patiently(&server.base, &token(), &request("oG")).await;
    assert!(answer == answered(0, "ok", None) && overdue.is_none());
}

#[tokio::test]
async fn no_connection_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for base in [closed.as_str(), "http://no-such-host.invalid"] {
        let answer = impatient().send(base, &token(), &request("oG")).await;
        assert!(matches!(answer, SendAnswer::NotSent(NotSent::Connect(_))), "{answer:?}");
        assert!(!format!("{answer:?}").contains(TOKEN));
    }
    for base in ["", "api.weixin.qq.com", "ftp://host", "http://"] {
        let answer = client().send(base, &token(), &request("oG")).await;
        assert_eq!(answer, SendAnswer::NotSent(NotSent::BadAddress), "{base}");
    }
}

#[tokio::test]
async fn a_tls_failure_is_not_sent() {
    // A server that speaks no TLS: one that answers nonsense to the greeting, one that never answers.
    let nonsense = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nonsense_base = format!("https://{}", nonsense.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = nonsense.accept().await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n").await;
        }
    });
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_base = format!("https://{}", silent.local_addr().unwrap());
    for base in [nonsense_base, silent_base] {
        let answer = impatient().send(&base, &token(), &request("oG")).await;
        assert!(matches!(answer, SendAnswer::NotSent(NotSent::Connect(_))), "{base} {answer:?}");
    }
}

#[tokio::test]
async fn not_sent_means_that_no_byte_was_written() {
    let (base, mut reports) = closing_server().await;
    for _ in 0..50 {
        let answer = client().send(&base, &token(), &request("oG")).await;
        let bytes = reports.recv().await.unwrap();
        match answer {
            SendAnswer::NotSent(NotSent::Closed) => assert_eq!(bytes, 0),
            SendAnswer::NoAnswer(NoAnswer::Cut(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_kept_connection_that_closes_loses_no_certainty() {
    let server = Server::start(Act::WriteAndClose(ok(r#"{"errcode":0,"errmsg":"ok"}"#))).await;
    let client = client();
    for round in 0..200 {
        let to = format!("user-{round}-end");
        let answer = client.send(&server.base, &token(), &request(&to)).await;
        let arrived = server.seen().iter().filter(|seen| seen.contains(&to)).count();
        match answer {
            SendAnswer::Answered { errcode: 0, .. } => assert_eq!(arrived, 1),
            SendAnswer::NotSent(NotSent::Closed) => assert_eq!(arrived, 0),
            SendAnswer::NoAnswer(NoAnswer::Cut(_)) => assert!(arrived <= 1),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn connections_are_kept() {
    let server = Server::start(Act::Write(ok(r#"{"errcode":0,"errmsg":"ok"}"#))).await;
    let client = client();
    for _ in 0..20 {
        assert_eq!(client.send(&server.base, &token(), &request("o")).await, answered(0, "ok", None));
    }
    assert_eq!(server.seen().len(), 20);
    // A connection can come back to the pool a little late, so now and then a second one is opened.
    assert!(server.connections() < 10, "{}", server.connections());
}

#[tokio::test]
async fn an_echoed_token_is_taken_out() {
    let body = format!(r#"{{"errcode":40001,"errmsg":"bad token {TOKEN} here"}}"#);
    let (answer, _) = send_to(Act::Write(ok(&body))).await;
    assert_eq!(answer, answered(40001, "bad token [redacted] here", None));
}
