//! What an app may spend in a day, and whom to ask again.

use serde_json::{Value, json};
use simulator::SAMPLE_APPID;

use super::settings;
use crate::campaigns::{act, calls, campaign, drafted, people};
use crate::world::{FEE, World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_holds_to_the_call_and_begins_anew_at_midnight() {
    let mut world = World::new(true).await;
    people(&world, 30, 1).await;
    settings(&world, json!({ "daily_budget": 20 })).await;
    let path = drafted(&world, json!({})).await;
    act(&world, &path, "start").await;
    let held = until("the budget is spent", || async {
        let now = world.get(&path).await;
        (now["counts"]["accepted"].as_i64().unwrap() + now["counts"]["delivered"].as_i64().unwrap() == 20
            && now["paused_because"].as_str().is_some_and(|because| because.contains("daily_budget")))
        .then_some(now)
    })
    .await;
    let waiting = |campaign: &Value| {
        let of = |name: &str| campaign["counts"][name].as_i64().unwrap();
        of("queued") + of("todo")
    };
    assert_eq!(waiting(&held), 10, "{held}");
    let quota = world.get("/quota").await;
    assert_eq!(
        (quota["daily_budget"].as_i64(), quota["budget_taken"].as_i64(), quota["day"].as_str()),
        (Some(20), Some(20), Some("2026-11-23")),
        "{quota}"
    );
    assert!(quota["daily_limit"].as_i64().unwrap() > 0, "{quota}");

    // A restart gives nothing back.
    world.restart(true).await;
    world.clock.advance(60_000);
    assert_eq!(waiting(&world.get(&path).await), 10);
    assert_eq!(calls(&world), 20);
    world.clock.advance(12 * 3_600_000);
    campaign(&world, &path, "finished").await;
    assert_eq!(calls(&world), 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_that_pile_up_pause_a_campaign() {
    let world = World::new(true).await;
    people(&world, 400, 1).await;
    settings(&world, json!({ "rate_per_second": 100 })).await;
    let faults = json!({ "rules": [{ "on": "send", "fault": "errcode", "errcode": 47003, "errmsg": "argument invalid", "every": 1 }] });
    world.sim.set_faults(SAMPLE_APPID, serde_json::from_value(faults).unwrap()).unwrap();
    let path = drafted(&world, json!({})).await;
    act(&world, &path, "start").await;
    let paused = campaign(&world, &path, "paused").await;
    assert!(paused["paused_because"].as_str().unwrap().contains("47003"), "{paused}");
    assert!(calls(&world) < 400, "it did not go on to the end");
    world.sim.set_faults(SAMPLE_APPID, serde_json::from_value(json!({ "rules": [] })).unwrap()).unwrap();
    act(&world, &path, "resume").await;
    let done = campaign(&world, &path, "finished").await;
    assert!(done["counts"]["failed"].as_i64().unwrap() >= 25, "{done}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotas_are_set_back_only_when_confirmed() {
    let world = World::new(false).await;
    let refused = world.api("POST", "/quota/clear", &json!({ "confirm": "yes" })).await;
    assert_eq!(
        (refused.status, refused.json()["errors"][0]["code"].as_str()),
        (422, Some("not_confirmed")),
        "{}",
        refused.text
    );
    assert_eq!(world.api("POST", "/quota/clear", &json!({ "confirm": SAMPLE_APPID })).await.status, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_spent_the_last_grant_is_asked_again() {
    let world = World::new(true).await;
    let openids = people(&world, 4, 1).await;
    world.clock.advance(1_000);
    assert_eq!(world.push(&world.popup_event(&openids[3], FEE, "accept"), 0).await.status, 200);
    for openid in &openids {
        let sent = world.send_fee(json!({ "to": openid }), &[("prefer", "wait=5")]).await;
        assert_eq!(sent.status, 200, "{}", sent.text);
    }
    // The second refuses afterwards.
    world.clock.advance(1_000);
    assert_eq!(world.push(&world.popup_event(&openids[1], FEE, "reject"), 0).await.status, 200);
    let asked = until("those who spent the last one", || async {
        let page = world.get(&format!("/ask-again?template_id={FEE}")).await;
        let mut asked: Vec<String> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["openid"].as_str().unwrap().to_owned())
            .collect();
        asked.sort_unstable();
        (asked.len() == 2).then_some(asked)
    })
    .await;
    assert_eq!(asked, [openids[0].clone(), openids[2].clone()], "not who refused, nor who has one left");
    let later = world.get(&format!("/ask-again?template_id={FEE}&since=2027-01-01T00:00:00Z")).await;
    assert_eq!(later["items"], json!([]));
    let wrong = world.api("GET", "/ask-again?template_id=nope", &Value::Null).await;
    assert_eq!(wrong.status, 422);
}
