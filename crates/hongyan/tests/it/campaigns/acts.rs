//! Pausing, resuming, cancelling, approving, trying again.

use serde_json::{Value, json};
use simulator::SAMPLE_APPID;

use super::{act, calls, campaign, draft, drafted, lines, people};
use crate::world::{FEE, World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i15_after_a_pause_nothing_is_called_and_resuming_loses_and_repeats_nothing() {
    let world = World::new(true).await;
    people(&world, 200, 1).await;
    // The clock stands: a slow rate lets only the first few out.
    let path = drafted(&world, json!({ "rate_per_second": 40 })).await;
    act(&world, &path, "start").await;
    until("the first calls", || async { (calls(&world) > 0).then_some(()) }).await;
    let paused = act(&world, &path, "pause").await;
    assert_eq!((paused.status, paused.json()["state"].as_str()), (200, Some("paused")));
    // Calls under way end; none begins.
    until("nothing in flight", || async {
        let campaign = world.get(&path).await;
        super::closed(&campaign["counts"]);
        (campaign["counts"]["sending"] == 0).then_some(())
    })
    .await;
    let before = calls(&world);
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert_eq!(calls(&world), before, "no call after the pause");
    assert!(before < 200);
    assert_eq!(act(&world, &path, "pause").await.status, 409);

    let patched = world.api("PATCH", &path, &json!({ "name": "x" })).await;
    assert_eq!((patched.status, patched.json()["code"].as_str()), (409, Some("wrong_state")));
    assert_eq!(act(&world, &path, "resume").await.json()["state"], "running");
    let finished = campaign(&world, &path, "finished").await;
    assert_eq!(finished["counts"]["skipped"], 0, "{finished}");
    assert_eq!(world.sim.sends(SAMPLE_APPID, None, 1_000).unwrap().len(), 200, "each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_leaves_everybody_in_a_list() {
    let world = World::new(true).await;
    people(&world, 150, 1).await;
    let path = drafted(&world, json!({ "rate_per_second": 30 })).await;
    act(&world, &path, "start").await;
    until("the first calls", || async { (calls(&world) > 0).then_some(()) }).await;
    assert_eq!(act(&world, &path, "cancel").await.status, 200);
    let cancelled = campaign(&world, &path, "cancelled").await;
    let counts = &cancelled["counts"];
    let of = |name: &str| counts[name].as_i64().unwrap();
    assert_eq!(of("todo") + of("queued") + of("sending") + of("scheduled"), 0, "{counts}");
    assert!(of("cancelled") > 0, "{counts}");
    let sent = lines(&world, &path, "sent").await.len();
    let not_sent = lines(&world, &path, "not_sent").await;
    assert_eq!(sent + not_sent.len(), 150);
    assert_eq!(not_sent[0]["reason"], "campaign_cancelled");
    assert_eq!(u64::try_from(sent).unwrap(), calls(&world), "what WeChat took is what the list says");
    assert_eq!(act(&world, &path, "resume").await.status, 409);
    // What is reserved is free again.
    let left = act(&world, &drafted(&world, json!({})).await, "forecast").await.json();
    assert_eq!(left["reachable"].as_i64().unwrap(), 150 - i64::try_from(sent).unwrap(), "{left}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduled_campaign_waits_for_its_time_and_can_be_cancelled_before() {
    let world = World::new(true).await;
    people(&world, 20, 1).await;
    let at = service::view::time(domain::Clock::now(&*world.clock) + 3_600_000);
    let path = drafted(&world, json!({ "send_at": at })).await;
    assert_eq!(act(&world, &path, "start").await.json()["state"], "scheduled");
    until("everybody is scheduled", || async {
        (world.get(&path).await["counts"]["scheduled"] == 20).then_some(())
    })
    .await;
    assert_eq!(calls(&world), 0);
    let other = drafted(&world, json!({ "send_at": at })).await;
    let forecast = act(&world, &other, "forecast").await.json();
    assert_eq!(forecast["reserved"], 20, "the grants are taken: {forecast}");
    act(&world, &other, "start").await;
    until("it knows that nobody is left", || async {
        (world.get(&other).await["counts"]["skipped"] == 20).then_some(())
    })
    .await;
    act(&world, &other, "cancel").await;
    campaign(&world, &other, "cancelled").await;

    world.clock.advance(3_600_000);
    let finished = campaign(&world, &path, "finished").await;
    assert_eq!(finished["counts"]["skipped"], 0, "{finished}");
    assert_eq!(calls(&world), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_campaign_is_approved_by_somebody_else() {
    let world = World::new(true).await;
    people(&world, 5, 1).await;
    let set = world.api("PATCH", "", &json!({ "settings": { "approval_above": 3 } })).await;
    assert_eq!(set.status, 200, "{}", set.text);
    let path = drafted(&world, json!({})).await;
    let asked = act(&world, &path, "start").await.json();
    assert_eq!(
        (asked["state"].as_str(), asked["forecast"]["reachable"].as_i64()),
        (Some("awaiting_approval"), Some(5))
    );
    let own = act(&world, &path, "approve").await;
    assert_eq!((own.status, own.json()["code"].as_str()), (403, Some("own_campaign")));
    assert_eq!(calls(&world), 0);
    assert_eq!(act(&world, &path, "withdraw").await.json()["state"], "draft");
    assert_eq!(act(&world, &path, "start").await.json()["state"], "awaiting_approval");

    let (_, other) = world.service().create_key("second", None, &[service::Scope::Send]).await.unwrap();
    let bearer = format!("Bearer {}", secrecy::ExposeSecret::expose_secret(&other));
    let url = format!("{}/api/v1/apps/{SAMPLE_APPID}{path}/approve", world.url);
    let approved =
        crate::http::call("POST", &url, &[("authorization", &bearer), ("connection", "close")], "").await;
    assert_eq!(approved.status, 200, "{}", approved.text);
    let finished = campaign(&world, &path, "finished").await;
    assert!(finished["approved_by"].as_str().unwrap().ends_with("second"), "{finished}");
    assert_eq!(calls(&world), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resend_failed_tries_only_those_again() {
    let world = World::new(true).await;
    let openids = people(&world, 12, 2).await;
    let faults = json!({ "rules": [
        { "on": "send", "fault": "errcode", "errcode": 40003, "openid": openids[0] },
        { "on": "send", "fault": "errcode", "errcode": 40003, "openid": openids[1] },
    ] });
    world.sim.set_faults(SAMPLE_APPID, serde_json::from_value(faults).unwrap()).unwrap();
    let path = drafted(&world, json!({})).await;
    assert_eq!(act(&world, &path, "resend-failed").await.status, 409);
    act(&world, &path, "start").await;
    let finished = campaign(&world, &path, "finished").await;
    assert_eq!(finished["counts"]["failed"], 2, "{finished}");
    let failed = lines(&world, &path, "not_sent").await;
    assert_eq!(failed[0]["errcode"], 40003);

    world.sim.set_faults(SAMPLE_APPID, serde_json::from_value(json!({ "rules": [] })).unwrap()).unwrap();
    let before = calls(&world);
    let again = act(&world, &path, "resend-failed").await;
    assert_eq!((again.status, again.json()["state"].as_str()), (200, Some("running")), "{}", again.text);
    let finished = campaign(&world, &path, "finished").await;
    assert_eq!(finished["counts"]["failed"], 0, "{finished}");
    assert_eq!(calls(&world), before + 2, "nobody else was called again");
    let message = lines(&world, &path, "").await;
    let message = message.iter().find(|line| line["to"] == *openids[0]).unwrap();
    let message = world.get(&format!("/messages/{}", message["message_id"].as_str().unwrap())).await;
    assert_eq!(message["attempts"].as_array().unwrap().len(), 2, "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pause_resume_and_cancel_hammered_from_several_clients_leave_the_same_accounts() {
    let world = std::sync::Arc::new(World::new(true).await);
    people(&world, 300, 1).await;
    let path = drafted(&world, json!({ "rate_per_second": 200 })).await;
    act(&world, &path, "start").await;
    let mut clients = Vec::new();
    for client in 0..4 {
        let (world, path) = (std::sync::Arc::clone(&world), path.clone());
        clients.push(tokio::spawn(async move {
            for turn in 0..25 {
                let what = if (client + turn) % 2 == 0 { "pause" } else { "resume" };
                let reply = act(&world, &path, what).await;
                assert!(matches!(reply.status, 200 | 409), "{}", reply.text);
                super::closed(&world.get(&path).await["counts"]);
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    let state = world.get(&path).await["state"].as_str().unwrap().to_owned();
    if state == "paused" {
        act(&world, &path, "resume").await;
    }
    let finished = campaign(&world, &path, "finished").await;
    assert_eq!(finished["counts"]["skipped"], 0, "{finished}");
    assert_eq!(calls(&world), 300, "each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_says_the_same_and_a_test_goes_to_one_person() {
    let world = World::new(true).await;
    let openids = people(&world, 2, 2).await;
    let list = json!([{ "to": openids[0], "vars": { "fee": "12" } }]);
    let path = drafted(
        &world,
        json!({ "data": { "thing8": "物业费{{fee|money}}元", "thing5": "x" },
        "audience": { "kind": "recipients", "recipients": list } }),
    )
    .await;
    let test = world.api("POST", &format!("{path}/test"), &json!({ "to": openids[1] })).await;
    assert_eq!(test.status, 202, "{}", test.text);
    assert_eq!(test.json()["data"]["thing8"], "物业费12.00元");
    assert_eq!(test.json()["to"], *openids[1]);
    let nobody = world.api("POST", &format!("{path}/test"), &json!({ "to": openids[1], "row": 7 })).await;
    assert_eq!((nobody.status, nobody.json()["errors"][0]["code"].as_str()), (422, Some("no_such_row")));

    let copy = act(&world, &path, "copy").await;
    assert_eq!(copy.status, 201);
    let copied = format!("/campaigns/{}", copy.json()["id"].as_str().unwrap());
    assert_eq!(world.api("DELETE", &path, &Value::Null).await.status, 204);
    assert_eq!(world.api("GET", &path, &Value::Null).await.status, 404);
    act(&world, &copied, "start").await;
    let finished = campaign(&world, &copied, "finished").await;
    assert_eq!(finished["counts"]["recipients"], 1, "the list is the copy's too: {finished}");
    assert_eq!(world.api("DELETE", &copied, &Value::Null).await.status, 409);
    assert_eq!(draft(&world, json!({ "template_id": FEE })).await.status, 201);
}
