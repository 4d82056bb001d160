//! What an answer, half an answer or none means (architecture: what an answer means), what becomes of messages of which
//! nobody knows, and answers that come late.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::SAMPLE_APPID;
use wechat::client::ClientConfig;

use crate::world::{FEE, USER, World, until};

/// Calls to WeChat end soon, so that a hang is not waited for.
async fn impatient() -> World {
    let client = ClientConfig { call_timeout: Duration::from_millis(400), ..ClientConfig::default() };
    let world = World::with_client(true, client).await;
    // Evidence comes where a test brings it.
    world.tell_wechat(&json!({ "receipts": false }));
    world
}

impl World {
    fn faults(&self, rules: Value) {
        let script = json!({ "seed": 1, "rules": rules });
        self.sim.set_faults(SAMPLE_APPID, serde_json::from_value(script).unwrap()).unwrap();
    }

    /// A message after its first attempt.
    async fn tried(&self) -> Value {
        let sent = self.send_fee(json!({}), &[]).await;
        assert_eq!(sent.status, 202, "{}", sent.text);
        let id = sent.json()["id"].as_str().unwrap().to_owned();
        self.message(&id, |message| {
            message["state"] != "sending" && !message["attempts"].as_array().unwrap().is_empty()
        })
        .await
    }

    /// A message once it is as wanted.
    async fn message(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until("the message as wanted", || async {
            let message = self.get(&format!("/messages/{id}")).await;
            wanted(&message).then_some(message)
        })
        .await
    }

    fn calls(&self) -> u64 {
        self.sim.counters(SAMPLE_APPID).unwrap().send_calls
    }
}

fn id(message: &Value) -> &str {
    message["id"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_and_every_silence_has_its_class() {
    // What goes wrong; the state after it; whether the attempt may have been sent; a word of the explanation.
    let cases = [
        (json!({ "fault": "errcode", "errcode": -1 }), "queued", true, "busy"),
        (json!({ "fault": "errcode", "errcode": 43108 }), "queued", false, "Concurrent sends"),
        (json!({ "fault": "errcode", "errcode": 45011 }), "queued", false, "this minute"),
        (json!({ "fault": "cut_before_body" }), "unknown", true, "no clear answer"),
        (json!({ "fault": "cut_after_body" }), "unknown", true, "no clear answer"),
        (json!({ "fault": "cut_after_body", "effect": false }), "unknown", true, "no clear answer"),
        (json!({ "fault": "http_status", "status": 500 }), "unknown", true, "500"),
        (json!({ "fault": "http_status", "status": 502, "effect": true }), "unknown", true, "502"),
        (json!({ "fault": "html" }), "unknown", true, "no clear answer"),
        (json!({ "fault": "half_body" }), "unknown", true, "no clear answer"),
        (json!({ "fault": "hang" }), "unknown", true, "no clear answer"),
        (json!({ "fault": "errcode", "errcode": 43101 }), "refused", false, "No usable subscription"),
        (json!({ "fault": "errcode", "errcode": 40003 }), "failed", false, "openid is invalid"),
        (json!({ "fault": "errcode", "errcode": 47003 }), "failed", false, "do not fit"),
        (
            json!({ "fault": "errcode", "errcode": 40164, "errmsg": "invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist" }),
            "queued",
            false,
            "203.0.113.9",
        ),
        (json!({ "fault": "errcode", "errcode": 43107 }), "queued", false, "banned"),
        (json!({ "fault": "errcode", "errcode": 48001 }), "queued", false, "No permission"),
        (json!({ "fault": "errcode", "errcode": 45009 }), "queued", false, "daily quota"),
    ];
    let mut silent = Vec::new();
    for (mut rule, state, ambiguous, word) in cases {
        // A gate that one case closes must not stop the next.
        let world = impatient().await;
        world.popup(&json!({ FEE: "accept" }));
        until("the grant", || async { (world.balance(FEE).await == 1).then_some(()) }).await;
        let name = rule.to_string();
        rule["on"] = json!("send");
        rule["next"] = json!(1);
        world.faults(json!([rule]));
        let message = world.tried().await;
        assert_eq!(message["state"], state, "{name}: {message}");
        let attempt = message["attempts"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(attempt["ambiguous"], ambiguous, "{name}: {message}");
        let said = message["explanation"].as_str().unwrap();
        let errmsg = attempt["errmsg"].as_str().unwrap_or_default();
        if !said.contains(word) {
            silent.push(format!("{name}: {said} ({errmsg})"));
        }
        assert_eq!(attempt["errcode"], rule["errcode"], "{name}: {message}");
        assert_eq!(message["attempts"].as_array().unwrap().len(), 1, "{name}: {message}");
    }
    assert!(silent.is_empty(), "{silent:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_certainly_not_sent_is_sent_again() {
    let world = impatient().await;
    // −1, then a refusal: the first attempt may have spent the grant.
    world.faults(json!([
        { "on": "send", "fault": "errcode", "errcode": -1, "next": 1 },
        { "on": "send", "fault": "errcode", "errcode": 43101, "next": 1 },
    ]));
    let message = world.tried().await;
    let id = id(&message).to_owned();
    world.clock.advance(120_000);
    let message = world.message(&id, |message| message["state"] == "unknown").await;
    assert_eq!(message["attempts"].as_array().unwrap().len(), 2, "{message}");
    assert_eq!(message["attempts"][0]["ambiguous"], true);

    // A revoked token costs one refresh, and nothing else.
    world.popup(&json!({ FEE: "accept" }));
    until("the grant", || async { (world.balance(FEE).await == 1).then_some(()) }).await;
    let tokens = world.sim.counters(SAMPLE_APPID).unwrap().tokens_issued;
    world.faults(json!([{ "on": "send", "fault": "revoke_tokens", "next": 1 }]));
    let message = world.tried().await;
    assert_eq!(message["state"], "accepted", "{message}");
    assert_eq!(world.sim.counters(SAMPLE_APPID).unwrap().tokens_issued, tokens + 1);

    // Nobody listens: nothing was sent, and it stays queued.
    let free = crate::program::free_address();
    let moved = world.api("PATCH", "", &json!({ "api_base_url": format!("http://{free}") })).await;
    assert_eq!(moved.status, 200, "{}", moved.text);
    let calls = world.calls();
    let message = world.tried().await;
    assert_eq!(
        (message["state"].as_str(), message["attempts"][0]["ambiguous"].as_bool()),
        (Some("queued"), Some(false))
    );
    assert!(message["explanation"].as_str().unwrap().contains("could not be reached"), "{message}");
    assert_eq!(world.calls(), calls);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_does_not_come_lets_messages_wait() {
    for fault in [
        json!({ "fault": "hang" }),
        json!({ "fault": "html", "status": 502 }),
        json!({ "fault": "cut_after_body" }),
        json!({ "fault": "http_status", "status": 503 }),
    ] {
        let world = impatient().await;
        let mut rule = fault.clone();
        rule["on"] = json!("stable_token");
        rule["next"] = json!(1);
        assert_eq!(world.api("POST", "/templates/sync", &Value::Null).await.status, 200);
        world.sim.revoke_tokens(SAMPLE_APPID).unwrap();
        world.popup(&json!({ FEE: "accept" }));
        until("the grant", || async { (world.balance(FEE).await == 1).then_some(()) }).await;
        world.faults(json!([rule]));
        let message = world.tried().await;
        assert_eq!(message["state"], "queued", "{fault}: {message}");
        assert_eq!(message["attempts"][0]["ambiguous"], false, "{fault}: {message}");
        world.clock.advance(120_000);
        let id = id(&message).to_owned();
        world.message(&id, |message| message["state"] == "accepted").await;
    }
}

/// Sets the policy, and sends one message that stays unknown without having been sent.
async fn unknown_under(policy: &str) -> (World, String) {
    let world = impatient().await;
    let set = world.api("PATCH", "", &json!({ "settings": { "on_unknown": policy } })).await;
    assert_eq!(set.status, 200, "{}", set.text);
    world.popup(&json!({ FEE: "accept" }));
    until("the grant", || async { (world.balance(FEE).await == 1).then_some(()) }).await;
    world.faults(json!([{ "on": "send", "fault": "cut_after_body", "effect": false, "next": 1 }]));
    let message = world.tried().await;
    assert_eq!(message["state"], "unknown", "{message}");
    let id = id(&message).to_owned();
    world.clock.advance(59_000);
    (world, id)
}

/// WeChat's sent event for the user's fee notice, without a msgid that anybody knows.
async fn receipt(world: &World) {
    let event = json!({ "ToUserName": "gh_ea84a199bf81", "FromUserName": USER, "CreateTime": domain::Clock::now(&*world.clock) / 1_000,
        "MsgType": "event", "Event": "subscribe_msg_sent_event",
        "List": { "TemplateId": FEE, "MsgID": "1700827132819554304", "ErrorCode": "0", "ErrorStatus": "success" } });
    assert_eq!(world.push(&event.to_string(), 0).await.text, "success");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_is_held_unless_the_app_wants_otherwise() {
    let (world, id) = unknown_under("hold").await;
    world.clock.advance(3_600_000);
    // The one that is looked at in the same sweep shows that the sweep has passed.
    let (other, _) = unknown_under("give_up").await;
    drop(other);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let message = world.get(&format!("/messages/{id}")).await;
    let attempts = message["attempts"].as_array().unwrap().len();
    assert_eq!((message["state"].as_str(), attempts), (Some("unknown"), 1), "{message}");
    receipt(&world).await;
    world.message(&id, |message| message["state"] == "delivered").await;
    assert_eq!(world.balance(FEE).await, 0, "spent by the proof");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn giving_up_is_corrected_by_evidence() {
    let (world, id) = unknown_under("give_up").await;
    world.clock.advance(2_000);
    let message = world.message(&id, |message| message["state"] == "failed").await;
    assert!(message["explanation"].as_str().unwrap().contains("give_up"), "{message}");
    assert_eq!((message["attempts"].as_array().unwrap().len(), world.balance(FEE).await), (1, 1));
    receipt(&world).await;
    world.message(&id, |message| message["state"] == "delivered").await;
    assert_eq!(world.balance(FEE).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resend_by_policy_is_the_same_message_again() {
    let (world, id) = unknown_under("resend").await;
    world.clock.advance(2_000);
    let message = world.message(&id, |message| message["state"] == "accepted").await;
    let attempts = message["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2, "{message}");
    assert_eq!((&attempts[0]["ambiguous"], &attempts[1]["ambiguous"]), (&json!(true), &json!(false)));
    assert_eq!(world.balance(FEE).await, 0);
    let wrong = world.api("PATCH", "", &json!({ "settings": { "on_unknown": "perhaps" } })).await;
    assert_eq!(wrong.status, 422, "{}", wrong.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_resolves_its_own_attempt() {
    let world = impatient().await;
    world.popup(&json!({ FEE: "accept" }));
    until("the grant", || async { (world.balance(FEE).await == 1).then_some(()) }).await;
    world.faults(json!([{ "on": "send", "fault": "hang", "delay_ms": 1_500, "next": 1 }]));
    let message = world.tried().await;
    let id = id(&message).to_owned();
    assert_eq!(message["state"], "unknown", "{message}");
    // The person's next message waits: the call is still open (I6).
    let next = world.send_fee(json!({}), &[]).await.json();
    let next = next["id"].as_str().unwrap();
    let message = world.message(&id, |message| message["state"] != "unknown").await;
    assert_eq!(message["state"], "accepted", "{message}");
    assert!(message["msgid"].is_string(), "{message}");
    assert_eq!(world.balance(FEE).await, 0, "spent once");
    let next = world.message(next, |message| message["state"] == "refused").await;
    assert_eq!(next["errcode"], 43101, "the late one took the only grant: {next}");
    assert_eq!(world.calls(), 2);
}
