//! Ten minutes of load beside a download that nobody reads on: the WAL stays bounded, and so does the memory. Long, so
//! only with `cargo xtask test --long`; HONGYAN_SOAK_MINUTES makes it shorter or longer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::{Clock, Entropy, SystemClock, SystemEntropy};
use serde_json::json;
use simulator::{SAMPLE_APPID, Simulator, SimulatorConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wechat::callback::signature;

use crate::chaos::ready;
use crate::http::try_call;
use crate::program::{Server, free_address, ok, register};
use crate::world::{FEE, TOKEN, until};

/// Callbacks and sends a second: a town's busiest hour, so that ten minutes fit on a disk.
const CALLBACKS: u64 = 1_500;
const SENDS: u64 = 200;
const PEOPLE: usize = 50_000;
const WAL: u64 = 256 << 20;
/// What the memory may grow by after the first minutes, in KiB.
const GROWTH: u64 = 48 << 10;

struct Load {
    address: String,
    bearer: String,
    entropy: SystemEntropy,
    callbacks: AtomicU64,
    sends: AtomicU64,
    refused: AtomicU64,
    over: AtomicBool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes ten minutes: cargo xtask test --long"]
async fn ten_minutes_of_load_beside_a_stalled_download() {
    if crate::database::only_a_file() {
        return;
    }
    let minutes: u64 = std::env::var("HONGYAN_SOAK_MINUTES").map_or(10, |text| text.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let address = free_address();
    let wechat = wechat().await;
    let settings = ["--callback-mode", "plain", "--setting", "rate_per_second=0"];
    let load = Arc::new(Load {
        bearer: register(path, &wechat, &settings),
        address: address.clone(),
        entropy: SystemEntropy::new().unwrap(),
        callbacks: AtomicU64::new(0),
        sends: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        over: AtomicBool::new(false),
    });
    ok(path, &["templates", "sync", SAMPLE_APPID]);
    let mut server = Server::start(path, &address);
    until("the server", || ready(&address)).await;
    let tasks: Vec<_> = (0..16)
        .map(|_| tokio::spawn(callbacks(Arc::clone(&load))))
        .chain((0..8).map(|_| tokio::spawn(sends(Arc::clone(&load)))))
        .collect();
    // Enough of a ledger that the download cannot fit into the sockets' buffers.
    let enough = 100_000.min(minutes * 15_000);
    while load.callbacks.load(Ordering::Relaxed) < enough {
        assert_eq!(load.refused.load(Ordering::Relaxed), 0);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut download = stalled(&load).await;

    let (mut wal, mut samples) = (0, Vec::new());
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(60 * minutes) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        wal = wal.max(std::fs::metadata(path.join("hongyan.db-wal")).map_or(0, |file| file.len()));
        samples.push(resident(server.id()));
    }
    load.over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let (callbacks, sends) = (load.callbacks.load(Ordering::Relaxed), load.sends.load(Ordering::Relaxed));
    // A third of the time to warm up: caches fill, the allocator finds its size.
    let early = samples[samples.len() / 3..samples.len() / 2].iter().max().copied().unwrap();
    let late = samples[samples.len() * 5 / 6..].iter().max().copied().unwrap();
    println!(
        "{callbacks} callbacks, {sends} sends in {minutes} min; WAL at most {} MiB; memory {} MiB, then {} MiB",
        wal >> 20,
        early >> 10,
        late >> 10
    );
    assert!(wal < WAL, "the WAL grew to {} MiB", wal >> 20);
    assert!(late < early + GROWTH, "the memory grew from {early} to {late} KiB");
    assert_eq!(load.refused.load(Ordering::Relaxed), 0, "everything was taken");
    assert!(callbacks > 60 * minutes * CALLBACKS / 2, "{callbacks} callbacks are no load");
    // The download goes on where it stood.
    let mut rest = vec![0; 1 << 20];
    assert!(download.read(&mut rest).await.unwrap() > 0);
    server.kill();
}

/// Begins to download the ledger, and stops reading.
async fn stalled(load: &Load) -> TcpStream {
    let mut stream = TcpStream::connect(&load.address).await.unwrap();
    let request = format!(
        "GET /api/v1/apps/{SAMPLE_APPID}/ledger HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\naccept: text/csv\r\n\r\n",
        load.bearer
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut first = vec![0; 4_096];
    let read = stream.read(&mut first).await.unwrap();
    let text = String::from_utf8_lossy(&first[..read]).into_owned();
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("text/csv"), "{text}");
    stream
}

/// Keeps to a rate: the time of the `number`th of so many a second.
async fn paced(started: Instant, number: u64, per_second: u64) {
    let due = Duration::from_micros(number * 1_000_000 / per_second);
    tokio::time::sleep(due.saturating_sub(started.elapsed())).await;
}

async fn callbacks(load: Arc<Load>) {
    let started = Instant::now();
    while !load.over.load(Ordering::Relaxed) {
        let number = load.callbacks.fetch_add(1, Ordering::Relaxed);
        paced(started, number, CALLBACKS).await;
        let now = SystemClock.now() / 1_000;
        let event = json!({ "ToUserName": "gh_ea84a199bf81", "FromUserName": openid(number), "CreateTime": now,
            "MsgType": "event", "Event": "subscribe_msg_popup_event", "Number": number,
            "List": [{ "PopupScene": "0", "SubscribeStatusString": "accept", "TemplateId": FEE }] });
        let (timestamp, nonce) = (now.to_string(), (load.entropy.next_u64() % 1_000_000).to_string());
        let signed = signature::sign(&[TOKEN, &timestamp, &nonce]);
        let url = format!(
            "http://{}/callback/{SAMPLE_APPID}?signature={signed}&timestamp={timestamp}&nonce={nonce}",
            load.address
        );
        let taken = try_call("POST", &url, &[], event.to_string()).await;
        if !taken.is_ok_and(|reply| reply.text == "success") {
            load.refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn sends(load: Arc<Load>) {
    let started = Instant::now();
    while !load.over.load(Ordering::Relaxed) {
        let number = load.sends.fetch_add(1, Ordering::Relaxed);
        paced(started, number, SENDS).await;
        let body = json!({ "to": openid(number), "template_id": FEE,
            "data": { "thing8": format!("物业费 {number}"), "thing5": "请及时缴纳" } });
        let url = format!("http://{}/api/v1/apps/{SAMPLE_APPID}/messages", load.address);
        let taken = try_call("POST", &url, &[("authorization", &load.bearer)], body.to_string()).await;
        if !taken.is_ok_and(|reply| reply.status == 202) {
            load.refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn openid(number: u64) -> String {
    format!("oPerson{:021}", number % PEOPLE as u64)
}

/// A WeChat that takes everything.
async fn wechat() -> String {
    let entropy = SystemEntropy::new().unwrap();
    let sim = Simulator::new(SimulatorConfig::new(
        Arc::new(|| SystemClock.now()),
        Arc::new(move |bytes: &mut [u8]| entropy.fill(bytes)),
    ));
    let mut app = simulator::sample_app();
    app.receipts = false;
    sim.put_app(SAMPLE_APPID, app).unwrap();
    let openids: Vec<_> = (0..PEOPLE as u64).map(openid).collect();
    let seed = serde_json::from_value(json!({ "openids": openids, "grants": { FEE: 100_000 } })).unwrap();
    sim.seed(SAMPLE_APPID, &seed).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(simulator::serve(listener, sim, std::future::pending()));
    url
}

/// KiB of a process that are in memory.
fn resident(process: u32) -> u64 {
    let status =
        std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
