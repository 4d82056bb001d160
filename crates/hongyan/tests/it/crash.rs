//! kill -9 in the middle of a call: what was acknowledged is there, what may have been sent is `unknown` and is never
//! sent again, and its receipt resolves it (I1, I4, I5).

use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, Entropy, SystemClock, SystemEntropy};
use serde_json::{Value, json};
use simulator::{SAMPLE_APPID, SAMPLE_OPENID, Simulator, SimulatorConfig};
use tokio::net::TcpListener;

use crate::http::call;
use crate::program::{Server, free_address, register};
use crate::world::{AES_KEY, FEE, TOKEN, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_cut_off_by_kill_9_is_unknown_until_its_receipt_comes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let address = free_address();
    let (sim, sim_url) = wechat(&address).await;
    let bearer = register(path, &sim_url, &[]);
    let api = |method: &'static str, path: String, body: Value| {
        let (address, bearer) = (address.clone(), bearer.clone());
        async move {
            let body = if body.is_null() { String::new() } else { body.to_string() };
            let url = format!("http://{address}/api/v1/apps/{SAMPLE_APPID}{path}");
            call(
                method,
                &url,
                &[("authorization", &bearer), ("connection", "close"), ("accept-language", "en")],
                body,
            )
            .await
        }
    };
    let ready = || async { tokio::net::TcpStream::connect(&address).await.ok().map(drop) };
    let balance = || async {
        let reply = api("GET", format!("/subscriptions?openid={SAMPLE_OPENID}"), Value::Null).await;
        reply.json()["items"][0]["balance"].as_i64()
    };

    let mut server = Server::start(path, &address);
    until("the server", ready).await;
    sim.add_user(SAMPLE_APPID, &serde_json::from_value(json!({ "openid": SAMPLE_OPENID })).unwrap()).unwrap();
    let popup = serde_json::from_value(json!({ "decisions": { FEE: "accept" } })).unwrap();
    sim.popup(SAMPLE_APPID, SAMPLE_OPENID, &popup).unwrap();
    until("the grant", || async { (balance().await == Some(1)).then_some(()) }).await;

    let body = json!({ "to": SAMPLE_OPENID, "template_id": FEE, "data": { "thing8": "物业费", "thing5": "请及时缴纳" } });
    let sent = api("POST", "/messages".to_owned(), body).await;
    assert_eq!(sent.status, 202, "{}", sent.text);
    let id = sent.json()["id"].as_str().unwrap().to_owned();
    // WeChat has carried the call out, and its answer is still on the way.
    until("the call at WeChat", || async {
        (sim.counters(SAMPLE_APPID).unwrap().send_calls == 1).then_some(())
    })
    .await;
    server.kill();

    let mut server = Server::start(path, &address);
    until("the server again", ready).await;
    let message = api("GET", format!("/messages/{id}"), Value::Null).await.json();
    assert!(
        matches!(message["state"].as_str(), Some("unknown" | "delivered"))
            // Until the lease of the killed one ends, it is still the killed one's to say.
            || (crate::database::is_postgres() && message["state"] == "sending"),
        "never queued again: {message}"
    );
    // The receipt was pushed while nobody listened; WeChat tries again.
    let message = until("the receipt", || async {
        let message = api("GET", format!("/messages/{id}"), Value::Null).await.json();
        (message["state"] == "delivered").then_some(message)
    })
    .await;
    assert_eq!(message["attempts"].as_array().unwrap().len(), 1, "{message}");
    assert_eq!(balance().await, Some(0), "the grant was spent once");
    assert_eq!(sim.counters(SAMPLE_APPID).unwrap().send_calls, 1, "never sent twice");
    let log = std::fs::read_to_string(path.join("serve.log")).unwrap();
    assert!(log.contains("attempts without an answer"), "the kill hit the call: {log}");
    server.kill();
}

/// WeChat with an answer that takes two seconds, and patience with callbacks.
async fn wechat(service: &str) -> (Simulator, String) {
    let entropy = SystemEntropy::new().unwrap();
    let mut config = SimulatorConfig::new(
        Arc::new(|| SystemClock.now()),
        Arc::new(move |bytes: &mut [u8]| entropy.fill(bytes)),
    );
    config.callback_tries = 100;
    config.callback_retry_delay = Duration::from_millis(100);
    let sim = Simulator::new(config);
    let mut spec = serde_json::to_value(simulator::sample_app()).unwrap();
    spec["callback"] = json!({ "url": format!("http://{service}/callback/{SAMPLE_APPID}"), "token": TOKEN,
        "aes_key": AES_KEY, "mode": "safe", "format": "json" });
    spec["latency_ms"] = json!(2_000);
    sim.put_app(SAMPLE_APPID, serde_json::from_value(spec).unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(simulator::serve(listener, sim.clone(), std::future::pending()));
    (sim, url)
}
