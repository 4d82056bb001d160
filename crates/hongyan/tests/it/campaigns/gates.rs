//! What holds a campaign up, and whom it does not hold up.

use serde_json::json;
use simulator::SAMPLE_APPID;

use super::{act, calls, campaign, drafted, people};
use crate::world::{FEE, World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_every_message_pauses_the_campaign_and_spends_nothing() {
    let world = World::new(true).await;
    people(&world, 300, 1).await;
    let faults = json!({ "rules": [{ "on": "send", "fault": "errcode", "errcode": 41030, "errmsg": "invalid page" }] });
    world.sim.set_faults(SAMPLE_APPID, serde_json::from_value(faults).unwrap()).unwrap();
    let path = drafted(&world, json!({ "page": "pages/nowhere" })).await;
    act(&world, &path, "start").await;
    let paused = campaign(&world, &path, "paused").await;
    assert!(paused["paused_because"].as_str().unwrap().contains("41030"), "{paused}");
    until("everybody waits again", || async {
        (world.get(&path).await["counts"]["queued"] == 300).then_some(())
    })
    .await;
    assert!(calls(&world) < 300, "not everybody was tried in vain");

    world.sim.set_faults(SAMPLE_APPID, serde_json::from_value(json!({ "rules": [] })).unwrap()).unwrap();
    act(&world, &path, "resume").await;
    let finished = campaign(&world, &path, "finished").await;
    assert_eq!(finished["counts"]["failed"], 0, "{finished}");
    assert_eq!(finished["counts"]["recipients"], 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_urgent_message_passes_a_campaign_and_a_window_holds_it() {
    let world = World::new(true).await;
    let openids = people(&world, 60, 2).await;
    // Noon in Shanghai.
    let night = json!({ "window": { "from": "20:00", "to": "21:00" } });
    let path = drafted(&world, night).await;
    act(&world, &path, "start").await;
    until("everybody waits", || async { (world.get(&path).await["counts"]["queued"] == 60).then_some(()) })
        .await;
    assert!(world.get(&path).await["paused_because"].as_str().unwrap().contains("20:00"));
    let urgent =
        world.send_fee(json!({ "to": openids[7], "priority": "urgent" }), &[("prefer", "wait=5")]).await;
    assert_eq!(urgent.status, 200, "{}", urgent.text);
    assert_eq!(calls(&world), 1, "only the urgent one");
    world.clock.advance(8 * 3_600_000);
    let finished = campaign(&world, &path, "finished").await;
    assert_eq!(finished["counts"]["skipped"], 0, "{finished}");
    assert_eq!(calls(&world), 61);
    let templates = world.get("/templates").await;
    assert!(templates.to_string().contains(FEE));
}
