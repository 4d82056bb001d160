//! Twenty thousand callbacks and five thousand sends, a WeChat that misbehaves, and ten times kill -9 in the midst: no
//! event that was answered `success` is lost or counted twice, no message goes without a state or out twice, and
//! what nobody can know is `unknown`, no more often than the calls under way (I1, I2, I4, I5).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::{Clock, Entropy, SeededEntropy, SystemClock, SystemEntropy};
use serde_json::{Value, json};
use simulator::{SAMPLE_APPID, Simulator, SimulatorConfig};
use tokio::net::TcpListener;
use wechat::callback::crypto::EncodingAesKey;
use wechat::callback::signature;

use crate::http::{call, try_call};
use crate::program::{Server, free_address, register};
use crate::world::{AES_KEY, FEE, REPAIR, TOKEN, until};

const CALLBACKS: usize = 20_000;
const SENDS: usize = 5_000;
const KILLS: usize = 10;
const CONCURRENCY: usize = 64;

/// What the clients and the killer share.
pub(crate) struct Run {
    pub(crate) address: String,
    pub(crate) bearer: String,
    pub(crate) entropy: SeededEntropy,
    /// Callbacks that are pushed, all in all.
    pub(crate) callbacks: usize,
    /// Between two of one client.
    pub(crate) pause: Duration,
    /// Callbacks answered `success`, and sends answered with a message.
    pub(crate) answered: AtomicUsize,
    pub(crate) sent: AtomicUsize,
    pub(crate) next_callback: AtomicUsize,
    pub(crate) next_send: AtomicUsize,
    pub(crate) over: AtomicBool,
}

impl Run {
    pub(crate) fn new(address: String, bearer: String, seed: u64, callbacks: usize) -> Self {
        Self {
            address,
            bearer,
            entropy: SeededEntropy::new(seed),
            callbacks,
            pause: Duration::ZERO,
            answered: AtomicUsize::new(0),
            sent: AtomicUsize::new(0),
            next_callback: AtomicUsize::new(0),
            next_send: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        }
    }
}

pub(crate) fn openid(kind: &str, number: usize) -> String {
    format!("o{kind}{number:0>width$}", width = 27 - kind.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_kills_under_load_lose_nothing_and_repeat_nothing() {
    let seed = SystemEntropy::new().unwrap().next_u64();
    println!("seed {seed}");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let address = free_address();
    let (sim, sim_url) = wechat(&address, seed).await;
    let settings = ["--setting", "rate_per_second=0", "--setting", "concurrency=64"];
    let bearer = register(path, &sim_url, &settings);
    let run = Arc::new(Run::new(address.clone(), bearer, seed, CALLBACKS));

    let mut server = Server::start(path, &address);
    until("the server", || ready(&address)).await;
    let clients: Vec<_> = (0..24).map(|_| tokio::spawn(push_callbacks(Arc::clone(&run)))).collect();
    let senders: Vec<_> = (0..8).map(|_| tokio::spawn(send_messages(Arc::clone(&run)))).collect();
    let mut found_in_flight = Vec::new();
    for kill in 1..=KILLS {
        // Somewhere in its tenth of the run, and never where the last kill was.
        let span = CALLBACKS / (KILLS + 1);
        let jitter = usize::try_from(run.entropy.next_u64() % 1_000).unwrap() * span / 1_000;
        let moment = (kill * span + jitter / 2).min(CALLBACKS - 1);
        while run.answered.load(Ordering::Relaxed) < moment {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(run.sent.load(Ordering::Relaxed) < SENDS, "sends are under way too");
        server.kill();
        server = Server::start(path, &address);
        until("the server again", || ready(&address)).await;
        found_in_flight.push(orphans(path));
    }
    for client in clients.into_iter().chain(senders) {
        client.await.unwrap();
    }
    run.over.store(true, Ordering::Relaxed);
    let counters = || serde_json::to_value(sim.counters(SAMPLE_APPID).unwrap()).unwrap();

    // Everything that is under way settles; then the last receipts come.
    let settled = until("every message settled and every receipt pushed", || async {
        let messages = pages(&run, "/messages?limit=500").await;
        let open =
            messages.iter().any(|m| matches!(m["state"].as_str(), Some("queued" | "sending" | "scheduled")));
        (!open && counters()["receipts_waiting"] == 0).then_some(messages)
    });
    drop(settled.await);
    let pushed = Instant::now();
    let accepted: HashMap<String, String> = sim
        .accepted_sends(SAMPLE_APPID)
        .unwrap()
        .into_iter()
        .map(|send| (send.openid, send.msgid.unwrap_or_default()))
        .collect();
    let messages = until("every accepted message known as such", || async {
        let messages = pages(&run, "/messages?limit=500").await;
        let resolved = messages.iter().all(|message| {
            !accepted.contains_key(message["to"].as_str().unwrap())
                || matches!(message["state"].as_str(), Some("accepted" | "delivered"))
        });
        resolved.then_some(messages)
    })
    .await;
    assert!(
        pushed.elapsed() < Duration::from_secs(5),
        "an unknown with a receipt took {:?}",
        pushed.elapsed()
    );

    // The sends: one message each, settled, and none accepted twice.
    let mut people: Vec<&str> = messages.iter().map(|message| message["to"].as_str().unwrap()).collect();
    people.sort_unstable();
    people.dedup();
    assert_eq!((messages.len(), people.len()), (SENDS, SENDS), "one message for each key");
    let proof = sim.accepted(SAMPLE_APPID).unwrap();
    assert!(proof.twice.is_empty(), "accepted twice: {:?}", proof.twice);
    let mut states: HashMap<&str, usize> = HashMap::new();
    for message in &messages {
        *states.entry(message["state"].as_str().unwrap()).or_default() += 1;
    }
    let counters = counters();
    let ambiguous = usize::try_from(counters["ambiguous"].as_u64().unwrap()).unwrap();
    println!("states {states:?}; in flight at the kills {found_in_flight:?}; ambiguous faults {ambiguous}");
    assert!(states.keys().all(|state| ["accepted", "delivered", "unknown"].contains(state)), "{states:?}");
    if crate::database::is_postgres() {
        // What several kills left is found together, once the leases are over.
        assert!(found_in_flight.iter().sum::<usize>() <= 2 * CONCURRENCY * KILLS, "{found_in_flight:?}");
    } else {
        assert!(found_in_flight.iter().all(|count| *count <= 2 * CONCURRENCY), "{found_in_flight:?}");
    }
    let unknown = states.get("unknown").copied().unwrap_or(0);
    assert!(unknown <= found_in_flight.iter().sum::<usize>() + ambiguous, "{unknown} unknown");
    assert!(ambiguous > 0, "the faults struck");

    // The events: each that was answered counts, once.
    let balances = pages(&run, &format!("/subscriptions?template_id={REPAIR}&limit=500")).await;
    let balances: HashMap<&str, i64> = balances
        .iter()
        .map(|item| (item["openid"].as_str().unwrap(), item["balance"].as_i64().unwrap()))
        .collect();
    let wrong: Vec<_> = (0..CALLBACKS)
        .map(|number| openid("Callback", number))
        .filter(|openid| balances.get(openid.as_str()) != Some(&1))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} people without their one grant: {:?}",
        wrong.len(),
        &wrong[..wrong.len().min(5)]
    );
    server.kill();
}

/// A WeChat that answers late, badly or not at all, now and then, and pushes receipts until they are taken.
async fn wechat(service: &str, seed: u64) -> (Simulator, String) {
    let entropy = SystemEntropy::new().unwrap();
    let mut config = SimulatorConfig::new(
        Arc::new(|| SystemClock.now()),
        Arc::new(move |bytes: &mut [u8]| entropy.fill(bytes)),
    );
    config.callback_tries = 1_000;
    config.callback_retry_delay = Duration::from_millis(100);
    let sim = Simulator::new(config);
    let mut spec = serde_json::to_value(simulator::sample_app()).unwrap();
    spec["callback"] = json!({ "url": format!("http://{service}/callback/{SAMPLE_APPID}"), "token": TOKEN,
        "aes_key": AES_KEY, "mode": "safe", "format": "json" });
    spec["latency_ms"] = json!(10);
    spec["receipt_delay_ms"] = json!(20);
    spec["keep_accepted"] = json!(true);
    sim.put_app(SAMPLE_APPID, serde_json::from_value(spec).unwrap()).unwrap();
    let openids: Vec<_> = (0..SENDS).map(|number| openid("Send", number)).collect();
    let grants = serde_json::from_value(json!({ "openids": openids, "grants": { FEE: 1 } })).unwrap();
    sim.seed(SAMPLE_APPID, &grants).unwrap();
    let faults = json!({ "seed": seed, "rules": [
        { "on": "send", "fault": "cut_after_body", "probability": 0.01 },
        { "on": "send", "fault": "cut_after_body", "effect": false, "probability": 0.005 },
        { "on": "send", "fault": "http_status", "effect": true, "probability": 0.005 },
        { "on": "send", "fault": "html", "probability": 0.005 },
        { "on": "send", "fault": "half_body", "probability": 0.005 },
        { "on": "send", "fault": "errcode", "errcode": -1, "probability": 0.01 },
        { "on": "send", "fault": "revoke_tokens", "from": 1_500, "to": 1_500 },
        { "on": "receipt", "fault": "duplicate", "probability": 0.02 },
        { "on": "receipt", "fault": "overtake", "probability": 0.02 },
    ]});
    sim.set_faults(SAMPLE_APPID, serde_json::from_value(faults).unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(simulator::serve(listener, sim.clone(), std::future::pending()));
    (sim, url)
}

/// Each event until it is answered `success`, the same plaintext each time, as WeChat does.
pub(crate) async fn push_callbacks(run: Arc<Run>) {
    let key = EncodingAesKey::parse(AES_KEY).unwrap();
    loop {
        let number = run.next_callback.fetch_add(1, Ordering::Relaxed);
        if number >= run.callbacks {
            return;
        }
        tokio::time::sleep(run.pause).await;
        let openid = openid("Callback", number);
        let event = json!({ "ToUserName": "gh_ea84a199bf81", "FromUserName": openid, "CreateTime": SystemClock.now() / 1_000,
            "MsgType": "event", "Event": "subscribe_msg_popup_event",
            "List": [{ "PopupScene": "0", "SubscribeStatusString": "accept", "TemplateId": REPAIR }] })
        .to_string();
        loop {
            let timestamp = (SystemClock.now() / 1_000).to_string();
            let nonce = (run.entropy.next_u64() % 1_000_000_000).to_string();
            let mut random = [0; 16];
            run.entropy.fill(&mut random);
            let encrypted = key.encrypt(random, event.as_bytes(), SAMPLE_APPID);
            let signed = signature::sign(&[TOKEN, &timestamp, &nonce, &encrypted]);
            let url = format!(
                "http://{}/callback/{SAMPLE_APPID}?timestamp={timestamp}&nonce={nonce}&openid={openid}&encrypt_type=aes&msg_signature={signed}",
                run.address
            );
            let body = json!({ "ToUserName": "gh_ea84a199bf81", "Encrypt": encrypted }).to_string();
            match try_call("POST", &url, &[], body).await {
                Ok(reply) if reply.status == 200 => {
                    assert_eq!(reply.text, "success");
                    run.answered.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                // Down, or cut off in the midst: nobody knows whether it was kept, so it is pushed again.
                Ok(reply) => assert_eq!(reply.status, 503, "{}", reply.text),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

/// Each message until it is answered, with the same idempotency key.
async fn send_messages(run: Arc<Run>) {
    loop {
        // Sends keep step with the callbacks, so that every kill hits both.
        let (answered, next) = (run.answered.load(Ordering::Relaxed), run.next_send.load(Ordering::Relaxed));
        if next * CALLBACKS > (answered + CALLBACKS / KILLS / 4) * SENDS && answered < CALLBACKS {
            tokio::time::sleep(Duration::from_millis(2)).await;
            continue;
        }
        let number = run.next_send.fetch_add(1, Ordering::Relaxed);
        if number >= SENDS {
            return;
        }
        let body = json!({ "to": openid("Send", number), "template_id": FEE,
            "data": { "thing8": format!("物业费 {number}"), "thing5": "请及时缴纳" } })
        .to_string();
        let url = format!("http://{}/api/v1/apps/{SAMPLE_APPID}/messages", run.address);
        let key = format!("bill-{number}");
        loop {
            let headers = [("authorization", run.bearer.as_str()), ("idempotency-key", key.as_str())];
            match try_call("POST", &url, &headers, body.clone()).await {
                Ok(reply) if reply.status == 202 => {
                    run.sent.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Ok(reply) => assert_eq!(reply.status, 503, "{}", reply.text),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

pub(crate) async fn ready(address: &str) -> Option<()> {
    let reply = try_call("GET", &format!("http://{address}/readyz"), &[], "").await.ok()?;
    (reply.status == 200).then_some(())
}

/// All pages of a list.
pub(crate) async fn pages(run: &Run, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let url = format!("http://{}/api/v1/apps/{SAMPLE_APPID}{path}{cursor}", run.address);
        let page = call("GET", &url, &[("authorization", &run.bearer)], "").await.json();
        items.extend(page["items"].as_array().unwrap_or_else(|| panic!("{page}")).iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

/// How many attempts without an answer the last start found.
fn orphans(path: &std::path::Path) -> usize {
    let log = std::fs::read_to_string(path.join("serve.log")).unwrap();
    let last_start = log.rfind("hongyan is ready").map_or(0, |end| {
        // Orphans are settled before the server is ready: between the two last such lines.
        log[..end].rfind("hongyan is ready").unwrap_or(0)
    });
    log[last_start..]
        .lines()
        .filter(|line| line.contains("attempts without an answer"))
        .filter_map(|line| {
            line.split("count=").nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        })
        .map(|count: usize| count)
        .sum()
}
