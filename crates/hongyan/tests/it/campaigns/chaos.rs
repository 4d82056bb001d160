//! A campaign, a WeChat that misbehaves, and kill -9 at random moments: every recipient settles, none is accepted twice, the
//! accounts close at every look (I9), and the three lists name everybody.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use domain::{Clock, Entropy, SeededEntropy, SystemClock, SystemEntropy};
use serde_json::{Value, json};
use simulator::{SAMPLE_APPID, Simulator, SimulatorConfig};
use tokio::net::TcpListener;

use super::closed;
use crate::chaos::ready;
use crate::http::{call, try_call};
use crate::program::{Server, free_address, ok, register};
use crate::world::{AES_KEY, FEE, TOKEN, until};

const CONCURRENCY: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_in_a_campaign_lose_nobody_and_repeat_nobody() {
    let seed = SystemEntropy::new().unwrap().next_u64();
    killed(seed, 8_000, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half an hour: cargo xtask test --long"]
async fn twenty_campaigns_of_fifty_thousand_are_killed() {
    let runs: u64 = std::env::var("HONGYAN_CHAOS_RUNS").map_or(20, |text| text.parse().unwrap());
    let entropy = SystemEntropy::new().unwrap();
    for _ in 0..runs {
        killed(entropy.next_u64(), 50_000, 6).await;
    }
}

/// A moment shortly ahead, and a window of three hours around it.
fn soon() -> (String, Value) {
    let now = jiff::Timestamp::from_millisecond(SystemClock.now() + 1_500).unwrap();
    let at = |hours: i64| {
        let moment = (now + jiff::SignedDuration::from_hours(hours))
            .to_zoned(jiff::tz::TimeZone::get("Asia/Shanghai").unwrap());
        moment.strftime("%H:%M").to_string()
    };
    (now.to_string(), json!({ "from": at(-1), "to": at(2), "time_zone": "Asia/Shanghai" }))
}

/// What the looks on the way share.
pub(crate) struct Looks {
    pub(crate) url: String,
    pub(crate) bearer: String,
    pub(crate) over: AtomicBool,
    pub(crate) count: AtomicUsize,
}

#[expect(clippy::print_stdout, reason = "the seed, and what came of it")]
async fn killed(seed: u64, recipients: usize, kills: usize) {
    println!("seed {seed}");
    let random = SeededEntropy::new(seed);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let address = free_address();
    let openids: Vec<String> = (0..recipients).map(|number| format!("oChaos{number:0>21}")).collect();
    let (sim, sim_url) = wechat(&address, seed, &openids).await;
    let settings = ["--setting", "rate_per_second=0", "--setting", "concurrency=64"];
    let bearer = register(path, &sim_url, &settings);
    ok(path, &["templates", "sync", SAMPLE_APPID]);
    let mut server = Server::start(path, &address);
    until("the server", || ready(&address)).await;

    let list: Vec<Value> =
        openids.iter().enumerate().map(|(n, openid)| json!({ "to": openid, "vars": { "n": n } })).collect();
    // Due in a moment, within a window: what waits for its time is killed as well.
    let (due, window) = soon();
    let draft = json!({ "name": "chaos", "template_id": FEE, "on_empty_balance": "try",
        "send_at": due, "window": window, "misfire": { "late_minutes": 60 },
        "data": { "thing8": "物业费{{n}}", "thing5": "请缴纳" }, "audience": { "kind": "recipients", "recipients": list } });
    let base = format!("http://{address}/api/v1/apps/{SAMPLE_APPID}");
    let headers = [("authorization", bearer.as_str())];
    let drafted = call("POST", &format!("{base}/campaigns"), &headers, draft.to_string()).await;
    assert_eq!(drafted.status, 201, "{}", drafted.text);
    let url = format!("{base}/campaigns/{}", drafted.json()["id"].as_str().unwrap());
    let started = call("POST", &format!("{url}/start"), &headers, "").await;
    assert_eq!(started.status, 200, "{}", started.text);

    let looks = Arc::new(Looks {
        url: url.clone(),
        bearer: bearer.clone(),
        over: AtomicBool::new(false),
        count: AtomicUsize::new(0),
    });
    let looking = tokio::spawn(look(Arc::clone(&looks), recipients));
    let mut killed = 0;
    while killed < kills {
        tokio::time::sleep(Duration::from_millis(100 + random.next_u64() % 900)).await;
        let view = call("GET", &url, &headers, "").await.json();
        if !matches!(view["state"].as_str(), Some("running" | "scheduled")) {
            break;
        }
        server.kill();
        killed += 1;
        server = Server::start(path, &address);
        until("the server again", || ready(&address)).await;
    }
    let finished = loop {
        let view = call("GET", &url, &headers, "").await.json();
        closed(&view["counts"]);
        match view["state"].as_str() {
            Some("finished") => break view,
            Some("running" | "scheduled") => tokio::time::sleep(Duration::from_millis(100)).await,
            _ => panic!("{view}"),
        }
    };
    looks.over.store(true, Ordering::Relaxed);
    looking.await.unwrap();
    assert!(looks.count.load(Ordering::Relaxed) > kills, "the accounts were looked at");

    // Nobody twice, and what WeChat took is what the lists say (or nobody knows).
    let proof = sim.accepted(SAMPLE_APPID).unwrap();
    assert!(proof.twice.is_empty(), "accepted twice: {:?}", proof.twice);
    let counters = serde_json::to_value(sim.counters(SAMPLE_APPID).unwrap()).unwrap();
    let ambiguous = usize::try_from(counters["ambiguous"].as_u64().unwrap()).unwrap();
    let mut lists: HashMap<&str, HashSet<String>> = HashMap::new();
    for list in ["sent", "not_sent", "unknown"] {
        let lines = call("GET", &format!("{url}/results?list={list}"), &headers, "").await.json();
        let to = lines.as_array().unwrap().iter().map(|line| line["to"].as_str().unwrap().to_owned());
        lists.insert(list, to.collect());
    }
    let sizes = ["sent", "not_sent", "unknown"].map(|list| lists[list].len());
    println!(
        "sent, not_sent, unknown {sizes:?} after {killed} kills; ambiguous faults {ambiguous}; {}",
        finished["counts"]
    );
    assert_eq!(sizes.iter().sum::<usize>(), recipients, "everybody stands in one list");
    assert_eq!(sizes[1], 0, "everybody had a grant: {}", finished["counts"]);
    assert!(
        sizes[2] <= 2 * CONCURRENCY * killed + ambiguous,
        "{sizes:?}, {killed} kills, {ambiguous} faults"
    );
    let taken: HashSet<String> =
        sim.accepted_sends(SAMPLE_APPID).unwrap().into_iter().map(|send| send.openid).collect();
    assert!(
        lists["sent"].iter().all(|openid| taken.contains(openid)),
        "a list says what WeChat does not know of"
    );
    assert!(taken.iter().all(|openid| lists["sent"].contains(openid) || lists["unknown"].contains(openid)));
    server.kill();
}

/// Looks at the accounts all the time; while the server is down nobody answers.
pub(crate) async fn look(looks: Arc<Looks>, recipients: usize) {
    while !looks.over.load(Ordering::Relaxed) {
        let headers = [("authorization", looks.bearer.as_str())];
        if let Ok(reply) = try_call("GET", &looks.url, &headers, "").await
            && reply.status == 200
        {
            let view = reply.json();
            closed(&view["counts"]);
            assert_eq!(view["counts"]["recipients"].as_u64(), Some(recipients as u64), "{view}");
            looks.count.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// 2 % −1, 1 % cut connections, 1 % 5xx, one revoked token.
pub(crate) async fn wechat(service: &str, seed: u64, openids: &[String]) -> (Simulator, String) {
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
    spec["latency_ms"] = json!(5);
    spec["receipt_delay_ms"] = json!(50);
    spec["keep_accepted"] = json!(true);
    sim.put_app(SAMPLE_APPID, serde_json::from_value(spec).unwrap()).unwrap();
    let grants = serde_json::from_value(json!({ "openids": openids, "grants": { FEE: 1 } })).unwrap();
    sim.seed(SAMPLE_APPID, &grants).unwrap();
    let half = openids.len() / 2;
    let faults = json!({ "seed": seed, "rules": [
        { "on": "send", "fault": "errcode", "errcode": -1, "probability": 0.02 },
        { "on": "send", "fault": "cut_after_body", "probability": 0.005 },
        { "on": "send", "fault": "cut_after_body", "effect": false, "probability": 0.005 },
        { "on": "send", "fault": "http_status", "effect": true, "probability": 0.005 },
        { "on": "send", "fault": "http_status", "effect": false, "probability": 0.005 },
        { "on": "send", "fault": "revoke_tokens", "from": half, "to": half },
    ]});
    sim.set_faults(SAMPLE_APPID, serde_json::from_value(faults).unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(simulator::serve(listener, sim.clone(), std::future::pending()));
    (sim, url)
}
