//! Time moved by hand: what recurs, what comes late, what was missed.

use serde_json::{Value, json};

use crate::campaigns::{act, calls, campaign, drafted, people};
use crate::world::{FEE, World, until};

const HOUR: i64 = 3_600_000;

/// A schedule of the fee notice, every day at one in the afternoon; the clock stands at noon in Shanghai.
async fn scheduled(world: &World, more: Value) -> String {
    let mut body = json!({ "name": "物业费", "cron": "0 13 * * *", "campaign": { "template_id": FEE,
        "data": { "thing8": "物业费", "thing5": "请及时缴纳" }, "audience": { "kind": "subscribers" } } });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let reply = world.api("POST", "/schedules", &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    format!("/schedules/{}", reply.json()["id"].as_str().unwrap())
}

/// The schedule once it has fired on a day (always at one), and made so many campaigns by then.
async fn fired(world: &World, path: &str, day: &str, times: usize) -> Value {
    let at = format!("{day}T13:00:00.000+08:00");
    let schedule = until(&format!("the campaign of {day}"), || async {
        let schedule = world.get(path).await;
        (schedule["last_at"] == at.as_str()).then_some(schedule)
    })
    .await;
    assert_eq!(world.get("/campaigns").await["items"].as_array().unwrap().len(), times);
    schedule
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_day_one_campaign() {
    let mut world = World::new(true).await;
    people(&world, 3, 3).await;
    let path = scheduled(&world, json!({})).await;
    assert_eq!(world.get(&path).await["next_at"], "2026-11-23T13:00:00.000+08:00");
    world.clock.advance(HOUR);
    let first = fired(&world, &path, "2026-11-23", 1).await;
    assert_eq!(
        (first["last_result"].as_str(), first["next_at"].as_str()),
        (Some("started"), Some("2026-11-24T13:00:00.000+08:00")),
        "{first}"
    );
    let of = |schedule: &Value| format!("/campaigns/{}", schedule["last_campaign_id"].as_str().unwrap());
    let done = campaign(&world, &of(&first), "finished").await;
    assert_eq!(
        (done["name"].as_str(), done["counts"]["recipients"].as_i64()),
        (Some("物业费 2026-11-23"), Some(3))
    );
    assert_eq!(calls(&world), 3);
    // Whoever fires it once more, as after a crash before it was noted, finds the campaign of before.
    let service = world.service();
    let app = service.app(simulator::SAMPLE_APPID).await.unwrap();
    let id = first["id"].as_str().unwrap().parse().unwrap();
    let mut before = service.store().schedule(app.number, id).await.unwrap().unwrap();
    before.asked.next_at = before.last_at;
    service.fire_schedule(&app, &before).await.unwrap();
    assert_eq!(world.get("/campaigns").await["items"].as_array().unwrap().len(), 1);

    // Down over three days: the latest is made up for, once.
    world.restart(false).await;
    world.clock.advance(72 * HOUR);
    world.restart(true).await;
    let last = fired(&world, &path, "2026-11-26", 2).await;
    assert_eq!(
        (last["last_at"].as_str(), last["next_at"].as_str()),
        (Some("2026-11-26T13:00:00.000+08:00"), Some("2026-11-27T13:00:00.000+08:00")),
        "{last}"
    );
    campaign(&world, &of(&last), "finished").await;
    assert_eq!(calls(&world), 6);

    // Resting, it makes nothing; awake again, it does not make up for that.
    assert_eq!(world.api("PATCH", &path, &json!({ "enabled": false })).await.json()["next_at"], Value::Null);
    world.clock.advance(48 * HOUR);
    let awake = world.api("PATCH", &path, &json!({ "enabled": true })).await.json();
    assert_eq!(awake["next_at"], "2026-11-29T13:00:00.000+08:00", "{awake}");
    assert_eq!(world.get("/campaigns").await["items"].as_array().unwrap().len(), 2);
    assert_eq!(world.api("DELETE", &path, &Value::Null).await.status, 204);
    assert_eq!(world.api("GET", &path, &Value::Null).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missed_night_is_asked_about() {
    let mut world = World::new(true).await;
    people(&world, 3, 2).await;
    let path = scheduled(&world, json!({ "late_minutes": 120 })).await;
    world.restart(false).await;
    world.clock.advance(4 * HOUR);
    world.restart(true).await;
    let missed = fired(&world, &path, "2026-11-23", 1).await;
    assert_eq!(missed["last_result"], "missed", "{missed}");
    let draft = format!("/campaigns/{}", missed["last_campaign_id"].as_str().unwrap());
    assert_eq!(world.get(&draft).await["state"], "draft");
    assert_eq!(calls(&world), 0, "nothing goes out three hours late by itself");
    assert_eq!(act(&world, &draft, "start").await.status, 200);
    campaign(&world, &draft, "finished").await;
    assert_eq!(calls(&world), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_that_comes_too_late_is_paused() {
    let mut world = World::new(true).await;
    people(&world, 3, 1).await;
    let due = json!({ "send_at": "2026-11-23T20:00:00+08:00", "misfire": { "late_minutes": 60 } });
    let path = drafted(&world, due.clone()).await;
    let other =
        drafted(&world, json!({ "send_at": "2026-11-23T20:00:00+08:00", "on_empty_balance": "refuse" }))
            .await;
    for path in [&path, &other] {
        assert_eq!(act(&world, path, "start").await.json()["state"], "scheduled");
    }
    world.restart(false).await;
    world.clock.advance(10 * HOUR);
    world.restart(true).await;
    let paused = campaign(&world, &path, "paused").await;
    assert!(paused["paused_because"].as_str().unwrap().starts_with("misfire"), "{paused}");
    // Without a word about lateness it goes out.
    campaign(&world, &other, "finished").await;
    assert_eq!(act(&world, &path, "cancel").await.status, 200);
    campaign(&world, &path, "cancelled").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_named() {
    let world = World::new(false).await;
    let good = json!({ "template_id": FEE, "data": { "thing8": "x", "thing5": "y" }, "audience": { "kind": "subscribers" } });
    let cases = [
        (json!({ "cron": "every day" }), "/cron", "invalid_cron"),
        (json!({ "cron": "0 9 30 2 *" }), "/cron", "invalid_cron"),
        (json!({ "time_zone": "Mars" }), "/time_zone", "invalid_time_zone"),
        (json!({ "name": "" }), "/name", "invalid_name"),
        (
            json!({ "campaign": { "template_id": "nope", "data": {}, "audience": { "kind": "subscribers" } } }),
            "/campaign/template_id",
            "unknown_template",
        ),
        (
            json!({ "campaign": { "template_id": FEE, "send_at": "2026-12-01T00:00:00Z", "data": { "thing8": "x", "thing5": "y" }, "audience": { "kind": "subscribers" } } }),
            "/campaign/send_at",
            "not_allowed",
        ),
        (json!({ "campaign": 1 }), "/campaign", "invalid_body"),
    ];
    for (more, pointer, code) in cases {
        let mut body = json!({ "name": "x", "cron": "0 9 * * *", "campaign": good });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let reply = world.api("POST", "/schedules", &body).await;
        let errors = reply.json()["errors"].clone();
        let found = errors.as_array().and_then(|all| all.iter().find(|error| error["pointer"] == pointer));
        assert_eq!(
            (reply.status, found.and_then(|error| error["code"].as_str())),
            (422, Some(code)),
            "{more}: {}",
            reply.text
        );
    }
    assert_eq!(world.get("/schedules").await["items"], json!([]));
    assert_eq!(world.api("GET", "/schedules/x", &Value::Null).await.json()["code"], "schedule_not_found");
}
