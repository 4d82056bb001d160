//! A simulator on a loopback port with a clock that can be moved, a client for it, and an app's server that
//! takes its callbacks.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "each test file uses a part"
)]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU16, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, extract::RawQuery, http::StatusCode, response::IntoResponse, routing::any};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use simulator::{
    SAMPLE_APPID, SAMPLE_OPENID, Simulator, SimulatorConfig,
    api::{CallbackFormat, CallbackMode, CallbackSpec, Decision, NewUser, Popup},
    sample_app, serve,
};

pub const FEE: &str = "4ondVRxk4L20ihrJ3iI15BDK72XatGPxE0MeCVwHasQ";
pub const REPAIR: &str = "3gMbhH_bFuZlXiaJffCqXlNoqKvJwz_zUSmr-z1jEyo";
pub const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
pub const TOKEN: &str = "AAAAA";
/// 2026-11-23 12:00 in Shanghai.
pub const START: i64 = 1_795_406_400_000;

pub struct Wx {
    pub sim: Simulator,
    pub base: String,
    shift: Arc<AtomicI64>,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// With the sample app and its user.
pub async fn start() -> Wx {
    start_with(|_| ()).await
}

pub async fn start_with(change: impl FnOnce(&mut SimulatorConfig)) -> Wx {
    let (begun, shift) = (Instant::now(), Arc::new(AtomicI64::new(0)));
    let moved = shift.clone();
    let clock = move || START + i64::try_from(begun.elapsed().as_millis()).unwrap() + moved.load(SeqCst);
    // Repeatable, and different at each call: all that tests need.
    let state = AtomicU64::new(1);
    let entropy = move |buffer: &mut [u8]| {
        for byte in buffer {
            let x = state.fetch_add(0x9E37_79B9_7F4A_7C15, SeqCst);
            *byte = (x.wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 56).to_le_bytes()[0];
        }
    };
    let mut config = SimulatorConfig::new(Arc::new(clock), Arc::new(entropy));
    config.callback_deadline = Duration::from_millis(300);
    config.callback_retry_delay = Duration::from_millis(20);
    change(&mut config);
    let sim = Simulator::new(config);
    sim.put_app(SAMPLE_APPID, sample_app()).unwrap();
    sim.add_user(SAMPLE_APPID, &NewUser { openid: Some(SAMPLE_OPENID.to_owned()), nickname: None }).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(listener, sim.clone(), std::future::pending()));
    Wx { sim, base, shift, client: Client::builder(TokioExecutor::new()).build_http() }
}

impl Wx {
    pub fn advance(&self, ms: i64) {
        self.shift.fetch_add(ms, SeqCst);
    }

    pub async fn raw(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> (u16, http::HeaderMap, Bytes) {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", "application/json")
            .body(Full::new(body.into()))
            .unwrap();
        let response = self.client.request(request).await.unwrap();
        let (head, body) = response.into_parts();
        (head.status.as_u16(), head.headers, body.collect().await.unwrap().to_bytes())
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let (status, _, body) = self.raw(Method::GET, path, "").await;
        assert_eq!(status, 200, "{path}: {body:?}");
        serde_json::from_slice(&body).unwrap()
    }

    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let (_, _, body) = self.raw(Method::POST, path, body.to_string()).await;
        if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() }
    }

    pub async fn stable_token(&self, force: bool) -> Value {
        let body = json!({"grant_type": "client_credential", "appid": SAMPLE_APPID,
            "secret": sample_app().secret, "force_refresh": force});
        self.post("/cgi-bin/stable_token", &body).await
    }

    pub async fn token(&self) -> String {
        self.stable_token(false).await["access_token"].as_str().unwrap().to_owned()
    }

    pub async fn send(&self, token: &str, body: &Value) -> Value {
        self.post(&format!("/cgi-bin/message/subscribe/send?access_token={token}"), body).await
    }

    pub fn accept(&self, templates: &[&str]) {
        self.decide(templates, Decision::Accept);
    }

    pub fn decide(&self, templates: &[&str], decision: Decision) {
        let decisions = templates.iter().map(|id| ((*id).to_owned(), decision)).collect();
        self.sim.popup(SAMPLE_APPID, SAMPLE_OPENID, &Popup { decisions, always_keep: false }).unwrap();
    }

    pub fn left(&self, template: &str) -> u32 {
        let user = self.sim.user(SAMPLE_APPID, SAMPLE_OPENID).unwrap();
        user.subscriptions.iter().find(|one| one.template_id == template).unwrap().grants
    }
}

pub fn fee() -> Value {
    json!({"touser": SAMPLE_OPENID, "template_id": FEE, "page": "pages/index?room=3-1201",
        "miniprogram_state": "formal", "lang": "zh_CN",
        "data": {"thing8": {"value": "物业费"}, "thing5": {"value": "请及时缴纳"}}})
}

/// The errcode; where it is not 0 there must be a rid.
pub fn code(answer: &Value) -> i64 {
    let code = answer["errcode"].as_i64().unwrap();
    if code != 0 {
        let errmsg = answer["errmsg"].as_str().unwrap();
        let (_, rid) = errmsg.rsplit_once(" rid: ").unwrap_or_else(|| panic!("no rid: {errmsg}"));
        let parts: Vec<usize> = rid.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 8, 8], "{errmsg}");
    }
    code
}

/// One request the app's server got.
#[derive(Clone)]
pub struct Got {
    pub method: Method,
    pub query: String,
    pub content_type: String,
    pub body: Bytes,
}

impl Got {
    pub fn query(&self) -> std::collections::HashMap<String, String> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
}

/// The app's server: answers the verification, keeps what it gets, answers as told.
#[derive(Clone)]
pub struct Server {
    pub url: String,
    got: Arc<Mutex<Vec<Got>>>,
    status: Arc<AtomicU16>,
    slow_ms: Arc<AtomicU64>,
    words: Arc<Mutex<String>>,
}

impl Server {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            url: format!("http://{}/user", listener.local_addr().unwrap()),
            got: Arc::default(),
            status: Arc::new(AtomicU16::new(200)),
            slow_ms: Arc::default(),
            words: Arc::new(Mutex::new("success".to_owned())),
        };
        let this = server.clone();
        let handler =
            move |method: Method, RawQuery(query): RawQuery, headers: http::HeaderMap, body: Bytes| {
                let this = this.clone();
                async move { this.answer(method, query.unwrap_or_default(), &headers, body).await }
            };
        let router = Router::new().route("/user", any(handler));
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    async fn answer(
        &self,
        method: Method,
        query: String,
        headers: &http::HeaderMap,
        body: Bytes,
    ) -> axum::response::Response {
        let content_type = headers.get("content-type").map_or("", |value| value.to_str().unwrap()).to_owned();
        let got = Got { method: method.clone(), query, content_type, body };
        let echostr = got.query().get("echostr").cloned();
        self.got.lock().unwrap().push(got);
        tokio::time::sleep(Duration::from_millis(self.slow_ms.load(SeqCst))).await;
        let status = StatusCode::from_u16(self.status.load(SeqCst)).unwrap();
        match echostr {
            Some(echostr) if method == Method::GET => (status, echostr).into_response(),
            _ => (status, self.words.lock().unwrap().clone()).into_response(),
        }
    }

    pub fn answers(&self, status: u16, slow_ms: u64) {
        self.status.store(status, SeqCst);
        self.slow_ms.store(slow_ms, SeqCst);
    }

    /// What it says to pushes from now on.
    pub fn says(&self, words: &str) {
        words.clone_into(&mut self.words.lock().unwrap());
    }

    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// Waits until there are `count` requests.
    pub async fn wait(&self, count: usize) -> Vec<Got> {
        for _ in 0..6_000 {
            if self.got().len() >= count {
                return self.got();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} requests instead of {count}", self.got().len());
    }

    pub fn spec(&self, mode: CallbackMode, format: CallbackFormat) -> CallbackSpec {
        CallbackSpec { url: self.url.clone(), token: TOKEN.to_owned(), aes_key: KEY.to_owned(), mode, format }
    }
}

/// The sample app with this callback.
pub fn with_callback(sim: &Simulator, spec: CallbackSpec) {
    let mut app = sample_app();
    app.callback = Some(spec);
    app.receipt_delay_ms = 20;
    sim.put_app(SAMPLE_APPID, app).unwrap();
}
