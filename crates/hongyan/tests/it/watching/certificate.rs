//! The certificate of `public_url`: told fifteen days before its end, once a day, by webhook, overview and diagnosis.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use simulator::SAMPLE_APPID;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{check, verdict};
use crate::console::{api, operator};
use crate::world::{World, until};

const HOUR: i64 = 3_600_000;

/// An authority of our own, and a server with a certificate that can be replaced.
struct Secured {
    authority: CertifiedIssuer<'static, KeyPair>,
    config: Arc<Mutex<Arc<ServerConfig>>>,
    port: u16,
}

impl Secured {
    async fn start(end: (i32, u8, u8)) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2040, 1, 1);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let config = Arc::new(Mutex::new(config(&authority, end)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let current = Arc::clone(&config);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = TlsAcceptor::from(Arc::clone(&current.lock().unwrap()));
                tokio::spawn(async move { drop(acceptor.accept(stream).await) });
            }
        });
        Self { authority, config, port }
    }

    fn replace(&self, end: (i32, u8, u8)) {
        *self.config.lock().unwrap() = config(&self.authority, end);
    }
}

/// With a certificate for localhost that ends on a day.
fn config(authority: &CertifiedIssuer<'static, KeyPair>, end: (i32, u8, u8)) -> Arc<ServerConfig> {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(end.0, end.1, end.2);
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, authority).unwrap();
    let chain = vec![CertificateDer::from(leaf.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap())
}

type Told = Arc<(AtomicUsize, Mutex<Value>)>;

async fn receive(State(told): State<Told>, body: String) {
    *told.1.lock().unwrap() = serde_json::from_str(&body).unwrap();
    told.0.fetch_add(1, Ordering::SeqCst);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_is_told_of_in_time() {
    // The clock shows the 23rd of November 2026: ten days are left.
    let secured = Secured::start((2026, 12, 3)).await;
    let world = World::new(true).await;
    let told = Told::default();
    let router = axum::Router::new().fallback(receive).with_state(Arc::clone(&told));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let made =
        api(&world, "POST", "/webhooks", &json!({ "url": url, "events": ["alarm.certificate"] })).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let doctor = world.get("/doctor").await;
    assert_eq!(verdict(&doctor, "certificate"), "skipped", "{doctor}");

    let service = world.service();
    service.trust_also(secured.authority.der().to_vec());
    service.set_public_url(format!("https://localhost:{}", secured.port));
    world.clock.advance(6 * HOUR);
    until("the alarm", || async { (told.0.load(Ordering::SeqCst) == 1).then_some(()) }).await;
    let event = told.1.lock().unwrap().clone();
    assert_eq!(
        (&event["type"], &event["data"]["because"]),
        (&json!("alarm.certificate"), &json!("ends_soon"))
    );
    assert!(event["data"]["not_after"].as_str().unwrap().starts_with("2026-12-03"), "{event}");
    let doctor = world.get("/doctor").await;
    let found = check(&doctor, "certificate");
    assert_eq!((&found["verdict"], &found["app_id"]), (&json!("warn"), &Value::Null), "{found}");
    assert!(found["detail"].as_str().unwrap().contains("9 days"), "{found}");
    assert!(found["remedy"].as_str().unwrap().contains("Renew"), "{found}");
    let attention = world.get("/attention").await;
    let item = |attention: &Value| {
        let all = attention["items"].as_array().unwrap();
        all.iter().find(|one| one["code"] == "certificate").map(|one| one["severity"].clone())
    };
    assert_eq!(item(&attention), Some(json!("warning")), "{attention}");
    let health = service.health().await.unwrap();
    let counted = attention["items"].as_array().unwrap().iter().filter(|one| one["severity"] == "warning");
    assert_eq!(health[0].warnings, counted.count());
    operator(&world, "admin", json!({ "*": "admin" })).await;
    let person = crate::console::Person::sign_in(&world, "admin").await;
    let page = person.get(&format!("apps/{SAMPLE_APPID}/doctor")).await.text;
    assert!(page.contains("public_url 的证书") && page.contains("现在就续期"), "{page}");

    // Looked at four times a day, told once.
    let looks = || service.certificate_seen();
    for _ in 0..2 {
        world.clock.advance(6 * HOUR);
        tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    }
    assert_eq!(told.0.load(Ordering::SeqCst), 1, "once a day");
    // On a shared database the day is the database's.
    let days = if world.service().store().is_shared() { 1 } else { 2 };
    world.clock.advance(12 * HOUR);
    until("the next day's", || async { (told.0.load(Ordering::SeqCst) == days).then_some(()) }).await;

    // Renewed: nothing needs anybody any more.
    secured.replace((2027, 3, 1));
    world.clock.advance(6 * HOUR);
    until("the new one seen", || async { looks().filter(|seen| !seen.alarms()).map(|_| ()) }).await;
    assert_eq!(item(&world.get("/attention").await), None);
    assert_eq!(verdict(&world.get("/doctor").await, "certificate"), "ok");

    // It has ended.
    secured.replace((2026, 11, 1));
    let doctor = world.get("/doctor").await;
    assert_eq!((verdict(&doctor, "certificate"), &doctor["verdict"]), ("fail".to_owned(), &json!("fail")));
    assert!(check(&doctor, "certificate")["detail"].as_str().unwrap().contains("expired"), "{doctor}");
    assert_eq!(item(&world.get("/attention").await), Some(json!("alarm")));
    assert_eq!(told.0.load(Ordering::SeqCst), days);
}
