//! The ledger by hand, and in words.

use serde_json::{Value, json};

use crate::campaigns::{act, campaign, drafted, people};
use crate::world::{FEE, USER, World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn balances_are_imported_adjusted_and_explained() {
    let world = World::new(true).await;
    let import =
        json!({ "openid": USER, "template_id": FEE, "kind": "import", "count": 3, "note": "旧系统" });
    let key = [("idempotency-key", "import-1")];
    let first = world.api_with("POST", "/ledger", &key, &import).await;
    assert_eq!((first.status, first.json()["balance"].as_i64()), (200, Some(3)), "{}", first.text);
    assert_eq!(first.json()["certainty"], "unverified");
    let again = world.api_with("POST", "/ledger", &key, &import).await;
    assert_eq!(
        (again.status, again.json()["balance"].as_i64()),
        (200, Some(3)),
        "counted once: {}",
        again.text
    );
    let mut other = import.clone();
    other["count"] = 4.into();
    let reused = world.api_with("POST", "/ledger", &key, &other).await;
    assert_eq!((reused.status, reused.json()["code"].as_str()), (422, Some("idempotency_key_reused")));

    let adjust =
        json!({ "openid": USER, "template_id": FEE, "kind": "adjust", "delta": -1, "note": "用户电话说明" });
    assert_eq!(world.api("POST", "/ledger", &adjust).await.json()["balance"], 2);
    let list = json!({ "entries": [
        { "openid": USER, "template_id": FEE, "kind": "adjust", "delta": 1 },
        { "openid": "x", "template_id": "nope", "kind": "import", "count": -1 },
        { "openid": USER, "template_id": FEE, "kind": "adjust", "delta": 5, "note": "n" },
        { "openid": "oNobody_00000_abcdefghijklm", "template_id": FEE, "kind": "adjust", "delta": -1, "note": "n" },
    ] });
    let verdicts = world.api("POST", "/ledger", &list).await.json();
    assert_eq!(verdicts["items"][0]["problem"]["errors"][0]["code"], "note_missing", "{verdicts}");
    let wrong: Vec<&str> = verdicts["items"][1]["problem"]["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(wrong, ["/openid", "/template_id", "/count"]);
    assert_eq!(verdicts["items"][2]["subscription"]["balance"], 7);
    assert_eq!(verdicts["items"][3]["problem"]["errors"][0]["code"], "nothing_to_adjust", "{verdicts}");
    assert_eq!(world.api("POST", "/ledger", &json!({ "openid": USER })).await.status, 422);

    let ledger = world.get(&format!("/ledger?openid={USER}&template_id={FEE}")).await;
    let entries = ledger["items"].as_array().unwrap();
    assert_eq!(entries.len(), 3, "{ledger}");
    assert_eq!((entries[1]["note"].as_str(), entries[1]["delta"].as_i64()), (Some("用户电话说明"), Some(-1)));
    assert_eq!(entries[1]["evidence"]["by"], "key:1 test");
    let sum: i64 = entries.iter().map(|entry| entry["delta"].as_i64().unwrap()).sum();
    assert_eq!((sum, ledger["summary"]["balance"].as_i64()), (7, Some(7)));
    assert_eq!(
        (ledger["summary"]["imported"].as_i64(), ledger["summary"]["adjusted"].as_i64()),
        (Some(3), Some(4))
    );
    assert!(ledger["summary"]["explanation"].as_str().unwrap().contains("not certain"), "{ledger}");

    // A send is explained by its message, a grant by its callback.
    world.popup(&json!({ FEE: "accept" }));
    until("the grant", || async { (world.balance(FEE).await == 8).then_some(()) }).await;
    let sent = world.send_fee(json!({}), &[("prefer", "wait=5")]).await.json();
    let ledger = world.get(&format!("/ledger?openid={USER}&template_id={FEE}")).await;
    let of = |kind: &str| {
        ledger["items"].as_array().unwrap().iter().rfind(|entry| entry["kind"] == kind).unwrap().clone()
    };
    assert_eq!(of("spend")["evidence"]["message_id"], sent["id"], "{ledger}");
    let callback = of("grant")["evidence"]["callback_id"].as_str().unwrap().to_owned();
    assert_eq!(world.get(&format!("/callbacks/{callback}")).await["kind"], "popup");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_known_zero_is_refused() {
    let world = World::new(true).await;
    let openids = people(&world, 2, 1).await;
    let refuse = |to: String| json!({ "to": to, "on_empty_balance": "refuse" });
    let no_record = world.send_fee(refuse("oStranger_000001_abcdefghij".into()), &[]).await;
    assert_eq!((no_record.status, no_record.json()["code"].as_str()), (422, Some("no_grant")));
    // Imported with 0: there may be some, only trying tells.
    let strangers = json!({ "openids": ["oImported_000001_abcdefghij", "oImported_000002_abcdefghij"] });
    world.sim.seed(simulator::SAMPLE_APPID, &serde_json::from_value(strangers).unwrap()).unwrap();
    for to in ["oImported_000001_abcdefghij", "oImported_000002_abcdefghij"] {
        let import = json!({ "openid": to, "template_id": FEE, "kind": "import", "count": 0 });
        assert_eq!(world.api("POST", "/ledger", &import).await.status, 200);
    }
    let tried = world.send_fee(refuse("oImported_000001_abcdefghij".into()), &[("prefer", "wait=5")]).await;
    assert_eq!((tried.status, tried.json()["state"].as_str()), (200, Some("refused")), "{}", tried.text);
    // WeChat's 43101 made it a known 0.
    let again = world.send_fee(refuse("oImported_000001_abcdefghij".into()), &[]).await;
    assert_eq!((again.status, again.json()["code"].as_str()), (422, Some("no_grant")), "{}", again.text);

    let path = drafted(&world, json!({})).await;
    let forecast = act(&world, &path, "forecast").await.json();
    let counts =
        ["recipients", "reachable", "unverified", "no_record"].map(|name| forecast[name].as_i64().unwrap());
    assert_eq!(counts, [4, 2, 1, 1], "{forecast}");
    act(&world, &path, "start").await;
    let finished = campaign(&world, &path, "finished").await;
    let counts = &finished["counts"];
    assert_eq!((counts["skipped"].as_i64(), counts["refused"].as_i64()), (Some(1), Some(1)), "{finished}");
    assert_eq!(world.balance(FEE).await, 0);
    assert_eq!(openids.len(), 2);
    let _ = Value::Null;
}
