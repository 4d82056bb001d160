//! A whole walk through a serving process, at the most talkative level of its log: no secret is in any line, no openid in those
//! that are written usually; each line of a request has its id; the metrics tell what happened.

use serde_json::{Value, json};
use simulator::{SAMPLE_APPID, SAMPLE_OPENID};

use super::verdict;
use crate::beside_serve::wechat;
use crate::chaos::ready;
use crate::console::{PASSWORD, try_sign_in};
use crate::http::{Reply, call};
use crate::program::{Server, free_address, hongyan, register};
use crate::world::{AES_KEY, FEE, TOKEN, until};

struct Walk {
    address: String,
    bearer: String,
}

impl Walk {
    async fn api(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let mut all = vec![("authorization", self.bearer.as_str()), ("connection", "close")];
        all.extend(headers);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        call(method, &format!("http://{}/api/v1{path}", self.address), &all, body).await
    }

    async fn app(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.api(method, &format!("/apps/{SAMPLE_APPID}{path}"), &[], body).await
    }

    async fn metrics(&self) -> String {
        call("GET", &format!("http://{}/metrics", self.address), &[("connection", "close")], "").await.text
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_leaves_no_secret_in_its_log_and_its_figures_in_the_metrics() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let address = free_address();
    let mut command = hongyan(path);
    command.env("RUST_LOG", "trace").env("HONGYAN_LOG_FORMAT", "json");
    let mut server = Server::of(command, path, &address);
    until("the server", || ready(&address)).await;
    let (sim, sim_url) = wechat(&address).await;
    let bearer = register(path, &sim_url, &[]);
    let walk = Walk { address: address.clone(), bearer };

    // Ids: the caller's, one of ours, and none that could break a line.
    let named = walk.api("GET", "/apps/wx0", &[("x-request-id", "walk-1.a")], &Value::Null).await;
    assert_eq!((named.status, named.headers["x-request-id"].to_str().unwrap()), (404, "walk-1.a"));
    assert_eq!(named.json()["request_id"], "walk-1.a", "{}", named.text);
    let strange = walk.api("GET", "/apps", &[("x-request-id", "a b\"c")], &Value::Null).await;
    let ours = strange.headers["x-request-id"].to_str().unwrap();
    assert!(ours.len() == 32 && ours.bytes().all(|byte| byte.is_ascii_hexdigit()), "{ours}");
    assert_ne!(walk.app("GET", "", &Value::Null).await.headers["x-request-id"], ours, "each its own");

    // Through everything that knows a secret or a person.
    let synced = walk.app("POST", "/templates/sync", &Value::Null).await;
    assert_eq!(synced.status, 200, "{}", synced.text);
    let new = serde_json::from_value(json!({ "openid": SAMPLE_OPENID, "nickname": "张三" })).unwrap();
    sim.add_user(SAMPLE_APPID, &new).unwrap();
    let popup = serde_json::from_value(json!({ "decisions": { FEE: "accept" } })).unwrap();
    sim.popup(SAMPLE_APPID, SAMPLE_OPENID, &popup).unwrap();
    let of = format!("/subscriptions?openid={SAMPLE_OPENID}&template_id={FEE}");
    until("the grant", || async {
        let found = walk.app("GET", &of, &Value::Null).await.json();
        (found["items"][0]["balance"].as_i64() == Some(1)).then_some(())
    })
    .await;
    let message = json!({ "to": SAMPLE_OPENID, "template_id": FEE, "data": { "thing8": "物业费", "thing5": "请及时缴纳" } });
    let mut ids = Vec::new();
    for _ in 0..2 {
        let sent = walk.app("POST", "/messages", &message).await;
        assert_eq!(sent.status, 202, "{}", sent.text);
        ids.push(sent.json()["id"].as_str().unwrap().to_owned());
    }
    for (id, states) in ids.iter().zip([["delivered", "refused"]; 2]) {
        until("its end", || async {
            let found = walk.app("GET", &format!("/messages/{id}"), &Value::Null).await.json();
            states.contains(&found["state"].as_str()?).then_some(())
        })
        .await;
    }
    let person = json!({ "external_id": "A-101", "attributes": { "phone": "13800138000" } });
    let person = walk.app("PUT", &format!("/subscribers/{SAMPLE_OPENID}"), &person).await;
    assert!(person.status < 300, "{}", person.text);
    let session = walk.app("POST", "/mp-sessions", &json!({ "openid": SAMPLE_OPENID })).await;
    assert!(session.status < 300, "{}", session.text);
    let session = session.json()["session"].as_str().unwrap().to_owned();
    let wrong = [("authorization", "Bearer hy_wrongKeyThatNobodyHas"), ("connection", "close")];
    assert_eq!(call("GET", &format!("http://{address}/api/v1/apps"), &wrong, "").await.status, 401);
    let operator = json!({ "name": "boss", "password": PASSWORD, "roles": { "*": "admin" } });
    assert_eq!(walk.api("POST", "/operators", &[], &operator).await.status, 201);
    let signed_in = try_sign_in(&format!("http://{address}"), "boss", PASSWORD).await;
    let cookie = signed_in.headers["set-cookie"].to_str().unwrap().to_owned();
    let cookie = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
    assert_eq!(
        try_sign_in(&format!("http://{address}"), "boss", "not the password at all").await.status,
        401
    );
    let hook = json!({ "url": format!("http://127.0.0.1:9/{}", "hook"), "events": ["*"] });
    let hook = walk.api("POST", "/webhooks", &[], &hook).await;
    let hook = hook.json()["secret"].as_str().map(str::to_owned);
    let made = walk.api("POST", "/keys", &[], &json!({ "name": "tokens", "scopes": ["token"] })).await;
    let token_key = made.json()["key"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token_key}");
    let url = format!("http://{address}/api/v1/apps/{SAMPLE_APPID}/access-token");
    let with_key = [("authorization", bearer.as_str()), ("connection", "close")];
    let token = call("GET", &url, &with_key, "").await.json()["access_token"].as_str().unwrap().to_owned();
    let bad = json!({ "bad": token }).to_string();
    let refreshed = call("POST", &format!("{url}/refresh"), &with_key, bad).await;
    assert_eq!(refreshed.status, 200, "{}", refreshed.text);
    let second_token = refreshed.json()["access_token"].as_str().unwrap().to_owned();
    let doctor = walk.app("GET", "/doctor", &Value::Null).await.json();
    assert_eq!(verdict(&doctor, "token"), "ok", "{doctor}");
    // A push by a stranger, and one with another token.
    let stranger = format!("http://{address}/callback/{SAMPLE_APPID}?signature=00&timestamp=1&nonce=2");
    assert_ne!(call("POST", &stranger, &[("connection", "close")], "{}").await.status, 200);

    // The metrics: what happened is counted, everything is described, nobody is named.
    let metrics = walk.metrics().await;
    let value = |name: &str| -> Option<f64> {
        let line =
            metrics.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    for (name, least) in [
        ("hongyan_send_answers_total{class=\"ok\"}", 1.0),
        ("hongyan_messages_total{state=\"accepted\"}", 1.0),
        ("hongyan_callbacks_total{what=\"push\",verdict=\"ok\"}", 2.0),
        ("hongyan_callbacks_applied_total", 2.0),
        ("hongyan_ready", 1.0),
        ("process_start_time_seconds", 1e9),
        ("hongyan_database_commit_seconds_count", 3.0),
        ("hongyan_http_requests_total{area=\"api\",status=\"4xx\"}", 2.0),
        ("hongyan_database_connections{state=\"open\"}", 1.0),
    ] {
        assert!(value(name).is_some_and(|value| value >= least), "{name}: {:?}\n{metrics}", value(name));
    }
    until("what is measured now and then", || async {
        let metrics = walk.metrics().await;
        let app = format!("{{app=\"{SAMPLE_APPID}\"}}");
        let all = [
            "hongyan_lanes_owned 64".to_owned(),
            "hongyan_lanes_unowned 0".to_owned(),
            "hongyan_queue_oldest_due_seconds 0".to_owned(),
            "hongyan_inbox_oldest_unapplied_seconds 0".to_owned(),
            format!("hongyan_gate_closed{app} 0"),
            format!("hongyan_access_token_age_seconds{app} "),
            "hongyan_webhook_backlog ".to_owned(),
        ];
        all.iter().all(|line| metrics.contains(line)).then_some(())
    })
    .await;
    for name in metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        let known = api::metrics::METRICS.iter().any(|metric| metric.name == name);
        assert!(known && metrics.contains(&format!("# HELP {name} ")), "{name} is not described");
    }
    assert!(!metrics.contains(SAMPLE_OPENID) && !metrics.contains("13800138000"), "{metrics}");

    assert!(server.stop());
    let log = std::fs::read_to_string(path.join("serve.log")).unwrap();
    let app = simulator::sample_app();
    let key = walk.bearer.trim_start_matches("Bearer ");
    let mut secrets = vec![
        ("AppSecret", app.secret.as_str()),
        ("Token", TOKEN),
        ("EncodingAESKey", AES_KEY),
        ("API key", key),
        ("a wrong API key", "hy_wrongKeyThatNobodyHas"),
        ("password", PASSWORD),
        ("a wrong password", "not the password at all"),
        ("session", cookie.as_str()),
        ("session of the mini program", session.as_str()),
        ("phone", "13800138000"),
    ];
    secrets.extend([
        ("access token", token.as_str()),
        ("its successor", second_token.as_str()),
        ("another API key", token_key.as_str()),
    ]);
    secrets.extend(hook.as_deref().map(|hook| ("webhook secret", hook)));
    let master = std::fs::read_to_string(path.join("master.key")).unwrap_or_default();
    secrets.extend(Some(("master key", master.trim())).filter(|(_, key)| !key.is_empty()));
    for (what, secret) in secrets {
        assert!(secret.len() >= 8, "{what} is too short to be looked for: {secret:?}");
        for line in log.lines() {
            assert!(!line.contains(secret), "{what} in: {line}");
        }
    }
    // The setup code is told to whoever sits there, once, and is no log line.
    let lines: Vec<Value> = log
        .lines()
        .filter(|line| !line.contains("/setup  "))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect();
    let usual = lines.iter().filter(|line| matches!(line["level"].as_str(), Some("INFO" | "WARN" | "ERROR")));
    for line in usual.clone() {
        assert!(!line.to_string().contains(SAMPLE_OPENID), "a person in: {line}");
    }
    let of_request = lines.iter().find(|line| line["span"]["id"] == "walk-1.a").unwrap();
    assert_eq!(
        (&of_request["span"]["method"], &of_request["span"]["route"]),
        (&json!("GET"), &json!("/api/v1/apps/{app_id}"))
    );
    let refused = usual
        .clone()
        .find(|line| line["reason"] == "missing_parameter" || line["message"] == "a callback was refused");
    assert!(
        refused.is_some_and(|line| line["span"]["id"].is_string()),
        "a line without its request: {refused:?}"
    );
}
