//! Access tokens from a team's own token server (I11, I12).

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use simulator::SAMPLE_APPID;
use wechat::client::{Client, ClientConfig};

use crate::http::call;
use crate::target::{Says, Target};
use crate::world::{AES_KEY, FEE, TOKEN, World, until};

/// A token as the team's token server has it from WeChat.
async fn token(world: &World, force: bool) -> String {
    let secret = SecretString::from(simulator::sample_app().secret);
    let client = Client::new(ClientConfig::default()).unwrap();
    let grant = client.stable_token(&world.sim_url, SAMPLE_APPID, &secret, force).await.unwrap();
    grant.token.expose_secret().to_owned()
}

async fn delivered(world: &World) {
    let message = world.send_fee(json!({}), &[("prefer", "wait=10")]).await.json();
    let id = message["id"].as_str().unwrap().to_owned();
    let last = std::sync::Mutex::new(Value::Null);
    let seen = crate::world::until_or(|| async {
        let message = world.get(&format!("/messages/{id}")).await;
        last.lock().unwrap().clone_from(&message);
        (message["state"] == "delivered").then_some(())
    })
    .await;
    assert!(seen.is_some(), "{}", last.lock().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_comes_from_the_teams_own_server() {
    let world = World::new(true).await;
    let server = Target::start().await;
    for _ in 0..3 {
        world.clock.advance(1_000);
        world.popup(&json!({ FEE: "accept" }));
    }
    until("the grants", || async { (world.balance(FEE).await == 3).then_some(()) }).await;
    let first = token(&world, false).await;
    server.says(Says::text(
        "application/json",
        &json!({ "access_token": first, "expires_in": 7200 }).to_string(),
    ));
    let source = json!({ "kind": "url", "url": format!("{}?key=hush-query", server.url), "header": "Authorization: Bearer hush-header" });
    let app = world.api("PATCH", "", &json!({ "token_source": source })).await;
    assert_eq!(app.status, 200, "{}", app.text);
    let shown = app.json()["token_source"].clone();
    assert_eq!(
        shown,
        json!({ "kind": "url", "url": format!("{}?…", server.url), "header": "Authorization" })
    );
    assert!(!app.text.contains("hush"), "{}", app.text);

    let issued = world.sim.counters(SAMPLE_APPID).unwrap().tokens_issued;
    delivered(&world).await;
    let asked = server.got();
    assert_eq!((asked.len(), asked[0].query.as_str()), (1, "key=hush-query"));
    assert_eq!(asked[0].header("authorization"), Some("Bearer hush-header"));

    // WeChat rejects it: the URL is asked again, and has a new one by now.
    world.sim.revoke_tokens(SAMPLE_APPID).unwrap();
    let second = token(&world, true).await;
    server.says(Says::text("text/plain", &format!("{second}\n")));
    delivered(&world).await;
    assert_eq!(server.got().len(), 2);
    // A bare token has no time of its own: kept for a minute at most.
    world.clock.advance(61_000);
    let shared = world.api("GET", "/access-token", &Value::Null).await.json();
    assert_eq!(shared["access_token"], second.as_str());
    assert_eq!(server.got().len(), 3);
    // One that the server gives again though WeChat rejected it: told by its digest, never by itself.
    let refreshed = world.api("POST", "/access-token/refresh", &json!({ "bad": second })).await;
    assert_eq!(refreshed.status, 200, "{}", refreshed.text);
    let asked = server.got();
    assert_eq!(asked.len(), 5, "once plainly, once by force");
    assert_eq!(asked[3].header("x-rejected-token-sha256"), None);
    let digest = asked[4].header("x-rejected-token-sha256").unwrap().to_owned();
    assert_eq!((digest.len(), asked[4].header("cache-control")), (64, Some("no-cache")));
    assert!(!format!("{asked:?}").contains(second.as_str()));
    let rationed = world.api("POST", "/access-token/refresh", &json!({ "bad": second })).await;
    assert_eq!(rationed.json()["code"], "token_rejected", "forced refreshes are rationed: {}", rationed.text);
    assert_eq!(world.sim.counters(SAMPLE_APPID).unwrap().tokens_issued - issued, 1, "only the team's own");
    for file in std::fs::read_dir(world.service().store().path().parent().unwrap()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(4).any(|window| window == b"hush"));
    }

    // What the server answers wrongly is said, and messages wait.
    server.says(Says::status(502));
    world.clock.advance(61_000);
    let none = world.api("GET", "/access-token", &Value::Null).await;
    assert_eq!((none.status, none.json()["code"].as_str()), (502, Some("token_source_failed")));
    assert!(none.text.contains("502") && !none.text.contains("hush"), "{}", none.text);
    let waits = world.send_fee(json!({}), &[]).await.json();
    let id = waits["id"].as_str().unwrap();
    until("the reason on the message", || async {
        let message = world.get(&format!("/messages/{id}")).await;
        (message["state"] == "queued" && message.to_string().contains("token source")).then_some(())
    })
    .await;
    server.says(Says::text("text/plain", &second));
    until("the message", || async {
        world.clock.advance(30_000);
        let message = world.get(&format!("/messages/{id}")).await;
        (message["state"] == "delivered").then_some(())
    })
    .await;

    // Back to WeChat: what came from the URL is used no more.
    let asked = server.got().len();
    assert_eq!(world.api("PATCH", "", &json!({ "token_source": { "kind": "wechat" } })).await.status, 200);
    assert_eq!(world.api("GET", "/access-token", &Value::Null).await.status, 200);
    assert_eq!(server.got().len(), asked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_with_a_token_source_needs_no_app_secret() {
    let world = World::new(false).await;
    let authorization = format!("Bearer {}", world.key);
    let url = format!("{}/api/v1/apps/wx5a3f0c2b7d9e0000", world.url);
    let headers = [("authorization", authorization.as_str()), ("accept-language", "en")];
    let with = |source: Value| {
        json!({ "name": "x", "callback_token": TOKEN, "aes_key": AES_KEY, "token_source": source })
            .to_string()
    };
    let pointers = |reply: &crate::http::Reply| {
        let errors = reply.json()["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let refused = call("PUT", &url, &headers, with(json!({ "kind": "wechat" }))).await;
    assert_eq!((refused.status, pointers(&refused)), (422, vec!["/secret".to_owned()]));
    let refused = call("PUT", &url, &headers, with(json!({ "kind": "url", "url": "token.example" }))).await;
    assert_eq!(
        (refused.status, pointers(&refused)),
        (422, vec!["/token_source/url".into(), "/secret".into()])
    );
    let source = json!({ "kind": "url", "url": "https://token.example/wx" });
    let made = call("PUT", &url, &headers, with(source)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let refused =
        call("PATCH", &url, &headers, json!({ "token_source": { "kind": "wechat" } }).to_string()).await;
    assert_eq!((refused.status, pointers(&refused)), (422, vec!["/secret".to_owned()]));
}

#[test]
fn the_command_line_reads_the_header_from_a_file() {
    use crate::program::ok;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::write(path.join("header"), "Authorization: Bearer hush\n").unwrap();
    let app = "wx5a3f0c2b7d9e4186";
    let source = ["--token-source", "https://token.example/wx?key=hush", "--token-header-file", "header"];
    ok(path, &[&["app", "add", app, "--name", "x", "--generate"][..], &source].concat());
    let shown = ok(path, &["app", "show", app]);
    assert!(
        shown.contains("https://token.example/wx?… (Authorization: …)") && !shown.contains("hush"),
        "{shown}"
    );
}
