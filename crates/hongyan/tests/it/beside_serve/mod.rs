//! Every command beside a running `serve` on the same data directory: a real child process serves, the commands are
//! processes too, and the server sees what they did.

mod commands;
mod load;
mod lock;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use domain::{Clock, Entropy, SystemClock, SystemEntropy};
use serde_json::{Value, json};
use simulator::{SAMPLE_APPID, SAMPLE_OPENID, Simulator, SimulatorConfig};
use tokio::net::TcpListener;
use wechat::callback::crypto::EncodingAesKey;
use wechat::callback::signature;

use crate::http::{Reply, call, try_call};
use crate::program::{Server, free_address, register};
use crate::world::{AES_KEY, TOKEN, until};

/// How soon the server must have seen what a command did.
const SOON: Duration = Duration::from_secs(1);

/// A running server with an app at a simulated WeChat.
struct Serve {
    directory: tempfile::TempDir,
    address: String,
    bearer: String,
    server: Server,
    sim: Simulator,
    sim_url: String,
    /// The second of the last popup.
    subscribed: AtomicI64,
}

impl Serve {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = free_address();
        let server = Server::start(directory.path(), &address);
        until("the server", || ready(&address)).await;
        let (sim, sim_url) = wechat(&address).await;
        // The server is up already: all of this happens beside it.
        let bearer = register(directory.path(), &sim_url, &[]);
        soon("the app's callback answered", || async {
            verify(&address, SAMPLE_APPID, TOKEN).await.0 == 200
        })
        .await;
        Self { directory, address, bearer, server, sim, sim_url, subscribed: AtomicI64::new(0) }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    async fn api(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.api_as(&self.bearer, method, path, body).await
    }

    async fn api_as(&self, bearer: &str, method: &str, path: &str, body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("authorization", bearer), ("connection", "close"), ("accept-language", "en")];
        call(method, &format!("http://{}/api/v1{path}", self.address), &headers, body).await
    }

    /// The user of the sample app accepts a template in the popup.
    async fn subscribe(&self, template: &str) {
        // Two accepts of one second are one event to whoever reads them: CreateTime knows no less.
        let second = || SystemClock.now() / 1_000;
        let last = self.subscribed.load(Ordering::Relaxed);
        until("another second", || async move { (second() != last).then_some(()) }).await;
        self.subscribed.store(second(), Ordering::Relaxed);
        let new = serde_json::from_value(json!({ "openid": SAMPLE_OPENID, "nickname": "张三" })).unwrap();
        let _ = self.sim.add_user(SAMPLE_APPID, &new);
        let popup = serde_json::from_value(json!({ "decisions": { template: "accept" } })).unwrap();
        self.sim.popup(SAMPLE_APPID, SAMPLE_OPENID, &popup).unwrap();
        let path =
            format!("/apps/{SAMPLE_APPID}/subscriptions?openid={SAMPLE_OPENID}&template_id={template}");
        until("the grant", || async {
            let found = self.api("GET", &path, &Value::Null).await.json();
            (found["items"][0]["balance"].as_i64() > Some(0)).then_some(())
        })
        .await;
    }

    /// What the server wrote to its log.
    fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("serve.log")).unwrap()
    }
}

async fn ready(address: &str) -> Option<()> {
    let reply = try_call("GET", &format!("http://{address}/readyz"), &[], "").await.ok()?;
    (reply.status == 200).then_some(())
}

pub(crate) async fn wechat(service: &str) -> (Simulator, String) {
    let entropy = SystemEntropy::new().unwrap();
    let config = SimulatorConfig::new(
        Arc::new(|| SystemClock.now()),
        Arc::new(move |bytes: &mut [u8]| entropy.fill(bytes)),
    );
    let sim = Simulator::new(config);
    let mut spec = serde_json::to_value(simulator::sample_app()).unwrap();
    spec["callback"] = json!({ "url": format!("http://{service}/callback/{SAMPLE_APPID}"), "token": TOKEN,
        "aes_key": AES_KEY, "mode": "safe", "format": "json" });
    sim.put_app(SAMPLE_APPID, serde_json::from_value(spec).unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(simulator::serve(listener, sim.clone(), std::future::pending()));
    (sim, url)
}

/// The server's answer to WeChat's verification of the address.
async fn verify(address: &str, app_id: &str, token: &str) -> (u16, String) {
    let timestamp = (SystemClock.now() / 1_000).to_string();
    let signed = signature::sign(&[token, &timestamp, "nonce"]);
    let query = format!("signature={signed}&timestamp={timestamp}&nonce=nonce&echostr=echo42");
    let url = format!("http://{address}/callback/{app_id}?{query}");
    let reply = call("GET", &url, &[("connection", "close")], "").await;
    (reply.status, reply.text)
}

/// Query and body of a push in safe mode.
fn envelope(entropy: &dyn Entropy, event: &Value) -> (String, String) {
    let timestamp = (SystemClock.now() / 1_000).to_string();
    let nonce = (entropy.next_u64() % 1_000_000_000).to_string();
    let mut random = [0; 16];
    entropy.fill(&mut random);
    let key = EncodingAesKey::parse(AES_KEY).unwrap();
    let encrypted = key.encrypt(random, event.to_string().as_bytes(), SAMPLE_APPID);
    let signed = signature::sign(&[TOKEN, &timestamp, &nonce, &encrypted]);
    let query = format!("timestamp={timestamp}&nonce={nonce}&encrypt_type=aes&msg_signature={signed}");
    (query, json!({ "ToUserName": "gh_ea84a199bf81", "Encrypt": encrypted }).to_string())
}

/// Looks again until it is so; it must be so within a second.
async fn soon<F: Future<Output = bool>>(what: &str, mut look: impl FnMut() -> F) {
    let asked = Instant::now();
    until(what, || {
        let looking = look();
        async move { looking.await.then_some(()) }
    })
    .await;
    assert!(asked.elapsed() < SOON, "{what}: seen only after {:?}", asked.elapsed());
}

/// A file of the data directory.
fn file(directory: &Path, name: &str) -> PathBuf {
    directory.join(name)
}
