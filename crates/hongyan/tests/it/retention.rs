//! What was kept long enough goes by itself, beside a running service, and what must be provable stays.

use domain::Clock;
use domain::clock::DAY;
use serde_json::{Value, json};

use crate::world::{FEE, World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callbacks_go_first_then_contents_and_the_ledger_stays() {
    let world = World::new(true).await;
    world.popup(&json!({ FEE: "accept" }));
    until("the grant", || async { (world.balance(FEE).await == 1).then_some(()) }).await;
    let sent = world.send_fee(json!({}), &[]).await.json();
    let path = format!("/messages/{}", sent["id"].as_str().unwrap());
    until("it delivered", || async { (world.get(&path).await["state"] == "delivered").then_some(()) }).await;
    let callbacks = async || world.get("/callbacks").await["items"].as_array().unwrap().len();
    assert_eq!(callbacks().await, 2, "the popup and the receipt");
    // On a shared database they go with their whole partition.
    world.clock.advance(if crate::database::is_postgres() { 60 } else { 31 } * DAY);
    if crate::database::is_postgres() {
        // The walk asks each lane, once a minute: what it would do is done here.
        let store = world.service().store();
        let now = world.clock.now();
        store.drop_partitions(Some(now - 30 * DAY), None).await.unwrap();
    }
    until("the callbacks gone", || async { (callbacks().await == 0).then_some(()) }).await;
    assert_eq!(world.get(&path).await["data"]["thing8"], "物业费", "what it said is kept longer");
    if !crate::database::is_postgres() {
        world.clock.advance(150 * DAY);
        until("what it said gone", || async { (world.get(&path).await["data"] == json!({})).then_some(()) })
            .await;
        let message = world.get(&path).await;
        assert_eq!((&message["state"], &message["to"]), (&json!("delivered"), &json!(crate::world::USER)));
        world.clock.advance(600 * DAY);
        until("the message gone", || async {
            (world.api("GET", &path, &Value::Null).await.status == 404).then_some(())
        })
        .await;
    }
    let ledger = world.get(&format!("/ledger?openid={}&template_id={FEE}", crate::world::USER)).await;
    let kinds: Vec<&str> =
        ledger["items"].as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["grant", "spend"], "what explains the balance is all there");
}
