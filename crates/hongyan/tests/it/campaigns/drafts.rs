//! What a draft may say, and what is answered where it says something wrong.

use serde_json::json;

use super::{act, draft, drafted};
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mistake_is_named_with_its_pointer() {
    let world = World::new(false).await;
    let cases = [
        (json!({ "name": " " }), "/name", "invalid_name"),
        (json!({ "template_id": "nope" }), "/template_id", "unknown_template"),
        (json!({ "data": { "thing8": "{{fee", "thing5": "x" } }), "/data/thing8", "invalid_placeholder"),
        (
            json!({ "data": { "thing8": "{{fee|monney}}", "thing5": "x" } }),
            "/data/thing8",
            "invalid_placeholder",
        ),
        (json!({ "data": { "thing8": "x" } }), "/data/thing5", "missing"),
        (
            json!({ "data": { "thing8": "x", "thing5": "y", "thing9": "{{z}}" } }),
            "/data/thing9",
            "unknown_field",
        ),
        (json!({ "data": { "thing8": "123456789012345678901", "thing5": "y" } }), "/data/thing8", "too_long"),
        (json!({ "page": "https://example.com" }), "/page", "invalid_page"),
        (json!({ "rate_per_second": 0 }), "/rate_per_second", "invalid_rate"),
        (json!({ "window": { "from": "8", "to": "21:00" } }), "/window", "invalid_window"),
        (
            json!({ "window": { "from": "08:00", "to": "21:00", "time_zone": "Mars" } }),
            "/window",
            "invalid_window",
        ),
        (json!({ "send_at": "tomorrow" }), "/send_at", "invalid_time"),
        (json!({ "send_at": "2020-01-01T00:00:00Z" }), "/send_at", "invalid_time"),
        (json!({ "expire_at": "2020-01-01T00:00:00Z" }), "/expire_at", "invalid_time"),
        (json!({ "lang": "xx" }), "/lang", "invalid_value"),
        (
            json!({ "audience": { "kind": "recipients", "recipients": [{ "to": { "phone": "1" } }] } }),
            "/audience/recipients/0/to",
            "invalid_recipient",
        ),
        (
            json!({ "audience": { "kind": "upload", "upload_id": "x" } }),
            "/audience/upload_id",
            "unknown_upload",
        ),
    ];
    for (more, pointer, code) in cases {
        let reply = draft(&world, more.clone()).await;
        assert_eq!(reply.status, 422, "{more}: {}", reply.text);
        let errors = reply.json()["errors"].clone();
        let found = errors.as_array().unwrap().iter().find(|error| error["pointer"] == pointer);
        assert_eq!(found.map(|error| error["code"].as_str().unwrap()), Some(code), "{more}: {errors}");
    }
    for body in [json!({}), json!({ "name": "x" }), json!([])] {
        let reply = world.api("POST", "/campaigns", &body).await;
        assert_eq!(reply.status, 422, "{}", reply.text);
    }
    let reply = draft(&world, json!({ "audience": { "kind": "everybody" } })).await;
    assert_eq!(reply.status, 422);
    assert_eq!(world.get("/campaigns").await["items"], json!([]), "nothing was kept");
    let missing = act(&world, "/campaigns/0190a1b2-0000-7000-8000-000000000000", "start").await;
    assert_eq!((missing.status, missing.json()["code"].as_str()), (404, Some("campaign_not_found")));
    assert_eq!(act(&world, "/campaigns/x", "pause").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_can_be_changed_and_an_idempotency_key_makes_one() {
    let world = World::new(false).await;
    let list = json!([{ "to": "oCampaign_000001_abcdefghij", "vars": { "a": "1" } }]);
    let path = drafted(&world, json!({ "audience": { "kind": "recipients", "recipients": list } })).await;
    let changed = world.api("PATCH", &path, &json!({ "name": "八月", "rate_per_second": 5 })).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let changed = changed.json();
    assert_eq!((changed["name"].as_str(), changed["rate_per_second"].as_i64()), (Some("八月"), Some(5)));
    assert_eq!(changed["counts"]["recipients"], 1, "the list stays");
    let longer = json!({ "audience": { "kind": "recipients", "recipients": [list[0], list[0]] } });
    let changed = world.api("PATCH", &path, &longer).await.json();
    assert_eq!((changed["counts"]["recipients"].as_i64(), changed["name"].as_str()), (Some(2), Some("八月")));
    let wrong = world.api("PATCH", &path, &json!({ "name": "" })).await;
    assert_eq!(wrong.status, 422);
    assert_eq!(world.api("PATCH", &path, &json!({ "nam": "x" })).await.status, 422);

    let body = json!({ "name": "n", "template_id": crate::world::FEE, "data": { "thing8": "x", "thing5": "y" }, "audience": { "kind": "subscribers" } });
    let key = [("idempotency-key", "once")];
    let first = world.api_with("POST", "/campaigns", &key, &body).await;
    let second = world.api_with("POST", "/campaigns", &key, &body).await;
    assert_eq!((first.status, second.status), (201, 201), "{}", second.text);
    assert_eq!(first.json()["id"], second.json()["id"]);
    let mut other = body.clone();
    other["name"] = "m".into();
    let reused = world.api_with("POST", "/campaigns", &key, &other).await;
    assert_eq!((reused.status, reused.json()["code"].as_str()), (422, Some("idempotency_key_reused")));
    assert_eq!(world.get("/campaigns").await["items"].as_array().unwrap().len(), 2);

    // A key that may only read writes nothing.
    let (_, reader) = world.service().create_key("reader", None, &[service::Scope::Read]).await.unwrap();
    let bearer = format!("Bearer {}", secrecy::ExposeSecret::expose_secret(&reader));
    let url = format!("{}/api/v1/apps/{}{path}/start", world.url, simulator::SAMPLE_APPID);
    let refused =
        crate::http::call("POST", &url, &[("authorization", &bearer), ("connection", "close")], "").await;
    assert_eq!(refused.status, 403);
}
