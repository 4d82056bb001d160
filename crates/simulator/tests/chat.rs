//! What becomes of a word to customer service, by the server's answer; and events of a person's settings.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{FEE, KEY, Server, TOKEN, Wx, code, fee, start, with_callback};
use http::Method;
use serde_json::{Value, json};
use simulator::{
    SAMPLE_APPID, SAMPLE_OPENID,
    api::{CallbackFormat, CallbackMode, Chat, ChatFault, ChatOutcome, ChatView, FaultScript, Records},
};
use wechat::callback::{
    Keys,
    crypto::EncodingAesKey,
    reply::{self, Encryption, Parties, transfer_customer_service},
    signature,
};

const GH: &str = "gh_ea84a199bf81";

fn keys(app_id: &str, token: &str) -> Keys {
    Keys {
        app_id: app_id.to_owned(),
        token: token.to_owned().into(),
        aes_key: Some(EncodingAesKey::parse(KEY).unwrap()),
        mode: CallbackMode::Safe,
    }
}

fn passed_on(format: CallbackFormat, user: &str, mini_program: &str, keys: Option<&Keys>) -> String {
    let parties = Parties { user, mini_program, create_time: 1_795_406_400 };
    let encryption =
        keys.map(|keys| Encryption { keys, random: [7; 16], timestamp: 1_795_406_400, nonce: "42" });
    transfer_customer_service(format, &parties, encryption.as_ref()).unwrap()
}

async fn chat(wx: &Wx) -> ChatView {
    let path = format!("/_sim/apps/{SAMPLE_APPID}/users/{SAMPLE_OPENID}/chat");
    serde_json::from_value(wx.post(&path, &json!({"text": "电梯坏了"})).await).unwrap()
}

async fn scene(mode: CallbackMode, format: CallbackFormat) -> (Wx, Server) {
    let (wx, server) = (start().await, Server::start().await);
    with_callback(&wx.sim, server.spec(mode, format));
    (wx, server)
}

#[tokio::test]
async fn passed_on_or_swallowed_in_every_mode() {
    use CallbackFormat::{Json, Xml};
    for (mode, format) in [
        (CallbackMode::Plain, Json),
        (CallbackMode::Plain, Xml),
        (CallbackMode::Compat, Json),
        (CallbackMode::Compat, Xml),
        (CallbackMode::Safe, Json),
        (CallbackMode::Safe, Xml),
    ] {
        let (wx, server) = scene(mode, format).await;
        let own = keys(SAMPLE_APPID, TOKEN);
        let keys = (mode != CallbackMode::Plain).then_some(&own);
        server.says(&passed_on(format, SAMPLE_OPENID, GH, keys));
        let view = chat(&wx).await;
        assert_eq!(
            (view.outcome, view.attempts),
            (ChatOutcome::Transferred, 1),
            "{mode:?} {format:?} {view:?}"
        );
        for words in ["success", ""] {
            server.says(words);
            assert_eq!(chat(&wx).await.outcome, ChatOutcome::Swallowed, "{mode:?} {format:?} {words:?}");
        }
        if mode == CallbackMode::Compat {
            server.says(&passed_on(format, SAMPLE_OPENID, GH, None));
            assert_eq!(chat(&wx).await.outcome, ChatOutcome::Transferred, "compatible mode takes both");
        }
    }
}

#[tokio::test]
async fn answers_that_wechat_cannot_use() {
    let (wx, server) = scene(CallbackMode::Safe, CallbackFormat::Json).await;
    let own = keys(SAMPLE_APPID, TOKEN);
    let json = |user: &str, gh: &str, keys: &Keys| passed_on(CallbackFormat::Json, user, gh, Some(keys));
    let encrypted = |text: &str| {
        let encryption = Encryption { keys: &own, random: [7; 16], timestamp: 1, nonce: "42" };
        reply::encrypt(CallbackFormat::Json, &encryption, text.as_bytes()).unwrap()
    };
    let text = json!({"ToUserName": SAMPLE_OPENID, "FromUserName": GH, "CreateTime": 1, "MsgType": "text", "Content": "x"});
    let garbage = {
        let encrypt = "QUFBQUFBQUFBQUFBQUFBQQ==";
        let signed = signature::sign(&[TOKEN, "1", "42", encrypt]);
        json!({"Encrypt": encrypt, "MsgSignature": signed, "TimeStamp": 1, "Nonce": "42"}).to_string()
    };
    for (words, expected) in [
        (passed_on(CallbackFormat::Json, SAMPLE_OPENID, GH, None), ChatFault::NotEncrypted),
        (passed_on(CallbackFormat::Xml, SAMPLE_OPENID, GH, Some(&own)), ChatFault::WrongFormat),
        ("<html>".to_owned(), ChatFault::WrongFormat),
        (encrypted("nonsense"), ChatFault::WrongFormat),
        (encrypted(&passed_on(CallbackFormat::Xml, SAMPLE_OPENID, GH, None)), ChatFault::WrongFormat),
        (json(SAMPLE_OPENID, GH, &keys(SAMPLE_APPID, "other")), ChatFault::BadSignature),
        (json!({"Encrypt": "x"}).to_string(), ChatFault::BadSignature),
        (garbage, ChatFault::NotDecrypted),
        (json(SAMPLE_OPENID, GH, &keys("wxother", TOKEN)), ChatFault::WrongAppid),
        (json(GH, SAMPLE_OPENID, &own), ChatFault::WrongParties),
        (encrypted(&text.to_string()), ChatFault::OtherReply),
    ] {
        server.says(&words);
        let view = chat(&wx).await;
        assert_eq!((view.outcome, view.reason), (ChatOutcome::Failed, Some(expected)), "{words}");
    }
    // Each was answered with 200: no second try.
    assert!(wx.sim.callbacks(SAMPLE_APPID, None, 100).unwrap().iter().all(|one| one.attempt == 1));
    server.answers(500, 0);
    let view = chat(&wx).await;
    assert_eq!(
        (view.reason, view.detail.as_deref(), view.attempts),
        (Some(ChatFault::NoAnswer), Some("HTTP 500"), 3)
    );
    let (wx, server) = scene(CallbackMode::Plain, CallbackFormat::Json).await;
    server.says(&json(SAMPLE_OPENID, GH, &own));
    assert_eq!(chat(&wx).await.reason, Some(ChatFault::Encrypted));
}

#[tokio::test]
async fn without_message_push_it_goes_to_customer_service_and_all_is_recorded() {
    let wx = start().await;
    assert_eq!(chat(&wx).await.outcome, ChatOutcome::Direct);
    let server = Server::start().await;
    with_callback(&wx.sim, server.spec(CallbackMode::Plain, CallbackFormat::Xml));
    wx.sim.chat(SAMPLE_APPID, SAMPLE_OPENID, &Chat { text: "在吗".to_owned() }).unwrap();
    let path = format!("/_sim/apps/{SAMPLE_APPID}/records?kind=chats&openid={SAMPLE_OPENID}");
    for _ in 0..6_000 {
        let chats: Records<ChatView> = wx.get(&path).await;
        if let [newest, first] = chats.items.as_slice() {
            assert_eq!((newest.text.as_str(), newest.outcome), ("在吗", ChatOutcome::Swallowed));
            assert_eq!(first.outcome, ChatOutcome::Direct);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it was not recorded");
}

#[tokio::test]
async fn a_lost_chat_fails() {
    let (wx, _server) = scene(CallbackMode::Plain, CallbackFormat::Json).await;
    let script = json!({"rules": [{"on": "push", "event": "text", "fault": "lost"}]});
    let script: FaultScript = serde_json::from_value(script).unwrap();
    wx.sim.set_faults(SAMPLE_APPID, script).unwrap();
    let view = chat(&wx).await;
    assert_eq!((view.outcome, view.attempts), (ChatOutcome::Failed, 0));
}

#[tokio::test]
async fn what_was_allowed_is_taken_back_and_the_account_closed() {
    let (wx, server) = scene(CallbackMode::Plain, CallbackFormat::Json).await;
    let path = format!("/_sim/apps/{SAMPLE_APPID}/users/{SAMPLE_OPENID}/authorization");
    wx.accept(&[FEE]);
    server.wait(1).await;
    wx.post(&path, &json!({"act": "revoke", "info": "6,8"})).await;
    let push: Value = serde_json::from_slice(&server.wait(2).await[1].body).unwrap();
    assert_eq!(
        (push["Event"].as_str(), push["MsgType"].as_str()),
        (Some("user_authorization_revoke"), Some("event"))
    );
    assert_eq!((push["OpenID"].as_str(), push["AppID"].as_str()), (Some(SAMPLE_OPENID), Some(SAMPLE_APPID)));
    assert_eq!((push["RevokeInfo"].as_str(), push["ToUserName"].as_str()), (Some("6,8"), Some(GH)));
    assert_ne!(push["FromUserName"], SAMPLE_OPENID, "it comes from the platform");
    assert_eq!(wx.left(FEE), 1, "subscriptions are another thing");
    let (status, _, _) =
        wx.raw(Method::POST, &path, json!({"act": "revoke", "info": "all"}).to_string()).await;
    assert_eq!(status, 422);

    wx.post(&path, &json!({"act": "cancel"})).await;
    let push: Value = serde_json::from_slice(&server.wait(3).await[2].body).unwrap();
    assert_eq!(
        (push["Event"].as_str(), push["OpenID"].as_str()),
        (Some("user_authorization_cancellation"), Some(SAMPLE_OPENID))
    );
    let (status, _, _) =
        wx.raw(Method::GET, &format!("/_sim/apps/{SAMPLE_APPID}/users/{SAMPLE_OPENID}"), "").await;
    assert_eq!(status, 404);
    assert_eq!(code(&wx.send(&wx.token().await, &fee()).await), 40003);
    assert_eq!(wx.sim.users(SAMPLE_APPID).unwrap().total, 0);
}

#[tokio::test]
async fn any_event_in_both_formats() {
    for format in [CallbackFormat::Json, CallbackFormat::Xml] {
        let (wx, server) = scene(CallbackMode::Compat, format).await;
        let path = format!("/_sim/apps/{SAMPLE_APPID}/users/{SAMPLE_OPENID}/event");
        let fields = json!({"Level": 3, "Note": "a<b]]>c", "List": [{"Id": "1"}, {"Id": "2"}]});
        let (status, _, _) = wx
            .raw(Method::POST, &path, json!({"event": "wxa_new_thing", "fields": fields}).to_string())
            .await;
        assert_eq!(status, 204);
        let got = server.wait(1).await;
        let text = String::from_utf8(got[0].body.to_vec()).unwrap();
        let push = wechat::callback::event::parse(text.as_bytes()).unwrap();
        assert_eq!(push.kind, wechat::callback::event::Kind::OtherEvent("wxa_new_thing".to_owned()));
        match format {
            CallbackFormat::Json => {
                let push: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(
                    (&push["Level"], &push["Note"], &push["List"]),
                    (&fields["Level"], &fields["Note"], &fields["List"])
                );
            }
            CallbackFormat::Xml => {
                assert!(
                    text.contains("<Level>3</Level><List><Id><![CDATA[1]]></Id></List><List><Id>"),
                    "{text}"
                );
                assert!(text.contains("<Note><![CDATA[a<b]]]]><![CDATA[>c]]></Note>"), "{text}");
            }
        }
        for wrong in [
            json!({"event": "a b"}),
            json!({"event": "x", "fields": {"a b": 1}}),
            json!({"event": "x", "fields": {"Event": "y"}}),
        ] {
            let (status, _, _) = wx.raw(Method::POST, &path, wrong.to_string()).await;
            assert_eq!(status, 422, "{wrong}");
        }
    }
}
