//! A service and a simulated WeChat in this process, on loopback, with a clock that the test moves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Clock, Entropy, ManualClock, SeededEntropy};
use engine::Engine;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use service::{Scope, Service};
use simulator::{SAMPLE_APPID, Simulator, SimulatorConfig};
use store::{MasterKey, OpenError, OpenOptions, Role, Store};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wechat::callback::crypto::EncodingAesKey;
use wechat::callback::signature;
use wechat::client::{Client, ClientConfig};

use crate::http::{Reply, call};

pub(crate) const FEE: &str = "4ondVRxk4L20ihrJ3iI15BDK72XatGPxE0MeCVwHasQ";
pub(crate) const REPAIR: &str = "3gMbhH_bFuZlXiaJffCqXlNoqKvJwz_zUSmr-z1jEyo";
pub(crate) const USER: &str = simulator::SAMPLE_OPENID;
pub(crate) const TOKEN: &str = "pushToken2026";
/// A key whose last character carries spare bits, as three of four real ones do.
pub(crate) const AES_KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

/// A fresh moment for tests: 2026-11-23 12:00 in Shanghai.
const NOON: i64 = 1_795_406_400_000;

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) sim: Simulator,
    pub(crate) sim_url: String,
    pub(crate) url: String,
    pub(crate) key: String,
    entropy: Arc<dyn Entropy>,
    directory: tempfile::TempDir,
    master: MasterKey,
    call_timeout: Duration,
    running: Option<Running>,
}

struct Running {
    service: Service,
    engine: Option<Engine>,
    server: JoinHandle<()>,
    stop: CancellationToken,
}

impl World {
    /// Both sides up, the app registered on both; the engine (which applies and sends) where `engine`.
    pub(crate) async fn new(engine: bool) -> Self {
        Self::with_call_timeout(engine, ClientConfig::default().call_timeout).await
    }

    /// As [`new`](Self::new), with other patience for WeChat.
    pub(crate) async fn with_call_timeout(engine: bool, call_timeout: Duration) -> Self {
        let clock = Arc::new(ManualClock::new(NOON));
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(7));
        let (sim_clock, sim_entropy) = (Arc::clone(&clock), SeededEntropy::new(8));
        let mut config = SimulatorConfig::new(
            Arc::new(move || sim_clock.now()),
            Arc::new(move |bytes: &mut [u8]| sim_entropy.fill(bytes)),
        );
        config.callback_retry_delay = Duration::from_millis(50);
        let sim = Simulator::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sim_url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(simulator::serve(listener, sim.clone(), std::future::pending()));
        let (master, _) = MasterKey::generate(&*entropy);
        let mut world = Self {
            clock,
            sim,
            sim_url,
            url: String::new(),
            key: String::new(),
            entropy,
            directory: tempfile::tempdir().unwrap(),
            master,
            call_timeout,
            running: None,
        };
        world.start(engine).await;
        let scopes = [Scope::Send, Scope::Read, Scope::Manage, Scope::Token];
        let (_, key) = world.service().create_key("test", None, &scopes).await.unwrap();
        world.key = key.expose_secret().to_owned();
        let app = simulator::sample_app();
        let registered = world
            .api(
                "PUT",
                "",
                &json!({ "name": app.name, "secret": app.secret, "callback_token": TOKEN, "aes_key": AES_KEY,
                "api_base_url": world.sim_url }),
            )
            .await;
        assert_eq!(registered.status, 201, "{}", registered.text);
        world.tell_wechat(&json!({}));
        world
    }

    /// The URL of its database.
    pub(crate) fn database(&self) -> String {
        crate::database::url(self.directory.path())
    }

    /// (Re-)registers the app at the simulated WeChat, with changed options.
    pub(crate) fn tell_wechat(&self, options: &Value) {
        let mut spec = serde_json::to_value(simulator::sample_app()).unwrap();
        spec["callback"] = json!({ "url": format!("{}/callback/{SAMPLE_APPID}", self.url), "token": TOKEN,
            "aes_key": AES_KEY, "mode": "safe", "format": "json" });
        // The simulator's clock is ours: a receipt that waited for it would never come.
        spec["receipt_delay_ms"] = json!(0);
        for (name, value) in options.as_object().unwrap() {
            spec[name] = value.clone();
        }
        self.sim.put_app(SAMPLE_APPID, serde_json::from_value(spec).unwrap()).unwrap();
    }

    async fn start(&mut self, engine: bool) {
        let url = crate::database::url(self.directory.path());
        // After a restart the lock file may be held a moment longer: a program that another test starts right then has a
        // copy of every open file between its fork and its exec.
        let store = until("the database, free again", || async {
            let mut options = OpenOptions::new(url.clone(), self.master.clone(), Role::Worker);
            options.connections = 8;
            options.scratch = Some(self.directory.path().to_owned());
            match Store::open(options, Arc::clone(&self.clock) as _, Arc::clone(&self.entropy)).await {
                Ok(store) => Some(store),
                Err(OpenError::InUse(_)) => None,
                Err(error) => panic!("{error}"),
            }
        })
        .await;
        let config = ClientConfig { call_timeout: self.call_timeout, ..ClientConfig::default() };
        let client = Client::new(config).unwrap();
        let service = Service::new(store, client, Arc::clone(&self.clock) as _, Arc::clone(&self.entropy));
        service.apps().reload().await.unwrap();
        let engine = if engine {
            Some(
                Engine::start(
                    service.clone(),
                    engine::Options { private_webhooks: true, ..engine::Options::default() },
                )
                .await
                .unwrap(),
            )
        } else {
            None
        };
        // The same address again after a restart: WeChat knows only one.
        let address =
            if self.url.is_empty() { "127.0.0.1:0" } else { self.url.trim_start_matches("http://") };
        let listener = TcpListener::bind(address).await.unwrap();
        self.url = format!("http://{}", listener.local_addr().unwrap());
        let console = console::router(service.clone(), console::Options::default());
        let router = api::Api::new(service.clone(), api::install_metrics()).router(console);
        let stop = CancellationToken::new();
        let stopping = stop.clone().cancelled_owned();
        let server = tokio::spawn(async move {
            axum::serve(listener, router).with_graceful_shutdown(stopping).await.unwrap();
        });
        self.running = Some(Running { service, engine, server, stop });
    }

    /// Where the database's files are.
    pub(crate) fn files(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Stops the service and starts it again on the same database.
    pub(crate) async fn restart(&mut self, engine: bool) {
        self.stop().await;
        self.start(engine).await;
    }

    /// Stops the service.
    pub(crate) async fn stop(&mut self) {
        let Running { service, engine: old, server, stop } = self.running.take().unwrap();
        stop.cancel();
        // A keep-alive connection of a test client may hold a graceful stop up.
        if tokio::time::timeout(Duration::from_secs(2), server).await.is_err() {
            panic!("the server did not stop");
        }
        if let Some(old) = old {
            old.stop().await;
        }
        if service.store().is_shared() {
            service.store().close().await;
        }
        drop(service);
    }

    pub(crate) fn service(&self) -> &Service {
        &self.running.as_ref().unwrap().service
    }

    /// A call of the REST interface; `path` under `/api/v1/apps/{appid}`.
    pub(crate) async fn api(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.api_with(method, path, &[], body).await
    }

    pub(crate) async fn api_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Reply {
        let authorization = format!("Bearer {}", self.key);
        let mut all = vec![
            ("authorization", authorization.as_str()),
            ("accept-language", "en"),
            ("connection", "close"),
        ];
        all.extend(headers);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        call(method, &format!("{}/api/v1/apps/{SAMPLE_APPID}{path}", self.url), &all, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let reply = self.api("GET", path, &Value::Null).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        reply.json()
    }

    /// Sends the fee notice; gives the message as answered.
    pub(crate) async fn send_fee(&self, more: Value, headers: &[(&str, &str)]) -> Reply {
        let mut body =
            json!({ "to": USER, "template_id": FEE, "data": { "thing8": "物业费", "thing5": "请及时缴纳" } });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.api_with("POST", "/messages", headers, &body).await
    }

    /// The user of the sample app accepts or rejects templates in the popup.
    pub(crate) fn popup(&self, decisions: &Value) {
        let new = serde_json::from_value(json!({ "openid": USER, "nickname": "张三" })).unwrap();
        // The second time the user is there already.
        let _ = self.sim.add_user(SAMPLE_APPID, &new);
        let popup = serde_json::from_value(json!({ "decisions": decisions })).unwrap();
        self.sim.popup(SAMPLE_APPID, USER, &popup).unwrap();
    }

    pub(crate) async fn balance(&self, template: &str) -> i64 {
        let subscriptions = self.get(&format!("/subscriptions?openid={USER}&template_id={template}")).await;
        subscriptions["items"][0]["balance"].as_i64().unwrap_or(0)
    }

    /// Pushes a plaintext as WeChat does in safe mode, with fresh encryption at the present moment less `age_seconds`.
    pub(crate) async fn push(&self, plaintext: &str, age_seconds: i64) -> Reply {
        let (query, body) = self.envelope(plaintext, SAMPLE_APPID, age_seconds);
        self.post_callback(&query, body).await
    }

    pub(crate) async fn post_callback(&self, query: &str, body: impl Into<bytes::Bytes>) -> Reply {
        call(
            "POST",
            &format!("{}/callback/{SAMPLE_APPID}?{query}", self.url),
            &[("connection", "close")],
            body,
        )
        .await
    }

    pub(crate) fn envelope(&self, plaintext: &str, app_id: &str, age_seconds: i64) -> (String, String) {
        let timestamp = (self.clock.now() / 1_000 - age_seconds).to_string();
        let nonce = (self.entropy.next_u64() % 1_000_000_000).to_string();
        let mut random = [0; 16];
        self.entropy.fill(&mut random);
        let encrypted = EncodingAesKey::parse(AES_KEY).unwrap().encrypt(random, plaintext.as_bytes(), app_id);
        let signed = signature::sign(&[TOKEN, &timestamp, &nonce, &encrypted]);
        let plain = signature::sign(&[TOKEN, &timestamp, &nonce]);
        let query = format!(
            "signature={plain}&timestamp={timestamp}&nonce={nonce}&openid={USER}&encrypt_type=aes&msg_signature={signed}"
        );
        (query, json!({ "ToUserName": "gh_ea84a199bf81", "Encrypt": encrypted }).to_string())
    }

    /// Eight random bytes.
    pub(crate) fn chance(&self) -> u64 {
        self.entropy.next_u64()
    }

    /// A popup event as WeChat writes it.
    pub(crate) fn popup_event(&self, openid: &str, template: &str, status: &str) -> String {
        json!({ "ToUserName": "gh_ea84a199bf81", "FromUserName": openid, "CreateTime": self.clock.now() / 1_000,
            "MsgType": "event", "Event": "subscribe_msg_popup_event",
            "List": { "PopupScene": "0", "SubscribeStatusString": status, "TemplateId": template } })
        .to_string()
    }
}

/// Looks again until `look` gives something; fails after a long while.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, look: impl FnMut() -> F) -> T {
    until_or(look).await.unwrap_or_else(|| panic!("not seen: {what}"))
}

/// Looks again until `look` gives something, for a long while: a machine may stand still for seconds.
pub(crate) async fn until_or<T, F: Future<Output = Option<T>>>(mut look: impl FnMut() -> F) -> Option<T> {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look().await {
            return Some(found);
        }
        if Instant::now() > end {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
