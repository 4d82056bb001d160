//! Every verified push is passed on to the team's other server; chats are answered by it where the app says so.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simulator::SAMPLE_APPID;
use wechat::callback::{Format, Mode};

use crate::http::{Reply, call};
use crate::pushes::{Sealing, accept, chat};
use crate::target::{Got, Says, Target};
use crate::world::{AES_KEY, FEE, REPAIR, TOKEN, USER, World, until};

async fn relaying(world: &World, settings: Value) -> Reply {
    world.api("PATCH", "", &json!({ "settings": settings })).await
}

async fn post(world: &World, query: &str, content_type: &str, body: &str) -> Reply {
    let url = format!("{}/callback/{SAMPLE_APPID}?{query}", world.url);
    call("POST", &url, &[("connection", "close"), ("content-type", content_type)], body.to_owned()).await
}

/// The newest callback with everything that is known of it.
async fn newest(world: &World) -> Value {
    let rows = world.get("/callbacks").await;
    world.get(&format!("/callbacks/{}", rows["items"][0]["id"].as_str().unwrap())).await
}

async fn got(target: &Target, count: usize) -> Vec<Got> {
    until("what is passed on", || async { (target.got().len() >= count).then_some(()) }).await;
    target.got()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_are_passed_on_byte_for_byte_and_once() {
    let world = World::new(true).await;
    let target = Target::start().await;
    assert_eq!(relaying(&world, json!({ "relay_url": format!("{}?r=push", target.url) })).await.status, 200);
    let (query, body) = Sealing::registered().push(&world, &accept(&world, FEE));
    // Spaces and all.
    let body = format!(" {body}\r\n");
    for _ in 0..3 {
        assert_eq!(post(&world, &query, "application/json; x=y", &body).await.text, "success");
    }
    let first = got(&target, 1).await.remove(0);
    assert_eq!((first.path.as_str(), first.query.clone()), ("/wx", format!("r=push&{query}")));
    assert_eq!(first.header("content-type"), Some("application/json; x=y"));
    assert_eq!(first.body, body.as_bytes());

    // Plain text and XML, an unknown event, one that cannot be read, one that is stale, a chat: all verified, all passed on.
    relaying(&world, json!({ "previous_keys_hours": 1 })).await;
    world.api("PATCH", "", &json!({ "callback_mode": "plain" })).await;
    world.clock.advance(1_000);
    let plain = Sealing { mode: Mode::Plain, format: Format::Xml, ..Sealing::registered() };
    let unknown = json!({ "ToUserName": "gh_1", "FromUserName": USER, "CreateTime": 1_795_406_401, "MsgType": "event",
        "Event": "weapp_audit_success" });
    let chat = chat(&world, "水管漏了谁管");
    let mut pushes: Vec<(String, String)> =
        [accept(&world, REPAIR), unknown, chat].iter().map(|fields| plain.push(&world, fields)).collect();
    pushes.push((
        plain.push(&world, &json!({})).0,
        "<xml><MsgType>event</MsgType><Event>subscribe_msg_popup_event</Event></xml>".into(),
    ));
    pushes.push(world.envelope(&accept(&world, FEE).to_string(), SAMPLE_APPID, 7_200));
    for (query, body) in &pushes {
        assert_eq!(post(&world, query, "text/xml", body).await.status, 200, "{body}");
    }
    let all = got(&target, 6).await;
    for (query, body) in &pushes {
        let query = format!("r=push&{query}");
        assert_eq!(
            all.iter().filter(|got| got.query == query && got.body == body.as_bytes()).count(),
            1,
            "{body}"
        );
    }
    // The same event after a restart, before anybody remembers it: known by its identity, not passed on again.
    let mut world = world;
    world.restart(true).await;
    assert_eq!(post(&world, &query, "application/json", &body).await.text, "success");
    world.clock.advance(1_000);
    let last = Sealing::registered().push(&world, &accept(&world, REPAIR));
    post(&world, &last.0, "application/json", &last.1).await;
    let all = got(&target, 7).await;
    assert_eq!(all.len(), 7, "{all:?}");
    until("the mark", || async {
        let row = newest(&world).await;
        (row["relay"]["state"] == "delivered").then_some(row)
    })
    .await;
    let row = newest(&world).await;
    assert_eq!(
        (row["relay"]["attempts"].as_i64(), row["relay"]["last_status"].as_i64()),
        (Some(1), Some(200))
    );
    assert!(row["relay"]["last_at"].is_string() && row["relay"]["next_at"].is_null(), "{row}");

    // Nothing that was refused is passed on, and nothing at all where the setting is taken back.
    assert_eq!(post(&world, "signature=0&timestamp=1&nonce=2", "text/xml", "<xml></xml>").await.status, 403);
    assert_eq!(relaying(&world, json!({ "relay_url": "" })).await.status, 200);
    world.clock.advance(1_000);
    let silent = Sealing::registered().push(&world, &accept(&world, FEE));
    post(&world, &silent.0, "application/json", &silent.1).await;
    assert!(newest(&world).await.get("relay").is_none());
    assert_eq!(target.got().len(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_server_is_tried_again_and_never_after_it_took_a_push() {
    let world = World::new(true).await;
    let (target, elsewhere) = (Target::start().await, Target::start().await);
    relaying(&world, json!({ "relay_url": target.url })).await;
    target.says(Says::status(500));
    Sealing::registered().send(&world, &accept(&world, FEE)).await;
    let waits = |status: i64, attempts: i64| {
        let world = &world;
        async move {
            until("the verdict and the mark of a failure", || async {
                let row = newest(world).await;
                let relay = &row["relay"];
                let failed = relay["last_status"] == status && relay["attempts"] == attempts;
                (failed && !row["verdict"].is_null()).then_some(row.clone())
            })
            .await
        }
    };
    let row = waits(500, 1).await;
    assert_eq!((row["relay"]["state"].as_str(), row["verdict"].as_str()), (Some("waiting"), Some("applied")));
    assert!(row["relay"]["next_at"].is_string(), "{row}");
    // A redirect is not followed: whoever could set one could have the pushes.
    target.says(Says { location: Some(elsewhere.url.clone()), ..Says::status(307) });
    world.clock.advance(5_000);
    waits(307, 2).await;
    target.says(Says::status(204));
    world.clock.advance(10_000);
    let row = waits(204, 3).await;
    assert_eq!(row["relay"]["state"], "delivered");
    assert_eq!(elsewhere.got().len(), 0);
    world.clock.advance(3_600_000);
    Sealing::registered().send(&world, &accept(&world, REPAIR)).await;
    waits(204, 1).await;
    assert_eq!(target.got().len(), 4, "three tries of the first, one of the second");

    // Nobody listens there for a day: given up, and said.
    let nobody = crate::program::free_address();
    relaying(&world, json!({ "relay_url": format!("http://{nobody}/") })).await;
    world.clock.advance(1_000);
    Sealing::registered().send(&world, &accept(&world, FEE)).await;
    let id = newest(&world).await["id"].as_str().unwrap().to_owned();
    let row = until("a failure to connect", || async {
        let row = world.get(&format!("/callbacks/{id}")).await;
        row["relay"]["last_error"].is_string().then_some(row)
    })
    .await;
    assert!(row["relay"]["last_error"].as_str().unwrap().contains("no connection"), "{row}");
    world.clock.advance(25 * 3_600_000);
    until("giving up", || async {
        let row = world.get(&format!("/callbacks/{id}")).await;
        (row["relay"]["state"] == "given_up").then_some(())
    })
    .await;
    // What waits when the setting is taken back ends too.
    Sealing::registered().send(&world, &accept(&world, FEE)).await;
    relaying(&world, json!({ "relay_url": "" })).await;
    until("the end of what waited", || async {
        (newest(&world).await["relay"]["state"] == "given_up").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_server_delays_neither_wechat_nor_another_app() {
    const OTHER: &str = "wx5a3f0c2b7d9e0000";
    let world = World::new(true).await;
    let (hangs, other) = (Target::start().await, Target::start().await);
    hangs.says(Says { after: Duration::from_secs(60), ..Says::status(200) });
    relaying(&world, json!({ "relay_url": hangs.url })).await;
    let authorization = format!("Bearer {}", world.key);
    let register = json!({ "name": "x", "secret": "s3cret", "callback_token": TOKEN, "aes_key": AES_KEY,
        "settings": { "relay_url": other.url } });
    let made = call(
        "PUT",
        &format!("{}/api/v1/apps/{OTHER}", world.url),
        &[("authorization", &authorization)],
        register.to_string(),
    )
    .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let slowest = Instant::now();
    for _ in 0..30 {
        world.clock.advance(1_000);
        assert_eq!(Sealing::registered().send(&world, &accept(&world, FEE)).await.text, "success");
    }
    assert!(slowest.elapsed() < Duration::from_secs(5), "thirty answers took {:?}", slowest.elapsed());
    got(&hangs, 1).await;
    let sealing = Sealing { app_id: OTHER, ..Sealing::registered() };
    // One person's event of another moment: the same text would be the same event.
    world.clock.advance(1_000);
    let (query, body) = sealing.push(&world, &accept(&world, FEE));
    let url = format!("{}/callback/{OTHER}?{query}", world.url);
    assert_eq!(call("POST", &url, &[("connection", "close")], body).await.text, "success");
    let started = Instant::now();
    got(&other, 1).await;
    assert!(started.elapsed() < Duration::from_secs(4), "the other app waited {:?}", started.elapsed());
    until("all grants", || async { (world.balance(FEE).await == 30).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_is_answered_by_the_other_server_and_else_handed_to_wechat() {
    let world = World::new(true).await;
    let target = Target::start().await;
    let refused = relaying(&world, json!({ "customer_service": "relay" })).await;
    assert_eq!((refused.status, refused.json()["errors"][0]["pointer"].as_str()), (422, Some("/settings")));
    for bad in ["old.example", "ftp://old.example/", "http://user:pass@old.example/"] {
        assert_eq!(relaying(&world, json!({ "relay_url": bad })).await.status, 422, "{bad}");
    }
    let both = json!({ "customer_service": "relay", "relay_url": target.url });
    assert_eq!(relaying(&world, both).await.status, 200);

    let sealing = Sealing::registered();
    let theirs = "<xml>\n <Encrypt>their own</Encrypt> </xml>";
    target.says(Says::text("text/xml; charset=gbk", theirs));
    let (query, body) = sealing.push(&world, &chat(&world, "水管漏了谁管"));
    let reply = post(&world, &query, "application/json", &body).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, theirs));
    assert_eq!(reply.headers["content-type"], "text/xml; charset=gbk");
    let passed = got(&target, 1).await.remove(0);
    assert_eq!((passed.query, passed.body), (query.clone(), body.clone().into_bytes()));
    let row = newest(&world).await;
    assert_eq!((row["kind"].as_str(), row["relay"]["state"].as_str()), (Some("chat"), Some("delivered")));
    assert!(!row.to_string().contains("水管"), "{row}");
    // WeChat did not get the answer and pushes once more: the same answer, and nothing passed on.
    let again = post(&world, &query, "application/json", &body).await;
    assert_eq!(again.text, theirs);
    assert_eq!(target.got().len(), 1);
    // Events go their usual way.
    world.clock.advance(1_000);
    assert_eq!(sealing.send(&world, &accept(&world, FEE)).await.text, "success");
    got(&target, 2).await;

    // What fails, or takes too long for WeChat's five seconds, is handed to WeChat's own customer service.
    target.says(Says::status(503));
    world.clock.advance(1_000);
    let transferred = sealing.send(&world, &chat(&world, "在吗")).await;
    assert!(sealing.read(&transferred).unwrap().to_string().contains("transfer_customer_service"));
    let row = newest(&world).await;
    assert_eq!(
        (row["relay"]["state"].as_str(), row["relay"]["last_status"].as_i64()),
        (Some("given_up"), Some(503))
    );
    target.says(Says { after: Duration::from_secs(60), ..Says::status(200) });
    world.clock.advance(1_000);
    let started = Instant::now();
    let transferred = sealing.send(&world, &chat(&world, "有人吗")).await;
    assert!(sealing.read(&transferred).unwrap().to_string().contains("transfer_customer_service"));
    assert!(started.elapsed() < Duration::from_millis(4_500), "{:?}", started.elapsed());
    assert_eq!(newest(&world).await["relay"]["last_error"], "no answer in time");
    // A chat that was passed on at once is not passed on again later.
    world.clock.advance(3_600_000);
    target.says(Says::status(200));
    sealing.send(&world, &accept(&world, REPAIR)).await;
    let all = got(&target, 5).await;
    assert_eq!(all.len(), 5, "chat, event, two failed chats, event");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_survives_a_kill() {
    use crate::program::{Server, free_address, hongyan, ok};
    use std::io::Write;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (address, other) = (free_address(), free_address());
    let mut add = hongyan(path)
        .args([
            "app",
            "add",
            SAMPLE_APPID,
            "--name",
            "x",
            "--secret-stdin",
            "--callback-token",
            TOKEN,
            "--aes-key",
            AES_KEY,
        ])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    add.stdin.take().unwrap().write_all(b"0f1e2d3c4b5a69788796a5b4c3d2e1f0").unwrap();
    assert!(add.wait().unwrap().success());
    ok(path, &["app", "set", SAMPLE_APPID, "--setting", &format!("relay_url=http://{other}/wx")]);
    let mut server = Server::start(path, &address);
    until("the server", || async { tokio::net::TcpStream::connect(&address).await.ok().map(drop) }).await;
    let now = || domain::Clock::now(&domain::SystemClock) / 1_000;
    let encrypted = |number: u8| {
        let event = json!({ "ToUserName": "gh_1", "FromUserName": USER, "CreateTime": 1_795_406_400, "MsgType": "event",
            "Event": "weapp_audit_success", "Number": number });
        let key = wechat::callback::crypto::EncodingAesKey::parse(AES_KEY).unwrap();
        key.encrypt([number; 16], event.to_string().as_bytes(), SAMPLE_APPID)
    };
    let mut sent = Vec::new();
    for number in 0..20 {
        let timestamp = now().to_string();
        let encrypted = encrypted(number);
        let signed = wechat::callback::signature::sign(&[TOKEN, &timestamp, "9", &encrypted]);
        let query = format!("timestamp={timestamp}&nonce=9&encrypt_type=aes&msg_signature={signed}");
        let body = json!({ "ToUserName": "gh_1", "Encrypt": encrypted }).to_string();
        let url = format!("http://{address}/callback/{SAMPLE_APPID}?{query}");
        assert_eq!(call("POST", &url, &[("connection", "close")], body.clone()).await.text, "success");
        sent.push((query, body.into_bytes()));
    }
    let log = || std::fs::read_to_string(path.join("serve.log")).unwrap();
    until("a try in vain", || async { log().contains("could not be passed on").then_some(()) }).await;
    server.kill();
    let target = Target::listen(&other).await;
    let address = free_address();
    let mut server = Server::start(path, &address);
    let all = got(&target, 20).await;
    let mut all: Vec<_> = all.into_iter().map(|got| (got.query, got.body)).collect();
    all.sort();
    sent.sort();
    assert_eq!(all, sent, "each once, as it was");
    let metrics = until("the metrics", || async {
        let text = call("GET", &format!("http://{address}/metrics"), &[], "").await.text;
        (text.contains("hongyan_relay_total{outcome=\"delivered\"} 20")
            && text.contains(&format!("hongyan_relay_backlog{{app=\"{SAMPLE_APPID}\"}} 0")))
        .then_some(text)
    })
    .await;
    drop(metrics);
    // What is set aside is said aloud.
    let stale = (now() - 7_200).to_string();
    let signed = wechat::callback::signature::sign(&[TOKEN, &stale, "9", &encrypted(200)]);
    let url =
        format!("http://{address}/callback/{SAMPLE_APPID}?timestamp={stale}&nonce=9&msg_signature={signed}");
    let body = json!({ "ToUserName": "gh_1", "Encrypt": encrypted(200) }).to_string();
    assert_eq!(call("POST", &url, &[("connection", "close")], body).await.text, "success");
    let metrics = call("GET", &format!("http://{address}/metrics"), &[], "").await.text;
    assert!(
        metrics.contains("hongyan_callbacks_quarantined_total{reason=\"stale_timestamp\"} 1"),
        "{metrics}"
    );
    let log = log();
    assert!(log.contains("a push was quarantined"), "{log}");
    assert!(!log.contains(TOKEN) && !log.contains("msg_signature"), "{log}");
    server.kill();
}
