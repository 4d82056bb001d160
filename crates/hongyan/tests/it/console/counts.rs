//! Totals that nobody counts when they are asked for, and what needs somebody.

use domain::clock::DAY;
use serde_json::{Value, json};

use crate::world::{FEE, World, until};

async fn today(world: &World) -> Value {
    world.get("/statistics?by=day").await["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["template_id"] == FEE)
        .cloned()
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_is_counted_once() {
    let world = World::new(true).await;
    world.popup(&json!({ FEE: "accept" }));
    until("the grant", || async { (world.balance(FEE).await == 1).then_some(()) }).await;
    assert_eq!(world.send_fee(json!({}), &[]).await.status, 202);
    until("the receipt", || async { (today(&world).await["delivered"] == 1).then_some(()) }).await;
    // Without a grant: 43101.
    assert_eq!(world.send_fee(json!({}), &[("prefer", "wait=10")]).await.json()["state"], "refused");
    world.popup(&json!({ FEE: "reject" }));
    until("the refusal", || async { (today(&world).await["rejects"] == 1).then_some(()) }).await;
    let counted = today(&world).await;
    for (what, n) in
        [("sent", 1), ("delivered", 1), ("refused", 1), ("accepts", 1), ("rejects", 1), ("failed", 0)]
    {
        assert_eq!(counted[what], n, "{what} in {counted}");
    }
    let all = world.get("/statistics?by=hour").await;
    let callbacks: i64 =
        all["items"].as_array().unwrap().iter().map(|one| one["callbacks"].as_i64().unwrap()).sum();
    assert_eq!(callbacks, 3, "two popups and a receipt");
    world.clock.advance(DAY);
    let since = jiff::Timestamp::from_millisecond(domain::Clock::now(&*world.clock) - 2_000).unwrap();
    let later = world.get(&format!("/statistics?since={since}")).await;
    assert_eq!(later["items"], json!([]), "a day later nothing has happened yet");
    let wrong = world.api("GET", "/statistics?since=yesterday", &Value::Null).await;
    assert_eq!(wrong.status, 422);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_somebody_is_told_with_its_remedy() {
    let world = World::new(true).await;
    let codes = || async {
        let all = world.get("/attention").await;
        let items = all["items"].as_array().unwrap().clone();
        items.iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(codes().await, ["no_templates"]);
    world.api("POST", "/templates/sync", &Value::Null).await;
    assert!(codes().await.is_empty());
    world.api("PATCH", "", &json!({ "settings": { "trial": true, "daily_budget": 1 } })).await;
    assert_eq!(codes().await, ["trial"]);
    // A push that is too old is set aside.
    world.push(r#"{"ToUserName":"gh_x","FromUserName":"oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s","CreateTime":1,"MsgType":"event","Event":"subscribe_msg_popup_event","List":[]}"#, 8_000).await;
    until("the alarm", || async { codes().await.contains(&"quarantined".to_owned()).then_some(()) }).await;

    let health = world.service().health().await.unwrap();
    assert_eq!((health.len(), health[0].alarms), (1, 0));
    // The same from afar: quarantined; the mode of trial is a note.
    assert_eq!(health[0].warnings, codes().await.len() - 1);

    let doctor = world.get("/doctor").await;
    let of = |code: &str| {
        let all = doctor["checks"].as_array().unwrap();
        all.iter()
            .find(|check| check["code"] == code)
            .map(|check| check["verdict"].clone())
            .unwrap_or_default()
    };
    assert_eq!((of("token"), of("templates"), of("secret")), (json!("ok"), json!("ok"), json!("ok")));
    // Another Token at WeChat: the diagnosis says so.
    let query = "signature=0000000000000000000000000000000000000000&timestamp=1&nonce=2";
    assert_eq!(world.post_callback(query, r#"{"a":1}"#).await.status, 403);
    let doctor = world.get("/doctor").await;
    let callbacks =
        doctor["checks"].as_array().unwrap().iter().find(|check| check["code"] == "callbacks").unwrap();
    assert_eq!(callbacks["verdict"], "fail");
    assert!(callbacks["detail"].as_str().unwrap().contains("Token"), "{callbacks}");
    assert_eq!(doctor["arrivals"][0]["refused"], "bad_signature");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alias_names_a_template() {
    let world = World::new(false).await;
    let setting = json!({ "settings": { "template_aliases": { "fee": FEE } } });
    assert_eq!(world.api("PATCH", "", &setting).await.status, 200);
    let sent = world.send_fee(json!({ "template_id": "fee" }), &[]).await;
    assert_eq!((sent.status, sent.json()["template_id"].as_str()), (202, Some(FEE)), "{}", sent.text);
    let listed = world.get("/messages?template_id=fee").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let wrong = world.api("PATCH", "", &json!({ "settings": { "template_aliases": "fee" } })).await;
    assert_eq!(wrong.status, 422);
}
