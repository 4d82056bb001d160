//! Events to somebody's server: each arrives, signed as the official library wants it, whatever the server does meanwhile.

use std::collections::{BTreeMap, HashSet};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::campaigns::{act, campaign, drafted, people};
use crate::http::{Reply, call};
use crate::peers::{folder, python};
use crate::world::{FEE, World, until};

/// What a receiver got, and what it answers.
#[derive(Default)]
struct Receiver {
    got: Mutex<Vec<(BTreeMap<String, String>, String)>>,
    /// Answers 500 so many times more.
    failures: AtomicUsize,
    status: AtomicUsize,
}

async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: String) -> StatusCode {
    if receiver.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    let headers = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("webhook-"))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    receiver.got.lock().unwrap().push((headers, body));
    let status = u16::try_from(receiver.status.load(Ordering::SeqCst)).unwrap();
    StatusCode::from_u16(if status == 0 { 204 } else { status }).unwrap()
}

impl Receiver {
    async fn start() -> (Arc<Self>, String) {
        let receiver = Arc::new(Self::default());
        let router = axum::Router::new().fallback(receive).with_state(Arc::clone(&receiver));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (receiver, url)
    }

    fn events(&self) -> Vec<Value> {
        self.got.lock().unwrap().iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect()
    }

    fn ids(&self) -> Vec<String> {
        self.got.lock().unwrap().iter().map(|(headers, _)| headers["webhook-id"].clone()).collect()
    }

    fn count(&self, kind: &str) -> usize {
        let ids: HashSet<String> = self
            .ids()
            .into_iter()
            .zip(self.events())
            .filter(|(_, event)| event["type"] == kind)
            .map(|(id, _)| id)
            .collect();
        ids.len()
    }
}

async fn api(world: &World, method: &str, path: &str, body: &Value) -> Reply {
    let bearer = format!("Bearer {}", world.key);
    let headers =
        [("authorization", bearer.as_str()), ("content-type", "application/json"), ("connection", "close")];
    call(method, &format!("{}/api/v1{path}", world.url), &headers, body.to_string()).await
}

async fn endpoint(world: &World, url: &str, events: Value) -> Value {
    let reply = api(world, "POST", "/webhooks", &json!({ "url": url, "events": events })).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    reply.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_arrives_signed_over_faults_and_a_restart() {
    let mut world = World::new(true).await;
    let (receiver, url) = Receiver::start().await;
    let made =
        endpoint(&world, &url, json!(["message.*", "campaign.finished", "subscription.accepted"])).await;
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"), "{made}");
    assert_eq!(
        api(&world, "GET", "/webhooks", &Value::Null).await.json()["items"][0].get("secret"),
        None,
        "shown once"
    );
    receiver.failures.store(2, Ordering::SeqCst);
    people(&world, 20, 1).await;
    let path = drafted(&world, json!({})).await;
    act(&world, &path, "start").await;
    campaign(&world, &path, "finished").await;
    // The first try fails; the next comes after five seconds of the service's clock, and a restart forgets nothing.
    world.restart(true).await;
    until("every event", || async {
        world.clock.advance(20_000);
        let all = receiver.count("subscription.accepted") == 20
            && receiver.count("message.accepted") + receiver.count("message.delivered") >= 20
            && receiver.count("campaign.finished") == 1;
        all.then_some(())
    })
    .await;
    let events = receiver.events();
    let message =
        events.iter().find(|event| event["type"].as_str().unwrap().starts_with("message.")).unwrap();
    let data = &message["data"];
    assert_eq!(
        (data["template_id"].as_str(), data["campaign_id"].is_string()),
        (Some(FEE), true),
        "{message}"
    );
    assert!(
        data["app_id"].is_string() && data["to"].is_string() && data["message_id"].is_string(),
        "{message}"
    );
    assert!(events.iter().all(|event| event["type"] != "campaign.running"), "only what was asked for");

    if python().is_file() {
        let got = receiver.got.lock().unwrap().clone();
        verified(&secret, &got);
    } else {
        assert!(std::env::var_os("HONGYAN_REQUIRE_ALL").is_none(), "the Python peers are needed");
    }

    // A rotated secret signs beside the old one for a day.
    let id = made["id"].as_str().unwrap();
    let rotated = api(&world, "POST", &format!("/webhooks/{id}/rotate"), &Value::Null).await.json();
    let before = receiver.ids().len();
    let replayed = api(
        &world,
        "POST",
        &format!("/webhooks/{id}/replay"),
        &json!({ "since": "2026-01-01T00:00:00Z", "delivered_too": true }),
    )
    .await;
    assert!(replayed.json()["deliveries"].as_u64().unwrap() >= 41, "{}", replayed.text);
    until("delivered again", || async { (receiver.ids().len() > before).then_some(()) }).await;
    let last = receiver.got.lock().unwrap().last().unwrap().clone();
    assert_eq!(last.0["webhook-signature"].split(' ').count(), 2);
    assert_ne!(rotated["secret"], made["secret"]);
    let page = api(&world, "GET", &format!("/webhooks/{id}/deliveries?limit=5"), &Value::Null).await.json();
    assert_eq!(
        (page["items"].as_array().unwrap().len(), page["next_cursor"].is_string()),
        (5, true),
        "{page}"
    );
}

/// The official library checks what was sent.
fn verified(secret: &str, got: &[(BTreeMap<String, String>, String)]) {
    let mut command = Command::new(python());
    let command = command.arg("webhooks_peer.py").current_dir(folder());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let ask = json!({ "secret": secret, "events": got });
    child.stdin.take().unwrap().write_all(ask.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["verified"].as_u64(), Some(got.len() as u64), "{said}");
    assert_eq!(said["forged"], 0, "a changed body passed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_keeps_failing_is_disabled_with_an_alarm() {
    let world = World::new(true).await;
    let (good, good_url) = Receiver::start().await;
    let (bad, bad_url) = Receiver::start().await;
    bad.failures.store(usize::MAX, Ordering::SeqCst);
    endpoint(&world, &good_url, json!(["alarm.*", "subscription.*"])).await;
    let failing = endpoint(&world, &bad_url, json!(["subscription.*"])).await;
    people(&world, 2, 1).await;
    until("the good one is not kept waiting", || async {
        (good.count("subscription.accepted") == 2).then_some(())
    })
    .await;
    until("the alarm", || async {
        world.clock.advance(3_600_000);
        (good.count("alarm.webhook") == 1).then_some(())
    })
    .await;
    let shown = api(&world, "GET", "/webhooks", &Value::Null).await.json();
    let shown =
        shown["items"].as_array().unwrap().iter().find(|one| one["id"] == failing["id"]).unwrap().clone();
    assert_eq!(shown["enabled"], false, "{shown}");
    assert!(shown["disabled_because"].is_string());

    // Mended, it gets what it missed.
    bad.failures.store(0, Ordering::SeqCst);
    let path = format!("/webhooks/{}", failing["id"].as_str().unwrap());
    assert_eq!(api(&world, "PATCH", &path, &json!({ "enabled": true })).await.json()["enabled"], true);
    api(&world, "POST", &format!("{path}/replay"), &json!({ "since": "2026-01-01T00:00:00Z" })).await;
    until("what it missed", || async { (bad.count("subscription.accepted") == 2).then_some(()) }).await;

    // 410: never again.
    bad.status.store(410, Ordering::SeqCst);
    assert_eq!(
        world.push(&world.popup_event("oCampaign_000000_abcdefghij", FEE, "accept"), -1).await.status,
        200
    );
    until("disabled at once", || async {
        let all = api(&world, "GET", "/webhooks", &Value::Null).await.json();
        let one =
            all["items"].as_array().unwrap().iter().find(|one| one["id"] == failing["id"]).unwrap().clone();
        (one["enabled"] == false).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_named() {
    let world = World::new(false).await;
    let cases = [
        (json!({ "url": "ftp://x", "events": ["*"] }), "/url", "invalid_url"),
        (json!({ "url": "https://u:p@x/", "events": ["*"] }), "/url", "invalid_url"),
        (json!({ "url": "https://x/", "events": [] }), "/events", "missing"),
        (json!({ "url": "https://x/", "events": ["message.read"] }), "/events/0", "unknown_event"),
        (json!({ "url": "https://x/", "events": ["mess*"] }), "/events/0", "unknown_event"),
        (json!({ "url": "https://x/", "events": ["*"], "app_id": "wx0" }), "/app_id", "unknown_app"),
    ];
    for (body, pointer, code) in cases {
        let reply = api(&world, "POST", "/webhooks", &body).await;
        let error = reply.json()["errors"][0].clone();
        assert_eq!(
            (reply.status, error["pointer"].as_str(), error["code"].as_str()),
            (422, Some(pointer), Some(code)),
            "{body}: {}",
            reply.text
        );
    }
    assert_eq!(api(&world, "DELETE", "/webhooks/x", &Value::Null).await.json()["code"], "webhook_not_found");
    // The secret stands nowhere in the files as it is.
    let made = endpoint(&world, "https://example.com/", json!(["*"])).await;
    let secret = made["secret"].as_str().unwrap().to_owned();
    for file in std::fs::read_dir(world.files()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}
