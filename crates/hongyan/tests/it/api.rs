//! The REST interface: keys and scopes, idempotency, every wrong field named.

use serde_json::json;
use simulator::SAMPLE_APPID;

use crate::http::call;
use crate::world::{FEE, USER, World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_wrong_field_is_named_with_its_pointer() {
    let world = World::new(true).await;
    let codes = |reply: &crate::http::Reply| -> Vec<(String, String)> {
        assert_eq!(reply.status, 422, "{}", reply.text);
        assert_eq!(reply.headers["content-type"], "application/problem+json");
        let body = reply.json();
        let errors = body["errors"].as_array().unwrap_or_else(|| panic!("{body}"));
        errors
            .iter()
            .map(|e| {
                assert!(!e["detail"].as_str().unwrap().is_empty());
                (e["pointer"].as_str().unwrap().to_owned(), e["code"].as_str().unwrap().to_owned())
            })
            .collect()
    };
    let pair = |pointer: &str, code: &str| (pointer.to_owned(), code.to_owned());
    let long = "一二三四五六七八九十一二三四五六七八九十一";
    for (change, expected) in [
        (json!({ "data": { "thing8": long, "thing5": "x" } }), vec![pair("/data/thing8", "too_long")]),
        (json!({ "data": { "thing8": "x" } }), vec![pair("/data/thing5", "missing")]),
        (json!({ "data": { "thing8": "", "thing5": "x" } }), vec![pair("/data/thing8", "empty")]),
        (
            json!({ "data": { "thing8": "x", "thing5": "y", "thing9": "z" } }),
            vec![pair("/data/thing9", "unknown_field")],
        ),
        (json!({ "template_id": "nope" }), vec![pair("/template_id", "unknown_template")]),
        (json!({ "to": "13800138000" }), vec![pair("/to", "invalid_openid")]),
        (json!({ "page": "https://example.com" }), vec![pair("/page", "invalid_page")]),
        (json!({ "send_at": "tomorrow" }), vec![pair("/send_at", "invalid_time")]),
        (json!({ "send_at": "2020-01-01T00:00:00Z" }), vec![pair("/send_at", "invalid_time")]),
        (json!({ "lang": "fr" }), vec![pair("/lang", "invalid_value")]),
        (
            json!({ "to": "x", "data": { "thing8": long }, "page": "a b" }),
            vec![
                pair("/to", "invalid_openid"),
                pair("/data/thing8", "too_long"),
                pair("/data/thing5", "missing"),
                pair("/page", "invalid_page"),
            ],
        ),
    ] {
        let mut found = codes(&world.send_fee(change.clone(), &[]).await);
        let mut expected = expected;
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{change}");
    }
    let typo = world.send_fee(json!({ "tmplate": 1 }), &[]).await;
    assert_eq!((typo.status, typo.json()["code"].as_str()), (422, Some("invalid_body")));
    let broken = call(
        "POST",
        &format!("{}/api/v1/apps/{SAMPLE_APPID}/messages", world.url),
        &[("authorization", &format!("Bearer {}", world.key))],
        "{not json",
    )
    .await;
    assert_eq!((broken.status, broken.json()["code"].as_str()), (400, Some("malformed_json")));
    assert_eq!(world.sim.counters(SAMPLE_APPID).unwrap().send_calls, 0, "WeChat was never asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_answers_the_same_message_also_when_calls_race() {
    let world = World::new(true).await;
    let key = [("idempotency-key", "bill-2026-11-1201")];
    let calls = (0..8).map(|_| world.send_fee(json!({}), &key));
    let replies = futures::future::join_all(calls).await;
    let ids: std::collections::HashSet<_> =
        replies.iter().map(|reply| reply.json()["id"].to_string()).collect();
    let texts: Vec<_> = replies.iter().map(|reply| reply.text.as_str()).collect();
    assert_eq!(ids.len(), 1, "{texts:?}");
    let replayed = replies.iter().filter(|reply| reply.headers.contains_key("idempotent-replayed")).count();
    assert_eq!(replayed, 7);
    let other = world.send_fee(json!({ "data": { "thing8": "水费", "thing5": "x" } }), &key).await;
    assert_eq!((other.status, other.json()["code"].as_str()), (422, Some("idempotency_key_reused")));
    until("one call", || async { (world.sim.counters(SAMPLE_APPID).unwrap().send_calls == 1).then_some(()) })
        .await;
    world.clock.advance(25 * 3_600_000);
    let fresh = world.send_fee(json!({}), &key).await;
    assert!(!ids.contains(&fresh.json()["id"].to_string()), "the key is free again after a day");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_gives_each_message_its_own_verdict() {
    let world = World::new(true).await;
    let good = json!({ "to": USER, "template_id": FEE, "data": { "thing8": "物业费", "thing5": { "value": 12.5 } } });
    let messages = json!({ "messages": [good, { "to": "x" }, good, { "to": USER, "template_id": "nope" }] });
    let reply = world.api("POST", "/messages/batch", &messages).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let items = reply.json()["items"].as_array().unwrap().clone();
    assert_eq!(items.len(), 4);
    assert_eq!(items[0]["message"]["data"]["thing5"], "12.5", "numbers are taken as text");
    assert_eq!(items[1]["problem"]["code"], "invalid_body");
    assert!(items[2]["message"]["id"].is_string());
    assert_eq!(items[3]["problem"]["code"], "validation_failed");
    let many = json!({ "messages": vec![good; 1001] });
    assert_eq!(world.api("POST", "/messages/batch", &many).await.json()["code"], "batch_too_large");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_does_only_what_it_may_and_sees_only_its_app() {
    use secrecy::ExposeSecret;
    let world = World::new(false).await;
    let url = |path: &str| format!("{}/api/v1{path}", world.url);
    let messages = url(&format!("/apps/{SAMPLE_APPID}/messages"));
    let nobody = call("GET", &messages, &[("accept-language", "zh-CN")], "").await;
    assert_eq!(nobody.status, 401);
    assert!(nobody.json()["detail"].as_str().unwrap().contains("接口密钥"), "{}", nobody.text);
    assert_eq!(call("GET", &messages, &[("authorization", "Bearer hy_wrong")], "").await.status, 401);

    let reader = world.service().create_key("reader", None, &[service::Scope::Read]).await.unwrap();
    let bearer = format!("Bearer {}", reader.1.expose_secret());
    let headers = [("authorization", bearer.as_str()), ("accept-language", "en")];
    assert_eq!(call("GET", &messages, &headers, "").await.status, 200);
    let forbidden =
        call("POST", &messages, &headers, json!({ "to": USER, "template_id": FEE }).to_string()).await;
    assert_eq!((forbidden.status, forbidden.json()["code"].as_str()), (403, Some("missing_scope")));
    assert_eq!(
        call("GET", &url(&format!("/apps/{SAMPLE_APPID}/access-token")), &headers, "").await.status,
        403
    );

    let other = json!({ "secret": "s".repeat(32), "callback_token": "abc", "aes_key": "k".repeat(43) });
    let manager = format!("Bearer {}", world.key);
    let added = call(
        "PUT",
        &url("/apps/wx1111111111111111"),
        &[("authorization", manager.as_str())],
        other.to_string(),
    )
    .await;
    assert_eq!(added.status, 201, "{}", added.text);
    assert!(!added.text.contains("ssss") && !added.text.contains("kkkk"), "secrets are write-only");
    let narrow = world
        .service()
        .create_key("narrow", Some("wx1111111111111111"), &[service::Scope::Read])
        .await
        .unwrap();
    let bearer = format!("Bearer {}", narrow.1.expose_secret());
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(
        call("GET", &messages, &headers, "").await.status,
        404,
        "an app outside the scope is not there"
    );
    let apps = call("GET", &url("/apps"), &headers, "").await.json();
    assert_eq!(apps["items"].as_array().unwrap().len(), 1);

    world.service().revoke_key(reader.0).await.unwrap();
    let bearer = format!("Bearer {}", reader.1.expose_secret());
    assert_eq!(call("GET", &messages, &[("authorization", &bearer)], "").await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_metrics_documents_and_the_front_door_answer() {
    let world = World::new(true).await;
    for (path, part) in
        [("/healthz", "ok"), ("/readyz", "ready"), ("/docs", "/apps/{app_id}/messages"), ("/setup", "鸿雁")]
    {
        let reply = call("GET", &format!("{}{path}", world.url), &[], "").await;
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.text.contains(part), "{path}: {}", reply.text);
    }
    assert_eq!(call("GET", &format!("{}/metrics", world.url), &[], "").await.status, 200);
    let document = call("GET", &format!("{}/api/v1/openapi.json", world.url), &[], "").await.json();
    assert!(document["paths"]["/api/v1/apps/{app_id}/messages"]["post"]["responses"]["422"].is_object());
    let lost = call("GET", &format!("{}/nowhere", world.url), &[("accept-language", "en")], "").await;
    assert_eq!((lost.status, lost.json()["code"].as_str()), (404, Some("route_not_found")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alias_is_the_callback_too_and_a_chat_is_handed_on() {
    let world = World::new(true).await;
    assert_eq!(world.api("PATCH", "", &json!({ "alias": "/user" })).await.status, 200);
    let chat = json!({ "ToUserName": "gh_ea84a199bf81", "FromUserName": USER, "CreateTime": 1_795_406_400, "MsgType": "text",
        "Content": "水管漏了谁管", "MsgId": 7_211_873_622_231_126_001_u64 });
    let (query, body) = world.envelope(&chat.to_string(), SAMPLE_APPID, 0);
    let reply = call("POST", &format!("{}/user?{query}", world.url), &[], body).await;
    assert_eq!(reply.status, 200);
    assert!(reply.json()["Encrypt"].is_string(), "transfer_customer_service, encrypted: {}", reply.text);
    let row = world.get("/callbacks").await["items"][0].clone();
    assert_eq!((row["kind"].as_str(), row["verdict"].as_str()), (Some("chat"), Some("ignored")));
    let whole = world.get(&format!("/callbacks/{}", row["id"].as_str().unwrap())).await;
    assert!(!whole.to_string().contains("水管"), "a chat's content is never kept");
    let post = world.api("PATCH", "", &json!({ "alias": "/api" })).await;
    assert_eq!(post.status, 422);
}
