//! Who is not held up: people with several messages, apps beside one whose WeChat hangs, a campaign beside others that wait.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simulator::SAMPLE_APPID;

use super::{act, calls, campaign, drafted, people};
use crate::world::{FEE, World, until};

const OTHER: &str = "wx00000000000000ab";

async fn fast(world: &World) {
    let set =
        world.api("PATCH", "", &json!({ "settings": { "rate_per_second": 0, "concurrency": 256 } })).await;
    assert_eq!(set.status, 200, "{}", set.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_several_messages_to_one_person_never_fly_together() {
    let world = World::new(true).await;
    let openids = people(&world, 20, 1).await;
    fast(&world).await;
    world.tell_wechat(&json!({ "latency_ms": 5 }));
    let list: Vec<Value> =
        (0..400).map(|n| json!({ "to": openids[n % openids.len()], "vars": { "n": n } })).collect();
    let path = drafted(
        &world,
        json!({ "on_empty_balance": "try", "data": { "thing8": "{{n}}", "thing5": "x" },
        "audience": { "kind": "recipients", "recipients": list } }),
    )
    .await;
    act(&world, &path, "start").await;
    for openid in &openids {
        assert_eq!(world.send_fee(json!({ "to": openid }), &[]).await.status, 202);
    }
    let finished = campaign(&world, &path, "finished").await;
    until("the single ones too", || async {
        let counters = serde_json::to_value(world.sim.counters(SAMPLE_APPID).unwrap()).unwrap();
        let answered: u64 =
            counters["sends"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        (answered >= 420).then_some(())
    })
    .await;
    let counters = serde_json::to_value(world.sim.counters(SAMPLE_APPID).unwrap()).unwrap();
    assert!(counters["sends"].get("43108").is_none(), "{counters}");
    assert_eq!(counters["sends"]["0"], 20, "one grant each: {finished}");
    assert_eq!(finished["counts"]["failed"], 0, "{finished}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_whose_wechat_hangs_slows_nobody_else() {
    let world = World::new(true).await;
    people(&world, 400, 2).await;
    fast(&world).await;
    let path = drafted(&world, json!({})).await;
    let started = Instant::now();
    act(&world, &path, "start").await;
    campaign(&world, &path, "finished").await;
    let alone = started.elapsed();

    // Another app, with hundreds of messages that WeChat never answers.
    let mut spec = serde_json::to_value(simulator::sample_app()).unwrap();
    spec["secret"] = json!("0123456789abcdef0123456789abcdef");
    world.sim.put_app(OTHER, serde_json::from_value(spec).unwrap()).unwrap();
    let hang = json!({ "rules": [{ "on": "send", "fault": "hang" }] });
    world.sim.set_faults(OTHER, serde_json::from_value(hang).unwrap()).unwrap();
    let other = |method: &'static str, path: String, body: Value| {
        let url = format!("{}/api/v1/apps/{OTHER}{path}", world.url);
        let bearer = format!("Bearer {}", world.key);
        async move {
            crate::http::call(
                method,
                &url,
                &[("authorization", &bearer), ("connection", "close")],
                body.to_string(),
            )
            .await
        }
    };
    let registered = other(
        "PUT",
        String::new(),
        json!({ "name": "other", "secret": "0123456789abcdef0123456789abcdef",
        "callback_token": "otherToken2026", "aes_key": crate::world::AES_KEY, "api_base_url": world.sim_url,
        "settings": { "rate_per_second": 0, "concurrency": 256 } }),
    )
    .await;
    assert_eq!(registered.status, 201, "{}", registered.text);
    let messages: Vec<Value> = (0..900)
        .map(|n| json!({ "to": format!("oHanging{n:0>20}"), "template_id": FEE, "data": { "thing8": "x", "thing5": "y" } }))
        .collect();
    let taken = other("POST", "/messages/batch".into(), json!({ "messages": messages })).await;
    assert_eq!(taken.status, 200, "{}", taken.text);
    until("calls hang", || async {
        let faults = serde_json::to_value(world.sim.counters(OTHER).unwrap()).unwrap();
        (faults["send_calls"].as_u64().unwrap() > 30).then_some(())
    })
    .await;
    let path = drafted(&world, json!({})).await;
    let started = Instant::now();
    act(&world, &path, "start").await;
    let finished = campaign(&world, &path, "finished").await;
    let beside = started.elapsed();
    println!("alone {alone:?}, beside one that hangs {beside:?}");
    assert_eq!(finished["counts"]["skipped"], 0, "{finished}");
    // Half a second is the clock's and the tests' share; the bench has the exact figure.
    assert!(beside < alone * 3 / 2 + Duration::from_millis(500), "alone {alone:?}, beside {beside:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_paused_or_lies_ahead_holds_nobody_up() {
    let world = World::new(true).await;
    let openids = people(&world, 50, 1).await;
    fast(&world).await;
    let list = |from: usize| -> Vec<Value> {
        (0..3_000).map(|n| json!({ "to": format!("oWaiting{:0>20}", from + n) })).collect()
    };
    let at = service::view::time(domain::Clock::now(&*world.clock) + 86_400_000);
    let ahead = drafted(&world, json!({ "on_empty_balance": "try", "send_at": at, "audience": { "kind": "recipients", "recipients": list(0) } })).await;
    act(&world, &ahead, "start").await;
    let window = json!({ "from": "03:00", "to": "04:00" });
    let paused = drafted(&world, json!({ "on_empty_balance": "try", "window": window, "audience": { "kind": "recipients", "recipients": list(5_000) } })).await;
    act(&world, &paused, "start").await;
    until("six thousand wait", || async {
        let counts = |view: Value| {
            view["counts"]["scheduled"].as_i64().unwrap() + view["counts"]["queued"].as_i64().unwrap()
        };
        (counts(world.get(&ahead).await) + counts(world.get(&paused).await) == 6_000).then_some(())
    })
    .await;
    assert_eq!(act(&world, &paused, "pause").await.status, 200);
    let path = drafted(
        &world,
        json!({ "audience": { "kind": "recipients",
        "recipients": openids.iter().map(|to| json!({ "to": to })).collect::<Vec<_>>() } }),
    )
    .await;
    act(&world, &path, "start").await;
    let finished = campaign(&world, &path, "finished").await;
    assert_eq!(finished["counts"]["skipped"], 0, "{finished}");
    assert_eq!(calls(&world), 50, "nothing else was called");
    for waiting in [&ahead, &paused] {
        act(&world, waiting, "cancel").await;
        let cancelled = campaign(&world, waiting, "cancelled").await;
        assert_eq!(cancelled["counts"]["cancelled"], 3_000, "{cancelled}");
    }
}
